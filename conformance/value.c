#include "conformance/value.h"

#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/json_write.h"
#include "conformance/match.h"
#include "conformance/memory.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_DEPTH_MAX = 64, ACTOR_BYTES = 16, TEXT_BYTES_MAX = 128 * 1024 * 1024 };

typedef cJSON *operator_function(const struct scope *scope, const cJSON *argument, char **error);

static cJSON *fail(char **error, const char *text) {
    if (*error == NULL)
        *error = memory_copy_text(text);
    return NULL;
}

static cJSON *text_of(const void *bytes, size_t len) {
    char *text = base64url_encode(bytes, len);
    cJSON *value = cJSON_CreateString(text);
    free(text);
    return value;
}

/* ---- Variables ------------------------------------------------------------------------------- */

void value_set(const struct scope *scope, const char *name, cJSON *value) {
    cJSON_DeleteItemFromObjectCaseSensitive(scope->variables, name);
    cJSON_AddItemToObject(scope->variables, name, value);
}

static const cJSON *step_into(const cJSON *value, const char *step) {
    char *end = NULL;
    if (!cJSON_IsArray(value))
        return cJSON_GetObjectItemCaseSensitive(value, step);
    long index = strtol(step, &end, 10);
    if (*step == '\0' || *end != '\0')
        return NULL;
    return cJSON_GetArrayItem(value, (int)(index < 0 ? cJSON_GetArraySize(value) + index : index));
}

const cJSON *value_find(const struct scope *scope, const char *path) {
    const cJSON *at = scope->variables;
    while (at != NULL) {
        size_t len = strcspn(path, ".");
        char *step = strndup(path, len);
        at = step_into(at, step);
        free(step);
        if (path[len] == '\0')
            return at;
        path += len + 1;
    }
    return NULL;
}

/* ---- Fresh things ---------------------------------------------------------------------------- */

cJSON *value_new_document(const struct scope *scope) {
    uint8_t secret[DOCUMENT_SECRET_BYTES];
    struct document document;
    entropy_fill(scope->entropy, secret, sizeof secret);
    if (scope->is_lasting)
        randombytes_buf(secret, sizeof secret);
    document_derive(&document, secret);
    cJSON *value = cJSON_CreateObject();
    cJSON_AddItemToObject(value, "id", text_of(document.id, sizeof document.id));
    cJSON_AddItemToObject(value, "secret", text_of(secret, sizeof secret));
    return value;
}

char *value_new_change_id(const struct scope *scope, const char *actor) {
    uint8_t raw[ACTOR_BYTES + 16];
    char hex[2 * sizeof raw + 1];
    entropy_fill(scope->entropy, raw, sizeof raw);
    uint8_t *uuid = raw + ACTOR_BYTES;
    uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x40); /* version 4 */
    uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80); /* RFC 9562 variant */
    sodium_bin2hex(hex, sizeof hex, raw, sizeof raw);
    const char *digits = hex + (ptrdiff_t)2 * ACTOR_BYTES;
    return memory_format("%.*s:%.8s-%.4s-%.4s-%.4s-%.12s", actor != NULL ? 128 : 2 * ACTOR_BYTES,
                         actor != NULL ? actor : hex, digits, digits + 8, digits + 12, digits + 16,
                         digits + 20);
}

/* ---- Changes --------------------------------------------------------------------------------- */

static bool is_change(const cJSON *value) {
    return cJSON_IsString(cJSON_GetObjectItemCaseSensitive(value, "id")) &&
           cJSON_IsString(cJSON_GetObjectItemCaseSensitive(value, "data"));
}

static bool flatten_into(cJSON *out, const cJSON *value, unsigned depth) {
    const cJSON *item;
    if (is_change(value))
        return cJSON_AddItemToArray(out, cJSON_Duplicate(value, true));
    if (!cJSON_IsArray(value) || depth > VALUE_DEPTH_MAX)
        return false;
    cJSON_ArrayForEach(item, value) {
        if (!flatten_into(out, item, depth + 1))
            return false;
    }
    return true;
}

cJSON *value_flatten_changes(const cJSON *value, char **error) {
    cJSON *out = cJSON_CreateArray();
    if (flatten_into(out, value, 0))
        return out;
    cJSON_Delete(out);
    return fail(error, "changes (objects with id and data) were expected");
}

/* {"$changes": [...]}: one flat array of them. */
static cJSON *compute_changes(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    return value_flatten_changes(argument, error);
}

/* {"$ids": [...]}: the ids of changes. */
static cJSON *compute_ids(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    cJSON *changes = value_flatten_changes(argument, error);
    if (changes == NULL)
        return NULL;
    cJSON *ids = cJSON_CreateArray();
    const cJSON *change;
    cJSON_ArrayForEach(change, changes)
        cJSON_AddItemToArray(ids, cJSON_Duplicate(cJSON_GetObjectItem(change, "id"), true));
    cJSON_Delete(changes);
    return ids;
}

/* {"$digest": [...]}: the digest of a set of changes, each counted once. */
static cJSON *compute_digest(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    uint8_t digest[DOCUMENT_DIGEST_BYTES] = {0};
    cJSON *changes = value_flatten_changes(argument, error);
    if (changes == NULL)
        return NULL;
    const cJSON *change;
    cJSON_ArrayForEach(change, changes) {
        struct bytes data = {0};
        if (base64url_decode(cJSON_GetObjectItem(change, "data")->valuestring, &data))
            document_digest_add(digest, cJSON_GetObjectItem(change, "id")->valuestring, data.at,
                                data.len);
        else
            fail(error, "$digest: the data of a change is not base64url");
        bytes_fini(&data);
    }
    cJSON_Delete(changes);
    return *error == NULL ? text_of(digest, sizeof digest) : NULL;
}

/* ---- Proofs ---------------------------------------------------------------------------------- */

static const char *member_text(const cJSON *object, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static bool load_document(const cJSON *value, struct document *document) {
    uint8_t secret[DOCUMENT_SECRET_BYTES];
    const char *text = member_text(value, "secret");
    if (text == NULL || !base64url_decode_exactly(text, secret, sizeof secret))
        return false;
    document_derive(document, secret);
    return true;
}

/* {"$proof": {"of": "$doc", "on": "$alice"}}; "authority", "challenge" and "key" (a document that
 * signs in place of the right one) override what would be right; "r" is the R of one by the neutral
 * element, in one of its encodings. */
static cJSON *compute_proof(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    struct document named;
    struct document signer;
    const cJSON *of = cJSON_GetObjectItemCaseSensitive(argument, "of");
    const cJSON *on = cJSON_GetObjectItemCaseSensitive(argument, "on");
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(argument, "key");
    const char *authority = member_text(argument, "authority");
    const char *challenge = member_text(argument, "challenge");
    uint8_t proof[DOCUMENT_PROOF_BYTES];
    uint8_t neutral[32];
    const char *r = member_text(argument, "r");
    struct bytes challenge_bytes = {0};
    authority = authority != NULL ? authority : member_text(on, "authority");
    challenge = challenge != NULL ? challenge : member_text(on, "challenge");
    if (!load_document(of, &named) || !load_document(key != NULL ? key : of, &signer))
        return fail(error, "$proof: \"of\" (and \"key\") must be documents of this scenario");
    if (authority == NULL || challenge == NULL || !base64url_decode(challenge, &challenge_bytes))
        return fail(error, "$proof: \"on\" must be a connection that has had its welcome");
    if (r == NULL)
        document_prove(&signer, challenge_bytes.at, challenge_bytes.len, named.id, authority,
                       proof);
    else if (base64url_decode_exactly(r, neutral, sizeof neutral))
        document_prove_by_neutral(&signer, challenge_bytes.at, challenge_bytes.len, authority,
                                  neutral, proof);
    else
        fail(error, "$proof: \"r\" must be 32 bytes");
    bytes_fini(&challenge_bytes);
    return *error == NULL ? text_of(proof, sizeof proof) : NULL;
}

/* ---- Numbers, arrays, texts ------------------------------------------------------------------ */

/* {"$count": [...]}: elements of an array, or bytes of a text. */
static cJSON *compute_count(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    (void)error;
    return cJSON_CreateNumber(cJSON_IsString(argument) ? (double)strlen(argument->valuestring)
                                                       : cJSON_GetArraySize(argument));
}

/* {"$sum": [1, 2, -1]}. */
static cJSON *compute_sum(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    double sum = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, argument) {
        if (!cJSON_IsNumber(item))
            return fail(error, "$sum: numbers were expected");
        sum += item->valuedouble;
    }
    return cJSON_CreateNumber(sum);
}

/* {"$difference": [5, 2]}. */
static cJSON *compute_difference(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    const cJSON *from = cJSON_GetArrayItem(argument, 0);
    const cJSON *less = cJSON_GetArrayItem(argument, 1);
    if (!cJSON_IsNumber(from) || !cJSON_IsNumber(less))
        return fail(error, "$difference: two numbers were expected");
    return cJSON_CreateNumber(from->valuedouble - less->valuedouble);
}

/* {"$quotient": [7, 2]}: how often the second goes into the first. */
static cJSON *compute_quotient(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    const cJSON *whole = cJSON_GetArrayItem(argument, 0);
    const cJSON *part = cJSON_GetArrayItem(argument, 1);
    if (!cJSON_IsNumber(whole) || !cJSON_IsNumber(part) || part->valuedouble == 0)
        return fail(error, "$quotient: two numbers were expected, the second not 0");
    return cJSON_CreateNumber((double)(int64_t)(whole->valuedouble / part->valuedouble));
}

/* {"$min": [1, 2]}. */
static cJSON *compute_min(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    const cJSON *least = cJSON_GetArrayItem(argument, 0);
    const cJSON *item;
    cJSON_ArrayForEach(item, argument) {
        if (!cJSON_IsNumber(item))
            return fail(error, "$min: numbers were expected");
        least = item->valuedouble < least->valuedouble ? item : least;
    }
    return least != NULL ? cJSON_Duplicate(least, true) : fail(error, "$min: no number");
}

/* {"$slice": [array, from, to]}: from inclusive, to exclusive; "to" may be left out. */
static cJSON *compute_slice(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    const cJSON *array = cJSON_GetArrayItem(argument, 0);
    const cJSON *from = cJSON_GetArrayItem(argument, 1);
    const cJSON *to = cJSON_GetArrayItem(argument, 2);
    if (!cJSON_IsArray(array) || !cJSON_IsNumber(from) || (to != NULL && !cJSON_IsNumber(to)))
        return fail(error, "$slice: [array, from, to] was expected");
    cJSON *out = cJSON_CreateArray();
    const cJSON *item;
    int index = 0;
    cJSON_ArrayForEach(item, array) {
        if (index >= from->valueint && (to == NULL || index < to->valueint))
            cJSON_AddItemToArray(out, cJSON_Duplicate(item, true));
        index++;
    }
    return out;
}

static void flatten_all(cJSON *out, const cJSON *value) {
    const cJSON *item;
    if (!cJSON_IsArray(value))
        cJSON_AddItemToArray(out, cJSON_Duplicate(value, true));
    else
        cJSON_ArrayForEach(item, value) flatten_all(out, item);
}

/* {"$flat": ["$so_far", "$one_more"]}: one array of all that is in arrays within it. */
static cJSON *compute_flat(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    (void)error;
    cJSON *out = cJSON_CreateArray();
    flatten_all(out, argument);
    return out;
}

/* {"$reverse": [...]}. */
static cJSON *compute_reverse(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    (void)error;
    cJSON *out = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, argument) cJSON_InsertItemInArray(out, 0, cJSON_Duplicate(item, true));
    return out;
}

static void append_value(struct bytes *out, const cJSON *value) {
    char *text = cJSON_IsString(value) ? memory_copy_text(value->valuestring) : json_write(value);
    bytes_append(out, text, strlen(text));
    free(text);
}

static cJSON *text_from_bytes(struct bytes *bytes) {
    bytes_append(bytes, "", 1);
    cJSON *text = cJSON_CreateString((char *)bytes->at);
    bytes_fini(bytes);
    return text;
}

/* {"$text": [...]}: texts end to end; anything else as compact JSON. */
static cJSON *compute_text(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    (void)error;
    struct bytes out = {0};
    const cJSON *item;
    if (!cJSON_IsArray(argument))
        append_value(&out, argument);
    else
        cJSON_ArrayForEach(item, argument) append_value(&out, item);
    return text_from_bytes(&out);
}

/* {"$upper": "text"}: its ASCII letters in upper case. */
static cJSON *compute_upper(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    if (!cJSON_IsString(argument))
        return fail(error, "$upper: a text was expected");
    cJSON *text = cJSON_Duplicate(argument, true);
    for (char *at = text->valuestring; *at != '\0'; at++)
        *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
    return text;
}

/* {"$repeat": ["x", 100]}. */
static cJSON *compute_repeat(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    const char *piece = cJSON_GetStringValue(cJSON_GetArrayItem(argument, 0));
    const cJSON *times = cJSON_GetArrayItem(argument, 1);
    struct bytes out = {0};
    if (piece == NULL || !cJSON_IsNumber(times) || times->valuedouble < 0 ||
        (double)strlen(piece) * times->valuedouble > TEXT_BYTES_MAX)
        return fail(error, "$repeat: [text, times] was expected, of at most 128 MiB in all");
    for (int i = 0; i < times->valueint; i++)
        bytes_append(&out, piece, strlen(piece));
    return text_from_bytes(&out);
}

/* {"$random": 32}: that many fresh bytes, in base64url. */
static cJSON *compute_random(const struct scope *scope, const cJSON *argument, char **error) {
    if (!cJSON_IsNumber(argument) || argument->valueint < 0 || argument->valueint > TEXT_BYTES_MAX)
        return fail(error, "$random: a number of bytes was expected");
    size_t len = (size_t)argument->valueint;
    uint8_t *bytes = memory_take(len);
    entropy_fill(scope->entropy, bytes, len);
    cJSON *text = text_of(bytes, len);
    free(bytes);
    return text;
}

/* {"$change_id": {"actor": "ab"}}: a fresh id; {} takes a fresh actor as well. */
static cJSON *compute_change_id(const struct scope *scope, const cJSON *argument, char **error) {
    (void)error;
    char *id = value_new_change_id(scope, member_text(argument, "actor"));
    cJSON *text = cJSON_CreateString(id);
    free(id);
    return text;
}

/* {"$hex": "00ff"}: these bytes, in base64url. */
static cJSON *compute_hex(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    const char *hex = cJSON_GetStringValue(argument);
    size_t len = 0;
    if (hex == NULL)
        return fail(error, "$hex: a text was expected");
    uint8_t *bytes = memory_take(strlen(hex) / 2);
    cJSON *text = NULL;
    if (sodium_hex2bin(bytes, strlen(hex) / 2, hex, strlen(hex), NULL, &len, NULL) == 0 &&
        len * 2 == strlen(hex))
        text = text_of(bytes, len);
    free(bytes);
    return text != NULL ? text : fail(error, "$hex: an even number of hexadecimal digits");
}

/* {"$tamper": ["...", 25]}: the same bytes but for the one at the index, counted from the end when
 * below 0. */
static cJSON *compute_tamper(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    struct bytes bytes = {0};
    const char *text = cJSON_GetStringValue(cJSON_GetArrayItem(argument, 0));
    const cJSON *index = cJSON_GetArrayItem(argument, 1);
    int at = cJSON_IsNumber(index) ? index->valueint : 0;
    bool ok = text != NULL && base64url_decode(text, &bytes);
    at += at < 0 ? (int)bytes.len : 0;
    if (!ok || at < 0 || (size_t)at >= bytes.len) {
        *error = memory_copy_text("$tamper: bytes in base64url and an index were expected");
        bytes_fini(&bytes);
        return NULL;
    }
    bytes.at[at] ^= 0x20;
    char *tampered = base64url_encode(bytes.at, bytes.len);
    cJSON *value = cJSON_CreateString(tampered);
    bytes_fini(&bytes);
    free(tampered);
    return value;
}

/* {"$flip": "..."}: the base64url text of the same bytes with the last bit changed; of a text that
 * is none, as a cursor may be, the same with another last character. */
static cJSON *compute_flip(const struct scope *scope, const cJSON *argument, char **error) {
    (void)scope;
    struct bytes bytes = {0};
    if (!cJSON_IsString(argument) || *argument->valuestring == '\0')
        return fail(error, "$flip: a text was expected");
    if (base64url_decode(argument->valuestring, &bytes)) {
        bytes.at[bytes.len - 1] ^= 1;
        cJSON *flipped = text_of(bytes.at, bytes.len);
        bytes_fini(&bytes);
        return flipped;
    }
    cJSON *text = cJSON_Duplicate(argument, true);
    char *last = text->valuestring + strlen(text->valuestring) - 1;
    *last = *last == 'A' ? 'B' : 'A';
    return text;
}

/* {"$plus_order": "..."}: a proof whose S has become S + L, which loose verifiers take as well. */
static cJSON *compute_plus_order(const struct scope *scope, const cJSON *argument, char **error) {
    static const uint8_t order[32] = {
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
        0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10}; /* L of RFC 8032, little-endian */
    (void)scope;
    struct bytes bytes = {0};
    cJSON *text = NULL;
    if (cJSON_IsString(argument) && base64url_decode(argument->valuestring, &bytes) &&
        bytes.len == crypto_sign_BYTES) {
        sodium_add(bytes.at + sizeof order, order, sizeof order);
        text = text_of(bytes.at, bytes.len);
    }
    bytes_fini(&bytes);
    return text != NULL ? text : fail(error, "$plus_order: a proof was expected");
}

static const struct {
    const char *name;
    operator_function *compute;
} OPERATORS[] = {{"$changes", compute_changes},
                 {"$ids", compute_ids},
                 {"$digest", compute_digest},
                 {"$proof", compute_proof},
                 {"$count", compute_count},
                 {"$sum", compute_sum},
                 {"$difference", compute_difference},
                 {"$quotient", compute_quotient},
                 {"$min", compute_min},
                 {"$slice", compute_slice},
                 {"$flat", compute_flat},
                 {"$reverse", compute_reverse},
                 {"$text", compute_text},
                 {"$upper", compute_upper},
                 {"$repeat", compute_repeat},
                 {"$random", compute_random},
                 {"$hex", compute_hex},
                 {"$change_id", compute_change_id},
                 {"$flip", compute_flip},
                 {"$tamper", compute_tamper},
                 {"$plus_order", compute_plus_order}};

const char *value_name(size_t index) {
    return index < sizeof OPERATORS / sizeof *OPERATORS ? OPERATORS[index].name : NULL;
}

/* ---- Evaluation ------------------------------------------------------------------------------ */

const cJSON *value_operator(const cJSON *value) {
    const cJSON *first = cJSON_IsObject(value) ? value->child : NULL;
    return first != NULL && first->string[0] == '$' ? first : NULL;
}

static cJSON *evaluate(const struct scope *scope, const cJSON *expression, unsigned depth,
                       char **error);

static cJSON *evaluate_text(const struct scope *scope, const cJSON *expression, char **error) {
    const char *text = expression->valuestring;
    if (text[0] != '$')
        return cJSON_Duplicate(expression, true);
    if (text[1] == '$')
        return cJSON_CreateString(text + 1);
    const cJSON *found = value_find(scope, text + 1);
    if (found == NULL && *error == NULL)
        *error = memory_format("there is no variable \"%s\"", text);
    return found != NULL ? cJSON_Duplicate(found, true) : NULL;
}

static cJSON *evaluate_operation(const struct scope *scope, const cJSON *operation, unsigned depth,
                                 char **error) {
    for (size_t i = 0; i < sizeof OPERATORS / sizeof *OPERATORS; i++) {
        if (strcmp(OPERATORS[i].name, operation->string) != 0)
            continue;
        cJSON *argument = evaluate(scope, operation, depth + 1, error);
        cJSON *value = argument != NULL ? OPERATORS[i].compute(scope, argument, error) : NULL;
        cJSON_Delete(argument);
        return value;
    }
    if (*error == NULL)
        *error = memory_format("unknown operator \"%s\"", operation->string);
    return NULL;
}

static cJSON *evaluate_members(const struct scope *scope, const cJSON *expression, unsigned depth,
                               char **error) {
    bool array = cJSON_IsArray(expression);
    cJSON *out = array ? cJSON_CreateArray() : cJSON_CreateObject();
    const cJSON *item;
    cJSON_ArrayForEach(item, expression) {
        cJSON *value = evaluate(scope, item, depth + 1, error);
        if (value == NULL) {
            cJSON_Delete(out);
            return NULL;
        }
        if (array)
            cJSON_AddItemToArray(out, value);
        else
            cJSON_AddItemToObject(out, item->string, value);
    }
    return out;
}

static cJSON *evaluate(const struct scope *scope, const cJSON *expression, unsigned depth,
                       char **error) {
    if (depth > VALUE_DEPTH_MAX)
        return fail(error, "nested too deep");
    const cJSON *operation = value_operator(expression);
    if (operation != NULL && !match_knows(operation->string))
        return evaluate_operation(scope, operation, depth, error);
    if (cJSON_IsObject(expression) || cJSON_IsArray(expression))
        return evaluate_members(scope, expression, depth, error);
    if (cJSON_IsString(expression))
        return evaluate_text(scope, expression, error);
    return cJSON_Duplicate(expression, true);
}

cJSON *value_evaluate(const struct scope *scope, const cJSON *expression, char **error) {
    *error = NULL;
    return evaluate(scope, expression, 0, error);
}
