#include "conformance/history.h"

#include "conformance/duty.h"
#include "conformance/memory.h"
#include "conformance/message.h"
#include "conformance/view.h"

#include <stdlib.h>
#include <string.h>

struct history {
    bool is_blind;
    bool was_killed;
    unsigned now;
    unsigned ended; /* the moment of the server's last end; 0: none */
    unsigned connections;
    cJSON *names; /* theirs, from number 1 on */
    struct ledger **ledgers;
    size_t ledgers_len;
    struct view **views;
    size_t views_len;
    cJSON *saved; /* {"name": moment} */
    char *wrong;  /* the last that was */
    char *fault;  /* the first, and whose */
    const char *fault_requirement;
};

struct history *history_new(void) {
    struct history *history = memory_take(sizeof *history);
    history->saved = cJSON_CreateObject();
    history->names = cJSON_CreateArray();
    return history;
}

void history_free(struct history *history) {
    if (history == NULL)
        return;
    for (size_t i = 0; i < history->views_len; i++)
        view_free(history->views[i]);
    for (size_t i = 0; i < history->ledgers_len; i++)
        ledger_free(history->ledgers[i]);
    free(history->views);
    free(history->ledgers);
    cJSON_Delete(history->saved);
    cJSON_Delete(history->names);
    free(history->wrong);
    free(history->fault);
    free(history);
}

void history_go_blind(struct history *history) {
    history->is_blind = true;
}

unsigned history_connect(struct history *history, const char *name) {
    cJSON_AddItemToArray(history->names, cJSON_CreateString(name));
    return ++history->connections;
}

/* ---- Finding --------------------------------------------------------------------------------- */

static const cJSON *list_of(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *name_of(const struct history *history, unsigned connection) {
    return cJSON_GetArrayItem(history->names, (int)connection - 1)->valuestring;
}

static struct ledger *ledger_of(struct history *history, const char *doc) {
    for (size_t i = 0; i < history->ledgers_len; i++)
        if (strcmp(history->ledgers[i]->doc, doc) == 0)
            return history->ledgers[i];
    history->ledgers =
        memory_grow(history->ledgers, (history->ledgers_len + 1) * sizeof(struct ledger *));
    return history->ledgers[history->ledgers_len++] = ledger_new(doc);
}

/* The latest one; NULL when the document is not open there. */
static struct view *view_of(const struct history *history, unsigned connection, const char *doc) {
    for (size_t i = history->views_len; i > 0; i--) {
        struct view *view = history->views[i - 1];
        if (view->connection == connection && strcmp(view->ledger->doc, doc) == 0)
            return view->is_closed ? NULL : view;
    }
    return NULL;
}

static struct view *add_view(struct history *history, unsigned connection, struct ledger *ledger) {
    history->views = memory_grow(history->views, (history->views_len + 1) * sizeof(struct view *));
    return history->views[history->views_len++] = view_new(connection, ledger);
}

/* ---- What is wrong --------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static const char *wrong(struct history *history,
                                                               const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    free(history->wrong);
    history->wrong = memory_format_list(format, arguments);
    va_end(arguments);
    return history->wrong;
}

static void note_fault(struct history *history, const char *who, const char *fault,
                       const char *requirement) {
    if (fault == NULL || history->fault != NULL)
        return;
    history->fault = memory_format("%s: %s", who, fault);
    history->fault_requirement = requirement;
}

const char *history_fault(const struct history *history, const char **requirement) {
    *requirement = history->fault_requirement;
    return history->fault;
}

/* What breaks when something that was there is gone. */
static const char *when_lost(const struct history *history, const char *otherwise) {
    return history->was_killed ? DUTY_AT("server=kill", "ASP-DUR-3") : otherwise;
}

/* A change that came from the server. */
static const char *see(struct history *history, struct ledger *ledger, const char *id,
                       const char *data, const char **requirement, struct ledger_change **seen) {
    struct ledger_change *change = ledger_find(ledger, id);
    *seen = change;
    if (change == NULL)
        return history->is_blind ? NULL : wrong(history, "nobody pushed %s", id);
    if (change->is_gone && !history->is_blind) {
        *requirement = DUTY_AT("server=kill server=stop", "ASP-LOG-8");
        return wrong(history, "%s was not in the log, was not pushed again, and is there now", id);
    }
    int version = data != NULL ? ledger_version(change, data) : LEDGER_UNKNOWN;
    if (data != NULL && version == LEDGER_UNKNOWN && !history->is_blind) {
        *requirement = DUTY("ASP-GET-4");
        return wrong(history, "%s has other bytes than anyone pushed", id);
    }
    if (ledger_hold(change, version, history->now) || history->is_blind)
        return NULL;
    *requirement = DUTY("ASP-LOG-4");
    return wrong(history, "%s has other bytes than it had before", id);
}

/* ---- push ------------------------------------------------------------------------------------ */

unsigned history_asked(struct history *history, const cJSON *request) {
    const cJSON *entry;
    const struct ledger_change *first = NULL;
    const struct ledger_change *before = NULL;
    history->now++;
    if (!message_is(request, "push"))
        return history->now;
    struct ledger *ledger = ledger_of(history, message_text(request, "doc"));
    cJSON_ArrayForEach(entry, list_of(request, "changes")) {
        if (*message_text(entry, "id") == '\0')
            continue;
        struct ledger_change *change = ledger_offer(ledger, message_text(entry, "id"),
                                                    message_text(entry, "data"), history->now);
        if (change->offers > 1)
            continue;
        change->push_first = first;
        change->push_before = before;
        first = first != NULL ? first : change;
        before = change;
    }
    return history->now;
}

/* "stored", "duplicate" or the code of the rejection. */
static const char *outcome(const cJSON *pushed, int index) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list_of(pushed, "duplicates")) {
        if (item->valueint == index)
            return "duplicate";
    }
    cJSON_ArrayForEach(item, list_of(pushed, "rejected")) {
        if (list_of(item, "index")->valueint == index)
            return message_text(item, "code");
    }
    return "stored";
}

static const char *judge_stored(struct history *history, struct ledger_change *change, int version,
                                unsigned asked, const char **requirement) {
    bool was_there = ledger_was_certain(change, asked);
    *requirement = was_there && change->held != version ? DUTY("ASP-LOG-4") : DUTY("ASP-LOG-2");
    if (was_there)
        return wrong(history, "%s is said to be stored now, and was in the log before", change->id);
    *requirement = DUTY("ASP-LOG-5");
    if (change->was_said_new)
        return wrong(history, "%s is said to be stored now, to two who pushed it", change->id);
    change->was_said_new = true;
    return NULL;
}

static const char *judge_entry(struct history *history, struct view *view,
                               struct ledger_change *change, const cJSON *pushed, int index,
                               int version, unsigned asked, const char **requirement) {
    const char *how = outcome(pushed, index);
    bool is_held = ledger_was_certain(change, asked) && change->held == version;
    *requirement = DUTY("ASP-PUSH-6");
    if (strcmp(how, "stored") == 0) {
        const char *fault = judge_stored(history, change, version, asked, requirement);
        if (fault != NULL)
            return fault;
        if (view != NULL)
            view_take_own(view, change);
    } else if (strcmp(how, "duplicate") == 0) {
        if (change->since == 0 && change->versions[version].offers < 2 && !history->is_blind)
            return wrong(history, "%s is said to be a duplicate, and was pushed once", change->id);
    } else if (strcmp(how, "conflict") == 0) {
        *requirement = DUTY("ASP-LOG-2");
        if (is_held)
            return wrong(history, "%s is said to conflict with the same bytes", change->id);
        *requirement = DUTY("ASP-PUSH-6");
        if (change->versions_len < 2 && !history->is_blind)
            return wrong(history, "%s is said to conflict, and has one content", change->id);
        return NULL;
    } else {
        return NULL;
    }
    *requirement = DUTY("ASP-LOG-4");
    return ledger_hold(change, version, history->now)
               ? NULL
               : wrong(history, "%s is acknowledged with other bytes than it has", change->id);
}

/* `view` NULL: the document is not open there. */
static const char *judge_pushed(struct history *history, struct view *view, const cJSON *request,
                                unsigned asked, const cJSON *pushed, const char **requirement) {
    struct ledger *ledger = ledger_of(history, message_text(request, "doc"));
    const char *fault = NULL;
    const cJSON *entry;
    int index = 0;
    cJSON_ArrayForEach(entry, list_of(request, "changes")) {
        struct ledger_change *change = ledger_find(ledger, message_text(entry, "id"));
        if (change != NULL)
            change->was_answered = true;
        if (change != NULL && fault == NULL)
            fault = judge_entry(history, view, change, pushed, index,
                                ledger_version(change, message_text(entry, "data")), asked,
                                requirement);
        index++;
    }
    return fault;
}

/* ---- open ------------------------------------------------------------------------------------ */

static const char *judge_digest(struct history *history, const struct view *view,
                                const char **requirement) {
    char *digest = history->is_blind ? NULL : ledger_digest(view->ledger, view->count);
    if (digest == NULL)
        return NULL;
    bool fits = strcmp(digest, view->digest) == 0;
    free(digest);
    *requirement = DUTY("ASP-DIG-1");
    return fits ? NULL
                : wrong(history, "the digest is not that of the %zu changes of the log",
                        view->count);
}

static const char *judge_count(struct history *history, const struct view *view,
                               const char **requirement) {
    struct ledger *ledger = view->ledger;
    size_t least = ledger_count_certain(ledger, view->asked);
    *requirement = DUTY("ASP-DIG-2");
    if (view->count > ledger->changes_len && !history->is_blind)
        return wrong(history, "the log has %zu changes, and only %zu were ever pushed", view->count,
                     ledger->changes_len);
    bool shrank = ledger->count_since < view->asked && view->count < ledger->count;
    if (view->count < least || shrank) {
        *requirement = when_lost(history, DUTY("ASP-DIG-2"));
        return wrong(history, "the log has %zu changes, and had %zu", view->count,
                     least > ledger->count ? least : ledger->count);
    }
    if (view->count > ledger->count) {
        ledger->count = view->count;
        ledger->count_since = history->now;
    }
    return NULL;
}

static const char *judge_opened(struct history *history, unsigned connection, unsigned asked,
                                const cJSON *opened, const char **requirement) {
    struct ledger *ledger = ledger_of(history, message_text(opened, "doc"));
    struct view *view = add_view(history, connection, ledger);
    view->asked = asked;
    view->count = (size_t)cJSON_GetNumberValue(list_of(opened, "count"));
    view->digest = memory_copy_text(message_text(opened, "digest"));
    view->cursor = memory_copy_text(message_text(opened, "cursor"));
    const char *fault = judge_count(history, view, requirement);
    if (fault == NULL)
        fault = judge_digest(history, view, requirement);
    if (fault != NULL || ledger_give_cursor(ledger, view->cursor, &view->count))
        return fault;
    *requirement = DUTY("ASP-CUR-2");
    return wrong(history, "the cursor stood for another position before");
}

/* ---- list ------------------------------------------------------------------------------------ */

static const char *judge_gap(struct history *history, const struct view *view, size_t from,
                             const char **requirement) {
    const struct ledger_cursor *start =
        view->start != NULL ? ledger_find_cursor(view->ledger, view->start) : NULL;
    size_t due = view->start == NULL                  ? 0
                 : start == NULL || start->is_unknown ? from
                                                      : start->position;
    if (due == from || (due > from && view->listed_len == 0))
        return NULL;
    *requirement = DUTY("ASP-LIST-1");
    return wrong(history, "%zu changes were listed of the %zu that follow", view->listed_len,
                 view->count > due ? view->count - due : 0);
}

/* The listing came to its end, and so its entries are the last ones up to the opened position. */
static const char *finish_listing(struct history *history, struct view *view,
                                  const char **requirement) {
    struct ledger *ledger = view->ledger;
    view->is_listed = true;
    *requirement = DUTY("ASP-LIST-1");
    if (view->listed_len > view->count)
        return wrong(history, "%zu changes were listed of %zu", view->listed_len, view->count);
    size_t from = view->count - view->listed_len;
    const char *fault = judge_gap(history, view, from, requirement);
    for (size_t i = 0; i < view->listed_len && fault == NULL && view->listed[i] != NULL; i++) {
        const char *contradiction = ledger_place(ledger, view->listed[i], from + i + 1);
        if (contradiction != NULL) {
            *requirement = when_lost(history, DUTY("ASP-LIST-1"));
            fault = wrong(history, "%s, listed at %zu: %s", view->listed[i]->id, from + i + 1,
                          contradiction);
        }
    }
    for (size_t i = 0; i < view->pages_len && fault == NULL; i++) {
        size_t position = from + view->pages[i].after;
        *requirement = DUTY("ASP-LIST-7");
        if (!ledger_give_cursor(ledger, view->pages[i].cursor, &position))
            fault = wrong(history, "the cursor of a page stood for another position before");
    }
    if (fault == NULL && view->start != NULL && view->listed_len > 0)
        ledger_give_cursor(ledger, view->start, &from);
    if (fault != NULL || !ledger_knows(ledger, view->count))
        return fault;
    for (size_t i = 0; i < ledger->changes_len; i++) {
        const struct ledger_change *change = ledger->changes[i];
        bool is_there = change->position != 0 && change->position <= view->count;
        if (!ledger_was_certain(change, view->asked) || is_there)
            continue;
        *requirement = when_lost(history, DUTY("ASP-LIST-1"));
        return wrong(history, "%s was in the log, and is not any more", change->id);
    }
    if (view->asked > history->ended)
        ledger_settle_gone(ledger, history->ended);
    return judge_digest(history, view, requirement);
}

static const char *judge_listed(struct history *history, struct view *view, const cJSON *request,
                                const cJSON *listed, const char **requirement) {
    const char *after = cJSON_GetStringValue(list_of(request, "after"));
    const cJSON *ids = list_of(listed, "ids");
    const cJSON *entries = ids != NULL ? ids : list_of(listed, "changes");
    const cJSON *entry;
    if (after != NULL && !history->is_blind && ledger_find_cursor(view->ledger, after) == NULL) {
        *requirement = DUTY("ASP-LIST-10");
        return wrong(history, "a cursor is accepted that was never given for this document");
    }
    if (view->next == NULL || after == NULL || strcmp(after, view->next) != 0)
        view_begin_listing(view, after);
    cJSON_ArrayForEach(entry, entries) {
        struct ledger_change *change = NULL;
        const char *id = ids != NULL ? entry->valuestring : message_text(entry, "id");
        const char *data = ids != NULL ? NULL : message_text(entry, "data");
        *requirement = DUTY("ASP-LIST-1");
        const char *fault = see(history, view->ledger, id, data, requirement, &change);
        if (fault != NULL)
            return fault;
        view_take_listed(view, change);
    }
    if (cJSON_IsTrue(list_of(listed, "more"))) {
        view_end_page(view, message_text(listed, "cursor"));
        ledger_give_cursor(view->ledger, view->next, NULL);
        return NULL;
    }
    *requirement = DUTY("ASP-LIST-8");
    if (strcmp(message_text(listed, "cursor"), view->cursor) != 0)
        return wrong(history, "the last page does not end at the cursor of opened");
    const char *fault = finish_listing(history, view, requirement);
    free(view->next);
    view->next = NULL;
    return fault;
}

static const char *judge_unknown_cursor(struct history *history, const cJSON *request,
                                        const char **requirement) {
    const struct ledger *ledger = ledger_of(history, message_text(request, "doc"));
    const struct ledger_cursor *cursor = ledger_find_cursor(ledger, message_text(request, "after"));
    *requirement = DUTY("ASP-CUR-2");
    return cursor == NULL || cursor->is_unknown
               ? NULL
               : wrong(history, "the cursor of position %zu is not accepted", cursor->position);
}

const char *history_resume(const struct history *history, unsigned connection, const char *doc) {
    const char *name = name_of(history, connection);
    const char *cursor = NULL;
    for (size_t i = history->views_len; i > 0 && cursor == NULL; i--) {
        const struct view *view = history->views[i - 1];
        if (view->connection != connection && strcmp(view->ledger->doc, doc) == 0 &&
            strcmp(name_of(history, view->connection), name) == 0)
            cursor = view_resume_cursor(view);
    }
    return cursor;
}

/* ---- get, changed ---------------------------------------------------------------------------- */

static const char *judge_got(struct history *history, const struct view *view, const cJSON *request,
                             unsigned asked, const cJSON *got, const char **requirement) {
    const cJSON *entry;
    struct ledger_change *change = NULL;
    const char *fault = NULL;
    cJSON_ArrayForEach(entry, list_of(got, "changes")) {
        *requirement = DUTY("ASP-GET-1");
        fault = see(history, view->ledger, message_text(entry, "id"), message_text(entry, "data"),
                    requirement, &change);
        if (fault != NULL)
            return fault;
    }
    cJSON_ArrayForEach(entry, list_of(got, "missing")) {
        change = ledger_find(view->ledger, entry->valuestring);
        if (change == NULL || !ledger_was_certain(change, asked))
            continue;
        *requirement = when_lost(history, DUTY("ASP-GET-3"));
        return wrong(history, "%s is in the log, and is said to be missing", change->id);
    }
    *requirement = DUTY("ASP-GET-1");
    return message_answers(request, got)
               ? NULL
               : wrong(history, "what came is no answer for a beginning of the ids");
}

static const char *judge_changed(struct history *history, unsigned connection, const cJSON *changed,
                                 const char **requirement) {
    struct view *view = view_of(history, connection, message_text(changed, "doc"));
    const cJSON *entry;
    history->now++;
    if (view == NULL)
        return NULL; /* the watch has said so */
    cJSON_ArrayForEach(entry, list_of(changed, "changes")) {
        struct ledger_change *change = NULL;
        *requirement = DUTY("ASP-LIVE-1");
        const char *fault = see(history, view->ledger, message_text(entry, "id"),
                                message_text(entry, "data"), requirement, &change);
        if (fault != NULL)
            return fault;
        if (change == NULL)
            continue;
        *requirement = DUTY("ASP-LIVE-4");
        if (change->position != 0 && change->position <= view->count)
            return wrong(history, "%s came live, and stands at %zu of the %zu opened", change->id,
                         change->position, view->count);
        view_take_live(view, change);
    }
    ledger_give_cursor(view->ledger, message_text(changed, "cursor"), NULL);
    view_end_live(view, message_text(changed, "cursor"));
    return NULL;
}

/* ---- Replies --------------------------------------------------------------------------------- */

static const char *judge_reply(struct history *history, unsigned connection, const cJSON *request,
                               unsigned asked, const cJSON *reply, const char **requirement) {
    struct view *view = view_of(history, connection, message_text(request, "doc"));
    history->now++;
    if (message_is(reply, "pushed"))
        return judge_pushed(history, view, request, asked, reply, requirement);
    if (message_is(reply, "opened"))
        return judge_opened(history, connection, asked, reply, requirement);
    if (strcmp(message_text(reply, "code"), "unknown-cursor") == 0)
        return judge_unknown_cursor(history, request, requirement);
    if (view == NULL)
        return NULL;
    if (message_is(reply, "listed"))
        return judge_listed(history, view, request, reply, requirement);
    if (message_is(reply, "got"))
        return judge_got(history, view, request, asked, reply, requirement);
    if (message_is(reply, "closed"))
        view->is_closed = true;
    return NULL;
}

void history_replied(struct history *history, unsigned connection, const cJSON *request,
                     unsigned asked, const cJSON *reply) {
    const char *requirement = NULL;
    const char *fault = judge_reply(history, connection, request, asked, reply, &requirement);
    note_fault(history, name_of(history, connection), fault, requirement);
}

void history_relayed(struct history *history, unsigned connection, const cJSON *changed) {
    const char *requirement = NULL;
    const char *fault = judge_changed(history, connection, changed, &requirement);
    note_fault(history, name_of(history, connection), fault, requirement);
}

/* ---- Orders and cursors of live changes -------------------------------------------------------
 */

static const char *judge_view(struct history *history, const struct view *view,
                              const char **requirement) {
    const struct ledger_change *change = view_find_misplaced(view);
    *requirement = DUTY_AT("settle server=restore", "ASP-LIVE-2");
    if (change != NULL)
        return wrong(history, "%s came live after a change that follows it in the log", change->id);
    change = view_find_passed_over(view);
    *requirement = DUTY_AT("settle server=restore", "ASP-LIVE-5");
    return change != NULL ? wrong(history, "a live cursor passes over %s", change->id) : NULL;
}

static void judge_views(struct history *history, const char *doc) {
    for (size_t i = 0; i < history->views_len; i++) {
        const char *requirement = NULL;
        const struct view *view = history->views[i];
        if (strcmp(view->ledger->doc, doc) != 0)
            continue;
        const char *fault = judge_view(history, view, &requirement);
        note_fault(history, name_of(history, view->connection), fault, requirement);
    }
}

/* ---- The server's process -------------------------------------------------------------------- */

void history_killed(struct history *history) {
    history->was_killed = true;
    history_stopped(history);
}

void history_stopped(struct history *history) {
    history->ended = ++history->now;
}

void history_saved(struct history *history, const char *name) {
    cJSON_DeleteItemFromObjectCaseSensitive(history->saved, name);
    cJSON_AddNumberToObject(history->saved, name, history->now++);
}

void history_restored(struct history *history, const char *name) {
    unsigned moment =
        (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(history->saved, name));
    for (size_t i = 0; i < history->ledgers_len; i++)
        judge_views(history, history->ledgers[i]->doc); /* as long as the log is what they saw */
    for (size_t i = 0; i < history->ledgers_len; i++)
        ledger_rewind(history->ledgers[i], moment);
    for (size_t i = 0; i < history->views_len; i++)
        view_free(history->views[i]); /* of connections that have ended */
    history->views_len = 0;
}

/* ---- The whole log --------------------------------------------------------------------------- */

const char *history_missing(const struct history *history, unsigned connection, const char *doc) {
    const struct view *view = view_of(history, connection, doc);
    const struct ledger_change *missing = view != NULL ? view_find_missing(view) : NULL;
    return missing != NULL ? missing->id : NULL;
}

static bool was_pushed_once(const struct ledger_change *change) {
    return change != NULL && change->offers == 1;
}

/* What one push brought stands in its order, and stands there whole or not at all. */
static const char *judge_pushes(struct history *history, const struct ledger *ledger,
                                const char **requirement) {
    for (size_t i = 0; i < ledger->changes_len; i++) {
        const struct ledger_change *change = ledger->changes[i];
        const struct ledger_change *before = change->push_before;
        const struct ledger_change *first = change->push_first;
        *requirement = DUTY_AT("settle", "ASP-PUSH-4");
        if (was_pushed_once(change) && was_pushed_once(before) && change->position != 0 &&
            before->position > change->position)
            return wrong(history, "%s stands before %s, which its push named first", change->id,
                         before->id);
        *requirement = DUTY_AT("settle", "ASP-PUSH-3");
        if (was_pushed_once(change) && was_pushed_once(first) && !change->was_answered &&
            (change->position == 0) != (first->position == 0))
            return wrong(history, "of the push of %s and %s one was stored", first->id, change->id);
    }
    return NULL;
}

void history_settle(struct history *history, const char *doc) {
    const char *requirement = NULL;
    const char *fault = judge_pushes(history, ledger_of(history, doc), &requirement);
    note_fault(history, "the log", fault, requirement);
    judge_views(history, doc);
}
