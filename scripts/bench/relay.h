/*
 * Stands between a client and the server, one connection after the other, passes bytes on as they
 * come, and counts them. It reads frames only to find where messages begin and who speaks.
 *
 *   client ◀──▶ relay (a thread) ◀──▶ server
 */
#ifndef BENCH_RELAY_H
#define BENCH_RELAY_H

#include "protocol/athena_protocol.h"

struct relay;

/* What passed on one connection. */
struct relay_count {
    size_t bytes_up;    /* of frames from the client */
    size_t bytes_down;  /* of frames to the client */
    size_t bytes_http;  /* of the handshake, both ways */
    size_t round_trips; /* after `welcome`: how often the client spoke and was answered */
    double session_s;   /* from `welcome` to the last message */
};

/* Listens on a port of the system's choice; relay_authority is what clients dial. */
struct relay *relay_start(void);
const char *relay_authority(const struct relay *relay);
/* Serves connections from now on; `server` is borrowed. Once. */
void relay_serve(struct relay *relay, const struct athena_url *server);
/* The next connection that has ended, in order; waits for it. */
struct relay_count relay_take(struct relay *relay);
void relay_end(struct relay *relay);

#endif
