/* Steps of the server that a client under test talks to: it answers honestly but where told not. */
#include "conformance/base64url.h"
#include "conformance/clock.h"
#include "conformance/duty.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/message.h"
#include "conformance/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CHALLENGE_BYTES = 32 };

/* Members of `changes` take the place of those in `message`; null takes one away. */
static void override(cJSON *message, const cJSON *changes) {
    const cJSON *member;
    cJSON_ArrayForEach(member, changes) {
        cJSON *own = cJSON_GetObjectItemCaseSensitive(message, member->string);
        if (cJSON_IsObject(own) && cJSON_IsObject(member)) {
            override(own, member);
            continue;
        }
        cJSON_DeleteItemFromObjectCaseSensitive(message, member->string);
        if (!cJSON_IsNull(member))
            cJSON_AddItemToObject(message, member->string, cJSON_Duplicate(member, true));
    }
}

/* ---- accept ---------------------------------------------------------------------------------- */

static cJSON *fresh_welcome(struct run *run, const struct frame *frame) {
    uint8_t challenge[CHALLENGE_BYTES];
    entropy_fill(&run->entropy, challenge, sizeof challenge);
    char *text = base64url_encode(challenge, sizeof challenge);
    cJSON *welcome = host_welcome(text);
    override(welcome, step_member(frame, "welcome"));
    free(text);
    return welcome;
}

static enum progress take_client(struct run *run, struct frame *frame) {
    const char *answer = step_text(frame, "http");
    int fd = accept4(run->lab->listener, NULL, NULL, SOCK_CLOEXEC);
    run->lab->is_awaited = fd < 0;
    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        return run_wait_for(run, "a connection from the client");
    if (fd < 0)
        return run_broken(run, "accept: %s", strerror(errno));
    struct stream *stream = step_flag(frame, "tls") ? stream_adopt_untrusted(fd) : stream_adopt(fd);
    if (stream == NULL)
        return run_broken(run, "no certificate can be made");
    struct guest *guest = memory_take(sizeof *guest);
    guest_init(guest, run->lab->authority, run->lab->path, run->lab->pushed, run->lab->proofs);
    struct connection *connection =
        connection_accept(step_text(frame, "accept"), stream, answer, guest, &run->lab->discretion,
                          run->spec, &run->transcript);
    if (step_text(frame, "selects") != NULL)
        endpoint_select(connection->endpoint, step_text(frame, "selects"));
    run_add_connection(run, connection);
    frame->memo = cJSON_CreateTrue();
    return STEP_DONE;
}

/* Whoever dials without the path that clients are given is none of them, and who left before the
 * handshake has nothing to say. TLS may end so. */
static bool is_nobody(const struct frame *frame, const struct connection *connection) {
    bool is_gone = connection->http_status == 0 && connection->ending != CONNECTION_LIVES;
    return connection->is_strange || (is_gone && !step_flag(frame, "tls"));
}

static enum progress greet(struct run *run, const struct frame *frame,
                           struct connection *connection) {
    if (connection->http_status == 101 && !cJSON_IsFalse(step_member(frame, "welcome"))) {
        cJSON *welcome = fresh_welcome(run, frame);
        connection_send(connection, welcome);
        cJSON_Delete(welcome);
    }
    return run_checked(run);
}

/* {"accept": "c1"}: the client's next connection, its handshake, and an honest welcome but for the
 * members of "welcome"; false sends none. "http" refuses it with this text;
 * "selects" is a wrong subprotocol to select, empty for none; "tls": true speaks TLS with a
 * certificate that nobody has reason to trust. */
static enum progress step_accept(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    if (run->lab == NULL)
        return run_broken(run, "accept is for scenarios of clients");
    for (;;) {
        enum progress progress = frame->memo == NULL ? take_client(run, frame) : STEP_DONE;
        if (progress != STEP_DONE)
            return progress;
        struct connection *connection = run_connection(run, frame, "accept");
        if (connection == NULL)
            return STEP_FAILED;
        if (connection->http_status == 0 && connection->ending == CONNECTION_LIVES)
            return run_wait_for(run, "the handshake of the client");
        connection_flush(connection);
        if (!is_nobody(frame, connection))
            return greet(run, frame, connection);
        cJSON_Delete(frame->memo);
        frame->memo = NULL;
    }
}

/* ---- serve, answer --------------------------------------------------------------------------- */

/* What one connection stored comes live on the others. */
static void relay_to_others(struct run *run, const struct connection *from, const char *doc,
                            const cJSON *stored) {
    for (size_t i = 0; i < run->connections_len && cJSON_GetArraySize(stored) > 0; i++) {
        struct connection *other = run->connections[i];
        if (other == from || other->guest == NULL || other->ending != CONNECTION_LIVES ||
            !cJSON_HasObjectItem(other->guest->open, doc))
            continue;
        cJSON *changed = host_changed(&run->lab->host, doc, stored);
        connection_send(other, changed);
        cJSON_Delete(changed);
    }
}

static void answer_honestly(struct run *run, struct connection *connection, const cJSON *request,
                            const cJSON *lies) {
    cJSON *stored = cJSON_CreateArray();
    cJSON *reply = host_answer(&run->lab->host, connection->guest, request, stored);
    override(reply, lies);
    connection_send(connection, reply);
    relay_to_others(run, connection, message_text(request, "doc"), stored);
    cJSON_Delete(reply);
    cJSON_Delete(stored);
}

static bool takes_requests(const struct connection *connection) {
    return connection->ending == CONNECTION_LIVES && connection->inbox->child != NULL;
}

static bool has_passed_all(const struct frame *frame, const struct connection *connection) {
    double most = step_number(frame, "messages", -1);
    return most >= 0 && connection->guest->messages >= most;
}

/* False when the next request is the one to stop at, or as many messages have passed as there were
 * to pass. */
static bool serve_one(struct run *run, const struct frame *frame, struct connection *connection) {
    const cJSON *request = connection->inbox->child;
    const cJSON *until = step_member(frame, "until");
    if (until != NULL && cJSON_HasObjectItem(until, "type") &&
        match_value(until, request, NULL, NULL))
        return false;
    if (has_passed_all(frame, connection))
        return false;
    cJSON *taken = connection_take_next(connection);
    answer_honestly(run, connection, taken, NULL);
    cJSON_Delete(taken);
    return true;
}

/* One `sync` waits at a time: one that an earlier step left goes on to wait. */
static double ask_for_sync(struct driver *device) {
    driver_service(device);
    cJSON *stale = device->sync_id != 0 ? driver_take_answer(device, device->sync_id) : NULL;
    if (stale != NULL || device->sync_id == 0) {
        cJSON *command = cJSON_Parse("{\"cmd\": \"sync\"}");
        device->sync_id = driver_tell(device, command);
        cJSON_Delete(command);
    }
    cJSON_Delete(stale);
    return device->sync_id;
}

/* Whether the device has come to where serving ends. */
static bool is_served(struct frame *frame, struct driver *device) {
    const cJSON *until = step_member(frame, "until");
    cJSON *event = NULL;
    if (until != NULL && cJSON_HasObjectItem(until, "event")) {
        event = driver_take_event(device, until);
    } else if (until == NULL) {
        if (frame->memo == NULL)
            frame->memo = cJSON_CreateNumber(ask_for_sync(device));
        event = driver_take_answer(device, frame->memo->valuedouble);
        device->sync_id = event != NULL ? 0 : device->sync_id;
    }
    cJSON_Delete(event);
    return event != NULL;
}

/* Into the variable of "ends": whether serving came to its end, not to a number of messages. */
static void note_end(struct run *run, const struct frame *frame, bool is_end) {
    if (step_text(frame, "ends") != NULL)
        value_set(&run->scope, step_text(frame, "ends"), cJSON_CreateBool(is_end));
}

/* {"serve": "c1", "of": "phone"}: answers honestly until the device says that it is in sync; with
 * "until", until that event of the device, or that request (which stays unanswered); with
 * "messages", at most until so many have passed in both directions since the connection began; the
 * variable "ends" then tells which it was. */
static enum progress step_serve(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "serve");
    struct driver *device = run_device(run, frame, "of");
    if (connection == NULL || device == NULL)
        return STEP_FAILED;
    bool goes_on = true;
    while (goes_on && takes_requests(connection))
        goes_on = serve_one(run, frame, connection);
    bool is_cut = has_passed_all(frame, connection);
    note_end(run, frame, !is_cut);
    if (!goes_on)
        return run_checked(run);
    if (is_cut)
        return STEP_DONE;
    if (is_served(frame, device))
        return run_checked(run);
    if (connection->ending != CONNECTION_LIVES) {
        char *how = connection_describe_ending(connection);
        run_fail(run, NULL, "%s was %s before the client was served", connection->name, how);
        free(how);
        return STEP_FAILED;
    }
    return run_fail_if_ended(run, device, "the end of its synchronisation");
}

/* {"answer": {"type": "open"}, "on": "c1", "with": {...}}: the next request, which must match, and
 * the honest reply but for the members of "with"; "after_ms" is the
 * least time since the last "instead". "instead" is sent in its place, with req and
 * doc; what a push holds is then not stored. */
static enum progress step_answer(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct connection *connection = run_connection(run, frame, "on");
    const cJSON *instead = step_member(frame, "instead");
    if (connection == NULL)
        return STEP_FAILED;
    if (connection->inbox->child == NULL && connection->ending != CONNECTION_LIVES) {
        char *how = connection_describe_ending(connection);
        run_fail(run, NULL, "%s was %s while a request was expected", connection->name, how);
        free(how);
        return STEP_FAILED;
    }
    if (connection->inbox->child == NULL)
        return run_wait_for(run, "a request on %s", connection->name);
    double early_ms =
        step_number(frame, "after_ms", 0) - (double)(clock_now_us() - run->lab->refused_us) / 1000;
    if (early_ms >= 1) /* clocks that count milliseconds have begun one before */
        return run_fail(run, DUTY_AT("answer.after_ms", "ASP-ERR-6"),
                        "the request came %.0f ms too early", early_ms);
    cJSON *request = connection_take_next(connection);
    enum progress progress = run_compare(run, step_member(frame, "answer"), request, "the request");
    if (progress == STEP_DONE && instead != NULL) {
        cJSON *reply = cJSON_Duplicate(instead, true);
        cJSON_AddItemToObject(
            reply, "req", cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(request, "req"), true));
        cJSON_AddStringToObject(reply, "doc", message_text(request, "doc"));
        run->lab->refused_us = clock_now_us();
        connection_send(connection, reply);
        cJSON_Delete(reply);
    } else if (progress == STEP_DONE) {
        answer_honestly(run, connection, request, step_member(frame, "with"));
    }
    cJSON_Delete(request);
    return progress;
}

/* ---- relay, log ------------------------------------------------------------------------------ */

static cJSON *flat(struct run *run, const struct frame *frame, const char *member) {
    char *error = NULL;
    cJSON *changes = value_flatten_changes(step_member(frame, member), &error);
    if (changes == NULL)
        run_broken(run, "%s: %s", member, error);
    free(error);
    return changes;
}

/* {"relay": [changes], "of": "doc", "on": "c1", "with": {...}}: another device pushed these: into
 * the log, unless they are there, and live. */
static enum progress step_relay(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const cJSON *change;
    struct connection *connection = run_connection(run, frame, "on");
    const cJSON *document = run_document(run, frame, "of");
    cJSON *changes = flat(run, frame, "relay");
    if (connection == NULL || document == NULL || changes == NULL) {
        cJSON_Delete(changes);
        return STEP_FAILED;
    }
    const char *doc = cJSON_GetObjectItem(document, "id")->valuestring;
    cJSON_ArrayForEach(change, changes) host_store(&run->lab->host, doc, change);
    cJSON *changed = host_changed(&run->lab->host, doc, changes);
    override(changed, step_member(frame, "with"));
    connection_send(connection, changed);
    cJSON_Delete(changed);
    cJSON_Delete(changes);
    return STEP_DONE;
}

static void become(struct run *run, const char *doc, const cJSON *changes) {
    const cJSON *change;
    cJSON *log = host_log(&run->lab->host, doc);
    while (log->child != NULL)
        cJSON_Delete(cJSON_DetachItemViaPointer(log, log->child));
    cJSON_ArrayForEach(change, changes) host_store(&run->lab->host, doc, change);
}

static enum progress compare_log(struct run *run, const char *doc, cJSON *changes) {
    cJSON *expected = cJSON_CreateObject();
    cJSON_AddItemToObject(expected, "$set", cJSON_Duplicate(changes, true));
    enum progress progress =
        run_compare(run, expected, host_log(&run->lab->host, doc), "the server's log");
    cJSON_Delete(expected);
    return progress;
}

/* {"log": [changes], "of": "doc"}: the server's log holds exactly these, byte for byte, in any
 * order; with "becomes": true it is made to. */
static enum progress step_log(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    enum progress progress = STEP_DONE;
    const cJSON *document = run_document(run, frame, "of");
    cJSON *changes = flat(run, frame, "log");
    if (run->lab == NULL || document == NULL || changes == NULL) {
        cJSON_Delete(changes);
        return STEP_FAILED;
    }
    const char *doc = cJSON_GetObjectItem(document, "id")->valuestring;
    if (step_flag(frame, "becomes"))
        become(run, doc, changes);
    else
        progress = compare_log(run, doc, changes);
    cJSON_Delete(changes);
    return progress;
}

/* {"requests": {"list": 0, "push": 1}, "on": "c1"}: how many of a type came on the connection. */
static enum progress step_requests(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const cJSON *wanted;
    const struct connection *connection = run_connection(run, frame, "on");
    if (connection == NULL)
        return STEP_FAILED;
    cJSON *counted = cJSON_CreateObject();
    cJSON_ArrayForEach(wanted, step_member(frame, "requests")) {
        const cJSON *number =
            cJSON_GetObjectItemCaseSensitive(connection->guest->counts, wanted->string);
        cJSON_AddNumberToObject(counted, wanted->string,
                                cJSON_IsNumber(number) ? number->valuedouble : 0);
    }
    enum progress progress =
        run_compare(run, step_member(frame, "requests"), counted, "the number of requests");
    cJSON_Delete(counted);
    return progress;
}

const struct step_kind STEPS_HOST[] = {{"accept", step_accept, false},
                                       {"serve", step_serve, false},
                                       {"answer", step_answer, false},
                                       {"relay", step_relay, false},
                                       {"log", step_log, false},
                                       {"requests", step_requests, false},
                                       {NULL, NULL, false}};
