/*
 * One client under test: a driver as spec/driver.md describes it, started by a command line, killed
 * and started again in the same folder.
 *
 *     driver_tell ──> standard input          standard output ──> driver_service: answers, events
 */
#ifndef CONFORM_DRIVER_H
#define CONFORM_DRIVER_H

#include "conformance/contract.h"
#include "conformance/memory.h"
#include "conformance/spec.h"
#include "conformance/transcript.h"

#include <sys/types.h>

enum { DRIVER_EXIT_UNSUPPORTED = 127 };

struct driver_options {
    const char *name;
    const char *command; /* with {dir}, {key}, {url} and perhaps {patience_ms} */
    const char *folder;  /* for its replica and its log; exists */
    const char *key;
    const char *actor; /* of what is added to it, in each of its lives */
    const char *url;
    unsigned patience_ms; /* with a silent server; 0: its own */
    bool patient; /* waits as long as it likes before it connects again, not told to `retry` */
};

struct driver {
    char *name;
    char *command; /* filled in */
    char *folder;  /* its replica */
    char *log_path;
    char *actor;
    bool patient;
    const struct spec *spec;
    struct transcript *transcript;
    pid_t pid; /* 0 while none runs */
    int in;
    int out;
    struct bytes line; /* begun */
    double next_id;
    double sync_id; /* of a `sync` that is not answered; 0: none */
    struct contract contract;
    int64_t add_us;  /* how long its last answered `add` took; 0: none was */
    cJSON *cut_adds; /* those it was killed in: arrays of what it was given, or was told to hold */
    cJSON *answers;  /* that nobody took yet */
    cJSON *events;
    cJSON *counts; /* events of this life, by name; "acknowledged": all that was told as pushed */
    char *ended;   /* how its last life ended by itself; NULL before */
    bool unsupported;
    char *fault; /* how it broke the contract */
};

struct driver *driver_new(const struct driver_options *options, const struct spec *spec,
                          struct transcript *transcript);
void driver_free(struct driver *driver);

/* False when it cannot be started; errno tells. */
bool driver_start(struct driver *driver);
/* SIGKILL, to it and what it started, and the wait for its end. What it said before is taken. */
void driver_kill(struct driver *driver);
/* Reads what it says; once it has said all, how it ended. */
void driver_service(struct driver *driver);

/* Gives the command an id and sends it. The id is what driver_take_answer wants. */
double driver_tell(struct driver *driver, const cJSON *command);
/* Sends a line that is no command; what answers it has no id. */
void driver_tell_text(struct driver *driver, const char *text);
/* Its input is at an end. */
void driver_hang_up(struct driver *driver);
/* NULL when it has not come yet; else cJSON_Delete it. id 0 is that of an answer without one. */
cJSON *driver_take_answer(struct driver *driver, double id);
/* The next event, of those not taken yet, that matches; those before it are dropped. NULL when none
 * does. */
cJSON *driver_take_event(struct driver *driver, const cJSON *pattern);
/* The last lines it wrote to standard error; free() it. */
char *driver_log_tail(const struct driver *driver);

#endif
