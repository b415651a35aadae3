#include "wire/document.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/ed25519.h"
#include "crypto/sha256.h"
#include "crypto/text.h"
#include "wire/document_priv.h"
#include "json/writer.h"

enum { ITEM_FRAME = 8 }; /* quotes, colons and commas around an item */

struct wire_draft {
        struct wire_header header;
        char node[WIRE_ID_MAX], org[WIRE_ID_MAX];
        struct wire_items items;
};

/* ---- items ---- */

enum err wire_item_new(struct str section, struct str id, struct str json, struct wire_item **out)
{
        struct wire_item *item;

        if (!wire_id_is_valid(section) || section.len > WIRE_SECTION_MAX || !wire_id_is_valid(id) ||
            json.len < 2 || json.ptr[0] != '{')
                return ERR_MALFORMED;
        if (json.len > WIRE_ITEM_MAX)
                return ERR_TOO_LARGE;
        if (!(item = malloc(sizeof(*item) + section.len + id.len + json.len + 3)))
                return ERR_NO_MEMORY;
        char *at = (char *)(item + 1);
        struct str *const places[] = { &item->section, &item->id, &item->json };
        const struct str texts[] = { section, id, json };
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                memcpy(at, texts[i].ptr, texts[i].len);
                at[texts[i].len] = '\0';
                *places[i] = (struct str){ at, texts[i].len };
                at += texts[i].len + 1;
        }
        item->refs = 1;
        crypto_sha256(json, item->sha256);
        *out = item;
        return ERR_OK;
}

struct wire_item *wire_item_get(struct wire_item *item)
{
        item->refs++;
        return item;
}

void wire_item_put(struct wire_item *item)
{
        if (item && --item->refs == 0)
                free(item);
}

size_t wire_item_bytes(const struct wire_item *item)
{
        return item->id.len + item->json.len + ITEM_FRAME;
}

int wire_item_cmp(const struct wire_item *a, struct str section, struct str id)
{
        int c = str_cmp(a->section, section);

        return c ? c : str_cmp(a->id, id);
}

static int compare(const void *a, const void *b)
{
        const struct wire_item *y = *(struct wire_item *const *)b;

        return wire_item_cmp(*(struct wire_item *const *)a, y->section, y->id);
}

enum err wire_items_add(struct wire_items *l, struct wire_item *item)
{
        if (l->count == WIRE_ITEMS_MAX || wire_item_bytes(item) > WIRE_DOCUMENT_MAX - l->bytes)
                return ERR_TOO_LARGE;
        if (l->count == l->cap) {
                size_t cap = l->cap ? 2 * l->cap : 16;
                struct wire_item **list = realloc(l->list, cap * sizeof(struct wire_item *));
                if (!list)
                        return ERR_NO_MEMORY;
                l->list = list;
                l->cap = cap;
        }
        l->list[l->count++] = wire_item_get(item);
        l->bytes += wire_item_bytes(item);
        return ERR_OK;
}

void wire_items_sort(struct wire_items *l)
{
        if (l->count > 1)
                qsort(l->list, l->count, sizeof(struct wire_item *), compare);
}

bool wire_items_has_twins(const struct wire_items *l)
{
        for (size_t i = 1; i < l->count; i++)
                if (compare(&l->list[i - 1], &l->list[i]) == 0)
                        return true;
        return false;
}

void wire_items_fini(struct wire_items *l)
{
        for (size_t i = 0; i < l->count; i++)
                wire_item_put(l->list[i]);
        free(l->list);
        *l = (struct wire_items){ 0 };
}

/* ---- the header ---- */

void wire_header_copy(struct wire_header *out, const struct wire_header *in, char node[WIRE_ID_MAX],
                      char org[WIRE_ID_MAX])
{
        *out = *in;
        memcpy(node, in->node.ptr, in->node.len);
        memcpy(org, in->org.ptr, in->org.len);
        out->node.ptr = node;
        out->org.ptr = org;
}

void wire_header_write(const struct wire_header *h, struct json_writer *w)
{
        json_write_member_uint(w, STR("format"), h->format);
        json_write_member_str(w, STR("kind"), wire_kind_text(h->kind));
        json_write_member_str(w, STR("node"), h->node);
        json_write_member_str(w, STR("org"), h->org);
        json_write_member_uint(w, STR("epoch"), h->epoch);
        json_write_member_uint(w, STR("version"), h->version);
        json_write_member_int(w, STR("issued"), h->issued);
        json_write_member_int(w, STR("lease"), h->lease);
}

/* ---- documents ---- */

struct wire_document *wire_document_new(const struct wire_header *header, size_t count)
{
        struct wire_document *d = calloc(1, sizeof(*d));

        if (!d)
                return NULL;
        d->refs = 1;
        wire_header_copy(&d->header, header, d->node, d->org);
        if (count && !(d->items = malloc(count * sizeof(struct wire_item *)))) {
                free(d);
                return NULL;
        }
        return d;
}

void wire_document_append(struct wire_document *d, struct wire_item *item)
{
        d->items[d->count++] = wire_item_get(item);
        d->bytes += wire_item_bytes(item);
}

struct wire_document *wire_document_get(struct wire_document *d)
{
        d->refs++;
        return d;
}

void wire_document_put(struct wire_document *d)
{
        if (!d || --d->refs > 0)
                return;
        for (size_t i = 0; i < d->count; i++)
                wire_item_put(d->items[i]);
        free(d->items);
        free(d);
}

/* The canonical text: docs/protocol/nodes.md 3. */
static enum err hash_items(struct wire_document *d)
{
        char line[WIRE_SECTION_MAX + WIRE_ID_MAX + CRYPTO_HEX_SIZE(WIRE_HASH_BYTES) + 4];
        char hex[CRYPTO_HEX_SIZE(WIRE_HASH_BYTES)];
        struct crypto_sha256_stream s;
        enum err e = crypto_sha256_init(&s);

        if (e != ERR_OK)
                return e;
        for (size_t i = 0; i < d->count; i++) {
                const struct wire_item *item = d->items[i];
                char *at = line;
                memcpy(at, item->section.ptr, item->section.len);
                at += item->section.len;
                *at++ = ' ';
                memcpy(at, item->id.ptr, item->id.len);
                at += item->id.len;
                *at++ = ' ';
                crypto_hex_format((struct str){ (const char *)item->sha256, WIRE_HASH_BYTES }, hex);
                memcpy(at, hex, 2 * WIRE_HASH_BYTES);
                at += 2 * WIRE_HASH_BYTES;
                *at++ = '\n';
                crypto_sha256_add(&s, (struct str){ line, (size_t)(at - line) });
        }
        crypto_sha256_finish(&s, d->items_hash);
        crypto_sha256_fini(&s);
        return ERR_OK;
}

enum err wire_document_hash_all(struct wire_document *d)
{
        char text[2 * WIRE_ID_MAX + 256], hex[CRYPTO_HEX_SIZE(WIRE_HASH_BYTES)];
        const struct wire_header *h = &d->header;
        enum err e = hash_items(d);

        if (e != ERR_OK)
                return e;
        crypto_hex_format((struct str){ (const char *)d->items_hash, WIRE_HASH_BYTES }, hex);
        int n = snprintf(text, sizeof(text),
                         "format %u\nkind %.*s\nnode %.*s\norg %.*s\nepoch %llu\nversion %llu\nitems %s\n",
                         h->format, STR_FMT(wire_kind_text(h->kind)), STR_FMT(h->node), STR_FMT(h->org),
                         (unsigned long long)h->epoch, (unsigned long long)h->version, hex);
        crypto_sha256((struct str){ text, (size_t)n }, d->hash);
        return ERR_OK;
}

void wire_signing_bytes(const struct wire_document *d, uint8_t out[WIRE_SIGNING_BYTES])
{
        static const char prefix[] = "sekisho document 1\n";
        const uint64_t numbers[] = { (uint64_t)d->header.issued, (uint64_t)d->header.lease };
        uint8_t *at = out + sizeof(prefix) - 1 + WIRE_HASH_BYTES;

        memcpy(out, prefix, sizeof(prefix) - 1);
        memcpy(out + sizeof(prefix) - 1, d->hash, WIRE_HASH_BYTES);
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                for (unsigned shift = 64; shift > 0; shift -= 8)
                        *at++ = (uint8_t)(numbers[i] >> (shift - 8));
}

static void sign(struct wire_document *d, const uint8_t seed[WIRE_SEED_BYTES])
{
        uint8_t bytes[WIRE_SIGNING_BYTES];

        if (!seed)
                return;
        wire_signing_bytes(d, bytes);
        crypto_ed25519_sign(seed, (struct str){ (char *)bytes, sizeof(bytes) }, d->signature);
}

bool wire_document_is_signed(const struct wire_document *d, const uint8_t key[WIRE_PUBLIC_BYTES])
{
        uint8_t bytes[WIRE_SIGNING_BYTES];

        wire_signing_bytes(d, bytes);
        return crypto_ed25519_verify(key, (struct str){ (char *)bytes, sizeof(bytes) }, d->signature);
}

/* ---- looking ---- */

const struct wire_header *wire_document_header(const struct wire_document *d)
{
        return &d->header;
}

const uint8_t *wire_document_hash(const struct wire_document *d)
{
        return d->hash;
}

const uint8_t *wire_document_items_hash(const struct wire_document *d)
{
        return d->items_hash;
}

size_t wire_document_items_count(const struct wire_document *d)
{
        return d->count;
}

struct wire_item *wire_document_item(const struct wire_document *d, size_t index)
{
        return d->items[index];
}

/* The first item that does not stand before this place. */
static size_t lower_bound(const struct wire_document *d, struct str section, struct str id)
{
        size_t low = 0, high = d->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (wire_item_cmp(d->items[middle], section, id) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct wire_item *wire_document_find(const struct wire_document *d, struct str section, struct str id)
{
        size_t at = lower_bound(d, section, id);

        return at < d->count && wire_item_cmp(d->items[at], section, id) == 0 ? d->items[at] : NULL;
}

size_t wire_document_section(const struct wire_document *d, struct str section, size_t *begin)
{
        size_t end = *begin = lower_bound(d, section, STR(""));

        while (end < d->count && str_eq(d->items[end]->section, section))
                end++;
        return end;
}

int64_t wire_document_lease_end(const struct wire_document *d)
{
        return d->header.issued + d->header.lease;
}

/* ---- building ---- */

enum err wire_draft_new(const struct wire_header *header, struct wire_draft **out)
{
        struct wire_draft *d;

        if (!wire_id_is_valid(header->node) || !wire_id_is_valid(header->org))
                return ERR_MALFORMED;
        assert(header->epoch <= WIRE_NUMBER_MAX && header->version <= WIRE_NUMBER_MAX);
        assert(header->issued >= 0 && header->lease >= 0 && header->kind != WIRE_CONTROL);
        if (!(d = calloc(1, sizeof(*d))))
                return ERR_NO_MEMORY;
        wire_header_copy(&d->header, header, d->node, d->org);
        *out = d;
        return ERR_OK;
}

enum err wire_draft_add(struct wire_draft *d, struct wire_item *item)
{
        return wire_items_add(&d->items, item);
}

enum err wire_draft_add_json(struct wire_draft *d, struct str section, struct str id, struct str json)
{
        struct wire_item *item;
        enum err e = wire_item_new(section, id, json, &item);

        if (e != ERR_OK)
                return e;
        e = wire_draft_add(d, item);
        wire_item_put(item);
        return e;
}

void wire_draft_free(struct wire_draft *d)
{
        if (!d)
                return;
        wire_items_fini(&d->items);
        free(d);
}

static enum err finish(struct wire_draft *draft, const uint8_t seed[WIRE_SEED_BYTES],
                       struct wire_document **out)
{
        struct wire_document *d;
        enum err e;

        wire_items_sort(&draft->items);
        if (wire_items_has_twins(&draft->items))
                return ERR_EXISTS;
        if (!(d = wire_document_new(&draft->header, draft->items.count)))
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < draft->items.count; i++)
                wire_document_append(d, draft->items.list[i]);
        if ((e = wire_document_hash_all(d)) != ERR_OK) {
                wire_document_put(d);
                return e;
        }
        sign(d, seed);
        *out = d;
        return ERR_OK;
}

enum err wire_draft_finish(struct wire_draft **draft, const uint8_t seed[WIRE_SEED_BYTES],
                           struct wire_document **out)
{
        enum err e = finish(*draft, seed, out);

        wire_draft_free(*draft);
        *draft = NULL;
        return e;
}

enum err wire_document_reissue(const struct wire_document *from, const struct wire_header *header,
                               const uint8_t seed[WIRE_SEED_BYTES], struct wire_document **out)
{
        struct wire_document *d = wire_document_new(header, from->count);

        if (!d)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < from->count; i++)
                wire_document_append(d, from->items[i]);
        enum err e = wire_document_hash_all(d);
        if (e != ERR_OK) {
                wire_document_put(d);
                return e;
        }
        sign(d, seed);
        *out = d;
        return ERR_OK;
}

/* ---- writing ---- */

void wire_hash_write(struct json_writer *w, struct str key, const uint8_t hash[WIRE_HASH_BYTES])
{
        char text[CRYPTO_HEX_SIZE(WIRE_HASH_BYTES)];

        json_write_member_str(w, key,
                              crypto_hex_format((struct str){ (const char *)hash, WIRE_HASH_BYTES }, text));
}

void wire_signature_write(struct json_writer *w, const uint8_t signature[WIRE_SIGNED_BYTES])
{
        char text[CRYPTO_BASE64_SIZE(WIRE_SIGNED_BYTES)];

        json_write_member_str(
                w, STR("signature"),
                crypto_base64_format((struct str){ (const char *)signature, WIRE_SIGNED_BYTES }, text));
}

void wire_sections_write(struct json_writer *w, struct wire_item *const *items, size_t count)
{
        json_write_object_begin(w);
        for (size_t i = 0; i < count; i++) {
                if (i == 0 || !str_eq(items[i]->section, items[i - 1]->section)) {
                        if (i > 0)
                                json_write_object_end(w);
                        json_write_key(w, items[i]->section);
                        json_write_object_begin(w);
                }
                json_write_member_raw(w, items[i]->id, items[i]->json);
        }
        if (count > 0)
                json_write_object_end(w);
        json_write_object_end(w);
}

void wire_document_write(const struct wire_document *d, struct buf *out)
{
        struct json_writer w;

        json_writer_init(&w, out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("type"), STR("document"));
        json_write_key(&w, STR("document"));
        json_write_object_begin(&w);
        wire_header_write(&d->header, &w);
        json_write_key(&w, STR("sections"));
        wire_sections_write(&w, d->items, d->count);
        json_write_object_end(&w);
        wire_hash_write(&w, STR("hash"), d->hash);
        wire_signature_write(&w, d->signature);
        json_write_object_end(&w);
        json_writer_finish(&w);
}
