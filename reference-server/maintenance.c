#include "reference-server/maintenance.h"

#include "reference-server/folder.h"
#include "reference-server/log.h"
#include "reference-server/store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKUP_PAGES_A_STEP = 256,
    BUSY_TIMEOUT_MS = 10000,
    FOLD_TIMEOUT_MS = 1000, /* a reader of a store that is to be replaced may read for long */
};

static int fail(const char *what, const char *path, const char *why) {
    log_line(LOG_LEVEL_ERROR, "%s %s: %s", what, path, why);
    return 1;
}

static sqlite3 *open_database(const char *path, int flags, const char *what) {
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, flags, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS) == SQLITE_OK)
        return db;
    fail(what, path, db ? sqlite3_errmsg(db) : "out of memory");
    sqlite3_close(db);
    return NULL;
}

/* ---- Check ---- */

struct check {
    sqlite3 *db;
    uint8_t id_key[STORE_ID_KEY_BYTES];
    unsigned damaged; /* documents */
    uint64_t changes;
    uint64_t documents;
    bool is_complete;
};

/* One document's row, and what its changes add up to. */
struct tally {
    int64_t number;
    uint8_t doc[ATHENA_DOC_BYTES];
    char doc_text[ATHENA_DOC_TEXT_LEN + 1];
    struct store_head expected;
    struct store_head found;
    bool is_damaged;
};

static void damage(struct tally *tally, const char *what, uint64_t position) {
    if (!tally->is_damaged)
        fprintf(stderr, "athena-syncd: damaged: document %s: position %llu: %s\n", tally->doc_text,
                (unsigned long long)position, what);
    tally->is_damaged = true;
}

static void check_change(const struct check *check, struct tally *tally, sqlite3_stmt *row) {
    uint64_t position = tally->found.digest.count + 1;
    struct athena_text_view id = {(const char *)sqlite3_column_text(row, 1),
                                  (size_t)sqlite3_column_bytes(row, 1)};
    struct athena_bytes_view data = {sqlite3_column_blob(row, 2),
                                     (size_t)sqlite3_column_bytes(row, 2)};
    uint8_t hash[ATHENA_HASH_BYTES];
    if ((uint64_t)sqlite3_column_int64(row, 0) != position)
        damage(tally, "missing", position);
    if (!id.at || athena_change_id_check(id, NULL))
        damage(tally, "not a change id", position);
    if (!data.at || data.len == 0)
        damage(tally, "no data", position);
    else if (id.at && sqlite3_column_int64(row, 4) != store_sqlite_id_hash(check->id_key, id))
        damage(tally, "not to be found by its id", position);
    if (tally->is_damaged)
        return;
    athena_item_hash(hash, id, data);
    athena_digest_add(&tally->found.digest, hash);
    tally->found.data_bytes += data.len;
    if ((uint64_t)sqlite3_column_int64(row, 3) != store_tag(tally->doc, &tally->found.digest))
        damage(tally, "its tag does not fit the changes up to there", position);
}

static void check_end(struct tally *tally) {
    const struct store_head *expected = &tally->expected;
    if (tally->is_damaged)
        return;
    if (expected->digest.count != tally->found.digest.count)
        damage(tally, "the log does not end where the document says", expected->digest.count);
    else if (!athena_digest_equal(&expected->digest, &tally->found.digest))
        damage(tally, "the digest does not fit the log", expected->digest.count);
    else if (expected->data_bytes != tally->found.data_bytes)
        damage(tally, "the size does not fit the log", expected->digest.count);
}

static bool check_log(struct check *check, struct tally *tally, sqlite3_stmt *changes) {
    int step;
    sqlite3_bind_int64(changes, 1, tally->number);
    while ((step = sqlite3_step(changes)) == SQLITE_ROW) {
        if (!tally->is_damaged)
            check_change(check, tally, changes);
        check->changes++;
    }
    sqlite3_reset(changes);
    check_end(tally);
    check->damaged += tally->is_damaged;
    check->documents++;
    return step == SQLITE_DONE;
}

static bool load_tally(struct tally *tally, sqlite3_stmt *row) {
    *tally = (struct tally){.number = sqlite3_column_int64(row, 0)};
    if (sqlite3_column_bytes(row, 1) != ATHENA_DOC_BYTES ||
        sqlite3_column_bytes(row, 4) != ATHENA_HASH_BYTES) {
        fprintf(stderr, "athena-syncd: damaged: document number %lld: its id or digest is cut\n",
                (long long)tally->number);
        return false;
    }
    memcpy(tally->doc, sqlite3_column_blob(row, 1), ATHENA_DOC_BYTES);
    athena_doc_format(tally->doc_text, tally->doc);
    tally->expected.digest.count = (uint64_t)sqlite3_column_int64(row, 2);
    tally->expected.data_bytes = (uint64_t)sqlite3_column_int64(row, 3);
    memcpy(tally->expected.digest.sum, sqlite3_column_blob(row, 4), ATHENA_HASH_BYTES);
    return true;
}

static bool check_documents(struct check *check) {
    sqlite3_stmt *documents = NULL;
    sqlite3_stmt *changes = NULL;
    bool ok =
        sqlite3_prepare_v2(check->db, "SELECT number, doc, count, data_bytes, digest FROM document",
                           -1, &documents, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(check->db,
                           "SELECT position, id, data, tag, id_hash FROM change "
                           "WHERE document = ?1 ORDER BY position",
                           -1, &changes, NULL) == SQLITE_OK;
    int step = SQLITE_DONE;
    while (ok && (step = sqlite3_step(documents)) == SQLITE_ROW) {
        struct tally tally;
        if (load_tally(&tally, documents))
            ok = check_log(check, &tally, changes);
        else
            check->damaged++;
    }
    ok = ok && step == SQLITE_DONE;
    sqlite3_finalize(documents);
    sqlite3_finalize(changes);
    return ok;
}

/* What the tables say of each other: no two changes of one id, none without its document. */
static bool check_query(struct check *check, const char *sql, const char *what) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(check->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return false;
    int step = sqlite3_step(statement);
    const char *found = step == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (found && strcmp(found, "ok") != 0) {
        fprintf(stderr, "athena-syncd: damaged: %s: %s\n", what, found);
        check->damaged++;
    }
    sqlite3_finalize(statement);
    return step == SQLITE_ROW || step == SQLITE_DONE;
}

static bool check_all(struct check *check) {
    if (!store_sqlite_id_key(check->db, check->id_key)) {
        fprintf(stderr, "athena-syncd: damaged: the key of the ids is missing\n");
        check->damaged++;
        return true; /* without it every change would look damaged */
    }
    return check_query(check, "PRAGMA integrity_check(1)", "the database") &&
           check_documents(check) &&
           check_query(check,
                       "SELECT id FROM change INDEXED BY change_by_id "
                       "GROUP BY document, id_hash, id HAVING count(*) > 1",
                       "an id that is there twice") &&
           check_query(check,
                       "SELECT id FROM change WHERE document NOT IN (SELECT number FROM document)",
                       "a change without its document");
}

/* 0 when the database is a whole store. */
static int verify(const char *path, struct check *check) {
    struct athena_error error;
    bool is_empty = true;
    *check = (struct check){.db = open_database(path, SQLITE_OPEN_READWRITE, "cannot open")};
    if (!check->db)
        return 1;
    int status = 0;
    if (store_sqlite_check_version(check->db, &is_empty, &error))
        status = fail("cannot use", path, error.text);
    else if (is_empty)
        status = fail("cannot use", path, "not a store: empty");
    else if (sqlite3_exec(check->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK || !check_all(check))
        status = fail("cannot read", path, sqlite3_errmsg(check->db));
    check->is_complete = status == 0;
    sqlite3_close(check->db);
    return status || check->damaged;
}

int maintenance_check(const char *folder) {
    char path[FOLDER_PATH_MAX];
    struct check check;
    if (!folder_path(path, folder, STORE_FILE))
        return fail("cannot use", folder, "the path is too long");
    int status = verify(path, &check);
    if (check.is_complete)
        printf("%llu documents, %llu changes, %u damaged\n", (unsigned long long)check.documents,
               (unsigned long long)check.changes, check.damaged);
    return status;
}

/* ---- Backup ---- */

static int copy_database(sqlite3 *from, sqlite3 *to, const char *path) {
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int step = SQLITE_OK;
    while (backup && (step == SQLITE_OK || step == SQLITE_BUSY || step == SQLITE_LOCKED))
        step = sqlite3_backup_step(backup, BACKUP_PAGES_A_STEP);
    sqlite3_backup_finish(backup);
    if (backup && step == SQLITE_DONE)
        return 0;
    return fail("cannot copy to", path, sqlite3_errmsg(to));
}

/* A copy is one file: no write-ahead log beside it. It is put on stable storage once, at the end.
 */
static int copy_file(const char *from_path, const char *to_path) {
    sqlite3 *from = open_database(from_path, SQLITE_OPEN_READWRITE, "cannot open");
    sqlite3 *to = from ? open_database(to_path, SQLITE_OPEN_READWRITE, "cannot create") : NULL;
    int status = to ? 0 : 1;
    if (!status && sqlite3_exec(to, "PRAGMA synchronous = OFF", NULL, NULL, NULL) != SQLITE_OK)
        status = fail("cannot write", to_path, sqlite3_errmsg(to));
    /* One read transaction, so that what is committed meanwhile does not start the copy again. */
    if (!status && sqlite3_exec(from, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL,
                                NULL) != SQLITE_OK)
        status = fail("cannot read", from_path, sqlite3_errmsg(from));
    if (!status)
        status = copy_database(from, to, to_path);
    if (!status && sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) != SQLITE_OK)
        status = fail("cannot finish", to_path, sqlite3_errmsg(to));
    sqlite3_close(to);
    sqlite3_close(from);
    return status;
}

/* What is to be replaced by a copy has to be a file, if it is there at all: a rename would put one
 * in the place of a device, or of a symbolic link and not of what it leads to. */
static bool is_replaceable(const char *path) {
    struct stat status;
    if (lstat(path, &status) != 0 || S_ISREG(status.st_mode))
        return true; /* what else is wrong with it shows in writing */
    fail("cannot write", path,
         S_ISLNK(status.st_mode) ? "it is a symbolic link" : "it is not a regular file");
    return false;
}

/* Opens and locks an empty file for a copy, maybe that of a process that was killed: -1 when there
 * can be none, or another process copies to it. */
static int claim(const char *partial) {
    struct stat locked;
    struct stat named;
    if (!is_replaceable(partial))
        return -1;
    int fd = folder_open_file(partial);
    if (fd < 0) {
        fail("cannot create", partial, strerror(errno));
        return -1;
    }
    /* Who has just finished has renamed the file that it has locked. */
    bool is_ours = flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &locked) == 0 &&
                   stat(partial, &named) == 0 && locked.st_ino == named.st_ino;
    if (!is_ours)
        fail("cannot write", partial, "another process copies to it");
    else if (ftruncate(fd, 0) == 0)
        return fd;
    else
        fail("cannot write", partial, strerror(errno));
    close(fd);
    return -1;
}

/* Copies to a file beside `to`, where a rename will put it in one step, and flushes it. Until *lock
 * is closed nobody else writes to it. */
static int copy_beside(const char *from, const char *to, char partial[static FOLDER_PATH_MAX],
                       int *lock) {
    int len = snprintf(partial, FOLDER_PATH_MAX, "%s.partial", to);
    if (len < 0 || len >= FOLDER_PATH_MAX)
        return fail("cannot write", to, "the path is too long");
    *lock = claim(partial);
    if (*lock < 0)
        return 1;
    int status = copy_file(from, partial);
    if (!status && fsync(*lock) != 0)
        status = fail("cannot write", partial, strerror(errno));
    if (!status)
        return 0;
    unlink(partial);
    close(*lock);
    return status;
}

static int put_in_place(const char *partial, const char *to, int lock) {
    int status = 0;
    if (rename(partial, to) != 0) {
        status = fail("cannot write", to, strerror(errno));
        unlink(partial);
    } else if (!folder_sync_name(to)) {
        status = fail("a loss of power may still undo the new", to, strerror(errno));
    }
    close(lock);
    return status;
}

/* A copy in the data folder could take the place of a file of the store. */
static bool is_in_folder(const char *file, const char *folder) {
    char parent[FOLDER_PATH_MAX];
    struct stat a;
    struct stat b;
    folder_of(parent, file);
    return stat(parent, &a) == 0 && stat(folder, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

int maintenance_backup(const char *folder, const char *file) {
    char path[FOLDER_PATH_MAX];
    char partial[FOLDER_PATH_MAX];
    int lock;
    if (!folder_path(path, folder, STORE_FILE))
        return fail("cannot use", folder, "the path is too long");
    if (access(path, F_OK) != 0)
        return fail("cannot back up", path, strerror(errno));
    if (is_in_folder(file, folder))
        return fail("cannot write", file, "the data folder is for the store alone");
    if (!is_replaceable(file))
        return 1;
    int status = copy_beside(path, file, partial, &lock);
    return status ? status : put_in_place(partial, file, lock);
}

/* ---- Restore ---- */

/* Folds the write-ahead log into its database, so that this one alone is the store. */
static int fold_log(const char *path) {
    sqlite3_stmt *checkpoint = NULL;
    int status = 0;
    sqlite3 *old = open_database(path, SQLITE_OPEN_READWRITE, "cannot open");
    if (!old)
        return 1;
    sqlite3_busy_timeout(old, FOLD_TIMEOUT_MS);
    int code = sqlite3_prepare_v2(old, "PRAGMA wal_checkpoint(TRUNCATE)", -1, &checkpoint, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(checkpoint);
    if (code == SQLITE_ROW && sqlite3_column_int(checkpoint, 0) != 0)
        status = fail("cannot put aside the old", path, "another process reads the store");
    else if (code != SQLITE_ROW && code != SQLITE_CORRUPT && code != SQLITE_NOTADB)
        status = fail("cannot put aside the old", path, sqlite3_errmsg(old));
    sqlite3_finalize(checkpoint);
    sqlite3_close(old);
    return status;
}

/* The old write-ahead log must not be replayed into the new database. It is folded into the old one
 * first, which is still the store if the new one cannot be put in its place; what cannot be folded,
 * because the old one is damaged, goes. */
static int drop_log(const char *folder, const char *path) {
    char beside[FOLDER_PATH_MAX];
    if (access(path, F_OK) == 0 && fold_log(path))
        return 1;
    if (folder_path(beside, folder, STORE_FILE "-wal"))
        unlink(beside);
    if (folder_path(beside, folder, STORE_FILE "-shm"))
        unlink(beside);
    return 0;
}

/* The old store is touched only when the new one lies whole beside it. */
static int replace(const char *folder, const char *file) {
    char path[FOLDER_PATH_MAX];
    char partial[FOLDER_PATH_MAX];
    int lock;
    if (!folder_path(path, folder, STORE_FILE))
        return fail("cannot use", folder, "the path is too long");
    int status = copy_beside(file, path, partial, &lock);
    if (status)
        return status;
    if (!drop_log(folder, path))
        return put_in_place(partial, path, lock);
    unlink(partial);
    close(lock);
    return 1;
}

int maintenance_restore(const char *folder, const char *file) {
    struct check check;
    struct athena_error error;
    int lock;
    if (access(file, R_OK) != 0)
        return fail("cannot restore", file, strerror(errno));
    if (verify(file, &check))
        return fail("cannot restore", file, "it is not a whole store");
    if (folder_lock(&lock, folder, &error))
        return fail("cannot restore to", folder, error.text);
    int status = replace(folder, file);
    close(lock);
    return status;
}
