/* What the machine can do without us, in the same run. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

struct bench;
struct series;

/* Rows a second that SQLite alone commits: rows as large as the server's (id, envelope, tag), WAL,
 * synchronous=FULL, so many in a transaction. Appending is the least any store has to do; a unique
 * index on the ids, which are random, is the plainest way to refuse one that is there already. */
double limits_sqlite_rows(struct bench *bench, size_t rows, size_t rows_per_commit,
                          bool has_unique_ids);

/* Milliseconds that each of so many flushes of 12 KiB takes, 50 a second: what a commit of one
 * change waits for. Appended to *times. */
void limits_flushes(struct bench *bench, size_t count, struct series *times);

#endif
