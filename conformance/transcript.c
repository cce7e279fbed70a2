#include "conformance/transcript.h"

#include "conformance/clock.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/printable.h"

#include <stdlib.h>

void transcript_init(struct transcript *transcript) {
    *transcript = (struct transcript){.start_us = clock_now_us()};
}

void transcript_fini(struct transcript *transcript) {
    for (size_t i = 0; i < TRANSCRIPT_LINES_MAX; i++)
        free(transcript->lines[i]);
    *transcript = (struct transcript){0};
}

void transcript_add(struct transcript *transcript, const char *who, enum transcript_kind kind,
                    const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *raw = memory_format_list(format, arguments);
    va_end(arguments);
    char *text = printable_copy(raw);
    char **line = &transcript->lines[transcript->len++ % TRANSCRIPT_LINES_MAX];
    double ms = (double)(clock_now_us() - transcript->start_us) / 1000;
    free(*line);
    *line = memory_format("%9.2f ms  %-8s %c %s", ms, who, kind, text);
    free(raw);
    free(text);
}

void transcript_add_message(struct transcript *transcript, const char *who,
                            enum transcript_kind kind, const cJSON *message) {
    char *brief = match_brief(message);
    transcript_add(transcript, who, kind, "%s", brief);
    free(brief);
}

cJSON *transcript_tail(const struct transcript *transcript, size_t max, unsigned *omitted) {
    size_t kept = transcript->len < TRANSCRIPT_LINES_MAX ? transcript->len : TRANSCRIPT_LINES_MAX;
    size_t count = kept < max ? kept : max;
    cJSON *tail = cJSON_CreateArray();
    *omitted = (unsigned)(transcript->len - count);
    for (size_t i = transcript->len - count; i < transcript->len; i++)
        cJSON_AddItemToArray(tail, cJSON_CreateString(transcript->lines[i % TRANSCRIPT_LINES_MAX]));
    return tail;
}
