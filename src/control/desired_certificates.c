/* Certificates that each gateway is told of: those whose key is sealed for it. */
#include "control/desired_priv.h"
#include "store/certificates.h"

/* One that the gateway has the key of. */
struct presented {
        struct store_certificate c;
        struct str key; /* sealed */
        struct presented *next;
};

static enum err certificate_item(struct reading *r, struct desired_node *n, const struct presented *p)
{
        struct json_writer w;
        struct buf json;

        desired_moment_note(r, p->c.not_after);
        desired_item_begin(&w, &json);
        desired_member_raw(&w, "hosts", p->c.hosts, "[]");
        json_write_member_str(&w, STR("chain"), p->c.chain);
        json_write_member_str(&w, STR("key"), text_base64(r->a, p->key));
        return desired_item_end(&w, &json, &n->own, "certificates", desired_id(r, ID_CERTIFICATE, p->c.id));
}

/* Uploaded after it for just the same names: the renewed one, beside which this one is not presented by chance. */
static bool is_renewed(const struct presented *all, const struct presented *p)
{
        for (const struct presented *q = all; q; q = q->next)
                if (q->c.id > p->c.id && q->c.source == p->c.source && str_eq(q->c.hosts, p->c.hosts))
                        return true;
        return false;
}

static enum err node_certificates(struct reading *r, struct desired_node *n)
{
        struct store_page page = { .limit = STORE_PAGE_MAX };
        struct presented *all = NULL;
        struct store_certificate_key *keys;
        enum err e;

        arena_reset(r->rows);
        do {
                e = store_certificate_key_of_node(r->t, n->row, &page, r->rows, &keys);
                for (size_t i = 0; e == ERR_OK && i < page.count; i++) {
                        struct presented *p = ARENA_NEW(r->rows, struct presented);

                        page.after = keys[i].id;
                        if (!p)
                                return ERR_NO_MEMORY;
                        e = store_certificate_get(r->t, r->org, keys[i].certificate, r->rows, &p->c);
                        if (e != ERR_OK || p->c.not_after <= r->now)
                                continue;
                        p->key = keys[i].sealed;
                        p->next = all;
                        all = p;
                }
        } while (e == ERR_OK && page.has_more);
        for (const struct presented *p = all; p && e == ERR_OK; p = p->next) {
                arena_reset(r->a);
                if (p->c.source != STORE_CERTIFICATE_UPLOADED || !is_renewed(all, p))
                        e = certificate_item(r, n, p);
        }
        return e;
}

enum err desired_certificates_read(struct reading *r)
{
        enum err e = ERR_OK;

        for (size_t i = 0; i < r->d->nodes_count && e == ERR_OK; i++)
                if (r->d->nodes[i].kind == WIRE_GATEWAY && r->d->nodes[i].state == STORE_NODE_ACTIVE)
                        e = node_certificates(r, &r->d->nodes[i]);
        return e;
}
