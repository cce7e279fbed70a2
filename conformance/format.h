/*
 * The report formats for programs, each made from one result model, the JSON document of a run:
 *
 *   {"suite", "version", "protocol", "server", "seed", "seconds", "checks", "verdict", "exit",
 *    "counts": {STATUS: N, ...}, "skipped": N, "troubles": [TEXT, ...], "scenarios": [
 *      {"name", "family", "title", "why", "path", "requirements": [ID, ...], "status", "checks",
 *       "ms", "line", "replay", and of those that are not green, where there is one:
 *       "requirement", "sentence", "message", "expected", "received", "step", "server_log",
 *       "transcript": [TEXT, ...]}, ...]}
 */
#ifndef CONFORM_FORMAT_H
#define CONFORM_FORMAT_H

#include <cjson/cJSON.h>
#include <stdio.h>

struct format;

/* NULL when there is none of that name. */
const struct format *format_find(const char *name, size_t len);
void format_write(const struct format *format, const cJSON *run, FILE *out);

/* For the writers: a member's text, or "". */
const char *format_text(const cJSON *object, const char *name);
double format_number(const cJSON *object, const char *name);

void format_write_tap(const cJSON *run, FILE *out);
void format_write_junit(const cJSON *run, FILE *out);

#endif
