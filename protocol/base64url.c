/* Base64url without padding, canonical [ASP-JSON-11] [ASP-JSON-12]. Table driven, not constant in
 * time: what travels in messages is public, and the document secret is encoded once in its life. */
#include "protocol/athena_protocol.h"

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Value of a character plus one, so that everything not named is 0: not of the alphabet. */
static const int8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};

size_t athena_base64url_len(size_t bytes_len) {
    return bytes_len / 3 * 4 + (bytes_len % 3 ? bytes_len % 3 + 1 : 0);
}

void athena_base64url_encode(char *text, const uint8_t *bytes, size_t bytes_len) {
    size_t i = 0;
    for (; i + 3 <= bytes_len; i += 3, text += 4) {
        uint32_t group = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        text[0] = alphabet[group >> 18];
        text[1] = alphabet[group >> 12 & 63];
        text[2] = alphabet[group >> 6 & 63];
        text[3] = alphabet[group & 63];
    }
    size_t left = bytes_len - i;
    if (left == 0)
        return;
    uint32_t group = (uint32_t)bytes[i] << 16 | (left == 2 ? (uint32_t)bytes[i + 1] << 8 : 0);
    text[0] = alphabet[group >> 18];
    text[1] = alphabet[group >> 12 & 63];
    if (left == 2)
        text[2] = alphabet[group >> 6 & 63];
}

/* The value of four characters, or -1 when one is not of the alphabet. */
static int32_t group_of(const uint8_t *text) {
    int32_t a = values[text[0]] - 1;
    int32_t b = values[text[1]] - 1;
    int32_t c = values[text[2]] - 1;
    int32_t d = values[text[3]] - 1;
    if ((a | b | c | d) < 0)
        return -1;
    return a << 18 | b << 12 | c << 6 | d;
}

bool athena_base64url_decode(uint8_t *bytes, size_t capacity, size_t *bytes_len,
                             struct athena_text_view text) {
    size_t tail = text.len % 4;
    size_t len = text.len / 4 * 3 + (tail ? tail - 1 : 0);
    if (tail == 1 || len > capacity)
        return false;
    const uint8_t *in = (const uint8_t *)text.at;
    const uint8_t *end = in + (text.len - tail);
    for (; in < end; in += 4, bytes += 3) {
        int32_t group = group_of(in);
        if (group < 0)
            return false;
        bytes[0] = (uint8_t)(group >> 16);
        bytes[1] = (uint8_t)(group >> 8);
        bytes[2] = (uint8_t)group;
    }
    if (tail) {
        uint8_t last[4] = {in[0], in[1], tail == 3 ? in[2] : 'A', 'A'};
        int32_t group = group_of(last);
        if (group < 0 || group & (tail == 3 ? 0xff : 0xffff))
            return false;
        bytes[0] = (uint8_t)(group >> 16);
        if (tail == 3)
            bytes[1] = (uint8_t)(group >> 8);
    }
    *bytes_len = len;
    return true;
}
