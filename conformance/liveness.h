/* What comes before all scenarios, and after a failure: is anybody there who can be tested? */
#ifndef CONFORM_LIVENESS_H
#define CONFORM_LIVENESS_H

#include "conformance/scenario.h"

enum liveness_kind {
    LIVENESS_ANSWERS, /* a server answers what a client needs most, be it with errors */
    LIVENESS_SERVES,  /* and opens a document, without which hardly a scenario holds */
    LIVENESS_DRIVES,  /* a client: its driver is ready */
};

/* A server or driver that fails this fails nearly everywhere. NULL with *error (free it) set. */
struct scenario *liveness_scenario(enum liveness_kind kind, struct schema_set *schemas,
                                   char **error);

#endif
