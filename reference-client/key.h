/* The document secret in a replica's folder: in a file of its own, plainly or locked by a
 * passphrase. */
#ifndef REFERENCE_CLIENT_KEY_H
#define REFERENCE_CLIENT_KEY_H

#include "protocol/athena_protocol.h"

/* Written to a temporary file, flushed, renamed; readable by its owner only. `passphrase` NULL
 * stores it plainly; otherwise Argon2id makes the key of a secretbox around it. ATHENA_UNAVAILABLE
 * when it cannot be written: the file is what it was, and no other is left. */
enum athena_code key_save(const char *path, const uint8_t secret[static ATHENA_SECRET_BYTES],
                          const char *passphrase, struct athena_error *error);
/* ATHENA_FORBIDDEN when a passphrase is needed and NULL, or wrong; ATHENA_UNAVAILABLE when the file
 * cannot be read; ATHENA_INTERNAL when it is in neither form. */
enum athena_code key_load(const char *path, uint8_t secret[static ATHENA_SECRET_BYTES],
                          const char *passphrase, struct athena_error *error);

#endif
