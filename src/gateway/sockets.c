#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "gateway/supervisor_priv.h"

_Static_assert((int)CONF_LISTENS_MAX <= (int)LISTENS_MAX,
               "what a configuration may have is handed over at once");

/* As tailscaled says now. While it does not, or there is no certificate yet, what nobody can listen on. */
static struct listen_address address_of(const struct supervisor *s, const struct conf *c,
                                        const struct conf_listen *l)
{
        struct ip ip = l->tailnet_family == 6 ? s->tailnet.ours.v6 : s->tailnet.ours.v4;

        if (l->is_tls && c->gateway.certificates_count == 0) {
                struct listen_address later = l->address;

                if (!later.is_later && later.ip.family)
                        later.path = STR("without a certificate");
                later.is_later = true;
                return later;
        }
        if (!l->tailnet_family || !ip.family)
                return l->address;
        return (struct listen_address){ .ip = ip, .port = l->address.port };
}

enum err addresses_list(const struct supervisor *s, const struct conf *c,
                        struct listen_address out[LISTENS_MAX], size_t *count)
{
        *count = 0;
        if (c->gateway.listens_count + 1 > LISTENS_MAX)
                return ERR_TOO_LARGE;
        for (size_t i = 0; i < c->gateway.listens_count; i++)
                out[(*count)++] = address_of(s, c, &c->gateway.listens[i]);
        if (c->admin.is_on)
                out[(*count)++] = c->admin.listen;
        return ERR_OK;
}

bool listen_address_eq(const struct listen_address *a, const struct listen_address *b)
{
        return ip_eq(a->ip, b->ip) && a->port == b->port && a->is_handed == b->is_handed &&
               a->is_datagram == b->is_datagram && a->is_later == b->is_later && str_eq(a->path, b->path);
}

static void bind_failed(const struct listen_address *a, bool is_published, enum err e)
{
        char text[LISTEN_ADDRESS_TEXT_MAX];
        const char *why =
                a->is_handed ? "the service manager hands over no socket of this name; give a socket unit "
                               "FileDescriptorName=, and start through it"
                : e == ERR_EXISTS ? "something listens there already; stop it or choose another port"
                : e == ERR_DENIED ? "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE"
                                  : err_text(e);

        if (!is_published)
                fprintf(stderr, "sekisho: cannot listen on %s: %s\n", listen_address_format(a, text).ptr,
                        why);
        log_error("listen_failed", LOG_S("address", listen_address_format(a, text)), LOG_E(e),
                  LOG_C("why", why), LOG_B("published", is_published));
}

void fds_close(const int *fds, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

static size_t address_find(const struct supervisor *s, const struct listen_address *a)
{
        size_t i = 0;

        while (i < s->listens_count && !listen_address_eq(a, &s->addresses[i]))
                i++;
        return i;
}

bool socket_is_open(int fd)
{
        struct listen_address bound;
        char place[108];

        return fd >= 0 && listen_socket_address(fd, &bound, place) == ERR_OK;
}

struct change {
        struct supervisor *s;
        const struct listen_address *wanted;
        size_t wanted_count;
};

static bool is_wanted(const struct change *change, const struct listen_address *a)
{
        for (size_t i = 0; i < change->wanted_count; i++)
                if (listen_address_eq(a, &change->wanted[i]))
                        return true;
        return false;
}

/* We have the port ourselves, by a narrower or wider address that ends with this change; ours may share it for so long. */
static bool is_ours(const struct change *change, const struct listen_address *a)
{
        const struct supervisor *s = change->s;

        for (size_t i = 0; i < s->listens_count; i++)
                if (listen_address_overlaps(a, &s->addresses[i]) && !is_wanted(change, &s->addresses[i]) &&
                    socket_is_open(s->places[0].fds[i]))
                        return true;
        return false;
}

/* Sockets with SO_REUSEPORT share a port with any program of the same user that asks for it too; one without does not. */
static enum err is_free(const struct change *change, const struct listen_address *a)
{
        int fd;
        enum err e;

        if (is_ours(change, a))
                return ERR_OK;
        e = listen_socket_open(a, false, &fd);
        if (e == ERR_OK)
                close(fd);
        return e;
}

/* The socket the service manager opened for this address, by its name or by what it is bound to; -1: none. */
static int handed_find(const struct supervisor *s, const struct listen_address *a)
{
        for (size_t i = 0; i < s->handed_count; i++) {
                const struct service_socket *h = &s->handed[i];
                if (a->is_handed ? str_eq(a->path, str_of(h->name)) : listen_address_eq(a, &h->address))
                        return h->fd;
        }
        return -1;
}

/* Worker w's socket for an address: the one it has, or a new one. A Unix socket cannot be bound twice, and the service
 * manager opens one of each: all workers accept from the first one's. */
static enum err socket_get(const struct change *change, unsigned w, const struct listen_address *a, int first,
                           int *fd)
{
        const struct supervisor *s = change->s;
        size_t had = address_find(s, a);
        int handed = handed_find(s, a), shared = had < s->listens_count ? s->places[w].fds[had] : -1;

        if (!socket_is_open(shared)) /* of control's, and could not be opened when it was asked for */
                shared = handed;
        if (shared < 0 && w > 0 && a->ip.family == 0)
                shared = first;
        if (shared < 0) {
                enum err e = w == 0 && a->ip.family != 0 && a->port ? is_free(change, a) : ERR_OK;

                return e == ERR_OK ? listen_socket_open(a, a->ip.family != 0, fd) : e;
        }
        *fd = fcntl(shared, F_DUPFD_CLOEXEC, 0);
        return *fd < 0 ? ERR_NO_MEMORY : ERR_OK;
}

/* Every worker's for the i-th address, or none. */
static enum err sockets_get(const struct change *change, size_t i, int fresh[][LISTENS_MAX])
{
        const struct supervisor *s = change->s;
        enum err e = ERR_OK;

        for (unsigned w = 0; w < s->workers_count && e == ERR_OK; w++)
                e = socket_get(change, w, &change->wanted[i], fresh[0][i], &fresh[w][i]);
        for (unsigned w = 0; w < s->workers_count && e != ERR_OK; w++) {
                fds_close(&fresh[w][i], 1);
                fresh[w][i] = -1;
        }
        return e;
}

/* What nobody ever connects to: it keeps the place of a socket that could not be opened. */
static enum err placeholders_get(const struct supervisor *s, size_t i, int fresh[][LISTENS_MAX])
{
        for (unsigned w = 0; w < s->workers_count; w++)
                if ((fresh[w][i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
                        return ERR_NO_MEMORY;
        return ERR_OK;
}

enum err sockets_change(struct supervisor *s, const struct conf *c, const struct listen_address *wanted,
                        size_t wanted_count)
{
        static int fresh[WORKERS_MAX][LISTENS_MAX];
        const struct change change = { s, wanted, wanted_count };
        enum err e = ERR_OK;

        memset(fresh, -1, sizeof(fresh));
        for (size_t i = 0; i < wanted_count && e == ERR_OK; i++) {
                const struct conf_listen *l = i < c->gateway.listens_count ? &c->gateway.listens[i] : NULL;
                bool is_published = l && (l->is_published || l->tailnet_family);

                if (!wanted[i].is_later && (e = sockets_get(&change, i, fresh)) == ERR_OK)
                        continue;
                if (!wanted[i].is_later)
                        bind_failed(&wanted[i], is_published, e);
                if (is_published || wanted[i].is_later)
                        e = placeholders_get(s, i, fresh);
        }
        for (unsigned w = 0; w < s->workers_count; w++) {
                fds_close(e == ERR_OK ? s->places[w].fds : fresh[w],
                          e == ERR_OK ? s->listens_count : wanted_count);
                if (e == ERR_OK)
                        memcpy(s->places[w].fds, fresh[w], sizeof(fresh[w]));
        }
        if (e == ERR_OK) {
                memcpy(s->addresses, wanted, wanted_count * sizeof(*wanted));
                s->listens_count = wanted_count;
        }
        return e;
}
