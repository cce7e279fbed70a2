/* A replica's database in a folder of its own, below the library's public face, and changes to put
 * into it: number n is named so, and its data is one byte of n. */
#ifndef REFERENCE_CLIENT_TESTS_SUPPORT_STORE_H
#define REFERENCE_CLIENT_TESTS_SUPPORT_STORE_H

#include "reference-client/replica_sql.h"
#include "reference-client/tests/support_main.h"

struct support_store {
    char folder[40]; /* made by mkdtemp */
    char path[64];
    struct replica *replica; /* NULL while it is closed */
};

extern const struct athena_text_view support_authority;
extern const struct athena_text_view support_other_authority;

void support_store_init(struct support_store *store);
void support_store_fini(struct support_store *store);
void support_store_close(struct support_store *store);
/* Closes it, if it is open, and opens it, which has to succeed. */
void support_store_reopen(struct support_store *store);
void support_store_run(struct support_store *store, const char *sql);

/* The server of that authority; it is entered when it is new. */
struct replica_server support_store_server(struct support_store *store,
                                           struct athena_text_view authority);

void support_store_begin(struct support_store *store);
void support_store_commit(struct support_store *store);
/* (in a step) Returns the change's local number. */
uint64_t support_store_insert(struct support_store *store, unsigned number, enum change_state state,
                              struct replica_server *holder);
/* In a step of their own: changes of this device. */
void support_store_add(struct support_store *store, unsigned first, unsigned last);
/* Its views stay only until the next call. */
struct replica_change support_store_find(struct support_store *store, unsigned number);

#endif
