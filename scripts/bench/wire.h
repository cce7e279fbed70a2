/*
 * One WebSocket connection of the load generator: a handshake, frames built beforehand out, whole
 * text messages in. Only as much of RFC 6455 as a client needs who trusts the server to frame
 * correctly; pings are answered.
 *
 *   send:  a view of frames, borrowed, drained as the socket takes them
 *   receive:  in[at..len) is what has come and was not taken yet; messages are views into it
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "scripts/bench/tube.h"

#include <stdbool.h>

struct wire {
    struct tube tube;
    uint8_t *in;
    size_t in_at, in_len, in_capacity;
    size_t taken;                 /* bytes of the message last given, to be dropped at the next */
    struct athena_buf joined;     /* a message that came in several frames */
    struct athena_bytes_view out; /* frames still to be sent */
    struct athena_buf control;    /* pongs, sent between two views */
};

/* Appends a text frame, masked as from a client. */
void wire_frame(struct athena_buf *frames, struct athena_text_view json);

/* Connects and shakes hands, from the loopback address 127.0.0.(1 + source). */
void wire_connect(struct wire *wire, const struct athena_url *url, unsigned source);
void wire_close(struct wire *wire);

/* Hands frames over that live until they are sent. Nothing may be left of the ones before. */
void wire_send(struct wire *wire, struct athena_bytes_view frames);
bool wire_has_output(const struct wire *wire);
/* Sends what the socket takes now. */
void wire_flush(struct wire *wire);
/* Reads what is there now, without waiting. */
void wire_fill(struct wire *wire);
/* The next whole message that has come, valid until the next call; false when there is none. */
bool wire_next(struct wire *wire, struct athena_text_view *json);
/* The next message; sends and waits as needed. */
struct athena_text_view wire_receive(struct wire *wire);

#endif
