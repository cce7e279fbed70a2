/* Memory of a connection that does nothing, with one document of its own open. */
#include "scripts/bench/bench.h"
#include "scripts/bench/peer.h"
#include "scripts/bench/server.h"

#include <stdlib.h>

/* A source address for so many connections, since each has but some 28,000 ports and keeps them for
 * a while after the end. */
enum { CONNECTIONS_PER_SOURCE = 5000, STEPS = 2 };

struct idle {
    size_t counts[STEPS];
    struct series per_connection_kib[STEPS];
    struct corpus *corpora;
    struct peer *peers;
};

static void idle_once(struct bench *bench, struct idle *idle, unsigned first_source) {
    struct server server;
    server_start(&server, bench, NULL);
    double before_kib = program_resident_kib(&server.program);
    size_t open = 0;
    for (size_t step = 0; step < STEPS; step++) {
        for (; open < idle->counts[step]; open++) {
            corpus_init(&idle->corpora[open]);
            peer_open(&idle->peers[open], bench, &server, &idle->corpora[open],
                      first_source + (unsigned)(open / CONNECTIONS_PER_SOURCE));
        }
        series_add(&idle->per_connection_kib[step],
                   (program_resident_kib(&server.program) - before_kib) / (double)open);
    }
    while (open)
        peer_close(&idle->peers[--open]);
    server_end(&server);
}

void measure_idle(struct bench *bench) {
    struct idle idle = {.counts = {1000, 10000}};
    report_begin(&bench->report, "idle", "memory of an idle connection");
    for (size_t step = 0; step < STEPS; step++)
        idle.counts[step] /= bench->is_quick ? 50 : 1;
    size_t most = idle.counts[STEPS - 1];
    idle.corpora = bench_take(most, sizeof *idle.corpora);
    idle.peers = bench_take(most, sizeof *idle.peers);
    for (int run = 0; run < bench->runs; run++)
        idle_once(bench, &idle, (unsigned)run * (unsigned)(most / CONNECTIONS_PER_SOURCE + 1));
    for (size_t step = 0; step < STEPS; step++)
        report_figure(&bench->report, &idle.per_connection_kib[step], "KiB", 10,
                      "each of %zu connections", idle.counts[step]);
    free(idle.corpora);
    free(idle.peers);
}
