/* The shape of tests and sshTests: what cannot be asked at all. Their answers are policy/test.h's. */
#include <stdio.h>

#include "policy/read_priv.h"

/* Why `dst` names no single host and port, or NULL. Upward targets stand alone: "service:wiki". */
static const char *destination_check(struct policy_reader *r, struct str dst)
{
        struct policy_alias a = policy_alias_parse(dst, 0, 0);
        struct str host, ports_text;
        struct policy_ports ports;
        const char *why;

        if (policy_alias_is_upward(&a))
                return NULL;
        if ((why = policy_destination_split(policy_text_trim(dst), &host, &ports_text)))
                return why;
        if (policy_ports_parse(r->arena, ports_text, &ports, &why) != ERR_OK)
                return why;
        if (!policy_ports_is_single(&ports))
                return "the port must be a single one: a list, a range or * has no one answer";
        a = policy_alias_parse(host, 0, 0);
        if (a.kind == ALIAS_AUTOGROUP && a.autogroup == AUTOGROUP_INTERNET)
                return "autogroup:internet is reached through an exit node, not through a packet filter";
        if (a.kind == ALIAS_PREFIX && str_find_char(host, '/') != STR_NONE)
                return "the destination must be a single host, not a CIDR";
        if (a.kind == ALIAS_HOST) {
                const struct policy_host *h = policy_file_find_host(r->file, a.name);

                if (!h)
                        return "invalid address; there is no such host";
                if (h->prefix.bits != (h->prefix.ip.family == 4 ? 32 : 128))
                        return "the destination must be a single host; this one is a CIDR";
        }
        if (a.kind == ALIAS_INVALID || a.kind == ALIAS_ANY)
                return "the destination must be a single host";
        return NULL;
}

static void destinations_check(struct policy_reader *r, size_t index, const char *what,
                               const struct str *list, const struct policy_place *at, size_t count)
{
        for (size_t i = 0; i < count && !r->no_memory; i++) {
                const char *why = destination_check(r, list[i]);

                if (why)
                        policy_fault_at(r, at[i], "test(s) failed: tests[%zu]: %s \"%.*s\": %s", index, what,
                                        (int)MIN(list[i].len, (size_t)96), list[i].ptr, why);
        }
}

static void test_check(struct policy_reader *r, const struct policy_test *t, size_t index)
{
        int16_t proto = PROTO_TCP;
        const char *why;

        if (t->src.kind == ALIAS_INVALID)
                policy_fault_at(r, t->at,
                                "test(s) failed: tests[%zu]: src must name one user, group, tag or host",
                                index);
        if (!t->accept_count && !t->deny_count)
                policy_fault_at(r, t->at, "test(s) failed: tests[%zu]: there is neither accept nor deny",
                                index);
        if (t->proto_text.len &&
            (policy_proto_parse(t->proto_text, &proto, &why) != ERR_OK || !policy_proto_has_ports(proto)))
                policy_fault_at(r, t->at, "test(s) failed: tests[%zu]: proto must be tcp, udp or sctp",
                                index);
        destinations_check(r, index, "accept", t->accept, t->accept_at, t->accept_count);
        destinations_check(r, index, "deny", t->deny, t->deny_at, t->deny_count);
}

static void ssh_destination_check(struct policy_reader *r, const struct policy_alias *a)
{
        struct policy_place at = { a->line, a->column };
        struct str text = str_sub(a->text, 0, 96);
        bool is_wide = a->kind == ALIAS_PREFIX &&
                       (str_find_char(a->text, '/') != STR_NONE || a->prefix.ip.family == 6);
        const struct policy_host *h = a->kind == ALIAS_HOST ? policy_file_find_host(r->file, a->name) : NULL;

        if (h)
                is_wide = h->prefix.bits != (h->prefix.ip.family == 4 ? 32 : 128);
        if (a->kind == ALIAS_TAG && !policy_file_find_tag(r->file, a->text))
                policy_fault_at(r, at, "SSH tests dst contains unknown tag \"%.*s\"", STR_FMT(text));
        else if (is_wide || a->kind == ALIAS_INVALID || a->kind == ALIAS_ANY || a->kind == ALIAS_IPSET ||
                 a->kind == ALIAS_SVC || policy_alias_is_upward(a) ||
                 (a->kind == ALIAS_AUTOGROUP &&
                  (a->autogroup == AUTOGROUP_INTERNET || a->autogroup == AUTOGROUP_UNKNOWN)))
                policy_fault_at(r, at, "SSH tests dst contains disallowed element \"%.*s\"", STR_FMT(text));
}

static void ssh_test_check(struct policy_reader *r, const struct policy_ssh_test *t, size_t index)
{
        if (t->src.kind == ALIAS_INVALID)
                policy_fault_at(r, t->at,
                                "test(s) failed: sshTests[%zu]: src must name one user, group, tag or host",
                                index);
        if (!t->dst.count)
                policy_fault_at(r, t->at, "test(s) failed: sshTests[%zu]: dst must name at least one host",
                                index);
        if (!t->accept_count && !t->deny_count && !t->check_count)
                policy_fault_at(r, t->at,
                                "test(s) failed: sshTests[%zu]: there is none of accept, check and deny",
                                index);
        for (size_t i = 0; i < t->dst.count; i++)
                ssh_destination_check(r, &t->dst.items[i]);
}

void policy_check_tests(struct policy_reader *r)
{
        for (size_t i = 0; i < r->file->tests_count; i++)
                test_check(r, &r->file->tests[i], i);
        for (size_t i = 0; i < r->file->ssh_tests_count; i++)
                ssh_test_check(r, &r->file->ssh_tests[i], i);
}
