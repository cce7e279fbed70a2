/* The steps a to e of section 12.3, each when it is due and not otherwise. */
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

static void expect_in_sync(unsigned held, const char *cursor) {
    rig_expect_nothing(&rig);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_IN_SYNC), 1);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 0);
    ck_assert(session_is_in_sync(rig.session));
    ck_assert_uint_eq(rig_held(&rig), held);
    ck_assert_str_eq(rig_server(&rig).cursor, cursor);
}

/* A device that is in sync with a log, and then cut off. */
static void know(unsigned log, const char *cursor) {
    rig_open(&rig, log, cursor);
    uint64_t list = rig_expect_list(&rig, "", true);
    rig_say_listed(&rig, list, log, true, false, cursor);
    expect_in_sync(log, cursor);
    rig_cut(&rig);
    rig_forget(&rig);
}

/* ---- a ---- */

/* [ASP-CLI-13] [ASP-CLI-20] */
START_TEST(an_equal_digest_needs_no_list) {
    know(7, "c1");
    rig_open(&rig, 7, "c2");
    expect_in_sync(7, "c2");
}
END_TEST

START_TEST(an_empty_document_needs_no_list) {
    rig_open(&rig, 0, "c0");
    expect_in_sync(0, "c0");
}
END_TEST

/* [ASP-CLI-10] [ASP-CLI-37] */
START_TEST(an_equal_digest_leaves_the_push) {
    know(3, "c1");
    rig_add(&rig, 4);
    rig_open(&rig, 3, "c1");
    uint64_t push = rig_expect_set(&rig, ATHENA_PUSH, 4);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_IN_SYNC), 0);
    rig_add(&rig, 8);
    rig_say_pushed(&rig, push, -1, ATHENA_OK);
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 8), -1, ATHENA_OK);
    expect_in_sync(15, "c1");
}
END_TEST

/* ---- b ---- */

/* [ASP-CLI-12]: whole changes for a device that has none, page by page. */
START_TEST(a_first_pull_lists_whole_changes) {
    rig_open(&rig, 7, "c3");
    uint64_t list = rig_expect_list(&rig, "", true);
    rig_say_listed(&rig, list, 3, true, true, "c2");
    list = rig_expect_list(&rig, "c2", true);
    ck_assert_str_eq(rig_server(&rig).cursor, "c2"); /* [ASP-CLI-19] */
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_CHANGE), 2);
    rig_say_listed(&rig, list, 4, true, false, "c3");
    expect_in_sync(7, "c3");
}
END_TEST

START_TEST(a_pull_goes_on_where_it_was_cut) {
    rig_open(&rig, 7, "c3");
    rig_say_listed(&rig, rig_expect_list(&rig, "", true), 3, true, true, "c2");
    rig_restart(&rig);
    rig_forget(&rig);
    rig_open(&rig, 7, "c3");
    rig_say_listed(&rig, rig_expect_list(&rig, "c2", false), 4, false, false, "c3");
    rig_say_got(&rig, rig_expect_set(&rig, ATHENA_GET, 4), 4, 0);
    expect_in_sync(7, "c3");
}
END_TEST

START_TEST(what_is_behind_the_cursor_is_got) {
    know(3, "c1");
    rig_add(&rig, 8);
    rig_open(&rig, 3 | 4 | 16, "c3");
    rig_say_listed(&rig, rig_expect_list(&rig, "c1", false), 4 | 16, false, false, "c3");
    uint64_t get = rig_expect_set(&rig, ATHENA_GET, 4 | 16);
    ck_assert_str_eq(rig_server(&rig).cursor, "c1"); /* [ASP-CLI-18] */
    rig_say_got(&rig, get, 4, 0);                    /* a beginning of it */
    rig_say_got(&rig, rig_expect_set(&rig, ATHENA_GET, 16), 16, 0);
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 8), -1, ATHENA_OK);
    expect_in_sync(31, "c3");
}
END_TEST

/* [ASP-CLI-17] */
START_TEST(an_unknown_cursor_leads_to_a_list_of_all) {
    know(3, "c1");
    rig_open(&rig, 1 | 4, "d2");
    rig_say_error(&rig, rig_expect_list(&rig, "c1", false), ATHENA_UNKNOWN_CURSOR, 0);
    rig_say_listed(&rig, rig_expect_list(&rig, "", false), 1 | 4, false, false, "d2");
    rig_say_got(&rig, rig_expect_set(&rig, ATHENA_GET, 4), 4, 0);
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 2), -1, ATHENA_OK);
    expect_in_sync(7, "d2");
}
END_TEST

/* ---- c ---- */

START_TEST(a_wiped_server_gets_everything_back) {
    know(7, "c1");
    rig_open(&rig, 0, "d0");
    rig_say_listed(&rig, rig_expect_list(&rig, "c1", false), 0, false, false, "d0");
    rig_say_listed(&rig, rig_expect_list(&rig, "", false), 0, false, false, "d0");
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 7), -1, ATHENA_OK);
    expect_in_sync(7, "d0");
}
END_TEST

START_TEST(the_list_of_all_replaces_what_was_known) {
    know(7, "c1");
    rig_open(&rig, 3 | 8, "d3");
    rig_say_listed(&rig, rig_expect_list(&rig, "c1", false), 8, false, false, "d3");
    rig_say_got(&rig, rig_expect_set(&rig, ATHENA_GET, 8), 8, 0);
    rig_say_listed(&rig, rig_expect_list(&rig, "", false), 3, false, true, "d2");
    rig_say_listed(&rig, rig_expect_list(&rig, "d2", false), 8, false, false, "d3");
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 4), -1, ATHENA_OK);
    expect_in_sync(15, "d3");
}
END_TEST

/* ---- d ---- */

/* [ASP-CLI-15] [ASP-CLI-26]: the server's bytes of one change are not ours. */
START_TEST(other_bytes_are_found_and_known_from_then_on) {
    know(3, "c1");
    rig.changes[0].data[60] ^= 1; /* as the server has it from now on */
    rig_open(&rig, 3, "d2");
    rig_say_listed(&rig, rig_expect_list(&rig, "c1", false), 0, false, false, "d2");
    rig_say_listed(&rig, rig_expect_list(&rig, "", false), 3, false, false, "d2");
    rig_say_listed(&rig, rig_expect_list(&rig, "", true), 3, true, false, "d2");
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_CONFLICT), 1);
    ck_assert_str_eq(rig_event(&rig, ATHENA_SYNC_CONFLICT)->id, rig.changes[0].id);
    expect_in_sync(3, "d2");
    ck_assert_uint_eq(rig_counts(&rig).conflicts, 1);
    rig_cut(&rig);
    rig_forget(&rig);
    rig_open(&rig, 3, "d2"); /* and the next time no list is needed */
    expect_in_sync(3, "d2");
}
END_TEST

START_TEST(a_digest_that_never_agrees_is_a_fault_once) {
    know(3, "c1");
    rig_add(&rig, 8);
    rig_open(&rig, 7, "d3");
    rig_say_listed(&rig, rig_expect_list(&rig, "c1", false), 0, false, false, "d3");
    rig_say_listed(&rig, rig_expect_list(&rig, "", false), 3, false, false, "d3");
    rig_say_listed(&rig, rig_expect_list(&rig, "", true), 3, true, false, "d3");
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 1);
    ck_assert_int_eq(rig_event(&rig, ATHENA_SYNC_FAULT)->code, ATHENA_INTERNAL);
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 8), -1, ATHENA_OK);
    rig_expect_nothing(&rig);
}
END_TEST

START_TEST(a_first_list_with_data_is_not_repeated) {
    rig_open(&rig, 7, "d3");
    rig_say_listed(&rig, rig_expect_list(&rig, "", true), 3, true, false, "d3");
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_FAULT), 1);
    rig_expect_nothing(&rig);
}
END_TEST

/* ---- Live meanwhile ---- */

/* [ASP-CLI-14] [ASP-CLI-21] */
START_TEST(what_comes_live_is_not_compared_with_opened) {
    know(3, "c1");
    rig_open(&rig, 7, "c2");
    uint64_t list = rig_expect_list(&rig, "c1", false);
    rig_say_changed(&rig, 8, "c3");
    ck_assert_str_eq(rig_server(&rig).cursor, "c1");
    rig_say_listed(&rig, list, 4, false, false, "c2");
    uint64_t get = rig_expect_set(&rig, ATHENA_GET, 4);
    rig_say_changed(&rig, 16, "c4");
    rig_say_got(&rig, get, 4, 0);
    expect_in_sync(31, "c2");
    rig_say_changed(&rig, 32, "c5");
    ck_assert_str_eq(rig_server(&rig).cursor, "c5");
    rig_cut(&rig);
    rig_forget(&rig);
    rig_open(&rig, 63, "c5");
    expect_in_sync(63, "c5");
}
END_TEST

/* [ASP-CLI-16] [ASP-CLI-22] */
START_TEST(no_cursor_is_adopted_past_what_is_missing) {
    know(3, "c1");
    rig_open(&rig, 3 | 4 | 8, "c3");
    rig_say_listed(&rig, rig_expect_list(&rig, "c1", false), 4 | 8, false, false, "c3");
    rig_say_got(&rig, rig_expect_set(&rig, ATHENA_GET, 4 | 8), 4, 8);
    ck_assert_uint_ge(rig_count(&rig, ATHENA_SYNC_FAULT), 1);
    rig_say_listed(&rig, rig_expect_list(&rig, "", false), 3 | 4, false, false, "c3");
    rig_say_listed(&rig, rig_expect_list(&rig, "", true), 3 | 4, true, false, "c3");
    rig_say_changed(&rig, 16, "c4");
    rig_expect_nothing(&rig);
    ck_assert_str_eq(rig_server(&rig).cursor, "c1");
    ck_assert_uint_eq(rig_server(&rig).known.count, 4);
    ck_assert_uint_eq(rig_held(&rig), 3 | 4 | 16);
}
END_TEST

/* [ASP-CLI-27] [ASP-CLI-28] [ASP-CLI-29]: what does not open is kept, counted, and no list later.
 */
START_TEST(quarantine_disturbs_nothing) {
    rig.changes[1].data[60] ^= 1;
    rig_open(&rig, 7, "c3");
    rig_say_listed(&rig, rig_expect_list(&rig, "", true), 7, true, false, "c3");
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_QUARANTINED), 1);
    ck_assert_uint_eq(rig_count(&rig, ATHENA_SYNC_CHANGE), 2);
    ck_assert_str_eq(rig_event(&rig, ATHENA_SYNC_QUARANTINED)->id, rig.changes[1].id);
    expect_in_sync(7, "c3");
    rig_restart(&rig);
    rig_forget(&rig);
    rig_open(&rig, 7, "c3");
    expect_in_sync(7, "c3");
    rig_cut(&rig);
    rig_open(&rig, 0, "d0"); /* a wiped server does not get it */
    rig_say_listed(&rig, rig_expect_list(&rig, "c3", false), 0, false, false, "d0");
    rig_say_listed(&rig, rig_expect_list(&rig, "", false), 0, false, false, "d0");
    rig_expect_set(&rig, ATHENA_PUSH, 5);
}
END_TEST

int main(void) {
    const struct support_test tests[] = {
        {an_equal_digest_needs_no_list, 1},
        {an_empty_document_needs_no_list, 1},
        {an_equal_digest_leaves_the_push, 1},
        {a_first_pull_lists_whole_changes, 1},
        {a_pull_goes_on_where_it_was_cut, 1},
        {what_is_behind_the_cursor_is_got, 1},
        {an_unknown_cursor_leads_to_a_list_of_all, 1},
        {a_wiped_server_gets_everything_back, 1},
        {the_list_of_all_replaces_what_was_known, 1},
        {other_bytes_are_found_and_known_from_then_on, 1},
        {a_digest_that_never_agrees_is_a_fault_once, 1},
        {a_first_list_with_data_is_not_repeated, 1},
        {what_comes_live_is_not_compared_with_opened, 1},
        {no_cursor_is_adopted_past_what_is_missing, 1},
        {quarantine_disturbs_nothing, 1},
    };
    return support_run("resume", tests, sizeof tests / sizeof tests[0], set_up, tear_down);
}
