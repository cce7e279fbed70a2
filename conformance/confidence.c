#include "conformance/confidence.h"

#include "conformance/base64url.h"
#include "conformance/duty.h"
#include "conformance/message.h"

#include <string.h>

enum {
    SECRETS_MAX = 40,    /* of a kind */
    BEGINNING_BYTES = 33 /* of an envelope, should a log cut it off */
};

void confidence_fini(struct confidence *confidence) {
    canary_fini(&confidence->tokens);
    canary_fini(&confidence->sealed);
    canary_fini(&confidence->ids);
}

static void add_text(struct canary *canary, const char *what, const char *text) {
    if (canary->len < SECRETS_MAX)
        canary_add(canary, what, text, strlen(text));
}

void confidence_add_token(struct confidence *confidence, const char *token) {
    add_text(&confidence->tokens, "a token", token);
}

static void add_bytes(struct confidence *confidence, const char *what, const char *text) {
    struct bytes bytes = {0};
    if (confidence->sealed.len < SECRETS_MAX && base64url_decode(text, &bytes))
        canary_add(&confidence->sealed, what, bytes.at,
                   bytes.len < BEGINNING_BYTES ? bytes.len : BEGINNING_BYTES);
    bytes_fini(&bytes);
}

void confidence_add(struct confidence *confidence, const cJSON *message) {
    const cJSON *change;
    add_bytes(confidence, "a challenge", message_text(message, "challenge"));
    add_bytes(confidence, "a proof", message_text(message, "proof"));
    cJSON_ArrayForEach(change, cJSON_GetObjectItemCaseSensitive(message, "changes")) {
        add_bytes(confidence, "an envelope", message_text(change, "data"));
        add_text(&confidence->ids, "the id of a change", message_text(change, "id"));
    }
}

const char *confidence_find(const struct confidence *confidence, const char *text,
                            const char **requirement) {
    const struct {
        const struct canary *canary;
        const char *requirement;
    } kinds[] = {{&confidence->tokens, DUTY("ASP-WS-17")},
                 {&confidence->sealed, DUTY("ASP-SEC-4")},
                 {&confidence->ids, DUTY("ASP-PRIV-2")}};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && found == NULL; i++) {
        *requirement = kinds[i].requirement;
        found = canary_find(kinds[i].canary, text, strlen(text));
    }
    return found;
}
