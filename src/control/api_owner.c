#include <stdio.h>

#include "control/routes_priv.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "identity/owner.h"
#include "store/keys.h"

enum { PIN_BYTES = 16, NAME_BYTES = 32 };

/* ---- using a link ---- */

static enum err is_taken(struct store_txn *t, struct arena *a, struct str name, bool *out)
{
        struct store_page page = { .org = STORE_ORG_DEFAULT };
        struct store_key *rows;
        enum err e;

        *out = false;
        do {
                if ((e = store_key_list(t, &page, a, &rows)) != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        page.after = rows[i].id;
                        *out |= str_eq(rows[i].name, name);
                }
        } while (page.has_more && !*out);
        return ERR_OK;
}

/* "owner", and for those after the first "owner-2", … */
static enum err owner_name_choose(struct store_txn *t, struct arena *a, char out[NAME_BYTES])
{
        enum err e = ERR_OK;
        bool taken = true;

        snprintf(out, NAME_BYTES, "owner");
        for (unsigned n = 2; (e = is_taken(t, a, str_of(out), &taken)) == ERR_OK && taken; n++)
                snprintf(out, NAME_BYTES, "owner-%u", n);
        return e;
}

API_RUN(owner_claim)
{
        char key[IDENTITY_SECRET_SIZE], name[NAME_BYTES];
        struct object_owner o = { .name = STR("") };
        uint64_t given;
        enum err e = api_body(c, &o, &given);

        if (e != ERR_OK)
                return e;
        if (o.name.len == 0) {
                if ((e = owner_name_choose(t, &c->work, name)) != ERR_OK)
                        return e;
                o.name = str_of(name);
        }
        e = identity_owner_claim(t, o.token, o.name, c->source, &c->work, key);
        if (e == ERR_DENIED)
                return api_fail(
                        c, 401, NULL,
                        "This link is not good: it was used, it is older than a day, or there is a newer one. Another: sekisho "
                        "owner link; where nobody owns control yet, restart it.");
        if (e != ERR_OK)
                return api_store_failed(c, e, "key");
        o.key = str_of(key);
        e = api_answer(c, &object_owner_schema, &o, 0);
        crypto_wipe(key, sizeof(key));
        return e;
}

/* ---- making one ---- */

/* As control's first start prints it: what follows the # never leaves a browser but in the body of the one request. */
API_RUN(owner_link_make)
{
        uint8_t fingerprint[CERTS_FINGERPRINT_BYTES];
        char secret[IDENTITY_SECRET_SIZE], pin[CRYPTO_HEX_SIZE(PIN_BYTES)];
        struct object_owner_link o = { .expires = store_now(t) + IDENTITY_OWNER_LINK_MS };
        enum err e = identity_owner_link_more(t, permit, &c->work, secret);

        if (e != ERR_OK)
                return api_store_failed(c, e, "link");
        certs_authority_fingerprint(c->control->secrets.authority, fingerprint);
        crypto_hex_format((struct str){ (const char *)fingerprint, PIN_BYTES }, pin);
        o.link = arena_format(&c->work, "%s/setup#%s.%s", c->control->url, secret, pin);
        crypto_wipe(secret, sizeof(secret));
        return o.link.ptr ? api_answer(c, &object_owner_link_schema, &o, 0) : ERR_NO_MEMORY;
}
