#include "conformance/process.h"

#include "conformance/memory.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

char *process_fill_in(const char *template, const char *name, const char *value) {
    struct bytes out = {0};
    const char *found;
    while ((found = strstr(template, name)) != NULL) {
        bytes_append(&out, template, (size_t)(found - template));
        bytes_append(&out, value, strlen(value));
        template = found + strlen(name);
    }
    bytes_append(&out, template, strlen(template) + 1);
    return (char *)out.at;
}

bool process_takes(const char *template, const char *name) {
    char *place = memory_format("{%s}", name);
    bool takes = strstr(template, place) != NULL;
    free(place);
    return takes;
}

bool process_write(int fd, const void *bytes, size_t len) {
    for (size_t at = 0; at < len;) {
        ssize_t put = write(fd, (const char *)bytes + at, len - at);
        if (put <= 0)
            return false;
        at += (size_t)put;
    }
    return true;
}

static volatile sig_atomic_t interrupted;

static void note_signal(int signal) {
    interrupted = signal;
}

void process_catch_signals(void) {
    const struct sigaction action = {.sa_handler = note_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int process_interrupted(void) {
    return interrupted;
}

void process_leave_signals(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
}

void process_restore_signals(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
}

char *process_describe_end(int status) {
    if (WIFSIGNALED(status))
        return memory_format("signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return memory_format("exit status %d", WEXITSTATUS(status));
}
