/* Steps on what clients under test hold: what is added, and whether it is there. */
#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/duty.h"
#include "conformance/memory.h"
#include "conformance/message.h"
#include "conformance/run.h"

#include <stdlib.h>
#include <string.h>

enum { PLAIN_BYTES_LEAST = 20, PLAIN_BYTES_SPREAD = 100 };

/* ---- add ------------------------------------------------------------------------------------- */

static size_t plain_bytes(struct run *run, const struct frame *frame) {
    uint8_t dice;
    entropy_fill(&run->entropy, &dice, 1);
    return (size_t)step_number(frame, "bytes", PLAIN_BYTES_LEAST + dice % PLAIN_BYTES_SPREAD);
}

static size_t names_len(const cJSON *names) {
    return cJSON_IsArray(names) ? (size_t)cJSON_GetArraySize(names) : 1;
}

/* As many fresh changes as there are names. */
static cJSON *make_additions(struct run *run, const struct frame *frame,
                             const struct driver *device) {
    cJSON *command = cJSON_CreateObject();
    cJSON_AddStringToObject(command, "cmd", "add");
    cJSON *changes = cJSON_AddArrayToObject(command, "changes");
    for (size_t i = 0; i < names_len(step_member(frame, "add")); i++) {
        size_t len = plain_bytes(run, frame);
        uint8_t *plain = memory_take(len);
        entropy_fill(&run->entropy, plain, len);
        char *text = base64url_encode(plain, len);
        cJSON *change = cJSON_CreateObject();
        cJSON_AddStringToObject(change, "actor", device->actor);
        cJSON_AddStringToObject(change, "data", text);
        cJSON_AddItemToArray(changes, change);
        free(plain);
        free(text);
    }
    return command;
}

/* The envelope that every client has to make of this change [ASP-ENV-1]. */
static cJSON *seal(struct run *run, const cJSON *document, const char *id, const char *plain) {
    uint8_t secret[DOCUMENT_SECRET_BYTES];
    struct document keys;
    struct bytes bytes = {0};
    struct bytes sealed = {0};
    base64url_decode(plain, &bytes);
    base64url_decode_exactly(cJSON_GetObjectItem(document, "secret")->valuestring, secret,
                             sizeof secret);
    document_derive(&keys, secret);
    document_seal(&keys, id, bytes.at, bytes.len, &sealed);
    lab_note_plain(run->lab, cJSON_GetObjectItem(document, "id")->valuestring, id, bytes.at,
                   bytes.len);
    char *data = base64url_encode(sealed.at, sealed.len);
    cJSON *change = cJSON_CreateObject();
    cJSON_AddStringToObject(change, "id", id);
    cJSON_AddStringToObject(change, "data", data);
    free(data);
    bytes_fini(&bytes);
    bytes_fini(&sealed);
    return change;
}

static enum progress take_ids(struct run *run, const struct frame *frame, const cJSON *document,
                              const cJSON *answer) {
    const cJSON *names = step_member(frame, "add");
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(answer, "ids");
    const cJSON *added =
        cJSON_GetObjectItem(cJSON_GetObjectItem(frame->memo, "command"), "changes");
    int len = (int)names_len(names);
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok")) ||
        cJSON_GetArraySize(ids) != len)
        return run_fail_values(run, NULL, answer, "the changes were not added");
    for (int i = 0; i < len; i++) {
        const char *name =
            (cJSON_IsArray(names) ? cJSON_GetArrayItem(names, i) : names)->valuestring;
        const cJSON *addition = cJSON_GetArrayItem(added, i);
        const char *id = cJSON_GetArrayItem(ids, i)->valuestring;
        const char *actor = cJSON_GetObjectItem(addition, "actor")->valuestring;
        if (strncmp(id, actor, strlen(actor)) != 0 || id[strlen(actor)] != ':')
            return run_fail(run, DUTY_AT("add", "ASP-ID-7"), "%s is no id of a change of actor %s",
                            id, actor);
        if (lab_find_plain(run->lab, cJSON_GetObjectItem(document, "id")->valuestring, id) != NULL)
            return run_fail(run, DUTY_AT("add", "ASP-ID-8"), "%s is the id of an earlier change",
                            id);
        value_set(&run->scope, name,
                  seal(run, document, id, cJSON_GetObjectItem(addition, "data")->valuestring));
    }
    return run_checked(run);
}

/* {"add": ["a", "b"], "to": "phone", "of": "doc"}: fresh changes, which the variables then are. */
static enum progress step_add(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct driver *device = run_device(run, frame, "to");
    const cJSON *document = run_document(run, frame, "of");
    if (device == NULL || document == NULL)
        return STEP_FAILED;
    if (frame->memo == NULL) {
        cJSON *command = make_additions(run, frame, device);
        frame->memo = cJSON_CreateObject();
        cJSON_AddNumberToObject(frame->memo, "id", driver_tell(device, command));
        cJSON_AddItemToObject(frame->memo, "command", command);
    }
    cJSON *answer = driver_take_answer(device, cJSON_GetObjectItem(frame->memo, "id")->valuedouble);
    if (answer == NULL)
        return run_fail_if_ended(run, device, "the answer to add");
    enum progress progress = take_ids(run, frame, document, answer);
    cJSON_Delete(answer);
    return progress;
}

/* ---- holds
 * --------------------------------------------------------------------------------------- */

static void forget_changes(struct driver *device) {
    cJSON *next;
    for (cJSON *event = device->events->child; event != NULL; event = next) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "event"));
        next = event->next;
        if (name != NULL && strcmp(name, "change") == 0)
            cJSON_Delete(cJSON_DetachItemViaPointer(device->events, event));
    }
}

static void add_held(cJSON *held, const char *id, const char *data) {
    cJSON *change = cJSON_CreateObject();
    cJSON_AddStringToObject(change, "id", id);
    cJSON_AddStringToObject(change, "data", data);
    cJSON_AddItemToArray(held, change);
}

/* The changes told since, each once, with what was told last. */
static cJSON *told_changes(const struct driver *device) {
    const cJSON *event;
    const cJSON *data;
    cJSON *told = cJSON_CreateObject();
    cJSON *held = cJSON_CreateArray();
    cJSON_ArrayForEach(event, device->events) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "event"));
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "id"));
        if (name == NULL || strcmp(name, "change") != 0 || id == NULL)
            continue;
        cJSON_DeleteItemFromObjectCaseSensitive(told, id);
        cJSON_AddStringToObject(told, id, message_text(event, "data"));
    }
    cJSON_ArrayForEach(data, told) add_held(held, data->string, data->valuestring);
    cJSON_Delete(told);
    return held;
}

static cJSON *expected_plains(struct run *run, const struct frame *frame, const cJSON *document) {
    char *error = NULL;
    const cJSON *change;
    cJSON *changes = value_flatten_changes(step_member(frame, "changes"), &error);
    cJSON *plains = cJSON_CreateArray();
    if (changes == NULL)
        run_broken(run, "changes: %s", error);
    cJSON_ArrayForEach(change, changes) {
        const char *id = cJSON_GetObjectItem(change, "id")->valuestring;
        const char *plain =
            lab_find_plain(run->lab, cJSON_GetObjectItem(document, "id")->valuestring, id);
        add_held(plains, id, plain != NULL ? plain : "?");
    }
    free(error);
    cJSON_Delete(changes);
    cJSON *set = cJSON_CreateObject();
    cJSON_AddItemToObject(set, "$set", plains);
    return set;
}

/* {"holds": "phone", "changes": [...], "of": "doc"}: it replays exactly these, with their
 * plaintext. */
static enum progress step_holds(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    enum progress progress = STEP_DONE;
    struct driver *device = run_device(run, frame, "holds");
    const cJSON *document = run_document(run, frame, "of");
    if (device == NULL || document == NULL)
        return STEP_FAILED;
    if (frame->memo == NULL)
        forget_changes(device);
    cJSON *answer = run_ask_simply(run, frame, device, "replay", &progress);
    if (answer == NULL)
        return progress;
    if (run_is_unsupported(answer)) {
        cJSON_Delete(answer);
        return run_unsupported(run, "the driver does not know replay");
    }
    cJSON *told = told_changes(device);
    cJSON *expected = expected_plains(run, frame, document);
    progress = run_compare(run, expected, told, "what the device holds");
    cJSON_Delete(answer);
    cJSON_Delete(told);
    cJSON_Delete(expected);
    return progress;
}

const struct step_kind STEPS_REPLICA[] = {
    {"add", step_add, false}, {"holds", step_holds, false}, {NULL, NULL, false}};
