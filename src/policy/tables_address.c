/*
 * The table of addresses. Theory of operation: which units name an address by range changes only at the ends of ranges,
 * so all addresses are sorted and met by one sweep over those ends; the units under way are bits that flip. One address
 * alone (an update) asks each unit with ranges instead; both give the same sets.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/tables_priv.h"

/* ---- the hash ---- */

static size_t ip_slot(struct ip ip, size_t cap)
{
        return policy_ip_hash(ip, 0) & (cap - 1);
}

struct policy_address *policy_slots_new(size_t cap)
{
        struct policy_address *slots = aligned_alloc(_Alignof(struct policy_address), cap * sizeof(*slots));

        if (slots)
                memset(slots, 0, cap * sizeof(*slots));
        return slots;
}

static size_t address_slot(const struct policy_tables *t, struct ip ip)
{
        size_t i = ip_slot(ip, t->addresses_cap);

        while (t->addresses[i].ip.family && !ip_eq(t->addresses[i].ip, ip))
                i = (i + 1) & (t->addresses_cap - 1);
        return i;
}

const struct policy_address *policy_tables_find_address(const struct policy_tables *t, struct ip ip)
{
        const struct policy_address *a = &t->addresses[address_slot(t, ip)];

        return a->ip.family ? a : NULL;
}

void policy_tables_find_ends(const struct policy_tables *t, struct ip src, struct ip dst,
                             const struct policy_address **src_out, const struct policy_address **dst_out)
{
        size_t s = ip_slot(src, t->addresses_cap), d = ip_slot(dst, t->addresses_cap);

        __builtin_prefetch(&t->addresses[s]);
        __builtin_prefetch(&t->addresses[d]);
        *src_out = policy_tables_find_address(t, src);
        *dst_out = policy_tables_find_address(t, dst);
}

static bool table_grow(struct policy_tables *t, size_t count)
{
        struct policy_tables bigger = *t;

        bigger.addresses_cap = 16;
        while (bigger.addresses_cap < count * 2)
                bigger.addresses_cap *= 2;
        if (bigger.addresses_cap <= t->addresses_cap)
                return true;
        if (!(bigger.addresses = policy_slots_new(bigger.addresses_cap)))
                return false;
        for (size_t i = 0; i < t->addresses_cap; i++)
                if (t->addresses[i].ip.family)
                        bigger.addresses[address_slot(&bigger, t->addresses[i].ip)] = t->addresses[i];
        free(t->addresses);
        t->addresses = bigger.addresses;
        t->addresses_cap = bigger.addresses_cap;
        return true;
}

void policy_address_remove(struct policy_tables *t, struct ip ip)
{
        size_t hole = address_slot(t, ip);

        if (!t->addresses[hole].ip.family)
                return;
        policy_set_put(&t->units->pool, t->addresses[hole].src);
        policy_set_put(&t->units->pool, t->addresses[hole].dst);
        t->addresses[hole].ip.family = 0;
        t->addresses_count--;
        /* Move back what was displaced past the hole. */
        for (size_t i = (hole + 1) & (t->addresses_cap - 1); t->addresses[i].ip.family;
             i = (i + 1) & (t->addresses_cap - 1)) {
                struct policy_address moved = t->addresses[i];

                t->addresses[i].ip.family = 0;
                t->addresses[address_slot(t, moved.ip)] = moved;
        }
}

/* ---- one address ---- */

static void words_or(uint64_t *words, const uint64_t *more, size_t count)
{
        for (size_t i = 0; i < count; i++)
                words[i] |= more[i];
}

static const struct policy_set *src_set(struct policy_work *w, const struct policy_node_entry *entry,
                                        struct ip ip, const uint64_t *ranged)
{
        struct policy_units *u = w->t->units;
        size_t n = u->words_count;

        memcpy(w->words, policy_set_words(entry->class->src), n * sizeof(*w->words));
        words_or(w->words, ranged, n);
        words_or(w->words, u->src_all, n);
        if (policy_ranges_contain(policy_ranges_tailnet(), ip))
                words_or(w->words, u->src_any, n);
        if (entry->failing)
                for (size_t i = 0; i < n; i++)
                        w->words[i] &= ~policy_set_words(entry->failing)[i];
        return policy_set_intern(&u->pool, w->words);
}

static const struct policy_set *dst_set(struct policy_work *w, const struct policy_node_entry *entry,
                                        const uint64_t *ranged)
{
        struct policy_units *u = w->t->units;
        size_t n = u->words_count;

        memcpy(w->words, policy_set_words(entry->class->dst), n * sizeof(*w->words));
        words_or(w->words, ranged, n);
        words_or(w->words, u->dst_any, n);
        if (!entry->node->tags_count) /* a machine of a person can be somebody's own */
                words_or(w->words, u->self, n);
        for (size_t i = 0; i < n; i++) /* a router's own addresses are not what it routes to */
                w->words[i] &= ~u->via_words[i];
        return policy_set_intern(&u->pool, w->words);
}

bool policy_address_add(struct policy_work *w, const struct policy_node_entry *entry, struct ip ip,
                        const uint64_t *src_ranged, const uint64_t *dst_ranged)
{
        struct policy_tables *t = w->t;

        if (!table_grow(t, t->addresses_count + 1)) {
                w->no_memory = true;
                return false;
        }
        struct policy_address *a = &t->addresses[address_slot(t, ip)];
        if (a->ip.family) {
                char text[IP_TEXT_MAX];
                struct str shown = ip_format(ip, text);

                report_error(w->report, 0, 0, "nodes \"%.*s\" and \"%.*s\" both have the address %.*s",
                             STR_FMT(a->node->id), STR_FMT(entry->node->id), STR_FMT(shown));
                return false;
        }
        const struct policy_set *src = src_set(w, entry, ip, src_ranged),
                                *dst = dst_set(w, entry, dst_ranged);
        if (!src || !dst) {
                policy_set_put(&t->units->pool, src);
                policy_set_put(&t->units->pool, dst);
                w->no_memory = true;
                return false;
        }
        *a = (struct policy_address){ ip, entry->node, entry->user, src, dst };
        t->addresses_count++;
        return true;
}

bool policy_node_addresses_add(struct policy_work *w, const struct policy_node_entry *entry)
{
        struct policy_units *u = w->t->units;
        size_t words = u->words_count;
        uint64_t *ranged = calloc(words * 2, sizeof(*ranged));
        bool ok = ranged != NULL;

        w->no_memory |= !ok;
        for (size_t i = 0; ok && i < entry->node->addresses_count; i++) {
                struct ip ip = entry->node->addresses[i];

                memset(ranged, 0, words * 2 * sizeof(*ranged));
                for (uint32_t n = 0; n < u->src_ranged_count; n++)
                        if (policy_ranges_contain(&u->items[u->src_ranged[n]].src, ip))
                                policy_words_add(ranged, u->src_ranged[n]);
                for (uint32_t n = 0; n < u->dst_ranged_count; n++)
                        if (policy_ranges_contain(&u->items[u->dst_ranged[n]].dst, ip))
                                policy_words_add(ranged + words, u->dst_ranged[n]);
                ok = policy_address_add(w, entry, ip, ranged, ranged + words);
        }
        free(ranged);
        return ok;
}

/* ---- all addresses ---- */

struct event {
        struct ip at;  /* the unit's bit flips before this address... */
        bool is_after; /* ...or after it */
        bool is_src;
        uint32_t unit;
};

struct place {
        struct ip ip;
        const struct policy_node_entry *entry;
};

static int event_order(const void *a, const void *b)
{
        const struct event *x = a, *y = b;
        int order = ip_cmp(x->at, y->at);

        return order ? order : x->is_after - y->is_after;
}

static int place_order(const void *a, const void *b)
{
        return ip_cmp(((const struct place *)a)->ip, ((const struct place *)b)->ip);
}

static size_t events_add(struct event *events, size_t count, const struct policy_ranges *ranges,
                         uint32_t unit, bool is_src)
{
        for (size_t i = 0; i < ranges->count; i++) {
                events[count++] = (struct event){ ranges->items[i].first, false, is_src, unit };
                events[count++] = (struct event){ ranges->items[i].last, true, is_src, unit };
        }
        return count;
}

static struct event *events_make(const struct policy_units *u, size_t *count)
{
        size_t total = 0;

        for (uint32_t i = 0; i < u->count; i++)
                total += 2 * (u->items[i].src.count + u->items[i].dst.count);
        struct event *events = malloc((total + 1) * sizeof(*events));
        *count = 0;
        if (!events)
                return NULL;
        for (uint32_t i = 0; i < u->src_ranged_count; i++)
                *count = events_add(events, *count, &u->items[u->src_ranged[i]].src, u->src_ranged[i], true);
        for (uint32_t i = 0; i < u->dst_ranged_count; i++)
                *count = events_add(events, *count, &u->items[u->dst_ranged[i]].dst, u->dst_ranged[i], false);
        qsort(events, *count, sizeof(*events), event_order);
        return events;
}

static struct place *places_make(const struct policy_tables *t, size_t *count)
{
        size_t total = 0;

        for (size_t i = 0; i < t->facts->nodes_count; i++)
                total += t->facts->nodes[i]->addresses_count;
        struct place *places = malloc((total + 1) * sizeof(*places));
        *count = 0;
        for (size_t i = 0; places && i < t->facts->nodes_count; i++)
                for (size_t j = 0; j < t->nodes[i].node->addresses_count; j++)
                        places[(*count)++] = (struct place){ t->nodes[i].node->addresses[j], &t->nodes[i] };
        if (places)
                qsort(places, *count, sizeof(*places), place_order);
        return places;
}

static bool sweep(struct policy_work *w, const struct event *events, size_t events_count,
                  const struct place *places, size_t places_count, uint64_t *ranged)
{
        size_t words = w->t->units->words_count, e = 0;

        for (size_t i = 0; i < places_count; i++) {
                for (; e < events_count; e++) {
                        int order = ip_cmp(events[e].at, places[i].ip);

                        if (order > 0 || (order == 0 && events[e].is_after))
                                break;
                        policy_words_flip(ranged + (events[e].is_src ? 0 : words), events[e].unit);
                }
                if (!policy_address_add(w, places[i].entry, places[i].ip, ranged, ranged + words) &&
                    w->no_memory)
                        return false;
        }
        return true;
}

bool policy_addresses_make(struct policy_work *w)
{
        size_t events_count, places_count;
        struct event *events = events_make(w->t->units, &events_count);
        struct place *places = places_make(w->t, &places_count);
        uint64_t *ranged = calloc(2 * w->t->units->words_count, sizeof(*ranged));
        bool ok = events && places && ranged && table_grow(w->t, places_count + 1) &&
                  sweep(w, events, events_count, places, places_count, ranged);

        w->no_memory |= !ok;
        free(events);
        free(places);
        free(ranged);
        return ok;
}
