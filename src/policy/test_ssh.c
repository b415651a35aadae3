/* sshTests: every login of a test on every destination, from every address of its source. */
#include "policy/ssh.h"
#include "policy/test_priv.h"

enum { ARENA_BYTES_MAX = 512 * 1024 * 1024 };

enum outcome { SSH_DENIED = 0, SSH_ACCEPTED = 1, SSH_CHECKED = 2 }; /* the last is also accepted */

struct ssh_asking {
        const struct policy_tables *t;
        struct policy_test_run *run;
        struct policy_ssh_set *set;
        const struct policy_ssh_test *test;
        size_t index;
        struct policy_end src;
        struct arena arena;
};

static bool is_principal(const struct policy_ssh_out *rule, struct ip ip)
{
        for (size_t i = 0; i < rule->principals_count; i++)
                if (ip_eq(rule->principals[i], ip))
                        return true;
        return false;
}

static enum outcome outcome_of(const struct policy_ssh_out *rules, size_t count, struct ip src,
                               struct str login)
{
        enum outcome best = SSH_DENIED;

        for (size_t i = 0; i < count; i++) {
                if (!is_principal(&rules[i], src) || !policy_logins_allow(&rules[i], login))
                        continue;
                best = rules[i].rule->action == POLICY_SSH_CHECK ? SSH_CHECKED : MAX(best, SSH_ACCEPTED);
        }
        return best;
}

/* The worst or best outcome over the source's addresses, whichever disproves the assertion. */
static void login_ask(struct ssh_asking *q, const struct policy_node_entry *e,
                      const struct policy_ssh_out *rules, size_t count, struct str login, const char *want)
{
        struct str name = e->node->name.len ? e->node->name : e->node->id;

        q->run->asked_count++;
        for (size_t i = 0; i < q->src.count; i++) {
                enum outcome o = outcome_of(rules, count, q->src.spots[i].range.first, login);
                bool holds = want[0] == 'a'   ? o != SSH_DENIED
                             : want[0] == 'c' ? o == SSH_CHECKED
                                              : o == SSH_DENIED;

                if (holds)
                        continue;
                policy_fail(q->run, true, q->index, q->test->at, q->test->src.text,
                            "login \"%.*s\" on \"%.*s\": want: %s, got: %s", (int)MIN(login.len, (size_t)64),
                            login.ptr, (int)MIN(name.len, (size_t)64), name.ptr, want,
                            o == SSH_CHECKED    ? "check"
                            : o == SSH_ACCEPTED ? "accept"
                                                : "deny");
                return;
        }
}

static void entry_ask(struct ssh_asking *q, const struct policy_node_entry *e)
{
        struct policy_ssh_out *rules;
        size_t count;

        if (!policy_ssh_rules(q->set, &q->arena, e, &rules, &count)) {
                q->run->no_memory = true;
                return;
        }
        for (size_t i = 0; i < q->test->accept_count; i++)
                login_ask(q, e, rules, count, q->test->accept[i], "accept");
        for (size_t i = 0; i < q->test->check_count; i++)
                login_ask(q, e, rules, count, q->test->check[i], "check");
        for (size_t i = 0; i < q->test->deny_count; i++)
                login_ask(q, e, rules, count, q->test->deny[i], "deny");
}

static void destination_ask(struct ssh_asking *q, const struct policy_alias *name)
{
        const struct policy_node_entry *last = NULL;
        struct policy_end dst;
        const char *why = policy_end_find(q->t, &q->arena, *name, &dst);
        size_t asked = 0;

        if (!why && dst.is_self) {
                why = q->src.user ? NULL : "autogroup:self needs a user as src";
                dst = q->src;
        }
        for (size_t i = 0; !why && i < dst.count; i++) {
                if (!dst.spots[i].entry || dst.spots[i].entry == last)
                        continue;
                last = dst.spots[i].entry;
                asked++;
                entry_ask(q, last);
        }
        if (!why && !asked)
                why = "it stands for no machine";
        if (why)
                policy_fail(q->run, true, q->index, q->test->at, q->test->src.text, "dst \"%.*s\": %s",
                            (int)MIN(name->text.len, (size_t)128), name->text.ptr, why);
}

void policy_test_ssh(const struct policy_tables *t, struct policy_test_run *run)
{
        const struct policy_file *f = t->units->file;
        struct policy_ssh_set *set = f->ssh_tests_count ? policy_ssh_set_new(t) : NULL;

        run->no_memory |= f->ssh_tests_count && !set;
        for (size_t i = 0; set && i < f->ssh_tests_count; i++) {
                struct ssh_asking q = {
                        .t = t, .run = run, .set = set, .test = &f->ssh_tests[i], .index = i
                };

                run->tests_count++;
                arena_init(&q.arena, NULL, 0, ARENA_BYTES_MAX);
                const char *why = policy_end_find(t, &q.arena, q.test->src, &q.src);
                if (why)
                        policy_fail(run, true, i, q.test->at, q.test->src.text, "src \"%.*s\": %s",
                                    (int)MIN(q.test->src.text.len, (size_t)128),
                                    q.test->src.text.ptr ? q.test->src.text.ptr : "", why);
                for (size_t j = 0; !why && j < q.test->dst.count; j++)
                        destination_ask(&q, &q.test->dst.items[j]);
                arena_fini(&q.arena);
        }
        policy_ssh_set_free(set);
}
