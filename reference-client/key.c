/*
 * Two forms, one line of text each:
 *
 *   plain   base64url(secret)
 *   locked  "argon2id" SP memory in KiB SP passes SP base64url(salt | nonce | secretbox)
 */
#include "reference-client/key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BOX_BYTES = crypto_secretbox_MACBYTES + ATHENA_SECRET_BYTES,
    LOCKED_BYTES = crypto_pwhash_SALTBYTES + crypto_secretbox_NONCEBYTES + BOX_BYTES,
    LINE_MAX_BYTES = 256,
    MEMORY_KIB_MAX = 4 * 1024 * 1024,
    PASSES_MAX = 64,
};
#define LOCKED "argon2id " /* what a line of the second form begins with */

static enum athena_code fail(struct athena_error *error, enum athena_code code, const char *what,
                             const char *why) {
    if (error) {
        *error = (struct athena_error){.code = code};
        snprintf(error->text, sizeof error->text, "the key file: %s%s%s", what, *why ? ": " : "",
                 why);
    }
    return code;
}

/* ---- Forms ---- */

static void encode(char *text, const uint8_t *bytes, size_t len) {
    athena_base64url_encode(text, bytes, len);
    text[athena_base64url_len(len)] = '\0';
}

static enum athena_code stretch(uint8_t key[static crypto_secretbox_KEYBYTES],
                                const char *passphrase, const uint8_t *salt, unsigned memory_kib,
                                unsigned passes, struct athena_error *error) {
    if (crypto_pwhash(key, crypto_secretbox_KEYBYTES, passphrase, strlen(passphrase), salt, passes,
                      (size_t)memory_kib * 1024, crypto_pwhash_ALG_ARGON2ID13) == 0)
        return ATHENA_OK;
    return fail(error, ATHENA_NO_MEMORY, "not enough memory for the passphrase", "");
}

static enum athena_code lock(char line[static LINE_MAX_BYTES],
                             const uint8_t secret[static ATHENA_SECRET_BYTES],
                             const char *passphrase, struct athena_error *error) {
    uint8_t bytes[LOCKED_BYTES];
    uint8_t key[crypto_secretbox_KEYBYTES];
    uint8_t *nonce = bytes + crypto_pwhash_SALTBYTES;
    uint8_t *box = nonce + crypto_secretbox_NONCEBYTES;
    const unsigned memory_kib = crypto_pwhash_MEMLIMIT_MODERATE / 1024;
    const unsigned passes = crypto_pwhash_OPSLIMIT_MODERATE;
    randombytes_buf(bytes, (size_t)(box - bytes));
    enum athena_code code = stretch(key, passphrase, bytes, memory_kib, passes, error);
    if (code)
        return code;
    crypto_secretbox_easy(box, secret, ATHENA_SECRET_BYTES, nonce, key);
    sodium_memzero(key, sizeof key);
    int len = snprintf(line, LINE_MAX_BYTES, LOCKED "%u %u ", memory_kib, passes);
    encode(line + len, bytes, sizeof bytes);
    return ATHENA_OK;
}

/* Digits and a space; false beyond the bounds. */
static bool parse_number(const char **at, unsigned min, unsigned max, unsigned *number) {
    unsigned value = 0;
    const char *digit = *at;
    for (; *digit >= '0' && *digit <= '9' && value <= max; digit++)
        value = value * 10 + (unsigned)(*digit - '0');
    *at = digit + 1;
    *number = value;
    return *digit == ' ' && value >= min && value <= max;
}

/* "argon2id MEMORY PASSES TEXT", with numbers that a device can bear. */
static bool parse_locked(const char *line, unsigned *memory_kib, unsigned *passes,
                         const char **text) {
    *text = line + sizeof LOCKED - 1;
    return parse_number(text, crypto_pwhash_MEMLIMIT_MIN / 1024, MEMORY_KIB_MAX, memory_kib) &&
           parse_number(text, crypto_pwhash_OPSLIMIT_MIN, PASSES_MAX, passes);
}

static enum athena_code unlock(uint8_t secret[static ATHENA_SECRET_BYTES], const char *line,
                               const char *passphrase, struct athena_error *error) {
    unsigned memory_kib;
    unsigned passes;
    const char *text;
    uint8_t bytes[LOCKED_BYTES];
    uint8_t key[crypto_secretbox_KEYBYTES];
    size_t len;
    if (!parse_locked(line, &memory_kib, &passes, &text) ||
        !athena_base64url_decode(bytes, sizeof bytes, &len,
                                 (struct athena_text_view){text, strlen(text)}) ||
        len != sizeof bytes)
        return fail(error, ATHENA_INTERNAL, "not in a form this program knows", "");
    const uint8_t *nonce = bytes + crypto_pwhash_SALTBYTES;
    enum athena_code code = stretch(key, passphrase, bytes, memory_kib, passes, error);
    if (code)
        return code;
    bool ok = crypto_secretbox_open_easy(secret, nonce + crypto_secretbox_NONCEBYTES, BOX_BYTES,
                                         nonce, key) == 0;
    sodium_memzero(key, sizeof key);
    return ok ? ATHENA_OK : fail(error, ATHENA_FORBIDDEN, "wrong passphrase", "");
}

/* ---- Files ---- */

static bool write_file(const char *path, const char *line) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    size_t len = strlen(line);
    bool ok = write(fd, line, len) == (ssize_t)len && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
    return close(fd) == 0 && ok;
}

static bool flush_folder(const char *path) {
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    int fd = open(slash && *folder ? folder : ".", O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* What fails leaves neither a partial file, since a secret is in it, nor another errno. */
static bool replace_file(const char *path, const char *line) {
    char partial[4096];
    int len = snprintf(partial, sizeof partial, "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof partial) {
        errno = ENAMETOOLONG;
        return false;
    }
    unlink(partial); /* of an attempt that was killed, whoever may read it */
    if (write_file(partial, line) && rename(partial, path) == 0)
        return flush_folder(path);
    int number = errno;
    unlink(partial);
    errno = number;
    return false;
}

enum athena_code key_save(const char *path, const uint8_t secret[static ATHENA_SECRET_BYTES],
                          const char *passphrase, struct athena_error *error) {
    char line[LINE_MAX_BYTES];
    enum athena_code code = ATHENA_OK;
    if (passphrase)
        code = lock(line, secret, passphrase, error);
    else
        encode(line, secret, ATHENA_SECRET_BYTES);
    if (!code && !replace_file(path, line))
        code = fail(error, ATHENA_UNAVAILABLE, "cannot be written", strerror(errno));
    sodium_memzero(line, sizeof line);
    return code;
}

static bool read_line(const char *path, char line[static LINE_MAX_BYTES]) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool ok = fgets(line, LINE_MAX_BYTES, file) != NULL;
    fclose(file);
    if (ok)
        line[strcspn(line, "\r\n")] = '\0';
    return ok;
}

static enum athena_code parse(uint8_t secret[static ATHENA_SECRET_BYTES], const char *line,
                              const char *passphrase, struct athena_error *error) {
    if (strncmp(line, LOCKED, sizeof LOCKED - 1) == 0)
        return passphrase ? unlock(secret, line, passphrase, error)
                          : fail(error, ATHENA_FORBIDDEN, "locked: a passphrase is needed", "");
    return athena_doc_parse(secret, (struct athena_text_view){line, strlen(line)}, NULL)
               ? fail(error, ATHENA_INTERNAL, "not in a form this program knows", "")
               : ATHENA_OK;
}

enum athena_code key_load(const char *path, uint8_t secret[static ATHENA_SECRET_BYTES],
                          const char *passphrase, struct athena_error *error) {
    char line[LINE_MAX_BYTES];
    errno = 0;
    if (!read_line(path, line))
        return errno ? fail(error, ATHENA_UNAVAILABLE, "cannot be read", strerror(errno))
                     : fail(error, ATHENA_INTERNAL, "empty", "");
    enum athena_code code = parse(secret, line, passphrase, error);
    sodium_memzero(line, sizeof line);
    return code;
}
