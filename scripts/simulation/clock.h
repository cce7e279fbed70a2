/* Virtual time: nothing happens but by events, in the order of their time, then of their making. */
#ifndef SIMULATION_CLOCK_H
#define SIMULATION_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event {
    uint64_t at_ms;
    uint64_t order;
    void (*run)(void *ctx);
    void *ctx; /* lives as long as the world */
};

/* Zero-initialise; clock_fini. */
struct clock {
    uint64_t now_ms;
    uint64_t made;
    uint64_t steps;
    struct event *heap;
    size_t len;
    size_t capacity;
};

void clock_after(struct clock *clock, uint64_t delay_ms, void (*run)(void *ctx), void *ctx);
/* Runs the next event, unless there is none up to that time; then it is that time. */
bool clock_step(struct clock *clock, uint64_t until_ms);
void clock_fini(struct clock *clock);

#endif
