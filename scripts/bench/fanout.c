/*
 * Live fan-out: one writer pushes 50 changes a second, at a timer's pace; readers that have the
 * document open get each. Times run from the writing of the push until a message has been read
 * whole: a commit and its flush are in them, and stand beside by themselves.
 */
#include "scripts/bench/bench.h"
#include "scripts/bench/limits.h"
#include "scripts/bench/peer.h"
#include "scripts/bench/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { CHANGES_PER_SECOND = 50, EVENTS_MAX = 64 };

struct fanout {
    struct corpus corpus;
    struct peer writer;
    struct peer *readers;
    size_t readers_len, changes_len;
    struct athena_buf frames;
    size_t *ends;          /* of each change's frame in frames */
    double *sent, *pushed; /* of each change */
    double *received;      /* of each reader's each change; 0: not yet */
    size_t sent_len, pushed_len, received_len;
    int poll, timer;
};

static void watch(struct fanout *fanout, int fd, void *peer) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    if (epoll_ctl(fanout->poll, EPOLL_CTL_ADD, fd, &event) < 0)
        bench_fail("epoll_ctl: %s", strerror(errno));
}

static void fanout_init(struct fanout *fanout, struct bench *bench, const struct server *server,
                        size_t readers, size_t changes) {
    *fanout = (struct fanout){.readers_len = readers, .changes_len = changes};
    fanout->readers = bench_take(readers, sizeof *fanout->readers);
    fanout->ends = bench_take(changes, sizeof *fanout->ends);
    fanout->sent = bench_take(changes, sizeof *fanout->sent);
    fanout->pushed = bench_take(changes, sizeof *fanout->pushed);
    fanout->received = bench_take(changes * readers, sizeof *fanout->received);
    corpus_init(&fanout->corpus);
    for (size_t i = 0; i < changes; i++) {
        corpus_frame_pushes(&fanout->corpus, &fanout->frames, i, 1, 1);
        fanout->ends[i] = fanout->frames.len;
    }
    fanout->poll = epoll_create1(EPOLL_CLOEXEC);
    fanout->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    watch(fanout, fanout->timer, NULL);
    peer_open(&fanout->writer, bench, server, &fanout->corpus, 0);
    watch(fanout, fanout->writer.wire.tube.fd, &fanout->writer);
    for (size_t i = 0; i < readers; i++) {
        peer_open(&fanout->readers[i], bench, server, &fanout->corpus, 0);
        watch(fanout, fanout->readers[i].wire.tube.fd, &fanout->readers[i]);
    }
}

static void fanout_fini(struct fanout *fanout) {
    for (size_t i = 0; i < fanout->readers_len; i++)
        peer_close(&fanout->readers[i]);
    peer_close(&fanout->writer);
    close(fanout->timer);
    close(fanout->poll);
    athena_buf_fini(&fanout->frames);
    free(fanout->readers);
    free(fanout->ends);
    free(fanout->sent);
    free(fanout->pushed);
    free(fanout->received);
}

/* As many changes as the timer has ticked. */
static void send_due(struct fanout *fanout) {
    uint64_t ticks = 0;
    if (read(fanout->timer, &ticks, sizeof ticks) != sizeof ticks)
        return;
    for (; ticks && fanout->sent_len < fanout->changes_len; ticks--) {
        size_t number = fanout->sent_len++;
        size_t from = number ? fanout->ends[number - 1] : 0;
        struct athena_bytes_view frame = {(uint8_t *)fanout->frames.at + from,
                                          fanout->ends[number] - from};
        fanout->sent[number] = bench_now();
        wire_send(&fanout->writer.wire, frame);
        wire_flush(&fanout->writer.wire);
    }
}

static void take_changed(struct fanout *fanout, struct peer *reader, struct athena_text_view json,
                         double now) {
    struct athena_message message;
    size_t index = (size_t)(reader - fanout->readers);
    peer_decode(reader, &message, json);
    if (message.type != ATHENA_CHANGED)
        bench_fail("a reader got %.*s", (int)(json.len < 200 ? json.len : 200), json.at);
    for (size_t i = 0; i < message.changes_len; i++) {
        size_t number = corpus_number(message.changes[i].id);
        if (number >= fanout->changes_len ||
            fanout->received[index * fanout->changes_len + number] > 0)
            bench_fail("a reader got change %zu out of place", number);
        fanout->received[index * fanout->changes_len + number] = now;
        fanout->received_len++;
    }
}

static void take_messages(struct fanout *fanout, struct peer *peer) {
    struct athena_text_view json;
    wire_fill(&peer->wire);
    double now = bench_now();
    while (wire_next(&peer->wire, &json)) {
        if (peer != &fanout->writer) {
            take_changed(fanout, peer, json, now);
            continue;
        }
        peer_expect_stored(peer, json);
        fanout->pushed[fanout->pushed_len++] = now;
    }
}

/* Until every reader has every change. */
static void fanout_run(struct fanout *fanout) {
    const long period_ns = 1000000000L / CHANGES_PER_SECOND;
    struct itimerspec pace = {{0, period_ns}, {0, period_ns}};
    timerfd_settime(fanout->timer, 0, &pace, NULL);
    while (fanout->received_len < fanout->readers_len * fanout->changes_len ||
           fanout->pushed_len < fanout->changes_len) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(fanout->poll, events, EVENTS_MAX, BENCH_TIMEOUT_MS);
        if (count <= 0)
            bench_fail("no change arrived within %d ms", BENCH_TIMEOUT_MS);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                take_messages(fanout, events[i].data.ptr);
            else
                send_due(fanout);
        }
    }
}

struct fanout_figures {
    struct series p50, p99, stored_p50, stored_p99, flush_p50, flush_p99, server, generator;
};

static void add_quantiles(struct series *times, struct series *p50, struct series *p99) {
    series_add(p50, series_quantile(times, 0.5));
    series_add(p99, series_quantile(times, 0.99));
    series_fini(times);
}

static void add_latencies(const struct fanout *fanout, struct fanout_figures *figures) {
    struct series received = {0}, stored = {0};
    for (size_t i = 0; i < fanout->readers_len * fanout->changes_len; i++)
        series_add(&received, (fanout->received[i] - fanout->sent[i % fanout->changes_len]) * 1e3);
    for (size_t i = 0; i < fanout->changes_len; i++)
        series_add(&stored, (fanout->pushed[i] - fanout->sent[i]) * 1e3);
    add_quantiles(&received, &figures->p50, &figures->p99);
    add_quantiles(&stored, &figures->stored_p50, &figures->stored_p99);
}

static void fanout_once(struct bench *bench, struct server *server, size_t readers, size_t changes,
                        struct fanout_figures *figures) {
    struct fanout fanout;
    fanout_init(&fanout, bench, server, readers, changes);
    double server_start = program_processor_time(&server->program);
    double own_start = bench_processor_time(), start = bench_now();
    fanout_run(&fanout);
    double wall = bench_now() - start;
    series_add(&figures->server,
               100 * (program_processor_time(&server->program) - server_start) / wall);
    series_add(&figures->generator, 100 * (bench_processor_time() - own_start) / wall);
    add_latencies(&fanout, figures);
    struct series flushes = {0};
    limits_flushes(bench, changes, &flushes);
    add_quantiles(&flushes, &figures->flush_p50, &figures->flush_p99);
    fanout_fini(&fanout);
}

static void measure_readers(struct bench *bench, size_t readers, double aim) {
    struct fanout_figures figures = {0};
    struct report *report = &bench->report;
    size_t changes = bench->is_quick ? CHANGES_PER_SECOND / 5 : CHANGES_PER_SECOND * 3;
    struct server server;
    server_start(&server, bench, NULL);
    for (int run = 0; run < bench->runs; run++)
        fanout_once(bench, &server, readers, changes, &figures);
    server_end(&server);
    report_figure(report, &figures.p50, "ms", REPORT_NO_AIM, "%zu readers, p50", readers);
    report_figure(report, &figures.p99, "ms", aim, "%zu readers, p99", readers);
    report_figure(report, &figures.stored_p50, "ms", REPORT_NO_AIM, "  acknowledged, p50");
    report_figure(report, &figures.stored_p99, "ms", REPORT_NO_AIM, "  acknowledged, p99");
    report_figure(report, &figures.flush_p50, "ms", REPORT_NO_AIM, "  12 KiB and fdatasync, p50");
    report_figure(report, &figures.flush_p99, "ms", REPORT_NO_AIM, "  12 KiB and fdatasync, p99");
    report_figure(report, &figures.server, "% of core", REPORT_NO_AIM, "  server's processor");
    report_figure(report, &figures.generator, "% of core", REPORT_NO_AIM,
                  "  generator's processor");
}

void measure_fanout(struct bench *bench) {
    report_begin(&bench->report, "fanout", "live fan-out, 50 changes a second");
    measure_readers(bench, 1, REPORT_NO_AIM);
    measure_readers(bench, 50, REPORT_NO_AIM);
    measure_readers(bench, 200, 10);
}
