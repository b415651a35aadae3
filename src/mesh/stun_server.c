#include "mesh/stun_server.h"

#include <stdlib.h>

#include "crypto/random.h"
#include "io/udp.h"
#include "mesh/stun.h"
#include "wg/ratelimiter.h"

enum { RECEIVES_A_TURN = 8, ARRIVALS = 4 };

struct mesh_stun_server {
        struct loop *loop;
        struct udp udp4, udp6; /* fd -1: not there */
        struct wg_ratelimiter *ratelimiter;
        struct mesh_stun_server_stats stats;
        uint8_t memory[ARRIVALS * UDP_ARRIVAL_BYTES];
};

static void take_one(struct mesh_stun_server *s, struct udp *u, const struct udp_arrival *a,
                     struct str datagram)
{
        uint8_t answer[MESH_STUN_ANSWER_MAX];
        size_t len, sent;
        enum err e = mesh_stun_answer(datagram, a->from, a->port, answer, &len);

        if (e != ERR_OK) {
                if (e == ERR_TOO_LARGE)
                        s->stats.too_small++;
                else
                        s->stats.malformed++;
                return;
        }
        if (!wg_ratelimiter_allow(s->ratelimiter, a->from, loop_now(s->loop))) {
                s->stats.too_often++;
                return;
        }
        struct udp_burst burst = { .bytes = answer,
                                   .len = len,
                                   .datagram_bytes = len,
                                   .to = a->from,
                                   .port = a->port,
                                   .scope = a->scope,
                                   .source = a->to,
                                   .source_interface = a->interface };
        if (answer[1] & 0x10)
                s->stats.refused++;
        else
                s->stats.answered++;
        (void)!udp_send(u, &burst, 1, &sent); /* a full queue loses the answer, and it is asked for again */
}

static void on_readable(struct udp *u)
{
        struct mesh_stun_server *s = u->context;
        struct udp_arrival arrivals[ARRIVALS];
        size_t count;

        for (int n = 0; n < RECEIVES_A_TURN; n++) {
                if (udp_receive(u, s->memory, arrivals, ARRIVALS, &count) != ERR_OK)
                        return;
                for (size_t i = 0; i < count; i++) {
                        const struct udp_arrival *a = &arrivals[i];
                        size_t step = a->datagram_bytes ? a->datagram_bytes : 1;
                        s->stats.malformed += a->len == 0;
                        for (size_t at = 0; at < a->len; at += step)
                                take_one(s, u, a,
                                         (struct str){ (char *)a->bytes + at, MIN(step, a->len - at) });
                }
        }
}

static void on_writable(struct udp *u)
{
        (void)u; /* nothing waits */
}

static enum err open_one(struct mesh_stun_server *s, struct udp *u, int family, struct ip bind, uint16_t port)
{
        struct udp_conf conf = { .family = family, .bind = bind, .port = port };
        enum err e;

        if (bind.family != 0 && bind.family != family)
                return ERR_UNSUPPORTED;
        if ((e = udp_open(u, &conf)) != ERR_OK)
                return e;
        u->context = s;
        if ((e = udp_start(u, s->loop, on_readable, on_writable)) != ERR_OK)
                udp_close(u);
        return e;
}

enum err mesh_stun_server_start(struct loop *l, struct ip bind, uint16_t port, struct mesh_stun_server **out)
{
        struct mesh_stun_server *s = calloc(1, sizeof(*s));
        struct hash_key key;
        enum err e4, e6 = ERR_NO_MEMORY;

        if (!s)
                return ERR_NO_MEMORY;
        s->loop = l;
        s->udp4.fd = s->udp6.fd = -1;
        crypto_random(&key, sizeof(key));
        if (!(s->ratelimiter = wg_ratelimiter_new(key)))
                goto fail;
        e4 = open_one(s, &s->udp4, 4, bind, port);
        if (e4 != ERR_OK && e4 != ERR_UNSUPPORTED) {
                e6 = e4;
                goto fail;
        }
        e6 = open_one(s, &s->udp6, 6, bind, e4 == ERR_OK ? udp_port(&s->udp4) : port);
        if (e6 != ERR_OK && (e6 != ERR_UNSUPPORTED || e4 != ERR_OK))
                goto fail;
        *out = s;
        return ERR_OK;

fail:
        mesh_stun_server_stop(s);
        return e6;
}

void mesh_stun_server_stop(struct mesh_stun_server *s)
{
        if (!s)
                return;
        udp_close(&s->udp4);
        udp_close(&s->udp6);
        wg_ratelimiter_free(s->ratelimiter);
        free(s);
}

uint16_t mesh_stun_server_port(const struct mesh_stun_server *s)
{
        return udp_port(s->udp4.fd >= 0 ? &s->udp4 : &s->udp6);
}

const struct mesh_stun_server_stats *mesh_stun_server_get_stats(const struct mesh_stun_server *s)
{
        return &s->stats;
}
