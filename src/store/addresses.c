#include "store/addresses.h"

#include <assert.h>

#include "store/table_priv.h"

/* Of an IPv6 pool no more than this many: a place is a number that fits everywhere. */
enum { PLACE_BITS_MAX = 40, SPACE_BITS = 128 - PLACE_BITS_MAX };

static const char *const states[] = { "held", "resting" };

static const struct store_field fields[] = {
        FIELD(store_address, space, STORE_TEXT, FIELD_FIXED),
        FIELD(store_address, place, STORE_INT, FIELD_FIXED),
        FIELD(store_address, address, STORE_IP, FIELD_FIXED),
        FIELD(store_address, node, STORE_REF, 0),
        FIELD_WORDS(store_address, state, 0, states),
        FIELD(store_address, since, STORE_INT, 0),
};

const struct store_table store_addresses_table = TABLE("addresses", store_address, fields);

STORE_FAMILY_BODY(address, store_addresses_table);

static size_t ip_bytes(struct ip ip)
{
        return ip.family == 4 ? 4 : 16;
}

/* base + place */
static struct ip address_at(struct ip base, int64_t place)
{
        uint64_t carry = (uint64_t)place;

        for (size_t i = ip_bytes(base); i-- > 0 && carry;) {
                carry += base.bytes[i];
                base.bytes[i] = (uint8_t)carry;
                carry >>= 8;
        }
        return base;
}

/* ip - base, cut off at INT64_MAX; ip is not below base. */
static int64_t place_of(struct ip base, struct ip ip)
{
        uint64_t place = 0;
        int borrow = 0;
        uint8_t difference[16];
        size_t bytes = ip_bytes(base);

        for (size_t i = bytes; i-- > 0;) {
                int d = ip.bytes[i] - base.bytes[i] - borrow;
                borrow = d < 0;
                difference[i] = (uint8_t)d;
        }
        for (size_t i = 0; i < bytes; i++) {
                if (place >> 55)
                        return INT64_MAX;
                place = place << 8 | difference[i];
        }
        return (int64_t)place;
}

/* A walk over one pool's places. */
struct walk {
        struct store_txn *txn;
        const struct store_pool *pool;
        struct ip base; /* of the space */
        struct str space, name;
        int64_t first, last;
        char space_text[IP_PREFIX_TEXT_MAX], name_text[IP_PREFIX_TEXT_MAX];
};

/* Places are numbered in spaces, not in pools: pools that overlap know of each other. */
static enum err walk_begin(struct walk *w, struct store_txn *t, const struct store_pool *pool)
{
        struct ip_prefix prefix = { ip_masked(pool->prefix.ip, pool->prefix.bits), pool->prefix.bits };
        struct ip_prefix space = { ip_masked(prefix.ip, prefix.ip.family == 4 ? 0 : SPACE_BITS), SPACE_BITS };
        unsigned host_bits = (unsigned)ip_bytes(prefix.ip) * 8 - prefix.bits;
        int64_t start = place_of(space.ip, prefix.ip);

        *w = (struct walk){ .txn = t, .pool = pool, .base = space.ip, .first = start + 1 };
        w->name = ip_prefix_format(&prefix, w->name_text);
        w->space = prefix.ip.family == 4 ? STR("ipv4") : ip_prefix_format(&space, w->space_text);
        w->last = start + ((int64_t)1 << MIN(host_bits, PLACE_BITS_MAX)) - (prefix.ip.family == 4 ? 2 : 1);
        return w->last < w->first ? ERR_CONFIG : ERR_OK;
}

/* The first place from `place` on that no part to avoid covers. */
static int64_t past_avoided(const struct walk *w, int64_t place)
{
        for (size_t i = 0; i < w->pool->avoid_count && place <= w->last; i++) {
                const struct ip_prefix *avoid = &w->pool->avoid[i];
                int64_t end;
                if (!ip_prefix_contains(avoid, address_at(w->base, place)))
                        continue;
                end = place_of(w->base, ip_last(avoid->ip, avoid->bits));
                place = end >= w->last ? w->last + 1 : end + 1;
                i = (size_t)-1; /* another may begin where this one ends */
        }
        return place;
}

/* Rows that stand in the way: held, or resting since after $3. */
#define IN_THE_WAY(row) "(" row ".state = 'held' OR " row ".since > $3)"

/* The first place from `place` on that no row takes. */
static enum err past_taken(const struct walk *w, int64_t place, int64_t *out)
{
        struct store_value args[] = { VALUE_TEXT(w->space), VALUE_INT(place),
                                      VALUE_INT(w->txn->now - w->pool->rest_ms) };
        enum err e = store_number(
                w->txn,
                STR("SELECT a.place FROM addresses a WHERE a.space = $1 AND a.place = $2 AND " IN_THE_WAY(
                        "a")),
                args, 3, out);

        *out = place;
        if (e != ERR_OK)
                return e == ERR_NOT_FOUND ? ERR_OK : e;
        return store_number(
                w->txn,
                STR("SELECT a.place + 1 FROM addresses a WHERE a.space = $1 AND a.place >= $2"
                    " AND " IN_THE_WAY("a") " AND NOT EXISTS (SELECT 1 FROM addresses b WHERE b.space = $1"
                                            " AND b.place = a.place + 1 AND " IN_THE_WAY(
                                                    "b") ") ORDER BY a.place LIMIT 1"),
                args, 3, out);
}

/* From `place` to the end of the pool. ERR_TOO_LARGE: nothing is free there. */
static enum err next_free(const struct walk *w, int64_t place, int64_t *out)
{
        enum err e = ERR_OK;

        for (int64_t before = -1; e == ERR_OK && place != before && place <= w->last;) {
                before = place;
                place = past_avoided(w, place);
                if (place <= w->last)
                        e = past_taken(w, place, &place);
        }
        *out = place;
        return e == ERR_OK && place > w->last ? ERR_TOO_LARGE : e;
}

/* Where the last one was given, and from now on the one at `place`. */
static enum err remember(const struct walk *w, int64_t place)
{
        return STORE_EXEC(
                w->txn,
                "INSERT INTO pools (name, place) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET place = "
                "excluded.place",
                NULL, VALUE_TEXT(w->name), VALUE_INT(place));
}

static enum err find_place(const struct walk *w, int64_t *out)
{
        int64_t last_given;
        enum err e = STORE_NUMBER_OF(w->txn, "SELECT place FROM pools WHERE name = $1", &last_given,
                                     VALUE_TEXT(w->name));

        if (e != ERR_OK && e != ERR_NOT_FOUND)
                return e;
        e = next_free(w, MAX(last_given + 1, w->first), out);
        if (e == ERR_TOO_LARGE)
                e = next_free(w, w->first, out);
        return e == ERR_OK ? remember(w, *out) : e;
}

enum err store_address_take(struct store_change *c, int64_t org, int64_t node, const struct store_pool *pool,
                            struct ip *out)
{
        struct store_address row = { .org = org, .node = node, .since = c->txn->now };
        struct store_value args[2];
        struct walk w;
        enum err e = walk_begin(&w, c->txn, pool);

        if (e == ERR_OK)
                e = find_place(&w, &row.place);
        if (e != ERR_OK)
                return e;
        row.space = w.space;
        row.address = address_at(w.base, row.place);
        args[0] = VALUE_TEXT(w.space);
        args[1] = VALUE_INT(row.place);
        e = store_table_remove_all(c, &store_addresses_table, "space = $1 AND place = $2", args, 2);
        if (e == ERR_OK)
                e = store_address_add(c, &row);
        *out = row.address;
        return e;
}

enum err store_address_let_go(struct store_change *c, int64_t org, int64_t node)
{
        struct store_value args[] = { VALUE_INT(node), VALUE_INT(org) };
        enum err e = ERR_OK;

        assert(node > 0);
        while (e == ERR_OK) {
                struct store_address row;
                struct arena a;
                arena_init(&a, NULL, 0, 4096);
                e = store_table_find(c->txn, &store_addresses_table, "node = $1 AND org = $2", args, 2, &a,
                                     &row);
                if (e == ERR_OK) {
                        row.node = 0;
                        row.state = STORE_ADDRESS_RESTING;
                        row.since = c->txn->now;
                        e = store_address_update(c, &row);
                }
                arena_fini(&a);
        }
        return e == ERR_NOT_FOUND && c->txn->failed == ERR_OK ? ERR_OK : e;
}

enum err store_address_use(struct store_txn *t, const struct ip_prefix *pool, struct store_pool_use *out)
{
        const struct store_pool of = { .prefix = *pool };
        struct walk w;
        enum err e = walk_begin(&w, t, &of);

        *out = (struct store_pool_use){ 0 };
        if (e == ERR_CONFIG)
                return ERR_OK; /* no room, so nobody in it */
        struct store_value args[] = { VALUE_TEXT(w.space), VALUE_INT(w.first), VALUE_INT(w.last) };
        e = store_number(
                t,
                STR("SELECT count(*) FROM addresses WHERE space = $1 AND place >= $2 AND place <= $3 AND state = "
                    "'held'"),
                args, 3, &out->held);
        if (e == ERR_OK)
                e = store_number(
                        t,
                        STR("SELECT count(*) FROM addresses WHERE space = $1 AND place >= $2 AND place <= $3"),
                        args, 3, &out->resting);
        out->resting -= out->held;
        return e;
}
