/*
 * A thousand agents and a hundred gateways at one control: the real ends of the push channel under a fake clock, with
 * latencies of 1 to 60 ms. What is counted: how soon an edit is everywhere, how many whole documents and bytes it took, how many
 * connections a second control meets after a restart.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/test.h"

#include "base/hash.h"
#include "crypto/ed25519.h"
#include "wire/session.h"

enum { AGENTS = 1000, GATEWAYS = 100, NODES = AGENTS + GATEWAYS, SERVICES = 300, SECONDS_MAX = 200 };

static const uint8_t seed[WIRE_SEED_BYTES] = "thirty-two bytes of a known seed";

enum kind {
        WAKE_NODE,
        WAKE_CONTROL,
        TO_NODE,
        TO_CONTROL,
        PING_TO_NODE,
        PING_TO_CONTROL,
        CONNECTED,
        FAILED,
        ENDED
};

struct event {
        mono_ms at;
        uint64_t order;
        enum kind kind;
        unsigned node, connection;
        char *text;
        size_t len;
};

struct node {
        char id[32];
        struct wire_node_end *end;
        struct wire_control_end *control;
        struct wire_document *target;
        unsigned connection; /* events of an earlier one are nobody's */
        int64_t latency;
        mono_ms node_wakes, control_wakes, applied_at;
};

static struct {
        mono_ms now;
        struct event *heap;
        size_t count, cap;
        uint64_t order, random;
        struct node nodes[NODES];
        struct wire_pacer pacer;
        bool is_up; /* control */
        uint64_t epoch, version;
        unsigned services; /* the number that each service's item holds */
        unsigned connects[SECONDS_MAX], tries[SECONDS_MAX];
        uint64_t wholes, changes, bytes;
} sim;

static uint64_t roll(void)
{
        sim.random += UINT64_C(0x9e3779b97f4a7c15);
        return hash_u64(sim.random);
}

/* ---- the heap of what is to come ---- */

static bool before(const struct event *a, const struct event *b)
{
        return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(size_t a, size_t b)
{
        struct event e = sim.heap[a];

        sim.heap[a] = sim.heap[b];
        sim.heap[b] = e;
}

static void later(mono_ms at, enum kind kind, unsigned node, struct str text)
{
        struct event e = { at, sim.order++, kind, node, sim.nodes[node].connection, NULL, text.len };

        if (text.len) {
                e.text = malloc(text.len);
                memcpy(e.text, text.ptr, text.len);
        }
        if (sim.count == sim.cap) {
                sim.cap = sim.cap ? 2 * sim.cap : 4096;
                sim.heap = realloc(sim.heap, sim.cap * sizeof(*sim.heap));
                assert_non_null(sim.heap);
        }
        size_t i = sim.count++;
        sim.heap[i] = e;
        for (; i > 0 && before(&sim.heap[i], &sim.heap[(i - 1) / 2]); i = (i - 1) / 2)
                swap(i, (i - 1) / 2);
}

static struct event soonest(void)
{
        struct event e = sim.heap[0];
        size_t i = 0, least;

        sim.heap[0] = sim.heap[--sim.count];
        for (;; i = least) {
                least = i;
                for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < sim.count; c++)
                        if (before(&sim.heap[c], &sim.heap[least]))
                                least = c;
                if (least == i)
                        return e;
                swap(i, least);
        }
}

/* ---- documents ---- */

static struct wire_item *service_items[SERVICES];

static void services_make(unsigned changed)
{
        char id[32], json[160];

        for (unsigned i = 0; i < SERVICES; i++) {
                if (service_items[i] && i != changed)
                        continue;
                wire_item_put(service_items[i]);
                snprintf(id, sizeof(id), "sv-%04u", i);
                snprintf(json, sizeof(json),
                         "{\"name\":\"app%u\",\"kind\":\"http\",\"hosts\":[\"app%u.example\"],\"n\":%u}", i,
                         i, i == changed ? sim.services : 0);
                assert_err(wire_item_new(STR("services"), str_of(id), str_of(json), &service_items[i]),
                           ERR_OK);
        }
}

/* A gateway is told of all services, an agent of its own three. */
static struct wire_document *document_for(unsigned node)
{
        struct wire_header h = { 1,
                                 node < AGENTS ? WIRE_AGENT : WIRE_GATEWAY,
                                 str_of(sim.nodes[node].id),
                                 STR("default"),
                                 sim.epoch,
                                 sim.version,
                                 1790000000,
                                 2592000 };
        struct wire_document *d;
        struct wire_draft *draft;

        assert_err(wire_draft_new(&h, &draft), ERR_OK);
        for (unsigned i = 0; i < SERVICES; i++)
                if (node >= AGENTS || i % 100 == node % 100)
                        assert_err(wire_draft_add(draft, service_items[i]), ERR_OK);
        assert_err(wire_draft_finish(&draft, seed, &d), ERR_OK);
        return d;
}

/* ---- what the ends want ---- */

static void control_ask(unsigned i);

static void node_ask(unsigned i)
{
        struct node *n = &sim.nodes[i];
        struct wire_event e;

        do {
                wire_node_end_next(n->end, sim.now, true, &e);
                switch (e.want) {
                case WIRE_WANT_DIAL:
                        sim.tries[MIN(sim.now / 1000, SECONDS_MAX - 1)]++;
                        n->connection++;
                        later(sim.now + 2 * n->latency, sim.is_up ? CONNECTED : FAILED, i, STR_NULL);
                        break;
                case WIRE_WANT_SEND: later(sim.now + n->latency, TO_CONTROL, i, e.text); break;
                case WIRE_WANT_PING: later(sim.now + n->latency, PING_TO_CONTROL, i, STR_NULL); break;
                case WIRE_WANT_CLOSE: later(sim.now, ENDED, i, STR_NULL); break;
                case WIRE_WANT_DOCUMENT:
                        n->applied_at = sim.now;
                        wire_node_end_applied(n->end, sim.now);
                        break;
                case WIRE_WANT_MESSAGE:
                        if (!e.message)
                                fail_msg("node %u: %s", i, e.why);
                        break;
                default: break;
                }
        } while (e.want != WIRE_WANT_NOTHING);
        mono_ms at = wire_node_end_deadline(n->end);
        if (at != MONO_NEVER && at != n->node_wakes)
                later(MAX(at, sim.now + 1), WAKE_NODE, i, STR_NULL);
        n->node_wakes = at;
}

static void control_ask(unsigned i)
{
        struct node *n = &sim.nodes[i];
        struct wire_event e;

        if (!n->control)
                return;
        uint64_t wholes = wire_control_end_wholes(n->control), changes = wire_control_end_changes(n->control);
        do {
                wire_control_end_next(n->control, sim.now, true, &e);
                if (e.want == WIRE_WANT_SEND) {
                        sim.bytes += e.text.len;
                        later(sim.now + n->latency, TO_NODE, i, e.text);
                } else if (e.want == WIRE_WANT_PING) {
                        later(sim.now + n->latency, PING_TO_NODE, i, STR_NULL);
                } else if (e.want == WIRE_WANT_CLOSE) {
                        fail_msg("control closes on node %u: %s", i, e.why);
                }
        } while (e.want != WIRE_WANT_NOTHING);
        sim.wholes += wire_control_end_wholes(n->control) - wholes;
        sim.changes += wire_control_end_changes(n->control) - changes;
        mono_ms at = wire_control_end_deadline(n->control);
        if (at != MONO_NEVER && at != n->control_wakes)
                later(MAX(at, sim.now + 1), WAKE_CONTROL, i, STR_NULL);
        n->control_wakes = at;
}

static void connected(unsigned i)
{
        struct node *n = &sim.nodes[i];

        if (!sim.is_up) { /* it went down meanwhile */
                wire_node_end_closed(n->end, sim.now, (uint32_t)roll());
                return;
        }
        sim.connects[MIN(sim.now / 1000, SECONDS_MAX - 1)]++;
        assert_err(wire_control_end_new(&sim.pacer, STR("sim"), sim.epoch, sim.now, &n->control), ERR_OK);
        wire_control_end_set(n->control, n->target, sim.now);
        n->control_wakes = 0;
        wire_node_end_opened(n->end, sim.now);
        control_ask(i);
}

static void cut(unsigned i)
{
        struct node *n = &sim.nodes[i];

        n->connection++; /* what is on its way is lost */
        wire_control_end_free(n->control);
        n->control = NULL;
        n->node_wakes = 0;
        wire_node_end_closed(n->end, sim.now, (uint32_t)roll());
        node_ask(i);
}

static void happen(struct event *e)
{
        struct node *n = &sim.nodes[e->node];
        bool is_now = e->connection == n->connection;
        struct str text = { e->text, e->len };

        switch (e->kind) {
        case WAKE_NODE: break;
        case WAKE_CONTROL: control_ask(e->node); break;
        case TO_NODE:
                if (is_now)
                        wire_node_end_receive(n->end, text, sim.now);
                break;
        case TO_CONTROL:
                if (is_now && n->control)
                        wire_control_end_receive(n->control, text, sim.now);
                control_ask(e->node);
                break;
        case PING_TO_NODE:
                if (is_now && n->control) {
                        wire_node_end_heard(n->end, sim.now);
                        wire_control_end_heard(n->control, sim.now);
                }
                break;
        case PING_TO_CONTROL:
                if (is_now && n->control) {
                        wire_control_end_heard(n->control, sim.now);
                        wire_node_end_heard(n->end, sim.now);
                }
                break;
        case CONNECTED: connected(e->node); break;
        case FAILED:
                if (is_now)
                        wire_node_end_closed(n->end, sim.now, (uint32_t)roll());
                break;
        case ENDED:
                if (is_now)
                        cut(e->node);
                break;
        }
        if (e->kind != WAKE_CONTROL)
                node_ask(e->node);
        free(e->text);
}

static void run_until(mono_ms end)
{
        while (sim.count && sim.heap[0].at <= end) {
                struct event e = soonest();
                sim.now = e.at;
                happen(&e);
        }
        sim.now = end;
}

/* ---- control ---- */

static void retarget(bool all_anew)
{
        for (unsigned i = 0; i < NODES; i++) {
                struct node *n = &sim.nodes[i];
                struct wire_document *d = document_for(i);
                bool is_same = n->target && !all_anew &&
                               memcmp(wire_document_items_hash(d), wire_document_items_hash(n->target),
                                      WIRE_HASH_BYTES) == 0;
                if (is_same) { /* an edit that does not concern it: no new version */
                        wire_document_put(d);
                        continue;
                }
                wire_document_put(n->target);
                n->target = d;
                n->applied_at = 0;
                if (n->control) {
                        wire_control_end_set(n->control, d, sim.now);
                        control_ask(i);
                }
        }
}

static unsigned behind(void)
{
        unsigned count = 0;

        for (unsigned i = 0; i < NODES; i++) {
                const struct wire_document *have = wire_node_end_document(sim.nodes[i].end);
                count += !have || memcmp(wire_document_hash(have), wire_document_hash(sim.nodes[i].target),
                                         WIRE_HASH_BYTES) != 0;
        }
        return count;
}

static void begin(void)
{
        memset(&sim, 0, sizeof(sim));
        sim.random = 42;
        sim.is_up = true;
        sim.epoch = sim.version = 1;
        wire_pacer_init(&sim.pacer, 0);
        services_make(0);
        for (unsigned i = 0; i < NODES; i++) {
                struct node *n = &sim.nodes[i];
                struct wire_node_conf conf = { i < AGENTS ? WIRE_AGENT : WIRE_GATEWAY,
                                               STR_NULL,
                                               STR("default"),
                                               STR("sim"),
                                               { 0 },
                                               NULL };
                snprintf(n->id, sizeof(n->id), "%s-%04u", i < AGENTS ? "ag" : "gw", i);
                conf.node = str_of(n->id);
                crypto_ed25519_public(seed, conf.document_key);
                n->latency = 1 + (int64_t)(roll() % 60);
                assert_err(wire_node_end_new(&conf, &n->end), ERR_OK);
        }
        retarget(true);
        for (unsigned i = 0; i < NODES; i++)
                node_ask(i);
        run_until(20 * 1000);
        assert_int_equal(behind(), 0);
}

static void end(void)
{
        for (unsigned i = 0; i < NODES; i++) {
                wire_node_end_free(sim.nodes[i].end);
                wire_control_end_free(sim.nodes[i].control);
                wire_document_put(sim.nodes[i].target);
        }
        for (size_t i = 0; i < sim.count; i++)
                free(sim.heap[i].text);
        free(sim.heap);
        for (unsigned i = 0; i < SERVICES; i++) {
                wire_item_put(service_items[i]);
                service_items[i] = NULL;
        }
}

static void forget(void)
{
        sim.wholes = sim.changes = sim.bytes = 0;
}

static unsigned most(const unsigned *per_second)
{
        unsigned max = 0;

        for (size_t i = (size_t)(sim.now / 1000) > 60 ? 60 : 0; i < SECONDS_MAX; i++)
                max = MAX(max, per_second[i]);
        return max;
}

static void one_edit_is_everywhere_within_a_second(void **state)
{
        mono_ms edit, last = 0;
        (void)state;

        begin();
        assert_int_equal(sim.wholes, NODES); /* each got the whole once, when it was new */
        forget();
        sim.now = edit = 30 * 1000;
        run_until(edit);
        sim.version++;
        sim.services++;
        services_make(7);
        retarget(false);
        run_until(edit + 1000);
        assert_int_equal(behind(), 0);
        for (unsigned i = 0; i < NODES; i++)
                last = MAX(last, sim.nodes[i].applied_at);
        assert_true(last > edit && last - edit <= 1000);
        assert_int_equal(sim.wholes, 0);
        assert_int_equal(sim.changes,
                         GATEWAYS + AGENTS / 100); /* the gateways, and the ten agents it concerns */
        assert_true(sim.bytes < sim.changes * 800);
        print_message("an edit reached %u nodes in %lld ms with %llu bytes\n", (unsigned)sim.changes,
                      (long long)(last - edit), (unsigned long long)sim.bytes);
        end();
}

static void a_burst_of_edits_is_gathered(void **state)
{
        (void)state;

        begin();
        forget();
        for (unsigned i = 0; i < 100; i++) { /* in 200 ms */
                sim.version++;
                sim.services++;
                services_make(i);
                retarget(false);
                run_until(sim.now + 2);
        }
        run_until(sim.now + 1000);
        assert_int_equal(behind(), 0);
        assert_int_equal(sim.wholes, 0);
        /* 50 ms of gathering and up to 120 ms for an acknowledgement: a handful of messages a gateway, not a hundred. */
        assert_true(sim.changes < 8 * GATEWAYS + 4 * AGENTS);
        end();
}

static void control_goes(void)
{
        sim.is_up = false;
        for (unsigned i = 0; i < NODES; i++)
                cut(i);
}

static void control_comes(bool is_new_leader)
{
        sim.is_up = true;
        sim.epoch += is_new_leader;
        wire_pacer_init(&sim.pacer, sim.now);
        retarget(is_new_leader);
}

static void restart(int64_t down_ms, bool is_new_leader, unsigned connects_max, uint64_t changes)
{
        begin();
        run_until(60 * 1000);
        forget();
        control_goes();
        run_until(sim.now + down_ms);
        control_comes(is_new_leader);
        mono_ms back = sim.now;
        run_until(back + 40 * 1000);
        for (unsigned i = 0; i < NODES; i++)
                assert_true(wire_node_end_is_up(sim.nodes[i].end));
        assert_int_equal(behind(), 0);
        assert_int_equal(sim.wholes, 0);
        assert_int_equal(sim.changes, changes);
        print_message("after %lld ms: at most %u connections and %u tries a second, %llu bytes\n",
                      (long long)down_ms, most(sim.connects), most(sim.tries), (unsigned long long)sim.bytes);
        assert_true(most(sim.connects) <= connects_max);
        end();
}

static void a_short_restart(void **state)
{
        (void)state;
        restart(100, false, 700, 0); /* 1100 nodes within 2 s */
}

static void a_long_outage(void **state)
{
        (void)state;
        restart(60 * 1000, false, 120, 0); /* within 30 s */
}

static void another_control_takes_over(void **state)
{
        (void)state;
        restart(100, true, 700, NODES); /* each is told the new epoch, and no item */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_edit_is_everywhere_within_a_second),
                cmocka_unit_test(a_burst_of_edits_is_gathered),
                cmocka_unit_test(a_short_restart),
                cmocka_unit_test(a_long_outage),
                cmocka_unit_test(another_control_takes_over),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
