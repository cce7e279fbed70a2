/*
 * Every value that the specification shows is computed again: the domain strings are taken from the
 * formulas of sections 4 and 5, each block of the appendices is written anew from what they give
 * and compared whole, and the examples of section 10 hold no other value than these.
 */
#include "protocol/tests/support.h"
#include "protocol/tests/support_spec.h"
#include "protocol/tests/support_worked.h"

#include <check.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN "s3cr3t-token"

static char *spec;
static struct athena_buf written; /* what a block or sentence has to be */

static void set_up(void) {
    ck_assert_int_ge(sodium_init(), 0);
    spec = (char *)source_read("spec/athena-sync-1.md").at;
    worked_make();
}

static void tear_down(void) {
    athena_buf_fini(&written);
    free(spec);
}

/* ---- Writing what has to be there ---- */

__attribute__((format(printf, 1, 2))) static void put(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ck_assert_int_lt(len, (int)sizeof text);
    athena_buf_append(&written, text, (size_t)len);
}

/* As the appendices print bytes: 32 to a line. */
static void put_hex(const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        put("%s%02x", i && i % 32 == 0 ? "\n" : "", bytes[i]);
}

static void put_base64url(const uint8_t *bytes, size_t len) {
    char text[512] = "";
    ck_assert_uint_lt(athena_base64url_len(len), sizeof text);
    athena_base64url_encode(text, bytes, len);
    put("%s", text);
}

static void put_line(const char *label, const uint8_t *bytes, size_t len) {
    put("%-13s", label);
    put_hex(bytes, len);
    put("\n");
}

/* What was written is the block of that section and index. */
static void expect_block(const char *heading, size_t index) {
    struct athena_text_view block = {0};
    ck_assert_msg(spec_block(spec_section(spec, heading), index, &block), "%s has no block %zu",
                  heading, index);
    ck_assert(!written.failed);
    ck_assert_msg(block.len == written.len && memcmp(block.at, written.at, block.len) == 0,
                  "%s, block %zu:\n%.*s\nhas to be\n%.*s", heading, index, (int)block.len, block.at,
                  (int)written.len, written.at);
    athena_buf_clear(&written);
}

/* What was written stands in that section, wherever its lines are broken. */
static void expect_sentence(const char *heading) {
    put("%c", '\0');
    ck_assert(!written.failed);
    ck_assert_msg(spec_has(spec_section(spec, heading), written.at), "%s has to say: %s", heading,
                  written.at);
    athena_buf_clear(&written);
}

/* ---- Formulas ---- */

/* The first text in quotation marks behind `label` at the start of a line of a section's formulas.
 */
static struct athena_text_view domain_of(const char *heading, const char *label) {
    struct athena_text_view block;
    ck_assert(spec_block(spec_section(spec, heading), 0, &block));
    const char *at = block.at;
    while (at && strncmp(at, label, strlen(label)) != 0) {
        at = memchr(at, '\n', (size_t)(block.at + block.len - at));
        at = at ? at + 1 : NULL;
    }
    ck_assert_msg(at != NULL, "%s has no formula of %s", heading, label);
    const char *start = strchr(at, '"') + 1;
    return (struct athena_text_view){start, strcspn(start, "\"")};
}

/* Bytes joined one after the other, for a formula. */
struct joined {
    uint8_t bytes[512];
    size_t len;
};

static void join(struct joined *to, const void *bytes, size_t len) {
    ck_assert_uint_le(to->len + len, sizeof to->bytes);
    memcpy(to->bytes + to->len, bytes, len);
    to->len += len;
}

static void hash(uint8_t out[static 32], const struct joined *message, const uint8_t *key) {
    crypto_generichash(out, 32, message->bytes, message->len, key, key ? 32 : 0);
}

static void join_domain(struct joined *to, const char *heading, const char *label) {
    struct athena_text_view domain = domain_of(heading, label);
    join(to, domain.at, domain.len);
}

START_TEST(keys_follow_from_their_formulas) {
    const struct {
        const char *label;
        const uint8_t *key;
    } rows[] = {{"sign_seed ", worked.keys.sign_key},
                {"content_key ", worked.keys.content_key},
                {"nonce_key ", worked.keys.nonce_key}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct joined domain = {.len = 0};
        uint8_t key[32];
        join_domain(&domain, "### 4.1. ", rows[i].label);
        hash(key, &domain, worked.secret);
        ck_assert_mem_eq(key, rows[i].key, sizeof key);
    }
}
END_TEST

static struct joined associated_data(const struct worked_change *change) {
    struct joined ad = {.len = 0};
    join_domain(&ad, "### 4.2. ", "AD ");
    join(&ad, "\x00\x01", 2); /* the separator, the suite */
    join(&ad, worked.keys.doc, sizeof worked.keys.doc);
    join(&ad, change->id, strlen(change->id));
    return ad;
}

static struct joined padded_word(const struct worked_change *change) {
    struct joined padded = {.len = WORKED_PADDED_BYTES};
    size_t len = strlen(change->word);
    memcpy(padded.bytes, change->word, len);
    padded.bytes[len] = 0x80;
    return padded;
}

START_TEST(nonces_follow_from_their_formula) {
    for (size_t i = 0; i < WORKED_CHANGES; i++) {
        struct joined input = associated_data(&worked.changes[i]);
        struct joined padded = padded_word(&worked.changes[i]);
        uint8_t nonce[32];
        join(&input, "\x00", 1);
        join(&input, padded.bytes, padded.len);
        hash(nonce, &input, worked.keys.nonce_key);
        ck_assert_mem_eq(nonce, worked.changes[i].data + 1, 24);
    }
}
END_TEST

static struct joined proof_message(void) {
    struct joined message = {.len = 0};
    join_domain(&message, "### 4.4. ", "message ");
    join(&message, "\x00", 1);
    join(&message, worked.challenge, sizeof worked.challenge);
    join(&message, worked.keys.doc, sizeof worked.keys.doc);
    join(&message, WORKED_AUTHORITY, strlen(WORKED_AUTHORITY));
    return message;
}

START_TEST(the_proof_follows_from_its_formula) {
    struct joined message = proof_message();
    ck_assert_int_eq(
        crypto_sign_verify_detached(worked.proof, message.bytes, message.len, worked.keys.doc), 0);
}
END_TEST

START_TEST(item_hashes_follow_from_their_formula) {
    for (size_t i = 0; i < WORKED_CHANGES; i++) {
        struct joined input = {.len = 0};
        uint8_t item[32];
        join_domain(&input, "## 5. ", "item hash ");
        join(&input, "\x00", 1);
        join(&input, worked.changes[i].id, strlen(worked.changes[i].id));
        join(&input, "\x00", 1);
        join(&input, worked.changes[i].data, sizeof worked.changes[i].data);
        hash(item, &input, NULL);
        ck_assert_mem_eq(item, worked.changes[i].hash, sizeof item);
    }
}
END_TEST

/* Section 15 lists them again. */
START_TEST(the_domain_strings_are_listed) {
    static const char *const formulas[][2] = {
        {"### 4.1. ", "sign_seed "}, {"### 4.1. ", "content_key "}, {"### 4.1. ", "nonce_key "},
        {"### 4.2. ", "AD "},        {"### 4.4. ", "message "},     {"## 5. ", "item hash "}};
    put("Domain strings in use, none a prefix of another's input:");
    for (size_t i = 0; i < sizeof formulas / sizeof *formulas; i++) {
        struct athena_text_view domain = domain_of(formulas[i][0], formulas[i][1]);
        put("%s `%.*s`", i ? "," : "", (int)domain.len, domain.at);
    }
    put(".");
    expect_sentence("## 15. ");
}
END_TEST

/* ---- Appendix A ---- */

START_TEST(appendix_a_shows_the_keys) {
    put_line("K", worked.secret, sizeof worked.secret);
    put("%-13s", "K as text");
    put_base64url(worked.secret, sizeof worked.secret);
    put("\n");
    put_line("sign_seed", worked.keys.sign_key, 32);
    put_line("content_key", worked.keys.content_key, sizeof worked.keys.content_key);
    put_line("nonce_key", worked.keys.nonce_key, sizeof worked.keys.nonce_key);
    put_line("doc", worked.keys.doc, sizeof worked.keys.doc);
    put("%-13s", "doc as text");
    put_base64url(worked.keys.doc, sizeof worked.keys.doc);
    put("\n");
    expect_block("### A.1. ", 0);
}
END_TEST

START_TEST(appendix_a_shows_the_envelope) {
    const struct worked_change *change = &worked.changes[0];
    struct joined ad = associated_data(change);
    struct joined padded = padded_word(change);
    put("The change `%s` with the plaintext `%s`, `n` = %zu.", change->id, change->word,
        strlen(change->word));
    expect_sentence("### A.2. ");
    put("AD, %zu bytes:\n", ad.len);
    put_hex(ad.bytes, ad.len);
    put("\n\npadded, %zu bytes:\n", padded.len);
    put_hex(padded.bytes, padded.len);
    put("\n\nnonce, the first 24 bytes of B(nonce_key, AD ‖ 00 ‖ padded):\n");
    put_hex(change->data + 1, 24);
    put("\n\nC, %d bytes, ciphertext and tag:\n", WORKED_ENVELOPE_BYTES - 25);
    put_hex(change->data + 25, WORKED_ENVELOPE_BYTES - 25);
    put("\n\ndata, %d bytes:\n", WORKED_ENVELOPE_BYTES);
    put_hex(change->data, WORKED_ENVELOPE_BYTES);
    put("\n");
    expect_block("### A.2. ", 0);
    put_base64url(change->data, WORKED_ENVELOPE_BYTES);
    put("\n");
    expect_block("### A.2. ", 1);
}
END_TEST

START_TEST(appendix_a_shows_the_proof) {
    struct joined message = proof_message();
    put("Challenge `");
    put_hex(worked.challenge, sizeof worked.challenge);
    put("`, authority `" WORKED_AUTHORITY "`.");
    expect_sentence("### A.3. ");
    put("message, %zu bytes:\n", message.len);
    put_hex(message.bytes, message.len);
    put("\n\nproof:\n");
    put_hex(worked.proof, sizeof worked.proof);
    put("\n");
    expect_block("### A.3. ", 0);
    put_base64url(worked.proof, sizeof worked.proof);
    put("\n");
    expect_block("### A.3. ", 1);
}
END_TEST

START_TEST(appendix_a_shows_hashes_and_digests) {
    static const uint8_t zero[ATHENA_HASH_BYTES];
    const uint8_t *h1 = worked.changes[0].hash;
    const uint8_t *h2 = worked.changes[1].hash;
    const uint8_t *sum = worked.changes[1].digest.sum;
    size_t domain_len = domain_of("## 5. ", "item hash ").len;
    size_t id_len = strlen(worked.changes[0].id);
    put("The input of the item hash is %zu bytes: %zu of `%.*s`, 1, %zu of the id, 1, %d of "
        "`data`.",
        domain_len + 1 + id_len + 1 + WORKED_ENVELOPE_BYTES, domain_len, (int)domain_len,
        domain_of("## 5. ", "item hash ").at, id_len, WORKED_ENVELOPE_BYTES);
    expect_sentence("### A.4. ");
    put("item hash of the change above\nh1      ");
    put_hex(h1, sizeof zero);
    put("\n\nitem hash of the second change of appendix B (\"%s\", id %.8s…:%.9s…)\nh2      ",
        worked.changes[1].word, worked.changes[1].id, strchr(worked.changes[1].id, ':') + 1);
    put_hex(h2, sizeof zero);
    put("\n\ndigest of no change, of the first, of both\n        ");
    put_hex(zero, sizeof zero);
    put("\nh1      ");
    put_hex(worked.changes[0].digest.sum, sizeof zero);
    put("\nh1+h2   ");
    put_hex(sum, sizeof zero);
    put("\n");
    expect_block("### A.4. ", 0);
    put("The lowest byte of the sum is 0x%02x + 0x%02x = 0x%03x: 0x%02x stands first, and %d is "
        "carried to the second byte, 0x%02x + 0x%02x + %d = 0x%03x.",
        h1[0], h2[0], h1[0] + h2[0], sum[0], (h1[0] + h2[0]) >> 8, h1[1], h2[1],
        (h1[0] + h2[0]) >> 8, h1[1] + h2[1] + ((h1[0] + h2[0]) >> 8));
    expect_sentence("### A.4. ");
}
END_TEST

/* ---- Appendix B ---- */

/* What the reference server announces, from the last column of section 13. */
static struct athena_limits shown_limits(void) {
    struct athena_limits limits = {0};
    uint64_t *const all[] = {&limits.message, &limits.message_before_open, &limits.change,
                             &limits.batch, &limits.docs};
    struct athena_text_view section = spec_section(spec, "## 13. ");
    struct spec_row row;
    for (size_t i = 0; i < 5; i++) {
        ck_assert(spec_next_row(&section, &row));
        *all[i] = strtoull(row.cells[4].at, NULL, 10);
    }
    return limits;
}

static struct athena_message about_doc(enum athena_type type, uint64_t req) {
    struct athena_message message = {
        .type = type, .has_req = type != ATHENA_CHANGED, .req = req, .has_doc = true};
    memcpy(message.doc, worked.keys.doc, sizeof message.doc);
    return message;
}

static struct athena_change_view view_of(const struct worked_change *change) {
    return (struct athena_change_view){.id = view_text(change->id), .data = worked_data(change)};
}

/* The message is the block of appendix B of that index. */
static void expect_message(const struct athena_message *message, size_t index) {
    athena_message_encode(&written, message);
    put("\n");
    expect_block("## Appendix B. ", index);
}

START_TEST(appendix_b_opens) {
    struct athena_message welcome = {.type = ATHENA_WELCOME,
                                     .server = view_text("athena-syncd/0.1.0"),
                                     .limits = shown_limits()};
    memcpy(welcome.challenge, worked.challenge, sizeof worked.challenge);
    expect_message(&welcome, 1);
    struct athena_message open = about_doc(ATHENA_OPEN, 1);
    open.authority = view_text(WORKED_AUTHORITY);
    memcpy(open.proof, worked.proof, sizeof worked.proof);
    expect_message(&open, 2);
    struct athena_message opened = about_doc(ATHENA_OPENED, 1);
    opened.digest = worked.changes[1].digest;
    opened.cursor = view_text(worked.cursors[2]);
    expect_message(&opened, 3);
}
END_TEST

START_TEST(appendix_b_lists_and_gets) {
    struct athena_text_view id = view_text(worked.changes[1].id);
    struct athena_change_view change = view_of(&worked.changes[1]);
    struct athena_message list = about_doc(ATHENA_LIST, 2);
    list.has_after = true;
    list.cursor = view_text(worked.cursors[1]);
    expect_message(&list, 4);
    struct athena_message listed = about_doc(ATHENA_LISTED, 2);
    listed.cursor = view_text(worked.cursors[2]);
    listed.ids = &id;
    listed.ids_len = 1;
    expect_message(&listed, 5);
    struct athena_message get = about_doc(ATHENA_GET, 3);
    get.ids = &id;
    get.ids_len = 1;
    expect_message(&get, 6);
    struct athena_message got = about_doc(ATHENA_GOT, 3);
    got.changes = &change;
    got.changes_len = 1;
    expect_message(&got, 7);
}
END_TEST

START_TEST(appendix_b_pushes_and_closes) {
    struct athena_change_view third = view_of(&worked.changes[2]);
    struct athena_change_view fourth = view_of(&worked.changes[3]);
    struct athena_message push = about_doc(ATHENA_PUSH, 4);
    push.changes = &third;
    push.changes_len = 1;
    expect_message(&push, 8);
    struct athena_message pushed = about_doc(ATHENA_PUSHED, 4);
    expect_message(&pushed, 9);
    struct athena_message changed = about_doc(ATHENA_CHANGED, 0);
    changed.changes = &fourth;
    changed.changes_len = 1;
    changed.cursor = view_text(worked.cursors[4]);
    expect_message(&changed, 10);
    struct athena_message close = about_doc(ATHENA_CLOSE, 5);
    expect_message(&close, 11);
    struct athena_message closed = about_doc(ATHENA_CLOSED, 5);
    expect_message(&closed, 12);
    struct athena_text_view block;
    ck_assert(!spec_block(spec_section(spec, "## Appendix B. "), 13, &block));
}
END_TEST

/* Key and answer of the handshake are those of RFC 6455, section 1.3. */
START_TEST(appendix_b_shakes_hands) {
    put("GET / HTTP/1.1\nHost: " WORKED_AUTHORITY "\nUpgrade: websocket\nConnection: Upgrade\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n"
        "Sec-WebSocket-Protocol: " ATHENA_SUBPROTOCOL "\nAuthorization: Bearer " TOKEN "\n\n"
        "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n"
        "Sec-WebSocket-Protocol: " ATHENA_SUBPROTOCOL "\n");
    expect_block("## Appendix B. ", 0);
    put("A browser would send `Sec-WebSocket-Protocol: " ATHENA_SUBPROTOCOL
        ", " ATHENA_TOKEN_SUBPROTOCOL_PREFIX);
    put_base64url((const uint8_t *)TOKEN, strlen(TOKEN));
    put("` rather than `Authorization`.");
    expect_sentence("## Appendix B. ");
}
END_TEST

START_TEST(appendix_b_counts) {
    put("The plaintexts are the words `%s`, `%s`, `%s` and `%s`, in place of",
        worked.changes[0].word, worked.changes[1].word, worked.changes[2].word,
        worked.changes[3].word);
    expect_sentence("## Appendix B. ");
    put("The phone's `known` has count %d and the digest `", (int)worked.changes[0].digest.count);
    put_base64url(worked.changes[0].digest.sum, ATHENA_HASH_BYTES);
    put("`: step a fails.");
    expect_sentence("## Appendix B. ");
    put("its item hash enters `known`: count %d, and", (int)worked.changes[1].digest.count);
    expect_sentence("## Appendix B. ");
    put("The change enters `known`: count %d, digest `", (int)worked.changes[2].digest.count);
    put_base64url(worked.changes[2].digest.sum, ATHENA_HASH_BYTES);
    put("`.");
    expect_sentence("## Appendix B. ");
    put("The cursor lies after position 4 and covers the phone's own change at position 3,");
    expect_sentence("## Appendix B. ");
}
END_TEST

/* ---- Appendix C ---- */

START_TEST(appendix_c_shows_cursors) {
    uint64_t of_sum = worked_first_8(worked.changes[0].hash);
    uint64_t of_doc = worked_first_8(worked.keys.doc);
    unsigned long long tag = of_sum + of_doc;
    put("position 0   %s\n", worked.cursors[0]);
    put("position 1   %s   %014d %02d ‖ %016llx\n", worked.cursors[1], 0, 1, tag);
    put("position 2   %s\n", worked.cursors[2]);
    expect_block("## Appendix C. ", 1);
    put("For position 1: the first 8 bytes of `h1`, `");
    put_hex(worked.changes[0].hash, 8);
    put("`, are 0x%016llx; those of the document id, `", (unsigned long long)of_sum);
    put_hex(worked.keys.doc, 8);
    put("`, are 0x%016llx; their sum modulo 2^64 is 0x%016llx.", (unsigned long long)of_doc, tag);
    expect_sentence("## Appendix C. ");
}
END_TEST

/* ---- Section 10 ---- */

static void put_all_values(void) {
    char doc[ATHENA_DOC_TEXT_LEN + 1];
    athena_doc_format(doc, worked.keys.doc);
    put("\n%s\n", doc);
    put_base64url(worked.challenge, sizeof worked.challenge);
    put("\n");
    put_base64url(worked.proof, sizeof worked.proof);
    for (size_t i = 0; i < WORKED_CHANGES; i++) {
        put("\n%s\n%s\n", worked.changes[i].id, worked.cursors[i + 1]);
        put_base64url(worked.changes[i].data, WORKED_ENVELOPE_BYTES);
        put("\n");
        put_base64url(worked.changes[i].digest.sum, ATHENA_HASH_BYTES);
    }
    put("\n%c", '\0');
}

/* Each text in the JSON is one of the values, when it is as long as a value; words are not. */
static void judge_texts(const cJSON *json) {
    enum { VALUE_LEN_MIN = WORKED_CURSOR_LEN };
    for (const cJSON *value = json; value; value = value->next) {
        judge_texts(value->child);
        bool is_words = value->string && strcmp(value->string, "message") == 0;
        if (!cJSON_IsString(value) || is_words || strlen(value->valuestring) < VALUE_LEN_MIN)
            continue;
        char line[512];
        snprintf(line, sizeof line, "\n%s\n", value->valuestring);
        ck_assert_msg(strstr(written.at, line) != NULL, "an example shows %s", value->valuestring);
    }
}

START_TEST(examples_show_no_other_values) {
    size_t examples = 0;
    put_all_values();
    for (int part = 1; part <= 8; part++) {
        char heading[16];
        snprintf(heading, sizeof heading, "### 10.%d. ", part);
        struct athena_text_view block;
        for (size_t i = 0; spec_block(spec_section(spec, heading), i, &block); i++, examples++) {
            cJSON *json = cJSON_ParseWithLength(block.at, block.len);
            ck_assert_ptr_nonnull(json);
            judge_texts(json);
            cJSON_Delete(json);
        }
    }
    ck_assert_uint_ge(examples, 17);
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, keys_follow_from_their_formulas);
    tcase_add_test(all, nonces_follow_from_their_formula);
    tcase_add_test(all, the_proof_follows_from_its_formula);
    tcase_add_test(all, item_hashes_follow_from_their_formula);
    tcase_add_test(all, the_domain_strings_are_listed);
    tcase_add_test(all, appendix_a_shows_the_keys);
    tcase_add_test(all, appendix_a_shows_the_envelope);
    tcase_add_test(all, appendix_a_shows_the_proof);
    tcase_add_test(all, appendix_a_shows_hashes_and_digests);
    tcase_add_test(all, appendix_b_shakes_hands);
    tcase_add_test(all, appendix_b_opens);
    tcase_add_test(all, appendix_b_lists_and_gets);
    tcase_add_test(all, appendix_b_pushes_and_closes);
    tcase_add_test(all, appendix_b_counts);
    tcase_add_test(all, appendix_c_shows_cursors);
    tcase_add_test(all, examples_show_no_other_values);
    Suite *suite = suite_create("spec values");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
