/*
 * The server's process under the harness: started, killed, stopped, its data copied. This program
 * plays the server, too, when its first argument is "serve":
 *
 *     serve MODE PORT FOLDER      MODE: good, deaf (ignores SIGTERM), sour (ends with 3), mute
 *                                 (never listens), counts (prints how often it started), heavy
 * (holds 32 MiB in a child)
 */
#include "conformance/clock.h"
#include "conformance/file.h"
#include "conformance/memory.h"
#include "conformance/process.h"
#include "conformance/target.h"
#include "conformance/tests/support_main.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- The server ------------------------------------------------------------------------------ */

static volatile sig_atomic_t told_to_end;

static void note_end(int sig) {
    told_to_end = sig;
}

static void listen_at(const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 5) != 0)
        exit(1);
}

/* Adds a byte to a file of its folder; returns how many there are now. */
static long count_start(const char *folder) {
    char *inner = memory_format("%s/inner", folder);
    char *path = memory_format("%s/starts", inner);
    mkdir(inner, 0700);
    FILE *file = fopen(path, "ae");
    if (file == NULL)
        exit(1);
    fputc('x', file);
    long starts = ftell(file);
    fclose(file);
    free(inner);
    free(path);
    return starts;
}

/* In a child, which ends with its group. */
static void hold_memory(void) {
    enum { HELD_BYTES = 32 * 1024 * 1024 };
    int ends[2];
    char ready = 0;
    if (pipe(ends) != 0)
        exit(1);
    if (fork() == 0) {
        char *held = malloc(HELD_BYTES);
        for (size_t i = 0; held != NULL && i < HELD_BYTES; i++)
            held[i] = (char)i;
        if (held == NULL || write(ends[1], &ready, 1) != 1)
            exit(1);
        for (;;)
            pause();
    }
    if (read(ends[0], &ready, 1) != 1)
        exit(1);
}

static int serve(const char *mode, const char *port, const char *folder) {
    sigset_t end_signal;
    sigset_t before;
    sigemptyset(&end_signal);
    sigaddset(&end_signal, SIGTERM);
    sigprocmask(SIG_BLOCK, &end_signal, &before);
    signal(SIGTERM, strcmp(mode, "deaf") == 0 ? SIG_IGN : note_end);
    long starts = count_start(folder);
    if (strcmp(mode, "counts") == 0)
        printf("starts %ld\n", starts);
    else
        printf("mode %s\n", mode);
    fflush(stdout);
    if (strcmp(mode, "heavy") == 0)
        hold_memory();
    if (strcmp(mode, "mute") != 0)
        listen_at(port);
    while (told_to_end == 0)
        sigsuspend(&before);
    return strcmp(mode, "sour") == 0 ? 3 : 0;
}

/* ---- The tests ------------------------------------------------------------------------------- */

enum { LONG_MS = 10000, SHORT_MS = 150 };

static char *self;

struct fixture {
    struct target_options options;
    char *command;
    struct target *target;
    char *error;
};

static int64_t deadline(int ms) {
    return clock_now_us() + (int64_t)ms * 1000;
}

/* `before` and `after` are parts of the command. */
static void begin_within(struct fixture *fixture, const char *before, const char *mode,
                         const char *after) {
    *fixture = (struct fixture){0};
    fixture->command = memory_format("%s%s serve %s {port} {dir}%s", before, self, mode, after);
    fixture->options.command = fixture->command;
    fixture->target = target_new(&fixture->options, &fixture->error);
    ck_assert_msg(fixture->target != NULL, "%s", fixture->error);
}

static void begin(struct fixture *fixture, const char *mode) {
    begin_within(fixture, "", mode, "");
}

static void end(struct fixture *fixture) {
    target_free(fixture->target);
    free(fixture->command);
    free(fixture->error);
}

static void start(struct fixture *fixture) {
    ck_assert_msg(target_start(fixture->target, deadline(LONG_MS), &fixture->error), "%s",
                  fixture->error);
    ck_assert(target_accepts(fixture->target));
}

/* A signal may come between its parent's last look and the fork. */
START_TEST(leaves_interrupts_to_the_parent) {
    process_catch_signals();
    raise(SIGINT);
    ck_assert_int_eq(process_interrupted(), SIGINT);
    process_leave_signals();
    ck_assert_int_eq(process_interrupted(), 0);
}
END_TEST

START_TEST(weighs_all_of_its_processes) {
    static const uint64_t mib = UINT64_C(1024) * 1024;
    struct fixture light;
    struct fixture heavy;
    begin(&light, "good");
    begin(&heavy, "heavy");
    start(&light);
    start(&heavy);
    ck_assert_uint_gt(target_memory(light.target), 0);
    ck_assert_uint_gt(target_memory(heavy.target), target_memory(light.target) + 31 * mib);
    end(&light);
    end(&heavy);
}
END_TEST

START_TEST(starts_and_stops) {
    struct fixture fixture;
    begin(&fixture, "good");
    start(&fixture);
    ck_assert_ptr_null(target_describe_death(fixture.target));
    ck_assert(target_terminate(fixture.target));
    char *death = target_await_death(fixture.target, deadline(LONG_MS));
    ck_assert_str_eq(death, "exit status 0");
    ck_assert(!target_accepts(fixture.target));
    ck_assert(!target_terminate(fixture.target));
    char *log = target_log_tail(fixture.target);
    ck_assert_str_eq(log, "mode good\n");
    free(death);
    free(log);
    end(&fixture);
}
END_TEST

START_TEST(keeps_its_address_over_restarts) {
    struct fixture fixture;
    char authority[sizeof((struct url *)NULL)->authority];
    begin(&fixture, "good");
    start(&fixture);
    memcpy(authority, target_authority(fixture.target), sizeof authority);
    for (int i = 0; i < 3; i++) {
        ck_assert(target_kill(fixture.target, &fixture.error));
        ck_assert(!target_accepts(fixture.target));
        start(&fixture);
        ck_assert_str_eq(target_authority(fixture.target), authority);
    }
    ck_assert(target_kill(fixture.target, &fixture.error));
    ck_assert(!target_kill(fixture.target, &fixture.error)); /* none runs */
    end(&fixture);
}
END_TEST

START_TEST(tells_a_sour_end) {
    struct fixture fixture;
    begin(&fixture, "sour");
    start(&fixture);
    ck_assert(target_terminate(fixture.target));
    char *death = target_await_death(fixture.target, deadline(LONG_MS));
    ck_assert_str_eq(death, "exit status 3");
    free(death);
    end(&fixture);
}
END_TEST

START_TEST(survives_a_deaf_server) {
    struct fixture fixture;
    begin(&fixture, "deaf");
    start(&fixture);
    ck_assert(target_terminate(fixture.target));
    ck_assert_ptr_null(target_await_death(fixture.target, deadline(SHORT_MS)));
    end(&fixture); /* kills it */
}
END_TEST

START_TEST(gives_up_on_a_mute_server) {
    struct fixture fixture;
    begin(&fixture, "mute");
    ck_assert(!target_start(fixture.target, deadline(SHORT_MS), &fixture.error));
    ck_assert_msg(strstr(fixture.error, "accepts no connection") != NULL, "%s", fixture.error);
    end(&fixture);
}
END_TEST

/* At each start the server prints how often it was started on this data. */
static void expect_starts(struct fixture *fixture, const char *last_line) {
    start(fixture);
    char *log = target_log_tail(fixture->target);
    const char *found =
        strlen(log) >= strlen(last_line) ? log + strlen(log) - strlen(last_line) : "";
    ck_assert_msg(strcmp(found, last_line) == 0, "%s", log);
    free(log);
    ck_assert(target_kill(fixture->target, &fixture->error));
}

START_TEST(saves_and_restores_data) {
    struct fixture fixture;
    begin(&fixture, "counts");
    ck_assert(target_save(fixture.target, "empty", &fixture.error));
    expect_starts(&fixture, "starts 1\n");
    ck_assert(target_save(fixture.target, "one", &fixture.error));
    expect_starts(&fixture, "starts 2\n");
    expect_starts(&fixture, "starts 3\n");
    ck_assert(target_restore(fixture.target, "one", &fixture.error));
    expect_starts(&fixture, "starts 2\n");
    ck_assert(target_restore(fixture.target, "empty", &fixture.error));
    expect_starts(&fixture, "starts 1\n");
    ck_assert(target_save(fixture.target, "one", &fixture.error)); /* takes the place of the old */
    ck_assert(!target_restore(fixture.target, "never", &fixture.error));
    ck_assert_msg(strstr(fixture.error, "saved-never") != NULL, "%s", fixture.error);
    end(&fixture);
}
END_TEST

static void expect_end(const char *before, const char *mode, const char *after, const char *says) {
    struct fixture fixture;
    begin_within(&fixture, before, mode, after);
    start(&fixture);
    ck_assert(target_terminate(fixture.target));
    char *death = target_await_death(fixture.target, deadline(LONG_MS));
    ck_assert_msg(death != NULL && strcmp(death, says) == 0, "%s %s: %s", fixture.command, says,
                  death);
    ck_assert(!target_accepts(fixture.target));
    free(death);
    end(&fixture);
}

START_TEST(any_command_of_the_shell) {
    expect_end("cd / && ", "good", "", "exit status 0");
    expect_end("A_VARIABLE=1 ", "good", "", "exit status 0");
    expect_end("exec ", "good", "", "exit status 0");
    /* the shell around it is ended by SIGTERM, which is not what counts */
    expect_end("", "good", "; exit 7", "exit status 0");
    expect_end("", "sour", "; exit 7", "exit status 3");
    expect_end("sleep 100 & ", "good", " & wait", "exit status 0");
    /* one that passes the signal on tells how it ended */
    expect_end("trap 'kill $!' TERM; ", "sour", " & wait; wait $!", "exit status 3");
    expect_end("sh -c '", "good", "; exit 7'; exit $?", "exit status 0");
    /* one that starts it and is gone */
    expect_end("", "good", " &", "exit status 0");
}
END_TEST

START_TEST(simple_commands) {
    static const char *const simple[] = {"sh x", "/bin/sh -c {port}", " env A=1 ls",
                                         "ls --a='x y'"};
    static const char *const others[] = {"cd /tmp",       "exec ls", "A=1 ls", "ls; ls", "ls | cat",
                                         "/nowhere/ls x", "'ls' x",  "",       "$X ls",  "(ls)"};
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        ck_assert_msg(process_is_simple(simple[i]), "%s", simple[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert_msg(!process_is_simple(others[i]), "%s", others[i]);
}
END_TEST

START_TEST(kills_what_a_wrapper_started) {
    struct fixture fixture;
    begin_within(&fixture, "", "good", "; exit 7");
    for (int i = 0; i < 10; i++) {
        start(&fixture);
        ck_assert(target_kill(fixture.target, &fixture.error));
        ck_assert(!target_accepts(fixture.target));
    }
    end(&fixture);
}
END_TEST

START_TEST(sees_what_left_its_group) {
    struct fixture fixture;
    begin_within(&fixture, "setsid ", "good", " & wait");
    start(&fixture);
    ck_assert(target_kill(fixture.target, &fixture.error));
    ck_assert(!target_start(fixture.target, deadline(LONG_MS), &fixture.error));
    ck_assert_msg(strstr(fixture.error, "must not leave its process group") != NULL, "%s",
                  fixture.error);
    process_end_children();
    ck_assert(!target_accepts(fixture.target));
    end(&fixture);
}
END_TEST

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2], argv[3], argv[4]);
    self = realpath(argv[0], NULL);
    Suite *suite = suite_create("target");
    support_add(suite, "stop", starts_and_stops);
    support_add(suite, "restart", keeps_its_address_over_restarts);
    support_add(suite, "sour", tells_a_sour_end);
    support_add(suite, "deaf", survives_a_deaf_server);
    support_add(suite, "mute", gives_up_on_a_mute_server);
    support_add(suite, "data", saves_and_restores_data);
    support_add(suite, "shell", any_command_of_the_shell);
    support_add(suite, "simple", simple_commands);
    support_add(suite, "wrapper", kills_what_a_wrapper_started);
    support_add(suite, "escape", sees_what_left_its_group);
    support_add(suite, "interrupts", leaves_interrupts_to_the_parent);
    support_add(suite, "memory", weighs_all_of_its_processes);
    int status = support_main(suite);
    free(self);
    return status;
}
