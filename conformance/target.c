#include "conformance/target.h"

#include "conformance/clock.h"
#include "conformance/file.h"
#include "conformance/memory.h"
#include "conformance/printable.h"
#include "conformance/process.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LOOK_AGAIN_MS = 10,
    LOG_TAIL_BYTES = 2000,
    PORT_TRIES = 3,
    NOBODY_ENDED = -1,
    SHELL_SIGNAL = 128, /* plus a signal: the exit status of a shell whose command that has ended */
};

#define TOKEN_PLACE "{token_file}"

const char *const target_setting_names[TARGET_SETTINGS] = {"quota", "open_within_ms", "idle_ms",
                                                           "dead_ms", "limit_change"};
/* No quota, and what the specification recommends. */
static const uint64_t usual_settings[TARGET_SETTINGS] = {0, 10000, 30000, 90000, 1114112};

struct target {
    const struct target_options *options;
    struct url url;
    char *folder;            /* holds data/, saved-*, token, server.log */
    bool is_twin;            /* the folder is another's */
    uint64_t file_bytes_max; /* of the next start; 0: any number */
    bool demands_token;
    char *path;                     /* of its unix socket; NULL: none */
    pid_t pid;                      /* of the process group and its leader; 0 while none runs */
    int pidfd;                      /* of the leader; -1 once it has ended */
    int status;                     /* how those ended that have, or NOBODY_ENDED */
    struct process_list terminated; /* who was sent SIGTERM */
    uint64_t settings[TARGET_SETTINGS];
    bool accepted_once;
};

/* ---- Addresses ------------------------------------------------------------------------------- */

static char *path_in(const struct target *target, const char *prefix, const char *name) {
    return memory_format("%s/%s%s", target->folder, prefix, name);
}

/* A port that nothing listens on now. The server binds it a moment later: a collision is possible
 * and shows as a server that ends at once, which target_start answers with another port. */
static bool find_free_port(char port[static 6]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
              getsockname(fd, (struct sockaddr *)&address, &len) == 0;
    if (ok)
        snprintf(port, 6, "%u", ntohs(address.sin_port));
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool choose_url(struct target *target, char **error) {
    const char *template = target->options->url;
    const char *reason = NULL;
    char port[6] = "";
    if (target->options->command != NULL && !find_free_port(port)) {
        *error = memory_format("no free port: %s", strerror(errno));
        return false;
    }
    if (template == NULL)
        template =
            target->options->unix_path != NULL ? "ws://localhost/" : "ws://127.0.0.1:{port}/";
    char *url = process_fill_in(template, "{port}", port);
    bool ok = url_parse(url, &target->url, &reason);
    if (!ok)
        *error = memory_format("%s is no address of a server: %s", url, reason);
    free(url);
    return ok;
}

static bool make_folder(struct target *target, char **error) {
    target->folder = folder_make_temporary(target->options->folder, error);
    if (target->folder == NULL)
        return false;
    char *data = path_in(target, "data", "");
    bool ok = mkdir(data, 0700) == 0;
    if (!ok)
        *error = memory_format("%s: %s", data, strerror(errno));
    free(data);
    return ok;
}

static bool choose_path(struct target *target, char **error) {
    const char *template = target->options->unix_path;
    struct sockaddr_un limit;
    if (template == NULL)
        return true;
    char *data = target->folder != NULL ? path_in(target, "data", "") : memory_copy_text("{dir}");
    target->path = process_fill_in(template, "{dir}", data);
    free(data);
    if (strlen(target->path) < sizeof limit.sun_path)
        return true;
    *error = memory_format("%s is longer than a unix socket's path may be", target->path);
    return false;
}

struct target *target_new(const struct target_options *options, char **error) {
    struct target *target = memory_take(sizeof *target);
    target->options = options;
    target->pidfd = -1;
    memcpy(target->settings, usual_settings, sizeof usual_settings);
    process_adopt_orphans(); /* a server has ended when all that the command started has */
    if ((options->command == NULL || make_folder(target, error)) && choose_url(target, error) &&
        choose_path(target, error))
        return target;
    target_free(target);
    return NULL;
}

const char *target_name(const struct target_options *options) {
    return options->command != NULL ? options->command
           : options->url != NULL   ? options->url
                                    : options->unix_path;
}

const struct url *target_url(const struct target *target) {
    return &target->url;
}

const char *target_authority(const struct target *target) {
    return target->options->authority != NULL ? target->options->authority : target->url.authority;
}

const char *target_headers(const struct target *target) {
    return target->options->headers;
}

/* ---- The process ----------------------------------------------------------------------------- */

/* In the child. */
static _Noreturn void run_command(const char *command, const char *log, uint64_t file_bytes_max) {
    const struct rlimit most = {file_bytes_max, file_bytes_max};
    int in = open("/dev/null", O_RDONLY);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    setpgid(0, 0);
    process_restore_signals();
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(126);
    /* Writing fails then; the signal would end those who do not expect it. */
    if (file_bytes_max > 0 &&
        (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &most) != 0))
        _exit(126);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/* The command with `value` in the places of `name`; frees the one without. */
static char *fill_in(char *command, const char *name, const char *value) {
    char *filled = process_fill_in(command, name, value);
    free(command);
    return filled;
}

/* "[--token-file {token_file}]" without the brackets, or without all of it; frees `command`. */
static char *fill_in_token(const struct target *target, char *command) {
    char *place = strstr(command, TOKEN_PLACE);
    char *from = place;
    char *to = place != NULL ? strchr(place, ']') : NULL;
    while (from != NULL && from > command && *from != '[')
        from--;
    if (place == NULL || to == NULL || *from != '[')
        return command;
    *place = *from = '\0';
    *to = '\0';
    char *path = path_in(target, "token", "");
    char *filled = target->demands_token ? memory_format("%s%s%s%s%s", command, from + 1, path,
                                                         place + strlen(TOKEN_PLACE), to + 1)
                                         : memory_format("%s%s", command, to + 1);
    free(path);
    free(command);
    return filled;
}

static char *command_of(const struct target *target) {
    char *data = path_in(target, "data", "");
    const char *given = target->options->command;
    char *command = memory_format("%s%s", process_is_simple(given) ? "exec " : "", given);
    command = fill_in(command, "{port}", target->url.port);
    command = fill_in(command, "{dir}", data);
    for (int i = 0; i < TARGET_SETTINGS; i++) {
        char name[32], value[24];
        snprintf(name, sizeof name, "{%s}", target_setting_names[i]);
        snprintf(value, sizeof value, "%llu", (unsigned long long)target->settings[i]);
        command = fill_in(command, name, value);
    }
    free(data);
    return fill_in_token(target, command);
}

static bool spawn(struct target *target, char **error) {
    char *log = path_in(target, "server.log", "");
    char *command = command_of(target);
    target->status = NOBODY_ENDED;
    target->terminated.len = 0;
    target->pid = fork();
    if (target->pid == 0)
        run_command(command, log, target->file_bytes_max);
    target->file_bytes_max = 0;
    if (target->pid > 0) {
        setpgid(target->pid, target->pid);
        target->pidfd = (int)syscall(SYS_pidfd_open, target->pid, 0);
    } else {
        target->pid = 0;
        *error = memory_format("fork: %s", strerror(errno));
    }
    free(log);
    free(command);
    return target->pid != 0;
}

/* Of several statuses the one that counts: what SIGTERM ended, as it does a shell around the
 * server, says less than an end in order, and that less than any other. */
static int rank(int status) {
    if (status == NOBODY_ENDED)
        return 0;
    if (WIFSIGNALED(status) ? WTERMSIG(status) == SIGTERM
                            : WEXITSTATUS(status) == SHELL_SIGNAL + SIGTERM)
        return 1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 2 : 3;
}

static void forget(struct target *target) {
    if (target->pidfd >= 0)
        close(target->pidfd);
    target->pidfd = -1;
    target->pid = 0;
}

/* Notes what of the process group has ended. True when all of it has. */
static bool reap(struct target *target) {
    int status = 0;
    pid_t ended;
    while ((ended = waitpid(-target->pid, &status, WNOHANG)) > 0) {
        if (rank(status) > rank(target->status))
            target->status = status;
        if (ended == target->pid && target->pidfd >= 0) {
            close(target->pidfd);
            target->pidfd = -1;
        }
        if (target->terminated.len > 0) /* a shell does not pass it on */
            process_signal_children(target->pid, SIGTERM, &target->terminated);
    }
    return kill(-target->pid, 0) != 0;
}

char *target_describe_death(struct target *target) {
    if (target->pid == 0 || !reap(target))
        return NULL;
    forget(target);
    return process_describe_end(target->status);
}

char *target_await_death(struct target *target, int64_t deadline_us) {
    char *death;
    while ((death = target_describe_death(target)) == NULL && target->pid != 0 &&
           clock_left_ms(deadline_us) > 0) {
        int left = clock_left_ms(deadline_us);
        struct pollfd ended = {.fd = target->pidfd, .events = POLLIN};
        poll(&ended, 1, left < LOOK_AGAIN_MS ? left : LOOK_AGAIN_MS);
    }
    return death;
}

bool target_kill(struct target *target, char **error) {
    if (target->pid == 0) {
        *error = memory_copy_text("the server is not running");
        return false;
    }
    process_end_group(target->pid);
    forget(target);
    return true;
}

void target_set(struct target *target, enum target_setting setting, uint64_t value) {
    target->settings[setting] = value;
}

bool target_demand(struct target *target, const char *token, char **error) {
    char *path = path_in(target, "token", "");
    FILE *file = fopen(path, "we");
    bool ok = file != NULL && fprintf(file, "%s\n", token) > 0;
    ok = file != NULL && fclose(file) == 0 && ok;
    if (!ok)
        *error = memory_format("%s: %s", path, strerror(errno));
    target->demands_token = ok;
    free(path);
    return ok;
}

bool target_terminate(struct target *target) {
    if (target->pid != 0)
        process_signal_children(target->pid, SIGTERM, &target->terminated);
    return target->pid != 0;
}

pid_t target_pid(const struct target *target) {
    return target->pid;
}

int target_fd(const struct target *target) {
    return target->pidfd;
}

/* Whether the process of this entry of /proc is of the group. */
static bool is_in_group(const char *entry, pid_t group) {
    char *ignored = NULL;
    char *path = memory_format("/proc/%s/stat", entry);
    char *stat = file_read(path, &ignored);              /* "1 (name) S parent group ..." */
    char *at = stat != NULL ? strrchr(stat, ')') : NULL; /* the name may hold anything */
    bool is_member = false;
    if (at != NULL && strlen(at) > sizeof ") S ") {
        strtol(at + sizeof ") S", &at, 10);
        is_member = strtol(at, NULL, 10) == group;
    }
    free(ignored);
    free(path);
    free(stat);
    return is_member;
}

/* The kB that a line of its status tells. */
static uint64_t read_kb(const char *status, const char *name) {
    const char *line = strstr(status, name);
    return line != NULL ? strtoull(line + strlen(name), NULL, 10) : 0;
}

uint64_t target_memory(const struct target *target) {
    uint64_t kb = 0;
    struct dirent *entry;
    DIR *processes = opendir("/proc");
    while (processes != NULL && (entry = readdir(processes)) != NULL) {
        if (!isdigit((unsigned char)*entry->d_name) || !is_in_group(entry->d_name, target->pid))
            continue;
        char *ignored = NULL;
        char *path = memory_format("/proc/%s/status", entry->d_name);
        char *status = file_read(path, &ignored);
        if (status != NULL)
            kb += read_kb(status, "RssAnon:") + read_kb(status, "VmSwap:");
        free(ignored);
        free(path);
        free(status);
    }
    if (processes != NULL)
        closedir(processes);
    return kb * 1024;
}

void target_free(struct target *target) {
    char *ignored = NULL;
    if (target == NULL)
        return;
    if (target->pid != 0)
        target_kill(target, &ignored);
    free(ignored);
    if (target->folder != NULL && !target->is_twin)
        folder_remove(target->folder);
    free(target->folder);
    free(target->path);
    free(target);
}

struct stream_address target_address(const struct target *target) {
    const struct url *url = &target->url;
    return (struct stream_address){.host = url->host,
                                   .port = url->port,
                                   .path = target->path,
                                   .tls = url->secure ? &target->options->tls : NULL};
}

/* ---- Waiting until it accepts ---------------------------------------------------------------- */

bool target_accepts(const struct target *target) {
    struct stream_address address = target_address(target);
    return stream_accepts(&address);
}

/* A line in the log or the end of the process wakes at once; a server that prints nothing is asked
 * again after LOOK_AGAIN_MS. */
static bool wait_accepting(struct target *target, int log_watch, int64_t deadline_us,
                           char **error) {
    struct pollfd events[] = {{.fd = target->pidfd, .events = POLLIN},
                              {.fd = log_watch, .events = POLLIN}};
    char drained[4096];
    while (!target_accepts(target)) {
        char *death = target_describe_death(target);
        if (death != NULL)
            *error =
                memory_format("the server ended with %s before it accepted connections", death);
        else if (process_interrupted() != 0)
            *error = memory_copy_text("interrupted");
        else if (clock_left_ms(deadline_us) == 0)
            *error = memory_format("the server accepts no connection at %s",
                                   target->path != NULL ? target->path : target->url.port);
        free(death);
        if (*error != NULL)
            return false;
        poll(events, 2, LOOK_AGAIN_MS);
        while (log_watch >= 0 && read(log_watch, drained, sizeof drained) > 0) {
        }
    }
    target->accepted_once = true;
    return true;
}

static int watch_log(const struct target *target) {
    char *log = path_in(target, "server.log", "");
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    int created = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (created >= 0)
        close(created);
    if (watch >= 0)
        inotify_add_watch(watch, log, IN_MODIFY);
    free(log);
    return watch;
}

/* Whoever accepts now would be taken for the server that is started. */
static bool is_free(const struct target *target, char **error) {
    if (!target_accepts(target))
        return true;
    *error = memory_format("something accepts connections at %s before the server is started: what "
                           "the command starts must not leave its process group",
                           target->path != NULL ? target->path : target->url.port);
    return false;
}

static bool start_once(struct target *target, int64_t deadline_us, char **error) {
    int watch = watch_log(target);
    bool ok = is_free(target, error) && spawn(target, error) &&
              wait_accepting(target, watch, deadline_us, error);
    if (watch >= 0)
        close(watch);
    return ok;
}

bool target_start(struct target *target, int64_t deadline_us, char **error) {
    for (int i = 1; !start_once(target, deadline_us, error); i++) {
        if (target->accepted_once || target->pid != 0 || i == PORT_TRIES)
            return false;
        free(*error);
        *error = NULL;
        if (!choose_url(target, error))
            return false;
    }
    return true;
}

/* ---- Its data -------------------------------------------------------------------------------- */

bool target_save(struct target *target, const char *name, char **error) {
    char *data = path_in(target, "data", "");
    char *copy = path_in(target, "saved-", name);
    folder_remove(copy);
    bool ok = folder_copy(data, copy, error);
    free(data);
    free(copy);
    return ok;
}

bool target_restore(struct target *target, const char *name, char **error) {
    char *data = path_in(target, "data", "");
    char *copy = path_in(target, "saved-", name);
    bool ok = access(copy, R_OK) == 0;
    if (!ok)
        *error = memory_format("%s: %s", copy, strerror(errno));
    if (ok)
        folder_remove(data);
    ok = ok && folder_copy(copy, data, error);
    free(data);
    free(copy);
    return ok;
}

struct target *target_twin(const struct target *target, char **error) {
    const struct target_options *options = target->options;
    bool has_place = strstr(options->command, "{port}") != NULL && options->unix_path == NULL &&
                     (options->url == NULL || strstr(options->url, "{port}") != NULL);
    if (!has_place) {
        *error = memory_copy_text("the command takes no {port}");
        return NULL;
    }
    struct target *twin = memory_take(sizeof *twin);
    *twin = (struct target){.options = options,
                            .folder = memory_copy_text(target->folder),
                            .is_twin = true,
                            .demands_token = target->demands_token,
                            .pidfd = -1};
    memcpy(twin->settings, target->settings, sizeof twin->settings);
    if (choose_url(twin, error))
        return twin;
    target_free(twin);
    return NULL;
}

void target_limit_files(struct target *target, uint64_t bytes) {
    target->file_bytes_max = bytes;
}

char *target_log(const struct target *target) {
    char *error = NULL;
    char *path = path_in(target, "server.log", "");
    char *text = target->folder != NULL ? file_read(path, &error) : NULL;
    free(path);
    free(error);
    return text != NULL ? text : memory_copy_text("");
}

char *target_log_tail(const struct target *target) {
    char *text = target_log(target);
    size_t len = strlen(text);
    char *tail = printable_copy(text + (len > LOG_TAIL_BYTES ? len - LOG_TAIL_BYTES : 0));
    free(text);
    return tail;
}
