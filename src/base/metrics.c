#include "base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/metrics_priv.h"

/*
 * Theory of operation. One MAP_SHARED mapping: this struct, the directory, then one row of cells a worker. A series
 * owns a run of cells: one, or for a histogram one a bound, one above all bounds, and the sum. Entries are only ever
 * added: `series_count` is raised after an entry is written, so that readers need no lock. The lock is a word that
 * holds the owner's process id; a waiter gives up after a bound and uses the fallback series instead of hanging, and
 * the parent that reaps a killed owner gives the lock back (a half-written entry was never counted in).
 */

enum { LOCK_SPINS_MAX = 100000, ROWS_MORE = 2 };

static size_t aligned(size_t bytes)
{
        return (bytes + 63) & ~(size_t)63;
}

struct metrics *metrics_new(unsigned workers_count, size_t cells_max, size_t series_max)
{
        size_t head = aligned(sizeof(struct metrics));
        size_t directory = aligned(series_max * sizeof(struct series));
        size_t bytes = head + directory + (workers_count + ROWS_MORE) * aligned(cells_max * sizeof(cell));

        assert(workers_count > 0 && cells_max > 0);
        char *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (mapping == MAP_FAILED)
                return NULL;
        struct metrics *m = (struct metrics *)(void *)mapping;
        m->mapping_bytes = bytes;
        m->workers_count = workers_count;
        m->cells_max = (uint32_t)(aligned(cells_max * sizeof(cell)) / sizeof(cell));
        m->series_max = (uint32_t)series_max;
        m->series = (struct series *)(void *)(mapping + head);
        m->cells = (cell *)(void *)(mapping + head + directory);
        m->cells_count = 1; /* cell 0 takes what has no place */
        return m;
}

void metrics_free(struct metrics *m)
{
        if (m)
                munmap(m, m->mapping_bytes);
}

static cell *cell_at(const struct metrics *m, unsigned worker, uint32_t i)
{
        assert(worker < m->workers_count && i < m->cells_max);
        return metrics_cell(m, worker, i);
}

static void cell_add(struct metrics *m, unsigned worker, uint32_t i, uint64_t n)
{
        cell *c = cell_at(m, worker, i);

        /* One writer: a plain load and store, atomic only against tearing. */
        atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

/*
 * A label value as the text format wants it: backslash, quote and line end escaped, UTF-8 otherwise; what is neither
 * text nor printable becomes U+FFFD. Cut between characters.
 */
static void label_value_add(struct buf *out, struct str value)
{
        size_t room = METRIC_LABEL_VALUE_MAX;

        while (value.len) {
                size_t len = str_utf8_len(value);
                struct str text = str_sub(value, 0, len);
                char c = value.ptr[0];

                if (c == '\\')
                        text = STR("\\\\");
                else if (c == '"')
                        text = STR("\\\"");
                else if (c == '\n')
                        text = STR("\\n");
                else if (len == 0 || (len == 1 && (c < 0x20 || c == 0x7f)))
                        text = STR("\xef\xbf\xbd");
                if (text.len > room)
                        return;
                room -= text.len;
                buf_add(out, text);
                value = str_from(value, MAX(len, (size_t)1));
        }
}

static struct str labels_format(const struct metric *def, const struct str *values, struct buf *out)
{
        for (size_t i = 0; i < METRIC_LABELS_MAX && def->labels[i]; i++) {
                assert(strlen(def->labels[i]) <= METRIC_LABEL_NAME_MAX);
                buf_addf(out, "%s%s=\"", i ? "," : "", def->labels[i]);
                label_value_add(out, values[i]);
                buf_add_char(out, '"');
        }
        assert(out->len <= LABELS_TEXT_MAX);
        return buf_str(out);
}

static const struct series *series_find(const struct metrics *m, const struct metric *def, struct str labels)
{
        unsigned count = atomic_load_explicit(&m->series_count, memory_order_acquire);

        for (unsigned i = 0; i < count; i++) {
                const struct series *s = &m->series[i];
                if (s->def == def && str_eq((struct str){ s->labels, s->labels_len }, labels))
                        return s;
        }
        return NULL;
}

static const struct series *rest_find(const struct metrics *m, const struct metric *def)
{
        unsigned count = atomic_load_explicit(&m->series_count, memory_order_acquire);

        for (unsigned i = 0; i < count; i++)
                if (m->series[i].def == def && m->series[i].is_rest)
                        return &m->series[i];
        return NULL;
}

static uint32_t series_of(const struct metrics *m, const struct metric *def)
{
        unsigned count = atomic_load_explicit(&m->series_count, memory_order_relaxed);
        uint32_t found = 0;

        for (unsigned i = 0; i < count; i++)
                found += m->series[i].def == def;
        return found;
}

/* Under the lock. NULL when the directory or the cells are used up. */
static const struct series *series_add(struct metrics *m, const struct metric *def, struct str labels,
                                       bool is_rest)
{
        unsigned count = atomic_load_explicit(&m->series_count, memory_order_relaxed);
        uint32_t cells = def->kind == METRIC_HISTOGRAM ? (uint32_t)def->bounds_count + 2 : 1;

        if (count == m->series_max || cells > m->cells_max - m->cells_count)
                return NULL;
        struct series *s = &m->series[count];
        s->def = def;
        s->cell = m->cells_count;
        s->cells_count = cells;
        s->is_rest = is_rest;
        s->labels_len = (uint32_t)labels.len;
        if (labels.len)
                memcpy(s->labels, labels.ptr, labels.len);
        m->cells_count += cells;
        atomic_store_explicit(&m->series_count, count + 1, memory_order_release);
        return s;
}

static bool lock_enter(struct metrics *m)
{
        for (int spins = 0; spins < LOCK_SPINS_MAX; spins++) {
                int is_free = 0;

                if (atomic_compare_exchange_weak(&m->lock, &is_free, (int)getpid()))
                        return true;
                sched_yield();
        }
        return false;
}

static void rest_make(struct metrics *m, const struct metric *def)
{
        static const struct str others[METRIC_LABELS_MAX] = { STR_INIT("other"), STR_INIT("other"),
                                                              STR_INIT("other"), STR_INIT("other") };
        struct buf text;

        buf_init(&text, LABELS_TEXT_MAX);
        struct str labels = labels_format(def, others, &text);
        if (!text.full)
                (void)series_add(m, def, labels, true);
        buf_fini(&text);
}

static const struct series *series_make(struct metrics *m, const struct metric *def, struct str labels)
{
        uint32_t max = def->series_max ? def->series_max : METRIC_SERIES_DEFAULT;
        const struct series *s;

        if (!lock_enter(m))
                return NULL;
        if (labels.len && !rest_find(m, def))
                rest_make(m, def);
        s = series_find(m, def, labels);    /* another worker may have been first */
        if (!s && series_of(m, def) <= max) /* the rest's own is not counted */
                s = series_add(m, def, labels, false);
        atomic_store(&m->lock, 0);
        return s;
}

const struct series *metrics_series_of(struct metrics *m, const struct metric *def, struct str labels)
{
        const struct series *s = series_find(m, def, labels);

        return s ? s : series_make(m, def, labels);
}

metric_index metrics_series(struct metrics *m, const struct metric *def, const struct str *values)
{
        struct buf text;
        const struct series *s = NULL;

        assert(def->bounds_count <= METRIC_BOUNDS_MAX);
        buf_init(&text, LABELS_TEXT_MAX);
        struct str labels = labels_format(def, values, &text);
        if (!text.full)
                s = metrics_series_of(m, def, labels);
        if (!s) {
                atomic_fetch_add(&m->dropped, 1);
                s = rest_find(m, def);
        }
        buf_fini(&text);
        return s ? s->cell : 0;
}

void metrics_unlock_dead(struct metrics *m, int pid)
{
        atomic_compare_exchange_strong(&m->lock, &pid, 0);
}

void metrics_add(struct metrics *m, unsigned worker, metric_index i, uint64_t n)
{
        cell_add(m, worker, i, n);
}

void metrics_set(struct metrics *m, unsigned worker, metric_index i, int64_t value)
{
        atomic_store_explicit(cell_at(m, worker, i), (uint64_t)value, memory_order_relaxed);
}

void metrics_move(struct metrics *m, unsigned worker, metric_index i, int64_t by)
{
        cell_add(m, worker, i, (uint64_t)by);
}

void metrics_observe(struct metrics *m, unsigned worker, const struct metric *def, metric_index i,
                     uint64_t value)
{
        uint32_t bucket = 0;

        if (i == 0) /* no place: a histogram needs a run of cells */
                return;
        while (bucket < def->bounds_count && value > def->bounds[bucket])
                bucket++;
        cell_add(m, worker, i + bucket, 1);
        cell_add(m, worker, i + (uint32_t)def->bounds_count + 1, value);
}

void metrics_forget_gauges(struct metrics *m, unsigned worker)
{
        unsigned count = atomic_load_explicit(&m->series_count, memory_order_acquire);

        for (unsigned i = 0; i < count; i++)
                if (m->series[i].def->kind == METRIC_GAUGE)
                        metrics_set(m, worker, m->series[i].cell, 0);
}

uint64_t metrics_value(const struct metrics *m, metric_index i)
{
        uint64_t sum = 0;

        for (unsigned w = 0; w <= metrics_row_taken(m); w++)
                sum += atomic_load_explicit(metrics_cell(m, w, i), memory_order_relaxed);
        return sum;
}

/* What the page says: once it was given on, the one who took it goes on counting from there. */
static uint64_t shown(const struct metrics *m, uint32_t i)
{
        return atomic_load(&m->is_given)
                       ? atomic_load_explicit(metrics_cell(m, metrics_row_given(m), i), memory_order_relaxed)
                       : metrics_value(m, i);
}

uint64_t metrics_dropped_count(const struct metrics *m)
{
        return atomic_load(&m->dropped);
}

static uint64_t histogram_count(const struct metrics *m, const struct series *s)
{
        uint64_t count = 0;

        for (uint32_t b = 0; b <= s->def->bounds_count; b++)
                count += shown(m, s->cell + b);
        return count;
}

/* "name_sum{labels} ", without braces where there are no labels. */
static void name_format(const struct series *s, const char *suffix, struct buf *out)
{
        buf_addf(out, "%s%s", s->def->name, suffix);
        if (s->labels_len)
                buf_addf(out, "{%.*s}", (int)s->labels_len, s->labels);
        buf_add_char(out, ' ');
}

/* A bound as a label's value: OpenMetrics wants "1.0" where the older form has "1". */
static void bound_format(double bound, enum metrics_form form, struct buf *out)
{
        size_t at = out->len;

        buf_addf(out, "%.10g", bound);
        if (form == METRICS_OPENMETRICS && !out->full &&
            str_find_char(str_from(buf_str(out), at), '.') == STR_NONE &&
            str_find_char(str_from(buf_str(out), at), 'e') == STR_NONE)
                buf_add(out, STR(".0"));
}

static void histogram_format(const struct metrics *m, const struct series *s, enum metrics_form form,
                             struct buf *out)
{
        const struct metric *def = s->def;
        double unit = def->unit > 0 ? def->unit : 1;
        uint64_t count = 0;

        for (uint32_t b = 0; b <= def->bounds_count; b++) {
                count += shown(m, s->cell + b);
                buf_addf(out, "%s_bucket{%.*s%sle=\"", def->name, (int)s->labels_len, s->labels,
                         s->labels_len ? "," : "");
                if (b < def->bounds_count)
                        bound_format((double)def->bounds[b] / unit, form, out);
                else
                        buf_add(out, STR("+Inf"));
                buf_addf(out, "\"} %" PRIu64 "\n", count);
        }
        name_format(s, "_sum", out);
        buf_addf(out, "%.10g\n", (double)shown(m, s->cell + (uint32_t)def->bounds_count + 1) / unit);
        name_format(s, "_count", out);
        buf_addf(out, "%" PRIu64 "\n", count);
}

static void series_format(const struct metrics *m, const struct series *s, enum metrics_form form,
                          struct buf *out)
{
        const struct metric *def = s->def;
        uint64_t value = def->kind == METRIC_HISTOGRAM ? histogram_count(m, s)
                         : def->kind == METRIC_GAUGE   ? metrics_value(m, s->cell)
                                                       : shown(m, s->cell);

        /* What stands in for series that found no place shows only once it was needed. */
        if (s->is_rest && value == 0)
                return;
        if (def->kind == METRIC_HISTOGRAM) {
                histogram_format(m, s, form, out);
                return;
        }
        name_format(s, "", out);
        if (def->kind == METRIC_GAUGE)
                buf_addf(out, "%" PRId64 "\n", (int64_t)value);
        else
                buf_addf(out, "%" PRIu64 "\n", value);
}

static const char *const kinds[] = { "counter", "gauge", "histogram" };

/* In OpenMetrics a counter's family is named without the "_total" that its samples end with. */
void metric_family_format(const struct metric *def, enum metrics_form form, struct buf *out)
{
        struct str name = str_of(def->name), total = STR("_total");

        if (form == METRICS_OPENMETRICS && def->kind == METRIC_COUNTER && name.len > total.len &&
            str_eq(str_from(name, name.len - total.len), total))
                name.len -= total.len;
        buf_addf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", STR_FMT(name), def->help, STR_FMT(name),
                 kinds[def->kind]);
}

void metric_value_format(const struct metric *def, const struct str *values, int64_t value, struct buf *out)
{
        struct buf text;

        buf_init(&text, LABELS_TEXT_MAX);
        struct str labels = labels_format(def, values, &text);
        if (text.full)
                out->full = true;
        else if (labels.len)
                buf_addf(out, "%s{%.*s} %" PRId64 "\n", def->name, STR_FMT(labels), value);
        else
                buf_addf(out, "%s %" PRId64 "\n", def->name, value);
        buf_fini(&text);
}

void metrics_manual_format(const struct metric *defs, size_t count, struct buf *out)
{
        for (size_t i = 0; i < count; i++) {
                buf_addf(out, "| `%s` | %s | ", defs[i].name, kinds[defs[i].kind]);
                for (size_t j = 0; j < METRIC_LABELS_MAX && defs[i].labels[j]; j++)
                        buf_addf(out, "%s`%s`", j ? ", " : "", defs[i].labels[j]);
                buf_addf(out, " | %s |\n", defs[i].help);
        }
}

void metrics_format_end(enum metrics_form form, struct buf *out)
{
        if (form == METRICS_OPENMETRICS)
                buf_add(out, STR("# EOF\n"));
}

void metrics_format(const struct metrics *m, enum metrics_form form, struct buf *out)
{
        unsigned count = atomic_load_explicit(&m->series_count, memory_order_acquire);

        /* A family's series stand together: each definition is written where its first series stands. */
        for (unsigned i = 0; i < count; i++) {
                const struct metric *def = m->series[i].def;
                unsigned first = 0;

                while (m->series[first].def != def)
                        first++;
                if (first != i)
                        continue;
                metric_family_format(def, form, out);
                for (unsigned j = i; j < count; j++)
                        if (m->series[j].def == def)
                                series_format(m, &m->series[j], form, out);
        }
}
