#include "conformance/tests/support_device_sync.h"

#include "conformance/base64url.h"
#include "conformance/json_write.h"
#include "conformance/tests/support_envelope.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool device_has_fault(const struct device *device, const char *fault) {
    return strcmp(device->fault, fault) == 0;
}

cJSON *device_part(const struct device *device, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(device->state, name);
}

const char *device_text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL ? text : "";
}

void device_put(cJSON *object, const char *name, cJSON *value) {
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    cJSON_AddItemToObject(object, name, value);
}

void device_save(struct device *device) {
    char *text = json_write(device->state);
    char *fresh = memory_format("%s.new", device->path);
    FILE *file = fopen(fresh, "we");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0 ||
        rename(fresh, device->path) != 0)
        exit(1);
    free(text);
    free(fresh);
}
/* ---- What it says to the harness ------------------------------------------------------------- */

void device_say(cJSON *line) {
    char *text = json_write(line);
    printf("%s\n", text);
    fflush(stdout);
    free(text);
    cJSON_Delete(line);
}

cJSON *device_event(const char *name) {
    cJSON *line = cJSON_CreateObject();
    cJSON_AddStringToObject(line, "event", name);
    return line;
}

static void say_about(const char *name, const char *id) {
    cJSON *line = device_event(name);
    cJSON_AddStringToObject(line, "id", id);
    device_say(line);
}

void device_say_change(const cJSON *change) {
    cJSON *line = device_event("change");
    cJSON_AddStringToObject(line, "id", change->string);
    cJSON_AddStringToObject(line, "data", device_text_of(change, "plain"));
    cJSON_AddBoolToObject(line, "own", cJSON_HasObjectItem(change, "own"));
    device_say(line);
}

cJSON *device_answer(const cJSON *id, bool ok) {
    cJSON *line = device_event("answer");
    cJSON_AddItemToObject(line, "id", cJSON_Duplicate(id, true));
    cJSON_AddBoolToObject(line, "ok", ok);
    return line;
}

static void come_in_sync(struct device *device) {
    device->in_sync = true;
    device_say(device_event("in-sync"));
    if (device->sync_id != NULL)
        device_say(device_answer(device->sync_id, true));
    cJSON_Delete(device->sync_id);
    device->sync_id = NULL;
}

/* ---- Changes --------------------------------------------------------------------------------- */

static void take_change(struct device *device, const cJSON *change) {
    const char *id = device_text_of(change, "id");
    const char *data = device_text_of(change, "data");
    const cJSON *held = cJSON_GetObjectItemCaseSensitive(device_part(device, "changes"), id);
    device_put(device_part(device, "known"), id, cJSON_CreateString(data));
    if (held != NULL) {
        if (strcmp(device_text_of(held, "data"), data) != 0 &&
            !device_has_fault(device, "hides-conflicts"))
            say_about("conflict", id);
        return;
    }
    char *plain =
        envelope_open(&device->keys, id, data, device_has_fault(device, "takes-any-nonce"));
    if (plain == NULL) {
        device_put(device_part(device, "bad"), id, cJSON_CreateString(data));
        say_about("quarantined", id);
        return;
    }
    cJSON *own = cJSON_CreateObject();
    cJSON_AddStringToObject(own, "data", data);
    cJSON_AddStringToObject(own, "plain", plain);
    device_put(device_part(device, "changes"), id, own);
    cJSON_DeleteItemFromObjectCaseSensitive(device_part(device, "bad"), id);
    device_save(device);
    device_say_change(own);
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
        device_has_fault(device, "signs-another-authority") ? "example.org" : device->authority;
    if (!base64url_decode_exactly(device_text_of(device->welcome, "challenge"), challenge, 32))
        return;
    document_prove(&device->keys, challenge, 32, device->keys.id, authority, proof);
    char *text = base64url_encode(proof, sizeof proof);
    cJSON *message = request("open");
    cJSON_AddStringToObject(message, "authority", authority);
    cJSON_AddStringToObject(message, "proof", text);
    base64url_decode_exactly(device->key, secret, sizeof secret);
    sodium_bin2hex(hex, sizeof hex, secret, sizeof secret);
    if (device_has_fault(device, "tells-the-secret"))
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

/* What fits a ping. */
static void ping_with(struct device *device, const char *text) {
    enum { PING_BYTES_MAX = 125 };
    size_t len = strlen(text) < PING_BYTES_MAX ? strlen(text) : PING_BYTES_MAX;
    endpoint_send_frame(device->endpoint,
                        &(struct endpoint_frame){true, 0, ENDPOINT_PING, true, text, len});
}

/* One entry of a push; the faults that tell or alter something show here. */
static cJSON *entry(struct device *device, const char *id, const cJSON *change) {
    cJSON *sent = cJSON_CreateObject();
    bool is_other = device_has_fault(device, "seals-anew");
    char *data = envelope_seal(&device->keys, id, device_text_of(change, "plain"),
                               is_other ? DOCUMENT_OTHER_NONCE : DOCUMENT_SOUND);
    cJSON_AddStringToObject(sent, "id", id);
    cJSON_AddStringToObject(sent, "data", data);
    if (device_has_fault(device, "pings-plaintext"))
        ping_with(device, device_text_of(change, "plain"));
    if (device_has_fault(device, "tells-plaintext")) {
        char *note = memory_format("x%s", device_text_of(change, "plain"));
        cJSON_AddStringToObject(sent, "note", note);
        free(note);
    }
    free(data);
    return sent;
}

bool device_wants(const struct device *device, const char *id) {
    return !cJSON_HasObjectItem(device_part(device, "known"), id) &&
           !cJSON_HasObjectItem(device_part(device, "refused"), id);
}

void device_push_next(struct device *device) {
    const cJSON *limits = cJSON_GetObjectItem(device->welcome, "limits");
    double batch = cJSON_GetNumberValue(cJSON_GetObjectItem(limits, "batch"));
    const cJSON *change;
    cJSON *changes = cJSON_CreateArray();
    cJSON_ArrayForEach(change, device_part(device, "changes")) {
        if (device_wants(device, change->string) &&
            (cJSON_GetArraySize(changes) < batch || device_has_fault(device, "ignores-the-batch")))
            cJSON_AddItemToArray(changes, entry(device, change->string, change));
    }
    cJSON_ArrayForEach(change, device_part(device, "bad")) {
        if (!device_has_fault(device, "pushes-quarantine") || !device_wants(device, change->string))
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
    if (device_has_fault(device, "empties-its-outbox"))
        cJSON_ArrayForEach(change, changes) device_put(
            device_part(device, "refused"), device_text_of(change, "id"), cJSON_CreateTrue());
    cJSON *message = request("push");
    cJSON_AddItemToObject(message, "changes", changes);
    send_request(device, message);
}

/* ---- Messages -------------------------------------------------------------------------------- */

static bool equals_known(const struct device *device, const cJSON *opened) {
    uint8_t digest[DOCUMENT_DIGEST_BYTES] = {0};
    const cJSON *item;
    const cJSON *set = device_part(
        device, device_has_fault(device, "compares-all-it-holds") ? "changes" : "known");
    cJSON_ArrayForEach(item, set) {
        struct bytes data = {0};
        base64url_decode(cJSON_IsString(item) ? item->valuestring : device_text_of(item, "data"),
                         &data);
        document_digest_add(digest, item->string, data.at, data.len);
        bytes_fini(&data);
    }
    char *text = base64url_encode(digest, sizeof digest);
    bool same =
        strcmp(text, device_text_of(opened, "digest")) == 0 &&
        cJSON_GetArraySize(set) == cJSON_GetNumberValue(cJSON_GetObjectItem(opened, "count"));
    free(text);
    return same && !device_has_fault(device, "lists-always");
}

static void take_opened(struct device *device, const cJSON *opened) {
    device_say(device_event("connected"));
    device->is_live = equals_known(device, opened);
    if (device->is_live) {
        device_push_next(device);
        return;
    }
    device->listing = cJSON_CreateArray();
    send_list(device, NULL);
}

static void take_listed(struct device *device, const cJSON *listed) {
    const cJSON *change;
    cJSON_ArrayForEach(change, cJSON_GetObjectItem(listed, "changes"))
        cJSON_AddItemToArray(device->listing, cJSON_Duplicate(change, true));
    if (cJSON_IsTrue(cJSON_GetObjectItem(listed, "more")) &&
        !device_has_fault(device, "reads-one-page")) {
        send_list(device, device_text_of(listed, "cursor"));
        return;
    }
    device_put(device->state, "known", cJSON_CreateObject());
    cJSON_ArrayForEach(change, device->listing) take_change(device, change);
    cJSON_Delete(device->listing);
    device->listing = NULL;
    device->is_live = true;
    device_save(device);
    device_push_next(device);
}

static void take_pushed(struct device *device, const cJSON *pushed) {
    const cJSON *change;
    const cJSON *refusal;
    cJSON *line = device_event("pushed");
    cJSON_AddNumberToObject(line, "count",
                            cJSON_GetArraySize(device->pushing) -
                                cJSON_GetArraySize(cJSON_GetObjectItem(pushed, "rejected")));
    device_say(line);
    cJSON_ArrayForEach(change, device->pushing)
        device_put(device_part(device, "known"), device_text_of(change, "id"),
                   cJSON_CreateString(device_text_of(change, "data")));
    cJSON_ArrayForEach(refusal, cJSON_GetObjectItem(pushed, "rejected")) {
        const cJSON *index = cJSON_GetObjectItem(refusal, "index");
        const char *id = device_text_of(cJSON_GetArrayItem(device->pushing, index->valueint), "id");
        cJSON_DeleteItemFromObjectCaseSensitive(device_part(device, "known"), id);
        if (!device_has_fault(device, "pushes-refused"))
            device_put(device_part(device, "refused"), id, cJSON_CreateTrue());
        say_about("refused", id);
    }
    device_save(device);
    if (!device_has_fault(device, "pushes-refused") ||
        cJSON_GetArraySize(cJSON_GetObjectItem(pushed, "rejected")) == 0)
        device_push_next(device);
}

void device_take_message(struct device *device, const cJSON *message) {
    const char *type = device_text_of(message, "type");
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
        device_save(device);
        if (device_has_fault(device, "lists-on-live")) {
            device->listing = cJSON_CreateArray();
            send_list(device, NULL);
        }
    }
}
