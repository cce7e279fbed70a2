/* Cursors: a position and the tag of the log up to there, in text [ASP-CUR-1]. */
#ifndef REFERENCE_SERVER_CURSOR_H
#define REFERENCE_SERVER_CURSOR_H

#include "protocol/athena_protocol.h"

enum { CURSOR_BYTES = 16, CURSOR_TEXT_LEN = 22 };

struct cursor {
    uint64_t position;
    uint64_t tag;
};

/* Writes 22 characters and a NUL. */
void cursor_format(char text[static CURSOR_TEXT_LEN + 1], struct cursor cursor);
/* False for a text that this server never gave. Whether the tag is right is the store's to say. */
bool cursor_parse(struct cursor *cursor, struct athena_text_view text);

#endif
