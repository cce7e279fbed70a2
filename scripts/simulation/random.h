/* The one source of chance: splitmix64. The seed decides everything that happens. */
#ifndef SIMULATION_RANDOM_H
#define SIMULATION_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random) {
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 <= result < bound; bound > 0. */
static inline uint64_t random_below(struct random *random, uint64_t bound) {
    return random_next(random) % bound;
}

static inline uint64_t random_between(struct random *random, uint64_t least, uint64_t most) {
    return least + random_below(random, most - least + 1);
}

static inline bool random_chance(struct random *random, unsigned percent) {
    return random_below(random, 100) < percent;
}

static inline void random_fill(struct random *random, uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(random_next(random) >> 56);
}

#endif
