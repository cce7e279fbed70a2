/*
 * A text is read in each form that a secret may have there, and searched for the blocks of the
 * secrets: of the bytes of one that are too many in a row, some are a whole block of it.
 */
#include "conformance/canary.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 8 };

_Static_assert(2 * BLOCK_BYTES <= (int)CANARY_PART_BYTES, "a part holds a whole block");
_Static_assert(BLOCK_BYTES <= (int)CANARY_BYTES_LEAST, "a secret begins with a whole block");

/* ---- The table of blocks --------------------------------------------------------------------- */

static uint64_t read_block(const uint8_t *at) {
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return bytes;
}

static size_t place_of(const struct canary *canary, uint64_t bytes) {
    uint64_t mixed = (bytes ^ bytes >> 29) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed >> 32) & (canary->blocks_capacity - 1);
}

/* Once for each secret is enough, so that one of few different blocks fills no table. */
static void put_block(struct canary *canary, struct canary_block block) {
    size_t place = place_of(canary, block.bytes);
    for (; canary->blocks[place].secret != 0; place = (place + 1) & (canary->blocks_capacity - 1))
        if (canary->blocks[place].bytes == block.bytes &&
            canary->blocks[place].secret == block.secret)
            return;
    canary->blocks[place] = block;
    canary->blocks_len++;
}

static void make_room(struct canary *canary, size_t more) {
    struct canary_block *old = canary->blocks;
    size_t old_capacity = canary->blocks_capacity;
    size_t capacity = old_capacity > 0 ? old_capacity : 64;
    while (capacity < 2 * (canary->blocks_len + more))
        capacity *= 2;
    if (capacity == old_capacity)
        return;
    canary->blocks = memory_take(capacity * sizeof *canary->blocks);
    canary->blocks_capacity = capacity;
    canary->blocks_len = 0;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].secret != 0)
            put_block(canary, old[i]);
    free(old);
}

/* ---- Secrets --------------------------------------------------------------------------------- */

static void add(struct canary *canary, const char *what, const void *secret, size_t len,
                size_t least) {
    struct canary_secret added = {.what = what, .len = len, .least = least};
    if (len < CANARY_BYTES_LEAST)
        return;
    added.at = memory_take(len);
    memcpy(added.at, secret, len);
    canary->secrets = memory_grow(canary->secrets, (canary->len + 1) * sizeof *canary->secrets);
    canary->secrets[canary->len++] = added;
    size_t last = least < len ? len - BLOCK_BYTES : 0; /* where a block may begin */
    make_room(canary, last / BLOCK_BYTES + 1);
    for (size_t at = 0; at <= last; at += BLOCK_BYTES)
        put_block(canary, (struct canary_block){.bytes = read_block(added.at + at),
                                                .secret = (uint32_t)canary->len,
                                                .at = (uint32_t)at});
}

void canary_add(struct canary *canary, const char *what, const void *secret, size_t len) {
    add(canary, what, secret, len, len);
}

void canary_add_parts(struct canary *canary, const char *what, const void *secret, size_t len) {
    add(canary, what, secret, len, len < CANARY_PART_BYTES ? len : CANARY_PART_BYTES);
}

void canary_fini(struct canary *canary) {
    for (size_t i = 0; i < canary->len; i++)
        free(canary->secrets[i].at);
    free(canary->secrets);
    free(canary->blocks);
    *canary = (struct canary){0};
}

/* ---- Searching bytes ------------------------------------------------------------------------- */

/* Whether enough of the secret stands around this block of it. */
static bool is_told(const struct canary_secret *secret, size_t secret_at, const uint8_t *text,
                    size_t len, size_t text_at) {
    size_t before = 0;
    size_t behind = BLOCK_BYTES;
    while (before < secret_at && before < text_at &&
           secret->at[secret_at - before - 1] == text[text_at - before - 1])
        before++;
    while (secret_at + behind < secret->len && text_at + behind < len &&
           secret->at[secret_at + behind] == text[text_at + behind])
        behind++;
    return before + behind >= secret->least;
}

static const char *find_raw(const struct canary *canary, const uint8_t *text, size_t len) {
    for (size_t at = 0; at + BLOCK_BYTES <= len; at++) {
        uint64_t bytes = read_block(text + at);
        size_t place = place_of(canary, bytes);
        for (; canary->blocks[place].secret != 0;
             place = (place + 1) & (canary->blocks_capacity - 1)) {
            const struct canary_block *block = &canary->blocks[place];
            const struct canary_secret *secret = &canary->secrets[block->secret - 1];
            if (block->bytes == bytes && is_told(secret, block->at, text, len, at))
                return secret->what;
        }
    }
    return NULL;
}

/* ---- Searching what is encoded --------------------------------------------------------------- */

/* A way to write bytes: some characters of a few bits each. */
struct form {
    int (*value)(uint8_t ch); /* below 0: not of it */
    unsigned bits;
    size_t group; /* characters, after which bytes and characters begin together again */
};

static int hex_value(uint8_t ch) {
    uint8_t low = ch | 0x20;
    return ch >= '0' && ch <= '9' ? ch - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static int base64_value(uint8_t ch) {
    if (ch >= 'A' && ch <= 'Z')
        return ch - 'A';
    if (ch >= 'a' && ch <= 'z')
        return ch - 'a' + 26;
    if (ch >= '0' && ch <= '9')
        return ch - '0' + 52;
    return ch == '-' || ch == '+' ? 62 : ch == '_' || ch == '/' ? 63 : -1;
}

static const struct form forms[] = {{hex_value, 4, 2}, {base64_value, 6, 4}};

static size_t decode(const struct form *form, const uint8_t *text, size_t len, uint8_t *out) {
    uint32_t bits = 0;
    unsigned held = 0;
    size_t out_len = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << form->bits | (uint32_t)form->value(text[i]);
        held += form->bits;
        if (held >= 8) {
            held -= 8;
            out[out_len++] = (uint8_t)(bits >> held);
        }
    }
    return out_len;
}

/* In characters of the form alone, wherever in them the bytes begin. */
static const char *find_in_run(const struct canary *canary, const struct form *form,
                               const uint8_t *run, size_t len, uint8_t *room) {
    const char *found = NULL;
    for (size_t skip = 0; skip < form->group && skip < len && found == NULL; skip++) {
        size_t decoded = decode(form, run + skip, len - skip, room);
        found = find_raw(canary, room, decoded);
    }
    return found;
}

static const char *find_encoded(const struct canary *canary, const struct form *form,
                                const uint8_t *text, size_t len, uint8_t *room) {
    const char *found = NULL;
    for (size_t at = 0; at < len && found == NULL;) {
        size_t begin = at;
        while (at < len && form->value(text[at]) >= 0)
            at++;
        if ((at - begin) * form->bits >= (size_t)CANARY_BYTES_LEAST * 8)
            found = find_in_run(canary, form, text + begin, at - begin, room);
        at += at == begin;
    }
    return found;
}

const char *canary_find(const struct canary *canary, const void *text, size_t len) {
    if (canary->len == 0 || len == 0)
        return NULL;
    uint8_t *room = memory_take(len);
    const char *found = find_raw(canary, text, len);
    for (size_t i = 0; i < sizeof forms / sizeof *forms && found == NULL; i++)
        found = find_encoded(canary, &forms[i], text, len, room);
    free(room);
    return found;
}
