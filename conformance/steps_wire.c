/* Steps on single connections: handshake, messages, frames, endings. */
#include "conformance/base64url.h"
#include "conformance/clock.h"
#include "conformance/json_same.h"
#include "conformance/json_write.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/run.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { HTTP_SWITCHING = 101, NORMAL_CLOSURE = 1000, PING_BYTES = 8, CONTROL_BYTES_MAX = 125 };

/* ---- connect --------------------------------------------------------------------------------- */

static char *join_headers(struct run *run, const struct frame *frame) {
    const char *common = target_headers(run->target);
    char *all = memory_copy_text(common != NULL ? common : "");
    const cJSON *header;
    cJSON_ArrayForEach(header, step_member(frame, "headers")) {
        char *longer = memory_format("%s%s\r\n", all, header->valuestring);
        free(all);
        all = longer;
    }
    return all;
}

static enum progress start_connecting(struct run *run, struct frame *frame) {
    const struct url *url = target_url(run->target);
    char *headers = join_headers(run, frame);
    const char *path = step_text(frame, "path");
    const char *subprotocols = step_text(frame, "subprotocols");
    const struct handshake_request request = {.host = url->authority,
                                              .path = path != NULL ? path : url->path,
                                              .subprotocols =
                                                  subprotocols == NULL    ? HANDSHAKE_SUBPROTOCOL
                                                  : *subprotocols == '\0' ? NULL
                                                                          : subprotocols,
                                              .headers = headers};
    struct stream_address address = target_address(run->target);
    address.receive_buffer_bytes = (int)step_number(frame, "receive_buffer", 0);
    struct connection *connection = connection_open(step_text(frame, "connect"), &address, &request,
                                                    run->spec, &run->transcript, &run->entropy);
    free(headers);
    if (connection == NULL)
        return run_fail(run, NULL, "connecting failed: %s", strerror(errno));
    connection->watch.history = run->history;
    connection->watch.number = history_connect(run->history, connection->name);
    if (step_flag(frame, "ignores_pings"))
        endpoint_ignore_pings(connection->endpoint);
    run_add_connection(run, connection);
    frame->memo = cJSON_CreateObject();
    return STEP_DONE;
}

static enum progress fail_ended(struct run *run, const struct connection *connection,
                                const char *meanwhile) {
    char *how = connection_describe_ending(connection);
    run_fail(run, NULL, "%s was %s while %s was expected", connection->name, how, meanwhile);
    free(how);
    return STEP_FAILED;
}

static bool offers(const cJSON *welcome, const char *profile) {
    const cJSON *extension;
    cJSON_ArrayForEach(extension, cJSON_GetObjectItemCaseSensitive(welcome, "extensions")) {
        if (cJSON_IsString(extension) && strcmp(extension->valuestring, profile) == 0)
            return true;
    }
    return strcmp(profile, "core") == 0;
}

static enum progress refuse_profile(struct run *run) {
    char *why = memory_format("the server does not offer %s", run->scenario->profile);
    enum progress progress = run_unsupported(run, why);
    free(why);
    return progress;
}

static enum progress take_welcome(struct run *run, struct frame *frame,
                                  struct connection *connection) {
    cJSON *welcome = connection_take_next(connection);
    const cJSON *wanted = step_member(frame, "welcome");
    if (welcome == NULL && connection->ending != CONNECTION_LIVES)
        return fail_ended(run, connection, "welcome");
    if (welcome == NULL)
        return run_wait_for(run, "welcome on %s", connection->name);
    cJSON *expected = wanted != NULL ? cJSON_Duplicate(wanted, true) : cJSON_CreateObject();
    cJSON_AddStringToObject(expected, "type", "welcome");
    enum progress progress = run_compare(run, expected, welcome, "the first message");
    if (progress == STEP_DONE && !offers(welcome, run->scenario->profile))
        progress = refuse_profile(run);
    cJSON_Delete(expected);
    cJSON *variable = cJSON_CreateObject();
    cJSON_AddItemToObject(
        variable, "challenge",
        cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(welcome, "challenge"), true));
    cJSON_AddItemToObject(variable, "welcome", welcome);
    cJSON_AddStringToObject(variable, "authority", target_authority(run->target));
    cJSON_AddItemToObject(variable, "opened", cJSON_CreateObject());
    value_set(&run->scope, connection->name, variable);
    return progress;
}

/* A server without TLS takes the first bytes of TLS for an unfinished request, and says nothing. */
static enum progress wait_for_handshake(struct run *run, const struct connection *connection) {
    if (connection->ending != CONNECTION_LIVES)
        return fail_ended(run, connection, "an answer to the handshake");
    if (!stream_is_ready(connection->stream))
        return run_wait_for(run, "an answer to the TLS handshake of %s: does that port speak TLS?",
                            connection->name);
    return run_wait_for(run, "the answer to the handshake of %s", connection->name);
}

/* The value of an answer's header may say more than what is wanted ("Bearer realm=..."). */
static enum progress check_header(struct run *run, const struct connection *connection,
                                  const char *wanted) {
    struct bytes value = {0};
    const struct bytes head = {.at = (uint8_t *)connection->http_head,
                               .len = strlen(connection->http_head)};
    const char *colon = strchr(wanted, ':');
    char *name = memory_format("%.*s", (int)(colon - wanted), wanted);
    const char *rest = colon + strspn(colon, ": ");
    bool ok = handshake_header(&head, head.len, name, &value) &&
              strncasecmp((char *)value.at, rest, strlen(rest)) == 0;
    bytes_fini(&value);
    free(name);
    return ok ? run_checked(run) : run_fail(run, NULL, "the answer lacks the header %s", wanted);
}

/* {"connect": "alice"}: the handshake and the welcome, or the HTTP "status" that refuses it, and a
 * "header" of that answer. */
static enum progress step_connect(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    int wanted = (int)step_number(frame, "status", HTTP_SWITCHING);
    if (frame->memo == NULL && start_connecting(run, frame) == STEP_FAILED)
        return STEP_FAILED;
    struct connection *connection = run_connection(run, frame, "connect");
    if (connection == NULL)
        return STEP_FAILED;
    if (connection->http_status == 0)
        return wait_for_handshake(run, connection);
    if (connection->http_status != wanted)
        return run_fail(run, NULL, "the handshake was answered with HTTP %d, not %d",
                        connection->http_status, wanted);
    if (wanted == HTTP_SWITCHING)
        return take_welcome(run, frame, connection);
    const char *header = step_text(frame, "header");
    return header != NULL ? check_header(run, connection, header) : run_checked(run);
}

/* ---- send ------------------------------------------------------------------------------------ */

/* The connection named by "on", which must still be there. */
static struct connection *living_connection(struct run *run, const struct frame *frame) {
    struct connection *connection = run_connection(run, frame, "on");
    if (connection != NULL && connection->ending != CONNECTION_LIVES) {
        fail_ended(run, connection, "sending");
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
 * with "next": true the next message of any kind. */
static enum progress step_expect(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "on");
    if (connection == NULL)
        return STEP_FAILED;
    cJSON *message = take_for(connection, frame);
    if (message == NULL && connection->ending != CONNECTION_LIVES)
        return fail_ended(run, connection, "a message");
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
            return fail_ended(run, connection, "a message");
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

/* ---- Endings --------------------------------------------------------------------------------- */

static bool ending_is(const struct connection *connection, const cJSON *wanted) {
    if (cJSON_IsNumber(wanted))
        return connection->ending == CONNECTION_CLOSED &&
               connection->close_code == wanted->valueint;
    const char *name = cJSON_IsString(wanted) ? wanted->valuestring : "";
    return strcmp(name, "any") == 0 ||
           (strcmp(name, "fin") == 0 && connection->ending == CONNECTION_FIN) ||
           (strcmp(name, "reset") == 0 && connection->ending == CONNECTION_RESET);
}

/* {"expect_close": 4000, "on": "alice"}: a close code, "fin" (the stream ends without a close
 * frame), "reset", "any", or an array of them. */
static enum progress step_expect_close(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const cJSON *wanted = step_member(frame, "expect_close");
    const cJSON *choice;
    struct connection *connection = run_connection(run, frame, "on");
    if (connection == NULL)
        return STEP_FAILED;
    cJSON *message = connection_take_reply(connection);
    if (message != NULL) {
        run_fail_values(run, wanted, message, "a message came where the end was expected");
        cJSON_Delete(message);
        return STEP_FAILED;
    }
    if (connection->ending == CONNECTION_LIVES)
        return run_wait_for(run, "the end of %s", connection->name);
    bool fits = !cJSON_IsArray(wanted) && ending_is(connection, wanted);
    if (cJSON_IsArray(wanted))
        cJSON_ArrayForEach(choice, wanted) fits = fits || ending_is(connection, choice);
    if (fits)
        return run_checked(run);
    char *how = connection_describe_ending(connection);
    cJSON *received = cJSON_CreateString(how);
    run_fail_values(run, wanted, received, "the connection ended in another way");
    cJSON_Delete(received);
    free(how);
    return STEP_FAILED;
}

/* {"disconnect": "alice", "how": "close" | "fin" | "reset"}. */
static enum progress step_disconnect(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const char *how = step_text(frame, "how");
    struct connection *connection = run_connection(run, frame, "disconnect");
    if (connection == NULL)
        return STEP_FAILED;
    if (how != NULL && strcmp(how, "close") != 0) {
        connection_drop(connection, strcmp(how, "reset") == 0);
        return STEP_DONE;
    }
    if (frame->memo == NULL && connection->ending == CONNECTION_LIVES)
        connection_close(connection, NORMAL_CLOSURE);
    if (frame->memo == NULL)
        frame->memo = cJSON_CreateTrue();
    return connection->ending == CONNECTION_LIVES
               ? run_wait_for(run, "the answer to the close frame of %s", connection->name)
               : STEP_DONE;
}

static enum progress step_stop_reading(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "stop_reading");
    if (connection == NULL)
        return STEP_FAILED;
    connection->paused = true;
    return STEP_DONE;
}

static enum progress step_resume_reading(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "resume_reading");
    if (connection == NULL)
        return STEP_FAILED;
    connection->paused = false;
    return STEP_DONE;
}

/* {"abandon": "alice", "as": "ghost"}: a device that is gone without a word: its connection stays,
 * is not read any more, and has another name from now on. */
static enum progress step_abandon(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "abandon");
    if (connection == NULL)
        return STEP_FAILED;
    connection->paused = true;
    free(connection->name);
    connection->name = memory_copy_text(step_text(frame, "as"));
    return STEP_DONE;
}

/* ---- ping ------------------------------------------------------------------------------------ */

static void send_ping(struct run *run, struct frame *frame, struct connection *connection) {
    uint8_t payload[PING_BYTES];
    entropy_fill(&run->entropy, payload, sizeof payload);
    char *text = base64url_encode(payload, sizeof payload);
    frame->memo = cJSON_CreateString(text);
    free(text);
    transcript_add(&run->transcript, connection->name, TRANSCRIPT_SENT, "(ping)");
    endpoint_send_frame(connection->endpoint,
                        &(struct endpoint_frame){.fin = true,
                                                 .opcode = ENDPOINT_PING,
                                                 .masked = connection->guest == NULL,
                                                 .payload = payload,
                                                 .len = sizeof payload});
    connection_flush(connection);
}

/* {"ping": "alice"}: a ping, and the pong with its payload. */
static enum progress step_ping(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const cJSON *pong;
    struct connection *connection = run_connection(run, frame, "ping");
    if (connection == NULL)
        return STEP_FAILED;
    if (frame->memo == NULL)
        send_ping(run, frame, connection);
    cJSON_ArrayForEach(pong, connection->pongs) {
        if (json_same(pong, frame->memo))
            return run_checked(run);
    }
    return connection->ending == CONNECTION_LIVES
               ? run_wait_for(run, "a pong on %s", connection->name)
               : fail_ended(run, connection, "a pong");
}

/* {"pinged": "alice"}: a ping has come since it was connected; or a `list`, by which a client may
 * probe as well. */
static enum progress step_pinged(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "pinged");
    if (connection == NULL)
        return STEP_FAILED;
    if (connection->was_pinged ||
        (connection->guest != NULL &&
         cJSON_GetObjectItemCaseSensitive(connection->guest->counts, "list") != NULL))
        return run_checked(run);
    return connection->ending == CONNECTION_LIVES
               ? run_wait_for(run, "a ping on %s", connection->name)
               : fail_ended(run, connection, "a ping");
}

/* {"lives": "alice", "for_ms": 2500}: it is still there then. The one step that lets time pass. */
static enum progress step_lives(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    double for_ms = step_number(frame, "for_ms", 0);
    struct connection *connection = run_connection(run, frame, "lives");
    if (connection == NULL)
        return STEP_FAILED;
    if (frame->memo == NULL)
        frame->memo = cJSON_CreateNumber((double)clock_now_us() + for_ms * 1000);
    if (connection->ending != CONNECTION_LIVES)
        return fail_ended(run, connection, "more time");
    run->wakes_us = (int64_t)frame->memo->valuedouble;
    return clock_left_ms(run->wakes_us) == 0
               ? run_checked(run)
               : run_wait_for(run, "%.0f ms with %s", for_ms, connection->name);
}

const struct step_kind STEPS_WIRE[] = {{"connect", step_connect, false},
                                       {"send", step_send, false},
                                       {"send_text", step_send_text, false},
                                       {"send_frames", step_send_frames, false},
                                       {"send_fragmented", step_send_fragmented, false},
                                       {"send_bytes", step_send_bytes, false},
                                       {"expect", step_expect, false},
                                       {"expect_any_order", step_expect_any_order, false},
                                       {"expect_close", step_expect_close, false},
                                       {"disconnect", step_disconnect, false},
                                       {"stop_reading", step_stop_reading, false},
                                       {"resume_reading", step_resume_reading, false},
                                       {"abandon", step_abandon, false},
                                       {"ping", step_ping, false},
                                       {"pinged", step_pinged, false},
                                       {"lives", step_lives, false},
                                       {NULL, NULL, false}};
