/* The table of messages that decoding and encoding share. Not installed. */
#ifndef ATHENA_PROTOCOL_MESSAGE_H
#define ATHENA_PROTOCOL_MESSAGE_H

#include "protocol/athena_protocol.h"

/* Each kind of member knows how to read itself into a message, with its bounds. */
enum member_kind {
    MEMBER_REQ,
    MEMBER_DOC,
    MEMBER_PROTOCOL,
    MEMBER_SERVER,
    MEMBER_CHALLENGE,
    MEMBER_LIMITS,
    MEMBER_EXTENSIONS,
    MEMBER_AUTHORITY,
    MEMBER_PROOF,
    MEMBER_COUNT,
    MEMBER_DIGEST,
    MEMBER_CURSOR,
    MEMBER_AFTER,
    MEMBER_LIMIT,
    MEMBER_DATA,
    MEMBER_MORE,
    MEMBER_IDS,
    MEMBER_ASKED_IDS, /* at least one */
    MEMBER_MISSING,
    MEMBER_CHANGES,
    MEMBER_LIVE_CHANGES,   /* at least one */
    MEMBER_PUSHED_CHANGES, /* at least one; a faulty one is marked, not refused */
    MEMBER_DUPLICATES,
    MEMBER_REJECTED,
    MEMBER_CODE,
    MEMBER_TEXT,
    MEMBER_RETRY_AFTER,
};

struct message_member {
    const char *name;
    enum member_kind kind;
    bool is_optional;
};

enum { MESSAGE_MEMBERS_MAX = 7 };

struct message_layout {
    const char *name; /* NULL: no such type */
    enum athena_sender sender;
    struct message_member members[MESSAGE_MEMBERS_MAX]; /* ends at a NULL name */
};

/* Members in the order in which they are checked and written: `req`, `doc`, then the others. */
extern const struct message_layout message_layouts[ATHENA_TYPE_COUNT];

#endif
