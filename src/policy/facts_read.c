/* A text of facts into records. Order does not matter; what is unknown is an error that names the nearest. */
#include <stdio.h>
#include <stdlib.h>

#include "policy/facts_priv.h"
#include "json/reader.h"

enum { ARENA_BYTES_MAX = 1024 * 1024 * 1024, FACTS_VALUES_MAX = 32 * 1024 * 1024 };

struct facts_reader {
        struct policy_reader r; /* first: member functions get &this->r */
        struct policy_facts_draft *draft;
        bool may_remove;
};

static struct policy_facts_draft *draft_of(struct policy_reader *r)
{
        return ((struct facts_reader *)(void *)r)->draft;
}

static struct str kept(struct policy_reader *r, struct str text)
{
        struct str copy = arena_copy(&draft_of(r)->batch->arena, text);

        r->no_memory |= copy.ptr == NULL;
        return copy;
}

/* Records and what they point to live in the batch, not with the JSON tree. */
#define BATCH_ARRAY(r, type, n) ((type *)batch_alloc((r), (n), sizeof(type), _Alignof(type)))

static void *batch_alloc(struct policy_reader *r, size_t count, size_t size, size_t align)
{
        void *memory = arena_calloc(&draft_of(r)->batch->arena, count ? count : 1, size, align);

        r->no_memory |= memory == NULL;
        return memory;
}

static void text_keep(struct policy_reader *r, const struct json_value *v, const char *what, struct str *out)
{
        struct str text = STR_NULL;

        policy_read_text(r, v, what, &text);
        if (text.ptr)
                *out = kept(r, text);
}

/* An id or a reference to one: a text, or a number as it was written. */
static void id_keep(struct policy_reader *r, const struct json_value *v, const char *what, struct str *out)
{
        if (json_is(v, JSON_NUMBER))
                *out = kept(r, v->text);
        else
                text_keep(r, v, what, out);
}

static void texts_keep(struct policy_reader *r, const struct json_value *v, const char *what,
                       size_t count_max, const struct str **out, size_t *count)
{
        struct str *texts;

        *count = 0;
        if (!policy_read_is(r, v, JSON_ARRAY, what))
                return;
        if (v->count > count_max) {
                policy_fault(r, v, "%s has %zu entries; the limit is %zu", what, v->count, count_max);
                return;
        }
        if (!(texts = BATCH_ARRAY(r, struct str, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++)
                id_keep(r, &v->items[i], what, &texts[(*count)++]);
        *out = texts;
}

/* ---- users ---- */

static void user_id(struct policy_reader *r, void *into, const struct json_value *v)
{
        id_keep(r, v, "id", &((struct policy_user *)into)->id);
}

static void user_email(struct policy_reader *r, void *into, const struct json_value *v)
{
        text_keep(r, v, "email", &((struct policy_user *)into)->email);
}

static void user_name(struct policy_reader *r, void *into, const struct json_value *v)
{
        text_keep(r, v, "name", &((struct policy_user *)into)->name);
}

static void user_role(struct policy_reader *r, void *into, const struct json_value *v)
{
        if (policy_read_is(r, v, JSON_STRING, "role") &&
            !policy_role_find(json_str(v), &((struct policy_user *)into)->role))
                policy_fault(
                        r, v,
                        "role \"%.*s\" is none of owner, admin, it-admin, network-admin, billing-admin, auditor, "
                        "member",
                        (int)MIN(v->text.len, (size_t)32), v->text.ptr);
}

static void user_type(struct policy_reader *r, void *into, const struct json_value *v)
{
        if (policy_read_is(r, v, JSON_STRING, "type")) {
                ((struct policy_user *)into)->is_shared = str_eq(json_str(v), STR("shared"));
                if (!str_eq(json_str(v), STR("shared")) && !str_eq(json_str(v), STR("member")))
                        policy_fault(r, v, "type must be \"member\" or \"shared\"");
        }
}

static void user_groups(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_user *u = into;

        texts_keep(r, v, "groups", 100000, &u->groups, &u->groups_count);
}

static const struct policy_member user_members[] = {
        { STR_INIT("id"), user_id },     { STR_INIT("email"), user_email },
        { STR_INIT("name"), user_name }, { STR_INIT("role"), user_role },
        { STR_INIT("type"), user_type }, { STR_INIT("groups"), user_groups },
};

static void users_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = draft_of(r);

        if (!policy_read_is(r, v, JSON_ARRAY, "users"))
                return;
        if (v->count > POLICY_USERS_MAX) {
                policy_fault(r, v, "there are %zu users; the limit is %d", v->count, POLICY_USERS_MAX);
                return;
        }
        if (!(d->users = BATCH_ARRAY(r, struct policy_user, v->count)))
                return;
        for (size_t i = 0; i < v->count && !r->no_memory; i++) {
                struct policy_user *u = &d->users[d->users_count++];
                char what[32];

                snprintf(what, sizeof(what), "users[%zu]", i);
                u->batch = d->batch;
                policy_read_object(r, &v->items[i], what, user_members, ARRAY_SIZE(user_members), u);
                if (!u->name.len) /* the short name is what stands before the @ */
                        u->name = str_sub(u->email, 0, MIN(str_find_char(u->email, '@'), u->email.len));
                if (!u->id.len)
                        u->id = u->email.len ? u->email : u->name;
                if (!u->id.len)
                        policy_fault(r, &v->items[i], "%s has no id", what);
        }
}

/* ---- nodes ---- */

static void node_id(struct policy_reader *r, void *into, const struct json_value *v)
{
        id_keep(r, v, "id", &((struct policy_node *)into)->id);
}

static void node_name(struct policy_reader *r, void *into, const struct json_value *v)
{
        text_keep(r, v, "name", &((struct policy_node *)into)->name);
}

static void node_user(struct policy_reader *r, void *into, const struct json_value *v)
{
        id_keep(r, v, "user", &((struct policy_node *)into)->user);
}

static void node_tags(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_node *n = into;

        texts_keep(r, v, "tags", POLICY_NODE_TAGS_MAX, &n->tags, &n->tags_count);
        for (size_t i = 0; i < n->tags_count; i++)
                if (!str_has_prefix(n->tags[i], STR("tag:")))
                        policy_fault(r, &v->items[i], "\"%.*s\": tags must start with 'tag:'",
                                     (int)MIN(n->tags[i].len, (size_t)64), n->tags[i].ptr);
}

static void prefixes_read(struct policy_reader *r, const struct json_value *v, const char *what,
                          size_t count_max, const struct ip_prefix **out, size_t *count)
{
        struct ip_prefix *prefixes;

        *count = 0;
        if (!policy_read_is(r, v, JSON_ARRAY, what))
                return;
        if (v->count > count_max) {
                policy_fault(r, v, "%s has %zu entries; the limit is %zu", what, v->count, count_max);
                return;
        }
        if (!(prefixes = BATCH_ARRAY(r, struct ip_prefix, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                struct ip_prefix *p = &prefixes[*count];
                struct str text = json_str(&v->items[i]);

                if (ip_prefix_parse(policy_text_trim(text), p) != ERR_OK) {
                        policy_fault(r, &v->items[i], "%s: \"%.*s\": invalid address", what,
                                     (int)MIN(text.len, (size_t)64), text.ptr ? text.ptr : "");
                        continue;
                }
                p->ip = ip_masked(p->ip, p->bits);
                (*count)++;
        }
        *out = prefixes;
}

static void addresses_read(struct policy_reader *r, const struct json_value *v, const struct ip **out,
                           size_t *count)
{
        const struct ip_prefix *prefixes;
        size_t prefixes_count;
        struct ip *ips;

        *count = 0;
        prefixes_read(r, v, "addresses", POLICY_NODE_ADDRESSES_MAX, &prefixes, &prefixes_count);
        if (!prefixes_count || !(ips = BATCH_ARRAY(r, struct ip, prefixes_count)))
                return;
        for (size_t i = 0; i < prefixes_count; i++) {
                if (prefixes[i].bits != (prefixes[i].ip.family == 4 ? 32 : 128))
                        policy_fault(r, &v->items[i], "addresses are single addresses, not CIDRs");
                ips[(*count)++] = prefixes[i].ip;
        }
        *out = ips;
}

static void node_addresses(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_node *n = into;

        addresses_read(r, v, &n->addresses, &n->addresses_count);
}

static void node_advertised(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_node *n = into;

        prefixes_read(r, v, "advertisedRoutes", POLICY_NODE_ROUTES_MAX, &n->advertised, &n->advertised_count);
}

static void node_approved(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_node *n = into;

        prefixes_read(r, v, "approvedRoutes", POLICY_NODE_ROUTES_MAX, &n->approved, &n->approved_count);
}

static int attr_order(const void *a, const void *b)
{
        return str_cmp(((const struct policy_attr *)a)->name, ((const struct policy_attr *)b)->name);
}

static void node_attributes(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_node *n = into;
        struct policy_attr *attrs;

        if (!policy_read_is(r, v, JSON_OBJECT, "attributes") ||
            !(attrs = BATCH_ARRAY(r, struct policy_attr, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                const struct json_value *value = &v->members[i].value;
                struct policy_attr *a = &attrs[n->attrs.count];

                a->name = kept(r, v->members[i].key);
                if (json_is(value, JSON_STRING) || json_is(value, JSON_NUMBER)) {
                        a->value.type = json_is(value, JSON_STRING) ? VALUE_STRING : VALUE_NUMBER;
                        a->value.text = kept(r, value->text);
                } else if (json_is(value, JSON_BOOL)) {
                        a->value = (struct policy_value){ .type = VALUE_BOOL, .boolean = value->boolean };
                } else if (!json_is(value, JSON_NULL)) {
                        policy_fault(r, value, "an attribute is a text, a number, true or false");
                }
                n->attrs.count += !json_is(value, JSON_NULL);
        }
        qsort(attrs, n->attrs.count, sizeof(*attrs), attr_order);
        n->attrs.items = attrs;
}

static const struct policy_member node_members[] = {
        { STR_INIT("id"), node_id },
        { STR_INIT("name"), node_name },
        { STR_INIT("hostname"), NULL },
        { STR_INIT("user"), node_user },
        { STR_INIT("tags"), node_tags },
        { STR_INIT("addresses"), node_addresses },
        { STR_INIT("advertisedRoutes"), node_advertised },
        { STR_INIT("approvedRoutes"), node_approved },
        { STR_INIT("attributes"), node_attributes },
};

static void nodes_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = draft_of(r);

        if (!policy_read_is(r, v, JSON_ARRAY, "nodes"))
                return;
        if (v->count > POLICY_NODES_MAX) {
                policy_fault(r, v, "there are %zu nodes; the limit is %d", v->count, POLICY_NODES_MAX);
                return;
        }
        if (!(d->nodes = BATCH_ARRAY(r, struct policy_node, v->count)))
                return;
        for (size_t i = 0; i < v->count && !r->no_memory; i++) {
                struct policy_node *n = &d->nodes[d->nodes_count++];
                char what[32];

                snprintf(what, sizeof(what), "nodes[%zu]", i);
                n->batch = d->batch;
                policy_read_object(r, &v->items[i], what, node_members, ARRAY_SIZE(node_members), n);
                if (!n->id.len)
                        n->id = n->name;
                if (!n->id.len)
                        policy_fault(r, &v->items[i], "%s has no id", what);
                if (!n->user.len && !n->tags_count)
                        policy_fault(r, &v->items[i], "%s has neither user nor tags: it belongs to nobody",
                                     what);
        }
}

/* ---- services, models, providers, tools ---- */

static void service_name(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_service *s = into;

        text_keep(r, v, "name", &s->name);
        if (str_has_prefix(s->name, STR("svc:")))
                s->name = str_from(s->name, 4);
}

static void service_node(struct policy_reader *r, void *into, const struct json_value *v)
{
        id_keep(r, v, "node", &((struct policy_service *)into)->node);
}

static void service_addresses(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_service *s = into;

        addresses_read(r, v, &s->addresses, &s->addresses_count);
}

static void service_admin(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_flag(r, v, "admin", &((struct policy_service *)into)->is_admin);
}

static const struct policy_member service_members[] = {
        { STR_INIT("name"), service_name },
        { STR_INIT("node"), service_node },
        { STR_INIT("addresses"), service_addresses },
        { STR_INIT("admin"), service_admin },
};

static void model_name(struct policy_reader *r, void *into, const struct json_value *v)
{
        text_keep(r, v, "name", &((struct policy_model *)into)->name);
}

static void model_provider(struct policy_reader *r, void *into, const struct json_value *v)
{
        text_keep(r, v, "provider", &((struct policy_model *)into)->provider);
}

static const struct policy_member model_members[] = {
        { STR_INIT("name"), model_name },
        { STR_INIT("provider"), model_provider },
};

/* All records of these kinds begin with their name. */
static int name_order(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* A list of texts, or of objects with a name; sorted by name, which may stand once. */
static void *named_read(struct policy_reader *r, const struct json_value *v, const char *what, size_t size,
                        size_t align, const struct policy_member *members, size_t members_count,
                        size_t *count)
{
        char *items;

        *count = 0;
        if (!policy_read_is(r, v, JSON_ARRAY, what) || !(items = batch_alloc(r, v->count, size, align)))
                return NULL;
        for (size_t i = 0; i < v->count && !r->no_memory; i++) {
                void *item = items + *count * size;

                if (json_is(&v->items[i], JSON_STRING))
                        *(struct str *)item = kept(r, json_str(&v->items[i]));
                else
                        policy_read_object(r, &v->items[i], what, members, members_count, item);
                if (((struct str *)item)->len)
                        (*count)++;
                else
                        policy_fault(r, &v->items[i], "%s[%zu] has no name", what, i);
        }
        qsort(items, *count, size, name_order);
        for (size_t i = 1; i < *count; i++)
                if (name_order(items + (i - 1) * size, items + i * size) == 0)
                        policy_fault(r, v, "%s: \"%.*s\" stands twice", what,
                                     STR_FMT(*(struct str *)(void *)(items + i * size)));
        return items;
}

static void services_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = draft_of(r);

        d->has_services = true;
        d->services = named_read(r, v, "services", sizeof(*d->services), _Alignof(struct policy_service),
                                 service_members, ARRAY_SIZE(service_members), &d->services_count);
}

static void models_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = draft_of(r);

        d->has_models = true;
        d->models = named_read(r, v, "models", sizeof(*d->models), _Alignof(struct policy_model),
                               model_members, ARRAY_SIZE(model_members), &d->models_count);
}

static void providers_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = draft_of(r);

        d->has_providers = true;
        d->providers = named_read(r, v, "providers", sizeof(struct str), _Alignof(struct str), model_members,
                                  1, &d->providers_count);
}

static void tools_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = draft_of(r);

        d->has_tools = true;
        d->tools = named_read(r, v, "tools", sizeof(struct str), _Alignof(struct str), model_members, 1,
                              &d->tools_count);
}

/* ---- the rest ---- */

static void domains_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = draft_of(r);

        d->has_domains = true;
        texts_keep(r, v, "domains", 1000, (const struct str **)&d->domains, &d->domains_count);
}

static void network_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        draft_of(r)->has_network = true;
        text_keep(r, v, "network", &draft_of(r)->network);
}

static void time_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        draft_of(r)->has_now = true;
        if (policy_read_is(r, v, JSON_STRING, "time") &&
            units_parse_time(json_str(v), &draft_of(r)->now) != ERR_OK)
                policy_fault(r, v, "time must be written like \"2027-01-31T00:00:00Z\"");
}

static void nodes_remove(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = draft_of(r);

        texts_keep(r, v, "remove.nodes", POLICY_NODES_MAX, (const struct str **)&d->nodes_removed,
                   &d->nodes_removed_count);
}

static void users_remove(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = draft_of(r);

        texts_keep(r, v, "remove.users", POLICY_USERS_MAX, (const struct str **)&d->users_removed,
                   &d->users_removed_count);
}

static void remove_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        static const struct policy_member members[] = { { STR_INIT("nodes"), nodes_remove },
                                                        { STR_INIT("users"), users_remove } };

        if (!((struct facts_reader *)(void *)r)->may_remove)
                policy_fault(r, v, "\"remove\" only has a meaning in a patch");
        policy_read_object(r, v, "remove", members, ARRAY_SIZE(members), NULL);
}

static const struct policy_member facts_members[] = {
        { STR_INIT("users"), users_read },       { STR_INIT("nodes"), nodes_read },
        { STR_INIT("services"), services_read }, { STR_INIT("models"), models_read },
        { STR_INIT("tools"), tools_read },       { STR_INIT("providers"), providers_read },
        { STR_INIT("domains"), domains_read },   { STR_INIT("network"), network_read },
        { STR_INIT("time"), time_read },         { STR_INIT("remove"), remove_read },
        { STR_INIT("$schema"), NULL },
};

enum err policy_facts_read(struct str text, bool may_remove, struct report *report,
                           struct policy_facts_draft *draft)
{
        struct json_options options = { .mode = JSON_HUJSON,
                                        .bytes_max = POLICY_FACTS_BYTES_MAX,
                                        .values_max = FACTS_VALUES_MAX,
                                        .nul_refused = true };
        struct policy_file none = { 0 };
        struct arena tree;
        struct facts_reader reader = { .r = { .arena = &tree, .report = report, .file = &none },
                                       .draft = draft,
                                       .may_remove = may_remove };
        size_t errors_before = report->errors_count;
        const struct json_value *root;

        arena_init(&tree, NULL, 0, ARENA_BYTES_MAX);
        enum err e = json_read(&tree, text, &options, report, &root);
        if (e == ERR_OK) {
                policy_read_object(&reader.r, root, "the facts", facts_members, ARRAY_SIZE(facts_members),
                                   NULL);
                e = reader.r.no_memory                     ? ERR_NO_MEMORY
                    : report->errors_count > errors_before ? ERR_CONFIG
                                                           : ERR_OK;
        }
        arena_fini(&tree);
        return e;
}
