/* A damaged store: each kind is refused or reported as damage, and named. */
#include "reference-client/tests/support_store.h"

#include <stdio.h>
#include <unistd.h>

static struct support_store store;

static void set_up(void) {
    support_store_init(&store);
}

static void tear_down(void) {
    support_store_fini(&store);
}

static void check_cannot_open(enum athena_code code, const char *says) {
    struct athena_error error;
    struct replica *none = NULL;
    ck_assert_int_eq(replica_open(&none, store.path, &error), code);
    ck_assert_str_eq(error.text, says);
    ck_assert_int_eq(error.code, code);
    ck_assert_ptr_null(none);
}

START_TEST(a_version_that_is_not_known_is_refused) {
    support_store_run(&store, "PRAGMA user_version = 2");
    check_cannot_open(ATHENA_UNAVAILABLE, "the replica has version 2, this program knows 1");
}
END_TEST

START_TEST(a_file_that_is_no_database_is_named) {
    static const char text[] = "this is not a database, and it is longer than a header of one, "
                               "which has a hundred bytes and a name to begin with";
    support_store_close(&store);
    FILE *file = fopen(store.path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, sizeof text, file), sizeof text);
    fclose(file);
    check_cannot_open(ATHENA_INTERNAL, "the replica's storage: file is not a database");
    ck_assert_int_eq(truncate(store.path, 0), 0);
    check_cannot_open(ATHENA_INTERNAL, "the replica's storage: the database is empty");
    ck_assert_int_eq(unlink(store.path), 0);
    check_cannot_open(ATHENA_UNAVAILABLE, "the replica's storage: unable to open database file");
}
END_TEST

START_TEST(a_database_that_does_not_say_what_it_is_is_named) {
    static const char *const faults[] = {
        "DELETE FROM meta WHERE name = 'doc'",
        "DELETE FROM meta WHERE name = 'id_key'",
        "UPDATE meta SET value = zeroblob(31) WHERE name = 'doc'",
    };
    support_store_run(&store, faults[_i]);
    check_cannot_open(ATHENA_INTERNAL, "the replica's storage: what it says of itself is damaged");
}
END_TEST

/* All but so many pages of the file at its beginning. */
static void overwrite_behind(long pages_kept) {
    static const uint8_t noise[4096] = {0xff, 0xee};
    support_store_close(&store); /* which takes all into the one file */
    FILE *file = fopen(store.path, "r+be");
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
    support_store_add(&store, 1, 300);
    overwrite_behind(12); /* one for each table and index */
    ck_assert_int_eq(replica_open(&store.replica, store.path, &error), ATHENA_OK);
    ck_assert_int_eq(replica_count(store.replica, NULL, &counts, &error), ATHENA_INTERNAL);
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
    support_store_add(&store, 1, 3);
    struct replica_server server = support_store_server(&store, support_authority);
    support_store_run(&store, faults[_i]);
    ck_assert_int_eq(replica_next(store.replica, 0, &change, &error), ATHENA_OK);
    ck_assert_int_eq(replica_next(store.replica, 1, &change, &error), ATHENA_INTERNAL);
    ck_assert_str_eq(error.text, "the replica's storage: a change is damaged");
    ck_assert_int_eq(replica_next(store.replica, 2, &change, &error), ATHENA_OK);
    ck_assert_uint_eq(change.number, 3);
    ck_assert_int_eq(replica_next_waiting(store.replica, &server, 1, &change, &error),
                     ATHENA_INTERNAL);
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
    support_store_add(&store, 1, 1);
    support_store_server(&store, support_authority);
    support_store_run(&store, faults[_i].sql);
    ck_assert_int_eq(replica_verify_known(store.replica, &error), ATHENA_INTERNAL);
    ck_assert_str_eq(error.text, faults[_i].says);
    if (_i < 2)
        ck_assert_int_eq(replica_server(store.replica, support_authority, &server, &error),
                         ATHENA_INTERNAL);
}
END_TEST

int main(void) {
    const struct support_test tests[] = {
        {a_version_that_is_not_known_is_refused, 1},
        {a_file_that_is_no_database_is_named, 1},
        {a_database_that_does_not_say_what_it_is_is_named, 3},
        {an_overwritten_page_is_damage, 1},
        {a_damaged_change_is_named, 2},
        {what_a_damaged_server_holds_is_named, 5},
    };
    return support_run("damage", tests, sizeof tests / sizeof tests[0], set_up, tear_down);
}
