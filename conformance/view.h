/* What one connection was told of one document since it opened it, against what the log holds. */
#ifndef CONFORM_VIEW_H
#define CONFORM_VIEW_H

#include "conformance/ledger.h"

/* A cursor that was given after so many changes had come. */
struct mark {
    char *cursor;
    size_t after;
};

/* A change whose `pushed` came after so many live messages. */
struct own {
    struct ledger_change *change;
    size_t after;
};

struct view {
    unsigned connection;
    struct ledger *ledger; /* borrowed */
    bool is_closed;
    bool is_listed; /* up to the opened position */
    unsigned asked; /* the moment of `open` */
    size_t count;   /* of `opened`, as the next two */
    char *digest;
    char *cursor;
    struct ledger_change **live; /* in the order they were relayed */
    size_t live_len;
    struct mark *marks; /* of live messages */
    size_t marks_len;
    struct own *owns; /* what this connection's pushes stored */
    size_t owns_len;
    /* The listing under way. */
    struct ledger_change **listed;
    size_t listed_len;
    char *start; /* its first `after`; NULL: the beginning of the log */
    char *next;  /* the `after` that goes on with it; NULL: none is under way */
    struct mark *pages;
    size_t pages_len;
};

struct view *view_new(unsigned connection, struct ledger *ledger);
void view_free(struct view *view);

void view_take_live(struct view *view, struct ledger_change *change);
void view_end_live(struct view *view, const char *cursor); /* of the message */
/* A `pushed` says that a push of this connection stored it. */
void view_take_own(struct view *view, struct ledger_change *change);

/* A listing begins; `after` NULL: with the log. */
void view_begin_listing(struct view *view, const char *after);
void view_take_listed(struct view *view, struct ledger_change *change);
/* A page ends, and another one follows it. */
void view_end_page(struct view *view, const char *cursor);

/* The last cursor that a client may resume from; NULL: none. */
const char *view_resume_cursor(const struct view *view);

/* Against the log, as far as it is known. Each returns NULL when there is none. */
const struct ledger_change *view_find_missing(const struct view *view);   /* was not sent yet */
const struct ledger_change *view_find_misplaced(const struct view *view); /* came out of order */
/* A live cursor stands for it, and neither it nor its `pushed` had been sent. */
const struct ledger_change *view_find_passed_over(const struct view *view);

#endif
