/* What starting servers, clients under test and processes of the harness itself share. */
#ifndef CONFORM_PROCESS_H
#define CONFORM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PROCESS_LIST_MAX = 64 };

/* The command line with each `name` ("{port}") replaced; free() it. */
char *process_fill_in(const char *template, const char *name, const char *value);
/* Whether the command line has a place for "{name}". */
bool process_takes(const char *template, const char *name);
/* Whether the shell can be replaced by the command: a program with arguments, nothing else. */
bool process_is_simple(const char *command);
/* All of it, to a pipe. False when nobody reads. */
bool process_write(int fd, const void *bytes, size_t len);
/* From now on SIGINT, SIGTERM and SIGHUP are noted: the signal that came, or 0. */
void process_catch_signals(void);
int process_interrupted(void);
/* In a child of the harness: an interrupt is its parent's affair, whose end would be its own. */
void process_leave_signals(void);
/* In a child that becomes another program, which ends with the harness: signals are as usual. */
void process_restore_signals(void);
/* From now on what our children started is ours to wait for when they end before it. */
void process_adopt_orphans(void);
/* SIGKILL for all of a process group that a child leads, and the wait until all of it is gone. */
void process_end_group(pid_t group);
struct process_list {
    pid_t pids[PROCESS_LIST_MAX];
    size_t len;
};
/* Sends the signal to each process of the group that is a child of ours, by birth or by adoption,
 * and not in the list, which then holds it. */
void process_signal_children(pid_t group, int signal, struct process_list *told);
/* SIGKILL for whatever children there still are, and what they started, but for those that there
 * were when process_note_strangers was called: a shell that became this program left them. */
void process_note_strangers(void);
void process_end_children(void);
/* "exit status 0" or "signal 9 (Killed)", from what waitpid(2) gave; free() it. */
char *process_describe_end(int status);

#endif
