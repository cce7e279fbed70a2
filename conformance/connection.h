/*
 * One connection of a scenario: a stream and an endpoint, the messages that came and were not
 * expected yet, and how it ended. The other side is the one under test: a server, or a client.
 * Every message from it passes strict JSON, its schema and the watch (of a client: the guest book)
 * before it gets into the inbox, and all that a client says the search for what it must not tell.
 */
#ifndef CONFORM_CONNECTION_H
#define CONFORM_CONNECTION_H

#include "conformance/discretion.h"
#include "conformance/endpoint.h"
#include "conformance/guest.h"
#include "conformance/spec.h"
#include "conformance/stream.h"
#include "conformance/transcript.h"
#include "conformance/watch.h"

enum connection_ending {
    CONNECTION_LIVES,
    CONNECTION_CLOSED, /* a close frame came */
    CONNECTION_FIN,    /* the stream ended without one */
    CONNECTION_RESET,
    CONNECTION_DROPPED, /* by the scenario */
};

struct connection {
    char *name;
    const struct spec *spec;
    struct transcript *transcript;
    struct stream *stream; /* NULL once over: at the FIN that follows the Close frames, or before */
    bool is_finished;      /* it is told that nothing more goes out */
    struct endpoint *endpoint;
    char *http_head;   /* of a refusal; NULL before */
    int http_status;   /* 0 until the handshake was answered */
    bool is_strange;   /* asked for what no client of ours was given */
    bool paused;       /* the scenario said stop reading */
    size_t reads_left; /* bytes, after which it is paused; 0: any number */
    size_t portion; /* so many bytes go out at a time, each when those before were taken; 0: all */
    enum connection_ending ending;
    int close_code;     /* with CONNECTION_CLOSED */
    char *reset_reason; /* what the system or TLS said; NULL unless it was reset */
    cJSON *inbox;       /* array of messages nobody expected yet, in order of arrival */
    cJSON *pongs;       /* array of texts (base64url) */
    bool was_pinged;
    cJSON *opened;  /* {doc: the cursor of its last `opened`} */
    size_t written; /* of what the endpoint has to send */
    unsigned next_req;
    struct watch watch;
    struct guest *guest;                 /* NULL unless the other side is a client */
    const struct discretion *discretion; /* with a guest */
    /* Something no server may do, whatever the scenario expects: it fails at once. */
    char *fault;
    const char *fault_requirement;
};

/* NULL with errno set when connecting fails at once. */
struct connection *connection_open(const char *name, const struct stream_address *address,
                                   const struct handshake_request *request, const struct spec *spec,
                                   struct transcript *transcript, struct entropy *entropy);
/* Takes the stream of a client over and answers its handshake, with `refusal` if that is not
 * NULL. Takes the guest over, too, borrows the discretion. */
struct connection *connection_accept(const char *name, struct stream *stream, const char *refusal,
                                     struct guest *guest, const struct discretion *discretion,
                                     const struct spec *spec, struct transcript *transcript);
void connection_free(struct connection *connection);

/* poll(2) events to wait for; 0 when it is over or waits for nothing. */
short connection_events(const struct connection *connection);
/* Moves bytes and takes in what came. Nothing else reads, so that what is wrong with a message is
 * known before a step sees it. */
void connection_service(struct connection *connection);
/* Writes what waits, as far as it goes at once. */
void connection_flush(struct connection *connection);
/* It has a portion to write, of which no event will tell that it is due. */
bool connection_is_awaiting_turn(const struct connection *connection);

void connection_send(struct connection *connection, const cJSON *message);
/* To be called before anything else is sent through the endpoint: what goes out is then unknown. */
void connection_go_blind(struct connection *connection);
/* Ends it from our side: politely (a close frame; the peer answers), with FIN, or with RST. */
void connection_close(struct connection *connection, int code);
void connection_drop(struct connection *connection, bool reset);
/* Ends our direction alone, with FIN, and reads on; what would be sent from now on, pongs included,
 * is not. False while something waits to be written: to be called again. */
bool connection_half_close(struct connection *connection);

/* Take a message out of the inbox; NULL when there is none, else cJSON_Delete() it. Live messages
 * (`changed`) come between replies at any point, so the two are taken separately. */
cJSON *connection_take_next(struct connection *connection);
cJSON *connection_take_reply(struct connection *connection);
cJSON *connection_take_changed(struct connection *connection, const char *doc); /* NULL: of any */

/* "closed with 4000", "reset by the server", ...; free() it. */
char *connection_describe_ending(const struct connection *connection);

#endif
