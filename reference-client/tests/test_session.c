/* Connections, pushes, faults and time of a session; the resume has tests of its own. */
#include "reference-client/tests/support_session.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;

static void set_up(void) {
    rig_init(&rig);
}

static void tear_down(void) {
    rig_fini(&rig);
}

/* ---- Opening ---- */

/* [ASP-OPEN-1]: the proof is for the authority that was dialled and this challenge. */
START_TEST(the_proof_fits) {
    struct athena_limits limits = rig_limits;
    uint8_t challenge[ATHENA_CHALLENGE_BYTES] = {0};
    rig_greet(&rig, &limits);
    struct athena_message open = rig_expect(&rig, ATHENA_OPEN);
    ck_assert_mem_eq(open.doc, rig.keys.doc, sizeof open.doc);
    ck_assert(athena_proof_verify(open.proof, open.doc, challenge,
                                  (struct athena_text_view){"sync.example", 12}));
}
END_TEST

static void expect_fault(enum athena_code code, uint16_t close_code) {
    ck_assert_uint_eq(rig.dropped, 1);
    ck_assert_uint_eq(rig.close_code, close_code);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 1);
    ck_assert_int_eq(rig_event(&rig, ATHENA_SYNC_FAULT)->code, code);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_DISCONNECTED), 1);
}

/* [ASP-CLI-42] */
START_TEST(a_refused_open_is_told_and_tried_again) {
    rig_greet(&rig, &rig_limits);
    rig_say_error(&rig, rig_expect(&rig, ATHENA_OPEN).req, ATHENA_FORBIDDEN, 0);
    expect_fault(ATHENA_FORBIDDEN, 1000);
    rig_pass(&rig, 100000);
    ck_assert_uint_eq(rig.dialled, 2);
}
END_TEST

START_TEST(an_open_refused_for_now_is_no_fault) {
    rig_greet(&rig, &rig_limits);
    rig_say_error(&rig, rig_expect(&rig, ATHENA_OPEN).req, ATHENA_UNAVAILABLE, 5000);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 0);
    rig_pass(&rig, 4999);
    ck_assert_uint_eq(rig.dialled, 1);
    rig_pass(&rig, 1);
    ck_assert_uint_eq(rig.dialled, 2);
}
END_TEST

static const char short_challenge[] =
    "{\"type\":\"welcome\",\"protocol\":\"athena-sync.v1\",\"server\":\"x\",\"challenge\":"
    "\"AAAA\",\"limits\":{\"message\":4194304,\"message_before_open\":16384,\"change\":1114112,"
    "\"batch\":1000,\"docs\":64},\"extensions\":[]}";

/* What a server must not say, and what becomes of it. */
static const char *const broken[] = {
    "",
    "[]",
    "{\"type\":\"welcome\"}",
    short_challenge,
    "{\"type\":\"opened\",\"req\":1}",
    "{\"type\":\"error\",\"code\":\"x\",\"code\":\"y\",\"message\":\"z\"}",
};

START_TEST(a_message_that_breaks_the_protocol_ends_the_connection) {
    session_start(rig.session, 0);
    session_connected(rig.session, 0);
    rig_say_text(&rig, broken[_i]);
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
}
END_TEST

/* [ASP-MSG-5] */
START_TEST(unknown_types_and_members_are_ignored) {
    rig_open(&rig, 0, "c0");
    rig_say_text(&rig, "{\"type\":\"greeting\",\"from\":{\"a\":[1]}}");
    rig_say_text(&rig,
                 "{\"type\":\"error\",\"code\":\"from-the-future\",\"message\":\"m\",\"x\":1}");
    ck_assert_uint_eq(rig.dropped, 0);
    rig_say_text(&rig, "{\"type\":\"pushed\",\"req\":77,\"doc\":\"x\"}");
    ck_assert_uint_eq(rig.dropped, 1);
}
END_TEST

START_TEST(a_reply_of_another_kind_or_to_nothing_ends_the_connection) {
    rig_open(&rig, 0, "c0");
    if (_i == 0)
        rig_say_pushed(&rig, 99, -1, ATHENA_OK);
    else if (_i == 1)
        rig_say_listed(&rig, 1, 0, false, false, "c0");
    else
        rig_add(&rig, 1);
    if (_i == 2)
        rig_say_got(&rig, rig_expect_set(&rig, ATHENA_PUSH, 1), 1, 0);
    if (_i == 3)
        rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 1), 1, ATHENA_BAD_CHANGE);
    expect_fault(ATHENA_BAD_MESSAGE, 4000);
}
END_TEST

/* ---- Pushes ---- */

/* [ASP-CLI-3] [ASP-CLI-32]: until it is acknowledged, through restarts, with the same bytes. */
START_TEST(an_unacknowledged_push_is_repeated) {
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 3);
    rig_expect_set(&rig, ATHENA_PUSH, 3);
    rig_restart(&rig);
    rig_open(&rig, 0, "c0");
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 3), -1, ATHENA_OK);
    ck_assert_uint_eq(rig_event(&rig, ATHENA_SYNC_PUSHED)->count, 2);
    rig_restart(&rig);
    rig_open(&rig, 3, "c2");
    rig_expect_nothing(&rig);
}
END_TEST

/* [ASP-CLI-25] */
START_TEST(ones_own_change_that_comes_back_is_acknowledged) {
    rig_add(&rig, 3);
    rig_open(&rig, 1, "c1");
    rig_say_listed(&rig, rig_expect_list(&rig, "", false), 1, false, false, "c1");
    uint64_t push = rig_expect_set(&rig, ATHENA_PUSH, 2);
    rig_say_changed(&rig, 2, "c2"); /* stored through a connection that was cut */
    ck_assert_uint_eq(rig_counts(&rig).waiting, 0);
    rig_say_pushed(&rig, push, -1, ATHENA_OK);
    ck_assert_uint_eq(rig_counts(&rig).waiting, 0);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_CHANGE), 0);
    ck_assert_uint_eq(rig_server(&rig).known.count, 2);
}
END_TEST

/* [ASP-CLI-31]: a change refused for good stays, is told once, and is not sent again. */
START_TEST(a_change_refused_for_good_is_kept) {
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 3);
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 3), 0, ATHENA_BAD_CHANGE);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_REFUSED), 1);
    ck_assert_str_eq(rig_event(&rig, ATHENA_SYNC_REFUSED)->id, rig.changes[0].id);
    ck_assert_uint_eq(rig_held(&rig), 3);
    ck_assert_uint_eq(rig_counts(&rig).refused, 1);
    rig_restart(&rig);
    rig_forget(&rig);
    rig_open(&rig, 2, "c1");
    rig_expect_nothing(&rig);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_REFUSED), 0);
}
END_TEST

/* [ASP-CLI-31] [ASP-CLI-26] */
START_TEST(a_conflict_gets_the_servers_bytes) {
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 1);
    uint64_t push = rig_expect_set(&rig, ATHENA_PUSH, 1);
    rig.changes[0].data[60] ^= 1; /* as the server has it */
    rig_say_pushed(&rig, push, 0, ATHENA_CONFLICT);
    rig_say_got(&rig, rig_expect_set(&rig, ATHENA_GET, 1), 1, 0);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_CONFLICT), 1);
    ck_assert_uint_eq(rig_counts(&rig).waiting, 0);
    ck_assert_uint_eq(rig_counts(&rig).conflicts, 1);
    rig_cut(&rig);
    rig_open(&rig, 1, "c1");
    rig_expect_nothing(&rig);
}
END_TEST

/* [ASP-CLI-31] */
START_TEST(what_has_no_room_waits) {
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 1);
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 1), 0, ATHENA_QUOTA);
    rig_expect_nothing(&rig);
    ck_assert_uint_eq(rig_counts(&rig).waiting, 1);
    uint64_t deadline = session_deadline_ms(rig.session);
    rig_cut(&rig);
    rig_open(&rig, 0, "c0");
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 1), 0, ATHENA_QUOTA);
    ck_assert_uint_gt(deadline, rig.now_ms);
}
END_TEST

START_TEST(a_push_refused_for_now_is_repeated_when_told) {
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 1);
    rig_say_error(&rig, rig_expect_set(&rig, ATHENA_PUSH, 1), ATHENA_RATE, 7000);
    rig_pass(&rig, 6999);
    rig_expect_nothing(&rig);
    rig_pass(&rig, 1);
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 1), -1, ATHENA_OK);
    ck_assert(session_is_in_sync(rig.session));
}
END_TEST

START_TEST(a_push_that_is_a_fault_is_not_repeated_on_this_connection) {
    rig_open(&rig, 0, "c0");
    rig_add(&rig, 1);
    rig_say_error(&rig, rig_expect_set(&rig, ATHENA_PUSH, 1), ATHENA_BAD_MESSAGE, 0);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 1);
    rig_add(&rig, 2);
    rig_pass(&rig, 30000);
    rig_expect_nothing(&rig);
    rig_cut(&rig);
    rig_open(&rig, 0, "c0");
    rig_expect_set(&rig, ATHENA_PUSH, 3);
}
END_TEST

static void open_with(const struct athena_limits *limits) {
    struct athena_message opened = {.type = ATHENA_OPENED, .has_req = true, .has_doc = true};
    rig_greet(&rig, limits);
    opened.req = rig_expect(&rig, ATHENA_OPEN).req;
    memcpy(opened.doc, rig.keys.doc, sizeof opened.doc);
    opened.cursor = (struct athena_text_view){"c0", 2};
    rig_say(&rig, &opened);
}

/* [ASP-LIM-2]: pushes keep to the server's batch, several under way at once. */
START_TEST(a_push_keeps_to_the_batch) {
    struct athena_limits limits = rig_limits;
    limits.batch = 1;
    rig_add(&rig, 7);
    open_with(&limits);
    uint64_t first = rig_expect_set(&rig, ATHENA_PUSH, 1);
    rig_say_pushed(&rig, first, -1, ATHENA_OK);
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 2), -1, ATHENA_OK);
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 4), -1, ATHENA_OK);
    ck_assert(session_is_in_sync(rig.session));
}
END_TEST

/* [ASP-CLI-34] [ASP-CLI-35] */
START_TEST(a_change_over_the_limit_waits_for_a_larger_one) {
    struct athena_limits limits = rig_limits;
    limits.change = 100;
    rig_add(&rig, 1);
    open_with(&limits);
    rig_expect_nothing(&rig);
    ck_assert_int_eq(rig_event(&rig, ATHENA_SYNC_REFUSED)->code, ATHENA_TOO_LARGE);
    rig_cut(&rig);
    rig_forget(&rig);
    open_with(&limits);
    rig_expect_nothing(&rig);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_REFUSED), 0);
    rig_cut(&rig);
    open_with(&rig_limits);
    rig_expect_set(&rig, ATHENA_PUSH, 1);
}
END_TEST

/* What leaves the outbox without a message leaves the device in sync as well. */
START_TEST(in_sync_is_told_whatever_empties_the_outbox) {
    struct athena_limits limits = rig_limits;
    limits.change = 100;
    open_with(&limits);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_IN_SYNC), 1);
    rig_add(&rig, 1); /* too large: refused at once */
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_REFUSED), 1);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_IN_SYNC), 2);
    session_added(rig.session, rig.now_ms); /* nothing was */
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_IN_SYNC), 2);
    rig_cut(&rig);
    rig_forget(&rig);
    open_with(&rig_limits);
    rig_say_error(&rig, rig_expect_set(&rig, ATHENA_PUSH, 1), ATHENA_UNAVAILABLE, 0);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_IN_SYNC), 0);
    ck_assert_int_eq(replica_begin(rig.replica, NULL), ATHENA_OK);
    ck_assert_int_eq(replica_quarantine(rig.replica, 1, "a test", NULL), ATHENA_OK);
    ck_assert_int_eq(replica_finish(rig.replica, ATHENA_OK, NULL), ATHENA_OK);
    session_added(rig.session, rig.now_ms);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_IN_SYNC), 1);
}
END_TEST

/* ---- Time ---- */

enum failure { REFUSED_DIAL, SILENT_SERVER, CUT, BROKEN_MESSAGE, FAILURES };

/* Each of the ways in which an attempt comes to nothing. */
static void fail_to_connect(enum failure how) {
    struct athena_error why = {ATHENA_UNAVAILABLE, "", "refused"};
    session_start(rig.session, rig.now_ms);
    if (how == REFUSED_DIAL) {
        session_disconnected(rig.session, &why, rig.now_ms);
        return;
    }
    session_connected(rig.session, rig.now_ms);
    if (how == SILENT_SERVER)
        rig_pass(&rig, session_default_times.greeting_ms);
    else if (how == CUT)
        rig_cut(&rig);
    else
        rig_say_text(&rig, "?");
}

/* [ASP-CLI-38] [ASP-CLI-39]: a random part of a bound that doubles up to its maximum, for ever. */
START_TEST(the_delay_doubles_whatever_fails) {
    uint64_t bound = session_default_times.backoff_first_ms;
    rig.random = UINT32_MAX - 1; /* not a multiple of any bound */
    for (unsigned i = 0; i < 12; i++) {
        rig_forget(&rig);
        fail_to_connect((enum failure)_i);
        const struct rig_event *event = rig_event(&rig, ATHENA_SYNC_DISCONNECTED);
        ck_assert_ptr_nonnull(event);
        ck_assert_uint_eq(event->retry_ms, rig.random % bound);
        ck_assert_uint_eq(session_deadline_ms(rig.session), rig.now_ms + event->retry_ms);
        bound = bound * 2 < session_default_times.backoff_max_ms
                    ? bound * 2
                    : session_default_times.backoff_max_ms;
    }
}
END_TEST

/* [ASP-CLI-41]: `opened` alone is not success, a resume that has completed is. */
START_TEST(only_a_success_resets_the_delay) {
    rig.random = 499;
    for (unsigned i = 0; i < 3; i++)
        fail_to_connect(CUT);
    rig_forget(&rig);
    rig_open(&rig, 1, "c1");
    rig_expect_list(&rig, "", true);
    rig_cut(&rig);
    ck_assert_uint_eq(rig_event(&rig, ATHENA_SYNC_DISCONNECTED)->retry_ms, 499);
    rig.random = 3000;
    rig_forget(&rig);
    fail_to_connect(CUT);
    ck_assert_uint_eq(rig_event(&rig, ATHENA_SYNC_DISCONNECTED)->retry_ms, 3000);
    rig_forget(&rig);
    rig_open(&rig, 0, "c0");
    rig_cut(&rig);
    ck_assert_uint_eq(rig_event(&rig, ATHENA_SYNC_DISCONNECTED)->retry_ms, 0); /* 3000 % 500 */
}
END_TEST

/* [ASP-WS-33] [ASP-WS-35] */
START_TEST(a_silent_connection_is_probed_and_given_up) {
    rig_open(&rig, 0, "c0");
    rig_pass(&rig, session_default_times.idle_ms - 1);
    rig_expect_nothing(&rig);
    rig_pass(&rig, 1);
    uint64_t probe = rig_expect_list(&rig, "c0", false);
    ck_assert(session_is_in_sync(rig.session)); /* a probe asks for nothing */
    rig_say_listed(&rig, probe, 0, false, false, "c0");
    rig_pass(&rig, session_default_times.idle_ms);
    rig_expect_list(&rig, "c0", false);
    session_sent(rig.session, rig.now_ms); /* the probe itself */
    rig_pass(&rig, session_default_times.probe_ms - 1);
    ck_assert_uint_eq(rig.dropped, 0);
    rig_pass(&rig, 1);
    ck_assert_uint_eq(rig.dropped, 1);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_DISCONNECTED), 1);
}
END_TEST

START_TEST(a_stopped_session_stays_away) {
    rig_open(&rig, 0, "c0");
    session_stop(rig.session, rig.now_ms);
    ck_assert_uint_eq(rig.dropped, 1);
    ck_assert_uint_eq(session_deadline_ms(rig.session), UINT64_MAX);
    rig_add(&rig, 1);
    rig_pass(&rig, 1000000);
    ck_assert_uint_eq(rig.dialled, 1);
}
END_TEST

/* ---- Quarantine ---- */

/* [ASP-CLI-47]: on whatever way the good bytes come. */
START_TEST(good_bytes_take_the_place_of_damaged_ones) {
    rig_open(&rig, 0, "c0");
    rig.changes[0].data[70] ^= 1;
    rig_say_changed(&rig, 1, "c1");
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_QUARANTINED), 1);
    rig.changes[0].data[70] ^= 1;
    rig_say_changed(&rig, 2, "c2");
    if (_i == 0) {
        rig_say_changed(&rig, 1, "c3");
    } else {
        rig_cut(&rig);
        rig_open(&rig, 3, "c9");
        rig_say_listed(&rig, rig_expect_list(&rig, "c2", false), 0, false, false, "c9");
        rig_say_listed(&rig, rig_expect_list(&rig, "", false), 3, false, false, "c9");
        rig_say_listed(&rig, rig_expect_list(&rig, "", true), 3, true, false, "c9");
    }
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_CHANGE), 2);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_CONFLICT), 0);
    struct replica_counts counts = rig_counts(&rig);
    struct athena_digest known = rig_server(&rig).known;
    ck_assert_uint_eq(counts.readable, 2);
    ck_assert_uint_eq(counts.quarantined + counts.conflicts, 0);
    ck_assert(athena_digest_equal(&counts.digest, &known));
    ck_assert_int_eq(replica_verify_known(rig.replica, NULL), ATHENA_OK);
    ck_assert(session_is_in_sync(rig.session));
}
END_TEST

/* [ASP-CLI-26]: what opens is not given up for other bytes that do. */
START_TEST(what_the_application_refused_stays) {
    static const uint8_t plain[] = "another change under this id";
    rig_add(&rig, 1);
    ck_assert_int_eq(replica_begin(rig.replica, NULL), ATHENA_OK);
    ck_assert_int_eq(replica_quarantine(rig.replica, 1, "a test", NULL), ATHENA_OK);
    ck_assert_int_eq(replica_finish(rig.replica, ATHENA_OK, NULL), ATHENA_OK);
    rig_open(&rig, 0, "c0");
    struct athena_text_view id = {rig.changes[0].id, strlen(rig.changes[0].id)};
    athena_envelope_seal(rig.changes[0].data, &rig.keys, id,
                         (struct athena_bytes_view){plain, sizeof plain});
    rig_say_changed(&rig, 1, "c1");
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_CHANGE), 0);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_CONFLICT), 1);
}
END_TEST

int main(void) {
    const struct support_test tests[] = {
        {the_proof_fits, 1},
        {a_refused_open_is_told_and_tried_again, 1},
        {an_open_refused_for_now_is_no_fault, 1},
        {a_message_that_breaks_the_protocol_ends_the_connection, sizeof broken / sizeof broken[0]},
        {unknown_types_and_members_are_ignored, 1},
        {a_reply_of_another_kind_or_to_nothing_ends_the_connection, 4},
        {an_unacknowledged_push_is_repeated, 1},
        {ones_own_change_that_comes_back_is_acknowledged, 1},
        {a_change_refused_for_good_is_kept, 1},
        {a_conflict_gets_the_servers_bytes, 1},
        {what_has_no_room_waits, 1},
        {a_push_refused_for_now_is_repeated_when_told, 1},
        {a_push_that_is_a_fault_is_not_repeated_on_this_connection, 1},
        {a_push_keeps_to_the_batch, 1},
        {a_change_over_the_limit_waits_for_a_larger_one, 1},
        {the_delay_doubles_whatever_fails, FAILURES},
        {only_a_success_resets_the_delay, 1},
        {a_silent_connection_is_probed_and_given_up, 1},
        {a_stopped_session_stays_away, 1},
        {good_bytes_take_the_place_of_damaged_ones, 2},
        {what_the_application_refused_stays, 1},
        {in_sync_is_told_whatever_empties_the_outbox, 1},
    };
    return support_run("session", tests, sizeof tests / sizeof tests[0], set_up, tear_down);
}
