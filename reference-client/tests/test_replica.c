/* The replica's store on disk: what a step holds together, and what is there after it is reopened
 * or killed. */
#include "reference-client/tests/support_store.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct support_store store;

static void set_up(void) {
    support_store_init(&store);
}

static void tear_down(void) {
    support_store_fini(&store);
}

/* ---- What is asked of it ---- */

/* The numbers that wait for this server, as digits. */
static void check_waiting(const struct replica_server *server, const char *expected) {
    char numbers[32] = "";
    struct replica_change change = {0};
    for (size_t len = 0;; len++) {
        ck_assert_int_eq(replica_next_waiting(store.replica, server, change.number, &change, NULL),
                         ATHENA_OK);
        if (change.number == 0)
            break;
        numbers[len] = (char)('0' + change.number);
    }
    ck_assert_str_eq(numbers, expected);
}

static struct replica_counts counts_of(const struct replica_server *server) {
    struct replica_counts counts;
    ck_assert_int_eq(replica_count(store.replica, server, &counts, NULL), ATHENA_OK);
    ck_assert_int_eq(replica_verify_known(store.replica, NULL), ATHENA_OK);
    return counts;
}

/* ---- The outbox ---- */

/* [ASP-CLI-2] [ASP-CLI-3] */
START_TEST(what_was_added_waits_for_every_server) {
    support_store_add(&store, 1, 2);
    support_store_reopen(&store);
    struct replica_server server = support_store_server(&store, support_authority);
    check_waiting(&server, "12");
    support_store_add(&store, 3, 3);
    check_waiting(&server, "123");
    struct replica_server other = support_store_server(&store, support_other_authority);
    support_store_begin(&store);
    ck_assert_int_eq(
        replica_learn(store.replica, &server, 2, support_store_find(&store, 2).hash, NULL),
        ATHENA_OK);
    ck_assert_int_eq(replica_save_server(store.replica, &server, NULL), ATHENA_OK);
    support_store_commit(&store);
    support_store_reopen(&store);
    server = support_store_server(&store, support_authority);
    ck_assert_uint_eq(server.known.count, 1);
    check_waiting(&server, "13");
    check_waiting(&other, "123");
    ck_assert_uint_eq(counts_of(&server).waiting, 2);
    ck_assert_uint_eq(counts_of(&other).waiting, 3);
}
END_TEST

START_TEST(what_is_learned_twice_counts_once) {
    support_store_add(&store, 1, 1);
    struct replica_server server = support_store_server(&store, support_authority);
    support_store_begin(&store);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(
            replica_learn(store.replica, &server, 1, support_store_find(&store, 1).hash, NULL),
            ATHENA_OK);
    ck_assert_int_eq(replica_save_server(store.replica, &server, NULL), ATHENA_OK);
    support_store_commit(&store);
    ck_assert_uint_eq(server.known.count, 1);
    struct athena_digest digest = counts_of(&server).digest;
    ck_assert(athena_digest_equal(&digest, &server.known));
}
END_TEST

/* [ASP-CLI-31] [ASP-CLI-34] [ASP-CLI-35] */
START_TEST(what_is_refused_stays_but_does_not_wait) {
    support_store_add(&store, 1, 3);
    struct replica_server server = support_store_server(&store, support_authority);
    support_store_begin(&store);
    ck_assert_int_eq(replica_refuse(store.replica, &server, 1, LACKING_REFUSED, 0, NULL),
                     ATHENA_OK);
    ck_assert_int_eq(replica_refuse(store.replica, &server, 2, LACKING_TOO_LARGE, 100, NULL),
                     ATHENA_OK);
    support_store_commit(&store);
    support_store_reopen(&store);
    check_waiting(&server, "3");
    ck_assert_uint_eq(counts_of(&server).refused, 2);
    support_store_begin(&store);
    ck_assert_int_eq(replica_readmit(store.replica, &server, 100, NULL), ATHENA_OK);
    support_store_commit(&store);
    check_waiting(&server, "3");
    support_store_begin(&store);
    ck_assert_int_eq(replica_readmit(store.replica, &server, 101, NULL), ATHENA_OK);
    support_store_commit(&store);
    check_waiting(&server, "23");
    ck_assert_uint_eq(counts_of(&server).refused, 1);
}
END_TEST

/* [ASP-CLI-27] [ASP-CLI-29] */
START_TEST(quarantine_lasts_and_is_never_sent) {
    struct replica_server server = support_store_server(&store, support_authority);
    support_store_add(&store, 1, 2);
    support_store_begin(&store);
    support_store_insert(&store, 3, CHANGE_QUARANTINED, &server);
    support_store_insert(&store, 4, CHANGE_QUARANTINED, NULL);
    ck_assert_int_eq(replica_save_server(store.replica, &server, NULL), ATHENA_OK);
    ck_assert_int_eq(replica_quarantine(store.replica, 1, "a test", NULL), ATHENA_OK);
    support_store_commit(&store);
    support_store_reopen(&store);
    struct replica_server other = support_store_server(&store, support_other_authority);
    check_waiting(&server, "2");
    check_waiting(&other, "2");
    ck_assert_int_eq(support_store_find(&store, 1).state, CHANGE_QUARANTINED);
    ck_assert_int_eq(support_store_find(&store, 3).state, CHANGE_QUARANTINED);
    struct replica_counts counts = counts_of(&server);
    ck_assert_uint_eq(counts.readable, 1);
    ck_assert_uint_eq(counts.quarantined, 3);
    ck_assert_uint_eq(counts.digest.count, 4);
    ck_assert_uint_eq(server.known.count, 1); /* it showed one, and holds it */
}
END_TEST

START_TEST(what_is_too_large_for_a_row_is_named) {
    static const uint8_t bytes[2000];
    struct athena_error error;
    struct athena_bytes_view data = {bytes, sizeof bytes};
    struct replica_change change = {.id = {"ab:00000000-0000-4000-8000-000000000001", 39},
                                    .data = data};
    sqlite3_limit(store.replica->db, SQLITE_LIMIT_LENGTH, 1000); /* as 1,000,000,000 is */
    support_store_begin(&store);
    enum athena_code code = replica_insert(store.replica, &change, NULL, NULL, &error);
    ck_assert_int_eq(replica_finish(store.replica, code, NULL), ATHENA_TOO_LARGE);
    ck_assert_int_eq(error.code, ATHENA_TOO_LARGE);
    ck_assert_int_eq(replica_save_document(store.replica, data, 0, &error), ATHENA_TOO_LARGE);
    support_store_add(&store, 1, 1);
}
END_TEST

/* ---- Conflicts ---- */

/* The server shows this byte for change 1. Whether that is news. */
static bool show(struct replica_server *server, uint8_t byte) {
    bool is_new;
    struct replica_change own = support_store_find(&store, 1);
    support_store_begin(&store);
    ck_assert_int_eq(replica_learn_bytes(store.replica, server, &own,
                                         (struct athena_bytes_view){&byte, 1}, &is_new, NULL),
                     ATHENA_OK);
    ck_assert_int_eq(replica_save_server(store.replica, server, NULL), ATHENA_OK);
    support_store_commit(&store);
    ck_assert_uint_eq(server->known.count, 1);
    ck_assert_int_eq(replica_verify_known(store.replica, NULL), ATHENA_OK);
    return is_new;
}

/* [ASP-CLI-26] */
START_TEST(other_bytes_are_kept_and_news_once) {
    struct replica_server server = support_store_server(&store, support_authority);
    support_store_add(&store, 1, 1);
    ck_assert(show(&server, 7));
    support_store_reopen(&store);
    ck_assert(!show(&server, 7));
    ck_assert_uint_eq(counts_of(&server).conflicts, 1);
    check_waiting(&server, "");
    ck_assert_uint_eq(*support_store_find(&store, 1).data.at, 1); /* the own bytes count */
    ck_assert(show(&server, 8));
    ck_assert_uint_eq(counts_of(&server).conflicts, 1);
    ck_assert(!show(&server, 1)); /* ours: the conflict is over */
    struct replica_counts counts = counts_of(&server);
    ck_assert_uint_eq(counts.conflicts, 0);
    ck_assert(athena_digest_equal(&counts.digest, &server.known));
}
END_TEST

/* [ASP-CLI-47]: one server holds the damaged bytes, one the good ones, one neither. */
START_TEST(a_replaced_change_leaves_what_servers_hold) {
    static const struct athena_text_view third_authority = {"third.example", 13};
    struct replica_server server = support_store_server(&store, support_authority);
    struct replica_server other = support_store_server(&store, support_other_authority);
    struct replica_server third = support_store_server(&store, third_authority);
    const uint8_t good = 7;
    support_store_begin(&store);
    support_store_insert(&store, 1, CHANGE_QUARANTINED, &server);
    support_store_insert(&store, 2, CHANGE_READABLE, NULL);
    ck_assert_int_eq(replica_save_server(store.replica, &server, NULL), ATHENA_OK);
    support_store_commit(&store);
    ck_assert(show(&other, good));
    struct replica_change change = support_store_find(&store, 1);
    change.data = (struct athena_bytes_view){&good, 1};
    change.state = CHANGE_READABLE;
    support_store_begin(&store);
    ck_assert_int_eq(replica_replace(store.replica, &change, NULL), ATHENA_OK);
    support_store_commit(&store);
    ck_assert_uint_eq(change.number, 3); /* nobody who has come to 2 passes it over */
    ck_assert_int_eq(replica_verify_known(store.replica, NULL), ATHENA_OK);
    ck_assert_uint_eq(counts_of(&server).conflicts, 1);
    ck_assert_uint_eq(counts_of(&other).conflicts, 0);
    check_waiting(&server, "2");
    check_waiting(&third, "23");
    ck_assert(!show(&server, good));
    ck_assert_uint_eq(counts_of(&server).conflicts, 0);
}
END_TEST

/* ---- Replacing what is known ---- */

START_TEST(a_listing_of_all_replaces_what_was_known) {
    struct replica_server server = support_store_server(&store, support_authority);
    struct number_set listed = {0};
    struct number_set live = {0};
    struct athena_digest live_share;
    support_store_add(&store, 1, 4);
    ck_assert(show(&server, 7)); /* in conflict, and not listed any more */
    ck_assert(number_set_add(&listed, 2));
    ck_assert(number_set_add(&live, 3));
    support_store_begin(&store);
    ck_assert_int_eq(
        replica_replace_known(store.replica, &server, &listed, &live, &live_share, NULL),
        ATHENA_OK);
    ck_assert_int_eq(replica_save_server(store.replica, &server, NULL), ATHENA_OK);
    support_store_commit(&store);
    number_set_fini(&listed);
    number_set_fini(&live);
    support_store_reopen(&store);
    server = support_store_server(&store, support_authority);
    ck_assert_uint_eq(server.known.count, 2);
    ck_assert_uint_eq(live_share.count, 1);
    ck_assert_mem_eq(live_share.sum, support_store_find(&store, 3).hash, ATHENA_HASH_BYTES);
    check_waiting(&server, "14");
    ck_assert_uint_eq(counts_of(&server).conflicts, 0);
}
END_TEST

START_TEST(a_set_holds_what_was_added) {
    struct number_set set = {0};
    ck_assert(!number_set_has(&set, 0));
    for (uint64_t number = 0; number <= 5000; number += 7)
        ck_assert(number_set_add(&set, number));
    for (uint64_t number = 0; number <= 50000; number++)
        ck_assert_int_eq(number_set_has(&set, number), number <= 5000 && number % 7 == 0);
    ck_assert(!number_set_has(&set, UINT64_MAX));
    number_set_fini(&set);
}
END_TEST

/* ---- Finding ---- */

/* The index has 64 bits of a hash; the id decides. */
START_TEST(equal_hashes_are_told_apart) {
    support_store_add(&store, 1, 3);
    support_store_run(&store,
                      "UPDATE change SET id_hash = (SELECT id_hash FROM change WHERE number = 2)");
    ck_assert_uint_eq(support_store_find(&store, 2).number, 2);
    support_store_run(&store, "DELETE FROM change WHERE number = 2");
    support_store_run(
        &store, "INSERT INTO change SELECT 2, id || 'x', id_hash, data, hash, state, own, reason "
                "FROM change WHERE number = 1");
    ck_assert_uint_eq(support_store_find(&store, 2).number, 0);
}
END_TEST

START_TEST(changes_are_read_in_order) {
    struct replica_change change = {0};
    support_store_add(&store, 1, 3);
    for (uint64_t i = 1; i <= 3; i++) {
        ck_assert_int_eq(replica_next(store.replica, change.number, &change, NULL), ATHENA_OK);
        ck_assert_uint_eq(change.number, i);
        ck_assert(change.is_own);
    }
    static const uint64_t beyond[] = {3, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        ck_assert_int_eq(replica_next(store.replica, beyond[i], &change, NULL), ATHENA_OK);
        ck_assert_uint_eq(change.number, 0);
    }
}
END_TEST

/* ---- Texts and the saved document ---- */

static void check_text(const char *expected) {
    char text[8] = "before";
    ck_assert_int_eq(replica_get_text(store.replica, "url", text, sizeof text, NULL), ATHENA_OK);
    ck_assert_str_eq(text, expected);
}

START_TEST(texts_are_remembered) {
    check_text("");
    ck_assert_int_eq(replica_set_text(store.replica, "url", "ws://a/", NULL), ATHENA_OK);
    support_store_reopen(&store);
    check_text("ws://a/");
    ck_assert_int_eq(replica_set_text(store.replica, "url", NULL, NULL), ATHENA_OK);
    check_text("");
}
END_TEST

static void check_document(const char *expected, uint64_t expected_through) {
    uint8_t *document;
    size_t len;
    uint64_t through;
    ck_assert_int_eq(replica_load_document(store.replica, &document, &len, &through, NULL),
                     ATHENA_OK);
    ck_assert_uint_eq(len, strlen(expected));
    ck_assert_int_eq(memcmp(document, expected, len), 0);
    ck_assert_uint_eq(through, expected_through);
    free(document);
}

START_TEST(one_document_is_kept_beside_the_changes) {
    static const char *const texts[] = {"first", "the second, longer", ""};
    uint8_t *document;
    size_t len;
    uint64_t through;
    ck_assert_int_eq(replica_load_document(store.replica, &document, &len, &through, NULL),
                     ATHENA_OK);
    ck_assert_ptr_null(document);
    support_store_add(&store, 1, 3);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct athena_bytes_view bytes = {(const uint8_t *)texts[i], strlen(texts[i])};
        ck_assert_int_eq(replica_save_document(store.replica, bytes, i + 1, NULL), ATHENA_OK);
        support_store_reopen(&store);
        check_document(texts[i], i + 1);
    }
    ck_assert_uint_eq(support_store_find(&store, 3).number, 3);
}
END_TEST

/* ---- Steps ---- */

/* [ASP-CLI-6] */
START_TEST(a_step_that_is_rolled_back_leaves_nothing) {
    struct replica_server server = support_store_server(&store, support_authority);
    support_store_add(&store, 1, 1);
    support_store_begin(&store);
    support_store_insert(&store, 2, CHANGE_READABLE, NULL);
    ck_assert_int_eq(
        replica_learn(store.replica, &server, 1, support_store_find(&store, 1).hash, NULL),
        ATHENA_OK);
    ck_assert_int_eq(replica_save_server(store.replica, &server, NULL), ATHENA_OK);
    ck_assert_int_eq(replica_finish(store.replica, ATHENA_CONFLICT, NULL), ATHENA_CONFLICT);
    server = support_store_server(&store, support_authority);
    ck_assert_uint_eq(server.known.count, 0);
    check_waiting(&server, "1");
    ck_assert_uint_eq(support_store_find(&store, 2).number, 0);
    ck_assert_uint_eq(counts_of(&server).readable, 1);
    support_store_add(&store, 2, 2); /* and the next step is as good as any */
    check_waiting(&server, "12");
}
END_TEST

START_TEST(a_full_disk_is_an_error_that_leaves_the_rest) {
    struct athena_error error;
    static uint8_t data[1 << 20];
    struct replica_change large = {.id = {"ab:large", 8}, .data = {data, sizeof data}};
    support_store_add(&store, 1, 1);
    support_store_run(&store, "PRAGMA max_page_count = 20");
    support_store_begin(&store);
    ck_assert_int_eq(replica_insert(store.replica, &large, NULL, NULL, &error), ATHENA_UNAVAILABLE);
    ck_assert_str_eq(error.text, "the replica's storage: database or disk is full");
    ck_assert_int_eq(replica_finish(store.replica, ATHENA_UNAVAILABLE, &error), ATHENA_UNAVAILABLE);
    support_store_reopen(&store);
    ck_assert_uint_eq(support_store_find(&store, 1).number, 1);
    ck_assert_uint_eq(support_store_find(&store, 2).number, 0);
    support_store_begin(&store);
    ck_assert_int_eq(replica_insert(store.replica, &large, NULL, NULL, &error), ATHENA_OK);
    support_store_commit(&store);
}
END_TEST

/* Stores changes from a server step by step, each with its cursor, and tells of each. */
_Noreturn static void store_without_end(int out) {
    if (replica_open(&store.replica, store.path, NULL) != ATHENA_OK)
        _exit(1);
    struct replica_server server = support_store_server(&store, support_authority);
    for (unsigned i = 1;; i++) {
        support_store_begin(&store);
        support_store_insert(&store, i, CHANGE_READABLE, &server);
        snprintf(server.cursor, sizeof server.cursor, "%u", i);
        ck_assert_int_eq(replica_save_server(store.replica, &server, NULL), ATHENA_OK);
        support_store_commit(&store);
        if (write(out, &i, sizeof i) != sizeof i)
            _exit(1);
    }
}

/* Kills the process once it has told of so many; returns the last it told of. */
static unsigned kill_after(unsigned told) {
    int ends[2];
    unsigned last = 0;
    int status;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(ends[0]);
        store_without_end(ends[1]);
    }
    close(ends[1]);
    while (last < told)
        ck_assert_int_eq(read(ends[0], &last, sizeof last), sizeof last);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    while (read(ends[0], &last, sizeof last) == sizeof last)
        ;
    close(ends[0]);
    return last;
}

/* [ASP-CLI-6] [ASP-CLI-23] */
START_TEST(a_kill_at_any_moment_splits_no_step) {
    support_store_close(&store);
    unsigned told = kill_after(1 + 37 * (unsigned)_i);
    support_store_reopen(&store);
    struct replica_server server = support_store_server(&store, support_authority);
    struct replica_counts counts = counts_of(&server);
    char cursor[16];
    ck_assert_uint_ge(server.known.count, told);
    ck_assert_uint_le(server.known.count, told + 1); /* stored, and killed before it told */
    ck_assert(athena_digest_equal(&counts.digest, &server.known));
    snprintf(cursor, sizeof cursor, "%u", (unsigned)server.known.count);
    ck_assert_str_eq(server.cursor, cursor);
    check_waiting(&server, "");
}
END_TEST

int main(void) {
    const struct support_test tests[] = {
        {what_was_added_waits_for_every_server, 1},
        {what_is_learned_twice_counts_once, 1},
        {what_is_refused_stays_but_does_not_wait, 1},
        {quarantine_lasts_and_is_never_sent, 1},
        {what_is_too_large_for_a_row_is_named, 1},
        {other_bytes_are_kept_and_news_once, 1},
        {a_replaced_change_leaves_what_servers_hold, 1},
        {a_listing_of_all_replaces_what_was_known, 1},
        {a_set_holds_what_was_added, 1},
        {equal_hashes_are_told_apart, 1},
        {changes_are_read_in_order, 1},
        {texts_are_remembered, 1},
        {one_document_is_kept_beside_the_changes, 1},
        {a_step_that_is_rolled_back_leaves_nothing, 1},
        {a_full_disk_is_an_error_that_leaves_the_rest, 1},
        {a_kill_at_any_moment_splits_no_step, 5},
    };
    return support_run("replica", tests, sizeof tests / sizeof tests[0], set_up, tear_down);
}
