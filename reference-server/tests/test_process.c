/* The program itself, run for real: how it starts, what it refuses, how it ends. */
#include "reference-server/tests/support_client.h"
#include "reference-server/tests/support_process.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- Options ---- */

START_TEST(shows_help_and_version) {
    const char *const help[] = {"--help", NULL};
    const char *const version[] = {"--data", "x", "--version", NULL};
    process_expect(help, NULL, 0, "Usage: athena-syncd");
    process_expect(help, NULL, 0, "--quota-document-bytes BYTES");
    process_expect(version, NULL, 0, "athena-syncd " ATHENA_VERSION " (" ATHENA_SUBPROTOCOL ")\n");
}
END_TEST

struct wrong_option {
    const char *arguments[8];
    const char *says;
};

/* Each refused with status 2 and a sentence that names the option, before anything is done. */
START_TEST(refuses_wrong_options) {
    static const struct wrong_option wrong[] = {
        {{NULL}, "--data: needed"},
        {{"--data", "DATA", "--frob", "1"}, "--frob: no such option"},
        {{"--data", "DATA", "--frob=1"}, "--frob=1: no such option"},
        {{"--data", "DATA", "-l"}, "'-l': not expected here"},
        {{"--data", "DATA", "sever"}, "'sever': not expected here"},
        {{"--data", "DATA", "check", "x"}, "'x': not expected here"},
        {{"--data", "DATA", "backup"}, "backup: needs a file"},
        {{"--data", "DATA", "restore"}, "restore: needs a file"},
        {{"--data"}, "--data: needs a value"},
        {{"--data="}, "--data: the value is empty"},
        {{"--data", "DATA", "--listen", "127.0.0.1"}, "--listen '127.0.0.1': not HOST:PORT"},
        {{"--data", "DATA", "--listen", "127.0.0.1:"}, "not HOST:PORT"},
        {{"--data", "DATA", "--listen", "127.0.0.1:65536"}, "not HOST:PORT"},
        {{"--data", "DATA", "--listen", "127.0.0.1:-1"}, "not HOST:PORT"},
        {{"--data", "DATA", "--listen", "127.0.0.1:8O"}, "not HOST:PORT"},
        {{"--data", "DATA", "--listen", ":0"}, "the host is not an IP address"},
        {{"--data", "DATA", "--listen", "example.org:0"}, "the host is not an IP address"},
        {{"--data", "DATA", "--listen", "::1:0"}, "the host is not an IP address"},
        {{"--data", "DATA", "--listen", "[::1:0"}, "the host is not an IP address"},
        {{"--data", "DATA", "--listen", "[127.0.0.1]:0"}, "the host is not an IP address"},
        {{"--data", "DATA", "--listen", "unix:"}, "the path is empty"},
        {{"--data", "DATA", "--listen", "unix:@athena"}, "begins with '@'"},
        {{"--data", "DATA", "--authority", "a b"}, "--authority 'a b': not a host"},
        {{"--data", "DATA", "--authority", "host:port"}, "'host:port': not a host"},
        {{"--data", "DATA", "--authority", "host/path"}, "'host/path': not a host"},
        {{"--data", "DATA", "--authority", "ws://host"}, "'ws://host': not a host"},
        {{"--data", "DATA", "--authority", "host?query"}, "'host?query': not a host"},
        {{"--data", "DATA", "--limit-batch", "many"}, "--limit-batch: 'many': not a whole number"},
        {{"--data", "DATA", "--limit-batch", "10x"}, "not a whole number"},
        {{"--data", "DATA", "--limit-batch", "-1"}, "not a whole number"},
        {{"--data", "DATA", "--limit-batch", "+1"}, "not a whole number"},
        {{"--data", "DATA", "--limit-batch", "99999999999999999999"}, "not a whole number"},
        {{"--data", "DATA", "--limit-batch", "0"}, "'0': not between 1 and 10000"},
        {{"--data", "DATA", "--limit-docs=10001"}, "'10001': not between 1 and 10000"},
        {{"--data", "DATA", "--limit-message", "65536"}, "below 4/3 of --limit-change"},
        {{"--data", "DATA", "--idle-ms", "5000", "--dead-ms", "5000"}, "above --idle-ms"},
        {{"--data", "DATA", "--public=maybe"}, "--public: 'maybe': not 1, 0"},
        {{"--data", "DATA", "--log-level", "loud"}, "--log-level: 'loud': not a level"},
        {{"--data", "DATA", "--log-format", "xml"}, "--log-format: 'xml': not a format"},
        {{"--data", "DATA", "--tls-cert", "/nowhere"}, "--tls-key: needed"},
        {{"--data", "DATA", "--tls-key", "/nowhere"}, "--tls-cert: needed"},
        {{"--data", "DATA", "--tls-cert", "/nowhere", "--tls-key", "/nowhere"},
         "--tls-cert '/nowhere': No such file"},
        {{"--data", "DATA", "--token-file", "/nowhere"}, "'/nowhere': No such file"},
        {{"--data", "DATA", "--token-file", "/"}, "'/': Is a directory"},
        {{"--data", "DATA", "--token-file", "/dev/null"}, "'/dev/null': no token in it"},
        {{"--data", "/dev/null"}, "--data '/dev/null': Not a directory"},
        {{"--data", "/nowhere/at/all"}, "--data '/nowhere/at/all': No such file"},
    };
    char data[SUPPORT_PATH_MAX];
    struct stat stat_of_data;
    support_path(data, support_folder, "data");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *arguments[9] = {NULL};
        for (size_t k = 0; k < 8 && wrong[i].arguments[k]; k++)
            arguments[k] =
                strcmp(wrong[i].arguments[k], "DATA") == 0 ? data : wrong[i].arguments[k];
        process_expect(arguments, NULL, 2, wrong[i].says);
        ck_assert_int_ne(stat(data, &stat_of_data), 0);
    }
}
END_TEST

/* [ASP-SEC-5] */
START_TEST(stays_on_loopback) {
    const char *const addresses[] = {"0.0.0.0:0", "[::]:0", "[::ffff:127.0.0.1]:0"};
    for (size_t i = 0; i < 3; i++) {
        const char *const arguments[] = {"--data", support_folder, "--listen", addresses[i], NULL};
        process_expect(arguments, NULL, 2, "beyond loopback this needs --token-file, or --public");
    }
}
END_TEST

/* What is told of a server that listens so. */
static void expect_warning(const char *const further[], bool is_warned) {
    struct server server;
    server_start(&server, further, NULL);
    process_signal(&server.process, SIGTERM);
    ck_assert_int_eq(process_wait(&server.process), 0);
    bool has_warning = strstr(process_err(&server.process), " warn  --listen '0.0.0.0:0'") != NULL;
    ck_assert_int_eq(has_warning, is_warned);
    process_fini(&server.process);
}

/* Only a server that goes by some name can be reached under it. */
START_TEST(warns_of_names_nobody_dials) {
    expect_warning((const char *const[]){"--listen", "0.0.0.0:0", "--public", NULL}, true);
    expect_warning((const char *const[]){"--listen", "0.0.0.0:0", "--public", "--authority",
                                         "sync.example.org", NULL},
                   false);
    expect_warning((const char *const[]){"--listen", "127.0.0.1:0", "--public", NULL}, false);
}
END_TEST

START_TEST(needs_permission_for_the_folder) {
    const char *const arguments[] = {"--data", support_folder, NULL};
    ck_assert_int_eq(chmod(support_folder, 0500), 0);
    process_expect(arguments, NULL, 2, ": Permission denied");
    ck_assert_int_eq(chmod(support_folder, 0700), 0);
}
END_TEST

START_TEST(reads_the_environment) {
    const char *const wrong[] = {"ATHENA_SYNCD_LIMIT_BATCH=0", NULL};
    const char *const wrong_level[] = {"ATHENA_SYNCD_LOG_LEVEL=", NULL};
    const char *const wrong_list[] = {"ATHENA_SYNCD_LISTEN=127.0.0.1:0 nonsense", NULL};
    const char *const only_data[] = {"--data", support_folder, NULL};
    process_expect(only_data, &(struct process_setting){.environment = wrong}, 2,
                   "ATHENA_SYNCD_LIMIT_BATCH: '0': not between");
    process_expect(only_data, &(struct process_setting){.environment = wrong_level}, 2,
                   "ATHENA_SYNCD_LOG_LEVEL: the value is empty");
    process_expect(only_data, &(struct process_setting){.environment = wrong_list}, 2,
                   "--listen 'nonsense'");

    /* The command line comes first, and replaces lists as a whole. */
    const char *const fine[] = {"ATHENA_SYNCD_LIMIT_BATCH=7", "ATHENA_SYNCD_LIMIT_DOCS=5",
                                "ATHENA_SYNCD_LISTEN=nonsense more", "ATHENA_SYNCD_PUBLIC=1", NULL};
    struct server server;
    struct client client;
    server_start(&server, (const char *const[]){"--limit-docs", "6", "--listen", "0.0.0.0:0", NULL},
                 &(struct process_setting){.environment = fine});
    client_join(&client, server.url);
    ck_assert_uint_eq(client.limits.batch, 7);
    ck_assert_uint_eq(client.limits.docs, 6);
    client_close(&client);
    server_stop(&server);
}
END_TEST

/* ---- Addresses ---- */

/* Containers are often without. */
static bool has_ipv6(void) {
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (fd >= 0)
        close(fd);
    if (!ok)
        puts("note: this machine has no IPv6, so that 127.0.0.1 stands in for it");
    return ok;
}

START_TEST(listens_on_several_addresses) {
    const char *const other = has_ipv6() ? "[::1]:" : "127.0.0.1:";
    char path[SUPPORT_PATH_MAX];
    char address[SUPPORT_PATH_MAX + 8];
    char other_address[32];
    struct server server;
    struct athena_keys keys;
    support_path(path, support_folder, "socket");
    snprintf(address, sizeof address, "unix:%s", path);
    snprintf(other_address, sizeof other_address, "%s0", other);
    support_keys(&keys, 1);
    server_start(&server,
                 (const char *const[]){"--listen", "localhost:0", "--listen", other_address,
                                       "--listen", address, NULL},
                 NULL);
    char second[300];
    char third[SUPPORT_PATH_MAX + 32];
    process_line(&server.process, second, sizeof second);
    process_line(&server.process, third, sizeof third);
    const char *const urls[] = {server.url, second + strlen("listening on "),
                                third + strlen("listening on ")};
    ck_assert_int_eq(strncmp(urls[0], "ws://127.0.0.1:", 15), 0);
    ck_assert_int_eq(strncmp(urls[1], "ws://", 5), 0);
    ck_assert_int_eq(strncmp(urls[1] + 5, other, strlen(other)), 0);
    ck_assert_str_eq(urls[2], address);
    for (size_t i = 0; i < 3; i++) {
        struct client client;
        client_join(&client, urls[i]);
        if (i == 2) /* dialled through something that has the first name */
            snprintf(client.authority, sizeof client.authority, "%.*s",
                     (int)strcspn(urls[0] + 5, "/"), urls[0] + 5);
        client_open(&client, &keys, NULL);
        client_store(&client, &keys, i, 1);
        client_close(&client);
    }
    server_stop(&server);
    ck_assert_int_ne(access(path, F_OK), 0); /* the socket's file is gone */
}
END_TEST

START_TEST(refuses_an_address_in_use) {
    struct server server;
    server_start(&server, NULL, NULL);
    char address[256];
    snprintf(address, sizeof address, "%.*s", (int)strcspn(server.url + 5, "/"), server.url + 5);
    const char *const arguments[] = {"--data", support_folder, "--listen", address, NULL};
    process_expect(arguments, NULL, 1, "Address already in use");
    server_stop(&server);
}
END_TEST

START_TEST(replaces_only_a_stale_socket) {
    char path[SUPPORT_PATH_MAX];
    char address[SUPPORT_PATH_MAX + 8];
    char other[SUPPORT_PATH_MAX];
    struct server server;
    struct client client;
    support_path(path, support_folder, "socket");
    support_path(other, support_folder, "data");
    snprintf(address, sizeof address, "unix:%s", path);
    const char *const listen[] = {"--listen", address, NULL};
    const char *const second[] = {"--data", other, "--listen", address, NULL};

    support_write_file(path, "precious\n"); /* a file that is no socket */
    process_expect(second, NULL, 1, "it is not a socket");
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_eq(unlink(path), 0);

    server_start(&server, listen, NULL); /* a live one */
    process_expect(second, NULL, 1, "another process listens there");
    client_join(&client, server.url);
    client_close(&client);

    server_kill(&server); /* a stale one */
    ck_assert_int_eq(access(path, F_OK), 0);
    server_restart(&server, listen);
    client_join(&client, server.url);
    client_close(&client);
    server_stop(&server);
}
END_TEST

/* ---- One store, one server; stopping ---- */

/* [ASP-LOG-7] */
START_TEST(locks_the_store) {
    struct server server;
    server_start(&server, NULL, NULL);
    const char *const arguments[] = {"--data", server.folder, "--listen", "127.0.0.1:0", NULL};
    process_expect(arguments, NULL, 1, "another process uses the store");
    server_stop(&server);
    server_restart(&server, NULL); /* the lock ends with its process */
    server_stop(&server);
}
END_TEST

/* [ASP-STOP-1] [ASP-STOP-2]: the pushes before the signal are stored and answered. */
START_TEST(stops_gracefully) {
    const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        struct server server;
        struct client client;
        struct athena_keys keys;
        struct athena_message message;
        support_keys(&keys, 1);
        server_start(&server, NULL, NULL);
        client_join(&client, server.url);
        client_open(&client, &keys, NULL);
        client_store(&client, &keys, 1, 10);
        process_signal(&server.process, signals[i]);
        client_expect(&client, ATHENA_ERROR, &message);
        ck_assert_int_eq(message.code, ATHENA_SHUTTING_DOWN);
        ck_assert(!client_receive(&client, &message));
        ck_assert_uint_eq(client.close_code, 1001);
        client_close(&client);
        ck_assert_int_eq(process_wait(&server.process), 0);
        process_fini(&server.process);
    }
}
END_TEST

/* [ASP-DUR-3]: what was acknowledged is there after SIGKILL, at whatever moment it comes. */
START_TEST(keeps_what_it_acknowledged) {
    enum { PUSHES = 50, ENTRIES = 20 };
    struct server server;
    struct athena_keys keys;
    struct athena_message message;
    uint64_t acknowledged = 0;
    support_keys(&keys, 1);
    server_start(&server, NULL, NULL);
    for (uint64_t kill_after = 1; kill_after < PUSHES; kill_after += PUSHES / 3) {
        struct client client;
        client_join(&client, server.url);
        client_open(&client, &keys, &message);
        uint64_t count = message.digest.count;
        ck_assert_uint_ge(count, acknowledged);
        for (uint64_t i = 0; i < PUSHES; i++) /* pipelined: some are under way when it dies */
            client_push(&client, &keys, count + i * ENTRIES, ENTRIES);
        for (uint64_t i = 0; i < kill_after; i++)
            client_expect(&client, ATHENA_PUSHED, &message);
        acknowledged = count + kill_after * ENTRIES;
        server_kill(&server);
        client_close(&client);
        server_restart(&server, NULL);
    }
    server_stop(&server);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("process");
    support_add(suite, "help", shows_help_and_version);
    support_add(suite, "wrong options", refuses_wrong_options);
    support_add(suite, "loopback", stays_on_loopback);
    support_add(suite, "names", warns_of_names_nobody_dials);
    support_add(suite, "permission", needs_permission_for_the_folder);
    support_add(suite, "environment", reads_the_environment);
    support_add(suite, "addresses", listens_on_several_addresses);
    support_add(suite, "address in use", refuses_an_address_in_use);
    support_add(suite, "stale socket", replaces_only_a_stale_socket);
    support_add(suite, "lock", locks_the_store);
    support_add(suite, "stop", stops_gracefully);
    support_add(suite, "kill", keeps_what_it_acknowledged);
    return support_main(suite);
}
