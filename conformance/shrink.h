/* Finds the smallest part of a plan that still breaks the same requirement. */
#ifndef CONFORM_SHRINK_H
#define CONFORM_SHRINK_H

#include "conformance/round.h"

struct shrinking {
    struct plan plan;
    struct verdict verdict; /* of its last failure */
    unsigned runs;          /* that it took */
    bool is_reproduced;     /* the whole plan failed again; else `plan` is whole */
};

/* `failure` is how the whole plan ended. Ends after `budget_ms` with what it has by then. Free with
 * shrinking_fini. */
struct shrinking shrink(const struct round_setting *setting, const struct plan *plan, uint64_t seed,
                        const struct verdict *failure, int budget_ms);
void shrinking_fini(struct shrinking *shrinking);

#endif
