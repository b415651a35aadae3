#include "control/routes_priv.h"
#include "control/shares.h"
#include "control/text.h"
#include "store/domains.h"

static void fill(struct api_call *c, const struct store_share *row, struct object_share *o)
{
        struct str url[] = { STR("https://"), row->host };

        *o = (struct object_share){ .id = id_text(c, ID_SHARE, row->id),
                                    .host = row->host,
                                    .url = row->url,
                                    .agent = id_text_or_none(c, ID_AGENT, row->node),
                                    .service = id_text_or_none(c, ID_SERVICE, row->service),
                                    .owner = row->owner,
                                    .public_url = arena_join(&c->work, url, 2),
                                    .created = row->created,
                                    .expires = row->expires,
                                    .last_seen = row->last_seen };
}

API_RUN(shares_list)
{
        struct store_page page;
        struct store_share *rows;
        struct api_pager pager;
        struct object_share o;
        enum err e = api_page(c, identity_permit_org(permit), &page);

        if (e != ERR_OK || (e = store_share_list(t, &page, &c->work, &rows)) != ERR_OK)
                return e;
        api_page_begin(&pager, c);
        for (size_t i = 0; i < page.count; i++) {
                fill(c, &rows[i], &o);
                api_page_add(&pager, &object_share_schema, &o);
        }
        return api_page_end(&pager, &page, page.count ? rows[page.count - 1].id : 0);
}

static enum err get(struct api_call *c, struct store_txn *t, const struct identity_permit *permit,
                    struct store_share *row)
{
        int64_t id;
        enum err e = api_param_id(c, 0, ID_SHARE, &id);

        if (e != ERR_OK)
                return e;
        e = store_share_get(t, identity_permit_org(permit), id, &c->work, row);
        return e == ERR_OK ? e : api_store_failed(c, e, "share");
}

API_RUN(share_get)
{
        struct store_share row;
        struct object_share o;
        enum err e = get(c, t, permit, &row);

        if (e != ERR_OK)
                return e;
        fill(c, &row, &o);
        return api_answer(c, &object_share_schema, &o, row.revision);
}

API_RUN(share_add)
{
        struct object_share o = { 0 };
        struct store_share row;
        struct store_node agent;
        struct store_change *change;
        const char *why;
        uint64_t given;
        enum err e = api_body(c, &o, &given);

        if (e != ERR_OK || (e = agent_find(c, t, identity_permit_org(permit), o.agent, &agent)) != ERR_OK)
                return e;
        struct share_request r = { &agent, o.url, o.host, identity_permit_actor(permit).name, false };
        change = change_begin(t, permit, "share.add");
        e = share_make(change, &r, &c->work, &row, &why);
        if (e == ERR_DENIED)
                return api_fail(c, 400, NULL, "%s", why);
        if (e != ERR_OK || (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "share");
        fill(c, &row, &o);
        return api_created(c, &object_share_schema, &o, row.revision, "shares", o.id);
}

/* "I am still here." */
API_RUN(share_touch)
{
        struct store_share row;
        enum err e = get(c, t, permit, &row);

        if (e != ERR_OK)
                return e;
        if ((e = store_share_seen(t, row.id, store_now(t))) != ERR_OK)
                return api_store_failed(c, e, "share");
        return api_nothing(c);
}

API_RUN(share_remove)
{
        struct store_share row;
        struct store_change *change;
        enum err e = get(c, t, permit, &row);

        if (e != ERR_OK)
                return e;
        change = change_begin(t, permit, "share.remove");
        if ((e = share_end(change, &row)) != ERR_OK || (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "share");
        return api_nothing(c);
}

/* ---- domains ---- */

static const struct str states[] = { STR_INIT("pending"), STR_INIT("verified"), STR_INIT("refused") };

static void domain_fill(struct api_call *c, const struct store_domain *row, struct object_domain *o)
{
        *o = (struct object_domain){ .id = id_text(c, ID_DOMAIN, row->id),
                                     .name = row->name,
                                     .state = states[row->state],
                                     .wildcard = row->is_wildcard,
                                     .created = row->created,
                                     .verified = row->verified };
}

API_RUN(domains_list)
{
        struct store_page page;
        struct store_domain *rows;
        struct api_pager pager;
        struct object_domain o;
        enum err e = api_page(c, identity_permit_org(permit), &page);

        if (e != ERR_OK || (e = store_domain_list(t, &page, &c->work, &rows)) != ERR_OK)
                return e;
        api_page_begin(&pager, c);
        for (size_t i = 0; i < page.count; i++) {
                domain_fill(c, &rows[i], &o);
                api_page_add(&pager, &object_domain_schema, &o);
        }
        return api_page_end(&pager, &page, page.count ? rows[page.count - 1].id : 0);
}

/* There is one organisation, and its operator's word is enough; a proof comes with the second. */
API_RUN(domain_add)
{
        struct object_domain o = { 0 };
        struct store_change *change;
        uint64_t given;
        enum err e = api_body(c, &o, &given);

        if (e != ERR_OK)
                return e;
        if (!text_is_host(o.name) || str_find_char(o.name, '*') != STR_NONE)
                return api_fail(c, 400, NULL, "\"name\" must be a name in lower case, such as example.com.");
        struct store_domain row = { .org = identity_permit_org(permit),
                                    .name = o.name,
                                    .state = STORE_DOMAIN_VERIFIED,
                                    .is_wildcard = o.wildcard,
                                    .settings = STR("{}"),
                                    .created = store_now(t),
                                    .verified = store_now(t) };
        change = change_begin(t, permit, "domain.add");
        if ((e = store_domain_add(change, &row)) != ERR_OK || (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "domain");
        domain_fill(c, &row, &o);
        return api_created(c, &object_domain_schema, &o, row.revision, "domains", o.id);
}

API_RUN(domain_remove)
{
        struct store_change *change;
        int64_t id, expected;
        enum err e = api_param_id(c, 0, ID_DOMAIN, &id);

        if (e != ERR_OK || (e = api_expected(c, &expected)) != ERR_OK)
                return e;
        change = change_begin(t, permit, "domain.remove");
        if ((e = store_domain_remove(change, identity_permit_org(permit), id, expected)) != ERR_OK ||
            (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "domain");
        return api_nothing(c);
}
