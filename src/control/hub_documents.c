/* Each connected node's document, made from the present reading. */
#include <stdlib.h>
#include <string.h>

#include "control/hub_priv.h"
#include "control/lead.h"

struct items {
        struct wire_item **list;
        size_t count;
};

static void items_fini(struct items *s)
{
        for (size_t i = 0; i < s->count; i++)
                wire_item_put(s->list[i]);
        free(s->list);
        *s = (struct items){ 0 };
}

static enum err items_make(const struct desired_items *from, struct items *out)
{
        *out = (struct items){ calloc(from->count + 1, sizeof(struct wire_item *)), 0 };
        if (!out->list)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < from->count; i++) {
                enum err e = wire_item_new(str_of(from->items[i].section), from->items[i].id,
                                           from->items[i].json, &out->list[out->count]);

                if (e == ERR_OK) {
                        out->count++;
                } else if (e == ERR_NO_MEMORY) {
                        return e;
                } else {
                        log_error("item_left_out", LOG_C("section", from->items[i].section),
                                  LOG_S("id", from->items[i].id), LOG_E(e));
                }
        }
        return ERR_OK;
}

static enum err draft_fill(struct wire_draft *d, const struct items *common, const struct desired_items *own)
{
        enum err e = ERR_OK;

        for (size_t i = 0; i < common->count && e == ERR_OK; i++)
                e = wire_draft_add(d, common->list[i]);
        for (size_t i = 0; i < own->count && e == ERR_OK; i++)
                e = wire_draft_add_json(d, str_of(own->items[i].section), own->items[i].id,
                                        own->items[i].json);
        return e;
}

static enum err document_make(struct hub *h, const struct channel *ch, const struct desired_node *n,
                              const struct items *common, uint64_t version, struct wire_document **out)
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
        if ((e = draft_fill(draft, common, &n->own)) != ERR_OK) {
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
static void channel_refresh(struct hub *h, struct channel *ch, const struct items *gateways,
                            const struct items *agents)
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
        e = document_make(h, ch, n, ch->kind == WIRE_GATEWAY ? gateways : agents, (uint64_t)h->desired->seq,
                          &d);
        if (e != ERR_OK)
                log_error("document_not_made", LOG_C("node", ch->id), LOG_E(e));
        else if (is_told(h, ch, d))
                wire_document_put(d);
        else
                document_set(h, ch, r, d);
}

void hub_documents_refresh(struct hub *h, uint64_t number, bool only_new)
{
        struct items gateways = { 0 }, agents = { 0 };

        if (!h->desired)
                return;
        if (items_make(&h->desired->gateways, &gateways) == ERR_OK &&
            items_make(&h->desired->agents, &agents) == ERR_OK)
                list_for_each_safe(node, &h->channels) {
                        struct channel *ch = CONTAINER_OF(node, struct channel, node_in_hub);
                        bool is_new = !ch->is_confirmed && ch->arrived < number;

                        ch->is_confirmed |= is_new;
                        if (is_new || !only_new)
                                channel_refresh(h, ch, &gateways, &agents);
                }
        items_fini(&gateways);
        items_fini(&agents);
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
