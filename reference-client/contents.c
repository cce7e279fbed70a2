/* What a replica holds: reading it, saving a whole document beside it, carrying it elsewhere. */
#include "reference-client/athena_sync_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading ---- */

/* A change copied out of the store, because a callback may use the store itself. */
struct copy {
    struct athena_buf bytes;
    struct athena_text_view id;
    struct athena_bytes_view data;
};

static bool copy_change(struct copy *copy, const struct replica_change *change) {
    athena_buf_clear(&copy->bytes);
    athena_buf_append(&copy->bytes, change->id.at, change->id.len);
    athena_buf_append(&copy->bytes, change->data.at, change->data.len);
    copy->id = (struct athena_text_view){copy->bytes.at, change->id.len};
    copy->data = (struct athena_bytes_view){(const uint8_t *)copy->bytes.at + change->id.len,
                                            change->data.len};
    return !copy->bytes.failed;
}

/* What is damaged is passed over, and the first of it told at the end. */
struct damage {
    bool is_any;
    struct athena_error first;
};

/* False when reading cannot go on. */
static bool pass_over(struct damage *damage, const struct replica_change *change,
                      enum athena_code code, const struct athena_error *error) {
    if (code != ATHENA_INTERNAL || change->number == 0)
        return false;
    if (!damage->is_any)
        *damage = (struct damage){true, *error};
    return true;
}

/* What a reading comes to. */
static enum athena_code end_reading(const struct damage *damage, enum athena_code code,
                                    const struct athena_error *why, struct athena_error *error) {
    if (error && (code || damage->is_any))
        *error = code ? *why : damage->first;
    return code ? code : damage->is_any ? ATHENA_INTERNAL : ATHENA_OK;
}

/* The next change, whole and copied; number 0 at the end. */
static enum athena_code next_copy(const struct athena_sync *sync, struct copy *copy,
                                  struct replica_change *change, struct athena_error *error) {
    enum athena_code code = replica_next(sync->replica, change->number, change, error);
    if (!code && change->number)
        code = replica_check_change(change, error);
    if (!code && change->number && !copy_change(copy, change))
        code = sync_fail(error, ATHENA_NO_MEMORY, "a change", "out of memory");
    return code;
}

/* The plaintext takes as much room as the envelope. */
static enum athena_code open_copy(const struct athena_sync *sync, const struct copy *copy,
                                  uint8_t **plain, size_t *len, struct athena_error *error) {
    uint8_t *room = realloc(*plain, copy->data.len + 1);
    if (!room)
        return sync_fail(error, ATHENA_NO_MEMORY, "a change", "out of memory");
    *plain = room;
    enum athena_code code =
        athena_envelope_open(room, len, &sync->keys, copy->id, copy->data, error);
    return code == ATHENA_BAD_ENVELOPE
               ? sync_fail(error, ATHENA_INTERNAL, "a change is damaged", "it does not open")
               : code;
}

/* Of several readings, one within the other, the outermost is the furthest behind. */
static bool hand_over(struct athena_sync *sync, const struct athena_sync_change *change,
                      bool (*each)(void *ctx, const struct athena_sync_change *change), void *ctx) {
    uint64_t before = sync->unread;
    if (before == 0)
        sync->unread = change->number + 1;
    bool goes_on = each(ctx, change);
    sync->unread = before;
    return goes_on;
}

/* [ASP-CLI-24] */
enum athena_code athena_sync_each(struct athena_sync *sync, uint64_t after,
                                  bool (*each)(void *ctx, const struct athena_sync_change *change),
                                  void *ctx, struct athena_error *error) {
    struct copy copy = {0};
    struct damage damage = {0};
    struct athena_error why;
    struct replica_change found = {.number = after};
    uint8_t *plain = NULL;
    enum athena_code code;
    for (bool goes_on = true; goes_on;) {
        struct athena_sync_change change = {0};
        code = next_copy(sync, &copy, &found, &why);
        if (!code && (found.number == 0))
            break;
        if (!code && found.state != CHANGE_READABLE)
            continue;
        if (!code)
            code = open_copy(sync, &copy, &plain, &change.plain.len, &why);
        if (code && pass_over(&damage, &found, code, &why))
            continue;
        if (code)
            break;
        change.number = found.number;
        change.is_own = found.is_own;
        change.id = copy.id;
        change.plain.at = plain;
        goes_on = hand_over(sync, &change, each, ctx);
    }
    free(plain);
    athena_buf_fini(&copy.bytes);
    return end_reading(&damage, code, &why, error);
}

enum athena_code athena_sync_quarantine(struct athena_sync *sync, struct athena_text_view id,
                                        const char *reason, struct athena_error *error) {
    struct replica_change change;
    enum athena_code code = replica_find(sync->replica, id, &change, error);
    if (!code && change.number == 0)
        return sync_fail(error, ATHENA_BAD_ID, "the id", "no change here has it");
    if (!code)
        code = replica_begin(sync->replica, error);
    if (code)
        return code;
    code = replica_quarantine(sync->replica, change.number, reason, error);
    code = replica_finish(sync->replica, code, error);
    sync_outbox_changed(sync);
    return code;
}

/* ---- The saved document ---- */

/* Sealed like the changes, so that a locked key locks it, too: nonce, then secretbox. It never
 * travels, and therefore has a key and a form of its own. */
enum { SEALED_OVERHEAD = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES };

static void derive_document_key(uint8_t key[static crypto_secretbox_KEYBYTES],
                                const struct athena_sync *sync) {
    static const char purpose[] = "athena-sync saved document";
    crypto_generichash(key, crypto_secretbox_KEYBYTES, (const uint8_t *)purpose, sizeof purpose - 1,
                       sync->secret, sizeof sync->secret);
}

static void seal_document(uint8_t *sealed, const struct athena_sync *sync,
                          struct athena_bytes_view document) {
    uint8_t key[crypto_secretbox_KEYBYTES];
    derive_document_key(key, sync);
    randombytes_buf(sealed, crypto_secretbox_NONCEBYTES);
    crypto_secretbox_easy(sealed + crypto_secretbox_NONCEBYTES, document.at, document.len, sealed,
                          key);
    sodium_memzero(key, sizeof key);
}

/* In place, to the beginning of the bytes. */
static bool open_document(uint8_t *sealed, size_t *len, const struct athena_sync *sync) {
    uint8_t key[crypto_secretbox_KEYBYTES];
    uint8_t nonce[crypto_secretbox_NONCEBYTES];
    if (*len < SEALED_OVERHEAD)
        return false;
    derive_document_key(key, sync);
    memcpy(nonce, sealed, sizeof nonce);
    bool ok = crypto_secretbox_open_easy(sealed, sealed + sizeof nonce, *len - sizeof nonce, nonce,
                                         key) == 0;
    sodium_memzero(key, sizeof key);
    *len -= SEALED_OVERHEAD;
    return ok;
}

static enum athena_code check_through(struct athena_sync *sync, uint64_t through,
                                      struct athena_error *error) {
    struct replica_change change = {0};
    enum athena_code code = ATHENA_OK;
    if (through > 0)
        code = replica_next(sync->replica, through - 1, &change, error);
    return code || change.number >= through /* beyond, it would hide changes still to come */
               ? code
               : sync_fail(error, ATHENA_BAD_ID, "through", "no change has this number yet");
}

/* A change that is stored and still to be told is none that the document covers, whatever the
 * application added meanwhile: after a crash it would never be told [ASP-CLI-24] [ASP-CLI-45]. */
static uint64_t bound_through(const struct athena_sync *sync, uint64_t through) {
    uint64_t untold = sync->session ? session_untold(sync->session) : 0;
    if (untold && through >= untold)
        through = untold - 1;
    if (sync->unread && through >= sync->unread)
        through = sync->unread - 1;
    return through;
}

/* [ASP-CLI-44] */
enum athena_code athena_sync_save_document(struct athena_sync *sync,
                                           struct athena_bytes_view document, uint64_t through,
                                           struct athena_error *error) {
    enum athena_code code = check_through(sync, through, error);
    if (code)
        return code;
    through = bound_through(sync, through);
    uint8_t *sealed = malloc(document.len + SEALED_OVERHEAD);
    if (!sealed)
        return sync_fail(error, ATHENA_NO_MEMORY, "the document", "out of memory");
    seal_document(sealed, sync, document);
    struct athena_bytes_view bytes = {sealed, document.len + SEALED_OVERHEAD};
    code = replica_save_document(sync->replica, bytes, through, error);
    free(sealed);
    return code;
}

enum athena_code athena_sync_load_document(struct athena_sync *sync, uint8_t **document,
                                           size_t *len, uint64_t *through,
                                           struct athena_error *error) {
    enum athena_code code = replica_load_document(sync->replica, document, len, through, error);
    if (code || !*document || open_document(*document, len, sync))
        return code;
    free(*document);
    *document = NULL;
    *len = 0;
    *through = 0;
    return sync_fail(error, ATHENA_INTERNAL, "the saved document", "is damaged");
}

/* ---- Export and import ---- */

enum athena_code
athena_sync_each_envelope(struct athena_sync *sync,
                          bool (*each)(void *ctx, const struct athena_sync_envelope *envelope),
                          void *ctx, struct athena_error *error) {
    struct copy copy = {0};
    struct damage damage = {0};
    struct athena_error why;
    struct replica_change found = {0};
    enum athena_code code;
    for (bool goes_on = true; goes_on;) {
        code = next_copy(sync, &copy, &found, &why);
        if (code && pass_over(&damage, &found, code, &why))
            continue;
        if (code || found.number == 0)
            break;
        struct athena_sync_envelope envelope = {copy.id, copy.data,
                                                found.state == CHANGE_QUARANTINED};
        goes_on = each(ctx, &envelope);
    }
    athena_buf_fini(&copy.bytes);
    return end_reading(&damage, code, &why, error);
}

static enum athena_code check_readable(const struct athena_sync *sync,
                                       const struct athena_sync_envelope *envelope,
                                       struct athena_error *error) {
    size_t len;
    enum athena_code code = athena_change_id_check(envelope->id, error);
    uint8_t *plain = code ? NULL : malloc(envelope->data.len + 1);
    if (!code && !plain)
        code = sync_fail(error, ATHENA_NO_MEMORY, "a change", "out of memory");
    if (!code)
        code = athena_envelope_open(plain, &len, &sync->keys, envelope->id, envelope->data, error);
    free(plain);
    return code;
}

/* It opens, and what is held does not [ASP-CLI-47]. */
static bool is_better(const struct athena_sync *sync, const struct athena_sync_envelope *envelope,
                      const struct replica_change *held) {
    struct athena_sync_envelope own = {.id = held->id, .data = held->data};
    return !envelope->is_quarantined && held->state == CHANGE_QUARANTINED &&
           check_readable(sync, &own, NULL) == ATHENA_BAD_ENVELOPE;
}

static enum athena_code import_one(struct athena_sync *sync,
                                   const struct athena_sync_envelope *envelope, size_t *imported,
                                   struct athena_error *error) {
    struct replica_change held;
    enum athena_code code = envelope->is_quarantined ? athena_change_id_check(envelope->id, error)
                                                     : check_readable(sync, envelope, error);
    if (!code && envelope->data.len == 0)
        code = sync_fail(error, ATHENA_BAD_ENVELOPE, "the envelope", "empty");
    if (!code)
        code = replica_find(sync->replica, envelope->id, &held, error);
    if (code)
        return code;
    struct replica_change change = {.id = envelope->id, .data = envelope->data};
    if (held.number && is_better(sync, envelope, &held)) {
        change.number = held.number;
        (*imported)++;
        return replica_replace(sync->replica, &change, error);
    }
    if (held.number) {
        bool same = held.data.len == envelope->data.len &&
                    memcmp(held.data.at, envelope->data.at, held.data.len) == 0;
        return same ? ATHENA_OK
                    : sync_fail(error, ATHENA_CONFLICT, "this replica",
                                "holds other bytes under the id");
    }
    const char *reason = NULL;
    if (envelope->is_quarantined) {
        change.state = CHANGE_QUARANTINED;
        reason = "in quarantine where it was exported";
    }
    (*imported)++;
    return replica_insert(sync->replica, &change, reason, NULL, error);
}

enum athena_code athena_sync_import(struct athena_sync *sync,
                                    const struct athena_sync_envelope *envelopes, size_t len,
                                    void (*progress)(void *ctx, uint64_t done), void *ctx,
                                    size_t *imported, struct athena_error *error) {
    *imported = 0;
    enum athena_code code = replica_begin(sync->replica, error);
    if (code)
        return code;
    for (size_t i = 0; i < len && !code; i++) {
        code = import_one(sync, &envelopes[i], imported, error);
        if (code && error)
            snprintf(error->where, sizeof error->where, "/%zu", i);
        if (!code && progress)
            progress(ctx, i + 1);
    }
    code = replica_finish(sync->replica, code, error);
    if (code)
        *imported = 0;
    sync_outbox_changed(sync);
    return code;
}

/* ---- Verify ---- */

static enum athena_code damaged(struct athena_error *error, const struct replica_change *change,
                                const char *what) {
    char name[48];
    snprintf(name, sizeof name, "change %llu is damaged", (unsigned long long)change->number);
    return sync_fail(error, ATHENA_INTERNAL, name, what);
}

static enum athena_code verify_change(const struct athena_sync *sync,
                                      const struct replica_change *change,
                                      struct athena_error *error) {
    struct athena_error why = {0};
    struct replica_change found;
    if (athena_change_id_check(change->id, &why))
        return damaged(error, change, why.text);
    if (replica_check_change(change, NULL))
        return damaged(error, change, "its hash is not that of its bytes");
    struct athena_sync_envelope envelope = {.id = change->id, .data = change->data};
    if (change->state == CHANGE_READABLE && check_readable(sync, &envelope, &why))
        return damaged(error, change, why.text);
    if (replica_find(sync->replica, change->id, &found, NULL) || found.number != change->number)
        return damaged(error, change, "it is not found by its id");
    return ATHENA_OK;
}

static enum athena_code verify_document(struct athena_sync *sync, struct athena_error *error) {
    uint8_t *document;
    size_t len;
    uint64_t through;
    enum athena_code code = athena_sync_load_document(sync, &document, &len, &through, error);
    free(document);
    return code;
}

enum athena_code athena_sync_verify(struct athena_sync *sync,
                                    void (*progress)(void *ctx, uint64_t done), void *ctx,
                                    uint64_t *checked, struct athena_error *error) {
    struct replica_change change = {0};
    enum athena_code code;
    *checked = 0;
    while (!(code = replica_next(sync->replica, change.number, &change, error)) && change.number) {
        code = verify_change(sync, &change, error);
        if (code)
            return code;
        (*checked)++;
        if (progress)
            progress(ctx, *checked);
    }
    if (!code)
        code = verify_document(sync, error);
    if (!code)
        code = replica_verify_known(sync->replica, error);
    return code ? code : replica_verify_file(sync->replica, error);
}
