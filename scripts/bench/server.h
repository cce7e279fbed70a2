/* The reference server, run for real on a fresh folder and a port of the system's choice. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "protocol/athena_protocol.h"
#include "scripts/bench/program.h"

#include <limits.h>

struct bench;

struct server {
    struct program program;
    char folder[PATH_MAX];
    const char *name;    /* an authority given at the start, or NULL */
    char cert[PATH_MAX]; /* with a key beside it; "": no TLS */
    char key[PATH_MAX];
    struct athena_url url;
    char url_text[ATHENA_AUTHORITY_TEXT_MAX + 8];
    double start_s; /* from fork to its first line */
};

/* On a fresh folder; `name` (may be NULL, is borrowed) is the authority that clients dial. */
void server_start(struct server *server, struct bench *bench, const char *name);
/* The same over TLS, with a certificate of its own making. */
void server_start_tls(struct server *server, struct bench *bench);
/* Again, on the folder it has. */
void server_restart(struct server *server, struct bench *bench);
/* What clients sign. */
const char *server_authority(const struct server *server);
/* Ends it and removes its folder. */
void server_end(struct server *server);
/* The value of one of the numbers at /metrics. */
double server_metric(const struct server *server, const char *name);

#endif
