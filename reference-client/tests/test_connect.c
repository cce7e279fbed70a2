/* Connecting through the public face, to an address where nobody listens. */
#include "reference-client/tests/support_replica.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A port that is taken but refuses every connection. */
static int bind_deaf(char url[static 64]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(url, 64, "ws://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
    return fd;
}

static void count_disconnected(void *ctx, const struct athena_sync_event *event) {
    unsigned *disconnected = ctx;
    *disconnected += event->type == ATHENA_SYNC_DISCONNECTED;
}

START_TEST(a_refused_url_leaves_the_connection) {
    struct support_replica replica;
    struct athena_sync_status status;
    char url[64];
    unsigned disconnected = 0;
    int fd = bind_deaf(url);
    support_replica_init(&replica, NULL);
    struct athena_sync_connect_options options = {
        .url = url, .event = count_disconnected, .ctx = &disconnected};
    ck_assert_int_eq(athena_sync_connect(replica.sync, &options, NULL), ATHENA_OK);
    options.url = "http://127.0.0.1/";
    ck_assert_int_eq(athena_sync_connect(replica.sync, &options, NULL), ATHENA_BAD_URL);
    ck_assert_int_eq(athena_sync_get_status(replica.sync, &status, NULL), ATHENA_OK);
    ck_assert_str_eq(status.url, url);
    while (disconnected == 0) /* the attempt goes on, and fails since nobody listens */
        athena_sync_run(replica.sync, -1);
    support_replica_fini(&replica);
    close(fd);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("connect");
    TCase *tests = tcase_create("connect");
    tcase_add_test(tests, a_refused_url_leaves_the_connection);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
