/* A client for tests, on real sockets: an HTTP request, or a WebSocket with messages. */
#ifndef SERVER_SUPPORT_CLIENT_H
#define SERVER_SUPPORT_CLIENT_H

#include "reference-server/tests/support_main.h"

#include <openssl/ssl.h>

struct client {
    int fd;
    uint16_t close_code; /* of the Close frame that has come */
    char authority[ATHENA_AUTHORITY_TEXT_MAX + 1];
    SSL *ssl; /* of wss: */
    struct athena_buf input;
    size_t input_used;
    struct athena_decoder *decoder;
    uint8_t challenge[ATHENA_CHALLENGE_BYTES];
    struct athena_limits limits;
    uint64_t next_req;
};

/* `url` as the server prints it: ws:, wss: or unix:. No certificate is verified. */
void client_connect(struct client *client, const char *url);
void client_close(struct client *client);
void client_send_bytes(struct client *client, const void *bytes, size_t len);
/* All that comes until the server's end, NUL-terminated in client->input. */
const char *client_read_all(struct client *client);

/* GET on a connection of its own; the whole answer goes into *answer, NUL-terminated. Headers are
 * lines with their ends. */
void client_get(const char *url, const char *path, const char *headers, struct athena_buf *answer);

/* A number on the page /metrics, without the prefix of its name. */
uint64_t client_metric(const struct athena_buf *page, const char *name);

/* The handshake with further header lines: the status. 101: `welcome` has been read. */
int client_upgrade(struct client *client, const char *headers);
/* Connects and upgrades; fails the test unless that works. */
void client_join(struct client *client, const char *url);
void client_send(struct client *client, const struct athena_message *message);
void client_send_text(struct client *client, const char *json);
/* The next message; pings are skipped. False when a Close frame or the end came instead. */
bool client_receive(struct client *client, struct athena_message *message);
/* The next message, which has to be of this type. */
void client_expect(struct client *client, enum athena_type type, struct athena_message *message);

/* Waits for a ping, before any message, and answers it. */
void client_expect_ping(struct client *client);

/* A request of this type about the document of these keys, with the next `req`. */
struct athena_message client_request(struct client *client, enum athena_type type,
                                     const struct athena_keys *keys);
/* Opens the document of these keys; `opened` may be NULL. */
void client_open(struct client *client, const struct athena_keys *keys,
                 struct athena_message *opened);
/* Sends a push of `len` changes whose ids and data follow from their numbers. */
void client_push(struct client *client, const struct athena_keys *keys, uint64_t first, size_t len);
/* Pushes and waits until all are stored. */
void client_store(struct client *client, const struct athena_keys *keys, uint64_t first,
                  size_t len);
/* The data that client_push gives a change: 16 bytes and a NUL. */
void client_data(char data[static 17], uint64_t number);

#endif
