/* What a policy file says that the facts forbid: domains that are not the network's. Unknown people are only a warning. */
#include "policy/tables_priv.h"

static void domain_check(const struct policy_facts *facts, struct report *report, uint32_t line,
                         uint32_t column, struct str domain)
{
        if (!policy_facts_has_domain(facts, domain))
                report_error(
                        report, line, column,
                        "%.*s is not associated with this Tailnet and cannot be used in user:*@<domain> expressions",
                        (int)MIN(domain.len, (size_t)128), domain.ptr);
}

static void aliases_check(const struct policy_facts *facts, struct report *report,
                          const struct policy_aliases *list)
{
        for (size_t i = 0; i < list->count; i++)
                if (list->items[i].kind == ALIAS_DOMAIN)
                        domain_check(facts, report, list->items[i].line, list->items[i].column,
                                     list->items[i].name);
}

void policy_check_facts(const struct policy_file *f, const struct policy_facts *facts, struct report *report)
{
        for (size_t i = 0; i < f->rules_count; i++) {
                aliases_check(facts, report, &f->rules[i].src);
                aliases_check(facts, report, &f->rules[i].dst);
                for (size_t j = 0; j < f->rules[i].targets_count; j++)
                        aliases_check(facts, report,
                                      &(struct policy_aliases){ &f->rules[i].targets[j].alias, 1 });
        }
        for (size_t i = 0; i < f->node_attrs_count; i++)
                aliases_check(facts, report, &f->node_attrs[i].target);
        for (size_t i = 0; i < f->ssh_count; i++) {
                const struct policy_ssh_rule *rule = &f->ssh[i];

                aliases_check(facts, report, &rule->src);
                for (size_t j = 0; j < rule->users_count; j++) {
                        struct str domain;

                        if (policy_localpart_domain(rule->users[j], &domain))
                                domain_check(facts, report, rule->at.line, rule->at.column, domain);
                }
        }
}
