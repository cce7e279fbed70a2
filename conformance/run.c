#include "conformance/run.h"

#include "conformance/clock.h"
#include "conformance/duty.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/printable.h"
#include "conformance/process.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_TABLES_LEN = 8, PORTION_MS = 1 };
static const struct step_kind *const STEP_TABLES[STEP_TABLES_LEN] = {
    STEPS_CONNECTION, STEPS_WIRE,    STEPS_SYNC,   STEPS_FLOW,
    STEPS_HISTORY,    STEPS_REPLICA, STEPS_DEVICE, STEPS_HOST};

/* ---- Verdicts -------------------------------------------------------------------------------- */

/* The scenario's own step that is under way, even from inside a parallel one. */
static const cJSON *current_step(const struct run *run) {
    return run->task.depth > 0 ? run->task.stack[0].raw : NULL;
}

static const struct step_kind *find_kind(const char *verb) {
    for (size_t i = 0; i < STEP_TABLES_LEN; i++)
        for (const struct step_kind *kind = STEP_TABLES[i]; kind->verb != NULL; kind++)
            if (strcmp(kind->verb, verb) == 0)
                return kind;
    return NULL;
}

/* The innermost step that is written in the scenario: what a step holds is, what a helper plays in
 * its own place is not. */
static const cJSON *written_step(const struct run *run) {
    const struct task *task = run->current;
    if (task == NULL || task->depth == 0)
        return current_step(run);
    size_t i = 0;
    while (i + 1 < task->depth && find_kind(task->stack[i].raw->child->string)->lazy)
        i++;
    return task->stack[i].raw;
}

static const char *own_citation(const struct frame *frame) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(frame->raw, "requirement"));
}

static const char *usual_citation(const struct frame *frame, const char *pointer) {
    const struct citation *usual = frame->usual;
    while (usual != NULL && usual->pointer != NULL && strcmp(usual->pointer, pointer) != 0)
        usual++;
    return usual != NULL ? usual->requirement : NULL;
}

/* The innermost citation wins, then what a step usually breaks at `pointer`. */
static const char *cited_requirement(const struct run *run, const char *pointer) {
    const char *usual = NULL;
    for (const struct task *task = run->current; task != NULL; task = task->parent) {
        for (size_t i = task->depth; i > 0; i--) {
            const struct frame *frame = &task->stack[i - 1];
            if (own_citation(frame) != NULL)
                return own_citation(frame);
            usual = usual != NULL ? usual : usual_citation(frame, pointer);
        }
    }
    return usual != NULL ? usual
                         : cJSON_GetStringValue(cJSON_GetArrayItem(run->scenario->requirements, 0));
}

static unsigned line_of_step(const struct run *run) {
    const cJSON *step = current_step(run);
    return step != NULL ? scenario_line(run->scenario, step) : 0;
}

static void conclude(struct run *run, enum verdict_status status, const char *requirement,
                     char *message) {
    struct verdict *verdict = &run->verdict;
    if (verdict->message != NULL) { /* the first fault is the verdict */
        free(message);
        return;
    }
    if (requirement == NULL)
        requirement = cited_requirement(run, "");
    verdict->status = status;
    verdict->message = printable_copy(message);
    free(message);
    if (status == VERDICT_FAIL && requirement != NULL)
        verdict->requirement = memory_copy_text(requirement);
    verdict->line = line_of_step(run);
    if (written_step(run) != NULL)
        verdict->step = match_brief(written_step(run));
}

enum progress run_fail(struct run *run, const char *requirement, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    conclude(run, VERDICT_FAIL, requirement, memory_format_list(format, arguments));
    va_end(arguments);
    return STEP_FAILED;
}

static void add_values(struct run *run, const cJSON *expected, const cJSON *received,
                       const char *pointer) {
    struct verdict *verdict = &run->verdict;
    if (verdict->expected == NULL && expected != NULL)
        verdict->expected = match_brief(expected);
    if (verdict->received == NULL && received != NULL)
        verdict->received = match_brief(received);
    if (verdict->pointer == NULL && pointer != NULL)
        verdict->pointer = memory_copy_text(pointer);
}

enum progress run_fail_values(struct run *run, const cJSON *expected, const cJSON *received,
                              const char *message) {
    run_fail(run, NULL, "%s", message);
    add_values(run, expected, received, NULL);
    return STEP_FAILED;
}

enum progress run_compare(struct run *run, const cJSON *expected, const cJSON *received,
                          const char *what) {
    struct match_fault fault;
    cJSON *saved = cJSON_CreateObject();
    if (match_value(expected, received, saved, &fault)) {
        run_keep(run, saved);
        cJSON_Delete(saved);
        return run_checked(run);
    }
    run_fail(run, cited_requirement(run, fault.pointer), "%s differs%s%s: %s", what,
             *fault.pointer != '\0' ? " at " : "", fault.pointer, fault.text);
    add_values(run, expected, received, fault.pointer);
    match_fault_fini(&fault);
    cJSON_Delete(saved);
    return STEP_FAILED;
}

enum progress run_fail_closed(struct run *run, const struct connection *connection,
                              const char *meanwhile) {
    char *how = connection_describe_ending(connection);
    run_fail(run, NULL, "%s was %s while %s was expected", connection->name, how, meanwhile);
    free(how);
    return STEP_FAILED;
}

enum progress run_unsupported(struct run *run, const char *why) {
    conclude(run, VERDICT_UNSUPPORTED, NULL, memory_copy_text(why));
    return STEP_FAILED;
}

enum progress run_untestable(struct run *run, const char *why) {
    conclude(run, VERDICT_UNTESTABLE, NULL, memory_copy_text(why));
    return STEP_FAILED;
}

enum progress run_broken(struct run *run, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    conclude(run, VERDICT_HARNESS_ERROR, NULL, memory_format_list(format, arguments));
    va_end(arguments);
    return STEP_FAILED;
}

enum progress run_wait_for(struct run *run, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    free(run->waits_for);
    run->waits_for = memory_format_list(format, arguments);
    va_end(arguments);
    return STEP_WAITS;
}

enum progress run_checked(struct run *run) {
    run->verdict.checks++;
    return STEP_DONE;
}

/* ---- Members and names ----------------------------------------------------------------------- */

const cJSON *step_member(const struct frame *frame, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(frame->step, name);
}

const char *step_text(const struct frame *frame, const char *name) {
    return cJSON_GetStringValue(step_member(frame, name));
}

double step_number(const struct frame *frame, const char *name, double otherwise) {
    const cJSON *member = step_member(frame, name);
    return cJSON_IsNumber(member) ? member->valuedouble : otherwise;
}

bool step_flag(const struct frame *frame, const char *name) {
    return cJSON_IsTrue(step_member(frame, name));
}

struct connection *run_find_connection(const struct run *run, const char *name) {
    for (size_t i = 0; i < run->connections_len; i++)
        if (strcmp(run->connections[i]->name, name) == 0)
            return run->connections[i];
    return NULL;
}

struct connection *run_connection(struct run *run, const struct frame *frame, const char *member) {
    const char *name = step_text(frame, member);
    struct connection *connection = name != NULL ? run_find_connection(run, name) : NULL;
    if (connection == NULL)
        run_broken(run, "there is no connection \"%s\"", name != NULL ? name : "");
    return connection;
}

void run_add_connection(struct run *run, struct connection *connection) {
    for (size_t i = 0; i < run->connections_len; i++) {
        if (strcmp(run->connections[i]->name, connection->name) == 0) {
            connection_free(run->connections[i]);
            run->connections[i] = connection;
            return;
        }
    }
    if (run->connections_len == RUN_CONNECTIONS_MAX) {
        run_broken(run, "more than %d connections", RUN_CONNECTIONS_MAX);
        connection_free(connection);
        return;
    }
    run->connections[run->connections_len++] = connection;
}

void run_keep(struct run *run, cJSON *saved) {
    while (saved->child != NULL) {
        cJSON *value = cJSON_DetachItemViaPointer(saved, saved->child);
        value_set(&run->scope, value->string, value);
    }
}

/* ---- Time ------------------------------------------------------------------------------------ */

static int64_t patience_us(const struct run *run) {
    return (int64_t)run->timeout_ms * 1000;
}

static void note_progress(struct run *run) {
    run->deadline_us = clock_now_us() + patience_us(run);
}

void run_renew(struct run *run) {
    note_progress(run);
    run->end_us = clock_now_us() + patience_us(run) * RUN_PATIENCES;
}

void run_let_pass(struct run *run, int64_t until_us) {
    run->wakes_us = until_us;
    if (run->deadline_us < until_us + patience_us(run))
        run->deadline_us = until_us + patience_us(run);
}

/* A server that is slow is not at fault, one that says nothing is; and nobody may take for ever. */
static bool is_in_time(struct run *run) {
    const char *what = run->waits_for != NULL ? run->waits_for : "an event";
    if (clock_left_ms(run->deadline_us) == 0)
        run_fail(run, NULL, "waited %.1f s in vain for %s", run->timeout_ms / 1000.0, what);
    else if (clock_left_ms(run->end_us) == 0)
        run_fail(run, NULL, "took more than %.1f s, %d times --timeout, and now waits for %s",
                 run->timeout_ms / 1000.0 * RUN_PATIENCES, RUN_PATIENCES, what);
    else
        return true;
    return false;
}

/* What never waits is not ended by that. A step may take its time, a loop of them may not. */
static bool is_endless(struct run *run) {
    enum { STEPS_LEAST = 1000 };
    if (++run->steps < STEPS_LEAST || clock_now_us() - run->waited_us < patience_us(run))
        return false;
    run_broken(run, "%u steps without anything to wait for took more than --timeout, %.1f s",
               run->steps, run->timeout_ms / 1000.0);
    return true;
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

static void task_fini(struct task *task);

static void end_step(struct frame *frame) {
    cJSON_Delete(frame->step);
    cJSON_Delete(frame->memo);
    for (size_t i = 0; i < frame->tasks_len; i++)
        task_fini(&frame->tasks[i]);
    free(frame->tasks);
    frame->step = frame->memo = NULL;
    frame->usual = NULL;
    frame->tasks = NULL;
    frame->tasks_len = 0;
}

static void pop_frame(struct task *task) {
    struct frame *frame = &task->stack[--task->depth];
    end_step(frame);
    cJSON_Delete(frame->owned);
    *frame = (struct frame){0};
}

void task_begin(struct task *task, const struct task *parent, const cJSON *steps) {
    *task = (struct task){.depth = 1, .parent = parent};
    task->stack[0] = (struct frame){.steps = steps, .raw = steps->child};
}

static void task_fini(struct task *task) {
    while (task->depth > 0)
        pop_frame(task);
}

enum progress run_expand(struct run *run, struct task *task, cJSON *steps) {
    if (task->depth == RUN_DEPTH_MAX) {
        cJSON_Delete(steps);
        return run_broken(run, "steps nest deeper than %d", RUN_DEPTH_MAX);
    }
    task->stack[task->depth++] =
        (struct frame){.steps = steps, .owned = steps, .raw = steps->child};
    return STEP_DONE;
}

/* Until a line comes from standard input, or its end; the time does not count. */
static void pause_run(struct run *run) {
    int64_t start_us = clock_now_us();
    char *step = match_brief(written_step(run));
    fprintf(stderr, "before %s:%u  %s\n", run->scenario->path, run->pause_before, step);
    if (run->target != NULL && target_pid(run->target) > 0)
        fprintf(stderr, "the server is process %d, ", (int)target_pid(run->target));
    for (size_t i = 0; run->lab != NULL && i < run->lab->devices_len; i++)
        fprintf(stderr, "%s is process %d, ", run->lab->devices[i]->name,
                (int)run->lab->devices[i]->pid);
    fprintf(stderr, "at %s: Enter goes on ",
            run->lab != NULL ? run->lab->authority : target_url(run->target)->authority);
    free(step);
    run->pause_before = 0;
    for (int ch = 0; ch != '\n' && ch != EOF;)
        ch = getchar();
    int64_t paused_us = clock_now_us() - start_us;
    run->deadline_us += paused_us;
    run->waited_us += paused_us;
    run->end_us += paused_us;
}

static bool begin_step(struct run *run, struct frame *frame, const struct step_kind *kind) {
    char *error = NULL;
    frame->step = kind->lazy ? cJSON_Duplicate(frame->raw, true)
                             : value_evaluate(&run->scope, frame->raw, &error);
    if (frame->step == NULL)
        run_broken(run, "%s", error);
    free(error);
    return frame->step != NULL;
}

/* One call of the current step. A step that pushed a frame is called again when that is over. */
static enum progress advance_step(struct run *run, struct task *task) {
    struct frame *frame = &task->stack[task->depth - 1];
    const struct step_kind *kind = find_kind(frame->raw->child->string);
    if (kind == NULL)
        return run_broken(run, "unknown step \"%s\"", frame->raw->child->string);
    if (run->pause_before > 0 && frame->step == NULL && line_of_step(run) == run->pause_before)
        pause_run(run);
    if (frame->step == NULL && !begin_step(run, frame, kind))
        return STEP_FAILED;
    size_t depth = task->depth;
    enum progress progress = kind->advance(run, task, frame);
    if (progress == STEP_DONE && task->depth == depth) {
        end_step(frame);
        frame->raw = frame->raw->next;
        note_progress(run);
    }
    return progress;
}

/* What no server may do fails the run, whatever the current step is. */
static bool find_fault(struct run *run) {
    for (size_t i = 0; i < run->connections_len; i++) {
        const struct connection *connection = run->connections[i];
        if (connection->fault != NULL) {
            run_fail(run, connection->fault_requirement, "%s: %s", connection->name,
                     connection->fault);
            return true;
        }
    }
    const char *fault = run->lab != NULL ? lab_fault(run->lab) : NULL;
    if (fault != NULL)
        run_fail(run, SPEC_DRIVER, "%s", fault);
    return fault != NULL;
}

/* What breaks between connections counts once the steps have looked at what came. */
static bool find_contradiction(struct run *run) {
    const char *requirement = NULL;
    const char *fault = run->history != NULL ? history_fault(run->history, &requirement) : NULL;
    if (fault != NULL)
        run_fail(run, requirement, "%s", fault);
    return fault != NULL;
}

enum progress task_advance(struct run *run, struct task *task) {
    while (task->depth > 0) {
        run->current = task;
        if (find_fault(run) || is_endless(run))
            return STEP_FAILED;
        if (task->stack[task->depth - 1].raw == NULL) {
            pop_frame(task);
            continue;
        }
        enum progress progress = advance_step(run, task);
        if (progress != STEP_DONE)
            return progress;
    }
    return STEP_DONE;
}

/* ---- The run --------------------------------------------------------------------------------- */

/* Waits until some connection can move bytes, and moves them. */
static bool wait_and_move(struct run *run) {
    struct pollfd fds[RUN_CONNECTIONS_MAX + LAB_DEVICES_MAX + 2];
    struct connection *polled[RUN_CONNECTIONS_MAX];
    nfds_t len = 0;
    bool looks_again = false;
    for (size_t i = 0; i < run->connections_len; i++) {
        short events = connection_events(run->connections[i]);
        bool awaits_turn = connection_is_awaiting_turn(run->connections[i]);
        looks_again = looks_again || awaits_turn;
        if (events == 0 && !awaits_turn)
            continue;
        polled[len] = run->connections[i];
        fds[len] = (struct pollfd){.fd = stream_fd(polled[len]->stream), .events = events};
        len++;
    }
    fds[len] =
        (struct pollfd){.fd = run->awaits_end ? target_fd(run->target) : -1, .events = POLLIN};
    nfds_t all = len + 1 + (run->lab != NULL ? lab_poll(run->lab, fds + len + 1) : 0);
    int64_t wakes_us = run->end_us < run->deadline_us ? run->end_us : run->deadline_us;
    if (run->wakes_us != 0 && run->wakes_us < wakes_us)
        wakes_us = run->wakes_us;
    if (looks_again && clock_left_ms(wakes_us) > PORTION_MS)
        wakes_us = clock_now_us() + (int64_t)PORTION_MS * 1000;
    run->wakes_us = 0;
    run->awaits_end = false;
    int ready = poll(fds, all, clock_left_ms(wakes_us));
    run->waited_us = clock_now_us();
    run->steps = 0;
    if (process_interrupted() != 0) {
        run_broken(run, "interrupted");
        return false;
    }
    if (ready > 0)
        note_progress(run);
    for (nfds_t i = 0; i < len; i++)
        if (fds[i].revents != 0 || connection_is_awaiting_turn(polled[i]))
            connection_service(polled[i]);
    if (run->lab != NULL)
        lab_service(run->lab);
    return is_in_time(run);
}

/* What the server printed is for people who need not know everything. */
static void search_log(struct run *run) {
    const char *requirement = NULL;
    char *log = target_log(run->target);
    const char *leak = confidence_find(&run->confidence, log, &requirement);
    if (leak != NULL)
        run_fail(run, requirement, "the server wrote to its log what must never be there: %s",
                 leak);
    free(log);
}

/* What clients left behind: nobody else may read secrets in it. */
static void search_remains(struct run *run) {
    const char *leak = run->lab != NULL ? lab_find_leak(run->lab) : NULL;
    char *exposed = run->lab != NULL ? lab_find_exposed(run->lab) : NULL;
    if (exposed != NULL)
        run_fail(run, DUTY("ASP-SEC-1"), "other users can read a file with the document secret: %s",
                 exposed);
    free(exposed);
    if (leak != NULL)
        run_fail(run, DUTY("ASP-SEC-2"), "the client wrote to its log what must never be there: %s",
                 leak);
}

static bool is_about_handshakes(const struct scenario *scenario) {
    const cJSON *step;
    cJSON_ArrayForEach(step, cJSON_GetObjectItem(scenario->json, "steps")) {
        if (strcmp(step->child->string, "connect") != 0)
            return false;
    }
    return true;
}

/* A scenario that ends without having looked at anything has not passed. */
static void check_substance(struct run *run) {
    if (run->verdict.checks == 0)
        run_broken(run, "the scenario checked nothing");
    else if (run->verdict.checks == run->handshakes && !is_about_handshakes(run->scenario))
        run_broken(run, "the scenario checked nothing but handshakes");
}

static void play(struct run *run) {
    enum progress progress;
    while ((progress = task_advance(run, &run->task)) == STEP_WAITS) {
        if (find_contradiction(run) || !wait_and_move(run))
            return;
    }
    if (progress == STEP_DONE && !find_fault(run) && !find_contradiction(run))
        check_substance(run);
    search_remains(run);
    if (run->target != NULL)
        search_log(run);
}

static void add_evidence(struct run *run) {
    run->verdict.ms = (double)(clock_now_us() - run->transcript.start_us) / 1000;
    if (run->verdict.status == VERDICT_PASS && !run->keeps_transcripts)
        return;
    if (run->owns_server && run->verdict.status != VERDICT_PASS) {
        char *death = target_describe_death(run->target);
        if (death != NULL)
            transcript_add(&run->transcript, "server", TRANSCRIPT_EVENT, "ended with %s", death);
        free(death);
        run->verdict.server_log = target_log_tail(run->target);
    }
    if (run->lab != NULL && run->lab->devices_len > 0 && run->verdict.status != VERDICT_PASS)
        run->verdict.server_log = driver_log_tail(run->lab->devices[0]);
    run->verdict.transcript = transcript_tail(
        &run->transcript,
        run->verdict.status == VERDICT_PASS ? RUN_TRANSCRIPT_LINES_PASSED : RUN_TRANSCRIPT_LINES,
        &run->verdict.omitted);
}

static void run_fini(struct run *run) {
    task_fini(&run->task);
    for (size_t i = 0; i < run->connections_len; i++)
        connection_free(run->connections[i]);
    cJSON_Delete(run->scope.variables);
    lab_free(run->lab);
    history_free(run->history);
    confidence_fini(&run->confidence);
    target_free(run->second);
    transcript_fini(&run->transcript);
    free(run->waits_for);
}

struct verdict run_scenario(const struct scenario *scenario, const struct run_options *options) {
    struct run *run = memory_take(sizeof *run);
    run->scenario = scenario;
    run->spec = options->spec;
    run->target = options->target;
    run->owns_server = options->owns_server;
    run->timeout_ms = options->timeout_ms;
    run->keeps_transcripts = options->keeps_transcripts;
    run->pause_before = options->pause_before;
    run->waited_us = clock_now_us();
    run_renew(run);
    entropy_init(&run->entropy, options->seed, scenario->name);
    run->scope =
        (struct scope){.variables = cJSON_CreateObject(),
                       .entropy = &run->entropy,
                       .is_lasting = options->target != NULL && target_pid(options->target) == 0};
    transcript_init(&run->transcript);
    task_begin(&run->task, NULL, cJSON_GetObjectItem(scenario->json, "steps"));
    char *error = NULL;
    if (options->driver == NULL)
        run->history = history_new();
    else
        run->lab = lab_new(options->driver, options->folder, &error);
    if (error != NULL)
        run_broken(run, "%s", error);
    else
        play(run);
    free(error);
    add_evidence(run);
    run_fini(run);
    struct verdict verdict = run->verdict;
    free(run);
    return verdict;
}
