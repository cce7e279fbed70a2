#include "reference-server/tests/support_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 64, READ_BYTES = 4096 };

static void program_path(char path[static SUPPORT_PATH_MAX]) {
    const char *build = getenv("ATHENA_BUILD");
    support_path(path, build ? build : "build", "athena-syncd");
}

/* In the child. Permissions of files have to count for root as well. */
static void become(const char *path, const char *const arguments[],
                   const struct process_setting *setting) {
    char *argv[ARGUMENTS_MAX] = {"athena-syncd"};
    for (size_t i = 0; arguments[i] && i + 2 < ARGUMENTS_MAX; i++)
        argv[i + 1] = strdup(arguments[i]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH);
    for (const char *const *entry = setting->environment; entry && *entry; entry++)
        putenv(strdup(*entry));
    struct rlimit limit = {setting->descriptors_max, setting->descriptors_max};
    if (setting->descriptors_max == 0 || setrlimit(RLIMIT_NOFILE, &limit) == 0)
        execv(path, argv);
    _exit(127);
}

void process_start(struct process *process, const char *const arguments[],
                   const struct process_setting *setting) {
    static const struct process_setting nothing = {0};
    char path[SUPPORT_PATH_MAX];
    int out[2];
    int err[2];
    *process = (struct process){0};
    program_path(path);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
    process->pid = fork();
    ck_assert_int_ge(process->pid, 0);
    if (process->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        become(path, arguments, setting ? setting : &nothing);
    }
    close(out[1]);
    close(err[1]);
    process->out_fd = out[0];
    process->err_fd = err[0];
}

/* ---- What it prints ---- */

static void read_some(int *fd, struct athena_buf *buf) {
    char bytes[READ_BYTES];
    ssize_t len = read(*fd, bytes, sizeof bytes);
    if (len > 0) {
        athena_buf_append(buf, bytes, (size_t)len);
        return;
    }
    close(*fd);
    *fd = -1;
}

/* Waits for either stream; a stream at its end has the descriptor -1. */
static void read_streams(struct process *process, int timeout_ms) {
    struct pollfd fds[] = {{.fd = process->out_fd, .events = POLLIN},
                           {.fd = process->err_fd, .events = POLLIN}};
    if (poll(fds, 2, timeout_ms) < 0)
        ck_assert_int_eq(errno, EINTR);
    if (fds[0].revents)
        read_some(&process->out_fd, &process->out);
    if (fds[1].revents)
        read_some(&process->err_fd, &process->err);
}

static const char *terminated(struct athena_buf *buf) {
    athena_buf_append(buf, "", 1);
    ck_assert(!buf->failed);
    buf->len--;
    return buf->at;
}

const char *process_out(struct process *process) {
    return terminated(&process->out);
}

const char *process_err(struct process *process) {
    return terminated(&process->err);
}

void process_line(struct process *process, char *line, size_t capacity) {
    uint64_t start_ms = support_now_ms();
    const char *at;
    const char *end;
    while (at = process_out(process) + process->out_read, !(end = strchr(at, '\n'))) {
        ck_assert_msg(process->out_fd >= 0, "it ended: %s", process_err(process));
        read_streams(process, support_left_ms(start_ms, "a line"));
    }
    size_t len = (size_t)(end - at);
    ck_assert_uint_lt(len, capacity);
    memcpy(line, at, len);
    line[len] = '\0';
    process->out_read += len + 1;
}

int process_wait(struct process *process) {
    uint64_t start_ms = support_now_ms();
    int status;
    while (process->out_fd >= 0 || process->err_fd >= 0)
        read_streams(process, support_left_ms(start_ms, "the end of the program"));
    ck_assert_int_eq(waitpid(process->pid, &status, 0), process->pid);
    process->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void process_signal(const struct process *process, int signal_number) {
    ck_assert_int_gt(process->pid, 0);
    ck_assert_int_eq(kill(process->pid, signal_number), 0);
}

void process_fini(struct process *process) {
    if (process->pid > 0) {
        process_signal(process, SIGKILL);
        process_wait(process);
    }
    athena_buf_fini(&process->out);
    athena_buf_fini(&process->err);
}

void process_expect(const char *const arguments[], const struct process_setting *setting,
                    int status, const char *says) {
    struct process process;
    process_start(&process, arguments, setting);
    int ended = process_wait(&process);
    const char *text = status == 0 ? process_out(&process) : process_err(&process);
    ck_assert_msg(ended == status && strstr(text, says),
                  "status %d, not %d, or it does not say \"%s\":\n%s%s", ended, status, says,
                  process_out(&process), process_err(&process));
    process_fini(&process);
}

/* ---- A server ---- */

static void listen_on_folder(struct server *server, const char *const further[],
                             const struct process_setting *setting) {
    static const char prefix[] = "listening on ";
    const char *arguments[ARGUMENTS_MAX] = {"--data", server->folder};
    size_t len = 2;
    bool has_address = false;
    for (; further && *further; further++) {
        ck_assert_uint_lt(len, ARGUMENTS_MAX - 3);
        has_address |= strcmp(*further, "--listen") == 0;
        arguments[len++] = *further;
    }
    if (!has_address) {
        arguments[len++] = "--listen";
        arguments[len++] = "127.0.0.1:0";
    }
    char line[300];
    process_start(&server->process, arguments, setting);
    process_line(&server->process, line, sizeof line);
    ck_assert_msg(strncmp(line, prefix, sizeof prefix - 1) == 0, "the first line is: %s", line);
    snprintf(server->url, sizeof server->url, "%.255s", line + sizeof prefix - 1);
}

void server_start(struct server *server, const char *const further[],
                  const struct process_setting *setting) {
    *server = (struct server){0};
    support_path(server->folder, support_folder, "server-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(server->folder));
    listen_on_folder(server, further, setting);
}

void server_restart(struct server *server, const char *const further[]) {
    listen_on_folder(server, further, NULL);
}

void server_expect_whole(const struct server *server) {
    process_expect((const char *const[]){"check", "--data", server->folder, NULL}, NULL, 0,
                   " 0 damaged\n");
}

void server_stop(struct server *server) {
    process_signal(&server->process, SIGTERM);
    int status = process_wait(&server->process);
    ck_assert_msg(status == 0, "it ended with %d:\n%s", status, process_err(&server->process));
    process_fini(&server->process);
}

void server_kill(struct server *server) {
    process_signal(&server->process, SIGKILL);
    ck_assert_int_eq(process_wait(&server->process), -SIGKILL);
    process_fini(&server->process);
}
