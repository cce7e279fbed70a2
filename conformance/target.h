/*
 * The server under test: an address, or a command that the harness starts, stops, kills and whose
 * data folder it copies. A command runs through the shell in its own process group, its output in
 * a log file; the server has ended when all of the group has; `{port}`
 * becomes a free port, `{dir}` its data folder, and each setting that it takes
 * ("{quota}") the value that a scenario gave or the usual one. A part in brackets that holds
 * `{token_file}` is left out unless a token is to be demanded.
 */
#ifndef CONFORM_TARGET_H
#define CONFORM_TARGET_H

#include "conformance/stream.h"
#include "conformance/transcript.h"
#include "conformance/url.h"

#include <stdbool.h>
#include <sys/types.h>

struct target_options {
    const char *url; /* may hold {port} when there is a command; NULL: ws://127.0.0.1:{port}/ */
    const char *unix_path; /* reach it by this socket; may hold {dir} when there is a command */
    const char *command;   /* NULL: the server at `url` is somebody else's */
    const char *authority; /* NULL: from the url */
    const char *folder;    /* where a command's files go; NULL: the system's temporary folder */
    struct stream_tls tls; /* for wss */
    const char *headers;   /* further handshake lines, each ending with CR LF; NULL for none */
};

/* What a scenario may set, by these names in a `server` step and in the command. */
enum target_setting {
    TARGET_QUOTA,        /* bytes of envelopes that one document may have; 0: as many as it likes */
    TARGET_OPEN_WITHIN,  /* ms in which a client has to open a document [ASP-ABUSE-3] */
    TARGET_IDLE,         /* ms without progress, after which it pings [ASP-WS-28] */
    TARGET_DEAD,         /* ms without progress, after which it ends a connection [ASP-WS-30] */
    TARGET_LIMIT_CHANGE, /* limits.change */
    TARGET_SETTINGS,
};
extern const char *const target_setting_names[TARGET_SETTINGS];

struct target;

/* What to call it: its command, its address or its socket. */
const char *target_name(const struct target_options *options);

/* Borrows the options. NULL with *error (free it) set. */
struct target *target_new(const struct target_options *options, char **error);
/* Kills what it started and removes its folder. */
void target_free(struct target *target);

/* Where to connect to; the receive buffer is the system's. Borrows from the target. */
struct stream_address target_address(const struct target *target);
const struct url *target_url(const struct target *target);
const char *target_authority(const struct target *target);
const char *target_headers(const struct target *target);

/* True when something accepts TCP connections there. */
bool target_accepts(const struct target *target);

/* These need a command. Starting blocks until the server accepts or `deadline_us` passes, then
 * false with *error set. */
bool target_start(struct target *target, int64_t deadline_us, char **error);
/* What the next start gives to a setting that the command takes. */
void target_set(struct target *target, enum target_setting setting, uint64_t value);
/* From the next start on it is to demand this token. False with *error set. */
bool target_demand(struct target *target, const char *token, char **error);
/* SIGKILL for all of the group, and the wait for its end. */
bool target_kill(struct target *target, char **error);
/* SIGTERM for the command, and for what that started once it has ended without ending it: each gets
 * it once, and no shell swallows how the server ended. target_describe_death tells when all has
 * ended. False when it does not run. */
bool target_terminate(struct target *target);
/* Of the shell, or of what took its place; 0 while none of ours runs. */
pid_t target_pid(const struct target *target);
/* Bytes of memory that its processes hold for themselves: what they map from files is not counted.
 */
uint64_t target_memory(const struct target *target);
/* Becomes readable when the shell ends, after which others of its group may still run; -1 while
 * there is none. */
int target_fd(const struct target *target);
/* Copies the data folder away under `name` and back; the server is stopped. */
bool target_save(struct target *target, const char *name, char **error);
bool target_restore(struct target *target, const char *name, char **error);

/* Tells once how the server ended ("exit status 0"); NULL while it runs, or when none was started.
 * free() it. */
char *target_describe_death(struct target *target);
/* The same, once it has: at most until `deadline_us`. */
char *target_await_death(struct target *target, int64_t deadline_us);
/* The last lines the server printed; free() it. */
char *target_log_tail(const struct target *target);
/* Another server, not started, of the same command on the same data, at a port of its own. NULL
 * with *error when the command has no place for that. To be freed before the first. */
struct target *target_twin(const struct target *target, char **error);
/* No file that it writes may grow beyond that, when it is started the next time. */
void target_limit_files(struct target *target, uint64_t bytes);
/* All that it printed; free() it. */
char *target_log(const struct target *target);

#endif
