#include "conformance/plan.h"

#include "conformance/duty.h"
#include "conformance/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    OPERATIONS_A_CLIENT = 6,
    CHANGES_MAX = 3,
    PAGE_MAX = 40,
    ABANDONED_MAX = 40,
    EVENT_OPERATIONS_MAX = 5,
    PLAN_OPERATIONS_MAX = PLAN_OPERATIONS + EVENT_OPERATIONS_MAX,
    /* Numbers of requests that the engine does not choose itself. */
    SEND_REQ = 4000000,
    PIPELINE_REQ = 5000000,
};

/* What a client has at some place of a plan. */
struct client {
    bool is_connected;
    bool is_paused;
    bool has_open[PLAN_DOCUMENTS_MAX];
    bool has_cursor[PLAN_DOCUMENTS_MAX];
};

static void forget_connection(struct client *client) {
    client->is_connected = client->is_paused = false;
    memset(client->has_open, 0, sizeof client->has_open);
}

/* ---- Making ---------------------------------------------------------------------------------- */

static unsigned dice(struct entropy *entropy, unsigned sides) {
    uint32_t number;
    entropy_fill(entropy, &number, sizeof number);
    return number % sides;
}

/* How often a client does what. */
static const struct {
    enum plan_kind kind;
    unsigned weight;
} HABITS[] = {
    {PLAN_PUSH, 46}, {PLAN_PIPELINE, 4}, {PLAN_REPEAT, 10},   {PLAN_CONFLICT, 4},
    {PLAN_LIST, 8},  {PLAN_GET, 10},     {PLAN_STALE, 3},     {PLAN_CLOSE, 3},
    {PLAN_LEAVE, 5}, {PLAN_CUT, 6},      {PLAN_HALF_OPEN, 1}, {PLAN_PAUSE, 2},
};

/* What is cut off, where the document is open; elsewhere, `open`. */
static const enum plan_kind REQUESTS[] = {PLAN_PUSH, PLAN_PUSH, PLAN_LIST, PLAN_GET, PLAN_CLOSE};
enum { REQUESTS_LEN = sizeof REQUESTS / sizeof *REQUESTS };

static enum plan_kind choose_kind(struct entropy *entropy) {
    unsigned all = 0;
    for (size_t i = 0; i < sizeof HABITS / sizeof *HABITS; i++)
        all += HABITS[i].weight;
    unsigned number = dice(entropy, all);
    size_t i = 0;
    for (; number >= HABITS[i].weight; i++)
        number -= HABITS[i].weight;
    return HABITS[i].kind;
}

struct making {
    const struct plan_size *size;
    struct entropy *entropy;
    struct client clients[PLAN_CLIENTS_MAX];
    struct plan plan;
};

static bool makes_changes(const struct plan_operation *operation) {
    return operation->kind == PLAN_PUSH || operation->kind == PLAN_PIPELINE ||
           operation->kind == PLAN_SEND ||
           (operation->kind == PLAN_CUT && operation->request == PLAN_PUSH);
}

/* Chooses an earlier operation that pushes something; its own, if there is none. */
static void choose_other(const struct plan *plan, struct entropy *entropy,
                         struct plan_operation *operation) {
    unsigned other = dice(entropy, (unsigned)plan->len + 1);
    while (other > 0 && !makes_changes(&plan->operations[other - 1]))
        other--;
    if (other == 0)
        return;
    operation->of = other - 1;
    operation->document = plan->operations[operation->of].document;
    operation->count = plan->operations[operation->of].count;
}

static bool names_another(const struct plan_operation *operation) {
    return operation->kind == PLAN_GET ||
           (operation->kind == PLAN_CUT && operation->request == PLAN_GET);
}

static const struct plan_operation *add(struct making *making, enum plan_kind kind, unsigned burst,
                                        unsigned client, unsigned document) {
    struct plan *plan = &making->plan;
    struct entropy *entropy = making->entropy;
    struct plan_operation *operation = &plan->operations[plan->len];
    *operation = (struct plan_operation){
        .kind = kind,
        .burst = burst,
        .client = client,
        .document = document,
        .of = (unsigned)plan->len,
        .index = (unsigned)plan->len,
    };
    operation->count = 1 + dice(entropy, kind == PLAN_LIST ? PAGE_MAX : CHANGES_MAX);
    operation->how = dice(entropy, 3);
    operation->request = REQUESTS[dice(entropy, REQUESTS_LEN)];
    if (kind == PLAN_REPEAT || kind == PLAN_CONFLICT || names_another(operation))
        choose_other(plan, entropy, operation);
    plan->len++;
    return operation;
}

/* What a client would do next, given what it wants to do: connect first, open first, read on. */
static enum plan_kind do_first(const struct client *client, unsigned document,
                               enum plan_kind wanted) {
    bool has_open = client->has_open[document];
    if (!client->is_connected)
        return PLAN_CONNECT;
    if (client->is_paused)
        return PLAN_RESUME;
    if (wanted == PLAN_LEAVE || wanted == PLAN_CUT || wanted == PLAN_HALF_OPEN ||
        wanted == PLAN_PAUSE)
        return wanted;
    return has_open ? wanted : PLAN_OPEN;
}

/* How that leaves it. */
static void follow(struct client *client, const struct plan_operation *operation) {
    switch (operation->kind) {
    case PLAN_CONNECT:
        client->is_connected = true;
        break;
    case PLAN_OPEN:
    case PLAN_CLOSE:
        client->has_open[operation->document] = operation->kind == PLAN_OPEN;
        break;
    case PLAN_LEAVE:
    case PLAN_CUT:
    case PLAN_HALF_OPEN:
        forget_connection(client);
        break;
    case PLAN_PAUSE:
    case PLAN_RESUME:
        client->is_paused = operation->kind == PLAN_PAUSE;
        break;
    default:
        break;
    }
}

static void add_burst(struct making *making, unsigned burst) {
    struct entropy *entropy = making->entropy;
    for (unsigned c = 0; c < making->size->clients; c++) {
        for (unsigned left = dice(entropy, 2 * OPERATIONS_A_CLIENT);
             left > 0 && making->plan.len < PLAN_OPERATIONS; left--) {
            unsigned document = dice(entropy, making->size->documents);
            enum plan_kind kind = do_first(&making->clients[c], document, choose_kind(entropy));
            follow(&making->clients[c], add(making, kind, burst, c, document));
        }
    }
}

/* What happens to the server between two bursts. */
static void add_event(struct making *making, unsigned burst) {
    static const enum plan_kind EVENTS[] = {PLAN_SETTLE, PLAN_SETTLE,  PLAN_SETTLE, PLAN_KILL,
                                            PLAN_KILL,   PLAN_RESTART, PLAN_SAVE,   PLAN_RESTORE};
    enum { EVENT_KINDS = sizeof EVENTS / sizeof *EVENTS };
    struct entropy *entropy = making->entropy;
    const struct plan_size *size = making->size;
    enum plan_kind kind = size->owns_server ? EVENTS[dice(entropy, EVENT_KINDS)] : PLAN_SETTLE;
    for (unsigned left = kind == PLAN_SETTLE ? 0 : dice(entropy, EVENT_OPERATIONS_MAX); left > 0;
         left--)
        add(making, PLAN_SEND, burst, dice(entropy, size->clients), dice(entropy, size->documents));
    add(making, kind, burst, 0, 0);
    for (unsigned c = 0; kind != PLAN_SETTLE && c < size->clients; c++)
        forget_connection(&making->clients[c]);
}

struct plan plan_make(const struct plan_size *size, struct entropy *entropy) {
    struct making making = {.size = size, .entropy = entropy};
    making.plan.operations = memory_take(PLAN_OPERATIONS_MAX * sizeof *making.plan.operations);
    for (unsigned burst = 0; making.plan.len < PLAN_OPERATIONS; burst++) {
        add_burst(&making, burst);
        add_event(&making, burst);
    }
    return making.plan;
}

struct plan plan_copy(const struct plan *plan) {
    struct plan copy = *plan;
    copy.operations = memory_take((plan->len + 1) * sizeof *copy.operations);
    memcpy(copy.operations, plan->operations, plan->len * sizeof *copy.operations);
    return copy;
}

void plan_fini(struct plan *plan) {
    free(plan->operations);
    *plan = (struct plan){0};
}

/* ---- Carrying out ---------------------------------------------------------------------------- */

struct writing {
    const struct plan *plan;
    struct client clients[PLAN_CLIENTS_MAX];
    unsigned abandoned;       /* connections, over all */
    unsigned abandoned_ended; /* so many of them have ended */
    bool is_used[PLAN_DOCUMENTS_MAX];
    bool is_made[PLAN_OPERATIONS_MAX]; /* the changes of which operations exist */
    bool is_saved;
    unsigned operations;
    cJSON *steps;                      /* all but those of the burst */
    cJSON *branches[PLAN_CLIENTS_MAX]; /* of the burst; NULL: none yet */
};

__attribute__((format(printf, 2, 3))) static void write_step(cJSON *steps, const char *format,
                                                             ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = memory_format_list(format, arguments);
    va_end(arguments);
    cJSON_AddItemToArray(steps, cJSON_Parse(text));
    free(text);
}

/* The changes of an operation exist once, from before the burst that uses them first. */
static void make_changes(struct writing *writing, const struct plan_operation *operation) {
    if (writing->is_made[operation->of])
        return;
    writing->is_made[operation->of] = true;
    write_step(writing->steps, "{\"changes\": \"x%u\", \"of\": \"d%u\", \"count\": %u}",
               operation->of, operation->document, operation->count);
}

/* Whatever the outcome of each change, the history judges it. */
static void write_push(const struct plan_operation *operation, const char *changes, unsigned index,
                       cJSON *steps) {
    write_step(steps,
               "{\"push\": [\"$%s%u\"], \"to\": \"d%u\", \"on\": \"c%u\", \"duplicates\": "
               "{\"$any\": true}, \"rejected\": {\"$any\": true}, \"requirement\": \"ASP-PUSH-1\"}",
               changes, index, operation->document, operation->client);
}

static void write_send(const struct plan_operation *operation, unsigned req, cJSON *steps) {
    write_step(steps,
               "{\"send\": {\"type\": \"push\", \"req\": %u, \"doc\": \"$d%u.id\", "
               "\"changes\": \"$x%u\"}, \"on\": \"c%u\"}",
               req, operation->document, operation->of, operation->client);
}

static void write_send_get(const struct plan_operation *operation, unsigned req, cJSON *steps) {
    write_step(steps,
               "{\"send\": {\"type\": \"get\", \"req\": %u, \"doc\": \"$d%u.id\", \"ids\": "
               "{\"$ids\": \"$x%u\"}}, \"on\": \"c%u\"}",
               req, operation->document, operation->of, operation->client);
}

/* The replies come in the order of the requests, and the second sees what the first did. */
static void write_pipeline(const struct plan_operation *operation, cJSON *steps) {
    unsigned d = operation->document;
    unsigned c = operation->client;
    unsigned push = PIPELINE_REQ + 2 * operation->index;
    bool lists = operation->how == 0;
    write_send(operation, push, steps);
    if (lists)
        write_step(steps,
                   "{\"send\": {\"type\": \"list\", \"req\": %u, \"doc\": \"$d%u.id\"}, "
                   "\"on\": \"c%u\"}",
                   push + 1, d, c);
    else
        write_send_get(operation, push + 1, steps);
    write_step(steps,
               "{\"expect\": {\"type\": \"pushed\", \"req\": %u}, \"on\": \"c%u\", "
               "\"requirement\": \"ASP-MSG-18\"}",
               push, c);
    write_step(steps,
               "{\"expect\": {\"type\": \"%s\", \"req\": %u%s}, \"on\": \"c%u\", "
               "\"requirement\": \"ASP-MSG-17\"}",
               lists ? "listed" : "got", push + 1, lists ? "" : ", \"missing\": []", c);
}

static bool write_open(struct writing *writing, const struct plan_operation *operation,
                       cJSON *steps) {
    struct client *client = &writing->clients[operation->client];
    unsigned c = operation->client;
    unsigned d = operation->document;
    if (client->has_open[d])
        return false;
    writing->is_used[d] = true;
    write_step(steps, "{\"open\": \"d%u\", \"on\": \"c%u\", \"requirement\": \"ASP-OPEN-2\"}", d,
               c);
    write_step(steps,
               "{\"read\": \"d%u\", \"on\": \"c%u\", \"resume\": true, \"save\": \"k%u_%u\", "
               "\"requirement\": \"ASP-LIST-1\"}",
               d, c, c, d);
    return client->has_open[d] = client->has_cursor[d] = true;
}

static void write_conflict(struct writing *writing, const struct plan_operation *operation,
                           cJSON *steps) {
    make_changes(writing, operation);
    write_step(writing->steps, "{\"change\": \"y%u\", \"of\": \"d%u\", \"id\": \"$x%u.0.id\"}",
               operation->index, operation->document, operation->of);
    write_push(operation, "y", operation->index, steps);
}

static void write_end(struct writing *writing, const struct plan_operation *operation,
                      cJSON *steps) {
    static const char *const HOW[] = {"close", "fin", "reset"};
    write_step(steps, "{\"disconnect\": \"c%u\", \"how\": \"%s\"}", operation->client,
               HOW[operation->how]);
    forget_connection(&writing->clients[operation->client]);
}

/* A restore may have made the cursor unknown. */
static void write_stale(const struct plan_operation *operation, cJSON *steps) {
    write_step(steps,
               "{\"request\": {\"type\": \"list\", \"doc\": \"$d%u.id\", \"after\": "
               "\"$k%u_%u\"}, \"on\": \"c%u\", \"reply\": {\"$any\": true}, \"requirement\": "
               "\"ASP-MSG-9\"}",
               operation->document, operation->client, operation->document, operation->client);
}

/* And an id, behind these, that nobody has pushed: nothing may be passed over to say so. */
static void write_get(struct writing *writing, const struct plan_operation *operation,
                      cJSON *steps) {
    write_step(writing->steps, "{\"change\": \"n%u\", \"of\": \"d%u\"}", operation->index,
               operation->document);
    write_step(steps,
               "{\"request\": {\"type\": \"get\", \"doc\": \"$d%u.id\", \"ids\": {\"$ids\": "
               "[\"$x%u\", \"$n%u\"]}}, \"on\": \"c%u\", \"reply\": {\"type\": \"got\"}, "
               "\"requirement\": \"ASP-GET-1\"}",
               operation->document, operation->of, operation->index, operation->client);
}

static void write_close(struct writing *writing, const struct plan_operation *operation,
                        cJSON *steps) {
    write_step(steps,
               "{\"request\": {\"type\": \"close\", \"doc\": \"$d%u.id\"}, \"on\": \"c%u\", "
               "\"reply\": {\"type\": \"closed\"}, \"requirement\": \"ASP-CLOSE-1\"}",
               operation->document, operation->client);
    writing->clients[operation->client].has_open[operation->document] = false;
}

/* One of them, and the end before its answer has come. */
static void write_cut(struct writing *writing, const struct plan_operation *operation,
                      cJSON *steps) {
    unsigned c = operation->client;
    unsigned d = operation->document;
    bool has_open = writing->clients[c].has_open[d];
    enum plan_kind request = has_open ? operation->request : PLAN_OPEN;
    if (request == PLAN_PUSH || request == PLAN_GET)
        make_changes(writing, operation);
    writing->is_used[d] = true;
    if (request == PLAN_OPEN)
        write_step(steps,
                   "{\"send\": {\"type\": \"open\", \"req\": %u, \"doc\": \"$d%u.id\", "
                   "\"authority\": \"$c%u.authority\", \"proof\": {\"$proof\": {\"of\": "
                   "\"$d%u\", \"on\": \"$c%u\"}}}, \"on\": \"c%u\"}",
                   SEND_REQ, d, c, d, c, c);
    else if (request == PLAN_PUSH)
        write_send(operation, SEND_REQ, steps);
    else if (request == PLAN_GET)
        write_send_get(operation, SEND_REQ, steps);
    else
        write_step(steps,
                   "{\"send\": {\"type\": \"%s\", \"req\": %u, \"doc\": \"$d%u.id\"}, "
                   "\"on\": \"c%u\"}",
                   request == PLAN_LIST ? "list" : "close", SEND_REQ, d, c);
    write_end(writing, operation, steps);
}

/* What a client does with a document that it has open. */
static void write_request(struct writing *writing, const struct plan_operation *operation,
                          cJSON *steps) {
    bool names_changes = operation->kind != PLAN_LIST && operation->kind != PLAN_STALE &&
                         operation->kind != PLAN_CLOSE;
    if (names_changes)
        make_changes(writing, operation);
    switch (operation->kind) {
    case PLAN_PIPELINE:
        write_pipeline(operation, steps);
        break;
    case PLAN_CONFLICT:
        write_conflict(writing, operation, steps);
        break;
    case PLAN_GET:
        write_get(writing, operation, steps);
        break;
    case PLAN_LIST:
        write_step(steps,
                   "{\"read\": \"d%u\", \"on\": \"c%u\", \"limit\": %u, \"data\": %s, "
                   "\"requirement\": \"ASP-LIST-1\"}",
                   operation->document, operation->client, operation->count,
                   operation->how == 0 ? "true" : "false");
        break;
    case PLAN_STALE:
        write_stale(operation, steps);
        break;
    case PLAN_CLOSE:
        write_close(writing, operation, steps);
        break;
    default: /* PLAN_PUSH, PLAN_REPEAT, PLAN_SEND */
        write_push(operation, "x", operation->of, steps);
    }
}

static bool write_abandon(struct writing *writing, unsigned c, cJSON *steps) {
    if (writing->abandoned == ABANDONED_MAX)
        return false;
    write_step(steps, "{\"abandon\": \"c%u\", \"as\": \"ghost%u\"}", c, writing->abandoned++);
    forget_connection(&writing->clients[c]);
    return true;
}

/* False when it makes no sense where it stands. */
static bool write_operation(struct writing *writing, const struct plan_operation *operation,
                            cJSON *steps) {
    unsigned c = operation->client;
    struct client *client = &writing->clients[c];
    bool begins = operation->kind == PLAN_CONNECT;
    if (client->is_connected == begins || client->is_paused != (operation->kind == PLAN_RESUME))
        return false;
    switch (operation->kind) {
    case PLAN_CONNECT:
        write_step(steps, "{\"connect\": \"c%u\", \"requirement\": \"ASP-WELCOME-1\"}", c);
        return client->is_connected = true;
    case PLAN_OPEN:
        return write_open(writing, operation, steps);
    case PLAN_LEAVE:
        write_end(writing, operation, steps);
        return true;
    case PLAN_CUT:
        write_cut(writing, operation, steps);
        return true;
    case PLAN_HALF_OPEN:
        return write_abandon(writing, c, steps);
    case PLAN_PAUSE:
    case PLAN_RESUME:
        client->is_paused = operation->kind == PLAN_PAUSE;
        write_step(steps, "{\"%s\": \"c%u\"}",
                   client->is_paused ? "stop_reading" : "resume_reading", c);
        return true;
    default:
        if (client->has_open[operation->document])
            write_request(writing, operation, steps);
        return client->is_connected && client->has_open[operation->document];
    }
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void write_settle(struct writing *writing) {
    for (unsigned d = 0; d < PLAN_DOCUMENTS_MAX; d++)
        if (writing->is_used[d])
            write_step(writing->steps, "{\"settle\": \"d%u\", \"requirement\": \"ASP-LIVE-1\"}", d);
}

static void write_server(struct writing *writing, const char *action) {
    write_step(writing->steps, "{\"server\": \"%s\", \"requirement\": \"%s\"}", action,
               strcmp(action, "stop") == 0 ? DUTY_IN_STORMS("ASP-STOP-4")
                                           : DUTY_IN_STORMS("ASP-DUR-3"));
}

/* Clients that do not read would not see that the server stops, and it would wait for them. */
static void dismiss(struct writing *writing) {
    for (; writing->abandoned_ended < writing->abandoned; writing->abandoned_ended++)
        write_step(writing->steps, "{\"disconnect\": \"ghost%u\", \"how\": \"reset\"}",
                   writing->abandoned_ended);
    for (unsigned c = 0; c < PLAN_CLIENTS_MAX; c++)
        if (writing->clients[c].is_paused)
            write_step(writing->steps, "{\"disconnect\": \"c%u\", \"how\": \"reset\"}", c);
}

static bool write_event(struct writing *writing, enum plan_kind kind) {
    if (kind == PLAN_RESTORE && !writing->is_saved)
        return false;
    if (kind == PLAN_SETTLE || kind == PLAN_RESTORE) /* what was told until then goes out of mind */
        write_settle(writing);
    if (kind == PLAN_SETTLE)
        return true;
    if (kind == PLAN_RESTART)
        dismiss(writing);
    write_server(writing, kind == PLAN_RESTART ? "stop" : "kill");
    if (kind == PLAN_SAVE || kind == PLAN_RESTORE)
        write_step(writing->steps, "{\"server\": \"%s\", \"as\": \"copy\"}",
                   kind == PLAN_SAVE ? "save" : "restore");
    write_server(writing, "start");
    writing->is_saved |= kind == PLAN_SAVE;
    writing->abandoned_ended = writing->abandoned;
    for (unsigned c = 0; c < PLAN_CLIENTS_MAX; c++)
        forget_connection(&writing->clients[c]);
    return true;
}

/* A push without its answer makes sense only before all connections end. */
static bool is_cut_off(const struct plan *plan, size_t at) {
    while (at < plan->len && plan->operations[at].kind == PLAN_SEND)
        at++;
    enum plan_kind kind = at < plan->len ? plan->operations[at].kind : PLAN_SETTLE;
    return kind == PLAN_KILL || kind == PLAN_RESTART || kind == PLAN_SAVE;
}

static bool write_cut_off(struct writing *writing, const struct plan_operation *operation) {
    struct client *client = &writing->clients[operation->client];
    if (!client->is_connected || client->is_paused || !client->has_open[operation->document])
        return false;
    make_changes(writing, operation);
    write_send(operation, SEND_REQ, writing->steps);
    forget_connection(client);
    return true;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void end_burst(struct writing *writing) {
    cJSON *branches = cJSON_CreateArray();
    for (unsigned c = 0; c < PLAN_CLIENTS_MAX; c++) {
        if (cJSON_GetArraySize(writing->branches[c]) > 0)
            cJSON_AddItemToArray(branches, writing->branches[c]);
        else
            cJSON_Delete(writing->branches[c]);
        writing->branches[c] = NULL;
    }
    if (cJSON_GetArraySize(branches) > 1) {
        cJSON *step = cJSON_CreateObject();
        cJSON_AddItemToObject(step, "parallel", branches);
        cJSON_AddItemToArray(writing->steps, step);
        return;
    }
    while (branches->child != NULL && branches->child->child != NULL)
        cJSON_AddItemToArray(writing->steps,
                             cJSON_DetachItemViaPointer(branches->child, branches->child->child));
    cJSON_Delete(branches);
}

/* What only begins or ends something, or is not waited for, shows nothing by itself. */
static bool is_judged(enum plan_kind kind) {
    return (kind >= PLAN_OPEN && kind <= PLAN_CLOSE) || kind == PLAN_SETTLE;
}

static void write_next(struct writing *writing, size_t at) {
    const struct plan_operation *operation = &writing->plan->operations[at];
    bool is_side_by_side = operation->kind < PLAN_SEND && !writing->plan->is_sequential;
    if (!is_side_by_side || (at > 0 && operation->burst != operation[-1].burst))
        end_burst(writing);
    cJSON *steps = writing->steps;
    cJSON **branch = &writing->branches[operation->client];
    if (is_side_by_side)
        steps = *branch = *branch != NULL ? *branch : cJSON_CreateArray();
    bool is_done = operation->kind > PLAN_SEND ? write_event(writing, operation->kind)
                   : operation->kind == PLAN_SEND && is_cut_off(writing->plan, at)
                       ? write_cut_off(writing, operation)
                       : write_operation(writing, operation, steps);
    writing->operations += is_done && is_judged(operation->kind);
}

cJSON *plan_steps(const struct plan *plan, unsigned *operations) {
    struct writing writing = {.plan = plan, .steps = cJSON_CreateArray()};
    for (size_t i = 0; i < plan->len; i++)
        write_next(&writing, i);
    end_burst(&writing);
    write_settle(&writing);
    cJSON *documents = cJSON_CreateArray();
    for (unsigned d = 0; d < PLAN_DOCUMENTS_MAX; d++)
        if (writing.is_used[d])
            write_step(documents, "\"d%u\"", d);
    cJSON *first = cJSON_CreateObject();
    cJSON_AddItemToObject(first, "document", documents);
    cJSON_InsertItemInArray(writing.steps, 0, first);
    *operations = writing.operations;
    return writing.steps;
}
