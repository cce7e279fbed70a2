#include "conformance/verdict.h"

#include "conformance/memory.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const STATUS_TEXTS[VERDICT_STATUSES] = {
    "pass", "fail", "expected fail", "unsupported", "untestable", "harness error"};

static const struct {
    const char *name;
    size_t offset;
} TEXTS[] = {{"requirement", offsetof(struct verdict, requirement)},
             {"step", offsetof(struct verdict, step)},
             {"message", offsetof(struct verdict, message)},
             {"expected", offsetof(struct verdict, expected)},
             {"received", offsetof(struct verdict, received)},
             {"pointer", offsetof(struct verdict, pointer)},
             {"server_log", offsetof(struct verdict, server_log)},
             {"reason", offsetof(struct verdict, reason)}};
enum { TEXTS_LEN = sizeof TEXTS / sizeof *TEXTS };

static char **text_at(const struct verdict *verdict, size_t index) {
    return (char **)((char *)verdict + TEXTS[index].offset);
}

const char *verdict_status_text(enum verdict_status status) {
    return STATUS_TEXTS[status];
}

bool verdict_is_green(const struct verdict *verdict) {
    return (verdict->status == VERDICT_PASS && verdict->checks > 0) ||
           verdict->status == VERDICT_EXPECTED_FAIL || verdict->status == VERDICT_UNSUPPORTED;
}

cJSON *verdict_to_json(const struct verdict *verdict) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "status", STATUS_TEXTS[verdict->status]);
    cJSON_AddNumberToObject(json, "checks", verdict->checks);
    cJSON_AddNumberToObject(json, "ms", verdict->ms);
    cJSON_AddNumberToObject(json, "line", verdict->line);
    for (size_t i = 0; i < TEXTS_LEN; i++)
        if (*text_at(verdict, i) != NULL)
            cJSON_AddStringToObject(json, TEXTS[i].name, *text_at(verdict, i));
    if (verdict->transcript != NULL)
        cJSON_AddItemToObject(json, "transcript", cJSON_Duplicate(verdict->transcript, true));
    cJSON_AddNumberToObject(json, "omitted", verdict->omitted);
    return json;
}

bool verdict_from_json(const cJSON *json, struct verdict *verdict) {
    const char *status = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "status"));
    *verdict = (struct verdict){.status = VERDICT_STATUSES};
    for (int i = 0; status != NULL && i < VERDICT_STATUSES; i++)
        if (strcmp(status, STATUS_TEXTS[i]) == 0)
            verdict->status = (enum verdict_status)i;
    if (verdict->status == VERDICT_STATUSES)
        return false;
    verdict->checks = (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItem(json, "checks"));
    verdict->ms = cJSON_GetNumberValue(cJSON_GetObjectItem(json, "ms"));
    verdict->line = (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItem(json, "line"));
    for (size_t i = 0; i < TEXTS_LEN; i++) {
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(json, TEXTS[i].name));
        *text_at(verdict, i) = text != NULL ? memory_copy_text(text) : NULL;
    }
    verdict->omitted = (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItem(json, "omitted"));
    verdict->transcript = cJSON_Duplicate(cJSON_GetObjectItem(json, "transcript"), true);
    return true;
}

void verdict_fini(struct verdict *verdict) {
    for (size_t i = 0; i < TEXTS_LEN; i++)
        free(*text_at(verdict, i));
    cJSON_Delete(verdict->transcript);
    *verdict = (struct verdict){0};
}
