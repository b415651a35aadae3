#include "io/netif.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/address_priv.h"

#ifndef IFLA_GSO_IPV4_MAX_SIZE
#define IFLA_GSO_IPV4_MAX_SIZE 63
#endif

/* One request, built up attribute by attribute, and the answer in the same memory. */
struct request {
        struct nlmsghdr header;
        char body[4096 - sizeof(struct nlmsghdr)];
};

static void *request_init(struct request *r, uint16_t type, uint16_t flags, size_t body_len)
{
        memset(r, 0, sizeof(*r));
        r->header.nlmsg_type = type;
        r->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
        r->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_len);
        return r->body;
}

static void add(struct request *r, uint16_t type, const void *data, size_t len)
{
        size_t at = NLMSG_ALIGN(r->header.nlmsg_len);
        struct rtattr a = { .rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type };

        assert(at + RTA_SPACE(len) <= sizeof(*r));
        memcpy((char *)r + at, &a, sizeof(a));
        memcpy((char *)r + at + RTA_LENGTH(0), data, len);
        r->header.nlmsg_len = (uint32_t)(at + RTA_LENGTH(len));
}

static void add_u32(struct request *r, uint16_t type, uint32_t value)
{
        add(r, type, &value, sizeof(value));
}

static void add_ip(struct request *r, uint16_t type, struct ip ip)
{
        add(r, type, ip.bytes, ip.family == 4 ? 4 : 16);
}

static unsigned char family_of(int family)
{
        return family == 4 ? AF_INET : AF_INET6;
}

static enum err err_of(int error)
{
        switch (-error) {
        case ENODEV:
        case ESRCH:
        case ENOENT: return ERR_NOT_FOUND;
        case ENETUNREACH:
        case EHOSTUNREACH: return ERR_UNREACHABLE;
        case EEXIST: return ERR_EXISTS;
        case EPERM:
        case EACCES: return ERR_DENIED;
        case EOPNOTSUPP:
        case EAFNOSUPPORT: return ERR_UNSUPPORTED;
        default: return err_from_errno(-error);
        }
}

/* Sends the request and waits for its acknowledgement or, for a question, its answer, which replaces it. */
static enum err ask(struct request *r)
{
        struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        enum err e = ERR_IO;

        if (fd < 0)
                return err_from_errno(errno);
        if (sendto(fd, r, r->header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0) {
                e = err_from_errno(errno);
                goto out;
        }
        ssize_t n = recv(fd, r, sizeof(*r), 0);
        if (n < (ssize_t)sizeof(struct nlmsghdr) || !NLMSG_OK(&r->header, (size_t)n))
                goto out;
        e = ERR_OK;
        if (r->header.nlmsg_type == NLMSG_ERROR) {
                int error;
                memcpy(&error, r->body, sizeof(error));
                e = error ? err_of(error) : ERR_OK;
        }
out:
        close(fd);
        return e;
}

/* The attribute of the answer, at least `len` bytes copied out. `body_len` is the fixed part before the attributes. */
static bool answer_get(const struct request *r, size_t body_len, uint16_t type, void *out, size_t len)
{
        size_t at = NLMSG_SPACE(body_len), end = r->header.nlmsg_len;

        while (at + sizeof(struct rtattr) <= end) {
                struct rtattr a;
                memcpy(&a, (const char *)r + at, sizeof(a));
                if (a.rta_len < sizeof(a) || a.rta_len > end - at)
                        return false;
                if (a.rta_type == type && a.rta_len >= RTA_LENGTH(len)) {
                        memcpy(out, (const char *)r + at + RTA_LENGTH(0), len);
                        return true;
                }
                at += RTA_ALIGN(a.rta_len);
        }
        return false;
}

uint32_t netif_index(const char *name)
{
        return if_nametoindex(name);
}

static void link_request(struct request *r, uint16_t type, uint16_t flags, uint32_t index)
{
        struct ifinfomsg *m = request_init(r, type, flags, sizeof(*m));

        m->ifi_family = AF_UNSPEC;
        m->ifi_index = (int)index;
}

enum err netif_mtu(uint32_t index, uint32_t *mtu)
{
        struct request r;

        link_request(&r, RTM_GETLINK, 0, index);
        enum err e = ask(&r);
        if (e != ERR_OK)
                return e;
        return answer_get(&r, sizeof(struct ifinfomsg), IFLA_MTU, mtu, sizeof(*mtu)) ? ERR_OK : ERR_NOT_FOUND;
}

enum err netif_set_mtu(uint32_t index, uint32_t mtu)
{
        struct request r;

        link_request(&r, RTM_NEWLINK, NLM_F_ACK, index);
        add_u32(&r, IFLA_MTU, mtu);
        return ask(&r);
}

enum err netif_set_up(uint32_t index, bool is_up)
{
        struct request r;

        link_request(&r, RTM_NEWLINK, NLM_F_ACK, index);
        struct ifinfomsg *m = (struct ifinfomsg *)(void *)r.body;
        m->ifi_change = IFF_UP;
        m->ifi_flags = is_up ? IFF_UP : 0;
        return ask(&r);
}

enum err netif_delete(uint32_t index)
{
        struct request r;

        link_request(&r, RTM_DELLINK, NLM_F_ACK, index);
        return ask(&r);
}

enum err netif_set_gso_bytes(uint32_t index, uint32_t bytes_max)
{
        struct request r;
        enum err e;

        link_request(&r, RTM_NEWLINK, NLM_F_ACK, index);
        add_u32(&r, IFLA_GSO_MAX_SIZE, bytes_max);
        if ((e = ask(&r)) != ERR_OK)
                return e;
        /* A bound of its own for IPv4 since Linux 6.3; before that the first is for both. */
        link_request(&r, RTM_NEWLINK, NLM_F_ACK, index);
        add_u32(&r, IFLA_GSO_IPV4_MAX_SIZE, bytes_max);
        (void)!ask(&r);
        return ERR_OK;
}

enum err netif_set_queue(uint32_t index, uint32_t packets_max)
{
        struct request r;

        link_request(&r, RTM_NEWLINK, NLM_F_ACK, index);
        add_u32(&r, IFLA_TXQLEN, packets_max);
        return ask(&r);
}

enum err netif_add_address(uint32_t index, const struct ip_prefix *address)
{
        struct request r;
        struct ifaddrmsg *m =
                request_init(&r, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(*m));

        m->ifa_family = family_of(address->ip.family);
        m->ifa_prefixlen = address->bits;
        m->ifa_index = index;
        add_ip(&r, IFA_LOCAL, address->ip);
        add_ip(&r, IFA_ADDRESS, address->ip);
        return ask(&r);
}

enum err netif_add_route(uint32_t index, const struct ip_prefix *to, uint32_t table)
{
        struct request r;
        struct rtmsg *m = request_init(&r, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(*m));

        m->rtm_family = family_of(to->ip.family);
        m->rtm_dst_len = to->bits;
        m->rtm_table = RT_TABLE_UNSPEC;
        m->rtm_protocol = RTPROT_BOOT;
        m->rtm_scope = to->ip.family == 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
        m->rtm_type = RTN_UNICAST;
        add_ip(&r, RTA_DST, ip_masked(to->ip, to->bits));
        add_u32(&r, RTA_OIF, index);
        add_u32(&r, RTA_TABLE, table);
        return ask(&r);
}

enum err netif_route_to(struct ip to, uint32_t *index, uint32_t *mtu)
{
        struct request r;
        struct rtmsg *m = request_init(&r, RTM_GETROUTE, 0, sizeof(*m));
        char metrics[256] = { 0 };

        m->rtm_family = family_of(to.family);
        m->rtm_dst_len = to.family == 4 ? 32 : 128;
        add_ip(&r, RTA_DST, to);
        enum err e = ask(&r);
        if (e != ERR_OK)
                return e;
        if (!answer_get(&r, sizeof(*m), RTA_OIF, index, sizeof(*index)))
                return ERR_UNREACHABLE;
        if ((e = netif_mtu(*index, mtu)) != ERR_OK)
                return e;
        /* A route may say less: its metrics are attributes in an attribute, the first of which is the MTU where it is set. */
        struct rtattr first;
        if (answer_get(&r, sizeof(*m), RTA_METRICS, metrics, RTA_SPACE(4))) {
                uint32_t value;
                memcpy(&first, metrics, sizeof(first));
                memcpy(&value, metrics + RTA_LENGTH(0), sizeof(value));
                if (first.rta_type == RTAX_MTU && value > 0 && value < *mtu)
                        *mtu = value;
        }
        return ERR_OK;
}

static void rule_request(struct request *r, uint16_t type, uint16_t flags, const struct netif_rule *rule)
{
        struct fib_rule_hdr *m = request_init(r, type, (uint16_t)(NLM_F_ACK | flags), sizeof(*m));

        m->family = family_of(rule->family);
        m->action = FR_ACT_TO_TBL;
        m->table = RT_TABLE_UNSPEC;
        if (rule->is_suppressor) {
                add_u32(r, FRA_TABLE, RT_TABLE_MAIN);
                add_u32(r, FRA_SUPPRESS_PREFIXLEN, 0);
                return;
        }
        m->flags = FIB_RULE_INVERT;
        add_u32(r, FRA_TABLE, rule->table);
        add_u32(r, FRA_FWMARK, rule->fwmark);
}

enum err netif_add_rule(const struct netif_rule *rule)
{
        struct request r;

        rule_request(&r, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
        return ask(&r);
}

enum err netif_remove_rule(const struct netif_rule *rule)
{
        struct request r;

        rule_request(&r, RTM_DELRULE, 0, rule);
        return ask(&r);
}

enum err netif_set_src_valid_mark(void)
{
        int fd = open("/proc/sys/net/ipv4/conf/all/src_valid_mark", O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return err_from_errno(errno);
        enum err e = write(fd, "1\n", 2) == 2 ? ERR_OK : err_from_errno(errno);
        close(fd);
        return e;
}

/* ---- where the host is ---- */

static bool address_of(const struct ifaddrs *at, struct ip *out)
{
        const struct sockaddr_in *in4 = (const void *)at->ifa_addr;
        const struct sockaddr_in6 *in6 = (const void *)at->ifa_addr;

        if (!at->ifa_addr || !(at->ifa_flags & IFF_UP))
                return false;
        if (at->ifa_addr->sa_family == AF_INET)
                *out = ip_from_bytes(4, (const uint8_t *)&in4->sin_addr);
        else if (at->ifa_addr->sa_family == AF_INET6)
                *out = ip_from_bytes(6, (const uint8_t *)&in6->sin6_addr);
        else
                return false;
        return !ip_is_link_local(*out);
}

static size_t addresses_pick(const struct ifaddrs *all, bool is_loopback, struct ip *out, size_t max)
{
        size_t n = 0;
        struct ip ip;

        for (const struct ifaddrs *at = all; at && n < max; at = at->ifa_next)
                if (address_of(at, &ip) && ip_is_loopback(ip) == is_loopback)
                        out[n++] = ip;
        return n;
}

size_t netif_addresses(struct ip *out, size_t max)
{
        struct ifaddrs *all;
        size_t n;

        if (getifaddrs(&all) != 0)
                return 0;
        n = addresses_pick(all, false, out, max);
        if (n == 0)
                n = addresses_pick(all, true, out, max);
        freeifaddrs(all);
        return n;
}

/* Somebody's address far away, of each family: the kernel is only asked for a way there. */
static struct ip far_away(uint8_t family)
{
        return family == 4 ? (struct ip){ 4, { 192, 0, 2, 1 } }
                           : (struct ip){ 6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
}

bool netif_can_send_from(struct ip ip)
{
        union address own, far;
        socklen_t own_len = address_of_ip(&own, ip, 0), far_len = address_of_ip(&far, far_away(ip.family), 9);
        int fd = socket(ip.family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bool can = fd >= 0 && bind(fd, &own.any, own_len) == 0 &&
                   (ip_is_loopback(ip) || connect(fd, &far.any, far_len) == 0);

        if (fd >= 0)
                close(fd);
        return can;
}
