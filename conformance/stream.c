#include "conformance/stream.h"

#include "conformance/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
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
    SSL *tls;
    char reason[160]; /* of a STREAM_RESET */
};

/* The first reason is the true one. */
static ssize_t broken(struct stream *stream, const char *reason) {
    if (*stream->reason == '\0')
        snprintf(stream->reason, sizeof stream->reason, "%s", reason);
    return STREAM_RESET;
}

/* ---- TCP ---- */

static ssize_t socket_result(struct stream *stream, ssize_t moved) {
    if (moved > 0)
        return moved;
    if (moved == 0)
        return STREAM_END;
    if (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)
        return STREAM_AGAIN;
    return broken(stream, strerror(errno));
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

/* ---- TLS ---- */

static ssize_t tls_result(struct stream *stream, int result) {
    if (result > 0)
        return result;
    switch (SSL_get_error(stream->tls, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return STREAM_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return STREAM_END;
    case SSL_ERROR_SYSCALL:
        return broken(stream, errno != 0 ? strerror(errno) : "ended in the midst of TLS");
    default: {
        long verified = SSL_get_verify_result(stream->tls);
        const char *why = ERR_reason_error_string(ERR_peek_error());
        if (verified != X509_V_OK && SSL_get_verify_mode(stream->tls) != SSL_VERIFY_NONE)
            why = X509_verify_cert_error_string(verified);
        return broken(stream, why != NULL ? why : "TLS failed");
    }
    }
}

static int int_len(size_t len) {
    return len > INT_MAX ? INT_MAX : (int)len;
}

static ssize_t tls_read(struct stream *stream, void *out, size_t capacity) {
    ERR_clear_error();
    errno = 0;
    return tls_result(stream, SSL_read(stream->tls, out, int_len(capacity)));
}

static ssize_t tls_write(struct stream *stream, const void *bytes, size_t len) {
    ERR_clear_error();
    errno = 0;
    return tls_result(stream, SSL_write(stream->tls, bytes, int_len(len)));
}

/* What TLS itself waits for comes first; what it has read already is as good as ready. */
static short tls_events(const struct stream *stream, bool want_read, bool want_write) {
    if (SSL_want_write(stream->tls) || (want_read && SSL_pending(stream->tls) > 0))
        return POLLOUT;
    if (!SSL_is_init_finished(stream->tls))
        return SSL_want_read(stream->tls) ? POLLIN : POLLOUT;
    return socket_events(stream, want_read, want_write);
}

static void tls_finish(struct stream *stream) {
    SSL_shutdown(stream->tls);
    socket_finish(stream);
}

static const struct stream_kind tls_kind = {tls_read, tls_write, tls_events, tls_finish};

/* One for the process: all its connections trust the same. */
static SSL_CTX *tls_context(const struct stream_tls *how) {
    static SSL_CTX *context;
    if (context != NULL)
        return context;
    SSL_CTX *fresh = SSL_CTX_new(TLS_client_method());
    bool trusts = how->ca_file != NULL ? SSL_CTX_load_verify_file(fresh, how->ca_file) == 1
                                       : SSL_CTX_set_default_verify_paths(fresh) == 1;
    if (!trusts) {
        SSL_CTX_free(fresh);
        errno = EINVAL;
        return NULL;
    }
    SSL_CTX_set_mode(fresh, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(fresh, SSL_OP_IGNORE_UNEXPECTED_EOF); /* a FIN is an end, not a fault */
    SSL_CTX_set_verify(fresh, how->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    context = fresh;
    return context;
}

bool stream_check_tls(const struct stream_tls *how) {
    return tls_context(how) != NULL;
}

static bool start_tls(struct stream *stream, const struct stream_address *address) {
    SSL_CTX *context = tls_context(address->tls);
    stream->tls = context != NULL ? SSL_new(context) : NULL;
    if (stream->tls == NULL)
        return false;
    X509_VERIFY_PARAM *wanted = SSL_get0_param(stream->tls);
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, address->host) != 1) {
        SSL_set_tlsext_host_name(stream->tls, address->host);
        SSL_set1_host(stream->tls, address->host);
    }
    SSL_set_fd(stream->tls, stream->fd);
    SSL_set_connect_state(stream->tls);
    stream->kind = &tls_kind;
    return true;
}

/* ---- Opening and closing ---- */

struct stream *stream_adopt(int fd) {
    struct stream *stream = memory_take(sizeof *stream);
    const int on = 1;
    stream->kind = &socket_kind;
    stream->fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return stream;
}

/* Self-signed, made for the occasion; NULL when OpenSSL fails. */
static X509 *make_certificate(EVP_PKEY *key) {
    enum { VALID_S = 86400 };
    X509 *certificate = X509_new();
    X509_EXTENSION *host = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    bool ok = certificate != NULL && host != NULL && X509_set_version(certificate, 2) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(certificate), -VALID_S) != NULL &&
              X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_S) != NULL &&
              X509_set_pubkey(certificate, key) == 1 && X509_add_ext(certificate, host, -1) == 1 &&
              X509_sign(certificate, key, EVP_sha256()) > 0;
    X509_EXTENSION_free(host);
    if (ok)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static SSL *new_untrusted_server(int fd) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key != NULL ? make_certificate(key) : NULL;
    SSL *tls = NULL;
    if (context != NULL && certificate != NULL) {
        SSL_CTX_set_mode(context,
                         SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        if (SSL_CTX_use_certificate(context, certificate) == 1 &&
            SSL_CTX_use_PrivateKey(context, key) == 1)
            tls = SSL_new(context);
    }
    if (tls != NULL) {
        SSL_set_fd(tls, fd);
        SSL_set_accept_state(tls);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    SSL_CTX_free(context);
    return tls;
}

struct stream *stream_adopt_untrusted(int fd) {
    struct stream *stream = stream_adopt(fd);
    stream->tls = new_untrusted_server(fd);
    stream->kind = &tls_kind;
    if (stream->tls != NULL)
        return stream;
    stream_free(stream, false);
    return NULL;
}

static int start_connect(const struct sockaddr *to, socklen_t to_len, int flags,
                         const struct stream_address *address) {
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return -1;
    const int buffer = address->receive_buffer_bytes;
    const int segment = address->segment_bytes;
    if (buffer > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (segment > 0)
        setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    if (connect(fd, to, to_len) == 0 || errno == EINPROGRESS)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* `flags` of socket(2). A descriptor, or -1 with errno. */
static int dial(const struct stream_address *address, int flags) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int fd = -1;
    if (address->path != NULL) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        snprintf(to.sun_path, sizeof to.sun_path, "%s", address->path);
        return start_connect((struct sockaddr *)&to, sizeof to, flags, address);
    }
    if (getaddrinfo(address->host, address->port, &hints, &found) != 0) {
        errno = EHOSTUNREACH;
        return -1;
    }
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        fd = start_connect(at->ai_addr, at->ai_addrlen, flags, address);
    freeaddrinfo(found);
    return fd;
}

bool stream_accepts(const struct stream_address *address) {
    int fd = dial(address, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

struct stream *stream_connect(const struct stream_address *address) {
    int fd = dial(address, SOCK_NONBLOCK);
    struct stream *stream = fd < 0 ? NULL : stream_adopt(fd);
    if (stream != NULL && address->tls != NULL && !start_tls(stream, address)) {
        stream_free(stream, false);
        return NULL;
    }
    return stream;
}

int stream_listen(uint16_t *port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(at.sin_port);
    return fd;
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

/* ---- What the other side has taken ---- */

static void put_address(const struct sockaddr_storage *address, __be32 bytes[static 4],
                        __be16 *port) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, address, sizeof v4);
    memcpy(&v6, address, sizeof v6);
    bool is_v6 = address->ss_family == AF_INET6;
    memcpy(bytes, is_v6 ? (const void *)&v6.sin6_addr : (const void *)&v4.sin_addr,
           is_v6 ? sizeof v6.sin6_addr : sizeof v4.sin_addr);
    *port = is_v6 ? v6.sin6_port : v4.sin_port;
}

/* Bytes that wait to be read at the other end of a TCP connection; 0 when that end is not of this
 * machine, or the system does not tell. */
static uint32_t unread_at_peer(const struct stream *stream) {
    struct sockaddr_storage own = {0};
    struct sockaddr_storage peer = {0};
    socklen_t own_len = sizeof own;
    socklen_t peer_len = sizeof peer;
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
    } request = {.head = {.nlmsg_len = sizeof request,
                          .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                          .nlmsg_flags = NLM_F_REQUEST},
                 .body = {.sdiag_protocol = IPPROTO_TCP, .idiag_states = UINT32_MAX}};
    union {
        struct nlmsghdr head;
        char room[4096];
    } answer = {0};
    if (getsockname(stream->fd, (struct sockaddr *)&own, &own_len) != 0 ||
        getpeername(stream->fd, (struct sockaddr *)&peer, &peer_len) != 0)
        return 0;
    struct inet_diag_sockid *end = &request.body.id; /* the peer's: it is its own source */
    request.body.sdiag_family = (__u8)peer.ss_family;
    put_address(&peer, end->idiag_src, &end->idiag_sport);
    put_address(&own, end->idiag_dst, &end->idiag_dport);
    end->idiag_cookie[0] = end->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    ssize_t len = fd >= 0 && send(fd, &request, sizeof request, 0) == (ssize_t)sizeof request
                      ? recv(fd, &answer, sizeof answer, 0)
                      : -1;
    if (fd >= 0)
        close(fd);
    if (len < (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg)) ||
        answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return 0;
    return ((const struct inet_diag_msg *)NLMSG_DATA(&answer.head))->idiag_rqueue;
}

bool stream_is_taken(const struct stream *stream) {
    int under_way = 0; /* of a unix socket: what its peer has not read */
    return ioctl(stream->fd, SIOCOUTQ, &under_way) != 0 ||
           (under_way == 0 && unread_at_peer(stream) == 0);
}

bool stream_is_ready(const struct stream *stream) {
    return stream->tls == NULL || SSL_is_init_finished(stream->tls);
}

short stream_events(const struct stream *stream, bool want_read, bool want_write) {
    return stream->kind->events(stream, want_read, want_write);
}

void stream_finish(struct stream *stream) {
    stream->kind->finish(stream);
}

const char *stream_reason(const struct stream *stream) {
    return *stream->reason != '\0' ? stream->reason : "no error";
}

void stream_free(struct stream *stream, bool reset) {
    if (stream == NULL)
        return;
    if (reset) {
        const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    SSL_free(stream->tls);
    close(stream->fd);
    free(stream);
}
