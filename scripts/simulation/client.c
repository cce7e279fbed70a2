#include "scripts/simulation/client.h"

#include "reference-client/replica_sql.h"
#include "reference-client/session.h"
#include "scripts/simulation/judge.h"
#include "scripts/simulation/memory.h"

enum { ACTOR_BYTES = 8, FAULT_OPS_MAX = 400, CRASH_STEPS_MAX = 6, WARM_MESSAGES = 3 };

struct client {
    struct world *world;
    size_t index;
    size_t doc;
    struct replica *replica;
    struct session *session;       /* NULL: not running */
    struct connection *connection; /* NULL: none */
    char actor[2 * ACTOR_BYTES + 1];
    uint64_t timer_ms; /* when the clock will tick; UINT64_MAX: never */
    size_t synced_version;
    char checked_cursor[ATHENA_CURSOR_TEXT_MAX + 1];

    /* By index of a change: what the replica was seen to hold, what the application has. */
    bool *held;
    bool *told;
    uint64_t changes_len;

    bool is_inside;          /* its own code runs, not the judge's: only that can fail */
    int fault_ops;           /* of SQLite's machine until a statement fails; 0: none will */
    uint64_t steps_to_crash; /* 0: no crash is planned */
    bool is_last_step_kept;
    bool is_crashing;
    bool has_fault; /* its storage failed in this life */
};

static const struct athena_text_view authority = {SIMULATION_AUTHORITY,
                                                  sizeof SIMULATION_AUTHORITY - 1};

static void need(struct client *client, enum athena_code code, const struct athena_error *error) {
    if (code)
        world_fail(client->world, "client %zu: the replica cannot be read: %s", client->index,
                   error->text);
}

static void reserve(struct client *client) {
    uint64_t len = client->world->judge->len;
    if (len <= client->changes_len)
        return;
    client->held = memory_resize(client->held, len * sizeof *client->held);
    client->told = memory_resize(client->told, len * sizeof *client->told);
    memset(client->held + client->changes_len, 0, len - client->changes_len);
    memset(client->told + client->changes_len, 0, len - client->changes_len);
    client->changes_len = len;
}

/* ---- What it believes ---- */

/* Whether the replica has a change, with its bytes; then it has to have it for ever. */
static bool holds(struct client *client, uint64_t index) {
    struct judge *judge = client->world->judge;
    struct replica_change own;
    struct athena_error error;
    reserve(client);
    if (client->held[index])
        return true;
    need(client, replica_find(client->replica, judge->changes[index].id, &own, &error), &error);
    if (own.number == 0)
        return false;
    struct athena_change_view change = {.id = own.id, .data = own.data};
    client->held[index] = judge_match(judge, "a replica", client->doc, &change) == index;
    judge->changes[index].is_durable = true;
    return true;
}

/* A cursor says that the replica has all before it. */
static void check_cursor(struct client *client) {
    const struct judge *judge = client->world->judge;
    struct replica_server server;
    struct athena_error error;
    need(client, replica_server(client->replica, authority, &server, &error), &error);
    if (strcmp(server.cursor, client->checked_cursor) == 0)
        return;
    memcpy(client->checked_cursor, server.cursor, sizeof server.cursor);
    if (server.cursor[0] == '\0')
        return;
    const struct known_cursor *cursor = judge_cursor(
        judge, client->doc, (struct athena_text_view){server.cursor, strlen(server.cursor)});
    if (!cursor) {
        world_fail(client->world, "client %zu: has a cursor that no server gave", client->index);
        return;
    }
    const struct known_log *log = &judge->versions[client->doc][cursor->version];
    for (uint64_t i = 0; i < cursor->position; i++)
        if (!holds(client, log->changes[i]))
            world_fail(client->world, "client %zu: adopts a cursor, and lacks %ju before it",
                       client->index, (uintmax_t)(cursor->position - i));
}

void client_check(struct client *client) {
    struct replica_change own = {.number = 0};
    struct athena_error error;
    reserve(client);
    bool *found = memory_new(client->changes_len * sizeof *found);
    for (;;) {
        need(client, replica_next(client->replica, own.number, &own, &error), &error);
        if (own.number == 0)
            break;
        struct athena_change_view change = {.id = own.id, .data = own.data};
        uint64_t index = judge_match(client->world->judge, "a replica", client->doc, &change);
        if (index == UINT64_MAX)
            break;
        if (found[index] || own.state != CHANGE_READABLE)
            world_fail(client->world, "client %zu: holds a change twice, or as unreadable",
                       client->index);
        found[index] = true;
    }
    for (uint64_t i = 0; i < client->changes_len; i++)
        if (client->held[i] && !found[i])
            world_fail(client->world, "client %zu: has lost a change", client->index);
    free(found);
    if (replica_verify_known(client->replica, &error))
        world_fail(client->world, "client %zu: %s", client->index, error.text);
}

bool client_is_in_sync(struct client *client) {
    const struct known_log *log = judge_log(client->world->judge, client->doc);
    struct replica_server server;
    struct athena_error error;
    if (!client->session || !session_is_in_sync(client->session))
        return false;
    need(client, replica_server(client->replica, authority, &server, &error), &error);
    return athena_digest_equal(&server.known, &log->digests[log->len]);
}

void client_check_converged(struct client *client) {
    const struct judge *judge = client->world->judge;
    const struct known_log *log = judge_log(judge, client->doc);
    struct replica_server server;
    struct replica_counts counts;
    struct athena_error error;
    need(client, replica_server(client->replica, authority, &server, &error), &error);
    need(client, replica_count(client->replica, &server, &counts, &error), &error);
    if (counts.readable != log->len ||
        !athena_digest_equal(&counts.digest, &log->digests[log->len]))
        world_fail(client->world, "client %zu: has not what the server has: %ju changes of %ju",
                   client->index, (uintmax_t)counts.readable, (uintmax_t)log->len);
    if (!athena_digest_equal(&server.known, &log->digests[log->len]))
        world_fail(client->world, "client %zu: does not know what the server has", client->index);
    if (counts.waiting + counts.refused + counts.conflicts + counts.quarantined > 0)
        world_fail(client->world, "client %zu: has unfinished changes", client->index);
    for (uint64_t i = 0; i < log->len; i++)
        if (!holds(client, log->changes[i]))
            world_fail(client->world, "client %zu: lacks a change", client->index);
    client_check(client);
}

void client_check_warm(struct client *client) {
    if (client->connection && wire_messages(client->connection->wire) > WARM_MESSAGES)
        world_fail(client->world, "client %zu: reconnects by more than one round trip",
                   client->index);
}

/* ---- Its storage ---- */

/* SQLite asks whether a statement may go on: not this one. */
static int fail_statement(void *ctx) {
    struct client *client = ctx;
    if (!client->is_inside || !client->fault_ops)
        return 0;
    world_trace(client->world, "client %zu: its storage fails", client->index);
    client->fault_ops = 0;
    client->has_fault = true;
    client->world->figures[FIGURE_CLIENT_FAULTS]++;
    return 1;
}

/* SQLite is about to commit. The device ends before or behind one of its steps. */
static int on_commit(void *ctx) {
    struct client *client = ctx;
    if (client->is_crashing)
        return 1;
    if (!client->is_inside || client->steps_to_crash == 0 || --client->steps_to_crash > 0)
        return 0;
    client->is_crashing = true;
    return !client->is_last_step_kept;
}

/* Around everything that the device does by itself. */
static void enter(struct client *client) {
    client->is_inside = true;
    sqlite3_progress_handler(client->replica->db, client->fault_ops, fail_statement, client);
}

static void leave(struct client *client) {
    client->is_inside = false;
    sqlite3_progress_handler(client->replica->db, 0, NULL, NULL);
}

void client_fail_storage(struct client *client, bool is_crash) {
    struct random *random = &client->world->random;
    if (is_crash) {
        client->steps_to_crash = random_between(random, 1, CRASH_STEPS_MAX);
        client->is_last_step_kept = random_chance(random, 50);
    } else {
        client->fault_ops = (int)random_between(random, 1, FAULT_OPS_MAX);
    }
}

void client_end_trouble(struct client *client) {
    client->steps_to_crash = 0;
    client->fault_ops = 0;
}

/* ---- Driving the session ---- */

static void tick(void *ctx);

static void arm(struct client *client) {
    uint64_t now = client->world->clock.now_ms;
    uint64_t deadline = session_deadline_ms(client->session);
    if (deadline >= client->timer_ms)
        return;
    client->timer_ms = deadline < now ? now : deadline;
    clock_after(&client->world->clock, client->timer_ms - now, tick, client);
}

/* After every call of the session. */
static void settle(struct client *client) {
    leave(client);
    if (client->is_crashing) {
        client_crash(client);
        return;
    }
    if (!client->session)
        return;
    if (client->connection && session_is_connected(client->session)) {
        check_cursor(client);
        if (session_is_in_sync(client->session))
            client->synced_version = wire_version(client->connection->wire);
    }
    arm(client);
}

static void tick(void *ctx) {
    struct client *client = ctx;
    uint64_t now = client->world->clock.now_ms;
    if (now < client->timer_ms)
        return; /* another tick is planned */
    client->timer_ms = UINT64_MAX;
    if (!client->session)
        return;
    enter(client);
    session_tick(client->session, now);
    settle(client);
}

static void on_connect(void *ctx) {
    struct client *client = ctx;
    if (!client->is_crashing)
        client->connection = network_dial(client->world->network, client, client->doc);
}

static void on_send(void *ctx, struct athena_text_view json) {
    struct client *client = ctx;
    if (client->connection && !client->is_crashing)
        network_send(client->connection, SERVER_END, json);
}

static void on_drop(void *ctx, uint16_t code) {
    struct client *client = ctx;
    if (client->connection && !client->is_crashing) {
        network_close(client->connection, CLIENT_END, code);
        client->connection = NULL;
    }
}

static uint32_t on_random(void *ctx) {
    struct client *client = ctx;
    return (uint32_t)random_next(&client->world->random);
}

/* The application gets each change of others once, when it is durable. */
static void on_change(struct client *client, const struct athena_sync_change *change) {
    struct judge *judge = client->world->judge;
    uint64_t index = judge_find(judge, client->doc, change->id);
    if (index == UINT64_MAX) {
        world_fail(client->world, "client %zu: the application gets what nobody added",
                   client->index);
        return;
    }
    struct athena_bytes_view plain = judge->changes[index].plain;
    if (plain.len != change->plain.len ||
        (plain.len > 0 && memcmp(plain.at, change->plain.at, plain.len) != 0))
        world_fail(client->world, "client %zu: the application gets other bytes", client->index);
    reserve(client);
    if (client->told[index])
        world_fail(client->world, "client %zu: the application gets a change twice", client->index);
    client->told[index] = true;
    client->held[index] = false; /* look */
    client->is_inside = false;
    if (!holds(client, index))
        world_fail(client->world, "client %zu: the application gets a change before the replica",
                   client->index);
    client->is_inside = true;
}

static void on_event(void *ctx, const struct athena_sync_event *event) {
    struct client *client = ctx;
    if (client->is_crashing)
        return;
    switch (event->type) {
    case ATHENA_SYNC_CONNECTED:
    case ATHENA_SYNC_PUSHED:
        break;
    case ATHENA_SYNC_IN_SYNC:
        world_trace(client->world, "client %zu: in sync", client->index);
        break;
    case ATHENA_SYNC_CHANGE:
        on_change(client, &event->change);
        break;
    case ATHENA_SYNC_DISCONNECTED:
        world_trace(client->world, "client %zu: disconnected: %s", client->index,
                    event->error.text);
        break;
    case ATHENA_SYNC_FAULT:
        world_trace(client->world, "client %zu: fault: %s", client->index, event->error.text);
        if (event->error.code == ATHENA_UNAVAILABLE && client->has_fault)
            break;
        /* fall through */
    default:
        world_fail(client->world, "client %zu: reports a fault: %s", client->index,
                   event->error.text);
    }
}

/* ---- Life ---- */

struct client *client_new(struct world *world, size_t index, size_t doc) {
    struct client *client = memory_new(sizeof *client);
    struct athena_error error;
    client->world = world;
    client->index = index;
    client->doc = doc;
    client->timer_ms = UINT64_MAX;
    for (size_t i = 0; i + 1 < sizeof client->actor; i++)
        client->actor[i] = "0123456789abcdef"[random_below(&world->random, 16)];
    if (replica_open_in_memory(&client->replica, world->keys[doc].doc, &error))
        memory_need(NULL);
    sqlite3_commit_hook(client->replica->db, on_commit, client);
    return client;
}

void client_free(struct client *client) {
    session_free(client->session);
    replica_close(client->replica);
    free(client->held);
    free(client->told);
    free(client);
}

size_t client_index(const struct client *client) {
    return client->index;
}

void client_crash(struct client *client) {
    if (!client->session && !client->is_crashing)
        return;
    world_trace(client->world, "client %zu: crashes", client->index);
    client->world->figures[FIGURE_CLIENT_CRASHES]++;
    session_free(client->session);
    client->session = NULL;
    if (client->connection)
        network_vanish(client->connection, CLIENT_END);
    client->connection = NULL;
    client->steps_to_crash = 0;
    client->is_crashing = false;
    client->has_fault = false;
    replica_finish(client->replica, ATHENA_INTERNAL, NULL); /* what a new start finds */
    client_check(client);
}

static void start(struct client *client) {
    const struct session_host host = {client, on_connect, on_send, on_drop, on_event, on_random};
    world_trace(client->world, "client %zu: starts", client->index);
    client->session = memory_need(session_new(&host, &session_default_times, client->replica,
                                              &client->world->keys[client->doc], authority));
}

void client_set_online(struct client *client, bool is_online) {
    if (!client->session)
        start(client);
    world_trace(client->world, "client %zu: goes %s", client->index,
                is_online ? "online" : "offline");
    enter(client);
    if (is_online)
        session_start(client->session, client->world->clock.now_ms);
    else
        session_stop(client->session, client->world->clock.now_ms);
    settle(client);
}

void client_connected(struct client *client, struct connection *connection) {
    if (connection != client->connection)
        return;
    enter(client);
    session_connected(client->session, client->world->clock.now_ms);
    settle(client);
}

void client_receive(struct client *client, struct connection *connection,
                    struct athena_text_view json) {
    struct replica_server server;
    struct athena_error error;
    if (connection != client->connection)
        return;
    if (!session_is_connected(client->session)) {
        need(client, replica_server(client->replica, authority, &server, &error), &error);
        struct wire_resume resume = {.known = server.known,
                                     .cursor = {server.cursor, strlen(server.cursor)},
                                     .synced_version = client->synced_version};
        wire_client_opens(connection->wire, json, &resume);
    }
    enter(client);
    session_receive(client->session, json, client->world->clock.now_ms);
    settle(client);
}

void client_disconnected(struct client *client, struct connection *connection) {
    if (connection != client->connection)
        return;
    client->connection = NULL;
    enter(client);
    session_disconnected(client->session,
                         &(struct athena_error){ATHENA_UNAVAILABLE, "", "the connection ended"},
                         client->world->clock.now_ms);
    settle(client);
}

/* ---- The application ---- */

/* Stores them in one step; whether the application was told that they are. */
static bool insert(struct client *client, const uint64_t *changes, size_t len, bool is_own) {
    struct athena_error error;
    enum athena_code code = replica_begin(client->replica, &error);
    if (code)
        return false;
    for (size_t i = 0; i < len && !code; i++) {
        const struct known_change *change = &client->world->judge->changes[changes[i]];
        struct replica_change own = {.id = change->id, .data = change->data, .is_own = is_own};
        code = replica_insert(client->replica, &own, NULL, NULL, &error);
    }
    return replica_finish(client->replica, code, &error) == ATHENA_OK;
}

static void take_over(struct client *client, const uint64_t *changes, size_t len, bool is_own) {
    reserve(client);
    enter(client);
    bool is_stored = insert(client, changes, len, is_own);
    world_trace(client->world, "client %zu: %s %zu, first %.*s%s", client->index,
                is_own ? "adds" : "imports", len,
                (int)client->world->judge->changes[changes[0]].id.len,
                client->world->judge->changes[changes[0]].id.at, is_stored ? "" : ": fails");
    for (size_t i = 0; i < len && is_stored; i++) {
        client->held[changes[i]] = client->told[changes[i]] = true;
        client->world->judge->changes[changes[i]].is_durable = true;
    }
    if (client->session && !client->is_crashing)
        session_added(client->session, client->world->clock.now_ms);
    settle(client);
}

void client_add(struct client *client, size_t len) {
    uint64_t *changes = memory_new(len * sizeof *changes);
    struct athena_text_view actor = {client->actor, strlen(client->actor)};
    for (size_t i = 0; i < len; i++)
        changes[i] = judge_make_change(client->world->judge, client->doc, actor);
    take_over(client, changes, len, true);
    free(changes);
}

void client_import(struct client *client) {
    const struct judge *judge = client->world->judge;
    if (judge->len == 0)
        return;
    uint64_t index = random_below(&client->world->random, judge->len);
    const struct known_change *change = &judge->changes[index];
    if (change->doc == client->doc && change->is_durable && !holds(client, index))
        take_over(client, &index, 1, false);
}
