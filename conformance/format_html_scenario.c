/* One scenario of the page: a line that opens, and behind it all that the terminal shows of a
 * failure, a drawing and the transcript. */
#include "conformance/format.h"
#include "conformance/json_write.h"

#include <string.h>

static const struct {
    const char *status;
    const char *class;
    const char *mark;
} STATUSES[] = {{"pass", "pass", "✓"},
                {"fail", "fail", "✗"},
                {"harness error", "error", "!"},
                {"expected fail", "expected", "~"},
                {"unsupported", "untested", "–"},
                {"untestable", "untested", "–"}};
enum { STATUSES_LEN = sizeof STATUSES / sizeof *STATUSES, GIST_BYTES = 160 };

static size_t index_of(const cJSON *scenario) {
    const char *status = format_text(scenario, "status");
    size_t i = 0;
    while (i + 1 < STATUSES_LEN && strcmp(STATUSES[i].status, status) != 0)
        i++;
    return i;
}

const char *format_status_class(const cJSON *scenario) {
    return STATUSES[index_of(scenario)].class;
}

const char *format_status_mark(const cJSON *scenario) {
    return STATUSES[index_of(scenario)].mark;
}

void format_write_anchor(FILE *out, const char *before, const char *name, const char *after) {
    fputs(before, out);
    for (size_t len; *name != '\0'; name += len) {
        len = strcspn(name, " ");
        format_write_attribute(out, name, len);
        if (name[len] == ' ')
            fputc('-', out);
        len += name[len] == ' ';
    }
    fputs(after, out);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void write_row(FILE *out, const char *name, const char *text, const char *class) {
    if (*text == '\0')
        return;
    fprintf(out, "<dt>%s<dd class=\"%s\">", name, class);
    format_write_prose(out, text);
    fputc('\n', out);
}

static void write_code(FILE *out, const char *name, const char *text, const char *class) {
    if (*text == '\0')
        return;
    fprintf(out, "<dt>%s<dd><code class=\"%s\">", name, class);
    format_write_content(out, text, strlen(text));
    fputs("</code>\n", out);
}

/* What differs stands out. */
static void write_marked(FILE *out, const cJSON *scenario, const char *name) {
    const char *text = format_text(scenario, name);
    size_t from;
    size_t len;
    if (!json_find(text, format_text(scenario, "pointer"), &from, &len)) {
        write_code(out, name, text, "value");
        return;
    }
    fprintf(out, "<dt>%s<dd><code class=\"value\">", name);
    format_write_content(out, text, from);
    fputs("<mark>", out);
    format_write_content(out, text + from, len);
    fputs("</mark>", out);
    format_write_content(out, text + from + len, strlen(text + from + len));
    fputs("</code>\n", out);
}

static void write_broken(FILE *out, const cJSON *scenario) {
    const char *id = format_text(scenario, "requirement");
    if (*id == '\0')
        return;
    format_write_anchor(out, "<dt>broken<dd class=\"broken\"><a href=\"#", id, "\">");
    format_write_content(out, id, strlen(id));
    fputs("</a> ", out);
    format_write_prose(out, format_text(scenario, "sentence"));
    fputc('\n', out);
}

static void write_step(FILE *out, const cJSON *scenario) {
    if (format_number(scenario, "line") == 0)
        return;
    const char *path = format_text(scenario, "path");
    const char *step = format_text(scenario, "step");
    fputs("<dt>step<dd><code class=\"value\"><span class=\"dim\">", out);
    format_write_content(out, path, strlen(path));
    fprintf(out, ":%.0f</span> ", format_number(scenario, "line"));
    format_write_content(out, step, strlen(step));
    fputs("</code>\n", out);
}

static void write_cited(FILE *out, const cJSON *scenario) {
    const cJSON *id;
    fputs("<dt>is about<dd class=\"ids\">", out);
    cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(scenario, "requirements")) {
        format_write_anchor(out, "<a href=\"#", id->valuestring, "\">");
        format_write_content(out, id->valuestring, strlen(id->valuestring));
        fputs("</a> ", out);
    }
    fputc('\n', out);
}

/* ---- What happened --------------------------------------------------------------------------- */

static void write_transcript(FILE *out, const cJSON *scenario) {
    const cJSON *line;
    double omitted = format_number(scenario, "omitted");
    if (format_number(scenario, "omitted") > 0)
        fprintf(out, "<p class=\"dim\">%.0f earlier lines are left out.</p>\n", omitted);
    format_write_sequence(scenario, out);
    fputs("<details class=\"raw\"><summary>Transcript</summary><pre tabindex=\"0\">", out);
    if (omitted > 0)
        fprintf(out, "(%.0f lines before)\n", omitted);
    cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(scenario, "transcript")) {
        format_write_content(out, line->valuestring, strlen(line->valuestring));
        fputc('\n', out);
    }
    fputs("</pre></details>\n", out);
}

static void write_log(FILE *out, const cJSON *scenario) {
    const char *log = format_text(scenario, "server_log");
    if (*log == '\0')
        return;
    fprintf(out,
            "<details class=\"raw\" open><summary>What the %s printed</summary>"
            "<pre tabindex=\"0\">",
            format_text(scenario, "tested"));
    format_write_content(out, log, strlen(log));
    fputs("</pre></details>\n", out);
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* While it is closed, what went wrong stands below the title. */
static void write_line(FILE *out, const cJSON *scenario) {
    const char *name = format_text(scenario, "name");
    const char *message = format_text(scenario, "message");
    fprintf(out, "<summary><span class=\"mark %s\">%s %s</span> <b>", format_status_class(scenario),
            format_status_mark(scenario), format_text(scenario, "status"));
    format_write_content(out, name, strlen(name));
    fputs("</b> <span class=\"title\">", out);
    format_write_prose(out, format_text(scenario, "title"));
    fputs("</span>", out);
    if (*message != '\0') {
        fputs(" <span class=\"gist\">", out);
        format_write_cut(out, message, GIST_BYTES);
        fputs("</span>", out);
    }
    if (format_number(scenario, "ms") > 0)
        fprintf(out, " <span class=\"ms\">%.1f ms</span>", format_number(scenario, "ms"));
    fputs("</summary>\n", out);
}

void format_write_scenario(const cJSON *scenario, bool is_open, FILE *out) {
    bool has_failed = *format_text(scenario, "requirement") != '\0';
    format_write_anchor(out, "<details class=\"scenario\" id=\"", format_text(scenario, "name"),
                        "\"");
    fprintf(out, " data-status=\"%s\"%s>\n", format_status_class(scenario), is_open ? " open" : "");
    write_line(out, scenario);
    fputs("<div class=\"body\"><dl>\n", out);
    write_broken(out, scenario);
    write_row(out, has_failed ? "problem" : "because", format_text(scenario, "message"), "problem");
    write_row(out, "expected for", format_text(scenario, "reason"), "problem");
    write_marked(out, scenario, "expected");
    write_marked(out, scenario, "received");
    write_step(out, scenario);
    write_row(out, "why", format_text(scenario, "why"), "");
    write_cited(out, scenario);
    write_code(out, "replay", format_text(scenario, "replay"), "value replay");
    fputs("</dl>\n", out);
    if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(scenario, "transcript")) > 0)
        write_transcript(out, scenario);
    write_log(out, scenario);
    fputs("</div></details>\n", out);
}
