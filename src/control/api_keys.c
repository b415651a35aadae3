#include "control/routes_priv.h"
#include "control/text.h"
#include "crypto/secret.h"
#include "identity/secret.h"
#include "store/keys.h"

static struct schema_texts scopes_of(struct arena *a, struct str text)
{
        struct schema_texts texts = { ARENA_ARRAY(a, struct str, 8), 0 };
        struct str rest = text, word;

        while (texts.items && text.len && texts.count < 8 && str_split(&rest, ',', &word))
                texts.items[texts.count++] = word;
        return texts;
}

static void fill(struct api_call *c, const struct store_key *row, unix_ms now, struct object_key *o)
{
        *o = (struct object_key){ .id = id_text(c, ID_KEY, row->id),
                                  .name = row->name,
                                  .hint = row->hint,
                                  .owner = row->owner,
                                  .state = row->is_revoked                       ? STR("revoked")
                                           : row->expires && row->expires <= now ? STR("expired")
                                                                                 : STR("good"),
                                  .scopes = scopes_of(&c->work, row->scopes),
                                  .created = row->created,
                                  .expires = row->expires,
                                  .last_used = row->last_used };
}

API_RUN(keys_list)
{
        struct store_page page;
        struct store_key *rows;
        struct api_pager pager;
        struct object_key o;
        enum err e = api_page(c, identity_permit_org(permit), &page);

        if (e != ERR_OK || (e = store_key_list(t, &page, &c->work, &rows)) != ERR_OK)
                return e;
        api_page_begin(&pager, c);
        for (size_t i = 0; i < page.count; i++) {
                fill(c, &rows[i], store_now(t), &o);
                api_page_add(&pager, &object_key_schema, &o);
        }
        return api_page_end(&pager, &page, page.count ? rows[page.count - 1].id : 0);
}

API_RUN(key_add)
{
        char secret[IDENTITY_SECRET_SIZE];
        uint8_t hash[IDENTITY_HASH_BYTES];
        struct object_key o = { 0 };
        struct store_change *change;
        unsigned scopes = 0;
        uint64_t given;
        enum err e = api_body(c, &o, &given);

        if (e != ERR_OK)
                return e;
        if (!text_is_name(o.name))
                return api_fail(c, 400, NULL,
                                "\"name\" must be 1 to 63 of a-z, 0-9 and -, and not begin or end with -.");
        for (size_t i = 0; i < o.scopes.count; i++) {
                struct str bad;
                unsigned one;

                if (identity_scopes_parse(o.scopes.items[i], &one, &bad) != ERR_OK)
                        return api_fail(c, 400, NULL, "There is no scope \"%.*s\".", STR_FMT(bad));
                scopes |= one;
        }
        if (scopes == 0)
                return api_fail(c, 400, NULL, "\"scopes\" is empty: the key could do nothing.");
        if (scopes & IDENTITY_SCOPES_USE && scopes & IDENTITY_SCOPES_ALL)
                return api_fail(
                        c, 400, NULL,
                        "A key for published services is shown to gateways, so it cannot be one for control, too. Make two.");
        struct str text = identity_secret_make(
                scopes & IDENTITY_SCOPES_USE ? IDENTITY_USE_KEY : IDENTITY_API_KEY, secret);
        identity_secret_hash(text, hash);
        struct store_key row = { .org = identity_permit_org(permit),
                                 .name = o.name,
                                 .hash = { (const char *)hash, sizeof(hash) },
                                 .hint = identity_secret_hint(text),
                                 .scopes = identity_scopes_format(scopes, &c->work),
                                 .owner = identity_permit_actor(permit).name,
                                 .created = store_now(t),
                                 .expires = o.expires_in ? store_now(t) + o.expires_in * 1000 : 0 };

        change = change_begin(t, permit, "api-key.add");
        if ((e = store_key_add(change, &row)) == ERR_OK && (e = store_change_finish(change)) == ERR_OK) {
                fill(c, &row, store_now(t), &o);
                o.key = text;
                e = api_created(c, &object_key_schema, &o, row.revision, "api-keys", o.id);
        } else {
                e = api_store_failed(c, e, "API key");
        }
        crypto_wipe(secret, sizeof(secret));
        return e;
}

/* The last key that may do everything stays: nobody locks the organisation. */
static enum err others_find(struct store_txn *t, int64_t org, int64_t without, struct arena *a, bool *found)
{
        struct store_page page = { .org = org };
        struct store_key *rows;

        *found = false;
        do {
                enum err e = store_key_list(t, &page, a, &rows);

                if (e != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        struct str bad;
                        unsigned scopes;

                        page.after = rows[i].id;
                        if (rows[i].id != without && !rows[i].is_revoked && !rows[i].expires &&
                            identity_scopes_parse(rows[i].scopes, &scopes, &bad) == ERR_OK &&
                            scopes & IDENTITY_ADMIN)
                                *found = true;
                }
        } while (page.has_more);
        return ERR_OK;
}

API_RUN(key_revoke)
{
        int64_t org = identity_permit_org(permit), id;
        struct store_change *change;
        struct store_key row;
        bool found;
        enum err e = api_param_id(c, 0, ID_KEY, &id);

        if (e != ERR_OK)
                return e;
        if ((e = store_key_get(t, org, id, &c->work, &row)) != ERR_OK)
                return api_store_failed(c, e, "API key");
        if ((e = others_find(t, org, id, &c->work, &found)) != ERR_OK)
                return e;
        if (!found)
                return api_fail(
                        c, 409, NULL,
                        "This is the last key that may do everything. Make another before you revoke it.");
        row.is_revoked = true;
        change = change_begin(t, permit, "api-key.revoke");
        if ((e = store_key_update(change, &row)) != ERR_OK || (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "API key");
        return api_nothing(c);
}
