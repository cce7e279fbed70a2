#include "reference-server/log.h"

#include "protocol/athena_protocol.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LINE_MAX_BYTES = 1024 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *const format_names[] = {"text", "json"};

static enum log_level log_up_to = LOG_LEVEL_INFO;
static enum log_format log_as = LOG_FORMAT_TEXT;

bool log_level_parse(enum log_level *level, const char *text) {
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_parse(enum log_format *format, const char *text) {
    for (size_t i = 0; i < sizeof format_names / sizeof format_names[0]; i++) {
        if (strcmp(text, format_names[i]) == 0) {
            *format = (enum log_format)i;
            return true;
        }
    }
    return false;
}

void log_init(enum log_level level, enum log_format format) {
    log_up_to = level;
    log_as = format;
}

static void format_time(char text[static 32]) {
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, 32 - len, ".%03ldZ", now.tv_nsec / 1000000);
}

/* Bytes of the printable UTF-8 character at `at`, 0 when it is none. */
static size_t character_len(const uint8_t *at) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (at[0] < 0x80)
        return at[0] >= 0x20 && at[0] != 0x7F;
    size_t len = at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    uint32_t point = at[0] & (0x7FU >> len);
    for (size_t i = 1; i < len; i++) { /* the NUL at the end ends a cut character */
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3F);
    }
    bool is_whole = at[0] >= 0xC2 && at[0] <= 0xF4 && point >= least[len] && point <= 0x10FFFF &&
                    (point < 0xD800 || point > 0xDFFF);
    return is_whole ? len : 0;
}

/* Paths may hold anything: a line stays one line, and valid JSON. */
static void make_printable(char *text) {
    while (*text) {
        size_t len = character_len((const uint8_t *)text);
        if (len == 0)
            *text = '?';
        text += len ? len : 1;
    }
}

/* One write a line, so that lines of several threads never mix. */
void log_line(enum log_level level, const char *format, ...) {
    if (level > log_up_to)
        return;
    char message[LINE_MAX_BYTES];
    char when[32];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    make_printable(message);
    format_time(when);
    if (log_as == LOG_FORMAT_TEXT) {
        fprintf(stderr, "%s %-5s %s\n", when, level_names[level], message);
        return;
    }
    struct athena_buf quoted = {0};
    athena_json_append_string(&quoted, (struct athena_text_view){message, strlen(message)});
    if (!quoted.failed)
        fprintf(stderr, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":%.*s}\n", when,
                level_names[level], (int)quoted.len, quoted.at);
    athena_buf_fini(&quoted);
}
