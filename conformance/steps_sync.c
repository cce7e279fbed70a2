/*
 * Steps that speak the protocol: documents and changes, requests with their replies, and what is
 * built from them. `open`, `push` and `quiet` are written in terms of plainer steps.
 */
#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/duty.h"
#include "conformance/json_same.h"
#include "conformance/match.h"
#include "conformance/memory.h"
#include "conformance/run.h"

#include <stdlib.h>
#include <string.h>

enum { PLAIN_BYTES_LEAST = 20, PLAIN_BYTES_SPREAD = 100, PAGES_MAX = 100000 };

/* ---- document, change, changes --------------------------------------------------------------- */

/* {"document": "doc"} or {"document": ["a", "b"]}: fresh documents. */
static enum progress step_document(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const cJSON *names = step_member(frame, "document");
    const cJSON *name;
    if (cJSON_IsString(names))
        value_set(&run->scope, names->valuestring, value_new_document(&run->scope));
    cJSON_ArrayForEach(name, names)
        value_set(&run->scope, name->valuestring, value_new_document(&run->scope));
    return STEP_DONE;
}

const cJSON *run_document(struct run *run, const struct frame *frame, const char *member) {
    const char *given = step_text(frame, member);
    const char *name = given != NULL || run->lab == NULL ? given : "doc";
    const cJSON *document = name != NULL ? value_find(&run->scope, name) : NULL;
    if (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(document, "secret")))
        return document;
    run_broken(run, "there is no document \"%s\"", name != NULL ? name : "");
    return NULL;
}

static const char *doc_id(const cJSON *document) {
    return cJSON_GetObjectItemCaseSensitive(document, "id")->valuestring;
}

/* For what clients have to make of it, and must not tell. */
static void note_plain(struct lab *lab, const char *doc, const char *id, const void *plain,
                       size_t len) {
    char *text = base64url_encode(plain, len);
    lab_note_plain(lab, doc, id, text);
    discretion_add_plain(&lab->discretion, plain, len);
    free(text);
}

/* A sealed change of `plain_bytes`, in base64url. */
static char *seal(struct run *run, const cJSON *document, const char *id, size_t plain_bytes,
                  enum document_flaw flaw) {
    uint8_t secret[DOCUMENT_SECRET_BYTES];
    struct document keys;
    struct bytes sealed = {0};
    base64url_decode_exactly(cJSON_GetObjectItem(document, "secret")->valuestring, secret,
                             sizeof secret);
    document_derive(&keys, secret);
    uint8_t *plain = memory_take(plain_bytes);
    entropy_fill(&run->entropy, plain, plain_bytes);
    document_seal_flawed(&keys, id, plain, plain_bytes, flaw, &sealed);
    if (run->lab != NULL)
        note_plain(run->lab, doc_id(document), id, plain, plain_bytes);
    char *text = base64url_encode(sealed.at, sealed.len);
    bytes_fini(&sealed);
    free(plain);
    return text;
}

static char *random_data(struct run *run, size_t bytes) {
    uint8_t *data = memory_take(bytes);
    entropy_fill(&run->entropy, data, bytes);
    char *text = base64url_encode(data, bytes);
    free(data);
    return text;
}

static size_t choose_plain_bytes(struct run *run, const struct frame *frame) {
    uint8_t dice;
    entropy_fill(&run->entropy, &dice, 1);
    return (size_t)step_number(frame, "bytes", PLAIN_BYTES_LEAST + dice % PLAIN_BYTES_SPREAD);
}

static enum document_flaw choose_flaw(const struct frame *frame) {
    static const char *const names[] = {[DOCUMENT_SOUND] = "none",
                                        [DOCUMENT_OTHER_NONCE] = "nonce",
                                        [DOCUMENT_NO_MARKER] = "marker",
                                        [DOCUMENT_LONG_PADDING] = "padding"};
    const char *flaw = step_text(frame, "flaw");
    size_t i = sizeof names / sizeof *names - 1;
    while (i > DOCUMENT_SOUND && (flaw == NULL || strcmp(names[i], flaw) != 0))
        i--;
    return (enum document_flaw)i;
}

/* "flaw" makes an envelope that must be refused; "bytes" is the size before sealing; "data_bytes"
 * asks for exactly so many opaque bytes. */
static cJSON *make_change(struct run *run, const struct frame *frame, const cJSON *document) {
    const char *given = step_text(frame, "id");
    char *id = given != NULL ? memory_copy_text(given)
                             : value_new_change_id(&run->scope, step_text(frame, "actor"));
    double data_bytes = step_number(frame, "data_bytes", -1);
    char *data = data_bytes >= 0
                     ? random_data(run, (size_t)data_bytes)
                     : seal(run, document, id, choose_plain_bytes(run, frame), choose_flaw(frame));
    cJSON *change = cJSON_CreateObject();
    cJSON_AddStringToObject(change, "id", id);
    cJSON_AddStringToObject(change, "data", data);
    free(id);
    free(data);
    return change;
}

/* {"change": "c1", "of": "doc"} or {"change": ["c1", "c2"], "of": "doc"}. */
static enum progress step_change(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const cJSON *names = step_member(frame, "change");
    const cJSON *name;
    const cJSON *document = run_document(run, frame, "of");
    if (document == NULL)
        return STEP_FAILED;
    if (cJSON_IsString(names))
        value_set(&run->scope, names->valuestring, make_change(run, frame, document));
    cJSON_ArrayForEach(name, names)
        value_set(&run->scope, name->valuestring, make_change(run, frame, document));
    return STEP_DONE;
}

/* {"changes": "many", "of": "doc", "count": 250}: an array of changes. */
static enum progress step_changes(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    const cJSON *document = run_document(run, frame, "of");
    if (document == NULL)
        return STEP_FAILED;
    cJSON *changes = cJSON_CreateArray();
    for (int left = (int)step_number(frame, "count", 0); left > 0; left--)
        cJSON_AddItemToArray(changes, make_change(run, frame, document));
    value_set(&run->scope, step_text(frame, "changes"), changes);
    return STEP_DONE;
}

/* ---- request --------------------------------------------------------------------------------- */

/* Remembers where a connection's view of a document begins: what `read` ends at. */
static void note_opened(struct connection *connection, const cJSON *message) {
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "type"));
    const char *doc = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "doc"));
    const cJSON *cursor = cJSON_GetObjectItemCaseSensitive(message, "cursor");
    if (type == NULL || doc == NULL || strcmp(type, "opened") != 0)
        return;
    cJSON_DeleteItemFromObjectCaseSensitive(connection->opened, doc);
    cJSON_AddItemToObject(connection->opened, doc, cJSON_Duplicate(cursor, true));
}

/* Sends `message` with a fresh req and remembers that req. */
static void send_request(struct frame *frame, struct connection *connection, const cJSON *message) {
    cJSON *request = cJSON_Duplicate(message, true);
    cJSON_AddNumberToObject(request, "req", connection->next_req);
    cJSON_Delete(frame->memo);
    frame->memo = cJSON_CreateObject();
    cJSON_AddNumberToObject(frame->memo, "req", connection->next_req++);
    connection_send(connection, request);
    cJSON_Delete(request);
}

/* The next reply; NULL when there is none yet (*progress says whether to wait). */
static cJSON *await_reply(struct run *run, struct connection *connection, const char *what,
                          enum progress *progress) {
    cJSON *reply = connection_take_reply(connection);
    if (reply == NULL && connection->ending == CONNECTION_LIVES) {
        *progress = run_wait_for(run, "%s on %s", what, connection->name);
    } else if (reply == NULL) {
        *progress = run_fail_closed(run, connection, what);
    }
    return reply;
}

/* {"request": {...}, "on": "alice", "reply": {...}}: a message with a req of the connection's own,
 * and the reply that must carry it. */
static enum progress step_request(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    enum progress progress = STEP_DONE;
    struct connection *connection = run_connection(run, frame, "on");
    if (connection == NULL)
        return STEP_FAILED;
    if (frame->memo == NULL)
        send_request(frame, connection, step_member(frame, "request"));
    cJSON *reply = await_reply(run, connection, "a reply", &progress);
    if (reply == NULL)
        return progress;
    cJSON *expected = cJSON_Duplicate(step_member(frame, "reply"), true);
    if (cJSON_IsObject(expected) && value_operator(expected) == NULL)
        cJSON_AddItemToObject(expected, "req",
                              cJSON_Duplicate(cJSON_GetObjectItem(frame->memo, "req"), true));
    progress = run_compare(run, expected, reply, "the reply");
    note_opened(connection, reply);
    if (progress == STEP_DONE && step_text(frame, "save") != NULL)
        value_set(&run->scope, step_text(frame, "save"), cJSON_Duplicate(reply, true));
    cJSON_Delete(expected);
    cJSON_Delete(reply);
    return progress;
}

/* ---- open, push ------------------------------------------------------------------------------ */

/* Builds JSON from text in which each %s is one of `texts`; all of them are names or ids. */
__attribute__((format(printf, 1, 2))) static cJSON *build(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = memory_format_list(format, arguments);
    va_end(arguments);
    cJSON *json = cJSON_Parse(text);
    free(text);
    return json;
}

static void copy_member(cJSON *to, const char *name, const cJSON *value) {
    if (value == NULL)
        return;
    cJSON_DeleteItemFromObjectCaseSensitive(to, name);
    cJSON_AddItemToObject(to, name, cJSON_Duplicate(value, true));
}

/* {"open": "doc", "on": "alice"}; "holds": [changes] checks count [ASP-DIG-2] and digest
 * [ASP-DIG-1], "reply" overrides what is expected. */
static enum progress step_open(struct run *run, struct task *task, struct frame *frame) {
    static const struct citation holding[] = {
        {"/count", DUTY("ASP-DIG-2")}, {"/digest", DUTY("ASP-DIG-1")}, {NULL, NULL}};
    const char *doc = step_text(frame, "open");
    const char *on = step_text(frame, "on");
    const cJSON *document = run_document(run, frame, "open");
    const cJSON *holds = step_member(frame, "holds");
    if (frame->memo != NULL || document == NULL)
        return document != NULL ? STEP_DONE : STEP_FAILED;
    cJSON *step = build("{\"request\": {\"type\": \"open\", \"doc\": \"%s\", \"authority\": "
                        "\"$%s.authority\", \"proof\": {\"$proof\": {\"of\": \"$%s\", \"on\": "
                        "\"$%s\"}}}, \"on\": \"%s\", \"reply\": {\"type\": \"opened\", \"doc\": "
                        "\"%s\"}}",
                        doc_id(document), on, doc, on, on, doc_id(document));
    if (holds != NULL) {
        cJSON *reply = cJSON_GetObjectItem(step, "reply");
        cJSON *count = cJSON_AddObjectToObject(reply, "count");
        cJSON *digest = cJSON_AddObjectToObject(reply, "digest");
        cJSON *changes = cJSON_AddObjectToObject(count, "$count");
        copy_member(digest, "$digest", holds);
        copy_member(changes, "$changes", holds);
        frame->usual = holding;
    }
    copy_member(step, "reply", step_member(frame, "reply"));
    copy_member(step, "save", step_member(frame, "save"));
    cJSON *steps = cJSON_CreateArray();
    cJSON_AddItemToArray(steps, step);
    frame->memo = cJSON_CreateTrue();
    return run_expand(run, task, steps);
}

/* One request for the `len` changes of `changes` from `at` on. */
static cJSON *push_request(const struct frame *frame, const cJSON *document, const cJSON *changes,
                           size_t at, size_t len) {
    cJSON *step = build("{\"request\": {\"type\": \"push\", \"doc\": \"%s\"}, \"on\": \"%s\", "
                        "\"reply\": {\"type\": \"pushed\", \"doc\": \"%s\", \"duplicates\": [], "
                        "\"rejected\": []}}",
                        doc_id(document), step_text(frame, "on"), doc_id(document));
    cJSON *slice = cJSON_AddArrayToObject(cJSON_GetObjectItem(step, "request"), "changes");
    const cJSON *change = cJSON_GetArrayItem(changes, (int)at);
    for (; change != NULL && len > 0; change = change->next, len--)
        cJSON_AddItemToArray(slice, cJSON_Duplicate(change, true));
    copy_member(cJSON_GetObjectItem(step, "reply"), "duplicates", step_member(frame, "duplicates"));
    copy_member(cJSON_GetObjectItem(step, "reply"), "rejected", step_member(frame, "rejected"));
    copy_member(step, "save", step_member(frame, "save"));
    return step;
}

/* {"push": [changes], "to": "doc", "on": "alice"}: all stored, unless "duplicates" (indexes) and
 * "rejected" ({"index", "code"}) say otherwise; with "by": 500, by so many in a request. */
static enum progress step_push(struct run *run, struct task *task, struct frame *frame) {
    char *error = NULL;
    const cJSON *document = run_document(run, frame, "to");
    if (frame->memo != NULL || document == NULL)
        return document != NULL ? STEP_DONE : STEP_FAILED;
    cJSON *changes = value_flatten_changes(step_member(frame, "push"), &error);
    if (changes == NULL) {
        run_broken(run, "push: %s", error);
        free(error);
        return STEP_FAILED;
    }
    size_t len = (size_t)cJSON_GetArraySize(changes);
    double by = step_number(frame, "by", (double)len);
    cJSON *steps = cJSON_CreateArray();
    size_t at = 0;
    do {
        cJSON_AddItemToArray(steps, push_request(frame, document, changes, at, (size_t)by));
        at += (size_t)by;
    } while (at < len && by >= 1);
    cJSON_Delete(changes);
    frame->memo = cJSON_CreateTrue();
    return run_expand(run, task, steps);
}

/* ---- read ------------------------------------------------------------------------------------ */

static void send_list(struct frame *frame, struct connection *connection, const cJSON *document,
                      const char *after) {
    cJSON *entries = cJSON_DetachItemFromObject(frame->memo, "entries");
    double pages = cJSON_GetNumberValue(cJSON_GetObjectItem(frame->memo, "pages"));
    cJSON *request = build("{\"type\": \"list\", \"doc\": \"%s\"}", doc_id(document));
    if (after != NULL)
        cJSON_AddStringToObject(request, "after", after);
    copy_member(request, "limit", step_member(frame, "limit"));
    copy_member(request, "data", step_member(frame, "data"));
    send_request(frame, connection, request);
    cJSON_Delete(request);
    cJSON_AddItemToObject(frame->memo, "entries", entries != NULL ? entries : cJSON_CreateArray());
    cJSON_AddNumberToObject(frame->memo, "pages", entries != NULL ? pages + 1 : 1);
    if (after != NULL)
        cJSON_AddStringToObject(frame->memo, "after", after);
}

/* What is wrong with one page, NULL when nothing is. Static. */
static const char *page_fault(const struct frame *frame, const cJSON *page, const cJSON *entries) {
    const cJSON *after = cJSON_GetObjectItem(frame->memo, "after");
    const cJSON *cursor = cJSON_GetObjectItemCaseSensitive(page, "cursor");
    int len = cJSON_GetArraySize(entries);
    if (!json_same(cJSON_GetObjectItemCaseSensitive(page, "req"),
                   cJSON_GetObjectItem(frame->memo, "req")))
        return "the reply to the list does not carry its req";
    if (!cJSON_IsArray(entries))
        return "the reply to the list is no page of what was asked for";
    if (len > step_number(frame, "limit", len))
        return "a page is longer than the limit";
    if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(page, "more")))
        return NULL;
    if (len == 0)
        return "a page promises more but is empty";
    if (after != NULL && json_same(after, cursor))
        return "a page promises more but its cursor does not advance";
    return NULL;
}

/* `gives` names changes; what came are ids, or changes with "data": true. */
static cJSON *expected_entries(struct run *run, const struct frame *frame) {
    const cJSON *gives = step_member(frame, "gives");
    const cJSON *operation = value_operator(gives);
    if (gives == NULL)
        return cJSON_Parse("{\"$any\": true}");
    if (operation != NULL && strcmp(operation->string, "$save") == 0)
        return cJSON_Duplicate(gives, true);
    char *error = NULL;
    cJSON *changes = value_flatten_changes(operation != NULL ? operation : gives, &error);
    if (changes == NULL) {
        run_broken(run, "gives: %s", error);
        free(error);
        return NULL;
    }
    for (cJSON *change = changes->child; change != NULL && !step_flag(frame, "data");
         change = change->next) {
        cJSON *id = cJSON_DetachItemFromObject(change, "id");
        cJSON_ReplaceItemViaPointer(changes, change, id);
        change = id;
    }
    if (operation == NULL)
        return changes;
    cJSON *matcher = cJSON_CreateObject();
    cJSON_AddItemToObject(matcher, operation->string, changes);
    return matcher;
}

static enum progress finish_read(struct run *run, const struct frame *frame,
                                 const struct connection *connection, const cJSON *document,
                                 const cJSON *page) {
    const cJSON *cursor = cJSON_GetObjectItemCaseSensitive(page, "cursor");
    const cJSON *end = cJSON_GetObjectItemCaseSensitive(connection->opened, doc_id(document));
    const cJSON *pages = step_member(frame, "pages");
    cJSON *expected = expected_entries(run, frame);
    if (expected == NULL)
        return STEP_FAILED;
    enum progress progress =
        run_compare(run, expected, cJSON_GetObjectItem(frame->memo, "entries"), "the reply");
    if (progress == STEP_DONE && !json_same(cursor, end))
        progress =
            run_fail_values(run, end, cursor, "the listing does not end at the cursor of opened");
    if (progress == STEP_DONE && pages != NULL)
        progress = run_compare(run, pages, cJSON_GetObjectItem(frame->memo, "pages"), "the reply");
    if (progress == STEP_DONE && step_text(frame, "save") != NULL)
        value_set(&run->scope, step_text(frame, "save"), cJSON_Duplicate(cursor, true));
    cJSON_Delete(expected);
    return progress;
}

static enum progress take_page(struct run *run, struct frame *frame, struct connection *connection,
                               const cJSON *document, cJSON *page) {
    cJSON *entries =
        cJSON_GetObjectItemCaseSensitive(page, step_flag(frame, "data") ? "changes" : "ids");
    const char *fault = page_fault(frame, page, entries);
    cJSON *all = cJSON_GetObjectItem(frame->memo, "entries");
    const cJSON *cursor = cJSON_GetObjectItemCaseSensitive(page, "cursor");
    if (fault != NULL)
        return run_fail_values(run, NULL, page, fault);
    while (entries->child != NULL)
        cJSON_AddItemToArray(all, cJSON_DetachItemViaPointer(entries, entries->child));
    if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(page, "more")))
        return finish_read(run, frame, connection, document, page);
    if (cJSON_GetNumberValue(cJSON_GetObjectItem(frame->memo, "pages")) >= PAGES_MAX)
        return run_fail(run, NULL, "the listing has no end: %d pages", PAGES_MAX);
    send_list(frame, connection, document, cursor->valuestring);
    return STEP_WAITS;
}

/* {"read": "doc", "on": "bob", "gives": [changes]}: lists page by page to the end, which must be
 * the cursor of `opened`. "gives" may be {"$set": [...]} or {"$contains": [...]}, or left to the
 * history; "after" ("resume": the last cursor that an earlier connection of this name was given),
 * "limit" and "data" go into the requests, "pages" is how many must come, "save"
 * keeps the last cursor. */
static enum progress step_read(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    enum progress progress = STEP_DONE;
    struct connection *connection = run_connection(run, frame, "on");
    const cJSON *document = run_document(run, frame, "read");
    if (connection == NULL || document == NULL)
        return STEP_FAILED;
    const char *after = step_text(frame, "after");
    if (step_flag(frame, "resume"))
        after = history_resume(run->history, connection->watch.number, doc_id(document));
    if (frame->memo == NULL)
        send_list(frame, connection, document, after);
    do {
        cJSON *page = await_reply(run, connection, "a page of the list", &progress);
        if (page == NULL)
            return progress;
        progress = take_page(run, frame, connection, document, page);
        cJSON_Delete(page);
    } while (progress == STEP_WAITS);
    return progress;
}

/* ---- live, quiet ----------------------------------------------------------------------------- */

/* Crosses the changes of one message off `left`. NULL, or the one that was not expected. */
static const cJSON *cross_off(const cJSON *message, cJSON *left, bool any_order) {
    const cJSON *change;
    cJSON_ArrayForEach(change, cJSON_GetObjectItemCaseSensitive(message, "changes")) {
        cJSON *expected = left->child;
        while (any_order && expected != NULL && !match_value(expected, change, NULL, NULL))
            expected = expected->next;
        if (expected == NULL || !match_value(expected, change, NULL, NULL))
            return change;
        cJSON_Delete(cJSON_DetachItemViaPointer(left, expected));
    }
    return NULL;
}

static enum progress take_live(struct run *run, struct frame *frame, const cJSON *message) {
    const char *order = step_text(frame, "order");
    const char *save = step_text(frame, "save");
    const cJSON *doc = cJSON_GetObjectItemCaseSensitive(message, "doc");
    const cJSON *document = run_document(run, frame, "of");
    if (document == NULL)
        return STEP_FAILED;
    if (!cJSON_IsString(doc) || strcmp(doc->valuestring, doc_id(document)) != 0 ||
        cJSON_GetObjectItemCaseSensitive(message, "changes") == NULL)
        return run_fail_values(run, frame->memo, message,
                               "another message came before these changes");
    const cJSON *stranger =
        cross_off(message, frame->memo, order != NULL && strcmp(order, "any") == 0);
    if (stranger != NULL)
        return run_fail_values(run, frame->memo, stranger,
                               "a change arrived live that was not due");
    if (save != NULL)
        value_set(&run->scope, save,
                  cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(message, "cursor"), true));
    return STEP_DONE;
}

/* {"live": [changes], "of": "doc", "on": "bob"}: these arrive as `changed`, in this order (or
 * "order": "any"), in as many messages as the server likes; with "only": true nothing else may
 * come before or between. "save" keeps the last cursor. */
static enum progress step_live(struct run *run, struct task *task, struct frame *frame) {
    (void)task;
    char *error = NULL;
    struct connection *connection = run_connection(run, frame, "on");
    const cJSON *document = run_document(run, frame, "of");
    if (connection == NULL || document == NULL)
        return STEP_FAILED;
    if (frame->memo == NULL)
        frame->memo = value_flatten_changes(step_member(frame, "live"), &error);
    if (frame->memo == NULL) {
        run_broken(run, "live: %s", error);
        free(error);
        return STEP_FAILED;
    }
    while (frame->memo->child != NULL) {
        cJSON *message = step_flag(frame, "only")
                             ? connection_take_next(connection)
                             : connection_take_changed(connection, doc_id(document));
        if (message == NULL && connection->ending == CONNECTION_LIVES)
            return run_wait_for(run, "%d more live changes on %s", cJSON_GetArraySize(frame->memo),
                                connection->name);
        if (message == NULL)
            return run_fail_closed(run, connection, "all of the live changes");
        enum progress progress = take_live(run, frame, message);
        cJSON_Delete(message);
        if (progress == STEP_FAILED)
            return STEP_FAILED;
    }
    return run_checked(run);
}

static bool marker_has_opened(const struct run *run, const cJSON *document) {
    const struct connection *marker = run_find_connection(run, "marker");
    return marker != NULL && marker->ending == CONNECTION_LIVES &&
           cJSON_GetObjectItemCaseSensitive(marker->opened, doc_id(document)) != NULL;
}

/* {"quiet": ["alice", "bob"], "of": "doc", "save": "m"}: nothing more comes on these connections:
 * a further connection ("marker") pushes a fresh change, and that is the next message on each. */
static enum progress step_quiet(struct run *run, struct task *task, struct frame *frame) {
    const char *of = step_text(frame, "of");
    const char *save =
        step_text(frame, "save") != NULL ? step_text(frame, "save") : "marker_change";
    const cJSON *names = step_member(frame, "quiet");
    const cJSON *document = run_document(run, frame, "of");
    const struct connection *marker = run_find_connection(run, "marker");
    if (frame->memo != NULL || document == NULL)
        return document != NULL ? STEP_DONE : STEP_FAILED;
    cJSON *steps = cJSON_CreateArray();
    if (marker == NULL || marker->ending != CONNECTION_LIVES)
        cJSON_AddItemToArray(steps, build("{\"connect\": \"marker\"}"));
    if (!marker_has_opened(run, document))
        cJSON_AddItemToArray(steps, build("{\"open\": \"%s\", \"on\": \"marker\"}", of));
    cJSON_AddItemToArray(steps, build("{\"change\": \"%s\", \"of\": \"%s\"}", save, of));
    cJSON_AddItemToArray(
        steps, build("{\"push\": [\"$%s\"], \"to\": \"%s\", \"on\": \"marker\"}", save, of));
    for (const cJSON *name = cJSON_IsArray(names) ? names->child : names; name != NULL;
         name = cJSON_IsArray(names) ? name->next : NULL)
        cJSON_AddItemToArray(steps, build("{\"live\": [\"$%s\"], \"of\": \"%s\", \"on\": \"%s\", "
                                          "\"only\": true}",
                                          save, of, name->valuestring));
    frame->memo = cJSON_CreateTrue();
    return run_expand(run, task, steps);
}

const struct step_kind STEPS_SYNC[] = {
    {"document", step_document, false}, {"change", step_change, false},
    {"changes", step_changes, false},   {"request", step_request, false},
    {"open", step_open, false},         {"push", step_push, false},
    {"read", step_read, false},         {"live", step_live, false},
    {"quiet", step_quiet, false},       {NULL, NULL, false}};
