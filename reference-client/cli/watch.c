/*
 * athena-sync watch: a replica driven by JSON lines, so that an application in any language can use
 * it. Events and answers go to standard output, commands come from standard input; both are in
 * reference-client/README.md.
 *
 * Adds that arrive together are stored together, in one durable step, and answered in order.
 */
#include "reference-client/cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_STEP = 65536, LINE_BYTES_MAX = 64 * 1024 * 1024 };

/* An `add` that is read but not stored yet. */
struct pending_add {
    cJSON *command;
    size_t first; /* of its changes in the batch */
    size_t len;
};

struct watch {
    struct athena_sync *sync;
    struct athena_sync_connect_options options;
    struct athena_buf in;
    struct athena_buf out;
    bool is_stopping;
    cJSON *waits_for_sync; /* a `sync` to be answered when in sync */

    struct pending_add *adds;
    size_t adds_len;
    size_t adds_capacity;
    struct athena_sync_new_change *changes;
    size_t changes_len;
    size_t changes_capacity;
};

/* ---- Output ---- */

static struct athena_buf *begin(struct watch *w, const char *event) {
    cli_append(&w->out, "{");
    cli_append_string(&w->out, "event", event, strlen(event));
    return &w->out;
}

static void end(struct watch *w) {
    cli_append(&w->out, "}\n");
}

/* All of it, or the reader is gone. */
static void flush(struct watch *w) {
    for (size_t sent = 0; sent < w->out.len;) {
        ssize_t len = write(STDOUT_FILENO, w->out.at + sent, w->out.len - sent);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0) {
            w->is_stopping = true;
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
    struct athena_buf *out = begin(w, "change");
    size_t actor_len = change->id.len - ATHENA_UUID_TEXT_LEN - 1;
    cli_append_integer(out, "number", change->number);
    cli_append_string(out, "id", change->id.at, change->id.len);
    cli_append_string(out, "actor", change->id.at, actor_len);
    cli_append_bytes(out, "data", change->plain.at, change->plain.len);
    cli_append_boolean(out, "own", change->is_own);
    end(w);
}

/* ---- Answers ---- */

static struct athena_buf *begin_answer(struct watch *w, const cJSON *command, bool ok) {
    struct athena_buf *out = begin(w, "answer");
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

static void answer_ok(struct watch *w, const cJSON *command) {
    begin_answer(w, command, true);
    end(w);
}

static void answer_error(struct watch *w, const cJSON *command, const struct athena_error *error) {
    append_error(begin_answer(w, command, false), error);
    end(w);
}

static void answer_wrong(struct watch *w, const cJSON *command, const char *member,
                         const char *what) {
    struct athena_error error = {.code = ATHENA_BAD_MESSAGE};
    snprintf(error.where, sizeof error.where, "/%s", member);
    snprintf(error.text, sizeof error.text, "%s", what);
    answer_error(w, command, &error);
}

static void answer_unsupported(struct watch *w, const cJSON *command) {
    static const char message[] = "no such command";
    struct athena_buf *out = begin_answer(w, command, false);
    cli_append_string(out, "code", "unsupported", strlen("unsupported"));
    cli_append_string(out, "message", message, strlen(message));
    end(w);
}

static void answer_code(struct watch *w, const cJSON *command, enum athena_code code,
                        const struct athena_error *error) {
    if (code)
        answer_error(w, command, error);
    else
        answer_ok(w, command);
}

/* ---- Events ---- */

static void answer_sync(struct watch *w) {
    if (!w->waits_for_sync)
        return;
    answer_ok(w, w->waits_for_sync);
    cJSON_Delete(w->waits_for_sync);
    w->waits_for_sync = NULL;
}

static void append_about(struct watch *w, const char *name, const struct athena_sync_event *event) {
    struct athena_buf *out = begin(w, name);
    if (event->id.len)
        cli_append_string(out, "id", event->id.at, event->id.len);
    append_error(out, &event->error);
    if (event->type == ATHENA_SYNC_DISCONNECTED)
        cli_append_integer(out, "retry_ms", event->retry_ms);
    end(w);
}

static void on_event(void *ctx, const struct athena_sync_event *event) {
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
        cli_append_integer(begin(w, "pushed"), "count", event->count);
        end(w);
        break;
    case ATHENA_SYNC_CONNECTED:
    case ATHENA_SYNC_IN_SYNC:
        begin(w, names[event->type]);
        end(w);
        if (event->type == ATHENA_SYNC_IN_SYNC)
            answer_sync(w);
        break;
    default:
        append_about(w, names[event->type], event);
    }
    if (w->out.len > READ_STEP)
        flush(w);
}

/* ---- add ---- */

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

/* One change into the batch; what is wrong with it, or NULL. Its texts stay in the command. */
static const char *collect_change(struct watch *w, const cJSON *change) {
    struct athena_sync_new_change *added;
    const char *actor = cli_text_of(change, "actor");
    size_t len;
    const uint8_t *data = cli_bytes_of(change, "data", &len);
    if (!actor || athena_actor_check((struct athena_text_view){actor, strlen(actor)}, NULL))
        return "actor: not an actor in lower-case hexadecimal";
    if (!data)
        return "data: not canonical base64url";
    if (!reserve((void **)&w->changes, &w->changes_capacity, w->changes_len, sizeof *added))
        return "out of memory";
    added = &w->changes[w->changes_len++];
    added->actor = (struct athena_text_view){actor, strlen(actor)};
    added->plain = (struct athena_bytes_view){data, len};
    return NULL;
}

static const char *collect_changes(struct watch *w, const cJSON *command) {
    const cJSON *changes = cJSON_GetObjectItemCaseSensitive(command, "changes");
    const cJSON *change;
    const char *fault = NULL;
    if (!changes)
        return collect_change(w, command);
    if (!cJSON_IsArray(changes))
        return "changes: not an array";
    cJSON_ArrayForEach(change, changes) {
        fault = collect_change(w, change);
        if (fault)
            break;
    }
    return fault;
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
        begin_answer(w, add->command, true);
        cli_append(&w->out, ",\"ids\":[");
        if (add->len == 0) {
            cli_append(&w->out, "]}\n");
            continue;
        }
    }
    athena_json_append_string(&w->out, change->id);
    if (--stored->left > 0) {
        cli_append(&w->out, ",");
        return;
    }
    cli_append(&w->out, "]");
    cli_append_integer(&w->out, "number", change->number);
    end(w);
}

static void store_adds(struct watch *w) {
    struct athena_error error;
    struct stored stored = {.watch = w};
    if (w->adds_len == 0)
        return;
    bool failed =
        athena_sync_add(w->sync, w->changes, w->changes_len, on_added, &stored, &error) != 0;
    for (size_t i = failed ? 0 : stored.add; i < w->adds_len; i++) {
        if (failed)
            answer_error(w, w->adds[i].command, &error);
        else
            answer_ok(w, w->adds[i].command); /* adds of nothing */
    }
    for (size_t i = 0; i < w->adds_len; i++)
        cJSON_Delete(w->adds[i].command);
    w->adds_len = 0;
    w->changes_len = 0;
}

/* Takes the command over: its texts are needed until the batch is stored. */
static void collect_add(struct watch *w, cJSON *command) {
    size_t first = w->changes_len;
    const char *fault = reserve((void **)&w->adds, &w->adds_capacity, w->adds_len, sizeof *w->adds)
                            ? collect_changes(w, command)
                            : "out of memory";
    if (fault) {
        w->changes_len = first;
        store_adds(w); /* those before it are answered before it */
        answer_wrong(w, command, "changes", fault);
        cJSON_Delete(command);
        return;
    }
    w->adds[w->adds_len++] = (struct pending_add){command, first, w->changes_len - first};
}

/* ---- The other commands ---- */

static bool send_change(void *ctx, const struct athena_sync_change *change) {
    struct watch *w = ctx;
    append_change(w, change);
    if (w->out.len > READ_STEP)
        flush(w);
    return !w->is_stopping;
}

static enum athena_code start_connecting(struct watch *w, struct athena_error *error) {
    enum athena_code code = athena_sync_connect(w->sync, &w->options, error);
    if (!code)
        cli_warn_of_clear_text(w->sync);
    return code;
}

static void do_connect(struct watch *w, cJSON *command) {
    struct athena_error error;
    w->options.url = cli_text_of(command, "url");
    answer_code(w, command, start_connecting(w, &error), &error);
}

static void do_disconnect(struct watch *w, cJSON *command) {
    athena_sync_disconnect(w->sync);
    answer_ok(w, command);
}

static void do_retry(struct watch *w, cJSON *command) {
    athena_sync_retry_now(w->sync);
    answer_ok(w, command);
}

static void do_state(struct watch *w, cJSON *command) {
    struct athena_error error;
    struct athena_sync_status s;
    if (athena_sync_get_status(w->sync, &s, &error)) {
        answer_error(w, command, &error);
        return;
    }
    struct athena_buf *out = begin_answer(w, command, true);
    cli_append_integer(out, "changes", s.changes);
    cli_append_integer(out, "quarantined", s.quarantined);
    cli_append_bytes(out, "digest", s.digest.sum, sizeof s.digest.sum);
    cli_append_integer(out, "pending", s.pending);
    cli_append_integer(out, "refused", s.refused);
    cli_append_integer(out, "conflicts", s.conflicts);
    cli_append_integer(out, "known", s.known.count);
    cli_append_boolean(out, "connected", s.is_connected);
    cli_append_boolean(out, "in_sync", s.is_in_sync);
    end(w);
}

static void do_replay(struct watch *w, cJSON *command) {
    struct athena_error error;
    const cJSON *after = cJSON_GetObjectItemCaseSensitive(command, "after");
    if (after && (!cJSON_IsNumber(after) || after->valuedouble < 0)) {
        answer_wrong(w, command, "after", "not a number of a change");
        return;
    }
    uint64_t from = after ? (uint64_t)after->valuedouble : 0;
    answer_code(w, command, athena_sync_each(w->sync, from, send_change, w, &error), &error);
}

static void do_quarantine(struct watch *w, cJSON *command) {
    struct athena_error error;
    const char *change = cli_text_of(command, "change");
    const char *reason = cli_text_of(command, "reason");
    if (!change) {
        answer_wrong(w, command, "change", "not the id of a change");
        return;
    }
    struct athena_text_view id = {change, strlen(change)};
    answer_code(
        w, command,
        athena_sync_quarantine(w->sync, id, reason ? reason : "refused by the application", &error),
        &error);
}

static void do_save(struct watch *w, cJSON *command) {
    struct athena_error error;
    size_t len;
    const uint8_t *data = cli_bytes_of(command, "data", &len);
    const cJSON *through = cJSON_GetObjectItemCaseSensitive(command, "through");
    if (!data) {
        answer_wrong(w, command, "data", "not canonical base64url");
    } else if (!cJSON_IsNumber(through) || through->valuedouble < 0) {
        answer_wrong(w, command, "through", "not a number of a change");
    } else {
        struct athena_bytes_view document = {data, len};
        answer_code(
            w, command,
            athena_sync_save_document(w->sync, document, (uint64_t)through->valuedouble, &error),
            &error);
    }
}

static void do_load(struct watch *w, cJSON *command) {
    struct athena_error error;
    uint8_t *document;
    size_t len;
    uint64_t through;
    if (athena_sync_load_document(w->sync, &document, &len, &through, &error)) {
        answer_error(w, command, &error);
        return;
    }
    struct athena_buf *out = begin_answer(w, command, true);
    if (document)
        cli_append_bytes(out, "data", document, len);
    cli_append_integer(out, "through", through);
    end(w);
    free(document);
}

static void do_stop(struct watch *w, cJSON *command) {
    athena_sync_disconnect(w->sync);
    answer_ok(w, command);
    w->is_stopping = true;
}

/* Keeps the command until it can be answered. */
static void do_sync(struct watch *w, cJSON *command) {
    struct athena_sync_status s;
    struct athena_error error;
    if (w->waits_for_sync) {
        answer_wrong(w, command, "cmd", "another sync is not answered yet");
    } else if (athena_sync_get_status(w->sync, &s, &error)) {
        answer_error(w, command, &error);
    } else if (s.is_in_sync) {
        answer_ok(w, command);
    } else {
        w->waits_for_sync = cJSON_Duplicate(command, true);
    }
}

static const struct {
    const char *name;
    void (*run)(struct watch *watch, cJSON *command);
} watch_commands[] = {
    {"connect", do_connect},    {"disconnect", do_disconnect}, {"retry", do_retry},
    {"state", do_state},        {"replay", do_replay},         {"quarantine", do_quarantine},
    {"save-document", do_save}, {"load-document", do_load},    {"sync", do_sync},
    {"stop", do_stop},
};

static void run_command(struct watch *w, cJSON *command) {
    const char *name = cli_text_of(command, "cmd");
    if (name && strcmp(name, "add") == 0) {
        collect_add(w, command);
        return;
    }
    store_adds(w); /* commands take effect in order */
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

/* ---- Input ---- */

static void run_line(struct watch *w, const char *line, size_t len) {
    struct athena_error error;
    struct athena_text_view text = {line, len};
    if (len == 0)
        return;
    if (athena_json_check(text, &error)) {
        store_adds(w);
        answer_error(w, NULL, &error);
        return;
    }
    cJSON *command = cJSON_ParseWithLength(line, len);
    if (command)
        run_command(w, command);
}

/* Whole lines; the rest stays. */
static void run_lines(struct watch *w) {
    char *at = w->in.at;
    char *buffer_end = at + w->in.len;
    char *newline;
    while (!w->is_stopping && (newline = memchr(at, '\n', (size_t)(buffer_end - at)))) {
        run_line(w, at, (size_t)(newline - at));
        at = newline + 1;
    }
    store_adds(w);
    w->in.len = (size_t)(buffer_end - at);
    memmove(w->in.at, at, w->in.len);
}

/* False at the end of input. */
static bool read_input(struct watch *w) {
    char *at = athena_buf_extend(&w->in, READ_STEP);
    if (!at || w->in.len > LINE_BYTES_MAX)
        return false;
    ssize_t len = read(STDIN_FILENO, at, READ_STEP);
    w->in.len -= READ_STEP - (size_t)(len > 0 ? len : 0);
    if (len > 0)
        run_lines(w);
    return len > 0 || (len < 0 && errno == EINTR);
}

static void loop(struct watch *w) {
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = athena_sync_fd(w->sync), .events = POLLIN}};
    while (!w->is_stopping) {
        flush(w);
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[1].revents)
            athena_sync_service(w->sync);
        if (fds[0].revents && !read_input(w))
            w->is_stopping = true;
    }
    flush(w);
}

/* ---- The whole ---- */

static void say_ready(struct watch *w) {
    char doc_text[ATHENA_DOC_TEXT_LEN + 1];
    uint8_t doc[ATHENA_DOC_BYTES];
    athena_sync_doc(w->sync, doc);
    athena_doc_format(doc_text, doc);
    cli_append_string(begin(w, "ready"), "doc", doc_text, ATHENA_DOC_TEXT_LEN);
    end(w);
}

/* The application starts from its saved document and what that does not cover [ASP-CLI-45]. */
static enum athena_code replay(struct watch *w, struct athena_error *error) {
    uint8_t *document;
    size_t len;
    uint64_t through;
    enum athena_code code = athena_sync_load_document(w->sync, &document, &len, &through, error);
    if (code)
        return code;
    if (document) {
        struct athena_buf *out = begin(w, "document");
        cli_append_bytes(out, "data", document, len);
        cli_append_integer(out, "through", through);
        end(w);
    }
    free(document);
    return athena_sync_each(w->sync, through, send_change, w, error);
}

static int run(struct watch *w, const struct arguments *arguments) {
    struct athena_error error;
    char url[ATHENA_SYNC_URL_BYTES];
    if (!arguments->skips_replay && replay(w, &error))
        return cli_fail("cannot read the replica", &error);
    say_ready(w);
    if (athena_sync_get_url(w->sync, url, &error))
        return cli_fail("cannot read the replica", &error);
    bool connects = !arguments->is_offline && (arguments->url || *url);
    if (connects && start_connecting(w, &error))
        return cli_fail("cannot connect", &error);
    loop(w);
    return EXIT_DONE;
}

int command_watch(const struct arguments *arguments) {
    int status;
    char *token;
    struct watch w = {0};
    if (!cli_read_token(arguments, &token))
        return EXIT_FAILED;
    w.sync = cli_open_or_join(arguments, &status);
    if (!w.sync) {
        cli_wipe(token);
        return status;
    }
    signal(SIGPIPE, SIG_IGN);
    w.options = (struct athena_sync_connect_options){
        .url = arguments->url,
        .token = token,
        .ca_file = arguments->ca_file,
        .is_insecure = arguments->is_insecure,
        .patience_ms = arguments->patience_ms,
        .event = on_event,
        .ctx = &w,
    };
    status = run(&w, arguments);
    athena_sync_close(w.sync);
    cli_wipe(token);
    cJSON_Delete(w.waits_for_sync);
    athena_buf_fini(&w.in);
    athena_buf_fini(&w.out);
    free(w.adds);
    free(w.changes);
    return status;
}
