#include "conformance/tests/support_fake.h"

#include "conformance/endpoint.h"
#include "conformance/file.h"
#include "conformance/json_write.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/stream.h"
#include "conformance/value.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PEERS_MAX = 64 };

/* A welcome that keeps the specification. */
static const char FAKE_WELCOME[] =
    "{\"type\":\"welcome\",\"protocol\":\"athena-sync.v1\",\"server\":\"fake/1\",\"challenge\":"
    "\"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8\",\"limits\":{\"message\":4194304,"
    "\"message_before_open\":16384,\"change\":1114112,\"batch\":1000,\"docs\":64},"
    "\"extensions\":[]}";

struct peer {
    struct stream *stream; /* NULL once over */
    struct endpoint *endpoint;
    bool raw;          /* answered by hand: nothing it says is read as frames */
    const cJSON *edit; /* what to replace, by what, in the answer to its handshake */
};

struct server {
    int fd;
    cJSON *script;
    struct peer peers[PEERS_MAX];
    size_t peers_len;
    char *head; /* of the last request */
};

/* ---- Acting ---------------------------------------------------------------------------------- */

/* Of a program of its own: NAME to VALUE. NULL: none. */
static cJSON *settings;

/* The changes of the last push. */
static cJSON *pushed;

static char *digest_of(const cJSON *changes) {
    const struct scope scope = {0};
    char *error = NULL;
    cJSON *expression = cJSON_CreateObject();
    cJSON_AddItemToObject(expression, "$digest",
                          changes != NULL ? cJSON_Duplicate(changes, true) : cJSON_CreateArray());
    cJSON *digest = value_evaluate(&scope, expression, &error);
    if (digest == NULL)
        abort();
    char *text = json_write(digest);
    cJSON_Delete(expression);
    cJSON_Delete(digest);
    return text;
}

static void note_pushed(const cJSON *message) {
    const cJSON *changes = cJSON_GetObjectItemCaseSensitive(message, "changes");
    if (changes == NULL)
        return;
    cJSON_Delete(pushed);
    pushed = cJSON_Duplicate(changes, true);
}

/* What $NAME becomes: the JSON of the message's member, or a setting. */
static char *value_of(const char *name, const cJSON *message) {
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(message, name);
    if (strcmp(name, "pushed") == 0 && pushed != NULL)
        return json_write(pushed);
    if (strcmp(name, "digest") == 0)
        return digest_of(pushed);
    const cJSON *setting = cJSON_GetObjectItemCaseSensitive(settings, name);
    if (setting != NULL)
        return memory_copy_text(setting->valuestring);
    return member != NULL ? json_write(member) : memory_format("$%s", name);
}

/* `text` with the $NAMEs replaced. */
static char *fill_in(const char *text, const cJSON *message) {
    struct bytes out = {0};
    while (*text != '\0') {
        size_t len = *text == '$' ? strspn(text + 1, "abcdefghijklmnopqrstuvwxyz_") : 0;
        char *name = memory_format("%.*s", (int)len, text + 1);
        char *value = len > 0 ? value_of(name, message) : memory_format("%c", *text);
        bytes_append(&out, value, strlen(value));
        free(value);
        free(name);
        text += 1 + len;
    }
    bytes_append(&out, "", 1);
    return (char *)out.at;
}

static void flush_peer(struct peer *peer) {
    struct bytes *output = endpoint_output(peer->endpoint);
    while (peer->stream != NULL && output->len > 0) {
        ssize_t put = stream_write(peer->stream, output->at, output->len);
        if (put <= 0)
            return;
        bytes_drop(output, (size_t)put);
    }
}

static void end_peer(struct peer *peer, bool reset) {
    flush_peer(peer);
    stream_free(peer->stream, reset);
    peer->stream = NULL;
}

static void send_raw(struct peer *peer, const char *hex) {
    uint8_t bytes[1024];
    size_t len = 0;
    sodium_hex2bin(bytes, sizeof bytes, hex, strlen(hex), " ", &len, NULL);
    endpoint_send_bytes(peer->endpoint, bytes, len);
}

static void act(struct server *server, struct peer *self, const cJSON *action,
                const cJSON *message) {
    const cJSON *to = cJSON_GetObjectItem(action, "to");
    const cJSON *close_code = cJSON_GetObjectItem(action, "close");
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(action, "text"));
    const char *raw = cJSON_GetStringValue(cJSON_GetObjectItem(action, "raw"));
    const char *http = cJSON_GetStringValue(cJSON_GetObjectItem(action, "http"));
    struct peer *peer = to != NULL ? &server->peers[to->valueint - 1] : self;
    const cJSON *status = cJSON_GetObjectItem(action, "exit");
    if (status != NULL)
        exit(status->valueint);
    if (cJSON_HasObjectItem(action, "abort") || peer == NULL)
        abort(); /* what is done at "stop" and to a peer names it */
    if (text != NULL) {
        char *filled = fill_in(strcmp(text, "welcome") == 0 ? FAKE_WELCOME : text, message);
        endpoint_send_text(peer->endpoint, filled, strlen(filled));
        free(filled);
    } else if (raw != NULL) {
        send_raw(peer, raw);
    } else if (cJSON_HasObjectItem(action, "deaf")) {
        peer->raw = true;
    } else if (cJSON_HasObjectItem(action, "ignore_pings")) {
        endpoint_ignore_pings(peer->endpoint);
    } else if (cJSON_HasObjectItem(action, "edit")) {
        peer->edit = cJSON_GetObjectItem(action, "edit");
    } else if (http != NULL) {
        peer->raw = true;
        endpoint_send_bytes(peer->endpoint, http, strlen(http));
    } else if (close_code != NULL && close_code->valueint != 0) {
        endpoint_send_close(peer->endpoint, close_code->valueint, "");
        end_peer(peer, false);
    } else {
        end_peer(peer, cJSON_HasObjectItem(action, "reset"));
    }
    flush_peer(peer);
}

static bool fits(const cJSON *reaction, const struct server *server, const struct peer *peer,
                 const char *event, const cJSON *message) {
    const cJSON *when = cJSON_GetObjectItem(reaction, "when");
    const cJSON *from = cJSON_GetObjectItem(reaction, "from");
    const char *contains = cJSON_GetStringValue(cJSON_GetObjectItem(reaction, "contains"));
    if (cJSON_HasObjectItem(reaction, "used") ||
        (from != NULL && peer != &server->peers[from->valueint - 1]))
        return false;
    if (contains != NULL && (server->head == NULL || strstr(server->head, contains) == NULL))
        return false;
    if (cJSON_IsString(when))
        return strcmp(when->valuestring, event) == 0;
    return message != NULL && match_value(when, message, NULL, NULL);
}

static void react(struct server *server, struct peer *peer, const char *event,
                  const cJSON *message) {
    cJSON *reaction;
    const cJSON *action;
    cJSON_ArrayForEach(reaction, server->script) {
        if (!fits(reaction, server, peer, event, message))
            continue;
        if (!cJSON_IsTrue(cJSON_GetObjectItem(reaction, "always")))
            cJSON_AddTrueToObject(reaction, "used");
        cJSON_ArrayForEach(action, cJSON_GetObjectItem(reaction, "do"))
            act(server, peer, action, message);
        return;
    }
}

/* Reactions that most scripts begin with, by name. */
static cJSON *expand_script(const cJSON *script) {
    static const struct {
        const char *name;
        const char *reaction;
    } known[] = {
        {"greets", "{\"when\":\"connect\",\"always\":true,\"do\":[{\"text\":\"welcome\"}]}"},
        {"opens",
         "{\"when\":{\"type\":\"open\"},\"always\":true,\"do\":[{\"text\":\"{\\\"type\\\":"
         "\\\"opened\\\",\\\"req\\\":$req,\\\"doc\\\":$doc,\\\"count\\\":0,\\\"digest\\\":"
         "\\\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\\\",\\\"cursor\\\":\\\"c0\\\"}\"}]}"},
        {"stores",
         "{\"when\":{\"type\":\"push\"},\"always\":true,\"do\":[{\"text\":\"{\\\"type\\\":"
         "\\\"pushed\\\",\\\"req\\\":$req,\\\"doc\\\":$doc,\\\"duplicates\\\":[],"
         "\\\"rejected\\\":[]}\"}]}"},
        {"answers",
         "{\"when\":{\"req\":{\"$any\":true}},\"always\":true,\"do\":[{\"text\":\"{\\\"type\\\":"
         "\\\"error\\\",\\\"req\\\":$req,\\\"doc\\\":$doc,\\\"code\\\":\\\"internal\\\","
         "\\\"message\\\":\\\"no\\\"}\"}]}"},
    };
    cJSON *out = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, script) {
        cJSON *reaction = cJSON_IsString(item) ? NULL : cJSON_Duplicate(item, true);
        for (size_t i = 0; cJSON_IsString(item) && i < sizeof known / sizeof *known; i++)
            if (strcmp(known[i].name, item->valuestring) == 0)
                reaction = cJSON_Parse(known[i].reaction);
        if (reaction == NULL)
            abort();
        cJSON_AddItemToArray(out, reaction);
    }
    return out;
}

/* ---- Serving --------------------------------------------------------------------------------- */

static void take_events(struct server *server, struct peer *peer) {
    struct endpoint_event event;
    while (endpoint_next(peer->endpoint, &event)) {
        cJSON *message = event.kind == ENDPOINT_EVENT_TEXT
                             ? cJSON_ParseWithLength((char *)event.bytes.at, event.bytes.len)
                             : NULL;
        note_pushed(message);
        if (event.kind == ENDPOINT_EVENT_UPGRADED)
            react(server, peer, "connect", NULL);
        else if (event.kind == ENDPOINT_EVENT_TEXT)
            react(server, peer, "text", message);
        else if (event.kind == ENDPOINT_EVENT_PING)
            react(server, peer, "ping", NULL);
        else if (event.kind == ENDPOINT_EVENT_CLOSE)
            end_peer(peer, false);
        cJSON_Delete(message);
        bytes_fini(&event.bytes);
    }
    flush_peer(peer);
}

/* The honest answer to the handshake, as it was asked to be changed. */
static void edit_answer(struct peer *peer) {
    struct bytes *output = endpoint_output(peer->endpoint);
    if (peer->edit == NULL || output->len == 0)
        return;
    const char *from = cJSON_GetArrayItem(peer->edit, 0)->valuestring;
    const char *to = cJSON_GetArrayItem(peer->edit, 1)->valuestring;
    char *answer = memory_format("%.*s", (int)output->len, (const char *)output->at);
    const char *found = strstr(answer, from);
    if (found == NULL)
        abort();
    bytes_drop(output, output->len);
    bytes_append(output, answer, (size_t)(found - answer));
    bytes_append(output, to, strlen(to));
    bytes_append(output, found + strlen(from), strlen(found + strlen(from)));
    free(answer);
    peer->edit = NULL;
}

static void serve_peer(struct server *server, struct peer *peer) {
    static uint8_t piece[65536];
    ssize_t got = stream_read(peer->stream, piece, sizeof piece);
    if (got > 0 && !peer->raw) {
        if (memmem(piece, (size_t)got, "GET ", 4) == piece) {
            free(server->head);
            server->head = memory_format("%.*s", (int)got, (const char *)piece);
            react(server, peer, "head", NULL);
        }
        if (!peer->raw && peer->stream != NULL)
            endpoint_feed(peer->endpoint, piece, (size_t)got);
        edit_answer(peer);
        if (peer->stream != NULL)
            take_events(server, peer);
    } else if (got < 0) {
        end_peer(peer, false);
    }
}

static void accept_peer(struct server *server) {
    int fd = accept(server->fd, NULL, NULL);
    if (fd < 0 || server->peers_len == PEERS_MAX)
        abort();
    server->peers[server->peers_len++] =
        (struct peer){.stream = stream_adopt(fd), .endpoint = endpoint_new_server()};
}

static volatile sig_atomic_t is_stopped;
static sigset_t unblocked; /* while it waits */

static void note_stop(int signal) {
    is_stopped = signal;
}

static _Noreturn void serve(int fd, const cJSON *script) {
    struct server server = {.fd = fd, .script = expand_script(script)};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        struct pollfd fds[PEERS_MAX + 1] = {{.fd = fd, .events = POLLIN}};
        if (is_stopped)
            react(&server, NULL, "stop", NULL);
        size_t len = server.peers_len;
        for (size_t i = 0; i < len; i++)
            fds[i + 1] = (struct pollfd){
                .fd = server.peers[i].stream != NULL ? stream_fd(server.peers[i].stream) : -1,
                .events = POLLIN};
        if (ppoll(fds, len + 1, NULL, &unblocked) < 0)
            continue;
        for (size_t i = 0; i < len; i++)
            if (fds[i + 1].revents != 0 && server.peers[i].stream != NULL)
                serve_peer(&server, &server.peers[i]);
        if (fds[0].revents != 0)
            accept_peer(&server);
    }
}

static int listen_at(const char *port, unsigned *actual) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, PEERS_MAX) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        abort();
    *actual = ntohs(address.sin_port);
    return fd;
}

struct fake fake_start(const cJSON *script) {
    unsigned port;
    int fd = listen_at("0", &port);
    struct fake fake = {.pid = fork(), .port = port};
    if (fake.pid == 0)
        serve(fd, script);
    close(fd);
    return fake;
}

void fake_stop(struct fake *fake) {
    kill(fake->pid, SIGKILL);
    waitpid(fake->pid, NULL, 0);
}

/* ---- A program of its own -------------------------------------------------------------------- */

static char *first_line(const char *path) {
    char *error = NULL;
    char *text = file_read(path, &error);
    if (text == NULL)
        abort();
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static void add_setting(const char *text) {
    size_t len = strcspn(text, "=");
    char *name = memory_format("%.*s", (int)len, text);
    char *value = strcmp(name, "token_file") == 0 ? first_line(text + len + 1)
                                                  : memory_copy_text(text + len + 1);
    cJSON_AddStringToObject(settings, name, value);
    free(value);
    free(name);
}

static void count_start(const char *folder) {
    char *path = memory_format("%s/starts", folder);
    FILE *file = fopen(path, "ae");
    if (file == NULL)
        abort();
    fputc('x', file);
    char *starts = memory_format("starts=%ld", ftell(file));
    fclose(file);
    add_setting(starts);
    free(starts);
    free(path);
}

void fake_main(int argc, char **argv) {
    const struct sigaction stop = {.sa_handler = note_stop};
    char *error = NULL;
    sigset_t blocked;
    unsigned port;
    if (argc < 5 || strcmp(argv[1], "fake") != 0)
        return;
    settings = cJSON_CreateObject();
    cJSON *script = file_read_json(argv[3], &error);
    count_start(argv[4]);
    for (int i = 5; i < argc; i++)
        add_setting(argv[i]);
    const cJSON *reaction;
    cJSON_ArrayForEach(reaction, script) {
        const char *when = cJSON_GetStringValue(cJSON_GetObjectItem(reaction, "when"));
        if (when != NULL && strcmp(when, "stop") == 0)
            sigaction(SIGTERM, &stop, NULL);
    }
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &unblocked);
    serve(listen_at(argv[2], &port), script);
}
