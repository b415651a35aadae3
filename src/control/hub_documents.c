/* Each connected node's document, made from the present reading. */
#include <string.h>

#include "control/hub_priv.h"
#include "control/lead.h"

static enum err draft_fill(struct wire_draft *d, const struct desired_items *items)
{
        enum err e = ERR_OK;

        for (size_t i = 0; i < items->count && e == ERR_OK; i++)
                e = wire_draft_add(d, items->list[i]);
        return e;
}

static enum err document_make(struct hub *h, const struct channel *ch, const struct desired_node *n,
                              uint64_t version, struct wire_document **out)
{
        const struct secrets *s = &h->control->secrets;
        struct wire_header header = { .format = WIRE_FORMAT,
                                      .kind = ch->kind,
                                      .node = str_of(ch->id),
                                      .org = str_of(s->org),
                                      .epoch = (uint64_t)h->desired->epoch,
                                      .version = version,
                                      .issued = loop_wall(h->control->loop) / 1000,
                                      .lease = h->desired->lease };
        struct wire_draft *draft;
        enum err e = wire_draft_new(&header, &draft);

        if (e != ERR_OK)
                return e;
        if ((e = draft_fill(draft, ch->kind == WIRE_GATEWAY ? &h->desired->gateways : &h->desired->agents)) !=
                    ERR_OK ||
            (e = draft_fill(draft, &n->own)) != ERR_OK) {
                wire_draft_free(draft);
                return e;
        }
        return wire_draft_finish(&draft, s->document_seed, out);
}

static void gone_say(struct channel *ch, const char *reason)
{
        const struct wire_message m = { .type = WIRE_GONE, .gone = { .reason = str_of(reason) } };

        log_info("node_sent_away", LOG_C("node", ch->id), LOG_C("reason", reason));
        channel_say(ch, &m);
}

static bool is_told(const struct hub *h, const struct channel *ch, const struct wire_document *d)
{
        return ch->document && wire_document_header(ch->document)->epoch == (uint64_t)h->desired->epoch &&
               memcmp(wire_document_items_hash(ch->document), wire_document_items_hash(d), WIRE_HASH_BYTES) ==
                       0;
}

/* The same items under another number. Takes `d`; NULL: no memory. */
static struct wire_document *renumber(struct hub *h, struct wire_document *d, uint64_t version)
{
        struct wire_header header = *wire_document_header(d);
        struct wire_document *out = NULL;

        header.version = version;
        if (wire_document_reissue(d, &header, h->control->secrets.document_seed, &out) != ERR_OK)
                out = NULL;
        wire_document_put(d);
        return out;
}

/* Takes `d`, which is numbered by the reading alone. */
static void document_set(struct hub *h, struct channel *ch, struct number *r, struct wire_document *d)
{
        const struct wire_have *have = wire_control_end_have(ch->end);
        bool is_of_epoch = have->is_any && have->epoch == (uint64_t)h->desired->epoch;
        uint64_t version = numbers_next(r, is_of_epoch ? have : NULL, (uint64_t)h->desired->seq,
                                        wire_document_items_hash(d));

        if (version != wire_document_header(d)->version && !(d = renumber(h, d, version)))
                return;
        r->version = version;
        memcpy(r->items, wire_document_items_hash(d), WIRE_HASH_BYTES);
        channel_set(ch, d);
        wire_document_put(d);
        if (lead_row(h->control->lead))
                hub_note(h); /* others show what it should have */
}

/* One channel's document by the present reading. */
static void channel_refresh(struct hub *h, struct channel *ch)
{
        const struct desired_node *n = desired_find(h->desired, ch->node);
        struct number *r = numbers_find(&h->numbers, ch->node);
        struct wire_document *d;
        enum err e;

        if (!n || !ch->is_confirmed)
                return; /* it joined, or came, after this reading: the next one has it */
        if (n->state != STORE_NODE_ACTIVE) {
                gone_say(ch, n->state == STORE_NODE_REMOVED    ? "removed"
                             : n->state == STORE_NODE_DISABLED ? "disabled"
                                                               : "waiting for approval");
                return;
        }
        if (!r)
                return;
        e = document_make(h, ch, n, (uint64_t)h->desired->seq, &d);
        if (e != ERR_OK)
                log_error("document_not_made", LOG_C("node", ch->id), LOG_E(e));
        else if (is_told(h, ch, d))
                wire_document_put(d);
        else
                document_set(h, ch, r, d);
}

void hub_documents_refresh(struct hub *h, uint64_t number, bool only_new)
{
        if (!h->desired)
                return;
        list_for_each_safe(node, &h->channels) {
                struct channel *ch = CONTAINER_OF(node, struct channel, node_in_hub);
                bool is_new = !ch->is_confirmed && ch->arrived < number;

                ch->is_confirmed |= is_new;
                if (is_new || !only_new)
                        channel_refresh(h, ch);
        }
}

void hub_documents_reissue(struct hub *h)
{
        list_for_each(node, &h->channels) {
                struct channel *ch = CONTAINER_OF(node, struct channel, node_in_hub);
                struct wire_document *d;

                if (!ch->document)
                        continue;
                struct wire_header header = *wire_document_header(ch->document);
                header.issued = loop_wall(h->control->loop) / 1000;
                header.lease = h->desired ? h->desired->lease : header.lease;
                if (wire_document_reissue(ch->document, &header, h->control->secrets.document_seed, &d) !=
                    ERR_OK)
                        continue;
                channel_set(ch, d);
                wire_document_put(d);
        }
}
