/* What starting a server and starting a client under test share. */
#ifndef CONFORM_PROCESS_H
#define CONFORM_PROCESS_H

#include <stdbool.h>

/* The command line with each `name` ("{port}") replaced; free() it. */
char *process_fill_in(const char *template, const char *name, const char *value);
/* Whether the command line has a place for "{name}". */
bool process_takes(const char *template, const char *name);
/* "exit status 0" or "signal 9 (Killed)", from what waitpid(2) gave; free() it. */
char *process_describe_end(int status);

#endif
