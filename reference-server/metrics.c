#include "reference-server/metrics.h"

#include <stdio.h>

static void write_metric(struct athena_buf *out, const char *name, const char *type,
                         const char *help, uint64_t value) {
    char text[512];
    int len = snprintf(text, sizeof text,
                       "# HELP athena_syncd_%s %s\n# TYPE athena_syncd_%s %s\n"
                       "athena_syncd_%s %llu\n",
                       name, help, name, type, name, (unsigned long long)value);
    athena_buf_append(out, text, (size_t)len);
}

void metrics_write(const struct metrics *m, struct athena_buf *out) {
    const struct {
        const char *name;
        const char *type;
        const char *help;
        uint64_t value;
    } rows[] = {
        {"accepted_total", "counter", "Sockets accepted.", m->accepted},
        {"connections", "gauge", "WebSocket connections now open.", m->connections},
        {"documents", "gauge", "Documents now open on any connection.", m->documents},
        {"received_bytes_total", "counter", "Bytes received, after TLS.", m->bytes_received},
        {"sent_bytes_total", "counter", "Bytes sent, before TLS.", m->bytes_sent},
        {"store_memory_bytes", "gauge", "Memory of the store, its caches above all.",
         m->store_memory_bytes},
        {"messages_total", "counter", "Messages received.", m->sessions.messages},
        {"opened_total", "counter", "Documents opened.", m->sessions.opened},
        {"forbidden_total", "counter", "Proofs refused.", m->sessions.forbidden},
        {"refused_total", "counter", "Requests answered with an error.", m->sessions.refused},
        {"changes_stored_total", "counter", "Changes stored.", m->sessions.changes_stored},
        {"changes_duplicate_total", "counter", "Pushed changes that were stored already.",
         m->sessions.changes_duplicate},
        {"changes_rejected_total", "counter", "Pushed changes rejected.",
         m->sessions.changes_rejected},
        {"changed_frames_total", "counter", "Live messages sent.", m->sessions.changed_frames},
        {"commits_total", "counter", "Transactions committed.", m->commits.commits},
        {"commit_failures_total", "counter", "Transactions that failed.", m->commits.failures},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        write_metric(out, rows[i].name, rows[i].type, rows[i].help, rows[i].value);
}
