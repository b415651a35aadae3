#include "store/change.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "store/audit_priv.h"
#include "store/table_priv.h"
#include "json/writer.h"

enum { SHOWN_BYTES_MAX = 200, EFFECT_BYTES_MAX = 32 * 1024 };

struct store_change *store_change_begin(struct store_txn *t, int64_t org, const struct store_actor *actor,
                                        const char *action)
{
        struct store_change *c = &t->change;

        assert(t->is_write);
        assert(!c->is_open);
        buf_clear(&c->detail);
        c->txn = t;
        c->is_open = true;
        c->org = org;
        c->actor = *actor;
        c->action = action;
        c->object[0] = '\0';
        c->effects_count = c->left_out_count = 0;
        return c;
}

struct store_txn *store_change_txn(struct store_change *c)
{
        return c->txn;
}

static void write_ip(struct json_writer *w, const struct ip *ip)
{
        char text[IP_TEXT_MAX];

        if (ip->family)
                json_write_str(w, ip_format(*ip, text));
        else
                json_write_null(w);
}

static void write_text(struct json_writer *w, struct str s)
{
        char cut[SHOWN_BYTES_MAX + 4];

        if (s.len <= SHOWN_BYTES_MAX) {
                json_write_str(w, s);
                return;
        }
        memcpy(cut, s.ptr, SHOWN_BYTES_MAX);
        memcpy(cut + SHOWN_BYTES_MAX, "...", 3);
        json_write_str(w, (struct str){ cut, SHOWN_BYTES_MAX + 3 });
}

/* For people: a hidden value only says that it is there. */
static void write_value(struct json_writer *w, const struct store_field *f, const void *row)
{
        struct store_value v = store_field_get(f, row);

        if (f->flags & FIELD_HIDDEN || f->type == STORE_BYTES)
                json_write_bool(w, v.type != STORE_NULL && (v.type == STORE_NUMBER || v.text.len > 0));
        else if (f->type == STORE_IP)
                write_ip(w, (const struct ip *)(const void *)((const char *)row + f->offset));
        else if (f->type == STORE_BOOL)
                json_write_bool(w, v.number != 0);
        else if (v.type == STORE_NUMBER)
                json_write_int(w, v.number);
        else if (v.type == STORE_STRING)
                write_text(w, v.text);
        else
                json_write_null(w);
}

static bool is_same(const struct store_field *f, const void *a, const void *b)
{
        struct store_value x = store_field_get(f, a), y = store_field_get(f, b);

        return x.type == y.type && x.number == y.number && str_eq(x.text, y.text);
}

/* Of a new or lost row the fields that say something; of a changed one those that differ and that an edit may write. */
static bool is_shown(const struct store_field *f, const void *row, const void *other)
{
        struct store_value v = store_field_get(f, row);

        if (other)
                return !(f->flags & (FIELD_FIXED | FIELD_QUIET)) && !is_same(f, row, other);
        return v.type != STORE_NULL && (v.number != 0 || v.text.len > 0);
}

static void write_side(struct json_writer *w, const char *side, const struct store_table *table,
                       const void *row, const void *other)
{
        if (!row)
                return;
        json_write_key(w, str_of(side));
        json_write_object_begin(w);
        for (size_t i = 0; i < table->fields_count; i++) {
                const struct store_field *f = &table->fields[i];
                if (!is_shown(f, row, other))
                        continue;
                json_write_key(w, str_of(f->name));
                write_value(w, f, row);
        }
        json_write_object_end(w);
}

/* Joins one effect to the detail, while there is room. */
static void add_effect(struct store_change *c, const struct buf *effect)
{
        if (effect->full || c->detail.len + effect->len + 64 > CHANGE_DETAIL_BYTES_MAX) {
                c->left_out_count++;
                return;
        }
        buf_add_char(&c->detail, c->detail.len ? ',' : '[');
        buf_add(&c->detail, buf_str(effect));
}

static void name_object(struct store_change *c, struct str object)
{
        if (c->effects_count++ == 0)
                snprintf(c->object, sizeof(c->object), "%.*s", STR_FMT(object));
}

enum err store_change_row(struct store_change *c, const struct store_table *table, const void *before,
                          const void *after)
{
        const struct store_row_head *head = after ? after : before;
        char object[CHANGE_OBJECT_BYTES];
        struct json_writer w;
        struct buf effect;
        int n = snprintf(object, sizeof(object), "%s/%lld", table->name, (long long)head->id);

        assert(c->is_open);
        buf_init(&effect, EFFECT_BYTES_MAX);
        json_writer_init(&w, &effect, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("object"), (struct str){ object, (size_t)n });
        write_side(&w, "before", table, before, after);
        write_side(&w, "after", table, after, before);
        json_write_object_end(&w);
        json_writer_finish(&w);
        name_object(c, (struct str){ object, (size_t)n });
        add_effect(c, &effect);
        buf_fini(&effect);
        return store_outbox_write(c->txn, head->org, table->name, head->id,
                                  !before  ? STORE_ADDED
                                  : !after ? STORE_REMOVED
                                           : STORE_UPDATED);
}

void store_change_note(struct store_change *c, struct str object, struct str json)
{
        struct json_writer w;
        struct buf effect;

        assert(c->is_open);
        buf_init(&effect, EFFECT_BYTES_MAX);
        json_writer_init(&w, &effect, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("object"), object);
        if (json.len)
                json_write_member_raw(&w, STR("note"), json);
        json_write_object_end(&w);
        json_writer_finish(&w);
        name_object(c, object);
        add_effect(c, &effect);
        buf_fini(&effect);
}

enum err store_change_finish(struct store_change *c)
{
        struct store_audit record = {
                .org = c->org,
                .time = c->txn->now,
                .actor = c->actor.name,
                .source = c->actor.source,
                .action = str_of(c->action),
                .object = str_of(c->object),
        };
        enum err e = ERR_OK;

        assert(c->is_open);
        c->is_open = false;
        if (c->effects_count == 0)
                return ERR_OK;
        if (c->left_out_count)
                buf_addf(&c->detail, "%c{\"leftOut\":%u}", c->detail.len ? ',' : '[', c->left_out_count);
        buf_add_char(&c->detail, ']');
        record.detail = buf_str(&c->detail);
        e = c->detail.full ? ERR_NO_MEMORY : store_audit_write(c->txn, &record);
        return e;
}
