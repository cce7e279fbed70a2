#include "conformance/host.h"

#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/message.h"

#include <stdlib.h>
#include <string.h>

enum { CURSOR_TAG_BYTES = 12, MESSAGE_ROOM_BYTES = 1024 };

void host_fini(struct host *host) {
    cJSON_Delete(host->logs);
    host->logs = NULL;
}

/* ---- Logs ------------------------------------------------------------------------------------ */

cJSON *host_log(struct host *host, const char *doc) {
    if (host->logs == NULL)
        host->logs = cJSON_CreateObject();
    cJSON *log = cJSON_GetObjectItemCaseSensitive(host->logs, doc);
    return log != NULL ? log : cJSON_AddArrayToObject(host->logs, doc);
}

static const cJSON *find_change(struct host *host, const char *doc, const char *id) {
    const cJSON *change = host_log(host, doc)->child;
    while (change != NULL && strcmp(message_text(change, "id"), id) != 0)
        change = change->next;
    return change;
}

void host_store(struct host *host, const char *doc, const cJSON *change) {
    if (find_change(host, doc, message_text(change, "id")) == NULL)
        cJSON_AddItemToArray(host_log(host, doc), cJSON_Duplicate(change, true));
}

static void digest_up_to(struct host *host, const char *doc, size_t position,
                         uint8_t digest[static DOCUMENT_DIGEST_BYTES]) {
    const cJSON *change = host_log(host, doc)->child;
    memset(digest, 0, DOCUMENT_DIGEST_BYTES);
    for (size_t i = 0; i < position && change != NULL; i++, change = change->next) {
        struct bytes data = {0};
        base64url_decode(message_text(change, "data"), &data);
        document_digest_add(digest, message_text(change, "id"), data.at, data.len);
        bytes_fini(&data);
    }
}

/* The cursor behind so many changes of the log; free() it. It tells a log that has lost or
 * exchanged changes by a piece of the digest. */
static char *make_cursor(struct host *host, const char *doc, size_t position) {
    uint8_t digest[DOCUMENT_DIGEST_BYTES];
    digest_up_to(host, doc, position, digest);
    char *tag = base64url_encode(digest, CURSOR_TAG_BYTES);
    char *cursor = memory_format("%zu-%.8s-%s", position, doc, tag);
    free(tag);
    return cursor;
}

static size_t log_len(struct host *host, const char *doc) {
    return (size_t)cJSON_GetArraySize(host_log(host, doc));
}

static bool find_cursor(struct host *host, const char *doc, const char *text, size_t *position) {
    *position = strtoul(text, NULL, 10);
    if (*position > log_len(host, doc))
        return false;
    char *cursor = make_cursor(host, doc, *position);
    bool same = strcmp(cursor, text) == 0;
    free(cursor);
    return same;
}

static void add_cursor(struct host *host, cJSON *reply, const char *doc, size_t position) {
    char *cursor = make_cursor(host, doc, position);
    cJSON_AddStringToObject(reply, "cursor", cursor);
    free(cursor);
}

/* ---- Replies --------------------------------------------------------------------------------- */

static cJSON *begin(const char *type, const cJSON *request) {
    cJSON *reply = cJSON_CreateObject();
    cJSON_AddStringToObject(reply, "type", type);
    cJSON_AddItemToObject(reply, "req",
                          cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(request, "req"), true));
    cJSON_AddStringToObject(reply, "doc", message_text(request, "doc"));
    return reply;
}

static cJSON *refuse(const cJSON *request, const char *code) {
    cJSON *reply = begin("error", request);
    cJSON_AddStringToObject(reply, "code", code);
    cJSON_AddStringToObject(reply, "message", "as the specification says");
    return reply;
}

cJSON *host_welcome(const char *challenge) {
    cJSON *welcome = cJSON_CreateObject();
    cJSON_AddStringToObject(welcome, "type", "welcome");
    cJSON_AddStringToObject(welcome, "protocol", "athena-sync.v1");
    cJSON_AddStringToObject(welcome, "server", "athena-conform");
    cJSON_AddStringToObject(welcome, "challenge", challenge);
    cJSON *limits = cJSON_AddObjectToObject(welcome, "limits");
    cJSON_AddNumberToObject(limits, "message", 4194304);
    cJSON_AddNumberToObject(limits, "message_before_open", 16384);
    cJSON_AddNumberToObject(limits, "change", 1114112);
    cJSON_AddNumberToObject(limits, "batch", 1000);
    cJSON_AddNumberToObject(limits, "docs", 64);
    cJSON_AddArrayToObject(welcome, "extensions");
    return welcome;
}

static cJSON *answer_open(struct host *host, struct guest *guest, const cJSON *request) {
    const char *doc = message_text(request, "doc");
    uint8_t digest[DOCUMENT_DIGEST_BYTES];
    size_t position = log_len(host, doc);
    cJSON *reply = begin("opened", request);
    digest_up_to(host, doc, position, digest);
    char *text = base64url_encode(digest, sizeof digest);
    cJSON_AddNumberToObject(reply, "count", (double)position);
    cJSON_AddStringToObject(reply, "digest", text);
    add_cursor(host, reply, doc, position);
    cJSON_DeleteItemFromObjectCaseSensitive(guest->open, doc);
    cJSON_AddItemToObject(guest->open, doc, cJSON_CreateNumber((double)position));
    free(text);
    return reply;
}

static size_t opened_position(const struct guest *guest, const char *doc) {
    const cJSON *position = cJSON_GetObjectItemCaseSensitive(guest->open, doc);
    return cJSON_IsNumber(position) ? (size_t)position->valuedouble : 0;
}

bool host_is_probe(struct host *host, const struct guest *guest, const cJSON *list) {
    const char *doc = message_text(list, "doc");
    char *cursor = make_cursor(host, doc, opened_position(guest, doc));
    bool same = strcmp(cursor, message_text(list, "after")) == 0;
    free(cursor);
    return same;
}

static cJSON *list_page(struct host *host, const struct guest *guest, const cJSON *request,
                        size_t after) {
    const char *doc = message_text(request, "doc");
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(request, "limit");
    bool whole = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(request, "data"));
    double most = guest_limit(guest, "batch");
    size_t room = (size_t)guest_limit(guest, "message") - MESSAGE_ROOM_BYTES;
    size_t end = opened_position(guest, doc);
    size_t position = after;
    cJSON *reply = begin("listed", request);
    cJSON *entries = cJSON_AddArrayToObject(reply, whole ? "changes" : "ids");
    if (cJSON_IsNumber(limit) && limit->valuedouble < most)
        most = limit->valuedouble;
    const cJSON *change = cJSON_GetArrayItem(host_log(host, doc), (int)position);
    for (; position < end && change != NULL && (double)(position - after) < most; position++) {
        size_t bytes = strlen(message_text(change, "id")) + 30;
        bytes += whole ? strlen(message_text(change, "data")) : 0;
        if (bytes > room && position > after)
            break;
        room -= bytes < room ? bytes : room;
        cJSON_AddItemToArray(entries, whole ? cJSON_Duplicate(change, true)
                                            : cJSON_CreateString(message_text(change, "id")));
        change = change->next;
    }
    add_cursor(host, reply, doc, position > end ? end : position);
    cJSON_AddBoolToObject(reply, "more", position < end);
    return reply;
}

static cJSON *answer_list(struct host *host, const struct guest *guest, const cJSON *request) {
    const char *doc = message_text(request, "doc");
    size_t after = 0;
    if (cJSON_HasObjectItem(request, "after") &&
        !find_cursor(host, doc, message_text(request, "after"), &after))
        return refuse(request, "unknown-cursor");
    if (after > opened_position(guest, doc))
        after = opened_position(guest, doc);
    return list_page(host, guest, request, after);
}

static cJSON *answer_get(struct host *host, const struct guest *guest, const cJSON *request) {
    const cJSON *id;
    size_t room = (size_t)guest_limit(guest, "message") - MESSAGE_ROOM_BYTES;
    bool first = true;
    cJSON *reply = begin("got", request);
    cJSON *changes = cJSON_AddArrayToObject(reply, "changes");
    cJSON *missing = cJSON_AddArrayToObject(reply, "missing");
    cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(request, "ids")) {
        const cJSON *change = find_change(host, message_text(request, "doc"), id->valuestring);
        size_t bytes = strlen(id->valuestring) + strlen(message_text(change, "data")) + 30;
        if (bytes > room && !first)
            break;
        room -= bytes < room ? bytes : room;
        first = false;
        cJSON_AddItemToArray(change != NULL ? changes : missing,
                             cJSON_Duplicate(change != NULL ? change : id, true));
    }
    return reply;
}

static cJSON *answer_push(struct host *host, const cJSON *request, cJSON *stored) {
    const char *doc = message_text(request, "doc");
    const cJSON *change;
    int index = 0;
    cJSON *reply = begin("pushed", request);
    cJSON *duplicates = cJSON_AddArrayToObject(reply, "duplicates");
    cJSON *rejected = cJSON_AddArrayToObject(reply, "rejected");
    cJSON_ArrayForEach(change, cJSON_GetObjectItemCaseSensitive(request, "changes")) {
        const cJSON *held = find_change(host, doc, message_text(change, "id"));
        if (held == NULL) {
            host_store(host, doc, change);
            cJSON_AddItemToArray(stored, cJSON_Duplicate(change, true));
        } else if (strcmp(message_text(held, "data"), message_text(change, "data")) == 0) {
            cJSON_AddItemToArray(duplicates, cJSON_CreateNumber(index));
        } else {
            cJSON *entry = cJSON_CreateObject();
            cJSON_AddNumberToObject(entry, "index", index);
            cJSON_AddStringToObject(entry, "code", "conflict");
            cJSON_AddItemToArray(rejected, entry);
        }
        index++;
    }
    return reply;
}

cJSON *host_answer(struct host *host, struct guest *guest, const cJSON *request, cJSON *stored) {
    bool is_open = cJSON_HasObjectItem(guest->open, message_text(request, "doc"));
    if (message_is(request, "open"))
        return is_open ? refuse(request, "already-open") : answer_open(host, guest, request);
    if (!is_open)
        return refuse(request, "not-open");
    if (message_is(request, "list"))
        return answer_list(host, guest, request);
    if (message_is(request, "get"))
        return answer_get(host, guest, request);
    if (message_is(request, "push"))
        return answer_push(host, request, stored);
    return begin("closed", request);
}

cJSON *host_changed(struct host *host, const char *doc, const cJSON *changes) {
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", "changed");
    cJSON_AddStringToObject(message, "doc", doc);
    cJSON_AddItemToObject(message, "changes", cJSON_Duplicate(changes, true));
    add_cursor(host, message, doc, log_len(host, doc));
    return message;
}
