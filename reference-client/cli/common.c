#include "reference-client/cli/cli.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { SECRET_MAX = 1024, READ_STEP = 65536 };

/* ---- Secrets ---- */

void cli_wipe(char *text) {
    if (!text)
        return;
    sodium_memzero(text, strlen(text));
    free(text);
}

/* malloc'd; NULL, and said, when there is none or more of it than there is room for. */
static char *read_first_line(FILE *file, const char *name) {
    char line[SECRET_MAX + 2] = "";
    const char *fault = NULL;
    errno = 0;
    if (!fgets(line, sizeof line, file) && ferror(file))
        fault = strerror(errno);
    else if (strlen(line) > SECRET_MAX && line[SECRET_MAX] != '\n')
        fault = "its first line has more than 1024 characters";
    line[strcspn(line, "\r\n")] = '\0';
    if (!fault && !*line)
        fault = "empty";
    if (fault)
        fprintf(stderr, "athena-sync: %s: %s\n", name, fault);
    char *copy = fault ? NULL : strdup(line);
    sodium_memzero(line, sizeof line);
    return copy;
}

static char *read_from_file(const char *path) {
    FILE *file = fopen(path, "re");
    if (!file) {
        fprintf(stderr, "athena-sync: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    char *text = read_first_line(file, path);
    fclose(file);
    return text;
}

/* Typed at the terminal, unseen. */
static char *ask(const char *prompt) {
    FILE *terminal = fopen("/dev/tty", "r+e");
    struct termios shown;
    if (!terminal) {
        fprintf(stderr, "athena-sync: no terminal to ask for a passphrase: use a file\n");
        return NULL;
    }
    fprintf(terminal, "%s: ", prompt);
    fflush(terminal);
    bool hides = tcgetattr(fileno(terminal), &shown) == 0;
    if (hides) {
        struct termios hidden = shown;
        hidden.c_lflag &= (tcflag_t)~ECHO;
        tcsetattr(fileno(terminal), TCSAFLUSH, &hidden);
    }
    char *text = read_first_line(terminal, "the terminal");
    if (hides)
        tcsetattr(fileno(terminal), TCSAFLUSH, &shown);
    fprintf(terminal, "\n");
    fclose(terminal);
    return text;
}

char *cli_read_passphrase(const char *file, const char *prompt, bool is_new) {
    if (file)
        return read_from_file(file);
    char *first = ask(prompt);
    if (!first || !is_new)
        return first;
    char *second = ask("Again");
    bool same = second && strcmp(first, second) == 0;
    cli_wipe(second);
    if (same)
        return first;
    fprintf(stderr, "athena-sync: the two passphrases differ\n");
    cli_wipe(first);
    return NULL;
}

bool cli_read_token(const struct arguments *arguments, char **token) {
    *token = arguments->token_file ? read_from_file(arguments->token_file) : NULL;
    return *token || !arguments->token_file;
}

/* ---- Opening ---- */

typedef enum athena_code opener(struct athena_sync **sync, const char *folder,
                                const char *passphrase, struct athena_error *error);

bool cli_read_given_passphrase(const struct arguments *arguments, char **passphrase) {
    *passphrase = arguments->passphrase_file ? read_from_file(arguments->passphrase_file) : NULL;
    return *passphrase || !arguments->passphrase_file;
}

/* With the passphrase, or one that is asked for when there is none and it is needed. */
static struct athena_sync *open_by(opener *open, const struct arguments *arguments,
                                   const char *passphrase, int *status) {
    struct athena_sync *sync = NULL;
    struct athena_error error;
    enum athena_code code = open(&sync, arguments->folder, passphrase, &error);
    if (code == ATHENA_FORBIDDEN && !passphrase && isatty(STDIN_FILENO)) {
        char *typed = cli_read_passphrase(NULL, "Passphrase", false);
        if (typed)
            code = open(&sync, arguments->folder, typed, &error);
        cli_wipe(typed);
    }
    *status = code ? cli_fail("cannot open", &error) : EXIT_DONE;
    return code ? NULL : sync;
}

static struct athena_sync *read_and_open(opener *open, const struct arguments *arguments,
                                         int *status) {
    char *passphrase;
    if (!cli_read_given_passphrase(arguments, &passphrase)) {
        *status = EXIT_LOCKED;
        return NULL;
    }
    struct athena_sync *sync = open_by(open, arguments, passphrase, status);
    cli_wipe(passphrase);
    return sync;
}

struct athena_sync *cli_open(const struct arguments *arguments, int *status) {
    return read_and_open(athena_sync_open, arguments, status);
}

struct athena_sync *cli_open_to_read(const struct arguments *arguments, int *status) {
    return read_and_open(athena_sync_open_to_read, arguments, status);
}

struct athena_sync *cli_open_by(const struct arguments *arguments, const char *passphrase,
                                int *status) {
    return open_by(athena_sync_open, arguments, passphrase, status);
}

void cli_warn_of_clear_text(struct athena_sync *sync) {
    char text[ATHENA_SYNC_URL_BYTES];
    struct athena_url url;
    if (athena_sync_get_url(sync, text, NULL) ||
        athena_url_parse(&url, (struct athena_text_view){text, strlen(text)}, NULL))
        return;
    bool is_loopback =
        strcmp(url.host, "localhost") == 0 || strcmp(url.host, "::1") == 0 ||
        (strncmp(url.host, "127.", 4) == 0 && !url.host[strspn(url.host, "0123456789.")]);
    if (!url.secure && !is_loopback)
        fprintf(stderr, "athena-sync: warning: %s is reached without TLS: use wss://\n", url.host);
}

/* ---- Files and progress ---- */

uint8_t *cli_read_file(const char *path, size_t *len) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    struct athena_buf buf = {0};
    if (!file)
        return NULL;
    size_t got;
    do {
        char *at = athena_buf_extend(&buf, READ_STEP);
        got = at ? fread(at, 1, READ_STEP, file) : 0;
        buf.len -= at ? READ_STEP - got : 0;
    } while (got > 0);
    bool ok = !ferror(file) && !buf.failed;
    if (file != stdin)
        fclose(file);
    if (!ok) {
        athena_buf_fini(&buf);
        return NULL;
    }
    *len = buf.len;
    return (uint8_t *)buf.at;
}

static bool shows_progress;

void cli_progress(const char *what, uint64_t done) {
    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[K%s %llu", what, (unsigned long long)done);
    shows_progress = true;
}

void cli_progress_end(void) {
    if (shows_progress)
        fprintf(stderr, "\r\033[K");
    shows_progress = false;
}

/* ---- JSON ---- */

const char *cli_text_of(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

uint8_t *cli_bytes_of(const cJSON *object, const char *name, size_t *len) {
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsString(item))
        return NULL;
    struct athena_text_view text = {item->valuestring, strlen(item->valuestring)};
    uint8_t *bytes = (uint8_t *)item->valuestring;
    return athena_base64url_decode(bytes, text.len, len, text) ? bytes : NULL;
}

void cli_append(struct athena_buf *out, const char *text) {
    athena_buf_append(out, text, strlen(text));
}

static void append_name(struct athena_buf *out, const char *name) {
    cli_append(out, out->len > 0 && out->at[out->len - 1] == '{' ? "\"" : ",\"");
    cli_append(out, name);
    cli_append(out, "\":");
}

void cli_append_string(struct athena_buf *out, const char *name, const char *text, size_t len) {
    append_name(out, name);
    athena_json_append_string(out, (struct athena_text_view){text, len});
}

void cli_append_bytes(struct athena_buf *out, const char *name, const uint8_t *bytes, size_t len) {
    append_name(out, name);
    athena_json_append_bytes(out, bytes, len);
}

void cli_append_integer(struct athena_buf *out, const char *name, uint64_t value) {
    char digits[24];
    append_name(out, name);
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    cli_append(out, digits);
}

void cli_append_boolean(struct athena_buf *out, const char *name, bool value) {
    append_name(out, name);
    cli_append(out, value ? "true" : "false");
}

const char *cli_attention_name(const struct athena_sync_attention *attention) {
    return attention->type == ATHENA_SYNC_QUARANTINED ? "quarantined"
           : attention->type == ATHENA_SYNC_CONFLICT  ? "conflict"
                                                      : "refused";
}

void cli_append_attention(struct athena_buf *out, const struct athena_sync_attention *attention) {
    const char *kind = cli_attention_name(attention);
    cli_append(out, out->len > 0 && out->at[out->len - 1] == '[' ? "{" : ",{");
    cli_append_string(out, "kind", kind, strlen(kind));
    cli_append_integer(out, "number", attention->number);
    cli_append_string(out, "id", attention->id.at, attention->id.len);
    cli_append_string(out, "reason", attention->reason.at, attention->reason.len);
    if (attention->other.len > 0)
        cli_append_bytes(out, "other", attention->other.at, attention->other.len);
    cli_append(out, "}");
}
