#include "dispatch/ask.h"

#include <math.h>

#include "base/escape.h"
#include "crypto/text.h"
#include "json/writer.h"

enum { BODY_BYTES_MAX = 16 << 20, TIMEOUT_MIN_MS = 10 };

struct reading {
        const struct json_value *request, *defaults;
        struct arena *arena;
        struct dispatch_ask *out;
        struct buf *problem;
};

static const char *const members[] = { "url",   "method",     "headers", "params",
                                       "body",  "bodyBase64", "timeout", "sourceAddress",
                                       "agent", "tag",        "family",  "followRedirects" };

static enum err refuse(struct reading *r, const char *member, const char *what)
{
        buf_addf(r->problem, "\"%s\" %s.", member, what);
        return ERR_MALFORMED;
}

/* null is the same as nothing said. */
static const struct json_value *find(const struct reading *r, const char *member)
{
        const struct json_value *v = json_find(r->request, str_of(member));

        if (!v)
                v = json_find(r->defaults, str_of(member));
        return json_is(v, JSON_NULL) ? NULL : v;
}

static enum err members_check(struct reading *r, const struct json_value *object)
{
        if (object && !json_is(object, JSON_OBJECT)) {
                buf_add(r->problem, STR("The request must be a JSON object."));
                return ERR_MALFORMED;
        }
        for (size_t i = 0; object && i < object->count; i++) {
                struct str key = object->members[i].key;
                bool is_known = false;

                for (size_t k = 0; k < ARRAY_SIZE(members); k++)
                        is_known |= str_eq(key, str_of(members[k]));
                if (is_known)
                        continue;
                buf_add(r->problem, STR("There is no member \""));
                escape_json(r->problem, str_sub(key, 0, 64));
                buf_add(r->problem, STR("\"; the members are"));
                for (size_t k = 0; k < ARRAY_SIZE(members); k++)
                        buf_addf(r->problem, "%s %s", k ? "," : "", members[k]);
                buf_add_char(r->problem, '.');
                return ERR_MALFORMED;
        }
        return ERR_OK;
}

/* ---- the URL ---- */

static void query_escape(struct buf *out, struct str s)
{
        static const char hex[] = "0123456789ABCDEF";

        for (size_t i = 0; i < s.len; i++) {
                char c = s.ptr[i];

                if (ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~') {
                        buf_add_char(out, c);
                } else {
                        buf_add_char(out, '%');
                        buf_add_char(out, hex[(uint8_t)c >> 4]);
                        buf_add_char(out, hex[(uint8_t)c & 15]);
                }
        }
}

static bool param_add(struct buf *query, struct str key, const struct json_value *v)
{
        if (query->len)
                buf_add_char(query, '&');
        query_escape(query, key);
        buf_add_char(query, '=');
        switch (v->type) {
        case JSON_STRING:
        case JSON_NUMBER: query_escape(query, v->text); return true;
        case JSON_BOOL: buf_add(query, v->boolean ? STR("true") : STR("false")); return true;
        default: return false;
        }
}

static bool param_list_add(struct buf *query, const struct json_member *m)
{
        if (m->value.type != JSON_ARRAY)
                return param_add(query, m->key, &m->value);
        for (size_t i = 0; i < m->value.count; i++)
                if (!param_add(query, m->key, &m->value.items[i]))
                        return false;
        return true;
}

/* {"q": "a b", "n": 1, "tag": ["x", "y"]} behind what the URL has. */
static enum err params_add(struct reading *r)
{
        const struct json_value *v = find(r, "params");
        struct str *path = &r->out->url.path;
        struct buf query;

        if (!v)
                return ERR_OK;
        if (v->type != JSON_OBJECT)
                return refuse(r, "params", "must be an object of names and values");
        buf_init(&query, DISPATCH_URL_BYTES_MAX);
        for (size_t i = 0; i < v->count; i++)
                if (!param_list_add(&query, &v->members[i])) {
                        buf_fini(&query);
                        return refuse(r, "params",
                                      "has a value that is no string, number, boolean or list of these");
                }
        if (query.full) {
                buf_fini(&query);
                return refuse(r, "params", "are longer than 16 KiB");
        }
        const struct str parts[] = { *path, str_find_char(*path, '?') == STR_NONE ? STR("?") : STR("&"),
                                     buf_str(&query) };
        if (query.len)
                *path = arena_join(r->arena, parts, ARRAY_SIZE(parts));
        buf_fini(&query);
        return path->ptr ? ERR_OK : ERR_NO_MEMORY;
}

static enum err url_read(struct reading *r)
{
        struct str text = json_str(find(r, "url"));
        const char *problem;

        if (!text.ptr)
                return refuse(r, "url", "is needed: \"https://example.com/path\"");
        enum err e = dispatch_url_parse(text, r->arena, &r->out->url, &problem);
        if (e == ERR_MALFORMED)
                return refuse(r, "url", problem);
        return e == ERR_OK ? params_add(r) : e;
}

static enum err method_read(struct reading *r)
{
        const struct json_value *v = find(r, "method");
        struct str text = v ? json_str(v) : STR("GET");

        for (int m = HTTP_GET; m < HTTP_OTHER; m++) {
                struct str name = http_method_name((enum http_method)m);

                if (text.ptr && str_eq_nocase(text, name) && m != HTTP_CONNECT && m != HTTP_TRACE) {
                        r->out->method = name;
                        return ERR_OK;
                }
        }
        return refuse(r, "method", "must be GET, HEAD, POST, PUT, DELETE, OPTIONS or PATCH");
}

/* ---- fields ---- */

/* Where a message ends and whom it is for is said by us. */
static bool is_reserved(struct str name)
{
        static const struct str names[] = { STR_INIT("host"),
                                            STR_INIT("connection"),
                                            STR_INIT("content-length"),
                                            STR_INIT("transfer-encoding"),
                                            STR_INIT("te"),
                                            STR_INIT("trailer"),
                                            STR_INIT("upgrade"),
                                            STR_INIT("keep-alive"),
                                            STR_INIT("expect"),
                                            STR_INIT("proxy-authorization"),
                                            STR_INIT("proxy-connection") };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (str_eq_nocase(name, names[i]))
                        return true;
        return str_eq_nocase(str_sub(name, 0, 8), STR("sekisho-"));
}

static enum err field_add(struct reading *r, struct http_head *head, struct str name,
                          const struct json_value *v)
{
        if (v->type != JSON_STRING && v->type != JSON_NUMBER)
                return refuse(r, "headers", "has a value that is no string");
        if (is_reserved(name)) {
                buf_add(r->problem, STR("\"headers\" must not have \""));
                escape_json(r->problem, name);
                buf_add(r->problem,
                        STR("\": it is made from the URL and the body, or belongs to one connection."));
                return ERR_MALFORMED;
        }
        switch (http_add(head, name, v->text)) {
        case ERR_OK: return ERR_OK;
        case ERR_TOO_LARGE: return refuse(r, "headers", "has more than 64 fields");
        default: return refuse(r, "headers", "has a name or value that is not valid in HTTP");
        }
}

/* {"name": "value", "other": ["first", "second"]} */
static enum err fields_read(struct reading *r, struct http_head *head)
{
        const struct json_value *v = find(r, "headers");
        enum err e = ERR_OK;

        if (v && v->type != JSON_OBJECT)
                return refuse(r, "headers", "must be an object of names and values");
        for (size_t i = 0; v && e == ERR_OK && i < v->count; i++) {
                const struct json_member *m = &v->members[i];

                if (m->value.type != JSON_ARRAY)
                        e = field_add(r, head, m->key, &m->value);
                for (size_t k = 0; m->value.type == JSON_ARRAY && e == ERR_OK && k < m->value.count; k++)
                        e = field_add(r, head, m->key, &m->value.items[k]);
        }
        return e;
}

/* ---- the body ---- */

static enum err base64_read(struct reading *r, struct str text)
{
        uint8_t *bytes = arena_alloc(r->arena, text.len + 1, 1);
        size_t len;

        if (!bytes)
                return ERR_NO_MEMORY;
        if (crypto_base64_parse(text, bytes, text.len, &len) != ERR_OK)
                return refuse(r, "bodyBase64", "is not base64");
        r->out->body = (struct str){ (const char *)bytes, len };
        return ERR_OK;
}

static enum err json_body_make(struct reading *r, const struct json_value *v)
{
        struct json_writer w;
        struct buf text;

        buf_init(&text, BODY_BYTES_MAX);
        json_writer_init(&w, &text, JSON_COMPACT);
        json_write_value(&w, v);
        json_writer_finish(&w);
        r->out->body = text.full ? STR_NULL : arena_copy(r->arena, buf_str(&text));
        buf_fini(&text);
        return r->out->body.ptr ? ERR_OK : ERR_NO_MEMORY;
}

/* A string goes as it is; any other value as JSON, and says so unless the caller said otherwise. */
static enum err body_read(struct reading *r, struct http_head *head)
{
        const struct json_value *v = find(r, "body"), *coded = find(r, "bodyBase64");

        if (v && coded)
                return refuse(r, "body", "and \"bodyBase64\" are two bodies");
        if (coded)
                return json_is(coded, JSON_STRING) ? base64_read(r, coded->text)
                                                   : refuse(r, "bodyBase64", "must be a string");
        if (!v)
                return ERR_OK;
        if (v->type == JSON_STRING) {
                r->out->body = v->text;
                return ERR_OK;
        }
        if (!http_find(head, HTTP_FIELD_CONTENT_TYPE) &&
            http_set(head, HTTP_FIELD_CONTENT_TYPE, STR("application/json")) != ERR_OK)
                return refuse(r, "headers", "has more than 64 fields");
        return json_body_make(r, v);
}

/* ---- who sends it, and for how long ---- */

static enum err timeout_read(struct reading *r)
{
        const struct json_value *v = find(r, "timeout");
        double seconds;

        r->out->timeout_ms = DISPATCH_TIMEOUT_MS;
        if (!v)
                return ERR_OK;
        if (json_get_double(v, &seconds) != ERR_OK || !(seconds * 1000 >= TIMEOUT_MIN_MS) ||
            seconds * 1000 > DISPATCH_TIMEOUT_MAX_MS)
                return refuse(r, "timeout", "must be a number of seconds from 0.01 to 300");
        r->out->timeout_ms = (int64_t)(seconds * 1000);
        return ERR_OK;
}

static enum err family_read(struct reading *r)
{
        const struct json_value *v = find(r, "family");
        uint64_t number;

        if (!v)
                return ERR_OK;
        if (json_get_uint64(v, &number) != ERR_OK || (number != 4 && number != 6))
                return refuse(r, "family", "must be 4 or 6");
        r->out->family = (uint8_t)number;
        return ERR_OK;
}

static enum err sender_read(struct reading *r)
{
        const struct json_value *source = find(r, "sourceAddress"), *agent = find(r, "agent"),
                                *tag = find(r, "tag");

        if (source && (!json_is(source, JSON_STRING) || ip_parse(source->text, &r->out->source) != ERR_OK))
                return refuse(r, "sourceAddress", "must be an IP address");
        if (agent && (!json_is(agent, JSON_STRING) || agent->text.len == 0 || agent->text.len > 128))
                return refuse(r, "agent", "must be an agent's name or id");
        if (tag && (!json_is(tag, JSON_STRING) || tag->text.len == 0 || tag->text.len > 63))
                return refuse(r, "tag", "must be a tag of agents (sekisho node tag)");
        if (agent)
                r->out->agent = agent->text;
        if (tag)
                r->out->tag = tag->text;
        return family_read(r);
}

static enum err redirects_read(struct reading *r)
{
        const struct json_value *v = find(r, "followRedirects");
        uint64_t number;

        if (json_is(v, JSON_BOOL)) {
                r->out->redirects_max = v->boolean ? DISPATCH_REDIRECTS_MAX : 0;
                return ERR_OK;
        }
        if (v && (json_get_uint64(v, &number) != ERR_OK || number > DISPATCH_REDIRECTS_MAX))
                return refuse(r, "followRedirects", "must be true, false, or a number up to 10");
        r->out->redirects_max = v ? (unsigned)number : 0;
        return ERR_OK;
}

enum err dispatch_ask_read(const struct json_value *request, const struct json_value *defaults,
                           struct arena *a, struct dispatch_ask *out, struct buf *problem)
{
        struct reading r = { request, defaults, a, out, problem };
        struct http_head head = { .fields = ARENA_ARRAY(a, struct http_field, DISPATCH_FIELDS_MAX),
                                  .fields_max = DISPATCH_FIELDS_MAX };
        enum err e;

        *out = (struct dispatch_ask){ 0 };
        if (!head.fields)
                return ERR_NO_MEMORY;
        if ((e = members_check(&r, request)) != ERR_OK || (e = members_check(&r, defaults)) != ERR_OK ||
            (e = url_read(&r)) != ERR_OK || (e = method_read(&r)) != ERR_OK ||
            (e = fields_read(&r, &head)) != ERR_OK || (e = body_read(&r, &head)) != ERR_OK ||
            (e = timeout_read(&r)) != ERR_OK || (e = sender_read(&r)) != ERR_OK ||
            (e = redirects_read(&r)) != ERR_OK)
                return e;
        out->fields = head.fields;
        out->fields_count = head.fields_count;
        return ERR_OK;
}
