/* The sections ssh and nodeAttrs. */
#include <stdio.h>

#include "policy/period.h"
#include "policy/read_priv.h"

#define HOUR_NS 3600000000000LL

enum { CHECK_HOURS_DEFAULT = 12, CHECK_HOURS_MAX = 168 };

/* ---- ssh ---- */

struct ssh_draft {
        struct policy_ssh_rule rule;
        const struct json_value *posture, *period;
};

static void action_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_ssh_rule *rule = &((struct ssh_draft *)into)->rule;

        if (!policy_read_is(r, v, JSON_STRING, "action"))
                return;
        struct str text = policy_text_trim(json_str(v));
        if (str_eq(text, STR("accept")))
                rule->action = POLICY_SSH_ACCEPT;
        else if (str_eq(text, STR("check")))
                rule->action = POLICY_SSH_CHECK;
        else if (text.len)
                policy_fault(r, v, "\"%.*s\" is not a valid action; it is \"accept\" or \"check\"",
                             (int)MIN(text.len, (size_t)64), text.ptr);
        if (text.len && rule->action == POLICY_SSH_NONE)
                rule->action = POLICY_SSH_ACCEPT; /* one fault is enough */
}

static void src_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_aliases(r, v, "src", &((struct ssh_draft *)into)->rule.src);
}

static void dst_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_aliases(r, v, "dst", &((struct ssh_draft *)into)->rule.dst);
}

static void users_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_ssh_rule *rule = &((struct ssh_draft *)into)->rule;

        policy_read_texts(r, v, "users", &rule->users, &rule->users_count);
        for (size_t i = 0; i < rule->users_count; i++) {
                rule->users[i] = policy_text_trim(rule->users[i]);
                if (rule->users[i].len == 0 || str_eq(rule->users[i], STR("*")))
                        policy_fault(r, &v->items[i],
                                     "user \"%.*s\" is not valid; write a login name or autogroup:nonroot",
                                     STR_FMT(rule->users[i]));
        }
}

static void accept_env_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_ssh_rule *rule = &((struct ssh_draft *)into)->rule;

        policy_read_texts(r, v, "acceptEnv", &rule->accept_env, &rule->accept_env_count);
        for (size_t i = 0; i < rule->accept_env_count; i++)
                if (rule->accept_env[i].len == 0)
                        policy_fault(r, &v->items[i], "acceptEnv values cannot be empty");
}

static void period_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_ssh_rule *rule = &((struct ssh_draft *)into)->rule;
        char why[PERIOD_WHY_MAX], text[PERIOD_TEXT_MAX];

        ((struct ssh_draft *)into)->period = v;
        if (!policy_read_is(r, v, JSON_STRING, "checkPeriod"))
                return;
        rule->has_check_period = true;
        rule->check_always = str_eq(json_str(v), STR("always"));
        if (rule->check_always)
                return;
        if (policy_period_parse(json_str(v), &rule->check_period_ns, why) != ERR_OK) {
                policy_fault(r, v, "%s", why);
                return;
        }
        struct str shown = policy_period_format(rule->check_period_ns, text);
        if (rule->check_period_ns < 0)
                policy_fault(r, v, "checkPeriod %.*s must be a positive duration", STR_FMT(shown));
        else if (rule->check_period_ns > CHECK_HOURS_MAX * HOUR_NS)
                policy_fault(r, v, "checkPeriod %.*s is above the max (168h)", STR_FMT(shown));
}

static void recorder_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_aliases(r, v, "recorder", &((struct ssh_draft *)into)->rule.recorder);
}

static void enforce_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_flag(r, v, "enforceRecorder", &((struct ssh_draft *)into)->rule.recorder_enforced);
}

static void ssh_posture_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        ((struct ssh_draft *)into)->posture = v;
}

static const struct policy_member ssh_members[] = {
        { STR_INIT("action"), action_read },
        { STR_INIT("src"), src_read },
        { STR_INIT("dst"), dst_read },
        { STR_INIT("users"), users_read },
        { STR_INIT("checkPeriod"), period_read },
        { STR_INIT("acceptEnv"), accept_env_read },
        { STR_INIT("recorder"), recorder_read },
        { STR_INIT("enforceRecorder"), enforce_read },
        { STR_INIT("srcPosture"), ssh_posture_read },
};

static void ssh_rule_read(struct policy_reader *r, const struct json_value *v, struct ssh_draft *draft)
{
        struct policy_ssh_rule *rule = &draft->rule;
        char what[32];

        snprintf(what, sizeof(what), "ssh[%u]", rule->index);
        rule->check_period_ns = CHECK_HOURS_DEFAULT * HOUR_NS;
        policy_read_object(r, v, what, ssh_members, ARRAY_SIZE(ssh_members), draft);
        policy_read_posture_names(r, draft->posture, &rule->src_posture, &rule->src_posture_count);
        if (rule->action == POLICY_SSH_NONE)
                policy_fault(r, v, "%s: action must be specified; it is \"accept\" or \"check\"", what);
        if (rule->users_count == 0)
                policy_fault(r, v, "%s: users must be specified", what);
        if (rule->has_check_period && rule->action == POLICY_SSH_ACCEPT)
                policy_fault(r, draft->period, "checkPeriod is only valid with action \"check\"");
}

void policy_read_ssh(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_file *f = r->file;

        if (!policy_read_is(r, v, JSON_ARRAY, "ssh"))
                return;
        if (v->count > POLICY_RULES_MAX) {
                policy_fault(r, v, "ssh has %zu entries; the limit is %d", v->count, POLICY_RULES_MAX);
                return;
        }
        if (!(f->ssh = READ_ARRAY(r, struct policy_ssh_rule, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                struct ssh_draft draft = { 0 };

                draft.rule.at = policy_place_of(&v->items[i]);
                draft.rule.index = (uint32_t)i;
                ssh_rule_read(r, &v->items[i], &draft);
                f->ssh[f->ssh_count++] = draft.rule;
        }
}

/* ---- nodeAttrs ---- */

static void target_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_aliases(r, v, "target", &((struct policy_node_attr *)into)->target);
}

static void attr_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_node_attr *a = into;

        policy_read_texts(r, v, "attr", &a->attrs, &a->attrs_count);
        for (size_t i = 0; i < a->attrs_count; i++)
                if (a->attrs[i].len == 0)
                        policy_fault(r, &v->items[i], "an attr cannot be empty");
}

static void app_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        if (policy_read_is(r, v, JSON_OBJECT, "app"))
                ((struct policy_node_attr *)into)->app = v;
}

static void pool_check(struct policy_reader *r, const struct json_value *v, const struct ip_prefix *pool)
{
        static const struct ip_prefix cgnat = { { .family = 4, .bytes = { 100, 64 } }, 10 };
        static const struct ip_prefix reserved[] = {
                { { .family = 4, .bytes = { 100, 100, 0, 0 } }, 24 },
                { { .family = 4, .bytes = { 100, 100, 100, 0 } }, 24 },
                { { .family = 4, .bytes = { 100, 115, 92, 0 } }, 23 },
        };

        if (!ip_prefix_covers(&cgnat, pool)) {
                policy_fault(r, v, "IPPool(%.*s): network must be within 100.64.0.0/10",
                             STR_FMT(json_str(v)));
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
                if (policy_range_overlaps(policy_range_of(*pool), policy_range_of(reserved[i]))) {
                        if (pool->bits < reserved[i].bits)
                                continue; /* a pool around a reserved block goes round it */
                        policy_fault(r, v, "IPPool(%.*s): network within reserved range",
                                     STR_FMT(json_str(v)));
                        return;
                }
}

static void pool_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_node_attr *a = into;

        if (!policy_read_is(r, v, JSON_ARRAY, "ipPool") ||
            !(a->pool = READ_ARRAY(r, struct ip_prefix, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                const struct json_value *item = &v->items[i];
                struct ip_prefix *p = &a->pool[a->pool_count];

                if (!policy_read_is(r, item, JSON_STRING, "ipPool"))
                        continue;
                if (ip_prefix_parse(policy_text_trim(json_str(item)), p) != ERR_OK) {
                        policy_fault(r, item, "IPPool(%.*s): invalid address; write a CIDR",
                                     (int)MIN(item->text.len, (size_t)64), item->text.ptr);
                        continue;
                }
                p->ip = ip_masked(p->ip, p->bits);
                pool_check(r, item, p);
                a->pool_count++;
        }
}

static const struct policy_member node_attr_members[] = {
        { STR_INIT("target"), target_read },
        { STR_INIT("attr"), attr_read },
        { STR_INIT("app"), app_read },
        { STR_INIT("ipPool"), pool_read },
};

void policy_read_node_attrs(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_file *f = r->file;

        if (!policy_read_is(r, v, JSON_ARRAY, "nodeAttrs"))
                return;
        if (v->count > POLICY_RULES_MAX) {
                policy_fault(r, v, "nodeAttrs has %zu entries; the limit is %d", v->count, POLICY_RULES_MAX);
                return;
        }
        if (!(f->node_attrs = READ_ARRAY(r, struct policy_node_attr, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                struct policy_node_attr *a = &f->node_attrs[f->node_attrs_count++];
                char what[32];

                snprintf(what, sizeof(what), "nodeAttrs[%zu]", i);
                a->at = policy_place_of(&v->items[i]);
                policy_read_object(r, &v->items[i], what, node_attr_members, ARRAY_SIZE(node_attr_members),
                                   a);
        }
}
