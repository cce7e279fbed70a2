#include "conformance/driver.h"

#include "conformance/file.h"
#include "conformance/json_strict.h"
#include "conformance/json_write.h"
#include "conformance/match.h"
#include "conformance/message.h"
#include "conformance/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_BYTES = 65536, LINE_BYTES_MAX = 64 * 1024 * 1024, LOG_TAIL_BYTES = 4000 };

struct driver *driver_new(const struct driver_options *options, const struct spec *spec,
                          struct transcript *transcript) {
    struct driver *driver = memory_take(sizeof *driver);
    char *dir = memory_format("%s/%s", options->folder, options->name);
    char *with_dir = process_fill_in(options->command, "{dir}", dir);
    char *with_key = process_fill_in(with_dir, "{key}", options->key);
    char *with_url = process_fill_in(with_key, "{url}", options->url);
    char *patience_ms = memory_format("%u", options->patience_ms);
    driver->command = process_fill_in(with_url, "{patience_ms}", patience_ms);
    driver->log_path = memory_format("%s.log", dir);
    driver->name = memory_copy_text(options->name);
    driver->actor = memory_copy_text(options->actor);
    driver->patient = options->patient;
    driver->spec = spec;
    driver->transcript = transcript;
    driver->next_id = 1;
    driver->cut_adds = cJSON_CreateArray();
    driver->in = driver->out = -1;
    driver->folder = dir;
    free(with_dir);
    free(with_key);
    free(with_url);
    free(patience_ms);
    return driver;
}

static void forget(struct driver *driver) {
    driver->sync_id = 0;
    cJSON_Delete(driver->answers);
    cJSON_Delete(driver->events);
    cJSON_Delete(driver->counts);
    driver->answers = driver->events = driver->counts = NULL;
    bytes_fini(&driver->line);
    contract_fini(&driver->contract);
}

void driver_free(struct driver *driver) {
    if (driver == NULL)
        return;
    driver_kill(driver);
    forget(driver);
    free(driver->name);
    free(driver->command);
    free(driver->folder);
    free(driver->log_path);
    free(driver->actor);
    cJSON_Delete(driver->cut_adds);
    free(driver->ended);
    free(driver->fault);
    free(driver);
}

/* ---- The process ----------------------------------------------------------------------------- */

/* In the child. */
static _Noreturn void run_command(const struct driver *driver, int in, int out) {
    int log = open(driver->log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    setpgid(0, 0);
    umask(S_IWGRP | S_IWOTH); /* the usual one: what is private has to be made so */
    process_restore_signals();
    if (log < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(log, 2) < 0)
        _exit(126);
    execl("/bin/sh", "sh", "-c", driver->command, (char *)NULL);
    _exit(126);
}

bool driver_start(struct driver *driver) {
    int input[2];
    int output[2];
    forget(driver);
    driver->answers = cJSON_CreateArray();
    driver->events = cJSON_CreateArray();
    driver->counts = cJSON_CreateObject();
    contract_begin(&driver->contract, driver->actor);
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
        return false;
    driver->pid = fork();
    if (driver->pid == 0)
        run_command(driver, input[0], output[1]);
    close(input[0]);
    close(output[1]);
    driver->in = input[1];
    driver->out = output[0];
    if (driver->pid < 0) {
        driver->pid = 0;
        return false;
    }
    setpgid(driver->pid, driver->pid);
    fcntl(driver->out, F_SETFL, fcntl(driver->out, F_GETFL) | O_NONBLOCK);
    transcript_add(driver->transcript, driver->name, TRANSCRIPT_EVENT, "started");
    return true;
}

void driver_hang_up(struct driver *driver) {
    if (driver->in >= 0)
        close(driver->in);
    driver->in = -1;
}

char *driver_log_tail(const struct driver *driver) {
    char *error = NULL;
    char *text = file_read(driver->log_path, &error);
    size_t len = text != NULL ? strlen(text) : 0;
    char *tail = memory_copy_text(len > LOG_TAIL_BYTES ? text + len - LOG_TAIL_BYTES
                                  : text != NULL       ? text
                                                       : "");
    free(text);
    free(error);
    return tail;
}

/* ---- What it says ---------------------------------------------------------------------------- */

static void break_contract(struct driver *driver, const char *what, const char *line) {
    if (driver->fault == NULL)
        driver->fault =
            memory_format("%s broke the driver contract: %s, in %.300s", driver->name, what, line);
}

static void count(struct driver *driver, const char *name, double more) {
    cJSON *number = cJSON_GetObjectItemCaseSensitive(driver->counts, name);
    if (number != NULL)
        cJSON_SetNumberValue(number, number->valuedouble + more);
    else
        cJSON_AddNumberToObject(driver->counts, name, more);
}

/* Nobody waits for its patience: the network is back at once. */
static void urge(struct driver *driver) {
    cJSON *command = cJSON_CreateObject();
    cJSON_AddStringToObject(command, "cmd", "retry");
    driver_tell(driver, command);
    cJSON_Delete(command);
}

static void check_line(struct driver *driver, const cJSON *line, const char *text) {
    struct schema_fault fault = {0};
    char *what = spec_check_event(driver->spec, line, &fault)
                     ? contract_heard(&driver->contract, line)
                     : memory_format("%s %s", fault.pointer, fault.text);
    if (what != NULL)
        break_contract(driver, what, text);
    schema_fault_fini(&fault);
    free(what);
}

static void take_line(struct driver *driver, const char *text, size_t len) {
    cJSON *line = json_utf8_is_valid(text, len) ? cJSON_ParseWithLength(text, len) : NULL;
    if (!cJSON_IsObject(line)) {
        break_contract(driver, "no JSON object", text);
        cJSON_Delete(line);
        return;
    }
    transcript_add_message(driver->transcript, driver->name, TRANSCRIPT_RECEIVED, line);
    check_line(driver, line, text);
    const char *event = message_text(line, "event");
    const cJSON *acknowledged = cJSON_GetObjectItemCaseSensitive(line, "count");
    count(driver, event, 1);
    if (strcmp(event, "pushed") == 0 && cJSON_IsNumber(acknowledged))
        count(driver, "acknowledged", acknowledged->valuedouble);
    cJSON_AddItemToArray(strcmp(event, "answer") == 0 ? driver->answers : driver->events, line);
    if (strcmp(event, "disconnected") == 0 && !driver->patient)
        urge(driver);
}

static void take_lines(struct driver *driver) {
    uint8_t *newline;
    while (driver->line.len > 0 &&
           (newline = memchr(driver->line.at, '\n', driver->line.len)) != NULL) {
        size_t len = (size_t)(newline - driver->line.at);
        *newline = '\0';
        take_line(driver, (const char *)driver->line.at, len);
        bytes_drop(&driver->line, len + 1);
    }
    if (driver->line.len > LINE_BYTES_MAX)
        break_contract(driver, "a line over 64 MiB", "");
}

/* ---- Its end --------------------------------------------------------------------------------- */

/* 0 at the end, below 0 when nothing more has come yet. */
static ssize_t read_some(struct driver *driver) {
    static char piece[READ_BYTES];
    ssize_t got;
    while ((got = read(driver->out, piece, sizeof piece)) > 0) {
        bytes_append(&driver->line, piece, (size_t)got);
        take_lines(driver);
    }
    return got;
}

static int reap(struct driver *driver) {
    int status = 0;
    driver_hang_up(driver);
    waitpid(driver->pid, &status, 0);
    process_end_group(driver->pid); /* what it started, which is ours now: lab_new adopts */
    driver->pid = 0;
    read_some(driver);
    close(driver->out);
    driver->out = -1;
    return status;
}

void driver_kill(struct driver *driver) {
    if (driver->pid == 0)
        return;
    kill(-driver->pid, SIGKILL);
    reap(driver);
    transcript_add(driver->transcript, driver->name, TRANSCRIPT_EVENT, "killed");
}

void driver_service(struct driver *driver) {
    if (driver->pid == 0 || read_some(driver) < 0)
        return;
    int status = reap(driver);
    driver->unsupported = WIFEXITED(status) && WEXITSTATUS(status) == DRIVER_EXIT_UNSUPPORTED;
    free(driver->ended);
    driver->ended = process_describe_end(status);
    char *owed = contract_ended(&driver->contract);
    if (owed != NULL)
        break_contract(driver, owed, driver->ended);
    free(owed);
    transcript_add(driver->transcript, driver->name, TRANSCRIPT_EVENT, "ended with %s",
                   driver->ended);
}

/* ---- What it is told ------------------------------------------------------------------------- */

static void send_line(struct driver *driver, const char *text) {
    char *line = memory_format("%s\n", text);
    size_t len = strlen(line);
    for (size_t at = 0; driver->pid != 0 && at < len;) {
        ssize_t put = write(driver->in, line + at, len - at);
        if (put < 0 && errno != EINTR)
            break; /* its end is seen where its output is read */
        at += put > 0 ? (size_t)put : 0;
    }
    free(line);
}

double driver_tell(struct driver *driver, const cJSON *command) {
    cJSON *whole = cJSON_Duplicate(command, true);
    double id = driver->next_id++;
    cJSON_AddNumberToObject(whole, "id", id);
    char *text = json_write(whole);
    transcript_add_message(driver->transcript, driver->name, TRANSCRIPT_SENT, whole);
    contract_asked(&driver->contract, whole);
    send_line(driver, text);
    cJSON_Delete(whole);
    free(text);
    return id;
}

void driver_tell_text(struct driver *driver, const char *text) {
    transcript_add(driver->transcript, driver->name, TRANSCRIPT_SENT, "%s", text);
    contract_asked(&driver->contract, NULL);
    send_line(driver, text);
}

cJSON *driver_take_answer(struct driver *driver, double id) {
    for (cJSON *answer = driver->answers->child; answer != NULL; answer = answer->next) {
        const cJSON *its = cJSON_GetObjectItemCaseSensitive(answer, "id");
        if (cJSON_IsNumber(its) ? its->valuedouble == id : its == NULL && id == 0)
            return cJSON_DetachItemViaPointer(driver->answers, answer);
    }
    return NULL;
}

cJSON *driver_take_event(struct driver *driver, const cJSON *pattern) {
    cJSON *event = driver->events->child;
    while (event != NULL && !match_value(pattern, event, NULL, NULL))
        event = event->next;
    while (event != NULL && driver->events->child != event)
        cJSON_Delete(cJSON_DetachItemViaPointer(driver->events, driver->events->child));
    return event != NULL ? cJSON_DetachItemViaPointer(driver->events, event) : NULL;
}
