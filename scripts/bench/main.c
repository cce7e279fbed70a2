#include "scripts/bench/bench.h"

#include "protocol/athena_protocol.h"
#include "scripts/bench/folder.h"
#include "scripts/bench/machine.h"
#include "scripts/bench/soak.h"

#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct {
    const char *name;
    const char *what;
    void (*run)(struct bench *);
} measures[] = {
    {"limits", "the machine itself: SQLite, fdatasync, loopback, envelope cipher", measure_limits},
    {"push", "durable push, one change a message and 100", measure_push},
    {"pull", "cold pull of 10,000 and 100,000 changes by athena-sync", measure_pull},
    {"reconnect", "reconnect with nothing new, and with 10 and 100 missing", measure_reconnect},
    {"fanout", "live fan-out to 1, 50 and 200 readers", measure_fanout},
    {"idle", "memory of an idle connection at 1,000 and 10,000", measure_idle},
    {"startup", "start of the server: time and memory", measure_startup},
};
enum { MEASURES = sizeof measures / sizeof *measures, RUNS = 5, RUNS_MAX = 100 };

struct options {
    const char *only; /* names, comma-separated; NULL: all */
    const char *json;
    bool is_quick;
    int runs;
    double soak_s; /* 0: measure */
    bool is_tls;   /* of the soak */
};

/* Removed on every way out. */
static struct bench bench;

static void print_help(void) {
    puts("athena-bench [--only NAME,...] [--quick] [--runs N] [--json FILE]\n"
         "athena-bench --soak SECONDS [--tls]\n\n"
         "Measures build/athena-syncd and build/athena-sync (ATHENA_BUILD names the folder) on\n"
         "loopback and a fresh folder in TMPDIR, or else in the build folder.\n\n"
         "  --only NAME,...  these measures\n"
         "  --quick          one run of few changes: shows that all runs, not how fast\n"
         "  --runs N         runs of each measure, whose median counts (5)\n"
         "  --json FILE      also write the figures there\n"
         "  --soak SECONDS   instead keep 500 connections busy for so long: 1 when the server "
         "loses\n"
         "                   or doubles a change, or keeps memory or descriptors\n"
         "  --tls            over TLS\n");
    for (size_t i = 0; i < MEASURES; i++)
        printf("  %-10s %s\n", measures[i].name, measures[i].what);
}

static _Noreturn void refuse(const char *format, const char *what) {
    fputs("athena-bench: ", stderr);
    fprintf(stderr, format, what);
    fputs("; see --help\n", stderr);
    exit(2);
}

/* Whether a name stands in the comma-separated list. */
static bool is_listed(const char *list, const char *name, size_t len) {
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strcspn(at, ",") == len && strncmp(at, name, len) == 0)
            return true;
    }
    return false;
}

static void check_only(const char *only) {
    char names[256] = "";
    for (size_t i = 0, len = 0; i < MEASURES; i++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i ? "," : "",
                                measures[i].name);
    for (const char *at = only; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (!is_listed(names, at, strcspn(at, ",")))
            refuse("--only: no measure is called %s", at);
    }
}

static int parse_runs(const char *text) {
    char *end;
    long runs = strtol(text, &end, 10);
    if (end == text || *end || runs < 1 || runs > RUNS_MAX)
        refuse("--runs wants 1 to 100, not %s", text);
    return (int)runs;
}

static double parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds >= 1 && seconds <= 1e6))
        refuse("--soak wants 1 to 1000000, not %s", text);
    return seconds;
}

static struct options parse_options(int argc, char **argv) {
    static const struct option known[] = {
        {"only", required_argument, NULL, 'o'}, {"quick", no_argument, NULL, 'q'},
        {"runs", required_argument, NULL, 'r'}, {"json", required_argument, NULL, 'j'},
        {"soak", required_argument, NULL, 's'}, {"tls", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},       {0}};
    struct options options = {0};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 'h') {
            print_help();
            exit(0);
        }
        if (option == '?')
            exit(2);
        options.only = option == 'o' ? optarg : options.only;
        options.json = option == 'j' ? optarg : options.json;
        options.is_quick |= option == 'q';
        options.is_tls |= option == 't';
        options.soak_s = option == 's' ? parse_seconds(optarg) : options.soak_s;
        options.runs = option == 'r' ? parse_runs(optarg) : options.runs;
    }
    if (optind < argc)
        refuse("%s is no option", argv[optind]);
    check_only(options.only);
    return options;
}

static void remove_folder(void) {
    if (bench.folder[0])
        folder_remove(bench.folder);
}

static void make_folder(void) {
    const char *parent = getenv("TMPDIR");
    parent = parent && *parent ? parent : bench.programs;
    char folder[PATH_MAX];
    int len = snprintf(folder, sizeof folder, "%s/athena-bench-XXXXXX", parent);
    if (len < 0 || (size_t)len >= sizeof folder || !mkdtemp(folder))
        bench_fail("no folder in %s: %s", parent, strerror(errno));
    memcpy(bench.folder, folder, sizeof folder);
    atexit(remove_folder);
}

/* Thousands of connections on both sides; the server inherits it. */
static void raise_open_files(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        bench_fail("setrlimit: %s", strerror(errno));
}

static void run_measures(const struct options *options) {
    struct machine machine;
    machine_read(&machine, bench.folder);
    machine_print(&machine);
    for (size_t i = 0; i < MEASURES; i++)
        if (!options->only || is_listed(options->only, measures[i].name, strlen(measures[i].name)))
            measures[i].run(&bench);
    if (!options->json)
        return;
    char *json = machine_json(&machine);
    if (!report_write_json(&bench.report, options->json, json))
        bench_fail("%s: %s", options->json, strerror(errno));
    free(json);
}

int main(int argc, char **argv) {
    struct options options = parse_options(argc, argv);
    const char *programs = getenv("ATHENA_BUILD");
    if (sodium_init() < 0)
        bench_fail("libsodium does not start");
    bench.is_quick = options.is_quick;
    bench.runs = options.runs ? options.runs : options.is_quick ? 1 : RUNS;
    bench.programs = programs ? programs : "build";
    bench.decoder = athena_decoder_new();
    bench_require_memory(bench.decoder);
    make_folder();
    raise_open_files();
    if (options.soak_s > 0)
        soak_run(&bench, options.soak_s, options.is_tls);
    else
        run_measures(&options);
    athena_decoder_free(bench.decoder);
    return 0;
}
