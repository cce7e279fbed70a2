/*
 * A transcript as a drawing: a line for each connection, what is tested at the right of them, an
 * arrow for each message, time downwards; and beside each row what it is, in words.
 *
 * Columns are percents, so that the style may make them narrow on a phone; rows are as high as the
 * style makes the items of the list.
 */
#include "conformance/format.h"
#include "conformance/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    ACTORS_MAX = 12, /* the last stands for all that are more */
    NAME_MAX_BYTES = 32,
    PROBLEM_BYTES = 400,
    HEAD = 30, /* pixels, as in page.css */
    ROW = 22,
    NAME_LINE = 11,
    NAME_MIN = 6, /* characters of a column's name */
    NAME_MAX = 9,
    CROWD = 6,         /* with more columns names stand on two lines, and columns are so wide: */
    CROWDED_WIDTH = 4, /* characters */
};

static const char OTHERS[] = "others";

struct line {
    double ms;
    char who[NAME_MAX_BYTES];
    char kind; /* as in transcript.h */
    const char *text;
    int column; /* -1: what is tested */
};

struct drawing {
    FILE *out;
    const char *tested;
    char actors[ACTORS_MAX][NAME_MAX_BYTES];
    int actors_len;
    struct line *lines;
    int lines_len;
    bool names_documents; /* there are several */
};

/* A line of transcript_add: "   12.34 ms  alice    > text". */
static bool read_line(struct line *line, const char *text) {
    char *at = NULL;
    line->ms = strtod(text, &at);
    if (at == text || strncmp(at, " ms  ", 5) != 0)
        return false;
    at += 5;
    size_t len = strcspn(at, " ");
    if (len == 0 || len >= sizeof line->who)
        return false;
    memcpy(line->who, at, len);
    line->who[len] = '\0';
    at += len;
    at += strspn(at, " ");
    line->kind = *at;
    line->text = at[0] != '\0' && at[1] == ' ' ? at + 2 : "";
    return line->kind != '\0';
}

static int column_of(struct drawing *d, const char *who) {
    if (strcmp(who, "server") == 0)
        return -1;
    for (int i = 0; i < d->actors_len; i++)
        if (strcmp(d->actors[i], who) == 0)
            return i;
    if (d->actors_len == ACTORS_MAX) {
        memcpy(d->actors[ACTORS_MAX - 1], OTHERS, sizeof OTHERS);
        return ACTORS_MAX - 1;
    }
    memcpy(d->actors[d->actors_len], who, strlen(who) + 1);
    return d->actors_len++;
}

static bool tells_documents_apart(const cJSON *transcript) {
    static const char opening[] = "\"doc\":\"";
    const char *first = NULL;
    size_t first_len = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, transcript) {
        const char *at = strstr(item->valuestring, opening);
        if (at == NULL)
            continue;
        at += sizeof opening - 1;
        if (first != NULL && (strcspn(at, "\"") != first_len || memcmp(at, first, first_len) != 0))
            return true;
        first = at;
        first_len = strcspn(at, "\"");
    }
    return false;
}

/* ---- The columns ----------------------------------------------------------------------------- */

/* What is tested is the last. */
static int index_of(const struct drawing *d, int column) {
    return column >= 0 ? column : d->actors_len;
}

/* Where a column is, in percent of the drawing's width. */
static double place(const struct drawing *d, int column) {
    return (index_of(d, column) + 0.5) * 100 / (d->actors_len + 1);
}

/* What ends a process, and what starts one. */
static bool is_end(const struct line *line) {
    return line->kind == '*' && (strcmp(line->text, "killed") == 0 ||
                                 strncmp(line->text, "ended with ", strlen("ended with ")) == 0);
}

static bool is_start(const struct line *line) {
    return line->kind == '*' && strcmp(line->text, "started") == 0;
}

static bool is_fault(const struct line *line) {
    return line->kind == '*' && strncmp(line->text, "fault: ", strlen("fault: ")) == 0;
}

static int row_y(int row) {
    return HEAD + row * ROW + ROW / 2;
}

static void write_lifeline(const struct drawing *d, int column, int from, int to, bool runs) {
    fprintf(d->out, "<line x1=\"%.1f%%\" x2=\"%.1f%%\" y1=\"%d\" y2=\"%d\" class=\"%s\"/>",
            place(d, column), place(d, column), from, to, runs ? "l" : "l off");
}

static bool is_crowded(const struct drawing *d) {
    return d->actors_len >= CROWD;
}

static void write_name(const struct drawing *d, int column) {
    bool is_upper = is_crowded(d) && index_of(d, column) % 2 == 1;
    fprintf(d->out, "<text x=\"%.1f%%\" y=\"%d\">", place(d, column),
            is_upper ? NAME_LINE : 2 * NAME_LINE);
    format_write_cut(d->out, column >= 0 ? d->actors[column] : d->tested, NAME_MAX);
    fputs("</text>", d->out);
}

static void write_column(const struct drawing *d, int column) {
    int from = HEAD;
    bool runs = true;
    write_name(d, column);
    for (int row = 0; row < d->lines_len; row++) {
        const struct line *line = &d->lines[row];
        if (line->column != column || !(is_end(line) || is_start(line)))
            continue;
        write_lifeline(d, column, from, row_y(row), runs && !is_start(line));
        from = row_y(row);
        runs = is_start(line);
    }
    write_lifeline(d, column, from, HEAD + d->lines_len * ROW, runs);
    fputc('\n', d->out);
}

/* In characters. */
static size_t width_of_columns(const struct drawing *d) {
    size_t longest = NAME_MIN;
    for (int i = 0; i < d->actors_len; i++)
        if (strlen(d->actors[i]) > longest)
            longest = strlen(d->actors[i]);
    return is_crowded(d) ? CROWDED_WIDTH : longest < NAME_MAX ? longest + 1 : NAME_MAX + 1;
}

/* ---- The rows -------------------------------------------------------------------------------- */

/* Commands to a client's driver, and what it tells, are not on the wire. */
static bool is_told(const struct line *line) {
    return strncmp(line->text, "{\"cmd\"", 6) == 0 || strncmp(line->text, "{\"event\"", 8) == 0;
}

static void write_mark(const struct drawing *d, const struct line *line, int y) {
    double x = place(d, line->column);
    bool sent = line->kind == '>';
    if (sent || line->kind == '<')
        fprintf(d->out, "<line x1=\"%.1f%%\" x2=\"%.1f%%\" y1=\"%d\" y2=\"%d\" class=\"%s%s\"/>",
                sent ? x : place(d, -1), sent ? place(d, -1) : x, y, y, sent ? "s" : "g",
                is_told(line) ? " t" : "");
    else if (is_end(line) || is_fault(line))
        fprintf(d->out, "<text x=\"%.1f%%\" y=\"%d\" class=\"x\">✕</text>", x, y + 5);
    else
        fprintf(d->out, "<circle cx=\"%.1f%%\" cy=\"%d\" r=\"3.5\"/>", x, y);
}

static const char *class_of_row(const struct line *line) {
    if (is_fault(line))
        return " class=\"bad\"";
    return is_end(line) || is_start(line) || (line->kind == '*' && line->column < 0)
               ? " class=\"life\""
               : "";
}

static void write_words(const struct drawing *d, const struct line *line) {
    bool needs_name = line->column < 0 || is_end(line) || is_start(line) ||
                      strcmp(d->actors[line->column], OTHERS) == 0;
    fprintf(d->out, "<li%s><u>%.1f</u>", class_of_row(line), line->ms);
    format_write_cut(d->out, needs_name ? line->who : "", NAME_MAX_BYTES);
    fputs(needs_name ? " " : "", d->out);
    format_write_label(line->text, d->names_documents, d->out);
    fputc('\n', d->out);
}

static void write_drawing(const struct drawing *d, const cJSON *scenario) {
    const char *problem = format_text(scenario, "message");
    fprintf(d->out,
            "<div class=\"seq\" tabindex=\"0\" style=\"--n:%d;--c:%zu\">\n"
            "<svg height=\"%d\" aria-hidden=\"true\">\n",
            d->actors_len + 1, width_of_columns(d), HEAD + d->lines_len * ROW);
    for (int i = -1; i < d->actors_len; i++)
        write_column(d, i);
    for (int row = 0; row < d->lines_len; row++)
        write_mark(d, &d->lines[row], row_y(row));
    fputs("\n</svg>\n<ol>\n", d->out);
    for (int row = 0; row < d->lines_len; row++)
        write_words(d, &d->lines[row]);
    if (*problem != '\0') {
        fputs("<li class=\"bad end\"><b>✗ ", d->out);
        format_write_cut(d->out, format_text(scenario, "requirement"), NAME_MAX_BYTES);
        fputs("</b> ", d->out);
        format_write_cut(d->out, problem, PROBLEM_BYTES);
    }
    fputs("</ol></div>\n", d->out);
}

void format_write_sequence(const cJSON *scenario, FILE *out) {
    const cJSON *transcript = cJSON_GetObjectItemCaseSensitive(scenario, "transcript");
    const cJSON *item;
    struct drawing d = {.out = out,
                        .tested = format_text(scenario, "tested"),
                        .names_documents = tells_documents_apart(transcript)};
    d.lines = memory_take((size_t)cJSON_GetArraySize(transcript) * sizeof *d.lines + 1);
    cJSON_ArrayForEach(item, transcript) {
        struct line *line = &d.lines[d.lines_len];
        if (!read_line(line, item->valuestring))
            continue;
        line->column = column_of(&d, line->who);
        d.lines_len++;
    }
    if (d.lines_len > 0)
        write_drawing(&d, scenario);
    free(d.lines);
}
