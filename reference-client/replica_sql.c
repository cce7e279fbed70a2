#include "reference-client/replica_sql.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCHEMA_VERSION = 1 };

/* Ids are found by 64 bits of a keyed hash, like on the server: an index of whole random ids would
 * be as large as the rest and rewritten by every step. */
static const char schema[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE change ("
    "  number INTEGER PRIMARY KEY, id TEXT NOT NULL, id_hash INTEGER NOT NULL,"
    "  data BLOB NOT NULL, hash BLOB NOT NULL, state INTEGER NOT NULL, own INTEGER NOT NULL,"
    "  reason TEXT);"
    "CREATE INDEX change_by_id ON change (id_hash);"
    "CREATE TABLE server ("
    "  key INTEGER PRIMARY KEY, authority TEXT NOT NULL UNIQUE, cursor TEXT NOT NULL,"
    "  count INTEGER NOT NULL, sum BLOB NOT NULL);"
    "CREATE TABLE lacking ("
    "  server INTEGER NOT NULL, number INTEGER NOT NULL, why INTEGER NOT NULL,"
    "  size_limit INTEGER NOT NULL, PRIMARY KEY (server, number)) WITHOUT ROWID;"
    "CREATE TABLE conflict ("
    "  server INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, data BLOB NOT NULL,"
    "  PRIMARY KEY (server, number)) WITHOUT ROWID;"
    "CREATE TABLE document ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1), through INTEGER NOT NULL, data BLOB NOT NULL);"
    "PRAGMA user_version = 1;";

static const char use_pragmas[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                  "PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 4000;";
/* With a journal that is rolled back, all is in the one file when the commit returns: of a log
 * beside it the closing moves what it can, and says nothing when the disk is full. */
static const char make_pragmas[] = "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;";

#define CHANGE "c.number, c.id, c.data, c.hash, c.state, c.own"

static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_FIND] = "SELECT " CHANGE " FROM change c WHERE c.id_hash = ?1 AND c.id = ?2",
    [SQL_NEXT] = "SELECT " CHANGE " FROM change c WHERE c.number > ?1 ORDER BY c.number LIMIT 1",
    [SQL_INSERT] = "INSERT INTO change (id, id_hash, data, hash, state, own, reason) "
                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQL_ALL_LACK] = "INSERT INTO lacking SELECT key, ?1, ?2, 0 FROM server WHERE key <> ?3",
    [SQL_KEEP_REPLACED] =
        "INSERT OR IGNORE INTO conflict SELECT s.key, c.number, c.hash, c.data "
        "FROM change c, server s WHERE c.number = ?1 AND NOT EXISTS "
        "(SELECT 1 FROM lacking l WHERE l.server = s.key AND l.number = c.number)",
    [SQL_MOVE_LACKING] = "UPDATE lacking SET number = ?2, why = 0 WHERE number = ?1",
    [SQL_MOVE_CONFLICTS] = "UPDATE conflict SET number = ?2 WHERE number = ?1",
    [SQL_END_CONFLICTS] = "DELETE FROM conflict WHERE number = ?1 AND hash = ?2",
    [SQL_DELETE] = "DELETE FROM change WHERE number = ?1",
    [SQL_QUARANTINE] = "UPDATE change SET state = 1, reason = ?2 WHERE number = ?1",
    [SQL_QUARANTINE_LACKING] = "UPDATE lacking SET why = 3 WHERE number = ?1",
    [SQL_FIND_SERVER] = "SELECT key, cursor, count, sum FROM server WHERE authority = ?1",
    [SQL_NEXT_SERVER] =
        "SELECT key, cursor, count, sum FROM server WHERE key > ?1 ORDER BY key LIMIT 1",
    [SQL_NEW_SERVER] =
        "INSERT INTO server (authority, cursor, count, sum) VALUES (?1, '', 0, zeroblob(32))",
    [SQL_LACK_ALL] = "INSERT INTO lacking SELECT ?1, number, state * 3, 0 FROM change",
    [SQL_FORGET_SERVER] = "DELETE FROM server WHERE key = ?1",
    [SQL_FORGET_LACKING] = "DELETE FROM lacking WHERE server = ?1",
    [SQL_FORGET_CONFLICTS] = "DELETE FROM conflict WHERE server = ?1",
    [SQL_SAVE_SERVER] = "UPDATE server SET cursor = ?2, count = ?3, sum = ?4 WHERE key = ?1",
    [SQL_STOP_LACKING] = "DELETE FROM lacking WHERE server = ?1 AND number = ?2",
    [SQL_SET_LACKING] =
        "UPDATE lacking SET why = ?3, size_limit = ?4 WHERE server = ?1 AND number = ?2",
    [SQL_LACK_IF_KNOWN] = "INSERT OR IGNORE INTO lacking VALUES (?1, ?2, ?3, ?4)",
    [SQL_FIND_CONFLICT] = "SELECT hash FROM conflict WHERE server = ?1 AND number = ?2",
    [SQL_SAVE_CONFLICT] = "INSERT OR REPLACE INTO conflict VALUES (?1, ?2, ?3, ?4)",
    [SQL_FORGET_CONFLICT] = "DELETE FROM conflict WHERE server = ?1 AND number = ?2",
    [SQL_NEXT_WAITING] =
        "SELECT " CHANGE " FROM lacking l JOIN change c ON c.number = l.number "
        "WHERE l.server = ?1 AND l.number > ?2 AND l.why = 0 ORDER BY l.number LIMIT 1",
    [SQL_READMIT] = "UPDATE lacking SET why = 0 WHERE server = ?1 AND why = 2 AND size_limit < ?2",
    [SQL_SAVE_DOCUMENT] = "INSERT OR REPLACE INTO document VALUES (1, ?1, ?2)",
    [SQL_LOAD_DOCUMENT] = "SELECT through, data FROM document",
    [SQL_ATTENTION] =
        "SELECT 0, number, id, coalesce(reason, ''), x'' FROM change WHERE state = 1 "
        "UNION ALL SELECT 1, l.number, c.id, CASE l.why WHEN 2 THEN "
        "'larger than the server takes' ELSE 'the server refuses it' END, x'' "
        "FROM lacking l JOIN change c ON c.number = l.number "
        "WHERE l.server = ?1 AND l.why IN (1, 2) "
        "UNION ALL SELECT 2, x.number, c.id, 'the server holds other bytes under this id', x.data "
        "FROM conflict x JOIN change c ON c.number = x.number WHERE x.server = ?1",
    [SQL_HASHES] = "SELECT hash, state FROM change",
    [SQL_COUNT_SERVER] = "SELECT "
                         "(SELECT count(*) FROM lacking WHERE server = ?1 AND why = 0),"
                         "(SELECT count(*) FROM lacking WHERE server = ?1 AND why IN (1, 2)),"
                         "(SELECT count(*) FROM conflict WHERE server = ?1)",
    [SQL_KNOWN_HASHES] =
        "SELECT coalesce(x.hash, c.hash) FROM change c "
        "LEFT JOIN conflict x ON x.server = ?1 AND x.number = c.number "
        "WHERE NOT EXISTS (SELECT 1 FROM lacking l WHERE l.server = ?1 AND l.number = c.number)",
    [SQL_INTEGRITY] = "PRAGMA integrity_check(1)",
    [SQL_SET_TEXT] = "INSERT OR REPLACE INTO meta VALUES (?1, ?2)",
    [SQL_GET_TEXT] = "SELECT value FROM meta WHERE name = ?1",
};

/* ---- Running ---- */

static enum athena_code fail(struct athena_error *error, enum athena_code code, const char *why) {
    if (error) {
        *error = (struct athena_error){.code = code};
        snprintf(error->text, sizeof error->text, "the replica's storage: %.200s", why);
    }
    return code;
}

enum athena_code sql_failed(struct replica *r, struct athena_error *error) {
    int cause = sqlite3_errcode(r->db);
    bool is_damage = cause == SQLITE_CORRUPT || cause == SQLITE_NOTADB;
    enum athena_code code = cause == SQLITE_NOMEM ? ATHENA_NO_MEMORY
                            : is_damage           ? ATHENA_INTERNAL
                                                  : ATHENA_UNAVAILABLE;
    return fail(error, code, sqlite3_errmsg(r->db));
}

enum athena_code sql_damaged(struct athena_error *error, const char *what) {
    return fail(error, ATHENA_INTERNAL, what);
}

enum athena_code sql_no_memory(struct athena_error *error) {
    return fail(error, ATHENA_NO_MEMORY, "out of memory");
}

enum athena_code sql_too_large(struct athena_error *error) {
    return fail(error, ATHENA_TOO_LARGE, "more than 1,000,000,000 bytes at once");
}

sqlite3_stmt *sql_start(struct replica *r, enum sql which) {
    sqlite3_reset(r->statements[which]);
    return r->statements[which];
}

/* A step ends only when no row is borrowed any more. */
static void end_rows(struct replica *r) {
    for (size_t i = 0; i < SQL_COUNT; i++)
        if (sqlite3_stmt_busy(r->statements[i]))
            sqlite3_reset(r->statements[i]);
}

enum athena_code sql_run(struct replica *r, enum sql which, struct athena_error *error) {
    sqlite3_stmt *statement = r->statements[which];
    if (which == SQL_COMMIT || which == SQL_ROLLBACK)
        end_rows(r);
    int step = sqlite3_step(statement);
    enum athena_code code = step == SQLITE_DONE ? ATHENA_OK : sql_failed(r, error);
    sqlite3_reset(statement);
    return code;
}

void sql_bind_text(sqlite3_stmt *statement, int index, struct athena_text_view text) {
    sqlite3_bind_text(statement, index, text.at, (int)text.len, SQLITE_STATIC);
}

struct athena_text_view sql_text(sqlite3_stmt *statement, int column) {
    const char *at = (const char *)sqlite3_column_text(statement, column);
    return (struct athena_text_view){at ? at : "", (size_t)sqlite3_column_bytes(statement, column)};
}

struct athena_bytes_view sql_blob(sqlite3_stmt *statement, int column) {
    const uint8_t *at = sqlite3_column_blob(statement, column);
    return (struct athena_bytes_view){at, (size_t)sqlite3_column_bytes(statement, column)};
}

int64_t sql_id_hash(const struct replica *r, struct athena_text_view id) {
    int64_t hash;
    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)id.at, id.len, r->id_key);
    return hash;
}

/* ---- Life ---- */

static enum athena_code open_database(struct replica *r, const char *path, int flags,
                                      const char *pragmas, struct athena_error *error) {
    if (sqlite3_open_v2(path, &r->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return sql_failed(r, error);
    sqlite3_busy_timeout(r->db, 1000);
    return sqlite3_exec(r->db, pragmas, NULL, NULL, NULL) == SQLITE_OK ? ATHENA_OK
                                                                       : sql_failed(r, error);
}

static enum athena_code save_meta(struct replica *r, const char *name, const void *value, int len,
                                  struct athena_error *error) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(r->db, texts[SQL_SET_TEXT], -1, &statement, NULL) != SQLITE_OK)
        return sql_failed(r, error);
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, value, len, SQLITE_STATIC);
    enum athena_code code =
        sqlite3_step(statement) == SQLITE_DONE ? ATHENA_OK : sql_failed(r, error);
    sqlite3_finalize(statement);
    return code;
}

static enum athena_code create_schema(struct replica *r, const uint8_t *doc, const char *url,
                                      struct athena_error *error) {
    uint8_t id_key[sizeof r->id_key];
    randombytes_buf(id_key, sizeof id_key);
    if (sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(r->db, schema, NULL, NULL, NULL) != SQLITE_OK)
        return sql_failed(r, error);
    enum athena_code code = save_meta(r, "doc", doc, ATHENA_DOC_BYTES, error);
    if (!code)
        code = save_meta(r, "id_key", id_key, sizeof id_key, error);
    if (!code && url)
        code = save_meta(r, "url", url, (int)strlen(url), error);
    if (!code && sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        code = sql_failed(r, error);
    return code;
}

static enum athena_code load_meta(struct replica *r, const char *name, uint8_t *value, size_t len,
                                  struct athena_error *error) {
    sqlite3_stmt *row = r->statements[SQL_GET_TEXT];
    sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    int step = sqlite3_step(row);
    enum athena_code code = ATHENA_OK;
    if (step == SQLITE_ROW && sql_blob(row, 0).len == len)
        memcpy(value, sql_blob(row, 0).at, len);
    else if (step == SQLITE_ROW || step == SQLITE_DONE)
        code = sql_damaged(error, "what it says of itself is damaged");
    else
        code = sql_failed(r, error);
    sqlite3_reset(row);
    return code;
}

static enum athena_code check_version(struct replica *r, struct athena_error *error) {
    sqlite3_stmt *statement;
    int version = -1;
    if (sqlite3_prepare_v2(r->db, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
        return sql_failed(r, error);
    bool ok = sqlite3_step(statement) == SQLITE_ROW;
    if (ok)
        version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    if (!ok)
        return sql_failed(r, error);
    if (version == SCHEMA_VERSION)
        return ATHENA_OK;
    if (version == 0) /* a file of no bytes is an empty database to SQLite */
        return sql_damaged(error, "the database is empty");
    if (error) {
        *error = (struct athena_error){.code = ATHENA_UNAVAILABLE};
        snprintf(error->text, sizeof error->text,
                 "the replica has version %d, this program knows %d", version, SCHEMA_VERSION);
    }
    return ATHENA_UNAVAILABLE;
}

static enum athena_code prepare(struct replica *r, struct athena_error *error) {
    for (size_t i = 0; i < SQL_COUNT; i++)
        if (sqlite3_prepare_v3(r->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &r->statements[i],
                               NULL) != SQLITE_OK)
            return sql_failed(r, error);
    enum athena_code code = load_meta(r, "doc", r->doc, sizeof r->doc, error);
    return code ? code : load_meta(r, "id_key", r->id_key, sizeof r->id_key, error);
}

static void remove_database(const char *path) {
    char journal[4096 + 16];
    snprintf(journal, sizeof journal, "%s-journal", path);
    unlink(path);
    unlink(journal);
}

/* SQLite would let others read it, and gives what it puts beside it the same mode [ASP-SEC-1]. */
static void make_private(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

enum athena_code replica_create(const char *path, const uint8_t doc[static ATHENA_DOC_BYTES],
                                const char *url, struct athena_error *error) {
    struct replica r = {0};
    remove_database(path); /* of an attempt that was killed */
    make_private(path);
    enum athena_code code =
        open_database(&r, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, make_pragmas, error);
    if (!code)
        code = create_schema(&r, doc, url, error);
    sqlite3_close(r.db);
    if (code)
        remove_database(path);
    return code;
}

static enum athena_code open_with(struct replica **replica, const char *name, int flags,
                                  const char *pragmas, struct athena_error *error) {
    struct replica *r = calloc(1, sizeof *r);
    if (!r)
        return sql_no_memory(error);
    enum athena_code code = open_database(r, name, flags, pragmas, error);
    if (!code)
        code = check_version(r, error);
    if (!code)
        code = prepare(r, error);
    if (code)
        replica_close(r);
    else
        *replica = r;
    return code;
}

enum athena_code replica_open(struct replica **replica, const char *path,
                              struct athena_error *error) {
    return open_with(replica, path, SQLITE_OPEN_READWRITE, use_pragmas, error);
}

static bool has_log(const char *path) {
    char log[4096 + 16];
    struct stat status;
    snprintf(log, sizeof log, "%s-wal", path);
    return stat(log, &status) == 0 && status.st_size > 0;
}

/* "file:PATH?immutable=1", which tells SQLite that it needs no log and no locks. */
static void make_uri(char *uri, size_t room, const char *path) {
    size_t len = (size_t)snprintf(uri, room, "file:");
    for (; *path && len + 20 < room; path++)
        len += (size_t)snprintf(uri + len, room - len, strchr("?#%", *path) ? "%%%02X" : "%c",
                                (unsigned char)*path);
    snprintf(uri + len, room - len, "?immutable=1");
}

enum athena_code replica_open_to_read(struct replica **replica, const char *path,
                                      struct athena_error *error) {
    char uri[3 * 4096];
    if (has_log(path))
        return fail(error, ATHENA_UNAVAILABLE, "its log cannot be read without writing");
    make_uri(uri, sizeof uri, path);
    return open_with(replica, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, "", error);
}

enum athena_code replica_open_in_memory(struct replica **replica,
                                        const uint8_t doc[static ATHENA_DOC_BYTES],
                                        struct athena_error *error) {
    struct replica *r = calloc(1, sizeof *r);
    if (!r)
        return sql_no_memory(error);
    enum athena_code code =
        open_database(r, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "", error);
    if (!code)
        code = create_schema(r, doc, NULL, error);
    if (!code)
        code = prepare(r, error);
    if (code)
        replica_close(r);
    else
        *replica = r;
    return code;
}

void replica_close(struct replica *r) {
    if (!r)
        return;
    for (size_t i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(r->statements[i]);
    sqlite3_close(r->db);
    free(r);
}

const uint8_t *replica_doc(const struct replica *r) {
    return r->doc;
}

/* ---- Texts ---- */

enum athena_code replica_set_text(struct replica *r, const char *name, const char *text,
                                  struct athena_error *error) {
    sqlite3_stmt *row = r->statements[SQL_SET_TEXT];
    sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(row, 2, text ? text : "", -1, SQLITE_STATIC);
    return sql_run(r, SQL_SET_TEXT, error);
}

enum athena_code replica_get_text(struct replica *r, const char *name, char *text, size_t room,
                                  struct athena_error *error) {
    sqlite3_stmt *row = r->statements[SQL_GET_TEXT];
    sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    int step = sqlite3_step(row);
    struct athena_text_view value = {"", 0};
    if (step == SQLITE_ROW)
        value = sql_text(row, 0);
    enum athena_code code =
        step == SQLITE_ROW || step == SQLITE_DONE ? ATHENA_OK : sql_failed(r, error);
    snprintf(text, room, "%.*s", (int)value.len, value.at);
    sqlite3_reset(row);
    return code;
}
