/* Where a server is: a ws:// or wss:// address taken apart, and its authority as the URL standard
 * writes it.
 */
#ifndef CONFORM_URL_H
#define CONFORM_URL_H

#include <stdbool.h>

enum { URL_HOST_MAX = 255, URL_TEXT_MAX = 2048 };

struct url {
    bool secure;                 /* wss */
    char host[URL_HOST_MAX + 1]; /* lower case; IPv6 without brackets */
    char port[6];
    char path[URL_TEXT_MAX];              /* with its query, begins with '/' */
    char authority[URL_HOST_MAX + 3 + 7]; /* host, and port when it is not the scheme's default */
};

/* Parses ws://host[:port][/path], or the same with wss. False with a static reason for anything
 * else. */
bool url_parse(const char *text, struct url *url, const char **reason);

#endif
