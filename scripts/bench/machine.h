/* Which machine the figures are of. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdbool.h>

struct machine {
    long cores;
    char processor[128];
    char kernel[160];
    double memory_mib;
    char file_system[32]; /* of the work folder */
    bool is_on_disk; /* false: nothing there survives a loss of power, durability is not measured */
};
void machine_read(struct machine *machine, const char *folder);
void machine_print(const struct machine *machine);
/* A JSON object; free() it. */
char *machine_json(const struct machine *machine);

#endif
