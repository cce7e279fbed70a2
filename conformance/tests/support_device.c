#include "conformance/tests/support_device.h"

#include "conformance/base64url.h"
#include "conformance/file.h"
#include "conformance/stream.h"
#include "conformance/tests/support_device_sync.h"
#include "conformance/tests/support_envelope.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 65536 };

static void load(struct device *device) {
    char *error = NULL;
    device->state = access(device->path, R_OK) == 0
                        ? file_read_json(device->path, &error)
                        : cJSON_Parse("{\"changes\":{},\"known\":{},\"bad\":{},\"refused\":{}}");
    if (device->state == NULL)
        exit(1);
}
/* ---- The connection -------------------------------------------------------------------------- */

/* Somebody else's client, whose server had this port before. */
static void bring_stranger(struct device *device) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                                  "Sec-WebSocket-Protocol: athena-sync.v1\r\n\r\n";
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port =
                                            htons((uint16_t)strtoul(device->port, NULL, 10)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        write(fd, request, sizeof request - 1) < 0)
        exit(1);
}

static void connect_now(struct device *device) {
    if (device_has_fault(device, "comes-behind-a-stranger"))
        bring_stranger(device);
    const struct stream_address address = {.host = "127.0.0.1", .port = device->port};
    const struct handshake_request head = {
        .host = device->authority, .path = device->url_path, .subprotocols = HANDSHAKE_SUBPROTOCOL};
    device->stream = stream_connect(&address);
    if (device->stream != NULL)
        device->endpoint = endpoint_new_client(&device->entropy, &head);
}

static void disconnect(struct device *device) {
    stream_free(device->stream, false);
    endpoint_free(device->endpoint);
    cJSON_Delete(device->listing);
    device->stream = NULL;
    device->endpoint = NULL;
    device->listing = NULL;
    device->is_live = device->in_sync = false;
}

static void lose(struct device *device) {
    disconnect(device);
    device->stays = device->stays && !device_has_fault(device, "gives-up");
    cJSON *line = device_event("disconnected");
    cJSON_AddNumberToObject(line, "retry_ms", 1000);
    device_say(line);
}

static void serve_stream(struct device *device) {
    static char piece[READ_BYTES];
    struct endpoint_event came;
    ssize_t got = stream_read(device->stream, piece, sizeof piece);
    bool is_over = got < 0;
    if (got > 0)
        endpoint_feed(device->endpoint, piece, (size_t)got);
    while (endpoint_next(device->endpoint, &came)) {
        is_over |= came.kind == ENDPOINT_EVENT_CLOSE || came.kind == ENDPOINT_EVENT_FAULT ||
                   came.kind == ENDPOINT_EVENT_REFUSED;
        cJSON *message =
            came.kind == ENDPOINT_EVENT_TEXT ? cJSON_Parse((const char *)came.bytes.at) : NULL;
        if (message != NULL)
            device_take_message(device, message);
        cJSON_Delete(message);
        bytes_fini(&came.bytes);
    }
    if (is_over)
        lose(device);
}

static void flush_stream(struct device *device) {
    struct bytes *output = device->stream != NULL ? endpoint_output(device->endpoint) : NULL;
    while (output != NULL && output->len > 0) {
        ssize_t put_len = stream_write(device->stream, output->at, output->len);
        if (put_len <= 0)
            return;
        bytes_drop(output, (size_t)put_len);
    }
}

/* ---- Commands -------------------------------------------------------------------------------- */

static char *make_id(const struct device *device, const char *actor) {
    uint8_t b[16];
    randombytes_buf(b, sizeof b);
    if (device_has_fault(device, "repeats-ids"))
        memset(b, 7, sizeof b);
    b[6] = (uint8_t)((b[6] & 15) | 64);
    b[8] = (uint8_t)((b[8] & 63) | 128);
    char hex[33];
    sodium_bin2hex(hex, sizeof hex, b, sizeof b);
    return memory_format("%s:%.8s-%.4s-%.4s-%.4s-%.12s", actor, hex, hex + 8, hex + 12, hex + 16,
                         hex + 20);
}

/* Of a later `add`, so that the first ones are there to be compared with. */
static bool is_halved(const struct device *device, const cJSON *ids, const cJSON *command) {
    int len = cJSON_GetArraySize(cJSON_GetObjectItem(command, "changes"));
    return device_has_fault(device, "stores-half") && cJSON_GetArraySize(ids) == len / 2 &&
           cJSON_GetArraySize(device_part(device, "changes")) > len + 2;
}

/* Until it is killed. */
static void hang(struct device *device) {
    device_save(device);
    for (;;)
        pause();
}

static void add(struct device *device, const cJSON *command) {
    const cJSON *addition;
    cJSON *line = device_answer(cJSON_GetObjectItem(command, "id"), true);
    cJSON *ids = cJSON_AddArrayToObject(line, "ids");
    cJSON_ArrayForEach(addition, cJSON_GetObjectItem(command, "changes")) {
        char *id = make_id(device, device_text_of(addition, "actor"));
        char *data =
            envelope_seal(&device->keys, id, device_text_of(addition, "data"), DOCUMENT_SOUND);
        cJSON *change = cJSON_CreateObject();
        cJSON_AddStringToObject(change, "data", data);
        cJSON_AddStringToObject(change, "plain", device_text_of(addition, "data"));
        cJSON_AddTrueToObject(change, "own");
        device_put(device_part(device, "changes"), id, change);
        cJSON_AddItemToArray(ids, cJSON_CreateString(id));
        free(id);
        free(data);
        if (is_halved(device, ids, command))
            hang(device);
    }
    if (!device_has_fault(device, "confirms-too-early"))
        device_save(device);
    device_say(line);
    device->in_sync = false;
    if (device->is_live && device->pushing == NULL)
        device_push_next(device);
}

static void tell_state(const struct device *device, const cJSON *id) {
    const cJSON *change;
    int pending = 0;
    cJSON_ArrayForEach(change, device_part(device, "changes")) pending +=
        device_wants(device, change->string);
    cJSON *line = device_answer(id, true);
    cJSON_AddNumberToObject(line, "changes", cJSON_GetArraySize(device_part(device, "changes")));
    cJSON_AddNumberToObject(line, "quarantined", cJSON_GetArraySize(device_part(device, "bad")));
    cJSON_AddNumberToObject(line, "pending", pending);
    cJSON_AddNumberToObject(line, "refused", cJSON_GetArraySize(device_part(device, "refused")));
    cJSON_AddBoolToObject(line, "connected", device->is_live);
    cJSON_AddBoolToObject(line, "in_sync", device->in_sync);
    device_say(line);
}

static void tell_all(const struct device *device) {
    const cJSON *change;
    cJSON_ArrayForEach(change, device_part(device, "changes")) device_say_change(change);
}

static void refuse(const cJSON *id, bool ok, const char *code) {
    cJSON *line = device_answer(id, ok);
    cJSON_AddStringToObject(line, "code", code);
    cJSON_AddStringToObject(line, "message", code);
    device_say(line);
}

/* Whoever waits for what comes no more is told so. */
static void stop(struct device *device, const cJSON *id) {
    disconnect(device);
    if (device->sync_id != NULL && !device_has_fault(device, "leaves-sync-open"))
        refuse(device->sync_id, false, "stopped");
    if (!device_has_fault(device, "stops-without-a-word"))
        device_say(device_answer(id, true));
    if (device_has_fault(device, "answers-twice"))
        device_say(device_answer(id, true));
}

static void wait_for_sync(struct device *device, const cJSON *id) {
    if (device->in_sync)
        device_say(device_answer(id, true));
    else
        device->sync_id = cJSON_Duplicate(id, true);
}

/* False at `stop`. */
static bool obey(struct device *device, const cJSON *command) {
    const char *name = device_text_of(command, "cmd");
    const cJSON *id = cJSON_GetObjectItem(command, "id");
    bool known = true;
    if (strcmp(name, "add") == 0)
        return add(device, command), true;
    if (strcmp(name, "sync") == 0)
        return wait_for_sync(device, id), true;
    if (strcmp(name, "state") == 0)
        return tell_state(device, id), true;
    if (strcmp(name, "stop") == 0)
        return stop(device, id), false;
    if (strcmp(name, "connect") == 0)
        device->stays = true;
    else if (strcmp(name, "disconnect") == 0)
        device->stays = false;
    else if (strcmp(name, "replay") == 0)
        tell_all(device);
    else
        known = strcmp(name, "retry") == 0;
    if (!device->stays)
        disconnect(device);
    else if (device->stream == NULL && name[0] != 's')
        connect_now(device);
    if (known)
        device_say(device_answer(id, true));
    else
        refuse(id, device_has_fault(device, "says-yes"), "unsupported");
    return true;
}

static bool read_commands(struct device *device, struct bytes *input) {
    char piece[READ_BYTES];
    ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
    bool goes_on = got > 0;
    if (!goes_on && device_has_fault(device, "outlives-its-input"))
        pause();
    if (got > 0)
        bytes_append(input, piece, (size_t)got);
    uint8_t *newline;
    while (goes_on && input->len > 0 && (newline = memchr(input->at, '\n', input->len)) != NULL) {
        size_t len = (size_t)(newline - input->at);
        cJSON *command = cJSON_ParseWithLength((const char *)input->at, len);
        goes_on = obey(device, command);
        cJSON_Delete(command);
        bytes_drop(input, len + 1);
    }
    return goes_on;
}

int device_drive(char *const arguments[4]) {
    struct device device = {.fault = arguments[0], .key = arguments[2]};
    struct bytes input = {0};
    uint8_t secret[DOCUMENT_SECRET_BYTES];
    const char *url = arguments[3] + strlen("ws://");
    bool is_open = device_has_fault(&device, "leaves-the-secret-open");
    mkdir(arguments[1], is_open ? 0755 : 0700);
    signal(SIGPIPE, SIG_IGN);
    device.path = memory_format("%s/state.json", arguments[1]);
    snprintf(device.authority, sizeof device.authority, "%.*s", (int)strcspn(url, "/"), url);
    snprintf(device.url_path, sizeof device.url_path, "%s", url + strcspn(url, "/"));
    snprintf(device.port, sizeof device.port, "%s", strchr(device.authority, ':') + 1);
    base64url_decode_exactly(arguments[2], secret, sizeof secret);
    document_derive(&device.keys, secret);
    char *doc = base64url_encode(device.keys.id, sizeof device.keys.id);
    snprintf(device.doc, sizeof device.doc, "%s", doc);
    free(doc);
    entropy_init(&device.entropy, randombytes_random(), "device");
    load(&device);
    if (is_open)
        device_put(device.state, "key", cJSON_CreateString(device.key));
    if (device_has_fault(&device, "logs-the-secret"))
        fprintf(stderr, "opened with %s\n", device.key);
    cJSON *ready = device_event("ready");
    cJSON_AddStringToObject(
        ready, "doc", device_has_fault(&device, "derives-another-key") ? device.key : device.doc);
    device_say(ready);
    for (;;) {
        flush_stream(&device);
        struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = -1}};
        if (device.stream != NULL)
            fds[1] =
                (struct pollfd){.fd = stream_fd(device.stream),
                                .events = stream_events(device.stream, true,
                                                        endpoint_output(device.endpoint)->len > 0)};
        poll(fds, 2, -1);
        if (fds[1].revents != 0 && device.stream != NULL)
            serve_stream(&device);
        if (fds[0].revents != 0 && !read_commands(&device, &input))
            break;
    }
    disconnect(&device);
    cJSON_Delete(device.state);
    cJSON_Delete(device.welcome);
    cJSON_Delete(device.pushing);
    cJSON_Delete(device.sync_id);
    bytes_fini(&input);
    free(device.path);
    return 0;
}
