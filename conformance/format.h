/*
 * The report formats for programs, each made from one result model, the JSON document of a run:
 *
 *   {"suite", "version", "protocol", "server" or "client", "seed", "seconds", "checks", "verdict",
 *    "exit", "counts": {STATUS: N, ...}, "skipped": N, "left_out": N, "without": [NEED, ...],
 *    "troubles": [TEXT, ...], "scenarios": [
 *      {"name", "round", "family", "tested", "title", "why", "path", "requirements": [ID, ...],
 *       "status", "checks", "ms", "line", "replay", and of those that are not green, where there is
 *       one: "requirement", "sentence", "message", "expected", "received", "step", "server_log",
 *       "transcript": [TEXT, ...], "omitted": N}, ...],
 *    "requirements": {ID: SENTENCE, ...}}
 *
 * "server" or "client" is the command or address of what was tested, "server_log" what it printed.
 * "transcript" has the last lines, "omitted" says how many came before. With a report that shows
 * them, scenarios that passed have a transcript, too, but for repetitions, which "round" counts;
 * the first has none.
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

/* Text that is fit for XML and HTML, attributes included; what these cannot hold becomes a question
 * mark. */
void format_write_escaped(FILE *out, const char *text);
/* The same of its first `len` bytes. */
void format_write_attribute(FILE *out, const char *text, size_t len);
/* The same of its first `len` bytes for what stands between tags, where quotes and line feeds need
 * no escape. */
void format_write_content(FILE *out, const char *text, size_t len);
/* The same with what stands between backticks as code. */
void format_write_prose(FILE *out, const char *text);

void format_write_tap(const cJSON *run, FILE *out);
void format_write_junit(const cJSON *run, FILE *out);
void format_write_html(const cJSON *run, FILE *out);

/* Parts of the HTML page, and what they share: */

void format_write_scenario(const cJSON *scenario, bool is_open, FILE *out);
/* The transcript of a scenario as an SVG drawing with a list of what its rows are; nothing when it
 * has none. */
void format_write_sequence(const cJSON *scenario, FILE *out);
/* One message of a transcript in a few words. `names_documents`: tell which document it is about.
 */
void format_write_label(const char *text, bool names_documents, FILE *out);
/* As much of a text as fits, and never half a character. */
void format_write_cut(FILE *out, const char *text, size_t bytes);
/* "pass", "fail", "error", "expected", or "untested": a class of the style, and what the filter
 * knows. */
const char *format_status_class(const cJSON *scenario);
/* One character for it. */
const char *format_status_mark(const cJSON *scenario);
/* A name as an id, or as what links to it. */
void format_write_anchor(FILE *out, const char *before, const char *name, const char *after);

/* page.css and page.js. */
extern const char format_html_style[];
extern const char format_html_script[];

#endif
