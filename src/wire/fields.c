#include <assert.h>
#include <string.h>

#include "crypto/text.h"
#include "wire/fields_priv.h"

enum { PUT_MAX = 512 };

enum err wire_small_read(struct arena *arena, struct str text, size_t bytes_max, size_t values_max,
                         const struct json_value **root)
{
        struct json_options options = { .bytes_max = bytes_max, .values_max = values_max, .depth_max = 16 };
        enum err e = json_read(arena, text, &options, NULL, root);

        if (e == ERR_OK && !json_is(*root, JSON_OBJECT))
                e = ERR_MALFORMED;
        return e;
}

bool wire_get_text(const struct json_value *object, struct str key, size_t max, struct str *out)
{
        const struct json_value *v = json_find(object, key);

        if (!json_is(v, JSON_STRING) || v->text.len > max || str_find_char(v->text, '\0') != STR_NONE)
                return false;
        *out = v->text;
        return true;
}

bool wire_get_text_maybe(const struct json_value *object, struct str key, size_t max, struct str *out)
{
        const struct json_value *v = json_find(object, key);

        if (!v || json_is(v, JSON_NULL)) {
                *out = STR("");
                return true;
        }
        return wire_get_text(object, key, max, out);
}

bool wire_get_uint(const struct json_value *object, struct str key, uint64_t max, uint64_t *out)
{
        uint64_t n;

        if (json_get_uint64(json_find(object, key), &n) != ERR_OK || n > max)
                return false;
        *out = n;
        return true;
}

bool wire_get_bytes(const struct json_value *object, struct str key, uint8_t *out, size_t max, size_t *len)
{
        const struct json_value *v = json_find(object, key);

        return json_is(v, JSON_STRING) && crypto_base64_parse(v->text, out, max, len) == ERR_OK;
}

bool wire_get_key(const struct json_value *object, struct str key, uint8_t out[32])
{
        size_t len;

        return wire_get_bytes(object, key, out, 32, &len) && len == 32;
}

bool wire_get_hash(const struct json_value *object, struct str key, uint8_t out[32])
{
        const struct json_value *v = json_find(object, key);

        return json_is(v, JSON_STRING) && crypto_hex_parse(v->text, out, 32) == ERR_OK;
}

void wire_put_bytes(struct json_writer *w, struct str key, const uint8_t *bytes, size_t len)
{
        char text[CRYPTO_BASE64_SIZE(PUT_MAX)];

        assert(len <= PUT_MAX);
        json_write_member_str(w, key, crypto_base64_format((struct str){ (const char *)bytes, len }, text));
}

void wire_put_hash(struct json_writer *w, struct str key, const uint8_t hash[32])
{
        char text[CRYPTO_HEX_SIZE(32)];

        json_write_member_str(w, key, crypto_hex_format((struct str){ (const char *)hash, 32 }, text));
}
