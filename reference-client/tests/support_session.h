/*
 * A session with a replica in memory and a server that says what the test tells it to. Time is what
 * the test says, too.
 */
#ifndef REFERENCE_CLIENT_TESTS_SUPPORT_SESSION_H
#define REFERENCE_CLIENT_TESTS_SUPPORT_SESSION_H

#include "reference-client/session.h"
#include "reference-client/tests/support_main.h"

enum { RIG_CHANGES = 8, RIG_SENT_MAX = 64, RIG_EVENTS_MAX = 64 };

/* A sealed change; number n is known as the bit 1 << n of a set. */
struct rig_change {
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    uint8_t data[300];
    size_t data_len;
};

struct rig_event {
    enum athena_sync_event_type type;
    enum athena_code code;
    uint64_t count;
    uint64_t retry_ms;
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    char text[256]; /* of the error */
};

struct rig {
    struct athena_keys keys;
    struct replica *replica;
    struct session *session;
    struct rig_change changes[RIG_CHANGES];
    uint64_t now_ms;
    uint32_t random; /* what the session's random source gives */

    char *sent[RIG_SENT_MAX]; /* JSON, not expected yet */
    size_t sent_len;
    struct athena_decoder *decoder;
    struct rig_event events[RIG_EVENTS_MAX]; /* since the last look */
    size_t events_len;
    void (*handler)(struct rig *rig, const struct athena_sync_event *event); /* or NULL */
    unsigned dialled;
    unsigned dropped; /* with the code below */
    uint16_t close_code;
};

void rig_init(struct rig *rig);
void rig_fini(struct rig *rig);
/* The device dies and comes back with the store it had. */
void rig_restart(struct rig *rig);

/* The application adds changes of the set. */
void rig_add(struct rig *rig, unsigned set);
/* What the replica holds, what waits to be pushed to the server, what the server is known to hold.
 */
unsigned rig_held(struct rig *rig);
struct replica_counts rig_counts(struct rig *rig);
struct replica_server rig_server(struct rig *rig);

/* ---- The server's part ---- */

extern const struct athena_limits rig_limits;

/* Dial, connect, welcome; expects the `open`. */
void rig_greet(struct rig *rig, const struct athena_limits *limits);
/* The same, and `opened` for a log of this set. */
void rig_open(struct rig *rig, unsigned log, const char *cursor);
/* The next message the client sent, which has to be of this type. Lives until the next. */
struct athena_message rig_expect(struct rig *rig, enum athena_type type);
void rig_expect_nothing(struct rig *rig);
/* Expects a `list` after this cursor ("" for none), with data or not. Returns its req. */
uint64_t rig_expect_list(struct rig *rig, const char *after, bool with_data);
/* Expects a `get` or `push` of exactly this set. Returns its req. */
uint64_t rig_expect_set(struct rig *rig, enum athena_type type, unsigned set);

void rig_say(struct rig *rig, const struct athena_message *message);
void rig_say_text(struct rig *rig, const char *json);
void rig_say_listed(struct rig *rig, uint64_t req, unsigned set, bool with_data, bool more,
                    const char *cursor);
void rig_say_got(struct rig *rig, uint64_t req, unsigned set, unsigned missing);
void rig_say_changed(struct rig *rig, unsigned set, const char *cursor);
/* `rejected`: the place in the push, or -1 for none. */
void rig_say_pushed(struct rig *rig, uint64_t req, int rejected, enum athena_code code);
void rig_say_error(struct rig *rig, uint64_t req, enum athena_code code, uint64_t retry_ms);
void rig_cut(struct rig *rig);
void rig_pass(struct rig *rig, uint64_t ms);

/* ---- Events ---- */

/* How many of a type since the last call of rig_forget. */
unsigned rig_count(const struct rig *rig, enum athena_sync_event_type type);
const struct rig_event *rig_event(const struct rig *rig, enum athena_sync_event_type type);
void rig_forget(struct rig *rig);

#endif
