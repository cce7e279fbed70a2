/*
 * A scripted server in a process of its own, for tests of the engine: it says what it is told,
 * right or wrong. A script is an array of reactions; each is used once unless "always" is true:
 *
 *   {"when": "connect", "from": 1, "do": [{"text": "{...}"}]}
 *   {"when": {"type": "push"}, "do": [{"text": "..."}, {"to": 2, "text": "..."}, {"close": 4000}]}
 *
 * or of names of reactions that most scripts have: "greets", "opens", "stores", "answers" (any
 * request, with an error).
 *
 * "from" is the number of the connection (from 1), any when absent; "when" a template as in a
 * scenario's expect. In a text, $req, $doc, $changes and $ids become what the message said,
 * $pushed and $digest the changes of the last push and their digest.
 * Actions: "text" (a message), "raw" (bytes in hex, outside frames), "close" (a code; 0 drops the
 * stream), "reset". A reaction to "head" answers the HTTP request itself, only if that "contains" a
 * text when the reaction has one, with "http": "...", or changes the honest answer, with "edit":
 * ["from", "to"]. "exit" ends the process with a status, "abort" as a crash does. After
 * "ignore_pings" only a reaction to "ping" answers one; after "deaf" nothing is read there any
 * more.
 *
 * As a program of its own it is a command for `--exec`: PROGRAM fake PORT FILE DIR [NAME=VALUE]...
 * with the script in FILE. In a text, $NAME becomes VALUE, or of $token_file what that file holds,
 * and $starts how often it was started on the data in DIR. A reaction to "stop" is to SIGTERM, of
 * which it dies otherwise.
 */
#ifndef CONFORM_SUPPORT_FAKE_H
#define CONFORM_SUPPORT_FAKE_H

#include <cjson/cJSON.h>
#include <sys/types.h>

struct fake {
    pid_t pid;
    unsigned port;
};

/* Listens before it returns. */
struct fake fake_start(const cJSON *script);
void fake_stop(struct fake *fake);

/* Runs the program when `argv` asks for a fake; returns otherwise. */
void fake_main(int argc, char **argv);

#endif
