#include "protocol/tests/support_spec.h"

#include <check.h>
#include <string.h>

struct athena_text_view spec_section(const char *spec, const char *heading) {
    const char *at = strstr(spec, heading);
    while (at && at > spec && at[-1] != '\n')
        at = strstr(at + 1, heading);
    ck_assert_msg(at != NULL, "the specification has no %s", heading);
    const char *end = strstr(at, "\n#");
    return (struct athena_text_view){at, end ? (size_t)(end - at) : strlen(at)};
}

static struct athena_text_view next_line(struct athena_text_view *text) {
    const char *end = memchr(text->at, '\n', text->len);
    size_t len = end ? (size_t)(end - text->at) : text->len;
    struct athena_text_view line = {text->at, len};
    text->at += end ? len + 1 : len;
    text->len -= end ? len + 1 : len;
    return line;
}

static bool is_margin(char ch) {
    return ch == ' ' || ch == '`';
}

static struct athena_text_view trim(struct athena_text_view cell) {
    while (cell.len && is_margin(cell.at[0]))
        cell = (struct athena_text_view){cell.at + 1, cell.len - 1};
    while (cell.len && is_margin(cell.at[cell.len - 1]))
        cell.len--;
    return cell;
}

/* Cells between the bars of a line that begins and ends with one. */
static void split(struct athena_text_view line, struct spec_row *row) {
    row->len = 0;
    const char *at = line.at + 1;
    const char *end = line.at + line.len;
    while (at < end) {
        const char *bar = memchr(at, '|', (size_t)(end - at));
        ck_assert_msg(bar && row->len < SPEC_CELLS_MAX, "not a table: %.*s", (int)line.len,
                      line.at);
        row->cells[row->len++] = trim((struct athena_text_view){at, (size_t)(bar - at)});
        at = bar + 1;
    }
}

bool spec_next_row(struct athena_text_view *section, struct spec_row *row) {
    while (section->len) {
        struct athena_text_view line = next_line(section);
        if (line.len == 0 || line.at[0] != '|')
            continue;
        struct athena_text_view rest = *section;
        bool is_title = rest.len > 2 && memcmp(rest.at, "| -", 3) == 0;
        bool is_rule = line.len > 2 && memcmp(line.at, "| -", 3) == 0;
        if (is_title || is_rule)
            continue;
        split(line, row);
        return true;
    }
    return false;
}

bool spec_block(struct athena_text_view section, size_t index, struct athena_text_view *block) {
    size_t fences = 0;
    while (section.len) {
        struct athena_text_view line = next_line(&section);
        if (line.len < 3 || memcmp(line.at, "```", 3) != 0)
            continue;
        if (fences == 2 * index)
            block->at = section.at;
        if (fences == 2 * index + 1) {
            block->len = (size_t)(line.at - block->at);
            return true;
        }
        fences++;
    }
    return false;
}

static bool is_white(char ch) {
    return ch == ' ' || ch == '\n';
}

/* Whether the section goes on so from `at`. */
static bool goes_on(struct athena_text_view section, size_t at, const char *text) {
    while (*text && at < section.len) {
        if (is_white(*text) ? !is_white(section.at[at]) : *text != section.at[at])
            return false;
        bool was_white = is_white(*text);
        do
            text++;
        while (was_white && is_white(*text));
        do
            at++;
        while (was_white && at < section.len && is_white(section.at[at]));
    }
    return !*text;
}

bool spec_has(struct athena_text_view section, const char *text) {
    for (size_t at = 0; at < section.len; at++)
        if (goes_on(section, at, text))
            return true;
    return false;
}

bool cell_is(struct athena_text_view cell, const char *text) {
    return cell.len == strlen(text) && memcmp(cell.at, text, cell.len) == 0;
}
