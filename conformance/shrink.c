#include "conformance/shrink.h"

#include "conformance/clock.h"

#include <string.h>

/* A race may hide: what fails once in a while is tried more often. */
enum { REPRODUCE_TRIES = 8, SURE_FAILURES = 2, TIMEOUT_PARTS = 4, TIMEOUT_MS_MIN = 1000 };

struct attempt {
    const struct round_setting *setting;
    uint64_t seed;
    const char *requirement; /* that has to break; NULL: any, where chance decides which */
    int timeout_ms;
    unsigned tries;    /* for each candidate */
    unsigned failures; /* that it needs */
    int64_t deadline_us;
    struct shrinking *result;
};

static bool is_about(const struct verdict *verdict, const char *requirement) {
    return verdict->requirement != NULL && strcmp(verdict->requirement, requirement) == 0;
}

static bool fails_once(struct attempt *attempt, const struct plan *candidate) {
    unsigned operations;
    struct verdict verdict =
        round_play(attempt->setting, candidate, attempt->seed + ++attempt->result->runs,
                   attempt->timeout_ms, &operations);
    bool ok = verdict.status == VERDICT_FAIL &&
              (attempt->requirement == NULL || is_about(&verdict, attempt->requirement));
    if (ok) {
        verdict_fini(&attempt->result->verdict);
        attempt->result->verdict = verdict;
    } else {
        verdict_fini(&verdict);
    }
    return ok;
}

/* What always failed has to go on doing so, what fails now and then gets more chances. */
static bool fails(struct attempt *attempt, const struct plan *candidate) {
    unsigned failures = 0;
    for (unsigned left = attempt->tries; left > 0 && failures < attempt->failures; left--) {
        bool is_in_time = clock_left_ms(attempt->deadline_us) > 0;
        bool ok = is_in_time && fails_once(attempt, candidate);
        failures += ok;
        if (!is_in_time || (!ok && attempt->tries == attempt->failures))
            return false;
    }
    return failures == attempt->failures;
}

/* Takes the candidate in place of the plan when it fails, too. Frees the one that is not. */
static bool accept(struct attempt *attempt, struct plan *candidate) {
    bool ok = fails(attempt, candidate);
    if (ok) {
        plan_fini(&attempt->result->plan);
        attempt->result->plan = *candidate;
    } else {
        plan_fini(candidate);
    }
    return ok;
}

static bool try_without(struct attempt *attempt, size_t from, size_t len) {
    struct plan candidate = plan_copy(&attempt->result->plan);
    memmove(candidate.operations + from, candidate.operations + from + len,
            (candidate.len - from - len) * sizeof *candidate.operations);
    candidate.len -= len;
    return accept(attempt, &candidate);
}

/* Ever smaller parts are left out, from the end, where most is of no consequence. */
static void leave_out(struct attempt *attempt) {
    const struct plan *plan = &attempt->result->plan;
    for (size_t len = plan->len / 2; len > 0; len /= 2) {
        for (size_t end = plan->len; end >= len && clock_left_ms(attempt->deadline_us) > 0;) {
            try_without(attempt, end - len, len);
            end = end - len < plan->len ? end - len : plan->len;
        }
    }
}

static void go_one_by_one(struct attempt *attempt) {
    struct plan candidate = plan_copy(&attempt->result->plan);
    candidate.is_sequential = true;
    accept(attempt, &candidate);
}

static void push_instead(struct attempt *attempt, enum plan_kind kind) {
    struct plan candidate = plan_copy(&attempt->result->plan);
    for (size_t i = 0; i < candidate.len; i++)
        if (candidate.operations[i].kind == kind)
            candidate.operations[i].kind = PLAN_PUSH;
    accept(attempt, &candidate);
}

/* Whether a push that was cut off is stored is a matter of luck; one that is answered is. */
static void await_answers(struct attempt *attempt) {
    push_instead(attempt, PLAN_SEND);
    push_instead(attempt, PLAN_CUT);
    push_instead(attempt, PLAN_PIPELINE);
}

static void use_one_document(struct attempt *attempt) {
    struct plan candidate = plan_copy(&attempt->result->plan);
    for (size_t i = 0; i < candidate.len; i++)
        candidate.operations[i].document = 0;
    accept(attempt, &candidate);
}

static void push_one_change(struct attempt *attempt) {
    struct plan candidate = plan_copy(&attempt->result->plan);
    for (size_t i = 0; i < candidate.len; i++)
        if (candidate.operations[i].kind != PLAN_LIST)
            candidate.operations[i].count = 1;
    accept(attempt, &candidate);
}

struct shrinking shrink(const struct round_setting *setting, const struct plan *plan, uint64_t seed,
                        const struct verdict *failure, int budget_ms) {
    struct shrinking result = {.plan = plan_copy(plan)};
    int part_ms = setting->options->timeout_ms / TIMEOUT_PARTS;
    struct attempt attempt = {
        .setting = setting,
        .seed = seed,
        .timeout_ms = part_ms > TIMEOUT_MS_MIN ? part_ms : TIMEOUT_MS_MIN,
        .tries = REPRODUCE_TRIES,
        .failures = 1,
        .deadline_us = clock_now_us() + (int64_t)budget_ms * 1000,
        .result = &result,
    };
    result.is_reproduced = fails(&attempt, plan);
    bool is_sure = result.runs == 1 && is_about(&result.verdict, failure->requirement);
    attempt.failures = is_sure ? SURE_FAILURES : 1;
    attempt.tries = is_sure ? SURE_FAILURES : 2 * result.runs;
    attempt.requirement = is_sure ? failure->requirement : NULL;
    if (!result.is_reproduced)
        return result;
    await_answers(&attempt);
    go_one_by_one(&attempt);
    leave_out(&attempt);
    use_one_document(&attempt);
    push_one_change(&attempt);
    go_one_by_one(&attempt);
    leave_out(&attempt);
    return result;
}

void shrinking_fini(struct shrinking *shrinking) {
    plan_fini(&shrinking->plan);
    verdict_fini(&shrinking->verdict);
}
