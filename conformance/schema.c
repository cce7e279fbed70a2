#include "conformance/schema.h"

#include "conformance/file.h"
#include "conformance/json_same.h"
#include "conformance/json_write.h"
#include "conformance/memory.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char SUFFIX[] = ".schema.json";
static const char ANNOTATIONS[] =
    " $schema $id $defs $comment title description examples default deprecated ";

/* One validation under way. */
struct check {
    struct schema_set *set; /* only its cache of patterns changes */
    const cJSON *root;
    const char *pointer;
    unsigned depth;
    struct schema_fault *fault; /* NULL inside oneOf, anyOf and not: nobody asks why */
};

typedef bool rule_check(const struct check *check, const cJSON *rule, const cJSON *schema,
                        const cJSON *value);

static bool validate(const struct check *check, const cJSON *schema, const cJSON *value);

__attribute__((format(printf, 2, 3))) static bool refuse(const struct check *check,
                                                         const char *format, ...) {
    if (check->fault != NULL && check->fault->text == NULL) {
        va_list arguments;
        va_start(arguments, format);
        check->fault->text = memory_format_list(format, arguments);
        va_end(arguments);
        check->fault->pointer = memory_copy_text(check->pointer);
    }
    return false;
}

/* Checks a part of the value, called `step` in the pointer. */
static bool validate_inside(const struct check *check, const char *step, const cJSON *schema,
                            const cJSON *value) {
    char *pointer = memory_format("%s/%s", check->pointer, step);
    struct check inside = *check;
    inside.pointer = pointer;
    bool ok = validate(&inside, schema, value);
    free(pointer);
    return ok;
}

/* ---- Rules ----------------------------------------------------------------------------------- */

static bool is_integer(const cJSON *value) {
    static const double exact = 9007199254740992.0; /* 2^53: beyond, every double is whole */
    double number = cJSON_IsNumber(value) ? value->valuedouble : 0.5;
    return number >= exact || number <= -exact || (double)(int64_t)number == number;
}

static bool has_type(const cJSON *value, const char *type) {
    return (strcmp(type, "object") == 0 && cJSON_IsObject(value)) ||
           (strcmp(type, "array") == 0 && cJSON_IsArray(value)) ||
           (strcmp(type, "string") == 0 && cJSON_IsString(value)) ||
           (strcmp(type, "integer") == 0 && is_integer(value)) ||
           (strcmp(type, "number") == 0 && cJSON_IsNumber(value)) ||
           (strcmp(type, "boolean") == 0 && cJSON_IsBool(value)) ||
           (strcmp(type, "null") == 0 && cJSON_IsNull(value));
}

static bool check_type(const struct check *check, const cJSON *rule, const cJSON *schema,
                       const cJSON *value) {
    (void)schema;
    const cJSON *type;
    if (cJSON_IsString(rule))
        return has_type(value, rule->valuestring) ||
               refuse(check, "must be of type %s", rule->valuestring);
    cJSON_ArrayForEach(type, rule) {
        if (cJSON_IsString(type) && has_type(value, type->valuestring))
            return true;
    }
    return refuse(check, "is of none of the allowed types");
}

static bool check_const(const struct check *check, const cJSON *rule, const cJSON *schema,
                        const cJSON *value) {
    (void)schema;
    if (json_same(rule, value))
        return true;
    char *expected = json_write(rule);
    refuse(check, "must be %s", expected);
    free(expected);
    return false;
}

static bool check_enum(const struct check *check, const cJSON *rule, const cJSON *schema,
                       const cJSON *value) {
    (void)schema;
    const cJSON *allowed;
    cJSON_ArrayForEach(allowed, rule) {
        if (json_same(allowed, value))
            return true;
    }
    char *expected = json_write(rule);
    refuse(check, "must be one of %s", expected);
    free(expected);
    return false;
}

static bool check_required(const struct check *check, const cJSON *rule, const cJSON *schema,
                           const cJSON *value) {
    (void)schema;
    const cJSON *name;
    cJSON_ArrayForEach(name, rule) {
        if (cJSON_IsObject(value) &&
            cJSON_GetObjectItemCaseSensitive(value, name->valuestring) == NULL)
            return refuse(check, "must have the member \"%s\"", name->valuestring);
    }
    return true;
}

static bool check_properties(const struct check *check, const cJSON *rule, const cJSON *schema,
                             const cJSON *value) {
    (void)schema;
    const cJSON *property;
    cJSON_ArrayForEach(property, rule) {
        const cJSON *member = cJSON_IsObject(value)
                                  ? cJSON_GetObjectItemCaseSensitive(value, property->string)
                                  : NULL;
        if (member != NULL && !validate_inside(check, property->string, property, member))
            return false;
    }
    return true;
}

static bool check_additional(const struct check *check, const cJSON *rule, const cJSON *schema,
                             const cJSON *value) {
    const cJSON *known = cJSON_GetObjectItemCaseSensitive(schema, "properties");
    const cJSON *member;
    if (!cJSON_IsObject(value))
        return true;
    cJSON_ArrayForEach(member, value) {
        if (cJSON_GetObjectItemCaseSensitive(known, member->string) != NULL)
            continue;
        if (cJSON_IsFalse(rule))
            return refuse(check, "must not have the member \"%s\"", member->string);
        if (!validate_inside(check, member->string, rule, member))
            return false;
    }
    return true;
}

static bool check_items(const struct check *check, const cJSON *rule, const cJSON *schema,
                        const cJSON *value) {
    (void)schema;
    const cJSON *item;
    unsigned index = 0;
    char step[16];
    if (!cJSON_IsArray(value))
        return true;
    cJSON_ArrayForEach(item, value) {
        snprintf(step, sizeof step, "%u", index++);
        if (!validate_inside(check, step, rule, item))
            return false;
    }
    return true;
}

static bool check_unique(const struct check *check, const cJSON *rule, const cJSON *schema,
                         const cJSON *value) {
    (void)schema;
    if (!cJSON_IsTrue(rule) || !cJSON_IsArray(value))
        return true;
    for (const cJSON *a = value->child; a != NULL; a = a->next)
        for (const cJSON *b = a->next; b != NULL; b = b->next)
            if (json_same(a, b))
                return refuse(check, "must not have equal elements");
    return true;
}

/* Characters, as JSON Schema counts them: code points. */
static size_t text_len(const char *text) {
    size_t len = 0;
    for (; *text != '\0'; text++)
        len += ((unsigned char)*text & 0xC0) != 0x80;
    return len;
}

/* The bounds: one shape, told apart by the rule's own name. */
static bool check_bound(const struct check *check, const cJSON *rule, const cJSON *schema,
                        const cJSON *value) {
    (void)schema;
    const char *name = rule->string;
    double size;
    if (strstr(name, "Items") != NULL && cJSON_IsArray(value))
        size = cJSON_GetArraySize(value);
    else if (strstr(name, "Length") != NULL && cJSON_IsString(value))
        size = (double)text_len(value->valuestring);
    else if (strstr(name, "imum") != NULL && cJSON_IsNumber(value))
        size = value->valuedouble;
    else
        return true;
    bool ok = name[1] == 'i' ? size >= rule->valuedouble : size <= rule->valuedouble;
    return ok || refuse(check, "breaks %s %.0f (it is %.0f)", name, rule->valuedouble, size);
}

static const regex_t *compile(struct schema_set *set, const cJSON *rule);

static bool check_pattern(const struct check *check, const cJSON *rule, const cJSON *schema,
                          const cJSON *value) {
    (void)schema;
    if (!cJSON_IsString(value))
        return true;
    const regex_t *regex = compile(check->set, rule);
    return (regex != NULL && regexec(regex, value->valuestring, 0, NULL, 0) == 0) ||
           refuse(check, "must match %s", rule->valuestring);
}

/* How many of the alternatives accept the value. */
static unsigned count_accepting(const struct check *check, const cJSON *alternatives,
                                const cJSON *value) {
    struct check quiet = *check;
    const cJSON *alternative;
    unsigned accepting = 0;
    quiet.fault = NULL;
    cJSON_ArrayForEach(alternative, alternatives) accepting += validate(&quiet, alternative, value);
    return accepting;
}

/* Says why each of the alternatives refuses the value. */
static bool refuse_all(const struct check *check, const cJSON *alternatives, const cJSON *value) {
    struct bytes reasons = {0};
    const cJSON *alternative;
    if (check->fault == NULL)
        return false;
    cJSON_ArrayForEach(alternative, alternatives) {
        struct schema_fault fault = {0};
        struct check inside = *check;
        inside.fault = &fault;
        validate(&inside, alternative, value);
        char *reason = memory_format(
            "%s%s%s%s", reasons.len > 0 ? "; or " : "", fault.pointer + strlen(check->pointer),
            strlen(fault.pointer) > strlen(check->pointer) ? " " : "", fault.text);
        bytes_append(&reasons, reason, strlen(reason));
        free(reason);
        schema_fault_fini(&fault);
    }
    bytes_append(&reasons, "", 1);
    refuse(check, "matches none of %d forms: %s", cJSON_GetArraySize(alternatives),
           (char *)reasons.at);
    bytes_fini(&reasons);
    return false;
}

static bool check_one_of(const struct check *check, const cJSON *rule, const cJSON *schema,
                         const cJSON *value) {
    (void)schema;
    unsigned accepting = count_accepting(check, rule, value);
    if (accepting == 0)
        return refuse_all(check, rule, value);
    return accepting == 1 || refuse(check, "must match exactly one of %d forms, matches %u",
                                    cJSON_GetArraySize(rule), accepting);
}

static bool check_any_of(const struct check *check, const cJSON *rule, const cJSON *schema,
                         const cJSON *value) {
    (void)schema;
    return count_accepting(check, rule, value) > 0 || refuse_all(check, rule, value);
}

static bool check_all_of(const struct check *check, const cJSON *rule, const cJSON *schema,
                         const cJSON *value) {
    (void)schema;
    const cJSON *part;
    cJSON_ArrayForEach(part, rule) {
        if (!validate(check, part, value))
            return false;
    }
    return true;
}

static bool check_not(const struct check *check, const cJSON *rule, const cJSON *schema,
                      const cJSON *value) {
    (void)schema;
    struct check quiet = *check;
    quiet.fault = NULL;
    return !validate(&quiet, rule, value) || refuse(check, "matches what it must not");
}

static const cJSON *resolve(const struct schema_set *set, const cJSON *root, const char *reference,
                            const cJSON **new_root);

static bool check_ref(const struct check *check, const cJSON *rule, const cJSON *schema,
                      const cJSON *value) {
    (void)schema;
    struct check there = *check;
    const cJSON *target = resolve(check->set, check->root, rule->valuestring, &there.root);
    return target != NULL
               ? validate(&there, target, value)
               : refuse(check, "(the schema's $ref %s leads nowhere)", rule->valuestring);
}

static const struct rule {
    const char *name;
    rule_check *check;
} RULES[] = {{"$ref", check_ref},
             {"type", check_type},
             {"const", check_const},
             {"enum", check_enum},
             {"required", check_required},
             {"properties", check_properties},
             {"additionalProperties", check_additional},
             {"items", check_items},
             {"uniqueItems", check_unique},
             {"minItems", check_bound},
             {"maxItems", check_bound},
             {"minLength", check_bound},
             {"maxLength", check_bound},
             {"minimum", check_bound},
             {"maximum", check_bound},
             {"pattern", check_pattern},
             {"oneOf", check_one_of},
             {"anyOf", check_any_of},
             {"allOf", check_all_of},
             {"not", check_not}};
enum { RULES_LEN = sizeof RULES / sizeof *RULES };

static bool validate(const struct check *check, const cJSON *schema, const cJSON *value) {
    struct check deeper = *check;
    if (cJSON_IsBool(schema))
        return cJSON_IsTrue(schema) || refuse(check, "must not be there");
    if (++deeper.depth > SCHEMA_DEPTH_MAX)
        return refuse(check, "(the schema nests deeper than %d)", SCHEMA_DEPTH_MAX);
    for (size_t i = 0; i < RULES_LEN; i++) {
        const cJSON *rule = cJSON_GetObjectItemCaseSensitive(schema, RULES[i].name);
        if (rule != NULL && !RULES[i].check(&deeper, rule, schema, value))
            return false;
    }
    return true;
}

bool schema_check(struct schema_set *set, const cJSON *root, const cJSON *schema,
                  const cJSON *value, struct schema_fault *fault) {
    struct check check = {.set = set, .root = root, .pointer = "", .fault = fault};
    *fault = (struct schema_fault){0};
    return validate(&check, schema, value);
}

void schema_fault_fini(struct schema_fault *fault) {
    free(fault->pointer);
    free(fault->text);
    *fault = (struct schema_fault){0};
}

/* ---- The set of files ------------------------------------------------------------------------ */

struct schema_set {
    struct schema_file {
        char *name; /* without its folder */
        cJSON *root;
    } * files;
    size_t files_len;
    struct schema_pattern {
        const cJSON *rule;
        regex_t regex;
        bool valid;
    } * *patterns;
    size_t patterns_len;
};

struct schema_set *schema_set_new(void) {
    return memory_take(sizeof(struct schema_set));
}

void schema_set_free(struct schema_set *set) {
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->files_len; i++) {
        free(set->files[i].name);
        cJSON_Delete(set->files[i].root);
    }
    for (size_t i = 0; i < set->patterns_len; i++) {
        if (set->patterns[i]->valid)
            regfree(&set->patterns[i]->regex);
        free(set->patterns[i]);
    }
    free(set->files);
    free(set->patterns);
    free(set);
}

/* Each pattern is compiled once; NULL when it is not valid. */
static const regex_t *compile(struct schema_set *set, const cJSON *rule) {
    for (size_t i = 0; i < set->patterns_len; i++)
        if (set->patterns[i]->rule == rule)
            return set->patterns[i]->valid ? &set->patterns[i]->regex : NULL;
    struct schema_pattern *pattern = memory_take(sizeof *pattern);
    pattern->rule = rule;
    pattern->valid = cJSON_IsString(rule) &&
                     regcomp(&pattern->regex, rule->valuestring, REG_EXTENDED | REG_NOSUB) == 0;
    set->patterns =
        memory_grow(set->patterns, (set->patterns_len + 1) * sizeof(struct schema_pattern *));
    set->patterns[set->patterns_len++] = pattern;
    return pattern->valid ? &pattern->regex : NULL;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

const cJSON *schema_set_find(const struct schema_set *set, const char *name) {
    for (size_t i = 0; i < set->files_len; i++)
        if (strcmp(set->files[i].name, base_name(name)) == 0)
            return set->files[i].root;
    return NULL;
}

/* Follows FILE#/a/b. A $id or a relative folder before the file's name makes no difference. */
static const cJSON *resolve(const struct schema_set *set, const cJSON *root, const char *reference,
                            const cJSON **new_root) {
    const char *hash = strchrnul(reference, '#');
    char *file = strndup(reference, (size_t)(hash - reference));
    const cJSON *at = *file != '\0' ? schema_set_find(set, file) : root;
    free(file);
    *new_root = at;
    const char *step = *hash == '#' ? hash + 1 : hash;
    while (at != NULL && *step == '/') {
        size_t len = strcspn(step + 1, "/");
        char *name = strndup(step + 1, len);
        at = cJSON_GetObjectItemCaseSensitive(at, name);
        free(name);
        step += 1 + len;
    }
    return *step == '\0' ? at : NULL;
}

static bool is_rule(const char *name) {
    char *annotation = memory_format(" %s ", name);
    bool known = strstr(ANNOTATIONS, annotation) != NULL;
    free(annotation);
    for (size_t i = 0; i < RULES_LEN && !known; i++)
        known = strcmp(RULES[i].name, name) == 0;
    return known;
}

static bool is_schema_map(const char *name) {
    return strcmp(name, "properties") == 0 || strcmp(name, "$defs") == 0;
}

static bool holds_data(const char *name) {
    return strcmp(name, "const") == 0 || strcmp(name, "enum") == 0 ||
           strcmp(name, "examples") == 0 || strcmp(name, "default") == 0 ||
           strcmp(name, "required") == 0;
}

/* Walks all schemas inside `schema`; `map` says that its members' names are free. */
static bool understand(struct schema_set *set, const cJSON *root, const cJSON *schema, bool map,
                       char **error) {
    const cJSON *member;
    const cJSON *ignored;
    cJSON_ArrayForEach(member, schema) {
        const char *name = member->string;
        if (name != NULL && !map && !is_rule(name))
            *error = memory_format("unknown keyword \"%s\"", name);
        else if (name != NULL && !map && strcmp(name, "$ref") == 0 && set != NULL &&
                 resolve(set, root, member->valuestring, &ignored) == NULL)
            *error = memory_format("$ref \"%s\" leads nowhere", member->valuestring);
        else if (name != NULL && !map && strcmp(name, "pattern") == 0 && set != NULL &&
                 compile(set, member) == NULL)
            *error = memory_format("pattern \"%s\" is not valid", member->valuestring);
        else if (name == NULL || map || !holds_data(name))
            understand(set, root, member, !map && name != NULL && is_schema_map(name), error);
        if (*error != NULL)
            return false;
    }
    return true;
}

bool schema_set_resolves(struct schema_set *set, char **error) {
    for (size_t i = 0; i < set->files_len; i++) {
        char *why = NULL;
        if (!understand(set, set->files[i].root, set->files[i].root, false, &why)) {
            *error = memory_format("%s: %s", set->files[i].name, why);
            free(why);
            return false;
        }
    }
    return true;
}

static bool load_file(struct schema_set *set, const char *path, char **error) {
    char *why = NULL;
    cJSON *root = file_read_json(path, error);
    if (root == NULL)
        return false;
    if (!understand(NULL, root, root, false, &why)) {
        *error = memory_format("%s: %s", path, why);
        free(why);
        cJSON_Delete(root);
        return false;
    }
    set->files = memory_grow(set->files, (set->files_len + 1) * sizeof *set->files);
    set->files[set->files_len++] = (struct schema_file){memory_copy_text(base_name(path)), root};
    return true;
}

bool schema_set_load(struct schema_set *set, const char *path, char **error) {
    struct stat info;
    *error = NULL;
    if (stat(path, &info) == 0 && !S_ISDIR(info.st_mode))
        return load_file(set, path, error);
    glob_t found = {0};
    char *pattern = memory_format("%s/*%s", path, SUFFIX);
    bool ok = glob(pattern, 0, NULL, &found) == 0;
    if (!ok)
        *error = memory_format("%s: no file *%s here", path, SUFFIX);
    for (size_t i = 0; i < found.gl_pathc && ok; i++)
        ok = load_file(set, found.gl_pathv[i], error);
    globfree(&found);
    free(pattern);
    return ok;
}
