#include <inttypes.h>

#include "base/metrics_priv.h"
#include "base/units.h"

/*
 * Theory of operation. The text has a line a series: "name{labels} n n n", a number for each of its cells, what they have beyond
 * the row of what was given; that row then has it. Label values are written as on the page, so no line ends within one and the
 * last brace is the one behind them. Gauges are of the process that has the things they count.
 */

/* False: nothing new. */
static bool news_of(struct metrics *m, const struct series *s, bool is_first, uint64_t *news)
{
        bool is_any = false;

        for (uint32_t i = 0; i < s->cells_count; i++) {
                cell *given = metrics_cell(m, metrics_row_given(m), s->cell + i);
                uint64_t had = is_first ? 0 : atomic_load_explicit(given, memory_order_relaxed),
                         has = metrics_value(m, s->cell + i);

                news[i] = has - had;
                is_any |= news[i] != 0;
                atomic_store_explicit(given, has, memory_order_relaxed);
        }
        return is_any;
}

void metrics_give(struct metrics *m, bool is_first, struct buf *out)
{
        unsigned count = atomic_load_explicit(&m->series_count, memory_order_acquire);
        uint64_t news[METRIC_BOUNDS_MAX + 2] = { 0 };

        for (unsigned i = 0; i < count; i++) {
                const struct series *s = &m->series[i];

                if (s->def->kind == METRIC_GAUGE || !news_of(m, s, is_first, news))
                        continue;
                buf_addf(out, "%s{%.*s}", s->def->name, (int)s->labels_len, s->labels);
                for (uint32_t n = 0; n < s->cells_count; n++)
                        buf_addf(out, " %" PRIu64, news[n]);
                buf_add_char(out, '\n');
        }
        atomic_store(&m->is_given, true);
}

void metrics_give_undo(struct metrics *m)
{
        atomic_store(&m->is_given, false);
}

static const struct metric *def_find(const struct metric *defs, size_t count, struct str name)
{
        for (size_t i = 0; i < count; i++)
                if (str_eq(str_of(defs[i].name), name))
                        return &defs[i];
        return NULL;
}

/* Nothing of a line whose numbers are not those of the series: the other program counted something else by that name. */
static void line_take(struct metrics *m, const struct metric *def, struct str labels, struct str numbers)
{
        uint64_t n[METRIC_BOUNDS_MAX + 2];
        uint32_t count = 0;
        const struct series *s;
        struct str word;

        while (str_split(&numbers, ' ', &word)) {
                if (count == ARRAY_SIZE(n) || units_parse_u64(word, UINT64_MAX, &n[count]) != ERR_OK)
                        return;
                count++;
        }
        uint32_t wanted = def->kind == METRIC_HISTOGRAM ? (uint32_t)def->bounds_count + 2 : 1;

        if (count != wanted || labels.len > sizeof(s->labels) || !(s = metrics_series_of(m, def, labels)))
                return;
        for (uint32_t i = 0; i < count; i++)
                atomic_fetch_add_explicit(metrics_cell(m, metrics_row_taken(m), s->cell + i), n[i],
                                          memory_order_relaxed);
}

void metrics_take(struct metrics *m, const struct metric *defs, size_t count, struct str text)
{
        struct str line;

        while (text.len && str_split(&text, '\n', &line)) {
                size_t open = str_find_char(line, '{'), close = line.len;
                const struct metric *def;

                while (close > 0 && line.ptr[close - 1] != '}')
                        close--;
                if (open == STR_NONE || close <= open || close + 1 >= line.len ||
                    !(def = def_find(defs, count, str_sub(line, 0, open))) || def->kind == METRIC_GAUGE)
                        continue;
                line_take(m, def, str_sub(line, open + 1, close - open - 2), str_from(line, close + 1));
        }
}
