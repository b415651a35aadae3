#include "mesh/private.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mesh/interface.h"

#define DEVICE STR("sekisho")

enum {
        PEERS_MAX = 20 * 1000,
        MTU = 1420,
        KEEPALIVE_S = 20, /* under what NATs forget UDP after */
        BACKLOG = 256
};

struct mesh_private {
        struct broker *broker;
        struct mesh_interface *interface;
        struct ip v4, v6; /* as they were given last */
        bool is_up;
};

static enum err set_mtu(void *context, uint32_t mtu)
{
        return broker_set_mtu(((struct mesh_private *)context)->broker, mtu);
}

/* The device is held by our own child: it goes with all of this. */
static void on_gone(void *context)
{
        (void)context;
}

static enum err interface_make(struct mesh_private *p, struct loop *l)
{
        struct mesh_interface_conf conf = { .name = DEVICE,
                                            .peers_max = PEERS_MAX,
                                            .host = { broker_take_tun(p->broker), set_mtu, p },
                                            .on_gone = on_gone,
                                            .context = p };

        enum err e = mesh_interface_new(l, &conf, &p->interface);
        if (e == ERR_OK && (e = broker_set_mtu(p->broker, MTU)) == ERR_OK)
                mesh_interface_set_mtu(p->interface, MTU);
        return e;
}

enum err mesh_private_open(struct loop *l, struct mesh_private **out, enum broker_lack *lack)
{
        struct mesh_private *p = calloc(1, sizeof(*p));
        enum err e;

        *lack = BROKER_LACKS_MEMORY;
        if (!p)
                return ERR_UNSUPPORTED;
        if ((e = broker_start(DEVICE, &p->broker, lack)) == ERR_OK) {
                *lack = BROKER_LACKS_MEMORY;
                broker_forbid_programs(p->broker);
                e = interface_make(p, l);
        }
        if (e == ERR_OK)
                *out = p;
        else
                mesh_private_free(p);
        return e == ERR_OK ? ERR_OK : ERR_UNSUPPORTED;
}

void mesh_private_free(struct mesh_private *p)
{
        if (!p)
                return;
        mesh_interface_free(p->interface);
        broker_stop(p->broker);
        free(p);
}

enum err mesh_private_bind(struct mesh_private *p, uint16_t port)
{
        return mesh_interface_listen(p->interface, port);
}

/* ---- what is given ---- */

static enum err address_add(struct mesh_private *p, struct ip ip)
{
        struct ip_prefix own = { ip, ip.family == 4 ? 32 : 128 }, all = { { .family = ip.family }, 0 };
        enum err e;

        if (!ip.family)
                return ERR_OK;
        if ((e = broker_add_address(p->broker, &own)) != ERR_OK && e != ERR_EXISTS)
                return e;
        if (!p->is_up && (e = broker_set_up(p->broker)) != ERR_OK)
                return e;
        p->is_up = true;
        e = broker_add_route(p->broker, &all);
        return e == ERR_EXISTS ? ERR_OK : e;
}

/* A network without one of the families goes on with the other. */
static enum err addresses_set(struct mesh_private *p, const struct mesh_private_conf *conf)
{
        enum err e4 = ERR_OK, e6 = ERR_OK;

        if (!ip_eq(p->v4, conf->v4))
                e4 = address_add(p, conf->v4);
        if (!ip_eq(p->v6, conf->v6))
                e6 = address_add(p, conf->v6);
        p->v4 = conf->v4;
        p->v6 = conf->v6;
        return e4 != ERR_OK && e6 != ERR_OK ? e4 : ERR_OK;
}

static int by_key(const void *a, const void *b)
{
        const struct mesh_private_peer *x = a, *y = b;

        return memcmp(x->key, y->key, WG_KEY_BYTES);
}

static void peers_drop(struct wg_device *d, const struct mesh_private_peer *sorted, size_t count)
{
        struct wg_peer *next;

        for (struct wg_peer *p = wg_device_first_peer(d); p; p = next) {
                struct mesh_private_peer one = { 0 };

                memcpy(one.key, wg_peer_public_key(p), WG_KEY_BYTES);
                next = wg_device_next_peer(d, p);
                if (!bsearch(&one, sorted, count, sizeof(one), by_key))
                        wg_device_remove_peer(d, p);
        }
}

static enum err peer_set(struct wg_device *d, const struct mesh_private_peer *peer)
{
        struct ip_prefix v4 = { peer->v4, 32 }, v6 = { peer->v6, 128 };
        struct wg_peer *p = wg_device_find_peer(d, peer->key);
        enum err e = ERR_OK;

        if (!p && (e = wg_device_add_peer(d, peer->key, &p)) != ERR_OK)
                return e;
        wg_device_clear_allowedips(d, p);
        if (v4.ip.family)
                e = wg_device_add_allowedip(d, p, &v4);
        if (e == ERR_OK && v6.ip.family)
                e = wg_device_add_allowedip(d, p, &v6);
        return e;
}

enum err mesh_private_set(struct mesh_private *p, const struct mesh_private_conf *conf)
{
        struct wg_device *d = mesh_interface_device(p->interface);
        struct mesh_private_peer *sorted = calloc(conf->peers_count + 1, sizeof(*sorted));
        enum err e = addresses_set(p, conf), first = e;

        if (!sorted)
                return ERR_NO_MEMORY;
        if (conf->peers_count)
                memcpy(sorted, conf->peers, conf->peers_count * sizeof(*sorted));
        qsort(sorted, conf->peers_count, sizeof(*sorted), by_key);
        if (memcmp(wg_device_private_key(d), conf->key, WG_KEY_BYTES) != 0)
                wg_device_set_private_key(d, conf->key);
        peers_drop(d, sorted, conf->peers_count);
        for (size_t i = 0; i < conf->peers_count; i++)
                if ((e = peer_set(d, &conf->peers[i])) != ERR_OK && first == ERR_OK)
                        first = e;
        free(sorted);
        mesh_interface_changed(p->interface);
        return first;
}

void mesh_private_call(struct mesh_private *p, const struct mesh_private_peer *peer, struct ip ip,
                       uint16_t port)
{
        struct wg_device *d = mesh_interface_device(p->interface);
        struct wg_peer *found = wg_device_find_peer(d, peer->key);

        if (!found)
                return;
        wg_device_remove_peer(d, found);
        if (peer_set(d, peer) != ERR_OK || !(found = wg_device_find_peer(d, peer->key)))
                return; /* mesh_private_set will */
        wg_peer_set_endpoint(found, &(struct wg_endpoint){ .ip = ip, .port = port });
        wg_peer_set_keepalive(d, found, KEEPALIVE_S, mesh_interface_now(p->interface).mono);
        mesh_interface_changed(p->interface);
}

/* ---- how it stands ---- */

static struct wg_peer_stats stats_of(const struct mesh_private *p, const uint8_t key[WG_KEY_BYTES])
{
        struct wg_peer_stats stats = { 0 };

        const struct wg_peer *peer = wg_device_find_peer(mesh_interface_device(p->interface), key);
        if (peer)
                wg_peer_get_stats(peer, mesh_interface_now(p->interface).mono, &stats);
        return stats;
}

unix_ms mesh_private_proven_at(const struct mesh_private *p, const uint8_t key[WG_KEY_BYTES])
{
        return stats_of(p, key).last_handshake;
}

bool mesh_private_has_session(const struct mesh_private *p, const uint8_t key[WG_KEY_BYTES])
{
        return stats_of(p, key).has_session;
}

/* ---- sockets ---- */

enum err mesh_private_socket(struct mesh_private *p, int family, int *fd)
{
        return broker_socket(p->broker, family == 4 ? AF_INET : AF_INET6, SOCK_STREAM, IPPROTO_TCP, fd);
}

static enum err listen_on(struct mesh_private *p, int family, uint16_t port, int *out)
{
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
        struct sockaddr *at = family == 4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
        int fd, no = 0;
        enum err e = mesh_private_socket(p, family, &fd);

        if (e != ERR_OK)
                return e;
        if (family == 6)
                setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
        if (bind(fd, at, family == 4 ? sizeof(v4) : sizeof(v6)) == 0 && listen(fd, BACKLOG) == 0) {
                *out = fd;
                return ERR_OK;
        }
        e = err_from_errno(errno);
        close(fd);
        return e;
}

enum err mesh_private_listen(struct mesh_private *p, uint16_t port, int *fd)
{
        return listen_on(p, 6, port, fd) == ERR_OK ? ERR_OK : listen_on(p, 4, port, fd);
}
