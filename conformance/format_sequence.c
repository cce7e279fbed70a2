/*
 * A transcript as a drawing: a line for each connection, the server at the right, an arrow for each
 * message, time downwards.
 */
#include "conformance/format.h"
#include "conformance/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* In pixels, but for the first two and the last. */
enum {
    ACTORS_MAX = 12,
    NAME_MAX_BYTES = 32,
    LEFT = 70,
    ROW = 30,
    TOP = 46,
    LABEL = 490,
    NAME_WIDTH = 40,
    COLUMN_MIN = 150, /* labels of the columns at the left then cross those at the right */
    LABEL_BYTES = 66,
};

struct line {
    double ms;
    char who[NAME_MAX_BYTES];
    char kind; /* as in transcript.h */
    const char *text;
};

struct drawing {
    FILE *out;
    char actors[ACTORS_MAX][NAME_MAX_BYTES];
    int actors_len;
    int column;
};

/* A line of transcript_add: "   12.34 ms  alice    > text". */
static int read_line(struct line *line, const char *text) {
    char *at = NULL;
    line->ms = strtod(text, &at);
    if (at == text || strncmp(at, " ms  ", 5) != 0)
        return 0;
    at += 5;
    size_t len = strcspn(at, " ");
    if (len == 0 || len >= sizeof line->who)
        return 0;
    memcpy(line->who, at, len);
    line->who[len] = '\0';
    at += len;
    at += strspn(at, " ");
    line->kind = *at;
    line->text = at[0] != '\0' && at[1] == ' ' ? at + 2 : "";
    return line->kind != '\0';
}

/* The column of a name; -1 when there are too many. */
static int column(struct drawing *d, const char *who) {
    for (int i = 0; i < d->actors_len; i++)
        if (strcmp(d->actors[i], who) == 0)
            return i;
    if (d->actors_len == ACTORS_MAX)
        return -1;
    memcpy(d->actors[d->actors_len], who, strlen(who) + 1);
    return d->actors_len++;
}

/* As much of a text as fits, and never half a character. */
static void write_cut(FILE *out, const char *text, size_t bytes) {
    size_t len = strlen(text);
    bool is_cut = len > bytes;
    if (is_cut)
        len = bytes;
    while (is_cut && len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    char *label = memory_format("%.*s%s", (int)len, text, is_cut ? "…" : "");
    format_write_escaped(out, label);
    free(label);
}

/* The type of a message stands out; the transcript has the rest. */
static void write_label(FILE *out, const char *text) {
    static const char opening[] = "{\"type\":\"";
    bool is_message = strncmp(text, opening, sizeof opening - 1) == 0;
    const char *type = is_message ? text + sizeof opening - 1 : "";
    size_t type_len = strspn(type, "abcdefghijklmnopqrstuvwxyz-");
    if (type_len == 0 || type_len > LABEL_BYTES / 2 || type[type_len] != '"') {
        write_cut(out, text, LABEL_BYTES);
        return;
    }
    fprintf(out, "<tspan font-weight=\"bold\">%.*s</tspan> ", (int)type_len, type);
    const char *rest = type + type_len + 1;
    write_cut(out, *rest == ',' ? rest + 1 : "", LABEL_BYTES - type_len);
}

static void write_row(struct drawing *d, const struct line *line, int from, int y) {
    int x = LEFT + from * d->column;
    int server = LEFT + d->actors_len * d->column;
    fprintf(d->out, "<text x=\"0\" y=\"%d\" opacity=\".6\">%.1f</text>", y + 4, line->ms);
    if (line->kind == '>' || line->kind == '<') {
        int tip = line->kind == '>' ? server : x;
        int back = line->kind == '>' ? -7 : 7;
        fprintf(d->out,
                "<path d=\"M%d %dH%d\" stroke=\"currentColor\"/><path d=\"M%d %dl%d -4v8z\"/>"
                "<circle cx=\"%d\" cy=\"%d\" r=\"2.5\"/>",
                x, y, server, tip, y, back, line->kind == '>' ? x : server, y);
    }
    fprintf(d->out, "<text x=\"%d\" y=\"%d\">", x + 8, y - 5);
    write_label(d->out, line->text);
    fputs("</text>\n", d->out);
}

static void write_actor(struct drawing *d, const char *name, int index, int height) {
    int x = LEFT + index * d->column;
    fprintf(d->out,
            "<path d=\"M%d 26V%d\" stroke=\"currentColor\" opacity=\".3\"/>"
            "<text x=\"%d\" y=\"16\" text-anchor=\"middle\" font-weight=\"bold\">",
            x, height, x);
    format_write_escaped(d->out, name);
    fputs("</text>\n", d->out);
}

void format_write_sequence(const cJSON *transcript, const char *tested, FILE *out) {
    struct drawing d = {.out = out};
    const cJSON *item;
    struct line line;
    int rows = 0;
    cJSON_ArrayForEach(item, transcript) {
        if (read_line(&line, item->valuestring) && strcmp(line.who, "server") != 0)
            rows += column(&d, line.who) >= 0;
    }
    if (rows == 0)
        return;
    int height = TOP + rows * ROW;
    d.column = d.actors_len * COLUMN_MIN < LABEL ? LABEL / d.actors_len : COLUMN_MIN;
    int width = LEFT + (d.actors_len - 1) * d.column + LABEL + NAME_WIDTH;
    fprintf(out,
            "<svg width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" "
            "aria-label=\"the messages in order\">\n",
            width, height, width, height);
    for (int i = 0; i < d.actors_len; i++)
        write_actor(&d, d.actors[i], i, height);
    write_actor(&d, tested, d.actors_len, height);
    int y = TOP;
    cJSON_ArrayForEach(item, transcript) {
        int from = read_line(&line, item->valuestring) && strcmp(line.who, "server") != 0
                       ? column(&d, line.who)
                       : -1;
        if (from < 0)
            continue;
        write_row(&d, &line, from, y);
        y += ROW;
    }
    fputs("</svg>\n", out);
}
