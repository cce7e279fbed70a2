#include "reference-server/tests/support_main.h"

#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TEST_SECONDS_MAX = 120, OPEN_FOLDERS_MAX = 8 };

char support_folder[SUPPORT_PATH_MAX];

int support_main(Suite *suite) {
    signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- Folders and files ---- */

static void make_folder(void) {
    snprintf(support_folder, SUPPORT_PATH_MAX, "/tmp/athena-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(support_folder));
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk) {
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_folder(void) {
    nftw(support_folder, remove_entry, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS);
}

void support_add(Suite *suite, const char *name, const TTest *test) {
    support_add_each(suite, name, test, 1);
}

void support_add_each(Suite *suite, const char *name, const TTest *test, size_t len) {
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, TEST_SECONDS_MAX);
    tcase_add_checked_fixture(tcase, make_folder, remove_folder);
    tcase_add_loop_test(tcase, test, 0, (int)len);
    suite_add_tcase(suite, tcase);
}

void support_path(char path[static SUPPORT_PATH_MAX], const char *folder, const char *name) {
    int len = snprintf(path, SUPPORT_PATH_MAX, "%s/%s", folder, name);
    ck_assert(len > 0 && len < SUPPORT_PATH_MAX);
}

void support_write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    ck_assert_msg(file && fputs(text, file) >= 0, "cannot write %s", path);
    ck_assert_int_eq(fclose(file), 0);
}

/* ---- Time ---- */

uint64_t support_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int support_left_ms(uint64_t start_ms, const char *what) {
    uint64_t passed = support_now_ms() - start_ms;
    ck_assert_msg(passed < SUPPORT_DEADLINE_MS, "waited in vain for %s", what);
    return SUPPORT_DEADLINE_MS - (int)passed;
}

/* ---- Documents ---- */

struct athena_text_view support_text(const char *text) {
    return (struct athena_text_view){text, strlen(text)};
}

void support_keys(struct athena_keys *keys, uint8_t secret) {
    uint8_t bytes[ATHENA_SECRET_BYTES];
    memset(bytes, secret, sizeof bytes);
    athena_keys_derive(keys, bytes);
}

void support_id(char id[static ATHENA_CHANGE_ID_TEXT_MAX + 1], uint64_t number) {
    snprintf(id, ATHENA_CHANGE_ID_TEXT_MAX + 1, "abcdef0123456789:00000000-0000-4000-8000-%012llx",
             (unsigned long long)number);
}
