#include "agent/sender.h"

#include <stdlib.h>

#include "base/log.h"
#include "dispatch/ways.h"
#include "io/netif.h"
#include "io/tls.h"

/*
 * Theory of operation. Word of the kernel that an address came or went makes all of them be looked at shortly after (they come in
 * crowds), and once in a while without a word, since a route may change and an address of IPv6 may still be on trial when it
 * is announced.
 */

enum { SOON_MS = 200, AGAIN_MS = 10 * 1000 };

static const struct conf_dispatch *conf_of(const struct worker *w)
{
        return &((const struct conf *)w->snap->conf)->agent.dispatch;
}

/* As the operator names them, or what others can answer to: never loopback as a way out of having none. */
static void addresses_look(struct sender *s)
{
        const struct conf_dispatch *c = conf_of(s->w);
        struct ip *all = calloc(SENDER_ADDRESSES_MAX, sizeof(*all));
        size_t found = 0, n = 0;

        if (!all)
                return;
        if (c->addresses_count)
                for (; found < c->addresses_count && found < SENDER_ADDRESSES_MAX; found++)
                        all[found] = c->addresses[found];
        else
                found = netif_addresses(all, SENDER_ADDRESSES_MAX);
        for (size_t i = 0; i < found; i++) {
                bool is_usual = !ip_is_loopback(all[i]) && (all[i].family == 4 || dispatch_is_public(all[i]));

                if ((is_usual || c->addresses_count) && netif_can_send_from(all[i]))
                        all[n++] = all[i];
        }
        if (n != s->addresses_count)
                log_info("dispatch_addresses", LOG_N("count", n), LOG_N("before", s->addresses_count),
                         LOG_N("looked_at", found));
        free(s->addresses);
        s->addresses = all;
        s->addresses_count = n;
}

static void on_time(struct timer *t)
{
        struct sender *s = CONTAINER_OF(t, struct sender, timer);

        timer_set(s->w->loop, t, loop_now(s->w->loop) + AGAIN_MS);
        addresses_look(s);
}

static void on_news(struct netwatch *n)
{
        struct sender *s = CONTAINER_OF(n, struct sender, netwatch);

        timer_set(s->w->loop, &s->timer, loop_now(s->w->loop) + SOON_MS);
}

static enum err ways_make(struct sender *s)
{
        struct tls_client_conf conf = { 0 };
        struct tls_context *h1 = NULL, *h2 = NULL;
        struct report report;

        report_init(&report, STR(""));
        enum err e = tls_client_new(&conf, &report, &h1);
        conf.offer_h2 = true;
        if (e == ERR_OK)
                e = tls_client_new(&conf, &report, &h2);
        if (e == ERR_OK && !(s->ways = ways_new(s->w, h1, h2)))
                e = ERR_NO_MEMORY;
        tls_context_put(h1);
        tls_context_put(h2);
        report_fini(&report);
        return e;
}

enum err sender_set(struct sender *s, struct worker *w)
{
        bool is_on = conf_of(w)->allow_count > 0;
        enum err e;

        s->w = w;
        if (!is_on) {
                sender_stop(s);
                return ERR_OK;
        }
        if (!s->ways && (e = ways_make(s)) != ERR_OK)
                return e;
        if (!s->is_watching) {
                timer_init(&s->timer, on_time);
                if (netwatch_start(&s->netwatch, w->loop, on_news) != ERR_OK)
                        log_warning("addresses_not_watched", LOG_N("looked_at_every_ms", AGAIN_MS));
                s->is_watching = true;
        }
        timer_set(w->loop, &s->timer, loop_now(w->loop) + AGAIN_MS);
        addresses_look(s);
        return ERR_OK;
}

void sender_stop(struct sender *s)
{
        if (!s->is_watching)
                return;
        s->is_watching = false;
        netwatch_stop(&s->netwatch);
        timer_clear(&s->timer);
        free(s->addresses);
        s->addresses = NULL;
        s->addresses_count = 0;
}

void sender_free(struct sender *s)
{
        sender_stop(s);
        ways_free(s->ways);
        s->ways = NULL;
}

const struct ip *sender_addresses(const struct sender *s, size_t *count)
{
        *count = s->addresses_count;
        return s->addresses;
}

bool sender_may_dial(const struct worker *w, const struct target *t, const struct dial_target *to)
{
        const struct conf_dispatch *c = conf_of(w);
        const struct dispatch_rules rules = { c->allow, c->allow_count };

        return dispatch_may_dial(&rules, t->host, to->ip, to->port);
}
