/* The `changed` frames of a document: encoded once for all its readers, and not kept for ever. */
#include "reference-server/document.h"
#include "reference-server/tests/support_main.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 50, LARGE = 200000, DOCUMENTS = 200, MEDIUM = 45000 };

static const struct athena_limits limits = {4000000, 16384, 1000000, 100, 64};
static struct store *store;
static struct documents *documents;
static uint8_t *data;

static void wake(struct document_reader *reader) {
    (void)reader;
}

static struct document_reader readers[DOCUMENTS] = {{.wake = wake}};
static struct document *opened[DOCUMENTS];

/* Documents with changes of these sizes each. */
static void open_with(size_t count, const size_t *sizes, size_t len) {
    static const uint8_t hash_key[16];
    const struct store_quota quota = {0};
    store = store_memory_new();
    data = calloc(1, LARGE);
    documents = documents_new(store, &limits, hash_key);
    ck_assert(store && data && documents);
    for (size_t i = 0; i < count; i++) {
        uint8_t doc[ATHENA_DOC_BYTES] = {(uint8_t)i, 1};
        struct store_head head;
        for (size_t k = 0; k < len; k++) {
            char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
            support_id(id, k);
            struct store_entry entry = {.id = support_text(id), .data = {data, sizes[k]}};
            ck_assert_int_eq(store->engine->append(store, doc, &entry, 1, &quota, &head, NULL), 0);
        }
        ck_assert_int_eq(store->engine->commit(store, NULL), 0);
        readers[i].wake = wake;
        ck_assert_int_eq(documents_acquire(documents, &opened[i], doc, &readers[i], NULL), 0);
    }
}

static void close_all(size_t count) {
    for (size_t i = 0; i < count; i++)
        documents_release(documents, opened[i], &readers[i]);
    documents_free(documents);
    store_close(store);
    free(data);
}

static struct frame *changed(size_t document, uint64_t after, uint64_t until) {
    struct frame *frame;
    uint64_t last;
    struct athena_error error;
    enum athena_code code =
        documents_changed(documents, opened[document], after, until, &frame, &last, &error);
    ck_assert_msg(code == ATHENA_OK, "%s", error.text);
    ck_assert_uint_eq(last, until);
    return frame;
}

/* A small frame is sent at once: the next reader gets the same all the same. A large one is under
 * way for a while. */
START_TEST(encodes_once_for_all_readers) {
    const size_t sizes[] = {SMALL, LARGE, LARGE, SMALL};
    open_with(1, sizes, 4);
    struct frame *small = changed(0, 0, 1);
    frame_unref(small);
    struct frame *again = changed(0, 0, 1);
    ck_assert_ptr_eq(again, small);
    struct frame *large = changed(0, 1, 2);
    struct frame *other = changed(0, 2, 3);
    for (int reader = 0; reader < 3; reader++) {
        ck_assert_ptr_eq(changed(0, 1, 2), large);
        ck_assert_ptr_eq(changed(0, 2, 3), other);
        frame_unref(large);
        frame_unref(other);
    }
    ck_assert_uint_gt(frame_bytes(large).len, LARGE);
    frame_unref(again);
    frame_unref(large);
    frame_unref(other);
    other = changed(0, 1, 2); /* all have it: it is made anew */
    ck_assert_uint_gt(frame_bytes(other).len, LARGE);
    close_all(1);
    frame_unref(other); /* a connection may send it for longer than anyone reads the document */
}
END_TEST

/* What could be sent once more is bounded in all, however many documents are open. */
START_TEST(keeps_few_frames) {
    const size_t sizes[] = {MEDIUM};
    open_with(DOCUMENTS, sizes, 1);
    frame_unref(changed(0, 0, 1));
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (size_t i = 0; i < DOCUMENTS; i++)
        frame_unref(changed(i, 0, 1));
    size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    ck_assert_msg(after < before + (size_t)DOCUMENTS * MEDIUM, "%zu bytes are kept",
                  after - before);
    close_all(DOCUMENTS);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("document");
    support_add(suite, "sharing", encodes_once_for_all_readers);
    support_add(suite, "keeping", keeps_few_frames);
    return support_main(suite);
}
