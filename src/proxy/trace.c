#include "proxy/trace.h"

#include <string.h>

#include "base/hash.h"
#include "proxy/route.h"
#include "proxy/worker.h"

enum { TRACE_FIELD_COPIES_MAX = 8 };

/* A number that no other call of any worker gives. */
static uint64_t number_new(struct worker *w)
{
        uint64_t seed[4] = { w->shared->start_random, w->index, w->ids_count++, 0x7472616365 };

        return hash_str(w->shared->hash_key, (struct str){ (const char *)seed, sizeof(seed) });
}

static void id_make(struct worker *w, uint8_t *out, size_t bytes)
{
        for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
                uint64_t number = number_new(w);

                memcpy(out + i, &number, MIN(sizeof(number), bytes - i));
        }
        out[bytes - 1] |= 1; /* an id of zeros is none */
}

static void trace_new(struct exchange *x, struct trace *t)
{
        uint32_t one_in = x->snap->trace.one_in;

        id_make(x->w, t->own.trace_id, sizeof(t->own.trace_id));
        t->own.is_sampled = one_in && number_new(x->w) % one_in == 0;
}

/* All tracestate fields as one; empty when there is none, or when they are not valid as a whole. */
static struct str state_of(struct exchange *x)
{
        struct str parts[2 * TRACE_FIELD_COPIES_MAX], joined;
        const struct http_field *f = http_find_name(&x->request, STR("tracestate"));
        size_t count = 0;

        for (; f; f = http_find_next(&x->request, f)) {
                if (count == ARRAY_SIZE(parts))
                        return STR_NULL;
                parts[count] = count ? STR(",") : STR("");
                parts[count + 1] = f->value;
                count += 2;
        }
        if (count == 0)
                return STR_NULL;
        joined = arena_join(&x->arena, parts, count);
        return joined.ptr && trace_state_check(joined) == ERR_OK ? joined : STR_NULL;
}

/* True when the client's trace goes on. */
static bool trace_take_over(struct exchange *x, struct trace *t)
{
        const struct http_field *f = http_find_name(&x->request, STR("traceparent"));

        if (!f || http_find_next(&x->request, f) || trace_parent_parse(f->value, &t->own) != ERR_OK)
                return false;
        memcpy(t->parent_span_id, t->own.span_id, sizeof(t->parent_span_id));
        t->has_parent = true;
        return true;
}

enum err trace_begin(struct exchange *x)
{
        struct trace_parent up;
        struct str state = STR_NULL;
        char *text;
        enum err e;

        if (!x->snap->trace.is_on || x->route->is_quiet) /* a scrape a second would be all that is seen */
                return ERR_OK;
        if (!(x->trace = ARENA_NEW(&x->arena, struct trace)) ||
            !(text = arena_alloc(&x->arena, TRACE_PARENT_LEN + 1, 1)))
                return ERR_NO_MEMORY;
        *x->trace = (struct trace){ .has_parent = false };
        if (x->route->trusts_trace && trace_take_over(x, x->trace))
                state = state_of(x);
        else
                trace_new(x, x->trace);
        id_make(x->w, x->trace->own.span_id, TRACE_SPAN_ID_BYTES);
        id_make(x->w, x->trace->up_span_id, TRACE_SPAN_ID_BYTES);
        up = x->trace->own;
        memcpy(up.span_id, x->trace->up_span_id, sizeof(up.span_id));
        http_remove_name(&x->request, STR("tracestate"));
        if ((e = http_replace(&x->request, STR("traceparent"), trace_parent_format(&up, text))) != ERR_OK)
                return e;
        return state.len ? http_add(&x->request, STR("tracestate"), state) : ERR_OK;
}

struct str trace_id_text(const uint8_t *id, size_t bytes, char out[TRACE_ID_TEXT_MAX])
{
        static const char digits[] = "0123456789abcdef";

        bytes = MIN(bytes, (size_t)TRACE_ID_BYTES);
        for (size_t i = 0; i < bytes; i++) {
                out[2 * i] = digits[id[i] >> 4];
                out[2 * i + 1] = digits[id[i] & 15];
        }
        out[2 * bytes] = '\0';
        return (struct str){ out, 2 * bytes };
}
