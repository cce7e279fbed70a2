/*
 * Who watches and knows what is right: the changes that applications added, each log as commits
 * made it, and every message of each connection (wire.c).
 */
#ifndef SIMULATION_JUDGE_H
#define SIMULATION_JUDGE_H

#include "scripts/simulation/map.h"
#include "scripts/simulation/network.h"

/* A change that an application made. */
struct known_change {
    size_t doc;
    char *memory; /* of what follows */
    struct athena_text_view id;
    struct athena_bytes_view data;
    struct athena_bytes_view plain;
    bool is_durable; /* some replica has stored it */
};

/* A document's log: indexes of changes, and the digest up to each position. A log that loses its
 * end becomes a new version; the old one is kept, since cursors of it may still be under way. */
struct known_log {
    uint64_t *changes;
    struct athena_digest *digests; /* [0] of the empty log */
    uint64_t len;
    uint64_t capacity;
    struct map positions; /* by id, from 1 */
};

/* Where a cursor stands. */
struct known_cursor {
    size_t version;
    uint64_t position;
};

struct judge {
    struct world *world;
    struct known_change *changes;
    uint64_t len;
    uint64_t capacity;
    struct map by_id[DOCS];
    struct known_log *versions[DOCS]; /* the last is the log as it is */
    size_t versions_len[DOCS];
    uint64_t seen[DOCS];      /* up to where a server has shown its log to anyone */
    struct map cursors[DOCS]; /* index into the next */
    struct known_cursor *places;
    size_t places_len;
    size_t places_capacity;
    unsigned trouble; /* the store may refuse: `unavailable` is honest */
    unsigned quota;   /* `quota` is honest */
    struct athena_decoder *decoder;
};

struct judge *judge_new(struct world *world);
void judge_free(struct judge *judge);

/* Makes a change and remembers it; its index. */
uint64_t judge_make_change(struct judge *judge, size_t doc, struct athena_text_view actor);
/* Its index; UINT64_MAX when nobody made it. */
uint64_t judge_find(const struct judge *judge, size_t doc, struct athena_text_view id);
/* The index of a change with these very bytes; otherwise that is a failure, and UINT64_MAX. `who`
 * has shown it. */
uint64_t judge_match(struct judge *judge, const char *who, size_t doc,
                     const struct athena_change_view *change);

struct known_log *judge_log(const struct judge *judge, size_t doc);
/* From 1; 0 when the log does not have it. */
uint64_t judge_position(const struct judge *judge, size_t doc, struct athena_text_view id);
/* A server has given this cursor for a position of the log as it is. */
void judge_note_cursor(struct judge *judge, size_t doc, struct athena_text_view cursor,
                       uint64_t position);
/* NULL when no server gave that cursor. */
const struct known_cursor *judge_cursor(const struct judge *judge, size_t doc,
                                        struct athena_text_view cursor);
/* Whether the log as it is begins with what was before the cursor. */
bool judge_cursor_holds(const struct judge *judge, size_t doc, const struct known_cursor *cursor);

/* A commit has made this the next change of the log. */
void judge_committed(struct judge *judge, size_t doc, const struct athena_change_view *change);
/* The log has lost all behind a position. */
void judge_lost(struct judge *judge, size_t doc, uint64_t position);

/* ---- wire.c: one connection's messages ---- */

struct wire;

struct wire *wire_new(struct judge *judge, uint64_t connection, size_t doc);
void wire_free(struct wire *wire);
/* Each message, as it is sent. */
void wire_client_sent(struct wire *wire, struct athena_text_view json);
void wire_server_sent(struct wire *wire, struct athena_text_view json);

/* What a client has at the moment it gets `opened`, to judge whether it has to list. */
struct wire_resume {
    struct athena_digest known;
    struct athena_text_view cursor; /* "" for none */
    size_t synced_version;          /* of the log that it was last in sync with */
};
void wire_client_opens(struct wire *wire, struct athena_text_view json,
                       const struct wire_resume *resume);
/* The version of the log that this connection speaks of. */
size_t wire_version(const struct wire *wire);
uint64_t wire_messages(const struct wire *wire); /* both ways */

#endif
