/* Storing what a server sends: durable first, then the application is told [ASP-CLI-23]. */
#include "reference-client/session_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One change being taken in, and what its event will say once it is durable. */
struct taken {
    bool has_event;
    struct athena_sync_event event;
};

struct intake {
    struct session *session;
    bool is_live; /* from `changed`, not from a listing */
    struct taken *taken;
    uint8_t *plain; /* one allocation for all plaintexts */
    size_t plain_used;
};

/* ---- What the server holds ---- */

/* A listing from the start is replacing `known`. */
static bool is_replacing(const struct intake *in) {
    return !in->is_live && (in->session->step == STEP_C || in->session->step == STEP_D);
}

/* The server has shown bytes for a change that is held [ASP-CLI-25] [ASP-CLI-26]. */
static enum athena_code learn(struct intake *in, const struct replica_change *own,
                              struct athena_bytes_view data, bool *is_conflict,
                              struct athena_error *error) {
    struct session *s = in->session;
    if (is_replacing(in) && !number_set_add(&s->listed, own->number))
        return ATHENA_NO_MEMORY;
    return replica_learn_bytes(s->replica, &s->server, own, data, is_conflict, error);
}

/* What came live during a resume is left out of the comparison with `opened` [ASP-CLI-14]. */
static enum athena_code note_live(struct intake *in, const struct athena_digest *before,
                                  uint64_t number) {
    struct session *s = in->session;
    if (!in->is_live || s->state != RESUMING)
        return ATHENA_OK;
    uint64_t count = s->live_share.count + s->server.known.count - before->count;
    athena_digest_add(&s->live_share, s->server.known.sum);
    athena_digest_remove(&s->live_share, before->sum);
    s->live_share.count = count;
    return number_set_add(&s->live, number) ? ATHENA_OK : ATHENA_NO_MEMORY;
}

/* ---- One change ---- */

static void note_event(struct taken *taken, enum athena_sync_event_type type,
                       struct athena_text_view id) {
    taken->has_event = true;
    taken->event = (struct athena_sync_event){.type = type, .id = id};
}

static enum athena_code take_held(struct intake *in, const struct replica_change *own,
                                  const struct athena_change_view *change, struct taken *taken,
                                  struct athena_error *error) {
    bool is_conflict;
    struct athena_digest before = in->session->server.known;
    enum athena_code code = learn(in, own, change->data, &is_conflict, error);
    if (!code)
        code = note_live(in, &before, own->number);
    if (!code && is_conflict) {
        note_event(taken, ATHENA_SYNC_CONFLICT, change->id);
        taken->event.error = (struct athena_error){ATHENA_CONFLICT, "",
                                                   "the server holds other bytes under this id"};
    }
    return code;
}

/* Opens the envelope; what it refuses goes to quarantine [ASP-CLI-27] [ASP-ENV-2] [ASP-CLI-28]. */
static void open_change(struct intake *in, struct replica_change *stored, struct taken *taken) {
    uint8_t *plain = in->plain + in->plain_used;
    size_t plain_len;
    struct athena_error error;
    enum athena_code code = athena_envelope_open(plain, &plain_len, in->session->keys, stored->id,
                                                 stored->data, &error);
    if (code) {
        stored->state = CHANGE_QUARANTINED;
        note_event(taken, ATHENA_SYNC_QUARANTINED, stored->id);
        taken->event.error = error;
        return;
    }
    in->plain_used += plain_len;
    note_event(taken, ATHENA_SYNC_CHANGE, stored->id);
    taken->event.change.plain = (struct athena_bytes_view){plain, plain_len};
}

static enum athena_code take_new(struct intake *in, const struct athena_change_view *change,
                                 struct taken *taken, struct athena_error *error) {
    struct session *s = in->session;
    struct replica_change stored = {.id = change->id, .data = change->data};
    struct athena_digest before = s->server.known;
    open_change(in, &stored, taken);
    const char *reason = stored.state == CHANGE_QUARANTINED ? taken->event.error.text : NULL;
    enum athena_code code = replica_insert(s->replica, &stored, reason, &s->server, error);
    if (code)
        return code;
    if (is_replacing(in) && !number_set_add(&s->listed, stored.number))
        return ATHENA_NO_MEMORY;
    taken->event.change.number = stored.number;
    taken->event.change.id = change->id;
    return note_live(in, &before, stored.number);
}

/* Whether the envelope that is held was refused; one that the application refused does open. */
static bool is_refused(const struct intake *in, const struct replica_change *own) {
    size_t len;
    uint8_t *plain = malloc(own->data.len + 1);
    bool opens = !plain || athena_envelope_open(plain, &len, in->session->keys, own->id, own->data,
                                                NULL) == ATHENA_OK;
    free(plain);
    return !opens;
}

/* Bytes for an id of which only an envelope in quarantine is held: when they are better, that takes
 * on their place, and then the server has shown what is held [ASP-CLI-47]. */
static enum athena_code mend(struct intake *in, struct replica_change *own,
                             const struct athena_change_view *change, struct taken *taken,
                             struct athena_error *error) {
    struct replica_change mended = {
        .number = own->number, .id = change->id, .data = change->data, .is_own = own->is_own};
    size_t plain_used = in->plain_used;
    open_change(in, &mended, taken);
    if (mended.state == CHANGE_QUARANTINED || !is_refused(in, own)) {
        in->plain_used = plain_used;
        taken->has_event = false;
        return ATHENA_OK;
    }
    enum athena_code code = replica_replace(in->session->replica, &mended, error);
    taken->event.change.number = mended.number;
    taken->event.change.id = change->id;
    *own = mended;
    return code;
}

static enum athena_code take_one(struct intake *in, const struct athena_change_view *change,
                                 struct taken *taken, struct athena_error *error) {
    struct replica_change own;
    enum athena_code code = replica_find(in->session->replica, change->id, &own, error);
    if (!code && own.number && own.state == CHANGE_QUARANTINED)
        code = mend(in, &own, change, taken, error);
    if (code)
        return code;
    return own.number ? take_held(in, &own, change, taken, error)
                      : take_new(in, change, taken, error);
}

/* ---- All of a message ---- */

/* [ASP-CLI-18] */
static enum athena_code take_all(struct intake *in, const struct athena_change_view *changes,
                                 size_t len, const char *cursor, struct athena_error *error) {
    struct session *s = in->session;
    enum athena_code code = replica_begin(s->replica, error);
    if (code)
        return code;
    for (size_t i = 0; i < len && !code; i++)
        code = take_one(in, &changes[i], &in->taken[i], error);
    if (cursor)
        snprintf(s->server.cursor, sizeof s->server.cursor, "%s", cursor);
    if (!code)
        code = replica_save_server(s->replica, &s->server, error);
    return replica_finish(s->replica, code, error);
}

static bool prepare(struct intake *in, const struct athena_change_view *changes, size_t len) {
    size_t bytes = 1;
    for (size_t i = 0; i < len; i++)
        bytes += changes[i].data.len;
    in->taken = calloc(len + 1, sizeof *in->taken);
    in->plain = malloc(bytes);
    return in->taken && in->plain;
}

/* The number of the first change among these that the application is to be told of; 0: none. */
static uint64_t first_change(const struct taken *taken, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (taken[i].has_event && taken[i].event.type == ATHENA_SYNC_CHANGE)
            return taken[i].event.change.number;
    return 0;
}

static void tell(const struct intake *in, size_t len) {
    for (size_t i = 0; i < len; i++) {
        in->session->untold = first_change(in->taken + i + 1, len - i - 1);
        if (in->taken[i].has_event)
            session_event(in->session, &in->taken[i].event);
    }
}

static bool take(struct session *s, const struct athena_change_view *changes, size_t len,
                 bool is_live, const char *cursor) {
    struct intake in = {.session = s, .is_live = is_live};
    struct athena_error error = {ATHENA_NO_MEMORY, "", "out of memory"};
    struct replica_server before = s->server;
    bool ok =
        prepare(&in, changes, len) && take_all(&in, changes, len, cursor, &error) == ATHENA_OK;
    if (ok) {
        tell(&in, len);
    } else {
        s->server = before;
        session_storage_fault(s, &error);
    }
    free(in.taken);
    free(in.plain);
    return ok;
}

bool intake_changes(struct session *s, const struct athena_change_view *changes, size_t len,
                    const char *cursor) {
    return take(s, changes, len, false, cursor);
}

/* [ASP-MSG-24] */
void intake_on_changed(struct session *s, const struct athena_message *message) {
    char cursor[ATHENA_CURSOR_TEXT_MAX + 1];
    snprintf(cursor, sizeof cursor, "%.*s", (int)message->cursor.len, message->cursor.at);
    if (!session_is_connected(s)) {
        session_protocol_fault(s, "changed before opened");
        return;
    }
    /* Only behind an adopted `opened.cursor` is there no gap [ASP-CLI-21]. */
    bool adopts = s->state == LIVE && s->has_adopted;
    take(s, message->changes, message->changes_len, true, adopts ? cursor : NULL);
}

/* ---- got ---- */

static bool text_equal(struct athena_text_view a, struct athena_text_view b) {
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* Whether the answer is for a beginning of what was asked, and how long that is. */
static bool is_beginning(const struct request *request, const struct athena_message *got) {
    size_t changes = 0;
    size_t missing = 0;
    while (changes + missing < request->len) {
        struct athena_text_view asked = request->ids[changes + missing];
        if (changes < got->changes_len && text_equal(got->changes[changes].id, asked))
            changes++;
        else if (missing < got->ids_len && text_equal(got->ids[missing], asked))
            missing++;
        else
            break;
    }
    return changes == got->changes_len && missing == got->ids_len && changes + missing > 0;
}

static void report_missing(struct session *s, const struct athena_message *got) {
    for (size_t i = 0; i < got->ids_len; i++) {
        char text[256];
        snprintf(text, sizeof text, "the server listed %.*s and does not have it",
                 (int)got->ids[i].len, got->ids[i].at);
        session_fault(s, text); /* [ASP-CLI-16] */
        s->has_gap = true;
    }
}

/* [ASP-GET-7] */
void intake_on_got(struct session *s, struct request *request,
                   const struct athena_message *message) {
    if (!is_beginning(request, message)) {
        session_protocol_fault(s, "an answer for other ids than were asked for");
        return;
    }
    if (!intake_changes(s, message->changes, message->changes_len, NULL))
        return;
    report_missing(s, message);
    size_t done = message->changes_len + message->ids_len;
    if (done < request->len)
        resume_get(s, request->ids + done, request->len - done, request->is_for_conflict);
    else if (!request->is_for_conflict)
        resume_on_got_all(s);
}
