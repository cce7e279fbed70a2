/*
 * Clients under test: a small right one passes, and each deliberate fault of it fails the scenario
 * that is meant for it, by the requirement that it breaks.
 */
#include "conformance/base64url.h"
#include "conformance/canary.h"
#include "conformance/tests/support_device.h"
#include "conformance/tests/support_main.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char self[4096];

/* ---- The canary ------------------------------------------------------------------------------ */

static void expect_found(const struct canary *canary, const char *text, size_t len, bool found) {
    ck_assert_msg((canary_find(canary, text, len) != NULL) == found, "%.*s", (int)len, text);
}

START_TEST(canary_finds_every_form) {
    struct canary canary = {0};
    uint8_t secret[32];
    char hex[65];
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i * 37 + 5);
    canary_add(&canary, "it", secret, sizeof secret);
    sodium_bin2hex(hex, sizeof hex, secret, sizeof secret);
    expect_found(&canary, (const char *)secret, sizeof secret, true);
    expect_found(&canary, hex, strlen(hex), true);
    for (size_t before = 0; before < 4; before++) {
        uint8_t longer[48] = {0};
        memcpy(longer + before, secret, sizeof secret);
        char *url = base64url_encode(longer, sizeof longer);
        expect_found(&canary, url, strlen(url), true);
        char plain[80];
        sodium_bin2base64(plain, sizeof plain, longer, sizeof longer,
                          sodium_base64_VARIANT_ORIGINAL);
        expect_found(&canary, plain, strlen(plain), true);
        free(url);
    }
    secret[9] ^= 1;
    expect_found(&canary, (const char *)secret, sizeof secret, false);
    canary_fini(&canary);
}
END_TEST

/* Whether so many bytes of it, from there on, are found raw and in base64url, among others. */
static void expect_part(const struct canary *canary, const uint8_t *secret, size_t at, size_t len,
                        bool found) {
    for (size_t before = 0; before < 3; before++) {
        uint8_t longer[48] = {0};
        memcpy(longer + before, secret + at, len);
        char *url = base64url_encode(longer, sizeof longer);
        expect_found(canary, (const char *)longer, sizeof longer, found);
        expect_found(canary, url, strlen(url), found);
        free(url);
    }
}

START_TEST(canary_finds_a_part) {
    struct canary whole = {0};
    struct canary parts = {0};
    uint8_t secret[43];
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i * 37 + 5);
    canary_add(&whole, "it", secret, sizeof secret);
    canary_add_parts(&parts, "it", secret, sizeof secret);
    for (size_t at = 0; at + CANARY_PART_BYTES <= sizeof secret; at++) {
        expect_part(&parts, secret, at, CANARY_PART_BYTES, true);
        expect_part(&parts, secret, at, CANARY_PART_BYTES - 1, false);
        expect_part(&whole, secret, at, CANARY_PART_BYTES, false);
    }
    canary_fini(&whole);
    canary_fini(&parts);
}
END_TEST

/* Nor takes it long to note one that says the same all over. */
START_TEST(canary_leaves_short_ones_out) {
    struct canary canary = {0};
    uint8_t zeros[100000] = {0};
    canary_add(&canary, "it", "elevenbytes", CANARY_BYTES_LEAST - 1);
    expect_found(&canary, "elevenbytes", 11, false);
    canary_add_parts(&canary, "it", zeros, sizeof zeros);
    expect_found(&canary, (const char *)zeros, CANARY_PART_BYTES, true);
    expect_found(&canary, (const char *)zeros, CANARY_PART_BYTES - 1, false);
    canary_fini(&canary);
}
END_TEST

/* ---- Whole clients --------------------------------------------------------------------------- */

struct outcome {
    int status;
    char text[65536];
};

static void test_client(const char *fault, const char *scenarios, struct outcome *outcome) {
    const char *build = getenv("ATHENA_BUILD");
    int ends[2];
    int status = 0;
    char *command = memory_format("exec %s/athena-conform client --timeout 3 "
                                  "--driver 'exec %s drive %s {dir} {key} {url}' %s 2>&1",
                                  build != NULL ? build : "build", self, fault, scenarios);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t got;
    char piece[4096];
    while ((got = read(ends[0], piece, sizeof piece)) > 0) { /* to its end, so that nobody waits */
        size_t room = sizeof outcome->text - 1 - len;
        size_t kept = (size_t)got < room ? (size_t)got : room;
        memcpy(outcome->text + len, piece, kept);
        len += kept;
    }
    outcome->text[len] = '\0';
    close(ends[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    outcome->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    free(command);
}

START_TEST(a_right_client_passes) {
    struct outcome outcome;
    test_client("none",
                "resume/first-sync resume/nothing-new resume/offline-edits resume/server-wiped "
                "resume/pages cut/handshake cut/kill-after-add cut/push-lost live/no-list "
                "cut/kill-during-add live/conflict 'envelope/*' push/bad-change push/small-batches "
                "driver/add-nothing "
                "driver/connection-commands driver/ends-with-its-input driver/own-changes "
                "driver/sync",
                &outcome);
    ck_assert_msg(outcome.status == 0, "%.4000s", outcome.text); /* what Check can carry */
}
END_TEST

START_TEST(a_stranger_is_not_taken_for_the_client) {
    struct outcome outcome;
    test_client("comes-behind-a-stranger", "resume/first-sync cut/handshake", &outcome);
    ck_assert_msg(outcome.status == 0, "%s", outcome.text);
}
END_TEST

static const struct {
    const char *fault;
    const char *scenario; /* that is meant for it */
    const char *says;
} faults[] = {
    {"derives-another-key", "resume/first-sync", "[ASP-KEY-2]"},
    {"tells-the-secret", "resume/first-sync", "[ASP-KEY-4]"},
    {"tells-plaintext", "resume/first-sync", "[ASP-SEC-7]"},
    {"pings-plaintext", "resume/first-sync", "[ASP-SEC-7]"},
    {"logs-the-secret", "resume/first-sync", "[ASP-SEC-2]"},
    {"leaves-the-secret-open", "resume/first-sync", "[ASP-SEC-1]"},
    {"signs-another-authority", "resume/first-sync", "[ASP-WS-37]"},
    {"seals-anew", "resume/server-wiped", "FAIL"},
    {"compares-all-it-holds", "resume/offline-edits", "[ASP-CLI-13]"},
    {"lists-always", "resume/nothing-new", "[ASP-CLI-13]"},
    {"lists-on-live", "live/no-list", "[ASP-CLI-13]"},
    {"empties-its-outbox", "cut/push-lost", "[ASP-CLI-32]"},
    {"takes-any-nonce", "envelope/wrong-nonce", "[ASP-ENV-6]"},
    {"pushes-quarantine", "envelope/not-pushed", "[ASP-CLI-29]"},
    {"hides-conflicts", "live/conflict", "[ASP-CLI-26]"},
    {"gives-up", "cut/handshake", "[ASP-CLI-38]"},
    {"confirms-too-early", "cut/kill-after-add", "[ASP-CLI-2]"},
    {"confirms-too-early", "cut/kill-during-add", "[ASP-CLI-2]"},
    {"stores-half", "cut/kill-during-add", "[spec/driver.md]"},
    {"repeats-ids", "cut/kill-after-add", "[ASP-ID-8]"},
    {"reads-one-page", "resume/pages", "[ASP-LIST-12]"},
    {"ignores-the-batch", "push/small-batches", "[ASP-PUSH-10]"},
    {"pushes-refused", "push/bad-change", "[ASP-CLI-31]"},
    {"says-yes", "resume/first-sync", "FAIL        harness/liveness"},
    {"answers-twice", "driver/sync", "[spec/driver.md]"},
    {"stops-without-a-word", "driver/sync", "[spec/driver.md]"},
    {"leaves-sync-open", "driver/sync", "[spec/driver.md]"},
    {"outlives-its-input", "driver/ends-with-its-input", "[spec/driver.md]"},
};

START_TEST(a_fault_fails_what_is_meant_for_it) {
    struct outcome outcome;
    test_client(faults[_i].fault, faults[_i].scenario, &outcome);
    ck_assert_msg(outcome.status != 0 && strstr(outcome.text, faults[_i].says) != NULL,
                  "%s passes %s, or not by %s:\n%.4000s", faults[_i].fault, faults[_i].scenario,
                  faults[_i].says, outcome.text);
}
END_TEST

int main(int argc, char *argv[]) {
    if (argc == 6 && strcmp(argv[1], "drive") == 0) {
        memory_setup_json();
        return sodium_init() < 0 ? EXIT_FAILURE : device_drive(argv + 2);
    }
    if (realpath(argv[0], self) == NULL)
        return EXIT_FAILURE;
    Suite *suite = suite_create("client");
    support_add(suite, "canary", canary_finds_every_form);
    support_add(suite, "part", canary_finds_a_part);
    support_add(suite, "short", canary_leaves_short_ones_out);
    support_add(suite, "right", a_right_client_passes);
    support_add(suite, "stranger", a_stranger_is_not_taken_for_the_client);
    TCase *tcase = tcase_create("faults");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_fault_fails_what_is_meant_for_it, 0,
                        (int)(sizeof faults / sizeof *faults));
    suite_add_tcase(suite, tcase);
    return support_main(suite);
}
