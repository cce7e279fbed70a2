/*
 * The WebSocket of a client: a thread that runs libwebsockets, and queues of messages to and from
 * it. The thread keeps the connection alive however busy the application is; the session and the
 * application run elsewhere and only exchange messages with it.
 *
 *   session ── transport_dial, _send, _drop ──▶ thread ── transport_next, eventfd ──▶ session
 *
 * Four ways lead out of a connection (dialling refused at once, refused later, closed, cut before
 * an answer) and all of them give one TRANSPORT_DISCONNECTED.
 */
#ifndef REFERENCE_CLIENT_TRANSPORT_H
#define REFERENCE_CLIENT_TRANSPORT_H

#include "protocol/athena_protocol.h"

struct transport;

struct transport_options {
    struct athena_url url;
    const char *token;   /* of valid grammar, or NULL */
    const char *ca_file; /* or NULL */
    bool is_insecure;
    int event_fd; /* eventfd that is raised when transport_next has something */
};

enum transport_item_type {
    TRANSPORT_CONNECTED,
    TRANSPORT_MESSAGE,
    TRANSPORT_SENT,     /* bytes went out: no sign of life from the server */
    TRANSPORT_RECEIVED, /* bytes came, of a message that may not be whole yet */
    TRANSPORT_DISCONNECTED,
    TRANSPORT_ITEM_TYPES,
};

struct transport_item {
    struct transport_item *next;
    enum transport_item_type type;
    struct athena_error why; /* DISCONNECTED */
    size_t len;              /* MESSAGE */
    char text[];
};

/* Starts the thread. Options are copied. NULL when it cannot be started. */
struct transport *transport_new(const struct transport_options *options);
/* Closes the connection in order, for a moment at most, and ends the thread; one that is looking up
 * a name ends by itself, when it has done so. */
void transport_free(struct transport *transport);

void transport_dial(struct transport *transport);
void transport_send(struct transport *transport, struct athena_text_view json);
/* Ends the connection; nothing that it still brings is shown. */
void transport_drop(struct transport *transport, uint16_t close_code);
/* The next item, or NULL; the caller frees it with free(). */
struct transport_item *transport_next(struct transport *transport);

#endif
