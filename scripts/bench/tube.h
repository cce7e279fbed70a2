/* A byte stream to the server: TCP, with TLS if its URL says so. Its certificate is not verified.
 */
#ifndef BENCH_TUBE_H
#define BENCH_TUBE_H

#include "protocol/athena_protocol.h"

#include <openssl/ssl.h>

struct tube {
    int fd;
    SSL *ssl; /* NULL: none */
};

/* From the loopback address 127.0.0.(1 + source). */
void tube_connect(struct tube *tube, const struct athena_url *url, unsigned source);
void tube_close(struct tube *tube);

/* How many of these bytes it takes now; 0: none. Called again it wants the same bytes. */
size_t tube_send(struct tube *tube, const void *bytes, size_t len);
/* How many bytes have come, without waiting; 0: none now. *has_ended: and no more will. */
size_t tube_receive(struct tube *tube, void *bytes, size_t room, bool *has_ended);
/* More has come than the socket shows. */
bool tube_holds_more(const struct tube *tube);

#endif
