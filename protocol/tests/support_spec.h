/* Reading the tables, blocks and sentences of the specification, so that a test compares the code
 * with the very text. */
#ifndef ATHENA_PROTOCOL_TESTS_SUPPORT_SPEC_H
#define ATHENA_PROTOCOL_TESTS_SUPPORT_SPEC_H

#include "protocol/athena_protocol.h"

enum { SPEC_CELLS_MAX = 6 };

/* One line of a table; the cells without white space and backquotes around them. */
struct spec_row {
    struct athena_text_view cells[SPEC_CELLS_MAX];
    size_t len;
};

/* What stands below a heading, such as "### 14.1. ", up to the next one. Fails without it. */
struct athena_text_view spec_section(const char *spec, const char *heading);
/* The next line of a table in `section`, title and rule left out, and moves behind it. */
bool spec_next_row(struct athena_text_view *section, struct spec_row *row);

/* The section's block between fences of that index, from 0, with its last line feed. False when
 * there are not so many. */
bool spec_block(struct athena_text_view section, size_t index, struct athena_text_view *block);
/* Whether the section has this text; any white space is like any other. */
bool spec_has(struct athena_text_view section, const char *text);

bool cell_is(struct athena_text_view cell, const char *text);

#endif
