/*
 * athena-bench: how fast the reference server and client are on this machine, beside what the
 * machine itself can do.
 *
 *   main.c       options, the order of the measures
 *   limits.c     the machine: SQLite with the same rows, fdatasync, loopback, envelope cipher
 *   push.c pull.c reconnect.c fanout.c idle.c startup.c
 *                one measure each
 *   program.c    programs under measurement: start, first line, processor time, memory, end
 *   server.c     athena-syncd on a fresh folder
 *   replica.c    athena-sync on a fresh folder
 *   tube.c       a byte stream to the server, with TLS or without
 *   wire.c       one WebSocket connection of the load generator
 *   peer.c       the same with an open document
 *   corpus.c     a document's changes, sealed and framed before any clock starts
 *   relay.c      counts what passes between a client and the server
 *   series.c     medians
 *   report.c     the table and the JSON
 *   machine.c    what machine this is
 *   soak.c       endurance: not a measure, but a run that fails when the server does not stay as it
 * was
 *
 * The generator shares nothing with the clocks: messages are encoded and framed beforehand, and its
 * own processor time is reported wherever it competes with what is measured.
 */
#ifndef BENCH_H
#define BENCH_H

#include "scripts/bench/report.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct athena_decoder;

/* What every measure is given. */
struct bench {
    bool is_quick;         /* a few numbers in a few seconds: shows that all runs, not how fast */
    int runs;              /* of each measure; the table shows their median */
    const char *programs;  /* folder of athena-syncd and athena-sync */
    char folder[PATH_MAX]; /* ours alone, removed at the end */
    struct report report;
    struct athena_decoder *decoder; /* of the load generator */
};

enum { BENCH_PLAIN_BYTES = 100, BENCH_TIMEOUT_MS = 60000 };

/* Something did not go as it must: says so and ends the program with 1. Nothing is measured wrong
 * rather than not at all. */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bench_require_memory(const void *at);
/* Zeroed; free() it. */
void *bench_take(size_t count, size_t size) __attribute__((returns_nonnull));

double bench_now(void);            /* seconds of the monotonic clock */
double bench_processor_time(void); /* seconds that this process has used, all threads */

/* A name below the work folder that was not given before; the caller creates it. */
void bench_fresh_path(const struct bench *bench, char *path, size_t size, const char *stem);

/* The measures, in the order of the table. */
void measure_limits(struct bench *bench);
void measure_push(struct bench *bench);
void measure_pull(struct bench *bench);
void measure_reconnect(struct bench *bench);
void measure_fanout(struct bench *bench);
void measure_idle(struct bench *bench);
void measure_startup(struct bench *bench);

#endif
