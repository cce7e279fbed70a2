/* What store.h promises, of both engines. */
#include "reference-server/store.h"
#include "reference-server/tests/support_main.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { ENTRIES_MAX = 512 };
#define DATA_BYTES ((size_t)16)

static const struct store_quota no_quota;
static const struct store_range everything = {.until = UINT64_MAX,
                                              .entries_max = UINT64_MAX,
                                              .encoded_bytes_max = SIZE_MAX,
                                              .with_data = true};

/* ---- Engines ---- */

static struct store *open_sqlite(void) {
    struct store *store;
    struct athena_error error;
    ck_assert_msg(store_sqlite_open(&store, support_folder, &error) == ATHENA_OK, "%s", error.text);
    return store;
}

/* Runs a check on an empty store of each engine. */
static void on_both(void (*check)(struct store *store)) {
    struct store *stores[] = {store_memory_new(), open_sqlite()};
    for (size_t i = 0; i < 2; i++) {
        check(stores[i]);
        store_close(stores[i]);
    }
}

/* ---- Documents and entries ---- */

static const uint8_t *doc(uint8_t number) {
    static uint8_t docs[256][ATHENA_DOC_BYTES];
    memset(docs[number], number, ATHENA_DOC_BYTES);
    return docs[number];
}

/* Entries `first`, `first` + 1, ... whose data follow from their numbers and `version`. */
static struct store_entry *make_entries(uint64_t first, size_t len, char version) {
    static struct store_entry entries[ENTRIES_MAX];
    static char ids[ENTRIES_MAX][ATHENA_CHANGE_ID_TEXT_MAX + 1];
    static char data[ENTRIES_MAX][DATA_BYTES + 1];
    ck_assert_uint_le(len, ENTRIES_MAX);
    for (size_t i = 0; i < len; i++) {
        support_id(ids[i], first + i);
        snprintf(data[i], sizeof data[i], "%c%015zx", version, (size_t)first + i);
        entries[i] = (struct store_entry){.id = support_text(ids[i]),
                                          .data = {(const uint8_t *)data[i], DATA_BYTES}};
    }
    return entries;
}

static void begin(struct store *store) {
    ck_assert_int_eq(store->engine->begin(store, NULL), ATHENA_OK);
}

static void commit(struct store *store) {
    ck_assert_int_eq(store->engine->commit(store, NULL), ATHENA_OK);
}

static void append(struct store *store, const uint8_t *to, struct store_entry *entries, size_t len,
                   const struct store_quota *quota) {
    struct store_head head;
    ck_assert_int_eq(store->engine->append(store, to, entries, len, quota, &head, NULL), ATHENA_OK);
}

/* All stored, in a transaction of its own. */
static void put(struct store *store, const uint8_t *to, uint64_t first, size_t len) {
    struct store_entry *entries = make_entries(first, len, 'a');
    begin(store);
    append(store, to, entries, len, &no_quota);
    commit(store);
    for (size_t i = 0; i < len; i++)
        ck_assert_int_eq(entries[i].outcome, STORE_STORED);
}

static struct store_head head_of(struct store *store, const uint8_t *of) {
    struct store_head head;
    ck_assert_int_eq(store->engine->head(store, of, &head, NULL), ATHENA_OK);
    return head;
}

static size_t read_page(struct store *store, const uint8_t *of, const struct store_range *range,
                        struct store_page *page) {
    store_page_clear(page);
    ck_assert_int_eq(store->engine->read(store, of, range, page, NULL), ATHENA_OK);
    return page->len;
}

static bool finds(struct store *store, const uint8_t *of, uint64_t number, uint64_t until) {
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    struct store_page page = {0};
    bool found;
    support_id(id, number);
    ck_assert_int_eq(store->engine->find(store, of, support_text(id), until, &page, &found, NULL),
                     ATHENA_OK);
    ck_assert_uint_eq(page.len, found);
    store_page_fini(&page);
    return found;
}

static void check_tag(struct store *store, const uint8_t *of, const struct athena_digest *digest) {
    uint64_t tag;
    bool found;
    ck_assert_int_eq(store->engine->tag(store, of, digest->count, &tag, &found, NULL), ATHENA_OK);
    ck_assert(found);
    ck_assert_uint_eq(tag, store_tag(of, digest));
}

static bool has_tag(struct store *store, const uint8_t *of, uint64_t position) {
    uint64_t tag;
    bool found;
    ck_assert_int_eq(store->engine->tag(store, of, position, &tag, &found, NULL), ATHENA_OK);
    return found;
}

static void check_change(const struct athena_change_view *change, const struct store_entry *entry) {
    ck_assert_uint_eq(change->id.len, entry->id.len);
    ck_assert_mem_eq(change->id.at, entry->id.at, change->id.len);
    ck_assert_uint_eq(change->data.len, DATA_BYTES);
    ck_assert_mem_eq(change->data.at, entry->data.at, DATA_BYTES);
}

/* The log holds exactly the entries 1 to len, with count, size, digest and tags that fit. */
static void check_log(struct store *store, const uint8_t *of, size_t len) {
    const struct store_entry *entries = make_entries(1, len, 'a');
    struct store_page page = {0};
    struct athena_digest digest = {0};
    ck_assert_uint_eq(read_page(store, of, &everything, &page), len);
    check_tag(store, of, &digest);
    for (size_t i = 0; i < len; i++) {
        uint8_t hash[ATHENA_HASH_BYTES];
        check_change(&page.changes[i], &entries[i]);
        athena_item_hash(hash, page.changes[i].id, page.changes[i].data);
        athena_digest_add(&digest, hash);
        check_tag(store, of, &digest);
    }
    ck_assert(!has_tag(store, of, len + 1) && !has_tag(store, of, UINT64_MAX));
    struct store_head head = head_of(store, of);
    ck_assert(athena_digest_equal(&head.digest, &digest));
    ck_assert_uint_eq(head.data_bytes, len * DATA_BYTES);
    store_page_fini(&page);
}

/* ---- Reading ---- */

static void check_empty(struct store *store) {
    uint64_t tag;
    bool found;
    check_log(store, doc(1), 0);
    ck_assert_int_eq(store->engine->tag(store, doc(1), 0, &tag, &found, NULL), ATHENA_OK);
    ck_assert(found); /* [ASP-CUR-3] */
    ck_assert_uint_eq(tag, store_tag(doc(1), &(struct athena_digest){0}));
    ck_assert_uint_ne(tag, store_tag(doc(2), &(struct athena_digest){0}));
    ck_assert(!finds(store, doc(1), 1, UINT64_MAX));
    begin(store); /* a transaction of nothing */
    append(store, doc(1), NULL, 0, &no_quota);
    commit(store);
    check_log(store, doc(1), 0);
}

/* [ASP-PUSH-4] */
static void check_appending(struct store *store) {
    put(store, doc(1), 1, 1);
    check_log(store, doc(1), 1);
    put(store, doc(1), 2, 199);
    check_log(store, doc(1), 200);
    ck_assert(finds(store, doc(1), 200, UINT64_MAX));
    ck_assert(finds(store, doc(1), 200, 200));
    ck_assert(!finds(store, doc(1), 200, 199));
    ck_assert(!finds(store, doc(1), 201, UINT64_MAX));
    check_log(store, doc(2), 0);
}

static void check_ranges(struct store *store) {
    struct store_page page = {0};
    put(store, doc(1), 1, 100);
    struct store_range range = everything;
    range.after = 40;
    range.until = 60;
    ck_assert_uint_eq(read_page(store, doc(1), &range, &page), 20);
    ck_assert_mem_eq(page.changes[0].data.at, make_entries(41, 1, 'a')->data.at, DATA_BYTES);
    range.entries_max = 7;
    ck_assert_uint_eq(read_page(store, doc(1), &range, &page), 7);
    range.after = 60;
    ck_assert_uint_eq(read_page(store, doc(1), &range, &page), 0);
    range.after = 99;
    range.until = UINT64_MAX;
    ck_assert_uint_eq(read_page(store, doc(1), &range, &page), 1);
    range.after = 100;
    ck_assert_uint_eq(read_page(store, doc(1), &range, &page), 0);
    range.after = INT64_MAX;
    ck_assert_uint_eq(read_page(store, doc(1), &range, &page), 0);
    store_page_fini(&page);
}

/* As many as fit a message to the byte, but one at least [ASP-LIST-2]. */
static void check_page_bytes(struct store *store) {
    struct store_page page = {0};
    put(store, doc(1), 1, 100);
    size_t id_len = make_entries(1, 1, 'a')->id.len;
    for (int with_data = 0; with_data < 2; with_data++) {
        size_t entry = with_data ? athena_change_encoded_len(id_len, DATA_BYTES)
                                 : athena_id_encoded_len(id_len);
        struct store_range range = everything;
        range.with_data = with_data;
        range.encoded_bytes_max = 10 * entry;
        ck_assert_uint_eq(read_page(store, doc(1), &range, &page), 10);
        ck_assert_uint_eq(page.encoded_bytes, 10 * entry);
        ck_assert_uint_eq(page.changes[9].data.len, with_data ? DATA_BYTES : 0);
        range.encoded_bytes_max = 10 * entry - 1;
        ck_assert_uint_eq(read_page(store, doc(1), &range, &page), 9);
        range.encoded_bytes_max = 0;
        ck_assert_uint_eq(read_page(store, doc(1), &range, &page), 1);
    }
    store_page_fini(&page);
}

static void check_sizes(struct store *store) {
    enum { LARGE_BYTES = 1114112 };
    struct store_page page = {0};
    char longest[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    memset(longest, 'f', ATHENA_ACTOR_TEXT_MAX);
    snprintf(longest + ATHENA_ACTOR_TEXT_MAX, sizeof longest - ATHENA_ACTOR_TEXT_MAX, "%s",
             ":7d444840-9dc0-41d1-b245-5ffdce74fad2");
    uint8_t *large = calloc(1, LARGE_BYTES);
    ck_assert_ptr_nonnull(large);
    struct store_entry entries[] = {
        {.id = support_text("ab:00000000-0000-4000-8000-000000000001"), .data = {large, 1}},
        {.id = support_text(longest), .data = {large, LARGE_BYTES}},
    };
    begin(store);
    append(store, doc(1), entries, 2, &no_quota);
    commit(store);
    ck_assert_uint_eq(read_page(store, doc(1), &everything, &page), 2);
    ck_assert_uint_eq(page.changes[0].data.len, 1);
    ck_assert_uint_eq(page.changes[1].id.len, ATHENA_CHANGE_ID_TEXT_MAX);
    ck_assert_uint_eq(page.changes[1].data.len, LARGE_BYTES);
    ck_assert_mem_eq(page.changes[1].data.at, large, LARGE_BYTES); /* [ASP-GET-4] */
    store_page_fini(&page);
    free(large);
}

START_TEST(reads_what_was_written) {
    on_both(check_empty);
}
END_TEST

START_TEST(appends) {
    on_both(check_appending);
}
END_TEST

START_TEST(reads_ranges) {
    on_both(check_ranges);
}
END_TEST

START_TEST(fills_pages) {
    on_both(check_page_bytes);
}
END_TEST

START_TEST(takes_all_sizes) {
    on_both(check_sizes);
}
END_TEST

/* ---- Judging ---- */

static void expect_outcomes(const struct store_entry *entries, const char *outcomes) {
    for (size_t i = 0; outcomes[i]; i++) {
        char outcome = entries[i].outcome == STORE_STORED      ? 's'
                       : entries[i].outcome == STORE_DUPLICATE ? 'd'
                       : entries[i].code == ATHENA_CONFLICT    ? 'c'
                       : entries[i].code == ATHENA_QUOTA       ? 'q'
                                                               : 'r';
        ck_assert_msg(outcome == outcomes[i], "entry %zu: %c, not %c", i, outcome, outcomes[i]);
    }
}

/* [ASP-LOG-1] [ASP-LOG-2] [ASP-LOG-4] [ASP-PUSH-2] */
static void check_judging(struct store *store) {
    put(store, doc(1), 1, 3);
    begin(store);
    struct store_entry *entries = make_entries(2, 4, 'a');
    entries[3].outcome = STORE_REJECTED; /* by whoever looked at it before */
    entries[3].code = ATHENA_TOO_LARGE;
    append(store, doc(1), entries, 4, &no_quota);
    expect_outcomes(entries, "ddsr");
    ck_assert_int_eq(entries[3].code, ATHENA_TOO_LARGE);
    entries = make_entries(3, 3, 'b'); /* the same transaction, other bytes */
    append(store, doc(1), entries, 2, &no_quota);
    expect_outcomes(entries, "cc");
    entries = make_entries(5, 2, 'a');
    entries[1].id = entries[0].id; /* one id twice in one push */
    append(store, doc(1), entries, 2, &no_quota);
    expect_outcomes(entries, "sc");
    commit(store);
    check_log(store, doc(1), 5);
}

/* [ASP-ISO-4] */
static void check_isolation(struct store *store) {
    put(store, doc(1), 1, 3);
    put(store, doc(2), 1, 2);
    begin(store);
    struct store_entry *entries = make_entries(4, 1, 'a');
    append(store, doc(1), entries, 1, &no_quota);
    append(store, doc(2), make_entries(3, 1, 'a'), 1, &no_quota);
    expect_outcomes(entries, "s");
    commit(store);
    check_log(store, doc(1), 4);
    check_log(store, doc(2), 3);
    struct store_head a = head_of(store, doc(1));
    struct store_head b = head_of(store, doc(2));
    ck_assert(!athena_digest_equal(&a.digest, &b.digest));
}

/* [ASP-ABUSE-5] [ASP-LOG-3]; duplicates cost nothing. */
static void check_quotas(struct store *store) {
    const struct store_quota of_document = {.document_bytes = 3 * DATA_BYTES};
    const struct store_quota of_all = {.total_bytes = 5 * DATA_BYTES};
    begin(store);
    struct store_entry *entries = make_entries(1, 4, 'a');
    append(store, doc(1), entries, 4, &of_document);
    expect_outcomes(entries, "sssq");
    entries = make_entries(1, 4, 'a');
    append(store, doc(1), entries, 4, &of_document);
    expect_outcomes(entries, "dddq");
    entries = make_entries(1, 3, 'a');
    append(store, doc(2), entries, 3, &of_all);
    expect_outcomes(entries, "ssq");
    store->engine->rollback(store);
    begin(store); /* what was rolled back counts no more */
    entries = make_entries(1, 4, 'a');
    append(store, doc(1), entries, 4, &of_all);
    expect_outcomes(entries, "ssss");
    commit(store);
    begin(store);
    entries = make_entries(1, 2, 'a');
    append(store, doc(2), entries, 2, &of_all);
    expect_outcomes(entries, "sq");
    commit(store);
    check_log(store, doc(1), 4);
    check_log(store, doc(2), 1);
}

START_TEST(judges_entries) {
    on_both(check_judging);
}
END_TEST

START_TEST(keeps_documents_apart) {
    on_both(check_isolation);
}
END_TEST

START_TEST(applies_quotas) {
    on_both(check_quotas);
}
END_TEST

/* ---- Transactions ---- */

/* [ASP-DUR-1] [ASP-PUSH-3]: nothing is visible before the commit, and after a rollback it is as if
 * it had never been. */
static void check_rollback(struct store *store) {
    struct store_head head;
    put(store, doc(1), 1, 3);
    begin(store);
    ck_assert_int_eq(
        store->engine->append(store, doc(1), make_entries(4, 3, 'a'), 3, &no_quota, &head, NULL),
        ATHENA_OK);
    ck_assert_uint_eq(head.digest.count, 6);
    append(store, doc(2), make_entries(1, 3, 'a'), 3, &no_quota);
    check_log(store, doc(1), 3);
    check_log(store, doc(2), 0);
    ck_assert(!finds(store, doc(1), 4, UINT64_MAX));
    store->engine->rollback(store);
    check_log(store, doc(1), 3);
    check_log(store, doc(2), 0);
    put(store, doc(1), 4, 1); /* no hole */
    put(store, doc(2), 1, 1);
    check_log(store, doc(1), 4);
    check_log(store, doc(2), 1);
}

static void check_many_documents(struct store *store) {
    for (int round = 0; round < 3; round++) {
        begin(store);
        for (unsigned i = 0; i < 256; i++)
            append(store, doc((uint8_t)i), make_entries((uint64_t)round * 2 + 1, 2, 'a'), 2,
                   &no_quota);
        commit(store);
    }
    for (unsigned i = 0; i < 256; i++)
        check_log(store, doc((uint8_t)i), 6);
}

START_TEST(rolls_back) {
    on_both(check_rollback);
}
END_TEST

START_TEST(holds_many_documents) {
    on_both(check_many_documents);
}
END_TEST

/* [ASP-DUR-3]; the total for the quota is counted anew. */
START_TEST(reopens) {
    const struct store_quota of_all = {.total_bytes = 6 * DATA_BYTES};
    struct store *store = open_sqlite();
    put(store, doc(1), 1, 3);
    put(store, doc(2), 1, 2);
    begin(store);
    append(store, doc(1), make_entries(4, 3, 'a'), 3, &no_quota); /* never committed */
    store_close(store);
    store = open_sqlite();
    check_log(store, doc(1), 3);
    check_log(store, doc(2), 2);
    begin(store);
    struct store_entry *entries = make_entries(3, 3, 'a');
    append(store, doc(1), entries, 3, &of_all);
    expect_outcomes(entries, "dsq");
    commit(store);
    store_close(store);
    store = open_sqlite();
    check_log(store, doc(1), 4);
    store_close(store);
}
END_TEST

START_TEST(forgets_in_a_crash) {
    struct store *store = store_memory_new();
    put(store, doc(1), 1, 3);
    begin(store);
    append(store, doc(1), make_entries(4, 3, 'a'), 3, &no_quota);
    store_memory_crash(store);
    check_log(store, doc(1), 3);
    put(store, doc(1), 4, 1);
    check_log(store, doc(1), 4);
    store_close(store);
}
END_TEST

/* ---- Failing storage, of SQLite only ---- */

static void limit_file_size(rlim_t bytes) {
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* [ASP-DUR-5] [ASP-DUR-6] [ASP-DUR-7]: a full disk costs the transaction and nothing else. */
START_TEST(survives_a_full_disk) {
    struct store_head head;
    struct stat stat_of_log;
    char path[SUPPORT_PATH_MAX];
    struct athena_error error = {0};
    struct store *store = open_sqlite();
    signal(SIGXFSZ, SIG_IGN);
    put(store, doc(1), 1, 3);
    support_path(path, support_folder, "athena.db-wal");
    ck_assert_int_eq(stat(path, &stat_of_log), 0);
    limit_file_size((rlim_t)stat_of_log.st_size);
    begin(store);
    enum athena_code code = store->engine->append(store, doc(1), make_entries(4, 200, 'a'), 200,
                                                  &no_quota, &head, &error);
    if (!code)
        code = store->engine->commit(store, &error);
    ck_assert_int_eq(code, ATHENA_UNAVAILABLE);
    ck_assert_int_eq(error.code, ATHENA_UNAVAILABLE);
    ck_assert_str_ne(error.text, "");
    store->engine->rollback(store);
    check_log(store, doc(1), 3);
    limit_file_size(RLIM_INFINITY);
    put(store, doc(1), 4, 200);
    check_log(store, doc(1), 203);
    store_close(store);
    store = open_sqlite();
    check_log(store, doc(1), 203);
    store_close(store);
}
END_TEST

/* [ASP-LOG-7] */
START_TEST(is_opened_once) {
    struct store *store = open_sqlite();
    struct store *second = NULL;
    struct athena_error error;
    ck_assert_int_eq(store_sqlite_open(&second, support_folder, &error), ATHENA_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(error.text, "another process uses the store"));
    ck_assert_ptr_null(second);
    store_close(store);
    store_close(open_sqlite());
    store_close(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("store");
    support_add(suite, "empty", reads_what_was_written);
    support_add(suite, "append", appends);
    support_add(suite, "ranges", reads_ranges);
    support_add(suite, "pages", fills_pages);
    support_add(suite, "sizes", takes_all_sizes);
    support_add(suite, "judging", judges_entries);
    support_add(suite, "isolation", keeps_documents_apart);
    support_add(suite, "quotas", applies_quotas);
    support_add(suite, "rollback", rolls_back);
    support_add(suite, "documents", holds_many_documents);
    support_add(suite, "reopen", reopens);
    support_add(suite, "crash", forgets_in_a_crash);
    support_add(suite, "full disk", survives_a_full_disk);
    support_add(suite, "lock", is_opened_once);
    return support_main(suite);
}
