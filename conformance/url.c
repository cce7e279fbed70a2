#include "conformance/url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PLAIN[] = "ws://";
static const char SECURE[] = "wss://";

static const char *default_port(const struct url *url) {
    return url->secure ? "443" : "80";
}

/* Copies [from, to) in lower case. False when it is empty or does not fit. */
static bool copy_host(struct url *url, const char *from, const char *to) {
    size_t len = (size_t)(to - from);
    if (len == 0 || len > URL_HOST_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        url->host[i] = (char)tolower((unsigned char)from[i]);
    url->host[len] = '\0';
    return true;
}

static bool copy_port(struct url *url, const char *from, const char *to) {
    char *end = NULL;
    if (from == to) {
        snprintf(url->port, sizeof url->port, "%s", default_port(url));
        return true;
    }
    long port = isdigit((unsigned char)*from) ? strtol(from, &end, 10) : 0;
    if (port < 1 || port > 65535 || end != to)
        return false;
    snprintf(url->port, sizeof url->port, "%ld", port);
    return true;
}

static void write_authority(struct url *url, bool ipv6) {
    bool shown = strcmp(url->port, default_port(url)) != 0;
    snprintf(url->authority, sizeof url->authority, "%s%s%s%s%s", ipv6 ? "[" : "", url->host,
             ipv6 ? "]" : "", shown ? ":" : "", shown ? url->port : "");
}

bool url_parse(const char *text, struct url *url, const char **reason) {
    *url = (struct url){.secure = strncasecmp(text, SECURE, strlen(SECURE)) == 0};
    const char *scheme = url->secure ? SECURE : PLAIN;
    *reason = "it must begin with ws:// or wss://";
    if (strncasecmp(text, scheme, strlen(scheme)) != 0)
        return false;
    const char *host = text + strlen(scheme);
    const char *path = host + strcspn(host, "/?#");
    bool ipv6 = *host == '[';
    const char *host_end = ipv6 ? memchr(host, ']', (size_t)(path - host)) : NULL;
    if (!ipv6)
        host_end = host + strcspn(host, ":/?#");
    *reason = "its host is missing, too long or not closed by ]";
    if (host_end == NULL || !copy_host(url, host + ipv6, host_end))
        return false;
    const char *port = host_end + ipv6;
    *reason = "its port is not a number from 1 to 65535";
    if ((*port != ':' && port != path) || !copy_port(url, port + (*port == ':'), path))
        return false;
    *reason = "its path is too long";
    if (snprintf(url->path, sizeof url->path, "%s%s", *path == '/' ? "" : "/", path) >=
        (int)sizeof url->path)
        return false;
    write_authority(url, ipv6);
    return true;
}
