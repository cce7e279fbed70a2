/*
 * Connections that deliver messages in order, late, and until they are cut.
 *
 * Each direction is a pipe. A cut loses an end of what is under way in each pipe, independently;
 * each end is told at a time of its own, or finds out by itself.
 */
#ifndef SIMULATION_NETWORK_H
#define SIMULATION_NETWORK_H

#include "scripts/simulation/world.h"

struct client;
struct packet;
struct peer;

/* The two ends of a connection; a pipe is named by the end it leads to. */
enum end { CLIENT_END, SERVER_END };

struct pipe {
    struct connection *connection;
    enum end to;
    struct packet *first;
    struct packet **last;
    uint64_t under_way;
    uint64_t survivors;  /* of those under way, how many still arrive; UINT64_MAX: all */
    uint64_t arrival_ms; /* of the latest */
};

struct connection {
    struct network *network;
    struct connection *next;
    uint64_t number;
    struct client *client;
    struct peer *peer; /* NULL until accepted */
    struct wire *wire; /* the judge's */
    uint64_t latency_ms;
    struct pipe pipes[2];
    bool is_open[2]; /* as each end believes */
    bool is_cut;
};

struct network {
    struct world *world;
    struct connection *connections; /* all that ever were, the latest first */
    uint64_t latency_ms_max;
    unsigned dial_failures; /* percent */
};

struct network *network_new(struct world *world);
void network_free(struct network *network);

/* client_connected or client_disconnected follows, or neither. */
struct connection *network_dial(struct network *network, struct client *client, size_t doc);
void network_send(struct connection *connection, enum end to, struct athena_text_view json);
/* This end closes: nothing more arrives there; the other end is told behind what was sent. */
void network_close(struct connection *connection, enum end from, uint16_t code);
/* This end is gone without a word; the other may be told. */
void network_vanish(struct connection *connection, enum end from);
/* Cuts one of the connections that are open, if any. */
void network_cut_one(struct network *network);

#endif
