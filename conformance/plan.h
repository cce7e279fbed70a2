/*
 * What the clients of one round of a storm do: a list of operations that a seed repeats, and the
 * scenario that carries out any part of it. An operation that makes no sense where it stands (a
 * push by a client that is not connected) is left out of the scenario, so that a list can be
 * shortened anywhere.
 */
#ifndef CONFORM_PLAN_H
#define CONFORM_PLAN_H

#include "conformance/entropy.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum { PLAN_CLIENTS_MAX = 24, PLAN_DOCUMENTS_MAX = 16, PLAN_OPERATIONS = 300 };

struct plan_size {
    unsigned clients;
    unsigned documents;
    bool owns_server; /* may kill and restart it, and restore its data */
};

enum plan_kind {
    /* Of a client; those of one burst go on side by side. */
    PLAN_CONNECT,
    PLAN_OPEN,      /* and list from its cursor on */
    PLAN_PUSH,      /* fresh changes */
    PLAN_PIPELINE,  /* the same, and gets or lists before the reply has come */
    PLAN_REPEAT,    /* pushes what another operation pushes, too */
    PLAN_CONFLICT,  /* an id of another operation, with other bytes */
    PLAN_LIST,      /* all, in pages */
    PLAN_GET,       /* what another operation pushes */
    PLAN_STALE,     /* lists from a cursor of an earlier life */
    PLAN_CLOSE,     /* the document */
    PLAN_LEAVE,     /* ends the connection */
    PLAN_CUT,       /* asks for something, and ends the connection at once */
    PLAN_HALF_OPEN, /* reads no more, for ever, and has a new connection */
    PLAN_PAUSE,     /* reads no more */
    PLAN_RESUME,
    PLAN_SEND, /* pushes before a kill or restart, which comes before the answer */
    /* Of the world. */
    PLAN_KILL,    /* SIGKILL, and start */
    PLAN_RESTART, /* SIGTERM, and start */
    PLAN_SAVE,    /* a copy of the data, at rest */
    PLAN_RESTORE, /* kill, and start with the copy */
    PLAN_SETTLE,  /* all agree */
};

struct plan_operation {
    enum plan_kind kind;
    unsigned burst;
    unsigned client;
    unsigned document;
    unsigned count;         /* of changes, or the limit of a page */
    unsigned of;            /* the other operation: which one of the plan */
    unsigned how;           /* the way to end a connection, or whether pages carry data */
    enum plan_kind request; /* that is cut off, where the document is open */
    unsigned index;         /* its own, which stays when others are left out */
};

struct plan {
    struct plan_operation *operations;
    size_t len;
    bool is_sequential; /* nothing goes on side by side */
};

/* Free with plan_fini. */
struct plan plan_make(const struct plan_size *size, struct entropy *entropy);
struct plan plan_copy(const struct plan *plan);
void plan_fini(struct plan *plan);

/* The steps, and how many operations they carry out whose outcome is waited for and judged.
 * cJSON_Delete them. */
cJSON *plan_steps(const struct plan *plan, unsigned *operations);

#endif
