/* The schema validator: each keyword accepts and refuses, and what it does not know is no schema.
 */
#include "conformance/file.h"
#include "conformance/memory.h"
#include "conformance/schema.h"
#include "conformance/tests/support_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_file(const char *folder, const char *name, const char *text) {
    char *path = memory_format("%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    free(path);
}

/* Checks `value` against `schema`; returns "ok" or "POINTER TEXT". */
static char *verdict_on(const char *schema, const char *value) {
    char *error = NULL;
    char *folder = folder_make_temporary(NULL, &error);
    struct schema_set *set = schema_set_new();
    struct schema_fault fault;
    write_file(folder, "main.schema.json", schema);
    write_file(folder, "other.schema.json",
               "{\"$id\": \"x/other.schema.json\", \"$defs\": "
               "{\"small\": {\"maximum\": 3}, \"again\": {\"$ref\": "
               "\"#/$defs/small\"}}}");
    bool loaded = schema_set_load(set, folder, &error) && schema_set_resolves(set, &error);
    char *said = error;
    if (loaded) {
        cJSON *json = cJSON_Parse(value);
        ck_assert_msg(json != NULL, "%s", value);
        const cJSON *root = schema_set_find(set, "main.schema.json");
        bool ok = schema_check(set, root, root, json, &fault);
        said = ok ? memory_copy_text("ok") : memory_format("%s %s", fault.pointer, fault.text);
        schema_fault_fini(&fault);
        cJSON_Delete(json);
    }
    schema_set_free(set);
    folder_remove(folder);
    free(folder);
    return said;
}

START_TEST(keywords_accept_and_refuse) {
    static const struct {
        const char *schema, *good, *bad, *says;
    } rows[] = {
        {"{\"type\": \"integer\"}", "5", "5.5", " must be of type integer"},
        {"{\"type\": \"integer\"}", "-0", "\"5\"", "integer"},
        {"{\"type\": [\"string\", \"null\"]}", "null", "1", "allowed types"},
        {"{\"type\": \"boolean\"}", "true", "null", "boolean"},
        {"{\"const\": \"a\"}", "\"a\"", "\"b\"", "must be \"a\""},
        {"{\"enum\": [1, \"x\"]}", "\"x\"", "2", "one of [1,\"x\"]"},
        {"{\"required\": [\"a\"]}", "{\"a\": 1}", "{\"A\": 1}", "the member \"a\""},
        {"{\"properties\": {\"a\": {\"type\": \"string\"}}}", "{\"b\": 1}", "{\"a\": 1}",
         "/a must"},
        {"{\"properties\": {\"a\": {}}, \"additionalProperties\": false}", "{\"a\": 1}",
         "{\"b\": 1}", "member \"b\""},
        {"{\"additionalProperties\": {\"type\": \"string\"}}", "{\"a\": \"\"}", "{\"b\": 1}", "/b"},
        {"{\"items\": {\"type\": \"string\"}}", "[\"a\"]", "[\"a\", 1]", "/1 must"},
        {"{\"minItems\": 2}", "[1, 2]", "[1]", "minItems 2 (it is 1)"},
        {"{\"maxItems\": 1}", "[1]", "[1, 2]", "maxItems"},
        {"{\"uniqueItems\": true}", "[1, 2]", "[1, 1]", "equal"},
        {"{\"minLength\": 2}", "\"ab\"", "\"\xc3\xa9\"", "minLength"},
        {"{\"maxLength\": 1}", "\"\xc3\xa9\"", "\"ab\"", "maxLength"},
        {"{\"minimum\": 3}", "3", "2", "minimum"},
        {"{\"maximum\": 3}", "3", "4", "maximum"},
        {"{\"pattern\": \"^a+$\"}", "\"aa\"", "\"ab\"", "match ^a+$"},
        {"{\"oneOf\": [{\"type\": \"integer\"}, {\"minimum\": 5}]}", "3", "7", "matches 2"},
        {"{\"anyOf\": [{\"const\": 1}, {\"const\": 2}]}", "2", "3", "none of 2"},
        {"{\"allOf\": [{\"minimum\": 1}, {\"maximum\": 2}]}", "2", "3", "maximum"},
        {"{\"not\": {\"const\": 1}}", "2", "1", "must not"},
        {"{\"properties\": {\"a\": false}}", "{}", "{\"a\": 1}", "/a must not be there"},
        {"{\"$ref\": \"#/$defs/x\", \"$defs\": {\"x\": {\"minimum\": 2}}}", "2", "1", "minimum"},
        {"{\"$ref\": \"other.schema.json#/$defs/again\"}", "3", "4", "maximum"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *good = verdict_on(rows[i].schema, rows[i].good);
        char *bad = verdict_on(rows[i].schema, rows[i].bad);
        ck_assert_msg(strcmp(good, "ok") == 0, "%s: %s", rows[i].schema, good);
        ck_assert_msg(strcmp(bad, "ok") != 0 && strstr(bad, rows[i].says) != NULL, "%s: %s",
                      rows[i].schema, bad);
        free(good);
        free(bad);
    }
}
END_TEST

START_TEST(what_is_not_understood_is_refused) {
    static const char *const rows[][2] = {
        {"{\"multipleOf\": 2}", "unknown keyword \"multipleOf\""},
        {"{\"properties\": {\"a\": {\"minimun\": 2}}}", "minimun"},
        {"{\"$ref\": \"#/$defs/nowhere\"}", "leads nowhere"},
        {"{\"oneOf\": [{\"$ref\": \"missing.schema.json\"}]}", "leads nowhere"},
        {"{\"pattern\": \"(\"}", "not valid"},
        {"{", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *said = verdict_on(rows[i][0], "{}");
        ck_assert_msg(strstr(said, rows[i][1]) != NULL, "%s: %s", rows[i][0], said);
        free(said);
    }
}
END_TEST

START_TEST(endless_references_end) {
    char *said =
        verdict_on("{\"$ref\": \"#/$defs/x\", \"$defs\": {\"x\": {\"$ref\": \"#/$defs/x\"}}}", "1");
    ck_assert_msg(strstr(said, "deeper") != NULL, "%s", said);
    free(said);
}
END_TEST

/* What any validator sees of a scenario, without the messages for each verb. */
START_TEST(published_schema_looks_into_steps) {
    static const struct {
        const char *steps;
        bool ok;
    } rows[] = {
        {"[{\"connect\": \"a\", \"status\": 400}]", true},
        {"[{\"repeat\": 2, \"steps\": [{\"parallel\": [[{\"ping\": \"a\"}], [{\"ping\": "
         "\"b\"}]]}]}]",
         true},
        {"[{\"open\": \"doc\", \"on\": \"a\", \"holds\": []}]", true},
        {"[{\"frobnicate\": 1}]", false},
        {"[{}]", false},
        {"[{\"connect\": \"a\", \"statuss\": 400}]", false},
        {"[{\"connect\": \"a\"}, {\"open\": \"doc\"}]", false},
        {"[{\"repeat\": 2, \"steps\": [{\"parallel\": [[{\"ping\": \"a\"}], [{\"pong\": "
         "\"b\"}]]}]}]",
         false},
    };
    char *error = NULL;
    char *path = support_source("fixtures/scenarios/scenario.schema.json");
    struct schema_set *set = schema_set_new();
    ck_assert_msg(schema_set_load(set, path, &error), "%s", error);
    const cJSON *root = schema_set_find(set, path);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct schema_fault fault;
        char *text = memory_format("{\"title\": \"A title that is long\", \"why\": \"A reason that "
                                   "is long enough\", \"requirements\": [\"ASP-MSG-9\"], "
                                   "\"profile\": \"core\", \"steps\": %s}",
                                   rows[i].steps);
        cJSON *json = cJSON_Parse(text);
        ck_assert_msg(schema_check(set, root, root, json, &fault) == rows[i].ok, "%s",
                      rows[i].steps);
        schema_fault_fini(&fault);
        cJSON_Delete(json);
        free(text);
    }
    schema_set_free(set);
    free(path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("schema");
    support_add(suite, "keywords", keywords_accept_and_refuse);
    support_add(suite, "refusals", what_is_not_understood_is_refused);
    support_add(suite, "recursion", endless_references_end);
    support_add(suite, "scenarios", published_schema_looks_into_steps);
    return support_main(suite);
}
