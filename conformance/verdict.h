/* How one scenario ended: the one result model that every report is made from. */
#ifndef CONFORM_VERDICT_H
#define CONFORM_VERDICT_H

#include <cjson/cJSON.h>
#include <stdbool.h>

enum verdict_status {
    VERDICT_PASS,
    VERDICT_FAIL,          /* the server broke a requirement */
    VERDICT_EXPECTED_FAIL, /* the same, and --expect-failures says so */
    VERDICT_UNSUPPORTED,   /* an extension that the server does not announce */
    VERDICT_UNTESTABLE,    /* needs what this run does not have: never green */
    VERDICT_HARNESS_ERROR, /* the harness or the scenario is wrong: never the server's fault */
    VERDICT_STATUSES,
};

struct verdict {
    enum verdict_status status;
    unsigned checks; /* expectations that were met */
    double ms;
    unsigned line;     /* of the step in the scenario file; 0 when there is none */
    char *requirement; /* the broken one; NULL unless failed */
    char *step;        /* the step as written, on one line */
    char *message;     /* one sentence */
    char *expected;    /* may be NULL, like the next ones */
    char *received;
    char *pointer; /* JSON Pointer of what differs between these two */
    char *server_log;
    char *reason;      /* why a failure was expected */
    cJSON *transcript; /* array of texts, the last lines */
    unsigned omitted;  /* lines before those */
};

/* "pass", "fail", "expected fail", "unsupported", "untestable", "harness error". Static. */
const char *verdict_status_text(enum verdict_status status);
/* Green only when something was checked and held, or failed as expected, or the feature is not
 * claimed. */
bool verdict_is_green(const struct verdict *verdict);

cJSON *verdict_to_json(const struct verdict *verdict);
/* False when it is none. */
bool verdict_from_json(const cJSON *json, struct verdict *verdict);
void verdict_fini(struct verdict *verdict);

#endif
