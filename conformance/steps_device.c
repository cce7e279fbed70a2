/* Steps on clients under test: their lives, what they are told, what they say and hold. */
#include "conformance/base64url.h"
#include "conformance/clock.h"
#include "conformance/document.h"
#include "conformance/duty.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/message.h"
#include "conformance/process.h"
#include "conformance/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PLAIN_BYTES_LEAST = 20, PLAIN_BYTES_SPREAD = 100, ACTOR_BYTES = 16 };

struct driver *run_device(struct run *run, const struct frame *frame, const char *member) {
    const char *name = step_text(frame, member);
    struct driver *device = NULL;
    if (run->lab != NULL && name != NULL)
        device = lab_find_device(run->lab, name);
    else if (run->lab != NULL && run->lab->devices_len == 1)
        device = run->lab->devices[0];
    if (device == NULL)
        run_broken(run, "there is no device \"%s\"", name != NULL ? name : "");
    return device;
}

enum progress run_fail_if_ended(struct run *run, const struct driver *device, const char *what) {
    if (device->pid != 0)
        return run_wait_for(run, "%s of %s", what, device->name);
    if (device->unsupported)
        return run_unsupported(run, "the driver ended with status 127");
    return run_fail(run, NULL, "%s ended with %s instead of %s", device->name,
                    device->ended != NULL ? device->ended : "a kill", what);
}

/* ---- device, kill, stop ---------------------------------------------------------------------- */

/* The address it is to dial: the harness's own, or another with the harness's port and path. */
static char *url_for(const struct run *run, const struct frame *frame) {
    const char *template = step_text(frame, "url");
    if (template == NULL)
        return memory_copy_text(run->lab->url);
    char *with_port = process_fill_in(template, "{port}", strrchr(run->lab->authority, ':') + 1);
    char *url = process_fill_in(with_port, "{path}", run->lab->path + 1);
    free(with_port);
    return url;
}

/* Each has a folder of its own, so that one can be made anew under the same name. */
static bool make_device(struct run *run, const struct frame *frame, const cJSON *document) {
    const char *secret = cJSON_GetObjectItem(document, "secret")->valuestring;
    char *folder = memory_format("%s/%u", run->lab->folder, run->lab->devices_made++);
    char *url = url_for(run, frame);
    const struct driver_options options = {.name = step_text(frame, "device"),
                                           .command = run->lab->command,
                                           .folder = folder,
                                           .key = secret,
                                           .url = url,
                                           .patience_ms =
                                               (unsigned)step_number(frame, "patience_ms", 0),
                                           .patient = step_flag(frame, "patient")};
    lab_note_secret(run->lab, secret);
    bool ok = mkdir(folder, 0700) == 0;
    if (!ok)
        run_broken(run, "%s: %s", folder, strerror(errno));
    else if (!lab_add_device(run->lab, driver_new(&options, run->spec, &run->transcript)))
        run_broken(run, "more than %d devices", LAB_DEVICES_MAX);
    free(folder);
    free(url);
    return run->verdict.message == NULL;
}

static enum progress start_device(struct run *run, struct frame *frame) {
    const cJSON *document = run_document(run, frame, "of");
    const char *name = step_text(frame, "device");
    if (document == NULL)
        return STEP_FAILED;
    bool is_new = step_flag(frame, "fresh") || lab_find_device(run->lab, name) == NULL;
    if (is_new && !make_device(run, frame, document))
        return STEP_FAILED;
    struct driver *device = lab_find_device(run->lab, name);
    if (device->pid != 0)
        return run_broken(run, "%s runs already", name);
    run_renew(run); /* for each life */
    cJSON *known = cJSON_CreateObject();
    cJSON_AddStringToObject(known, "path", run->lab->path);
    value_set(&run->scope, name, known);
    if (!driver_start(device))
        return run_broken(run, "cannot start the driver: %s", strerror(errno));
    frame->memo = cJSON_CreateObject();
    cJSON_AddStringToObject(frame->memo, "event", "ready");
    return STEP_DONE;
}

static enum progress check_document(struct run *run, struct frame *frame, const cJSON *ready) {
    const char *due =
        cJSON_GetObjectItemCaseSensitive(run_document(run, frame, "of"), "id")->valuestring;
    const char *doc = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ready, "doc"));
    if (doc != NULL && strcmp(doc, due) == 0)
        return STEP_DONE;
    return run_fail(run, DUTY_AT("device", "ASP-KEY-2"),
                    "%s is ready for the document %s; the key gives %s", step_text(frame, "device"),
                    doc != NULL ? doc : "that it does not name", due);
}

/* It has to end by itself, with a status that tells of a wrong command line; unless it may take it,
 * which is kept. */
static enum progress await_refusal(struct run *run, const struct frame *frame,
                                   struct driver *device, bool is_ready) {
    const char *kept = step_text(frame, "may_refuse");
    if (kept != NULL)
        value_set(&run->scope, kept, cJSON_CreateBool(!is_ready));
    if (is_ready && kept != NULL)
        return run_checked(run);
    if (is_ready)
        return run_fail(run, NULL, "%s takes what it has to refuse", device->name);
    if (device->pid != 0)
        return run_wait_for(run, "the end of %s", device->name);
    if (device->unsupported)
        return run_unsupported(run, "the driver ended with status 127");
    if (device->ended == NULL || strcmp(device->ended, "exit status 0") == 0 ||
        strncmp(device->ended, "exit status", strlen("exit status")) != 0)
        return run_fail(run, NULL, "%s ended with %s, not with the status of a refusal",
                        device->name, device->ended != NULL ? device->ended : "a kill");
    return run_checked(run);
}

/* {"device": "phone", "of": "doc"}: starts a driver, in the folder it had if it ran before, or
 * with "fresh": true in a new one. Unless it is "patient", the harness urges it (`retry`) whenever
 * it waits to connect again. "url" is another address, in which {port} and {path} are the
 * right ones; "refuses": true, one that it must not take; "may_refuse" keeps whether it did. */
static enum progress step_device(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    if (run->lab == NULL)
        return run_broken(run, "devices are for scenarios of clients");
    if (frame->memo == NULL && start_device(run, frame) == STEP_FAILED)
        return STEP_FAILED;
    struct driver *device = lab_find_device(run->lab, step_text(frame, "device"));
    cJSON *event = driver_take_event(device, frame->memo);
    bool is_ready = event != NULL;
    enum progress progress = STEP_DONE;
    if (step_flag(frame, "refuses") || step_text(frame, "may_refuse") != NULL)
        progress = await_refusal(run, frame, device, is_ready);
    else if (is_ready)
        progress = check_document(run, frame, event);
    else
        progress = run_fail_if_ended(run, device, "the event ready");
    cJSON_Delete(event);
    return progress;
}

/* {"kill": "phone"}: SIGKILL. */
static enum progress step_kill(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct driver *device = run_device(run, frame, "kill");
    if (device == NULL)
        return STEP_FAILED;
    driver_kill(device);
    return STEP_DONE;
}

/* ---- tell ------------------------------------------------------------------------------------ */

/* Sends the command at first, then waits for its answer; NULL with *progress set until it is there.
 * What is wrong with the answer fails the run. */
static cJSON *ask(struct run *run, struct frame *frame, struct driver *device, cJSON *command,
                  enum progress *progress) {
    if (frame->memo == NULL)
        frame->memo = cJSON_CreateNumber(driver_tell(device, command));
    cJSON_Delete(command);
    cJSON *answer = driver_take_answer(device, frame->memo->valuedouble);
    if (answer == NULL)
        *progress = run_fail_if_ended(run, device, "an answer");
    return answer;
}

static bool is_unsupported(const cJSON *answer) {
    const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "code"));
    return code != NULL && strcmp(code, "unsupported") == 0;
}

/* {"tell": {"cmd": "connect"}, "to": "phone", "answer": {"ok": true}}. */
static enum progress step_tell(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    enum progress progress = STEP_DONE;
    struct driver *device = run_device(run, frame, "to");
    const cJSON *wanted = step_member(frame, "answer");
    if (device == NULL)
        return STEP_FAILED;
    cJSON *answer =
        ask(run, frame, device, cJSON_Duplicate(step_member(frame, "tell"), true), &progress);
    if (answer == NULL)
        return progress;
    cJSON *expected =
        wanted != NULL ? cJSON_Duplicate(wanted, true) : cJSON_Parse("{\"ok\": true}");
    progress = wanted == NULL && is_unsupported(answer)
                   ? run_unsupported(run, "the driver does not know the command")
                   : run_compare(run, expected, answer, "the answer");
    cJSON_Delete(expected);
    cJSON_Delete(answer);
    return progress;
}

/* {"stop": "phone"}: the command, its answer, and status 0. */
static enum progress step_stop(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct driver *device = run_device(run, frame, "stop");
    if (device == NULL)
        return STEP_FAILED;
    if (frame->memo == NULL) {
        cJSON *command = cJSON_Parse("{\"cmd\": \"stop\"}");
        frame->memo = cJSON_CreateNumber(driver_tell(device, command));
        cJSON_Delete(command);
    }
    if (device->pid != 0)
        return run_wait_for(run, "the end of %s", device->name);
    if (device->ended == NULL || strcmp(device->ended, "exit status 0") != 0)
        return run_fail(run, NULL, "%s ended with %s after stop", device->name,
                        device->ended != NULL ? device->ended : "a kill");
    return run_checked(run);
}

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
static cJSON *make_additions(struct run *run, const struct frame *frame) {
    uint8_t actor[ACTOR_BYTES];
    char hex[2 * ACTOR_BYTES + 1];
    cJSON *command = cJSON_CreateObject();
    cJSON_AddStringToObject(command, "cmd", "add");
    cJSON *changes = cJSON_AddArrayToObject(command, "changes");
    entropy_fill(&run->entropy, actor, sizeof actor);
    for (size_t i = 0; i < sizeof actor; i++)
        snprintf(hex + 2 * i, 3, "%02x", actor[i]);
    for (size_t i = 0; i < names_len(step_member(frame, "add")); i++) {
        size_t len = plain_bytes(run, frame);
        uint8_t *plain = memory_take(len);
        entropy_fill(&run->entropy, plain, len);
        char *text = base64url_encode(plain, len);
        cJSON *change = cJSON_CreateObject();
        cJSON_AddStringToObject(change, "actor", hex);
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
        cJSON *command = make_additions(run, frame);
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

/* ---- event, told, holds ---------------------------------------------------------------------- */

/* {"event": {"event": "conflict", "id": "$a.id"}, "of": "phone"}: the next event that matches. */
static enum progress step_event(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    struct driver *device = run_device(run, frame, "of");
    if (device == NULL)
        return STEP_FAILED;
    cJSON *event = driver_take_event(device, step_member(frame, "event"));
    if (event != NULL) {
        enum progress progress = run_compare(run, step_member(frame, "event"), event, "the event");
        cJSON_Delete(event);
        return progress;
    }
    char *wanted = match_brief(step_member(frame, "event"));
    enum progress progress = run_fail_if_ended(run, device, wanted);
    free(wanted);
    return progress;
}

/* {"told": {"conflict": 1, "fault": 0}, "of": "phone"}: how often it told these in this life, up to
 * the answer to `state`; "state" is what that must be. */
static enum progress step_told(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    enum progress progress = STEP_DONE;
    const cJSON *wanted;
    struct driver *device = run_device(run, frame, "of");
    const cJSON *state = step_member(frame, "state");
    if (device == NULL)
        return STEP_FAILED;
    cJSON *answer = ask(run, frame, device, cJSON_Parse("{\"cmd\": \"state\"}"), &progress);
    if (answer == NULL)
        return progress;
    cJSON *counted = cJSON_CreateObject();
    cJSON_ArrayForEach(wanted, step_member(frame, "told")) {
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(device->counts, wanted->string);
        cJSON_AddNumberToObject(counted, wanted->string,
                                cJSON_IsNumber(number) ? number->valuedouble : 0);
    }
    progress = run_compare(run, step_member(frame, "told"), counted, "what the device told");
    if (progress == STEP_DONE && state != NULL)
        progress = run_compare(run, state, answer, "the state");
    cJSON_Delete(counted);
    cJSON_Delete(answer);
    return progress;
}

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
    cJSON *answer = ask(run, frame, device, cJSON_Parse("{\"cmd\": \"replay\"}"), &progress);
    if (answer == NULL)
        return progress;
    if (is_unsupported(answer)) {
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

const struct step_kind STEPS_DEVICE[] = {
    {"device", step_device, false}, {"kill", step_kill, false},   {"stop", step_stop, false},
    {"tell", step_tell, false},     {"add", step_add, false},     {"event", step_event, false},
    {"told", step_told, false},     {"holds", step_holds, false}, {NULL, NULL, false}};
