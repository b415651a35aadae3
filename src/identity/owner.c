#include "identity/owner.h"

#include <stdlib.h>

#include "store/keys.h"
#include "store/tokens.h"

static struct str bytes_of(const uint8_t *hash)
{
        return (struct str){ (const char *)hash, IDENTITY_HASH_BYTES };
}

/* Links that were printed and never used: the newest alone is good. */
static enum err links_revoke(struct store_txn *t, struct store_change *c, struct arena *a)
{
        struct store_page page = { .org = STORE_ORG_DEFAULT };
        struct store_token *rows;
        enum err e;

        do {
                if ((e = store_token_list(t, &page, a, &rows)) != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        page.after = rows[i].id;
                        if (rows[i].kind != STORE_TOKEN_OWNER || rows[i].is_revoked)
                                continue;
                        rows[i].is_revoked = true;
                        if ((e = store_token_update(c, &rows[i])) != ERR_OK)
                                return e;
                }
        } while (page.has_more);
        return ERR_OK;
}

static enum err link_add(struct store_txn *t, int64_t org, const struct store_actor *actor, struct arena *a,
                         char out[IDENTITY_SECRET_SIZE])
{
        struct store_change *c = store_change_begin(t, org, actor, "owner.link");
        uint8_t hash[IDENTITY_HASH_BYTES];
        enum err e = links_revoke(t, c, a);

        if (e != ERR_OK)
                return e;
        identity_secret_hash(identity_secret_make(IDENTITY_OWNER_LINK, out), hash);
        struct store_token row = { .org = org,
                                   .kind = STORE_TOKEN_OWNER,
                                   .label = STR("the owner's link"),
                                   .hash = bytes_of(hash),
                                   .uses_max = 1,
                                   .expires = store_now(t) + IDENTITY_OWNER_LINK_MS,
                                   .created = store_now(t),
                                   .created_by = actor->name };
        if ((e = store_token_add(c, &row)) != ERR_OK)
                return e;
        return store_change_finish(c);
}

enum err identity_owner_link(struct store_txn *t, struct arena *a, char out[IDENTITY_SECRET_SIZE], bool *made)
{
        const struct identity_caller system = identity_system();
        const struct store_actor actor = identity_actor(&system);
        struct store_page page = { .org = STORE_ORG_DEFAULT, .limit = 1 };
        struct store_key *keys;
        enum err e;

        *made = false;
        if ((e = store_key_list(t, &page, a, &keys)) != ERR_OK || page.count)
                return e;
        e = link_add(t, STORE_ORG_DEFAULT, &actor, a, out);
        *made = e == ERR_OK;
        return e;
}

enum err identity_owner_link_more(struct store_txn *t, const struct identity_permit *permit, struct arena *a,
                                  char out[IDENTITY_SECRET_SIZE])
{
        const struct store_actor actor = identity_permit_actor(permit);

        return link_add(t, identity_permit_org(permit), &actor, a, out);
}

enum err identity_owner_claim(struct store_txn *t, struct str presented, struct str name, struct str source,
                              struct arena *a, char key[IDENTITY_SECRET_SIZE])
{
        const struct store_actor actor = { STR("owner"), source };
        uint8_t hash[IDENTITY_HASH_BYTES];
        struct store_change *c;
        struct store_token token;
        enum err e;

        if (!identity_secret_is(IDENTITY_OWNER_LINK, presented))
                return ERR_DENIED;
        identity_secret_hash(presented, hash);
        c = store_change_begin(t, STORE_ORG_DEFAULT, &actor, "owner.claim");
        if ((e = store_token_take(c, STORE_TOKEN_OWNER, bytes_of(hash), a, &token)) != ERR_OK)
                return e;
        struct str text = identity_secret_make(IDENTITY_API_KEY, key);

        identity_secret_hash(text, hash);
        struct store_key row = { .org = token.org,
                                 .name = name,
                                 .hash = bytes_of(hash),
                                 .hint = identity_secret_hint(text),
                                 .scopes = identity_scopes_format(IDENTITY_SCOPES_ALL, a),
                                 .owner = STR("owner"),
                                 .created = store_now(t) };
        if ((e = store_key_add(c, &row)) != ERR_OK)
                return e;
        return store_change_finish(c);
}
