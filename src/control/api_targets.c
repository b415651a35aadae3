/* What services lead to: targets at agents, each checked against what its service can speak. */
#include "control/callers.h"
#include "control/routes_priv.h"
#include "control/streams.h"
#include "control/text.h"
#include "store/nodes.h"
#include "store/services.h"
#include "json/reader.h"

static const struct str no_json = STR_INIT("{}");

enum { MODELS_MAX = 256, MODEL_BYTES_MAX = 256, SERVICE_TARGETS_MAX = 400 };

/* {"models": […]}: which of those that the server lists may be named. */
static enum err models_check(struct api_call *c, struct str settings)
{
        const struct json_value *root, *models;

        if (settings.len == 0 || json_read_strict(&c->work, settings, NULL, &root) != ERR_OK ||
            !(models = json_find(root, STR("models"))))
                return ERR_OK;
        bool is_good = json_is(models, JSON_ARRAY) && models->count && models->count <= MODELS_MAX;
        for (size_t i = 0; is_good && i < models->count; i++) {
                struct str name = json_str(json_item(models, i));

                is_good = name.len && name.len <= MODEL_BYTES_MAX;
        }
        if (is_good)
                return ERR_OK;
        return api_fail(c, 400, NULL, "A target's \"settings.models\" is a list of 1 to %d names of models.",
                        MODELS_MAX);
}

static enum err target_fill(struct api_call *c, struct store_txn *t, const struct store_target *row,
                            struct object_target *o)
{
        struct store_node node = { 0 };
        enum err e = row->node ? store_node_get(t, row->org, row->node, &c->work, &node) : ERR_OK;

        *o = (struct object_target){ .id = id_text(c, ID_TARGET, row->id),
                                     .service = id_text(c, ID_SERVICE, row->service),
                                     .agent = row->node ? id_text(c, node_prefix(&node), row->node) : STR(""),
                                     .url = row->url,
                                     .weight = row->weight,
                                     .backup = row->is_backup,
                                     .enabled = row->is_enabled,
                                     .health = row->health,
                                     .settings = row->settings,
                                     .created = row->created };
        return e;
}

static enum err target_check(struct api_call *c, const struct object_target *o)
{
        const char *why;

        if (o->agent.len == 0)
                return api_fail(
                        c, 400, NULL,
                        "A target has an \"agent\" that dials it; only {\"url\": \"control\"} of a new "
                        "service has none.");
        if (!text_is_target(o->url, &why))
                return api_fail(c, 400, NULL, "The target's url \"%.*s\" %s.",
                                STR_FMT(str_sub(o->url, 0, 100)), why);
        return models_check(c, o->settings);
}

/* A target's scheme must be one its service can speak. */
static enum err target_fits(struct api_call *c, enum store_service_kind kind, struct str url)
{
        bool is_tcp = str_has_prefix(url, STR("tcp://")), is_udp = str_has_prefix(url, STR("udp://"));
        bool fits = kind == STORE_SERVICE_UDP ? is_udp
                    : kind == STORE_SERVICE_TCP || kind == STORE_SERVICE_PASSTHROUGH
                            ? is_tcp || str_has_prefix(url, STR("unix:"))
                            : !is_tcp && !is_udp;

        if (fits)
                return ERR_OK;
        return api_fail(c, 400, NULL, "A service of kind %.*s cannot have the target %.*s.",
                        STR_FMT(service_kind_text(kind)), STR_FMT(str_sub(url, 0, 100)));
}

/* Whether one more may come: gateways are told of a service's targets in one item of a document. */
static enum err room_check(struct api_call *c, struct store_txn *t, int64_t service)
{
        struct store_page page = { .limit = SERVICE_TARGETS_MAX };
        struct store_target *rows;
        enum err e = store_target_of_service(t, service, &page, &c->work, &rows);

        if (e != ERR_OK || page.count < SERVICE_TARGETS_MAX)
                return e;
        return api_fail(
                c, 409, NULL,
                "The service has %d targets, which is as many as one may have: publish the others as another "
                "service, or put a balancer of your own before them.",
                SERVICE_TARGETS_MAX);
}

enum err target_make(struct api_call *c, struct store_change *change, const struct store_service *service,
                     const struct object_target *o, struct store_target *row)
{
        const struct schema_texts listen = texts_of_text(&c->work, service->listen);
        struct store_txn *t = store_change_txn(change);
        struct store_node agent = { 0 };
        enum err e = ERR_OK;

        if (!callers_is_asked(o) && /* that callers_service_check has looked at */
            ((e = target_check(c, o)) != ERR_OK || (e = target_fits(c, service->kind, o->url)) != ERR_OK ||
             (e = stream_target_check(c, o, service->kind)) != ERR_OK ||
             (e = stream_ports_check(c, &listen, o->url)) != ERR_OK ||
             (e = agent_find(c, t, service->org, o->agent, &agent)) != ERR_OK))
                return e;
        *row = (struct store_target){ .org = service->org,
                                      .service = service->id,
                                      .node = agent.id,
                                      .url = o->url,
                                      .weight = o->weight,
                                      .is_backup = o->backup,
                                      .is_enabled = o->enabled,
                                      .health = o->health.len ? o->health : no_json,
                                      .settings = o->settings.len ? o->settings : no_json,
                                      .created = store_now(t) };
        e = store_target_add(change, row);
        return e == ERR_OK ? e : api_store_failed(c, e, "target");
}

void target_defaults(const struct json_value *body, struct object_target *o)
{
        if (!json_find(body, STR("weight")))
                o->weight = 1;
        if (!json_find(body, STR("enabled")))
                o->enabled = true;
}

enum err targets_fill(struct api_call *c, struct store_txn *t, int64_t service, struct schema_list *out)
{
        struct store_page page = { .limit = STORE_PAGE_MAX };
        struct store_target *rows;
        struct object_target *items;
        enum err e = store_target_of_service(t, service, &page, &c->work, &rows);

        if (e != ERR_OK)
                return e;
        if (!(items = ARENA_ARRAY(&c->work, struct object_target, page.count + 1)))
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < page.count && e == ERR_OK; i++)
                e = target_fill(c, t, &rows[i], &items[i]);
        *out = (struct schema_list){ items, page.count };
        return e;
}

/* ---- routes ---- */

API_RUN(targets_list)
{
        struct store_service service;
        struct schema_list list;
        struct api_pager pager;
        enum err e = param_service(c, t, permit, &service);

        if (e != ERR_OK || (e = targets_fill(c, t, service.id, &list)) != ERR_OK)
                return e;
        api_page_begin(&pager, c);
        for (size_t i = 0; i < list.count; i++)
                api_page_add(&pager, &object_target_schema, &((struct object_target *)list.items)[i]);
        return api_page_end(&pager, NULL, 0);
}

/* What leads to control leads nowhere else. */
static enum err no_control_beside(struct api_call *c, struct store_txn *t, int64_t service)
{
        struct store_page page = { .limit = STORE_PAGE_MAX };
        struct store_target *rows;
        enum err e = store_target_of_service(t, service, &page, &c->work, &rows);

        for (size_t i = 0; e == ERR_OK && i < page.count; i++)
                if (callers_is_target(&rows[i]))
                        return api_fail(c, 400, NULL,
                                        "This service leads to control, and to nothing beside it.");
        return e;
}

API_RUN(target_add)
{
        struct object_target o = { .weight = 1, .enabled = true };
        struct store_service service;
        struct store_target row;
        struct store_change *change;
        uint64_t given;
        enum err e = param_service(c, t, permit, &service);

        if (e != ERR_OK || (e = api_body(c, &o, &given)) != ERR_OK || (e = target_check(c, &o)) != ERR_OK ||
            (e = no_control_beside(c, t, service.id)) != ERR_OK ||
            (e = room_check(c, t, service.id)) != ERR_OK)
                return e;
        change = change_begin(t, permit, "target.add");
        if ((e = target_make(c, change, &service, &o, &row)) != ERR_OK ||
            (e = store_change_finish(change)) != ERR_OK || (e = target_fill(c, t, &row, &o)) != ERR_OK)
                return e;
        return api_created(c, &object_target_schema, &o, row.revision, "targets", o.id);
}

static enum err target_row(struct api_call *c, struct store_txn *t, const struct identity_permit *permit,
                           struct store_target *row)
{
        int64_t id;
        enum err e = api_param_id(c, 0, ID_TARGET, &id);

        if (e != ERR_OK)
                return e;
        e = store_target_get(t, identity_permit_org(permit), id, &c->work, row);
        return e == ERR_OK ? e : api_store_failed(c, e, "target");
}

API_RUN(target_get)
{
        struct store_target row;
        struct object_target o;
        enum err e = target_row(c, t, permit, &row);

        if (e != ERR_OK || (e = target_fill(c, t, &row, &o)) != ERR_OK)
                return e;
        return api_answer(c, &object_target_schema, &o, row.revision);
}

API_RUN(target_change)
{
        struct store_service service;
        struct store_target row;
        struct object_target o;
        struct store_change *change;
        int64_t expected;
        uint64_t given;
        enum err e = target_row(c, t, permit, &row);

        if (e != ERR_OK || (e = target_fill(c, t, &row, &o)) != ERR_OK ||
            (e = api_body(c, &o, &given)) != ERR_OK || (e = api_expected(c, &expected)) != ERR_OK ||
            (e = target_check(c, &o)) != ERR_OK ||
            (e = store_service_get(t, row.org, row.service, &c->work, &service)) != ERR_OK ||
            (e = target_fits(c, service.kind, o.url)) != ERR_OK ||
            (e = stream_target_check(c, &o, service.kind)) != ERR_OK)
                return e;
        const struct schema_texts listen = texts_of_text(&c->work, service.listen);
        if ((e = stream_ports_check(c, &listen, o.url)) != ERR_OK)
                return e;
        if (expected && expected != row.revision)
                return api_store_failed(c, ERR_STALE, "target");
        row.url = o.url;
        row.weight = o.weight;
        row.is_backup = o.backup;
        row.is_enabled = o.enabled;
        row.health = o.health.len ? o.health : no_json;
        row.settings = o.settings.len ? o.settings : no_json;
        change = change_begin(t, permit, "target.change");
        if ((e = store_target_update(change, &row)) != ERR_OK || (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "target");
        if ((e = target_fill(c, t, &row, &o)) != ERR_OK)
                return e;
        return api_answer(c, &object_target_schema, &o, row.revision);
}

API_RUN(target_remove)
{
        struct store_target row;
        struct store_change *change;
        int64_t expected;
        enum err e = target_row(c, t, permit, &row);

        if (e != ERR_OK || (e = api_expected(c, &expected)) != ERR_OK)
                return e;
        change = change_begin(t, permit, "target.remove");
        if ((e = store_target_remove(change, row.org, row.id, expected)) != ERR_OK ||
            (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "target");
        return api_nothing(c);
}
