/* The program itself, run for real against servers that are none: it ends, says why, never green.
 */
#include "conformance/file.h"
#include "conformance/memory.h"
#include "conformance/tests/support_fake.h"
#include "conformance/tests/support_main.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct outcome {
    int status;
    char *text; /* standard output and error */
};

static char *program_path(void) {
    const char *build = getenv("ATHENA_BUILD");
    return build != NULL ? memory_format("%s/athena-conform", build)
                         : support_source("build/athena-conform");
}

static char *read_all(int fd) {
    struct bytes text = {0};
    char piece[4096];
    ssize_t got;
    while ((got = read(fd, piece, sizeof piece)) > 0)
        bytes_append(&text, piece, (size_t)got);
    bytes_append(&text, "", 1);
    return (char *)text.at;
}

/* Its output goes to `out`. */
static pid_t start_program(char *const arguments[], int out) {
    char *path = program_path();
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        execv(path, arguments);
        _exit(127);
    }
    free(path);
    return pid;
}

static struct outcome run_program(char *const arguments[]) {
    int ends[2];
    struct outcome outcome;
    int status = 0;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = start_program(arguments, ends[1]);
    close(ends[1]);
    outcome.text = read_all(ends[0]);
    close(ends[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "%s", outcome.text);
    outcome.status = WEXITSTATUS(status);
    return outcome;
}

static void expect(char *const arguments[], int status, const char *says) {
    struct outcome outcome = run_program(arguments);
    ck_assert_msg(outcome.status == status && strstr(outcome.text, says) != NULL,
                  "status %d, not %d, or it does not say \"%s\":\n%s", outcome.status, status, says,
                  outcome.text);
    ck_assert_msg(status == 0 || strstr(outcome.text, ": conformant") == NULL, "%s", outcome.text);
    free(outcome.text);
}

/* Runs against a scripted server, which knows no TLS whatever the scheme says. */
static void expect_by(const char *scheme, const char *script_text, int status, const char *says) {
    cJSON *script = cJSON_Parse(script_text);
    ck_assert_ptr_nonnull(script);
    struct fake fake = fake_start(script);
    char *url = memory_format("%s://127.0.0.1:%u/", scheme, fake.port);
    expect((char *[]){"athena-conform", "server", "--timeout", "0.5", "--url", url, NULL}, status,
           says);
    fake_stop(&fake);
    free(url);
    cJSON_Delete(script);
}

static void expect_of(const char *script_text, int status, const char *says) {
    expect_by("ws", script_text, status, says);
}

START_TEST(nothing_listens) {
    struct fake fake = fake_start(NULL);
    char *url = memory_format("ws://127.0.0.1:%u/", fake.port);
    fake_stop(&fake);
    expect((char *[]){"athena-conform", "server", "--url", url, NULL}, 3, "nothing accepts");
    free(url);
}
END_TEST

START_TEST(plain_http_server) {
    expect_of("[{\"when\": \"head\", \"always\": true, \"do\": [{\"http\": \"HTTP/1.1 200 OK\\r\\n"
              "Content-Length: 2\\r\\n\\r\\nhi\"}, {\"close\": 0}]}]",
              1, "HTTP 200, not 101");
}
END_TEST

START_TEST(echoing_websocket) {
    /* one that waits to be spoken to, and one that greets in its own way */
    expect_of("[]", 1, "in vain for welcome");
    expect_of("[{\"when\": \"connect\", \"always\": true, \"do\": [{\"text\": \"hello\"}]}]", 1,
              "not strict");
}
END_TEST

START_TEST(silent_acceptor) {
    expect_of("[{\"when\": \"head\", \"always\": true, \"do\": [{\"http\": \"\"}]}]", 1,
              "in vain for the answer to the handshake");
}
END_TEST

START_TEST(speaks_no_tls) {
    expect_by("wss", "[]", 1, "in vain for an answer to the TLS handshake of probe");
}
END_TEST

/* It cannot be selected by name: the command to repeat it is the one that was given. */
START_TEST(liveness_can_be_replayed) {
    cJSON *script = cJSON_Parse("[]");
    struct fake fake = fake_start(script);
    char *url = memory_format("ws://127.0.0.1:%u/", fake.port);
    char *replay =
        memory_format("replay: athena-conform server --url %s --timeout 0.5 --seed 7\n", url);
    expect((char *[]){"athena-conform", "server", "--url", url, "--seed", "7", "--timeout", "0.5",
                      NULL},
           1, replay);
    fake_stop(&fake);
    cJSON_Delete(script);
    free(replay);
    free(url);
}
END_TEST

START_TEST(closes_at_once) {
    expect_of("[{\"when\": \"head\", \"always\": true, \"do\": [{\"close\": 0}]}]", 1,
              "without a close frame");
}
END_TEST

/* Greets, then says nothing: every scenario fails, none hangs, and the time stays bounded. */
START_TEST(greets_and_falls_silent) {
    expect_of("[{\"when\": \"connect\", \"always\": true, \"do\": [{\"text\": \"welcome\"}]}]", 1,
              "not conformant");
}
END_TEST

START_TEST(server_command_that_ends) {
    expect((char *[]){"athena-conform", "server", "--exec", "false {port}", NULL}, 3,
           "exit status 1 before it accepted");
    expect((char *[]){"athena-conform", "server", "--exec", "/nowhere/server {port}", NULL}, 3,
           "exit status 127");
}
END_TEST

/* Every process of the command holds the fifo open: it ends when all of them have. */
START_TEST(interrupted) {
    char *error = NULL;
    char byte;
    int status = 0;
    char *folder = folder_make_temporary(NULL, &error);
    char *fifo = memory_format("%s/fifo", folder);
    char *command = memory_format(
        "exec 9>%s; setsid sleep 1000 & sh -c 'sleep 1000; exit 7'; exit 7 # {port}", fifo);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    pid_t pid =
        start_program((char *[]){"athena-conform", "server", "--exec", command, NULL}, null);
    int fd = open(fifo, O_RDONLY | O_CLOEXEC); /* once the command runs */
    kill(pid, SIGINT);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    ck_assert_int_eq(read(fd, &byte, 1), 0);
    close(fd);
    close(null);
    folder_remove(folder);
    free(command);
    free(fifo);
    free(folder);
}
END_TEST

/* ---- A server that dies ---------------------------------------------------------------------- */

static char *self; /* this program, which is a scripted server as well */

static void write_file(const char *folder, const char *name, const char *text) {
    char *path = memory_format("%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    free(path);
}

/* A folder for scenarios and the script of their server. */
static char *make_folder(const char *script) {
    char *error = NULL;
    char *folder = folder_make_temporary(NULL, &error);
    char *family = memory_format("%s/some", folder);
    ck_assert_int_eq(mkdir(family, 0700), 0);
    write_file(folder, "script", script);
    free(family);
    return folder;
}

static void add_scenario(const char *folder, const char *name, const char *members,
                         const char *steps) {
    char *file = memory_format("some/%s.json", name);
    char *text = memory_format(
        "{\"title\": \"A scenario of this test\", \"why\": \"To see what comes of it\",\n"
        " \"requirements\": [\"ASP-LIST-1\"], \"profile\": \"core\", %s\"steps\": [\n%s\n]}",
        members, steps);
    write_file(folder, file, text);
    free(file);
    free(text);
}

/* What runs the script of the folder; free() it. */
static char *command_of(const char *folder) {
    return memory_format("%s fake {port} %s/script {dir}", self, folder);
}

static void end_folder(char *folder, char *command) {
    folder_remove(folder);
    free(folder);
    free(command);
}

static void expect_dying(const char *reaction, const char *last_step, const char *jobs, int status,
                         const char *says) {
    char *script = memory_format("[%s, \"greets\", \"answers\"]", reaction);
    char *folder = make_folder(script);
    char *command = command_of(folder);
    for (unsigned i = 0; i < 12; i++) {
        char *name = memory_format("s%02u", i);
        char *steps = memory_format("{\"connect\": \"a\"}, {\"lives\": \"a\", \"for_ms\": 50}, %s",
                                    i == 5 ? last_step : "{\"ping\": \"a\"}");
        add_scenario(folder, name, "", steps);
        free(steps);
        free(name);
    }
    expect((char *[]){"athena-conform", "server", "--exec", command, "--scenarios", folder,
                      "--jobs", (char *)jobs, "some/*", NULL},
           status, says);
    end_folder(folder, command);
    free(script);
}

/* Scenarios that take a while, and among them one that sends what the server does not survive. */
START_TEST(one_scenario_kills_the_server) {
    static const char die[] = "{\"send\": {\"type\": \"die\", \"req\": 1}, \"on\": \"a\"}, "
                              "{\"expect\": {\"req\": 1}, \"on\": \"a\"}";
    static const char aborts[] = "{\"when\": {\"type\": \"die\"}, \"do\": [{\"abort\": true}]}";
    for (const char *const *jobs = (const char *[]){"1", "3", "16", NULL}; *jobs != NULL; jobs++) {
        expect_dying(aborts, die, *jobs, 1, "FAIL        some/s05 ");
        expect_dying(aborts, die, *jobs, 1, "some/s05: the server ended with signal 6 (Aborted)");
        expect_dying(aborts, die, *jobs, 1, "11 passed, 1 failed, ");
    }
}
END_TEST

START_TEST(a_scenario_leaves_the_server_dead) {
    static const char die[] = "{\"ping\": \"a\"}, {\"send\": {\"type\": \"die\", \"req\": 1}, "
                              "\"on\": \"a\"}";
    static const char aborts[] = "{\"when\": {\"type\": \"die\"}, \"do\": [{\"abort\": true}]}";
    /* It, or nobody, when all others had passed: then that the server is not there in the end. */
    expect_dying(aborts, die, "16", 1, " passed, 1 failed, ");
}
END_TEST

/* Nothing that the scenario expects comes behind what kills. */
START_TEST(the_last_scenario_leaves_the_server_dead) {
    char *folder = make_folder("[{\"when\": {\"type\": \"die\"}, \"do\": [{\"abort\": true}]}, "
                               "\"greets\", \"answers\"]");
    char *command = command_of(folder);
    add_scenario(folder, "last", "",
                 "{\"connect\": \"a\"}, {\"ping\": \"a\"}, {\"send\": {\"type\": \"die\", "
                 "\"req\": 1}, \"on\": \"a\"}");
    char *arguments[] = {"athena-conform", "server", "--exec", command,
                         "--scenarios",    folder,   "some/*", NULL};
    expect(arguments, 1, "FAIL        harness/liveness");
    expect(arguments, 1, "1 passed, 1 failed, ");
    expect(arguments, 1, "signal 6 (Aborted)");
    end_folder(folder, command);
}
END_TEST

START_TEST(dies_at_the_first_request) {
    static const char aborts[] = "{\"when\": {\"type\": \"push\"}, \"do\": [{\"abort\": true}]}";
    expect_dying(aborts, "{\"ping\": \"a\"}", "4", 1, "FAIL        harness/liveness");
    expect_dying(aborts, "{\"ping\": \"a\"}", "4", 1, "the server ended with signal 6 (Aborted)");
    expect_dying(aborts, "{\"ping\": \"a\"}", "4", 1, "0 passed, 1 failed, 12 not run");
}
END_TEST

/* ---- What the status says -------------------------------------------------------------------- */

static const char GOOD[] = "[\"greets\", \"answers\"]";
static const char PING[] = "{\"connect\": \"a\"}, {\"ping\": \"a\"}";

START_TEST(needs_that_are_not_there) {
    char *folder = make_folder(GOOD);
    char *command = command_of(folder);
    char *with_quota = memory_format("%s quota={quota}", command);
    add_scenario(folder, "plain", "", PING);
    add_scenario(folder, "quota", "\"needs\": [\"exec\", \"quota\"], ", PING);
    char *arguments[] = {"athena-conform", "server", "--exec", command, "--scenarios", folder,
                         "--family",       "some",   NULL,     NULL,    NULL};
    expect(arguments, 3, "1 passed, 0 failed, 1 untestable, ");
    expect(arguments, 3, "no verdict: not everything was tested, for want of {quota}.");
    arguments[8] = "--without";
    arguments[9] = "quota";
    expect(arguments, 0, "1 passed, 0 failed, ");
    expect(arguments, 0, "conformant in what was tested; left out: quota (1 scenario)");
    arguments[9] = "exec";
    expect(arguments, 0, "left out: exec (1 scenario)");
    arguments[9] = "idle_ms"; /* which none of them needs */
    expect(arguments, 3, "for want of {quota}.");
    arguments[3] = with_quota;
    expect(arguments, 0, "2 passed, 0 failed, ");
    expect(arguments, 0, ": conformant in what was selected");
    arguments[9] = "luck";
    expect(arguments, 2, "--without luck");
    free(with_quota);
    end_folder(folder, command);
}
END_TEST

START_TEST(what_cannot_be_written) {
    char *folder = make_folder(GOOD);
    char *command = command_of(folder);
    add_scenario(folder, "plain", "", PING);
    for (const char *const *report = (const char *[]){"tap=/dev/full", "junit=/dev/full",
                                                      "json=/dev/full", "html=/dev/full", NULL};
         *report != NULL; report++)
        expect((char *[]){"athena-conform", "server", "--exec", command, "--scenarios", folder,
                          "--report", (char *)*report, "some/plain", NULL},
               3, "/dev/full: No space left on device");
    expect((char *[]){"athena-conform", "server", "--exec", command, "--scenarios", folder,
                      "--report", "json=/nowhere/x", "some/plain", NULL},
           3, "0 passed, 0 failed, 1 not run");
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int status = 0;
    pid_t pid = start_program((char *[]){"athena-conform", "server", "--list", NULL}, full);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    close(full);
    end_folder(folder, command);
}
END_TEST

START_TEST(replay_tells_no_secret) {
    struct fake fake = fake_start(NULL);
    char *url = memory_format("ws://127.0.0.1:%u/", fake.port);
    char *arguments[] = {"athena-conform", "server",   "--url",      url,
                         "--token",        "s3cr3t",   "--header",   "Cookie: s3cr3t",
                         "--timeout=0.25", "--seed=7", "live/relay", NULL};
    char *replay = memory_format("replay: athena-conform server --url %s --token TOKEN "
                                 "--header 'Cookie: VALUE' --timeout 0.25 --seed 7\n",
                                 url);
    struct outcome outcome = run_program(arguments);
    ck_assert_msg(strstr(outcome.text, replay) != NULL, "%s", outcome.text);
    ck_assert_msg(strstr(outcome.text, "s3cr3t") == NULL, "%s", outcome.text);
    free(outcome.text);
    fake_stop(&fake);
    free(replay);
    free(url);
}
END_TEST

/* ---- Scenarios ------------------------------------------------------------------------------- */

START_TEST(requirements_that_are_none) {
    char *folder = make_folder(GOOD);
    char *command = command_of(folder);
    char *path = memory_format("%s/some/made-up.json", folder);
    char *says = memory_format("%s:5:30: ASP-NOPE-99 is not in the specification", path);
    add_scenario(folder, "plain", "", PING);
    add_scenario(folder, "made-up", "",
                 "{\"connect\": \"a\"},\n{\"repeat\": 1, \"steps\": [\n"
                 "{\"ping\": \"a\", \"requirement\": \"ASP-NOPE-99\"}]}");
    expect((char *[]){"athena-conform", "server", "--exec", command, "--scenarios", folder,
                      "--family", "some", NULL},
           3, says);
    expect((char *[]){"athena-conform", "server", "--list", "--scenarios", folder, NULL}, 3, says);
    end_folder(folder, command);
    free(path);
    free(says);
}
END_TEST

START_TEST(pauses_before_steps_only) {
    char *folder = make_folder(GOOD);
    char *arguments[] = {"athena-conform", "server",         "--list", "--scenarios", folder,
                         "some/plain",     "--pause-before", "3",      NULL};
    add_scenario(folder, "plain", "", "{\"connect\": \"a\"},\n\n{\"ping\": \"a\"}");
    expect(arguments, 0, "some/plain");
    arguments[7] = "4";
    expect(arguments, 2, "begins there; the nearest do in line 3 and line 5");
    arguments[7] = "1";
    expect(arguments, 2, "begins there; the nearest do in line 3\n");
    arguments[7] = "9";
    expect(arguments, 2, "begins there; the nearest do in line 5\n");
    arguments[5] = "--bail";
    arguments[7] = "3";
    expect(arguments, 0, "some/plain");
    end_folder(folder, NULL);
}
END_TEST

/* Whatever lies beside the prefix it was installed in. */
START_TEST(finds_its_own_folders) {
    char *error = NULL;
    char *prefix = folder_make_temporary(NULL, &error);
    char *program = program_path();
    char *source = support_source("");
    char *make = memory_format("cd %s && mkdir -p bin share spec fixtures/scenarios/mine && "
                               "cp %s bin && ln -s %s share/athena-sync",
                               prefix, program, source);
    char *run = memory_format("%s/bin/athena-conform server --list live/relay >%s/out 2>&1", prefix,
                              prefix);
    ck_assert_int_eq(system(make), 0); // NOLINT(cert-env33-c): as a user's shell would
    ck_assert_int_eq(system(run), 0);  // NOLINT(cert-env33-c)
    folder_remove(prefix);
    free(run);
    free(make);
    free(source);
    free(program);
    free(prefix);
}
END_TEST

START_TEST(wrong_usage) {
    expect((char *[]){"athena-conform", NULL}, 2, "usage");
    expect((char *[]){"athena-conform", "sever", NULL}, 2, "usage");
    expect((char *[]){"athena-conform", "server", NULL}, 2, "which server");
    expect((char *[]){"athena-conform", "server", "--url", NULL}, 2, "--help");
    expect((char *[]){"athena-conform", "server", "--frob", NULL}, 2, "--help");
    expect((char *[]){"athena-conform", "server", "-x", NULL}, 2, "no such option");
    expect((char *[]){"athena-conform", "server", "--bail=1", NULL}, 2, "takes no value");
    expect((char *[]){"athena-conform", "client", "--url", "ws://x/", NULL}, 2,
           "--url is for 'athena-conform server', 'athena-conform storm'");
    expect((char *[]){"athena-conform", "server", "--url", "ws://x/", "--", "--frob", NULL}, 3,
           "no scenario is called --frob");
    expect((char *[]){"athena-conform", "server", "--exec", "x", NULL}, 2, "{port}");
    expect((char *[]){"athena-conform", "server", "--url", "ws://x/", "--jobs", "0", NULL}, 2,
           "--jobs 0");
    expect((char *[]){"athena-conform", "server", "--url", "ws://x/", "--timeout", "x", NULL}, 2,
           "--timeout x");
    expect((char *[]){"athena-conform", "server", "--url", "ws://x/", "--seed", "-1", NULL}, 2,
           "--seed -1");
    expect((char *[]){"athena-conform", "server", "--url", "ws://x/", "--header", "x", NULL}, 2,
           "NAME: VALUE");
    expect((char *[]){"athena-conform", "server", "--url", "ws://x/", "--report", "xml=f", NULL}, 2,
           "--report xml=f");
    expect((char *[]){"athena-conform", "server", "--url", "ws://x/", "--report", "tap=", NULL}, 2,
           "--report tap=");
    expect((char *[]){"athena-conform", "server", "--url", "http://x/", NULL}, 3,
           "must begin with ws://");
    expect((char *[]){"athena-conform", "server", "--url", "ws://x/", "nothing/at-all", NULL}, 3,
           "no scenario is called nothing/at-all");
    expect((char *[]){"athena-conform", "server", "--list", "--scenarios", "/nowhere", NULL}, 3,
           "no folder /nowhere");
}
END_TEST

START_TEST(wrong_usage_of_storms) {
    static const struct {
        char *arguments[8];
        const char *says;
    } cases[] = {
        {{"athena-conform", "storm"}, "which server?"},
        {{"athena-conform", "storm", "--url", "ws://127.0.0.1:1/", "live/relay"}, "no scenario"},
        {{"athena-conform", "storm", "--url", "ws://127.0.0.1:1/", "--clients", "25"},
         "--clients 25"},
        {{"athena-conform", "storm", "--url", "ws://127.0.0.1:1/", "--ops", "none"}, "--ops none"},
        {{"athena-conform", "storm", "--url", "ws://127.0.0.1:1/", "--time", "0"}, "--time 0"},
        {{"athena-conform", "storm", "--url", "ws://127.0.0.1:1/", "--family", "live"},
         "--family is for 'athena-conform server'"},
        {{"athena-conform", "server", "--url", "ws://127.0.0.1:1/", "--ops", "5"},
         "for 'athena-conform storm'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect((char *const *)cases[i].arguments, 2, cases[i].says);
}
END_TEST

START_TEST(storm_without_a_server) {
    struct fake fake = fake_start(NULL);
    char *url = memory_format("ws://127.0.0.1:%u/", fake.port);
    fake_stop(&fake);
    expect((char *[]){"athena-conform", "storm", "--url", url, NULL}, 3, "nothing accepts");
    expect((char *[]){"athena-conform", "storm", "--exec", "exit {port}", NULL}, 3, "ended with");
    free(url);
}
END_TEST

START_TEST(lists_and_helps) {
    expect((char *[]){"athena-conform", "--help", NULL}, 0, "usage");
    expect((char *[]){"athena-conform", "--version", NULL}, 0, "athena-conform ");
    expect((char *[]){"athena-conform", "server", "--help", NULL}, 0, "--exec COMMAND");
    expect((char *[]){"athena-conform", "server", "--list", "reconnect/*", NULL}, 0,
           "reconnect/only-what-was-missed");
    expect((char *[]){"athena-conform", "server", "--list", "--requirement", "ASP-LIVE-3", NULL}, 0,
           "concurrent-push/two-writers-at-once");
}
END_TEST

int main(int argc, char **argv) {
    fake_main(argc, argv);
    self = realpath(argv[0], NULL);
    Suite *suite = suite_create("program");
    support_add(suite, "storm usage", wrong_usage_of_storms);
    support_add(suite, "storm", storm_without_a_server);
    support_add(suite, "nothing listens", nothing_listens);
    support_add(suite, "plain http", plain_http_server);
    support_add(suite, "echo", echoing_websocket);
    support_add(suite, "silent", silent_acceptor);
    support_add(suite, "no-tls", speaks_no_tls);
    support_add(suite, "replay", liveness_can_be_replayed);
    support_add(suite, "closes", closes_at_once);
    support_add(suite, "falls silent", greets_and_falls_silent);
    support_add(suite, "command ends", server_command_that_ends);
    support_add(suite, "interrupt", interrupted);
    support_add(suite, "dies", one_scenario_kills_the_server);
    support_add(suite, "dies later", a_scenario_leaves_the_server_dead);
    support_add(suite, "dead in the end", the_last_scenario_leaves_the_server_dead);
    support_add(suite, "dies early", dies_at_the_first_request);
    support_add(suite, "needs", needs_that_are_not_there);
    support_add(suite, "writes", what_cannot_be_written);
    support_add(suite, "secrets", replay_tells_no_secret);
    support_add(suite, "made-up", requirements_that_are_none);
    support_add(suite, "pause", pauses_before_steps_only);
    support_add(suite, "folders", finds_its_own_folders);
    support_add(suite, "usage", wrong_usage);
    support_add(suite, "list", lists_and_helps);
    int status = support_main(suite);
    free(self);
    return status;
}
