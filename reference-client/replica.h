/*
 * The replica's own store: changes, and what each server is known to hold of them.
 *
 *   change    every change this device has, readable or in quarantine, by local number
 *   server    each server it has synced with: cursor, and count and sum of `known`
 *   lacking   the changes a server is *not* known to hold, and why: `known` is its complement, so
 *             that receiving 100,000 changes writes nothing but the changes
 *   conflict  other bytes that a server holds under an id of ours
 *
 * Everything between replica_begin and replica_finish is one durable step; count, sum, cursor and
 * the rows they speak of move together [ASP-CLI-6]. Functions marked (in a step) belong there.
 */
#ifndef REFERENCE_CLIENT_REPLICA_H
#define REFERENCE_CLIENT_REPLICA_H

#include "protocol/athena_protocol.h"

struct replica;

enum change_state { CHANGE_READABLE = 0, CHANGE_QUARANTINED = 1 };

/* Why a server is not known to hold a change. */
enum lacking_why {
    LACKING_WAITING = 0,     /* in the outbox */
    LACKING_REFUSED = 1,     /* permanently: not sent again [ASP-CLI-31] */
    LACKING_TOO_LARGE = 2,   /* until the server announces a larger limit [ASP-CLI-35] */
    LACKING_QUARANTINED = 3, /* never sent [ASP-CLI-29] */
};

struct replica_change {
    uint64_t number;
    enum change_state state;
    bool is_own;
    struct athena_text_view id;    /* borrowed until the next call */
    struct athena_bytes_view data; /* likewise */
    uint8_t hash[ATHENA_HASH_BYTES];
};

struct replica_server {
    int64_t key; /* 0: none */
    struct athena_digest known;
    char cursor[ATHENA_CURSOR_TEXT_MAX + 1]; /* "" when none is adopted */
};

/* A set of local numbers. Zero-initialise; number_set_fini. */
struct number_set {
    uint8_t *bits;
    size_t bytes;
};
bool number_set_add(struct number_set *set, uint64_t number); /* false without memory */
bool number_set_has(const struct number_set *set, uint64_t number);
void number_set_fini(struct number_set *set);

/* ---- Life ---- */

/* Makes the database at `path` for a document; `url` (may be NULL) is remembered. What is there
 * under that name is replaced. It is one file, and on stable storage; after a failure there is
 * none.
 */
enum athena_code replica_create(const char *path, const uint8_t doc[static ATHENA_DOC_BYTES],
                                const char *url, struct athena_error *error);
enum athena_code replica_open(struct replica **replica, const char *path,
                              struct athena_error *error);
/* For reading alone, where nothing can be written, not even SQLite's log and its index. The folder
 * has to be locked, or nobody may be able to write. ATHENA_UNAVAILABLE when the log holds what the
 * database does not, after a kill. */
enum athena_code replica_open_to_read(struct replica **replica, const char *path,
                                      struct athena_error *error);
/* Both in one, for a database that lives only as long as this. */
enum athena_code replica_open_in_memory(struct replica **replica,
                                        const uint8_t doc[static ATHENA_DOC_BYTES],
                                        struct athena_error *error);
void replica_close(struct replica *replica);
const uint8_t *replica_doc(const struct replica *replica);

/* Small texts kept beside the changes: "url". NULL removes; get writes a NUL-terminated copy. */
enum athena_code replica_set_text(struct replica *replica, const char *name, const char *text,
                                  struct athena_error *error);
enum athena_code replica_get_text(struct replica *replica, const char *name, char *text,
                                  size_t room, struct athena_error *error);

/* ---- Steps ---- */

enum athena_code replica_begin(struct replica *replica, struct athena_error *error);
/* Commits when `code`, what became of the step, is ATHENA_OK, and gives that of the commit.
 * Otherwise, and when the commit fails, the step is undone. */
enum athena_code replica_finish(struct replica *replica, enum athena_code code,
                                struct athena_error *error);

/* ---- Changes ---- */

/* What reads a change gives ATHENA_INTERNAL for one whose row is damaged, with its number, so that
 * those behind it can be read; with number 0 the storage itself is.
 *
 * Whether the bytes are those that were stored: ATHENA_INTERNAL when they are not. */
enum athena_code replica_check_change(const struct replica_change *change,
                                      struct athena_error *error);

/* change->number is 0 when the id is not held. */
enum athena_code replica_find(struct replica *replica, struct athena_text_view id,
                              struct replica_change *change, struct athena_error *error);
/* The first change behind a number; number 0 when there is none. */
enum athena_code replica_next(struct replica *replica, uint64_t after,
                              struct replica_change *change, struct athena_error *error);
/* (in a step) Adds a change whose id is not held; fills in number and hash. Every server is taken
 * to lack it but `holder` (may be NULL), which has just shown it: it enters that one's `known`. */
enum athena_code replica_insert(struct replica *replica, struct replica_change *change,
                                const char *reason, struct replica_server *holder,
                                struct athena_error *error);
/* (in a step) Puts other bytes in the place of a change in quarantine: they are those of a readable
 * change with a number of its own, behind all others; change->number is first the old one, then
 * that. What each server is known to hold stays: the bytes of before, where it held them. */
enum athena_code replica_replace(struct replica *replica, struct replica_change *change,
                                 struct athena_error *error);
/* (in a step) Puts a readable change into quarantine. */
enum athena_code replica_quarantine(struct replica *replica, uint64_t number, const char *reason,
                                    struct athena_error *error);

/* ---- What a server holds ---- */

/* server->key is 0 when nothing is kept about this authority. */
enum athena_code replica_find_server(struct replica *replica, struct athena_text_view authority,
                                     struct replica_server *server, struct athena_error *error);
/* (in a step) As if it had never been connected to. */
enum athena_code replica_forget_server(struct replica *replica, const struct replica_server *server,
                                       struct athena_error *error);
/* Finds the server by its authority, or enters it as one that lacks everything. */
enum athena_code replica_server(struct replica *replica, struct athena_text_view authority,
                                struct replica_server *server, struct athena_error *error);
/* (in a step) Saves the cursor, count and sum. */
enum athena_code replica_save_server(struct replica *replica, const struct replica_server *server,
                                     struct athena_error *error);
/* (in a step) The server holds this change, with these bytes' hash: moves it into `known`, count
 * and sum of *server included. Already known: nothing. */
enum athena_code replica_learn(struct replica *replica, struct replica_server *server,
                               uint64_t number, const uint8_t own_hash[static ATHENA_HASH_BYTES],
                               struct athena_error *error);
/* (in a step) The same for a change whose bytes the server has shown, be they ours or others
 * [ASP-CLI-26]. *is_new tells whether they are others that were not known yet. */
enum athena_code replica_learn_bytes(struct replica *replica, struct replica_server *server,
                                     const struct replica_change *own,
                                     struct athena_bytes_view data, bool *is_new,
                                     struct athena_error *error);
/* (in a step) `known` becomes exactly what was listed and what came live since; count and sum are
 * computed anew. *live_share is the share of the changes that only came live. */
enum athena_code replica_replace_known(struct replica *replica, struct replica_server *server,
                                       const struct number_set *listed,
                                       const struct number_set *live,
                                       struct athena_digest *live_share,
                                       struct athena_error *error);

/* The first change behind a number that waits to be pushed; number 0 when there is none. */
enum athena_code replica_next_waiting(struct replica *replica, const struct replica_server *server,
                                      uint64_t after, struct replica_change *change,
                                      struct athena_error *error);
/* (in a step) */
enum athena_code replica_refuse(struct replica *replica, const struct replica_server *server,
                                uint64_t number, enum lacking_why why, uint64_t limit,
                                struct athena_error *error);
/* (in a step) What was too large for a smaller limit waits again [ASP-CLI-35]. */
enum athena_code replica_readmit(struct replica *replica, const struct replica_server *server,
                                 uint64_t limit, struct athena_error *error);

/* ---- The saved document and numbers ---- */

enum athena_code replica_save_document(struct replica *replica, struct athena_bytes_view document,
                                       uint64_t through, struct athena_error *error);
/* *document is the caller's to free(); NULL when none is saved. */
enum athena_code replica_load_document(struct replica *replica, uint8_t **document, size_t *len,
                                       uint64_t *through, struct athena_error *error);

/* ---- What needs attention ---- */

enum attention_kind { ATTENTION_QUARANTINED, ATTENTION_REFUSED, ATTENTION_CONFLICT };

struct replica_attention {
    enum attention_kind kind;
    uint64_t number;
    struct athena_text_view id; /* all borrowed until the callback returns */
    struct athena_text_view reason;
    struct athena_bytes_view other; /* CONFLICT: the server's bytes */
};
/* `take` must not use the replica; ATHENA_NO_MEMORY when it returns false. */
enum athena_code
replica_each_attention(struct replica *replica, const struct replica_server *server,
                       bool (*take)(void *ctx, const struct replica_attention *attention),
                       void *ctx, struct athena_error *error);

struct replica_counts {
    uint64_t readable;
    uint64_t quarantined;
    uint64_t waiting;
    uint64_t refused;
    uint64_t conflicts;
    struct athena_digest digest; /* of all changes held */
};
/* `server` may be NULL. */
enum athena_code replica_count(struct replica *replica, const struct replica_server *server,
                               struct replica_counts *counts, struct athena_error *error);
/* Whether SQLite finds its file whole, indexes included. ATHENA_INTERNAL when not. */
enum athena_code replica_verify_file(struct replica *replica, struct athena_error *error);
/* Recomputes each server's count and sum from the rows. ATHENA_INTERNAL when one differs. */
enum athena_code replica_verify_known(struct replica *replica, struct athena_error *error);

#endif
