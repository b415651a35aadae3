#include "policy/lint.h"

#include <stdlib.h>

#include "policy/ranges.h"
#include "policy/subject.h"
#include "policy/unit.h"

enum { COMPARISONS_MAX = 4000000, NEIGHBOURS = 64 };

static void warn(struct report *report, struct policy_place at, const struct policy_rule *rule,
                 const char *why)
{
        char label[32];

        report_warning(report, at.line, at.column, "%.*s %s", STR_FMT(policy_rule_label(rule, label)), why);
}

/* ---- rules that never match ---- */

/* Whether the name stands for nothing, whoever and whatever there is. */
static bool is_nothing(const struct policy_file *f, const struct policy_alias *a)
{
        if (a->kind == ALIAS_GROUP && a->ref < f->groups_count)
                return f->groups[a->ref].members.count == 0;
        return a->kind == ALIAS_IPSET && a->ref != POLICY_REF_NONE && f->ipsets[a->ref].ranges.count == 0;
}

static bool all_nothing(const struct policy_file *f, const struct policy_aliases *list)
{
        for (size_t i = 0; i < list->count; i++)
                if (!is_nothing(f, &list->items[i]))
                        return false;
        return true;
}

/* Whether it was said. */
static bool never_matches(const struct policy_file *f, const struct policy_rule *rule, struct report *report)
{
        bool dst_is_nothing = rule->kind == POLICY_GRANT ? all_nothing(f, &rule->dst) : true;

        for (size_t i = 0; i < rule->targets_count; i++)
                dst_is_nothing &= is_nothing(f, &rule->targets[i].alias);
        const char *why = !rule->src.count ? "never matches: src is empty"
                          : all_nothing(f, &rule->src)
                                  ? "never matches: all of its src are empty groups or sets"
                          : dst_is_nothing ? "never matches: its dst is empty"
                          : rule->when && rule->when->after && rule->when->before &&
                                          rule->when->after >= rule->when->before
                                  ? "never matches: when.after is not before when.before"
                                  : NULL;
        if (why)
                warn(report, rule->at, rule, why);
        return why != NULL;
}

/* ---- rules that another covers ---- */

static bool prefix_of(const struct policy_alias *a, struct ip_prefix *out)
{
        *out = a->prefix;
        return a->kind == ALIAS_PREFIX || a->kind == ALIAS_HOST;
}

/* Whether everything that b stands for, a stands for as well. */
static bool covers(const struct policy_file *f, const struct policy_alias *a, const struct policy_alias *b,
                   bool is_src)
{
        struct ip_prefix outer, inner;

        if (a->kind == ALIAS_ANY) {
                if (policy_alias_is_identity(b) || b->kind == ALIAS_ANY)
                        return true;
                /* As a destination it is every address, too; autogroups of other kinds mean something else. */
                return !is_src && b->kind != ALIAS_AUTOGROUP && !policy_alias_is_upward(b);
        }
        if (a->kind == ALIAS_AUTOGROUP && a->autogroup == AUTOGROUP_MEMBER)
                return b->kind == ALIAS_USER || b->kind == ALIAS_GROUP || b->kind == ALIAS_DOMAIN ||
                       (b->kind == ALIAS_AUTOGROUP && b->autogroup >= AUTOGROUP_OWNER &&
                        b->autogroup <= AUTOGROUP_AUDITOR) ||
                       (b->kind == ALIAS_AUTOGROUP && b->autogroup == a->autogroup);
        if (a->kind == ALIAS_AUTOGROUP && a->autogroup == AUTOGROUP_TAGGED && b->kind == ALIAS_TAG)
                return true;
        if (a->kind == ALIAS_GROUP && b->kind == ALIAS_USER && a->ref < f->groups_count)
                for (size_t i = 0; i < f->groups[a->ref].members.count; i++)
                        if (f->groups[a->ref].members.items[i].ref == b->ref)
                                return true;
        if (policy_alias_is_upward(a) && a->kind == b->kind && str_find_char(b->name, '*') == STR_NONE &&
            str_find_char(b->name, '?') == STR_NONE)
                return str_match(a->name, b->name);
        if (prefix_of(a, &outer) && prefix_of(b, &inner))
                return ip_prefix_covers(&outer, &inner);
        return a->kind == b->kind && a->kind != ALIAS_INVALID && str_eq(a->text, b->text);
}

static bool all_covered(const struct policy_file *f, const struct policy_aliases *outer,
                        const struct policy_aliases *inner)
{
        for (size_t i = 0; i < inner->count; i++) {
                size_t j = 0;

                while (j < outer->count && !covers(f, &outer->items[j], &inner->items[i], true))
                        j++;
                if (j == outer->count)
                        return false;
        }
        return true;
}

static bool ports_cover(const struct policy_ports *outer, const struct policy_ports *inner)
{
        if (outer->proto != inner->proto)
                return false;
        for (size_t i = 0; i < inner->count; i++) {
                size_t j = 0;

                while (j < outer->count && (outer->ranges[j].first > inner->ranges[i].first ||
                                            outer->ranges[j].last < inner->ranges[i].last))
                        j++;
                if (j == outer->count)
                        return false;
        }
        return true;
}

/* Whether the rule opens all of that destination and those ports; NULL ports: an upward destination. */
static bool opens(const struct policy_file *f, const struct policy_rule *rule, const struct policy_alias *dst,
                  const struct policy_ports *ports)
{
        for (size_t i = 0; i < rule->targets_count; i++)
                if (ports && covers(f, &rule->targets[i].alias, dst, false) &&
                    ports_cover(&rule->targets[i].ports, ports))
                        return true;
        for (size_t i = 0; i < rule->dst.count; i++) {
                if (!covers(f, &rule->dst.items[i], dst, false))
                        continue;
                if (!ports)
                        return true;
                for (size_t j = 0; j < rule->ip_count; j++)
                        if (ports_cover(&rule->ip[j], ports))
                                return true;
        }
        return false;
}

static bool is_plain(const struct policy_rule *r)
{
        return !r->app && !r->via.count && !r->when && !r->src_posture_count;
}

/* Only rules without conditions and capabilities: those of others say more than which packets pass. */
static bool rule_covers(const struct policy_file *f, const struct policy_rule *outer,
                        const struct policy_rule *inner)
{
        if (!is_plain(outer) || !is_plain(inner) || !all_covered(f, &outer->src, &inner->src))
                return false;
        for (size_t i = 0; i < inner->targets_count; i++)
                if (!opens(f, outer, &inner->targets[i].alias, &inner->targets[i].ports))
                        return false;
        for (size_t i = 0; i < inner->dst.count; i++) {
                const struct policy_alias *dst = &inner->dst.items[i];

                if (policy_alias_is_upward(dst) && !opens(f, outer, dst, NULL))
                        return false;
                for (size_t j = 0; j < inner->ip_count; j++)
                        if (!opens(f, outer, dst, &inner->ip[j]))
                                return false;
        }
        return true;
}

static void rules_lint(const struct policy_file *f, struct report *report)
{
        size_t work = 0;

        for (size_t i = 0; i < f->rules_count; i++) {
                const struct policy_rule *inner = &f->rules[i];

                if (never_matches(f, inner, report))
                        continue;
                for (size_t j = 0; j < f->rules_count; j++) {
                        const struct policy_rule *outer = &f->rules[j];
                        char label[32];

                        work += 1 + (outer->src.count + outer->targets_count) *
                                            (inner->src.count + inner->targets_count);
                        if (work > COMPARISONS_MAX)
                                break; /* a file of that size is not read by eye */
                        /* Of two equal rules the later one is the needless one. */
                        if (i == j || !rule_covers(f, outer, inner) ||
                            (j > i && rule_covers(f, inner, outer)))
                                continue;
                        report_warning(report, inner->at.line, inner->at.column,
                                       "%.*s adds nothing: the rule on line %u covers it",
                                       STR_FMT(policy_rule_label(inner, label)), outer->at.line);
                        break;
                }
        }
}

/* ---- tests that cannot fail ---- */

static void tests_lint(const struct policy_file *f, struct report *report)
{
        bool has_sections = f->has_acls || f->has_grants;

        for (size_t i = 0; i < f->tests_count; i++) {
                const struct policy_test *t = &f->tests[i];

                if (!has_sections && t->accept_count && !t->deny_count)
                        report_warning(
                                report, t->at.line, t->at.column,
                                "tests[%zu] cannot fail: without acls and grants everything is accepted", i);
                if (has_sections && !f->rules_count && t->deny_count && !t->accept_count)
                        report_warning(report, t->at.line, t->at.column,
                                       "tests[%zu] cannot fail: without rules everything is denied", i);
                for (size_t j = i > NEIGHBOURS ? i - NEIGHBOURS : 0; j < i; j++) {
                        const struct policy_test *other = &f->tests[j];

                        if (t->accept_count == 1 && other->accept_count == 1 && !t->deny_count &&
                            !other->deny_count && str_eq(t->src.text, other->src.text) &&
                            str_eq(t->accept[0], other->accept[0]) &&
                            str_eq(t->proto_text, other->proto_text) && !t->posture_attrs &&
                            !other->posture_attrs && !t->given && !other->given)
                                report_warning(report, t->at.line, t->at.column,
                                               "tests[%zu] says the same as tests[%zu]", i, j);
                }
        }
        for (size_t i = 0; i < f->ssh_tests_count; i++) {
                const struct policy_ssh_test *t = &f->ssh_tests[i];

                if (!f->ssh_count && t->deny_count && !t->accept_count && !t->check_count)
                        report_warning(report, t->at.line, t->at.column,
                                       "sshTests[%zu] cannot fail: without ssh rules every login is denied",
                                       i);
        }
}

/* ---- names nobody has ---- */

static void user_look_for(const struct policy_facts *facts, const struct policy_alias *a, size_t *work,
                          struct report *report)
{
        struct str names[64];
        size_t count = 0;

        if (a->kind != ALIAS_USER || policy_facts_find_user(facts, a->text) || *work > COMPARISONS_MAX)
                return;
        *work += facts->users_count;
        for (size_t i = 0; i < facts->users_count; i++)
                if (policy_user_is(facts->users[i], a->text))
                        return;
        for (size_t i = 0; i < facts->by_email_count && count < ARRAY_SIZE(names); i++)
                names[count++] = facts->by_email[i]->email;
        struct str near = report_nearest(a->text, names, count);
        report_warning(report, a->line, a->column, "there is no user \"%.*s\"%s%.*s%s",
                       (int)MIN(a->text.len, (size_t)96), a->text.ptr, near.len ? " (did you mean \"" : "",
                       STR_FMT(near), near.len ? "\"?)" : "");
}

static void users_look_for(const struct policy_facts *facts, const struct policy_aliases *list, size_t *work,
                           struct report *report)
{
        for (size_t i = 0; i < list->count && report->warnings_count < REPORT_ENTRIES_MAX; i++)
                user_look_for(facts, &list->items[i], work, report);
}

static void people_lint(const struct policy_file *f, const struct policy_facts *facts, struct report *report)
{
        size_t work = 0;

        for (size_t i = 0; i < f->groups_count; i++)
                users_look_for(facts, &f->groups[i].members, &work, report);
        for (size_t i = 0; i < f->rules_count; i++) {
                users_look_for(facts, &f->rules[i].src, &work, report);
                users_look_for(facts, &f->rules[i].dst, &work, report);
                for (size_t j = 0; j < f->rules[i].targets_count; j++)
                        user_look_for(facts, &f->rules[i].targets[j].alias, &work, report);
        }
        for (size_t i = 0; i < f->ssh_count; i++)
                users_look_for(facts, &f->ssh[i].src, &work, report);
        for (size_t i = 0; i < f->tags_count; i++)
                users_look_for(facts, &f->tags[i].owners, &work, report);
}

void policy_lint(const struct policy_file *f, const struct policy_facts *facts, struct report *report)
{
        rules_lint(f, report);
        tests_lint(f, report);
        if (facts)
                people_lint(f, facts, report);
}
