/*
 * policy/ranges.h - a set of IP addresses as sorted ranges: what a name in a rule stands for in addresses.
 *
 * Does:   union, difference, membership, overlap, and the texts a packet filter is written in.
 * Not:    which nodes a name matches (policy/subject.h): identities are matched by node, not by address.
 * Memory: items lie in the caller's arena; nothing here is freed alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/ip.h"

struct policy_range {
        struct ip first, last; /* one family; first <= last */
};

/* Sorted, disjoint and not even touching once policy_ranges_seal was called; in any order before. */
struct policy_ranges {
        struct policy_range *items;
        size_t count;
        /* private */
        size_t cap;
};

/* False when the arena is full; the set is then unchanged. */
MUST_USE bool policy_ranges_add(struct arena *arena, struct policy_ranges *set, struct policy_range range);
MUST_USE bool policy_ranges_add_prefix(struct arena *arena, struct policy_ranges *set,
                                       struct ip_prefix prefix);
MUST_USE bool policy_ranges_add_all(struct arena *arena, struct policy_ranges *set,
                                    const struct policy_ranges *more);

void policy_ranges_seal(struct policy_ranges *set);

/* Takes `less` out of `set`; both sealed, and `set` stays so. */
MUST_USE bool policy_ranges_remove(struct arena *arena, struct policy_ranges *set,
                                   const struct policy_ranges *less);

/* The set must be sealed. O(log count). */
bool policy_ranges_contain(const struct policy_ranges *set, struct ip ip);
bool policy_ranges_contain_range(const struct policy_ranges *set, struct policy_range range);
bool policy_ranges_overlap(const struct policy_ranges *set, struct policy_range range);

/* The next address, the one before; false where the family ends. */
bool policy_ip_next(struct ip ip, struct ip *out);
bool policy_ip_previous(struct ip ip, struct ip *out);

struct policy_range policy_range_of(struct ip_prefix prefix);
bool policy_range_overlaps(struct policy_range a, struct policy_range b);

/* Whether the range is one prefix, and which. */
bool policy_range_prefix(struct policy_range range, struct ip_prefix *out);

/*
 * The largest prefix that begins where the range does and does not leave it; *rest is what is left, false when nothing
 * is. Walks a range as prefixes.
 */
bool policy_range_take_prefix(struct policy_range range, struct ip_prefix *prefix, struct policy_range *rest);

enum { POLICY_RANGE_TEXT_MAX = 2 * IP_TEXT_MAX };

/* "10.0.0.7", "10.0.0.0/8" or "10.0.0.0-10.0.0.9", whichever fits (tailcfg.FilterRule, NetPortRange.IP). */
struct str policy_range_format(struct policy_range range, char out[POLICY_RANGE_TEXT_MAX]);

/* Always "first-last": how the internet is written. */
struct str policy_range_format_ends(struct policy_range range, char out[POLICY_RANGE_TEXT_MAX]);

/* What "*" is as a source: the CGNAT block without ChromeOS's part, and the mesh's IPv6 block. */
const struct policy_ranges *policy_ranges_tailnet(void);

/* What autogroup:internet is: IPv4 without private, CGNAT and link-local blocks, and IPv6's global unicast. */
const struct policy_ranges *policy_ranges_internet(void);
