#include "conformance/endpoint.h"

#include "conformance/duty.h"
#include "conformance/json_strict.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum { CONTROL_BYTES_MAX = 125, NO_CLOSE_CODE = 1005, HTTP_NOT_FOUND = 404 };

static const char NOT_FOUND[] =
    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#define BETWEEN_FRAMES UINT64_MAX

enum phase { PHASE_HEAD, PHASE_FRAMES, PHASE_OVER };

struct endpoint {
    bool client;
    enum phase phase;
    struct bytes request; /* of a client: what the answer must fit */
    struct entropy *entropy;
    struct bytes input;
    size_t input_at; /* read so far by wslay */
    struct bytes output;
    struct bytes heard; /* of a server */
    wslay_frame_context_ptr frames;
    /* The message under assembly: data frames and the control frame between them. */
    struct bytes message;
    struct bytes control;
    int message_opcode;  /* -1: none under way */
    uint64_t frame_left; /* payload still to come of the frame under way; BETWEEN_FRAMES */
    bool close_sent;
    bool close_came; /* and no message may follow it */
    bool ignores_pings;
    char *subprotocol; /* of a server: the one it selects; NULL: the right one */
    char *refusal;     /* of a server: its answer to the handshake; NULL: 101 */
    char *path;        /* of a server: what it is asked for; NULL: anything */
    struct endpoint_event *events;
    size_t events_len;
    size_t events_capacity;
};

static ssize_t give_input(uint8_t *out, size_t len, int flags, void *user) {
    struct endpoint *endpoint = user;
    (void)flags;
    size_t left = endpoint->input.len - endpoint->input_at;
    size_t step = left < len ? left : len;
    if (step > 0)
        memcpy(out, endpoint->input.at + endpoint->input_at, step);
    endpoint->input_at += step;
    return (ssize_t)step; /* 0 makes wslay say WANT_READ */
}

static ssize_t take_output(const uint8_t *bytes, size_t len, int flags, void *user) {
    struct endpoint *endpoint = user;
    (void)flags;
    bytes_append(&endpoint->output, bytes, len);
    return (ssize_t)len;
}

static int make_mask(uint8_t *out, size_t len, void *user) {
    struct endpoint *endpoint = user;
    entropy_fill(endpoint->entropy, out, len);
    return 0;
}

static struct endpoint *endpoint_new(bool client) {
    static const struct wslay_frame_callbacks callbacks = {take_output, give_input, make_mask};
    struct endpoint *endpoint = memory_take(sizeof *endpoint);
    endpoint->client = client;
    endpoint->message_opcode = -1;
    endpoint->frame_left = BETWEEN_FRAMES;
    if (wslay_frame_context_init(&endpoint->frames, &callbacks, endpoint) != 0)
        abort();
    return endpoint;
}

struct endpoint *endpoint_new_client(struct entropy *entropy,
                                     const struct handshake_request *request) {
    struct endpoint *endpoint = endpoint_new(true);
    uint8_t nonce[HANDSHAKE_KEY_BYTES];
    endpoint->entropy = entropy;
    entropy_fill(entropy, nonce, sizeof nonce);
    handshake_write_request(request, nonce, &endpoint->request);
    bytes_append(&endpoint->output, endpoint->request.at, endpoint->request.len);
    return endpoint;
}

struct endpoint *endpoint_new_server(void) {
    return endpoint_new(false);
}

void endpoint_refuse(struct endpoint *endpoint, const char *answer) {
    endpoint->refusal = memory_copy_text(answer);
}

void endpoint_select(struct endpoint *endpoint, const char *subprotocol) {
    endpoint->subprotocol = memory_copy_text(subprotocol);
}

void endpoint_expect_path(struct endpoint *endpoint, const char *path) {
    endpoint->path = memory_copy_text(path);
}

void endpoint_ignore_pings(struct endpoint *endpoint) {
    endpoint->ignores_pings = true;
}

void endpoint_free(struct endpoint *endpoint) {
    if (endpoint == NULL)
        return;
    for (size_t i = 0; i < endpoint->events_len; i++)
        bytes_fini(&endpoint->events[i].bytes);
    free(endpoint->events);
    free(endpoint->refusal);
    free(endpoint->subprotocol);
    free(endpoint->path);
    bytes_fini(&endpoint->request);
    bytes_fini(&endpoint->input);
    bytes_fini(&endpoint->output);
    bytes_fini(&endpoint->heard);
    bytes_fini(&endpoint->message);
    bytes_fini(&endpoint->control);
    wslay_frame_context_free(endpoint->frames);
    free(endpoint);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void emit(struct endpoint *endpoint, enum endpoint_event_kind kind, int code,
                 const void *bytes, size_t len) {
    if (endpoint->events_len == endpoint->events_capacity) {
        endpoint->events_capacity = endpoint->events_capacity * 2 + 8;
        endpoint->events =
            memory_grow(endpoint->events, endpoint->events_capacity * sizeof *endpoint->events);
    }
    struct endpoint_event *event = &endpoint->events[endpoint->events_len++];
    *event = (struct endpoint_event){.kind = kind, .code = code};
    bytes_append(&event->bytes, bytes, len);
    bytes_append(&event->bytes, "", 1); /* text events can be read as C strings */
    event->bytes.len--;
}

static void fault_of(struct endpoint *endpoint, const char *requirement, const char *what) {
    emit(endpoint, ENDPOINT_EVENT_FAULT, 0, what, strlen(what));
    endpoint->events[endpoint->events_len - 1].requirement = requirement;
    endpoint->phase = PHASE_OVER;
}

static void fault(struct endpoint *endpoint, const char *what) {
    fault_of(endpoint, DUTY("ASP-WS-1"), what);
}

bool endpoint_next(struct endpoint *endpoint, struct endpoint_event *event) {
    if (endpoint->events_len == 0)
        return false;
    *event = endpoint->events[0];
    endpoint->events_len--;
    memmove(endpoint->events, endpoint->events + 1, endpoint->events_len * sizeof *event);
    return true;
}

/* ---- Handshake ------------------------------------------------------------------------------- */

static void begin_frames(struct endpoint *endpoint, size_t head_len) {
    emit(endpoint, ENDPOINT_EVENT_UPGRADED, 101, endpoint->input.at,
         endpoint->client ? 0 : head_len);
    bytes_drop(&endpoint->input, head_len);
    endpoint->phase = PHASE_FRAMES;
}

static void read_answer(struct endpoint *endpoint, size_t head_len) {
    int status = handshake_status(&endpoint->input);
    if (status == 0) {
        fault(endpoint, "what came is no answer of an HTTP server");
        return;
    }
    if (status != 101) {
        emit(endpoint, ENDPOINT_EVENT_REFUSED, status, endpoint->input.at, head_len);
        endpoint->phase = PHASE_OVER;
        return;
    }
    const char *requirement;
    const char *wrong =
        handshake_fault(&endpoint->input, head_len, &endpoint->request, &requirement);
    if (wrong != NULL)
        fault_of(endpoint, requirement, wrong);
    else
        begin_frames(endpoint, head_len);
}

static void refuse(struct endpoint *endpoint, size_t head_len, int status, const char *answer) {
    bytes_append(&endpoint->output, answer, strlen(answer));
    emit(endpoint, ENDPOINT_EVENT_REFUSED, status, endpoint->input.at, head_len);
    endpoint->phase = PHASE_OVER;
}

/* Of its path, or of one below that. */
static bool is_asked_for(const struct endpoint *endpoint, size_t head_len) {
    if (endpoint->path == NULL)
        return true;
    char *due = memory_format("GET %s", endpoint->path);
    size_t len = strlen(due);
    bool same = head_len > len && memcmp(endpoint->input.at, due, len) == 0 &&
                strchr(" /?", endpoint->input.at[len]) != NULL;
    free(due);
    return same;
}

static bool accept_client(struct endpoint *endpoint, size_t head_len) {
    const char *subprotocol =
        endpoint->subprotocol != NULL ? endpoint->subprotocol : HANDSHAKE_SUBPROTOCOL;
    return handshake_write_answer(&endpoint->input, head_len, subprotocol, &endpoint->output);
}

static void read_head(struct endpoint *endpoint) {
    size_t head_len = handshake_head_len(&endpoint->input);
    if (head_len == 0 && endpoint->input.len > HANDSHAKE_HEAD_BYTES_MAX)
        fault(endpoint, "the head of the HTTP answer is endless");
    if (head_len == 0)
        return;
    if (endpoint->client)
        read_answer(endpoint, head_len);
    else if (!is_asked_for(endpoint, head_len))
        refuse(endpoint, head_len, HTTP_NOT_FOUND, NOT_FOUND);
    else if (endpoint->refusal != NULL)
        refuse(endpoint, head_len, 0, endpoint->refusal);
    else if (accept_client(endpoint, head_len))
        begin_frames(endpoint, head_len);
    else
        fault(endpoint, "the request has no Sec-WebSocket-Key");
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static const char *frame_fault(const struct endpoint *endpoint,
                               const struct wslay_frame_iocb *frame) {
    bool control = wslay_is_ctrl_frame(frame->opcode);
    if (frame->rsv != 0)
        return "a frame with reserved bits set";
    if (endpoint->client == (bool)frame->mask)
        return endpoint->client ? "a masked frame from a server" : "an unmasked frame";
    if (frame->opcode > ENDPOINT_PONG || (frame->opcode > ENDPOINT_BINARY && !control))
        return "a frame with an unknown opcode";
    if (!control && (frame->opcode == ENDPOINT_CONTINUATION) != (endpoint->message_opcode >= 0))
        return "a continuation without a beginning, or a new message inside a fragmented one";
    if (endpoint->message.len + frame->payload_length > ENDPOINT_MESSAGE_BYTES_MAX)
        return "a message over 128 MiB";
    return NULL;
}

static void finish_message(struct endpoint *endpoint) {
    bool text = endpoint->message_opcode == ENDPOINT_TEXT;
    endpoint->message_opcode = -1;
    if (text && !json_utf8_is_valid((const char *)endpoint->message.at, endpoint->message.len)) {
        fault(endpoint, "a text message that is not valid UTF-8");
        return;
    }
    emit(endpoint, text ? ENDPOINT_EVENT_TEXT : ENDPOINT_EVENT_BINARY, 0, endpoint->message.at,
         endpoint->message.len);
    endpoint->message.len = 0;
}

static void finish_close(struct endpoint *endpoint) {
    const struct bytes *payload = &endpoint->control;
    if (payload->len == 1) {
        fault(endpoint, "a close frame with one byte");
        return;
    }
    bool has_code = payload->len >= 2;
    int code = has_code ? payload->at[0] << 8 | payload->at[1] : NO_CLOSE_CODE;
    emit(endpoint, ENDPOINT_EVENT_CLOSE, code, has_code ? payload->at + 2 : NULL,
         has_code ? payload->len - 2 : 0);
    endpoint_send_close(endpoint, has_code ? code : 0, "");
    endpoint->close_came = true;
}

static void finish_control(struct endpoint *endpoint, int opcode) {
    struct bytes *payload = &endpoint->control;
    if (opcode == ENDPOINT_CLOSE && !endpoint->close_came)
        finish_close(endpoint);
    if (opcode == ENDPOINT_CLOSE || endpoint->close_came)
        return;
    emit(endpoint, opcode == ENDPOINT_PING ? ENDPOINT_EVENT_PING : ENDPOINT_EVENT_PONG, 0,
         payload->at, payload->len);
    if (opcode == ENDPOINT_PING && !endpoint->ignores_pings)
        endpoint_send_frame(endpoint, &(struct endpoint_frame){.fin = true,
                                                               .opcode = ENDPOINT_PONG,
                                                               .masked = endpoint->client,
                                                               .payload = payload->at,
                                                               .len = payload->len});
    payload->len = 0;
}

static void hear(struct endpoint *endpoint, const void *bytes, size_t len) {
    if (!endpoint->client)
        bytes_append(&endpoint->heard, bytes, len);
}

/* Takes one piece of a frame as wslay hands it out. */
static void take_piece(struct endpoint *endpoint, const struct wslay_frame_iocb *piece) {
    bool control = wslay_is_ctrl_frame(piece->opcode);
    hear(endpoint, piece->data, piece->data_length);
    if (endpoint->frame_left == BETWEEN_FRAMES) { /* the first piece of a frame */
        const char *wrong = frame_fault(endpoint, piece);
        if (wrong == NULL && endpoint->close_came && !control) {
            fault_of(endpoint, DUTY("ASP-WS-45"), "a message after its Close frame");
            return;
        }
        if (wrong != NULL) {
            fault(endpoint, wrong);
            return;
        }
        if (piece->opcode == ENDPOINT_TEXT || piece->opcode == ENDPOINT_BINARY)
            endpoint->message_opcode = piece->opcode;
        endpoint->frame_left = piece->payload_length;
    }
    bytes_append(control ? &endpoint->control : &endpoint->message, piece->data,
                 piece->data_length);
    endpoint->frame_left -= piece->data_length;
    if (endpoint->frame_left > 0)
        return;
    endpoint->frame_left = BETWEEN_FRAMES;
    if (control)
        finish_control(endpoint, piece->opcode);
    else if (piece->fin)
        finish_message(endpoint);
}

static void read_frames(struct endpoint *endpoint) {
    struct wslay_frame_iocb piece;
    while (endpoint->phase == PHASE_FRAMES) {
        memset(&piece, 0, sizeof piece);
        ssize_t got = wslay_frame_recv(endpoint->frames, &piece);
        if (got == WSLAY_ERR_WANT_READ)
            break;
        if (got < 0)
            fault(endpoint, "a frame that RFC 6455 does not allow");
        else
            take_piece(endpoint, &piece);
    }
    bytes_drop(&endpoint->input, endpoint->input_at);
    endpoint->input_at = 0;
}

void endpoint_feed(struct endpoint *endpoint, const void *bytes, size_t len) {
    if (endpoint->phase != PHASE_FRAMES)
        hear(endpoint, bytes, len);
    if (endpoint->phase == PHASE_OVER)
        return;
    bytes_append(&endpoint->input, bytes, len);
    if (endpoint->phase == PHASE_HEAD)
        read_head(endpoint);
    if (endpoint->phase != PHASE_FRAMES)
        return;
    read_frames(endpoint);
    if (endpoint->phase == PHASE_OVER) /* what is wrong in it may be no frame */
        hear(endpoint, bytes, len);
}

/* ---- Sending --------------------------------------------------------------------------------- */

struct bytes *endpoint_heard(struct endpoint *endpoint) {
    return &endpoint->heard;
}

struct bytes *endpoint_output(struct endpoint *endpoint) {
    return &endpoint->output;
}

void endpoint_send_frame(struct endpoint *endpoint, const struct endpoint_frame *frame) {
    struct wslay_frame_iocb iocb = {.fin = frame->fin,
                                    .rsv = frame->rsv,
                                    .opcode = frame->opcode,
                                    .mask = frame->masked,
                                    .payload_length = frame->len,
                                    .data = frame->payload,
                                    .data_length = frame->len};
    if (wslay_frame_send(endpoint->frames, &iocb) != (ssize_t)frame->len)
        abort(); /* output takes everything; only a control frame over 125 bytes gets here */
}

void endpoint_send_text(struct endpoint *endpoint, const char *text, size_t len) {
    endpoint_send_frame(endpoint, &(struct endpoint_frame){.fin = true,
                                                           .opcode = ENDPOINT_TEXT,
                                                           .masked = endpoint->client,
                                                           .payload = text,
                                                           .len = len});
}

void endpoint_send_close(struct endpoint *endpoint, int code, const char *reason) {
    uint8_t payload[CONTROL_BYTES_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t len = strlen(reason) <= sizeof payload - 2 ? strlen(reason) : sizeof payload - 2;
    if (endpoint->close_sent)
        return;
    endpoint->close_sent = true;
    for (size_t i = 0; i < len; i++)
        payload[2 + i] = (uint8_t)reason[i];
    endpoint_send_frame(endpoint, &(struct endpoint_frame){.fin = true,
                                                           .opcode = ENDPOINT_CLOSE,
                                                           .masked = endpoint->client,
                                                           .payload = payload,
                                                           .len = code != 0 ? len + 2 : 0});
}

void endpoint_send_bytes(struct endpoint *endpoint, const void *bytes, size_t len) {
    bytes_append(&endpoint->output, bytes, len);
}
