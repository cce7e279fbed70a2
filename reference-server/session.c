#include "reference-server/session.h"

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
    FORBIDDEN_MAX = 3,
    RETRY_AFTER_MS = 1000,
    CLOSE_BAD_MESSAGE = 4000,
    CLOSE_REFUSED = 4001,
    CLOSE_CANNOT_CONTINUE = 4002,
    CLOSE_GOING_AWAY = 1001,
};

/* Positions that pushes of this connection stored, and that its `changed` therefore leaves out. */
struct own_range {
    uint64_t first;
    uint64_t last;
};

/* A document this connection has open. */
struct open_document {
    struct document_reader reader; /* first: what the document knows of us */
    struct open_document *next;
    struct session *session;
    struct document *document;
    uint64_t opened; /* position of `opened` */
    char opened_cursor[CURSOR_TEXT_LEN + 1];
    uint64_t position; /* up to where the log was delivered */
    struct own_range *own;
    size_t own_first;
    size_t own_len;
    size_t own_capacity;
};

/* A request that waits for the pushes before it. */
struct deferred {
    bool is_set;
    struct athena_message message;
    struct athena_decoder *decoder;
    enum athena_code code;
    struct athena_error error;
};

struct reply {
    struct reply *next;
    struct frame *frame;
};

struct session {
    struct session_host *host;
    void *connection;
    uint8_t challenge[ATHENA_CHALLENGE_BYTES];
    struct open_document *documents;
    size_t documents_len;
    struct reply *replies;
    struct reply **replies_end;
    size_t replies_len;
    size_t reply_bytes;
    size_t pushes; /* under way */
    size_t push_bytes;
    size_t push_entries;
    struct deferred deferred;
    unsigned forbidden;
    bool was_opened;
    bool is_stopping;
    uint16_t close_code;
    uint64_t open_deadline_ms;
    bool is_gone; /* the connection is; pushes are still under way */
};

/* ---- Replies ---- */

static struct open_document *find_document(const struct session *s, const uint8_t *doc) {
    struct open_document *d = s->documents;
    while (d && memcmp(document_id(d->document), doc, ATHENA_DOC_BYTES) != 0)
        d = d->next;
    return d;
}

static void wake(struct session *s) {
    s->host->wake(s->host, s->connection);
}

/* Without memory for a reply the connection cannot go on as promised. */
static void give_up(struct session *s) {
    s->close_code = CLOSE_CANNOT_CONTINUE;
}

static void reply(struct session *s, const struct athena_message *message) {
    struct reply *r = calloc(1, sizeof *r);
    struct frame *frame = frame_new(message);
    if (!r || !frame) {
        free(r);
        frame_unref(frame);
        give_up(s);
        return;
    }
    r->frame = frame;
    *s->replies_end = r;
    s->replies_end = &r->next;
    s->replies_len++;
    s->reply_bytes += frame_bytes(frame).len;
    wake(s);
}

static struct athena_message answer_to(const struct athena_message *request,
                                       enum athena_type type) {
    struct athena_message answer = {.type = type,
                                    .has_req = request->has_req,
                                    .req = request->req,
                                    .has_doc = request->has_doc};
    memcpy(answer.doc, request->doc, ATHENA_DOC_BYTES);
    return answer;
}

/* An `error` in answer to a request; `where` names its member, or is "" [ASP-MSG-14]. */
static void refuse_request(struct session *s, const struct athena_message *request,
                           enum athena_code code, const char *where, const char *what) {
    char text[ATHENA_ERROR_TEXT_MAX];
    int len = snprintf(text, sizeof text, "%s%s%s", where, *where ? ": " : "", what);
    struct athena_message error = answer_to(request, ATHENA_ERROR);
    error.code = code;
    error.text = (struct athena_text_view){text, (size_t)len};
    error.has_retry_after = athena_code_is_retryable(code);
    error.retry_after_ms = RETRY_AFTER_MS;
    s->host->counters.refused++;
    reply(s, &error);
}

/* The store failed: the operator is told why, the client that it may try again [ASP-DUR-6]. */
static void refuse_for_store(struct session *s, const struct athena_message *request,
                             enum athena_code code, const struct athena_error *error) {
    s->host->report(s->host, error);
    refuse_request(s, request, code, "", "the store cannot do this now");
}

static void close_with(struct session *s, uint16_t code) {
    if (!s->close_code)
        s->close_code = code;
}

static void say_welcome(struct session *s) {
    struct athena_message welcome = {
        .type = ATHENA_WELCOME, .server = s->host->server_name, .limits = s->host->limits};
    memcpy(welcome.challenge, s->challenge, sizeof welcome.challenge);
    reply(s, &welcome);
}

/* ---- open and close ---- */

static void wake_reader(struct document_reader *reader) {
    wake(((struct open_document *)reader)->session);
}

static void forget_document(struct session *s, struct open_document *d) {
    struct open_document **at = &s->documents;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    s->documents_len--;
    documents_release(s->host->documents, d->document, &d->reader);
    free(d->own);
    free(d);
}

static void answer_opened(struct session *s, const struct athena_message *request,
                          struct open_document *d) {
    const struct store_head *head = document_head(d->document);
    struct cursor cursor = {head->digest.count, store_tag(request->doc, &head->digest)};
    cursor_format(d->opened_cursor, cursor);
    d->opened = d->position = head->digest.count;
    struct athena_message opened = answer_to(request, ATHENA_OPENED);
    opened.digest = head->digest;
    opened.cursor = (struct athena_text_view){d->opened_cursor, CURSOR_TEXT_LEN};
    s->was_opened = true;
    s->host->counters.opened++;
    reply(s, &opened);
}

static void open_document(struct session *s, const struct athena_message *request) {
    struct athena_error error = {0};
    struct open_document *d = calloc(1, sizeof *d);
    enum athena_code code =
        d ? documents_acquire(s->host->documents, &d->document, request->doc, &d->reader, &error)
          : ATHENA_UNAVAILABLE;
    if (code) {
        free(d);
        refuse_for_store(s, request, code, &error);
        return;
    }
    d->reader.wake = wake_reader;
    d->session = s;
    d->next = s->documents;
    s->documents = d;
    s->documents_len++;
    answer_opened(s, request, d);
}

static void refuse_proof(struct session *s, const struct athena_message *request) {
    s->host->counters.forbidden++;
    refuse_request(s, request, ATHENA_FORBIDDEN, "", "the proof does not hold for this document");
    if (++s->forbidden == FORBIDDEN_MAX)
        close_with(s, CLOSE_REFUSED); /* [ASP-ABUSE-1] */
}

/* In the order of [ASP-OPEN-1]. */
static void on_open(struct session *s, const struct athena_message *request) {
    if (find_document(s, request->doc))
        refuse_request(s, request, ATHENA_ALREADY_OPEN, "", "open on this connection already");
    else if (s->documents_len >= s->host->limits.docs)
        refuse_request(s, request, ATHENA_LIMIT, "", "too many documents open on this connection");
    else if (!s->host->is_authority(s->host, request->authority))
        refuse_request(s, request, ATHENA_WRONG_AUTHORITY, "",
                       "the authority is not a name of this server");
    else if (!athena_proof_verify(request->proof, request->doc, s->challenge, request->authority))
        refuse_proof(s, request);
    else
        open_document(s, request);
}

static void on_close(struct session *s, const struct athena_message *request) {
    forget_document(s, find_document(s, request->doc));
    struct athena_message closed = answer_to(request, ATHENA_CLOSED);
    reply(s, &closed);
}

/* ---- list ---- */

/* The position to list from, once its cursor has been checked [ASP-LIST-10]. */
static enum athena_code resolve_cursor(struct session *s, const struct open_document *d,
                                       const struct athena_message *request, uint64_t *after,
                                       struct athena_error *error) {
    *after = 0;
    if (!request->has_after)
        return ATHENA_OK;
    struct cursor given;
    struct cursor actual;
    if (!cursor_parse(&given, request->cursor))
        return ATHENA_UNKNOWN_CURSOR;
    enum athena_code code =
        documents_cursor(s->host->documents, d->document, given.position, &actual, error);
    *after = given.position;
    return code || given.tag == actual.tag ? code : ATHENA_UNKNOWN_CURSOR;
}

static void answer_listed(struct session *s, const struct open_document *d,
                          const struct athena_message *request, const struct store_page *page,
                          struct cursor cursor) {
    char cursor_text[CURSOR_TEXT_LEN + 1];
    struct athena_message listed = answer_to(request, ATHENA_LISTED);
    struct athena_text_view *ids = NULL;
    listed.with_data = request->with_data;
    listed.more = cursor.position < d->opened;
    listed.cursor = (struct athena_text_view){d->opened_cursor, CURSOR_TEXT_LEN};
    if (listed.more) {
        cursor_format(cursor_text, cursor);
        listed.cursor.at = cursor_text;
    }
    if (request->with_data) {
        listed.changes = page->changes;
        listed.changes_len = page->len;
    } else {
        ids = calloc(page->len + 1, sizeof *ids);
        for (size_t i = 0; ids && i < page->len; i++)
            ids[i] = page->changes[i].id;
        listed.ids = ids;
        listed.ids_len = ids ? page->len : 0;
    }
    if (ids || request->with_data)
        reply(s, &listed);
    else
        give_up(s);
    free(ids);
}

static enum athena_code list_page(struct session *s, const struct open_document *d,
                                  const struct athena_message *request, struct store_page *page,
                                  struct cursor *cursor, struct athena_error *error) {
    const struct athena_limits *limits = &s->host->limits;
    uint64_t after;
    enum athena_code code = resolve_cursor(s, d, request, &after, error);
    if (code)
        return code;
    bool is_clamped = request->limit == 0 || request->limit > limits->batch;
    struct store_range range = {
        .after = after,
        .until = d->opened,
        .entries_max = is_clamped ? limits->batch : request->limit,
        .encoded_bytes_max = limits->message - ATHENA_MESSAGE_FRAME_BYTES,
        .with_data = request->with_data,
    };
    struct store *store = s->host->store;
    if (after < d->opened)
        code = store->engine->read(store, request->doc, &range, page, error);
    if (code)
        return code;
    if (after + page->len >= d->opened) {
        cursor->position = d->opened;
        return ATHENA_OK;
    }
    return documents_cursor(s->host->documents, d->document, after + page->len, cursor, error);
}

static void on_list(struct session *s, const struct athena_message *request) {
    const struct open_document *d = find_document(s, request->doc);
    struct athena_error error = {0};
    struct store_page page = {0};
    struct cursor cursor;
    enum athena_code code = list_page(s, d, request, &page, &cursor, &error);
    if (code == ATHENA_UNKNOWN_CURSOR)
        refuse_request(s, request, code, "/after", "not a cursor of this document's log");
    else if (code)
        refuse_for_store(s, request, code, &error);
    else
        answer_listed(s, d, request, &page, cursor);
    store_page_fini(&page);
}

/* ---- get ---- */

/* Fills changes and missing for a beginning of the ids that fits one message [ASP-GET-2]. */
static enum athena_code get_changes(struct session *s, const struct open_document *d,
                                    const struct athena_message *request, struct store_page *page,
                                    struct athena_text_view *missing, size_t *missing_len,
                                    struct athena_error *error) {
    struct store *store = s->host->store;
    uint64_t until = document_head(d->document)->digest.count;
    size_t room = s->host->limits.message - ATHENA_MESSAGE_FRAME_BYTES;
    size_t missing_bytes = 0;
    for (size_t i = 0; i < request->ids_len; i++) {
        struct athena_text_view id = request->ids[i];
        bool found;
        enum athena_code code =
            store->engine->find(store, request->doc, id, until, page, &found, error);
        if (code)
            return code;
        if (!found)
            missing_bytes += athena_id_encoded_len(id.len);
        if (i > 0 && page->encoded_bytes + missing_bytes > room) {
            page->len -= found;
            return ATHENA_OK;
        }
        if (!found)
            missing[(*missing_len)++] = id;
    }
    return ATHENA_OK;
}

static void on_get(struct session *s, const struct athena_message *request) {
    const struct open_document *d = find_document(s, request->doc);
    struct athena_error error = {0};
    struct store_page page = {0};
    size_t missing_len = 0;
    struct athena_text_view *missing = calloc(request->ids_len, sizeof *missing);
    enum athena_code code = missing
                                ? get_changes(s, d, request, &page, missing, &missing_len, &error)
                                : ATHENA_UNAVAILABLE;
    if (code) {
        refuse_for_store(s, request, code, &error);
    } else {
        struct athena_message got = answer_to(request, ATHENA_GOT);
        got.changes = page.changes;
        got.changes_len = page.len;
        got.ids = missing;
        got.ids_len = missing_len;
        reply(s, &got);
    }
    free(missing);
    store_page_fini(&page);
}

/* ---- push ---- */

static void give_back(struct session_host *host, struct athena_decoder *decoder) {
    athena_decoder_free(host->spare_decoder);
    host->spare_decoder = decoder;
}

/* Takes the decoder over, in which the message's changes live. */
static void on_push(struct session *s, const struct athena_message *request,
                    struct athena_decoder *decoder, size_t message_bytes) {
    struct push *push = push_new(s, request, decoder, s->host->limits.change, message_bytes);
    if (!push) {
        give_back(s->host, decoder);
        refuse_request(s, request, ATHENA_UNAVAILABLE, "", "out of memory");
        return;
    }
    s->pushes++;
    s->push_bytes += push->message_bytes;
    s->push_entries += push->len;
    s->host->submit(s->host, push);
}

/* Room for one more range, without a hole in the array's use. */
static bool reserve_own(struct open_document *d) {
    if (d->own_first > 0) {
        memmove(d->own, d->own + d->own_first, d->own_len * sizeof *d->own);
        d->own_first = 0;
    }
    if (d->own_len < d->own_capacity)
        return true;
    size_t capacity = d->own_capacity ? d->own_capacity * 2 : 4;
    struct own_range *own = realloc(d->own, capacity * sizeof *own);
    if (!own)
        return false;
    d->own = own;
    d->own_capacity = capacity;
    return true;
}

static void remember_own(struct session *s, struct open_document *d, uint64_t first,
                         uint64_t last) {
    struct own_range *latest = d->own_len ? &d->own[d->own_first + d->own_len - 1] : NULL;
    if (latest && latest->last + 1 == first)
        latest->last = last;
    else if (reserve_own(d))
        d->own[d->own_len++] = (struct own_range){first, last};
    else
        give_up(s);
}

/* Two arrays in one allocation; NULL without memory. */
static uint64_t *collect(const struct push *push, struct athena_message *pushed) {
    size_t size = push->len * (sizeof(uint64_t) + sizeof(struct athena_rejected));
    uint64_t *duplicates = malloc(size);
    if (!duplicates)
        return NULL;
    struct athena_rejected *rejected = (struct athena_rejected *)(void *)(duplicates + push->len);
    for (size_t i = 0; i < push->len; i++) {
        if (push->entries[i].outcome == STORE_DUPLICATE)
            duplicates[pushed->duplicates_len++] = i;
        else if (push->entries[i].outcome == STORE_REJECTED)
            rejected[pushed->rejected_len++] = (struct athena_rejected){i, push->entries[i].code};
    }
    pushed->duplicates = duplicates;
    pushed->rejected = rejected;
    return duplicates;
}

static void answer_pushed(struct session *s, const struct push *push,
                          const struct athena_message *request) {
    struct athena_message pushed = answer_to(request, ATHENA_PUSHED);
    uint64_t *memory = collect(push, &pushed);
    if (!memory) {
        give_up(s);
        return;
    }
    struct session_counters *counters = &s->host->counters;
    counters->changes_stored += push->stored;
    counters->changes_duplicate += pushed.duplicates_len;
    counters->changes_rejected += pushed.rejected_len;
    struct open_document *d = find_document(s, push->doc);
    uint64_t last = push->head.digest.count;
    if (push->stored > 0 && d)
        remember_own(s, d, last - push->stored + 1, last);
    reply(s, &pushed);
    free(memory);
}

static void end_push(struct session *s, const struct push *push) {
    struct athena_message request = {.has_req = true, .req = push->req, .has_doc = true};
    memcpy(request.doc, push->doc, ATHENA_DOC_BYTES);
    if (push->code)
        refuse_request(s, &request, push->code, "", "the store cannot commit now");
    else
        answer_pushed(s, push, &request);
}

/* ---- Taking requests ---- */

static void answer_shutting_down(struct session *s) {
    struct athena_message nothing = {0};
    refuse_request(s, &nothing, ATHENA_SHUTTING_DOWN, "", "the server stops");
    close_with(s, CLOSE_GOING_AWAY);
}

static void handle(struct session *s, const struct athena_message *request) {
    static void (*const handlers[ATHENA_TYPE_COUNT])(struct session *,
                                                     const struct athena_message *) = {
        [ATHENA_OPEN] = on_open,
        [ATHENA_LIST] = on_list,
        [ATHENA_GET] = on_get,
        [ATHENA_CLOSE] = on_close,
    };
    handlers[request->type](s, request);
}

/* What has to hold of every request before its own rules apply [ASP-MSG-11]. */
static enum athena_code check_request(const struct session *s, const struct athena_message *request,
                                      struct athena_error *error) {
    if (request->type != ATHENA_OPEN && !find_document(s, request->doc)) {
        *error = (struct athena_error){ATHENA_NOT_OPEN, "", "not open on this connection"};
    } else if (request->changes_len > s->host->limits.batch) {
        *error = (struct athena_error){ATHENA_LIMIT, "/changes", "more than limits.batch"};
    } else if (request->ids_len > s->host->limits.batch) {
        *error = (struct athena_error){ATHENA_LIMIT, "/ids", "more than limits.batch"};
    }
    return error->code;
}

static void refuse_undecoded(struct session *s, const struct athena_message *request,
                             enum athena_code code, const struct athena_error *error) {
    if (code == ATHENA_NOT_STRICT_JSON) {
        struct athena_message nothing = {0};
        refuse_request(s, &nothing, ATHENA_BAD_MESSAGE, error->where, error->text);
        close_with(s, CLOSE_BAD_MESSAGE);
    } else if (code == ATHENA_NO_MEMORY) {
        refuse_request(s, request, ATHENA_UNAVAILABLE, "", error->text);
    } else {
        refuse_request(s, request, code, error->where, error->text);
    }
}

/* A request whose turn it is: everything before it is answered, or it is a push. */
static void take(struct session *s, const struct athena_message *request,
                 struct athena_decoder *decoder, enum athena_code code, struct athena_error *error,
                 size_t message_bytes) {
    if (!code) {
        *error = (struct athena_error){0};
        code = check_request(s, request, error);
    }
    if (!code && request->type == ATHENA_PUSH) {
        on_push(s, request, decoder, message_bytes);
        return;
    }
    if (code)
        refuse_undecoded(s, request, code, error);
    else
        handle(s, request);
    give_back(s->host, decoder);
}

static bool must_wait(const struct session *s, const struct athena_message *request,
                      enum athena_code code) {
    if (s->pushes == 0)
        return false;
    return code || request->type != ATHENA_PUSH || !find_document(s, request->doc) ||
           request->changes_len > s->host->limits.batch;
}

void session_receive(struct session *s, struct athena_text_view json) {
    assert(session_takes_input(s));
    struct athena_decoder *decoder =
        s->host->spare_decoder ? s->host->spare_decoder : athena_decoder_new();
    s->host->spare_decoder = NULL;
    s->host->counters.messages++;
    if (!decoder) {
        give_up(s);
        return;
    }
    struct athena_message message;
    struct athena_error error = {0};
    enum athena_code code =
        athena_message_decode(&message, decoder, ATHENA_FROM_CLIENT, json, &error);
    if (must_wait(s, &message, code))
        s->deferred = (struct deferred){true, message, decoder, code, error};
    else
        take(s, &message, decoder, code, &error, json.len);
}

static void resume(struct session *s) {
    if (s->pushes > 0 || s->close_code)
        return;
    if (s->is_stopping) {
        answer_shutting_down(s);
    } else if (s->deferred.is_set) {
        struct deferred deferred = s->deferred;
        s->deferred.is_set = false;
        take(s, &deferred.message, deferred.decoder, deferred.code, &deferred.error, 0);
    }
}

void session_pushed(struct session_host *host, struct push *push) {
    struct session *s = push->session;
    s->pushes--;
    s->push_bytes -= push->message_bytes;
    s->push_entries -= push->len;
    if (!s->is_gone)
        end_push(s, push); /* before anyone's `changed` that covers it [ASP-LIVE-5] */
    if (!push->code)
        documents_advance(host->documents, push->doc, &push->head);
    give_back(host, push_free(push));
    if (!s->is_gone) {
        resume(s);
        wake(s);
    } else if (s->pushes == 0) {
        free(s);
    }
}

bool session_takes_input(const struct session *s) {
    if (s->close_code || s->is_stopping || s->deferred.is_set || s->replies_len >= REPLIES_MAX ||
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

/* Moves over what this connection stored itself; how far others' changes reach behind that. */
static uint64_t skip_own(struct open_document *d) {
    while (d->own_len > 0 && d->own[d->own_first].first <= d->position + 1) {
        d->position = d->own[d->own_first].last;
        d->own_first++;
        d->own_len--;
    }
    return d->own_len > 0 ? d->own[d->own_first].first - 1
                          : document_head(d->document)->digest.count;
}

/* The next `changed` of one document, if its log goes on behind what was delivered. */
static struct frame *next_changed(struct session *s, struct open_document *d) {
    uint64_t until = skip_own(d);
    struct frame *frame = NULL;
    struct athena_error error = {0};
    if (d->position >= until)
        return NULL;
    uint64_t last;
    enum athena_code code = documents_changed(s->host->documents, d->document, d->position, until,
                                              &frame, &last, &error);
    if (code) {
        s->host->report(s->host, &error);
        close_with(s, CLOSE_CANNOT_CONTINUE); /* [ASP-FLOW-5] */
        return NULL;
    }
    d->position = last;
    s->host->counters.changed_frames++;
    return frame;
}

/* The document that was served goes to the end, so that each gets its turn. */
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

struct frame *session_next_frame(struct session *s) {
    if (s->replies)
        return next_reply(s);
    for (struct open_document *d = s->documents; d && !s->close_code; d = d->next) {
        struct frame *frame = next_changed(s, d);
        if (frame) {
            rotate(s, d);
            return frame;
        }
    }
    return NULL;
}

/* ---- Life ---- */

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
        forget_document(s, s->documents);
    while (s->replies)
        frame_unref(next_reply(s));
    if (s->deferred.is_set)
        athena_decoder_free(s->deferred.decoder);
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
    close_with(s, CLOSE_REFUSED); /* [ASP-ABUSE-3] */
    wake(s);
}

void session_stop(struct session *s) {
    if (s->is_stopping || s->close_code)
        return;
    s->is_stopping = true;
    resume(s);
}
