/* What backup, restore and check need to know of the SQLite store beyond store.h. */
#ifndef REFERENCE_SERVER_STORE_SQLITE_H
#define REFERENCE_SERVER_STORE_SQLITE_H

#include "reference-server/store.h"

#include <sqlite3.h>

#define STORE_FILE "athena.db"
enum { STORE_ID_KEY_BYTES = 16 };

/* The key of this store's index of ids; false when the database has none. */
bool store_sqlite_id_key(sqlite3 *db, uint8_t key[static STORE_ID_KEY_BYTES]);
/* What the index holds for an id. */
int64_t store_sqlite_id_hash(const uint8_t key[static STORE_ID_KEY_BYTES],
                             struct athena_text_view id);
/* Whether the database is one this program can use, or empty. */
enum athena_code store_sqlite_check_version(sqlite3 *db, bool *is_empty,
                                            struct athena_error *error);

#endif
