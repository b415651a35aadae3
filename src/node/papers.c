#include "node/papers_priv.h"

#include <string.h>

#include "crypto/sha256.h"
#include "crypto/text.h"
#include "json/reader.h"
#include "json/writer.h"

enum { TEXT_MAX = 128 * 1024, FORMAT = 1 };

static bool take(const struct json_value *object, struct str key, char *out, size_t size)
{
        struct str text = json_str(json_find(object, key));

        if (!json_is(json_find(object, key), JSON_STRING) || text.len >= size ||
            str_find_char(text, '\0') != STR_NONE)
                return false;
        memcpy(out, text.ptr, text.len);
        out[text.len] = '\0';
        return true;
}

static bool take_bytes(const struct json_value *object, struct str key, uint8_t *out, size_t max, size_t *len)
{
        const struct json_value *v = json_find(object, key);

        return json_is(v, JSON_STRING) && crypto_base64_parse(v->text, out, max, len) == ERR_OK;
}

static void put_bytes(struct json_writer *w, struct str key, const uint8_t *bytes, size_t len)
{
        char text[CRYPTO_BASE64_SIZE(WIRE_SIGNATURE_MAX)];

        json_write_member_str(w, key, crypto_base64_format((struct str){ (const char *)bytes, len }, text));
}

static void begin(struct json_writer *w, struct buf *out)
{
        json_writer_init(w, out, 2);
        json_write_object_begin(w);
        json_write_member_uint(w, STR("format"), FORMAT);
}

static void end(struct json_writer *w, struct buf *out)
{
        json_write_object_end(w);
        json_writer_finish(w);
        buf_add_char(out, '\n');
}

void node_papers_write(const struct node_papers *p, struct buf *out)
{
        struct json_writer w;

        begin(&w, out);
        json_write_member_str(&w, STR("kind"), wire_kind_text(p->kind));
        json_write_member_str(&w, STR("id"), str_of(p->id));
        json_write_member_str(&w, STR("org"), str_of(p->org));
        json_write_member_str(&w, STR("name"), str_of(p->name));
        json_write_member_str(&w, STR("control"), str_of(p->control));
        json_write_member_str(&w, STR("certificate"), str_of(p->certificate));
        json_write_member_str(&w, STR("authority"), str_of(p->authority));
        put_bytes(&w, STR("documentKey"), p->document_key, sizeof(p->document_key));
        json_write_member_int(&w, STR("issued"), p->issued);
        json_write_member_str(&w, STR("gone"), str_of(p->gone));
        end(&w, out);
}

static enum err papers_from(const struct json_value *root, struct node_papers *p)
{
        struct str kind = json_str(json_find(root, STR("kind")));
        size_t len;

        if (wire_kind_parse(kind, &p->kind) != ERR_OK || !take(root, STR("id"), p->id, sizeof(p->id)) ||
            !take(root, STR("org"), p->org, sizeof(p->org)) ||
            !take(root, STR("name"), p->name, sizeof(p->name)) ||
            !take(root, STR("control"), p->control, sizeof(p->control)) ||
            !take(root, STR("certificate"), p->certificate, sizeof(p->certificate)) ||
            !take(root, STR("authority"), p->authority, sizeof(p->authority)) ||
            !take(root, STR("gone"), p->gone, sizeof(p->gone)) ||
            !take_bytes(root, STR("documentKey"), p->document_key, sizeof(p->document_key), &len) ||
            len != sizeof(p->document_key) ||
            json_get_int64(json_find(root, STR("issued")), &p->issued) != ERR_OK ||
            !wire_id_is_valid(str_of(p->id)) || !wire_id_is_valid(str_of(p->org)))
                return ERR_MALFORMED;
        return ERR_OK;
}

static enum err pending_from(const struct json_value *root, struct node_pending *p)
{
        size_t len;

        if (!take(root, STR("control"), p->control, sizeof(p->control)) ||
            !take(root, STR("join"), p->join, sizeof(p->join)) || !wire_id_is_valid(str_of(p->join)) ||
            !take_bytes(root, STR("fingerprint"), p->fingerprint, sizeof(p->fingerprint), &len) ||
            len != sizeof(p->fingerprint) ||
            !take_bytes(root, STR("signature"), p->proof.signature, sizeof(p->proof.signature),
                        &p->proof.signature_len))
                return ERR_MALFORMED;
        return ERR_OK;
}

static enum err read_root(struct arena *arena, struct str text, const struct json_value **root)
{
        uint64_t format;
        enum err e = text.len > TEXT_MAX ? ERR_MALFORMED : json_read_strict(arena, text, NULL, root);

        if (e != ERR_OK || json_get_uint64(json_find(*root, STR("format")), &format) != ERR_OK)
                return ERR_MALFORMED;
        return format == FORMAT ? ERR_OK : ERR_UNSUPPORTED;
}

enum err node_papers_read(struct str text, struct node_papers *out)
{
        const struct json_value *root;
        struct arena arena;

        arena_init(&arena, NULL, 0, 8 * TEXT_MAX);
        enum err e = read_root(&arena, text, &root);
        if (e == ERR_OK)
                e = papers_from(root, out);
        arena_fini(&arena);
        return e;
}

void node_pending_write(const struct node_pending *p, struct buf *out)
{
        struct json_writer w;

        begin(&w, out);
        json_write_member_str(&w, STR("control"), str_of(p->control));
        json_write_member_str(&w, STR("join"), str_of(p->join));
        put_bytes(&w, STR("fingerprint"), p->fingerprint, sizeof(p->fingerprint));
        put_bytes(&w, STR("signature"), p->proof.signature, p->proof.signature_len);
        end(&w, out);
}

enum err node_pending_read(struct str text, struct node_pending *out)
{
        const struct json_value *root;
        struct arena arena;

        arena_init(&arena, NULL, 0, 8 * TEXT_MAX);
        enum err e = read_root(&arena, text, &root);
        if (e == ERR_OK)
                e = pending_from(root, out);
        arena_fini(&arena);
        return e;
}

enum err node_pem_fingerprint(struct str pem, uint8_t out[32])
{
        static const char first[] = "-----BEGIN CERTIFICATE-----", last[] = "-----END CERTIFICATE-----";
        size_t begin_at = str_find(pem, str_of(first)), end_at = str_find(pem, str_of(last)), len = 0, n = 0;
        char text[NODE_PEM_MAX];
        uint8_t der[NODE_PEM_MAX];

        if (begin_at == STR_NONE || end_at == STR_NONE || end_at < begin_at + sizeof(first) - 1 ||
            end_at - begin_at > sizeof(text))
                return ERR_MALFORMED;
        for (size_t i = begin_at + sizeof(first) - 1; i < end_at; i++)
                if (pem.ptr[i] != '\n' && pem.ptr[i] != '\r')
                        text[n++] = pem.ptr[i];
        if (crypto_base64_parse((struct str){ text, n }, der, sizeof(der), &len) != ERR_OK || len == 0)
                return ERR_MALFORMED;
        crypto_sha256((struct str){ (char *)der, len }, out);
        return ERR_OK;
}
