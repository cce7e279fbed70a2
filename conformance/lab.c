#include "conformance/lab.h"

#include "conformance/file.h"
#include "conformance/process.h"
#include "conformance/stream.h"

#include <errno.h>
#include <fts.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Ports are used again, and somebody may still be dialling whoever had this one before. The seed is
 * no help: an earlier run may have had the same. */
static void make_path(struct lab *lab) {
    enum { NONCE_BYTES = 16 };
    uint8_t nonce[NONCE_BYTES];
    randombytes_buf(nonce, sizeof nonce);
    lab->path[0] = '/';
    sodium_bin2hex(lab->path + 1, sizeof lab->path - 1, nonce, sizeof nonce);
}

struct lab *lab_new(const char *command, const char *parent, char **error) {
    uint16_t port = 0;
    struct lab *lab = memory_take(sizeof *lab);
    process_adopt_orphans(); /* a killed driver is gone when all it started is */
    lab->command = command;
    lab->folder = folder_make_temporary(parent, error);
    lab->listener = stream_listen(&port);
    lab->pushed = cJSON_CreateObject();
    lab->proofs = cJSON_CreateObject();
    lab->plains = cJSON_CreateObject();
    snprintf(lab->authority, sizeof lab->authority, "127.0.0.1:%u", port);
    make_path(lab);
    snprintf(lab->url, sizeof lab->url, "ws://%s%s", lab->authority, lab->path);
    if (lab->folder != NULL && lab->listener >= 0)
        return lab;
    if (*error == NULL)
        *error = memory_format("listen: %s", strerror(errno));
    lab_free(lab);
    return NULL;
}

void lab_free(struct lab *lab) {
    if (lab == NULL)
        return;
    for (size_t i = 0; i < lab->devices_len; i++)
        driver_free(lab->devices[i]);
    if (lab->listener >= 0)
        close(lab->listener);
    if (lab->folder != NULL)
        folder_remove(lab->folder);
    free(lab->folder);
    host_fini(&lab->host);
    discretion_fini(&lab->discretion);
    cJSON_Delete(lab->pushed);
    cJSON_Delete(lab->proofs);
    cJSON_Delete(lab->plains);
    free(lab);
}

/* ---- Devices --------------------------------------------------------------------------------- */

struct driver *lab_find_device(const struct lab *lab, const char *name) {
    for (size_t i = 0; i < lab->devices_len; i++)
        if (strcmp(lab->devices[i]->name, name) == 0)
            return lab->devices[i];
    return NULL;
}

bool lab_add_device(struct lab *lab, struct driver *device) {
    for (size_t i = 0; i < lab->devices_len; i++) {
        if (strcmp(lab->devices[i]->name, device->name) == 0) {
            driver_free(lab->devices[i]);
            lab->devices[i] = device;
            return true;
        }
    }
    if (lab->devices_len == LAB_DEVICES_MAX)
        return false;
    lab->devices[lab->devices_len++] = device;
    return true;
}

/* ---- Plaintexts ------------------------------------------------------------------------------ */

void lab_note_plain(struct lab *lab, const char *doc, const char *id, const char *plain) {
    char *key = memory_format("%s %s", doc, id);
    cJSON_DeleteItemFromObjectCaseSensitive(lab->plains, key);
    cJSON_AddStringToObject(lab->plains, key, plain);
    free(key);
}

const char *lab_find_plain(const struct lab *lab, const char *doc, const char *id) {
    char *key = memory_format("%s %s", doc, id);
    const cJSON *plain = cJSON_GetObjectItemCaseSensitive(lab->plains, key);
    free(key);
    return cJSON_GetStringValue(plain);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

nfds_t lab_poll(const struct lab *lab, struct pollfd *fds) {
    nfds_t len = 0;
    for (size_t i = 0; i < lab->devices_len; i++)
        fds[len++] = (struct pollfd){.fd = lab->devices[i]->out, .events = POLLIN};
    fds[len++] = (struct pollfd){.fd = lab->is_awaited ? lab->listener : -1, .events = POLLIN};
    return len;
}

void lab_service(struct lab *lab) {
    for (size_t i = 0; i < lab->devices_len; i++)
        driver_service(lab->devices[i]);
}

const char *lab_find_leak(const struct lab *lab) {
    const char *leak = NULL;
    const char *sending; /* which this is not */
    for (size_t i = 0; i < lab->devices_len && leak == NULL; i++) {
        char *error = NULL;
        char *log = file_read(lab->devices[i]->log_path, &error);
        if (log != NULL)
            leak = discretion_find(&lab->discretion, log, strlen(log), &sending);
        free(log);
        free(error);
    }
    return leak;
}

static bool holds_secret(const struct lab *lab, const char *path) {
    struct bytes content = {0};
    uint8_t piece[65536];
    size_t got;
    FILE *file = fopen(path, "re");
    while (file != NULL && (got = fread(piece, 1, sizeof piece, file)) > 0)
        bytes_append(&content, piece, got);
    if (file != NULL)
        fclose(file);
    bool found =
        content.len > 0 && canary_find(&lab->discretion.secrets, content.at, content.len) != NULL;
    bytes_fini(&content);
    return found;
}

/* Leaves out the folders that are closed to others, with all that is in them. */
static char *find_exposed_below(const struct lab *lab, char *folder) {
    char *const folders[] = {folder, NULL};
    char *exposed = NULL;
    FTSENT *entry;
    FTS *tree = fts_open(folders, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    while (tree != NULL && exposed == NULL && (entry = fts_read(tree)) != NULL) {
        if (entry->fts_info == FTS_D && (entry->fts_statp->st_mode & (S_IXGRP | S_IXOTH)) == 0)
            fts_set(tree, entry, FTS_SKIP);
        else if (entry->fts_info == FTS_F &&
                 (entry->fts_statp->st_mode & (S_IRGRP | S_IROTH)) != 0 &&
                 holds_secret(lab, entry->fts_accpath))
            exposed = memory_copy_text(entry->fts_path);
    }
    if (tree != NULL)
        fts_close(tree);
    return exposed;
}

char *lab_find_exposed(const struct lab *lab) {
    char *exposed = NULL;
    for (size_t i = 0; i < lab->devices_len && exposed == NULL; i++)
        exposed = find_exposed_below(lab, lab->devices[i]->folder);
    return exposed;
}

const char *lab_fault(const struct lab *lab) {
    for (size_t i = 0; i < lab->devices_len; i++)
        if (lab->devices[i]->fault != NULL)
            return lab->devices[i]->fault;
    return NULL;
}
