/* athena-sync: the reference client of the Athena Sync Protocol. */
#include "reference-client/cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNLOCKS  " --passphrase-file "
#define LOCKS    " --lock --new-passphrase-file "
#define CONNECTS " --url --token-file --ca --insecure "

static const struct command commands[] = {
    {"init", NULL, " --key --url " LOCKS,
     "make a replica of a new document, or of the one that KEY opens", command_init},
    {"key", NULL, LOCKS " --unlock " UNLOCKS,
     "show the key, to be carried to a second device; lock it by a passphrase", command_key},
    {"add", "ACTOR", " --file --hex " UNLOCKS,
     "add a change of an Automerge actor, from standard input or a file", command_add},
    {"sync", NULL, CONNECTS " --timeout " UNLOCKS, "connect, sync, and leave", command_sync},
    {"watch", NULL, " --key --offline --patience-ms --no-replay " CONNECTS UNLOCKS,
     "stay connected: events as JSON lines on standard output, commands on standard input",
     command_watch},
    {"status", NULL, " --json --list " UNLOCKS, "show counts, what is pending, and the digest",
     command_status},
    {"forget", NULL, " --url " UNLOCKS, "forget what is kept about the server of URL",
     command_forget},
    {"export", "TARGET", UNLOCKS, "write every change to a file of its own in a new folder",
     command_export},
    {"import", "SOURCE", UNLOCKS, "take over the changes of an export", command_import},
    {"verify", NULL, UNLOCKS, "open every change and recompute every sum", command_verify},
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
    {"--new-passphrase-file", "FILE", "with --lock: the passphrase to lock by; otherwise asked for",
     TEXT, offsetof(struct arguments, new_passphrase_file)},
    {"--lock", NULL, "lock the stored key by a passphrase", FLAG,
     offsetof(struct arguments, locks)},
    {"--unlock", NULL, "store the key plainly again", FLAG, offsetof(struct arguments, unlocks)},
    {"--file", "FILE", "read the change from a file", TEXT, offsetof(struct arguments, file)},
    {"--hex", NULL, "the change is written in hexadecimal", FLAG,
     offsetof(struct arguments, is_hex)},
    {"--json", NULL, "machine-readable output", FLAG, offsetof(struct arguments, is_json)},
    {"--list", NULL, "name each change that needs attention, and why", FLAG,
     offsetof(struct arguments, is_list)},
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

static bool takes(const struct command *command, const char *option) {
    char name[32];
    snprintf(name, sizeof name, " %s ", option);
    return strstr(command->options, name) != NULL;
}

static void show_command(FILE *out, const struct command *command) {
    fprintf(out, "  %s FOLDER%s%s", command->name, command->word ? " " : "",
            command->word ? command->word : "");
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (takes(command, options[i].name))
            fprintf(out, " [%s%s%s]", options[i].name, options[i].argument ? " " : "",
                    options[i].argument ? options[i].argument : "");
    fprintf(out, "\n        %s\n", command->help);
}

static void show_help(FILE *out) {
    fprintf(out, "Usage: athena-sync COMMAND FOLDER [OPTION]...\n\n"
                 "A replica of one end-to-end encrypted document, synced through a server.\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        show_command(out, &commands[i]);
    fprintf(out, "\nOptions\n");
    for (size_t i = 0; i < OPTION_COUNT; i++)
        fprintf(out, "  %s%s%s\n        %s\n", options[i].name, options[i].argument ? " " : "",
                options[i].argument ? options[i].argument : "", options[i].help);
    fprintf(out, "  -h, --help, --version\n\n"
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

/* The value of an option, into its place in the arguments. */
static int store(struct arguments *arguments, size_t row, const char *value) {
    char what[200];
    void *at = (char *)arguments + options[row].offset;
    if (options[row].kind == FLAG)
        *(bool *)at = true;
    else if (options[row].kind == TEXT)
        *(const char **)at = value;
    else if (!parse_time(value, options[row].kind, at)) {
        snprintf(what, sizeof what, "%s: '%.100s' is not a number of %s", options[row].name, value,
                 options[row].kind == SECONDS ? "seconds from 1 to 86400"
                                              : "milliseconds from 0 to 86400000");
        return cli_usage(what);
    }
    return EXIT_DONE;
}

/* OPTION_COUNT when there is none of that name. */
static size_t find_option(const char *name, size_t len) {
    size_t row = 0;
    while (row < OPTION_COUNT &&
           (strlen(options[row].name) != len || memcmp(options[row].name, name, len) != 0))
        row++;
    return row;
}

/* One option at argv[*i], with its value behind '=' or in the next argument. */
static int read_option(struct arguments *arguments, const struct command *command, int argc,
                       char **argv, int *i) {
    char what[200];
    const char *option = argv[*i];
    size_t len = strcspn(option, "=");
    const char *value = option[len] ? option + len + 1 : NULL;
    size_t row = find_option(option, len);
    if (row == OPTION_COUNT || !takes(command, options[row].name)) {
        snprintf(what, sizeof what, "%s takes no option '%.*s'", command->name,
                 len < 100 ? (int)len : 100, option);
        return cli_usage(what);
    }
    bool has_value = options[row].kind != FLAG;
    if (has_value && !value && *i + 1 < argc)
        value = argv[++*i];
    if (has_value != (value != NULL)) {
        snprintf(what, sizeof what, "%s %s value", options[row].name,
                 has_value ? "needs a" : "takes no");
        return cli_usage(what);
    }
    return store(arguments, row, value);
}

static int read_arguments(struct arguments *arguments, const struct command *command, int argc,
                          char **argv) {
    for (int i = 2; i < argc; i++) {
        int status = EXIT_DONE;
        if (argv[i][0] == '-' && argv[i][1])
            status = read_option(arguments, command, argc, argv, &i);
        else if (!arguments->folder)
            arguments->folder = argv[i];
        else if (command->word && !arguments->word)
            arguments->word = argv[i];
        else
            status = cli_usage("too many arguments");
        if (status)
            return status;
    }
    if (!arguments->folder)
        return cli_usage("a folder is needed");
    if (command->word && !arguments->word)
        return cli_usage("an argument is missing");
    return arguments->new_passphrase_file && !arguments->locks
               ? cli_usage("--new-passphrase-file goes with --lock")
               : EXIT_DONE;
}

/* What was said has to have been heard. */
static int finish(int status) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "athena-sync: standard output cannot be written\n");
    return EXIT_FAILED;
}

static int run(int argc, char **argv) {
    char what[200];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        struct arguments arguments = {.timeout_s = 60};
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        int status = read_arguments(&arguments, &commands[i], argc, argv);
        return status ? status : commands[i].run(&arguments);
    }
    snprintf(what, sizeof what, "no command '%.100s'", argv[1]);
    return cli_usage(what);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            show_help(stdout);
            return finish(EXIT_DONE);
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("athena-sync %s (%s)\n", ATHENA_VERSION, ATHENA_SUBPROTOCOL);
            return finish(EXIT_DONE);
        }
    }
    return argc < 2 ? cli_usage("a command is needed") : finish(run(argc, argv));
}
