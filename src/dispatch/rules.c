#include "dispatch/rules.h"

/* What is nobody's on the public Internet, or not where it seems to be. Sources: the IANA special-purpose address registries. */
static const struct ip_prefix special[] = {
        { { 4, { 0 } }, 8 },
        { { 4, { 10 } }, 8 },
        { { 4, { 100, 64 } }, 10 }, /* carriers' and our mesh's */
        { { 4, { 127 } }, 8 },
        { { 4, { 169, 254 } }, 16 },
        { { 4, { 172, 16 } }, 12 },
        { { 4, { 192, 0, 0 } }, 24 },
        { { 4, { 192, 0, 2 } }, 24 },
        { { 4, { 192, 88, 99 } }, 24 },
        { { 4, { 192, 168 } }, 16 },
        { { 4, { 198, 18 } }, 15 },
        { { 4, { 198, 51, 100 } }, 24 },
        { { 4, { 203, 0, 113 } }, 24 },
        { { 4, { 224 } }, 4 },
        { { 4, { 240 } }, 4 },
        { { 6, { 0x20, 0x01, 0x00 } }, 23 },       /* Teredo, benchmarking, ORCHID */
        { { 6, { 0x20, 0x01, 0x0d, 0xb8 } }, 32 }, /* documentation */
        { { 6, { 0x20, 0x02 } }, 16 },             /* 6to4: an IPv4 address inside */
        { { 6, { 0x3f, 0xff } }, 20 },             /* documentation */
};

bool dispatch_is_public(struct ip ip)
{
        static const struct ip_prefix global6 = { { 6, { 0x20 } }, 3 };

        if (ip.family == 0 || (ip.family == 6 && !ip_prefix_contains(&global6, ip)))
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(special); i++)
                if (ip_prefix_contains(&special[i], ip))
                        return false;
        return true;
}

/* A prefix that has nothing public in it: whoever wrote it meant it. */
static bool names_special(const struct ip_prefix *p)
{
        return !dispatch_is_public(p->ip) && !dispatch_is_public(ip_last(p->ip, p->bits)) && p->bits >= 3;
}

static bool has_port(const struct conf_allow *a, uint16_t port)
{
        return port >= a->port_min && port <= a->port_max;
}

bool dispatch_may_ask(const struct dispatch_rules *r, struct str host, uint16_t port)
{
        struct ip ip;
        bool is_name = ip_parse(host, &ip) != ERR_OK;

        for (size_t i = 0; i < r->count; i++) {
                const struct conf_allow *a = &r->list[i];

                if (a->path.len || !has_port(a, port))
                        continue;
                /* A name may turn out to be an address of any prefix: that is judged when it is dialled. */
                if (a->prefix.ip.family ? is_name || ip_prefix_contains(&a->prefix, ip)
                                        : str_match(a->name, host))
                        return true;
        }
        return false;
}

bool dispatch_may_dial(const struct dispatch_rules *r, struct str host, struct ip ip, uint16_t port)
{
        bool is_public = dispatch_is_public(ip);

        for (size_t i = 0; i < r->count; i++) {
                const struct conf_allow *a = &r->list[i];

                if (a->path.len || !has_port(a, port))
                        continue;
                if (a->prefix.ip.family) {
                        if (ip_prefix_contains(&a->prefix, ip) && (is_public || names_special(&a->prefix)))
                                return true;
                } else if (is_public && str_match(a->name, host)) {
                        return true;
                }
        }
        return false;
}
