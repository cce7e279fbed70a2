#include "conformance/format.h"

#include <stdlib.h>
#include <string.h>

struct format {
    const char *name;
    void (*write)(const cJSON *run, FILE *out);
};

const char *format_text(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL ? text : "";
}

double format_number(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static const char *entity(unsigned char byte, bool in_attribute) {
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return in_attribute ? "&quot;" : NULL;
    case '\n':
        return in_attribute ? "&#10;" : NULL;
    default:
        return byte < 0x20 && byte != '\t' ? "?" : NULL;
    }
}

static void write_escaped(FILE *out, const char *text, size_t len, bool in_attribute) {
    for (size_t i = 0; i < len; i++) {
        const char *instead = entity((unsigned char)text[i], in_attribute);
        if (instead != NULL)
            fputs(instead, out);
        else
            fputc(text[i], out);
    }
}

void format_write_escaped(FILE *out, const char *text) {
    write_escaped(out, text, strlen(text), true);
}

void format_write_attribute(FILE *out, const char *text, size_t len) {
    write_escaped(out, text, len, true);
}

void format_write_content(FILE *out, const char *text, size_t len) {
    write_escaped(out, text, len, false);
}

void format_write_prose(FILE *out, const char *text) {
    bool in_code = false;
    for (size_t len; *text != '\0'; text += len) {
        len = strcspn(text, "`");
        format_write_content(out, text, len);
        if (text[len] == '\0')
            continue;
        fputs(in_code ? "</code>" : "<code>", out);
        in_code = !in_code;
        len++;
    }
    fputs(in_code ? "</code>" : "", out);
}

static void write_json(const cJSON *run, FILE *out) {
    char *text = cJSON_Print(run);
    fprintf(out, "%s\n", text);
    free(text);
}

static const struct format FORMATS[] = {{"json", write_json},
                                        {"tap", format_write_tap},
                                        {"junit", format_write_junit},
                                        {"html", format_write_html}};

const struct format *format_find(const char *name, size_t len) {
    for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++)
        if (strlen(FORMATS[i].name) == len && memcmp(FORMATS[i].name, name, len) == 0)
            return &FORMATS[i];
    return NULL;
}

bool format_shows_transcripts(const struct format *format) {
    return format->write == format_write_html;
}

void format_write(const struct format *format, const cJSON *run, FILE *out) {
    format->write(run, out);
}
