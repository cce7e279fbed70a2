#include "scripts/bench/limits.h"

#include "protocol/athena_protocol.h"
#include "scripts/bench/bench.h"
#include "scripts/bench/folder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 4096,
    COMMIT_BYTES = 12288,
    CHUNK_BYTES = 65536,
    ID_TEXT_LEN = 32 + 1 + ATHENA_UUID_TEXT_LEN
};

/* ---- SQLite ---- */

static void execute(sqlite3 *db, const char *sql) {
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        bench_fail("%s: %s", sql, why);
}

static sqlite3 *open_database(const char *path, bool has_unique_ids) {
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK)
        bench_fail("%s: %s", path, sqlite3_errmsg(db));
    execute(db, "PRAGMA journal_mode=WAL");
    execute(db, "PRAGMA synchronous=FULL");
    execute(
        db,
        "CREATE TABLE row (position INTEGER PRIMARY KEY, id TEXT NOT NULL, data BLOB, tag BLOB)");
    if (has_unique_ids)
        execute(db, "CREATE UNIQUE INDEX row_id ON row (id)");
    return db;
}

static void insert_row(sqlite3_stmt *insert) {
    uint8_t random[ATHENA_UUID_BYTES], data[256] = {0};
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    struct athena_text_view actor = {"a8f5f167f44f4964e6c998dee827110c", 32};
    randombytes_buf(random, sizeof random);
    if (athena_change_id_make(id, actor, random, NULL) != ATHENA_OK)
        bench_fail("no change id");
    sqlite3_bind_text(insert, 1, id, ID_TEXT_LEN, SQLITE_STATIC);
    sqlite3_bind_blob(insert, 2, data, (int)athena_envelope_len(BENCH_PLAIN_BYTES), SQLITE_STATIC);
    sqlite3_bind_blob(insert, 3, random, 8, SQLITE_STATIC);
    if (sqlite3_step(insert) != SQLITE_DONE || sqlite3_reset(insert) != SQLITE_OK)
        bench_fail("insert: %s", sqlite3_errmsg(sqlite3_db_handle(insert)));
}

double limits_sqlite_rows(struct bench *bench, size_t rows, size_t rows_per_commit,
                          bool has_unique_ids) {
    char path[PATH_MAX], other[PATH_MAX + 8];
    bench_fresh_path(bench, path, sizeof path, "rows");
    sqlite3 *db = open_database(path, has_unique_ids);
    sqlite3_stmt *insert = NULL;
    sqlite3_prepare_v2(db, "INSERT INTO row (id, data, tag) VALUES (?, ?, ?)", -1, &insert, NULL);
    double start = bench_now();
    for (size_t done = 0; done < rows; done += rows_per_commit) {
        execute(db, "BEGIN IMMEDIATE");
        for (size_t i = done; i < rows && i < done + rows_per_commit; i++)
            insert_row(insert);
        execute(db, "COMMIT");
    }
    double rate = (double)rows / (bench_now() - start);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    unlink(path);
    for (int i = 0; i < 2; i++) {
        snprintf(other, sizeof other, "%s-%s", path, i ? "shm" : "wal");
        unlink(other);
    }
    return rate;
}

static void report_sqlite(struct bench *bench, size_t rows_per_commit, size_t rows,
                          bool has_unique_ids) {
    struct series rates = {0};
    for (int run = 0; run < bench->runs; run++)
        series_add(&rates, limits_sqlite_rows(bench, bench->is_quick ? rows / 50 : rows,
                                              rows_per_commit, has_unique_ids));
    report_figure(&bench->report, &rates, "rows/s", REPORT_NO_AIM, "SQLite, %zu a commit%s",
                  rows_per_commit, has_unique_ids ? ", random unique ids" : ", appended");
}

/* ---- disk ---- */

/* Appends to a new file and flushes, as often as asked; milliseconds each. Waits for a tick of the
 * timer before each, when there is one. */
static void flush_often(struct bench *bench, size_t bytes, size_t count, int timer,
                        struct series *times) {
    static const uint8_t blocks[COMMIT_BYTES] = {1};
    char path[PATH_MAX];
    uint64_t ticks;
    bench_fresh_path(bench, path, sizeof path, "blocks");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        bench_fail("%s: %s", path, strerror(errno));
    for (size_t i = 0; i < count; i++) {
        if (timer >= 0 && read(timer, &ticks, sizeof ticks) != sizeof ticks)
            bench_fail("timer: %s", strerror(errno));
        double start = bench_now();
        if (write(fd, blocks, bytes) != (ssize_t)bytes || fdatasync(fd) < 0)
            bench_fail("fdatasync: %s", strerror(errno));
        series_add(times, (bench_now() - start) * 1e3);
    }
    close(fd);
    unlink(path);
}

void limits_flushes(struct bench *bench, size_t count, struct series *times) {
    const struct itimerspec pace = {{0, 20000000}, {0, 20000000}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (timer < 0 || timerfd_settime(timer, 0, &pace, NULL) < 0)
        bench_fail("timer: %s", strerror(errno));
    flush_often(bench, COMMIT_BYTES, count, timer, times);
    close(timer);
}

static void report_disk(struct bench *bench) {
    struct series medians = {0}, slowest = {0};
    for (int run = 0; run < bench->runs; run++) {
        struct series times = {0};
        flush_often(bench, BLOCK_BYTES, bench->is_quick ? 20 : 500, -1, &times);
        series_add(&medians, series_median(&times));
        series_add(&slowest, series_quantile(&times, 0.99));
        series_fini(&times);
    }
    report_figure(&bench->report, &medians, "ms", REPORT_NO_AIM, "4 KiB appended and fdatasync");
    report_figure(&bench->report, &slowest, "ms", REPORT_NO_AIM, "  p99");
}

/* ---- loopback ---- */

/* A connection over TCP on loopback: both its ends. */
static void connect_pair(int ends[static 2]) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&at, len) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) < 0 ||
        connect(ends[0], (struct sockaddr *)&at, len) < 0)
        bench_fail("loopback: %s", strerror(errno));
    ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    close(listener);
    for (int i = 0; i < 2; i++)
        setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/* Sends back each byte it gets; ends with the connection. */
static void *echo(void *fd) {
    char byte;
    while (read(*(int *)fd, &byte, 1) == 1)
        if (write(*(int *)fd, &byte, 1) != 1)
            break;
    return NULL;
}

static void *swallow(void *fd) {
    static char chunk[CHUNK_BYTES];
    while (read(*(int *)fd, chunk, sizeof chunk) > 0)
        ;
    return NULL;
}

static void send_round_trips(int fd, size_t count) {
    char byte = 0;
    for (size_t i = 0; i < count; i++)
        if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
            bench_fail("loopback: %s", strerror(errno));
}

static void send_chunks(int fd, size_t count) {
    static const char chunk[CHUNK_BYTES];
    for (size_t i = 0; i < count; i++)
        if (write(fd, chunk, sizeof chunk) != sizeof chunk)
            bench_fail("loopback: %s", strerror(errno));
    shutdown(fd, SHUT_WR);
}

/* Seconds that one side takes to do its part against the other in a thread of its own. */
static double loopback_time(void *(*other)(void *), void (*side)(int, size_t), size_t count) {
    int ends[2];
    pthread_t thread;
    connect_pair(ends);
    double start = bench_now();
    if (pthread_create(&thread, NULL, other, &ends[1]) != 0)
        bench_fail("no thread");
    side(ends[0], count);
    if (other == echo)
        shutdown(ends[0], SHUT_WR);
    pthread_join(thread, NULL);
    double time = bench_now() - start;
    close(ends[0]);
    close(ends[1]);
    return time;
}

static void report_loopback(struct bench *bench) {
    struct series trips = {0}, rates = {0};
    size_t trips_count = bench->is_quick ? 500 : 10000, chunks = bench->is_quick ? 500 : 8000;
    for (int run = 0; run < bench->runs; run++) {
        series_add(&trips,
                   loopback_time(echo, send_round_trips, trips_count) * 1e6 / (double)trips_count);
        series_add(&rates, (double)chunks * CHUNK_BYTES / 1e6 /
                               loopback_time(swallow, send_chunks, chunks));
    }
    report_figure(&bench->report, &trips, "us", REPORT_NO_AIM, "loopback round trip of a byte");
    report_figure(&bench->report, &rates, "MB/s", REPORT_NO_AIM, "loopback throughput");
}

/* ---- envelope cipher ---- */

static void report_envelopes(struct bench *bench) {
    struct series seals = {0}, opens = {0};
    struct athena_keys keys;
    uint8_t secret[ATHENA_SECRET_BYTES] = {7}, plain[BENCH_PLAIN_BYTES] = {1}, data[256], back[256];
    struct athena_text_view id = {"aa:7d444840-9dc0-41d1-b245-5ffdce74fad2", 39};
    struct athena_bytes_view sealed = {data, athena_envelope_len(sizeof plain)};
    size_t count = bench->is_quick ? 1000 : 50000, len;
    athena_keys_derive(&keys, secret);
    for (int run = 0; run < bench->runs; run++) {
        double start = bench_now();
        for (size_t i = 0; i < count; i++)
            if (athena_envelope_seal(data, &keys, id,
                                     (struct athena_bytes_view){plain, sizeof plain}) != ATHENA_OK)
                bench_fail("an envelope did not seal");
        double middle = bench_now();
        for (size_t i = 0; i < count; i++)
            if (athena_envelope_open(back, &len, &keys, id, sealed, NULL) != ATHENA_OK)
                bench_fail("an envelope did not open");
        series_add(&seals, (double)count / (middle - start));
        series_add(&opens, (double)count / (bench_now() - middle));
    }
    report_figure(&bench->report, &seals, "/s", REPORT_NO_AIM, "envelopes sealed, one core");
    report_figure(&bench->report, &opens, "/s", REPORT_NO_AIM, "envelopes opened, one core");
}

void measure_limits(struct bench *bench) {
    report_begin(&bench->report, "limits", "the machine itself");
    report_disk(bench);
    for (int has_unique_ids = 0; has_unique_ids < 2; has_unique_ids++) {
        report_sqlite(bench, 1, 1000, has_unique_ids);
        report_sqlite(bench, 100, 50000, has_unique_ids);
        report_sqlite(bench, 1000, 100000, has_unique_ids);
    }
    report_loopback(bench);
    report_envelopes(bench);
}
