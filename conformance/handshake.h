/* The HTTP half of a WebSocket connection (RFC 6455, section 4), as text in and text out. */
#ifndef CONFORM_HANDSHAKE_H
#define CONFORM_HANDSHAKE_H

#include "conformance/memory.h"

#include <stdbool.h>

#define HANDSHAKE_SUBPROTOCOL "athena-sync.v1"

enum { HANDSHAKE_HEAD_BYTES_MAX = 16384, HANDSHAKE_KEY_BYTES = 16 };

/* What a client asks for. Borrowed texts. */
struct handshake_request {
    const char *host;         /* the Host header */
    const char *path;         /* with its query */
    const char *subprotocols; /* comma-separated; NULL offers none */
    const char *headers;      /* further lines, each ending with CR LF; NULL for none */
};

/* Appends the request; `key` gets the Sec-WebSocket-Key that the answer must fit. */
void handshake_write_request(const struct handshake_request *request,
                             const uint8_t nonce[static HANDSHAKE_KEY_BYTES], char key[static 25],
                             struct bytes *out);

/* Length of the head that starts `text`, its empty line included; 0 when it is not complete. */
size_t handshake_head_len(const struct bytes *text);

/* The status code of an HTTP answer, 0 when it is none. */
int handshake_status(const struct bytes *head);

/* Copies a header's value; false when it is absent. Names ignore case. */
bool handshake_header(const struct bytes *head, size_t head_len, const char *name,
                      struct bytes *value);

/* What is wrong with a 101 answer to `key` that offered our subprotocol, NULL when nothing is.
 * Static. */
const char *handshake_fault(const struct bytes *head, size_t head_len, const char *key);

/* The server's half: appends the 101 answer to the request in `head`. False when it has no key. */
bool handshake_write_answer(const struct bytes *head, size_t head_len, const char *subprotocol,
                            struct bytes *out);

#endif
