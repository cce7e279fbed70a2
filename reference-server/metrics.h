/* Numbers for the operator, in Prometheus' text format. */
#ifndef REFERENCE_SERVER_METRICS_H
#define REFERENCE_SERVER_METRICS_H

#include "reference-server/committer.h"
#include "reference-server/session.h"

struct metrics {
    uint64_t accepted;
    uint64_t connections;
    uint64_t documents;
    uint64_t bytes_received;
    uint64_t bytes_sent;
    uint64_t store_memory_bytes;
    struct committer_counters commits;
    struct session_counters sessions;
};

void metrics_write(const struct metrics *metrics, struct athena_buf *out);

#endif
