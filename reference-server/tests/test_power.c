/*
 * The whole program when power is lost, and its backup and restore when anything fails, at each of
 * their operations in turn: what is on the disk then is whole, with all that was acknowledged.
 */
#include "reference-server/tests/support_faults.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

/* A write cut in half, and all or every second one of those lost that no sync has followed. */
static const struct faulty_countdown power_losses[] = {
    {offsetof(struct faults, torn_write), 0},
    {offsetof(struct faults, power_loss), 0xffffffff},
    {offsetof(struct faults, power_loss), 0xaaaaaaaa},
};
enum { POWER_LOSSES = sizeof power_losses / sizeof *power_losses };
enum { LATER = 1000000 }; /* no loss yet, but what is written is kept in mind for one */

/* A server that has acknowledged so many changes, all that it wrote for them within reach of the
 * loss to come. */
static void start_with(uint64_t acknowledged, const struct faulty_countdown *loss,
                       struct client *writer) {
    faulty_start();
    faulty_count_down(loss, LATER);
    faulty_join(writer, NULL);
    client_store(writer, &faulty_keys, 1, acknowledged);
}

/* ---- Loss of power ---- */

/* [ASP-DUR-3] [ASP-DUR-4]: at each operation of a commit in turn, until it is through. */
START_TEST(survives_power_loss_in_a_commit) {
    for (long nth = 1;; nth++) {
        struct client writer;
        struct athena_message message;
        uint64_t acknowledged = 10;
        start_with(acknowledged, &power_losses[_i], &writer);
        faulty_count_down(&power_losses[_i], nth);
        client_push(&writer, &faulty_keys, acknowledged + 1, 20);
        bool is_lost = !client_receive(&writer, &message);
        client_close(&writer);
        if (!is_lost) {
            ck_assert_int_gt(nth, 5);
            faulty_count_down(&power_losses[_i], 0);
            server_stop(&faulty_server);
            return;
        }
        ck_assert_int_eq(process_wait(&faulty_server.process), -SIGKILL);
        process_fini(&faulty_server.process);
        faulty_expect_log_after_kill(acknowledged);
    }
}
END_TEST

/* The same while what was committed moves into the database file. */
START_TEST(survives_power_loss_in_a_checkpoint) {
    for (long nth = 1;; nth++) {
        struct client writer;
        start_with(50, &power_losses[_i], &writer);
        client_close(&writer);
        faulty_count_down(&power_losses[_i], nth);
        process_signal(&faulty_server.process, SIGTERM); /* the last connection checkpoints */
        int status = process_wait(&faulty_server.process);
        process_fini(&faulty_server.process);
        faulty_expect_log_after_kill(50);
        if (status == 0) {
            ck_assert_int_gt(nth, 3);
            return;
        }
        ck_assert_int_eq(status, -SIGKILL);
    }
}
END_TEST

/* ---- Backup and restore ---- */

enum { MAINTENANCE_FAULTS = 5 };
static const struct faulty_countdown *const maintenance_faults[MAINTENANCE_FAULTS] = {
    &faulty_fills, &faulty_stops_to_sync, &power_losses[0], &power_losses[1], &power_losses[2],
};
enum outcome {
    DONE, /* or all that failed is the last step, which is to make it outlast a loss of power */
    FAILED,
    KILLED,
};

/* Runs the command while the nth operation goes wrong. */
static enum outcome run_with(const char *command, const char *file,
                             const struct faulty_countdown *countdown, long nth) {
    struct process process;
    faulty_count_down(countdown, nth);
    process_start(&process,
                  (const char *const[]){command, file, "--data", faulty_server.folder, NULL},
                  &faulty_setting);
    int status = process_wait(&process);
    ck_assert(status == 0 || status == -SIGKILL || (status == 1 && process.err.len > 0));
    bool is_in_place = strstr(process_err(&process), "may still undo the new") != NULL;
    process_fini(&process);
    faulty_count_down(countdown, 0);
    atomic_store(&faults->disk, DISK_GOOD);
    return status == -SIGKILL ? KILLED : status == 0 || is_in_place ? DONE : FAILED;
}

/* Whole, and with `before` or `after` changes as it has to be; a kill may come on either side. */
static void expect_changes(const char *folder, enum outcome outcome, unsigned before,
                           unsigned after) {
    char says[64];
    snprintf(says, sizeof says, "1 documents, %u changes, 0 damaged\n",
             outcome == DONE ? after : before);
    process_expect((const char *const[]){"check", "--data", folder, NULL}, NULL, 0,
                   outcome == KILLED ? "0 changes, 0 damaged\n" : says);
}

static void restore(const char *folder, const char *file) {
    process_expect((const char *const[]){"restore", file, "--data", folder, NULL}, NULL, 0, "");
}

/* A server that was killed has 20 changes, some only in SQLite's log; `copy` has the first 10. */
static void fill_and_copy(char copy[static SUPPORT_PATH_MAX]) {
    struct client writer;
    faulty_start();
    support_path(copy, support_folder, "copy");
    faulty_join(&writer, NULL);
    client_store(&writer, &faulty_keys, 1, 10);
    process_expect((const char *const[]){"backup", copy, "--data", faulty_server.folder, NULL},
                   NULL, 0, "");
    client_store(&writer, &faulty_keys, 11, 10);
    client_close(&writer);
    server_kill(&faulty_server);
}

/* Until it is done, the copy that was there stays whole. */
START_TEST(backs_up_or_leaves_the_old_copy) {
    char copy[SUPPORT_PATH_MAX];
    char fresh[SUPPORT_PATH_MAX];
    fill_and_copy(copy);
    support_path(fresh, support_folder, "fresh");
    for (long nth = 1;; nth++) {
        enum outcome outcome = run_with("backup", copy, maintenance_faults[_i], nth);
        expect_changes(faulty_server.folder, DONE, 20, 20);
        restore(fresh, copy);
        expect_changes(fresh, outcome, 10, 20);
        if (outcome == DONE) {
            ck_assert_int_gt(nth, 1);
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
    copy_file(faulty_server.folder, support_folder, "athena.db");
    copy_file(faulty_server.folder, support_folder, "athena.db-wal");
    for (long nth = 1;; nth++) {
        copy_file(support_folder, faulty_server.folder, "athena.db");
        copy_file(support_folder, faulty_server.folder, "athena.db-wal");
        enum outcome outcome = run_with("restore", copy, maintenance_faults[_i], nth);
        expect_changes(faulty_server.folder, outcome, 20, 10);
        if (outcome == DONE) {
            ck_assert_int_gt(nth, 2);
            return;
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("power");
    support_add_each(suite, "backup", backs_up_or_leaves_the_old_copy, MAINTENANCE_FAULTS);
    support_add_each(suite, "restore", restores_or_leaves_the_old_store, MAINTENANCE_FAULTS);
    support_add_each(suite, "commit", survives_power_loss_in_a_commit, POWER_LOSSES);
    support_add_each(suite, "checkpoint", survives_power_loss_in_a_checkpoint, POWER_LOSSES);
    return support_main(suite);
}
