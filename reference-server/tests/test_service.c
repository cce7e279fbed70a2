/* What the running program serves beside messages: TLS, pages, admission, logs, and its bounds. */
#include "reference-server/tests/support_client.h"
#include "reference-server/tests/support_process.h"

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- TLS ---- */

static void write_pem(const char *path, EVP_PKEY *key, X509 *cert, char *passphrase) {
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    int written = cert ? PEM_write_X509(file, cert)
                       : PEM_write_PKCS8PrivateKey(file, key, passphrase ? EVP_aes_256_cbc() : NULL,
                                                   NULL, 0, NULL, passphrase);
    ck_assert_int_eq(written, 1);
    ck_assert_int_eq(fclose(file), 0);
}

/* A self-signed certificate and its key, in files of these names in support_folder. */
static void make_certificate(const char *cert_path, const char *key_path, char *passphrase) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
    write_pem(cert_path, key, cert, NULL);
    write_pem(key_path, key, NULL, passphrase);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* A server with a certificate of its own and one more option. */
static void start_tls_server(struct server *server, const char *option, const char *value) {
    char cert[SUPPORT_PATH_MAX];
    char key[SUPPORT_PATH_MAX];
    support_path(cert, support_folder, "cert.pem");
    support_path(key, support_folder, "key.pem");
    make_certificate(cert, key, NULL);
    server_start(server,
                 (const char *const[]){"--tls-cert", cert, "--tls-key", key, option, value, NULL},
                 NULL);
}

START_TEST(speaks_tls) {
    struct server server;
    struct client client;
    struct athena_keys keys;
    struct athena_buf page = {0};
    support_keys(&keys, 1);
    start_tls_server(&server, NULL, NULL);
    ck_assert_int_eq(strncmp(server.url, "wss://127.0.0.1:", 16), 0);
    client_join(&client, server.url);
    ck_assert_int_ge(SSL_version(client.ssl), TLS1_2_VERSION); /* [ASP-WS-42] */
    client_open(&client, &keys, NULL);
    client_store(&client, &keys, 1, 1000);
    client_close(&client);
    client_get(server.url, "/healthz", "", &page);
    ck_assert_ptr_nonnull(strstr(page.at, "\r\n\r\nok\n"));
    athena_buf_fini(&page);
    server_stop(&server);
}
END_TEST

/* [ASP-WS-32]: longer than the 5 s after which libwebsockets by itself gives a TLS connection up
 * that has not become one of its own protocols. */
START_TEST(keeps_tls_connections) {
    struct server server;
    struct client client;
    struct athena_keys keys;
    support_keys(&keys, 1);
    start_tls_server(&server, "--idle-ms", "6000");
    client_join(&client, server.url);
    client_open(&client, &keys, NULL);
    client_expect_ping(&client);
    client_store(&client, &keys, 1, 10);
    client_close(&client);
    server_stop(&server);
}
END_TEST

/* [ASP-ABUSE-9]: before the TLS handshake, in the middle of it, and behind it. */
START_TEST(ends_stalled_tls) {
    struct server server;
    struct client client;
    char plain[256];
    start_tls_server(&server, "--open-within-ms", "200");
    snprintf(plain, sizeof plain, "ws%s", server.url + strlen("wss"));
    for (size_t len = 0; len <= 5; len += 5) {
        client_connect(&client, plain);
        client_send_bytes(&client, "\x16\x03\x01\x02\x00", len);
        ck_assert_str_eq(client_read_all(&client), "");
        client_close(&client);
    }
    client_connect(&client, server.url);
    ck_assert_str_eq(client_read_all(&client), "");
    client_close(&client);
    server_stop(&server);
}
END_TEST

START_TEST(refuses_unusable_tls_files) {
    char cert[SUPPORT_PATH_MAX];
    char key[SUPPORT_PATH_MAX];
    char other_cert[SUPPORT_PATH_MAX];
    char locked_key[SUPPORT_PATH_MAX];
    support_path(cert, support_folder, "cert.pem");
    support_path(key, support_folder, "key.pem");
    support_path(other_cert, support_folder, "other-cert.pem");
    support_path(locked_key, support_folder, "locked-key.pem");
    make_certificate(cert, key, NULL);
    char passphrase[] = "secret";
    make_certificate(other_cert, locked_key, passphrase);
    const char *const swapped[] = {"--data",    support_folder, "--tls-cert", key,
                                   "--tls-key", cert,           NULL};
    const char *const mixed[] = {
        "--data", support_folder, "--tls-cert", other_cert, "--tls-key", key, NULL};
    const char *const locked[] = {"--data",    support_folder, "--tls-cert", other_cert,
                                  "--tls-key", locked_key,     NULL};
    const char *const folder[] = {"--data",    support_folder, "--tls-cert", cert,
                                  "--tls-key", support_folder, NULL};
    process_expect(swapped, NULL, 2, "--tls-cert '");
    process_expect(mixed, NULL, 2, "key values mismatch");
    process_expect(locked, NULL, 2, "--tls-key '"); /* nobody is asked for a passphrase */
    process_expect(folder, NULL, 2, "--tls-key '");
}
END_TEST

/* ---- Pages ---- */

static int status_of(const struct athena_buf *answer) {
    int status = 0;
    ck_assert_int_eq(sscanf(answer->at, "HTTP/1.1 %d ", &status), 1); // NOLINT(cert-err34-c)
    return status;
}

START_TEST(answers_pages) {
    struct server server;
    struct athena_buf page = {0};
    server_start(&server, NULL, NULL);
    client_get(server.url, "/healthz?verbose", "", &page);
    ck_assert_int_eq(status_of(&page), 200);
    ck_assert_ptr_nonnull(strstr(page.at, "Content-Length: 3\r\n"));
    ck_assert_ptr_nonnull(strstr(page.at, "\r\n\r\nok\n"));
    client_get(server.url, "/healthz/", "", &page);
    ck_assert_int_eq(status_of(&page), 400); /* any other path is for handshakes [ASP-WS-7] */
    client_get(server.url, "/", "X: 1\r\nbroken\r\n", &page);
    ck_assert_int_eq(status_of(&page), 400);
    athena_buf_fini(&page);
    server_stop(&server);
}
END_TEST

static bool is_metric_name(const char *name, size_t len) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
    return len > 0 && strspn(name, letters) >= len && strncmp(name, "athena_syncd_", 13) == 0;
}

/* HELP, TYPE and one sample, each line by the grammar of Prometheus' text format 0.0.4. */
static void check_metric(const char *help, const char *type, const char *sample) {
    char kind[16];
    size_t len = strcspn(sample, " ");
    char value_end;
    unsigned long long value;
    ck_assert_msg(is_metric_name(sample, len), "%s", sample);
    ck_assert_int_eq(sscanf(sample + len, " %llu%c", &value, &value_end), 1); // NOLINT
    ck_assert_int_eq(strncmp(help, "# HELP ", 7), 0);
    ck_assert_msg(strncmp(help + 7, sample, len + 1) == 0 && help[7 + len + 1], "%s", help);
    ck_assert_int_eq(strncmp(type, "# TYPE ", 7), 0);
    ck_assert_msg(strncmp(type + 7, sample, len + 1) == 0, "%s", type);
    ck_assert_int_eq(sscanf(type + 7 + len, " %15s", kind), 1);
    bool is_total = len > 6 && strncmp(sample + len - 6, "_total", 6) == 0;
    ck_assert_str_eq(kind, is_total ? "counter" : "gauge");
}

START_TEST(counts_for_prometheus) {
    struct server server;
    struct client client;
    struct athena_keys keys;
    struct athena_message pushed;
    struct athena_buf page = {0};
    support_keys(&keys, 1);
    server_start(&server, NULL, NULL);
    client_join(&client, server.url);
    client_open(&client, &keys, NULL);
    client_store(&client, &keys, 1, 5);
    client_push(&client, &keys, 4, 4);
    client_expect(&client, ATHENA_PUSHED, &pushed);
    client_get(server.url, "/metrics", "", &page);
    ck_assert_ptr_nonnull(strstr(page.at, "Content-Type: text/plain; version=0.0.4"));
    ck_assert_uint_eq(client_metric(&page, "connections"), 1);
    ck_assert_uint_eq(client_metric(&page, "documents"), 1);
    ck_assert_uint_eq(client_metric(&page, "accepted_total"), 2);
    ck_assert_uint_gt(client_metric(&page, "store_memory_bytes"), 10000);
    ck_assert_uint_eq(client_metric(&page, "changes_stored_total"), 7);
    ck_assert_uint_eq(client_metric(&page, "changes_duplicate_total"), 2);
    ck_assert_uint_eq(client_metric(&page, "commits_total"), 2);
    ck_assert_uint_eq(client_metric(&page, "commit_failures_total"), 0);
    char *rest = strstr(page.at, "\r\n\r\n") + 4;
    while (*rest) {
        const char *help = strsep(&rest, "\n");
        const char *type = strsep(&rest, "\n");
        const char *sample = strsep(&rest, "\n");
        ck_assert_ptr_nonnull(rest); /* the last line has its end as well */
        check_metric(help, type, sample);
    }
    client_close(&client);
    athena_buf_fini(&page);
    server_stop(&server);
}
END_TEST

/* ---- Admission ---- */

static void expect_admission(const struct server *server, const char *headers, int status) {
    struct client client;
    client_connect(&client, server->url);
    int got = client_upgrade(&client, headers);
    ck_assert_msg(got == status, "%d, not %d, for: %s", got, status, headers);
    bool asks = strstr(client.input.at, "\r\nWWW-Authenticate: Bearer\r\n") != NULL;
    ck_assert_int_eq(asks, status == 401);
    ck_assert_ptr_null(strstr(client.input.at, "athena-token")); /* [ASP-WS-16] */
    client_close(&client);
}

/* [ASP-WS-11] [ASP-WS-12] [ASP-WS-13] */
START_TEST(demands_tokens) {
    char path[SUPPORT_PATH_MAX];
    struct server server;
    struct athena_buf page = {0};
    support_path(path, support_folder, "tokens");
    support_write_file(path, "# of the staff\n\nfirst-token\r\nsecond.token==\n");
    server_start(&server, (const char *const[]){"--token-file", path, NULL}, NULL);
    expect_admission(&server, "", 401);
    expect_admission(&server, "Authorization: Bearer first-token\r\n", 101);
    expect_admission(&server, "authorization: bearer second.token==\r\n", 101);
    expect_admission(&server, "Authorization: Bearer first-toke\r\n", 401);
    expect_admission(&server, "Authorization: Bearer # of the staff\r\n", 401);
    expect_admission(&server, "Authorization: Basic first-token\r\n", 401);
    expect_admission(&server, "Authorization: Bearer\r\n", 401);
    expect_admission(&server, "Sec-WebSocket-Protocol: athena-token.Zmlyc3QtdG9rZW4\r\n", 101);
    expect_admission(&server, "Sec-WebSocket-Protocol: athena-token.Zmlyc3QtdG9rZW5\r\n", 401);
    expect_admission(&server, "Sec-WebSocket-Protocol: athena-token.first-token\r\n", 401);
    expect_admission(&server,
                     "Sec-WebSocket-Protocol: athena-token.Zmlyc3QtdG9rZW4\r\n"
                     "Authorization: Bearer wrong\r\n",
                     401);
    client_get(server.url, "/healthz", "", &page); /* the operator's pages are open */
    ck_assert_int_eq(status_of(&page), 200);
    client_get(server.url, "/", "", &page); /* [ASP-WS-14] */
    ck_assert_int_eq(status_of(&page), 400);
    athena_buf_fini(&page);
    server_stop(&server);
}
END_TEST

/* ---- Logs ---- */

/* Every line is one JSON object with a time, a level and a message. The number of lines. */
static size_t check_json_lines(const char *text) {
    size_t lines = 0;
    for (const char *end; (end = strchr(text, '\n')); text = end + 1, lines++) {
        struct athena_text_view line = {text, (size_t)(end - text)};
        struct athena_error error;
        ck_assert_msg(athena_json_check(line, &error) == ATHENA_OK, "%s: %.*s", error.text,
                      (int)line.len, line.at);
        cJSON *json = cJSON_ParseWithLength(line.at, line.len);
        ck_assert_int_eq(cJSON_GetArraySize(json), 3);
        ck_assert(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "time")));
        ck_assert(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "level")));
        ck_assert(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "message")));
        cJSON_Delete(json);
    }
    ck_assert_msg(*text == '\0', "a line without its end: %s", text);
    return lines;
}

/* [ASP-WS-17] [ASP-SEC-4] [ASP-PRIV-2]: at the finest level, after all kinds of traffic. */
START_TEST(logs_json_without_secrets) {
    char path[SUPPORT_PATH_MAX];
    struct server server;
    struct client client;
    struct athena_keys keys;
    struct athena_message message;
    support_path(path, support_folder, "tokens");
    support_write_file(path, "hush-hush\n");
    support_keys(&keys, 1);
    server_start(&server,
                 (const char *const[]){"--token-file", path, "--log-format", "json", "--log-level",
                                       "debug", NULL},
                 NULL);
    expect_admission(&server, "Authorization: Bearer hush-wrong\r\n", 401);
    client_connect(&client, server.url);
    ck_assert_int_eq(client_upgrade(&client, "Authorization: Bearer hush-hush\r\n"), 101);
    client_open(&client, &keys, NULL);
    client_store(&client, &keys, 1, 10);
    client_send_text(&client, "{\"type\":\"mystery-type\",\"req\":1}");
    client_expect(&client, ATHENA_ERROR, &message);
    client_send_text(&client, "mystery-type");
    client_expect(&client, ATHENA_ERROR, &message);
    ck_assert(!client_receive(&client, &message));
    client_close(&client);
    process_signal(&server.process, 15);
    ck_assert_int_eq(process_wait(&server.process), 0);
    const char *log = process_err(&server.process);
    ck_assert_uint_ge(check_json_lines(log), 1);
    char doc[ATHENA_DOC_TEXT_LEN + 1];
    athena_doc_format(doc, keys.doc);
    uint8_t proof[ATHENA_PROOF_BYTES];
    athena_proof_sign(proof, &keys, client.challenge, support_text(client.authority));
    char challenge_text[64] = "";
    char proof_text[128] = "";
    athena_base64url_encode(challenge_text, client.challenge, sizeof client.challenge);
    athena_base64url_encode(proof_text, proof, sizeof proof);
    const char *const secrets[] = {
        "hush", "data0000", "ZGF0YTAw", "0123456789:", "mystery", doc, challenge_text, proof_text};
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        ck_assert_msg(!strstr(log, secrets[i]), "the log has \"%s\":\n%s", secrets[i], log);
    process_fini(&server.process);
}
END_TEST

/* What an operator gave comes back in errors: quoted, and valid UTF-8 whatever it was. */
START_TEST(logs_odd_texts_safely) {
    char long_path[2000];
    memset(long_path, 'x', sizeof long_path);
    memcpy(long_path, "/nowhere/", 9);
    memcpy(long_path + 900, "\xE2\x82\xAC\xE2\x82\xAC", 6);
    for (size_t i = 906; i + 3 < sizeof long_path; i += 3)
        memcpy(long_path + i, "\xE2\x82\xAC", 3); /* whatever the cut, it is within one */
    long_path[sizeof long_path - 1] = '\0';
    const char *const paths[] = {"/nowhere/\"quoted\"\n\t\\", "/nowhere/\xFF\xC3", long_path};
    for (size_t i = 0; i < 3; i++) {
        struct process process;
        process_start(&process,
                      (const char *const[]){"--log-format", "json", "--data", paths[i], NULL},
                      NULL);
        ck_assert_int_eq(process_wait(&process), 2);
        ck_assert_uint_eq(check_json_lines(process_err(&process)), 1);
        process_fini(&process);
        process_start(&process, (const char *const[]){"--data", paths[i], NULL}, NULL);
        ck_assert_int_eq(process_wait(&process), 2);
        const char *text = process_err(&process);
        ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1); /* one line */
        process_fini(&process);
    }
}
END_TEST

/* ---- Bounds ---- */

enum { DESCRIPTORS = 100, RESERVE = 64, SOCKETS = 150 };

/* Waits until so many of the sockets have been ended by the server. */
static void wait_for_ends(const int *fds, size_t len, size_t ended_min) {
    uint64_t start_ms = support_now_ms();
    for (size_t ended = 0; ended < ended_min;) {
        struct pollfd polls[SOCKETS];
        ended = 0;
        for (size_t i = 0; i < len; i++)
            polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        ck_assert_int_gt(poll(polls, len, support_left_ms(start_ms, "refusals")), 0);
        for (size_t i = 0; i < len; i++)
            ended += polls[i].revents != 0;
    }
}

/* Joins once the server has noticed that others have left. */
static void join_at_last(struct client *client, const char *url) {
    uint64_t start_ms = support_now_ms();
    for (;;) {
        support_left_ms(start_ms, "a place");
        client_connect(client, url);
        if (send(client->fd, "", 0, MSG_NOSIGNAL) == 0 && client_upgrade(client, "") == 101)
            return;
        client_close(client);
    }
}

/* [ASP-ABUSE-8]: the limit of open files never runs out, so that nobody spins over it. */
START_TEST(survives_many_sockets) {
    struct server server;
    struct client clients[DESCRIPTORS - RESERVE];
    struct client late;
    int fds[SOCKETS];
    server_start(&server, NULL, &(struct process_setting){.descriptors_max = DESCRIPTORS});
    for (size_t i = 0; i < DESCRIPTORS - RESERVE; i++)
        client_join(&clients[i], server.url);
    client_connect(&late, server.url);
    ck_assert_int_eq(client_upgrade(&late, ""), 503);
    client_close(&late);
    for (size_t i = 0; i < SOCKETS; i++) {
        client_connect(&late, server.url);
        fds[i] = late.fd;
        athena_decoder_free(late.decoder);
    }
    wait_for_ends(fds, SOCKETS, SOCKETS - RESERVE / 2);
    for (size_t i = 0; i < SOCKETS; i++)
        close(fds[i]);
    for (size_t i = 0; i < DESCRIPTORS - RESERVE; i++)
        client_close(&clients[i]);
    join_at_last(&late, server.url);
    client_close(&late);
    process_signal(&server.process, 15);
    ck_assert_int_eq(process_wait(&server.process), 0);
    const char *log = process_err(&server.process);
    ck_assert_ptr_nonnull(strstr(log, "at most 36 connections"));
    ck_assert_msg(!strstr(log, "accept"), "%s", log);
    process_fini(&server.process);
}
END_TEST

START_TEST(needs_descriptors) {
    process_expect((const char *const[]){"--data", support_folder, NULL},
                   &(struct process_setting){.descriptors_max = RESERVE}, 1,
                   "the limit of open files is 64: more than 64 are needed");
}
END_TEST

/* [ASP-ABUSE-6] [ASP-LOG-3]: beneath the floor of free space nothing new is stored, what is there
 * stays a duplicate, and reading goes on. */
START_TEST(keeps_a_floor_of_free_space) {
    struct server server;
    struct client client;
    struct athena_keys keys;
    struct athena_message message;
    support_keys(&keys, 1);
    server_start(&server, NULL, NULL);
    client_join(&client, server.url);
    client_open(&client, &keys, NULL);
    client_store(&client, &keys, 1, 2);
    client_close(&client);
    server_stop(&server);
    server_restart(&server,
                   (const char *const[]){"--free-bytes-floor", "9223372036854775807", NULL});
    client_join(&client, server.url);
    client_open(&client, &keys, &message);
    ck_assert_uint_eq(message.digest.count, 2);
    client_push(&client, &keys, 2, 2);
    client_expect(&client, ATHENA_PUSHED, &message);
    ck_assert_uint_eq(message.duplicates_len, 1);
    ck_assert_uint_eq(message.rejected_len, 1);
    ck_assert_uint_eq(message.rejected[0].index, 1);
    ck_assert_int_eq(message.rejected[0].code, ATHENA_QUOTA);
    client_close(&client);
    server_stop(&server);
}
END_TEST

/* ---- Space ---- */

/* Pushes changes of a megabyte each and waits until they are stored. */
static void store_megabytes(struct client *client, const struct athena_keys *keys, uint64_t first,
                            uint64_t last) {
    uint8_t *data = calloc(1, 1000000);
    ck_assert_ptr_nonnull(data);
    for (uint64_t number = first; number <= last; number++) {
        char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
        struct athena_message message = client_request(client, ATHENA_PUSH, keys);
        struct athena_change_view change = {.data = {data, 1000000}};
        support_id(id, number);
        change.id = support_text(id);
        message.changes = &change;
        message.changes_len = 1;
        client_send(client, &message);
        client_expect(client, ATHENA_PUSHED, &message);
    }
    free(data);
}

static off_t size_of(const char *folder, const char *name) {
    char path[SUPPORT_PATH_MAX];
    struct stat stat;
    support_path(path, folder, name);
    ck_assert_int_eq(lstat(path, &stat), 0);
    return stat.st_size;
}

/* While a backup or a check reads, the write-ahead log grows; behind them it does not keep the
 * space. */
START_TEST(gives_space_back) {
    char path[SUPPORT_PATH_MAX];
    struct server server;
    struct client client;
    struct athena_keys keys;
    sqlite3 *reader;
    support_keys(&keys, 1);
    server_start(&server, NULL, NULL);
    client_join(&client, server.url);
    client_open(&client, &keys, NULL);
    support_path(path, server.folder, "athena.db");
    ck_assert_int_eq(sqlite3_open_v2(path, &reader, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(reader, "BEGIN; SELECT * FROM change", NULL, NULL, NULL),
                     SQLITE_OK);
    store_megabytes(&client, &keys, 1, 50);
    ck_assert_int_gt(size_of(server.folder, "athena.db-wal"), 50000000);
    sqlite3_close(reader);
    store_megabytes(&client, &keys, 51, 55);
    ck_assert_int_lt(size_of(server.folder, "athena.db-wal"), 40000000);
    client_close(&client);
    server_stop(&server);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("service");
    support_add(suite, "tls", speaks_tls);
    support_add(suite, "tls for long", keeps_tls_connections);
    support_add(suite, "stalled tls", ends_stalled_tls);
    support_add(suite, "tls files", refuses_unusable_tls_files);
    support_add(suite, "pages", answers_pages);
    support_add(suite, "metrics", counts_for_prometheus);
    support_add(suite, "tokens", demands_tokens);
    support_add(suite, "log", logs_json_without_secrets);
    support_add(suite, "odd log", logs_odd_texts_safely);
    support_add(suite, "sockets", survives_many_sockets);
    support_add(suite, "descriptors", needs_descriptors);
    support_add(suite, "space", gives_space_back);
    support_add(suite, "free space", keeps_a_floor_of_free_space);
    return support_main(suite);
}
