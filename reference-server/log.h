/* The server's log on standard error: text, or one JSON object a line. Safe from any thread. Never
 * given tokens, challenges, proofs or envelopes, nor change ids or the addresses of clients
 * [ASP-WS-17] [ASP-SEC-4] [ASP-PRIV-1] [ASP-PRIV-2]. */
#ifndef REFERENCE_SERVER_LOG_H
#define REFERENCE_SERVER_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

bool log_level_parse(enum log_level *level, const char *text);
bool log_format_parse(enum log_format *format, const char *text);

/* Once, before anything is logged. */
void log_init(enum log_level level, enum log_format format);
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);

#endif
