/* Items of a reading: new ones, or those that the reading before had. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/desired_priv.h"

enum {
        BUILT_BYTES_MAX = 4 << 20
}; /* more than rows have room for: what is too large is found when it is whole */

static enum err items_room(struct desired_items *to)
{
        size_t cap = to->cap ? to->cap * 2 : 4;
        struct wire_item **list = NULL;
        bool *is_borrowed = NULL;

        if (to->count < to->cap)
                return ERR_OK;
        if (!(list = realloc(to->list, cap * sizeof(struct wire_item *))))
                return ERR_NO_MEMORY;
        to->list = list;
        if (!(is_borrowed = realloc(to->is_borrowed, cap * sizeof(bool))))
                return ERR_NO_MEMORY;
        to->is_borrowed = is_borrowed;
        to->cap = cap;
        return ERR_OK;
}

/* The one that the reading before had, if it is the same. Both are in one order, but for what was added and removed since: each is looked for
 * a little further on than the one before it. */
static struct wire_item *item_before(struct desired_items *to, struct str section, struct str id,
                                     struct str json)
{
        enum { FURTHER = 8 };

        for (size_t i = to->before_next; to->before && i < to->before->count && i < to->before_next + FURTHER;
             i++) {
                struct wire_item *item = to->before->list[i];

                if (!str_eq(item->id, id) || !str_eq(item->section, section))
                        continue;
                to->before_next = i + 1;
                return str_eq(item->json, json) ? item : NULL;
        }
        return NULL;
}

void desired_items_take(struct desired_items *items)
{
        for (size_t i = 0; i < items->count; i++)
                if (items->is_borrowed[i])
                        wire_item_get(items->list[i]);
        if (items->count)
                memset(items->is_borrowed, 0, items->count * sizeof(bool));
        items->before = NULL;
}

void desired_items_fini(struct desired_items *items)
{
        for (size_t i = 0; i < items->count; i++)
                if (!items->is_borrowed[i])
                        wire_item_put(items->list[i]);
        free(items->list);
        free(items->is_borrowed);
}

void desired_item_begin(struct json_writer *w, struct buf *json)
{
        buf_init(json, BUILT_BYTES_MAX);
        json_writer_init(w, json, JSON_COMPACT);
        json_write_object_begin(w);
}

enum err desired_item_end(struct json_writer *w, struct buf *json, struct desired_items *to,
                          const char *section, struct str id)
{
        struct wire_item *item = NULL;
        enum err e = items_room(to);
        bool is_borrowed;

        json_write_object_end(w);
        json_writer_finish(w);
        if (e == ERR_OK && json->full)
                e = ERR_NO_MEMORY;
        if (e == ERR_OK && !(item = item_before(to, str_of(section), id, buf_str(json))))
                e = wire_item_new(str_of(section), id, buf_str(json), &item);
        is_borrowed = to->before_next && to->before->list[to->before_next - 1] == item;
        buf_fini(json);
        if (e == ERR_OK) {
                to->is_borrowed[to->count] = is_borrowed;
                to->list[to->count++] = item;
        }
        if (e == ERR_OK || e == ERR_NO_MEMORY)
                return e;
        log_error("item_left_out", LOG_C("section", section), LOG_S("id", id), LOG_E(e));
        return ERR_OK;
}

void desired_member_raw(struct json_writer *w, const char *name, struct str json, const char *otherwise)
{
        json_write_member_raw(w, str_of(name), json.len ? json : str_of(otherwise));
}
