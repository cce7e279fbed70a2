#include "conformance/process.h"

#include "conformance/memory.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_AGAIN_MS = 2 };

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

/* Whether a program of that name is found where the shell looks for it. */
static bool is_program(const char *name, size_t len) {
    const char *path = getenv("PATH");
    const char *folders = memchr(name, '/', len) != NULL || path == NULL ? "" : path;
    bool found = false;
    do {
        size_t folder_len = strcspn(folders, ":");
        char *file = memory_format("%.*s%s%.*s", (int)folder_len, folders,
                                   folder_len > 0 ? "/" : "", (int)len, name);
        found = access(file, X_OK) == 0;
        free(file);
        folders += folder_len;
    } while (!found && *folders++ != '\0');
    return found;
}

bool process_is_simple(const char *command) {
    command += strspn(command, " ");
    size_t len = strcspn(command, " ");
    return len > 0 && strpbrk(command, ";&|<>()`\n") == NULL &&
           strcspn(command, "='\"\\$") >= len && is_program(command, len);
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
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int process_interrupted(void) {
    return interrupted;
}

void process_leave_signals(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    interrupted = 0; /* what came between its parent's last look and the fork */
}

void process_restore_signals(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
}

void process_adopt_orphans(void) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

void process_end_group(pid_t group) {
    /* As long as there is anyone; what is not ours yet will be once its parent is gone. */
    while (kill(-group, SIGKILL) == 0)
        if (waitpid(-group, NULL, 0) < 0 && errno == ECHILD)
            poll(NULL, 0, LOOK_AGAIN_MS);
}

/* The parent of a process, from /proc/PID/stat; 0 when there is none such any more. */
static pid_t parent_of(const char *pid) {
    char *path = memory_format("/proc/%s/stat", pid);
    FILE *file = fopen(path, "re");
    int parent = 0;
    char line[512];
    if (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *name_end = strrchr(line, ')'); /* a name may hold anything */
        if (name_end != NULL && strlen(name_end) > strlen(") S "))
            parent = (int)strtol(name_end + strlen(") S "), NULL, 10);
    }
    if (file != NULL)
        fclose(file);
    free(path);
    return parent;
}

/* Calls `act` for each child; returns for how many it did something. */
static size_t for_each_child(bool (*act)(void *context, pid_t child), void *context) {
    DIR *processes = opendir("/proc");
    const struct dirent *entry;
    size_t count = 0;
    while (processes != NULL && (entry = readdir(processes)) != NULL)
        if (parent_of(entry->d_name) == getpid())
            count += act(context, (pid_t)strtol(entry->d_name, NULL, 10));
    if (processes != NULL)
        closedir(processes);
    return count;
}

/* False when it was there, or there is no room. */
static bool note(void *context, pid_t pid) {
    struct process_list *list = context;
    for (size_t i = 0; i < list->len; i++)
        if (list->pids[i] == pid)
            return false;
    if (list->len == PROCESS_LIST_MAX)
        return false;
    list->pids[list->len++] = pid;
    return true;
}

struct signalling {
    pid_t group;
    int signal;
    struct process_list *told;
};

static bool signal_child(void *context, pid_t child) {
    const struct signalling *signalling = context;
    return getpgid(child) == signalling->group && note(signalling->told, child) &&
           kill(child, signalling->signal) == 0;
}

void process_signal_children(pid_t group, int signal, struct process_list *told) {
    struct signalling signalling = {group, signal, told};
    for_each_child(signal_child, &signalling);
}

static bool end_child(void *context, pid_t child) {
    struct process_list strangers = *(struct process_list *)context;
    if (!note(&strangers, child))
        return false;
    kill(child, SIGKILL);
    return waitpid(child, NULL, 0) == child; /* its children are ours now */
}

static struct process_list strangers;

void process_note_strangers(void) {
    for_each_child(note, &strangers);
}

void process_end_children(void) {
    while (for_each_child(end_child, &strangers) > 0) {
    }
}

char *process_describe_end(int status) {
    if (WIFSIGNALED(status))
        return memory_format("signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return memory_format("exit status %d", WEXITSTATUS(status));
}
