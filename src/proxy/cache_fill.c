#include "proxy/cache_fill.h"

/* Of the connection it came by, or made anew for each answer. */
static bool field_is_kept(const struct http_field *f)
{
        switch (f->id) {
        case HTTP_FIELD_CONNECTION:
        case HTTP_FIELD_CONTENT_LENGTH:
        case HTTP_FIELD_KEEP_ALIVE:
        case HTTP_FIELD_TE:
        case HTTP_FIELD_TRAILER:
        case HTTP_FIELD_TRANSFER_ENCODING:
        case HTTP_FIELD_UPGRADE:
        case HTTP_FIELD_ALT_SVC:
        case HTTP_FIELD_PROXY_AUTHENTICATE:
        case HTTP_FIELD_PROXY_CONNECTION: return false;
        default:
                return !f->is_removed && !str_eq_nocase(f->name, STR("Age")) &&
                       !str_eq_nocase(f->name, STR("Set-Cookie"));
        }
}

static bool head_copy(const struct http_head *from, struct http_head *to, size_t more, struct arena *a)
{
        *to = (struct http_head){ .status = from->status,
                                  .fields = ARENA_ARRAY(a, struct http_field, from->fields_count + more),
                                  .fields_max = (uint16_t)(from->fields_count + more) };
        for (size_t i = 0; to->fields && i < from->fields_count; i++)
                if (field_is_kept(&from->fields[i]) &&
                    http_add(to, arena_copy(a, from->fields[i].name), arena_copy(a, from->fields[i].value)) !=
                            ERR_OK)
                        return false;
        return to->fields && !a->full;
}

static const char *draft_make(struct cache_draft *d, const struct cache_question *q,
                              const struct http_head *answer, struct arena *a)
{
        struct buf vary;
        const char *word = cache_judge(q->request, q->has_credentials, answer, q->asked, q->now, &d->age);

        if (word)
                return word;
        buf_init(&vary, CACHE_VARY_BYTES_MAX * 2);
        if (cache_vary_make(q->request, answer, &vary) == ERR_OK)
                d->vary = arena_copy(a, vary.len ? buf_str(&vary) : STR(""));
        else
                word = "vary";
        buf_fini(&vary);
        d->key = q->key;
        d->status = answer->status;
        d->answered = q->now;
        return word;
}

const char *cache_fill_begin(struct cache_fill *f, const struct cache_question *q,
                             const struct http_head *answer, struct arena *a)
{
        const char *word;

        *f = (struct cache_fill){ .store = q->store, .bytes_max = q->body_bytes_max, .promised = UINT64_MAX };
        if ((word = draft_make(&f->draft, q, answer, a)))
                return word;
        if (answer->framing == HTTP_BODY_LENGTH)
                f->promised = answer->content_length;
        if (f->promised != UINT64_MAX && f->promised > f->bytes_max)
                return "size";
        if (!head_copy(answer, &f->head, 0, a))
                return "memory";
        f->draft.head = &f->head;
        buf_init(&f->body, f->bytes_max);
        f->is_open = true;
        return NULL;
}

void cache_fill_drop(struct cache_fill *f)
{
        if (f->store && f->reserved)
                cache_unreserve(f->store, f->reserved);
        if (f->is_open)
                buf_fini(&f->body);
        f->is_open = false;
        f->reserved = 0;
}

bool cache_fill_data(struct cache_fill *f, const struct side_data *d)
{
        size_t len = side_data_len(d);
        bool is_whole;

        if (!f->is_open)
                return false;
        if (len > f->bytes_max - f->body.len || !cache_reserve(f->store, len)) {
                cache_fill_drop(f);
                return false;
        }
        f->reserved += len;
        for (size_t i = 0; i < d->slices_count; i++)
                buf_add(&f->body, d->slices[i]);
        is_whole = !f->body.full && (f->promised == UINT64_MAX || f->body.len == f->promised);
        if (!d->is_last && !f->body.full)
                return true;
        if (is_whole && d->is_last && d->trailers_count == 0) {
                cache_unreserve(f->store, f->reserved);
                f->reserved = 0;
                f->draft.body = buf_str(&f->body);
                is_whole = cache_add(f->store, &f->draft) != NULL;
        } else {
                is_whole = false;
        }
        cache_fill_drop(f);
        return is_whole;
}

struct cache_entry *cache_freshen(const struct cache_question *q, const struct cache_entry *old,
                                  const struct http_head *not_modified, struct arena *a)
{
        struct http_head kept = { .status = old->status,
                                  .fields = old->fields,
                                  .fields_count = old->fields_count },
                         merged;
        struct cache_draft d = { 0 };

        if (!head_copy(&kept, &merged, not_modified->fields_count, a))
                return NULL;
        for (size_t i = 0; i < not_modified->fields_count;
             i++) { /* what it says is in place of what was kept */
                const struct http_field *f = &not_modified->fields[i];

                if (field_is_kept(f) && f->id != HTTP_FIELD_CONTENT_ENCODING &&
                    f->id != HTTP_FIELD_CONTENT_TYPE)
                        http_remove_name(&merged, f->name);
        }
        for (size_t i = 0; i < not_modified->fields_count; i++) {
                const struct http_field *f = &not_modified->fields[i];

                if (field_is_kept(f) && f->id != HTTP_FIELD_CONTENT_ENCODING &&
                    f->id != HTTP_FIELD_CONTENT_TYPE &&
                    http_add(&merged, arena_copy(a, f->name), arena_copy(a, f->value)) != ERR_OK)
                        return NULL;
        }
        merged.status = old->status;
        if (a->full || draft_make(&d, q, &merged, a))
                return NULL;
        d.head = &merged;
        d.body = old->body;
        return cache_add(q->store, &d);
}
