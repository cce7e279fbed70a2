/*
 * The report formats for programs, each made from one result model, the JSON document of a run:
 *
 *   {"suite", "version", "protocol", "server" or "client", "seed", "seconds", "checks", "verdict",
 *    "exit", "counts": {STATUS: N, ...}, "skipped": N, "left_out": N, "without": [NEED, ...],
 *    "troubles": [TEXT, ...], "scenarios": [
 *      {"name", "family", "tested", "title", "why", "path", "requirements": [ID, ...], "status",
 *       "checks", "ms", "line", "replay", and of those that are not green, where there is one:
 *       "requirement", "sentence", "message", "expected", "received", "step", "server_log",
 *       "transcript": [TEXT, ...], "omitted": N}, ...],
 *    "requirements": {ID: SENTENCE, ...}}
 *
 * "server" or "client" is the command or address of what was tested, "server_log" what it printed.
 * "transcript" has the last lines, "omitted" says how many came before. With a report that shows
 * them, scenarios that passed have a transcript, too.
 */
#ifndef CONFORM_FORMAT_H
#define CONFORM_FORMAT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

struct format;

/* NULL when there is none of that name. */
const struct format *format_find(const char *name, size_t len);
/* Whether it is worth more with the transcripts of what passed. */
bool format_shows_transcripts(const struct format *format);
void format_write(const struct format *format, const cJSON *run, FILE *out);

/* For the writers: a member's text, or "". */
const char *format_text(const cJSON *object, const char *name);
double format_number(const cJSON *object, const char *name);

/* Text that is fit for XML and HTML; what these cannot hold becomes a question mark. */
void format_write_escaped(FILE *out, const char *text);
/* The same of its first `len` bytes. */
void format_write_escaped_part(FILE *out, const char *text, size_t len);

void format_write_tap(const cJSON *run, FILE *out);
void format_write_junit(const cJSON *run, FILE *out);
void format_write_html(const cJSON *run, FILE *out);
/* An SVG drawing of it; `tested` is what stands at the other end: "server" or "client". */
void format_write_sequence(const cJSON *transcript, const char *tested, FILE *out);

#endif
