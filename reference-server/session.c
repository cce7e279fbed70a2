#include "reference-server/session_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REPLIES_MAX = 64,             /* frames waiting to be sent before input pauses */
    REPLY_BYTES_MAX = 256 * 1024, /* their bytes, likewise */
    PUSHES_MAX = 2048,            /* messages under way to the store */
    PUSH_BYTES_MAX = 4 * 1024 * 1024,
    PUSH_ENTRIES_MAX = 20000,
    OWN_RANGES_MAX = 1024,
    SPARE_BYTES_MAX = 1024 * 1024, /* of a decoder that is kept for the next message */
    RETRY_AFTER_MS = 1000,
    CLOSE_BAD_MESSAGE = 4000,
    CLOSE_GOING_AWAY = 1001,
};

/* ---- Replies ---- */

struct open_document *session_document(const struct session *s,
                                       const uint8_t doc[static ATHENA_DOC_BYTES]) {
    struct open_document *d = s->documents;
    while (d && memcmp(document_id(d->document), doc, ATHENA_DOC_BYTES) != 0)
        d = d->next;
    return d;
}

void session_wake(struct session *s) {
    s->host->wake(s->host, s->connection);
}

void session_give_up(struct session *s) {
    s->close_code = CLOSE_CANNOT_CONTINUE;
}

/* [ASP-MSG-3] [ASP-ISO-5] */
void session_reply(struct session *s, const struct athena_message *message) {
    struct reply *r = calloc(1, sizeof *r);
    struct frame *frame = frame_new(message);
    if (!r || !frame) {
        free(r);
        frame_unref(frame);
        session_give_up(s);
        return;
    }
    r->frame = frame;
    *s->replies_end = r;
    s->replies_end = &r->next;
    s->replies_len++;
    s->reply_bytes += frame_bytes(frame).len;
    session_wake(s);
}

/* [ASP-MSG-9] [ASP-MSG-10] [ASP-MSG-15] */
struct athena_message session_answer(const struct athena_message *request, enum athena_type type) {
    struct athena_message answer = {.type = type,
                                    .has_req = request->has_req,
                                    .req = request->req,
                                    .has_doc = request->has_doc};
    memcpy(answer.doc, request->doc, ATHENA_DOC_BYTES);
    return answer;
}

/* [ASP-MSG-12] [ASP-ERR-1] [ASP-ERR-2] */
void session_refuse(struct session *s, const struct athena_message *request, enum athena_code code,
                    const char *where, const char *what) {
    char text[ATHENA_ERROR_TEXT_MAX];
    int len = snprintf(text, sizeof text, "%s%s%s", where, *where ? ": " : "", what);
    struct athena_message error = session_answer(request, ATHENA_ERROR);
    error.code = code;
    error.text = (struct athena_text_view){text, (size_t)len};
    error.has_retry_after = athena_code_is_retryable(code);
    error.retry_after_ms = RETRY_AFTER_MS;
    s->host->counters.refused++;
    session_reply(s, &error);
}

void session_refuse_for_store(struct session *s, const struct athena_message *request,
                              enum athena_code code, const struct athena_error *error) {
    s->host->report(s->host, error);
    session_refuse(s, request, code, "", "the store cannot do this now");
}

/* [ASP-ERR-7] [ASP-ERR-8] */
void session_close_with(struct session *s, uint16_t code) {
    if (!s->close_code)
        s->close_code = code;
}

/* [ASP-WELCOME-2] [ASP-LIM-1] [ASP-EXT-1] [ASP-EXT-5] */
static void say_welcome(struct session *s) {
    struct athena_message welcome = {
        .type = ATHENA_WELCOME, .server = s->host->server_name, .limits = s->host->limits};
    memcpy(welcome.challenge, s->challenge, sizeof welcome.challenge);
    session_reply(s, &welcome);
}

/* ---- Taking requests ---- */

/* It keeps no more entries than a request may have [ASP-FLOW-1]. NULL without memory. */
static struct athena_decoder *take_decoder(struct session_host *host) {
    struct athena_decoder *decoder = host->spare_decoder;
    host->spare_decoder = NULL;
    if (!decoder)
        decoder = athena_decoder_new();
    if (decoder)
        athena_decoder_bound(decoder, host->limits.batch);
    return decoder;
}

static void give_back(struct session_host *host, struct athena_decoder *decoder) {
    bool is_spare = !host->spare_decoder && athena_decoder_capacity(decoder) <= SPARE_BYTES_MAX;
    if (is_spare)
        host->spare_decoder = decoder;
    else
        athena_decoder_free(decoder);
}

/* Takes the decoder over, in which the message's changes live. */
static void on_push(struct session *s, const struct athena_message *request,
                    struct athena_decoder *decoder, size_t message_bytes) {
    struct push *push = push_new(s, request, decoder, s->host->limits.change, message_bytes);
    if (!push) {
        give_back(s->host, decoder);
        session_refuse(s, request, ATHENA_UNAVAILABLE, "", "out of memory");
        return;
    }
    push->lane = &s->lane;
    s->pushes++;
    s->push_bytes += push->message_bytes;
    s->push_entries += push->len;
    s->host->submit(s->host, push);
}

/* [ASP-STOP-2] */
static void answer_shutting_down(struct session *s) {
    struct athena_message nothing = {0};
    session_refuse(s, &nothing, ATHENA_SHUTTING_DOWN, "", "the server stops");
    session_close_with(s, CLOSE_GOING_AWAY);
}

static void refuse_undecoded(struct session *s, const struct athena_message *request,
                             enum athena_code code, const struct athena_error *error) {
    if (code == ATHENA_NOT_STRICT_JSON) {
        struct athena_message nothing = {0};
        session_refuse(s, &nothing, ATHENA_BAD_MESSAGE, error->where, error->text);
        session_close_with(s, CLOSE_BAD_MESSAGE);
    } else if (code == ATHENA_NO_MEMORY) {
        session_refuse(s, request, ATHENA_UNAVAILABLE, "", error->text);
    } else {
        session_refuse(s, request, code, error->where, error->text);
    }
}

/* A request whose turn it is: everything before it is answered, or it is a push [ASP-MSG-13]. */
static void take(struct session *s, const struct athena_message *request,
                 struct athena_decoder *decoder, enum athena_code code, struct athena_error *error,
                 size_t message_bytes) {
    if (!code) {
        *error = (struct athena_error){0};
        code = requests_check(s, request, error);
    }
    if (!code && request->type == ATHENA_PUSH) {
        on_push(s, request, decoder, message_bytes);
        return;
    }
    if (code)
        refuse_undecoded(s, request, code, error);
    else
        requests_answer(s, request);
    give_back(s->host, decoder);
}

/* [ASP-CLOSE-1] */
static bool must_wait(const struct session *s, const struct athena_message *request,
                      enum athena_code code) {
    if (s->pushes == 0)
        return false;
    return code || request->type != ATHENA_PUSH || !session_document(s, request->doc) ||
           request->changes_len > s->host->limits.batch;
}

static void defer(struct session *s, const struct deferred *request) {
    s->deferred = malloc(sizeof *s->deferred);
    if (s->deferred) {
        *s->deferred = *request;
    } else {
        give_back(s->host, request->decoder);
        session_give_up(s);
    }
}

/* [ASP-MSG-19] */
void session_receive(struct session *s, struct athena_text_view json) {
    assert(session_takes_input(s));
    struct athena_decoder *decoder = take_decoder(s->host);
    s->host->counters.messages++;
    if (!decoder) {
        session_give_up(s);
        return;
    }
    struct athena_message message;
    struct athena_error error = {0};
    enum athena_code code =
        athena_message_decode(&message, decoder, ATHENA_FROM_CLIENT, json, &error);
    if (must_wait(s, &message, code))
        defer(s, &(struct deferred){message, decoder, code, error});
    else
        take(s, &message, decoder, code, &error, json.len);
}

static void resume(struct session *s) {
    if (s->pushes > 0 || s->close_code)
        return;
    if (s->is_stopping) {
        answer_shutting_down(s);
    } else if (s->deferred) {
        struct deferred *deferred = s->deferred;
        s->deferred = NULL;
        take(s, &deferred->message, deferred->decoder, deferred->code, &deferred->error, 0);
        free(deferred);
    }
}

/* [ASP-PUSH-5] */
void session_pushed(struct session_host *host, struct push *push) {
    struct session *s = push->session;
    s->pushes--;
    s->push_bytes -= push->message_bytes;
    s->push_entries -= push->len;
    if (!s->is_gone)
        relay_end_push(s, push); /* before anyone's `changed` that covers it [ASP-LIVE-5] */
    if (!push->code)
        documents_advance(host->documents, push->doc, &push->head);
    give_back(host, push_free(push));
    if (!s->is_gone) {
        resume(s);
        session_wake(s);
    } else if (s->pushes == 0) {
        free(s);
    }
}

bool session_is_storing(const struct session *s) {
    return s->pushes > 0;
}

bool session_takes_input(const struct session *s) {
    if (s->close_code || s->is_stopping || s->deferred || s->replies_len >= REPLIES_MAX ||
        s->reply_bytes >= REPLY_BYTES_MAX || s->pushes >= PUSHES_MAX ||
        s->push_bytes >= PUSH_BYTES_MAX || s->push_entries >= PUSH_ENTRIES_MAX)
        return false;
    for (const struct open_document *d = s->documents; d; d = d->next)
        if (d->own_len >= OWN_RANGES_MAX)
            return false;
    return true;
}

uint64_t session_message_bytes_max(const struct session *s) {
    return s->documents ? s->host->limits.message : s->host->limits.message_before_open;
}

/* ---- Sending ---- */

static struct frame *next_reply(struct session *s) {
    struct reply *r = s->replies;
    struct frame *frame = r->frame;
    s->replies = r->next;
    if (!s->replies)
        s->replies_end = &s->replies;
    s->replies_len--;
    s->reply_bytes -= frame_bytes(frame).len;
    free(r);
    return frame;
}

/* The document that was served goes to the end, so that each gets its turn [ASP-FLOW-6]. */
static void rotate(struct session *s, struct open_document *d) {
    struct open_document **at = &s->documents;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    while (*at)
        at = &(*at)->next;
    *at = d;
    d->next = NULL;
}

/* [ASP-LIVE-7] */
struct frame *session_next_frame(struct session *s) {
    if (s->replies)
        return next_reply(s);
    for (struct open_document *d = s->documents; d && !s->close_code; d = d->next) {
        struct frame *frame = relay_next(s, d);
        if (frame) {
            rotate(s, d);
            return frame;
        }
    }
    return NULL;
}

/* ---- Life ---- */

/* [ASP-WELCOME-1] */
struct session *session_new(struct session_host *host, void *connection,
                            const uint8_t challenge[static ATHENA_CHALLENGE_BYTES],
                            uint64_t now_ms) {
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->host = host;
    s->connection = connection;
    memcpy(s->challenge, challenge, sizeof s->challenge);
    s->replies_end = &s->replies;
    s->open_deadline_ms = now_ms + host->open_within_ms;
    say_welcome(s);
    return s;
}

void session_free(struct session *s) {
    while (s->documents)
        requests_forget(s, s->documents);
    while (s->replies)
        frame_unref(next_reply(s));
    if (s->deferred)
        athena_decoder_free(s->deferred->decoder);
    free(s->deferred);
    s->is_gone = true;
    if (s->pushes == 0)
        free(s);
}

uint16_t session_close_code(const struct session *s) {
    return s->close_code;
}

uint64_t session_deadline_ms(const struct session *s) {
    return s->was_opened || s->close_code ? UINT64_MAX : s->open_deadline_ms;
}

void session_tick(struct session *s, uint64_t now_ms) {
    if (now_ms < session_deadline_ms(s))
        return;
    session_close_with(s, CLOSE_REFUSED); /* [ASP-ABUSE-3] */
    session_wake(s);
}

/* [ASP-STOP-3] */
void session_stop(struct session *s) {
    if (s->is_stopping || s->close_code)
        return;
    s->is_stopping = true;
    resume(s);
}
