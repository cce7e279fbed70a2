/* What a replica says of itself: counts, what needs attention, whether its file is whole. */
#include "reference-client/replica_sql.h"

#include <string.h>

static enum athena_code count_changes(struct replica *r, struct replica_counts *counts,
                                      struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_HASHES);
    int step;
    while ((step = sqlite3_step(row)) == SQLITE_ROW) {
        if (sqlite3_column_int(row, 1) == CHANGE_READABLE)
            counts->readable++;
        else
            counts->quarantined++;
        if (sql_blob(row, 0).len == ATHENA_HASH_BYTES)
            athena_digest_add(&counts->digest, sql_blob(row, 0).at);
    }
    enum athena_code code = step == SQLITE_DONE ? ATHENA_OK : sql_failed(r, error);
    sqlite3_reset(row);
    return code;
}

enum athena_code replica_count(struct replica *r, const struct replica_server *server,
                               struct replica_counts *counts, struct athena_error *error) {
    *counts = (struct replica_counts){0};
    enum athena_code code = count_changes(r, counts, error);
    if (code || !server)
        return code;
    sqlite3_stmt *row = sql_start(r, SQL_COUNT_SERVER);
    sqlite3_bind_int64(row, 1, server->key);
    if (sqlite3_step(row) != SQLITE_ROW)
        code = sql_failed(r, error);
    counts->waiting = (uint64_t)sqlite3_column_int64(row, 0);
    counts->refused = (uint64_t)sqlite3_column_int64(row, 1);
    counts->conflicts = (uint64_t)sqlite3_column_int64(row, 2);
    sqlite3_reset(row);
    return code;
}

enum athena_code replica_each_attention(struct replica *r, const struct replica_server *server,
                                        bool (*take)(void *ctx,
                                                     const struct replica_attention *attention),
                                        void *ctx, struct athena_error *error) {
    bool is_taken = true;
    int step = SQLITE_ROW;
    sqlite3_stmt *row = sql_start(r, SQL_ATTENTION);
    sqlite3_bind_int64(row, 1, server->key);
    while (is_taken && (step = sqlite3_step(row)) == SQLITE_ROW) {
        struct replica_attention attention = {.kind =
                                                  (enum attention_kind)sqlite3_column_int(row, 0),
                                              .number = (uint64_t)sqlite3_column_int64(row, 1),
                                              .id = sql_text(row, 2),
                                              .reason = sql_text(row, 3),
                                              .other = sql_blob(row, 4)};
        is_taken = take(ctx, &attention);
    }
    enum athena_code code = !is_taken             ? sql_no_memory(error)
                            : step == SQLITE_DONE ? ATHENA_OK
                                                  : sql_failed(r, error);
    sqlite3_reset(row);
    return code;
}

enum athena_code replica_verify_file(struct replica *r, struct athena_error *error) {
    sqlite3_stmt *row = sql_start(r, SQL_INTEGRITY);
    enum athena_code code = sqlite3_step(row) == SQLITE_ROW ? ATHENA_OK : sql_failed(r, error);
    struct athena_text_view verdict = code ? (struct athena_text_view){"", 0} : sql_text(row, 0);
    if (!code && (verdict.len != 2 || memcmp(verdict.at, "ok", 2) != 0))
        code = sql_damaged(error, verdict.at);
    sqlite3_reset(row);
    return code;
}
