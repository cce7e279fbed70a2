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

static int test_selected(const struct catalog *catalog, struct options *options,
                         const char *program) {
    char *error = NULL;
    char *folder = catalog_find_folder(options->spec, "spec", &error);
    struct spec *spec = folder != NULL ? spec_load(folder, &error) : NULL;
    int status = EXIT_HARNESS;
    if (spec != NULL)
        status = strcmp(options->role, "storm") == 0
                     ? storm_run(options, spec, catalog->schemas, program)
                     : runner_run(catalog, spec, options, program);
    else
        fprintf(stderr, "athena-conform: %s\n", error);
    spec_free(spec);
    free(folder);
    free(error);
    return status;
}

static int command_test(int argc, char **argv, const char *program) {
    struct options options;
    struct catalog catalog = {0};
    char *error = NULL;
    enum options_result result = options_read(&options, argc, argv);
    int status = result == OPTIONS_WRONG ? EXIT_USAGE : EXIT_SUCCESS;
    if (result == OPTIONS_RUN && !catalog_load(&catalog, &options, &error)) {
        fprintf(stderr, "athena-conform: %s\n", error);
        status = EXIT_HARNESS;
    } else if (result == OPTIONS_RUN && options.pause_before > 0 && catalog.len != 1) {
        fputs("athena-conform: --pause-before needs exactly one scenario to be named\n", stderr);
        status = EXIT_USAGE;
    } else if (result == OPTIONS_RUN && options.list) {
        for (size_t i = 0; i < catalog.faults_len; i++)
            fprintf(stderr, "athena-conform: %s\n", catalog.faults[i]);
        print_list(&catalog);
        status = catalog.faults_len > 0 ? EXIT_HARNESS : EXIT_SUCCESS;
    } else if (result == OPTIONS_RUN) {
        status = test_selected(&catalog, &options, program);
    }
    free(error);
    catalog_fini(&catalog);
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
