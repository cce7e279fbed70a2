#include "scripts/bench/relay.h"

#include "scripts/bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK_BYTES = 65536, HEADER_BYTES_MAX = 14, OP_TEXT = 1 };

/* One direction of a connection. */
struct stream {
    int from, to;
    size_t bytes;
    size_t head_bytes; /* of them, HTTP */
    size_t head_match; /* of the head's end, "\r\n\r\n" */
    bool is_open;      /* the head is over */
    bool has_ended;
    uint8_t header[HEADER_BYTES_MAX];
    size_t header_len;
    uint64_t payload_left;
};

struct passage {
    struct stream up, down;
    bool has_welcome, client_spoke;
    size_t round_trips;
    double welcome_s, last_s;
};

struct relay {
    int listener;
    int counts[2]; /* a pipe of struct relay_count */
    char authority[ATHENA_AUTHORITY_TEXT_MAX + 1];
    const struct athena_url *server;
    pthread_t thread;
};

/* ---- what passes ---- */

static void note_message(struct passage *passage, bool is_up) {
    passage->last_s = bench_now();
    if (is_up) {
        passage->client_spoke = true;
    } else if (!passage->has_welcome) {
        passage->has_welcome = true;
        passage->welcome_s = passage->last_s;
    } else {
        passage->round_trips += passage->client_spoke;
        passage->client_spoke = false;
    }
}

/* One more byte of a header; true when it is whole, with the payload's length. */
static bool take_header_byte(struct stream *stream, uint8_t byte) {
    stream->header[stream->header_len++] = byte;
    if (stream->header_len < 2)
        return false;
    uint8_t *header = stream->header, short_len = header[1] & 0x7f;
    size_t width = short_len == 127 ? 8 : short_len == 126 ? 2 : 0;
    if (stream->header_len < 2 + width + (header[1] & 0x80 ? 4 : 0))
        return false;
    stream->payload_left = width ? 0 : short_len;
    for (size_t i = 0; i < width; i++)
        stream->payload_left = stream->payload_left << 8 | header[2 + i];
    stream->header_len = 0;
    return true;
}

static void take_head_byte(struct stream *stream, uint8_t byte) {
    static const uint8_t end[] = {'\r', '\n', '\r', '\n'};
    stream->head_match = byte == end[stream->head_match] ? stream->head_match + 1 : byte == '\r';
    stream->is_open = stream->head_match == sizeof end;
    stream->head_bytes++;
}

static void follow(struct passage *passage, struct stream *stream, const uint8_t *at, size_t len) {
    for (size_t i = 0; i < len;) {
        if (stream->payload_left) {
            size_t left = len - i;
            size_t step = stream->payload_left < left ? (size_t)stream->payload_left : left;
            stream->payload_left -= step;
            i += step;
        } else if (!stream->is_open) {
            take_head_byte(stream, at[i++]);
        } else if (take_header_byte(stream, at[i++]) && (stream->header[0] & 0x0f) == OP_TEXT) {
            note_message(passage, stream == &passage->up);
        }
    }
}

/* ---- one connection ---- */

static void pass_all(int to, const uint8_t *at, size_t len) {
    while (len) {
        ssize_t sent = send(to, at, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the other side has gone; its end is seen when it is read */
        at += sent;
        len -= (size_t)sent;
    }
}

static void pass(struct passage *passage, struct stream *stream) {
    static uint8_t chunk[CHUNK_BYTES];
    ssize_t got = recv(stream->from, chunk, sizeof chunk, 0);
    if (got <= 0) {
        stream->has_ended = true;
        shutdown(stream->to, SHUT_WR);
        return;
    }
    stream->bytes += (size_t)got;
    pass_all(stream->to, chunk, (size_t)got);
    follow(passage, stream, chunk, (size_t)got);
}

static void pass_until_end(struct passage *passage) {
    while (!passage->up.has_ended || !passage->down.has_ended) {
        struct pollfd readable[2] = {
            {.fd = passage->up.has_ended ? -1 : passage->up.from, .events = POLLIN},
            {.fd = passage->down.has_ended ? -1 : passage->down.from, .events = POLLIN}};
        if (poll(readable, 2, BENCH_TIMEOUT_MS) <= 0)
            bench_fail("a relayed connection stood still for %d ms", BENCH_TIMEOUT_MS);
        if (readable[0].revents)
            pass(passage, &passage->up);
        if (readable[1].revents)
            pass(passage, &passage->down);
    }
}

static void send_at_once(int fd) {
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static int connect_to(const struct athena_url *server) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (inet_pton(AF_INET, server->host, &to.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        bench_fail("connect to %s: %s", server->authority, strerror(errno));
    send_at_once(fd);
    return fd;
}

static void relay_one(const struct relay *relay, int client) {
    int server = connect_to(relay->server);
    struct passage passage = {.up = {.from = client, .to = server},
                              .down = {.from = server, .to = client}};
    send_at_once(client);
    pass_until_end(&passage);
    close(client);
    close(server);
    struct relay_count count = {.bytes_up = passage.up.bytes - passage.up.head_bytes,
                                .bytes_down = passage.down.bytes - passage.down.head_bytes,
                                .bytes_http = passage.up.head_bytes + passage.down.head_bytes,
                                .round_trips = passage.round_trips,
                                .session_s = passage.last_s - passage.welcome_s};
    if (write(relay->counts[1], &count, sizeof count) != sizeof count)
        bench_fail("pipe: %s", strerror(errno));
}

/* Ends when the listener is shut down. */
static void *serve(void *argument) {
    const struct relay *relay = argument;
    int client;
    while ((client = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        relay_one(relay, client);
    return NULL;
}

/* ---- its life ---- */

struct relay *relay_start(void) {
    struct relay *relay = bench_take(1, sizeof *relay);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(relay->listener, (struct sockaddr *)&at, len) < 0 || listen(relay->listener, 8) < 0 ||
        getsockname(relay->listener, (struct sockaddr *)&at, &len) < 0 ||
        pipe2(relay->counts, O_CLOEXEC) < 0)
        bench_fail("relay: %s", strerror(errno));
    snprintf(relay->authority, sizeof relay->authority, "127.0.0.1:%d", ntohs(at.sin_port));
    return relay;
}

const char *relay_authority(const struct relay *relay) {
    return relay->authority;
}

void relay_serve(struct relay *relay, const struct athena_url *server) {
    relay->server = server;
    if (pthread_create(&relay->thread, NULL, serve, relay) != 0)
        bench_fail("no thread");
}

struct relay_count relay_take(struct relay *relay) {
    struct relay_count count;
    struct pollfd ended = {.fd = relay->counts[0], .events = POLLIN};
    if (poll(&ended, 1, BENCH_TIMEOUT_MS) != 1 ||
        read(relay->counts[0], &count, sizeof count) != sizeof count)
        bench_fail("no relayed connection ended within %d ms", BENCH_TIMEOUT_MS);
    return count;
}

void relay_end(struct relay *relay) {
    shutdown(relay->listener, SHUT_RDWR);
    pthread_join(relay->thread, NULL);
    close(relay->listener);
    close(relay->counts[0]);
    close(relay->counts[1]);
    free(relay);
}
