/* A line of a transcript in a few words: what kind of message, and what in it tells it from others.
 */
#include "conformance/format.h"
#include "conformance/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    PLAIN_BYTES = 160, /* of a line that is no message */
    VALUE_BYTES = 80,
    OPAQUE_BYTES = 24, /* texts above it say nothing to people */
    CURSOR_BYTES = 40, /* of one that match_brief did not shorten */
    SHORT_BYTES = 7,
};

/* What a message is called by, in the order of precedence. */
static const char *const NAMES[] = {"type", "event", "cmd"};
enum { NAMES_LEN = sizeof NAMES / sizeof *NAMES };

void format_write_cut(FILE *out, const char *text, size_t bytes) {
    size_t len = strlen(text);
    bool is_cut = len > bytes;
    if (is_cut)
        len = bytes;
    while (is_cut && len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    format_write_content(out, text, len);
    if (is_cut)
        fputs("…", out);
}

static bool is_one_of(const char *name, const char *const *names, size_t names_len) {
    for (size_t i = 0; i < names_len; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static const cJSON *find_name(const cJSON *message) {
    for (size_t i = 0; i < NAMES_LEN; i++) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(message, NAMES[i]);
        if (cJSON_IsString(name))
            return name;
    }
    return NULL;
}

/* Elements of an array before match_brief shortened it. */
static unsigned long count_elements(const cJSON *array) {
    static const char rest[] = "… ";
    unsigned long count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, array) {
        bool is_rest = item->next == NULL && cJSON_IsString(item) &&
                       strncmp(item->valuestring, rest, sizeof rest - 1) == 0;
        count += is_rest ? strtoul(item->valuestring + sizeof rest - 1, NULL, 10) : 1;
    }
    return count;
}

/* "1 change", "7 ids", "1 rejected too-large"; nothing of an empty one that could be left out. */
static void write_array(FILE *out, const cJSON *array) {
    static const char *const always[] = {"changes", "ids"};
    const char *name = array->string;
    unsigned long count = count_elements(array);
    size_t len = strlen(name);
    if (count == 0 && !is_one_of(name, always, sizeof always / sizeof *always))
        return;
    if (count == 1 && len > 1 && name[len - 1] == 's')
        len--;
    fprintf(out, " %lu ", count);
    format_write_content(out, name, len);
    const char *code = format_text(cJSON_GetArrayItem(array, 0), "code");
    if (*code != '\0')
        fputc(' ', out);
    format_write_cut(out, code, OPAQUE_BYTES);
}

static void write_number(FILE *out, const cJSON *member) {
    char number[32];
    snprintf(number, sizeof number, " %.0f", member->valuedouble);
    fputc(' ', out);
    format_write_cut(out, member->string, OPAQUE_BYTES);
    fputs(cJSON_IsNumber(member) ? number : cJSON_IsTrue(member) ? "" : " false", out);
}

/* Of a request, or of a command to a driver: it comes last. */
static bool is_number_of_message(const cJSON *member) {
    static const char *const names[] = {"req", "id"};
    return cJSON_IsNumber(member) && is_one_of(member->string, names, sizeof names / sizeof *names);
}

/* What matters first: how many, and the code of an error. */
static void write_matter(FILE *out, const cJSON *member) {
    if (cJSON_IsArray(member)) {
        write_array(out, member);
    } else if (strcmp(member->string, "code") == 0 && cJSON_IsString(member)) {
        fputc(' ', out);
        format_write_cut(out, member->valuestring, VALUE_BYTES);
    } else if ((cJSON_IsNumber(member) || cJSON_IsBool(member)) && !is_number_of_message(member)) {
        write_number(out, member);
    }
}

/* Enough of an identifier to find it in the transcript: what is behind the actor, if that is there.
 */
static void write_short(FILE *out, const char *text) {
    const char *colon = strchr(text, ':');
    format_write_cut(out, colon != NULL ? colon + 1 : text, SHORT_BYTES);
}

/* Cursors begin alike: their end. */
static void write_cursor(FILE *out, const char *text) {
    size_t len = strlen(text);
    if (len > CURSOR_BYTES) {
        write_short(out, text);
        return;
    }
    if (len > SHORT_BYTES) {
        fputs("…", out);
        text += len - SHORT_BYTES;
    }
    while (((unsigned char)*text & 0xC0) == 0x80)
        text++;
    format_write_content(out, text, strlen(text));
}

/* Which change, where it is only one. */
static void write_only_id(FILE *out, const cJSON *array) {
    const cJSON *item = cJSON_GetArrayItem(array, 0);
    const char *id = cJSON_IsString(item) ? item->valuestring : format_text(item, "id");
    if (cJSON_GetArraySize(array) != 1 || *id == '\0')
        return;
    fputc(' ', out);
    write_short(out, id);
}

static void write_text(FILE *out, const char *name, const char *text) {
    bool is_id = strcmp(name, "id") == 0;
    bool is_message = strcmp(name, "message") == 0;
    bool is_cursor = strcmp(name, "cursor") == 0 || strcmp(name, "after") == 0;
    bool is_document = strcmp(name, "doc") == 0;
    if (!is_id && !is_message && !is_cursor && !is_document && strlen(text) > OPAQUE_BYTES)
        return;
    fputc(' ', out);
    format_write_cut(out, is_id || is_message ? "" : name, OPAQUE_BYTES);
    fputs(is_id || is_message ? "" : " ", out);
    if (is_id || is_document)
        write_short(out, text);
    else if (is_cursor)
        write_cursor(out, text);
    else
        format_write_cut(out, text, VALUE_BYTES);
}

static void write_detail(FILE *out, const cJSON *member, bool names_documents) {
    const char *name = member->string;
    if (cJSON_IsArray(member))
        write_only_id(out, member);
    bool is_told = strcmp(name, "code") == 0 || is_one_of(name, NAMES, NAMES_LEN) ||
                   (strcmp(name, "doc") == 0 && !names_documents);
    if (cJSON_IsString(member) && !is_told)
        write_text(out, name, member->valuestring);
}

/* "(close 4000 )" is "close 4000". */
static void write_plain(FILE *out, const char *text) {
    size_t len = strlen(text);
    if (len < 2 || len > PLAIN_BYTES || *text != '(' || text[len - 1] != ')') {
        format_write_cut(out, text, PLAIN_BYTES);
        return;
    }
    len -= 2;
    while (len > 0 && text[len] == ' ')
        len--;
    format_write_content(out, text + 1, len);
}

/* A message of which printable_copy wrote something \xNN, which JSON does not know. */
static cJSON *parse(const char *text) {
    struct bytes json = {0};
    for (const char *at = text; *at != '\0'; at++) {
        bytes_append(&json, at, 1);
        if (*at != '\\')
            continue;
        bytes_append(&json, "\\", at[1] == 'x');
        bytes_append(&json, at + 1, at[1] != '\0');
        at += at[1] != '\0';
    }
    bytes_append(&json, "", 1);
    cJSON *message = cJSON_Parse((const char *)json.at);
    bytes_fini(&json);
    return message;
}

void format_write_label(const char *text, bool names_documents, FILE *out) {
    cJSON *message = parse(text);
    const cJSON *name = find_name(message);
    const cJSON *member;
    if (name == NULL) {
        write_plain(out, text);
        cJSON_Delete(message);
        return;
    }
    fputs("<b>", out);
    format_write_cut(out, name->valuestring, VALUE_BYTES);
    fputs("</b>", out);
    cJSON_ArrayForEach(member, message) {
        write_matter(out, member);
    }
    fputs("<i>", out);
    cJSON_ArrayForEach(member, message) {
        write_detail(out, member, names_documents);
    }
    cJSON_ArrayForEach(member, message) {
        if (is_number_of_message(member))
            write_number(out, member);
    }
    fputs("</i>", out);
    cJSON_Delete(message);
}
