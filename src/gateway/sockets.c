#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/supervisor_priv.h"

enum err addresses_list(const struct conf *c, struct listen_address out[LISTENS_MAX], size_t *count)
{
        *count = 0;
        if (c->gateway.listens_count + 1 > LISTENS_MAX)
                return ERR_TOO_LARGE;
        for (size_t i = 0; i < c->gateway.listens_count; i++)
                out[(*count)++] = c->gateway.listens[i].address;
        if (c->admin.is_on)
                out[(*count)++] = c->admin.listen;
        return ERR_OK;
}

bool listen_address_eq(const struct listen_address *a, const struct listen_address *b)
{
        return ip_eq(a->ip, b->ip) && a->port == b->port && a->is_handed == b->is_handed &&
               str_eq(a->path, b->path);
}

static void bind_failed(const struct listen_address *a, enum err e)
{
        char text[LISTEN_ADDRESS_TEXT_MAX];
        const char *why =
                a->is_handed ? "the service manager hands over no socket of this name; give a socket unit "
                               "FileDescriptorName=, and start through it"
                : e == ERR_EXISTS ? "something listens there already; stop it or choose another port"
                : e == ERR_DENIED ? "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE"
                                  : err_text(e);

        fprintf(stderr, "sekisho: cannot listen on %s: %s\n", listen_address_format(a, text).ptr, why);
        log_error("listen_failed", LOG_S("address", listen_address_format(a, text)), LOG_E(e));
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

/* Sockets with SO_REUSEPORT share a port with any program of the same user that asks for it too; one without does not. */
static enum err is_free(const struct listen_address *a)
{
        int fd;
        enum err e = listen_socket_open(a, false, &fd);

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
static enum err socket_get(struct supervisor *s, unsigned w, const struct listen_address *a, int first,
                           int *fd)
{
        size_t had = address_find(s, a);
        int handed = handed_find(s, a), shared = had < s->listens_count ? s->places[w].fds[had] : -1;

        if (shared < 0)
                shared = handed;
        if (shared < 0 && w > 0 && a->ip.family == 0)
                shared = first;
        if (shared < 0) {
                enum err e = w == 0 && a->ip.family != 0 && a->port ? is_free(a) : ERR_OK;

                return e == ERR_OK ? listen_socket_open(a, a->ip.family != 0, fd) : e;
        }
        *fd = fcntl(shared, F_DUPFD_CLOEXEC, 0);
        return *fd < 0 ? ERR_NO_MEMORY : ERR_OK;
}

enum err sockets_change(struct supervisor *s, const struct listen_address *wanted, size_t wanted_count)
{
        static int fresh[WORKERS_MAX][LISTENS_MAX];
        enum err e = ERR_OK;

        memset(fresh, -1, sizeof(fresh));
        for (size_t i = 0; i < wanted_count && e == ERR_OK; i++) {
                for (unsigned w = 0; w < s->workers_count && e == ERR_OK; w++)
                        e = socket_get(s, w, &wanted[i], fresh[0][i], &fresh[w][i]);
                if (e != ERR_OK)
                        bind_failed(&wanted[i], e);
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
