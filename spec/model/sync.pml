/*
 * The synchronisation of section 12.3 and what it asks of a server in section 11, for SPIN: one
 * server, two clients, one document, CHANGES changes. README.md says what is modelled and what is
 * not; `make model` checks it.
 *
 * A set of changes is a number, one bit a change. The log is the chain of its prefixes,
 *
 *     prefix[0] = {}  ⊂  prefix[1]  ⊂  …  ⊂  prefix[length]        one change more at each step,
 *
 * so that prefix[k] is the digest of the log up to position k, and with its tag the cursor of k.
 * Digests are perfect here: two sets are equal when their numbers are.
 */
/* The bounds: changes, messages on their way to a client, restores (ANY: no bound). */
#ifndef CHANGES
#define CHANGES 3
#endif
#ifndef ROOM
#define ROOM 2
#endif
#ifndef RESTORES
#define RESTORES ANY
#endif
#define ANY 255

#define ALL  ((1 << CHANGES) - 1)
#define NONE (1 << CHANGES) /* in place of a cursor: none, the start of the log */

#define LACKS(a, b) (((b) & ~(a)) != 0) /* something of b is not in a */
#define COUNT(set)  (((set) & 1) + (((set) >> 1) & 1) + (((set) >> 2) & 1))
#define BITS(set)   ((set) >> 2) & 1, ((set) >> 1) & 1, (set) & 1 /* for printf's %d%d%d */

mtype:request = { OPEN, LIST, PUSH };
mtype:reply = { OPENED, LISTED, LISTED_LAST, UNKNOWN_CURSOR, PUSHED, UNAVAILABLE, CHANGED };
mtype:state = { OFF, OPENING, AFTER_CURSOR, FROM_START, LIVE };

/* The connection of each client. */
chan to_server[2] = [1] of { mtype:request, byte };     /* with a set, or a cursor */
chan to_client[2] = [ROOM] of { mtype:reply, byte, byte }; /* with a set and a cursor */

/* ---- The server: its store, and what it keeps for each connection ---- */

byte length;
byte prefix[CHANGES + 2];
byte stray;           /* pushes that nobody waits for any more, and that may yet be stored */

bit is_open[2];
bit is_subscribed[2];
byte opened_at[2];    /* the opened position */
byte sent[2];         /* up to here the connection has everything */
byte own[2];          /* what a push of this connection stored, beyond that */
byte pending[2];      /* a push before its commit */
byte owed[2];         /* a push between its commit and its pushed */

/* ---- The clients: held, known and cursor on disk; the rest ends with the connection ---- */

byte held[2];
byte known[2];
byte cursor[2] = NONE;

mtype:state state[2] = OFF;
byte opened[2];       /* what the server had at opened */
byte listed[2];       /* step c: what was listed so far */
byte late[2];         /* what came live during the resume */
byte in_flight[2];    /* pushed and not answered */

/* ---- What only the properties look at ---- */

byte shown;           /* what a client was told is stored, less what a restore took away */
byte came[2];         /* what this connection's opened covered, or a changed brought */
bit is_stale[2];      /* the server was restored since this client was level with it */
bit is_calm;          /* no fault from now on */
byte restores = RESTORES;

/* For use within one step, and no part of the state. A search by breadth cannot leave them out. */
#ifdef SHORTEST
#define SCRATCH
#else
#define SCRATCH hidden
#endif
SCRATCH byte set;
SCRATCH byte at;
SCRATCH byte k;
SCRATCH mtype:request request;
SCRATCH mtype:reply reply;

#define LOG prefix[length]

/* ---- Properties ---- */

/* P1 [ASP-DUR-1] [ASP-DUR-3] [ASP-PUSH-5]: what a client was told is stored is stored. */
#define check_nothing_lost() assert(!LACKS(LOG, shown))

/* P2 [ASP-CLI-18]: a client has all that is up to position k, the one its cursor names. */
#define check_no_gap(i, k) assert((k) == NONE || !LACKS(held[i], prefix[k]))

/* P3 [ASP-CLI-7] [ASP-LIVE-5]: and knows that the server has it, when it resumes from there. */
#define check_known(i, k) assert((k) == NONE || !LACKS(known[i], prefix[k]))

/* P4 [ASP-CLI-13]: the whole log is listed only after a restore. */
#define check_cause(i) assert(is_stale[i])

/* P5 [ASP-LIVE-1] [ASP-LIVE-4]: nothing comes live twice, or that opened covered. */
#define check_once(i, change) assert(!(came[i] & (change)))

/* P6: after a full listing a client knows exactly what the server had. */
#define check_level(i) assert(known[i] == opened[i])

/* ---- Cursors ---- */

/* Sets k to the position that a cursor names in this log, or NONE [ASP-CUR-4]. */
inline find_cursor(c) {
    k = NONE;
    if
    :: c != NONE && COUNT(c) <= length ->
        if
#ifdef UNTAGGED_CURSOR
        :: true -> k = COUNT(c)
#else
        :: prefix[COUNT(c)] == c -> k = COUNT(c)
        :: else
#endif
        fi
    :: else
    fi
}

/* Both ends forget all but what is on disk. */
inline forget_connection(i) {
    do
    :: len(to_server[i]) > 0 -> to_server[i]?request, set
    :: else -> break
    od;
    do
    :: len(to_client[i]) > 0 -> to_client[i]?reply, set, at
    :: else -> break
    od;
    is_open[i] = 0; is_subscribed[i] = 0; opened_at[i] = 0; sent[i] = 0;
    own[i] = 0; pending[i] = 0; owed[i] = 0;
    state[i] = OFF; opened[i] = 0; listed[i] = 0; late[i] = 0; came[i] = 0;
#ifndef NOT_RESENT
    in_flight[i] = 0
#endif
}

/* ---- The server ---- */

inline append(changes) {
    at = 1;
    do
    :: at > ALL -> break
    :: at <= ALL && (changes & at & ~LOG) -> prefix[length + 1] = LOG | at; length++
    :: else -> at = at << 1
    od;
    stray = stray & ~LOG
}

#define NEXT(i) (prefix[sent[i] + 1] ^ prefix[sent[i]])

/* Own changes count as sent with their pushed, so no cursor covers them before [ASP-LIVE-5]. */
#ifdef PUSHED_AFTER_CHANGED
#define SENDABLE(i) (sent[i] < length)
#define IS_SKIPPED(i) (sent[i] < length && (NEXT(i) & own[i]))
#else
#define SENDABLE(i) (sent[i] < length && !(NEXT(i) & owed[i] & own[i]))
#define IS_SKIPPED(i) (sent[i] < length && (NEXT(i) & own[i] & ~owed[i]))
#endif

inline skip_own(i) {
    do
    :: IS_SKIPPED(i) -> sent[i]++
    :: else -> break
    od;
    own[i] = own[i] & ~prefix[sent[i]]
}

/* One snapshot: the log so far is opened's, the rest comes live [ASP-OPEN-3] [ASP-OPEN-4]. */
inline subscribe(i) {
    printf("server: sends client %d what comes after position %d\n", i + 1, length);
    is_subscribed[i] = true;
#ifdef LIVE_FROM_START
    sent[i] = 0
#else
    sent[i] = length
#endif
}

inline answer_open(i) {
    printf("server: opened for client %d, log %d%d%d\n", i + 1, BITS(LOG));
    is_open[i] = true;
    opened_at[i] = length;
#ifndef LIST_BEFORE_SUBSCRIBE
    subscribe(i);
#endif
    to_client[i]!OPENED, LOG, LOG
}

/* A page of one change, and none beyond the opened position [ASP-LIST-1] [ASP-LIST-5]. */
inline answer_page(i) {
    printf("server: page for client %d, after position %d of %d\n", i + 1, k, opened_at[i]);
    if
    :: k >= opened_at[i] -> to_client[i]!LISTED_LAST, 0, prefix[opened_at[i]]
    :: k + 1 == opened_at[i] -> to_client[i]!LISTED_LAST, prefix[k + 1] ^ prefix[k], prefix[k + 1]
    :: else -> to_client[i]!LISTED, prefix[k + 1] ^ prefix[k], prefix[k + 1]
    fi
}

inline answer_list(i, after) {
    find_cursor(after);
    if
    :: after != NONE && k == NONE ->
        printf("server: does not know the cursor of client %d\n", i + 1);
        to_client[i]!UNKNOWN_CURSOR, 0, 0
    :: after != NONE && k != NONE -> check_no_gap(i, k); answer_page(i)
    :: else -> k = 0; answer_page(i)
    fi
}

inline take_request(i) {
    to_server[i]?request, set;
    if
    :: request == OPEN -> answer_open(i)
    :: request == LIST -> answer_list(i, set)
    :: request == PUSH ->
        printf("server: push of client %d, %d%d%d\n", i + 1, BITS(set));
        pending[i] = set;
#ifdef ACK_BEFORE_COMMIT
        to_client[i]!PUSHED, set, 0
#endif
    fi
}

/* Pushes that are committed together are this step for each of them, with none between. */
inline commit(i) {
    own[i] = own[i] | (pending[i] & ~LOG);
    append(pending[i]);
    printf("server: commits the push of client %d, log %d%d%d\n", i + 1, BITS(LOG));
#ifndef ACK_BEFORE_COMMIT
    owed[i] = pending[i];
#endif
    pending[i] = 0
}

/* Not even the server knows what became of it [ASP-PUSH-9] [ASP-DUR-6]. */
inline fail_commit(i) {
    printf("server: cannot tell whether the push of client %d is stored\n", i + 1);
    stray = (stray | pending[i]) & ~LOG;
    to_client[i]!UNAVAILABLE, pending[i], 0;
    pending[i] = 0
}

inline send_pushed(i) {
    printf("server: pushed to client %d, %d%d%d\n", i + 1, BITS(owed[i]));
    to_client[i]!PUSHED, owed[i], 0;
    owed[i] = 0;
    skip_own(i)
}

inline relay(i) {
    skip_own(i);
    if
    :: sent[i] < length ->
        printf("server: changed to client %d, %d%d%d\n", i + 1, BITS(NEXT(i)));
        to_client[i]!CHANGED, NEXT(i), prefix[sent[i] + 1];
        sent[i]++;
        skip_own(i)
    :: else
    fi
}

/* What the server does for one connection; the next request only after the reply [ASP-MSG-18]. */
active [2] proctype Connection() {
end:
    do
    :: d_step {
           nempty(to_server[_pid]) && !pending[_pid] && !owed[_pid] && nfull(to_client[_pid]) ->
               take_request(_pid)
       }
    :: d_step { pending[_pid] -> commit(_pid) }
    :: d_step { pending[_pid] && !is_calm && nfull(to_client[_pid]) -> fail_commit(_pid) }
    :: d_step { owed[_pid] && nfull(to_client[_pid]) -> send_pushed(_pid) }
    :: d_step {
           is_subscribed[_pid] && SENDABLE(_pid) && nfull(to_client[_pid]) -> relay(_pid)
       }
#ifdef LIST_BEFORE_SUBSCRIBE
    :: d_step { is_open[_pid] && !is_subscribed[_pid] -> subscribe(_pid) }
#endif
    od
}

/* ---- The clients ---- */

#define me (_pid - 2)

/* The second client makes change 2, the first one the others. */
#define NEXT_OWN(i) (ALL & ~held[i] & ((i) == 1 -> 2 : (held[0] & 1 -> 4 : 1)))

/* Whoever made them, so that any device rebuilds a server [ASP-CLI-10]. */
#ifdef OWN_ALONE
#define LACKING(i)  (held[i] & ~known[i] & ~in_flight[i] & ((i) == 1 -> 2 : 5))
#else
#define LACKING(i)  (held[i] & ~known[i] & ~in_flight[i])
#endif

/* A device that is lost takes no part once the faults have ended. */
#ifdef DEVICE_LOST
#define IS_GONE(i) ((i) == 0 && is_calm)
#else
#define IS_GONE(i) false
#endif

inline adopt(i, c) {
    printf("client %d: holds %d%d%d, adopts cursor %d%d%d\n", i + 1, BITS(held[i]), BITS(c));
    cursor[i] = c;
    find_cursor(c);
    check_no_gap(i, k)
}

/* What only a resume looks at is forgotten: it would make states differ that are alike. */
inline go_live(i) {
    opened[i] = 0;
    opened_at[i] = 0;
    known[i] = known[i] | late[i];
    late[i] = 0;
    listed[i] = 0;
    is_stale[i] = false;
    state[i] = LIVE
}

inline list_from_start(i) {
    printf("client %d: has to list the whole log\n", i + 1);
    check_cause(i);
    state[i] = FROM_START;
    to_server[i]!LIST, NONE
}

/* Steps a and b; of a first listing there is nothing to replace, so it is step b as well. */
inline on_opened(i, log) {
    opened[i] = log;
    came[i] = log;
    find_cursor(cursor[i]);
    check_no_gap(i, k);
    check_known(i, k);
    if
    :: known[i] == log -> adopt(i, log); go_live(i)
    :: known[i] != log && cursor[i] == NONE && known[i] != 0 -> list_from_start(i)
    :: else -> state[i] = AFTER_CURSOR; to_server[i]!LIST, cursor[i]
    fi
}

inline on_unknown_cursor(i) {
#ifdef CURSOR_FATAL
    forget_connection(i)
#else
    cursor[i] = NONE;
    list_from_start(i)
#endif
}

inline end_listing(i) {
    if
    :: state[i] == AFTER_CURSOR && known[i] != opened[i] -> list_from_start(i)
    :: state[i] == AFTER_CURSOR && known[i] == opened[i] -> go_live(i)
    :: state[i] == FROM_START ->
#ifdef KNOWN_NOT_REPLACED
        known[i] = known[i] | listed[i];
#else
        known[i] = listed[i];
#endif
        check_level(i);
        adopt(i, opened[i]);
        go_live(i)
    fi
}

/* A page and its changes are on disk in one step with the cursor that they allow [ASP-CLI-19]. */
inline on_listed(i, change, c) {
    held[i] = held[i] | change;
    if
    :: state[i] == AFTER_CURSOR -> known[i] = known[i] | change; adopt(i, c)
    :: else -> listed[i] = listed[i] | change
    fi;
    if
    :: reply == LISTED -> to_server[i]!LIST, c
    :: else -> end_listing(i)
    fi
}

inline on_changed(i, change, c) {
    check_once(i, change);
    came[i] = came[i] | change;
    held[i] = held[i] | change;
    if
    :: state[i] == LIVE -> known[i] = known[i] | change; adopt(i, c)
    :: else ->
#ifdef KNOWN_BEFORE_COMPARED
        known[i] = known[i] | change;
#endif
#ifdef ADOPTED_WHILE_LISTING
        adopt(i, c);
#endif
        late[i] = late[i] | change
    fi
}

inline receive(i) {
    to_client[i]?reply, set, at;
    printf("client %d: gets %e %d%d%d\n", i + 1, reply, BITS(set));
    if
    :: reply == OPENED -> shown = shown | set; on_opened(i, set)
    :: reply == LISTED || reply == LISTED_LAST -> shown = shown | set; on_listed(i, set, at)
    :: reply == UNKNOWN_CURSOR -> on_unknown_cursor(i)
    :: reply == PUSHED ->
        shown = shown | set;
        known[i] = known[i] | set;
        in_flight[i] = in_flight[i] & ~set
    :: reply == UNAVAILABLE -> in_flight[i] = in_flight[i] & ~set
    :: reply == CHANGED -> shown = shown | set; on_changed(i, set, at)
    fi
}

inline push_lacking(i) {
    printf("client %d: pushes %d%d%d\n", i + 1, BITS(LACKING(i)));
    to_server[i]!PUSH, LACKING(i);
    in_flight[i] = in_flight[i] | LACKING(i)
}

inline make(i) {
    printf("client %d: makes %d%d%d\n", i + 1, BITS(NEXT_OWN(i)));
    held[i] = held[i] | NEXT_OWN(i)
}

inline connect(i) {
    printf("client %d: connects, knows %d%d%d\n", i + 1, BITS(known[i]));
    state[i] = OPENING;
    to_server[i]!OPEN, 0
}

active [2] proctype Client() {
end:
    do
    :: d_step { NEXT_OWN(me) && !IS_GONE(me) -> make(me) }
    :: d_step { state[me] == OFF && !IS_GONE(me) -> connect(me) }
    :: d_step { nempty(to_client[me]) -> receive(me) }
    :: d_step { state[me] == LIVE && LACKING(me) && nfull(to_server[me]) -> push_lacking(me) }
    od
}

/* ---- Faults ---- */

/* A connection is lost. What was pushed on it may yet be stored. */
inline cut(i) {
    printf("fault: connection of client %d is cut\n", i + 1);
    stray = stray | pending[i];
    if
    :: len(to_server[i]) > 0 ->
        to_server[i]?request, set;
        stray = stray | (request == PUSH -> set : 0)
    :: else
    fi;
    stray = stray & ~LOG;
    forget_connection(i)
}

/* The server's process ends and starts again: what was not committed is gone. */
inline crash() {
    printf("fault: server starts again, log %d%d%d\n", BITS(LOG));
    forget_connection(0);
    forget_connection(1);
    stray = 0;
    check_nothing_lost()
}

/* The server starts again with its log as it was up to a position. */
inline restore(position) {
    crash();
    restores = restores - (RESTORES != ANY);
    do
    :: length > position -> prefix[length] = 0; length--
    :: else -> break
    od;
    printf("fault: server is restored, log %d%d%d\n", BITS(LOG));
    shown = shown & LOG;
    is_stale[0] = true;
    is_stale[1] = true
}

inline calm() {
    printf("no more faults\n");
#ifdef DEVICE_LOST
    cut(0);
#endif
    is_calm = true
}

active proctype Faults() {
end:
    do
    :: d_step { state[0] != OFF -> cut(0) }
    :: d_step { state[1] != OFF -> cut(1) }
    :: d_step { state[0] != OFF || state[1] != OFF || stray -> crash() }
    :: d_step { length > 0 && restores -> restore(0) }
    :: d_step { length > 1 && restores -> restore(1) }
    :: d_step { length > 2 && restores -> restore(2) }
#ifdef CONVERGENCE
    :: d_step { true -> calm() } break
#endif
    od
}

/* Pushes that nobody waits for are carried out, in any order. */
inline store_stray(change) {
    printf("server: stores %d%d%d after all\n", BITS(change));
    append(change)
}

active proctype Stray() {
end:
    do
    :: d_step { stray & 1 -> store_stray(1) }
    :: d_step { stray & 2 -> store_stray(2) }
    :: d_step { stray & 4 -> store_stray(4) }
    od
}

/* ---- Convergence: once the faults have ended, all get everything, and know it ---- */

#ifdef CONVERGENCE
#define IS_LEVEL(i) (held[i] == LOG && known[i] == LOG && state[i] == LIVE)
#ifdef DEVICE_LOST
#define IS_SETTLED (!stray && IS_LEVEL(1) && (LOG & 2))
#else
#define IS_SETTLED (IS_LEVEL(0) && IS_LEVEL(1) && LOG == ALL)
#endif
ltl convergence { [] (is_calm -> <> IS_SETTLED) }
#endif
