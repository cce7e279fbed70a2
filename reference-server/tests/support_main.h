/* What all test programs of the server share: running a suite, folders of their own. */
#ifndef SERVER_SUPPORT_MAIN_H
#define SERVER_SUPPORT_MAIN_H

#include "protocol/athena_protocol.h"

#include <check.h>

enum { SUPPORT_DEADLINE_MS = 30000, SUPPORT_PATH_MAX = 512 };

/* Sets libraries up, runs the suite and frees it. Returns the exit status. */
int support_main(Suite *suite);
/* Adds one test in a test case of its own, which finds a fresh folder at support_folder. */
void support_add(Suite *suite, const char *name, const TTest *test);
/* The same once for each `_i` below len. */
void support_add_each(Suite *suite, const char *name, const TTest *test, size_t len);

/* Removed with all that is in it once the test has passed. */
extern char support_folder[];
/* folder/name */
void support_path(char path[static SUPPORT_PATH_MAX], const char *folder, const char *name);
void support_write_file(const char *path, const char *text);

/* Milliseconds left before the deadline of a wait that began at start_ms; fails the test at 0. */
int support_left_ms(uint64_t start_ms, const char *what);
uint64_t support_now_ms(void);

struct athena_text_view support_text(const char *text);
/* Keys of the document whose secret is 32 times this byte. */
void support_keys(struct athena_keys *keys, uint8_t secret);
/* A change id whose uuid ends in `number`. */
void support_id(char id[static ATHENA_CHANGE_ID_TEXT_MAX + 1], uint64_t number);

#endif
