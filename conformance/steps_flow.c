/* Steps around the messages: the server's process, variables, repetition, parallel branches. */
#include "conformance/clock.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/run.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_START_MS = 3000 };

enum { LOOK_AGAIN_MS = 10 };

/* ---- server ---------------------------------------------------------------------------------- */

static enum progress await_end(struct run *run, struct frame *frame) {
    if (frame->memo == NULL && !target_terminate(run->target))
        return run_broken(run, "the server is not running");
    frame->memo = frame->memo != NULL ? frame->memo : cJSON_CreateTrue();
    char *how = target_describe_death(run->target);
    if (how == NULL) {
        run->awaits_end = true; /* of the shell; of what else there is nobody tells */
        run->wakes_us = clock_now_us() + (int64_t)LOOK_AGAIN_MS * 1000;
        return run_wait_for(run, "the server's end after SIGTERM");
    }
    enum progress progress = run_checked(run);
    transcript_add(&run->transcript, "server", TRANSCRIPT_EVENT, "ended with %s", how);
    history_stopped(run->history);
    if (strcmp(how, "exit status 0") != 0)
        progress = run_fail(run, NULL, "the server ended with %s after SIGTERM", how);
    free(how);
    return progress;
}

static enum progress kill_server(struct run *run) {
    char *error = NULL;
    if (!target_kill(run->target, &error)) {
        run_broken(run, "%s", error);
        free(error);
        return STEP_FAILED;
    }
    transcript_add(&run->transcript, "server", TRANSCRIPT_EVENT, "killed");
    history_killed(run->history);
    return STEP_DONE;
}

static enum progress start_server(struct run *run, const struct frame *frame) {
    char *error = NULL;
    for (int i = 0; i < TARGET_SETTINGS; i++) {
        const cJSON *value = step_member(frame, target_setting_names[i]);
        if (value != NULL)
            target_set(run->target, (enum target_setting)i, (uint64_t)value->valuedouble);
    }
    const char *token = step_text(frame, "token");
    if (token != NULL)
        confidence_add_token(&run->confidence, token);
    if (token != NULL && !target_demand(run->target, token, &error)) {
        run_broken(run, "%s", error);
        free(error);
        return STEP_FAILED;
    }
    double file_bytes = step_number(frame, "file_bytes", 0);
    target_limit_files(run->target, (uint64_t)file_bytes);
    if (!target_start(run->target, run->deadline_us, &error)) {
        if (file_bytes > 0)
            run_unsupported(run, "the server does not start where its files may not grow");
        else
            run_fail(run, NULL, "the server did not start again: %s", error);
        free(error);
        return STEP_FAILED;
    }
    transcript_add(&run->transcript, "server", TRANSCRIPT_EVENT, "started");
    return STEP_DONE;
}

/* "save" becomes "refused" when it does not get as far as to accept connections, or "shares". */
static enum progress start_second(struct run *run, const struct frame *frame) {
    char *error = NULL;
    int64_t deadline_us = clock_now_us() + (int64_t)SECOND_START_MS * 1000;
    struct target *second = target_twin(run->target, &error);
    if (second == NULL) {
        run_unsupported(run, error);
        free(error);
        return STEP_FAILED;
    }
    bool shares = target_start(second, deadline_us, &error);
    transcript_add(&run->transcript, "server", TRANSCRIPT_EVENT, "a second one on the same data %s",
                   shares ? "accepts connections" : error);
    value_set(&run->scope, step_text(frame, "save"),
              cJSON_CreateString(shares ? "shares" : "refused"));
    if (shares)
        run->second = second;
    else
        target_free(second);
    free(error);
    return STEP_DONE;
}

static enum progress move_data(struct run *run, const struct frame *frame, bool save) {
    char *error = NULL;
    const char *name = step_text(frame, "as");
    bool ok =
        save ? target_save(run->target, name, &error) : target_restore(run->target, name, &error);
    if (ok && save)
        history_saved(run->history, name);
    else if (ok)
        history_restored(run->history, name);
    if (ok)
        transcript_add(&run->transcript, "server", TRANSCRIPT_EVENT, "data %s as \"%s\"",
                       save ? "saved" : "restored", name);
    else
        run_broken(run, "%s", error);
    free(error);
    return ok ? STEP_DONE : STEP_FAILED;
}

/* {"server": "kill" | "stop" | "start" | "save" | "restore", "as": "name"}, and settings when it
 * starts; or {"server": "second", "save": "how"}: the same command once more. */
static enum progress step_server(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const char *action = step_text(frame, "server");
    if (!run->owns_server)
        return run_broken(run, "a scenario with server steps must say \"needs\": [\"exec\"]");
    if (strcmp(action, "stop") == 0)
        return await_end(run, frame);
    if (strcmp(action, "kill") == 0)
        return kill_server(run);
    if (strcmp(action, "start") == 0)
        return start_server(run, frame);
    if (strcmp(action, "second") == 0)
        return start_second(run, frame);
    return move_data(run, frame, strcmp(action, "save") == 0);
}

/* {"memory": "before"}: $before is how many bytes of memory the server holds now. */
static enum progress step_memory(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    if (!run->owns_server)
        return run_broken(run, "a scenario with memory steps must say \"needs\": [\"exec\"]");
    double bytes = (double)target_memory(run->target);
    transcript_add(&run->transcript, "server", TRANSCRIPT_EVENT, "holds %.0f bytes of memory",
                   bytes);
    value_set(&run->scope, step_text(frame, "memory"), cJSON_CreateNumber(bytes));
    return STEP_DONE;
}

/* ---- Variables ------------------------------------------------------------------------------- */

/* {"let": {"name": value}}. */
static enum progress step_let(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    cJSON *values = cJSON_Duplicate(step_member(frame, "let"), true);
    run_keep(run, values);
    cJSON_Delete(values);
    return STEP_DONE;
}

/* {"check": value, "is": expected}. */
static enum progress step_check(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    return run_compare(run, step_member(frame, "is"), step_member(frame, "check"), "the value");
}

/* ---- repeat, if, parallel -------------------------------------------------------------------- */

static cJSON *evaluate_times(struct run *run, const struct frame *frame) {
    char *error = NULL;
    cJSON *times = value_evaluate(&run->scope, step_member(frame, "repeat"), &error);
    if (times == NULL || !cJSON_IsNumber(times))
        run_broken(run, "repeat: %s", error != NULL ? error : "a number was expected");
    free(error);
    return times;
}

/* Whether what "until" names has become true; without one never. */
static bool is_reached(struct run *run, const struct frame *frame) {
    const cJSON *until = step_member(frame, "until");
    char *error = NULL;
    cJSON *value = until != NULL ? value_evaluate(&run->scope, until, &error) : NULL;
    bool is_true = cJSON_IsTrue(value);
    if (error != NULL)
        run_broken(run, "until: %s", error);
    cJSON_Delete(value);
    free(error);
    return is_true;
}

/* {"repeat": 3, "as": "i", "steps": [...]}: "$i" counts from 0; with "until", no further time once
 * that is true, as it has to become. */
static enum progress step_repeat(struct run *run, struct task *task, struct frame *frame) {
    const char *counter = step_text(frame, "as");
    cJSON *times = evaluate_times(run, frame);
    double done = frame->memo != NULL ? frame->memo->valuedouble : 0;
    bool is_over = times == NULL || done >= times->valuedouble;
    bool reached = frame->memo != NULL && is_reached(run, frame);
    cJSON_Delete(times);
    if (run->verdict.message != NULL)
        return STEP_FAILED;
    if (is_over && !reached && step_member(frame, "until") != NULL)
        return run_broken(run, "repeat: %.0f times are not enough", done);
    if (is_over || reached)
        return STEP_DONE;
    if (counter != NULL)
        value_set(&run->scope, counter, cJSON_CreateNumber(done));
    cJSON_Delete(frame->memo);
    frame->memo = cJSON_CreateNumber(done + 1);
    return run_expand(run, task, cJSON_Duplicate(step_member(frame, "steps"), true));
}

/* {"if": value, "is": expected, "steps": [...]}: plays the steps only when the value matches; with
 * "else", a reason, nothing can be tested when it does not. */
static enum progress step_if(struct run *run, struct task *task, struct frame *frame) {
    char *error = NULL;
    if (frame->memo != NULL)
        return STEP_DONE;
    frame->memo = cJSON_CreateTrue();
    cJSON *value = value_evaluate(&run->scope, step_member(frame, "if"), &error);
    cJSON *expected =
        value != NULL ? value_evaluate(&run->scope, step_member(frame, "is"), &error) : NULL;
    enum progress progress = STEP_DONE;
    if (expected == NULL)
        progress = run_broken(run, "if: %s", error);
    else if (match_value(expected, value, NULL, NULL))
        progress = run_expand(run, task, cJSON_Duplicate(step_member(frame, "steps"), true));
    else if (step_text(frame, "else") != NULL)
        progress = run_untestable(run, step_text(frame, "else"));
    cJSON_Delete(value);
    cJSON_Delete(expected);
    free(error);
    return progress;
}

static void begin_branches(struct task *task, struct frame *frame) {
    const cJSON *branches = step_member(frame, "parallel");
    const cJSON *branch;
    frame->tasks = memory_take((size_t)cJSON_GetArraySize(branches) * sizeof *frame->tasks);
    cJSON_ArrayForEach(branch, branches)
        task_begin(&frame->tasks[frame->tasks_len++], task, branch);
}

/* {"parallel": [[...], [...]]}: lists of steps side by side; over when all are. */
static enum progress step_parallel(struct run *run, struct task *task, struct frame *frame) {
    enum progress all = STEP_DONE;
    if (frame->tasks == NULL)
        begin_branches(task, frame);
    for (size_t i = 0; i < frame->tasks_len; i++) {
        enum progress progress = task_advance(run, &frame->tasks[i]);
        if (progress == STEP_FAILED)
            return STEP_FAILED;
        all = progress == STEP_WAITS ? STEP_WAITS : all;
    }
    return all;
}

const struct step_kind STEPS_FLOW[] = {
    {"server", step_server, false},    {"memory", step_memory, false},
    {"let", step_let, false},          {"check", step_check, false},
    {"repeat", step_repeat, true},     {"if", step_if, true},
    {"parallel", step_parallel, true}, {NULL, NULL, false}};
