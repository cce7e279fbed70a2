/*
 * The codec at its bounds: the longest texts, whole batches, members that nobody knows, one decoder
 * for message after message. Wrong members are in test_mutants.c, single messages in
 * test_messages.c.
 */
#include "protocol/tests/support.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOC "G5M8PUoqJGxKDJWr_JXtK_rDcpUvX6Xfyf5FoMlScfI"
#define PROOF                                                                                      \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
enum { BATCH = 1000 }; /* of the reference server */

static struct athena_decoder *decoder;

static void set_up(void) {
    ck_assert_int_ge(sodium_init(), 0);
    decoder = athena_decoder_new();
    ck_assert_ptr_nonnull(decoder);
}

static void tear_down(void) {
    athena_decoder_free(decoder);
}

static void append(struct athena_buf *buf, const char *text) {
    athena_buf_append(buf, text, strlen(text));
    ck_assert(!buf->failed);
}

static struct athena_text_view view(const struct athena_buf *buf) {
    return (struct athena_text_view){buf->at, buf->len};
}

/* Decodes a copy that is gone when this returns: a message borrows from its decoder only. */
static enum athena_code decode(struct athena_message *message, enum athena_sender from,
                               struct athena_text_view json, struct athena_error *error) {
    char *copy = malloc(json.len ? json.len : 1);
    memcpy(copy, json.at, json.len);
    *error = (struct athena_error){0};
    enum athena_code code = athena_message_decode(message, decoder, from,
                                                  (struct athena_text_view){copy, json.len}, error);
    ck_assert_int_eq(error->code, code);
    memset(copy, '!', json.len);
    free(copy);
    return code;
}

static struct athena_buf encode(const struct athena_message *message) {
    struct athena_buf out = {0};
    athena_message_encode(&out, message);
    ck_assert(!out.failed);
    return out;
}

/* ---- Texts and their bounds ---- */

/* A message that holds one text, repeated; lengths are of its UTF-8, not of characters. */
static const struct bound {
    enum athena_sender from;
    const char *before;
    const char *unit;
    const char *behind;
    size_t count_max; /* of units; one more is too much */
    const char *where;
} bounds[] = {
#define WELCOME_SERVER "{\"type\":\"welcome\",\"protocol\":\"athena-sync.v1\",\"server\":\""
#define WELCOME_REST                                                                               \
    "\",\"challenge\":\"" DOC "\",\"limits\":{\"message\":1,\"message_before_open\":1,"            \
    "\"change\":1,\"batch\":1,\"docs\":1},\"extensions\":[]}"
    {ATHENA_FROM_SERVER, WELCOME_SERVER, "x", WELCOME_REST, 128, "/server"},
    {ATHENA_FROM_SERVER, WELCOME_SERVER, "\xc3\xa9", WELCOME_REST, 64, "/server"},
    {ATHENA_FROM_SERVER, WELCOME_SERVER, "\\u00e9", WELCOME_REST, 64, "/server"},
    {ATHENA_FROM_SERVER, WELCOME_SERVER, "\\n", WELCOME_REST, 128, "/server"},
#define OPEN_AUTHORITY "{\"type\":\"open\",\"req\":1,\"doc\":\"" DOC "\",\"authority\":\""
#define OPEN_REST      "\",\"proof\":\"" PROOF "\"}"
    {ATHENA_FROM_CLIENT, OPEN_AUTHORITY, "a", OPEN_REST, 261, "/authority"},
    {ATHENA_FROM_CLIENT, OPEN_AUTHORITY, "\\ud83d\\ude00", OPEN_REST, 65, "/authority"},
#define ERROR_CODE "{\"type\":\"error\",\"code\":\""
    {ATHENA_FROM_SERVER, ERROR_CODE, "a", "\",\"message\":\"m\"}", 64, "/code"},
#define ERROR_MESSAGE "{\"type\":\"error\",\"code\":\"internal\",\"message\":\""
    {ATHENA_FROM_SERVER, ERROR_MESSAGE, "m", "\"}", 512, "/message"},
    {ATHENA_FROM_SERVER, ERROR_MESSAGE, "\xf0\x9f\x98\x80", "\"}", 128, "/message"},
#define CHANGED_CURSOR                                                                             \
    "{\"type\":\"changed\",\"doc\":\"" DOC "\",\"changes\":[{\"id\":\"00:"                         \
    "7d444840-9dc0-41d1-b245-5ffdce74fad2\",\"data\":\"AA\"}],\"cursor\":\""
    {ATHENA_FROM_SERVER, CHANGED_CURSOR, "-", "\"}", 64, "/cursor"},
};
enum { BOUNDS = sizeof bounds / sizeof bounds[0] };

static enum athena_code decode_repeated(const struct bound *bound, size_t count,
                                        struct athena_error *error) {
    struct athena_buf json = {0};
    struct athena_message message;
    append(&json, bound->before);
    for (size_t i = 0; i < count; i++)
        append(&json, bound->unit);
    append(&json, bound->behind);
    enum athena_code code = decode(&message, bound->from, view(&json), error);
    athena_buf_fini(&json);
    return code;
}

START_TEST(texts_have_1_byte_to_their_most) {
    const struct bound *bound = &bounds[_i];
    struct athena_error error;
    for (size_t count = 1; count <= bound->count_max; count++)
        ck_assert_msg(decode_repeated(bound, count, &error) == ATHENA_OK, "%zu times %s: %s %s",
                      count, bound->unit, error.where, error.text);
    size_t wrong[] = {0, bound->count_max + 1, bound->count_max + 2, 10000};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_msg(decode_repeated(bound, wrong[i], &error) == ATHENA_BAD_MESSAGE,
                      "%zu times %s is taken", wrong[i], bound->unit);
        ck_assert_str_eq(error.where, bound->where);
    }
}
END_TEST

START_TEST(extensions_are_at_most_32) {
    for (size_t count = 0; count < 40; count++) {
        struct athena_buf json = {0};
        append(&json, WELCOME_SERVER "s" WELCOME_REST);
        json.len -= 2;
        for (size_t i = 0; i < count; i++)
            append(&json, i ? ",\"x\"" : "\"x\"");
        append(&json, "]}");
        struct athena_message message;
        struct athena_error error;
        enum athena_code code = decode(&message, ATHENA_FROM_SERVER, view(&json), &error);
        ck_assert_int_eq(code, count <= 32 ? ATHENA_OK : ATHENA_BAD_MESSAGE);
        if (code)
            ck_assert_str_eq(error.where, "/extensions/32");
        athena_buf_fini(&json);
    }
}
END_TEST

/* A server names a code; what travels is its text. */
START_TEST(each_code_travels_as_its_text) {
    for (int code = ATHENA_BAD_MESSAGE; code <= ATHENA_QUOTA; code++) {
        struct athena_message message = {
            .type = ATHENA_ERROR, .code = (enum athena_code)code, .text = view_text("why")};
        struct athena_buf json = encode(&message);
        struct athena_message again;
        struct athena_error error;
        ck_assert_int_eq(decode(&again, ATHENA_FROM_SERVER, view(&json), &error), ATHENA_OK);
        ck_assert_int_eq(again.code, code);
        ck_assert_uint_eq(again.code_text.len, strlen(athena_code_text((enum athena_code)code)));
        athena_buf_fini(&json);
    }
}
END_TEST

/* ---- Batches ---- */

static char id_texts[BATCH][ATHENA_CHANGE_ID_TEXT_MAX + 1];
static struct athena_text_view ids[BATCH];
static struct athena_change_view changes[BATCH];
static uint8_t envelope[5000];

/* Ids of all lengths, and data of many: a batch of 2 to 3 MiB. */
static void fill_batch(void) {
    randombytes_buf_deterministic(envelope, sizeof envelope, (uint8_t[randombytes_SEEDBYTES]){3});
    for (size_t i = 0; i < BATCH; i++) {
        char actor[ATHENA_ACTOR_TEXT_MAX + 1];
        size_t actor_len = 2 * (i % 64 + 1);
        memset(actor, "0123456789abcdef"[i % 16], actor_len);
        uint8_t random[ATHENA_UUID_BYTES] = {(uint8_t)(i >> 8), (uint8_t)i};
        ck_assert_int_eq(athena_change_id_make(id_texts[i],
                                               (struct athena_text_view){actor, actor_len}, random,
                                               NULL),
                         ATHENA_OK);
        ids[i] = view_text(id_texts[i]);
        size_t offset = i % 1000;
        changes[i] = (struct athena_change_view){
            .id = ids[i], .data = {envelope + offset, 1 + (i * 4) % (sizeof envelope - offset)}};
    }
}

static struct athena_message batch_of(enum athena_type type, size_t len) {
    struct athena_message message = {.type = type,
                                     .has_req = type != ATHENA_CHANGED,
                                     .req = ATHENA_INTEGER_MAX,
                                     .has_doc = true,
                                     .cursor = view_text(PROOF),
                                     .ids = ids,
                                     .ids_len = len,
                                     .changes = changes,
                                     .changes_len = len};
    message.cursor.len = ATHENA_CURSOR_TEXT_MAX;
    return message;
}

static void expect_same_batch(const struct athena_message *message, bool has_ids, bool has_changes,
                              size_t len) {
    ck_assert_uint_eq(message->ids_len, has_ids ? len : 0);
    ck_assert_uint_eq(message->changes_len, has_changes ? len : 0);
    for (size_t i = 0; has_ids && i < len; i++)
        ck_assert(message->ids[i].len == ids[i].len &&
                  memcmp(message->ids[i].at, ids[i].at, ids[i].len) == 0);
    for (size_t i = 0; has_changes && i < len; i++) {
        const struct athena_change_view *change = &message->changes[i];
        ck_assert_int_eq(change->fault, ATHENA_OK);
        ck_assert(change->id.len == ids[i].len && change->data.len == changes[i].data.len);
        ck_assert_mem_eq(change->id.at, ids[i].at, ids[i].len);
        ck_assert_mem_eq(change->data.at, changes[i].data.at, change->data.len);
    }
}

static const struct {
    enum athena_type type;
    enum athena_sender from;
    bool with_data;
    bool has_ids;
    bool has_changes;
    size_t least;
} batches[] = {{ATHENA_PUSH, ATHENA_FROM_CLIENT, false, false, true, 1},
               {ATHENA_GET, ATHENA_FROM_CLIENT, false, true, false, 1},
               {ATHENA_GOT, ATHENA_FROM_SERVER, false, true, true, 0},
               {ATHENA_LISTED, ATHENA_FROM_SERVER, false, true, false, 0},
               {ATHENA_LISTED, ATHENA_FROM_SERVER, true, false, true, 0},
               {ATHENA_CHANGED, ATHENA_FROM_SERVER, false, false, true, 1}};
enum { BATCHES = sizeof batches / sizeof batches[0] };

/* Whole, and as long as senders reckon when they fill a page [ASP-MSG-20] [ASP-MSG-21]. */
START_TEST(batches_survive_at_the_limit) {
    fill_batch();
    const size_t lens[] = {batches[_i].least, 1, 2, 64, BATCH - 1, BATCH};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct athena_message message = batch_of(batches[_i].type, lens[i]);
        message.with_data = batches[_i].with_data;
        struct athena_buf json = encode(&message);
        size_t reckoned = ATHENA_MESSAGE_FRAME_BYTES;
        for (size_t k = 0; k < lens[i]; k++) {
            if (batches[_i].has_ids)
                reckoned += athena_id_encoded_len(ids[k].len);
            if (batches[_i].has_changes)
                reckoned += athena_change_encoded_len(ids[k].len, changes[k].data.len);
        }
        ck_assert_uint_le(json.len, reckoned);
        ck_assert_uint_ge(json.len + ATHENA_MESSAGE_FRAME_BYTES, reckoned);
        struct athena_message again;
        struct athena_error error;
        ck_assert_int_eq(decode(&again, batches[_i].from, view(&json), &error), ATHENA_OK);
        expect_same_batch(&again, batches[_i].has_ids, batches[_i].has_changes, lens[i]);
        struct athena_buf twice = encode(&again);
        ck_assert(twice.len == json.len && memcmp(twice.at, json.at, json.len) == 0);
        athena_buf_fini(&json);
        athena_buf_fini(&twice);
    }
}
END_TEST

/* [ASP-PUSH-2]: each faulty entry is marked and harms none beside it, at the limit as well. */
START_TEST(faults_in_a_push_stay_where_they_are) {
    fill_batch();
    for (size_t i = 0; i < BATCH; i += 3)
        changes[i].data.len = 0; /* encodes to "", which is no change */
    struct athena_message message = batch_of(ATHENA_PUSH, BATCH);
    struct athena_buf json = encode(&message);
    struct athena_message again;
    struct athena_error error;
    ck_assert_int_eq(decode(&again, ATHENA_FROM_CLIENT, view(&json), &error), ATHENA_OK);
    ck_assert_uint_eq(again.changes_len, BATCH);
    for (size_t i = 0; i < BATCH; i++) {
        const struct athena_change_view *change = &again.changes[i];
        ck_assert_int_eq(change->fault, i % 3 ? ATHENA_OK : ATHENA_BAD_CHANGE);
        ck_assert_uint_eq(change->data.len, changes[i].data.len);
        ck_assert_uint_eq(change->id.len, i % 3 ? ids[i].len : 0);
    }
    athena_buf_fini(&json);
}
END_TEST

START_TEST(the_outcome_of_a_push_survives_at_the_limit) {
    static uint64_t duplicates[BATCH];
    static struct athena_rejected rejected[BATCH];
    for (uint64_t i = 0; i < BATCH; i++) {
        duplicates[i] = ATHENA_INTEGER_MAX - i;
        rejected[i] = (struct athena_rejected){i, (enum athena_code)(ATHENA_BAD_CHANGE + i % 4)};
    }
    struct athena_message message = batch_of(ATHENA_PUSHED, 0);
    message.duplicates = duplicates;
    message.rejected = rejected;
    message.duplicates_len = message.rejected_len = BATCH;
    struct athena_buf json = encode(&message);
    struct athena_message again;
    struct athena_error error;
    ck_assert_int_eq(decode(&again, ATHENA_FROM_SERVER, view(&json), &error), ATHENA_OK);
    ck_assert_uint_eq(again.req, ATHENA_INTEGER_MAX);
    ck_assert_uint_eq(again.duplicates_len, BATCH);
    ck_assert_uint_eq(again.rejected_len, BATCH);
    ck_assert_mem_eq(again.duplicates, duplicates, sizeof duplicates);
    for (size_t i = 0; i < BATCH; i++) {
        ck_assert_uint_eq(again.rejected[i].index, rejected[i].index);
        ck_assert_int_eq(again.rejected[i].code, rejected[i].code);
    }
    athena_buf_fini(&json);
}
END_TEST

/* ---- Members that nobody knows [ASP-JSON-8] ---- */

static const char *const strangers[] = {"\"x-new\":null", "\"x-new\":[[],{\"type\":\"push\"}]",
                                        "\"Type\":1",     "\"typ\":\"open\"",
                                        "\"req \":7",     "\"retry_after\":true",
                                        "\"\":\"\"",      "\"\\u0001\":{\"doc\":0}",
                                        "\"REQ\":-0.0"};
enum { STRANGERS = sizeof strangers / sizeof strangers[0] - 1 }; /* the last is a violation */

static const char *const files[] = {
    "welcome", "open",        "opened",       "list",           "listed-changes",
    "get",     "got-several", "push-several", "pushed-several", "changed-several",
    "close",   "closed",      "error",        "error-ending"};
enum { FILES = sizeof files / sizeof files[0] };

static struct athena_buf with_stranger(const char *json, const char *brace, const char *stranger) {
    struct athena_buf out = {0};
    const char *behind = brace + 1;
    athena_buf_append(&out, json, (size_t)(behind - json));
    append(&out, stranger);
    append(&out, *behind == '}' ? "" : ",");
    append(&out, behind);
    return out;
}

/* Put into each object of each message, they change nothing; but what is not strict stays so. */
START_TEST(unknown_members_are_ignored_wherever_they_stand) {
    static const char requests[] = "open list get push-several close";
    char path[64];
    snprintf(path, sizeof path, "messages/valid/%s.json", files[_i]);
    struct bytes file = fixture_read(path);
    const char *json = (const char *)file.at;
    enum athena_sender from = strstr(requests, files[_i]) ? ATHENA_FROM_CLIENT : ATHENA_FROM_SERVER;
    struct athena_message message;
    struct athena_error error;
    ck_assert_int_eq(decode(&message, from, view_text(json), &error), ATHENA_OK);
    struct athena_buf expected = encode(&message);
    for (const char *brace = strchr(json, '{'); brace; brace = strchr(brace + 1, '{'))
        for (size_t i = 0; i <= STRANGERS; i++) {
            struct athena_buf strange = with_stranger(json, brace, strangers[i]);
            enum athena_code code = decode(&message, from, view(&strange), &error);
            ck_assert_msg(code == (i < STRANGERS ? ATHENA_OK : ATHENA_NOT_STRICT_JSON),
                          "%.*s: %s %s", (int)strange.len, strange.at, error.where, error.text);
            if (code == ATHENA_OK) {
                struct athena_buf same = encode(&message);
                ck_assert(same.len == expected.len && memcmp(same.at, expected.at, same.len) == 0);
                athena_buf_fini(&same);
            }
            athena_buf_fini(&strange);
        }
    athena_buf_fini(&expected);
    free(file.at);
}
END_TEST

/* ---- One decoder for many messages ---- */

/* Small, large, wrong and violating messages in turn: each as if it were the first. */
START_TEST(a_decoder_forgets_what_was_before) {
    fill_batch();
    struct athena_message push = batch_of(ATHENA_PUSH, BATCH);
    struct athena_buf large = encode(&push);
    struct athena_text_view texts[] = {
        view_text("{\"type\":\"close\",\"req\":1,\"doc\":\"" DOC "\"}"),
        view(&large),
        view_text("{\"type\":\"close\",\"req\":1,\"doc\":\"\"}"),
        view_text("{"),
        view_text("{\"type\":\"welcome\",\"req\":5}"),
        view_text("{\"type\":\"list\",\"req\":2,\"doc\":\"" DOC "\",\"after\":\"\",\"data\":true}"),
        view_text("{\"type\":\"list\",\"req\":2,\"doc\":\"" DOC "\"}"),
    };
    enum { TEXTS = sizeof texts / sizeof texts[0], TURNS = 100 };
    for (size_t turn = 0; turn < TURNS; turn++) {
        size_t which = (turn * turn + turn / TEXTS) % TEXTS;
        struct athena_decoder *fresh = athena_decoder_new();
        struct athena_message first;
        struct athena_message message;
        struct athena_error error;
        enum athena_code expected =
            athena_message_decode(&first, fresh, ATHENA_FROM_CLIENT, texts[which], NULL);
        ck_assert_int_eq(decode(&message, ATHENA_FROM_CLIENT, texts[which], &error), expected);
        ck_assert(message.has_req == first.has_req && message.has_doc == first.has_doc);
        ck_assert_uint_eq(message.req, first.req);
        if (expected == ATHENA_OK) {
            struct athena_buf one = encode(&first);
            struct athena_buf other = encode(&message);
            ck_assert(one.len == other.len && memcmp(one.at, other.at, one.len) == 0);
            athena_buf_fini(&one);
            athena_buf_fini(&other);
        }
        athena_decoder_free(fresh);
    }
    athena_buf_fini(&large);
    athena_decoder_free(NULL);
}
END_TEST

/* ---- Lists that are not kept ---- */

/* The head of a message with one list, 100,000 times the entry, and `last` behind them. */
static struct athena_buf long_list(const char *head, const char *entry, const char *last) {
    enum { ENTRIES = 100000 };
    struct athena_buf json = {0};
    athena_buf_append(&json, head, strlen(head));
    for (int i = 0; i < ENTRIES; i++) {
        athena_buf_append(&json, entry, strlen(entry));
        athena_buf_append(&json, ",", 1);
    }
    athena_buf_append(&json, last, strlen(last));
    athena_buf_append(&json, "]}", 2);
    return json;
}

#define FRAME ",\"req\":1,\"doc\":\"" DOC "\","
#define ENTRY "\"ab:00000000-0000-4000-8000-000000000001\""
static const struct long_list_case {
    enum athena_sender from;
    const char *head;
    const char *entry;
    const char *wrong; /* an entry that the whole message is refused for, or NULL */
    const char *where;
} long_lists[] = {
    {ATHENA_FROM_CLIENT, "{\"type\":\"push\"" FRAME "\"changes\":[", "0", NULL, NULL},
    {ATHENA_FROM_CLIENT, "{\"type\":\"get\"" FRAME "\"ids\":[", ENTRY, "0", "/ids/100000"},
    {ATHENA_FROM_SERVER, "{\"type\":\"pushed\"" FRAME "\"rejected\":[],\"duplicates\":[", "0",
     "\"\"", "/duplicates/100000"},
    {ATHENA_FROM_SERVER, "{\"type\":\"pushed\"" FRAME "\"duplicates\":[],\"rejected\":[",
     "{\"index\":0,\"code\":\"a\"}", "0", "/rejected/100000"},
};
enum { LONG_LISTS = sizeof long_lists / sizeof long_lists[0] };

/* All lists of a message together, one of which has entries in these. */
static size_t entries_of(const struct athena_message *message) {
    return message->changes_len + message->ids_len + message->duplicates_len +
           message->rejected_len;
}

static bool keeps_entries(const struct athena_message *m) {
    return (m->changes_len && m->changes) || (m->ids_len && m->ids) ||
           (m->duplicates_len && m->duplicates) || (m->rejected_len && m->rejected);
}

/* Entries beyond the bound are checked and counted like others, and take no memory [ASP-FLOW-1]. */
START_TEST(a_list_beyond_the_bound_is_counted_only) {
    const struct long_list_case *of = &long_lists[_i];
    struct athena_buf json = long_list(of->head, of->entry, of->entry);
    struct athena_message message;
    struct athena_error error;
    athena_decoder_bound(decoder, 100000);
    ck_assert_int_eq(decode(&message, of->from, view(&json), &error), ATHENA_OK);
    ck_assert_uint_eq(entries_of(&message), 100001);
    ck_assert(!keeps_entries(&message));
    ck_assert_uint_lt(athena_decoder_capacity(decoder), 2 * json.len + 4096);
    athena_decoder_bound(decoder, 100001);
    ck_assert_int_eq(decode(&message, of->from, view(&json), &error), ATHENA_OK);
    ck_assert_uint_eq(entries_of(&message), 100001);
    ck_assert(keeps_entries(&message));
    athena_buf_fini(&json);
    if (of->wrong) {
        json = long_list(of->head, of->entry, of->wrong);
        athena_decoder_bound(decoder, 1000);
        ck_assert_int_eq(decode(&message, of->from, view(&json), &error), ATHENA_BAD_MESSAGE);
        ck_assert_str_eq(error.where, of->where);
        athena_buf_fini(&json);
    }
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, texts_have_1_byte_to_their_most, 0, BOUNDS);
    tcase_add_test(all, extensions_are_at_most_32);
    tcase_add_test(all, each_code_travels_as_its_text);
    tcase_add_loop_test(all, batches_survive_at_the_limit, 0, BATCHES);
    tcase_add_test(all, faults_in_a_push_stay_where_they_are);
    tcase_add_test(all, the_outcome_of_a_push_survives_at_the_limit);
    tcase_add_loop_test(all, unknown_members_are_ignored_wherever_they_stand, 0, FILES);
    tcase_add_test(all, a_decoder_forgets_what_was_before);
    tcase_add_loop_test(all, a_list_beyond_the_bound_is_counted_only, 0, LONG_LISTS);
    Suite *suite = suite_create("codec");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
