/* Steps about all connections together: what the history of the run must come to. */
#include "conformance/memory.h"
#include "conformance/run.h"

#include <stdlib.h>

/* A further connection lists the whole log, with its bytes. */
static enum progress list_all(struct run *run, struct task *task, struct frame *frame) {
    const char *doc = step_text(frame, "settle");
    char *text = memory_format(
        "[{\"connect\": \"settler\", \"requirement\": \"ASP-WELCOME-1\"},"
        " {\"open\": \"%s\", \"on\": \"settler\", \"requirement\": \"ASP-OPEN-2\"},"
        " {\"read\": \"%s\", \"on\": \"settler\", \"data\": true, \"requirement\": \"ASP-LIST-1\"},"
        " {\"disconnect\": \"settler\", \"how\": \"fin\"}]",
        doc, doc);
    cJSON *steps = cJSON_Parse(text);
    free(text);
    frame->memo = cJSON_CreateTrue();
    return run_expand(run, task, steps);
}

/* {"settle": "doc"}: nothing is under way, and all connections come to agree: each is sent what it
 * lacks, in the order of the log, and no cursor passes over anything. */
static enum progress step_settle(struct run *run, struct task *task, struct frame *frame) {
    const char *requirement = NULL;
    const cJSON *document = run_document(run, frame, "settle");
    if (document == NULL)
        return STEP_FAILED;
    if (frame->memo == NULL)
        return list_all(run, task, frame);
    const char *doc = cJSON_GetObjectItemCaseSensitive(document, "id")->valuestring;
    for (size_t i = 0; i < run->connections_len; i++) {
        const struct connection *connection = run->connections[i];
        if (connection->ending != CONNECTION_LIVES || connection->paused)
            continue;
        const char *missing = history_missing(run->history, connection->watch.number, doc);
        if (missing != NULL)
            return run_wait_for(run, "%s live on %s", missing, connection->name);
    }
    history_settle(run->history, doc);
    const char *fault = history_fault(run->history, &requirement);
    return fault == NULL ? run_checked(run) : run_fail(run, requirement, "%s", fault);
}

const struct step_kind STEPS_HISTORY[] = {{"settle", step_settle, false}, {NULL, NULL, false}};
