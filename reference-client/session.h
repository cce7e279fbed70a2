/*
 * A replica's side of the protocol, without any I/O: what the transport tells and the time go in;
 * messages, events, connection attempts and deadlines come out.
 *
 *   OFF ──start──▶ WAITING ──delay over──▶ CONNECTING ──connected──▶ GREETING ──welcome──▶ OPENING
 *                    ▲                                                                     │ opened
 *                    └──── any ending, any failure ◀──── LIVE ◀──── RESUMING (b, c, d) ◀───┘
 *
 * After `opened` the steps a to e of section 12.3 run (resume.c), what is received is stored
 * (intake.c), and what the server lacks is pushed (outbox.c).
 */
#ifndef REFERENCE_CLIENT_SESSION_H
#define REFERENCE_CLIENT_SESSION_H

#include "reference-client/athena_sync.h"
#include "reference-client/replica.h"

struct session;

/* What a session needs from the world. All calls come from within a session_ function. */
struct session_host {
    void *ctx;
    /* Dial. session_connected or session_disconnected is to follow, later. */
    void (*connect)(void *ctx);
    /* Queue a text message. */
    void (*send)(void *ctx, struct athena_text_view json);
    /* End the connection; nothing of it may come any more. */
    void (*drop)(void *ctx, uint16_t close_code);
    void (*event)(void *ctx, const struct athena_sync_event *event);
    uint32_t (*random)(void *ctx);
};

struct session_times {
    uint64_t backoff_first_ms; /* bound of the first delay [ASP-CLI-39] */
    uint64_t backoff_max_ms;
    uint64_t greeting_ms; /* from dialling to `opened` [ASP-WS-36] */
    uint64_t idle_ms;     /* without progress: probe [ASP-WS-33] */
    uint64_t probe_ms;    /* and then lost [ASP-WS-35] */
    uint64_t settled_ms;  /* a connection that lasted so long was a success [ASP-CLI-41] */
};
extern const struct session_times session_default_times;

/* Borrows all; the authority is that of the URL dialled. NULL without memory. */
struct session *session_new(const struct session_host *host, const struct session_times *times,
                            struct replica *replica, const struct athena_keys *keys,
                            struct athena_text_view authority);
void session_free(struct session *session);

/* From now on stay connected; at once, also when a delay runs. */
void session_start(struct session *session, uint64_t now_ms);
/* Stay away. */
void session_stop(struct session *session, uint64_t now_ms);

void session_connected(struct session *session, uint64_t now_ms);
void session_receive(struct session *session, struct athena_text_view json, uint64_t now_ms);
/* A connection ended, or an attempt failed; why. Ignored when the session knows already. */
void session_disconnected(struct session *session, const struct athena_error *why, uint64_t now_ms);
/* Bytes went out. They show that the connection is not idle, not that the server lives: what a
 * half-open connection is given still goes out [ASP-WS-35]. */
void session_sent(struct session *session, uint64_t now_ms);
/* Bytes came, of a message that may not be whole yet. */
void session_received(struct session *session, uint64_t now_ms);
/* The application has added changes to the outbox, or taken some out. */
void session_added(struct session *session, uint64_t now_ms);

uint64_t session_deadline_ms(const struct session *session); /* UINT64_MAX: none */
void session_tick(struct session *session, uint64_t now_ms);

bool session_is_connected(const struct session *session);
/* While an event is told: the lowest number of a change that is stored and still to be told; 0:
 * none.
 */
uint64_t session_untold(const struct session *session);
/* Resumed, nothing waits to be pushed, nothing is unanswered. */
bool session_is_in_sync(const struct session *session);

#endif
