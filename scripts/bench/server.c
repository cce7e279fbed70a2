#include "scripts/bench/server.h"

#include "scripts/bench/bench.h"
#include "scripts/bench/folder.h"
#include "scripts/bench/tube.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = 512, METRICS_BYTES_MAX = 65536, ARGUMENTS_MAX = 16 };

/* The first line names the address as a URL. */
static void read_url(struct server *server) {
    char line[LINE_BYTES_MAX];
    program_read_line(&server->program, line, sizeof line);
    const char *at = strstr(line, *server->cert ? "wss://" : "ws://");
    struct athena_url url = {0};
    struct athena_error error = {0};
    if (!at || athena_url_parse(&url, (struct athena_text_view){at, strcspn(at, " \r\n")},
                                &error) != ATHENA_OK)
        bench_fail("the server's first line is \"%s\": %s", line, error.text);
    server->url = url;
    snprintf(server->url_text, sizeof server->url_text, "%s://%s/", url.secure ? "wss" : "ws",
             url.authority);
}

/* An option and its value behind what argv has; nothing without a value. */
static void add_option(const char **argv, const char *option, const char *value) {
    while (*argv)
        argv++;
    argv[0] = value ? option : NULL;
    argv[1] = value;
}

void server_restart(struct server *server, struct bench *bench) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/athena-syncd", bench->programs);
    const char *argv[ARGUMENTS_MAX] = {path,   "--listen", "127.0.0.1:0", "--log-level",
                                       "warn", "--data",   server->folder};
    add_option(argv, "--authority", server->name);
    add_option(argv, "--tls-cert", *server->cert ? server->cert : NULL);
    add_option(argv, "--tls-key", *server->cert ? server->key : NULL);
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

void server_start_tls(struct server *server, struct bench *bench) {
    *server = (struct server){0};
    bench_fresh_path(bench, server->folder, sizeof server->folder, "server");
    bench_fresh_path(bench, server->cert, sizeof server->cert, "cert");
    bench_fresh_path(bench, server->key, sizeof server->key, "key");
    static const char make[] = "exec openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
                               "-nodes -subj /CN=localhost -keyout \"$1\" -out \"$2\" 2>/dev/null";
    const char *const argv[] = {"/bin/sh", "-c", make, "sh", server->key, server->cert, NULL};
    program_run(argv, NULL, 0, NULL, 0);
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
    struct tube tube;
    char request[LINE_BYTES_MAX];
    size_t len = 0;
    int request_len =
        snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, url->authority);
    tube_connect(&tube, url, 0);
    tube_send(&tube, request, (size_t)request_len);
    for (bool has_ended = false; !has_ended && len + 1 < size;) {
        struct pollfd wanted = {.fd = tube.fd, .events = POLLIN};
        if (!tube_holds_more(&tube) && poll(&wanted, 1, BENCH_TIMEOUT_MS) != 1)
            bench_fail("GET %s: nothing within %d ms", path, BENCH_TIMEOUT_MS);
        len += tube_receive(&tube, answer + len, size - len - 1, &has_ended);
    }
    answer[len] = '\0';
    tube_close(&tube);
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
