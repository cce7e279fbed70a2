/* One connection's messages, held against what is known: what a server may say, and what a client
 * may ask. Each message is judged when it is sent. */
#include "scripts/simulation/judge.h"
#include "scripts/simulation/memory.h"

/* A request that is not answered yet. */
struct asked {
    struct asked *next;
    uint64_t req;
    enum athena_type type;
    bool has_after;
    bool with_data;
    char after[ATHENA_CURSOR_TEXT_MAX + 1];
    bool was_unknown; /* that cursor, when it was asked: it may have become one of the log since */
    uint64_t *items;  /* indexes of the changes of a push or get */
    size_t len;
};

/* What a client has a reason to list. */
enum allowance { LIST_NOTHING, LIST_BEHIND_CURSOR, LIST_ALL };

struct wire {
    struct judge *judge;
    uint64_t connection;
    size_t doc;
    uint64_t messages;
    struct asked *first;
    struct asked **last;

    bool is_welcomed;
    bool is_opened;
    size_t version;
    uint64_t opened; /* position */
    char opened_cursor[ATHENA_CURSOR_TEXT_MAX + 1];
    char page_cursor[ATHENA_CURSOR_TEXT_MAX + 1];
    uint64_t delivered; /* up to where the log has been sent, but for what is the client's own */
    bool *own;          /* by position: acknowledged as stored by this connection */
    uint64_t own_len;

    bool has_asked_to_open;
    bool client_opened;
    enum allowance allowance;
    unsigned listings_behind;
    unsigned listings_from_start;
    struct map pushed; /* id to whether it is under way or acknowledged */
};

struct wire *wire_new(struct judge *judge, uint64_t connection, size_t doc) {
    struct wire *wire = memory_new(sizeof *wire);
    wire->judge = judge;
    wire->connection = connection;
    wire->doc = doc;
    wire->last = &wire->first;
    return wire;
}

static void asked_free(struct asked *asked) {
    free(asked->items);
    free(asked);
}

void wire_free(struct wire *wire) {
    while (wire->first) {
        struct asked *next = wire->first->next;
        asked_free(wire->first);
        wire->first = next;
    }
    free(wire->own);
    map_fini(&wire->pushed);
    free(wire);
}

size_t wire_version(const struct wire *wire) {
    return wire->version;
}

uint64_t wire_messages(const struct wire *wire) {
    return wire->messages;
}

static void fail(const struct wire *wire, const char *text) {
    world_fail(wire->judge->world, "connection %ju: %s", (uintmax_t)wire->connection, text);
}

static void keep_text(char text[static ATHENA_CURSOR_TEXT_MAX + 1], struct athena_text_view view) {
    memcpy(text, view.at, view.len);
    text[view.len] = '\0';
}

static bool is_text(const char *text, struct athena_text_view view) {
    return strlen(text) == view.len && memcmp(text, view.at, view.len) == 0;
}

static struct athena_text_view view_of(const char *text) {
    return (struct athena_text_view){text, strlen(text)};
}

/* ---- What the server says ---- */

static void show(struct wire *wire, uint64_t position) {
    if (wire->judge->seen[wire->doc] < position)
        wire->judge->seen[wire->doc] = position;
}

static void on_opened(struct wire *wire, const struct athena_message *opened) {
    const struct known_log *log = judge_log(wire->judge, wire->doc);
    uint64_t position = opened->digest.count;
    if (position > log->len || !athena_digest_equal(&opened->digest, &log->digests[position])) {
        fail(wire, "opened with a digest that the log never had");
        return;
    }
    if (position < wire->judge->seen[wire->doc])
        fail(wire, "opened without changes that were shown before");
    wire->is_opened = true;
    wire->version = wire->judge->versions_len[wire->doc] - 1;
    wire->opened = wire->delivered = position;
    keep_text(wire->opened_cursor, opened->cursor);
    judge_note_cursor(wire->judge, wire->doc, opened->cursor, position);
    show(wire, position);
}

/* Where a listing starts; false when its cursor is not one of this log. */
static bool find_start(const struct wire *wire, const struct asked *asked, uint64_t *after) {
    *after = 0;
    if (!asked->has_after)
        return true;
    const struct known_cursor *cursor = judge_cursor(wire->judge, wire->doc, view_of(asked->after));
    if (!cursor || !judge_cursor_holds(wire->judge, wire->doc, cursor))
        return false;
    *after = cursor->position;
    return true;
}

/* The log's changes behind a position are those of the page. */
static bool is_page(struct wire *wire, const struct athena_message *listed, uint64_t after) {
    const struct known_log *log = judge_log(wire->judge, wire->doc);
    size_t len = listed->with_data ? listed->changes_len : listed->ids_len;
    if (after + len > wire->opened)
        return len == 0; /* a cursor from behind this connection's opening */
    for (size_t i = 0; i < len; i++) {
        uint64_t index = listed->with_data
                             ? judge_match(wire->judge, "a listing", wire->doc, &listed->changes[i])
                             : judge_find(wire->judge, wire->doc, listed->ids[i]);
        if (index != log->changes[after + i])
            return false;
    }
    return true;
}

static void on_listed(struct wire *wire, const struct asked *asked,
                      const struct athena_message *listed) {
    uint64_t after;
    size_t len = listed->with_data ? listed->changes_len : listed->ids_len;
    if (!find_start(wire, asked, &after))
        fail(wire, "a page behind a cursor that is not of this log");
    else if (asked->with_data != listed->with_data || !is_page(wire, listed, after))
        fail(wire, "a page that is not what the log has there");
    else if (listed->more != (after + len < wire->opened) || (listed->more && len == 0))
        fail(wire, "a page that does not tell rightly whether there is more");
    else if (listed->more)
        judge_note_cursor(wire->judge, wire->doc, listed->cursor, after + len);
    else if (!is_text(wire->opened_cursor, listed->cursor))
        fail(wire, "a listing that does not end at the cursor of opened");
    keep_text(wire->page_cursor, listed->cursor);
}

static void on_got(struct wire *wire, const struct asked *asked, const struct athena_message *got) {
    size_t changes = 0;
    size_t missing = 0;
    for (; changes < got->changes_len; changes++)
        if (judge_match(wire->judge, "got", wire->doc, &got->changes[changes]) == UINT64_MAX ||
            judge_position(wire->judge, wire->doc, got->changes[changes].id) == 0)
            fail(wire, "a change that is not in the log");
    for (; missing < got->ids_len; missing++) {
        uint64_t position = judge_position(wire->judge, wire->doc, got->ids[missing]);
        if (position != 0 && position <= wire->opened)
            fail(wire, "a change of the log is called missing");
    }
    if (changes + missing == 0 || changes + missing > asked->len)
        fail(wire, "an answer to none, or more, of what was asked for");
}

/* This connection stored what is at a position. */
static void own(struct wire *wire, uint64_t position) {
    if (position >= wire->own_len) {
        uint64_t len = position * 2 + 16;
        wire->own = memory_resize(wire->own, len * sizeof *wire->own);
        memset(wire->own + wire->own_len, 0, (len - wire->own_len) * sizeof *wire->own);
        wire->own_len = len;
    }
    if (wire->own[position] || position <= wire->delivered)
        fail(wire, "a change is acknowledged as stored that was shown here before");
    wire->own[position] = true;
}

static void skip_own(struct wire *wire) {
    while (wire->delivered + 1 < wire->own_len && wire->own[wire->delivered + 1])
        wire->delivered++;
}

static void acknowledge(struct wire *wire, uint64_t index, bool is_duplicate) {
    const struct known_change *change = &wire->judge->changes[index];
    uint64_t position = judge_position(wire->judge, wire->doc, change->id);
    if (position == 0) {
        fail(wire, "a change is acknowledged that was not committed");
        return;
    }
    if (!is_duplicate)
        own(wire, position);
    show(wire, position);
}

static void on_pushed(struct wire *wire, const struct asked *asked,
                      const struct athena_message *pushed) {
    size_t duplicate = 0;
    size_t rejected = 0;
    for (size_t i = 0; i < asked->len; i++) {
        bool is_duplicate =
            duplicate < pushed->duplicates_len && pushed->duplicates[duplicate] == i;
        duplicate += is_duplicate;
        if (rejected < pushed->rejected_len && pushed->rejected[rejected].index == i) {
            if (pushed->rejected[rejected].code != ATHENA_QUOTA || !wire->judge->quota)
                fail(wire, "a change is rejected without a reason");
            map_set(&wire->pushed, wire->judge->changes[asked->items[i]].id, false);
            rejected++;
            wire->judge->world->figures[FIGURE_REFUSALS]++;
        } else {
            acknowledge(wire, asked->items[i], is_duplicate);
        }
    }
    if (duplicate != pushed->duplicates_len || rejected != pushed->rejected_len)
        fail(wire, "an acknowledgement names what was not pushed");
}

static void on_changed(struct wire *wire, const struct athena_message *changed) {
    const struct known_log *log = judge_log(wire->judge, wire->doc);
    if (!wire->is_opened) {
        fail(wire, "changed before opened");
        return;
    }
    for (size_t i = 0; i < changed->changes_len; i++) {
        skip_own(wire);
        uint64_t index = judge_match(wire->judge, "changed", wire->doc, &changed->changes[i]);
        if (wire->delivered >= log->len || index != log->changes[wire->delivered]) {
            fail(wire, "changed with another change than the log has next");
            return;
        }
        wire->delivered++;
    }
    judge_note_cursor(wire->judge, wire->doc, changed->cursor, wire->delivered);
    show(wire, wire->delivered);
}

static void on_refused(struct wire *wire, const struct asked *asked, enum athena_code code) {
    bool is_right = false;
    if (code == ATHENA_UNAVAILABLE)
        is_right = wire->judge->trouble;
    else if (code == ATHENA_UNKNOWN_CURSOR)
        is_right = asked->type == ATHENA_LIST && asked->was_unknown;
    if (!is_right)
        fail(wire, "a request is refused without a reason");
    for (size_t i = 0; asked->type == ATHENA_PUSH && i < asked->len; i++)
        map_set(&wire->pushed, wire->judge->changes[asked->items[i]].id, false);
    wire->judge->world->figures[FIGURE_REFUSALS]++;
}

static void on_reply(struct wire *wire, const struct athena_message *message) {
    struct asked *asked = wire->first;
    if (!asked || asked->req != message->req) {
        fail(wire, "a reply out of order, or to nothing");
        return;
    }
    wire->first = asked->next;
    if (!wire->first)
        wire->last = &wire->first;
    if (message->type == ATHENA_ERROR)
        on_refused(wire, asked, message->code);
    else if (message->type == ATHENA_OPENED && asked->type == ATHENA_OPEN)
        on_opened(wire, message);
    else if (message->type == ATHENA_LISTED && asked->type == ATHENA_LIST)
        on_listed(wire, asked, message);
    else if (message->type == ATHENA_GOT && asked->type == ATHENA_GET)
        on_got(wire, asked, message);
    else if (message->type == ATHENA_PUSHED && asked->type == ATHENA_PUSH)
        on_pushed(wire, asked, message);
    else
        fail(wire, "a reply of another type than its request");
    asked_free(asked);
}

static bool decode(struct wire *wire, struct athena_message *message, enum athena_sender from,
                   struct athena_text_view json) {
    struct athena_error error;
    if (json.len > wire->judge->world->limits.message)
        fail(wire, "a message over the limit");
    if (athena_message_decode(message, wire->judge->decoder, from, json, &error) == ATHENA_OK)
        return true;
    world_fail(wire->judge->world, "connection %ju: a message that is none: %s",
               (uintmax_t)wire->connection, error.text);
    return false;
}

void wire_server_sent(struct wire *wire, struct athena_text_view json) {
    struct athena_message message;
    wire->messages++;
    if (!decode(wire, &message, ATHENA_FROM_SERVER, json))
        return;
    if ((message.type == ATHENA_WELCOME) == wire->is_welcomed)
        fail(wire, "welcome is not the first message, or comes twice");
    wire->is_welcomed = true;
    if (message.type == ATHENA_CHANGED)
        on_changed(wire, &message);
    else if (message.has_req)
        on_reply(wire, &message);
    else if (message.type == ATHENA_ERROR && message.code != ATHENA_SHUTTING_DOWN)
        fail(wire, "an error that no request caused");
}

/* ---- What the client asks ---- */

void wire_client_opens(struct wire *wire, struct athena_text_view json,
                       const struct wire_resume *resume) {
    struct athena_message message;
    if (wire->client_opened || !decode(wire, &message, ATHENA_FROM_SERVER, json) ||
        message.type != ATHENA_OPENED)
        return;
    wire->client_opened = true;
    wire->allowance = LIST_ALL;
    const struct known_cursor *cursor = judge_cursor(wire->judge, wire->doc, resume->cursor);
    if (resume->cursor.len > 0 && !cursor)
        fail(wire, "a client has a cursor that no server gave");
    if (athena_digest_equal(&resume->known, &message.digest))
        wire->allowance = LIST_NOTHING;
    else if (cursor && resume->synced_version == wire->version)
        wire->allowance = LIST_BEHIND_CURSOR;
}

static void judge_listing(struct wire *wire, const struct athena_message *list) {
    bool is_probe = list->has_after && is_text(wire->opened_cursor, list->cursor);
    bool is_next = list->has_after && is_text(wire->page_cursor, list->cursor);
    if (is_probe && wire->allowance == LIST_NOTHING)
        return;
    wire->judge->world->figures[FIGURE_LISTINGS]++;
    if (wire->allowance == LIST_NOTHING)
        fail(wire, "a client lists though it knows what the server has");
    else if (!list->has_after && wire->allowance == LIST_BEHIND_CURSOR)
        fail(wire, "a client lists from the start though its cursor is good");
    else if (!list->has_after && ++wire->listings_from_start > 3)
        fail(wire, "a client lists from the start without end");
    else if (list->has_after && !is_probe && !is_next && ++wire->listings_behind > 1)
        fail(wire, "a client lists behind other cursors than it was given");
}

static void judge_push(struct wire *wire, struct asked *asked, const struct athena_message *push) {
    wire->judge->world->figures[FIGURE_PUSHES]++;
    for (size_t i = 0; i < push->changes_len; i++) {
        uint64_t index = judge_match(wire->judge, "a push", wire->doc, &push->changes[i]);
        if (index == UINT64_MAX)
            return;
        asked->items[asked->len++] = index;
        const uint64_t *is_pushed = map_get(&wire->pushed, push->changes[i].id);
        if (is_pushed && *is_pushed)
            fail(wire, "a client pushes a change again on one connection");
        map_set(&wire->pushed, push->changes[i].id, true);
    }
}

static void judge_get(struct wire *wire, struct asked *asked, const struct athena_message *get) {
    for (size_t i = 0; i < get->ids_len; i++) {
        asked->items[asked->len++] = judge_find(wire->judge, wire->doc, get->ids[i]);
        if (asked->items[i] == UINT64_MAX)
            fail(wire, "a client asks for what nobody added");
    }
}

void wire_client_sent(struct wire *wire, struct athena_text_view json) {
    struct athena_message message;
    wire->messages++;
    if (!decode(wire, &message, ATHENA_FROM_CLIENT, json))
        return;
    if (message.type == ATHENA_OPEN ? wire->has_asked_to_open : !wire->client_opened)
        fail(wire, "a request before opened");
    wire->has_asked_to_open = true;
    size_t len = message.changes_len + message.ids_len;
    if (len > wire->judge->world->limits.batch)
        fail(wire, "a request with more entries than the server takes");
    struct asked *asked = memory_new(sizeof *asked);
    asked->req = message.req;
    asked->type = message.type;
    asked->items = memory_new(len * sizeof *asked->items);
    asked->with_data = message.with_data;
    asked->has_after = message.has_after;
    if (message.has_after)
        keep_text(asked->after, message.cursor);
    uint64_t ignored;
    asked->was_unknown = !find_start(wire, asked, &ignored);
    if (message.type == ATHENA_LIST)
        judge_listing(wire, &message);
    else if (message.type == ATHENA_PUSH)
        judge_push(wire, asked, &message);
    else if (message.type == ATHENA_GET)
        judge_get(wire, asked, &message);
    *wire->last = asked;
    wire->last = &asked->next;
}
