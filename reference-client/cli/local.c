/* The subcommands that need no connection: init, key, add, status, forget, verify. */
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

/* The new passphrase of --lock, NULL without it; false when there is none. */
static bool read_new_passphrase(const struct arguments *arguments, char **passphrase) {
    *passphrase = arguments->locks
                      ? cli_read_passphrase(arguments->new_passphrase_file, "New passphrase", true)
                      : NULL;
    return *passphrase || !arguments->locks;
}

int command_init(const struct arguments *arguments) {
    struct athena_error error;
    uint8_t secret[ATHENA_SECRET_BYTES];
    char *passphrase;
    if (arguments->key && !read_key(arguments->key, secret))
        return cli_usage(KEY_USAGE);
    if (!read_new_passphrase(arguments, &passphrase))
        return EXIT_FAILED;
    enum athena_code code = athena_sync_create(arguments->folder, arguments->key ? secret : NULL,
                                               arguments->url, passphrase, &error);
    sodium_memzero(secret, sizeof secret);
    cli_wipe(passphrase);
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

/* A replica that has to be made is locked from the start when there is a passphrase. */
static struct athena_sync *join(const struct arguments *arguments, const uint8_t *secret,
                                const char *passphrase, int *status) {
    struct athena_error error;
    enum athena_code code =
        athena_sync_create(arguments->folder, secret, arguments->url, passphrase, &error);
    if (code && code != ATHENA_ALREADY_OPEN) {
        *status = cli_fail("cannot make a replica", &error);
        return NULL;
    }
    struct athena_sync *sync = cli_open_by(arguments, passphrase, status);
    if (!sync || is_of(sync, secret))
        return sync;
    *status = cli_usage("--key: the folder holds a replica of another document");
    athena_sync_close(sync);
    return NULL;
}

struct athena_sync *cli_open_or_join(const struct arguments *arguments, int *status) {
    uint8_t secret[ATHENA_SECRET_BYTES];
    char *passphrase;
    struct athena_sync *sync = NULL;
    if (!arguments->key)
        return cli_open(arguments, status);
    if (!read_key(arguments->key, secret))
        *status = cli_usage(KEY_USAGE);
    else if (!cli_read_given_passphrase(arguments, &passphrase))
        *status = EXIT_LOCKED;
    else {
        sync = join(arguments, secret, passphrase, status);
        cli_wipe(passphrase);
    }
    sodium_memzero(secret, sizeof secret);
    return sync;
}

static int change_lock(struct athena_sync *sync, const struct arguments *arguments) {
    struct athena_error error;
    char *passphrase;
    if (!read_new_passphrase(arguments, &passphrase))
        return EXIT_FAILED;
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
    struct athena_sync_new_change change = {.actor = {arguments->word, strlen(arguments->word)},
                                            .plain = {bytes, len}};
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

static void append_status(struct athena_buf *out, const char *doc,
                          const struct athena_sync_status *s) {
    cli_append(out, "{");
    cli_append_string(out, "doc", doc, strlen(doc));
    cli_append_integer(out, "changes", s->changes);
    cli_append_integer(out, "quarantined", s->quarantined);
    cli_append_bytes(out, "digest", s->digest.sum, sizeof s->digest.sum);
    if (!s->has_server)
        return;
    cli_append_string(out, "url", s->url, strlen(s->url));
    cli_append_integer(out, "pending", s->pending);
    cli_append_integer(out, "refused", s->refused);
    cli_append_integer(out, "conflicts", s->conflicts);
    cli_append_integer(out, "known", s->known.count);
    cli_append_bytes(out, "known_digest", s->known.sum, sizeof s->known.sum);
    cli_append_boolean(out, "in_sync", s->pending == 0 && s->has_cursor);
}

static bool append_attention(void *ctx, const struct athena_sync_attention *attention) {
    cli_append_attention(ctx, attention);
    return true;
}

static enum athena_code print_json(struct athena_sync *sync, const char *doc,
                                   const struct athena_sync_status *s, bool is_list,
                                   struct athena_error *error) {
    struct athena_buf out = {0};
    enum athena_code code = ATHENA_OK;
    append_status(&out, doc, s);
    if (is_list) {
        cli_append(&out, ",\"attention\":[");
        code = athena_sync_each_attention(sync, append_attention, &out, error);
        cli_append(&out, "]");
    }
    cli_append(&out, "}\n");
    if (!code && !out.failed)
        fwrite(out.at, 1, out.len, stdout);
    athena_buf_fini(&out);
    return code;
}

static void print_status(const char *doc, const struct athena_sync_status *s) {
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

static bool print_attention(void *ctx, const struct athena_sync_attention *attention) {
    (void)ctx;
    printf("%-12s %.*s: %.*s\n", cli_attention_name(attention), (int)attention->id.len,
           attention->id.at, (int)attention->reason.len, attention->reason.at);
    return true;
}

static enum athena_code print_text(struct athena_sync *sync, const char *doc,
                                   const struct athena_sync_status *s, bool is_list,
                                   struct athena_error *error) {
    print_status(doc, s);
    return is_list ? athena_sync_each_attention(sync, print_attention, NULL, error) : ATHENA_OK;
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
    enum athena_code code = athena_sync_get_status(sync, &state, &error);
    if (!code)
        code = (arguments->is_json ? print_json : print_text)(sync, doc_text, &state,
                                                              arguments->is_list, &error);
    if (code)
        status = cli_fail("cannot read", &error);
    athena_sync_close(sync);
    return status;
}

int command_forget(const struct arguments *arguments) {
    int status;
    struct athena_error error;
    if (!arguments->url)
        return cli_usage("--url: which server?");
    struct athena_sync *sync = cli_open(arguments, &status);
    if (!sync)
        return status;
    if (athena_sync_forget_server(sync, arguments->url, &error))
        status = cli_fail("cannot forget", &error);
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
