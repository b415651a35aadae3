/* Why somebody may log in over SSH, or not: every ssh rule, asked of one source, one machine and one login. */
#include "policy/explain_priv.h"
#include "policy/ssh.h"

enum { OUT_BYTES_MAX = 256 * 1024 * 1024 };

struct login_asking {
        const struct policy_tables *t;
        struct policy_explanation *e;
        const struct policy_node_entry *from, *to;
        struct ip src;
        struct str login;
        const struct policy_ssh_out *outs; /* the rules on `to`, in their order */
        size_t outs_count;
};

static bool is_principal(const struct policy_ssh_out *out, struct ip ip)
{
        for (size_t i = 0; i < out->principals_count; i++)
                if (ip_eq(out->principals[i], ip))
                        return true;
        return false;
}

static struct str logins_text(struct policy_explanation *e, const struct policy_ssh_rule *rule)
{
        struct str text = STR("");

        for (size_t i = 0; i < rule->users_count && i < 8; i++)
                text = arena_format(&e->arena, "%.*s%s%.*s", STR_FMT(text), i ? ", " : "",
                                    STR_FMT(rule->users[i]));
        return text;
}

static bool dst_is_named(const struct login_asking *q, const struct policy_ssh_rule *rule)
{
        for (size_t i = 0; i < rule->dst.count; i++) {
                const struct policy_alias *a = &rule->dst.items[i];

                if (a->kind == ALIAS_AUTOGROUP && a->autogroup == AUTOGROUP_SELF) {
                        if (q->to->user && q->from && q->from->user == q->to->user)
                                return true;
                } else if (policy_entry_matches(q->t, q->to, a)) {
                        return true;
                }
        }
        return false;
}

static bool src_is_named(const struct login_asking *q, const struct policy_ssh_rule *rule)
{
        for (size_t i = 0; q->from && i < rule->src.count; i++)
                if (policy_entry_matches(q->t, q->from, &rule->src.items[i]))
                        return true;
        return false;
}

/* The login is let in by what the rule came to on this machine; failing that, by its words. */
static bool login_is_named(const struct login_asking *q, const struct policy_ssh_rule *rule)
{
        bool any = false, root = str_eq(q->login, STR("root"));

        for (size_t i = 0; i < q->outs_count; i++)
                if (q->outs[i].rule == rule && is_principal(&q->outs[i], q->src) &&
                    policy_logins_allow(&q->outs[i], q->login))
                        return true;
        for (size_t i = 0; i < rule->users_count; i++)
                any |= str_eq(rule->users[i], q->login) ||
                       (str_eq(rule->users[i], STR("autogroup:nonroot")) && !root);
        return any;
}

static void rule_consider(const struct login_asking *q, const struct policy_ssh_rule *rule)
{
        static const struct policy_attrs none;
        const struct policy_file *f = q->t->units->file;
        const uint32_t *list = rule->src_posture_count ? rule->src_posture : f->default_posture;
        size_t count = rule->src_posture_count ? rule->src_posture_count : f->default_posture_count;
        struct policy_considered c = { .ssh = rule, .unit = rule->index };
        bool src = src_is_named(q, rule), dst = dst_is_named(q, rule);

        if (!src && !dst)
                return;
        policy_finding_add(q->e, &c, "source", policy_aliases_text(q->e, &rule->src), q->e->src, src);
        policy_finding_add(q->e, &c, "destination", policy_aliases_text(q->e, &rule->dst), q->e->dst, dst);
        policy_finding_add(q->e, &c, "login", logins_text(q->e, rule), q->login, login_is_named(q, rule));
        if (src && count && q->from && !policy_posture_is_asked(q->from, (struct ip){ 0 }))
                policy_finding_add(q->e, &c, "posture", STR("asked of the network's own machines"),
                                   STR("none of them"), true);
        else if (src)
                policy_postures_find(q->e, &c, f, list, count, q->from ? &q->from->node->attrs : &none);
        policy_considered_keep(q->e, &c);
}

static void rules_consider(const struct login_asking *q)
{
        const struct policy_file *f = q->t->units->file;
        const struct policy_ssh_rule *decides = NULL;

        for (size_t i = 0; i < q->outs_count && !decides; i++)
                if (is_principal(&q->outs[i], q->src) && policy_logins_allow(&q->outs[i], q->login))
                        decides = q->outs[i].rule;
        q->e->is_allowed = decides != NULL;
        if (decides) {
                rule_consider(q, decides);
                q->e->rules[0].decides = q->e->rules_count > 0;
        }
        for (size_t i = 0; !decides && i < f->ssh_count; i++)
                rule_consider(q, &f->ssh[i]);
}

static const char *ends_find(struct login_asking *q, struct str from, struct str to)
{
        const struct policy_address *a;
        const char *why;
        struct ip dst;

        if ((why = policy_explain_end(q->t, &q->e->arena, from, 0, &q->src)) ||
            (why = policy_explain_end(q->t, &q->e->arena, to, q->src.family, &dst)))
                return why;
        if (!(a = policy_tables_find_address(q->t, dst)))
                return "a login is on a machine, and this is none";
        q->to = policy_tables_find_node(q->t, a->node);
        a = policy_tables_find_address(q->t, q->src);
        q->from = a ? policy_tables_find_node(q->t, a->node) : NULL;
        q->e->src = policy_address_text(q->e, q->t, q->src);
        q->e->dst = policy_address_text(q->e, q->t, dst);
        q->e->port = arena_format(&q->e->arena, "login %.*s", STR_FMT(q->login));
        return NULL;
}

enum err policy_explain_login(const struct policy_tables *t, struct str from, struct str to, struct str login,
                              struct policy_explanation *out, struct str *why)
{
        struct login_asking q = { .t = t, .e = out, .login = login };
        struct policy_ssh_out *outs = NULL;
        struct policy_ssh_set *set;
        struct arena arena;

        policy_explanation_init(out);
        const char *text = ends_find(&q, from, to);
        if (text) {
                *why = policy_explain_why(t, out, from, to, text);
                return ERR_CONFIG;
        }
        if (!(set = policy_ssh_set_new(t)))
                return ERR_NO_MEMORY;
        arena_init(&arena, NULL, 0, OUT_BYTES_MAX);
        bool ok = policy_ssh_rules(set, &arena, q.to, &outs, &q.outs_count);
        q.outs = outs;
        if (ok)
                rules_consider(&q);
        arena_fini(&arena);
        policy_ssh_set_free(set);
        out->no_memory |= out->arena.full || !ok;
        return out->no_memory ? ERR_NO_MEMORY : ERR_OK;
}
