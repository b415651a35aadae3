/*
 * fuzz/control_body_fuzz.c - any bytes as a body of control's API: the first names the object. What is taken can be written
 * again, and names that passed are names.
 */
#include <stdlib.h>
#include <string.h>

#include "control/objects.h"
#include "control/text.h"
#include "json/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct schema *const schemas[] = { &object_service_schema, &object_node_schema,
                                                &object_token_schema,   &object_target_schema,
                                                &object_key_schema,     &object_certificate_schema,
                                                &object_share_schema,   &object_settings_schema };

static void texts_look(const struct object_service *o)
{
        const char *why;

        for (size_t i = 0; i < o->hosts.count; i++)
                if (text_is_host(o->hosts.items[i]) &&
                    memchr(o->hosts.items[i].ptr, ' ', o->hosts.items[i].len))
                        abort();
        for (size_t i = 0; i < o->listen.count; i++)
                if (text_is_listen(o->listen.items[i]) && str_find_char(o->listen.items[i], ':') == STR_NONE)
                        abort();
        for (size_t i = 0; i < o->targets.count; i++) {
                const struct object_target *t = &((const struct object_target *)o->targets.items)[i];

                if (text_is_target(t->url, &why) && str_find_char(t->url, ' ') != STR_NONE)
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        union {
                struct object_service service;
                char bytes[4096];
        } out;
        const struct schema *s = schemas[size ? data[0] % (sizeof(schemas) / sizeof(schemas[0])) : 0];
        struct str text = { (const char *)data + (size ? 1 : 0), size ? size - 1 : 0 };
        const struct json_value *root;
        struct json_writer w;
        struct arena a;
        struct buf problem, again;
        uint64_t given;

        if (s->bytes > sizeof(out))
                abort();
        memset(&out, 0, sizeof(out));
        arena_init(&a, NULL, 0, 4 << 20);
        buf_init(&problem, 1 << 16);
        buf_init(&again, 4 << 20);
        if (json_read_strict(&a, text, NULL, &root) == ERR_OK) {
                enum err e = schema_read(s, data[0] & 0x80 ? SCHEMA_EDIT : SCHEMA_IN, root, &a, &out, &given,
                                         &problem);

                if (e == ERR_MALFORMED && problem.len == 0)
                        abort(); /* whoever is refused is told why */
                if (e == ERR_OK) {
                        json_writer_init(&w, &again, JSON_COMPACT);
                        schema_write(s, &out, true, &w);
                        json_writer_finish(&w);
                        if (json_read_strict(&a, buf_str(&again), NULL, &root) != ERR_OK && !a.full)
                                abort();
                        if (s == &object_service_schema)
                                texts_look(&out.service);
                }
        }
        buf_fini(&problem);
        buf_fini(&again);
        arena_fini(&a);
        return 0;
}
