/*
 * One run of one scenario: variables, connections, the steps under way, and the verdict.
 *
 *     scenario ──> task ──> frame: a list of steps, one of them current
 *                   │         └─ a step may push a further frame (repeat, the helpers)
 *                   └─ parallel: a step with tasks of its own
 *
 * A step is a function that is called again and again until it says that it is done; between calls
 * the run waits for bytes. Nothing in a step blocks, except what starts and ends the server.
 */
#ifndef CONFORM_RUN_H
#define CONFORM_RUN_H

#include "conformance/confidence.h"
#include "conformance/connection.h"
#include "conformance/history.h"
#include "conformance/lab.h"
#include "conformance/scenario.h"
#include "conformance/target.h"
#include "conformance/value.h"
#include "conformance/verdict.h"

enum {
    RUN_CONNECTIONS_MAX = 128,
    RUN_DEPTH_MAX = 16,
    RUN_TRANSCRIPT_LINES = 100, /* that a report gets, the last ones */
    RUN_TRANSCRIPT_LINES_PASSED = 40,
    RUN_PATIENCES = 6, /* all of a run may take so many times what it may take without progress */
};

enum progress { STEP_DONE, STEP_WAITS, STEP_FAILED };

struct run;
struct task;

/* What a step breaks where `pointer` differs, unless it cites a requirement itself; "" is anything
 * else that goes wrong. An array of them ends with NULL. */
struct citation {
    const char *pointer;
    const char *requirement;
};

/* The current step of a list of steps. */
struct frame {
    const cJSON *steps;           /* borrowed */
    cJSON *owned;                 /* the same, when the frame owns them */
    const cJSON *raw;             /* the current step as written */
    cJSON *step;                  /* its values computed; NULL before it begins */
    cJSON *memo;                  /* what it remembers between calls; NULL at first */
    const struct citation *usual; /* of the step, which may set it; NULL: none */
    struct task *tasks;           /* of a parallel step, which owns them */
    size_t tasks_len;
};

struct task {
    struct frame stack[RUN_DEPTH_MAX];
    size_t depth;
    const struct task *parent; /* whose parallel step it is part of; NULL for the scenario's own */
};

struct run {
    const struct scenario *scenario;
    const struct spec *spec;
    struct target *target; /* NULL when clients are under test */
    struct target *second; /* on the same data; NULL: none runs */
    struct lab *lab;       /* NULL when the server is */
    bool owns_server;      /* may stop and kill it */
    int64_t deadline_us;   /* unless there is progress: bytes that move, a step that is done */
    int64_t end_us;        /* whatever happens */
    int64_t waited_us;     /* when it last waited */
    unsigned steps;        /* advanced since */
    unsigned pause_before; /* as in run_options, until it was */
    int timeout_ms;        /* of patience */
    bool keeps_transcripts;
    struct entropy entropy;
    struct scope scope;
    struct transcript transcript;
    struct history *history; /* NULL when clients are under test */
    struct confidence confidence;
    struct connection *connections[RUN_CONNECTIONS_MAX];
    size_t connections_len;
    struct task task;
    const struct task *current; /* the one that speaks in a failure */
    int64_t wakes_us;           /* when a waiting step looks again without an event; 0: never */
    unsigned handshakes;        /* among the checks: in most scenarios these alone show nothing */
    bool awaits_end;            /* a step waits for the end of the server */
    char *waits_for;            /* what the last waiting step waits for, for people */
    struct verdict verdict;
};

struct run_options {
    const struct spec *spec;
    const char *driver;    /* the command of a client under test; NULL: the server is */
    const char *folder;    /* where devices keep their data */
    struct target *target; /* started, unless the scenario needs exec and starts it itself */
    bool owns_server;
    uint64_t seed;
    int timeout_ms;         /* how long nothing may come */
    unsigned pause_before;  /* a line of the scenario; 0: none */
    bool keeps_transcripts; /* also of what passes */
};

/* Plays the scenario. The verdict is the caller's: verdict_fini. */
struct verdict run_scenario(const struct scenario *scenario, const struct run_options *options);

/* ---- For steps ------------------------------------------------------------------------------- */

typedef enum progress step_function(struct run *run, struct task *task, struct frame *frame);

struct step_kind {
    const char *verb;
    step_function *advance;
    bool lazy; /* its values are not computed before it begins: it holds steps */
};
/* They end with verb NULL. */
extern const struct step_kind STEPS_CONNECTION[], STEPS_WIRE[], STEPS_SYNC[], STEPS_FLOW[],
    STEPS_HISTORY[], STEPS_REPLICA[], STEPS_DEVICE[], STEPS_HOST[];

/* Ends the run: the server broke the step's requirement (`requirement` NULL: the one the step
 * cites, or usually breaks, or the scenario cites). Both return STEP_FAILED. */
enum progress run_fail(struct run *run, const char *requirement, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with what was expected and what came, either may be NULL. */
enum progress run_fail_values(struct run *run, const cJSON *expected, const cJSON *received,
                              const char *message);
/* Compares what came with what was expected: keeps what matchers save and counts the expectation,
 * or ends the run with what differs in `what` ("the reply"). */
enum progress run_compare(struct run *run, const cJSON *expected, const cJSON *received,
                          const char *what);
/* Ends the run: the connection is over, while `meanwhile` ("a reply") was expected. */
enum progress run_fail_closed(struct run *run, const struct connection *connection,
                              const char *meanwhile);
/* Ends the run: what the scenario tests is not offered, as `why` says. */
enum progress run_unsupported(struct run *run, const char *why);
/* Ends the run: as this server is, what the scenario tests cannot be seen, as `why` says. */
enum progress run_untestable(struct run *run, const char *why);
/* Ends the run: the scenario is wrong. */
enum progress run_broken(struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* STEP_WAITS, remembering for what. */
enum progress run_wait_for(struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* STEP_DONE, counting a met expectation. */
enum progress run_checked(struct run *run);

/* The connection that the step's member `name` names; NULL after run_broken. */
struct connection *run_connection(struct run *run, const struct frame *frame, const char *member);
/* The document that the member names; where clients are under test, "doc" when it names none. NULL
 * after run_broken. */
const cJSON *run_document(struct run *run, const struct frame *frame, const char *member);
/* The device that the member names, or the only one; NULL after run_broken. */
struct driver *run_device(struct run *run, const struct frame *frame, const char *member);
/* Sends a command without members and waits for its answer; NULL with *progress set until it is
 * there. cJSON_Delete it. */
cJSON *run_ask_simply(struct run *run, struct frame *frame, struct driver *device, const char *name,
                      enum progress *progress);
/* Whether an answer says that the driver does not know the command. */
bool run_is_unsupported(const cJSON *answer);
/* STEP_WAITS for something of the device while it runs; else ends the run. */
enum progress run_fail_if_ended(struct run *run, const struct driver *device, const char *what);
struct connection *run_find_connection(const struct run *run, const char *name);
/* Takes the place of one with the same name. */
void run_add_connection(struct run *run, struct connection *connection);

/* Plays other steps (owned from now on), then calls the current step again. */
enum progress run_expand(struct run *run, struct task *task, cJSON *steps);
/* Adds everything in `saved` to the variables. */
void run_keep(struct run *run, cJSON *saved);

/* Gives it all the time again that a run has. */
void run_renew(struct run *run);
/* The step lets time pass until then: nothing needs to come before. */
void run_let_pass(struct run *run, int64_t until_us);

enum progress task_advance(struct run *run, struct task *task);
/* The steps must outlive the task. */
void task_begin(struct task *task, const struct task *parent, const cJSON *steps);

/* Members of a step. */
const cJSON *step_member(const struct frame *frame, const char *name);
const char *step_text(const struct frame *frame, const char *name);
double step_number(const struct frame *frame, const char *name, double otherwise);
bool step_flag(const struct frame *frame, const char *name);

#endif
