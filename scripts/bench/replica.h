/* A replica in a fresh folder, synced by the command athena-sync, run for real. What it is to sync
 * is put there through the library, before any clock starts. */
#ifndef BENCH_REPLICA_H
#define BENCH_REPLICA_H

#include "scripts/bench/corpus.h"
#include "scripts/bench/program.h"

#include <limits.h>

struct bench;

struct replica {
    char folder[PATH_MAX];
    char command[PATH_MAX]; /* athena-sync */
};

/* Joins the corpus' document; `url` is remembered for syncing. */
void replica_start(struct replica *replica, struct bench *bench, const struct corpus *corpus,
                   const char *url);
/* Removes the folder. */
void replica_end(struct replica *replica);
/* Adds changes offline, of a fresh actor. */
void replica_add(const struct replica *replica, size_t count);
/* `athena-sync sync`, from its start to its end; fails unless it received and pushed so many. */
struct program_run replica_sync(const struct replica *replica, size_t received, size_t pushed);

#endif
