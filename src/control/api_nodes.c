#include <string.h>

#include "control/hub.h"
#include "control/offers.h"
#include "control/routes_priv.h"
#include "control/text.h"
#include "crypto/sha256.h"
#include "dispatch/sources.h"
#include "io/process.h"
#include "store/nodes.h"
#include "json/reader.h"

static const struct str states[] = { STR_INIT("pending"), STR_INIT("active"), STR_INIT("disabled"),
                                     STR_INIT("removed") };
static const struct str kinds[] = { STR_INIT("gateway"), STR_INIT("agent"), STR_INIT("client") };

const char *node_prefix(const struct store_node *n)
{
        return n->kind == STORE_GATEWAY ? ID_GATEWAY : ID_AGENT;
}

static enum err node_id_parse(struct api_call *c, struct str text, int64_t *row)
{
        struct hash_key key = c->control->secrets.id_key;

        return id_parse(key, str_has_prefix(text, STR("gw")) ? ID_GATEWAY : ID_AGENT, text, row);
}

enum err param_node(struct api_call *c, unsigned number, int64_t *row)
{
        if (node_id_parse(c, c->params[number], row) == ERR_OK)
                return ERR_OK;
        return api_fail(c, 404, NULL, "There is no node with the id \"%.*s\".",
                        STR_FMT(str_sub(c->params[number], 0, 64)));
}

enum err agent_find(struct api_call *c, struct store_txn *t, int64_t org, struct str text,
                    struct store_node *out)
{
        int64_t row;
        enum err e = node_id_parse(c, text, &row) == ERR_OK ? store_node_get(t, org, row, &c->work, out)
                                                            : store_node_by_name(t, org, text, &c->work, out);

        if (e == ERR_NOT_FOUND ||
            (e == ERR_OK && (out->kind != STORE_AGENT || out->state == STORE_NODE_REMOVED)))
                return api_fail(c, 400, NULL, "There is no agent \"%.*s\".", STR_FMT(str_sub(text, 0, 64)));
        return e;
}

/* What it said of itself, in the parts an operator looks for first. */
static void facts_fill(struct api_call *c, const struct store_node *row, struct object_node *o)
{
        const struct json_value *root;

        if (row->facts.len == 0 || json_read_strict(&c->work, row->facts, NULL, &root) != ERR_OK ||
            root->type != JSON_OBJECT)
                return;
        o->program = json_str(json_find(json_find(root, STR("versions")), STR("program")));
        o->system = json_str(json_find(json_find(root, STR("versions")), STR("system")));
        o->report = row->facts;
}

static void fill(struct api_call *c, const struct store_node *row, struct object_node *o)
{
        const struct hub_facts *f = c->prepared;
        const struct hub_node *live = f ? hub_node_find(f->nodes, f->count, row->id) : NULL;
        uint8_t identity[CRYPTO_SHA256_BYTES];

        crypto_sha256(row->tls_key, identity);
        *o = (struct object_node){ .id = id_text(c, node_prefix(row), row->id),
                                   .name = row->name,
                                   .kind = kinds[row->kind],
                                   .state = states[row->state],
                                   .address4 = text_ip(&c->work, row->address4),
                                   .address6 = text_ip(&c->work, row->address6),
                                   .tunnel_key = text_base64(&c->work, row->wg_key),
                                   .identity = text_hex(&c->work, (struct str){ (const char *)identity,
                                                                                sizeof(identity) }),
                                   .created = row->created,
                                   .last_seen = row->last_seen,
                                   .expires = row->expires,
                                   .certificate_expires = row->certificate_expires,
                                   .epoch = row->applied_epoch,
                                   .version = row->applied_version,
                                   .settings = row->settings };
        facts_fill(c, row, o);
        if (!live && hub_is_elsewhere(f, row->control)) {
                o->connected = true;
                o->wanted_version = row->wanted_version;
        }
        if (!live)
                return;
        o->connected = true;
        o->connected_since = live->since;
        o->connected_from = live->from;
        o->last_seen = process_wall_ms();
        o->wanted_version = (int64_t)live->wanted_version;
        o->version = (int64_t)live->applied_version;
}

static enum err list(struct api_call *c, struct store_txn *t, const struct identity_permit *permit, int kind)
{
        struct str name = api_query(c, "name"), word = api_query(c, "kind"), state = api_query(c, "state");
        struct store_page page;
        struct store_node *rows = NULL;
        struct api_pager pager;
        struct object_node o;
        enum err e = api_page(c, identity_permit_org(permit), &page);

        if (e != ERR_OK)
                return e;
        for (int i = 0; i < 2 && kind < 0; i++)
                if (str_eq(word, kinds[i]))
                        kind = i;
        if ((e = hub_elsewhere(c, t)) != ERR_OK)
                return e;
        if (word.len && kind < 0)
                return api_fail(c, 400, NULL, "\"kind\" must be gateway or agent.");
        if ((e = kind >= 0 ? store_node_list_of(t, (enum store_node_kind)kind, &page, &c->work, &rows)
                           : store_node_list(t, &page, &c->work, &rows)) != ERR_OK)
                return e;
        api_page_begin(&pager, c);
        for (size_t i = 0; i < page.count; i++) {
                if (rows[i].state == STORE_NODE_REMOVED || (name.len && !str_eq(name, rows[i].name)) ||
                    (state.len && !str_eq(state, states[rows[i].state])))
                        continue;
                fill(c, &rows[i], &o);
                api_page_add(&pager, &object_node_schema, &o);
        }
        return api_page_end(&pager, &page, page.count ? rows[page.count - 1].id : 0);
}

API_RUN(nodes_list)
{
        return list(c, t, permit, -1);
}

API_RUN(gateways_list)
{
        return list(c, t, permit, STORE_GATEWAY);
}

API_RUN(agents_list)
{
        return list(c, t, permit, STORE_AGENT);
}

static enum err get(struct api_call *c, struct store_txn *t, const struct identity_permit *permit,
                    struct store_node *row)
{
        int64_t id;
        enum err e = param_node(c, 0, &id);

        if (e != ERR_OK)
                return e;
        e = store_node_get(t, identity_permit_org(permit), id, &c->work, row);
        if (e == ERR_OK &&
            (row->state == STORE_NODE_REMOVED || !str_has_prefix(c->params[0], str_of(node_prefix(row)))))
                e = ERR_NOT_FOUND;
        return e == ERR_OK ? ERR_OK : api_store_failed(c, e, "node");
}

API_RUN(node_get)
{
        struct store_node row;
        struct object_node o;
        enum err e = get(c, t, permit, &row);

        if (e != ERR_OK || (e = hub_elsewhere(c, t)) != ERR_OK)
                return e;
        fill(c, &row, &o);
        return api_answer(c, &object_node_schema, &o, row.revision);
}

static bool texts_are(const struct json_value *list, bool (*is_good)(struct str))
{
        bool good = json_is(list, JSON_ARRAY) && list->count <= 100;

        for (size_t i = 0; good && i < list->count; i++)
                good = json_is(json_item(list, i), JSON_STRING) && is_good(json_str(json_item(list, i)));
        return good;
}

static bool is_access(struct str s)
{
        return str_eq(s, STR("public")) || str_eq(s, STR("token")) || str_eq(s, STR("owner"));
}

/* What may be published of an agent's offers without a person's hand. */
static bool publish_is_good(const struct json_value *v)
{
        for (size_t i = 0; v->type == JSON_OBJECT && i < v->count; i++) {
                struct str key = v->members[i].key;
                const struct json_value *value = &v->members[i].value;

                if (!(str_eq(key, STR("models")) && value->type == JSON_BOOL) &&
                    !(str_eq(key, STR("hosts")) && texts_are(value, text_is_host)) &&
                    !(str_eq(key, STR("access")) && texts_are(value, is_access)))
                        return false;
        }
        return v->type == JSON_OBJECT;
}

static bool is_among(struct str s, const struct str *all, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (str_eq(s, all[i]))
                        return true;
        return false;
}

static enum err settings_check(struct api_call *c, struct str settings)
{
        static const struct str known[] = { STR_INIT("addresses"), STR_INIT("links"), STR_INIT("publish"),
                                            STR_INIT("tags"), STR_INIT("overlay") };
        const struct json_value *root;

        if (settings.len == 0)
                return ERR_OK;
        if (json_read_strict(&c->work, settings, NULL, &root) != ERR_OK || root->type != JSON_OBJECT)
                return api_fail(c, 400, NULL, "\"settings\" must be an object.");
        for (size_t i = 0; i < root->count; i++) {
                const struct json_member *m = &root->members[i];
                int64_t links, port;

                if (m->value.type == JSON_NULL && is_among(m->key, known, ARRAY_SIZE(known)))
                        continue;
                if (str_eq(m->key, known[0]) && m->value.type == JSON_ARRAY && m->value.count <= 16)
                        continue;
                if (str_eq(m->key, known[1]) && json_get_int64(&m->value, &links) == ERR_OK && links >= 1 &&
                    links <= 64)
                        continue;
                if (str_eq(m->key, known[2]) && publish_is_good(&m->value))
                        continue;
                if (str_eq(m->key, known[3]) && m->value.count <= SOURCES_TAGS_MAX &&
                    texts_are(&m->value, text_is_name))
                        continue;
                if (str_eq(m->key, known[4]) && json_get_int64(&m->value, &port) == ERR_OK && port >= 1 &&
                    port <= UINT16_MAX)
                        continue;
                return api_fail(
                        c, 400, NULL,
                        "\"settings\": \"%.*s\" is not known or not right; there are \"addresses\", \"links\", \"overlay\": 51820, "
                        "\"tags\": [\"eu\"] and \"publish\": {\"models\": true, \"hosts\": [\"*.home.example.com\"], \"access\": [\"token\"]}.",
                        STR_FMT(str_sub(m->key, 0, 64)));
        }
        return ERR_OK;
}

/* What is given stands in place of what was, member by member; null takes one away. */
static enum err settings_merge(struct api_call *c, struct str old, struct str given, struct str *out)
{
        const struct json_value *was = NULL, *is;
        struct json_writer w;
        struct buf text;

        if (given.len == 0 || json_read_strict(&c->work, given, NULL, &is) != ERR_OK ||
            json_read_strict(&c->work, old.len ? old : STR("{}"), NULL, &was) != ERR_OK)
                is = NULL;
        buf_init(&text, SCHEMA_JSON_MAX);
        json_writer_init(&w, &text, JSON_COMPACT);
        json_write_object_begin(&w);
        for (size_t i = 0; was && i < was->count; i++)
                if (!json_find(is, was->members[i].key))
                        json_write_member_raw(&w, was->members[i].key, was->members[i].value.raw);
        for (size_t i = 0; is && i < is->count; i++)
                if (is->members[i].value.type != JSON_NULL)
                        json_write_member_raw(&w, is->members[i].key, is->members[i].value.raw);
        json_write_object_end(&w);
        json_writer_finish(&w);
        *out = text.full ? STR_NULL : arena_copy(&c->work, buf_str(&text));
        buf_fini(&text);
        return out->ptr ? ERR_OK : ERR_NO_MEMORY;
}

/* pending → active is the approval; nothing goes back to pending. */
static enum err state_change(struct api_call *c, struct store_node *row, struct str state)
{
        if (str_eq(state, states[row->state]))
                return ERR_OK;
        if (str_eq(state, STR("pending")))
                return api_fail(c, 400, NULL,
                                "A node that was let in cannot be made pending; set \"state\" to disabled.");
        row->state = str_eq(state, STR("active")) ? STORE_NODE_ACTIVE : STORE_NODE_DISABLED;
        return ERR_OK;
}

API_RUN(node_change)
{
        const struct schema *s = &object_node_schema;
        struct store_node row;
        struct object_node o = { 0 };
        struct store_change *change;
        int64_t expected;
        uint64_t given;
        enum err e = get(c, t, permit, &row);

        if (e != ERR_OK || (e = api_body(c, &o, &given)) != ERR_OK ||
            (e = api_expected(c, &expected)) != ERR_OK || (e = hub_elsewhere(c, t)) != ERR_OK)
                return e;
        if (expected && expected != row.revision)
                return api_store_failed(c, ERR_STALE, "node");
        if (schema_has(s, given, "name") && !text_is_name(o.name))
                return api_fail(c, 400, NULL,
                                "\"name\" must be 1 to 63 of a-z, 0-9 and -, and not begin or end with -.");
        if (schema_has(s, given, "name"))
                row.name = o.name;
        if (schema_has(s, given, "expires"))
                row.expires = o.expires;
        if (schema_has(s, given, "settings")) {
                if ((e = settings_check(c, o.settings)) != ERR_OK ||
                    (e = settings_merge(c, row.settings, o.settings, &row.settings)) != ERR_OK)
                        return e;
        }
        if (schema_has(s, given, "state") && (e = state_change(c, &row, o.state)) != ERR_OK)
                return e;
        change = change_begin(t, permit, "node.change");
        if ((e = store_node_update(change, &row)) != ERR_OK || (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "node");
        if (schema_has(s, given, "settings") && (e = offers_apply(t, &row, &c->work)) != ERR_OK)
                return api_store_failed(c, e, "service");
        fill(c, &row, &o);
        return api_answer(c, s, &o, row.revision);
}

static enum err retire(struct api_call *c, struct store_txn *t, const struct identity_permit *permit,
                       const struct store_node *row, int64_t expected)
{
        struct store_change *change;
        enum err e;

        if (row->kind == STORE_AGENT && (e = offers_end(t, row, &c->work)) != ERR_OK)
                return e;
        change = change_begin(t, permit, "node.remove");
        e = store_node_retire(change, row->org, row->id, expected);
        if (e == ERR_EXISTS)
                return api_fail(c, 409, NULL, "Services have targets at this node; remove these first.");
        return e == ERR_OK && (e = store_change_finish(change)) == ERR_OK ? ERR_OK
                                                                          : api_store_failed(c, e, "node");
}

API_RUN(node_remove)
{
        struct store_node row;
        int64_t expected;
        enum err e = get(c, t, permit, &row);

        if (e == ERR_OK && (e = api_expected(c, &expected)) == ERR_OK)
                e = retire(c, t, permit, &row, expected);
        return e == ERR_OK ? api_nothing(c) : e;
}

/* The predecessor's way, by id or name; it cannot come back by itself, as it could there. */
API_RUN(agent_remove)
{
        struct store_node row;
        enum err e = agent_find(c, t, identity_permit_org(permit), c->params[0], &row);

        if (e != ERR_OK)
                return c->has_failed ? api_fail(c, 404, NULL, "Agent not found.") : e;
        if ((e = retire(c, t, permit, &row, 0)) != ERR_OK)
                return e;
        buf_clear(&c->answer);
        buf_addf(
                &c->answer,
                "{\"status\":\"success\",\"message\":\"The agent %.*s is removed; its key opens nothing any more.\"}\n",
                STR_FMT(row.name));
        c->status = 200;
        return ERR_OK;
}
