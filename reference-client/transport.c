#include "reference-client/transport.h"

#include <libwebsockets.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    INCOMING_BYTES_MAX = 16 * 1024 * 1024, /* waiting for the session before reading pauses */
    MESSAGE_BYTES_MAX = 256 * 1024 * 1024, /* what memory allows, whatever limits.message says */
    BUFFER_BYTES = 64 * 1024,
    CLOSE_TIMEOUT_US = 1000000,
};

/* A message to be sent, with the room libwebsockets writes its header into. */
struct outgoing {
    struct outgoing *next;
    size_t len;
    unsigned char bytes[];
};

struct transport {
    struct transport_options options;
    char *authorization; /* header, or NULL */
    struct lws_context *context;
    pthread_t thread;

    pthread_mutex_t mutex; /* of all below */
    struct outgoing *outgoing;
    struct outgoing **outgoing_end;
    struct transport_item *incoming;
    struct transport_item **incoming_end;
    size_t incoming_bytes;
    bool wants_dial;
    bool wants_drop;
    uint16_t close_code;
    bool is_ending;
    bool is_dialling; /* the thread may be looking up a name, for as long as that takes */
    bool is_left;     /* nobody waits for the thread: it frees all this itself */
    bool waits[TRANSPORT_ITEM_TYPES]; /* of SENT and RECEIVED: one says it for all */

    /* Of the thread alone. */
    struct lws *wsi; /* the current connection; others only run down */
    bool is_established;
    bool is_closing;
    bool is_paused;
    bool has_ended; /* what was dialled last */
    uint16_t closing_with;
    struct athena_buf message;   /* fragments so far */
    struct athena_error cause;   /* why it ended */
    char certificate_fault[128]; /* "": none */
};

/* ---- Towards the session ---- */

static void free_incoming(struct transport *t) {
    while (t->incoming) {
        struct transport_item *next = t->incoming->next;
        free(t->incoming);
        t->incoming = next;
    }
    t->incoming_end = &t->incoming;
    t->incoming_bytes = 0;
    memset(t->waits, 0, sizeof t->waits);
}

static void free_outgoing(struct transport *t) {
    while (t->outgoing) {
        struct outgoing *next = t->outgoing->next;
        free(t->outgoing);
        t->outgoing = next;
    }
    t->outgoing_end = &t->outgoing;
}

/* Under the mutex. Once the thread is to end, the descriptor may be another's. */
static void raise_event(const struct transport *t) {
    uint64_t one = 1;
    ssize_t written = t->is_ending ? 0 : write(t->options.event_fd, &one, sizeof one);
    (void)written; /* a full counter is raised already */
}

/* Under the mutex. Without memory the connection cannot go on: false. */
static bool add_item(struct transport *t, enum transport_item_type type, const char *text,
                     size_t len, const struct athena_error *why) {
    struct transport_item *item = malloc(sizeof *item + len);
    if (!item)
        return false;
    *item = (struct transport_item){.type = type, .len = len};
    if (why)
        item->why = *why;
    if (len)
        memcpy(item->text, text, len);
    *t->incoming_end = item;
    t->incoming_end = &item->next;
    t->incoming_bytes += sizeof *item + len;
    return true;
}

static bool put(struct transport *t, enum transport_item_type type, const char *text, size_t len,
                const struct athena_error *why) {
    pthread_mutex_lock(&t->mutex);
    bool ok = t->wants_drop || add_item(t, type, text, len, why);
    raise_event(t);
    pthread_mutex_unlock(&t->mutex);
    return ok;
}

static void put_progress(struct transport *t, enum transport_item_type type) {
    pthread_mutex_lock(&t->mutex);
    bool is_new = !t->waits[type] && !t->wants_drop;
    if (is_new)
        t->waits[type] = add_item(t, type, NULL, 0, NULL);
    if (is_new)
        raise_event(t);
    pthread_mutex_unlock(&t->mutex);
}

struct transport_item *transport_next(struct transport *t) {
    pthread_mutex_lock(&t->mutex);
    struct transport_item *item = t->incoming;
    bool was_full = t->incoming_bytes >= INCOMING_BYTES_MAX;
    if (item) {
        t->incoming = item->next;
        if (!t->incoming)
            t->incoming_end = &t->incoming;
        t->incoming_bytes -= sizeof *item + item->len;
        t->waits[item->type] = false;
    }
    bool resumes = was_full && t->incoming_bytes < INCOMING_BYTES_MAX;
    pthread_mutex_unlock(&t->mutex);
    if (resumes)
        lws_cancel_service(t->context);
    return item;
}

/* ---- Endings ---- */

/* The one way out: whatever ended the connection [ASP-ERR-9]. */
static void disconnected(struct transport *t, enum athena_code code, const char *text) {
    struct athena_error why = {.code = code};
    snprintf(why.text, sizeof why.text, "%s", text);
    t->wsi = NULL;
    t->is_established = false;
    t->is_closing = false;
    t->is_paused = false;
    t->has_ended = true;
    athena_buf_fini(&t->message);
    put(t, TRANSPORT_DISCONNECTED, NULL, 0, &why);
}

/* Endings that say this client did wrong [ASP-CLI-42]. */
static bool is_fault(unsigned code) {
    return code == 1002 || code == 1003 || code == 1007 || code == 1009 || code == 4000 ||
           code == 4001;
}

static void note_peer_close(struct transport *t, const unsigned char *payload, size_t len) {
    unsigned code = len >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 1005;
    t->cause.code = is_fault(code) ? ATHENA_BAD_MESSAGE : ATHENA_UNAVAILABLE;
    snprintf(t->cause.text, sizeof t->cause.text, "the server closed with %u", code);
}

/* [ASP-WS-10] */
static void refused(struct transport *t, struct lws *wsi, const char *text) {
    unsigned status = lws_http_client_http_response(wsi);
    char why[200];
    if (*t->certificate_fault)
        snprintf(why, sizeof why, "the server's certificate: %s", t->certificate_fault);
    else if (status && status != 101)
        snprintf(why, sizeof why, "the server answered the handshake with HTTP status %u", status);
    else
        snprintf(why, sizeof why, "cannot connect: %s", text ? text : "no reason given");
    disconnected(t, status == 401 ? ATHENA_FORBIDDEN : ATHENA_UNAVAILABLE, why);
}

/* OpenSSL's verdict, which the error that libwebsockets gives does not name. */
static void note_certificate(struct transport *t, X509_STORE_CTX *chain, bool is_trusted) {
    int fault = X509_STORE_CTX_get_error(chain);
    if (!is_trusted && fault != X509_V_OK)
        snprintf(t->certificate_fault, sizeof t->certificate_fault, "%s",
                 X509_verify_cert_error_string(fault));
}

/* ---- Reading and writing ---- */

static bool is_full(struct transport *t) {
    pthread_mutex_lock(&t->mutex);
    bool full = t->incoming_bytes >= INCOMING_BYTES_MAX;
    pthread_mutex_unlock(&t->mutex);
    return full;
}

static int refuse_message(struct transport *t, struct lws *wsi, enum lws_close_status status,
                          const char *why) {
    t->cause.code = ATHENA_BAD_MESSAGE;
    snprintf(t->cause.text, sizeof t->cause.text, "%s", why);
    lws_close_reason(wsi, status, NULL, 0);
    return -1;
}

/* [ASP-WS-21] [ASP-WS-50] [ASP-MSG-22] */
static int receive(struct transport *t, struct lws *wsi, const char *bytes, size_t len) {
    if (lws_frame_is_binary(wsi))
        return refuse_message(t, wsi, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE,
                              "the server sent a binary message");
    if (t->message.len + len > MESSAGE_BYTES_MAX)
        return refuse_message(t, wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE,
                              "the server sent a message larger than this client can hold");
    put_progress(t, TRANSPORT_RECEIVED);
    athena_buf_append(&t->message, bytes, len);
    if (t->message.failed)
        return -1;
    if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
        return 0;
    bool ok = put(t, TRANSPORT_MESSAGE, t->message.at, t->message.len, NULL);
    athena_buf_clear(&t->message);
    if (ok && is_full(t)) {
        t->is_paused = true;
        lws_rx_flow_control(wsi, 0);
    }
    return ok ? 0 : -1;
}

static struct outgoing *take_outgoing(struct transport *t) {
    pthread_mutex_lock(&t->mutex);
    struct outgoing *message = t->outgoing;
    if (message) {
        t->outgoing = message->next;
        if (!t->outgoing)
            t->outgoing_end = &t->outgoing;
    }
    pthread_mutex_unlock(&t->mutex);
    return message;
}

static int send_next(struct transport *t, struct lws *wsi) {
    if (t->is_closing) {
        lws_close_reason(wsi, (enum lws_close_status)t->closing_with, NULL, 0);
        return -1;
    }
    if (lws_partial_buffered(wsi)) { /* a spurious call: what was written before is not sent yet */
        lws_callback_on_writable(wsi);
        return 0;
    }
    struct outgoing *message = take_outgoing(t);
    if (!message)
        return 0;
    put_progress(t, TRANSPORT_SENT);
    /* [ASP-WS-20] */
    int written = lws_write(wsi, message->bytes + LWS_PRE, message->len, LWS_WRITE_TEXT);
    free(message);
    lws_callback_on_writable(wsi);
    return written < 0 ? -1 : 0;
}

/* ---- Connecting ---- */

/* [ASP-WS-19] [ASP-WS-52] */
static int add_authorization(struct transport *t, struct lws *wsi, unsigned char **at,
                             size_t room) {
    if (!t->authorization)
        return 0;
    return lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
                                        (const unsigned char *)t->authorization,
                                        (int)strlen(t->authorization), at, *at + room);
}

/* The server has to have selected the one subprotocol that was offered [ASP-WS-5]. */
static int check_selected(struct lws *wsi) {
    char selected[64];
    int len = lws_hdr_copy(wsi, selected, sizeof selected, WSI_TOKEN_PROTOCOL);
    return len > 0 && strcmp(selected, ATHENA_SUBPROTOCOL) == 0 ? 0 : -1;
}

static int tls_flags(const struct transport *t) {
    if (!t->options.url.secure)
        return 0;
    return LCCSCF_USE_SSL |
           (t->options.is_insecure
                ? LCCSCF_ALLOW_SELFSIGNED | LCCSCF_ALLOW_EXPIRED |
                      LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK | LCCSCF_ALLOW_INSECURE
                : 0);
}

static void dial(struct transport *t) {
    const struct athena_url *url = &t->options.url;
    t->cause = (struct athena_error){ATHENA_UNAVAILABLE, "", "the connection was cut"};
    t->is_established = t->is_closing = t->is_paused = t->has_ended = false;
    *t->certificate_fault = '\0';
    struct lws_client_connect_info info = {
        .context = t->context,
        .address = url->host,
        .port = url->port,
        .path = url->path,
        .host = url->authority,
        .origin = url->host,
        .protocol = ATHENA_SUBPROTOCOL, /* [ASP-WS-2] */
        .local_protocol_name = ATHENA_SUBPROTOCOL,
        .ssl_connection = tls_flags(t) | LCCSCF_HTTP_NO_FOLLOW_REDIRECT, /* [ASP-WS-9] */
        .pwsi = &t->wsi,
    };
    /* libwebsockets tells some of what fails at once, and of a name that it cannot look up nothing.
     */
    if (!lws_client_connect_via_info(&info) && !t->has_ended)
        disconnected(t, ATHENA_UNAVAILABLE, "cannot find or reach the server's host");
}

/* Whoever wants the thread to end is not kept waiting by a name that is being looked up. */
static void set_dialling(struct transport *t, bool is_dialling) {
    pthread_mutex_lock(&t->mutex);
    t->is_dialling = is_dialling;
    pthread_mutex_unlock(&t->mutex);
}

/* What the session has asked for since the last time. */
static void obey(struct transport *t) {
    pthread_mutex_lock(&t->mutex);
    bool ends = t->is_ending;
    bool drops = t->wants_drop || ends;
    bool dials = t->is_dialling = t->wants_dial && !ends;
    t->closing_with = t->close_code;
    t->wants_drop = t->wants_dial = false;
    bool resumes = t->is_paused && t->incoming_bytes < INCOMING_BYTES_MAX;
    pthread_mutex_unlock(&t->mutex);
    if (drops && t->wsi) {
        struct lws *wsi = t->wsi;
        t->is_closing = t->is_established;
        if (t->is_established)
            lws_callback_on_writable(wsi);
        else
            lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
        t->wsi = ends && t->is_established ? wsi : NULL;
    }
    if (dials) {
        dial(t);
        set_dialling(t, false);
    }
    if (t->wsi && resumes) {
        t->is_paused = false;
        lws_rx_flow_control(t->wsi, 1);
    }
    if (t->wsi && t->is_established)
        lws_callback_on_writable(t->wsi);
}

/* A connection that the session has given up: it only has to end. */
static int run_down(struct transport *t, struct lws *wsi, enum lws_callback_reasons reason) {
    if (reason == LWS_CALLBACK_CLIENT_WRITEABLE) {
        lws_close_reason(wsi, (enum lws_close_status)t->closing_with, NULL, 0);
        return -1;
    }
    return reason == LWS_CALLBACK_CLIENT_RECEIVE || reason == LWS_CALLBACK_CLIENT_ESTABLISHED ? -1
                                                                                              : 0;
}

static int on_websocket(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                        size_t len) {
    struct transport *t = lws_context_user(lws_get_context(wsi));
    if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED) {
        obey(t);
        return 0;
    }
    if (reason == LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER)
        return add_authorization(t, wsi, in, len);
    if (reason == LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION) {
        note_certificate(t, user, len != 0);
        return 0;
    }
    if (wsi != t->wsi)
        return run_down(t, wsi, reason);
    switch (reason) {
    case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
        return check_selected(wsi);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        t->is_established = true;
        put(t, TRANSPORT_CONNECTED, NULL, 0, NULL);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return receive(t, wsi, in, len);
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return send_next(t, wsi);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        note_peer_close(t, in, len);
        return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        refused(t, wsi, in);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
        disconnected(t, t->cause.code, t->cause.text);
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = ATHENA_SUBPROTOCOL,
     .callback = on_websocket,
     .rx_buffer_size = BUFFER_BYTES,
     .tx_packet_size = BUFFER_BYTES},
    {.name = NULL},
};

/* ---- The thread ---- */

static bool is_ending(struct transport *t) {
    pthread_mutex_lock(&t->mutex);
    bool ending = t->is_ending;
    pthread_mutex_unlock(&t->mutex);
    return ending;
}

static bool is_left(struct transport *t) {
    pthread_mutex_lock(&t->mutex);
    bool left = t->is_left;
    pthread_mutex_unlock(&t->mutex);
    return left;
}

static void destroy(struct transport *t) {
    if (t->context)
        lws_context_destroy(t->context);
    free_incoming(t);
    free_outgoing(t);
    athena_buf_fini(&t->message);
    pthread_mutex_destroy(&t->mutex);
    free(t->authorization);
    free(t);
}

/* Only ends the wait of lws_service. */
static void on_close_timeout(lws_sorted_usec_list_t *sul) {
    (void)sul;
}

/* [ASP-CLI-36] */
static void *run(void *argument) {
    struct transport *t = argument;
    while (!is_ending(t))
        lws_service(t->context, 0);
    if (is_left(t)) {
        destroy(t);
        return NULL;
    }
    obey(t);
    lws_usec_t until = lws_now_usecs() + CLOSE_TIMEOUT_US;
    lws_sorted_usec_list_t wake = {0};
    lws_sul_schedule(t->context, 0, &wake, on_close_timeout, CLOSE_TIMEOUT_US);
    while (t->wsi && lws_now_usecs() < until)
        lws_service(t->context, 0);
    lws_sul_cancel(&wake);
    return NULL;
}

static bool create_context(struct transport *t) {
    /* Reading the system's certificates takes longer than all else of a start; and certificates
     * that are given stand in their place, not beside them [ASP-WS-43]. */
    uint64_t tls = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                   (t->options.ca_file ? LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS : 0);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .options = t->options.url.secure ? tls : 0,
        .user = t,
        .pt_serv_buf_size = BUFFER_BYTES,
        .client_ssl_ca_filepath = t->options.url.secure ? t->options.ca_file : NULL,
        .fd_limit_per_thread = 64,
    };
    lws_set_log_level(0, NULL);
    t->context = lws_create_context(&info);
    return t->context != NULL;
}

/* False without memory. */
static bool set_authorization(struct transport *t, const char *token) {
    if (!token)
        return true;
    size_t room = sizeof "Bearer " + strlen(token);
    t->authorization = malloc(room);
    if (t->authorization)
        snprintf(t->authorization, room, "Bearer %s", token);
    return t->authorization != NULL;
}

struct transport *transport_new(const struct transport_options *options) {
    struct transport *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->options = *options;
    bool has_header = set_authorization(t, options->token);
    t->incoming_end = &t->incoming;
    t->outgoing_end = &t->outgoing;
    t->close_code = LWS_CLOSE_STATUS_NORMAL;
    pthread_mutex_init(&t->mutex, NULL);
    if (has_header && create_context(t) && pthread_create(&t->thread, NULL, run, t) == 0)
        return t;
    destroy(t);
    return NULL;
}

void transport_free(struct transport *t) {
    if (!t)
        return;
    pthread_t thread = t->thread;
    pthread_mutex_lock(&t->mutex);
    bool leaves = t->is_left = t->is_dialling;
    t->is_ending = true;
    lws_cancel_service(t->context); /* while it is certain that the thread has not freed it */
    pthread_mutex_unlock(&t->mutex);
    if (leaves) {
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
    destroy(t);
}

/* ---- From the session ---- */

/* What the session sent before it heard of the last ending is not for the next connection. */
void transport_dial(struct transport *t) {
    pthread_mutex_lock(&t->mutex);
    free_outgoing(t);
    t->wants_dial = true;
    pthread_mutex_unlock(&t->mutex);
    lws_cancel_service(t->context);
}

void transport_send(struct transport *t, struct athena_text_view json) {
    struct outgoing *message = malloc(sizeof *message + LWS_PRE + json.len);
    if (!message) {
        transport_drop(t, LWS_CLOSE_STATUS_NORMAL);
        return;
    }
    message->next = NULL;
    message->len = json.len;
    memcpy(message->bytes + LWS_PRE, json.at, json.len);
    pthread_mutex_lock(&t->mutex);
    *t->outgoing_end = message;
    t->outgoing_end = &message->next;
    pthread_mutex_unlock(&t->mutex);
    lws_cancel_service(t->context);
}

void transport_drop(struct transport *t, uint16_t close_code) {
    pthread_mutex_lock(&t->mutex);
    t->wants_drop = true;
    t->wants_dial = false;
    t->close_code = close_code;
    free_incoming(t);
    free_outgoing(t);
    pthread_mutex_unlock(&t->mutex);
    lws_cancel_service(t->context);
}
