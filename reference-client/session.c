#include "reference-client/session_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct session_times session_default_times = {
    .backoff_first_ms = 500, /* [ASP-CLI-40] */
    .backoff_max_ms = 60000,
    .greeting_ms = 30000,
    .idle_ms = 45000, /* [ASP-WS-34] */
    .probe_ms = 20000,
    .settled_ms = 30000,
};

static void drop(struct session *s, uint16_t close_code, const struct athena_error *why,
                 uint64_t retry_after_ms);

/* ---- Requests ---- */

static void free_request(struct request *request) {
    free(request->ids);
    free(request->numbers);
    free(request);
}

/* [ASP-MSG-8] */
struct request *session_request(struct session *s, enum request_kind kind) {
    struct request *request = calloc(1, sizeof *request);
    if (!request) {
        drop(s, CLOSE_NORMAL, &(struct athena_error){ATHENA_NO_MEMORY, "", "out of memory"}, 0);
        return NULL;
    }
    request->kind = kind;
    request->req = s->next_req++;
    struct request **end = &s->requests;
    while (*end)
        end = &(*end)->next;
    *end = request;
    return request;
}

/* Takes the request off the list; NULL when there is none of that number [ASP-MSG-7]. */
static struct request *take_request(struct session *s, uint64_t req) {
    for (struct request **at = &s->requests; *at; at = &(*at)->next) {
        struct request *request = *at;
        if (request->req != req)
            continue;
        *at = request->next;
        request->next = NULL;
        return request;
    }
    return NULL;
}

/* [ASP-MSG-2] */
void session_send(struct session *s, struct athena_message *message,
                  const struct request *request) {
    message->has_req = true;
    message->req = request->req;
    message->has_doc = true;
    memcpy(message->doc, s->keys->doc, ATHENA_DOC_BYTES);
    athena_buf_clear(&s->out);
    athena_message_encode(&s->out, message);
    if (s->out.failed)
        drop(s, CLOSE_NORMAL, &(struct athena_error){ATHENA_NO_MEMORY, "", "out of memory"}, 0);
    else
        s->host.send(s->host.ctx, (struct athena_text_view){s->out.at, s->out.len});
}

/* ---- Events and faults ---- */

/* Bytes of the character that begins so, in valid UTF-8. */
static size_t character_len(unsigned char first) {
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Words of a server may end up on a terminal: no control characters, no character cut in two. */
static void clean_text(char *text) {
    size_t len = strlen(text);
    for (size_t at = 0, bytes; at < len; at += bytes) {
        unsigned char first = (unsigned char)text[at];
        bytes = character_len(first);
        if (at + bytes > len)
            text[at] = '\0';
        else if (first < 0x20 || first == 0x7f)
            text[at] = '?';
        else if (first == 0xc2 && (unsigned char)text[at + 1] < 0xa0)
            memcpy(text + at, "??", 2);
    }
}

void session_event(struct session *s, const struct athena_sync_event *event) {
    s->host.event(s->host.ctx, event);
}

static void report(struct session *s, enum athena_code code, const char *text) {
    struct athena_sync_event event = {.type = ATHENA_SYNC_FAULT, .error = {.code = code}};
    snprintf(event.error.text, sizeof event.error.text, "%s", text);
    session_event(s, &event);
}

void session_fault(struct session *s, const char *text) {
    report(s, ATHENA_INTERNAL, text);
}

void session_protocol_fault(struct session *s, const char *text) {
    struct athena_error why = {.code = ATHENA_BAD_MESSAGE};
    snprintf(why.text, sizeof why.text, "%s", text);
    clean_text(why.text);
    report(s, ATHENA_BAD_MESSAGE, why.text);
    drop(s, CLOSE_FAULT, &why, 0);
}

void session_storage_fault(struct session *s, const struct athena_error *error) {
    report(s, error->code, error->text);
    drop(s, CLOSE_NORMAL, error, 0);
}

static void check_in_sync(struct session *s) {
    bool in_sync = session_is_in_sync(s);
    if (in_sync && !s->said_in_sync)
        session_event(s, &(struct athena_sync_event){.type = ATHENA_SYNC_IN_SYNC});
    s->said_in_sync = in_sync;
}

bool session_is_connected(const struct session *s) {
    return s->state == RESUMING || s->state == LIVE;
}

uint64_t session_untold(const struct session *s) {
    return s->untold;
}

/* A probe asks for nothing. */
static bool has_open_questions(const struct session *s) {
    const struct request *request = s->requests;
    while (request && request->kind == REQUEST_PROBE)
        request = request->next;
    return request != NULL;
}

bool session_is_in_sync(const struct session *s) {
    return s->state == LIVE && !has_open_questions(s) && outbox_is_empty(s);
}

/* ---- Connections ---- */

/* A random time below a bound that doubles with each failure [ASP-CLI-39]. */
static uint64_t next_delay(struct session *s) {
    uint64_t bound = s->times.backoff_first_ms;
    for (unsigned i = 0; i < s->failures && bound < s->times.backoff_max_ms; i++)
        bound *= 2;
    if (bound > s->times.backoff_max_ms)
        bound = s->times.backoff_max_ms;
    return s->host.random(s->host.ctx) % bound;
}

/* [ASP-WS-48] */
static void forget_connection(struct session *s) {
    while (s->requests) {
        struct request *next = s->requests->next;
        free_request(s->requests);
        s->requests = next;
    }
    number_set_fini(&s->listed);
    number_set_fini(&s->live);
    s->step = STEP_NONE;
    s->said_in_sync = false;
}

static void go_waiting(struct session *s, const struct athena_error *why, uint64_t retry_after_ms) {
    bool settled = session_is_connected(s) && s->now_ms - s->connected_ms >= s->times.settled_ms;
    if (settled)
        s->failures = 0; /* [ASP-CLI-41] */
    uint64_t delay = next_delay(s);
    s->attempt_not_before_ms = s->now_ms + retry_after_ms;
    if (delay < retry_after_ms)
        delay = retry_after_ms;
    s->failures++;
    forget_connection(s);
    s->state = WAITING;
    s->next_attempt_ms = s->now_ms + delay;
    struct athena_sync_event event = {
        .type = ATHENA_SYNC_DISCONNECTED, .error = *why, .retry_ms = delay};
    session_event(s, &event);
}

static void drop(struct session *s, uint16_t close_code, const struct athena_error *why,
                 uint64_t retry_after_ms) {
    if (s->state == OFF || s->state == WAITING)
        return;
    s->host.drop(s->host.ctx, close_code);
    go_waiting(s, why, retry_after_ms);
}

static void dial(struct session *s) {
    s->state = CONNECTING;
    s->connected_ms = s->progress_ms = s->now_ms;
    s->probed_ms = 0;
    s->ending_retry_ms = 0;
    s->next_req = 1;
    s->host.connect(s->host.ctx);
}

void session_start(struct session *s, uint64_t now_ms) {
    s->now_ms = now_ms;
    if (s->state != OFF && s->state != WAITING)
        return;
    if (now_ms >= s->attempt_not_before_ms) {
        dial(s);
    } else {
        s->state = WAITING;
        s->next_attempt_ms = s->attempt_not_before_ms;
    }
}

/* [ASP-WS-49] */
void session_stop(struct session *s, uint64_t now_ms) {
    s->now_ms = now_ms;
    if (s->state != OFF && s->state != WAITING)
        s->host.drop(s->host.ctx, CLOSE_NORMAL);
    forget_connection(s);
    s->state = OFF;
    s->failures = 0;
}

void session_connected(struct session *s, uint64_t now_ms) {
    s->now_ms = now_ms;
    if (s->state == CONNECTING)
        s->state = GREETING;
}

void session_disconnected(struct session *s, const struct athena_error *why, uint64_t now_ms) {
    s->now_ms = now_ms;
    if (s->state == OFF || s->state == WAITING)
        return;
    if (why->code != ATHENA_UNAVAILABLE)
        report(s, why->code, why->text); /* [ASP-CLI-42] */
    go_waiting(s, why, s->ending_retry_ms);
}

void session_sent(struct session *s, uint64_t now_ms) {
    s->progress_ms = now_ms;
}

void session_received(struct session *s, uint64_t now_ms) {
    s->progress_ms = now_ms;
    s->probed_ms = 0;
}

void session_added(struct session *s, uint64_t now_ms) {
    s->now_ms = now_ms;
    s->said_in_sync = s->said_in_sync && session_is_in_sync(s);
    if (s->state == LIVE)
        outbox_push(s);
    check_in_sync(s); /* what is refused at once leaves the outbox without a message */
}

/* ---- Greeting and opening ---- */

/* [ASP-MSG-1] [ASP-OPEN-6] [ASP-EXT-6] */
static void on_welcome(struct session *s, const struct athena_message *welcome) {
    s->limits = welcome->limits; /* [ASP-LIM-7] */
    struct request *request = session_request(s, REQUEST_OPEN);
    if (!request)
        return;
    struct athena_message open = {.type = ATHENA_OPEN, .authority = s->authority};
    athena_proof_sign(open.proof, s->keys, welcome->challenge, s->authority);
    s->state = OPENING;
    session_send(s, &open, request);
}

/* What the last connection may have left: no connection's progress outlives it but in the store
 * [ASP-CLI-32]. */
static void reset_sync(struct session *s) {
    s->has_gap = false;
    s->has_adopted = false;
    s->live_share = (struct athena_digest){0};
    s->sent_through = 0;
    s->pushes_in_flight = 0;
    s->push_retry_ms = s->push_not_before_ms > s->now_ms ? s->push_not_before_ms : 0;
    s->is_push_blocked = false;
}

/* [ASP-CUR-8] */
static enum athena_code load_server(struct session *s, struct athena_error *error) {
    enum athena_code code = replica_server(s->replica, s->authority, &s->server, error);
    if (!code)
        code = replica_begin(s->replica, error);
    if (code)
        return code;
    code = replica_readmit(s->replica, &s->server, s->limits.change, error);
    return replica_finish(s->replica, code, error);
}

static void on_opened(struct session *s, const struct athena_message *opened) {
    struct athena_error error;
    reset_sync(s);
    if (load_server(s, &error)) {
        session_storage_fault(s, &error);
        return;
    }
    s->state = RESUMING;
    s->opened = opened->digest;
    snprintf(s->opened_cursor, sizeof s->opened_cursor, "%.*s", (int)opened->cursor.len,
             opened->cursor.at);
    session_event(s, &(struct athena_sync_event){.type = ATHENA_SYNC_CONNECTED});
    resume_begin(s);
}

/* ---- Errors ---- */

struct athena_error session_refusal(const char *what, const struct athena_message *message) {
    struct athena_error why = {.code = message->code};
    snprintf(why.text, sizeof why.text, "%s%.*s: %.*s", what, (int)message->code_text.len,
             message->code_text.at, (int)message->text.len, message->text.at);
    clean_text(why.text);
    return why;
}

uint64_t session_retry_after_ms(const struct athena_message *message) {
    enum { RETRY_AFTER_MS_MAX = 60 * 60 * 1000 };
    uint64_t asked = message->has_retry_after ? message->retry_after_ms : 0;
    return asked < RETRY_AFTER_MS_MAX ? asked : RETRY_AFTER_MS_MAX;
}

bool session_is_for_now(enum athena_code code) {
    return athena_code_is_retryable(code) || code == ATHENA_UNKNOWN_CODE;
}

/* Without the answer the resume cannot go on: again on the next connection [ASP-OPEN-7]
 * [ASP-ERR-10] [ASP-ERR-11]. */
static void give_up_connection(struct session *s, const struct athena_message *message) {
    struct athena_error why = session_refusal("", message);
    if (!session_is_for_now(message->code))
        report(s, message->code, why.text);
    drop(s, CLOSE_NORMAL, &why, session_retry_after_ms(message));
}

static void on_error(struct session *s, const struct request *request,
                     const struct athena_message *message) {
    if (!request) {
        if (message->code != ATHENA_SHUTTING_DOWN)
            report(s, message->code, session_refusal("", message).text);
        s->ending_retry_ms = session_retry_after_ms(message);
        return; /* the server closes if it has to */
    }
    if (request->kind == REQUEST_PUSH)
        outbox_on_refused(s, message);
    else if (request->kind == REQUEST_LIST && message->code == ATHENA_UNKNOWN_CURSOR)
        resume_on_unknown_cursor(s);
    else if (request->kind != REQUEST_PROBE)
        give_up_connection(s, message);
}

/* ---- Receiving ---- */

/* What reply a request may get beside an error. */
static bool fits(const struct request *request, enum athena_type type) {
    static const enum athena_type replies[] = {
        [REQUEST_OPEN] = ATHENA_OPENED, [REQUEST_LIST] = ATHENA_LISTED,  [REQUEST_GET] = ATHENA_GOT,
        [REQUEST_PUSH] = ATHENA_PUSHED, [REQUEST_PROBE] = ATHENA_LISTED,
    };
    return type == ATHENA_ERROR || replies[request->kind] == type;
}

static void on_reply(struct session *s, struct request *request,
                     const struct athena_message *message) {
    if (!fits(request, message->type)) {
        session_protocol_fault(s, "a reply of another type than its request");
        return;
    }
    switch (message->type) {
    case ATHENA_OPENED:
        on_opened(s, message);
        break;
    case ATHENA_LISTED:
        if (request->kind == REQUEST_LIST)
            resume_on_listed(s, message);
        break;
    case ATHENA_GOT:
        intake_on_got(s, request, message);
        break;
    case ATHENA_PUSHED:
        outbox_on_pushed(s, request, message);
        break;
    default:
        on_error(s, request, message);
    }
}

static bool is_for_us(const struct session *s, const struct athena_message *message) {
    return !message->has_doc || memcmp(message->doc, s->keys->doc, ATHENA_DOC_BYTES) == 0;
}

/* [ASP-WELCOME-4] [ASP-WELCOME-6] */
static void on_message(struct session *s, const struct athena_message *message) {
    if (s->state == GREETING) {
        if (message->type == ATHENA_WELCOME)
            on_welcome(s, message);
        else
            session_protocol_fault(s, "the first message is not a welcome");
        return;
    }
    if (message->type == ATHENA_WELCOME || !is_for_us(s, message)) {
        session_protocol_fault(s, "a message that nothing asked for");
    } else if (message->type == ATHENA_CHANGED) {
        intake_on_changed(s, message);
    } else if (!message->has_req) {
        on_error(s, NULL, message);
    } else {
        struct request *request = take_request(s, message->req);
        if (request)
            on_reply(s, request, message);
        else
            session_protocol_fault(s, "a reply to no request");
        if (request)
            free_request(request);
    }
    check_in_sync(s);
}

/* [ASP-JSON-6] [ASP-MSG-6] */
void session_receive(struct session *s, struct athena_text_view json, uint64_t now_ms) {
    struct athena_message message;
    struct athena_error error;
    s->now_ms = now_ms;
    session_received(s, now_ms);
    if (s->state < GREETING)
        return;
    enum athena_code code =
        athena_message_decode(&message, s->decoder, ATHENA_FROM_SERVER, json, &error);
    if (code == ATHENA_UNKNOWN_TYPE)
        return; /* [ASP-MSG-5] */
    if (code) {
        char text[400];
        snprintf(text, sizeof text, "a message that cannot be read: %s%s%.200s", error.where,
                 *error.where ? ": " : "", error.text);
        session_protocol_fault(s, text);
        return;
    }
    on_message(s, &message);
}

/* ---- Time ---- */

static void probe(struct session *s) {
    struct request *request = session_request(s, REQUEST_PROBE);
    if (!request)
        return;
    struct athena_message list = {
        .type = ATHENA_LIST,
        .has_after = true,
        .cursor = {s->opened_cursor, strlen(s->opened_cursor)},
    };
    s->probed_ms = s->now_ms;
    session_send(s, &list, request);
}

static uint64_t liveness_deadline(const struct session *s) {
    return s->probed_ms ? s->probed_ms + s->times.probe_ms : s->progress_ms + s->times.idle_ms;
}

/* What was refused waits for all answers, too: one of them may ask for a later time. */
static uint64_t retry_deadline(const struct session *s) {
    return s->push_retry_ms && s->pushes_in_flight == 0 ? s->push_retry_ms : UINT64_MAX;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t session_deadline_ms(const struct session *s) {
    switch (s->state) {
    case OFF:
        return UINT64_MAX;
    case WAITING:
        return s->next_attempt_ms;
    case CONNECTING:
    case GREETING:
    case OPENING:
        return s->connected_ms + s->times.greeting_ms;
    default:
        return earlier(liveness_deadline(s), retry_deadline(s));
    }
}

static void tick_connected(struct session *s) {
    if (s->now_ms >= retry_deadline(s)) {
        s->push_retry_ms = 0;
        s->sent_through = 0;
        outbox_push(s);
    }
    if (s->now_ms < liveness_deadline(s))
        return;
    if (!s->probed_ms)
        probe(s);
    else
        drop(s, CLOSE_NORMAL,
             &(struct athena_error){ATHENA_UNAVAILABLE, "", "the server does not answer"}, 0);
}

void session_tick(struct session *s, uint64_t now_ms) {
    s->now_ms = now_ms;
    if (now_ms < session_deadline_ms(s))
        return;
    if (s->state == WAITING)
        dial(s);
    else if (session_is_connected(s))
        tick_connected(s);
    else
        drop(s, CLOSE_NORMAL, &(struct athena_error){ATHENA_UNAVAILABLE, "", "no answer in time"},
             0);
}

/* ---- Life ---- */

struct session *session_new(const struct session_host *host, const struct session_times *times,
                            struct replica *replica, const struct athena_keys *keys,
                            struct athena_text_view authority) {
    struct session *s = calloc(1, sizeof *s);
    struct athena_decoder *decoder = athena_decoder_new();
    if (!s || !decoder) {
        free(s);
        athena_decoder_free(decoder);
        return NULL;
    }
    s->host = *host;
    s->times = *times;
    s->replica = replica;
    s->keys = keys;
    s->authority = authority;
    s->decoder = decoder;
    return s;
}

void session_free(struct session *s) {
    if (!s)
        return;
    forget_connection(s);
    athena_decoder_free(s->decoder);
    athena_buf_fini(&s->out);
    free(s);
}
