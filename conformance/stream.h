/*
 * One non-blocking byte stream, over TCP or a unix socket, with TLS or without. Nothing above this
 * file knows which one it holds.
 */
#ifndef CONFORM_STREAM_H
#define CONFORM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct stream;

/* How a read or write ended when no byte moved. */
enum stream_result {
    STREAM_AGAIN = 0, /* wait for stream_events() */
    STREAM_END = -1,  /* the peer said it sends no more */
    STREAM_RESET = -2 /* reset or otherwise broken; see stream_reason() */
};

/* How to trust a server that speaks TLS. */
struct stream_tls {
    const char *ca_file; /* PEM, in place of the system's; NULL: those */
    bool insecure;       /* takes any certificate */
};

/* Whether the certificates to trust can be used. What was asked for first holds for the process. */
bool stream_check_tls(const struct stream_tls *how);

struct stream_address {
    const char *host;             /* a name or an address, IPv6 without brackets */
    const char *port;             /* digits */
    const char *path;             /* of a unix socket, in place of these two; NULL: none */
    int receive_buffer_bytes;     /* 0: what the system gives */
    int segment_bytes;            /* the largest to be sent here; 0: what the system takes */
    const struct stream_tls *tls; /* NULL: none */
};

/* Whether something accepts connections there now; waits for the answer. */
bool stream_accepts(const struct stream_address *address);
/* Starts connecting. NULL with errno set when that fails at once. Caller frees. */
struct stream *stream_connect(const struct stream_address *address);
/* Listens on a port of 127.0.0.1 that the system chooses; -1 with errno. The caller closes it. */
int stream_listen(uint16_t *port);
/* Wraps a connected socket, which the stream then owns. */
struct stream *stream_adopt(int fd);
/* The same as the server of TLS, with a certificate for 127.0.0.1 that nobody has reason to trust.
 * NULL with the socket closed when OpenSSL fails. */
struct stream *stream_adopt_untrusted(int fd);
/* Bytes moved (> 0) or an enum stream_result. */
ssize_t stream_read(struct stream *stream, void *out, size_t capacity);
ssize_t stream_write(struct stream *stream, const void *bytes, size_t len);
int stream_fd(const struct stream *stream);
/* Whether the other side has taken all that was written: its program, where both are on this
 * machine and the system tells, else its system. */
bool stream_is_taken(const struct stream *stream);
/* False while TLS is still being agreed on. */
bool stream_is_ready(const struct stream *stream);
/* poll(2) events to wait for, given what the owner wants to do. */
short stream_events(const struct stream *stream, bool want_read, bool want_write);
/* Says that no more bytes follow (FIN); reading goes on. */
void stream_finish(struct stream *stream);
/* What was said about the STREAM_RESET, for people. Lives as long as the stream. */
const char *stream_reason(const struct stream *stream);
/* Closes and frees; with `reset`, TCP sends RST instead of FIN; a unix socket knows none. NULL is
 * fine. */
void stream_free(struct stream *stream, bool reset);

#endif
