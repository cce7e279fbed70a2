#include "reference-client/tests/support_replica.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void support_replica_folder(struct support_replica *replica) {
    *replica = (struct support_replica){.folder = "/tmp/athena-replica-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(replica->folder));
    snprintf(replica->path, sizeof replica->path, "%s/r", replica->folder);
}

static void init(struct support_replica *replica, const uint8_t *secret, const char *url) {
    support_replica_folder(replica);
    ck_assert_int_eq(athena_sync_create(replica->path, secret, url, NULL, NULL), ATHENA_OK);
    ck_assert_int_eq(athena_sync_open(&replica->sync, replica->path, NULL, NULL), ATHENA_OK);
}

void support_replica_init(struct support_replica *replica, const char *url) {
    init(replica, NULL, url);
}

void support_replica_join(struct support_replica *replica, const struct support_replica *other) {
    uint8_t secret[ATHENA_SECRET_BYTES];
    athena_sync_secret(other->sync, secret);
    init(replica, secret, NULL);
}

void support_replica_fini(struct support_replica *replica) {
    static const char *const files[] = {"key", "lock", "replica.db", "replica.db-wal",
                                        "replica.db-shm"};
    char path[128];
    athena_sync_close(replica->sync);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", replica->path, files[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(replica->path), 0);
    ck_assert_int_eq(rmdir(replica->folder), 0);
}
