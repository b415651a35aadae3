#include <ares.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "io/address_priv.h"
#include "io/loop_priv.h"
#include "io/resolver_priv.h"

enum { WATCHES_MAX = 32, TRY_MS_LEAST = 100, TEXT_MAX = 1024 };

struct asker {
        struct loop *loop;
        ares_channel channel;
        struct timer timer;
        struct asker_watch {
                struct watch watch;
                struct asker *asker;
        } watches[WATCHES_MAX]; /* fd -1: free */
};

struct question {
        struct asker *asker;
        asker_answer_fn *fn;
        void *context;
};

/* After each call into c-ares: when it wants to look at its timeouts. */
static void set_timer(struct asker *a)
{
        struct timeval left, *tv = ares_timeout(a->channel, NULL, &left);

        timer_set(a->loop, &a->timer,
                  tv ? loop_now(a->loop) + (mono_ms)tv->tv_sec * 1000 + tv->tv_usec / 1000 + 1 : MONO_NEVER);
}

static void expired(struct timer *t)
{
        struct asker *a = CONTAINER_OF(t, struct asker, timer);

        ares_process_fd(a->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        set_timer(a);
}

static void ready(struct watch *w, unsigned events)
{
        struct asker *a = CONTAINER_OF(w, struct asker_watch, watch)->asker;
        int fd = w->fd;

        ares_process_fd(a->channel, events & (LOOP_READ | LOOP_HANGUP | LOOP_ERROR) ? fd : ARES_SOCKET_BAD,
                        events & (LOOP_WRITE | LOOP_ERROR) ? fd : ARES_SOCKET_BAD);
        set_timer(a);
}

/* c-ares says what it wants of a socket of its own; nothing: it is about to close it. */
static void want(void *context, ares_socket_t fd, int reads, int writes)
{
        struct asker *a = context;
        struct asker_watch *found = NULL;

        for (size_t i = 0; i < WATCHES_MAX; i++) {
                struct asker_watch *w = &a->watches[i];
                if (w->watch.fd == fd) {
                        found = w;
                        break;
                }
                if (w->watch.fd < 0 && !found)
                        found = w;
        }
        if (!found)
                return; /* its queries will time out */
        if (!reads && !writes)
                loop_remove(a->loop, &found->watch);
        else if (loop_want_level(a->loop, &found->watch, fd, ready, reads, writes) != ERR_OK)
                return;
}

static enum err err_of(int status)
{
        switch (status) {
        case ARES_SUCCESS: return ERR_OK;
        case ARES_ENODATA:
        case ARES_ENOTFOUND:
        case ARES_EBADNAME: return ERR_NOT_FOUND;
        case ARES_ETIMEOUT: return ERR_TIMED_OUT;
        case ARES_ENOMEM: return ERR_NO_MEMORY;
        default: return ERR_UNREACHABLE; /* SERVFAIL, REFUSED, no server, an answer that is none */
        }
}

static void take_family(const struct ares_addrinfo *info, int family, struct answer *out)
{
        for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next) {
                if (n->ai_family != family || out->addresses_count == RESOLVER_ADDRESSES_MAX)
                        continue;
                out->addresses[out->addresses_count++] =
                        address_ip((const union address *)(const void *)n->ai_addr, NULL);
                out->ttl_ms = MIN(out->ttl_ms, MAX(n->ai_ttl, 0) * INT64_C(1000));
        }
}

static void answered(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
        struct question *q = context;
        struct answer answer = { .err = err_of(status), .ttl_ms = INT64_MAX };

        if (status == ARES_EDESTRUCTION) {
                free(q);
                return;
        }
        if (answer.err == ERR_OK) {
                /* IPv4 first: without a route IPv6 fails at once, but a broken one costs a timeout. */
                take_family(info, AF_INET, &answer);
                take_family(info, AF_INET6, &answer);
                for (const struct ares_addrinfo_cname *c = info->cnames; c; c = c->next)
                        answer.ttl_ms = MIN(answer.ttl_ms, MAX(c->ttl, 0) * INT64_C(1000));
                if (answer.addresses_count == 0)
                        answer.err = ERR_NOT_FOUND;
        }
        if (info)
                ares_freeaddrinfo(info);
        q->fn(q->context, &answer);
        free(q);
}

void asker_ask(struct asker *a, const char *name, asker_answer_fn *fn, void *context)
{
        struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT,
                                             .ai_family = AF_UNSPEC,
                                             .ai_socktype = SOCK_STREAM };
        struct question *q = malloc(sizeof(*q));

        if (!q) {
                fn(context, &(struct answer){ .err = ERR_NO_MEMORY });
                return;
        }
        *q = (struct question){ a, fn, context };
        ares_getaddrinfo(a->channel, name, NULL, &hints, answered, q);
        set_timer(a);
}

enum err asker_new(struct loop *l, struct str servers, int64_t timeout_ms, struct asker **out)
{
        struct asker *a = calloc(1, sizeof(*a));
        char text[TEXT_MAX];
        struct ares_options options = {
                /* Two tries, the second twice as long as the first. */
                .timeout = (int)MAX(timeout_ms / 3, (int64_t)TRY_MS_LEAST),
                .tries = 2,
                .sock_state_cb = want,
                .sock_state_cb_data = a,
                .lookups =
                        (char *)(uintptr_t) "b", /* the hosts file is ours: c-ares would read it for each question */
        };
        int set = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS;

        if (!a)
                return ERR_NO_MEMORY;
        a->loop = l;
        timer_init(&a->timer, expired);
        for (size_t i = 0; i < WATCHES_MAX; i++) {
                a->watches[i].watch.fd = -1;
                a->watches[i].asker = a;
        }
        if (servers.len >= sizeof(text) || ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
                free(a);
                return ERR_CONFIG;
        }
        if (ares_init_options(&a->channel, &options, set) != ARES_SUCCESS)
                goto fail;
        if (servers.len) {
                memcpy(text, servers.ptr, servers.len);
                text[servers.len] = '\0';
                if (ares_set_servers_ports_csv(a->channel, text) != ARES_SUCCESS)
                        goto fail_servers;
        }
        *out = a;
        return ERR_OK;

fail_servers:
        ares_destroy(a->channel);
fail:
        ares_library_cleanup();
        free(a);
        return ERR_CONFIG;
}

void asker_free(struct asker *a)
{
        if (!a)
                return;
        ares_destroy(a->channel);
        ares_library_cleanup();
        timer_clear(&a->timer);
        free(a);
}
