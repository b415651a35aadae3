#include "policy/ranges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned width(struct ip ip)
{
        return ip.family == 4 ? 32 : 128;
}

bool policy_ip_next(struct ip ip, struct ip *out)
{
        for (int i = (int)width(ip) / 8 - 1; i >= 0; i--)
                if (++ip.bytes[i] != 0) {
                        *out = ip;
                        return true;
                }
        return false;
}

bool policy_ip_previous(struct ip ip, struct ip *out)
{
        for (int i = (int)width(ip) / 8 - 1; i >= 0; i--)
                if (ip.bytes[i]-- != 0) {
                        *out = ip;
                        return true;
                }
        return false;
}

bool policy_ranges_add(struct arena *arena, struct policy_ranges *set, struct policy_range range)
{
        if (set->count == set->cap) {
                size_t cap = set->cap ? set->cap * 2 : 2;
                struct policy_range *items = ARENA_ARRAY(arena, struct policy_range, cap);

                if (!items)
                        return false;
                if (set->count)
                        memcpy(items, set->items, set->count * sizeof(*items));
                set->items = items;
                set->cap = cap;
        }
        set->items[set->count++] = range;
        return true;
}

bool policy_ranges_add_prefix(struct arena *arena, struct policy_ranges *set, struct ip_prefix prefix)
{
        return policy_ranges_add(arena, set, policy_range_of(prefix));
}

bool policy_ranges_add_all(struct arena *arena, struct policy_ranges *set, const struct policy_ranges *more)
{
        for (size_t i = 0; i < more->count; i++)
                if (!policy_ranges_add(arena, set, more->items[i]))
                        return false;
        return true;
}

static int range_order(const void *a, const void *b)
{
        const struct policy_range *x = a, *y = b;
        int order = ip_cmp(x->first, y->first);

        return order ? order : ip_cmp(y->last, x->last);
}

void policy_ranges_seal(struct policy_ranges *set)
{
        size_t kept = 0;

        if (set->count < 2)
                return;
        qsort(set->items, set->count, sizeof(*set->items), range_order);
        for (size_t i = 1; i < set->count; i++) {
                struct policy_range *last = &set->items[kept], next = set->items[i];
                struct ip after;

                bool touches = last->last.family == next.first.family &&
                               (!policy_ip_next(last->last, &after) || ip_cmp(next.first, after) <= 0);
                if (!touches)
                        set->items[++kept] = next;
                else if (ip_cmp(next.last, last->last) > 0)
                        last->last = next.last;
        }
        set->count = kept + 1;
}

bool policy_ranges_remove(struct arena *arena, struct policy_ranges *set, const struct policy_ranges *less)
{
        struct policy_ranges left = { 0 };
        size_t j = 0;

        for (size_t i = 0; i < set->count; i++) {
                struct policy_range r = set->items[i];
                bool is_empty = false;

                while (j > 0 && ip_cmp(less->items[j - 1].last, r.first) >= 0)
                        j--;
                for (; j < less->count && !is_empty; j++) {
                        const struct policy_range *cut = &less->items[j];
                        struct ip edge;

                        if (ip_cmp(cut->last, r.first) < 0)
                                continue;
                        if (ip_cmp(cut->first, r.last) > 0)
                                break;
                        if (ip_cmp(cut->first, r.first) > 0 && policy_ip_previous(cut->first, &edge) &&
                            !policy_ranges_add(arena, &left, (struct policy_range){ r.first, edge }))
                                return false;
                        if (ip_cmp(cut->last, r.last) >= 0 || !policy_ip_next(cut->last, &r.first))
                                is_empty = true;
                }
                if (!is_empty && !policy_ranges_add(arena, &left, r))
                        return false;
        }
        *set = left;
        return true;
}

/* The last item that begins at or before `ip`, or NULL. */
static const struct policy_range *range_before(const struct policy_ranges *set, struct ip ip)
{
        size_t low = 0, high = set->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (ip_cmp(set->items[middle].first, ip) <= 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low ? &set->items[low - 1] : NULL;
}

bool policy_ranges_contain(const struct policy_ranges *set, struct ip ip)
{
        const struct policy_range *r = range_before(set, ip);

        return r && ip_cmp(ip, r->last) <= 0;
}

bool policy_ranges_contain_range(const struct policy_ranges *set, struct policy_range range)
{
        const struct policy_range *r = range_before(set, range.first);

        return r && ip_cmp(range.last, r->last) <= 0;
}

bool policy_ranges_overlap(const struct policy_ranges *set, struct policy_range range)
{
        const struct policy_range *r = range_before(set, range.last);

        return r && ip_cmp(range.first, r->last) <= 0;
}

struct policy_range policy_range_of(struct ip_prefix prefix)
{
        return (struct policy_range){ ip_masked(prefix.ip, prefix.bits), ip_last(prefix.ip, prefix.bits) };
}

bool policy_range_overlaps(struct policy_range a, struct policy_range b)
{
        return ip_cmp(a.first, b.last) <= 0 && ip_cmp(b.first, a.last) <= 0;
}

bool policy_range_take_prefix(struct policy_range range, struct ip_prefix *prefix, struct policy_range *rest)
{
        unsigned bits = width(range.first);

        /* Widen while the prefix still begins at `first` and ends within the range. */
        while (bits > 0 && ip_eq(ip_masked(range.first, (uint8_t)(bits - 1)), range.first) &&
               ip_cmp(ip_last(range.first, (uint8_t)(bits - 1)), range.last) <= 0)
                bits--;
        *prefix = (struct ip_prefix){ range.first, (uint8_t)bits };
        struct ip end = ip_last(range.first, (uint8_t)bits);
        rest->last = range.last;
        return ip_cmp(end, range.last) < 0 && policy_ip_next(end, &rest->first);
}

bool policy_range_prefix(struct policy_range range, struct ip_prefix *out)
{
        struct policy_range rest;

        return !policy_range_take_prefix(range, out, &rest);
}

struct str policy_range_format_ends(struct policy_range range, char out[POLICY_RANGE_TEXT_MAX])
{
        char first[IP_TEXT_MAX], last[IP_TEXT_MAX];

        ip_format(range.first, first);
        ip_format(range.last, last);
        snprintf(out, POLICY_RANGE_TEXT_MAX, "%s-%s", first, last);
        return str_of(out);
}

struct str policy_range_format(struct policy_range range, char out[POLICY_RANGE_TEXT_MAX])
{
        struct ip_prefix prefix;

        if (ip_eq(range.first, range.last))
                return ip_format(range.first, out);
        if (policy_range_prefix(range, &prefix))
                return ip_prefix_format(&prefix, out);
        return policy_range_format_ends(range, out);
}

/* clang-format off */
#define V4(a, b, c, d) { .family = 4, .bytes = { a, b, c, d } }
#define V4_RANGE(a, b, c, d, e, f, g, h) { V4(a, b, c, d), V4(e, f, g, h) }
#define FF8 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff

static struct policy_range tailnet_items[] = {
        V4_RANGE(100, 64, 0, 0, 100, 115, 91, 255),
        V4_RANGE(100, 115, 94, 0, 100, 127, 255, 255), /* 100.115.92.0/23 is ChromeOS's own */
        { { .family = 6, .bytes = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } },
          { .family = 6, .bytes = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0xff, 0xff, FF8 } } },
};

static struct policy_range internet_items[] = {
        V4_RANGE(0, 0, 0, 0, 9, 255, 255, 255),
        V4_RANGE(11, 0, 0, 0, 100, 63, 255, 255),
        V4_RANGE(100, 128, 0, 0, 169, 253, 255, 255),
        V4_RANGE(169, 255, 0, 0, 172, 15, 255, 255),
        V4_RANGE(172, 32, 0, 0, 192, 167, 255, 255),
        V4_RANGE(192, 169, 0, 0, 255, 255, 255, 255),
        { { .family = 6, .bytes = { 0x20 } }, { .family = 6, .bytes = { 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, FF8 } } },
};
/* clang-format on */

const struct policy_ranges *policy_ranges_tailnet(void)
{
        static const struct policy_ranges tailnet = { .items = tailnet_items,
                                                      .count = ARRAY_SIZE(tailnet_items) };

        return &tailnet;
}

const struct policy_ranges *policy_ranges_internet(void)
{
        static const struct policy_ranges internet = { .items = internet_items,
                                                       .count = ARRAY_SIZE(internet_items) };

        return &internet;
}
