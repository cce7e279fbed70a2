/*
 * A message, read as if from either side. What is refused has a reason; what decodes encodes to a
 * message that decodes and encodes to the same bytes.
 */
#include "protocol/athena_protocol.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct athena_decoder *decoder;

static void set_up(void) {
    decoder = athena_decoder_new();
    if (sodium_init() < 0 || !decoder)
        abort();
}

static enum athena_code decode(struct athena_message *message, enum athena_sender from,
                               struct athena_text_view json) {
    struct athena_error error = {0};
    enum athena_code code = athena_message_decode(message, decoder, from, json, &error);
    if (code && (code != error.code || !error.text[0]))
        abort();
    return code;
}

static struct athena_buf encode(const struct athena_message *message) {
    struct athena_buf out = {0};
    athena_message_encode(&out, message);
    if (out.failed)
        abort();
    return out;
}

/* Faulty entries of a push are marked, and have no form of their own. */
static bool has_faults(const struct athena_message *message) {
    for (size_t i = 0; i < message->changes_len; i++)
        if (message->changes[i].fault)
            return true;
    return false;
}

static void read_from(enum athena_sender from, struct athena_text_view json) {
    struct athena_message message;
    enum athena_code code = decode(&message, from, json);
    bool is_strict = athena_json_check(json, NULL) == ATHENA_OK;
    if (!is_strict && code != ATHENA_NOT_STRICT_JSON)
        abort();
    if (code || has_faults(&message))
        return;
    struct athena_buf once = encode(&message);
    if (decode(&message, from, (struct athena_text_view){once.at, once.len}) != ATHENA_OK)
        abort();
    struct athena_buf twice = encode(&message);
    if (once.len != twice.len || memcmp(once.at, twice.at, once.len) != 0)
        abort();
    athena_buf_fini(&once);
    athena_buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!decoder)
        set_up();
    struct athena_text_view json = {(const char *)data, size};
    read_from(ATHENA_FROM_CLIENT, json);
    read_from(ATHENA_FROM_SERVER, json);
    return 0;
}
