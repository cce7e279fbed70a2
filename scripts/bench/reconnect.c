/*
 * Reconnect: `athena-sync sync` of a replica that has synced before, through a relay that counts.
 * First with nothing new on either side, then with so many changes missing on each.
 */
#include "scripts/bench/bench.h"
#include "scripts/bench/peer.h"
#include "scripts/bench/relay.h"
#include "scripts/bench/replica.h"
#include "scripts/bench/server.h"

#include <stdio.h>

/* A server and a replica that are in sync, with a relay between them. */
struct pair {
    struct relay *relay;
    struct server server;
    struct corpus corpus;
    struct replica replica;
    size_t pushed; /* of the corpus */
};

struct reconnect_figures {
    struct series wall, session, round_trips, frames, up, down, http;
};

static void pair_init(struct pair *pair, struct bench *bench, size_t changes) {
    char url[ATHENA_AUTHORITY_TEXT_MAX + 8];
    pair->relay = relay_start();
    server_start(&pair->server, bench, relay_authority(pair->relay));
    relay_serve(pair->relay, &pair->server.url);
    corpus_init(&pair->corpus);
    peer_preload(bench, &pair->server, &pair->corpus, 0, changes);
    pair->pushed = changes;
    snprintf(url, sizeof url, "ws://%s/", relay_authority(pair->relay));
    replica_start(&pair->replica, bench, &pair->corpus, url);
    replica_sync(&pair->replica, changes, 0);
    relay_take(pair->relay);
}

static void pair_fini(struct pair *pair) {
    relay_end(pair->relay);
    replica_end(&pair->replica);
    server_end(&pair->server);
}

static void reconnect_once(struct bench *bench, struct pair *pair, size_t missing,
                           struct reconnect_figures *figures) {
    if (missing) {
        peer_preload(bench, &pair->server, &pair->corpus, pair->pushed, missing);
        pair->pushed += missing;
        replica_add(&pair->replica, missing);
    }
    struct program_run run = replica_sync(&pair->replica, missing, missing);
    struct relay_count count = relay_take(pair->relay);
    series_add(&figures->wall, run.wall_s * 1e3);
    series_add(&figures->session, count.session_s * 1e3);
    series_add(&figures->frames, (double)(count.bytes_up + count.bytes_down));
    series_add(&figures->http, (double)count.bytes_http);
    series_add(&figures->up, (double)count.bytes_up);
    series_add(&figures->down, (double)count.bytes_down);
    series_add(&figures->round_trips, (double)count.round_trips);
}

static void measure_missing(struct bench *bench, struct pair *pair, size_t history,
                            size_t missing) {
    struct reconnect_figures figures = {0};
    struct report *report = &bench->report;
    bool is_warm = missing == 0;
    for (int run = 0; run < bench->runs; run++)
        reconnect_once(bench, pair, missing, &figures);
    report_figure(report, &figures.wall, "ms", REPORT_NO_AIM, "%zu changes, %zu missing each side",
                  history, missing);
    report_figure(report, &figures.session, "ms", REPORT_NO_AIM, "  from welcome to the end");
    report_figure(report, &figures.round_trips, "", is_warm ? 1 : REPORT_NO_AIM,
                  "  round trips after welcome");
    report_figure(report, &figures.frames, "bytes", is_warm ? 1000 : REPORT_NO_AIM,
                  "  WebSocket frames, both ways");
    report_figure(report, &figures.up, "bytes", REPORT_NO_AIM, "  of them sent");
    report_figure(report, &figures.down, "bytes", REPORT_NO_AIM, "  of them received");
    report_figure(report, &figures.http, "bytes", REPORT_NO_AIM, "  besides, the HTTP handshake");
}

void measure_reconnect(struct bench *bench) {
    static const size_t histories[] = {1000, 10000, 100000};
    size_t part = bench->is_quick ? 50 : 1;
    report_begin(&bench->report, "reconnect", "reconnect, process start included");
    for (size_t i = 0; i < sizeof histories / sizeof *histories; i++) {
        struct pair pair;
        pair_init(&pair, bench, histories[i] / part);
        measure_missing(bench, &pair, histories[i] / part, 0);
        if (histories[i] == 10000) {
            measure_missing(bench, &pair, histories[i] / part, 10);
            measure_missing(bench, &pair, histories[i] / part, 100);
        }
        pair_fini(&pair);
    }
}
