/* Memory that is not there: each allocation of the library fails in turn. */
#include "protocol/tests/failing_memory.h"
#include "protocol/tests/support.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_up(void) {
    ck_assert_int_ge(sodium_init(), 0);
}

/* ---- Buffers ---- */

START_TEST(a_buffer_remembers_that_it_failed) {
    struct athena_buf buf = {0};
    fails_after = 0;
    athena_buf_append(&buf, "lost", 4);
    ck_assert(buf.failed && buf.len == 0);
    athena_buf_append(&buf, "lost, too", 9);
    ck_assert_ptr_null(athena_buf_extend(&buf, 1));
    ck_assert(buf.failed && buf.len == 0);
    athena_buf_clear(&buf);
    athena_buf_append(&buf, "kept", 4);
    ck_assert(!buf.failed && buf.len == 4);
    fails_after = 0;
    ck_assert_ptr_null(athena_buf_extend(&buf, 100000));
    ck_assert(buf.failed && buf.len == 4); /* what was there is there */
    ck_assert_mem_eq(buf.at, "kept", 4);
    athena_buf_fini(&buf);
    ck_assert(!buf.at && !buf.len && !buf.capacity && !buf.failed);
}
END_TEST

/* No length overflows a capacity; that much memory is never asked for. */
START_TEST(a_buffer_refuses_what_no_memory_has) {
    struct athena_buf buf = {0};
    athena_buf_append(&buf, "", 0);
    ck_assert(!buf.at && !buf.failed);
    athena_buf_append(&buf, "kept", 4);
    for (size_t less = 0; less < 300; less++) {
        ck_assert_ptr_null(athena_buf_extend(&buf, SIZE_MAX - less));
        ck_assert(buf.failed && buf.len == 4);
        buf.failed = false;
    }
    athena_buf_fini(&buf);
}
END_TEST

START_TEST(keys_are_wiped) {
    uint8_t secret[ATHENA_SECRET_BYTES] = {1};
    struct athena_keys keys;
    athena_keys_derive(&keys, secret);
    ck_assert(!sodium_is_zero(keys.content_key, sizeof keys.content_key));
    athena_keys_wipe(&keys);
    ck_assert(sodium_is_zero(keys.doc, sizeof keys.doc));
    ck_assert(sodium_is_zero(keys.sign_key, sizeof keys.sign_key));
    ck_assert(sodium_is_zero(keys.content_key, sizeof keys.content_key));
    ck_assert(sodium_is_zero(keys.nonce_key, sizeof keys.nonce_key));
}
END_TEST

/* ---- Messages ---- */

static const struct {
    const char *file;
    enum athena_sender from;
} messages[] = {{"welcome-extensions", ATHENA_FROM_SERVER}, {"open", ATHENA_FROM_CLIENT},
                {"listed-more", ATHENA_FROM_SERVER},        {"got-several", ATHENA_FROM_SERVER},
                {"push-hundred", ATHENA_FROM_CLIENT},       {"pushed-several", ATHENA_FROM_SERVER},
                {"error-longest", ATHENA_FROM_SERVER}};
enum { MESSAGES = sizeof messages / sizeof messages[0] };

static bool take_back_failure(void) {
    bool is_left = fails_after != NEVER;
    fails_after = NEVER;
    return is_left;
}

static struct athena_buf encode(const struct athena_message *message) {
    struct athena_buf out = {0};
    athena_message_encode(&out, message);
    return out;
}

/* Encodes with each allocation failing in turn, and at last as it is. */
static struct athena_buf encode_at_last(const struct athena_message *message) {
    for (int failing = 0;; failing++) {
        fails_after = failing;
        struct athena_buf out = encode(message);
        if (take_back_failure()) {
            ck_assert(!out.failed && failing > 0);
            return out;
        }
        ck_assert(out.failed);
        athena_buf_fini(&out);
    }
}

/* Decodes with one allocation failing; false when there are not so many. A decoder that could not
 * have its memory takes the same message as soon as it can. */
static bool decode_failing(enum athena_sender from, struct athena_text_view json, int failing,
                           const struct athena_buf *expected) {
    struct athena_decoder *decoder = athena_decoder_new();
    struct athena_message message;
    struct athena_error error = {0};
    fails_after = failing;
    enum athena_code code = athena_message_decode(&message, decoder, from, json, &error);
    bool has_failed = !take_back_failure();
    ck_assert_int_eq(code, has_failed ? ATHENA_NO_MEMORY : ATHENA_OK);
    ck_assert_str_eq(error.text, has_failed ? "out of memory" : "");
    ck_assert_int_eq(athena_message_decode(&message, decoder, from, json, &error), ATHENA_OK);
    struct athena_buf again = encode(&message);
    ck_assert_uint_eq(again.len, expected->len);
    ck_assert_mem_eq(again.at, expected->at, again.len);
    athena_buf_fini(&again);
    athena_decoder_free(decoder);
    return has_failed;
}

START_TEST(messages_survive_each_failure) {
    char path[64];
    snprintf(path, sizeof path, "messages/valid/%s.json", messages[_i].file);
    struct bytes file = fixture_read(path);
    struct athena_text_view json = view_bytes_as_text(file);
    fails_after = 0;
    ck_assert_ptr_null(athena_decoder_new());
    struct athena_decoder *decoder = athena_decoder_new();
    struct athena_message message;
    ck_assert_int_eq(athena_message_decode(&message, decoder, messages[_i].from, json, NULL),
                     ATHENA_OK);
    struct athena_buf expected = encode_at_last(&message);
    int failing = 0;
    while (decode_failing(messages[_i].from, json, failing, &expected))
        failing++;
    ck_assert_int_ge(failing, 1);
    athena_buf_fini(&expected);
    athena_decoder_free(decoder);
    free(file.at);
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, NULL);
    tcase_add_test(all, a_buffer_remembers_that_it_failed);
    tcase_add_test(all, a_buffer_refuses_what_no_memory_has);
    tcase_add_test(all, keys_are_wiped);
    tcase_add_loop_test(all, messages_survive_each_failure, 0, MESSAGES);
    Suite *suite = suite_create("memory");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
