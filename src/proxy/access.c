#include "proxy/access.h"

#include "crypto/sha256.h"

bool ip_list_has(const struct ip_list *list, struct ip ip)
{
        for (size_t i = 0; i < list->count; i++)
                if (ip_prefix_contains(&list->prefixes[i], ip))
                        return true;
        return false;
}

static struct str bearer(struct str value)
{
        struct str scheme = STR("Bearer ");

        if (value.len <= scheme.len || !str_eq_nocase(str_sub(value, 0, scheme.len), scheme))
                return STR_NULL;
        return str_trim(str_from(value, scheme.len));
}

struct str access_presented(const struct http_head *h, bool *is_malformed)
{
        const struct http_field *authorization = http_find(h, HTTP_FIELD_AUTHORIZATION);
        const struct http_field *api_key = http_find(h, HTTP_FIELD_X_API_KEY);
        struct str one = authorization ? bearer(authorization->value) : STR_NULL;
        struct str other = api_key ? api_key->value : STR_NULL;

        *is_malformed = (authorization && http_find_next(h, authorization)) ||
                        (api_key && http_find_next(h, api_key)) ||
                        (one.len && other.len && !str_eq_consttime(one, other));
        return one.len ? one : other;
}

const struct token *token_find(const struct token_set *set, struct str text)
{
        uint8_t hash[TOKEN_HASH_BYTES];
        struct str key = { (const char *)hash, sizeof(hash) };

        if (text.len == 0 || text.len > TOKEN_TEXT_MAX)
                return NULL;
        crypto_sha256(text, hash);
        const struct token *t = map_find(&set->by_hash, key);
        /* The map compared the hash of the text, of which a guesser cannot steer a prefix towards ours. */
        return t && str_eq_consttime(key, (struct str){ (const char *)t->sha256, sizeof(t->sha256) }) ? t
                                                                                                      : NULL;
}

bool token_may_use_model(const struct token *t, struct str model)
{
        if (!t || t->models_count == 0)
                return true;
        for (size_t i = 0; i < t->models_count; i++)
                if (str_match(t->models[i], model))
                        return true;
        return false;
}
