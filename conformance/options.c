#include "conformance/options.h"

#include "conformance/memory.h"
#include "conformance/plan.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TIMEOUT_MS_DEFAULT = 10000,
    JOBS_MAX = 64,
    JOBS_A_CPU = 4,
    REPEAT_MAX = 1000000,
    STORM_CLIENTS_DEFAULT = 8,
    STORM_DOCUMENTS_DEFAULT = 2,
    STORM_OPERATIONS_DEFAULT = 20000,
    STORM_SECONDS_MAX = 1000000,
};

static const char HELP_SERVER[] =
    "usage: athena-conform server (--url URL | --exec COMMAND) [OPTION]... [SCENARIO]...\n"
    "\n"
    "Tells whether a server keeps the Athena Sync Protocol. SCENARIO is a name such as\n"
    "live/relay, a pattern such as 'reconnect/*', or the path of a scenario file; none means all.\n"
    "\n"
    "The server\n"
    "  --url URL             where it is: ws://host:port/path, or wss://\n"
    "  --exec COMMAND        start it; {port} becomes a free port, {dir} a fresh data folder,\n"
    "                        {quota}, if it is there, the bytes a document may have (0: any),\n"
    "                        {open_within_ms}, {idle_ms} and {dead_ms} times to bear a client,\n"
    "                        {limit_change} limits.change; [--token {token_file}] stays out\n"
    "                        unless a token, in that file, is to be demanded.\n"
    "                        With --url, {port} may stand in the URL. Scenarios that kill or\n"
    "                        restart the server need --exec\n"
    "  --unix PATH           connect to this socket; {dir} may stand in it. --url then only gives\n"
    "                        the name and path (ws://localhost/)\n"
    "  --authority NAME      the name to sign for, when it is not that of the URL\n"
    "  --ca FILE             certificates to trust, PEM, in place of the system's\n"
    "  --insecure            take any certificate\n"
    "  --header 'NAME: VALUE'  a further line for each handshake; may be repeated\n"
    "  --token TOKEN         the same as --header 'Authorization: Bearer TOKEN'\n"
    "\n";

static const char HELP_STORM[] =
    "usage: athena-conform storm (--url URL | --exec COMMAND) [OPTION]...\n"
    "\n"
    "Random clients do everything that a client may do, in rounds, while their history is "
    "checked:\n"
    "what was acknowledged stays, in one order, and everyone comes to hold the same. With --exec "
    "the\n"
    "server is killed, restarted and put back to older data, too. What breaks is shrunk to a\n"
    "scenario file that shows it. The server is given as for 'athena-conform server'.\n"
    "\n"
    "The storm\n"
    "  --clients N           in each round (8)\n"
    "  --documents M         that they write (2)\n"
    "  --ops K               operations of clients, in all rounds (20000, or any with --time)\n"
    "  --time SECONDS        end by then\n"
    "  --seed S              the same rounds as an earlier storm\n"
    "  --jobs N              rounds side by side (one for each processor)\n"
    "  --timeout SECONDS     how long nothing may come in a round (10)\n"
    "  --output FILE         where to write the scenario (storm-SEED.json)\n"
    "\n"
    "Exit status: 0 no violation, 1 a violation, 2 wrong usage, 3 a fault of the harness.\n";

static const char HELP_CLIENT[] =
    "usage: athena-conform client --driver COMMAND [OPTION]... [SCENARIO]...\n"
    "\n"
    "Tells whether a client keeps the Athena Sync Protocol, by being the server it talks to.\n"
    "SCENARIO is a name such as resume/first-sync, a pattern such as 'resume/*', or the path of a\n"
    "scenario file; none means all.\n"
    "\n"
    "The client\n"
    "  --driver COMMAND      starts a driver, as spec/driver.md describes it: {dir} becomes its\n"
    "                        folder, {key} the document secret, {url} the server's URL,\n"
    "                        {patience_ms}, if it is there, how long it bears a silent server\n"
    "                        (0: its own times)\n"
    "\n";

static const char HELP_COMMON[] =
    "What to run\n"
    "  --family NAME         only scenarios of one family\n"
    "  --requirement ID      only scenarios that cite it, for example ASP-PUSH-3\n"
    "  --profile NAME        only scenarios of one profile: core, or an extension\n"
    "  --list                print what would run, and end\n"
    "  --bail                end at the first scenario that is not green\n"
    "  --timeout SECONDS     how long nothing may come (10); a scenario, or one life of a\n"
    "                        device, may take six times that\n"
    "  --jobs N              scenarios side by side (four for each processor)\n"
    "  --seed N              repeat the generated values of an earlier run\n"
    "  --repeat N            all of it N times, each with the next seed\n"
    "  --expect-failures FILE  failures that are known, a line each: SCENARIO REQUIREMENT WHY.\n"
    "                        One that does not happen is a failure\n"
    "  --pause-before LINE   wait for the Enter key before the step in that line of the one\n"
    "                        scenario that is named: time to attach a debugger\n"
    "\n"
    "What to write\n"
    "  --report FORMAT=FILE  tap, junit, json or html, to a file; may be repeated\n"
    "\n"
    "Where things are\n"
    "  --scenarios FOLDER    scenario files and their schema\n"
    "  --spec FOLDER         the specification and its message schemas\n"
    "\n"
    "Exit status: 0 conformant, 1 not conformant, 2 wrong usage, 3 a fault of the harness, or\n"
    "nothing ran.\n";

static enum options_result wrong(const char *format, const char *text) {
    fputs("athena-conform: ", stderr);
    fprintf(stderr, format, text);
    fputs("\nTry 'athena-conform server --help', also client or storm.\n", stderr);
    return OPTIONS_WRONG;
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

enum {
    OPT_URL = 256,
    OPT_EXEC,
    OPT_DRIVER,
    OPT_UNIX,
    OPT_AUTHORITY,
    OPT_CA,
    OPT_INSECURE,
    OPT_HEADER,
    OPT_TOKEN,
    OPT_FAMILY,
    OPT_REQUIREMENT,
    OPT_PROFILE,
    OPT_LIST,
    OPT_BAIL,
    OPT_TIMEOUT,
    OPT_JOBS,
    OPT_SEED,
    OPT_REPEAT,
    OPT_EXPECT_FAILURES,
    OPT_PAUSE_BEFORE,
    OPT_REPORT,
    OPT_SCENARIOS,
    OPT_SPEC,
    OPT_CLIENTS,
    OPT_DOCUMENTS,
    OPT_OPS,
    OPT_TIME,
    OPT_OUTPUT,
    OPT_HELP
};

static const struct option LONG_OPTIONS[] = {
    {"url", required_argument, NULL, OPT_URL},
    {"exec", required_argument, NULL, OPT_EXEC},
    {"driver", required_argument, NULL, OPT_DRIVER},
    {"unix", required_argument, NULL, OPT_UNIX},
    {"authority", required_argument, NULL, OPT_AUTHORITY},
    {"ca", required_argument, NULL, OPT_CA},
    {"insecure", no_argument, NULL, OPT_INSECURE},
    {"header", required_argument, NULL, OPT_HEADER},
    {"token", required_argument, NULL, OPT_TOKEN},
    {"family", required_argument, NULL, OPT_FAMILY},
    {"requirement", required_argument, NULL, OPT_REQUIREMENT},
    {"profile", required_argument, NULL, OPT_PROFILE},
    {"list", no_argument, NULL, OPT_LIST},
    {"bail", no_argument, NULL, OPT_BAIL},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"jobs", required_argument, NULL, OPT_JOBS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"repeat", required_argument, NULL, OPT_REPEAT},
    {"expect-failures", required_argument, NULL, OPT_EXPECT_FAILURES},
    {"pause-before", required_argument, NULL, OPT_PAUSE_BEFORE},
    {"report", required_argument, NULL, OPT_REPORT},
    {"scenarios", required_argument, NULL, OPT_SCENARIOS},
    {"spec", required_argument, NULL, OPT_SPEC},
    {"clients", required_argument, NULL, OPT_CLIENTS},
    {"documents", required_argument, NULL, OPT_DOCUMENTS},
    {"ops", required_argument, NULL, OPT_OPS},
    {"time", required_argument, NULL, OPT_TIME},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0}};

/* Options that take a text as it is. */
static const char **text_option(struct options *options, int option) {
    switch (option) {
    case OPT_URL:
        return &options->target.url;
    case OPT_DRIVER:
        return &options->driver;
    case OPT_EXEC:
        return &options->target.command;
    case OPT_UNIX:
        return &options->target.unix_path;
    case OPT_AUTHORITY:
        return &options->target.authority;
    case OPT_CA:
        return &options->target.tls.ca_file;
    case OPT_FAMILY:
        return &options->family;
    case OPT_REQUIREMENT:
        return &options->requirement;
    case OPT_PROFILE:
        return &options->profile;
    case OPT_EXPECT_FAILURES:
        return &options->expect_failures;
    case OPT_SCENARIOS:
        return &options->scenarios;
    case OPT_SPEC:
        return &options->spec;
    case OPT_OUTPUT:
        return &options->output;
    default:
        return NULL;
    }
}

static enum options_result read_header(struct options *options, const char *text) {
    if (strchr(text, ':') == NULL || strpbrk(text, "\r\n") != NULL)
        return wrong("--header '%s' is not NAME: VALUE", text);
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

static enum options_result read_count(const char *name, const char *text, int most, int *count) {
    double number = 0;
    if (!read_number(text, 1, most, &number) || number != (int)number) {
        char *whole = memory_format("%s %s", name, text);
        enum options_result result = wrong("%s: a whole number from 1 on was expected", whole);
        free(whole);
        return result;
    }
    *count = (int)number;
    return OPTIONS_RUN;
}

static enum options_result read_value(struct options *options, int option, const char *text) {
    double number = 0;
    switch (option) {
    case OPT_HEADER:
        return read_header(options, text);
    case OPT_TOKEN:
        add_header(options, "Authorization: Bearer ", text);
        return OPTIONS_RUN;
    case OPT_INSECURE:
        options->target.tls.insecure = true;
        return OPTIONS_RUN;
    case OPT_REPORT:
        return read_report(options, text);
    case OPT_LIST:
        options->list = true;
        return OPTIONS_RUN;
    case OPT_BAIL:
        options->bail = true;
        return OPTIONS_RUN;
    case OPT_TIMEOUT:
        if (!read_number(text, 0.001, 3600, &number))
            return wrong("--timeout %s is not a number of seconds up to 3600", text);
        options->timeout_ms = (int)(number * 1000);
        return OPTIONS_RUN;
    case OPT_JOBS:
        return read_count("--jobs", text, JOBS_MAX, &options->jobs);
    case OPT_REPEAT:
        return read_count("--repeat", text, REPEAT_MAX, &options->repeat);
    case OPT_PAUSE_BEFORE:
        return read_count("--pause-before", text, INT_MAX, &options->pause_before);
    case OPT_CLIENTS:
        return read_count("--clients", text, PLAN_CLIENTS_MAX, &options->clients);
    case OPT_DOCUMENTS:
        return read_count("--documents", text, PLAN_DOCUMENTS_MAX, &options->documents);
    case OPT_OPS:
        if (!read_number(text, 1, 1e15, &number))
            return wrong("--ops %s is not a number of operations", text);
        options->operations = (uint64_t)number;
        return OPTIONS_RUN;
    case OPT_TIME:
        if (!read_number(text, 0.001, STORM_SECONDS_MAX, &number))
            return wrong("--time %s is not a number of seconds up to 1000000", text);
        options->time_ms = (int)(number * 1000);
        return OPTIONS_RUN;
    case OPT_SEED:
        options->seed_given = true;
        return read_seed(text, &options->seed)
                   ? OPTIONS_RUN
                   : wrong("--seed %s is not a number from 0 to 18446744073709551615", text);
    default:
        return OPTIONS_WRONG;
    }
}

static void set_defaults(struct options *options, const char *role) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    *options = (struct options){.role = role, .timeout_ms = TIMEOUT_MS_DEFAULT, .repeat = 1};
    options->jobs = (int)(cpus < 1 ? 1 : cpus) * (strcmp(role, "storm") == 0 ? 1 : JOBS_A_CPU);
    if (options->jobs > JOBS_MAX)
        options->jobs = JOBS_MAX;
}

static enum options_result check_client(struct options *options) {
    const struct target_options *target = &options->target;
    if (options->driver == NULL && !options->list)
        return wrong("%s", "which client? Give --driver");
    if (target->url != NULL || target->command != NULL || target->unix_path != NULL ||
        target->authority != NULL || target->headers != NULL || target->tls.ca_file != NULL)
        return wrong("%s", "a client has only --driver: the harness is its server");
    if (options->driver != NULL && strstr(options->driver, "{url}") == NULL)
        return wrong("--driver '%s' has no {url}", options->driver);
    if (!options->seed_given)
        options->seed = randombytes_random();
    return OPTIONS_RUN;
}

static enum options_result check_storm(struct options *options) {
    bool is_storm = strcmp(options->role, "storm") == 0;
    bool has_storm = options->clients > 0 || options->documents > 0 || options->operations > 0 ||
                     options->time_ms > 0 || options->output != NULL;
    if (!is_storm)
        return has_storm ? wrong("%s", "--clients, --documents, --ops, --time and --output are "
                                       "for 'athena-conform storm'")
                         : OPTIONS_RUN;
    if (options->selectors_len > 0)
        return wrong("%s: a storm takes no scenario", options->selectors[0]);
    if (options->family != NULL || options->requirement != NULL || options->profile != NULL ||
        options->expect_failures != NULL || options->reports_len > 0 || options->list ||
        options->bail || options->pause_before > 0 || options->repeat > 1)
        return wrong("%s", "a storm selects and reports no scenarios; 'athena-conform storm "
                           "--help' tells what it takes");
    options->clients = options->clients > 0 ? options->clients : STORM_CLIENTS_DEFAULT;
    options->documents = options->documents > 0 ? options->documents : STORM_DOCUMENTS_DEFAULT;
    if (options->operations == 0 && options->time_ms == 0)
        options->operations = STORM_OPERATIONS_DEFAULT;
    return OPTIONS_RUN;
}

static enum options_result check_server(struct options *options) {
    const struct target_options *target = &options->target;
    if (options->driver != NULL)
        return wrong("%s", "--driver is for clients");
    bool has_address = target->url != NULL || target->unix_path != NULL;
    if (!has_address && target->command == NULL && !options->list)
        return wrong("%s", "which server? Give --url, --unix or --exec");
    if (target->command != NULL && !has_address && strstr(target->command, "{port}") == NULL)
        return wrong("--exec '%s' has no {port}; without it, --url must say where the server is",
                     target->command);
    if (target->tls.ca_file != NULL && !stream_check_tls(&target->tls))
        return wrong("--ca %s holds no certificate, PEM", target->tls.ca_file);
    if (!options->seed_given)
        options->seed = randombytes_random();
    return OPTIONS_RUN;
}

static void print_help(const char *role) {
    bool is_storm = strcmp(role, "storm") == 0;
    fputs(is_storm ? HELP_STORM : strcmp(role, "client") == 0 ? HELP_CLIENT : HELP_SERVER, stdout);
    if (!is_storm)
        fputs(HELP_COMMON, stdout);
}

enum options_result options_read(struct options *options, int argc, char **argv) {
    int option;
    set_defaults(options, argv[0]);
    optind = 1;
    opterr = 0; /* its messages would name the subcommand as the program */
    while ((option = getopt_long(argc, argv, "h", LONG_OPTIONS, NULL)) != -1) {
        const char **text = text_option(options, option);
        enum options_result result = OPTIONS_RUN;
        if (option == OPT_HELP || option == 'h') {
            print_help(options->role);
            return OPTIONS_DONE;
        }
        if (text != NULL)
            *text = optarg;
        else if (option == '?')
            result = wrong("'%s': no such option, or one without its value", argv[optind - 1]);
        else
            result = read_value(options, option, optarg);
        if (result != OPTIONS_RUN)
            return result;
    }
    for (; optind < argc; optind++) {
        if (options->selectors_len == OPTIONS_SELECTORS_MAX)
            return wrong("%s", "more than 64 scenarios named");
        options->selectors[options->selectors_len++] = argv[optind];
    }
    if (check_storm(options) == OPTIONS_WRONG)
        return OPTIONS_WRONG;
    return strcmp(options->role, "client") == 0 ? check_client(options) : check_server(options);
}

void options_fini(struct options *options) {
    free(options->headers);
    *options = (struct options){0};
}
