#include "conformance/contract.h"

#include "conformance/json_same.h"
#include "conformance/memory.h"
#include "conformance/message.h"

#include <string.h>

void contract_begin(struct contract *contract, const char *actor) {
    contract_fini(contract);
    *contract = (struct contract){.actor = actor, .asked = cJSON_CreateArray()};
}

void contract_fini(struct contract *contract) {
    cJSON_Delete(contract->asked);
    *contract = (struct contract){0};
}

/* ---- Commands -------------------------------------------------------------------------------- */

static bool is_command(const cJSON *asked, const char *name) {
    return strcmp(message_text(asked, "cmd"), name) == 0;
}

void contract_asked(struct contract *contract, const cJSON *command) {
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(command, "id");
    cJSON *asked = cJSON_CreateObject();
    cJSON_AddStringToObject(asked, "cmd", message_text(command, "cmd"));
    if (id != NULL)
        cJSON_AddItemToObject(asked, "id", cJSON_Duplicate(id, true));
    cJSON_AddBoolToObject(asked, "late", contract->is_stopping);
    cJSON_AddItemToArray(contract->asked, asked);
    contract->is_stopping = contract->is_stopping || is_command(asked, "stop");
}

/* ---- Answers --------------------------------------------------------------------------------- */

static cJSON *find_asked(const struct contract *contract, const cJSON *answer) {
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(answer, "id");
    cJSON *asked = contract->asked->child;
    while (asked != NULL) {
        const cJSON *its = cJSON_GetObjectItemCaseSensitive(asked, "id");
        if (id != NULL ? json_same(its, id) : its == NULL)
            break;
        asked = asked->next;
    }
    return asked;
}

/* Those of `sync` come when they come. */
static const cJSON *find_overtaken(const struct contract *contract, const cJSON *asked) {
    const cJSON *before = contract->asked->child;
    while (before != asked && is_command(before, "sync"))
        before = before->next;
    return before != asked && !is_command(asked, "sync") ? before : NULL;
}

static const char *find_absent(const cJSON *asked, const cJSON *answer) {
    static const char *const state[] = {"changes", "quarantined", "pending",
                                        "refused", "connected",   "in_sync"};
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok")))
        return NULL;
    if (is_command(asked, "add") && cJSON_GetObjectItemCaseSensitive(answer, "ids") == NULL)
        return "ids";
    for (size_t i = 0; i < sizeof state / sizeof *state && is_command(asked, "state"); i++)
        if (cJSON_GetObjectItemCaseSensitive(answer, state[i]) == NULL)
            return state[i];
    return NULL;
}

static char *take_answer(struct contract *contract, const cJSON *answer) {
    char *fault = NULL;
    cJSON *asked = find_asked(contract, answer);
    if (asked == NULL)
        return memory_copy_text("an answer to no command, or a second one");
    const cJSON *overtaken = find_overtaken(contract, asked);
    const char *absent = find_absent(asked, answer);
    if (overtaken != NULL)
        fault = memory_format("an answer before that to %s", message_text(overtaken, "cmd"));
    else if (absent != NULL)
        fault = memory_format("the answer to %s lacks %s", message_text(asked, "cmd"), absent);
    cJSON_Delete(cJSON_DetachItemViaPointer(contract->asked, asked));
    return fault;
}

/* ---- Events ---------------------------------------------------------------------------------- */

static bool is_replaying(const struct contract *contract) {
    const cJSON *asked = contract->asked->child;
    while (asked != NULL && !is_command(asked, "replay"))
        asked = asked->next;
    return asked != NULL;
}

static const char *judge_change(const struct contract *contract, const cJSON *change) {
    const char *id = message_text(change, "id");
    size_t len = strlen(contract->actor);
    bool is_own = strncmp(id, contract->actor, len) == 0 && id[len] == ':';
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(change, "own")) != is_own)
        return is_own ? "a change that was added here is told as one of another device"
                      : "a change of another device is told as added here";
    if (is_own && contract->is_ready && !is_replaying(contract))
        return "a change that was added here is told without being asked for";
    return NULL;
}

char *contract_heard(struct contract *contract, const cJSON *line) {
    const char *event = message_text(line, "event");
    const char *fault = NULL;
    if (strcmp(event, "answer") == 0)
        return take_answer(contract, line);
    if (strcmp(event, "change") == 0)
        fault = judge_change(contract, line);
    contract->is_ready = contract->is_ready || strcmp(event, "ready") == 0;
    return fault != NULL ? memory_copy_text(fault) : NULL;
}

char *contract_ended(const struct contract *contract) {
    const cJSON *asked = contract->asked->child;
    bool is_owed = contract->is_stopping && asked != NULL &&
                   !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(asked, "late"));
    return is_owed ? memory_format("it ended without an answer to %s", message_text(asked, "cmd"))
                   : NULL;
}
