/* Options: defaults, bounds, the environment, and what goes together. */
#include "reference-server/options.h"
#include "reference-server/tests/support_main.h"

#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 64, ARGUMENT_BYTES_MAX = 64 };

static struct options options;
static char *said; /* on either stream */

/* Parses "--data x" and these arguments. */
static enum options_result parse(const char *const arguments[]) {
    static char program[] = "athena-syncd";
    static char data[] = "--data=x";
    char *argv[ARGUMENTS_MAX] = {program, data};
    int argc = 2;
    static char texts[ARGUMENTS_MAX][ARGUMENT_BYTES_MAX]; /* options borrow from them */
    for (; *arguments; arguments++, argc++) {
        snprintf(texts[argc], sizeof texts[argc], "%s", *arguments);
        argv[argc] = texts[argc];
    }
    size_t len;
    free(said);
    FILE *stream = open_memstream(&said, &len);
    ck_assert_ptr_nonnull(stream);
    enum options_result result = options_parse(&options, argc, argv, stream, stream);
    ck_assert_int_eq(fclose(stream), 0);
    return result;
}

#define parse_all(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void expect_wrong(enum options_result result, const char *says) {
    ck_assert_int_eq(result, OPTIONS_WRONG);
    ck_assert_msg(strstr(said, says), "it does not say \"%s\": %s", says, said);
    ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
    options_fini(&options);
}

/* The defaults are those of the specification: [ASP-LIM-5] [ASP-ABUSE-4] [ASP-WS-29] [ASP-WS-31] */
START_TEST(has_defaults) {
    ck_assert_int_eq(parse((const char *const[]){NULL}), OPTIONS_OK);
    ck_assert_str_eq(options.command, "serve");
    ck_assert_str_eq(options.data, "x");
    ck_assert_uint_eq(options.listen.len, 1);
    ck_assert_str_eq(options.listen.at[0], "127.0.0.1:8080");
    ck_assert_uint_eq(options.authority.len, 0);
    ck_assert_ptr_null(options.token_file);
    ck_assert_ptr_null(options.tls_cert);
    ck_assert(!options.is_public);
    ck_assert_uint_eq(options.limit_message, 4194304);
    ck_assert_uint_eq(options.limit_message_before_open, 16384);
    ck_assert_uint_eq(options.limit_change, 1114112);
    ck_assert_uint_eq(options.limit_batch, 1000);
    ck_assert_uint_eq(options.limit_docs, 64);
    ck_assert_uint_eq(options.quota_document_bytes, 0);
    ck_assert_uint_eq(options.open_within_ms, 10000);
    ck_assert_uint_eq(options.idle_ms, 30000);
    ck_assert_uint_eq(options.dead_ms, 90000);
    ck_assert_int_eq(options.log_level, LOG_LEVEL_INFO);
    ck_assert_int_eq(options.log_format, LOG_FORMAT_TEXT);
    options_fini(&options);
}
END_TEST

START_TEST(takes_every_option) {
    ck_assert_int_eq(parse_all("--listen", "127.0.0.1:1", "--listen=[::1]:2", "--authority", "a",
                               "--authority", "b:3", "--tls-cert", "c", "--tls-key=k",
                               "--token-file", "t", "--public", "--limit-message", "65536",
                               "--limit-message-before-open", "2048", "--limit-change", "1024",
                               "--limit-batch", "1", "--limit-docs", "10000", "--connections-max",
                               "5", "--quota-document-bytes", "6", "--quota-total-bytes",
                               "9223372036854775807", "--free-bytes-floor", "0", "--open-within-ms",
                               "100", "--idle-ms", "101", "--dead-ms", "200", "--log-level",
                               "debug", "--log-format", "json"),
                     OPTIONS_OK);
    ck_assert_uint_eq(options.listen.len, 2);
    ck_assert_str_eq(options.listen.at[1], "[::1]:2");
    ck_assert_uint_eq(options.authority.len, 2);
    ck_assert_str_eq(options.authority.at[0], "a");
    ck_assert_str_eq(options.tls_cert, "c");
    ck_assert_str_eq(options.tls_key, "k");
    ck_assert_str_eq(options.token_file, "t");
    ck_assert(options.is_public);
    ck_assert_uint_eq(options.limit_message, 65536);
    ck_assert_uint_eq(options.limit_message_before_open, 2048);
    ck_assert_uint_eq(options.limit_change, 1024);
    ck_assert_uint_eq(options.limit_batch, 1);
    ck_assert_uint_eq(options.limit_docs, 10000);
    ck_assert_uint_eq(options.connections_max, 5);
    ck_assert_uint_eq(options.quota_document_bytes, 6);
    ck_assert_uint_eq(options.quota_total_bytes, INT64_MAX);
    ck_assert_uint_eq(options.free_bytes_floor, 0);
    ck_assert_uint_eq(options.open_within_ms, 100);
    ck_assert_uint_eq(options.idle_ms, 101);
    ck_assert_uint_eq(options.dead_ms, 200);
    ck_assert_int_eq(options.log_level, LOG_LEVEL_DEBUG);
    ck_assert_int_eq(options.log_format, LOG_FORMAT_JSON);
    options_fini(&options);
}
END_TEST

START_TEST(lets_the_last_one_win) {
    ck_assert_int_eq(parse_all("--limit-docs", "1", "--data", "y", "--limit-docs", "2", "--public",
                               "--public=false"),
                     OPTIONS_OK);
    ck_assert_uint_eq(options.limit_docs, 2);
    ck_assert_str_eq(options.data, "y");
    ck_assert(!options.is_public);
    options_fini(&options);
}
END_TEST

START_TEST(takes_commands) {
    ck_assert_int_eq(parse_all("backup", "file"), OPTIONS_OK);
    ck_assert_str_eq(options.command, "backup");
    ck_assert_str_eq(options.file, "file");
    options_fini(&options);
    ck_assert_int_eq(parse_all("restore", "--log-level", "error", "file"), OPTIONS_OK);
    ck_assert_str_eq(options.file, "file");
    options_fini(&options);
    ck_assert_int_eq(parse_all("check"), OPTIONS_OK);
    options_fini(&options);
    ck_assert_int_eq(parse_all("serve"), OPTIONS_OK);
    options_fini(&options);
    expect_wrong(parse_all("serve", "file"), "argument: 'file': not expected here");
    expect_wrong(parse_all("backup", "file", "file"), "not expected here");
    expect_wrong(parse_all("file"), "not expected here");
    expect_wrong(parse_all(""), "argument: '': not expected here");
    expect_wrong(parse_all("restore"), "restore: needs a file");
}
END_TEST

/* [ASP-LIM-4] */
START_TEST(bounds_numbers) {
    expect_wrong(parse_all("--limit-batch", "10001"), "'10001': not between 1 and 10000");
    expect_wrong(parse_all("--limit-message", "65535"), "not between 65536 and");
    expect_wrong(parse_all("--limit-change", "1023"), "not between 1024 and");
    expect_wrong(parse_all("--quota-total-bytes", "9223372036854775808"), "not between");
    expect_wrong(parse_all("--limit-batch", "18446744073709551617"), "not a whole number");
    expect_wrong(parse_all("--limit-batch", " 1"), "not a whole number");
    expect_wrong(parse_all("--limit-batch", "0x10"), "not a whole number");
    expect_wrong(parse_all("--limit-batch", "1.0"), "not a whole number");
    expect_wrong(parse_all("--limit-batch="), "--limit-batch: the value is empty");
}
END_TEST

/* [ASP-LIM-2]: a change of full size fits a message, to the byte; and section 13. */
START_TEST(keeps_limits_consistent) {
    ck_assert_int_eq(parse_all("--limit-change", "1024", "--limit-message", "65536",
                               "--limit-message-before-open", "65536"),
                     OPTIONS_OK);
    options_fini(&options);
    expect_wrong(parse_all("--limit-change", "1024", "--limit-message", "65536",
                           "--limit-message-before-open", "65537"),
                 "--limit-message-before-open: above --limit-message");
    ck_assert_int_eq(parse_all("--limit-change", "60000", "--limit-message", "81024"), OPTIONS_OK);
    options_fini(&options);
    expect_wrong(parse_all("--limit-change", "60001", "--limit-message", "81024"),
                 "--limit-message: below 4/3 of --limit-change and 1024");
    ck_assert_int_eq(parse_all("--idle-ms", "1000", "--dead-ms", "1001"), OPTIONS_OK);
    options_fini(&options);
    expect_wrong(parse_all("--idle-ms", "90000"), "--dead-ms: has to be above --idle-ms");
}
END_TEST

START_TEST(bounds_lists) {
    const char *arguments[ARGUMENTS_MAX] = {NULL};
    for (size_t i = 0; i < OPTION_LIST_MAX; i++)
        arguments[i] = "--listen=127.0.0.1:0";
    ck_assert_int_eq(parse(arguments), OPTIONS_OK);
    ck_assert_uint_eq(options.listen.len, OPTION_LIST_MAX);
    options_fini(&options);
    arguments[OPTION_LIST_MAX] = "--listen=127.0.0.1:0";
    expect_wrong(parse(arguments), "given more than 16 times");
}
END_TEST

START_TEST(reads_the_environment) {
    setenv("ATHENA_SYNCD_LIMIT_DOCS", "3", 1);
    setenv("ATHENA_SYNCD_LIMIT_BATCH", "4", 1);
    setenv("ATHENA_SYNCD_LISTEN", " 127.0.0.1:1  127.0.0.1:2 ", 1);
    setenv("ATHENA_SYNCD_AUTHORITY", "one two", 1);
    setenv("ATHENA_SYNCD_LOG_LEVEL", "warn", 1);
    setenv("ATHENA_SYNCD_PUBLIC", "true", 1);
    ck_assert_int_eq(parse_all("--limit-batch", "5", "--authority", "three"), OPTIONS_OK);
    ck_assert_uint_eq(options.limit_docs, 3);
    ck_assert_uint_eq(options.limit_batch, 5);
    ck_assert_uint_eq(options.listen.len, 2);
    ck_assert_str_eq(options.listen.at[0], "127.0.0.1:1");
    ck_assert_str_eq(options.listen.at[1], "127.0.0.1:2");
    ck_assert_uint_eq(options.authority.len, 1);
    ck_assert_str_eq(options.authority.at[0], "three");
    ck_assert_int_eq(options.log_level, LOG_LEVEL_WARN);
    ck_assert(options.is_public);
    options_fini(&options);

    setenv("ATHENA_SYNCD_PUBLIC", "yes", 1);
    expect_wrong(parse_all("--public"), "ATHENA_SYNCD_PUBLIC: 'yes': not 1, 0, true or false");
    setenv("ATHENA_SYNCD_PUBLIC", "0", 1);
    setenv("ATHENA_SYNCD_IDLE_MS", "soon", 1);
    expect_wrong(parse_all("--idle-ms", "1000"), "ATHENA_SYNCD_IDLE_MS: 'soon': not a whole");
}
END_TEST

/* Nothing that an operator wrote is passed over. */
START_TEST(refuses_variables_that_say_nothing) {
    setenv("ATHENA_SYNCD_QUOTA_TOTAL_BYTE", "1000", 1);
    expect_wrong(parse_all("--public"), "ATHENA_SYNCD_QUOTA_TOTAL_BYTE: no such variable");
    unsetenv("ATHENA_SYNCD_QUOTA_TOTAL_BYTE");
    setenv("ATHENA_SYNCD", "x", 1);
    setenv("ATHENA_BUILD", "x", 1);
    ck_assert_int_eq(parse_all("--public"), OPTIONS_OK);
    options_fini(&options);
    static const char *const names[] = {"LISTEN", "AUTHORITY", "DATA", "PUBLIC", "LIMIT_DOCS"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "ATHENA_SYNCD_%s", names[i]);
        setenv(name, "", 1);
        expect_wrong(parse_all("--listen", "127.0.0.1:0"), ": the value is empty");
        unsetenv(name);
    }
    setenv("ATHENA_SYNCD_LISTEN", "  ", 1);
    expect_wrong(parse_all("--listen", "127.0.0.1:0"), "ATHENA_SYNCD_LISTEN: the value is empty");
}
END_TEST

/* The help names each option once, with what it takes. */
START_TEST(explains_itself) {
    static const char *const names[] = {
        "listen ADDRESS",
        "data FOLDER",
        "authority NAME",
        "tls-cert FILE",
        "tls-key FILE",
        "token-file FILE",
        "public\n",
        "limit-docs N",
        "limit-message BYTES",
        "limit-message-before-open BYTES",
        "limit-change BYTES",
        "limit-batch N",
        "connections-max N",
        "quota-document-bytes BYTES",
        "quota-total-bytes BYTES",
        "free-bytes-floor BYTES",
        "open-within-ms MS",
        "idle-ms MS",
        "dead-ms MS",
        "log-level LEVEL",
        "log-format FORMAT",
        "help, --version",
    };
    ck_assert_int_eq(parse_all("--nonsense", "--help"), OPTIONS_SHOWN);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char line[64];
        snprintf(line, sizeof line, "\n  --%s", names[i]);
        const char *at = strstr(said, line);
        ck_assert_msg(at && !strstr(at + 1, line), "not once: %s", names[i]);
    }
    for (const char *line = said, *end; (end = strchr(line, '\n')); line = end + 1)
        ck_assert_int_le(end - line, 100);
    options_fini(&options);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("options");
    support_add(suite, "defaults", has_defaults);
    support_add(suite, "all", takes_every_option);
    support_add(suite, "last", lets_the_last_one_win);
    support_add(suite, "commands", takes_commands);
    support_add(suite, "numbers", bounds_numbers);
    support_add(suite, "together", keeps_limits_consistent);
    support_add(suite, "lists", bounds_lists);
    support_add(suite, "environment", reads_the_environment);
    support_add(suite, "odd variables", refuses_variables_that_say_nothing);
    support_add(suite, "help", explains_itself);
    return support_main(suite);
}
