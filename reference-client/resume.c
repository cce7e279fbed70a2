/*
 * The resume of section 12.3: find out, by as little as possible, what each side lacks.
 *
 *   a  equal digest ─────────────────────────────────────────────┐
 *   b  list behind the cursor ── equal ──────────────────────────┤
 *   c  list ids from the start, replace known ── equal ──────────┤
 *   d  list whole changes from the start, replace known ── or not┤
 *   e                                            push what is lacking, go live
 *
 * Changes that come live meanwhile enter `known` at once but are kept apart from the comparison
 * with `opened`, which speaks of the log before them [ASP-CLI-14].
 */
#include "reference-client/session_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `known` without what was learned live [ASP-CLI-13]. */
static bool is_equal_to_opened(const struct session *s) {
    struct athena_digest before = s->server.known;
    athena_digest_remove(&before, s->live_share.sum);
    before.count = s->server.known.count - s->live_share.count;
    return athena_digest_equal(&before, &s->opened);
}

static void send_list(struct session *s, const char *after) {
    struct request *request = session_request(s, REQUEST_LIST);
    if (!request)
        return;
    struct athena_message list = {
        .type = ATHENA_LIST,
        .has_after = *after != '\0',
        .cursor = {after, strlen(after)},
        .with_data = s->lists_data,
    };
    session_send(s, &list, request);
}

static void begin_listing(struct session *s, enum resume_step step, bool with_data) {
    s->step = step;
    s->lists_data = with_data;
    s->lists_from_start = step != STEP_B || s->server.cursor[0] == '\0';
    s->listed_count = 0;
    number_set_fini(&s->listed);
    snprintf(s->page_cursor, sizeof s->page_cursor, "%s",
             s->lists_from_start ? "" : s->server.cursor);
    send_list(s, s->page_cursor);
}

/* Whether there is any change here at all; without one, whole changes are wanted at once. */
static bool holds_nothing(struct session *s) {
    struct replica_change first;
    return replica_next(s->replica, 0, &first, NULL) == ATHENA_OK && first.number == 0;
}

/* ---- Steps a and e ---- */

static bool adopt(struct session *s, const char *cursor) {
    struct athena_error error;
    struct replica_server server = s->server;
    snprintf(server.cursor, sizeof server.cursor, "%s", cursor);
    enum athena_code code = replica_begin(s->replica, &error);
    if (!code)
        code = replica_save_server(s->replica, &server, &error);
    code = replica_finish(s->replica, code, &error);
    if (code)
        session_storage_fault(s, &error);
    else
        s->server = server;
    return !code;
}

static bool adopt_opened(struct session *s) {
    s->has_adopted = true;
    return strcmp(s->server.cursor, s->opened_cursor) == 0 || adopt(s, s->opened_cursor);
}

/* The server and `known` were found equal, or the resume gave up: on to step e. */
static void complete(struct session *s) {
    s->step = STEP_NONE;
    s->state = LIVE;
    s->failures = 0; /* [ASP-CLI-41] */
    number_set_fini(&s->listed);
    number_set_fini(&s->live);
    outbox_push(s);
}

/* [ASP-CLI-10] [ASP-CLI-11] */
void resume_begin(struct session *s) {
    if (is_equal_to_opened(s)) {
        if (adopt_opened(s))
            complete(s);
        return;
    }
    bool is_first = s->server.known.count == 0; /* nothing to replace: the start is a cursor */
    bool has_cursor = s->server.cursor[0] != '\0';
    begin_listing(s, has_cursor || is_first ? STEP_B : STEP_C, !has_cursor && holds_nothing(s));
}

/* [ASP-CLI-17] */
void resume_on_unknown_cursor(struct session *s) {
    if (s->step != STEP_B || !s->server.cursor[0])
        session_protocol_fault(s, "unknown-cursor for a cursor of this very listing");
    else if (adopt(s, ""))
        begin_listing(s, STEP_C, holds_nothing(s));
}

/* ---- The end of a listing ---- */

/* Steps c and d: `known` becomes what was listed, and what came live since. What came live may have
 * been in the `known` of before, when the server lost it and got it again: its share is new, too.
 */
static bool replace_known(struct session *s) {
    struct athena_error error;
    struct replica_server server = s->server;
    struct athena_digest live_share;
    enum athena_code code = replica_begin(s->replica, &error);
    if (!code)
        code =
            replica_replace_known(s->replica, &server, &s->listed, &s->live, &live_share, &error);
    if (!code)
        code = replica_save_server(s->replica, &server, &error);
    code = replica_finish(s->replica, code, &error);
    if (code) {
        session_storage_fault(s, &error);
        return false;
    }
    s->server = server;
    s->live_share = live_share;
    return true;
}

/* [ASP-CLI-15] */
static void next_step(struct session *s) {
    if (!s->lists_from_start) {
        begin_listing(s, STEP_C, false);
    } else if (!s->lists_data) {
        begin_listing(s, STEP_D, true);
    } else {
        session_fault(s, "the server's digest is not that of the changes it lists");
        complete(s);
    }
}

static void end_listing(struct session *s) {
    if (s->step != STEP_B && !replace_known(s))
        return;
    if (!is_equal_to_opened(s))
        next_step(s);
    else if (s->has_gap || adopt_opened(s))
        complete(s);
}

/* ---- Pages ---- */

/* A page and all it named are durable [ASP-LIST-12]. */
static void end_page(struct session *s) {
    if (s->step == STEP_B && !s->has_gap && !adopt(s, s->page_cursor))
        return;
    if (s->page_more)
        send_list(s, s->page_cursor);
    else
        end_listing(s);
}

/* Whole changes: the next page is asked for before this one is stored. */
static void take_page(struct session *s, const struct athena_message *message) {
    char cursor[ATHENA_CURSOR_TEXT_MAX + 1];
    snprintf(cursor, sizeof cursor, "%s", s->page_cursor);
    bool is_last = !s->page_more;
    if (!is_last)
        send_list(s, cursor);
    if (s->state != RESUMING)
        return;
    bool adopts = s->step == STEP_B && !s->has_gap; /* [ASP-CLI-22] */
    if (intake_changes(s, message->changes, message->changes_len, adopts ? cursor : NULL) &&
        is_last)
        end_listing(s);
}

/* An id the server has named: known when it is held; false when it has to be got. */
static enum athena_code note_id(struct session *s, struct athena_text_view id, bool *is_held,
                                struct athena_error *error) {
    struct replica_change change;
    enum athena_code code = replica_find(s->replica, id, &change, error);
    *is_held = !code && change.number != 0;
    if (!*is_held)
        return code;
    if (s->step == STEP_B)
        return replica_learn(s->replica, &s->server, change.number, change.hash, error);
    return number_set_add(&s->listed, change.number) ? ATHENA_OK : ATHENA_NO_MEMORY;
}

/* Notes the ids that are held; moves the others to the front of `wanted` [ASP-GET-8]. */
static enum athena_code note_ids(struct session *s, const struct athena_message *message,
                                 struct athena_text_view *wanted, size_t *wanted_len,
                                 struct athena_error *error) {
    enum athena_code code = replica_begin(s->replica, error);
    if (code)
        return code;
    for (size_t i = 0; i < message->ids_len && !code; i++) {
        bool is_held;
        code = note_id(s, message->ids[i], &is_held, error);
        if (!code && !is_held)
            wanted[(*wanted_len)++] = message->ids[i];
    }
    if (!code)
        code = replica_save_server(s->replica, &s->server, error);
    return replica_finish(s->replica, code, error);
}

void resume_get(struct session *s, const struct athena_text_view *ids, size_t len,
                bool is_for_conflict) {
    size_t bytes = len * sizeof *ids;
    for (size_t i = 0; i < len; i++)
        bytes += ids[i].len;
    struct request *request = session_request(s, REQUEST_GET);
    if (!request)
        return;
    request->is_for_conflict = is_for_conflict;
    request->ids = malloc(bytes);
    if (!request->ids) {
        session_storage_fault(s, &(struct athena_error){ATHENA_NO_MEMORY, "", "out of memory"});
        return;
    }
    char *text = (char *)(request->ids + len);
    for (size_t i = 0; i < len; i++) {
        memcpy(text, ids[i].at, ids[i].len);
        request->ids[i] = (struct athena_text_view){text, ids[i].len};
        text += ids[i].len;
    }
    request->len = len;
    struct athena_message get = {.type = ATHENA_GET, .ids = request->ids, .ids_len = len};
    session_send(s, &get, request);
}

static void take_ids(struct session *s, const struct athena_message *message) {
    struct athena_error error = {ATHENA_NO_MEMORY, "", "out of memory"};
    struct replica_server before = s->server;
    size_t len = 0;
    struct athena_text_view *wanted = calloc(message->ids_len + 1, sizeof *wanted);
    if (!wanted || note_ids(s, message, wanted, &len, &error)) {
        s->server = before;
        session_storage_fault(s, &error);
    } else if (len > 0) {
        resume_get(s, wanted, len, false);
    } else {
        end_page(s);
    }
    free(wanted);
}

/* What is wrong with a page, or NULL. */
static const char *page_fault(struct session *s, const struct athena_message *message) {
    if (s->state != RESUMING || message->with_data != s->lists_data)
        return "a page of another kind than was asked for";
    s->listed_count += message->with_data ? message->changes_len : message->ids_len;
    if (s->listed_count > s->opened.count) /* [ASP-CLI-48] */
        return "a listing of more changes than the server said it has";
    if (message->more && message->cursor.len == strlen(s->page_cursor) &&
        memcmp(message->cursor.at, s->page_cursor, message->cursor.len) == 0)
        return "a page that ends where it began";
    return NULL;
}

void resume_on_listed(struct session *s, const struct athena_message *message) {
    const char *fault = page_fault(s, message);
    if (fault) {
        session_protocol_fault(s, fault);
        return;
    }
    s->page_more = message->more;
    snprintf(s->page_cursor, sizeof s->page_cursor, "%.*s", (int)message->cursor.len,
             message->cursor.at);
    if (s->lists_data)
        take_page(s, message);
    else
        take_ids(s, message);
}

void resume_on_got_all(struct session *s) {
    if (s->state == RESUMING)
        end_page(s);
}
