/* What the other side has taken, by which a connection sends in portions. */
#include "conformance/stream.h"
#include "conformance/tests/support_main.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void write_one(struct stream *stream) {
    ck_assert_int_eq(stream_write(stream, "x", 1), 1);
}

static void read_one(int fd) {
    char byte;
    ck_assert_int_eq(read(fd, &byte, 1), 1);
}

START_TEST(unix_socket_tells_what_was_read) {
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct stream *stream = stream_adopt(ends[0]);
    ck_assert(stream_is_taken(stream));
    write_one(stream);
    ck_assert(!stream_is_taken(stream));
    read_one(ends[1]);
    ck_assert(stream_is_taken(stream));
    stream_free(stream, false);
    close(ends[1]);
}
END_TEST

/* Some systems do not tell what waits at the peer: there it counts as taken once it has arrived. */
START_TEST(tcp_tells_at_the_latest_once_it_was_read) {
    uint16_t port = 0;
    char port_text[6];
    int listener = stream_listen(&port);
    ck_assert_int_ge(listener, 0);
    snprintf(port_text, sizeof port_text, "%u", port);
    const struct stream_address address = {.host = "127.0.0.1", .port = port_text};
    struct stream *stream = stream_connect(&address);
    struct pollfd comes = {.fd = listener, .events = POLLIN};
    ck_assert_int_eq(poll(&comes, 1, 10000), 1);
    int fd = accept(listener, NULL, NULL);
    write_one(stream);
    struct pollfd byte = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&byte, 1, 10000), 1);
    read_one(fd);
    while (!stream_is_taken(stream)) /* until it is acknowledged as well */
        sched_yield();
    stream_free(stream, false);
    close(fd);
    close(listener);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("stream");
    support_add(suite, "unix", unix_socket_tells_what_was_read);
    support_add(suite, "tcp", tcp_tells_at_the_latest_once_it_was_read);
    return support_main(suite);
}
