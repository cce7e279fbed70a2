#include "reference-server/committer.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/statvfs.h>

struct committer {
    struct committer_options options;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond; /* something waits, or the end */
    struct push_lanes waiting;
    struct push_queue done;
    struct committer_counters counters;
    bool is_stopping;
};

static bool has_free_space(const struct committer_options *options) {
    struct statvfs stat;
    if (options->free_bytes_floor == 0 || statvfs(options->folder, &stat) != 0)
        return true; /* what cannot be told is left to the commit to find out */
    return (uint64_t)stat.f_bavail * stat.f_frsize >= options->free_bytes_floor;
}

/* Beneath the floor nothing new is stored, but what is stored already is still a duplicate. False
 * when anything has failed. */
static bool commit(struct committer *committer, struct push *chain) {
    struct store_quota quota = committer->options.quota;
    if (!has_free_space(&committer->options))
        quota.total_bytes = 1;
    struct athena_error error = {0};
    push_commit(chain, committer->options.store, &quota, &error);
    if (error.code)
        committer->options.report(committer->options.ctx, &error);
    return !error.code;
}

/* Waits for pushes and takes those whose turn it is; NULL at the end. */
static struct push *take_waiting(struct committer *committer) {
    pthread_mutex_lock(&committer->mutex);
    while (!committer->waiting.first && !committer->is_stopping)
        pthread_cond_wait(&committer->cond, &committer->mutex);
    struct push *chain = push_lanes_take(&committer->waiting);
    pthread_mutex_unlock(&committer->mutex);
    return chain;
}

static void hand_back(struct committer *committer, struct push *chain, bool ok) {
    bool is_committed = false;
    pthread_mutex_lock(&committer->mutex);
    while (chain) {
        struct push *next = chain->next;
        is_committed |= !chain->code;
        push_queue_add(&committer->done, chain);
        chain = next;
    }
    committer->counters.commits += is_committed;
    committer->counters.failures += !ok;
    pthread_mutex_unlock(&committer->mutex);
    committer->options.notify(committer->options.ctx);
}

/* [ASP-LOG-5] */
static void *run(void *argument) {
    struct committer *committer = argument;
    struct push *chain;
    while ((chain = take_waiting(committer)))
        hand_back(committer, chain, commit(committer, chain));
    return NULL;
}

struct committer *committer_start(const struct committer_options *options) {
    struct committer *committer = calloc(1, sizeof *committer);
    if (!committer)
        return NULL;
    committer->options = *options;
    pthread_mutex_init(&committer->mutex, NULL);
    pthread_cond_init(&committer->cond, NULL);
    if (pthread_create(&committer->thread, NULL, run, committer) == 0)
        return committer;
    free(committer);
    return NULL;
}

void committer_stop(struct committer *committer) {
    pthread_mutex_lock(&committer->mutex);
    committer->is_stopping = true;
    pthread_cond_signal(&committer->cond);
    pthread_mutex_unlock(&committer->mutex);
    pthread_join(committer->thread, NULL);
}

void committer_free(struct committer *committer) {
    if (!committer)
        return;
    pthread_mutex_destroy(&committer->mutex);
    pthread_cond_destroy(&committer->cond);
    free(committer);
}

void committer_submit(struct committer *committer, struct push *push) {
    pthread_mutex_lock(&committer->mutex);
    bool was_empty = !committer->waiting.first;
    push_lanes_add(&committer->waiting, push);
    if (was_empty)
        pthread_cond_signal(&committer->cond);
    pthread_mutex_unlock(&committer->mutex);
}

struct push *committer_done(struct committer *committer) {
    pthread_mutex_lock(&committer->mutex);
    struct push *push = push_queue_take(&committer->done);
    pthread_mutex_unlock(&committer->mutex);
    return push;
}

struct committer_counters committer_counters(struct committer *committer) {
    pthread_mutex_lock(&committer->mutex);
    struct committer_counters counters = committer->counters;
    pthread_mutex_unlock(&committer->mutex);
    return counters;
}
