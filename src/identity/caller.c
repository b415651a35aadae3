#include "identity/caller.h"

#include <inttypes.h>

#include "identity/secret.h"
#include "store/keys.h"

static const struct {
        unsigned bit;
        struct str word;
} scopes_known[] = {
#define X(name, bit, word, doc) { bit, STR_INIT(word) },
        IDENTITY_SCOPE_LIST(X)
#undef X
};

enum err identity_scopes_parse(struct str text, unsigned *out, struct str *bad)
{
        struct str rest = text, word;
        unsigned found = 0;

        while (text.len && str_split(&rest, ',', &word)) {
                size_t i = 0;

                while (i < ARRAY_SIZE(scopes_known) && !str_eq(scopes_known[i].word, word))
                        i++;
                if (i == ARRAY_SIZE(scopes_known)) {
                        *bad = word;
                        return ERR_MALFORMED;
                }
                found |= scopes_known[i].bit;
        }
        *out = found;
        return ERR_OK;
}

struct str identity_scopes_format(unsigned scopes, struct arena *a)
{
        struct str text = STR("");

        for (size_t i = 0; i < ARRAY_SIZE(scopes_known); i++)
                if (scopes & scopes_known[i].bit) {
                        struct str parts[3] = { text, text.len ? STR(",") : STR(""), scopes_known[i].word };
                        text = arena_join(a, parts, 3);
                }
        return text;
}

enum err identity_caller_of_key(struct store_txn *t, struct str presented, struct arena *a,
                                struct identity_caller *out)
{
        uint8_t hash[IDENTITY_HASH_BYTES];
        struct store_key key;
        struct str bad;
        unsigned scopes;
        enum err e;

        if (!identity_secret_is(IDENTITY_API_KEY, presented))
                return ERR_DENIED;
        identity_secret_hash(presented, hash);
        e = store_key_by_hash(t, (struct str){ (const char *)hash, sizeof(hash) }, a, &key);
        if (e == ERR_NOT_FOUND)
                return ERR_DENIED;
        if (e != ERR_OK)
                return e;
        if (key.is_revoked || (key.expires && key.expires <= store_now(t)) ||
            identity_scopes_parse(key.scopes, &scopes, &bad) != ERR_OK)
                return ERR_DENIED;
        *out = (struct identity_caller){ .kind = IDENTITY_KEY,
                                         .id = key.id,
                                         .org = key.org,
                                         .scopes = scopes,
                                         .actor = arena_format(a, "key/%" PRId64, key.id),
                                         .name = key.name };
        return a->full ? ERR_NO_MEMORY : ERR_OK;
}

struct identity_caller identity_system(void)
{
        return (struct identity_caller){ .kind = IDENTITY_SYSTEM,
                                         .org = STORE_ORG_DEFAULT,
                                         .scopes = IDENTITY_SCOPES_ALL,
                                         .actor = STR("system"),
                                         .name = STR("system") };
}

struct store_actor identity_actor(const struct identity_caller *c)
{
        return (struct store_actor){ c->actor, c->source };
}
