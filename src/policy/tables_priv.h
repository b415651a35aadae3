/* policy/tables_priv.h - the parts of compiling. Only for tables*.c. */
#pragma once

#include <string.h>

#include "base/hash.h"
#include "policy/tables.h"

struct policy_classes {
        struct policy_class **buckets;
        size_t buckets_count, count;
        unsigned references;
};

/* One run of compiling or updating. */
struct policy_work {
        struct policy_tables *t;
        struct report *report;
        uint64_t *words, *more;          /* room for sets in the making */
        struct policy_subjects subjects; /* room likewise */
        bool no_memory;
};

/* Of an address or a prefix; for numbers that only the operator chooses. */
static inline uint64_t policy_ip_hash(struct ip ip, unsigned bits)
{
        uint64_t high, low;

        memcpy(&high, ip.bytes, 8);
        memcpy(&low, ip.bytes + 8, 8);
        return hash_u64(high ^ low * 0x9e3779b97f4a7c15u ^ (uint64_t)bits << 8 ^ ip.family);
}

/* tables_class.c. The class of those subjects: one reference more, or NULL. */
struct policy_classes *policy_classes_new(void);
void policy_classes_put(struct policy_tables *t);
struct policy_class *policy_class_find(struct policy_work *w, const struct policy_subjects *subjects);
void policy_class_put(struct policy_tables *t, struct policy_class *c);

/* tables_address.c. policy_slots_new: free entries, for free(); NULL when memory runs out. */
struct policy_address *policy_slots_new(size_t cap);
MUST_USE bool policy_addresses_make(struct policy_work *w);
MUST_USE bool policy_address_add(struct policy_work *w, const struct policy_node_entry *entry, struct ip ip,
                                 const uint64_t *src_ranged, const uint64_t *dst_ranged);
void policy_address_remove(struct policy_tables *t, struct ip ip);
MUST_USE bool policy_node_addresses_add(struct policy_work *w, const struct policy_node_entry *entry);

/* tables_node.c. */
MUST_USE bool policy_entry_make(struct policy_work *w, const struct policy_node *node,
                                struct policy_node_entry *out);
void policy_entry_fini(struct policy_tables *t, struct policy_node_entry *entry);
MUST_USE bool policy_user_entry_make(struct policy_work *w, const struct policy_user *user,
                                     struct policy_user_entry *out);

/* tables_route.c. The entries and the addresses must be there. */
MUST_USE bool policy_routes_make(struct policy_work *w);
void policy_routes_fini(struct policy_tables *t);

/* tables_target.c. */
MUST_USE bool policy_targets_make(struct policy_work *w);
void policy_targets_fini(struct policy_tables *t);
MUST_USE bool policy_targets_share(struct policy_tables *t, const struct policy_tables *old);

/* check_facts.c: what the file says that these facts forbid. */
void policy_check_facts(const struct policy_file *f, const struct policy_facts *facts, struct report *report);
