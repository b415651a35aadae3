#include "control/offers.h"
#include "control/routes_priv.h"

static const struct str states[] = { STR_INIT("waiting"), STR_INIT("published"), STR_INIT("refused") };

static enum err agent_add(struct api_call *c, struct store_txn *t, const struct store_node *agent,
                          struct api_pager *pager)
{
        struct offer *offers;
        size_t count;
        enum err e = offers_look(t, agent, &c->work, &offers, &count);

        for (size_t i = 0; e == ERR_OK && i < count; i++) {
                const struct offer *f = &offers[i];
                const struct object_offer o = { .agent = agent->name,
                                                .source = f->is_models ? STR("models") : STR("container"),
                                                .state = states[f->state],
                                                .reason = str_of(f->why),
                                                .name = f->name,
                                                .service = id_text_or_none(c, ID_SERVICE, f->service),
                                                .url = f->url,
                                                .hosts = f->hosts,
                                                .path = f->path,
                                                .access = f->access,
                                                .models = f->models };

                api_page_add(pager, &object_offer_schema, &o);
        }
        return e;
}

/* All of them on one page: there are as many as agents say, a few each. */
API_RUN(offers_list)
{
        struct store_page page = { .org = identity_permit_org(permit) };
        struct store_node *rows;
        struct api_pager pager;
        enum err e;

        api_page_begin(&pager, c);
        do {
                if ((e = store_node_list_of(t, STORE_AGENT, &page, &c->work, &rows)) != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count && e == ERR_OK; i++) {
                        page.after = rows[i].id;
                        if (rows[i].state == STORE_NODE_ACTIVE)
                                e = agent_add(c, t, &rows[i], &pager);
                }
        } while (e == ERR_OK && page.has_more);
        return e == ERR_OK ? api_page_end(&pager, NULL, 0) : e;
}
