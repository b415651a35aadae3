#include "json/patch.h"

#include "json/operation_priv.h"
#include "json/pointer.h"

/* ---- operations that stand alone ---- */

static enum err pointer_check(struct json_change *c, struct str pointer)
{
        if (json_pointer_is_valid(pointer))
                return ERR_OK;
        return json_change_refuse(
                c, ERR_MALFORMED,
                "a pointer is empty or parts that begin with /, with ~ only as ~0 and ~1; not", pointer);
}

static enum err run_alone(json_operation_run *run, struct str text, const struct json_options *options,
                          struct json_operation o, struct buf *out, struct report *report)
{
        struct json_change c;
        enum err e;

        json_change_init(&c, text, options, report);
        if ((e = pointer_check(&c, o.path)) == ERR_OK && (e = run(&c, &o)) == ERR_OK)
                e = json_change_finish(&c, out);
        json_change_fini(&c);
        return e;
}

static enum err run_with_value(json_operation_run *run, struct str text, const struct json_options *options,
                               struct str pointer, struct str value, struct buf *out, struct report *report)
{
        struct json_operation o = { .path = pointer, .value = { .from = value } };
        const struct json_value *tree;
        struct arena arena;

        arena_init(&arena, NULL, 0, json_edit_arena_bytes(value.len));
        enum err e = json_read(&arena, value, options, report, &tree);
        if (e == ERR_OK) {
                o.value.raw = tree->raw;
                e = run_alone(run, text, options, o, out, report);
        }
        arena_fini(&arena);
        return e;
}

enum err json_patch_set(struct str text, const struct json_options *options, struct str pointer,
                        struct str value, struct buf *out, struct report *report)
{
        return run_with_value(json_operation_set, text, options, pointer, value, out, report);
}

enum err json_patch_add(struct str text, const struct json_options *options, struct str pointer,
                        struct str value, struct buf *out, struct report *report)
{
        return run_with_value(json_operation_add, text, options, pointer, value, out, report);
}

enum err json_patch_replace(struct str text, const struct json_options *options, struct str pointer,
                            struct str value, struct buf *out, struct report *report)
{
        return run_with_value(json_operation_replace, text, options, pointer, value, out, report);
}

enum err json_patch_remove(struct str text, const struct json_options *options, struct str pointer,
                           struct buf *out, struct report *report)
{
        return run_alone(json_operation_remove, text, options, (struct json_operation){ .path = pointer },
                         out, report);
}

/* ---- a patch ---- */

static const struct {
        struct str name;
        bool has_value, has_from;
        json_operation_run *run;
} kinds[] = {
        { STR_INIT("add"), true, false, json_operation_add },
        { STR_INIT("remove"), false, false, json_operation_remove },
        { STR_INIT("replace"), true, false, json_operation_replace },
        { STR_INIT("move"), false, true, json_operation_move },
        { STR_INIT("copy"), false, true, json_operation_copy },
        { STR_INIT("test"), true, false, json_operation_test },
};

static enum err operation_run(struct json_change *c, const struct json_value *v, struct str patch)
{
        const struct json_value *path = json_find(v, STR("path")), *from = json_find(v, STR("from"));
        struct str name = json_str(json_find(v, STR("op")));
        struct json_operation o = {
                json_str(path), json_str(from), { .from = patch }, json_find(v, STR("value"))
        };
        size_t kind = 0;
        enum err e;

        while (kind < ARRAY_SIZE(kinds) && !str_eq(kinds[kind].name, name))
                kind++;
        if (kind == ARRAY_SIZE(kinds))
                return json_change_refuse(c, ERR_MALFORMED,
                                          "\"op\" must be add, remove, replace, move, copy or test, not",
                                          name);
        if (!json_is(path, JSON_STRING))
                return json_change_refuse(c, ERR_MALFORMED, "a \"path\" with a JSON pointer is missing in",
                                          name);
        if (kinds[kind].has_from && !json_is(from, JSON_STRING))
                return json_change_refuse(c, ERR_MALFORMED, "a \"from\" with a JSON pointer is missing in",
                                          name);
        if (kinds[kind].has_value && !o.tree)
                return json_change_refuse(c, ERR_MALFORMED, "a \"value\" is missing in", name);
        if ((e = pointer_check(c, o.path)) != ERR_OK || (e = pointer_check(c, o.from)) != ERR_OK)
                return e;
        if (o.tree)
                o.value.raw = o.tree->raw;
        return kinds[kind].run(c, &o);
}

static enum err operations_run(struct json_change *c, const struct json_value *list, struct str patch)
{
        enum err e = ERR_OK;

        if (list->type != JSON_ARRAY)
                return json_change_refuse(c, ERR_MALFORMED, "a JSON patch is an array of operations, not",
                                          list->raw);
        if (list->count > JSON_PATCH_OPERATIONS_MAX)
                return json_change_refuse(c, ERR_TOO_LARGE,
                                          "a JSON patch has too many operations; send several instead of",
                                          STR("one"));
        for (size_t i = 0; i < list->count && e == ERR_OK; i++) {
                c->number = i + 1;
                e = operation_run(c, &list->items[i], patch);
        }
        return e;
}

enum err json_patch_apply(struct str text, const struct json_options *options, struct str patch,
                          struct buf *out, struct report *report)
{
        const struct json_value *list;
        struct arena arena;
        struct json_change c;

        arena_init(&arena, NULL, 0, json_edit_arena_bytes(patch.len));
        json_change_init(&c, text, options, report);
        enum err e = json_read(&arena, patch, options, report, &list);
        if (e == ERR_OK && (e = operations_run(&c, list, patch)) == ERR_OK)
                e = json_change_finish(&c, out);
        json_change_fini(&c);
        arena_fini(&arena);
        return e;
}
