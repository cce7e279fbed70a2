#include "reference-server/document.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKET_COUNT = 4096,
    RECENT_FRAMES = 2, /* readers are rarely spread over more positions than that */
    KEPT_FRAMES = 256, /* between the turns of readers who can each send one at once, */
    KEPT_FRAME_BYTES_MAX = 64 * 1024, /* where a larger one is under way meanwhile */
    KEPT_BYTES_MAX = 4 * 1024 * 1024, /* of all documents */
};

/* A frame that some reader is sending, or that is kept: whoever is at that position sends it, too.
 */
struct recent_frame {
    uint64_t after;
    uint64_t last;
    struct frame *frame; /* without a reference: see frame_know */
};

struct document {
    struct document *next;
    uint8_t doc[ATHENA_DOC_BYTES];
    struct store_head head;
    struct document_reader *readers;
    struct recent_frame recent[RECENT_FRAMES];
    size_t next_recent;
};

/* The small frames made last, of all documents. */
struct kept_frames {
    struct frame *at[KEPT_FRAMES];
    size_t first;
    size_t len;
    size_t bytes;
};

struct documents {
    struct store *store;
    struct athena_limits limits;
    uint8_t hash_key[16];
    size_t count;
    struct store_page page; /* reused for every frame */
    struct kept_frames kept;
    struct document *buckets[BUCKET_COUNT];
};

static void drop_oldest(struct kept_frames *kept) {
    struct frame *frame = kept->at[kept->first];
    kept->first = (kept->first + 1) % KEPT_FRAMES;
    kept->len--;
    kept->bytes -= frame_bytes(frame).len;
    frame_unref(frame);
}

static void keep(struct kept_frames *kept, struct frame *frame) {
    size_t len = frame_bytes(frame).len;
    if (len > KEPT_FRAME_BYTES_MAX)
        return;
    while (kept->len == KEPT_FRAMES || kept->bytes + len > KEPT_BYTES_MAX)
        drop_oldest(kept);
    kept->at[(kept->first + kept->len++) % KEPT_FRAMES] = frame_ref(frame);
    kept->bytes += len;
}

struct documents *documents_new(struct store *store, const struct athena_limits *limits,
                                const uint8_t hash_key[static 16]) {
    struct documents *documents = calloc(1, sizeof *documents);
    if (!documents)
        return NULL;
    documents->store = store;
    documents->limits = *limits;
    memcpy(documents->hash_key, hash_key, sizeof documents->hash_key);
    return documents;
}

void documents_free(struct documents *documents) {
    if (!documents)
        return;
    assert(documents->count == 0);
    while (documents->kept.len > 0)
        drop_oldest(&documents->kept);
    store_page_fini(&documents->page);
    free(documents);
}

size_t documents_count(const struct documents *documents) {
    return documents->count;
}

const struct store_head *document_head(const struct document *document) {
    return &document->head;
}

const uint8_t *document_id(const struct document *document) {
    return document->doc;
}

/* ---- The table ---- */

/* Where the pointer to the document is, or would be. */
static struct document **find(struct documents *documents, const uint8_t *doc) {
    uint64_t hash;
    crypto_shorthash((uint8_t *)&hash, doc, ATHENA_DOC_BYTES, documents->hash_key);
    struct document **at = &documents->buckets[hash % BUCKET_COUNT];
    while (*at && memcmp((*at)->doc, doc, ATHENA_DOC_BYTES) != 0)
        at = &(*at)->next;
    return at;
}

static enum athena_code load(struct documents *documents, struct document **at, const uint8_t *doc,
                             struct athena_error *error) {
    struct document *document = calloc(1, sizeof *document);
    if (!document)
        return ATHENA_UNAVAILABLE;
    memcpy(document->doc, doc, ATHENA_DOC_BYTES);
    struct store *store = documents->store;
    enum athena_code code = store->engine->head(store, doc, &document->head, error);
    if (code) {
        free(document);
        return code;
    }
    *at = document;
    documents->count++;
    return ATHENA_OK;
}

/* [ASP-MODEL-7] */
enum athena_code documents_acquire(struct documents *documents, struct document **document,
                                   const uint8_t doc[static ATHENA_DOC_BYTES],
                                   struct document_reader *reader, struct athena_error *error) {
    struct document **at = find(documents, doc);
    enum athena_code code = *at ? ATHENA_OK : load(documents, at, doc, error);
    if (code)
        return code;
    *document = *at;
    reader->next = (*document)->readers;
    reader->previous = &(*document)->readers;
    if (reader->next)
        reader->next->previous = &reader->next;
    (*document)->readers = reader;
    return ATHENA_OK;
}

void documents_release(struct documents *documents, struct document *document,
                       struct document_reader *reader) {
    *reader->previous = reader->next;
    if (reader->next)
        reader->next->previous = reader->previous;
    if (document->readers)
        return;
    struct document **at = find(documents, document->doc);
    *at = document->next;
    for (size_t i = 0; i < RECENT_FRAMES; i++)
        frame_know(&document->recent[i].frame, NULL);
    free(document);
    documents->count--;
}

/* [ASP-LIVE-9] [ASP-LOG-6] */
void documents_advance(struct documents *documents, const uint8_t doc[static ATHENA_DOC_BYTES],
                       const struct store_head *head) {
    struct document *document = *find(documents, doc);
    /* A document taken up after the commit has read the new end from the store already
     * [ASP-LIVE-6]. */
    if (!document || head->digest.count <= document->head.digest.count)
        return;
    document->head = *head;
    for (struct document_reader *reader = document->readers; reader; reader = reader->next)
        reader->wake(reader);
}

/* ---- Cursors and frames ---- */

enum athena_code documents_cursor(struct documents *documents, const struct document *document,
                                  uint64_t position, struct cursor *cursor,
                                  struct athena_error *error) {
    cursor->position = position;
    if (position == document->head.digest.count) {
        cursor->tag = store_tag(document->doc, &document->head.digest);
        return ATHENA_OK;
    }
    bool found;
    struct store *store = documents->store;
    enum athena_code code =
        store->engine->tag(store, document->doc, position, &cursor->tag, &found, error);
    return code || found ? code : ATHENA_UNKNOWN_CURSOR;
}

static const struct recent_frame *find_recent(const struct document *document, uint64_t after,
                                              uint64_t until) {
    for (size_t i = 0; i < RECENT_FRAMES; i++) {
        const struct recent_frame *recent = &document->recent[i];
        if (recent->frame && recent->after == after && recent->last <= until)
            return recent;
    }
    return NULL;
}

static void know_recent(struct document *document, uint64_t after, uint64_t last,
                        struct frame *frame) {
    struct recent_frame *recent = &document->recent[document->next_recent];
    document->next_recent = (document->next_recent + 1) % RECENT_FRAMES;
    recent->after = after;
    recent->last = last;
    frame_know(&recent->frame, frame);
}

static enum athena_code make_changed(struct documents *documents, struct document *document,
                                     uint64_t after, uint64_t until, struct frame **frame,
                                     uint64_t *last, struct athena_error *error) {
    struct store *store = documents->store;
    struct store_page *page = &documents->page;
    struct store_range range = {
        .after = after,
        .until = until,
        .entries_max = documents->limits.batch,
        .encoded_bytes_max = documents->limits.message - ATHENA_MESSAGE_FRAME_BYTES,
        .with_data = true,
    };
    store_page_clear(page);
    enum athena_code code = store->engine->read(store, document->doc, &range, page, error);
    if (code)
        return code;
    if (page->len == 0)
        return ATHENA_INTERNAL; /* the log has a hole: nothing that could be sent is true */
    struct cursor cursor;
    char cursor_text[CURSOR_TEXT_LEN + 1];
    code = documents_cursor(documents, document, after + page->len, &cursor, error);
    if (code)
        return code;
    cursor_format(cursor_text, cursor);
    struct athena_message changed = {
        .type = ATHENA_CHANGED,
        .has_doc = true,
        .changes = page->changes,
        .changes_len = page->len,
        .cursor = {cursor_text, CURSOR_TEXT_LEN},
    };
    memcpy(changed.doc, document->doc, ATHENA_DOC_BYTES);
    *frame = frame_new(&changed);
    *last = after + page->len;
    return *frame ? ATHENA_OK : ATHENA_UNAVAILABLE;
}

enum athena_code documents_changed(struct documents *documents, struct document *document,
                                   uint64_t after, uint64_t until, struct frame **frame,
                                   uint64_t *last, struct athena_error *error) {
    const struct recent_frame *recent = find_recent(document, after, until);
    if (recent) {
        *frame = frame_ref(recent->frame);
        *last = recent->last;
        return ATHENA_OK;
    }
    enum athena_code code = make_changed(documents, document, after, until, frame, last, error);
    if (!code) {
        know_recent(document, after, *last, *frame);
        keep(&documents->kept, *frame);
    }
    return code;
}
