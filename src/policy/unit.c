#include "policy/unit.h"

#include <stdlib.h>
#include <string.h>

#include "policy/subject.h"

enum { ARENA_BYTES_MAX = 512 * 1024 * 1024 };

const struct policy_alias *policy_unit_dst(const struct policy_unit *u, size_t i)
{
        return u->rule->kind == POLICY_ACL ? &u->rule->targets[u->target].alias : &u->rule->dst.items[i];
}

size_t policy_unit_dst_count(const struct policy_unit *u)
{
        return u->rule->kind == POLICY_ACL ? 1 : u->rule->dst.count;
}

struct policy_ranges policy_alias_ranges(const struct policy_file *f, const struct policy_facts *facts,
                                         const struct policy_alias *a, struct policy_range *room)
{
        struct policy_ranges one = { .items = room, .count = 1 };

        switch (a->kind) {
        case ALIAS_PREFIX:
        case ALIAS_HOST: *room = policy_range_of(a->prefix); return one;
        case ALIAS_IPSET: return f->ipsets[a->ref].ranges;
        default: return (struct policy_ranges){ 0 };
        }
}

/* ---- one unit ---- */

struct maker {
        struct policy_units *u;
        const struct policy_facts *facts;
        struct report *report;
        size_t ranges_count;
        bool postures_over;
};

static bool ranges_add(struct maker *m, struct policy_ranges *out, const struct policy_alias *a)
{
        struct policy_range room;
        struct policy_ranges part = policy_alias_ranges(m->u->file, m->facts, a, &room);
        const struct policy_service *s =
                a->kind == ALIAS_SVC ? policy_facts_find_service(m->facts, a->name) : NULL;

        m->ranges_count += part.count;
        for (size_t i = 0; s && i < s->addresses_count; i++)
                if (!policy_ranges_add(&m->u->arena, out,
                                       (struct policy_range){ s->addresses[i], s->addresses[i] }))
                        return false;
        return m->ranges_count > POLICY_UNIT_RANGES_MAX || policy_ranges_add_all(&m->u->arena, out, &part);
}

static unsigned dst_flags(const struct policy_alias *a)
{
        if (a->kind == ALIAS_ANY)
                return UNIT_DST_ANY;
        if (policy_alias_is_upward(a))
                return UNIT_UPWARD;
        if (a->kind == ALIAS_AUTOGROUP && a->autogroup == AUTOGROUP_SELF)
                return UNIT_SELF;
        return a->kind == ALIAS_AUTOGROUP && a->autogroup == AUTOGROUP_INTERNET ? UNIT_INTERNET : 0;
}

static uint32_t posture_list(struct maker *m, const uint32_t *postures, size_t count)
{
        struct policy_units *u = m->u;

        for (uint32_t i = 0; i < u->postures_count; i++)
                if (u->postures[i].count == count &&
                    memcmp(u->postures[i].postures, postures, count * sizeof(*postures)) == 0)
                        return i;
        if (u->postures_count == POLICY_POSTURE_LISTS_MAX) {
                m->postures_over = true;
                return POLICY_BIT_NONE;
        }
        u->postures[u->postures_count] = (struct policy_posture_list){ .postures = postures, .count = count };
        return u->postures_count++;
}

static bool unit_add(struct maker *m, const struct policy_rule *rule, uint32_t target)
{
        const struct policy_file *f = m->u->file;
        struct policy_unit *unit = &m->u->items[m->u->count++];

        *unit = (struct policy_unit){ .rule = rule, .target = target, .posture = POLICY_BIT_NONE };
        unit->ports = rule->kind == POLICY_ACL ? &rule->targets[target].ports : rule->ip;
        unit->ports_count = rule->kind == POLICY_ACL ? 1 : rule->ip_count;
        unit->flags = (unit->ports_count ? UNIT_IP : 0) | (rule->app ? UNIT_APP : 0) |
                      (rule->via.count ? UNIT_VIA : 0);
        if (json_find(rule->app, STR("tailscale.com/cap/drive")))
                unit->flags |= UNIT_DRIVE;
        if (json_find(rule->app, STR("tailscale.com/cap/relay")))
                unit->flags |= UNIT_RELAY;
        for (size_t i = 0; i < rule->src.count; i++) {
                const struct policy_alias *a = &rule->src.items[i];

                if (a->kind == ALIAS_ANY)
                        unit->flags |= UNIT_SRC_ANY;
                if (a->kind == ALIAS_AUTOGROUP && a->autogroup == AUTOGROUP_DANGER_ALL)
                        unit->flags |= UNIT_SRC_ALL;
                if (!ranges_add(m, &unit->src, a))
                        return false;
        }
        for (size_t i = 0; i < policy_unit_dst_count(unit); i++) {
                unit->flags |= dst_flags(policy_unit_dst(unit, i));
                if (!ranges_add(m, &unit->dst, policy_unit_dst(unit, i)))
                        return false;
        }
        policy_ranges_seal(&unit->src);
        policy_ranges_seal(&unit->dst);
        if (rule->src_posture_count)
                unit->posture = posture_list(m, rule->src_posture, rule->src_posture_count);
        else if (f->default_posture_count)
                unit->posture = posture_list(m, f->default_posture, f->default_posture_count);
        return true;
}

/* Destinations of one acl: those of autogroup:self come last, unless all are autogroups (as the hosted service does). */
static bool acl_add(struct maker *m, const struct policy_rule *rule)
{
        bool is_reordered = false;

        for (size_t i = 0; i < rule->targets_count; i++)
                is_reordered |= rule->targets[i].alias.kind != ALIAS_AUTOGROUP;
        for (int pass = 0; pass < 2; pass++)
                for (uint32_t i = 0; i < rule->targets_count; i++) {
                        bool is_last = is_reordered && (dst_flags(&rule->targets[i].alias) & UNIT_SELF);

                        if (is_last == (pass == 1) && !unit_add(m, rule, i))
                                return false;
                }
        return true;
}

/* ---- no section at all: everybody may do everything ---- */

static const struct policy_port_range any_ports = { 0, POLICY_PORT_MAX };
static struct policy_alias any_alias = { .kind = ALIAS_ANY, .text = STR_INIT("*"), .ref = POLICY_REF_NONE };
static struct policy_target any_target = {
        .alias = { .kind = ALIAS_ANY, .text = STR_INIT("*"), .ref = POLICY_REF_NONE },
        .ports = { POLICY_PROTO_ANY, 1, &any_ports }
};
static const struct policy_rule allow_all = {
        .kind = POLICY_ACL, .src = { &any_alias, 1 }, .targets = &any_target, .targets_count = 1
};

/* ---- lists by subject ---- */

static size_t unit_subjects(const struct policy_units *u, const struct policy_unit *unit, bool is_src,
                            size_t i, uint32_t *subject)
{
        size_t count = is_src ? unit->rule->src.count : policy_unit_dst_count(unit);

        if (i < count)
                *subject = policy_subject_of(u->file,
                                             is_src ? &unit->rule->src.items[i] : policy_unit_dst(unit, i));
        return count;
}

static bool index_make(struct policy_units *u, bool is_src, struct policy_index *out)
{
        uint32_t subjects = policy_subjects_count(u->file), total = 0, subject;

        out->starts = ARENA_ARRAY(&u->arena, uint32_t, subjects + 2);
        if (!out->starts)
                return false;
        for (uint32_t n = 0; n < u->count; n++)
                for (size_t i = 0; i < unit_subjects(u, &u->items[n], is_src, i, &subject); i++)
                        if (subject != POLICY_SUBJECT_NONE) {
                                out->starts[subject + 2]++;
                                total++;
                        }
        out->lists = ARENA_ARRAY(&u->arena, uint32_t, total + 1);
        if (!out->lists)
                return false;
        for (uint32_t s = 0; s < subjects; s++)
                out->starts[s + 2] += out->starts[s + 1];
        for (uint32_t n = 0; n < u->count; n++)
                for (size_t i = 0; i < unit_subjects(u, &u->items[n], is_src, i, &subject); i++)
                        if (subject != POLICY_SUBJECT_NONE)
                                out->lists[out->starts[subject + 1]++] = n;
        return true;
}

/* ---- lists by property ---- */

static void unit_list(struct policy_units *u, uint32_t n)
{
        struct policy_unit *unit = &u->items[n];

        if (unit->flags & UNIT_SRC_ANY)
                policy_words_add(u->src_any, n);
        if (unit->flags & UNIT_SRC_ALL)
                policy_words_add(u->src_all, n);
        if ((unit->flags & UNIT_DST_ANY) && !(unit->flags & UNIT_VIA))
                policy_words_add(u->dst_any, n);
        if (unit->flags & (UNIT_DRIVE | UNIT_RELAY))
                policy_words_add(u->companions, n);
        if (unit->flags & UNIT_SELF)
                policy_words_add(u->self, n);
        if (unit->flags & UNIT_VIA)
                policy_words_add(u->via_words, n);
        if (unit->src.count)
                u->src_ranged[u->src_ranged_count++] = n;
        if (unit->dst.count)
                u->dst_ranged[u->dst_ranged_count++] = n;
        if (unit->flags & UNIT_VIA)
                u->via[u->via_count++] = n;
        if (unit->flags & UNIT_INTERNET)
                u->internet[u->internet_count++] = n;
        if (unit->flags & UNIT_UPWARD)
                u->upward[u->upward_count++] = n;
        if ((unit->flags & UNIT_UPWARD) && unit->src.count)
                u->upward_ranged[u->upward_ranged_count++] = n;
        if (unit->posture != POLICY_BIT_NONE)
                policy_words_add(u->postures[unit->posture].units, n);
}

static bool lists_make(struct policy_units *u)
{
        size_t words = u->words_count, n = u->count + 1;

        u->src_any = ARENA_ARRAY(&u->arena, uint64_t, words);
        u->src_all = ARENA_ARRAY(&u->arena, uint64_t, words);
        u->dst_any = ARENA_ARRAY(&u->arena, uint64_t, words);
        u->companions = ARENA_ARRAY(&u->arena, uint64_t, words);
        u->self = ARENA_ARRAY(&u->arena, uint64_t, words);
        u->via_words = ARENA_ARRAY(&u->arena, uint64_t, words);
        u->src_ranged = ARENA_ARRAY(&u->arena, uint32_t, n);
        u->dst_ranged = ARENA_ARRAY(&u->arena, uint32_t, n);
        u->via = ARENA_ARRAY(&u->arena, uint32_t, n);
        u->internet = ARENA_ARRAY(&u->arena, uint32_t, n);
        u->upward = ARENA_ARRAY(&u->arena, uint32_t, n);
        u->upward_ranged = ARENA_ARRAY(&u->arena, uint32_t, n);
        for (uint32_t i = 0; i < u->postures_count; i++)
                u->postures[i].units = ARENA_ARRAY(&u->arena, uint64_t, words);
        if (u->arena.full)
                return false;
        for (uint32_t i = 0; i < u->count; i++)
                unit_list(u, i);
        return true;
}

static bool briefs_make(struct policy_units *u)
{
        uint32_t total = 0;

        for (uint32_t i = 0; i < u->count; i++)
                for (size_t j = 0; j < u->items[i].ports_count; j++)
                        total += u->items[i].ports[j].count;
        u->briefs = ARENA_ARRAY(&u->arena, struct policy_unit_brief, u->count + 1);
        u->lines = ARENA_ARRAY(&u->arena, struct policy_port_line, total + 1);
        if (!u->briefs || !u->lines)
                return false;
        total = 0;
        for (uint32_t i = 0; i < u->count; i++) {
                const struct policy_unit *unit = &u->items[i];

                u->briefs[i] = (struct policy_unit_brief){ total, total, unit->flags, unit->posture };
                for (size_t j = 0; j < unit->ports_count; j++)
                        for (size_t k = 0; k < unit->ports[j].count; k++)
                                u->lines[total++] =
                                        (struct policy_port_line){ unit->ports[j].proto,
                                                                   unit->ports[j].ranges[k].first,
                                                                   unit->ports[j].ranges[k].last };
                u->briefs[i].lines_end = total;
        }
        return true;
}

/* ---- the whole ---- */

static size_t units_count(const struct policy_file *f)
{
        size_t count = f->has_acls || f->has_grants ? f->grants_count : 1;

        for (size_t i = f->grants_count; i < f->rules_count; i++)
                count += f->rules[i].targets_count;
        return count;
}

static enum err units_make(struct maker *m)
{
        struct policy_units *u = m->u;
        const struct policy_file *f = u->file;
        size_t count = units_count(f);

        if (count > POLICY_UNITS_MAX) {
                report_error(m->report, 0, 0, "the rules name %zu destinations; the limit is %d", count,
                             POLICY_UNITS_MAX);
                return ERR_TOO_LARGE;
        }
        u->items = ARENA_ARRAY(&u->arena, struct policy_unit, count + 1);
        u->postures = ARENA_ARRAY(&u->arena, struct policy_posture_list, count + 1);
        if (!u->items || !u->postures)
                return ERR_NO_MEMORY;
        if (!f->has_acls && !f->has_grants && !unit_add(m, &allow_all, 0))
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < f->rules_count; i++)
                if (f->rules[i].kind == POLICY_ACL ? !acl_add(m, &f->rules[i])
                                                   : !unit_add(m, &f->rules[i], 0))
                        return ERR_NO_MEMORY;
        if (m->postures_over) {
                report_error(m->report, 0, 0, "the rules name more than %d different lists of postures",
                             POLICY_POSTURE_LISTS_MAX);
                return ERR_TOO_LARGE;
        }
        if (m->ranges_count > POLICY_UNIT_RANGES_MAX) {
                report_error(m->report, 0, 0, "the rules multiply out to %zu address ranges; the limit is %d",
                             m->ranges_count, POLICY_UNIT_RANGES_MAX);
                return ERR_TOO_LARGE;
        }
        if (!policy_set_pool_init(&u->pool, u->count))
                return ERR_NO_MEMORY;
        u->words_count = u->pool.words_count;
        if (!briefs_make(u) || !lists_make(u) || !index_make(u, true, &u->src_by_subject) ||
            !index_make(u, false, &u->dst_by_subject))
                return ERR_NO_MEMORY;
        return ERR_OK;
}

enum err policy_units_new(struct policy_file *file, const struct policy_facts *facts, struct report *report,
                          struct policy_units **out)
{
        struct policy_units *u = calloc(1, sizeof(*u));
        struct maker m = { .u = u, .facts = facts, .report = report };

        if (!u)
                return ERR_NO_MEMORY;
        u->references = 1;
        u->file = policy_file_get(file);
        arena_init(&u->arena, NULL, 0, ARENA_BYTES_MAX);
        enum err e = units_make(&m);
        if (e != ERR_OK) {
                policy_units_put(u);
                return e;
        }
        *out = u;
        return ERR_OK;
}

struct policy_units *policy_units_get(struct policy_units *u)
{
        u->references++;
        return u;
}

void policy_units_put(struct policy_units *u)
{
        if (!u || --u->references)
                return;
        if (u->pool.buckets)
                policy_set_pool_fini(&u->pool);
        policy_file_put(u->file);
        arena_fini(&u->arena);
        free(u);
}
