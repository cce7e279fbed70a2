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
    const char *headers;      /* lines, each ending with CR LF, in place of its own of that name but
                                 subprotocols; NULL for none */
};

/* Appends the request, whose Sec-WebSocket-Key is made of the nonce. */
void handshake_write_request(const struct handshake_request *request,
                             const uint8_t nonce[static HANDSHAKE_KEY_BYTES], struct bytes *out);

/* Length of the head that starts `text`, its empty line included; 0 when it is not complete. */
size_t handshake_head_len(const struct bytes *text);

/* The status code of an HTTP answer, 0 when it is none. */
int handshake_status(const struct bytes *head);

/* Copies a header's value, that of its first line; false when it is absent. Names ignore case. */
bool handshake_header(const struct bytes *head, size_t head_len, const char *name,
                      struct bytes *value);

/* Whether a header that is a list of tokens, in as many lines as it likes, has this one. */
bool handshake_lists(const struct bytes *head, size_t head_len, const char *name, const char *token,
                     bool ignore_case);

/* What is wrong with a 101 answer to `request`, with the requirement that it breaks; NULL when
 * nothing is. Static. */
const char *handshake_fault(const struct bytes *head, size_t head_len, const struct bytes *request,
                            const char **requirement);

/* The server's half: appends the 101 answer to the request in `head`. False when it has no key. */
bool handshake_write_answer(const struct bytes *head, size_t head_len, const char *subprotocol,
                            struct bytes *out);

#endif
