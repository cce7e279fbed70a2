/* The commands of athena-sync watch, but for add. */
#include "reference-client/cli/watch.h"

#include <stdlib.h>
#include <string.h>

enum athena_code watch_connect(struct watch *w, struct athena_error *error) {
    enum athena_code code = athena_sync_connect(w->sync, &w->options, error);
    if (!code)
        cli_warn_of_clear_text(w->sync);
    return code;
}

/* As watch_answer_code; the error `wrong` is the fault of `member`, if that is not NULL. */
static void answer_for(struct watch *w, cJSON *command, enum athena_code code,
                       const struct athena_error *error, enum athena_code wrong,
                       const char *member) {
    if (code == wrong && member)
        watch_answer_member(w, command, member, error);
    else
        watch_answer_code(w, command, code, error);
}

static void do_connect(struct watch *w, cJSON *command) {
    struct athena_error error;
    w->options.url = cli_text_of(command, "url");
    if (!w->options.url && cJSON_HasObjectItem(command, "url")) {
        watch_answer_wrong(w, command, "/url", "not a text");
        return;
    }
    enum athena_code code = watch_connect(w, &error);
    answer_for(w, command, code, &error, ATHENA_BAD_URL, w->options.url ? "/url" : NULL);
}

static void do_disconnect(struct watch *w, cJSON *command) {
    athena_sync_disconnect(w->sync);
    watch_answer_ok(w, command);
}

static void do_retry(struct watch *w, cJSON *command) {
    athena_sync_retry_now(w->sync);
    watch_answer_ok(w, command);
}

static void do_state(struct watch *w, cJSON *command) {
    struct athena_error error;
    struct athena_sync_status s;
    if (athena_sync_get_status(w->sync, &s, &error)) {
        watch_answer_error(w, command, &error);
        return;
    }
    struct athena_buf *out = watch_answer(w, command, true);
    cli_append_integer(out, "changes", s.changes);
    cli_append_integer(out, "quarantined", s.quarantined);
    cli_append_bytes(out, "digest", s.digest.sum, sizeof s.digest.sum);
    cli_append_integer(out, "pending", s.pending);
    cli_append_integer(out, "refused", s.refused);
    cli_append_integer(out, "conflicts", s.conflicts);
    cli_append_integer(out, "known", s.known.count);
    cli_append_boolean(out, "connected", s.is_connected);
    cli_append_boolean(out, "in_sync", s.is_in_sync);
    watch_end(w);
}

static bool append_attention(void *ctx, const struct athena_sync_attention *attention) {
    cli_append_attention(&((struct watch *)ctx)->out, attention);
    return true;
}

static void do_attention(struct watch *w, cJSON *command) {
    struct athena_error error;
    size_t start = w->out.len;
    cli_append(watch_answer(w, command, true), ",\"attention\":[");
    if (athena_sync_each_attention(w->sync, append_attention, w, &error)) {
        w->out.len = start;
        watch_answer_error(w, command, &error);
        return;
    }
    cli_append(&w->out, "]");
    watch_end(w);
}

static void do_replay(struct watch *w, cJSON *command) {
    struct athena_error error;
    const cJSON *after = cJSON_GetObjectItemCaseSensitive(command, "after");
    if (after && (!cJSON_IsNumber(after) || after->valuedouble < 0)) {
        watch_answer_wrong(w, command, "/after", "not a number of a change");
        return;
    }
    uint64_t from = after ? (uint64_t)after->valuedouble : 0;
    watch_answer_code(w, command, athena_sync_each(w->sync, from, watch_send_change, w, &error),
                      &error);
}

static void do_quarantine(struct watch *w, cJSON *command) {
    struct athena_error error;
    const char *change = cli_text_of(command, "change");
    const char *reason = cli_text_of(command, "reason");
    if (!change || (!reason && cJSON_HasObjectItem(command, "reason"))) {
        watch_answer_wrong(w, command, change ? "/reason" : "/change", "not a text");
        return;
    }
    struct athena_text_view id = {change, strlen(change)};
    enum athena_code code =
        athena_sync_quarantine(w->sync, id, reason ? reason : "refused by the application", &error);
    answer_for(w, command, code, &error, ATHENA_BAD_ID, "/change");
}

static void do_save(struct watch *w, cJSON *command) {
    struct athena_error error;
    size_t len;
    const uint8_t *data = cli_bytes_of(command, "data", &len);
    const cJSON *through = cJSON_GetObjectItemCaseSensitive(command, "through");
    if (!data) {
        watch_answer_wrong(w, command, "/data", "not canonical base64url");
    } else if (!cJSON_IsNumber(through) || through->valuedouble < 0) {
        watch_answer_wrong(w, command, "/through", "not a number of a change");
    } else {
        struct athena_bytes_view document = {data, len};
        enum athena_code code =
            athena_sync_save_document(w->sync, document, (uint64_t)through->valuedouble, &error);
        answer_for(w, command, code, &error, ATHENA_BAD_ID, "/through");
    }
}

static void do_load(struct watch *w, cJSON *command) {
    struct athena_error error;
    uint8_t *document;
    size_t len;
    uint64_t through;
    if (athena_sync_load_document(w->sync, &document, &len, &through, &error)) {
        watch_answer_error(w, command, &error);
        return;
    }
    struct athena_buf *out = watch_answer(w, command, true);
    if (document)
        cli_append_bytes(out, "data", document, len);
    cli_append_integer(out, "through", through);
    watch_end(w);
    free(document);
}

static void do_stop(struct watch *w, cJSON *command) {
    athena_sync_disconnect(w->sync);
    if (w->waits_for_sync)
        watch_answer_wrong(w, w->waits_for_sync, "/cmd", "stopped before that was so");
    watch_answer_ok(w, command);
    w->is_stopping = true;
}

/* Keeps the command until it can be answered. */
static void do_sync(struct watch *w, cJSON *command) {
    struct athena_sync_status s;
    struct athena_error error;
    if (w->waits_for_sync) {
        watch_answer_wrong(w, command, "/cmd", "another sync is not answered yet");
    } else if (athena_sync_get_status(w->sync, &s, &error)) {
        watch_answer_error(w, command, &error);
    } else if (s.is_in_sync) {
        watch_answer_ok(w, command);
    } else {
        w->waits_for_sync = cJSON_Duplicate(command, true);
    }
}

static void answer_unsupported(struct watch *w, const cJSON *command) {
    static const char message[] = "no such command";
    struct athena_buf *out = watch_answer(w, command, false);
    cli_append_string(out, "code", "unsupported", strlen("unsupported"));
    cli_append_string(out, "message", message, strlen(message));
    watch_end(w);
}

static const struct {
    const char *name;
    void (*run)(struct watch *watch, cJSON *command);
} watch_commands[] = {
    {"connect", do_connect},    {"disconnect", do_disconnect}, {"retry", do_retry},
    {"state", do_state},        {"replay", do_replay},         {"quarantine", do_quarantine},
    {"save-document", do_save}, {"load-document", do_load},    {"sync", do_sync},
    {"stop", do_stop},          {"attention", do_attention},
};

void watch_run_command(struct watch *w, cJSON *command) {
    const char *name = cli_text_of(command, "cmd");
    if (name && strcmp(name, "add") == 0) {
        watch_collect_add(w, command);
        return;
    }
    watch_store_adds(w); /* commands take effect in order */
    size_t i = 0;
    size_t count = sizeof watch_commands / sizeof watch_commands[0];
    while (i < count && (!name || strcmp(name, watch_commands[i].name) != 0))
        i++;
    if (i < count)
        watch_commands[i].run(w, command);
    else
        answer_unsupported(w, command);
    cJSON_Delete(command);
}
