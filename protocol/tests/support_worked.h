/* The worked example of the specification's appendices, computed: keys of a secret that counts from
 * 0, a challenge that counts from 32, and the four changes of appendix B. */
#ifndef ATHENA_PROTOCOL_TESTS_SUPPORT_WORKED_H
#define ATHENA_PROTOCOL_TESTS_SUPPORT_WORKED_H

#include "protocol/athena_protocol.h"

enum {
    WORKED_ENVELOPE_BYTES = 169, /* of each change */
    WORKED_PADDED_BYTES = 128,
    WORKED_CHANGES = 4,
    WORKED_CURSOR_LEN = 22,
};
#define WORKED_AUTHORITY "sync.example.org"

struct worked_change {
    const char *id;
    const char *word; /* its plaintext */
    uint8_t data[WORKED_ENVELOPE_BYTES];
    uint8_t hash[ATHENA_HASH_BYTES];
    struct athena_digest digest; /* of the log up to and with it */
};

struct worked {
    uint8_t secret[ATHENA_SECRET_BYTES];
    uint8_t challenge[ATHENA_CHALLENGE_BYTES];
    uint8_t proof[ATHENA_PROOF_BYTES];
    struct athena_keys keys;
    struct worked_change
        changes[WORKED_CHANGES]; /* in log order; the first two are in appendix A */
    char cursors[WORKED_CHANGES + 1][WORKED_CURSOR_LEN + 1]; /* behind so many changes */
};
extern struct worked worked;

void worked_make(void);
struct athena_bytes_view worked_data(const struct worked_change *change);
/* The first 8 bytes as a little-endian integer. */
uint64_t worked_first_8(const uint8_t *bytes);

#endif
