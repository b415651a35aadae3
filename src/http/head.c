#include "http/head.h"

#include <assert.h>
#include <string.h>

#include "http/chars_priv.h"

static const struct str field_names[HTTP_FIELD_COUNT] = {
#define X(name, text) [HTTP_FIELD_##name] = STR_INIT(text),
        HTTP_FIELD_LIST(X)
#undef X
};

/*
 * The known names by their length. A new name of the list goes into the row of its length; the unit test looks every
 * name up and fails when one was forgotten.
 */
enum { NAME_BYTES_MAX = 24, NAMES_PER_LENGTH = 6, LENGTH_DIGITS_MAX = 19 };
#define F(name) HTTP_FIELD_##name
static const uint8_t ids_by_length[NAME_BYTES_MAX][NAMES_PER_LENGTH] = {
        [2] = { F(TE) },
        [3] = { F(VIA) },
        [4] = { F(HOST), F(DATE) },
        [6] = { F(ACCEPT), F(COOKIE), F(SERVER), F(ORIGIN), F(EXPECT) },
        [7] = { F(UPGRADE), F(ALT_SVC), F(TRAILER) },
        [8] = { F(LOCATION) },
        [9] = { F(X_REAL_IP), F(X_API_KEY), F(FORWARDED) },
        [10] = { F(CONNECTION), F(USER_AGENT), F(KEEP_ALIVE), F(REQUEST_ID) },
        [11] = { F(RETRY_AFTER) },
        [12] = { F(CONTENT_TYPE), F(X_REQUEST_ID) },
        [13] = { F(AUTHORIZATION), F(CACHE_CONTROL) },
        [14] = { F(CONTENT_LENGTH), F(HTTP2_SETTINGS) },
        [15] = { F(ACCEPT_ENCODING), F(X_FORWARDED_FOR) },
        [16] = { F(CONTENT_ENCODING), F(X_FORWARDED_HOST), F(PROXY_CONNECTION) },
        [17] = { F(TRANSFER_ENCODING), F(X_FORWARDED_PROTO), F(SEC_WEBSOCKET_KEY) },
        [18] = { F(PROXY_AUTHENTICATE) },
        [19] = { F(PROXY_AUTHORIZATION) },
        [20] = { F(SEC_WEBSOCKET_ACCEPT) },
        [21] = { F(SEC_WEBSOCKET_VERSION) },
};
#undef F

static const struct str method_names[] = {
        [HTTP_GET] = STR_INIT("GET"),         [HTTP_HEAD] = STR_INIT("HEAD"),
        [HTTP_POST] = STR_INIT("POST"),       [HTTP_PUT] = STR_INIT("PUT"),
        [HTTP_DELETE] = STR_INIT("DELETE"),   [HTTP_OPTIONS] = STR_INIT("OPTIONS"),
        [HTTP_PATCH] = STR_INIT("PATCH"),     [HTTP_TRACE] = STR_INIT("TRACE"),
        [HTTP_CONNECT] = STR_INIT("CONNECT"), [HTTP_OTHER] = STR_INIT("OTHER"),
};

/*
 * Eight bytes equal but for the case of letters. Known names are letters, digits and '-', of which only letters have bit 6:
 * so bit 5 may differ exactly where `name` has bit 6.
 */
static bool words_are_same(const char *text, const char *name)
{
        uint64_t a, b;

        memcpy(&a, text, sizeof(a));
        memcpy(&b, name, sizeof(b));
        return ((a ^ b) & ~((b & 0x4040404040404040u) >> 1)) == 0;
}

static bool is_known_name(struct str text, struct str name)
{
        size_t i = 0;

        if (name.len >= 8) {
                for (; name.len - i > 8; i += 8)
                        if (!words_are_same(text.ptr + i, name.ptr + i))
                                return false;
                return words_are_same(text.ptr + name.len - 8, name.ptr + name.len - 8);
        }
        for (; i < name.len; i++)
                if (ascii_lower(text.ptr[i]) != ascii_lower(name.ptr[i]))
                        return false;
        return true;
}

enum http_field_id http_field_id_of(struct str name)
{
        if (name.len >= NAME_BYTES_MAX)
                return HTTP_FIELD_OTHER;
        const uint8_t *ids = ids_by_length[name.len];
        for (int i = 0; i < NAMES_PER_LENGTH && ids[i]; i++)
                if (is_known_name(name, field_names[ids[i]]))
                        return ids[i];
        return HTTP_FIELD_OTHER;
}

struct str http_field_name(enum http_field_id id)
{
        return id < HTTP_FIELD_COUNT ? field_names[id] : STR_NULL;
}

enum http_method http_method_of(struct str token)
{
        for (int m = HTTP_GET; m < HTTP_OTHER; m++)
                if (str_eq(token, method_names[m]))
                        return (enum http_method)m;
        return HTTP_OTHER;
}

struct str http_method_name(enum http_method m)
{
        return method_names[m <= HTTP_OTHER ? m : HTTP_OTHER];
}

static bool is_named(const struct http_field *f, enum http_field_id id, struct str name)
{
        return f->id == id && (id != HTTP_FIELD_OTHER || str_eq_nocase(f->name, name));
}

static struct http_field *find_from(const struct http_head *h, size_t start, enum http_field_id id,
                                    struct str name)
{
        for (size_t i = start; i < h->fields_count; i++)
                if (!h->fields[i].is_removed && is_named(&h->fields[i], id, name))
                        return &h->fields[i];
        return NULL;
}

struct http_field *http_find(const struct http_head *h, enum http_field_id id)
{
        return h->first[id] ? find_from(h, h->first[id] - 1u, id, STR_NULL) : NULL;
}

struct http_field *http_find_name(const struct http_head *h, struct str name)
{
        enum http_field_id id = http_field_id_of(name);

        return id != HTTP_FIELD_OTHER ? http_find(h, id) : find_from(h, 0, HTTP_FIELD_OTHER, name);
}

struct http_field *http_find_next(const struct http_head *h, const struct http_field *after)
{
        return find_from(h, (size_t)(after - h->fields) + 1, after->id, after->name);
}

struct str http_value(const struct http_head *h, enum http_field_id id)
{
        const struct http_field *f = http_find(h, id);

        return f ? f->value : STR_NULL;
}

void http_remove(struct http_head *h, enum http_field_id id)
{
        if (h->first[id] == 0)
                return;
        for (size_t i = h->first[id] - 1u; i < h->fields_count; i++)
                if (h->fields[i].id == id)
                        h->fields[i].is_removed = true;
        h->first[id] = 0;
}

static void remove_all(struct http_head *h, enum http_field_id id, struct str name)
{
        if (id != HTTP_FIELD_OTHER) {
                http_remove(h, id);
                return;
        }
        for (size_t i = 0; i < h->fields_count; i++)
                if (is_named(&h->fields[i], HTTP_FIELD_OTHER, name))
                        h->fields[i].is_removed = true;
}

void http_remove_name(struct http_head *h, struct str name)
{
        remove_all(h, http_field_id_of(name), name);
}

/* Name and value are known to be valid. */
static enum err append(struct http_head *h, enum http_field_id id, struct str name, struct str value)
{
        if (h->fields_count >= MIN(h->fields_max, HTTP_FIELDS_MAX))
                return ERR_TOO_LARGE;
        h->fields[h->fields_count++] =
                (struct http_field){ .name = name, .value = str_trim(value), .id = (uint16_t)id };
        if (h->first[id] == 0)
                h->first[id] = (uint8_t)h->fields_count;
        return ERR_OK;
}

enum err http_add(struct http_head *h, struct str name, struct str value)
{
        if (!http_name_is_valid(name) || !http_value_is_valid(value))
                return ERR_MALFORMED;
        return append(h, http_field_id_of(name), name, value);
}

enum err http_set(struct http_head *h, enum http_field_id id, struct str value)
{
        assert(id != HTTP_FIELD_OTHER);
        if (!http_value_is_valid(value))
                return ERR_MALFORMED;
        http_remove(h, id);
        return append(h, id, field_names[id], value);
}

enum err http_replace(struct http_head *h, struct str name, struct str value)
{
        enum http_field_id id = http_field_id_of(name);

        if (!http_name_is_valid(name) || !http_value_is_valid(value))
                return ERR_MALFORMED;
        remove_all(h, id, name);
        return append(h, id, name, value);
}

bool http_list_has(struct str value, struct str token)
{
        struct str part;

        while (str_split(&value, ',', &part))
                if (str_eq_nocase(str_trim(str_sub(part, 0, str_find_char(part, ';'))), token))
                        return true;
        return false;
}

bool http_name_is_valid(struct str name)
{
        return name.len > 0 && http_name_skip(name.ptr, name.ptr + name.len) == name.ptr + name.len;
}

bool http_value_is_valid(struct str value)
{
        return value.len == 0 || http_value_skip(value.ptr, value.ptr + value.len) == value.ptr + value.len;
}

bool http_length_parse(struct str digits, uint64_t *out)
{
        uint64_t n = 0;

        if (digits.len == 0 || digits.len > LENGTH_DIGITS_MAX || (digits.len > 1 && digits.ptr[0] == '0'))
                return false;
        for (size_t i = 0; i < digits.len; i++) {
                if (!ascii_is_digit(digits.ptr[i]))
                        return false;
                n = n * 10 + (uint64_t)(digits.ptr[i] - '0'); /* 19 digits stay below 2^64 */
        }
        *out = n;
        return n <= INT64_MAX;
}
