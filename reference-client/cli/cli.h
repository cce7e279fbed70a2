/* What the subcommands of athena-sync share. */
#ifndef REFERENCE_CLIENT_CLI_H
#define REFERENCE_CLIENT_CLI_H

#include "reference-client/athena_sync.h"

#include <cjson/cJSON.h>
#include <stdio.h>

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_IN_SYNC = 3, /* the server could not be reached, or not in time */
    EXIT_LOCKED = 4,      /* a passphrase is needed, or wrong */
    EXIT_ATTENTION = 5,   /* in sync, but something was quarantined, refused or in conflict */
};

/* The command line, once the subcommand is known. */
struct arguments {
    const char *folder;
    const char *word; /* behind the folder */
    const char *url;
    const char *key;
    const char *token_file;
    const char *passphrase_file;
    const char *new_passphrase_file;
    const char *ca_file;
    const char *file;
    uint64_t timeout_s;
    uint64_t patience_ms;
    bool is_insecure;
    bool is_json;
    bool is_list;
    bool is_hex;
    bool locks;
    bool unlocks;
    bool is_offline;
    bool skips_replay;
};

struct command {
    const char *name;
    const char *word;    /* behind the folder, or NULL */
    const char *options; /* each with a space before and behind it */
    const char *help;
    int (*run)(const struct arguments *arguments);
};

/* ---- Saying what is wrong: one line on standard error; returns the status ---- */

int cli_fail(const char *what, const struct athena_error *error);
int cli_usage(const char *what);

/* ---- Opening ---- */

/* Opens the replica, asking for a passphrase when its key is locked. NULL, and the status, when
 * that fails. */
struct athena_sync *cli_open(const struct arguments *arguments, int *status);
/* For a command that only reads, which works without room on the disk. */
struct athena_sync *cli_open_to_read(const struct arguments *arguments, int *status);
/* The passphrase of --passphrase-file, NULL without that option; false when it cannot be read. And
 * as cli_open, with that, or one that is asked for when it is NULL. */
bool cli_read_given_passphrase(const struct arguments *arguments, char **passphrase);
struct athena_sync *cli_open_by(const struct arguments *arguments, const char *passphrase,
                                int *status);
/* As cli_open; with --key the replica is made when the folder holds none, and has to be of that
 * document when it does. */
struct athena_sync *cli_open_or_join(const struct arguments *arguments, int *status);
/* A passphrase from a file, or typed twice when it is new. malloc'd; NULL when there is none. */
char *cli_read_passphrase(const char *file, const char *prompt, bool is_new);
void cli_wipe(char *text); /* and free */
/* The token of --token-file, NULL without that option, for cli_wipe; false when it cannot be read.
 */
bool cli_read_token(const struct arguments *arguments, char **token);

/* Says that the URL now connected to is neither encrypted nor this machine's [ASP-WS-44]. */
void cli_warn_of_clear_text(struct athena_sync *sync);

/* ---- Progress: on a terminal only, overwritten in place ---- */

void cli_progress(const char *what, uint64_t done);
void cli_progress_end(void);

/* Reads a whole file or, for "-", standard input. malloc'd; NULL with errno set. */
uint8_t *cli_read_file(const char *path, size_t *len);

/* ---- JSON ---- */

/* A member that is a text, or NULL. */
const char *cli_text_of(const cJSON *object, const char *name);
/* A member that is base64url, decoded in place; NULL when it is none. */
uint8_t *cli_bytes_of(const cJSON *object, const char *name, size_t *len);

void cli_append(struct athena_buf *out, const char *text);
void cli_append_string(struct athena_buf *out, const char *name, const char *text, size_t len);
void cli_append_bytes(struct athena_buf *out, const char *name, const uint8_t *bytes, size_t len);
void cli_append_integer(struct athena_buf *out, const char *name, uint64_t value);
void cli_append_boolean(struct athena_buf *out, const char *name, bool value);
/* As an element of the array that `out` ends in. */
void cli_append_attention(struct athena_buf *out, const struct athena_sync_attention *attention);

/* "quarantined", "refused" or "conflict" */
const char *cli_attention_name(const struct athena_sync_attention *attention);

int command_init(const struct arguments *arguments);
int command_key(const struct arguments *arguments);
int command_add(const struct arguments *arguments);
int command_sync(const struct arguments *arguments);
int command_watch(const struct arguments *arguments);
int command_forget(const struct arguments *arguments);
int command_status(const struct arguments *arguments);
int command_export(const struct arguments *arguments);
int command_import(const struct arguments *arguments);
int command_verify(const struct arguments *arguments);

#endif
