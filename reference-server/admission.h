/* Who may connect at all: bearer tokens an operator has given out [ASP-WS-11]. */
#ifndef REFERENCE_SERVER_ADMISSION_H
#define REFERENCE_SERVER_ADMISSION_H

#include "reference-server/http.h"

struct admission; /* NULL: no token is demanded */

/* One token a line; empty lines and lines that begin with '#' are skipped. NULL with *error set
 * when the file cannot be read, holds no token or a malformed one. */
struct admission *admission_load(const char *path, struct athena_error *error);
void admission_free(struct admission *admission);
/* Whether the request carries a valid token, in either of the two ways [ASP-WS-13]. */
bool admission_check(const struct admission *admission, const struct http_request *request);

#endif
