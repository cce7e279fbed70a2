#include "reference-server/session_internal.h"

#include <stdlib.h>
#include <string.h>

enum { FORBIDDEN_MAX = 3 };

/* ---- open and close ---- */

static void wake_reader(struct document_reader *reader) {
    session_wake(((struct open_document *)reader)->session);
}

void requests_forget(struct session *s, struct open_document *d) {
    struct open_document **at = &s->documents;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    s->documents_len--;
    documents_release(s->host->documents, d->document, &d->reader);
    free(d->own);
    free(d);
}

/* [ASP-CUR-3] [ASP-OPEN-2] [ASP-OPEN-3] [ASP-OPEN-4] [ASP-LIVE-4] */
static void answer_opened(struct session *s, const struct athena_message *request,
                          struct open_document *d) {
    const struct store_head *head = document_head(d->document);
    struct cursor cursor = {head->digest.count, store_tag(request->doc, &head->digest)};
    cursor_format(d->opened_cursor, cursor);
    d->opened = d->position = head->digest.count;
    struct athena_message opened = session_answer(request, ATHENA_OPENED);
    opened.digest = head->digest;
    opened.cursor = (struct athena_text_view){d->opened_cursor, CURSOR_TEXT_LEN};
    s->was_opened = true;
    s->host->counters.opened++;
    session_reply(s, &opened);
}

/* [ASP-CLOSE-4] */
static void open_document(struct session *s, const struct athena_message *request) {
    struct athena_error error = {0};
    struct open_document *d = calloc(1, sizeof *d);
    enum athena_code code =
        d ? documents_acquire(s->host->documents, &d->document, request->doc, &d->reader, &error)
          : ATHENA_UNAVAILABLE;
    if (code) {
        free(d);
        session_refuse_for_store(s, request, code, &error);
        return;
    }
    d->reader.wake = wake_reader;
    d->session = s;
    d->next = s->documents;
    s->documents = d;
    s->documents_len++;
    answer_opened(s, request, d);
}

/* [ASP-ISO-3] [ASP-ABUSE-2] */
static void refuse_proof(struct session *s, const struct athena_message *request) {
    s->host->counters.forbidden++;
    session_refuse(s, request, ATHENA_FORBIDDEN, "", "the proof does not hold for this document");
    if (++s->forbidden == FORBIDDEN_MAX)
        session_close_with(s, CLOSE_REFUSED); /* [ASP-ABUSE-1] */
}

/* In the order of [ASP-OPEN-1]; any number of documents up to the limit [ASP-MODEL-6]. */
static void on_open(struct session *s, const struct athena_message *request) {
    if (session_document(s, request->doc))
        session_refuse(s, request, ATHENA_ALREADY_OPEN, "", "open on this connection already");
    else if (s->documents_len >= s->host->limits.docs)
        session_refuse(s, request, ATHENA_LIMIT, "", "too many documents open on this connection");
    else if (!s->host->is_authority(s->host, request->authority))
        session_refuse(s, request, ATHENA_WRONG_AUTHORITY, "",
                       "the authority is not a name of this server");
    else if (!athena_proof_verify(request->proof, request->doc, s->challenge, request->authority))
        refuse_proof(s, request);
    else
        open_document(s, request);
}

/* [ASP-CLOSE-2] [ASP-CLOSE-3] [ASP-CLOSE-5] */
static void on_close(struct session *s, const struct athena_message *request) {
    requests_forget(s, session_document(s, request->doc));
    struct athena_message closed = session_answer(request, ATHENA_CLOSED);
    session_reply(s, &closed);
}

/* ---- list ---- */

/* The position to list from, once its cursor has been checked [ASP-LIST-10] [ASP-CUR-2] [ASP-CUR-4]
 * [ASP-CUR-6]. */
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

/* [ASP-LIST-6] [ASP-LIST-7] [ASP-LIST-8] */
static void answer_listed(struct session *s, const struct open_document *d,
                          const struct athena_message *request, const struct store_page *page,
                          struct cursor cursor) {
    char cursor_text[CURSOR_TEXT_LEN + 1];
    struct athena_message listed = session_answer(request, ATHENA_LISTED);
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
        session_reply(s, &listed);
    else
        session_give_up(s);
    free(ids);
}

/* [ASP-LIST-1] [ASP-LIST-3] [ASP-LIST-4] [ASP-LIST-9] [ASP-MSG-21] */
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
    const struct open_document *d = session_document(s, request->doc);
    struct athena_error error = {0};
    struct store_page page = {0};
    struct cursor cursor;
    enum athena_code code = list_page(s, d, request, &page, &cursor, &error);
    if (code == ATHENA_UNKNOWN_CURSOR)
        session_refuse(s, request, code, "/after", "not a cursor of this document's log");
    else if (code)
        session_refuse_for_store(s, request, code, &error);
    else
        answer_listed(s, d, request, &page, cursor);
    store_page_fini(&page);
}

/* ---- get ---- */

/* Fills changes and missing for a beginning of the ids that fits one message [ASP-GET-2]
 * [ASP-GET-1] [ASP-GET-3]. */
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
    const struct open_document *d = session_document(s, request->doc);
    struct athena_error error = {0};
    struct store_page page = {0};
    size_t missing_len = 0;
    struct athena_text_view *missing = calloc(request->ids_len, sizeof *missing);
    enum athena_code code = missing
                                ? get_changes(s, d, request, &page, missing, &missing_len, &error)
                                : ATHENA_UNAVAILABLE;
    if (code) {
        session_refuse_for_store(s, request, code, &error);
    } else {
        struct athena_message got = session_answer(request, ATHENA_GOT);
        got.changes = page.changes;
        got.changes_len = page.len;
        got.ids = missing;
        got.ids_len = missing_len;
        session_reply(s, &got);
    }
    free(missing);
    store_page_fini(&page);
}

/* ---- All of them ---- */

void requests_answer(struct session *s, const struct athena_message *request) {
    static void (*const handlers[ATHENA_TYPE_COUNT])(struct session *,
                                                     const struct athena_message *) = {
        [ATHENA_OPEN] = on_open,
        [ATHENA_LIST] = on_list,
        [ATHENA_GET] = on_get,
        [ATHENA_CLOSE] = on_close,
    };
    handlers[request->type](s, request);
}

/* [ASP-ISO-1] [ASP-ISO-2] [ASP-GET-6] [ASP-PUSH-8] */
enum athena_code requests_check(const struct session *s, const struct athena_message *request,
                                struct athena_error *error) {
    if (request->type != ATHENA_OPEN && !session_document(s, request->doc)) {
        *error = (struct athena_error){ATHENA_NOT_OPEN, "", "not open on this connection"};
    } else if (request->changes_len > s->host->limits.batch) {
        *error = (struct athena_error){ATHENA_LIMIT, "/changes", "more than limits.batch"};
    } else if (request->ids_len > s->host->limits.batch) {
        *error = (struct athena_error){ATHENA_LIMIT, "/ids", "more than limits.batch"};
    }
    return error->code;
}
