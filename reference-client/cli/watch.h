/* What the files of athena-sync watch share: its state, its output, its commands. */
#ifndef REFERENCE_CLIENT_CLI_WATCH_H
#define REFERENCE_CLIENT_CLI_WATCH_H

#include "reference-client/cli/cli.h"

enum { WATCH_STEP = 65536 }; /* bytes that are read or written at once */

/* An `add` that is read but not stored yet. */
struct pending_add {
    cJSON *command;
    size_t first; /* of its changes in the batch */
    size_t len;
};

struct watch {
    struct athena_sync *sync;
    struct athena_sync_connect_options options;
    struct athena_buf in;
    struct athena_buf out;
    bool is_stopping;
    int status;            /* it ends with */
    cJSON *waits_for_sync; /* a `sync` to be answered when in sync */

    struct pending_add *adds;
    size_t adds_len;
    size_t adds_capacity;
    struct athena_sync_new_change *changes;
    size_t changes_len;
    size_t changes_capacity;
};

/* ---- Output: gathered, and written by watch_flush ---- */

/* An event, up to its further members; watch_end ends it. */
struct athena_buf *watch_begin(struct watch *watch, const char *event);
void watch_end(struct watch *watch);
/* Writes all, or ends the whole: with status 0 when the reader is gone, else with 1. */
void watch_flush(struct watch *watch);
/* What is wrong with the whole, on standard error: it ends with status 1. */
void watch_give_up(struct watch *watch, const char *why);

void watch_append_fault(struct watch *watch, const struct athena_error *error);
void watch_on_event(void *ctx, const struct athena_sync_event *event);
/* One held already; for athena_sync_each. */
bool watch_send_change(void *ctx, const struct athena_sync_change *change);

/* The beginning of an answer to a command, NULL for a line that was none. */
struct athena_buf *watch_answer(struct watch *watch, const cJSON *command, bool ok);
void watch_answer_ok(struct watch *watch, const cJSON *command);
void watch_answer_error(struct watch *watch, const cJSON *command,
                        const struct athena_error *error);
/* `member` is the JSON Pointer of the member at fault. */
void watch_answer_member(struct watch *watch, const cJSON *command, const char *member,
                         const struct athena_error *error);
void watch_answer_wrong(struct watch *watch, const cJSON *command, const char *member,
                        const char *what);
void watch_answer_code(struct watch *watch, const cJSON *command, enum athena_code code,
                       const struct athena_error *error);

/* ---- Commands ---- */

/* Takes over an `add`, to be stored with others that come right behind it. */
void watch_collect_add(struct watch *watch, cJSON *command);
/* Stores what was collected, in one durable step, and answers. */
void watch_store_adds(struct watch *watch);
/* Takes the command over, and carries it out. */
void watch_run_command(struct watch *watch, cJSON *command);
/* By watch->options. */
enum athena_code watch_connect(struct watch *watch, struct athena_error *error);

#endif
