/*
 * policy/posture.h - what a device must be like: "node:os == 'linux'", "custom:tier IN ['a', 'b']", "node:osVersion >= '13.4'".
 *
 * Does:   conditions parsed once, judged against a node's attributes without allocating.
 * Source: Tailscale's device posture syntax. A missing attribute makes a condition false, but for NOT SET.
 * Thread: immutable once made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum { POLICY_CONDITIONS_MAX = 64, POLICY_CONDITION_VALUES_MAX = 256, POSTURE_WHY_MAX = 200 };

enum policy_value_type { VALUE_STRING, VALUE_NUMBER, VALUE_BOOL };

struct policy_value {
        enum policy_value_type type;
        struct str text; /* as written: VALUE_STRING and VALUE_NUMBER */
        bool boolean;
};

/* An attribute of a node: "node:os" = "linux", "custom:score" = 87. */
struct policy_attr {
        struct str name;
        struct policy_value value;
};

struct policy_attrs {
        const struct policy_attr *items; /* sorted by name */
        size_t count;
};

enum policy_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_NOT_IN, OP_IS_SET, OP_NOT_SET };

struct policy_condition {
        struct str text; /* as written */
        uint32_t line, column;
        struct str attr;
        enum policy_op op;
        const struct policy_value *values; /* one, or a list for IN and NOT IN, or none */
        size_t values_count;
};

struct policy_posture {
        struct str name; /* "posture:laptop" */
        uint32_t line, column;
        struct policy_condition *conditions; /* all must hold */
        size_t conditions_count;
};

/* Reads one condition; `text` must outlive it. On ERR_MALFORMED `why` is the sentence. */
MUST_USE enum err policy_condition_parse(struct arena *arena, struct str text, struct policy_condition *out,
                                         char why[POSTURE_WHY_MAX]);

bool policy_condition_holds(const struct policy_condition *c, const struct policy_attrs *attrs);
bool policy_posture_holds(const struct policy_posture *p, const struct policy_attrs *attrs);

/* The value of that name, or NULL. O(log count). */
const struct policy_value *policy_attrs_find(const struct policy_attrs *attrs, struct str name);

/* Whether both say the same: texts are equal, numbers and versions by value. */
int policy_version_compare(struct str a, struct str b);
