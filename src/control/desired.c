#include "control/desired.h"

#include <stdlib.h>
#include <string.h>

#include "control/id.h"
#include "control/routes_priv.h"
#include "control/text.h"
#include "store/certificates.h"
#include "store/controls.h"
#include "store/keys.h"
#include "store/outbox.h"
#include "store/services.h"
#include "store/settings.h"
#include "wire/document.h"
#include "wire/ports.h"
#include "json/reader.h"

enum { ARENA_BYTES = 256 << 20, ITEM_BYTES_MAX = 64 * 1024 };

struct reading {
        struct store_txn *t;
        struct desired *d;
        struct arena *a;
        int64_t org;
        struct hash_key id_key;
        unix_ms now;
};

/* ---- items ---- */

static enum err item_add(struct reading *r, struct desired_items *to, const char *section, struct str id,
                         struct buf *json)
{
        if (to->count == to->cap) {
                size_t cap = to->cap ? to->cap * 2 : 8;
                struct desired_item *grown = ARENA_ARRAY(r->a, struct desired_item, cap);

                if (!grown)
                        return ERR_NO_MEMORY;
                if (to->count)
                        memcpy(grown, to->items, to->count * sizeof(*grown));
                to->items = grown;
                to->cap = cap;
        }
        to->items[to->count++] = (struct desired_item){ section, id, arena_copy(r->a, buf_str(json)) };
        return json->full || r->a->full ? ERR_NO_MEMORY : ERR_OK;
}

static struct str id_of(struct reading *r, const char *prefix, int64_t row)
{
        char text[WIRE_ID_SIZE];

        return arena_copy(r->a, id_format(r->id_key, prefix, row, text));
}

static void item_begin(struct json_writer *w, struct buf *json)
{
        buf_init(json, ITEM_BYTES_MAX);
        json_writer_init(w, json, JSON_COMPACT);
        json_write_object_begin(w);
}

static enum err item_end(struct reading *r, struct json_writer *w, struct buf *json, struct desired_items *to,
                         const char *section, struct str id)
{
        enum err e;

        json_write_object_end(w);
        json_writer_finish(w);
        e = item_add(r, to, section, id, json);
        buf_fini(json);
        return e;
}

static void raw_member(struct json_writer *w, const char *name, struct str json, const char *otherwise)
{
        json_write_member_raw(w, str_of(name), json.len ? json : str_of(otherwise));
}

/* A moment at which time alone will change a document. */
static void moment_note(struct reading *r, unix_ms when)
{
        if (when > r->now && (!r->d->next_change || when < r->d->next_change))
                r->d->next_change = when;
}

/* ---- nodes ---- */

static bool is_in_force(const struct store_node *n)
{
        return n->state == STORE_NODE_ACTIVE;
}

static void node_members(struct reading *r, const struct store_node *n, struct json_writer *w)
{
        uint8_t identity[CRYPTO_SHA256_BYTES];

        crypto_sha256(n->tls_key, identity);
        json_write_member_str(w, STR("identity"),
                              text_hex(r->a, (struct str){ (const char *)identity, sizeof(identity) }));
        json_write_member_str(w, STR("address4"), text_ip(r->a, n->address4));
        json_write_member_str(w, STR("address6"), text_ip(r->a, n->address6));
        json_write_member_str(w, STR("tunnel"), text_base64(r->a, n->wg_key));
}

/* Where agents reach a gateway: as the operator set it, else as the gateway itself said. */
static void addresses_write(struct reading *r, const struct store_node *n, struct json_writer *w)
{
        const struct json_value *settings = NULL, *facts = NULL, *list;
        int64_t links = 1;

        if (n->settings.len && json_read_strict(r->a, n->settings, NULL, &settings) != ERR_OK)
                settings = NULL;
        if (n->facts.len && json_read_strict(r->a, n->facts, NULL, &facts) != ERR_OK)
                facts = NULL;
        list = json_find(settings, STR("addresses"));
        if (!list || list->count == 0)
                list = json_find(facts, STR("addresses"));
        if (json_get_int64(json_find(settings, STR("links")), &links) != ERR_OK)
                links = 1;
        json_write_key(w, STR("addresses"));
        json_write_array_begin(w);
        for (size_t i = 0; list && i < list->count; i++) {
                struct str text = json_str(json_item(list, i));
                bool has_port = text.len && (text.ptr[0] == '[' ? str_find(text, STR("]:"))
                                                                : str_find_char(text, ':')) != STR_NONE;
                struct str parts[] = { text, STR(":443") };

                if (text.len)
                        json_write_str(w, has_port ? text : arena_join(r->a, parts, 2));
        }
        json_write_array_end(w);
        json_write_member_int(w, STR("links"), links);
}

/* Its own place in the overlay, which the lists of others do not say. */
static enum err self_item(struct reading *r, const struct store_node *n, struct desired_node *d)
{
        struct json_writer w;
        struct buf json;

        item_begin(&w, &json);
        json_write_member_str(&w, STR("address4"), text_ip(r->a, n->address4));
        json_write_member_str(&w, STR("address6"), text_ip(r->a, n->address6));
        return item_end(r, &w, &json, &d->own, "self", str_of(d->id));
}

static enum err node_items(struct reading *r, const struct store_node *n, struct desired_node *d)
{
        struct json_writer w;
        struct buf json;

        if (!is_in_force(n))
                return ERR_OK;
        enum err e = self_item(r, n, d);
        if (e != ERR_OK)
                return e;
        item_begin(&w, &json);
        json_write_member_str(&w, STR("name"), n->name);
        if (n->kind == STORE_AGENT)
                json_write_member_str(&w, STR("state"), STR("active"));
        else
                addresses_write(r, n, &w);
        node_members(r, n, &w);
        return item_end(r, &w, &json, n->kind == STORE_AGENT ? &r->d->gateways : &r->d->agents,
                        n->kind == STORE_AGENT ? "agents" : "gateways", str_of(d->id));
}

/* {"tags": ["eu", "fast"]} of its settings as "eu,fast". */
static struct str tags_read(struct reading *r, const struct store_node *n)
{
        const struct json_value *settings, *list;
        struct str all = STR("");

        if (str_find(n->settings, STR("\"tags\"")) == STR_NONE ||
            json_read_strict(r->a, n->settings, NULL, &settings) != ERR_OK)
                return all;
        list = json_find(settings, STR("tags"));
        for (size_t i = 0; list && i < list->count; i++) {
                struct str parts[] = { all, all.len ? STR(",") : STR(""), json_str(json_item(list, i)) };

                all = arena_join(r->a, parts, ARRAY_SIZE(parts));
        }
        return all;
}

static enum err nodes_read(struct reading *r)
{
        struct store_page page = { .org = r->org };
        struct store_node *rows;
        size_t cap = 0;
        enum err e;

        do {
                if ((e = store_node_list(r->t, &page, r->a, &rows)) != ERR_OK)
                        return e;
                if (r->d->nodes_count + page.count > cap) {
                        cap = (r->d->nodes_count + page.count) * 2;
                        struct desired_node *nodes = ARENA_ARRAY(r->a, struct desired_node, cap);

                        if (!nodes)
                                return ERR_NO_MEMORY;
                        if (r->d->nodes)
                                memcpy(nodes, r->d->nodes, r->d->nodes_count * sizeof(*nodes));
                        r->d->nodes = nodes;
                }
                for (size_t i = 0; r->d->nodes && i < page.count; i++) {
                        struct desired_node *n = &r->d->nodes[r->d->nodes_count];

                        page.after = rows[i].id;
                        if (rows[i].kind == STORE_CLIENT)
                                continue;
                        *n = (struct desired_node){ .row = rows[i].id,
                                                    .kind = rows[i].kind == STORE_GATEWAY ? WIRE_GATEWAY
                                                                                          : WIRE_AGENT,
                                                    .state = rows[i].state,
                                                    .expires = rows[i].expires };
                        n->name = rows[i].name;
                        n->tags = tags_read(r, &rows[i]);
                        id_format(r->id_key, rows[i].kind == STORE_GATEWAY ? ID_GATEWAY : ID_AGENT,
                                  rows[i].id, n->id);
                        moment_note(r, rows[i].expires);
                        r->d->nodes_count++;
                        if ((e = node_items(r, &rows[i], n)) != ERR_OK)
                                return e;
                }
        } while (page.has_more);
        return ERR_OK;
}

const struct desired_node *desired_find(const struct desired *d, int64_t row)
{
        size_t low = 0, high = d->nodes_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (d->nodes[middle].row == row)
                        return &d->nodes[middle];
                if (d->nodes[middle].row < row)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

/* ---- services ---- */

/* One member of a JSON object as it stands; empty: there is none. */
static struct str member_raw(struct reading *r, struct str json, const char *name)
{
        const struct json_value *root, *v;

        if (json.len == 0 || json_read_strict(r->a, json, NULL, &root) != ERR_OK ||
            !(v = json_find(root, str_of(name))))
                return STR("");
        return v->raw;
}

static bool target_counts(struct reading *r, const struct store_target *t)
{
        const struct desired_node *n = desired_find(r->d, t->node);

        return t->is_enabled && n && n->kind == WIRE_AGENT && n->state == STORE_NODE_ACTIVE;
}

static void gateway_target(struct reading *r, const struct store_target *t, struct json_writer *w)
{
        struct str models = member_raw(r, t->settings, "models");
        struct wire_ports ports;

        json_write_object_begin(w);
        json_write_member_str(w, STR("id"), id_of(r, ID_TARGET, t->id));
        json_write_member_str(w, STR("agent"), id_of(r, ID_AGENT, t->node));
        json_write_member_int(w, STR("weight"), t->weight);
        if (t->is_backup)
                json_write_member_bool(w, STR("backup"), true);
        if (wire_ports_parse(t->url, &ports) == ERR_OK && ports.count > 1)
                json_write_member_uint(w, STR("ports"), ports.count);
        if (models.len)
                json_write_member_raw(w, STR("models"), models);
        json_write_object_end(w);
}

static enum err gateway_service(struct reading *r, const struct store_service *s,
                                const struct store_target *targets, size_t count)
{
        struct schema_texts paths = texts_of_text(r->a, s->paths);
        struct json_writer w;
        struct buf json;

        item_begin(&w, &json);
        json_write_member_str(&w, STR("name"), s->name);
        json_write_member_str(&w, STR("kind"), service_kind_text(s->kind));
        raw_member(&w, "hosts", s->hosts, "[]");
        json_write_member_str(&w, STR("path"), paths.count ? paths.items[0] : STR("/"));
        raw_member(&w, "listen", s->listen, "[]");
        raw_member(&w, "access", s->access, "{\"kind\":\"public\",\"allowedIps\":[]}");
        json_write_key(&w, STR("targets"));
        json_write_array_begin(&w);
        for (size_t i = 0; i < count; i++)
                if (target_counts(r, &targets[i]))
                        gateway_target(r, &targets[i], &w);
        json_write_array_end(&w);
        raw_member(&w, "settings", s->settings, "{}");
        return item_end(r, &w, &json, &r->d->gateways, "services", id_of(r, ID_SERVICE, s->id));
}

/* Each agent is told of its own targets only. */
static enum err agent_service(struct reading *r, const struct store_service *s,
                              const struct store_target *targets, size_t count, int64_t agent)
{
        struct desired_node *n = (struct desired_node *)(uintptr_t)desired_find(r->d, agent);
        struct str idle = s->kind == STORE_SERVICE_HTTP ? STR("") : member_raw(r, s->settings, "idleTimeout");
        struct json_writer w;
        struct buf json;

        item_begin(&w, &json);
        json_write_member_str(&w, STR("name"), s->name);
        json_write_member_str(&w, STR("kind"), service_kind_text(s->kind));
        json_write_key(&w, STR("targets"));
        json_write_object_begin(&w);
        for (size_t i = 0; i < count; i++) {
                const struct store_target *t = &targets[i];
                struct str tls = member_raw(r, t->settings, "tls"),
                           proxy_protocol = member_raw(r, t->settings, "proxyProtocol");

                if (t->node != agent || !t->is_enabled)
                        continue;
                json_write_key(&w, id_of(r, ID_TARGET, t->id));
                json_write_object_begin(&w);
                json_write_member_str(&w, STR("url"), t->url);
                raw_member(&w, "health", t->health, "{}");
                if (tls.len)
                        json_write_member_raw(&w, STR("tls"), tls);
                if (proxy_protocol.len)
                        json_write_member_raw(&w, STR("proxyProtocol"), proxy_protocol);
                if (idle.len)
                        json_write_member_raw(&w, STR("idleTimeout"), idle);
                json_write_object_end(&w);
        }
        json_write_object_end(&w);
        return item_end(r, &w, &json, &n->own, "services", id_of(r, ID_SERVICE, s->id));
}

static enum err service_items(struct reading *r, const struct store_service *s)
{
        struct store_page page = { .limit = STORE_PAGE_MAX };
        struct store_target *targets;
        enum err e;

        moment_note(r, s->expires);
        if (!s->is_enabled || (s->expires && s->expires <= r->now))
                return ERR_OK;
        if ((e = store_target_of_service(r->t, s->id, &page, r->a, &targets)) != ERR_OK ||
            (e = gateway_service(r, s, targets, page.count)) != ERR_OK)
                return e;
        for (size_t i = 0; i < page.count && e == ERR_OK; i++) {
                bool is_first = target_counts(r, &targets[i]);

                for (size_t j = 0; j < i; j++)
                        is_first &= targets[j].node != targets[i].node || !targets[j].is_enabled;
                if (is_first)
                        e = agent_service(r, s, targets, page.count, targets[i].node);
        }
        return e;
}

static enum err services_read(struct reading *r)
{
        struct store_page page = { .org = r->org };
        struct store_service *rows;
        enum err e = ERR_OK;

        do {
                if ((e = store_service_list(r->t, &page, r->a, &rows)) != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count && e == ERR_OK; i++) {
                        page.after = rows[i].id;
                        e = service_items(r, &rows[i]);
                }
        } while (e == ERR_OK && page.has_more);
        return e;
}

/* ---- tokens: for services whose access is one ---- */

static enum err token_item(struct reading *r, const struct store_key *k)
{
        struct json_writer w;
        struct str bad;
        struct buf json;
        unsigned scopes;

        moment_note(r, k->expires);
        if (k->is_revoked || (k->expires && k->expires <= r->now) ||
            identity_scopes_parse(k->scopes, &scopes, &bad) != ERR_OK || !(scopes & IDENTITY_SCOPES_USE))
                return ERR_OK;
        item_begin(&w, &json);
        json_write_member_str(&w, STR("name"), k->name);
        json_write_member_str(&w, STR("sha256"), text_hex(r->a, k->hash));
        json_write_key(&w, STR("scopes"));
        json_write_array_begin(&w);
        if (scopes & (IDENTITY_USE | IDENTITY_OWNER))
                json_write_str(&w, STR("token"));
        if (scopes & IDENTITY_MODELS)
                json_write_str(&w, STR("models"));
        if (scopes & IDENTITY_OWNER)
                json_write_str(&w, STR("owner"));
        json_write_array_end(&w);
        json_write_member_int(&w, STR("expires"), k->expires / 1000);
        return item_end(r, &w, &json, &r->d->gateways, "tokens", id_of(r, ID_KEY, k->id));
}

static enum err tokens_read(struct reading *r)
{
        struct store_page page = { .org = r->org };
        struct store_key *rows;
        enum err e;

        do {
                if ((e = store_key_list(r->t, &page, r->a, &rows)) != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count && e == ERR_OK; i++) {
                        page.after = rows[i].id;
                        e = token_item(r, &rows[i]);
                }
        } while (e == ERR_OK && page.has_more);
        return e;
}

/* ---- certificates ---- */

/* One that the gateway has the key of. */
struct presented {
        struct store_certificate c;
        struct str key; /* sealed */
        struct presented *next;
};

static enum err certificate_item(struct reading *r, struct desired_node *n, const struct presented *p)
{
        struct json_writer w;
        struct buf json;

        moment_note(r, p->c.not_after);
        item_begin(&w, &json);
        raw_member(&w, "hosts", p->c.hosts, "[]");
        json_write_member_str(&w, STR("chain"), p->c.chain);
        json_write_member_str(&w, STR("key"), text_base64(r->a, p->key));
        return item_end(r, &w, &json, &n->own, "certificates", id_of(r, ID_CERTIFICATE, p->c.id));
}

/* Uploaded after it for just the same names: the renewed one, beside which this one is not presented by chance. */
static bool is_renewed(const struct presented *all, const struct presented *p)
{
        for (const struct presented *q = all; q; q = q->next)
                if (q->c.id > p->c.id && q->c.source == p->c.source && str_eq(q->c.hosts, p->c.hosts))
                        return true;
        return false;
}

static enum err node_certificates(struct reading *r, struct desired_node *n)
{
        struct store_page page = { .limit = STORE_PAGE_MAX };
        struct presented *all = NULL;
        struct store_certificate_key *keys;
        enum err e;

        do {
                e = store_certificate_key_of_node(r->t, n->row, &page, r->a, &keys);
                for (size_t i = 0; e == ERR_OK && i < page.count; i++) {
                        struct presented *p = ARENA_NEW(r->a, struct presented);

                        page.after = keys[i].id;
                        if (!p)
                                return ERR_NO_MEMORY;
                        e = store_certificate_get(r->t, r->org, keys[i].certificate, r->a, &p->c);
                        if (e != ERR_OK || p->c.not_after <= r->now)
                                continue;
                        p->key = keys[i].sealed;
                        p->next = all;
                        all = p;
                }
        } while (e == ERR_OK && page.has_more);
        for (const struct presented *p = all; p && e == ERR_OK; p = p->next)
                if (p->c.source != STORE_CERTIFICATE_UPLOADED || !is_renewed(all, p))
                        e = certificate_item(r, n, p);
        return e;
}

static enum err certificates_read(struct reading *r)
{
        enum err e = ERR_OK;

        for (size_t i = 0; i < r->d->nodes_count && e == ERR_OK; i++)
                if (r->d->nodes[i].kind == WIRE_GATEWAY && r->d->nodes[i].state == STORE_NODE_ACTIVE)
                        e = node_certificates(r, &r->d->nodes[i]);
        return e;
}

/* ---- controls: where nodes go when theirs is gone. With one alone there is nothing to say ---- */

static enum err control_item(struct reading *r, const struct store_control *row, struct desired_items *to)
{
        struct json_writer w;
        struct buf json;

        item_begin(&w, &json);
        json_write_member_str(&w, STR("url"), row->url);
        return item_end(r, &w, &json, to, "controls", id_of(r, ID_CONTROL, row->id));
}

/* "https://control.example.com/" is reached at "control.example.com:443". */
static struct str place_of(struct reading *r, struct str url)
{
        struct str at = str_has_prefix(url, STR("https://")) ? str_from(url, 8) : url;

        at = str_sub(at, 0, str_find_char(at, '/'));
        bool has_port =
                at.len && (at.ptr[0] == '[' ? str_find(at, STR("]:")) : str_find_char(at, ':')) != STR_NONE;
        return has_port ? at : arena_format(r->a, "%.*s:443", STR_FMT(at));
}

/* Control as a gateway of agents', at whichever of these addresses: for requests that they send out. */
static enum err links_item(struct reading *r, const struct store_control *rows, size_t count,
                           struct str own_url)
{
        struct json_writer w;
        struct buf json;

        item_begin(&w, &json);
        json_write_member_str(&w, STR("name"), STR("control"));
        json_write_key(&w, STR("addresses"));
        json_write_array_begin(&w);
        for (size_t i = 0; i < count; i++)
                json_write_str(&w, place_of(r, rows[i].url));
        if (count == 0)
                json_write_str(&w, place_of(r, own_url));
        json_write_array_end(&w);
        json_write_member_int(&w, STR("links"), 1);
        return item_end(r, &w, &json, &r->d->agents, "gateways", STR("control"));
}

static enum err controls_read(struct reading *r, struct str dispatch_url)
{
        struct store_page page = { .org = r->org, .limit = WIRE_CONTROLS_MAX };
        struct store_control *rows;
        enum err e = store_control_list(r->t, &page, r->a, &rows);

        r->d->controls_count = page.count;
        for (size_t i = 0; i < page.count && page.count > 1 && e == ERR_OK; i++)
                if ((e = control_item(r, &rows[i], &r->d->gateways)) == ERR_OK)
                        e = control_item(r, &rows[i], &r->d->agents);
        return e == ERR_OK && dispatch_url.len ? links_item(r, rows, page.count, dispatch_url) : e;
}

enum err desired_read(struct store_txn *t, int64_t org, struct hash_key id_key, struct str dispatch_url,
                      struct desired **out)
{
        struct desired *d = calloc(1, sizeof(*d));
        struct reading r = { .t = t, .d = d, .org = org, .id_key = id_key, .now = store_now(t) };
        struct object_settings settings;
        int64_t first;
        enum err e;

        *out = NULL;
        if (!d)
                return ERR_NO_MEMORY;
        r.a = &d->arena;
        arena_init(&d->arena, NULL, 0, ARENA_BYTES);
        if ((e = store_outbox_range(t, &first, &d->seq)) == ERR_OK &&
            (e = store_epoch(t, &d->epoch)) == ERR_OK && (e = controls_read(&r, dispatch_url)) == ERR_OK &&
            (e = settings_read(t, org, r.a, &settings)) == ERR_OK && (e = nodes_read(&r)) == ERR_OK &&
            (e = services_read(&r)) == ERR_OK && (e = tokens_read(&r)) == ERR_OK)
                e = certificates_read(&r);
        if (e == ERR_OK && d->arena.full)
                e = ERR_NO_MEMORY;
        if (e != ERR_OK) {
                desired_free(d);
                return e;
        }
        d->lease = settings.lease;
        *out = d;
        return ERR_OK;
}

void desired_free(struct desired *d)
{
        if (!d)
                return;
        arena_fini(&d->arena);
        free(d);
}
