/* The HTTP side of a connection: one request head in, one answer out [ASP-WS-1]. */
#ifndef REFERENCE_SERVER_HTTP_H
#define REFERENCE_SERVER_HTTP_H

#include "protocol/athena_protocol.h"

enum { HTTP_HEAD_BYTES_MAX = 8192 };

/* Views into the head. Absent headers have len 0. */
struct http_request {
    struct athena_text_view method;
    struct athena_text_view path; /* without the query */
    bool is_http_1_1;
    struct athena_text_view host;
    bool asks_websocket; /* Upgrade names it */
    bool asks_upgrade;   /* Connection names it */
    struct athena_text_view key;
    struct athena_text_view version;
    struct athena_text_view authorization;
    char protocols[HTTP_HEAD_BYTES_MAX]; /* all lines of Sec-WebSocket-Protocol, joined by ',' */
    size_t protocols_len;
};

/* Bytes up to and including the empty line, or 0 when it is not there yet. */
size_t http_head_len(const char *bytes, size_t len);
/* False for what is not a request head, or names a header twice that it can only have once. */
bool http_request_parse(struct http_request *request, const char *head, size_t len);

/* Whether a comma-separated list holds a token, and the first item that begins with a prefix. */
bool http_list_has(struct athena_text_view list, const char *token, bool ignore_case);
bool http_list_find_prefix(struct athena_text_view list, const char *prefix,
                           struct athena_text_view *rest);

/* Checks what RFC 6455 asks of a handshake. 101, or the status to refuse with. */
int http_check_upgrade(const struct http_request *request);
/* The answer that upgrades the connection. */
void http_accept_upgrade(struct athena_buf *out, const struct http_request *request);
/* Any other answer, after which the connection closes. */
void http_answer(struct athena_buf *out, int status, const char *content_type, const char *body);

#endif
