/*
 * The command when power is lost, or the disk full, at each of its operations in turn: what it said
 * is stored is there afterwards, and what it did not finish can be done again.
 */
#include "reference-client/tests/support_main.h"
#include "scripts/faults/faults.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64]; /* made by mkdtemp */
static char path[80];   /* of the replica in it */
static char command[512];
static char preload[512];
static char variable[128];
static struct faults *faults;

static void set_up(void) {
    char file[80];
    const char *build = getenv("ATHENA_BUILD");
    snprintf(folder, sizeof folder, "/tmp/athena-power-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/r", folder);
    snprintf(file, sizeof file, "%s/faults", folder);
    snprintf(command, sizeof command, "%s/athena-sync", build ? build : "build");
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s/faults.so", build ? build : "build");
    snprintf(variable, sizeof variable, "%s=%s", FAULTS_VARIABLE, file);
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(ftruncate(fd, sizeof *faults), 0);
    faults = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(faults, MAP_FAILED);
    close(fd);
}

static int remove_one(const char *name, const struct stat *status, int type, struct FTW *where) {
    (void)status, (void)type, (void)where;
    return remove(name);
}

static void remove_folder(const char *name) {
    nftw(name, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void tear_down(void) {
    munmap(faults, sizeof *faults);
    remove_folder(folder);
}

/* ---- The command ---- */

struct run {
    pid_t pid;
    FILE *to;
    FILE *from;
    char said[4096]; /* by the end of it */
};

/* `word`, behind the folder, may be NULL. */
static void start(struct run *run, char *name, char *word) {
    int to[2];
    int from[2];
    /* ASan has to be told that what it does not come before is no mistake. */
    char *const arguments[] = {command, name, path, word, NULL};
    char *const environment[] = {preload, variable, "ASAN_OPTIONS=verify_asan_link_order=0", NULL};
    ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
    run->pid = fork();
    if (run->pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC),
             STDERR_FILENO); /* what fails, fails on purpose */
        execve(command, arguments, environment);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    run->to = fdopen(to[1], "w");
    run->from = fdopen(from[0], "r");
    signal(SIGPIPE, SIG_IGN);
}

/* The status it ended with, -1 when it was killed. */
static int end(struct run *run) {
    int status;
    fclose(run->to);
    size_t len = fread(run->said, 1, sizeof run->said - 1, run->from);
    run->said[len] = '\0';
    fclose(run->from);
    ck_assert_int_eq(waitpid(run->pid, &status, 0), run->pid);
    ck_assert(!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run_all(struct run *run, char *name, char *word) {
    start(run, name, word);
    return end(run);
}

/* From here on no fault. */
static void mend(void) {
    atomic_store(&faults->power_loss, 0);
    atomic_store(&faults->full_write, 0);
    atomic_store(&faults->disk, DISK_GOOD);
}

/* What of the writes that no sync has followed is lost: all, or every second one. */
static const unsigned dropped[] = {0xffffffff, 0xaaaaaaaa};
enum { LOSSES = sizeof dropped / sizeof dropped[0] };
enum { LATER = 1000000 }; /* no loss yet, but what is written is kept in mind for one */

static void lose_power(int loss, long nth) {
    atomic_store(&faults->dropped, dropped[loss]);
    atomic_store(&faults->power_loss, nth);
}

static void expect_changes(unsigned least) {
    struct run run;
    ck_assert_int_eq(run_all(&run, "verify", NULL), 0);
    ck_assert_uint_ge(strtoul(run.said, NULL, 10), least);
}

static void expect_init(void) {
    struct run run;
    remove_folder(path);
    ck_assert_int_eq(run_all(&run, "init", NULL), 0);
}

/* ---- Loss of power ---- */

START_TEST(a_replica_is_made_or_can_be) {
    for (long nth = 1, status = -1; status != 0; nth++) {
        struct run run;
        remove_folder(path);
        lose_power(_i, nth);
        status = run_all(&run, "init", NULL);
        mend();
        if (status != 0)
            ck_assert_int_eq(status, -1);
        if (status == 0 || run_all(&run, "init", NULL) != 0)
            ck_assert_int_eq(run_all(&run, "status", NULL), 0);
        ck_assert(status != 0 || nth > 5);
    }
}
END_TEST

/* [ASP-CLI-2] */
START_TEST(a_change_whose_id_was_told_is_there) {
    for (long nth = 1, status = -1; status != 0; nth++) {
        struct run run;
        expect_init();
        lose_power(_i, nth);
        status = run_all(&run, "add", "a1b2");
        mend();
        expect_changes(*run.said ? 1 : 0);
        ck_assert(status != 0 || (nth > 5 && *run.said));
    }
}
END_TEST

/* Sends one `add` and waits for its answer; false when none comes any more. */
static bool add_by_line(struct run *run) {
    char line[1024];
    fprintf(run->to, "{\"cmd\":\"add\",\"actor\":\"a1b2\",\"data\":\"AAAA\"}\n");
    fflush(run->to);
    while (fgets(line, sizeof line, run->from))
        if (strstr(line, "\"answer\""))
            return strstr(line, "\"ok\":true") != NULL;
    return false;
}

/* The log has changes of before, and the loss comes in a later commit or when it is closed. */
START_TEST(changes_that_were_answered_are_there) {
    for (long nth = 1, status = -1; status != 0; nth++) {
        struct run run;
        unsigned answered = 0;
        expect_init();
        lose_power(_i, LATER);
        start(&run, "watch", "--offline");
        while (answered < 5)
            answered += add_by_line(&run);
        lose_power(_i, nth);
        answered += add_by_line(&run);
        status = end(&run);
        mend();
        expect_changes(answered);
        ck_assert(status != 0 || nth > 5);
    }
}
END_TEST

/* ---- A disk that fails ---- */

START_TEST(a_folder_whose_name_may_be_lost_is_taken_back) {
    struct run run;
    atomic_store(&faults->disk, DISK_FAILS_SYNCS);
    ck_assert_int_eq(run_all(&run, "init", NULL), 1);
    ck_assert_int_ne(access(path, F_OK), 0);
    mend();
    ck_assert_int_eq(run_all(&run, "init", NULL), 0);
}
END_TEST

/* ---- A full disk ---- */

START_TEST(what_a_full_disk_ends_can_be_done_again) {
    static char *const commands[][2] = {{"init", NULL}, {"add", "a1b2"}};
    char *name = commands[_i][0];
    for (long nth = 1, is_full = 1; is_full; nth++) {
        struct run run;
        if (_i == 0)
            remove_folder(path);
        else
            expect_init();
        atomic_store(&faults->full_write, nth);
        int status = run_all(&run, name, commands[_i][1]);
        is_full = atomic_load(&faults->disk) == DISK_FULL;
        mend();
        ck_assert(status == 0 || (status == 1 && is_full));
        if (status == 1)
            ck_assert_int_eq(run_all(&run, name, commands[_i][1]), 0);
        expect_changes(strcmp(name, "add") == 0);
    }
}
END_TEST

/* A replica that was never opened since it was made, and one that was. */
START_TEST(what_only_reads_needs_no_disk_to_write) {
    static char *const commands[] = {"status", "verify", "key"};
    struct run run;
    expect_init();
    for (unsigned changes = 0; changes < 2; changes++) {
        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
            atomic_store(&faults->disk, _i == 0 ? DISK_FULL : DISK_READ_ONLY);
            ck_assert_int_eq(run_all(&run, commands[i], NULL), 0);
            ck_assert(i != 1 || strtoul(run.said, NULL, 10) == changes);
            ck_assert_int_eq(run_all(&run, "add", "a1b2"), 1);
        }
        mend();
        ck_assert_int_eq(run_all(&run, "add", "a1b2"), 0);
    }
}
END_TEST

int main(void) {
    const struct support_test tests[] = {
        {a_replica_is_made_or_can_be, LOSSES},
        {a_change_whose_id_was_told_is_there, LOSSES},
        {changes_that_were_answered_are_there, LOSSES},
        {a_folder_whose_name_may_be_lost_is_taken_back, 1},
        {what_a_full_disk_ends_can_be_done_again, 2},
        {what_only_reads_needs_no_disk_to_write, 2},
    };
    return support_run("power", tests, sizeof tests / sizeof tests[0], set_up, tear_down);
}
