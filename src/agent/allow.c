#include "agent/allow.h"

#include <string.h>

/* Where clouds tell a machine its secrets, beside 169.254.169.254. */
static bool is_metadata(struct ip ip)
{
        static const struct ip known[] = {
                { 4, { 100, 100, 100, 200 } },
                { 6, { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 } },
        };

        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (ip_eq(ip, known[i]))
                        return true;
        return false;
}

/* Addresses that mean the machine itself, or what is beside it on the wire: no ordinary rule covers them. */
static bool is_special(struct ip ip)
{
        static const uint8_t any[16];

        return ip_is_loopback(ip) || ip_is_link_local(ip) || is_metadata(ip) ||
               memcmp(ip.bytes, any, sizeof(any)) == 0 || (ip.family == 4 && ip.bytes[0] == 0);
}

/* A range within the special ones: whoever wrote it meant them. */
static bool names_special(const struct conf_allow *a)
{
        return is_special(a->prefix.ip) && is_special(ip_last(a->prefix.ip, a->prefix.bits));
}

static bool is_localhost(struct str name)
{
        return str_eq_nocase(name, STR("localhost"));
}

static bool entry_fits(const struct conf_allow *a, const struct allow_ask *ask)
{
        const struct dial_target *to = ask->to;

        if (to->ip.family == 0 || a->path.len)
                return to->ip.family == 0 && a->path.len && str_eq(a->path, to->path);
        if (to->port < a->port_min || to->port > a->port_max)
                return false;
        if (a->prefix.ip.family)
                return ip_prefix_contains(&a->prefix, to->ip) && (!is_special(to->ip) || names_special(a));
        if (!str_match(a->name, ask->host))
                return false;
        return !is_special(to->ip) || (is_localhost(a->name) && ip_is_loopback(to->ip));
}

/* Without a list: what the agent's own file names, as it names it; of control's what is beyond this machine, or plainly on it. */
static bool is_usual(const struct allow_ask *ask)
{
        struct ip written;

        if (ask->is_own)
                return true;
        if (ask->to->ip.family == 0)
                return false;
        if (!is_special(ask->to->ip))
                return true;
        return ip_is_loopback(ask->to->ip) &&
               (is_localhost(ask->host) || ip_parse(ask->host, &written) == ERR_OK);
}

bool allow_may_dial(const struct conf_allow *list, size_t count, const struct allow_ask *ask)
{
        if (count == 0)
                return is_usual(ask);
        for (size_t i = 0; i < count; i++)
                if (entry_fits(&list[i], ask))
                        return true;
        return false;
}
