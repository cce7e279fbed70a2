/* What a folder holds: the saved document, and changes whose key is missing. */
#include "reference-client/athena_sync_internal.h"
#include "reference-client/tests/support_replica.h"
#include "reference-client/tests/support_session.h"

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void add_one(struct athena_sync *sync) {
    struct athena_sync_new_change change = {.actor = {"a1b2", 4},
                                            .plain = {(const uint8_t *)"hello", 5}};
    ck_assert_int_eq(athena_sync_add(sync, &change, 1, NULL, NULL, NULL), ATHENA_OK);
}

static void check_saved(struct athena_sync *sync, const char *text, uint64_t expected) {
    uint8_t *document;
    size_t len;
    uint64_t through;
    ck_assert_int_eq(athena_sync_load_document(sync, &document, &len, &through, NULL), ATHENA_OK);
    ck_assert_uint_eq(through, expected);
    ck_assert_uint_eq(len, strlen(text));
    ck_assert_int_eq(memcmp(document, text, len), 0);
    free(document);
}

START_TEST(a_saved_document_covers_only_what_is_there) {
    static const uint64_t too_far[] = {2, 3, INT64_MAX, UINT64_MAX};
    struct support_replica replica;
    struct athena_error error;
    struct athena_bytes_view first = {(const uint8_t *)"first", 5};
    struct athena_bytes_view second = {(const uint8_t *)"second", 6};
    support_replica_init(&replica, NULL);
    ck_assert_int_eq(athena_sync_save_document(replica.sync, first, 1, &error), ATHENA_BAD_ID);
    ck_assert_int_eq(athena_sync_save_document(replica.sync, first, 0, &error), ATHENA_OK);
    check_saved(replica.sync, "first", 0);
    add_one(replica.sync);
    ck_assert_int_eq(athena_sync_save_document(replica.sync, second, 1, &error), ATHENA_OK);
    for (size_t i = 0; i < sizeof too_far / sizeof too_far[0]; i++)
        ck_assert_int_eq(athena_sync_save_document(replica.sync, first, too_far[i], &error),
                         ATHENA_BAD_ID);
    check_saved(replica.sync, "second", 1);
    support_replica_fini(&replica);
}
END_TEST

static bool file_has(const char *path, const char *text) {
    static char bytes[1 << 20];
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file)
        fclose(file);
    return memmem(bytes, len, text, strlen(text)) != NULL;
}

START_TEST(a_saved_document_is_sealed) {
    static const char text[] = "what only devices with the key may read";
    struct support_replica replica;
    char path[128];
    support_replica_init(&replica, NULL);
    struct athena_bytes_view document = {(const uint8_t *)text, sizeof text - 1};
    ck_assert_int_eq(athena_sync_save_document(replica.sync, document, 0, NULL), ATHENA_OK);
    check_saved(replica.sync, text, 0);
    snprintf(path, sizeof path, "%s/replica.db-wal", replica.path);
    ck_assert(!file_has(path, text));
    athena_sync_close(replica.sync);
    snprintf(path, sizeof path, "%s/replica.db", replica.path);
    ck_assert(file_has(path, "document"));
    ck_assert(!file_has(path, text));
    ck_assert_int_eq(athena_sync_open(&replica.sync, replica.path, NULL, NULL), ATHENA_OK);
    check_saved(replica.sync, text, 0);
    support_replica_fini(&replica);
}
END_TEST

static void damage(const struct support_replica *replica, const char *sql) {
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/replica.db", replica->path);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

START_TEST(a_damaged_document_is_named) {
    struct support_replica replica;
    struct athena_error error;
    uint64_t count;
    support_replica_init(&replica, NULL);
    struct athena_bytes_view document = {(const uint8_t *)"text", 4};
    ck_assert_int_eq(athena_sync_save_document(replica.sync, document, 0, NULL), ATHENA_OK);
    ck_assert_int_eq(athena_sync_verify(replica.sync, NULL, NULL, &count, NULL), ATHENA_OK);
    damage(&replica, "UPDATE document SET data = zeroblob(44)");
    uint8_t *loaded;
    size_t len;
    ck_assert_int_eq(athena_sync_load_document(replica.sync, &loaded, &len, &count, &error),
                     ATHENA_INTERNAL);
    ck_assert_str_eq(error.text, "the saved document: is damaged");
    ck_assert_ptr_null(loaded);
    ck_assert_int_eq(athena_sync_verify(replica.sync, NULL, NULL, &count, &error), ATHENA_INTERNAL);
    support_replica_fini(&replica);
}
END_TEST

/* What the application makes of the second of three changes that are told: one of its own, and a
 * document with that. */
static struct athena_sync face;

static void add_and_save(struct athena_sync *sync, uint64_t told) {
    struct athena_bytes_view document = {(const uint8_t *)"text", 4};
    if (told != 2)
        return;
    add_one(sync);
    ck_assert_int_eq(athena_sync_save_document(sync, document, 4, NULL), ATHENA_OK);
}

static void save_in_handler(struct rig *rig, const struct athena_sync_event *event) {
    (void)rig;
    add_and_save(&face, event->type == ATHENA_SYNC_CHANGE ? event->change.number : 0);
}

static bool save_in_reading(void *ctx, const struct athena_sync_change *change) {
    add_and_save(ctx, change->number);
    return true;
}

/* [ASP-CLI-24] [ASP-CLI-45] */
START_TEST(a_saved_document_hides_no_change_still_to_be_told) {
    struct rig rig;
    rig_init(&rig);
    face = (struct athena_sync){
        .event_fd = -1, .replica = rig.replica, .keys = rig.keys, .session = rig.session};
    if (_i == 0) {
        rig.handler = save_in_handler;
        rig_open(&rig, 0, "c0");
        rig_say_changed(&rig, 7, "c3");
    } else {
        rig_add(&rig, 7);
        ck_assert_int_eq(athena_sync_each(&face, 0, save_in_reading, &face, NULL), ATHENA_OK);
    }
    check_saved(&face, "text", 2);
    struct athena_bytes_view later = {(const uint8_t *)"later", 5};
    ck_assert_int_eq(athena_sync_save_document(&face, later, 4, NULL), ATHENA_OK);
    check_saved(&face, "later", 4);
    rig_fini(&rig);
}
END_TEST

/* ---- Damage ---- */

static bool count_change(void *ctx, const struct athena_sync_change *change) {
    *(uint64_t *)ctx = *(uint64_t *)ctx * 10 + change->number;
    return true;
}

static bool count_envelope(void *ctx, const struct athena_sync_envelope *envelope) {
    (void)envelope;
    ++*(uint64_t *)ctx;
    return true;
}

static const struct {
    const char *sql;
    uint64_t read; /* what still can be, as a decimal number */
} damages[] = {
    {"UPDATE change SET data = zeroblob(171) WHERE number = 2", 13},
    {"UPDATE change SET hash = zeroblob(31) WHERE number = 2", 13},
    {"UPDATE change SET id = 'a1b2:' WHERE number = 2", 13},
    {"UPDATE change SET id_hash = 1", 123},
    {"PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = "
     "replace(sql, 'id_hash', 'state') WHERE name = 'change_by_id'",
     123},
};

START_TEST(what_is_damaged_is_named_and_the_rest_read) {
    struct support_replica replica;
    struct athena_error error;
    uint64_t seen = 0;
    support_replica_init(&replica, NULL);
    for (int i = 0; i < 3; i++)
        add_one(replica.sync);
    athena_sync_close(replica.sync);
    damage(&replica, damages[_i].sql);
    ck_assert_int_eq(athena_sync_open(&replica.sync, replica.path, NULL, NULL), ATHENA_OK);
    enum athena_code code = athena_sync_each(replica.sync, 0, count_change, &seen, &error);
    ck_assert_uint_eq(seen, damages[_i].read);
    ck_assert_int_eq(code, seen == 123 ? ATHENA_OK : ATHENA_INTERNAL);
    ck_assert(!code || strstr(error.text, "damaged"));
    seen = 0;
    code = athena_sync_each_envelope(replica.sync, count_envelope, &seen, &error);
    ck_assert_int_eq(code, seen == 3 ? ATHENA_OK : ATHENA_INTERNAL);
    ck_assert_int_eq(athena_sync_verify(replica.sync, NULL, NULL, &seen, &error), ATHENA_INTERNAL);
    support_replica_fini(&replica);
}
END_TEST

/* ---- Export and import ---- */

/* Takes over what is exported, as soon as it is; counts in quarantine. */
struct taking {
    struct athena_sync *target;
    unsigned quarantined;
};

static bool take(void *ctx, const struct athena_sync_envelope *envelope) {
    struct taking *taking = ctx;
    size_t imported;
    taking->quarantined += envelope->is_quarantined;
    ck_assert_int_eq(athena_sync_import(taking->target, envelope, 1, NULL, NULL, &imported, NULL),
                     ATHENA_OK);
    ck_assert_uint_eq(imported, 1);
    return true;
}

static bool quarantine_it(void *ctx, const struct athena_sync_change *change) {
    ck_assert_int_eq(athena_sync_quarantine(ctx, change->id, "a test", NULL), ATHENA_OK);
    return false;
}

START_TEST(an_export_takes_the_quarantine_along) {
    struct support_replica from;
    struct support_replica to;
    struct athena_sync_status before;
    struct athena_sync_status after;
    support_replica_init(&from, NULL);
    add_one(from.sync);
    add_one(from.sync);
    ck_assert_int_eq(athena_sync_each(from.sync, 0, quarantine_it, from.sync, NULL), ATHENA_OK);
    support_replica_join(&to, &from);
    struct taking taking = {.target = to.sync};
    ck_assert_int_eq(athena_sync_each_envelope(from.sync, take, &taking, NULL), ATHENA_OK);
    ck_assert_uint_eq(taking.quarantined, 1);
    ck_assert_int_eq(athena_sync_get_status(from.sync, &before, NULL), ATHENA_OK);
    ck_assert_int_eq(athena_sync_get_status(to.sync, &after, NULL), ATHENA_OK);
    ck_assert_uint_eq(after.changes, 1);
    ck_assert_uint_eq(after.quarantined, 1);
    ck_assert(athena_digest_equal(&before.digest, &after.digest));
    support_replica_fini(&to);
    support_replica_fini(&from);
}
END_TEST

static bool keep_id(void *ctx, const struct athena_sync_envelope *envelope) {
    snprintf(ctx, 64, "%.*s", (int)envelope->id.len, envelope->id.at);
    return false;
}

/* [ASP-CLI-47]: a damaged copy that was imported gives way to the change itself. */
START_TEST(an_import_mends_what_is_damaged) {
    struct support_replica from;
    struct support_replica to;
    struct athena_sync_status status;
    size_t imported;
    support_replica_init(&from, NULL);
    add_one(from.sync);
    support_replica_join(&to, &from);
    static const uint8_t byte = 1;
    char id[64];
    ck_assert_int_eq(athena_sync_each_envelope(from.sync, keep_id, id, NULL), ATHENA_OK);
    struct athena_sync_envelope damaged = {{id, strlen(id)}, {&byte, 1}, true};
    ck_assert_int_eq(athena_sync_import(to.sync, &damaged, 1, NULL, NULL, &imported, NULL),
                     ATHENA_OK);
    struct taking taking = {.target = to.sync};
    ck_assert_int_eq(athena_sync_each_envelope(from.sync, take, &taking, NULL), ATHENA_OK);
    ck_assert_int_eq(athena_sync_get_status(to.sync, &status, NULL), ATHENA_OK);
    ck_assert_uint_eq(status.changes, 1);
    ck_assert_uint_eq(status.quarantined, 0);
    support_replica_fini(&to);
    support_replica_fini(&from);
}
END_TEST

/* ---- Folders ---- */

/* A key that is lost here may be on another device. */
START_TEST(changes_without_a_key_are_not_replaced) {
    struct support_replica replica;
    struct athena_error error;
    uint8_t secret[ATHENA_SECRET_BYTES];
    char key[96];
    char kept[96];
    support_replica_init(&replica, NULL);
    snprintf(key, sizeof key, "%s/key", replica.path);
    snprintf(kept, sizeof kept, "%s/key", replica.folder);
    add_one(replica.sync);
    athena_sync_secret(replica.sync, secret);
    athena_sync_close(replica.sync);
    ck_assert_int_eq(rename(key, kept), 0);
    ck_assert_int_eq(athena_sync_create(replica.path, NULL, NULL, NULL, &error),
                     ATHENA_ALREADY_OPEN);
    ck_assert_int_eq(athena_sync_create(replica.path, secret, NULL, NULL, &error),
                     ATHENA_ALREADY_OPEN);
    ck_assert_int_eq(rename(kept, key), 0);
    ck_assert_int_eq(athena_sync_open(&replica.sync, replica.path, NULL, NULL), ATHENA_OK);
    struct athena_sync_status status;
    ck_assert_int_eq(athena_sync_get_status(replica.sync, &status, NULL), ATHENA_OK);
    ck_assert_uint_eq(status.changes, 1);
    support_replica_fini(&replica);
}
END_TEST

START_TEST(an_empty_replica_without_a_key_is_replaced) {
    struct support_replica replica;
    char key[96];
    support_replica_init(&replica, NULL);
    snprintf(key, sizeof key, "%s/key", replica.path);
    athena_sync_close(replica.sync);
    ck_assert_int_eq(unlink(key), 0);
    ck_assert_int_eq(athena_sync_create(replica.path, NULL, NULL, NULL, NULL), ATHENA_OK);
    ck_assert_int_eq(athena_sync_open(&replica.sync, replica.path, NULL, NULL), ATHENA_OK);
    support_replica_fini(&replica);
}
END_TEST

/* ---- Two processes at once ---- */

enum { RACERS = 3, ROUNDS = 40 };

/* Made or not, it is opened and added to by one process at a time; what was added is counted. */
static int race(const char *path, const uint8_t *secret, int start) {
    struct athena_sync *sync;
    struct athena_sync_new_change change = {.actor = {"a1b2", 4},
                                            .plain = {(const uint8_t *)"hello", 5}};
    char byte;
    if (read(start, &byte, 1) != 0) /* until all are there */
        return 2;
    enum athena_code code = athena_sync_create(path, secret, NULL, NULL, NULL);
    if (code && code != ATHENA_ALREADY_OPEN && code != ATHENA_UNAVAILABLE)
        return 2;
    if (athena_sync_open(&sync, path, NULL, NULL))
        return 1;
    code = athena_sync_add(sync, &change, 1, NULL, NULL, NULL);
    athena_sync_close(sync);
    return code ? 2 : 0;
}

/* Returns how many processes have added a change. */
static unsigned run_race(const char *path, const uint8_t *secret) {
    pid_t racers[RACERS];
    unsigned added = 0;
    int start[2];
    ck_assert_int_eq(pipe(start), 0);
    for (size_t i = 0; i < RACERS; i++) {
        racers[i] = fork();
        if (racers[i] == 0) {
            close(start[1]);
            _exit(race(path, secret, start[0]));
        }
    }
    close(start[1]);
    close(start[0]);
    for (size_t i = 0; i < RACERS; i++) {
        int status;
        ck_assert_int_eq(waitpid(racers[i], &status, 0), racers[i]);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        added += WEXITSTATUS(status) == 0;
    }
    return added;
}

/* Those who make a replica at once make one, and no change that was added to it is lost. */
START_TEST(a_replica_is_made_by_one_process) {
    uint8_t secret[ATHENA_SECRET_BYTES] = {7};
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct support_replica replica;
        struct athena_sync_status status;
        support_replica_folder(&replica);
        unsigned added = run_race(replica.path, _i == 0 ? NULL : secret);
        ck_assert_uint_ge(added, 1);
        ck_assert_int_eq(athena_sync_open(&replica.sync, replica.path, NULL, NULL), ATHENA_OK);
        ck_assert_int_eq(athena_sync_get_status(replica.sync, &status, NULL), ATHENA_OK);
        ck_assert_uint_eq(status.changes, added);
        support_replica_fini(&replica);
    }
}
END_TEST

/* [ASP-SEC-1] */
START_TEST(nobody_else_may_read_a_replica) {
    static const char *const files[] = {"key", "lock", "replica.db", "replica.db-wal",
                                        "replica.db-shm"};
    struct support_replica replica;
    struct stat status;
    umask(0);
    support_replica_init(&replica, NULL);
    add_one(replica.sync);
    ck_assert_int_eq(stat(replica.path, &status), 0);
    ck_assert_uint_eq(status.st_mode, S_IFDIR | 0700);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", replica.path, files[i]);
        ck_assert_int_eq(stat(path, &status), 0);
        ck_assert_msg(status.st_mode == (S_IFREG | 0600), "%s: %o", files[i], status.st_mode);
    }
    support_replica_fini(&replica);
}
END_TEST

int main(void) {
    const struct support_test tests[] = {
        {a_saved_document_covers_only_what_is_there, 1},
        {changes_without_a_key_are_not_replaced, 1},
        {an_empty_replica_without_a_key_is_replaced, 1},
        {a_replica_is_made_by_one_process, 2},
        {nobody_else_may_read_a_replica, 1},
        {a_saved_document_is_sealed, 1},
        {a_saved_document_hides_no_change_still_to_be_told, 2},
        {a_damaged_document_is_named, 1},
        {an_export_takes_the_quarantine_along, 1},
        {an_import_mends_what_is_damaged, 1},
        {what_is_damaged_is_named_and_the_rest_read, sizeof damages / sizeof damages[0]},
    };
    return support_run("contents", tests, sizeof tests / sizeof tests[0], NULL, NULL);
}
