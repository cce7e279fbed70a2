/* The library's own struct, shared by its files. */
#ifndef REFERENCE_CLIENT_ATHENA_SYNC_INTERNAL_H
#define REFERENCE_CLIENT_ATHENA_SYNC_INTERNAL_H

#include "reference-client/athena_sync.h"
#include "reference-client/session.h"
#include "reference-client/transport.h"

enum { PATH_MAX_BYTES = 4096 };

struct athena_sync {
    char key_path[PATH_MAX_BYTES];
    int lock_fd;
    int epoll_fd;
    int event_fd;
    int timer_fd;
    uint8_t secret[ATHENA_SECRET_BYTES];
    struct athena_keys keys;
    struct replica *replica;
    uint64_t
        unread; /* within athena_sync_each: the lowest number it has still to come to; 0: none */

    /* While connecting is wanted. */
    struct athena_url url;
    struct transport *transport;
    struct session *session;
    void (*event)(void *ctx, const struct athena_sync_event *event);
    void *event_ctx;
    bool has_added;
    bool is_in_service;
    bool wants_disconnect; /* asked for by an event's handler */
};

/* Fills *error and returns code. */
enum athena_code sync_fail(struct athena_error *error, enum athena_code code, const char *what,
                           const char *why);
/* athena_sync_service has something to do: changes were added to the outbox, or taken out. */
void sync_outbox_changed(struct athena_sync *sync);
struct athena_text_view sync_view(const char *text);
/* As athena_url_parse; ATHENA_BAD_URL also for one too long to be remembered. */
enum athena_code sync_parse_url(struct athena_url *parsed, const char *url,
                                struct athena_error *error);
/* What is kept about the server of a URL; key 0 when nothing is. ATHENA_BAD_URL. */
enum athena_code sync_find_server(struct athena_sync *sync, const char *url,
                                  struct replica_server *server, struct athena_error *error);

#endif
