#include "conformance/ledger.h"

#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/memory.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* Both kinds of entries begin with the text they are found by. */
static int compare_keys(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void *find_in(void *const *tree, const char *key) {
    void **found = tfind(&key, tree, compare_keys);
    return found != NULL ? *found : NULL;
}

static void keep(void *entry) {
    (void)entry;
}

struct ledger *ledger_new(const char *doc) {
    struct ledger *ledger = memory_take(sizeof *ledger);
    ledger->doc = memory_copy_text(doc);
    return ledger;
}

static void free_change(struct ledger_change *change) {
    for (size_t i = 0; i < change->versions_len; i++)
        free(change->versions[i].data);
    free(change->versions);
    free(change->id);
    free(change);
}

void ledger_free(struct ledger *ledger) {
    tdestroy(ledger->changes_by_id, keep);
    tdestroy(ledger->cursors_by_text, keep);
    for (size_t i = 0; i < ledger->changes_len; i++)
        free_change(ledger->changes[i]);
    for (size_t i = 0; i < ledger->cursors_len; i++) {
        free(ledger->cursors[i]->text);
        free(ledger->cursors[i]);
    }
    free(ledger->changes);
    free(ledger->cursors);
    free(ledger->log);
    free(ledger->doc);
    free(ledger);
}

/* ---- Changes --------------------------------------------------------------------------------- */

/* Room for one more after `len`; grows by doubling. */
static void *make_room(void *array, size_t len, size_t item_bytes) {
    bool is_full = (len & (len - 1)) == 0; /* 0, 1, 2, 4, 8... */
    return is_full ? memory_grow(array, (len == 0 ? 1 : 2 * len) * item_bytes) : array;
}

static struct ledger_change *add_change(struct ledger *ledger, const char *id) {
    struct ledger_change *change = memory_take(sizeof *change);
    *change = (struct ledger_change){.id = memory_copy_text(id), .held = LEDGER_UNKNOWN};
    ledger->changes =
        make_room(ledger->changes, ledger->changes_len, sizeof(struct ledger_change *));
    ledger->changes[ledger->changes_len++] = change;
    tsearch(change, &ledger->changes_by_id, compare_keys);
    return change;
}

struct ledger_change *ledger_find(const struct ledger *ledger, const char *id) {
    return find_in(&ledger->changes_by_id, id);
}

int ledger_version(const struct ledger_change *change, const char *data) {
    int i = (int)change->versions_len - 1;
    while (i >= 0 && strcmp(change->versions[i].data, data) != 0)
        i--;
    return i;
}

struct ledger_change *ledger_offer(struct ledger *ledger, const char *id, const char *data,
                                   unsigned now) {
    struct ledger_change *change = ledger_find(ledger, id);
    if (change == NULL)
        change = add_change(ledger, id);
    int version = ledger_version(change, data);
    if (version == LEDGER_UNKNOWN) {
        version = (int)change->versions_len;
        change->versions =
            make_room(change->versions, change->versions_len++, sizeof *change->versions);
        change->versions[version] = (struct ledger_version){.data = memory_copy_text(data)};
    }
    change->versions[version].offers++;
    change->offers++;
    change->offered = now;
    change->is_gone = false;
    return change;
}

void ledger_settle_gone(struct ledger *ledger, unsigned moment) {
    for (size_t i = 0; i < ledger->changes_len; i++) {
        struct ledger_change *change = ledger->changes[i];
        change->is_gone |= change->position == 0 && change->offered < moment;
    }
}

bool ledger_hold(struct ledger_change *change, int version, unsigned now) {
    if (change->since == 0)
        change->since = now;
    if (version == LEDGER_UNKNOWN && change->versions_len == 1)
        version = 0;
    if (change->held == LEDGER_UNKNOWN)
        change->held = version;
    return version == LEDGER_UNKNOWN || change->held == version;
}

bool ledger_was_certain(const struct ledger_change *change, unsigned moment) {
    return change->since != 0 && change->since < moment;
}

size_t ledger_count_certain(const struct ledger *ledger, unsigned moment) {
    size_t certain = 0;
    for (size_t i = 0; i < ledger->changes_len; i++)
        certain += ledger_was_certain(ledger->changes[i], moment);
    return certain;
}

/* ---- The log --------------------------------------------------------------------------------- */

const char *ledger_place(struct ledger *ledger, struct ledger_change *change, size_t position) {
    for (; ledger->log_len < position; ledger->log_len++) {
        ledger->log = make_room(ledger->log, ledger->log_len, sizeof(struct ledger_change *));
        ledger->log[ledger->log_len] = NULL;
    }
    struct ledger_change *there = ledger->log[position - 1];
    if (there != NULL && there != change)
        return "the log is not what it was";
    if (change->position != 0 && change->position != position)
        return "a change is in the log twice, or has moved";
    ledger->log[position - 1] = change;
    change->position = position;
    return NULL;
}

bool ledger_knows(const struct ledger *ledger, size_t position) {
    while (position > 0 && position <= ledger->log_len && ledger->log[position - 1] != NULL)
        position--;
    return position == 0;
}

char *ledger_digest(const struct ledger *ledger, size_t position) {
    uint8_t sum[DOCUMENT_DIGEST_BYTES] = {0};
    bool ok = ledger_knows(ledger, position);
    for (size_t i = 0; ok && i < position; i++) {
        const struct ledger_change *change = ledger->log[i];
        struct bytes data = {0};
        ok = change->held != LEDGER_UNKNOWN &&
             base64url_decode(change->versions[change->held].data, &data);
        if (ok)
            document_digest_add(sum, change->id, data.at, data.len);
        bytes_fini(&data);
    }
    return ok ? base64url_encode(sum, sizeof sum) : NULL;
}

/* ---- Cursors --------------------------------------------------------------------------------- */

const struct ledger_cursor *ledger_find_cursor(const struct ledger *ledger, const char *text) {
    return find_in(&ledger->cursors_by_text, text);
}

bool ledger_give_cursor(struct ledger *ledger, const char *text, const size_t *position) {
    struct ledger_cursor *cursor = find_in(&ledger->cursors_by_text, text);
    if (cursor == NULL) {
        cursor = memory_take(sizeof *cursor);
        *cursor = (struct ledger_cursor){.text = memory_copy_text(text), .is_unknown = true};
        ledger->cursors =
            make_room(ledger->cursors, ledger->cursors_len, sizeof(struct ledger_cursor *));
        ledger->cursors[ledger->cursors_len++] = cursor;
        tsearch(cursor, &ledger->cursors_by_text, compare_keys);
    }
    if (position == NULL)
        return true;
    bool fits = cursor->is_unknown || cursor->position == *position;
    cursor->position = *position;
    cursor->is_unknown = false;
    return fits;
}

/* ---- Going back ------------------------------------------------------------------------------ */

/* A log only grows: what stood before a change that was certain then was there, too. */
void ledger_rewind(struct ledger *ledger, unsigned moment) {
    size_t left = 0;
    for (size_t i = 0; i < ledger->changes_len; i++) {
        const struct ledger_change *change = ledger->changes[i];
        if (change->since != 0 && change->since <= moment && change->position > left)
            left = change->position;
    }
    for (size_t i = 0; i < ledger->changes_len; i++) {
        struct ledger_change *change = ledger->changes[i];
        change->is_gone = false; /* that copy may hold what another did not */
        bool stays = (change->since != 0 && change->since <= moment) ||
                     (change->position != 0 && change->position <= left);
        if (stays)
            continue;
        change->since = 0;
        change->position = 0;
        change->held = LEDGER_UNKNOWN;
        change->was_said_new = false;
    }
    ledger->log_len = left < ledger->log_len ? left : ledger->log_len;
    for (size_t i = 0; i < ledger->cursors_len; i++)
        ledger->cursors[i]->is_unknown |= ledger->cursors[i]->position > left;
    ledger->count = 0;
}
