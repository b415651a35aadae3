#include "node/overlay.h"

#include <string.h>

#include "crypto/secret.h"
#include "crypto/text.h"
#include "json/reader.h"

enum { OVERLAY_BYTES_MAX = 64 << 20, ITEM_BYTES_MAX = 256 * 1024 };

static struct ip ip_of(const struct json_value *item, struct str name)
{
        struct ip ip;

        return ip_parse(json_str(json_find(item, name)), &ip) == ERR_OK ? ip : (struct ip){ 0 };
}

/* A family that is missing, or another than its name says, is none. */
static void addresses_read(const struct json_value *item, struct ip *v4, struct ip *v6)
{
        *v4 = ip_of(item, STR("address4"));
        *v6 = ip_of(item, STR("address6"));
        if (v4->family != 4)
                *v4 = (struct ip){ 0 };
        if (v6->family != 6)
                *v6 = (struct ip){ 0 };
}

static bool key_read(const struct json_value *item, uint8_t key[WIRE_KEY_BYTES])
{
        size_t len = 0;

        return crypto_base64_parse(json_str(json_find(item, STR("tunnel"))), key, WIRE_KEY_BYTES, &len) ==
                       ERR_OK &&
               len == WIRE_KEY_BYTES;
}

static void places_read(struct node_overlay *o, const struct json_value *item, struct node_overlay_peer *p)
{
        const struct json_value *list = json_find(item, STR("addresses"));
        uint64_t port;
        size_t count = json_is(list, JSON_ARRAY) ? MIN(list->count, (size_t)NODE_OVERLAY_PLACES_MAX) : 0;

        if (json_get_uint64(json_find(item, STR("overlay")), &port) == ERR_OK && port <= UINT16_MAX)
                p->port = (uint16_t)port;
        if (count == 0 || !(p->places = ARENA_ARRAY(&o->arena, struct str, count)))
                return;
        for (size_t i = 0; i < count; i++)
                if (json_is(&list->items[i], JSON_STRING))
                        p->places[p->places_count++] = arena_copy(&o->arena, json_str(&list->items[i]));
}

/* Without a key and an address nobody is a peer; control itself, as a gateway of agents', has neither. */
static void peer_read(struct node_overlay *o, const struct wire_item *item, const struct json_value *v)
{
        struct node_overlay_peer *p = &o->peers[o->peers_count];

        addresses_read(v, &p->v4, &p->v6);
        if (!key_read(v, p->key) || (!p->v4.family && !p->v6.family))
                return;
        p->id = arena_copy(&o->arena, item->id);
        places_read(o, v, p);
        o->peers_count++;
}

/* Calls `take` with each item of a section that can be read. */
static void each(struct node_overlay *o, const struct wire_document *d, struct str section,
                 void (*take)(struct node_overlay *o, const struct wire_item *item,
                              const struct json_value *v))
{
        size_t begin, end = wire_document_section(d, section, &begin);

        for (size_t i = begin; i < end; i++) {
                const struct wire_item *item = wire_document_item(d, i);
                const struct json_value *v;
                struct arena arena;

                arena_init(&arena, NULL, 0, ITEM_BYTES_MAX);
                if (json_read_strict(&arena, item->json, NULL, &v) == ERR_OK)
                        take(o, item, v);
                arena_fini(&arena);
        }
}

static void self_read(struct node_overlay *o, const struct wire_item *item, const struct json_value *v)
{
        addresses_read(v, &o->v4, &o->v6);
}

enum err node_overlay_read(const struct wire_document *d, struct node_overlay *out)
{
        struct str peers = wire_document_header(d)->kind == WIRE_GATEWAY ? STR("agents") : STR("gateways");
        size_t begin, count = wire_document_section(d, peers, &begin) - begin;

        *out = (struct node_overlay){ 0 };
        arena_init(&out->arena, NULL, 0, OVERLAY_BYTES_MAX);
        each(out, d, STR("self"), self_read);
        if (!out->v4.family && !out->v6.family) {
                node_overlay_fini(out);
                return ERR_NOT_FOUND;
        }
        if ((out->peers = ARENA_ARRAY(&out->arena, struct node_overlay_peer, count + 1)))
                each(out, d, peers, peer_read);
        if (!out->arena.full)
                return ERR_OK;
        node_overlay_fini(out);
        return ERR_NO_MEMORY;
}

enum err node_overlay_load(const char *folder, enum wire_kind kind, struct node_overlay *out,
                           const char **why)
{
        struct wire_document *d = NULL;
        struct node_state s;
        enum err e = node_state_look(&s, folder, kind, why);

        if (e != ERR_OK)
                return e;
        e = s.is_joined && !s.papers.gone[0] ? node_state_document_load(&s, &d, why) : ERR_NOT_FOUND;
        if (e == ERR_OK && (e = node_overlay_read(d, out)) == ERR_OK)
                memcpy(out->key, s.tunnel, sizeof(out->key));
        wire_document_put(d);
        node_state_close(&s);
        return e;
}

void node_overlay_fini(struct node_overlay *o)
{
        crypto_wipe(o->key, sizeof(o->key));
        arena_fini(&o->arena);
}
