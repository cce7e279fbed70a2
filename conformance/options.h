/* The command line of `athena-conform server`, `athena-conform client` and `athena-conform storm`.
 */
#ifndef CONFORM_OPTIONS_H
#define CONFORM_OPTIONS_H

#include "conformance/format.h"
#include "conformance/target.h"

enum {
    OPTIONS_SELECTORS_MAX = 64,
    OPTIONS_REPORTS_MAX = 8,
    OPTIONS_HEADERS_MAX = 16,
    OPTIONS_TIMEOUT_MS = 10000,                /* unless another is given */
    OPTIONS_WITHOUT_MAX = TARGET_SETTINGS + 3, /* all that there is */
};

struct options {
    const char *role;   /* "server" or "client": what is under test; "storm": a server, too */
    const char *driver; /* the command of a client; NULL unless that is the role */
    struct target_options target;
    const char *scenarios; /* folder, or NULL: the one beside the program */
    const char *spec;      /* likewise */
    const char *family;
    const char *requirement;
    const char *profile;
    const char *expect_failures;                  /* a file for expectations.h, or NULL */
    const char *selectors[OPTIONS_SELECTORS_MAX]; /* names, globs or paths */
    size_t selectors_len;
    struct {
        const struct format *format;
        const char *file;
    } reports[OPTIONS_REPORTS_MAX]; /* beside the terminal's */
    size_t reports_len;
    const char *without[OPTIONS_WITHOUT_MAX]; /* what scenarios may need that is not there */
    size_t without_len;
    bool keeps_transcripts; /* a report shows those of what passed */
    uint64_t seed;
    bool seed_given;
    int timeout_ms;
    int jobs;
    int repeat;
    int pause_before; /* a line of the only scenario; 0: none */
    bool bail;
    bool list;
    bool help;
    /* Of a storm. */
    int clients;
    int documents;
    uint64_t operations; /* to be carried out; 0: any number */
    int time_ms;         /* 0: as long as it takes */
    const char *output;  /* the scenario that shows a violation; NULL: a name of its own */
    /* Admission: what target.headers is made of, which `headers` owns. */
    const char *header_lines[OPTIONS_HEADERS_MAX];
    size_t header_lines_len;
    bool has_token;
    char *headers;
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/* argv[0] is the role; reads everything after it. Prints help (OPTIONS_DONE) or what is wrong with
 * it. */
enum options_result options_read(struct options *options, int argc, char **argv);
void options_fini(struct options *options);
/* Whether no scenario is left out by its name, family, requirement or profile. */
bool options_select_all(const struct options *options);
/* Whether scenarios that need this are left out on purpose. */
bool options_leave_out(const struct options *options, const char *need);

#endif
