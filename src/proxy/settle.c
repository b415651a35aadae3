#include "proxy/settle.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/caller.h"
#include "proxy/forward.h"
#include "proxy/pace.h"
#include "proxy/trace.h"
#include "proxy/worker.h"

enum { WORD_BYTES_MAX = 512 };

struct settled {
        struct exchange_origin origin;
        struct http_field fields[]; /* as many as there are; a trace and the words behind them */
};

static bool may_settle(const struct exchange *x)
{
        return x->is_tunnel && x->answer_started && !x->settled && !x->is_ended && x->filters_count == 0 &&
               x->route && x->route->handler && x->route->handler->forgets_tunnels && !x->extra;
}

/* The words that are kept: each is where the exchange or the block refers to it. */
static size_t words_of(struct exchange *x, struct settled *s, struct str *words[8])
{
        size_t n = 0;

        words[n++] = &x->request.method_text;
        words[n++] = &x->target.path;
        words[n++] = &x->target.authority.host;
        words[n++] = &x->model;
        words[n++] = &x->caller_name;
        words[n++] = &s->origin.server_name;
        for (size_t i = 0; i < x->request.fields_count; i++)
                words[n++] = &s->fields[i].value;
        return n;
}

/* Of the request's fields only those a record shows. */
static void fields_keep(struct exchange *x, struct settled *s, const struct http_field *const shown[2])
{
        struct http_head kept = { .method = x->request.method,
                                  .method_text = x->request.method_text,
                                  .version_minor = x->request.version_minor,
                                  .fields = s->fields };

        for (int i = 0; i < 2; i++)
                if (shown[i]) {
                        s->fields[kept.fields_count++] =
                                (struct http_field){ .name = i ? STR("Referer") : STR("User-Agent"),
                                                     .value = shown[i]->value,
                                                     .id = i ? HTTP_FIELD_OTHER : HTTP_FIELD_USER_AGENT };
                        kept.fields_max = kept.fields_count;
                }
        kept.first[HTTP_FIELD_USER_AGENT] = shown[0] != NULL;
        x->request = kept;
        x->target = (struct http_target){ .path = x->target.path, .authority = x->target.authority };
        x->client.host = x->client.proto = x->forward_target = STR_NULL;
        x->notes = NULL;
        if (x->question && x->question->is_answered)
                x->question = NULL; /* it lies in what is dropped */
        x->caller = NULL;
        x->tried = NULL;
        x->tried_count = 0;
}

static size_t word_len(struct str word)
{
        return MIN(word.len, WORD_BYTES_MAX);
}

static size_t bytes_kept(const struct exchange *x, const struct http_field *const shown[2])
{
        size_t bytes = word_len(x->request.method_text) + word_len(x->target.path) + word_len(x->model) +
                       word_len(x->caller_name) + word_len(x->target.authority.host) +
                       word_len(x->origin->server_name);

        for (int i = 0; i < 2; i++)
                if (shown[i])
                        bytes += sizeof(struct http_field) + word_len(shown[i]->value);
        return sizeof(struct settled) + bytes + (x->trace ? sizeof(*x->trace) : 0);
}

/* Returns where the words may begin. */
static char *trace_keep(struct exchange *x, struct settled *s)
{
        char *at = (char *)&s->fields[x->request.fields_count];

        if (!x->trace)
                return at;
        memcpy(at, x->trace, sizeof(*x->trace));
        x->trace = (struct trace *)(void *)at;
        return at + sizeof(*x->trace);
}

void exchange_settle(struct exchange *x)
{
        struct str *words[8];

        if (!may_settle(x))
                return;
        const struct http_field *const shown[2] = { http_find(&x->request, HTTP_FIELD_USER_AGENT),
                                                    http_find_name(&x->request, STR("Referer")) };
        struct settled *s = malloc(bytes_kept(x, shown));
        if (!s)
                return;
        s->origin = *x->origin;
        pace_end(x);
        fields_keep(x, s, shown);
        char *at = trace_keep(x, s);
        for (size_t i = 0, n = words_of(x, s, words); i < n; i++) {
                struct str copy = { at, word_len(*words[i]) };
                if (copy.len)
                        memcpy(at, words[i]->ptr, copy.len);
                at += copy.len;
                *words[i] = copy;
        }
        x->origin = &s->origin;
        x->settled = s;
        exchange_memory_drop(x);
}
