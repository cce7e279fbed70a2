/* The command add of athena-sync watch: what arrives together is stored together. */
#include "reference-client/cli/watch.h"

#include <stdlib.h>
#include <string.h>

static bool reserve(void **at, size_t *capacity, size_t len, size_t item_bytes) {
    if (len < *capacity)
        return true;
    size_t wanted = *capacity ? *capacity * 2 : 64;
    void *grown = realloc(*at, wanted * item_bytes);
    if (!grown)
        return false;
    *at = grown;
    *capacity = wanted;
    return true;
}

/* What is wrong with an `add`, and where. */
struct fault {
    const char *what; /* NULL: nothing */
    char where[64];
};

static struct fault wrong(const char *prefix, const char *member, const char *what) {
    struct fault fault = {.what = what};
    snprintf(fault.where, sizeof fault.where, "%s%s", prefix, member);
    return fault;
}

/* One change, at that pointer, into the batch. Its texts stay in the command. */
static struct fault collect_change(struct watch *w, const cJSON *change, const char *at) {
    struct athena_sync_new_change *added;
    const char *actor = cli_text_of(change, "actor");
    size_t len;
    const uint8_t *data = cli_bytes_of(change, "data", &len);
    if (!actor || athena_actor_check((struct athena_text_view){actor, strlen(actor)}, NULL))
        return wrong(at, "/actor", "not an actor in lower-case hexadecimal");
    if (!data)
        return wrong(at, "/data", "not canonical base64url");
    if (!reserve((void **)&w->changes, &w->changes_capacity, w->changes_len, sizeof *added))
        return wrong(at, "", "out of memory");
    added = &w->changes[w->changes_len++];
    added->actor = (struct athena_text_view){actor, strlen(actor)};
    added->plain = (struct athena_bytes_view){data, len};
    return (struct fault){0};
}

static struct fault collect_changes(struct watch *w, const cJSON *command) {
    const cJSON *changes = cJSON_GetObjectItemCaseSensitive(command, "changes");
    const cJSON *change;
    struct fault fault = {0};
    size_t index = 0;
    if (!changes)
        return collect_change(w, command, "");
    if (!cJSON_IsArray(changes))
        return wrong("/changes", "", "not an array");
    cJSON_ArrayForEach(change, changes) {
        char at[32];
        snprintf(at, sizeof at, "/changes/%zu", index++);
        fault = collect_change(w, change, at);
        if (fault.what)
            break;
    }
    return fault;
}

static void answer_add_of_nothing(struct watch *w, const cJSON *command) {
    cli_append(watch_answer(w, command, true), ",\"ids\":[]");
    watch_end(w);
}

struct stored {
    struct watch *watch;
    size_t add;  /* whose change comes next */
    size_t left; /* of it */
};

/* Called for each stored change in order: the answers are written as they complete. */
static void on_added(void *ctx, const struct athena_sync_change *change) {
    struct stored *stored = ctx;
    struct watch *w = stored->watch;
    while (stored->left == 0) {
        const struct pending_add *add = &w->adds[stored->add++];
        stored->left = add->len;
        if (add->len == 0)
            answer_add_of_nothing(w, add->command);
        else
            cli_append(watch_answer(w, add->command, true), ",\"ids\":[");
    }
    athena_json_append_string(&w->out, change->id);
    if (--stored->left > 0) {
        cli_append(&w->out, ",");
        return;
    }
    cli_append(&w->out, "]");
    cli_append_integer(&w->out, "number", change->number);
    watch_end(w);
}

void watch_store_adds(struct watch *w) {
    struct athena_error error;
    struct stored stored = {.watch = w};
    if (w->adds_len == 0)
        return;
    bool failed =
        athena_sync_add(w->sync, w->changes, w->changes_len, on_added, &stored, &error) != 0;
    for (size_t i = failed ? 0 : stored.add; i < w->adds_len; i++) {
        if (failed)
            watch_answer_error(w, w->adds[i].command, &error);
        else
            answer_add_of_nothing(w, w->adds[i].command);
    }
    for (size_t i = 0; i < w->adds_len; i++)
        cJSON_Delete(w->adds[i].command);
    w->adds_len = 0;
    w->changes_len = 0;
}

/* Takes the command over: its texts are needed until the batch is stored. */
void watch_collect_add(struct watch *w, cJSON *command) {
    size_t first = w->changes_len;
    struct fault fault = reserve((void **)&w->adds, &w->adds_capacity, w->adds_len, sizeof *w->adds)
                             ? collect_changes(w, command)
                             : wrong("", "", "out of memory");
    if (fault.what) {
        w->changes_len = first;
        watch_store_adds(w); /* those before it are answered before it */
        watch_answer_wrong(w, command, fault.where, fault.what);
        cJSON_Delete(command);
        return;
    }
    w->adds[w->adds_len++] = (struct pending_add){command, first, w->changes_len - first};
}
