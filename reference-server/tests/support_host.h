/* Sessions without a server around them: a store in memory, commits and time when a test says so,
 * messages as text. */
#ifndef SERVER_SUPPORT_HOST_H
#define SERVER_SUPPORT_HOST_H

#include "reference-server/connection.h"
#include "reference-server/tests/support_main.h"

#define HOST_AUTHORITY "sync.example"

struct host {
    struct connection_host connection; /* first; its session_host is what sessions know */
    struct push_queue submitted;       /* pushes that wait for host_commit */
    struct store_quota quota;
    const struct store_engine *working;
    unsigned reports; /* of failures of the store */
};

/* Small limits: batch 5, docs 2, change 1000 bytes, message 100000, 4000 before an open. */
void host_init(struct host *host);
/* All sessions have to be freed before. */
void host_fini(struct host *host);
/* Commits what was submitted, and hands it back. */
void host_commit(struct host *host);
/* From now on the store cannot be read, or not be written; or works again. */
void host_break_reading(struct host *host);
void host_break_writing(struct host *host);
void host_repair(struct host *host);

/* A session and who talks to it. */
struct peer {
    struct host *host;
    struct session *session;
    struct athena_decoder *decoder;
    uint8_t challenge[ATHENA_CHALLENGE_BYTES];
    uint64_t next_req;
};

/* Makes the session at the time 0 and takes its `welcome`. */
void peer_join(struct peer *peer, struct host *host);
void peer_leave(struct peer *peer);
/* A message as text. */
void peer_say(struct peer *peer, const char *json);
/* A request whose `req`, if it has none, is the next number. Returns the `req`. */
uint64_t peer_send(struct peer *peer, struct athena_message *message);
/* The next message, until the next call; false when there is none. */
bool peer_next(struct peer *peer, struct athena_message *message);
/* The next message has to be of this type. */
void peer_expect(struct peer *peer, enum athena_type type, struct athena_message *message);
/* Nothing is there to be sent. */
void peer_expect_silence(struct peer *peer);
/* The next message is an `error` of this code in answer to `req`. */
void peer_expect_error(struct peer *peer, enum athena_code code, uint64_t req);

/* A request of this type about the document of these keys. */
struct athena_message peer_request(enum athena_type type, const struct athena_keys *keys);
/* An `open` that passes, with its proof. */
struct athena_message peer_open_request(const struct peer *peer, const struct athena_keys *keys);
void peer_open(struct peer *peer, const struct athena_keys *keys, struct athena_message *opened);
/* Pushes changes `first`, `first` + 1, ... whose data is their number in one byte and `version`. */
uint64_t peer_push(struct peer *peer, const struct athena_keys *keys, uint64_t first, size_t len,
                   uint8_t version);
/* The same, committed and answered. */
void peer_store(struct peer *peer, const struct athena_keys *keys, uint64_t first, size_t len);
/* Whether these are exactly the changes `first` to `last`. */
bool peer_has_changes(const struct athena_message *message, uint64_t first, uint64_t last);

#endif
