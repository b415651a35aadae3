#include "llm/catalogue.h"

#include <string.h>

#include "io/tls.h"
#include "proxy/exchange.h"
#include "proxy/up.h"
#include "proxy/worker.h"

enum {
        IDLE_CONNECTIONS_MAX = 64,
        KEEP_ALIVE_MS = 30000,
        FAILURES_MAX = 3,
        FAILURES_WINDOW_MS = 600000, /* a model's answer may take minutes */
        EJECT_MS = 10000,
        RETRY_PERCENT = 20
};

static void target_build(struct provider *p, struct shared *shared, struct arena *a)
{
        const struct conf_url *url = &p->conf->base_url;
        struct str id[2] = { STR("provider "), p->name };

        p->target = (struct target){ .upstream = &p->upstream,
                                     .url = url->text,
                                     .host = url->host,
                                     .path = url->scheme == CONF_UNIX ? url->path : STR_NULL,
                                     .authority = conf_url_authority(url, a),
                                     .ip = url->ip,
                                     .port = url->port,
                                     .is_tls = url->scheme == CONF_HTTPS,
                                     .agent = url->scheme == CONF_LINK ? url->host : STR_NULL,
                                     .agent_target = url->scheme == CONF_LINK ? url->path : STR_NULL,
                                     .seat = { .weight = 1 },
                                     .connections_max = (uint32_t)p->conf->max_concurrency };
        if (p->target.agent.len)
                p->target.host = STR_NULL;
        up_target_init(&p->target);
        p->target.standing = standing_of(shared->standings, hash_str(shared->hash_key, arena_join(a, id, 2)));
        measure_target_init(shared->metrics, &p->target.measure, p->name, url->text);
}

static enum err tls_build(struct provider *p, struct report *r)
{
        const struct conf_client_tls *c = &p->conf->tls;
        struct tls_client_conf tls = { .ca_pem = c->ca_pem,
                                       .cert_pem = c->cert_pem,
                                       .key_pem = c->key_pem,
                                       .skip_verify = c->skip_verify };

        enum err e;

        if (!p->target.is_tls)
                return ERR_OK;
        p->upstream.protocol = PROTOCOL_AUTO;
        p->upstream.may_speak_h2 = true;
        if ((e = tls_client_new(&tls, r, &p->upstream.tls)) != ERR_OK)
                return e;
        tls.offer_h2 = true;
        return tls_client_new(&tls, r, &p->upstream.tls_h2);
}

static enum err provider_build(struct provider *p, const struct conf_provider *c, struct shared *shared,
                               struct arena *a, struct report *r)
{
        bool is_link = c->base_url.scheme == CONF_LINK;

        *p = (struct provider){ .conf = c, .name = c->name };
        if (c->base_url.scheme != CONF_UNIX && !is_link)
                p->base_path = c->base_url.path;
        if (c->api_key.len)
                p->authorization = arena_format(a, "Bearer %.*s", STR_FMT(c->api_key));
        p->upstream = (struct upstream){ .name = c->name,
                                         .targets = &p->target,
                                         .targets_count = 1,
                                         .protocol = is_link ? PROTOCOL_AUTO : PROTOCOL_H1,
                                         .may_speak_h2 = is_link,
                                         .is_published = c->is_published,
                                         .tls_server_name = c->tls.server_name,
                                         .waits = { .connect_ms = c->timeouts.connect,
                                                    .first_byte_ms = c->timeouts.first_byte,
                                                    .idle_ms = c->timeouts.idle,
                                                    .tunnel_ms = c->timeouts.tunnel },
                                         .keep_alive_ms = KEEP_ALIVE_MS,
                                         .idle_connections_max = IDLE_CONNECTIONS_MAX,
                                         .tries_max = EXCHANGE_TRIED_MAX,
                                         .passive = { .failures_max = FAILURES_MAX,
                                                      .window_ms = FAILURES_WINDOW_MS,
                                                      .eject_ms = EJECT_MS },
                                         .ejected_percent_max = 100 };
        p->upstream.retries.percent = RETRY_PERCENT;
        waitline_init(&p->upstream.line, 0, 0);
        measure_upstream_init(shared->metrics, &p->upstream.measure, p->name);
        target_build(p, shared, a);
        listing_init(&p->listing, c, &p->upstream);
        return tls_build(p, r);
}

enum err catalogue_build(struct catalogue *c, const struct conf *conf, struct snapshot *snap,
                         struct shared *shared, struct arena *a, struct report *r)
{
        *c = (struct catalogue){ .conf = conf };
        c->providers = ARENA_ARRAY(a, struct provider, conf->providers_count + 1);
        if (!c->providers)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < conf->providers_count; i++) {
                struct provider *p = &c->providers[i];
                enum err e = provider_build(p, &conf->providers[i], shared, a, r);

                snap->upstreams[snap->upstreams_count++] = &p->upstream;
                c->providers_count++;
                if (e != ERR_OK)
                        return e;
        }
        return a->full ? ERR_NO_MEMORY : ERR_OK;
}

static const struct provider *provider_of(const struct catalogue *c, const struct conf_provider *conf)
{
        return &c->providers[conf - c->conf->providers];
}

/* The entry of `models` for that name: exact ones stand before patterns. */
static const struct conf_model *entry_find(const struct conf *conf, struct str model)
{
        for (size_t i = 0; i < conf->models_count; i++) {
                const struct conf_model *m = &conf->models[i];
                if (m->is_pattern ? str_match(m->name, model) : str_eq(m->name, model))
                        return m;
        }
        return NULL;
}

static size_t from_entry(const struct catalogue *c, const struct conf_model *m, struct str model,
                         enum conf_dialect dialect, struct candidate out[CANDIDATES_MAX])
{
        size_t count = 0;

        for (size_t i = 0; i < m->targets_count && count < CANDIDATES_MAX; i++) {
                const struct conf_model_target *t = &m->targets[i];
                const struct provider *p = provider_of(c, t->provider);

                if (p->listing.dialects & dialect)
                        out[count++] = (struct candidate){ p, t->model.len ? t->model : model, t->weight,
                                                           t->priority };
        }
        return count;
}

/* Its models may be named as it lists them: where `models` says what may be named, only those that control published. */
static bool is_open(const struct catalogue *c, const struct provider *p)
{
        return c->conf->models_count == 0 || p->conf->is_published;
}

size_t catalogue_find(const struct catalogue *c, struct str model, enum conf_dialect dialect,
                      struct candidate out[CANDIDATES_MAX], bool *is_known)
{
        const struct conf_model *m = entry_find(c->conf, model);
        size_t count = 0;

        *is_known = m != NULL;
        if (m)
                return from_entry(c, m, model, dialect, out);
        for (size_t i = 0; i < c->providers_count && count < CANDIDATES_MAX; i++) {
                const struct provider *p = &c->providers[i];

                if (!is_open(c, p))
                        continue;
                /* One that could not be asked yet may have it: it is tried, and says so itself. */
                if (p->listing.is_known && !listing_has(&p->listing, model))
                        continue;
                *is_known = true;
                if (p->listing.dialects & dialect)
                        out[count++] = (struct candidate){ p, model, 1,
                                                           p->conf->is_published ? c->providers_count : i };
        }
        return count;
}

static void move_to_front(struct candidate *candidates, size_t i)
{
        struct candidate chosen = candidates[i];

        memmove(candidates + 1, candidates, i * sizeof(*candidates));
        candidates[0] = chosen;
}

/* Draws the first of `count` by weight. */
static void draw_first(struct candidate *candidates, size_t count, uint64_t draw)
{
        uint64_t total = 0, at = 0;

        for (size_t i = 0; i < count; i++)
                total += MAX(candidates[i].weight, (uint64_t)1);
        draw %= total;
        for (size_t i = 0; i < count; i++)
                if ((at += MAX(candidates[i].weight, (uint64_t)1)) > draw) {
                        move_to_front(candidates, i);
                        return;
                }
}

void candidates_spread(struct candidate *candidates, size_t count, uint64_t draw)
{
        for (size_t i = 0, equals; i < count; i++) {
                for (equals = 1; i + equals < count; equals++)
                        if (candidates[i + equals].priority != candidates[i].priority)
                                break;
                if (equals > 1)
                        draw_first(&candidates[i], equals, draw = hash_u64(draw + i + 1));
        }
}

struct str catalogue_label(const struct catalogue *c, struct str model, const struct provider *provider)
{
        const struct conf_model *m = entry_find(c->conf, model);

        if (m && !m->is_pattern)
                return m->name;
        if (provider && listing_has(&provider->listing, model))
                return model;
        return m ? m->name : STR("other");
}

void catalogue_fini(struct catalogue *c)
{
        for (size_t i = 0; i < c->providers_count; i++)
                listing_fini(&c->providers[i].listing);
}

void catalogue_adopt(struct catalogue *c, const struct catalogue *old)
{
        for (size_t i = 0; i < c->providers_count; i++)
                for (size_t j = 0; j < old->providers_count; j++)
                        if (str_eq(c->providers[i].name, old->providers[j].name))
                                listing_adopt(&c->providers[i].listing, &old->providers[j].listing);
}

static void pattern_each(const struct catalogue *c, const struct conf_model *m, catalogue_fn *fn,
                         void *context)
{
        for (size_t i = 0; i < m->targets_count; i++) {
                const struct provider *p = provider_of(c, m->targets[i].provider);

                for (size_t j = 0; j < p->listing.names_count; j++)
                        if (str_match(m->name, p->listing.names[j]))
                                fn(context, p->listing.names[j], p);
        }
}

void catalogue_each(const struct catalogue *c, catalogue_fn *fn, void *context)
{
        for (size_t i = 0; i < c->conf->models_count; i++) {
                const struct conf_model *m = &c->conf->models[i];

                if (m->is_pattern)
                        pattern_each(c, m, fn, context);
                else if (m->targets_count)
                        fn(context, m->name, provider_of(c, m->targets[0].provider));
        }
        for (size_t i = 0; i < c->providers_count; i++) {
                const struct provider *p = &c->providers[i];

                for (size_t j = 0; is_open(c, p) && j < p->listing.names_count; j++)
                        fn(context, p->listing.names[j], p);
        }
}
