/* A server that breaks its promises, and storage that fails: each is reported, nothing is lost, and
 * the next connection goes on. */
#include "reference-client/replica_sql.h"
#include "reference-client/tests/support_session.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;

static void set_up(void) {
    rig_init(&rig);
}

static void tear_down(void) {
    rig_fini(&rig);
}

static void expect_fault(enum athena_code code, uint16_t close_code) {
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 1);
    ck_assert_int_eq(rig_event(&rig, ATHENA_SYNC_FAULT)->code, code);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_DISCONNECTED), 1);
    ck_assert_uint_eq(rig.dropped, 1);
    ck_assert_uint_eq(rig.close_code, close_code);
}

/* ---- What no honest server says [ASP-MSG-6] [ASP-MSG-7] [ASP-MSG-24] ---- */

static const char welcome_with[] =
    "{\"type\":\"welcome\",\"protocol\":\"%s\",\"server\":\"x\",\"challenge\":\"%s\",\"limits\":{"
    "\"message\":4194304,\"message_before_open\":16384,\"change\":1114112,\"batch\":%s,"
    "\"docs\":64},\"extensions\":[]}";

static const struct {
    const char *protocol;
    const char *challenge;
    const char *batch;
} wrong_welcomes[] = {
    {"athena-sync.v2", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "1"},
    {"athena-sync.v1", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "1"},   /* 31 bytes */
    {"athena-sync.v1", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "1"}, /* 33 */
    {"athena-sync.v1", "", "1"},
    {"athena-sync.v1", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "0"},
    {"athena-sync.v1", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "\"1\""},
    {"athena-sync.v1", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "1.5"},
};

/* [ASP-WELCOME-4] */
START_TEST(a_wrong_welcome_ends_the_connection) {
    char text[600];
    snprintf(text, sizeof text, welcome_with, wrong_welcomes[_i].protocol,
             wrong_welcomes[_i].challenge, wrong_welcomes[_i].batch);
    session_start(rig.session, 0);
    session_connected(rig.session, 0);
    rig_say_text(&rig, text);
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
}
END_TEST

START_TEST(anything_before_the_welcome_ends_the_connection) {
    session_start(rig.session, 0);
    session_connected(rig.session, 0);
    if (_i == 0)
        rig_say_changed(&rig, 1, "c1");
    else
        rig_say_error(&rig, 0, ATHENA_UNAVAILABLE, 0);
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
    ck_assert_uint_eq(rig_held(&rig), 0);
}
END_TEST

START_TEST(a_second_welcome_ends_the_connection) {
    struct athena_message welcome = {
        .type = ATHENA_WELCOME, .server = {"x", 1}, .limits = rig_limits};
    rig_open(&rig, 0, "c0");
    rig_say(&rig, &welcome);
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
}
END_TEST

/* [ASP-MSG-24] */
START_TEST(a_change_before_opened_is_not_taken) {
    rig_greet(&rig, &rig_limits);
    rig_expect(&rig, ATHENA_OPEN);
    rig_say_changed(&rig, 1, "c1");
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
    ck_assert_uint_eq(rig_held(&rig), 0);
}
END_TEST

START_TEST(a_change_of_another_document_is_not_taken) {
    rig_open(&rig, 0, "c0");
    rig.keys.doc[5] ^= 1; /* what the server names; the session knows better */
    struct athena_message changed = {.type = ATHENA_CHANGED, .has_doc = true, .cursor = {"c1", 2}};
    memcpy(changed.doc, rig.keys.doc, sizeof changed.doc);
    rig.keys.doc[5] ^= 1;
    rig_say(&rig, &changed);
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
}
END_TEST

START_TEST(a_page_of_another_kind_is_not_taken) {
    rig_open(&rig, 1, "c1");
    rig_say_listed(&rig, rig_expect_list(&rig, "", true), 1, false, false, "c1");
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
    ck_assert_str_eq(rig_server(&rig).cursor, "");
}
END_TEST

/* One that never ends, of nothing. */
START_TEST(an_empty_page_with_more_ends_the_connection) {
    rig_open(&rig, 1, "c1");
    rig_say_listed(&rig, rig_expect_list(&rig, "", true), 0, true, true, "c1");
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
}
END_TEST

/* [ASP-CLI-48]: one that goes in a circle, and one that is longer than what the server has. */
START_TEST(a_listing_without_an_end_ends_the_connection) {
    rig_open(&rig, 7, "c3");
    rig_say_listed(&rig, rig_expect_list(&rig, "", true), 1, true, true, "c1");
    uint64_t list = rig_expect_list(&rig, "c1", true);
    if (_i == 0)
        rig_say_listed(&rig, list, 2, true, true, "c1");
    else
        rig_say_listed(&rig, list, 14, true, true, "c2");
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
    ck_assert_uint_eq(rig_held(&rig), 1);
}
END_TEST

/* A device that holds change 0, and asks for 1 and 2. Returns the request. */
static uint64_t ask_for_two(void) {
    rig_add(&rig, 1);
    rig_open(&rig, 7, "c3");
    rig_say_listed(&rig, rig_expect_list(&rig, "", false), 7, false, false, "c3");
    return rig_expect_set(&rig, ATHENA_GET, 6);
}

static const struct {
    unsigned changes;
    unsigned missing;
} wrong_gots[] = {{0, 0}, {8, 0}, {4, 0}, {0, 4}, {6, 8}, {14, 0}};

START_TEST(a_got_that_was_not_asked_for_is_not_taken) {
    uint64_t get = ask_for_two();
    rig_say_got(&rig, get, wrong_gots[_i].changes, wrong_gots[_i].missing);
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
    ck_assert_uint_eq(rig_held(&rig), 1);
}
END_TEST

/* [ASP-GET-7] [ASP-CLI-16] [ASP-CLI-22] */
START_TEST(what_a_got_leaves_out_is_asked_for_again) {
    uint64_t get = ask_for_two();
    rig_say_got(&rig, get, 2, 0);
    ck_assert_uint_eq(rig_held(&rig), 3);
    rig_say_got(&rig, rig_expect_set(&rig, ATHENA_GET, 4), 0, 4);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 1);
    ck_assert_uint_eq(rig.dropped, 0);
    ck_assert_uint_eq(rig_server(&rig).known.count, 2);
    ck_assert_str_eq(rig_server(&rig).cursor, "");
}
END_TEST

START_TEST(an_unknown_cursor_within_a_listing_ends_the_connection) {
    rig_open(&rig, 3, "c2");
    rig_say_listed(&rig, rig_expect_list(&rig, "", true), 1, true, true, "c1");
    rig_say_error(&rig, rig_expect_list(&rig, "c1", true), ATHENA_UNKNOWN_CURSOR, 0);
    rig_say_error(&rig, rig_expect_list(&rig, "", false), ATHENA_UNKNOWN_CURSOR, 0);
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
    ck_assert_uint_eq(rig_held(&rig), 1);
}
END_TEST

/* ---- Acknowledgements that make no sense ---- */

static const struct {
    uint64_t duplicates[2];
    size_t duplicates_len;
    uint64_t rejected[2];
    size_t rejected_len;
} wrong_pushed[] = {
    {{3}, 1, {0}, 0},    {{1, 1}, 2, {0}, 0}, {{1, 0}, 2, {0}, 0}, {{0}, 0, {3}, 1},
    {{0}, 0, {1, 1}, 2}, {{0}, 0, {2, 0}, 2}, {{1}, 1, {1}, 1},    {{0, 2}, 2, {1, 2}, 2},
};

START_TEST(indexes_that_make_no_sense_acknowledge_nothing) {
    struct athena_rejected rejected[2] = {{wrong_pushed[_i].rejected[0], ATHENA_BAD_CHANGE},
                                          {wrong_pushed[_i].rejected[1], ATHENA_BAD_CHANGE}};
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 7);
    struct athena_message pushed = {.type = ATHENA_PUSHED,
                                    .has_req = true,
                                    .req = rig_expect_set(&rig, ATHENA_PUSH, 7),
                                    .has_doc = true,
                                    .duplicates = wrong_pushed[_i].duplicates,
                                    .duplicates_len = wrong_pushed[_i].duplicates_len,
                                    .rejected = rejected,
                                    .rejected_len = wrong_pushed[_i].rejected_len};
    memcpy(pushed.doc, rig.keys.doc, sizeof pushed.doc);
    rig_say(&rig, &pushed);
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
    ck_assert_uint_eq(rig_counts(&rig).waiting, 3);
    ck_assert_uint_eq(rig_counts(&rig).refused, 0);
}
END_TEST

/* [ASP-CLI-31] [ASP-CLI-33] */
START_TEST(each_change_of_a_push_has_its_own_outcome) {
    static const uint64_t duplicates[] = {1};
    static const struct athena_rejected rejected[] = {{0, ATHENA_TOO_LARGE},
                                                      {2, ATHENA_BAD_CHANGE}};
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 15);
    struct athena_message pushed = {.type = ATHENA_PUSHED,
                                    .has_req = true,
                                    .req = rig_expect_set(&rig, ATHENA_PUSH, 15),
                                    .has_doc = true,
                                    .duplicates = duplicates,
                                    .duplicates_len = 1,
                                    .rejected = rejected,
                                    .rejected_len = 2};
    memcpy(pushed.doc, rig.keys.doc, sizeof pushed.doc);
    rig_say(&rig, &pushed);
    ck_assert_uint_eq(rig_event(&rig, ATHENA_SYNC_PUSHED)->count, 2);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_REFUSED), 2);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 0);
    ck_assert_uint_eq(rig_counts(&rig).refused, 2);
    ck_assert_uint_eq(rig_counts(&rig).waiting, 0);
    ck_assert_uint_eq(rig_server(&rig).known.count, 2);
    ck_assert_uint_eq(rig_held(&rig), 15);
}
END_TEST

/* ---- Later ---- */

/* [ASP-ERR-4]: as `internal`, which passes. */
START_TEST(a_code_that_is_not_known_is_tried_again) {
    static const char refusal[] = "{\"type\":\"error\",\"req\":%llu,\"code\":\"from-the-future\","
                                  "\"message\":\"m\",\"retry_after_ms\":5000}";
    char text[200];
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 1);
    uint64_t push = rig_expect_set(&rig, ATHENA_PUSH, 1);
    snprintf(text, sizeof text, refusal, (unsigned long long)push);
    rig_say_text(&rig, text);
    rig_pass(&rig, 4999);
    rig_expect_nothing(&rig);
    rig_pass(&rig, 1);
    rig_expect_set(&rig, ATHENA_PUSH, 1);
    rig_cut(&rig);
    rig_greet(&rig, &rig_limits);
    snprintf(text, sizeof text, refusal, (unsigned long long)rig_expect(&rig, ATHENA_OPEN).req);
    rig_say_text(&rig, text);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 0);
    ck_assert_uint_eq(rig_event(&rig, ATHENA_SYNC_DISCONNECTED)->retry_ms, 0); /* of the cut */
    ck_assert_uint_eq(session_deadline_ms(rig.session), rig.now_ms + 5000);
}
END_TEST

/* [ASP-ERR-6]: a reconnect is no way around it. */
START_TEST(a_push_waits_as_long_as_it_was_told_on_any_connection) {
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 1);
    rig_say_error(&rig, rig_expect_set(&rig, ATHENA_PUSH, 1), ATHENA_RATE, 7000);
    rig_cut(&rig);
    rig_pass(&rig, 0);
    rig_cut(&rig);
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 2);
    rig_pass(&rig, 6999);
    rig_expect_nothing(&rig);
    ck_assert(!session_is_in_sync(rig.session));
    ck_assert_uint_eq(session_deadline_ms(rig.session), rig.now_ms + 1);
    rig_pass(&rig, 1);
    rig_expect_set(&rig, ATHENA_PUSH, 3);
}
END_TEST

/* [ASP-ERR-6]: nor is a user who asks for it. */
START_TEST(an_open_waits_as_long_as_it_was_told) {
    rig_greet(&rig, &rig_limits);
    rig_say_error(&rig, rig_expect(&rig, ATHENA_OPEN).req, ATHENA_UNAVAILABLE, 7000);
    unsigned dialled = rig.dialled;
    session_start(rig.session, rig.now_ms);
    rig_pass(&rig, 6999);
    session_start(rig.session, rig.now_ms);
    ck_assert_uint_eq(rig.dialled, dialled);
    rig_pass(&rig, 1);
    ck_assert_uint_eq(rig.dialled, dialled + 1);
}
END_TEST

/* [ASP-ERR-6]: a server that stops may say when it is back. */
START_TEST(a_server_that_stops_is_left_alone_as_long_as_it_asks) {
    rig_open(&rig, 0, "c0");
    rig_say_text(&rig, "{\"type\":\"error\",\"code\":\"shutting-down\",\"message\":\"m\","
                       "\"retry_after_ms\":90000}");
    rig_cut(&rig);
    ck_assert_uint_eq(session_deadline_ms(rig.session), rig.now_ms + 90000);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 0);
    rig_pass(&rig, 90000);
    session_connected(rig.session, rig.now_ms);
    rig_cut(&rig);
    ck_assert_uint_lt(session_deadline_ms(rig.session), rig.now_ms + 60001); /* once */
}
END_TEST

/* [ASP-CLI-38]: no server sends a client away for ever. */
START_TEST(nobody_has_to_wait_longer_than_an_hour) {
    rig_greet(&rig, &rig_limits);
    rig_say_error(&rig, rig_expect(&rig, ATHENA_OPEN).req, ATHENA_UNAVAILABLE, ATHENA_INTEGER_MAX);
    ck_assert_uint_eq(session_deadline_ms(rig.session), rig.now_ms + 3600000);
    rig_pass(&rig, 3600000);
    session_connected(rig.session, rig.now_ms);
    rig_cut(&rig);
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 1);
    rig_say_error(&rig, rig_expect_set(&rig, ATHENA_PUSH, 1), ATHENA_RATE, ATHENA_INTEGER_MAX);
    rig_cut(&rig);
    rig_open(&rig, 0, "c0");
    rig_pass(&rig, 3600000);
    rig_expect_set(&rig, ATHENA_PUSH, 1);
}
END_TEST

/* ---- A server's words ---- */

static const struct {
    const char *said; /* JSON */
    const char *shown;
} words[] = {
    {"plain", "plain"},
    {"\\u001b[31mred\\u0007", "?[31mred?"},
    {"a\\nb\\u007fc", "a?b?c"},
    {"\\u009b31m", "??31m"},
    {"gr\\u00fc\\u00df \\u20ac", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac"},
};

START_TEST(words_of_a_server_are_fit_for_a_terminal) {
    char text[300];
    char shown[200];
    rig_open(&rig, 0, "c0");
    snprintf(text, sizeof text, "{\"type\":\"error\",\"code\":\"internal\",\"message\":\"%s\"}",
             words[_i].said);
    snprintf(shown, sizeof shown, "internal: %s", words[_i].shown);
    rig_say_text(&rig, text);
    ck_assert_str_eq(rig_event(&rig, ATHENA_SYNC_FAULT)->text, shown);
}
END_TEST

/* Cut between characters: the whole has to stay UTF-8 for who reads it as JSON. */
START_TEST(long_words_are_cut_between_characters) {
    static const char euro[] = "\xe2\x82\xac";
    char text[700];
    rig_open(&rig, 0, "c0");
    int len = snprintf(text, sizeof text,
                       "{\"type\":\"error\",\"code\":\"internal\",\"message\":\"%.*s", _i, "xx");
    for (int i = 0; i < 160; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s", euro);
    snprintf(text + len, sizeof text - (size_t)len, "\"}");
    rig_say_text(&rig, text);
    const char *shown = rig_event(&rig, ATHENA_SYNC_FAULT)->text + strlen("internal: ") + _i;
    size_t shown_len = strlen(shown);
    ck_assert_uint_ge(shown_len, 200);
    ck_assert_uint_eq(shown_len % 3, 0);
    for (size_t i = 0; i < shown_len; i += 3)
        ck_assert_mem_eq(shown + i, euro, 3);
}
END_TEST

/* ---- Storage that fails ---- */

static void run_sql(const char *sql) {
    ck_assert_int_eq(sqlite3_exec(rig.replica->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void break_storage(const char *operation) {
    char sql[200];
    snprintf(sql, sizeof sql,
             "CREATE TEMP TRIGGER broken BEFORE %s BEGIN SELECT RAISE(ABORT, 'broken'); END",
             operation);
    run_sql(sql);
}

/* Told, the connection given up, nothing half done; and once it is mended all comes right. */
static void expect_mended(unsigned held_before) {
    expect_fault(ATHENA_UNAVAILABLE, 1000);
    ck_assert_str_eq(rig_event(&rig, ATHENA_SYNC_FAULT)->text, "the replica's storage: broken");
    ck_assert_uint_eq(rig_held(&rig), held_before);
    ck_assert_int_eq(replica_verify_known(rig.replica, NULL), ATHENA_OK);
    run_sql("DROP TRIGGER broken");
    rig_forget(&rig);
}

START_TEST(a_live_change_that_cannot_be_stored_is_not_told) {
    rig_open(&rig, 0, "c0");
    break_storage("INSERT ON change");
    rig_say_changed(&rig, 3, "c2");
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_CHANGE), 0);
    expect_mended(0);
    ck_assert_str_eq(rig_server(&rig).cursor, "c0");
    rig_open(&rig, 3, "c2");
    rig_say_listed(&rig, rig_expect_list(&rig, "c0", false), 3, false, false, "c2");
    rig_say_got(&rig, rig_expect_set(&rig, ATHENA_GET, 3), 3, 0);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_CHANGE), 2);
    ck_assert(session_is_in_sync(rig.session));
}
END_TEST

START_TEST(an_acknowledgement_that_cannot_be_stored_is_not_told) {
    rig_add(&rig, 3);
    rig_open(&rig, 0, "c0");
    uint64_t push = rig_expect_set(&rig, ATHENA_PUSH, 3);
    break_storage("DELETE ON lacking");
    rig_say_pushed(&rig, push, -1, ATHENA_OK);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_PUSHED), 0);
    expect_mended(3);
    ck_assert_uint_eq(rig_counts(&rig).waiting, 2);
    rig_open(&rig, 3, "c2");
    rig_say_listed(&rig, rig_expect_list(&rig, "c0", false), 3, false, false, "c2");
    ck_assert(session_is_in_sync(rig.session));
    ck_assert_uint_eq(rig_counts(&rig).waiting, 0);
}
END_TEST

START_TEST(a_page_of_ids_that_cannot_be_stored_is_read_again) {
    rig_add(&rig, 1);
    rig_open(&rig, 1, "c1");
    uint64_t list = rig_expect_list(&rig, "", false);
    break_storage("DELETE ON lacking");
    rig_say_listed(&rig, list, 1, false, false, "c1");
    expect_mended(1);
    rig_open(&rig, 1, "c1");
    rig_say_listed(&rig, rig_expect_list(&rig, "", false), 1, false, false, "c1");
    ck_assert(session_is_in_sync(rig.session));
}
END_TEST

START_TEST(a_cursor_that_cannot_be_stored_is_not_adopted) {
    rig_open(&rig, 0, "c0");
    rig_cut(&rig);
    rig_forget(&rig);
    break_storage("UPDATE ON server");
    rig_open(&rig, 0, "c1");
    expect_mended(0);
    ck_assert_str_eq(rig_server(&rig).cursor, "c0");
    rig_open(&rig, 0, "c1");
    ck_assert_str_eq(rig_server(&rig).cursor, "c1");
    ck_assert(session_is_in_sync(rig.session));
}
END_TEST

START_TEST(a_server_that_cannot_be_entered_is_tried_again) {
    break_storage("INSERT ON server");
    rig_open(&rig, 0, "c0");
    expect_mended(0);
    rig_open(&rig, 0, "c0");
    ck_assert(session_is_in_sync(rig.session));
}
END_TEST

/* A damaged row is told of, and keeps nothing back but itself. */
START_TEST(what_is_damaged_here_is_not_sent) {
    static const char *const damage[] = {
        "UPDATE change SET data = zeroblob(171) WHERE number = 2",
        "UPDATE change SET hash = zeroblob(31) WHERE number = 2",
        "UPDATE change SET id = hex(zeroblob(100)) WHERE number = 2",
    };
    rig_add(&rig, 7);
    run_sql(damage[_i]);
    rig_open(&rig, 0, "c0");
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 5), -1, ATHENA_OK);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 1);
    ck_assert_ptr_nonnull(strstr(rig_event(&rig, ATHENA_SYNC_FAULT)->text, "damaged"));
    ck_assert_uint_eq(rig.dropped, 0);
    ck_assert_uint_eq(rig_server(&rig).known.count, 2);
    ck_assert(!session_is_in_sync(rig.session));
}
END_TEST

/* The server's refusal, or the client's own for a limit that it was told. */
static void have_refused(bool is_own) {
    struct athena_limits limits = rig_limits;
    struct athena_message opened = {.type = ATHENA_OPENED, .has_req = true, .has_doc = true};
    limits.change = is_own ? 100 : limits.change;
    rig_greet(&rig, &limits);
    opened.req = rig_expect(&rig, ATHENA_OPEN).req;
    memcpy(opened.doc, rig.keys.doc, sizeof opened.doc);
    opened.cursor = (struct athena_text_view){"c0", 2};
    rig_say(&rig, &opened);
    if (!is_own)
        rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 1), 0, ATHENA_TOO_LARGE);
}

START_TEST(a_refusal_that_cannot_be_stored_is_told_once_it_is) {
    bool is_own = _i == 1;
    rig_add(&rig, 1);
    break_storage("UPDATE OF why ON lacking");
    have_refused(is_own);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_REFUSED), 0);
    expect_mended(1);
    have_refused(is_own);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_REFUSED), 1);
    ck_assert(session_is_in_sync(rig.session));
}
END_TEST

/* Steps c and d rewrite what is known as a whole. */
START_TEST(a_listing_of_all_that_cannot_be_stored_is_read_again) {
    rig_open(&rig, 1, "c1");
    rig_say_listed(&rig, rig_expect_list(&rig, "", true), 1, true, false, "c1");
    rig_cut(&rig);
    rig_forget(&rig);
    rig_open(&rig, 0, "c0"); /* the server has lost it */
    rig_say_error(&rig, rig_expect_list(&rig, "c1", false), ATHENA_UNKNOWN_CURSOR, 0);
    uint64_t list = rig_expect_list(&rig, "", false);
    break_storage("INSERT ON lacking");
    rig_say_listed(&rig, list, 0, false, false, "c0");
    expect_mended(1);
    ck_assert_uint_eq(rig_counts(&rig).waiting, 0);
    rig_open(&rig, 0, "c0");
    rig_say_listed(&rig, rig_expect_list(&rig, "", false), 0, false, false, "c0");
    rig_expect_set(&rig, ATHENA_PUSH, 1);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof(table)[0])

int main(void) {
    const struct support_test tests[] = {
        {a_wrong_welcome_ends_the_connection, COUNT(wrong_welcomes)},
        {anything_before_the_welcome_ends_the_connection, 2},
        {a_second_welcome_ends_the_connection, 1},
        {a_change_before_opened_is_not_taken, 1},
        {a_change_of_another_document_is_not_taken, 1},
        {a_page_of_another_kind_is_not_taken, 1},
        {an_empty_page_with_more_ends_the_connection, 1},
        {a_listing_without_an_end_ends_the_connection, 2},
        {a_got_that_was_not_asked_for_is_not_taken, COUNT(wrong_gots)},
        {what_a_got_leaves_out_is_asked_for_again, 1},
        {an_unknown_cursor_within_a_listing_ends_the_connection, 1},
        {indexes_that_make_no_sense_acknowledge_nothing, COUNT(wrong_pushed)},
        {each_change_of_a_push_has_its_own_outcome, 1},
        {a_code_that_is_not_known_is_tried_again, 1},
        {a_push_waits_as_long_as_it_was_told_on_any_connection, 1},
        {an_open_waits_as_long_as_it_was_told, 1},
        {a_server_that_stops_is_left_alone_as_long_as_it_asks, 1},
        {nobody_has_to_wait_longer_than_an_hour, 1},
        {words_of_a_server_are_fit_for_a_terminal, COUNT(words)},
        {long_words_are_cut_between_characters, 3},
        {a_live_change_that_cannot_be_stored_is_not_told, 1},
        {an_acknowledgement_that_cannot_be_stored_is_not_told, 1},
        {a_page_of_ids_that_cannot_be_stored_is_read_again, 1},
        {a_cursor_that_cannot_be_stored_is_not_adopted, 1},
        {a_server_that_cannot_be_entered_is_tried_again, 1},
        {what_is_damaged_here_is_not_sent, 3},
        {a_refusal_that_cannot_be_stored_is_told_once_it_is, 2},
        {a_listing_of_all_that_cannot_be_stored_is_read_again, 1},
    };
    return support_run("faults", tests, sizeof tests / sizeof tests[0], set_up, tear_down);
}
