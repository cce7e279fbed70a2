/*
 * Envelopes as a client makes and opens them, for support_device.h: texts in base64url on both
 * sides.
 */
#ifndef CONFORM_SUPPORT_ENVELOPE_H
#define CONFORM_SUPPORT_ENVELOPE_H

#include "conformance/document.h"

#include <stdbool.h>

/* free() it. */
char *envelope_seal(const struct document *keys, const char *id, const char *plain,
                    enum document_flaw flaw);

/* The plaintext, to be free()d; NULL when the envelope is not the one that sealing makes, or, with
 * `takes_any`, when it is not authentic. */
char *envelope_open(const struct document *keys, const char *id, const char *data, bool takes_any);

#endif
