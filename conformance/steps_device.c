/* Steps on clients under test: their lives, what they are told, what they say and hold. */
#include "conformance/clock.h"
#include "conformance/duty.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/message.h"
#include "conformance/process.h"
#include "conformance/run.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ACTOR_BYTES = 16 };

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

/* One for all lives of a device: where a client repeats a UUID it repeats an id. */
static char *make_actor(struct run *run) {
    uint8_t actor[ACTOR_BYTES];
    char *hex = memory_take(2 * sizeof actor + 1);
    entropy_fill(&run->entropy, actor, sizeof actor);
    sodium_bin2hex(hex, 2 * sizeof actor + 1, actor, sizeof actor);
    return hex;
}

/* Each has a folder of its own, so that one can be made anew under the same name. */
static bool make_device(struct run *run, const struct frame *frame, const cJSON *document) {
    const char *secret = cJSON_GetObjectItem(document, "secret")->valuestring;
    char *folder = memory_format("%s/%u", run->lab->folder, run->lab->devices_made++);
    char *url = url_for(run, frame);
    char *actor = make_actor(run);
    const struct driver_options options = {.name = step_text(frame, "device"),
                                           .command = run->lab->command,
                                           .folder = folder,
                                           .key = secret,
                                           .actor = actor,
                                           .url = url,
                                           .patience_ms =
                                               (unsigned)step_number(frame, "patience_ms", 0),
                                           .patient = step_flag(frame, "patient")};
    discretion_add_secret(&run->lab->discretion, secret);
    bool ok = mkdir(folder, 0700) == 0;
    if (!ok)
        run_broken(run, "%s: %s", folder, strerror(errno));
    else if (!lab_add_device(run->lab, driver_new(&options, run->spec, &run->transcript)))
        run_broken(run, "more than %d devices", LAB_DEVICES_MAX);
    free(actor);
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

static double send(struct driver *device, const cJSON *command) {
    if (!cJSON_IsString(command))
        return driver_tell(device, command);
    driver_tell_text(device, command->valuestring);
    return 0;
}

/* Sends a command, {"cmd": ...} or a text that is none; else as run_ask_simply. */
static cJSON *ask(struct run *run, struct frame *frame, struct driver *device, const cJSON *command,
                  enum progress *progress) {
    if (frame->memo == NULL)
        frame->memo = cJSON_CreateNumber(send(device, command));
    cJSON *answer = driver_take_answer(device, frame->memo->valuedouble);
    if (answer == NULL)
        *progress = run_fail_if_ended(run, device, "an answer");
    return answer;
}

cJSON *run_ask_simply(struct run *run, struct frame *frame, struct driver *device, const char *name,
                      enum progress *progress) {
    cJSON *command = cJSON_CreateObject();
    cJSON_AddStringToObject(command, "cmd", name);
    cJSON *answer = ask(run, frame, device, command, progress);
    cJSON_Delete(command);
    return answer;
}

bool run_is_unsupported(const cJSON *answer) {
    const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "code"));
    return code != NULL && strcmp(code, "unsupported") == 0;
}

/* {"tell": {"cmd": "connect"}, "to": "phone", "answer": {"ok": true}}; a text is a line that is no
 * command. */
static enum progress step_tell(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    enum progress progress = STEP_DONE;
    struct driver *device = run_device(run, frame, "to");
    const cJSON *wanted = step_member(frame, "answer");
    if (device == NULL)
        return STEP_FAILED;
    cJSON *answer = ask(run, frame, device, step_member(frame, "tell"), &progress);
    if (answer == NULL)
        return progress;
    cJSON *expected =
        wanted != NULL ? cJSON_Duplicate(wanted, true) : cJSON_Parse("{\"ok\": true}");
    progress = wanted == NULL && run_is_unsupported(answer)
                   ? run_unsupported(run, "the driver does not know the command")
                   : run_compare(run, expected, answer, "the answer");
    cJSON_Delete(expected);
    cJSON_Delete(answer);
    return progress;
}

/* {"stop": "phone"}: the command, its answer, and status 0; or "at": "end-of-input". */
static enum progress step_stop(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    enum progress progress = STEP_DONE;
    struct driver *device = run_device(run, frame, "stop");
    bool hangs_up = step_text(frame, "at") != NULL;
    if (device == NULL)
        return STEP_FAILED;
    if (hangs_up)
        driver_hang_up(device);
    else if (!cJSON_IsTrue(frame->memo)) {
        cJSON *answer = run_ask_simply(run, frame, device, "stop", &progress);
        if (answer == NULL)
            return progress;
        if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok")))
            progress = run_fail_values(run, NULL, answer, "it does not stop");
        cJSON_Delete(answer);
        cJSON_Delete(frame->memo);
        frame->memo = cJSON_CreateTrue();
    }
    if (progress != STEP_DONE)
        return progress;
    if (device->pid != 0)
        return run_wait_for(run, "the end of %s", device->name);
    if (device->ended == NULL || strcmp(device->ended, "exit status 0") != 0)
        return run_fail(run, NULL, "%s ended with %s after %s", device->name,
                        device->ended != NULL ? device->ended : "a kill",
                        hangs_up ? "the end of its input" : "stop");
    return run_checked(run);
}

/* ---- event, told ---------------------------------------------------------------------------- */

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
    cJSON *answer = run_ask_simply(run, frame, device, "state", &progress);
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

const struct step_kind STEPS_DEVICE[] = {{"device", step_device, false},
                                         {"kill", step_kill, false},
                                         {"stop", step_stop, false},
                                         {"tell", step_tell, false},
                                         {"event", step_event, false},
                                         {"told", step_told, false},
                                         {NULL, NULL, false}};
