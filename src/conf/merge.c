#include "conf/loader_priv.h"

/*
 * What control published, below what the operator wrote: one more tree with upstreams, providers, routes, listeners, tokens, certificates
 * and links.
 * Maps are joined by key, lists one behind the other, and where both say something of the same name the operator is right
 * (of the same address to listen on: resolve_published_listens).
 * Of the second tree only these places are looked at.
 */

static const struct json_value *object_of(struct loader *l, const struct json_value *like,
                                          struct json_member *members, size_t count)
{
        struct json_value *v = ARENA_NEW(&l->scratch, struct json_value);

        if (!v)
                return NULL;
        *v = (struct json_value){ .type = JSON_OBJECT, .count = count, .members = members };
        if (like) {
                v->line = like->line;
                v->column = like->column;
        }
        return v;
}

/* Both maps; a name that stands in both is the first one's. Either may be NULL. */
static const struct json_value *maps_join(struct loader *l, const struct json_value *own,
                                          const struct json_value *other)
{
        size_t own_count = json_is(own, JSON_OBJECT) ? own->count : 0, count = own_count;
        struct json_member *members;

        if (!json_is(other, JSON_OBJECT) || (own && !json_is(own, JSON_OBJECT)))
                return own;
        if (!(members = ARENA_ARRAY(&l->scratch, struct json_member, own_count + other->count + 1)))
                return own;
        for (size_t i = 0; i < own_count; i++)
                members[i] = own->members[i];
        for (size_t i = 0; i < other->count; i++)
                if (!json_find(own, other->members[i].key))
                        members[count++] = other->members[i];
        return object_of(l, own, members, count);
}

static bool is_named(const struct json_value *list, struct str name)
{
        for (size_t i = 0; list && name.len && i < list->count; i++)
                if (str_eq(json_str(json_find(&list->items[i], STR("name"))), name))
                        return true;
        return false;
}

static const struct json_value *lists_join(struct loader *l, const struct json_value *own,
                                           const struct json_value *other)
{
        size_t own_count = json_is(own, JSON_ARRAY) ? own->count : 0, count = own_count;
        struct json_value *v = ARENA_NEW(&l->scratch, struct json_value), *items;

        if (!json_is(other, JSON_ARRAY) || (own && !json_is(own, JSON_ARRAY)) || !v)
                return own;
        if (!(items = ARENA_ARRAY(&l->scratch, struct json_value, own_count + other->count + 1)))
                return own;
        for (size_t i = 0; i < own_count; i++)
                items[i] = own->items[i];
        for (size_t i = 0; i < other->count; i++)
                if (!is_named(own, json_str(json_find(&other->items[i], STR("name")))))
                        items[count++] = other->items[i];
        *v = (struct json_value){ .type = JSON_ARRAY, .count = count, .items = items };
        if (own) {
                v->line = own->line;
                v->column = own->column;
        }
        return v;
}

/* `object` with one member more, or another value for one. */
static const struct json_value *with_member(struct loader *l, const struct json_value *object, struct str key,
                                            const struct json_value *value)
{
        size_t count = object ? object->count : 0;
        struct json_member *members = ARENA_ARRAY(&l->scratch, struct json_member, count + 1);
        size_t at = count;

        if (!value || !members)
                return object;
        for (size_t i = 0; i < count; i++) {
                members[i] = object->members[i];
                if (str_eq(members[i].key, key))
                        at = i;
        }
        if (at == count)
                members[count++] = (struct json_member){ .key = key };
        members[at].value = *value;
        return object_of(l, object, members, count);
}

static const struct json_value *gateway_join(struct loader *l, const struct json_value *own,
                                             const struct json_value *other)
{
        static const struct str lists[] = { STR_INIT("apiTokens"), STR_INIT("certificates"),
                                            STR_INIT("listen"), STR_INIT("passThrough") };

        if (!json_is(other, JSON_OBJECT) || (own && !json_is(own, JSON_OBJECT)))
                return own;
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                own = with_member(l, own, lists[i],
                                  lists_join(l, json_find(own, lists[i]), json_find(other, lists[i])));
        if (!json_find(own, STR("links")))
                own = with_member(l, own, STR("links"), json_find(other, STR("links")));
        return own;
}

/* Where an agent's own file names gateways or papers, it stands alone in these; what may be dialled is its word only. */
static const struct json_value *agent_join(struct loader *l, const struct json_value *own,
                                           const struct json_value *other)
{
        static const struct str papers[] = { STR_INIT("authority"), STR_INIT("cert"), STR_INIT("key") };

        if (!json_is(other, JSON_OBJECT) || (own && !json_is(own, JSON_OBJECT)))
                return own;
        if (!json_find(own, STR("authority"))) {
                for (size_t i = 0; i < ARRAY_SIZE(papers); i++)
                        own = with_member(l, own, papers[i], json_find(other, papers[i]));
                own = with_member(
                        l, own, STR("gateways"),
                        lists_join(l, json_find(own, STR("gateways")), json_find(other, STR("gateways"))));
        }
        return with_member(l, own, STR("services"),
                           maps_join(l, json_find(own, STR("services")), json_find(other, STR("services"))));
}

/* Its places mean nothing to the operator: what is said of it names no line. As deep as the reader let it be. */
static void places_forget(const struct json_value *v)
{
        struct json_value *own = (struct json_value *)(uintptr_t)v;

        own->line = own->column = DRAFT_LINE_PUBLISHED;
        for (size_t i = 0; v->type == JSON_ARRAY && i < v->count; i++)
                places_forget(&v->items[i]);
        for (size_t i = 0; v->type == JSON_OBJECT && i < v->count; i++) {
                struct json_member *member = (struct json_member *)(uintptr_t)&v->members[i];
                member->key_line = member->key_column = DRAFT_LINE_PUBLISHED;
                places_forget(&v->members[i].value);
        }
}

const struct json_value *loader_merge(struct loader *l, const struct json_value *own,
                                      const struct json_value *other)
{
        static const struct str routes = STR_INIT("routes"), upstreams = STR_INIT("upstreams"),
                                providers = STR_INIT("providers"), gateway = STR_INIT("gateway"),
                                agent = STR_INIT("agent");

        if (!json_is(own, JSON_OBJECT) || !json_is(other, JSON_OBJECT))
                return own;
        places_forget(other);
        own = with_member(l, own, routes, lists_join(l, json_find(own, routes), json_find(other, routes)));
        own = with_member(l, own, upstreams,
                          maps_join(l, json_find(own, upstreams), json_find(other, upstreams)));
        own = with_member(l, own, providers,
                          maps_join(l, json_find(own, providers), json_find(other, providers)));
        own = with_member(l, own, agent, agent_join(l, json_find(own, agent), json_find(other, agent)));
        return with_member(l, own, gateway,
                           gateway_join(l, json_find(own, gateway), json_find(other, gateway)));
}
