#include <stdlib.h>
#include <string.h>

#include "wire/session_priv.h"

/*
 * Theory of operation. `target` is what the node should be, `base` a document that it is known to have, `sent` one that is
 * on its way. One at a time is on its way; edits meanwhile only move `target`. What the node said in hello is held against
 * `target`: the same hash, nothing to do; the same items, a change without items; anything else, the whole, which the pacer
 * allows.
 */

struct wire_control_end {
        struct wire_pacer *pacer;
        char program[WIRE_TEXT_MAX];
        struct str program_text;
        uint64_t epoch;
        mono_ms began;
        struct wire_pulse pulse;
        bool is_up, is_over, wants_welcome, wants_close;
        const char *close_why;

        struct wire_document *target, *base, *sent, *refused;
        struct wire_have have;
        mono_ms due;   /* when the target may be told */
        bool is_asked; /* by resync */
        mono_ms whole_from;
        int64_t whole_pause;
        uint64_t wholes, changes;

        struct wire_queue queue;
        struct wire_queued *out_entry;
        struct buf out;

        enum wire_want found; /* DOCUMENT, REFUSED or MESSAGE; NOTHING */
        struct wire_document *found_document;
        bool has_fault;
        const char *fault;
        struct wire_message message;
        struct arena arena;
        struct buf message_text;
};

void wire_pacer_init(struct wire_pacer *p, mono_ms now)
{
        p->at = now;
        p->thousandths = WIRE_WHOLE_BURST * 1000;
}

/* One whole document may go now; else when to ask again. */
static bool pacer_take(struct wire_pacer *p, mono_ms now, mono_ms *again)
{
        int64_t gained = MIN(now - p->at, (int64_t)1000) * WIRE_WHOLE_PER_SECOND;

        p->at = now;
        p->thousandths = (uint32_t)MIN((int64_t)p->thousandths + gained, (int64_t)WIRE_WHOLE_BURST * 1000);
        if (p->thousandths >= 1000) {
                p->thousandths -= 1000;
                return true;
        }
        *again = now + 1 + (1000 - p->thousandths) / WIRE_WHOLE_PER_SECOND;
        return false;
}

enum err wire_control_end_new(struct wire_pacer *pacer, struct str program, uint64_t epoch, mono_ms now,
                              struct wire_control_end **out)
{
        struct wire_control_end *c = calloc(1, sizeof(*c));

        if (!c)
                return ERR_NO_MEMORY;
        c->pacer = pacer;
        c->program_text = (struct str){ c->program, MIN(program.len, sizeof(c->program)) };
        memcpy(c->program, program.ptr, c->program_text.len);
        c->epoch = epoch;
        c->began = now;
        c->whole_pause = WIRE_RESYNC_MS;
        wire_pulse_begin(&c->pulse, now);
        wire_queue_init(&c->queue);
        buf_init(&c->out, 2 * (size_t)WIRE_MESSAGE_MAX);
        buf_init(&c->message_text, WIRE_SMALL_MAX);
        arena_init(&c->arena, NULL, 0, 4 * WIRE_SMALL_MAX);
        *out = c;
        return ERR_OK;
}

void wire_control_end_free(struct wire_control_end *c)
{
        if (!c)
                return;
        wire_document_put(c->target);
        wire_document_put(c->base);
        wire_document_put(c->sent);
        wire_document_put(c->refused);
        wire_document_put(c->found_document);
        wire_queue_clear(&c->queue);
        wire_queued_free(c->out_entry);
        buf_fini(&c->out);
        buf_fini(&c->message_text);
        arena_fini(&c->arena);
        free(c);
}

static void replace(struct wire_document **place, struct wire_document *d)
{
        if (d)
                wire_document_get(d);
        wire_document_put(*place);
        *place = d;
}

void wire_control_end_set(struct wire_control_end *c, struct wire_document *d, mono_ms now)
{
        bool was_waiting = c->target && c->target != c->base && c->target != c->sent;

        replace(&c->target, d);
        if (!was_waiting || c->due == 0)
                c->due = now + WIRE_GATHER_MS; /* a stream of edits does not push it on for ever */
}

void wire_control_end_heard(struct wire_control_end *c, mono_ms now)
{
        c->pulse.heard = now;
}

/* ---- what the node says ---- */

static bool is_same(const struct wire_have *have, const struct wire_document *d)
{
        return d && have->is_any && memcmp(have->hash, wire_document_hash(d), WIRE_HASH_BYTES) == 0;
}

static void fault(struct wire_control_end *c, const char *why)
{
        c->has_fault = true;
        c->fault = why;
}

static void hello(struct wire_control_end *c)
{
        c->is_up = true;
        c->wants_welcome = true;
        c->have = c->message.hello.have;
        if (c->message.hello.format < WIRE_FORMAT)
                fault(c, "the node is too old for our documents");
        c->due = c->due ? c->due : 1; /* what is known is told at once */
}

static void applied(struct wire_control_end *c)
{
        c->have = c->message.applied;
        if (is_same(&c->have, c->sent)) {
                replace(&c->base, c->sent);
                replace(&c->sent, NULL);
                replace(&c->refused, NULL);
                c->whole_pause = WIRE_RESYNC_MS;
        }
        replace(&c->found_document, is_same(&c->have, c->base) ? c->base : NULL);
        c->found = WIRE_WANT_DOCUMENT;
}

static void refused(struct wire_control_end *c)
{
        if (c->sent)
                replace(&c->refused, c->sent);
        replace(&c->sent, NULL);
        c->found = WIRE_WANT_REFUSED;
}

static void resync(struct wire_control_end *c, mono_ms now)
{
        replace(&c->base, NULL);
        replace(&c->sent, NULL);
        replace(&c->refused, NULL);
        c->have = (struct wire_have){ 0 };
        c->due = MAX(now, c->whole_from); /* the first at once, a stream of them ever more slowly */
        c->is_asked = true;
}

void wire_control_end_receive(struct wire_control_end *c, struct str text, mono_ms now)
{
        const char *why = "";

        if (c->is_over)
                return;
        wire_control_end_heard(c, now);
        arena_reset(&c->arena);
        buf_clear(&c->message_text);
        buf_add(&c->message_text, text);
        if (c->message_text.full ||
            wire_message_read(&c->arena, buf_str(&c->message_text), &c->message, &why) != ERR_OK) {
                c->wants_close = true;
                c->close_why = c->message_text.full ? "the message is too large" : why;
                return;
        }
        if (!c->is_up && c->message.type != WIRE_HELLO) {
                c->wants_close = true;
                c->close_why = "its first message was no hello";
                return;
        }
        switch (c->message.type) {
        case WIRE_HELLO:
                if (c->is_up) {
                        c->wants_close = true;
                        c->close_why = "it said hello twice";
                        return;
                }
                hello(c);
                c->found = WIRE_WANT_MESSAGE;
                break;
        case WIRE_APPLIED: applied(c); break;
        case WIRE_REFUSED: refused(c); break;
        case WIRE_RESYNC: resync(c, now); break;
        case WIRE_REPORT:
        case WIRE_RENEW:
        case WIRE_SHARE:
        case WIRE_UNSHARE: c->found = WIRE_WANT_MESSAGE; break;
        default: break; /* nobody's, or ours */
        }
}

enum err wire_control_end_say(struct wire_control_end *c, const struct wire_message *m)
{
        return wire_queue_add(&c->queue, m);
}

/* ---- documents out ---- */

/* A change from what it has; false: there is nothing to begin with. */
static bool write_change(struct wire_control_end *c)
{
        bool has_items = c->have.is_any &&
                         memcmp(c->have.items, wire_document_items_hash(c->target), WIRE_HASH_BYTES) == 0;
        struct wire_change *change;

        if (!c->base && !has_items)
                return false;
        if (wire_change_between(c->base ? c->base : c->target, c->target, &change) != ERR_OK)
                return false;
        if (!c->base)
                wire_change_set_from(change, c->have.version);
        wire_change_write(change, &c->out);
        wire_change_free(change);
        if (c->out.full) {
                buf_clear(&c->out);
                return false;
        }
        c->changes++;
        return true;
}

static bool is_wanted(const struct wire_control_end *c)
{
        return c->target && !c->sent && c->target != c->base && c->target != c->refused;
}

static bool send_document(struct wire_control_end *c, mono_ms now, struct wire_event *out)
{
        if (!is_wanted(c) || now < c->due)
                return false;
        if (!c->base && is_same(&c->have, c->target) &&
            c->have.issued == wire_document_header(c->target)->issued) {
                replace(&c->base, c->target);
                return false;
        }
        buf_clear(&c->out);
        if (!write_change(c)) {
                if (!pacer_take(c->pacer, now, &c->due))
                        return false;
                wire_document_write(c->target, &c->out);
                c->wholes++;
                if (c->is_asked) {
                        c->is_asked = false;
                        c->whole_from = now + c->whole_pause;
                        c->whole_pause = MIN(2 * c->whole_pause, (int64_t)WIRE_RESYNC_MOST_MS);
                }
        }
        if (c->out.full) {
                fault(c, "no memory for a document");
                c->due = now + WIRE_RESYNC_MS;
                return false;
        }
        replace(&c->sent, c->target);
        out->want = WIRE_WANT_SEND;
        out->text = buf_str(&c->out);
        return true;
}

static bool send_next(struct wire_control_end *c, mono_ms now, struct wire_event *out)
{
        wire_queued_free(c->out_entry);
        c->out_entry = NULL;
        if (c->wants_welcome) {
                struct wire_message m = { .type = WIRE_WELCOME,
                                          .welcome = { c->program_text, c->epoch, WIRE_PING_MS / 1000 } };
                c->wants_welcome = false;
                buf_clear(&c->out);
                wire_message_write(&m, &c->out);
                out->want = WIRE_WANT_SEND;
                out->text = buf_str(&c->out);
                return true;
        }
        if ((c->out_entry = wire_queue_take(&c->queue))) {
                out->want = WIRE_WANT_SEND;
                out->text = buf_str(&c->out_entry->text);
                if (c->out_entry->type == WIRE_GONE) {
                        c->wants_close = true;
                        c->close_why = "it was told to go";
                }
                return true;
        }
        return send_document(c, now, out);
}

static bool give_next(struct wire_control_end *c, struct wire_event *out)
{
        if (c->found != WIRE_WANT_NOTHING) {
                out->want = c->found;
                out->document = c->found == WIRE_WANT_DOCUMENT ? c->found_document : NULL;
                out->text = c->found == WIRE_WANT_REFUSED ? c->message.refused.reason : STR_NULL;
                out->message = &c->message;
                c->found = WIRE_WANT_NOTHING;
                return true;
        }
        if (c->has_fault) {
                c->has_fault = false;
                out->want = WIRE_WANT_MESSAGE;
                out->why = c->fault;
                return true;
        }
        return false;
}

/* Nothing is under way: a channel is mostly quiet, and control has thousands of them. */
static void rest(struct wire_control_end *c)
{
        arena_reset(&c->arena);
        buf_rest(&c->message_text, 0);
        buf_rest(&c->out, 0);
}

void wire_control_end_next(struct wire_control_end *c, mono_ms now, bool may_send, struct wire_event *out)
{
        *out = (struct wire_event){ .want = WIRE_WANT_NOTHING };
        if (give_next(c, out) || c->is_over)
                return;
        if (!c->wants_close &&
            ((!c->is_up && now - c->began >= WIRE_HELLO_MS) || wire_pulse_is_dead(&c->pulse, now))) {
                c->wants_close = true;
                c->close_why = c->is_up ? "it is silent" : "it said no hello";
        }
        if (c->wants_close) {
                c->is_over = true;
                out->want = WIRE_WANT_CLOSE;
                out->why = c->close_why;
                return;
        }
        if (c->is_up && may_send && send_next(c, now, out))
                return;
        if (wire_pulse_is_due(&c->pulse, now))
                out->want = WIRE_WANT_PING;
        else
                rest(c);
}

mono_ms wire_control_end_deadline(const struct wire_control_end *c)
{
        mono_ms at = wire_pulse_deadline(&c->pulse);

        if (c->is_over)
                return MONO_NEVER;
        if (!c->is_up)
                return MIN(at, c->began + WIRE_HELLO_MS);
        return is_wanted(c) ? MIN(at, c->due) : at;
}

const struct wire_have *wire_control_end_have(const struct wire_control_end *c)
{
        return &c->have;
}

uint64_t wire_control_end_wholes(const struct wire_control_end *c)
{
        return c->wholes;
}

uint64_t wire_control_end_changes(const struct wire_control_end *c)
{
        return c->changes;
}
