/*
 * libathena-sync: a replica of one encrypted document in a folder, and its syncing.
 *
 * A replica works offline: changes are added and read without any connection. athena_sync_connect
 * lets it sync with a server until athena_sync_disconnect, reconnecting by itself; what happens is
 * told by events. Nothing here knows Automerge: a change is an actor id and the bytes of one
 * Automerge change.
 *
 * One thread at a time may use a replica. Every function that can fail returns enum athena_code,
 * ATHENA_OK for success, with what was wrong in *error (may be NULL). A failed call has changed
 * nothing. Beside the codes that a function names, ATHENA_UNAVAILABLE says that the storage failed
 * and ATHENA_NO_MEMORY that memory ran out. Texts given by a char pointer alone end in a NUL. Views
 * and pointers handed to callbacks live until the callback returns; what is handed in is copied.
 *
 * The application's loop polls athena_sync_fd for reading and calls athena_sync_service when it is
 * ready; without a loop of its own it calls athena_sync_run.
 *
 * An application takes a fresh Automerge actor each time it loads a document [ASP-CLI-5].
 */
#ifndef ATHENA_SYNC_H
#define ATHENA_SYNC_H

/* The tree's own, where there is one, and never another that is installed. */
#if __has_include("protocol/athena_protocol.h")
#include "protocol/athena_protocol.h"
#else
#include <athena/athena_protocol.h>
#endif

#define ATHENA_SYNC_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

struct athena_sync;

/* ---- Making and opening a replica ---- */

/* Makes a replica in a folder, which is created if need be (not its parents) and holds no replica
 * yet. `secret`, ATHENA_SECRET_BYTES, joins an existing document; NULL makes a new one with a
 * random secret [ASP-KEY-1]. `url` (may be NULL) is remembered for connecting. With a `passphrase`
 * (may be NULL) the key is locked from the start, and never stored plainly: see athena_sync_lock.
 * ATHENA_BAD_URL; ATHENA_ALREADY_OPEN when the folder holds a replica, be it without its key;
 * ATHENA_UNAVAILABLE when it cannot be used, or another process is making a replica there. */
ATHENA_SYNC_EXPORT enum athena_code athena_sync_create(const char *folder, const uint8_t *secret,
                                                       const char *url, const char *passphrase,
                                                       struct athena_error *error);

/* Opens a replica and locks its folder against other processes. `passphrase` is needed when its key
 * is locked, and else not looked at: ATHENA_FORBIDDEN when it is missing or wrong.
 * ATHENA_UNAVAILABLE when there is no replica or another process has it open, ATHENA_INTERNAL when
 * what is there is damaged. *sync is the caller's, for athena_sync_close. */
ATHENA_SYNC_EXPORT enum athena_code athena_sync_open(struct athena_sync **sync, const char *folder,
                                                     const char *passphrase,
                                                     struct athena_error *error);
/* The same for reading alone, which a full disk and a folder that cannot be written to allow as
 * well, unless a kill has left something in SQLite's log. What stores may then give
 * ATHENA_UNAVAILABLE. */
ATHENA_SYNC_EXPORT enum athena_code athena_sync_open_to_read(struct athena_sync **sync,
                                                             const char *folder,
                                                             const char *passphrase,
                                                             struct athena_error *error);
/* Ends the connection, if any, and frees everything; takes a second at most. NULL is fine. Not from
 * within a callback: note the wish there, and close when what called it has returned. */
ATHENA_SYNC_EXPORT void athena_sync_close(struct athena_sync *sync);

/* The document secret, to be carried to a second device; as text it is written like a document id
 * [ASP-KEY-3]. Wipe it after use. */
ATHENA_SYNC_EXPORT void athena_sync_secret(const struct athena_sync *sync,
                                           uint8_t secret[ATHENA_AT_LEAST(ATHENA_SECRET_BYTES)]);
/* The document's id: public, and what the server knows the document by. */
ATHENA_SYNC_EXPORT void athena_sync_doc(const struct athena_sync *sync,
                                        uint8_t doc[ATHENA_AT_LEAST(ATHENA_DOC_BYTES)]);
/* Locks the stored key by a passphrase (Argon2id, which takes 256 MiB of memory for up to a
 * second), or, with NULL, stores it plainly again. */
ATHENA_SYNC_EXPORT enum athena_code
athena_sync_lock(struct athena_sync *sync, const char *passphrase, struct athena_error *error);

/* ---- Changes ---- */

struct athena_sync_change {
    uint64_t number; /* local: grows in the order in which this replica got them, from 1 */
    struct athena_text_view id;
    struct athena_bytes_view plain; /* the Automerge change */
    bool is_own;                    /* added through this replica */
};

/* A change to be added. */
struct athena_sync_new_change {
    struct athena_text_view actor; /* as Automerge prints it */
    struct athena_bytes_view plain;
};

/* Adds changes in one durable step; all or none. When it returns they are on stable storage and in
 * the outbox [ASP-CLI-2], and a connection there is pushes them [ASP-CLI-37]. `added` (may be NULL)
 * is then called for each, with its id. `plain` is one Automerge change and `actor` its actor,
 * which the caller vouches for [ASP-MODEL-8]. ATHENA_BAD_ID for an actor of wrong grammar,
 * ATHENA_TOO_LARGE beyond 1,000,000,000 bytes in one change. */
ATHENA_SYNC_EXPORT enum athena_code
athena_sync_add(struct athena_sync *sync, const struct athena_sync_new_change *changes, size_t len,
                void (*added)(void *ctx, const struct athena_sync_change *change), void *ctx,
                struct athena_error *error);

/* Calls `each` for every readable change with a number above `after` (0: all), in order, until it
 * returns false. `each` may call other functions of the replica. A change that is damaged here is
 * left out: after all the others ATHENA_INTERNAL names the first such. */
ATHENA_SYNC_EXPORT enum athena_code
athena_sync_each(struct athena_sync *sync, uint64_t after,
                 bool (*each)(void *ctx, const struct athena_sync_change *change), void *ctx,
                 struct athena_error *error);

/* The application's Automerge refuses a change: it goes to quarantine, for good, with the reason
 * [ASP-CLI-27]. ATHENA_BAD_ID when no change has this id. */
ATHENA_SYNC_EXPORT enum athena_code athena_sync_quarantine(struct athena_sync *sync,
                                                           struct athena_text_view id,
                                                           const char *reason,
                                                           struct athena_error *error);

/* One whole document, saved by the application beside the changes, in place of the one before. It
 * covers all changes up to the number `through` (0: none): the highest of those that the
 * application has added, been told or read since it read the rest by athena_sync_each. Within a
 * callback it is lowered to what comes before the next change that is still to be told. An
 * application that starts loads the document and applies the changes behind that number
 * [ASP-CLI-45]. ATHENA_BAD_ID when no change has that number yet. The document stays in the folder,
 * encrypted: no server gets it [ASP-CLI-46]. */
ATHENA_SYNC_EXPORT enum athena_code athena_sync_save_document(struct athena_sync *sync,
                                                              struct athena_bytes_view document,
                                                              uint64_t through,
                                                              struct athena_error *error);
/* *document is the caller's to free(); NULL and 0 when none is saved. ATHENA_INTERNAL when it is
 * damaged: the changes are all there still. */
ATHENA_SYNC_EXPORT enum athena_code athena_sync_load_document(struct athena_sync *sync,
                                                              uint8_t **document, size_t *len,
                                                              uint64_t *through,
                                                              struct athena_error *error);

/* ---- Export, import, verify ----
 *
 * `progress` (may be NULL) is called with the number of changes done so far. */

/* One change as it is stored and sent: what an export holds. */
struct athena_sync_envelope {
    struct athena_text_view id;
    struct athena_bytes_view data;
    bool is_quarantined;
};
/* Like athena_sync_each, for all changes, those in quarantine included; `each` sees what would be
 * sent. */
ATHENA_SYNC_EXPORT enum athena_code
athena_sync_each_envelope(struct athena_sync *sync,
                          bool (*each)(void *ctx, const struct athena_sync_envelope *envelope),
                          void *ctx, struct athena_error *error);
/* Takes envelopes of this document over, as received changes; those already held are skipped, and
 * *imported counts the others. What was in quarantine goes there again; a damaged one that is held
 * gives way to one that opens. All or none: ATHENA_BAD_ID,
 * ATHENA_BAD_ENVELOPE (it does not open) or ATHENA_CONFLICT (other bytes are held under the id),
 * with the entry's index in error->where, such as "/3". */
ATHENA_SYNC_EXPORT enum athena_code
athena_sync_import(struct athena_sync *sync, const struct athena_sync_envelope *envelopes,
                   size_t len, void (*progress)(void *ctx, uint64_t done), void *ctx,
                   size_t *imported, struct athena_error *error);
/* Opens every envelope, recomputes every hash and sum, and looks through the database.
 * ATHENA_INTERNAL names the first damage; *checked counts the changes found whole before it. */
ATHENA_SYNC_EXPORT enum athena_code athena_sync_verify(struct athena_sync *sync,
                                                       void (*progress)(void *ctx, uint64_t done),
                                                       void *ctx, uint64_t *checked,
                                                       struct athena_error *error);

/* ---- Status ---- */

enum { ATHENA_SYNC_URL_BYTES = 1024 }; /* the longest that is taken, and its NUL */

/* The remembered URL, NUL-terminated; "" for none. */
ATHENA_SYNC_EXPORT enum athena_code
athena_sync_get_url(struct athena_sync *sync, char url[ATHENA_AT_LEAST(ATHENA_SYNC_URL_BYTES)],
                    struct athena_error *error);

struct athena_sync_status {
    uint64_t changes; /* readable */
    uint64_t quarantined;
    struct athena_digest digest; /* of all envelopes held */
    bool has_server;             /* the rest is about the current URL's server */
    uint64_t pending;            /* in the outbox: not known to be there, and to be pushed */
    uint64_t refused;            /* permanently, by this server */
    uint64_t conflicts;          /* changes of which it holds other bytes */
    struct athena_digest known;  /* what the server is known to hold */
    bool is_connected;
    bool is_in_sync;                 /* connected, resumed, nothing pending, nothing unanswered */
    bool has_cursor;                 /* a resume with this server has been completed once */
    char url[ATHENA_SYNC_URL_BYTES]; /* the remembered one, "" for none */
};
/* Adds up the hashes of all changes: what a person asks for, not what a loop does. */
ATHENA_SYNC_EXPORT enum athena_code athena_sync_get_status(struct athena_sync *sync,
                                                           struct athena_sync_status *status,
                                                           struct athena_error *error);

/* Everything that is kept about the server of a URL, as if it had never been connected to: for one
 * that is gone for good, since each later change is noted down as lacking there. ATHENA_BAD_URL
 * when nothing is kept about it, ATHENA_ALREADY_OPEN while connecting is wanted. */
ATHENA_SYNC_EXPORT enum athena_code
athena_sync_forget_server(struct athena_sync *sync, const char *url, struct athena_error *error);

/* ---- Syncing ---- */

enum athena_sync_event_type {
    ATHENA_SYNC_CONNECTED, /* `opened` has come */
    ATHENA_SYNC_IN_SYNC,   /* resumed, and everything pushed; again after each later catching-up */
    ATHENA_SYNC_CHANGE,    /* received and stored: hand it to the document */
    ATHENA_SYNC_PUSHED,    /* `count` changes are on the server now */
    ATHENA_SYNC_QUARANTINED,  /* `id` does not open; `error` says why */
    ATHENA_SYNC_CONFLICT,     /* the server holds other bytes under `id` */
    ATHENA_SYNC_REFUSED,      /* `id` was refused permanently; error->code says why */
    ATHENA_SYNC_FAULT,        /* the server, or this device's storage, breaks its promises */
    ATHENA_SYNC_DISCONNECTED, /* why in `error`; tries again in retry_ms */
};

struct athena_sync_event {
    enum athena_sync_event_type type;
    struct athena_sync_change change; /* CHANGE */
    struct athena_text_view id;       /* QUARANTINED, CONFLICT, REFUSED */
    uint64_t count;                   /* PUSHED */
    uint64_t retry_ms;                /* DISCONNECTED */
    struct athena_error error;
};

/* What an event of the type QUARANTINED, REFUSED or CONFLICT has told of, and is so still. */
struct athena_sync_attention {
    enum athena_sync_event_type type;
    uint64_t number;
    struct athena_text_view id;
    struct athena_text_view reason;
    struct athena_bytes_view other; /* CONFLICT: the envelope that the server holds */
};
/* Calls `each` for everything that needs attention, until it returns false: what is in quarantine,
 * and what the server of the remembered URL refuses or holds otherwise. `each` may call other
 * functions of the replica. */
ATHENA_SYNC_EXPORT enum athena_code
athena_sync_each_attention(struct athena_sync *sync,
                           bool (*each)(void *ctx, const struct athena_sync_attention *attention),
                           void *ctx, struct athena_error *error);

struct athena_sync_connect_options {
    const char *url;     /* NULL: the remembered one */
    const char *token;   /* bearer token, 1 to 512 characters of section 7.2, or NULL */
    const char *ca_file; /* PEM; NULL: the system's */
    bool is_insecure;    /* does not verify the certificate [ASP-WS-43] */
    /* How long a silent server is borne before it is asked for a sign of life, and how long that
     * may take, as may its greeting [ASP-WS-33] [ASP-WS-35] [ASP-WS-36]. 0: 45, 20 and 30 s. */
    uint64_t patience_ms;
    /* Called from athena_sync_service and athena_sync_run, and from nowhere else. */
    void (*event)(void *ctx, const struct athena_sync_event *event);
    void *ctx;
};

/* Connects, in place of the connection there is, and stays connected, with backoff, until
 * athena_sync_disconnect [ASP-CLI-38]. The URL is remembered. Returns before anything has happened;
 * whether it succeeds is told by events. ATHENA_BAD_URL for a URL that cannot be used, is too
 * long to be remembered, or for none,
 * ATHENA_BAD_TOKEN for a token of wrong grammar, ATHENA_UNAVAILABLE for a ca_file without
 * certificates, ATHENA_INTERNAL from within an event. */
ATHENA_SYNC_EXPORT enum athena_code
athena_sync_connect(struct athena_sync *sync, const struct athena_sync_connect_options *options,
                    struct athena_error *error);
/* Closes the connection in order, within a second, and stays away; no event tells of it. A host
 * name that is being looked up is left to its thread, which ends when the system has answered. From
 * within an event it takes effect when the event's handler has returned. */
ATHENA_SYNC_EXPORT void athena_sync_disconnect(struct athena_sync *sync);
/* Tries at once instead of at the end of the delay [ASP-CLI-43]: the network has come back, or the
 * user asks. Without effect while connected or disconnected on purpose. */
ATHENA_SYNC_EXPORT void athena_sync_retry_now(struct athena_sync *sync);

/* Readable when athena_sync_service has something to do; for poll, epoll or an event loop. The same
 * for the replica's whole life, and the replica's: do not read or close it. */
ATHENA_SYNC_EXPORT int athena_sync_fd(const struct athena_sync *sync);
/* Does what there is to do, without waiting for the network, and calls the event handler. */
ATHENA_SYNC_EXPORT void athena_sync_service(struct athena_sync *sync);
/* Waits up to timeout_ms (-1: without end) for something to do, and does it. */
ATHENA_SYNC_EXPORT void athena_sync_run(struct athena_sync *sync, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
