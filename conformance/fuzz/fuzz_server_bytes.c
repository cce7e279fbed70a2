/*
 * Everything the harness reads from a server, as one stream of bytes: the answer to the handshake
 * (first byte even) or the frames after it (odd), the strict JSON in them, its schema, and what is
 * shown to people.
 */
#include "conformance/endpoint.h"
#include "conformance/json_strict.h"
#include "conformance/match.h"
#include "conformance/printable.h"
#include "conformance/spec.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct spec *spec;

/* What libFuzzer calls LLVMFuzzerInitialize, without its arguments. */
__attribute__((constructor)) static void set_up(void) {
    char *error = NULL;
    const char *source = getenv("ATHENA_SOURCE");
    char *folder = memory_format("%s/spec", source != NULL ? source : ".");
    memory_setup_json();
    spec = spec_load(folder, &error);
    free(folder);
    if (sodium_init() < 0 || spec == NULL)
        abort();
}

static void read_message(const struct bytes *text) {
    size_t at = 0;
    if (json_strict_fault((const char *)text->at, text->len, &at) != NULL)
        return;
    cJSON *message = cJSON_ParseWithLength((const char *)text->at, text->len);
    struct schema_fault fault = {0};
    if (message == NULL)
        abort(); /* what passes the strict reading is JSON */
    spec_check_message(spec, message, &fault);
    schema_fault_fini(&fault);
    char *brief = match_brief(message);
    char *shown = printable_copy(brief);
    free(brief);
    free(shown);
    cJSON_Delete(message);
}

static void shake_hands(struct endpoint *client) {
    struct endpoint *server = endpoint_new_server();
    struct endpoint_event event;
    endpoint_feed(server, endpoint_output(client)->at, endpoint_output(client)->len);
    endpoint_feed(client, endpoint_output(server)->at, endpoint_output(server)->len);
    if (!endpoint_next(client, &event) || event.kind != ENDPOINT_EVENT_UPGRADED)
        abort();
    bytes_fini(&event.bytes);
    endpoint_free(server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct handshake_request request = {"host", "/", HANDSHAKE_SUBPROTOCOL, NULL};
    struct entropy entropy;
    struct endpoint_event event;
    if (size == 0)
        return 0;
    entropy_init(&entropy, 1, "fuzz");
    struct endpoint *client = endpoint_new_client(&entropy, &request);
    if (data[0] % 2 == 1)
        shake_hands(client);
    for (size_t at = 1, step = 1 + data[0] / 2u; at < size; at += step)
        endpoint_feed(client, data + at, size - at < step ? size - at : step);
    while (endpoint_next(client, &event)) {
        if (event.kind == ENDPOINT_EVENT_TEXT)
            read_message(&event.bytes);
        char *shown = printable_copy((const char *)event.bytes.at);
        free(shown);
        bytes_fini(&event.bytes);
    }
    endpoint_free(client);
    return 0;
}
