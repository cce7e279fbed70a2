/* Steps on single connections: messages and frames, pings. */
#include "conformance/base64url.h"
#include "conformance/json_same.h"
#include "conformance/json_write.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/message.h"
#include "conformance/run.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { PING_BYTES = 8, CONTROL_BYTES_MAX = 125 };

/* ---- send ------------------------------------------------------------------------------------ */

/* The connection named by "on", which must still be there. */
static struct connection *living_connection(struct run *run, const struct frame *frame) {
    struct connection *connection = run_connection(run, frame, "on");
    if (connection != NULL && connection->ending != CONNECTION_LIVES) {
        run_fail_closed(run, connection, "sending");
        return NULL;
    }
    return connection;
}

/* {"send": {...}, "on": "alice"}: one JSON message. */
static enum progress step_send(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = living_connection(run, frame);
    if (connection == NULL)
        return STEP_FAILED;
    connection_send(connection, step_member(frame, "send"));
    return STEP_DONE;
}

/* {"send_text": "...", "on": "alice"}: one text message with exactly this text. */
static enum progress step_send_text(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = living_connection(run, frame);
    if (connection == NULL)
        return STEP_FAILED;
    const char *text = step_text(frame, "send_text");
    connection_go_blind(connection);
    transcript_add_message(&run->transcript, connection->name, TRANSCRIPT_SENT,
                           step_member(frame, "send_text"));
    endpoint_send_text(connection->endpoint, text, strlen(text));
    connection_flush(connection);
    return STEP_DONE;
}

static const char *const OPCODES[] = {[ENDPOINT_CONTINUATION] = "continuation",
                                      [ENDPOINT_TEXT] = "text",
                                      [ENDPOINT_BINARY] = "binary",
                                      [ENDPOINT_CLOSE] = "close",
                                      [ENDPOINT_PING] = "ping",
                                      [ENDPOINT_PONG] = "pong"};

static uint8_t frame_opcode(const cJSON *frame) {
    const cJSON *opcode = cJSON_GetObjectItem(frame, "opcode");
    for (uint8_t i = 0; i < sizeof OPCODES / sizeof *OPCODES && cJSON_IsString(opcode); i++)
        if (OPCODES[i] != NULL && strcmp(OPCODES[i], opcode->valuestring) == 0)
            return i;
    return (uint8_t)(cJSON_IsNumber(opcode) ? opcode->valueint : ENDPOINT_TEXT);
}

/* "hex" holds bytes; "payload" a text, or a message to write as JSON. */
static void read_payload(const cJSON *frame, struct bytes *out) {
    const cJSON *payload = cJSON_GetObjectItem(frame, "payload");
    const char *hex = cJSON_GetStringValue(cJSON_GetObjectItem(frame, "hex"));
    if (hex != NULL) {
        size_t len = 0;
        uint8_t *bytes = memory_take(strlen(hex) / 2);
        sodium_hex2bin(bytes, strlen(hex) / 2, hex, strlen(hex), " ", &len, NULL);
        bytes_append(out, bytes, len);
        free(bytes);
    } else if (cJSON_IsString(payload)) {
        bytes_append(out, payload->valuestring, strlen(payload->valuestring));
    } else if (payload != NULL) {
        char *text = json_write(payload);
        bytes_append(out, text, strlen(text));
        free(text);
    }
}

/* A client masks, a server does not. */
static bool is_masked(const struct connection *connection, const cJSON *described) {
    const cJSON *masked = cJSON_GetObjectItem(described, "masked");
    return masked != NULL ? cJSON_IsTrue(masked) : connection->guest == NULL;
}

static bool send_frame(struct run *run, struct connection *connection, const cJSON *described) {
    struct bytes payload = {0};
    read_payload(described, &payload);
    const struct endpoint_frame frame = {
        .fin = !cJSON_IsFalse(cJSON_GetObjectItem(described, "fin")),
        .rsv = (uint8_t)(cJSON_HasObjectItem(described, "rsv")
                             ? cJSON_GetObjectItem(described, "rsv")->valueint
                             : 0),
        .opcode = frame_opcode(described),
        .masked = is_masked(connection, described),
        .payload = payload.at,
        .len = payload.len};
    bool fits = frame.opcode < ENDPOINT_CLOSE || frame.len <= CONTROL_BYTES_MAX;
    if (!fits)
        run_broken(run, "a control frame over 125 bytes can only be written with send_bytes");
    else
        endpoint_send_frame(connection->endpoint, &frame);
    transcript_add(&run->transcript, connection->name, TRANSCRIPT_SENT,
                   "(frame opcode %u%s%s, %zu bytes) %.*s", frame.opcode, frame.fin ? " fin" : "",
                   frame.masked ? "" : " unmasked", payload.len,
                   (int)(payload.len < 60 ? payload.len : 60), (const char *)payload.at);
    bytes_fini(&payload);
    return fits;
}

/* {"send_frames": [{"opcode": "text", "fin": false, "payload": "..."}, ...], "on": "alice"}. */
static enum progress step_send_frames(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const cJSON *described;
    struct connection *connection = living_connection(run, frame);
    if (connection == NULL)
        return STEP_FAILED;
    connection_go_blind(connection);
    cJSON_ArrayForEach(described, step_member(frame, "send_frames")) {
        if (!send_frame(run, connection, described))
            return STEP_FAILED;
    }
    connection_flush(connection);
    return STEP_DONE;
}

/* {"send_fragmented": {...}, "pieces": 5, "pings": true, "on": "alice"}: one message in as many
 * frames, with a ping after each but the last when "pings" says so. */
static enum progress step_send_fragmented(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = living_connection(run, frame);
    if (connection == NULL)
        return STEP_FAILED;
    char *text = json_write(step_member(frame, "send_fragmented"));
    size_t len = strlen(text);
    size_t pieces = (size_t)step_number(frame, "pieces", 2);
    if (connection->guest != NULL)
        guest_sent(connection->guest, step_member(frame, "send_fragmented"));
    else
        watch_sent(&connection->watch, step_member(frame, "send_fragmented"));
    transcript_add(&run->transcript, connection->name, TRANSCRIPT_SENT,
                   "(%zu bytes in %zu frames) %.60s", len, pieces, text);
    for (size_t i = 0; i < pieces; i++) {
        size_t from = len * i / pieces;
        const struct endpoint_frame piece = {.fin = i + 1 == pieces,
                                             .opcode =
                                                 i == 0 ? ENDPOINT_TEXT : ENDPOINT_CONTINUATION,
                                             .masked = connection->guest == NULL,
                                             .payload = text + from,
                                             .len = len * (i + 1) / pieces - from};
        const struct endpoint_frame ping = {.fin = true,
                                            .opcode = ENDPOINT_PING,
                                            .masked = connection->guest == NULL,
                                            .payload = "between",
                                            .len = 7};
        endpoint_send_frame(connection->endpoint, &piece);
        if (step_flag(frame, "pings") && !piece.fin)
            endpoint_send_frame(connection->endpoint, &ping);
    }
    free(text);
    connection_flush(connection);
    return STEP_DONE;
}

/* {"send_bytes": "hex", "on": "alice"}: bytes on the stream, outside any frame. */
static enum progress step_send_bytes(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct bytes bytes = {0};
    struct connection *connection = living_connection(run, frame);
    if (connection == NULL)
        return STEP_FAILED;
    cJSON *described = cJSON_CreateObject();
    cJSON_AddStringToObject(described, "hex", step_text(frame, "send_bytes"));
    connection_go_blind(connection);
    read_payload(described, &bytes);
    cJSON_Delete(described);
    transcript_add(&run->transcript, connection->name, TRANSCRIPT_SENT, "(bytes %.100s)",
                   step_text(frame, "send_bytes"));
    endpoint_send_bytes(connection->endpoint, bytes.at, bytes.len);
    bytes_fini(&bytes);
    connection_flush(connection);
    return STEP_DONE;
}

/* ---- expect ---------------------------------------------------------------------------------- */

static cJSON *take_for(struct connection *connection, const struct frame *frame) {
    const cJSON *expected = step_member(frame, "expect");
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(expected, "type"));
    const char *doc = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(expected, "doc"));
    if (step_flag(frame, "next") || type == NULL)
        return connection_take_next(connection);
    return strcmp(type, "changed") == 0 ? connection_take_changed(connection, doc)
                                        : connection_take_reply(connection);
}

/* {"expect": {...}, "on": "alice"}: the next reply, or (type "changed") the next live message;
 * with "next": true the next message of any kind; with "or_end": true the end will do as well. */
static enum progress step_expect(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "on");
    if (connection == NULL)
        return STEP_FAILED;
    cJSON *message = take_for(connection, frame);
    if (message == NULL && connection->ending != CONNECTION_LIVES)
        return step_flag(frame, "or_end") ? STEP_DONE
                                          : run_fail_closed(run, connection, "a message");
    if (message == NULL) {
        char *expected = match_brief(step_member(frame, "expect"));
        run_wait_for(run, "%s on %s", expected, connection->name);
        free(expected);
        return STEP_WAITS;
    }
    enum progress progress = run_compare(run, step_member(frame, "expect"), message, "the message");
    cJSON_Delete(message);
    return progress;
}

/* Takes the expected message that fits `message` out of `left`. */
static bool cross_off(struct run *run, cJSON *left, const cJSON *message) {
    cJSON *saved = cJSON_CreateObject();
    cJSON *expected = left->child;
    while (expected != NULL && !match_value(expected, message, saved, NULL))
        expected = expected->next;
    if (expected != NULL) {
        cJSON_Delete(cJSON_DetachItemViaPointer(left, expected));
        run_keep(run, saved);
    }
    cJSON_Delete(saved);
    return expected != NULL;
}

/* {"expect_any_order": [{...}, {...}], "on": "alice"}: the next messages, in any order. */
static enum progress step_expect_any_order(struct run *run, struct task *task,
                                           struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "on");
    if (connection == NULL)
        return STEP_FAILED;
    if (frame->memo == NULL)
        frame->memo = cJSON_Duplicate(step_member(frame, "expect_any_order"), true);
    while (frame->memo->child != NULL) {
        cJSON *message = connection_take_next(connection);
        if (message == NULL && connection->ending != CONNECTION_LIVES)
            return run_fail_closed(run, connection, "a message");
        if (message == NULL)
            return run_wait_for(run, "%d more messages on %s", cJSON_GetArraySize(frame->memo),
                                connection->name);
        bool fits = cross_off(run, frame->memo, message);
        if (!fits)
            run_fail_values(run, frame->memo, message, "none of these was this message");
        cJSON_Delete(message);
        if (!fits)
            return STEP_FAILED;
    }
    return run_checked(run);
}

/* ---- ping ------------------------------------------------------------------------------------ */

static void send_ping(struct run *run, struct frame *frame, struct connection *connection) {
    uint8_t payload[CONTROL_BYTES_MAX];
    size_t len = (size_t)step_number(frame, "bytes", PING_BYTES);
    entropy_fill(&run->entropy, payload, len);
    char *text = base64url_encode(payload, len);
    frame->memo = cJSON_CreateObject();
    cJSON_AddStringToObject(frame->memo, "content", text);
    cJSON_AddNumberToObject(frame->memo, "pongs", cJSON_GetArraySize(connection->pongs));
    free(text);
    transcript_add(&run->transcript, connection->name, TRANSCRIPT_SENT, "(ping)");
    endpoint_send_frame(connection->endpoint,
                        &(struct endpoint_frame){.fin = true,
                                                 .opcode = ENDPOINT_PING,
                                                 .masked = connection->guest == NULL,
                                                 .payload = payload,
                                                 .len = len});
    connection_flush(connection);
}

/* Others may come as well: RFC 6455 allows pongs that answer nothing. */
static enum progress await_pong(struct run *run, const struct frame *frame,
                                const struct connection *connection) {
    int others = cJSON_GetArraySize(connection->pongs) -
                 (int)cJSON_GetNumberValue(cJSON_GetObjectItem(frame->memo, "pongs"));
    return others == 0 ? run_wait_for(run, "a pong on %s", connection->name)
                       : run_wait_for(run,
                                      "a pong with the content of the ping on %s: %d came with "
                                      "another",
                                      connection->name, others);
}

/* {"ping": "alice", "bytes": 125}: a ping, and the pong with its payload. */
static enum progress step_ping(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const cJSON *pong;
    struct connection *connection = run_connection(run, frame, "ping");
    if (connection == NULL)
        return STEP_FAILED;
    if (frame->memo == NULL)
        send_ping(run, frame, connection);
    cJSON_ArrayForEach(pong, connection->pongs) {
        if (json_same(pong, cJSON_GetObjectItem(frame->memo, "content")))
            return run_checked(run);
    }
    return connection->ending == CONNECTION_LIVES ? await_pong(run, frame, connection)
                                                  : run_fail_closed(run, connection, "a pong");
}

/* NULL: no request by which the client may have probed waits there. */
static const cJSON *waiting_list(const struct connection *connection) {
    const cJSON *request = connection->guest != NULL ? connection->inbox->child : NULL;
    while (request != NULL && !message_is(request, "list"))
        request = request->next;
    return request;
}

/* {"pinged": "alice"}: a ping has come since it was connected; or a `list`, by which a client may
 * probe as well, if it asks for nothing. */
static enum progress step_pinged(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "pinged");
    if (connection == NULL)
        return STEP_FAILED;
    const cJSON *list = waiting_list(connection);
    if (list != NULL && !host_is_probe(&run->lab->host, connection->guest, list))
        return run_fail_values(run, NULL, list, "the probe does not list after cursor of opened");
    if (connection->was_pinged || list != NULL)
        return run_checked(run);
    return connection->ending == CONNECTION_LIVES
               ? run_wait_for(run, "a ping on %s", connection->name)
               : run_fail_closed(run, connection, "a ping");
}

const struct step_kind STEPS_WIRE[] = {{"send", step_send, false},
                                       {"send_text", step_send_text, false},
                                       {"send_frames", step_send_frames, false},
                                       {"send_fragmented", step_send_fragmented, false},
                                       {"send_bytes", step_send_bytes, false},
                                       {"expect", step_expect, false},
                                       {"expect_any_order", step_expect_any_order, false},
                                       {"ping", step_ping, false},
                                       {"pinged", step_pinged, false},
                                       {NULL, NULL, false}};
