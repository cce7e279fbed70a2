/* The library's face: a folder, and in it the key, the replica and, while connected, a session with
 * its transport. Errors of arguments are refused here; the work is done below. */
#include "reference-client/athena_sync_internal.h"
#include "reference-client/key.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum athena_code sync_fail(struct athena_error *error, enum athena_code code, const char *what,
                           const char *why) {
    if (error) {
        *error = (struct athena_error){.code = code};
        snprintf(error->text, sizeof error->text, "%.180s: %.60s", what, why);
    }
    return code;
}

static bool join_path(char path[static PATH_MAX_BYTES], const char *folder, const char *name) {
    int len = snprintf(path, PATH_MAX_BYTES, "%s/%s", folder, name);
    return len > 0 && len < PATH_MAX_BYTES - 8;
}

struct athena_text_view sync_view(const char *text) {
    return (struct athena_text_view){text, strlen(text)};
}

enum athena_code sync_parse_url(struct athena_url *parsed, const char *url,
                                struct athena_error *error) {
    if (strlen(url) >= ATHENA_SYNC_URL_BYTES)
        return sync_fail(error, ATHENA_BAD_URL, "the URL", "longer than 1023 characters");
    return athena_url_parse(parsed, sync_view(url), error);
}

void sync_outbox_changed(struct athena_sync *sync) {
    uint64_t one = 1;
    sync->has_added = true;
    ssize_t written = write(sync->event_fd, &one, sizeof one);
    (void)written;
}

/* ---- Folders ---- */

static void close_descriptor(int fd) {
    if (fd >= 0)
        close(fd);
}

/* The folder's name comes to the disk, before anything is confirmed that is in it [ASP-CLI-2]. */
static bool settle_folder(const char *folder) {
    char parent[PATH_MAX_BYTES];
    join_path(parent, folder, "..");
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    int number = errno;
    close_descriptor(fd);
    errno = number;
    return ok;
}

static bool has_key(const char *folder) {
    char path[PATH_MAX_BYTES];
    return join_path(path, folder, "key") && access(path, F_OK) == 0;
}

/* [ASP-SEC-1]. A folder without a key may have been made by an attempt that ended before its name
 * was on the disk. */
static enum athena_code make_folder(const char *folder, struct athena_error *error) {
    char path[PATH_MAX_BYTES];
    if (!join_path(path, folder, "key"))
        return sync_fail(error, ATHENA_UNAVAILABLE, folder, "the path is too long");
    bool is_made = mkdir(folder, 0700) == 0;
    if ((is_made || errno == EEXIST) && (has_key(folder) || settle_folder(folder)))
        return ATHENA_OK;
    enum athena_code code = sync_fail(error, ATHENA_UNAVAILABLE, folder, strerror(errno));
    if (is_made)
        rmdir(folder);
    return code;
}

/* One process at a time makes or uses what is in a folder. */
static enum athena_code lock_folder(int *fd, const char *folder, struct athena_error *error) {
    char path[PATH_MAX_BYTES];
    join_path(path, folder, "lock");
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return sync_fail(error, ATHENA_UNAVAILABLE, folder, strerror(errno));
    return flock(*fd, LOCK_EX | LOCK_NB) == 0
               ? ATHENA_OK
               : sync_fail(error, ATHENA_UNAVAILABLE, folder, "another process uses this replica");
}

/* Where the lock's file cannot be opened for writing; without one, nobody has written there yet. */
static enum athena_code lock_to_read(int *fd, const char *folder, struct athena_error *error) {
    char path[PATH_MAX_BYTES];
    join_path(path, folder, "lock");
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    return (*fd < 0 && errno == ENOENT) || (*fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) == 0)
               ? ATHENA_OK
               : sync_fail(error, ATHENA_UNAVAILABLE, folder,
                           *fd < 0 ? strerror(errno) : "another process uses this replica");
}

/* ---- Making ---- */

/* Nothing is in the way but an empty replica, of an attempt that did not come to its key. */
static enum athena_code check_leftover(const char *path, struct athena_error *error) {
    struct replica *replica;
    struct replica_change change = {0};
    if (access(path, F_OK) != 0)
        return ATHENA_OK;
    enum athena_code code = replica_open(&replica, path, error);
    if (code)
        return code;
    code = replica_next(replica, 0, &change, error);
    replica_close(replica);
    return code || change.number == 0 ? code
                                      : sync_fail(error, ATHENA_ALREADY_OPEN, path,
                                                  "holds changes, but its key is missing");
}

/* The database comes to its name when it is complete: what has the name is never half made. */
static enum athena_code make_database(const char *folder,
                                      const uint8_t doc[static ATHENA_DOC_BYTES], const char *url,
                                      struct athena_error *error) {
    char path[PATH_MAX_BYTES];
    char partial[PATH_MAX_BYTES];
    join_path(path, folder, "replica.db");
    join_path(partial, folder, "new.db");
    enum athena_code code = check_leftover(path, error);
    if (!code)
        code = replica_create(partial, doc, url, error);
    if (code || rename(partial, path) == 0)
        return code;
    code = sync_fail(error, ATHENA_UNAVAILABLE, path, strerror(errno));
    unlink(partial);
    return code;
}

/* The key comes last: with it the replica is there. */
static enum athena_code make_replica(const char *folder, const uint8_t *secret, const char *url,
                                     const char *passphrase, struct athena_error *error) {
    char path[PATH_MAX_BYTES];
    uint8_t own_secret[ATHENA_SECRET_BYTES];
    struct athena_keys keys;
    if (secret)
        memcpy(own_secret, secret, sizeof own_secret);
    else
        randombytes_buf(own_secret, sizeof own_secret);
    athena_keys_derive(&keys, own_secret);
    enum athena_code code = make_database(folder, keys.doc, url, error);
    join_path(path, folder, "key");
    if (!code)
        code = key_save(path, own_secret, passphrase, error);
    sodium_memzero(own_secret, sizeof own_secret);
    athena_keys_wipe(&keys);
    return code;
}

/* The folder is looked at before it is locked, so that a replica in use is named for what it is,
 * and again behind the lock, because another process may have made one meanwhile. */
enum athena_code athena_sync_create(const char *folder, const uint8_t *secret, const char *url,
                                    const char *passphrase, struct athena_error *error) {
    struct athena_url parsed;
    int lock_fd = -1;
    if (sodium_init() < 0)
        return sync_fail(error, ATHENA_INTERNAL, "libsodium", "cannot start");
    enum athena_code code = url ? sync_parse_url(&parsed, url, error) : ATHENA_OK;
    if (!code)
        code = make_folder(folder, error);
    if (!code && !has_key(folder))
        code = lock_folder(&lock_fd, folder, error);
    if (!code && has_key(folder))
        code = sync_fail(error, ATHENA_ALREADY_OPEN, folder, "holds a replica already");
    if (!code)
        code = make_replica(folder, secret, url, passphrase, error);
    close_descriptor(lock_fd);
    return code;
}

/* ---- Opening ---- */

static enum athena_code open_descriptors(struct athena_sync *sync, struct athena_error *error) {
    struct epoll_event event = {.events = EPOLLIN};
    sync->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    sync->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sync->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (sync->epoll_fd < 0 || sync->event_fd < 0 || sync->timer_fd < 0 ||
        epoll_ctl(sync->epoll_fd, EPOLL_CTL_ADD, sync->event_fd, &event) != 0 ||
        epoll_ctl(sync->epoll_fd, EPOLL_CTL_ADD, sync->timer_fd, &event) != 0)
        return sync_fail(error, ATHENA_UNAVAILABLE, "event descriptors", strerror(errno));
    return ATHENA_OK;
}

static enum athena_code open_all(struct athena_sync *sync, const char *folder,
                                 const char *passphrase, bool is_to_read,
                                 struct athena_error *error) {
    char path[PATH_MAX_BYTES];
    if (!join_path(sync->key_path, folder, "key") || !has_key(folder))
        return sync_fail(error, ATHENA_UNAVAILABLE, folder, "holds no replica");
    enum athena_code code = lock_folder(&sync->lock_fd, folder, error);
    if (code && is_to_read && sync->lock_fd < 0)
        code = lock_to_read(&sync->lock_fd, folder, error);
    if (!code)
        code = key_load(sync->key_path, sync->secret, passphrase, error);
    if (code)
        return code;
    athena_keys_derive(&sync->keys, sync->secret);
    join_path(path, folder, "replica.db");
    code = replica_open(&sync->replica, path, error);
    if (code == ATHENA_UNAVAILABLE && is_to_read)
        code = replica_open_to_read(&sync->replica, path, error);
    if (!code && memcmp(replica_doc(sync->replica), sync->keys.doc, ATHENA_DOC_BYTES) != 0)
        code = sync_fail(error, ATHENA_INTERNAL, folder, "the key is not that of this replica");
    return code ? code : open_descriptors(sync, error);
}

static enum athena_code open_folder(struct athena_sync **sync, const char *folder,
                                    const char *passphrase, bool is_to_read,
                                    struct athena_error *error) {
    if (sodium_init() < 0)
        return sync_fail(error, ATHENA_INTERNAL, "libsodium", "cannot start");
    struct athena_sync *opened = calloc(1, sizeof *opened);
    if (!opened)
        return sync_fail(error, ATHENA_NO_MEMORY, folder, "out of memory");
    opened->lock_fd = opened->epoll_fd = opened->event_fd = opened->timer_fd = -1;
    enum athena_code code = open_all(opened, folder, passphrase, is_to_read, error);
    if (code)
        athena_sync_close(opened);
    else
        *sync = opened;
    return code;
}

enum athena_code athena_sync_open(struct athena_sync **sync, const char *folder,
                                  const char *passphrase, struct athena_error *error) {
    return open_folder(sync, folder, passphrase, false, error);
}

enum athena_code athena_sync_open_to_read(struct athena_sync **sync, const char *folder,
                                          const char *passphrase, struct athena_error *error) {
    return open_folder(sync, folder, passphrase, true, error);
}

void athena_sync_close(struct athena_sync *sync) {
    if (!sync)
        return;
    assert(!sync->is_in_service); /* the caller of the handler would go on with what is freed */
    athena_sync_disconnect(sync);
    replica_close(sync->replica);
    close_descriptor(sync->epoll_fd);
    close_descriptor(sync->event_fd);
    close_descriptor(sync->timer_fd);
    close_descriptor(sync->lock_fd);
    athena_keys_wipe(&sync->keys);
    sodium_memzero(sync->secret, sizeof sync->secret);
    free(sync);
}

void athena_sync_secret(const struct athena_sync *sync,
                        uint8_t secret[static ATHENA_SECRET_BYTES]) {
    memcpy(secret, sync->secret, ATHENA_SECRET_BYTES);
}

void athena_sync_doc(const struct athena_sync *sync, uint8_t doc[static ATHENA_DOC_BYTES]) {
    memcpy(doc, sync->keys.doc, ATHENA_DOC_BYTES);
}

enum athena_code athena_sync_lock(struct athena_sync *sync, const char *passphrase,
                                  struct athena_error *error) {
    return key_save(sync->key_path, sync->secret, passphrase, error);
}

/* ---- Adding ---- */

/* Seals and inserts one change of the step under way: what is sent is what is stored [ASP-ID-7]
 * [ASP-CLI-4] [ASP-SEC-7]. */
static enum athena_code add_one(struct athena_sync *sync,
                                const struct athena_sync_new_change *change,
                                char id[static ATHENA_CHANGE_ID_TEXT_MAX + 1], uint64_t *number,
                                struct athena_error *error) {
    uint8_t random[ATHENA_UUID_BYTES];
    randombytes_buf(random, sizeof random);
    enum athena_code code = athena_change_id_make(id, change->actor, random, error);
    if (code)
        return code;
    struct replica_change stored = {.is_own = true, .id = sync_view(id)};
    uint8_t *data = malloc(athena_envelope_len(change->plain.len));
    if (!data)
        return sync_fail(error, ATHENA_NO_MEMORY, "a change", "out of memory");
    athena_envelope_seal(data, &sync->keys, stored.id, change->plain);
    stored.data = (struct athena_bytes_view){data, athena_envelope_len(change->plain.len)};
    code = replica_insert(sync->replica, &stored, NULL, NULL, error);
    *number = stored.number;
    free(data);
    return code;
}

struct added {
    char id[ATHENA_CHANGE_ID_TEXT_MAX + 1];
    uint64_t number;
};

static enum athena_code add_all(struct athena_sync *sync,
                                const struct athena_sync_new_change *changes, size_t len,
                                struct added *added, struct athena_error *error) {
    enum athena_code code = replica_begin(sync->replica, error);
    if (code)
        return code;
    for (size_t i = 0; i < len && !code; i++)
        code = add_one(sync, &changes[i], added[i].id, &added[i].number, error);
    return replica_finish(sync->replica, code, error);
}

/* [ASP-CLI-1] */
enum athena_code athena_sync_add(struct athena_sync *sync,
                                 const struct athena_sync_new_change *changes, size_t len,
                                 void (*added)(void *ctx, const struct athena_sync_change *change),
                                 void *ctx, struct athena_error *error) {
    if (len == 0)
        return ATHENA_OK;
    struct added *all = calloc(len, sizeof *all);
    if (!all)
        return sync_fail(error, ATHENA_NO_MEMORY, "changes", "out of memory");
    enum athena_code code = add_all(sync, changes, len, all, error);
    for (size_t i = 0; i < len && !code && added; i++) {
        struct athena_sync_change change = {.number = all[i].number,
                                            .id = sync_view(all[i].id),
                                            .plain = changes[i].plain,
                                            .is_own = true};
        added(ctx, &change);
    }
    free(all);
    if (!code)
        sync_outbox_changed(sync);
    return code;
}

/* ---- Status ---- */

enum athena_code athena_sync_get_url(struct athena_sync *sync,
                                     char url[static ATHENA_SYNC_URL_BYTES],
                                     struct athena_error *error) {
    return replica_get_text(sync->replica, "url", url, ATHENA_SYNC_URL_BYTES, error);
}

/* Before the first connection a server lacks everything. */
static enum athena_code count(struct athena_sync *sync, struct athena_sync_status *status,
                              struct replica_server *server, struct athena_error *error) {
    struct replica_counts counts;
    enum athena_code code = ATHENA_OK;
    if (status->has_server)
        code = sync_find_server(sync, status->url, server, error);
    if (!code)
        code = replica_count(sync->replica, server->key ? server : NULL, &counts, error);
    if (code)
        return code;
    status->changes = counts.readable;
    status->quarantined = counts.quarantined;
    status->digest = counts.digest;
    status->pending = server->key || !status->has_server ? counts.waiting : counts.readable;
    status->refused = counts.refused;
    status->conflicts = counts.conflicts;
    return ATHENA_OK;
}

enum athena_code athena_sync_get_status(struct athena_sync *sync, struct athena_sync_status *status,
                                        struct athena_error *error) {
    struct athena_url url;
    struct replica_server server = {0};
    *status = (struct athena_sync_status){0};
    enum athena_code code = athena_sync_get_url(sync, status->url, error);
    status->has_server = !code && sync_parse_url(&url, status->url, NULL) == ATHENA_OK;
    if (!code)
        code = count(sync, status, &server, error);
    if (code)
        return code;
    status->known = server.known;
    status->has_cursor = server.cursor[0] != '\0';
    status->is_connected = sync->session && session_is_connected(sync->session);
    status->is_in_sync = sync->session && session_is_in_sync(sync->session);
    return ATHENA_OK;
}
