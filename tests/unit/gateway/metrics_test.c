/*
 * docs/reference/metrics.md is what the tables of metrics say. SEKISHO_WRITE=1 writes the page anew:
 *   SEKISHO_WRITE=1 SEKISHO_SOURCE_ROOT=. build/tests/unit/gateway/gateway_metrics_test
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../test.h"
#include "dispatch/figures.h"
#include "llm/meter.h"
#include "proxy/measure.h"

static const struct {
        const struct metric *defs;
        size_t count;
        const char *prefix;
} tables[] = { { measure_metrics, MEASURES, "sekisho_" },
               { llm_metrics, LLM_METRICS, "sekisho_" },
               { figures_metrics, FIGURES, "http_dispatcher_" } };

static void page_format(struct buf *out)
{
        buf_add(out,
                STR("# Metrics\n\n"
                    "What `GET /metrics` of the admin listener shows, in Prometheus' text form, and control's `GET "
                    "/metrics`, to a key of scope\n"
                    "`read`; `http_dispatcher_*` is control's alone. Written from the tables in the code "
                    "(`src/proxy/measure_table.c`,\n"
                    "`src/llm/meter.c`, `src/dispatch/figures.c`) and compared with them by "
                    "`tests/unit/gateway/metrics_test.c`.\n\n"
                    "Numbers are sums over all worker processes and outlive a worker that dies. The values of a "
                    "label are names from the\n"
                    "configuration or fixed words, never what a stranger sent; past a metric's bound they count as "
                    "`other`.\n\n"
                    "| name | kind | labels | meaning |\n|---|---|---|---|\n"));
        for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
                metrics_manual_format(tables[i].defs, tables[i].count, out);
}

static void the_page(void **state)
{
        const char *root = getenv("SEKISHO_SOURCE_ROOT");
        bool writes = getenv("SEKISHO_WRITE") != NULL;
        static char text[1 << 18];
        char path[4096];
        struct buf out;

        buf_init(&out, sizeof(text));
        page_format(&out);
        assert_false(out.full);
        snprintf(path, sizeof(path), "%s/docs/reference/metrics.md", root ? root : ".");
        FILE *f = fopen(path, writes ? "w" : "r");
        assert_non_null(f);
        if (writes) {
                assert_int_equal(fwrite(out.ptr, 1, out.len, f), out.len);
        } else {
                size_t len = fread(text, 1, sizeof(text), f);
                if (!str_eq(buf_str(&out), (struct str){ text, len }))
                        fail_msg("%s is out of date; the head of this test says how to write it anew", path);
        }
        fclose(f);
        buf_fini(&out);
}

static bool has_suffix(const char *name, const char *suffix)
{
        return str_has_suffix(str_of(name), str_of(suffix));
}

static int names_count(const char *name)
{
        int count = 0;

        for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
                for (size_t j = 0; j < tables[i].count; j++)
                        count += strcmp(tables[i].defs[j].name, name) == 0;
        return count;
}

/* What promtool would say of a name, and what a page needs of a definition. */
static void the_names(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
                for (size_t j = 0; j < tables[i].count; j++) {
                        const struct metric *m = &tables[i].defs[j];

                        assert_non_null(m->name);
                        assert_true(str_has_prefix(str_of(m->name), str_of(tables[i].prefix)));
                        assert_true(has_suffix(m->name, "_total") == (m->kind == METRIC_COUNTER) ||
                                    strcmp(m->name, "http_dispatcher_agents_total") ==
                                            0); /* the predecessor's */
                        assert_true(has_suffix(m->help, "."));
                        assert_null(strpbrk(m->help, "\n\\|"));
                        assert_true(m->kind != METRIC_HISTOGRAM || has_suffix(m->name, "_seconds") ||
                                    has_suffix(m->name, "_bytes"));
                        for (size_t b = 1; b < m->bounds_count; b++)
                                assert_true(m->bounds[b - 1] < m->bounds[b]);
                        assert_int_equal(names_count(m->name), 1);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_page),
                cmocka_unit_test(the_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
