#include "json/operation_priv.h"

#include <assert.h>

#include "base/escape.h"
#include "json/pointer.h"

enum { POINTER_SHOWN_MAX = 200 };

enum err json_change_refuse(struct json_change *c, enum err e, const char *what, struct str pointer)
{
        struct str shown = str_sub(pointer, 0, POINTER_SHOWN_MAX);

        if (c->report && c->number)
                report_error(c->report, 0, 0, "operation %zu: %s \"%.*s\"", c->number, what, STR_FMT(shown));
        else if (c->report)
                report_error(c->report, 0, 0, "%s \"%.*s\"", what, STR_FMT(shown));
        return e;
}

static size_t bytes_limit(const struct json_options *options)
{
        return options && options->bytes_max ? options->bytes_max : JSON_BYTES_DEFAULT;
}

void json_change_init(struct json_change *c, struct str text, const struct json_options *options,
                      struct report *report)
{
        *c = (struct json_change){ .options = options, .report = report };
        buf_init(&c->text, MAX(bytes_limit(options), text.len));
        buf_init(&c->next, bytes_limit(options));
        arena_init(&c->kept, NULL, 0, json_edit_arena_bytes(bytes_limit(options)));
        buf_add(&c->text, text);
}

void json_change_fini(struct json_change *c)
{
        buf_fini(&c->text);
        buf_fini(&c->next);
        arena_fini(&c->kept);
}

/* ---- one edit ---- */

static enum err edit_open(struct json_change *c, struct json_edit *e)
{
        return json_edit_open(e, buf_str(&c->text), c->options, c->report);
}

/* Takes over what the edit made, unless `err` says that nothing was planned. */
static enum err edit_done(struct json_change *c, struct json_edit *e, enum err err)
{
        buf_clear(&c->next);
        if (err == ERR_OK && json_edit_apply(e, &c->next) != ERR_OK) {
                err = ERR_TOO_LARGE;
                if (c->report)
                        report_error(c->report, 0, 0, "the changed text is longer than it may be");
        }
        json_edit_close(e);
        if (err != ERR_OK)
                return err;
        struct buf text = c->text;
        c->text = c->next;
        c->next = text;
        return ERR_OK;
}

/* What a pointer names: `found` in `parent` (NULL: the pointer is the whole text), or where it would be. */
struct target {
        const struct json_value *parent, *found;
        struct str last;
};

static enum err locate(struct json_change *c, const struct json_value *root, struct str pointer,
                       struct target *t)
{
        *t = (struct target){ .found = root };
        if (!pointer.len)
                return ERR_OK;
        struct str above = json_pointer_parent(pointer, &t->last);
        t->parent = json_pointer_find(root, above);
        if (!json_is(t->parent, JSON_OBJECT) && !json_is(t->parent, JSON_ARRAY))
                return json_change_refuse(c, ERR_NOT_FOUND, "there is no object or array at", above);
        t->found = json_pointer_step(t->parent, t->last);
        return ERR_OK;
}

static enum err locate_found(struct json_change *c, const struct json_value *root, struct str pointer,
                             struct target *t)
{
        enum err e = locate(c, root, pointer, t);

        if (e == ERR_OK && !t->found)
                e = json_change_refuse(c, ERR_NOT_FOUND, "there is nothing at", pointer);
        return e;
}

static size_t found_index(const struct target *t)
{
        assert(t->parent && t->found);
        if (t->parent->type == JSON_ARRAY)
                return (size_t)(t->found - t->parent->items);
        return (size_t)(CONTAINER_OF(t->found, const struct json_member, value) - t->parent->members);
}

/* The JSON text of the key a part names. */
static struct str key_text(struct json_edit *e, struct str part)
{
        struct str text;
        struct buf key, quoted;

        buf_init(&key, part.len);
        buf_init(&quoted, part.len * 6 + 16);
        json_pointer_decode(&key, part);
        buf_add_char(&quoted, '"');
        escape_json(&quoted, buf_str(&key));
        buf_add_char(&quoted, '"');
        e->texts.full |= key.full || quoted.full;
        text = arena_copy(&e->texts, buf_str(&quoted));
        buf_fini(&key);
        buf_fini(&quoted);
        return text;
}

static enum err insert(struct json_change *c, struct json_edit *e, const struct target *t, struct str pointer,
                       struct json_graft value)
{
        assert(t->parent); /* a pointer that names nothing is not empty */
        size_t index = t->parent->count;

        if (t->parent->type == JSON_OBJECT) {
                json_edit_insert(e, t->parent, index, key_text(e, t->last), value);
                return ERR_OK;
        }
        if (!str_eq(t->last, STR("-")) &&
            (json_pointer_index(t->last, &index) != ERR_OK || index > t->parent->count))
                return json_change_refuse(c, ERR_NOT_FOUND, "no element can stand at", pointer);
        json_edit_insert(e, t->parent, index, STR_NULL, value);
        return ERR_OK;
}

static enum err add_planned(struct json_change *c, struct json_edit *e, struct str pointer,
                            struct json_graft value)
{
        struct target t;
        enum err err = locate(c, e->root, pointer, &t);

        if (err != ERR_OK)
                return err;
        if (!t.parent || (t.found && t.parent->type == JSON_OBJECT)) {
                json_edit_replace(e, t.found, value);
                return ERR_OK;
        }
        return insert(c, e, &t, pointer, value);
}

/* ---- operations ---- */

enum err json_operation_add(struct json_change *c, const struct json_operation *o)
{
        struct json_edit e;
        enum err err = edit_open(c, &e);

        return err == ERR_OK ? edit_done(c, &e, add_planned(c, &e, o->path, o->value)) : err;
}

enum err json_operation_replace(struct json_change *c, const struct json_operation *o)
{
        struct json_edit e;
        struct target t;
        enum err err = edit_open(c, &e);

        if (err != ERR_OK)
                return err;
        if ((err = locate_found(c, e.root, o->path, &t)) == ERR_OK)
                json_edit_replace(&e, t.found, o->value);
        return edit_done(c, &e, err);
}

enum err json_operation_remove(struct json_change *c, const struct json_operation *o)
{
        struct json_edit e;
        struct target t;
        enum err err = edit_open(c, &e);

        if (err != ERR_OK)
                return err;
        err = locate_found(c, e.root, o->path, &t);
        if (err == ERR_OK && !t.parent)
                err = json_change_refuse(c, ERR_NOT_FOUND, "the whole text cannot be removed; the pointer is",
                                         o->path);
        if (err == ERR_OK)
                json_edit_remove(&e, t.parent, found_index(&t));
        return edit_done(c, &e, err);
}

enum err json_operation_copy(struct json_change *c, const struct json_operation *o)
{
        struct json_edit e;
        struct target t;
        enum err err = edit_open(c, &e);

        if (err != ERR_OK)
                return err;
        if ((err = locate_found(c, e.root, o->from, &t)) == ERR_OK)
                err = add_planned(c, &e, o->path, (struct json_graft){ e.text, t.found->raw });
        return edit_done(c, &e, err);
}

enum err json_operation_test(struct json_change *c, const struct json_operation *o)
{
        struct json_edit e;
        struct target t;
        enum err err = edit_open(c, &e);

        if (err != ERR_OK)
                return err;
        if ((err = locate_found(c, e.root, o->path, &t)) == ERR_OK && !json_eq(t.found, o->tree))
                err = json_change_refuse(c, ERR_DENIED, "the test failed, another value stands at", o->path);
        json_edit_close(&e);
        return err;
}

/* The value, with the start of its line, which tells its indentation, kept beyond the text. */
static struct json_graft value_keep(struct json_change *c, struct json_edit *e, const struct json_value *v)
{
        size_t start = v->offset;

        while (start && e->text.ptr[start - 1] != '\n')
                start--;
        struct str copy = arena_copy(&c->kept, str_sub(e->text, start, v->offset + v->raw.len - start));
        return (struct json_graft){ copy, str_from(copy, v->offset - start) };
}

static bool is_below(struct str pointer, struct str above)
{
        return str_has_prefix(pointer, above) && pointer.len > above.len && pointer.ptr[above.len] == '/';
}

/* First half of a move: what stood at `from` is gone, or already has its new name (*is_done). */
static enum err move_out(struct json_change *c, const struct json_operation *o, struct json_graft *value,
                         bool *is_done)
{
        struct target from, to;
        struct json_edit e;
        enum err err = edit_open(c, &e);

        if (err != ERR_OK)
                return err;
        if ((err = locate_found(c, e.root, o->from, &from)) != ERR_OK)
                return edit_done(c, &e, err);
        *is_done = str_eq(o->from, o->path);
        if (*is_done)
                return edit_done(c, &e, ERR_OK);
        if (locate(&(struct json_change){ 0 }, e.root, o->path, &to) == ERR_OK && to.parent &&
            to.parent == from.parent && to.parent->type == JSON_OBJECT && !to.found) {
                json_edit_rename(&e, &from.parent->members[found_index(&from)], key_text(&e, to.last));
                *is_done = true;
                return edit_done(c, &e, ERR_OK);
        }
        *value = value_keep(c, &e, from.found);
        json_edit_remove(&e, from.parent, found_index(&from));
        err = edit_done(c, &e, ERR_OK);
        return err == ERR_OK && c->kept.full ? ERR_NO_MEMORY : err;
}

enum err json_operation_move(struct json_change *c, const struct json_operation *o)
{
        struct json_operation add = { .path = o->path };
        bool is_done = false;
        enum err e;

        if (is_below(o->path, o->from))
                return json_change_refuse(c, ERR_MALFORMED, "a value cannot move into itself, to", o->path);
        if ((e = move_out(c, o, &add.value, &is_done)) != ERR_OK || is_done)
                return e;
        return json_operation_add(c, &add);
}

/* ---- set: add, and the objects above ---- */

static size_t parts_count(struct str pointer)
{
        struct str part;
        size_t count = 0;

        while (json_pointer_split(&pointer, &part))
                count++;
        return count;
}

/* The value in the objects that the parts of `pointer` name, outermost first. */
static struct json_graft nest(struct json_edit *e, struct str pointer, struct json_graft value)
{
        struct str part;

        while (pointer.len) {
                pointer = json_pointer_parent(pointer, &part);
                struct str pieces[] = { STR("{"), key_text(e, part), STR(": "), value.raw, STR("}") };
                value.raw = value.from = arena_join(&e->texts, pieces, ARRAY_SIZE(pieces));
        }
        return value;
}

enum err json_operation_set(struct json_change *c, const struct json_operation *o)
{
        const struct json_value *v;
        struct target t;
        struct json_edit e;
        enum err err = edit_open(c, &e);

        if (err != ERR_OK)
                return err;
        struct str rest = o->path, above = rest, part;
        for (v = e.root; v && json_pointer_split(&rest, &part); v = json_pointer_step(v, part))
                above = rest;
        struct str path = str_sub(o->path, 0, o->path.len - (v ? 0 : above.len));
        if (v)
                json_edit_replace(&e, v, o->value);
        else if (parts_count(above) > JSON_DEPTH_MAX)
                err = json_change_refuse(c, ERR_TOO_LARGE, "too many objects are missing to", o->path);
        else if ((err = locate(c, e.root, path, &t)) == ERR_OK)
                err = insert(c, &e, &t, path, nest(&e, above, o->value));
        return edit_done(c, &e, err);
}

/* ---- the end ---- */

/* The result is read once more, by the same rules, before anybody gets it. */
enum err json_change_finish(struct json_change *c, struct buf *out)
{
        size_t before = out->len;
        struct json_edit e;
        enum err err = edit_open(c, &e);

        if (err != ERR_OK)
                return err;
        json_edit_close(&e);
        buf_add(out, buf_str(&c->text));
        if (!out->full)
                return ERR_OK;
        out->len = before;
        if (c->report)
                report_error(c->report, 0, 0, "the changed text needs more memory than it may take");
        return ERR_NO_MEMORY;
}
