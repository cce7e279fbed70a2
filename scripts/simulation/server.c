#include "scripts/simulation/server.h"

#include "reference-server/session.h"
#include "scripts/simulation/faulty_store.h"
#include "scripts/simulation/judge.h"
#include "scripts/simulation/memory.h"

enum {
    COMMIT_MS_MAX = 30,
    STALLED_COMMIT_MS_MAX = 90000, /* longer than a client waits without an answer */
    OPEN_WITHIN_MS = 10000,
    CLOSE_TOO_BIG = 1009,
};

struct message_in {
    struct message_in *next;
    size_t len;
    char json[];
};

/* One connection at the server's end. Lives as long as the world: events may name it. */
struct peer {
    struct peer *next;
    struct server *server;
    struct connection *connection;
    struct session *session; /* NULL: ended */
    struct message_in *inbox;
    struct message_in **inbox_end;
    uint64_t window; /* messages under way to this reader */
    bool is_woken;
};

struct life;

struct server {
    struct session_host host; /* first */
    struct world *world;
    struct faulty_store store;
    struct store_quota quota;
    struct peer *peers; /* all that ever were */
    struct push_lanes waiting;
    struct push_queue committing;
    struct push_queue done;
    struct life *life;
    bool is_up;
    bool is_stopping; /* takes no new connections */
};

/* From a start to a crash. Lives as long as the world: what a life has planned may come after it.
 */
struct life {
    struct life *earlier;
    struct server *server;
    bool is_over;
};

static void after(struct server *server, uint64_t delay_ms, void (*run)(void *ctx)) {
    clock_after(&server->world->clock, delay_ms, run, server->life);
}

/* ---- Committing: as the committer's thread does, on the virtual clock ---- */

static void begin_commit(struct server *server);

static void hand_back(void *ctx) {
    const struct life *life = ctx;
    struct server *server = life->server;
    struct push *push;
    if (life->is_over)
        return;
    while ((push = push_queue_take(&server->done)))
        session_pushed(&server->host, push);
    if (server->waiting.first && !server->committing.first)
        begin_commit(server);
}

static void commit(void *ctx) {
    const struct life *life = ctx;
    struct server *server = life->server;
    struct athena_error error;
    if (life->is_over)
        return;
    push_commit(server->committing.first, &server->store.base, &server->quota, &error);
    server->done = server->committing;
    server->committing = (struct push_queue){0};
    after(server, random_below(&server->world->random, 5), hand_back);
}

static void begin_commit(struct server *server) {
    struct random *random = &server->world->random;
    server->committing.first = push_lanes_take(&server->waiting);
    bool is_stalled = random_chance(random, 1);
    after(server, random_below(random, is_stalled ? STALLED_COMMIT_MS_MAX : COMMIT_MS_MAX), commit);
}

static void submit(struct session_host *host, struct push *push) {
    struct server *server = (struct server *)(void *)host;
    push_lanes_add(&server->waiting, push);
    if (!server->committing.first && !server->done.first)
        begin_commit(server);
}

/* ---- Peers ---- */

static struct message_in *take_message(struct peer *peer) {
    struct message_in *message = peer->inbox;
    peer->inbox = message->next;
    if (!peer->inbox)
        peer->inbox_end = &peer->inbox;
    return message;
}

static void end_peer(struct peer *peer) {
    if (peer->session)
        session_free(peer->session);
    peer->session = NULL;
    while (peer->inbox)
        free(take_message(peer));
}

static void send_frames(struct peer *peer) {
    struct pipe *pipe = &peer->connection->pipes[CLIENT_END];
    struct frame *frame;
    while (pipe->under_way < peer->window && (frame = session_next_frame(peer->session))) {
        network_send(peer->connection, CLIENT_END, frame_text(frame));
        frame_unref(frame);
    }
}

/* Takes in and sends out what can be now, as a connection does when it is woken. */
static void pump(void *ctx) {
    struct peer *peer = ctx;
    peer->is_woken = false;
    if (!peer->session)
        return;
    while (peer->inbox && session_takes_input(peer->session)) {
        struct message_in *message = take_message(peer);
        session_receive(peer->session, (struct athena_text_view){message->json, message->len});
        free(message);
    }
    send_frames(peer);
    uint16_t code = session_close_code(peer->session);
    if (code && peer->connection->pipes[CLIENT_END].under_way < peer->window) {
        network_close(peer->connection, SERVER_END, code);
        end_peer(peer);
    }
}

static void wake(struct session_host *host, void *ctx) {
    struct peer *peer = ctx;
    if (!peer->is_woken)
        clock_after(&((struct server *)(void *)host)->world->clock, 0, pump, peer);
    peer->is_woken = true;
}

static void tick(void *ctx) {
    struct peer *peer = ctx;
    if (peer->session)
        session_tick(peer->session, peer->server->world->clock.now_ms);
}

struct peer *server_accept(struct server *server, struct connection *connection) {
    struct random *random = &server->world->random;
    struct peer *peer = memory_new(sizeof *peer);
    uint8_t challenge[ATHENA_CHALLENGE_BYTES];
    random_fill(random, challenge, sizeof challenge);
    peer->next = server->peers;
    server->peers = peer;
    peer->server = server;
    peer->connection = connection;
    peer->inbox_end = &peer->inbox;
    peer->window = random_between(random, 1, random_chance(random, 50) ? 2 : 32);
    peer->session =
        memory_need(session_new(&server->host, peer, challenge, server->world->clock.now_ms));
    clock_after(&server->world->clock, OPEN_WITHIN_MS, tick, peer);
    wake(&server->host, peer);
    return peer;
}

void peer_receive(struct peer *peer, struct athena_text_view json) {
    if (!peer->session)
        return;
    if (json.len > session_message_bytes_max(peer->session)) {
        world_fail(peer->server->world, "connection %ju: a message over the limit",
                   (uintmax_t)peer->connection->number);
        network_close(peer->connection, SERVER_END, CLOSE_TOO_BIG);
        end_peer(peer);
        return;
    }
    struct message_in *message = memory_new(sizeof *message + json.len);
    message->len = json.len;
    memcpy(message->json, json.at, json.len);
    *peer->inbox_end = message;
    peer->inbox_end = &message->next;
    wake(&peer->server->host, peer);
}

void peer_writable(struct peer *peer) {
    if (peer->session)
        wake(&peer->server->host, peer);
}

void peer_disconnected(struct peer *peer) {
    end_peer(peer);
}

/* ---- Life ---- */

static bool is_authority(const struct session_host *host, struct athena_text_view authority) {
    (void)host;
    return authority.len == strlen(SIMULATION_AUTHORITY) &&
           memcmp(authority.at, SIMULATION_AUTHORITY, authority.len) == 0;
}

static void report(struct session_host *host, const struct athena_error *error) {
    world_trace(((struct server *)(void *)host)->world, "server: %s", error->text);
}

void server_start(struct server *server) {
    uint8_t hash_key[16];
    random_fill(&server->world->random, hash_key, sizeof hash_key);
    server->host.limits = server->world->limits;
    server->host.documents =
        memory_need(documents_new(&server->store.base, &server->host.limits, hash_key));
    struct life *life = memory_new(sizeof *life);
    life->server = server;
    life->earlier = server->life;
    server->life = life;
    server->is_up = true;
    server->is_stopping = false;
    world_trace(server->world, "server: started");
}

struct server *server_new(struct world *world) {
    static const char name[] = "simulated";
    struct server *server = memory_new(sizeof *server);
    server->host = (struct session_host){
        .server_name = {name, sizeof name - 1},
        .open_within_ms = OPEN_WITHIN_MS,
        .store = &server->store.base,
        .is_authority = is_authority,
        .submit = submit,
        .wake = wake,
        .report = report,
    };
    server->world = world;
    server->store.world = world;
    server->store.inner = memory_need(store_memory_new());
    faulty_store_init(&server->store);
    server_start(server);
    return server;
}

/* The sessions are gone: what comes back only frees memory. */
static void drop_pushes(struct server *server, struct push_queue *queue) {
    struct push *push;
    while ((push = push_queue_take(queue))) {
        push->code = ATHENA_UNAVAILABLE;
        session_pushed(&server->host, push);
    }
}

static void end(struct server *server) {
    for (struct peer *peer = server->peers; peer; peer = peer->next)
        end_peer(peer);
    drop_pushes(server, &server->done);
    drop_pushes(server, &server->committing);
    while ((server->committing.first = push_lanes_take(&server->waiting)))
        drop_pushes(server, &server->committing);
    documents_free(server->host.documents);
    server->host.documents = NULL;
    store_memory_crash(server->store.inner);
    server->is_up = false;
    server->life->is_over = true;
}

void server_free(struct server *server) {
    if (server->is_up)
        end(server);
    while (server->peers) {
        struct peer *peer = server->peers;
        server->peers = peer->next;
        free(peer);
    }
    while (server->life) {
        struct life *earlier = server->life->earlier;
        free(server->life);
        server->life = earlier;
    }
    store_close(server->store.inner);
    faulty_store_fini(&server->store);
    athena_decoder_free(server->host.spare_decoder);
    free(server);
}

bool server_is_up(const struct server *server) {
    return server->is_up;
}

bool server_accepts(const struct server *server) {
    return server->is_up && !server->is_stopping;
}

void server_crash(struct server *server) {
    if (!server->is_up)
        return;
    world_trace(server->world, "server: crashes");
    for (struct peer *peer = server->peers; peer; peer = peer->next)
        if (peer->session)
            network_vanish(peer->connection, SERVER_END);
    end(server);
}

/* Nothing is under way to the store: whoever takes what is sent has been told to go. */
static void check_stopped(const struct server *server) {
    if (server->waiting.first || server->committing.first || server->done.first)
        return;
    for (const struct peer *peer = server->peers; peer; peer = peer->next)
        if (peer->session && !peer->is_woken && !peer->connection->is_cut &&
            peer->connection->pipes[CLIENT_END].under_way < peer->window)
            world_fail(server->world, "connection %ju: not ended by a server that stops",
                       (uintmax_t)peer->connection->number);
}

static void end_stop(void *ctx) {
    const struct life *life = ctx;
    if (life->is_over)
        return;
    check_stopped(life->server);
    server_crash(life->server);
}

void server_stop(struct server *server) {
    if (!server_accepts(server))
        return;
    world_trace(server->world, "server: stops");
    server->world->figures[FIGURE_SERVER_STOPS]++;
    server->is_stopping = true;
    for (struct peer *peer = server->peers; peer; peer = peer->next)
        if (peer->session)
            session_stop(peer->session);
    after(server, random_below(&server->world->random, SERVER_STOP_MS_MAX), end_stop);
}

/* ---- The store ---- */

void server_set_trouble(struct server *server, unsigned commits_fail, unsigned reads_fail,
                        uint64_t quota_bytes) {
    struct judge *judge = server->world->judge;
    server->store.commits_fail = commits_fail;
    server->store.reads_fail = reads_fail;
    server->quota.document_bytes = quota_bytes;
    judge->trouble |= commits_fail > 0 || reads_fail > 0;
    judge->quota |= quota_bytes > 0;
}

static void refill(struct store *store, const struct judge *judge, size_t doc) {
    const struct known_log *log = judge_log(judge, doc);
    const struct store_quota no_quota = {0};
    struct store_head head;
    for (uint64_t i = 0; i < log->len; i++) {
        const struct known_change *change = &judge->changes[log->changes[i]];
        struct store_entry entry = {.id = change->id, .data = change->data};
        if (store->engine->append(store, judge->world->keys[doc].doc, &entry, 1, &no_quota, &head,
                                  NULL))
            memory_need(NULL);
    }
}

void server_lose_logs(struct server *server, bool all) {
    struct judge *judge = server->world->judge;
    store_close(server->store.inner);
    struct store *store = server->store.inner = memory_need(store_memory_new());
    server->world->figures[all ? FIGURE_WIPES : FIGURE_RESTORES]++;
    for (size_t doc = 0; doc < DOCS; doc++) {
        uint64_t len = judge_log(judge, doc)->len;
        uint64_t kept = all ? 0 : random_below(&server->world->random, len + 1);
        world_trace(server->world, "server: document %zu keeps %ju of %ju changes", doc,
                    (uintmax_t)kept, (uintmax_t)len);
        judge_lost(judge, doc, kept);
        refill(store, judge, doc);
    }
    if (store->engine->commit(store, NULL))
        memory_need(NULL);
}

static bool is_log(const struct judge *judge, size_t doc, const struct store_page *page) {
    const struct known_log *log = judge_log(judge, doc);
    for (size_t i = 0; i < page->len && i < log->len; i++) {
        const struct known_change *change = &judge->changes[log->changes[i]];
        const struct athena_change_view *stored = &page->changes[i];
        if (change->id.len != stored->id.len || change->data.len != stored->data.len ||
            memcmp(change->id.at, stored->id.at, stored->id.len) != 0 ||
            memcmp(change->data.at, stored->data.at, stored->data.len) != 0)
            return false;
    }
    return page->len == log->len;
}

void server_check(struct server *server) {
    struct store *store = server->store.inner;
    const struct store_range everything = {.until = UINT64_MAX,
                                           .entries_max = UINT64_MAX,
                                           .encoded_bytes_max = UINT64_MAX,
                                           .with_data = true};
    for (size_t doc = 0; doc < DOCS; doc++) {
        struct store_page page = {0};
        const uint8_t *id = server->world->keys[doc].doc;
        if (store->engine->read(store, id, &everything, &page, NULL) ||
            !is_log(server->world->judge, doc, &page))
            world_fail(server->world, "the store is not what was committed, in document %zu", doc);
        store_page_fini(&page);
    }
}
