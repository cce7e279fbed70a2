/* A simulated device: a real session on a real replica, and the application on top. */
#ifndef SIMULATION_CLIENT_H
#define SIMULATION_CLIENT_H

#include "scripts/simulation/network.h"

/* client.c is linked with the reference client into one object of which only this can be seen: the
 * reference server has a session_new as well. */
#pragma GCC visibility push(default)

struct client;

struct client *client_new(struct world *world, size_t index, size_t doc);
void client_free(struct client *client);
size_t client_index(const struct client *client);

/* Ends without notice; only the replica stays. */
void client_crash(struct client *client);
/* Its storage fails soon, once; or the device ends at that moment. */
void client_fail_storage(struct client *client, bool is_crash);
void client_end_trouble(struct client *client);
/* Starts it if it is not running, and lets it be online or offline. */
void client_set_online(struct client *client, bool is_online);
/* The application adds new changes, or takes over one that another device made. */
void client_add(struct client *client, size_t len);
void client_import(struct client *client);

/* For the network. */
void client_connected(struct client *client, struct connection *connection);
void client_receive(struct client *client, struct connection *connection,
                    struct athena_text_view json);
void client_disconnected(struct client *client, struct connection *connection);

/* It says so, and knows of all that the log has. */
bool client_is_in_sync(struct client *client);
/* Reads the whole replica: it has all it ever had, and nothing else. */
void client_check(struct client *client);
/* At the end: it has just what the server has. */
void client_check_converged(struct client *client);
/* It got in sync by `welcome`, `open` and `opened` alone. */
void client_check_warm(struct client *client);

#pragma GCC visibility pop
#endif
