/*
 * The capabilities of a node's own view: nodeAttrs and flags of the file, above those that every client expects from its
 * control server (captured; the client shows its sharing, SSH and admin functions by them).
 */
#include <stdlib.h>

#include "policy/wire_priv.h"

struct cap {
        struct str name;
        const struct json_value *value; /* an array, or NULL: null */
        struct str text;                /* instead: an array of this one text */
        bool is_false;                  /* instead: [false] */
};

struct caps {
        struct policy_writer *w;
        struct arena arena;
        struct cap *items;
        size_t count, cap;
};

static void cap_add(struct caps *c, struct cap cap)
{
        if (c->count == c->cap) {
                size_t more = c->cap ? c->cap * 2 : 32;
                struct cap *items = ARENA_ARRAY(&c->arena, struct cap, more);

                if (!items) {
                        c->w->no_memory = true;
                        return;
                }
                for (size_t i = 0; i < c->count; i++)
                        items[i] = c->items[i];
                c->items = items;
                c->cap = more;
        }
        c->items[c->count++] = cap;
}

static void name_add(struct caps *c, struct str name)
{
        cap_add(c, (struct cap){ .name = name });
}

/* Whether one of the node's tags is owned, perhaps through groups and tags, by that user: then it is in their hands. */
static bool is_owned_by(const struct policy_tables *t, const struct policy_node *node,
                        const struct policy_user_entry *owner)
{
        const struct policy_file *f = t->units->file;
        bool has_owner = false;

        for (size_t i = 0; i < node->tags_count; i++) {
                const struct policy_tag *tag = policy_file_find_tag(f, node->tags[i]);

                for (size_t j = 0; tag && j < tag->owners.count; j++) {
                        uint32_t subject = policy_subject_of(f, &tag->owners.items[j]);

                        has_owner = true;
                        if (tag->owners.items[j].kind == ALIAS_TAG ||
                            (subject != POLICY_SUBJECT_NONE &&
                             policy_subjects_contain(&owner->class->subjects, subject)))
                                return true;
                }
        }
        return !has_owner; /* a tag without owners is the administrators' */
}

static bool is_admin(const struct policy_facts *f, const struct policy_user *u)
{
        /* Facts that name no role at all say nothing against anybody; the client only shows a link by this. */
        return !f->has_roles || policy_role_may_edit(u->role) || u->role == ROLE_IT_ADMIN;
}

static void role_caps_add(struct caps *c, const struct policy_node_entry *e)
{
        const struct policy_tables *t = c->w->t;
        const struct policy_user *owner = policy_facts_owner(t->facts);
        const struct policy_user_entry *owner_entry = owner ? policy_tables_find_user(t, owner) : NULL;

        if (e->user ? e->user == owner : owner_entry && is_owned_by(t, e->node, owner_entry))
                name_add(c, STR("https://tailscale.com/cap/is-owner"));
        if (e->user && is_admin(t->facts, e->user))
                name_add(c, STR("https://tailscale.com/cap/is-admin"));
}

static void base_caps_add(struct caps *c, const struct policy_node_entry *e)
{
        static const struct str always[] = {
                STR_INIT("https://tailscale.com/cap/file-sharing"),
                STR_INIT("https://tailscale.com/cap/ssh"),
                STR_INIT("https://tailscale.com/cap/tailnet-lock"),
                STR_INIT("probe-udp-lifetime"),
                STR_INIT("ssh-behavior-v1"),
                STR_INIT("ssh-env-vars"),
                STR_INIT("store-appc-routes"),
        };
        const struct policy_facts *f = c->w->t->facts;
        const struct policy_user *owner = policy_facts_owner(f);
        struct str network = f->network.len ? f->network : owner ? owner->email : STR_NULL;

        for (size_t i = 0; i < ARRAY_SIZE(always); i++)
                name_add(c, always[i]);
        cap_add(c, (struct cap){ .name = STR("default-auto-update"), .is_false = true });
        if (network.len)
                cap_add(c, (struct cap){ .name = STR("tailnet-display-name"), .text = network });
        role_caps_add(c, e);
}

static void attr_caps_add(struct caps *c, const struct policy_node_entry *e)
{
        const struct policy_file *f = c->w->t->units->file;

        if (f->randomize_client_port)
                name_add(c, STR("randomize-client-port"));
        if (f->disable_ipv4)
                name_add(c, STR("disable-ipv4"));
        for (size_t i = 0; i < f->node_attrs_count; i++) {
                const struct policy_node_attr *a = &f->node_attrs[i];
                size_t n = 0;

                while (n < a->target.count && !policy_entry_matches(c->w->t, e, &a->target.items[n]))
                        n++;
                if (n == a->target.count)
                        continue;
                for (size_t j = 0; j < a->attrs_count; j++) {
                        name_add(c, a->attrs[j]);
                        if (str_eq(a->attrs[j], STR("funnel"))) /* and the ports it may use */
                                name_add(c,
                                         STR("https://tailscale.com/cap/funnel-ports?ports=443,8443,10000"));
                }
                for (size_t j = 0; a->app && j < a->app->count; j++)
                        cap_add(c, (struct cap){ .name = a->app->members[j].key,
                                                 .value = &a->app->members[j].value });
        }
}

static int cap_order(const void *a, const void *b)
{
        return str_cmp(((const struct cap *)a)->name, ((const struct cap *)b)->name);
}

/* All values that stand under one name, joined; null when none does. */
static void cap_write(const struct cap *caps, size_t count, struct json_writer *out)
{
        bool has_value = false;

        for (size_t i = 0; i < count; i++)
                has_value |= json_is(caps[i].value, JSON_ARRAY) || caps[i].text.len || caps[i].is_false;
        json_write_key(out, caps->name);
        if (!has_value) {
                json_write_null(out);
                return;
        }
        json_write_array_begin(out);
        for (size_t i = 0; i < count; i++) {
                for (size_t j = 0; json_is(caps[i].value, JSON_ARRAY) && j < caps[i].value->count; j++)
                        json_write_value(out, &caps[i].value->items[j]);
                if (caps[i].text.len)
                        json_write_str(out, caps[i].text);
                if (caps[i].is_false)
                        json_write_bool(out, false);
        }
        json_write_array_end(out);
}

void policy_write_caps(struct policy_writer *w, size_t index, struct json_writer *out)
{
        struct caps c = { .w = w };

        arena_init(&c.arena, NULL, 0, SIZE_MAX / 2);
        base_caps_add(&c, &w->t->nodes[index]);
        attr_caps_add(&c, &w->t->nodes[index]);
        if (c.count)
                qsort(c.items, c.count, sizeof(*c.items), cap_order);
        json_write_object_begin(out);
        for (size_t i = 0, n; i < c.count; i += n) {
                for (n = 1; i + n < c.count && str_eq(c.items[i + n].name, c.items[i].name); n++)
                        ;
                cap_write(&c.items[i], n, out);
        }
        json_write_object_end(out);
        arena_fini(&c.arena);
}
