#include "scripts/bench/program.h"

#include "scripts/bench/bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* In the child: the three standard streams, and an end together with the benchmark. */
static _Noreturn void become(const char *const argv[], int input, int output) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    execv(argv[0], (char *const *)argv);
    fprintf(stderr, "athena-bench: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static pid_t spawn(const char *const argv[], int input, int output) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        bench_fail("fork: %s", strerror(errno));
    if (pid == 0)
        become(argv, input, output);
    return pid;
}

static void make_pipe(int ends[static 2]) {
    if (pipe2(ends, O_CLOEXEC) < 0)
        bench_fail("pipe: %s", strerror(errno));
}

void program_start(struct program *program, const char *const argv[]) {
    int output[2], nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    make_pipe(output);
    program->pid = spawn(argv, nothing, output[1]);
    program->output = output[0];
    close(output[1]);
    close(nothing);
}

static void wait_readable(int fd, const char *what) {
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    if (poll(&wanted, 1, BENCH_TIMEOUT_MS) != 1)
        bench_fail("%s: nothing within %d ms", what, BENCH_TIMEOUT_MS);
}

void program_read_line(struct program *program, char *line, size_t size) {
    for (size_t len = 0; len + 1 < size; len++) {
        wait_readable(program->output, "the program's first line");
        if (read(program->output, line + len, 1) != 1)
            bench_fail("the program ended before it printed a line");
        line[len + 1] = '\0';
        if (line[len] == '\n') {
            line[len] = '\0';
            return;
        }
    }
    bench_fail("a line longer than %zu bytes", size);
}

/* Waits for the end by an event, so that a program that hangs is told apart from a slow one. */
static int await_end(pid_t pid, struct rusage *usage) {
    int status = 0, end = (int)syscall(SYS_pidfd_open, pid, 0);
    if (end < 0)
        bench_fail("pidfd_open: %s", strerror(errno));
    struct pollfd ended = {.fd = end, .events = POLLIN};
    if (poll(&ended, 1, BENCH_TIMEOUT_MS) != 1) {
        kill(pid, SIGKILL);
        bench_fail("a program did not end within %d ms", BENCH_TIMEOUT_MS);
    }
    close(end);
    if (wait4(pid, &status, 0, usage) != pid)
        bench_fail("wait4: %s", strerror(errno));
    return status;
}

void program_stop(struct program *program, int signal) {
    if (!program->pid)
        return;
    kill(program->pid, signal);
    await_end(program->pid, NULL);
    close(program->output);
    *program = (struct program){0};
}

double program_processor_time(const struct program *program) {
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(program->pid, &clock) != 0 || clock_gettime(clock, &time) != 0)
        bench_fail("the processor time of process %d cannot be read", (int)program->pid);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

double program_resident_kib(const struct program *program) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", (int)program->pid);
    FILE *status = fopen(path, "re");
    double kib = -1;
    while (status && kib < 0 && fgets(line, sizeof line, status))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtod(line + 6, NULL);
    if (status)
        fclose(status);
    if (kib < 0)
        bench_fail("%s has no VmRSS", path);
    return kib;
}

size_t program_descriptors(const struct program *program) {
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)program->pid);
    DIR *folder = opendir(path);
    if (!folder)
        bench_fail("%s: %s", path, strerror(errno));
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* A file without a name that holds the input from its start. */
static int hold_input(const char *input, size_t len) {
    int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0 || write(fd, input, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)
        bench_fail("memfd: %s", strerror(errno));
    return fd;
}

static void read_to_end(int fd, char *output, size_t size) {
    char spare[4096];
    size_t len = 0;
    for (;;) {
        bool is_kept = output && len + 1 < size;
        wait_readable(fd, "a program's output");
        ssize_t got =
            read(fd, is_kept ? output + len : spare, is_kept ? size - len - 1 : sizeof spare);
        if (got <= 0)
            break;
        len += is_kept ? (size_t)got : 0;
    }
    if (output)
        output[len] = '\0';
}

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

struct program_run program_run(const char *const argv[], const char *input, size_t input_len,
                               char *output, size_t output_size) {
    int pipe_ends[2], stdin_fd = hold_input(input ? input : "", input_len);
    make_pipe(pipe_ends);
    struct rusage usage;
    double start = bench_now();
    pid_t pid = spawn(argv, stdin_fd, pipe_ends[1]);
    close(pipe_ends[1]);
    close(stdin_fd);
    read_to_end(pipe_ends[0], output, output_size);
    int status = await_end(pid, &usage);
    double wall_s = bench_now() - start;
    close(pipe_ends[0]);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        bench_fail("%s %s: %s %d", argv[0], argv[1] ? argv[1] : "",
                   WIFEXITED(status) ? "exit status" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return (struct program_run){
        .wall_s = wall_s,
        .processor_s = seconds(usage.ru_utime) + seconds(usage.ru_stime),
        .resident_max_kib = (double)usage.ru_maxrss,
    };
}
