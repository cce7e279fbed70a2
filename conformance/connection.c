#include "conformance/connection.h"

#include "conformance/base64url.h"
#include "conformance/duty.h"
#include "conformance/json_strict.h"
#include "conformance/json_write.h"

#include <stdlib.h>
#include <string.h>

enum { CLOSE_RESTART = 1012, CLOSE_TRY_LATER = 1013 };

enum { READ_BYTES = 65536, READS_A_TURN_MAX = 64 };

static struct connection *new_connection(const char *name, struct stream *stream,
                                         struct endpoint *endpoint, const struct spec *spec,
                                         struct transcript *transcript) {
    struct connection *connection = memory_take(sizeof *connection);
    connection->name = memory_copy_text(name);
    connection->spec = spec;
    connection->transcript = transcript;
    connection->stream = stream;
    connection->endpoint = endpoint;
    connection->inbox = cJSON_CreateArray();
    connection->pongs = cJSON_CreateArray();
    connection->opened = cJSON_CreateObject();
    connection->next_req = 1;
    return connection;
}

struct connection *connection_open(const char *name, const struct stream_address *address,
                                   const struct handshake_request *request, const struct spec *spec,
                                   struct transcript *transcript, struct entropy *entropy) {
    struct stream *stream = stream_connect(address);
    if (stream == NULL)
        return NULL;
    struct connection *connection =
        new_connection(name, stream, endpoint_new_client(entropy, request), spec, transcript);
    transcript_add(transcript, name, TRANSCRIPT_EVENT, "connects to %s:%s%s", address->host,
                   address->port, request->path);
    return connection;
}

struct connection *connection_accept(const char *name, struct stream *stream, const char *refusal,
                                     struct guest *guest, const struct discretion *discretion,
                                     const struct spec *spec, struct transcript *transcript) {
    struct connection *connection =
        new_connection(name, stream, endpoint_new_server(), spec, transcript);
    connection->guest = guest;
    connection->discretion = discretion;
    endpoint_expect_path(connection->endpoint, guest->path);
    if (refusal != NULL)
        endpoint_refuse(connection->endpoint, refusal);
    transcript_add(transcript, name, TRANSCRIPT_EVENT, "the client connects");
    return connection;
}

static const char *peer(const struct connection *connection) {
    return connection->guest != NULL ? "client" : "server";
}

void connection_free(struct connection *connection) {
    if (connection == NULL)
        return;
    stream_free(connection->stream, false);
    endpoint_free(connection->endpoint);
    cJSON_Delete(connection->inbox);
    cJSON_Delete(connection->pongs);
    cJSON_Delete(connection->opened);
    watch_fini(&connection->watch);
    if (connection->guest != NULL)
        guest_fini(connection->guest);
    free(connection->guest);
    free(connection->fault);
    free(connection->http_head);
    free(connection->reset_reason);
    free(connection->name);
    free(connection);
}

static void end(struct connection *connection, enum connection_ending ending, bool reset) {
    if (ending == CONNECTION_RESET && connection->reset_reason == NULL)
        connection->reset_reason = memory_copy_text(stream_reason(connection->stream));
    stream_free(connection->stream, reset);
    connection->stream = NULL;
    if (connection->ending != CONNECTION_LIVES)
        return;
    connection->ending = ending;
    char *how = connection_describe_ending(connection);
    transcript_add(connection->transcript, connection->name, TRANSCRIPT_EVENT, "%s", how);
    free(how);
}

static void refuse(struct connection *connection, const char *requirement, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void refuse(struct connection *connection, const char *requirement, const char *format,
                   ...) {
    if (connection->fault != NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    connection->fault = memory_format_list(format, arguments);
    va_end(arguments);
    connection->fault_requirement = requirement;
    transcript_add(connection->transcript, connection->name, TRANSCRIPT_EVENT, "fault: %s",
                   connection->fault);
}

/* ---- What comes ------------------------------------------------------------------------------ */

/* NULL, or what is wrong with a message that keeps its schema. */
static const char *judge(struct connection *connection, const cJSON *message, size_t bytes,
                         const char **requirement) {
    return connection->guest != NULL
               ? guest_received(connection->guest, message, bytes, requirement)
               : watch_received(&connection->watch, message, bytes, requirement);
}

/* Whatever a client says, message or not. What stands at the end may go on in what comes next. */
static void search(struct connection *connection) {
    const char *requirement;
    struct bytes *heard = endpoint_heard(connection->endpoint);
    if (connection->guest == NULL || connection->http_status == 0 || connection->is_strange)
        return;
    const char *leaked =
        discretion_find(connection->discretion, heard->at, heard->len, &requirement);
    if (leaked != NULL)
        refuse(connection, requirement, "the client sent what must never leave it: %s", leaked);
    if (heard->len > CANARY_PART_TEXT_MAX)
        bytes_drop(heard, heard->len - CANARY_PART_TEXT_MAX);
}

/* A text in place of bytes that is no canonical base64url. */
static bool has_loose_bytes(const cJSON *value) {
    static const char *const names[] = {"challenge", "data", "digest", "proof"};
    const cJSON *member;
    cJSON_ArrayForEach(member, value) {
        struct bytes bytes = {0};
        bool loose = has_loose_bytes(member);
        for (size_t i = 0; i < sizeof names / sizeof *names && cJSON_IsString(member) && !loose;
             i++)
            loose = member->string != NULL && strcmp(member->string, names[i]) == 0 &&
                    !base64url_decode(member->valuestring, &bytes);
        bytes_fini(&bytes);
        if (loose)
            return true;
    }
    return false;
}

/* Which requirement a message breaks that breaks its schema. */
static const char *schema_requirement(const struct connection *connection, const cJSON *message,
                                      const struct schema_fault *fault) {
    if (strcmp(fault->pointer, "/type") == 0)
        return connection->guest != NULL ? DUTY("ASP-MSG-2") : DUTY("ASP-MSG-3");
    return has_loose_bytes(message) ? DUTY("ASP-JSON-11") : DUTY("ASP-MSG-23");
}

static void take_message(struct connection *connection, const struct bytes *text) {
    size_t at = 0;
    const char *wrong = json_strict_fault((const char *)text->at, text->len, &at);
    search(connection);
    if (wrong != NULL) {
        refuse(connection, wrong == JSON_STRICT_NOTATION ? DUTY("ASP-JSON-2") : DUTY("ASP-JSON-1"),
               "the %s sent JSON that is not strict: %s, at byte %zu of %.200s", peer(connection),
               wrong, at, (const char *)text->at);
        return;
    }
    cJSON *message = cJSON_ParseWithLength((const char *)text->at, text->len);
    struct schema_fault fault = {0};
    const char *requirement = NULL;
    transcript_add_message(connection->transcript, connection->name, TRANSCRIPT_RECEIVED, message);
    bool keeps_schema = connection->guest != NULL
                            ? spec_check_request(connection->spec, message, &fault)
                            : spec_check_message(connection->spec, message, &fault);
    if (!keeps_schema)
        refuse(connection, schema_requirement(connection, message, &fault),
               "a message from the %s breaks its schema: %s %s", peer(connection),
               *fault.pointer != '\0' ? fault.pointer : "it", fault.text);
    else if ((wrong = judge(connection, message, text->len, &requirement)) != NULL)
        refuse(connection, requirement, "%s", wrong);
    schema_fault_fini(&fault);
    cJSON_AddItemToArray(connection->inbox, message);
}

/* The request line of a handshake, which ends up in the logs of others. */
static void search_url(struct connection *connection, const struct bytes *head) {
    const char *end = memchr(head->at, '\r', head->len);
    size_t len = end != NULL ? (size_t)(end - (const char *)head->at) : head->len;
    const char *leaked = canary_find(&connection->discretion->keys, head->at, len);
    if (leaked != NULL)
        refuse(connection, DUTY("ASP-WS-19"), "the URL holds what must never be there: %s", leaked);
}

/* Below the path that it was given a client gets by a redirect. */
static void check_path(struct connection *connection, const struct bytes *head) {
    const char *line = (const char *)head->at;
    char *due = memory_format("GET %s HTTP/1.1\r\n", connection->guest->path);
    if (strncmp(line, due, strlen(due)) != 0)
        refuse(connection, DUTY("ASP-WS-9"),
               "the client asks for another path than its URL has: %.*s",
               (int)strcspn(line, "\r\n"), line);
    free(due);
}

static void take_handshake(struct connection *connection, const struct endpoint_event *event) {
    bool is_refused = event->kind == ENDPOINT_EVENT_REFUSED;
    connection->http_status = is_refused && event->code == 0 ? -1 : event->code;
    transcript_add(connection->transcript, connection->name, TRANSCRIPT_RECEIVED, "(HTTP %d)",
                   event->code);
    if (is_refused)
        connection->http_head =
            memory_format("%.*s", (int)event->bytes.len, (const char *)event->bytes.at);
    connection->is_strange = connection->guest != NULL && is_refused && event->code != 0;
    if (connection->guest == NULL || connection->is_strange)
        return;
    search_url(connection, &event->bytes);
    search(connection);
    check_path(connection, &event->bytes);
    if (!handshake_lists(&event->bytes, event->bytes.len, "Sec-WebSocket-Protocol",
                         HANDSHAKE_SUBPROTOCOL, false))
        refuse(connection, DUTY("ASP-WS-2"), "the client does not offer " HANDSHAKE_SUBPROTOCOL);
}

static void take_pong(struct connection *connection, const struct bytes *payload) {
    char *text = base64url_encode(payload->at, payload->len);
    cJSON_AddItemToArray(connection->pongs, cJSON_CreateString(text));
    free(text);
    transcript_add(connection->transcript, connection->name, TRANSCRIPT_RECEIVED, "(pong)");
}

static void take_close(struct connection *connection, const struct endpoint_event *event) {
    if (connection->ending != CONNECTION_LIVES)
        return;
    connection->ending = CONNECTION_CLOSED;
    connection->close_code = event->code;
    transcript_add(connection->transcript, connection->name, TRANSCRIPT_RECEIVED, "(close %d %s)",
                   event->code, (const char *)event->bytes.at);
    if (connection->guest == NULL &&
        (event->code == CLOSE_RESTART || event->code == CLOSE_TRY_LATER))
        refuse(connection, DUTY("ASP-ERR-8"), "the server closed with %d", event->code);
}

static void take_event(struct connection *connection, const struct endpoint_event *event) {
    switch (event->kind) {
    case ENDPOINT_EVENT_UPGRADED:
    case ENDPOINT_EVENT_REFUSED:
        take_handshake(connection, event);
        break;
    case ENDPOINT_EVENT_TEXT:
        take_message(connection, &event->bytes);
        break;
    case ENDPOINT_EVENT_BINARY:
        search(connection);
        refuse(connection, DUTY("ASP-WS-20"), "the %s sent a binary message", peer(connection));
        break;
    case ENDPOINT_EVENT_PING:
        connection->was_pinged = true;
        transcript_add(connection->transcript, connection->name, TRANSCRIPT_RECEIVED, "(ping)");
        break;
    case ENDPOINT_EVENT_PONG:
        take_pong(connection, &event->bytes);
        break;
    case ENDPOINT_EVENT_CLOSE:
        take_close(connection, event);
        break;
    case ENDPOINT_EVENT_FAULT:
        refuse(connection, event->requirement, "from the %s: %s", peer(connection),
               (const char *)event->bytes.at);
        break;
    }
}

/* ---- The inbox ------------------------------------------------------------------------------- */

static bool is_changed(const cJSON *message) {
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "type"));
    return type != NULL && strcmp(type, "changed") == 0;
}

static bool names_doc(const cJSON *message, const char *doc) {
    const char *named = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "doc"));
    return doc == NULL || (named != NULL && strcmp(named, doc) == 0);
}

static cJSON *take(struct connection *connection, cJSON *message) {
    return message != NULL ? cJSON_DetachItemViaPointer(connection->inbox, message) : NULL;
}

cJSON *connection_take_next(struct connection *connection) {
    return take(connection, connection->inbox->child);
}

cJSON *connection_take_reply(struct connection *connection) {
    cJSON *message = connection->inbox->child;
    while (message != NULL && is_changed(message))
        message = message->next;
    return take(connection, message);
}

cJSON *connection_take_changed(struct connection *connection, const char *doc) {
    cJSON *message = connection->inbox->child;
    while (message != NULL && (!is_changed(message) || !names_doc(message, doc)))
        message = message->next;
    return take(connection, message);
}

/* ---- Moving bytes ---------------------------------------------------------------------------- */

static void read_some(struct connection *connection) {
    static uint8_t piece[READ_BYTES];
    struct endpoint_event event;
    for (int i = 0; i < READS_A_TURN_MAX && connection->stream != NULL && !connection->paused;
         i++) {
        size_t left = connection->reads_left;
        size_t most = left > 0 && left < sizeof piece ? left : sizeof piece;
        ssize_t got = stream_read(connection->stream, piece, most);
        if (got > 0 && left > 0) {
            connection->reads_left -= (size_t)got;
            connection->paused = connection->reads_left == 0;
        }
        if (got > 0)
            endpoint_feed(connection->endpoint, piece, (size_t)got);
        while (endpoint_next(connection->endpoint, &event)) {
            take_event(connection, &event);
            bytes_fini(&event.bytes);
        }
        search(connection);
        if (got == STREAM_AGAIN)
            break;
        if (got == STREAM_END)
            end(connection, CONNECTION_FIN, false);
        else if (got < 0)
            end(connection, CONNECTION_RESET, false);
    }
}

static bool has_output(const struct connection *connection) {
    return !connection->is_finished &&
           endpoint_output(connection->endpoint)->len > connection->written;
}

/* What is left moves to the front once the rest is no longer than what was written: however much it
 * is, each byte moves a few times at most. */
static void note_written(struct connection *connection, size_t len) {
    struct bytes *output = endpoint_output(connection->endpoint);
    connection->written += len;
    if (connection->written < output->len - connection->written)
        return;
    bytes_drop(output, connection->written);
    connection->written = 0;
}

bool connection_is_awaiting_turn(const struct connection *connection) {
    return connection->stream != NULL && connection->portion > 0 && has_output(connection);
}

/* How much may be written now. */
static size_t next_portion(const struct connection *connection) {
    size_t left = endpoint_output(connection->endpoint)->len - connection->written;
    if (connection->portion == 0)
        return left;
    if (!stream_is_taken(connection->stream))
        return 0;
    return left < connection->portion ? left : connection->portion;
}

void connection_flush(struct connection *connection) {
    const struct bytes *output = endpoint_output(connection->endpoint);
    while (connection->stream != NULL && has_output(connection)) {
        size_t len = next_portion(connection);
        if (len == 0)
            break;
        ssize_t put = stream_write(connection->stream, output->at + connection->written, len);
        if (put > 0)
            note_written(connection, (size_t)put);
        else if (put != STREAM_AGAIN && connection->paused)
            end(connection, CONNECTION_RESET, false);
        else
            break; /* full; or broken, and what the server said before is still to be read */
    }
    if (connection->stream != NULL && !has_output(connection) &&
        connection->ending == CONNECTION_CLOSED && !connection->is_finished) {
        stream_finish(connection->stream); /* what still comes until the other side's is judged */
        connection->is_finished = true;
    }
}

short connection_events(const struct connection *connection) {
    if (connection->stream == NULL)
        return 0;
    bool writes = has_output(connection) && connection->portion == 0;
    return stream_events(connection->stream, !connection->paused, writes);
}

void connection_service(struct connection *connection) {
    if (connection->stream == NULL)
        return;
    connection_flush(connection);
    read_some(connection);
    connection_flush(connection);
}

/* ---- Sending and ending ---------------------------------------------------------------------- */

void connection_send(struct connection *connection, const cJSON *message) {
    char *text = json_write(message);
    transcript_add_message(connection->transcript, connection->name, TRANSCRIPT_SENT, message);
    if (connection->guest != NULL)
        guest_sent(connection->guest, message);
    else
        watch_sent(&connection->watch, message);
    endpoint_send_text(connection->endpoint, text, strlen(text));
    free(text);
    connection_flush(connection);
}

void connection_go_blind(struct connection *connection) {
    connection->watch.blind = true;
    if (connection->watch.history != NULL)
        history_go_blind(connection->watch.history);
}

void connection_close(struct connection *connection, int code) {
    transcript_add(connection->transcript, connection->name, TRANSCRIPT_SENT, "(close %d)", code);
    endpoint_send_close(connection->endpoint, code, "");
    connection_flush(connection);
}

void connection_drop(struct connection *connection, bool reset) {
    if (connection->ending != CONNECTION_LIVES || connection->stream == NULL)
        return;
    transcript_add(connection->transcript, connection->name, TRANSCRIPT_EVENT, "%s",
                   reset ? "resets the connection" : "drops the connection");
    end(connection, CONNECTION_DROPPED, reset);
}

bool connection_half_close(struct connection *connection) {
    if (connection->ending != CONNECTION_LIVES || connection->stream == NULL)
        return true;
    if (has_output(connection))
        return false;
    transcript_add(connection->transcript, connection->name, TRANSCRIPT_EVENT, "sends no more");
    stream_finish(connection->stream);
    connection->is_finished = true;
    return true;
}

char *connection_describe_ending(const struct connection *connection) {
    switch (connection->ending) {
    case CONNECTION_CLOSED:
        return memory_format("closed by the %s with %d", peer(connection), connection->close_code);
    case CONNECTION_FIN:
        return memory_format("ended by the %s without a close frame", peer(connection));
    case CONNECTION_RESET:
        return memory_format("reset or refused by the %s (%s)", peer(connection),
                             connection->reset_reason);
    case CONNECTION_DROPPED:
        return memory_copy_text("dropped by the scenario");
    case CONNECTION_LIVES:
        break;
    }
    return memory_copy_text("still open");
}
