/* What starting servers, clients under test and processes of the harness itself share. */
#ifndef CONFORM_PROCESS_H
#define CONFORM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/* The command line with each `name` ("{port}") replaced; free() it. */
char *process_fill_in(const char *template, const char *name, const char *value);
/* Whether the command line has a place for "{name}". */
bool process_takes(const char *template, const char *name);
/* All of it, to a pipe. False when nobody reads. */
bool process_write(int fd, const void *bytes, size_t len);
/* From now on SIGINT and SIGTERM are noted: the signal that came, or 0. */
void process_catch_signals(void);
int process_interrupted(void);
/* In a child of the harness: an interrupt is its parent's affair, whose end would be its own. */
void process_leave_signals(void);
/* In a child that becomes another program, which ends with the harness: signals are as usual. */
void process_restore_signals(void);
/* "exit status 0" or "signal 9 (Killed)", from what waitpid(2) gave; free() it. */
char *process_describe_end(int status);

#endif
