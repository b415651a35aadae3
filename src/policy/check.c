/*
 * What may stand where in a policy file. Theory of operation: every name is looked up once and keeps the index it found;
 * then each rule is judged by the kinds of its names alone. The words of a refusal are the hosted service's wherever its
 * answer is known, since people search for them; a hint of ours follows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/read_priv.h"

enum side { SIDE_SRC, SIDE_DST, SIDE_TARGET, SIDE_VIA, SIDE_OWNER, SIDE_SSH_SRC, SIDE_SSH_DST };

#define KIND(k) (1u << ALIAS_##k)
#define AUTO(a) (1u << AUTOGROUP_##a)
#define AUTO_ROLES                                                                                \
        (AUTO(OWNER) | AUTO(ADMIN) | AUTO(IT_ADMIN) | AUTO(NETWORK_ADMIN) | AUTO(BILLING_ADMIN) | \
         AUTO(AUDITOR))
#define KIND_IDENTITY (KIND(USER) | KIND(DOMAIN) | KIND(GROUP) | KIND(TAG) | KIND(AUTOGROUP))
#define KIND_UPWARD   (KIND(SERVICE) | KIND(MODEL) | KIND(PROVIDER) | KIND(TOOL))

static const struct {
        const char *name;
        unsigned kinds, autogroups;
} sides[] = {
        [SIDE_SRC] = { "src", KIND_IDENTITY | KIND(ANY) | KIND(PREFIX) | KIND(HOST) | KIND(IPSET),
                       AUTO(MEMBER) | AUTO(TAGGED) | AUTO(SHARED) | AUTO(DANGER_ALL) | AUTO_ROLES },
        [SIDE_DST] = { "dst",
                       KIND_IDENTITY | KIND(ANY) | KIND(PREFIX) | KIND(HOST) | KIND(IPSET) | KIND(SVC) |
                               KIND_UPWARD,
                       AUTO(MEMBER) | AUTO(TAGGED) | AUTO(SELF) | AUTO(INTERNET) | AUTO_ROLES },
        [SIDE_TARGET] = { "target", KIND_IDENTITY | KIND(ANY) | KIND(PREFIX) | KIND(HOST) | KIND(IPSET),
                          AUTO(MEMBER) | AUTO(TAGGED) | AUTO(SHARED) | AUTO_ROLES },
        [SIDE_VIA] = { "via", KIND(TAG), 0 },
        [SIDE_OWNER] = { "owner", KIND(USER) | KIND(GROUP) | KIND(TAG) | KIND(AUTOGROUP),
                         AUTO(MEMBER) | AUTO(TAGGED) | AUTO_ROLES },
        [SIDE_SSH_SRC] = { "src", KIND_IDENTITY, AUTO(MEMBER) | AUTO(TAGGED) | AUTO(SHARED) | AUTO_ROLES },
        [SIDE_SSH_DST] = { "dst", KIND(USER) | KIND(TAG) | KIND(AUTOGROUP),
                           AUTO(MEMBER) | AUTO(TAGGED) | AUTO(SELF) | AUTO_ROLES },
};

static struct policy_place place(const struct policy_alias *a)
{
        return (struct policy_place){ a->line, a->column };
}

/* A name cut to what a message can show. */
static struct str shown(struct str text)
{
        return str_sub(text, 0, 96);
}

/* ---- names that are not there ---- */

/* The names of one kind for a hint; every definition begins with its name. */
static struct str *names_of(struct policy_reader *r, const void *items, size_t count, size_t size)
{
        struct str *names = READ_ARRAY(r, struct str, count);

        for (size_t i = 0; names && i < count; i++)
                memcpy(&names[i], (const char *)items + i * size, sizeof(*names));
        return names;
}

static void unknown_name(struct policy_reader *r, enum side side, const struct policy_alias *a,
                         const char *what, const void *items, size_t count, size_t size)
{
        struct str *names = r->report->errors_count < 20 ? names_of(r, items, count, size) : NULL;
        struct str text = shown(a->text);
        char hint[160] = "";

        if (names)
                policy_hint(r, a->text, names, count, hint);
        if (side == SIDE_VIA)
                policy_fault_at(r, place(a), "%s \"%.*s\" not found%s", what, STR_FMT(text), hint);
        else if (side == SIDE_SRC || side == SIDE_SSH_SRC)
                policy_fault_at(r, place(a), "src=%s not found: \"%.*s\"%s", what, STR_FMT(text), hint);
        else if (side == SIDE_DST || side == SIDE_SSH_DST)
                policy_fault_at(r, place(a), "dst=\"%.*s\": %s not found: \"%.*s\"%s", STR_FMT(text), what,
                                STR_FMT(text), hint);
        else
                policy_fault_at(r, place(a), "%s not found: \"%.*s\"%s", what, STR_FMT(text), hint);
}

static void unknown_word(struct policy_reader *r, enum side side, const struct policy_alias *a)
{
        struct str text = shown(a->text);
        char hint[160] = "";

        if (side == SIDE_SSH_DST || side == SIDE_SSH_SRC) {
                policy_fault_at(r, place(a), "invalid %s \"%.*s\"", sides[side].name, STR_FMT(text));
                return;
        }
        struct str *names = names_of(r, r->file->hosts, r->file->hosts_count, sizeof(*r->file->hosts));
        if (names)
                policy_hint(r, a->text, names, r->file->hosts_count, hint);
        policy_fault_at(r, place(a),
                        "\"%.*s\": invalid address%s; it is no user, group, tag, host or IP address",
                        STR_FMT(text), hint);
}

/* ---- one name ---- */

static void autogroup_check(struct policy_reader *r, enum side side, const struct policy_alias *a)
{
        struct str names[AUTOGROUPS], text = shown(a->text);
        char hint[160];

        if (a->autogroup == AUTOGROUP_UNKNOWN) {
                for (int i = 1; i < AUTOGROUPS; i++)
                        names[i - 1] = str_of(policy_autogroup_name((enum policy_autogroup)i));
                policy_hint(r, a->text, names, AUTOGROUPS - 1, hint);
                policy_fault_at(r, place(a), "autogroup not found: \"%.*s\"%s", STR_FMT(text), hint);
                return;
        }
        if (sides[side].autogroups & 1u << a->autogroup)
                return;
        if (side == SIDE_DST && a->autogroup == AUTOGROUP_DANGER_ALL)
                policy_fault_at(r, place(a), "cannot use autogroup:danger-all as a dst");
        else if (side == SIDE_SRC || side == SIDE_SSH_SRC)
                policy_fault_at(r, place(a), "\"%.*s\" not valid on the src side of a rule", STR_FMT(text));
        else if (side == SIDE_DST || side == SIDE_SSH_DST)
                policy_fault_at(r, place(a), "\"%.*s\" not valid on the dst side of a rule", STR_FMT(text));
        else
                policy_fault_at(r, place(a), "\"%.*s\" not valid as %s", STR_FMT(text), sides[side].name);
}

static void alias_look_up(struct policy_reader *r, enum side side, struct policy_alias *a)
{
        struct policy_file *f = r->file;
        const void *found = NULL;

        switch (a->kind) {
        case ALIAS_GROUP:
                if ((found = policy_file_find_group(f, a->text)))
                        a->ref = (uint32_t)((const struct policy_group *)found - f->groups);
                else if (str_find_char(a->text, '@') == STR_NONE) /* group:x@domain comes with the people */
                        unknown_name(r, side, a, "group", f->groups, f->groups_count, sizeof(*f->groups));
                break;
        case ALIAS_TAG:
                if ((found = policy_file_find_tag(f, a->text)))
                        a->ref = (uint32_t)((const struct policy_tag *)found - f->tags);
                else
                        unknown_name(r, side, a, "tag", f->tags, f->tags_count, sizeof(*f->tags));
                break;
        case ALIAS_IPSET:
                if ((found = policy_file_find_ipset(f, a->text)))
                        a->ref = (uint32_t)((const struct policy_ipset *)found - f->ipsets);
                else
                        unknown_name(r, side, a, "ipset", f->ipsets, f->ipsets_count, sizeof(*f->ipsets));
                break;
        case ALIAS_HOST:
                if ((found = policy_file_find_host(f, a->name))) {
                        a->ref = (uint32_t)((const struct policy_host *)found - f->hosts);
                        a->prefix = f->hosts[a->ref].prefix;
                } else {
                        unknown_word(r, side, a);
                }
                break;
        case ALIAS_AUTOGROUP: autogroup_check(r, side, a); break;
        case ALIAS_INVALID: unknown_word(r, side, a); break;
        default: break;
        }
}

static void alias_check(struct policy_reader *r, enum side side, struct policy_alias *a)
{
        struct str text = shown(a->text);

        if (side == SIDE_VIA && a->kind != ALIAS_TAG) {
                policy_fault_at(r, place(a), "via can only be a tag, not \"%.*s\"", STR_FMT(text));
                return;
        }
        if (a->kind != ALIAS_INVALID && !(sides[side].kinds & 1u << a->kind)) {
                if (side == SIDE_SSH_DST || side == SIDE_SSH_SRC)
                        policy_fault_at(r, place(a), "invalid %s \"%.*s\"", sides[side].name, STR_FMT(text));
                else
                        policy_fault_at(r, place(a), "\"%.*s\" not valid on the %s side of a rule",
                                        STR_FMT(text), sides[side].name);
                return;
        }
        alias_look_up(r, side, a);
}

static void aliases_check(struct policy_reader *r, enum side side, struct policy_aliases *list)
{
        for (size_t i = 0; i < list->count; i++)
                alias_check(r, side, &list->items[i]);
}

/* ---- rules ---- */

static bool is_autogroup(const struct policy_alias *a, enum policy_autogroup which)
{
        return a->kind == ALIAS_AUTOGROUP && a->autogroup == which;
}

/* Sources that autogroup:self can be narrowed by: people. A grant takes "*" for tags too, and refuses it. */
static void self_src_check(struct policy_reader *r, const struct policy_rule *rule)
{
        for (size_t i = 0; i < rule->src.count; i++) {
                const struct policy_alias *a = &rule->src.items[i];
                bool is_people = a->kind == ALIAS_USER || a->kind == ALIAS_GROUP || a->kind == ALIAS_DOMAIN ||
                                 (a->kind == ALIAS_ANY && rule->kind == POLICY_ACL) ||
                                 (a->kind == ALIAS_AUTOGROUP && a->autogroup != AUTOGROUP_TAGGED &&
                                  a->autogroup != AUTOGROUP_SHARED && a->autogroup != AUTOGROUP_DANGER_ALL);

                if (!is_people) {
                        policy_fault_at(
                                r, place(a),
                                "autogroup:self can only be used with users, groups, or supported autogroups");
                        return;
                }
        }
}

static void acl_check(struct policy_reader *r, struct policy_rule *rule)
{
        bool has_self = false;

        for (size_t i = 0; i < rule->targets_count; i++) {
                struct policy_alias *a = &rule->targets[i].alias;

                if (policy_alias_is_upward(a)) {
                        struct str text = shown(a->text);

                        policy_fault_at(r, place(a), "\"%.*s\" can only be a dst of a grant", STR_FMT(text));
                        continue;
                }
                alias_check(r, SIDE_DST, a);
                has_self |= is_autogroup(a, AUTOGROUP_SELF);
        }
        if (has_self)
                self_src_check(r, rule);
}

static void capability_check(struct policy_reader *r, const struct json_member *m)
{
        static const char *const allowed[] = {
                "tailscale.com/cap/aperture",
                "tailscale.com/cap/drive",
                "tailscale.com/cap/golink",
                "tailscale.com/cap/kubernetes",
                "tailscale.com/cap/proxy-to-grafana",
                "tailscale.com/cap/relay",
                "tailscale.com/cap/secrets",
                "tailscale.com/cap/tailsql",
                "tailscale.com/cap/tsidp",
                "tailscale.com/cap/webui",
        };
        struct policy_place at = { m->key_line, m->key_column };
        size_t slash = str_find_char(m->key, '/');
        struct str text = shown(m->key);

        if (str_find(m->key, STR("://")) != STR_NONE || slash == STR_NONE || slash == 0 ||
            slash + 1 == m->key.len) {
                policy_fault_at(r, at, "capability name must have the form {domain}/{path}, not \"%.*s\"",
                                STR_FMT(text));
                return;
        }
        if (str_has_prefix(m->key, STR("sekisho.dev/")) && !str_eq(m->key, STR(POLICY_CAP_LIMITS)))
                policy_fault_at(r, at,
                                "unknown capability \"%.*s\"; the one of this program is \"" POLICY_CAP_LIMITS
                                "\"",
                                STR_FMT(text));
        if (!str_has_prefix(m->key, STR("tailscale.com/")))
                return;
        for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
                if (str_eq(m->key, str_of(allowed[i])))
                        return;
        policy_fault_at(r, at, "capability name must not be in the tailscale.com domain: \"%.*s\"",
                        STR_FMT(text));
}

/* What a grant to services, models, providers or tools may not be mixed with. */
static void upward_check(struct policy_reader *r, const struct policy_rule *rule, size_t upward_count)
{
        bool is_all = upward_count == rule->dst.count;

        if (upward_count)
                r->file->is_upward = true;
        if (rule->when && !is_all)
                policy_fault_at(
                        r, rule->at,
                        "when is only for service:, model:, provider: and tool: destinations; for machines use "
                        "srcPosture, or split the grant");
        if (rule->limits_count && !is_all)
                policy_fault_at(r, rule->at,
                                POLICY_CAP_LIMITS " is only for service:, model:, provider: and tool: "
                                                  "destinations; split the grant");
        if (upward_count && rule->via.count)
                policy_fault_at(r, rule->at,
                                "via is only for addresses behind subnet routers and exit nodes");
        if (is_all && upward_count && rule->ip_count)
                policy_fault_at(r, rule->at,
                                "ip has no meaning for service:, model:, provider: and tool: destinations; "
                                "leave it out");
}

static void grant_check(struct policy_reader *r, struct policy_rule *rule)
{
        size_t upward_count = 0;
        bool has_self = false;

        for (size_t i = 0; i < rule->dst.count; i++) {
                struct policy_alias *a = &rule->dst.items[i];
                struct str text = shown(a->text);

                alias_check(r, SIDE_DST, a);
                has_self |= is_autogroup(a, AUTOGROUP_SELF);
                upward_count += policy_alias_is_upward(a);
                if (is_autogroup(a, AUTOGROUP_INTERNET) && rule->app)
                        policy_fault_at(r, place(a), "cannot use app grants with autogroup:internet");
                if (a->kind == ALIAS_PREFIX && a->prefix.bits == 0)
                        policy_fault_at(
                                r, place(a),
                                "dst \"%.*s\": to allow all IP addresses, use \"*\" or \"autogroup:internet\"",
                                STR_FMT(text));
        }
        for (size_t i = 0; rule->app && i < rule->app->count; i++)
                capability_check(r, &rule->app->members[i]);
        if (!rule->ip_count && !rule->app && (!upward_count || upward_count < rule->dst.count))
                policy_fault_at(r, rule->at, "grants[%u]: ip and app can not both be empty", rule->index);
        aliases_check(r, SIDE_VIA, &rule->via);
        if (has_self)
                self_src_check(r, rule);
        upward_check(r, rule, upward_count);
}

static void rules_check(struct policy_reader *r)
{
        struct policy_file *f = r->file;

        for (size_t i = 0; i < f->rules_count && !r->no_memory; i++) {
                aliases_check(r, SIDE_SRC, &f->rules[i].src);
                if (f->rules[i].kind == POLICY_ACL)
                        acl_check(r, &f->rules[i]);
                else
                        grant_check(r, &f->rules[i]);
        }
}

/* ---- ssh ---- */

static bool is_tagged(const struct policy_alias *a)
{
        return a->kind == ALIAS_TAG || is_autogroup(a, AUTOGROUP_TAGGED);
}

/* Devices of people open only to their own user; tagged devices never reach them. */
static void ssh_pair_check(struct policy_reader *r, const struct policy_ssh_rule *rule)
{
        const struct policy_alias *tagged = NULL;
        struct str only = STR_NULL;
        bool is_one_user = rule->src.count > 0;

        for (size_t i = 0; i < rule->src.count; i++) {
                const struct policy_alias *a = &rule->src.items[i];

                if (is_tagged(a))
                        tagged = a;
                is_one_user =
                        is_one_user && a->kind == ALIAS_USER && (i == 0 || str_eq_nocase(a->text, only));
                only = a->text;
        }
        for (size_t i = 0; i < rule->dst.count; i++) {
                const struct policy_alias *d = &rule->dst.items[i];
                struct str text = shown(d->text);

                if (tagged && is_autogroup(d, AUTOGROUP_SELF))
                        policy_fault_at(
                                r, place(tagged),
                                "autogroup:self can only be used with users, groups, or supported autogroups");
                else if (tagged && (d->kind == ALIAS_USER || is_autogroup(d, AUTOGROUP_MEMBER)))
                        policy_fault_at(r, place(tagged),
                                        "tagged devices cannot have SSH access to the devices of \"%.*s\"",
                                        STR_FMT(text));
                else if (d->kind == ALIAS_USER && (!is_one_user || !str_eq_nocase(only, d->text)))
                        policy_fault_at(
                                r, place(d),
                                "invalid dst \"%.*s\": a user's devices open only to src [\"%.*s\"]; use "
                                "autogroup:self for everybody's own",
                                STR_FMT(text), STR_FMT(text));
        }
}

static void ssh_check(struct policy_reader *r)
{
        for (size_t i = 0; i < r->file->ssh_count; i++) {
                struct policy_ssh_rule *rule = &r->file->ssh[i];

                aliases_check(r, SIDE_SSH_SRC, &rule->src);
                aliases_check(r, SIDE_SSH_DST, &rule->dst);
                aliases_check(r, SIDE_VIA, &rule->recorder);
                ssh_pair_check(r, rule);
        }
}

/* ---- the rest ---- */

/* A tag may be owned by tags; a ring of them is owned by nobody. Walks owners with a stack of its own. */
static void owners_ring_check(struct policy_reader *r)
{
        const struct policy_file *f = r->file;
        uint8_t *state = READ_ARRAY(r, uint8_t, f->tags_count);
        uint32_t *stack = READ_ARRAY(r, uint32_t, f->tags_count);
        size_t *next = READ_ARRAY(r, size_t, f->tags_count);

        if (!state || !stack || !next)
                return;
        for (uint32_t start = 0; start < f->tags_count; start++) {
                size_t depth = 0;

                if (state[start])
                        continue;
                stack[depth++] = start;
                state[start] = 1;
                while (depth) {
                        const struct policy_tag *t = &f->tags[stack[depth - 1]];
                        size_t i = next[stack[depth - 1]]++;

                        if (i >= t->owners.count) {
                                state[stack[--depth]] = 2;
                                continue;
                        }
                        const struct policy_alias *owner = &t->owners.items[i];
                        if (owner->kind != ALIAS_TAG || owner->ref == POLICY_REF_NONE ||
                            state[owner->ref] == 2)
                                continue;
                        if (state[owner->ref] == 1) {
                                struct str text = shown(t->name);

                                policy_fault_at(r, place(owner), "tagOwners[\"%.*s\"]: circular reference",
                                                STR_FMT(text));
                                continue;
                        }
                        state[owner->ref] = 1;
                        stack[depth++] = owner->ref;
                }
        }
}

void policy_check(struct policy_reader *r)
{
        struct policy_file *f = r->file;

        policy_check_ipsets(r);
        rules_check(r);
        ssh_check(r);
        for (size_t i = 0; i < f->node_attrs_count; i++)
                aliases_check(r, SIDE_TARGET, &f->node_attrs[i].target);
        for (size_t i = 0; i < f->tags_count; i++)
                aliases_check(r, SIDE_OWNER, &f->tags[i].owners);
        owners_ring_check(r);
        for (size_t i = 0; i < f->routes_count; i++)
                aliases_check(r, SIDE_OWNER, &f->routes[i].approvers);
        for (size_t i = 0; i < f->services_count; i++)
                aliases_check(r, SIDE_OWNER, &f->services[i].approvers);
        aliases_check(r, SIDE_OWNER, &f->exit_node);
        policy_check_tests(r);
        policy_check_subjects(r);
}
