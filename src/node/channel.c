#include "node/channel.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "http/h1_read.h"
#include "http/websocket_handshake.h"
#include "http/websocket_message.h"
#include "io/timer.h"
#include "node/connect_priv.h"
#include "node/controls.h"
#include "wire/session.h"

enum {
        HEAD_MAX = 8 * 1024,
        FIELDS_MAX = 64,
        OUT_MAX = 2 * 1024 * 1024,
        READ_BYTES = 32 * 1024,
        READS_MAX = 16, /* a turn */
        UPGRADE_MS = 10 * 1000,
        RENEW_AGAIN_MS = 10 * 60 * 1000,
        RENEW_CHECK_MS = 60 * 60 * 1000,
};

enum state { CHANNEL_IDLE, CHANNEL_CONNECTING, CHANNEL_UPGRADING, CHANNEL_OPEN, CHANNEL_CLOSING };

struct node_channel {
        struct node_channel_conf conf;
        char program[WIRE_TEXT_MAX];
        struct wire_node_end *end;
        enum state state;
        bool is_stopping, was_up;
        struct tls_context *tls;
        char control[NODE_URL_MAX]; /* the one dialled last */
        size_t which,
                failed_count; /* its place among those there are; how many in turn could not be reached */
        struct node_connect connect;
        struct websocket_reader ws;
        struct buf out;
        size_t out_at;
        char head[HEAD_MAX], request[1024];
        size_t head_len, scanned;
        struct wire_document *given; /* with the owner, to be taken back when it is refused */
        struct timer timer, upgrade_timer, renew_timer;
        struct task task;
        const char *why;
};

static void pump(struct node_channel *c);

/* ---- out ---- */

static void end_connection(struct node_channel *c, const char *why, enum stream_close_how how)
{
        if (c->state < CHANNEL_CONNECTING || c->state == CHANNEL_CLOSING || !c->connect.is_open)
                return;
        c->state = CHANNEL_CLOSING;
        c->why = why;
        timer_clear(&c->upgrade_timer);
        stream_close(&c->connect.stream, how);
}

static void write_some(struct node_channel *c)
{
        while (c->out_at < c->out.len) {
                struct iovec part = { c->out.ptr + c->out_at, c->out.len - c->out_at };
                size_t written;
                enum err e = stream_write(&c->connect.stream, &part, 1, &written);
                if (e == ERR_AGAIN)
                        return;
                if (e != ERR_OK) {
                        end_connection(c, "control hung up", STREAM_CLOSE_RESET);
                        return;
                }
                c->out_at += written;
        }
        buf_clear(&c->out);
        c->out_at = 0;
}

static void send_frame(struct node_channel *c, enum websocket_kind what, struct str payload)
{
        uint8_t mask[WEBSOCKET_MASK_BYTES];

        if (c->state != CHANNEL_OPEN)
                return;
        crypto_random(mask, sizeof(mask));
        websocket_write(&c->out, what, payload, mask);
        if (c->out.full)
                end_connection(c, "too much waits to be sent", STREAM_CLOSE_RESET);
        else
                write_some(c);
}

/* ---- the certificate ---- */

static void renew_plan(struct node_channel *c)
{
        unix_ms now = loop_wall(c->conf.loop), issued = c->conf.state->papers.issued;
        unix_ms end = c->tls ? tls_not_after(c->tls) * 1000 : now;
        int64_t wait = issued + (end - issued) / 3 - now;

        timer_set(c->conf.loop, &c->renew_timer,
                  loop_now(c->conf.loop) + MAX(MIN(wait, (int64_t)RENEW_CHECK_MS), (int64_t)1000));
}

static void on_renew(struct timer *t)
{
        struct node_channel *c = CONTAINER_OF(t, struct node_channel, renew_timer);
        unix_ms now = loop_wall(c->conf.loop), issued = c->conf.state->papers.issued;
        unix_ms end = c->tls ? tls_not_after(c->tls) * 1000 : now;
        struct wire_message m = { .type = WIRE_RENEW };

        if (now < issued + (end - issued) / 3) {
                renew_plan(c);
                return;
        }
        if (wire_node_end_is_up(c->end) && wire_node_end_say(c->end, &m) == ERR_OK)
                loop_post(c->conf.loop, &c->task);
        timer_set(c->conf.loop, t, loop_now(c->conf.loop) + RENEW_AGAIN_MS);
}

static bool same_authority(const struct node_papers *p, struct str authority)
{
        uint8_t ours[32], theirs[32];

        return node_pem_fingerprint(str_of(p->authority), ours) == ERR_OK &&
               node_pem_fingerprint(authority, theirs) == ERR_OK && crypto_eq(ours, theirs, sizeof(ours));
}

/* The next connection will show it; the present one goes on. */
static void certificate_take(struct node_channel *c, struct str certificate, struct str authority)
{
        struct node_state *s = c->conf.state;
        struct node_state probe = { .papers = s->papers, .identity_pem = s->identity_pem };
        struct tls_context *tls;

        if (certificate.len >= sizeof(probe.papers.certificate) || !same_authority(&s->papers, authority)) {
                log_error("certificate_refused", LOG_C("reason", "it is of another authority"));
                return;
        }
        memcpy(probe.papers.certificate, certificate.ptr, certificate.len);
        probe.papers.certificate[certificate.len] = '\0';
        probe.papers.issued = loop_wall(c->conf.loop);
        if (node_tls_new(&probe, NULL, &tls) != ERR_OK) {
                log_error("certificate_refused", LOG_C("reason", "it is not for this machine's key"));
                return;
        }
        if (node_state_save_papers(s, &probe.papers) != ERR_OK) {
                log_error("certificate_not_stored", LOG_C("folder", s->folder));
                tls_context_put(tls);
                return;
        }
        tls_context_put(c->tls);
        c->tls = tls;
        log_info("certificate_renewed", LOG_N("not_after", tls_not_after(tls)));
        renew_plan(c);
        if (c->conf.events->on_papers)
                c->conf.events->on_papers(c->conf.context);
}

/* ---- what the session wants ---- */

static void document_take(struct node_channel *c, const struct wire_event *e)
{
        struct node_state *s = c->conf.state;
        enum err stored = node_state_document_store(s, e->document);

        if (stored != ERR_OK) {
                log_error("document_not_stored", LOG_C("folder", s->folder), LOG_E(stored));
                wire_node_end_refused(c->end, STR("it cannot be stored"), loop_now(c->conf.loop));
                return;
        }
        c->given = wire_document_get(e->document);
        bool is_renewal = e->is_renewal;
        c->conf.events->on_document(c->conf.context, c->given, is_renewal);
        if (is_renewal && c->given)
                node_channel_applied(c);
}

static void message_take(struct node_channel *c, const struct wire_event *e)
{
        const struct wire_message *m = e->message;

        if (!m) {
                log_warning("control_message_refused", LOG_C("reason", e->why));
                return;
        }
        if (m->type == WIRE_WELCOME && wire_node_end_is_up(c->end) && !c->was_up) {
                c->was_up = true;
                c->conf.events->on_change(c->conf.context, true, "welcomed");
        } else if (m->type == WIRE_CERTIFICATE) {
                certificate_take(c, m->certificate.certificate, m->certificate.authority);
        } else if (m->type == WIRE_GONE) {
                struct node_papers *p = &c->conf.state->papers;
                snprintf(p->gone, sizeof(p->gone), "%.*s",
                         m->gone.reason.len ? (int)MIN(m->gone.reason.len, sizeof(p->gone) - 1) : 7,
                         m->gone.reason.len ? m->gone.reason.ptr : "removed");
                if (node_state_save_papers(c->conf.state, p) != ERR_OK)
                        log_error("papers_not_stored", LOG_C("folder", c->conf.state->folder));
                c->conf.events->on_gone(c->conf.context, str_of(p->gone));
        } else if (c->conf.events->on_message &&
                   (m->type == WIRE_SHARED || m->type == WIRE_UNSHARED || m->type == WIRE_ERROR)) {
                c->conf.events->on_message(c->conf.context, m);
        }
}

static const struct stream_events stream_events;
static void on_failed(struct node_connect *connect);

static void dial(struct node_channel *c)
{
        struct node_url url;
        size_t count = node_controls_count(&c->conf.state->papers, wire_node_end_document(c->end));

        c->which %= count;
        node_controls_get(&c->conf.state->papers, wire_node_end_document(c->end), c->which, c->control);
        enum err e = node_url_parse(str_of(c->control), &url);
        assert(e == ERR_OK); /* it was looked at before */
        c->state = CHANNEL_CONNECTING;
        node_connect_start(&c->connect, c->conf.loop, c->conf.resolver, c->tls, &url, &stream_events,
                           on_failed);
}

static void pump(struct node_channel *c)
{
        struct wire_event e;

        do {
                if (c->is_stopping)
                        return;
                wire_node_end_next(c->end, loop_now(c->conf.loop),
                                   c->state == CHANNEL_OPEN && c->out.len == 0, &e);
                switch (e.want) {
                case WIRE_WANT_DIAL: dial(c); break;
                case WIRE_WANT_SEND: send_frame(c, WEBSOCKET_TEXT, e.text); break;
                case WIRE_WANT_PING: send_frame(c, WEBSOCKET_PING, STR("")); break;
                case WIRE_WANT_CLOSE: end_connection(c, e.why, STREAM_CLOSE_PLAIN); break;
                case WIRE_WANT_DOCUMENT: document_take(c, &e); break;
                case WIRE_WANT_MESSAGE: message_take(c, &e); break;
                case WIRE_WANT_REFUSED:
                case WIRE_WANT_NOTHING: break;
                }
        } while (e.want != WIRE_WANT_NOTHING);
        timer_set(c->conf.loop, &c->timer, wire_node_end_deadline(c->end));
}

static void on_timer(struct timer *t)
{
        pump(CONTAINER_OF(t, struct node_channel, timer));
}

static void on_task(struct task *t)
{
        pump(CONTAINER_OF(t, struct node_channel, task));
}

/* ---- the connection ---- */

/*
 * The next control is tried at once while there is one that was not tried since the last success; after all of them, or after one
 * that had us, a while later: a control that ends would else send all its nodes to the next one in the same moment.
 */
static bool try_next(struct node_channel *c, bool was_up)
{
        size_t count = node_controls_count(&c->conf.state->papers, wire_node_end_document(c->end));

        c->failed_count = was_up ? 0 : c->failed_count + 1;
        if (count > 1)
                c->which = (c->which + 1) % count;
        if (was_up || c->failed_count >= count || wire_node_end_is_gone(c->end)) {
                c->failed_count = 0;
                return false;
        }
        wire_node_end_redial(c->end);
        loop_post(c->conf.loop, &c->task); /* not from inside the end of the connection before */
        return true;
}

static void connection_over(struct node_channel *c)
{
        bool was_up = c->was_up;

        c->was_up = false;
        if (c->state >= CHANNEL_UPGRADING)
                websocket_reader_fini(&c->ws);
        c->state = CHANNEL_IDLE;
        buf_clear(&c->out);
        c->out_at = 0;
        timer_clear(&c->upgrade_timer);
        if (c->is_stopping)
                return;
        if (try_next(c, was_up))
                return;
        wire_node_end_closed(c->end, loop_now(c->conf.loop), (uint32_t)crypto_random_u64());
        c->conf.events->on_change(c->conf.context, false, c->why ? c->why : "it ended");
        pump(c);
}

static void on_failed(struct node_connect *connect)
{
        struct node_channel *c = CONTAINER_OF(connect, struct node_channel, connect);

        c->why = connect->why;
        connection_over(c);
}

static void on_closed(struct stream *s)
{
        struct node_channel *c = CONTAINER_OF(s, struct node_channel, connect.stream);

        c->connect.is_open = false;
        connection_over(c);
}

static void upgrade_ask(struct node_channel *c)
{
        char key[CRYPTO_BASE64_SIZE(WEBSOCKET_KEY_BYTES)];
        uint8_t random[WEBSOCKET_KEY_BYTES];

        crypto_random(random, sizeof(random));
        crypto_base64_format((struct str){ (char *)random, sizeof(random) }, key);
        int n = snprintf(c->request, sizeof(c->request),
                         "GET /api/v1/node/channel HTTP/1.1\r\nHost: control.sekisho.internal\r\n"
                         "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: sekisho.1\r\n\r\n",
                         key);
        websocket_reader_init(&c->ws, false, WIRE_MESSAGE_MAX);
        c->state = CHANNEL_UPGRADING;
        c->head_len = c->scanned = 0;
        buf_add(&c->out, (struct str){ c->request, (size_t)n });
        write_some(c);
}

static bool is_upgraded(struct node_channel *c, const struct http_head *answer)
{
        static const struct h1_limits limits = { HEAD_MAX, 1024, FIELDS_MAX };
        struct http_field fields[FIELDS_MAX];
        struct http_head request = { .fields = fields, .fields_max = FIELDS_MAX };
        struct http_refusal refusal;
        size_t scanned = 0;

        return answer->status == 101 &&
               h1_request_parse(str_of(c->request), &limits, &scanned, &request, &refusal) == ERR_OK &&
               websocket_answer_check(&request, answer, &refusal) == ERR_OK;
}

static void message_in(struct node_channel *c, const struct websocket_message *m)
{
        uint8_t mask[WEBSOCKET_MASK_BYTES];

        wire_node_end_heard(c->end, loop_now(c->conf.loop));
        switch (m->kind) {
        case WEBSOCKET_TEXT:
                wire_node_end_receive(c->end, m->bytes, loop_now(c->conf.loop));
                pump(c);
                break;
        case WEBSOCKET_PING: send_frame(c, WEBSOCKET_PONG, m->bytes); break;
        case WEBSOCKET_CLOSE:
                crypto_random(mask, sizeof(mask));
                websocket_write_close(&c->out, WEBSOCKET_NORMAL, STR(""), mask);
                write_some(c);
                end_connection(c, "control closed the channel", STREAM_CLOSE_PLAIN);
                break;
        case WEBSOCKET_BINARY: end_connection(c, "control sent what is no text", STREAM_CLOSE_RESET); break;
        case WEBSOCKET_PONG: break;
        }
}

static void take_bytes(struct node_channel *c, struct str in)
{
        struct websocket_message m;
        enum err e = ERR_OK;

        while (c->state == CHANNEL_OPEN && e == ERR_OK)
                if ((e = websocket_read(&c->ws, &in, &m)) == ERR_OK)
                        message_in(c, &m);
        if (c->state != CHANNEL_OPEN)
                return;
        wire_node_end_heard(c->end, loop_now(c->conf.loop));
        if (e != ERR_AGAIN)
                end_connection(c, "control sent what is no message", STREAM_CLOSE_RESET);
}

static void read_head(struct node_channel *c)
{
        static const struct h1_limits limits = { HEAD_MAX, 1024, FIELDS_MAX };
        struct http_field fields[FIELDS_MAX];
        struct http_head head = { .fields = fields, .fields_max = FIELDS_MAX };
        struct http_refusal refusal;
        size_t got;
        enum err e = stream_read(&c->connect.stream, c->head + c->head_len, HEAD_MAX - c->head_len, &got);

        if (e == ERR_AGAIN)
                return;
        if (e != ERR_OK) {
                end_connection(c, "control hung up", STREAM_CLOSE_RESET);
                return;
        }
        c->head_len += got;
        e = h1_response_parse((struct str){ c->head, c->head_len }, &limits, HTTP_GET, &c->scanned, &head,
                              &refusal);
        if (e == ERR_AGAIN && c->head_len < HEAD_MAX) {
                stream_poke(&c->connect.stream, STREAM_READABLE);
                return;
        }
        if (e != ERR_OK || !is_upgraded(c, &head)) {
                end_connection(c,
                               e == ERR_OK && head.status != 101 ? "control refuses the channel"
                                                                 : "control's answer is no upgrade",
                               STREAM_CLOSE_PLAIN);
                return;
        }
        timer_clear(&c->upgrade_timer);
        c->state = CHANNEL_OPEN;
        wire_node_end_opened(c->end, loop_now(c->conf.loop));
        stream_poke(&c->connect.stream, STREAM_READABLE);
        if (c->head_len > head.bytes)
                take_bytes(c, (struct str){ c->head + head.bytes, c->head_len - head.bytes });
        pump(c);
}

static void read_some(struct node_channel *c)
{
        char bytes[READ_BYTES];
        size_t got;

        for (unsigned i = 0; i < READS_MAX && c->state == CHANNEL_OPEN; i++) {
                enum err e = stream_read(&c->connect.stream, bytes, sizeof(bytes), &got);
                if (e == ERR_AGAIN)
                        return;
                if (e != ERR_OK) {
                        end_connection(c, "control hung up", STREAM_CLOSE_RESET);
                        return;
                }
                take_bytes(c, (struct str){ bytes, got });
        }
        if (c->state == CHANNEL_OPEN)
                stream_poke(&c->connect.stream, STREAM_READABLE);
}

static void on_open(struct stream *s, enum err e)
{
        struct node_channel *c = CONTAINER_OF(s, struct node_channel, connect.stream);
        const char *version = e == ERR_OK ? stream_tls_version(s) : NULL;

        timer_set(c->conf.loop, &c->upgrade_timer, loop_now(c->conf.loop) + UPGRADE_MS);
        if (version && strcmp(version, "TLSv1.3") == 0)
                upgrade_ask(c);
        else
                end_connection(c, e == ERR_OK ? "control does not speak TLS 1.3" : "TLS with control failed",
                               STREAM_CLOSE_RESET);
}

static void on_ready(struct stream *s, unsigned ready)
{
        struct node_channel *c = CONTAINER_OF(s, struct node_channel, connect.stream);

        if (c->state != CHANNEL_UPGRADING && c->state != CHANNEL_OPEN)
                return;
        if (ready & STREAM_WRITABLE)
                write_some(c);
        if (c->state == CHANNEL_UPGRADING && (ready & STREAM_READABLE))
                read_head(c);
        else if (c->state == CHANNEL_OPEN && (ready & STREAM_READABLE))
                read_some(c);
        if (c->state == CHANNEL_OPEN)
                pump(c);
}

static const struct stream_events stream_events = { on_open, on_ready, on_closed };

static void on_upgrade_timer(struct timer *t)
{
        end_connection(CONTAINER_OF(t, struct node_channel, upgrade_timer), "control does not answer",
                       STREAM_CLOSE_RESET);
}

/* ---- life ---- */

enum err node_channel_new(const struct node_channel_conf *conf, struct node_channel **out)
{
        const struct node_papers *p = &conf->state->papers;
        struct wire_node_conf end = { conf->state->kind, str_of(p->id), str_of(p->org),
                                      conf->program,     { 0 },         conf->document };
        struct node_channel *c = calloc(1, sizeof(*c));
        struct node_url url;
        enum err e = ERR_CONFIG;

        if (!c)
                return ERR_NO_MEMORY;
        c->conf = *conf;
        buf_init(&c->out, OUT_MAX);
        timer_init(&c->timer, on_timer);
        timer_init(&c->upgrade_timer, on_upgrade_timer);
        timer_init(&c->renew_timer, on_renew);
        task_init(&c->task, on_task);
        memcpy(end.document_key, p->document_key, sizeof(end.document_key));
        if (node_url_parse(str_of(p->control), &url) != ERR_OK ||
            (e = node_tls_new(conf->state, NULL, &c->tls)) != ERR_OK ||
            (e = wire_node_end_new(&end, &c->end)) != ERR_OK) {
                node_channel_free(c);
                return e == ERR_NO_MEMORY ? e : ERR_CONFIG;
        }
        loop_post(conf->loop, &c->task);
        renew_plan(c);
        *out = c;
        return ERR_OK;
}

void node_channel_stop(struct node_channel *c)
{
        c->is_stopping = true;
        timer_clear(&c->timer);
        timer_clear(&c->upgrade_timer);
        timer_clear(&c->renew_timer);
        loop_unpost(&c->task);
        if (c->state == CHANNEL_CONNECTING && !c->connect.is_open) {
                node_connect_cancel(&c->connect);
                c->state = CHANNEL_IDLE;
        }
        end_connection(c, "stopping", STREAM_CLOSE_PLAIN);
}

void node_channel_free(struct node_channel *c)
{
        if (!c)
                return;
        wire_node_end_free(c->end);
        wire_document_put(c->given);
        tls_context_put(c->tls);
        buf_fini(&c->out);
        free(c);
}

void node_channel_applied(struct node_channel *c)
{
        if (!c->given)
                return;
        wire_node_end_applied(c->end, loop_now(c->conf.loop));
        wire_document_put(c->given);
        c->given = NULL;
        loop_post(c->conf.loop, &c->task);
}

void node_channel_refused(struct node_channel *c, struct str reason)
{
        if (!c->given)
                return;
        if (node_state_document_store(c->conf.state, wire_node_end_document(c->end)) != ERR_OK)
                log_error("document_not_stored", LOG_C("folder", c->conf.state->folder));
        wire_node_end_refused(c->end, reason, loop_now(c->conf.loop));
        wire_document_put(c->given);
        c->given = NULL;
        loop_post(c->conf.loop, &c->task);
}

enum err node_channel_say(struct node_channel *c, const struct wire_message *m)
{
        loop_post(c->conf.loop, &c->task);
        return wire_node_end_say(c->end, m);
}

bool node_channel_is_up(const struct node_channel *c)
{
        return wire_node_end_is_up(c->end);
}

struct str node_channel_control(const struct node_channel *c)
{
        return str_of(c->control);
}
