#include "policy/diff.h"

#include <stdlib.h>
#include <string.h>

#include "policy/diff_priv.h"

enum { ARENA_BYTES_MAX = 512 * 1024 * 1024, SCRATCH_BYTES_MAX = 64 * 1024 * 1024 };

void policy_diff_add(struct policy_comparison *c, enum policy_change_kind kind, struct str who,
                     struct str where, struct str what)
{
        struct policy_diff *d = c->out;

        if (d->changes_count++ >= POLICY_CHANGES_MAX)
                return;
        if (d->changes_count > d->changes_cap) {
                size_t cap = d->changes_cap ? d->changes_cap * 2 : 64;
                struct policy_change *changes = ARENA_ARRAY(&d->arena, struct policy_change, cap);

                if (!changes) {
                        d->no_memory = true;
                        d->changes_count--;
                        return;
                }
                if (d->changes_cap)
                        memcpy(changes, d->changes, d->changes_cap * sizeof(*changes));
                d->changes = changes;
                d->changes_cap = cap;
        }
        d->changes[d->changes_count - 1] =
                (struct policy_change){ kind, arena_copy(&d->arena, who), arena_copy(&d->arena, where),
                                        arena_copy(&d->arena, what) };
}

struct str policy_tags_text(struct arena *arena, const struct policy_node *node)
{
        struct str text = STR("");

        for (size_t i = 0; i < node->tags_count; i++)
                text = arena_format(arena, "%.*s%s%.*s", STR_FMT(text), i ? "," : "", STR_FMT(node->tags[i]));
        return text;
}

struct str policy_node_label(struct arena *arena, const struct policy_node_entry *e)
{
        struct str name = e->node->name.len ? e->node->name : e->node->id, owner = STR("");

        if (e->node->tags_count)
                owner = policy_tags_text(arena, e->node);
        else if (e->user)
                owner = e->user->email.len ? e->user->email : e->user->id;
        return arena_format(arena, "%.*s (%.*s)", STR_FMT(name), STR_FMT(owner));
}

/* ---- joining: the same change of the same place for several principals is one line ---- */

static int change_order(const void *a, const void *b)
{
        const struct policy_change *x = a, *y = b;
        int order = str_cmp(x->where, y->where);

        if (!order)
                order = str_cmp(x->what, y->what);
        if (!order)
                order = (int)x->kind - (int)y->kind;
        return order ? order : str_cmp(x->who, y->who);
}

static int told_order(const void *a, const void *b)
{
        const struct policy_change *x = a, *y = b;
        int order = str_cmp(x->who, y->who);

        return order ? order : change_order(a, b);
}

enum { JOINED_MAX = 8 };

static void changes_join(struct policy_diff *d)
{
        size_t kept = 0, count = MIN(d->changes_count, (size_t)POLICY_CHANGES_MAX), n;

        if (!count)
                return;
        qsort(d->changes, count, sizeof(*d->changes), change_order);
        for (size_t i = 0; i < count; i += n) {
                struct policy_change c = d->changes[i];
                size_t named = 1;

                for (n = 1; i + n < count && str_eq(d->changes[i + n].where, c.where) &&
                            str_eq(d->changes[i + n].what, c.what) && d->changes[i + n].kind == c.kind;
                     n++) {
                        if (str_eq(d->changes[i + n].who, d->changes[i + n - 1].who))
                                continue;
                        if (++named <= JOINED_MAX)
                                c.who = arena_format(&d->arena, "%.*s, %.*s", STR_FMT(c.who),
                                                     STR_FMT(d->changes[i + n].who));
                }
                if (named > JOINED_MAX)
                        c.who = arena_format(&d->arena, "%.*s and %zu more", STR_FMT(c.who),
                                             named - JOINED_MAX);
                d->changes[kept++] = c;
        }
        d->changes_count = d->changes_count > POLICY_CHANGES_MAX ? d->changes_count : kept;
        qsort(d->changes, kept, sizeof(*d->changes), told_order);
}

void policy_diff(const struct policy_tables *before, const struct policy_tables *after,
                 struct policy_diff *out)
{
        struct policy_comparison c = { .before = before, .after = after, .out = out };

        *out = (struct policy_diff){ 0 };
        arena_init(&out->arena, NULL, 0, ARENA_BYTES_MAX);
        arena_init(&c.scratch, NULL, 0, SCRATCH_BYTES_MAX);
        if (policy_set_pool_init(&c.were, before->units->count) &&
            policy_set_pool_init(&c.are, after->units->count))
                policy_diff_flows(&c);
        else
                out->no_memory = true;
        policy_diff_uses(&c);
        policy_diff_ssh(&c);
        changes_join(out);
        arena_fini(&c.scratch);
        policy_set_pool_fini(&c.were);
        policy_set_pool_fini(&c.are);
        out->no_memory |= out->arena.full;
}

void policy_diff_fini(struct policy_diff *d)
{
        arena_fini(&d->arena);
        *d = (struct policy_diff){ 0 };
}

static const char *const signs[] = { "gains", "loses", "altered" };

void policy_diff_print(const struct policy_diff *d, struct buf *out)
{
        size_t kept = MIN(d->changes_count, (size_t)POLICY_CHANGES_MAX);

        for (size_t i = 0; i < kept; i++)
                buf_addf(out, "%c %.*s: %.*s %.*s\n", "+-~"[d->changes[i].kind], STR_FMT(d->changes[i].who),
                         STR_FMT(d->changes[i].where), STR_FMT(d->changes[i].what));
        if (!kept && !d->is_partial)
                buf_add(out, STR("no difference for anybody\n"));
        if (d->changes_count > kept)
                buf_addf(out, "and %zu more\n", d->changes_count - kept);
        if (d->is_partial)
                buf_add(out,
                        STR("and what lies in networks that rules cut into too many parts: not all was compared\n"));
}

void policy_diff_write_members(const struct policy_diff *d, struct json_writer *w)
{
        json_write_key(w, STR("changes"));
        json_write_array_begin(w);
        for (size_t i = 0; i < MIN(d->changes_count, (size_t)POLICY_CHANGES_MAX); i++) {
                json_write_object_begin(w);
                json_write_member_str(w, STR("who"), d->changes[i].who);
                json_write_member_str(w, STR("change"), str_of(signs[d->changes[i].kind]));
                json_write_member_str(w, STR("where"), d->changes[i].where);
                json_write_member_str(w, STR("what"), d->changes[i].what);
                json_write_object_end(w);
        }
        json_write_array_end(w);
        json_write_member_uint(w, STR("count"), d->changes_count);
        json_write_member_bool(w, STR("partial"), d->is_partial);
}
