/* What needs attention is named as long as it is so; servers are entered late, and can be
 * forgotten.
 */
#include "reference-client/athena_sync_internal.h"
#include "reference-client/replica_sql.h"
#include "reference-client/tests/support_session.h"

#include <stdio.h>
#include <string.h>

#define NOT_OPEN "does not authenticate: another key, document or id, or altered bytes"

static struct rig rig;
static struct athena_sync face; /* the library's, over the rig's replica and session */

static void set_up(void) {
    rig_init(&rig);
    face = (struct athena_sync){
        .event_fd = -1, .replica = rig.replica, .keys = rig.keys, .session = rig.session};
    ck_assert_int_eq(replica_set_text(rig.replica, "url", "ws://sync.example/", NULL), ATHENA_OK);
}

static void tear_down(void) {
    rig_fini(&rig);
}

/* "quarantined 1 why\n" and so on. */
static bool write_down(void *ctx, const struct athena_sync_attention *attention) {
    static const char *const names[] = {
        [ATHENA_SYNC_QUARANTINED] = "quarantined",
        [ATHENA_SYNC_REFUSED] = "refused",
        [ATHENA_SYNC_CONFLICT] = "conflict",
    };
    char *text = ctx;
    ck_assert_uint_gt(attention->id.len, 36);
    snprintf(text + strlen(text), 500 - strlen(text), "%s %d %.*s%s\n", names[attention->type],
             (int)attention->number, (int)attention->reason.len, attention->reason.at,
             attention->other.len > 0 ? " *" : "");
    return true;
}

static void check_attention(const char *expected) {
    char text[500] = "";
    ck_assert_int_eq(athena_sync_each_attention(&face, write_down, text, NULL), ATHENA_OK);
    ck_assert_str_eq(text, expected);
}

START_TEST(what_needs_attention_is_named) {
    struct athena_limits limits = rig_limits;
    check_attention("");
    rig_add(&rig, 7);
    rig_greet(&rig, &limits);
    struct athena_message opened = {.type = ATHENA_OPENED, .has_req = true, .has_doc = true};
    opened.req = rig_expect(&rig, ATHENA_OPEN).req;
    memcpy(opened.doc, rig.keys.doc, sizeof opened.doc);
    opened.cursor = (struct athena_text_view){"c0", 2};
    rig_say(&rig, &opened);
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 7), 1, ATHENA_BAD_CHANGE);
    rig.changes[2].data[60] ^= 1;
    rig.changes[3].data[60] ^= 1;
    rig_say_changed(&rig, 12, "c1");
    ck_assert_int_eq(athena_sync_quarantine(
                         &face,
                         (struct athena_text_view){rig.changes[0].id, strlen(rig.changes[0].id)},
                         "no change to Automerge", NULL),
                     ATHENA_OK);
    check_attention("quarantined 1 no change to Automerge\n"
                    "quarantined 4 " NOT_OPEN "\n"
                    "refused 2 the server refuses it\n"
                    "conflict 3 the server holds other bytes under this id *\n");
    ck_assert_int_eq(replica_set_text(rig.replica, "url", "ws://other.example/", NULL), ATHENA_OK);
    check_attention("quarantined 1 no change to Automerge\nquarantined 4 " NOT_OPEN "\n");
}
END_TEST

static int64_t count_rows(const char *table) {
    char sql[64];
    sqlite3_stmt *row;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    ck_assert_int_eq(sqlite3_prepare_v2(rig.replica->db, sql, -1, &row, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(row), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return count;
}

/* Looking and mistyping leave nothing behind; a server that has opened the document does. */
START_TEST(a_server_is_kept_once_it_has_opened) {
    struct athena_sync_status status;
    rig_add(&rig, 3);
    ck_assert_int_eq(athena_sync_get_status(&face, &status, NULL), ATHENA_OK);
    ck_assert(status.has_server && !status.has_cursor);
    ck_assert_uint_eq(status.pending, 2);
    ck_assert_int_eq(count_rows("server") + count_rows("lacking"), 0);
    rig_open(&rig, 0, "c0");
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 3), 1, ATHENA_BAD_CHANGE);
    ck_assert_int_eq(count_rows("server"), 1);
    ck_assert_int_eq(count_rows("lacking"), 1);
    ck_assert_int_eq(athena_sync_forget_server(&face, "ws://sync.example/", NULL),
                     ATHENA_ALREADY_OPEN);
    face.session = NULL;
    ck_assert_int_eq(athena_sync_forget_server(&face, "ws://other.example/", NULL), ATHENA_BAD_URL);
    ck_assert_int_eq(athena_sync_forget_server(&face, "http://sync.example/", NULL),
                     ATHENA_BAD_URL);
    ck_assert_int_eq(athena_sync_forget_server(&face, "ws://sync.example/x", NULL), ATHENA_OK);
    ck_assert_int_eq(count_rows("server") + count_rows("lacking"), 0);
    ck_assert_int_eq(athena_sync_get_status(&face, &status, NULL), ATHENA_OK);
    ck_assert_uint_eq(status.pending, 2);
    ck_assert_uint_eq(status.refused, 0);
}
END_TEST

int main(void) {
    const struct support_test tests[] = {
        {what_needs_attention_is_named, 1},
        {a_server_is_kept_once_it_has_opened, 1},
    };
    return support_run("attention", tests, sizeof tests / sizeof tests[0], set_up, tear_down);
}
