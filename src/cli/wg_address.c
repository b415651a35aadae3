#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "cli/out.h"
#include "cli/wg_priv.h"
#include "crypto/random.h"
#include "io/resolver.h"
#include "io/timer.h"
#include "io/udp.h"
#include "mesh/stun.h"

/* `sekisho wg address SERVER`: asks as RFC 8489 6.2.1 has it, each time after twice as long. */

enum { FIRST_WAIT_MS = 500, TRIES = 4, NAME_MAX_BYTES = 255 };

struct question {
        struct loop *loop;
        struct resolver_query query;
        struct udp udp;
        struct timer timer;
        struct ip server, seen;
        uint16_t port, seen_port;
        unsigned tries;
        uint8_t id[MESH_STUN_ID_BYTES], memory[UDP_ARRIVAL_BYTES];
        bool is_over;
        enum err err;
};

static void finish(struct question *q, enum err e)
{
        q->err = e;
        q->is_over = true;
        timer_clear(&q->timer);
}

static void ask(struct question *q)
{
        uint8_t request[MESH_STUN_REQUEST_BYTES];
        struct udp_burst b = { .bytes = request,
                               .len = sizeof(request),
                               .datagram_bytes = sizeof(request),
                               .to = q->server,
                               .port = q->port };
        size_t sent;

        mesh_stun_request(q->id, request);
        (void)!udp_send(&q->udp, &b, 1, &sent); /* what is lost is asked again */
        timer_set(q->loop, &q->timer, loop_now(q->loop) + (FIRST_WAIT_MS << q->tries));
}

static void on_timer(struct timer *t)
{
        struct question *q = CONTAINER_OF(t, struct question, timer);

        if (++q->tries == TRIES)
                finish(q, ERR_TIMED_OUT);
        else
                ask(q);
}

static void on_readable(struct udp *u)
{
        struct question *q = u->context;
        struct udp_arrival a;
        size_t count;

        while (!q->is_over && udp_receive(u, q->memory, &a, 1, &count) == ERR_OK) {
                struct str answer = { (char *)a.bytes,
                                      a.datagram_bytes ? MIN(a.datagram_bytes, a.len) : a.len };
                enum err e = mesh_stun_read(answer, q->id, &q->seen, &q->seen_port);
                if (e != ERR_MALFORMED) /* from somebody else: go on waiting */
                        finish(q, e);
        }
}

static void on_writable(struct udp *u)
{
        (void)u;
}

static void on_found(struct resolver_query *query, enum err e, const struct ip *addresses,
                     size_t addresses_count)
{
        struct question *q = CONTAINER_OF(query, struct question, query);

        if (e != ERR_OK || addresses_count == 0) {
                finish(q, e == ERR_OK ? ERR_NOT_FOUND : e);
                return;
        }
        q->server = addresses[0];
        struct udp_conf conf = { .family = q->server.family };
        e = udp_open(&q->udp, &conf);
        q->udp.context = q;
        if (e != ERR_OK || (e = udp_start(&q->udp, q->loop, on_readable, on_writable)) != ERR_OK)
                finish(q, e);
        else
                ask(q);
}

/* "name", "name:port", "[::1]:port" */
static bool parse_server(struct str text, struct str *host, uint16_t *port)
{
        uint64_t number = MESH_STUN_PORT;
        size_t bracket = str_has_prefix(text, STR("[")) ? str_find_char(text, ']') : 0;

        if (bracket == STR_NONE)
                return false;
        struct str tail = str_from(text, bracket ? bracket + 1 : 0);
        size_t colon = str_find_char(tail, ':');
        *host = bracket ? str_sub(text, 1, bracket - 1) : colon == STR_NONE ? text : str_sub(text, 0, colon);
        if (colon != STR_NONE &&
            (units_parse_u64(str_from(tail, colon + 1), 65535, &number) != ERR_OK || number == 0))
                return false;
        *port = (uint16_t)number;
        return host->len > 0 && host->len <= NAME_MAX_BYTES;
}

enum exit_code wg_address_run(const struct command_call *call)
{
        struct resolver_conf conf = {
                .ttl_min_ms = 1000, .ttl_max_ms = 60000, .timeout_ms = 5000, .names_max = 4
        };
        static struct question q;
        struct resolver *r = NULL;
        struct str host;
        char text[IP_TEXT_MAX];

        if (call->arguments->count != 1 || !parse_server(call->arguments->items[0], &host, &q.port)) {
                out_problem("expected a STUN server: NAME, NAME:PORT or [ADDRESS]:PORT");
                return EXIT_WRONG;
        }
        q.udp.fd = -1;
        timer_init(&q.timer, on_timer);
        crypto_random(q.id, sizeof(q.id));
        if (loop_new(&q.loop) != ERR_OK || resolver_new(q.loop, &conf, &r) != ERR_OK) {
                loop_free(q.loop);
                return EXIT_FAILED;
        }
        resolver_find(r, &q.query, host, on_found);
        while (!q.is_over)
                loop_turn(q.loop, MONO_NEVER);
        udp_close(&q.udp);
        resolver_free(r);
        loop_free(q.loop);
        if (q.err != ERR_OK) {
                out_problem("%.*s: %s", STR_FMT(host),
                            q.err == ERR_TIMED_OUT
                                    ? "no answer: UDP may be blocked, or there is no STUN server"
                                    : err_text(q.err));
                return q.err == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_UNAVAILABLE;
        }
        ip_format(q.seen, text);
        if (q.seen.family == 4)
                out_print("%s:%u\n", text, q.seen_port);
        else
                out_print("[%s]:%u\n", text, q.seen_port);
        return EXIT_OK;
}
