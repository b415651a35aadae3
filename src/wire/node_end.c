#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/session_priv.h"

/*
 * Theory of operation. Three documents may be about: `have` is in force and stored; `given` is with the caller, who stores
 * and applies it; `newest` came meanwhile. A change is applied to the newest of them. When the caller is done, `newest` is
 * given next; one that was overtaken is never given. What cannot be applied leads to one `resync`, and nothing is asked
 * again until an answer has come.
 */

enum state {
        NODE_WAITING, /* until `again` */
        NODE_DIALLING,
        NODE_GREETING, /* hello was said, no welcome yet */
        NODE_UP,
        NODE_CLOSING, /* the caller was told to close */
        NODE_GONE,
};

struct wire_node_end {
        char node[WIRE_ID_MAX], org[WIRE_ID_MAX], program[WIRE_TEXT_MAX];
        struct str node_text, org_text, program_text;
        enum wire_kind kind;
        uint8_t key[WIRE_PUBLIC_BYTES];

        enum state state;
        mono_ms again, began;
        unsigned failures;
        struct wire_pulse pulse;
        bool wants_close;
        const char *close_why;

        struct wire_document *have, *given, *newest;
        bool is_given; /* `given` was taken by the caller */
        bool given_is_renewal;
        bool wants_hello, wants_resync, awaits_whole;
        bool wants_answer; /* applied or refused */
        bool answer_is_refusal;
        struct wire_have answer_have;
        struct buf answer_reason;

        struct wire_queue queue;
        struct buf report; /* the last one; empty: none yet */
        bool wants_report;

        struct wire_queued *sent; /* whose text the caller still reads */
        struct buf out;
        bool has_message, has_fault;
        struct wire_message message;
        struct arena arena; /* of `message` */
        struct buf message_text;
        const char *fault;
};

static struct str copy(char *out, size_t size, struct str text)
{
        size_t len = MIN(text.len, size);

        memcpy(out, text.ptr, len);
        return (struct str){ out, len };
}

enum err wire_node_end_new(const struct wire_node_conf *conf, struct wire_node_end **out)
{
        struct wire_node_end *n = calloc(1, sizeof(*n));

        if (!n)
                return ERR_NO_MEMORY;
        n->kind = conf->kind;
        n->node_text = copy(n->node, sizeof(n->node), conf->node);
        n->org_text = copy(n->org, sizeof(n->org), conf->org);
        n->program_text = copy(n->program, sizeof(n->program), conf->program);
        memcpy(n->key, conf->document_key, sizeof(n->key));
        n->have = conf->have ? wire_document_get(conf->have) : NULL;
        wire_queue_init(&n->queue);
        buf_init(&n->report, WIRE_SMALL_MAX);
        buf_init(&n->out, WIRE_SMALL_MAX);
        buf_init(&n->answer_reason, 4 * WIRE_TEXT_MAX);
        buf_init(&n->message_text, WIRE_SMALL_MAX);
        arena_init(&n->arena, NULL, 0, 4 * WIRE_SMALL_MAX);
        *out = n;
        return ERR_OK;
}

void wire_node_end_free(struct wire_node_end *n)
{
        if (!n)
                return;
        wire_document_put(n->have);
        wire_document_put(n->given);
        wire_document_put(n->newest);
        wire_queue_clear(&n->queue);
        wire_queued_free(n->sent);
        buf_fini(&n->report);
        buf_fini(&n->out);
        buf_fini(&n->answer_reason);
        buf_fini(&n->message_text);
        arena_fini(&n->arena);
        free(n);
}

/* ---- connections ---- */

void wire_node_end_opened(struct wire_node_end *n, mono_ms now)
{
        if (n->state != NODE_DIALLING)
                return;
        n->state = NODE_GREETING;
        n->began = now;
        n->wants_hello = true;
        n->wants_resync = n->awaits_whole = false;
        n->wants_report = n->report.len > 0;
        wire_pulse_begin(&n->pulse, now);
}

void wire_node_end_closed(struct wire_node_end *n, mono_ms now, uint32_t random)
{
        unsigned shift = MIN(n->failures, 6u);
        int64_t most = MIN((int64_t)WIRE_AGAIN_LEAST_MS << shift, (int64_t)WIRE_AGAIN_MOST_MS);

        n->wants_close = n->wants_hello = n->wants_answer = false;
        if (n->state == NODE_GONE)
                return;
        n->state = NODE_WAITING;
        n->failures++;
        /* All of it random, so that a thousand nodes whose control came back are spread evenly. */
        n->again = now + 1 + (int64_t)(random % (uint64_t)most);
}

void wire_node_end_redial(struct wire_node_end *n)
{
        n->wants_close = n->wants_hello = n->wants_answer = false;
        if (n->state == NODE_GONE)
                return;
        n->state = NODE_WAITING;
        n->again = 0;
}

static void close_because(struct wire_node_end *n, const char *why)
{
        n->wants_close = true;
        n->close_why = why;
}

void wire_node_end_heard(struct wire_node_end *n, mono_ms now)
{
        n->pulse.heard = now;
}

/* ---- documents ---- */

static struct wire_document *base_of(const struct wire_node_end *n)
{
        return n->newest ? n->newest : n->given ? n->given : n->have;
}

static void answer(struct wire_node_end *n, struct wire_document *d, bool is_refusal, struct str reason)
{
        n->wants_answer = true;
        n->answer_is_refusal = is_refusal;
        n->answer_have = wire_have_of(d);
        buf_clear(&n->answer_reason);
        buf_add(&n->answer_reason, str_sub(reason, 0, 2 * WIRE_TEXT_MAX));
}

static void fault(struct wire_node_end *n, const char *why)
{
        n->has_fault = true;
        n->fault = why;
}

/* A document that is whole and signed. Takes it. */
static void take(struct wire_node_end *n, struct wire_document *d)
{
        const struct wire_header *h = wire_document_header(d);
        const char *why = "it is another node's";
        enum err e = ERR_DENIED;

        if (h->kind == n->kind && str_eq(h->node, n->node_text) && str_eq(h->org, n->org_text))
                e = wire_document_follows(base_of(n), d, &why);
        if (e == ERR_DENIED) {
                answer(n, d, true, str_of(why));
                fault(n, why);
                wire_document_put(d);
                return;
        }
        n->awaits_whole = false;
        if (e == ERR_EXISTS && base_of(n) == n->have &&
            wire_document_header(n->have)->issued == h->issued) { /* nothing new at all */
                answer(n, d, false, STR(""));
                wire_document_put(d);
                return;
        }
        wire_document_put(n->newest);
        n->newest = d;
}

/* What came is of no use: tell why, and ask for the whole where that may help. */
static void useless(struct wire_node_end *n, enum err e, const char *why)
{
        struct wire_have have = { 0 };

        fault(n, why);
        if (e == ERR_NOT_FOUND && !n->awaits_whole) {
                n->wants_resync = n->awaits_whole = true;
        } else if (e != ERR_NOT_FOUND) {
                n->wants_answer = n->answer_is_refusal = true;
                n->answer_have = have;
                buf_clear(&n->answer_reason);
                buf_add(&n->answer_reason, str_of(why));
        }
}

static void document_receive(struct wire_node_end *n, struct str text)
{
        struct wire_document *d;
        const char *why = "";
        enum err e = wire_document_read(text, n->key, &d, &why);

        if (e == ERR_OK)
                take(n, d);
        else
                useless(n, e, why);
}

static void change_receive(struct wire_node_end *n, struct str text)
{
        struct wire_document *d;
        struct wire_change *c;
        const char *why = "";
        enum err e;

        if (n->awaits_whole)
                return; /* it begins where we are not, too; the whole is on its way */
        if ((e = wire_change_read(text, &c, &why)) != ERR_OK) {
                useless(n, e, why);
                return;
        }
        if (!base_of(n))
                e = ERR_NOT_FOUND, why = "a change before any document";
        else
                e = wire_change_apply(base_of(n), c, n->key, &d, &why);
        wire_change_free(c);
        if (e == ERR_OK)
                take(n, d);
        else
                useless(n, e, why);
}

void wire_node_end_applied(struct wire_node_end *n, mono_ms now)
{
        (void)now;
        assert(n->is_given);
        wire_document_put(n->have);
        n->have = n->given;
        n->given = NULL;
        n->is_given = false;
        answer(n, n->have, false, STR(""));
}

void wire_node_end_refused(struct wire_node_end *n, struct str reason, mono_ms now)
{
        (void)now;
        assert(n->is_given);
        answer(n, n->given, true, reason);
        wire_document_put(n->given);
        n->given = NULL;
        n->is_given = false;
}

/* ---- messages ---- */

static void message_receive(struct wire_node_end *n, struct str text)
{
        const char *why = "";

        arena_reset(&n->arena);
        buf_clear(&n->message_text);
        buf_add(&n->message_text, text);
        if (n->message_text.full) {
                fault(n, "the message is too large");
                return;
        }
        if (wire_message_read(&n->arena, buf_str(&n->message_text), &n->message, &why) != ERR_OK) {
                fault(n, why);
                return;
        }
        switch (n->message.type) {
        case WIRE_WELCOME:
                if (n->state == NODE_GREETING) {
                        n->state = NODE_UP;
                        n->failures = 0;
                }
                if (n->message.welcome.heartbeat)
                        n->pulse.ping_ms = MIN((int64_t)n->message.welcome.heartbeat * 1000,
                                               (int64_t)WIRE_SILENCE_MS / 2);
                break;
        case WIRE_GONE:
                n->state = NODE_GONE;
                close_because(n, "control does not want this node any more");
                break;
        case WIRE_CERTIFICATE:
        case WIRE_SHARED:
        case WIRE_UNSHARED:
        case WIRE_ERROR: break;
        default: return; /* ours, or nobody's */
        }
        n->has_message = true;
}

void wire_node_end_receive(struct wire_node_end *n, struct str text, mono_ms now)
{
        if (n->state != NODE_GREETING && n->state != NODE_UP)
                return;
        wire_node_end_heard(n, now);
        enum wire_type type = wire_message_type(text);
        if (type == WIRE_DOCUMENT)
                document_receive(n, text);
        else if (type == WIRE_CHANGE)
                change_receive(n, text);
        else
                message_receive(n, text);
}

enum err wire_node_end_say(struct wire_node_end *n, const struct wire_message *m)
{
        if (m->type != WIRE_REPORT)
                return wire_queue_add(&n->queue, m);
        buf_clear(&n->report);
        wire_message_write(m, &n->report);
        if (n->report.full) {
                buf_clear(&n->report);
                n->wants_report = false;
                return ERR_TOO_LARGE;
        }
        n->wants_report = true;
        return ERR_OK;
}

/* ---- what is wanted ---- */

static void send_message(struct wire_node_end *n, const struct wire_message *m, struct wire_event *out)
{
        buf_clear(&n->out);
        wire_message_write(m, &n->out);
        out->want = WIRE_WANT_SEND;
        out->text = buf_str(&n->out);
}

static bool send_next(struct wire_node_end *n, struct wire_event *out)
{
        struct wire_message m = { .type = WIRE_RESYNC };

        wire_queued_free(n->sent);
        n->sent = NULL;
        if (n->wants_hello) {
                n->wants_hello = false;
                m = (struct wire_message){ .type = WIRE_HELLO,
                                           .hello = { n->program_text, WIRE_FORMAT, wire_have_of(n->have) } };
                send_message(n, &m, out);
        } else if (n->state == NODE_UP && n->wants_answer) {
                n->wants_answer = false;
                m.type = n->answer_is_refusal ? WIRE_REFUSED : WIRE_APPLIED;
                if (n->answer_is_refusal)
                        m.refused = (struct wire_refused){ n->answer_have.epoch, n->answer_have.version,
                                                           buf_str(&n->answer_reason) };
                else
                        m.applied = n->answer_have;
                send_message(n, &m, out);
        } else if (n->state == NODE_UP && n->wants_resync) {
                n->wants_resync = false;
                send_message(n, &m, out);
        } else if (n->state == NODE_UP && n->wants_report) {
                n->wants_report = false;
                out->want = WIRE_WANT_SEND;
                out->text = buf_str(&n->report);
        } else if (n->state == NODE_UP && (n->sent = wire_queue_take(&n->queue))) {
                out->want = WIRE_WANT_SEND;
                out->text = buf_str(&n->sent->text);
        } else {
                return false;
        }
        return true;
}

static bool give_next(struct wire_node_end *n, struct wire_event *out)
{
        if (n->has_message) {
                n->has_message = false;
                out->want = WIRE_WANT_MESSAGE;
                out->message = &n->message;
                return true;
        }
        if (n->has_fault) {
                n->has_fault = false;
                out->want = WIRE_WANT_MESSAGE;
                out->why = n->fault;
                return true;
        }
        if (n->newest && !n->given) {
                const char *why;
                n->given = n->newest;
                n->newest = NULL;
                n->is_given = true;
                out->want = WIRE_WANT_DOCUMENT;
                out->document = n->given;
                out->is_renewal = n->have && wire_document_follows(n->have, n->given, &why) == ERR_EXISTS;
                return true;
        }
        return false;
}

static void check_time(struct wire_node_end *n, mono_ms now)
{
        if (n->state == NODE_GREETING && now - n->began >= WIRE_HELLO_MS)
                close_because(n, "control said no welcome");
        else if ((n->state == NODE_GREETING || n->state == NODE_UP) && wire_pulse_is_dead(&n->pulse, now))
                close_because(n, "control is silent");
}

void wire_node_end_next(struct wire_node_end *n, mono_ms now, bool may_send, struct wire_event *out)
{
        *out = (struct wire_event){ .want = WIRE_WANT_NOTHING };
        if (give_next(n, out))
                return;
        if (!n->wants_close)
                check_time(n, now);
        if (n->wants_close) {
                n->wants_close = false;
                if (n->state != NODE_GONE)
                        n->state = NODE_CLOSING;
                out->want = WIRE_WANT_CLOSE;
                out->why = n->close_why;
                return;
        }
        if (n->state == NODE_WAITING && now >= n->again) {
                n->state = NODE_DIALLING;
                out->want = WIRE_WANT_DIAL;
                return;
        }
        if (n->state != NODE_GREETING && n->state != NODE_UP)
                return;
        if (may_send && send_next(n, out))
                return;
        if (wire_pulse_is_due(&n->pulse, now))
                out->want = WIRE_WANT_PING;
}

mono_ms wire_node_end_deadline(const struct wire_node_end *n)
{
        switch (n->state) {
        case NODE_WAITING: return n->again;
        case NODE_GREETING: return MIN(n->began + WIRE_HELLO_MS, wire_pulse_deadline(&n->pulse));
        case NODE_UP: return wire_pulse_deadline(&n->pulse);
        default: return MONO_NEVER;
        }
}

bool wire_node_end_is_up(const struct wire_node_end *n)
{
        return n->state == NODE_UP;
}

bool wire_node_end_is_gone(const struct wire_node_end *n)
{
        return n->state == NODE_GONE;
}

struct wire_document *wire_node_end_document(const struct wire_node_end *n)
{
        return n->have;
}
