/* Every message example of the specification is valid under the schema of its type and direction,
 * and no schema goes without an example. */
#include "conformance/file.h"
#include "conformance/schema.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct example {
    cJSON *message;
    bool from_server;
};

static struct schema_set *schemas;
static char *spec;

/* A path below the source tree; free() it. */
static char *source_path(const char *below) {
    const char *source = getenv("ATHENA_SOURCE");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", source != NULL ? source : ".", below);
    return strdup(path);
}

static void set_up(void) {
    char *error = NULL;
    char *text_path = source_path("spec/athena-sync-1.md");
    char *schemas_path = source_path("spec/schemas");
    schemas = schema_set_new();
    spec = file_read(text_path, &error);
    ck_assert_msg(spec != NULL, "%s", error);
    ck_assert_msg(schema_set_load(schemas, schemas_path, &error), "%s", error);
    free(text_path);
    free(schemas_path);
}

static void tear_down(void) {
    schema_set_free(schemas);
    free(spec);
}

/* The next ```json block at or after *at, its sender told by the arrow in the line of text before
 * it. Moves *at behind it; false at the end. */
static bool next_example(struct example *example, const char **at) {
    static const char open[] = "\n```json\n", close[] = "\n```\n";
    const char *fence = strstr(*at, open);
    if (fence == NULL)
        return false;
    const char *json = fence + strlen(open);
    const char *end = strstr(json, close);
    ck_assert_ptr_nonnull(end);
    const char *arrow = fence;
    while (arrow > spec && memcmp(arrow, "→", strlen("→")) != 0)
        arrow--;
    ck_assert_msg(arrow > spec && (arrow[-1] == 'S' || arrow[-1] == 'C'), "no direction");
    example->from_server = arrow[-1] == 'S';
    example->message = cJSON_ParseWithLength(json, (size_t)(end - json));
    ck_assert_msg(example->message != NULL, "not JSON: %.*s", (int)(end - json), json);
    *at = end;
    return true;
}

static bool is_valid(const char *file, const char *definition, const cJSON *message, char **why) {
    const cJSON *root = schema_set_find(schemas, file);
    ck_assert_msg(root != NULL, "there is no %s", file);
    const cJSON *schema = root;
    if (definition != NULL)
        schema = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, "$defs"),
                                                  definition);
    ck_assert_ptr_nonnull(schema);
    struct schema_fault fault = {0};
    bool ok = schema_check(schemas, root, schema, message, &fault);
    if (!ok && asprintf(why, "%s: %s %s", file, fault.pointer, fault.text) < 0)
        abort();
    if (!ok)
        schema_fault_fini(&fault);
    return ok;
}

static void schema_name(char *name, size_t capacity, const cJSON *message) {
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(message, "type");
    ck_assert(cJSON_IsString(type));
    snprintf(name, capacity, "%s.schema.json", type->valuestring);
}

START_TEST(each_example_fits_its_schema) {
    const char *at = spec;
    struct example example;
    int examples = 0;
    for (; next_example(&example, &at); examples++) {
        char name[128], *why = NULL;
        schema_name(name, sizeof name, example.message);
        ck_assert_msg(is_valid(name, NULL, example.message, &why), "%s", why);
        const char *direction = example.from_server ? "serverToClient" : "clientToServer";
        ck_assert_msg(is_valid("message.schema.json", direction, example.message, &why), "%s", why);
        cJSON_Delete(example.message);
    }
    ck_assert_int_gt(examples, 12);
}
END_TEST

/* A schema that accepts everything would pass the test above. */
START_TEST(an_example_without_a_member_does_not_fit) {
    const char *at = spec;
    struct example example;
    while (next_example(&example, &at)) {
        char name[128], *why = NULL;
        schema_name(name, sizeof name, example.message);
        cJSON_DeleteItemFromObjectCaseSensitive(
            example.message, cJSON_HasObjectItem(example.message, "doc") ? "doc" : "type");
        bool optional =
            strcmp(name, "error.schema.json") == 0 && cJSON_HasObjectItem(example.message, "type");
        ck_assert_msg(optional || !is_valid(name, NULL, example.message, &why),
                      "%s accepts a message that lacks a member", name);
        free(why);
        cJSON_Delete(example.message);
    }
}
END_TEST

START_TEST(each_message_type_has_an_example) {
    const cJSON *root = schema_set_find(schemas, "message.schema.json");
    ck_assert_ptr_nonnull(root);
    const cJSON *direction, *choice;
    int types = 0;
    cJSON_ArrayForEach(direction, cJSON_GetObjectItemCaseSensitive(root, "$defs")) {
        cJSON_ArrayForEach(choice, cJSON_GetObjectItemCaseSensitive(direction, "oneOf")) {
            const char *ref = cJSON_GetObjectItemCaseSensitive(choice, "$ref")->valuestring;
            char wanted[128];
            snprintf(wanted, sizeof wanted, "\"type\": \"%.*s\"", (int)strcspn(ref, "."), ref);
            ck_assert_msg(strstr(spec, wanted) != NULL, "no example with %s", wanted);
            types++;
        }
    }
    ck_assert_int_eq(types, 13);
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, each_example_fits_its_schema);
    tcase_add_test(all, an_example_without_a_member_does_not_fit);
    tcase_add_test(all, each_message_type_has_an_example);
    Suite *suite = suite_create("spec examples");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
