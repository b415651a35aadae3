#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "crypto/text.h"
#include "wire/document_priv.h"
#include "json/writer.h"

enum header_seen {
        SEEN_FORMAT = 1,
        SEEN_KIND = 2,
        SEEN_NODE = 4,
        SEEN_ORG = 8,
        SEEN_EPOCH = 16,
        SEEN_VERSION = 32,
        SEEN_ISSUED = 64,
        SEEN_LEASE = 128,
        SEEN_ALL = 255,
};

static enum err because(const char **why, const char *text, enum err e)
{
        *why = text;
        return e;
}

/* ---- pieces ---- */

bool wire_hash_read(struct str raw, uint8_t out[WIRE_HASH_BYTES])
{
        struct str text;

        return wire_raw_text(raw, &text) && crypto_hex_parse(text, out, WIRE_HASH_BYTES) == ERR_OK;
}

bool wire_signature_read(struct str raw, uint8_t out[WIRE_SIGNED_BYTES])
{
        struct str text;
        size_t len;

        return wire_raw_text(raw, &text) &&
               crypto_base64_parse(text, out, WIRE_SIGNED_BYTES, &len) == ERR_OK && len == WIRE_SIGNED_BYTES;
}

/* ---- the header ---- */

static bool header_value(unsigned which, struct str raw, struct wire_header *h)
{
        struct str text;
        uint64_t n;

        switch (which) {
        case SEEN_KIND: return wire_raw_text(raw, &text) && wire_kind_parse(text, &h->kind) == ERR_OK;
        case SEEN_NODE: return wire_raw_text(raw, &h->node) && wire_id_is_valid(h->node);
        case SEEN_ORG: return wire_raw_text(raw, &h->org) && wire_id_is_valid(h->org);
        default: break;
        }
        if (!wire_raw_uint(raw, which == SEEN_FORMAT ? UINT32_MAX : WIRE_NUMBER_MAX, &n))
                return false;
        switch (which) {
        case SEEN_FORMAT: h->format = (uint32_t)n; break;
        case SEEN_EPOCH: h->epoch = n; break;
        case SEEN_VERSION: h->version = n; break;
        case SEEN_ISSUED: h->issued = (int64_t)n; break;
        default: h->lease = (int64_t)n; break;
        }
        return true;
}

enum err wire_header_member(const struct wire_member *m, struct wire_header *h, unsigned *seen,
                            const char **why)
{
        static const struct str names[] = { STR_INIT("format"), STR_INIT("kind"),  STR_INIT("node"),
                                            STR_INIT("org"),    STR_INIT("epoch"), STR_INIT("version"),
                                            STR_INIT("issued"), STR_INIT("lease") };

        for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
                if (!str_eq(m->key, names[i]))
                        continue;
                if (*seen & 1u << i)
                        return because(why, "a member of the header stands twice", ERR_MALFORMED);
                *seen |= 1u << i;
                if (!header_value(1u << i, m->value, h))
                        return because(why, "a member of the header is not what it should be", ERR_MALFORMED);
        }
        return ERR_OK;
}

enum err wire_header_check(const struct wire_header *h, unsigned seen, const char **why)
{
        if ((seen & SEEN_FORMAT) && h->format > WIRE_FORMAT)
                return because(why, "its format is newer than this program", ERR_UNSUPPORTED);
        if (seen != SEEN_ALL)
                return because(why, "the header lacks a member", ERR_MALFORMED);
        if (h->format == 0 || h->kind == WIRE_CONTROL)
                return because(why, "the header's format or kind is none", ERR_MALFORMED);
        return ERR_OK;
}

/* ---- items ---- */

static enum err item_read(struct str section, const struct wire_member *m, struct wire_items *out,
                          const char **why)
{
        struct wire_item *item;
        enum err e = m->is_long ? ERR_MALFORMED : wire_item_new(section, m->key, m->value, &item);

        if (e == ERR_OK) {
                e = wire_items_add(out, item);
                wire_item_put(item);
        }
        if (e == ERR_TOO_LARGE)
                *why = "there is more of it than a document may hold";
        else if (e == ERR_MALFORMED)
                *why = "an item is no object, or its id is none";
        else if (e != ERR_OK)
                *why = "no memory";
        return e;
}

enum err wire_sections_read(struct str raw, struct wire_items *out, const char **why)
{
        struct wire_member section, item;
        struct wire_walk sections, items;
        enum err e;

        wire_walk_init(&sections, raw);
        while ((e = wire_walk_next(&sections, &section)) == ERR_OK) {
                if (section.is_long || !wire_id_is_valid(section.key))
                        return because(why, "a section's name is none", ERR_MALFORMED);
                wire_walk_init(&items, section.value);
                while ((e = wire_walk_next(&items, &item)) == ERR_OK)
                        if ((e = item_read(section.key, &item, out, why)) != ERR_OK)
                                return e;
                if (e != ERR_NOT_FOUND)
                        break;
        }
        if (e != ERR_NOT_FOUND)
                return because(why, "the sections are no objects of objects", ERR_MALFORMED);
        wire_items_sort(out);
        if (wire_items_has_twins(out))
                return because(why, "an item stands twice", ERR_MALFORMED);
        return ERR_OK;
}

/* ---- the whole ---- */

static enum err body_read(struct str raw, struct wire_document **out, const char **why)
{
        struct wire_header header = { 0 };
        struct wire_items items = { 0 };
        struct str sections = STR_NULL;
        struct wire_member m;
        struct wire_walk w;
        unsigned seen = 0;
        enum err e;

        wire_walk_init(&w, raw);
        while ((e = wire_walk_next(&w, &m)) == ERR_OK) {
                if ((e = wire_header_member(&m, &header, &seen, why)) != ERR_OK)
                        return e;
                if (!str_eq(m.key, STR("sections")))
                        continue;
                if (sections.ptr)
                        return because(why, "the sections stand twice", ERR_MALFORMED);
                sections = m.value;
        }
        if (e != ERR_NOT_FOUND)
                return because(why, "the document is no JSON object", ERR_MALFORMED);
        if ((e = wire_header_check(&header, seen, why)) != ERR_OK)
                return e;
        if ((e = wire_sections_read(sections, &items, why)) == ERR_OK) {
                *out = wire_document_new(&header, items.count);
                if (!*out)
                        e = because(why, "no memory", ERR_NO_MEMORY);
                for (size_t i = 0; e == ERR_OK && i < items.count; i++)
                        wire_document_append(*out, items.list[i]);
        }
        wire_items_fini(&items);
        return e;
}

static enum err verify(struct wire_document *d, struct str hash, struct str signature,
                       const uint8_t key[WIRE_PUBLIC_BYTES], const char **why)
{
        uint8_t stated[WIRE_HASH_BYTES];

        if (wire_document_hash_all(d) != ERR_OK)
                return because(why, "no memory", ERR_NO_MEMORY);
        if (!wire_hash_read(hash, stated) || !crypto_eq(stated, d->hash, WIRE_HASH_BYTES))
                return because(why, "its hash is not that of its contents", ERR_MALFORMED);
        if (!wire_signature_read(signature, d->signature))
                return because(why, "its signature is none", ERR_MALFORMED);
        if (key && !wire_document_is_signed(d, key))
                return because(why, "it is not signed by the control we joined", ERR_DENIED);
        return ERR_OK;
}

enum err wire_document_read(struct str text, const uint8_t key[WIRE_PUBLIC_BYTES], struct wire_document **out,
                            const char **why)
{
        struct str body = STR_NULL, hash = STR_NULL, signature = STR_NULL;
        struct wire_document *d;
        struct wire_member m;
        struct wire_walk w;
        enum err e;

        if (text.len > WIRE_DOCUMENT_MAX + WIRE_ITEM_MAX)
                return because(why, "it is larger than a document may be", ERR_TOO_LARGE);
        wire_walk_init(&w, text);
        while ((e = wire_walk_next(&w, &m)) == ERR_OK) {
                struct str *place = str_eq(m.key, STR("document"))    ? &body
                                    : str_eq(m.key, STR("hash"))      ? &hash
                                    : str_eq(m.key, STR("signature")) ? &signature
                                                                      : NULL;
                if (place && place->ptr)
                        return because(why, "a member stands twice", ERR_MALFORMED);
                if (place)
                        *place = m.value;
        }
        if (e != ERR_NOT_FOUND || !body.ptr)
                return because(why, "it is no document", ERR_MALFORMED);
        if ((e = body_read(body, &d, why)) != ERR_OK)
                return e;
        if ((e = verify(d, hash, signature, key, why)) != ERR_OK) {
                wire_document_put(d);
                return e;
        }
        *out = d;
        return ERR_OK;
}

enum err wire_document_follows(const struct wire_document *have, const struct wire_document *next,
                               const char **why)
{
        if (!have)
                return ERR_OK;
        const struct wire_header *a = &have->header, *b = &next->header;
        if (a->kind != b->kind || !str_eq(a->node, b->node) || !str_eq(a->org, b->org))
                return because(why, "it is another node's", ERR_DENIED);
        if (b->epoch < a->epoch)
                return because(
                        why,
                        "its epoch is older than the one in force: a store that was restored, or a second control",
                        ERR_DENIED);
        if (b->epoch > a->epoch || b->version > a->version)
                return ERR_OK;
        if (b->version < a->version)
                return because(why, "it is older than the one in force", ERR_DENIED);
        if (!crypto_eq(have->hash, next->hash, WIRE_HASH_BYTES))
                return because(why, "it differs from the one in force and has the same number", ERR_DENIED);
        if (b->issued < a->issued)
                return because(why, "it was issued before the one in force", ERR_DENIED);
        return ERR_EXISTS;
}
