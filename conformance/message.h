/* Members of a message that has come, or is about to go. */
#ifndef CONFORM_MESSAGE_H
#define CONFORM_MESSAGE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* "" when there is no such member, or it is no text. Borrowed. */
const char *message_text(const cJSON *message, const char *name);
bool message_is(const cJSON *message, const char *type);
/* Whether a `got` says of a beginning of the ids of the `get`, in their order, what is there and
 * what is missing, and of nothing else. */
bool message_answers(const cJSON *get, const cJSON *got);

#endif
