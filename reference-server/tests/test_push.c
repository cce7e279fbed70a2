/* Whose push is committed next, and what a transaction does with a push that fails. */
#include "reference-server/push.h"

#include "reference-server/tests/support_main.h"

#include <stdlib.h>
#include <string.h>

enum { PUSHES_MAX = 64, ENTRIES = 1000 };

static struct push_lanes lanes;
static struct push_lane lane_of[3];

static void set_up(void) {
    memset(&lanes, 0, sizeof lanes);
    memset(lane_of, 0, sizeof lane_of);
}

/* A push of so many entries, which are all one change of this document. */
static struct push *make(size_t lane, uint64_t req, uint8_t doc, size_t len, size_t message_bytes) {
    static const uint8_t data[] = {1, 2, 3};
    static char ids[PUSHES_MAX][ATHENA_CHANGE_ID_TEXT_MAX + 1];
    struct athena_change_view changes[ENTRIES] = {0};
    ck_assert_uint_lt(req, PUSHES_MAX);
    support_id(ids[req], req);
    for (size_t i = 0; i < len; i++)
        changes[i] =
            (struct athena_change_view){.id = support_text(ids[req]), .data = {data, sizeof data}};
    struct athena_message message = {
        .type = ATHENA_PUSH, .req = req, .changes = changes, .changes_len = len};
    memset(message.doc, doc, sizeof message.doc);
    struct push *push = push_new(NULL, &message, NULL, sizeof data, message_bytes);
    ck_assert_ptr_nonnull(push);
    push->lane = &lane_of[lane];
    return push;
}

/* ---- Turns ---- */

static void submit(size_t lane, uint64_t req, size_t len, size_t message_bytes) {
    push_lanes_add(&lanes, make(lane, req, 0, len, message_bytes));
}

/* Takes a transaction and frees it: the place of the push `req` in it, or -1; *work: its entries.
 */
static int take(uint64_t req, size_t *entries) {
    struct push *chain = push_lanes_take(&lanes);
    int place = -1;
    *entries = 0;
    for (int i = 0; chain; i++) {
        struct push *push = chain;
        chain = push->next;
        *entries += push->len;
        if (push->req == req)
            place = i;
        push_free(push);
    }
    return place;
}

/* [ASP-FLOW-6]: a single change has its turn before most of what two others have sent before it, be
 * that many entries or few large ones. */
START_TEST(gives_each_session_its_turn) {
    const size_t entries_of[] = {ENTRIES, 1};
    const size_t bytes_of[] = {0, 1000000};
    for (size_t kind = 0; kind < 2; kind++) {
        size_t before = 0;
        size_t entries;
        set_up();
        for (uint64_t i = 0; i < 40; i++)
            submit(i % 2, i, entries_of[kind], bytes_of[kind]);
        submit(2, 40, 1, 100);
        while (take(40, &entries) < 0)
            before += entries;
        ck_assert_uint_lt(before, 10 * entries_of[kind]);
        while (lanes.first)
            take(40, &entries);
    }
}
END_TEST

/* [ASP-MSG-17]: each session's pushes stay in their order, and each is taken once. */
START_TEST(keeps_the_order_of_a_session) {
    uint64_t next[3] = {0};
    for (uint64_t i = 0; i < 60; i++)
        submit(i % 3, i, 1 + (size_t)(i * 37 % 300), 0);
    for (struct push *chain; (chain = push_lanes_take(&lanes));) {
        while (chain) {
            struct push *push = chain;
            size_t lane = (size_t)(push->lane - lane_of);
            chain = push->next;
            ck_assert_uint_eq(push->req, 3 * next[lane]++ + lane);
            push_free(push);
        }
    }
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(next[i], 20);
}
END_TEST

/* A flush to disk is shared: small pushes go together, however many wait. */
START_TEST(commits_together) {
    size_t entries;
    for (uint64_t i = 0; i < 60; i++)
        submit(i % 3, i, 10, 4000);
    take(0, &entries);
    ck_assert_uint_eq(entries, 600);
    ck_assert_ptr_null(lanes.first);
}
END_TEST

/* ---- A store that fails for some documents ---- */

static const struct store_engine *working;
static uint8_t damaged; /* documents of this byte and of those above it cannot be judged */
static size_t attempts;

static enum athena_code begin(struct store *store, struct athena_error *error) {
    attempts++;
    return working->begin(store, error);
}

static enum athena_code append(struct store *store, const uint8_t doc[static ATHENA_DOC_BYTES],
                               struct store_entry *entries, size_t len,
                               const struct store_quota *quota, struct store_head *head,
                               struct athena_error *error) {
    enum athena_code code = working->append(store, doc, entries, len, quota, head, error);
    if (doc[0] < damaged)
        return code;
    *error = (struct athena_error){ATHENA_UNAVAILABLE, "", "malformed"};
    return ATHENA_UNAVAILABLE;
}

static struct store *make_store(uint8_t damaged_from) {
    static struct store_engine failing;
    struct store *store = store_memory_new();
    ck_assert_ptr_nonnull(store);
    working = store->engine;
    failing = *working;
    failing.begin = begin;
    failing.append = append;
    store->engine = &failing;
    damaged = damaged_from;
    attempts = 0;
    return store;
}

static struct push *chain_up(struct push *const *pushes, size_t len) {
    for (size_t i = 0; i + 1 < len; i++)
        pushes[i]->next = pushes[i + 1];
    return pushes[0];
}

static void expect_stored(struct push *push, uint64_t stored, uint64_t count) {
    ck_assert_int_eq(push->code, ATHENA_OK);
    ck_assert_uint_eq(push->stored, stored);
    ck_assert_uint_eq(push->head.digest.count, count);
}

/* [ASP-DUR-6]: what a damaged document is asked for is unavailable; the others are stored, judged
 * as if it had not been there. */
START_TEST(leaves_damaged_documents_out) {
    const struct store_quota quota = {.document_bytes = 6};
    struct athena_error error = {0};
    struct store *store = make_store(2);
    struct push *pushes[] = {make(0, 1, 1, 2, 0), make(0, 2, 2, 1, 0), make(0, 3, 1, 1, 0),
                             make(0, 4, 3, 1, 0), make(0, 5, 1, 1, 0), make(0, 1, 1, 1, 0)};
    static const uint8_t other[] = {9};
    pushes[5]->entries[0].data = (struct athena_bytes_view){other, sizeof other};
    push_commit(chain_up(pushes, 6), store, &quota, &error);
    expect_stored(pushes[0], 1, 1);
    ck_assert_int_eq(pushes[0]->entries[1].outcome, STORE_DUPLICATE);
    expect_stored(pushes[2], 1, 2);
    expect_stored(pushes[4], 0, 2);
    ck_assert_int_eq(pushes[4]->entries[0].code, ATHENA_QUOTA);
    expect_stored(pushes[5], 0, 2);
    ck_assert_int_eq(pushes[5]->entries[0].code, ATHENA_CONFLICT);
    ck_assert_int_eq(pushes[1]->code, ATHENA_UNAVAILABLE);
    ck_assert_int_eq(pushes[3]->code, ATHENA_UNAVAILABLE);
    char doc[ATHENA_DOC_TEXT_LEN + 1];
    athena_doc_format(doc, pushes[3]->doc);
    ck_assert_ptr_nonnull(strstr(error.text, doc));
    ck_assert_ptr_nonnull(strstr(error.text, "malformed"));
    for (size_t i = 0; i < 6; i++)
        push_free(pushes[i]);
    store_close(store);
}
END_TEST

/* A store that fails for every document is not asked for each of them. */
START_TEST(gives_up_a_store_that_fails) {
    const struct store_quota quota = {0};
    struct athena_error error = {0};
    struct store *store = make_store(0);
    struct push *pushes[PUSHES_MAX];
    for (size_t i = 0; i < PUSHES_MAX; i++)
        pushes[i] = make(0, i, (uint8_t)i, 1, 0);
    push_commit(chain_up(pushes, PUSHES_MAX), store, &quota, &error);
    ck_assert_uint_lt(attempts, PUSHES_MAX / 2);
    for (size_t i = 0; i < PUSHES_MAX; i++) {
        ck_assert_int_eq(pushes[i]->code, ATHENA_UNAVAILABLE);
        push_free(pushes[i]);
    }
    store_close(store);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test) {
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, test);
    suite_add_tcase(suite, tcase);
}

int main(void) {
    Suite *suite = suite_create("push");
    add(suite, "turns", gives_each_session_its_turn);
    add(suite, "order", keeps_the_order_of_a_session);
    add(suite, "together", commits_together);
    add(suite, "damaged documents", leaves_damaged_documents_out);
    add(suite, "failing store", gives_up_a_store_that_fails);
    return support_main(suite);
}
