/* What a session refuses: every code and ending it can send, and the order of its checks. */
#include "reference-server/tests/support_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct host host;
static struct peer peer;
static struct athena_keys keys;
static struct athena_keys other_keys;
static char doc[ATHENA_DOC_TEXT_LEN + 1];

static void set_up(void) {
    host_init(&host);
    support_keys(&keys, 1);
    support_keys(&other_keys, 2);
    athena_doc_format(doc, keys.doc);
    peer_join(&peer, &host);
}

static void tear_down(void) {
    peer_leave(&peer);
    host_fini(&host);
}

/* The text with each '$' replaced by the document id. */
static const char *fill_in(const char *template) {
    static char text[8192];
    size_t len = 0;
    for (const char *at = template; *at; at++) {
        ck_assert_uint_lt(len + ATHENA_DOC_TEXT_LEN + 1, sizeof text);
        if (*at == '$')
            len += (size_t)snprintf(text + len, sizeof text - len, "%s", doc);
        else
            text[len++] = *at;
    }
    text[len] = '\0';
    return text;
}

/* ---- Messages that are none ---- */

/* [ASP-JSON-4] [ASP-ERR-7]: section 8.2, rule by rule. */
START_TEST(ends_at_violations) {
    static const char *const texts[] = {
        "",
        " ",
        "null",
        "1",
        "\"open\"",
        "[]",
        "{",
        "{}",
        "{\"req\":1}",
        "{\"type\":1,\"req\":1}",
        "{\"type\":null,\"req\":1}",
        "{\"type\":\"close\",\"req\":1,\"doc\":\"$\"} x",
        "{\"type\":\"close\",\"req\":1,\"doc\":\"$\"}{}",
        "{\"type\":\"close\",\"req\":1,\"req\":1,\"doc\":\"$\"}",
        "{\"type\":\"close\",\"req\":1,\"\\u0072eq\":1,\"doc\":\"$\"}",
        "{\"type\":\"close\",\"req\":1,\"doc\":\"$\",\"x\":{\"a\":1,\"a\":2}}",
        "{\"type\":\"close\",\"req\":1,\"doc\":\"\\u0000\"}",
        "{\"type\":\"close\",\"req\":1,\"x\":\"\\uD800\"}",
        "{\"type\":\"close\",\"req\":1,\"x\":\"\\uDC00\\uD800\"}",
        "{\"type\":\"close\",\"req\":1,\"x\":\"\\x\"}",
        "{\"type\":\"close\",\"req\":1,\"x\":\"\t\"}",
        "{\"type\":\"close\",\"req\":-1,\"doc\":\"$\"}",
        "{\"type\":\"close\",\"req\":9007199254740992,\"doc\":\"$\"}",
        "{\"type\":\"close\",\"req\":1.5,\"doc\":\"$\"}",
        "{\"type\":\"close\",\"req\":01,\"doc\":\"$\"}",
        "{\"type\":\"close\",\"req\":1,\"doc\":\"$\",\"x\":-1}",
        "{\"type\":\"close\",\"req\":1,\"x\":[[[[[[[[1]]]]]]]]}",
        "{\"type\":\"close\",\"req\":1,\"doc\":\"$\",}",
        "{type:\"close\"}",
        "{\"type\":\"close\" \"req\":1}",
        "{\"type\":\"close\",\"req\":tru}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct peer bad;
        struct athena_message error;
        peer_join(&bad, &host);
        peer_say(&bad, fill_in(texts[i]));
        ck_assert_msg(session_close_code(bad.session) == 4000, "no violation: %s", texts[i]);
        peer_expect(&bad, ATHENA_ERROR, &error);
        ck_assert_int_eq(error.code, ATHENA_BAD_MESSAGE);
        ck_assert(!error.has_req && !error.has_doc);
        ck_assert_uint_gt(error.text.len, 0);
        peer_expect_silence(&bad);
        ck_assert(!session_takes_input(bad.session));
        peer_leave(&bad);
    }
}
END_TEST

/* What may look odd and is allowed: [ASP-JSON-7] [ASP-JSON-8] [ASP-JSON-9]. */
START_TEST(takes_odd_json) {
    static const char *const texts[] = {
        " \t\r\n{ \"type\" : \"close\" , \"doc\":\"$\", \"req\":7 } \n",
        "{\"\\u0074ype\":\"cl\\u006Fse\",\"doc\":\"$\",\"req\":7}",
        "{\"type\":\"close\",\"doc\":\"$\",\"req\":7,\"Type\":\"x\",\"proof\":null}",
        "{\"type\":\"close\",\"doc\":\"$\",\"req\":7,\"x\":[[[[[[[]]]]]]]}",
        "{\"type\":\"close\",\"doc\":\"$\",\"req\":7,\"x\":\"\\uD83D\\uDE00\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        peer_say(&peer, fill_in(texts[i]));
        peer_expect_error(&peer, ATHENA_NOT_OPEN, 7);
    }
    ck_assert_uint_eq(session_close_code(peer.session), 0);
}
END_TEST

/* ---- Requests that are refused ---- */

struct refusal {
    const char *text;
    enum athena_code code;
    bool has_req; /* then it is 7 */
    bool has_doc;
    const char *begins; /* the error's message */
};

#define ID            "ab:00000000-0000-4000-8000-000000000001"
#define REQUEST(type) "{\"type\":\"" type "\",\"req\":7,\"doc\":\"$\""
#define PROOF_85                                                                                   \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* [ASP-MSG-4] [ASP-MSG-11] [ASP-MSG-12] [ASP-MSG-14] [ASP-MSG-15]: section 9.3, step by step, each
 * with faults of later steps in it. */
static const struct refusal refusals[] = {
    /* 3: the type */
    {"{\"type\":\"mystery\"}", ATHENA_UNKNOWN_TYPE, false, false, ""},
    {"{\"type\":\"\",\"req\":7}", ATHENA_UNKNOWN_TYPE, true, false, ""},
    {"{\"type\":\"Open\",\"req\":7,\"doc\":\"x\"}", ATHENA_UNKNOWN_TYPE, true, false, ""},
    {"{\"type\":\"welcome\",\"req\":7,\"doc\":\"$\"}", ATHENA_UNKNOWN_TYPE, true, true, ""},
    {"{\"type\":\"changed\",\"req\":\"7\",\"doc\":\"$\"}", ATHENA_UNKNOWN_TYPE, false, true, ""},
    /* 4: req */
    {"{\"type\":\"close\",\"doc\":\"$\"}", ATHENA_BAD_MESSAGE, false, false, "/req: "},
    {"{\"type\":\"close\",\"req\":\"7\",\"doc\":\"$\"}", ATHENA_BAD_MESSAGE, false, false,
     "/req: "},
    {"{\"type\":\"close\",\"req\":null,\"doc\":1}", ATHENA_BAD_MESSAGE, false, false, "/req: "},
    /* 5: doc */
    {"{\"type\":\"close\",\"req\":7}", ATHENA_BAD_MESSAGE, true, false, "/doc: "},
    {"{\"type\":\"close\",\"req\":7,\"doc\":7}", ATHENA_BAD_MESSAGE, true, false, "/doc: "},
    {"{\"type\":\"close\",\"req\":7,\"doc\":\"short\"}", ATHENA_BAD_MESSAGE, true, false, "/doc: "},
    {"{\"type\":\"push\",\"req\":7,\"doc\":"
     "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\"}", /* not canonical */
     ATHENA_BAD_MESSAGE, true, false, "/doc: "},
    /* 6: the others, before the document is looked for */
    {REQUEST("open") "}", ATHENA_BAD_MESSAGE, true, true, "/"},
    {REQUEST("open") ",\"authority\":\"\",\"proof\":\"" PROOF_85 "A\"}", ATHENA_BAD_MESSAGE, true,
     true, "/authority: "},
    {REQUEST("open") ",\"authority\":7,\"proof\":\"" PROOF_85 "A\"}", ATHENA_BAD_MESSAGE, true,
     true, "/authority: "},
    {REQUEST("open") ",\"authority\":\"x\",\"proof\":\"" PROOF_85 "\"}", ATHENA_BAD_MESSAGE, true,
     true, "/proof: "},
    {REQUEST("open") ",\"authority\":\"x\",\"proof\":\"" PROOF_85 "B\"}", ATHENA_BAD_MESSAGE, true,
     true, "/proof: "},
    {REQUEST("list") ",\"after\":7}", ATHENA_BAD_MESSAGE, true, true, "/after: "},
    {REQUEST("list") ",\"limit\":0}", ATHENA_BAD_MESSAGE, true, true, "/limit: "},
    {REQUEST("list") ",\"limit\":\"1\"}", ATHENA_BAD_MESSAGE, true, true, "/limit: "},
    {REQUEST("list") ",\"data\":1}", ATHENA_BAD_MESSAGE, true, true, "/data: "},
    {REQUEST("list") ",\"data\":null}", ATHENA_BAD_MESSAGE, true, true, "/data: "},
    {REQUEST("get") "}", ATHENA_BAD_MESSAGE, true, true, "/ids: "},
    {REQUEST("get") ",\"ids\":[]}", ATHENA_BAD_MESSAGE, true, true, "/ids: "},
    {REQUEST("get") ",\"ids\":{}}", ATHENA_BAD_MESSAGE, true, true, "/ids: "},
    {REQUEST("get") ",\"ids\":[\"" ID "\",\"" ID " \"]}", ATHENA_BAD_MESSAGE, true, true,
     "/ids/1: "},
    {REQUEST("get") ",\"ids\":[7]}", ATHENA_BAD_MESSAGE, true, true, "/ids/0: "},
    {REQUEST("push") "}", ATHENA_BAD_MESSAGE, true, true, "/changes: "},
    {REQUEST("push") ",\"changes\":[]}", ATHENA_BAD_MESSAGE, true, true, "/changes: "},
    {REQUEST("push") ",\"changes\":\"\"}", ATHENA_BAD_MESSAGE, true, true, "/changes: "},
    /* 7: not open, before limits; the cursor is not even looked at [ASP-ISO-2] */
    {REQUEST("close") "}", ATHENA_NOT_OPEN, true, true, ""},
    {REQUEST("list") ",\"after\":\"nonsense!\"}", ATHENA_NOT_OPEN, true, true, ""},
    {REQUEST("get") ",\"ids\":[\"" ID "\",\"" ID "\",\"" ID "\",\"" ID "\",\"" ID "\",\"" ID "\"]}",
     ATHENA_NOT_OPEN, true, true, ""},
    {REQUEST("push") ",\"changes\":[1,2,3,4,5,6]}", ATHENA_NOT_OPEN, true, true, ""},
};

START_TEST(refuses_in_order) {
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *refusal = &refusals[i];
        struct athena_message error;
        peer_say(&peer, fill_in(refusal->text));
        peer_expect(&peer, ATHENA_ERROR, &error);
        ck_assert_msg(error.code == refusal->code && error.has_req == refusal->has_req &&
                          error.has_doc == refusal->has_doc,
                      "%s, req %d, doc %d: %s", athena_code_text(error.code), error.has_req,
                      error.has_doc, refusal->text);
        ck_assert(!error.has_req || error.req == 7);
        ck_assert(!error.has_doc || memcmp(error.doc, keys.doc, sizeof error.doc) == 0);
        ck_assert(!error.has_retry_after);
        ck_assert_msg(error.text.len >= strlen(refusal->begins) &&
                          memcmp(error.text.at, refusal->begins, strlen(refusal->begins)) == 0,
                      "%.*s: %s", (int)error.text.len, error.text.at, refusal->text);
        peer_expect_silence(&peer);
    }
    ck_assert_uint_eq(session_close_code(peer.session), 0);
    ck_assert_ptr_null(host.submitted.first); /* [ASP-MSG-13] */
    peer_open(&peer, &keys, NULL);            /* the connection is as good as new */
}
END_TEST

/* ---- open ---- */

static void expect_open_refused(struct athena_message open, enum athena_code code) {
    peer_expect_error(&peer, code, peer_send(&peer, &open));
}

/* [ASP-OPEN-1]: each refusal although later checks would fail, too. */
START_TEST(checks_open_in_order) {
    struct athena_keys third_keys;
    support_keys(&third_keys, 3);
    struct athena_message wrong = peer_open_request(&peer, &keys);
    wrong.authority = support_text("sync.example:8080");
    wrong.proof[0] ^= 1;
    expect_open_refused(wrong, ATHENA_WRONG_AUTHORITY);
    wrong.authority = support_text("SYNC.example"); /* [ASP-WS-40]: byte by byte */
    expect_open_refused(wrong, ATHENA_WRONG_AUTHORITY);
    wrong.authority = support_text(HOST_AUTHORITY);
    expect_open_refused(wrong, ATHENA_FORBIDDEN);
    peer_open(&peer, &keys, NULL);
    expect_open_refused(peer_open_request(&peer, &keys), ATHENA_ALREADY_OPEN);
    wrong.authority = support_text("elsewhere");
    expect_open_refused(wrong, ATHENA_ALREADY_OPEN);
    peer_open(&peer, &other_keys, NULL);
    expect_open_refused(wrong, ATHENA_ALREADY_OPEN); /* also when no more may be opened */
    wrong = peer_open_request(&peer, &third_keys);
    expect_open_refused(wrong, ATHENA_LIMIT);
    wrong.authority = support_text("elsewhere");
    wrong.proof[0] ^= 1;
    expect_open_refused(wrong, ATHENA_LIMIT);
    host_break_reading(&host);
    expect_open_refused(wrong, ATHENA_LIMIT);
}
END_TEST

/* [ASP-ABUSE-1] [ASP-ABUSE-2] */
START_TEST(ends_after_three_refused_proofs) {
    struct athena_message wrong = peer_open_request(&peer, &other_keys);
    struct athena_message elsewhere = wrong;
    elsewhere.authority = support_text("elsewhere");
    memcpy(wrong.doc, keys.doc, sizeof wrong.doc); /* another's proof */
    expect_open_refused(wrong, ATHENA_FORBIDDEN);
    for (int i = 0; i < 5; i++)
        expect_open_refused(elsewhere, ATHENA_WRONG_AUTHORITY);
    memset(wrong.doc, 0, sizeof wrong.doc); /* a point of small order */
    expect_open_refused(wrong, ATHENA_FORBIDDEN);
    peer_open(&peer, &keys, NULL); /* makes nothing undone */
    expect_open_refused(peer_open_request(&peer, &keys), ATHENA_ALREADY_OPEN);
    ck_assert_uint_eq(session_close_code(peer.session), 0);
    wrong = peer_open_request(&peer, &other_keys);
    wrong.proof[63] ^= 0x80;
    expect_open_refused(wrong, ATHENA_FORBIDDEN);
    ck_assert_uint_eq(session_close_code(peer.session), 4001);
    ck_assert(!session_takes_input(peer.session));
}
END_TEST

/* A proof holds for one challenge, one document and one name. [ASP-ISO-3]: the answer is the same
 * whether or not there is such a document. */
START_TEST(accepts_only_its_own_proofs) {
    struct athena_message reply;
    struct athena_buf texts[2] = {{0}, {0}};
    for (size_t i = 0; i < 2; i++) {
        struct peer stranger;
        peer_join(&stranger, &host);
        struct athena_message open = peer_open_request(&stranger, &keys);
        uint8_t challenge[ATHENA_CHALLENGE_BYTES] = {1};
        athena_proof_sign(open.proof, &keys, challenge, open.authority);
        peer_send(&stranger, &open);
        struct frame *frame = session_next_frame(stranger.session);
        ck_assert_ptr_nonnull(frame);
        athena_buf_append(&texts[i], frame_text(frame).at, frame_text(frame).len);
        frame_unref(frame);
        athena_proof_sign(open.proof, &keys, stranger.challenge, support_text("elsewhere"));
        peer_send(&stranger, &open);
        peer_expect(&stranger, ATHENA_ERROR, &reply);
        ck_assert_int_eq(reply.code, ATHENA_FORBIDDEN);
        peer_leave(&stranger);
        if (i == 0) {
            peer_open(&peer, &keys, NULL);
            peer_store(&peer, &keys, 1, 1);
        }
    }
    ck_assert_uint_eq(texts[0].len, texts[1].len);
    ck_assert_mem_eq(texts[0].at, texts[1].at, texts[0].len);
    athena_buf_fini(&texts[0]);
    athena_buf_fini(&texts[1]);
}
END_TEST

/* [ASP-ABUSE-3] */
START_TEST(ends_without_open_in_time) {
    struct peer late;
    peer_join(&late, &host);
    ck_assert_uint_eq(session_deadline_ms(late.session), 10000);
    session_tick(late.session, 9999);
    ck_assert_uint_eq(session_close_code(late.session), 0);
    session_tick(late.session, 10000);
    ck_assert_uint_eq(session_close_code(late.session), 4001);
    ck_assert_uint_eq(session_deadline_ms(late.session), UINT64_MAX);
    peer_leave(&late);

    struct athena_message close = peer_request(ATHENA_CLOSE, &keys);
    peer_open(&peer, &keys, NULL);
    peer_send(&peer, &close); /* the first `opened` is enough for good [ASP-CLOSE-5] */
    session_tick(peer.session, UINT64_MAX - 1);
    ck_assert_uint_eq(session_close_code(peer.session), 0);
}
END_TEST

/* [ASP-LIM-6] */
START_TEST(bounds_messages_before_open) {
    struct athena_message close = peer_request(ATHENA_CLOSE, &keys);
    struct athena_message closed;
    ck_assert_uint_eq(session_message_bytes_max(peer.session), 4000);
    peer_open(&peer, &keys, NULL);
    ck_assert_uint_eq(session_message_bytes_max(peer.session), 100000);
    peer_send(&peer, &close);
    peer_expect(&peer, ATHENA_CLOSED, &closed);
    ck_assert_uint_eq(session_message_bytes_max(peer.session), 4000);
}
END_TEST

/* ---- Limits and a failing store ---- */

/* [ASP-PUSH-8] [ASP-GET-6] [ASP-MSG-13] */
START_TEST(refuses_more_than_a_batch) {
    struct athena_message get = peer_request(ATHENA_GET, &keys);
    struct athena_text_view ids[6];
    struct athena_message reply;
    for (size_t i = 0; i < 6; i++)
        ids[i] = support_text(ID);
    get.ids = ids;
    get.ids_len = 6;
    peer_open(&peer, &keys, NULL);
    peer_expect_error(&peer, ATHENA_LIMIT, peer_send(&peer, &get));
    get.ids_len = 5;
    get.has_req = false;
    peer_send(&peer, &get);
    peer_expect(&peer, ATHENA_GOT, &reply);
    ck_assert_uint_eq(reply.ids_len, 5); /* missing: each mention by itself [ASP-GET-8] */
    peer_expect_error(&peer, ATHENA_LIMIT, peer_push(&peer, &keys, 1, 6, 0));
    ck_assert_ptr_null(host.submitted.first);
    peer_store(&peer, &keys, 1, 5);
}
END_TEST

/* A request whose `member` is an array of so many zeros. */
static char *with_zeros(const char *type, const char *member, size_t zeros) {
    char *text = malloc(zeros * 2 + 256);
    ck_assert_ptr_nonnull(text);
    size_t len = (size_t)snprintf(text, 256, "{\"type\":\"%s\",\"req\":7,\"doc\":\"%s\",\"%s\":[0",
                                  type, doc, member);
    for (size_t i = 1; i < zeros; i++) {
        text[len++] = ',';
        text[len++] = '0';
    }
    snprintf(text + len, sizeof "]}", "]}");
    return text;
}

/* [ASP-FLOW-1]: a message of many small entries becomes no more than its size, also where it has to
 * wait for a push, and no large memory is kept for the next one. */
START_TEST(bounds_what_a_message_becomes) {
    char *text = with_zeros("push", "changes", 49000);
    peer_open(&peer, &keys, NULL);
    peer_say(&peer, text);
    peer_expect_error(&peer, ATHENA_LIMIT, 7);
    struct athena_decoder *spare = host.connection.session.spare_decoder;
    ck_assert_ptr_nonnull(spare);
    ck_assert_uint_lt(athena_decoder_capacity(spare), 2 * strlen(text));
    uint64_t req = peer_push(&peer, &keys, 1, 1, 0);
    peer_say(&peer, text);
    host_commit(&host);
    struct athena_message pushed;
    peer_expect(&peer, ATHENA_PUSHED, &pushed);
    ck_assert_uint_eq(pushed.req, req);
    peer_expect_error(&peer, ATHENA_LIMIT, 7);
    free(text);
    text = with_zeros("close", "unknown", 600000);
    peer_say(&peer, text);
    peer_expect(&peer, ATHENA_CLOSED, &pushed);
    ck_assert_ptr_null(host.connection.session.spare_decoder);
    free(text);
}
END_TEST

static void expect_unavailable(uint64_t req) {
    struct athena_message error;
    peer_expect(&peer, ATHENA_ERROR, &error);
    ck_assert_int_eq(error.code, ATHENA_UNAVAILABLE);
    ck_assert(error.has_req && error.has_doc && error.has_retry_after);
    ck_assert_uint_eq(error.req, req);
    ck_assert_uint_gt(error.retry_after_ms, 0);
}

/* [ASP-DUR-6]: nothing of the reason leaves the machine, the operator is told. */
START_TEST(says_unavailable) {
    struct athena_message open = peer_open_request(&peer, &keys);
    struct athena_message list = peer_request(ATHENA_LIST, &keys);
    struct athena_message get = peer_request(ATHENA_GET, &keys);
    struct athena_text_view id = support_text(ID);
    get.ids = &id;
    get.ids_len = 1;
    host_break_reading(&host);
    expect_unavailable(peer_send(&peer, &open));
    host_repair(&host);
    peer_open(&peer, &keys, NULL);
    peer_store(&peer, &keys, 1, 3);
    struct peer second; /* its `opened` is behind the changes */
    peer_join(&second, &host);
    peer_open(&second, &keys, NULL);
    struct peer first = peer;
    peer = second;
    host_break_reading(&host);
    expect_unavailable(peer_send(&peer, &list));
    expect_unavailable(peer_send(&peer, &get));
    ck_assert_uint_eq(host.reports, 3);
    host_break_writing(&host);
    uint64_t req = peer_push(&peer, &keys, 4, 1, 0);
    host_commit(&host);
    expect_unavailable(req);
    peer_expect_silence(&first); /* [ASP-DUR-5] */
    ck_assert_uint_eq(session_close_code(peer.session), 0);
    host_repair(&host);
    peer_store(&peer, &keys, 4, 1);
    peer_leave(&peer);
    peer = first;
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test) {
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test);
    suite_add_tcase(suite, tcase);
}

int main(void) {
    Suite *suite = suite_create("session");
    add(suite, "violations", ends_at_violations);
    add(suite, "odd json", takes_odd_json);
    add(suite, "refusals", refuses_in_order);
    add(suite, "open", checks_open_in_order);
    add(suite, "three refusals", ends_after_three_refused_proofs);
    add(suite, "proofs", accepts_only_its_own_proofs);
    add(suite, "deadline", ends_without_open_in_time);
    add(suite, "before open", bounds_messages_before_open);
    add(suite, "limits", refuses_more_than_a_batch);
    add(suite, "memory", bounds_what_a_message_becomes);
    add(suite, "unavailable", says_unavailable);
    return support_main(suite);
}
