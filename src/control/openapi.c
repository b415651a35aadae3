#include "control/openapi.h"

#include <stdio.h>
#include <string.h>

#include "control/dispatch.h"
#include "control/routes.h"
#include "control/version.h"
#include "proxy/reply.h"

enum { PAGE_BYTES_MAX = 4 << 20 };

static const char *method_of(const struct api_route *r)
{
        switch (r->method) {
        case HTTP_GET: return "get";
        case HTTP_POST: return "post";
        case HTTP_PATCH: return "patch";
        case HTTP_DELETE: return "delete";
        default: return "put";
        }
}

/* One of JSON, as requests and answers have it: its schema is the next value. */
static void content_begin(struct json_writer *w)
{
        json_write_member_object_begin(w, STR("content"));
        json_write_member_object_begin(w, STR("application/json"));
        json_write_key(w, STR("schema"));
}

static void content_end(struct json_writer *w)
{
        json_write_object_end(w);
        json_write_object_end(w);
}

/* A page of a list: what stands in it is the next value. */
static void page_begin(struct json_writer *w)
{
        json_write_object_begin(w);
        json_write_member_str(w, STR("type"), STR("object"));
        json_write_member_object_begin(w, STR("properties"));
        json_write_member_object_begin(w, STR("items"));
        json_write_member_str(w, STR("type"), STR("array"));
        json_write_key(w, STR("items"));
}

static void page_end(struct json_writer *w)
{
        json_write_object_end(w);
        json_write_member_object_begin(w, STR("next"));
        json_write_member_raw(w, STR("type"), STR("[\"string\",\"null\"]"));
        json_write_object_end(w);
        json_write_object_end(w);
        json_write_object_end(w);
}

static void json_content(const struct schema *s, unsigned flags, bool is_list, struct json_writer *w)
{
        content_begin(w);
        if (is_list)
                page_begin(w);
        schema_describe(s, flags, w);
        if (is_list)
                page_end(w);
        content_end(w);
}

static void parameter(struct json_writer *w, struct str name, const char *in, const char *doc,
                      bool is_required)
{
        json_write_object_begin(w);
        json_write_member_str(w, STR("name"), name);
        json_write_member_str(w, STR("in"), str_of(in));
        json_write_member_bool(w, STR("required"), is_required);
        json_write_member_str(w, STR("description"), str_of(doc));
        json_write_member_object_begin(w, STR("schema"));
        json_write_member_str(w, STR("type"), STR("string"));
        json_write_object_end(w);
        json_write_object_end(w);
}

static void parameters(const struct api_route *r, struct json_writer *w)
{
        struct str rest = str_of(r->path), part;

        json_write_member_array_begin(w, STR("parameters"));
        while (str_split(&rest, '/', &part))
                if (part.len > 2 && part.ptr[0] == '{')
                        parameter(w, str_sub(part, 1, part.len - 2), "path", "the object's id", true);
        for (const struct api_parameter *q = r->query; q && q->name; q++)
                parameter(w, str_of(q->name), "query", q->doc, false);
        if (r->method == HTTP_POST && !(r->flags & (API_PUBLIC | API_READS)))
                parameter(w, STR("Idempotency-Key"), "header",
                          "the same request with the same key is done once, within a day", false);
        if (r->method == HTTP_PATCH || r->method == HTTP_DELETE)
                parameter(w, STR("If-Match"), "header", "the ETag it must still have; else 412", false);
        json_write_array_end(w);
}

static void error_response(struct json_writer *w)
{
        json_write_member_object_begin(w, STR("default"));
        json_write_member_str(w, STR("description"), STR("What is wrong."));
        content_begin(w);
        json_write_raw(w, STR("{\"$ref\":\"#/components/schemas/Error\"}"));
        content_end(w);
        json_write_object_end(w);
}

static void responses(const struct api_route *r, struct json_writer *w)
{
        char status[4] = { (char)('0' + r->status / 100), (char)('0' + r->status / 10 % 10),
                           (char)('0' + r->status % 10), 0 };

        json_write_member_object_begin(w, STR("responses"));
        json_write_member_object_begin(w, str_of(status));
        json_write_member_str(w, STR("description"), str_of(r->doc));
        if (r->answer)
                json_content(r->answer, SCHEMA_OUT, r->flags & API_LIST, w);
        json_write_object_end(w);
        error_response(w);
        json_write_object_end(w);
}

static const struct {
        unsigned bit;
        struct str word, doc;
} scopes_known[] = {
#define X(name, bit, word, doc) { bit, STR_INIT(word), STR_INIT(doc) },
        IDENTITY_SCOPE_LIST(X)
#undef X
};

static void security(const struct api_route *r, struct json_writer *w)
{
        json_write_member_array_begin(w, STR("security"));
        if (!(r->flags & API_PUBLIC)) {
                json_write_object_begin(w);
                json_write_member_array_begin(w, STR("key"));
                json_write_array_end(w);
                json_write_object_end(w);
        }
        json_write_array_end(w);
        json_write_member_array_begin(w, STR("x-sekisho-scopes"));
        for (size_t i = 0; i < ARRAY_SIZE(scopes_known); i++)
                if (r->scopes & scopes_known[i].bit)
                        json_write_str(w, scopes_known[i].word);
        if (r->scopes && !(r->scopes & IDENTITY_ADMIN))
                json_write_str(w, STR("admin"));
        json_write_array_end(w);
}

static void operation(const struct api_route *r, struct json_writer *w)
{
        json_write_member_object_begin(w, str_of(method_of(r)));
        json_write_member_array_begin(w, STR("tags"));
        json_write_str(w, str_of(r->tag));
        json_write_array_end(w);
        json_write_member_str(w, STR("summary"), str_of(r->doc));
        parameters(r, w);
        if (r->request) {
                json_write_member_object_begin(w, STR("requestBody"));
                json_write_member_bool(w, STR("required"), true);
                json_content(r->request, r->request_flags, false, w);
                json_write_object_end(w);
        }
        responses(r, w);
        security(r, w);
        json_write_object_end(w);
}

static bool is_first_of_path(const struct api_route *table, size_t i)
{
        for (size_t j = 0; j < i; j++)
                if (strcmp(table[j].path, table[i].path) == 0)
                        return false;
        return !(table[i].flags & API_HIDDEN);
}

/* What does not stand below /api/v1 says so: its name is the whole path. */
static void paths_of(const struct api_route *table, size_t count, struct json_writer *w)
{
        char name[128];

        for (size_t i = 0; i < count; i++) {
                if (!is_first_of_path(table, i))
                        continue;
                snprintf(name, sizeof(name), "%s%s", table[i].base ? table[i].base : "", table[i].path);
                json_write_member_object_begin(w, str_of(name));
                if (table[i].base)
                        json_write_member_raw(w, STR("servers"), STR("[{\"url\":\"/\"}]"));
                for (size_t j = i; j < count; j++)
                        if (strcmp(table[j].path, table[i].path) == 0)
                                operation(&table[j], w);
                json_write_object_end(w);
        }
}

static void paths(struct json_writer *w)
{
        json_write_member_object_begin(w, STR("paths"));
        paths_of(api_table, api_table_count, w);
        paths_of(dispatch_table, dispatch_table_count, w);
        json_write_object_end(w);
}

static void components(struct json_writer *w)
{
        json_write_member_object_begin(w, STR("components"));
        json_write_member_raw(
                w, STR("securitySchemes"),
                STR("{\"key\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":\"An API key, skapi-…\"}}"));
        json_write_member_raw(
                w, STR("schemas"),
                STR("{\"Error\":{\"type\":\"object\",\"properties\":{\"error\":{\"type\":\"object\",\"properties\":{"
                    "\"type\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"},\"request_id\":{\"type\":\"string\"}}}}}}"));
        json_write_object_end(w);
}

void openapi_write(struct buf *out, unsigned indent)
{
        struct json_writer w;

        json_writer_init(&w, out, indent);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("openapi"), STR("3.1.0"));
        json_write_member_object_begin(&w, STR("info"));
        json_write_member_str(&w, STR("title"), STR("Sekisho control"));
        json_write_member_str(&w, STR("version"), STR(SEKISHO_VERSION));
        json_write_member_str(
                &w, STR("description"),
                STR("Generated from the table that serves it (src/control/routes.c). An object with an ETag takes "
                    "If-Match; unknown members are refused."));
        json_write_object_end(&w);
        json_write_member_raw(&w, STR("servers"), STR("[{\"url\":\"/api/v1\"}]"));
        paths(&w);
        components(&w);
        json_write_object_end(&w);
        json_writer_finish(&w);
        buf_add_char(out, '\n');
}

static enum step_result openapi_pick(struct exchange *x)
{
        static const struct reply_field fields[] = { { STR_INIT("Content-Type"),
                                                       STR_INIT("application/json") } };
        struct buf body;

        buf_init(&body, PAGE_BYTES_MAX);
        openapi_write(&body, JSON_COMPACT);
        reply_take(x, 200, fields, ARRAY_SIZE(fields), &body);
        return STEP_DONE;
}

const struct handler openapi_handler = { .name = "openapi", .pick = openapi_pick };
