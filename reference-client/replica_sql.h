/* The replica's database: its statements by name, and what running them needs. */
#ifndef REFERENCE_CLIENT_REPLICA_SQL_H
#define REFERENCE_CLIENT_REPLICA_SQL_H

#include "reference-client/replica.h"

#include <sqlite3.h>

enum sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_FIND,
    SQL_NEXT,
    SQL_INSERT,
    SQL_ALL_LACK,
    SQL_KEEP_REPLACED,
    SQL_MOVE_LACKING,
    SQL_MOVE_CONFLICTS,
    SQL_END_CONFLICTS,
    SQL_DELETE,
    SQL_QUARANTINE,
    SQL_QUARANTINE_LACKING,
    SQL_FIND_SERVER,
    SQL_NEXT_SERVER,
    SQL_NEW_SERVER,
    SQL_LACK_ALL,
    SQL_FORGET_SERVER,
    SQL_FORGET_LACKING,
    SQL_FORGET_CONFLICTS,
    SQL_SAVE_SERVER,
    SQL_STOP_LACKING,
    SQL_SET_LACKING,
    SQL_LACK_IF_KNOWN,
    SQL_FIND_CONFLICT,
    SQL_SAVE_CONFLICT,
    SQL_FORGET_CONFLICT,
    SQL_NEXT_WAITING,
    SQL_READMIT,
    SQL_SAVE_DOCUMENT,
    SQL_LOAD_DOCUMENT,
    SQL_ATTENTION,
    SQL_HASHES,
    SQL_COUNT_SERVER,
    SQL_KNOWN_HASHES,
    SQL_INTEGRITY,
    SQL_SET_TEXT,
    SQL_GET_TEXT,
    SQL_COUNT
};

struct replica {
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT];
    uint8_t doc[ATHENA_DOC_BYTES];
    uint8_t id_key[16];
};

/* The statement, ready to be bound. A row still borrowed from it ends here. */
sqlite3_stmt *sql_start(struct replica *replica, enum sql which);
/* Runs a statement that gives no row. */
enum athena_code sql_run(struct replica *replica, enum sql which, struct athena_error *error);
/* The failures: what SQLite says, rows that do not fit, memory, more bytes than one row takes. */
enum athena_code sql_failed(struct replica *replica, struct athena_error *error);
enum athena_code sql_damaged(struct athena_error *error, const char *what);
enum athena_code sql_no_memory(struct athena_error *error);
enum athena_code sql_too_large(struct athena_error *error);

void sql_bind_text(sqlite3_stmt *statement, int index, struct athena_text_view text);
struct athena_text_view sql_text(sqlite3_stmt *statement, int column);
struct athena_bytes_view sql_blob(sqlite3_stmt *statement, int column);
int64_t sql_id_hash(const struct replica *replica, struct athena_text_view id);

#endif
