/* What a test tells shim_faults.c, which a program under test has loaded, to do to it: one of
 * these, in a file that both have mapped. What is not set does no harm.
 */
#ifndef SCRIPTS_FAULTS_FAULTS_H
#define SCRIPTS_FAULTS_FAULTS_H

#include <stdatomic.h>

#define FAULTS_VARIABLE "ATHENA_TEST_FAULTS" /* of the environment: the path of the file */

enum disk_fault {
    DISK_GOOD,
    DISK_FULL,        /* whatever is written to a file: ENOSPC */
    DISK_READ_ONLY,   /* whatever is written, or opened for it: EROFS */
    DISK_FAILS_SYNCS, /* fsync and fdatasync: EIO */
    DISK_HANGS,       /* fsync and fdatasync return when this is no longer so */
    DISK_FAILS_READS, /* whatever is read from a file: EIO */
};

struct faults {
    atomic_int disk; /* enum disk_fault */
    atomic_long
        torn_write;      /* so many writes from now half of one is written, then SIGKILL; 0: none */
    atomic_long syncs;   /* counted: calls of fsync and fdatasync that have begun */
    atomic_long clock_s; /* by how much the wall clock is wrong */
    atomic_long full_write;   /* so many writes from now the disk is full; 0: not by itself */
    atomic_long failing_sync; /* so many syncs from now they fail; 0: not by themselves */
    /* So many writes, syncs and renames from now power is lost, or at the program's end; 0: not. */
    atomic_long power_loss;
    atomic_uint dropped; /* then: which of the writes that are not synced, see shim_power.h */
};

#endif
