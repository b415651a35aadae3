#include "mesh/tailnet.h"

#include "json/reader.h"

#define TAG STR("tag:")

static const struct json_options options = { .duplicates_allowed = true };

/* ---- texts ---- */

/* Goes into logs, header fields and comparisons: short, well-formed, without a control or a blank at an end. */
static bool is_word(struct str s)
{
        if (s.len == 0 || s.len > MESH_TAILNET_NAME_BYTES_MAX || !str_is_utf8(s))
                return false;
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
                        return false;
        return s.ptr[0] != ' ' && s.ptr[s.len - 1] != ' ';
}

static struct str word_of(const struct json_value *v, struct arena *a)
{
        struct str s = json_str(v);

        return is_word(s) ? arena_copy(a, s) : STR("");
}

static struct str name_of(const struct json_value *v, struct arena *a)
{
        struct str s = word_of(v, a);

        if (s.len && s.ptr[s.len - 1] == '.')
                s.len--;
        return s;
}

/* False: one of them is no tag, or there are more than anybody has. */
static bool tags_read(const struct json_value *list, struct arena *a, struct mesh_tailnet_tags *out)
{
        struct str *items;

        *out = (struct mesh_tailnet_tags){ 0 };
        if (!json_is(list, JSON_ARRAY) || list->count == 0)
                return !list || json_is(list, JSON_NULL) || json_is(list, JSON_ARRAY);
        if (list->count > MESH_TAILNET_TAGS_MAX || !(items = ARENA_ARRAY(a, struct str, list->count)))
                return false;
        for (size_t i = 0; i < list->count; i++) {
                items[i] = word_of(&list->items[i], a);
                if (!str_has_prefix(items[i], TAG) || items[i].len == TAG.len)
                        return false;
        }
        *out = (struct mesh_tailnet_tags){ items, list->count };
        return true;
}

/* ---- status ---- */

static void addresses_take(const struct json_value *list, struct mesh_tailnet_machine *m)
{
        struct ip ip;

        for (size_t i = 0; json_is(list, JSON_ARRAY) && i < list->count; i++) {
                if (ip_parse(json_str(&list->items[i]), &ip) != ERR_OK)
                        continue;
                if (ip.family == 4 && !m->v4.family)
                        m->v4 = ip;
                if (ip.family == 6 && !m->v6.family)
                        m->v6 = ip;
        }
}

static void machine_read(const struct json_value *v, struct arena *a, struct mesh_tailnet_machine *out)
{
        *out = (struct mesh_tailnet_machine){ .host = word_of(json_find(v, STR("HostName")), a),
                                              .name = name_of(json_find(v, STR("DNSName")), a),
                                              .is_online = json_bool(json_find(v, STR("Online")), false) };
        addresses_take(json_find(v, STR("TailscaleIPs")), out);
        if (!tags_read(json_find(v, STR("Tags")), a, &out->tags))
                out->tags = (struct mesh_tailnet_tags){ 0 };
}

static enum err certificates_read(const struct json_value *list, struct arena *a,
                                  struct mesh_tailnet_status *out)
{
        struct str *names;

        if (!json_is(list, JSON_ARRAY) || list->count == 0)
                return ERR_OK;
        if (!(names = ARENA_ARRAY(a, struct str, list->count)))
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < list->count; i++) {
                struct str name = name_of(&list->items[i], a);

                if (name.len)
                        names[out->certificates_count++] = name;
        }
        out->certificates = names;
        return ERR_OK;
}

static enum err peers_read(const struct json_value *map, struct arena *a, struct mesh_tailnet_status *out)
{
        size_t count = json_is(map, JSON_OBJECT) ? MIN(map->count, (size_t)MESH_TAILNET_PEERS_MAX) : 0;

        if (count == 0)
                return ERR_OK;
        if (!(out->peers = ARENA_ARRAY(a, struct mesh_tailnet_machine, count)))
                return ERR_NO_MEMORY;
        for (; out->peers_count < count; out->peers_count++)
                machine_read(&map->members[out->peers_count].value, a, &out->peers[out->peers_count]);
        return ERR_OK;
}

enum err mesh_tailnet_status_read(struct str body, struct arena *a, struct mesh_tailnet_status *out)
{
        struct json_options wide = options;
        const struct json_value *root;
        enum err e;

        wide.bytes_max = MESH_TAILNET_STATUS_BYTES_MAX;
        *out = (struct mesh_tailnet_status){ 0 };
        if ((e = json_read(a, body, &wide, NULL, &root)) != ERR_OK)
                return e == ERR_NO_MEMORY ? e : ERR_MALFORMED;
        out->state = word_of(json_find(root, STR("BackendState")), a);
        if (out->state.len == 0)
                return a->full ? ERR_NO_MEMORY : ERR_MALFORMED;
        out->is_running = str_eq(out->state, STR("Running"));
        machine_read(json_find(root, STR("Self")), a, &out->self);
        addresses_take(json_find(root, STR("TailscaleIPs")), &out->self);
        if ((e = certificates_read(json_find(root, STR("CertDomains")), a, out)) == ERR_OK)
                e = peers_read(json_find(root, STR("Peer")), a, out);
        return a->full ? ERR_NO_MEMORY : e;
}

/* ---- certificates ---- */

enum err mesh_tailnet_pair_split(struct str body, struct str *key, struct str *chain)
{
        const struct str private = STR("PRIVATE KEY-----");
        size_t at = str_find(body, STR("-----BEGIN CERTIFICATE-----"));

        *key = str_sub(body, 0, at);
        *chain = str_from(body, at);
        if (at == STR_NONE || !str_has_prefix(*key, STR("-----BEGIN ")) ||
            str_find(*key, private) == STR_NONE || str_find(*chain, private) != STR_NONE)
                return ERR_MALFORMED;
        return ERR_OK;
}

/* ---- who ---- */

enum err mesh_tailnet_owner_read(struct str body, struct arena *a, struct mesh_tailnet_owner *out)
{
        const struct json_value *root, *node;
        enum err e;

        *out = (struct mesh_tailnet_owner){ 0 };
        if ((e = json_read(a, body, &options, NULL, &root)) != ERR_OK)
                return e == ERR_NO_MEMORY ? e : ERR_MALFORMED;
        node = json_find(root, STR("Node"));
        if (!json_is(node, JSON_OBJECT) || !tags_read(json_find(node, STR("Tags")), a, &out->tags))
                return a->full ? ERR_NO_MEMORY : ERR_MALFORMED;
        out->node = name_of(json_find(node, STR("Name")), a);
        if (out->tags.count == 0) /* a tagged machine's user is "tagged-devices", which is nobody */
                out->login = word_of(json_find(json_find(root, STR("UserProfile")), STR("LoginName")), a);
        if (a->full)
                return ERR_NO_MEMORY;
        bool is_somebody = out->login.len && !str_has_prefix(out->login, TAG) &&
                           !str_eq(out->login, STR("tagged-devices"));

        return out->tags.count || is_somebody ? ERR_OK : ERR_MALFORMED;
}
