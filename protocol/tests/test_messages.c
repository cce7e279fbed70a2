/*
 * The codec against fixtures/messages/: each valid message decodes and encodes to the same JSON,
 * each invalid one is refused as its index says. fixtures/messages/README.md explains the index.
 */
#include "protocol/tests/support.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static struct athena_decoder *decoder;
static cJSON *index_file;

static void set_up(void) {
    ck_assert_int_ge(sodium_init(), 0);
    decoder = athena_decoder_new();
    ck_assert_ptr_nonnull(decoder);
    index_file = fixture_load("messages/index.json");
}

static void tear_down(void) {
    cJSON_Delete(index_file);
    athena_decoder_free(decoder);
}

static const char *file_of(const cJSON *entry) {
    return member_text(entry, "file");
}

static enum athena_sender sender_of(const cJSON *entry) {
    return strcmp(member_text(entry, "from"), "client") == 0 ? ATHENA_FROM_CLIENT
                                                             : ATHENA_FROM_SERVER;
}

/* A file of fixtures/messages in memory that ends where it does, for the sanitizers to watch. */
static struct bytes read_message(const char *file) {
    char path[256];
    snprintf(path, sizeof path, "messages/%s", file);
    struct bytes whole = fixture_read(path);
    struct bytes exact = {malloc(whole.len ? whole.len : 1), whole.len};
    memcpy(exact.at, whole.at, whole.len);
    free(whole.at);
    return exact;
}

static enum athena_code decode(struct athena_message *message, enum athena_sender from,
                               struct athena_text_view json, struct athena_error *error) {
    *error = (struct athena_error){0};
    enum athena_code code = athena_message_decode(message, decoder, from, json, error);
    if (code) {
        ck_assert_uint_gt(strlen(error->text), 0);
        ck_assert_ptr_nonnull(memchr(error->where, '\0', sizeof error->where));
    }
    return code;
}

/* ---- Valid ---- */

/* Decodes a valid file and encodes it again. athena_buf_fini frees. */
static struct athena_buf encode_again(const char *file, enum athena_sender from) {
    struct bytes json = read_message(file);
    struct athena_message message;
    struct athena_error error;
    enum athena_code code = decode(&message, from, view_bytes_as_text(json), &error);
    ck_assert_msg(code == ATHENA_OK, "%s: %s %s", file, error.where, error.text);
    free(json.at); /* a message borrows from its decoder, not from its JSON */
    struct athena_buf out = {0};
    athena_message_encode(&out, &message);
    ck_assert(!out.failed);
    return out;
}

static void expect_same_json(const char *file, const struct athena_buf *made) {
    struct bytes json = read_message(file);
    cJSON *given = cJSON_ParseWithLength((const char *)json.at, json.len);
    cJSON *again = cJSON_ParseWithLength(made->at, made->len);
    ck_assert_msg(given && again && cJSON_Compare(given, again, true), "%s became %.*s", file,
                  (int)made->len, made->at);
    cJSON_Delete(given);
    cJSON_Delete(again);
    free(json.at);
}

static void judge_valid(const cJSON *entry) {
    const char *file = file_of(entry);
    struct athena_buf made = encode_again(file, sender_of(entry));
    const char *same_as = member_text_or_null(entry, "same_as");
    if (same_as) {
        struct athena_buf other = encode_again(same_as, sender_of(entry));
        ck_assert_msg(made.len == other.len && memcmp(made.at, other.at, made.len) == 0,
                      "%s is not taken for %s", file, same_as);
        athena_buf_fini(&other);
    } else if (!cJSON_HasObjectItem(entry, "is_future")) {
        expect_same_json(file, &made);
    }
    athena_buf_fini(&made);
}

static bool is_refused(const cJSON *entry) {
    struct bytes json = read_message(file_of(entry));
    struct athena_message message;
    struct athena_error error;
    enum athena_code code = decode(&message, sender_of(entry), view_bytes_as_text(json), &error);
    free(json.at);
    return code == ATHENA_NOT_STRICT_JSON;
}

START_TEST(valid_messages_are_taken_and_made_again) {
    const cJSON *entry;
    int count = 0;
    cJSON_ArrayForEach(entry, member(index_file, "valid")) {
        count++;
        if (cJSON_HasObjectItem(entry, "may_refuse") && is_refused(entry))
            continue;
        judge_valid(entry);
    }
    ck_assert_int_gt(count, 100);
}
END_TEST

START_TEST(no_beginning_of_a_message_is_a_message) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, member(index_file, "valid")) {
        struct bytes json = read_message(file_of(entry));
        while (json.len && strchr(" \t\r\n", json.at[json.len - 1]))
            json.len--;
        for (size_t len = json.len < 2000 ? json.len : 2000; len-- > 0;) {
            struct athena_message message;
            struct athena_error error;
            struct athena_text_view cut = {(const char *)json.at, len};
            ck_assert_msg(decode(&message, sender_of(entry), cut, &error) == ATHENA_NOT_STRICT_JSON,
                          "the first %zu bytes of %s are taken", len, file_of(entry));
        }
        free(json.at);
    }
}
END_TEST

/* ---- Invalid ---- */

static void expect_integer(const cJSON *answer, const char *name, bool has, uint64_t value,
                           const char *file) {
    bool expected = cJSON_HasObjectItem(answer, name);
    ck_assert_msg(has == expected, "%s: %s is %s", file, name, has ? "read" : "not read");
    if (expected)
        ck_assert_uint_eq(value, member_integer(answer, name));
}

/* What an answer can name: `req` and `doc`, where they are valid. */
static void judge_answer(const cJSON *entry, const struct athena_message *message) {
    const cJSON *answer = member(entry, "answer");
    expect_integer(answer, "req", message->has_req, message->req, file_of(entry));
    const char *doc = member_text_or_null(answer, "doc");
    ck_assert_msg(message->has_doc == (doc != NULL), "%s: doc is %s", file_of(entry),
                  message->has_doc ? "read" : "not read");
    if (doc) {
        char text[ATHENA_DOC_TEXT_LEN + 1];
        athena_doc_format(text, message->doc);
        ck_assert_str_eq(text, doc);
    }
}

/* A server has to name the very member; to a client it is for the log, and may be what holds it. */
static void judge_pointer(const cJSON *entry, const char *where) {
    const char *pointer = member_text(entry, "pointer");
    size_t len = strlen(where);
    bool is_exact = strcmp(where, pointer) == 0;
    bool holds_it = len > 0 && strncmp(where, pointer, len) == 0 && pointer[len] == '/';
    ck_assert_msg(is_exact || (sender_of(entry) == ATHENA_FROM_SERVER && holds_it),
                  "%s: %s is named, not %s", file_of(entry), where, pointer);
}

static void judge_entries(const cJSON *entry, const struct athena_message *message) {
    const cJSON *rejected = member(member(entry, "answer"), "rejected");
    const cJSON *next = rejected->child;
    for (size_t i = 0; i < message->changes_len; i++) {
        bool is_next = next && member_integer(next, "index") == i;
        ck_assert_msg(message->changes[i].fault == (is_next ? ATHENA_BAD_CHANGE : ATHENA_OK),
                      "%s: entry %zu is %s", file_of(entry), i, is_next ? "taken" : "refused");
        ck_assert(is_next == (message->changes[i].data.len == 0));
        if (is_next)
            next = next->next;
    }
    ck_assert_msg(!next, "%s has fewer entries", file_of(entry));
}

static void judge_invalid(const cJSON *entry) {
    static const struct {
        const char *fault;
        enum athena_code code;
    } table[] = {{"utf-8", ATHENA_NOT_STRICT_JSON},
                 {"violation", ATHENA_NOT_STRICT_JSON},
                 {"type", ATHENA_UNKNOWN_TYPE},
                 {"member", ATHENA_BAD_MESSAGE},
                 {"entry", ATHENA_OK}};
    enum { COUNT = sizeof table / sizeof table[0] };
    const char *fault = member_text(entry, "fault");
    size_t kind = 0;
    while (kind < COUNT && strcmp(fault, table[kind].fault) != 0)
        kind++;
    ck_assert_msg(kind < COUNT, "%s: no such fault: %s", file_of(entry), fault);

    struct bytes json = read_message(file_of(entry));
    struct athena_message message;
    struct athena_error error;
    enum athena_code code = decode(&message, sender_of(entry), view_bytes_as_text(json), &error);
    ck_assert_msg(code == table[kind].code, "%s (%s): %s %s %s", file_of(entry),
                  member_text(entry, "why"), athena_code_text(code), error.where, error.text);
    if (code == ATHENA_OK)
        judge_entries(entry, &message);
    else if (code == ATHENA_BAD_MESSAGE)
        judge_pointer(entry, error.where);
    if (code && cJSON_HasObjectItem(entry, "answer"))
        judge_answer(entry, &message);
    free(json.at);
}

START_TEST(invalid_messages_are_refused) {
    const cJSON *entry;
    int count = 0;
    cJSON_ArrayForEach(entry, member(index_file, "invalid")) {
        judge_invalid(entry);
        count++;
    }
    ck_assert_int_gt(count, 500);
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, valid_messages_are_taken_and_made_again);
    tcase_add_test(all, no_beginning_of_a_message_is_a_message);
    tcase_add_test(all, invalid_messages_are_refused);
    Suite *suite = suite_create("messages");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
