#include "conformance/catalog.h"

#include "conformance/memory.h"

#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Where things are ------------------------------------------------------------------------ */

static char *program_folder(void) {
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len <= 0)
        return memory_copy_text(".");
    path[len] = '\0';
    *strrchr(path, '/') = '\0';
    return memory_copy_text(path);
}

char *catalog_find_folder(const char *given, const char *in_tree, char **error) {
    /* PREFIX/bin/ installed; build/, build/asan/, build/conformance/tests/ in the tree */
    static const char *const roots[] = {"../share/athena-sync", "..", "../..", "../../..",
                                        "../../../.."};
    struct stat info;
    if (given != NULL && stat(given, &info) == 0 && S_ISDIR(info.st_mode))
        return memory_copy_text(given);
    char *program = program_folder();
    for (size_t i = 0; given == NULL && i < sizeof roots / sizeof *roots; i++) {
        /* a folder of the same name may be anybody's */
        char *own = memory_format("%s/%s/spec/athena-sync-1.md", program, roots[i]);
        char *folder = memory_format("%s/%s/%s", program, roots[i], in_tree);
        char *real = access(own, R_OK) == 0 ? realpath(folder, NULL) : NULL;
        free(folder);
        free(own);
        if (real != NULL) {
            free(program);
            return real;
        }
    }
    free(program);
    *error = given != NULL ? memory_format("there is no folder %s", given)
                           : memory_format("%s was not found near the program", in_tree);
    return NULL;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void add_file(struct catalog *catalog, const struct spec *spec, const char *path) {
    char *error = NULL;
    struct scenario *scenario = scenario_load(path, catalog->schemas, &error);
    if (scenario != NULL && !scenario_check_citations(scenario, spec, &error)) {
        scenario_free(scenario);
        scenario = NULL;
    }
    if (scenario != NULL) {
        catalog->scenarios =
            memory_grow(catalog->scenarios, (catalog->len + 1) * sizeof(struct scenario *));
        catalog->scenarios[catalog->len++] = scenario;
    } else {
        catalog->faults = memory_grow(catalog->faults, (catalog->faults_len + 1) * sizeof(char *));
        catalog->faults[catalog->faults_len++] = error;
    }
}

static void add_folder(struct catalog *catalog, const struct spec *spec, const char *folder) {
    glob_t found = {0};
    char *pattern = memory_format("%s/*/*.json", folder);
    glob(pattern, 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++)
        add_file(catalog, spec, found.gl_pathv[i]);
    globfree(&found);
    free(pattern);
}

/* ---- Selecting ------------------------------------------------------------------------------- */

static bool is_path(const char *selector) {
    size_t len = strlen(selector);
    return len > 5 && strcmp(selector + len - 5, ".json") == 0;
}

static bool is_named(const struct options *options, const struct scenario *scenario) {
    for (size_t i = 0; i < options->selectors_len; i++)
        if (fnmatch(options->selectors[i], scenario->name, 0) == 0 ||
            strcmp(options->selectors[i], scenario->path) == 0)
            return true;
    return options->selectors_len == 0;
}

static bool is_selected(const struct options *options, const struct scenario *scenario) {
    return is_named(options, scenario) &&
           (options->family == NULL || strcmp(options->family, scenario->family) == 0) &&
           (options->profile == NULL || strcmp(options->profile, scenario->profile) == 0) &&
           (options->requirement == NULL || scenario_cites(scenario, options->requirement));
}

/* Keeps those that fit; returns how many did not. */
static size_t keep(struct catalog *catalog, const struct options *options,
                   bool (*fits)(const struct options *, const struct scenario *)) {
    size_t kept = 0;
    size_t dropped;
    for (size_t i = 0; i < catalog->len; i++) {
        if (fits(options, catalog->scenarios[i]))
            catalog->scenarios[kept++] = catalog->scenarios[i];
        else
            scenario_free(catalog->scenarios[i]);
    }
    dropped = catalog->len - kept;
    catalog->len = kept;
    return dropped;
}

/* What it needs is not among what the run is without. */
static bool is_kept(const struct options *options, const struct scenario *scenario) {
    const cJSON *need;
    cJSON_ArrayForEach(need, cJSON_GetObjectItem(scenario->json, "needs")) {
        if (options_leave_out(options, need->valuestring))
            return false;
    }
    return true;
}

/* A selector that selects nothing is a slip, not an empty success. */
static const char *idle_selector(const struct catalog *catalog, const struct options *options) {
    for (size_t i = 0; i < options->selectors_len; i++) {
        bool used = false;
        for (size_t k = 0; k < catalog->len && !used; k++)
            used = fnmatch(options->selectors[i], catalog->scenarios[k]->name, 0) == 0 ||
                   strcmp(options->selectors[i], catalog->scenarios[k]->path) == 0;
        if (!used && !is_path(options->selectors[i]))
            return options->selectors[i];
    }
    return NULL;
}

/* One schema for both roles: beside the scenarios, or beside those of servers. */
static bool load_schema(struct catalog *catalog, const char *folder, char **error) {
    char *beside = memory_format("%s/scenario.schema.json", folder);
    char *other = access(beside, R_OK) == 0
                      ? memory_copy_text(folder)
                      : catalog_find_folder(NULL, "fixtures/scenarios", error);
    bool ok = other != NULL && schema_set_load(catalog->schemas, other, error) &&
              schema_set_resolves(catalog->schemas, error);
    free(beside);
    free(other);
    return ok;
}

bool catalog_load(struct catalog *catalog, const struct options *options, const struct spec *spec,
                  char **error) {
    *catalog = (struct catalog){.schemas = schema_set_new()};
    *error = NULL;
    bool is_client = strcmp(options->role, "client") == 0;
    char *folder = catalog_find_folder(
        options->scenarios, is_client ? "fixtures/client-scenarios" : "fixtures/scenarios", error);
    bool ok = folder != NULL && load_schema(catalog, folder, error);
    if (ok)
        add_folder(catalog, spec, folder);
    for (size_t i = 0; ok && i < options->selectors_len; i++)
        if (is_path(options->selectors[i]))
            add_file(catalog, spec, options->selectors[i]);
    free(folder);
    if (!ok)
        return false;
    keep(catalog, options, is_selected);
    const char *idle = idle_selector(catalog, options);
    catalog->left_out = keep(catalog, options, is_kept);
    if (idle != NULL)
        *error = memory_format("no scenario is called %s", idle);
    else if (catalog->len == 0 && catalog->faults_len == 0)
        *error = memory_copy_text("no scenario was selected");
    return *error == NULL;
}

void catalog_fini(struct catalog *catalog) {
    for (size_t i = 0; i < catalog->len; i++)
        scenario_free(catalog->scenarios[i]);
    for (size_t i = 0; i < catalog->faults_len; i++)
        free(catalog->faults[i]);
    free(catalog->scenarios);
    free(catalog->faults);
    schema_set_free(catalog->schemas);
    *catalog = (struct catalog){0};
}
