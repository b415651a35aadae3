#include "llm/meter.h"

#include <stdlib.h>
#include <string.h>

#include "http/decoder.h"
#include "llm/usage.h"
#include "proxy/worker.h"

enum { IDLE_MAX = 32, NAME_MAX = METRIC_LABEL_VALUE_MAX, DECODED_BYTES_MAX = 64 << 20 };

const struct metric llm_metrics[LLM_METRICS] = {
        [LLM_METRIC_REQUESTS] = { METRIC_COUNTER,
                                  "sekisho_llm_requests_total",
                                  "AI requests answered, by model, provider (empty: none was asked) and status class "
                                  "(none: the client left first).",
                                  { "model", "provider", "class" },
                                  NULL,
                                  0,
                                  1,
                                  .series_max = METER_MODELS_MAX * CLASSES },
        [LLM_METRIC_TOKENS] = { METRIC_COUNTER,
                                "sekisho_llm_tokens_total",
                                "Tokens as the providers reported them, by model and direction.",
                                { "model", "direction" },
                                NULL,
                                0,
                                1,
                                .series_max = METER_MODELS_MAX * 2 },
};

static const char *const class_names[CLASSES] = { "1xx", "2xx", "3xx", "4xx", "5xx", "none" };

/* The indexes are one more than the metric's; 0: not made yet. */
struct meter_series {
        const struct provider *provider;
        size_t name_len;
        char name[NAME_MAX];
        bool is_used;
        metric_index by_class[CLASSES], in, out;
};

/* Of one exchange. */
struct meter {
        const struct meter_conf *conf;
        struct usage *usage;     /* NULL: this answer is not read */
        struct decoder *decoder; /* of one that came coded */
};

void meter_book_init(struct meter_book *b, const struct catalogue *catalogue)
{
        *b = (struct meter_book){ .catalogue = catalogue };
        list_init(&b->idle);
}

void meter_book_fini(struct meter_book *b)
{
        struct usage *u;

        while ((u = LIST_FIRST(&b->idle, struct usage, node))) {
                list_remove(&u->node);
                usage_fini(u);
                free(u);
        }
        free(b->series);
        b->series = NULL;
}

static struct usage *usage_take(struct meter_book *b)
{
        struct usage *u = LIST_FIRST(&b->idle, struct usage, node);

        if (u) {
                list_remove(&u->node);
                b->idle_count--;
                return u;
        }
        u = malloc(sizeof(*u));
        if (u)
                usage_init(u);
        return u;
}

static void usage_give(struct meter_book *b, struct usage *u)
{
        if (b->idle_count < IDLE_MAX) {
                list_add_last(&b->idle, &u->node);
                b->idle_count++;
                return;
        }
        usage_fini(u);
        free(u);
}

/* ---- series ---- */

static bool is_of(const struct meter_series *s, struct str name, const struct provider *p)
{
        return s->provider == p && str_eq((struct str){ s->name, s->name_len }, name);
}

/* The place of a model at a provider; the last one, for all there is no room for, is "other" of no provider. */
static struct meter_series *series_find(struct meter_book *b, const struct worker *w, struct str name,
                                        const struct provider *p)
{
        if (!b->series && !(b->series = calloc(METER_MODELS_MAX + 1, sizeof(*b->series))))
                return NULL;
        name = str_sub(name, 0, NAME_MAX);
        size_t at = (size_t)(hash_str(w->shared->hash_key, name) % METER_MODELS_MAX);
        for (size_t i = 0; i < METER_MODELS_MAX; i++) {
                struct meter_series *s = &b->series[(at + i) % METER_MODELS_MAX];

                if (s->is_used && !is_of(s, name, p))
                        continue;
                if (!s->is_used) {
                        *s = (struct meter_series){ .is_used = true, .provider = p, .name_len = name.len };
                        memcpy(s->name, name.ptr, name.len);
                }
                return s;
        }
        struct meter_series *rest = &b->series[METER_MODELS_MAX];
        memcpy(rest->name, "other", rest->name_len = 5);
        return rest;
}

static void count(struct worker *w, metric_index *place, const struct metric *def, const struct str *values,
                  uint64_t n)
{
        if (!*place)
                *place = metrics_series(w->shared->metrics, def, values) + 1;
        measure_add(w, *place - 1, n);
}

static const struct provider *provider_of(const struct meter_book *b, const struct exchange *x)
{
        for (size_t i = 0; x->upstream && i < b->catalogue->providers_count; i++)
                if (&b->catalogue->providers[i].upstream == x->upstream)
                        return &b->catalogue->providers[i];
        return NULL;
}

static void book_add(struct meter_book *b, struct exchange *x)
{
        const struct provider *p = provider_of(b, x);
        struct meter_series *s = series_find(b, x->w, catalogue_label(b->catalogue, x->model, p), p);
        int class = CLASS_NONE;

        if (!s)
                return;
        if (x->answer_started && x->status >= 100 && x->status < 600)
                class = x->status / 100 - 1;
        struct str name = { s->name, s->name_len };
        struct str labels[] = { name, s->provider ? s->provider->name : STR(""), str_of(class_names[class]) };
        count(x->w, &s->by_class[class], &llm_metrics[LLM_METRIC_REQUESTS], labels, 1);
        if (x->tokens_in)
                count(x->w, &s->in, &llm_metrics[LLM_METRIC_TOKENS], (struct str[]){ name, STR("in") },
                      x->tokens_in);
        if (x->tokens_out)
                count(x->w, &s->out, &llm_metrics[LLM_METRIC_TOKENS], (struct str[]){ name, STR("out") },
                      x->tokens_out);
}

/* ---- the filter ---- */

static enum step_result on_request(struct exchange *x, void *state, const void *conf)
{
        ((struct meter *)state)->conf = conf;
        return STEP_NEXT;
}

static bool is_media(const struct http_head *head, struct str wanted)
{
        struct str type = http_value(head, HTTP_FIELD_CONTENT_TYPE);

        return str_eq_nocase(str_trim(str_sub(type, 0, str_find_char(type, ';'))), wanted);
}

static void on_answer(struct exchange *x, void *state, struct http_head *head)
{
        struct meter *m = state;
        bool is_stream = is_media(head, m->conf->dialect == CONF_OLLAMA ? STR("application/x-ndjson")
                                                                        : STR("text/event-stream"));

        enum http_coding coding = decoder_coding_of(head);

        if (head->status >= 300 || coding == HTTP_CODINGS ||
            (!is_stream && !is_media(head, STR("application/json"))))
                return;
        if (coding != HTTP_IDENTITY && !(m->decoder = decoder_new(coding, DECODED_BYTES_MAX)))
                return;
        m->usage = usage_take(m->conf->book);
        if (m->usage)
                usage_begin(m->usage, m->conf->dialect, is_stream);
}

static bool decoded_show(void *context, struct str bytes)
{
        usage_feed(context, bytes);
        return true;
}

static void on_data(struct exchange *x, void *state, const struct side_data *d)
{
        struct meter *m = state;

        for (size_t i = 0; m->usage && i < d->slices_count; i++)
                if (!m->decoder)
                        usage_feed(m->usage, d->slices[i]);
                else if (decoder_feed(m->decoder, d->slices[i], decoded_show, m->usage) != ERR_OK)
                        break; /* the figures read so far stand; the client gets its bytes all the same */
}

static void on_end(struct exchange *x, void *state)
{
        struct meter *m = state;

        if (m->usage) {
                usage_end(m->usage);
                x->tokens_in = m->usage->tokens_in;
                x->tokens_out = m->usage->tokens_out;
                usage_give(m->conf->book, m->usage);
                m->usage = NULL;
        }
        decoder_free(m->decoder);
        m->decoder = NULL;
        book_add(m->conf->book, x);
}

const struct filter meter_filter = { .name = "meter",
                                     .state_bytes = sizeof(struct meter),
                                     .on_request = on_request,
                                     .on_answer = on_answer,
                                     .on_data = on_data,
                                     .on_end = on_end };
const struct filter meter_count_filter = {
        .name = "meter-count", .state_bytes = sizeof(struct meter), .on_request = on_request, .on_end = on_end
};
