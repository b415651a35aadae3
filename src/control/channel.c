#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/channel.h"
#include "control/dispatch.h"
#include "control/hub_priv.h"
#include "control/routes_priv.h"
#include "control/version.h"
#include "crypto/sha256.h"
#include "crypto/text.h"
#include "http/websocket_handshake.h"
#include "proxy/reply.h"
#include "store/nodes.h"

/*
 * Theory of operation. The call that asks for the channel finds out whose certificate was shown, in the store's thread; then
 * the channel becomes the exchange's up side, waits until the request is over, answers 101, and speaks frames. What is said
 * and when is wire/session.h's: after anything that happens, and at its deadline, it is asked what it wants.
 */

#define SUBPROTOCOL STR("sekisho.1")

enum {
        OUT_BYTES_MAX = WIRE_MESSAGE_MAX + 1024 * 1024,
        REST_BYTES = 512, /* a channel mostly says nothing, and there are thousands */
        CLOSE_MS = 2000
};

static const struct side_ops channel_ops;
static void on_open(struct task *t);
static void on_timer(struct timer *t);

/* ---- who it is ---- */

struct facts {
        struct wire_name name; /* of the certificate */
        char spki[65];
        char uri[WIRE_URI_SIZE];
        /* found by the job */
        int64_t row, org;
        enum wire_kind kind;
        char id[WIRE_ID_SIZE];
};

/* "DNS:x,URI:sekisho://org/agent/ag-…": the one URI. */
static bool uri_find(struct str names, struct facts *f)
{
        struct str rest = names, name;

        while (names.len && str_split(&rest, ',', &name)) {
                struct str uri = str_from(name, 4);

                if (!str_has_prefix(name, STR("URI:")) || uri.len >= sizeof(f->uri))
                        continue;
                memcpy(f->uri, uri.ptr, uri.len);
                return wire_name_parse((struct str){ f->uri, uri.len }, &f->name) == ERR_OK;
        }
        return false;
}

bool channel_prepare(struct api_call *c)
{
        const struct exchange_origin *o = c->x->origin;
        struct facts *f = ARENA_NEW(&c->arena, struct facts);
        bool is_ours = str_eq_nocase(o->server_name, WIRE_HOST_CONTROL);

        c->prepared = f;
        if (f && is_ours && o->client && uri_find(o->client->names, f) && f->name.kind != WIRE_CONTROL &&
            str_eq(f->name.org, str_of(c->control->secrets.org)) && c->x->is_websocket) {
                memcpy(f->spki, o->client->spki_sha256, sizeof(f->spki));
                return true;
        }
        if (!is_ours)
                exchange_refuse(c->x, 421, "internal_name",
                                "Nodes come here under the name control.sekisho.internal.");
        else if (!c->x->is_websocket)
                exchange_refuse(c->x, 426, "upgrade", "This is a WebSocket.");
        else
                exchange_refuse(c->x, 403, "node", "A node's certificate is needed here.");
        return false;
}

/* The certificate names the row, and the row pins the key: an older key, or another row's, is nobody. */
enum err channel_admit(struct api_call *c, struct store_txn *t, const struct identity_permit *permit)
{
        struct facts *f = c->prepared;
        const char *prefix = f->name.kind == WIRE_GATEWAY ? ID_GATEWAY : ID_AGENT;
        uint8_t hash[CRYPTO_SHA256_BYTES];
        char pinned[CRYPTO_HEX_SIZE(CRYPTO_SHA256_BYTES)];
        struct store_node node;
        enum err e;

        if (id_parse(c->control->secrets.id_key, prefix, f->name.id, &f->row) != ERR_OK)
                return api_fail(c, 403, NULL, "There is no such node.");
        e = store_node_get(t, 0, f->row, &c->work, &node);
        if (e == ERR_NOT_FOUND)
                return api_fail(c, 403, NULL, "There is no such node.");
        if (e != ERR_OK)
                return e;
        crypto_sha256(node.tls_key, hash);
        crypto_hex_format((struct str){ (const char *)hash, sizeof(hash) }, pinned);
        if (strcmp(pinned, f->spki) != 0)
                return api_fail(c, 403, NULL, "This key is not the one the node joined with.");
        f->org = node.org;
        f->kind = f->name.kind;
        memcpy(f->id, f->name.id.ptr, f->name.id.len);
        c->status = 101;
        return ERR_OK;
}

/* ---- frames ---- */

static void out_flush(struct channel *ch)
{
        struct str rest = str_from(buf_str(&ch->out), ch->out_given);
        struct side_data d = { &rest, 1, false, NULL, 0 };

        if (!ch->side.x || !ch->is_open || ch->is_over)
                return;
        if (rest.len || ch->is_closing) {
                d.slices_count = rest.len ? 1 : 0;
                d.is_last = ch->is_closing;
                ch->out_given += exchange_answer_data(ch->side.x, &d);
        }
        if (ch->out_given < ch->out.len)
                return;
        buf_rest(&ch->out, REST_BYTES);
        ch->out_given = 0;
        if (ch->is_closing)
                ch->is_over = true; /* the client's half ends, or the timer ends it */
}

void channel_close(struct channel *ch, enum websocket_code code, const char *why)
{
        if (ch->is_closing)
                return;
        log_info("node_channel_closed", LOG_C("node", ch->id), LOG_C("reason", why ? why : "asked for"));
        websocket_write_close(&ch->out, code, str_of(why), NULL);
        ch->is_closing = true;
        hub_remove(ch->hub, ch);
        timer_set(ch->hub->control->loop, &ch->timer, loop_now(ch->hub->control->loop) + CLOSE_MS);
        out_flush(ch);
}

/* The exchange still writes into a side it releases: freed in the next step. */
static void channel_end(struct channel *ch)
{
        hub_remove(ch->hub, ch);
        loop_unpost(&ch->open_task);
        timer_clear(&ch->timer);
        ch->is_closing = ch->is_over = true;
        loop_post(ch->hub->control->loop, &ch->free_task);
}

static void channel_free(struct task *t)
{
        struct channel *ch = CONTAINER_OF(t, struct channel, free_task);

        wire_control_end_free(ch->end);
        wire_document_put(ch->document);
        websocket_reader_fini(&ch->reader);
        buf_fini(&ch->out);
        free(ch->report);
        free(ch);
}

/* ---- what the session wants ---- */

static void applied(struct channel *ch)
{
        const struct wire_have *have = wire_control_end_have(ch->end);

        ch->has_applied = true;
        log_info("node_applied", LOG_C("node", ch->id), LOG_N("version", have->version));
        hub_note(ch->hub);
}

static void message(struct channel *ch, const struct wire_message *m, const char *why)
{
        if (!m) {
                log_warning("node_message_refused", LOG_C("node", ch->id), LOG_C("reason", why ? why : ""));
                return;
        }
        switch (m->type) {
        case WIRE_HELLO:
                ch->was_seen = true;
                hub_note(ch->hub);
                hub_hello(ch->hub, ch);
                break;
        case WIRE_REPORT:
                ch->has_report = ch->was_seen = true;
                if (ch->kind == WIRE_AGENT)
                        dispatch_told(ch->hub->control, str_of(ch->id),
                                      ch->hub->desired ? desired_find(ch->hub->desired, ch->node) : NULL,
                                      &m->report);
                hub_note(ch->hub);
                break;
        case WIRE_RENEW: hub_renew(ch->hub, ch); break;
        case WIRE_SHARE: hub_share(ch->hub, ch, &m->share); break;
        case WIRE_UNSHARE: hub_unshare(ch->hub, ch, m->unshare.ref, m->unshare.id); break;
        default: break;
        }
}

void channel_pump(struct channel *ch)
{
        struct loop *loop = ch->hub->control->loop;
        struct wire_event ev;

        while (ch->is_open && !ch->is_closing) {
                wire_control_end_next(ch->end, loop_now(loop), ch->out.len == 0, &ev);
                if (ev.want == WIRE_WANT_NOTHING)
                        break;
                switch (ev.want) {
                case WIRE_WANT_SEND:
                        websocket_write(&ch->out, WEBSOCKET_TEXT, ev.text, NULL);
                        out_flush(ch);
                        break;
                case WIRE_WANT_PING:
                        websocket_write(&ch->out, WEBSOCKET_PING, STR(""), NULL);
                        out_flush(ch);
                        break;
                case WIRE_WANT_CLOSE: channel_close(ch, WEBSOCKET_NORMAL, ev.why); return;
                case WIRE_WANT_DOCUMENT: applied(ch); break;
                case WIRE_WANT_REFUSED:
                        log_warning("node_refused_document", LOG_C("node", ch->id), LOG_S("reason", ev.text));
                        break;
                case WIRE_WANT_MESSAGE: message(ch, ev.message, ev.why); break;
                default: break;
                }
                if (ch->out.full) {
                        channel_close(ch, WEBSOCKET_TOO_BIG, "no memory for what is to be said");
                        return;
                }
        }
        if (!ch->is_closing)
                timer_set(loop, &ch->timer, wire_control_end_deadline(ch->end));
}

static void on_timer(struct timer *t)
{
        struct channel *ch = CONTAINER_OF(t, struct channel, timer);

        if (ch->is_closing) {
                if (ch->side.x) /* this tells the exchange; of us it forgets */
                        exchange_up_reset(ch->side.x, ERR_CLOSED, false);
                channel_end(ch);
                return;
        }
        channel_pump(ch);
}

void channel_set(struct channel *ch, struct wire_document *d)
{
        wire_document_get(d);
        wire_document_put(ch->document);
        ch->document = d;
        wire_control_end_set(ch->end, d, loop_now(ch->hub->control->loop));
        channel_pump(ch);
}

void channel_say(struct channel *ch, const struct wire_message *m)
{
        if (wire_control_end_say(ch->end, m) != ERR_OK)
                log_warning("node_not_told", LOG_C("node", ch->id));
        channel_pump(ch);
}

/* Kept as it came: it is shown as it is. */
static void report_keep(struct channel *ch, struct str text)
{
        bool is_same =
                ch->report && text.len == ch->report_len && memcmp(ch->report, text.ptr, text.len) == 0;
        char *copy;

        if (is_same || text.len > CHANNEL_REPORT_MAX || !(copy = malloc(text.len + 1)))
                return;
        memcpy(copy, text.ptr, text.len);
        free(ch->report);
        ch->report = copy;
        ch->report_len = text.len;
        ch->addresses_changed = true;
}

static void text_receive(struct channel *ch, struct str text)
{
        if (!hub_allows(ch, text)) {
                log_warning("node_too_many_messages", LOG_C("node", ch->id), LOG_C("from", ch->from));
                channel_close(ch, WEBSOCKET_POLICY, "it says too much");
                return;
        }
        if (wire_message_type(text) == WIRE_REPORT)
                report_keep(ch, text);
        wire_control_end_receive(ch->end, text, loop_now(ch->hub->control->loop));
}

static void bytes_receive(struct channel *ch, struct str in)
{
        mono_ms now = loop_now(ch->hub->control->loop);
        struct websocket_message m;
        enum err e;

        wire_control_end_heard(ch->end, now);
        while (!ch->is_closing && (e = websocket_read(&ch->reader, &in, &m)) != ERR_AGAIN) {
                if (e != ERR_OK) {
                        channel_close(ch, websocket_code_of(e), "a frame that is none");
                        return;
                }
                switch (m.kind) {
                case WEBSOCKET_TEXT: text_receive(ch, m.bytes); break;
                case WEBSOCKET_PING: websocket_write(&ch->out, WEBSOCKET_PONG, m.bytes, NULL); break;
                case WEBSOCKET_CLOSE: channel_close(ch, WEBSOCKET_NORMAL, "the node left"); return;
                case WEBSOCKET_BINARY: channel_close(ch, WEBSOCKET_POLICY, "texts are spoken here"); return;
                case WEBSOCKET_PONG: break;
                }
                channel_pump(ch);
        }
        out_flush(ch);
}

/* ---- operations of the up side ---- */

static struct channel *of(struct side *s)
{
        return CONTAINER_OF(s, struct channel, side);
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct channel *ch = of(s);

        if (!ch->is_open) {
                if (d->is_last && !ch->is_asked) {
                        ch->is_asked = true;
                        loop_post(ch->hub->control->loop,
                                  &ch->open_task); /* the request is over after this call */
                }
                return side_data_len(d);
        }
        for (size_t i = 0; i < d->slices_count; i++)
                bytes_receive(ch, d->slices[i]);
        if (d->is_last && !ch->is_closing)
                channel_close(ch, WEBSOCKET_NORMAL, "the connection ended");
        return side_data_len(d);
}

static void op_head(struct side *s, struct http_head *head) {}
static void op_flush(struct side *s) {}

static void op_pull(struct side *s)
{
        struct channel *ch = of(s);

        out_flush(ch);
        if (!ch->is_closing && ch->out.len == 0)
                channel_pump(ch);
}

static void op_release(struct side *s)
{
        channel_end(of(s));
}

static void op_reset(struct side *s, enum err reason)
{
        struct channel *ch = of(s);

        if (!ch->is_closing)
                log_info("node_channel_lost", LOG_C("node", ch->id), LOG_E(reason));
        channel_end(ch);
}

static const struct side_ops channel_ops = {
        .name = "channel",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
};

/* ---- the beginning ---- */

static bool subprotocol_is_offered(const struct http_head *h)
{
        const struct http_field *f = http_find_name(h, STR("Sec-WebSocket-Protocol"));

        return f && str_eq(str_trim(f->value), SUBPROTOCOL);
}

static void on_open(struct task *t)
{
        struct channel *ch = CONTAINER_OF(t, struct channel, open_task);
        struct exchange *x = ch->side.x;
        struct str protocol = subprotocol_is_offered(&x->request) ? SUBPROTOCOL : STR_NULL;
        struct http_head head;

        if (websocket_answer_make(&x->request, protocol, &x->arena, &head) != ERR_OK) {
                exchange_abort(x);
                return;
        }
        ch->is_open = true;
        exchange_answer_head(x, &head);
        if (!ch->side.x)
                return;
        exchange_answer_flush(x);
        hub_add(ch->hub, ch);
        channel_pump(ch);
}

void channel_begin(struct api_call *c)
{
        const struct facts *f = c->prepared;
        struct control *control = c->control;
        struct hub *hub = control->hub;
        struct channel *ch = calloc(1, sizeof(*ch));
        struct exchange *x = c->x;

        if (!ch || wire_control_end_new(&hub->pacer, STR("sekisho/" SEKISHO_VERSION),
                                        (uint64_t)control->secrets.epoch, loop_now(control->loop),
                                        &ch->end) != ERR_OK) {
                free(ch);
                api_fail(c, 503, NULL, "Control has no memory for this.");
                api_answer_now(c);
                return;
        }
        ch->side.ops = &channel_ops;
        ch->hub = hub;
        ch->node = f->row;
        ch->org = f->org;
        ch->kind = f->kind;
        memcpy(ch->id, f->id, sizeof(ch->id));
        snprintf(ch->from, sizeof(ch->from), "%.*s", STR_FMT(c->source));
        ch->since = loop_wall(control->loop);
        hub_allowance_begin(ch);
        ch->arrived = UINT64_MAX;
        ch->placed = -1;
        websocket_reader_init(&ch->reader, true, WIRE_SMALL_MAX);
        buf_init(&ch->out, OUT_BYTES_MAX);
        task_init(&ch->open_task, on_open);
        task_init(&ch->free_task, channel_free);
        timer_init(&ch->timer, on_timer);
        list_init(&ch->node_in_hub);
        api_let_go(c);
        exchange_start_up(x, &ch->side);
}
