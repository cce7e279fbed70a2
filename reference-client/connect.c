/* Staying connected: a session and its transport, driven by whoever services the descriptor. */
#include "reference-client/athena_sync_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_connect(void *ctx) {
    struct athena_sync *sync = ctx;
    transport_dial(sync->transport);
}

static void on_send(void *ctx, struct athena_text_view json) {
    struct athena_sync *sync = ctx;
    transport_send(sync->transport, json);
}

static void on_drop(void *ctx, uint16_t close_code) {
    struct athena_sync *sync = ctx;
    transport_drop(sync->transport, close_code);
}

static void on_event(void *ctx, const struct athena_sync_event *event) {
    struct athena_sync *sync = ctx;
    if (sync->event)
        sync->event(sync->event_ctx, event);
}

static uint32_t on_random(void *ctx) {
    (void)ctx;
    return randombytes_random();
}

static void arm_timer(struct athena_sync *sync) {
    struct itimerspec at = {0};
    uint64_t deadline = sync->session ? session_deadline_ms(sync->session) : UINT64_MAX;
    if (deadline != UINT64_MAX) {
        at.it_value.tv_sec = (time_t)(deadline / 1000);
        at.it_value.tv_nsec = (long)(deadline % 1000) * 1000000 + 1; /* 0 would disarm */
    }
    timerfd_settime(sync->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static enum athena_code parse_url(struct athena_sync *sync, const char *url,
                                  struct athena_url *parsed, struct athena_error *error) {
    char remembered[sizeof((struct athena_sync_status *)0)->url] = "";
    enum athena_code code = ATHENA_OK;
    if (!url) {
        code = replica_get_text(sync->replica, "url", remembered, sizeof remembered, error);
        url = remembered;
    }
    if (!code && *url == '\0')
        code = sync_fail(error, ATHENA_BAD_URL, "no URL", "none is given and none is remembered");
    return code ? code : sync_parse_url(parsed, url, error);
}

/* What section 7.2 does not allow might end the header that carries it, and begin another. */
static enum athena_code check_token(const char *token, struct athena_error *error) {
    return !token || athena_token_is_valid(sync_view(token))
               ? ATHENA_OK
               : sync_fail(error, ATHENA_BAD_TOKEN, "the token",
                           "not 1 to 512 of A-Z a-z 0-9 - . _ ~ + / =");
}

/* Looked at here, since libwebsockets goes on without certificates that it cannot read. */
static enum athena_code check_ca(const char *file, struct athena_error *error) {
    X509_STORE *store = file ? X509_STORE_new() : NULL;
    errno = 0;
    bool ok = !file || (store && X509_STORE_load_file(store, file) == 1);
    int number = errno;
    X509_STORE_free(store);
    ERR_clear_error();
    return ok ? ATHENA_OK
              : sync_fail(error, ATHENA_UNAVAILABLE, file,
                          number ? strerror(number) : "no certificate in it, PEM");
}

static enum athena_code start(struct athena_sync *sync,
                              const struct athena_sync_connect_options *options,
                              struct athena_error *error) {
    struct transport_options transport = {
        .url = sync->url,
        .token = options->token,
        .ca_file = options->ca_file,
        .is_insecure = options->is_insecure,
        .event_fd = sync->event_fd,
    };
    struct session_host host = {sync, on_connect, on_send, on_drop, on_event, on_random};
    struct session_times times = session_default_times;
    if (options->patience_ms > 0)
        times.idle_ms = times.probe_ms = times.greeting_ms = options->patience_ms;
    sync->event = options->event;
    sync->event_ctx = options->ctx;
    sync->transport = transport_new(&transport);
    if (sync->transport)
        sync->session =
            session_new(&host, &times, sync->replica, &sync->keys, sync_view(sync->url.authority));
    if (!sync->session) {
        transport_free(sync->transport);
        sync->transport = NULL;
        return sync_fail(error, ATHENA_UNAVAILABLE, "the connection", "cannot be set up");
    }
    session_start(sync->session, now_ms());
    arm_timer(sync);
    return ATHENA_OK;
}

/* [ASP-PRIV-4] */
enum athena_code athena_sync_connect(struct athena_sync *sync,
                                     const struct athena_sync_connect_options *options,
                                     struct athena_error *error) {
    if (sync->is_in_service)
        return sync_fail(error, ATHENA_INTERNAL, "connecting", "not from an event's handler");
    struct athena_url url;
    enum athena_code code = parse_url(sync, options->url, &url, error);
    if (!code)
        code = check_token(options->token, error);
    if (!code)
        code = check_ca(options->ca_file, error);
    if (!code && options->url)
        code = replica_set_text(sync->replica, "url", options->url, error);
    if (code)
        return code; /* and what is connected stays so */
    athena_sync_disconnect(sync);
    sync->url = url;
    return start(sync, options, error);
}

void athena_sync_disconnect(struct athena_sync *sync) {
    sync->wants_disconnect = sync->is_in_service;
    if (!sync->session || sync->is_in_service)
        return;
    session_stop(sync->session, now_ms());
    session_free(sync->session);
    transport_free(sync->transport);
    sync->session = NULL;
    sync->transport = NULL;
    arm_timer(sync);
}

void athena_sync_retry_now(struct athena_sync *sync) {
    if (sync->session && !session_is_connected(sync->session))
        session_start(sync->session, now_ms());
}

int athena_sync_fd(const struct athena_sync *sync) {
    return sync->epoll_fd;
}

static void take_item(struct athena_sync *sync, const struct transport_item *item) {
    switch (item->type) {
    case TRANSPORT_CONNECTED:
        session_connected(sync->session, now_ms());
        break;
    case TRANSPORT_MESSAGE:
        session_receive(sync->session, (struct athena_text_view){item->text, item->len}, now_ms());
        break;
    case TRANSPORT_SENT:
        session_sent(sync->session, now_ms());
        break;
    case TRANSPORT_RECEIVED:
        session_received(sync->session, now_ms());
        break;
    default:
        session_disconnected(sync->session, &item->why, now_ms());
    }
}

static void take_waiting(struct athena_sync *sync) {
    struct transport_item *item;
    while (!sync->wants_disconnect && (item = transport_next(sync->transport))) {
        take_item(sync, item);
        free(item);
    }
    if (sync->has_added && !sync->wants_disconnect) {
        sync->has_added = false; /* a handler may add more */
        session_added(sync->session, now_ms());
    }
    if (!sync->wants_disconnect)
        session_tick(sync->session, now_ms());
}

/* An eventfd or timerfd, raised or not. */
static void clear_event(int fd) {
    uint64_t count;
    ssize_t len = read(fd, &count, sizeof count);
    (void)len;
}

/* A handler that disconnects is obeyed once the session is not on the stack any more. */
void athena_sync_service(struct athena_sync *sync) {
    clear_event(sync->event_fd);
    clear_event(sync->timer_fd);
    if (sync->session && !sync->is_in_service) {
        sync->is_in_service = true;
        take_waiting(sync);
        sync->is_in_service = false;
    }
    if (sync->wants_disconnect)
        athena_sync_disconnect(sync);
    arm_timer(sync);
}

void athena_sync_run(struct athena_sync *sync, int timeout_ms) {
    struct pollfd fd = {.fd = sync->epoll_fd, .events = POLLIN};
    if (poll(&fd, 1, timeout_ms) > 0)
        athena_sync_service(sync);
}
