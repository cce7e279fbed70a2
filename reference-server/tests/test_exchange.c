/* What sessions do with requests that are right: push, list, get, live changes, close, stop. */
#include "reference-server/tests/support_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct host host;
static struct peer alice;
static struct peer bob;
static struct athena_keys keys;
static struct athena_keys other_keys;
static struct athena_message reply;

/* Both have the document open, which holds changes 1 to 3. */
static void set_up(void) {
    host_init(&host);
    support_keys(&keys, 1);
    support_keys(&other_keys, 2);
    peer_join(&alice, &host);
    peer_join(&bob, &host);
    peer_open(&alice, &keys, NULL);
    peer_store(&alice, &keys, 1, 3);
    peer_open(&bob, &keys, NULL);
}

static void tear_down(void) {
    peer_leave(&alice);
    peer_leave(&bob);
    host_fini(&host);
}

static void expect_pushed(struct peer *peer, uint64_t req, size_t duplicates, size_t rejected) {
    peer_expect(peer, ATHENA_PUSHED, &reply);
    ck_assert_uint_eq(reply.req, req);
    ck_assert_uint_eq(reply.duplicates_len, duplicates);
    ck_assert_uint_eq(reply.rejected_len, rejected);
}

static void expect_changed(struct peer *peer, uint64_t first, uint64_t last) {
    peer_expect(peer, ATHENA_CHANGED, &reply);
    ck_assert_msg(peer_has_changes(&reply, first, last), "%zu changes, not %d to %d",
                  reply.changes_len, (int)first, (int)last);
}

/* ---- push ---- */

/* [ASP-PUSH-1] [ASP-PUSH-2] [ASP-PUSH-6] [ASP-LOG-2] [ASP-LOG-4]: every fate in one push. */
START_TEST(judges_each_entry) {
    static const char template[] =
        "{\"type\":\"push\",\"req\":9,\"doc\":\"%s\",\"changes\":["
        "{\"id\":\"abcdef0123456789:00000000-0000-4000-8000-000000000001\",\"data\":\"AQA\"},"
        "{\"id\":\"abcdef0123456789:00000000-0000-4000-8000-000000000002\",\"data\":\"AQA\"},"
        "%s,"
        "{\"id\":\"abcdef0123456789:00000000-0000-4000-8000-000000000004\",\"data\":\"BAA\"}]}";
    static const char *const bad[] = {
        "7",
        "{}",
        "{\"id\":\"abcdef0123456789:00000000-0000-4000-8000-000000000005\"}",
        "{\"id\":\"abcdef0123456789:00000000-0000-4000-8000-000000000005\",\"data\":\"\"}",
        "{\"id\":\"abcdef0123456789:00000000-0000-4000-8000-000000000005\",\"data\":\"AQB\"}",
        "{\"id\":\"ABCDEF0123456789:00000000-0000-4000-8000-000000000005\",\"data\":\"AQA\"}",
        "{\"id\":\"abcdef0123456789:00000000-0000-1000-8000-000000000005\",\"data\":\"AQA\"}",
    };
    char doc[ATHENA_DOC_TEXT_LEN + 1];
    athena_doc_format(doc, keys.doc);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, template, doc, bad[i]);
        peer_say(&alice, text);
        host_commit(&host);
        expect_pushed(&alice, 9, i == 0 ? 1 : 2, 2); /* the last is stored the first time */
        ck_assert_uint_eq(reply.duplicates[0], 0);
        ck_assert_uint_eq(reply.rejected[0].index, 1);
        ck_assert_int_eq(reply.rejected[0].code, ATHENA_CONFLICT);
        ck_assert_uint_eq(reply.rejected[1].index, 2);
        ck_assert_int_eq(reply.rejected[1].code, ATHENA_BAD_CHANGE);
    }
    expect_changed(&bob, 4, 4); /* and once only [ASP-LIVE-6] */
    peer_expect_silence(&bob);
}
END_TEST

START_TEST(rejects_too_large_and_over_quota) {
    uint8_t large[1001] = {0};
    struct athena_change_view changes[] = {
        {.id = support_text("ab:00000000-0000-4000-8000-000000000001"), .data = {large, 1001}},
        {.id = support_text("ab:00000000-0000-4000-8000-000000000002"), .data = {large, 1000}},
    };
    struct athena_message push = peer_request(ATHENA_PUSH, &keys);
    push.changes = changes;
    push.changes_len = 2;
    peer_send(&alice, &push);
    host_commit(&host);
    expect_pushed(&alice, push.req, 0, 1);
    ck_assert_int_eq(reply.rejected[0].code, ATHENA_TOO_LARGE);
    host.quota.document_bytes = 1000;
    uint64_t req = peer_push(&alice, &keys, 3, 2, 0); /* the first is there [ASP-LOG-3] */
    host_commit(&host);
    expect_pushed(&alice, req, 1, 1);
    ck_assert_uint_eq(reply.rejected[0].index, 1);
    ck_assert_int_eq(reply.rejected[0].code, ATHENA_QUOTA);
}
END_TEST

/* [ASP-PUSH-5] [ASP-MSG-17] [ASP-MSG-18]: nothing is said before the commit, then all in order. */
START_TEST(answers_in_order) {
    struct athena_message list = peer_request(ATHENA_LIST, &keys);
    uint64_t first = peer_push(&alice, &keys, 4, 2, 0);
    uint64_t second = peer_push(&alice, &keys, 5, 2, 0);
    uint64_t third = peer_send(&alice, &list);
    ck_assert(!session_takes_input(alice.session)); /* the list waits for the pushes */
    peer_expect_silence(&alice);
    peer_expect_silence(&bob);
    host_commit(&host);
    expect_pushed(&alice, first, 0, 0);
    expect_pushed(&alice, second, 1, 0);
    peer_expect(&alice, ATHENA_LISTED, &reply);
    ck_assert_uint_eq(reply.req, third);
    peer_expect_silence(&alice);
    ck_assert(session_takes_input(alice.session));
}
END_TEST

static void say_malformed_push(struct peer *peer, uint64_t req) {
    char doc[ATHENA_DOC_TEXT_LEN + 1];
    char text[256];
    athena_doc_format(doc, keys.doc);
    snprintf(text, sizeof text, "{\"type\":\"push\",\"req\":%llu,\"doc\":\"%s\",\"changes\":{}}",
             (unsigned long long)req, doc);
    peer_say(peer, text);
}

/* The same for what is refused, and for what ends the connection. */
START_TEST(refuses_in_order_as_well) {
    uint64_t first = peer_push(&alice, &keys, 4, 1, 0);
    peer_expect_silence(&alice);
    uint64_t second = peer_push(&alice, &other_keys, 1, 1, 0); /* not open */
    host_commit(&host);
    expect_pushed(&alice, first, 0, 0);
    peer_expect_error(&alice, ATHENA_NOT_OPEN, second);
    first = peer_push(&alice, &keys, 6, 1, 0);
    say_malformed_push(&alice, 77); /* no push, though its type is one */
    peer_expect_silence(&alice);
    host_commit(&host);
    expect_pushed(&alice, first, 0, 0);
    peer_expect_error(&alice, ATHENA_BAD_MESSAGE, 77);
    first = peer_push(&alice, &keys, 5, 1, 0);
    peer_say(&alice, "{");
    peer_expect_silence(&alice);
    ck_assert_uint_eq(session_close_code(alice.session), 0);
    host_commit(&host);
    expect_pushed(&alice, first, 0, 0);
    peer_expect(&alice, ATHENA_ERROR, &reply);
    ck_assert_uint_eq(session_close_code(alice.session), 4000);
}
END_TEST

/* ---- list and get ---- */

static void list(struct peer *peer, struct athena_text_view after, uint64_t limit, bool with_data) {
    struct athena_message request = peer_request(ATHENA_LIST, &keys);
    request.has_after = after.len > 0;
    request.cursor = after;
    request.limit = limit;
    request.with_data = with_data;
    peer_send(peer, &request);
    peer_expect(peer, ATHENA_LISTED, &reply);
}

/* [ASP-LIST-1] to [ASP-LIST-9]: a listing ends at `opened`, whatever has come since. */
START_TEST(lists_pages) {
    char opened[CURSOR_TEXT_LEN + 1] = "";
    char cursor[CURSOR_TEXT_LEN + 1] = "";
    struct peer carol;
    peer_store(&alice, &keys, 4, 5); /* 8 in all: the batch is 5 */
    peer_store(&alice, &keys, 9, 3);
    peer_join(&carol, &host);
    peer_open(&carol, &keys, &reply);
    memcpy(opened, reply.cursor.at, CURSOR_TEXT_LEN);
    peer_store(&alice, &keys, 12, 2);

    list(&carol, support_text(""), 0, true);
    ck_assert(peer_has_changes(&reply, 1, 5) && reply.more);
    memcpy(cursor, reply.cursor.at, CURSOR_TEXT_LEN);
    list(&carol, support_text(cursor), 1000, true); /* clamped [ASP-LIST-4] */
    ck_assert(peer_has_changes(&reply, 6, 10) && reply.more);
    memcpy(cursor, reply.cursor.at, CURSOR_TEXT_LEN);
    list(&carol, support_text(cursor), 0, true);
    ck_assert(peer_has_changes(&reply, 11, 11) && !reply.more);
    ck_assert_mem_eq(reply.cursor.at, opened, CURSOR_TEXT_LEN); /* [ASP-LIST-8] */
    list(&carol, support_text(opened), 0, false);
    ck_assert(reply.ids_len == 0 && !reply.more);
    list(&carol, support_text(cursor), 1, false);
    ck_assert(reply.ids_len == 1 && !reply.more);
    list(&carol, support_text(""), 2, false);
    ck_assert(reply.ids_len == 2 && reply.more);
    expect_changed(&carol, 12, 13); /* live, behind `opened` */
    memcpy(cursor, reply.cursor.at, CURSOR_TEXT_LEN);
    list(&carol, support_text(cursor), 0, false); /* [ASP-LIST-9] */
    ck_assert(reply.ids_len == 0 && !reply.more);
    ck_assert_mem_eq(reply.cursor.at, opened, CURSOR_TEXT_LEN);
    peer_leave(&carol);
}
END_TEST

/* [ASP-LIST-10] [ASP-CUR-4] */
START_TEST(knows_its_cursors) {
    char of_another[CURSOR_TEXT_LEN + 1] = "";
    char future[CURSOR_TEXT_LEN + 1];
    char changed[CURSOR_TEXT_LEN + 1];
    char empty[CURSOR_TEXT_LEN + 1] = "";
    peer_open(&alice, &other_keys, &reply);
    memcpy(empty, reply.cursor.at, CURSOR_TEXT_LEN); /* the empty log's [ASP-CUR-3] */
    peer_store(&alice, &other_keys, 1, 3);           /* the same changes, another document */
    struct peer carol;
    peer_join(&carol, &host);
    peer_open(&carol, &other_keys, &reply);
    memcpy(of_another, reply.cursor.at, CURSOR_TEXT_LEN);
    peer_leave(&carol);
    cursor_format(future, (struct cursor){4, 0});
    cursor_format(changed, (struct cursor){3, 0});
    const char *const cursors[] = {
        of_another, empty, future, changed, "AAAAAAAAAAAAAAAAAAAAAA", "x", "no cursor: \xC3\xA9\n",
        ""};
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
        struct athena_message request = peer_request(ATHENA_LIST, &keys);
        request.has_after = true;
        request.cursor = support_text(cursors[i]);
        peer_expect_error(&bob, ATHENA_UNKNOWN_CURSOR, peer_send(&bob, &request));
    }
}
END_TEST

/* [ASP-GET-1] [ASP-GET-3] [ASP-GET-4] */
START_TEST(gets_by_id) {
    char ids[3][ATHENA_CHANGE_ID_TEXT_MAX + 1];
    struct athena_text_view views[3];
    const uint64_t numbers[] = {4, 9, 2};
    struct athena_message get = peer_request(ATHENA_GET, &keys);
    for (size_t i = 0; i < 3; i++) {
        support_id(ids[i], numbers[i]);
        views[i] = support_text(ids[i]);
    }
    get.ids = views;
    get.ids_len = 3;
    peer_store(&alice, &keys, 4, 1);
    peer_send(&bob, &get);
    peer_expect(&bob, ATHENA_GOT, &reply);
    ck_assert_uint_eq(reply.changes_len, 2);
    ck_assert_uint_eq(reply.changes[0].data.at[0], 4); /* behind bob's `opened` */
    ck_assert_uint_eq(reply.changes[1].data.at[0], 2);
    ck_assert_uint_eq(reply.ids_len, 1);
    ck_assert_mem_eq(reply.ids[0].at, ids[1], reply.ids[0].len);
}
END_TEST

/* ---- Live ---- */

/* [ASP-LIVE-1] to [ASP-LIVE-5]: others' changes in order, around one's own. */
START_TEST(relays_others) {
    uint64_t req = peer_push(&alice, &keys, 4, 1, 0);
    uint64_t bobs = peer_push(&bob, &keys, 5, 2, 0);
    peer_push(&alice, &keys, 7, 1, 0);
    host_commit(&host);
    expect_pushed(&bob, bobs, 0, 0);
    expect_changed(&bob, 4, 4);
    expect_changed(&bob, 7, 7);
    peer_expect_silence(&bob);
    expect_pushed(&alice, req, 0, 0);
    expect_pushed(&alice, req + 1, 0, 0);
    expect_changed(&alice, 5, 6);
    peer_expect_silence(&alice);
}
END_TEST

/* [ASP-FLOW-4]: a laggard gets larger batches, never a hole. */
START_TEST(batches_for_laggards) {
    for (uint64_t i = 4; i < 12; i++)
        peer_store(&alice, &keys, i, 1);
    expect_changed(&bob, 4, 8);
    expect_changed(&bob, 9, 11);
    peer_expect_silence(&bob);
}
END_TEST

/* [ASP-FLOW-6]: a busy document does not keep the connection's others waiting. */
START_TEST(serves_documents_in_turns) {
    peer_open(&alice, &other_keys, NULL);
    peer_open(&bob, &other_keys, NULL);
    for (uint64_t i = 4; i < 24; i++)
        peer_store(&alice, &keys, i, 1);
    for (uint64_t i = 1; i < 11; i++)
        peer_store(&alice, &other_keys, i, 1);
    const struct athena_keys *const turns[] = {&keys, &other_keys, &keys, &other_keys, &keys};
    peer_expect(&bob, ATHENA_CHANGED, &reply);
    size_t first = memcmp(reply.doc, keys.doc, sizeof reply.doc) == 0 ? 0 : 1;
    for (size_t i = first + 1; i < first + 4; i++) {
        peer_expect(&bob, ATHENA_CHANGED, &reply);
        ck_assert_mem_eq(reply.doc, turns[i]->doc, sizeof reply.doc);
    }
}
END_TEST

/* [ASP-ERR-7]: 4002. */
START_TEST(ends_a_stream_with_a_hole) {
    peer_store(&alice, &keys, 4, 1);
    host_break_reading(&host);
    peer_expect_silence(&bob);
    ck_assert_uint_eq(session_close_code(bob.session), 4002);
    ck_assert_uint_eq(host.reports, 1);
    ck_assert_uint_eq(session_close_code(alice.session), 0);
}
END_TEST

/* ---- close ---- */

/* [ASP-CLOSE-1] to [ASP-CLOSE-4] [ASP-LIVE-7] */
START_TEST(closes_and_opens_again) {
    struct athena_message close = peer_request(ATHENA_CLOSE, &keys);
    uint64_t push = peer_push(&bob, &keys, 4, 1, 0);
    uint64_t req = peer_send(&bob, &close); /* after the replies before it */
    peer_expect_silence(&bob);
    host_commit(&host);
    expect_pushed(&bob, push, 0, 0);
    peer_expect(&bob, ATHENA_CLOSED, &reply);
    ck_assert_uint_eq(reply.req, req);
    peer_store(&alice, &keys, 5, 1);
    peer_expect_silence(&bob);
    peer_expect_error(&bob, ATHENA_NOT_OPEN, peer_push(&bob, &keys, 6, 1, 0));
    peer_open(&bob, &keys, &reply);
    ck_assert_uint_eq(reply.digest.count, 5);
    peer_store(&alice, &keys, 6, 1);
    expect_changed(&bob, 6, 6); /* nothing twice, nothing of between */
    peer_expect_silence(&bob);
}
END_TEST

/* ---- The end ---- */

/* [ASP-STOP-1] [ASP-STOP-2] [ASP-STOP-3] */
START_TEST(stops_after_the_commits) {
    struct athena_message request = peer_request(ATHENA_LIST, &keys);
    uint64_t req = peer_push(&alice, &keys, 4, 1, 0);
    peer_send(&alice, &request); /* has not started when the stop comes: unanswered */
    session_stop(alice.session);
    session_stop(bob.session);
    ck_assert(!session_takes_input(alice.session));
    peer_expect_silence(&alice);
    ck_assert_uint_eq(session_close_code(alice.session), 0);
    peer_expect(&bob, ATHENA_ERROR, &reply);
    ck_assert_int_eq(reply.code, ATHENA_SHUTTING_DOWN);
    ck_assert(!reply.has_req && !reply.has_doc);
    ck_assert_uint_eq(session_close_code(bob.session), 1001);
    host_commit(&host);
    expect_pushed(&alice, req, 0, 0);
    peer_expect(&alice, ATHENA_ERROR, &reply);
    ck_assert_int_eq(reply.code, ATHENA_SHUTTING_DOWN);
    ck_assert_uint_eq(session_close_code(alice.session), 1001);
    peer_expect_silence(&alice);
}
END_TEST

/* A connection that goes with a push under way: the push is committed and relayed all the same. */
START_TEST(finishes_pushes_of_the_gone) {
    struct peer carol;
    peer_join(&carol, &host);
    peer_open(&carol, &keys, NULL);
    peer_push(&carol, &keys, 4, 2, 0);
    peer_push(&carol, &keys, 6, 1, 0);
    peer_leave(&carol);
    host_commit(&host);
    expect_changed(&bob, 4, 6);
    peer_join(&carol, &host); /* and one whose next request waits */
    peer_open(&carol, &keys, NULL);
    peer_push(&carol, &keys, 7, 1, 0);
    struct athena_message request = peer_request(ATHENA_LIST, &keys);
    peer_send(&carol, &request);
    peer_leave(&carol);
    host_commit(&host);
    expect_changed(&bob, 7, 7);
}
END_TEST

/* [ASP-FLOW-1] [ASP-FLOW-2]: who does not read is not listened to. */
START_TEST(waits_for_readers) {
    enum { REQUESTS_MAX = 1000 };
    struct athena_message request = peer_request(ATHENA_LIST, &keys);
    size_t requests = 0;
    for (; session_takes_input(alice.session); requests++) {
        ck_assert_uint_lt(requests, REQUESTS_MAX);
        request.has_req = false;
        peer_send(&alice, &request);
    }
    for (size_t i = 0; i < requests; i++) {
        peer_expect(&alice, ATHENA_LISTED, &reply);
        ck_assert(session_takes_input(alice.session));
    }
    peer_expect_silence(&alice);
}
END_TEST

/* The same for pushes that the store has not taken yet. */
START_TEST(waits_for_the_store) {
    enum { PUSHES_MAX = 100000 };
    size_t pushes = 0;
    for (; session_takes_input(alice.session); pushes++) {
        ck_assert_uint_lt(pushes, PUSHES_MAX);
        peer_push(&alice, &keys, 4 + pushes % 100, 5, 0);
    }
    host_commit(&host);
    for (size_t i = 0; i < pushes; i++)
        peer_expect(&alice, ATHENA_PUSHED, &reply);
    ck_assert(session_takes_input(alice.session));
}
END_TEST

/* So many pushes as text until no more are taken; then they are committed, and more are. */
static size_t push_until_full(const char *json) {
    size_t pushes = 0;
    for (; session_takes_input(alice.session); pushes++) {
        ck_assert_uint_lt(pushes, 1000);
        peer_say(&alice, json);
    }
    host_commit(&host);
    for (size_t i = 0; i < pushes; i++)
        peer_expect(&alice, ATHENA_PUSHED, &reply);
    ck_assert(session_takes_input(alice.session));
    return pushes;
}

/* And for few pushes of many changes, or of many bytes. */
START_TEST(waits_for_the_work_of_the_store) {
    enum { ENTRIES = 1000, BYTES = 99000 };
    static const char change[] = "{\"id\":\"ab:00000000-0000-4000-8000-000000000001\","
                                 "\"data\":\"AQA\"},";
    char doc[ATHENA_DOC_TEXT_LEN + 1];
    char *json = malloc(BYTES + 1);
    ck_assert_ptr_nonnull(json);
    athena_doc_format(doc, keys.doc);
    host.connection.session.limits.batch = ENTRIES;
    size_t start = (size_t)snprintf(
        json, BYTES, "{\"type\":\"push\",\"req\":7,\"doc\":\"%s\",\"changes\":[", doc);
    size_t len = start;
    for (size_t i = 0; i < ENTRIES; i++, len += sizeof change - 1)
        memcpy(json + len, change, sizeof change - 1);
    memcpy(json + len - 1, "]}", 3);
    ck_assert_uint_le(push_until_full(json), 20);
    len = start + sizeof change - 1;
    memcpy(json + len - 1, "]}", 2);
    memset(json + len + 1, ' ', BYTES - len - 1);
    json[BYTES] = '\0';
    ck_assert_uint_le(push_until_full(json), 43);
    free(json);
}
END_TEST

/* Who does not read has gaps of its own in the log, which are remembered: not without end. */
START_TEST(waits_for_readers_of_their_own) {
    uint64_t next = 4;
    for (; session_takes_input(alice.session); next += 2) {
        ck_assert_uint_lt(next, 4000);
        peer_store(&alice, &keys, next, 1);
        peer_store(&bob, &keys, next + 1, 1);
    }
    uint64_t changes = 0;
    for (; peer_next(&alice, &reply); changes += reply.changes_len)
        ck_assert_int_eq(reply.type, ATHENA_CHANGED);
    ck_assert_uint_eq(changes, (next - 4) / 2);
    ck_assert(session_takes_input(alice.session));
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test) {
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test);
    suite_add_tcase(suite, tcase);
}

int main(void) {
    Suite *suite = suite_create("exchange");
    add(suite, "entries", judges_each_entry);
    add(suite, "too large", rejects_too_large_and_over_quota);
    add(suite, "order", answers_in_order);
    add(suite, "refusals in order", refuses_in_order_as_well);
    add(suite, "pages", lists_pages);
    add(suite, "cursors", knows_its_cursors);
    add(suite, "get", gets_by_id);
    add(suite, "live", relays_others);
    add(suite, "laggard", batches_for_laggards);
    add(suite, "turns", serves_documents_in_turns);
    add(suite, "hole", ends_a_stream_with_a_hole);
    add(suite, "close", closes_and_opens_again);
    add(suite, "stop", stops_after_the_commits);
    add(suite, "gone", finishes_pushes_of_the_gone);
    add(suite, "readers", waits_for_readers);
    add(suite, "store", waits_for_the_store);
    add(suite, "work", waits_for_the_work_of_the_store);
    add(suite, "own ranges", waits_for_readers_of_their_own);
    return support_main(suite);
}
