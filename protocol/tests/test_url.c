/*
 * URLs beside the vectors of fixtures/vectors/authority.json [ASP-WS-37] [ASP-WS-38] [ASP-WS-39]:
 * all parts of what is taken, the reason of what is refused, each byte in each part, the bounds.
 */
#include "protocol/tests/support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text that may hold NULs. */
#define TEXT(literal)                                                                              \
    { literal, sizeof(literal) - 1 }

/* Parses a copy that ends where it does, for the sanitizers to watch. */
static enum athena_code parse(struct athena_url *url, struct athena_text_view text,
                              struct athena_error *error) {
    char *copy = malloc(text.len ? text.len : 1);
    memcpy(copy, text.at, text.len);
    memset(url, 'z', sizeof *url);
    *error = (struct athena_error){0};
    enum athena_code code = athena_url_parse(url, (struct athena_text_view){copy, text.len}, error);
    free(copy);
    if (code && (code != ATHENA_BAD_URL || error->code != code || !error->text[0]))
        ck_abort_msg("%.*s: refused without a reason", (int)text.len, text.at);
    bool is_untouched = url->port == ('z' << 8 | 'z') && url->host[0] == 'z' &&
                        url->authority[0] == 'z' && url->path[0] == 'z';
    if (code && !is_untouched)
        ck_abort_msg("%.*s: refused, but the output is written", (int)text.len, text.at);
    return code;
}

/* ---- Parts ---- */

static const struct {
    const char *text;
    bool secure;
    uint16_t port;
    const char *host;
    const char *authority;
    const char *path;
} parts[] = {
    {"ws://a", false, 80, "a", "a", "/"},
    {"wss://a", true, 443, "a", "a", "/"},
    {"wSs://A.B.", true, 443, "a.b.", "a.b.", "/"},
    {"ws://a:443/x", false, 443, "a", "a:443", "/x"},
    {"wss://a:80?x", true, 80, "a", "a:80", "/?x"},
    {"wss://a:?/x:1@b", true, 443, "a", "a", "/?/x:1@b"},
    {"ws://a:0/", false, 0, "a", "a:0", "/"},
    {"ws://a:65535/", false, 65535, "a", "a:65535", "/"},
    {"ws://a:00080/", false, 80, "a", "a", "/"},
    {"ws://a//b//", false, 80, "a", "a", "//b//"},
    {"ws://a/%00/..;'~", false, 80, "a", "a", "/%00/..;'~"},
    {"ws://1:1", false, 1, "0.0.0.1", "0.0.0.1:1", "/"},
    {"ws://[::1]", false, 80, "::1", "[::1]", "/"},
    {"ws://[0:0::0]:80?", false, 80, "::", "[::]", "/?"},
    {"wss://[2001:DB8::F]:7700/x", true, 7700, "2001:db8::f", "[2001:db8::f]:7700", "/x"},
    {"ws://[1:2:3:4:5:6:7::]/", false, 80, "1:2:3:4:5:6:7:0", "[1:2:3:4:5:6:7:0]", "/"},
    {"ws://[::2:3:4:5:6:7:8]/", false, 80, "0:2:3:4:5:6:7:8", "[0:2:3:4:5:6:7:8]", "/"},
    {"ws://XN--80AK6AA92E.com:0080/", false, 80, "xn--80ak6aa92e.com", "xn--80ak6aa92e.com", "/"},
    {"ws://%61.%41:81", false, 81, "a.a", "a.a:81", "/"},
    {"ws://.", false, 80, ".", ".", "/"},
};
enum { PARTS = sizeof parts / sizeof parts[0] };

START_TEST(a_url_is_taken_apart) {
    struct athena_url url;
    struct athena_error error;
    ck_assert_msg(parse(&url, view_text(parts[_i].text), &error) == ATHENA_OK, "%s: %s",
                  parts[_i].text, error.text);
    ck_assert(url.secure == parts[_i].secure);
    ck_assert_uint_eq(url.port, parts[_i].port);
    ck_assert_str_eq(url.host, parts[_i].host);
    ck_assert_str_eq(url.authority, parts[_i].authority);
    ck_assert_str_eq(url.path, parts[_i].path);
}
END_TEST

/* ---- Refusals ---- */

#define SCHEME    "the URL does not begin with ws:// or wss://"
#define USER      "the URL holds a user name or password"
#define FRAGMENT  "the URL holds a fragment"
#define NO_URL    "the URL holds a character that no URL has"
#define EMPTY     "the host is empty"
#define IPV4      "the host is not an IPv4 address, though it ends in a number"
#define IPV6      "the host is not an IPv6 address"
#define CHARACTER "the host holds a character that no host has"
#define NOT_ASCII "the host is not ASCII: give its ASCII form (xn--...)"
#define PORT      "the port is not a number"
#define PORT_HIGH "the port is above 65535"
#define PATH      "the path holds a character that has to be percent-encoded"

static const struct {
    struct athena_text_view text;
    const char *reason;
} refused[] = {
    {TEXT(""), SCHEME},
    {TEXT("w"), SCHEME},
    {TEXT("ws"), SCHEME},
    {TEXT("ws:/"), SCHEME},
    {TEXT("wss:"), SCHEME},
    {TEXT("wss:/"), SCHEME},
    {TEXT("wss:///"), EMPTY},
    {TEXT(" ws://a"), SCHEME},
    {TEXT("http://a"), SCHEME},
    {TEXT("wsss://a"), SCHEME},
    {TEXT("\xd7s://a"), SCHEME}, /* 'W' with its high bit */
    {TEXT("ws://"), EMPTY},
    {TEXT("ws://:80"), EMPTY},
    {TEXT("ws://?x"), EMPTY},
    {TEXT("ws://user@a"), USER},
    {TEXT("ws://user:pass@a:80/"), USER},
    {TEXT("ws://:pass@a"), USER},
    {TEXT("ws://@a"), USER},
    {TEXT("ws://a@"), USER},
    {TEXT("ws://a@[::1]"), USER},
    {TEXT("ws://a%40b"), CHARACTER},
    {TEXT("ws://a#"), FRAGMENT},
    {TEXT("ws://a/b?c#d"), FRAGMENT},
    {TEXT("ws://#a"), FRAGMENT},
    {TEXT("ws://a\0"), NO_URL},
    {TEXT("ws://a/\0b"), NO_URL},
    {TEXT("ws:\\\\a"), SCHEME},
    {TEXT("ws://a\\b"), NO_URL},
    {TEXT("ws://a/\\b"), NO_URL},
    {TEXT("ws://a:65536"), PORT_HIGH},
    {TEXT("ws://a:4294967376"), PORT_HIGH}, /* 80 modulo 2^32 */
    {TEXT("ws://a:18446744073709551696"), PORT_HIGH},
    {TEXT("ws://a:-80"), PORT},
    {TEXT("ws://a:+80"), PORT},
    {TEXT("ws://a:80 "), PORT},
    {TEXT("ws://a:8O"), PORT},
    {TEXT("ws://a:80:80"), PORT},
    {TEXT("ws://a:\xd9\xa1"), PORT}, /* a digit, but an Arabic one */
    {TEXT("ws://256.1.1.1"), IPV4},
    {TEXT("ws://1.2.3.4.5"), IPV4},
    {TEXT("ws://1.2.65536"), IPV4},
    {TEXT("ws://1.16777216"), IPV4},
    {TEXT("ws://4294967296"), IPV4},
    {TEXT("ws://18446744073709551617"), IPV4}, /* 1 modulo 2^64 */
    {TEXT("ws://0x10000000000000001"), IPV4},
    {TEXT("ws://a.1"), IPV4},
    {TEXT("ws://a.1."), IPV4},
    {TEXT("ws://1..2"), IPV4},
    {TEXT("ws://.1"), IPV4},
    {TEXT("ws://08"), IPV4},
    {TEXT("ws://0x.0xg.1"), IPV4},
    {TEXT("ws://-1.1"), IPV4},
    {TEXT("ws://%31.%32.%33.256"), IPV4},
    {TEXT("ws://["), IPV6},
    {TEXT("ws://[]"), IPV6},
    {TEXT("ws://[:]"), IPV6},
    {TEXT("ws://[::1"), IPV6},
    {TEXT("ws://[::1]x"), IPV6},
    {TEXT("ws://[::1]%3a80"), IPV6},
    {TEXT("ws://[::1]]"), IPV6},
    {TEXT("ws://[[::1]]"), IPV6},
    {TEXT("ws://[fe80::1%25eth0]"), IPV6}, /* a zone says nothing beyond one machine */
    {TEXT("ws://[fe80::1%eth0]"), IPV6},
    {TEXT("ws://[v1.a]"), IPV6},
    {TEXT("ws://[1.2.3.4]"), IPV6},
    {TEXT("ws://[::1.2.3.4.]"), IPV6},
    {TEXT("ws://[::.2.3.4]"), IPV6},
    {TEXT("ws://[::1.2..4]"), IPV6},
    {TEXT("ws://[::0x1.2.3.4]"), IPV6},
    {TEXT("ws://[::4294967297.2.3.4]"), IPV6},
    {TEXT("ws://[1::2::3]"), IPV6},
    {TEXT("ws://[::1:]"), IPV6},
    {TEXT("ws://[::00001]"), IPV6},
    {TEXT("ws://[::1 ]"), IPV6},
    {TEXT("ws://::1"), EMPTY},
    {TEXT("ws://a]"), CHARACTER},
    {TEXT("ws://a%"), CHARACTER},
    {TEXT("ws://a%6"), CHARACTER},
    {TEXT("ws://a%6g"), CHARACTER},
    {TEXT("ws://a%25"), CHARACTER},
    {TEXT("ws://a%00"), CHARACTER},
    {TEXT("ws://a%2fb"), CHARACTER},
    {TEXT("ws://a\tb"), CHARACTER},
    {TEXT("ws://b\xc3\xbc"), NOT_ASCII},
    {TEXT("ws://b%C3%BC"), NOT_ASCII},
    {TEXT("ws://b\xff"), NOT_ASCII},
    {TEXT("ws://a/ b"), PATH},
    {TEXT("ws://a/b\r\nHost: c"), PATH},
    {TEXT("ws://a?b\x7f"), PATH},
    {TEXT("ws://a/\xc3\xbc"), PATH},
};
enum { REFUSED = sizeof refused / sizeof refused[0] };

START_TEST(a_refusal_has_its_reason) {
    struct athena_url url;
    struct athena_error error;
    const char *text = refused[_i].text.at;
    ck_assert_msg(parse(&url, refused[_i].text, &error) == ATHENA_BAD_URL, "%s is taken", text);
    ck_assert_msg(strcmp(error.text, refused[_i].reason) == 0, "%s: %s", text, error.text);
}
END_TEST

/* ---- Each byte in each part ---- */

static bool takes_byte(const char *before, int byte, const char *behind) {
    char text[64];
    size_t len = strlen(before);
    memcpy(text, before, len + 1);
    text[len++] = (char)byte;
    memcpy(text + len, behind, strlen(behind) + 1);
    struct athena_url url;
    struct athena_error error;
    return parse(&url, (struct athena_text_view){text, len + strlen(behind)}, &error) == ATHENA_OK;
}

static bool is_one_of(int byte, const char *set) {
    return byte && strchr(set, byte) != NULL;
}

/* The URL standard's forbidden domain code points, and what ends a host. */
START_TEST(a_host_has_no_forbidden_byte) {
    for (int byte = 0; byte < 256; byte++) {
        bool is_forbidden =
            byte <= 0x20 || byte >= 0x7f || is_one_of(byte, "#%<>@[\\]^|") || byte == ':';
        ck_assert_msg(takes_byte("ws://a", byte, "z") == !is_forbidden, "byte 0x%02x", byte);
        char encoded[32];
        snprintf(encoded, sizeof encoded, "ws://a%%%02X", byte);
        is_forbidden = byte <= 0x20 || byte >= 0x7f || is_one_of(byte, "#%/:<>?@[\\]^|");
        ck_assert_msg(takes_byte(encoded, 'z', "") == !is_forbidden, "byte %%%02x", byte);
    }
}
END_TEST

START_TEST(a_port_has_digits_and_a_path_printable_bytes) {
    for (int byte = 0; byte < 256; byte++) {
        bool is_digit = byte >= '0' && byte <= '9';
        ck_assert_msg(takes_byte("ws://a:1", byte, "2") == (is_digit || is_one_of(byte, "/?")),
                      "byte 0x%02x", byte);
        bool is_printable = byte > 0x20 && byte < 0x7f && !is_one_of(byte, "#\\");
        ck_assert_msg(takes_byte("ws://a/", byte, "b") == is_printable, "byte 0x%02x", byte);
        ck_assert_msg(takes_byte("ws://a?", byte, "b") == is_printable, "byte 0x%02x", byte);
    }
}
END_TEST

/* ---- Bounds ---- */

START_TEST(each_port_is_written_unless_it_is_the_default) {
    for (unsigned port = 0; port <= UINT16_MAX; port++) {
        char text[32];
        struct athena_url url;
        int len = snprintf(text, sizeof text, "%s://a:%u", port % 2 ? "wss" : "ws", port);
        struct athena_text_view view = {text, (size_t)len};
        if (athena_url_parse(&url, view, NULL) != ATHENA_OK || url.port != port)
            ck_abort_msg("port %u", port);
        bool is_default = port == (port % 2 ? 443 : 80);
        if (strcmp(url.authority, is_default ? "a" : strrchr(text, '/') + 1) != 0)
            ck_abort_msg("port %u gives %s", port, url.authority);
    }
}
END_TEST

static enum athena_code parse_long(const char *scheme, size_t host_len, size_t path_len,
                                   struct athena_url *url, struct athena_error *error) {
    struct athena_buf text = {0};
    athena_buf_append(&text, scheme, strlen(scheme));
    for (size_t i = 0; i < host_len; i++)
        athena_buf_append(&text, i % 2 ? "." : "a", 1);
    athena_buf_append(&text, ":65535", 6);
    for (size_t i = 0; i < path_len; i++)
        athena_buf_append(&text, i ? "b" : "/", 1);
    enum athena_code code = parse(url, (struct athena_text_view){text.at, text.len}, error);
    athena_buf_fini(&text);
    return code;
}

START_TEST(host_and_path_have_their_longest) {
    struct athena_url url;
    struct athena_error error;
    ck_assert_int_eq(parse_long("wss://", 253, 1023, &url, &error), ATHENA_OK);
    ck_assert_uint_eq(strlen(url.host), 253);
    ck_assert_uint_eq(strlen(url.authority), 259);
    ck_assert_uint_eq(strlen(url.path), 1023);
    ck_assert_int_eq(parse_long("wss://", 254, 1, &url, &error), ATHENA_BAD_URL);
    ck_assert_str_eq(error.text, "the host is longer than 253 characters");
    ck_assert_int_eq(parse_long("ws://", 1, 1024, &url, &error), ATHENA_BAD_URL);
    ck_assert_str_eq(error.text, "the path is longer than 1023 characters");
    ck_assert_int_eq(parse_long("ws://", 1000000, 1, &url, &error), ATHENA_BAD_URL);
    ck_assert_int_eq(parse_long("ws://", 1, 1000000, &url, &error), ATHENA_BAD_URL);
}
END_TEST

/* A host that differs in case, encoding or notation gives one authority; reading it again, too. */
START_TEST(an_authority_is_its_own_authority) {
    for (size_t i = 0; i < PARTS; i++) {
        char text[512];
        struct athena_url url;
        struct athena_error error;
        snprintf(text, sizeof text, "%s://%s", parts[i].secure ? "wss" : "ws", parts[i].authority);
        ck_assert_int_eq(parse(&url, view_text(text), &error), ATHENA_OK);
        ck_assert_str_eq(url.authority, parts[i].authority);
    }
}
END_TEST

int main(void) {
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, a_url_is_taken_apart, 0, PARTS);
    tcase_add_loop_test(all, a_refusal_has_its_reason, 0, REFUSED);
    tcase_add_test(all, a_host_has_no_forbidden_byte);
    tcase_add_test(all, a_port_has_digits_and_a_path_printable_bytes);
    tcase_add_test(all, each_port_is_written_unless_it_is_the_default);
    tcase_add_test(all, host_and_path_have_their_longest);
    tcase_add_test(all, an_authority_is_its_own_authority);
    Suite *suite = suite_create("url");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
