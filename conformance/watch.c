#include "conformance/watch.h"

#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/duty.h"
#include "conformance/json_same.h"
#include "conformance/memory.h"
#include "conformance/message.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* ---- Changes that this connection has had ---------------------------------------------------- */

static int compare_keys(const void *a, const void *b) {
    return strcmp(a, b);
}

/* False when it was there already. */
static bool note_change(void **tree, const char *doc, const char *id) {
    char *key = memory_format("%s %s", doc, id);
    char **found = tsearch(key, tree, compare_keys);
    bool fresh = *found == key;
    if (!fresh)
        free(key);
    return fresh;
}

static bool has_change(void *const *tree, const char *doc, const char *id) {
    char *key = memory_format("%s %s", doc, id);
    bool found = tfind(key, tree, compare_keys) != NULL;
    free(key);
    return found;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void setup(struct watch *watch) {
    if (watch->asked != NULL)
        return;
    watch->asked = cJSON_CreateArray();
    watch->open = cJSON_CreateArray();
}

void watch_fini(struct watch *watch) {
    cJSON_Delete(watch->asked);
    cJSON_Delete(watch->open);
    tdestroy(watch->stored, free);
    tdestroy(watch->relayed, free);
    *watch = (struct watch){0};
}

/* Whether the changes of a push had come live when it was sent: such a change can only be a
 * duplicate, while one that comes live afterwards was relayed to its own author. */
static cJSON *note_known(const struct watch *watch, const cJSON *push) {
    const cJSON *change;
    cJSON *known = cJSON_CreateArray();
    cJSON_ArrayForEach(change, cJSON_GetObjectItemCaseSensitive(push, "changes")) {
        cJSON_AddItemToArray(known,
                             cJSON_CreateBool(has_change(&watch->relayed, message_text(push, "doc"),
                                                         message_text(change, "id"))));
    }
    return known;
}

void watch_sent(struct watch *watch, const cJSON *message) {
    setup(watch);
    if (watch->confidence != NULL)
        confidence_add(watch->confidence, message);
    unsigned moment = watch->history != NULL ? history_asked(watch->history, message) : 0;
    if (!cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(message, "req")))
        return;
    cJSON *asked = cJSON_Duplicate(message, true);
    cJSON_AddItemToObject(asked, "known", note_known(watch, message));
    cJSON_AddNumberToObject(asked, "moment", moment);
    cJSON_AddItemToArray(watch->asked, asked);
}

static unsigned moment_of(const cJSON *request) {
    return (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItem(request, "moment"));
}

/* The request that a reply answers, taken out; NULL when there is none. */
static cJSON *take_request(struct watch *watch, const cJSON *reply) {
    const cJSON *req = cJSON_GetObjectItemCaseSensitive(reply, "req");
    cJSON *request = watch->asked->child;
    while (request != NULL && !json_same(cJSON_GetObjectItemCaseSensitive(request, "req"), req))
        request = request->next;
    return request != NULL ? cJSON_DetachItemViaPointer(watch->asked, request) : NULL;
}

static bool names_index(const cJSON *pushed, int index) {
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(pushed, "duplicates")) {
        if (item->valueint == index)
            return true;
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(pushed, "rejected")) {
        if (cJSON_GetObjectItemCaseSensitive(item, "index")->valueint == index)
            return true;
    }
    return false;
}

/* Notes what the push stored; NULL, or what is wrong with that. */
static const char *note_pushed(struct watch *watch, const cJSON *request, const cJSON *pushed,
                               const char **requirement) {
    const char *doc = message_text(request, "doc");
    const cJSON *known = cJSON_GetObjectItem(request, "known")->child; /* one for each change */
    const cJSON *change;
    int index = 0;
    cJSON_ArrayForEach(change, cJSON_GetObjectItemCaseSensitive(request, "changes")) {
        const char *id = message_text(change, "id");
        bool was_known = cJSON_IsTrue(known);
        known = known->next;
        if (names_index(pushed, index++))
            continue;
        *requirement = was_known ? DUTY("ASP-PUSH-6") : DUTY("ASP-LIVE-3");
        if (was_known || has_change(&watch->relayed, doc, id))
            return was_known ? "a change that had come live before is said to be stored now"
                             : "a change was relayed to the connection that stored it";
        note_change(&watch->stored, doc, id);
    }
    return NULL;
}

/* ---- Open documents -------------------------------------------------------------------------- */

static cJSON *find_open(const struct watch *watch, const char *doc) {
    cJSON *item = watch->open->child;
    while (item != NULL && strcmp(item->valuestring, doc) != 0)
        item = item->next;
    return item;
}

static void note_reply(struct watch *watch, const cJSON *reply) {
    const char *doc = message_text(reply, "doc");
    if (message_is(reply, "opened") && find_open(watch, doc) == NULL)
        cJSON_AddItemToArray(watch->open, cJSON_CreateString(doc));
    if (message_is(reply, "closed"))
        cJSON_Delete(cJSON_DetachItemViaPointer(watch->open, find_open(watch, doc)));
}

/* ---- Messages -------------------------------------------------------------------------------- */

static const char *check_changed(struct watch *watch, const cJSON *message,
                                 const char **requirement) {
    const cJSON *change;
    *requirement = DUTY("ASP-LIVE-7");
    if (find_open(watch, message_text(message, "doc")) == NULL)
        return "a live change of a document that is not open";
    cJSON_ArrayForEach(change, cJSON_GetObjectItemCaseSensitive(message, "changes")) {
        const char *doc = message_text(message, "doc");
        const char *id = message_text(change, "id");
        *requirement = DUTY("ASP-LIVE-3");
        if (has_change(&watch->stored, doc, id))
            return "a live change that this connection stored itself";
        *requirement = DUTY("ASP-LIVE-1");
        if (!note_change(&watch->relayed, doc, id))
            return "a live change that came before";
    }
    if (watch->history != NULL)
        history_relayed(watch->history, watch->number, message);
    return NULL;
}

/* Each reply, `error` included, where the request does. */
static bool names_its_doc(const cJSON *request, const cJSON *reply) {
    uint8_t id[DOCUMENT_ID_BYTES];
    return !base64url_decode_exactly(message_text(request, "doc"), id, sizeof id) ||
           strcmp(message_text(reply, "doc"), message_text(request, "doc")) == 0;
}

static const char *check_reply(struct watch *watch, const cJSON *message,
                               const char **requirement) {
    cJSON *request = take_request(watch, message);
    const char *wrong = NULL;
    *requirement = DUTY("ASP-MSG-9");
    if (request == NULL && !watch->blind)
        wrong = "a reply to no request";
    if (request != NULL && !names_its_doc(request, message)) {
        *requirement = DUTY("ASP-MSG-15");
        wrong = "a reply that does not name the document of its request";
    } else if (request != NULL && message_is(message, "pushed"))
        wrong = note_pushed(watch, request, message, requirement);
    if (request != NULL && watch->history != NULL)
        history_replied(watch->history, watch->number, request, moment_of(request), message);
    cJSON_Delete(request);
    note_reply(watch, message);
    return wrong;
}

static bool carries_one_change(const cJSON *message) {
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(message, "changes")) == 1;
}

const char *watch_received(struct watch *watch, const cJSON *message, size_t bytes,
                           const char **requirement) {
    setup(watch);
    *requirement = DUTY("ASP-MSG-21");
    if (watch->welcomed && (double)bytes > watch->message_max && !carries_one_change(message))
        return "a message larger than limits.message";
    if (message_is(message, "welcome")) {
        const cJSON *limits = cJSON_GetObjectItemCaseSensitive(message, "limits");
        bool again = watch->welcomed;
        if (watch->confidence != NULL)
            confidence_add(watch->confidence, message);
        watch->welcomed = true;
        watch->message_max =
            cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(limits, "message"));
        *requirement = DUTY("ASP-WELCOME-2");
        return again ? "a second welcome" : NULL;
    }
    if (message_is(message, "changed"))
        return check_changed(watch, message, requirement);
    if (cJSON_HasObjectItem(message, "req"))
        return check_reply(watch, message, requirement);
    return NULL;
}
