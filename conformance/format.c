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

void format_write_escaped(FILE *out, const char *text) {
    format_write_escaped_part(out, text, strlen(text));
}

void format_write_escaped_part(FILE *out, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '&')
            fputs("&amp;", out);
        else if (byte == '<')
            fputs("&lt;", out);
        else if (byte == '>')
            fputs("&gt;", out);
        else if (byte == '"')
            fputs("&quot;", out);
        else if (byte == '\n')
            fputs("&#10;", out);
        else
            fputc(byte < 0x20 && byte != '\t' ? '?' : byte, out);
    }
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
