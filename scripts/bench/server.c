#include "scripts/bench/server.h"

#include "scripts/bench/bench.h"
#include "scripts/bench/folder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 512, METRICS_BYTES_MAX = 65536 };

/* The first line names the address as a ws: URL. */
static void read_url(struct server *server) {
    char line[LINE_BYTES_MAX];
    program_read_line(&server->program, line, sizeof line);
    const char *at = strstr(line, "ws://");
    struct athena_url url = {0};
    struct athena_error error = {0};
    if (!at || athena_url_parse(&url, (struct athena_text_view){at, strcspn(at, " \r\n")},
                                &error) != ATHENA_OK)
        bench_fail("the server's first line is \"%s\": %s", line, error.text);
    server->url = url;
    snprintf(server->url_text, sizeof server->url_text, "ws://%s/", url.authority);
}

void server_restart(struct server *server, struct bench *bench) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/athena-syncd", bench->programs);
    const char *argv[] = {
        path,         "--listen", "127.0.0.1:0",  "--log-level",
        "warn",       "--data",   server->folder, server->name ? "--authority" : NULL,
        server->name, NULL};
    double start = bench_now();
    program_start(&server->program, argv);
    read_url(server);
    server->start_s = bench_now() - start;
}

void server_start(struct server *server, struct bench *bench, const char *name) {
    *server = (struct server){.name = name};
    bench_fresh_path(bench, server->folder, sizeof server->folder, "server");
    server_restart(server, bench);
}

const char *server_authority(const struct server *server) {
    return server->name ? server->name : server->url.authority;
}

void server_end(struct server *server) {
    program_stop(&server->program, SIGTERM);
    folder_remove(server->folder);
}

/* The whole answer to a GET, NUL-terminated. */
static void http_get(const struct athena_url *url, const char *path, char *answer, size_t size) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(url->port)};
    inet_pton(AF_INET, url->host, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        bench_fail("connect to %s: %s", url->authority, strerror(errno));
    dprintf(fd, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, url->authority);
    size_t len = 0;
    for (ssize_t got = 1; got > 0 && len + 1 < size; len += (size_t)got) {
        struct pollfd wanted = {.fd = fd, .events = POLLIN};
        if (poll(&wanted, 1, BENCH_TIMEOUT_MS) != 1)
            bench_fail("GET %s: nothing within %d ms", path, BENCH_TIMEOUT_MS);
        got = read(fd, answer + len, size - len - 1);
        if (got <= 0)
            break;
    }
    answer[len] = '\0';
    close(fd);
}

double server_metric(const struct server *server, const char *name) {
    static char page[METRICS_BYTES_MAX];
    http_get(&server->url, "/metrics", page, sizeof page);
    size_t len = strlen(name);
    for (const char *line = page; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && line[len] == ' ')
            return strtod(line + len, NULL);
    }
    bench_fail("/metrics has no %s", name);
}
