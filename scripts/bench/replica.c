#include "scripts/bench/replica.h"

#include "reference-client/athena_sync.h"
#include "scripts/bench/bench.h"
#include "scripts/bench/folder.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void replica_start(struct replica *replica, struct bench *bench, const struct corpus *corpus,
                   const char *url) {
    struct athena_error error;
    int len =
        snprintf(replica->command, sizeof replica->command, "%s/athena-sync", bench->programs);
    if (len < 0 || (size_t)len >= sizeof replica->command)
        bench_fail("the programs' folder has too long a name");
    bench_fresh_path(bench, replica->folder, sizeof replica->folder, "replica");
    if (athena_sync_create(replica->folder, corpus->secret, url, NULL, &error) != ATHENA_OK)
        bench_fail("no replica in %s: %s", replica->folder, error.text);
}

void replica_end(struct replica *replica) {
    folder_remove(replica->folder);
}

void replica_add(const struct replica *replica, size_t count) {
    struct athena_sync *sync;
    struct athena_error error;
    uint8_t actor[16], *plains = bench_take(count, BENCH_PLAIN_BYTES);
    char actor_text[2 * sizeof actor + 1];
    struct athena_sync_new_change *changes = bench_take(count, sizeof *changes);
    randombytes_buf(actor, sizeof actor);
    randombytes_buf(plains, count * BENCH_PLAIN_BYTES);
    sodium_bin2hex(actor_text, sizeof actor_text, actor, sizeof actor);
    for (size_t i = 0; i < count; i++)
        changes[i] = (struct athena_sync_new_change){
            .actor = {actor_text, strlen(actor_text)},
            .plain = {plains + i * BENCH_PLAIN_BYTES, BENCH_PLAIN_BYTES}};
    if (athena_sync_open(&sync, replica->folder, NULL, &error) != ATHENA_OK ||
        athena_sync_add(sync, changes, count, NULL, NULL, &error) != ATHENA_OK)
        bench_fail("%s: %s", replica->folder, error.text);
    athena_sync_close(sync);
    free(changes);
    free(plains);
}

struct program_run replica_sync(const struct replica *replica, size_t received, size_t pushed) {
    const char *argv[] = {replica->command, "sync", replica->folder, NULL};
    char output[256], wanted[256];
    struct program_run run = program_run(argv, NULL, 0, output, sizeof output);
    snprintf(wanted, sizeof wanted, "in sync: received %zu, pushed %zu\n", received, pushed);
    if (strcmp(output, wanted) != 0)
        bench_fail("athena-sync printed \"%s\", not \"%s\"", output, wanted);
    return run;
}
