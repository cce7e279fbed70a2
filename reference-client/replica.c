#include "reference-client/replica_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Sets of numbers ---- */

bool number_set_add(struct number_set *set, uint64_t number) {
    size_t byte = (size_t)(number / 8);
    if (byte >= set->bytes) {
        size_t bytes = (byte + 1) * 2;
        uint8_t *bits = realloc(set->bits, bytes);
        if (!bits)
            return false;
        memset(bits + set->bytes, 0, bytes - set->bytes);
        set->bits = bits;
        set->bytes = bytes;
    }
    set->bits[byte] |= (uint8_t)(1u << number % 8);
    return true;
}

bool number_set_has(const struct number_set *set, uint64_t number) {
    size_t byte = (size_t)(number / 8);
    return byte < set->bytes && set->bits[byte] >> number % 8 & 1;
}

void number_set_fini(struct number_set *set) {
    free(set->bits);
    *set = (struct number_set){0};
}

/* ---- Steps ---- */

static void roll_back(struct replica *r) {
    if (!sqlite3_get_autocommit(r->db)) /* SQLite may have done it already */
        sql_run(r, SQL_ROLLBACK, NULL);
}

enum athena_code replica_begin(struct replica *r, struct athena_error *error) {
    enum athena_code code = sql_run(r, SQL_BEGIN, error);
    if (code)
        roll_back(r); /* it may have begun and failed behind that */
    return code;
}

enum athena_code replica_finish(struct replica *r, enum athena_code code,
                                struct athena_error *error) {
    if (!code)
        code = sql_run(r, SQL_COMMIT, error);
    if (code)
        roll_back(r);
    return code;
}

/* ---- Changes ---- */

/* number, id, data, hash, state, own; false when they are damaged */
static bool read_change(sqlite3_stmt *row, struct replica_change *change) {
    struct athena_bytes_view hash = sql_blob(row, 3);
    change->number = (uint64_t)sqlite3_column_int64(row, 0);
    change->id = sql_text(row, 1);
    change->data = sql_blob(row, 2);
    change->state = (enum change_state)sqlite3_column_int(row, 4);
    change->is_own = sqlite3_column_int(row, 5) != 0;
    if (hash.len != ATHENA_HASH_BYTES || change->id.len > ATHENA_CHANGE_ID_TEXT_MAX)
        return false;
    memcpy(change->hash, hash.at, ATHENA_HASH_BYTES);
    return true;
}

/* Runs a query for one change. Its views stay valid until the statement is used again. */
static enum athena_code one_change(struct replica *r, enum sql which, struct replica_change *change,
                                   struct athena_error *error) {
    sqlite3_stmt *row = r->statements[which];
    change->number = 0;
    int step = sqlite3_step(row);
    if (step == SQLITE_ROW && read_change(row, change))
        return ATHENA_OK;
    enum athena_code code = step == SQLITE_DONE  ? ATHENA_OK
                            : step == SQLITE_ROW ? sql_damaged(error, "a change is damaged")
                                                 : sql_failed(r, error);
    sqlite3_reset(row);
    return code;
}

enum athena_code replica_check_change(const struct replica_change *change,
                                      struct athena_error *error) {
    char what[64];
    uint8_t hash[ATHENA_HASH_BYTES];
    athena_item_hash(hash, change->id, change->data);
    if (memcmp(hash, change->hash, sizeof hash) == 0)
        return ATHENA_OK;
    snprintf(what, sizeof what, "change %llu is damaged", (unsigned long long)change->number);
    return sql_damaged(error, what);
}

enum athena_code replica_find(struct replica *r, struct athena_text_view id,
                              struct replica_change *change, struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_FIND);
    sqlite3_bind_int64(row, 1, sql_id_hash(r, id));
    sql_bind_text(row, 2, id);
    return one_change(r, SQL_FIND, change, error);
}

enum athena_code replica_next(struct replica *r, uint64_t after, struct replica_change *change,
                              struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_NEXT);
    sqlite3_bind_int64(row, 1, after < INT64_MAX ? (int64_t)after : INT64_MAX);
    return one_change(r, SQL_NEXT, change, error);
}

/* Fills in number and hash. */
static enum athena_code insert_row(struct replica *r, struct replica_change *change,
                                   const char *reason, struct athena_error *error) {
    athena_item_hash(change->hash, change->id, change->data);
    sqlite3_stmt *row = sql_start(r, SQL_INSERT);
    sql_bind_text(row, 1, change->id);
    sqlite3_bind_int64(row, 2, sql_id_hash(r, change->id));
    if (sqlite3_bind_blob64(row, 3, change->data.at, change->data.len, SQLITE_STATIC))
        return sql_too_large(error);
    sqlite3_bind_blob(row, 4, change->hash, ATHENA_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_int(row, 5, (int)change->state);
    sqlite3_bind_int(row, 6, change->is_own);
    sqlite3_bind_text(row, 7, reason, -1, SQLITE_STATIC);
    enum athena_code code = sql_run(r, SQL_INSERT, error);
    change->number = (uint64_t)sqlite3_last_insert_rowid(r->db);
    return code;
}

enum athena_code replica_insert(struct replica *r, struct replica_change *change,
                                const char *reason, struct replica_server *holder,
                                struct athena_error *error) {
    enum athena_code code = insert_row(r, change, reason, error);
    if (code)
        return code;
    sqlite3_stmt *row = sql_start(r, SQL_ALL_LACK);
    sqlite3_bind_int64(row, 1, (int64_t)change->number);
    sqlite3_bind_int(row, 2,
                     change->state == CHANGE_READABLE ? LACKING_WAITING : LACKING_QUARANTINED);
    sqlite3_bind_int64(row, 3, holder ? holder->key : 0);
    code = sql_run(r, SQL_ALL_LACK, error);
    if (!code && holder)
        athena_digest_add(&holder->known, change->hash);
    return code;
}

enum athena_code replica_replace(struct replica *r, struct replica_change *change,
                                 struct athena_error *error) {
    static const enum sql steps[] = {SQL_MOVE_LACKING, SQL_MOVE_CONFLICTS, SQL_DELETE};
    int64_t before = (int64_t)change->number;
    sqlite3_stmt *row = sql_start(r, SQL_KEEP_REPLACED);
    sqlite3_bind_int64(row, 1, before);
    enum athena_code code = sql_run(r, SQL_KEEP_REPLACED, error);
    if (!code)
        code = insert_row(r, change, NULL, error);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !code; i++) {
        row = sql_start(r, steps[i]);
        sqlite3_bind_int64(row, 1, before);
        if (steps[i] != SQL_DELETE)
            sqlite3_bind_int64(row, 2, (int64_t)change->number);
        code = sql_run(r, steps[i], error);
    }
    row = sql_start(r, SQL_END_CONFLICTS); /* a server's other bytes may have been these */
    sqlite3_bind_int64(row, 1, (int64_t)change->number);
    sqlite3_bind_blob(row, 2, change->hash, ATHENA_HASH_BYTES, SQLITE_STATIC);
    return code ? code : sql_run(r, SQL_END_CONFLICTS, error);
}

enum athena_code replica_quarantine(struct replica *r, uint64_t number, const char *reason,
                                    struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_QUARANTINE);
    sqlite3_bind_int64(row, 1, (int64_t)number);
    sqlite3_bind_text(row, 2, reason, -1, SQLITE_STATIC);
    enum athena_code code = sql_run(r, SQL_QUARANTINE, error);
    if (code)
        return code;
    row = sql_start(r, SQL_QUARANTINE_LACKING);
    sqlite3_bind_int64(row, 1, (int64_t)number);
    return sql_run(r, SQL_QUARANTINE_LACKING, error);
}

/* ---- Servers ---- */

/* False when it is damaged. */
static bool read_server(sqlite3_stmt *row, struct replica_server *server) {
    struct athena_text_view cursor = sql_text(row, 1);
    struct athena_bytes_view sum = sql_blob(row, 3);
    if (cursor.len > ATHENA_CURSOR_TEXT_MAX || sum.len != ATHENA_HASH_BYTES)
        return false;
    server->key = sqlite3_column_int64(row, 0);
    memcpy(server->cursor, cursor.at, cursor.len);
    server->cursor[cursor.len] = '\0';
    server->known.count = (uint64_t)sqlite3_column_int64(row, 2);
    memcpy(server->known.sum, sum.at, ATHENA_HASH_BYTES);
    return true;
}

/* *server stays as it is when there is no row. */
static enum athena_code one_server(struct replica *r, sqlite3_stmt *row,
                                   struct replica_server *server, struct athena_error *error) {
    int step = sqlite3_step(row);
    if (step == SQLITE_ROW)
        return read_server(row, server) ? ATHENA_OK
                                        : sql_damaged(error, "what a server holds is damaged");
    return step == SQLITE_DONE ? ATHENA_OK : sql_failed(r, error);
}

enum athena_code replica_find_server(struct replica *r, struct athena_text_view authority,
                                     struct replica_server *server, struct athena_error *error) {
    *server = (struct replica_server){0};
    sqlite3_stmt *row = sql_start(r, SQL_FIND_SERVER);
    sql_bind_text(row, 1, authority);
    enum athena_code code = one_server(r, row, server, error);
    sqlite3_reset(row);
    return code;
}

static enum athena_code enter_server(struct replica *r, struct athena_text_view authority,
                                     struct replica_server *server, struct athena_error *error) {
    enum athena_code code = replica_begin(r, error);
    if (code)
        return code;
    sqlite3_stmt *row = sql_start(r, SQL_NEW_SERVER);
    sql_bind_text(row, 1, authority);
    code = sql_run(r, SQL_NEW_SERVER, error);
    server->key = sqlite3_last_insert_rowid(r->db);
    row = sql_start(r, SQL_LACK_ALL);
    sqlite3_bind_int64(row, 1, server->key);
    if (!code)
        code = sql_run(r, SQL_LACK_ALL, error);
    return replica_finish(r, code, error);
}

enum athena_code replica_server(struct replica *r, struct athena_text_view authority,
                                struct replica_server *server, struct athena_error *error) {
    enum athena_code code = replica_find_server(r, authority, server, error);
    return code || server->key ? code : enter_server(r, authority, server, error);
}

enum athena_code replica_forget_server(struct replica *r, const struct replica_server *server,
                                       struct athena_error *error) {
    static const enum sql steps[] = {SQL_FORGET_SERVER, SQL_FORGET_LACKING, SQL_FORGET_CONFLICTS};
    enum athena_code code = ATHENA_OK;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !code; i++) {
        sqlite3_bind_int64(sql_start(r, steps[i]), 1, server->key);
        code = sql_run(r, steps[i], error);
    }
    return code;
}

enum athena_code replica_save_server(struct replica *r, const struct replica_server *server,
                                     struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_SAVE_SERVER);
    sqlite3_bind_int64(row, 1, server->key);
    sqlite3_bind_text(row, 2, server->cursor, -1, SQLITE_STATIC);
    sqlite3_bind_int64(row, 3, (int64_t)server->known.count);
    sqlite3_bind_blob(row, 4, server->known.sum, ATHENA_HASH_BYTES, SQLITE_STATIC);
    return sql_run(r, SQL_SAVE_SERVER, error);
}

/* Takes the change off the list of what the server lacks; *was_lacking tells whether it was there.
 */
static enum athena_code stop_lacking(struct replica *r, const struct replica_server *server,
                                     uint64_t number, bool *was_lacking,
                                     struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_STOP_LACKING);
    sqlite3_bind_int64(row, 1, server->key);
    sqlite3_bind_int64(row, 2, (int64_t)number);
    enum athena_code code = sql_run(r, SQL_STOP_LACKING, error);
    *was_lacking = !code && sqlite3_changes(r->db) > 0;
    return code;
}

/* [ASP-CLI-7] [ASP-CLI-9] */
enum athena_code replica_learn(struct replica *r, struct replica_server *server, uint64_t number,
                               const uint8_t own_hash[static ATHENA_HASH_BYTES],
                               struct athena_error *error) {
    bool was_lacking;
    enum athena_code code = stop_lacking(r, server, number, &was_lacking, error);
    if (was_lacking)
        athena_digest_add(&server->known, own_hash);
    return code;
}

/* The hash of the bytes a server holds instead of ours; false when it holds ours. */
static bool conflict_hash(struct replica *r, int64_t server, uint64_t number,
                          uint8_t hash[static ATHENA_HASH_BYTES]) {
    sqlite3_stmt *row = sql_start(r, SQL_FIND_CONFLICT);
    sqlite3_bind_int64(row, 1, server);
    sqlite3_bind_int64(row, 2, (int64_t)number);
    bool found = sqlite3_step(row) == SQLITE_ROW && sql_blob(row, 0).len == ATHENA_HASH_BYTES;
    if (found)
        memcpy(hash, sql_blob(row, 0).at, ATHENA_HASH_BYTES);
    sqlite3_reset(row);
    return found;
}

static enum athena_code save_conflict(struct replica *r, const struct replica_server *server,
                                      uint64_t number, const uint8_t *hash,
                                      struct athena_bytes_view data, struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_SAVE_CONFLICT);
    sqlite3_bind_int64(row, 1, server->key);
    sqlite3_bind_int64(row, 2, (int64_t)number);
    sqlite3_bind_blob(row, 3, hash, ATHENA_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob64(row, 4, data.at, data.len, SQLITE_STATIC);
    return sql_run(r, SQL_SAVE_CONFLICT, error);
}

static enum athena_code forget_conflict(struct replica *r, const struct replica_server *server,
                                        uint64_t number, struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_FORGET_CONFLICT);
    sqlite3_bind_int64(row, 1, server->key);
    sqlite3_bind_int64(row, 2, (int64_t)number);
    return sql_run(r, SQL_FORGET_CONFLICT, error);
}

/* [ASP-CLI-8] */
enum athena_code replica_learn_bytes(struct replica *r, struct replica_server *server,
                                     const struct replica_change *own,
                                     struct athena_bytes_view data, bool *is_new,
                                     struct athena_error *error) {
    uint8_t before[ATHENA_HASH_BYTES];
    uint8_t hash[ATHENA_HASH_BYTES];
    bool was_lacking;
    athena_item_hash(hash, own->id, data);
    if (!conflict_hash(r, server->key, own->number, before))
        memcpy(before, own->hash, ATHENA_HASH_BYTES);
    bool is_conflict = memcmp(own->hash, hash, ATHENA_HASH_BYTES) != 0;
    *is_new = is_conflict && memcmp(before, hash, ATHENA_HASH_BYTES) != 0;
    enum athena_code code = is_conflict ? save_conflict(r, server, own->number, hash, data, error)
                                        : forget_conflict(r, server, own->number, error);
    if (!code)
        code = stop_lacking(r, server, own->number, &was_lacking, error);
    if (code)
        return code;
    if (!was_lacking)
        athena_digest_remove(&server->known, before);
    athena_digest_add(&server->known, hash);
    return ATHENA_OK;
}

/* ---- Replacing known ---- */

static enum athena_code set_lacking(struct replica *r, int64_t server, uint64_t number,
                                    enum lacking_why why, uint64_t limit, enum sql which,
                                    struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, which);
    sqlite3_bind_int64(row, 1, server);
    sqlite3_bind_int64(row, 2, (int64_t)number);
    sqlite3_bind_int(row, 3, (int)why);
    sqlite3_bind_int64(row, 4, (int64_t)limit);
    return sql_run(r, which, error);
}

/* A change that the server turned out not to hold: what it was refused for before still counts. */
static enum athena_code now_lacking(struct replica *r, const struct replica_server *server,
                                    uint64_t number, enum change_state state,
                                    struct athena_error *error) {
    enum lacking_why why = state == CHANGE_READABLE ? LACKING_WAITING : LACKING_QUARANTINED;
    enum athena_code code = forget_conflict(r, server, number, error);
    return code ? code : set_lacking(r, server->key, number, why, 0, SQL_LACK_IF_KNOWN, error);
}

enum athena_code replica_replace_known(struct replica *r, struct replica_server *server,
                                       const struct number_set *listed,
                                       const struct number_set *live,
                                       struct athena_digest *live_share,
                                       struct athena_error *error) {
    struct replica_change change = {0};
    enum athena_code code;
    server->known = *live_share = (struct athena_digest){0};
    while (!(code = replica_next(r, change.number, &change, error)) && change.number) {
        uint8_t hash[ATHENA_HASH_BYTES];
        bool ignored;
        uint64_t number = change.number;
        memcpy(hash, change.hash, sizeof hash);
        bool is_listed = number_set_has(listed, number);
        if (is_listed || number_set_has(live, number)) {
            conflict_hash(r, server->key, number, hash);
            athena_digest_add(&server->known, hash);
            if (!is_listed)
                athena_digest_add(live_share, hash);
            code = stop_lacking(r, server, number, &ignored, error);
        } else {
            code = now_lacking(r, server, number, change.state, error);
        }
        if (code)
            return code;
    }
    return code;
}

/* ---- The outbox ---- */

/* [ASP-CLI-3] */
enum athena_code replica_next_waiting(struct replica *r, const struct replica_server *server,
                                      uint64_t after, struct replica_change *change,
                                      struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_NEXT_WAITING);
    sqlite3_bind_int64(row, 1, server->key);
    sqlite3_bind_int64(row, 2, (int64_t)after);
    return one_change(r, SQL_NEXT_WAITING, change, error);
}

enum athena_code replica_refuse(struct replica *r, const struct replica_server *server,
                                uint64_t number, enum lacking_why why, uint64_t limit,
                                struct athena_error *error) {
    return set_lacking(r, server->key, number, why, limit, SQL_SET_LACKING, error);
}

enum athena_code replica_readmit(struct replica *r, const struct replica_server *server,
                                 uint64_t limit, struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_READMIT);
    sqlite3_bind_int64(row, 1, server->key);
    sqlite3_bind_int64(row, 2, (int64_t)limit);
    return sql_run(r, SQL_READMIT, error);
}

/* ---- The saved document ---- */

enum athena_code replica_save_document(struct replica *r, struct athena_bytes_view document,
                                       uint64_t through, struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_SAVE_DOCUMENT);
    sqlite3_bind_int64(row, 1, (int64_t)through);
    if (sqlite3_bind_blob64(row, 2, document.len ? document.at : (const uint8_t *)"", document.len,
                            SQLITE_STATIC))
        return sql_too_large(error);
    return sql_run(r, SQL_SAVE_DOCUMENT, error);
}

enum athena_code replica_load_document(struct replica *r, uint8_t **document, size_t *len,
                                       uint64_t *through, struct athena_error *error) {
    *document = NULL;
    *len = 0;
    *through = 0;
    sqlite3_stmt *row = sql_start(r, SQL_LOAD_DOCUMENT);
    int step = sqlite3_step(row);
    enum athena_code code =
        step == SQLITE_ROW || step == SQLITE_DONE ? ATHENA_OK : sql_failed(r, error);
    if (step == SQLITE_ROW) {
        struct athena_bytes_view saved = sql_blob(row, 1);
        *through = (uint64_t)sqlite3_column_int64(row, 0);
        *document = malloc(saved.len + 1);
        if (*document && saved.len)
            memcpy(*document, saved.at, saved.len);
        *len = saved.len;
        code = *document ? ATHENA_OK : sql_no_memory(error);
    }
    sqlite3_reset(row);
    return code;
}

/* ---- Sums ---- */

/* Sums one server's known changes and compares. */
static enum athena_code verify_server(struct replica *r, const struct replica_server *server,
                                      struct athena_error *error) {
    struct athena_digest sum = {0};
    sqlite3_stmt *row = sql_start(r, SQL_KNOWN_HASHES);
    sqlite3_bind_int64(row, 1, server->key);
    int step;
    while ((step = sqlite3_step(row)) == SQLITE_ROW)
        if (sql_blob(row, 0).len == ATHENA_HASH_BYTES)
            athena_digest_add(&sum, sql_blob(row, 0).at);
    enum athena_code code = step == SQLITE_DONE ? ATHENA_OK : sql_failed(r, error);
    sqlite3_reset(row);
    if (code || athena_digest_equal(&sum, &server->known))
        return code;
    return sql_damaged(error, "count and sum of a server's known changes do not fit them");
}

static enum athena_code next_server(struct replica *r, int64_t after, struct replica_server *server,
                                    struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_NEXT_SERVER);
    sqlite3_bind_int64(row, 1, after);
    server->key = 0;
    enum athena_code code = one_server(r, row, server, error);
    sqlite3_reset(row);
    return code;
}

enum athena_code replica_verify_known(struct replica *r, struct athena_error *error) {
    struct replica_server server = {0};
    enum athena_code code;
    while (!(code = next_server(r, server.key, &server, error)) && server.key) {
        code = verify_server(r, &server, error);
        if (code)
            return code;
    }
    return code;
}
