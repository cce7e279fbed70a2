/* Tokens are kept as hashes, so that one comparison in constant time fits all lengths and a core
 * dump gives none away [ASP-WS-18]. */
#include "reference-server/admission.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HASH_BYTES = 32, TOKENS_MAX = 100000 };

struct admission {
    size_t len;
    size_t capacity;
    uint8_t (*hashes)[HASH_BYTES];
};

static void hash_token(uint8_t hash[static HASH_BYTES], const char *token, size_t len) {
    crypto_generichash(hash, HASH_BYTES, (const uint8_t *)token, len, NULL, 0);
}

static bool add_token(struct admission *admission, const char *token, size_t len) {
    if (admission->len == admission->capacity) {
        size_t capacity = admission->capacity ? admission->capacity * 2 : 8;
        void *hashes = realloc(admission->hashes, capacity * HASH_BYTES);
        if (!hashes)
            return false;
        admission->hashes = hashes;
        admission->capacity = capacity;
    }
    hash_token(admission->hashes[admission->len++], token, len);
    return true;
}

/* An empty line, a comment, or a token. */
static bool load_line(struct admission *admission, char *line, size_t len) {
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    if (len == 0 || line[0] == '#')
        return true;
    return admission->len < TOKENS_MAX &&
           athena_token_is_valid((struct athena_text_view){line, len}) &&
           add_token(admission, line, len);
}

static bool load_lines(struct admission *admission, FILE *file, const char *path,
                       struct athena_error *error) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    bool ok = true;
    for (unsigned number = 1; ok && (len = getline(&line, &capacity, file)) >= 0; number++) {
        ok = load_line(admission, line, (size_t)len);
        if (!ok)
            snprintf(error->text, sizeof error->text, "'%s': line %u is not a token", path, number);
        sodium_memzero(line, capacity);
    }
    if (ok && (ferror(file) || admission->len == 0)) {
        snprintf(error->text, sizeof error->text, "'%s': %s", path,
                 ferror(file) ? strerror(errno) : "no token in it");
        ok = false;
    }
    free(line);
    return ok;
}

struct admission *admission_load(const char *path, struct athena_error *error) {
    *error = (struct athena_error){.code = ATHENA_INTERNAL};
    FILE *file = fopen(path, "re");
    struct admission *admission = calloc(1, sizeof *admission);
    if (!file || !admission) {
        snprintf(error->text, sizeof error->text, "'%s': %s", path, strerror(errno));
        if (file)
            fclose(file);
        free(admission);
        return NULL;
    }
    bool ok = load_lines(admission, file, path, error);
    fclose(file);
    if (ok)
        return admission;
    admission_free(admission);
    return NULL;
}

void admission_free(struct admission *admission) {
    if (!admission)
        return;
    free(admission->hashes);
    free(admission);
}

/* The token a request carries; false when it carries none. */
static bool find_token(const struct http_request *request, char token[static ATHENA_TOKEN_TEXT_MAX],
                       size_t *len) {
    static const char bearer[] = "Bearer ";
    struct athena_text_view header = request->authorization;
    if (header.len > 0) {
        size_t skip = sizeof bearer - 1;
        if (header.len <= skip || strncasecmp(header.at, bearer, skip) != 0 ||
            header.len - skip > ATHENA_TOKEN_TEXT_MAX)
            return false;
        *len = header.len - skip;
        memcpy(token, header.at + skip, *len);
        return true;
    }
    struct athena_text_view protocols = {request->protocols, request->protocols_len};
    struct athena_text_view encoded;
    return http_list_find_prefix(protocols, ATHENA_TOKEN_SUBPROTOCOL_PREFIX, &encoded) &&
           athena_base64url_decode((uint8_t *)token, ATHENA_TOKEN_TEXT_MAX, len, encoded);
}

/* [ASP-WS-15] */
bool admission_check(const struct admission *admission, const struct http_request *request) {
    char token[ATHENA_TOKEN_TEXT_MAX];
    uint8_t hash[HASH_BYTES];
    size_t len;
    if (!admission)
        return true;
    bool has_token = find_token(request, token, &len);
    if (has_token)
        hash_token(hash, token, len);
    sodium_memzero(token, sizeof token);
    bool found = false;
    for (size_t i = 0; has_token && i < admission->len; i++)
        found |= sodium_memcmp(hash, admission->hashes[i], HASH_BYTES) == 0;
    return found;
}
