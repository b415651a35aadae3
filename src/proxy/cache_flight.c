#include "proxy/cache_priv.h"

static struct list *flights_of(struct cache *c, struct str key)
{
        return &c->flights[cache_key_hash(c->store, key) % CACHE_FLIGHTS_BUCKETS];
}

void cache_flight_leave(struct cached *c)
{
        if (c->leader)
                c->leader->waiters_count--;
        c->leader = NULL;
        list_remove(&c->wait_node);
        timer_clear(&c->timer);
}

void cache_flight_late(struct timer *t)
{
        struct cached *c = CONTAINER_OF(t, struct cached, timer);

        cache_flight_leave(c);
        c->is_alone = true;
        exchange_run_later(c->x);
}

bool cache_flight_join(struct cached *c)
{
        list_for_each(node, flights_of(c->cache, c->key)) {
                struct cached *leader = CONTAINER_OF(node, struct cached, flight_node);

                if (!str_eq(leader->key, c->key) || leader->waiters_count >= CACHE_WAITERS_MAX)
                        continue;
                c->leader = leader;
                leader->waiters_count++;
                list_add_last(&leader->waiters, &c->wait_node);
                timer_set(c->cache->w->loop, &c->timer, loop_now(c->cache->w->loop) + c->conf->wait_ms);
                return true;
        }
        return false;
}

void cache_flight_lead(struct cached *c)
{
        list_add(flights_of(c->cache, c->key), &c->flight_node);
}

/* The flight is over; `alone`: its answer helps nobody else. */
void cache_flight_land(struct cached *c, bool alone)
{
        struct cached *next;

        list_remove(&c->flight_node);
        while ((next = LIST_FIRST(&c->waiters, struct cached, wait_node))) {
                cache_flight_leave(next);
                next->is_alone = alone;
                exchange_run_later(next->x);
        }
}

/* The leader failed: the first that waits takes its place, with the others behind it. */
void cache_flight_hand_on(struct cached *c)
{
        struct cached *next = LIST_FIRST(&c->waiters, struct cached, wait_node);

        list_remove(&c->flight_node);
        if (!next)
                return;
        cache_flight_leave(next);
        list_move_all(&next->waiters, &c->waiters);
        list_for_each(node, &next->waiters) {
                CONTAINER_OF(node, struct cached, wait_node)->leader = next;
                next->waiters_count++;
        }
        c->waiters_count = 0;
        cache_flight_lead(next);
        exchange_run_later(next->x);
}

bool cache_flight_leads(const struct cached *c)
{
        return !list_is_empty(&c->flight_node);
}

/* Also what is on its way in was asked for before. */
void cache_flight_forget(struct cache *c, uint64_t hash)
{
        cache_remove_hash(c->store, hash);
        list_for_each(node, &c->flights[hash % CACHE_FLIGHTS_BUCKETS]) {
                struct cached *leader = CONTAINER_OF(node, struct cached, flight_node);

                if (cache_key_hash(c->store, leader->key) == hash)
                        leader->is_spoilt = true;
        }
}
