#include "io/nodename.h"

#include <string.h>

#include "io/stream.h"

static const struct {
        struct str word;
        enum node_kind kind;
} kinds[] = {
        { STR_INIT("gateway"), NODE_GATEWAY },
        { STR_INIT("agent"), NODE_AGENT },
        { STR_INIT("control"), NODE_CONTROL },
};

bool node_word_is_valid(struct str word)
{
        for (size_t i = 0; i < word.len; i++)
                if (!(word.ptr[i] >= 'a' && word.ptr[i] <= 'z') && !ascii_is_digit(word.ptr[i]) &&
                    word.ptr[i] != '-')
                        return false;
        return word.len > 0 && word.len <= NODE_ID_BYTES_MAX;
}

enum err node_name_parse(struct str uri, struct node_name *out)
{
        const struct str scheme = STR("sekisho://");
        struct str rest = str_from(uri, MIN(scheme.len, uri.len)), org, kind, id = STR_NULL;
        size_t i = 0;

        if (!str_has_prefix(uri, scheme) || !str_split(&rest, '/', &org) || !str_split(&rest, '/', &kind))
                return ERR_MALFORMED;
        while (i < ARRAY_SIZE(kinds) && !str_eq(kind, kinds[i].word))
                i++;
        if (i == ARRAY_SIZE(kinds) || !node_word_is_valid(org))
                return ERR_MALFORMED;
        id = rest;
        if (kinds[i].kind == NODE_CONTROL ? id.ptr != NULL : !node_word_is_valid(id))
                return ERR_MALFORMED;
        *out = (struct node_name){ .kind = kinds[i].kind,
                                   .org_len = (uint8_t)org.len,
                                   .id_len = (uint8_t)id.len };
        memcpy(out->org, org.ptr, org.len);
        if (id.len)
                memcpy(out->id, id.ptr, id.len);
        return ERR_OK;
}

enum err node_name_find(struct str names, struct node_name *out)
{
        const struct str kind = STR("URI:"), scheme = STR("URI:sekisho:");
        struct str rest = names, name, found = STR_NULL;

        while (str_split(&rest, ',', &name)) {
                if (!str_eq_nocase(str_sub(name, 0, scheme.len), scheme))
                        continue;
                if (found.ptr)
                        return ERR_MALFORMED;
                found = str_from(name, kind.len);
        }
        return found.ptr ? node_name_parse(found, out) : ERR_NOT_FOUND;
}

enum err node_name_own(const struct tls_context *c, struct node_name *out)
{
        struct tls_peer_identity own;
        enum err e = tls_context_identity(c, &own);

        if (e != ERR_OK)
                return e;
        e = node_name_find(buf_str(&own.names), out);
        tls_peer_identity_fini(&own);
        return e;
}
