/*
 * The history: what may be told on different connections, and what contradicts itself. A case is a
 * script of lines, which a connection (a digit) begins:
 *
 *     1 push x=AA y=AQ : stored duplicate     1 send x=AA
 *     1 open : x=AA y=AQ                      1 live x=AA k3
 *     1 list - : x y .                        1 list k1 : y +k2   (from a cursor; more follow)
 *     1 get x : x=AA                          1 get x : !x        (missing)
 *     1 list - : x y .k1                      (the last page, with a cursor of its own)
 *     1 race x=AA : stored duplicate          (1 and 2 push it; then both are answered)
 *     1 unknown k1                            (the cursor)
 *     kill        stop        save        restore         settle
 *
 * Cursors are k and a position. The last page ends with the cursor of opened unless it has its own.
 */
#include "conformance/base64url.h"
#include "conformance/document.h"
#include "conformance/history.h"
#include "conformance/tests/support_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS = 4, LINES_MAX = 12, WORDS_MAX = 16 };

static const struct {
    const char *breaks; /* NULL: nothing */
    const char *lines[LINES_MAX];
} CASES[] = {
    {NULL,
     {"1 open :", "2 open :", "1 push x=AA y=AQ : stored stored", "2 live x=AA y=AQ k2",
      "2 push x=AA : duplicate", "2 push y=Ag : conflict", "3 open : x=AA y=AQ", "3 list - : x +k1",
      "3 list k1 : y .", "3 get x z : x=AA !z", "settle"}},
    /* what was acknowledged */
    {"ASP-DIG-2", {"1 push x=AA : stored", "2 open :"}},
    {"ASP-DUR-3", {"1 push x=AA : stored", "kill", "2 open :"}},
    {NULL, {"1 send x=AA", "2 open :"}},
    {"ASP-DIG-2", {"1 send x=AA", "2 open : x=AA", "3 open :"}},
    {"ASP-GET-3", {"1 open :", "1 push x=AA : stored", "1 get x : !x"}},
    /* what was not acknowledged, and was seen in any way: it is there from then on */
    {"ASP-DIG-2", {"1 send x=AA", "2 open :", "2 live x=AA k1", "3 open :"}},
    {"ASP-GET-3", {"1 send x=AA", "2 open :", "2 get x : x=AA", "2 get x : !x"}},
    {"ASP-DUR-3", {"1 send x=AA", "2 open :", "2 live x=AA k1", "kill", "3 open :"}},
    {"ASP-DUR-3", {"1 send x=AA", "2 open : x=AA", "2 list - : x .", "kill", "3 open :"}},
    {"ASP-DUR-3", {"1 send x=AA", "2 push x=AA : duplicate", "kill", "3 open :"}},
    {"ASP-LIST-1",
     {"1 send x=AA y=AQ z=Ag", "2 open : x=AA y=AQ", "2 get y : y=AQ", "3 open : x=AA z=Ag",
      "3 list - : x z ."}},
    {NULL, {"save", "1 push x=AA : stored", "kill", "restore", "2 open :", "2 push x=AA : stored"}},
    {"ASP-DUR-3",
     {"1 push x=AA : stored", "save", "1 push y=AQ : stored", "kill", "restore", "2 open :"}},
    /* what was lost stays so until it is pushed again */
    {"ASP-LOG-8",
     {"1 send x=AA", "kill", "2 open :", "2 list - : .", "3 open : x=AA", "3 list - : x ."}},
    {"ASP-LOG-8", {"1 send x=AA", "stop", "2 open :", "2 list - : .", "2 live x=AA k1"}},
    {NULL, {"1 send x=AA", "2 open :", "2 list - : .", "2 live x=AA k1"}},
    {NULL,
     {"1 send x=AA", "kill", "2 open :", "2 list - : .", "2 push x=AA : stored", "3 open : x=AA",
      "3 list - : x ."}},
    /* what nobody pushed, and other bytes */
    {"ASP-DIG-2", {"1 open : x=AA"}},
    {"ASP-LIST-1", {"1 push x=AA : stored", "2 open : x=AA", "2 list - : z ."}},
    {"ASP-LIVE-1", {"1 open :", "1 live z=AA k1"}},
    {"ASP-GET-4", {"1 push x=AA : stored", "2 open : x=AA", "2 get x : x=AQ"}},
    {"ASP-LOG-4", {"1 push x=AA : stored", "2 send x=AQ", "3 open : x=AA", "3 get x : x=AQ"}},
    {"ASP-DIG-1", {"1 push x=AA : stored", "2 open : x=AQ", "2 list - : x ."}},
    /* outcomes of a push */
    {"ASP-LOG-2", {"1 push x=AA : stored", "2 push x=AA : stored"}},
    {"ASP-LOG-4", {"1 push x=AA : stored", "2 push x=AQ : stored"}},
    {"ASP-LOG-5", {"1 race x=AA : stored stored"}},
    {NULL, {"1 race x=AA : stored duplicate", "1 open : x=AA"}},
    {"ASP-LOG-4", {"1 push x=AA : stored", "2 push x=AQ : duplicate"}},
    {"ASP-LOG-2", {"1 push x=AA : stored", "2 push x=AA : conflict"}},
    {"ASP-PUSH-6", {"1 push x=AA : duplicate"}},
    {"ASP-PUSH-6", {"1 push x=AA : conflict"}},
    /* a beginning of the ids, in their order */
    {NULL, {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 get x y : x=AA"}},
    {NULL, {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 get z x y : !z x=AA"}},
    {"ASP-GET-1", {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 get x y : y=AQ"}},
    {"ASP-GET-1", {"1 push x=AA : stored", "2 open : x=AA", "2 get x :"}},
    {"ASP-GET-1",
     {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 get x : x=AA y=AQ"}},
    {"ASP-GET-1", {"1 push x=AA : stored", "2 open : x=AA", "2 get x z : x=AA !z !u"}},
    /* one log in one order */
    {"ASP-LIST-1", {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 list - : y ."}},
    {"ASP-LIST-1",
     {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 list - : x y .",
      "3 open : x=AA y=AQ", "3 list - : y x ."}},
    {"ASP-LIST-1", {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 list - : x x ."}},
    {"ASP-PUSH-4",
     {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 list - : y x .", "settle"}},
    {"ASP-PUSH-3", {"1 send x=AA y=AQ", "kill", "2 open : x=AA", "2 list - : x .", "settle"}},
    {"ASP-LIVE-2",
     {"1 open :", "2 push x=AA y=AQ : stored stored", "1 live y=AQ k2", "1 live x=AA k2",
      "3 open : x=AA y=AQ", "3 list - : x y .", "settle"}},
    {"ASP-LIVE-4", {"2 push x=AA : stored", "1 open : x=AA", "1 list - : x .", "1 live x=AA k1"}},
    /* cursors */
    {"ASP-LIVE-5",
     {"1 open :", "2 push x=AA y=AQ : stored stored", "1 live x=AA k2", "3 open : x=AA y=AQ",
      "3 list - : x y .", "settle"}},
    {NULL,
     {"1 open :", "1 push x=AA : stored", "2 push y=AQ : stored", "1 live y=AQ k2",
      "3 open : x=AA y=AQ", "3 list - : x y .", "settle"}},
    /* its own change, before it knew that it is stored; and one that it pushed after another did */
    {"ASP-LIVE-5",
     {"1 open :", "2 push y=AQ : stored", "1 live y=AQ k2", "1 push x=AA : stored",
      "3 open : x=AA y=AQ", "3 list - : x y .", "settle"}},
    {"ASP-LIVE-5",
     {"1 open :", "2 push x=AA : stored", "1 push x=AA : duplicate", "2 push y=AQ : stored",
      "1 live y=AQ k2", "3 open : x=AA y=AQ", "3 list - : x y .", "settle"}},
    {"ASP-LIVE-5",
     {"1 open :", "save", "2 push x=AA y=AQ : stored stored", "1 live y=AQ k2",
      "3 open : x=AA y=AQ", "3 list - : x y .", "kill", "restore"}},
    {"ASP-LIST-1",
     {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 list - : x +k1",
      "2 list k1 : ."}},
    {"ASP-LIST-1",
     {"1 push x=AA : stored", "2 open : x=AA", "1 push y=AQ : stored", "2 list - : x y ."}},
    {"ASP-LIST-7",
     {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 list - : x +k2",
      "2 list k2 : y ."}},
    {"ASP-LIST-8",
     {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 list - : x y .k1"}},
    {"ASP-CUR-2",
     {"1 push x=AA y=AQ : stored stored", "2 open : x=AA y=AQ", "2 list - : x +k3",
      "2 list k3 : y .", "1 push z=Ag : stored", "3 open : x=AA y=AQ z=Ag"}},
    {"ASP-LIST-10", {"1 push x=AA : stored", "2 open : x=AA", "2 list k7 : x ."}},
    {"ASP-CUR-2", {"1 push x=AA : stored", "2 open : x=AA", "2 unknown k1"}},
    {NULL,
     {"save", "1 push x=AA : stored", "2 open : x=AA", "kill", "restore",
      "3 open :", "3 unknown k1"}},
};

/* ---- Playing a script ------------------------------------------------------------------------ */

struct play {
    struct history *history;
    unsigned numbers[CONNECTIONS + 1];
    size_t opened[CONNECTIONS + 1]; /* counts */
    char text[256];                 /* of the line, in words */
    char *words[WORDS_MAX];
    size_t len;
};

static void split(struct play *play, const char *line) {
    char *rest = NULL;
    snprintf(play->text, sizeof play->text, "%s", line);
    play->len = 0;
    for (char *word = strtok_r(play->text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest))
        play->words[play->len++] = word;
}

/* After the colon. */
static size_t answer_of(const struct play *play) {
    size_t at = 0;
    while (at < play->len && strcmp(play->words[at], ":") != 0)
        at++;
    return at + 1;
}

static cJSON *new_message(const char *type) {
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "type", type);
    cJSON_AddStringToObject(message, "doc", "document");
    return message;
}

/* "x=AA" as a change, "x" as an id. */
static cJSON *change_of(const char *word) {
    const char *equals = strchr(word, '=');
    if (equals == NULL)
        return cJSON_CreateString(word);
    cJSON *change = cJSON_CreateObject();
    char id[2] = {word[0], '\0'};
    cJSON_AddStringToObject(change, "id", id);
    cJSON_AddStringToObject(change, "data", equals + 1);
    return change;
}

static void add_words(const struct play *play, cJSON *array, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        cJSON_AddItemToArray(array, change_of(play->words[i]));
}

static void add_index(cJSON *message, const char *list, int index, const char *code) {
    cJSON *item = cJSON_CreateNumber(index);
    if (code != NULL) {
        cJSON_Delete(item);
        item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "index", index);
        cJSON_AddStringToObject(item, "code", code);
    }
    cJSON_AddItemToArray(cJSON_GetObjectItem(message, list), item);
}

static void answer_push(const struct play *play, cJSON *request, cJSON *reply) {
    size_t at = answer_of(play);
    add_words(play, cJSON_AddArrayToObject(request, "changes"), 2, at - 1);
    cJSON_AddArrayToObject(reply, "duplicates");
    cJSON_AddArrayToObject(reply, "rejected");
    for (size_t i = at; i < play->len; i++) {
        if (strcmp(play->words[i], "duplicate") == 0)
            add_index(reply, "duplicates", (int)(i - at), NULL);
        else if (strcmp(play->words[i], "stored") != 0)
            add_index(reply, "rejected", (int)(i - at), play->words[i]);
    }
}

static void add_cursor(cJSON *reply, size_t position) {
    char cursor[16];
    snprintf(cursor, sizeof cursor, "k%zu", position);
    cJSON_AddStringToObject(reply, "cursor", cursor);
}

static void answer_open(struct play *play, unsigned connection, cJSON *reply) {
    uint8_t sum[DOCUMENT_DIGEST_BYTES] = {0};
    size_t at = answer_of(play);
    size_t count = play->len - at;
    for (size_t i = at; i < play->len; i++) {
        struct bytes data = {0};
        char id[2] = {play->words[i][0], '\0'};
        ck_assert(base64url_decode(play->words[i] + 2, &data));
        document_digest_add(sum, id, data.at, data.len);
        bytes_fini(&data);
    }
    char *digest = base64url_encode(sum, sizeof sum);
    cJSON_AddStringToObject(reply, "digest", digest);
    cJSON_AddNumberToObject(reply, "count", (double)count);
    add_cursor(reply, count);
    play->opened[connection] = count;
    free(digest);
}

static void answer_list(const struct play *play, unsigned connection, cJSON *request,
                        cJSON *reply) {
    const char *last = play->words[play->len - 1];
    bool has_more = *last == '+';
    if (strcmp(play->words[2], "-") != 0)
        cJSON_AddStringToObject(request, "after", play->words[2]);
    add_words(play, cJSON_AddArrayToObject(reply, "ids"), answer_of(play), play->len - 1);
    cJSON_AddBoolToObject(reply, "more", has_more);
    if (last[1] != '\0')
        cJSON_AddStringToObject(reply, "cursor", last + 1);
    else
        add_cursor(reply, play->opened[connection]);
}

static void answer_get(const struct play *play, cJSON *request, cJSON *reply) {
    size_t at = answer_of(play);
    cJSON *changes = cJSON_AddArrayToObject(reply, "changes");
    cJSON *missing = cJSON_AddArrayToObject(reply, "missing");
    add_words(play, cJSON_AddArrayToObject(request, "ids"), 2, at - 1);
    for (size_t i = at; i < play->len; i++) {
        bool is_missing = *play->words[i] == '!';
        cJSON_AddItemToArray(is_missing ? missing : changes,
                             change_of(play->words[i] + is_missing));
    }
}

static void relay(const struct play *play, unsigned number) {
    cJSON *changed = new_message("changed");
    add_words(play, cJSON_AddArrayToObject(changed, "changes"), 2, play->len - 1);
    cJSON_AddStringToObject(changed, "cursor", play->words[play->len - 1]);
    history_relayed(play->history, number, changed);
    cJSON_Delete(changed);
}

static void race(const struct play *play) {
    unsigned asked[2];
    size_t at = answer_of(play);
    cJSON *request = new_message("push");
    add_words(play, cJSON_AddArrayToObject(request, "changes"), 2, at - 1);
    for (size_t i = 0; i < 2; i++)
        asked[i] = history_asked(play->history, request);
    for (size_t i = 0; i < 2; i++) {
        cJSON *reply = new_message("pushed");
        cJSON_AddArrayToObject(reply, "rejected");
        cJSON_AddArrayToObject(reply, "duplicates");
        if (strcmp(play->words[at + i], "duplicate") == 0)
            add_index(reply, "duplicates", 0, NULL);
        history_replied(play->history, play->numbers[i + 1], request, asked[i], reply);
        cJSON_Delete(reply);
    }
    cJSON_Delete(request);
}

/* A request and, but for `send`, its reply. */
static void ask(struct play *play, unsigned connection, const char *verb) {
    static const char *const NAMES[][3] = {
        {"push", "push", "pushed"}, {"send", "push", ""},  {"open", "open", "opened"},
        {"list", "list", "listed"}, {"get", "get", "got"}, {"unknown", "list", "error"}};
    size_t row = 0;
    while (strcmp(NAMES[row][0], verb) != 0)
        row++;
    cJSON *request = new_message(NAMES[row][1]);
    cJSON *reply = new_message(NAMES[row][2]);
    if (strcmp(verb, "push") == 0 || strcmp(verb, "send") == 0)
        answer_push(play, request, reply);
    else if (strcmp(verb, "open") == 0)
        answer_open(play, connection, reply);
    else if (strcmp(verb, "list") == 0)
        answer_list(play, connection, request, reply);
    else if (strcmp(verb, "get") == 0)
        answer_get(play, request, reply);
    else
        cJSON_AddStringToObject(request, "after", play->words[2]);
    if (strcmp(verb, "unknown") == 0)
        cJSON_AddStringToObject(reply, "code", "unknown-cursor");
    unsigned number = play->numbers[connection];
    unsigned moment = history_asked(play->history, request);
    if (strcmp(verb, "send") != 0)
        history_replied(play->history, number, request, moment, reply);
    cJSON_Delete(request);
    cJSON_Delete(reply);
}

static void play_line(struct play *play, const char *line) {
    split(play, line);
    const char *verb = play->words[play->len > 1 ? 1 : 0];
    unsigned connection = (unsigned)(play->words[0][0] - '0');
    if (strcmp(verb, "kill") == 0)
        history_killed(play->history);
    else if (strcmp(verb, "stop") == 0)
        history_stopped(play->history);
    else if (strcmp(verb, "save") == 0)
        history_saved(play->history, "copy");
    else if (strcmp(verb, "restore") == 0)
        history_restored(play->history, "copy");
    else if (strcmp(verb, "settle") == 0)
        history_settle(play->history, "document");
    else if (strcmp(verb, "live") == 0)
        relay(play, play->numbers[connection]);
    else if (strcmp(verb, "race") == 0)
        race(play);
    else
        ask(play, connection, verb);
}

START_TEST(contradictions) {
    struct play play = {.history = history_new()};
    const char *requirement = NULL;
    for (unsigned i = 1; i <= CONNECTIONS; i++)
        play.numbers[i] = history_connect(play.history, "name");
    for (size_t i = 0; i < LINES_MAX && CASES[_i].lines[i] != NULL; i++)
        play_line(&play, CASES[_i].lines[i]);
    const char *fault = history_fault(play.history, &requirement);
    if (CASES[_i].breaks == NULL)
        ck_assert_msg(fault == NULL, "%s", fault);
    else
        ck_assert_str_eq(fault != NULL ? requirement : "nothing", CASES[_i].breaks);
    history_free(play.history);
}
END_TEST

/* What was not sent yet is no contradiction, only something to wait for. */
START_TEST(missing_changes) {
    struct play play = {.history = history_new()};
    static const char *const lines[] = {"1 open :", "1 push x=AA : stored", "2 push y=AQ : stored",
                                        "3 open : x=AA y=AQ", "3 list - : x y ."};
    for (unsigned i = 1; i <= CONNECTIONS; i++)
        play.numbers[i] = history_connect(play.history, "name");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        play_line(&play, lines[i]);
    ck_assert_pstr_eq(history_missing(play.history, play.numbers[1], "document"), "y");
    ck_assert_pstr_eq(history_missing(play.history, play.numbers[2], "document"), NULL);
    play_line(&play, "1 live y=AQ k2");
    ck_assert_pstr_eq(history_missing(play.history, play.numbers[1], "document"), NULL);
    ck_assert_pstr_eq(history_resume(play.history, play.numbers[2], "document"), "k2");
    /* what another stored first is sent to those who pushed it as well */
    play_line(&play, "4 open : x=AA y=AQ");
    play_line(&play, "1 push z=Ag : stored");
    play_line(&play, "4 push z=Ag : duplicate");
    play_line(&play, "3 open : x=AA y=AQ z=Ag");
    play_line(&play, "3 list - : x y z .");
    ck_assert_pstr_eq(history_missing(play.history, play.numbers[4], "document"), "z");
    history_free(play.history);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("history");
    TCase *tcase = tcase_create("contradictions");
    tcase_add_loop_test(tcase, contradictions, 0, sizeof CASES / sizeof *CASES);
    suite_add_tcase(suite, tcase);
    support_add(suite, "missing", missing_changes);
    return support_main(suite);
}
