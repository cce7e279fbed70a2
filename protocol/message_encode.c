/* Encoding a message: its members in the table's order. JSON is written directly, because pages
 * and relays are where a server spends its time. */
#include "protocol/message.h"

#include <stdio.h>
#include <string.h>

static void append(struct athena_buf *out, const char *text) {
    athena_buf_append(out, text, strlen(text));
}

/* [ASP-JSON-2] */
static void append_integer(struct athena_buf *out, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    athena_buf_append(out, digits + at, sizeof digits - at);
}

/* Ids, cursors and codes hold no character that JSON escapes. */
static void append_plain(struct athena_buf *out, struct athena_text_view text) {
    char *at = athena_buf_extend(out, text.len + 2);
    if (!at)
        return;
    at[0] = '"';
    memcpy(at + 1, text.at, text.len);
    at[text.len + 1] = '"';
}

static void append_ids(struct athena_buf *out, const struct athena_message *m) {
    append(out, "[");
    for (size_t i = 0; i < m->ids_len; i++) {
        if (i)
            append(out, ",");
        append_plain(out, m->ids[i]);
    }
    append(out, "]");
}

static void append_changes(struct athena_buf *out, const struct athena_message *m) {
    append(out, "[");
    for (size_t i = 0; i < m->changes_len; i++) {
        append(out, i ? ",{\"id\":" : "{\"id\":");
        append_plain(out, m->changes[i].id);
        append(out, ",\"data\":");
        athena_json_append_bytes(out, m->changes[i].data.at, m->changes[i].data.len);
        append(out, "}");
    }
    append(out, "]");
}

static void append_duplicates(struct athena_buf *out, const struct athena_message *m) {
    append(out, "[");
    for (size_t i = 0; i < m->duplicates_len; i++) {
        if (i)
            append(out, ",");
        append_integer(out, m->duplicates[i]);
    }
    append(out, "]");
}

static void append_rejected(struct athena_buf *out, const struct athena_message *m) {
    append(out, "[");
    for (size_t i = 0; i < m->rejected_len; i++) {
        append(out, i ? ",{\"index\":" : "{\"index\":");
        append_integer(out, m->rejected[i].index);
        append(out, ",\"code\":\"");
        append(out, athena_code_text(m->rejected[i].code));
        append(out, "\"}");
    }
    append(out, "]");
}

static void append_limits(struct athena_buf *out, const struct athena_limits *limits) {
    append(out, "{\"message\":");
    append_integer(out, limits->message);
    append(out, ",\"message_before_open\":");
    append_integer(out, limits->message_before_open);
    append(out, ",\"change\":");
    append_integer(out, limits->change);
    append(out, ",\"batch\":");
    append_integer(out, limits->batch);
    append(out, ",\"docs\":");
    append_integer(out, limits->docs);
    append(out, "}");
}

static void append_code(struct athena_buf *out, const struct athena_message *m) {
    if (m->code_text.len) {
        append_plain(out, m->code_text);
        return;
    }
    const char *text = athena_code_text(m->code);
    append_plain(out, (struct athena_text_view){text, strlen(text)});
}

static bool is_present(const struct athena_message *m, const struct message_member *member) {
    switch (member->kind) {
    case MEMBER_REQ:
        return m->has_req;
    case MEMBER_DOC:
        return m->has_doc;
    case MEMBER_AFTER:
        return m->has_after;
    case MEMBER_LIMIT:
        return m->limit > 0;
    case MEMBER_DATA:
        return m->with_data;
    case MEMBER_IDS:
        return !m->with_data;
    case MEMBER_CHANGES:
        return m->with_data || !member->is_optional;
    case MEMBER_RETRY_AFTER:
        return m->has_retry_after;
    default:
        return true;
    }
}

static void append_text_member(struct athena_buf *out, const struct athena_message *m,
                               enum member_kind kind) {
    switch (kind) {
    case MEMBER_PROTOCOL:
        append(out, "\"" ATHENA_SUBPROTOCOL "\"");
        break;
    case MEMBER_SERVER:
        athena_json_append_string(out, m->server);
        break;
    case MEMBER_AUTHORITY:
        athena_json_append_string(out, m->authority);
        break;
    case MEMBER_AFTER: /* echoed as it is, so it may hold anything */
    case MEMBER_CURSOR:
        athena_json_append_string(out, m->cursor);
        break;
    case MEMBER_CODE:
        append_code(out, m);
        break;
    default:
        athena_json_append_string(out, m->text);
    }
}

static void append_array_member(struct athena_buf *out, const struct athena_message *m,
                                enum member_kind kind) {
    switch (kind) {
    case MEMBER_EXTENSIONS:
        append(out, "[]");
        break;
    case MEMBER_DUPLICATES:
        append_duplicates(out, m);
        break;
    case MEMBER_REJECTED:
        append_rejected(out, m);
        break;
    case MEMBER_IDS:
    case MEMBER_ASKED_IDS:
    case MEMBER_MISSING:
        append_ids(out, m);
        break;
    default:
        append_changes(out, m);
    }
}

static void append_member(struct athena_buf *out, const struct athena_message *m,
                          enum member_kind kind) {
    switch (kind) {
    case MEMBER_REQ:
        append_integer(out, m->req);
        break;
    case MEMBER_DOC:
        athena_json_append_bytes(out, m->doc, sizeof m->doc);
        break;
    case MEMBER_CHALLENGE:
        athena_json_append_bytes(out, m->challenge, sizeof m->challenge);
        break;
    case MEMBER_LIMITS:
        append_limits(out, &m->limits);
        break;
    case MEMBER_PROOF:
        athena_json_append_bytes(out, m->proof, sizeof m->proof);
        break;
    case MEMBER_COUNT:
        append_integer(out, m->digest.count);
        break;
    case MEMBER_DIGEST:
        athena_json_append_bytes(out, m->digest.sum, sizeof m->digest.sum);
        break;
    case MEMBER_LIMIT:
        append_integer(out, m->limit);
        break;
    case MEMBER_DATA:
        append(out, "true");
        break;
    case MEMBER_MORE:
        append(out, m->more ? "true" : "false");
        break;
    case MEMBER_RETRY_AFTER:
        append_integer(out, m->retry_after_ms);
        break;
    case MEMBER_PROTOCOL:
    case MEMBER_SERVER:
    case MEMBER_AUTHORITY:
    case MEMBER_AFTER:
    case MEMBER_CURSOR:
    case MEMBER_CODE:
    case MEMBER_TEXT:
        append_text_member(out, m, kind);
        break;
    default:
        append_array_member(out, m, kind);
    }
}

/* [ASP-JSON-1] [ASP-MSG-23] */
void athena_message_encode(struct athena_buf *out, const struct athena_message *message) {
    const struct message_layout *layout = &message_layouts[message->type];
    append(out, "{\"type\":\"");
    append(out, layout->name);
    append(out, "\"");
    for (size_t i = 0; i < MESSAGE_MEMBERS_MAX && layout->members[i].name; i++) {
        const struct message_member *member = &layout->members[i];
        if (!is_present(message, member))
            continue;
        append(out, ",\"");
        append(out, member->name);
        append(out, "\":");
        append_member(out, message, member->kind);
    }
    append(out, "}");
}

size_t athena_id_encoded_len(size_t id_len) {
    return id_len + sizeof "\"\"," - 1;
}

size_t athena_change_encoded_len(size_t id_len, size_t data_len) {
    return id_len + athena_base64url_len(data_len) + sizeof "{\"id\":\"\",\"data\":\"\"}," - 1;
}
