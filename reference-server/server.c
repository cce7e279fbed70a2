/*
 * libwebsockets gives streams, TLS, timers and one event loop; each accepted socket is a raw stream
 * whose bytes go to a connection. Its own WebSocket role is not used: version 4.1.6 drops a
 * handshake with an unknown or a long list of subprotocols without an answer and accepts unmasked
 * frames, where the protocol asks for statuses 400 and 401 and for code 1002.
 *
 *   socket ──RX──▶ connection_receive ──▶ session ──▶ committer (thread) ──cancel_service──┐
 *   socket ◀──WRITEABLE── connection_produce ◀── frames ◀── session_pushed ◀───────────────┘
 */
#include "reference-server/server.h"

#include "reference-server/committer.h"
#include "reference-server/connection.h"
#include "reference-server/folder.h"
#include "reference-server/listener.h"
#include "reference-server/metrics.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK_BYTES = 64 * 1024, /* written or read at once: what keeps connections fair */
    SERVE_ON_MS = 7000,      /* while it stops: for clients to take what is for them */
    STOP_TIMEOUT_MS = 8000,  /* [ASP-STOP-4] */
    FD_RESERVE = 64,
};

struct server;

/* What belongs to one socket. */
struct peer {
    struct server *server;
    struct lws *wsi;
    struct connection *connection;
    struct peer *next;
    struct peer **previous;
    bool has_spoken;     /* bytes have come, behind the TLS handshake */
    bool is_paused;      /* reading from the socket */
    bool is_half_closed; /* FIN was sent */
};

struct server {
    struct connection_host host; /* first */
    struct ev_loop *loop; /* epoll: an idle connection costs no time, where poll looks at each */
    struct lws_context *context;
    struct committer *committer;
    struct listeners listeners;
    struct peer *peers;
    size_t peers_len;
    lws_sorted_usec_list_t tick;
    uint64_t tick_ms;
    uint64_t stop_deadline_ms; /* 0: not stopping */
    struct metrics metrics;
    uint8_t chunk[LWS_PRE + CHUNK_BYTES];
};

static volatile sig_atomic_t stop_signal;
static struct lws_context *signalled_context;

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- What sessions and connections ask for ---- */

static struct server *server_of(const struct session_host *host) {
    return (struct server *)(void *)host; /* both are the first member of what holds them */
}

static bool is_authority(const struct session_host *host, struct athena_text_view authority) {
    return listeners_have_authority(&server_of(host)->listeners, authority);
}

static void submit(struct session_host *host, struct push *push) {
    committer_submit(server_of(host)->committer, push);
}

static void wake(struct session_host *host, void *owner) {
    (void)host;
    struct peer *peer = owner;
    lws_callback_on_writable(peer->wsi);
}

static void report(struct session_host *host, const struct athena_error *error) {
    (void)host;
    log_line(LOG_LEVEL_ERROR, "store: %s", error->text);
}

/* [ASP-WELCOME-3] */
static void make_challenge(uint8_t challenge[static ATHENA_CHALLENGE_BYTES]) {
    randombytes_buf(challenge, ATHENA_CHALLENGE_BYTES);
}

static bool text_is(struct athena_text_view text, const char *literal) {
    return text.len == strlen(literal) && memcmp(text.at, literal, text.len) == 0;
}

static bool write_page(struct connection_host *host, struct athena_text_view path,
                       const char **content_type, struct athena_buf *body) {
    struct server *server = (struct server *)(void *)host;
    if (text_is(path, "/healthz")) {
        *content_type = "text/plain; charset=utf-8";
        athena_buf_append(body, "ok\n", 3);
        return true;
    }
    if (!text_is(path, "/metrics"))
        return false;
    *content_type = "text/plain; version=0.0.4; charset=utf-8";
    server->metrics.connections = host->connections;
    server->metrics.documents = documents_count(host->session.documents);
    server->metrics.store_memory_bytes = store_sqlite_memory();
    server->metrics.commits = committer_counters(server->committer);
    server->metrics.sessions = host->session.counters;
    metrics_write(&server->metrics, body);
    return true;
}

/* ---- Sockets ---- */

static void adopt(struct server *server, struct peer *peer, struct lws *wsi) {
    if (server->peers_len >= server->host.connections_max + FD_RESERVE / 2)
        return; /* not even the head of a request is read: see on_raw */
    *peer = (struct peer){.server = server, .wsi = wsi};
    peer->connection = connection_new(&server->host, peer, now_ms());
    peer->next = server->peers;
    peer->previous = &server->peers;
    if (peer->next)
        peer->next->previous = &peer->next;
    server->peers = peer;
    server->peers_len++;
    server->metrics.accepted++;
}

static void forget(struct peer *peer) {
    struct server *server = peer->server;
    if (!server)
        return;
    connection_free(peer->connection);
    *peer->previous = peer->next;
    if (peer->next)
        peer->next->previous = peer->previous;
    server->peers_len--;
    peer->server = NULL;
}

/* Reads on or pauses, as the connection can take it. */
static void adjust_reading(struct peer *peer) {
    bool pauses = !connection_takes_input(peer->connection);
    if (pauses == peer->is_paused)
        return;
    peer->is_paused = pauses;
    lws_rx_flow_control(peer->wsi, !pauses);
}

/* The end of a TLS handshake sets a timer that no raw socket ever clears: it would cut the
 * connection in its midst. Whoever has come so far has the deadlines of its connection. */
static void clear_lws_timer(struct peer *peer) {
    if (!peer->has_spoken)
        lws_set_timeout(peer->wsi, NO_PENDING_TIMEOUT, 0);
    peer->has_spoken = true;
}

static void receive(struct peer *peer, const uint8_t *bytes, size_t len) {
    struct server *server = peer->server;
    clear_lws_timer(peer);
    server->metrics.bytes_received += len;
    connection_receive(peer->connection, bytes, len, now_ms());
    adjust_reading(peer);
    lws_callback_on_writable(peer->wsi);
}

/* What was left over by a pause comes before the socket's next bytes. There may be some although
 * the socket is read again: sending made room for the next request, not for all that wait. */
static void resume(struct peer *peer) {
    connection_resume(peer->connection, now_ms());
    adjust_reading(peer);
}

/* -1: the socket is to be closed. */
static int end(struct peer *peer) {
    switch (connection_ending(peer->connection)) {
    case CONNECTION_DROP:
        return -1;
    case CONNECTION_HALF_CLOSE:
        if (!peer->is_half_closed)
            shutdown(lws_get_socket_fd(peer->wsi), SHUT_WR);
        peer->is_half_closed = true;
        return 0;
    default:
        return 0;
    }
}

/* One chunk a turn: the loop serves the others before this one is writeable again. */
static int produce(struct peer *peer) {
    struct server *server = peer->server;
    if (lws_partial_buffered(peer->wsi)) { /* a spurious call: what was written is not sent yet */
        lws_callback_on_writable(peer->wsi);
        return connection_ending(peer->connection) == CONNECTION_DROP ? -1 : 0;
    }
    if (peer->is_half_closed)
        return end(peer);
    resume(peer);
    uint8_t *out = server->chunk + LWS_PRE;
    size_t len = connection_produce(peer->connection, out, CHUNK_BYTES, now_ms());
    if (len == 0)
        return end(peer);
    if (lws_write(peer->wsi, out, len, LWS_WRITE_RAW) < 0)
        return -1;
    server->metrics.bytes_sent += len;
    adjust_reading(peer);
    lws_callback_on_writable(peer->wsi);
    return 0;
}

/* Pushes that are finished, in order; their sessions have replies to send. */
static void finish_pushes(struct server *server) {
    struct push *push;
    while ((push = committer_done(server->committer)))
        session_pushed(&server->host.session, push);
}

static int on_raw(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                  size_t len) {
    struct server *server = lws_context_user(lws_get_context(wsi));
    struct peer *peer = user;
    switch (reason) {
    case LWS_CALLBACK_RAW_ADOPT:
        adopt(server, peer, wsi);
        return peer->connection ? 0 : -1;
    case LWS_CALLBACK_RAW_RX:
        if (!peer->connection)
            return -1;
        receive(peer, in, len);
        return 0;
    case LWS_CALLBACK_RAW_WRITEABLE:
        return peer->connection ? produce(peer) : -1;
    case LWS_CALLBACK_RAW_CLOSE:
        forget(peer);
        return 0;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        if (server->committer)
            finish_pushes(server);
        return 0;
    default:
        return 0;
    }
}

const struct lws_protocols server_protocols[] = {
    {.name = "raw",
     .callback = on_raw,
     .per_session_data_size = sizeof(struct peer),
     .rx_buffer_size = CHUNK_BYTES},
    {.name = NULL},
};

/* ---- Time and signals ---- */

/* [ASP-STOP-4]: a disk that hangs keeps a commit under way, or the store from being closed. None of
 * what it still has was acknowledged. */
static void *watch_stop(void *argument) {
    const uint64_t *deadline_ms = argument;
    const struct timespec deadline = {.tv_sec = (time_t)(*deadline_ms / 1000),
                                      .tv_nsec = (long)(*deadline_ms % 1000) * 1000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR) {
    }
    log_line(LOG_LEVEL_ERROR, "stopped after %d s: the disk has not finished",
             STOP_TIMEOUT_MS / 1000);
    _exit(EXIT_FAILED);
}

static void begin_to_stop(struct server *server) {
    static uint64_t deadline_ms;
    pthread_t watch;
    log_line(LOG_LEVEL_INFO, "stopping: signal %d", (int)stop_signal);
    server->stop_deadline_ms = now_ms() + SERVE_ON_MS;
    deadline_ms = now_ms() + STOP_TIMEOUT_MS;
    if (pthread_create(&watch, NULL, watch_stop, &deadline_ms) == 0)
        pthread_detach(watch);
    listeners_close(&server->listeners);
    for (struct peer *peer = server->peers; peer; peer = peer->next)
        connection_stop(peer->connection, now_ms());
}

static void on_tick(lws_sorted_usec_list_t *sul) {
    struct server *server = lws_container_of(sul, struct server, tick);
    for (struct peer *peer = server->peers; peer; peer = peer->next) {
        connection_tick(peer->connection, now_ms());
        if (connection_ending(peer->connection) == CONNECTION_DROP)
            lws_set_timeout(peer->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
    }
    lws_sul_schedule(server->context, 0, &server->tick, on_tick,
                     (lws_usec_t)server->tick_ms * LWS_USEC_PER_SEC / 1000);
}

static void on_signal(int signal_number) {
    int interrupted = errno;
    stop_signal = signal_number;
    lws_cancel_service(signalled_context); /* one write to a pipe or eventfd */
    errno = interrupted;
}

static void install_signals(struct server *server) {
    struct sigaction action = {.sa_handler = on_signal};
    signalled_context = server->context;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Until a signal, and then until every connection has ended or the time is up. Further signals have
 * nothing to tell, and behind this there is no context that they could wake. */
static void serve(struct server *server) {
    while (server->stop_deadline_ms == 0 ||
           (server->peers && now_ms() < server->stop_deadline_ms)) {
        ev_run(server->loop, EVRUN_ONCE);
        if (stop_signal && server->stop_deadline_ms == 0)
            begin_to_stop(server);
    }
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
}

/* ---- Setting up ---- */

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static void fill_host(struct server *server, const struct options *options) {
    struct connection_host *host = &server->host;
    static const char name[] = "athena-syncd/" ATHENA_VERSION;
    host->session.limits = (struct athena_limits){
        .message = options->limit_message,
        .message_before_open = options->limit_message_before_open,
        .change = options->limit_change,
        .batch = options->limit_batch,
        .docs = options->limit_docs,
    };
    host->session.server_name = (struct athena_text_view){name, sizeof name - 1};
    host->session.open_within_ms = options->open_within_ms;
    host->session.is_authority = is_authority;
    host->session.submit = submit;
    host->session.wake = wake;
    host->session.report = report;
    host->idle_ms = options->idle_ms;
    host->dead_ms = options->dead_ms;
    host->handshake_ms = options->open_within_ms;
    host->connections_max = options->connections_max;
    host->challenge = make_challenge;
    host->page = write_page;
    /* A deadline is met within a quarter of the shortest of them. */
    uint64_t shortest = least(options->idle_ms, options->open_within_ms) / 4;
    server->tick_ms = least(shortest < 25 ? 25 : shortest, 1000);
}

/* Descriptors for all connections; how many that are in the end is said, not assumed. False when
 * there is none for a client. */
static bool raise_descriptors(struct server *server) {
    struct rlimit limit;
    size_t wanted = server->host.connections_max + FD_RESERVE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return true;
    limit.rlim_cur = (rlim_t)least(wanted, limit.rlim_max);
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted)
        return true;
    if (limit.rlim_cur <= FD_RESERVE) {
        log_line(LOG_LEVEL_ERROR, "the limit of open files is %llu: more than %d are needed",
                 (unsigned long long)limit.rlim_cur, FD_RESERVE);
        return false;
    }
    server->host.connections_max = (size_t)limit.rlim_cur - FD_RESERVE;
    log_line(LOG_LEVEL_WARN, "at most %zu connections: the limit of open files is %llu",
             server->host.connections_max, (unsigned long long)limit.rlim_cur);
    return true;
}

static void log_lws(int level, const char *line) {
    log_line(level == LLL_ERR ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG, "libwebsockets: %.*s",
             (int)strcspn(line, "\n"), line);
}

static bool create_context(struct server *server, const struct options *options) {
    server->loop = ev_loop_new(EVFLAG_AUTO);
    void *loops[] = {server->loop};
    struct lws_context_creation_info info = {
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                   LWS_SERVER_OPTION_LIBEV,
        .foreign_loops = loops,
        .user = server,
        .pt_serv_buf_size = CHUNK_BYTES,
        .timeout_secs = (unsigned)(options->open_within_ms / 1000 + 1), /* not before ours */
    };
    lws_set_log_level(LLL_ERR | LLL_WARN, log_lws);
    server->context = server->loop ? lws_create_context(&info) : NULL;
    if (!server->context)
        log_line(LOG_LEVEL_ERROR, "cannot start the event loop: libwebsockets needs its plugin for "
                                  "libev (Debian's package libwebsockets-evlib-ev)");
    return server->context != NULL;
}

static void notify(void *ctx) {
    struct server *server = ctx;
    lws_cancel_service(server->context);
}

static void report_commit(void *ctx, const struct athena_error *error) {
    (void)ctx;
    log_line(LOG_LEVEL_ERROR, "commit: %s", error->text);
}

static bool open_store(struct server *server, const struct options *options) {
    struct athena_error error;
    uint8_t hash_key[16];
    struct session_host *host = &server->host.session;
    if (store_sqlite_open(&host->store, options->data, &error)) {
        log_line(LOG_LEVEL_ERROR, "store: %s", error.text);
        return false;
    }
    randombytes_buf(hash_key, sizeof hash_key);
    host->documents = documents_new(host->store, &host->limits, hash_key);
    struct committer_options committing = {
        .store = host->store,
        .quota = {options->quota_document_bytes, options->quota_total_bytes},
        .folder = options->data,
        .free_bytes_floor = options->free_bytes_floor,
        .notify = notify,
        .report = report_commit,
        .ctx = server,
    };
    server->committer = host->documents ? committer_start(&committing) : NULL;
    if (!server->committer)
        log_line(LOG_LEVEL_ERROR, "cannot start: out of memory or threads");
    return server->committer != NULL;
}

static bool load_tokens(struct server *server, const struct options *options) {
    struct athena_error error;
    if (!options->token_file)
        return true;
    server->host.admission = admission_load(options->token_file, &error);
    if (!server->host.admission)
        log_line(LOG_LEVEL_ERROR, "--token-file %s", error.text);
    return server->host.admission != NULL;
}

static bool check_folder(const char *folder) {
    int fd = folder_create(folder) ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool ok = fd >= 0 && faccessat(fd, ".", W_OK | X_OK, 0) == 0;
    if (!ok)
        log_line(LOG_LEVEL_ERROR, "--data '%s': %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

/* What the options name is looked at before anything is done. */
static bool check_options(struct server *server, const struct options *options) {
    return listeners_check(options) && load_tokens(server, options) && check_folder(options->data);
}

static bool start(struct server *server, const struct options *options) {
    fill_host(server, options);
    if (!raise_descriptors(server) || !create_context(server, options) ||
        !open_store(server, options) ||
        !listeners_open(&server->listeners, server->context, server->loop, options))
        return false;
    install_signals(server);
    lws_sul_schedule(server->context, 0, &server->tick, on_tick, 1);
    listeners_print(&server->listeners);
    return true;
}

/* Commits what waits; connections that are still there are cut. */
static void finish(struct server *server) {
    listeners_close(&server->listeners);
    if (server->committer) {
        committer_stop(server->committer);
        finish_pushes(server);
    }
    if (server->context)
        lws_context_destroy(server->context);
    if (server->loop)
        ev_loop_destroy(server->loop);
    committer_free(server->committer);
    athena_decoder_free(server->host.session.spare_decoder);
    documents_free(server->host.session.documents);
    store_close(server->host.session.store);
    admission_free((struct admission *)server->host.admission);
}

int server_run(const struct options *options) {
    static struct server server; /* one a process: signals need it, and it holds the chunk */
    int status = !check_options(&server, options) ? EXIT_USAGE
                 : !start(&server, options)       ? EXIT_FAILED
                                                  : EXIT_OK;
    if (status == EXIT_OK)
        serve(&server);
    finish(&server);
    return status;
}
