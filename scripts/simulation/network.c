#include "scripts/simulation/network.h"

#include "scripts/simulation/client.h"
#include "scripts/simulation/judge.h"
#include "scripts/simulation/memory.h"
#include "scripts/simulation/server.h"

enum packet_kind { PACKET_ACCEPTED, PACKET_MESSAGE, PACKET_CLOSED };

struct packet {
    struct packet *next;
    enum packet_kind kind;
    size_t len;
    char json[];
};

struct network *network_new(struct world *world) {
    struct network *network = memory_new(sizeof *network);
    network->world = world;
    network->latency_ms_max = random_chance(&world->random, 50) ? 20 : 400;
    network->dial_failures = random_chance(&world->random, 50) ? 2 : 20;
    return network;
}

static struct packet *take_packet(struct pipe *pipe) {
    struct packet *packet = pipe->first;
    pipe->first = packet->next;
    if (!pipe->first)
        pipe->last = &pipe->first;
    pipe->under_way--;
    return packet;
}

void network_free(struct network *network) {
    while (network->connections) {
        struct connection *connection = network->connections;
        network->connections = connection->next;
        for (size_t i = 0; i < 2; i++)
            while (connection->pipes[i].first)
                free(take_packet(&connection->pipes[i]));
        wire_free(connection->wire);
        free(connection);
    }
    free(network);
}

/* ---- Arriving ---- */

static void tell_closed(struct connection *connection, enum end end) {
    if (!connection->is_open[end])
        return;
    connection->is_open[end] = false;
    if (end == CLIENT_END)
        client_disconnected(connection->client, connection);
    else
        peer_disconnected(connection->peer);
}

static void arrive(struct pipe *pipe, const struct packet *packet) {
    struct connection *connection = pipe->connection;
    struct athena_text_view json = {packet->json, packet->len};
    if (packet->kind == PACKET_CLOSED)
        tell_closed(connection, pipe->to);
    else if (packet->kind == PACKET_ACCEPTED)
        client_connected(connection->client, connection);
    else if (pipe->to == CLIENT_END)
        client_receive(connection->client, connection, json);
    else
        peer_receive(connection->peer, json);
}

static void arrive_next(void *ctx) {
    struct pipe *pipe = ctx;
    struct packet *packet = take_packet(pipe);
    struct connection *connection = pipe->connection;
    bool is_lost = pipe->survivors == 0;
    if (!is_lost && pipe->survivors != UINT64_MAX)
        pipe->survivors--;
    if (!is_lost && connection->is_open[pipe->to])
        arrive(pipe, packet);
    free(packet);
    if (!is_lost && pipe->to == CLIENT_END && connection->is_open[SERVER_END] && connection->peer)
        peer_writable(connection->peer);
}

static void put(struct connection *connection, enum end to, enum packet_kind kind,
                struct athena_text_view json) {
    struct world *world = connection->network->world;
    struct pipe *pipe = &connection->pipes[to];
    struct packet *packet = memory_new(sizeof *packet + json.len);
    packet->kind = kind;
    packet->len = json.len;
    if (json.len > 0)
        memcpy(packet->json, json.at, json.len);
    *pipe->last = packet;
    pipe->last = &packet->next;
    pipe->under_way++;
    uint64_t at = world->clock.now_ms + connection->latency_ms + random_below(&world->random, 4);
    if (pipe->arrival_ms < at)
        pipe->arrival_ms = at;
    clock_after(&world->clock, pipe->arrival_ms - world->clock.now_ms, arrive_next, pipe);
}

/* ---- Dialling ---- */

static const struct athena_text_view nothing = {"", 0};

static void accept_dial(void *ctx) {
    struct connection *connection = ctx;
    struct network *network = connection->network;
    struct random *random = &network->world->random;
    bool fails = random_chance(random, network->dial_failures);
    network->world->figures[FIGURE_DIAL_FAILURES] += fails;
    if (fails && random_chance(random, 20))
        return; /* no answer ever */
    if (fails || !server_accepts(network->world->server)) {
        put(connection, CLIENT_END, PACKET_CLOSED, nothing);
        return;
    }
    connection->is_open[SERVER_END] = true;
    put(connection, CLIENT_END, PACKET_ACCEPTED, nothing);
    connection->peer = server_accept(network->world->server, connection);
    if (!connection->is_open[CLIENT_END])
        put(connection, SERVER_END, PACKET_CLOSED, nothing);
}

struct connection *network_dial(struct network *network, struct client *client, size_t doc) {
    struct world *world = network->world;
    struct connection *connection = memory_new(sizeof *connection);
    connection->network = network;
    connection->next = network->connections;
    network->connections = connection;
    connection->number = ++world->figures[FIGURE_CONNECTIONS];
    connection->client = client;
    connection->wire = wire_new(world->judge, connection->number, doc);
    connection->latency_ms = random_between(&world->random, 1, network->latency_ms_max);
    connection->is_open[CLIENT_END] = true;
    for (size_t i = 0; i < 2; i++) {
        struct pipe *pipe = &connection->pipes[i];
        pipe->connection = connection;
        pipe->to = (enum end)i;
        pipe->last = &pipe->first;
        pipe->survivors = UINT64_MAX;
    }
    world_trace(world, "connection %ju: dialled by client %zu", (uintmax_t)connection->number,
                client_index(client));
    clock_after(&world->clock, connection->latency_ms, accept_dial, connection);
    return connection;
}

/* The document is the same all along: a line has no room for it. */
static void trace_message(const struct connection *connection, enum end to,
                          struct athena_text_view json) {
    static const char member[] = "\"doc\":\"";
    const char *doc = memmem(json.at, json.len, member, strlen(member));
    size_t before = doc ? (size_t)(doc - json.at) : json.len;
    size_t skipped = doc ? strlen(member) + ATHENA_DOC_TEXT_LEN + 2 : 0;
    if (before + skipped > json.len)
        skipped = json.len - before;
    world_trace(connection->network->world, "connection %ju: %s %.*s%.*s",
                (uintmax_t)connection->number, to == SERVER_END ? "->" : "<-", (int)before, json.at,
                (int)(json.len - before - skipped), json.at + before + skipped);
}

void network_send(struct connection *connection, enum end to, struct athena_text_view json) {
    struct world *world = connection->network->world;
    world->figures[FIGURE_MESSAGES]++;
    trace_message(connection, to, json);
    if (to == SERVER_END)
        wire_client_sent(connection->wire, json);
    else
        wire_server_sent(connection->wire, json);
    put(connection, to, PACKET_MESSAGE, json);
}

/* ---- Endings ---- */

static enum end other(enum end end) {
    return end == CLIENT_END ? SERVER_END : CLIENT_END;
}

void network_close(struct connection *connection, enum end from, uint16_t code) {
    if (!connection->is_open[from])
        return;
    world_trace(connection->network->world, "connection %ju: closed by the %s, %u",
                (uintmax_t)connection->number, from == CLIENT_END ? "client" : "server",
                (unsigned)code);
    connection->is_open[from] = false;
    if (connection->is_open[other(from)])
        put(connection, other(from), PACKET_CLOSED, nothing);
}

static void tell_client(void *ctx) {
    tell_closed(ctx, CLIENT_END);
}

static void tell_server(void *ctx) {
    tell_closed(ctx, SERVER_END);
}

/* Sooner or later, a server always; a client, when it is half open for long, finds out itself. */
static void tell_later(struct connection *connection, enum end end) {
    struct world *world = connection->network->world;
    bool is_late = random_chance(&world->random, 25);
    uint64_t delay_ms = random_below(&world->random, is_late ? 90000 : 200);
    world->figures[FIGURE_HALF_OPEN] += is_late;
    if (end == SERVER_END || !is_late)
        clock_after(&world->clock, delay_ms, end == SERVER_END ? tell_server : tell_client,
                    connection);
}

/* An end of what is under way is lost, and all that is sent from now on. */
static void lose(struct connection *connection) {
    connection->is_cut = true;
    for (size_t i = 0; i < 2; i++) {
        struct pipe *pipe = &connection->pipes[i];
        uint64_t survivors = random_below(&connection->network->world->random, pipe->under_way + 1);
        if (survivors < pipe->survivors) /* what a cut before this has lost stays lost */
            pipe->survivors = survivors;
    }
}

static void cut(struct connection *connection) {
    struct world *world = connection->network->world;
    world_trace(world, "connection %ju: cut", (uintmax_t)connection->number);
    world->figures[FIGURE_CUTS]++;
    lose(connection);
    tell_later(connection, CLIENT_END);
    if (connection->peer)
        tell_later(connection, SERVER_END);
}

void network_vanish(struct connection *connection, enum end from) {
    if (!connection->is_open[from])
        return;
    connection->is_open[from] = false;
    lose(connection);
    if (connection->is_open[other(from)])
        tell_later(connection, other(from));
}

static bool can_be_cut(const struct connection *connection) {
    return connection->is_open[CLIENT_END] && connection->peer && !connection->is_cut;
}

void network_cut_one(struct network *network) {
    size_t open = 0;
    for (struct connection *c = network->connections; c; c = c->next)
        open += can_be_cut(c);
    if (open == 0)
        return;
    size_t chosen = (size_t)random_below(&network->world->random, open);
    for (struct connection *c = network->connections; c; c = c->next)
        if (can_be_cut(c) && chosen-- == 0) {
            cut(c);
            return;
        }
}
