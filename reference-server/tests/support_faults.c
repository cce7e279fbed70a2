#include "reference-server/tests/support_faults.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct faults *faults;
struct server faulty_server;
struct athena_keys faulty_keys;

static char preload[SUPPORT_PATH_MAX];
static char variable[SUPPORT_PATH_MAX + sizeof FAULTS_VARIABLE];
/* ASan has to be told that what it does not come before is no mistake. */
static char asan[] = "ASAN_OPTIONS=verify_asan_link_order=0";
static const char *const environment[] = {preload, variable, asan, NULL};
const struct process_setting faulty_setting = {.environment = environment};

void faulty_map(void) {
    char path[SUPPORT_PATH_MAX];
    const char *build = getenv("ATHENA_BUILD");
    support_path(path, support_folder, "faults");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, sizeof *faults), 0);
    faults = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(faults, MAP_FAILED);
    close(fd);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s/faults.so", build ? build : "build");
    snprintf(variable, sizeof variable, "%s=%s", FAULTS_VARIABLE, path);
    support_keys(&faulty_keys, 1);
}

void faulty_start(void) {
    faulty_map();
    server_start(&faulty_server, NULL, &faulty_setting);
}

void faulty_join(struct client *client, struct athena_message *opened) {
    client_join(client, faulty_server.url);
    client_open(client, &faulty_keys, opened);
}

/* The number of a change that has the data that client_push gives it. */
static uint64_t number_of(const struct athena_change_view *change) {
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    char data[17];
    snprintf(id, sizeof id, "%.12s", change->id.at + change->id.len - 12);
    uint64_t number = strtoull(id, NULL, 16);
    support_id(id, number);
    client_data(data, number);
    ck_assert_uint_eq(change->id.len, strlen(id));
    ck_assert_mem_eq(change->id.at, id, strlen(id));
    ck_assert_uint_eq(change->data.len, 16);
    ck_assert_mem_eq(change->data.at, data, 16);
    return number;
}

uint64_t faulty_expect_log(uint64_t acknowledged) {
    struct client reader;
    struct athena_message message;
    uint64_t number = 0;
    faulty_join(&reader, &message);
    uint64_t count = message.digest.count;
    message = client_request(&reader, ATHENA_LIST, &faulty_keys);
    message.with_data = true;
    client_send(&reader, &message);
    client_expect(&reader, ATHENA_LISTED, &message);
    ck_assert_uint_eq(message.changes_len, count);
    ck_assert_uint_ge(count, acknowledged);
    ck_assert(!message.more);
    for (size_t i = 0; i < message.changes_len; i++) {
        uint64_t next = number_of(&message.changes[i]);
        ck_assert(i < acknowledged ? next == i + 1 : next > number);
        number = next;
    }
    client_close(&reader);
    return count;
}

void faulty_expect_log_after_kill(uint64_t acknowledged) {
    server_expect_whole(&faulty_server);
    server_restart(&faulty_server, NULL);
    faulty_expect_log(acknowledged);
    server_stop(&faulty_server);
}

void faulty_restart(void) {
    putenv(preload);
    putenv(variable);
    putenv(asan);
    server_restart(&faulty_server, NULL);
}

const struct faulty_countdown faulty_fills = {offsetof(struct faults, full_write), 0};
const struct faulty_countdown faulty_stops_to_sync = {offsetof(struct faults, failing_sync), 0};

void faulty_count_down(const struct faulty_countdown *countdown, long nth) {
    atomic_store(&faults->dropped, countdown->dropped);
    atomic_store((atomic_long *)(void *)((char *)faults + countdown->offset), nth);
}
