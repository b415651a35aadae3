#include "llm/models_page.h"

#include "base/map.h"
#include "llm/catalogue.h"
#include "llm/dialect.h"
#include "proxy/reply.h"
#include "proxy/worker.h"
#include "json/writer.h"

enum { PAGE_BYTES_MAX = 8 << 20, SHOWN_MAX = 20000 };

/* A page being made: each name once, in the order of the configuration. */
struct page {
        struct exchange *x;
        struct json_writer *w;
        struct map shown;
        bool is_anthropic;
        struct str first, last;
        size_t count;
};

/* One in Ollama's form: what it would say of a file on its disk nobody here knows. */
static void tag_write(struct json_writer *w, struct str name)
{
        json_write_object_begin(w);
        json_write_member_str(w, STR("name"), name);
        json_write_member_str(w, STR("model"), name);
        json_write_member_str(w, STR("modified_at"), STR("2025-01-01T00:00:00Z"));
        json_write_member_uint(w, STR("size"), 0);
        json_write_member_str(w, STR("digest"), STR(""));
        json_write_key(w, STR("details"));
        json_write_object_begin(w);
        json_write_object_end(w);
        json_write_object_end(w);
}

static const char created[] = "2025-01-01T00:00:00Z"; /* no provider's list says it of an alias */
enum { CREATED_UNIX = 1735689600 };

static void model_write(struct json_writer *w, struct str name, struct str owner, bool is_anthropic)
{
        json_write_object_begin(w);
        if (is_anthropic) {
                json_write_key(w, STR("type"));
                json_write_str(w, STR("model"));
        }
        json_write_key(w, STR("id"));
        json_write_str(w, name);
        if (is_anthropic) {
                json_write_key(w, STR("display_name"));
                json_write_str(w, name);
                json_write_key(w, STR("created_at"));
                json_write_str(w, str_of(created));
        } else {
                json_write_key(w, STR("object"));
                json_write_str(w, STR("model"));
                json_write_key(w, STR("created"));
                json_write_int(w, CREATED_UNIX);
                json_write_key(w, STR("owned_by"));
                json_write_str(w, owner);
        }
        json_write_object_end(w);
}

static void show(void *context, struct str name, const struct provider *owner)
{
        struct page *p = context;

        if (!token_may_use_model(p->x->token, name) || map_add(&p->shown, name, p) != ERR_OK)
                return;
        model_write(p->w, name, owner->name, p->is_anthropic);
        if (p->count++ == 0)
                p->first = name;
        p->last = name;
}

/* What can be called in that form. */
static void tag_show(void *context, struct str name, const struct provider *owner)
{
        struct page *p = context;

        if (owner->listing.dialects & CONF_OLLAMA && token_may_use_model(p->x->token, name) &&
            map_add(&p->shown, name, p) == ERR_OK)
                tag_write(p->w, name);
}

static bool asks_anthropic(const struct exchange *x)
{
        return http_find_name(&x->request, STR("anthropic-version")) != NULL;
}

static enum step_result answer(struct exchange *x, struct buf *body)
{
        struct reply_field type = { STR("Content-Type"), STR("application/json") };

        if (body->full) {
                buf_fini(body);
                return exchange_refuse(x, 503, "memory", "The list does not fit in memory.");
        }
        reply_take(x, 200, &type, 1, body);
        return STEP_DONE;
}

static void tail_write(const struct page *p)
{
        if (!p->is_anthropic)
                return;
        json_write_key(p->w, STR("has_more"));
        json_write_bool(p->w, false);
        json_write_key(p->w, STR("first_id"));
        p->count ? json_write_str(p->w, p->first) : json_write_null(p->w);
        json_write_key(p->w, STR("last_id"));
        p->count ? json_write_str(p->w, p->last) : json_write_null(p->w);
}

static enum step_result list_pick(struct exchange *x)
{
        const struct catalogue *c = x->route->handler_conf;
        struct json_writer w;
        struct page p = { .x = x, .w = &w, .is_anthropic = asks_anthropic(x) };
        struct buf body;

        buf_init(&body, PAGE_BYTES_MAX);
        map_init(&p.shown, x->w->shared->hash_key, SHOWN_MAX);
        json_writer_init(&w, &body, JSON_COMPACT);
        json_write_object_begin(&w);
        if (!p.is_anthropic) {
                json_write_key(&w, STR("object"));
                json_write_str(&w, STR("list"));
        }
        json_write_key(&w, STR("data"));
        json_write_array_begin(&w);
        catalogue_each(c, show, &p);
        json_write_array_end(&w);
        tail_write(&p);
        json_write_object_end(&w);
        json_writer_finish(&w);
        map_fini(&p.shown);
        return answer(x, &body);
}

static enum step_result tags_pick(struct exchange *x)
{
        struct json_writer w;
        struct page p = { .x = x, .w = &w };
        struct buf body;

        buf_init(&body, PAGE_BYTES_MAX);
        map_init(&p.shown, x->w->shared->hash_key, SHOWN_MAX);
        json_writer_init(&w, &body, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_key(&w, STR("models"));
        json_write_array_begin(&w);
        catalogue_each(x->route->handler_conf, tag_show, &p);
        json_write_array_end(&w);
        json_write_object_end(&w);
        json_writer_finish(&w);
        map_fini(&p.shown);
        return answer(x, &body);
}

struct search {
        struct str name;
        const struct provider *owner;
};

static void look(void *context, struct str name, const struct provider *owner)
{
        struct search *s = context;

        if (!s->owner && str_eq(name, s->name))
                s->owner = owner;
}

static enum step_result one_pick(struct exchange *x)
{
        const struct catalogue *c = x->route->handler_conf;
        struct search s = { str_from(x->target.path, sizeof("/v1/models/") - 1), NULL };
        struct json_writer w;
        struct buf body;

        if (token_may_use_model(x->token, s.name))
                catalogue_each(c, look, &s);
        if (!s.owner)
                return exchange_refuse(x, 404, "model_not_found",
                                       "This model does not exist here, or this token may not use it.");
        buf_init(&body, PAGE_BYTES_MAX);
        json_writer_init(&w, &body, JSON_COMPACT);
        model_write(&w, s.name, s.owner->name, asks_anthropic(x));
        json_writer_finish(&w);
        return answer(x, &body);
}

static void format_error(struct exchange *x, uint16_t status, const char *type, const char *message,
                         struct buf *out)
{
        if (asks_anthropic(x))
                dialect_anthropic_error(x, status, type, message, out);
        else
                dialect_openai_error(x, status, type, message, out);
}

const struct handler models_list_handler = { .name = "models",
                                             .pick = list_pick,
                                             .format_error = format_error };
const struct handler models_one_handler = { .name = "model", .pick = one_pick, .format_error = format_error };
const struct handler models_tags_handler = { .name = "tags",
                                             .pick = tags_pick,
                                             .format_error = dialect_ollama_error };
