#include "link/carrier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "crypto/pairbox.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "crypto/x25519.h"
#include "http/h1_read.h"
#include "http/websocket_handshake.h"
#include "io/dial.h"
#include "io/timer.h"
#include "link/channel.h"

enum {
        HEAD_BYTES_MAX = 4096,
        FIELDS_MAX = 48,
        CONNECT_MS = 3000,      /* one address */
        LOGIN_MS = 10 * 1000,   /* from connected to up */
        PING_MS = 5 * 1000,     /* of silence, then we ask */
        SILENCE_MS = 12 * 1000, /* then it is over */
        CHECK_MS = 1000,
        AGAIN_LEAST_MS = 250,
        AGAIN_MOST_MS = 8 * 1000,
        REQUEST_MAX = 2 * LINK_CARRIER_TEXT_MAX + 512,
};

enum state {
        CARRIER_WAITING, /* for the next try */
        CARRIER_RESOLVING,
        CARRIER_DIALLING,
        CARRIER_TLS,
        CARRIER_HEAD,
        CARRIER_LOGIN, /* until the relay's info */
        CARRIER_UP,
        CARRIER_CLOSING,
        CARRIER_STOPPED,
};

struct link_carrier {
        struct link_carrier_conf conf;
        enum state state;
        bool is_stopping;

        struct resolver_query query;
        struct dial dial;
        struct ip addresses[RESOLVER_ADDRESSES_MAX];
        size_t addresses_count, address;

        struct link_channel channel;
        char head[HEAD_BYTES_MAX];
        size_t head_len, head_scanned;
        char websocket_key[CRYPTO_BASE64_SIZE(WEBSOCKET_KEY_BYTES)];
        mono_ms begun, heard; /* of this connection */
        unsigned failures;

        struct timer timer;
        struct task flush;
};

/* ---- the address ---- */

enum err link_carrier_url_parse(struct str text, struct link_carrier_url *out)
{
        uint64_t port = 443;

        memset(out, 0, sizeof(*out));
        if (str_has_prefix(text, STR("wss://"))) {
                out->is_websocket = true;
                text = str_from(text, 6);
        } else if (str_has_prefix(text, STR("https://"))) {
                text = str_from(text, 8);
        } else {
                return ERR_MALFORMED;
        }
        size_t slash = str_find_char(text, '/');
        struct str authority = slash == STR_NONE ? text : str_sub(text, 0, slash);
        struct str path = slash == STR_NONE || slash + 1 == text.len ? STR("/derp") : str_from(text, slash);
        struct str host = authority;
        size_t end = str_has_prefix(authority, STR("[")) ? str_find_char(authority, ']') : 0;
        if (end == STR_NONE)
                return ERR_MALFORMED;
        size_t colon = str_find_char(str_from(authority, end), ':');
        if (colon != STR_NONE) {
                host = str_sub(authority, 0, end + colon);
                if (units_parse_u64(str_from(authority, end + colon + 1), 65535, &port) != ERR_OK ||
                    port == 0)
                        return ERR_MALFORMED;
        }
        if (end > 0 && (host.len != end + 1))
                return ERR_MALFORMED;
        if (end > 0)
                host = str_sub(host, 1, host.len - 2);
        if (host.len == 0 || host.len >= sizeof(out->host) || path.len >= sizeof(out->path) ||
            !http_value_is_valid(path) || str_find_char(path, ' ') != STR_NONE ||
            !http_value_is_valid(host) || str_find_char(host, ' ') != STR_NONE ||
            str_find_char(host, '@') != STR_NONE)
                return ERR_MALFORMED;
        memcpy(out->host, host.ptr, host.len);
        memcpy(out->path, path.ptr, path.len);
        out->port = (uint16_t)port;
        return ERR_OK;
}

/* ---- trying, and trying again ---- */

static void wait_for_next(struct link_carrier *c)
{
        unsigned shift = MIN(c->failures, 5u);
        mono_ms most = MIN((mono_ms)AGAIN_LEAST_MS << shift, (mono_ms)AGAIN_MOST_MS);

        c->state = c->is_stopping ? CARRIER_STOPPED : CARRIER_WAITING;
        if (c->is_stopping)
                return;
        c->failures++;
        /* At a moment of its own, so that a relay that comes back is not met by all at once. */
        timer_set(c->conf.loop, &c->timer,
                  loop_now(c->conf.loop) + most / 2 + crypto_random_below((uint32_t)(most / 2) + 1));
}

static void hang_up(struct link_carrier *c)
{
        bool was_up = c->state == CARRIER_UP;

        if (c->state < CARRIER_TLS || c->state >= CARRIER_CLOSING)
                return;
        c->state = CARRIER_CLOSING;
        timer_clear(&c->timer);
        loop_unpost(&c->flush);
        stream_close(&c->channel.stream, STREAM_CLOSE_RESET);
        if (was_up)
                c->conf.on_change(c->conf.context, false);
}

static void on_closed(struct stream *s)
{
        struct link_carrier *c = CONTAINER_OF(s, struct link_carrier, channel.stream);

        link_channel_fini(&c->channel);
        wait_for_next(c);
}

static void dial_next(struct link_carrier *c);

static const struct stream_events stream_events;
static const struct link_channel_events channel_events;

static void on_dialled(struct dial *d, enum err e, int fd)
{
        struct link_carrier *c = CONTAINER_OF(d, struct link_carrier, dial);

        if (e != ERR_OK) {
                c->address++;
                dial_next(c);
                return;
        }
        link_channel_init(&c->channel, &channel_events, LINK_CARRIER_QUEUE_BYTES);
        c->head_len = c->head_scanned = 0;
        c->begun = c->heard = loop_now(c->conf.loop);
        if (stream_open_tls_client(&c->channel.stream, c->conf.loop, fd, &stream_events, c->conf.tls,
                                   str_of(c->conf.url.host)) != ERR_OK) {
                wait_for_next(c);
                return;
        }
        c->state = CARRIER_TLS;
        timer_set(c->conf.loop, &c->timer, c->begun + CHECK_MS);
}

static void dial_next(struct link_carrier *c)
{
        if (c->address >= c->addresses_count) {
                wait_for_next(c);
                return;
        }
        struct dial_target target = { .ip = c->addresses[c->address],
                                      .port = c->conf.url.port,
                                      .fwmark = c->conf.fwmark ? c->conf.fwmark(c->conf.context) : 0 };
        c->state = CARRIER_DIALLING;
        dial_start(&c->dial, c->conf.loop, &target, CONNECT_MS, on_dialled);
}

static void on_found(struct resolver_query *q, enum err e, const struct ip *addresses, size_t addresses_count)
{
        struct link_carrier *c = CONTAINER_OF(q, struct link_carrier, query);

        c->addresses_count = e == ERR_OK ? MIN(addresses_count, (size_t)RESOLVER_ADDRESSES_MAX) : 0;
        for (size_t i = 0; i < c->addresses_count; i++)
                c->addresses[i] = addresses[i];
        c->address = 0;
        dial_next(c);
}

static void connect_now(struct link_carrier *c)
{
        if (crypto_is_zero(c->conf.private_key(c->conf.context), LINK_KEY_BYTES)) {
                timer_set(c->conf.loop, &c->timer, loop_now(c->conf.loop) + AGAIN_LEAST_MS);
                return;
        }
        c->state = CARRIER_RESOLVING;
        resolver_find(c->conf.resolver, &c->query, str_of(c->conf.url.host), on_found);
}

/* ---- HTTP ---- */

static void send_request(struct link_carrier *c)
{
        const struct link_carrier_url *u = &c->conf.url;
        bool is_ip6 = strchr(u->host, ':') != NULL;
        uint8_t key[WEBSOCKET_KEY_BYTES];
        char text[REQUEST_MAX], upgrade[192];

        if (u->is_websocket) {
                crypto_random(key, sizeof(key));
                crypto_base64_format((struct str){ (char *)key, sizeof(key) }, c->websocket_key);
                snprintf(upgrade, sizeof(upgrade),
                         "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: derp\r\n",
                         c->websocket_key);
        } else {
                snprintf(upgrade, sizeof(upgrade), "Upgrade: DERP\r\nConnection: Upgrade\r\n");
        }
        int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\n%s\r\n", u->path,
                           is_ip6 ? "[" : "", u->host, is_ip6 ? "]" : "", u->port, upgrade);
        c->state = CARRIER_HEAD;
        if (!link_channel_send_raw(&c->channel, (struct str){ text, (size_t)len }))
                hang_up(c);
        else
                (void)link_channel_flush(&c->channel);
}

static bool is_accepted(struct link_carrier *c, const struct http_head *head)
{
        char accept[WEBSOCKET_ACCEPT_TEXT_MAX];

        if (head->status != 101)
                return false;
        if (!c->conf.url.is_websocket)
                return str_eq_nocase(http_value(head, HTTP_FIELD_UPGRADE), STR("DERP"));
        return str_eq_nocase(http_value(head, HTTP_FIELD_UPGRADE), STR("websocket")) &&
               str_eq(http_value(head, HTTP_FIELD_SEC_WEBSOCKET_ACCEPT),
                      websocket_accept_format(str_of(c->websocket_key), accept));
}

static void read_head(struct link_carrier *c)
{
        static const struct h1_limits limits = { HEAD_BYTES_MAX, 1024, FIELDS_MAX };
        struct http_field fields[FIELDS_MAX];
        struct http_head head = { .fields = fields, .fields_max = FIELDS_MAX };
        struct http_refusal refusal;
        size_t got;

        enum err e =
                stream_read(&c->channel.stream, c->head + c->head_len, HEAD_BYTES_MAX - c->head_len, &got);
        if (e == ERR_AGAIN)
                return;
        if (e != ERR_OK) {
                hang_up(c);
                return;
        }
        c->head_len += got;
        e = h1_response_parse((struct str){ c->head, c->head_len }, &limits, HTTP_GET, &c->head_scanned,
                              &head, &refusal);
        if (e == ERR_AGAIN && c->head_len < HEAD_BYTES_MAX) {
                stream_poke(&c->channel.stream, STREAM_READABLE);
                return;
        }
        if (e != ERR_OK || !is_accepted(c, &head)) {
                hang_up(c);
                return;
        }
        c->state = CARRIER_LOGIN;
        if (link_channel_begin(&c->channel, c->conf.url.is_websocket, true,
                               (struct str){ c->head + head.bytes, c->head_len - head.bytes }))
                stream_poke(&c->channel.stream, STREAM_READABLE);
}

/* ---- frames ---- */

static bool prove_key(struct link_carrier *c, struct str body)
{
        static const struct str info = STR_INIT("{\"version\":2}");
        const uint8_t *private_key = c->conf.private_key(c->conf.context);
        uint8_t start[LINK_KEY_BYTES + CRYPTO_PAIRBOX_NONCE_BYTES], box[64];
        struct crypto_pairbox_key shared;

        if (memcmp(body.ptr, link_derp_magic, LINK_DERP_MAGIC_BYTES) != 0 ||
            crypto_pairbox_key_init(&shared, private_key,
                                    (const uint8_t *)body.ptr + LINK_DERP_MAGIC_BYTES) != ERR_OK)
                return false;
        crypto_x25519_public(private_key, start);
        crypto_random(start + LINK_KEY_BYTES, CRYPTO_PAIRBOX_NONCE_BYTES);
        crypto_pairbox_seal(&shared, start + LINK_KEY_BYTES, info, box);
        crypto_wipe(&shared, sizeof(shared));
        return link_channel_send(&c->channel, LINK_DERP_CLIENT_INFO,
                                 (struct str){ (char *)start, sizeof(start) },
                                 (struct str){ (char *)box, info.len + CRYPTO_PAIRBOX_OVERHEAD });
}

static bool on_frame(struct link_channel *channel, const struct link_derp_frame *f)
{
        struct link_carrier *c = CONTAINER_OF(channel, struct link_carrier, channel);
        const uint8_t *from;
        struct str packet;

        c->heard = loop_now(c->conf.loop);
        if (f->type == LINK_DERP_SERVER_KEY && c->state == CARRIER_LOGIN) {
                if (prove_key(c, f->body))
                        return true;
                hang_up(c);
                return false;
        }
        if (f->type == LINK_DERP_SERVER_INFO && c->state == CARRIER_LOGIN) {
                c->state = CARRIER_UP;
                c->failures = 0;
                c->conf.on_change(c->conf.context, true);
        } else if (f->type == LINK_DERP_RECEIVE && c->state == CARRIER_UP) {
                if (link_derp_packet(f->body, &from, &packet) == ERR_OK)
                        c->conf.on_packet(c->conf.context, from, (uint8_t *)(uintptr_t)packet.ptr,
                                          packet.len);
        } else if (f->type == LINK_DERP_PING) {
                (void)link_channel_send(channel, LINK_DERP_PONG, f->body, STR_NULL);
        }
        return c->state == CARRIER_LOGIN || c->state == CARRIER_UP;
}

static void on_end(struct link_channel *channel, enum err e)
{
        (void)e;
        hang_up(CONTAINER_OF(channel, struct link_carrier, channel));
}

static const struct link_channel_events channel_events = { on_frame, on_end };

static void on_open(struct stream *s, enum err e)
{
        struct link_carrier *c = CONTAINER_OF(s, struct link_carrier, channel.stream);
        const char *version = e == ERR_OK ? stream_tls_version(s) : NULL;

        if (c->state != CARRIER_TLS)
                return;
        if (version && strcmp(version, "TLSv1.3") == 0)
                send_request(c);
        else
                hang_up(c);
}

static void on_ready(struct stream *s, unsigned ready)
{
        struct link_carrier *c = CONTAINER_OF(s, struct link_carrier, channel.stream);

        if (c->state == CARRIER_HEAD) {
                if (link_channel_flush(&c->channel) && (ready & STREAM_READABLE))
                        read_head(c);
        } else if (c->state == CARRIER_LOGIN || c->state == CARRIER_UP) {
                (void)link_channel_ready(&c->channel, ready);
        }
}

static const struct stream_events stream_events = { on_open, on_ready, on_closed };

static void on_flush(struct task *t)
{
        struct link_carrier *c = CONTAINER_OF(t, struct link_carrier, flush);

        if (c->state == CARRIER_UP)
                (void)link_channel_flush(&c->channel);
}

/* While waiting: the next try. While connected: is the other end still there? */
static void on_timer(struct timer *t)
{
        struct link_carrier *c = CONTAINER_OF(t, struct link_carrier, timer);
        mono_ms now = loop_now(c->conf.loop);

        if (c->state == CARRIER_WAITING) {
                connect_now(c);
                return;
        }
        if (c->state != CARRIER_UP ? now - c->begun > LOGIN_MS : now - c->heard > SILENCE_MS) {
                hang_up(c);
                return;
        }
        if (c->state == CARRIER_UP && now - c->heard >= PING_MS) {
                uint8_t ping[LINK_DERP_PING_BYTES];
                crypto_random(ping, sizeof(ping));
                (void)link_channel_send(&c->channel, LINK_DERP_PING,
                                        (struct str){ (char *)ping, sizeof(ping) }, STR_NULL);
                loop_post(c->conf.loop, &c->flush);
        }
        timer_set(c->conf.loop, t, now + CHECK_MS);
}

/* ---- life ---- */

enum err link_carrier_new(const struct link_carrier_conf *conf, struct link_carrier **out)
{
        struct link_carrier *c = calloc(1, sizeof(*c));

        if (!c)
                return ERR_NO_MEMORY;
        c->conf = *conf;
        c->conf.tls = tls_context_get(conf->tls);
        timer_init(&c->timer, on_timer);
        task_init(&c->flush, on_flush);
        timer_set(conf->loop, &c->timer, loop_now(conf->loop));
        *out = c;
        return ERR_OK;
}

void link_carrier_restart(struct link_carrier *c)
{
        c->failures = 0;
        hang_up(c);
}

void link_carrier_stop(struct link_carrier *c)
{
        c->is_stopping = true;
        timer_clear(&c->timer);
        if (c->state == CARRIER_RESOLVING)
                resolver_cancel(&c->query);
        if (c->state == CARRIER_DIALLING)
                dial_cancel(&c->dial);
        if (c->state < CARRIER_TLS)
                c->state = CARRIER_STOPPED;
        hang_up(c);
}

void link_carrier_free(struct link_carrier *c)
{
        if (!c)
                return;
        tls_context_put(c->conf.tls);
        free(c);
}

bool link_carrier_is_up(const struct link_carrier *c)
{
        return c->state == CARRIER_UP;
}

void link_carrier_send(struct link_carrier *c, const uint8_t to[LINK_KEY_BYTES], struct str packet)
{
        if (c->state != CARRIER_UP || packet.len == 0 || packet.len > LINK_DERP_PACKET_MAX)
                return;
        (void)link_channel_send(&c->channel, LINK_DERP_SEND, (struct str){ (const char *)to, LINK_KEY_BYTES },
                                packet);
        loop_post(c->conf.loop, &c->flush);
}
