/* Text from a server, made fit for a terminal and a report. */
#ifndef CONFORM_PRINTABLE_H
#define CONFORM_PRINTABLE_H

/* A copy in which control characters (line feeds excepted), characters that are not seen but change
 * what is around them, as an override of the direction, and bytes that are not UTF-8 are written
 * \xNN. free() it. */
char *printable_copy(const char *text);

#endif
