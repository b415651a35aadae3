/*
 * Networks behind routes, cut for a comparison. Theory of operation: a decision looks at an address only by the ranges that
 * hold it (of rules, of routes, of the internet), so between two ends of such ranges all addresses are alike. Each stretch
 * between two cuts is asked once for its units; neighbours with the same units are one again, and so are all stretches of
 * one route that have the same.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/decide.h"
#include "policy/diff_priv.h"

enum {
        STRETCHES_MAX = 200000,
        SETS_BYTES_MAX = 256 * 1024 * 1024, /* of different sets of units */
        RANGES_NAMED_MAX = 4,
};

/* ---- cuts: the first addresses of stretches ---- */

struct cuts {
        struct policy_comparison *c;
        struct ip *items;
        size_t count, cap;
        bool is_src, no_memory;
};

static bool is_routed(const struct cuts *cuts, struct ip ip)
{
        unsigned from = POLICY_ROUTES_BEGIN;

        return cuts->is_src ? policy_tables_has_route(cuts->c->before, ip)
                            : policy_tables_next_route(cuts->c->before, ip, &from) != NULL;
}

static void cut_add(struct cuts *cuts, struct ip ip)
{
        if (!is_routed(cuts, ip) || cuts->no_memory)
                return;
        if (cuts->count == cuts->cap) {
                size_t cap = cuts->cap ? cuts->cap * 2 : 256;
                struct ip *items = realloc(cuts->items, cap * sizeof(*items));

                if (!items) {
                        cuts->no_memory = true;
                        return;
                }
                cuts->items = items;
                cuts->cap = cap;
        }
        cuts->items[cuts->count++] = ip;
}

static void cut_around(struct cuts *cuts, struct policy_range range)
{
        struct ip after;

        cut_add(cuts, range.first);
        if (policy_ip_next(range.last, &after))
                cut_add(cuts, after);
}

static void cut_around_all(struct cuts *cuts, const struct policy_ranges *ranges)
{
        for (size_t i = 0; i < ranges->count; i++)
                cut_around(cuts, ranges->items[i]);
}

static void cut_by_units(struct cuts *cuts, const struct policy_tables *t)
{
        for (uint32_t n = 0; n < t->units->count; n++) {
                const struct policy_unit *u = &t->units->items[n];

                if (!(u->flags & UNIT_IP))
                        continue;
                if (cuts->is_src) {
                        cut_around_all(cuts, &u->src);
                        continue;
                }
                for (size_t i = 0; i < policy_unit_dst_count(u); i++) {
                        struct policy_range room;
                        struct policy_ranges ranges =
                                policy_unit_dst_ranges(t, u, policy_unit_dst(u, i), &room);

                        cut_around_all(cuts, &ranges);
                }
        }
}

static int ip_order(const void *a, const void *b)
{
        return ip_cmp(*(const struct ip *)a, *(const struct ip *)b);
}

static void cuts_make(struct cuts *cuts)
{
        const struct policy_tables *t = cuts->c->before;
        size_t kept = 0;

        cut_by_units(cuts, cuts->c->before);
        cut_by_units(cuts, cuts->c->after);
        cut_around_all(cuts, cuts->is_src ? policy_ranges_tailnet() : policy_ranges_internet());
        for (size_t i = 0; i < t->routes_count; i++)
                cut_around(cuts, policy_range_of(t->routes[i].prefix));
        for (size_t i = 0; i < ARRAY_SIZE(t->exits) && !cuts->is_src; i++)
                if (t->exits[i].routers_count)
                        cut_around(cuts, policy_range_of(t->exits[i].prefix));
        if (cuts->count)
                qsort(cuts->items, cuts->count, sizeof(*cuts->items), ip_order);
        for (size_t i = 0; i < cuts->count; i++)
                if (!kept || !ip_eq(cuts->items[kept - 1], cuts->items[i]))
                        cuts->items[kept++] = cuts->items[i];
        cuts->count = kept;
}

/* ---- stretches ---- */

struct stretch {
        struct policy_range range;
        struct ip ip;                     /* of no machine */
        const struct policy_route *route; /* the longest it lies behind */
        const struct policy_set *was, *is;
};

struct stretches {
        struct stretch *items;
        size_t count;
};

/* The units of `some` that take the address at that end. */
static void units_add(const struct policy_tables *t, const struct policy_set *some, struct ip ip, bool is_src,
                      uint64_t *words)
{
        struct policy_meet all = policy_sets_meet(some, some);

        for (uint32_t n; (n = policy_meet_next(&all)) != POLICY_BIT_NONE;)
                if ((t->units->items[n].flags & UNIT_IP) &&
                    (is_src ? policy_unit_takes_src(t, n, ip) : policy_unit_takes_dst(t, n, ip, ip)))
                        policy_words_add(words, n);
}

static const struct policy_set *units_at(const struct policy_tables *t, struct policy_set_pool *pool,
                                         uint64_t *words, struct ip ip, bool is_src)
{
        unsigned from = POLICY_ROUTES_BEGIN;

        memset(words, 0, pool->words_count * sizeof(*words));
        if (is_src)
                units_add(t, t->outsider, ip, true, words);
        else
                for (const struct policy_route *r; (r = policy_tables_next_route(t, ip, &from));)
                        units_add(t, r->units, ip, false, words);
        return policy_set_intern(pool, words);
}

/* An address of the range that is no machine's: those decide for themselves. */
static bool find_free(const struct policy_tables *t, struct policy_range range, struct ip *out)
{
        *out = range.first;
        while (policy_tables_find_address(t, *out))
                if (ip_cmp(*out, range.last) >= 0 || !policy_ip_next(*out, out))
                        return false;
        return true;
}

static bool is_too_much(const struct policy_comparison *c, const struct stretches *s)
{
        return s->count >= STRETCHES_MAX ||
               (c->were.sets_count * c->were.words_count + c->are.sets_count * c->are.words_count) *
                               sizeof(uint64_t) >=
                       SETS_BYTES_MAX;
}

static bool is_next(const struct stretch *last, const struct stretch *n)
{
        struct ip after;

        return last->was == n->was && last->is == n->is && last->route == n->route &&
               policy_ip_next(last->range.last, &after) && ip_eq(after, n->range.first);
}

/* One stretch from a cut to the next, or to the end of its route; part of the one before where nothing differs. */
static bool stretch_add(struct policy_comparison *c, struct stretches *s, struct policy_range range,
                        uint64_t *words, bool is_src)
{
        unsigned from = POLICY_ROUTES_BEGIN;
        struct stretch *last = s->count ? &s->items[s->count - 1] : NULL, n = { .range = range };

        n.route = policy_tables_next_route(c->before, range.first, &from);
        if (ip_cmp(policy_range_of(n.route->prefix).last, range.last) < 0)
                n.range.last = policy_range_of(n.route->prefix).last;
        if (!find_free(c->before, n.range, &n.ip))
                return true;
        n.was = units_at(c->before, &c->were, words, n.ip, is_src);
        n.is = units_at(c->after, &c->are, words, n.ip, is_src);
        bool ok = n.was && n.is;
        if (ok && !(last && is_next(last, &n))) {
                s->items[s->count++] = n;
                return true;
        }
        if (ok)
                last->range.last = n.range.last;
        policy_set_put(&c->were, n.was);
        policy_set_put(&c->are, n.is);
        return ok;
}

static bool stretches_make(struct policy_comparison *c, const struct cuts *cuts, struct stretches *s)
{
        size_t words_count = MAX(c->were.words_count, c->are.words_count);
        uint64_t *words = calloc(words_count, sizeof(*words));
        bool ok =
                words && (s->items = calloc(MIN(cuts->count, (size_t)STRETCHES_MAX) + 1, sizeof(*s->items)));

        for (size_t i = 0; ok && i < cuts->count; i++) {
                struct ip first = cuts->items[i];
                struct policy_range range = { first, ip_last(first, 0) };

                if (i + 1 < cuts->count && cuts->items[i + 1].family == first.family)
                        policy_ip_previous(cuts->items[i + 1], &range.last);
                if (is_too_much(c, s)) {
                        c->out->is_partial = true;
                        break;
                }
                ok = stretch_add(c, s, range, words, cuts->is_src);
        }
        free(words);
        return ok;
}

/* ---- stretches of one route with the same units: one network ---- */

static int stretch_order(const void *a, const void *b)
{
        const struct stretch *x = a, *y = b;

        if (x->ip.family != y->ip.family)
                return (int)x->ip.family - (int)y->ip.family;
        if (x->was != y->was)
                return x->was < y->was ? -1 : 1;
        if (x->is != y->is)
                return x->is < y->is ? -1 : 1;
        if (x->route != y->route)
                return x->route < y->route ? -1 : 1;
        return ip_cmp(x->range.first, y->range.first);
}

static bool is_of_same(const struct stretch *a, const struct stretch *b)
{
        return a->route == b->route && a->was == b->was && a->is == b->is;
}

/* How many stretches lie behind each route, the exit routes last; and how many of those of an exit route on the internet. */
struct places {
        size_t *pieces, internet[2];
};

static size_t place_of(const struct policy_tables *t, const struct policy_route *r)
{
        return policy_prefix_is_exit(&r->prefix) ? t->routes_count + (r->prefix.ip.family == 6)
                                                 : (size_t)(r - t->routes);
}

static bool is_internet(const struct stretch *s)
{
        return policy_prefix_is_exit(&s->route->prefix) &&
               policy_ranges_contain_range(policy_ranges_internet(), s->range);
}

static bool places_count(struct places *p, const struct policy_tables *t, const struct stretches *s)
{
        p->pieces = calloc(t->routes_count + ARRAY_SIZE(t->exits), sizeof(*p->pieces));
        for (size_t i = 0; p->pieces && i < s->count; i++) {
                p->pieces[place_of(t, s->items[i].route)]++;
                p->internet[s->items[i].ip.family == 6] += is_internet(&s->items[i]);
        }
        return p->pieces != NULL;
}

/* By its route, where all of that has the same units; else by its ranges. */
static struct str label_of(struct policy_comparison *c, const struct places *p, const struct stretch *first,
                           size_t count)
{
        struct arena *arena = &c->out->arena;
        struct str text = STR("");
        size_t internet = 0;

        if (p->pieces[place_of(c->before, first->route)] == count) {
                char prefix[IP_PREFIX_TEXT_MAX];

                return arena_copy(arena, ip_prefix_format(&first->route->prefix, prefix));
        }
        for (size_t i = 0; i < count; i++)
                internet += is_internet(&first[i]);
        if (internet == count && count == p->internet[first->ip.family == 6])
                return STR("autogroup:internet");
        for (size_t i = 0; i < count && i < RANGES_NAMED_MAX; i++) {
                char range[POLICY_RANGE_TEXT_MAX];

                text = arena_format(arena, "%.*s%s%.*s", STR_FMT(text), i ? ", " : "",
                                    STR_FMT(policy_range_format(first[i].range, range)));
        }
        if (count > RANGES_NAMED_MAX)
                text = arena_format(arena, "%.*s and %zu more", STR_FMT(text), count - RANGES_NAMED_MAX);
        return text;
}

static struct policy_network *networks_make(struct policy_comparison *c, struct stretches *s, size_t *count)
{
        struct policy_network *networks = calloc(s->count + 1, sizeof(*networks));
        struct places places = { 0 };
        size_t n;

        if (!networks || !places_count(&places, c->before, s)) {
                free(networks);
                return NULL;
        }
        if (s->count)
                qsort(s->items, s->count, sizeof(*s->items), stretch_order);
        for (size_t i = 0; i < s->count; i += n) {
                const struct stretch *first = &s->items[i];

                for (n = 1; i + n < s->count && is_of_same(first, &s->items[i + n]); n++)
                        ;
                networks[(*count)++] =
                        (struct policy_network){ first->ip, policy_set_get(first->was),
                                                 policy_set_get(first->is), label_of(c, &places, first, n) };
        }
        free(places.pieces);
        return networks;
}

struct policy_network *policy_diff_networks(struct policy_comparison *c, bool is_src, size_t *count)
{
        struct cuts cuts = { .c = c, .is_src = is_src };
        struct stretches s = { 0 };
        struct policy_network *networks = NULL;

        *count = 0;
        cuts_make(&cuts);
        if (!cuts.no_memory && stretches_make(c, &cuts, &s))
                networks = networks_make(c, &s, count);
        c->out->no_memory |= !networks;
        for (size_t i = 0; i < s.count; i++) {
                policy_set_put(&c->were, s.items[i].was);
                policy_set_put(&c->are, s.items[i].is);
        }
        free(s.items);
        free(cuts.items);
        return networks;
}

void policy_diff_networks_fini(struct policy_comparison *c, struct policy_network *networks, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                policy_set_put(&c->were, networks[i].was);
                policy_set_put(&c->are, networks[i].is);
        }
        free(networks);
}
