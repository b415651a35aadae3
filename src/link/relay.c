#include "link/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "crypto/pairbox.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"
#include "http/h1_read.h"
#include "http/websocket_handshake.h"
#include "io/timer.h"
#include "link/channel.h"

enum {
        FIELDS_MAX = 48,
        SWEEP_MS = 1000,
        CLIENT_INFO_LEAST = LINK_KEY_BYTES + CRYPTO_PAIRBOX_NONCE_BYTES + CRYPTO_PAIRBOX_OVERHEAD
};

enum state { CLIENT_TLS, CLIENT_HEAD, CLIENT_LOGIN, CLIENT_READY, CLIENT_CLOSED };

struct client {
        /* identity */
        struct link_relay *relay;
        uint8_t key[LINK_KEY_BYTES]; /* proven in CLIENT_READY */

        /* state */
        enum state state;
        mono_ms since; /* of the connection */
        mono_ms sent;  /* when anything last went out */
        uint64_t bytes_at_sweep;
        struct link_channel channel;
        char *head; /* until HTTP is over */
        size_t head_len, head_scanned;

        /* links */
        struct list link;
        struct task flush;
};

struct link_relay {
        struct link_relay_conf conf;
        struct link_permit *permit;                                      /* NULL: nobody */
        uint8_t private_key[LINK_KEY_BYTES], public_key[LINK_KEY_BYTES]; /* of this run */
        struct list clients;
        size_t clients_count;
        struct map by_key;
        struct timer sweep;
        uint64_t counts[LINK_RELAY_COUNTS];
};

static struct str key_str(const uint8_t key[LINK_KEY_BYTES])
{
        return (struct str){ (const char *)key, LINK_KEY_BYTES };
}

static void count(struct link_relay *r, enum link_relay_count which)
{
        r->counts[which]++;
}

static void client_close(struct client *c)
{
        if (c->state == CLIENT_CLOSED)
                return;
        if (c->state == CLIENT_READY)
                map_remove(&c->relay->by_key, key_str(c->key));
        c->state = CLIENT_CLOSED;
        loop_unpost(&c->flush);
        stream_close(&c->channel.stream, STREAM_CLOSE_PLAIN);
}

static void close_counted(struct client *c, enum link_relay_count why)
{
        count(c->relay, why);
        client_close(c);
}

/* ---- HTTP: one request, and then it is something else ---- */

static void answer_and_close(struct client *c, const char *answer)
{
        struct iovec part = { (void *)(uintptr_t)answer, strlen(answer) };
        size_t written;

        (void)!stream_write(&c->channel.stream, &part, 1, &written);
        close_counted(c, LINK_RELAY_BAD_REQUEST);
}

static bool is_path(struct str target)
{
        size_t query = str_find_char(target, '?');

        return str_eq(query == STR_NONE ? target : str_sub(target, 0, query), STR("/derp"));
}

static void answer_websocket(struct client *c, const struct http_head *head)
{
        char accept[WEBSOCKET_ACCEPT_TEXT_MAX], text[256];
        struct str key = http_value(head, HTTP_FIELD_SEC_WEBSOCKET_KEY);
        const struct http_field *protocol = http_find_name(head, STR("Sec-WebSocket-Protocol"));
        bool names_derp = protocol && http_list_has(protocol->value, STR("derp"));
        int len = snprintf(text, sizeof(text),
                           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Accept: %.*s\r\n%s\r\n",
                           STR_FMT(websocket_accept_format(key, accept)),
                           names_derp ? "Sec-WebSocket-Protocol: derp\r\n" : "");

        (void)link_channel_send_raw(&c->channel, (struct str){ text, (size_t)len });
}

static void answer_derp(struct client *c, const struct http_head *head)
{
        const struct http_field *fast = http_find_name(head, STR("Derp-Fast-Start"));

        if (!fast || !str_eq(fast->value, STR("1")))
                (void)link_channel_send_raw(
                        &c->channel,
                        STR("HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n"));
}

static void begin_frames(struct client *c, const struct http_head *head, bool has_ws)
{
        struct link_relay *r = c->relay;
        char *text = c->head;
        struct str rest = { text + head->bytes, c->head_len - head->bytes };

        if (has_ws)
                answer_websocket(c, head);
        else
                answer_derp(c, head);
        c->state = CLIENT_LOGIN;
        c->head = NULL;
        if (link_channel_begin(&c->channel, has_ws, false, STR_NULL)) {
                (void)link_channel_send(&c->channel, LINK_DERP_SERVER_KEY,
                                        (struct str){ (const char *)link_derp_magic, LINK_DERP_MAGIC_BYTES },
                                        key_str(r->public_key));
                if (link_channel_begin(&c->channel, has_ws, false, rest))
                        (void)link_channel_flush(&c->channel);
        }
        free(text);
}

static void take_head(struct client *c)
{
        static const struct h1_limits limits = { LINK_RELAY_HEAD_BYTES_MAX, 1024, FIELDS_MAX };
        struct http_field fields[FIELDS_MAX];
        struct http_head head = { .fields = fields, .fields_max = FIELDS_MAX };
        struct http_refusal refusal;
        enum err e = h1_request_parse((struct str){ c->head, c->head_len }, &limits, &c->head_scanned, &head,
                                      &refusal);

        if (e == ERR_AGAIN && c->head_len < LINK_RELAY_HEAD_BYTES_MAX)
                return;
        if (e != ERR_OK) {
                answer_and_close(
                        c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        } else if (head.method != HTTP_GET || !is_path(head.target)) {
                answer_and_close(c,
                                 "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        } else if (websocket_is_asked(&head) && websocket_request_check(&head, &refusal) == ERR_OK) {
                begin_frames(c, &head, true);
        } else if (head.asks_upgrade && str_eq_nocase(http_value(&head, HTTP_FIELD_UPGRADE), STR("DERP")) &&
                   head.framing == HTTP_BODY_NONE) {
                begin_frames(c, &head, false);
        } else {
                answer_and_close(c, "HTTP/1.1 426 Upgrade Required\r\nUpgrade: DERP\r\nContent-Length: 0\r\n"
                                    "Connection: close\r\n\r\n");
        }
}

static void read_head(struct client *c)
{
        while (c->state == CLIENT_HEAD) {
                size_t got;
                if (!c->head && !(c->head = malloc(LINK_RELAY_HEAD_BYTES_MAX))) {
                        client_close(c);
                        return;
                }
                enum err e = stream_read(&c->channel.stream, c->head + c->head_len,
                                         LINK_RELAY_HEAD_BYTES_MAX - c->head_len, &got);
                if (e == ERR_AGAIN)
                        return;
                if (e != ERR_OK) {
                        close_counted(c, LINK_RELAY_BAD_REQUEST);
                        return;
                }
                c->head_len += got;
                take_head(c);
        }
}

/* ---- frames ---- */

/* The client's key, shown to be its own by a box only its private key can make. */
static bool login(struct client *c, struct str body)
{
        struct link_relay *r = c->relay;
        struct str box = str_from(body, LINK_KEY_BYTES + CRYPTO_PAIRBOX_NONCE_BYTES);
        const uint8_t *nonce = (const uint8_t *)body.ptr + LINK_KEY_BYTES;
        uint8_t text[LINK_DERP_INFO_MAX], info[CRYPTO_PAIRBOX_NONCE_BYTES + 64];
        struct crypto_pairbox_key shared;
        static const struct str answer = STR_INIT("{\"version\":2}");

        enum err e = crypto_pairbox_key_init(&shared, r->private_key, (const uint8_t *)body.ptr);
        if (e == ERR_OK && (e = crypto_pairbox_open(&shared, nonce, box, text)) == ERR_OK) {
                crypto_random(info, CRYPTO_PAIRBOX_NONCE_BYTES);
                crypto_pairbox_seal(&shared, info, answer, info + CRYPTO_PAIRBOX_NONCE_BYTES);
        }
        crypto_wipe(&shared, sizeof(shared));
        if (e != ERR_OK) {
                close_counted(c, LINK_RELAY_NOT_PROVEN);
                return false;
        }
        if (!r->permit || !link_permit_knows(r->permit, (const uint8_t *)body.ptr)) {
                close_counted(c, LINK_RELAY_UNKNOWN_KEY);
                return false;
        }
        memcpy(c->key, body.ptr, LINK_KEY_BYTES);
        struct client *older = map_find(&r->by_key, key_str(c->key));
        if (older)
                close_counted(older, LINK_RELAY_REPLACED);
        if (map_add(&r->by_key, key_str(c->key), c) != ERR_OK) {
                client_close(c);
                return false;
        }
        c->state = CLIENT_READY;
        (void)link_channel_send(&c->channel, LINK_DERP_SERVER_INFO,
                                (struct str){ (char *)info, CRYPTO_PAIRBOX_NONCE_BYTES + answer.len +
                                                                    CRYPTO_PAIRBOX_OVERHEAD },
                                STR_NULL);
        return true;
}

static void forward(struct client *c, struct str body)
{
        struct link_relay *r = c->relay;
        const uint8_t *to;
        struct str packet;

        if (link_derp_packet(body, &to, &packet) != ERR_OK)
                return;
        if (!link_permit_allows(r->permit, c->key, to)) {
                count(r, LINK_RELAY_NOT_PERMITTED);
                return;
        }
        struct client *other = map_find(&r->by_key, key_str(to));
        if (!other) {
                count(r, LINK_RELAY_ABSENT);
                return;
        }
        uint64_t dropped = other->channel.stats.dropped_oldest;
        if (link_channel_send(&other->channel, LINK_DERP_RECEIVE, key_str(c->key), packet))
                count(r, LINK_RELAY_FORWARDED);
        r->counts[LINK_RELAY_DROPPED_OLDEST] += other->channel.stats.dropped_oldest - dropped;
        loop_post(r->conf.loop, &other->flush);
}

static bool on_frame(struct link_channel *channel, const struct link_derp_frame *f)
{
        struct client *c = CONTAINER_OF(channel, struct client, channel);

        if (c->state == CLIENT_LOGIN) {
                if (f->type == LINK_DERP_CLIENT_INFO && f->body.len >= CLIENT_INFO_LEAST)
                        return login(c, f->body);
                close_counted(c, LINK_RELAY_MALFORMED); /* a frame before the key is proven */
                return false;
        }
        switch (f->type) {
        case LINK_DERP_SEND: forward(c, f->body); return true;
        case LINK_DERP_PING:
                if (link_channel_send(channel, LINK_DERP_PONG, f->body, STR_NULL))
                        return true;
                close_counted(c, LINK_RELAY_MALFORMED); /* pings without taking the answers */
                return false;
        case LINK_DERP_KEEPALIVE:
        case LINK_DERP_NOTE_PREFERRED:
        case LINK_DERP_PONG: return true;
        case LINK_DERP_CLIENT_INFO: close_counted(c, LINK_RELAY_MALFORMED); return false;
        default: count(c->relay, LINK_RELAY_UNKNOWN_FRAME); return true;
        }
}

static void on_end(struct link_channel *channel, enum err e)
{
        struct client *c = CONTAINER_OF(channel, struct client, channel);

        if (e == ERR_MALFORMED || e == ERR_TOO_LARGE || e == ERR_UNSUPPORTED)
                count(c->relay, LINK_RELAY_MALFORMED);
        client_close(c);
}

static const struct link_channel_events channel_events = { on_frame, on_end };

/* ---- a connection's life ---- */

static void on_open(struct stream *s, enum err e)
{
        struct client *c = CONTAINER_OF(s, struct client, channel.stream);
        const char *version = e == ERR_OK ? stream_tls_version(s) : NULL;

        if (c->state != CLIENT_TLS)
                return;
        if (!version || strcmp(version, "TLSv1.3") != 0)
                close_counted(c, e == ERR_OK ? LINK_RELAY_OLD_TLS : LINK_RELAY_BAD_REQUEST);
        else
                c->state = CLIENT_HEAD;
}

static void on_ready(struct stream *s, unsigned ready)
{
        struct client *c = CONTAINER_OF(s, struct client, channel.stream);

        switch (c->state) {
        case CLIENT_TLS:
        case CLIENT_CLOSED: return;
        case CLIENT_HEAD:
                read_head(c);
                if (c->state == CLIENT_LOGIN || c->state == CLIENT_READY)
                        (void)link_channel_ready(&c->channel, STREAM_READABLE);
                return;
        case CLIENT_LOGIN:
        case CLIENT_READY: (void)link_channel_ready(&c->channel, ready); return;
        }
}

static void on_closed(struct stream *s)
{
        struct client *c = CONTAINER_OF(s, struct client, channel.stream);

        list_remove(&c->link);
        c->relay->clients_count--;
        link_channel_fini(&c->channel);
        free(c->head);
        free(c);
}

static const struct stream_events stream_events = { on_open, on_ready, on_closed };

static void on_flush(struct task *t)
{
        struct client *c = CONTAINER_OF(t, struct client, flush);

        if (c->state == CLIENT_READY)
                (void)link_channel_flush(&c->channel);
}

void link_relay_accept(struct link_relay *r, int fd)
{
        struct client *c = r->clients_count < r->conf.clients_max ? calloc(1, sizeof(*c)) : NULL;

        count(r, c ? LINK_RELAY_ACCEPTED : LINK_RELAY_FULL);
        if (!c) {
                (void)close(fd);
                return;
        }
        c->relay = r;
        c->since = c->sent = loop_now(r->conf.loop);
        task_init(&c->flush, on_flush);
        link_channel_init(&c->channel, &channel_events, LINK_RELAY_QUEUE_BYTES);
        if (stream_open_tls_server(&c->channel.stream, r->conf.loop, fd, &stream_events, r->conf.tls) !=
            ERR_OK) {
                free(c);
                return;
        }
        list_add_last(&r->clients, &c->link);
        r->clients_count++;
}

static void sweep_one(struct client *c, mono_ms now)
{
        uint64_t bytes = c->channel.stats.bytes_sent;

        if (c->state == CLIENT_CLOSED)
                return;
        if (c->state != CLIENT_READY) {
                if (now - c->since > LINK_RELAY_LOGIN_MS)
                        close_counted(c, LINK_RELAY_LOGIN_TIMEOUT);
                return;
        }
        if (bytes != c->bytes_at_sweep) {
                c->bytes_at_sweep = bytes;
                c->sent = now;
        } else if (now - c->sent >= LINK_RELAY_STUCK_MS && !list_is_empty(&c->channel.queue)) {
                close_counted(c, LINK_RELAY_STUCK);
        } else if (now - c->sent >= LINK_RELAY_KEEPALIVE_MS) {
                (void)link_channel_send(&c->channel, LINK_DERP_KEEPALIVE, STR_NULL, STR_NULL);
                c->sent = now;
                loop_post(c->relay->conf.loop, &c->flush);
        }
}

static void on_sweep(struct timer *t)
{
        struct link_relay *r = CONTAINER_OF(t, struct link_relay, sweep);
        mono_ms now = loop_now(r->conf.loop);

        list_for_each(link, &r->clients)
                sweep_one(CONTAINER_OF(link, struct client, link), now);
        timer_set(r->conf.loop, &r->sweep, now + SWEEP_MS);
}

enum err link_relay_new(const struct link_relay_conf *conf, struct link_relay **out)
{
        struct link_relay *r = calloc(1, sizeof(*r));
        struct hash_key hash_key;

        if (!r)
                return ERR_NO_MEMORY;
        r->conf = *conf;
        r->conf.tls = tls_context_get(conf->tls);
        list_init(&r->clients);
        crypto_random(&hash_key, sizeof(hash_key));
        map_init(&r->by_key, hash_key, conf->clients_max);
        crypto_random(r->private_key, sizeof(r->private_key));
        crypto_x25519_clamp(r->private_key);
        crypto_x25519_public(r->private_key, r->public_key);
        timer_init(&r->sweep, on_sweep);
        timer_set(conf->loop, &r->sweep, loop_now(conf->loop) + SWEEP_MS);
        *out = r;
        return ERR_OK;
}

void link_relay_stop(struct link_relay *r)
{
        timer_clear(&r->sweep);
        list_for_each(link, &r->clients)
                client_close(CONTAINER_OF(link, struct client, link));
}

void link_relay_free(struct link_relay *r)
{
        if (!r)
                return;
        map_fini(&r->by_key);
        link_permit_free(r->permit);
        tls_context_put(r->conf.tls);
        crypto_wipe(r->private_key, sizeof(r->private_key));
        free(r);
}

void link_relay_set_permit(struct link_relay *r, struct link_permit *permit)
{
        link_permit_free(r->permit);
        r->permit = permit;
        list_for_each(link, &r->clients) {
                struct client *c = CONTAINER_OF(link, struct client, link);
                if (c->state == CLIENT_READY && !link_permit_knows(permit, c->key))
                        close_counted(c, LINK_RELAY_UNKNOWN_KEY);
        }
}

const char *link_relay_count_label(enum link_relay_count which)
{
#define X(name, label, text) label,
        static const char *const labels[LINK_RELAY_COUNTS] = { LINK_RELAY_COUNT_LIST(X) };
#undef X
        return labels[which];
}

uint64_t link_relay_count(const struct link_relay *r, enum link_relay_count which)
{
        return r->counts[which];
}

size_t link_relay_clients_count(const struct link_relay *r)
{
        return r->by_key.count;
}
