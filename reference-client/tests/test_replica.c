/* The replica's store on disk: what a step holds together, and what is there after it is reopened,
 * killed or damaged. */
#include "reference-client/replica_sql.h"
#include "reference-client/tests/support_main.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint8_t doc[ATHENA_DOC_BYTES] = {4, 2};
static const struct athena_text_view authority = {"sync.example", 12};
static const struct athena_text_view other_authority = {"other.example", 13};
static char folder[40];
static char path[64];
static struct replica *replica;

static void reopen(void) {
    struct athena_error error = {0};
    replica_close(replica);
    replica = NULL;
    ck_assert_msg(replica_open(&replica, path, &error) == ATHENA_OK, "%s", error.text);
    ck_assert_mem_eq(replica_doc(replica), doc, sizeof doc);
}

static void set_up(void) {
    snprintf(folder, sizeof folder, "/tmp/athena-store-XXXXXX");
    ck_assert_int_ge(sodium_init(), 0);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/replica.db", folder);
    ck_assert_int_eq(replica_create(path, doc, NULL), ATHENA_OK);
    reopen();
}

static void tear_down(void) {
    static const char *const endings[] = {"", "-wal", "-shm"};
    char name[80];
    replica_close(replica);
    replica = NULL;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        unlink(name);
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

static void run_sql(const char *sql) {
    ck_assert_msg(sqlite3_exec(replica->db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(replica->db));
}

/* ---- Changes: number n is named so, and has a byte of it ---- */

static struct athena_text_view name_of(char text[static 64], unsigned number) {
    int len = snprintf(text, 64, "ab:00000000-0000-4000-8000-%012u", number);
    return (struct athena_text_view){text, (size_t)len};
}

static uint64_t insert(unsigned number, enum change_state state, struct replica_server *holder) {
    char text[64];
    uint8_t byte = (uint8_t)number;
    struct replica_change change = {
        .id = name_of(text, number), .data = {&byte, 1}, .state = state, .is_own = !holder};
    ck_assert_int_eq(replica_insert(replica, &change, NULL, holder, NULL), ATHENA_OK);
    return change.number;
}

static void begin(void) {
    ck_assert_int_eq(replica_begin(replica, NULL), ATHENA_OK);
}

static void commit(void) {
    ck_assert_int_eq(replica_commit(replica, NULL), ATHENA_OK);
}

static void add(unsigned first, unsigned last) {
    begin();
    for (unsigned i = first; i <= last; i++)
        insert(i, CHANGE_READABLE, NULL);
    commit();
}

/* Views of it stay only until the next call. */
static struct replica_change find(unsigned number) {
    char text[64];
    struct replica_change change;
    ck_assert_int_eq(replica_find(replica, name_of(text, number), &change, NULL), ATHENA_OK);
    return change;
}

static struct replica_server server_of(struct athena_text_view name) {
    struct replica_server server;
    ck_assert_int_eq(replica_server(replica, name, &server, NULL), ATHENA_OK);
    ck_assert_int_gt(server.key, 0);
    return server;
}

/* The numbers that wait for this server, as digits. */
static void check_waiting(const struct replica_server *server, const char *expected) {
    char numbers[32] = "";
    struct replica_change change = {0};
    for (size_t len = 0;; len++) {
        ck_assert_int_eq(replica_next_waiting(replica, server, change.number, &change, NULL),
                         ATHENA_OK);
        if (change.number == 0)
            break;
        numbers[len] = (char)('0' + change.number);
    }
    ck_assert_str_eq(numbers, expected);
}

static struct replica_counts counts_of(const struct replica_server *server) {
    struct replica_counts counts;
    ck_assert_int_eq(replica_count(replica, server, &counts, NULL), ATHENA_OK);
    ck_assert_int_eq(replica_verify_known(replica, NULL), ATHENA_OK);
    return counts;
}

/* ---- The outbox ---- */

/* [ASP-CLI-2] [ASP-CLI-3] */
START_TEST(what_was_added_waits_for_every_server) {
    add(1, 2);
    reopen();
    struct replica_server server = server_of(authority);
    check_waiting(&server, "12");
    add(3, 3);
    check_waiting(&server, "123");
    struct replica_server other = server_of(other_authority);
    begin();
    ck_assert_int_eq(replica_learn(replica, &server, 2, find(2).hash, NULL), ATHENA_OK);
    ck_assert_int_eq(replica_save_server(replica, &server, NULL), ATHENA_OK);
    commit();
    reopen();
    server = server_of(authority);
    ck_assert_uint_eq(server.known.count, 1);
    check_waiting(&server, "13");
    check_waiting(&other, "123");
    ck_assert_uint_eq(counts_of(&server).waiting, 2);
    ck_assert_uint_eq(counts_of(&other).waiting, 3);
}
END_TEST

START_TEST(what_is_learned_twice_counts_once) {
    add(1, 1);
    struct replica_server server = server_of(authority);
    begin();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(replica_learn(replica, &server, 1, find(1).hash, NULL), ATHENA_OK);
    ck_assert_int_eq(replica_save_server(replica, &server, NULL), ATHENA_OK);
    commit();
    ck_assert_uint_eq(server.known.count, 1);
    struct athena_digest digest = counts_of(&server).digest;
    ck_assert(athena_digest_equal(&digest, &server.known));
}
END_TEST

/* [ASP-CLI-31] [ASP-CLI-34] [ASP-CLI-35] */
START_TEST(what_is_refused_stays_but_does_not_wait) {
    add(1, 3);
    struct replica_server server = server_of(authority);
    begin();
    ck_assert_int_eq(replica_refuse(replica, &server, 1, LACKING_REFUSED, 0, NULL), ATHENA_OK);
    ck_assert_int_eq(replica_refuse(replica, &server, 2, LACKING_TOO_LARGE, 100, NULL), ATHENA_OK);
    commit();
    reopen();
    check_waiting(&server, "3");
    ck_assert_uint_eq(counts_of(&server).refused, 2);
    begin();
    ck_assert_int_eq(replica_readmit(replica, &server, 100, NULL), ATHENA_OK);
    commit();
    check_waiting(&server, "3");
    begin();
    ck_assert_int_eq(replica_readmit(replica, &server, 101, NULL), ATHENA_OK);
    commit();
    check_waiting(&server, "23");
    ck_assert_uint_eq(counts_of(&server).refused, 1);
}
END_TEST

/* [ASP-CLI-27] [ASP-CLI-29] */
START_TEST(quarantine_lasts_and_is_never_sent) {
    struct replica_server server = server_of(authority);
    add(1, 2);
    begin();
    insert(3, CHANGE_QUARANTINED, &server);
    insert(4, CHANGE_QUARANTINED, NULL);
    ck_assert_int_eq(replica_save_server(replica, &server, NULL), ATHENA_OK);
    ck_assert_int_eq(replica_quarantine(replica, 1, "a test", NULL), ATHENA_OK);
    commit();
    reopen();
    struct replica_server other = server_of(other_authority);
    check_waiting(&server, "2");
    check_waiting(&other, "2");
    ck_assert_int_eq(find(1).state, CHANGE_QUARANTINED);
    ck_assert_int_eq(find(3).state, CHANGE_QUARANTINED);
    struct replica_counts counts = counts_of(&server);
    ck_assert_uint_eq(counts.readable, 1);
    ck_assert_uint_eq(counts.quarantined, 3);
    ck_assert_uint_eq(counts.digest.count, 4);
    ck_assert_uint_eq(server.known.count, 1); /* it showed one, and holds it */
}
END_TEST

/* ---- Conflicts ---- */

/* The server shows this byte for change 1. Whether that is news. */
static bool show(struct replica_server *server, uint8_t byte) {
    bool is_new;
    struct replica_change own = find(1);
    begin();
    ck_assert_int_eq(replica_learn_bytes(replica, server, &own,
                                         (struct athena_bytes_view){&byte, 1}, &is_new, NULL),
                     ATHENA_OK);
    ck_assert_int_eq(replica_save_server(replica, server, NULL), ATHENA_OK);
    commit();
    ck_assert_uint_eq(server->known.count, 1);
    ck_assert_int_eq(replica_verify_known(replica, NULL), ATHENA_OK);
    return is_new;
}

/* [ASP-CLI-26] */
START_TEST(other_bytes_are_kept_and_news_once) {
    struct replica_server server = server_of(authority);
    add(1, 1);
    ck_assert(show(&server, 7));
    reopen();
    ck_assert(!show(&server, 7));
    ck_assert_uint_eq(counts_of(&server).conflicts, 1);
    check_waiting(&server, "");
    ck_assert_uint_eq(*find(1).data.at, 1); /* the own bytes count */
    ck_assert(show(&server, 8));
    ck_assert_uint_eq(counts_of(&server).conflicts, 1);
    ck_assert(!show(&server, 1)); /* ours: the conflict is over */
    struct replica_counts counts = counts_of(&server);
    ck_assert_uint_eq(counts.conflicts, 0);
    ck_assert(athena_digest_equal(&counts.digest, &server.known));
}
END_TEST

/* ---- Replacing what is known ---- */

START_TEST(a_listing_of_all_replaces_what_was_known) {
    struct replica_server server = server_of(authority);
    struct number_set listed = {0};
    struct number_set live = {0};
    struct athena_digest live_share;
    add(1, 4);
    ck_assert(show(&server, 7)); /* in conflict, and not listed any more */
    ck_assert(number_set_add(&listed, 2));
    ck_assert(number_set_add(&live, 3));
    begin();
    ck_assert_int_eq(replica_replace_known(replica, &server, &listed, &live, &live_share, NULL),
                     ATHENA_OK);
    ck_assert_int_eq(replica_save_server(replica, &server, NULL), ATHENA_OK);
    commit();
    number_set_fini(&listed);
    number_set_fini(&live);
    reopen();
    server = server_of(authority);
    ck_assert_uint_eq(server.known.count, 2);
    ck_assert_uint_eq(live_share.count, 1);
    ck_assert_mem_eq(live_share.sum, find(3).hash, ATHENA_HASH_BYTES);
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
    add(1, 3);
    run_sql("UPDATE change SET id_hash = (SELECT id_hash FROM change WHERE number = 2)");
    ck_assert_uint_eq(find(2).number, 2);
    run_sql("DELETE FROM change WHERE number = 2");
    run_sql("INSERT INTO change SELECT 2, id || 'x', id_hash, data, hash, state, own, reason "
            "FROM change WHERE number = 1");
    ck_assert_uint_eq(find(2).number, 0);
}
END_TEST

START_TEST(changes_are_read_in_order) {
    struct replica_change change = {0};
    add(1, 3);
    for (uint64_t i = 1; i <= 3; i++) {
        ck_assert_int_eq(replica_next(replica, change.number, &change, NULL), ATHENA_OK);
        ck_assert_uint_eq(change.number, i);
        ck_assert(change.is_own);
    }
    static const uint64_t beyond[] = {3, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        ck_assert_int_eq(replica_next(replica, beyond[i], &change, NULL), ATHENA_OK);
        ck_assert_uint_eq(change.number, 0);
    }
}
END_TEST

/* ---- Texts and the saved document ---- */

static void check_text(const char *expected) {
    char text[8] = "before";
    ck_assert_int_eq(replica_get_text(replica, "url", text, sizeof text, NULL), ATHENA_OK);
    ck_assert_str_eq(text, expected);
}

START_TEST(texts_are_remembered) {
    check_text("");
    ck_assert_int_eq(replica_set_text(replica, "url", "ws://a/", NULL), ATHENA_OK);
    reopen();
    check_text("ws://a/");
    ck_assert_int_eq(replica_set_text(replica, "url", NULL, NULL), ATHENA_OK);
    check_text("");
}
END_TEST

static void check_document(const char *expected, uint64_t expected_through) {
    uint8_t *document;
    size_t len;
    uint64_t through;
    ck_assert_int_eq(replica_load_document(replica, &document, &len, &through, NULL), ATHENA_OK);
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
    ck_assert_int_eq(replica_load_document(replica, &document, &len, &through, NULL), ATHENA_OK);
    ck_assert_ptr_null(document);
    add(1, 3);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct athena_bytes_view bytes = {(const uint8_t *)texts[i], strlen(texts[i])};
        ck_assert_int_eq(replica_save_document(replica, bytes, i + 1, NULL), ATHENA_OK);
        reopen();
        check_document(texts[i], i + 1);
    }
    ck_assert_uint_eq(find(3).number, 3);
}
END_TEST

/* ---- Steps ---- */

/* [ASP-CLI-6] */
START_TEST(a_step_that_is_rolled_back_leaves_nothing) {
    struct replica_server server = server_of(authority);
    add(1, 1);
    begin();
    insert(2, CHANGE_READABLE, NULL);
    ck_assert_int_eq(replica_learn(replica, &server, 1, find(1).hash, NULL), ATHENA_OK);
    ck_assert_int_eq(replica_save_server(replica, &server, NULL), ATHENA_OK);
    replica_rollback(replica);
    server = server_of(authority);
    ck_assert_uint_eq(server.known.count, 0);
    check_waiting(&server, "1");
    ck_assert_uint_eq(find(2).number, 0);
    ck_assert_uint_eq(counts_of(&server).readable, 1);
    add(2, 2); /* and the next step is as good as any */
    check_waiting(&server, "12");
}
END_TEST

START_TEST(a_full_disk_is_an_error_that_leaves_the_rest) {
    struct athena_error error;
    static uint8_t data[1 << 20];
    char text[64];
    struct replica_change large = {.id = name_of(text, 2), .data = {data, sizeof data}};
    add(1, 1);
    run_sql("PRAGMA max_page_count = 20");
    begin();
    ck_assert_int_eq(replica_insert(replica, &large, NULL, NULL, &error), ATHENA_UNAVAILABLE);
    ck_assert_str_eq(error.text, "the replica's storage: database or disk is full");
    replica_rollback(replica);
    reopen();
    ck_assert_uint_eq(find(1).number, 1);
    ck_assert_uint_eq(find(2).number, 0);
    begin();
    ck_assert_int_eq(replica_insert(replica, &large, NULL, NULL, &error), ATHENA_OK);
    commit();
}
END_TEST

/* Stores changes from a server step by step, each with its cursor, and tells of each. */
_Noreturn static void store_without_end(int out) {
    if (replica_open(&replica, path, NULL) != ATHENA_OK)
        _exit(1);
    struct replica_server server = server_of(authority);
    for (unsigned i = 1;; i++) {
        begin();
        insert(i, CHANGE_READABLE, &server);
        snprintf(server.cursor, sizeof server.cursor, "%u", i);
        ck_assert_int_eq(replica_save_server(replica, &server, NULL), ATHENA_OK);
        commit();
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
    replica_close(replica);
    replica = NULL;
    unsigned told = kill_after(1 + 37 * (unsigned)_i);
    reopen();
    struct replica_server server = server_of(authority);
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

/* ---- Damage ---- */

static void check_cannot_open(enum athena_code code, const char *says) {
    struct athena_error error;
    struct replica *none = NULL;
    ck_assert_int_eq(replica_open(&none, path, &error), code);
    ck_assert_str_eq(error.text, says);
    ck_assert_int_eq(error.code, code);
    ck_assert_ptr_null(none);
}

START_TEST(a_version_that_is_not_known_is_refused) {
    run_sql("PRAGMA user_version = 2");
    check_cannot_open(ATHENA_UNAVAILABLE, "the replica has version 2, this program knows 1");
}
END_TEST

START_TEST(a_file_that_is_no_database_is_named) {
    static const char text[] = "this is not a database, and it is longer than a header of one, "
                               "which has a hundred bytes and a name to begin with";
    replica_close(replica);
    replica = NULL;
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, sizeof text, file), sizeof text);
    fclose(file);
    check_cannot_open(ATHENA_INTERNAL, "the replica's storage: file is not a database");
    ck_assert_int_eq(truncate(path, 0), 0);
    check_cannot_open(ATHENA_INTERNAL, "the replica's storage: the database is empty");
    ck_assert_int_eq(unlink(path), 0);
    check_cannot_open(ATHENA_UNAVAILABLE, "the replica's storage: unable to open database file");
}
END_TEST

START_TEST(a_database_that_does_not_say_what_it_is_is_named) {
    static const char *const faults[] = {
        "DELETE FROM meta WHERE name = 'doc'",
        "DELETE FROM meta WHERE name = 'id_key'",
        "UPDATE meta SET value = zeroblob(31) WHERE name = 'doc'",
    };
    run_sql(faults[_i]);
    check_cannot_open(ATHENA_INTERNAL, "the replica's storage: what it says of itself is damaged");
}
END_TEST

/* All but so many pages of the file at its beginning. */
static void overwrite_behind(long pages_kept) {
    static const uint8_t noise[4096] = {0xff, 0xee};
    replica_close(replica); /* which takes all into the one file */
    replica = NULL;
    FILE *file = fopen(path, "r+be");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    long pages = ftell(file) / (long)sizeof noise;
    ck_assert_int_gt(pages, pages_kept);
    ck_assert_int_eq(fseek(file, pages_kept * (long)sizeof noise, SEEK_SET), 0);
    for (long i = pages_kept; i < pages; i++)
        ck_assert_uint_eq(fwrite(noise, 1, sizeof noise, file), sizeof noise);
    fclose(file);
}

START_TEST(an_overwritten_page_is_damage) {
    struct athena_error error;
    struct replica_counts counts;
    add(1, 300);
    overwrite_behind(12); /* one for each table and index */
    ck_assert_int_eq(replica_open(&replica, path, &error), ATHENA_OK);
    ck_assert_int_eq(replica_count(replica, NULL, &counts, &error), ATHENA_INTERNAL);
    ck_assert_str_eq(error.text, "the replica's storage: database disk image is malformed");
    overwrite_behind(1);
    check_cannot_open(ATHENA_INTERNAL, "the replica's storage: database disk image is malformed");
}
END_TEST

START_TEST(a_damaged_change_is_named) {
    static const char *const faults[] = {
        "UPDATE change SET hash = zeroblob(31) WHERE number = 2",
        "UPDATE change SET id = hex(zeroblob(100)) WHERE number = 2",
    };
    struct athena_error error;
    struct replica_change change;
    add(1, 3);
    struct replica_server server = server_of(authority);
    run_sql(faults[_i]);
    ck_assert_int_eq(replica_next(replica, 0, &change, &error), ATHENA_OK);
    ck_assert_int_eq(replica_next(replica, 1, &change, &error), ATHENA_INTERNAL);
    ck_assert_str_eq(error.text, "the replica's storage: a change is damaged");
    ck_assert_int_eq(replica_next(replica, 2, &change, &error), ATHENA_OK);
    ck_assert_uint_eq(change.number, 3);
    ck_assert_int_eq(replica_next_waiting(replica, &server, 1, &change, &error), ATHENA_INTERNAL);
}
END_TEST

START_TEST(what_a_damaged_server_holds_is_named) {
    static const struct {
        const char *sql;
        const char *says;
    } faults[] = {
        {"UPDATE server SET sum = zeroblob(31)",
         "the replica's storage: what a server holds is damaged"},
        {"UPDATE server SET cursor = hex(zeroblob(33))",
         "the replica's storage: what a server holds is damaged"},
        {"UPDATE server SET count = 1",
         "the replica's storage: count and sum of a server's known changes do not fit them"},
        {"UPDATE server SET sum = randomblob(32)",
         "the replica's storage: count and sum of a server's known changes do not fit them"},
        {"DELETE FROM lacking",
         "the replica's storage: count and sum of a server's known changes do not fit them"},
    };
    struct athena_error error;
    struct replica_server server;
    add(1, 1);
    server_of(authority);
    run_sql(faults[_i].sql);
    ck_assert_int_eq(replica_verify_known(replica, &error), ATHENA_INTERNAL);
    ck_assert_str_eq(error.text, faults[_i].says);
    if (_i < 2)
        ck_assert_int_eq(replica_server(replica, authority, &server, &error), ATHENA_INTERNAL);
}
END_TEST

int main(void) {
    const struct support_test tests[] = {
        {what_was_added_waits_for_every_server, 1},
        {what_is_learned_twice_counts_once, 1},
        {what_is_refused_stays_but_does_not_wait, 1},
        {quarantine_lasts_and_is_never_sent, 1},
        {other_bytes_are_kept_and_news_once, 1},
        {a_listing_of_all_replaces_what_was_known, 1},
        {a_set_holds_what_was_added, 1},
        {equal_hashes_are_told_apart, 1},
        {changes_are_read_in_order, 1},
        {texts_are_remembered, 1},
        {one_document_is_kept_beside_the_changes, 1},
        {a_step_that_is_rolled_back_leaves_nothing, 1},
        {a_full_disk_is_an_error_that_leaves_the_rest, 1},
        {a_kill_at_any_moment_splits_no_step, 5},
        {a_version_that_is_not_known_is_refused, 1},
        {a_file_that_is_no_database_is_named, 1},
        {a_database_that_does_not_say_what_it_is_is_named, 3},
        {an_overwritten_page_is_damage, 1},
        {a_damaged_change_is_named, 2},
        {what_a_damaged_server_holds_is_named, 5},
    };
    return support_run("replica", tests, sizeof tests / sizeof tests[0], set_up, tear_down);
}
