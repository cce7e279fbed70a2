/*
 * One connection's protocol logic, without any I/O: complete messages, finished pushes and the time
 * go in; frames, pushes, deadlines and at last an ending come out.
 *
 *              session_receive            host->submit
 *   messages ─────────────────▶ session ─────────────────▶ pushes ──▶ store
 *   frames   ◀───────────────── session ◀─────────────────  (committed together)
 *              session_next_frame         session_pushed
 *
 * Requests are taken in order. Pushes may be under way while later pushes are taken in; any other
 * request waits until those before it are done, so that replies keep the order of requests
 * [ASP-MSG-17] [ASP-MSG-18]. What a session holds is bounded: it takes no input while too much
 * waits to be sent or stored [ASP-FLOW-1] [ASP-FLOW-2].
 */
#ifndef REFERENCE_SERVER_SESSION_H
#define REFERENCE_SERVER_SESSION_H

#include "reference-server/document.h"
#include "reference-server/push.h"

struct session;

/* Counted over all sessions, for the operator. */
struct session_counters {
    uint64_t messages;
    uint64_t opened;
    uint64_t forbidden;
    uint64_t refused; /* requests answered with an error */
    uint64_t changes_stored;
    uint64_t changes_duplicate;
    uint64_t changes_rejected;
    uint64_t changed_frames;
};

/* What all sessions of a server share; made by the server, or by a test. */
struct session_host {
    struct athena_limits limits;
    struct athena_text_view server_name;
    uint64_t open_within_ms; /* to the first `opened` [ASP-ABUSE-3] */
    struct documents *documents;
    struct store *store;
    struct athena_decoder *spare_decoder; /* one given back, or NULL */
    struct session_counters counters;

    /* Whether a text is one of the server's own names [ASP-WS-40]. */
    bool (*is_authority)(const struct session_host *host, struct athena_text_view authority);
    /* Takes the push over; hands it to session_pushed when its outcome is certain. */
    void (*submit)(struct session_host *host, struct push *push);
    /* The session has something to send, or may take input again. */
    void (*wake)(struct session_host *host, void *connection);
    /* What an operator should know: the text of an error of the store. */
    void (*report)(struct session_host *host, const struct athena_error *error);
};

/* `connection` is handed back in wake. The `welcome` waits to be sent. NULL without memory. */
struct session *session_new(struct session_host *host, void *connection,
                            const uint8_t challenge[static ATHENA_CHALLENGE_BYTES],
                            uint64_t now_ms);
/* Pushes under way are finished without it. */
void session_free(struct session *session);

/* Whether a message may be handed in now; wake tells when that may have become true. */
bool session_takes_input(const struct session *session);
/* JSON bytes that the next message may have [ASP-LIM-6]. */
uint64_t session_message_bytes_max(const struct session *session);
/* A complete text message. Only while session_takes_input. */
void session_receive(struct session *session, struct athena_text_view json);
/* A push of any session of this host is done: replies, and makes its changes visible. Frees it. */
void session_pushed(struct session_host *host, struct push *push);

/* The next frame to send, or NULL. The caller owns one reference. */
struct frame *session_next_frame(struct session *session);

/* Whether a push of this session is under way: what its client waits for is this server. */
bool session_is_storing(const struct session *session);
/* 0, or the code to close with once there is no next frame. */
uint16_t session_close_code(const struct session *session);
/* Ends a session that has not opened in time. UINT64_MAX: no deadline. */
uint64_t session_deadline_ms(const struct session *session);
void session_tick(struct session *session, uint64_t now_ms);
/* Takes no more requests, finishes pushes, then says shutting-down and closes [ASP-STOP-1]. */
void session_stop(struct session *session);

#endif
