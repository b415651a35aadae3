#include "mesh/paths.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "crypto/secret.h"
#include "mesh/probe.h"
#include "wg/messages.h"

/*
 * Theory of operation. A peer in use is asked on the straight way. Three things are read from what comes back: whether the
 * way is open (any answer), whether large packets pass (answers to padded questions), and, from the engine, which way the
 * peer itself uses (it roams to where its last authentic datagram came from). The way is straight while answers come; silent
 * for 600 ms it is the relay, if the peer was heard there lately, else both at once: what comes twice is dropped by the replay
 * window. Two answers in a row bring it back. Nothing is lost on the way back; on the way over, what was sent since the last
 * answer.
 */
enum {
        OUTSTANDING = 32,
        STRANGE_ASKS = 3,   /* to a peer that never answered */
        SIZE_WAIT_MS = 400, /* for the answer to a padded question */
        SIZE_LOST = 2,      /* of them, in a row: then a black hole is looked into */
        LADDER_WAIT_MS = 400,
        HEARD_CARRIED_MS = 5000,
        PROBE_MTU_MAX = 9000, /* larger than any path worth probing */
};

enum way { WAY_STRAIGHT, WAY_RELAY, WAY_BOTH };

struct asked {
        uint8_t id[MESH_PROBE_ID_BYTES];
        mono_ms at;   /* 0: a free place */
        uint16_t mtu; /* what its size stands for; 0: a small one */
};

struct path {
        uint8_t key[WG_KEY_BYTES];
        struct crypto_pairbox_key box;
        struct list link, active;

        enum way way;
        struct wg_endpoint straight; /* family 0: unknown */
        bool speaks, has_box;
        unsigned strange_asks, answers_in_row;
        uint64_t received_before;
        mono_ms active_until, asked_at, unanswered_since; /* 0: nothing is */
        mono_ms answered_at, heard_straight, heard_carried;

        mono_ms size_asked_at, ladder_at, raised_at;
        uint16_t ladder_best;
        unsigned sizes_lost;
        struct asked outstanding[OUTSTANDING];
        unsigned next_place;
};

struct mesh_paths {
        struct wg_device *device;
        struct mesh_paths_doors doors;
        struct map by_key;
        struct list all, active;
        bool has_carrier;
        uint16_t mtu, mtu_most;
        mono_ms next;
        struct mesh_paths_stats stats;
        uint8_t buffer[PROBE_MTU_MAX + 256];
};

struct wg_endpoint mesh_carried_to(const uint8_t key[WG_KEY_BYTES])
{
        struct wg_endpoint e = { .port = 1, .is_carried = true };

        e.ip.family = e.source.family = 6;
        memcpy(e.ip.bytes, key, 16);
        memcpy(e.source.bytes, key + 16, 16);
        return e;
}

void mesh_carried_key(const struct wg_endpoint *e, uint8_t key[WG_KEY_BYTES])
{
        memcpy(key, e->ip.bytes, 16);
        memcpy(key + 16, e->source.bytes, 16);
}

static struct str key_str(const uint8_t *key)
{
        return (struct str){ (const char *)key, WG_KEY_BYTES };
}

/* ---- paths come and go with their peers ---- */

static struct path *path_of(struct mesh_paths *m, struct wg_peer *peer)
{
        const uint8_t *key = wg_peer_public_key(peer);
        struct path *p = map_find(&m->by_key, key_str(key));

        if (p || !(p = calloc(1, sizeof(*p))))
                return p;
        memcpy(p->key, key, WG_KEY_BYTES);
        if (map_add(&m->by_key, key_str(p->key), p) != ERR_OK) {
                free(p);
                return NULL;
        }
        list_init(&p->active);
        list_add_last(&m->all, &p->link);
        if (!wg_peer_endpoint(peer)->is_carried)
                p->straight = *wg_peer_endpoint(peer);
        else
                p->way = WAY_RELAY;
        return p;
}

static void path_free(struct mesh_paths *m, struct path *p)
{
        map_remove(&m->by_key, key_str(p->key));
        list_remove(&p->link);
        list_remove(&p->active);
        crypto_wipe(p, sizeof(*p));
        free(p);
}

/* The box with our key of now; false: we have none. */
static bool has_box(struct mesh_paths *m, struct path *p)
{
        if (!p->has_box)
                p->has_box =
                        !crypto_is_zero(wg_device_private_key(m->device), WG_KEY_BYTES) &&
                        crypto_pairbox_key_init(&p->box, wg_device_private_key(m->device), p->key) == ERR_OK;
        return p->has_box;
}

static size_t overhead(const struct wg_endpoint *e)
{
        return (e->ip.family == 4 ? 20 : 40) + 8 + WG_DATA_OVERHEAD;
}

/* ---- asking ---- */

static void ask(struct mesh_paths *m, struct path *p, uint16_t mtu, mono_ms now)
{
        struct mesh_probe probe = { 0 };
        uint8_t nonce[CRYPTO_PAIRBOX_NONCE_BYTES];
        struct asked *a = &p->outstanding[p->next_place++ % OUTSTANDING];

        if (!has_box(m, p))
                return;
        m->doors.fill(m->doors.context, probe.id, sizeof(probe.id));
        m->doors.fill(m->doors.context, nonce, sizeof(nonce));
        *a = (struct asked){ .at = now, .mtu = mtu };
        memcpy(a->id, probe.id, sizeof(a->id));
        size_t len = mesh_probe_write(&probe, wg_device_public_key(m->device), &p->box, nonce,
                                      mtu ? (size_t)mtu + WG_DATA_OVERHEAD : 0, m->buffer);
        m->doors.send(m->doors.context, &p->straight, m->buffer, len);
        m->stats.asked++;
}

static void ask_small(struct mesh_paths *m, struct path *p, mono_ms now)
{
        mono_ms every = m->has_carrier ? MESH_PATHS_ASK_MS : MESH_PATHS_SIZE_MS;

        if (!wg_endpoint_is_known(&p->straight) || now - p->asked_at < every)
                return;
        if (!p->speaks && !m->has_carrier && p->strange_asks >= STRANGE_ASKS)
                return;
        p->asked_at = now;
        p->strange_asks++;
        if (!p->unanswered_since)
                p->unanswered_since = now;
        ask(m, p, 0, now);
}

/* ---- the way ---- */

static void take_way(struct mesh_paths *m, struct path *p, struct wg_peer *peer, enum way way, mono_ms now)
{
        struct wg_endpoint carried = mesh_carried_to(p->key);

        if (p->way != way) {
                if (way == WAY_STRAIGHT)
                        m->stats.to_straight++;
                else if (p->way == WAY_STRAIGHT)
                        m->stats.to_relay++;
                p->way = way;
                p->answers_in_row = 0;
                wg_peer_set_endpoint(peer, way == WAY_RELAY ? &carried : &p->straight);
                wg_peer_hurry(m->device, peer, now);
        } else if (way == WAY_RELAY && !wg_peer_endpoint(peer)->is_carried) {
                wg_peer_set_endpoint(peer, &carried);
        }
}

/* Where the peer itself is, by its last authentic datagram. */
static void follow_peer(struct mesh_paths *m, struct path *p, struct wg_peer *peer, mono_ms now)
{
        const struct wg_endpoint *e = wg_peer_endpoint(peer);
        struct wg_peer_stats s;

        wg_peer_get_stats(peer, now, &s);
        bool is_heard = s.received_bytes != p->received_before;
        p->received_before = s.received_bytes;
        if (e->is_carried) {
                if (is_heard)
                        p->heard_carried = now;
                if (is_heard && p->way != WAY_RELAY)
                        take_way(m, p, peer, WAY_RELAY, now); /* it takes the straight way for closed */
        } else if (wg_endpoint_is_known(e)) {
                p->straight = *e;
                if (is_heard)
                        p->heard_straight = now;
        }
}

static enum way way_wanted(const struct mesh_paths *m, const struct path *p, mono_ms now)
{
        bool is_heard_carried = p->heard_carried && now - p->heard_carried < HEARD_CARRIED_MS;
        mono_ms last = MAX(p->answered_at, p->heard_straight);

        if (!m->has_carrier)
                return WAY_STRAIGHT;
        if (!wg_endpoint_is_known(&p->straight))
                return WAY_RELAY;
        if (p->way != WAY_STRAIGHT) {
                if (p->answers_in_row >= 2)
                        return WAY_STRAIGHT;
                return is_heard_carried ? WAY_RELAY : WAY_BOTH;
        }
        if (!p->unanswered_since || now - p->unanswered_since < MESH_PATHS_SILENT_MS ||
            now - last < MESH_PATHS_SILENT_MS)
                return WAY_STRAIGHT;
        return is_heard_carried ? WAY_RELAY : WAY_BOTH;
}

/* ---- the size ---- */

static void use_mtu(struct mesh_paths *m, uint16_t mtu)
{
        mtu = (uint16_t)MAX(MIN(mtu, m->mtu_most), (uint16_t)MESH_PATHS_MTU_LEAST);
        if (mtu == m->mtu)
                return;
        m->mtu = m->stats.mtu = mtu;
        m->doors.set_mtu(m->doors.context, mtu);
}

/* Many sizes at once: the largest that is answered is the one. */
static void ask_ladder(struct mesh_paths *m, struct path *p, uint16_t from, uint16_t to, mono_ms now)
{
        enum { STEPS = 10 };

        p->ladder_at = now;
        p->ladder_best = 0;
        for (unsigned i = 1; i <= STEPS && to > from; i++)
                ask(m, p, (uint16_t)(from + (unsigned)(to - from) * i / STEPS), now);
        ask(m, p, MESH_PATHS_MTU_LEAST, now);
}

static void look_at_size(struct mesh_paths *m, struct path *p, mono_ms now)
{
        if (p->way != WAY_STRAIGHT || m->mtu < MESH_PATHS_MTU_LEAST || m->mtu > PROBE_MTU_MAX ||
            !wg_endpoint_is_known(&p->straight))
                return;
        uint16_t known = m->doors.route_mtu(m->doors.context, &p->straight);
        if (known > overhead(&p->straight) && known - overhead(&p->straight) < m->mtu)
                use_mtu(m, (uint16_t)(known - overhead(&p->straight)));
        if (!p->speaks)
                return;
        if (p->ladder_at) {
                if (now - p->ladder_at < LADDER_WAIT_MS)
                        return;
                if (p->ladder_best)
                        use_mtu(m, p->ladder_best);
                p->ladder_at = 0;
                p->sizes_lost = 0;
                p->raised_at = now;
                return;
        }
        if (p->size_asked_at && now - p->size_asked_at >= SIZE_WAIT_MS) {
                p->size_asked_at = 0;
                /* Small ones are answered all the while, so the way is open, but not for this size. */
                if (++p->sizes_lost >= SIZE_LOST &&
                    now - p->answered_at < MESH_PATHS_SIZE_MS + SIZE_WAIT_MS) {
                        m->stats.black_holes++;
                        ask_ladder(m, p, MESH_PATHS_MTU_LEAST, m->mtu, now);
                        return;
                }
        }
        if (m->mtu < m->mtu_most && now - p->raised_at >= MESH_PATHS_RAISE_MS) {
                ask_ladder(m, p, m->mtu, MIN(m->mtu_most, (uint16_t)PROBE_MTU_MAX), now);
                ask(m, p, m->mtu, now);
                return;
        }
        if (!p->size_asked_at && (p->sizes_lost || now - p->asked_at < MESH_PATHS_TICK_MS)) {
                p->size_asked_at = now;
                ask(m, p, m->mtu, now);
        }
}

/* ---- time ---- */

static void note_touched(struct mesh_paths *m, mono_ms now)
{
        struct wg_peer *peer;

        while ((peer = wg_device_take_touched(m->device))) {
                struct path *p = path_of(m, peer);
                if (!p)
                        continue;
                if (list_is_empty(&p->active)) {
                        list_add_last(&m->active, &p->active);
                        p->unanswered_since = p->size_asked_at = p->ladder_at = 0;
                        p->strange_asks = 0;
                }
                p->active_until = now + MESH_PATHS_IDLE_MS;
        }
}

mono_ms mesh_paths_tick(struct mesh_paths *m, mono_ms now)
{
        if (now < m->next && !list_is_empty(&m->active))
                return m->next;
        note_touched(m, now);
        list_for_each_safe(node, &m->active) {
                struct path *p = CONTAINER_OF(node, struct path, active);
                struct wg_peer *peer = wg_device_find_peer(m->device, p->key);
                if (!peer) {
                        path_free(m, p);
                        continue;
                }
                follow_peer(m, p, peer, now);
                take_way(m, p, peer, way_wanted(m, p, now), now);
                if (now >= p->active_until) {
                        list_remove(&p->active);
                        continue;
                }
                ask_small(m, p, now);
                look_at_size(m, p, now);
        }
        m->next = list_is_empty(&m->active) ? MONO_NEVER : now + MESH_PATHS_TICK_MS;
        return m->next;
}

/* ---- what comes ---- */

static void take_pong(struct mesh_paths *m, struct path *p, const struct mesh_probe *probe, mono_ms now)
{
        for (size_t i = 0; i < OUTSTANDING; i++) {
                struct asked *a = &p->outstanding[i];
                if (!a->at || !crypto_eq(a->id, probe->id, sizeof(a->id)))
                        continue;
                m->stats.answers++;
                p->speaks = true;
                p->answered_at = now;
                p->unanswered_since = 0;
                p->answers_in_row++;
                if (a->mtu && p->ladder_at)
                        p->ladder_best = MAX(p->ladder_best, a->mtu);
                if (a->mtu && a->mtu == m->mtu) {
                        p->size_asked_at = 0;
                        p->sizes_lost = 0;
                }
                a->at = 0;
                return;
        }
        m->stats.refused++; /* late, or never asked */
}

void mesh_paths_take(struct mesh_paths *m, struct str datagram, const struct wg_endpoint *from, mono_ms now)
{
        struct wg_peer *peer = wg_device_find_peer(m->device, mesh_probe_sender(datagram));
        struct path *p = peer ? path_of(m, peer) : NULL;
        uint8_t nonce[CRYPTO_PAIRBOX_NONCE_BYTES];
        struct mesh_probe probe;

        if (!p || !has_box(m, p) || mesh_probe_read(datagram, &p->box, &probe) != ERR_OK) {
                m->stats.refused++; /* a stranger hears nothing */
                return;
        }
        if (probe.is_pong) {
                take_pong(m, p, &probe, now);
                return;
        }
        p->speaks = true;
        if (!wg_endpoint_is_known(&p->straight) || (p->way != WAY_STRAIGHT && p->answers_in_row == 0))
                p->straight = *from; /* it is there; whether we reach it is asked next */
        probe.is_pong = true;
        probe.seen = from->ip;
        probe.seen_port = from->port;
        m->doors.fill(m->doors.context, nonce, sizeof(nonce));
        size_t len = mesh_probe_write(&probe, wg_device_public_key(m->device), &p->box, nonce, 0, m->buffer);
        m->doors.send(m->doors.context, from, m->buffer, len);
        m->stats.answered++;
}

const uint8_t *mesh_paths_doubled(const struct mesh_paths *m, const struct wg_endpoint *to)
{
        if (!m->has_carrier)
                return NULL;
        list_for_each(node, &m->active) {
                const struct path *p = CONTAINER_OF(node, struct path, active);
                if (p->way == WAY_BOTH && p->straight.port == to->port && ip_eq(p->straight.ip, to->ip))
                        return p->key;
        }
        return NULL;
}

const char *mesh_paths_way(const struct mesh_paths *m, const uint8_t key[WG_KEY_BYTES])
{
        static const char *const names[] = {
                [WAY_STRAIGHT] = "straight", [WAY_RELAY] = "relay", [WAY_BOTH] = "both"
        };
        const struct path *p = map_find(&m->by_key, key_str(key));

        return p ? names[p->way] : NULL;
}

/* ---- life ---- */

void mesh_paths_set_mtu(struct mesh_paths *m, uint16_t mtu)
{
        m->mtu = m->mtu_most = m->stats.mtu = mtu;
}

void mesh_paths_set_carrier(struct mesh_paths *m, bool is_up, mono_ms now)
{
        m->has_carrier = is_up;
        list_for_each_safe(node, &m->all) {
                struct path *p = CONTAINER_OF(node, struct path, link);
                struct wg_peer *peer = wg_device_find_peer(m->device, p->key);
                p->has_box = false; /* our key may be another */
                if (!peer)
                        path_free(m, p);
                else if (!is_up && wg_endpoint_is_known(&p->straight))
                        take_way(m, p, peer, WAY_STRAIGHT, now);
        }
        for (struct wg_peer *peer = wg_device_first_peer(m->device); is_up && peer;
             peer = wg_device_next_peer(m->device, peer)) {
                struct wg_endpoint carried = mesh_carried_to(wg_peer_public_key(peer));
                if (!wg_endpoint_is_known(wg_peer_endpoint(peer)))
                        wg_peer_set_endpoint(peer, &carried);
        }
}

struct mesh_paths *mesh_paths_new(struct wg_device *d, const struct mesh_paths_doors *doors)
{
        struct mesh_paths *m = calloc(1, sizeof(*m));
        struct hash_key hash_key;

        if (!m)
                return NULL;
        m->device = d;
        m->doors = *doors;
        m->next = MONO_NEVER;
        list_init(&m->all);
        list_init(&m->active);
        doors->fill(doors->context, &hash_key, sizeof(hash_key));
        map_init(&m->by_key, hash_key, SIZE_MAX / 2);
        return m;
}

void mesh_paths_free(struct mesh_paths *m)
{
        struct path *p;

        if (!m)
                return;
        while ((p = LIST_FIRST(&m->all, struct path, link)))
                path_free(m, p);
        map_fini(&m->by_key);
        free(m);
}

const struct mesh_paths_stats *mesh_paths_get_stats(const struct mesh_paths *m)
{
        return &m->stats;
}
