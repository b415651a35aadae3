#include "control/secrets.h"

#include <stdio.h>
#include <string.h>

#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "store/settings.h"

enum { ARENA_BYTES = 4 << 20 };

struct loading {
        struct secrets *s;
        struct store_txn *t;
        struct store_change *c; /* begun with the first thing that is made */
        struct arena *a;
};

static enum err setting_get(struct loading *l, const char *name, struct store_setting *out)
{
        return store_setting_by_name(l->t, STORE_ORG_DEFAULT, str_of(name), l->a, out);
}

static enum err setting_put(struct loading *l, const char *name, struct str value, struct str sealed)
{
        static const struct store_actor system = { STR_INIT("system"), STR_INIT("") };

        if (!l->c)
                l->c = store_change_begin(l->t, STORE_ORG_DEFAULT, &system, "control.start");
        return store_setting_put(l->c, STORE_ORG_DEFAULT, str_of(name), value, sealed);
}

/* A text setting: what is there, else `fresh`, which is kept. */
static enum err text_load(struct loading *l, const char *name, struct str fresh, struct str *out)
{
        struct store_setting row;
        enum err e = setting_get(l, name, &row);

        *out = e == ERR_OK ? row.value : fresh;
        return e == ERR_NOT_FOUND ? setting_put(l, name, fresh, STR("")) : e;
}

static enum err sealed_put(struct loading *l, const char *name, struct str value, struct str secret)
{
        struct buf box;
        enum err e;

        buf_init(&box, 1 << 16);
        if ((e = certs_seal_close(&l->s->seal, str_of(name), secret, &box)) == ERR_OK) {
                struct str kept =
                        arena_copy(l->a, buf_str(&box)); /* the change may keep it until it is finished */

                e = kept.ptr ? setting_put(l, name, value, kept) : ERR_NO_MEMORY;
        }
        buf_fini(&box);
        return e;
}

/* ---- the parts ---- */

static enum err authority_load(struct loading *l)
{
        struct store_setting row;
        struct buf pem, key;
        enum err e = setting_get(l, "authority", &row);

        buf_init(&pem, 1 << 16);
        buf_init_secret(&key, 1 << 16);
        if (e == ERR_OK) {
                buf_add(&pem, row.value);
                e = certs_unseal(&l->s->seal, STR("authority"), row.sealed, &key);
        } else if (e == ERR_NOT_FOUND) {
                e = certs_authority_make(str_of(l->s->org), store_now(l->t), &pem, &key);
                if (e == ERR_OK) {
                        struct str kept = arena_copy(l->a, buf_str(&pem));
                        e = sealed_put(l, "authority", kept, buf_str(&key));
                }
        }
        if (e == ERR_OK) {
                certs_authority_free(l->s->authority);
                l->s->authority = NULL;
                e = certs_authority_open(buf_str(&pem), buf_str(&key), &l->s->authority);
        }
        buf_fini(&pem);
        buf_wipe(&key);
        return e;
}

static enum err document_key_load(struct loading *l)
{
        char text[CRYPTO_BASE64_SIZE(CRYPTO_ED25519_PUBLIC_BYTES)];
        struct secrets *s = l->s;
        struct store_setting row;
        struct buf seed;
        enum err e = setting_get(l, "document-key", &row);

        buf_init_secret(&seed, 1 << 10);
        if (e == ERR_OK) {
                e = certs_unseal(&s->seal, STR("document-key"), row.sealed, &seed);
                if (e == ERR_OK && seed.len != sizeof(s->document_seed))
                        e = ERR_MALFORMED;
                if (e == ERR_OK)
                        memcpy(s->document_seed, seed.ptr, sizeof(s->document_seed));
                crypto_ed25519_public(s->document_seed, s->document_public);
        } else if (e == ERR_NOT_FOUND) {
                crypto_random(s->document_seed, sizeof(s->document_seed));
                crypto_ed25519_public(s->document_seed, s->document_public);
                struct str public = crypto_base64_format(
                        (struct str){ (const char *)s->document_public, sizeof(s->document_public) }, text);
                e = sealed_put(l, "document-key", arena_copy(l->a, public),
                               (struct str){ (const char *)s->document_seed, sizeof(s->document_seed) });
        }
        buf_wipe(&seed);
        return e;
}

static enum err id_key_load(struct loading *l)
{
        char fresh[CRYPTO_HEX_SIZE(sizeof(struct hash_key))];
        struct hash_key random;
        struct str text;
        enum err e;

        crypto_random(&random, sizeof(random));
        crypto_hex_format((struct str){ (const char *)&random, sizeof(random) }, fresh);
        if ((e = text_load(l, "id-key", str_of(fresh), &text)) != ERR_OK)
                return e;
        return crypto_hex_parse(text, (uint8_t *)&l->s->id_key, sizeof(l->s->id_key));
}

/* RFC 4193 3.2: a random global id makes the /48 ours alone. */
static struct ip_prefix ula_make(void)
{
        struct ip_prefix p = { .ip = { .family = 6 }, .bits = 48 };

        p.ip.bytes[0] = 0xfd;
        crypto_random(p.ip.bytes + 1, 5);
        return p;
}

static enum err pools_load(struct loading *l, const struct conf_control *conf)
{
        struct ip_prefix fresh = ula_make();
        char text[IP_PREFIX_TEXT_MAX];
        struct str kept;
        enum err e;

        l->s->pool4 = conf->pool4;
        l->s->pool6 = conf->pool6;
        if (conf->pool6.ip.family)
                return ERR_OK;
        if ((e = text_load(l, "pool6", arena_copy(l->a, ip_prefix_format(&fresh, text)), &kept)) != ERR_OK)
                return e;
        return ip_prefix_parse(kept, &l->s->pool6);
}

static enum err org_load(struct loading *l, const struct conf_control *conf)
{
        struct str name;
        enum err e = text_load(l, "organisation", conf->organisation, &name);

        if (e != ERR_OK)
                return e;
        if (name.len >= sizeof(l->s->org))
                return ERR_TOO_LARGE;
        snprintf(l->s->org, sizeof(l->s->org), "%.*s", STR_FMT(name));
        return ERR_OK;
}

enum err secrets_load(struct secrets *s, struct store_txn *t, const struct conf_control *conf,
                      const char *key_path)
{
        struct arena arena;
        struct loading l = { s, t, NULL, &arena };
        struct store_setting row;
        enum err e;

        arena_init(&arena, NULL, 0, ARENA_BYTES);
        e = setting_get(&l, "authority", &row);
        if (e == ERR_OK || e == ERR_NOT_FOUND)
                e = certs_seal_open(&s->seal, key_path, e == ERR_NOT_FOUND);
        if (e == ERR_OK && (e = org_load(&l, conf)) == ERR_OK && (e = authority_load(&l)) == ERR_OK &&
            (e = document_key_load(&l)) == ERR_OK && (e = id_key_load(&l)) == ERR_OK &&
            (e = pools_load(&l, conf)) == ERR_OK && l.c)
                e = store_change_finish(l.c);
        if (e == ERR_OK && arena.full)
                e = ERR_NO_MEMORY;
        arena_fini(&arena);
        return e;
}

void secrets_fini(struct secrets *s)
{
        certs_authority_free(s->authority);
        crypto_wipe(s, sizeof(*s));
}
