#include "conformance/match.h"

#include "conformance/base64url.h"
#include "conformance/json_same.h"
#include "conformance/json_write.h"
#include "conformance/memory.h"
#include "conformance/printable.h"
#include "conformance/value.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BRIEF_TEXT_MAX = 60, BRIEF_ITEMS_MAX = 6, BRIEF_VALUES_MAX = 200, MATCH_DEPTH_MAX = 32 };

struct matching {
    const char *pointer;
    unsigned depth;
    cJSON *saved;
    struct match_fault *fault;
};

typedef bool matcher(const struct matching *matching, const cJSON *argument, const cJSON *operation,
                     const cJSON *value);

static bool match(const struct matching *matching, const cJSON *expected, const cJSON *value);

/* ---- Telling --------------------------------------------------------------------------------- */

static char *shorten_text(const char *text) {
    size_t len = strlen(text);
    return len > BRIEF_TEXT_MAX ? memory_format("%.*s… (%zu bytes)", BRIEF_TEXT_MAX - 20, text, len)
                                : memory_copy_text(text);
}

static void add_brief(cJSON *to, const cJSON *item, cJSON *value) {
    if (cJSON_IsArray(to)) {
        cJSON_AddItemToArray(to, value);
        return;
    }
    char *name = shorten_text(item != NULL ? item->string : "…");
    cJSON_AddItemToObject(to, name, value);
    free(name);
}

/* `left`: how many values there may be in the whole. */
static cJSON *shorten(const cJSON *value, unsigned *left) {
    bool is_array = cJSON_IsArray(value);
    if (!is_array && !cJSON_IsObject(value)) {
        char *text = cJSON_IsString(value) ? shorten_text(value->valuestring) : NULL;
        cJSON *scalar = text != NULL ? cJSON_CreateString(text) : cJSON_Duplicate(value, true);
        free(text);
        return scalar;
    }
    cJSON *brief = is_array ? cJSON_CreateArray() : cJSON_CreateObject();
    unsigned items = 0;
    unsigned kept = 0;
    for (const cJSON *item = value->child; item != NULL; item = item->next, items++) {
        if (*left == 0 || (is_array && kept == BRIEF_ITEMS_MAX))
            continue;
        (*left)--;
        kept++;
        add_brief(brief, item, shorten(item, left));
    }
    if (items > kept) {
        char *rest = memory_format("… %u more", items - kept);
        add_brief(brief, NULL, cJSON_CreateString(rest));
        free(rest);
    }
    return brief;
}

char *match_brief(const cJSON *value) {
    unsigned left = BRIEF_VALUES_MAX;
    if (value == NULL)
        return memory_copy_text("nothing");
    cJSON *brief = shorten(value, &left);
    char *raw = json_write(brief);
    char *text = printable_copy(raw);
    cJSON_Delete(brief);
    free(raw);
    return text;
}

static bool differ(const struct matching *matching, const cJSON *expected, const cJSON *value) {
    if (matching->fault == NULL || matching->fault->text != NULL)
        return false;
    char *wanted = match_brief(expected);
    char *got = match_brief(value);
    matching->fault->pointer = memory_copy_text(matching->pointer);
    matching->fault->text = memory_format("expected %s, received %s", wanted, got);
    free(wanted);
    free(got);
    return false;
}

/* ---- Matchers -------------------------------------------------------------------------------- */

static bool match_any(const struct matching *matching, const cJSON *argument,
                      const cJSON *operation, const cJSON *value) {
    (void)argument;
    return value != NULL || differ(matching, operation, value);
}

static bool match_absent(const struct matching *matching, const cJSON *argument,
                         const cJSON *operation, const cJSON *value) {
    (void)argument;
    return value == NULL || differ(matching, operation, value);
}

static bool match_type(const struct matching *matching, const cJSON *argument,
                       const cJSON *operation, const cJSON *value) {
    const char *type = cJSON_IsString(argument) ? argument->valuestring : "";
    bool ok = (strcmp(type, "string") == 0 && cJSON_IsString(value)) ||
              (strcmp(type, "integer") == 0 && cJSON_IsNumber(value)) ||
              (strcmp(type, "boolean") == 0 && cJSON_IsBool(value)) ||
              (strcmp(type, "array") == 0 && cJSON_IsArray(value)) ||
              (strcmp(type, "object") == 0 && cJSON_IsObject(value));
    return ok || differ(matching, operation, value);
}

static bool match_base64(const struct matching *matching, const cJSON *argument,
                         const cJSON *operation, const cJSON *value) {
    struct bytes bytes = {0};
    bool ok = cJSON_IsString(value) && base64url_decode(value->valuestring, &bytes) &&
              (!cJSON_IsNumber(argument) || (double)bytes.len == argument->valuedouble);
    bytes_fini(&bytes);
    return ok || differ(matching, operation, value);
}

static bool match_one_of(const struct matching *matching, const cJSON *argument,
                         const cJSON *operation, const cJSON *value) {
    struct matching quiet = *matching;
    const cJSON *choice;
    quiet.fault = NULL;
    cJSON_ArrayForEach(choice, argument) {
        if (match(&quiet, choice, value))
            return true;
    }
    return differ(matching, operation, value);
}

static bool match_not(const struct matching *matching, const cJSON *argument,
                      const cJSON *operation, const cJSON *value) {
    struct matching quiet = {.pointer = matching->pointer, .depth = matching->depth};
    return (value != NULL && !match(&quiet, argument, value)) || differ(matching, operation, value);
}

/* Crosses each element of `wanted` and of `items` off that has a partner in the other, first fit:
 * what scenarios list excludes each other. */
static void pair_up(const struct matching *matching, cJSON *wanted, cJSON *items) {
    struct matching quiet = *matching;
    quiet.fault = NULL;
    for (cJSON *next, *expected = wanted->child; expected != NULL; expected = next) {
        cJSON *item = items->child;
        next = expected->next;
        while (item != NULL && !match(&quiet, expected, item))
            item = item->next;
        if (item == NULL)
            continue;
        cJSON_Delete(cJSON_DetachItemViaPointer(items, item));
        cJSON_Delete(cJSON_DetachItemViaPointer(wanted, expected));
    }
}

static bool match_some(const struct matching *matching, const cJSON *argument,
                       const cJSON *operation, const cJSON *value, bool all) {
    if (!cJSON_IsArray(value) || !cJSON_IsArray(argument))
        return differ(matching, operation, value);
    cJSON *missing = cJSON_Duplicate(argument, true);
    cJSON *strangers = cJSON_Duplicate(value, true);
    pair_up(matching, missing, strangers);
    bool ok = missing->child == NULL && (!all || strangers->child == NULL);
    if (!ok && matching->fault != NULL && matching->fault->text == NULL) {
        char *lacks = match_brief(missing);
        char *extra = match_brief(strangers);
        matching->fault->pointer = memory_copy_text(matching->pointer);
        matching->fault->text = all ? memory_format("missing %s, not expected %s", lacks, extra)
                                    : memory_format("missing %s", lacks);
        free(lacks);
        free(extra);
    }
    cJSON_Delete(missing);
    cJSON_Delete(strangers);
    return ok;
}

static bool match_set(const struct matching *matching, const cJSON *argument,
                      const cJSON *operation, const cJSON *value) {
    return match_some(matching, argument, operation, value, true);
}

static bool match_contains(const struct matching *matching, const cJSON *argument,
                           const cJSON *operation, const cJSON *value) {
    return match_some(matching, argument, operation, value, false);
}

static bool match_range(const struct matching *matching, const cJSON *argument,
                        const cJSON *operation, const cJSON *value) {
    const cJSON *least = cJSON_GetArrayItem(argument, 0);
    const cJSON *most = cJSON_GetArrayItem(argument, 1);
    bool ok = cJSON_IsNumber(value) && cJSON_IsNumber(least) && cJSON_IsNumber(most) &&
              value->valuedouble >= least->valuedouble && value->valuedouble <= most->valuedouble;
    return ok || differ(matching, operation, value);
}

static bool match_pattern(const struct matching *matching, const cJSON *argument,
                          const cJSON *operation, const cJSON *value) {
    regex_t regex;
    bool ok = cJSON_IsString(value) && cJSON_IsString(argument) &&
              regcomp(&regex, argument->valuestring, REG_EXTENDED | REG_NOSUB) == 0;
    if (ok) {
        ok = regexec(&regex, value->valuestring, 0, NULL, 0) == 0;
        regfree(&regex);
    }
    return ok || differ(matching, operation, value);
}

static bool match_save(const struct matching *matching, const cJSON *argument,
                       const cJSON *operation, const cJSON *value) {
    const cJSON *as = cJSON_GetObjectItemCaseSensitive(operation, "as");
    if (value == NULL)
        return differ(matching, operation, value);
    if (as != NULL && !match(matching, as, value))
        return false;
    if (matching->saved != NULL) {
        cJSON_DeleteItemFromObjectCaseSensitive(matching->saved, argument->valuestring);
        cJSON_AddItemToObject(matching->saved, argument->valuestring, cJSON_Duplicate(value, true));
    }
    return true;
}

static const struct {
    const char *name;
    matcher *matcher;
} MATCHERS[] = {
    {"$any", match_any},       {"$absent", match_absent},  {"$type", match_type},
    {"$base64", match_base64}, {"$one_of", match_one_of},  {"$not", match_not},
    {"$set", match_set},       {"$range", match_range},    {"$contains", match_contains},
    {"$save", match_save},     {"$pattern", match_pattern}};

static matcher *find_matcher(const char *name) {
    for (size_t i = 0; i < sizeof MATCHERS / sizeof *MATCHERS; i++)
        if (strcmp(MATCHERS[i].name, name) == 0)
            return MATCHERS[i].matcher;
    return NULL;
}

bool match_knows(const char *operator) {
    return find_matcher(operator) != NULL;
}

const char *match_name(size_t index) {
    return index < sizeof MATCHERS / sizeof *MATCHERS ? MATCHERS[index].name : NULL;
}

/* ---- Structure ------------------------------------------------------------------------------- */

static bool match_inside(const struct matching *matching, const char *step, const cJSON *expected,
                         const cJSON *value) {
    char *pointer = memory_format("%s/%s", matching->pointer, step);
    struct matching inside = *matching;
    inside.pointer = pointer;
    bool ok = match(&inside, expected, value);
    free(pointer);
    return ok;
}

static bool match_object(const struct matching *matching, const cJSON *expected,
                         const cJSON *value) {
    const cJSON *member;
    if (!cJSON_IsObject(value))
        return differ(matching, expected, value);
    cJSON_ArrayForEach(member, expected) {
        if (!match_inside(matching, member->string, member,
                          cJSON_GetObjectItemCaseSensitive(value, member->string)))
            return false;
    }
    return true;
}

static bool match_array(const struct matching *matching, const cJSON *expected,
                        const cJSON *value) {
    char step[16];
    unsigned index = 0;
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(expected) != cJSON_GetArraySize(value))
        return differ(matching, expected, value);
    const cJSON *item = value->child;
    for (const cJSON *wanted = expected->child; wanted != NULL; wanted = wanted->next) {
        snprintf(step, sizeof step, "%u", index++);
        if (!match_inside(matching, step, wanted, item))
            return false;
        item = item->next;
    }
    return true;
}

static bool match(const struct matching *matching, const cJSON *expected, const cJSON *value) {
    struct matching deeper = *matching;
    if (++deeper.depth > MATCH_DEPTH_MAX)
        return differ(matching, expected, value);
    const cJSON *operation = value_operator(expected);
    matcher *found = operation != NULL ? find_matcher(operation->string) : NULL;
    if (found != NULL)
        return found(&deeper, operation, expected, value);
    if (cJSON_IsObject(expected))
        return match_object(&deeper, expected, value);
    if (cJSON_IsArray(expected))
        return match_array(&deeper, expected, value);
    return json_same(expected, value) || differ(matching, expected, value);
}

bool match_value(const cJSON *expected, const cJSON *value, cJSON *saved,
                 struct match_fault *fault) {
    cJSON *kept = cJSON_CreateObject();
    struct matching matching = {.pointer = "", .saved = kept, .fault = fault};
    if (fault != NULL)
        *fault = (struct match_fault){0};
    bool ok = match(&matching, expected, value);
    while (ok && saved != NULL && kept->child != NULL) {
        cJSON *item = cJSON_DetachItemViaPointer(kept, kept->child);
        cJSON_DeleteItemFromObjectCaseSensitive(saved, item->string);
        cJSON_AddItemToObject(saved, item->string, item);
    }
    cJSON_Delete(kept);
    return ok;
}

void match_fault_fini(struct match_fault *fault) {
    free(fault->pointer);
    free(fault->text);
    *fault = (struct match_fault){0};
}
