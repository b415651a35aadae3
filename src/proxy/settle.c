#include "proxy/settle.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/forward.h"
#include "proxy/worker.h"

enum { WORD_BYTES_MAX = 512 };

struct settled {
        struct exchange_origin origin;
        struct http_field fields[2];
        char words[];
};

static bool may_settle(const struct exchange *x)
{
        return x->is_tunnel && x->answer_started && !x->settled && !x->is_ended && x->filters_count == 0 &&
               x->route && x->route->handler == &forward_handler && !x->extra;
}

/* The words that are kept: each is where the exchange or the block refers to it. */
static size_t words_of(struct exchange *x, struct settled *s, struct str *words[8])
{
        size_t n = 0;

        words[n++] = &x->request.method_text;
        words[n++] = &x->target.path;
        words[n++] = &x->target.authority.host;
        words[n++] = &x->model;
        words[n++] = &s->origin.server_name;
        for (size_t i = 0; i < x->request.fields_count; i++)
                words[n++] = &s->fields[i].value;
        return n;
}

/* Of the request's fields only those a record shows. */
static void fields_keep(struct exchange *x, struct settled *s, const struct http_field *agent,
                        const struct http_field *referer)
{
        struct http_head kept = { .method = x->request.method,
                                  .method_text = x->request.method_text,
                                  .version_minor = x->request.version_minor,
                                  .fields = s->fields,
                                  .fields_max = ARRAY_SIZE(s->fields) };

        if (agent) {
                s->fields[kept.fields_count++] = (struct http_field){ .name = STR("User-Agent"),
                                                                      .value = agent->value,
                                                                      .id = HTTP_FIELD_USER_AGENT };
                kept.first[HTTP_FIELD_USER_AGENT] = 1;
        }
        if (referer)
                s->fields[kept.fields_count++] =
                        (struct http_field){ .name = STR("Referer"), .value = referer->value };
        x->request = kept;
        x->target = (struct http_target){ .path = x->target.path, .authority = x->target.authority };
        x->client.host = x->client.proto = x->forward_target = STR_NULL;
        x->notes = NULL;
}

static size_t word_len(struct str word)
{
        return MIN(word.len, WORD_BYTES_MAX);
}

void exchange_settle(struct exchange *x)
{
        const struct http_field *agent, *referer;
        struct str *words[8];

        if (!may_settle(x))
                return;
        agent = http_find(&x->request, HTTP_FIELD_USER_AGENT);
        referer = http_find_name(&x->request, STR("Referer"));
        size_t bytes = word_len(x->request.method_text) + word_len(x->target.path) + word_len(x->model) +
                       word_len(x->target.authority.host) + word_len(x->origin->server_name) +
                       (agent ? word_len(agent->value) : 0) + (referer ? word_len(referer->value) : 0);
        struct settled *s = malloc(sizeof(*s) + bytes);
        if (!s)
                return;
        s->origin = *x->origin;
        fields_keep(x, s, agent, referer);
        char *at = s->words;
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
