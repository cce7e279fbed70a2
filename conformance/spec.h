/* The specification as the harness reads it: sentences by requirement id, and message schemas. */
#ifndef CONFORM_SPEC_H
#define CONFORM_SPEC_H

#include "conformance/schema.h"

struct spec;

/* Reads athena-sync-1.md and schemas/ in `folder`. NULL with *error (free it) set. */
struct spec *spec_load(const char *folder, char **error);
void spec_free(struct spec *spec);

/* What scenarios cite where a driver breaks its contract: it is no part of the protocol. */
#define SPEC_DRIVER "spec/driver.md"

/* The sentence of a requirement ("ASP-PUSH-3"), on one line; NULL when there is none. Borrowed. */
const char *spec_sentence(const struct spec *spec, const char *requirement);

/* All of them, an object of id and sentence in the order of the text; cJSON_Delete it. */
cJSON *spec_sentences(const struct spec *spec);

/* Checks one request from a client, and one line from a driver, against their schemas. */
bool spec_check_request(const struct spec *spec, const cJSON *message, struct schema_fault *fault);
bool spec_check_event(const struct spec *spec, const cJSON *event, struct schema_fault *fault);
/* Checks one message from a server against the schema of its type. */
bool spec_check_message(const struct spec *spec, const cJSON *message, struct schema_fault *fault);

#endif
