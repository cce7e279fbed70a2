#include "conformance/spec.h"

#include "conformance/file.h"
#include "conformance/memory.h"

#include <stdlib.h>
#include <string.h>

static const char TEXT_NAME[] = "athena-sync-1.md";
static const char BULLET[] = "\n- [ASP-";

struct sentence {
    char *id;
    char *text;
};

struct spec {
    struct sentence *sentences;
    size_t sentences_len;
    struct schema_set *schemas;
    struct schema_set *driver_schemas;
};

/* A requirement is a list item "- [ID] text" that ends at an empty line or at the next item. */
static const char *sentence_end(const char *from) {
    const char *item = strstr(from, "\n- ");
    const char *gap = strstr(from, "\n\n");
    const char *end = from + strlen(from);
    end = item != NULL && item < end ? item : end;
    return gap != NULL && gap < end ? gap : end;
}

/* One line, every run of white space one space. */
static char *join_lines(const char *from, const char *to) {
    struct bytes out = {0};
    for (const char *at = from; at < to; at++) {
        bool space = *at == '\n' || *at == ' ';
        bool after_space = out.len == 0 || out.at[out.len - 1] == ' ';
        if (!space || !after_space)
            bytes_append(&out, space ? " " : at, 1);
    }
    bytes_append(&out, "", 1);
    return (char *)out.at;
}

static void collect_sentences(struct spec *spec, const char *text) {
    for (const char *at = strstr(text, BULLET); at != NULL; at = strstr(at + 1, BULLET)) {
        const char *id = at + strlen("\n- [");
        const char *id_end = strchr(id, ']');
        if (id_end == NULL)
            return;
        spec->sentences =
            memory_grow(spec->sentences, (spec->sentences_len + 1) * sizeof *spec->sentences);
        spec->sentences[spec->sentences_len++] = (struct sentence){
            strndup(id, (size_t)(id_end - id)), join_lines(id_end + 1, sentence_end(id_end))};
    }
}

static bool load(struct spec *spec, const char *folder, char **error) {
    char *text_path = memory_format("%s/%s", folder, TEXT_NAME);
    char *schemas_path = memory_format("%s/schemas", folder);
    char *driver_path = memory_format("%s/schemas/driver", folder);
    char *text = file_read(text_path, error);
    spec->driver_schemas = schema_set_new();
    spec->schemas = schema_set_new();
    if (text != NULL)
        collect_sentences(spec, text);
    bool ok = text != NULL && schema_set_load(spec->schemas, schemas_path, error) &&
              schema_set_resolves(spec->schemas, error) &&
              schema_set_load(spec->driver_schemas, driver_path, error) &&
              schema_set_resolves(spec->driver_schemas, error);
    free(text);
    free(text_path);
    free(schemas_path);
    free(driver_path);
    return ok;
}

struct spec *spec_load(const char *folder, char **error) {
    struct spec *spec = memory_take(sizeof *spec);
    *error = NULL;
    if (load(spec, folder, error))
        return spec;
    spec_free(spec);
    return NULL;
}

void spec_free(struct spec *spec) {
    if (spec == NULL)
        return;
    for (size_t i = 0; i < spec->sentences_len; i++) {
        free(spec->sentences[i].id);
        free(spec->sentences[i].text);
    }
    free(spec->sentences);
    schema_set_free(spec->schemas);
    schema_set_free(spec->driver_schemas);
    free(spec);
}

const char *spec_sentence(const struct spec *spec, const char *requirement) {
    if (strcmp(requirement, SPEC_DRIVER) == 0)
        return "A driver does what its contract says.";
    for (size_t i = 0; i < spec->sentences_len; i++)
        if (strcmp(spec->sentences[i].id, requirement) == 0)
            return spec->sentences[i].text;
    return NULL;
}

cJSON *spec_sentences(const struct spec *spec) {
    cJSON *all = cJSON_CreateObject();
    for (size_t i = 0; i < spec->sentences_len; i++)
        cJSON_AddStringToObject(all, spec->sentences[i].id, spec->sentences[i].text);
    return all;
}

static const char *const FROM_SERVER[] = {"welcome", "opened", "listed", "got", "pushed",
                                          "changed", "closed", "error",  NULL};
static const char *const FROM_CLIENT[] = {"open", "list", "get", "push", "close", NULL};

static bool check_message(const struct spec *spec, const cJSON *message, const char *const types[],
                          const char *side, struct schema_fault *fault) {
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "type"));
    *fault = (struct schema_fault){0};
    for (size_t i = 0; types[i] != NULL && type != NULL; i++) {
        if (strcmp(types[i], type) != 0)
            continue;
        char *name = memory_format("%s.schema.json", type);
        const cJSON *schema = schema_set_find(spec->schemas, name);
        free(name);
        return schema != NULL && schema_check(spec->schemas, schema, schema, message, fault);
    }
    fault->pointer = memory_copy_text("/type");
    fault->text =
        memory_format("\"%s\" is no type that a %s sends", type != NULL ? type : "", side);
    return false;
}

bool spec_check_message(const struct spec *spec, const cJSON *message, struct schema_fault *fault) {
    return check_message(spec, message, FROM_SERVER, "server", fault);
}

bool spec_check_request(const struct spec *spec, const cJSON *message, struct schema_fault *fault) {
    return check_message(spec, message, FROM_CLIENT, "client", fault);
}

bool spec_check_event(const struct spec *spec, const cJSON *event, struct schema_fault *fault) {
    const cJSON *root = schema_set_find(spec->driver_schemas, "event.schema.json");
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "event"));
    const cJSON *schema =
        name != NULL ? cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(root, "$defs"), name)
                     : root;
    *fault = (struct schema_fault){0};
    return schema == NULL || schema_check(spec->driver_schemas, root, schema, event, fault);
}
