/* What needs a person's attention: changes in quarantine, and those that the server refuses or
 * holds other bytes of. And servers, as far as a replica keeps anything about them. */
#include "reference-client/athena_sync_internal.h"

#include <stdlib.h>

/* ---- Servers ---- */

enum athena_code sync_find_server(struct athena_sync *sync, const char *url,
                                  struct replica_server *server, struct athena_error *error) {
    struct athena_url parsed;
    *server = (struct replica_server){0};
    enum athena_code code = sync_parse_url(&parsed, url, error);
    return code ? code
                : replica_find_server(sync->replica, sync_view(parsed.authority), server, error);
}

enum athena_code athena_sync_forget_server(struct athena_sync *sync, const char *url,
                                           struct athena_error *error) {
    struct replica_server server;
    if (sync->session)
        return sync_fail(error, ATHENA_ALREADY_OPEN, "the server", "disconnect first");
    enum athena_code code = sync_find_server(sync, url, &server, error);
    if (!code && server.key == 0)
        return sync_fail(error, ATHENA_BAD_URL, url, "no such server is known here");
    if (!code)
        code = replica_begin(sync->replica, error);
    if (code)
        return code;
    code = replica_forget_server(sync->replica, &server, error);
    return replica_finish(sync->replica, code, error);
}

/* ---- Attention ---- */

/* All is read before any of it is told, since who is told may use the store. */
struct attention_list {
    struct athena_sync_attention *items;
    size_t len;
    size_t capacity;
    struct athena_buf texts; /* of each item in turn: id, reason, other */
};

static bool keep(void *ctx, const struct replica_attention *found) {
    static const enum athena_sync_event_type types[] = {
        [ATTENTION_QUARANTINED] = ATHENA_SYNC_QUARANTINED,
        [ATTENTION_REFUSED] = ATHENA_SYNC_REFUSED,
        [ATTENTION_CONFLICT] = ATHENA_SYNC_CONFLICT,
    };
    struct attention_list *list = ctx;
    if (list->len == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        void *items = realloc(list->items, capacity * sizeof *list->items);
        if (!items)
            return false;
        list->items = items;
        list->capacity = capacity;
    }
    athena_buf_append(&list->texts, found->id.at, found->id.len);
    athena_buf_append(&list->texts, found->reason.at, found->reason.len);
    athena_buf_append(&list->texts, found->other.at, found->other.len);
    list->items[list->len++] = (struct athena_sync_attention){
        types[found->kind], found->number, found->id, found->reason, found->other};
    return !list->texts.failed;
}

static void tell(struct attention_list *list,
                 bool (*each)(void *ctx, const struct athena_sync_attention *attention),
                 void *ctx) {
    const char *at = list->texts.at;
    bool goes_on = true;
    for (size_t i = 0; i < list->len && goes_on; i++) {
        struct athena_sync_attention *item = &list->items[i];
        item->id.at = at;
        item->reason.at = item->id.at + item->id.len;
        item->other.at = (const uint8_t *)item->reason.at + item->reason.len;
        at = (const char *)item->other.at + item->other.len;
        goes_on = each(ctx, item);
    }
}

enum athena_code
athena_sync_each_attention(struct athena_sync *sync,
                           bool (*each)(void *ctx, const struct athena_sync_attention *attention),
                           void *ctx, struct athena_error *error) {
    char url[ATHENA_SYNC_URL_BYTES];
    struct replica_server server = {0};
    struct attention_list list = {0};
    enum athena_code code = athena_sync_get_url(sync, url, error);
    if (!code && *url)
        code = sync_find_server(sync, url, &server, error);
    if (!code)
        code = replica_each_attention(sync->replica, &server, keep, &list, error);
    if (!code)
        tell(&list, each, ctx);
    athena_buf_fini(&list.texts);
    free(list.items);
    return code;
}
