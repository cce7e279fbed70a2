/*
 * 500 connections on 50 documents, ten on each: one that writes, one that stops reading for 15 s at
 * a time, eight that read. Five documents are busy. All the while connections end, half of them by
 * a reset, and come back; every 10 s two in five do so at once.
 *
 *   timer, 10 a second ──▶ push, end connections, stop and resume reading, tell
 *   sockets            ──▶ each connection expects the changes behind its `opened`, in order
 *   between events     ──▶ a few of those that ended come back
 *
 * A document has one writer, so its log is in the order of the numbers of its changes: what a
 * connection has to get next is one number.
 */
#include "scripts/bench/soak.h"

#include "scripts/bench/bench.h"
#include "scripts/bench/peer.h"
#include "scripts/bench/server.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    DOCUMENTS = 50,
    BUSY_DOCUMENTS = 5,
    PER_DOCUMENT = 10,
    CONNECTIONS = DOCUMENTS * PER_DOCUMENT,
    SLOW = 1, /* which of a document's connections; 0 writes */
    TICKS_PER_SECOND = 10,
    BUSY_BATCH = 5,     /* changes a tick in a busy document */
    QUIET_TICKS = 5,    /* from change to change in another */
    PAUSE_TICKS = 150,  /* that a slow reader stops reading for, and then reads for */
    SLOW_BUFFER = 4096, /* bytes its socket keeps, so that the server has to wait for it */
    CHURN_PER_TICK = 5,
    STORM_TICKS = 100,
    STORM_SIZE = CONNECTIONS * 2 / 5,
    REOPENED_AT_ONCE = 4,
    EVENTS_MAX = 64,
    SENT_MAX = 4096,  /* changes of a document of which the time of sending is kept */
    BUCKETS = 100000, /* of latencies */
    REPORTS = 10,
    GROWTH_KIB = 2 * 1024,
};
static const double bucket_s = 0.0001;

struct station {
    struct peer peer;
    size_t document;
    uint64_t next; /* the change that comes next */
    bool is_slow;
    bool is_open;
    bool is_paused;
};

struct document {
    struct corpus corpus;
    struct athena_buf frames; /* of the push under way */
    uint64_t pushed;          /* changes handed over */
    double sent[SENT_MAX];
};

struct soak {
    struct bench *bench;
    struct server server;
    struct document *documents;
    struct station stations[CONNECTIONS];
    uint64_t latencies[BUCKETS];
    uint64_t received, reopened, ticks;
    double start;
    int poll, timer;
    bool is_ending;
};

/* ---- connections ---- */

static void watch(struct soak *soak, int operation, struct station *station) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = station};
    if (epoll_ctl(soak->poll, operation, station->peer.wire.tube.fd, &event) < 0)
        bench_fail("epoll_ctl: %s", strerror(errno));
}

static void open_station(struct soak *soak, struct station *station) {
    const int buffer_bytes = SLOW_BUFFER;
    const struct corpus *corpus = &soak->documents[station->document].corpus;
    peer_open(&station->peer, soak->bench, &soak->server, corpus, (unsigned)(soak->reopened % 8));
    if (station->is_slow)
        setsockopt(station->peer.wire.tube.fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes,
                   sizeof buffer_bytes);
    station->next = station->peer.count;
    station->is_open = true;
    station->is_paused = false;
    watch(soak, EPOLL_CTL_ADD, station);
}

static void close_station(struct station *station, bool by_reset) {
    const struct linger reset = {.l_onoff = 1};
    if (by_reset)
        setsockopt(station->peer.wire.tube.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    peer_close(&station->peer);
    station->is_open = false;
}

static bool is_writer(const struct soak *soak, const struct station *station) {
    return (station - soak->stations) % PER_DOCUMENT == 0;
}

/* Ends some that are not writers; they come back by themselves. */
static void end_some(struct soak *soak, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct station *station = &soak->stations[randombytes_uniform(CONNECTIONS)];
        if (station->is_open && !is_writer(soak, station))
            close_station(station, randombytes_uniform(2));
    }
}

/* So few at once that those that are open are read meanwhile. */
static bool reopen_some(struct soak *soak) {
    size_t count = 0;
    for (size_t i = 0; i < CONNECTIONS && count < REOPENED_AT_ONCE; i++) {
        if (soak->stations[i].is_open)
            continue;
        open_station(soak, &soak->stations[i]);
        soak->reopened++;
        count++;
    }
    return count == REOPENED_AT_ONCE;
}

static void set_paused(struct soak *soak, bool is_paused) {
    for (struct station *station = soak->stations; station < soak->stations + CONNECTIONS;
         station++) {
        if (!station->is_slow || !station->is_open || station->is_paused == is_paused)
            continue;
        station->is_paused = is_paused;
        watch(soak, is_paused ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, station);
    }
}

/* ---- what comes ---- */

static void note_latency(struct soak *soak, double seconds) {
    size_t bucket = (size_t)(seconds / bucket_s);
    soak->latencies[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static void take_changed(struct soak *soak, struct station *station,
                         const struct athena_message *message, double now) {
    const struct document *document = &soak->documents[station->document];
    for (size_t i = 0; i < message->changes_len; i++, station->next++) {
        uint64_t number = corpus_number(message->changes[i].id);
        if (number != station->next)
            bench_fail("document %zu: change %llu came where %llu was due", station->document,
                       (unsigned long long)number, (unsigned long long)station->next);
        if (!station->is_slow && document->pushed - number <= SENT_MAX)
            note_latency(soak, now - document->sent[number % SENT_MAX]);
    }
    soak->received += message->changes_len;
}

static void take_messages(struct soak *soak, struct station *station) {
    struct athena_text_view json;
    struct athena_message message;
    wire_fill(&station->peer.wire);
    double now = bench_now();
    while (wire_next(&station->peer.wire, &json)) {
        if (is_writer(soak, station)) {
            peer_expect_stored(&station->peer, json);
            continue;
        }
        peer_decode(&station->peer, &message, json);
        if (message.type != ATHENA_CHANGED)
            bench_fail("a reader got %.*s", (int)(json.len < 200 ? json.len : 200), json.at);
        take_changed(soak, station, &message, now);
    }
    wire_flush(&station->peer.wire);
}

/* ---- what goes ---- */

/* Nothing, as long as the push before is not answered. */
static void push(struct soak *soak, size_t index, size_t count) {
    struct document *document = &soak->documents[index];
    struct station *writer = &soak->stations[index * PER_DOCUMENT];
    if (writer->peer.unanswered || wire_has_output(&writer->peer.wire))
        return;
    athena_buf_clear(&document->frames);
    corpus_frame_pushes(&document->corpus, &document->frames, document->pushed, count, count);
    double now = bench_now();
    for (size_t i = 0; i < count; i++)
        document->sent[document->pushed++ % SENT_MAX] = now;
    writer->peer.unanswered = 1;
    wire_send(&writer->peer.wire,
              (struct athena_bytes_view){(uint8_t *)document->frames.at, document->frames.len});
    wire_flush(&writer->peer.wire);
}

static void tick(struct soak *soak) {
    soak->ticks++;
    for (size_t i = 0; i < DOCUMENTS; i++) {
        if (i < BUSY_DOCUMENTS)
            push(soak, i, BUSY_BATCH);
        else if ((soak->ticks + i) % QUIET_TICKS == 0)
            push(soak, i, 1);
    }
    if (soak->ticks % PAUSE_TICKS == 0)
        set_paused(soak, soak->ticks / PAUSE_TICKS % 2);
    end_some(soak, soak->ticks % STORM_TICKS ? CHURN_PER_TICK : STORM_SIZE);
}

static void take_timer(struct soak *soak) {
    uint64_t ticks = 0;
    if (read(soak->timer, &ticks, sizeof ticks) != sizeof ticks)
        return;
    if (!soak->is_ending)
        tick(soak); /* one, also when several were due: what is late is not made up for */
}

static void serve_events(struct soak *soak) {
    struct epoll_event events[EVENTS_MAX];
    bool has_more = reopen_some(soak);
    int count = epoll_wait(soak->poll, events, EVENTS_MAX, has_more ? 0 : BENCH_TIMEOUT_MS);
    for (int i = 0; i < count; i++) {
        struct station *station = events[i].data.ptr;
        if (!station)
            take_timer(soak);
        else if (station->is_open && !station->is_paused)
            take_messages(soak, station);
    }
}

/* ---- what it takes ---- */

/* Milliseconds within which so large a part of all changes came. */
static double latency_ms(const struct soak *soak, double part) {
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        total += soak->latencies[i];
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += soak->latencies[i];
        if ((double)seen >= part * (double)total)
            return (double)(i + 1) * bucket_s * 1e3;
    }
    return 0;
}

/* What the server holds beside the caches of its store, which grow to their bounds as the store
 * does.
 */
static double held_kib(const struct server *server) {
    double store_bytes = server_metric(server, "athena_syncd_store_memory_bytes");
    return program_resident_kib(&server->program) - store_bytes / 1024;
}

static uint64_t pushed_in_all(const struct soak *soak) {
    uint64_t pushed = 0;
    for (size_t i = 0; i < DOCUMENTS; i++)
        pushed += soak->documents[i].pushed;
    return pushed;
}

static void tell(const struct soak *soak) {
    printf("%6.0f s %9llu stored %10llu delivered %8llu reconnects %8.1f MiB memory %6.1f held "
           "%5zu fds"
           "   p50 %.1f ms, p99 %.1f ms\n",
           bench_now() - soak->start, (unsigned long long)pushed_in_all(soak),
           (unsigned long long)soak->received, (unsigned long long)soak->reopened,
           program_resident_kib(&soak->server.program) / 1024, held_kib(&soak->server) / 1024,
           program_descriptors(&soak->server.program), latency_ms(soak, 0.5),
           latency_ms(soak, 0.99));
    fflush(stdout);
}

/* ---- the whole ---- */

static void begin(struct soak *soak) {
    const long period_ns = 1000000000L / TICKS_PER_SECOND;
    const struct itimerspec pace = {{0, period_ns}, {0, period_ns}};
    struct epoll_event event = {.events = EPOLLIN};
    soak->documents = bench_take(DOCUMENTS, sizeof *soak->documents);
    for (size_t i = 0; i < DOCUMENTS; i++)
        corpus_init(&soak->documents[i].corpus);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        soak->stations[i].document = i / PER_DOCUMENT;
        soak->stations[i].is_slow = i % PER_DOCUMENT == SLOW;
    }
    soak->poll = epoll_create1(EPOLL_CLOEXEC);
    soak->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (soak->poll < 0 || soak->timer < 0 ||
        epoll_ctl(soak->poll, EPOLL_CTL_ADD, soak->timer, &event) < 0)
        bench_fail("epoll: %s", strerror(errno));
    while (reopen_some(soak))
        continue;
    soak->reopened = 0;
    soak->start = bench_now();
    timerfd_settime(soak->timer, 0, &pace, NULL);
}

static bool is_complete(const struct soak *soak) {
    for (size_t i = 0; i < CONNECTIONS; i++) {
        const struct station *station = &soak->stations[i];
        uint64_t pushed = soak->documents[station->document].pushed;
        if (!station->is_open || station->peer.unanswered ||
            (!is_writer(soak, station) && station->next != pushed))
            return false;
    }
    return true;
}

/* Everyone gets what is still lacking, and nothing else. */
static void drain(struct soak *soak) {
    double deadline = bench_now() + BENCH_TIMEOUT_MS / 1e3;
    soak->is_ending = true;
    set_paused(soak, false);
    while (!is_complete(soak)) {
        if (bench_now() > deadline)
            bench_fail("some changes had not arrived %d ms after the last", BENCH_TIMEOUT_MS);
        serve_events(soak);
    }
}

static void await_descriptors(const struct soak *soak, size_t wanted) {
    double deadline = bench_now() + BENCH_TIMEOUT_MS / 1e3;
    size_t now;
    while ((now = program_descriptors(&soak->server.program)) > wanted) {
        if (bench_now() > deadline)
            bench_fail("%zu descriptors are open without a connection, %zu were before", now,
                       wanted);
        poll(NULL, 0, 1);
    }
}

static void check_store(const struct soak *soak) {
    char path[PATH_MAX + 16], output[4096];
    snprintf(path, sizeof path, "%s/athena-syncd", soak->bench->programs);
    const char *argv[] = {path, "check", "--data", soak->server.folder, NULL};
    program_run(argv, NULL, 0, output, sizeof output);
    fputs(output, stdout);
    char expected[64];
    snprintf(expected, sizeof expected, " %llu changes, 0 damaged",
             (unsigned long long)pushed_in_all(soak));
    if (!strstr(output, expected))
        bench_fail("the store should hold%s", expected);
}

static void end(struct soak *soak) {
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (soak->stations[i].is_open)
            close_station(&soak->stations[i], false);
    close(soak->timer);
    close(soak->poll);
}

static void free_documents(struct soak *soak) {
    for (size_t i = 0; i < DOCUMENTS; i++)
        athena_buf_fini(&soak->documents[i].frames);
    free(soak->documents);
}

static void run_until(struct soak *soak, double seconds) {
    while (bench_now() - soak->start < seconds)
        serve_events(soak);
    tell(soak);
}

void soak_run(struct bench *bench, double seconds, bool is_tls) {
    static struct soak soak;
    soak.bench = bench;
    if (is_tls)
        server_start_tls(&soak.server, bench);
    else
        server_start(&soak.server, bench, NULL);
    size_t descriptors = program_descriptors(&soak.server.program);
    begin(&soak);
    printf("%d connections%s, %d documents, %.0f s\n", CONNECTIONS, is_tls ? " over TLS" : "",
           DOCUMENTS, seconds);
    tell(&soak);
    double half_kib = 0;
    for (int i = 1; i <= REPORTS; i++) {
        run_until(&soak, seconds * i / REPORTS);
        if (i == REPORTS / 2)
            half_kib = held_kib(&soak.server);
    }
    double growth_kib = held_kib(&soak.server) - half_kib;
    drain(&soak);
    end(&soak);
    await_descriptors(&soak, descriptors);
    check_store(&soak);
    printf("memory grew by %.1f MiB in the second half, beside the store's caches\n",
           growth_kib / 1024);
    if (growth_kib > GROWTH_KIB)
        bench_fail("that is more than %d MiB", GROWTH_KIB / 1024);
    server_end(&soak.server);
    free_documents(&soak);
}
