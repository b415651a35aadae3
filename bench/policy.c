/*
 * bench-policy: the policy engine on a network of a given size, and what it costs: reading, checking, compiling, one
 * machine's change, decisions, memory.
 *
 *   bench-policy [NODES USERS RULES]        10000 2000 1000
 *
 * Everything is made up from a fixed seed. Times are processor time, the best of a few runs; decisions are the
 * distribution over a million, each timed alone by the wall, the cost of reading the clock taken off; of five such
 * rounds the least disturbed. Prints one line for each figure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/units.h"
#include "policy/decide.h"
#include "policy/gate.h"
#include "policy/tables.h"
#include "policy/wire.h"

enum { RUNS = 5, QUESTIONS = 1000000, GROUPS = 200, TAGS = 100, TEXT_MAX = 64 << 20 };

static uint64_t seed = 0x9e3779b97f4a7c15;
static unsigned nodes = 10000, users = 2000, rules = 1000;

static unsigned below(unsigned n)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (unsigned)((seed >> 20) % n);
}

static uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static _Noreturn void fail(const char *what, const struct report *r)
{
        struct buf text;

        buf_init(&text, 1 << 20);
        if (r)
                report_format(r, &text);
        fprintf(stderr, "bench-policy: %s\n%.*s", what, STR_FMT(buf_str(&text)));
        exit(1);
}

/* ---- the network ---- */

static void src_write(struct buf *b)
{
        switch (below(8)) {
        case 0: buf_addf(b, "\"u%u@example.com\"", below(users)); break;
        case 1: buf_add(b, STR("\"autogroup:member\"")); break;
        case 2:
        case 3: buf_addf(b, "\"tag:t%u\"", below(TAGS)); break;
        default: buf_addf(b, "\"group:g%u\", \"group:g%u\"", below(GROUPS), below(GROUPS)); break;
        }
}

static void dst_write(struct buf *b)
{
        switch (below(10)) {
        case 0: buf_addf(b, "\"10.%u.0.0/16\"", below(200)); break;
        case 1: buf_addf(b, "\"100.64.%u.%u\"", below(40), below(256)); break;
        case 2: buf_addf(b, "\"group:g%u\"", below(GROUPS)); break;
        default: buf_addf(b, "\"tag:t%u\", \"tag:t%u\"", below(TAGS), below(TAGS)); break;
        }
}

static void rule_write(struct buf *b, unsigned i)
{
        static const unsigned ports[] = { 22, 80, 443, 5432, 6379, 8080, 9090 };

        buf_add(b, STR("{\"src\": ["));
        src_write(b);
        buf_add(b, STR("], \"dst\": ["));
        if (i % 20 == 0) {
                buf_addf(b, "\"service:s%u\", \"model:m%u*\"]", below(50), below(10));
        } else {
                dst_write(b);
                buf_addf(b, "], \"ip\": [\"tcp:%u\", \"%u-%u\"]", ports[below(7)], 10000 + below(1000),
                         11000 + below(1000));
                if (i % 20 == 3)
                        buf_add(b, STR(", \"srcPosture\": [\"posture:p\"]"));
        }
        buf_add(b, STR("},\n"));
}

static void policy_write(struct buf *b, unsigned rules_count, unsigned members)
{
        buf_add(b, STR("{\n\"groups\": {\n"));
        for (unsigned g = 0; g < GROUPS; g++) {
                buf_addf(b, "\"group:g%u\": [", g);
                for (unsigned i = 0; i < members; i++)
                        buf_addf(b, "\"u%u@example.com\", ", below(users));
                buf_add(b, STR("],\n"));
        }
        buf_add(b, STR("},\n\"tagOwners\": {\n"));
        for (unsigned t = 0; t < TAGS; t++)
                buf_addf(b, "\"tag:t%u\": [\"group:g%u\"],\n", t, below(GROUPS));
        buf_add(b,
                STR("},\n\"postures\": {\"posture:p\": [\"node:os IN ['linux', 'macos']\", \"custom:score > 40\"]},\n"
                    "\"grants\": [\n{\"src\": [\"autogroup:member\"], \"dst\": [\"autogroup:self\"], \"ip\": [\"*\"]},\n"));
        for (unsigned i = 1; i < rules_count; i++)
                rule_write(b, i);
        buf_add(b, STR("],\n}\n"));
}

static void node_write(struct buf *b, unsigned i)
{
        buf_addf(
                b,
                "{\"id\": \"%u\", \"name\": \"n%u\", \"addresses\": [\"100.64.%u.%u\", \"fd7a:115c:a1e0::%x\"], ",
                i, i, i >> 8 & 255, i & 255, i);
        if (i % 50 == 0)
                buf_addf(b, "\"approvedRoutes\": [\"10.%u.0.0/16\"], ", i / 50 % 200);
        if (i % 5 < 3)
                buf_addf(b,
                         "\"user\": \"%u\", \"attributes\": {\"node:os\": \"linux\", \"custom:score\": %u}}",
                         below(users), below(100));
        else
                buf_addf(b, "\"tags\": [\"tag:t%u\", \"tag:t%u\"]}", below(TAGS / 2),
                         TAGS / 2 + below(TAGS / 2));
}

static void facts_write(struct buf *b)
{
        buf_add(b, STR("{\"users\": ["));
        for (unsigned i = 0; i < users; i++)
                buf_addf(b, "%s{\"id\": \"%u\", \"email\": \"u%u@example.com\", \"role\": \"%s\"}",
                         i ? ",\n" : "", i, i, i ? "member" : "owner");
        buf_add(b, STR("], \"nodes\": ["));
        for (unsigned i = 0; i < nodes; i++) {
                buf_add(b, i ? STR(",\n") : STR(""));
                node_write(b, i);
        }
        buf_add(b, STR("], \"services\": ["));
        for (unsigned i = 0; i < 50; i++)
                buf_addf(b, "%s\"s%u\"", i ? ", " : "", i);
        buf_add(b, STR("], \"models\": [\"m1-large\", \"m2-small\"], \"time\": \"2027-01-31T09:00:00Z\"}"));
}

/* ---- what it costs ---- */

static struct policy_file *file_make(const struct buf *text)
{
        struct policy_file *f;
        struct report r;

        report_init(&r, STR("policy"));
        if (policy_file_new(buf_str(text), &r, &f) != ERR_OK)
                fail("the policy is refused", &r);
        report_fini(&r);
        return f;
}

static struct policy_facts *facts_make(const struct buf *text)
{
        struct policy_facts *f;
        struct report r;

        report_init(&r, STR("facts"));
        if (policy_facts_new(buf_str(text), &r, &f) != ERR_OK)
                fail("the facts are refused", &r);
        report_fini(&r);
        return f;
}

static struct policy_tables *compiled(struct policy_file *file, struct policy_facts *facts)
{
        struct policy_tables *t;
        struct report r;

        report_init(&r, STR("policy"));
        if (policy_compile(file, facts, &r, &t) != ERR_OK)
                fail("the policy does not compile", &r);
        report_fini(&r);
        return t;
}

static void line(const char *what, double value, const char *unit)
{
        printf("%-44s %10.3f %s\n", what, value, unit);
        fflush(stdout);
}

static double memory_mib(void)
{
        struct rusage u;

        getrusage(RUSAGE_SELF, &u);
        return (double)u.ru_maxrss / 1024;
}

/* Processor time: what others do on the machine is not counted, but for what they take of its caches. */
static uint64_t cpu_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static double ms_since(uint64_t start)
{
        return (double)(cpu_ns() - start) / 1e6;
}

static void check_measure(void)
{
        double best = 1e9;
        struct buf text;

        buf_init(&text, TEXT_MAX);
        for (unsigned n = 5000; text.len < 1 << 20; n += 100) {
                buf_clear(&text);
                policy_write(&text, n, 20);
        }
        for (int i = 0; i < RUNS; i++) {
                uint64_t start = cpu_ns();
                struct policy_file *f = file_make(&text);

                best = MIN(best, ms_since(start));
                policy_file_put(f);
        }
        line("check a policy of 1 MiB", best, "ms");
        buf_fini(&text);
}

static struct policy_tables *compile_measure(struct policy_file *file, const struct buf *facts_text)
{
        struct policy_tables *t = NULL;
        struct policy_facts *facts = NULL;
        double best = 1e9, best_facts = 1e9;

        for (int i = 0; i < RUNS; i++) {
                policy_tables_put(t);
                policy_facts_put(facts);
                uint64_t start = cpu_ns();
                facts = facts_make(facts_text);
                best_facts = MIN(best_facts, ms_since(start));
                start = cpu_ns();
                t = compiled(file, facts);
                best = MIN(best, ms_since(start));
        }
        policy_facts_put(facts);
        line("read the facts", best_facts, "ms");
        line("compile", best, "ms");
        printf("%-44s %10u\n%-44s %10zu\n%-44s %10zu\n", "units", t->units->count, "different sets of units",
               t->units->pool.sets_count, "addresses", t->addresses_count);
        return t;
}

static struct policy_tables *change_measure(struct policy_tables *t)
{
        double best = 1e9, worst = 0;

        for (unsigned i = 0; i < 20; i++) {
                struct policy_tables *next;
                struct policy_facts *facts;
                struct report r;
                struct buf patch;

                buf_init(&patch, TEXT_MAX);
                buf_add(&patch, STR("{\"nodes\": ["));
                node_write(&patch, (i * 977 + 3) % nodes);
                buf_add(&patch, STR("]}"));
                report_init(&r, STR("patch"));
                uint64_t start = cpu_ns();
                if (policy_facts_patch(t->facts, buf_str(&patch), &r, &facts) != ERR_OK ||
                    policy_tables_update(t, facts, &r, &next) != ERR_OK)
                        fail("the change is refused", &r);
                double ms = ms_since(start);
                best = MIN(best, ms);
                worst = MAX(worst, ms);
                policy_facts_put(facts);
                policy_tables_put(t);
                t = next;
                report_fini(&r);
                buf_fini(&patch);
        }
        line("one machine's change, best", best, "ms");
        line("one machine's change, worst of 20", worst, "ms");
        return t;
}

/* One more service above the network, so that the list of them is another each time. */
static void service_change_measure(struct policy_tables *t)
{
        double best = 1e9;

        for (unsigned i = 0; i < 20; i++) {
                struct policy_tables *next;
                struct policy_facts *facts;
                struct report r;
                struct buf patch;

                buf_init(&patch, TEXT_MAX);
                buf_addf(&patch, "{\"services\": [\"s1\", \"more%u\"]}", i);
                report_init(&r, STR("patch"));
                uint64_t start = cpu_ns();
                if (policy_facts_patch(t->facts, buf_str(&patch), &r, &facts) != ERR_OK ||
                    policy_tables_update(t, facts, &r, &next) != ERR_OK)
                        fail("the change is refused", &r);
                best = MIN(best, ms_since(start));
                policy_facts_put(facts);
                policy_tables_put(next);
                report_fini(&r);
                buf_fini(&patch);
        }
        line("one service's change, best", best, "ms");
}

static int by_size(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

/* A million times, sorted, as parts of them. */
static const double parts[] = { 0.5, 0.99, 0.999 };
struct times {
        double us[ARRAY_SIZE(parts)];
};

static struct times times_of(uint32_t *ns, uint32_t clock_ns)
{
        struct times times;

        qsort(ns, QUESTIONS, sizeof(*ns), by_size);
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                uint32_t t = ns[(size_t)((QUESTIONS - 1) * parts[i])];

                times.us[i] = (double)(t > clock_ns ? t - clock_ns : 0) / 1000;
        }
        return times;
}

/* The round that others disturbed least. */
static void times_best(struct times *best, int round, struct times now)
{
        if (round == 0 || now.us[1] < best->us[1])
                *best = now;
}

static void times_print(const char *what, const struct times *t)
{
        static const char *const names[] = { "median", "p99", "p99.9" };
        char label[64];

        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                snprintf(label, sizeof(label), "%s, %s", what, names[i]);
                line(label, t->us[i], "us");
        }
}

/* Three in four from machine to machine; the others from or to networks behind routers, and strangers. */
static struct ip end_make(const struct policy_tables *t)
{
        const struct policy_node *node = t->facts->nodes[below(nodes)];
        struct ip ip = node->addresses[below(8) == 0];

        if (below(8) == 0) {
                char text[IP_TEXT_MAX];

                snprintf(text, sizeof(text), "10.%u.%u.%u", below(250), below(256), below(256));
                if (ip_parse(str_of(text), &ip) != ERR_OK)
                        fail("an address", NULL);
        }
        return ip;
}

static uint32_t clock_cost(void)
{
        uint32_t ns = UINT32_MAX;

        for (int i = 0; i < 1000; i++) {
                uint64_t start = now_ns();

                ns = MIN(ns, (uint32_t)(now_ns() - start));
        }
        return ns;
}

static void decide_measure(const struct policy_tables *t)
{
        static const uint16_t ports[] = { 22, 80, 443, 5432, 10500, 1 };
        uint32_t *ns = malloc(QUESTIONS * sizeof(*ns)), clock_ns = clock_cost();
        struct times best;
        size_t allowed = 0;

        for (int round = 0; ns && round < RUNS; round++) {
                for (int i = 0; i < QUESTIONS; i++) {
                        struct policy_question q = { end_make(t), end_make(t), PROTO_TCP, ports[below(6)] };
                        uint64_t start = now_ns();

                        allowed += policy_decide(t, &q).is_allowed;
                        ns[i] = (uint32_t)(now_ns() - start);
                }
                times_best(&best, round, times_of(ns, clock_ns));
        }
        times_print("decision", &best);
        line("of these allowed", 100.0 * (double)allowed / QUESTIONS / RUNS, "%");
        free(ns);
}

static void gate_measure(const struct policy_tables *t)
{
        uint32_t *ns = malloc(QUESTIONS * sizeof(*ns)), clock_ns = clock_cost();
        struct times best;
        size_t allowed = 0;

        for (int round = 0; ns && round < RUNS; round++) {
                for (int i = 0; i < QUESTIONS; i++) {
                        struct policy_principal who = { .class = t->users[below(users)].class };
                        struct policy_asker asker = { .now = t->facts->now, .auth = AUTH_SSO };
                        struct policy_resource what = { ALIAS_SERVICE, t->facts->services[below(50)].name,
                                                        STR_NULL };
                        struct policy_gate gate;
                        struct policy_way way;
                        uint64_t start = now_ns();

                        policy_gate_open(&gate, t, who, &asker, what);
                        allowed += policy_gate_next(&gate, &way);
                        ns[i] = (uint32_t)(now_ns() - start);
                }
                times_best(&best, round, times_of(ns, clock_ns));
        }
        times_print("decision above the network", &best);
        line("of these allowed", 100.0 * (double)allowed / QUESTIONS / RUNS, "%");
        free(ns);
}

static void tell_measure(const struct policy_tables *t)
{
        uint64_t start = cpu_ns();
        struct policy_writer *writer = policy_writer_new(t);
        struct json_writer w;
        size_t bytes = 0;
        struct buf out;

        buf_init(&out, 1 << 30);
        for (size_t i = 0; writer && i < t->facts->nodes_count; i++) {
                buf_clear(&out);
                json_writer_init(&w, &out, JSON_COMPACT);
                policy_write_node(writer, i, &w);
                json_writer_finish(&w);
                bytes += out.len;
        }
        line("write what all machines are told", ms_since(start), "ms");
        line("  of JSON", (double)bytes / (1 << 20), "MiB");
        policy_writer_free(writer);
        buf_fini(&out);
}

static unsigned number(const char *text)
{
        uint64_t value;

        if (units_parse_u64(str_of(text), 60000, &value) != ERR_OK || !value)
                fail("NODES, USERS and RULES are numbers up to 60000", NULL);
        return (unsigned)value;
}

int main(int argc, char **argv)
{
        struct buf policy, facts;

        if (argc == 4) {
                nodes = number(argv[1]);
                users = number(argv[2]);
                rules = number(argv[3]);
        } else if (argc != 1) {
                fail("usage: bench-policy [NODES USERS RULES]", NULL);
        }
        buf_init(&policy, TEXT_MAX);
        buf_init(&facts, TEXT_MAX);
        policy_write(&policy, rules, 20);
        facts_write(&facts);
        struct policy_file *file = file_make(&policy);
        struct policy_tables *t = compile_measure(file, &facts);
        line("memory at its highest", memory_mib(), "MiB");
        t = change_measure(t);
        service_change_measure(t);
        decide_measure(t);
        gate_measure(t);
        check_measure();
        tell_measure(t);
        policy_tables_put(t);
        policy_file_put(file);
        buf_fini(&policy);
        buf_fini(&facts);
        return 0;
}
