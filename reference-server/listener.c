#include "reference-server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    ACCEPTED_AT_ONCE = 16, /* then others have their turn */
    ACCEPT_PAUSE_MS = 100,
};

static const char unix_prefix[] = "unix:";

union socket_address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

/* One --listen taken apart. */
struct address {
    char host[256]; /* an IP address, "localhost", or the path of a unix socket */
    uint16_t port;
    bool is_unix;
    bool is_ipv6;
};

static bool wrong(const char *listen, const char *what) {
    log_line(LOG_LEVEL_ERROR, "--listen '%s': %s", listen, what);
    return false;
}

static bool parse_port(const char *text, uint16_t *port) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *port = (uint16_t)value;
    return *text >= '0' && *text <= '9' && *end == '\0' && value <= UINT16_MAX;
}

static bool parse_unix(struct address *address, const char *listen) {
    const char *path = listen + sizeof unix_prefix - 1;
    struct sockaddr_un limit;
    if (*path == '\0' || *path == '@' || strlen(path) >= sizeof limit.sun_path)
        return wrong(listen, "the path is empty, begins with '@' or is too long for a socket");
    address->is_unix = true;
    snprintf(address->host, sizeof address->host, "%s", path);
    return true;
}

static bool parse_address(struct address *address, const char *listen) {
    *address = (struct address){0};
    if (strncmp(listen, unix_prefix, sizeof unix_prefix - 1) == 0)
        return parse_unix(address, listen);
    const char *colon = strrchr(listen, ':');
    if (!colon || !parse_port(colon + 1, &address->port))
        return wrong(listen, "not HOST:PORT, [IPV6]:PORT or unix:PATH");
    size_t len = (size_t)(colon - listen);
    if (len >= 2 && listen[0] == '[' && colon[-1] == ']') {
        address->is_ipv6 = true;
        listen++;
        len -= 2;
    }
    if (len >= sizeof address->host)
        return wrong(listen, "the host is too long");
    memcpy(address->host, listen, len);
    if (strcmp(address->host, "localhost") == 0)
        snprintf(address->host, sizeof address->host, "127.0.0.1");
    uint8_t binary[16];
    if (inet_pton(address->is_ipv6 ? AF_INET6 : AF_INET, address->host, binary) != 1)
        return wrong(listen, "the host is not an IP address");
    return true;
}

/* ---- Checks ---- */

static bool is_loopback(const struct address *address) {
    return address->is_unix || strcmp(address->host, "::1") == 0 ||
           strncmp(address->host, "127.", 4) == 0;
}

/* [ASP-SEC-5] */
static bool check_listen(const struct options *options, const char *listen) {
    struct address address;
    if (!parse_address(&address, listen))
        return false;
    return is_loopback(&address) || options->token_file || options->is_public ||
           wrong(listen, "beyond loopback this needs --token-file, or --public");
}

/* Who comes from elsewhere would be refused as `wrong-authority`, by a server that looks well. It
 * may be meant: a container's port is dialled as localhost, too. */
static void warn_of_names(const struct options *options) {
    struct address address;
    for (size_t i = 0; i < options->listen.len && options->authority.len == 0; i++)
        if (parse_address(&address, options->listen.at[i]) && !is_loopback(&address))
            log_line(LOG_LEVEL_WARN,
                     "--listen '%s': without --authority only clients that dial localhost, "
                     "127.0.0.1 or [::1] can open a document",
                     options->listen.at[i]);
}

/* Says what OpenSSL has against a file, once it has been looked at. */
static bool check_pem(const char *option, const char *path, bool is_fine) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    if (!is_fine)
        log_line(LOG_LEVEL_ERROR, "%s '%s': %s", option, path,
                 access(path, R_OK) != 0 ? strerror(errno)
                 : reason                ? reason
                                         : "not usable");
    ERR_clear_error();
    return is_fine;
}

/* Nobody is there to type one. */
static int no_passphrase(char *text, int capacity, int is_writing, void *user) {
    (void)is_writing;
    (void)user;
    if (capacity > 0)
        *text = '\0';
    return -1;
}

static bool check_tls(const struct options *options) {
    if (!options->tls_cert)
        return true;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return false;
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    bool ok = check_pem("--tls-cert", options->tls_cert,
                        SSL_CTX_use_certificate_chain_file(ctx, options->tls_cert) == 1) &&
              check_pem("--tls-key", options->tls_key,
                        SSL_CTX_use_PrivateKey_file(ctx, options->tls_key, SSL_FILETYPE_PEM) == 1);
    SSL_CTX_free(ctx);
    return ok;
}

/* ---- Names ---- */

static void add_authority(struct listeners *listeners, const char *host, uint16_t port,
                          bool secure) {
    struct athena_url url;
    char text[300];
    if (port)
        snprintf(text, sizeof text, "%s://%s:%u/", secure ? "wss" : "ws", host, (unsigned)port);
    else
        snprintf(text, sizeof text, "%s://%s/", secure ? "wss" : "ws", host);
    if (listeners->authorities_len == AUTHORITIES_MAX ||
        athena_url_parse(&url, (struct athena_text_view){text, strlen(text)}, NULL))
        return;
    snprintf(listeners->authorities[listeners->authorities_len++], ATHENA_AUTHORITY_TEXT_MAX + 1,
             "%s", url.authority);
}

/* The operator's names, as clients will serialise them. */
static bool add_configured(struct listeners *listeners, const struct options *options) {
    for (size_t i = 0; i < options->authority.len; i++) {
        const char *name = options->authority.at[i];
        size_t before = listeners->authorities_len;
        if (!strpbrk(name, "/\\?#")) /* behind these a URL would go on */
            add_authority(listeners, name, 0, options->tls_cert != NULL);
        if (listeners->authorities_len == before) {
            log_line(LOG_LEVEL_ERROR, "--authority '%s': not a host or host:port", name);
            return false;
        }
    }
    return true;
}

bool listeners_check(const struct options *options) {
    struct listeners names = {0};
    for (size_t i = 0; i < options->listen.len; i++)
        if (!check_listen(options, options->listen.at[i]))
            return false;
    warn_of_names(options);
    return add_configured(&names, options) && check_tls(options);
}

/* [ASP-WS-41] */
static void add_loopback(struct listeners *listeners, uint16_t port, bool secure) {
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        add_authority(listeners, names[i], port, secure);
}

bool listeners_have_authority(const struct listeners *listeners,
                              struct athena_text_view authority) {
    for (size_t i = 0; i < listeners->authorities_len; i++) {
        const char *name = listeners->authorities[i];
        if (strlen(name) == authority.len && memcmp(name, authority.at, authority.len) == 0)
            return true;
    }
    return false;
}

/* ---- Sockets ---- */

static void fill_tls(struct lws_context_creation_info *info, const struct options *options) {
    if (!options->tls_cert)
        return;
    info->ssl_cert_filepath = options->tls_cert;
    info->ssl_private_key_filepath = options->tls_key;
    info->ssl_options_set = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1;
    info->alpn = "http/1.1"; /* by itself libwebsockets takes a connection over for HTTP/2 */
    info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT; /* else: in the clear, silently */
}

/* 0, or the errno of trying to connect. */
static int try_connect(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.107s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int failure = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(fd);
    return failure;
}

/* Only a socket file nobody listens on is in nobody's way: it is from a process that was killed,
 * and is removed. */
static bool clear_path(const char *listen, const char *path) {
    struct stat stat;
    if (lstat(path, &stat) != 0)
        return errno == ENOENT || wrong(listen, strerror(errno));
    if (!S_ISSOCK(stat.st_mode))
        return wrong(listen, "a file of that name is there, and it is not a socket");
    int failure = try_connect(path);
    if (failure == 0)
        return wrong(listen, "another process listens there");
    if (failure == ECONNREFUSED && unlink(path) != 0)
        failure = errno;
    return failure == ECONNREFUSED || wrong(listen, strerror(failure));
}

static void format_url(struct listener *listener, const struct address *address, uint16_t port,
                       bool secure) {
    if (address->is_unix)
        snprintf(listener->url, sizeof listener->url, "unix:%s", address->host);
    else
        snprintf(listener->url, sizeof listener->url,
                 address->is_ipv6 ? "%s://[%s]:%u/" : "%s://%s:%u/", secure ? "wss" : "ws",
                 address->host, (unsigned)port);
}

static socklen_t fill_sockaddr(union socket_address *to, const struct address *address) {
    *to = (union socket_address){0};
    if (address->is_unix) {
        to->un.sun_family = AF_UNIX;
        memcpy(to->un.sun_path, address->host, strlen(address->host) + 1); /* see parse_unix */
        return sizeof to->un;
    }
    if (address->is_ipv6) {
        to->in6.sin6_family = AF_INET6;
        to->in6.sin6_port = htons(address->port);
        inet_pton(AF_INET6, address->host, &to->in6.sin6_addr);
        return sizeof to->in6;
    }
    to->in.sin_family = AF_INET;
    to->in.sin_port = htons(address->port);
    inet_pton(AF_INET, address->host, &to->in.sin_addr);
    return sizeof to->in;
}

static bool bind_socket(int fd, const struct address *address, uint16_t *port) {
    union socket_address at;
    const int on = 1;
    socklen_t len = fill_sockaddr(&at, address);
    if (!address->is_unix)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->is_ipv6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, &at.any, len) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, &at.any, &len) != 0)
        return false;
    *port = address->is_unix   ? 0
            : address->is_ipv6 ? ntohs(at.in6.sin6_port)
                               : ntohs(at.in.sin_port);
    return true;
}

/* -1, with errno, when nothing can listen there. */
static int open_socket(const struct address *address, uint16_t *port) {
    int family = address->is_unix ? AF_UNIX : address->is_ipv6 ? AF_INET6 : AF_INET;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !bind_socket(fd, address, port)) {
        int failure = errno;
        close(fd);
        errno = failure;
        return -1;
    }
    return fd;
}

/* ---- Accepting ---- */

/* Without descriptors or memory the socket stays readable: asked at once again it would be so for
 * ever, and the log with it. */
static void pause_listener(struct listener *listener) {
    log_line(LOG_LEVEL_WARN, "%s: cannot accept for now: %s", listener->url, strerror(errno));
    ev_io_stop(listener->loop, &listener->readable);
    ev_timer_again(listener->loop, &listener->pause);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events) {
    (void)events;
    struct listener *listener = timer->data;
    ev_timer_stop(loop, timer);
    ev_io_start(loop, &listener->readable);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events) {
    (void)loop;
    (void)events;
    struct listener *listener = io->data;
    const int on = 1;
    for (int i = 0; i < ACCEPTED_AT_ONCE; i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_listener(listener);
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* of no use on a unix socket */
        lws_adopt_descriptor_vhost(listener->vhost, LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL,
                                   (lws_sock_file_fd_type){.sockfd = fd}, server_protocols[0].name,
                                   NULL);
    }
}

static void start_listener(struct listener *listener, struct ev_loop *loop, int fd) {
    listener->loop = loop;
    ev_io_init(&listener->readable, on_readable, fd, EV_READ);
    ev_init(&listener->pause, on_pause_over);
    listener->pause.repeat = ACCEPT_PAUSE_MS / 1000.0;
    listener->readable.data = listener->pause.data = listener;
    ev_io_start(loop, &listener->readable);
}

static bool open_listener(struct listeners *listeners, struct lws_context *context,
                          struct ev_loop *loop, const struct options *options, const char *listen) {
    struct address address;
    uint16_t port;
    struct listener *listener = &listeners->at[listeners->len];
    bool secure = options->tls_cert != NULL;
    if (!parse_address(&address, listen))
        return false;
    if (address.is_unix && !clear_path(listen, address.host))
        return false;
    int fd = open_socket(&address, &port);
    if (fd < 0)
        return wrong(listen, strerror(errno));
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = server_protocols,
        .vhost_name = listen,
        .options = LWS_SERVER_OPTION_ONLY_RAW,
    };
    fill_tls(&info, options);
    listener->vhost = lws_create_vhost(context, &info);
    if (!listener->vhost) {
        close(fd);
        return wrong(listen, "cannot be set up");
    }
    listeners->len++;
    start_listener(listener, loop, fd);
    format_url(listener, &address, port, secure);
    if (options->authority.len == 0 && !address.is_unix)
        add_loopback(listeners, port, secure);
    return true;
}

bool listeners_open(struct listeners *listeners, struct lws_context *context, struct ev_loop *loop,
                    const struct options *options) {
    if (!add_configured(listeners, options))
        return false;
    for (size_t i = 0; i < options->listen.len; i++)
        if (!open_listener(listeners, context, loop, options, options->listen.at[i]))
            return false;
    if (listeners->authorities_len == 0) /* only unix sockets, and no name given */
        add_authority(listeners, "localhost", 0, false);
    return true;
}

/* A unix socket's file goes first: behind the close it might be another server's. */
void listeners_close(struct listeners *listeners) {
    for (size_t i = 0; i < listeners->len; i++) {
        struct listener *listener = &listeners->at[i];
        if (listener->is_closed)
            continue;
        if (strncmp(listener->url, unix_prefix, sizeof unix_prefix - 1) == 0)
            unlink(listener->url + sizeof unix_prefix - 1);
        ev_io_stop(listener->loop, &listener->readable);
        ev_timer_stop(listener->loop, &listener->pause);
        close(listener->readable.fd);
        listener->is_closed = true;
    }
}

void listeners_print(const struct listeners *listeners) {
    for (size_t i = 0; i < listeners->len; i++)
        printf("listening on %s\n", listeners->at[i].url);
    fflush(stdout);
}
