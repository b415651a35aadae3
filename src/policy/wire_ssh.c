/* SSH rules of one node as tailcfg's JSON. */
#include <stdio.h>

#include "policy/ssh.h"
#include "policy/wire_priv.h"

/* Where a client asks whether a sign-in is fresh enough; it fills in the ids, and its own server for "unused". */
#define HOLD_URL "https://unused/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID?local_user=$LOCAL_USER"

enum { RECORDER_PORT = 80 };

static void recorders_write(const struct policy_writer *w, const struct policy_ssh_rule *rule,
                            struct json_writer *out)
{
        const struct policy_tables *t = w->t;
        char text[IP_TEXT_MAX], full[IP_TEXT_MAX + 16];

        json_write_key(out, STR("recorders"));
        json_write_array_begin(out);
        for (size_t i = 0; i < t->facts->nodes_count; i++) {
                size_t n = 0;

                while (n < rule->recorder.count &&
                       !policy_entry_matches(t, &t->nodes[i], &rule->recorder.items[n]))
                        n++;
                for (size_t j = 0; n < rule->recorder.count && j < t->nodes[i].node->addresses_count; j++) {
                        struct ip ip = t->nodes[i].node->addresses[j];

                        ip_format(ip, text);
                        snprintf(full, sizeof(full), ip.family == 4 ? "%s:%d" : "[%s]:%d", text,
                                 RECORDER_PORT);
                        json_write_str(out, str_of(full));
                }
        }
        json_write_array_end(out);
        if (rule->recorder_enforced) {
                json_write_key(out, STR("onRecordingFailure"));
                json_write_object_begin(out);
                json_write_member_str(out, STR("rejectSessionWithMessage"),
                                      STR("session recording failed to start"));
                json_write_member_str(out, STR("terminateSessionWithMessage"),
                                      STR("session recording failed"));
                json_write_object_end(out);
        }
}

static void action_write(const struct policy_writer *w, const struct policy_ssh_rule *rule,
                         struct json_writer *out)
{
        json_write_object_begin(out);
        if (rule->action == POLICY_SSH_CHECK) {
                json_write_member_str(out, STR("holdAndDelegate"), STR(HOLD_URL));
        } else {
                json_write_member_bool(out, STR("accept"), true);
                json_write_member_bool(out, STR("allowAgentForwarding"), true);
                json_write_member_bool(out, STR("allowLocalPortForwarding"), true);
                json_write_member_bool(out, STR("allowRemotePortForwarding"), true);
        }
        if (rule->recorder.count)
                recorders_write(w, rule, out);
        json_write_object_end(out);
}

static void rule_write(const struct policy_writer *w, const struct policy_ssh_out *r, struct json_writer *out)
{
        char text[IP_TEXT_MAX];

        json_write_object_begin(out);
        json_write_key(out, STR("principals"));
        json_write_array_begin(out);
        for (size_t i = 0; i < r->principals_count; i++) {
                json_write_object_begin(out);
                json_write_member_str(out, STR("nodeIP"), ip_format(r->principals[i], text));
                json_write_object_end(out);
        }
        json_write_array_end(out);
        json_write_key(out, STR("sshUsers"));
        json_write_object_begin(out);
        for (size_t i = 0; i < r->logins_count; i++)
                json_write_member_str(out, r->logins[i].from, r->logins[i].to);
        json_write_object_end(out);
        json_write_key(out, STR("action"));
        action_write(w, r->rule, out);
        if (r->rule->accept_env_count) {
                json_write_key(out, STR("acceptEnv"));
                json_write_array_begin(out);
                for (size_t i = 0; i < r->rule->accept_env_count; i++)
                        json_write_str(out, r->rule->accept_env[i]);
                json_write_array_end(out);
        }
        json_write_object_end(out);
}

void policy_write_ssh(struct policy_writer *w, size_t index, struct json_writer *out)
{
        struct policy_ssh_out *rules = NULL;
        struct arena arena;
        size_t count = 0;

        arena_init(&arena, NULL, 0, SIZE_MAX / 2);
        if (!w->ssh)
                w->ssh = policy_ssh_set_new(w->t);
        if (!w->ssh || !policy_ssh_rules(w->ssh, &arena, &w->t->nodes[index], &rules, &count))
                w->no_memory = true;
        json_write_array_begin(out);
        for (size_t i = 0; i < count; i++)
                rule_write(w, &rules[i], out);
        json_write_array_end(out);
        arena_fini(&arena);
}
