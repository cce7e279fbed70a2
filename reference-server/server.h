/* The running server: sockets, TLS, timers and signals around connections, by libwebsockets. */
#ifndef REFERENCE_SERVER_SERVER_H
#define REFERENCE_SERVER_SERVER_H

#include "reference-server/options.h"

/* Serves until SIGTERM or SIGINT, then stops in order [ASP-STOP-1]. The exit status
 * (EXIT_OK after a graceful stop); what went wrong is in the log. Prints one `listening on URL`
 * line a listener on standard output. */
int server_run(const struct options *options);

#endif
