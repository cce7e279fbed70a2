/* athena-conform: does an implementation keep the Athena Sync Protocol? */
#include "conformance/memory.h"
#include "conformance/process.h"
#include "conformance/runner.h"
#include "conformance/storm.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, EXIT_HARNESS = 3 };

static void print_list(const struct catalog *catalog) {
    for (size_t i = 0; i < catalog->len; i++)
        printf("%-38s %s%s\n", catalog->scenarios[i]->name, catalog->scenarios[i]->title,
               scenario_needs(catalog->scenarios[i], "exec") ? " (needs --exec)" : "");
}

/* Steps within others begin in lines of their own, before which nothing pauses. */
static bool check_pause(const struct catalog *catalog, unsigned line) {
    unsigned before = 0;
    unsigned after = 0;
    const cJSON *step;
    if (catalog->len != 1) {
        fputs("athena-conform: --pause-before needs exactly one scenario to be named\n", stderr);
        return false;
    }
    const struct scenario *scenario = catalog->scenarios[0];
    cJSON_ArrayForEach(step, cJSON_GetObjectItem(scenario->json, "steps")) {
        unsigned begins = scenario_line(scenario, step);
        before = begins <= line ? begins : before;
        after = begins >= line && after == 0 ? begins : after;
    }
    if (before == line)
        return true;
    fprintf(stderr,
            "athena-conform: --pause-before %u: no step of %s begins there; the nearest do in",
            line, scenario->path);
    for (int i = 0; i < 2; i++)
        if ((i == 0 ? before : after) > 0)
            fprintf(stderr, "%s line %u", i == 1 && before > 0 ? " and" : "",
                    i == 0 ? before : after);
    fputc('\n', stderr);
    return false;
}

static int list(const struct catalog *catalog) {
    for (size_t i = 0; i < catalog->faults_len; i++)
        fprintf(stderr, "athena-conform: %s\n", catalog->faults[i]);
    print_list(catalog);
    return catalog->faults_len > 0 ? EXIT_HARNESS : EXIT_SUCCESS;
}

static int test_selected(struct options *options, const struct spec *spec, const char *program) {
    struct catalog catalog = {0};
    char *error = NULL;
    int status = EXIT_HARNESS;
    if (!catalog_load(&catalog, options, spec, &error))
        fprintf(stderr, "athena-conform: %s\n", error);
    else if (options->pause_before > 0 && !check_pause(&catalog, (unsigned)options->pause_before))
        status = EXIT_USAGE;
    else if (options->list)
        status = list(&catalog);
    else if (strcmp(options->role, "storm") == 0)
        status = storm_run(options, spec, catalog.schemas, program);
    else
        status = runner_run(&catalog, spec, options, program);
    free(error);
    catalog_fini(&catalog);
    return status;
}

static int command_test(int argc, char **argv, const char *program) {
    struct options options;
    char *error = NULL;
    enum options_result result = options_read(&options, argc, argv);
    if (result != OPTIONS_RUN) {
        options_fini(&options);
        return result == OPTIONS_WRONG ? EXIT_USAGE : EXIT_SUCCESS;
    }
    char *folder = catalog_find_folder(options.spec, "spec", &error);
    struct spec *spec = folder != NULL ? spec_load(folder, &error) : NULL;
    int status = EXIT_HARNESS;
    if (spec != NULL)
        status = test_selected(&options, spec, program);
    else
        fprintf(stderr, "athena-conform: %s\n", error);
    spec_free(spec);
    free(folder);
    free(error);
    options_fini(&options);
    return status;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv, const char *program);
} COMMANDS[] = {{"server", command_test}, {"client", command_test}, {"storm", command_test}};

static void print_usage(FILE *out) {
    fputs(
        "usage: athena-conform server [OPTION]... [SCENARIO]...\n"
        "       athena-conform client [OPTION]... [SCENARIO]...\n"
        "       athena-conform storm [OPTION]...\n"
        "       athena-conform --version\n"
        "Tests implementations of the Athena Sync Protocol. Try 'athena-conform server --help'.\n",
        out);
}

static bool is_written(void) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    fprintf(stderr, "athena-conform: standard output: %s\n", strerror(errno));
    return false;
}

/* Whatever a command under test has started ends with the run, also what left its process group. */
static int run_command(int (*run)(int, char **, const char *), int argc, char **argv) {
    process_note_strangers();
    process_adopt_orphans();
    int status = run(argc - 1, argv + 1, argv[0]);
    process_end_children();
    return is_written() ? status : EXIT_HARNESS;
}

int main(int argc, char **argv) {
    memory_setup_json();
    if (sodium_init() < 0) {
        fputs("athena-conform: libsodium does not start\n", stderr);
        return EXIT_HARNESS;
    }
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        if (strcmp(COMMANDS[i].name, name) == 0)
            return run_command(COMMANDS[i].run, argc, argv);
    if (strcmp(name, "--version") == 0) {
        printf("athena-conform %s\n", ATHENA_VERSION);
        return EXIT_SUCCESS;
    }
    bool asked = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    print_usage(asked ? stdout : stderr);
    return asked ? EXIT_SUCCESS : EXIT_USAGE;
}
