/*
 * A push on its way into the log, whose turn it is, and the commit of several together.
 *
 * A session makes a push from a decoded message and submits it. Whoever commits (the committer's
 * thread, or a simulation) takes some of all sessions, commits them in one transaction and hands
 * them back to their sessions, in order.
 */
#ifndef REFERENCE_SERVER_PUSH_H
#define REFERENCE_SERVER_PUSH_H

#include "reference-server/store.h"

struct session;

struct push {
    struct push *next;
    struct session *session; /* lives at least as long as its pushes */
    struct push_lane *lane;  /* of that session */
    uint64_t req;
    uint8_t doc[ATHENA_DOC_BYTES];
    struct athena_decoder *decoder; /* owns what the entries point to */
    struct store_entry *entries;
    size_t len;
    size_t message_bytes; /* what it counts for against the bound of a connection */

    /* Filled in by the commit. */
    enum athena_code code;  /* ATHENA_OK, or why nothing of it was stored */
    struct store_head head; /* the log's end behind this push */
    uint64_t stored;        /* how many entries: the last positions of the log behind it */
};

/* First in, first out. */
struct push_queue {
    struct push *first;
    struct push **last; /* NULL when zero-initialised and empty */
};
void push_queue_add(struct push_queue *queue, struct push *push);
struct push *push_queue_take(struct push_queue *queue); /* NULL when empty */

/* The pushes of one session that wait, in order. Zero-initialise. */
struct push_lane {
    struct push_queue pushes;
    struct push_lane *next;
    size_t credit; /* what may be taken of it in this turn */
};
/* All lanes in which pushes wait: each has its turn, and in a turn it moves on by so much work and
 * not by so many pushes [ASP-FLOW-6]. */
struct push_lanes {
    struct push_lane *first;
    struct push_lane **last; /* NULL when zero-initialised and empty */
};
void push_lanes_add(struct push_lanes *lanes, struct push *push);
/* A chain for the next transaction, which is bounded, so that nobody waits long for the one after
 * it; NULL when nothing waits. */
struct push *push_lanes_take(struct push_lanes *lanes);

/* Takes the decoder over. `changes` live in it. NULL without memory; then nothing is taken. */
struct push *push_new(struct session *session, const struct athena_message *message,
                      struct athena_decoder *decoder, uint64_t change_bytes_max,
                      size_t message_bytes);
/* Frees all but the decoder, which it gives back. */
struct athena_decoder *push_free(struct push *push);

/* Commits a chain of pushes in one transaction [ASP-PUSH-3]. A push that the store cannot judge,
 * because its document is damaged, has code ATHENA_UNAVAILABLE and keeps none of the others from
 * being stored. When the store itself fails, every push has that code and the store is as before.
 * *error says why, of what failed last. */
void push_commit(struct push *chain, struct store *store, const struct store_quota *quota,
                 struct athena_error *error);

#endif
