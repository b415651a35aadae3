#include <assert.h>
#include <string.h>

#include "conf/types_priv.h"
#include "json/reader.h"

/* The default of a key, by the same way as the file's values: one place that understands them. */
static void fallback_set(struct loader *l, const struct conf_key *key, char *base)
{
        const struct json_value *v;

        if (key->fallback) {
                enum err e = json_read_strict(&l->scratch, str_of(key->fallback), NULL, &v);

                assert(e == ERR_OK || e == ERR_NO_MEMORY); /* the table is ours */
                if (e == ERR_OK)
                        conf_type_set(l, key, v, base + key->offset);
                else
                        l->scratch.full = true;
        } else if (key->type == CONF_TYPE_NUMBER || key->type == CONF_TYPE_BYTES ||
                   key->type == CONF_TYPE_DURATION) {
                *(uint64_t *)(void *)(base + key->offset) = CONF_UNSET;
        } else if (key->type == CONF_TYPE_PLACED) {
                ((struct draft_number *)(void *)(base + key->offset))->value = CONF_UNSET;
        } else if (key->type == CONF_TYPE_TIME) {
                *(unix_ms *)(void *)(base + key->offset) = MONO_NEVER;
        }
}

static void table_defaults(struct loader *l, const struct conf_table *table, char *base)
{
        for (size_t i = 0; i < table->keys_count; i++) {
                const struct conf_key *key = &table->keys[i];

                if (key->type == CONF_TYPE_TABLE)
                        table_defaults(l, key->table, base + key->offset); /* as deep as the tables are */
                else
                        fallback_set(l, key, base);
        }
}

static void defaults_set(struct loader *l, const struct conf_table *table, char *base)
{
        bool was_default = l->is_default;

        l->is_default = true;
        table_defaults(l, table, base);
        l->is_default = was_default;
}

/* What new items of a table are copied from. */
static const void *blank_find(struct loader *l, const struct conf_table *table)
{
        for (size_t i = 0; i < l->blanks_count; i++)
                if (l->blanks[i].table == table)
                        return l->blanks[i].item;
        assert(l->blanks_count < LOADER_TABLES_MAX);
        void *item = arena_zalloc(l->arena, table->item_bytes, _Alignof(max_align_t));
        if (!item)
                return NULL;
        defaults_set(l, table, item);
        l->blanks[l->blanks_count].table = table;
        l->blanks[l->blanks_count++].item = item;
        return item;
}

static void unknown_report(struct loader *l, const struct conf_table *table, const struct json_member *member)
{
        struct str names[64];
        size_t count = 0;

        for (size_t i = 0; i < table->keys_count; i++)
                if (!(table->keys[i].flags & CONF_HIDDEN) && count < ARRAY_SIZE(names))
                        names[count++] = str_of(table->keys[i].name);
        loader_error_at(l, (struct draft_place){ member->key_line, member->key_column },
                        "%.*s%sthere is no key \"%.*s\"%s", STR_FMT(buf_str(&l->path)),
                        l->path.len ? ": " : "", STR_FMT(member->key),
                        loader_hint(l, member->key, names, count));
}

void loader_set(struct loader *l, const struct conf_key *key, const struct json_value *v, char *base)
{
        size_t len = loader_enter_key(l, str_of(key->name));

        /* null says the same as leaving the key out, as in the predecessor's file. */
        if (v->type != JSON_NULL || key->type == CONF_TYPE_UNUSED)
                conf_type_set(l, key, v, base + key->offset);
        loader_leave(l, len);
}

static void members_set(struct loader *l, const struct conf_table *table, const struct json_value *v,
                        char *base)
{
        for (size_t i = 0; i < v->count; i++) {
                const struct conf_key *key = conf_table_find(table, v->members[i].key);

                if (key)
                        loader_set(l, key, &v->members[i].value, base);
                else
                        unknown_report(l, table, &v->members[i]);
        }
        for (size_t i = 0; i < table->keys_count; i++) {
                const struct json_value *given = json_find(v, str_of(table->keys[i].name));

                if (table->keys[i].flags & CONF_REQUIRED && (!given || given->type == JSON_NULL))
                        loader_error(l, v, "\"%s\" is missing", table->keys[i].name);
        }
}

void loader_table(struct loader *l, const struct conf_table *table, const struct json_value *v, char *base)
{
        if (table->has_place)
                *(struct draft_place *)(void *)base = loader_place(l, v);
        if (v->type == JSON_OBJECT)
                members_set(l, table, v, base);
        else if (table->short_key)
                conf_type_set(l, conf_table_find(table, str_of(table->short_key)), v,
                              base + conf_table_find(table, str_of(table->short_key))->offset);
        else
                loader_error(l, v, "is %s; write an object", json_type_text(v->type));
}

static void item_read(struct loader *l, const struct conf_table *table, const struct json_value *v,
                      struct str name, struct draft_place at, char *base)
{
        const void *blank = blank_find(l, table);

        if (!blank)
                return;
        memcpy(base, blank, table->item_bytes);
        *(struct draft_item *)(void *)base = (struct draft_item){
                .name = arena_copy(l->arena, name),
                .path = arena_copy(l->arena, buf_str(&l->path)),
                .at = at,
        };
        loader_table(l, table, v, base);
}

/* Room for the items of a list or map, zeroed. */
static char *items_new(struct loader *l, const struct conf_table *table, const struct json_value *v,
                       struct draft_list *out)
{
        *out = (struct draft_list){ .at = loader_place(l, v) };
        if (v->count == 0 ||
            !(out->items = arena_calloc(l->arena, v->count, table->item_bytes, _Alignof(max_align_t))))
                return NULL;
        out->count = v->count;
        return out->items;
}

void loader_list(struct loader *l, const struct conf_table *table, const struct json_value *v,
                 struct draft_list *out)
{
        if (v->type != JSON_ARRAY) {
                loader_error(l, v, "is %s; write a list", json_type_text(v->type));
                return;
        }
        char *items = items_new(l, table, v, out);

        for (size_t i = 0; items && i < v->count; i++) {
                size_t len = loader_enter_index(l, i);

                item_read(l, table, &v->items[i], STR_NULL, loader_place(l, &v->items[i]),
                          items + i * table->item_bytes);
                loader_leave(l, len);
        }
}

void loader_map(struct loader *l, const struct conf_table *table, const struct json_value *v,
                struct draft_list *out)
{
        if (v->type != JSON_OBJECT) {
                loader_error(l, v, "is %s; write an object of names and their settings",
                             json_type_text(v->type));
                return;
        }
        char *items = items_new(l, table, v, out);

        for (size_t i = 0; items && i < v->count; i++) {
                const struct json_member *member = &v->members[i];
                size_t len = loader_enter_key(l, member->key);

                item_read(l, table, &member->value, member->key,
                          (struct draft_place){ member->key_line, member->key_column },
                          items + i * table->item_bytes);
                loader_leave(l, len);
        }
}

struct draft *loader_read(struct loader *l, const struct json_value *root)
{
        struct draft *d = ARENA_NEW(l->arena, struct draft);

        if (!d)
                return NULL;
        defaults_set(l, &conf_table_root, (char *)d);
        loader_table(l, &conf_table_root, root, (char *)d);
        return l->arena->full || l->scratch.full ? NULL : d;
}
