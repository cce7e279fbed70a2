/* athena-syncd: the reference server of the Athena Sync Protocol. */
#include "reference-server/maintenance.h"
#include "reference-server/server.h"

#include <sodium.h>
#include <string.h>

static int run(const struct options *options) {
    if (strcmp(options->command, "backup") == 0)
        return maintenance_backup(options->data, options->file);
    if (strcmp(options->command, "restore") == 0)
        return maintenance_restore(options->data, options->file);
    if (strcmp(options->command, "check") == 0)
        return maintenance_check(options->data);
    return server_run(options);
}

int main(int argc, char **argv) {
    struct options options;
    if (sodium_init() < 0)
        return EXIT_FAILED;
    enum options_result result = options_parse(&options, argc, argv, stdout, stderr);
    int status = result == OPTIONS_SHOWN ? EXIT_OK : EXIT_USAGE;
    if (result == OPTIONS_OK) {
        log_init(options.log_level, options.log_format);
        status = run(&options);
    }
    options_fini(&options);
    return status;
}
