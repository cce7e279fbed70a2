/*
 * Decoding a message: strict JSON first, then its type, then its members in the table's order.
 *
 * Texts and bytes are copied into the decoder, unescaped or decoded on the way, so that a message
 * outlives the JSON it came from. What is decoded is never longer than its JSON, so one allocation
 * of the message's size holds all of it.
 */
#include "protocol/internal.h"
#include "protocol/json.h"
#include "protocol/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct array {
    void *at;
    size_t capacity; /* bytes */
};

struct athena_decoder {
    struct array bytes; /* texts and bytes of the message */
    size_t used;
    struct array ids;
    struct array changes;
    struct array indexes;
    struct array rejected;
    uint64_t entries_max; /* of a list that is kept */
    struct athena_message *message;
    struct athena_error *error;
};

struct athena_decoder *athena_decoder_new(void) {
    struct athena_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder)
        decoder->entries_max = UINT64_MAX;
    return decoder;
}

void athena_decoder_bound(struct athena_decoder *decoder, uint64_t entries_max) {
    decoder->entries_max = entries_max;
}

size_t athena_decoder_capacity(const struct athena_decoder *decoder) {
    return decoder->bytes.capacity + decoder->ids.capacity + decoder->changes.capacity +
           decoder->indexes.capacity + decoder->rejected.capacity;
}

void athena_decoder_free(struct athena_decoder *decoder) {
    if (!decoder)
        return;
    free(decoder->bytes.at);
    free(decoder->ids.at);
    free(decoder->changes.at);
    free(decoder->indexes.at);
    free(decoder->rejected.at);
    free(decoder);
}

static bool reserve(struct array *array, size_t bytes) {
    if (bytes <= array->capacity)
        return true;
    size_t capacity = array->capacity ? array->capacity : 256;
    while (capacity < bytes)
        capacity *= 2;
    void *at = realloc(array->at, capacity);
    if (!at)
        return false;
    array->at = at;
    array->capacity = capacity;
    return true;
}

/* ---- Refusing ---- */

static enum athena_code wrong(struct athena_decoder *d, const char *name, const char *what) {
    char where[sizeof d->error->where];
    snprintf(where, sizeof where, "/%.64s", name);
    return refuse(d->error, ATHENA_BAD_MESSAGE, where, "%s", what);
}

static enum athena_code wrong_entry(struct athena_decoder *d, const char *name, size_t index,
                                    const char *member, const char *what) {
    char where[sizeof d->error->where];
    snprintf(where, sizeof where, "/%.64s/%zu%s", name, index, member);
    return refuse(d->error, ATHENA_BAD_MESSAGE, where, "%s", what);
}

static enum athena_code no_memory(struct athena_decoder *d) {
    return refuse(d->error, ATHENA_NO_MEMORY, "", "out of memory");
}

/* ---- Scalars ---- */

/* [ASP-JSON-10] */
static bool take_text(struct athena_decoder *d, struct json_value value,
                      struct athena_text_view *text) {
    if (value.kind != JSON_STRING)
        return false;
    char *at = (char *)d->bytes.at + d->used;
    text->at = at;
    text->len = json_unescape(at, value.span);
    d->used += text->len;
    return true;
}

static bool take_bounded_text(struct athena_decoder *d, struct json_value value,
                              struct athena_text_view *text, size_t len_max) {
    return take_text(d, value, text) && text->len >= 1 && text->len <= len_max;
}

static bool take_bytes(struct athena_decoder *d, struct json_value value,
                       struct athena_bytes_view *bytes) {
    struct athena_text_view text;
    if (!take_text(d, value, &text))
        return false;
    uint8_t *at = (uint8_t *)d->bytes.at + d->used - text.len; /* decoded in place */
    bytes->at = at;
    return athena_base64url_decode(at, text.len, &bytes->len, text);
}

static bool take_fixed_bytes(struct athena_decoder *d, struct json_value value, uint8_t *out,
                             size_t len) {
    struct athena_bytes_view bytes;
    if (!take_bytes(d, value, &bytes) || bytes.len != len)
        return false;
    memcpy(out, bytes.at, len);
    return true;
}

static bool take_integer(struct json_value value, uint64_t *integer) {
    if (value.kind != JSON_INTEGER)
        return false;
    *integer = json_integer(value);
    return true;
}

static bool take_boolean(struct json_value value, bool *boolean) {
    *boolean = value.kind == JSON_TRUE;
    return value.kind == JSON_TRUE || value.kind == JSON_FALSE;
}

static bool is_code(struct athena_text_view text) {
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.at[i];
        bool is_letter = ch >= 'a' && ch <= 'z';
        bool is_other = (ch >= '0' && ch <= '9') || ch == '-';
        if (!is_letter && (i == 0 || !is_other))
            return false;
    }
    return text.len >= 1 && text.len <= ATHENA_CODE_TEXT_MAX;
}

static bool take_code(struct athena_decoder *d, struct json_value value,
                      struct athena_text_view *text, enum athena_code *code) {
    if (!take_text(d, value, text) || !is_code(*text))
        return false;
    *code = athena_code_parse(*text);
    return true;
}

/* ---- Arrays ---- */

/* From the place of one entry to that of the next: 0 when there are too many to be kept, so that
 * each is read into the same place. */
static size_t step_of(const struct athena_decoder *d, size_t count) {
    return count <= d->entries_max ? 1 : 0;
}

/* Enters an array, with room in `into` for items of so many bytes, as many as are kept. */
static enum athena_code enter_array(struct athena_decoder *d, const char *name,
                                    struct json_value value, struct array *into, size_t item_bytes,
                                    size_t *count) {
    if (value.kind != JSON_ARRAY)
        return wrong(d, name, "not an array");
    struct json_reader reader = json_enter(value);
    struct json_value element;
    *count = 0;
    while (json_next_element(&reader, &element))
        (*count)++;
    size_t places = *count * step_of(d, *count);
    return reserve(into, (places ? places : 1) * item_bytes) ? ATHENA_OK : no_memory(d);
}

/* [ASP-GET-5] */
static enum athena_code read_ids(struct athena_decoder *d, const char *name,
                                 struct json_value value) {
    struct athena_message *m = d->message;
    enum athena_code code =
        enter_array(d, name, value, &d->ids, sizeof(struct athena_text_view), &m->ids_len);
    if (code)
        return code;
    struct athena_text_view *id = d->ids.at;
    size_t step = step_of(d, m->ids_len);
    struct json_reader reader = json_enter(value);
    struct json_value element;
    for (size_t i = 0; json_next_element(&reader, &element); i++, id += step)
        if (!take_text(d, element, id) || athena_change_id_check(*id, NULL))
            return wrong_entry(d, name, i, "", "not a change id");
    m->ids = step ? d->ids.at : NULL;
    return ATHENA_OK;
}

/* NULL, or what is wrong with the change and in which member. */
static const char *read_change(struct athena_decoder *d, struct json_value value,
                               struct athena_change_view *change, const char **member) {
    *member = "";
    if (value.kind != JSON_OBJECT)
        return "not an object";
    struct json_value id = {.kind = JSON_NULL};
    struct json_value data = {.kind = JSON_NULL};
    struct json_reader reader = json_enter(value);
    struct athena_text_view name;
    struct json_value member_value;
    while (json_next_member(&reader, &name, &member_value)) {
        if (json_string_equals(name, "id"))
            id = member_value;
        else if (json_string_equals(name, "data"))
            data = member_value;
    }
    *member = "/id";
    if (!take_text(d, id, &change->id) || athena_change_id_check(change->id, NULL))
        return "not a change id";
    *member = "/data";
    if (!take_bytes(d, data, &change->data))
        return "not canonical base64url";
    return change->data.len == 0 ? "empty" : NULL;
}

/* [ASP-PUSH-7] */
static enum athena_code read_changes(struct athena_decoder *d, const char *name,
                                     struct json_value value, bool marks_faults) {
    struct athena_message *m = d->message;
    enum athena_code code = enter_array(d, name, value, &d->changes,
                                        sizeof(struct athena_change_view), &m->changes_len);
    if (code)
        return code;
    struct athena_change_view *change = d->changes.at;
    size_t step = step_of(d, m->changes_len);
    struct json_reader reader = json_enter(value);
    struct json_value element;
    for (size_t i = 0; json_next_element(&reader, &element); i++, change += step) {
        const char *member;
        *change = (struct athena_change_view){0};
        const char *fault = read_change(d, element, change, &member);
        if (fault && !marks_faults)
            return wrong_entry(d, name, i, member, fault);
        if (fault)
            *change = (struct athena_change_view){.fault = ATHENA_BAD_CHANGE};
    }
    m->changes = step ? d->changes.at : NULL;
    return ATHENA_OK;
}

static enum athena_code read_duplicates(struct athena_decoder *d, const char *name,
                                        struct json_value value) {
    struct athena_message *m = d->message;
    enum athena_code code =
        enter_array(d, name, value, &d->indexes, sizeof(uint64_t), &m->duplicates_len);
    if (code)
        return code;
    uint64_t *index = d->indexes.at;
    size_t step = step_of(d, m->duplicates_len);
    struct json_reader reader = json_enter(value);
    struct json_value element;
    for (size_t i = 0; json_next_element(&reader, &element); i++, index += step)
        if (!take_integer(element, index))
            return wrong_entry(d, name, i, "", "not an index");
    m->duplicates = step ? d->indexes.at : NULL;
    return ATHENA_OK;
}

static bool read_rejection(struct athena_decoder *d, struct json_value value,
                           struct athena_rejected *rejected) {
    if (value.kind != JSON_OBJECT)
        return false;
    bool has_index = false;
    bool has_code = false;
    struct json_reader reader = json_enter(value);
    struct athena_text_view name;
    struct athena_text_view text;
    struct json_value member;
    while (json_next_member(&reader, &name, &member)) {
        if (json_string_equals(name, "index"))
            has_index = take_integer(member, &rejected->index);
        else if (json_string_equals(name, "code"))
            has_code = take_code(d, member, &text, &rejected->code);
    }
    return has_index && has_code;
}

static enum athena_code read_rejected(struct athena_decoder *d, const char *name,
                                      struct json_value value) {
    struct athena_message *m = d->message;
    enum athena_code code =
        enter_array(d, name, value, &d->rejected, sizeof(struct athena_rejected), &m->rejected_len);
    if (code)
        return code;
    struct athena_rejected *rejected = d->rejected.at;
    size_t step = step_of(d, m->rejected_len);
    struct json_reader reader = json_enter(value);
    struct json_value element;
    for (size_t i = 0; json_next_element(&reader, &element); i++, rejected += step)
        if (!read_rejection(d, element, rejected))
            return wrong_entry(d, name, i, "", "not an index with a code");
    m->rejected = step ? d->rejected.at : NULL;
    return ATHENA_OK;
}

/* [ASP-EXT-3] */
static enum athena_code read_extensions(struct athena_decoder *d, const char *name,
                                        struct json_value value) {
    if (value.kind != JSON_ARRAY)
        return wrong(d, name, "not an array");
    struct json_reader reader = json_enter(value);
    struct json_value element;
    for (size_t i = 0; json_next_element(&reader, &element); i++)
        if (element.kind != JSON_STRING || i == ATHENA_EXTENSIONS_MAX)
            return wrong_entry(d, name, i, "", "not one of at most 32 names");
    return ATHENA_OK; /* this version knows none */
}

/* ---- `limits` ---- */

static enum athena_code read_limits(struct athena_decoder *d, struct json_value value) {
    struct athena_limits *limits = &d->message->limits;
    const struct {
        const char *name;
        uint64_t *limit;
    } table[] = {
        {"message", &limits->message}, {"message_before_open", &limits->message_before_open},
        {"change", &limits->change},   {"batch", &limits->batch},
        {"docs", &limits->docs},
    };
    enum { COUNT = sizeof table / sizeof table[0] };
    if (value.kind != JSON_OBJECT)
        return wrong(d, "limits", "not an object");
    struct json_reader reader = json_enter(value);
    struct athena_text_view name;
    struct json_value member;
    while (json_next_member(&reader, &name, &member))
        for (size_t i = 0; i < COUNT; i++)
            if (json_string_equals(name, table[i].name) && !take_integer(member, table[i].limit))
                *table[i].limit = 0;
    for (size_t i = 0; i < COUNT; i++) {
        char where[96];
        snprintf(where, sizeof where, "limits/%s", table[i].name);
        if (*table[i].limit == 0)
            return wrong(d, where, "not a positive integer");
    }
    return ATHENA_OK;
}

/* ---- One member ---- */

static enum athena_code ok_or(struct athena_decoder *d, bool ok, const char *name,
                              const char *what) {
    return ok ? ATHENA_OK : wrong(d, name, what);
}

static enum athena_code read_frame_member(struct athena_decoder *d, const char *name,
                                          enum member_kind kind, struct json_value value) {
    struct athena_message *m = d->message;
    struct athena_text_view text = {0};
    if (kind == MEMBER_REQ) {
        m->has_req = take_integer(value, &m->req);
        return ok_or(d, m->has_req, name, "not an integer from 0 to 2^53-1");
    }
    m->has_doc = take_text(d, value, &text) && athena_doc_parse(m->doc, text, NULL) == ATHENA_OK;
    return ok_or(d, m->has_doc, name, "not a document id");
}

/* [ASP-LIST-11] */
static enum athena_code read_list_member(struct athena_decoder *d, const char *name,
                                         enum member_kind kind, struct json_value value) {
    struct athena_message *m = d->message;
    switch (kind) {
    case MEMBER_CURSOR:
        return ok_or(d, take_text(d, value, &m->cursor) && athena_cursor_is_valid(m->cursor), name,
                     "not a cursor");
    case MEMBER_AFTER:
        m->has_after = take_text(d, value, &m->cursor);
        return ok_or(d, m->has_after, name, "not a string");
    case MEMBER_LIMIT:
        return ok_or(d, take_integer(value, &m->limit) && m->limit >= 1, name,
                     "not an integer of at least 1");
    case MEMBER_DATA:
        return ok_or(d, take_boolean(value, &m->with_data), name, "not a boolean");
    default:
        return ok_or(d, take_boolean(value, &m->more), name, "not a boolean");
    }
}

static enum athena_code read_array_member(struct athena_decoder *d, const char *name,
                                          enum member_kind kind, struct json_value value) {
    enum athena_code code;
    switch (kind) {
    case MEMBER_IDS:
    case MEMBER_MISSING:
        return read_ids(d, name, value);
    case MEMBER_ASKED_IDS:
        code = read_ids(d, name, value);
        return code ? code : ok_or(d, d->message->ids_len > 0, name, "empty");
    case MEMBER_CHANGES:
        return read_changes(d, name, value, false);
    case MEMBER_LIVE_CHANGES:
    case MEMBER_PUSHED_CHANGES:
        code = read_changes(d, name, value, kind == MEMBER_PUSHED_CHANGES);
        return code ? code : ok_or(d, d->message->changes_len > 0, name, "empty");
    case MEMBER_DUPLICATES:
        return read_duplicates(d, name, value);
    case MEMBER_REJECTED:
        return read_rejected(d, name, value);
    default:
        return read_extensions(d, name, value);
    }
}

static enum athena_code read_own_member(struct athena_decoder *d, const char *name,
                                        enum member_kind kind, struct json_value value) {
    struct athena_message *m = d->message;
    struct athena_text_view text = {0};
    switch (kind) {
    case MEMBER_PROTOCOL:
        return ok_or(d, take_text(d, value, &text) && text_equals(text, ATHENA_SUBPROTOCOL), name,
                     "not " ATHENA_SUBPROTOCOL);
    case MEMBER_SERVER:
        return ok_or(d, take_bounded_text(d, value, &m->server, ATHENA_SERVER_TEXT_MAX), name,
                     "not a text of 1 to 128 bytes");
    case MEMBER_CHALLENGE:
        return ok_or(d, take_fixed_bytes(d, value, m->challenge, sizeof m->challenge), name,
                     "not 32 bytes in base64url");
    case MEMBER_LIMITS:
        return read_limits(d, value);
    case MEMBER_AUTHORITY:
        return ok_or(d, take_bounded_text(d, value, &m->authority, ATHENA_AUTHORITY_TEXT_MAX), name,
                     "not a text of 1 to 261 bytes");
    case MEMBER_PROOF:
        return ok_or(d, take_fixed_bytes(d, value, m->proof, sizeof m->proof), name,
                     "not 64 bytes in base64url");
    case MEMBER_COUNT:
        return ok_or(d, take_integer(value, &m->digest.count), name, "not an integer");
    case MEMBER_DIGEST:
        return ok_or(d, take_fixed_bytes(d, value, m->digest.sum, sizeof m->digest.sum), name,
                     "not 32 bytes in base64url");
    case MEMBER_CODE:
        return ok_or(d, take_code(d, value, &m->code_text, &m->code), name, "not an error code");
    case MEMBER_TEXT:
        return ok_or(d, take_bounded_text(d, value, &m->text, ATHENA_ERROR_TEXT_MAX), name,
                     "not a text of 1 to 512 bytes");
    default:
        m->has_retry_after = take_integer(value, &m->retry_after_ms);
        return ok_or(d, m->has_retry_after, name, "not an integer");
    }
}

static enum athena_code read_member(struct athena_decoder *d, const struct message_member *member,
                                    struct json_value value) {
    switch (member->kind) {
    case MEMBER_REQ:
    case MEMBER_DOC:
        return read_frame_member(d, member->name, member->kind, value);
    case MEMBER_CURSOR:
    case MEMBER_AFTER:
    case MEMBER_LIMIT:
    case MEMBER_DATA:
    case MEMBER_MORE:
        return read_list_member(d, member->name, member->kind, value);
    case MEMBER_EXTENSIONS:
    case MEMBER_IDS:
    case MEMBER_ASKED_IDS:
    case MEMBER_MISSING:
    case MEMBER_CHANGES:
    case MEMBER_LIVE_CHANGES:
    case MEMBER_PUSHED_CHANGES:
    case MEMBER_DUPLICATES:
    case MEMBER_REJECTED:
        return read_array_member(d, member->name, member->kind, value);
    default:
        return read_own_member(d, member->name, member->kind, value);
    }
}

/* ---- The message ---- */

static bool find_member(struct json_value object, const char *wanted, struct json_value *value) {
    struct json_reader reader = json_enter(object);
    struct athena_text_view name;
    while (json_next_member(&reader, &name, value))
        if (json_string_equals(name, wanted))
            return true;
    return false;
}

static enum athena_type find_type(struct athena_text_view quoted, enum athena_sender from) {
    for (size_t type = 0; type < ATHENA_TYPE_COUNT; type++) {
        const struct message_layout *layout = &message_layouts[type];
        if (layout->name && layout->sender == from && json_string_equals(quoted, layout->name))
            return (enum athena_type)type;
    }
    return ATHENA_TYPE_NONE;
}

/* What a refusal of an unknown type can still name [ASP-MSG-11] [ASP-MSG-4]. */
static enum athena_code unknown_type(struct athena_decoder *d, struct json_value object) {
    struct athena_message *m = d->message;
    struct json_value value;
    struct athena_text_view text;
    if (find_member(object, "req", &value))
        m->has_req = take_integer(value, &m->req);
    if (find_member(object, "doc", &value))
        m->has_doc =
            take_text(d, value, &text) && athena_doc_parse(m->doc, text, NULL) == ATHENA_OK;
    return refuse(d->error, ATHENA_UNKNOWN_TYPE, "/type", "not a type that this side is sent");
}

/* What the table cannot say: exactly one of `ids` and `changes`, and an end only when empty. */
static enum athena_code check_listed(struct athena_decoder *d, struct json_value object) {
    struct athena_message *m = d->message;
    struct json_value ignored;
    bool has_ids = find_member(object, "ids", &ignored);
    m->with_data = find_member(object, "changes", &ignored);
    if (has_ids == m->with_data)
        return wrong(d, "ids", "exactly one of ids and changes is expected");
    if (m->more && m->ids_len + m->changes_len == 0)
        return wrong(d, "more", "true on an empty page");
    return ATHENA_OK;
}

static enum athena_code read_members(struct athena_decoder *d, struct json_value object) {
    const struct message_member *member = message_layouts[d->message->type].members;
    for (; member < message_layouts[d->message->type].members + MESSAGE_MEMBERS_MAX; member++) {
        struct json_value value;
        if (!member->name)
            break;
        if (!find_member(object, member->name, &value)) {
            if (member->is_optional)
                continue;
            return wrong(d, member->name, "missing");
        }
        enum athena_code code = read_member(d, member, value);
        if (code)
            return code;
    }
    return d->message->type == ATHENA_LISTED ? check_listed(d, object) : ATHENA_OK;
}

enum athena_code athena_message_decode(struct athena_message *message,
                                       struct athena_decoder *decoder, enum athena_sender from,
                                       struct athena_text_view json, struct athena_error *error) {
    *message = (struct athena_message){0};
    enum athena_code code = athena_json_check(json, error);
    if (code)
        return code;
    decoder->message = message;
    decoder->error = error;
    decoder->used = 0;
    if (!reserve(&decoder->bytes, json.len))
        return no_memory(decoder);
    struct json_value object = json_root(json);
    struct json_value type;
    if (!find_member(object, "type", &type) || type.kind != JSON_STRING)
        return refuse(error, ATHENA_NOT_STRICT_JSON, "/type", "a string is expected");
    message->type = find_type(type.span, from);
    if (message->type == ATHENA_TYPE_NONE)
        return unknown_type(decoder, object);
    return read_members(decoder, object);
}
