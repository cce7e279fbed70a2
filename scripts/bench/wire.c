#include "scripts/bench/wire.h"

#include "scripts/bench/bench.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OP_CONTINUATION = 0, OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum { FIN = 0x80, MASKED = 0x80, HEADER_BYTES_MAX = 14, IN_BYTES_FIRST = 16384 };
enum { PING_BYTES_MAX = 125 };

/* ---- frames out ---- */

static size_t put_length(uint8_t *header, size_t len) {
    if (len < 126) {
        header[1] = (uint8_t)(MASKED | len);
        return 2;
    }
    size_t width = len < 65536 ? 2 : 8;
    header[1] = MASKED | (width == 2 ? 126 : 127);
    for (size_t i = 0; i < width; i++)
        header[2 + i] = (uint8_t)(len >> (8 * (width - 1 - i)));
    return 2 + width;
}

static void put_frame(struct athena_buf *frames, uint8_t opcode, const void *payload, size_t len) {
    uint8_t header[HEADER_BYTES_MAX] = {(uint8_t)(FIN | opcode)}, mask[4];
    size_t header_len = put_length(header, len);
    randombytes_buf(mask, sizeof mask);
    athena_buf_append(frames, header, header_len);
    athena_buf_append(frames, mask, sizeof mask);
    char *body = athena_buf_extend(frames, len);
    bench_require_memory(body);
    const uint8_t *from = payload;
    for (size_t i = 0; i < len; i++)
        body[i] = (char)(from[i] ^ mask[i % 4]);
}

void wire_frame(struct athena_buf *frames, struct athena_text_view json) {
    put_frame(frames, OP_TEXT, json.at, json.len);
}

/* ---- connection ---- */

/* The answer up to its empty line; what follows it stays for wire_next. */
static void await_upgrade(struct wire *wire) {
    const char *end = NULL;
    while (!end) {
        struct pollfd wanted = {.fd = wire->tube.fd, .events = POLLIN};
        if (poll(&wanted, 1, BENCH_TIMEOUT_MS) != 1)
            bench_fail("no answer to the handshake within %d ms", BENCH_TIMEOUT_MS);
        wire_fill(wire);
        end = memmem(wire->in, wire->in_len, "\r\n\r\n", 4);
    }
    if (wire->in_len < 12 || memcmp(wire->in, "HTTP/1.1 101", 12) != 0)
        bench_fail("the server refused the handshake: %.*s", (int)(end - (char *)wire->in),
                   (char *)wire->in);
    wire->in_at = (size_t)(end + 4 - (char *)wire->in);
}

void wire_connect(struct wire *wire, const struct athena_url *url, unsigned source) {
    *wire = (struct wire){0};
    tube_connect(&wire->tube, url, source);
    char request[1024];
    int len = snprintf(request, sizeof request,
                       "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: YXRoZW5hLWJlbmNoLWtleQ==\r\n"
                       "Sec-WebSocket-Protocol: " ATHENA_SUBPROTOCOL "\r\n\r\n",
                       url->authority);
    if (tube_send(&wire->tube, request, (size_t)len) != (size_t)len)
        bench_fail("the handshake could not be sent");
    await_upgrade(wire);
}

void wire_close(struct wire *wire) {
    tube_close(&wire->tube);
    free(wire->in);
    athena_buf_fini(&wire->joined);
    athena_buf_fini(&wire->control);
    *wire = (struct wire){.tube.fd = -1};
}

/* ---- output ---- */

void wire_send(struct wire *wire, struct athena_bytes_view frames) {
    if (wire->out.len)
        bench_fail("frames handed over before the ones before were sent");
    wire->out = frames;
}

bool wire_has_output(const struct wire *wire) {
    return wire->out.len || wire->control.len;
}

/* False when the socket takes no more. */
static bool send_some(struct wire *wire, const void *at, size_t len, size_t *sent) {
    *sent = tube_send(&wire->tube, at, len);
    return *sent == len;
}

void wire_flush(struct wire *wire) {
    size_t sent;
    if (wire->out.len) {
        bool is_all = send_some(wire, wire->out.at, wire->out.len, &sent);
        wire->out.at += sent;
        wire->out.len -= sent;
        if (!is_all)
            return;
    }
    /* A pong is a few bytes behind an empty socket buffer: all of it or, later, all of it. */
    if (wire->control.len && send_some(wire, wire->control.at, wire->control.len, &sent))
        athena_buf_clear(&wire->control);
    else if (wire->control.len && sent)
        bench_fail("a pong was cut in two");
}

/* ---- input ---- */

static void make_room(struct wire *wire) {
    if (wire->in_at == wire->in_len)
        wire->in_at = wire->in_len = 0;
    if (wire->in_len < wire->in_capacity)
        return;
    if (wire->in_at > wire->in_capacity / 2) {
        memmove(wire->in, wire->in + wire->in_at, wire->in_len - wire->in_at);
        wire->in_len -= wire->in_at;
        wire->in_at = 0;
        return;
    }
    wire->in_capacity = wire->in_capacity ? 2 * wire->in_capacity : IN_BYTES_FIRST;
    wire->in = realloc(wire->in, wire->in_capacity);
    bench_require_memory(wire->in);
}

void wire_fill(struct wire *wire) {
    bool has_ended;
    do {
        make_room(wire);
        wire->in_len += tube_receive(&wire->tube, wire->in + wire->in_len,
                                     wire->in_capacity - wire->in_len, &has_ended);
        if (has_ended)
            bench_fail("the server ended a connection: %s", errno ? strerror(errno) : "no reason");
    } while (tube_holds_more(&wire->tube));
}

struct frame {
    uint8_t opcode;
    bool is_final;
    struct athena_bytes_view payload;
};

/* The frame at in_at, when all of it is there; its length with the header, or 0. */
static size_t read_frame(const struct wire *wire, struct frame *frame) {
    const uint8_t *at = wire->in + wire->in_at;
    size_t have = wire->in_len - wire->in_at, header = 2;
    if (have < header)
        return 0;
    uint64_t len = at[1] & 0x7f;
    if (len >= 126) {
        header += len == 126 ? 2 : 8;
        if (have < header)
            return 0;
        len = 0;
        for (size_t i = 2; i < header; i++)
            len = len << 8 | at[i];
    }
    if (have - header < len)
        return 0;
    frame->opcode = at[0] & 0x0f;
    frame->is_final = at[0] & FIN;
    frame->payload = (struct athena_bytes_view){at + header, (size_t)len};
    return header + (size_t)len;
}

static void answer_control(struct wire *wire, const struct frame *frame) {
    if (frame->opcode == OP_CLOSE)
        bench_fail("the server closed a connection with %d",
                   frame->payload.len < 2 ? 0 : frame->payload.at[0] << 8 | frame->payload.at[1]);
    if (frame->opcode == OP_PING && frame->payload.len <= PING_BYTES_MAX)
        put_frame(&wire->control, OP_PONG, frame->payload.at, frame->payload.len);
}

/* True when a whole message stands in *json. */
static bool take_data(struct wire *wire, const struct frame *frame, struct athena_text_view *json) {
    struct athena_text_view part = {(const char *)frame->payload.at, frame->payload.len};
    if (frame->opcode == OP_TEXT && frame->is_final) {
        *json = part;
        return true;
    }
    if (frame->opcode == OP_TEXT)
        athena_buf_clear(&wire->joined);
    athena_buf_append(&wire->joined, part.at, part.len);
    *json = (struct athena_text_view){wire->joined.at, wire->joined.len};
    return frame->is_final;
}

bool wire_next(struct wire *wire, struct athena_text_view *json) {
    struct frame frame;
    wire->in_at += wire->taken;
    for (wire->taken = 0; (wire->taken = read_frame(wire, &frame)); wire->in_at += wire->taken) {
        if (frame.opcode >= OP_CLOSE)
            answer_control(wire, &frame);
        else if (take_data(wire, &frame, json))
            return true;
    }
    return false;
}

struct athena_text_view wire_receive(struct wire *wire) {
    struct athena_text_view json;
    while (!wire_next(wire, &json)) {
        struct pollfd wanted = {.fd = wire->tube.fd, .events = POLLIN};
        wanted.events |= wire_has_output(wire) ? POLLOUT : 0;
        if (poll(&wanted, 1, BENCH_TIMEOUT_MS) != 1)
            bench_fail("no message within %d ms", BENCH_TIMEOUT_MS);
        if (wanted.revents & POLLOUT)
            wire_flush(wire);
        if (wanted.revents & (POLLIN | POLLHUP | POLLERR))
            wire_fill(wire);
    }
    return json;
}
