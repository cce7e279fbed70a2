/* What the operator has set, on the command line or in the environment. */
#ifndef REFERENCE_SERVER_OPTIONS_H
#define REFERENCE_SERVER_OPTIONS_H

#include "protocol/athena_protocol.h"
#include "reference-server/log.h"

#include <stdio.h>

enum { OPTION_LIST_MAX = 16 };

/* Values of an option that may be given several times. */
struct option_list {
    const char *at[OPTION_LIST_MAX];
    size_t len;
};

struct options {
    struct option_list listen;    /* HOST:PORT, [IPV6]:PORT or unix:PATH */
    struct option_list authority; /* own names */
    const char *data;
    const char *tls_cert;
    const char *tls_key;
    const char *token_file;
    bool is_public;
    uint64_t limit_message;
    uint64_t limit_message_before_open;
    uint64_t limit_change;
    uint64_t limit_batch;
    uint64_t limit_docs;
    uint64_t connections_max;
    uint64_t quota_document_bytes;
    uint64_t quota_total_bytes;
    uint64_t free_bytes_floor;
    uint64_t open_within_ms;
    uint64_t idle_ms;
    uint64_t dead_ms;
    enum log_level log_level;
    enum log_format log_format;

    const char *command;   /* serve, backup, restore, check */
    const char *file;      /* of backup and restore */
    char *environment[32]; /* what the lists borrow from; freed by options_fini */
    size_t environment_len;
};

/* How the program ends: done; failed at what was asked; an option is wrong, or names what cannot be
 * used. */
enum exit_status { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum options_result { OPTIONS_OK, OPTIONS_SHOWN, OPTIONS_WRONG };

/* Defaults, then the environment, then the command line. Says on `out` what --help or --version ask
 * for, and on `err` what is wrong, naming the option and its value. Texts borrow from argv and the
 * environment. */
enum options_result options_parse(struct options *options, int argc, char **argv, FILE *out,
                                  FILE *err);
void options_fini(struct options *options);

#endif
