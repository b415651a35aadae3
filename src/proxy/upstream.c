#include "proxy/upstream.h"

#include "proxy/links.h"

enum { CANDIDATES_MAX = 1024 };

enum tier { TIER_UP, TIER_BACKUP, TIER_LAST_RESORT, TIERS };

struct candidates {
        struct target *targets[CANDIDATES_MAX];
        struct balance_seat *seats[CANDIDATES_MAX];
        size_t count;
        bool some_are_full;
};

static bool is_tried(const struct upstream_ask *ask, const struct target *t)
{
        for (size_t i = 0; i < ask->not_again_count; i++)
                if (ask->not_again[i] == t)
                        return true;
        return false;
}

static bool is_full(const struct target *t)
{
        return t->connections_max && t->seat.in_flight >= t->connections_max;
}

/* Where no link is there but one is soon to be expected, waiting is the last resort. */
static bool is_reachable(const struct target *t, const struct upstream_ask *ask, enum tier tier)
{
        return t->agent.len == 0 || (tier == TIER_LAST_RESORT ? links_expects(ask->links, t->agent)
                                                              : links_has(ask->links, t->agent));
}

static bool is_of_tier(const struct target *t, enum tier tier, mono_ms now)
{
        enum standing_state state = standing_look(t->standing, now);

        switch (tier) {
        case TIER_UP: return !t->is_backup && state == STANDING_UP;
        case TIER_BACKUP: return t->is_backup && state == STANDING_UP;
        case TIER_LAST_RESORT: return state != STANDING_DOWN;
        case TIERS: break;
        }
        return false;
}

static void candidates_find(struct candidates *c, struct upstream *u, const struct upstream_ask *ask,
                            enum tier tier)
{
        c->count = 0;
        c->some_are_full = false;
        for (size_t i = 0; i < u->targets_count && c->count < CANDIDATES_MAX; i++) {
                struct target *t = &u->targets[i];

                if (!is_of_tier(t, tier, ask->now) || is_tried(ask, t) || !is_reachable(t, ask, tier))
                        continue;
                if (is_full(t)) {
                        c->some_are_full = true;
                        continue;
                }
                mono_ms back = t->standing
                                       ? atomic_load_explicit(&t->standing->back_since, memory_order_relaxed)
                                       : 0;
                t->seat.share = balance_share(t->seat.weight, back, u->slow_start_ms, ask->now);
                c->targets[c->count] = t;
                c->seats[c->count++] = &t->seat;
        }
}

/* A target that waits to be tried. After as long again as its ejection, by any request: there may be no other kind. */
static struct target *probe_find(struct upstream *u, const struct upstream_ask *ask)
{
        int64_t lease_ms = u->waits.connect_ms + u->waits.first_byte_ms;

        for (size_t i = 0; i < u->targets_count; i++) {
                struct target *t = &u->targets[i];
                struct standing *s = t->standing;

                if (standing_look(s, ask->now) != STANDING_HALF_OPEN || is_tried(ask, t) || is_full(t) ||
                    !is_reachable(t, ask, TIER_UP))
                        continue;
                if (!ask->is_repeatable && ask->now - atomic_load(&s->ejected_until) < u->passive.eject_ms)
                        continue;
                if (standing_probe_take(s, ask->now, MAX(lease_ms, (int64_t)1000)))
                        return t;
        }
        return NULL;
}

enum upstream_answer upstream_pick(struct upstream *u, const struct upstream_ask *ask, struct target **out,
                                   bool *is_probe)
{
        struct balance_ask balance = { .kind = u->balance,
                                       .now = ask->now,
                                       .random = &u->random,
                                       .hash = ask->hash,
                                       .has_hash = ask->has_hash };
        UNINITIALIZED struct candidates c;

        *out = probe_find(u, ask);
        *is_probe = *out != NULL;
        if (*out)
                return UPSTREAM_FOUND;
        for (int tier = 0; tier < TIERS; tier++) {
                candidates_find(&c, u, ask, (enum tier)tier);
                if (c.count) {
                        *out = c.targets[balance_choose(&balance, c.seats, c.count)];
                        return UPSTREAM_FOUND;
                }
                if (c.some_are_full)
                        return UPSTREAM_FULL; /* a backup is for targets that are down, not for busy ones */
        }
        return UPSTREAM_DOWN;
}

bool upstream_has_other(const struct upstream *u, const struct upstream_ask *ask, const struct target *but)
{
        for (size_t i = 0; i < u->targets_count; i++) {
                const struct target *t = &u->targets[i];

                if (t != but && standing_look(t->standing, ask->now) == STANDING_UP && !is_full(t) &&
                    !is_tried(ask, t) && is_reachable(t, ask, TIER_UP))
                        return true;
        }
        return false;
}

void target_enter(struct target *t)
{
        t->seat.in_flight++;
}

void target_leave(struct target *t, bool is_probe)
{
        t->seat.in_flight--;
        if (is_probe)
                standing_probe_put(t->standing);
}

/* So many at most are out at a time: what looks like many broken targets is often one broken question, and the rest would
 * drown in the others' requests. */
static bool may_eject(const struct upstream *u, const struct target *t, mono_ms now)
{
        size_t allowed = u->targets_count * u->ejected_percent_max / 100, out = 0;

        for (size_t i = 0; i < u->targets_count; i++) {
                enum standing_state state = standing_look(u->targets[i].standing, now);
                out += &u->targets[i] != t && (state == STANDING_EJECTED || state == STANDING_HALF_OPEN);
        }
        return u->ejected_percent_max && out < MAX(allowed, (size_t)1);
}

bool target_failed(struct target *t, mono_ms now)
{
        struct upstream *u = t->upstream;

        balance_failed(&t->seat, now);
        if (!t->standing || !standing_fail(t->standing, &u->passive, now) || !may_eject(u, t, now))
                return false;
        standing_eject(t->standing, &u->passive, now);
        return true;
}

void target_succeeded(struct target *t, mono_ms now)
{
        if (t->standing)
                standing_succeed(t->standing, now);
}
