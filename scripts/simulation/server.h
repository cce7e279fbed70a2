/* The simulated server: real sessions and documents over a store in memory that may fail. */
#ifndef SIMULATION_SERVER_H
#define SIMULATION_SERVER_H

#include "scripts/simulation/network.h"

enum { SERVER_STOP_MS_MAX = 2000 };

struct server;

struct server *server_new(struct world *world);
void server_free(struct server *server);

bool server_is_up(const struct server *server);
bool server_accepts(const struct server *server);
/* All of it is gone but what was committed. */
void server_crash(struct server *server);
void server_start(struct server *server);
/* Tells every session to stop; the process ends within SERVER_STOP_MS_MAX. */
void server_stop(struct server *server);
/* While it is down: each log is what it once was, or empty. */
void server_lose_logs(struct server *server, bool all);
/* Percent of the store's calls that fail, and how many bytes a document may have; 0: none. */
void server_set_trouble(struct server *server, unsigned commits_fail, unsigned reads_fail,
                        uint64_t quota_bytes);
/* The store has what the judge saw committed, byte for byte. */
void server_check(struct server *server);

/* For the network. */
struct peer *server_accept(struct server *server, struct connection *connection);
void peer_receive(struct peer *peer, struct athena_text_view json);
void peer_writable(struct peer *peer);
void peer_disconnected(struct peer *peer);

#endif
