/* fuzz/policy_lab.h - what both policy targets do with tables: everything that can be asked of them. */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/decide.h"
#include "policy/diff.h"
#include "policy/explain.h"
#include "policy/lint.h"
#include "policy/lockout.h"
#include "policy/names.h"
#include "policy/test.h"
#include "policy/wire.h"

enum { LAB_TEXT_MAX = 64 << 20, LAB_NODES_MAX = 64 };

/* Each machine is told something, and it is JSON to its end. */
static inline void lab_tell(const struct policy_tables *t)
{
        struct policy_writer *writer = policy_writer_new(t);
        struct json_writer w;
        struct buf out;

        buf_init(&out, LAB_TEXT_MAX);
        for (size_t i = 0; writer && i < MIN(t->facts->nodes_count, (size_t)LAB_NODES_MAX); i++) {
                buf_clear(&out);
                json_writer_init(&w, &out, JSON_COMPACT);
                policy_write_node(writer, i, &w);
                json_writer_finish(&w);
        }
        policy_writer_free(writer);
        buf_fini(&out);
}

/* What is explained is what is decided, from anywhere to anywhere. */
static inline void lab_ask(const struct policy_tables *t)
{
        static const int16_t protos[] = { PROTO_TCP, PROTO_ICMP, 132 };
        struct ip ends[12];
        size_t count = 0;

        for (size_t i = 0; i < MIN(t->facts->nodes_count, (size_t)8); i++)
                if (t->facts->nodes[i]->addresses_count)
                        ends[count++] = t->facts->nodes[i]->addresses[0];
        for (size_t i = 0; i < MIN(t->routes_count, (size_t)2); i++)
                ends[count++] = t->routes[i].prefix.ip;
        enum err e = ip_parse(STR("8.8.8.8"), &ends[count++]);
        assert(e == ERR_OK);
        for (size_t i = 0; i < count * count; i++) {
                struct policy_question q = { ends[i / count], ends[i % count], protos[i % 3],
                                             i % 3 == 1 ? 0 : 443 };
                struct policy_explanation x;

                policy_explanation_init(&x);
                policy_explain_flow(t, &q, &x);
                assert(x.no_memory || x.is_allowed == policy_decide(t, &q).is_allowed);
                policy_explanation_fini(&x);
        }
}

static inline void lab_play(struct policy_tables *t, struct report *report)
{
        struct policy_test_run run;
        struct policy_diff d;

        lab_tell(t);
        lab_ask(t);
        policy_lint(t->units->file, t->facts, report);
        policy_test(t, &run);
        policy_test_run_fini(&run);
        if (t->facts->nodes_count <= LAB_NODES_MAX) {
                policy_diff(t, t, &d);
                assert(d.no_memory || d.changes_count == 0);
                policy_diff_fini(&d);
        }
        (void)policy_lockout_check(t, t, t->facts->users_count ? t->facts->users[0] : NULL);
}
