#include "control/routes_priv.h"
#include "control/text.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "store/tokens.h"
#include "wire/join.h"

enum { LIFE_DEFAULT_S = 3600 };

static const struct str kinds[] = { STR_INIT("gateway"), STR_INIT("agent"), STR_INIT("client"),
                                    STR_INIT("owner") };

static struct str state_of(const struct store_token *row, unix_ms now)
{
        if (row->is_revoked)
                return STR("revoked");
        if (row->uses_left == 0)
                return STR("used");
        return row->expires <= now ? STR("expired") : STR("good");
}

static void fill(struct api_call *c, const struct store_token *row, unix_ms now, struct object_token *o)
{
        *o = (struct object_token){ .id = id_text(c, ID_TOKEN, row->id),
                                    .kind = kinds[row->kind],
                                    .label = row->label,
                                    .state = state_of(row, now),
                                    .node_name = row->node_name,
                                    .created_by = row->created_by,
                                    .uses = row->uses_max,
                                    .uses_left = row->uses_left,
                                    .node_lifetime = row->node_lifetime / 1000,
                                    .approval = row->needs_approval,
                                    .created = row->created,
                                    .expires = row->expires,
                                    .last_used = row->last_used };
}

API_RUN(tokens_list)
{
        struct store_page page;
        struct store_token *rows;
        struct api_pager pager;
        struct object_token o;
        enum err e = api_page(c, identity_permit_org(permit), &page);

        if (e != ERR_OK || (e = store_token_list(t, &page, &c->work, &rows)) != ERR_OK)
                return e;
        api_page_begin(&pager, c);
        for (size_t i = 0; i < page.count; i++)
                if (rows[i].kind != STORE_TOKEN_OWNER) {
                        fill(c, &rows[i], store_now(t), &o);
                        api_page_add(&pager, &object_token_schema, &o);
                }
        return api_page_end(&pager, &page, page.count ? rows[page.count - 1].id : 0);
}

static enum err get(struct api_call *c, struct store_txn *t, const struct identity_permit *permit,
                    struct store_token *row)
{
        int64_t id;
        enum err e = api_param_id(c, 0, ID_TOKEN, &id);

        if (e != ERR_OK)
                return e;
        e = store_token_get(t, identity_permit_org(permit), id, &c->work, row);
        if (e == ERR_OK && row->kind == STORE_TOKEN_OWNER)
                e = ERR_NOT_FOUND;
        return e == ERR_OK ? ERR_OK : api_store_failed(c, e, "join token");
}

API_RUN(token_get)
{
        struct store_token row;
        struct object_token o;
        enum err e = get(c, t, permit, &row);

        if (e != ERR_OK)
                return e;
        fill(c, &row, store_now(t), &o);
        return api_answer(c, &object_token_schema, &o, row.revision);
}

/* "skauth-….fingerprint@https://…", and what is kept of it. */
static struct str token_make(struct api_call *c, uint8_t hash[32])
{
        uint8_t random[WIRE_TOKEN_RANDOM_BYTES], fingerprint[CERTS_FINGERPRINT_BYTES];
        char text[WIRE_TOKEN_SIZE];
        struct wire_token parts;

        crypto_random(random, sizeof(random));
        certs_authority_fingerprint(c->control->secrets.authority, fingerprint);
        struct str token = wire_token_format(random, fingerprint, text);
        struct str whole[] = { token, STR("@"), str_of(c->control->url) };
        struct str joined = arena_join(&c->work, whole, ARRAY_SIZE(whole));

        if (wire_token_parse(token, &parts) != ERR_OK)
                joined = STR_NULL;
        else
                wire_token_hash(parts.secret, hash);
        crypto_wipe(random, sizeof(random));
        crypto_wipe(text, sizeof(text));
        return joined;
}

API_RUN(token_add)
{
        struct object_token o = { .uses = 1, .expires_in = LIFE_DEFAULT_S };
        struct object_settings settings;
        struct store_change *change;
        uint8_t hash[32];
        uint64_t given;
        enum err e = api_body(c, &o, &given);

        if (e != ERR_OK || (e = settings_read(t, identity_permit_org(permit), &c->work, &settings)) != ERR_OK)
                return e;
        if (o.node_name.len && !text_is_name(o.node_name))
                return api_fail(
                        c, 400, NULL,
                        "\"node_name\" must be 1 to 63 of a-z, 0-9 and -, and not begin or end with -.");
        if (o.node_name.len && o.uses > 1)
                return api_fail(c, 400, NULL, "A token that names its node can be used once only.");
        struct str text = token_make(c, hash);
        if (!text.ptr)
                return ERR_NO_MEMORY;
        struct store_token row = { .org = identity_permit_org(permit),
                                   .kind = str_eq(o.kind, kinds[0]) ? STORE_TOKEN_GATEWAY : STORE_TOKEN_AGENT,
                                   .label = o.label,
                                   .hash = { (const char *)hash, sizeof(hash) },
                                   .uses_max = o.uses,
                                   .expires = store_now(t) + o.expires_in * 1000,
                                   .needs_approval = o.approval || settings.approval,
                                   .node_name = o.node_name,
                                   .node_lifetime = o.node_lifetime * 1000,
                                   .created = store_now(t),
                                   .created_by = identity_permit_actor(permit).name };

        change = change_begin(t, permit, "join-token.add");
        if ((e = store_token_add(change, &row)) != ERR_OK || (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "join token");
        row.uses_left = row.uses_max;
        fill(c, &row, store_now(t), &o);
        o.token = text;
        return api_created(c, &object_token_schema, &o, row.revision, "join-tokens", o.id);
}

API_RUN(token_revoke)
{
        struct store_token row;
        struct store_change *change;
        enum err e = get(c, t, permit, &row);

        if (e != ERR_OK)
                return e;
        row.is_revoked = true;
        change = change_begin(t, permit, "join-token.revoke");
        if ((e = store_token_update(change, &row)) != ERR_OK || (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "join token");
        return api_nothing(c);
}
