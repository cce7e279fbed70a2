/* What the library's own files share. Not installed. */
#ifndef ATHENA_PROTOCOL_INTERNAL_H
#define ATHENA_PROTOCOL_INTERNAL_H

#include "protocol/athena_protocol.h"

bool text_equals(struct athena_text_view text, const char *literal);

/* Fills *error when there is one, and returns code, so that a check can `return refuse(...)`. */
__attribute__((format(printf, 4, 5))) enum athena_code refuse(struct athena_error *error,
                                                              enum athena_code code,
                                                              const char *where, const char *format,
                                                              ...);

#endif
