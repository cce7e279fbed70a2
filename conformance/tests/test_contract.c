/* What a driver owes beyond the form of its lines: each breach is told, and nothing else. */
#include "conformance/contract.h"
#include "conformance/memory.h"
#include "conformance/tests/support_main.h"

#include <stdlib.h>
#include <string.h>

#define UUID   "7d444840-9dc0-41d1-b245-5ffdce74fad2"
#define READY  "{\"event\":\"ready\",\"doc\":\"d\"}"
#define OWN    "{\"event\":\"change\",\"id\":\"ab:" UUID "\",\"data\":\"\",\"own\":true}"
#define OTHERS "{\"event\":\"change\",\"id\":\"abab:" UUID "\",\"data\":\"\",\"own\":false}"

enum { LINES_MAX = 8 };

/* Lines with "cmd" go to the driver, those with "event" come from it; "" is a line that is no
 * command, and "-" the end of its life. */
static const struct {
    const char *lines[LINES_MAX];
    const char *breach; /* part of what is told of the last line; NULL: nothing */
} CASES[] = {
    {{READY, "{\"cmd\":\"connect\",\"id\":1}", "{\"event\":\"answer\",\"id\":1,\"ok\":true}", "-"},
     NULL},
    {{READY, "{\"event\":\"answer\",\"id\":1,\"ok\":true}"}, "to no command"},
    {{READY, "{\"cmd\":\"connect\",\"id\":1}", "{\"event\":\"answer\",\"id\":1,\"ok\":true}",
      "{\"event\":\"answer\",\"id\":1,\"ok\":true}"},
     "a second one"},
    {{READY, "", "{\"event\":\"answer\",\"ok\":false}"}, NULL},
    {{READY, "{\"cmd\":\"retry\",\"id\":1}", "{\"event\":\"answer\",\"ok\":false}"},
     "to no command"},
    {{READY, "{\"cmd\":\"connect\",\"id\":1}", "{\"cmd\":\"retry\",\"id\":2}",
      "{\"event\":\"answer\",\"id\":2,\"ok\":true}"},
     "before that to connect"},
    {{READY, "{\"cmd\":\"sync\",\"id\":1}", "{\"cmd\":\"retry\",\"id\":2}",
      "{\"event\":\"answer\",\"id\":2,\"ok\":true}", "{\"event\":\"answer\",\"id\":1,\"ok\":true}"},
     NULL},
    {{READY, "{\"cmd\":\"retry\",\"id\":1}", "{\"cmd\":\"sync\",\"id\":2}",
      "{\"event\":\"answer\",\"id\":2,\"ok\":true}", "{\"event\":\"answer\",\"id\":1,\"ok\":true}"},
     NULL},
    {{READY, "{\"cmd\":\"add\",\"id\":1}", "{\"event\":\"answer\",\"id\":1,\"ok\":true}"},
     "lacks ids"},
    {{READY, "{\"cmd\":\"add\",\"id\":1}", "{\"event\":\"answer\",\"id\":1,\"ok\":false}"}, NULL},
    {{READY, "{\"cmd\":\"state\",\"id\":1}",
      "{\"event\":\"answer\",\"id\":1,\"ok\":true,\"changes\":0,\"quarantined\":0,\"pending\":0,"
      "\"refused\":0,\"connected\":true}"},
     "lacks in_sync"},
    {{READY, "{\"cmd\":\"stop\",\"id\":1}", "-"}, "without an answer to stop"},
    {{READY, "{\"cmd\":\"sync\",\"id\":1}", "{\"cmd\":\"stop\",\"id\":2}",
      "{\"event\":\"answer\",\"id\":2,\"ok\":true}", "-"},
     "without an answer to sync"},
    {{READY, "{\"cmd\":\"stop\",\"id\":1}", "{\"cmd\":\"retry\",\"id\":2}",
      "{\"event\":\"answer\",\"id\":1,\"ok\":true}", "-"},
     NULL},
    {{READY, "{\"cmd\":\"sync\",\"id\":1}", "-"}, NULL},
    {{OWN, OTHERS, READY, OTHERS}, NULL},
    {{READY, OWN}, "without being asked for"},
    {{READY, "{\"cmd\":\"replay\",\"id\":1}", OWN, "{\"event\":\"answer\",\"id\":1,\"ok\":true}"},
     NULL},
    {{READY, "{\"cmd\":\"replay\",\"id\":1}", "{\"event\":\"answer\",\"id\":1,\"ok\":true}", OWN},
     "without being asked for"},
    {{"{\"event\":\"change\",\"id\":\"ab:" UUID "\",\"data\":\"\",\"own\":false}"},
     "one of another device"},
    {{"{\"event\":\"change\",\"id\":\"abab:" UUID "\",\"data\":\"\",\"own\":true}"},
     "as added here"},
};

static char *play(struct contract *contract, const char *text) {
    char *breach = NULL;
    cJSON *line = cJSON_Parse(text);
    if (strcmp(text, "-") == 0)
        breach = contract_ended(contract);
    else if (cJSON_HasObjectItem(line, "event"))
        breach = contract_heard(contract, line);
    else
        contract_asked(contract, line);
    cJSON_Delete(line);
    return breach;
}

START_TEST(lines) {
    struct contract contract = {0};
    const char *const *line = CASES[_i].lines;
    contract_begin(&contract, "ab");
    for (; *line != NULL; line++) {
        char *breach = play(&contract, *line);
        const char *due = line[1] == NULL ? CASES[_i].breach : NULL;
        ck_assert_msg((breach != NULL) == (due != NULL) &&
                          (due == NULL || strstr(breach, due) != NULL),
                      "%s: %s in place of %s", *line, breach, due);
        free(breach);
    }
    contract_fini(&contract);
}
END_TEST

int main(void) {
    memory_setup_json();
    Suite *suite = suite_create("contract");
    TCase *tcase = tcase_create("lines");
    tcase_add_loop_test(tcase, lines, 0, sizeof CASES / sizeof *CASES);
    suite_add_tcase(suite, tcase);
    return support_main(suite);
}
