/*
 * What the files of a session share: session.c (life, requests in their turn, frames out),
 * requests.c (the answers to open, close, list and get) and relay.c (pushes and `changed`).
 */
#ifndef REFERENCE_SERVER_SESSION_INTERNAL_H
#define REFERENCE_SERVER_SESSION_INTERNAL_H

#include "reference-server/session.h"

enum { CLOSE_REFUSED = 4001, CLOSE_CANNOT_CONTINUE = 4002 };

/* Positions that pushes of this connection stored, and that its `changed` therefore leaves out. */
struct own_range {
    uint64_t first;
    uint64_t last;
};

/* A document this connection has open. */
struct open_document {
    struct document_reader reader; /* first: what the document knows of us */
    struct open_document *next;
    struct session *session;
    struct document *document;
    uint64_t opened; /* position of `opened` */
    char opened_cursor[CURSOR_TEXT_LEN + 1];
    uint64_t position; /* up to where the log was delivered */
    struct own_range *own;
    size_t own_first;
    size_t own_len;
    size_t own_capacity;
};

/* A request that waits for the pushes before it. */
struct deferred {
    struct athena_message message;
    struct athena_decoder *decoder;
    enum athena_code code;
    struct athena_error error;
};

struct reply {
    struct reply *next;
    struct frame *frame;
};

struct session {
    struct session_host *host;
    void *connection;
    uint8_t challenge[ATHENA_CHALLENGE_BYTES];
    struct open_document *documents;
    size_t documents_len;
    struct reply *replies;
    struct reply **replies_end;
    size_t replies_len;
    size_t reply_bytes;
    struct push_lane lane; /* belongs to whoever pushes are submitted to */
    size_t pushes;         /* under way */
    size_t push_bytes;
    size_t push_entries;
    struct deferred *deferred; /* NULL: none */
    unsigned forbidden;
    bool was_opened;
    bool is_stopping;
    uint16_t close_code;
    uint64_t open_deadline_ms;
    bool is_gone; /* the connection is; pushes are still under way */
};

/* ---- session.c ---- */

/* NULL when the connection does not have it open. */
struct open_document *session_document(const struct session *s,
                                       const uint8_t doc[static ATHENA_DOC_BYTES]);
void session_reply(struct session *s, const struct athena_message *message);
/* A message of a type with the `req` and `doc` of a request. */
struct athena_message session_answer(const struct athena_message *request, enum athena_type type);
/* An `error` in answer to a request; `where` names its member, or is "" [ASP-MSG-14]. */
void session_refuse(struct session *s, const struct athena_message *request, enum athena_code code,
                    const char *where, const char *what);
/* The store failed: the operator is told why, the client that it may try again [ASP-DUR-6]. */
void session_refuse_for_store(struct session *s, const struct athena_message *request,
                              enum athena_code code, const struct athena_error *error);
/* Closes once what waits has been sent; the first code given counts. */
void session_close_with(struct session *s, uint16_t code);
/* Without memory for a reply the connection cannot go on as promised. */
void session_give_up(struct session *s);
void session_wake(struct session *s);

/* ---- requests.c ---- */

/* What has to hold of every request before its own rules apply; ATHENA_OK or *error
 * [ASP-MSG-11]. */
enum athena_code requests_check(const struct session *s, const struct athena_message *request,
                                struct athena_error *error);
/* Answers a request that is not a push. */
void requests_answer(struct session *s, const struct athena_message *request);
void requests_forget(struct session *s, struct open_document *d);

/* ---- relay.c ---- */

/* The answer to a push that is done. */
void relay_end_push(struct session *s, const struct push *push);
/* The next `changed` of one document, if its log goes on behind what was delivered. */
struct frame *relay_next(struct session *s, struct open_document *d);

#endif
