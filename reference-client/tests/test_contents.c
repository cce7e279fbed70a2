/* The document saved beside the changes. */
#include "reference-client/tests/support_replica.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void add_one(struct athena_sync *sync) {
    struct athena_sync_new_change change = {.actor = {"a1b2", 4},
                                            .plain = {(const uint8_t *)"hello", 5}};
    ck_assert_int_eq(athena_sync_add(sync, &change, 1, NULL, NULL, NULL), ATHENA_OK);
}

static void check_saved(struct athena_sync *sync, const char *text, uint64_t expected) {
    uint8_t *document;
    size_t len;
    uint64_t through;
    ck_assert_int_eq(athena_sync_load_document(sync, &document, &len, &through, NULL), ATHENA_OK);
    ck_assert_uint_eq(through, expected);
    ck_assert_uint_eq(len, strlen(text));
    ck_assert_int_eq(memcmp(document, text, len), 0);
    free(document);
}

START_TEST(a_saved_document_covers_only_what_is_there) {
    static const uint64_t too_far[] = {2, 3, INT64_MAX, UINT64_MAX};
    struct support_replica replica;
    struct athena_error error;
    struct athena_bytes_view first = {(const uint8_t *)"first", 5};
    struct athena_bytes_view second = {(const uint8_t *)"second", 6};
    support_replica_init(&replica, NULL);
    ck_assert_int_eq(athena_sync_save_document(replica.sync, first, 1, &error), ATHENA_BAD_ID);
    ck_assert_int_eq(athena_sync_save_document(replica.sync, first, 0, &error), ATHENA_OK);
    check_saved(replica.sync, "first", 0);
    add_one(replica.sync);
    ck_assert_int_eq(athena_sync_save_document(replica.sync, second, 1, &error), ATHENA_OK);
    for (size_t i = 0; i < sizeof too_far / sizeof too_far[0]; i++)
        ck_assert_int_eq(athena_sync_save_document(replica.sync, first, too_far[i], &error),
                         ATHENA_BAD_ID);
    check_saved(replica.sync, "second", 1);
    support_replica_fini(&replica);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("contents");
    TCase *tests = tcase_create("saved document");
    tcase_add_test(tests, a_saved_document_covers_only_what_is_there);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
