/*
 * What must hold between all connections of a run, whatever it is about: a document is a set of
 * changes that only grows, in one order that everyone sees.
 *
 *     watch (one connection) ──> history ──> ledgers (a document, over all connections)
 *                                   └─ views: what one connection was told of one document
 *
 * What was acknowledged, or seen by anyone, is in the log from then on, with the same bytes, at one
 * place, through kills and restarts. What nobody pushed appears nowhere. Counts, digests and
 * cursors agree with the log. Replies are judged as they come; what needs the whole log, by
 * history_settle. A run fails of it when its own steps have found nothing, since they know better
 * which requirement is at stake.
 */
#ifndef CONFORM_HISTORY_H
#define CONFORM_HISTORY_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct history;

struct history *history_new(void);
void history_free(struct history *history);
/* Something was sent that was not read here: nobody knows any more what was pushed. */
void history_go_blind(struct history *history);

/* A connection of that name begins; returns its number. */
unsigned history_connect(struct history *history, const char *name);
/* The last cursor that an earlier connection of the same name was given and may resume from; NULL
 * when there is none. Borrowed. */
const char *history_resume(const struct history *history, unsigned connection, const char *doc);
/* A request goes out on it; returns the moment, for history_replied. */
unsigned history_asked(struct history *history, const cJSON *request);
/* The reply to a request that was asked at that moment. */
void history_replied(struct history *history, unsigned connection, const cJSON *request,
                     unsigned asked, const cJSON *reply);
/* A `changed`. */
void history_relayed(struct history *history, unsigned connection, const cJSON *changed);

/* The server was killed, or ended in order; its data were copied under a name; that copy is its
 * data again. */
void history_killed(struct history *history);
void history_stopped(struct history *history);
void history_saved(struct history *history, const char *name);
void history_restored(struct history *history, const char *name);

/* Once somebody has listed the whole log, and nothing is under way: an id that this connection,
 * which has the document open and is being read, still has to be sent; NULL when it has all. */
const char *history_missing(const struct history *history, unsigned connection, const char *doc);
/* Judges orders and cursors of all connections against the log. */
void history_settle(struct history *history, const char *doc);

/* The first thing that was wrong, and the requirement that breaks; NULL: nothing was. Borrowed. */
const char *history_fault(const struct history *history, const char **requirement);

#endif
