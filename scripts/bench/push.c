/*
 * Durable push: changes of 100 bytes, every message sent without waiting for the ones before, and
 * the time until the last is acknowledged.
 */
#include "scripts/bench/bench.h"
#include "scripts/bench/limits.h"
#include "scripts/bench/peer.h"
#include "scripts/bench/server.h"

#include <stdio.h>

#define METRIC_COMMITS "athena_syncd_commits_total"

struct push_shape {
    const char *title;
    size_t per_message;
    size_t changes;
    double aim;
};

struct push_figures {
    struct series rate, server_share, generator_share, per_commit, sqlite;
};

static void push_once(struct bench *bench, struct server *server, const struct push_shape *shape,
                      struct push_figures *figures) {
    struct corpus corpus;
    struct peer peer;
    struct athena_buf frames = {0};
    corpus_init(&corpus);
    corpus_frame_pushes(&corpus, &frames, 0, shape->changes, shape->per_message);
    peer_open(&peer, bench, server, &corpus, 0);
    double commits = server_metric(server, METRIC_COMMITS);
    double server_start = program_processor_time(&server->program);
    double own_start = bench_processor_time(), start = bench_now();
    peer_push(&peer, &frames, (shape->changes + shape->per_message - 1) / shape->per_message);
    double wall = bench_now() - start, count = (double)shape->changes;
    series_add(&figures->rate, count / wall);
    series_add(&figures->generator_share, 100 * (bench_processor_time() - own_start) / wall);
    series_add(&figures->server_share,
               100 * (program_processor_time(&server->program) - server_start) / wall);
    double per_commit = count / (server_metric(server, METRIC_COMMITS) - commits);
    series_add(&figures->per_commit, per_commit);
    series_add(
        &figures->sqlite,
        limits_sqlite_rows(bench, shape->changes, per_commit < 1 ? 1 : (size_t)per_commit, false));
    peer_close(&peer);
    athena_buf_fini(&frames);
}

static void measure_shape(struct bench *bench, struct server *server,
                          const struct push_shape *shape) {
    struct push_figures figures = {0};
    for (int run = 0; run < bench->runs; run++)
        push_once(bench, server, shape, &figures);
    struct report *report = &bench->report;
    double rate = report_figure(report, &figures.rate, "changes/s", shape->aim, "%s", shape->title);
    report_figure(report, &figures.server_share, "% of core", REPORT_NO_AIM,
                  "  server's processor");
    report_figure(report, &figures.generator_share, "% of core", REPORT_NO_AIM,
                  "  generator's processor");
    report_figure(report, &figures.per_commit, "changes", REPORT_NO_AIM, "  a commit holds");
    double sqlite = report_figure(report, &figures.sqlite, "rows/s", REPORT_NO_AIM,
                                  "  SQLite alone, appending in such commits");
    report_ratio(report, rate, sqlite, "  of SQLite alone");
}

void measure_push(struct bench *bench) {
    size_t part = bench->is_quick ? 100 : 1;
    const struct push_shape single = {"one change a message", 1, 50000 / part, 20000};
    const struct push_shape hundred = {"100 changes a message", 100, 300000 / part, 150000};
    struct server server;
    report_begin(&bench->report, "push", "durable push, 100-byte changes");
    server_start(&server, bench, NULL);
    measure_shape(bench, &server, &single);
    measure_shape(bench, &server, &hundred);
    server_end(&server);
}
