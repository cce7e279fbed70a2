#include "conformance/scenario.h"

#include "conformance/file.h"
#include "conformance/json_place.h"
#include "conformance/memory.h"

#include <stdlib.h>
#include <string.h>

static const char SCHEMA_NAME[] = "scenario.schema.json";

/* ---- Checking -------------------------------------------------------------------------------- */

/* A member named twice is a slip that cJSON would hide: the second one. */
static const cJSON *find_duplicate(const cJSON *value) {
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        const cJSON *inside = find_duplicate(item);
        if (inside != NULL)
            return inside;
        for (const cJSON *other = item->next; other != NULL && item->string != NULL;
             other = other->next)
            if (strcmp(item->string, other->string) == 0)
                return other;
    }
    return NULL;
}

struct checking {
    struct schema_set *schemas;
    const cJSON *root; /* of the schema */
    const char *path;
    const char *text;
    const cJSON *json; /* made of the text */
    char **error;
};

/* False, having said what is wrong with the part of the scenario. */
static bool refuse(const struct checking *checking, const cJSON *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(const struct checking *checking, const cJSON *part, const char *format, ...) {
    const struct json_place place = json_place(checking->text, checking->json, part);
    va_list arguments;
    va_start(arguments, format);
    char *what = memory_format_list(format, arguments);
    va_end(arguments);
    *checking->error =
        memory_format("%s:%u:%u: %s", checking->path, place.line, place.column, what);
    free(what);
    return false;
}

static bool check_with(const struct checking *checking, const cJSON *schema, const cJSON *value,
                       const char *where) {
    struct schema_fault fault;
    bool ok = schema_check(checking->schemas, checking->root, schema, value, &fault);
    if (!ok)
        refuse(checking, json_at(value, fault.pointer), "%s%s: %s", where, fault.pointer,
               fault.text);
    schema_fault_fini(&fault);
    return ok;
}

static bool check_steps(const struct checking *checking, const cJSON *steps, const char *where);

/* A step's first member is its verb. Each verb has its own schema, and what a step holds is looked
 * at before the step itself: that gives better messages than one choice among all of them, by which
 * the whole file is checked afterwards. */
static bool check_step(const struct checking *checking, const cJSON *step, const char *where) {
    const char *verb = cJSON_IsObject(step) && step->child != NULL ? step->child->string : "";
    char *name = memory_format("step_%s", verb);
    const cJSON *schema =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(checking->root, "$defs"), name);
    free(name);
    if (schema == NULL)
        return refuse(checking, step, "%s: \"%s\" is no step", where, verb);
    const cJSON *branches = strcmp(verb, "parallel") == 0 ? step->child : NULL;
    const cJSON *branch;
    cJSON_ArrayForEach(branch, branches) {
        if (!check_steps(checking, branch, where))
            return false;
    }
    return check_steps(checking, cJSON_GetObjectItemCaseSensitive(step, "steps"), where) &&
           check_with(checking, schema, step, where);
}

static bool check_steps(const struct checking *checking, const cJSON *steps, const char *where) {
    const cJSON *step;
    unsigned number = 1;
    cJSON_ArrayForEach(step, steps) {
        char *here = memory_format("%s%sstep %u", where, *where != '\0' ? ", " : "", number++);
        bool ok = check_step(checking, step, here);
        free(here);
        if (!ok)
            return false;
    }
    return true;
}

static bool check_scenario(const char *path, const char *text, struct schema_set *schemas,
                           const cJSON *json, char **error) {
    const struct checking checking = {
        schemas, schema_set_find(schemas, SCHEMA_NAME), path, text, json, error};
    const cJSON *twice = find_duplicate(json);
    if (checking.root == NULL)
        return refuse(&checking, json, "%s was not found", SCHEMA_NAME);
    if (twice != NULL)
        return refuse(&checking, twice, "the member \"%s\" is there twice", twice->string);
    return check_steps(&checking, cJSON_GetObjectItem(json, "steps"), "") &&
           check_with(&checking, checking.root, json, "");
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* ".../live/relay.json" is called live/relay. */
static void name_scenario(struct scenario *scenario) {
    const char *file = strrchr(scenario->path, '/');
    const char *start = file;
    while (start != NULL && start > scenario->path && start[-1] != '/')
        start--;
    if (start == NULL)
        start = scenario->path;
    size_t len = strlen(start);
    if (len > 5 && strcmp(start + len - 5, ".json") == 0)
        len -= 5;
    scenario->name = strndup(start, len);
    scenario->family = strndup(start, strcspn(start, "/"));
}

static struct scenario *new_scenario(const char *path, const char *text, cJSON *json) {
    struct scenario *scenario = memory_take(sizeof *scenario);
    scenario->path = memory_copy_text(path);
    scenario->json = json;
    scenario->title = cJSON_GetObjectItem(json, "title")->valuestring;
    scenario->profile = cJSON_GetObjectItem(json, "profile")->valuestring;
    scenario->requirements = cJSON_GetObjectItem(json, "requirements");
    scenario->text = memory_copy_text(text);
    name_scenario(scenario);
    return scenario;
}

struct scenario *scenario_parse(const char *path, const char *text, struct schema_set *schemas,
                                char **error) {
    cJSON *json = file_parse_json(path, text, error);
    if (json == NULL)
        return NULL;
    if (schemas == NULL || check_scenario(path, text, schemas, json, error))
        return new_scenario(path, text, json);
    cJSON_Delete(json);
    return NULL;
}

struct scenario *scenario_load(const char *path, struct schema_set *schemas, char **error) {
    *error = NULL;
    char *text = file_read(path, error);
    struct scenario *scenario = text != NULL ? scenario_parse(path, text, schemas, error) : NULL;
    free(text);
    return scenario;
}

void scenario_free(struct scenario *scenario) {
    if (scenario == NULL)
        return;
    cJSON_Delete(scenario->json);
    free(scenario->path);
    free(scenario->name);
    free(scenario->family);
    free(scenario->text);
    free(scenario);
}

unsigned scenario_line(const struct scenario *scenario, const cJSON *part) {
    return json_place(scenario->text, scenario->json, part).line;
}

/* The first citation below `value` that is in no specification. */
static const cJSON *find_unknown(const cJSON *value, const struct spec *spec) {
    const cJSON *cited = cJSON_GetObjectItemCaseSensitive(value, "requirement");
    const cJSON *unknown = NULL;
    const cJSON *item;
    if (cJSON_IsString(cited) && spec_sentence(spec, cited->valuestring) == NULL)
        return cited;
    cJSON_ArrayForEach(item, value) {
        if (unknown == NULL)
            unknown = find_unknown(item, spec);
    }
    return unknown;
}

bool scenario_check_citations(const struct scenario *scenario, const struct spec *spec,
                              char **error) {
    const struct checking checking = {
        .path = scenario->path, .text = scenario->text, .json = scenario->json, .error = error};
    const cJSON *cited;
    cJSON_ArrayForEach(cited, scenario->requirements) {
        if (spec_sentence(spec, cited->valuestring) == NULL)
            return refuse(&checking, cited, "%s is not in the specification", cited->valuestring);
    }
    cited = find_unknown(cJSON_GetObjectItem(scenario->json, "steps"), spec);
    return cited == NULL ||
           refuse(&checking, cited, "%s is not in the specification", cited->valuestring);
}

bool scenario_needs(const struct scenario *scenario, const char *what) {
    const cJSON *need;
    cJSON_ArrayForEach(need, cJSON_GetObjectItem(scenario->json, "needs")) {
        if (strcmp(need->valuestring, what) == 0)
            return true;
    }
    return false;
}

static bool cites(const cJSON *value, const char *requirement) {
    const cJSON *item;
    const char *own = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(value, "requirement"));
    if (own != NULL && strcmp(own, requirement) == 0)
        return true;
    cJSON_ArrayForEach(item, value) {
        if (cites(item, requirement))
            return true;
    }
    return false;
}

bool scenario_cites(const struct scenario *scenario, const char *requirement) {
    const cJSON *cited;
    cJSON_ArrayForEach(cited, scenario->requirements) {
        if (strcmp(cited->valuestring, requirement) == 0)
            return true;
    }
    return cites(cJSON_GetObjectItem(scenario->json, "steps"), requirement);
}
