#include "reference-server/tests/support_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_BYTES = 16384, CHANGES_MAX = 1000, MASK_BYTES = 4, OPCODE_CLOSE = 8, OPCODE_PING = 9 };

/* ---- Bytes ---- */

static int connect_to(const struct sockaddr *address, socklen_t len) {
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_msg(connect(fd, address, len) == 0, "cannot connect: %s", strerror(errno));
    return fd;
}

static int connect_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return connect_to((struct sockaddr *)&address, sizeof address);
}

static int connect_tcp(const struct athena_url *url) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(url->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(url->port)};
    if (inet_pton(AF_INET, url->host, &v4.sin_addr) == 1)
        return connect_to((struct sockaddr *)&v4, sizeof v4);
    ck_assert_int_eq(inet_pton(AF_INET6, url->host, &v6.sin6_addr), 1);
    return connect_to((struct sockaddr *)&v6, sizeof v6);
}

/* Offers HTTP/2 first, as curl does: a server that speaks HTTP/1.1 alone has to say so. */
static void start_tls(struct client *client) {
    static const uint8_t protocols[] = "\x02h2\x08http/1.1";
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    client->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    ck_assert_int_eq(SSL_set_alpn_protos(client->ssl, protocols, sizeof protocols - 1), 0);
    ck_assert_int_eq(SSL_set_fd(client->ssl, client->fd), 1);
    ck_assert_int_eq(SSL_connect(client->ssl), 1);
}

void client_connect(struct client *client, const char *url) {
    *client = (struct client){.decoder = athena_decoder_new()};
    if (strncmp(url, "unix:", 5) == 0) {
        client->fd = connect_unix(url + 5);
        snprintf(client->authority, sizeof client->authority, "localhost");
        return;
    }
    struct athena_url parsed;
    ck_assert_int_eq(athena_url_parse(&parsed, support_text(url), NULL), ATHENA_OK);
    snprintf(client->authority, sizeof client->authority, "%s", parsed.authority);
    client->fd = connect_tcp(&parsed);
    if (parsed.secure)
        start_tls(client);
}

void client_close(struct client *client) {
    SSL_free(client->ssl);
    close(client->fd);
    athena_buf_fini(&client->input);
    athena_decoder_free(client->decoder);
}

void client_send_bytes(struct client *client, const void *bytes, size_t len) {
    const char *at = bytes;
    while (len > 0) {
        ssize_t sent = client->ssl ? SSL_write(client->ssl, at, (int)len)
                                   : send(client->fd, at, len, MSG_NOSIGNAL);
        ck_assert_msg(sent > 0, "cannot send: %s", strerror(errno));
        at += sent;
        len -= (size_t)sent;
    }
}

/* Waits for more bytes; false at the end of the stream. */
static bool fill(struct client *client) {
    char bytes[READ_BYTES];
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};
    if (!client->ssl || SSL_pending(client->ssl) == 0)
        ck_assert_msg(poll(&fd, 1, SUPPORT_DEADLINE_MS) == 1, "the server says nothing");
    ssize_t len = client->ssl ? SSL_read(client->ssl, bytes, sizeof bytes)
                              : recv(client->fd, bytes, sizeof bytes, 0);
    if (len <= 0)
        return false;
    athena_buf_append(&client->input, bytes, (size_t)len);
    return true;
}

static const char *terminate(struct athena_buf *buf) {
    athena_buf_append(buf, "", 1);
    ck_assert(!buf->failed);
    buf->len--;
    return buf->at;
}

const char *client_read_all(struct client *client) {
    while (fill(client)) {
    }
    return terminate(&client->input);
}

/* ---- HTTP ---- */

void client_get(const char *url, const char *path, const char *headers, struct athena_buf *answer) {
    struct client client;
    char request[1024];
    client_connect(&client, url);
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path,
                       client.authority, headers);
    client_send_bytes(&client, request, (size_t)len);
    const char *text = client_read_all(&client);
    athena_buf_clear(answer);
    athena_buf_append(answer, text, strlen(text) + 1);
    client_close(&client);
}

uint64_t client_metric(const struct athena_buf *page, const char *name) {
    char line[128];
    snprintf(line, sizeof line, "\nathena_syncd_%s ", name);
    const char *at = strstr(page->at, line);
    ck_assert_msg(at, "no metric %s", name);
    return strtoull(at + strlen(line), NULL, 10);
}

static void read_welcome(struct client *client) {
    struct athena_message welcome;
    client_expect(client, ATHENA_WELCOME, &welcome);
    memcpy(client->challenge, welcome.challenge, sizeof client->challenge);
    client->limits = welcome.limits;
}

int client_upgrade(struct client *client, const char *headers) {
    char request[2048];
    int len =
        snprintf(request, sizeof request,
                 "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Protocol: " ATHENA_SUBPROTOCOL "\r\n%s\r\n",
                 client->authority, headers);
    client_send_bytes(client, request, (size_t)len);
    const char *end;
    while (!(end = strstr(terminate(&client->input), "\r\n\r\n")))
        ck_assert_msg(fill(client), "no answer to the handshake");
    int status;
    ck_assert_int_eq(sscanf(client->input.at, "HTTP/1.1 %d", &status), 1); // NOLINT(cert-err34-c)
    if (status == 101) {
        client->input_used = (size_t)(end - client->input.at) + 4;
        read_welcome(client);
    }
    return status;
}

void client_join(struct client *client, const char *url) {
    client_connect(client, url);
    ck_assert_int_eq(client_upgrade(client, ""), 101);
}

/* ---- Frames ---- */

/* Masked with zeros: the bytes stay as they are. RFC 6455, section 5.2. */
static void send_frame(struct client *client, const char *bytes, size_t len) {
    uint8_t header[14] = {0x81, 0x80};
    size_t len_bytes = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;
    header[1] |= (uint8_t)(len_bytes == 0 ? len : len_bytes == 2 ? 126 : 127);
    for (size_t i = 0; i < len_bytes; i++)
        header[2 + i] = (uint8_t)(len >> (8 * (len_bytes - 1 - i)));
    client_send_bytes(client, header, 2 + len_bytes + MASK_BYTES);
    client_send_bytes(client, bytes, len);
}

void client_send_text(struct client *client, const char *json) {
    send_frame(client, json, strlen(json));
}

void client_send(struct client *client, const struct athena_message *message) {
    struct athena_buf json = {0};
    athena_message_encode(&json, message);
    ck_assert(!json.failed);
    send_frame(client, json.at, json.len);
    athena_buf_fini(&json);
}

/* Waits until so many bytes are unread; false at the end of the stream. */
static bool need(struct client *client, size_t len) {
    while (client->input.len - client->input_used < len)
        if (!fill(client))
            return false;
    return true;
}

/* The next unfragmented frame, as a server of this protocol sends them. */
static bool read_frame(struct client *client, uint8_t *opcode, struct athena_text_view *payload) {
    if (client->input_used == client->input.len) {
        athena_buf_clear(&client->input);
        client->input_used = 0;
    }
    if (!need(client, 2))
        return false;
    const uint8_t *header = (const uint8_t *)client->input.at + client->input_used;
    size_t len = header[1];
    size_t len_bytes = len < 126 ? 0 : len == 126 ? 2 : 8;
    *opcode = header[0] & 0x0F;
    if (!need(client, 2 + len_bytes))
        return false;
    header = (const uint8_t *)client->input.at + client->input_used;
    for (size_t i = 0; i < len_bytes; i++)
        len = (i ? len << 8 : 0) | header[2 + i];
    if (!need(client, 2 + len_bytes + len))
        return false;
    *payload =
        (struct athena_text_view){client->input.at + client->input_used + 2 + len_bytes, len};
    client->input_used += 2 + len_bytes + len;
    return true;
}

bool client_receive(struct client *client, struct athena_message *message) {
    uint8_t opcode;
    struct athena_text_view payload;
    struct athena_error error;
    do {
        if (!read_frame(client, &opcode, &payload))
            return false;
    } while (opcode == OPCODE_PING);
    if (opcode == OPCODE_CLOSE) {
        const uint8_t *code = (const uint8_t *)payload.at;
        client->close_code = (uint16_t)(payload.len < 2 ? 1005 : code[0] << 8 | code[1]);
        return false;
    }
    enum athena_code code =
        athena_message_decode(message, client->decoder, ATHENA_FROM_SERVER, payload, &error);
    ck_assert_msg(code == ATHENA_OK, "%s: %s: %.*s", error.where, error.text, (int)payload.len,
                  payload.at);
    return true;
}

void client_expect(struct client *client, enum athena_type type, struct athena_message *message) {
    ck_assert_msg(client_receive(client, message), "the connection ended with %u",
                  client->close_code);
    ck_assert_msg(message->type == type, "type %d, not %d: %.*s", (int)message->type, (int)type,
                  (int)message->text.len, message->text.at ? message->text.at : "");
}

void client_expect_ping(struct client *client) {
    uint8_t opcode;
    struct athena_text_view payload;
    ck_assert_msg(read_frame(client, &opcode, &payload), "the connection was cut");
    ck_assert_uint_eq(opcode, OPCODE_PING);
    ck_assert_uint_eq(payload.len, 0);
    client_send_bytes(client, "\x8A\x80\0\0\0\0", 6);
}

/* ---- Documents ---- */

struct athena_message client_request(struct client *client, enum athena_type type,
                                     const struct athena_keys *keys) {
    struct athena_message message = {
        .type = type, .has_req = true, .req = client->next_req++, .has_doc = true};
    memcpy(message.doc, keys->doc, sizeof message.doc);
    return message;
}

void client_open(struct client *client, const struct athena_keys *keys,
                 struct athena_message *opened) {
    struct athena_message open = client_request(client, ATHENA_OPEN, keys);
    struct athena_message reply;
    open.authority = support_text(client->authority);
    athena_proof_sign(open.proof, keys, client->challenge, open.authority);
    client_send(client, &open);
    client_expect(client, ATHENA_OPENED, opened ? opened : &reply);
}

void client_data(char data[static 17], uint64_t number) {
    snprintf(data, 17, "data%012llx", (unsigned long long)number);
}

void client_push(struct client *client, const struct athena_keys *keys, uint64_t first,
                 size_t len) {
    static struct athena_change_view changes[CHANGES_MAX];
    static char ids[CHANGES_MAX][ATHENA_CHANGE_ID_TEXT_MAX + 1];
    static char data[CHANGES_MAX][17];
    ck_assert_uint_le(len, CHANGES_MAX);
    struct athena_message push = client_request(client, ATHENA_PUSH, keys);
    for (size_t i = 0; i < len; i++) {
        support_id(ids[i], first + i);
        client_data(data[i], first + i);
        changes[i] = (struct athena_change_view){.id = support_text(ids[i]),
                                                 .data = {(const uint8_t *)data[i], 16}};
    }
    push.changes = changes;
    push.changes_len = len;
    client_send(client, &push);
}

void client_store(struct client *client, const struct athena_keys *keys, uint64_t first,
                  size_t len) {
    struct athena_message pushed;
    client_push(client, keys, first, len);
    client_expect(client, ATHENA_PUSHED, &pushed);
    ck_assert_uint_eq(pushed.duplicates_len + pushed.rejected_len, 0);
}
