/* Random bytes that a seed repeats: every generated value of a scenario comes from here. */
#ifndef CONFORM_ENTROPY_H
#define CONFORM_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

struct entropy {
    uint8_t key[32];
    uint64_t drawn; /* calls so far */
};

/* The same seed and label give the same sequence, on any machine. */
void entropy_init(struct entropy *entropy, uint64_t seed, const char *label);
void entropy_fill(struct entropy *entropy, void *out, size_t len);

#endif
