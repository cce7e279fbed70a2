#include "reference-server/connection.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum {
    CLOSE_TIMEOUT_MS = 10000,  /* to answer a Close frame [ASP-WS-46] */
    CONTROL_BYTES_MAX = 65536, /* control frames waiting to be sent before input pauses */
    PONGS_MAX = 256,           /* those among them that wslay still holds */
    MASK_BYTES = 4,
    CLOSE_PROTOCOL = 1002,
    CLOSE_UNSUPPORTED = 1003,
    CLOSE_TOO_BIG = 1009,
};

enum state { HEAD, OPEN, CLOSING, LINGER, DONE };

struct connection {
    struct connection_host *host;
    void *owner;
    enum state state;
    uint64_t progress_ms;
    uint64_t pinged_ms;      /* 0: not since the last progress */
    uint64_t deadline_ms;    /* of HEAD, CLOSING and LINGER */
    struct athena_buf input; /* the head so far; later what a pause left over */
    size_t input_used;
    struct athena_buf message; /* what has come of the message under way */
    struct athena_buf backlog; /* messages wslay had read before a pause: length, then text */
    size_t backlog_used;
    struct athena_buf control; /* answers, pings, pongs, Close frames */
    size_t control_sent;
    struct frame *frame; /* being sent */
    size_t frame_sent;
    wslay_event_context_ptr websocket; /* NULL while there is nothing for it to do */
    uint64_t partial_bytes;            /* of a frame that wslay has begun to read */
    bool is_in_control;                /* that frame is a control frame */
    bool is_in_message;                /* more frames of it are to come */
    bool has_cut_close;                /* the peer's Close frame has half a code */
    struct session *session;
};

struct connection *connection_new(struct connection_host *host, void *owner, uint64_t now_ms) {
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->host = host;
    c->owner = owner;
    c->progress_ms = now_ms;
    c->deadline_ms = now_ms + host->handshake_ms;
    return c;
}

void connection_free(struct connection *c) {
    if (!c)
        return;
    if (c->session) {
        session_free(c->session);
        c->host->connections--;
    }
    if (c->websocket)
        wslay_event_context_free(c->websocket);
    frame_unref(c->frame);
    athena_buf_fini(&c->input);
    athena_buf_fini(&c->message);
    athena_buf_fini(&c->backlog);
    athena_buf_fini(&c->control);
    free(c);
}

static void wake(struct connection *c) {
    c->host->session.wake(&c->host->session, c->owner);
}

/* ---- wslay's callbacks ---- */

static ssize_t give_input(wslay_event_context_ptr ctx, uint8_t *out, size_t room, int flags,
                          void *user) {
    (void)flags;
    struct connection *c = user;
    size_t left = c->input.len - c->input_used;
    if (left == 0 || !connection_takes_input(c)) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t len = left < room ? left : room;
    memcpy(out, c->input.at + c->input_used, len);
    c->input_used += len;
    c->partial_bytes += len;
    return (ssize_t)len;
}

static void refuse(struct connection *c, uint16_t code) {
    wslay_event_shutdown_read(c->websocket);
    wslay_event_queue_close(c->websocket, code, NULL, 0);
}

/* All of the frame is taken off at its start; what is still to come leaves the sum wrapped around.
 */
static void on_frame(wslay_event_context_ptr ctx,
                     const struct wslay_event_on_frame_recv_start_arg *frame, void *user) {
    (void)ctx;
    struct connection *c = user;
    uint64_t len = frame->payload_length;
    size_t len_bytes = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;
    c->partial_bytes -= 2 + len_bytes + MASK_BYTES + len;
    c->is_in_control = wslay_is_ctrl_frame(frame->opcode);
    if (c->is_in_control)
        return;
    c->is_in_message = !frame->fin;
    if (frame->opcode == WSLAY_BINARY_FRAME)
        refuse(c, CLOSE_UNSUPPORTED); /* [ASP-WS-22] */
    else if (c->message.len + len > session_message_bytes_max(c->session))
        refuse(c, CLOSE_TOO_BIG); /* [ASP-WS-23] */
}

/* wslay would keep two allocations a frame, and join them in a third: of one-byte fragments they
 * are a hundred times the message [ASP-FLOW-1]. */
static void on_chunk(wslay_event_context_ptr ctx,
                     const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *user) {
    struct connection *c = user;
    if (c->is_in_control || !wslay_event_get_read_enabled(ctx))
        return;
    athena_buf_append(&c->message, chunk->data, chunk->data_length);
    if (c->message.failed)
        c->state = DONE;
}

static ssize_t take_control(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t len,
                            int flags, void *user) {
    (void)flags;
    struct connection *c = user;
    athena_buf_append(&c->control, bytes, len);
    if (!c->control.failed)
        return (ssize_t)len;
    wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* wslay reads ahead by up to 4 KiB, so that messages may come after the session wants a pause. */
static void keep_for_later(struct connection *c) {
    athena_buf_append(&c->backlog, &c->message.len, sizeof c->message.len);
    athena_buf_append(&c->backlog, c->message.at, c->message.len);
    if (c->backlog.failed)
        c->state = DONE;
}

static void drain_backlog(struct connection *c) {
    while (c->state == OPEN && c->backlog_used < c->backlog.len &&
           session_takes_input(c->session)) {
        size_t len;
        memcpy(&len, c->backlog.at + c->backlog_used, sizeof len);
        c->backlog_used += sizeof len + len;
        session_receive(c->session,
                        (struct athena_text_view){c->backlog.at + c->backlog_used - len, len});
    }
    if (c->backlog_used == c->backlog.len) {
        athena_buf_fini(&c->backlog);
        c->backlog_used = 0;
    }
}

/* [ASP-WS-25] */
static void on_message(wslay_event_context_ptr ctx,
                       const struct wslay_event_on_msg_recv_arg *message, void *user) {
    struct connection *c = user;
    if (message->opcode == WSLAY_CONNECTION_CLOSE)
        c->has_cut_close = message->msg_length == 1;
    if (wslay_is_ctrl_frame(message->opcode) || c->state != OPEN ||
        !wslay_event_get_read_enabled(ctx))
        return;
    if (c->backlog.len > 0 || !session_takes_input(c->session))
        keep_for_later(c);
    else
        session_receive(c->session, (struct athena_text_view){c->message.at, c->message.len});
    athena_buf_clear(&c->message);
}

/* ---- wslay's life ---- */

/* Its buffers are 8 KiB, four fifths of what a connection would hold while it is idle: so it is
 * made when there is something to read, to send or to end, and let go when all of that is done. */
static bool has_websocket(struct connection *c) {
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = give_input,
        .send_callback = take_control,
        .on_frame_recv_start_callback = on_frame,
        .on_frame_recv_chunk_callback = on_chunk,
        .on_msg_recv_callback = on_message,
    };
    if (c->websocket)
        return true;
    if (wslay_event_context_server_init(&c->websocket, &callbacks, c) != 0) {
        c->websocket = NULL;
        c->state = DONE; /* out of memory: there is nothing to say it with */
        return false;
    }
    wslay_event_config_set_no_buffering(c->websocket, true);
    return true;
}

static void release_websocket(struct connection *c) {
    if (!c->websocket || c->state != OPEN || c->partial_bytes != 0 || c->is_in_message ||
        c->input.len > 0 || c->backlog.len > 0 || wslay_event_want_write(c->websocket) ||
        !wslay_event_get_read_enabled(c->websocket))
        return;
    wslay_event_context_free(c->websocket);
    c->websocket = NULL;
    athena_buf_fini(&c->message);
}

/* ---- The handshake ---- */

static void answer(struct connection *c, int status, const char *content_type, const char *body,
                   uint64_t now_ms) {
    http_answer(&c->control, status, content_type, body);
    c->state = LINGER;
    c->deadline_ms = now_ms + CLOSE_TIMEOUT_MS;
    sodium_memzero(c->input.at, c->input.len); /* it may hold a token */
    athena_buf_clear(&c->input);
    wake(c);
}

static const char *explain(int status) {
    switch (status) {
    case 401:
        return "a bearer token is needed\n";
    case 405:
        return "only GET is served\n";
    case 426:
        return "this is a WebSocket server, version 13\n";
    case 431:
        return "the request's head is too large\n";
    case 503:
        return "too many connections\n";
    default:
        return "not a WebSocket handshake that offers " ATHENA_SUBPROTOCOL "\n";
    }
}

static bool start_websocket(struct connection *c, uint64_t now_ms) {
    uint8_t challenge[ATHENA_CHALLENGE_BYTES];
    c->host->challenge(challenge);
    c->session = session_new(&c->host->session, c->owner, challenge, now_ms);
    if (!c->session)
        return false;
    c->host->connections++;
    return true;
}

static void upgrade(struct connection *c, const struct http_request *request, uint64_t now_ms) {
    int status = http_check_upgrade(request);
    if (status == 101 && !admission_check(c->host->admission, request))
        status = 401; /* after the subprotocol [ASP-WS-14] [ASP-WS-12] */
    /* [ASP-ABUSE-8] */
    if (status == 101 && c->host->connections >= c->host->connections_max)
        status = 503;
    if (status == 101) {
        http_accept_upgrade(&c->control, request);
        if (start_websocket(c, now_ms)) {
            c->state = OPEN;
            wake(c);
            return;
        }
        athena_buf_clear(&c->control);
        status = 503;
    }
    answer(c, status, "text/plain; charset=utf-8", explain(status), now_ms);
}

/* [ASP-WS-6] [ASP-WS-7] */
static void answer_page(struct connection *c, const struct http_request *request, uint64_t now_ms) {
    struct athena_buf body = {0};
    const char *type;
    bool is_get = request->method.len == 3 && memcmp(request->method.at, "GET", 3) == 0;
    if (is_get && c->host->page(c->host, request->path, &type, &body)) {
        athena_buf_append(&body, "", 1);
        if (body.failed)
            answer(c, 503, "text/plain; charset=utf-8", explain(503), now_ms);
        else
            answer(c, 200, type, body.at, now_ms);
    } else {
        upgrade(c, request, now_ms);
    }
    athena_buf_fini(&body);
}

static void read_head(struct connection *c, uint64_t now_ms) {
    size_t len = http_head_len(c->input.at, c->input.len);
    if (len == 0) {
        if (c->input.len > HTTP_HEAD_BYTES_MAX)
            answer(c, 431, "text/plain; charset=utf-8", explain(431), now_ms);
        return;
    }
    struct http_request request;
    if (len > HTTP_HEAD_BYTES_MAX) {
        answer(c, 431, "text/plain; charset=utf-8", explain(431), now_ms);
        return;
    }
    if (!http_request_parse(&request, c->input.at, len)) {
        answer(c, 400, "text/plain; charset=utf-8", explain(400), now_ms);
        return;
    }
    answer_page(c, &request, now_ms);
    if (c->state != OPEN)
        return;
    sodium_memzero(c->input.at, len);
    c->input_used = len;
}

/* ---- Input ---- */

/* Where the very header is broken wslay gives up, with a Close frame that has no code: this one
 * goes in its place [ASP-WS-27]. */
static void end_broken(struct connection *c, uint64_t now_ms) {
    static const uint8_t close_frame[] = {0x88, 2, CLOSE_PROTOCOL >> 8, CLOSE_PROTOCOL & 0xFF};
    wslay_event_shutdown_read(c->websocket);
    wslay_event_shutdown_write(c->websocket);
    athena_buf_append(&c->control, close_frame, sizeof close_frame);
    c->state = c->control.failed ? DONE : CLOSING;
    c->deadline_ms = now_ms + CLOSE_TIMEOUT_MS;
    wake(c);
}

/* Lets wslay read what is there, and forgets what it has read [ASP-WS-24] [ASP-WS-26]. */
static void read_frames(struct connection *c, uint64_t now_ms) {
    if (!has_websocket(c))
        return;
    int error = wslay_event_recv(c->websocket);
    if (error == WSLAY_ERR_NOMEM)
        c->state = DONE;
    else if ((error || c->has_cut_close) && c->state == OPEN)
        end_broken(c, now_ms);
    if (c->input_used == c->input.len) {
        athena_buf_fini(&c->input); /* idle connections hold no buffers */
        c->input_used = 0;
    }
    if (wslay_event_want_write(c->websocket))
        wake(c);
}

void connection_resume(struct connection *c, uint64_t now_ms) {
    if (c->state == HEAD)
        read_head(c, now_ms);
    drain_backlog(c);
    if ((c->state == OPEN || c->state == CLOSING) && c->input.len > c->input_used)
        read_frames(c, now_ms);
}

void connection_receive(struct connection *c, const uint8_t *bytes, size_t len, uint64_t now_ms) {
    c->progress_ms = now_ms;
    c->pinged_ms = 0;
    bool is_reading = c->state == HEAD || c->state == OPEN ||
                      (c->state == CLOSING && wslay_event_get_read_enabled(c->websocket));
    if (!is_reading)
        return; /* what comes after the ending is drained and ignored [ASP-WS-47] */
    if (c->input_used > 0) {
        memmove(c->input.at, c->input.at + c->input_used, c->input.len - c->input_used);
        c->input.len -= c->input_used;
        c->input_used = 0;
    }
    athena_buf_append(&c->input, bytes, len);
    if (c->input.failed)
        c->state = DONE;
    else
        connection_resume(c, now_ms);
}

bool connection_takes_input(const struct connection *c) {
    if (c->state != OPEN)
        return true;
    return c->control.len - c->control_sent < CONTROL_BYTES_MAX &&
           (!c->websocket || wslay_event_get_queued_msg_count(c->websocket) < PONGS_MAX) &&
           session_takes_input(c->session);
}

/* ---- Output ---- */

static size_t copy_out(uint8_t *out, size_t room, const void *bytes, size_t len, size_t *sent) {
    size_t part = len - *sent < room ? len - *sent : room;
    memcpy(out, (const uint8_t *)bytes + *sent, part);
    *sent += part;
    return part;
}

static size_t produce_control(struct connection *c, uint8_t *out, size_t room) {
    if (c->control.len == 0)
        return 0;
    size_t len = copy_out(out, room, c->control.at, c->control.len, &c->control_sent);
    if (c->control_sent == c->control.len) {
        athena_buf_fini(&c->control);
        c->control_sent = 0;
    }
    return len;
}

static size_t produce_frame(struct connection *c, uint8_t *out, size_t room) {
    struct athena_bytes_view bytes = frame_bytes(c->frame);
    size_t len = copy_out(out, room, bytes.at, bytes.len, &c->frame_sent);
    if (c->frame_sent == bytes.len) {
        frame_unref(c->frame);
        c->frame = NULL;
        c->frame_sent = 0;
    }
    return len;
}

/* Between two frames: control frames first, then the session's next, then its ending [ASP-WS-45].
 */
static void refill(struct connection *c, uint64_t now_ms) {
    if (c->websocket && wslay_event_want_write(c->websocket) && wslay_event_send(c->websocket) != 0)
        c->state = DONE;
    bool is_closing = c->websocket && wslay_event_get_close_sent(c->websocket);
    if (c->control.len == 0 && c->state == OPEN && !is_closing) {
        c->frame = session_next_frame(c->session);
        uint16_t code = session_close_code(c->session);
        if (!c->frame && code && has_websocket(c)) {
            wslay_event_queue_close(c->websocket, code, NULL, 0);
            wslay_event_send(c->websocket);
            is_closing = true;
        }
    }
    if (is_closing && c->state == OPEN) {
        c->state = CLOSING;
        c->deadline_ms = now_ms + CLOSE_TIMEOUT_MS;
    }
}

size_t connection_produce(struct connection *c, uint8_t *out, size_t room, uint64_t now_ms) {
    size_t len = 0;
    bool has_message = c->frame != NULL;
    while (len < room && c->state != DONE) {
        if (c->frame) {
            len += produce_frame(c, out + len, room - len);
            has_message = true;
            continue;
        }
        if (c->control.len == 0 && c->session)
            refill(c, now_ms);
        if (c->control.len == 0 && !c->frame)
            break;
        len += produce_control(c, out + len, room - len);
    }
    release_websocket(c);
    if (has_message) {
        c->progress_ms = now_ms; /* the transport asks for more: it has taken what came before */
        c->pinged_ms = 0;
    }
    return len;
}

static bool has_output(const struct connection *c) {
    return c->frame || c->control.len > 0 || (c->websocket && wslay_event_want_write(c->websocket));
}

enum connection_ending connection_ending(const struct connection *c) {
    if (c->state == DONE)
        return CONNECTION_DROP;
    if (has_output(c))
        return CONNECTION_GOES_ON;
    if (c->state == LINGER)
        return CONNECTION_HALF_CLOSE;
    if (c->state != CLOSING)
        return CONNECTION_GOES_ON;
    /* After a Close frame of its own wslay has the peer's; a violation makes it stop reading. */
    return wslay_event_get_close_received(c->websocket) ||
                   !wslay_event_get_read_enabled(c->websocket)
               ? CONNECTION_HALF_CLOSE
               : CONNECTION_GOES_ON;
}

/* ---- Time ---- */

/* [ASP-ABUSE-9] [ASP-ERR-12] */
void connection_tick(struct connection *c, uint64_t now_ms) {
    if (c->state != OPEN) {
        if (now_ms >= c->deadline_ms)
            c->state = DONE;
        return;
    }
    if (session_is_storing(c->session))
        c->progress_ms = now_ms; /* a slow disk does not make a client dead [ASP-WS-32] */
    if (now_ms >= c->progress_ms + c->host->dead_ms) {
        c->state = DONE;
        return;
    }
    session_tick(c->session, now_ms);
    if (now_ms >= c->progress_ms + c->host->idle_ms && c->pinged_ms == 0 && has_websocket(c)) {
        struct wslay_event_msg ping = {.opcode = WSLAY_PING};
        wslay_event_queue_msg(c->websocket, &ping);
        c->pinged_ms = now_ms;
        wake(c);
    }
}

void connection_stop(struct connection *c, uint64_t now_ms) {
    if (c->state == OPEN) {
        session_stop(c->session);
        c->deadline_ms = now_ms + CLOSE_TIMEOUT_MS;
    } else if (c->state == HEAD) {
        c->state = DONE;
    }
    wake(c);
}
