/*
 * The strict-JSON rules of the protocol, checked on raw text before cJSON (which accepts most
 * violations) sees it: one object, valid UTF-8, no duplicate member, no trailing bytes, no lone
 * surrogate, no \u0000, depth at most 8, at most 64 members an object, and only integers from 0 to
 * 2^53-1, written in digits alone.
 */
#ifndef CONFORM_JSON_STRICT_H
#define CONFORM_JSON_STRICT_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_STRICT_DEPTH_MAX = 8, JSON_STRICT_MEMBERS_MAX = 64 };

/* The one fault of notation only: an integer that receivers may understand but no sender writes. */
extern const char JSON_STRICT_NOTATION[];

/* NULL when the text keeps the rules, else a static sentence; `at` gets the offset of the fault. */
const char *json_strict_fault(const char *text, size_t len, size_t *at);
/* True when the bytes are well-formed UTF-8 (no overlong form, no surrogate). */
bool json_utf8_is_valid(const char *text, size_t len);

#endif
