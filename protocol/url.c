/*
 * A ws: or wss: URL and its authority, as the WHATWG URL standard parses and serialises them
 * [ASP-WS-37]; `new URL(text).host` is the oracle. Where the standard repairs what nobody means to
 * write (white space, backslashes) this refuses, and a host that is not ASCII has to be given in
 * its ASCII form [ASP-WS-38] [ASP-WS-53].
 *
 *   scheme "://" host [ ":" port ] [ "/" path ] [ "?" query ]
 */
#include "protocol/internal.h"

#include <stdio.h>
#include <string.h>

enum { HOST_MAX = 253, IPV6_PIECES = 8 };

static enum athena_code bad(struct athena_error *error, const char *what) {
    return refuse(error, ATHENA_BAD_URL, "", "%s", what);
}

static int hex_digit(char ch) {
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f')
        return (ch | 0x20) - 'a' + 10;
    return -1;
}

static char lower(char ch) {
    return ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch;
}

/* ---- IPv6 ---- */

/* The dotted end of an IPv6 address: four decimal numbers without leading zeros. */
static bool parse_dotted(const char *at, const char *end, uint16_t pieces[static 2]) {
    uint32_t address = 0;
    for (int part = 0; part < 4; part++) {
        if (part > 0 && (at == end || *at++ != '.'))
            return false;
        if (at == end || *at < '0' || *at > '9')
            return false;
        const char *start = at;
        uint32_t value = 0;
        while (at < end && *at >= '0' && *at <= '9' && value < 256)
            value = value * 10 + (uint32_t)(*at++ - '0');
        if (value > 255 || (*start == '0' && at - start > 1))
            return false;
        address = address << 8 | value;
    }
    pieces[0] = (uint16_t)(address >> 16);
    pieces[1] = (uint16_t)address;
    return at == end;
}

/* Up to four hexadecimal digits; how many there are. */
static int parse_piece(const char *at, const char *end, uint16_t *piece) {
    int len = 0;
    *piece = 0;
    for (; at + len < end && len < 4 && hex_digit(at[len]) >= 0; len++)
        *piece = (uint16_t)(*piece << 4 | hex_digit(at[len]));
    return len;
}

static bool has_dot_before_colon(const char *at, const char *end) {
    for (; at < end && *at != ':'; at++)
        if (*at == '.')
            return true;
    return false;
}

/* Moves what follows `::` to the end and fills the gap with zeros. */
static bool expand(uint16_t pieces[static IPV6_PIECES], int count, int gap) {
    if (gap < 0)
        return count == IPV6_PIECES;
    if (count == IPV6_PIECES)
        return false;
    int tail = count - gap;
    memmove(pieces + IPV6_PIECES - tail, pieces + gap, (size_t)tail * sizeof *pieces);
    memset(pieces + gap, 0, (size_t)(IPV6_PIECES - count) * sizeof *pieces);
    return true;
}

static bool parse_ipv6(const char *at, const char *end, uint16_t pieces[static IPV6_PIECES]) {
    int count = 0;
    int gap = -1; /* index of the piece behind `::` */
    if (end - at >= 2 && at[0] == ':' && at[1] == ':') {
        gap = 0;
        at += 2;
    }
    while (at < end) {
        if (count == IPV6_PIECES)
            return false;
        if (has_dot_before_colon(at, end)) {
            if (count > IPV6_PIECES - 2 || !parse_dotted(at, end, pieces + count))
                return false;
            return expand(pieces, count + 2, gap);
        }
        int len = parse_piece(at, end, &pieces[count]);
        if (len == 0)
            return false;
        count++;
        at += len;
        if (at == end)
            break;
        if (*at++ != ':' || at == end)
            return false;
        if (*at == ':') {
            if (gap >= 0)
                return false;
            gap = count;
            at++;
        }
    }
    return expand(pieces, count, gap);
}

/* The first longest run of at least two zero pieces, or -1. */
static int longest_zeros(const uint16_t pieces[static IPV6_PIECES], int *run_len) {
    int best = -1;
    *run_len = 1;
    for (int i = 0; i < IPV6_PIECES; i++) {
        int len = 0;
        while (i + len < IPV6_PIECES && pieces[i + len] == 0)
            len++;
        if (len > *run_len) {
            best = i;
            *run_len = len;
        }
        i += len;
    }
    return best;
}

static void format_ipv6(char *out, size_t room, const uint16_t pieces[static IPV6_PIECES]) {
    int run_len;
    int run = longest_zeros(pieces, &run_len);
    size_t used = 0;
    for (int i = 0; i < IPV6_PIECES; i++) {
        if (i == run) {
            used += (size_t)snprintf(out + used, room - used, i == 0 ? "::" : ":");
            i += run_len - 1;
            continue;
        }
        used += (size_t)snprintf(out + used, room - used, i < IPV6_PIECES - 1 ? "%x:" : "%x",
                                 pieces[i]);
    }
}

/* ---- IPv4 ---- */

/* One number of an IPv4 address: decimal, 0x hexadecimal or 0 octal; false when it is none. */
static bool parse_ipv4_number(const char *at, const char *end, uint64_t *value) {
    int base = 10;
    if (end - at >= 2 && at[0] == '0' && lower(at[1]) == 'x') {
        base = 16;
        at += 2;
    } else if (end - at >= 2 && at[0] == '0') {
        base = 8;
        at++;
    } else if (at == end) {
        return false;
    }
    *value = 0;
    for (; at < end; at++) {
        int digit = hex_digit(*at);
        if (digit < 0 || digit >= base)
            return false;
        if (*value <= UINT32_MAX)
            *value = *value * (uint64_t)base + (uint64_t)digit;
    }
    return true;
}

static const char *last_label(const char *host, size_t *len) {
    size_t end = strlen(host);
    if (end > 0 && host[end - 1] == '.')
        end--;
    size_t start = end;
    while (start > 0 && host[start - 1] != '.')
        start--;
    *len = end - start;
    return host + start;
}

/* The standard takes a host for IPv4 when its last label is a number. */
static bool ends_in_number(const char *host) {
    size_t len;
    const char *label = last_label(host, &len);
    bool all_digits = len > 0;
    for (size_t i = 0; i < len; i++)
        all_digits = all_digits && label[i] >= '0' && label[i] <= '9';
    uint64_t ignored;
    return all_digits || (len > 0 && parse_ipv4_number(label, label + len, &ignored));
}

static bool parse_ipv4(const char *host, uint32_t *address) {
    uint64_t numbers[4];
    int count = 0;
    const char *at = host;
    do {
        if (count == 4)
            return false;
        const char *end = at + strcspn(at, ".");
        if (!parse_ipv4_number(at, end, &numbers[count++]))
            return false;
        at = *end ? end + 1 : end;
    } while (*at);
    uint64_t sum = numbers[count - 1];
    if (sum >= UINT64_C(1) << (8 * (5 - count)))
        return false;
    for (int i = 0; i < count - 1; i++) {
        if (numbers[i] > 255)
            return false;
        sum += numbers[i] << (8 * (3 - i));
    }
    *address = (uint32_t)sum;
    return true;
}

/* ---- Host ---- */

static enum athena_code parse_bracketed(struct athena_url *url, const char *at, const char *end,
                                        struct athena_error *error) {
    uint16_t pieces[IPV6_PIECES] = {0};
    if (end[-1] != ']' || !parse_ipv6(at + 1, end - 1, pieces))
        return bad(error, "the host is not an IPv6 address");
    format_ipv6(url->host, sizeof url->host, pieces);
    return ATHENA_OK;
}

static bool is_forbidden(char ch) {
    return (unsigned char)ch <= 0x20 || ch == 0x7f || strchr("#/:<>?@[\\]^|%", ch) != NULL;
}

/* Percent-decodes and lowers the host. */
static enum athena_code copy_host(struct athena_url *url, const char *at, const char *end,
                                  struct athena_error *error) {
    size_t len = 0;
    for (; at < end; at++) {
        char ch = *at;
        if (ch == '%' && end - at > 2 && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
            ch = (char)(hex_digit(at[1]) << 4 | hex_digit(at[2]));
            at += 2;
        }
        if ((unsigned char)ch > 0x7f)
            return bad(error, "the host is not ASCII: give its ASCII form (xn--...)");
        if (is_forbidden(ch))
            return bad(error, "the host holds a character that no host has");
        if (len == HOST_MAX)
            return bad(error, "the host is longer than 253 characters");
        url->host[len++] = lower(ch);
    }
    url->host[len] = '\0';
    return ATHENA_OK;
}

static enum athena_code parse_host(struct athena_url *url, const char *at, const char *end,
                                   struct athena_error *error) {
    if (at == end)
        return bad(error, "the host is empty");
    if (*at == '[')
        return parse_bracketed(url, at, end, error);
    enum athena_code code = copy_host(url, at, end, error);
    if (code || !ends_in_number(url->host))
        return code;
    uint32_t address;
    if (!parse_ipv4(url->host, &address))
        return bad(error, "the host is not an IPv4 address, though it ends in a number");
    snprintf(url->host, sizeof url->host, "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
             address >> 8 & 255, address & 255);
    return ATHENA_OK;
}

/* ---- Port and the whole ---- */

static enum athena_code parse_port(struct athena_url *url, const char *at, const char *end,
                                   struct athena_error *error) {
    uint32_t port = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return bad(error, "the port is not a number");
        port = port * 10 + (uint32_t)(*at - '0');
        if (port > UINT16_MAX)
            return bad(error, "the port is above 65535");
    }
    url->port = (uint16_t)port;
    return ATHENA_OK;
}

static void format_authority(struct athena_url *url) {
    bool is_ipv6 = strchr(url->host, ':') != NULL;
    int len = snprintf(url->authority, sizeof url->authority, is_ipv6 ? "[%s]" : "%s", url->host);
    if (url->port != (url->secure ? 443 : 80))
        snprintf(url->authority + len, sizeof url->authority - (size_t)len, ":%u",
                 (unsigned)url->port);
}

static bool starts_with_scheme(struct athena_text_view text, const char *scheme) {
    size_t len = strlen(scheme);
    if (text.len < len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (lower(text.at[i]) != scheme[i])
            return false;
    return true;
}

/* Path and query, which the handshake sends and nothing compares. */
static enum athena_code copy_path(struct athena_url *url, const char *at, const char *end,
                                  struct athena_error *error) {
    size_t len = (size_t)(end - at);
    bool needs_slash = len == 0 || *at != '/';
    if (len + needs_slash >= sizeof url->path)
        return bad(error, "the path is longer than 1023 characters");
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)at[i] <= 0x20 || (unsigned char)at[i] > 0x7e)
            return bad(error, "the path holds a character that has to be percent-encoded");
    snprintf(url->path, sizeof url->path, "%s%.*s", needs_slash ? "/" : "", (int)len, at);
    return ATHENA_OK;
}

static const char *find_any(const char *at, const char *end, const char *wanted) {
    while (at < end && !strchr(wanted, *at))
        at++;
    return at;
}

enum athena_code athena_url_parse(struct athena_url *url, struct athena_text_view text,
                                  struct athena_error *error) {
    struct athena_url parsed = {0};
    parsed.secure = starts_with_scheme(text, "wss://");
    if (!parsed.secure && !starts_with_scheme(text, "ws://"))
        return bad(error, "the URL does not begin with ws:// or wss://");
    if (memchr(text.at, '\0', text.len) || memchr(text.at, '\\', text.len))
        return bad(error, "the URL holds a character that no URL has");
    if (memchr(text.at, '#', text.len))
        return bad(error, "the URL holds a fragment");
    const char *end = text.at + text.len;
    const char *host = text.at + (parsed.secure ? 6 : 5);
    const char *path = find_any(host, end, "/?");
    if (memchr(host, '@', (size_t)(path - host)))
        return bad(error, "the URL holds a user name or password");
    const char *bracket = find_any(host, path, "]");
    const char *colon = find_any(bracket == path ? host : bracket, path, ":");
    parsed.port = parsed.secure ? 443 : 80;
    enum athena_code code = parse_host(&parsed, host, colon, error);
    if (!code && path - colon > 1)
        code = parse_port(&parsed, colon + 1, path, error);
    if (!code)
        code = copy_path(&parsed, path, end, error);
    if (code)
        return code;
    format_authority(&parsed);
    *url = parsed;
    return ATHENA_OK;
}
