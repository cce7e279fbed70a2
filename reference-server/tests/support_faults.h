/* A server whose disk, descriptors and clock a test breaks, by shim_faults.c. */
#ifndef SERVER_TESTS_SUPPORT_FAULTS_H
#define SERVER_TESTS_SUPPORT_FAULTS_H

#include "reference-server/tests/support_client.h"
#include "reference-server/tests/support_process.h"
#include "scripts/faults/faults.h"

extern struct faults *faults;
extern struct server faulty_server;
extern struct athena_keys faulty_keys; /* of its one document */
/* For any process that is to have the faults as well. */
extern const struct process_setting faulty_setting;

/* Maps `faults` for what is started next: none yet. */
void faulty_map(void);
/* Maps them and starts the server on a fresh folder. */
void faulty_start(void);
/* Connects and opens the document; `opened` may be NULL. */
void faulty_join(struct client *client, struct athena_message *opened);
/* From here on every process that is started has the faults; starts the server on its folder, with
 * nothing cached. */
void faulty_restart(void);

/* The log, listed whole, begins with changes 1 to `acknowledged`; what is behind them was pushed as
 * well, and answered with `unavailable` or not at all. Returns how many there are. */
uint64_t faulty_expect_log(uint64_t acknowledged);
/* After a kill: whole by its own judgement, and serving all of it, without faults. */
void faulty_expect_log_after_kill(uint64_t acknowledged);

/* A fault that begins with the nth operation of its kind from now; 0: not. */
struct faulty_countdown {
    size_t offset; /* of its member in struct faults */
    unsigned dropped;
};
extern const struct faulty_countdown faulty_fills;
extern const struct faulty_countdown faulty_stops_to_sync;
void faulty_count_down(const struct faulty_countdown *countdown, long nth);

#endif
