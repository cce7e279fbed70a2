/*
 * The whole program on a disk that fails, tears, hangs or is full, without descriptors, under a
 * clock that jumps: nothing acknowledged is lost, nothing else is reported as stored, and it goes
 * on as soon as it can. The faults are those of shim_faults.c.
 */
#include "reference-server/tests/faults.h"
#include "reference-server/tests/support_client.h"
#include "reference-server/tests/support_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static struct faults *faults;
static char preload[SUPPORT_PATH_MAX];
static char variable[SUPPORT_PATH_MAX + sizeof FAULTS_VARIABLE];
/* ASan has to be told that what it does not come before is no mistake. */
static char asan[] = "ASAN_OPTIONS=verify_asan_link_order=0";
static const char *const environment[] = {preload, variable, asan, NULL};
static const struct process_setting with_faults = {.environment = environment};

static struct server server;
static struct athena_keys keys;

/* For the server that is started next; no fault yet. */
static void map_faults(void) {
    char path[SUPPORT_PATH_MAX];
    const char *build = getenv("ATHENA_BUILD");
    support_path(path, support_folder, "faults");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, sizeof *faults), 0);
    faults = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(faults, MAP_FAILED);
    close(fd);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s/reference-server/tests/faults.so",
             build ? build : "build");
    snprintf(variable, sizeof variable, "%s=%s", FAULTS_VARIABLE, path);
    support_keys(&keys, 1);
}

static void start(void) {
    map_faults();
    server_start(&server, NULL, &with_faults);
}

static void join(struct client *client, struct athena_message *opened) {
    client_join(client, server.url);
    client_open(client, &keys, opened);
}

/* The number of a change that has the data that client_push gives it. */
static uint64_t number_of(const struct athena_change_view *change) {
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    char data[17];
    snprintf(id, sizeof id, "%.12s", change->id.at + change->id.len - 12);
    uint64_t number = strtoull(id, NULL, 16);
    support_id(id, number);
    client_data(data, number);
    ck_assert_uint_eq(change->id.len, strlen(id));
    ck_assert_mem_eq(change->id.at, id, strlen(id));
    ck_assert_uint_eq(change->data.len, 16);
    ck_assert_mem_eq(change->data.at, data, 16);
    return number;
}

/* The log, listed whole, begins with changes 1 to `acknowledged`; what is behind them was pushed as
 * well, and answered with `unavailable` or not at all. Returns how many there are. */
static uint64_t expect_log(uint64_t acknowledged) {
    struct client reader;
    struct athena_message message;
    uint64_t number = 0;
    join(&reader, &message);
    uint64_t count = message.digest.count;
    message = client_request(&reader, ATHENA_LIST, &keys);
    message.with_data = true;
    client_send(&reader, &message);
    client_expect(&reader, ATHENA_LISTED, &message);
    ck_assert_uint_eq(message.changes_len, count);
    ck_assert_uint_ge(count, acknowledged);
    ck_assert(!message.more);
    for (size_t i = 0; i < message.changes_len; i++) {
        uint64_t next = number_of(&message.changes[i]);
        ck_assert(i < acknowledged ? next == i + 1 : next > number);
        number = next;
    }
    client_close(&reader);
    return count;
}

/* After a kill: whole by its own judgement, and serving all of it. */
static void expect_log_after_kill(uint64_t at_least) {
    server_expect_whole(&server);
    server_restart(&server, NULL);
    expect_log(at_least);
    server_stop(&server);
}

/* Until a commit has begun. */
static void wait_for_sync(long after) {
    uint64_t start_ms = support_now_ms();
    while (atomic_load(&faults->syncs) == after)
        poll(NULL, 0, support_left_ms(start_ms, "a commit") > 0 ? 1 : 0);
}

/* ---- A disk that refuses ---- */

static const int refusals[] = {DISK_FULL, DISK_READ_ONLY, DISK_FAILS_SYNCS};

/* [ASP-DUR-5] [ASP-DUR-6] [ASP-DUR-7] */
START_TEST(answers_unavailable_and_recovers) {
    struct client writer;
    struct client reader;
    struct athena_message message;
    start();
    join(&writer, NULL);
    join(&reader, NULL);
    client_store(&writer, &keys, 1, 10);
    client_expect(&reader, ATHENA_CHANGED, &message);
    atomic_store(&faults->disk, refusals[_i]);
    for (uint64_t attempt = 0; attempt < 3; attempt++) {
        client_push(&writer, &keys, 11, 5);
        client_expect(&writer, ATHENA_ERROR, &message);
        ck_assert_int_eq(message.code, ATHENA_UNAVAILABLE);
        ck_assert_uint_eq(expect_log(10), 10);
    }
    atomic_store(&faults->disk, DISK_GOOD);
    client_store(&writer, &keys, 11, 10);
    client_expect(&reader, ATHENA_CHANGED, &message); /* nothing of what failed came before */
    ck_assert_uint_eq(message.changes_len, 10);
    server_kill(&server);
    client_close(&writer);
    client_close(&reader);
    expect_log_after_kill(20);
}
END_TEST

/* It begins to fail when pushes wait to be committed together. */
START_TEST(acknowledges_nothing_that_failed) {
    enum { PUSHES = 40 };
    struct client writer;
    struct athena_message message;
    uint64_t stored = 0;
    start();
    join(&writer, NULL);
    long syncs = atomic_load(&faults->syncs);
    atomic_store(&faults->disk, DISK_HANGS);
    client_push(&writer, &keys, 1, 1);
    wait_for_sync(syncs);
    for (uint64_t i = 1; i < PUSHES; i++)
        client_push(&writer, &keys, i + 1, 1);
    atomic_store(&faults->disk, refusals[_i]);
    for (uint64_t i = 0; i < PUSHES; i++) {
        ck_assert(client_receive(&writer, &message));
        ck_assert(message.type == ATHENA_PUSHED || message.code == ATHENA_UNAVAILABLE);
        stored += message.type == ATHENA_PUSHED;
    }
    ck_assert_uint_lt(stored, PUSHES);
    ck_assert_uint_eq(expect_log(stored), stored);
    server_kill(&server);
    client_close(&writer);
    expect_log_after_kill(stored);
}
END_TEST

/* The same from each write, or sync, of a push on, until all of them fit. */
static void refuse_from_each(size_t countdown_offset) {
    for (long nth = 1;; nth++) {
        struct client writer;
        struct athena_message message;
        start();
        join(&writer, NULL);
        client_store(&writer, &keys, 1, 10);
        atomic_long *countdown = (atomic_long *)(void *)((char *)faults + countdown_offset);
        atomic_store(countdown, nth);
        client_push(&writer, &keys, 11, 20);
        ck_assert(client_receive(&writer, &message));
        bool is_stored = message.type == ATHENA_PUSHED;
        ck_assert(is_stored || message.code == ATHENA_UNAVAILABLE);
        ck_assert_uint_eq(expect_log(10), is_stored ? 30 : 10);
        atomic_store(countdown, 0);
        atomic_store(&faults->disk, DISK_GOOD);
        client_store(&writer, &keys, 31, 10);
        ck_assert_uint_eq(expect_log(10), is_stored ? 40 : 20);
        client_close(&writer);
        server_kill(&server);
        expect_log_after_kill(is_stored ? 40 : 10);
        if (is_stored) {
            ck_assert_int_gt(nth, 1);
            return;
        }
    }
}

START_TEST(survives_a_disk_that_fills) {
    refuse_from_each(offsetof(struct faults, full_write));
}
END_TEST

START_TEST(survives_a_disk_that_stops_to_sync) {
    refuse_from_each(offsetof(struct faults, failing_sync));
}
END_TEST

/* Every process started from here on has the faults; the server starts with nothing cached. */
static void restart_with_faults(void) {
    putenv(preload);
    putenv(variable);
    putenv(asan);
    server_restart(&server, NULL);
}

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
    start();
    join(&writer, NULL);
    client_store(&writer, &keys, 1, 10);
    client_close(&writer);
    server_stop(&server);
    restart_with_faults();
    join(&writer, NULL);
    join(&reader, NULL);
    atomic_store(&faults->disk, DISK_FAILS_READS);
    expect_unavailable(&reader, client_request(&reader, ATHENA_LIST, &keys));
    client_push(&writer, &keys, 11, 10); /* whether it is stored already cannot be told */
    client_expect(&writer, ATHENA_ERROR, &message);
    ck_assert_int_eq(message.code, ATHENA_UNAVAILABLE);
    long syncs = atomic_load(&faults->syncs);
    atomic_store(&faults->disk, DISK_HANGS);
    client_push(&writer, &keys, 11, 10);
    wait_for_sync(syncs);
    atomic_store(&faults->disk, DISK_FAILS_READS); /* it is stored, and cannot be relayed */
    client_expect(&writer, ATHENA_PUSHED, &message);
    ck_assert(!client_receive(&reader, &message));
    ck_assert_uint_eq(reader.close_code, 4002);
    atomic_store(&faults->disk, DISK_GOOD);
    ck_assert_uint_eq(expect_log(20), 20);
    client_close(&reader);
    client_close(&writer);
    server_stop(&server);
}
END_TEST

START_TEST(does_not_start_on_a_disk_that_refuses) {
    map_faults();
    atomic_store(&faults->disk, DISK_READ_ONLY);
    process_expect((const char *const[]){"--data", support_folder, NULL}, &with_faults, 1,
                   "Read-only file system");
    atomic_store(&faults->disk, DISK_FULL);
    process_expect((const char *const[]){"--data", support_folder, NULL}, &with_faults, 1,
                   "database or disk is full");
}
END_TEST

/* ---- Backup and restore ---- */

static const size_t countdowns[] = {
    offsetof(struct faults, full_write),
    offsetof(struct faults, failing_sync),
    offsetof(struct faults, torn_write),
};

/* Runs the command while the nth operation goes wrong. True when its work is in place: none did, or
 * all that failed is the last, to make it outlast a loss of power, and it says so. */
static bool withstands(const char *command, const char *file, size_t countdown_offset, long nth) {
    struct process process;
    atomic_long *countdown = (atomic_long *)(void *)((char *)faults + countdown_offset);
    atomic_store(countdown, nth);
    process_start(&process, (const char *const[]){command, file, "--data", server.folder, NULL},
                  &with_faults);
    int status = process_wait(&process);
    ck_assert(status == 0 || status == -SIGKILL || (status == 1 && process.err.len > 0));
    bool is_done = status == 0 || strstr(process_err(&process), "may still undo the new");
    process_fini(&process);
    atomic_store(countdown, 0);
    atomic_store(&faults->disk, DISK_GOOD);
    return is_done;
}

static void expect_changes(const char *folder, unsigned count) {
    char says[64];
    snprintf(says, sizeof says, "1 documents, %u changes, 0 damaged\n", count);
    process_expect((const char *const[]){"check", "--data", folder, NULL}, NULL, 0, says);
}

static void restore(const char *folder, const char *file) {
    process_expect((const char *const[]){"restore", file, "--data", folder, NULL}, NULL, 0, "");
}

/* A server that was killed has 20 changes, some only in SQLite's log; `copy` has the first 10. */
static void fill_and_copy(char copy[static SUPPORT_PATH_MAX]) {
    struct client writer;
    start();
    support_path(copy, support_folder, "copy");
    join(&writer, NULL);
    client_store(&writer, &keys, 1, 10);
    process_expect((const char *const[]){"backup", copy, "--data", server.folder, NULL}, NULL, 0,
                   "");
    client_store(&writer, &keys, 11, 10);
    client_close(&writer);
    server_kill(&server);
}

/* Until it is done, the copy that was there stays whole. */
START_TEST(backs_up_or_leaves_the_old_copy) {
    char copy[SUPPORT_PATH_MAX];
    char fresh[SUPPORT_PATH_MAX];
    fill_and_copy(copy);
    support_path(fresh, support_folder, "fresh");
    for (long nth = 1;; nth++) {
        bool is_done = withstands("backup", copy, countdowns[_i], nth);
        expect_changes(server.folder, 20);
        restore(fresh, copy);
        expect_changes(fresh, is_done ? 20 : 10);
        if (is_done) {
            ck_assert_int_gt(nth, 2);
            return;
        }
    }
}
END_TEST

static void copy_file(const char *from_folder, const char *to_folder, const char *name) {
    char path[SUPPORT_PATH_MAX];
    struct stat status;
    support_path(path, from_folder, name);
    int from = open(path, O_RDONLY | O_CLOEXEC);
    support_path(path, to_folder, name);
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_eq(fstat(from, &status), 0);
    ck_assert_int_eq(sendfile(to, from, NULL, (size_t)status.st_size), status.st_size);
    close(from);
    close(to);
}

/* Until it is done, all that was acknowledged is there. */
START_TEST(restores_or_leaves_the_old_store) {
    char copy[SUPPORT_PATH_MAX];
    fill_and_copy(copy);
    copy_file(server.folder, support_folder, "athena.db");
    copy_file(server.folder, support_folder, "athena.db-wal");
    for (long nth = 1;; nth++) {
        copy_file(support_folder, server.folder, "athena.db");
        copy_file(support_folder, server.folder, "athena.db-wal");
        bool is_done = withstands("restore", copy, countdowns[_i], nth);
        expect_changes(server.folder, is_done ? 10 : 20);
        if (is_done) {
            ck_assert_int_gt(nth, 2);
            return;
        }
    }
}
END_TEST

/* ---- A write cut in half by a loss of power ---- */

/* [ASP-DUR-3] [ASP-DUR-4]: at each write of a commit in turn, until none is cut any more. */
START_TEST(survives_torn_commits) {
    for (long nth = 1;; nth++) {
        struct client writer;
        struct athena_message message;
        uint64_t acknowledged = 10;
        start();
        join(&writer, NULL);
        client_store(&writer, &keys, 1, acknowledged);
        atomic_store(&faults->torn_write, nth);
        client_push(&writer, &keys, acknowledged + 1, 20);
        bool is_torn = !client_receive(&writer, &message);
        client_close(&writer);
        if (!is_torn) {
            ck_assert_int_gt(nth, 5);
            atomic_store(&faults->torn_write, 0);
            server_stop(&server);
            return;
        }
        ck_assert_int_eq(process_wait(&server.process), -SIGKILL);
        process_fini(&server.process);
        expect_log_after_kill(acknowledged);
    }
}
END_TEST

/* The same while what was committed moves into the database file. */
START_TEST(survives_torn_checkpoints) {
    for (long nth = 1;; nth++) {
        struct client writer;
        start();
        join(&writer, NULL);
        client_store(&writer, &keys, 1, 200);
        client_close(&writer);
        atomic_store(&faults->torn_write, nth);
        process_signal(&server.process,
                       SIGTERM); /* the last connection to a database checkpoints */
        int status = process_wait(&server.process);
        process_fini(&server.process);
        expect_log_after_kill(200);
        if (status == 0) {
            ck_assert_int_gt(nth, 3);
            return;
        }
        ck_assert_int_eq(status, -SIGKILL);
    }
}
END_TEST

/* ---- A disk that hangs ---- */

/* [ASP-DUR-1]: meanwhile others are served what is stored, and nothing else. */
START_TEST(serves_while_the_disk_hangs) {
    struct client writer;
    struct client reader;
    struct athena_message message;
    start();
    join(&writer, NULL);
    join(&reader, NULL);
    client_store(&writer, &keys, 1, 10);
    client_expect(&reader, ATHENA_CHANGED, &message);
    long syncs = atomic_load(&faults->syncs);
    atomic_store(&faults->disk, DISK_HANGS);
    client_push(&writer, &keys, 11, 5);
    wait_for_sync(syncs);
    ck_assert_uint_eq(expect_log(10), 10);
    struct athena_message request = client_request(&reader, ATHENA_LIST, &keys);
    client_send(&reader, &request);
    client_expect(&reader, ATHENA_LISTED, &message); /* no `changed` before it */
    atomic_store(&faults->disk, DISK_GOOD);
    client_expect(&writer, ATHENA_PUSHED, &message);
    client_expect(&reader, ATHENA_CHANGED, &message);
    ck_assert_uint_eq(message.changes_len, 5);
    client_close(&writer);
    client_close(&reader);
    server_stop(&server);
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
    ck_assert_int_eq(prlimit(server.process.pid, RLIMIT_NOFILE, NULL, &limit), 0);
    limit.rlim_cur = now ? now : limit.rlim_max;
    ck_assert_int_eq(prlimit(server.process.pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

/* [ASP-ABUSE-8]: who is connected goes on; who is not waits until there are some. */
START_TEST(goes_on_without_descriptors) {
    struct client writer;
    struct client late;
    start();
    join(&writer, NULL);
    limit_descriptors(free_descriptor(server.process.pid));
    client_connect(&late, server.url);
    for (uint64_t i = 0; i < 10; i++)
        client_store(&writer, &keys, 1 + i, 1);
    client_close(&writer);
    limit_descriptors(0);
    ck_assert_int_eq(client_upgrade(&late, ""), 101);
    client_close(&late);
    expect_log(10);
    process_signal(&server.process, SIGTERM);
    ck_assert_int_eq(process_wait(&server.process), 0);
    ck_assert_uint_lt(server.process.err.len, 10000); /* it has not said so again and again */
    process_fini(&server.process);
}
END_TEST

/* ---- The clock ---- */

START_TEST(does_not_care_about_the_wall_clock) {
    static const long days[] = {1, -1, 365L * 20, -365L * 20, 0};
    struct client writer;
    struct athena_message message;
    start();
    join(&writer, NULL);
    for (uint64_t i = 0; i < sizeof days / sizeof *days; i++) {
        atomic_store(&faults->clock_s, days[i] * 86400);
        client_store(&writer, &keys, i * 10 + 1, 10);
        ck_assert_uint_eq(expect_log(i * 10 + 10), i * 10 + 10);
    }
    process_signal(&server.process, SIGTERM);
    client_expect(&writer, ATHENA_ERROR, &message);
    ck_assert_int_eq(message.code, ATHENA_SHUTTING_DOWN);
    client_close(&writer);
    ck_assert_int_eq(process_wait(&server.process), 0);
    process_fini(&server.process);
    expect_log_after_kill(50);
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
    support_add(suite, "start", does_not_start_on_a_disk_that_refuses);
    support_add_each(suite, "backup", backs_up_or_leaves_the_old_copy, 3);
    support_add_each(suite, "restore", restores_or_leaves_the_old_store, 3);
    support_add(suite, "torn commit", survives_torn_commits);
    support_add(suite, "torn checkpoint", survives_torn_checkpoints);
    support_add(suite, "hanging disk", serves_while_the_disk_hangs);
    support_add(suite, "descriptors", goes_on_without_descriptors);
    support_add(suite, "clock", does_not_care_about_the_wall_clock);
    return support_main(suite);
}
