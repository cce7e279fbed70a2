/*
 * The store: each document's log on stable storage, behind an interface that any engine can fill.
 *
 * A store has two sides. The writing side (begin, append, commit, rollback) belongs to one thread,
 * the reading side (head, tag, read, find) to another; an engine must allow both at once. The
 * reading side sees committed transactions only. Positions of a document are 1, 2, 3, ... without
 * holes, so the position of the last change is also their number.
 *
 * Every function returns ATHENA_OK or ATHENA_UNAVAILABLE (the storage failed; nothing was changed),
 * with what happened in *error.
 */
#ifndef REFERENCE_SERVER_STORE_H
#define REFERENCE_SERVER_STORE_H

#include "protocol/athena_protocol.h"

/* The end of a log: [ASP-DIG-1] [ASP-DIG-2]. Position == digest.count. */
struct store_head {
    struct athena_digest digest;
    uint64_t data_bytes; /* envelope bytes of all changes, for the quota */
};

/* Where the entries of one push went. */
enum store_outcome {
    STORE_STORED,
    STORE_DUPLICATE,
    STORE_REJECTED, /* with a code */
};

/* One change on its way into the log. `id` and `data` are the caller's; the rest is filled in. */
struct store_entry {
    struct athena_text_view id;
    struct athena_bytes_view data;
    enum store_outcome outcome;
    enum athena_code code; /* of STORE_REJECTED; set before append: the entry is skipped */
};

/* Quotas in envelope bytes; 0: none. */
struct store_quota {
    uint64_t document_bytes;
    uint64_t total_bytes;
};

/* Changes read from a log. The page owns copies; zero-initialise, then store_page_fini. */
struct store_page {
    struct athena_change_view *changes; /* data is empty when only ids were asked for */
    size_t len;
    size_t capacity;
    struct athena_buf bytes;
    size_t encoded_bytes; /* of the entries in a message */
};

/* How much to read: entries after `after` up to `until`, at most `entries_max`, and no more than
 * fit encoded_bytes_max of a message, but at least one. */
struct store_range {
    uint64_t after;
    uint64_t until;
    uint64_t entries_max;
    uint64_t encoded_bytes_max;
    bool with_data;
};

struct store;

struct store_engine {
    void (*close)(struct store *store);

    /* Reading. A document that was never stored has a head of zeros. */
    enum athena_code (*head)(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                             struct store_head *head, struct athena_error *error);
    /* *found is false beyond the end of the log. Position 0 has a tag as well. */
    enum athena_code (*tag)(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                            uint64_t position, uint64_t *tag, bool *found,
                            struct athena_error *error);
    enum athena_code (*read)(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                             const struct store_range *range, struct store_page *page,
                             struct athena_error *error);
    /* Appends the change to the page when the log has it up to `until`. */
    enum athena_code (*find)(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                             struct athena_text_view id, uint64_t until, struct store_page *page,
                             bool *found, struct athena_error *error);

    /* Writing. One transaction at a time. */
    enum athena_code (*begin)(struct store *store, struct athena_error *error);
    /* Judges each entry [ASP-PUSH-1] and appends those that are to be stored; *head is the log's
     * end afterwards. */
    enum athena_code (*append)(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                               struct store_entry *entries, size_t len,
                               const struct store_quota *quota, struct store_head *head,
                               struct athena_error *error);
    /* Returns when the transaction is on stable storage [ASP-DUR-1]. */
    enum athena_code (*commit)(struct store *store, struct athena_error *error);
    void (*rollback)(struct store *store);
};

/* What every engine's own struct begins with. */
struct store {
    const struct store_engine *engine;
};

/* Opens, or creates, the store in a data folder, and locks it against other processes. */
enum athena_code store_sqlite_open(struct store **store, const char *folder,
                                   struct athena_error *error);
/* Bytes of memory that all open stores of this kind have, their caches above all. */
uint64_t store_sqlite_memory(void);
/* In memory, for tests and simulation. What is not committed when store_memory_crash is called is
 * gone, as after a power loss. NULL without memory. */
struct store *store_memory_new(void);
void store_memory_crash(struct store *store);

void store_close(struct store *store);

/* ---- For engines ---- */

/* Appends a copy of a change; false without memory. */
bool store_page_add(struct store_page *page, struct athena_text_view id,
                    struct athena_bytes_view data, bool with_data);
void store_page_clear(struct store_page *page);
void store_page_fini(struct store_page *page);
/* Whether one more entry of that size still belongs on the page. */
bool store_page_has_room(const struct store_page *page, const struct store_range *range,
                         size_t id_len, size_t data_len);

/* The tag of a log up to a position: 64 bits of the running digest, bound to the document. */
uint64_t store_tag(const uint8_t doc[static ATHENA_DOC_BYTES], const struct athena_digest *digest);
/* Counts the entry into the head, or rejects it for a quota. */
bool store_admit(struct store_entry *entry, struct store_head *head, uint64_t *total_bytes,
                 const struct store_quota *quota);

#endif
