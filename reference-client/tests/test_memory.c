/* Memory that is not there: each allocation of a push fails in turn. */
#include "protocol/tests/failing_memory.h"
#include "reference-client/tests/support_session.h"

#include <check.h>

/* Adds two changes while the allocation fails; whether the connection went on. Both are pushed on
 * it or, since it was ended for want of memory, on the next. */
static bool pushes_without(int allocation) {
    struct rig rig;
    rig_init(&rig);
    rig_open(&rig, 0, "c0");
    fails_after = allocation;
    rig_add(&rig, 3);
    fails_after = NEVER;
    bool goes_on = rig.dropped == 0;
    if (!goes_on) {
        ck_assert_int_eq(rig_event(&rig, ATHENA_SYNC_DISCONNECTED)->code, ATHENA_NO_MEMORY);
        rig_open(&rig, 0, "c0");
    }
    rig_say_pushed(&rig, rig_expect_set(&rig, ATHENA_PUSH, 3), -1, ATHENA_OK);
    ck_assert(session_is_in_sync(rig.session));
    rig_fini(&rig);
    return goes_on;
}

/* [ASP-CLI-3] [ASP-CLI-37] */
START_TEST(a_push_without_memory_has_another_turn) {
    int allocation = 0;
    while (!pushes_without(allocation))
        allocation++;
    ck_assert_int_ge(allocation, 4); /* the batch, its bytes, the request, the message */
}
END_TEST

int main(void) {
    const struct support_test tests[] = {{a_push_without_memory_has_another_turn, 1}};
    return support_run("memory", tests, 1, NULL, NULL);
}
