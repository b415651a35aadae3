#include "mesh/setup.h"

#include <stdio.h>

#include "io/netif.h"

enum {
        OUTER_HEADERS = 80, /* IPv6 40, UDP 8, WireGuard 32 */
        MTU_DEFAULT = 1500 - OUTER_HEADERS,
        MTU_LEAST = 1280,
};

static enum err failed(struct report *r, enum err e, const char *what)
{
        const char *why = e == ERR_DENIED ? "permission denied; it needs root or CAP_NET_ADMIN" : err_text(e);

        report_error(r, 0, 0, "%s: %s", what, why);
        return ERR_CONFIG;
}

/* What fits the smallest way to a peer we know; a way not found counts as Ethernet. */
static uint32_t mtu_for(const struct mesh_quick *q)
{
        uint32_t best = 0, index, mtu;

        for (size_t i = 0; i < q->peers_count; i++) {
                const struct mesh_quick_peer *p = &q->peers[i];
                if (p->endpoint_ip.family && netif_route_to(p->endpoint_ip, &index, &mtu) == ERR_OK &&
                    mtu >= MTU_LEAST + OUTER_HEADERS && (!best || mtu < best))
                        best = mtu;
        }
        return best ? MIN(best, 65535u) - OUTER_HEADERS : MTU_DEFAULT;
}

enum err mesh_setup_addresses(const struct mesh_quick *q, uint32_t index, struct report *report)
{
        char what[128], text[IP_PREFIX_TEXT_MAX];
        enum err e;

        if ((e = netif_set_mtu(index, q->has_mtu ? q->mtu : mtu_for(q))) != ERR_OK)
                return failed(report, e, "setting the MTU");
        for (size_t i = 0; i < q->addresses.count; i++) {
                const struct ip_prefix *a = &q->addresses.items[i];
                e = netif_add_address(index, a);
                if (e != ERR_OK && e != ERR_EXISTS) {
                        ip_prefix_format(a, text);
                        snprintf(what, sizeof(what), "adding the address %s", text);
                        return failed(report, e, what);
                }
        }
        if ((e = netif_set_up(index, true)) != ERR_OK)
                return failed(report, e, "bringing the interface up");
        return ERR_OK;
}

static bool wants_default(const struct mesh_quick *q, int family)
{
        for (size_t i = 0; i < q->peers_count; i++)
                for (size_t n = 0; n < q->peers[i].allowed_ips.count; n++) {
                        const struct ip_prefix *p = &q->peers[i].allowed_ips.items[n];
                        if (p->bits == 0 && p->ip.family == family)
                                return true;
                }
        return false;
}

uint32_t mesh_setup_mark(const struct mesh_quick *q)
{
        if (q->table != MESH_TABLE_AUTO || !(wants_default(q, 4) || wants_default(q, 6)))
                return 0;
        return q->fwmark ? q->fwmark : MESH_TABLE_DEFAULT;
}

static enum err add_rules(int family, uint32_t mark, struct report *report)
{
        struct netif_rule through = { .family = family, .fwmark = mark, .table = mark };
        struct netif_rule suppress = { .family = family, .is_suppressor = true };
        enum err e = netif_add_rule(&through);

        if (e != ERR_OK && e != ERR_EXISTS)
                return failed(report, e, "adding a routing rule for the default route");
        e = netif_add_rule(&suppress);
        if (e != ERR_OK && e != ERR_EXISTS)
                return failed(report, e, "adding the rule that keeps local routes local");
        /* Answers come unmarked and must be judged by the same table as what was sent, or a strict host drops them. */
        if (family == 4 && netif_set_src_valid_mark() != ERR_OK)
                report_warning(report, 0, 0, "could not set net.ipv4.conf.all.src_valid_mark=1");
        return ERR_OK;
}

void mesh_setup_rules_remove(uint32_t mark)
{
        for (int family = 4; mark && family <= 6; family += 2) {
                struct netif_rule through = { .family = family, .fwmark = mark, .table = mark };
                struct netif_rule suppress = { .family = family, .is_suppressor = true };
                /* The second belongs to the first: another tunnel of this kind brings its own pair. */
                if (netif_remove_rule(&through) == ERR_OK)
                        (void)!netif_remove_rule(&suppress);
        }
}

static enum err add_route(const struct ip_prefix *p, uint32_t index, uint32_t table, struct report *report)
{
        char what[128], text[IP_PREFIX_TEXT_MAX];
        enum err e = netif_add_route(index, p, table);

        if (e == ERR_OK || e == ERR_EXISTS) /* the network of an own address brings its route itself */
                return ERR_OK;
        ip_prefix_format(p, text);
        snprintf(what, sizeof(what), "adding the route to %s", text);
        return failed(report, e, what);
}

enum err mesh_setup_routes(const struct mesh_quick *q, uint32_t index, uint32_t *fwmark_out,
                           struct report *report)
{
        uint32_t mark = mesh_setup_mark(q);
        enum err e;

        *fwmark_out = mark;
        if (q->table == MESH_TABLE_OFF)
                return ERR_OK;
        for (size_t i = 0; i < q->peers_count; i++)
                for (size_t n = 0; n < q->peers[i].allowed_ips.count; n++) {
                        const struct ip_prefix *p = &q->peers[i].allowed_ips.items[n];
                        uint32_t table = q->table == MESH_TABLE_NUMBER ? q->table_number
                                         : p->bits == 0                ? mark
                                                                       : NETIF_TABLE_MAIN;
                        if ((e = add_route(p, index, table, report)) != ERR_OK)
                                return e;
                }
        for (int family = 4; mark && family <= 6; family += 2)
                if (wants_default(q, family) && (e = add_rules(family, mark, report)) != ERR_OK)
                        return e;
        return ERR_OK;
}
