/* Where the server listens, and under which names [ASP-WS-40]. */
#ifndef REFERENCE_SERVER_LISTENER_H
#define REFERENCE_SERVER_LISTENER_H

#include "reference-server/options.h"

#include <ev.h>
#include <libwebsockets.h>

enum { AUTHORITIES_MAX = OPTION_LIST_MAX * 3 };

struct listener {
    struct lws_vhost *vhost; /* takes over what is accepted */
    struct ev_loop *loop;
    ev_io readable;
    ev_timer pause; /* while nothing can be accepted */
    char url[300];
    bool is_closed;
};

struct listeners {
    struct listener at[OPTION_LIST_MAX];
    size_t len;
    char authorities[AUTHORITIES_MAX][ATHENA_AUTHORITY_TEXT_MAX + 1];
    size_t authorities_len;
};

/* Of server.c: one raw protocol. */
extern const struct lws_protocols server_protocols[];

/* Whether --listen, --authority and the TLS files can be what they have to be; opens nothing. */
bool listeners_check(const struct options *options);
/* Opens every --listen; false, with the reason in the log, when one cannot be. */
bool listeners_open(struct listeners *listeners, struct lws_context *context, struct ev_loop *loop,
                    const struct options *options);
/* Accepts no more; removes what a unix socket left in the file system. */
void listeners_close(struct listeners *listeners);
/* One `listening on URL` line each on standard output. */
void listeners_print(const struct listeners *listeners);

bool listeners_have_authority(const struct listeners *listeners, struct athena_text_view authority);

#endif
