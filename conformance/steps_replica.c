/* Steps on what clients under test hold: what is added, and whether it is there. */
#include "conformance/base64url.h"
#include "conformance/clock.h"
#include "conformance/document.h"
#include "conformance/duty.h"
#include "conformance/memory.h"
#include "conformance/message.h"
#include "conformance/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the time before a kill so much is not left to poll(2), which counts in milliseconds. */
enum { SHORT_US = 10000 };
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
        discretion_add_plain(&run->lab->discretion, plain, len);
        free(plain);
        free(text);
    }
    return command;
}

static const char *doc_of(const cJSON *document) {
    return cJSON_GetObjectItem(document, "id")->valuestring;
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
    lab_note_plain(run->lab, doc_of(document), id, plain);
    char *data = base64url_encode(sealed.at, sealed.len);
    cJSON *change = cJSON_CreateObject();
    cJSON_AddStringToObject(change, "id", id);
    cJSON_AddStringToObject(change, "data", data);
    free(data);
    bytes_fini(&bytes);
    bytes_fini(&sealed);
    return change;
}

/* One change with the id that the device gave it, as it must be sealed; NULL after run_fail. */
static cJSON *take_added(struct run *run, const cJSON *document, const cJSON *addition,
                         const char *id) {
    const char *actor = message_text(addition, "actor");
    if (strncmp(id, actor, strlen(actor)) != 0 || id[strlen(actor)] != ':')
        run_fail(run, DUTY_AT("add", "ASP-ID-7"), "%s is no id of a change of actor %s", id, actor);
    else if (lab_find_plain(run->lab, doc_of(document), id) != NULL)
        run_fail(run, DUTY_AT("add", "ASP-ID-8"), "%s is the id of an earlier change", id);
    else
        return seal(run, document, id, message_text(addition, "data"));
    return NULL;
}

/* The changes that were added, in order; NULL after run_fail. */
static cJSON *take_ids(struct run *run, const struct frame *frame, const cJSON *document,
                       const cJSON *answer) {
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(answer, "ids");
    const cJSON *additions =
        cJSON_GetObjectItem(cJSON_GetObjectItem(frame->memo, "command"), "changes");
    int len = cJSON_GetArraySize(additions);
    cJSON *added = cJSON_CreateArray();
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok")) ||
        cJSON_GetArraySize(ids) != len)
        run_fail_values(run, NULL, answer, "the changes were not added");
    for (int i = 0; i < len && run->verdict.message == NULL; i++)
        cJSON_AddItemToArray(added, take_added(run, document, cJSON_GetArrayItem(additions, i),
                                               cJSON_GetArrayItem(ids, i)->valuestring));
    if (run->verdict.message == NULL)
        return added;
    cJSON_Delete(added);
    return NULL;
}

static void name_changes(struct run *run, const struct frame *frame, const cJSON *added) {
    const cJSON *names = step_member(frame, "add");
    for (int i = 0; i < cJSON_GetArraySize(added); i++) {
        const cJSON *name = cJSON_IsArray(names) ? cJSON_GetArrayItem(names, i) : names;
        value_set(&run->scope, name->valuestring,
                  cJSON_Duplicate(cJSON_GetArrayItem(added, i), true));
    }
}

static void begin_add(struct run *run, struct frame *frame, struct driver *device) {
    cJSON *command = make_additions(run, frame, device);
    frame->memo = cJSON_CreateObject();
    cJSON_AddNumberToObject(frame->memo, "sent_us", (double)clock_now_us());
    cJSON_AddNumberToObject(frame->memo, "id", driver_tell(device, command));
    cJSON_AddItemToObject(frame->memo, "command", command);
}

static int64_t taken_us(const struct frame *frame) {
    return clock_now_us() - (int64_t)cJSON_GetObjectItem(frame->memo, "sent_us")->valuedouble;
}

/* Whether it has all been stored is for `holds` to find out. */
static enum progress cut_add(struct run *run, const struct frame *frame, const cJSON *document,
                             struct driver *device) {
    int64_t left_us =
        (int64_t)((double)device->add_us * step_number(frame, "kill", 0) / 100) - taken_us(frame);
    if (device->pid == 0)
        return run_fail_if_ended(run, device, "being killed");
    if (left_us > SHORT_US) {
        run->wakes_us = clock_now_us() + left_us - SHORT_US;
        return run_wait_for(run, "the time to kill %s", device->name);
    }
    if (left_us > 0)
        usleep((useconds_t)left_us);
    driver_kill(device);
    cJSON *answer = driver_take_answer(device, cJSON_GetObjectItem(frame->memo, "id")->valuedouble);
    cJSON *added =
        answer != NULL
            ? take_ids(run, frame, document, answer)
            : cJSON_DetachItemFromObject(cJSON_GetObjectItem(frame->memo, "command"), "changes");
    if (added != NULL)
        cJSON_AddItemToArray(device->cut_adds, added);
    cJSON_Delete(answer);
    return added != NULL ? STEP_DONE : STEP_FAILED;
}

/* {"add": ["a", "b"], "to": "phone", "of": "doc"}: fresh changes, which the variables then are; or
 * "kill": 50, SIGKILL after so many hundredths of the time that its add before took. */
static enum progress step_add(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct driver *device = run_device(run, frame, "to");
    const cJSON *document = run_document(run, frame, "of");
    if (device == NULL || document == NULL)
        return STEP_FAILED;
    if (frame->memo == NULL)
        begin_add(run, frame, device);
    if (step_member(frame, "kill") != NULL)
        return cut_add(run, frame, document, device);
    cJSON *answer = driver_take_answer(device, cJSON_GetObjectItem(frame->memo, "id")->valuedouble);
    if (answer == NULL)
        return run_fail_if_ended(run, device, "the answer to add");
    device->add_us = taken_us(frame);
    cJSON *added = take_ids(run, frame, document, answer);
    if (added != NULL)
        name_changes(run, frame, added);
    cJSON_Delete(answer);
    cJSON_Delete(added);
    return added != NULL ? run_checked(run) : STEP_FAILED;
}

/* ---- holds ----------------------------------------------------------------------------------- */

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

static const cJSON *find_told(const cJSON *told, const char *data) {
    const cJSON *change = told->child;
    while (change != NULL && strcmp(message_text(change, "data"), data) != 0)
        change = change->next;
    return change;
}

/* Those of an add that was cut that are there, at the end of `held`: all or none, and all when it
 * was answered. */
static void take_cut_add(struct run *run, const cJSON *document, const cJSON *added,
                         const cJSON *told, cJSON *held) {
    const cJSON *change;
    int there = 0;
    cJSON_ArrayForEach(change, added) {
        bool is_sure = cJSON_HasObjectItem(change, "id");
        const cJSON *found = is_sure ? change : find_told(told, message_text(change, "data"));
        if (is_sure)
            cJSON_AddItemToArray(held, cJSON_Duplicate(change, true));
        else if (found != NULL)
            cJSON_AddItemToArray(held,
                                 take_added(run, document, change, message_text(found, "id")));
        there += found != NULL;
    }
    if (there > 0 && there < cJSON_GetArraySize(added))
        run_fail(run, SPEC_DRIVER, "%d of the %d changes of one add are there", there,
                 cJSON_GetArraySize(added));
}

/* What became of the adds in which it was killed, into the variable. */
static void settle_cut_adds(struct run *run, const struct frame *frame, struct driver *device,
                            const cJSON *document, const cJSON *told) {
    const cJSON *added;
    cJSON *held = cJSON_CreateArray();
    cJSON_ArrayForEach(added, device->cut_adds) take_cut_add(run, document, added, told, held);
    cJSON_Delete(device->cut_adds);
    device->cut_adds = cJSON_CreateArray();
    value_set(&run->scope, step_text(frame, "cut"), held);
}

static void expect_plains(struct run *run, const cJSON *document, const cJSON *changes,
                          cJSON *plains) {
    const cJSON *change;
    cJSON_ArrayForEach(change, changes) {
        const char *id = message_text(change, "id");
        const char *plain = lab_find_plain(run->lab, doc_of(document), id);
        add_held(plains, id, plain != NULL ? plain : "?");
    }
}

static cJSON *expected_plains(struct run *run, const struct frame *frame, const cJSON *document) {
    char *error = NULL;
    cJSON *changes = value_flatten_changes(step_member(frame, "changes"), &error);
    cJSON *set = cJSON_CreateObject();
    cJSON *plains = cJSON_AddArrayToObject(set, "$set");
    if (changes == NULL)
        run_broken(run, "changes: %s", error);
    expect_plains(run, document, changes, plains);
    if (step_text(frame, "cut") != NULL)
        expect_plains(run, document, value_find(&run->scope, step_text(frame, "cut")), plains);
    free(error);
    cJSON_Delete(changes);
    return set;
}

static enum progress judge_held(struct run *run, const struct frame *frame, struct driver *device,
                                const cJSON *document) {
    cJSON *told = told_changes(device);
    if (step_text(frame, "cut") != NULL)
        settle_cut_adds(run, frame, device, document, told);
    cJSON *expected = expected_plains(run, frame, document);
    enum progress progress = run->verdict.message != NULL
                                 ? STEP_FAILED
                                 : run_compare(run, expected, told, "what the device holds");
    cJSON_Delete(told);
    cJSON_Delete(expected);
    return progress;
}

/* {"holds": "phone", "changes": [...], "of": "doc"}: it replays exactly these, with their
 * plaintext; and, if "cut" names a variable for them, what there is of the adds it was killed in.
 */
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
    progress = run_is_unsupported(answer) ? run_unsupported(run, "the driver does not know replay")
                                          : judge_held(run, frame, device, document);
    cJSON_Delete(answer);
    return progress;
}

const struct step_kind STEPS_REPLICA[] = {
    {"add", step_add, false}, {"holds", step_holds, false}, {NULL, NULL, false}};
