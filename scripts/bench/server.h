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
    struct athena_url url;
    double start_s; /* from fork to its first line */
};

/* On a fresh folder; `name` (may be NULL) is one more authority it answers to. */
void server_start(struct server *server, struct bench *bench, const char *name);
/* Again, on the folder it has. */
void server_restart(struct server *server, struct bench *bench, const char *name);
/* Ends it and removes its folder. */
void server_end(struct server *server);
/* The value of one of the numbers at /metrics; -1 when there is none of this name. */
double server_metric(const struct server *server, const char *name);

#endif
