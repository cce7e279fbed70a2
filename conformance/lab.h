/*
 * What a scenario with clients under test has beside its connections: the devices, the address they
 * dial, the honest server behind it, and all that must not be told.
 */
#ifndef CONFORM_LAB_H
#define CONFORM_LAB_H

#include "conformance/discretion.h"
#include "conformance/driver.h"
#include "conformance/host.h"

#include <poll.h>

enum { LAB_DEVICES_MAX = 8 };

struct lab {
    const char *command; /* of the driver */
    char *folder;
    int listener;
    bool is_awaited; /* a step waits for a client to connect */
    char authority[32];
    char path[40]; /* by which its clients are told from strangers */
    char url[80];
    struct host host;
    struct discretion discretion;
    cJSON *pushed; /* for guests */
    cJSON *proofs; /* for guests */
    cJSON *plains; /* "DOC ID" to plaintext, base64url */
    struct driver *devices[LAB_DEVICES_MAX];
    size_t devices_len;
    unsigned devices_made;
    int64_t refused_us; /* when a request was last answered with something else */
};

/* Listens; `parent` is where its folder is made. NULL with *error (free it) set. */
struct lab *lab_new(const char *command, const char *parent, char **error);
/* Kills what runs and removes the folder. */
void lab_free(struct lab *lab);

struct driver *lab_find_device(const struct lab *lab, const char *name);
/* Takes the place of one with the same name. False when there are too many. */
bool lab_add_device(struct lab *lab, struct driver *device);

/* Remembers a plaintext, in base64url. */
void lab_note_plain(struct lab *lab, const char *doc, const char *id, const char *plain);
/* NULL when none was noted. Borrowed. */
const char *lab_find_plain(const struct lab *lab, const char *doc, const char *id);

/* What to wait for, beside connections: fills at most LAB_DEVICES_MAX + 1 entries. */
nfds_t lab_poll(const struct lab *lab, struct pollfd *fds);
/* Reads what devices say. */
void lab_service(struct lab *lab);
/* What a device told in its log that must not be told, borrowed; NULL when nothing. */
const char *lab_find_leak(const struct lab *lab);
/* A file, below the folder of a device, that other users can open and that holds a document secret;
 * free() it. NULL when there is none. */
char *lab_find_exposed(const struct lab *lab);
/* How a device broke the contract, borrowed; NULL when none did. */
const char *lab_fault(const struct lab *lab);

#endif
