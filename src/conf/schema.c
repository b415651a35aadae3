#include "conf/schema.h"

#include "conf/table_priv.h"
#include "json/writer.h"

static void table_schema(struct json_writer *w, const struct conf_table *table);

static void type_write(struct json_writer *w, const char *type)
{
        json_write_member_str(w, STR("type"), str_of(type));
}

static void pattern_write(struct json_writer *w, const char *pattern)
{
        type_write(w, "string");
        json_write_member_str(w, STR("pattern"), str_of(pattern));
}

static void bounds_write(struct json_writer *w, const struct conf_key *key)
{
        type_write(w, "integer");
        if (!key->max)
                return;
        json_write_member_uint(w, STR("minimum"), key->min);
        json_write_member_uint(w, STR("maximum"), key->max);
}

static void words_write(struct json_writer *w, const struct conf_key *key)
{
        json_write_key(w, STR("enum"));
        json_write_array_begin(w);
        for (const struct conf_word *word = key->words; word->name; word++)
                json_write_str(w, str_of(word->name));
        json_write_array_end(w);
}

/* {"env": "NAME"} and {"file": "path"} */
static void secret_forms_write(struct json_writer *w)
{
        static const char *const forms[] = { "env", "file" };

        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
                json_write_object_begin(w);
                type_write(w, "object");
                json_write_key(w, STR("properties"));
                json_write_object_begin(w);
                json_write_key(w, str_of(forms[i]));
                json_write_object_begin(w);
                type_write(w, "string");
                json_write_object_end(w);
                json_write_object_end(w);
                json_write_key(w, STR("required"));
                json_write_array_begin(w);
                json_write_str(w, str_of(forms[i]));
                json_write_array_end(w);
                json_write_member_bool(w, STR("additionalProperties"), false);
                json_write_object_end(w);
        }
}

static void text_form_write(struct json_writer *w)
{
        json_write_object_begin(w);
        type_write(w, "string");
        json_write_object_end(w);
}

static void secret_write(struct json_writer *w)
{
        json_write_key(w, STR("anyOf"));
        json_write_array_begin(w);
        text_form_write(w);
        secret_forms_write(w);
        json_write_array_end(w);
}

static void headers_write(struct json_writer *w)
{
        type_write(w, "object");
        json_write_key(w, STR("additionalProperties"));
        json_write_object_begin(w);
        secret_write(w);
        json_write_object_end(w);
}

/* One, or a list. */
static void texts_write(struct json_writer *w, const struct conf_key *key)
{
        json_write_key(w, STR("anyOf"));
        json_write_array_begin(w);
        for (int list = 0; list < 2; list++) {
                json_write_object_begin(w);
                if (list) {
                        type_write(w, "array");
                        json_write_key(w, STR("items"));
                        json_write_object_begin(w);
                }
                type_write(w, "string");
                if (key->words)
                        words_write(w, key);
                if (list)
                        json_write_object_end(w);
                json_write_object_end(w);
        }
        json_write_array_end(w);
}

static void bytes_write(struct json_writer *w, const struct conf_key *key)
{
        json_write_key(w, STR("anyOf"));
        json_write_array_begin(w);
        json_write_object_begin(w);
        pattern_write(w, "^[0-9]+(|B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)$");
        json_write_object_end(w);
        json_write_object_begin(w);
        bounds_write(w, key);
        json_write_object_end(w);
        json_write_array_end(w);
}

static void items_write(struct json_writer *w, const char *type, const char *word,
                        const struct conf_table *table)
{
        type_write(w, type);
        json_write_key(w, str_of(word));
        json_write_object_begin(w);
        table_schema(w, table);
        json_write_object_end(w);
}

static void type_schema(struct json_writer *w, const struct conf_key *key)
{
        switch (key->type) {
        case CONF_TYPE_BOOL: type_write(w, "boolean"); break;
        case CONF_TYPE_NUMBER:
        case CONF_TYPE_PLACED: bounds_write(w, key); break;
        case CONF_TYPE_BYTES: bytes_write(w, key); break;
        case CONF_TYPE_DURATION: pattern_write(w, "^[0-9]+(ms|s|m|h|d)$"); break;
        case CONF_TYPE_RATE: pattern_write(w, "^[0-9]+/(s|min|h|day)$"); break;
        case CONF_TYPE_TIME:
                type_write(w, "string");
                json_write_member_str(w, STR("format"), STR("date-time"));
                break;
        case CONF_TYPE_TEXT: type_write(w, "string"); break;
        case CONF_TYPE_WORD:
                type_write(w, "string");
                words_write(w, key);
                break;
        case CONF_TYPE_WORDS:
        case CONF_TYPE_TEXTS:
        case CONF_TYPE_PREFIXES: texts_write(w, key); break;
        case CONF_TYPE_SECRET:
                if (key->flags & CONF_PLAIN)
                        type_write(w, "string");
                else
                        secret_write(w);
                break;
        case CONF_TYPE_HEADERS: headers_write(w); break;
        case CONF_TYPE_TABLE: table_schema(w, key->table); break;
        case CONF_TYPE_LIST: items_write(w, "array", "items", key->table); break;
        case CONF_TYPE_MAP: items_write(w, "object", "additionalProperties", key->table); break;
        case CONF_TYPE_UNUSED:
        case CONF_TYPES: break;
        }
}

/* Each key may also be null, which says the same as leaving it out. */
static void key_schema(struct json_writer *w, const struct conf_key *key)
{
        json_write_key(w, str_of(key->name));
        json_write_object_begin(w);
        if (key->doc)
                json_write_member_str(w, STR("description"), str_of(key->doc));
        if (key->fallback)
                json_write_member_raw(w, STR("default"), str_of(key->fallback));
        if (key->type != CONF_TYPE_UNUSED) {
                json_write_key(w, STR("anyOf"));
                json_write_array_begin(w);
                json_write_object_begin(w);
                type_schema(w, key);
                json_write_object_end(w);
                json_write_object_begin(w);
                type_write(w, "null");
                json_write_object_end(w);
                json_write_array_end(w);
        }
        json_write_object_end(w);
}

static void object_schema(struct json_writer *w, const struct conf_table *table)
{
        bool has_required = false;

        type_write(w, "object");
        json_write_key(w, STR("properties"));
        json_write_object_begin(w);
        for (size_t i = 0; i < table->keys_count; i++) {
                key_schema(w, &table->keys[i]);
                has_required |= (table->keys[i].flags & CONF_REQUIRED) != 0;
        }
        json_write_object_end(w);
        if (has_required) {
                json_write_key(w, STR("required"));
                json_write_array_begin(w);
                for (size_t i = 0; i < table->keys_count; i++)
                        if (table->keys[i].flags & CONF_REQUIRED)
                                json_write_str(w, str_of(table->keys[i].name));
                json_write_array_end(w);
        }
        json_write_member_bool(w, STR("additionalProperties"), false);
}

static void table_schema(struct json_writer *w, const struct conf_table *table)
{
        if (!table->short_key) {
                object_schema(w, table);
                return;
        }
        json_write_key(w, STR("anyOf"));
        json_write_array_begin(w);
        json_write_object_begin(w);
        type_schema(w, conf_table_find(table, str_of(table->short_key)));
        json_write_object_end(w);
        json_write_object_begin(w);
        object_schema(w, table);
        json_write_object_end(w);
        json_write_array_end(w);
}

void conf_schema_json(struct buf *out)
{
        struct json_writer w;

        json_writer_init(&w, out, 1);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("$schema"), STR("https://json-schema.org/draft/2020-12/schema"));
        json_write_member_str(&w, STR("title"), STR("sekisho.json"));
        json_write_member_str(&w, STR("$comment"), STR("Generated by: sekisho config schema --json"));
        table_schema(&w, &conf_table_root);
        json_write_object_end(&w);
        json_writer_finish(&w);
        buf_add_char(out, '\n');
}
