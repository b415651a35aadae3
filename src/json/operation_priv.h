/*
 * json/operation_priv.h - one operation after the other on a text, for json/patch.c.
 */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "json/edit_priv.h"
#include "json/reader.h"

/* A text on its way through one operation after the other. */
struct json_change {
        const struct json_options *options;
        struct report *report;
        size_t number; /* of the operation, from 1; 0: it stands alone */
        struct buf text, next;
        struct arena kept; /* what outlives the text it was in */
};

struct json_operation {
        struct str path, from;
        struct json_graft value;
        const struct json_value *tree; /* of value; only in a patch */
};

void json_change_init(struct json_change *c, struct str text, const struct json_options *options,
                      struct report *report);
void json_change_fini(struct json_change *c);

/* The text as it is now, read once more by the rules and appended to `out`. */
MUST_USE enum err json_change_finish(struct json_change *c, struct buf *out);

/* Reports "operation N: WHAT "TEXT"" and returns e. */
enum err json_change_refuse(struct json_change *c, enum err e, const char *what, struct str text);

/* Pointers are valid. On an error the text is unchanged, or, in a move, of no more use. */
typedef enum err json_operation_run(struct json_change *c, const struct json_operation *o);
json_operation_run json_operation_add, json_operation_remove, json_operation_replace, json_operation_move,
        json_operation_copy, json_operation_test, json_operation_set;
