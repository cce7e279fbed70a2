/*
 * The store on SQLite: WAL, synchronous=FULL, one connection for reading and one for writing.
 *
 *   document      one row a document: the end of its log
 *   change        the logs: (document, position) -> id, data, tag of the log up to there
 *   change_by_id  finds a change by 64 bits of a keyed hash of its id
 *
 * Ids are long and random: an index of whole ids would make every commit rewrite most of its pages.
 * The id itself is compared in the row, so that two ids of one hash do no harm.
 *
 * A lock on a file beside the database keeps other processes out: `restore` and a second server.
 * The database itself stays readable to others, for backups [ASP-LOG-7].
 */
#include "reference-server/store_sqlite.h"

#include "reference-server/folder.h"

#include <errno.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SCHEMA_VERSION = 1, APPLICATION_ID = 0x41535931 /* ASY1 */ };

static const char schema[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE document ("
    "  number INTEGER PRIMARY KEY, doc BLOB NOT NULL UNIQUE,"
    "  count INTEGER NOT NULL, data_bytes INTEGER NOT NULL, digest BLOB NOT NULL);"
    "CREATE TABLE change ("
    "  document INTEGER NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL,"
    "  data BLOB NOT NULL, tag INTEGER NOT NULL, id_hash INTEGER NOT NULL,"
    "  PRIMARY KEY (document, position)) WITHOUT ROWID;"
    "CREATE INDEX change_by_id ON change (document, id_hash);"
    "PRAGMA application_id = 1095981361;"
    "PRAGMA user_version = 1;";

/* What each side prepares once. */
enum reading { READ_HEAD, READ_TAG, READ_PAGE, READ_ID, READING_COUNT };
enum writing {
    WRITE_BEGIN,
    WRITE_COMMIT,
    WRITE_ROLLBACK,
    WRITE_FIND_DOCUMENT,
    WRITE_NEW_DOCUMENT,
    WRITE_DOCUMENT,
    WRITE_FIND_ID,
    WRITE_CHANGE,
    WRITING_COUNT
};
/* The index by name: by itself SQLite 3.40 looks through all of the document's changes. */
#define FIND_ID                                                                                    \
    "SELECT c.id, c.data, c.position FROM document d "                                             \
    "JOIN change c INDEXED BY change_by_id ON c.document = d.number "                              \
    "WHERE d.doc = ?1 AND c.id_hash = ?2 AND c.id = ?3"
static const char *const reading_sql[READING_COUNT] = {
    [READ_HEAD] = "SELECT count, data_bytes, digest FROM document WHERE doc = ?1",
    [READ_TAG] = "SELECT c.tag FROM document d JOIN change c ON c.document = d.number "
                 "WHERE d.doc = ?1 AND c.position = ?2",
    [READ_PAGE] = "SELECT c.id, c.data FROM document d JOIN change c ON c.document = d.number "
                  "WHERE d.doc = ?1 AND c.position > ?2 AND c.position <= ?3 ORDER BY c.position",
    [READ_ID] = FIND_ID,
};
/* [ASP-MODEL-2] */
static const char *const writing_sql[WRITING_COUNT] = {
    [WRITE_BEGIN] = "BEGIN IMMEDIATE",
    [WRITE_COMMIT] = "COMMIT",
    [WRITE_ROLLBACK] = "ROLLBACK",
    [WRITE_FIND_DOCUMENT] = "SELECT count, data_bytes, digest, number FROM document WHERE doc = ?1",
    [WRITE_NEW_DOCUMENT] =
        "INSERT INTO document (doc, count, data_bytes, digest) VALUES (?1, 0, 0, zeroblob(32))",
    [WRITE_DOCUMENT] =
        "UPDATE document SET count = ?2, data_bytes = ?3, digest = ?4 WHERE number = ?1",
    [WRITE_FIND_ID] = "SELECT id, data FROM change INDEXED BY change_by_id "
                      "WHERE document = ?1 AND id_hash = ?2 AND id = ?3",
    [WRITE_CHANGE] = "INSERT INTO change (document, position, id, data, tag, id_hash) "
                     "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
};

struct sqlite_store {
    struct store base;
    int lock_fd;
    sqlite3 *reader;
    sqlite3 *writer;
    sqlite3_stmt *reading[READING_COUNT];
    sqlite3_stmt *writing[WRITING_COUNT];
    uint8_t id_key[STORE_ID_KEY_BYTES];
    uint64_t total_bytes;           /* of the transaction under way */
    uint64_t committed_total_bytes; /* belong to the writing side */
};

static struct sqlite_store *of(struct store *store) {
    return (struct sqlite_store *)store;
}

static enum athena_code failed(sqlite3 *db, const char *what, struct athena_error *error) {
    if (error) {
        *error = (struct athena_error){.code = ATHENA_UNAVAILABLE};
        snprintf(error->text, sizeof error->text, "%s: %s", what, sqlite3_errmsg(db));
    }
    return ATHENA_UNAVAILABLE;
}

static void bind_doc(sqlite3_stmt *statement, const uint8_t *doc) {
    sqlite3_bind_blob(statement, 1, doc, ATHENA_DOC_BYTES, SQLITE_STATIC);
}

static void bind_text(sqlite3_stmt *statement, int index, struct athena_text_view text) {
    sqlite3_bind_text(statement, index, text.at, (int)text.len, SQLITE_STATIC);
}

/* No log is longer than SQLite can count. */
static void bind_position(sqlite3_stmt *statement, int index, uint64_t position) {
    sqlite3_bind_int64(statement, index, position > INT64_MAX ? INT64_MAX : (int64_t)position);
}

int64_t store_sqlite_id_hash(const uint8_t key[static STORE_ID_KEY_BYTES],
                             struct athena_text_view id) {
    int64_t hash;
    _Static_assert(sizeof hash == crypto_shorthash_BYTES, "the index holds 64 bits");
    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)id.at, id.len, key);
    return hash;
}

static struct athena_text_view column_text(sqlite3_stmt *statement, int column) {
    const char *at = (const char *)sqlite3_column_text(statement, column);
    return (struct athena_text_view){at, (size_t)sqlite3_column_bytes(statement, column)};
}

static struct athena_bytes_view column_blob(sqlite3_stmt *statement, int column) {
    const uint8_t *at = sqlite3_column_blob(statement, column);
    return (struct athena_bytes_view){at, (size_t)sqlite3_column_bytes(statement, column)};
}

static bool column_head(sqlite3_stmt *statement, struct store_head *head) {
    struct athena_bytes_view digest = column_blob(statement, 2);
    if (digest.len != ATHENA_HASH_BYTES)
        return false;
    head->digest.count = (uint64_t)sqlite3_column_int64(statement, 0);
    head->data_bytes = (uint64_t)sqlite3_column_int64(statement, 1);
    memcpy(head->digest.sum, digest.at, ATHENA_HASH_BYTES);
    return true;
}

/* ---- Reading ---- */

/* [ASP-MODEL-4] */
static enum athena_code sqlite_head(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                    struct store_head *head, struct athena_error *error) {
    sqlite3_stmt *statement = of(store)->reading[READ_HEAD];
    *head = (struct store_head){0};
    bind_doc(statement, doc);
    int step = sqlite3_step(statement);
    bool ok = step == SQLITE_DONE || (step == SQLITE_ROW && column_head(statement, head));
    enum athena_code code =
        ok ? ATHENA_OK : failed(of(store)->reader, "cannot read a document", error);
    sqlite3_reset(statement);
    return code;
}

static enum athena_code sqlite_tag(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                   uint64_t position, uint64_t *tag, bool *found,
                                   struct athena_error *error) {
    *found = true;
    if (position == 0) {
        *tag = store_tag(doc, &(struct athena_digest){0});
        return ATHENA_OK;
    }
    sqlite3_stmt *statement = of(store)->reading[READ_TAG];
    bind_doc(statement, doc);
    bind_position(statement, 2, position);
    int step = sqlite3_step(statement);
    *found = step == SQLITE_ROW;
    if (*found)
        *tag = (uint64_t)sqlite3_column_int64(statement, 0);
    enum athena_code code = step == SQLITE_ROW || step == SQLITE_DONE
                                ? ATHENA_OK
                                : failed(of(store)->reader, "cannot read a tag", error);
    sqlite3_reset(statement);
    return code;
}

static enum athena_code sqlite_read(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                    const struct store_range *range, struct store_page *page,
                                    struct athena_error *error) {
    sqlite3_stmt *statement = of(store)->reading[READ_PAGE];
    bind_doc(statement, doc);
    bind_position(statement, 2, range->after);
    bind_position(statement, 3, range->until);
    enum athena_code code = ATHENA_OK;
    while (page->len < range->entries_max) {
        int step = sqlite3_step(statement);
        if (step == SQLITE_DONE)
            break;
        if (step != SQLITE_ROW) {
            code = failed(of(store)->reader, "cannot read a log", error);
            break;
        }
        struct athena_text_view id = column_text(statement, 0);
        size_t data_len = (size_t)sqlite3_column_bytes(statement, 1);
        if (!store_page_has_room(page, range, id.len, data_len))
            break;
        struct athena_bytes_view data = {0};
        if (range->with_data)
            data = column_blob(statement, 1);
        if (!store_page_add(page, id, data, range->with_data)) {
            code = failed(of(store)->reader, "out of memory", error);
            break;
        }
    }
    sqlite3_reset(statement);
    return code;
}

/* [ASP-GET-4] */
static enum athena_code sqlite_find(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                                    struct athena_text_view id, uint64_t until,
                                    struct store_page *page, bool *found,
                                    struct athena_error *error) {
    sqlite3_stmt *statement = of(store)->reading[READ_ID];
    bind_doc(statement, doc);
    sqlite3_bind_int64(statement, 2, store_sqlite_id_hash(of(store)->id_key, id));
    bind_text(statement, 3, id);
    int step = sqlite3_step(statement);
    bool ok = step == SQLITE_ROW || step == SQLITE_DONE;
    *found = step == SQLITE_ROW && (uint64_t)sqlite3_column_int64(statement, 2) <= until;
    if (*found)
        ok = store_page_add(page, id, column_blob(statement, 1), true);
    enum athena_code code =
        ok ? ATHENA_OK : failed(of(store)->reader, "cannot read a change", error);
    sqlite3_reset(statement);
    return code;
}

/* ---- Writing ---- */

/* Runs a statement that gives no row. */
static enum athena_code run(struct sqlite_store *store, enum writing which, const char *what,
                            struct athena_error *error) {
    sqlite3_stmt *statement = store->writing[which];
    int step = sqlite3_step(statement);
    enum athena_code code = step == SQLITE_DONE ? ATHENA_OK : failed(store->writer, what, error);
    sqlite3_reset(statement);
    return code;
}

static enum athena_code sqlite_begin(struct store *store, struct athena_error *error) {
    return run(of(store), WRITE_BEGIN, "cannot begin a transaction", error);
}

static enum athena_code sqlite_commit(struct store *store, struct athena_error *error) {
    enum athena_code code = run(of(store), WRITE_COMMIT, "cannot commit", error);
    if (!code)
        of(store)->committed_total_bytes = of(store)->total_bytes;
    return code;
}

static void sqlite_rollback(struct store *store) {
    if (!sqlite3_get_autocommit(of(store)->writer)) /* SQLite may have done it already */
        run(of(store), WRITE_ROLLBACK, "cannot roll back", NULL);
    of(store)->total_bytes = of(store)->committed_total_bytes;
}

/* The end of a log and the document's number; 0 for one that is not stored yet [ASP-LOG-8]. */
static enum athena_code load_document(struct sqlite_store *store, const uint8_t *doc,
                                      struct store_head *head, int64_t *number,
                                      struct athena_error *error) {
    sqlite3_stmt *statement = store->writing[WRITE_FIND_DOCUMENT];
    *head = (struct store_head){0};
    *number = 0;
    bind_doc(statement, doc);
    int step = sqlite3_step(statement);
    bool ok = step == SQLITE_DONE || (step == SQLITE_ROW && column_head(statement, head));
    if (step == SQLITE_ROW)
        *number = sqlite3_column_int64(statement, 3);
    enum athena_code code = ok ? ATHENA_OK : failed(store->writer, "cannot read a document", error);
    sqlite3_reset(statement);
    return code;
}

/* [ASP-MODEL-5] */
static enum athena_code create_document(struct sqlite_store *store, const uint8_t *doc,
                                        int64_t *number, struct athena_error *error) {
    bind_doc(store->writing[WRITE_NEW_DOCUMENT], doc);
    enum athena_code code = run(store, WRITE_NEW_DOCUMENT, "cannot create a document", error);
    *number = sqlite3_last_insert_rowid(store->writer);
    return code;
}

static enum athena_code save_document(struct sqlite_store *store, int64_t number,
                                      const struct store_head *head, struct athena_error *error) {
    sqlite3_stmt *statement = store->writing[WRITE_DOCUMENT];
    sqlite3_bind_int64(statement, 1, number);
    sqlite3_bind_int64(statement, 2, (int64_t)head->digest.count);
    sqlite3_bind_int64(statement, 3, (int64_t)head->data_bytes);
    sqlite3_bind_blob(statement, 4, head->digest.sum, ATHENA_HASH_BYTES, SQLITE_STATIC);
    return run(store, WRITE_DOCUMENT, "cannot write a document", error);
}

/* Whether the log has the id already, and then as what [ASP-LOG-2] [ASP-LOG-4] [ASP-ID-4]. */
static enum athena_code judge_known(struct sqlite_store *store, int64_t number, int64_t hash,
                                    struct store_entry *entry, bool *known,
                                    struct athena_error *error) {
    sqlite3_stmt *statement = store->writing[WRITE_FIND_ID];
    sqlite3_bind_int64(statement, 1, number);
    sqlite3_bind_int64(statement, 2, hash);
    bind_text(statement, 3, entry->id);
    int step = sqlite3_step(statement);
    *known = step == SQLITE_ROW;
    if (*known) {
        struct athena_bytes_view data = column_blob(statement, 1);
        bool same = data.len == entry->data.len && memcmp(data.at, entry->data.at, data.len) == 0;
        entry->outcome = same ? STORE_DUPLICATE : STORE_REJECTED;
        entry->code = same ? ATHENA_OK : ATHENA_CONFLICT;
    }
    enum athena_code code = step == SQLITE_ROW || step == SQLITE_DONE
                                ? ATHENA_OK
                                : failed(store->writer, "cannot look up a change", error);
    sqlite3_reset(statement);
    return code;
}

/* [ASP-ID-5] [ASP-ISO-4] */
static enum athena_code insert_change(struct sqlite_store *store, int64_t number, uint64_t position,
                                      uint64_t tag, int64_t hash, const struct store_entry *entry,
                                      struct athena_error *error) {
    sqlite3_stmt *statement = store->writing[WRITE_CHANGE];
    sqlite3_bind_int64(statement, 1, number);
    sqlite3_bind_int64(statement, 2, (int64_t)position);
    bind_text(statement, 3, entry->id);
    sqlite3_bind_blob64(statement, 4, entry->data.at, entry->data.len, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 5, (int64_t)tag);
    sqlite3_bind_int64(statement, 6, hash);
    return run(store, WRITE_CHANGE, "cannot write a change", error);
}

/* [ASP-LOG-1] [ASP-LOG-3] */
static enum athena_code append_entry(struct sqlite_store *store, const uint8_t *doc,
                                     int64_t *number, struct store_head *head,
                                     struct store_entry *entry, const struct store_quota *quota,
                                     struct athena_error *error) {
    int64_t hash = store_sqlite_id_hash(store->id_key, entry->id);
    bool known = false;
    enum athena_code code = ATHENA_OK;
    if (*number)
        code = judge_known(store, *number, hash, entry, &known, error);
    if (code || known || !store_admit(entry, head, &store->total_bytes, quota))
        return code;
    if (!*number)
        code = create_document(store, doc, number, error);
    if (code)
        return code;
    return insert_change(store, *number, head->digest.count, store_tag(doc, &head->digest), hash,
                         entry, error);
}

/* [ASP-MODEL-1] [ASP-PUSH-4] */
static enum athena_code sqlite_append(struct store *store,
                                      const uint8_t doc[static ATHENA_DOC_BYTES],
                                      struct store_entry *entries, size_t len,
                                      const struct store_quota *quota, struct store_head *head,
                                      struct athena_error *error) {
    int64_t number;
    enum athena_code code = load_document(of(store), doc, head, &number, error);
    uint64_t count = head->digest.count;
    for (size_t i = 0; i < len && !code; i++)
        if (entries[i].outcome != STORE_REJECTED)
            code = append_entry(of(store), doc, &number, head, &entries[i], quota, error);
    if (!code && head->digest.count > count)
        code = save_document(of(store), number, head, error);
    return code;
}

/* ---- Opening ---- */

static enum athena_code pragma_integer(sqlite3 *db, const char *sql, int64_t *value,
                                       struct athena_error *error) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        return failed(db, "cannot read the database", error);
    enum athena_code code = ATHENA_OK;
    if (sqlite3_step(statement) == SQLITE_ROW)
        *value = sqlite3_column_int64(statement, 0);
    else
        code = failed(db, "cannot read the database", error);
    sqlite3_finalize(statement);
    return code;
}

static enum athena_code create_schema(struct sqlite_store *store, struct athena_error *error) {
    if (sqlite3_exec(store->writer, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(store->writer, schema, NULL, NULL, NULL) != SQLITE_OK)
        return failed(store->writer, "cannot create the database", error);
    uint8_t key[STORE_ID_KEY_BYTES];
    randombytes_buf(key, sizeof key);
    sqlite3_stmt *statement;
    sqlite3_prepare_v2(store->writer, "INSERT INTO meta VALUES ('id_key', ?1)", -1, &statement,
                       NULL);
    sqlite3_bind_blob(statement, 1, key, sizeof key, SQLITE_STATIC);
    int step = sqlite3_step(statement);
    sqlite3_finalize(statement);
    if (step != SQLITE_DONE || sqlite3_exec(store->writer, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        return failed(store->writer, "cannot create the database", error);
    return ATHENA_OK;
}

enum athena_code store_sqlite_check_version(sqlite3 *db, bool *is_empty,
                                            struct athena_error *error) {
    int64_t version = 0;
    int64_t application = 0;
    int64_t tables = 0;
    enum athena_code code = pragma_integer(db, "PRAGMA user_version", &version, error);
    if (!code)
        code = pragma_integer(db, "PRAGMA application_id", &application, error);
    if (!code)
        code = pragma_integer(db, "SELECT count(*) FROM sqlite_schema", &tables, error);
    if (code)
        return code;
    *is_empty = tables == 0;
    if (*is_empty || (version == SCHEMA_VERSION && application == APPLICATION_ID))
        return ATHENA_OK;
    if (error) {
        *error = (struct athena_error){.code = ATHENA_UNAVAILABLE};
        snprintf(error->text, sizeof error->text,
                 application == APPLICATION_ID ? "the store has version %lld, this program knows %d"
                                               : "not a store of this program (version %lld, %d)",
                 (long long)version, SCHEMA_VERSION);
    }
    return ATHENA_UNAVAILABLE;
}

bool store_sqlite_id_key(sqlite3 *db, uint8_t key[static STORE_ID_KEY_BYTES]) {
    sqlite3_stmt *statement;
    const char *sql = "SELECT value FROM meta WHERE name = 'id_key'";
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        return false;
    bool ok = sqlite3_step(statement) == SQLITE_ROW &&
              column_blob(statement, 0).len == STORE_ID_KEY_BYTES;
    if (ok)
        memcpy(key, column_blob(statement, 0).at, STORE_ID_KEY_BYTES);
    sqlite3_finalize(statement);
    return ok;
}

static enum athena_code load_meta(struct sqlite_store *store, struct athena_error *error) {
    if (!store_sqlite_id_key(store->writer, store->id_key))
        return failed(store->writer, "the database has no id key", error);
    int64_t total = 0;
    enum athena_code code = pragma_integer(
        store->writer, "SELECT coalesce(sum(data_bytes), 0) FROM document", &total, error);
    store->total_bytes = store->committed_total_bytes = (uint64_t)total;
    return code;
}

static enum athena_code failed_to_open(const char *path, struct athena_error *error) {
    if (error) {
        *error = (struct athena_error){.code = ATHENA_UNAVAILABLE};
        snprintf(error->text, sizeof error->text, "cannot open %.150s: %.60s", path,
                 strerror(errno));
    }
    return ATHENA_UNAVAILABLE;
}

/* [ASP-DUR-3] [ASP-DUR-4] */
static enum athena_code open_writer(struct sqlite_store *store, const char *path,
                                    struct athena_error *error) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    bool is_empty;
    int fd = folder_open_file(path); /* SQLite makes the files beside it readable to the same */
    if (fd < 0)
        return failed_to_open(path, error);
    close(fd);
    if (sqlite3_open_v2(path, &store->writer, flags, NULL) != SQLITE_OK)
        return failed(store->writer, "cannot open the database", error);
    sqlite3_busy_timeout(store->writer, 10000); /* a backup at its end, a checkpoint */
    enum athena_code code = store_sqlite_check_version(store->writer, &is_empty, error);
    if (code)
        return code;
    const char *pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                          "PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -65536;"
                          "PRAGMA journal_size_limit = 33554432;"; /* behind a long backup */
    if (sqlite3_exec(store->writer, pragmas, NULL, NULL, NULL) != SQLITE_OK)
        return failed(store->writer, "cannot set up the database", error);
    if (is_empty)
        code = create_schema(store, error);
    return code ? code : load_meta(store, error);
}

/* [ASP-DUR-7] */
static enum athena_code open_reader(struct sqlite_store *store, const char *path,
                                    struct athena_error *error) {
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &store->reader, flags, NULL) != SQLITE_OK)
        return failed(store->reader, "cannot open the database", error);
    sqlite3_busy_timeout(store->reader, 1000);
    if (sqlite3_exec(store->reader, "PRAGMA cache_size = -16384", NULL, NULL, NULL) != SQLITE_OK)
        return failed(store->reader, "cannot set up the database", error);
    return ATHENA_OK;
}

static enum athena_code prepare(sqlite3 *db, sqlite3_stmt **statements, const char *const *sql,
                                size_t len, struct athena_error *error) {
    for (size_t i = 0; i < len; i++)
        if (sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL) !=
            SQLITE_OK)
            return failed(db, "cannot prepare a statement", error);
    return ATHENA_OK;
}

static void sqlite_close_store(struct store *store) {
    struct sqlite_store *s = of(store);
    for (size_t i = 0; i < READING_COUNT; i++)
        sqlite3_finalize(s->reading[i]);
    for (size_t i = 0; i < WRITING_COUNT; i++)
        sqlite3_finalize(s->writing[i]);
    sqlite3_close(s->reader);
    sqlite3_close(s->writer);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s);
}

static const struct store_engine sqlite_engine = {
    .close = sqlite_close_store,
    .head = sqlite_head,
    .tag = sqlite_tag,
    .read = sqlite_read,
    .find = sqlite_find,
    .begin = sqlite_begin,
    .append = sqlite_append,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
};

static enum athena_code open_all(struct sqlite_store *store, const char *folder,
                                 struct athena_error *error) {
    char path[FOLDER_PATH_MAX];
    enum athena_code code = folder_lock(&store->lock_fd, folder, error);
    if (code)
        return code;
    folder_path(path, folder, STORE_FILE);
    code = open_writer(store, path, error);
    if (!code)
        code = open_reader(store, path, error);
    if (!code)
        code = prepare(store->writer, store->writing, writing_sql, WRITING_COUNT, error);
    if (!code)
        code = prepare(store->reader, store->reading, reading_sql, READING_COUNT, error);
    return code;
}

enum athena_code store_sqlite_open(struct store **store, const char *folder,
                                   struct athena_error *error) {
    struct sqlite_store *opened = calloc(1, sizeof *opened);
    if (!opened)
        return failed_to_open(folder, error);
    opened->base.engine = &sqlite_engine;
    opened->lock_fd = -1;
    enum athena_code code = open_all(opened, folder, error);
    if (code)
        sqlite_close_store(&opened->base);
    else
        *store = &opened->base;
    return code;
}

uint64_t store_sqlite_memory(void) {
    return (uint64_t)sqlite3_memory_used();
}
