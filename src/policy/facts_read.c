/* A text of facts into records. Order does not matter; what is unknown is an error that names the nearest. */
#include <stdio.h>
#include <stdlib.h>

#include "policy/facts_read_priv.h"
#include "json/reader.h"

enum { ARENA_BYTES_MAX = 1024 * 1024 * 1024, FACTS_VALUES_MAX = 32 * 1024 * 1024 };

struct facts_reader {
        struct policy_reader r; /* first: member functions get &this->r */
        struct policy_facts_draft *draft;
        bool may_remove;
};

struct policy_facts_draft *policy_draft_of(struct policy_reader *r)
{
        return ((struct facts_reader *)(void *)r)->draft;
}

struct str policy_fact_kept(struct policy_reader *r, struct str text)
{
        struct str copy = arena_copy(&policy_draft_of(r)->batch->arena, text);

        r->no_memory |= copy.ptr == NULL;
        return copy;
}

/* Records and what they point to live in the batch, not with the JSON tree. */
#define BATCH_ARRAY(r, type, n) ((type *)policy_fact_alloc((r), (n), sizeof(type), _Alignof(type)))

void *policy_fact_alloc(struct policy_reader *r, size_t count, size_t size, size_t align)
{
        void *memory = arena_calloc(&policy_draft_of(r)->batch->arena, count ? count : 1, size, align);

        r->no_memory |= memory == NULL;
        return memory;
}

void policy_fact_text(struct policy_reader *r, const struct json_value *v, const char *what, struct str *out)
{
        struct str text = STR_NULL;

        policy_read_text(r, v, what, &text);
        if (text.ptr)
                *out = policy_fact_kept(r, text);
}

/* An id or a reference to one: a text, or a number as it was written. */
void policy_fact_id(struct policy_reader *r, const struct json_value *v, const char *what, struct str *out)
{
        if (json_is(v, JSON_NUMBER))
                *out = policy_fact_kept(r, v->text);
        else
                policy_fact_text(r, v, what, out);
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
                policy_fact_id(r, &v->items[i], what, &texts[(*count)++]);
        *out = texts;
}

/* ---- users ---- */

static void user_id(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_fact_id(r, v, "id", &((struct policy_user *)into)->id);
}

static void user_email(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_fact_text(r, v, "email", &((struct policy_user *)into)->email);
}

static void user_name(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_fact_text(r, v, "name", &((struct policy_user *)into)->name);
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
        struct policy_facts_draft *d = policy_draft_of(r);

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
        policy_fact_id(r, v, "id", &((struct policy_node *)into)->id);
}

static void node_name(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_fact_text(r, v, "name", &((struct policy_node *)into)->name);
}

static void node_user(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_fact_id(r, v, "user", &((struct policy_node *)into)->user);
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

void policy_fact_addresses(struct policy_reader *r, const struct json_value *v, const struct ip **out,
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

        policy_fact_addresses(r, v, &n->addresses, &n->addresses_count);
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

                a->name = policy_fact_kept(r, v->members[i].key);
                if (json_is(value, JSON_STRING) || json_is(value, JSON_NUMBER)) {
                        a->value.type = json_is(value, JSON_STRING) ? VALUE_STRING : VALUE_NUMBER;
                        a->value.text = policy_fact_kept(r, value->text);
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
        struct policy_facts_draft *d = policy_draft_of(r);

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

/* ---- the rest ---- */

static void domains_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = policy_draft_of(r);

        d->has_domains = true;
        texts_keep(r, v, "domains", 1000, (const struct str **)&d->domains, &d->domains_count);
}

static void network_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_draft_of(r)->has_network = true;
        policy_fact_text(r, v, "network", &policy_draft_of(r)->network);
}

static void time_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_draft_of(r)->has_now = true;
        if (policy_read_is(r, v, JSON_STRING, "time") &&
            units_parse_time(json_str(v), &policy_draft_of(r)->now) != ERR_OK)
                policy_fault(r, v, "time must be written like \"2027-01-31T00:00:00Z\"");
}

static void nodes_remove(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = policy_draft_of(r);

        texts_keep(r, v, "remove.nodes", POLICY_NODES_MAX, (const struct str **)&d->nodes_removed,
                   &d->nodes_removed_count);
}

static void users_remove(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_facts_draft *d = policy_draft_of(r);

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
        { STR_INIT("users"), users_read },
        { STR_INIT("nodes"), nodes_read },
        { STR_INIT("services"), policy_read_fact_services },
        { STR_INIT("models"), policy_read_fact_models },
        { STR_INIT("tools"), policy_read_fact_tools },
        { STR_INIT("providers"), policy_read_fact_providers },
        { STR_INIT("domains"), domains_read },
        { STR_INIT("network"), network_read },
        { STR_INIT("time"), time_read },
        { STR_INIT("remove"), remove_read },
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
