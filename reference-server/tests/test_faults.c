/*
 * The whole program on a disk that fails, hangs or is full, without descriptors, under a clock that
 * jumps: nothing acknowledged is lost, nothing else is reported as stored, and it goes on as soon
 * as it can. The faults are those of shim_faults.c.
 */
#include "reference-server/tests/support_faults.h"

#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Until a commit has begun. */
static void wait_for_sync(long after) {
    uint64_t start_ms = support_now_ms();
    while (atomic_load(&faults->syncs) == after)
        poll(NULL, 0, support_left_ms(start_ms, "a commit") > 0 ? 1 : 0);
}

/* ---- A disk that refuses ---- */

static const int refusals[] = {DISK_FULL, DISK_READ_ONLY, DISK_FAILS_SYNCS};

/* [ASP-DUR-5] [ASP-DUR-6] [ASP-DUR-7] [ASP-PUSH-9] */
START_TEST(answers_unavailable_and_recovers) {
    struct client writer;
    struct client reader;
    struct athena_message message;
    faulty_start();
    faulty_join(&writer, NULL);
    faulty_join(&reader, NULL);
    client_store(&writer, &faulty_keys, 1, 10);
    client_expect(&reader, ATHENA_CHANGED, &message);
    atomic_store(&faults->disk, refusals[_i]);
    for (uint64_t attempt = 0; attempt < 3; attempt++) {
        client_push(&writer, &faulty_keys, 11, 5);
        client_expect(&writer, ATHENA_ERROR, &message);
        ck_assert_int_eq(message.code, ATHENA_UNAVAILABLE);
        ck_assert_uint_eq(faulty_expect_log(10), 10);
    }
    atomic_store(&faults->disk, DISK_GOOD);
    client_store(&writer, &faulty_keys, 11, 10);
    client_expect(&reader, ATHENA_CHANGED, &message); /* nothing of what failed came before */
    ck_assert_uint_eq(message.changes_len, 10);
    server_kill(&faulty_server);
    client_close(&writer);
    client_close(&reader);
    faulty_expect_log_after_kill(20);
}
END_TEST

/* It begins to fail when pushes wait to be committed together. */
START_TEST(acknowledges_nothing_that_failed) {
    enum { PUSHES = 40 };
    struct client writer;
    struct athena_message message;
    uint64_t stored = 0;
    faulty_start();
    faulty_join(&writer, NULL);
    long syncs = atomic_load(&faults->syncs);
    atomic_store(&faults->disk, DISK_HANGS);
    client_push(&writer, &faulty_keys, 1, 1);
    wait_for_sync(syncs);
    for (uint64_t i = 1; i < PUSHES; i++)
        client_push(&writer, &faulty_keys, i + 1, 1);
    atomic_store(&faults->disk, refusals[_i]);
    for (uint64_t i = 0; i < PUSHES; i++) {
        ck_assert(client_receive(&writer, &message));
        ck_assert(message.type == ATHENA_PUSHED || message.code == ATHENA_UNAVAILABLE);
        stored += message.type == ATHENA_PUSHED;
    }
    ck_assert_uint_lt(stored, PUSHES);
    ck_assert_uint_eq(faulty_expect_log(stored), stored);
    server_kill(&faulty_server);
    client_close(&writer);
    faulty_expect_log_after_kill(stored);
}
END_TEST

/* The same from each write, or sync, of a push on, until all of them fit. */
static void refuse_from_each(const struct faulty_countdown *countdown) {
    for (long nth = 1;; nth++) {
        struct client writer;
        struct athena_message message;
        faulty_start();
        faulty_join(&writer, NULL);
        client_store(&writer, &faulty_keys, 1, 10);
        faulty_count_down(countdown, nth);
        client_push(&writer, &faulty_keys, 11, 20);
        ck_assert(client_receive(&writer, &message));
        bool is_stored = message.type == ATHENA_PUSHED;
        ck_assert(is_stored || message.code == ATHENA_UNAVAILABLE);
        ck_assert_uint_eq(faulty_expect_log(10), is_stored ? 30 : 10);
        faulty_count_down(countdown, 0);
        atomic_store(&faults->disk, DISK_GOOD);
        client_store(&writer, &faulty_keys, 31, 10);
        ck_assert_uint_eq(faulty_expect_log(10), is_stored ? 40 : 20);
        client_close(&writer);
        server_kill(&faulty_server);
        faulty_expect_log_after_kill(is_stored ? 40 : 10);
        if (is_stored) {
            ck_assert_int_gt(nth, 1);
            return;
        }
    }
}

START_TEST(survives_a_disk_that_fills) {
    refuse_from_each(&faulty_fills);
}
END_TEST

START_TEST(survives_a_disk_that_stops_to_sync) {
    refuse_from_each(&faulty_stops_to_sync);
}
END_TEST

static void expect_unavailable(struct client *client, struct athena_message request) {
    struct athena_message message;
    client_send(client, &request);
    client_expect(client, ATHENA_ERROR, &message);
    ck_assert_int_eq(message.code, ATHENA_UNAVAILABLE);
}

/* [ASP-DUR-6] [ASP-FLOW-5]: what cannot be read is `unavailable`, and no live change is left out:
 * the connection that should have had it ends. */
START_TEST(says_what_it_cannot_read) {
    struct client reader;
    struct client writer;
    struct athena_message message;
    faulty_start();
    faulty_join(&writer, NULL);
    client_store(&writer, &faulty_keys, 1, 10);
    client_close(&writer);
    server_stop(&faulty_server);
    faulty_restart();
    faulty_join(&writer, NULL);
    faulty_join(&reader, NULL);
    atomic_store(&faults->disk, DISK_FAILS_READS);
    expect_unavailable(&reader, client_request(&reader, ATHENA_LIST, &faulty_keys));
    client_push(&writer, &faulty_keys, 11, 10); /* whether it is stored already cannot be told */
    client_expect(&writer, ATHENA_ERROR, &message);
    ck_assert_int_eq(message.code, ATHENA_UNAVAILABLE);
    long syncs = atomic_load(&faults->syncs);
    atomic_store(&faults->disk, DISK_HANGS);
    client_push(&writer, &faulty_keys, 11, 10);
    wait_for_sync(syncs);
    atomic_store(&faults->disk, DISK_FAILS_READS); /* it is stored, and cannot be relayed */
    client_expect(&writer, ATHENA_PUSHED, &message);
    ck_assert(!client_receive(&reader, &message));
    ck_assert_uint_eq(reader.close_code, 4002);
    atomic_store(&faults->disk, DISK_GOOD);
    ck_assert_uint_eq(faulty_expect_log(20), 20);
    client_close(&reader);
    client_close(&writer);
    server_stop(&faulty_server);
}
END_TEST

/* [ASP-DUR-3]: a folder that is made has to be on the disk before what is in it can be. */
START_TEST(makes_a_folder_that_lasts) {
    char folder[SUPPORT_PATH_MAX];
    char within[SUPPORT_PATH_MAX];
    faulty_map();
    support_path(folder, support_folder, "new");
    snprintf(within, sizeof within, "%.500s//", folder);
    atomic_store(&faults->disk, DISK_FAILS_SYNCS);
    process_expect((const char *const[]){"--data", within, NULL}, &faulty_setting, 2,
                   "//': Input/output error");
    ck_assert_int_ne(access(folder, F_OK), 0);
}
END_TEST

START_TEST(does_not_start_on_a_disk_that_refuses) {
    faulty_map();
    atomic_store(&faults->disk, DISK_READ_ONLY);
    process_expect((const char *const[]){"--data", support_folder, NULL}, &faulty_setting, 1,
                   "Read-only file system");
    atomic_store(&faults->disk, DISK_FULL);
    process_expect((const char *const[]){"--data", support_folder, NULL}, &faulty_setting, 1,
                   "database or disk is full");
}
END_TEST

/* ---- A disk that hangs ---- */

/* [ASP-DUR-1]: meanwhile others are served what is stored, and nothing else. */
START_TEST(serves_while_the_disk_hangs) {
    struct client writer;
    struct client reader;
    struct athena_message message;
    faulty_start();
    faulty_join(&writer, NULL);
    faulty_join(&reader, NULL);
    client_store(&writer, &faulty_keys, 1, 10);
    client_expect(&reader, ATHENA_CHANGED, &message);
    long syncs = atomic_load(&faults->syncs);
    atomic_store(&faults->disk, DISK_HANGS);
    client_push(&writer, &faulty_keys, 11, 5);
    wait_for_sync(syncs);
    ck_assert_uint_eq(faulty_expect_log(10), 10);
    struct athena_message request = client_request(&reader, ATHENA_LIST, &faulty_keys);
    client_send(&reader, &request);
    client_expect(&reader, ATHENA_LISTED, &message); /* no `changed` before it */
    atomic_store(&faults->disk, DISK_GOOD);
    client_expect(&writer, ATHENA_PUSHED, &message);
    client_expect(&reader, ATHENA_CHANGED, &message);
    ck_assert_uint_eq(message.changes_len, 5);
    client_close(&writer);
    client_close(&reader);
    server_stop(&faulty_server);
}
END_TEST

static uint64_t metric(const char *name) {
    struct athena_buf page = {0};
    client_get(faulty_server.url, "/metrics", "", &page);
    uint64_t value = client_metric(&page, name);
    athena_buf_fini(&page);
    return value;
}

/* Until the server has taken in so many messages in all. */
static void wait_for_messages(uint64_t count) {
    uint64_t start_ms = support_now_ms();
    while (metric("messages_total") < count)
        poll(NULL, 0, support_left_ms(start_ms, "messages to be taken in") > 0 ? 1 : 0);
}

/* The next `pushed`; what others have stored may come before it. */
static void expect_pushed(struct client *client) {
    struct athena_message message;
    do
        ck_assert(client_receive(client, &message));
    while (message.type == ATHENA_CHANGED);
    ck_assert_int_eq(message.type, ATHENA_PUSHED);
}

/* The place of a change in the log of the document. */
static uint64_t position_of(struct client *client, uint64_t number) {
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    char cursor[ATHENA_CURSOR_TEXT_MAX];
    struct athena_message page = {.more = true};
    uint64_t position = 0;
    support_id(id, number);
    while (page.more) {
        struct athena_message list = client_request(client, ATHENA_LIST, &faulty_keys);
        list.has_after = position > 0;
        list.cursor = (struct athena_text_view){cursor, page.cursor.len};
        client_send(client, &list);
        client_expect(client, ATHENA_LISTED, &page);
        memcpy(cursor, page.cursor.at, page.cursor.len);
        for (size_t i = 0; i < page.ids_len; i++, position++)
            if (page.ids[i].len == strlen(id) && memcmp(page.ids[i].at, id, strlen(id)) == 0)
                return position;
    }
    ck_abort_msg("change %d is not in the log", (int)number);
}

/* [ASP-FLOW-6] [ASP-LOG-5]: pushes that wait are stored together, in turns of their connections:
 * one change does not wait for all that others have sent before it. */
START_TEST(shares_the_store) {
    enum { BUSY = 3, PUSHES = 10, ENTRIES = 1000, ALL = BUSY * PUSHES * ENTRIES };
    struct client busy[BUSY];
    struct client single;
    struct client reader;
    struct athena_message message;
    faulty_start();
    faulty_join(&single, NULL);
    for (size_t i = 0; i < BUSY; i++)
        faulty_join(&busy[i], NULL);
    long syncs = atomic_load(&faults->syncs);
    atomic_store(&faults->disk, DISK_HANGS);
    client_push(&single, &faulty_keys, 0, 1);
    wait_for_sync(syncs);
    for (uint64_t i = 0; i < (uint64_t)BUSY * PUSHES; i++)
        client_push(&busy[i % BUSY], &faulty_keys, 1 + i * ENTRIES, ENTRIES);
    uint64_t taken = 1 + BUSY + 1 + BUSY * PUSHES;
    wait_for_messages(taken);
    client_push(&single, &faulty_keys, 1 + ALL, 1);
    wait_for_messages(taken + 1);
    atomic_store(&faults->disk, DISK_GOOD);
    for (uint64_t i = 0; i < (uint64_t)BUSY * PUSHES; i++)
        expect_pushed(&busy[i % BUSY]);
    expect_pushed(&single);
    expect_pushed(&single);
    ck_assert_uint_lt(metric("commits_total"), BUSY * PUSHES / 2);
    faulty_join(&reader, &message);
    ck_assert_uint_eq(message.digest.count, ALL + 2);
    ck_assert_uint_lt(position_of(&reader, 1 + ALL), ALL / 2);
    client_close(&reader);
    for (size_t i = 0; i < BUSY; i++)
        client_close(&busy[i]);
    client_close(&single);
    server_stop(&faulty_server);
}
END_TEST

static void run_sql(const char *sql) {
    char path[SUPPORT_PATH_MAX];
    sqlite3 *db;
    support_path(path, faulty_server.folder, "athena.db");
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* [ASP-DUR-6]: a document that cannot be read is unavailable, and keeps no other from being stored
 * in the same transaction. The log names it. */
START_TEST(stores_beside_a_damaged_document) {
    char doc[ATHENA_DOC_TEXT_LEN + 1];
    struct athena_keys others;
    struct client client;
    struct client other;
    struct athena_message message;
    support_keys(&others, 2);
    faulty_start();
    faulty_join(&client, NULL);
    client_store(&client, &faulty_keys, 1, 1);
    faulty_join(&other, NULL);
    client_open(&other, &others, NULL);
    run_sql("UPDATE document SET digest = x'00' WHERE number = 1");
    long syncs = atomic_load(&faults->syncs);
    atomic_store(&faults->disk, DISK_HANGS);
    client_push(&other, &others, 1, 1);
    wait_for_sync(syncs);
    client_push(&client, &faulty_keys, 2, 1);
    wait_for_messages(6);
    client_push(&other, &others, 2, 1);
    wait_for_messages(7);
    atomic_store(&faults->disk, DISK_GOOD);
    client_expect(&other, ATHENA_PUSHED, &message);
    client_expect(&other, ATHENA_PUSHED, &message);
    client_expect(&client, ATHENA_ERROR, &message);
    ck_assert_int_eq(message.code, ATHENA_UNAVAILABLE);
    ck_assert_uint_eq(metric("commit_failures_total"), 1);
    client_close(&client);
    client_close(&other);
    process_signal(&faulty_server.process, SIGTERM);
    ck_assert_int_eq(process_wait(&faulty_server.process), 0);
    athena_doc_format(doc, faulty_keys.doc);
    ck_assert_ptr_nonnull(strstr(process_err(&faulty_server.process), doc));
    process_fini(&faulty_server.process);
}
END_TEST

/* ---- Stopping ---- */

/* Up to its very end it does not mind to be told again. */
START_TEST(stops_once) {
    struct client client;
    setenv("MALLOC_PERTURB_", "1", 1); /* what is freed is not what it was */
    faulty_start();
    faulty_join(&client, NULL);
    client_store(&client, &faulty_keys, 1, 10);
    client_close(&client);
    long syncs = atomic_load(&faults->syncs);
    atomic_store(&faults->disk, DISK_HANGS);
    process_signal(&faulty_server.process, SIGTERM);
    wait_for_sync(syncs); /* it closes the store, after all else */
    process_signal(&faulty_server.process, SIGTERM);
    process_signal(&faulty_server.process, SIGINT);
    atomic_store(&faults->disk, DISK_GOOD);
    ck_assert_int_eq(process_wait(&faulty_server.process), 0);
    process_fini(&faulty_server.process);
    faulty_expect_log_after_kill(10);
}
END_TEST

/* [ASP-STOP-4]: it ends in time, also when the disk keeps it from ending well: nothing that was
 * acknowledged is lost, and its socket is not left behind. */
START_TEST(stops_while_the_disk_hangs) {
    char path[SUPPORT_PATH_MAX];
    char address[SUPPORT_PATH_MAX + 8];
    struct client client;
    support_path(path, support_folder, "socket");
    snprintf(address, sizeof address, "unix:%s", path);
    faulty_map();
    server_start(&faulty_server, (const char *const[]){"--listen", address, NULL}, &faulty_setting);
    faulty_join(&client, NULL);
    client_store(&client, &faulty_keys, 1, 10);
    long syncs = atomic_load(&faults->syncs);
    atomic_store(&faults->disk, DISK_HANGS);
    client_push(&client, &faulty_keys, 11, 10);
    wait_for_sync(syncs);
    process_signal(&faulty_server.process, SIGTERM);
    ck_assert_int_eq(process_wait(&faulty_server.process), 1);
    ck_assert_ptr_nonnull(strstr(process_err(&faulty_server.process), "the disk"));
    process_fini(&faulty_server.process);
    client_close(&client);
    ck_assert_int_ne(access(path, F_OK), 0);
    atomic_store(&faults->disk, DISK_GOOD);
    faulty_expect_log_after_kill(10);
}
END_TEST

/* ---- Descriptors ---- */

/* The lowest descriptor that is free: a limit of this leaves none. */
static rlim_t free_descriptor(pid_t pid) {
    char path[64];
    rlim_t number = 0;
    do
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, (int)number);
    while (access(path, F_OK) == 0 && ++number);
    return number;
}

static void limit_descriptors(rlim_t now) {
    struct rlimit limit;
    ck_assert_int_eq(prlimit(faulty_server.process.pid, RLIMIT_NOFILE, NULL, &limit), 0);
    limit.rlim_cur = now ? now : limit.rlim_max;
    ck_assert_int_eq(prlimit(faulty_server.process.pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

/* [ASP-ABUSE-8]: who is connected goes on; who is not waits until there are some. */
START_TEST(goes_on_without_descriptors) {
    struct client writer;
    struct client late;
    faulty_start();
    faulty_join(&writer, NULL);
    limit_descriptors(free_descriptor(faulty_server.process.pid));
    client_connect(&late, faulty_server.url);
    for (uint64_t i = 0; i < 10; i++)
        client_store(&writer, &faulty_keys, 1 + i, 1);
    client_close(&writer);
    limit_descriptors(0);
    ck_assert_int_eq(client_upgrade(&late, ""), 101);
    client_close(&late);
    faulty_expect_log(10);
    process_signal(&faulty_server.process, SIGTERM);
    ck_assert_int_eq(process_wait(&faulty_server.process), 0);
    ck_assert_uint_lt(faulty_server.process.err.len,
                      10000); /* it has not said so again and again */
    process_fini(&faulty_server.process);
}
END_TEST

/* ---- The clock ---- */

START_TEST(does_not_care_about_the_wall_clock) {
    static const long days[] = {1, -1, 365L * 20, -365L * 20, 0};
    struct client writer;
    struct athena_message message;
    faulty_start();
    faulty_join(&writer, NULL);
    for (uint64_t i = 0; i < sizeof days / sizeof *days; i++) {
        atomic_store(&faults->clock_s, days[i] * 86400);
        client_store(&writer, &faulty_keys, i * 10 + 1, 10);
        ck_assert_uint_eq(faulty_expect_log(i * 10 + 10), i * 10 + 10);
    }
    process_signal(&faulty_server.process, SIGTERM);
    client_expect(&writer, ATHENA_ERROR, &message);
    ck_assert_int_eq(message.code, ATHENA_SHUTTING_DOWN);
    client_close(&writer);
    ck_assert_int_eq(process_wait(&faulty_server.process), 0);
    process_fini(&faulty_server.process);
    faulty_expect_log_after_kill(50);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("faults");
    const size_t len = sizeof refusals / sizeof *refusals;
    support_add_each(suite, "refusing disk", answers_unavailable_and_recovers, len);
    support_add_each(suite, "refused group", acknowledges_nothing_that_failed, len);
    support_add(suite, "filling disk", survives_a_disk_that_fills);
    support_add(suite, "stopping syncs", survives_a_disk_that_stops_to_sync);
    support_add(suite, "unreadable disk", says_what_it_cannot_read);
    support_add(suite, "new folder", makes_a_folder_that_lasts);
    support_add(suite, "start", does_not_start_on_a_disk_that_refuses);
    support_add(suite, "hanging disk", serves_while_the_disk_hangs);
    support_add(suite, "shared store", shares_the_store);
    support_add(suite, "damaged document", stores_beside_a_damaged_document);
    support_add(suite, "more signals", stops_once);
    support_add(suite, "stop", stops_while_the_disk_hangs);
    support_add(suite, "descriptors", goes_on_without_descriptors);
    support_add(suite, "clock", does_not_care_about_the_wall_clock);
    return support_main(suite);
}
