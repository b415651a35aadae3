/* Services as gateways and agents are told of them, and the tokens for those whose access is one. */
#include "control/desired_priv.h"
#include "store/keys.h"
#include "store/services.h"
#include "wire/ports.h"
#include "json/reader.h"

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

        if (callers_is_target(t))
                return t->is_enabled;
        return t->is_enabled && n && n->kind == WIRE_AGENT && n->state == STORE_NODE_ACTIVE;
}

static void gateway_target(struct reading *r, const struct store_target *t, struct json_writer *w)
{
        struct str models = member_raw(r, t->settings, "models");
        struct wire_ports ports;

        json_write_object_begin(w);
        json_write_member_str(w, STR("id"), desired_id(r, ID_TARGET, t->id));
        if (callers_is_target(t))
                json_write_member_bool(w, STR("control"), true);
        else
                json_write_member_str(w, STR("agent"), desired_id(r, ID_AGENT, t->node));
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

        desired_item_begin(&w, &json);
        json_write_member_str(&w, STR("name"), s->name);
        json_write_member_str(&w, STR("kind"), service_kind_text(s->kind));
        desired_member_raw(&w, "hosts", s->hosts, "[]");
        json_write_member_str(&w, STR("path"), paths.count ? paths.items[0] : STR("/"));
        desired_member_raw(&w, "listen", s->listen, "[]");
        desired_member_raw(&w, "access", s->access, "{\"kind\":\"public\",\"allowedIps\":[]}");
        json_write_key(&w, STR("targets"));
        json_write_array_begin(&w);
        for (size_t i = 0; i < count; i++)
                if (target_counts(r, &targets[i]))
                        gateway_target(r, &targets[i], &w);
        json_write_array_end(&w);
        desired_member_raw(&w, "settings", s->settings, "{}");
        return desired_item_end(&w, &json, &r->d->gateways, "services", desired_id(r, ID_SERVICE, s->id));
}

/* Each agent is told of its own targets only. */
static enum err agent_service(struct reading *r, const struct store_service *s,
                              const struct store_target *targets, size_t count, int64_t agent)
{
        struct desired_node *n = (struct desired_node *)(uintptr_t)desired_find(r->d, agent);
        struct str idle = s->kind == STORE_SERVICE_HTTP ? STR("") : member_raw(r, s->settings, "idleTimeout");
        struct json_writer w;
        struct buf json;

        desired_item_begin(&w, &json);
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
                json_write_key(&w, desired_id(r, ID_TARGET, t->id));
                json_write_object_begin(&w);
                json_write_member_str(&w, STR("url"), t->url);
                desired_member_raw(&w, "health", t->health, "{}");
                if (tls.len)
                        json_write_member_raw(&w, STR("tls"), tls);
                if (proxy_protocol.len)
                        json_write_member_raw(&w, STR("proxyProtocol"), proxy_protocol);
                if (idle.len)
                        json_write_member_raw(&w, STR("idleTimeout"), idle);
                json_write_object_end(&w);
        }
        json_write_object_end(&w);
        return desired_item_end(&w, &json, &n->own, "services", desired_id(r, ID_SERVICE, s->id));
}

static enum err service_items(struct reading *r, const struct store_service *s)
{
        struct store_page page = { .limit = STORE_PAGE_MAX };
        struct store_target *targets;
        enum err e;

        desired_moment_note(r, s->expires);
        if (!s->is_enabled || (s->expires && s->expires <= r->now))
                return ERR_OK;
        if ((e = store_target_of_service(r->t, s->id, &page, r->a, &targets)) != ERR_OK ||
            (e = gateway_service(r, s, targets, page.count)) != ERR_OK)
                return e;
        for (size_t i = 0; i < page.count && e == ERR_OK; i++) {
                bool is_first = targets[i].node && target_counts(r, &targets[i]);

                for (size_t j = 0; j < i; j++)
                        is_first &= targets[j].node != targets[i].node || !targets[j].is_enabled;
                if (is_first)
                        e = agent_service(r, s, targets, page.count, targets[i].node);
        }
        return e;
}

enum err desired_services_read(struct reading *r)
{
        struct store_page page = { .org = r->org };
        struct store_service *rows;
        enum err e;

        do {
                arena_reset(r->rows);
                e = store_service_list(r->t, &page, r->rows, &rows);
                for (size_t i = 0; e == ERR_OK && i < page.count; i++) {
                        page.after = rows[i].id;
                        arena_reset(r->a);
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

        desired_moment_note(r, k->expires);
        if (k->is_revoked || (k->expires && k->expires <= r->now) ||
            identity_scopes_parse(k->scopes, &scopes, &bad) != ERR_OK || !(scopes & IDENTITY_SCOPES_USE))
                return ERR_OK;
        desired_item_begin(&w, &json);
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
        return desired_item_end(&w, &json, &r->d->gateways, "tokens", desired_id(r, ID_KEY, k->id));
}

enum err desired_tokens_read(struct reading *r)
{
        struct store_page page = { .org = r->org };
        struct store_key *rows;
        enum err e;

        do {
                arena_reset(r->rows);
                e = store_key_list(r->t, &page, r->rows, &rows);
                for (size_t i = 0; e == ERR_OK && i < page.count; i++) {
                        page.after = rows[i].id;
                        arena_reset(r->a);
                        e = token_item(r, &rows[i]);
                }
        } while (e == ERR_OK && page.has_more);
        return e;
}
