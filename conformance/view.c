#include "conformance/view.h"

#include "conformance/memory.h"

#include <stdlib.h>

struct view *view_new(unsigned connection, struct ledger *ledger) {
    struct view *view = memory_take(sizeof *view);
    *view = (struct view){.connection = connection, .ledger = ledger};
    return view;
}

static void free_marks(struct mark *marks, size_t len) {
    for (size_t i = 0; i < len; i++)
        free(marks[i].cursor);
    free(marks);
}

void view_free(struct view *view) {
    free_marks(view->marks, view->marks_len);
    free_marks(view->pages, view->pages_len);
    free(view->digest);
    free(view->cursor);
    free(view->live);
    free(view->owns);
    free(view->listed);
    free(view->start);
    free(view->next);
    free(view);
}

/* ---- What comes ------------------------------------------------------------------------------ */

static void add_mark(struct mark **marks, size_t *len, const char *cursor, size_t after) {
    *marks = memory_grow(*marks, (*len + 1) * sizeof **marks);
    (*marks)[(*len)++] = (struct mark){memory_copy_text(cursor), after};
}

static void add_change(struct ledger_change ***changes, size_t *len, struct ledger_change *change) {
    *changes = memory_grow(*changes, (*len + 1) * sizeof(struct ledger_change *));
    (*changes)[(*len)++] = change;
}

void view_take_live(struct view *view, struct ledger_change *change) {
    add_change(&view->live, &view->live_len, change);
}

void view_end_live(struct view *view, const char *cursor) {
    add_mark(&view->marks, &view->marks_len, cursor, view->live_len);
}

void view_take_own(struct view *view, struct ledger_change *change) {
    view->owns = memory_grow(view->owns, (view->owns_len + 1) * sizeof *view->owns);
    view->owns[view->owns_len++] = (struct own){change, view->marks_len};
}

void view_begin_listing(struct view *view, const char *after) {
    free(view->start);
    free(view->next);
    free_marks(view->pages, view->pages_len);
    view->start = after != NULL ? memory_copy_text(after) : NULL;
    view->next = NULL;
    view->pages = NULL;
    view->listed_len = view->pages_len = 0;
}

void view_take_listed(struct view *view, struct ledger_change *change) {
    add_change(&view->listed, &view->listed_len, change);
}

void view_end_page(struct view *view, const char *cursor) {
    free(view->next);
    view->next = memory_copy_text(cursor);
    add_mark(&view->pages, &view->pages_len, cursor, view->listed_len);
}

const char *view_resume_cursor(const struct view *view) {
    if (!view->is_listed)
        return NULL;
    return view->marks_len > 0 ? view->marks[view->marks_len - 1].cursor : view->cursor;
}

/* ---- Against the log ------------------------------------------------------------------------- */

/* What came by when, at [position - 1] of each change; 0: it did not. */
struct arrivals {
    size_t *live; /* it was that change of those that came live, from 1 */
    size_t *own;  /* its `pushed` came before that live message, from 1 */
};

static struct arrivals index_arrivals(const struct view *view) {
    size_t len = view->ledger->log_len + 1;
    struct arrivals at = {memory_take(len * sizeof *at.live), memory_take(len * sizeof *at.own)};
    for (size_t i = 0; i < view->live_len; i++)
        if (view->live[i]->position != 0)
            at.live[view->live[i]->position - 1] = i + 1;
    for (size_t i = 0; i < view->owns_len; i++)
        if (view->owns[i].change->position != 0)
            at.own[view->owns[i].change->position - 1] = view->owns[i].after + 1;
    return at;
}

static void free_arrivals(struct arrivals *at) {
    free(at->live);
    free(at->own);
}

/* Up to `end`, what should have been told by `messages` live messages, which held `changes`, or by
 * a `pushed` before the last of them, and was not. */
static const struct ledger_change *find_absent(const struct view *view, const struct arrivals *at,
                                               size_t end, size_t changes, size_t messages) {
    for (size_t i = view->count; i < end && i < view->ledger->log_len; i++) {
        bool came_live = at->live[i] != 0 && at->live[i] <= changes;
        bool was_acknowledged = at->own[i] != 0 && at->own[i] <= messages;
        if (view->ledger->log[i] != NULL && !came_live && !was_acknowledged)
            return view->ledger->log[i];
    }
    return NULL;
}

const struct ledger_change *view_find_missing(const struct view *view) {
    struct arrivals at = index_arrivals(view);
    const struct ledger_change *missing =
        find_absent(view, &at, view->ledger->log_len, view->live_len, view->marks_len + 1);
    free_arrivals(&at);
    return missing;
}

const struct ledger_change *view_find_misplaced(const struct view *view) {
    size_t last = view->count;
    for (size_t i = 0; i < view->live_len; i++) {
        const struct ledger_change *change = view->live[i];
        if (change->position != 0 && change->position <= last)
            return change;
        last = change->position != 0 ? change->position : last;
    }
    return NULL;
}

const struct ledger_change *view_find_passed_over(const struct view *view) {
    const struct ledger_change *passed = NULL;
    struct arrivals at = index_arrivals(view);
    for (size_t m = 0; m < view->marks_len && passed == NULL; m++) {
        const struct ledger_cursor *cursor =
            ledger_find_cursor(view->ledger, view->marks[m].cursor);
        if (!cursor->is_unknown)
            passed = find_absent(view, &at, cursor->position, view->marks[m].after, m + 1);
    }
    free_arrivals(&at);
    return passed;
}
