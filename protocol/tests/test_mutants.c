/*
 * The codec against spec/schemas [ASP-MSG-23]: each value of a message of each type is left out or
 * exchanged for many others, and the schema says whether the result is a message. What is refused
 * names the member [ASP-MSG-14]; what is taken encodes to a message of the schema, and stays it.
 */
#include "protocol/tests/support.h"
#include "protocol/tests/support_schema.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const files[] = {
    "welcome-extensions", "open",         "opened",      "list",         "listed",
    "listed-changes",     "get",          "got-several", "push-several", "pushed-several",
    "changed-several",    "close",        "closed",      "error",        "error-ending",
    "listed-empty",       "list-shortest"};
enum { FILES = sizeof files / sizeof files[0] };

#define ID  "a8f5f167f44f4964e6c998dee827110c:7d444840-9dc0-41d1-b245-5ffdce74fad2"
#define B32 "G5M8PUoqJGxKDJWr_JXtK_rDcpUvX6Xfyf5FoMlScfI"
#define B64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
static const char *const replacements[] = {
    NULL, /* left out */
    "null",
    "true",
    "false",
    "0",
    "1",
    "7",
    "9007199254740991",
    "\"\"",
    "\"x\"",
    "\"AA\"",
    "\"AB\"",
    "\"AA=\"",
    "\"1\"",
    "\"quota\"",
    "\"Quota\"",
    "\"athena-sync.v1\"",
    "\"" ID "\"",
    "\"" B32 "\"",
    "\"" B64 "\"",
    "\"" B64 "A\"",
    "[]",
    "[0]",
    "[null]",
    "[\"x\"]",
    "[[]]",
    "[{}]",
    "[\"" ID "\"]",
    "[\"" ID "\",\"" ID "x\"]",
    "{}",
    "{\"id\":\"" ID "\"}",
    "{\"id\":\"" ID "\",\"data\":\"AQ\"}",
    "[{\"id\":\"" ID "\",\"data\":\"AQ\"}]",
    "[{\"id\":\"" ID "\",\"data\":\"\"}]",
    "{\"index\":0,\"code\":\"quota\"}",
    "[{\"index\":0,\"code\":\"quota\"}]",
    "[{\"index\":\"0\",\"code\":\"quota\"}]",
    "{\"message\":1,\"message_before_open\":1,\"change\":1,\"batch\":1,\"docs\":1}"};
enum { REPLACEMENTS = sizeof replacements / sizeof replacements[0] };

static struct athena_decoder *decoder;

/* ---- What receivers take beyond what the schemas let senders write ---- */

static cJSON *at_path(const char *type, const char *const *path) {
    const cJSON *at = schema_of(type);
    for (; *path; path++)
        at = member(at, *path);
    return (cJSON *)at;
}

static void replace_keyword(cJSON *schema, const char *keyword, cJSON *by) {
    cJSON_DeleteItemFromObjectCaseSensitive(schema, keyword);
    cJSON_AddItemToObject(schema, keyword, by);
}

/* Codes to come [ASP-ERR-4] [ASP-ERR-5], limits of any value and any extensions [ASP-MSG-6], and
 * faulty entries of a push, which do not make the message wrong [ASP-PUSH-1]. */
static void relax_schemas(void) {
    static const char *const code[] = {"properties", "code", NULL};
    static const char *const rejected_code[] = {"properties", "rejected", "items",
                                                "properties", "code",     NULL};
    static const char *const limits[] = {"properties", "limits", "properties", NULL};
    static const char *const extensions[] = {"properties", "extensions", NULL};
    static const char *const pushed[] = {"properties", "changes", NULL};
    cJSON *codes[] = {at_path("error", code), at_path("pushed", rejected_code)};
    for (size_t i = 0; i < 2; i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(codes[i], "enum");
        cJSON_AddStringToObject(codes[i], "type", "string");
        cJSON_AddStringToObject(codes[i], "pattern", "^[a-z][a-z0-9-]{0,63}$");
    }
    cJSON *limit;
    cJSON_ArrayForEach(limit, at_path("welcome", limits)) {
        replace_keyword(limit, "minimum", cJSON_CreateNumber(1));
    }
    replace_keyword(at_path("welcome", extensions), "items", cJSON_Parse("{\"type\":\"string\"}"));
    replace_keyword(at_path("push", pushed), "items", cJSON_CreateObject());
}

static void set_up(void) {
    ck_assert_int_ge(sodium_init(), 0);
    decoder = athena_decoder_new();
    schemas_load();
    relax_schemas();
}

static void tear_down(void) {
    athena_decoder_free(decoder);
    schemas_free();
}

/* ---- Judging one mutant ---- */

static enum athena_code decode(struct athena_message *message, enum athena_sender from,
                               struct athena_text_view json, struct athena_error *error) {
    *error = (struct athena_error){0};
    enum athena_code code = athena_message_decode(message, decoder, from, json, error);
    ck_assert_int_eq(error->code, code);
    return code;
}

static struct athena_buf encode(const struct athena_message *message) {
    struct athena_buf out = {0};
    athena_message_encode(&out, message);
    ck_assert(!out.failed);
    return out;
}

/* The entries of a push that are marked are those that are no change. */
static bool has_faults(const cJSON *mutant, const struct athena_message *message) {
    const cJSON *entry;
    size_t i = 0;
    bool has = false;
    if (message->type != ATHENA_PUSH)
        return false;
    cJSON_ArrayForEach(entry, member(mutant, "changes")) {
        char pointer[POINTER_MAX];
        bool is_change = schema_accepts(schema_of_definition("change"), entry, pointer);
        ck_assert_int_eq(message->changes[i].fault, is_change ? ATHENA_OK : ATHENA_BAD_CHANGE);
        ck_assert(is_change ||
                  (message->changes[i].id.len == 0 && message->changes[i].data.len == 0));
        has = has || !is_change;
        i++;
    }
    ck_assert_uint_eq(message->changes_len, i);
    return has;
}

/* Encoding again gives a message of the schema, and the same for ever. */
static void expect_stable(const struct athena_message *message, enum athena_sender from,
                          const char *type) {
    struct athena_buf once = encode(message);
    struct athena_message again;
    struct athena_error error;
    struct athena_text_view json = {once.at, once.len};
    ck_assert_msg(decode(&again, from, json, &error) == ATHENA_OK, "%.*s: %s", (int)once.len,
                  once.at, error.text);
    struct athena_buf twice = encode(&again);
    ck_assert_msg(once.len == twice.len && memcmp(once.at, twice.at, once.len) == 0,
                  "%.*s becomes %.*s", (int)once.len, once.at, (int)twice.len, twice.at);
    cJSON *parsed = cJSON_ParseWithLength(once.at, once.len);
    char pointer[POINTER_MAX];
    ck_assert_msg(schema_accepts(schema_of(type), parsed, pointer), "%.*s has a wrong %s",
                  (int)once.len, once.at, pointer);
    cJSON_Delete(parsed);
    athena_buf_fini(&once);
    athena_buf_fini(&twice);
}

/* What no schema says: an empty page has no page behind it. */
static bool is_endless_page(const cJSON *mutant) {
    const cJSON *page = cJSON_GetObjectItemCaseSensitive(mutant, "ids");
    if (!page)
        page = cJSON_GetObjectItemCaseSensitive(mutant, "changes");
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(mutant, "more")) && page &&
           cJSON_GetArraySize(page) == 0;
}

/* The member itself; of a server's message, it may be what holds it, as only a log sees it. */
static bool is_named(const char *where, const char *pointer, enum athena_sender from) {
    size_t len = strlen(where);
    if (strcmp(where, pointer) == 0)
        return true;
    if (strcmp(where, "/ids") == 0 && !*pointer)
        return true; /* one of `ids` and `changes` */
    return from == ATHENA_FROM_SERVER && len && strncmp(where, pointer, len) == 0 &&
           pointer[len] == '/';
}

static enum athena_code expected_code(const cJSON *mutant, const char *pointer, bool is_valid) {
    if (strcmp(pointer, "/type") == 0)
        return cJSON_IsString(cJSON_GetObjectItemCaseSensitive(mutant, "type"))
                   ? ATHENA_UNKNOWN_TYPE
                   : ATHENA_NOT_STRICT_JSON;
    return is_valid && !is_endless_page(mutant) ? ATHENA_OK : ATHENA_BAD_MESSAGE;
}

/* cJSON writes 2^53-1 as no sender may [ASP-JSON-2]. */
static char *print(const cJSON *mutant) {
    static const char given[] = "9.00719925474099e+15";
    static const char meant[] = "9007199254740991    ";
    char *json = cJSON_PrintUnformatted(mutant);
    for (char *at = json; (at = strstr(at, given));)
        memcpy(at, meant, strlen(meant));
    return json;
}

static void judge(const cJSON *mutant, const char *type, enum athena_sender from) {
    char *json = print(mutant);
    char pointer[POINTER_MAX];
    bool is_valid = schema_accepts(schema_of(type), mutant, pointer);
    struct athena_message message;
    struct athena_error error;
    enum athena_code code = decode(&message, from, view_text(json), &error);
    if (code != expected_code(mutant, pointer, is_valid))
        ck_abort_msg("%s: %s %s; the schema: %s", json, athena_code_text(code), error.where,
                     is_valid ? "valid" : pointer);
    if (code && !is_valid && !is_named(error.where, pointer, from))
        ck_abort_msg("%s: %s is named, not %s", json, error.where, pointer);
    if (!code && !has_faults(mutant, &message))
        expect_stable(&message, from, type);
    free(json);
}

/* ---- Making mutants ---- */

/* The n-th value of a message in the order of its text, and what holds it; NULL behind the last. */
static cJSON *nth_value(cJSON *root, int n, cJSON **parent) {
    cJSON *stack[ATHENA_JSON_DEPTH_MAX + 1] = {root};
    *parent = NULL;
    size_t depth = 0;
    cJSON *at = root->child;
    while (at || depth > 0) {
        if (!at) {
            at = stack[depth--]->next;
            continue;
        }
        *parent = stack[depth];
        if (n-- == 0)
            return at;
        if (at->child) {
            stack[++depth] = at;
            at = at->child;
        } else {
            at = at->next;
        }
    }
    return NULL;
}

static void replace(cJSON *parent, cJSON *value, const char *by) {
    if (!by) {
        cJSON_Delete(cJSON_DetachItemViaPointer(parent, value));
        return;
    }
    cJSON *replacement = cJSON_Parse(by);
    ck_assert_msg(replacement != NULL, "%s", by);
    if (value->string) /* kept by the item that goes */
        replacement->string = strdup(value->string);
    cJSON_ReplaceItemViaPointer(parent, value, replacement);
}

START_TEST(mutants_are_judged_as_the_schemas_say) {
    char path[64];
    snprintf(path, sizeof path, "messages/valid/%s.json", files[_i]);
    cJSON *original = fixture_load(path);
    const char *type = member_text(original, "type");
    bool is_request =
        strchr("olgpc", type[0]) && type[strlen(type) - 1] != 'd' && strcmp(type, "got") != 0;
    enum athena_sender from = is_request ? ATHENA_FROM_CLIENT : ATHENA_FROM_SERVER;
    judge(original, type, from);
    int values = 0;
    for (cJSON *ignored; nth_value(original, values, &ignored); values++)
        for (size_t i = 0; i < REPLACEMENTS; i++) {
            cJSON *mutant = cJSON_Duplicate(original, true);
            cJSON *parent;
            cJSON *value = nth_value(mutant, values, &parent);
            replace(parent, value, replacements[i]);
            judge(mutant, type, from);
            cJSON_Delete(mutant);
        }
    ck_assert_int_ge(values, 3);
    cJSON_Delete(original);
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, mutants_are_judged_as_the_schemas_say, 0, FILES);
    Suite *suite = suite_create("mutants");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
