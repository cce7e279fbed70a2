/*
 * The corpus of scenarios in tests/corpus: each construct of the language is proved able to hold
 * and to fail, against a scripted server, and each kind of invalid file is refused with its place.
 */
#include "conformance/file.h"
#include "conformance/json_write.h"
#include "conformance/memory.h"
#include "conformance/run.h"
#include "conformance/tests/support_fake.h"
#include "conformance/tests/support_main.h"

#include <glob.h>
#include <regex.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 5000 };

static struct schema_set *schemas;
static struct spec *spec;
static glob_t files;

static void load_common(void) {
    char *error = NULL;
    char *schema_path = support_source("fixtures/scenarios/scenario.schema.json");
    char *spec_path = support_source("spec");
    char *pattern = support_source("conformance/tests/corpus/*.json");
    schemas = schema_set_new();
    if (!schema_set_load(schemas, schema_path, &error) || !schema_set_resolves(schemas, &error) ||
        (spec = spec_load(spec_path, &error)) == NULL || glob(pattern, 0, NULL, &files) != 0) {
        fprintf(stderr, "%s\n", error != NULL ? error : pattern);
        exit(1);
    }
    free(schema_path);
    free(spec_path);
    free(pattern);
}

static bool matches(const char *pattern, const char *text) {
    regex_t regex;
    ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool ok = text != NULL && regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return ok;
}

static const char *text_of(const cJSON *object, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static struct verdict play(const struct scenario *scenario, const cJSON *item) {
    struct fake fake = fake_start(cJSON_GetObjectItem(item, "server"));
    char *error = NULL;
    char *url = memory_format("ws://127.0.0.1:%u/", fake.port);
    const struct target_options target_options = {.url = url};
    struct target *target = target_new(&target_options, &error);
    const cJSON *timeout = cJSON_GetObjectItem(item, "timeout_ms");
    ck_assert_ptr_nonnull(target);
    const struct run_options options = {.spec = spec,
                                        .target = target,
                                        .seed = 1,
                                        .timeout_ms =
                                            timeout != NULL ? timeout->valueint : TIMEOUT_MS};
    struct verdict verdict = run_scenario(scenario, &options);
    target_free(target);
    fake_stop(&fake);
    free(url);
    return verdict;
}

static void compare(const char *file, const cJSON *item, const struct verdict *verdict) {
    const cJSON *expect = cJSON_GetObjectItem(item, "expect");
    const char *message = text_of(expect, "message");
    const char *requirement = text_of(expect, "requirement");
    const char *status = verdict_status_text(verdict->status);
    const char *said = verdict->message != NULL ? verdict->message : "";
    char *where = memory_format("%s: %s", file, text_of(item, "name"));
    ck_assert_msg(strcmp(status, text_of(expect, "status")) == 0, "%s: %s: %s", where, status,
                  said);
    ck_assert_msg(message == NULL || matches(message, said), "%s says \"%s\"", where, said);
    ck_assert_msg(requirement == NULL || (verdict->requirement != NULL &&
                                          strcmp(requirement, verdict->requirement) == 0),
                  "%s names %s", where, verdict->requirement);
    ck_assert_msg(verdict->status != VERDICT_PASS || verdict_is_green(verdict), "%s", where);
    free(where);
}

/* A case gives its steps only, and the rest is the same for all; or the whole as a value, or as
 * text. */
static char *scenario_text(const cJSON *item) {
    if (text_of(item, "text") != NULL)
        return memory_copy_text(text_of(item, "text"));
    const cJSON *scenario = cJSON_GetObjectItem(item, "scenario");
    if (scenario != NULL)
        return json_write(scenario);
    const cJSON *requirements = cJSON_GetObjectItem(item, "requirements");
    cJSON *whole =
        cJSON_Parse("{\"title\":\"A case of the corpus\",\"why\":\"To prove the engine itself\"}");
    cJSON_AddItemToObject(whole, "requirements",
                          requirements != NULL ? cJSON_Duplicate(requirements, true)
                                               : cJSON_Parse("[\"ASP-WELCOME-1\"]"));
    const char *profile = text_of(item, "profile");
    cJSON_AddStringToObject(whole, "profile", profile != NULL ? profile : "core");
    cJSON_AddItemToObject(whole, "steps",
                          cJSON_Duplicate(cJSON_GetObjectItem(item, "steps"), true));
    char *text = json_write(whole);
    cJSON_Delete(whole);
    return text;
}

static void try_case(const char *file, const cJSON *item) {
    char *error = NULL;
    char *text = scenario_text(item);
    struct scenario *scenario = scenario_parse("corpus/case.json", text, schemas, &error);
    const char *invalid = text_of(cJSON_GetObjectItem(item, "expect"), "invalid");
    if (invalid != NULL) {
        ck_assert_msg(scenario == NULL, "%s: %s was accepted", file, text_of(item, "name"));
        ck_assert_msg(matches(invalid, error), "%s: %s says \"%s\"", file, text_of(item, "name"),
                      error);
    } else {
        ck_assert_msg(scenario != NULL, "%s: %s: %s", file, text_of(item, "name"), error);
        struct verdict verdict = play(scenario, item);
        compare(file, item, &verdict);
        verdict_fini(&verdict);
    }
    scenario_free(scenario);
    free(error);
    free(text);
}

START_TEST(corpus_file_holds) {
    const char *file = files.gl_pathv[_i];
    char *error = NULL;
    cJSON *cases = file_read_json(file, &error);
    const cJSON *item;
    ck_assert_msg(cases != NULL, "%s", error);
    cJSON_ArrayForEach(item, cases) {
        try_case(file, item);
    }
    cJSON_Delete(cases);
}
END_TEST

/* The line of the request in which the document is named; free() it. */
static char *ask_for_document(const struct scenario *scenario, const char *url) {
    char *error = NULL;
    const struct target_options target_options = {.url = url};
    struct target *target = target_new(&target_options, &error);
    const struct run_options options = {.spec = spec,
                                        .target = target,
                                        .seed = 1,
                                        .timeout_ms = TIMEOUT_MS,
                                        .keeps_transcripts = true};
    struct verdict verdict = run_scenario(scenario, &options);
    const cJSON *line;
    char *found = NULL;
    cJSON_ArrayForEach(line, verdict.transcript) {
        const char *request = strstr(line->valuestring, "{\"type\":\"list\"");
        if (request != NULL)
            found = memory_copy_text(request);
    }
    ck_assert_ptr_nonnull(found);
    verdict_fini(&verdict);
    target_free(target);
    return found;
}

/* What a server that runs on was given before, with the same seed, is still there. */
START_TEST(documents_of_a_lasting_server_are_new) {
    static const char text[] =
        "{\"title\":\"A case of this test\",\"why\":\"To see which document it "
        "has\",\"requirements\":["
        "\"ASP-LIST-1\"],\"profile\":\"core\",\"steps\":[{\"document\":\"d\"},{\"connect\":\"a\"},"
        "{\"request\":{\"type\":\"list\",\"doc\":\"$d.id\"},\"on\":\"a\",\"reply\":{\"$any\":true}}"
        "]}";
    char *error = NULL;
    struct scenario *scenario = scenario_parse("corpus/case.json", text, schemas, &error);
    ck_assert_msg(scenario != NULL, "%s", error);
    cJSON *script = cJSON_Parse("[\"greets\", \"answers\"]");
    struct fake fake = fake_start(script);
    char *url = memory_format("ws://127.0.0.1:%u/", fake.port);
    char *first = ask_for_document(scenario, url);
    char *second = ask_for_document(scenario, url);
    ck_assert_str_ne(first, second);
    fake_stop(&fake);
    scenario_free(scenario);
    cJSON_Delete(script);
    free(first);
    free(second);
    free(url);
}
END_TEST

int main(void) {
    memory_setup_json();
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    load_common();
    Suite *suite = suite_create("corpus");
    TCase *tcase = tcase_create("files");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, corpus_file_holds, 0, (int)files.gl_pathc);
    suite_add_tcase(suite, tcase);
    support_add(suite, "lasting", documents_of_a_lasting_server_are_new);
    int status = support_main(suite);
    globfree(&files);
    spec_free(spec);
    schema_set_free(schemas);
    return status;
}
