/*
 * The documents that are open on any connection: the visible end of each log, who reads it, and the
 * `changed` frames most recently made for its readers.
 *
 * A commit moves the end and wakes the readers; each reader then takes frames from its own position
 * when its connection can send. Readers at one position get the same frame, as long as one of them
 * has not sent all of it, and a small one for a while longer. One that is behind gets a larger
 * batch, never a hole [ASP-FLOW-4].
 */
#ifndef REFERENCE_SERVER_DOCUMENT_H
#define REFERENCE_SERVER_DOCUMENT_H

#include "reference-server/cursor.h"
#include "reference-server/frame.h"
#include "reference-server/store.h"

struct document;
struct documents;

/* One connection's interest in a document; embedded in what the connection keeps of it. */
struct document_reader {
    struct document_reader *next;
    struct document_reader **previous;
    void (*wake)(struct document_reader *reader); /* the log has grown */
};

/* `hash_key` is 16 random bytes, so that nobody can choose ids that share a bucket. */
struct documents *documents_new(struct store *store, const struct athena_limits *limits,
                                const uint8_t hash_key[static 16]);
void documents_free(struct documents *documents); /* all closed before */
size_t documents_count(const struct documents *documents);

/* Finds the document, or takes it up with the end its log has in the store. Every acquire needs a
 * release. ATHENA_UNAVAILABLE when the store cannot be read. */
enum athena_code documents_acquire(struct documents *documents, struct document **document,
                                   const uint8_t doc[static ATHENA_DOC_BYTES],
                                   struct document_reader *reader, struct athena_error *error);
void documents_release(struct documents *documents, struct document *document,
                       struct document_reader *reader);

const struct store_head *document_head(const struct document *document);
const uint8_t *document_id(const struct document *document);
/* After a commit: makes the new end visible, if the document is open anywhere, and wakes readers.
 */
void documents_advance(struct documents *documents, const uint8_t doc[static ATHENA_DOC_BYTES],
                       const struct store_head *head);

/* The cursor of a position; ATHENA_UNKNOWN_CURSOR beyond the log. */
enum athena_code documents_cursor(struct documents *documents, const struct document *document,
                                  uint64_t position, struct cursor *cursor,
                                  struct athena_error *error);

/* The next `changed` after a position, with changes up to `until` at most. The caller owns one
 * reference to *frame; *last is the position of its last change. */
enum athena_code documents_changed(struct documents *documents, struct document *document,
                                   uint64_t after, uint64_t until, struct frame **frame,
                                   uint64_t *last, struct athena_error *error);

#endif
