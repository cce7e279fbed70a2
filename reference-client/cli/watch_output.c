/* What athena-sync watch writes: events and answers, a JSON object a line. */
#include "reference-client/cli/watch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- Output ---- */

struct athena_buf *watch_begin(struct watch *w, const char *event) {
    cli_append(&w->out, "{");
    cli_append_string(&w->out, "event", event, strlen(event));
    return &w->out;
}

void watch_end(struct watch *w) {
    cli_append(&w->out, "}\n");
}

void watch_give_up(struct watch *w, const char *why) {
    fprintf(stderr, "athena-sync: %s\n", why);
    w->is_stopping = true;
    w->status = EXIT_FAILED;
}

void watch_flush(struct watch *w) {
    if (w->out.failed)
        watch_give_up(w, "out of memory");
    for (size_t sent = 0; sent < w->out.len;) {
        ssize_t len = write(STDOUT_FILENO, w->out.at + sent, w->out.len - sent);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0 && errno == EPIPE) {
            w->is_stopping = true; /* nobody reads any more */
            break;
        }
        if (len < 0) {
            watch_give_up(w, "standard output cannot be written");
            break;
        }
        sent += (size_t)len;
    }
    athena_buf_clear(&w->out);
}

static void append_error(struct athena_buf *out, const struct athena_error *error) {
    const char *code = athena_code_text(error->code);
    cli_append_string(out, "code", code, strlen(code));
    if (*error->where)
        cli_append_string(out, "where", error->where, strlen(error->where));
    cli_append_string(out, "message", error->text, strlen(error->text));
}

static void append_change(struct watch *w, const struct athena_sync_change *change) {
    struct athena_buf *out = watch_begin(w, "change");
    size_t actor_len = change->id.len - ATHENA_UUID_TEXT_LEN - 1;
    cli_append_integer(out, "number", change->number);
    cli_append_string(out, "id", change->id.at, change->id.len);
    cli_append_string(out, "actor", change->id.at, actor_len);
    cli_append_bytes(out, "data", change->plain.at, change->plain.len);
    cli_append_boolean(out, "own", change->is_own);
    watch_end(w);
}

/* ---- Answers ---- */

struct athena_buf *watch_answer(struct watch *w, const cJSON *command, bool ok) {
    struct athena_buf *out = watch_begin(w, "answer");
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(command, "id");
    char *text = id ? cJSON_PrintUnformatted(id) : NULL;
    if (text) {
        cli_append(out, ",\"id\":");
        cli_append(out, text);
        cJSON_free(text);
    }
    cli_append_boolean(out, "ok", ok);
    return out;
}

void watch_answer_ok(struct watch *w, const cJSON *command) {
    watch_answer(w, command, true);
    watch_end(w);
}

/* In an answer, `where` is a member of the command; what else the library says of the place is
 * part of the message. */
void watch_answer_error(struct watch *w, const cJSON *command, const struct athena_error *error) {
    struct athena_buf *out = watch_answer(w, command, false);
    char message[sizeof error->where + sizeof error->text + 2];
    const char *code = athena_code_text(error->code);
    snprintf(message, sizeof message, "%s%s%s", error->where, *error->where ? ": " : "",
             error->text);
    cli_append_string(out, "code", code, strlen(code));
    cli_append_string(out, "message", message, strlen(message));
    watch_end(w);
}

void watch_answer_member(struct watch *w, const cJSON *command, const char *member,
                         const struct athena_error *error) {
    struct athena_error of_member = *error;
    snprintf(of_member.where, sizeof of_member.where, "%s", member);
    append_error(watch_answer(w, command, false), &of_member);
    watch_end(w);
}

void watch_answer_wrong(struct watch *w, const cJSON *command, const char *member,
                        const char *what) {
    struct athena_error error = {.code = ATHENA_BAD_MESSAGE};
    snprintf(error.text, sizeof error.text, "%s", what);
    watch_answer_member(w, command, member, &error);
}

void watch_answer_code(struct watch *w, const cJSON *command, enum athena_code code,
                       const struct athena_error *error) {
    if (code)
        watch_answer_error(w, command, error);
    else
        watch_answer_ok(w, command);
}

/* ---- Events ---- */

static void answer_sync(struct watch *w) {
    if (!w->waits_for_sync)
        return;
    watch_answer_ok(w, w->waits_for_sync);
    cJSON_Delete(w->waits_for_sync);
    w->waits_for_sync = NULL;
}

void watch_append_fault(struct watch *w, const struct athena_error *error) {
    append_error(watch_begin(w, "fault"), error);
    watch_end(w);
}

static void append_about(struct watch *w, const char *name, const struct athena_sync_event *event) {
    struct athena_buf *out = watch_begin(w, name);
    if (event->id.len)
        cli_append_string(out, "id", event->id.at, event->id.len);
    append_error(out, &event->error);
    if (event->type == ATHENA_SYNC_DISCONNECTED)
        cli_append_integer(out, "retry_ms", event->retry_ms);
    watch_end(w);
}

void watch_on_event(void *ctx, const struct athena_sync_event *event) {
    static const char *const names[] = {
        [ATHENA_SYNC_CONNECTED] = "connected",
        [ATHENA_SYNC_IN_SYNC] = "in-sync",
        [ATHENA_SYNC_CHANGE] = "change",
        [ATHENA_SYNC_PUSHED] = "pushed",
        [ATHENA_SYNC_QUARANTINED] = "quarantined",
        [ATHENA_SYNC_CONFLICT] = "conflict",
        [ATHENA_SYNC_REFUSED] = "refused",
        [ATHENA_SYNC_FAULT] = "fault",
        [ATHENA_SYNC_DISCONNECTED] = "disconnected",
    };
    struct watch *w = ctx;
    switch (event->type) {
    case ATHENA_SYNC_CHANGE:
        append_change(w, &event->change);
        break;
    case ATHENA_SYNC_PUSHED:
        cli_append_integer(watch_begin(w, "pushed"), "count", event->count);
        watch_end(w);
        break;
    case ATHENA_SYNC_CONNECTED:
    case ATHENA_SYNC_IN_SYNC:
        watch_begin(w, names[event->type]);
        watch_end(w);
        if (event->type == ATHENA_SYNC_IN_SYNC)
            answer_sync(w);
        break;
    default:
        append_about(w, names[event->type], event);
    }
    if (w->out.len > WATCH_STEP)
        watch_flush(w);
}

bool watch_send_change(void *ctx, const struct athena_sync_change *change) {
    struct watch *w = ctx;
    append_change(w, change);
    if (w->out.len > WATCH_STEP)
        watch_flush(w);
    return !w->is_stopping;
}
