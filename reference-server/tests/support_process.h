/* The program itself, run for real: what it prints, how it ends. */
#ifndef SERVER_SUPPORT_PROCESS_H
#define SERVER_SUPPORT_PROCESS_H

#include "reference-server/tests/support_main.h"

#include <sys/resource.h>
#include <sys/types.h>

/* What is special about a process; zero-initialise for nothing. */
struct process_setting {
    const char *const *environment; /* "NAME=value", ends at NULL */
    rlim_t descriptors_max;         /* 0: as the test's own */
};

/* A process under way. Its standard output and error are kept from the start. */
struct process {
    pid_t pid;
    int out_fd;
    int err_fd;
    struct athena_buf out;
    struct athena_buf err;
    size_t out_read; /* by process_line */
};

/* `arguments` are those behind the program's name and end at NULL. The process dies with the test.
 */
void process_start(struct process *process, const char *const arguments[],
                   const struct process_setting *setting);
/* The next line of standard output, without its end. Fails the test when there is none. */
void process_line(struct process *process, char *line, size_t capacity);
/* Reads what it prints until its end: the exit status, or minus the signal that ended it. */
int process_wait(struct process *process);
void process_signal(const struct process *process, int signal_number);
/* Texts of the whole so far, NUL-terminated; live until the process is read from or freed. */
const char *process_out(struct process *process);
const char *process_err(struct process *process);
/* Kills what still runs. */
void process_fini(struct process *process);

/* Runs to the end; fails the test unless the status is this, and the one stream has this text. */
void process_expect(const char *const arguments[], const struct process_setting *setting,
                    int status, const char *says);

/* ---- A server ---- */

struct server {
    struct process process;
    char folder[SUPPORT_PATH_MAX];
    char url[256]; /* the first it listens on */
};

/* On a fresh folder, with further arguments; waits until it listens. */
void server_start(struct server *server, const char *const further[],
                  const struct process_setting *setting);
/* Again on the folder it has. It has to have ended. */
void server_restart(struct server *server, const char *const further[]);
/* `athena-syncd check` finds no damage, whether it is served meanwhile or not. */
void server_expect_whole(const struct server *server);
/* SIGTERM, and the end with status 0. */
void server_stop(struct server *server);
void server_kill(struct server *server);

#endif
