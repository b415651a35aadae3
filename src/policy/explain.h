/*
 * policy/explain.h - why: the rule that decides by its line, each condition and its value; for a refusal the nearest rules.
 *
 * Does:   the same questions as policy/decide.h and policy/gate.h, asked of every unit in turn; the answer agrees with
 *         theirs (a property test sees to it).
 * Memory: what an explanation says lies in its own arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "policy/decide.h"
#include "policy/gate.h"
#include "json/writer.h"

enum { POLICY_NEAREST_MAX = 5 };

/* One thing a rule asks for, what was found, and whether it holds. */
struct policy_finding {
        struct str what;  /* "source", "destination", "port", "posture posture:laptop", "country", ... */
        struct str asked; /* as the rule says it: "tag:web", "443", "node:os == 'macos'" */
        struct str found; /* the value in this question: "laptop (alice@example.com)", "5432/tcp" */
        bool holds;
};

struct policy_considered {
        const struct policy_rule *rule;    /* line 0: there is no acls or grants section; NULL for a login */
        const struct policy_ssh_rule *ssh; /* of a login */
        uint32_t unit;
        bool decides;
        struct policy_finding *findings;
        size_t findings_count;
        size_t distance; /* how far from allowing: an end that is not meant weighs more than all else */
};

struct policy_explanation {
        bool is_allowed;
        struct str src, dst,
                port; /* as they were understood: "laptop 100.64.0.7", "db 100.64.0.9", "5432/tcp" */
        struct policy_considered
                *rules; /* allowed: the one that decides; refused: the nearest, nearest first */
        size_t rules_count;
        bool no_memory;
        /* private */
        struct arena arena;
};

/* Both fill what policy_explanation_init made; policy_explanation_fini frees it. Texts of the question are borrowed until then. */
void policy_explanation_init(struct policy_explanation *e);
void policy_explain_flow(const struct policy_tables *t, const struct policy_question *q,
                         struct policy_explanation *out);
void policy_explain_use(const struct policy_tables *t, const struct policy_principal *who,
                        struct str who_text, const struct policy_asker *asker,
                        const struct policy_resource *what, struct policy_explanation *out);
void policy_explanation_fini(struct policy_explanation *e);

/*
 * A question as people write it: from "laptop", "alice@example.com", "100.64.0.7"; to "db:5432", "db:53/udp",
 * "service:wiki", "model:gpt-4o". `context` is an object as the `given` of a test, or NULL. ERR_CONFIG: *why says what is
 * not understood, in out's arena. Fills `out` from nothing; policy_explanation_fini frees it in either case.
 */
MUST_USE enum err policy_explain(const struct policy_tables *t, struct str from, struct str to,
                                 const struct json_value *context, struct policy_explanation *out,
                                 struct str *why);

/* May somebody there log in as `login`: the SSH rules on the machine `to`, in their order. Otherwise as above. */
MUST_USE enum err policy_explain_login(const struct policy_tables *t, struct str from, struct str to,
                                       struct str login, struct policy_explanation *out, struct str *why);

/* Text for people, a line each; the same as JSON. */
void policy_explanation_print(const struct policy_explanation *e, struct buf *out);
void policy_explanation_write(const struct policy_explanation *e, struct json_writer *w);
