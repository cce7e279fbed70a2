#include "conformance/runner.h"

#include "conformance/clock.h"
#include "conformance/expectations.h"
#include "conformance/file.h"
#include "conformance/json_write.h"
#include "conformance/liveness.h"
#include "conformance/memory.h"
#include "conformance/process.h"
#include "conformance/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    JOBS_MAX = 64,
    DYING_MS = 1000, /* until the end of a server that answers no more can be seen */
    GRACE_MS = 5000,
    LIVES_MAX = 100,                    /* of devices in one scenario */
    PAUSE_MS_MAX = 24 * 60 * 60 * 1000, /* what a person may take over a debugger */
};

/* A scenario under way in its own process. */
struct job {
    pid_t pid;
    int fd;
    size_t index;
    int64_t deadline_us;
    struct bytes text; /* the verdict, as far as it came */
};

/* What came of a scenario, while it is not certain yet that it is at fault. */
struct outcome {
    size_t index;
    struct verdict verdict;
    bool is_known;
};

struct runner {
    const struct catalog *catalog;
    const struct spec *spec;
    struct options *options;
    struct report report;
    struct target *shared;
    char *folder;
    struct job jobs[JOBS_MAX];
    size_t jobs_len;
    struct expectations *expectations;
    size_t len;    /* of all that is to run: the scenarios, as often as they are repeated */
    size_t next;   /* to start */
    size_t told;   /* reported, in order */
    size_t probes; /* for life, each with documents of its own */
    struct verdict *verdicts;
    bool *done;
    struct outcome doubts[JOBS_MAX]; /* failures on the shared server since it was seen alive */
    size_t doubts_len;
    struct outcome *replay; /* of the one that is played alone; NULL: none */
    bool ended;             /* start no more */
};

static struct verdict plain_verdict(enum verdict_status status, char *message) {
    return (struct verdict){.status = status, .message = message};
}

static const struct scenario *scenario_at(const struct runner *runner, size_t index) {
    return runner->catalog->scenarios[index % runner->catalog->len];
}

static size_t round_of(const struct runner *runner, size_t index) {
    return index / runner->catalog->len;
}

/* ---- One scenario, in its own process -------------------------------------------------------- */

static struct run_options run_options(const struct runner *runner, struct target *target,
                                      bool owns_server, size_t round) {
    return (struct run_options){.spec = runner->spec,
                                .target = target,
                                .driver = runner->options->driver,
                                .folder = runner->folder,
                                .owns_server = owns_server,
                                .seed = runner->options->seed + round,
                                .timeout_ms = runner->options->timeout_ms,
                                .pause_before = (unsigned)runner->options->pause_before,
                                .keeps_transcripts = runner->options->keeps_transcripts};
}

static struct verdict run_with_own_server(const struct runner *runner,
                                          const struct scenario *scenario, size_t round) {
    char *error = NULL;
    int64_t deadline = clock_now_us() + (int64_t)runner->options->timeout_ms * 1000;
    struct target *target = target_new(&runner->options->target, &error);
    if (target == NULL || !target_start(target, deadline, &error)) {
        target_free(target);
        return plain_verdict(VERDICT_HARNESS_ERROR, error);
    }
    const struct run_options options = run_options(runner, target, true, round);
    struct verdict verdict = run_scenario(scenario, &options);
    target_free(target);
    return verdict;
}

static struct verdict judge(const struct runner *runner, size_t index) {
    const struct scenario *scenario = scenario_at(runner, index);
    size_t round = round_of(runner, index);
    const struct run_options options = run_options(runner, runner->shared, false, round);
    if (scenario_needs(scenario, "exec"))
        return run_with_own_server(runner, scenario, round);
    return run_scenario(scenario, &options);
}

static _Noreturn void run_in_child(const struct runner *runner, size_t index, int out) {
    process_leave_signals();
    struct verdict verdict = judge(runner, index);
    cJSON *json = verdict_to_json(&verdict);
    char *text = json_write(json);
    bool ok = process_write(out, text, strlen(text));
    free(text);
    cJSON_Delete(json);
    verdict_fini(&verdict);
    _exit(ok ? 0 : 1);
}

/* ---- The server ------------------------------------------------------------------------------ */

/* True when the one under test greets and answers. Else *death tells how a server of ours ended
 * (free it), NULL when it has not. What is wrong is told as a failed scenario, unless a death
 * explains it and a failure before, which `is_first` denies. */
static bool is_alive(struct runner *runner, enum liveness_kind kind, bool is_first, char **death) {
    char *error = NULL;
    struct scenario *scenario = liveness_scenario(kind, runner->catalog->schemas, &error);
    *death = NULL;
    if (scenario == NULL) {
        report_trouble(&runner->report, "%s", error);
        free(error);
        return false;
    }
    struct run_options options = run_options(runner, runner->shared, false, runner->probes++);
    options.pause_before = 0;
    struct verdict verdict = run_scenario(scenario, &options);
    bool alive = verdict.status == VERDICT_PASS;
    if (!alive && runner->shared != NULL)
        *death = target_await_death(runner->shared, clock_now_us() + (int64_t)DYING_MS * 1000);
    if (!alive && process_interrupted() == 0 && (*death == NULL || is_first))
        report_scenario(&runner->report, scenario, 0, &verdict);
    verdict_fini(&verdict);
    scenario_free(scenario);
    return alive;
}

static bool start_shared(struct runner *runner) {
    char *error = NULL;
    if (runner->options->driver != NULL)
        return true; /* each scenario starts its own */
    int64_t deadline = clock_now_us() + (int64_t)runner->options->timeout_ms * 1000;
    runner->shared = target_new(&runner->options->target, &error);
    bool own = runner->options->target.command != NULL;
    if (runner->shared != NULL && own && target_start(runner->shared, deadline, &error))
        return true;
    if (runner->shared != NULL && !own && target_accepts(runner->shared))
        return true;
    if (error == NULL)
        error = memory_format("nothing accepts connections at %s",
                              target_name(&runner->options->target));
    report_trouble(&runner->report, "%s", error);
    if (runner->shared != NULL) {
        char *log = target_log_tail(runner->shared);
        if (*log != '\0')
            report_trouble(&runner->report, "the server printed:\n%s", log);
        free(log);
    }
    free(error);
    return false;
}

/* How the shared server has ended since it was last seen alive; NULL when it lives, and when it is
 * silent, or not ours: then the run has ended. free() it. */
static char *examine(struct runner *runner) {
    char *death = target_describe_death(runner->shared);
    if (death == NULL && !is_alive(runner, LIVENESS_ANSWERS, false, &death))
        runner->ended = death == NULL;
    if (death == NULL)
        return NULL;
    char *log = target_log_tail(runner->shared);
    char *text = memory_format("the server ended with %s; it printed:\n%s", death, log);
    free(death);
    free(log);
    return text;
}

static void replace_shared(struct runner *runner) {
    target_free(runner->shared);
    runner->ended = !start_shared(runner);
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

static bool is_shared(const struct runner *runner, size_t index) {
    return runner->options->driver == NULL && !scenario_needs(scenario_at(runner, index), "exec");
}

/* NULL when it can run here, else what of its needs there is none of. */
static const char *find_lack(const struct runner *runner, const struct scenario *scenario) {
    const char *driver = runner->options->driver;
    const char *command = driver != NULL ? driver : runner->options->target.command;
    const cJSON *need;
    cJSON_ArrayForEach(need, cJSON_GetObjectItem(scenario->json, "needs")) {
        bool is_exec = strcmp(need->valuestring, "exec") == 0;
        if (command == NULL || (!is_exec && !process_takes(command, need->valuestring)))
            return need->valuestring;
    }
    return NULL;
}

static struct verdict untestable(struct runner *runner, const char *lack) {
    report_lack(&runner->report, lack);
    return plain_verdict(VERDICT_UNTESTABLE,
                         strcmp(lack, "exec") == 0
                             ? memory_copy_text("it kills or restarts the server: use --exec")
                             : memory_format("the command has no place for {%s}", lack));
}

static void tell(struct runner *runner, size_t index) {
    report_scenario(&runner->report, scenario_at(runner, index), round_of(runner, index),
                    &runner->verdicts[index]);
    verdict_fini(&runner->verdicts[index]);
}

static void finish(struct runner *runner, size_t index, struct verdict verdict) {
    expectations_apply(runner->expectations, scenario_at(runner, index)->name, &verdict);
    runner->verdicts[index] = verdict;
    runner->done[index] = true;
    if (!verdict_is_green(&verdict) && runner->options->bail)
        runner->ended = true;
    for (; runner->told < runner->len && runner->done[runner->told]; runner->told++)
        tell(runner, runner->told);
    report_progress(&runner->report, runner->told, runner->len,
                    runner->told < runner->next ? scenario_at(runner, runner->told)->name : NULL);
}

/* A failure on the shared server may be another one's fault. */
static void deliver(struct runner *runner, size_t index, struct verdict verdict) {
    const struct outcome outcome = {index, verdict, true};
    if (runner->replay != NULL && runner->replay->index == index)
        *runner->replay = outcome;
    else if (verdict.status == VERDICT_FAIL && is_shared(runner, index))
        runner->doubts[runner->doubts_len++] = outcome;
    else
        finish(runner, index, verdict);
}

static void start_job(struct runner *runner, size_t index) {
    int ends[2];
    const char *lack = find_lack(runner, scenario_at(runner, index));
    if (lack != NULL) {
        finish(runner, index, untestable(runner, lack));
        return;
    }
    fflush(NULL);
    pid_t pid = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
    if (pid == 0)
        run_in_child(runner, index, ends[1]);
    if (pid < 0) {
        deliver(runner, index,
                plain_verdict(VERDICT_HARNESS_ERROR, memory_format("fork: %s", strerror(errno))));
        return;
    }
    close(ends[1]);
    int64_t allowed_ms = (runner->options->driver != NULL ? LIVES_MAX : 2) *
                             (int64_t)runner->options->timeout_ms * RUN_PATIENCES +
                         GRACE_MS + (runner->options->pause_before > 0 ? PAUSE_MS_MAX : 0);
    runner->jobs[runner->jobs_len++] =
        (struct job){.pid = pid,
                     .fd = ends[0],
                     .index = index,
                     .deadline_us = clock_now_us() + allowed_ms * 1000};
}

static void end_job(struct runner *runner, size_t slot) {
    struct job job = runner->jobs[slot];
    int status = 0;
    struct verdict verdict;
    runner->jobs[slot] = runner->jobs[--runner->jobs_len];
    close(job.fd);
    waitpid(job.pid, &status, 0);
    cJSON *json = cJSON_ParseWithLength((char *)job.text.at, job.text.len);
    if (!verdict_from_json(json, &verdict))
        verdict = plain_verdict(
            VERDICT_HARNESS_ERROR,
            WIFSIGNALED(status)
                ? memory_format("the harness ended with signal %d (%s)", WTERMSIG(status),
                                strsignal(WTERMSIG(status)))
                : memory_format("the harness ended with status %d", WEXITSTATUS(status)));
    cJSON_Delete(json);
    bytes_fini(&job.text);
    deliver(runner, job.index, verdict);
}

/* Reads what a job says; at its end, or past its deadline, the job is over. */
static void serve_job(struct runner *runner, size_t slot, bool readable) {
    struct job *job = &runner->jobs[slot];
    char piece[65536];
    if (readable) {
        ssize_t got = read(job->fd, piece, sizeof piece);
        if (got > 0)
            bytes_append(&job->text, piece, (size_t)got);
        else
            end_job(runner, slot);
    } else if (clock_left_ms(job->deadline_us) == 0) {
        kill(job->pid, SIGKILL);
        end_job(runner, slot);
    }
}

static void await_jobs(struct runner *runner) {
    struct pollfd fds[JOBS_MAX];
    int timeout_ms = -1;
    for (size_t i = 0; i < runner->jobs_len; i++) {
        int left = clock_left_ms(runner->jobs[i].deadline_us);
        fds[i] = (struct pollfd){.fd = runner->jobs[i].fd, .events = POLLIN};
        timeout_ms = timeout_ms < 0 || left < timeout_ms ? left : timeout_ms;
    }
    if (poll(fds, runner->jobs_len, timeout_ms) < 0)
        return;                                   /* a signal: the caller looks */
    for (size_t i = runner->jobs_len; i > 0; i--) /* from the end: a job that ends gives its slot */
        serve_job(runner, i - 1, fds[i - 1].revents != 0);
}

static void drop_job(struct runner *runner, size_t slot) {
    struct job *job = &runner->jobs[slot];
    kill(job->pid, SIGKILL);
    while (waitpid(job->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    close(job->fd);
    bytes_fini(&job->text);
    *job = runner->jobs[--runner->jobs_len];
}

/* ---- Whose fault it is ----------------------------------------------------------------------- */

/* False when it was interrupted. */
static bool play_alone(struct runner *runner, size_t index, struct verdict *verdict) {
    struct outcome outcome = {.index = index};
    runner->replay = &outcome;
    start_job(runner, index);
    while (!outcome.is_known && process_interrupted() == 0)
        await_jobs(runner);
    runner->replay = NULL;
    *verdict = outcome.verdict;
    return outcome.is_known;
}

static const char *first_requirement(const struct scenario *scenario) {
    return cJSON_GetStringValue(cJSON_GetArrayItem(scenario->requirements, 0));
}

/* Plays one that was under way when the shared server died, alone on a new one. False when that
 * cannot be; a server that it leaves dead fails it. */
static bool replay(struct runner *runner, size_t index, struct verdict *verdict) {
    *verdict = (struct verdict){0};
    replace_shared(runner);
    if (runner->ended || !play_alone(runner, index, verdict))
        return false;
    char *death = examine(runner);
    if (death != NULL) {
        report_trouble(&runner->report, "%s: %s", scenario_at(runner, index)->name, death);
        if (verdict->status == VERDICT_PASS) {
            verdict->status = VERDICT_FAIL;
            verdict->requirement = memory_copy_text(first_requirement(scenario_at(runner, index)));
            verdict->message = memory_copy_text("the server ended after it");
        }
        replace_shared(runner);
    }
    free(death);
    return true;
}

/* Ends what is under way on the shared server; returns how many, at most JOBS_MAX. */
static size_t drop_shared(struct runner *runner, size_t *dropped) {
    size_t len = 0;
    for (size_t i = runner->jobs_len; i > 0; i--) {
        if (!is_shared(runner, runner->jobs[i - 1].index))
            continue;
        dropped[len++] = runner->jobs[i - 1].index;
        drop_job(runner, i - 1);
    }
    return len;
}

/* The server died under several scenarios: each is played alone, to see whose doing it was. When it
 * was the company that did it, the one that failed first stands for all. */
static void judge_suspects(struct runner *runner, const char *death) {
    size_t suspects[2 * JOBS_MAX];
    size_t len = drop_shared(runner, suspects);
    struct outcome first = runner->doubts[0];
    bool is_found = false;
    for (size_t i = runner->doubts_len; i > 0; i--) {
        suspects[len++] = runner->doubts[i - 1].index; /* the first comes last */
        if (i > 1)
            verdict_fini(&runner->doubts[i - 1].verdict);
    }
    runner->doubts_len = 0;
    for (size_t i = 0; i < len && !runner->ended && process_interrupted() == 0; i++) {
        struct verdict verdict;
        if (!replay(runner, suspects[i], &verdict))
            break;
        is_found = is_found || verdict.status == VERDICT_FAIL;
        if (is_found || i + 1 < len)
            finish(runner, suspects[i], verdict);
        else
            verdict_fini(&verdict);
    }
    if (is_found || process_interrupted() != 0) {
        verdict_fini(&first.verdict);
    } else {
        report_trouble(&runner->report, "%s", death);
        finish(runner, first.index, first.verdict);
    }
}

/* Failures on the shared server stand when it is still there; when it is not, and no other can take
 * its place, what else was under way there says nothing. */
static void settle(struct runner *runner) {
    size_t dropped[JOBS_MAX];
    char *death = runner->ended ? NULL : examine(runner);
    if (death != NULL)
        judge_suspects(runner, death);
    for (size_t i = 0; i < runner->doubts_len; i++)
        finish(runner, runner->doubts[i].index, runner->doubts[i].verdict);
    runner->doubts_len = 0;
    if (runner->ended)
        drop_shared(runner, dropped);
    free(death);
}

/* ---- All of them ----------------------------------------------------------------------------- */

static void run_all(struct runner *runner) {
    while (process_interrupted() == 0) {
        if (runner->doubts_len > 0)
            settle(runner);
        while (!runner->ended && runner->doubts_len == 0 && runner->next < runner->len &&
               runner->jobs_len < (size_t)runner->options->jobs && process_interrupted() == 0)
            start_job(runner, runner->next++);
        if (runner->jobs_len == 0 && (runner->ended || runner->next == runner->len))
            return;
        if (runner->jobs_len > 0 && process_interrupted() == 0)
            await_jobs(runner);
    }
}

/* Interrupted: what is under way counts as not run. */
static void stop_jobs(struct runner *runner) {
    while (runner->jobs_len > 0)
        drop_job(runner, runner->jobs_len - 1);
    while (runner->doubts_len > 0)
        verdict_fini(&runner->doubts[--runner->doubts_len].verdict);
}

/* Scenarios that were done out of order when the run ended early. */
static size_t tell_rest(struct runner *runner) {
    size_t skipped = 0;
    for (size_t i = runner->told; i < runner->len; i++) {
        if (runner->done[i])
            tell(runner, i);
        else
            skipped++;
    }
    return skipped;
}

/* What stands in the way before anything has run. */
static bool prepare(struct runner *runner) {
    struct options *options = runner->options;
    char *error = NULL;
    runner->folder = folder_make_temporary(NULL, &error);
    options->target.folder = runner->folder;
    if (error == NULL)
        runner->expectations = expectations_load(options->expect_failures, &error);
    const char *unknown = error == NULL && options_select_all(options)
                              ? expectations_find_unknown(runner->expectations, runner->catalog)
                              : NULL;
    if (unknown != NULL)
        error = memory_format("%s: no scenario is called %s", options->expect_failures, unknown);
    if (error != NULL)
        report_trouble(&runner->report, "%s", error);
    bool ok = error == NULL;
    free(error);
    return ok;
}

/* Before the first scenario, and behind the last. */
static bool is_there(struct runner *runner, enum liveness_kind kind) {
    char *death = NULL;
    bool ok = is_alive(runner, kind, true, &death);
    if (death != NULL)
        report_trouble(&runner->report, "the server ended with %s", death);
    free(death);
    return ok;
}

static bool greet(struct runner *runner) {
    return is_there(runner, runner->options->driver != NULL       ? LIVENESS_DRIVES
                            : options_select_all(runner->options) ? LIVENESS_SERVES
                                                                  : LIVENESS_ANSWERS);
}

/* A server may have died of the last scenarios, behind all that they expect. */
static void see_off(struct runner *runner) {
    if (!runner->ended && runner->options->driver == NULL && process_interrupted() == 0)
        is_there(runner, LIVENESS_ANSWERS);
}

int runner_run(const struct catalog *catalog, const struct spec *spec, struct options *options,
               const char *program) {
    struct runner runner = {.catalog = catalog,
                            .spec = spec,
                            .options = options,
                            .len = catalog->len * (size_t)options->repeat};
    int64_t start_us = clock_now_us();
    process_catch_signals();
    report_begin(&runner.report, options, spec, program, catalog->len);
    runner.report.left_out = catalog->left_out;
    for (size_t i = 0; i < catalog->faults_len; i++) {
        report_trouble(&runner.report, "ERROR       %s", catalog->faults[i]);
        runner.report.counts[VERDICT_HARNESS_ERROR]++;
    }
    runner.verdicts = memory_take(runner.len * sizeof *runner.verdicts);
    runner.done = memory_take(runner.len * sizeof *runner.done);
    if (report_open(&runner.report) && prepare(&runner) && start_shared(&runner) &&
        greet(&runner)) {
        run_all(&runner);
        see_off(&runner);
    }
    stop_jobs(&runner);
    target_free(runner.shared);
    if (runner.folder != NULL)
        folder_remove(runner.folder);
    int status = report_end(&runner.report, tell_rest(&runner),
                            (double)(clock_now_us() - start_us) / 1000000);
    expectations_free(runner.expectations);
    free(runner.folder);
    free(runner.verdicts);
    free(runner.done);
    return process_interrupted() != 0 ? 3 : status;
}
