/* The subcommands that need no connection: init, key, add, status, verify. */
#include "reference-client/cli/cli.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- init and key ---- */

static bool read_key(const char *text, uint8_t secret[static ATHENA_SECRET_BYTES]) {
    char line[128] = "";
    if (strcmp(text, "-") == 0) {
        setvbuf(stdin, NULL, _IONBF, 0); /* what follows belongs to others */
        if (!fgets(line, sizeof line, stdin))
            return false;
        line[strcspn(line, "\r\n")] = '\0';
        text = line;
    }
    bool ok = athena_doc_parse(secret, (struct athena_text_view){text, strlen(text)}, NULL) ==
              ATHENA_OK; /* the same form: 32 bytes [ASP-KEY-3] */
    sodium_memzero(line, sizeof line);
    return ok;
}

static const char KEY_USAGE[] = "--key: not a key: 43 characters, as `athena-sync key` shows them";

int command_init(const struct arguments *arguments) {
    struct athena_error error;
    uint8_t secret[ATHENA_SECRET_BYTES];
    if (arguments->key && !read_key(arguments->key, secret))
        return cli_usage(KEY_USAGE);
    enum athena_code code = athena_sync_create(arguments->folder, arguments->key ? secret : NULL,
                                               arguments->url, NULL, &error);
    sodium_memzero(secret, sizeof secret);
    return code ? cli_fail("cannot make a replica", &error) : EXIT_DONE;
}

static bool is_of(const struct athena_sync *sync,
                  const uint8_t secret[static ATHENA_SECRET_BYTES]) {
    uint8_t own[ATHENA_SECRET_BYTES];
    athena_sync_secret(sync, own);
    bool same = sodium_memcmp(own, secret, sizeof own) == 0;
    sodium_memzero(own, sizeof own);
    return same;
}

struct athena_sync *cli_open_or_join(const struct arguments *arguments, int *status) {
    struct athena_error error;
    uint8_t secret[ATHENA_SECRET_BYTES];
    if (!arguments->key)
        return cli_open(arguments, status);
    if (!read_key(arguments->key, secret)) {
        *status = cli_usage(KEY_USAGE);
        return NULL;
    }
    enum athena_code code =
        athena_sync_create(arguments->folder, secret, arguments->url, NULL, &error);
    struct athena_sync *sync = NULL;
    if (code && code != ATHENA_ALREADY_OPEN)
        *status = cli_fail("cannot make a replica", &error);
    else
        sync = cli_open(arguments, status);
    if (sync && !is_of(sync, secret)) {
        *status = cli_usage("--key: the folder holds a replica of another document");
        athena_sync_close(sync);
        sync = NULL;
    }
    sodium_memzero(secret, sizeof secret);
    return sync;
}

static int change_lock(struct athena_sync *sync, const struct arguments *arguments) {
    struct athena_error error;
    char *passphrase = NULL;
    if (arguments->locks) {
        passphrase = cli_read_passphrase(arguments->new_passphrase_file, "New passphrase", true);
        if (!passphrase)
            return EXIT_FAILED;
    }
    enum athena_code code = athena_sync_lock(sync, passphrase, &error);
    cli_wipe(passphrase);
    return code ? cli_fail("cannot store the key", &error) : EXIT_DONE;
}

static void show_key(const struct athena_sync *sync) {
    uint8_t secret[ATHENA_SECRET_BYTES];
    char text[ATHENA_DOC_TEXT_LEN + 1];
    athena_sync_secret(sync, secret);
    athena_doc_format(text, secret);
    printf("%s\n", text);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(text, sizeof text);
}

int command_key(const struct arguments *arguments) {
    int status;
    if (arguments->locks && arguments->unlocks)
        return cli_usage("--lock or --unlock, not both");
    struct athena_sync *sync = arguments->locks || arguments->unlocks
                                   ? cli_open(arguments, &status)
                                   : cli_open_to_read(arguments, &status);
    if (!sync)
        return status;
    if (arguments->locks || arguments->unlocks)
        status = change_lock(sync, arguments);
    else
        show_key(sync);
    athena_sync_close(sync);
    return status;
}

/* ---- add ---- */

static void print_id(void *ctx, const struct athena_sync_change *change) {
    (void)ctx;
    printf("%.*s\n", (int)change->id.len, change->id.at);
    fflush(stdout); /* whatever comes while the replica is closed, it is stored */
}

/* Hexadecimal with white space between; in place. */
static bool decode_hex(uint8_t *bytes, size_t *len) {
    size_t decoded;
    const char *end;
    if (sodium_hex2bin(bytes, *len, (const char *)bytes, *len, " \t\r\n", &decoded, &end) != 0 ||
        end != (const char *)bytes + *len)
        return false;
    *len = decoded;
    return true;
}

static int add_bytes(struct athena_sync *sync, const struct arguments *arguments, uint8_t *bytes,
                     size_t len) {
    struct athena_error error;
    if (arguments->is_hex && !decode_hex(bytes, &len))
        return cli_usage("the change is not hexadecimal");
    struct athena_sync_new_change change = {
        .actor = {arguments->words[0], strlen(arguments->words[0])}, .plain = {bytes, len}};
    return athena_sync_add(sync, &change, 1, print_id, NULL, &error)
               ? cli_fail("cannot add", &error)
               : EXIT_DONE;
}

int command_add(const struct arguments *arguments) {
    int status;
    size_t len;
    struct athena_sync *sync = cli_open(arguments, &status);
    if (!sync)
        return status;
    const char *path = arguments->file ? arguments->file : "-";
    uint8_t *bytes = cli_read_file(path, &len);
    if (bytes) {
        status = add_bytes(sync, arguments, bytes, len);
    } else {
        fprintf(stderr, "athena-sync: %s: %s\n", path, strerror(errno));
        status = EXIT_FAILED;
    }
    free(bytes);
    athena_sync_close(sync);
    return status;
}

/* ---- status and verify ---- */

static void print_json(const char *doc, const struct athena_sync_status *s) {
    struct athena_buf out = {0};
    cli_append(&out, "{");
    cli_append_string(&out, "doc", doc, strlen(doc));
    cli_append_integer(&out, "changes", s->changes);
    cli_append_integer(&out, "quarantined", s->quarantined);
    cli_append_bytes(&out, "digest", s->digest.sum, sizeof s->digest.sum);
    if (s->has_server) {
        cli_append_string(&out, "url", s->url, strlen(s->url));
        cli_append_integer(&out, "pending", s->pending);
        cli_append_integer(&out, "refused", s->refused);
        cli_append_integer(&out, "conflicts", s->conflicts);
        cli_append_integer(&out, "known", s->known.count);
        cli_append_bytes(&out, "known_digest", s->known.sum, sizeof s->known.sum);
        cli_append_boolean(&out, "in_sync", s->pending == 0 && s->has_cursor);
    }
    cli_append(&out, "}\n");
    if (!out.failed)
        fwrite(out.at, 1, out.len, stdout);
    athena_buf_fini(&out);
}

static void print_text(const char *doc, const struct athena_sync_status *s) {
    char digest[ATHENA_DOC_TEXT_LEN + 1];
    athena_doc_format(digest, s->digest.sum);
    printf("document     %s\nchanges      %llu\nquarantined  %llu\ndigest       %s\n", doc,
           (unsigned long long)s->changes, (unsigned long long)s->quarantined, digest);
    if (!s->has_server) {
        printf("server       none: give --url once\n");
        return;
    }
    printf("server       %s\nholds        %llu of them, as far as is known\npending      %llu\n"
           "refused      %llu\nconflicts    %llu\nin sync      %s\n",
           s->url, (unsigned long long)s->known.count, (unsigned long long)s->pending,
           (unsigned long long)s->refused, (unsigned long long)s->conflicts,
           s->pending == 0 && s->has_cursor ? "when last connected" : "no");
}

int command_status(const struct arguments *arguments) {
    int status;
    struct athena_error error;
    struct athena_sync_status state;
    uint8_t doc[ATHENA_DOC_BYTES];
    char doc_text[ATHENA_DOC_TEXT_LEN + 1];
    struct athena_sync *sync = cli_open_to_read(arguments, &status);
    if (!sync)
        return status;
    athena_sync_doc(sync, doc);
    athena_doc_format(doc_text, doc);
    if (athena_sync_get_status(sync, &state, &error))
        status = cli_fail("cannot read", &error);
    else if (arguments->is_json)
        print_json(doc_text, &state);
    else
        print_text(doc_text, &state);
    athena_sync_close(sync);
    return status;
}

static void show_verified(void *ctx, uint64_t done) {
    (void)ctx;
    if (done % 100 == 0)
        cli_progress("verified", done);
}

int command_verify(const struct arguments *arguments) {
    int status;
    uint64_t checked;
    struct athena_error error;
    struct athena_sync *sync = cli_open_to_read(arguments, &status);
    if (!sync)
        return status;
    if (athena_sync_verify(sync, show_verified, NULL, &checked, &error))
        status = cli_fail("damage found", &error);
    else
        printf("%llu changes verified\n", (unsigned long long)checked);
    athena_sync_close(sync);
    return status;
}
