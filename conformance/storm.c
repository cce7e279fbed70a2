#include "conformance/storm.h"

#include "conformance/clock.h"
#include "conformance/file.h"
#include "conformance/json_write.h"
#include "conformance/memory.h"
#include "conformance/process.h"
#include "conformance/report.h"
#include "conformance/shrink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WORKERS_MAX = 64,
    SHRINK_BUDGET_MS = 60000,
    REPLAYS = 10,
    /* Seeds of rounds are apart, so that a shrinking round has fresh ones of its own. */
    SEEDS_A_ROUND = 100000,
    STATUS_GREEN = 0,
    STATUS_FAILED = 1,
    STATUS_HARNESS = 3,
};

/* A process that plays every n-th round and tells of each in a line of JSON. */
struct worker {
    pid_t pid;
    int fd;
    struct bytes text;
};

struct storm {
    struct round_setting setting;
    const char *program;
    int64_t start_us;
    int64_t deadline_us;
    struct worker workers[WORKERS_MAX];
    unsigned workers_len;
    uint64_t operations;
    unsigned rounds;
    bool is_over;
    unsigned failed_round;
    struct verdict failure; /* `message` NULL: none */
};

static uint64_t seed_of(const struct storm *storm, unsigned round) {
    return storm->setting.options->seed + (uint64_t)round * SEEDS_A_ROUND;
}

/* ---- Workers --------------------------------------------------------------------------------- */

static bool tell(int fd, unsigned round, unsigned operations, const struct verdict *verdict) {
    cJSON *line = verdict_to_json(verdict);
    cJSON_AddNumberToObject(line, "round", round);
    cJSON_AddNumberToObject(line, "operations", operations);
    char *text = json_write(line);
    size_t len = strlen(text);
    text[len++] = '\n'; /* in place of its end */
    bool ok = process_write(fd, text, len);
    free(text);
    cJSON_Delete(line);
    return ok;
}

/* In the child. */
static _Noreturn void work(const struct storm *storm, unsigned first, unsigned step, int fd) {
    process_leave_signals();
    for (unsigned round = first;; round += step) {
        unsigned operations = 0;
        struct plan plan = round_plan(storm->setting.options, seed_of(storm, round));
        struct verdict verdict = round_play(&storm->setting, &plan, seed_of(storm, round),
                                            storm->setting.options->timeout_ms, &operations);
        plan_fini(&plan);
        bool goes_on = verdict.status == VERDICT_PASS;
        if (!tell(fd, round, operations, &verdict) || !goes_on)
            _exit(0);
        verdict_fini(&verdict);
    }
}

static bool start_worker(struct storm *storm, unsigned number, unsigned of) {
    int ends[2];
    pid_t pid = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
    if (pid == 0) {
        close(ends[0]);
        for (unsigned i = 0; i < storm->workers_len; i++)
            close(storm->workers[i].fd);
        work(storm, number, of, ends[1]);
    }
    if (pid < 0)
        return false;
    close(ends[1]);
    storm->workers[storm->workers_len++] = (struct worker){.pid = pid, .fd = ends[0]};
    return true;
}

/* A worker whose words nobody reads ends after its round. */
static void stop_workers(struct storm *storm) {
    for (unsigned i = 0; i < storm->workers_len; i++)
        close(storm->workers[i].fd);
    for (unsigned i = 0; i < storm->workers_len; i++) {
        while (waitpid(storm->workers[i].pid, NULL, 0) < 0 && errno == EINTR) {
        }
        bytes_fini(&storm->workers[i].text);
    }
    storm->workers_len = 0;
}

/* ---- What they tell -------------------------------------------------------------------------- */

static void take_line(struct storm *storm, const char *text, size_t len) {
    cJSON *line = cJSON_ParseWithLength(text, len);
    struct verdict verdict;
    if (!verdict_from_json(line, &verdict))
        verdict = (struct verdict){.status = VERDICT_HARNESS_ERROR,
                                   .message = memory_copy_text("a worker told nothing sensible")};
    storm->rounds++;
    if (verdict.status == VERDICT_PASS) {
        storm->operations +=
            (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(line, "operations"));
        verdict_fini(&verdict);
    } else if (storm->failure.message == NULL) {
        storm->failure = verdict;
        storm->failed_round = (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItem(line, "round"));
        storm->is_over = true;
    } else {
        verdict_fini(&verdict);
    }
    cJSON_Delete(line);
}

static void read_worker(struct storm *storm, struct worker *worker) {
    char piece[65536];
    ssize_t got = read(worker->fd, piece, sizeof piece);
    if (got <= 0 && storm->failure.message == NULL) {
        storm->failure =
            (struct verdict){.status = VERDICT_HARNESS_ERROR,
                             .message = memory_copy_text("a process of the harness ended early")};
        storm->is_over = true;
    }
    if (got <= 0)
        return;
    bytes_append(&worker->text, piece, (size_t)got);
    const uint8_t *end;
    while ((end = memchr(worker->text.at, '\n', worker->text.len)) != NULL) {
        size_t len = (size_t)(end - worker->text.at);
        take_line(storm, (const char *)worker->text.at, len);
        bytes_drop(&worker->text, len + 1);
    }
}

static bool has_enough(const struct storm *storm) {
    uint64_t wanted = storm->setting.options->operations;
    return (wanted > 0 && storm->operations >= wanted) || process_interrupted() != 0 ||
           (storm->deadline_us > 0 && clock_left_ms(storm->deadline_us) == 0);
}

static void follow(struct storm *storm) {
    bool shows_progress = isatty(STDOUT_FILENO) != 0;
    while (!storm->is_over && !has_enough(storm)) {
        struct pollfd fds[WORKERS_MAX];
        for (unsigned i = 0; i < storm->workers_len; i++)
            fds[i] = (struct pollfd){.fd = storm->workers[i].fd, .events = POLLIN};
        int wait_ms = storm->deadline_us > 0 ? clock_left_ms(storm->deadline_us) : -1;
        if (poll(fds, storm->workers_len, wait_ms) <= 0)
            continue; /* a signal, or the time is over */
        for (unsigned i = 0; i < storm->workers_len; i++)
            if (fds[i].revents != 0)
                read_worker(storm, &storm->workers[i]);
        if (shows_progress)
            printf("\r%u rounds, %llu checked operations ", storm->rounds,
                   (unsigned long long)storm->operations);
        fflush(stdout);
    }
    if (shows_progress)
        printf("\r\033[K");
}

/* ---- A violation ----------------------------------------------------------------------------- */

static unsigned count_failing_replays(const struct storm *storm, const char *path, uint64_t seed) {
    char *error = NULL;
    struct scenario *scenario = scenario_load(path, storm->setting.schemas, &error);
    unsigned failing = 0;
    for (unsigned i = 0; scenario != NULL && i < REPLAYS; i++) {
        struct verdict verdict = round_play_scenario(&storm->setting, scenario, seed + i,
                                                     storm->setting.options->timeout_ms);
        failing += verdict.status == VERDICT_FAIL;
        verdict_fini(&verdict);
    }
    free(error);
    scenario_free(scenario);
    return failing;
}

/* As `athena-conform server` does, which is how the scenario is played again. */
static void show(const struct storm *storm, const char *path, uint64_t seed,
                 const struct verdict *verdict) {
    char *error = NULL;
    struct options options = *storm->setting.options;
    struct scenario *scenario = scenario_load(path, storm->setting.schemas, &error);
    struct report report;
    options.role = "server";
    options.seed = seed;
    options.selectors[0] = path;
    options.selectors_len = 1;
    report_begin(&report, &options, storm->setting.spec, storm->program, 1);
    if (scenario != NULL)
        report_scenario(&report, scenario, 0, verdict);
    else
        report_trouble(&report, "%s", error);
    report_end(&report, 0, verdict->ms / 1000);
    scenario_free(scenario);
    free(error);
}

static int report_violation(const struct storm *storm) {
    uint64_t seed = seed_of(storm, storm->failed_round);
    const char *given = storm->setting.options->output;
    char *path = given != NULL ? memory_copy_text(given)
                               : memory_format("storm-%llu.json", (unsigned long long)seed);
    char *error = NULL;
    struct plan plan = round_plan(storm->setting.options, seed);
    printf("FAIL round %u breaks %s: %s\n", storm->failed_round, storm->failure.requirement,
           storm->failure.message);
    fflush(stdout);
    struct shrinking shrunk =
        shrink(&storm->setting, &plan, seed, &storm->failure, SHRINK_BUDGET_MS);
    const struct verdict *verdict = shrunk.is_reproduced ? &shrunk.verdict : &storm->failure;
    if (round_write(&shrunk.plan, verdict, path, &error)) {
        unsigned failing = count_failing_replays(storm, path, seed + shrunk.runs + 1);
        printf("%s: %zu of %zu operations left after %u runs; played again it fails %u times of "
               "%d\n",
               path, shrunk.plan.len, plan.len, shrunk.runs, failing, REPLAYS);
        show(storm, path, seed, verdict);
    } else {
        fprintf(stderr, "athena-conform: %s\n", error);
    }
    free(error);
    free(path);
    plan_fini(&plan);
    shrinking_fini(&shrunk);
    return STATUS_FAILED;
}

static int report_end_of(const struct storm *storm) {
    double seconds = (double)(clock_now_us() - storm->start_us) / 1000000;
    printf("%llu checked operations in %u rounds, %.1f s: %.0f a minute\n",
           (unsigned long long)storm->operations, storm->rounds, seconds,
           (double)storm->operations * 60 / seconds);
    if (storm->failure.message != NULL && storm->failure.status == VERDICT_FAIL)
        return report_violation(storm);
    if (storm->failure.message != NULL)
        fprintf(stderr, "athena-conform: %s\n", storm->failure.message);
    if (storm->failure.message != NULL || storm->operations == 0)
        return STATUS_HARNESS;
    puts(process_interrupted() != 0 ? "interrupted; no violation until then" : "no violation");
    return process_interrupted() != 0 ? STATUS_HARNESS : STATUS_GREEN;
}

/* A server of ours tells more when it is started. */
static bool is_there(const struct options *options) {
    char *error = NULL;
    if (options->target.command != NULL)
        return true;
    struct target *target = target_new(&options->target, &error);
    bool ok = target != NULL && target_accepts(target);
    if (error != NULL)
        fprintf(stderr, "athena-conform: %s\n", error);
    else if (!ok)
        fprintf(stderr, "athena-conform: nothing accepts connections at %s\n",
                target_name(&options->target));
    target_free(target);
    free(error);
    return ok;
}

int storm_run(const struct options *options, const struct spec *spec, struct schema_set *schemas,
              const char *program) {
    struct storm *storm = memory_take(sizeof *storm);
    storm->setting = (struct round_setting){options, spec, schemas};
    storm->program = program;
    storm->start_us = clock_now_us();
    if (options->time_ms > 0)
        storm->deadline_us = storm->start_us + (int64_t)options->time_ms * 1000;
    process_catch_signals();
    printf("athena-conform %s: a storm of %d clients on %d documents, seed %llu, server %s\n",
           ATHENA_VERSION, options->clients, options->documents, (unsigned long long)options->seed,
           target_name(&options->target));
    fflush(NULL);
    bool ok = is_there(options);
    for (unsigned i = 0; ok && i < (unsigned)options->jobs; i++)
        ok = start_worker(storm, i, (unsigned)options->jobs);
    if (ok)
        follow(storm);
    stop_workers(storm);
    int status = ok ? report_end_of(storm) : STATUS_HARNESS;
    verdict_fini(&storm->failure);
    free(storm);
    return status;
}
