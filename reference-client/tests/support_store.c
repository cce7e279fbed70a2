#include "reference-client/tests/support_store.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const uint8_t doc[ATHENA_DOC_BYTES] = {4, 2};
const struct athena_text_view support_authority = {"sync.example", 12};
const struct athena_text_view support_other_authority = {"other.example", 13};

/* ---- Life ---- */

void support_store_init(struct support_store *store) {
    *store = (struct support_store){.folder = "/tmp/athena-store-XXXXXX"};
    ck_assert_int_ge(sodium_init(), 0);
    ck_assert_ptr_nonnull(mkdtemp(store->folder));
    snprintf(store->path, sizeof store->path, "%s/replica.db", store->folder);
    ck_assert_int_eq(replica_create(store->path, doc, NULL, NULL), ATHENA_OK);
    support_store_reopen(store);
}

void support_store_fini(struct support_store *store) {
    static const char *const endings[] = {"", "-wal", "-shm"};
    char name[80];
    support_store_close(store);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        snprintf(name, sizeof name, "%s%s", store->path, endings[i]);
        unlink(name);
    }
    ck_assert_int_eq(rmdir(store->folder), 0);
}

void support_store_close(struct support_store *store) {
    replica_close(store->replica);
    store->replica = NULL;
}

void support_store_reopen(struct support_store *store) {
    struct athena_error error = {0};
    support_store_close(store);
    ck_assert_msg(replica_open(&store->replica, store->path, &error) == ATHENA_OK, "%s",
                  error.text);
    ck_assert_mem_eq(replica_doc(store->replica), doc, sizeof doc);
}

void support_store_run(struct support_store *store, const char *sql) {
    ck_assert_msg(sqlite3_exec(store->replica->db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s",
                  sql, sqlite3_errmsg(store->replica->db));
}

struct replica_server support_store_server(struct support_store *store,
                                           struct athena_text_view authority) {
    struct replica_server server;
    ck_assert_int_eq(replica_server(store->replica, authority, &server, NULL), ATHENA_OK);
    ck_assert_int_gt(server.key, 0);
    return server;
}

/* ---- Changes ---- */

void support_store_begin(struct support_store *store) {
    ck_assert_int_eq(replica_begin(store->replica, NULL), ATHENA_OK);
}

void support_store_commit(struct support_store *store) {
    ck_assert_int_eq(replica_finish(store->replica, ATHENA_OK, NULL), ATHENA_OK);
}

static struct athena_text_view name_of(char text[static 64], unsigned number) {
    int len = snprintf(text, 64, "ab:00000000-0000-4000-8000-%012u", number);
    return (struct athena_text_view){text, (size_t)len};
}

uint64_t support_store_insert(struct support_store *store, unsigned number, enum change_state state,
                              struct replica_server *holder) {
    char text[64];
    uint8_t byte = (uint8_t)number;
    struct replica_change change = {
        .id = name_of(text, number), .data = {&byte, 1}, .state = state, .is_own = !holder};
    ck_assert_int_eq(replica_insert(store->replica, &change, NULL, holder, NULL), ATHENA_OK);
    return change.number;
}

void support_store_add(struct support_store *store, unsigned first, unsigned last) {
    support_store_begin(store);
    for (unsigned i = first; i <= last; i++)
        support_store_insert(store, i, CHANGE_READABLE, NULL);
    support_store_commit(store);
}

struct replica_change support_store_find(struct support_store *store, unsigned number) {
    char text[64];
    struct replica_change change;
    ck_assert_int_eq(replica_find(store->replica, name_of(text, number), &change, NULL), ATHENA_OK);
    return change;
}
