#include "reference-server/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { TEXT, LIST, FLAG, NUMBER, LEVEL, FORMAT };

struct option_row {
    const char *name; /* --name, ATHENA_SYNCD_NAME */
    enum kind kind;
    size_t offset;
    uint64_t number; /* default */
    uint64_t min;
    uint64_t max;
    const char *argument;
    const char *help;
};

#define AT(member) offsetof(struct options, member)
#define MIB        (UINT64_C(1024) * 1024)

static const struct option_row rows[] = {
    {"listen", LIST, AT(listen), 0, 0, 0, "ADDRESS",
     "HOST:PORT, [IPV6]:PORT or unix:PATH; port 0 lets the system choose; may be repeated\n"
     "(default 127.0.0.1:8080)"},
    {"data", TEXT, AT(data), 0, 0, 0, "FOLDER",
     "where the store is; created if need be (required)"},
    {"authority", LIST, AT(authority), 0, 0, 0, "NAME",
     "host, or host:port, by which clients dial this server; may be repeated (default: the\n"
     "loopback names with each port)"},
    {"tls-cert", TEXT, AT(tls_cert), 0, 0, 0, "FILE", "certificate chain, PEM; with it: wss"},
    {"tls-key", TEXT, AT(tls_key), 0, 0, 0, "FILE", "private key of the certificate, PEM"},
    {"token-file", TEXT, AT(token_file), 0, 0, 0, "FILE",
     "bearer tokens that admit to the server, one a line"},
    {"public", FLAG, AT(is_public), 0, 0, 0, NULL,
     "listen beyond loopback even without a token file"},
    /* [ASP-LIM-2] [ASP-LIM-4] [ASP-LIM-5] */
    {"limit-message", NUMBER, AT(limit_message), 4 * MIB, 65536, 256 * MIB, "BYTES",
     "JSON bytes of one message"},
    {"limit-message-before-open", NUMBER, AT(limit_message_before_open), 16384, 2048, MIB, "BYTES",
     "the same from a client with no open document"},
    {"limit-change", NUMBER, AT(limit_change), 1114112, 1024, 128 * MIB, "BYTES",
     "bytes of one encrypted change"},
    {"limit-batch", NUMBER, AT(limit_batch), 1000, 1, 10000, "N", "changes in a push, get or page"},
    {"limit-docs", NUMBER, AT(limit_docs), 64, 1, 10000, "N", "documents open on one connection"},
    {"connections-max", NUMBER, AT(connections_max), 16384, 1, 1000000, "N",
     "connections at once; more are refused with 503"},
    {"quota-document-bytes", NUMBER, AT(quota_document_bytes), 0, 0, INT64_MAX, "BYTES",
     "stored for one document; 0: no quota"},
    {"quota-total-bytes", NUMBER, AT(quota_total_bytes), 0, 0, INT64_MAX, "BYTES",
     "stored in all; 0: no quota"},
    {"free-bytes-floor", NUMBER, AT(free_bytes_floor), 64 * MIB, 0, INT64_MAX, "BYTES",
     "free on the file system, beneath which nothing new is stored"},
    {"open-within-ms", NUMBER, AT(open_within_ms), 10000, 100, 3600000, "MS", /* [ASP-ABUSE-4] */
     "to the first document opened, after which a connection is closed"},
    /* [ASP-WS-29] */
    {"idle-ms", NUMBER, AT(idle_ms), 30000, 100, 3600000, "MS", "without progress: ping"},
    /* [ASP-WS-31] */
    {"dead-ms", NUMBER, AT(dead_ms), 90000, 200, 7200000, "MS", "without progress: drop"},
    {"log-level", LEVEL, AT(log_level), LOG_LEVEL_INFO, 0, 0, "LEVEL",
     "error, warn, info or debug"},
    {"log-format", FORMAT, AT(log_format), LOG_FORMAT_TEXT, 0, 0, "FORMAT", "text or json"},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static const char environment_prefix[] = "ATHENA_SYNCD_";

static void environment_name(char name[static 64], const struct option_row *row) {
    snprintf(name, 64, "%s%s", environment_prefix, row->name);
    for (char *at = name; *at; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

/* ---- Values ---- */

/* `value` is NULL when there is none to show. */
static bool wrong(FILE *err, const char *source, const char *value, const char *what) {
    if (value)
        fprintf(err, "athena-syncd: %s: '%s': %s\n", source, value, what);
    else
        fprintf(err, "athena-syncd: %s: %s\n", source, what);
    return false;
}

static bool set_number(struct options *options, const struct option_row *row, const char *value,
                       const char *source, FILE *err) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end || errno)
        return wrong(err, source, value, "not a whole number");
    if (number < row->min || number > row->max) {
        char what[96];
        snprintf(what, sizeof what, "not between %llu and %llu", (unsigned long long)row->min,
                 (unsigned long long)row->max);
        return wrong(err, source, value, what);
    }
    *(uint64_t *)(void *)((char *)options + row->offset) = number;
    return true;
}

static bool add_to_list(struct option_list *list, const char *value, const char *source,
                        FILE *err) {
    if (list->len == OPTION_LIST_MAX)
        return wrong(err, source, value, "given more than 16 times");
    list->at[list->len++] = value;
    return true;
}

static bool set_value(struct options *options, const struct option_row *row, const char *value,
                      const char *source, FILE *err) {
    void *at = (char *)options + row->offset;
    if (*value == '\0')
        return wrong(err, source, NULL, "the value is empty");
    switch (row->kind) {
    case TEXT:
        *(const char **)at = value;
        return true;
    case LIST:
        return add_to_list(at, value, source, err);
    case FLAG:
        *(bool *)at = strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
        return *(bool *)at || strcmp(value, "0") == 0 || strcmp(value, "false") == 0 ||
               wrong(err, source, value, "not 1, 0, true or false");
    case NUMBER:
        return set_number(options, row, value, source, err);
    case LEVEL:
        return log_level_parse(at, value) || wrong(err, source, value, "not a level");
    default:
        return log_format_parse(at, value) || wrong(err, source, value, "not a format");
    }
}

static void set_defaults(struct options *options) {
    *options = (struct options){.command = "serve"};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        void *at = (char *)options + rows[i].offset;
        if (rows[i].kind == NUMBER)
            *(uint64_t *)at = rows[i].number;
        else if (rows[i].kind == LEVEL)
            *(enum log_level *)at = (enum log_level)rows[i].number;
        else if (rows[i].kind == FORMAT)
            *(enum log_format *)at = (enum log_format)rows[i].number;
    }
}

/* ---- Environment ---- */

/* A list in the environment is separated by spaces. */
static bool read_list(struct options *options, const struct option_row *row, const char *value,
                      const char *source, FILE *err) {
    char *copy = strdup(value);
    if (!copy)
        return wrong(err, source, value, "out of memory");
    options->environment[options->environment_len++] = copy;
    if (copy[strspn(copy, " ")] == '\0')
        return wrong(err, source, NULL, "the value is empty");
    for (char *rest = copy, *item; (item = strsep(&rest, " "));)
        if (*item && !set_value(options, row, item, source, err))
            return false;
    return true;
}

static bool read_variable(struct options *options, const struct option_row *row, const char *value,
                          const char *source, FILE *err) {
    return row->kind == LIST ? read_list(options, row, value, source, err)
                             : set_value(options, row, value, source, err);
}

/* A misspelt name would silently leave a limit or a quota away. */
static bool check_names(FILE *err) {
    for (char **entry = environ; *entry; entry++) {
        char source[64];
        bool is_known = strncmp(*entry, environment_prefix, sizeof environment_prefix - 1) != 0;
        snprintf(source, sizeof source, "%.*s", (int)strcspn(*entry, "="), *entry);
        for (size_t i = 0; i < ROW_COUNT && !is_known; i++) {
            char name[64];
            environment_name(name, &rows[i]);
            is_known = strcmp(name, source) == 0;
        }
        if (!is_known)
            return wrong(err, source, NULL, "no such variable; see --help");
    }
    return true;
}

static bool read_environment(struct options *options, FILE *err) {
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char name[64];
        environment_name(name, &rows[i]);
        const char *value = getenv(name);
        if (value && !read_variable(options, &rows[i], value, name, err))
            return false;
    }
    return check_names(err);
}

/* ---- Command line ---- */

static const struct option_row *find_row(const char *name, size_t len) {
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

/* One option at argv[*i], with its value behind '=' or in the next argument. */
static bool read_option(struct options *options, bool *seen, int argc, char **argv, int *i,
                        FILE *err) {
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    const struct option_row *row = find_row(name, equals ? (size_t)(equals - name) : strlen(name));
    if (!row)
        return wrong(err, argv[*i], NULL, "no such option; see --help");
    char source[64];
    snprintf(source, sizeof source, "--%s", row->name);
    const char *value = equals ? equals + 1 : NULL;
    if (!value && row->kind == FLAG)
        value = "1";
    if (!value && *i + 1 < argc)
        value = argv[++*i];
    if (!value)
        return wrong(err, source, NULL, "needs a value");
    struct option_list *list = (struct option_list *)(void *)((char *)options + row->offset);
    if (row->kind == LIST && !seen[row - rows])
        list->len = 0; /* the command line replaces the environment's list */
    seen[row - rows] = true;
    return set_value(options, row, value, source, err);
}

static bool read_command(struct options *options, const char *word, size_t words, FILE *err) {
    bool takes_file =
        strcmp(options->command, "backup") == 0 || strcmp(options->command, "restore") == 0;
    if (words == 0 && (strcmp(word, "serve") == 0 || strcmp(word, "backup") == 0 ||
                       strcmp(word, "restore") == 0 || strcmp(word, "check") == 0)) {
        options->command = word;
        return true;
    }
    if (words == 1 && takes_file) {
        options->file = word;
        return true;
    }
    return wrong(err, "argument", word, "not expected here; see --help");
}

static void show_help(FILE *out) {
    fprintf(out,
            "Usage: athena-syncd [serve] [OPTION]...\n"
            "       athena-syncd backup FILE --data FOLDER    copy the live store\n"
            "       athena-syncd restore FILE --data FOLDER   put a copy in its place\n"
            "       athena-syncd check --data FOLDER          verify every log\n\n"
            "The reference server of the Athena Sync Protocol: stores and relays encrypted\n"
            "changes. Each option can also be set in the environment, as ATHENA_SYNCD_ and its\n"
            "name in capitals with underscores; the command line comes first.\n\n");
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct option_row *row = &rows[i];
        fprintf(out, "  --%s%s%s\n", row->name, row->argument ? " " : "",
                row->argument ? row->argument : "");
        for (const char *line = row->help; line;) {
            size_t len = strcspn(line, "\n");
            fprintf(out, "        %.*s", (int)len, line);
            line = line[len] ? line + len + 1 : NULL;
            if (line)
                fputc('\n', out);
        }
        if (row->kind == NUMBER)
            fprintf(out, " (default %llu)", (unsigned long long)row->number);
        fputc('\n', out);
    }
    fprintf(out, "  --help, --version\n");
}

/* ---- The whole ---- */

static bool check_together(const struct options *options, FILE *err) {
    bool takes_file =
        strcmp(options->command, "backup") == 0 || strcmp(options->command, "restore") == 0;
    if (!options->data)
        return wrong(err, "--data", NULL, "needed: the folder of the store");
    if (takes_file && !options->file)
        return wrong(err, options->command, NULL, "needs a file");
    if (!options->tls_cert != !options->tls_key)
        return wrong(err, options->tls_cert ? "--tls-key" : "--tls-cert", NULL,
                     "needed: certificate and key go together");
    if (options->limit_message < (options->limit_change + 2) / 3 * 4 + 1024)
        return wrong(err, "--limit-message", NULL, "below 4/3 of --limit-change and 1024");
    if (options->limit_message_before_open > options->limit_message)
        return wrong(err, "--limit-message-before-open", NULL, "above --limit-message");
    if (options->dead_ms <= options->idle_ms)
        return wrong(err, "--dead-ms", NULL, "has to be above --idle-ms");
    return true;
}

static bool read_arguments(struct options *options, int argc, char **argv, FILE *err) {
    bool seen[ROW_COUNT] = {false};
    size_t words = 0;
    for (int i = 1; i < argc; i++) {
        bool ok = strncmp(argv[i], "--", 2) == 0 ? read_option(options, seen, argc, argv, &i, err)
                                                 : read_command(options, argv[i], words++, err);
        if (!ok)
            return false;
    }
    return true;
}

enum options_result options_parse(struct options *options, int argc, char **argv, FILE *out,
                                  FILE *err) {
    set_defaults(options);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            show_help(out);
            return OPTIONS_SHOWN;
        }
        if (strcmp(argv[i], "--version") == 0) {
            fprintf(out, "athena-syncd %s (%s)\n", ATHENA_VERSION, ATHENA_SUBPROTOCOL);
            return OPTIONS_SHOWN;
        }
    }
    if (!read_environment(options, err) || !read_arguments(options, argc, argv, err))
        return OPTIONS_WRONG;
    if (options->listen.len == 0)
        options->listen.at[options->listen.len++] = "127.0.0.1:8080";
    return check_together(options, err) ? OPTIONS_OK : OPTIONS_WRONG;
}

void options_fini(struct options *options) {
    for (size_t i = 0; i < options->environment_len; i++)
        free(options->environment[i]);
    options->environment_len = 0;
}
