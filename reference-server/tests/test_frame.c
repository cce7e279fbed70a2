/* Frames: the shortest header for every length, RFC 6455, section 5.2. */
#include "reference-server/frame.h"
#include "reference-server/tests/support_main.h"

#include <stdlib.h>
#include <string.h>

/* An `error` whose text has so many bytes, or a `got` of a change for larger ones. */
static struct frame *make_frame(size_t len, const uint8_t *data) {
    struct athena_change_view change = {
        .id = support_text("ab:00000000-0000-4000-8000-000000000001"), .data = {data, len}};
    struct athena_message message = {
        .type = ATHENA_GOT, .has_req = true, .has_doc = true, .changes = &change, .changes_len = 1};
    struct athena_message error = {
        .type = ATHENA_ERROR, .code = ATHENA_RATE, .text = {"xxxxxxxxx", 1}};
    struct frame *frame = frame_new(len > 0 ? &message : &error);
    ck_assert_ptr_nonnull(frame);
    return frame;
}

static void check_header(const struct frame *frame) {
    struct athena_bytes_view bytes = frame_bytes(frame);
    struct athena_text_view text = frame_text(frame);
    size_t header_len = text.len < 126 ? 2 : text.len <= 65535 ? 4 : 10;
    size_t len = bytes.at[1];
    ck_assert_uint_eq(bytes.len, header_len + text.len);
    ck_assert_ptr_eq(bytes.at + header_len, (const uint8_t *)text.at);
    ck_assert_uint_eq(bytes.at[0], 0x81); /* one final text frame [ASP-WS-20] */
    for (size_t i = 2; i < header_len; i++)
        len = (i == 2 ? 0 : len << 8) | bytes.at[i];
    ck_assert_uint_eq(len, text.len);
    ck_assert(text.at[0] == '{' && text.at[text.len - 1] == '}');
}

START_TEST(fits_every_length) {
    enum { LARGEST = 70000 };
    bool seen[3] = {false};
    uint8_t *data = calloc(1, LARGEST);
    ck_assert_ptr_nonnull(data);
    for (size_t len = 0; len <= LARGEST;
         len += len < 100 || (len > 48900 && len < 49100) ? 1 : 100) {
        struct frame *frame = make_frame(len, data);
        size_t text_len = frame_text(frame).len;
        check_header(frame);
        seen[text_len < 126 ? 0 : text_len <= 65535 ? 1 : 2] = true;
        frame_unref(frame);
    }
    ck_assert(seen[0] && seen[1] && seen[2]);
    free(data);
}
END_TEST

START_TEST(is_shared) {
    struct frame *frame = make_frame(0, NULL);
    struct athena_text_view text = frame_text(frame);
    ck_assert_ptr_eq(frame_ref(frame), frame);
    frame_unref(frame);
    ck_assert_ptr_eq(frame_text(frame).at, text.at);
    frame_unref(frame);
    frame_unref(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("frame");
    support_add(suite, "lengths", fits_every_length);
    support_add(suite, "references", is_shared);
    return support_main(suite);
}
