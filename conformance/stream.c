#include "conformance/stream.h"

#include "conformance/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct stream_kind {
    ssize_t (*read)(struct stream *stream, void *out, size_t capacity);
    ssize_t (*write)(struct stream *stream, const void *bytes, size_t len);
    short (*events)(const struct stream *stream, bool want_read, bool want_write);
    void (*finish)(struct stream *stream);
};

struct stream {
    const struct stream_kind *kind;
    int fd;
    int error;
};

static ssize_t socket_result(struct stream *stream, ssize_t moved) {
    if (moved > 0)
        return moved;
    if (moved == 0)
        return STREAM_END;
    if (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)
        return STREAM_AGAIN;
    stream->error = errno;
    return STREAM_RESET;
}

static ssize_t socket_read(struct stream *stream, void *out, size_t capacity) {
    return socket_result(stream, recv(stream->fd, out, capacity, 0));
}

static ssize_t socket_write(struct stream *stream, const void *bytes, size_t len) {
    return socket_result(stream, send(stream->fd, bytes, len, MSG_NOSIGNAL));
}

static short socket_events(const struct stream *stream, bool want_read, bool want_write) {
    (void)stream;
    return (short)((want_read ? POLLIN : 0) | (want_write ? POLLOUT : 0));
}

static void socket_finish(struct stream *stream) {
    shutdown(stream->fd, SHUT_WR);
}

static const struct stream_kind socket_kind = {socket_read, socket_write, socket_events,
                                               socket_finish};

struct stream *stream_adopt(int fd) {
    struct stream *stream = memory_take(sizeof *stream);
    const int on = 1;
    stream->kind = &socket_kind;
    stream->fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return stream;
}

static int start_connect(const struct addrinfo *to, int receive_buffer_bytes) {
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (receive_buffer_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0 || errno == EINPROGRESS)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

struct stream *stream_connect(const struct stream_address *address) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int fd = -1;
    if (getaddrinfo(address->host, address->port, &hints, &found) != 0) {
        errno = EHOSTUNREACH;
        return NULL;
    }
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        fd = start_connect(at, address->receive_buffer_bytes);
    freeaddrinfo(found);
    return fd < 0 ? NULL : stream_adopt(fd);
}

ssize_t stream_read(struct stream *stream, void *out, size_t capacity) {
    return stream->kind->read(stream, out, capacity);
}

ssize_t stream_write(struct stream *stream, const void *bytes, size_t len) {
    return stream->kind->write(stream, bytes, len);
}

int stream_fd(const struct stream *stream) {
    return stream->fd;
}

short stream_events(const struct stream *stream, bool want_read, bool want_write) {
    return stream->kind->events(stream, want_read, want_write);
}

void stream_finish(struct stream *stream) {
    stream->kind->finish(stream);
}

const char *stream_reason(const struct stream *stream) {
    return stream->error != 0 ? strerror(stream->error) : "no error";
}

void stream_free(struct stream *stream, bool reset) {
    if (stream == NULL)
        return;
    if (reset) {
        const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    close(stream->fd);
    free(stream);
}
