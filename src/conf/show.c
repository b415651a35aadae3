#include "conf/types_priv.h"
#include "json/writer.h"

static const struct str mask = STR_INIT("***");

static void table_show(struct json_writer *w, const struct conf_table *table, const char *base);

static bool number_is_unset(const struct conf_key *key, uint64_t value)
{
        return value == CONF_UNSET && !key->fallback;
}

/* A key that was left out and has no default says nothing. */
static bool is_silent(const struct conf_key *key, const void *at)
{
        switch (key->type) {
        case CONF_TYPE_NUMBER:
        case CONF_TYPE_BYTES:
        case CONF_TYPE_DURATION: return number_is_unset(key, *(const uint64_t *)at);
        case CONF_TYPE_PLACED: return number_is_unset(key, ((const struct draft_number *)at)->value);
        case CONF_TYPE_RATE: return ((const struct units_rate *)at)->count == 0;
        case CONF_TYPE_TIME: return *(const unix_ms *)at == MONO_NEVER;
        case CONF_TYPE_TEXT: return !((const struct draft_text *)at)->text.ptr;
        case CONF_TYPE_WORD: return *(const unsigned *)at == 0 && !key->fallback;
        case CONF_TYPE_WORDS: return *(const unsigned *)at == 0;
        case CONF_TYPE_SECRET: return ((const struct draft_secret *)at)->from == DRAFT_NO_SECRET;
        case CONF_TYPE_TABLE: return key->table->is_optional && !((const struct draft_place *)at)->line;
        case CONF_TYPE_UNUSED: return true;
        default: return false;
        }
}

static void secret_show(struct json_writer *w, const struct draft_secret *s)
{
        if (s->from == DRAFT_PLAIN) {
                json_write_str(w, s->value.len ? mask : STR(""));
                return;
        }
        json_write_object_begin(w);
        json_write_member_str(w, s->from == DRAFT_ENV ? STR("env") : STR("file"), s->name);
        json_write_object_end(w);
}

static void words_show(struct json_writer *w, const struct conf_key *key, unsigned set)
{
        json_write_array_begin(w);
        for (const struct conf_word *word = key->words; word->name; word++)
                if (set & word->value)
                        json_write_str(w, str_of(word->name));
        json_write_array_end(w);
}

static void word_show(struct json_writer *w, const struct conf_key *key, unsigned value)
{
        for (const struct conf_word *word = key->words; word->name; word++)
                if (word->value == value)
                        json_write_str(w, str_of(word->name));
}

static void texts_show(struct json_writer *w, const struct conf_strs *texts)
{
        json_write_array_begin(w);
        for (size_t i = 0; i < texts->count; i++)
                json_write_str(w, texts->items[i]);
        json_write_array_end(w);
}

static void prefixes_show(struct json_writer *w, const struct conf_prefixes *prefixes)
{
        char text[IP_PREFIX_TEXT_MAX];

        json_write_array_begin(w);
        for (size_t i = 0; i < prefixes->count; i++)
                json_write_str(w, ip_prefix_format(&prefixes->items[i], text));
        json_write_array_end(w);
}

/* Which fields carry secrets cannot be known: every plain value is masked. */
static void headers_show(struct json_writer *w, const struct draft_headers *headers)
{
        json_write_object_begin(w);
        for (size_t i = 0; i < headers->count; i++) {
                json_write_key(w, headers->items[i].name);
                secret_show(w, &headers->items[i].value);
        }
        json_write_object_end(w);
}

static void list_show(struct json_writer *w, const struct conf_key *key, const struct draft_list *list)
{
        const char *items = list->items;

        json_write_array_begin(w);
        for (size_t i = 0; i < list->count; i++)
                table_show(w, key->table, items + i * key->table->item_bytes);
        json_write_array_end(w);
}

static void map_show(struct json_writer *w, const struct conf_key *key, const struct draft_list *list)
{
        const char *items = list->items;

        json_write_object_begin(w);
        for (size_t i = 0; i < list->count; i++) {
                const char *item = items + i * key->table->item_bytes;

                json_write_key(w, ((const struct draft_item *)(const void *)item)->name);
                table_show(w, key->table, item);
        }
        json_write_object_end(w);
}

static void value_show(struct json_writer *w, const struct conf_key *key, const void *at)
{
        char text[CONF_UNIT_TEXT_MAX], when[UNITS_TIME_TEXT_MAX];

        switch (key->type) {
        case CONF_TYPE_BOOL: json_write_bool(w, *(const bool *)at); break;
        case CONF_TYPE_NUMBER: json_write_uint(w, *(const uint64_t *)at); break;
        case CONF_TYPE_PLACED: json_write_uint(w, ((const struct draft_number *)at)->value); break;
        case CONF_TYPE_BYTES:
        case CONF_TYPE_DURATION:
                json_write_str(w, str_of(conf_unit_format(key->type, *(const uint64_t *)at, text)));
                break;
        case CONF_TYPE_RATE:
                json_write_str(w, str_of(conf_rate_format(*(const struct units_rate *)at, text)));
                break;
        case CONF_TYPE_TIME: json_write_str(w, units_format_time(*(const unix_ms *)at, when)); break;
        case CONF_TYPE_TEXT:
                json_write_str(w, key->flags & CONF_MASKED ? mask : ((const struct draft_text *)at)->text);
                break;
        case CONF_TYPE_WORD: word_show(w, key, *(const unsigned *)at); break;
        case CONF_TYPE_WORDS: words_show(w, key, *(const unsigned *)at); break;
        case CONF_TYPE_TEXTS: texts_show(w, at); break;
        case CONF_TYPE_PREFIXES: prefixes_show(w, at); break;
        case CONF_TYPE_SECRET: secret_show(w, at); break;
        case CONF_TYPE_HEADERS: headers_show(w, at); break;
        case CONF_TYPE_TABLE: table_show(w, key->table, at); break;
        case CONF_TYPE_LIST: list_show(w, key, at); break;
        case CONF_TYPE_MAP: map_show(w, key, at); break;
        case CONF_TYPE_UNUSED:
        case CONF_TYPES: break;
        }
}

static void table_show(struct json_writer *w, const struct conf_table *table, const char *base)
{
        const struct conf_key *only =
                table->short_key ? conf_table_find(table, str_of(table->short_key)) : NULL;

        if (only && table->keys_count == 1) { /* a model is a list, as in the file */
                value_show(w, only, base + only->offset);
                return;
        }
        json_write_object_begin(w);
        for (size_t i = 0; i < table->keys_count; i++) {
                const struct conf_key *key = &table->keys[i];

                if (is_silent(key, base + key->offset))
                        continue;
                json_write_key(w, str_of(key->name));
                value_show(w, key, base + key->offset);
        }
        json_write_object_end(w);
}

void conf_show(const struct conf *c, struct buf *out)
{
        struct json_writer w;

        json_writer_init(&w, out, 2);
        table_show(&w, &conf_table_root, (const char *)c->draft);
        json_writer_finish(&w);
        buf_add_char(out, '\n');
}
