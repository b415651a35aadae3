#include "io/address_priv.h"

#include <string.h>

struct ip address_ip(const union address *a, uint16_t *port)
{
        uint16_t unused;

        if (!port)
                port = &unused;
        switch (a->any.sa_family) {
        case AF_INET:
                *port = ntohs(a->in.sin_port);
                return ip_from_bytes(4, (const uint8_t *)&a->in.sin_addr);
        case AF_INET6: *port = ntohs(a->in6.sin6_port); return ip_from_bytes(6, a->in6.sin6_addr.s6_addr);
        default: *port = 0; return (struct ip){ 0 };
        }
}

socklen_t address_of_ip(union address *a, struct ip ip, uint16_t port)
{
        memset(a, 0, sizeof(*a));
        if (ip.family == 4) {
                a->in.sin_family = AF_INET;
                a->in.sin_port = htons(port);
                memcpy(&a->in.sin_addr, ip.bytes, 4);
                return sizeof(a->in);
        }
        a->in6.sin6_family = AF_INET6;
        a->in6.sin6_port = htons(port);
        memcpy(a->in6.sin6_addr.s6_addr, ip.bytes, 16);
        return sizeof(a->in6);
}

enum err address_of_path(union address *a, struct str path, socklen_t *len_out)
{
        memset(a, 0, sizeof(*a));
        if (path.len == 0 || memchr(path.ptr, 0, path.len))
                return ERR_MALFORMED;
        if (path.len >= sizeof(a->un.sun_path))
                return ERR_TOO_LARGE;
        a->un.sun_family = AF_UNIX;
        memcpy(a->un.sun_path, path.ptr, path.len);
        *len_out = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
        return ERR_OK;
}
