#include "conformance/tests/support_device.h"

#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/endpoint.h"
#include "conformance/file.h"
#include "conformance/json_write.h"
#include "conformance/stream.h"
#include "conformance/tests/support_envelope.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
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

enum { UUID_TEXT_BYTES = 37, READ_BYTES = 65536 };

struct device {
    const char *fault;
    const char *key;
    char *path; /* of its state */
    char authority[32];
    char port[8];
    char url_path[64];
    char doc[64];
    struct document keys;
    cJSON *state;   /* {"changes": {id: {data, plain, own}}, "known": {id: data}, "bad": {id: data},
                       "refused": {id: true}} */
    cJSON *listing; /* what has been listed so far; NULL outside a listing */
    cJSON *welcome;
    cJSON *pushing; /* the changes of the push under way */
    cJSON *sync_id; /* of a `sync` that waits */
    struct entropy entropy;
    struct stream *stream;
    struct endpoint *endpoint;
    int next_req;
    bool stays;
    bool is_live;
    bool in_sync;
};

static bool has_fault(const struct device *device, const char *fault) {
    return strcmp(device->fault, fault) == 0;
}

static cJSON *part(const struct device *device, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(device->state, name);
}

static const char *text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL ? text : "";
}

static void put(cJSON *object, const char *name, cJSON *value) {
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    cJSON_AddItemToObject(object, name, value);
}

static void save(struct device *device) {
    char *text = json_write(device->state);
    char *fresh = memory_format("%s.new", device->path);
    FILE *file = fopen(fresh, "we");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0 ||
        rename(fresh, device->path) != 0)
        exit(1);
    free(text);
    free(fresh);
}

static void load(struct device *device) {
    char *error = NULL;
    device->state = access(device->path, R_OK) == 0
                        ? file_read_json(device->path, &error)
                        : cJSON_Parse("{\"changes\":{},\"known\":{},\"bad\":{},\"refused\":{}}");
    if (device->state == NULL)
        exit(1);
}

/* ---- What it says to the harness ------------------------------------------------------------- */

static void say(cJSON *line) {
    char *text = json_write(line);
    printf("%s\n", text);
    fflush(stdout);
    free(text);
    cJSON_Delete(line);
}

static cJSON *event(const char *name) {
    cJSON *line = cJSON_CreateObject();
    cJSON_AddStringToObject(line, "event", name);
    return line;
}

static void say_about(const char *name, const char *id) {
    cJSON *line = event(name);
    cJSON_AddStringToObject(line, "id", id);
    say(line);
}

static void say_change(const cJSON *change) {
    cJSON *line = event("change");
    cJSON_AddStringToObject(line, "id", change->string);
    cJSON_AddStringToObject(line, "data", text_of(change, "plain"));
    cJSON_AddBoolToObject(line, "own", cJSON_HasObjectItem(change, "own"));
    say(line);
}

static cJSON *answer(const cJSON *id, bool ok) {
    cJSON *line = event("answer");
    cJSON_AddItemToObject(line, "id", cJSON_Duplicate(id, true));
    cJSON_AddBoolToObject(line, "ok", ok);
    return line;
}

static void come_in_sync(struct device *device) {
    device->in_sync = true;
    say(event("in-sync"));
    if (device->sync_id != NULL)
        say(answer(device->sync_id, true));
    cJSON_Delete(device->sync_id);
    device->sync_id = NULL;
}

/* ---- Changes --------------------------------------------------------------------------------- */

static void take_change(struct device *device, const cJSON *change) {
    const char *id = text_of(change, "id");
    const char *data = text_of(change, "data");
    const cJSON *held = cJSON_GetObjectItemCaseSensitive(part(device, "changes"), id);
    put(part(device, "known"), id, cJSON_CreateString(data));
    if (held != NULL) {
        if (strcmp(text_of(held, "data"), data) != 0 && !has_fault(device, "hides-conflicts"))
            say_about("conflict", id);
        return;
    }
    char *plain = envelope_open(&device->keys, id, data, has_fault(device, "takes-any-nonce"));
    if (plain == NULL) {
        put(part(device, "bad"), id, cJSON_CreateString(data));
        say_about("quarantined", id);
        return;
    }
    cJSON *own = cJSON_CreateObject();
    cJSON_AddStringToObject(own, "data", data);
    cJSON_AddStringToObject(own, "plain", plain);
    put(part(device, "changes"), id, own);
    cJSON_DeleteItemFromObjectCaseSensitive(part(device, "bad"), id);
    save(device);
    say_change(own);
    free(plain);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void send_request(struct device *device, cJSON *request) {
    cJSON_AddNumberToObject(request, "req", device->next_req++);
    cJSON_AddStringToObject(request, "doc", device->doc);
    char *text = json_write(request);
    endpoint_send_text(device->endpoint, text, strlen(text));
    free(text);
    cJSON_Delete(request);
}

static cJSON *request(const char *type) {
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", type);
    return message;
}

static void send_open(struct device *device) {
    uint8_t challenge[32];
    uint8_t proof[DOCUMENT_PROOF_BYTES];
    char hex[65];
    uint8_t secret[DOCUMENT_SECRET_BYTES];
    const char *authority =
        has_fault(device, "signs-another-authority") ? "example.org" : device->authority;
    if (!base64url_decode_exactly(text_of(device->welcome, "challenge"), challenge, 32))
        return;
    document_prove(&device->keys, challenge, 32, device->keys.id, authority, proof);
    char *text = base64url_encode(proof, sizeof proof);
    cJSON *message = request("open");
    cJSON_AddStringToObject(message, "authority", authority);
    cJSON_AddStringToObject(message, "proof", text);
    base64url_decode_exactly(device->key, secret, sizeof secret);
    sodium_bin2hex(hex, sizeof hex, secret, sizeof secret);
    if (has_fault(device, "tells-the-secret"))
        cJSON_AddStringToObject(message, "hint", hex);
    send_request(device, message);
    free(text);
}

static void send_list(struct device *device, const char *after) {
    cJSON *message = request("list");
    cJSON_AddBoolToObject(message, "data", true);
    if (after != NULL)
        cJSON_AddStringToObject(message, "after", after);
    send_request(device, message);
}

/* One entry of a push; the faults that tell or alter something show here. */
static cJSON *entry(const struct device *device, const char *id, const cJSON *change) {
    cJSON *sent = cJSON_CreateObject();
    bool is_other = has_fault(device, "seals-anew");
    char *data = envelope_seal(&device->keys, id, text_of(change, "plain"),
                               is_other ? DOCUMENT_OTHER_NONCE : DOCUMENT_SOUND);
    cJSON_AddStringToObject(sent, "id", id);
    cJSON_AddStringToObject(sent, "data", data);
    if (has_fault(device, "tells-plaintext")) {
        char *note = memory_format("x%s", text_of(change, "plain"));
        cJSON_AddStringToObject(sent, "note", note);
        free(note);
    }
    free(data);
    return sent;
}

static bool is_wanted(const struct device *device, const char *id) {
    return !cJSON_HasObjectItem(part(device, "known"), id) &&
           !cJSON_HasObjectItem(part(device, "refused"), id);
}

static void push_next(struct device *device) {
    const cJSON *limits = cJSON_GetObjectItem(device->welcome, "limits");
    double batch = cJSON_GetNumberValue(cJSON_GetObjectItem(limits, "batch"));
    const cJSON *change;
    cJSON *changes = cJSON_CreateArray();
    cJSON_ArrayForEach(change, part(device, "changes")) {
        if (is_wanted(device, change->string) &&
            (cJSON_GetArraySize(changes) < batch || has_fault(device, "ignores-the-batch")))
            cJSON_AddItemToArray(changes, entry(device, change->string, change));
    }
    cJSON_ArrayForEach(change, part(device, "bad")) {
        if (!has_fault(device, "pushes-quarantine") || !is_wanted(device, change->string))
            continue;
        cJSON *bad = cJSON_CreateObject();
        cJSON_AddStringToObject(bad, "id", change->string);
        cJSON_AddStringToObject(bad, "data", change->valuestring);
        cJSON_AddItemToArray(changes, bad);
    }
    cJSON_Delete(device->pushing);
    device->pushing = NULL;
    if (cJSON_GetArraySize(changes) == 0) {
        cJSON_Delete(changes);
        come_in_sync(device);
        return;
    }
    device->in_sync = false;
    device->pushing = cJSON_Duplicate(changes, true);
    if (has_fault(device, "empties-its-outbox"))
        cJSON_ArrayForEach(change, changes)
            put(part(device, "refused"), text_of(change, "id"), cJSON_CreateTrue());
    cJSON *message = request("push");
    cJSON_AddItemToObject(message, "changes", changes);
    send_request(device, message);
}

/* ---- Messages -------------------------------------------------------------------------------- */

static bool equals_known(const struct device *device, const cJSON *opened) {
    uint8_t digest[DOCUMENT_DIGEST_BYTES] = {0};
    const cJSON *item;
    const cJSON *set =
        part(device, has_fault(device, "compares-all-it-holds") ? "changes" : "known");
    cJSON_ArrayForEach(item, set) {
        struct bytes data = {0};
        base64url_decode(cJSON_IsString(item) ? item->valuestring : text_of(item, "data"), &data);
        document_digest_add(digest, item->string, data.at, data.len);
        bytes_fini(&data);
    }
    char *text = base64url_encode(digest, sizeof digest);
    bool same =
        strcmp(text, text_of(opened, "digest")) == 0 &&
        cJSON_GetArraySize(set) == cJSON_GetNumberValue(cJSON_GetObjectItem(opened, "count"));
    free(text);
    return same && !has_fault(device, "lists-always");
}

static void take_opened(struct device *device, const cJSON *opened) {
    say(event("connected"));
    device->is_live = equals_known(device, opened);
    if (device->is_live) {
        push_next(device);
        return;
    }
    device->listing = cJSON_CreateArray();
    send_list(device, NULL);
}

static void take_listed(struct device *device, const cJSON *listed) {
    const cJSON *change;
    cJSON_ArrayForEach(change, cJSON_GetObjectItem(listed, "changes"))
        cJSON_AddItemToArray(device->listing, cJSON_Duplicate(change, true));
    if (cJSON_IsTrue(cJSON_GetObjectItem(listed, "more")) && !has_fault(device, "reads-one-page")) {
        send_list(device, text_of(listed, "cursor"));
        return;
    }
    put(device->state, "known", cJSON_CreateObject());
    cJSON_ArrayForEach(change, device->listing) take_change(device, change);
    cJSON_Delete(device->listing);
    device->listing = NULL;
    device->is_live = true;
    save(device);
    push_next(device);
}

static void take_pushed(struct device *device, const cJSON *pushed) {
    const cJSON *change;
    const cJSON *refusal;
    cJSON *line = event("pushed");
    cJSON_AddNumberToObject(line, "count",
                            cJSON_GetArraySize(device->pushing) -
                                cJSON_GetArraySize(cJSON_GetObjectItem(pushed, "rejected")));
    say(line);
    cJSON_ArrayForEach(change, device->pushing) put(part(device, "known"), text_of(change, "id"),
                                                    cJSON_CreateString(text_of(change, "data")));
    cJSON_ArrayForEach(refusal, cJSON_GetObjectItem(pushed, "rejected")) {
        const cJSON *index = cJSON_GetObjectItem(refusal, "index");
        const char *id = text_of(cJSON_GetArrayItem(device->pushing, index->valueint), "id");
        cJSON_DeleteItemFromObjectCaseSensitive(part(device, "known"), id);
        if (!has_fault(device, "pushes-refused"))
            put(part(device, "refused"), id, cJSON_CreateTrue());
        say_about("refused", id);
    }
    save(device);
    if (!has_fault(device, "pushes-refused") ||
        cJSON_GetArraySize(cJSON_GetObjectItem(pushed, "rejected")) == 0)
        push_next(device);
}

static void take_message(struct device *device, const cJSON *message) {
    const char *type = text_of(message, "type");
    const cJSON *change;
    if (strcmp(type, "welcome") == 0) {
        cJSON_Delete(device->welcome);
        device->welcome = cJSON_Duplicate(message, true);
        send_open(device);
    } else if (strcmp(type, "opened") == 0) {
        take_opened(device, message);
    } else if (strcmp(type, "listed") == 0) {
        take_listed(device, message);
    } else if (strcmp(type, "pushed") == 0) {
        take_pushed(device, message);
    } else if (strcmp(type, "changed") == 0) {
        cJSON_ArrayForEach(change, cJSON_GetObjectItem(message, "changes"))
            take_change(device, change);
        save(device);
        if (has_fault(device, "lists-on-live")) {
            device->listing = cJSON_CreateArray();
            send_list(device, NULL);
        }
    }
}

/* ---- The connection -------------------------------------------------------------------------- */

/* Somebody else's client, whose server had this port before. */
static void bring_stranger(struct device *device) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                                  "Sec-WebSocket-Protocol: athena-sync.v1\r\n\r\n";
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)atoi(device->port)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        write(fd, request, sizeof request - 1) < 0)
        exit(1);
}

static void connect_now(struct device *device) {
    if (has_fault(device, "comes-behind-a-stranger"))
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
    device->stays = device->stays && !has_fault(device, "gives-up");
    cJSON *line = event("disconnected");
    cJSON_AddNumberToObject(line, "retry_ms", 1000);
    say(line);
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
            take_message(device, message);
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
    if (has_fault(device, "repeats-ids"))
        memset(b, 7, sizeof b);
    b[6] = (uint8_t)((b[6] & 15) | 64);
    b[8] = (uint8_t)((b[8] & 63) | 128);
    char hex[33];
    sodium_bin2hex(hex, sizeof hex, b, sizeof b);
    return memory_format("%s:%.8s-%.4s-%.4s-%.4s-%.12s",
                         has_fault(device, "repeats-ids") ? "abcd" : actor, hex, hex + 8, hex + 12,
                         hex + 16, hex + 20);
}

static void add(struct device *device, const cJSON *command) {
    const cJSON *addition;
    cJSON *line = answer(cJSON_GetObjectItem(command, "id"), true);
    cJSON *ids = cJSON_AddArrayToObject(line, "ids");
    cJSON_ArrayForEach(addition, cJSON_GetObjectItem(command, "changes")) {
        char *id = make_id(device, text_of(addition, "actor"));
        char *data = envelope_seal(&device->keys, id, text_of(addition, "data"), DOCUMENT_SOUND);
        cJSON *change = cJSON_CreateObject();
        cJSON_AddStringToObject(change, "data", data);
        cJSON_AddStringToObject(change, "plain", text_of(addition, "data"));
        cJSON_AddTrueToObject(change, "own");
        put(part(device, "changes"), id, change);
        cJSON_AddItemToArray(ids, cJSON_CreateString(id));
        free(id);
        free(data);
    }
    if (!has_fault(device, "confirms-too-early"))
        save(device);
    say(line);
    device->in_sync = false;
    if (device->is_live && device->pushing == NULL)
        push_next(device);
}

static void tell_state(const struct device *device, const cJSON *id) {
    const cJSON *change;
    int pending = 0;
    cJSON_ArrayForEach(change, part(device, "changes")) pending +=
        is_wanted(device, change->string);
    cJSON *line = answer(id, true);
    cJSON_AddNumberToObject(line, "changes", cJSON_GetArraySize(part(device, "changes")));
    cJSON_AddNumberToObject(line, "quarantined", cJSON_GetArraySize(part(device, "bad")));
    cJSON_AddNumberToObject(line, "pending", pending);
    cJSON_AddNumberToObject(line, "refused", cJSON_GetArraySize(part(device, "refused")));
    cJSON_AddBoolToObject(line, "connected", device->is_live);
    cJSON_AddBoolToObject(line, "in_sync", device->in_sync);
    say(line);
}

static void tell_all(const struct device *device) {
    const cJSON *change;
    cJSON_ArrayForEach(change, part(device, "changes")) say_change(change);
}

static void refuse(const cJSON *id, bool ok, const char *code) {
    cJSON *line = answer(id, ok);
    cJSON_AddStringToObject(line, "code", code);
    cJSON_AddStringToObject(line, "message", code);
    say(line);
}

/* Whoever waits for what comes no more is told so. */
static void stop(struct device *device, const cJSON *id) {
    disconnect(device);
    if (device->sync_id != NULL && !has_fault(device, "leaves-sync-open"))
        refuse(device->sync_id, false, "stopped");
    if (!has_fault(device, "stops-without-a-word"))
        say(answer(id, true));
    if (has_fault(device, "answers-twice"))
        say(answer(id, true));
}

static void wait_for_sync(struct device *device, const cJSON *id) {
    if (device->in_sync)
        say(answer(id, true));
    else
        device->sync_id = cJSON_Duplicate(id, true);
}

/* False at `stop`. */
static bool obey(struct device *device, const cJSON *command) {
    const char *name = text_of(command, "cmd");
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
        say(answer(id, true));
    else
        refuse(id, has_fault(device, "says-yes"), "unsupported");
    return true;
}

static bool read_commands(struct device *device, struct bytes *input) {
    char piece[READ_BYTES];
    ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
    bool goes_on = got > 0;
    if (!goes_on && has_fault(device, "outlives-its-input"))
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
    bool is_open = has_fault(&device, "leaves-the-secret-open");
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
        put(device.state, "key", cJSON_CreateString(device.key));
    if (has_fault(&device, "logs-the-secret"))
        fprintf(stderr, "opened with %s\n", device.key);
    cJSON *ready = event("ready");
    cJSON_AddStringToObject(ready, "doc",
                            has_fault(&device, "derives-another-key") ? device.key : device.doc);
    say(ready);
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
