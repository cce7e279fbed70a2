/* athena-sync: the reference client of the Athena Sync Protocol. */
#include "reference-client/cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct command commands[] = {
    {"init", "FOLDER [--key KEY] [--url URL]",
     "make a replica of a new document, or of the one that KEY opens", command_init, 0, 0},
    {"key", "FOLDER [--lock | --unlock]",
     "show the key, to be carried to a second device; lock it by a passphrase", command_key, 0, 0},
    {"add", "FOLDER ACTOR [--file FILE] [--hex]",
     "add a change of an Automerge actor, from standard input or a file", command_add, 1, 1},
    {"sync", "FOLDER [--url URL] [--timeout SECONDS]", "connect, sync, and leave", command_sync, 0,
     0},
    {"watch", "FOLDER [--key KEY] [--url URL] [--offline] [--patience-ms MS] [--no-replay]",
     "stay connected: events as JSON lines on standard output, commands on standard input",
     command_watch, 0, 0},
    {"status", "FOLDER [--json]", "show counts, what is pending, and the digest", command_status, 0,
     0},
    {"export", "FOLDER TARGET", "write every change to a file of its own in a new folder",
     command_export, 1, 1},
    {"import", "FOLDER SOURCE", "take over the changes of an export", command_import, 1, 1},
    {"verify", "FOLDER", "open every change and recompute every sum", command_verify, 0, 0},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

enum kind { TEXT, FLAG, SECONDS, MILLISECONDS };
static const struct {
    const char *name;
    const char *argument;
    const char *help;
    enum kind kind;
    size_t offset;
} options[] = {
    {"--url", "URL", "ws:// or wss:// address of the server; remembered", TEXT,
     offsetof(struct arguments, url)},
    {"--key", "KEY", "join this document; - reads the key from standard input", TEXT,
     offsetof(struct arguments, key)},
    {"--token-file", "FILE", "bearer token for the server", TEXT,
     offsetof(struct arguments, token_file)},
    {"--ca", "FILE", "certificates to trust, PEM, instead of the system's", TEXT,
     offsetof(struct arguments, ca_file)},
    {"--insecure", NULL, "do not verify the server's certificate", FLAG,
     offsetof(struct arguments, is_insecure)},
    {"--passphrase-file", "FILE", "passphrase of a locked key; otherwise asked for", TEXT,
     offsetof(struct arguments, passphrase_file)},
    {"--new-passphrase-file", "FILE", "with --lock: the passphrase to lock by", TEXT,
     offsetof(struct arguments, new_passphrase_file)},
    {"--lock", NULL, "lock the stored key by a passphrase", FLAG,
     offsetof(struct arguments, locks)},
    {"--unlock", NULL, "store the key plainly again", FLAG, offsetof(struct arguments, unlocks)},
    {"--file", "FILE", "read the change from a file", TEXT, offsetof(struct arguments, file)},
    {"--hex", NULL, "the change is written in hexadecimal", FLAG,
     offsetof(struct arguments, is_hex)},
    {"--json", NULL, "machine-readable output", FLAG, offsetof(struct arguments, is_json)},
    {"--timeout", "SECONDS", "give up after so long (default 60)", SECONDS,
     offsetof(struct arguments, timeout_s)},
    {"--offline", NULL, "do not connect until told to", FLAG,
     offsetof(struct arguments, is_offline)},
    {"--patience-ms", "MS",
     "silence to bear before asking for a sign of life, and then for its coming; 0: the usual",
     MILLISECONDS, offsetof(struct arguments, patience_ms)},
    {"--no-replay", NULL, "do not begin with the changes that are held already", FLAG,
     offsetof(struct arguments, skips_replay)},
};
enum { OPTION_COUNT = sizeof options / sizeof options[0] };

static void show_help(FILE *out) {
    fprintf(out, "Usage: athena-sync COMMAND FOLDER [OPTION]...\n\n"
                 "A replica of one end-to-end encrypted document, synced through a server.\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %s %s\n        %s\n", commands[i].name, commands[i].arguments,
                commands[i].help);
    fprintf(out, "\nOptions\n");
    for (size_t i = 0; i < OPTION_COUNT; i++)
        fprintf(out, "  %s%s%s\n        %s\n", options[i].name, options[i].argument ? " " : "",
                options[i].argument ? options[i].argument : "", options[i].help);
    fprintf(out, "  --help, --version\n\n"
                 "Exit status: 0 done, 1 failed, 2 usage, 3 not in sync, 4 key locked,\n"
                 "5 in sync with something that needs attention.\n");
}

int cli_usage(const char *what) {
    fprintf(stderr, "athena-sync: %s; see athena-sync --help\n", what);
    return EXIT_USAGE;
}

int cli_fail(const char *what, const struct athena_error *error) {
    fprintf(stderr, "athena-sync: %s: %s%s%s\n", what, error->where, *error->where ? ": " : "",
            error->text);
    return error->code == ATHENA_FORBIDDEN ? EXIT_LOCKED : EXIT_FAILED;
}

/* ---- The command line ---- */

static bool parse_time(const char *text, enum kind kind, uint64_t *time) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    *time = (uint64_t)value;
    return errno == 0 && *text && !*end && value >= (kind == SECONDS) &&
           value <= (kind == SECONDS ? 86400 : 86400000);
}

/* One option at argv[*i]; a value stands in the next argument. */
static int read_option(struct arguments *arguments, int argc, char **argv, int *i) {
    char what[200];
    for (size_t row = 0; row < OPTION_COUNT; row++) {
        char *at = (char *)arguments + options[row].offset;
        if (strcmp(argv[*i], options[row].name) != 0)
            continue;
        if (options[row].kind == FLAG) {
            *(bool *)at = true;
            return EXIT_DONE;
        }
        if (*i + 1 == argc) {
            snprintf(what, sizeof what, "%s needs a value", options[row].name);
            return cli_usage(what);
        }
        const char *value = argv[++*i];
        if (options[row].kind == TEXT) {
            *(const char **)(void *)at = value;
            return EXIT_DONE;
        }
        if (parse_time(value, options[row].kind, (uint64_t *)(void *)at))
            return EXIT_DONE;
        snprintf(what, sizeof what, "%s: '%.100s' is not a number of %s", options[row].name, value,
                 options[row].kind == SECONDS ? "seconds from 1 to 86400"
                                              : "milliseconds from 0 to 86400000");
        return cli_usage(what);
    }
    snprintf(what, sizeof what, "no option '%.100s'", argv[*i]);
    return cli_usage(what);
}

static int read_arguments(struct arguments *arguments, const struct command *command, int argc,
                          char **argv) {
    for (int i = 2; i < argc; i++) {
        int status = EXIT_DONE;
        if (argv[i][0] == '-' && argv[i][1] == '-')
            status = read_option(arguments, argc, argv, &i);
        else if (!arguments->folder)
            arguments->folder = argv[i];
        else if (arguments->words_len < command->words_max)
            arguments->words[arguments->words_len++] = argv[i];
        else
            status = cli_usage("too many arguments");
        if (status)
            return status;
    }
    if (!arguments->folder)
        return cli_usage("a folder is needed");
    if (arguments->words_len < command->words_min)
        return cli_usage("an argument is missing");
    return EXIT_DONE;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            show_help(stdout);
            return EXIT_DONE;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("athena-sync %s (%s)\n", ATHENA_VERSION, ATHENA_SUBPROTOCOL);
            return EXIT_DONE;
        }
    }
    if (argc < 2)
        return cli_usage("a command is needed");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        struct arguments arguments = {.timeout_s = 60};
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        int status = read_arguments(&arguments, &commands[i], argc, argv);
        return status ? status : commands[i].run(&arguments);
    }
    char what[200];
    snprintf(what, sizeof what, "no command '%.100s'", argv[1]);
    return cli_usage(what);
}
