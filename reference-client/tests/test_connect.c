/* Connecting through the public face, to an address where nobody listens. */
#include "reference-client/athena_sync.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATH_BYTES = 128, URL_BYTES = 64 };

/* A replica, and the address of a socket that is bound but does not listen. */
struct fixture {
    char folder[PATH_BYTES];
    char replica[PATH_BYTES + 8];
    char url[URL_BYTES];
    int fd;
    struct athena_sync *sync;
    unsigned disconnected;
};

static void on_event(void *ctx, const struct athena_sync_event *event) {
    struct fixture *f = ctx;
    f->disconnected += event->type == ATHENA_SYNC_DISCONNECTED;
}

static void set_up(struct fixture *f) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    *f = (struct fixture){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ck_assert_int_eq(bind(f->fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(f->fd, (struct sockaddr *)&address, &len), 0);
    snprintf(f->url, sizeof f->url, "ws://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
    snprintf(f->folder, sizeof f->folder, "/tmp/athena-connect-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->folder));
    snprintf(f->replica, sizeof f->replica, "%s/r", f->folder);
    ck_assert_int_eq(athena_sync_create(f->replica, NULL, NULL, NULL), ATHENA_OK);
    ck_assert_int_eq(athena_sync_open(&f->sync, f->replica, NULL, NULL), ATHENA_OK);
}

static void tear_down(struct fixture *f) {
    static const char *const files[] = {"key", "lock", "replica.db", "replica.db-wal",
                                        "replica.db-shm"};
    char path[PATH_BYTES + 32];
    athena_sync_close(f->sync);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", f->replica, files[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(f->replica), 0);
    ck_assert_int_eq(rmdir(f->folder), 0);
    close(f->fd);
}

START_TEST(a_refused_url_leaves_the_connection) {
    struct fixture f;
    struct athena_error error;
    struct athena_sync_status status;
    set_up(&f);
    struct athena_sync_connect_options options = {.url = f.url, .event = on_event, .ctx = &f};
    ck_assert_int_eq(athena_sync_connect(f.sync, &options, &error), ATHENA_OK);
    options.url = "http://127.0.0.1/";
    ck_assert_int_eq(athena_sync_connect(f.sync, &options, &error), ATHENA_BAD_URL);
    ck_assert_int_eq(athena_sync_get_status(f.sync, &status, &error), ATHENA_OK);
    ck_assert_str_eq(status.url, f.url);
    while (f.disconnected == 0) /* the attempt goes on, and fails since nobody listens */
        athena_sync_run(f.sync, -1);
    tear_down(&f);
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
