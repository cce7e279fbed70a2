/*
 * The corpus of scenarios in tests/corpus: each construct of the language is proved able to hold
 * and to fail, against a scripted server, and each kind of invalid file is refused with its place.
 */
#include "conformance/clock.h"
#include "conformance/file.h"
#include "conformance/json_write.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/run.h"
#include "conformance/tests/support_fake.h"
#include "conformance/tests/support_main.h"

#include <glob.h>
#include <regex.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 5000 };

static char *self;
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

/* A server that the scenario may kill and start: this program itself, as a command. */
static struct target *start_command(const struct target_options *options, int64_t deadline_us) {
    char *error = NULL;
    struct target *target = target_new(options, &error);
    ck_assert_msg(target != NULL && target_start(target, deadline_us, &error), "%s", error);
    return target;
}

static struct verdict run_case(const struct scenario *scenario, const cJSON *item,
                               struct target *target, bool owns_server) {
    const cJSON *timeout = cJSON_GetObjectItem(item, "timeout_ms");
    const struct run_options options = {.spec = spec,
                                        .target = target,
                                        .owns_server = owns_server,
                                        .seed = 1,
                                        .timeout_ms =
                                            timeout != NULL ? timeout->valueint : TIMEOUT_MS};
    ck_assert_ptr_nonnull(target);
    return run_scenario(scenario, &options);
}

static struct verdict play_with_command(const struct scenario *scenario, const cJSON *item) {
    char *error = NULL;
    char *folder = folder_make_temporary(NULL, &error);
    char *path = memory_format("%s/script", folder);
    char *script = json_write(cJSON_GetObjectItem(item, "command"));
    char *command = memory_format("%s fake {port} %s {dir} quota={quota} idle_ms={idle_ms} "
                                  "dead_ms={dead_ms} open_within_ms={open_within_ms} "
                                  "limit_change={limit_change} [token_file={token_file}]",
                                  self, path);
    const struct target_options options = {.command = command};
    FILE *file = fopen(path, "we");
    ck_assert(file != NULL && fputs(script, file) >= 0 && fclose(file) == 0);
    struct target *target = start_command(&options, clock_now_us() + (int64_t)TIMEOUT_MS * 1000);
    struct verdict verdict = run_case(scenario, item, target, true);
    target_free(target);
    folder_remove(folder);
    free(command);
    free(script);
    free(path);
    free(folder);
    return verdict;
}

static struct verdict play(const struct scenario *scenario, const cJSON *item) {
    if (cJSON_HasObjectItem(item, "command"))
        return play_with_command(scenario, item);
    struct fake fake = fake_start(cJSON_GetObjectItem(item, "server"));
    char *error = NULL;
    char *url = memory_format("ws://127.0.0.1:%u/", fake.port);
    const struct target_options options = {.url = url};
    struct target *target = target_new(&options, &error);
    struct verdict verdict = run_case(scenario, item, target, false);
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

/* ---- Whether each construct is there --------------------------------------------------------- */

/* "VERB.MEMBER" of each step, and "$OPERATOR" of each value, below `value`. */
static void note_constructs(const cJSON *value, cJSON *noted) {
    const cJSON *item;
    cJSON_ArrayForEach(item, value) {
        if (item->string != NULL) {
            char *name = *item->string == '$'
                             ? memory_copy_text(item->string)
                             : memory_format("%s.%s", value->child->string, item->string);
            if (!cJSON_HasObjectItem(noted, name))
                cJSON_AddTrueToObject(noted, name);
            free(name);
        }
        note_constructs(item, noted);
    }
}

/* Of all cases that end with this status. */
static cJSON *constructs_that(const char *status) {
    cJSON *noted = cJSON_CreateObject();
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char *error = NULL;
        cJSON *cases = file_read_json(files.gl_pathv[i], &error);
        const cJSON *item;
        cJSON_ArrayForEach(item, cases) {
            const char *ends = text_of(cJSON_GetObjectItem(item, "expect"), "status");
            if (ends != NULL && strcmp(ends, status) == 0)
                note_constructs(cJSON_GetObjectItem(item, "steps"), noted);
        }
        cJSON_Delete(cases);
    }
    return noted;
}

static void expect_constructs(const cJSON *names, const cJSON *noted, const char *status) {
    const cJSON *name;
    cJSON_ArrayForEach(name, names) {
        ck_assert_msg(cJSON_HasObjectItem(noted, name->valuestring),
                      "no case of the corpus with %s ends with %s", name->valuestring, status);
    }
}

/* A step of servers whose members are to be tried here; clients' are in test_client.c. */
static bool is_of_servers(const char *verb) {
    static const struct step_kind *const tables[] = {STEPS_CONNECTION, STEPS_WIRE,    STEPS_SYNC,
                                                     STEPS_FLOW,       STEPS_HISTORY, NULL};
    for (size_t i = 0; tables[i] != NULL; i++)
        for (const struct step_kind *kind = tables[i]; kind->verb != NULL; kind++)
            if (strcmp(kind->verb, verb) == 0)
                return true;
    return false;
}

static void add_members(cJSON *names, const cJSON *step, const char *verb) {
    const cJSON *member;
    cJSON_ArrayForEach(member, cJSON_GetObjectItem(step, "properties")) {
        char *name = memory_format("%s.%s", verb, member->string);
        if (strcmp(member->string, "requirement") != 0) /* the same for all of them */
            cJSON_AddItemToArray(names, cJSON_CreateString(name));
        free(name);
    }
}

START_TEST(each_construct_holds_and_fails) {
    static const char prefix[] = "step_";
    const cJSON *schema = schema_set_find(schemas, "scenario.schema.json");
    const cJSON *step;
    const char *operator;
    cJSON *names = cJSON_CreateArray();
    cJSON *passed = constructs_that("pass");
    cJSON *failed = constructs_that("fail");
    cJSON_ArrayForEach(step, cJSON_GetObjectItem(schema, "$defs")) {
        if (strncmp(step->string, prefix, strlen(prefix)) == 0 &&
            is_of_servers(step->string + strlen(prefix)))
            add_members(names, step, step->string + strlen(prefix));
    }
    for (size_t i = 0; (operator= match_name(i)) != NULL; i++)
        cJSON_AddItemToArray(names, cJSON_CreateString(operator));
    for (size_t i = 0; (operator= value_name(i)) != NULL; i++)
        cJSON_AddItemToArray(names, cJSON_CreateString(operator));
    ck_assert_int_gt(cJSON_GetArraySize(names), 100);
    expect_constructs(names, passed, "pass");
    expect_constructs(names, failed, "fail");
    cJSON_Delete(names);
    cJSON_Delete(passed);
    cJSON_Delete(failed);
}
END_TEST

/* ---- Documents ------------------------------------------------------------------------------- */

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

int main(int argc, char **argv) {
    memory_setup_json();
    fake_main(argc, argv);
    self = realpath(argv[0], NULL);
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    load_common();
    Suite *suite = suite_create("corpus");
    TCase *tcase = tcase_create("files");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, corpus_file_holds, 0, (int)files.gl_pathc);
    suite_add_tcase(suite, tcase);
    support_add(suite, "complete", each_construct_holds_and_fails);
    support_add(suite, "lasting", documents_of_a_lasting_server_are_new);
    int status = support_main(suite);
    globfree(&files);
    spec_free(spec);
    schema_set_free(schemas);
    free(self);
    return status;
}
