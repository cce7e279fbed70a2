/* The key file: both forms, every fault in it, and what a failed write leaves behind. */
#include "reference-client/key.h"
#include "reference-client/tests/support_main.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t secret[ATHENA_SECRET_BYTES] = {1, 2, 3, 0, 255, 7};
static char folder[32];
static char path[64];
static char partial[64];

static void set_up(void) {
    snprintf(folder, sizeof folder, "/tmp/athena-key-XXXXXX");
    ck_assert_int_ge(sodium_init(), 0);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key", folder);
    snprintf(partial, sizeof partial, "%s/key.new", folder);
}

static void tear_down(void) {
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else is left there */
}

static size_t read_key(char *text, size_t room) {
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    size_t len = fread(text, 1, room - 1, file);
    text[len] = '\0';
    fclose(file);
    return len;
}

static void write_key(const char *text, size_t len) {
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}

static void write_key_and(const char *line, const char *more) {
    char text[300];
    int len = snprintf(text, sizeof text, "%s%s", line, more);
    write_key(text, (size_t)len);
}

static void check_loads(const char *passphrase) {
    uint8_t loaded[ATHENA_SECRET_BYTES];
    struct athena_error error = {0};
    ck_assert_msg(key_load(path, loaded, passphrase, &error) == ATHENA_OK, "%s", error.text);
    ck_assert_mem_eq(loaded, secret, sizeof loaded);
}

static void check_refused(const char *passphrase, enum athena_code code, const char *says) {
    uint8_t loaded[ATHENA_SECRET_BYTES];
    struct athena_error error = {0};
    ck_assert_int_eq(key_load(path, loaded, passphrase, &error), code);
    ck_assert_int_eq(error.code, code);
    ck_assert_str_eq(error.text, says);
    ck_assert_int_eq(key_load(path, loaded, passphrase, NULL), code);
}

static const char unknown_form[] = "the key file: not in a form this program knows";

/* [ASP-KEY-3] */
START_TEST(a_plain_key_is_one_line_for_its_owner_alone) {
    char text[128];
    char expected[ATHENA_DOC_TEXT_LEN + 2];
    struct stat status;
    ck_assert_int_eq(key_save(path, secret, NULL, NULL), ATHENA_OK);
    check_loads(NULL);
    check_loads("not looked at");
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    athena_doc_format(expected, secret);
    expected[ATHENA_DOC_TEXT_LEN] = '\n';
    expected[ATHENA_DOC_TEXT_LEN + 1] = '\0';
    read_key(text, sizeof text);
    ck_assert_str_eq(text, expected);
}
END_TEST

START_TEST(a_locked_key_opens_with_its_passphrase_alone) {
    char text[256];
    char plain[ATHENA_DOC_TEXT_LEN + 1];
    struct stat status;
    ck_assert_int_eq(key_save(path, secret, NULL, NULL), ATHENA_OK);
    ck_assert_int_eq(key_save(path, secret, "open sesame", NULL), ATHENA_OK);
    check_loads("open sesame");
    check_refused("open barley", ATHENA_FORBIDDEN, "the key file: wrong passphrase");
    check_refused(NULL, ATHENA_FORBIDDEN, "the key file: locked: a passphrase is needed");
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    size_t len = read_key(text, sizeof text);
    athena_doc_format(plain, secret);
    ck_assert_ptr_null(strstr(text, plain));
    ck_assert_ptr_null(memmem(text, len, secret, sizeof secret));
    ck_assert_int_eq(key_save(path, secret, NULL, NULL), ATHENA_OK);
    check_loads(NULL);
}
END_TEST

/* ---- The locked form ---- */

enum {
    LOCKED_BYTES = crypto_pwhash_SALTBYTES + crypto_secretbox_NONCEBYTES +
                   crypto_secretbox_MACBYTES + ATHENA_SECRET_BYTES
};

/* Written here by what the form's comment says, with the least work Argon2id can do. */
static void lock_cheaply(char line[static 256], const char *passphrase) {
    uint8_t bytes[LOCKED_BYTES];
    uint8_t key[crypto_secretbox_KEYBYTES];
    uint8_t *nonce = bytes + crypto_pwhash_SALTBYTES;
    randombytes_buf(bytes, sizeof bytes);
    ck_assert_int_eq(crypto_pwhash(key, sizeof key, passphrase, strlen(passphrase), bytes, 1, 8192,
                                   crypto_pwhash_ALG_ARGON2ID13),
                     0);
    crypto_secretbox_easy(nonce + crypto_secretbox_NONCEBYTES, secret, sizeof secret, nonce, key);
    int len = snprintf(line, 256, "argon2id 8 1 ");
    sodium_bin2base64(line + len, 256 - (size_t)len, bytes, sizeof bytes,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

START_TEST(the_locked_form_is_what_it_says) {
    char line[256];
    lock_cheaply(line, "x");
    write_key(line, strlen(line));
    check_loads("x");
    write_key_and(line, "\r\n");
    check_loads("x");
    check_refused("y", ATHENA_FORBIDDEN, "the key file: wrong passphrase");
}
END_TEST

START_TEST(a_flipped_bit_in_a_locked_key_does_not_open) {
    static const size_t flipped[] = {13, 40, 80, 120};
    char line[256];
    lock_cheaply(line, "x");
    for (size_t i = 0; i < sizeof flipped / sizeof flipped[0]; i++) {
        char damaged[256];
        memcpy(damaged, line, sizeof damaged);
        damaged[flipped[i]] = line[flipped[i]] == 'A' ? 'B' : 'A';
        write_key(damaged, strlen(damaged));
        check_refused("x", ATHENA_FORBIDDEN, "the key file: wrong passphrase");
    }
}
END_TEST

/* Numbers that Argon2id cannot take, or that no device could bear, are damage, not lack of memory.
 */
START_TEST(a_faulty_head_of_a_locked_key_is_named) {
    static const char *const heads[] = {
        "argon2id ",      "argon2id 8 ",         "argon2id 8  ",
        "argon2id 8 1",   "argon2id 0 1 ",       "argon2id 7 1 ",
        "argon2id 8 0 ",  "argon2id 8 65 ",      "argon2id -8 1 ",
        "argon2id 8 -1 ", "argon2id 4194305 1 ", "argon2id x 1 ",
        "argon2id 8 x ",  "argon2id +8 1 ",      "argon2id 99999999999999999999 1 ",
    };
    char line[256];
    lock_cheaply(line, "x");
    const char *text = line + strlen("argon2id 8 1 ");
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        char damaged[300];
        snprintf(damaged, sizeof damaged, "%s%s", heads[i], text);
        write_key(damaged, strlen(damaged));
        check_refused("x", ATHENA_INTERNAL, unknown_form);
    }
}
END_TEST

START_TEST(a_faulty_key_is_named) {
    static const char *const keys[] = {
        "\n",
        "short",
        "AQIDAP8HAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", /* padded */
        "AQIDAP8HAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", /* not canonical */
        "AQIDAP8HAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ",
        "argon2i 8 1 AAAA",
        "argon2id 8 1 AAAA",
        "argon2id 8 1 ",
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        write_key(keys[i], strlen(keys[i]));
        check_refused("x", ATHENA_INTERNAL, unknown_form);
    }
    char line[256];
    lock_cheaply(line, "x");
    write_key_and(line, "AAAA");
    check_refused("x", ATHENA_INTERNAL, unknown_form);
    char endless[1000];
    memset(endless, 'A', sizeof endless);
    write_key(endless, sizeof endless);
    check_refused(NULL, ATHENA_INTERNAL, unknown_form);
}
END_TEST

/* ---- Files ---- */

START_TEST(a_key_that_is_not_there_is_named) {
    check_refused(NULL, ATHENA_UNAVAILABLE,
                  "the key file: cannot be read: No such file or directory");
    write_key("", 0);
    check_refused(NULL, ATHENA_INTERNAL, "the key file: empty");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    check_refused(NULL, ATHENA_UNAVAILABLE, "the key file: cannot be read: Is a directory");
    ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(a_failed_write_leaves_the_key_as_it_was) {
    const uint8_t other[ATHENA_SECRET_BYTES] = {9};
    struct athena_error error;
    ck_assert_int_eq(key_save(path, secret, NULL, NULL), ATHENA_OK);
    ck_assert_int_eq(mkdir(partial, 0700), 0);
    ck_assert_int_eq(key_save(path, other, NULL, &error), ATHENA_UNAVAILABLE);
    ck_assert_str_eq(error.text, "the key file: cannot be written: File exists");
    ck_assert_int_eq(rmdir(partial), 0);
    check_loads(NULL);
}
END_TEST

/* tear_down sees what is left: no half-made file with a secret in it. */
START_TEST(a_failed_write_leaves_no_secret_behind) {
    struct athena_error error;
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(key_save(path, secret, NULL, &error), ATHENA_UNAVAILABLE);
    ck_assert_str_eq(error.text, "the key file: cannot be written: Is a directory");
    ck_assert_int_eq(access(partial, F_OK), -1);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

/* What a killed process left is not written into: others might read along. */
START_TEST(what_a_killed_write_left_is_replaced) {
    struct stat status;
    FILE *file = fopen(partial, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fchmod(fileno(file), 0644), 0);
    fclose(file);
    ck_assert_int_eq(key_save(path, secret, NULL, NULL), ATHENA_OK);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    check_loads(NULL);
}
END_TEST

START_TEST(a_path_without_room_is_refused) {
    char *endless = malloc(5000);
    struct athena_error error;
    memset(endless, 'a', 4999);
    endless[4999] = '\0';
    ck_assert_int_eq(key_save(endless, secret, NULL, &error), ATHENA_UNAVAILABLE);
    ck_assert_str_eq(error.text, "the key file: cannot be written: File name too long");
    free(endless);
}
END_TEST

int main(void) {
    const struct support_test tests[] = {
        {a_plain_key_is_one_line_for_its_owner_alone, 1},
        {a_locked_key_opens_with_its_passphrase_alone, 1},
        {the_locked_form_is_what_it_says, 1},
        {a_flipped_bit_in_a_locked_key_does_not_open, 1},
        {a_faulty_head_of_a_locked_key_is_named, 1},
        {a_faulty_key_is_named, 1},
        {a_key_that_is_not_there_is_named, 1},
        {a_failed_write_leaves_the_key_as_it_was, 1},
        {a_failed_write_leaves_no_secret_behind, 1},
        {what_a_killed_write_left_is_replaced, 1},
        {a_path_without_room_is_refused, 1},
    };
    return support_run("key", tests, sizeof tests / sizeof tests[0], set_up, tear_down);
}
