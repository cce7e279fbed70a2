/* What happened in a scenario, in order, with times: the last lines are part of a failure. */
#ifndef CONFORM_TRANSCRIPT_H
#define CONFORM_TRANSCRIPT_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

enum { TRANSCRIPT_LINES_MAX = 400 };

enum transcript_kind {
    TRANSCRIPT_SENT = '>',
    TRANSCRIPT_RECEIVED = '<',
    TRANSCRIPT_EVENT = '*', /* connections, processes */
};

struct transcript {
    int64_t start_us;
    size_t len; /* lines ever added; the last TRANSCRIPT_LINES_MAX are kept */
    char *lines[TRANSCRIPT_LINES_MAX];
};

void transcript_init(struct transcript *transcript);
void transcript_fini(struct transcript *transcript);
void transcript_add(struct transcript *transcript, const char *who, enum transcript_kind kind,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same for a message, shortened. */
void transcript_add_message(struct transcript *transcript, const char *who,
                            enum transcript_kind kind, const cJSON *message);
/* The last `max` lines, an array of texts; `omitted` becomes the number of those before. */
cJSON *transcript_tail(const struct transcript *transcript, size_t max, unsigned *omitted);

#endif
