/* What was counted, what was asked last, and the fault for all requests. */
#include "server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/escape.h"
#include "base/units.h"
#include "dialect.h"

enum { ABORTS_MAX = 16, RECORD_BYTES_MAX = 1024 * 1024, KV_TOKENS = 65536 };

static const unsigned bounds_ms[HISTOGRAM_BOUNDS] = { 1,   5,   10,  20,   40,   60,   80,   100,
                                                      250, 500, 750, 1000, 2500, 5000, 7500, 10000 };

struct abort_record {
        uint64_t mono_us, unix_ms, id;
        unsigned tokens;
        const char *path;
};

/* Guards all of this file's variables but the counts. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct abort_record aborts[ABORTS_MAX];
static uint64_t aborts_count;
static char *last_head, *last_body;
static size_t last_head_len, last_body_len;

static struct fault all_fault;
static unsigned all_fault_used;
static atomic_bool has_all_fault;

unsigned stats_bound(uint64_t ms)
{
        unsigned i = 0;

        while (i < HISTOGRAM_BOUNDS && ms > bounds_ms[i])
                i++;
        return i;
}

static uint64_t unix_now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void stats_abort(const struct answer *a)
{
        pthread_mutex_lock(&lock);
        aborts[aborts_count++ % ABORTS_MAX] = (struct abort_record){ .mono_us = clock_mono_us(),
                                                                     .unix_ms = unix_now_ms(),
                                                                     .id = a->id,
                                                                     .tokens = a->step,
                                                                     .path = a->dialect->path };
        pthread_mutex_unlock(&lock);
}

static char *copy(struct str s)
{
        char *bytes = malloc(s.len + 1);

        if (bytes && s.len)
                memcpy(bytes, s.ptr, s.len);
        return bytes;
}

void stats_record(const struct http_request *r)
{
        struct str body = str_sub(r->body, 0, RECORD_BYTES_MAX);
        char *head_copy = copy(r->head), *body_copy = copy(body);

        pthread_mutex_lock(&lock);
        free(last_head);
        free(last_body);
        last_head = head_copy;
        last_body = body_copy;
        last_head_len = head_copy ? r->head.len : 0;
        last_body_len = body_copy ? body.len : 0;
        pthread_mutex_unlock(&lock);
}

static void add_text(struct buf *out, const char *name, struct str text)
{
        buf_addf(out, "\"%s\":\"", name);
        escape_json(out, text);
        buf_add_char(out, '"');
}

void stats_write_request(const struct http_request *r, struct buf *out)
{
        add_text(out, "method", r->method);
        buf_add_char(out, ',');
        add_text(out, "target", r->target);
        buf_add_char(out, ',');
        add_text(out, "version", r->version);
        ADD(out, ",\"headers\":[");
        for (size_t i = 0; i < r->fields_count; i++) {
                buf_add(out, i ? STR(",[\"") : STR("[\""));
                escape_json(out, r->fields[i].name);
                ADD(out, "\",\"");
                escape_json(out, r->fields[i].value);
                ADD(out, "\"]");
        }
        ADD(out, "],");
        add_text(out, "raw_head", r->head);
        buf_add_char(out, ',');
        add_text(out, "trailers", r->trailers);
        buf_addf(out, ",\"body_bytes\":%zu,", r->body.len);
        add_text(out, "body", r->body);
}

void stats_write_last(struct buf *out)
{
        struct http_request r;

        pthread_mutex_lock(&lock);
        buf_add_char(out, '{');
        if (last_head && http_head_parse((struct str){ last_head, last_head_len }, &r) == HTTP_DONE) {
                r.body = (struct str){ last_body, last_body_len };
                stats_write_request(&r, out);
        }
        buf_add_char(out, '}');
        pthread_mutex_unlock(&lock);
}

static uint64_t sum(size_t offset)
{
        uint64_t total = 0;

        for (unsigned i = 0; i < server_workers_count; i++) {
                const char *counts = (const char *)server_workers[i].counts;
                total += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(counts + offset),
                                              memory_order_relaxed);
        }
        return total;
}

#define SUM(field) ((unsigned long long)sum(offsetof(struct counts, field)))

void stats_write(struct buf *out)
{
        buf_addf(
                out,
                "{\"mono_us\":%llu,\"requests\":%llu,\"bad_requests\":%llu,\"running\":%llu,\"waiting\":%llu,"
                "\"connections\":%llu,\"connections_open\":%llu,",
                (unsigned long long)clock_mono_us(), SUM(requests), SUM(bad_requests), SUM(running),
                SUM(waiting), SUM(connections), SUM(connections_open));
        pthread_mutex_lock(&lock);
        buf_addf(out, "\"aborted\":%llu,\"aborts\":[", (unsigned long long)aborts_count);
        uint64_t from = aborts_count > ABORTS_MAX ? aborts_count - ABORTS_MAX : 0;
        for (uint64_t i = from; i < aborts_count; i++) {
                const struct abort_record *a = &aborts[i % ABORTS_MAX];

                buf_addf(
                        out,
                        "%s{\"mono_us\":%llu,\"unix_ms\":%llu,\"path\":\"%s\",\"tokens\":%u,\"id\":\"%016llx\"}",
                        i > from ? "," : "", (unsigned long long)a->mono_us, (unsigned long long)a->unix_ms,
                        a->path, a->tokens, (unsigned long long)a->id);
        }
        pthread_mutex_unlock(&lock);
        ADD(out, "]}");
}

static void add_type(struct buf *out, const char *name, const char *kind, const char *help)
{
        buf_addf(out, "# HELP vllm:%s %s\n# TYPE vllm:%s %s\n", name, help, name, kind);
}

/* One number a model; gauges of the whole engine are given with the first model's name. */
static void add_series(struct buf *out, const struct options *o, const char *name, const char *kind,
                       const char *help, size_t offset, bool is_per_model)
{
        add_type(out, name, kind, help);
        for (unsigned i = 0; i < (is_per_model ? o->models_count : 1); i++)
                buf_addf(out, "vllm:%s{engine=\"0\",model_name=\"%.*s\"} %llu\n", name, STR_FMT(o->models[i]),
                         (unsigned long long)sum(offset + i * sizeof(struct model_counts)));
}

static void add_histogram(struct buf *out, const struct options *o, const char *name, const char *help,
                          size_t counts_offset, size_t sum_offset)
{
        unsigned long long total = 0;

        add_type(out, name, "histogram", help);
        for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
                char bound[16] = "+Inf";

                if (i < HISTOGRAM_BOUNDS)
                        snprintf(bound, sizeof(bound), "%g", bounds_ms[i] / 1000.0);
                total += sum(counts_offset + i * sizeof(uint64_t));
                buf_addf(out, "vllm:%s_bucket{engine=\"0\",le=\"%s\",model_name=\"%.*s\"} %llu\n", name,
                         bound, STR_FMT(o->models[0]), total);
        }
        buf_addf(out, "vllm:%s_sum{engine=\"0\",model_name=\"%.*s\"} %.3f\n", name, STR_FMT(o->models[0]),
                 (double)sum(sum_offset) / 1000.0);
        buf_addf(out, "vllm:%s_count{engine=\"0\",model_name=\"%.*s\"} %llu\n", name, STR_FMT(o->models[0]),
                 total);
}

static void add_success(struct buf *out, const struct options *o)
{
        static const char *const reasons[ENDINGS] = { "stop", "length", "tool_calls", "abort" };

        add_type(out, "request_success_total", "counter", "Count of processed requests.");
        for (unsigned i = 0; i < o->models_count; i++)
                for (unsigned e = 0; e < ENDINGS; e++)
                        buf_addf(
                                out,
                                "vllm:request_success_total{engine=\"0\",finished_reason=\"%s\",model_name=\"%.*s\"} %llu\n",
                                reasons[e], STR_FMT(o->models[i]),
                                (unsigned long long)sum(offsetof(struct counts, models[0].endings) +
                                                        i * sizeof(struct model_counts) +
                                                        e * sizeof(uint64_t)));
}

#define MODEL(field) offsetof(struct counts, models[0].field)

void stats_write_metrics(const struct options *o, struct buf *out)
{
        double usage = (double)sum(offsetof(struct counts, kv_tokens)) / KV_TOKENS;

        add_series(out, o, "num_requests_running", "gauge", "Requests in execution.", MODEL(running), true);
        add_series(out, o, "num_requests_waiting", "gauge", "Requests waiting for a slot.",
                   offsetof(struct counts, waiting), false);
        for (int is_old = 0; is_old < 2; is_old++) {
                const char *name = is_old ? "gpu_cache_usage_perc" : "kv_cache_usage_perc";

                add_type(out, name, "gauge", "Part of the key-value cache in use, 0 to 1.");
                buf_addf(out, "vllm:%s{engine=\"0\",model_name=\"%.*s\"} %.6f\n", name, STR_FMT(o->models[0]),
                         MIN(usage, 1.0));
        }
        add_series(out, o, "prompt_tokens_total", "counter", "Tokens of prompts.", MODEL(prompt_tokens),
                   true);
        add_series(out, o, "generation_tokens_total", "counter", "Tokens said.", MODEL(generation_tokens),
                   true);
        add_success(out, o);
        add_histogram(out, o, "time_to_first_token_seconds", "Seconds to the first token.",
                      offsetof(struct counts, first_counts), offsetof(struct counts, first_ms_sum));
        add_histogram(out, o, "e2e_request_latency_seconds", "Seconds to the last token.",
                      offsetof(struct counts, whole_counts), offsetof(struct counts, whole_ms_sum));
        add_type(out, "cache_config_info", "gauge", "What the cache is made of.");
        buf_addf(out, "vllm:cache_config_info{block_size=\"16\",engine=\"0\",num_gpu_blocks=\"%d\"} 1\n",
                 KV_TOKENS / 16);
}

bool fault_set(struct str spec)
{
        struct fault f;
        bool is_one = fault_parse(spec, &f);

        if (!is_one && spec.len)
                return false;
        pthread_mutex_lock(&lock);
        all_fault = f;
        all_fault_used = 0;
        pthread_mutex_unlock(&lock);
        atomic_store(&has_all_fault, is_one);
        return true;
}

static bool applies(const struct fault *f, const struct http_request *r)
{
        uint64_t retries = 0;

        if (!str_has_prefix(r->path, str_of(f->path)))
                return false;
        if (!f->until_retry)
                return true;
        if (r->retry_count.ptr && units_parse_u64(r->retry_count, UINT32_MAX, &retries) != ERR_OK)
                retries = 0;
        return retries < f->until_retry;
}

bool fault_find(const struct http_request *r, struct fault *out, struct str *bad)
{
        struct str spec = r->fault.ptr ? r->fault : http_query_find(r, STR("fault"));

        *bad = STR_NULL;
        if (spec.ptr) {
                if (!fault_parse(spec, out)) {
                        *bad = spec;
                        return true;
                }
                return applies(out, r);
        }
        if (!atomic_load_explicit(&has_all_fault, memory_order_relaxed))
                return false;
        pthread_mutex_lock(&lock);
        *out = all_fault;
        bool is_on = applies(out, r) && (!out->first || all_fault_used++ < out->first);
        pthread_mutex_unlock(&lock);
        return is_on;
}

void stats_fini(void)
{
        free(last_head);
        free(last_body);
        last_head = last_body = NULL;
}
