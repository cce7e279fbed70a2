/*
 * What a person reads on the terminal: one line a scenario, failures with everything needed. The
 * other reports are written at the end.
 */
#ifndef CONFORM_REPORT_H
#define CONFORM_REPORT_H

#include "conformance/options.h"
#include "conformance/result.h"
#include "conformance/scenario.h"
#include "conformance/spec.h"
#include "conformance/verdict.h"

#include <stdio.h>

struct report {
    FILE *out;
    cJSON *run; /* the result model */
    bool is_terminal;
    bool has_progress; /* drawn, and not cleared yet */
    bool colour;
    const struct options *options;
    const struct spec *spec;
    const char *program;
    unsigned counts[VERDICT_STATUSES];
    unsigned checks;
    size_t left_out;                  /* scenarios that need what the run is without */
    char *lacks;                      /* what others need and the run has not; NULL: nothing */
    FILE *files[OPTIONS_REPORTS_MAX]; /* of the other reports */
    bool green;                       /* so far */
};

void report_begin(struct report *report, const struct options *options, const struct spec *spec,
                  const char *program, size_t scenarios);
/* Opens the files of the other reports, before hours are spent on what they cannot take. False when
 * one cannot be written, which is told. */
bool report_open(struct report *report);
/* A scenario needs this, and the run has none: "exec", or a setting. */
void report_lack(struct report *report, const char *need);
/* `round` counts the repetitions from 0. */
void report_scenario(struct report *report, const struct scenario *scenario, size_t round,
                     const struct verdict *verdict);
/* On a terminal: how far it is, and what it waits for (NULL: nothing), until the next line. */
void report_progress(struct report *report, size_t done, size_t all, const char *waits_for);
/* A fault of the run itself, beside the scenarios. */
void report_trouble(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The numbers; returns the exit status of the program. `skipped` scenarios were not run. */
int report_end(struct report *report, size_t skipped, double seconds);

#endif
