/* Upward uses and SSH logins that a change gives or takes. */
#include <stdlib.h>
#include <string.h>

#include "policy/diff_priv.h"
#include "policy/gate.h"
#include "policy/ssh.h"

/* ---- uses ---- */

/* A unit's conditions and limits as text: two ways with equal texts are the same way. */
static void way_text(const struct policy_tables *t, const struct policy_unit *u, struct buf *out)
{
        const struct policy_file *f = t->units->file;
        const struct policy_rule *r = u->rule;
        const struct json_value *limits = json_find(r->app, STR(POLICY_CAP_LIMITS));

        /* By what they ask: a posture may change under its name, and come to stand elsewhere. */
        for (size_t i = 0; u->posture != POLICY_BIT_NONE && i < t->units->postures[u->posture].count; i++) {
                const struct policy_posture *p = &f->postures[t->units->postures[u->posture].postures[i]];

                buf_add(out, STR("posture "));
                for (size_t j = 0; j < p->conditions_count; j++)
                        buf_addf(out, "%.*s; ", STR_FMT(p->conditions[j].text));
        }
        if (r->when)
                buf_add(out, r->when->text);
        if (limits)
                buf_add(out, limits->raw);
        buf_add_char(out, '\n');
}

static int line_order(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* All ways of that class to that resource, sorted, as one text; empty: none. */
static void ways_text(const struct policy_tables *t, const struct policy_class *class,
                      const struct policy_resource *what, struct arena *scratch, struct buf *out)
{
        struct str *lines = ARENA_ARRAY(scratch, struct str, t->units->upward_count + 1);
        size_t count = 0;
        struct buf one;

        buf_clear(out);
        buf_init(&one, 1 << 20);
        for (uint32_t i = 0; lines && i < t->units->upward_count; i++) {
                uint32_t n = t->units->upward[i];

                if (!policy_set_has(class ? class->asker : t->stranger, n) ||
                    !policy_unit_names(t, &t->units->items[n], what))
                        continue;
                buf_clear(&one);
                way_text(t, &t->units->items[n], &one);
                lines[count++] = arena_copy(scratch, buf_str(&one));
        }
        buf_fini(&one);
        if (lines)
                qsort(lines, count, sizeof(*lines), line_order);
        for (size_t i = 0; i < count; i++)
                if (!i || !str_eq(lines[i], lines[i - 1]))
                        buf_add(out, lines[i]);
}

static void use_compare(struct policy_comparison *c, struct str who, const struct policy_class *was_class,
                        const struct policy_class *is_class, enum policy_alias_kind kind, struct str name)
{
        static const char *const kinds[] = { "service", "model", "provider", "tool" };
        struct policy_resource what = { .kind = kind, .name = name };
        struct buf was, is;

        buf_init(&was, 16 << 20);
        buf_init(&is, 16 << 20);
        ways_text(c->before, was_class, &what, &c->scratch, &was);
        ways_text(c->after, is_class, &what, &c->scratch, &is);
        if (!str_eq(buf_str(&was), buf_str(&is))) {
                enum policy_change_kind change = !was.len  ? CHANGE_GAINED
                                                 : !is.len ? CHANGE_LOST
                                                           : CHANGE_ALTERED;
                struct str where =
                        arena_format(&c->scratch, "%s:%.*s", kinds[kind - ALIAS_SERVICE], STR_FMT(name));

                policy_diff_add(c, change, who, where,
                                change == CHANGE_ALTERED ? STR("conditions or limits") : STR("use"));
        }
        buf_fini(&was);
        buf_fini(&is);
        arena_reset(&c->scratch);
}

static void uses_compare(struct policy_comparison *c, struct str who, const struct policy_class *was,
                         const struct policy_class *is)
{
        const struct policy_facts *f = c->before->facts;

        for (size_t i = 0; i < f->services_count; i++)
                use_compare(c, who, was, is, ALIAS_SERVICE, f->services[i].name);
        for (size_t i = 0; i < f->models_count; i++)
                use_compare(c, who, was, is, ALIAS_MODEL, f->models[i].name);
        for (size_t i = 0; i < f->providers_count; i++)
                use_compare(c, who, was, is, ALIAS_PROVIDER, f->providers[i]);
        for (size_t i = 0; i < f->tools_count; i++)
                use_compare(c, who, was, is, ALIAS_TOOL, f->tools[i]);
}

void policy_diff_uses(struct policy_comparison *c)
{
        const struct policy_facts *f = c->before->facts;

        if (!c->before->units->upward_count && !c->after->units->upward_count)
                return;
        for (size_t i = 0; i < f->users_count; i++) {
                struct str who = f->users[i]->email.len ? f->users[i]->email : f->users[i]->id;

                uses_compare(c, who, c->before->users[i].class, c->after->users[i].class);
        }
        for (size_t i = 0; i < f->nodes_count; i++)
                if (f->nodes[i]->tags_count)
                        uses_compare(c, policy_tags_text(&c->out->arena, f->nodes[i]),
                                     c->before->nodes[i].class, c->after->nodes[i].class);
        uses_compare(c, STR("anonymous"), NULL, NULL);
}

/* ---- ssh ---- */

/* "alice@example.com\nroot (check)" for each person, or set of tags, and login that a node lets in. */
struct entries {
        struct str *items;
        size_t count, cap;
};

static void entry_add(struct arena *arena, struct entries *e, struct str text)
{
        if (e->count == e->cap) {
                size_t cap = e->cap ? e->cap * 2 : 32;
                struct str *items = ARENA_ARRAY(arena, struct str, cap);

                if (!items)
                        return;
                if (e->count)
                        memcpy(items, e->items, e->count * sizeof(*items));
                e->items = items;
                e->cap = cap;
        }
        e->items[e->count++] = text;
}

static struct str principal_text(struct arena *arena, const struct policy_tables *t, struct ip ip)
{
        const struct policy_address *a = policy_tables_find_address(t, ip);

        if (!a)
                return STR("?");
        if (a->user)
                return a->user->email.len ? a->user->email : a->user->id;
        return policy_tags_text(arena, a->node);
}

static struct entries entries_of(struct policy_comparison *c, const struct policy_tables *t,
                                 struct policy_ssh_set *set, size_t index)
{
        struct policy_ssh_out *rules;
        struct entries e = { 0 };
        size_t count;

        if (!policy_ssh_rules(set, &c->scratch, &t->nodes[index], &rules, &count)) {
                c->out->no_memory = true;
                return e;
        }
        for (size_t i = 0; i < count; i++)
                for (size_t j = 0; j < rules[i].principals_count; j++)
                        for (size_t k = 0; k < rules[i].logins_count; k++) {
                                const struct policy_login *l = &rules[i].logins[k];

                                if (!l->to.len)
                                        continue;
                                entry_add(&c->scratch, &e,
                                          arena_format(&c->scratch, "%.*s\n%.*s (%s)",
                                                       STR_FMT(principal_text(&c->scratch, t,
                                                                              rules[i].principals[j])),
                                                       STR_FMT(str_eq(l->from, STR("*"))
                                                                       ? STR("any login but root")
                                                                       : l->from),
                                                       rules[i].rule->action == POLICY_SSH_CHECK ? "check"
                                                                                                 : "accept"));
                        }
        if (e.count)
                qsort(e.items, e.count, sizeof(*e.items), line_order);
        return e;
}

static void entries_less(struct policy_comparison *c, const struct entries *whole, const struct entries *less,
                         enum policy_change_kind kind, struct str where)
{
        for (size_t i = 0; i < whole->count; i++) {
                if ((i && str_eq(whole->items[i], whole->items[i - 1])) ||
                    (less->count &&
                     bsearch(&whole->items[i], less->items, less->count, sizeof(struct str), line_order)))
                        continue;
                size_t cut = str_find_char(whole->items[i], '\n');
                policy_diff_add(c, kind, str_sub(whole->items[i], 0, cut), where,
                                str_from(whole->items[i], cut + 1));
        }
}

void policy_diff_ssh(struct policy_comparison *c)
{
        struct policy_ssh_set *was = policy_ssh_set_new(c->before), *is = policy_ssh_set_new(c->after);

        c->out->no_memory |= !was || !is;
        for (size_t i = 0; was && is && i < c->before->facts->nodes_count; i++) {
                struct entries before = entries_of(c, c->before, was, i),
                               after = entries_of(c, c->after, is, i);
                struct str where =
                        arena_format(&c->scratch, "ssh %.*s",
                                     STR_FMT(policy_node_label(&c->scratch, &c->before->nodes[i])));

                entries_less(c, &after, &before, CHANGE_GAINED, where);
                entries_less(c, &before, &after, CHANGE_LOST, where);
                arena_reset(&c->scratch);
        }
        policy_ssh_set_free(was);
        policy_ssh_set_free(is);
}
