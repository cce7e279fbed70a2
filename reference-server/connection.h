/*
 * One connection, as bytes: an HTTP request head, then either one answer or a WebSocket whose
 * messages go to a session. No socket here: whoever owns it hands bytes in and takes bytes out.
 *
 *   HEAD ──upgrade──▶ OPEN ──close frame queued──▶ CLOSING ──answered or late──▶ DONE
 *     └────any other answer──────────────▶ LINGER ──▶ DONE
 *
 * Frames from clients are read by wslay, which unmasks and joins them and checks what RFC 6455
 * asks; frames to clients are written as they were encoded, shared between connections.
 */
#ifndef REFERENCE_SERVER_CONNECTION_H
#define REFERENCE_SERVER_CONNECTION_H

#include "reference-server/admission.h"
#include "reference-server/session.h"

/* What connections share beside what their sessions share. */
struct connection_host {
    struct session_host session; /* first */
    const struct admission *admission;
    uint64_t idle_ms; /* without progress: ping [ASP-WS-28] */
    uint64_t dead_ms; /* without progress: end [ASP-WS-30] */
    uint64_t handshake_ms;
    size_t connections_max;
    size_t connections; /* WebSockets now open */

    void (*challenge)(uint8_t challenge[static ATHENA_CHALLENGE_BYTES]);
    /* Writes the body of the server's own page; false for a path that is none. */
    bool (*page)(struct connection_host *host, struct athena_text_view path,
                 const char **content_type, struct athena_buf *body);
};

struct connection;

/* `owner` is handed to session.wake. NULL without memory. */
struct connection *connection_new(struct connection_host *host, void *owner, uint64_t now_ms);
void connection_free(struct connection *connection);

/* Bytes from the socket; all are taken over. Only while connection_takes_input. */
void connection_receive(struct connection *connection, const uint8_t *bytes, size_t len,
                        uint64_t now_ms);
/* False while the peer has to be made to wait: do not read from the socket. */
bool connection_takes_input(const struct connection *connection);
/* Goes on with bytes that were taken over but not used yet, after connection_takes_input became
 * true again. */
void connection_resume(struct connection *connection, uint64_t now_ms);

/* Up to `room` bytes to write now; 0: nothing. The socket has taken what was produced before. */
size_t connection_produce(struct connection *connection, uint8_t *out, size_t room,
                          uint64_t now_ms);
/* What the owner has to do once nothing is left to write. */
enum connection_ending {
    CONNECTION_GOES_ON,
    CONNECTION_HALF_CLOSE, /* send FIN, then read until the peer's */
    CONNECTION_DROP,
};
enum connection_ending connection_ending(const struct connection *connection);

void connection_tick(struct connection *connection, uint64_t now_ms);
void connection_stop(struct connection *connection, uint64_t now_ms);

#endif
