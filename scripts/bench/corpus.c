#include "scripts/bench/corpus.h"

#include "scripts/bench/bench.h"
#include "scripts/bench/wire.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_DIGITS = 8 };

/* One sealed change and where it is kept. */
struct sealed {
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    uint8_t data[256];
};

void corpus_init(struct corpus *corpus) {
    uint8_t actor[16];
    randombytes_buf(corpus->secret, sizeof corpus->secret);
    randombytes_buf(actor, sizeof actor);
    athena_keys_derive(&corpus->keys, corpus->secret);
    sodium_bin2hex(corpus->actor, sizeof corpus->actor, actor, sizeof actor);
}

static void make_id(const struct corpus *corpus, char id[static ATHENA_CHANGE_ID_TEXT_MAX + 1],
                    size_t number) {
    uint8_t random[ATHENA_UUID_BYTES];
    struct athena_error error;
    randombytes_buf(random, sizeof random);
    for (size_t i = 0; i < NUMBER_DIGITS / 2; i++)
        random[sizeof random - 1 - i] = (uint8_t)(number >> (8 * i));
    if (athena_change_id_make(id, (struct athena_text_view){corpus->actor, strlen(corpus->actor)},
                              random, &error) != ATHENA_OK)
        bench_fail("change id: %s", error.text);
}

static struct athena_change_view seal(const struct corpus *corpus, struct sealed *sealed,
                                      size_t number) {
    uint8_t plain[BENCH_PLAIN_BYTES];
    size_t len = athena_envelope_len(sizeof plain);
    randombytes_buf(plain, sizeof plain);
    make_id(corpus, sealed->id, number);
    struct athena_text_view id = {sealed->id, strlen(sealed->id)};
    if (len > sizeof sealed->data ||
        athena_envelope_seal(sealed->data, &corpus->keys, id,
                             (struct athena_bytes_view){plain, sizeof plain}) != ATHENA_OK)
        bench_fail("a change could not be sealed");
    return (struct athena_change_view){.id = id, .data = {sealed->data, len}};
}

void corpus_frame_pushes(const struct corpus *corpus, struct athena_buf *frames, size_t first,
                         size_t count, size_t per_message) {
    struct sealed *sealed = bench_take(per_message, sizeof *sealed);
    struct athena_change_view *changes = bench_take(per_message, sizeof *changes);
    struct athena_message push = {.type = ATHENA_PUSH, .has_req = true, .has_doc = true};
    memcpy(push.doc, corpus->keys.doc, sizeof push.doc);
    push.changes = changes;
    struct athena_buf json = {0};
    for (size_t done = 0; done < count; done += push.changes_len) {
        push.req = first + done;
        push.changes_len = count - done < per_message ? count - done : per_message;
        for (size_t i = 0; i < push.changes_len; i++)
            changes[i] = seal(corpus, &sealed[i], first + done + i);
        athena_buf_clear(&json);
        athena_message_encode(&json, &push);
        wire_frame(frames, (struct athena_text_view){json.at, json.len});
    }
    bench_require_memory(json.failed || frames->failed ? NULL : frames);
    athena_buf_fini(&json);
    free(sealed);
    free(changes);
}

size_t corpus_number(struct athena_text_view id) {
    char digits[NUMBER_DIGITS + 1] = {0};
    if (id.len < NUMBER_DIGITS)
        bench_fail("a change id of %zu characters", id.len);
    memcpy(digits, id.at + id.len - NUMBER_DIGITS, NUMBER_DIGITS);
    return strtoul(digits, NULL, 16);
}
