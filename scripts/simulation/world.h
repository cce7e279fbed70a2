/*
 * One simulated world: some clients and one server on a bad network, in virtual time.
 *
 *     application        network            server
 *   add ─▶ client ══ connection ══▶ peer ─▶ session ─▶ submit ─┐
 *          session ◀═ in order, ═══ peer ◀─ session ◀─ pushed ─┤ commit, some time later
 *          replica    may be cut                         faulty store ─▶ store in memory
 *             │            │                                   │
 *             └────────────┴──────── judge ◀───────────────────┘
 *
 * Sessions, replica, documents and pushes are the real ones. What the judge knows it has from
 * watching: the changes that applications added, what each commit made durable, every message. It
 * shares no state with either side. world.c makes the trouble, ends it and demands agreement.
 */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include "protocol/athena_protocol.h"
#include "scripts/simulation/clock.h"
#include "scripts/simulation/random.h"

#define SIMULATION_AUTHORITY "simulation.example"

enum { DOCS = 2, CLIENTS_MAX = 5, TRACE_LINES = 40, TRACE_LINE_BYTES = 240, FAILURE_BYTES = 400 };

/* What is counted, to show that it happened. The names are in main.c. */
enum figure {
    FIGURE_CHANGES,
    FIGURE_CONNECTIONS,
    FIGURE_MESSAGES,
    FIGURE_PUSHES,
    FIGURE_LISTINGS,
    FIGURE_COMMITS,
    FIGURE_CUTS,
    FIGURE_HALF_OPEN,
    FIGURE_DIAL_FAILURES,
    FIGURE_CLIENT_CRASHES,
    FIGURE_CLIENT_FAULTS,
    FIGURE_SERVER_CRASHES,
    FIGURE_SERVER_STOPS,
    FIGURE_WIPES,
    FIGURE_RESTORES,
    FIGURE_REFUSALS,
    FIGURE_COUNT
};

/* How much a world tells. */
enum telling { TELL_NOTHING, TELL_FAILURE, TELL_ALL };

struct world {
    struct random random;
    struct clock clock;
    uint64_t figures[FIGURE_COUNT];
    struct athena_limits limits;
    struct athena_keys keys[DOCS];
    struct network *network;
    struct judge *judge;
    struct server *server;
    struct client *clients[CLIENTS_MAX];
    size_t clients_len;
    enum telling telling;
    char lines[TRACE_LINES][TRACE_LINE_BYTES]; /* the last that happened */
    uint64_t lines_len;
    char failure[FAILURE_BYTES]; /* "" as long as nothing is wrong */
};

/* Lives a whole world through, from its making to agreement; adds to the figures. False when a
 * promise was broken; what TELL_ asks for is on standard output. */
bool world_run(uint64_t seed, enum telling telling, uint64_t figures[static FIGURE_COUNT]);

/* Something happened. */
__attribute__((format(printf, 2, 3))) void world_trace(struct world *world, const char *format,
                                                       ...);
/* A promise is broken. The first counts. */
__attribute__((format(printf, 2, 3))) void world_fail(struct world *world, const char *format, ...);

#endif
