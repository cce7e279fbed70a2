/* athena-sync sync: connect, catch up in both directions, leave. */
#include "reference-client/cli/cli.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

struct progress {
    uint64_t received;
    uint64_t pushed;
    uint64_t attention; /* quarantined, refused, in conflict, faults */
    bool is_in_sync;
    char last_error[300];
};

static void on_event(void *ctx, const struct athena_sync_event *event) {
    struct progress *p = ctx;
    switch (event->type) {
    case ATHENA_SYNC_CHANGE:
        if (++p->received % 500 == 0)
            cli_progress("received", p->received);
        break;
    case ATHENA_SYNC_PUSHED:
        p->pushed += event->count;
        cli_progress("pushed", p->pushed);
        break;
    case ATHENA_SYNC_IN_SYNC:
        p->is_in_sync = true;
        break;
    case ATHENA_SYNC_QUARANTINED:
    case ATHENA_SYNC_CONFLICT:
    case ATHENA_SYNC_REFUSED:
    case ATHENA_SYNC_FAULT:
        p->attention++;
        cli_progress_end();
        fprintf(stderr, "athena-sync: %.*s%s%s\n", (int)event->id.len, event->id.at,
                event->id.len ? ": " : "", event->error.text);
        break;
    case ATHENA_SYNC_DISCONNECTED:
        snprintf(p->last_error, sizeof p->last_error, "%s", event->error.text);
        break;
    default:
        break;
    }
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A server over its quota is tried again rather than reported: what it has not taken is told. */
static int fail_to_sync(const struct progress *p, struct athena_sync *sync) {
    struct athena_sync_status status = {0};
    athena_sync_get_status(sync, &status, NULL);
    if (*p->last_error)
        fprintf(stderr, "athena-sync: not in sync: %s\n", p->last_error);
    else if (status.is_connected && status.pending)
        fprintf(stderr, "athena-sync: not in time: the server has not taken %llu changes yet\n",
                (unsigned long long)status.pending);
    else
        fprintf(stderr, "athena-sync: not in sync: not in time\n");
    return EXIT_NOT_IN_SYNC;
}

static int finish(const struct progress *p, struct athena_sync *sync) {
    cli_progress_end();
    if (!p->is_in_sync)
        return fail_to_sync(p, sync);
    printf("in sync: received %llu, pushed %llu\n", (unsigned long long)p->received,
           (unsigned long long)p->pushed);
    return p->attention ? EXIT_ATTENTION : EXIT_DONE;
}

int command_sync(const struct arguments *arguments) {
    int status;
    char *token;
    struct athena_error error;
    struct progress progress = {0};
    if (!cli_read_token(arguments, &token))
        return EXIT_FAILED;
    struct athena_sync *sync = cli_open(arguments, &status);
    if (!sync) {
        cli_wipe(token);
        return status;
    }
    struct athena_sync_connect_options options = {
        .url = arguments->url,
        .token = token,
        .ca_file = arguments->ca_file,
        .is_insecure = arguments->is_insecure,
        .event = on_event,
        .ctx = &progress,
    };
    uint64_t deadline = now_ms() + arguments->timeout_s * 1000;
    if (athena_sync_connect(sync, &options, &error)) {
        status = cli_fail("cannot connect", &error);
    } else {
        cli_warn_of_clear_text(sync);
        for (uint64_t now = now_ms(); !progress.is_in_sync && now < deadline; now = now_ms())
            athena_sync_run(sync, (int)(deadline - now));
        status = finish(&progress, sync);
    }
    athena_sync_close(sync);
    cli_wipe(token);
    return status;
}
