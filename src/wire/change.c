#include "wire/change.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "wire/document_priv.h"

/* Removed items are written as lists of ids; as items they have an empty object for their text. */
struct wire_change {
        uint64_t from;
        struct wire_header header;
        char node[WIRE_ID_MAX], org[WIRE_ID_MAX];
        uint8_t hash[WIRE_HASH_BYTES], signature[WIRE_SIGNED_BYTES];
        struct wire_items set, removed;
};

static enum err because(const char **why, const char *text, enum err e)
{
        *why = text;
        return e;
}

static struct wire_change *change_new(const struct wire_header *header)
{
        struct wire_change *c = calloc(1, sizeof(*c));

        if (c)
                wire_header_copy(&c->header, header, c->node, c->org);
        return c;
}

void wire_change_free(struct wire_change *c)
{
        if (!c)
                return;
        wire_items_fini(&c->set);
        wire_items_fini(&c->removed);
        free(c);
}

/* ---- the difference ---- */

static bool is_same(const struct wire_item *a, const struct wire_item *b)
{
        return a == b || memcmp(a->sha256, b->sha256, WIRE_HASH_BYTES) == 0;
}

/* Both lists are in order: one walk. */
static enum err compare(const struct wire_document *from, const struct wire_document *to,
                        struct wire_change *c)
{
        size_t i = 0, j = 0, from_count = from ? from->count : 0;
        enum err e = ERR_OK;

        while (e == ERR_OK && (i < from_count || j < to->count)) {
                int side = i == from_count ? 1
                           : j == to->count
                                   ? -1
                                   : wire_item_cmp(from->items[i], to->items[j]->section, to->items[j]->id);
                if (side < 0)
                        e = wire_items_add(&c->removed, from->items[i]);
                else if (side > 0 || !is_same(from->items[i], to->items[j]))
                        e = wire_items_add(&c->set, to->items[j]);
                i += side <= 0;
                j += side >= 0;
        }
        return e;
}

enum err wire_change_between(const struct wire_document *from, const struct wire_document *to,
                             struct wire_change **out)
{
        struct wire_change *c = change_new(&to->header);
        enum err e;

        if (!c)
                return ERR_NO_MEMORY;
        c->from = from ? from->header.version : 0;
        memcpy(c->hash, to->hash, WIRE_HASH_BYTES);
        memcpy(c->signature, to->signature, WIRE_SIGNED_BYTES);
        if ((e = compare(from, to, c)) != ERR_OK) {
                wire_change_free(c);
                return e;
        }
        *out = c;
        return ERR_OK;
}

void wire_change_set_from(struct wire_change *c, uint64_t version)
{
        c->from = version;
}

uint64_t wire_change_from(const struct wire_change *c)
{
        return c->from;
}

size_t wire_change_set_count(const struct wire_change *c)
{
        return c->set.count;
}

size_t wire_change_removed_count(const struct wire_change *c)
{
        return c->removed.count;
}

void wire_change_removed(const struct wire_change *c, size_t index, struct str *section, struct str *id)
{
        *section = c->removed.list[index]->section;
        *id = c->removed.list[index]->id;
}

/* ---- writing ---- */

/* {"SECTION":["ID",…]} */
static void removed_write(const struct wire_items *removed, struct json_writer *w)
{
        json_write_object_begin(w);
        for (size_t i = 0; i < removed->count; i++) {
                if (i == 0 || !str_eq(removed->list[i]->section, removed->list[i - 1]->section)) {
                        if (i > 0)
                                json_write_array_end(w);
                        json_write_key(w, removed->list[i]->section);
                        json_write_array_begin(w);
                }
                json_write_str(w, removed->list[i]->id);
        }
        if (removed->count > 0)
                json_write_array_end(w);
        json_write_object_end(w);
}

void wire_change_write(const struct wire_change *c, struct buf *out)
{
        struct json_writer w;

        json_writer_init(&w, out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("type"), STR("change"));
        json_write_member_uint(&w, STR("from"), c->from);
        json_write_key(&w, STR("header"));
        json_write_object_begin(&w);
        wire_header_write(&c->header, &w);
        json_write_object_end(&w);
        wire_hash_write(&w, STR("hash"), c->hash);
        wire_signature_write(&w, c->signature);
        json_write_key(&w, STR("set"));
        wire_sections_write(&w, c->set.list, c->set.count);
        json_write_key(&w, STR("remove"));
        removed_write(&c->removed, &w);
        json_write_object_end(&w);
        json_writer_finish(&w);
}

/* ---- reading ---- */

static enum err id_read(struct str section, struct str raw, struct wire_items *out)
{
        struct wire_item *item;
        struct str id;
        enum err e;

        if (!wire_raw_text(raw, &id))
                return ERR_MALFORMED;
        if ((e = wire_item_new(section, id, STR("{}"), &item)) != ERR_OK)
                return e;
        e = wire_items_add(out, item);
        wire_item_put(item);
        return e;
}

/* A list of ids. The walk has seen that it is good JSON; what else than strings it may hold is refused. */
static enum err ids_read(struct str section, struct str raw, struct wire_items *out)
{
        struct json_parser p;
        struct json_token t;
        struct str rest = raw;

        json_parser_init(&p, JSON_STRICT, 0, 1);
        if (json_parser_next(&p, &rest, true, &t) != ERR_OK || t.type != JSON_TOKEN_ARRAY_BEGIN)
                return ERR_MALFORMED;
        while (json_parser_next(&p, &rest, true, &t) == ERR_OK) {
                if (t.type == JSON_TOKEN_ARRAY_END)
                        return ERR_OK;
                if (t.type == JSON_TOKEN_COMMA)
                        continue;
                if (t.type != JSON_TOKEN_STRING)
                        return ERR_MALFORMED;
                enum err e = id_read(
                        section, str_sub(raw, (size_t)t.start.offset, (size_t)(t.end - t.start.offset)), out);
                if (e != ERR_OK)
                        return e;
        }
        return ERR_MALFORMED;
}

static enum err removed_read(struct str raw, struct wire_items *out, const char **why)
{
        struct wire_member m;
        struct wire_walk w;
        enum err e;

        wire_walk_init(&w, raw);
        while ((e = wire_walk_next(&w, &m)) == ERR_OK)
                if ((e = m.is_long ? ERR_MALFORMED : ids_read(m.key, m.value, out)) != ERR_OK)
                        return because(why, "what is to be removed is no list of ids", e);
        if (e != ERR_NOT_FOUND)
                return because(why, "what is to be removed is no object", ERR_MALFORMED);
        wire_items_sort(out);
        if (wire_items_has_twins(out))
                return because(why, "an item is removed twice", ERR_MALFORMED);
        return ERR_OK;
}

static enum err header_read(struct str raw, struct wire_header *h, const char **why)
{
        struct wire_member m;
        struct wire_walk w;
        unsigned seen = 0;
        enum err e;

        *h = (struct wire_header){ 0 };
        wire_walk_init(&w, raw);
        while ((e = wire_walk_next(&w, &m)) == ERR_OK)
                if ((e = wire_header_member(&m, h, &seen, why)) != ERR_OK)
                        return e;
        if (e != ERR_NOT_FOUND)
                return because(why, "the header is no JSON object", ERR_MALFORMED);
        return wire_header_check(h, seen, why);
}

enum { PART_FROM, PART_HEADER, PART_HASH, PART_SIGNATURE, PART_SET, PART_REMOVE, PARTS };

static enum err parts_find(struct str text, struct str parts[PARTS], const char **why)
{
        static const struct str names[PARTS] = {
                STR_INIT("from"),      STR_INIT("header"), STR_INIT("hash"),
                STR_INIT("signature"), STR_INIT("set"),    STR_INIT("remove")
        };
        struct wire_member m;
        struct wire_walk w;
        enum err e;

        memset(parts, 0, PARTS * sizeof(parts[0]));
        wire_walk_init(&w, text);
        while ((e = wire_walk_next(&w, &m)) == ERR_OK)
                for (size_t i = 0; i < PARTS; i++) {
                        if (!str_eq(m.key, names[i]))
                                continue;
                        if (parts[i].ptr)
                                return because(why, "a member stands twice", ERR_MALFORMED);
                        parts[i] = m.value;
                }
        if (e != ERR_NOT_FOUND)
                return because(why, "it is no JSON object", ERR_MALFORMED);
        return ERR_OK;
}

static enum err parts_read(struct str parts[PARTS], struct wire_change *c, const char **why)
{
        enum err e;

        if (!wire_raw_uint(parts[PART_FROM], WIRE_NUMBER_MAX, &c->from) ||
            !wire_hash_read(parts[PART_HASH], c->hash) ||
            !wire_signature_read(parts[PART_SIGNATURE], c->signature))
                return because(why, "a change lacks where it begins, its hash or its signature",
                               ERR_MALFORMED);
        if ((e = wire_sections_read(parts[PART_SET], &c->set, why)) != ERR_OK)
                return e;
        return removed_read(parts[PART_REMOVE], &c->removed, why);
}

enum err wire_change_read(struct str text, struct wire_change **out, const char **why)
{
        struct str parts[PARTS];
        struct wire_header header;
        struct wire_change *c;
        enum err e;

        if (text.len > WIRE_DOCUMENT_MAX + WIRE_ITEM_MAX)
                return because(why, "it is larger than a document may be", ERR_TOO_LARGE);
        if ((e = parts_find(text, parts, why)) != ERR_OK ||
            (e = header_read(parts[PART_HEADER], &header, why)) != ERR_OK)
                return e;
        if (!(c = change_new(&header)))
                return because(why, "no memory", ERR_NO_MEMORY);
        if ((e = parts_read(parts, c, why)) != ERR_OK) {
                wire_change_free(c);
                return e;
        }
        *out = c;
        return ERR_OK;
}

/* ---- applying ---- */

/* Three lists in order become one. What is removed and not there shows in the hash. */
static enum err merge(const struct wire_document *have, const struct wire_change *c, struct wire_items *out)
{
        size_t i = 0, s = 0, r = 0;
        enum err e = ERR_OK;

        while (e == ERR_OK && (i < have->count || s < c->set.count)) {
                int side = i == have->count    ? 1
                           : s == c->set.count ? -1
                                               : wire_item_cmp(have->items[i], c->set.list[s]->section,
                                                               c->set.list[s]->id);
                if (side >= 0) {
                        e = wire_items_add(out, c->set.list[s++]);
                        i += side == 0;
                        continue;
                }
                while (r < c->removed.count &&
                       wire_item_cmp(c->removed.list[r], have->items[i]->section, have->items[i]->id) < 0)
                        r++;
                if (r == c->removed.count ||
                    wire_item_cmp(c->removed.list[r], have->items[i]->section, have->items[i]->id) != 0)
                        e = wire_items_add(out, have->items[i]);
                i++;
        }
        return e;
}

static enum err assemble(const struct wire_document *have, const struct wire_change *c,
                         struct wire_document **out, const char **why)
{
        struct wire_items items = { 0 };
        struct wire_document *d = NULL;
        enum err e = merge(have, c, &items);

        if (e == ERR_OK && !(d = wire_document_new(&c->header, items.count)))
                e = ERR_NO_MEMORY;
        for (size_t i = 0; e == ERR_OK && i < items.count; i++)
                wire_document_append(d, items.list[i]);
        wire_items_fini(&items);
        if (e == ERR_OK)
                e = wire_document_hash_all(d);
        if (e != ERR_OK) {
                wire_document_put(d);
                return because(why, e == ERR_TOO_LARGE ? "the document becomes too large" : "no memory", e);
        }
        memcpy(d->signature, c->signature, WIRE_SIGNED_BYTES);
        *out = d;
        return ERR_OK;
}

enum err wire_change_apply(const struct wire_document *have, const struct wire_change *c,
                           const uint8_t key[WIRE_PUBLIC_BYTES], struct wire_document **out, const char **why)
{
        struct wire_document *d;
        enum err e;

        if (c->from != have->header.version)
                return because(why, "the change begins at another version", ERR_NOT_FOUND);
        if ((e = assemble(have, c, &d, why)) != ERR_OK)
                return e;
        if (!crypto_eq(d->hash, c->hash, WIRE_HASH_BYTES))
                e = because(why, "the result's hash is another", ERR_NOT_FOUND);
        else if (key && !wire_document_is_signed(d, key))
                e = because(why, "it is not signed by the control we joined", ERR_DENIED);
        if (e != ERR_OK) {
                wire_document_put(d);
                return e;
        }
        *out = d;
        return ERR_OK;
}
