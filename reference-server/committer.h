/*
 * Group commit: a thread that takes pushes of all sessions that wait, commits them in one
 * transaction, and goes on with the next ones. One flush to stable storage is thus shared by many
 * who wait for one, and no session waits for all that another has sent.
 *
 *   loop ── committer_submit ──▶ lanes ──▶ thread: push_commit ──▶ done ── committer_done ──▶ loop
 */
#ifndef REFERENCE_SERVER_COMMITTER_H
#define REFERENCE_SERVER_COMMITTER_H

#include "reference-server/push.h"

struct committer;

struct committer_options {
    struct store *store;
    struct store_quota quota;
    const char *folder;        /* whose file system has to keep free: */
    uint64_t free_bytes_floor; /* [ASP-ABUSE-6] */
    void (*notify)(void *ctx); /* called on the thread: committer_done has something */
    void (*report)(void *ctx, const struct athena_error *error); /* on the thread */
    void *ctx;
};

struct committer_counters {
    uint64_t commits;
    uint64_t failures; /* of a transaction, or of a push that had to be left out of one */
};

/* NULL when the thread cannot be started. */
struct committer *committer_start(const struct committer_options *options);
/* Commits what waits, then ends the thread. What is done stays to be fetched. */
void committer_stop(struct committer *committer);
void committer_free(struct committer *committer);

void committer_submit(struct committer *committer, struct push *push);
/* The next finished push, in the order of the logs; NULL: none now. */
struct push *committer_done(struct committer *committer);
struct committer_counters committer_counters(struct committer *committer);

#endif
