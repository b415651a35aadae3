#include "control/offers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/routes_priv.h"
#include "control/text.h"
#include "store/services.h"
#include "json/reader.h"

enum { OWNER_BYTES = 40, NAME_BYTES_MAX = 63, AGENT_BYTES_MAX = 64 << 20 };

static const struct str access_kinds[] = { STR_INIT("public"), STR_INIT("token"), STR_INIT("owner") };

/* ---- what was granted ---- */

void offer_grants_read(struct str settings, bool all_models, struct arena *a, struct offer_grants *out)
{
        const struct json_value *root, *publish;

        *out = (struct offer_grants){ .models = all_models };
        if (settings.len == 0 || json_read_strict(a, settings, NULL, &root) != ERR_OK ||
            !(publish = json_find(root, STR("publish"))))
                return;
        const struct json_value *models = json_find(publish, STR("models")),
                                *hosts = json_find(publish, STR("hosts")),
                                *access = json_find(publish, STR("access"));

        if (json_is(models, JSON_BOOL))
                out->models = models->boolean;
        if (json_is(hosts, JSON_ARRAY))
                out->hosts = texts_of_text(a, hosts->raw);
        if (json_is(access, JSON_ARRAY))
                out->access = texts_of_text(a, access->raw);
}

static bool grants_host(const struct offer_grants *g, struct str host)
{
        for (size_t i = 0; i < g->hosts.count; i++)
                if (text_host_fits(g->hosts.items[i], host) && host.ptr[0] != '*')
                        return true;
        return false;
}

/* Nothing is said of access: by token. */
static bool access_grant(const struct offer_grants *g, struct str *access)
{
        bool is_known = false;

        if (access->len == 0)
                *access = g->access.count ? g->access.items[0] : STR("token");
        for (size_t i = 0; i < ARRAY_SIZE(access_kinds); i++)
                is_known |= str_eq(access_kinds[i], *access);
        if (!is_known)
                return false;
        for (size_t i = 0; i < g->access.count; i++)
                if (str_eq(g->access.items[i], *access))
                        return true;
        return g->access.count == 0 && !str_eq(*access, STR("public"));
}

/* ---- what is there ---- */

struct looking {
        struct store_txn *t;
        const struct store_node *agent;
        struct arena *a;
        struct offer_grants grants;
        char owner_text[OWNER_BYTES];
        struct str owner;
        struct store_service *services; /* all, once they were wanted */
        size_t services_count, services_cap;
        bool has_services;
        struct store_target *targets; /* the agent's */
        size_t targets_count;
};

static enum err looking_init(struct looking *l, struct store_txn *t, const struct store_node *agent,
                             struct arena *a)
{
        struct store_page page = { .limit = STORE_PAGE_MAX };
        struct object_settings settings;
        enum err e = settings_read(t, agent->org, a, &settings);

        *l = (struct looking){ .t = t, .agent = agent, .a = a };
        if (e != ERR_OK)
                return e;
        offer_grants_read(agent->settings, settings.publish_models, a, &l->grants);
        snprintf(l->owner_text, sizeof(l->owner_text), "node/%" PRId64 "/offers", agent->id);
        l->owner = str_of(l->owner_text);
        e = store_target_of_node(t, agent->id, &page, a, &l->targets);
        l->targets_count = page.count;
        return e;
}

static bool services_room(struct looking *l, size_t more)
{
        size_t cap = MAX(l->services_count + more, 2 * l->services_cap);
        struct store_service *grown;

        if (l->services_count + more <= l->services_cap)
                return true;
        if (!(grown = ARENA_ARRAY_RAW(l->a, struct store_service, cap)))
                return false;
        if (l->services_count)
                memcpy(grown, l->services, l->services_count * sizeof(*grown));
        l->services = grown;
        l->services_cap = cap;
        return true;
}

static enum err services_read(struct looking *l)
{
        struct store_page page = { .org = l->agent->org };
        struct store_service *rows;
        enum err e;

        if (l->has_services)
                return ERR_OK;
        l->has_services = true;
        do {
                if ((e = store_service_list(l->t, &page, l->a, &rows)) != ERR_OK)
                        return e;
                if (page.count == 0)
                        break;
                if (!services_room(l, page.count))
                        return ERR_NO_MEMORY;
                memcpy(l->services + l->services_count, rows, page.count * sizeof(*rows));
                l->services_count += page.count;
                page.after = rows[page.count - 1].id;
        } while (page.has_more);
        return ERR_OK;
}

static const struct store_service *service_of(const struct looking *l, int64_t id)
{
        for (size_t i = 0; i < l->services_count; i++)
                if (l->services[i].id == id)
                        return &l->services[i];
        return NULL;
}

static bool is_own(const struct looking *l, const struct store_service *s)
{
        return s && str_eq(s->owner, l->owner);
}

/* "http://localhost:8000" and "http://127.0.0.1:8000" are one. */
static bool urls_are_same(struct str a, struct str b)
{
        struct str local = STR("http://localhost:"), number = STR("http://127.0.0.1:");

        if (str_has_prefix(a, local))
                a = str_from(a, local.len);
        else if (str_has_prefix(a, number))
                a = str_from(a, number.len);
        if (str_has_prefix(b, local))
                b = str_from(b, local.len);
        else if (str_has_prefix(b, number))
                b = str_from(b, number.len);
        return str_eq(a, b);
}

/* "home" and "wiki": "home-wiki", so that no agent takes a name that somebody else may want. */
static struct str name_make(struct looking *l, struct str name)
{
        struct str parts[3] = { l->agent->name, STR("-"), name }, all = arena_join(l->a, parts, 3);

        all = str_sub(all, 0, NAME_BYTES_MAX);
        while (all.len && all.ptr[all.len - 1] == '-')
                all.len--;
        return all;
}

/* ---- judging ---- */

static void models_judge(struct looking *l, struct offer *o)
{
        const char *why;

        o->access = STR("token");
        if (!text_is_target(o->url, &why)) {
                o->state = OFFER_REFUSED;
                o->why = why;
                return;
        }
        for (size_t i = 0; i < l->targets_count; i++) {
                const struct store_service *s = service_of(l, l->targets[i].service);

                if (s && s->kind == STORE_SERVICE_LLM && urls_are_same(l->targets[i].url, o->url)) {
                        o->state = OFFER_PUBLISHED;
                        o->service = s->id;
                        o->name = s->name;
                        return;
                }
        }
}

static bool is_at(const struct store_service *s, const struct offer *o, struct arena *a)
{
        struct schema_texts hosts = texts_of_text(a, s->hosts), paths = texts_of_text(a, s->paths);

        if (paths.count && !str_eq(paths.items[0], o->path))
                return false;
        for (size_t i = 0; i < hosts.count; i++)
                for (size_t j = 0; j < o->hosts.count; j++)
                        if (str_eq(hosts.items[i], o->hosts.items[j]))
                                return true;
        return false;
}

static const char *shape_refuse(const struct looking *l, struct offer *o)
{
        const char *why;

        if (!text_is_name(o->name))
                return "its name is none: 1 to 63 of a-z, 0-9 and -";
        if (!text_is_target(o->url, &why) || !str_has_prefix(o->url, STR("http")))
                return "it cannot be reached by HTTP at what it names";
        if (o->hosts.count == 0)
                return "it names no host";
        if (o->path.len == 0 || o->path.ptr[0] != '/' || str_find_char(o->path, ' ') != STR_NONE ||
            str_find_char(o->path, '?') != STR_NONE || str_find_char(o->path, '*') != STR_NONE ||
            str_find_char(o->path, '{') != STR_NONE)
                return "its path must begin with / and be plain";
        for (size_t i = 0; i < o->hosts.count; i++)
                if (!text_is_host(o->hosts.items[i]))
                        return "its host is no name that can be published";
        for (size_t i = 0; i < o->hosts.count; i++)
                if (!grants_host(&l->grants, o->hosts.items[i]))
                        return "its host is not among those granted to this agent";
        if (!access_grant(&l->grants, &o->access))
                return "its access is not among those granted to this agent";
        return NULL;
}

static void container_judge(struct looking *l, struct offer *o)
{
        if (o->path.len == 0)
                o->path = STR("/");
        o->name = name_make(l, o->name);
        if (l->grants.hosts.count == 0)
                return; /* waits for somebody to grant it a host */
        if ((o->why = shape_refuse(l, o))) {
                o->state = OFFER_REFUSED;
                return;
        }
        o->state = OFFER_PUBLISHED;
        for (size_t i = 0; i < l->services_count; i++) {
                const struct store_service *s = &l->services[i];
                bool is_same = str_eq(s->name, o->name), is_ours = is_own(l, s);

                if (is_same && is_ours)
                        o->service = s->id;
                if ((is_same && !is_ours) || (is_at(s, o, l->a) && !is_ours)) {
                        o->state = OFFER_REFUSED;
                        o->why = is_same ? "a service of that name is somebody else's"
                                         : "another service is published at that host and path";
                        return;
                }
        }
}

/* Two containers that want one name: the first has it. */
static void doubles_refuse(struct offer *offers, size_t count, struct arena *a)
{
        for (size_t i = 0; i < count; i++)
                for (size_t j = 0; j < i && offers[i].state == OFFER_PUBLISHED && !offers[i].is_models; j++) {
                        const struct store_service like = {
                                .hosts = text_of_texts(a, &offers[j].hosts),
                                .paths = text_of_texts(a, &(struct schema_texts){ &offers[j].path, 1 })
                        };

                        if (offers[j].is_models || offers[j].state != OFFER_PUBLISHED ||
                            (!str_eq(offers[i].name, offers[j].name) && !is_at(&like, &offers[i], a)))
                                continue;
                        offers[i].state = OFFER_REFUSED;
                        offers[i].service = 0;
                        offers[i].why =
                                "another container of this agent asks for the same name, or host and path";
                }
}

/* ---- reading ---- */

static void report_read(struct looking *l, const struct json_value *root, struct offer *offers, size_t *count)
{
        const struct json_value *models = json_find(root, STR("models")),
                                *labels = json_find(root, STR("offers"));

        for (size_t i = 0; json_is(models, JSON_ARRAY) && i < models->count && *count < OFFERS_MAX; i++) {
                const struct json_value *v = json_item(models, i), *names = json_find(v, STR("names"));
                struct str url = json_str(json_find(v, STR("url")));

                if (url.len == 0)
                        continue;
                offers[(*count)++] = (struct offer){ .is_models = true,
                                                     .url = url,
                                                     .name = name_make(l, STR("models")),
                                                     .why = "",
                                                     .models = names ? texts_of_text(l->a, names->raw)
                                                                     : (struct schema_texts){ 0 } };
        }
        for (size_t i = 0; json_is(labels, JSON_ARRAY) && i < labels->count && *count < OFFERS_MAX; i++) {
                const struct json_value *v = json_item(labels, i), *hosts = json_find(v, STR("hosts"));

                offers[(*count)++] = (struct offer){ .name = json_str(json_find(v, STR("name"))),
                                                     .url = json_str(json_find(v, STR("url"))),
                                                     .path = json_str(json_find(v, STR("path"))),
                                                     .access = json_str(json_find(v, STR("access"))),
                                                     .why = "",
                                                     .hosts = hosts ? texts_of_text(l->a, hosts->raw)
                                                                    : (struct schema_texts){ 0 } };
        }
}

static enum err look(struct looking *l, struct offer **out, size_t *count)
{
        struct offer *offers = ARENA_ARRAY(l->a, struct offer, OFFERS_MAX);
        const struct json_value *root;
        enum err e;

        *count = 0;
        *out = offers;
        if (!offers)
                return ERR_NO_MEMORY;
        if (l->agent->facts.len && json_read_strict(l->a, l->agent->facts, NULL, &root) == ERR_OK)
                report_read(l, root, offers, count);
        if ((*count || l->targets_count) && (e = services_read(l)) != ERR_OK)
                return e;
        for (size_t i = 0; i < *count; i++)
                if (offers[i].is_models)
                        models_judge(l, &offers[i]);
                else
                        container_judge(l, &offers[i]);
        doubles_refuse(offers, *count, l->a);
        return l->a->full ? ERR_NO_MEMORY : ERR_OK;
}

enum err offers_look(struct store_txn *t, const struct store_node *agent, struct arena *a, struct offer **out,
                     size_t *count)
{
        struct looking l;
        enum err e = looking_init(&l, t, agent, a);

        return e == ERR_OK ? look(&l, out, count) : e;
}

/* ---- applying ---- */

struct applying {
        struct looking l;
        struct store_change *c; /* begun with the first thing to do */
        struct store_actor actor;
        char actor_text[OWNER_BYTES];
};

static struct store_change *change(struct applying *p)
{
        if (!p->c) {
                snprintf(p->actor_text, sizeof(p->actor_text), "node/%" PRId64, p->l.agent->id);
                p->actor = (struct store_actor){ str_of(p->actor_text), STR("report") };
                p->c = store_change_begin(p->l.t, p->l.agent->org, &p->actor, "offer.apply");
        }
        return p->c;
}

static enum err target_add_row(struct applying *p, int64_t service, struct str url)
{
        struct store_target row = { .org = p->l.agent->org,
                                    .service = service,
                                    .node = p->l.agent->id,
                                    .url = url,
                                    .weight = 1,
                                    .is_enabled = true,
                                    .health = STR("{}"),
                                    .settings = STR("{}"),
                                    .created = store_now(p->l.t) };

        return store_target_add(change(p), &row);
}

static enum err service_add_row(struct applying *p, const struct offer *o, int64_t *id)
{
        struct arena *a = p->l.a;
        struct str path = o->path.len ? o->path : STR("/");
        const struct schema_texts paths = { &path, 1 };
        struct store_service row = { .org = p->l.agent->org,
                                     .name = o->name,
                                     .kind = o->is_models ? STORE_SERVICE_LLM : STORE_SERVICE_HTTP,
                                     .hosts = text_of_texts(a, &o->hosts),
                                     .paths = text_of_texts(a, &paths),
                                     .listen = STR("[]"),
                                     .access = arena_format(a, "{\"kind\":\"%.*s\",\"allowedIps\":[]}",
                                                            STR_FMT(o->access)),
                                     .settings = STR("{}"),
                                     .is_enabled = true,
                                     .owner = p->l.owner,
                                     .created = store_now(p->l.t) };
        enum err e = store_service_add(change(p), &row);

        *id = row.id;
        if (e == ERR_OK)
                log_info("offer_published", LOG_S("agent", p->l.agent->name), LOG_S("service", o->name));
        return e;
}

/* Found servers of models become targets of one service of the agent's; it is not ended when they are away for a while. */
static enum err models_publish(struct applying *p, const struct offer *offers, size_t count)
{
        int64_t id = 0;
        enum err e = ERR_OK;

        for (size_t i = 0; i < p->l.services_count; i++)
                if (is_own(&p->l, &p->l.services[i]) && p->l.services[i].kind == STORE_SERVICE_LLM)
                        id = p->l.services[i].id;
        for (size_t i = 0; i < count && e == ERR_OK; i++) {
                if (!offers[i].is_models || offers[i].state != OFFER_WAITING)
                        continue;
                for (size_t j = 0; !id && j < p->l.services_count; j++)
                        if (str_eq(p->l.services[j].name, offers[i].name))
                                return ERR_OK; /* somebody has the name: by hand, then */
                if (!id)
                        e = service_add_row(p, &offers[i], &id);
                if (e == ERR_OK)
                        e = target_add_row(p, id, offers[i].url);
        }
        return e;
}

static bool is_as_wanted(struct applying *p, const struct store_service *s, const struct offer *o)
{
        struct arena *a = p->l.a;
        const struct schema_texts paths = { (struct str *)(uintptr_t)&o->path, 1 };
        struct str access = arena_format(a, "{\"kind\":\"%.*s\",\"allowedIps\":[]}", STR_FMT(o->access));
        bool same = str_eq(s->hosts, text_of_texts(a, &o->hosts)) &&
                    str_eq(s->paths, text_of_texts(a, &paths)) && str_eq(s->access, access);
        size_t count = 0;

        for (size_t i = 0; i < p->l.targets_count; i++)
                if (p->l.targets[i].service == s->id) {
                        same &= str_eq(p->l.targets[i].url, o->url);
                        count++;
                }
        return same && count == 1;
}

/* What was published for a reason that is gone, or looks different now. */
static enum err old_end(struct applying *p, const struct offer *offers, size_t count)
{
        for (size_t i = 0; i < p->l.services_count; i++) {
                struct store_service *s = &p->l.services[i];
                bool stays = s->kind == STORE_SERVICE_LLM && p->l.grants.models;
                enum err e;

                if (!is_own(&p->l, s))
                        continue;
                for (size_t j = 0; j < count && !stays; j++)
                        stays = !offers[j].is_models && offers[j].state == OFFER_PUBLISHED &&
                                offers[j].service == s->id && is_as_wanted(p, s, &offers[j]);
                if (stays)
                        continue;
                log_info("offer_ended", LOG_S("agent", p->l.agent->name), LOG_S("service", s->name));
                if ((e = store_service_retire(change(p), s->org, s->id, 0)) != ERR_OK)
                        return e;
                s->id = 0;
        }
        return ERR_OK;
}

static enum err containers_publish(struct applying *p, const struct offer *offers, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                const struct offer *o = &offers[i];
                int64_t id;
                enum err e;

                if (o->state == OFFER_REFUSED)
                        log_warning("offer_refused", LOG_S("agent", p->l.agent->name),
                                    LOG_S("service", o->name), LOG_C("why", o->why));
                if (o->is_models || o->state != OFFER_PUBLISHED ||
                    (o->service && service_of(&p->l, o->service)))
                        continue;
                if ((e = service_add_row(p, o, &id)) != ERR_OK ||
                    (e = target_add_row(p, id, o->url)) != ERR_OK)
                        return e;
        }
        return ERR_OK;
}

enum err offers_apply(struct store_txn *t, const struct store_node *agent, struct arena *a)
{
        struct applying p = { 0 };
        struct offer *offers;
        size_t count;
        enum err e = looking_init(&p.l, t, agent, a);

        if (e != ERR_OK || agent->kind != STORE_AGENT || agent->state != STORE_NODE_ACTIVE ||
            (e = look(&p.l, &offers, &count)) != ERR_OK)
                return e;
        if ((e = old_end(&p, offers, count)) == ERR_OK &&
            (e = containers_publish(&p, offers, count)) == ERR_OK && p.l.grants.models)
                e = models_publish(&p, offers, count);
        return e == ERR_OK && p.c ? store_change_finish(p.c) : e;
}

enum err offers_apply_all(struct store_txn *t, int64_t org, struct arena *a)
{
        struct store_page page = { .org = org };
        struct store_node *rows;
        struct arena one; /* what judging an agent takes, all services among it: not of all agents at once */
        enum err e;

        arena_init(&one, NULL, 0, AGENT_BYTES_MAX);
        do {
                e = store_node_list_of(t, STORE_AGENT, &page, a, &rows);
                for (size_t i = 0; e == ERR_OK && i < page.count; i++) {
                        page.after = rows[i].id;
                        arena_reset(&one);
                        e = offers_apply(t, &rows[i], &one);
                }
        } while (e == ERR_OK && page.has_more);
        arena_fini(&one);
        return e;
}

enum err offers_end(struct store_txn *t, const struct store_node *agent, struct arena *a)
{
        struct applying p = { 0 };
        enum err e = looking_init(&p.l, t, agent, a);

        p.l.grants = (struct offer_grants){ 0 };
        if (e != ERR_OK || p.l.targets_count == 0 || (e = services_read(&p.l)) != ERR_OK ||
            (e = old_end(&p, NULL, 0)) != ERR_OK)
                return e;
        return p.c ? store_change_finish(p.c) : ERR_OK;
}

/* ---- reports ---- */

struct schema_texts offers_models_at(struct str report, struct str url, struct arena *a)
{
        const struct json_value *root, *models, *names;

        if (report.len == 0 || json_read_strict(a, report, NULL, &root) != ERR_OK)
                return (struct schema_texts){ 0 };
        models = json_find(root, STR("models"));
        for (size_t i = 0; json_is(models, JSON_ARRAY) && i < models->count; i++) {
                const struct json_value *v = json_item(models, i);

                if (urls_are_same(json_str(json_find(v, STR("url"))), url) &&
                    (names = json_find(v, STR("names"))))
                        return texts_of_text(a, names->raw);
        }
        return (struct schema_texts){ 0 };
}

static struct str part_of(const struct json_value *root, struct str key)
{
        const struct json_value *v = json_find(root, key);

        return v ? v->raw : STR("[]");
}

bool offers_are_same(struct str report, struct str other, struct arena *a)
{
        const struct json_value *x, *y;

        if (str_eq(report, other))
                return true;
        if (json_read_strict(a, report.len ? report : STR("{}"), NULL, &x) != ERR_OK ||
            json_read_strict(a, other.len ? other : STR("{}"), NULL, &y) != ERR_OK)
                return false;
        return str_eq(part_of(x, STR("models")), part_of(y, STR("models"))) &&
               str_eq(part_of(x, STR("offers")), part_of(y, STR("offers")));
}
