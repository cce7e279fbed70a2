/*
 * What the client of support_device.h holds, and how it synchronises: the messages it sends and
 * takes, and what it says about them on its standard output.
 */
#ifndef CONFORM_SUPPORT_DEVICE_SYNC_H
#define CONFORM_SUPPORT_DEVICE_SYNC_H

#include "conformance/document.h"
#include "conformance/endpoint.h"
#include "conformance/entropy.h"
#include "conformance/stream.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

struct device {
    const char *fault;
    const char *key;
    char *path; /* of its state */
    char authority[32];
    char port[8];
    char url_path[64];
    char doc[64];
    struct document keys;
    cJSON *state;   /* {"changes": {id: {data, plain, own}}, "known": {id: data}, "bad": {id: data},
                       "refused": {id: true}} */
    cJSON *listing; /* what has been listed so far; NULL outside a listing */
    cJSON *welcome;
    cJSON *pushing; /* the changes of the push under way */
    cJSON *sync_id; /* of a `sync` that waits */
    struct entropy entropy;
    struct stream *stream;
    struct endpoint *endpoint;
    int next_req;
    bool stays;
    bool is_live;
    bool in_sync;
};

/* What it does wrong is named by `fault`. */
bool device_has_fault(const struct device *device, const char *fault);

/* Its state: the set of that name in it, a member's text ("" where there is none), a member set
 * anew, and all of it on disk. Nothing here can fail but for the end of the process. */
cJSON *device_part(const struct device *device, const char *name);
const char *device_text_of(const cJSON *object, const char *name);
void device_put(cJSON *object, const char *name, cJSON *value);
void device_save(struct device *device);

/* Lines for the harness: `device_say` owns what it prints. */
void device_say(cJSON *line);
cJSON *device_event(const char *name);
void device_say_change(const cJSON *change);
cJSON *device_answer(const cJSON *id, bool ok);

/* Whether the server still lacks this change of its own; the next push of those, or "in sync" where
 * there are none; and what comes of a message. */
bool device_wants(const struct device *device, const char *id);
void device_push_next(struct device *device);
void device_take_message(struct device *device, const cJSON *message);

#endif
