#include "conf/loader_priv.h"

static const struct conf_upstream *collector_find(struct loader *l, const struct draft_trace *d)
{
        struct conf *c = l->conf;
        struct str *names = ARENA_ARRAY(&l->scratch, struct str, c->upstreams_count + 1);

        if (!names)
                return NULL;
        for (size_t i = 0; i < c->upstreams_count; i++) {
                if (str_eq(c->upstreams[i].name, d->upstream.text))
                        return &c->upstreams[i];
                names[i] = c->upstreams[i].name;
        }
        loader_error_at(l, d->upstream.at, "trace.upstream: there is no upstream \"%.*s\"%s",
                        STR_FMT(d->upstream.text),
                        loader_hint(l, d->upstream.text, names, c->upstreams_count));
        return NULL;
}

/* "/otlp", without a '/' at its end; what stands in a request line as it is. */
static bool path_is_valid(struct str path)
{
        if (path.len == 0)
                return true;
        if (path.ptr[0] != '/' || path.ptr[path.len - 1] == '/' || path.len > 200)
                return false;
        for (size_t i = 0; i < path.len; i++) {
                char c = path.ptr[i];
                bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

                if (!is_plain && c != '/' && c != '-' && c != '_' && c != '.')
                        return false;
        }
        return true;
}

void resolve_trace(struct loader *l, struct draft_trace *d)
{
        struct conf_trace *t = &l->conf->trace;

        *t = d->trace;
        t->path = d->path.text;
        t->service = d->service.text;
        resolve_headers(l, &d->headers, &t->headers, &t->headers_count);
        if (d->upstream.text.ptr)
                t->upstream = collector_find(l, d);
        if (!path_is_valid(t->path))
                loader_error_at(l, d->path.at,
                                "trace.path: \"%.*s\" must begin with '/' and not end with one, as \"/otlp\"",
                                STR_FMT(t->path));
        if (t->sends_logs && !d->upstream.text.ptr)
                loader_warning_at(l, d->path.at,
                                  "trace.logs: nothing is sent, as there is no trace.upstream");
        t->is_on = t->upstream || t->propagates;
}
