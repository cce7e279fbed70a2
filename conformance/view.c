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

/* At [position - 1]: how many changes had come live with that one; 0: it did not. free() it. */
static size_t *index_live(const struct view *view) {
    size_t *at = memory_take((view->ledger->log_len + 1) * sizeof *at);
    for (size_t i = 0; i < view->live_len; i++)
        if (view->live[i]->position != 0)
            at[view->live[i]->position - 1] = i + 1;
    return at;
}

/* Up to `end`, what should have been among the first `len` live changes, and was not. */
static const struct ledger_change *find_absent(const struct view *view, const size_t *at,
                                               size_t end, size_t len) {
    for (size_t i = view->count; i < end && i < view->ledger->log_len; i++) {
        const struct ledger_change *change = view->ledger->log[i];
        if (change != NULL && (at[i] == 0 || at[i] > len) &&
            !ledger_was_pushed_by(change, view->connection))
            return change;
    }
    return NULL;
}

const struct ledger_change *view_find_missing(const struct view *view) {
    size_t *at = index_live(view);
    const struct ledger_change *missing =
        find_absent(view, at, view->ledger->log_len, view->live_len);
    free(at);
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
    size_t *at = index_live(view);
    for (size_t m = 0; m < view->marks_len && passed == NULL; m++) {
        const struct ledger_cursor *cursor =
            ledger_find_cursor(view->ledger, view->marks[m].cursor);
        if (!cursor->is_unknown)
            passed = find_absent(view, at, cursor->position, view->marks[m].after);
    }
    free(at);
    return passed;
}
