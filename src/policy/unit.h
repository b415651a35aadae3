/*
 * policy/unit.h - what rules are compiled to: a unit is one set of sources, one set of destinations, one set of ports.
 *
 * Does:   a grant becomes one unit, an acl one for each of its destinations; addresses are ranges from here on, names of
 *         identities are lists of units by subject (policy/subject.h).
 * Not:    machines: policy/tables.h meets units and facts. Of the facts only the services' addresses are used.
 * Thread: immutable once made, but for the pool of sets, which belongs to the thread that compiles.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/report.h"
#include "policy/facts.h"
#include "policy/file.h"
#include "policy/ranges.h"
#include "policy/set.h"

enum {
        POLICY_UNITS_MAX = 200000,
        POLICY_POSTURE_LISTS_MAX = 1024,  /* different lists of postures */
        POLICY_UNIT_RANGES_MAX = 2000000, /* of all units together */
};

enum policy_unit_flags {
        UNIT_IP = 1 << 0,       /* opens ports */
        UNIT_APP = 1 << 1,      /* carries capabilities */
        UNIT_SRC_ANY = 1 << 2,  /* from "*": the network's machines and its approved routes */
        UNIT_SRC_ALL = 1 << 3,  /* from autogroup:danger-all: everybody */
        UNIT_DST_ANY = 1 << 4,  /* to "*" */
        UNIT_SELF = 1 << 5,     /* to autogroup:self, besides other destinations perhaps */
        UNIT_INTERNET = 1 << 6, /* to autogroup:internet, likewise */
        UNIT_VIA = 1 << 7,      /* only through routers with a tag */
        UNIT_UPWARD = 1 << 8,   /* to a service, model, provider or tool, likewise */
        UNIT_DRIVE = 1 << 9,    /* the capabilities that bring a companion to the sources */
        UNIT_RELAY = 1 << 10,
};

struct policy_unit {
        const struct policy_rule *rule;
        uint32_t target; /* of an acl: which destination */
        unsigned flags;
        struct policy_ranges src, dst; /* addresses named as such; sealed */
        const struct policy_ports *ports;
        size_t ports_count;
        uint32_t posture; /* which list of postures, POLICY_BIT_NONE: none */
};

/* Postures of which one must hold, as rules name them; equal lists are one. */
struct policy_posture_list {
        const uint32_t *postures;
        size_t count;
        uint64_t *units; /* words: the units under it */
};

/* What a decision looks at for each unit that both ends have in common: little, and close together. */
struct policy_port_line {
        int16_t proto; /* as in policy_ports */
        uint16_t first, last;
};

struct policy_unit_brief {
        uint32_t lines, lines_end; /* of policy_units.lines */
        uint32_t flags;
        uint32_t posture; /* as the unit's */
};

/* Units by a number: lists[starts[n] .. starts[n + 1]]. */
struct policy_index {
        uint32_t *starts, *lists;
};

struct policy_units {
        struct policy_unit *items;
        uint32_t count, words_count;
        struct policy_unit_brief *briefs; /* of each unit */
        struct policy_port_line *lines;
        struct policy_index src_by_subject, dst_by_subject;
        uint64_t *src_any, *src_all, *dst_any; /* words */
        uint64_t *companions;                  /* words: UNIT_DRIVE or UNIT_RELAY */
        uint64_t *self, *via_words;            /* words: UNIT_SELF, UNIT_VIA */
        uint32_t *src_ranged, *dst_ranged, *via, *internet, *upward,
                *upward_ranged; /* units with that, in order */
        uint32_t src_ranged_count, dst_ranged_count, via_count, internet_count, upward_count,
                upward_ranged_count;
        struct policy_posture_list *postures;
        uint32_t postures_count;

        struct policy_file *file;    /* counted */
        struct policy_set_pool pool; /* of sets of these units */
        /* private */
        struct arena arena;
        unsigned references;
};

/* Gives one reference. ERR_TOO_LARGE: the rules multiply out over a limit (the report tells); ERR_NO_MEMORY. */
MUST_USE enum err policy_units_new(struct policy_file *file, const struct policy_facts *facts,
                                   struct report *report, struct policy_units **out);
struct policy_units *policy_units_get(struct policy_units *u);
void policy_units_put(struct policy_units *u);

/* The destinations of a unit as names. */
const struct policy_alias *policy_unit_dst(const struct policy_unit *u, size_t i);
size_t policy_unit_dst_count(const struct policy_unit *u);

/* The addresses one name of a rule stands for: a prefix, a host, an ipset, a service. Empty for identities. */
struct policy_ranges policy_alias_ranges(const struct policy_file *f, const struct policy_facts *facts,
                                         const struct policy_alias *a, struct policy_range *room);
