#include "scripts/bench/tube.h"

#include "scripts/bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SEND_BYTES_MAX = 262144 };

static int connect_from(const struct athena_url *url, unsigned source) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(url->port)}, from = to;
    if (inet_pton(AF_INET, url->host, &to.sin_addr) != 1)
        bench_fail("%s is not an IPv4 address", url->host);
    from.sin_port = 0;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + source);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (fd < 0)
        bench_fail("socket: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        bench_fail("connect to %s: %s", url->authority, strerror(errno));
    return fd;
}

static SSL *shake_hands(int fd) {
    static SSL_CTX *ctx;
    if (!ctx) {
        ctx = SSL_CTX_new(TLS_client_method());
        bench_require_memory(ctx);
        SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    SSL *ssl = SSL_new(ctx);
    bench_require_memory(ssl);
    if (SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
        bench_fail("no TLS handshake");
    return ssl;
}

void tube_connect(struct tube *tube, const struct athena_url *url, unsigned source) {
    tube->fd = connect_from(url, source);
    tube->ssl = url->secure ? shake_hands(tube->fd) : NULL;
    fcntl(tube->fd, F_SETFL, fcntl(tube->fd, F_GETFL) | O_NONBLOCK);
}

void tube_close(struct tube *tube) {
    SSL_free(tube->ssl);
    close(tube->fd);
    *tube = (struct tube){.fd = -1};
}

static bool wants_more(const struct tube *tube, int result) {
    int error = SSL_get_error(tube->ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

size_t tube_send(struct tube *tube, const void *bytes, size_t len) {
    if (len > SEND_BYTES_MAX)
        len = SEND_BYTES_MAX;
    ssize_t sent = tube->ssl ? SSL_write(tube->ssl, bytes, (int)len)
                             : send(tube->fd, bytes, len, MSG_NOSIGNAL);
    if (sent > 0)
        return (size_t)sent;
    if (tube->ssl ? !wants_more(tube, (int)sent) : errno != EAGAIN)
        bench_fail("send: %s", strerror(errno));
    return 0;
}

size_t tube_receive(struct tube *tube, void *bytes, size_t room, bool *has_ended) {
    *has_ended = false;
    ssize_t got =
        tube->ssl ? SSL_read(tube->ssl, bytes, (int)room) : recv(tube->fd, bytes, room, 0);
    if (got > 0)
        return (size_t)got;
    *has_ended = tube->ssl ? !wants_more(tube, (int)got) : got == 0 || errno != EAGAIN;
    return 0;
}

bool tube_holds_more(const struct tube *tube) {
    return tube->ssl && SSL_pending(tube->ssl) > 0;
}
