#include "conf/source.h"

#include <string.h>

#include "io/tls_keys.h"

/* Layout: conf/source.h. */
static const struct str magic = STR_INIT("SKSH1\n");

enum { HEADER_BYTES = 6 + 8, ENTRY_BYTES = 1 + 2 + 4 + 4, NAME_BYTES_MAX = 4096, ENTRIES_MAX = 100000 };

struct entry {
        enum conf_read_kind kind;
        unsigned mode;
        struct str name, bytes;
};

static void number_put(struct buf *out, uint64_t value, size_t bytes)
{
        for (size_t i = 0; i < bytes; i++)
                buf_add_char(out, (char)(value >> (8 * i) & 0xff));
}

static uint64_t number_get(struct str *in, size_t bytes)
{
        uint64_t value = 0;

        for (size_t i = 0; i < bytes; i++)
                value |= (uint64_t)(unsigned char)in->ptr[i] << (8 * i);
        *in = str_from(*in, bytes);
        return value;
}

static bool slice_take(struct str *in, size_t len, struct str *out)
{
        if (len > in->len)
                return false;
        *out = str_sub(*in, 0, len);
        *in = str_from(*in, len);
        return true;
}

/* Takes one entry off the front. */
static bool entry_take(struct str *in, struct entry *out)
{
        if (in->len < ENTRY_BYTES)
                return false;
        uint64_t kind = number_get(in, 1), mode = number_get(in, 2), name_len = number_get(in, 4);
        uint64_t bytes_len = number_get(in, 4);

        if (kind >= CONF_READ_KINDS || mode > 07777 || name_len == 0 || name_len > NAME_BYTES_MAX)
                return false;
        out->kind = (enum conf_read_kind)kind;
        out->mode = (unsigned)mode;
        return slice_take(in, name_len, &out->name) && slice_take(in, bytes_len, &out->bytes);
}

/* ---- recording ---- */

static bool entry_find(struct str entries, enum conf_read_kind kind, struct str name, struct entry *out)
{
        while (entry_take(&entries, out))
                if (out->kind == kind && str_eq(out->name, name))
                        return true;
        return false;
}

/* What everybody may have of a key. One that is none leaves nothing: the loader refuses it by its own lights. */
static enum err half_take(struct conf_recorder *r, struct str pem, struct buf *half)
{
        enum err e = tls_public_half(pem, half);

        if (e == ERR_NO_MEMORY)
                return e;
        if (e == ERR_OK)
                conf_keys_add(&r->keys, pem);
        return ERR_OK;
}

static void entry_add(struct conf_recorder *r, enum conf_read_kind kind, unsigned mode, struct str name,
                      struct str bytes)
{
        number_put(&r->bundle, (uint64_t)kind, 1);
        number_put(&r->bundle, mode & 07777, 2);
        number_put(&r->bundle, name.len, 4);
        number_put(&r->bundle, bytes.len, 4);
        buf_add(&r->bundle, name);
        buf_add(&r->bundle, bytes);
        r->entries_count++;
}

static enum err recorder_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                              struct conf_text *out)
{
        struct conf_recorder *r = CONTAINER_OF(s, struct conf_recorder, source);
        size_t before = out->bytes.len;
        enum err e = r->inner->read(r->inner, kind, name, out);
        struct entry known;

        if (e != ERR_OK || entry_find(str_from(buf_str(&r->bundle), HEADER_BYTES), kind, name, &known))
                return e;
        if (name.len == 0 || name.len > NAME_BYTES_MAX || r->entries_count == ENTRIES_MAX) {
                r->bundle.full = true;
                return ERR_OK;
        }
        struct str bytes = str_from(buf_str(&out->bytes), before);
        struct buf half;

        buf_init(&half, CONF_TEXT_BYTES_MAX);
        if (kind == CONF_READ_KEY) {
                e = half_take(r, bytes, &half);
                bytes = buf_str(&half);
        }
        if (e == ERR_OK)
                entry_add(r, kind, out->mode, name, bytes);
        buf_fini(&half);
        return e;
}

void conf_keys_add(struct buf *out, struct str pem)
{
        number_put(out, pem.len, 4);
        buf_add(out, pem);
}

enum err conf_keys_next(struct str *keys, struct str *pem)
{
        if (keys->len == 0)
                return ERR_NOT_FOUND;
        return keys->len >= 4 && slice_take(keys, number_get(keys, 4), pem) ? ERR_OK : ERR_MALFORMED;
}

void conf_recorder_init(struct conf_recorder *r, struct conf_source *inner)
{
        *r = (struct conf_recorder){
                .source = { .read = recorder_read, .file = inner->file, .now = inner->now },
                .inner = inner,
        };
        buf_init_secret(&r->bundle, CONF_BUNDLE_BYTES_MAX);
        buf_init_secret(&r->keys, CONF_BUNDLE_BYTES_MAX);
        buf_add(&r->bundle, magic);
        number_put(&r->bundle, (uint64_t)inner->now, 8);
}

struct str conf_recorder_bundle(struct conf_recorder *r)
{
        return r->bundle.full ? STR_NULL : buf_str(&r->bundle);
}

struct str conf_recorder_keys(struct conf_recorder *r)
{
        return r->keys.full ? STR_NULL : buf_str(&r->keys);
}

void conf_recorder_fini(struct conf_recorder *r)
{
        buf_wipe(&r->bundle);
        buf_wipe(&r->keys);
}

/* ---- reading ---- */

static enum err bundle_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                            struct conf_text *out)
{
        struct conf_bundle *b = CONTAINER_OF(s, struct conf_bundle, source);
        struct entry entry;

        if (!entry_find(str_from(b->bytes, HEADER_BYTES), kind, name, &entry))
                return ERR_NOT_FOUND;
        out->mode = entry.mode;
        buf_add(&out->bytes, entry.bytes);
        return out->bytes.full ? ERR_TOO_LARGE : ERR_OK;
}

enum err conf_bundle_open(struct conf_bundle *b, struct str bytes)
{
        struct str rest = bytes, first_name = STR_NULL;
        size_t entries = 0;
        struct entry entry;

        *b = (struct conf_bundle){ .bytes = bytes };
        if (bytes.len < HEADER_BYTES || !str_has_prefix(bytes, magic))
                return ERR_MALFORMED;
        rest = str_from(rest, magic.len);
        unix_ms now = (unix_ms)number_get(&rest, 8);

        for (; rest.len; entries++) {
                if (!entry_take(&rest, &entry) || entries == ENTRIES_MAX)
                        return ERR_MALFORMED;
                /* The configuration is first, and there is one. */
                if ((entry.kind == CONF_READ_CONFIG) != (entries == 0))
                        return ERR_MALFORMED;
                if (entries == 0)
                        first_name = entry.name;
        }
        if (entries == 0)
                return ERR_MALFORMED;
        b->source = (struct conf_source){
                .read = bundle_read, .file = first_name, .now = now, .has_public_halves = true
        };
        return ERR_OK;
}

bool conf_bundle_next(const struct conf_bundle *b, enum conf_read_kind kind, size_t *at, struct str *name)
{
        struct str rest = str_from(b->bytes, MAX(*at, (size_t)HEADER_BYTES));
        struct entry entry;

        while (entry_take(&rest, &entry)) {
                *at = b->bytes.len - rest.len;
                *name = entry.name;
                if (entry.kind == kind)
                        return true;
        }
        return false;
}
