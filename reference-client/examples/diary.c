/*
 * A diary on several devices, as an application would use libathena-sync:
 *
 *   cc -o diary diary.c $(pkg-config --cflags --libs athena-sync)
 *   ./diary FOLDER URL "dear diary"         adds an entry, syncs, prints all entries
 *   ./diary FOLDER URL "hello" KEY          the same on a second device, with the key of the first
 *
 * Its changes are plain lines rather than Automerge changes: the library does not look into them.
 */
#define _DEFAULT_SOURCE /* explicit_bzero */
#include <athena/athena_sync.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static int fail(const char *what, const struct athena_error *error) {
    fprintf(stderr, "diary: %s: %s\n", what, error->text);
    return EXIT_FAILURE;
}

static bool print_entry(void *ctx, const struct athena_sync_change *change) {
    (void)ctx;
    printf("%.*s\n", (int)change->plain.len, (const char *)change->plain.at);
    return true;
}

/* What a device shows to the next one. It opens the document: no copy stays behind in memory. */
static void print_key(const struct athena_sync *sync) {
    uint8_t secret[ATHENA_SECRET_BYTES];
    char text[ATHENA_DOC_TEXT_LEN + 1];
    athena_sync_secret(sync, secret);
    athena_base64url_encode(text, secret, sizeof secret);
    text[ATHENA_DOC_TEXT_LEN] = '\0';
    printf("key %s\n", text);
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(text, sizeof text);
}

static enum athena_code make_replica(const char *folder, const char *url, const char *key,
                                     struct athena_error *error) {
    uint8_t secret[ATHENA_SECRET_BYTES];
    struct athena_text_view text = {key, key ? strlen(key) : 0};
    enum athena_code code = ATHENA_OK;
    if (key) /* a secret is written like a document id */
        code = athena_doc_parse(secret, text, error);
    if (!code)
        code = athena_sync_create(folder, key ? secret : NULL, url, NULL, error);
    explicit_bzero(secret, sizeof secret);
    return code;
}

/* Of an actor of its own in each run, as an application takes one whenever it loads a document. */
static enum athena_code add_entry(struct athena_sync *sync, const char *entry,
                                  struct athena_error *error) {
    uint64_t random;
    char actor[sizeof random * 2 + 1];
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        abort(); /* for so few bytes the kernel always has enough */
    snprintf(actor, sizeof actor, "%016" PRIx64, random);
    struct athena_sync_new_change change = {.actor = {actor, strlen(actor)},
                                            .plain = {(const uint8_t *)entry, strlen(entry)}};
    return athena_sync_add(sync, &change, 1, NULL, NULL, error);
}

struct outcome {
    bool is_in_sync;
    bool has_failed;
};

static void on_event(void *ctx, const struct athena_sync_event *event) {
    struct outcome *outcome = ctx;
    if (event->type == ATHENA_SYNC_IN_SYNC)
        outcome->is_in_sync = true;
    if (event->type == ATHENA_SYNC_DISCONNECTED)
        outcome->has_failed = true;
}

static enum athena_code sync_once(struct athena_sync *sync, const char *url,
                                  struct athena_error *error) {
    struct outcome outcome = {false, false};
    struct athena_sync_connect_options options = {.url = url, .event = on_event, .ctx = &outcome};
    enum athena_code code = athena_sync_connect(sync, &options, error);
    while (!code && !outcome.is_in_sync && !outcome.has_failed)
        athena_sync_run(sync, -1);
    athena_sync_disconnect(sync);
    if (outcome.has_failed)
        fprintf(stderr, "diary: offline for now\n"); /* the entry is safe and goes out next time */
    return code;
}

static int run(struct athena_sync *sync, const char *url, const char *entry) {
    struct athena_error error;
    if (add_entry(sync, entry, &error))
        return fail("cannot add", &error);
    if (sync_once(sync, url, &error))
        return fail("cannot sync", &error);
    print_key(sync);
    if (athena_sync_each(sync, 0, print_entry, NULL, &error))
        return fail("cannot read", &error);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    struct athena_error error;
    struct athena_sync *sync;
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: diary FOLDER URL ENTRY [KEY]\n");
        return EXIT_FAILURE;
    }
    const char *key = argc == 5 ? argv[4] : NULL;
    if (access(argv[1], F_OK) != 0 && make_replica(argv[1], argv[2], key, &error))
        return fail("cannot make a replica", &error);
    if (athena_sync_open(&sync, argv[1], NULL, &error))
        return fail("cannot open", &error);
    int status = run(sync, argv[2], argv[3]);
    athena_sync_close(sync);
    return status;
}
