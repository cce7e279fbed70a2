#include "scripts/simulation/judge.h"

#include "scripts/simulation/memory.h"

enum { PLAIN_BYTES_MAX = 300 };

struct judge *judge_new(struct world *world) {
    struct judge *judge = memory_new(sizeof *judge);
    judge->world = world;
    judge->decoder = memory_need(athena_decoder_new());
    for (size_t doc = 0; doc < DOCS; doc++) {
        judge->versions[doc] = memory_new(sizeof *judge->versions[doc]);
        judge->versions[doc]->digests = memory_new(sizeof(struct athena_digest));
        judge->versions_len[doc] = 1;
    }
    return judge;
}

void judge_free(struct judge *judge) {
    for (uint64_t i = 0; i < judge->len; i++)
        free(judge->changes[i].memory);
    free(judge->changes);
    for (size_t doc = 0; doc < DOCS; doc++) {
        for (size_t i = 0; i < judge->versions_len[doc]; i++) {
            free(judge->versions[doc][i].changes);
            free(judge->versions[doc][i].digests);
            map_fini(&judge->versions[doc][i].positions);
        }
        free(judge->versions[doc]);
        map_fini(&judge->by_id[doc]);
        map_fini(&judge->cursors[doc]);
    }
    free(judge->places);
    athena_decoder_free(judge->decoder);
    free(judge);
}

/* ---- Changes ---- */

/* Id, envelope and plaintext in one allocation. */
static struct known_change seal(const struct world *world, size_t doc, struct athena_text_view id,
                                struct athena_bytes_view plain) {
    size_t data_len = athena_envelope_len(plain.len);
    char *memory = memory_new(id.len + data_len + plain.len);
    struct known_change change = {.doc = doc,
                                  .memory = memory,
                                  .id = {memory, id.len},
                                  .data = {(uint8_t *)memory + id.len, data_len},
                                  .plain = {(uint8_t *)memory + id.len + data_len, plain.len}};
    memcpy(memory, id.at, id.len);
    memcpy(memory + id.len + data_len, plain.at, plain.len);
    if (athena_envelope_seal((uint8_t *)memory + id.len, &world->keys[doc], id, plain))
        memory_need(NULL);
    return change;
}

uint64_t judge_make_change(struct judge *judge, size_t doc, struct athena_text_view actor) {
    struct random *random = &judge->world->random;
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    uint8_t uuid[ATHENA_UUID_BYTES];
    uint8_t plain[PLAIN_BYTES_MAX];
    size_t plain_len = (size_t)random_between(random, 0, PLAIN_BYTES_MAX);
    random_fill(random, uuid, sizeof uuid);
    random_fill(random, plain, plain_len);
    if (athena_change_id_make(id, actor, uuid, NULL))
        memory_need(NULL);
    if (judge->len == judge->capacity) {
        judge->capacity = judge->capacity * 2 + 32;
        judge->changes = memory_resize(judge->changes, judge->capacity * sizeof *judge->changes);
    }
    struct known_change *change = &judge->changes[judge->len];
    *change = seal(judge->world, doc, (struct athena_text_view){id, strlen(id)},
                   (struct athena_bytes_view){plain, plain_len});
    map_set(&judge->by_id[doc], change->id, judge->len);
    judge->world->figures[FIGURE_CHANGES]++;
    return judge->len++;
}

uint64_t judge_find(const struct judge *judge, size_t doc, struct athena_text_view id) {
    const uint64_t *index = map_get(&judge->by_id[doc], id);
    return index ? *index : UINT64_MAX;
}

uint64_t judge_match(struct judge *judge, const char *who, size_t doc,
                     const struct athena_change_view *change) {
    uint64_t index = judge_find(judge, doc, change->id);
    if (index == UINT64_MAX) {
        world_fail(judge->world, "%s shows a change that nobody added: %.*s", who,
                   (int)change->id.len, change->id.at);
        return UINT64_MAX;
    }
    struct athena_bytes_view data = judge->changes[index].data;
    if (data.len == change->data.len && memcmp(data.at, change->data.at, data.len) == 0)
        return index;
    world_fail(judge->world, "%s shows other bytes than were added: %.*s", who, (int)change->id.len,
               change->id.at);
    return UINT64_MAX;
}

/* ---- Logs ---- */

struct known_log *judge_log(const struct judge *judge, size_t doc) {
    return &judge->versions[doc][judge->versions_len[doc] - 1];
}

uint64_t judge_position(const struct judge *judge, size_t doc, struct athena_text_view id) {
    const uint64_t *position = map_get(&judge_log(judge, doc)->positions, id);
    return position ? *position : 0;
}

static void append(struct known_log *log, const struct known_change *change, uint64_t index) {
    if (log->len == log->capacity) {
        log->capacity = log->capacity * 2 + 32;
        log->changes = memory_resize(log->changes, log->capacity * sizeof *log->changes);
        log->digests = memory_resize(log->digests, (log->capacity + 1) * sizeof *log->digests);
    }
    uint8_t hash[ATHENA_HASH_BYTES];
    athena_item_hash(hash, change->id, change->data);
    log->changes[log->len] = index;
    log->digests[log->len + 1] = log->digests[log->len];
    athena_digest_add(&log->digests[++log->len], hash);
    map_set(&log->positions, change->id, log->len);
}

void judge_committed(struct judge *judge, size_t doc, const struct athena_change_view *change) {
    uint64_t index = judge_match(judge, "a commit", doc, change);
    if (index == UINT64_MAX)
        return;
    if (judge_position(judge, doc, change->id) != 0)
        world_fail(judge->world, "the log takes %.*s a second time", (int)change->id.len,
                   change->id.at);
    else
        append(judge_log(judge, doc), &judge->changes[index], index);
}

void judge_lost(struct judge *judge, size_t doc, uint64_t position) {
    size_t len = judge->versions_len[doc]++;
    judge->versions[doc] =
        memory_resize(judge->versions[doc], (len + 1) * sizeof *judge->versions[doc]);
    const struct known_log *old = &judge->versions[doc][len - 1];
    struct known_log *log = &judge->versions[doc][len];
    *log = (struct known_log){.digests = memory_new(sizeof *log->digests)};
    for (uint64_t i = 0; i < position; i++)
        append(log, &judge->changes[old->changes[i]], old->changes[i]);
    if (judge->seen[doc] > position)
        judge->seen[doc] = position;
}

/* ---- Cursors ---- */

static bool is_same_log(const struct judge *judge, size_t doc, struct known_cursor cursor,
                        size_t version) {
    const struct known_log *given = &judge->versions[doc][cursor.version];
    const struct known_log *log = &judge->versions[doc][version];
    return cursor.position <= log->len &&
           athena_digest_equal(&given->digests[cursor.position], &log->digests[cursor.position]);
}

bool judge_cursor_holds(const struct judge *judge, size_t doc, const struct known_cursor *cursor) {
    return is_same_log(judge, doc, *cursor, judge->versions_len[doc] - 1);
}

const struct known_cursor *judge_cursor(const struct judge *judge, size_t doc,
                                        struct athena_text_view cursor) {
    const uint64_t *place = map_get(&judge->cursors[doc], cursor);
    return place ? &judge->places[*place] : NULL;
}

void judge_note_cursor(struct judge *judge, size_t doc, struct athena_text_view cursor,
                       uint64_t position) {
    const struct known_cursor *known = judge_cursor(judge, doc, cursor);
    if (known) {
        if (known->position != position || !judge_cursor_holds(judge, doc, known))
            world_fail(judge->world, "one cursor for two places: %.*s", (int)cursor.len, cursor.at);
        return;
    }
    if (judge->places_len == judge->places_capacity) {
        judge->places_capacity = judge->places_capacity * 2 + 32;
        judge->places =
            memory_resize(judge->places, judge->places_capacity * sizeof *judge->places);
    }
    map_set(&judge->cursors[doc], cursor, judge->places_len);
    judge->places[judge->places_len++] =
        (struct known_cursor){judge->versions_len[doc] - 1, position};
}
