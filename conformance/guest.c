#include "conformance/guest.h"

#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/duty.h"
#include "conformance/json_same.h"
#include "conformance/message.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void guest_init(struct guest *guest, const char *authority, const char *path, cJSON *pushed,
                cJSON *proofs) {
    *guest = (struct guest){.authority = authority,
                            .path = path,
                            .pushed = pushed,
                            .proofs = proofs,
                            .asked = cJSON_CreateArray(),
                            .open = cJSON_CreateObject(),
                            .counts = cJSON_CreateObject()};
}

void guest_fini(struct guest *guest) {
    cJSON_Delete(guest->welcome);
    cJSON_Delete(guest->asked);
    cJSON_Delete(guest->open);
    cJSON_Delete(guest->counts);
    *guest = (struct guest){0};
}

double guest_limit(const struct guest *guest, const char *name) {
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(guest->welcome, "limits");
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(limits, name);
    return cJSON_IsNumber(limit) ? limit->valuedouble : 0;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static cJSON *find_request(const struct guest *guest, const cJSON *message) {
    const cJSON *req = cJSON_GetObjectItemCaseSensitive(message, "req");
    cJSON *request = guest->asked->child;
    while (request != NULL && !json_same(cJSON_GetObjectItemCaseSensitive(request, "req"), req))
        request = request->next;
    return request;
}

void guest_sent(struct guest *guest, const cJSON *message) {
    guest->messages++;
    if (message_is(message, "welcome") && guest->welcome == NULL)
        guest->welcome = cJSON_Duplicate(message, true);
    if (message_is(message, "closed"))
        cJSON_DeleteItemFromObjectCaseSensitive(guest->open, message_text(message, "doc"));
    if (message_is(message, "opened") &&
        !cJSON_HasObjectItem(guest->open, message_text(message, "doc")))
        cJSON_AddItemToObject(guest->open, message_text(message, "doc"), cJSON_CreateNumber(0));
    cJSON *request = find_request(guest, message);
    if (request != NULL)
        cJSON_Delete(cJSON_DetachItemViaPointer(guest->asked, request));
}

static void count(struct guest *guest, const char *type) {
    cJSON *number = cJSON_GetObjectItemCaseSensitive(guest->counts, type);
    if (number != NULL)
        cJSON_SetNumberValue(number, number->valuedouble + 1);
    else
        cJSON_AddNumberToObject(guest->counts, type, 1);
}

/* ---- open ------------------------------------------------------------------------------------ */

static bool is_proved(const struct guest *guest, const cJSON *open) {
    static const char label[] = "athena-sync/1 open"; /* with its 0x00 */
    uint8_t doc[DOCUMENT_ID_BYTES];
    uint8_t proof[DOCUMENT_PROOF_BYTES];
    struct bytes statement = {0};
    bytes_append(&statement, label, sizeof label);
    bool ok = base64url_decode(message_text(guest->welcome, "challenge"), &statement) &&
              base64url_decode(message_text(open, "doc"), &statement) &&
              base64url_decode_exactly(message_text(open, "doc"), doc, sizeof doc) &&
              base64url_decode_exactly(message_text(open, "proof"), proof, sizeof proof);
    bytes_append(&statement, message_text(open, "authority"),
                 strlen(message_text(open, "authority")));
    ok = ok && crypto_sign_verify_detached(proof, statement.at, statement.len, doc) == 0;
    bytes_fini(&statement);
    return ok;
}

/* Notes the proof; false when it was sent before. */
static bool is_fresh_proof(struct guest *guest, const cJSON *open) {
    const char *proof = message_text(open, "proof");
    bool fresh = cJSON_GetObjectItemCaseSensitive(guest->proofs, proof) == NULL;
    if (fresh)
        cJSON_AddTrueToObject(guest->proofs, proof);
    return fresh;
}

static const char *check_open(struct guest *guest, const cJSON *open, const char **requirement) {
    *requirement = DUTY("ASP-WS-37");
    if (strcmp(message_text(open, "authority"), guest->authority) != 0)
        return "an open whose authority is not that of the URL";
    *requirement = DUTY("ASP-OPEN-6");
    if (!is_fresh_proof(guest, open))
        return "an open with a proof that was sent before";
    *requirement = DUTY("ASP-KEY-6");
    return is_proved(guest, open) ? NULL : "an open whose proof does not verify";
}

/* ---- push ------------------------------------------------------------------------------------ */

/* Notes what is sent; false when other bytes were sent with this id before. */
static bool is_same_as_ever(struct guest *guest, const cJSON *push, const cJSON *change) {
    char *key = memory_format("%s %s", message_text(push, "doc"), message_text(change, "id"));
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(guest->pushed, key);
    bool same = before == NULL || strcmp(before->valuestring, message_text(change, "data")) == 0;
    if (before == NULL)
        cJSON_AddStringToObject(guest->pushed, key, message_text(change, "data"));
    free(key);
    return same;
}

static const char *check_push(struct guest *guest, const cJSON *push, const char **requirement) {
    const cJSON *changes = cJSON_GetObjectItemCaseSensitive(push, "changes");
    const cJSON *change;
    *requirement = DUTY("ASP-PUSH-10");
    if (cJSON_GetArraySize(changes) > guest_limit(guest, "batch"))
        return "a push of more than limits.batch changes";
    cJSON_ArrayForEach(change, changes) {
        struct bytes data = {0};
        base64url_decode(message_text(change, "data"), &data);
        bool fits = (double)data.len <= guest_limit(guest, "change");
        bytes_fini(&data);
        *requirement = DUTY("ASP-PUSH-10");
        if (!fits)
            return "a push of a change larger than limits.change";
        *requirement = DUTY("ASP-CLI-4");
        if (!is_same_as_ever(guest, push, change))
            return "a change was sent with other bytes than before";
    }
    return NULL;
}

/* ---- get ------------------------------------------------------------------------------------- */

static bool names_twice(const cJSON *ids) {
    const cJSON *id;
    cJSON *seen = cJSON_CreateObject();
    bool twice = false;
    cJSON_ArrayForEach(id, ids) {
        twice = twice || cJSON_GetObjectItemCaseSensitive(seen, id->valuestring) != NULL;
        if (!twice)
            cJSON_AddTrueToObject(seen, id->valuestring);
    }
    cJSON_Delete(seen);
    return twice;
}

static const char *check_get(const struct guest *guest, const cJSON *get,
                             const char **requirement) {
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(get, "ids");
    *requirement = DUTY("ASP-LIM-7");
    if (cJSON_GetArraySize(ids) > guest_limit(guest, "batch"))
        return "a get of more than limits.batch ids";
    *requirement = DUTY("ASP-GET-8");
    return names_twice(ids) ? "a get that names an id twice" : NULL;
}

/* ---- Messages -------------------------------------------------------------------------------- */

static const char *check_request(struct guest *guest, const cJSON *message,
                                 const char **requirement) {
    if (message_is(message, "open"))
        return check_open(guest, message, requirement);
    if (message_is(message, "push"))
        return check_push(guest, message, requirement);
    return message_is(message, "get") ? check_get(guest, message, requirement) : NULL;
}

static bool is_listed(const cJSON *extensions, const char *name, size_t len) {
    const cJSON *listed;
    cJSON_ArrayForEach(listed, extensions) {
        if (strlen(listed->valuestring) == len && strncmp(listed->valuestring, name, len) == 0)
            return true;
    }
    return false;
}

/* Whether it has a member of an extension that welcome did not list. */
static bool uses_extension(const struct guest *guest, const cJSON *message) {
    const cJSON *listed = cJSON_GetObjectItemCaseSensitive(guest->welcome, "extensions");
    const cJSON *member;
    cJSON_ArrayForEach(member, message) {
        const char *colon = strchr(member->string, ':');
        if (colon != NULL && !is_listed(listed, member->string, (size_t)(colon - member->string)))
            return true;
    }
    return false;
}

const char *guest_received(struct guest *guest, const cJSON *message, size_t bytes,
                           const char **requirement) {
    guest->messages++;
    count(guest, message_text(message, "type"));
    *requirement = DUTY("ASP-MSG-1");
    if (guest->welcome == NULL)
        return "a message before welcome";
    *requirement = DUTY("ASP-MSG-20");
    if ((double)bytes >
        guest_limit(guest, guest->open->child == NULL ? "message_before_open" : "message"))
        return "a message larger than the limit";
    *requirement = DUTY("ASP-MSG-8");
    if (find_request(guest, message) != NULL)
        return "a req that is the req of an unanswered request";
    *requirement = DUTY("ASP-EXT-2");
    if (uses_extension(guest, message))
        return "a member of an extension that the server does not offer";
    cJSON_AddItemToArray(guest->asked, cJSON_Duplicate(message, true));
    return check_request(guest, message, requirement);
}
