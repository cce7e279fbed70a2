/*
 * Cold pull: a replica that holds nothing gets a whole document by `athena-sync sync`. The time is
 * that of the program from its start to its end: connected, decrypted, and stored.
 */
#include "scripts/bench/bench.h"
#include "scripts/bench/limits.h"
#include "scripts/bench/peer.h"
#include "scripts/bench/replica.h"
#include "scripts/bench/server.h"

enum { PAGE_CHANGES = 1000 }; /* what the server puts on a page, and the client into a commit */

struct pull_figures {
    struct series wall, client, server, resident, served, sqlite;
};

static void pull_once(struct bench *bench, const struct server *server, const struct corpus *corpus,
                      size_t changes, struct pull_figures *figures) {
    struct replica replica;
    replica_start(&replica, bench, corpus, server->url_text);
    double server_start = program_processor_time(&server->program);
    struct program_run run = replica_sync(&replica, changes, 0);
    series_add(&figures->wall, run.wall_s * 1e3);
    series_add(&figures->client, run.processor_s * 1e3);
    series_add(&figures->server, (program_processor_time(&server->program) - server_start) * 1e3);
    series_add(&figures->resident, run.resident_max_kib / 1024);
    replica_end(&replica);
}

/* The parts of it: the server's pages read by the load generator, and SQLite alone. */
static void part_once(struct bench *bench, const struct server *server, const struct corpus *corpus,
                      size_t changes, struct pull_figures *figures) {
    struct peer peer;
    double start = bench_now();
    peer_open(&peer, bench, server, corpus, 0);
    if (peer_pull(&peer) != changes)
        bench_fail("the server's pages do not hold %zu changes", changes);
    series_add(&figures->served, (bench_now() - start) * 1e3);
    peer_close(&peer);
    double rate = limits_sqlite_rows(bench, changes, PAGE_CHANGES, false);
    series_add(&figures->sqlite, (double)changes / rate * 1e3);
}

static void measure_pulls(struct bench *bench, size_t changes, double aim_ms) {
    struct pull_figures figures = {0};
    struct report *report = &bench->report;
    struct server server;
    struct corpus corpus;
    server_start(&server, bench, NULL);
    corpus_init(&corpus);
    peer_preload(bench, &server, &corpus, 0, changes);
    for (int run = 0; run < bench->runs; run++) {
        pull_once(bench, &server, &corpus, changes, &figures);
        part_once(bench, &server, &corpus, changes, &figures);
    }
    server_end(&server);
    report_figure(report, &figures.wall, "ms", aim_ms, "%zu changes", changes);
    report_figure(report, &figures.client, "ms", REPORT_NO_AIM, "  client's processor");
    report_figure(report, &figures.server, "ms", REPORT_NO_AIM, "  server's processor");
    report_figure(report, &figures.resident, "MiB", REPORT_NO_AIM, "  client's memory at most");
    report_figure(report, &figures.served, "ms", REPORT_NO_AIM, "  the server's pages alone");
    report_figure(report, &figures.sqlite, "ms", REPORT_NO_AIM,
                  "  SQLite alone, appending so many");
}

void measure_pull(struct bench *bench) {
    size_t part = bench->is_quick ? 50 : 1;
    report_begin(&bench->report, "pull", "cold pull, 100-byte changes");
    measure_pulls(bench, 10000 / part, REPORT_NO_AIM);
    measure_pulls(bench, 100000 / part, 1000);
}
