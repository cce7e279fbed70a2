/*
 * What a run knows of one document, over all connections: the changes that anyone pushed, since
 * when the log surely holds them, where they stand in it, and which cursors the server gave.
 *
 * Moments are counts of messages. A change is certain once the server acknowledged, listed, served
 * or relayed it; it stays so but for a restore of older data.
 */
#ifndef CONFORM_LEDGER_H
#define CONFORM_LEDGER_H

#include <stdbool.h>
#include <stddef.h>

enum { LEDGER_UNKNOWN = -1 };

struct ledger_version {
    char *data; /* base64url */
    unsigned offers;
};

struct ledger_change {
    char *id;
    struct ledger_version *versions; /* all bytes that were pushed under this id */
    size_t versions_len;
    int held;          /* which of them is in the log; LEDGER_UNKNOWN */
    unsigned since;    /* the moment it became certain; 0: it is not */
    size_t position;   /* in the log, from 1; 0: unknown */
    bool was_said_new; /* some `pushed` said that it was stored now */
    unsigned offers;   /* how often it was pushed */
    unsigned offered;  /* the moment of the last */
    bool is_gone;      /* nothing is under way that could bring it into the log */
    /* Of the push that brought it first; NULL when it stood alone, or first. */
    const struct ledger_change *push_first;
    const struct ledger_change *push_before;
    bool was_answered; /* that push */
};

struct ledger_cursor {
    char *text;
    size_t position; /* valid unless `unknown` */
    bool is_unknown; /* of a live change, or of data that was replaced since */
};

struct ledger {
    char *doc;
    void *changes_by_id, *cursors_by_text; /* trees */
    struct ledger_change **changes;        /* in the order they were pushed first */
    size_t changes_len;
    struct ledger_change **log; /* [position - 1]; NULL: unknown */
    size_t log_len;
    struct ledger_cursor **cursors;
    size_t cursors_len;
    size_t count; /* the largest that an `opened` told */
    unsigned count_since;
};

struct ledger *ledger_new(const char *doc);
void ledger_free(struct ledger *ledger);

/* Somebody pushes these bytes under this id. */
struct ledger_change *ledger_offer(struct ledger *ledger, const char *id, const char *data,
                                   unsigned now);
/* The whole log was seen, and what was pushed before that moment can only be in it or be gone. */
void ledger_settle_gone(struct ledger *ledger, unsigned moment);
/* NULL when nobody pushed it. */
struct ledger_change *ledger_find(const struct ledger *ledger, const char *id);
/* Index of the bytes, LEDGER_UNKNOWN when nobody pushed these. */
int ledger_version(const struct ledger_change *change, const char *data);
/* It is in the log, `version` may be unknown. False when other bytes are known to be there. */
bool ledger_hold(struct ledger_change *change, int version, unsigned now);
bool ledger_was_certain(const struct ledger_change *change, unsigned moment);
/* How many were. */
size_t ledger_count_certain(const struct ledger *ledger, unsigned moment);

/* It stands there in the log. NULL, or what that contradicts (static). */
const char *ledger_place(struct ledger *ledger, struct ledger_change *change, size_t position);
/* True when each position up to this one is known. */
bool ledger_knows(const struct ledger *ledger, size_t position);
/* Of the log up to that position, in base64url; NULL when that is not known whole, with its bytes.
 * free() it. */
char *ledger_digest(const struct ledger *ledger, size_t position);

/* Notes a cursor that the server gave; `position` NULL when it is not known. False when it is known
 * to be another one. */
bool ledger_give_cursor(struct ledger *ledger, const char *text, const size_t *position);
/* NULL when the server never gave it. */
const struct ledger_cursor *ledger_find_cursor(const struct ledger *ledger, const char *text);

/* The data are again those of that moment. */
void ledger_rewind(struct ledger *ledger, unsigned moment);

#endif
