/*
 * Athena Sync Protocol 1: identifiers, keys, envelope, proof, digest, strict JSON and messages.
 *
 * Everything here works on bytes the caller holds: no socket, file, clock, random source or global
 * state, so that servers, clients, simulations and fuzzers run the same code. The one exception is
 * set-up: call sodium_init() once before anything that hashes, seals or signs.
 *
 * Conventions
 *  - Text is UTF-8, given by pointer and length, never assumed NUL-terminated.
 *  - A function that can refuse its input returns enum athena_code, 0 (ATHENA_OK) for success, and
 *    fills *error (may be NULL) with what was wrong and where. Outputs are untouched on failure
 *    unless said otherwise.
 *  - `_view` structs borrow: they live as long as what they point into.
 *  - The meaning of every layout is in spec/athena-sync-1.md; [ASP-...] names the requirement.
 */
#ifndef ATHENA_PROTOCOL_H
#define ATHENA_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The elements that an array behind a parameter has at least, which C++ has no word for. */
#ifdef __cplusplus
#define ATHENA_AT_LEAST(count) count
extern "C" {
#else
#define ATHENA_AT_LEAST(count) static count
#endif

#pragma GCC visibility push(default) /* part of the shared library's interface */

#define ATHENA_SUBPROTOCOL              "athena-sync.v1"
#define ATHENA_TOKEN_SUBPROTOCOL_PREFIX "athena-token."

enum {
    ATHENA_SECRET_BYTES = 32, /* document secret K */
    ATHENA_DOC_BYTES = 32,    /* document id: Ed25519 public key */
    ATHENA_DOC_TEXT_LEN = 43, /* the same in base64url */
    ATHENA_CHALLENGE_BYTES = 32,
    ATHENA_PROOF_BYTES = 64,
    ATHENA_HASH_BYTES = 32,      /* item hash and digest */
    ATHENA_ACTOR_TEXT_MAX = 128, /* 64 bytes in hexadecimal */
    ATHENA_UUID_BYTES = 16,
    ATHENA_UUID_TEXT_LEN = 36,
    ATHENA_CHANGE_ID_TEXT_MAX = ATHENA_ACTOR_TEXT_MAX + 1 + ATHENA_UUID_TEXT_LEN,
    ATHENA_CURSOR_TEXT_MAX = 64,
    ATHENA_TOKEN_TEXT_MAX = 512,     /* of the admission token */
    ATHENA_AUTHORITY_TEXT_MAX = 261, /* a host of 255 characters, ':' and a port of 5 */
    ATHENA_ERROR_TEXT_MAX = 512,     /* `message` of an `error`, bytes */
    ATHENA_CODE_TEXT_MAX = 64,
    ATHENA_SERVER_TEXT_MAX = 128, /* `server` of a `welcome`, bytes */
    ATHENA_EXTENSIONS_MAX = 32,
    ATHENA_JSON_DEPTH_MAX = 8,
    ATHENA_JSON_MEMBERS_MAX = 64,                 /* of one object */
    ATHENA_ENVELOPE_OVERHEAD_BYTES = 1 + 24 + 16, /* suite, nonce, tag */
    ATHENA_PADDED_BYTES_MIN = 128,
};
#define ATHENA_INTEGER_MAX ((UINT64_C(1) << 53) - 1)

/* ---- Text, bytes, errors ------------------------------------------------------------------- */

struct athena_text_view {
    const char *at;
    size_t len;
};

struct athena_bytes_view {
    const uint8_t *at;
    size_t len;
};

/* One enum for every refusal; the registry of the specification plus what never travels. */
enum athena_code {
    ATHENA_OK = 0,
    /* whole request */
    ATHENA_BAD_MESSAGE,
    ATHENA_UNKNOWN_TYPE,
    ATHENA_NOT_OPEN,
    ATHENA_ALREADY_OPEN,
    ATHENA_FORBIDDEN,
    ATHENA_WRONG_AUTHORITY,
    ATHENA_UNKNOWN_CURSOR,
    ATHENA_LIMIT,
    ATHENA_RATE,
    ATHENA_UNAVAILABLE,
    ATHENA_INTERNAL,
    ATHENA_SHUTTING_DOWN,
    /* one change of a push */
    ATHENA_BAD_CHANGE,
    ATHENA_TOO_LARGE,
    ATHENA_CONFLICT,
    ATHENA_QUOTA,
    /* local: never on the wire */
    ATHENA_NOT_STRICT_JSON, /* breaks the strict-JSON rules: ends the connection with 4000 */
    ATHENA_NO_MEMORY,
    ATHENA_BAD_ENVELOPE, /* does not open: wrong key, moved, tampered, wrong nonce or padding */
    ATHENA_BAD_ID,       /* document id, change id, actor or secret of wrong grammar */
    ATHENA_BAD_URL,
    ATHENA_BAD_TOKEN,    /* admission token of wrong grammar */
    ATHENA_UNKNOWN_CODE, /* a code from the wire that this version does not know */
};

struct athena_error {
    enum athena_code code;
    char where[128]; /* JSON Pointer of the member, "" for the whole text; NUL-terminated */
    char text[256];  /* one sentence for a person; NUL-terminated, without secrets */
};

/* The wire form ("bad-message"); local codes give their own lower-case name. Static. */
const char *athena_code_text(enum athena_code code);
/* ATHENA_UNKNOWN_CODE for a text that is not in the registry. */
enum athena_code athena_code_parse(struct athena_text_view text);
/* True when the same request may succeed later (quota, rate, unavailable, ...). */
bool athena_code_is_retryable(enum athena_code code);

/* ---- Growing byte buffer ------------------------------------------------------------------- */

/* Zero-initialise. Caller owns; athena_buf_fini frees. A failed allocation sets `failed`, later
 * appends do nothing, and whoever hands the buffer on checks it once. */
struct athena_buf {
    char *at;
    size_t len;
    size_t capacity;
    bool failed;
};
void athena_buf_append(struct athena_buf *buf, const void *bytes, size_t len);
/* Room for len bytes at the end, to be written by the caller; NULL without memory. */
char *athena_buf_extend(struct athena_buf *buf, size_t len);
void athena_buf_clear(struct athena_buf *buf); /* keeps the memory */
void athena_buf_fini(struct athena_buf *buf);

/* ---- Base64url without padding, canonical ---------------------------------------------------- */

/* Characters for `bytes_len` bytes; no NUL is counted or written. */
size_t athena_base64url_len(size_t bytes_len);
void athena_base64url_encode(char *text, const uint8_t *bytes, size_t bytes_len);
/* Refuses other characters, padding, a length of 1 modulo 4 and non-zero trailing bits.
 * Writes at most capacity bytes; text and bytes may overlap when bytes <= text. When refused,
 * *bytes_len is untouched and the bytes are without meaning. */
bool athena_base64url_decode(uint8_t *bytes, size_t capacity, size_t *bytes_len,
                             struct athena_text_view text);

/* ---- Identifiers ---------------------------------------------------------------------------- */

/* 43 characters of canonical base64url, or ATHENA_BAD_ID [ASP-ID-1]. Says nothing about the point:
 * see athena_proof_verify. A document secret has the same form in text [ASP-KEY-3]. */
enum athena_code athena_doc_parse(uint8_t doc[ATHENA_AT_LEAST(ATHENA_DOC_BYTES)],
                                  struct athena_text_view text, struct athena_error *error);
/* Writes 43 characters and a NUL. */
void athena_doc_format(char text[ATHENA_AT_LEAST(ATHENA_DOC_TEXT_LEN + 1)],
                       const uint8_t doc[ATHENA_AT_LEAST(ATHENA_DOC_BYTES)]);
/* Grammar [ASP-ID-2]: lower-case hexadecimal, 1 to 64 bytes; `<actor>:<uuid>` with a version 4
 * UUID. ATHENA_BAD_ID says what is wrong and where. */
enum athena_code athena_actor_check(struct athena_text_view actor, struct athena_error *error);
enum athena_code athena_change_id_check(struct athena_text_view id, struct athena_error *error);
/* `<actor>:<uuid>` from 16 random bytes of a secure source [ASP-ID-6], whose version and variant
 * bits are set here. Writes a NUL. ATHENA_BAD_ID for an actor of wrong grammar. */
enum athena_code athena_change_id_make(char id[ATHENA_AT_LEAST(ATHENA_CHANGE_ID_TEXT_MAX + 1)],
                                       struct athena_text_view actor,
                                       const uint8_t random[ATHENA_AT_LEAST(ATHENA_UUID_BYTES)],
                                       struct athena_error *error);
/* `[A-Za-z0-9_-]{1,64}` [ASP-CUR-1] */
bool athena_cursor_is_valid(struct athena_text_view cursor);
/* 1 to 512 characters of section 7.2 [ASP-WS-51]: nothing that would end a header's line. */
bool athena_token_is_valid(struct athena_text_view token);

/* ---- Authority ------------------------------------------------------------------------------ */

/* A ws: or wss: URL taken apart as the WHATWG URL standard does. Texts end in a NUL. ATHENA_BAD_URL
 * for another scheme, a user, a password, a fragment, a host that is not ASCII, and whatever the
 * standard refuses or the room below does not hold [ASP-WS-37] [ASP-WS-38] [ASP-WS-39]. */
struct athena_url {
    bool secure;
    uint16_t port;
    char host[256];                                /* serialised, IPv6 without brackets */
    char authority[ATHENA_AUTHORITY_TEXT_MAX + 1]; /* host and non-default port */
    char path[1024];                               /* with query, at least "/" */
};
enum athena_code athena_url_parse(struct athena_url *url, struct athena_text_view text,
                                  struct athena_error *error);

/* ---- Keys, envelope, proof ------------------------------------------------------------------ */

/* What a document secret gives [ASP-KEY-2]. Caller owns; wipe with athena_keys_wipe on every way
 * out. Only `doc`, the document id, may leave the device [ASP-KEY-4]. */
struct athena_keys {
    uint8_t doc[ATHENA_DOC_BYTES];
    uint8_t sign_key[64];
    uint8_t content_key[32];
    uint8_t nonce_key[32];
};
void athena_keys_derive(struct athena_keys *keys,
                        const uint8_t secret[ATHENA_AT_LEAST(ATHENA_SECRET_BYTES)]);
void athena_keys_wipe(struct athena_keys *keys);

/* Bytes of a plaintext after padding (section 4.3), and of its envelope in all. */
size_t athena_padded_len(size_t plain_len);
size_t athena_envelope_len(size_t plain_len);
/* Deterministic: the same change gives the same bytes anywhere [ASP-ENV-1]. `id` was checked
 * before. Writes exactly athena_envelope_len(plain.len) bytes; ATHENA_NO_MEMORY or ATHENA_OK. */
enum athena_code athena_envelope_seal(uint8_t *data, const struct athena_keys *keys,
                                      struct athena_text_view id, struct athena_bytes_view plain);
/* `plain` needs room for data.len bytes; *plain_len is what the change has. Recomputes nonce and
 * padding. ATHENA_BAD_ENVELOPE says in error->text which check failed; *plain_len is untouched
 * then, and `plain` holds what it held or zeros, never plaintext [ASP-ENV-9]. */
enum athena_code athena_envelope_open(uint8_t *plain, size_t *plain_len,
                                      const struct athena_keys *keys, struct athena_text_view id,
                                      struct athena_bytes_view data, struct athena_error *error);

/* The proof of an `open` [ASP-KEY-6]. `authority` is that of the URL dialled [ASP-WS-37]. */
void athena_proof_sign(uint8_t proof[ATHENA_AT_LEAST(ATHENA_PROOF_BYTES)],
                       const struct athena_keys *keys,
                       const uint8_t challenge[ATHENA_AT_LEAST(ATHENA_CHALLENGE_BYTES)],
                       struct athena_text_view authority);
/* [ASP-KEY-7] As strict as libsodium: S < L, R and the key canonical and not of small order. */
bool athena_proof_verify(const uint8_t proof[ATHENA_AT_LEAST(ATHENA_PROOF_BYTES)],
                         const uint8_t doc[ATHENA_AT_LEAST(ATHENA_DOC_BYTES)],
                         const uint8_t challenge[ATHENA_AT_LEAST(ATHENA_CHALLENGE_BYTES)],
                         struct athena_text_view authority);

/* ---- Digest --------------------------------------------------------------------------------- */

/* Of a set of changes, in whatever order (section 5). Zero-initialise for the empty set. */
struct athena_digest {
    uint64_t count;                 /* of changes */
    uint8_t sum[ATHENA_HASH_BYTES]; /* little-endian, modulo 2^256 */
};
/* h of one change: of its id and the bytes of its envelope. */
void athena_item_hash(uint8_t hash[ATHENA_AT_LEAST(ATHENA_HASH_BYTES)], struct athena_text_view id,
                      struct athena_bytes_view data);
/* Both keep sum and count. What is removed was added before: nothing checks that. */
void athena_digest_add(struct athena_digest *digest,
                       const uint8_t hash[ATHENA_AT_LEAST(ATHENA_HASH_BYTES)]);
void athena_digest_remove(struct athena_digest *digest,
                          const uint8_t hash[ATHENA_AT_LEAST(ATHENA_HASH_BYTES)]);
/* Both count and sum [ASP-DIG-3]. */
bool athena_digest_equal(const struct athena_digest *a, const struct athena_digest *b);

/* ---- Strict JSON ---------------------------------------------------------------------------- */

/* The rules of section 8: one object, valid UTF-8, no duplicate members, no trailing bytes, no
 * lone surrogate, no \u0000, bounded depth and members, integers 0..2^53-1 only.
 * ATHENA_NOT_STRICT_JSON with the pointer of the fault: of the member or element that was being
 * read or was read last, of the object for a fault in a name, of the deepest that fits when it is
 * long. */
enum athena_code athena_json_check(struct athena_text_view json, struct athena_error *error);
/* Appends `"..."` with what JSON needs escaped. `text` is valid UTF-8. */
void athena_json_append_string(struct athena_buf *out, struct athena_text_view text);
/* Appends `"..."` with the base64url of `bytes`. */
void athena_json_append_bytes(struct athena_buf *out, const uint8_t *bytes, size_t len);

/* ---- Messages ------------------------------------------------------------------------------- */

enum athena_type {
    ATHENA_TYPE_NONE = 0,
    /* server to client */
    ATHENA_WELCOME,
    ATHENA_OPENED,
    ATHENA_LISTED,
    ATHENA_GOT,
    ATHENA_PUSHED,
    ATHENA_CHANGED,
    ATHENA_CLOSED,
    ATHENA_ERROR,
    /* client to server */
    ATHENA_OPEN,
    ATHENA_LIST,
    ATHENA_GET,
    ATHENA_PUSH,
    ATHENA_CLOSE,
    ATHENA_TYPE_COUNT
};
enum athena_sender { ATHENA_FROM_SERVER, ATHENA_FROM_CLIENT };

struct athena_limits {
    uint64_t message;             /* JSON bytes of one message, both directions */
    uint64_t message_before_open; /* JSON bytes from a client with no open document */
    uint64_t change;              /* raw envelope bytes */
    uint64_t batch;               /* entries of a push, get or page */
    uint64_t docs;                /* open at once on one connection */
};

/* One change on the wire. In a decoded push a faulty entry has fault != 0 (ATHENA_BAD_CHANGE) and
 * an empty id and data; the others of the batch are unharmed [ASP-PUSH-2]. */
struct athena_change_view {
    struct athena_text_view id;
    struct athena_bytes_view data;
    enum athena_code fault;
};

struct athena_rejected {
    uint64_t index; /* into the push's changes */
    enum athena_code code;
};

/* A message, decoded or to be encoded. Only the members of its type have a meaning; every view is
 * borrowed (from the decoder's memory, or from the caller who encodes). */
struct athena_message {
    enum athena_type type;
    bool has_req; /* every request and reply has one; an `error` may */
    bool has_doc; /* all but `welcome`; an `error` may */
    uint64_t req;
    uint8_t doc[ATHENA_DOC_BYTES];

    /* welcome */
    struct athena_text_view server;
    uint8_t challenge[ATHENA_CHALLENGE_BYTES];
    struct athena_limits limits;
    /* open */
    struct athena_text_view authority;
    uint8_t proof[ATHENA_PROOF_BYTES];
    /* opened */
    struct athena_digest digest;
    /* opened, listed, changed: a cursor; list: `after`, any text: only its server can tell */
    struct athena_text_view cursor;
    bool has_after; /* list */
    /* list */
    uint64_t limit; /* 0 when absent */
    bool with_data; /* list: `data`; listed: `changes` rather than `ids` */
    /* listed */
    bool more;
    /* listed, get: ids; got: missing */
    const struct athena_text_view *ids;
    size_t ids_len;
    /* listed, got, push, changed */
    const struct athena_change_view *changes;
    size_t changes_len;
    /* pushed */
    const uint64_t *duplicates;
    size_t duplicates_len;
    const struct athena_rejected *rejected;
    size_t rejected_len;
    /* error */
    enum athena_code code;
    struct athena_text_view code_text; /* as it came, also when unknown */
    struct athena_text_view text;
    bool has_retry_after;
    uint64_t retry_after_ms;
};

/* What a decoded message borrows from. Opaque; one decoder may be used for message after message,
 * each decode ending the life of the one before. */
struct athena_decoder;
struct athena_decoder *athena_decoder_new(void); /* NULL without memory */
void athena_decoder_free(struct athena_decoder *decoder);
/* From now on no list of more than `entries_max` entries is kept, however short they are: they are
 * checked and counted, and the message's `ids`, `changes`, `duplicates` or `rejected` is NULL. */
void athena_decoder_bound(struct athena_decoder *decoder, uint64_t entries_max);
/* Bytes that it keeps for the next message. */
size_t athena_decoder_capacity(const struct athena_decoder *decoder);

/* Decodes one message sent by `from`. Strict JSON first (ATHENA_NOT_STRICT_JSON), then type
 * (ATHENA_UNKNOWN_TYPE), then members (ATHENA_BAD_MESSAGE, error->where names the member). On these
 * last two message->has_req/req and has_doc/doc are set when they could be read, so that the
 * refusal can name them. Unknown members are ignored [ASP-JSON-8]. Grammar and bounds of the
 * specification are checked here; the receiver's own limits are the receiver's business. */
enum athena_code athena_message_decode(struct athena_message *message,
                                       struct athena_decoder *decoder, enum athena_sender from,
                                       struct athena_text_view json, struct athena_error *error);
/* Appends the JSON. Every valid message encodes; out->failed tells about memory. */
void athena_message_encode(struct athena_buf *out, const struct athena_message *message);

/* Bytes an entry adds to `ids` or `changes`, its comma included, so that a sender can fill a page
 * to a limit without encoding twice. */
size_t athena_id_encoded_len(size_t id_len);
size_t athena_change_encoded_len(size_t id_len, size_t data_len);
/* At most so many bytes of JSON around the entries of any message that carries them. */
enum { ATHENA_MESSAGE_FRAME_BYTES = 512 };

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
