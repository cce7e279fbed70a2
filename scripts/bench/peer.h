/* One connection of the load generator with one document open. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "scripts/bench/corpus.h"
#include "scripts/bench/server.h"
#include "scripts/bench/wire.h"

struct bench;

struct peer {
    struct wire wire;
    struct athena_decoder *decoder; /* borrowed from the benchmark */
    const struct corpus *corpus;    /* borrowed */
    uint64_t count;                 /* changes in the log when it was opened */
    uint64_t unanswered;            /* pushes */
};

/* Connects, proves the corpus' document and opens it. */
void peer_open(struct peer *peer, struct bench *bench, const struct server *server,
               const struct corpus *corpus, unsigned source);
void peer_close(struct peer *peer);

/* Decodes a message that the server may send now; an `error` fails the benchmark. */
void peer_decode(const struct peer *peer, struct athena_message *message,
                 struct athena_text_view json);
/* Takes the next message; fails unless it is a `pushed` that stored everything. */
void peer_expect_stored(struct peer *peer, struct athena_text_view json);

/* Pushes frames of so many messages and waits until all are acknowledged. */
void peer_push(struct peer *peer, const struct athena_buf *frames, size_t messages);
/* Reads the whole log in pages, each asked for when the one before has come: how many changes. */
size_t peer_pull(struct peer *peer);

/* Puts changes first..first+count-1 onto the server, on a connection of its own. */
void peer_preload(struct bench *bench, const struct server *server, const struct corpus *corpus,
                  size_t first, size_t count);

#endif
