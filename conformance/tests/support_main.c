#include "conformance/tests/support_main.h"

#include "conformance/memory.h"

#include <signal.h>
#include <sodium.h>
#include <stdlib.h>

enum { TEST_SECONDS_MAX = 60 };

int support_main(Suite *suite) {
    memory_setup_json();
    signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void support_add(Suite *suite, const char *name, const TTest *test) {
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, TEST_SECONDS_MAX);
    tcase_add_test(tcase, test);
    suite_add_tcase(suite, tcase);
}

char *support_source(const char *path) {
    const char *source = getenv("ATHENA_SOURCE");
    return memory_format("%s/%s", source != NULL ? source : ".", path);
}
