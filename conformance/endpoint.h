/*
 * One end of a WebSocket connection, without a socket: bytes in, events out, and bytes to send.
 *
 *     stream_read ──> endpoint_feed ──> endpoint_next: events, in order
 *     stream_write <── endpoint_output <── endpoint_send_*
 *
 * Unlike a library for applications it can send what is forbidden (that is what a judge is for) and
 * reports everything the peer does. It answers pings and close frames by itself; nothing else.
 */
#ifndef CONFORM_ENDPOINT_H
#define CONFORM_ENDPOINT_H

#include "conformance/entropy.h"
#include "conformance/handshake.h"
#include "conformance/memory.h"

#include <stdbool.h>

enum { ENDPOINT_MESSAGE_BYTES_MAX = 128 * 1024 * 1024 };

enum endpoint_opcode {
    ENDPOINT_CONTINUATION = 0x0,
    ENDPOINT_TEXT = 0x1,
    ENDPOINT_BINARY = 0x2,
    ENDPOINT_CLOSE = 0x8,
    ENDPOINT_PING = 0x9,
    ENDPOINT_PONG = 0xA,
};

enum endpoint_event_kind {
    ENDPOINT_EVENT_UPGRADED, /* the handshake succeeded; `bytes` is the head of a request */
    ENDPOINT_EVENT_REFUSED,  /* it did not: `code` is the HTTP status, 0 of an endpoint_refuse;
                                `bytes` the head */
    ENDPOINT_EVENT_TEXT,     /* a whole message */
    ENDPOINT_EVENT_BINARY,
    ENDPOINT_EVENT_PING, /* answered already, unless they are ignored */
    ENDPOINT_EVENT_PONG,
    ENDPOINT_EVENT_CLOSE, /* `code`, 1005 when it has none; answered; only a fault follows */
    ENDPOINT_EVENT_FAULT, /* the peer broke `requirement`; `bytes` says how; nothing follows */
};

struct endpoint_event {
    enum endpoint_event_kind kind;
    int code;
    struct bytes bytes;      /* payload; the receiver frees it with bytes_fini */
    const char *requirement; /* static */
};

/* One frame to send, legal or not. */
struct endpoint_frame {
    bool fin;
    uint8_t rsv; /* 0..7 */
    uint8_t opcode;
    bool masked;
    const void *payload;
    size_t len;
};

struct endpoint;

/* Both ends start with the handshake. `entropy` (masks, key) must outlive the endpoint. */
struct endpoint *endpoint_new_client(struct entropy *entropy,
                                     const struct handshake_request *request);
struct endpoint *endpoint_new_server(void);
/* Of a server: answers the handshake with this text instead, and ends. To be called at first. */
void endpoint_refuse(struct endpoint *endpoint, const char *answer);
/* Of a server: selects this subprotocol, empty for none, in place of the right one. At first. */
void endpoint_select(struct endpoint *endpoint, const char *subprotocol);
/* Of a server: who asks for another path than this, or one below it, is answered 404. At first. */
void endpoint_expect_path(struct endpoint *endpoint, const char *path);
/* From now on no ping is answered. */
void endpoint_ignore_pings(struct endpoint *endpoint);
void endpoint_free(struct endpoint *endpoint);

void endpoint_feed(struct endpoint *endpoint, const void *bytes, size_t len);
/* The next event; false when there is none yet. */
bool endpoint_next(struct endpoint *endpoint, struct endpoint_event *event);
/* Of a server: all that the client has said, without frames and masks; what fits no frame, and the
 * handshake, as it came. The owner takes it off with bytes_drop. */
struct bytes *endpoint_heard(struct endpoint *endpoint);
/* What waits to be written; the owner takes it off with bytes_drop. */
struct bytes *endpoint_output(struct endpoint *endpoint);

void endpoint_send_text(struct endpoint *endpoint, const char *text, size_t len);
void endpoint_send_frame(struct endpoint *endpoint, const struct endpoint_frame *frame);
/* code 0 sends an empty close frame. */
void endpoint_send_close(struct endpoint *endpoint, int code, const char *reason);
/* Bytes as they are, outside any frame. */
void endpoint_send_bytes(struct endpoint *endpoint, const void *bytes, size_t len);

#endif
