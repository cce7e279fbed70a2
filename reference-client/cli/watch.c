/*
 * athena-sync watch: a replica driven by JSON lines, so that an application in any language can use
 * it. Events and answers go to standard output, commands come from standard input; both are in
 * reference-client/athena-sync.1.
 *
 * Adds that arrive together are stored together, in one durable step, and answered in order.
 */
#include "reference-client/cli/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 64 * 1024 * 1024 };

/* ---- Input ---- */

static void run_line(struct watch *w, const char *line, size_t len) {
    struct athena_error error;
    struct athena_text_view text = {line, len};
    if (len == 0)
        return;
    if (athena_json_check(text, &error)) {
        watch_store_adds(w);
        watch_answer_member(w, NULL, error.where, &error);
        return;
    }
    cJSON *command = cJSON_ParseWithLength(line, len);
    if (command)
        watch_run_command(w, command);
}

/* Whole lines; the rest stays. There is no line feed in the first `seen` bytes. */
static void run_lines(struct watch *w, size_t seen) {
    char *at = w->in.at;
    char *buffer_end = at + w->in.len;
    char *newline = memchr(at + seen, '\n', w->in.len - seen);
    while (newline && !w->is_stopping) {
        run_line(w, at, (size_t)(newline - at));
        at = newline + 1;
        newline = memchr(at, '\n', (size_t)(buffer_end - at));
    }
    watch_store_adds(w);
    w->in.len = (size_t)(buffer_end - at);
    if (at > w->in.at)
        memmove(w->in.at, at, w->in.len);
}

/* The last line need not end in a line feed. */
static void end_input(struct watch *w) {
    if (!w->is_stopping && w->in.len > 0)
        run_line(w, w->in.at, w->in.len);
    watch_store_adds(w);
    w->is_stopping = true;
}

static void read_input(struct watch *w) {
    char *at = athena_buf_extend(&w->in, WATCH_STEP);
    if (!at) {
        watch_give_up(w, "out of memory");
        return;
    }
    ssize_t len = read(STDIN_FILENO, at, WATCH_STEP);
    w->in.len -= WATCH_STEP - (size_t)(len > 0 ? len : 0);
    if (len > 0)
        run_lines(w, w->in.len - (size_t)len);
    else if (len == 0)
        end_input(w);
    else if (errno != EINTR)
        watch_give_up(w, "standard input cannot be read");
    if (w->in.len > LINE_BYTES_MAX)
        watch_give_up(w, "a line of more than 64 MiB");
}

static void loop(struct watch *w) {
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = athena_sync_fd(w->sync), .events = POLLIN}};
    while (!w->is_stopping) {
        watch_flush(w);
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[1].revents)
            athena_sync_service(w->sync);
        if (fds[0].revents)
            read_input(w);
    }
    watch_flush(w);
}

/* ---- The whole ---- */

static void say_ready(struct watch *w) {
    char doc_text[ATHENA_DOC_TEXT_LEN + 1];
    uint8_t doc[ATHENA_DOC_BYTES];
    athena_sync_doc(w->sync, doc);
    athena_doc_format(doc_text, doc);
    cli_append_string(watch_begin(w, "ready"), "doc", doc_text, ATHENA_DOC_TEXT_LEN);
    watch_end(w);
}

/* The application starts from its saved document and what that does not cover [ASP-CLI-45]. What is
 * damaged is told as a fault, and all the rest: without its document it gets every change. */
static enum athena_code replay(struct watch *w, struct athena_error *error) {
    uint8_t *document;
    size_t len;
    uint64_t through;
    enum athena_code code = athena_sync_load_document(w->sync, &document, &len, &through, error);
    if (code == ATHENA_INTERNAL)
        watch_append_fault(w, error);
    else if (code)
        return code;
    if (document) {
        struct athena_buf *out = watch_begin(w, "document");
        cli_append_bytes(out, "data", document, len);
        cli_append_integer(out, "through", through);
        watch_end(w);
    }
    free(document);
    code = athena_sync_each(w->sync, through, watch_send_change, w, error);
    if (code != ATHENA_INTERNAL)
        return code;
    watch_append_fault(w, error);
    return ATHENA_OK;
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
    if (connects && watch_connect(w, &error))
        return cli_fail("cannot connect", &error);
    loop(w);
    return w->status;
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
        .event = watch_on_event,
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
