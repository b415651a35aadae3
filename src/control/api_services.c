#include "control/callers.h"
#include "control/offers.h"
#include "control/routes_priv.h"
#include "control/streams.h"
#include "control/text.h"
#include "store/nodes.h"
#include "store/services.h"
#include "json/reader.h"

static const struct str no_json = STR_INIT("{}");

/* ---- models ---- */

/* Models are one catalogue, the same at every gateway under all of its names, and who may use it is said by keys. */
static enum err models_shape_check(struct api_call *c, struct object_service *o)
{
        if (o->access.kind.len == 0)
                o->access.kind = STR("token");
        if (!str_eq(o->access.kind, STR("token")) || o->access.allowed_ips.count)
                return api_fail(
                        c, 400, NULL,
                        "Who may use models is said by keys with the scope use-models: the \"access\" of a "
                        "service of kind llm is {\"kind\": \"token\"}.");
        if (o->hosts.count || (o->path.len && !str_eq(o->path, STR("/"))))
                return api_fail(
                        c, 400, NULL,
                        "A service of kind llm has no \"hosts\" and no \"path\": its models are found at every "
                        "gateway's /v1, under each of its names.");
        if (o->settings.len && !str_eq(o->settings, no_json))
                return api_fail(c, 400, NULL, "A service of kind llm has no \"settings\".");
        return ERR_OK;
}

/* ---- services ---- */

enum { SERVICE_MODELS_MAX = 500 };

static void access_read(struct api_call *c, struct str text, struct object_access *o)
{
        const struct json_value *root;

        *o = (struct object_access){ .kind = STR("public") };
        if (text.len == 0 || json_read_strict(&c->work, text, NULL, &root) != ERR_OK)
                return;
        if (json_str(json_find(root, STR("kind"))).len)
                o->kind = json_str(json_find(root, STR("kind")));
        const struct json_value *ips = json_find(root, STR("allowedIps"));
        if (ips)
                o->allowed_ips = texts_of_text(&c->work, ips->raw);
        if ((ips = json_find(root, STR("deniedIps"))))
                o->denied_ips = texts_of_text(&c->work, ips->raw);
}

static void addresses_write(struct json_writer *w, const char *key, const struct schema_texts *list)
{
        json_write_key(w, str_of(key));
        json_write_array_begin(w);
        for (size_t i = 0; i < list->count; i++)
                json_write_str(w, list->items[i]);
        json_write_array_end(w);
}

/* As documents have it (docs/protocol/nodes.md 3). */
static struct str access_write(struct api_call *c, const struct object_access *o)
{
        struct json_writer w;
        struct buf out;

        buf_init(&out, 64 * 1024);
        json_writer_init(&w, &out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("kind"), o->kind.len ? o->kind : STR("public"));
        addresses_write(&w, "allowedIps", &o->allowed_ips);
        if (o->denied_ips.count)
                addresses_write(&w, "deniedIps", &o->denied_ips);
        json_write_object_end(&w);
        json_writer_finish(&w);
        struct str text = arena_copy(&c->work, buf_str(&out));
        buf_fini(&out);
        return text;
}

static bool has_text(const struct schema_texts *texts, struct str text)
{
        for (size_t i = 0; i < texts->count; i++)
                if (str_eq(texts->items[i], text))
                        return true;
        return false;
}

/* What its agents found there, each name once. */
static enum err models_fill(struct api_call *c, struct store_txn *t, const struct store_service *row,
                            struct object_service *o)
{
        struct store_page page = { .limit = STORE_PAGE_MAX };
        struct store_target *targets;
        enum err e = store_target_of_service(t, row->id, &page, &c->work, &targets);

        if (e != ERR_OK)
                return e;
        if (!(o->models.items = ARENA_ARRAY(&c->work, struct str, SERVICE_MODELS_MAX)))
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < page.count; i++) {
                struct store_node node;

                if (!targets[i].node)
                        continue;
                if ((e = store_node_get(t, row->org, targets[i].node, &c->work, &node)) != ERR_OK)
                        return e;
                struct schema_texts found = offers_models_at(node.facts, targets[i].url, &c->work);
                for (size_t j = 0; j < found.count && o->models.count < SERVICE_MODELS_MAX; j++)
                        if (!has_text(&o->models, found.items[j]))
                                o->models.items[o->models.count++] = found.items[j];
        }
        return ERR_OK;
}

static enum err fill(struct api_call *c, struct store_txn *t, const struct store_service *row,
                     struct object_service *o)
{
        struct schema_texts paths = texts_of_text(&c->work, row->paths);

        *o = (struct object_service){ .id = id_text(c, ID_SERVICE, row->id),
                                      .name = row->name,
                                      .kind = service_kind_text(row->kind),
                                      .hosts = texts_of_text(&c->work, row->hosts),
                                      .path = paths.count ? paths.items[0] : STR("/"),
                                      .listen = texts_of_text(&c->work, row->listen),
                                      .settings = row->settings,
                                      .enabled = row->is_enabled,
                                      .owner = row->owner,
                                      .created = row->created,
                                      .expires = row->expires };
        access_read(c, row->access, &o->access);
        enum err e = targets_fill(c, t, row->id, &o->targets);
        return e == ERR_OK && row->kind == STORE_SERVICE_LLM ? models_fill(c, t, row, o) : e;
}

API_RUN(services_list)
{
        struct str name = api_query(c, "name");
        struct store_page page;
        struct store_service *rows;
        struct api_pager pager;
        struct object_service o;
        enum err e = api_page(c, identity_permit_org(permit), &page);

        if (e != ERR_OK || (e = store_service_list(t, &page, &c->work, &rows)) != ERR_OK)
                return e;
        api_page_begin(&pager, c);
        for (size_t i = 0; i < page.count; i++) {
                if (name.len && !str_eq(name, rows[i].name))
                        continue;
                if ((e = fill(c, t, &rows[i], &o)) != ERR_OK)
                        return e;
                api_page_add(&pager, &object_service_schema, &o);
        }
        return api_page_end(&pager, &page, page.count ? rows[page.count - 1].id : 0);
}

enum err param_service(struct api_call *c, struct store_txn *t, const struct identity_permit *permit,
                       struct store_service *row)
{
        int64_t id;
        enum err e = api_param_id(c, 0, ID_SERVICE, &id);

        if (e != ERR_OK)
                return e;
        e = store_service_get(t, identity_permit_org(permit), id, &c->work, row);
        return e == ERR_OK ? e : api_store_failed(c, e, "service");
}

API_RUN(service_get)
{
        struct store_service row;
        struct object_service o;
        enum err e = param_service(c, t, permit, &row);

        if (e != ERR_OK || (e = fill(c, t, &row, &o)) != ERR_OK)
                return e;
        return api_answer(c, &object_service_schema, &o, row.revision);
}

static enum err hosts_check(struct api_call *c, struct schema_texts *hosts)
{
        for (size_t i = 0; i < hosts->count; i++) {
                struct str h = arena_copy(&c->work, hosts->items[i]);

                for (size_t j = 0; h.ptr && j < h.len; j++)
                        ((char *)(uintptr_t)h.ptr)[j] = ascii_lower(h.ptr[j]);
                if (!text_is_host(h))
                        return api_fail(c, 400, NULL,
                                        "\"%.*s\" is no name that can be published: write app.example.com or "
                                        "*.example.com.",
                                        STR_FMT(str_sub(h, 0, 100)));
                hosts->items[i] = h;
        }
        return ERR_OK;
}

static enum err addresses_check(struct api_call *c, const struct schema_texts *list)
{
        struct ip_prefix prefix;

        for (size_t i = 0; i < list->count; i++)
                if (ip_prefix_parse(list->items[i], &prefix) != ERR_OK)
                        return api_fail(c, 400, NULL, "\"%.*s\" is no address or prefix.",
                                        STR_FMT(str_sub(list->items[i], 0, 100)));
        return ERR_OK;
}

static enum err shape_check(struct api_call *c, struct object_service *o, enum store_service_kind kind)
{
        bool by_port = kind == STORE_SERVICE_TCP || kind == STORE_SERVICE_UDP;
        enum err e;

        if (!text_is_name(o->name))
                return api_fail(c, 400, NULL,
                                "\"name\" must be 1 to 63 of a-z, 0-9 and -, and not begin or end with -.");
        if (kind == STORE_SERVICE_LLM && (e = models_shape_check(c, o)) != ERR_OK)
                return e;
        if ((e = hosts_check(c, &o->hosts)) != ERR_OK)
                return e;
        if (by_port && o->listen.count == 0)
                return api_fail(c, 400, NULL,
                                "A service of kind %.*s needs \"listen\", such as [\"0.0.0.0:2222\"].",
                                STR_FMT(service_kind_text(kind)));
        if (!by_port && o->listen.count)
                return api_fail(
                        c, 400, NULL,
                        "\"listen\" is for services of kind tcp and udp; this one is found by its hosts.");
        if (!by_port && kind != STORE_SERVICE_LLM && o->hosts.count == 0)
                return api_fail(c, 400, NULL, "\"hosts\" is empty: under which name is it to be published?");
        for (size_t i = 0; i < o->listen.count; i++)
                if (!text_is_listen(o->listen.items[i]))
                        return api_fail(
                                c, 400, NULL,
                                "\"%.*s\" is nothing to listen on: write 0.0.0.0:2222 or [::]:7000-7010.",
                                STR_FMT(str_sub(o->listen.items[i], 0, 100)));
        if ((e = addresses_check(c, &o->access.allowed_ips)) != ERR_OK ||
            (e = addresses_check(c, &o->access.denied_ips)) != ERR_OK ||
            (e = stream_service_check(c, o, kind)) != ERR_OK)
                return e;
        if (o->path.len == 0)
                o->path = STR("/");
        if (o->path.ptr[0] != '/' || str_find_char(o->path, ' ') != STR_NONE ||
            str_find_char(o->path, '?') != STR_NONE)
                return api_fail(c, 400, NULL, "\"path\" must begin with / and have no query.");
        return ERR_OK;
}

static bool shares_host(const struct schema_texts *a, const struct schema_texts *b)
{
        for (size_t i = 0; i < a->count; i++)
                for (size_t j = 0; j < b->count; j++)
                        if (str_eq(a->items[i], b->items[j]))
                                return true;
        return false;
}

/* Two services at one name and path, or at one port, would take turns by chance. */
static enum err place_check(struct api_call *c, struct store_txn *t, const struct object_service *o,
                            enum store_service_kind kind, int64_t org, int64_t own)
{
        struct store_page page = { .org = org };
        size_t ports = stream_ports_count(&o->listen);
        struct store_service *rows;
        struct str mine, theirs;
        enum err e;

        do {
                if ((e = store_service_list(t, &page, &c->work, &rows)) != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        const struct store_service *r = &rows[i];
                        struct schema_texts hosts = texts_of_text(&c->work, r->hosts),
                                            listen = texts_of_text(&c->work, r->listen),
                                            paths = texts_of_text(&c->work, r->paths);

                        page.after = r->id;
                        if (r->id == own)
                                continue;
                        bool by_name = kind == STORE_SERVICE_PASSTHROUGH ||
                                       r->kind == STORE_SERVICE_PASSTHROUGH; /* no path is ever seen */

                        if (shares_host(&o->hosts, &hosts) &&
                            (by_name || !paths.count || str_eq(paths.items[0], o->path)))
                                return api_fail(
                                        c, 409, NULL,
                                        "The service \"%.*s\" is published at that name and path already.",
                                        STR_FMT(r->name));
                        if (r->kind == kind &&
                            stream_listens_overlap(&o->listen, &listen, kind == STORE_SERVICE_UDP, &mine,
                                                   &theirs))
                                return api_fail(
                                        c, 409, NULL,
                                        "The service \"%.*s\" listens there already: its %.*s and %.*s are partly the same.",
                                        STR_FMT(r->name), STR_FMT(theirs), STR_FMT(mine));
                        ports += stream_ports_count(&listen);
                }
        } while (page.has_more);
        if (o->listen.count && ports > STREAM_PORTS_MAX)
                return api_fail(
                        c, 409, NULL,
                        "With this service there would be %zu ports; gateways open %d for services. Take some away.",
                        ports, STREAM_PORTS_MAX);
        return ERR_OK;
}

static void row_set(struct api_call *c, const struct object_service *o, struct store_service *row)
{
        const struct schema_texts path = { (struct str[]){ o->path }, 1 };

        row->name = o->name;
        row->hosts = text_of_texts(&c->work, &o->hosts);
        row->paths = text_of_texts(&c->work, &path);
        row->listen = text_of_texts(&c->work, &o->listen);
        row->access = access_write(c, &o->access);
        row->settings = o->settings.len ? o->settings : no_json;
        row->is_enabled = o->enabled;
        row->expires = o->expires;
}

/* A target without a url: every server of models that the agent found and that is published nowhere else. */
static enum err found_make(struct api_call *c, struct store_change *change,
                           const struct store_service *service, const struct object_target *o)
{
        struct store_txn *t = store_change_txn(change);
        struct object_target one = *o;
        struct store_target row;
        struct store_node agent;
        struct offer *offers;
        size_t count, made = 0;
        enum err e = agent_find(c, t, service->org, o->agent, &agent);

        if (e != ERR_OK || (e = offers_look(t, &agent, &c->work, &offers, &count)) != ERR_OK)
                return e;
        for (size_t i = 0; i < count && e == ERR_OK; i++) {
                if (!offers[i].is_models || offers[i].state != OFFER_WAITING)
                        continue;
                one.url = offers[i].url;
                e = target_make(c, change, service, &one, &row);
                made++;
        }
        if (e == ERR_OK && made == 0)
                return api_fail(
                        c, 409, NULL,
                        "The agent \"%.*s\" found no server of models that is not published already; name its "
                        "address, such as http://localhost:8000.",
                        STR_FMT(agent.name));
        return e;
}

static enum err service_make(struct api_call *c, struct store_txn *t, const struct identity_permit *permit,
                             struct object_service *o, enum store_service_kind kind,
                             struct store_service *row)
{
        struct store_change *change;
        struct object_target *targets = o->targets.items;
        enum err e;

        *row = (struct store_service){ .org = identity_permit_org(permit),
                                       .kind = kind,
                                       .owner = identity_permit_actor(permit).name,
                                       .created = store_now(t) };
        row_set(c, o, row);
        change = change_begin(t, permit, "service.add");
        if ((e = store_service_add(change, row)) != ERR_OK)
                return api_store_failed(c, e, "service");
        for (size_t i = 0; i < o->targets.count; i++) {
                struct store_target target;

                e = kind == STORE_SERVICE_LLM && targets[i].url.len == 0
                            ? found_make(c, change, row, &targets[i])
                            : target_make(c, change, row, &targets[i], &target);
                if (e != ERR_OK)
                        return e;
        }
        return store_change_finish(change);
}

API_RUN(service_add)
{
        struct object_service o = { .kind = STR("http"), .path = STR("/"), .enabled = true };
        const struct json_value *root;
        enum store_service_kind kind;
        struct store_service row;
        uint64_t given;
        enum err e = api_body(c, &o, &given);

        if (e != ERR_OK)
                return e;
        kind = service_kind_of(o.kind);
        if ((e = json_read_strict(&c->work, c->body, NULL, &root)) != ERR_OK)
                return e;
        for (size_t i = 0; i < o.targets.count; i++)
                target_defaults(json_item(json_find(root, STR("targets")), i),
                                &((struct object_target *)o.targets.items)[i]);
        if ((e = shape_check(c, &o, kind)) != ERR_OK || (e = callers_service_check(c, &o, kind)) != ERR_OK ||
            (e = place_check(c, t, &o, kind, identity_permit_org(permit), 0)) != ERR_OK ||
            (e = service_make(c, t, permit, &o, kind, &row)) != ERR_OK ||
            (e = fill(c, t, &row, &o)) != ERR_OK)
                return e;
        return api_created(c, &object_service_schema, &o, row.revision, "services", o.id);
}

API_RUN(service_change)
{
        struct store_service row;
        struct object_service o;
        struct store_change *change;
        int64_t expected;
        uint64_t given;
        enum err e = param_service(c, t, permit, &row);

        if (e != ERR_OK || (e = fill(c, t, &row, &o)) != ERR_OK || (e = api_body(c, &o, &given)) != ERR_OK ||
            (e = api_expected(c, &expected)) != ERR_OK)
                return e;
        if (expected && expected != row.revision)
                return api_store_failed(c, ERR_STALE, "service");
        if ((e = shape_check(c, &o, row.kind)) != ERR_OK ||
            (e = callers_service_check(c, &o, row.kind)) != ERR_OK ||
            (e = place_check(c, t, &o, row.kind, row.org, row.id)) != ERR_OK)
                return e;
        row_set(c, &o, &row);
        change = change_begin(t, permit, "service.change");
        if ((e = store_service_update(change, &row)) != ERR_OK || (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "service");
        if ((e = fill(c, t, &row, &o)) != ERR_OK)
                return e;
        return api_answer(c, &object_service_schema, &o, row.revision);
}

API_RUN(service_remove)
{
        struct store_service row;
        struct store_change *change;
        int64_t expected;
        enum err e = param_service(c, t, permit, &row);

        if (e != ERR_OK || (e = api_expected(c, &expected)) != ERR_OK)
                return e;
        change = change_begin(t, permit, "service.remove");
        if ((e = store_service_retire(change, row.org, row.id, expected)) != ERR_OK ||
            (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "service");
        return api_nothing(c);
}
