#include "conf/types_priv.h"

#include <assert.h>
#include <stdio.h>

#include "conf/check_priv.h"

/* Wrong kind of value: what was wanted, and what is there. */
static bool is_type(struct loader *l, const struct json_value *v, enum json_type type, const char *wanted)
{
        if (v->type == type)
                return true;
        loader_error(l, v, "is %s; write %s", json_type_text(v->type), wanted);
        return false;
}

static bool in_bounds(struct loader *l, const struct conf_key *key, const struct json_value *v,
                      uint64_t value)
{
        char least[CONF_UNIT_TEXT_MAX], most[CONF_UNIT_TEXT_MAX];

        if (!key->max || (value >= key->min && value <= key->max))
                return true;
        loader_error(l, v, "%.*s is out of range; use %s to %s", STR_FMT(v->text),
                     conf_unit_format(key->type, key->min, least),
                     conf_unit_format(key->type, key->max, most));
        return false;
}

static bool number_parse(struct loader *l, const struct conf_key *key, const struct json_value *v,
                         uint64_t *out)
{
        uint64_t value;

        if (!is_type(l, v, JSON_NUMBER, "a whole number"))
                return false;
        if (json_get_uint64(v, &value) != ERR_OK) {
                loader_error(l, v, "%.*s is no whole number in range", STR_FMT(v->text));
                return false;
        }
        if (!in_bounds(l, key, v, value))
                return false;
        *out = value;
        return true;
}

static void bool_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        if (is_type(l, v, JSON_BOOL, "true or false"))
                *(bool *)at = v->boolean;
}

static void number_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        number_parse(l, key, v, at);
}

static void placed_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        struct draft_number *out = at;

        if (number_parse(l, key, v, &out->value))
                out->at = loader_place(l, v);
}

static void bytes_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        uint64_t value;

        if (v->type == JSON_NUMBER) {
                number_parse(l, key, v, at);
                return;
        }
        if (!is_type(l, v, JSON_STRING, "a size such as \"32KiB\", or a number of bytes"))
                return;
        if (units_parse_bytes(v->text, &value) != ERR_OK)
                loader_error(l, v, "\"%.*s\" is no size; write it as \"4096\", \"32KiB\" or \"1MB\"",
                             STR_FMT(v->text));
        else if (in_bounds(l, key, v, value))
                *(uint64_t *)at = value;
}

static void duration_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        int64_t value;

        if (v->type == JSON_NUMBER) {
                loader_error(l, v, "is a number without a unit; write a duration such as \"%.*ss\"",
                             STR_FMT(v->text));
                return;
        }
        if (!is_type(l, v, JSON_STRING, "a duration such as \"10s\""))
                return;
        if (units_parse_duration(v->text, &value) != ERR_OK)
                loader_error(
                        l, v,
                        "\"%.*s\" is no duration; write it as \"250ms\", \"10s\", \"5m\", \"12h\" or \"30d\"",
                        STR_FMT(v->text));
        else if (in_bounds(l, key, v, (uint64_t)value))
                *(int64_t *)at = value;
}

static void rate_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        struct units_rate rate;

        if (!is_type(l, v, JSON_STRING, "a rate such as \"60/min\""))
                return;
        if (units_parse_rate(v->text, &rate) != ERR_OK || rate.count == 0)
                loader_error(
                        l, v,
                        "\"%.*s\" is no rate; write it as \"5/s\", \"60/min\", \"1000/h\" or \"10000/day\"",
                        STR_FMT(v->text));
        else
                *(struct units_rate *)at = rate;
}

static void time_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        static const char wanted[] = "a time such as \"2027-01-31T00:00:00Z\"";
        unix_ms when;

        if (!is_type(l, v, JSON_STRING, wanted))
                return;
        if (units_parse_time(v->text, &when) != ERR_OK)
                loader_error(l, v, "\"%.*s\" is no time; write %s", STR_FMT(v->text), wanted);
        else
                *(unix_ms *)at = when;
}

/* A text of the file as it goes into the configuration: checked, copied. */
static bool text_take(struct loader *l, const struct conf_key *key, const struct json_value *v,
                      struct str *out)
{
        struct str text = v->text;

        if (!is_type(l, v, JSON_STRING, "a string"))
                return false;
        if (key->check && !key->check(l, v, &text))
                return false;
        *out = arena_copy(l->arena, text);
        return out->ptr != NULL;
}

static void text_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        struct draft_text *out = at;

        if (text_take(l, key, v, &out->text))
                out->at = loader_place(l, v);
}

static const struct conf_word *word_find(struct loader *l, const struct conf_key *key,
                                         const struct json_value *v)
{
        struct str names[16];
        char all[256] = "";
        size_t count = 0, len = 0;

        if (!is_type(l, v, JSON_STRING, "a string"))
                return NULL;
        for (const struct conf_word *w = key->words; w->name; w++) {
                if (str_eq(v->text, str_of(w->name)))
                        return w;
                assert(count < ARRAY_SIZE(names));
                names[count++] = str_of(w->name);
                len += (size_t)snprintf(all + len, sizeof(all) - len, "%s\"%s\"", len ? ", " : "", w->name);
                assert(len < sizeof(all));
        }
        loader_error(l, v, "\"%.*s\" is not known here%s; use one of %s", STR_FMT(v->text),
                     loader_hint(l, v->text, names, count), all);
        return NULL;
}

static void word_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        const struct conf_word *word = word_find(l, key, v);

        if (word)
                *(unsigned *)at = word->value;
}

/* A list, or one alone: calls for each with the path set. */
static bool items_begin(struct loader *l, const struct json_value *v, const char *wanted, size_t *count)
{
        if (v->type != JSON_STRING && !is_type(l, v, JSON_ARRAY, wanted))
                return false;
        *count = v->type == JSON_STRING ? 1 : v->count;
        return true;
}

static const struct json_value *items_at(struct loader *l, const struct json_value *v, size_t i, size_t *len)
{
        if (v->type == JSON_STRING) {
                *len = l->path.len;
                return v;
        }
        *len = loader_enter_index(l, i);
        return &v->items[i];
}

static void words_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        unsigned set = 0;
        size_t count, len;

        if (!items_begin(l, v, "a list of strings", &count))
                return;
        for (size_t i = 0; i < count; i++) {
                const struct conf_word *word = word_find(l, key, items_at(l, v, i, &len));

                if (word)
                        set |= word->value;
                loader_leave(l, len);
        }
        if (count == 0)
                loader_error(l, v, "is empty; name at least one, or leave the key out");
        *(unsigned *)at = set;
}

static void texts_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        struct conf_strs *out = at;
        struct conf_strs texts = { 0 };
        size_t count, len;

        if (!items_begin(l, v, "a string or a list of strings", &count))
                return;
        if (count && !(texts.items = ARENA_ARRAY(l->arena, struct str, count)))
                return;
        for (size_t i = 0; i < count; i++) {
                if (text_take(l, key, items_at(l, v, i, &len), &texts.items[texts.count]))
                        texts.count++;
                loader_leave(l, len);
        }
        *out = texts;
}

static void prefixes_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        struct conf_prefixes *out = at;
        struct conf_prefixes prefixes = { 0 };
        size_t count, len;

        if (!items_begin(l, v, "a list of addresses and ranges", &count))
                return;
        if (count && !(prefixes.items = ARENA_ARRAY(l->arena, struct ip_prefix, count)))
                return;
        for (size_t i = 0; i < count; i++) {
                const struct json_value *item = items_at(l, v, i, &len);

                if (!is_type(l, item, JSON_STRING, "a string"))
                        ;
                else if (ip_prefix_parse(item->text, &prefixes.items[prefixes.count]) == ERR_OK)
                        prefixes.count++;
                else
                        loader_error(
                                l, item,
                                "\"%.*s\" is no address or range; write it as \"192.0.2.7\", \"10.0.0.0/8\" or "
                                "\"fd00::/8\"",
                                STR_FMT(item->text));
                loader_leave(l, len);
        }
        *out = prefixes;
}

static void secret_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        loader_secret(l, v, key->flags & CONF_PLAIN ? SECRET_PLAIN : SECRET_ANY, at);
}

static void headers_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        struct draft_headers *out = at;
        struct draft_headers headers = { 0 };

        if (!is_type(l, v, JSON_OBJECT, "an object of names and values"))
                return;
        if (v->count && !(headers.items = ARENA_ARRAY(l->arena, struct draft_header, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                const struct json_member *member = &v->members[i];
                struct draft_header *h = &headers.items[headers.count++];
                size_t len = loader_enter_key(l, member->key);
                struct str name = member->key;

                h->at = (struct draft_place){ member->key_line, member->key_column };
                conf_check_field(l, &member->value, &name);
                h->name = arena_copy(l->arena, name);
                loader_secret(l, &member->value, SECRET_PERHAPS, &h->value);
                loader_leave(l, len);
        }
        *out = headers;
}

static void table_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        loader_table(l, key->table, v, at);
}

static void list_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        loader_list(l, key->table, v, at);
}

static void map_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        loader_map(l, key->table, v, at);
}

static void unused_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        if (!(key->flags & CONF_HIDDEN))
                loader_warning(l, v, "is not used by Sekisho; the key may be removed");
}

void conf_type_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at)
{
        typedef void set_fn(struct loader * l, const struct conf_key *key, const struct json_value *v,
                            void *at);
        static set_fn *const setters[CONF_TYPES] = {
                [CONF_TYPE_BOOL] = bool_set,         [CONF_TYPE_NUMBER] = number_set,
                [CONF_TYPE_PLACED] = placed_set,     [CONF_TYPE_BYTES] = bytes_set,
                [CONF_TYPE_DURATION] = duration_set, [CONF_TYPE_RATE] = rate_set,
                [CONF_TYPE_TIME] = time_set,         [CONF_TYPE_TEXT] = text_set,
                [CONF_TYPE_WORD] = word_set,         [CONF_TYPE_WORDS] = words_set,
                [CONF_TYPE_TEXTS] = texts_set,       [CONF_TYPE_PREFIXES] = prefixes_set,
                [CONF_TYPE_SECRET] = secret_set,     [CONF_TYPE_HEADERS] = headers_set,
                [CONF_TYPE_TABLE] = table_set,       [CONF_TYPE_LIST] = list_set,
                [CONF_TYPE_MAP] = map_set,           [CONF_TYPE_UNUSED] = unused_set,
        };

        setters[key->type](l, key, v, at);
}
