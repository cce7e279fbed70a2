/* What a client may never say on a connection, and the requirement it breaks by it. */
#include "conformance/guest.h"
#include "conformance/tests/support_main.h"

#include <stdlib.h>
#include <string.h>

#define DOC  "G5M8PUoqJGxKDJWr_JXtK_rDcpUvX6Xfyf5FoMlScfI"
#define ID   "ab:7d444840-9dc0-41d1-b245-5ffdce74fad2"
#define ID_2 "ab:7d444840-9dc0-41d1-b245-5ffdce74fad3"

enum { USUAL_BYTES = 100 };

static const struct {
    const char *says;
    const char *breaks; /* NULL: nothing */
} messages[] = {
    {"{\"type\":\"get\",\"req\":1,\"doc\":\"" DOC "\",\"ids\":[\"" ID "\",\"" ID_2 "\"]}", NULL},
    {"{\"type\":\"get\",\"req\":1,\"doc\":\"" DOC "\",\"ids\":[\"" ID "\",\"" ID "\"]}",
     "ASP-GET-8"},
    {"{\"type\":\"get\",\"req\":1,\"doc\":\"" DOC "\",\"ids\":[\"a\",\"b\",\"c\"]}", "ASP-LIM-7"},
    {"{\"type\":\"close\",\"req\":1,\"doc\":\"" DOC "\",\"example.org-x:y\":1}", NULL},
    {"{\"type\":\"close\",\"req\":1,\"doc\":\"" DOC "\",\"example.org:y\":1}", "ASP-EXT-2"},
    {"{\"type\":\"open\",\"req\":1,\"doc\":\"" DOC "\",\"authority\":\"here\",\"proof\":\"seen\"}",
     "ASP-OPEN-6"},
    {"{\"type\":\"open\",\"req\":1,\"doc\":\"" DOC "\",\"authority\":\"here\",\"proof\":\"new\"}",
     "ASP-KEY-6"},
    {"{\"type\":\"open\",\"req\":1,\"doc\":\"" DOC "\",\"authority\":\"there\",\"proof\":\"new\"}",
     "ASP-WS-37"},
};
enum { MESSAGES = sizeof messages / sizeof *messages };

static void greet(struct guest *guest) {
    cJSON *welcome = cJSON_Parse("{\"type\":\"welcome\",\"limits\":{\"message\":4096,\"batch\":2,"
                                 "\"message_before_open\":4096,\"change\":1024},"
                                 "\"extensions\":[\"example.org-x\"]}");
    guest_sent(guest, welcome);
    cJSON_Delete(welcome);
}

START_TEST(a_message_breaks_what_it_breaks) {
    const char *requirement = NULL;
    struct guest guest;
    cJSON *pushed = cJSON_CreateObject();
    cJSON *proofs = cJSON_Parse("{\"seen\":true}");
    cJSON *message = cJSON_Parse(messages[_i].says);
    guest_init(&guest, "here", "/", pushed, proofs);
    greet(&guest);
    const char *wrong = guest_received(&guest, message, USUAL_BYTES, &requirement);
    if (messages[_i].breaks == NULL)
        ck_assert_msg(wrong == NULL, "%s: %s", messages[_i].says, wrong);
    else
        ck_assert_msg(wrong != NULL && strcmp(requirement, messages[_i].breaks) == 0,
                      "%s breaks %s", messages[_i].says, wrong != NULL ? requirement : "nothing");
    guest_fini(&guest);
    cJSON_Delete(message);
    cJSON_Delete(pushed);
    cJSON_Delete(proofs);
}
END_TEST

START_TEST(nothing_comes_before_welcome) {
    const char *requirement = NULL;
    struct guest guest;
    cJSON *pushed = cJSON_CreateObject();
    cJSON *message = cJSON_Parse(messages[0].says);
    guest_init(&guest, "here", "/", pushed, pushed);
    ck_assert_ptr_nonnull(guest_received(&guest, message, USUAL_BYTES, &requirement));
    ck_assert_str_eq(requirement, "ASP-MSG-1");
    guest_fini(&guest);
    cJSON_Delete(message);
    cJSON_Delete(pushed);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("guest");
    TCase *tcase = tcase_create("messages");
    tcase_add_loop_test(tcase, a_message_breaks_what_it_breaks, 0, MESSAGES);
    suite_add_tcase(suite, tcase);
    support_add(suite, "welcome first", nothing_comes_before_welcome);
    return support_main(suite);
}
