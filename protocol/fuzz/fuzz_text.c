/*
 * The small grammars: identifiers, base64url, URLs. What is accepted survives writing and reading
 * again; an authority is the authority of the URL made from it.
 */
#include "protocol/athena_protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

static void read_base64url(struct athena_text_view text) {
    uint8_t *bytes = malloc(text.len + 1);
    char *again = malloc(text.len + 1);
    size_t len = 0;
    if (athena_base64url_decode(bytes, text.len, &len, text)) {
        require(athena_base64url_len(len) == text.len);
        athena_base64url_encode(again, bytes, len);
        require(memcmp(again, text.at, text.len) == 0);
    }
    free(again);
    free(bytes);
}

static void read_document_id(struct athena_text_view text) {
    uint8_t doc[ATHENA_DOC_BYTES];
    if (athena_doc_parse(doc, text, NULL) != ATHENA_OK)
        return;
    char again[ATHENA_DOC_TEXT_LEN + 1];
    athena_doc_format(again, doc);
    require(text.len == ATHENA_DOC_TEXT_LEN && memcmp(again, text.at, text.len) == 0);
}

/* The text as an actor makes an id exactly when it is one. */
static void read_ids(struct athena_text_view text) {
    static const uint8_t random[ATHENA_UUID_BYTES] = {0};
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    bool is_actor = athena_actor_check(text, NULL) == ATHENA_OK;
    require(is_actor == (athena_change_id_make(id, text, random, NULL) == ATHENA_OK));
    if (is_actor)
        require(athena_change_id_check((struct athena_text_view){id, strlen(id)}, NULL) == 0);
    if (athena_change_id_check(text, NULL) == ATHENA_OK)
        require(text.len >= 39 && text.len <= ATHENA_CHANGE_ID_TEXT_MAX);
    if (athena_cursor_is_valid(text))
        require(text.len >= 1 && text.len <= ATHENA_CURSOR_TEXT_MAX);
}

static void read_url(struct athena_text_view text) {
    struct athena_url url;
    struct athena_error error = {0};
    if (athena_url_parse(&url, text, &error) != ATHENA_OK) {
        require(error.code == ATHENA_BAD_URL && error.text[0] != '\0');
        return;
    }
    char written[2048];
    int len = snprintf(written, sizeof written, "%s://%s%s", url.secure ? "wss" : "ws",
                       url.authority, url.path);
    struct athena_url again;
    require(athena_url_parse(&again, (struct athena_text_view){written, (size_t)len}, NULL) == 0);
    require(strcmp(url.authority, again.authority) == 0 && strcmp(url.path, again.path) == 0);
    require(url.port == again.port && url.secure == again.secure);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct athena_text_view text = {(const char *)data, size};
    read_base64url(text);
    read_document_id(text);
    read_ids(text);
    read_url(text);
    return 0;
}
