/* What session.c, resume.c, intake.c and outbox.c share. */
#ifndef REFERENCE_CLIENT_SESSION_INTERNAL_H
#define REFERENCE_CLIENT_SESSION_INTERNAL_H

#include "reference-client/session.h"

enum {
    PUSHES_IN_FLIGHT_MAX = 4,
    CLOSE_NORMAL = 1000,
    CLOSE_FAULT = 4000,
};

enum session_state { OFF, WAITING, CONNECTING, GREETING, OPENING, RESUMING, LIVE };

/* Steps of a resume that list; a and e do not. */
enum resume_step { STEP_NONE, STEP_B, STEP_C, STEP_D };

enum request_kind { REQUEST_OPEN, REQUEST_LIST, REQUEST_GET, REQUEST_PUSH, REQUEST_PROBE };

/* A request that is not answered yet. */
struct request {
    struct request *next;
    uint64_t req;
    enum request_kind kind;
    bool is_for_conflict;         /* GET: of what a push found in conflict */
    struct athena_text_view *ids; /* GET; one allocation with their text */
    uint64_t *numbers;            /* PUSH */
    size_t len;                   /* of ids or numbers */
};

struct session {
    struct session_host host;
    struct session_times times;
    struct replica *replica;
    const struct athena_keys *keys;
    struct athena_text_view authority;
    struct athena_decoder *decoder;
    struct athena_buf out; /* the message being sent */

    enum session_state state;
    uint64_t now_ms;
    uint64_t next_attempt_ms; /* WAITING */
    /* What a server's retry_after_ms forbids, on whatever connection [ASP-ERR-6]. */
    uint64_t attempt_not_before_ms;
    uint64_t push_not_before_ms;
    uint64_t
        ending_retry_ms; /* of an `error` that answered no request, until the end it announces */
    uint64_t connected_ms;
    uint64_t progress_ms;
    uint64_t probed_ms; /* 0: no probe is out */
    unsigned failures;

    /* This connection. */
    struct athena_limits limits;
    struct request *requests;
    uint64_t next_req;
    struct replica_server server;
    struct athena_digest opened;
    char opened_cursor[ATHENA_CURSOR_TEXT_MAX + 1];

    /* The resume. */
    enum resume_step step;
    bool lists_data;
    bool lists_from_start;
    bool has_gap;          /* something listed could not be got: no cursor is adopted past it */
    uint64_t listed_count; /* by the pages of this listing */
    char page_cursor[ATHENA_CURSOR_TEXT_MAX + 1]; /* of the last page, or what was asked with */
    bool page_more;
    bool has_adopted;         /* opened.cursor, or all up to it */
    struct number_set listed; /* by steps c and d */
    struct number_set live;   /* learned live since `opened`, with their share of known */
    struct athena_digest live_share;
    uint64_t untold; /* while the changes of a message are told: the next of them; 0: none */

    /* The outbox. */
    uint64_t sent_through; /* numbers up to here were sent on this connection */
    unsigned pushes_in_flight;
    uint64_t push_retry_ms; /* 0: no delay */
    bool is_push_blocked;   /* by a fault, until the next connection */
    bool said_in_sync;
};

/* ---- session.c ---- */

/* Adds a request and returns it; NULL without memory, and the connection is then dropped. */
struct request *session_request(struct session *s, enum request_kind kind);
void session_send(struct session *s, struct athena_message *message, const struct request *request);
void session_event(struct session *s, const struct athena_sync_event *event);
void session_fault(struct session *s, const char *text);
/* What an `error` says, behind `what`, fit to be shown. */
struct athena_error session_refusal(const char *what, const struct athena_message *message);
/* How long its request must not be repeated: 0 when it does not say [ASP-ERR-6]. */
uint64_t session_retry_after_ms(const struct athena_message *message);
/* The same request may succeed later; a code that is not known counts as `internal` [ASP-ERR-4]. */
bool session_is_for_now(enum athena_code code);
/* The server broke the protocol: report, close with 4000, reconnect. */
void session_protocol_fault(struct session *s, const char *text);
/* Storage of this device failed: report, close, reconnect later. */
void session_storage_fault(struct session *s, const struct athena_error *error);

/* ---- resume.c ---- */

void resume_begin(struct session *s);
void resume_on_listed(struct session *s, const struct athena_message *message);
void resume_on_got_all(struct session *s);
void resume_on_unknown_cursor(struct session *s);
/* Asks for these ids; they are copied. */
void resume_get(struct session *s, const struct athena_text_view *ids, size_t len,
                bool is_for_conflict);

/* ---- intake.c ---- */

/* Stores received changes durably and then tells the application [ASP-CLI-23]. `cursor`, when not
 * NULL, is adopted in the same step. False when the connection was dropped. */
bool intake_changes(struct session *s, const struct athena_change_view *changes, size_t len,
                    const char *cursor);
void intake_on_changed(struct session *s, const struct athena_message *message);
void intake_on_got(struct session *s, struct request *request,
                   const struct athena_message *message);

/* ---- outbox.c ---- */

void outbox_push(struct session *s);
void outbox_on_pushed(struct session *s, const struct request *request,
                      const struct athena_message *message);
void outbox_on_refused(struct session *s, const struct athena_message *message);
bool outbox_is_empty(const struct session *s);

#endif
