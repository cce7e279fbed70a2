#include "conformance/options.h"

#include "conformance/memory.h"
#include "conformance/plan.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TIMEOUT_SECONDS_MAX = 3600,
    JOBS_MAX = 64,
    JOBS_A_CPU = 4,
    ROUNDS_A_CPU = 2,
    REPEAT_MAX = 1000000,
    STORM_CLIENTS_DEFAULT = 8,
    STORM_DOCUMENTS_DEFAULT = 2,
    STORM_OPERATIONS_DEFAULT = 20000,
    STORM_SECONDS_MAX = 1000000,
};
static const double OPERATIONS_MAX = 1e15;

/* ---- What there is --------------------------------------------------------------------------- */

enum role { SERVER = 1, CLIENT = 2, STORM = 4 };
static const char *const ROLES[] = {"server", "client", "storm"}; /* in the order of their bits */

enum kind { TEXT, FLAG, COUNT, SECONDS, OPERATIONS, SEED, HEADER, TOKEN, REPORT, WITHOUT };

struct row {
    const char *name;
    enum kind kind;
    size_t offset; /* of what it sets; not of the last four kinds */
    int most;      /* of COUNT and SECONDS */
    int roles;
    const char *argument;
    const char *help;
};

#define AT(member) offsetof(struct options, member)
enum { PLAYS = SERVER | CLIENT, DIALS = SERVER | STORM, ALL = SERVER | CLIENT | STORM };

/* What begins here in the help. */
#define HEADING(text)                                                                              \
    { NULL, FLAG, 0, 0, ALL, NULL, text }

static const struct row ROWS[] = {
    HEADING("What is tested"),
    {"url", TEXT, AT(target.url), 0, DIALS, "URL",
     "where the server is: ws://host:port/path, or wss://"},
    {"exec", TEXT, AT(target.command), 0, DIALS, "COMMAND",
     "start it, by the shell: {port} becomes a free port, {dir} a fresh data\n"
     "folder, {quota} the bytes a document may have (0: any),\n"
     "{open_within_ms}, {idle_ms} and {dead_ms} times to bear a client,\n"
     "{limit_change} limits.change; [--token {token_file}] stays out unless\n"
     "a token, in that file, is to be demanded. With --url, {port} may stand\n"
     "in the URL. Scenarios that kill or restart the server need --exec,\n"
     "some others a place for the setting they are about"},
    {"driver", TEXT, AT(driver), 0, CLIENT, "COMMAND",
     "start a driver, as spec/driver.md describes it: {dir} becomes its\n"
     "folder, {key} the document secret, {url} the server's URL,\n"
     "{patience_ms} how long it bears a silent server (0: its own times)"},
    {"unix", TEXT, AT(target.unix_path), 0, DIALS, "PATH",
     "connect to this socket; {dir} may stand in it. --url then only gives\n"
     "the name and path (ws://localhost/)"},
    {"authority", TEXT, AT(target.authority), 0, DIALS, "NAME",
     "the name to sign for, when it is not that of the URL"},
    {"ca", TEXT, AT(target.tls.ca_file), 0, DIALS, "FILE",
     "certificates to trust, PEM, in place of the system's"},
    {"insecure", FLAG, AT(target.tls.insecure), 0, DIALS, NULL, "take any certificate"},
    {"header", HEADER, 0, 0, DIALS, "'NAME: VALUE'",
     "a further line for each handshake; may be repeated"},
    {"token", TOKEN, 0, 0, DIALS, "TOKEN", "the same as --header 'Authorization: Bearer TOKEN'"},

    HEADING("What to run"),
    {"family", TEXT, AT(family), 0, PLAYS, "NAME", "only scenarios of one family"},
    {"requirement", TEXT, AT(requirement), 0, PLAYS, "ID",
     "only scenarios that cite it, for example ASP-PUSH-3"},
    {"profile", TEXT, AT(profile), 0, PLAYS, "NAME",
     "only scenarios of one profile: core, or an extension"},
    {"without", WITHOUT, 0, 0, PLAYS, "WHAT",
     "leave out what cannot be tested here: scenarios that need exec, or a\n"
     "setting (quota, idle_ms, ..., token_file, patience_ms); may be\n"
     "repeated"},
    {"list", FLAG, AT(list), 0, PLAYS, NULL, "print what would run, and end"},
    {"bail", FLAG, AT(bail), 0, PLAYS, NULL, "end at the first scenario that is not green"},
    {"clients", COUNT, AT(clients), PLAN_CLIENTS_MAX, STORM, "N", "in each round (8)"},
    {"documents", COUNT, AT(documents), PLAN_DOCUMENTS_MAX, STORM, "M", "that they write (2)"},
    {"ops", OPERATIONS, AT(operations), 0, STORM, "K",
     "operations of clients, in all rounds (20000, or any with --time)"},
    {"time", SECONDS, AT(time_ms), STORM_SECONDS_MAX, STORM, "SECONDS", "end by then"},
    {"timeout", SECONDS, AT(timeout_ms), TIMEOUT_SECONDS_MAX, ALL, "SECONDS",
     "how long nothing may come that is waited for (10)"},
    {"jobs", COUNT, AT(jobs), JOBS_MAX, PLAYS, "N",
     "scenarios side by side (four for each processor)"},
    {"jobs", COUNT, AT(jobs), JOBS_MAX, STORM, "N", "rounds side by side (two for each processor)"},
    {"seed", SEED, AT(seed), 0, PLAYS, "N", "repeat the generated values of an earlier run"},
    {"seed", SEED, AT(seed), 0, STORM, "S", "the same rounds as an earlier storm"},
    {"repeat", COUNT, AT(repeat), REPEAT_MAX, PLAYS, "N",
     "all of it N times, each with the next seed"},
    {"expect-failures", TEXT, AT(expect_failures), 0, PLAYS, "FILE",
     "failures that are known, a line each: SCENARIO REQUIREMENT WHY. One\n"
     "that does not happen is a failure"},
    {"pause-before", COUNT, AT(pause_before), INT_MAX, PLAYS, "LINE",
     "wait for the Enter key before the step in that line of the one\n"
     "scenario that is named: time to attach a debugger"},

    HEADING("What to write"),
    {"report", REPORT, 0, 0, PLAYS, "FORMAT=FILE",
     "tap, junit, json or html, to a file; may be repeated"},
    {"output", TEXT, AT(output), 0, STORM, "FILE", "where to write the scenario (storm-SEED.json)"},

    HEADING("Where things are"),
    {"scenarios", TEXT, AT(scenarios), 0, ALL, "FOLDER", "scenario files and their schema"},
    {"spec", TEXT, AT(spec), 0, ALL, "FOLDER", "the specification and its message schemas"},
    {"help", FLAG, AT(help), 0, ALL, NULL, "print this, and end"},
};
enum { ROWS_LEN = sizeof ROWS / sizeof *ROWS };

static int role_bit(const char *role) {
    size_t i = 0;
    while (i + 1 < sizeof ROLES / sizeof *ROLES && strcmp(ROLES[i], role) != 0)
        i++;
    return 1 << i;
}

/* ---- Help ------------------------------------------------------------------------------------ */

static const char *introduction(int role) {
    switch (role) {
    case SERVER:
        return "usage: athena-conform server (--url URL | --exec COMMAND) [OPTION]... "
               "[SCENARIO]...\n"
               "\n"
               "Tells whether a server keeps the Athena Sync Protocol. SCENARIO is a name such as\n"
               "live/relay, a pattern such as 'reconnect/*', or the path of a scenario file; none\n"
               "means all.\n";
    case CLIENT:
        return "usage: athena-conform client --driver COMMAND [OPTION]... [SCENARIO]...\n"
               "\n"
               "Tells whether a client keeps the Athena Sync Protocol, by being the server it "
               "talks\n"
               "to. SCENARIO is a name such as resume/first-sync, a pattern such as 'resume/*', "
               "or\n"
               "the path of a scenario file; none means all.\n";
    default:
        return "usage: athena-conform storm (--url URL | --exec COMMAND) [OPTION]...\n"
               "\n"
               "Random clients do everything that a client may do, in rounds, while their history "
               "is\n"
               "checked: what was acknowledged stays, in one order, and everyone comes to hold "
               "the\n"
               "same. With --exec the server is killed, restarted and put back to older data, "
               "too.\n"
               "What breaks is shrunk to a scenario file that shows it.\n";
    }
}

static void print_row(const struct row *row) {
    enum { COLUMN = 24 };
    int printed = printf("  --%s%s%s", row->name, row->argument != NULL ? " " : "",
                         row->argument != NULL ? row->argument : "");
    for (const char *line = row->help; line != NULL;) {
        size_t len = strcspn(line, "\n");
        printf("%*s%.*s\n", printed < COLUMN ? COLUMN - printed : 2, "", (int)len, line);
        line = line[len] != '\0' ? line + len + 1 : NULL;
        printed = 0;
    }
}

static void print_help(int role) {
    fputs(introduction(role), stdout);
    for (size_t i = 0; i < ROWS_LEN; i++) {
        if (ROWS[i].name == NULL)
            printf("\n%s\n", ROWS[i].help);
        else if ((ROWS[i].roles & role) != 0)
            print_row(&ROWS[i]);
    }
    puts(role == STORM
             ? "\nExit status: 0 no violation, 1 a violation, 2 wrong usage, 3 a fault of the "
               "harness."
             : "\nExit status: 0 conformant: all that was selected was played and held, but for\n"
               "extensions that are not offered. 1 not conformant, 2 wrong usage, 3 no verdict:\n"
               "something could not be tested, or the harness or the set-up is at fault.");
}

/* ---- Values ---------------------------------------------------------------------------------- */

static enum options_result wrong(const char *format, const char *text) {
    fputs("athena-conform: ", stderr);
    fprintf(stderr, format, text);
    fputs("\nTry 'athena-conform server --help', also client or storm.\n", stderr);
    return OPTIONS_WRONG;
}

/* `what` the value is not. */
static enum options_result wrong_value(const struct row *row, const char *text, const char *what) {
    char *whole = memory_format("--%s %s: %s was expected", row->name, text, what);
    enum options_result result = wrong("%s", whole);
    free(whole);
    return result;
}

static bool read_number(const char *text, double least, double most, double *number) {
    char *end = NULL;
    errno = 0;
    *number = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0' && *number >= least && *number <= most;
}

static bool read_seed(const char *text, uint64_t *seed) {
    char *end = NULL;
    errno = 0;
    *seed = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *text != '-';
}

static void add_header(struct options *options, const char *name, const char *value) {
    char *longer =
        memory_format("%s%s%s\r\n", options->headers != NULL ? options->headers : "", name, value);
    free(options->headers);
    options->headers = longer;
    options->target.headers = longer;
}

static enum options_result read_header(struct options *options, const char *text) {
    if (strchr(text, ':') == NULL || strpbrk(text, "\r\n") != NULL)
        return wrong("--header '%s' is not NAME: VALUE", text);
    if (options->header_lines_len == OPTIONS_HEADERS_MAX)
        return wrong("%s", "more than 16 headers given");
    options->header_lines[options->header_lines_len++] = text;
    add_header(options, text, "");
    return OPTIONS_RUN;
}

static enum options_result read_report(struct options *options, const char *text) {
    size_t len = strcspn(text, "=");
    const struct format *format = format_find(text, len);
    if (format == NULL || text[len] == '\0' || text[len + 1] == '\0')
        return wrong("--report %s is not FORMAT=FILE with a format of tap, junit, json and html",
                     text);
    if (options->reports_len == OPTIONS_REPORTS_MAX)
        return wrong("%s", "more than 8 reports asked for");
    options->keeps_transcripts |= format_shows_transcripts(format);
    options->reports[options->reports_len].format = format;
    options->reports[options->reports_len++].file = text + len + 1;
    return OPTIONS_RUN;
}

static enum options_result read_without(struct options *options, const char *text) {
    static const char *const others[] = {"exec", "token_file", "patience_ms"};
    bool is_known = false;
    for (size_t i = 0; i < TARGET_SETTINGS; i++)
        is_known = is_known || strcmp(target_setting_names[i], text) == 0;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        is_known = is_known || strcmp(others[i], text) == 0;
    if (!is_known)
        return wrong("--without %s: nothing is called so that a scenario may need", text);
    if (!options_leave_out(options, text))
        options->without[options->without_len++] = text;
    return OPTIONS_RUN;
}

bool options_select_all(const struct options *options) {
    return options->selectors_len == 0 && options->family == NULL && options->requirement == NULL &&
           options->profile == NULL;
}

bool options_leave_out(const struct options *options, const char *need) {
    for (size_t i = 0; i < options->without_len; i++)
        if (strcmp(options->without[i], need) == 0)
            return true;
    return false;
}

static enum options_result read_value(struct options *options, const struct row *row,
                                      const char *text) {
    void *at = (char *)options + row->offset;
    double number = 0;
    if (text == NULL) {
        *(bool *)at = true; /* a FLAG: the others have a value */
        return OPTIONS_RUN;
    }
    switch (row->kind) {
    case TEXT:
        *(const char **)at = text;
        return OPTIONS_RUN;
    case COUNT:
        if (!read_number(text, 1, row->most, &number) || number != (int)number)
            return wrong_value(row, text, "a whole number from 1 on");
        *(int *)at = (int)number;
        return OPTIONS_RUN;
    case SECONDS:
        if (!read_number(text, 0.001, row->most, &number))
            return wrong_value(row, text, "a number of seconds");
        *(int *)at = (int)(number * 1000);
        return OPTIONS_RUN;
    case OPERATIONS:
        if (!read_number(text, 1, OPERATIONS_MAX, &number))
            return wrong_value(row, text, "a number of operations");
        *(uint64_t *)at = (uint64_t)number;
        return OPTIONS_RUN;
    case SEED:
        options->seed_given = true;
        return read_seed(text, at)
                   ? OPTIONS_RUN
                   : wrong_value(row, text, "a number from 0 to 18446744073709551615");
    case HEADER:
        return read_header(options, text);
    case TOKEN:
        options->has_token = true;
        add_header(options, "Authorization: Bearer ", text);
        return OPTIONS_RUN;
    case REPORT:
        return read_report(options, text);
    default:
        return read_without(options, text);
    }
}

/* ---- The command line ------------------------------------------------------------------------ */

/* The role's own; else one of another role. */
static const struct row *find_row(const char *name, size_t len, int role) {
    const struct row *found = NULL;
    for (size_t i = 0; i < ROWS_LEN; i++) {
        const struct row *row = &ROWS[i];
        if (row->name != NULL && strlen(row->name) == len && memcmp(row->name, name, len) == 0 &&
            (found == NULL || (row->roles & role) != 0))
            found = row;
    }
    return found;
}

static enum options_result wrong_role(const struct row *row) {
    char *list = memory_copy_text("");
    for (size_t i = 0; i < sizeof ROLES / sizeof *ROLES; i++) {
        if ((row->roles & 1 << i) == 0)
            continue;
        char *longer =
            memory_format("%s%s'athena-conform %s'", list, *list != '\0' ? ", " : "", ROLES[i]);
        free(list);
        list = longer;
    }
    char *whole = memory_format("--%s is for %s", row->name, list);
    enum options_result result = wrong("%s", whole);
    free(list);
    free(whole);
    return result;
}

/* The option at argv[*i], with its value behind '=' or in the next argument. */
static enum options_result read_option(struct options *options, int argc, char **argv, int *i) {
    const char *name = argv[*i] + 2;
    size_t len = strcspn(name, "=");
    const struct row *row = find_row(name, len, role_bit(options->role));
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    if (row == NULL || (value != NULL && row->argument == NULL))
        return wrong(row == NULL ? "'%s': no such option" : "'%s': it takes no value", argv[*i]);
    if ((row->roles & role_bit(options->role)) == 0)
        return wrong_role(row);
    if (value == NULL && row->argument != NULL && *i + 1 == argc)
        return wrong("'%s': it needs a value", argv[*i]);
    if (value == NULL && row->argument != NULL)
        value = argv[++*i];
    return read_value(options, row, value);
}

static enum options_result read_all(struct options *options, int argc, char **argv) {
    bool goes_on = true; /* with options */
    enum options_result result = OPTIONS_RUN;
    for (int i = 1; i < argc && result == OPTIONS_RUN; i++) {
        if (goes_on && strcmp(argv[i], "--") == 0)
            goes_on = false;
        else if (goes_on && strncmp(argv[i], "--", 2) == 0)
            result = read_option(options, argc, argv, &i);
        else if (goes_on && strcmp(argv[i], "-h") == 0)
            options->help = true;
        else if (goes_on && argv[i][0] == '-')
            result = wrong("'%s': no such option", argv[i]);
        else if (options->selectors_len == OPTIONS_SELECTORS_MAX)
            result = wrong("%s", "more than 64 scenarios named");
        else
            options->selectors[options->selectors_len++] = argv[i];
    }
    return result;
}

static void set_defaults(struct options *options, const char *role) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    *options = (struct options){.role = role, .timeout_ms = OPTIONS_TIMEOUT_MS, .repeat = 1};
    options->jobs =
        (int)(cpus < 1 ? 1 : cpus) * (role_bit(role) == STORM ? ROUNDS_A_CPU : JOBS_A_CPU);
    if (options->jobs > JOBS_MAX)
        options->jobs = JOBS_MAX;
}

/* ---- What has to fit together ---------------------------------------------------------------- */

static enum options_result check_client(const struct options *options) {
    if (options->driver == NULL && !options->list)
        return wrong("%s", "which client? Give --driver");
    if (options->driver != NULL && strstr(options->driver, "{url}") == NULL)
        return wrong("--driver '%s' has no {url}", options->driver);
    return OPTIONS_RUN;
}

static enum options_result check_server(const struct options *options) {
    const struct target_options *target = &options->target;
    bool has_address = target->url != NULL || target->unix_path != NULL;
    if (!has_address && target->command == NULL && !options->list)
        return wrong("%s", "which server? Give --url, --unix or --exec");
    if (target->command != NULL && !has_address && strstr(target->command, "{port}") == NULL)
        return wrong("--exec '%s' has no {port}; without it, --url must say where the server is",
                     target->command);
    if (target->tls.ca_file != NULL && !stream_check_tls(&target->tls))
        return wrong("--ca %s holds no certificate, PEM", target->tls.ca_file);
    return OPTIONS_RUN;
}

static enum options_result check_storm(struct options *options) {
    if (options->selectors_len > 0)
        return wrong("%s: a storm takes no scenario", options->selectors[0]);
    options->clients = options->clients > 0 ? options->clients : STORM_CLIENTS_DEFAULT;
    options->documents = options->documents > 0 ? options->documents : STORM_DOCUMENTS_DEFAULT;
    if (options->operations == 0 && options->time_ms == 0)
        options->operations = STORM_OPERATIONS_DEFAULT;
    return check_server(options);
}

enum options_result options_read(struct options *options, int argc, char **argv) {
    set_defaults(options, argv[0]);
    int role = role_bit(options->role);
    enum options_result result = read_all(options, argc, argv);
    if (result == OPTIONS_RUN && options->help) {
        print_help(role);
        return OPTIONS_DONE;
    }
    if (!options->seed_given)
        options->seed = randombytes_random();
    if (result != OPTIONS_RUN)
        return result;
    return role == CLIENT  ? check_client(options)
           : role == STORM ? check_storm(options)
                           : check_server(options);
}

void options_fini(struct options *options) {
    free(options->headers);
    *options = (struct options){0};
}
