/* What the test programs of this part share. */
#ifndef CONFORM_SUPPORT_MAIN_H
#define CONFORM_SUPPORT_MAIN_H

#include <check.h>

/* Sets libraries up, runs the suite and frees it. Returns the exit status. */
int support_main(Suite *suite);
/* Adds one test in a test case of its own. */
void support_add(Suite *suite, const char *name, const TTest *test);
/* A path in the source tree, which the environment names; free() it. */
char *support_source(const char *path);

#endif
