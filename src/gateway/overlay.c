#include "gateway/overlay.h"

#include <stdio.h>

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

typedef void change_fn(struct conf_text *out, const struct json_value *gateway, struct str what);

static void auth_set(struct conf_text *out, const struct json_value *gateway, struct str auth)
{
        const struct json_value *value = json_find(gateway, STR("auth"));

        if (value)
                splice(out, value->offset, value->offset + value->raw.len, (struct str[3]){ auth });
        else
                splice(out, gateway->offset + 1, gateway->offset + 1,
                       (struct str[3]){ STR("\"auth\":"), auth, gateway->count ? STR(",") : STR("") });
}

static bool is_listened_on(const struct json_value *list, struct str address)
{
        for (size_t i = 0; json_is(list, JSON_ARRAY) && i < list->count; i++) {
                const struct json_value *item = json_item(list, i);

                if (str_eq(json_str(item), address) ||
                    str_eq(json_str(json_find(item, STR("address"))), address))
                        return true;
        }
        return false;
}

/* Behind the others. With the first of its list the defaults of host and port would go: they are written down then. */
static void listen_add(struct conf_text *out, const struct json_value *gateway, struct str address)
{
        static const struct str defaults = STR_INIT("\"host\":\"127.0.0.1\",\"port\":3000,");
        const struct json_value *list = json_find(gateway, STR("listen"));
        bool has_items = json_is(list, JSON_ARRAY) && list->count;
        bool has_place = json_find(gateway, STR("host")) || json_find(gateway, STR("port"));
        char entry[300];
        int n = snprintf(entry, sizeof(entry), "{\"address\":\"%.*s\",\"tls\":true}", STR_FMT(address));

        if (n < 0 || (size_t)n >= sizeof(entry) || is_listened_on(list, address) ||
            (list && !json_is(list, JSON_ARRAY)))
                return;
        if (has_items) {
                const struct json_value *last = json_item(list, list->count - 1);
                size_t end = last->offset + last->raw.len;

                splice(out, end, end, (struct str[3]){ STR(","), str_of(entry) });
                return;
        }
        if (list)
                splice(out, list->offset, list->offset + list->raw.len,
                       (struct str[3]){ STR("["), str_of(entry), STR("]") });
        else
                splice(out, gateway->offset + 1, gateway->offset + 1,
                       (struct str[3]){ STR("\"listen\":["), str_of(entry),
                                        gateway->count ? STR("],") : STR("]") });
        if (!has_place)
                splice(out, gateway->offset + 1, gateway->offset + 1, (struct str[3]){ defaults });
}

/* A text that cannot be read stays as it is: conf_load says what is wrong with it. */
static void change(struct conf_text *out, change_fn *fn, struct str what)
{
        const struct json_value *root, *gateway;
        struct report ignored;
        struct arena arena;

        arena_init(&arena, NULL, 0, OVERLAY_BYTES_MAX);
        report_init(&ignored, STR_NULL);
        if (json_read_hujson(&arena, buf_str(&out->bytes), &ignored, &root) == ERR_OK &&
            json_is(root, JSON_OBJECT) && json_is(gateway = json_find(root, STR("gateway")), JSON_OBJECT))
                fn(out, gateway, what);
        report_fini(&ignored);
        arena_fini(&arena);
}

static enum err overlay_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                             struct conf_text *out)
{
        struct overlay *o = CONTAINER_OF(s, struct overlay, source);
        enum err e = o->inner->read(o->inner, kind, name, out);

        if (e != ERR_OK || kind != CONF_READ_CONFIG)
                return e;
        if (o->auth.len)
                change(out, auth_set, o->auth);
        if (o->listen.len)
                change(out, listen_add, o->listen);
        return e;
}

void overlay_init(struct overlay *o, struct conf_source *inner, struct str auth)
{
        *o = (struct overlay){ .source = { overlay_read, inner->file, inner->now },
                               .inner = inner,
                               .auth = auth };
}

void overlay_listen(struct overlay *o, struct str address)
{
        o->listen = address;
}
