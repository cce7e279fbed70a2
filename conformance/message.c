#include "conformance/message.h"

#include <string.h>

const char *message_text(const cJSON *message, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, name));
    return text != NULL ? text : "";
}

bool message_is(const cJSON *message, const char *type) {
    return strcmp(message_text(message, "type"), type) == 0;
}

bool message_answers(const cJSON *get, const cJSON *got) {
    const cJSON *change = cJSON_GetObjectItemCaseSensitive(got, "changes")->child;
    const cJSON *missing = cJSON_GetObjectItemCaseSensitive(got, "missing")->child;
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(get, "ids");
    const cJSON *id = ids != NULL ? ids->child : NULL;
    bool is_some = change != NULL || missing != NULL;
    for (; id != NULL && cJSON_IsString(id); id = id->next) {
        if (change != NULL && strcmp(message_text(change, "id"), id->valuestring) == 0)
            change = change->next;
        else if (missing != NULL && strcmp(missing->valuestring, id->valuestring) == 0)
            missing = missing->next;
        else
            break;
    }
    return is_some && change == NULL && missing == NULL;
}
