/* Start-up: from the fork to the line that names the address, and the memory at that moment. */
#include "scripts/bench/bench.h"
#include "scripts/bench/peer.h"
#include "scripts/bench/server.h"

#include <signal.h>

static void measure_starts(struct bench *bench, struct server *server, const char *what) {
    struct series start_ms = {0}, resident_mib = {0};
    for (int run = 0; run < bench->runs; run++) {
        program_stop(&server->program, SIGTERM);
        server_restart(server, bench);
        series_add(&start_ms, server->start_s * 1e3);
        series_add(&resident_mib, program_resident_kib(&server->program) / 1024);
    }
    report_figure(&bench->report, &start_ms, "ms", 50, "%s", what);
    report_figure(&bench->report, &resident_mib, "MiB", REPORT_NO_AIM, "  resident memory");
}

void measure_startup(struct bench *bench) {
    struct server server;
    struct corpus corpus;
    report_begin(&bench->report, "startup", "start of the server");
    server_start(&server, bench, NULL);
    measure_starts(bench, &server, "with an empty store");
    corpus_init(&corpus);
    peer_preload(bench, &server, &corpus, 0, bench->is_quick ? 1000 : 100000);
    measure_starts(bench, &server, bench->is_quick ? "with 1,000 changes" : "with 100,000 changes");
    server_end(&server);
}
