/* What a route's `run` reads of its call and says to it, in the store's thread. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "control/api.h"
#include "control/control_priv.h"
#include "proxy/reply.h"
#include "json/reader.h"

enum err api_fail(struct api_call *c, uint16_t status, const char *type, const char *format, ...)
{
        va_list args;

        c->has_failed = true;
        c->status = status;
        snprintf(c->error_type, sizeof(c->error_type), "%s", type ? type : reply_error_type(status));
        va_start(args, format);
        vsnprintf(c->message, sizeof(c->message), format, args);
        va_end(args);
        return ERR_DENIED;
}

enum err api_store_failed(struct api_call *c, enum err e, const char *what)
{
        switch (e) {
        case ERR_NOT_FOUND: return api_fail(c, 404, NULL, "There is no such %s.", what);
        case ERR_EXISTS:
                return api_fail(c, 409, NULL, "There is another %s of that name, or others refer to it.",
                                what);
        case ERR_STALE:
                return api_fail(c, 412, NULL,
                                "The %s was changed meanwhile. Read it again and repeat the change.", what);
        case ERR_MALFORMED: return api_fail(c, 400, NULL, "The %s has text that cannot be stored.", what);
        default: return e; /* call_done says it */
        }
}

enum err api_param_id(struct api_call *c, unsigned number, const char *prefix, int64_t *row)
{
        if (id_parse(c->control->secrets.id_key, prefix, c->params[number], row) == ERR_OK)
                return ERR_OK;
        return api_fail(c, 404, NULL, "There is nothing with the id \"%.*s\".",
                        STR_FMT(str_sub(c->params[number], 0, 64)));
}

static struct str percent_decode(struct arena *a, struct str s)
{
        char *out = arena_alloc(a, s.len + 1, 1);
        size_t n = 0;

        for (size_t i = 0; out && i < s.len; i++) {
                if (s.ptr[i] == '%' && i + 2 < s.len && ascii_hex(s.ptr[i + 1]) >= 0 &&
                    ascii_hex(s.ptr[i + 2]) >= 0) {
                        out[n++] = (char)(ascii_hex(s.ptr[i + 1]) << 4 | ascii_hex(s.ptr[i + 2]));
                        i += 2;
                } else {
                        out[n++] = s.ptr[i] == '+' ? ' ' : s.ptr[i];
                }
        }
        return out ? (struct str){ out, n } : STR_NULL;
}

struct str api_query(struct api_call *c, const char *name)
{
        struct str rest = c->query, part;

        while (c->query.len && str_split(&rest, '&', &part)) {
                size_t eq = str_find_char(part, '=');

                if (str_eq(str_sub(part, 0, eq), str_of(name)))
                        return percent_decode(&c->work, eq == STR_NONE ? STR("") : str_from(part, eq + 1));
        }
        return STR("");
}

enum err api_body(struct api_call *c, void *out, uint64_t *given)
{
        static const struct json_options options = { .nul_refused = true,
                                                     .bytes_max = API_BODY_MAX,
                                                     .depth_max = 16 };
        const struct json_value *root;
        struct report report;
        struct buf problem;
        enum err e;

        report_init(&report, STR(""));
        buf_init(&problem, 1024);
        e = json_read(&c->work, c->body, &options, &report, &root);
        if (e != ERR_OK && e != ERR_NO_MEMORY)
                e = api_fail(c, 400, NULL, "The body is no JSON: line %u: %.*s",
                             report.entries_count ? report.entries[0].line : 0,
                             STR_FMT(report.entries_count ? report.entries[0].text : STR("too large")));
        else if (e == ERR_OK && (e = schema_read(c->route->request, c->route->request_flags, root, &c->work,
                                                 out, given, &problem)) == ERR_MALFORMED)
                e = api_fail(c, 400, NULL, "The body: %.*s.", STR_FMT(buf_str(&problem)));
        buf_fini(&problem);
        report_fini(&report);
        return e;
}

enum err api_expected(struct api_call *c, int64_t *revision)
{
        struct str text = c->if_match;
        uint64_t number;

        *revision = 0;
        if (text.len == 0 || str_eq(text, STR("*")))
                return ERR_OK;
        if (text.len > 3 && str_has_prefix(text, STR("\"r")) && text.ptr[text.len - 1] == '"' &&
            units_parse_u64(str_sub(text, 2, text.len - 3), INT64_MAX, &number) == ERR_OK && number) {
                *revision = (int64_t)number;
                return ERR_OK;
        }
        return api_fail(c, 412, NULL, "If-Match is no ETag of this object. Send the one of its last answer.");
}

enum err api_answer(struct api_call *c, const struct schema *s, const void *in, int64_t revision)
{
        struct json_writer w;

        buf_clear(&c->answer);
        json_writer_init(&w, &c->answer, JSON_COMPACT);
        schema_write(s, in, c->route->flags & API_SECRET, &w);
        json_writer_finish(&w);
        buf_add_char(&c->answer, '\n');
        c->status = c->route->status;
        if (revision)
                snprintf(c->etag, sizeof(c->etag), "\"r%" PRId64 "\"", revision);
        return c->answer.full ? ERR_NO_MEMORY : ERR_OK;
}

enum err api_created(struct api_call *c, const struct schema *s, const void *in, int64_t revision,
                     const char *path, struct str id)
{
        c->location = arena_format(&c->work, "/api/v1/%s/%.*s", path, STR_FMT(id));
        return api_answer(c, s, in, revision);
}

enum err api_nothing(struct api_call *c)
{
        buf_clear(&c->answer);
        c->status = 204;
        return ERR_OK;
}

enum err api_page(struct api_call *c, int64_t org, struct store_page *page)
{
        struct str after = api_query(c, "after"), limit = api_query(c, "limit");
        uint64_t number = API_PAGE_DEFAULT;

        *page = (struct store_page){ .org = org };
        if (after.len && store_cursor_parse(after, &page->after) != ERR_OK)
                return api_fail(c, 400, NULL, "\"after\" must be the \"next\" of the page before.");
        if (limit.len && (units_parse_u64(limit, STORE_PAGE_MAX, &number) != ERR_OK || number == 0))
                return api_fail(c, 400, NULL, "\"limit\" must be a number from 1 to %d.", STORE_PAGE_MAX);
        page->limit = (unsigned)number;
        return ERR_OK;
}

void api_page_begin(struct api_pager *p, struct api_call *c)
{
        p->c = c;
        buf_clear(&c->answer);
        json_writer_init(&p->w, &c->answer, JSON_COMPACT);
        json_write_object_begin(&p->w);
        json_write_key(&p->w, STR("items"));
        json_write_array_begin(&p->w);
}

void api_page_add(struct api_pager *p, const struct schema *s, const void *in)
{
        schema_write(s, in, false, &p->w);
}

enum err api_page_end(struct api_pager *p, const struct store_page *page, int64_t last)
{
        char text[STORE_CURSOR_BYTES];

        json_write_array_end(&p->w);
        if (page && page->has_more)
                json_write_member_str(&p->w, STR("next"), store_cursor_format(last, text));
        else
                json_write_member_null(&p->w, STR("next"));
        json_write_object_end(&p->w);
        json_writer_finish(&p->w);
        buf_add_char(&p->c->answer, '\n');
        p->c->status = p->c->route->status;
        return p->c->answer.full ? ERR_NO_MEMORY : ERR_OK;
}
