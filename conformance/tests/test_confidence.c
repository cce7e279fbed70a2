/* What a server must not print: each kind is found, in each form, by its requirement. */
#include "conformance/confidence.h"
#include "conformance/tests/support_main.h"

#include <string.h>

static const char MESSAGE[] =
    "{\"challenge\":\"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8\","
    "\"proof\":\"3zy2yMHY-MpljV9LCkTDC7sQhYomhcv9kRt8a6Gsc_8F\","
    "\"changes\":[{\"id\":\"ab:7d444840-9dc0-41d1-b245-5ffdce74fad2\","
    "\"data\":\"AfscS6gmHMQKAB64-BxXhE0BccqisVVyfNyf13LpNI51PRFB_-DKzfzo\"},7,{\"id\":8}]}";

static const struct {
    const char *log;
    const char *breaks; /* NULL: nothing */
} CASES[] = {
    {"", NULL},
    {"listening on ws://127.0.0.1:80/\nstopping: signal 15\n", NULL},
    {"token s3cr3t-token refused\n", "ASP-WS-17"},
    {"offered athena-token.czNjcjN0LXRva2Vu\n", "ASP-WS-17"},
    {"challenge 202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\n", "ASP-SEC-4"},
    {"< {\"proof\":\"3zy2yMHY-MpljV9LCkTDC7sQhYomhcv9kRt8a6Gsc_8F\"}\n", "ASP-SEC-4"},
    {"stored AfscS6gmHMQKAB64-BxXhE0BccqisVVyfNyf13LpNI51... of 169 bytes\n", "ASP-SEC-4"},
    {"stored ab:7d444840-9dc0-41d1-b245-5ffdce74fad2\n", "ASP-PRIV-2"},
};

START_TEST(logs) {
    struct confidence confidence = {0};
    const char *requirement = NULL;
    cJSON *message = cJSON_Parse(MESSAGE);
    confidence_add(&confidence, message);
    confidence_add_token(&confidence, "s3cr3t-token");
    const char *found = confidence_find(&confidence, CASES[_i].log, &requirement);
    ck_assert_pstr_eq(found != NULL ? requirement : NULL, CASES[_i].breaks);
    confidence_fini(&confidence);
    cJSON_Delete(message);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("confidence");
    TCase *tcase = tcase_create("logs");
    tcase_add_loop_test(tcase, logs, 0, sizeof CASES / sizeof *CASES);
    suite_add_tcase(suite, tcase);
    return support_main(suite);
}
