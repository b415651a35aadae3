#include "proxy/reply.h"

#include <assert.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/escape.h"
#include "http/status.h"
#include "proxy/route.h"
#include "proxy/worker.h"

enum { ERROR_BODY_BYTES_MAX = 4096, PAGE_BYTES_MAX = 512 * 1024, REPLY_FIELDS_MAX = 24 };

/* Lives in the exchange's arena. */
struct reply {
        struct side side;
        struct str body;
        size_t given;
        struct buf owned; /* where the body is ours to free */
};

/* What a refusal of ours will carry; in the arena, newest first. */
struct exchange_note {
        struct exchange_note *next;
        struct reply_field field;
};

static void op_pull(struct side *s)
{
        struct reply *r = (struct reply *)s;
        struct str rest = str_from(r->body, r->given);
        struct side_data d = { &rest, rest.len ? 1 : 0, true, NULL, 0 };

        r->given += exchange_answer_data(s->x, &d);
}

/* A request's body is not wanted: what comes is passed over. */
static size_t op_data(struct side *s, const struct side_data *d)
{
        return side_data_len(d);
}

static void op_head(struct side *s, struct http_head *head) {}
static void op_flush(struct side *s) {}
static void op_release(struct side *s)
{
        buf_fini(&((struct reply *)s)->owned);
}

static void op_reset(struct side *s, enum err reason)
{
        op_release(s);
}

static const struct side_ops reply_ops = {
        .name = "reply",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
};

void reply_events_begin(struct exchange *x)
{
        struct http_field fields[REPLY_FIELDS_MAX];
        struct http_head head = { .status = 200,
                                  .reason = STR("OK"),
                                  .version_minor = 1,
                                  .framing = HTTP_BODY_CHUNKED,
                                  .keeps_alive = true,
                                  .fields = fields,
                                  .fields_max = ARRAY_SIZE(fields) };

        enum err e = http_add(&head, STR("Content-Type"), STR("text/event-stream"));
        if (e == ERR_OK)
                e = http_add(&head, STR("Cache-Control"), STR("no-store"));
        assert(e == ERR_OK); /* there is room for two */
        exchange_answer_head(x, &head);
}

void reply_will_have(struct exchange *x, const char *name, struct str value)
{
        struct exchange_note *note = ARENA_NEW(&x->arena, struct exchange_note);

        if (!note)
                return;
        note->field = (struct reply_field){ str_of(name), value };
        note->next = x->notes;
        x->notes = note;
}

static enum err head_fill(struct exchange *x, struct http_head *head, const struct reply_field *fields,
                          size_t fields_count, struct str body)
{
        char date[HTTP_DATE_TEXT_MAX];
        struct str now = arena_copy(&x->arena, http_date_format(loop_wall(x->w->loop), date));
        enum err e = http_add(head, STR("Date"), now);

        for (size_t i = 0; e == ERR_OK && i < fields_count; i++)
                e = http_add(head, fields[i].name, fields[i].value);
        for (const struct exchange_note *n = x->notes; e == ERR_OK && n; n = n->next)
                e = http_add(head, n->field.name, n->field.value);
        if (e == ERR_OK && head->status != 204 && head->status != 304)
                e = http_add(head, STR("Content-Length"), arena_format(&x->arena, "%zu", body.len));
        return e;
}

static void start(struct exchange *x, uint16_t status, const struct reply_field *fields, size_t fields_count,
                  struct str body, struct buf *owned)
{
        struct reply *r = ARENA_NEW(&x->arena, struct reply);
        struct http_field *array = ARENA_ARRAY(&x->arena, struct http_field, REPLY_FIELDS_MAX);
        struct http_head head = { .status = status,
                                  .reason = http_status_reason(status),
                                  .version_minor = 1,
                                  .framing = HTTP_BODY_LENGTH,
                                  .content_length = body.len,
                                  .keeps_alive = true,
                                  .fields = array,
                                  .fields_max = REPLY_FIELDS_MAX };

        if (!r || !array || head_fill(x, &head, fields, fields_count, body) != ERR_OK) {
                if (owned)
                        buf_fini(owned);
                exchange_abort(
                        x); /* not even memory for an error: the client sees a reset, never a false answer */
                return;
        }
        r->side.ops = &reply_ops;
        r->side.x = x;
        r->body = body;
        if (owned)
                r->owned = *owned;
        x->up = &r->side;
        exchange_answer_head(x, &head);
        op_pull(&r->side);
}

void reply_start(struct exchange *x, uint16_t status, const struct reply_field *fields, size_t fields_count,
                 struct str body)
{
        start(x, status, fields, fields_count, body, NULL);
}

void reply_take(struct exchange *x, uint16_t status, const struct reply_field *fields, size_t fields_count,
                struct buf *body)
{
        start(x, status, fields, fields_count, buf_str(body), body);
        buf_init(body, 0);
}

const char *reply_error_type(uint16_t status)
{
        switch (status) {
        case 400: return "bad_request";
        case 401: return "unauthorized";
        case 403: return "forbidden";
        case 404: return "not_found";
        case 405: return "method_not_allowed";
        case 408: return "request_timeout";
        case 409: return "conflict";
        case 412: return "precondition_failed";
        case 413: return "too_large";
        case 414: return "target_too_long";
        case 415: return "unsupported_media_type";
        case 417: return "expectation_failed";
        case 421: return "misdirected_request";
        case 422: return "invalid";
        case 426: return "upgrade_required";
        case 429: return "rate_limited";
        case 431: return "fields_too_large";
        case 500: return "internal";
        case 501: return "not_supported";
        case 502: return "bad_gateway";
        case 503: return "unavailable";
        case 504: return "gateway_timeout";
        case 505: return "version_not_supported";
        case 507: return "insufficient_storage";
        default: return "error";
        }
}

static void error_format(struct exchange *x, uint16_t status, const char *message, struct buf *out)
{
        const char *type = reply_error_type(status);

        if (x->route && x->route->handler && x->route->handler->format_error) {
                x->route->handler->format_error(x, status, type, message, out);
                return;
        }
        buf_addf(out, "{\"error\":{\"type\":\"%s\",\"message\":\"", type);
        escape_json(out, str_of(message));
        buf_addf(out, "\",\"request_id\":\"%s\"}}\n", x->id);
}

static bool wants_page(const struct exchange *x)
{
        return !x->is_internal && !(x->route && x->route->handler && x->route->handler->format_error) &&
               error_page_is_wanted(&x->request);
}

/* A page of the operator's may load what it likes; ours needs nothing, and nothing that slipped into it could run. */
static void page_reply(struct exchange *x, uint16_t status, const char *message)
{
        const struct http_field *host = http_find(&x->request, HTTP_FIELD_HOST);
        const struct error_page *page = error_page_find(&x->snap->pages, status);
        struct error_page_facts facts = { .status = status,
                                          .message = message,
                                          .request_id = x->id,
                                          .host = host ? host->value : STR_NULL,
                                          .path = x->target.path };
        struct reply_field fields[] = {
                { STR("Content-Type"), STR("text/html; charset=utf-8") },
                { STR("Cache-Control"), STR("no-store") },
                { STR("X-Content-Type-Options"), STR("nosniff") },
                { STR("Content-Security-Policy"), STR("default-src 'none'; style-src 'unsafe-inline'") },
        };
        struct buf body;

        buf_init(&body, PAGE_BYTES_MAX);
        error_page_format(page, &facts, &body);
        reply_take(x, status, fields, ARRAY_SIZE(fields) - (page ? 1 : 0), &body);
}

void reply_error(struct exchange *x, uint16_t status, const char *message)
{
        struct reply_field fields[] = { { STR("Content-Type"), STR("application/json") },
                                        { STR("Cache-Control"), STR("no-store") } };
        struct buf text;

        if (wants_page(x)) {
                page_reply(x, status, message);
                return;
        }
        buf_init(&text, ERROR_BODY_BYTES_MAX);
        error_format(x, status, message, &text);
        struct str body = arena_copy(&x->arena, buf_str(&text));
        buf_fini(&text);
        reply_start(x, status, fields, ARRAY_SIZE(fields), body);
}

static enum step_result reply_pick(struct exchange *x)
{
        const struct reply_conf *conf = x->route->handler_conf;
        struct reply_field type = { STR("Content-Type"), conf->content_type };

        reply_start(x, conf->status, &type, conf->content_type.len ? 1 : 0, conf->body);
        return STEP_DONE;
}

const struct handler reply_handler = { .name = "respond", .pick = reply_pick };

/* `template` with {path}, {query} (with its "?") and {host} put in. */
static struct str fill_in(struct exchange *x, struct str template)
{
        struct str query = x->target.query.len ? str_from(x->target.text, x->target.path.len) : STR("");
        struct {
                struct str name, value;
        } variables[] = { { STR("{path}"), x->target.path },
                          { STR("{query}"), query },
                          { STR("{host}"), x->target.authority.host } };
        struct str out = STR("");

        while (template.len) {
                size_t brace = MIN(str_find_char(template, '{'), template.len),
                       taken = MIN(template.len - brace, (size_t)1);
                struct str value = str_sub(template, brace, taken); /* an unknown name stands for itself */

                for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
                        if (str_has_prefix(str_from(template, brace), variables[i].name)) {
                                value = variables[i].value;
                                taken = variables[i].name.len;
                        }
                struct str parts[3] = { out, str_sub(template, 0, brace), value };
                out = arena_join(&x->arena, parts, 3);
                template = str_from(template, brace + taken);
        }
        return out;
}

static void redirect(struct exchange *x, uint16_t status, struct str to)
{
        struct reply_field location = { STR("Location"), to };

        reply_start(x, status, &location, 1, STR(""));
}

static enum step_result redirect_pick(struct exchange *x)
{
        const struct redirect_conf *conf = x->route->handler_conf;

        redirect(x, conf->status, fill_in(x, conf->to));
        return STEP_DONE;
}

const struct handler redirect_handler = { .name = "redirect", .pick = redirect_pick };

enum step_result reply_redirect_to_https(struct exchange *x, uint16_t https_port)
{
        struct http_refusal refusal;

        if (http_target_parse(&x->request, &x->arena, &x->target, &refusal) != ERR_OK)
                return exchange_refuse(x, refusal.status, refusal.reason,
                                       "The request's target or Host is not valid.");
        const struct http_authority *a = &x->target.authority;
        struct str port = https_port == 443 ? STR("") : arena_format(&x->arena, ":%u", https_port);
        struct str parts[] = { STR("https://"),
                               a->is_ipv6 ? STR("[") : STR(""),
                               a->host,
                               a->is_ipv6 ? STR("]") : STR(""),
                               port,
                               x->target.text };
        redirect(x, 308, arena_join(&x->arena, parts, ARRAY_SIZE(parts)));
        return STEP_DONE;
}
