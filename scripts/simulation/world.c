#include "scripts/simulation/world.h"

#include "scripts/simulation/client.h"
#include "scripts/simulation/judge.h"
#include "scripts/simulation/memory.h"
#include "scripts/simulation/server.h"

#include <stdarg.h>

enum {
    EVENTS_MAX = 200000,
    HEALING_MS_MAX = 10 * 60 * 1000,
    HEALING_STEP_MS = 500,
    /* To agree, for each client: a probe now and then and a few connections; and for each change,
     * in the worst case a page, a get, a push, their answers and a relay of its own, twice. */
    IDLE_MESSAGES_MAX = 200,
    CHANGE_MESSAGES_MAX = 14,
};

/* ---- Telling ---- */

void world_trace(struct world *world, const char *format, ...) {
    if (world->telling == TELL_NOTHING)
        return;
    char *line = world->lines[world->lines_len++ % TRACE_LINES];
    int len = snprintf(line, TRACE_LINE_BYTES, "%9.3f ", (double)world->clock.now_ms / 1000);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + len, TRACE_LINE_BYTES - (size_t)len, format, arguments);
    va_end(arguments);
    if (world->telling == TELL_ALL)
        puts(line);
}

void world_fail(struct world *world, const char *format, ...) {
    if (world->failure[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->failure, sizeof world->failure, format, arguments);
    va_end(arguments);
    world_trace(world, "BROKEN: %s", world->failure);
}

static void tell_failure(const struct world *world, uint64_t seed) {
    uint64_t first = world->lines_len > TRACE_LINES ? world->lines_len - TRACE_LINES : 0;
    for (uint64_t i = first; i < world->lines_len && world->telling == TELL_FAILURE; i++)
        puts(world->lines[i % TRACE_LINES]);
    printf("seed %ju breaks a promise: %s\n", (uintmax_t)seed, world->failure);
}

/* ---- Making ---- */

static void make_keys(struct world *world) {
    for (size_t doc = 0; doc < DOCS; doc++) {
        uint8_t secret[ATHENA_SECRET_BYTES] = {(uint8_t)(doc + 1)};
        athena_keys_derive(&world->keys[doc], secret);
    }
}

static void make(struct world *world, uint64_t seed) {
    struct random *random = &world->random;
    random->state = seed;
    make_keys(world);
    world->limits = (struct athena_limits){
        .message = random_chance(random, 50) ? 4 << 20 : 6000,
        .message_before_open = 2048,
        .change = 4096,
        .batch = random_chance(random, 50) ? 1000 : random_between(random, 1, 8),
        .docs = 2,
    };
    world->judge = judge_new(world);
    world->network = network_new(world);
    world->server = server_new(world);
    world->clients_len = (size_t)random_between(random, 2, CLIENTS_MAX);
    for (size_t i = 0; i < world->clients_len; i++) {
        bool is_other = i + 1 == world->clients_len && random_chance(random, 40);
        world->clients[i] = client_new(world, i, is_other ? 1 : 0);
        client_set_online(world->clients[i], true);
    }
}

static void end(struct world *world) {
    for (size_t i = 0; i < world->clients_len; i++)
        client_free(world->clients[i]);
    server_free(world->server);
    network_free(world->network);
    judge_free(world->judge);
    clock_fini(&world->clock);
}

/* ---- Time ---- */

static void pass(struct world *world, uint64_t ms) {
    uint64_t until = world->clock.now_ms + ms;
    while (!world->failure[0] && clock_step(&world->clock, until))
        if (world->clock.steps > EVENTS_MAX)
            world_fail(world, "no end of events");
}

/* ---- Trouble ---- */

static struct client *any_client(struct world *world) {
    return world->clients[random_below(&world->random, world->clients_len)];
}

static void add(struct world *world) {
    bool is_burst = random_chance(&world->random, 10);
    client_add(any_client(world), (size_t)random_between(&world->random, 1, is_burst ? 25 : 3));
}

static void import(struct world *world) {
    client_import(any_client(world));
}

static void cut(struct world *world) {
    network_cut_one(world->network);
}

static void go_online(struct world *world) {
    client_set_online(any_client(world), true);
}

static void go_offline(struct world *world) {
    client_set_online(any_client(world), false);
}

static void crash_client(struct world *world) {
    client_crash(any_client(world));
}

static void crash_client_in_step(struct world *world) {
    client_fail_storage(any_client(world), true);
}

static void fail_client_storage(struct world *world) {
    client_fail_storage(any_client(world), false);
}

static void check_client(struct world *world) {
    client_check(any_client(world));
}

static void start_server(void *ctx) {
    struct world *world = ctx;
    if (!server_is_up(world->server))
        server_start(world->server);
}

static void start_server_later(struct world *world) {
    clock_after(&world->clock, random_below(&world->random, 5000), start_server, world);
}

static void crash_server(struct world *world) {
    world->figures[FIGURE_SERVER_CRASHES] += server_is_up(world->server);
    server_crash(world->server);
    start_server_later(world);
}

static void stop_server(struct world *world) {
    server_stop(world->server);
    clock_after(&world->clock, SERVER_STOP_MS_MAX + random_below(&world->random, 5000),
                start_server, world);
}

static void wipe(struct world *world) {
    server_crash(world->server);
    server_lose_logs(world->server, true);
    start_server_later(world);
}

static void restore(struct world *world) {
    server_crash(world->server);
    server_lose_logs(world->server, false);
    start_server_later(world);
}

static void trouble_store(struct world *world) {
    struct random *random = &world->random;
    server_set_trouble(world->server, random_chance(random, 50) ? 50 : 0,
                       random_chance(random, 50) ? 15 : 0, 0);
}

static void limit_store(struct world *world) {
    server_set_trouble(world->server, 0, 0, random_between(&world->random, 500, 20000));
}

static void calm_store(struct world *world) {
    server_set_trouble(world->server, 0, 0, 0);
}

/* What may be done, and how often. Each world leaves some of it out, so that promises that hold
 * only without some trouble are judged as well. */
struct operation {
    void (*run)(struct world *world);
    unsigned weight;
    bool is_always;
};
static const struct operation operations[] = {
    {add, 40, true},
    {import, 4, false},
    {cut, 15, false},
    {go_online, 12, true},
    {go_offline, 6, false},
    {crash_client, 4, false},
    {crash_client_in_step, 4, false},
    {fail_client_storage, 4, false},
    {crash_server, 4, false},
    {stop_server, 2, false},
    {wipe, 1, false},
    {restore, 2, false},
    {trouble_store, 3, false},
    {limit_store, 1, false},
    {calm_store, 3, true},
    {check_client, 2, true},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static void choose_weights(struct world *world, unsigned weights[static OPERATIONS]) {
    for (size_t i = 0; i < OPERATIONS; i++) {
        bool is_left_out = random_chance(&world->random, 35) && !operations[i].is_always;
        weights[i] = is_left_out ? 0 : operations[i].weight;
    }
}

static void operate(struct world *world, const unsigned weights[static OPERATIONS]) {
    unsigned total = 0;
    for (size_t i = 0; i < OPERATIONS; i++)
        total += weights[i];
    uint64_t chosen = random_below(&world->random, total);
    size_t i = 0;
    for (; chosen >= weights[i]; i++)
        chosen -= weights[i];
    operations[i].run(world);
}

/* Mostly little, so that things meet; now and then enough for every timer. */
static uint64_t pause_ms(struct world *world) {
    uint64_t die = random_below(&world->random, 100);
    uint64_t bound = die < 60 ? 100 : die < 90 ? 2000 : 60000;
    return random_below(&world->random, bound);
}

static void make_trouble(struct world *world) {
    unsigned weights[OPERATIONS];
    uint64_t count = random_between(&world->random, 20, 60);
    choose_weights(world, weights);
    for (uint64_t i = 0; i < count && !world->failure[0]; i++) {
        operate(world, weights);
        pass(world, pause_ms(world));
    }
}

/* ---- Agreement ---- */

static bool all_in_sync(const struct world *world) {
    for (size_t i = 0; i < world->clients_len; i++)
        if (!client_is_in_sync(world->clients[i]))
            return false;
    return true;
}

static void end_trouble(struct world *world) {
    world_trace(world, "the trouble ends");
    world->network->dial_failures = 0;
    calm_store(world);
    start_server(world);
    for (size_t i = 0; i < world->clients_len; i++) {
        client_end_trouble(world->clients[i]);
        client_set_online(world->clients[i], true);
    }
}

/* In bounded time, with a bounded number of messages. */
static void wait_for_sync(struct world *world) {
    uint64_t until_ms = world->clock.now_ms + HEALING_MS_MAX;
    uint64_t messages_max =
        world->figures[FIGURE_MESSAGES] +
        world->clients_len * (IDLE_MESSAGES_MAX + CHANGE_MESSAGES_MAX * world->judge->len);
    while (!world->failure[0] && !all_in_sync(world) && world->clock.now_ms < until_ms)
        pass(world, HEALING_STEP_MS);
    if (!all_in_sync(world))
        world_fail(world, "not in sync after %d minutes without trouble", HEALING_MS_MAX / 60000);
    if (world->figures[FIGURE_MESSAGES] > messages_max)
        world_fail(world, "too many messages until all are in sync");
}

static void demand_agreement(struct world *world) {
    wait_for_sync(world);
    for (size_t i = 0; i < world->clients_len && !world->failure[0]; i++)
        client_check_converged(world->clients[i]);
    server_check(world->server);
}

/* Who has all needs one round trip to know it, after any history. */
static void demand_warm_reconnect(struct world *world) {
    for (size_t i = 0; i < world->clients_len; i++) {
        client_set_online(world->clients[i], false);
        client_set_online(world->clients[i], true);
    }
    wait_for_sync(world);
    for (size_t i = 0; i < world->clients_len && !world->failure[0]; i++)
        client_check_warm(world->clients[i]);
}

bool world_run(uint64_t seed, enum telling telling, uint64_t figures[static FIGURE_COUNT]) {
    struct world *world = memory_new(sizeof *world);
    world->telling = telling;
    make(world, seed);
    make_trouble(world);
    end_trouble(world);
    demand_agreement(world);
    demand_warm_reconnect(world);
    bool is_right = world->failure[0] == '\0';
    if (!is_right && telling != TELL_NOTHING)
        tell_failure(world, seed);
    end(world);
    for (size_t i = 0; i < FIGURE_COUNT; i++)
        figures[i] += world->figures[i];
    free(world);
    return is_right;
}
