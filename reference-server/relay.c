#include "reference-server/session_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- pushed ---- */

/* Room for one more range; NULL without memory. */
static struct own_range *add_own(struct open_document *d) {
    if (d->own && d->own_first > 0) {
        memmove(d->own, d->own + d->own_first, d->own_len * sizeof *d->own);
        d->own_first = 0;
    }
    if (d->own_len == d->own_capacity) {
        size_t capacity = d->own_capacity ? d->own_capacity * 2 : 4;
        struct own_range *own = realloc(d->own, capacity * sizeof *own);
        if (!own)
            return NULL;
        d->own = own;
        d->own_capacity = capacity;
    }
    return &d->own[d->own_len++];
}

static void remember_own(struct session *s, struct open_document *d, uint64_t first,
                         uint64_t last) {
    struct own_range *latest = d->own_len ? &d->own[d->own_first + d->own_len - 1] : NULL;
    if (latest && latest->last + 1 == first) {
        latest->last = last;
        return;
    }
    struct own_range *added = add_own(d);
    if (added)
        *added = (struct own_range){first, last};
    else
        session_give_up(s);
}

/* Two arrays in one allocation; NULL without memory [ASP-PUSH-6]. */
static uint64_t *collect(const struct push *push, struct athena_message *pushed) {
    size_t size = push->len * (sizeof(uint64_t) + sizeof(struct athena_rejected));
    uint64_t *duplicates = malloc(size);
    if (!duplicates)
        return NULL;
    struct athena_rejected *rejected = (struct athena_rejected *)(void *)(duplicates + push->len);
    for (size_t i = 0; i < push->len; i++) {
        if (push->entries[i].outcome == STORE_DUPLICATE)
            duplicates[pushed->duplicates_len++] = i;
        else if (push->entries[i].outcome == STORE_REJECTED)
            rejected[pushed->rejected_len++] = (struct athena_rejected){i, push->entries[i].code};
    }
    pushed->duplicates = duplicates;
    pushed->rejected = rejected;
    return duplicates;
}

static void answer_pushed(struct session *s, const struct push *push,
                          const struct athena_message *request) {
    struct athena_message pushed = session_answer(request, ATHENA_PUSHED);
    uint64_t *memory = collect(push, &pushed);
    if (!memory) {
        session_give_up(s);
        return;
    }
    struct session_counters *counters = &s->host->counters;
    counters->changes_stored += push->stored;
    counters->changes_duplicate += pushed.duplicates_len;
    counters->changes_rejected += pushed.rejected_len;
    struct open_document *d = session_document(s, push->doc);
    uint64_t last = push->head.digest.count;
    if (push->stored > 0 && d)
        remember_own(s, d, last - push->stored + 1, last);
    session_reply(s, &pushed);
    free(memory);
}

/* [ASP-PUSH-9] */
void relay_end_push(struct session *s, const struct push *push) {
    struct athena_message request = {.has_req = true, .req = push->req, .has_doc = true};
    memcpy(request.doc, push->doc, ATHENA_DOC_BYTES);
    if (push->code)
        session_refuse(s, &request, push->code, "", "the store cannot commit now");
    else
        answer_pushed(s, push, &request);
}

/* ---- changed ---- */

/* Moves over what this connection stored itself; how far others' changes reach behind that
 * [ASP-LIVE-3]. */
static uint64_t skip_own(struct open_document *d) {
    while (d->own_len > 0 && d->own[d->own_first].first <= d->position + 1) {
        d->position = d->own[d->own_first].last;
        d->own_first++;
        d->own_len--;
    }
    return d->own_len > 0 ? d->own[d->own_first].first - 1
                          : document_head(d->document)->digest.count;
}

/* [ASP-LIVE-1] [ASP-LIVE-2] [ASP-FLOW-3] */
struct frame *relay_next(struct session *s, struct open_document *d) {
    uint64_t until = skip_own(d);
    struct frame *frame = NULL;
    struct athena_error error = {0};
    if (d->position >= until)
        return NULL;
    uint64_t last;
    enum athena_code code = documents_changed(s->host->documents, d->document, d->position, until,
                                              &frame, &last, &error);
    if (code) {
        s->host->report(s->host, &error);
        session_close_with(s, CLOSE_CANNOT_CONTINUE); /* [ASP-FLOW-5] */
        return NULL;
    }
    d->position = last;
    s->host->counters.changed_frames++;
    return frame;
}
