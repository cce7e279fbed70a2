/* athena-sync export and import: every change as a file, so that nobody is locked in.
 *
 *   TARGET/index.json {"format":"athena-export-1","doc":...,"changes":[{"id":...,"file":...}]};
 *                          beside a change that is in quarantine "quarantined":true
 *   TARGET/changes/N.bin   the envelope of one change, exactly as it is stored and sent
 */
#include "reference-client/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_MAX_BYTES = 4096 };
#define EXPORT_FORMAT "athena-export-1"

static int fail(const char *path, const char *why) {
    fprintf(stderr, "athena-sync: %s: %s\n", path, why);
    return EXIT_FAILED;
}

/* ---- Export ---- */

struct export {
    const char *target;
    struct athena_buf index;
    uint64_t count;
    int status;
};

static int write_file(const char *path, const void *bytes, size_t len) {
    FILE *file = fopen(path, "wxe");
    if (!file)
        return fail(path, strerror(errno));
    bool ok = fwrite(bytes, 1, len, file) == len;
    if (fclose(file) != 0 || !ok)
        return fail(path, strerror(errno));
    return EXIT_DONE;
}

/* Everything on its file system, at once: one wait instead of one for each file. */
static int flush_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && syncfs(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok ? EXIT_DONE : fail(path, strerror(errno));
}

static bool export_one(void *ctx, const struct athena_sync_envelope *envelope) {
    struct export *export = ctx;
    char path[PATH_MAX_BYTES];
    char name[64];
    snprintf(name, sizeof name, "changes/%llu.bin", (unsigned long long)++export->count);
    snprintf(path, sizeof path, "%s/%s", export->target, name);
    export->status = write_file(path, envelope->data.at, envelope->data.len);
    cli_append(&export->index, export->count > 1 ? ",\n{" : "\n{");
    cli_append_string(&export->index, "id", envelope->id.at, envelope->id.len);
    cli_append_string(&export->index, "file", name, strlen(name));
    if (envelope->is_quarantined)
        cli_append_boolean(&export->index, "quarantined", true);
    cli_append(&export->index, "}");
    if (export->count % 100 == 0)
        cli_progress("exported", export->count);
    return export->status == EXIT_DONE;
}

static int make_folders(const char *target) {
    char path[PATH_MAX_BYTES];
    int len = snprintf(path, sizeof path, "%s/changes", target);
    if (len < 0 || (size_t)len + 64 > sizeof path)
        return fail(target, "the path is too long");
    if (mkdir(target, 0700) != 0 || mkdir(path, 0700) != 0)
        return fail(target, strerror(errno));
    return EXIT_DONE;
}

/* The index comes last: an export with an index is whole. */
static int export_all(struct athena_sync *sync, struct export *export) {
    struct athena_error error;
    char path[PATH_MAX_BYTES];
    char doc_text[ATHENA_DOC_TEXT_LEN + 1];
    uint8_t doc[ATHENA_DOC_BYTES];
    athena_sync_doc(sync, doc);
    athena_doc_format(doc_text, doc);
    cli_append(&export->index, "{");
    cli_append_string(&export->index, "format", EXPORT_FORMAT, strlen(EXPORT_FORMAT));
    cli_append_string(&export->index, "doc", doc_text, ATHENA_DOC_TEXT_LEN);
    cli_append(&export->index, ",\"changes\":[");
    enum athena_code code = athena_sync_each_envelope(sync, export_one, export, &error);
    cli_progress_end();
    if (code && code != ATHENA_INTERNAL)
        return cli_fail("cannot read", &error);
    cli_append(&export->index, "\n]}\n");
    if (export->status)
        return export->status;
    if (export->index.failed)
        return fail(export->target, "out of memory");
    snprintf(path, sizeof path, "%s/index.json", export->target);
    int status = flush_folder(export->target);
    if (!status)
        status = write_file(path, export->index.at, export->index.len);
    if (!status)
        status = flush_folder(export->target);
    if (!status)
        printf("%llu changes exported\n", (unsigned long long)export->count);
    return status || !code ? status : cli_fail("left out what is damaged", &error);
}

int command_export(const struct arguments *arguments) {
    int status;
    struct export export = {.target = arguments->word};
    struct athena_sync *sync = cli_open_to_read(arguments, &status);
    if (!sync)
        return status;
    status = make_folders(export.target);
    if (!status)
        status = export_all(sync, &export);
    cli_progress_end();
    athena_buf_fini(&export.index);
    athena_sync_close(sync);
    return status;
}

/* ---- Import ---- */

struct import {
    const char *source;
    cJSON *index;
    struct athena_sync_envelope *envelopes;
    size_t len;
};

static int load_index(struct import *import, const char *doc) {
    char path[PATH_MAX_BYTES];
    size_t len;
    struct athena_error error;
    snprintf(path, sizeof path, "%s/index.json", import->source);
    uint8_t *text = cli_read_file(path, &len);
    if (!text)
        return fail(path, strerror(errno));
    struct athena_text_view view = {(const char *)text, len};
    if (athena_json_check(view, &error) == ATHENA_OK)
        import->index = cJSON_ParseWithLength(view.at, len);
    free(text);
    const char *format = cli_text_of(import->index, "format");
    const char *of = cli_text_of(import->index, "doc");
    if (!format || strcmp(format, EXPORT_FORMAT) != 0 || !of)
        return fail(path, "not the index of an export");
    return strcmp(of, doc) == 0 ? EXIT_DONE : fail(path, "an export of another document");
}

/* A name such as changes/12.bin, and nothing that leaves the folder. */
static bool is_safe_name(const char *name) {
    return name && name[0] != '/' && !strstr(name, "..");
}

static int load_one(struct import *import, const cJSON *entry) {
    char path[PATH_MAX_BYTES];
    const char *id = cli_text_of(entry, "id");
    const char *name = cli_text_of(entry, "file");
    struct athena_sync_envelope *envelope = &import->envelopes[import->len];
    size_t len;
    if (!id || !is_safe_name(name))
        return fail(import->source, "an entry of the index without an id or file");
    snprintf(path, sizeof path, "%s/%s", import->source, name);
    uint8_t *data = cli_read_file(path, &len);
    if (!data)
        return fail(path, errno ? strerror(errno) : "empty");
    envelope->id = (struct athena_text_view){id, strlen(id)};
    envelope->data = (struct athena_bytes_view){data, len};
    envelope->is_quarantined = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "quarantined"));
    import->len++;
    return EXIT_DONE;
}

static int load_all(struct import *import) {
    const cJSON *changes = cJSON_GetObjectItemCaseSensitive(import->index, "changes");
    const cJSON *entry;
    int status =
        cJSON_IsArray(changes) ? EXIT_DONE : fail(import->source, "an index without changes");
    if (status)
        return status;
    import->envelopes = calloc((size_t)cJSON_GetArraySize(changes) + 1, sizeof *import->envelopes);
    if (!import->envelopes)
        return fail(import->source, "out of memory");
    cJSON_ArrayForEach(entry, changes) {
        if (status)
            break;
        errno = 0;
        status = load_one(import, entry);
    }
    return status;
}

static void show_imported(void *ctx, uint64_t done) {
    (void)ctx;
    if (done % 100 == 0)
        cli_progress("imported", done);
}

static int import_all(struct athena_sync *sync, struct import *import) {
    struct athena_error error;
    char doc_text[ATHENA_DOC_TEXT_LEN + 1];
    uint8_t doc[ATHENA_DOC_BYTES];
    size_t imported;
    athena_sync_doc(sync, doc);
    athena_doc_format(doc_text, doc);
    int status = load_index(import, doc_text);
    if (!status)
        status = load_all(import);
    if (status)
        return status;
    if (athena_sync_import(sync, import->envelopes, import->len, show_imported, NULL, &imported,
                           &error))
        return cli_fail("nothing imported", &error);
    printf("%zu changes imported, %zu held already\n", imported, import->len - imported);
    return EXIT_DONE;
}

int command_import(const struct arguments *arguments) {
    int status;
    struct import import = {.source = arguments->word};
    struct athena_sync *sync = cli_open(arguments, &status);
    if (!sync)
        return status;
    status = import_all(sync, &import);
    cli_progress_end();
    for (size_t i = 0; i < import.len; i++)
        free((void *)import.envelopes[i].data.at);
    free(import.envelopes);
    cJSON_Delete(import.index);
    athena_sync_close(sync);
    return status;
}
