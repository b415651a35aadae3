#include "gateway/overlay.h"

#include "json/reader.h"

enum { OVERLAY_BYTES_MAX = 32 << 20 };

/* Replaces text[from, to) of out->bytes. */
static void splice(struct conf_text *out, size_t from, size_t to, const struct str with[3])
{
        struct buf changed;
        struct str text = buf_str(&out->bytes);

        buf_init(&changed, CONF_TEXT_BYTES_MAX);
        buf_add(&changed, str_sub(text, 0, from));
        for (int i = 0; i < 3; i++)
                buf_add(&changed, with[i]);
        buf_add(&changed, str_from(text, to));
        if (!changed.full) {
                buf_clear(&out->bytes);
                buf_add(&out->bytes, buf_str(&changed));
        }
        buf_wipe(&changed);
}

/* A text that cannot be read stays as it is: conf_load says what is wrong with it. */
static void auth_set(struct conf_text *out, struct str auth)
{
        const struct json_value *root, *gateway, *value;
        struct report ignored;
        struct arena arena;

        arena_init(&arena, NULL, 0, OVERLAY_BYTES_MAX);
        report_init(&ignored, STR_NULL);
        if (json_read_hujson(&arena, buf_str(&out->bytes), &ignored, &root) == ERR_OK &&
            json_is(root, JSON_OBJECT)) {
                gateway = json_find(root, STR("gateway"));
                value = json_is(gateway, JSON_OBJECT) ? json_find(gateway, STR("auth")) : NULL;
                if (value)
                        splice(out, value->offset, value->offset + value->raw.len, (struct str[3]){ auth });
                else if (json_is(gateway, JSON_OBJECT))
                        splice(out, gateway->offset + 1, gateway->offset + 1,
                               (struct str[3]){ STR("\"auth\":"), auth,
                                                gateway->count ? STR(",") : STR("") });
        }
        report_fini(&ignored);
        arena_fini(&arena);
}

static enum err overlay_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                             struct conf_text *out)
{
        struct overlay *o = CONTAINER_OF(s, struct overlay, source);
        enum err e = o->inner->read(o->inner, kind, name, out);

        if (e == ERR_OK && kind == CONF_READ_CONFIG && o->auth.len)
                auth_set(out, o->auth);
        return e;
}

void overlay_init(struct overlay *o, struct conf_source *inner, struct str auth)
{
        *o = (struct overlay){ .source = { overlay_read, inner->file, inner->now },
                               .inner = inner,
                               .auth = auth };
}
