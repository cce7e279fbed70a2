#include "scripts/simulation/clock.h"

#include "scripts/simulation/memory.h"

static bool is_before(const struct event *a, const struct event *b) {
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static void swap(struct event *a, struct event *b) {
    struct event kept = *a;
    *a = *b;
    *b = kept;
}

void clock_after(struct clock *clock, uint64_t delay_ms, void (*run)(void *ctx), void *ctx) {
    if (clock->len == clock->capacity) {
        clock->capacity = clock->capacity ? clock->capacity * 2 : 64;
        clock->heap = memory_resize(clock->heap, clock->capacity * sizeof *clock->heap);
    }
    size_t at = clock->len++;
    clock->heap[at] = (struct event){clock->now_ms + delay_ms, clock->made++, run, ctx};
    while (at > 0 && is_before(&clock->heap[at], &clock->heap[(at - 1) / 2])) {
        swap(&clock->heap[at], &clock->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static struct event take_first(struct clock *clock) {
    struct event first = clock->heap[0];
    clock->heap[0] = clock->heap[--clock->len];
    size_t at = 0;
    for (size_t child = 1; child < clock->len; child = 2 * at + 1) {
        if (child + 1 < clock->len && is_before(&clock->heap[child + 1], &clock->heap[child]))
            child++;
        if (!is_before(&clock->heap[child], &clock->heap[at]))
            break;
        swap(&clock->heap[child], &clock->heap[at]);
        at = child;
    }
    return first;
}

bool clock_step(struct clock *clock, uint64_t until_ms) {
    if (clock->len == 0 || clock->heap[0].at_ms > until_ms) {
        clock->now_ms = until_ms;
        return false;
    }
    struct event event = take_first(clock);
    clock->now_ms = event.at_ms;
    clock->steps++;
    event.run(event.ctx);
    return true;
}

void clock_fini(struct clock *clock) {
    free(clock->heap);
}
