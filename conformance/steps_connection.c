/* Steps on single connections: how they begin, how they stand still, how they end. */
#include "conformance/clock.h"
#include "conformance/duty.h"
#include "conformance/memory.h"
#include "conformance/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEARER "Bearer "

enum { HTTP_SWITCHING = 101, HTTP_UNAUTHORIZED = 401, NORMAL_CLOSURE = 1000 };

/* ---- connect --------------------------------------------------------------------------------- */

/* The one that the step connects to. */
static struct target *target_of(const struct run *run, const struct frame *frame) {
    return step_flag(frame, "second") ? run->second : run->target;
}

static char *join_headers(struct run *run, const struct frame *frame) {
    const char *common = target_headers(run->target);
    char *all = memory_copy_text(common != NULL ? common : "");
    const cJSON *header;
    cJSON_ArrayForEach(header, step_member(frame, "headers")) {
        const char *token = strstr(header->valuestring, BEARER);
        if (token != NULL)
            confidence_add_token(&run->confidence, token + strlen(BEARER));
        char *longer = memory_format("%s%s\r\n", all, header->valuestring);
        free(all);
        all = longer;
    }
    return all;
}

static enum progress start_connecting(struct run *run, struct frame *frame) {
    if (target_of(run, frame) == NULL)
        return run_broken(run, "no second server runs");
    const struct url *url = target_url(target_of(run, frame));
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
    struct stream_address address = target_address(target_of(run, frame));
    address.receive_buffer_bytes = (int)step_number(frame, "receive_buffer", 0);
    address.segment_bytes = (int)step_number(frame, "segments", 0);
    struct connection *connection = connection_open(step_text(frame, "connect"), &address, &request,
                                                    run->spec, &run->transcript, &run->entropy);
    free(headers);
    if (connection == NULL)
        return run_fail(run, NULL, "connecting failed: %s", strerror(errno));
    connection->watch.history = run->history;
    connection->watch.confidence = &run->confidence;
    connection->watch.number = history_connect(run->history, connection->name);
    connection->portion = (size_t)step_number(frame, "portion", 0);
    if (step_flag(frame, "ignores_pings"))
        endpoint_ignore_pings(connection->endpoint);
    run_add_connection(run, connection);
    frame->memo = cJSON_CreateObject();
    return STEP_DONE;
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
    static const struct citation greeting[] = {
        {"", DUTY("ASP-WELCOME-1")}, {"/type", DUTY("ASP-WELCOME-1")}, {NULL, NULL}};
    cJSON *welcome = connection_take_next(connection);
    const cJSON *wanted = step_member(frame, "welcome");
    frame->usual = greeting;
    if (welcome == NULL && connection->ending != CONNECTION_LIVES)
        return run_fail_closed(run, connection, "welcome");
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
    cJSON_AddStringToObject(variable, "authority", target_authority(target_of(run, frame)));
    cJSON_AddStringToObject(variable, "port", target_url(run->target)->port);
    value_set(&run->scope, connection->name, variable);
    return progress;
}

/* A server without TLS takes the first bytes of TLS for an unfinished request, and says nothing. */
static enum progress wait_for_handshake(struct run *run, const struct connection *connection) {
    if (connection->ending != CONNECTION_LIVES)
        return run_fail_closed(run, connection, "an answer to the handshake");
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

/* A client that gives nothing to be admitted by can only be told that it has to. */
static enum progress refuse_status(struct run *run, const struct frame *frame,
                                   const struct connection *connection, int wanted) {
    bool gives = target_headers(run->target) != NULL || step_member(frame, "headers") != NULL ||
                 step_member(frame, "subprotocols") != NULL;
    if (connection->http_status == HTTP_UNAUTHORIZED && wanted == HTTP_SWITCHING && !gives)
        return run_broken(run, "the server demands a token (HTTP 401): give --token");
    return run_fail(run, NULL, "the handshake was answered with HTTP %d, not %d",
                    connection->http_status, wanted);
}

static enum progress advance_connect(struct run *run, struct frame *frame) {
    int wanted = (int)step_number(frame, "status", HTTP_SWITCHING);
    if (frame->memo == NULL && start_connecting(run, frame) == STEP_FAILED)
        return STEP_FAILED;
    struct connection *connection = run_connection(run, frame, "connect");
    if (connection == NULL)
        return STEP_FAILED;
    if (connection->http_status == 0)
        return wait_for_handshake(run, connection);
    if (connection->http_status != wanted)
        return refuse_status(run, frame, connection, wanted);
    if (wanted == HTTP_SWITCHING)
        return take_welcome(run, frame, connection);
    const char *header = step_text(frame, "header");
    return header != NULL ? check_header(run, connection, header) : run_checked(run);
}

/* {"connect": "alice"}: the handshake and the welcome, or the HTTP "status" that refuses it, and a
 * "header" of that answer. */
static enum progress step_connect(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    unsigned checks = run->verdict.checks;
    enum progress progress = advance_connect(run, frame);
    run->handshakes += run->verdict.checks - checks;
    return progress;
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
    if (connection->ending == CONNECTION_LIVES || connection->stream != NULL)
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

/* {"disconnect": "alice", "how": "close" | "fin" | "reset" | "half-close"}: the last ends what is
 * sent, and reads on. */
static enum progress step_disconnect(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const char *how = step_text(frame, "how");
    struct connection *connection = run_connection(run, frame, "disconnect");
    if (connection == NULL)
        return STEP_FAILED;
    if (how != NULL && strcmp(how, "half-close") == 0)
        return connection_half_close(connection)
                   ? STEP_DONE
                   : run_wait_for(run, "all that %s sends to be taken", connection->name);
    if (how != NULL && strcmp(how, "close") != 0) {
        connection_drop(connection, strcmp(how, "reset") == 0);
        return STEP_DONE;
    }
    if (frame->memo == NULL && connection->ending == CONNECTION_LIVES)
        connection_close(connection, NORMAL_CLOSURE);
    if (frame->memo == NULL)
        frame->memo = cJSON_CreateTrue();
    if (connection->ending == CONNECTION_LIVES)
        return run_wait_for(run, "the answer to the close frame of %s", connection->name);
    return connection->ending == CONNECTION_CLOSED ? run_checked(run) : STEP_DONE;
}

static enum progress step_stop_reading(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "stop_reading");
    if (connection == NULL)
        return STEP_FAILED;
    connection->paused = true;
    return STEP_DONE;
}

/* {"resume_reading": "alice", "bytes": 65536}: with "bytes", stops again after so many. */
static enum progress step_resume_reading(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "resume_reading");
    if (connection == NULL)
        return STEP_FAILED;
    connection->paused = false;
    connection->reads_left = (size_t)step_number(frame, "bytes", 0);
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
        return run_fail_closed(run, connection, "more time");
    int64_t until_us = (int64_t)frame->memo->valuedouble;
    run_let_pass(run, until_us);
    return clock_left_ms(until_us) == 0
               ? run_checked(run)
               : run_wait_for(run, "%.0f ms with %s", for_ms, connection->name);
}

const struct step_kind STEPS_CONNECTION[] = {{"connect", step_connect, false},
                                             {"expect_close", step_expect_close, false},
                                             {"disconnect", step_disconnect, false},
                                             {"stop_reading", step_stop_reading, false},
                                             {"resume_reading", step_resume_reading, false},
                                             {"abandon", step_abandon, false},
                                             {"lives", step_lives, false},
                                             {NULL, NULL, false}};
