/*
 * What lies behind machines. Theory of operation: each approved prefix knows its routers and the union of the units that
 * any of them opens; an address is looked up once for each length that some prefix has. A unit of that union is let
 * through where it names the address: who opens a unit on one of its routes opens it on all that the unit names.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/decide.h"
#include "policy/tables_priv.h"

static int route_order(const void *a, const void *b)
{
        const struct policy_route *x = a, *y = b;
        int order = ip_cmp(x->prefix.ip, y->prefix.ip);

        return order ? order : (int)x->prefix.bits - (int)y->prefix.bits;
}

/* One route of one machine, in the making. */
struct passage {
        struct policy_route route;
        uint32_t router;
};

static int passage_order(const void *a, const void *b)
{
        const struct passage *x = a, *y = b;
        int order = route_order(&x->route, &y->route);

        return order ? order : (x->router < y->router ? -1 : x->router > y->router);
}

static struct passage *passages_make(const struct policy_tables *t, size_t *count)
{
        size_t total = 0;

        for (size_t i = 0; i < t->facts->nodes_count; i++)
                total += t->facts->nodes[i]->approved_count;
        struct passage *passages = malloc((total + 1) * sizeof(*passages));
        *count = 0;
        for (size_t i = 0; passages && i < t->facts->nodes_count; i++)
                for (size_t j = 0; j < t->facts->nodes[i]->approved_count; j++)
                        passages[(*count)++] =
                                (struct passage){ { .prefix = t->facts->nodes[i]->approved[j] },
                                                  (uint32_t)i };
        if (passages)
                qsort(passages, *count, sizeof(*passages), passage_order);
        return passages;
}

/* ---- the units of a route ---- */

static void words_or(uint64_t *words, const struct policy_set *set, size_t count)
{
        for (size_t i = 0; set && i < count; i++)
                words[i] |= policy_set_words(set)[i];
}

/* An exit route also carries what names the machine's own addresses along with the address asked for. */
static bool route_units_make(struct policy_work *w, struct policy_route *r)
{
        struct policy_tables *t = w->t;
        size_t words = t->units->words_count;

        memcpy(w->words, t->units->dst_any, words * sizeof(*w->words));
        for (uint32_t i = 0; i < r->routers_count; i++) {
                const struct policy_node_entry *e = &t->nodes[t->routers[r->routers + i]];

                words_or(w->words, e->routes, words);
                for (size_t j = 0; policy_prefix_is_exit(&r->prefix) && j < e->node->addresses_count; j++) {
                        const struct policy_address *a = policy_tables_find_address(t, e->node->addresses[j]);

                        words_or(w->words, a ? a->dst : NULL, words);
                }
        }
        r->units = policy_set_intern(&t->units->pool, w->words);
        return r->units != NULL;
}

/* Who is no machine: units from everybody, from "*", and from addresses as such. */
static bool outsider_make(struct policy_work *w)
{
        struct policy_units *u = w->t->units;

        for (size_t i = 0; i < u->words_count; i++)
                w->words[i] = u->src_all[i] | u->src_any[i];
        for (uint32_t i = 0; i < u->src_ranged_count; i++)
                policy_words_add(w->words, u->src_ranged[i]);
        w->t->outsider = policy_set_intern(&u->pool, w->words);
        return w->t->outsider != NULL;
}

/* ---- the hash of routes ---- */

static size_t route_slot(const struct policy_tables *t, struct ip ip, unsigned bits)
{
        size_t i = policy_ip_hash(ip, bits) & (t->route_slots_cap - 1);

        while (t->route_slots[i]) {
                const struct policy_route *r = &t->routes[t->route_slots[i] - 1];

                if (r->prefix.bits == bits && ip_eq(r->prefix.ip, ip))
                        break;
                i = (i + 1) & (t->route_slots_cap - 1);
        }
        return i;
}

static bool route_slots_make(struct policy_tables *t)
{
        t->route_slots_cap = 4;
        while (t->route_slots_cap < 2 * t->routes_count)
                t->route_slots_cap *= 2;
        t->route_slots = calloc(t->route_slots_cap, sizeof(*t->route_slots));
        for (uint32_t i = 0; t->route_slots && i < t->routes_count; i++) {
                const struct ip_prefix *p = &t->routes[i].prefix;

                t->route_slots[route_slot(t, p->ip, p->bits)] = i + 1;
        }
        return t->route_slots != NULL;
}

/* ---- all routes ---- */

static bool routes_fill(struct policy_work *w, const struct passage *passages, size_t count)
{
        struct policy_tables *t = w->t;

        for (size_t i = 0; i < count; i++) {
                const struct ip_prefix *p = &passages[i].route.prefix;
                bool is_exit = policy_prefix_is_exit(p);
                struct policy_route *r = is_exit ? &t->exits[p->ip.family == 6] : &t->routes[t->routes_count];

                if (i == 0 || route_order(&passages[i].route, &passages[i - 1].route) != 0) {
                        *r = (struct policy_route){ .prefix = *p, .routers = (uint32_t)i };
                        if (!is_exit)
                                t->route_lengths[p->ip.family == 6][p->bits / 64] |= 1ull << (p->bits % 64);
                }
                t->routers[i] = passages[i].router;
                r->routers_count++;
                if (i + 1 < count && route_order(&passages[i].route, &passages[i + 1].route) == 0)
                        continue;
                t->routes_count += !is_exit;
                if (!route_units_make(w, r))
                        return false;
        }
        return true;
}

bool policy_routes_make(struct policy_work *w)
{
        struct policy_tables *t = w->t;
        size_t count;
        struct passage *passages = passages_make(t, &count);

        t->routes = calloc(count + 1, sizeof(*t->routes));
        t->routers = calloc(count + 1, sizeof(*t->routers));
        bool ok = passages && t->routes && t->routers && outsider_make(w) &&
                  routes_fill(w, passages, count) && route_slots_make(t);
        free(passages);
        w->no_memory |= !ok;
        return ok;
}

void policy_routes_fini(struct policy_tables *t)
{
        struct policy_set_pool *pool = &t->units->pool;

        for (size_t i = 0; i < t->routes_count; i++)
                policy_set_put(pool, t->routes[i].units);
        policy_set_put(pool, t->exits[0].units);
        policy_set_put(pool, t->exits[1].units);
        policy_set_put(pool, t->outsider);
        free(t->routes);
        free(t->routers);
        free(t->route_slots);
}

/* ---- look-ups ---- */

/* The longest length of at most `bits` that some route has; 0: none. */
static unsigned length_below(const uint64_t lengths[3], unsigned bits)
{
        for (unsigned i = bits / 64 + 1; i-- > 0;) {
                unsigned top = i == bits / 64 ? bits % 64 : 63;
                uint64_t word = lengths[i] & (UINT64_MAX >> (63 - top));

                if (word)
                        return i * 64 + 63 - (unsigned)__builtin_clzll(word);
        }
        return 0;
}

const struct policy_route *policy_tables_next_route(const struct policy_tables *t, struct ip ip,
                                                    unsigned *from)
{
        const struct policy_route *exit = &t->exits[ip.family == 6];

        if (*from == 0)
                return NULL;
        /* The prefixes of an address nest: from the longest to the exit route. */
        for (unsigned bits = MIN(*from, ip.family == 4 ? 33u : 129u) - 1;
             (bits = length_below(t->route_lengths[ip.family == 6], bits)) > 0; bits--) {
                uint32_t found = t->route_slots[route_slot(t, ip_masked(ip, (uint8_t)bits), bits)];

                if (found) {
                        *from = bits;
                        return &t->routes[found - 1];
                }
        }
        *from = 0;
        return exit->routers_count ? exit : NULL;
}

bool policy_tables_has_route(const struct policy_tables *t, struct ip ip)
{
        unsigned from = POLICY_ROUTES_BEGIN;
        const struct policy_route *r = policy_tables_next_route(t, ip, &from);

        return r && !policy_prefix_is_exit(&r->prefix);
}

bool policy_tables_is_any_source(const struct policy_tables *t, struct ip ip)
{
        return policy_ranges_contain(policy_ranges_tailnet(), ip) || policy_tables_has_route(t, ip);
}
