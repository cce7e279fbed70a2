#include "reference-server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char unix_prefix[] = "unix:";

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
    if (*path == '\0' || strlen(path) >= sizeof limit.sun_path)
        return wrong(listen, "the path is empty or too long for a socket");
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

static bool is_loopback(const struct address *address) {
    return address->is_unix || strcmp(address->host, "::1") == 0 ||
           strncmp(address->host, "127.", 4) == 0;
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
        size_t before = listeners->authorities_len;
        add_authority(listeners, options->authority.at[i], 0, options->tls_cert != NULL);
        if (listeners->authorities_len == before) {
            log_line(LOG_LEVEL_ERROR, "--authority '%s': not a host or host:port",
                     options->authority.at[i]);
            return false;
        }
    }
    return true;
}

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
}

/* A socket file nobody listens on is from a process that was killed. */
static void remove_stale_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.107s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED)
        unlink(path);
    close(fd);
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

static bool open_listener(struct listeners *listeners, struct lws_context *context,
                          const struct options *options, const char *listen) {
    struct address address;
    struct listener *listener = &listeners->at[listeners->len];
    if (!parse_address(&address, listen))
        return false;
    if (!is_loopback(&address) && !options->token_file && !options->is_public)
        return wrong(listen, "beyond loopback this needs --token-file, or --public");
    struct lws_context_creation_info info = {
        .port = address.port,
        .iface = address.host,
        .protocols = server_protocols,
        .vhost_name = listen,
        .options = LWS_SERVER_OPTION_ONLY_RAW | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
                   (address.is_unix ? LWS_SERVER_OPTION_UNIX_SOCK : 0) |
                   (address.is_ipv6 || address.is_unix ? 0 : LWS_SERVER_OPTION_DISABLE_IPV6),
    };
    fill_tls(&info, options);
    if (address.is_unix)
        remove_stale_socket(address.host);
    listener->vhost = lws_create_vhost(context, &info);
    if (!listener->vhost)
        return wrong(listen, "cannot listen there: the address is in use or not this machine's, "
                             "or the certificate cannot be used");
    listeners->len++;
    int port = address.is_unix ? 0 : lws_get_vhost_listen_port(listener->vhost);
    format_url(listener, &address, (uint16_t)port, options->tls_cert != NULL);
    if (options->authority.len == 0 && !address.is_unix)
        add_loopback(listeners, (uint16_t)port, options->tls_cert != NULL);
    return true;
}

bool listeners_open(struct listeners *listeners, struct lws_context *context,
                    const struct options *options) {
    if (!add_configured(listeners, options))
        return false;
    for (size_t i = 0; i < options->listen.len; i++)
        if (!open_listener(listeners, context, options, options->listen.at[i]))
            return false;
    if (listeners->authorities_len == 0) /* only unix sockets, and no name given */
        add_authority(listeners, "localhost", 0, false);
    return true;
}

void listeners_close(struct listeners *listeners) {
    for (size_t i = 0; i < listeners->len; i++) {
        struct listener *listener = &listeners->at[i];
        if (!listener->is_closed)
            lws_vhost_destroy(listener->vhost);
        listener->is_closed = true;
    }
}

void listeners_print(const struct listeners *listeners) {
    for (size_t i = 0; i < listeners->len; i++)
        printf("listening on %s\n", listeners->at[i].url);
    fflush(stdout);
}

void listeners_fini(struct listeners *listeners) {
    for (size_t i = 0; i < listeners->len; i++)
        if (strncmp(listeners->at[i].url, unix_prefix, sizeof unix_prefix - 1) == 0)
            unlink(listeners->at[i].url + sizeof unix_prefix - 1);
}
