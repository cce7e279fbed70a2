/* backup, restore and check, run for real on stores that a server has filled. */
#include "reference-server/tests/support_client.h"
#include "reference-server/tests/support_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHANGES = 20 };

static struct athena_keys first_keys;
static struct athena_keys second_keys;

/* A stopped server's store: two documents of CHANGES changes each. A third was open, too, which
 * writes nothing [ASP-MODEL-5]. */
static void fill_store(struct server *server) {
    struct client client;
    struct athena_keys third_keys;
    support_keys(&first_keys, 1);
    support_keys(&second_keys, 2);
    support_keys(&third_keys, 3);
    server_start(server, NULL, NULL);
    client_join(&client, server->url);
    client_open(&client, &first_keys, NULL);
    client_open(&client, &second_keys, NULL);
    client_open(&client, &third_keys, NULL);
    client_store(&client, &first_keys, 1, CHANGES);
    client_store(&client, &second_keys, 1, CHANGES);
    client_close(&client);
    server_stop(server);
}

static void expect_backup(const char *folder, const char *file, int status, const char *says) {
    process_expect((const char *const[]){"backup", file, "--data", folder, NULL}, NULL, status,
                   says);
}

static void expect_restore(const char *folder, const char *file, int status, const char *says) {
    process_expect((const char *const[]){"restore", file, "--data", folder, NULL}, NULL, status,
                   says);
}

static void expect_check(const char *folder, int status, const char *says) {
    process_expect((const char *const[]){"check", "--data", folder, NULL}, NULL, status, says);
}

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db;
    char *message = NULL;
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_exec(db, sql, NULL, NULL, &message);
    ck_assert_msg(!message, "%s: %s", sql, message);
    sqlite3_close(db);
}

static char *read_file(const char *path, size_t *len) {
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0 && fstat(fd, &stat) == 0, "cannot read %s", path);
    char *bytes = malloc((size_t)stat.st_size + 1);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_int_eq(read(fd, bytes, (size_t)stat.st_size), stat.st_size);
    close(fd);
    *len = (size_t)stat.st_size;
    return bytes;
}

static void write_bytes(const char *path, const char *bytes, size_t len) {
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}

/* ---- Check ---- */

START_TEST(finds_a_whole_store_whole) {
    struct server server;
    fill_store(&server);
    expect_check(server.folder, 0, "2 documents, 40 changes, 0 damaged\n");
    server_restart(&server, NULL);
    expect_check(server.folder, 0, "2 documents, 40 changes, 0 damaged\n"); /* also when served */
    server_stop(&server);
    expect_check(support_folder, 1, "cannot open");
    expect_check("/nowhere", 1, "cannot open /nowhere/athena.db");
}
END_TEST

struct damage {
    const char *sql;
    const char *says;
};

/* Every kind of damage, one at a time, on a fresh copy of one store. */
START_TEST(reports_each_damage) {
    static const struct damage damages[] = {
        {"UPDATE change SET data = x'00' WHERE document = 1 AND position = 7",
         "position 7: its tag does not fit"},
        {"UPDATE change SET data = x'' WHERE document = 1 AND position = 7", "position 7: no data"},
        {"UPDATE change SET tag = tag + 1 WHERE document = 2 AND position = 3",
         "position 3: its tag does not fit"},
        {"UPDATE change SET id = 'nonsense' WHERE document = 1 AND position = 1",
         "position 1: not a change id"},
        {"UPDATE change SET id_hash = id_hash + 1 WHERE document = 1 AND position = 2",
         "position 2: not to be found by its id"},
        {"UPDATE change SET position = 99 WHERE document = 1 AND position = 20",
         "position 20: missing"},
        {"DELETE FROM change WHERE document = 1 AND position = 5", "position 5: missing"},
        {"DELETE FROM change WHERE document = 1 AND position = 1", "position 1: missing"},
        {"DELETE FROM change WHERE document = 1 AND position = 20",
         "position 20: the log does not end where"},
        {"DELETE FROM change WHERE document = 1", "the log does not end where"},
        {"UPDATE document SET count = count + 1 WHERE number = 1", "the log does not end where"},
        {"UPDATE document SET count = count - 1 WHERE number = 1", "the log does not end where"},
        {"UPDATE document SET digest = zeroblob(32) WHERE number = 2",
         "the digest does not fit the log"},
        {"UPDATE document SET digest = x'00' WHERE number = 2",
         "document number 2: its id or digest is cut"},
        {"UPDATE document SET doc = x'00' WHERE number = 1",
         "document number 1: its id or digest is cut"},
        {"UPDATE document SET doc = zeroblob(32) WHERE number = 1",
         "position 1: its tag does not fit"},
        {"UPDATE document SET data_bytes = 1 WHERE number = 1", "the size does not fit the log"},
        {"DELETE FROM document WHERE number = 1", "a change without its document"},
        {"INSERT INTO change SELECT document, 21, id, data, tag, id_hash FROM change"
         " WHERE document = 1 AND position = 20",
         "an id that is there twice"},
        {"DELETE FROM meta", "the key of the ids is missing"},
        {"DROP INDEX change_by_id", "no such index"},
        {"DROP TABLE change", "no such table"},
        {"PRAGMA user_version = 2", "the store has version 2, this program knows 1"},
        {"PRAGMA application_id = 7", "not a store of this program"},
    };
    char store[SUPPORT_PATH_MAX];
    char copy[SUPPORT_PATH_MAX];
    struct server server;
    fill_store(&server);
    support_path(store, server.folder, "athena.db");
    support_path(copy, support_folder, "copy");
    expect_backup(server.folder, copy, 0, "");
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        run_sql(store, damages[i].sql);
        expect_check(server.folder, 1, damages[i].says);
        expect_restore(server.folder, store, 1, "it is not a whole store");
        expect_restore(server.folder, copy, 0, ""); /* over the damaged one */
        expect_check(server.folder, 0, "2 documents, 40 changes, 0 damaged\n");
    }
}
END_TEST

/* Damage that never went through SQLite. */
START_TEST(reports_damaged_files) {
    char store[SUPPORT_PATH_MAX];
    struct server server;
    size_t len;
    fill_store(&server);
    support_path(store, server.folder, "athena.db");
    char *whole = read_file(store, &len);
    char data[17];
    client_data(data, 9);
    char *at = memmem(whole, len, data, 16);
    ck_assert_ptr_nonnull(at);
    at[3] ^= 1; /* one bit of one payload */
    write_bytes(store, whole, len);
    expect_check(server.folder, 1, "position 9: its tag does not fit");
    at[3] ^= 1;
    write_bytes(store, whole, len);
    expect_check(server.folder, 0, "0 damaged");
    write_bytes(store, whole, len - 4096);
    expect_check(server.folder, 1, "malformed");
    write_bytes(store, whole, len / 2);
    expect_check(server.folder, 1, "malformed");
    write_bytes(store, whole, 50);
    expect_check(server.folder, 1, "cannot read the database");
    memset(whole, 'x', len);
    write_bytes(store, whole, len);
    expect_check(server.folder, 1, "not a database");
    write_bytes(store, "", 0);
    expect_check(server.folder, 1, "not a store: empty");
    free(whole);
}
END_TEST

/* ---- Backup ---- */

/* The copy of a live store under writes is one moment of it: whole pushes, and what a server can
 * go on from. */
START_TEST(backs_up_under_writes) {
    enum { PUSHES = 60, ENTRIES = 50 };
    char copy[SUPPORT_PATH_MAX];
    struct server server;
    struct client client;
    struct process backup;
    struct athena_message message;
    support_keys(&first_keys, 1);
    support_path(copy, support_folder, "copy");
    server_start(&server, NULL, NULL);
    client_join(&client, server.url);
    client_open(&client, &first_keys, NULL);
    client_store(&client, &first_keys, (uint64_t)PUSHES * ENTRIES, 1);
    process_start(&backup, (const char *const[]){"backup", copy, "--data", server.folder, NULL},
                  NULL);
    for (uint64_t i = 0; i < PUSHES; i++)
        client_push(&client, &first_keys, i * ENTRIES, ENTRIES);
    for (uint64_t i = 0; i < PUSHES; i++)
        client_expect(&client, ATHENA_PUSHED, &message);
    ck_assert_int_eq(process_wait(&backup), 0);
    process_fini(&backup);
    client_close(&client);
    expect_check(server.folder, 0, "1 documents, 3001 changes, 0 damaged\n");
    server_stop(&server);

    expect_restore(server.folder, copy, 0, ""); /* over the newer store: it has stopped */
    expect_check(server.folder, 0, ", 0 damaged\n");
    server_restart(&server, NULL);
    client_join(&client, server.url);
    client_open(&client, &first_keys, &message);
    uint64_t count = message.digest.count;
    ck_assert_uint_eq((count - 1) % ENTRIES, 0);
    for (uint64_t i = 0; i < PUSHES; i++) { /* [ASP-PUSH-3] */
        client_push(&client, &first_keys, i * ENTRIES, ENTRIES);
        client_expect(&client, ATHENA_PUSHED, &message);
        ck_assert_uint_eq(message.duplicates_len, i < (count - 1) / ENTRIES ? ENTRIES : 0);
    }
    client_close(&client);
    server_stop(&server);
    expect_check(server.folder, 0, "1 documents, 3001 changes, 0 damaged\n");
}
END_TEST

START_TEST(refuses_wrong_backups) {
    char path[SUPPORT_PATH_MAX];
    struct server server;
    fill_store(&server);
    static const char *const own[] = {"athena.db", "athena.db-wal", "lock", "copy"};
    for (size_t i = 0; i < 4; i++) {
        support_path(path, server.folder, own[i]);
        expect_backup(server.folder, path, 1, "the data folder is for the store alone");
    }
    expect_backup(server.folder, "/nowhere/copy", 1, "cannot create /nowhere/copy.partial");
    expect_backup("/nowhere", "/tmp/copy", 1, "cannot back up /nowhere/athena.db");
    expect_backup(server.folder, support_folder, 1, "cannot write"); /* a folder */
    expect_check(server.folder, 0, "2 documents, 40 changes, 0 damaged\n");

    support_path(path, support_folder, "copy.partial"); /* of one that was killed */
    support_write_file(path, "half of a copy");
    support_path(path, support_folder, "copy");
    support_write_file(path, "an older copy");
    expect_backup(server.folder, path, 0, "");
    expect_restore(server.folder, path, 0, "");
    support_path(path, support_folder, "copy.partial");
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

/* ---- What a backup leaves alone ---- */

static mode_t mode_of(const char *folder, const char *name) {
    char path[SUPPORT_PATH_MAX];
    struct stat stat;
    support_path(path, folder, name);
    ck_assert_msg(lstat(path, &stat) == 0, "no %s", path);
    return stat.st_mode;
}

static void make_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.107s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

/* Whatever is no file stays what it is, also where the copy grows. */
START_TEST(replaces_only_files) {
    static const char *const names[] = {"fifo", "socket", "link", "fifo.partial", "link.partial"};
    char path[SUPPORT_PATH_MAX];
    char target[SUPPORT_PATH_MAX];
    struct server server;
    fill_store(&server);
    support_path(target, support_folder, "target");
    support_write_file(target, "precious");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        support_path(path, support_folder, names[i]);
        if (strncmp(names[i], "fifo", 4) == 0)
            ck_assert_int_eq(mkfifo(path, 0600), 0);
        else if (strncmp(names[i], "link", 4) == 0)
            ck_assert_int_eq(symlink(target, path), 0);
        else
            make_socket(path);
        mode_t before = mode_of(support_folder, names[i]);
        char *partial = strstr(path, ".partial");
        if (partial) {
            *partial = '\0';
            unlink(path);
        }
        expect_backup(server.folder, path, 1,
                      strncmp(names[i], "link", 4) == 0 ? ": it is a symbolic link"
                                                        : ": it is not a regular file");
        ck_assert_uint_eq(mode_of(support_folder, names[i]), before);
    }
    size_t len;
    char *bytes = read_file(target, &len);
    ck_assert_uint_eq(len, strlen("precious"));
    free(bytes);
}
END_TEST

/* Whatever the umask is, what is stored is for nobody else. */
START_TEST(keeps_files_to_itself) {
    static const char *const files[] = {"athena.db", "athena.db-wal", "athena.db-shm", "lock"};
    char copy[SUPPORT_PATH_MAX];
    struct server server;
    struct client client;
    umask(0);
    fill_store(&server);
    server_restart(&server, NULL);
    client_join(&client, server.url);
    client_open(&client, &first_keys, NULL);
    client_store(&client, &first_keys, CHANGES + 1, 1);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        ck_assert_uint_eq(mode_of(server.folder, files[i]), S_IFREG | 0600);
    support_path(copy, support_folder, "copy");
    expect_backup(server.folder, copy, 0, "");
    ck_assert_uint_eq(mode_of(support_folder, "copy"), S_IFREG | 0600);
    client_close(&client);
    server_stop(&server);
    expect_restore(server.folder, copy, 0, "");
    ck_assert_uint_eq(mode_of(server.folder, "athena.db"), S_IFREG | 0600);
}
END_TEST

/* ---- A backup that takes its time ---- */

/* Whether the process stands still, and has not ended. */
static bool has_stopped(const struct process *process) {
    siginfo_t info = {0};
    process_signal(process, SIGSTOP);
    ck_assert_int_eq(waitid(P_PID, (id_t)process->pid, &info, WSTOPPED | WEXITED | WNOWAIT), 0);
    return info.si_code == CLD_STOPPED;
}

/* Starts a backup, and stops it when it has copied some of it. */
static void start_and_stop(struct process *backup, const char *folder, const char *copy) {
    char partial[SUPPORT_PATH_MAX];
    struct stat stat;
    uint64_t start_ms = support_now_ms();
    support_path(partial, support_folder, "copy.partial");
    for (bool is_within = false; !is_within;) {
        process_start(backup, (const char *const[]){"backup", copy, "--data", folder, NULL}, NULL);
        while (lstat(copy, &stat) != 0 && (lstat(partial, &stat) != 0 || stat.st_size < 4000000))
            poll(NULL, 0, support_left_ms(start_ms, "a backup under way") > 0 ? 1 : 0);
        is_within = has_stopped(backup) && lstat(partial, &stat) == 0;
        if (!is_within) { /* it was done before it was looked at */
            process_signal(backup, SIGKILL);
            process_wait(backup);
            process_fini(backup);
            unlink(copy);
        }
    }
}

/* The copy is what was committed when it began, and nobody else's. */
START_TEST(backs_up_one_moment) {
    char copy[SUPPORT_PATH_MAX];
    char path[SUPPORT_PATH_MAX];
    char fresh[SUPPORT_PATH_MAX];
    struct server server;
    struct client client;
    struct process backup;
    fill_store(&server);
    support_path(copy, support_folder, "copy");
    support_path(fresh, support_folder, "fresh");
    support_path(path, server.folder, "athena.db");
    run_sql(path, "CREATE TABLE ballast AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                  "FROM n WHERE i < 8000) SELECT i, zeroblob(4000) AS data FROM n");
    server_restart(&server, NULL);
    start_and_stop(&backup, server.folder, copy);
    client_join(&client, server.url);
    client_open(&client, &first_keys, NULL);
    client_store(&client, &first_keys, CHANGES + 1, CHANGES);
    client_close(&client);
    expect_backup(server.folder, copy, 1, "another process copies to it");
    process_signal(&backup, SIGCONT);
    ck_assert_int_eq(process_wait(&backup), 0);
    process_fini(&backup);
    server_stop(&server);
    expect_restore(fresh, copy, 0, "");
    expect_check(fresh, 0, "2 documents, 40 changes, 0 damaged\n");
    expect_backup(server.folder, copy, 0, "");
    expect_restore(fresh, copy, 0, "");
    expect_check(fresh, 0, "2 documents, 60 changes, 0 damaged\n");
}
END_TEST

/* ---- Restore ---- */

START_TEST(restores_only_what_is_whole) {
    char copy[SUPPORT_PATH_MAX];
    char fresh[SUPPORT_PATH_MAX];
    struct server server;
    fill_store(&server);
    support_path(copy, support_folder, "copy");
    support_path(fresh, support_folder, "fresh");
    expect_backup(server.folder, copy, 0, "");

    server_restart(&server, NULL); /* never under a running server [ASP-LOG-7] */
    expect_restore(server.folder, copy, 1, "another process uses the store");
    server_stop(&server);

    expect_restore(server.folder, "/nowhere", 1, "cannot restore /nowhere: No such file");
    expect_restore(server.folder, support_folder, 1, "it is not a whole store");
    expect_restore(server.folder, "/dev/null", 1, "it is not a whole store");
    run_sql(copy, "DELETE FROM change WHERE position = 7");
    expect_restore(server.folder, copy, 1, "it is not a whole store");
    expect_restore(fresh, copy, 1, "it is not a whole store");
    ck_assert_int_ne(access(fresh, F_OK), 0);
    expect_check(server.folder, 0, "2 documents, 40 changes, 0 damaged\n");

    expect_backup(server.folder, copy, 0, "");
    expect_restore(fresh, copy, 0, ""); /* into a folder that was not there */
    expect_check(fresh, 0, "2 documents, 40 changes, 0 damaged\n");
}
END_TEST

/* [ASP-LOG-8]: what a killed server left in its write-ahead log is not replayed into the copy. */
START_TEST(restores_over_a_killed_server) {
    char copy[SUPPORT_PATH_MAX];
    char log[SUPPORT_PATH_MAX];
    struct server server;
    struct client client;
    struct athena_message message;
    fill_store(&server);
    support_path(copy, support_folder, "copy");
    support_path(log, server.folder, "athena.db-wal");
    expect_backup(server.folder, copy, 0, "");
    server_restart(&server, NULL);
    client_join(&client, server.url);
    client_open(&client, &first_keys, NULL);
    client_store(&client, &first_keys, CHANGES + 1, CHANGES);
    server_kill(&server);
    client_close(&client);
    ck_assert_int_eq(access(log, F_OK), 0);
    expect_restore(server.folder, copy, 0, "");
    expect_check(server.folder, 0, "2 documents, 40 changes, 0 damaged\n");
    server_restart(&server, NULL);
    client_join(&client, server.url);
    client_open(&client, &first_keys, &message);
    ck_assert_uint_eq(message.digest.count, CHANGES);
    client_store(&client, &first_keys, CHANGES + 1, CHANGES);
    client_close(&client);
    server_stop(&server);
    expect_check(server.folder, 0, "2 documents, 60 changes, 0 damaged\n");
}
END_TEST

/* A store that another process reads is not replaced under it: what it could not be folded into
 * would be lost. */
START_TEST(waits_for_readers) {
    char copy[SUPPORT_PATH_MAX];
    char path[SUPPORT_PATH_MAX];
    struct server server;
    struct client client;
    sqlite3 *reader;
    fill_store(&server);
    support_path(copy, support_folder, "copy");
    support_path(path, server.folder, "athena.db");
    expect_backup(server.folder, copy, 0, "");
    server_restart(&server, NULL);
    client_join(&client, server.url);
    client_open(&client, &first_keys, NULL);
    client_store(&client, &first_keys, CHANGES + 1, CHANGES);
    ck_assert_int_eq(sqlite3_open_v2(path, &reader, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM change", NULL, NULL, NULL),
                     SQLITE_OK);
    server_kill(&server);
    client_close(&client);
    expect_restore(server.folder, copy, 1, "another process reads the store");
    expect_check(server.folder, 0, "2 documents, 60 changes, 0 damaged\n");
    sqlite3_close(reader);
    expect_restore(server.folder, copy, 0, "");
    expect_check(server.folder, 0, "2 documents, 40 changes, 0 damaged\n");
}
END_TEST

/* A server does not serve what it cannot read. */
START_TEST(does_not_serve_damage) {
    char store[SUPPORT_PATH_MAX];
    struct server server;
    fill_store(&server);
    support_path(store, server.folder, "athena.db");
    const char *const serve[] = {"--data", server.folder, "--listen", "127.0.0.1:0", NULL};
    run_sql(store, "DROP INDEX change_by_id");
    process_expect(serve, NULL, 1, "no such index");
    run_sql(store, "DELETE FROM meta");
    process_expect(serve, NULL, 1, "the database has no id key");
    run_sql(store, "PRAGMA user_version = 9");
    process_expect(serve, NULL, 1, "the store has version 9, this program knows 1");
    run_sql(store, "PRAGMA application_id = 9");
    process_expect(serve, NULL, 1, "not a store of this program");
    char other[4096];
    memset(other, 'x', sizeof other);
    write_bytes(store, other, sizeof other);
    process_expect(serve, NULL, 1, "not a database");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("maintenance");
    support_add(suite, "check", finds_a_whole_store_whole);
    support_add(suite, "damage", reports_each_damage);
    support_add(suite, "damaged files", reports_damaged_files);
    support_add(suite, "backup", backs_up_under_writes);
    support_add(suite, "wrong backups", refuses_wrong_backups);
    support_add(suite, "no files", replaces_only_files);
    support_add(suite, "modes", keeps_files_to_itself);
    support_add(suite, "moment", backs_up_one_moment);
    support_add(suite, "restore", restores_only_what_is_whole);
    support_add(suite, "restore after a kill", restores_over_a_killed_server);
    support_add(suite, "readers", waits_for_readers);
    support_add(suite, "serve damage", does_not_serve_damage);
    return support_main(suite);
}
