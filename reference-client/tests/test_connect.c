/* Connecting through the public face, to addresses where no server of the protocol is. */
#include "reference-client/tests/support_main.h"
#include "reference-client/tests/support_replica.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A port that is taken but refuses every connection. */
static int bind_deaf(char url[static 64]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(url, 64, "ws://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
    return fd;
}

static void count_disconnected(void *ctx, const struct athena_sync_event *event) {
    unsigned *disconnected = ctx;
    *disconnected += event->type == ATHENA_SYNC_DISCONNECTED;
}

START_TEST(a_refused_url_leaves_the_connection) {
    struct support_replica replica;
    char remembered[ATHENA_SYNC_URL_BYTES];
    char url[64];
    unsigned disconnected = 0;
    int fd = bind_deaf(url);
    support_replica_init(&replica, NULL);
    struct athena_sync_connect_options options = {
        .url = url, .event = count_disconnected, .ctx = &disconnected};
    ck_assert_int_eq(athena_sync_connect(replica.sync, &options, NULL), ATHENA_OK);
    options.url = "http://127.0.0.1/";
    ck_assert_int_eq(athena_sync_connect(replica.sync, &options, NULL), ATHENA_BAD_URL);
    ck_assert_int_eq(athena_sync_get_url(replica.sync, remembered, NULL), ATHENA_OK);
    ck_assert_str_eq(remembered, url);
    while (disconnected == 0) /* the attempt goes on, and fails since nobody listens */
        athena_sync_run(replica.sync, -1);
    support_replica_fini(&replica);
    close(fd);
}
END_TEST

static void write_long_url(char *url, size_t len) {
    memcpy(url, "ws://127.0.0.1/", 15);
    memset(url + 15, 'a', len - 15);
    url[len] = '\0';
}

START_TEST(a_url_is_remembered_whole_or_refused) {
    struct support_replica replica;
    char remembered[ATHENA_SYNC_URL_BYTES];
    char longest[ATHENA_SYNC_URL_BYTES];
    char url[ATHENA_SYNC_URL_BYTES + 1];
    support_replica_init(&replica, NULL);
    write_long_url(longest, ATHENA_SYNC_URL_BYTES - 1);
    write_long_url(url, ATHENA_SYNC_URL_BYTES);
    struct athena_sync_connect_options options = {.url = longest};
    ck_assert_int_eq(athena_sync_connect(replica.sync, &options, NULL), ATHENA_OK);
    options.url = url;
    ck_assert_int_eq(athena_sync_connect(replica.sync, &options, NULL), ATHENA_BAD_URL);
    ck_assert_int_eq(athena_sync_create(replica.folder, NULL, url, NULL, NULL), ATHENA_BAD_URL);
    ck_assert_int_eq(athena_sync_forget_server(replica.sync, url, NULL), ATHENA_ALREADY_OPEN);
    ck_assert_int_eq(athena_sync_get_url(replica.sync, remembered, NULL), ATHENA_OK);
    ck_assert_str_eq(remembered, longest);
    support_replica_fini(&replica);
}
END_TEST

/* ---- Names ---- */

static int slow_lookup[2] = {-1, -1}; /* a pipe whose writing end the test closes */
static atomic_uint lookups;

/* In place of the C library's: what a resolver says of some names, without a network. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **found) {
    char byte;
    bool is_slow = node && strcmp(node, "slow.invalid") == 0;
    atomic_fetch_add(&lookups, 1);
    if (is_slow && read(slow_lookup[0], &byte, 1) != 0)
        return EAI_SYSTEM;
    if (node && strstr(node, ".invalid"))
        return EAI_NONAME;
    return ((__typeof__(&getaddrinfo))dlsym(RTLD_NEXT, "getaddrinfo"))(node, service, hints, found);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static void keep_reason(void *ctx, const struct athena_sync_event *event) {
    struct athena_error *reason = ctx;
    if (event->type == ATHENA_SYNC_DISCONNECTED)
        *reason = event->error;
}

/* Each attempt is told of, at once. */
START_TEST(a_name_that_nobody_knows_is_told) {
    struct support_replica replica;
    support_replica_init(&replica, NULL);
    for (int attempt = 0; attempt < 2; attempt++) {
        struct athena_error reason = {0};
        struct athena_sync_connect_options options = {
            .url = "ws://nonexistent.invalid/", .event = keep_reason, .ctx = &reason};
        ck_assert_int_eq(athena_sync_connect(replica.sync, &options, NULL), ATHENA_OK);
        for (int told = 0; told < 2; told++, athena_sync_retry_now(replica.sync)) {
            reason.code = ATHENA_OK;
            while (reason.code == ATHENA_OK)
                athena_sync_run(replica.sync, -1);
            ck_assert_str_eq(reason.text, "cannot find or reach the server's host");
        }
    }
    support_replica_fini(&replica);
}
END_TEST

static unsigned count_threads(void) {
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(tasks);
    while (readdir(tasks))
        count++;
    closedir(tasks);
    return count;
}

/* The lookup goes on while the replica is disconnected, connected again and closed. */
START_TEST(a_slow_lookup_keeps_nobody_waiting) {
    struct support_replica replica;
    struct athena_sync_connect_options options = {.url = "ws://slow.invalid/"};
    unsigned threads = count_threads();
    ck_assert_int_eq(pipe(slow_lookup), 0);
    support_replica_init(&replica, NULL);
    for (unsigned i = 1; i <= 2; i++) {
        ck_assert_int_eq(athena_sync_connect(replica.sync, &options, NULL), ATHENA_OK);
        while (atomic_load(&lookups) < i)
            sched_yield();
        athena_sync_disconnect(replica.sync);
    }
    support_replica_fini(&replica);
    ck_assert_uint_eq(count_threads(), threads + 2);
    close(slow_lookup[1]);
    while (count_threads() > threads) /* they free what they have */
        sched_yield();
}
END_TEST

/* A handler that closes would free what its caller goes on with. */
static void close_in_handler(void *ctx, const struct athena_sync_event *event) {
    (void)event;
    athena_sync_close(ctx);
}

START_TEST(a_handler_that_closes_is_stopped) {
    struct support_replica replica;
    int status;
    support_replica_init(&replica, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct athena_sync_connect_options options = {
            .url = "ws://nonexistent.invalid/", .event = close_in_handler, .ctx = replica.sync};
        fclose(stderr);
        athena_sync_connect(replica.sync, &options, NULL);
        for (;;)
            athena_sync_run(replica.sync, -1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    support_replica_fini(&replica);
}
END_TEST

/* ---- Tokens ---- */

/* [ASP-WS-19] */
START_TEST(a_token_of_wrong_grammar_is_refused) {
    static const char *const wrong[] = {"", "a b", "t\r\nX-Injected: yes", "t\n",
                                        "gr\xc3\xbc\xc3\x9f"};
    static const size_t too_long[] = {513, 593, 2000};
    char text[2001];
    struct support_replica replica;
    struct athena_error error;
    support_replica_init(&replica, "ws://127.0.0.1:1/");
    struct athena_sync_connect_options options = {.token = text};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        options.token = wrong[i];
        ck_assert_int_eq(athena_sync_connect(replica.sync, &options, &error), ATHENA_BAD_TOKEN);
    }
    options.token = text;
    for (size_t i = 0; i < sizeof too_long / sizeof too_long[0]; i++) {
        memset(text, 'x', too_long[i]);
        text[too_long[i]] = '\0';
        ck_assert_int_eq(athena_sync_connect(replica.sync, &options, &error), ATHENA_BAD_TOKEN);
        ck_assert_str_eq(error.text, "the token: not 1 to 512 of A-Z a-z 0-9 - . _ ~ + / =");
    }
    support_replica_fini(&replica);
}
END_TEST

/* The request that a device with this token begins with. */
static void catch_handshake(const char *token, char request[static 4096]) {
    struct support_replica replica;
    char url[64];
    int fd = bind_deaf(url);
    ck_assert_int_eq(listen(fd, 1), 0);
    support_replica_init(&replica, NULL);
    struct athena_sync_connect_options options = {.url = url, .token = token};
    ck_assert_int_eq(athena_sync_connect(replica.sync, &options, NULL), ATHENA_OK);
    int peer = accept(fd, NULL, NULL);
    ck_assert_int_ge(peer, 0);
    size_t len = 0;
    for (ssize_t got = 1; got > 0 && !memmem(request, len, "\r\n\r\n", 4); len += (size_t)got) {
        got = read(peer, request + len, 4095 - len);
        ck_assert_int_gt(got, 0);
    }
    request[len] = '\0';
    close(peer);
    close(fd);
    support_replica_fini(&replica);
}

START_TEST(the_longest_token_goes_out_whole) {
    char token[513];
    char request[4096];
    char header[600];
    memset(token, 'x', 512);
    token[512] = '\0';
    catch_handshake(token, request);
    snprintf(header, sizeof header, "uthorization: Bearer %s\r\n", token);
    ck_assert_ptr_nonnull(strstr(request, header));
}
END_TEST

/* ---- TLS ---- */

/* Also written to the file, PEM. */
static SSL_CTX *make_self_signed(FILE *file) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    ck_assert_int_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    ck_assert_int_eq(SSL_CTX_use_certificate(ctx, certificate), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, key), 1);
    ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
    ck_assert_int_eq(fflush(file), 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ctx;
}

_Noreturn static void shake_hands(int fd, SSL_CTX *ctx) {
    for (;;) {
        int peer = accept(fd, NULL, NULL);
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, peer);
        SSL_accept(ssl);
        SSL_free(ssl);
        close(peer);
    }
}

/* A process that does so with whoever comes, with the certificate that is written to the file. */
static pid_t serve_tls(int fd, FILE *file) {
    SSL_CTX *ctx = make_self_signed(file);
    ck_assert_int_eq(listen(fd, 8), 0);
    pid_t pid = fork();
    if (pid == 0)
        shake_hands(fd, ctx);
    SSL_CTX_free(ctx);
    return pid;
}

/* A server, its certificate, and why a client's connection to it ended. */
struct tls_server {
    int fd;
    pid_t pid;
    FILE *certificate;
    char url[72];
};

static void tls_server_init(struct tls_server *server) {
    char url[64];
    server->fd = bind_deaf(url);
    server->certificate = tmpfile();
    ck_assert_ptr_nonnull(server->certificate);
    server->pid = serve_tls(server->fd, server->certificate);
    ck_assert_int_gt(server->pid, 0);
    snprintf(server->url, sizeof server->url, "wss%s", url + 2);
}

static void tls_server_fini(struct tls_server *server) {
    ck_assert_int_eq(kill(server->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(server->pid, NULL, 0), server->pid);
    fclose(server->certificate);
    close(server->fd);
}

static struct athena_error reason_to_end(const struct tls_server *server, const char *ca_file) {
    struct support_replica replica;
    struct athena_error reason = {0};
    support_replica_init(&replica, NULL);
    struct athena_sync_connect_options options = {
        .url = server->url, .ca_file = ca_file, .event = keep_reason, .ctx = &reason};
    ck_assert_int_eq(athena_sync_connect(replica.sync, &options, NULL), ATHENA_OK);
    while (reason.code == ATHENA_OK)
        athena_sync_run(replica.sync, -1);
    support_replica_fini(&replica);
    return reason;
}

static const char untrusted[] = "the server's certificate: self-signed certificate";

/* [ASP-WS-43] */
START_TEST(an_untrusted_certificate_is_named) {
    struct tls_server server;
    tls_server_init(&server);
    ck_assert_str_eq(reason_to_end(&server, NULL).text, untrusted);
    tls_server_fini(&server);
}
END_TEST

/* OpenSSL takes SSL_CERT_FILE for the system's certificates. */
START_TEST(given_certificates_stand_in_place_of_the_systems) {
    struct tls_server server;
    struct tls_server other;
    char path[64];
    tls_server_init(&server);
    tls_server_init(&other);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(server.certificate));
    ck_assert_int_eq(setenv("SSL_CERT_FILE", path, 1), 0);
    ck_assert_str_ne(reason_to_end(&server, NULL).text, untrusted);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(other.certificate));
    ck_assert_str_eq(reason_to_end(&server, path).text, untrusted);
    ck_assert_str_ne(reason_to_end(&other, path).text, untrusted);
    tls_server_fini(&other);
    tls_server_fini(&server);
}
END_TEST

START_TEST(unusable_certificates_to_trust_are_refused) {
    static const struct {
        const char *file;
        const char *says;
    } unusable[] = {
        {"/nowhere", "/nowhere: No such file or directory"},
        {"/", "/: Is a directory"},
        {"/dev/null", "/dev/null: no certificate in it, PEM"},
    };
    struct support_replica replica;
    struct athena_error error;
    support_replica_init(&replica, "wss://localhost:1/");
    for (size_t i = 0; i < sizeof unusable / sizeof unusable[0]; i++) {
        struct athena_sync_connect_options options = {.ca_file = unusable[i].file};
        ck_assert_int_eq(athena_sync_connect(replica.sync, &options, &error), ATHENA_UNAVAILABLE);
        ck_assert_str_eq(error.text, unusable[i].says);
    }
    support_replica_fini(&replica);
}
END_TEST

int main(void) {
    const struct support_test tests[] = {
        {a_refused_url_leaves_the_connection, 1},
        {a_url_is_remembered_whole_or_refused, 1},
        {a_name_that_nobody_knows_is_told, 1},
        {a_slow_lookup_keeps_nobody_waiting, 1},
        {a_handler_that_closes_is_stopped, 1},
        {a_token_of_wrong_grammar_is_refused, 1},
        {the_longest_token_goes_out_whole, 1},
        {an_untrusted_certificate_is_named, 1},
        {given_certificates_stand_in_place_of_the_systems, 1},
        {unusable_certificates_to_trust_are_refused, 1},
    };
    return support_run("connect", tests, sizeof tests / sizeof tests[0], NULL, NULL);
}
