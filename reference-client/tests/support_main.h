/* Running a suite, as every test program of the client does. */
#ifndef REFERENCE_CLIENT_TESTS_SUPPORT_MAIN_H
#define REFERENCE_CLIENT_TESTS_SUPPORT_MAIN_H

#include <check.h>
#include <stddef.h>

/* A test, and how often it is run, each time with another _i. */
struct support_test {
    const TTest *test;
    int times;
};
/* Runs tests as one suite; set_up and tear_down may be NULL. The exit status for main. */
int support_run(const char *name, const struct support_test *tests, size_t len,
                void (*set_up)(void), void (*tear_down)(void));

#endif
