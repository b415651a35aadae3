#include "gateway/tailnetproc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "crypto/random.h"
#include "gateway/message.h"
#include "gateway/whois_message.h"
#include "io/mailbox.h"
#include "io/netwatch.h"
#include "mesh/localapi.h"
#include "mesh/tailnet.h"

/*
 * Theory of operation. A question becomes an entry, found by its key: the peer's address, and its port too where that alone tells
 * whose it is (a tailscaled without a device hands connections over from 127.0.0.1). An entry waits in line, is looked up, and
 * answers all who asked meanwhile; then it is kept for a while, or, where a port is part of the key, not at all: the next
 * connection of that port is somebody else's. A status is asked for every few seconds, and when the host's addresses change; what it
 * says goes to the supervisor. When none comes nobody is known any more.
 */

enum {
        DESKS_MAX = 64,
        ASKERS_MAX = 8192, /* questions that wait */
        STATUS_EVERY_MS = 3000,
        STATUS_SOON_MS = 200,
        STATUS_WAIT_MS = 2000,
        UNKNOWN_CACHE_MS = 2000,
        ARENA_BYTES_MAX = 4 << 20,
};

struct tailnetproc;

struct desk {
        struct watch watch;
        struct tailnetproc *process;
        unsigned index, generation; /* of workers: an answer to one before is nobody's */
};

struct key {
        struct ip peer;
        uint16_t port; /* 0: not part of it */
};

struct asker {
        struct list node;
        unsigned desk, generation;
        uint32_t number;
};

struct entry {
        struct key key;
        struct list node; /* in `waiting`, `running` or, oldest first, `known` */
        struct list askers;
        bool is_known, is_running, is_dropped;
        mono_ms until;
        struct whois_answer answer;
        struct arena arena; /* its texts */
        struct mesh_localapi call;
        struct tailnetproc *process;
};

struct tailnetproc {
        struct loop *loop;
        struct mailbox mailbox;
        struct desk desks[DESKS_MAX];
        struct str socket;
        struct map entries;
        struct list waiting, running, known;
        unsigned entries_count, running_count, askers_count;
        struct buf packet;

        /* tailscaled */
        struct mesh_localapi status;
        struct timer status_timer;
        struct netwatch netwatch;
        bool is_asking, wants_status, is_there, was_told;
        struct message_tailnet ours;
};

/* ---- answers ---- */

static void say(struct tailnetproc *p, unsigned desk, uint32_t number, const struct whois_answer *a)
{
        struct whois_answer copy = *a;
        int fd = p->desks[desk].watch.fd;

        copy.number = number;
        if (fd < 0 || !whois_answer_write(&p->packet, &copy))
                return;
        /* A worker that asks and does not listen gets no more room: what waits there ends by its deadline. */
        if (send(fd, p->packet.ptr, p->packet.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
                log_debug("tailnet_answer_lost", LOG_N("worker", desk));
}

static void entry_free(struct entry *e)
{
        struct tailnetproc *p = e->process;

        if (!e->is_dropped)
                map_remove(&p->entries, (struct str){ (const char *)&e->key, sizeof(e->key) });
        list_remove(&e->node);
        p->entries_count--;
        arena_fini(&e->arena);
        free(e);
}

static void askers_tell(struct entry *e)
{
        struct tailnetproc *p = e->process;

        list_for_each_safe(node, &e->askers) {
                struct asker *a = CONTAINER_OF(node, struct asker, node);

                if (a->generation == p->desks[a->desk].generation)
                        say(p, a->desk, a->number, &e->answer);
                list_remove(node);
                p->askers_count--;
                free(a);
        }
}

static void lookups_start(struct tailnetproc *p);

/* Told, and kept where it may be: `until` says how long. */
static void entry_over(struct entry *e, int64_t keep_ms)
{
        struct tailnetproc *p = e->process;

        askers_tell(e);
        list_remove(&e->node);
        if (e->is_dropped || keep_ms == 0) {
                entry_free(e);
                return;
        }
        e->is_known = true;
        e->until = loop_now(p->loop) + keep_ms;
        list_add_last(&p->known, &e->node);
}

/* What was known, and what is being asked: its answer is of before. */
static void all_forget(struct tailnetproc *p)
{
        list_for_each_safe(node, &p->known)
                entry_free(CONTAINER_OF(node, struct entry, node));
        list_for_each_safe(node, &p->running) {
                struct entry *e = CONTAINER_OF(node, struct entry, node);

                if (!e->is_dropped)
                        map_remove(&p->entries, (struct str){ (const char *)&e->key, sizeof(e->key) });
                e->is_dropped = true;
        }
}

/* ---- look-ups ---- */

static enum err owner_read(struct entry *e)
{
        struct mesh_tailnet_owner who;
        enum err err = mesh_tailnet_owner_read(buf_str(&e->call.body), &e->arena, &who);

        if (err != ERR_OK)
                return err;
        if (who.tags.count > WHOIS_TAGS_MAX)
                return ERR_TOO_LARGE;
        e->answer.login = who.login;
        e->answer.node = who.node;
        e->answer.tags_count = who.tags.count;
        for (size_t i = 0; i < who.tags.count; i++)
                e->answer.tags[i] = who.tags.items[i];
        return ERR_OK;
}

static void on_owner(struct mesh_localapi *c, enum err err)
{
        struct entry *e = CONTAINER_OF(c, struct entry, call);
        struct tailnetproc *p = e->process;
        int64_t keep_ms = 0;

        p->running_count--;
        if (err == ERR_OK && (err = mesh_localapi_err(c->status)) == ERR_OK)
                err = owner_read(e);
        mesh_localapi_fini(c);
        if (e->is_dropped) /* tailscaled went, or another tailnet came, while it was asked */
                err = ERR_UNREACHABLE;
        if (err != ERR_OK && err != ERR_NOT_FOUND)
                log_warning("tailnet_lookup_failed", LOG_N("status", c->status), LOG_E(err));
        if (err == ERR_OK || err == ERR_NOT_FOUND)
                keep_ms = e->key.port ? 0 : err == ERR_OK ? TAILNETPROC_CACHE_MS : UNKNOWN_CACHE_MS;
        e->answer.result =
                err == ERR_OK || err == ERR_NOT_FOUND || err == ERR_TIMED_OUT ? err : ERR_UNREACHABLE;
        entry_over(e, keep_ms);
        lookups_start(p);
}

static void lookup(struct entry *e)
{
        struct tailnetproc *p = e->process;
        bool has_port = e->key.port != 0, has_brackets = has_port && e->key.peer.family == 6;
        char address[IP_TEXT_MAX];
        struct buf text;

        buf_init(&text, 128);
        buf_add(&text,
                has_port ? STR("/localapi/v0/whois?proto=tcp&addr=") : STR("/localapi/v0/whois?addr="));
        buf_add(&text, has_brackets ? STR("%5B") : STR(""));
        buf_add(&text, ip_format(e->key.peer, address));
        buf_add(&text, has_brackets ? STR("%5D") : STR(""));
        if (has_port)
                buf_addf(&text, ":%u", e->key.port);
        const struct mesh_localapi_request r = { .socket = p->socket,
                                                 .method = STR("GET"),
                                                 .path = buf_str(&text),
                                                 .bytes_max = MESH_TAILNET_WHOIS_BYTES_MAX,
                                                 .timeout_ms = WHOIS_WAIT_MS - 500 };

        list_remove(&e->node);
        list_add_last(&p->running, &e->node);
        e->is_running = true;
        p->running_count++;
        mesh_localapi_start(&e->call, p->loop, &r, on_owner);
        buf_fini(&text);
}

static void lookups_start(struct tailnetproc *p)
{
        struct entry *e;

        while (p->running_count < TAILNETPROC_LOOKUPS_MAX &&
               (e = LIST_FIRST(&p->waiting, struct entry, node)))
                lookup(e);
}

/* ---- questions ---- */

/* Room for one more: of what is known the oldest goes. */
static struct entry *entry_new(struct tailnetproc *p, const struct key *key)
{
        struct entry *e;

        if (p->entries_count >= TAILNETPROC_ENTRIES_MAX && (e = LIST_FIRST(&p->known, struct entry, node)))
                entry_free(e);
        if (p->entries_count >= TAILNETPROC_ENTRIES_MAX || !(e = calloc(1, sizeof(*e))))
                return NULL;
        e->process = p;
        e->key = *key;
        list_init(&e->askers);
        list_init(&e->node);
        arena_init(&e->arena, NULL, 0, ARENA_BYTES_MAX);
        if (map_add(&p->entries, (struct str){ (const char *)&e->key, sizeof(e->key) }, e) != ERR_OK) {
                arena_fini(&e->arena);
                free(e);
                return NULL;
        }
        p->entries_count++;
        list_add_last(&p->waiting, &e->node);
        return e;
}

static bool is_ours(const struct tailnetproc *p, struct ip ip)
{
        return p->ours.is_running && (ip_eq(ip, p->ours.v4) || ip_eq(ip, p->ours.v6));
}

/*
 * A connection is one of the tailnet when it came to an address that the tailnet gave us; from elsewhere an address like a
 * machine's there (100.64.0.0/10 is the carriers' too) says nothing. Loopback is where a tailscaled without a device connects from.
 */
static bool key_of(const struct tailnetproc *p, const struct whois_question *q, struct key *out)
{
        bool is_handed = ip_is_loopback(q->peer);

        memset(out, 0, sizeof(*out));
        out->peer = q->peer;
        out->port = is_handed ? q->peer_port : 0;
        return is_handed || is_ours(p, q->local);
}

static void question_take(struct tailnetproc *p, unsigned desk, const struct whois_question *q)
{
        struct whois_answer no = { .result = ERR_NOT_FOUND };
        struct entry *e;
        struct asker *a;
        struct key key;

        if (!p->is_there)
                no.result = ERR_UNREACHABLE;
        if (!p->is_there || !key_of(p, q, &key)) {
                say(p, desk, q->number, &no);
                return;
        }
        e = map_find(&p->entries, (struct str){ (const char *)&key, sizeof(key) });
        if (e && e->is_known && e->until <= loop_now(p->loop)) {
                entry_free(e);
                e = NULL;
        }
        if (e && e->is_known) {
                say(p, desk, q->number, &e->answer);
                return;
        }
        no.result = ERR_TOO_LARGE;
        if (p->askers_count >= ASKERS_MAX || (!e && !(e = entry_new(p, &key))) ||
            !(a = calloc(1, sizeof(*a)))) {
                say(p, desk, q->number, &no);
                lookups_start(p);
                return;
        }
        *a = (struct asker){ .desk = desk, .generation = p->desks[desk].generation, .number = q->number };
        list_add_last(&e->askers, &a->node);
        p->askers_count++;
        lookups_start(p);
}

static void desk_close(struct desk *d)
{
        int fd = d->watch.fd;

        d->generation++;
        if (fd < 0)
                return;
        loop_remove(d->process->loop, &d->watch);
        close(fd);
}

static void on_question(struct watch *w, unsigned events)
{
        struct desk *d = CONTAINER_OF(w, struct desk, watch);
        struct whois_question q;
        char bytes[sizeof(q) + 1];
        ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

        (void)events;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) { /* the worker is gone */
                desk_close(d);
                return;
        }
        if (n > (ssize_t)sizeof(bytes) ||
            whois_question_read((struct str){ bytes, (size_t)n }, &q) != ERR_OK) {
                log_error("tailnet_question_broken", LOG_N("worker", d->index),
                          LOG_C("meaning", "the worker cannot be trusted; it is not answered any more"));
                desk_close(d);
                return;
        }
        question_take(d->process, d->index, &q);
}

/* ---- tailscaled's state ---- */

static void status_ask(struct tailnetproc *p);

static void ours_tell(struct tailnetproc *p, const struct message_tailnet *m)
{
        if (p->was_told && memcmp(m, &p->ours, sizeof(*m)) != 0 && p->is_there)
                all_forget(p); /* another tailnet, or the same one left */
        p->ours = *m;
        p->was_told = true;
        if (mailbox_send(&p->mailbox, MESSAGE_TAILNET, (struct str){ (const char *)m, sizeof(*m) }, NULL,
                         0) != ERR_OK)
                log_warning("mailbox_full", LOG_N("kind", MESSAGE_TAILNET));
}

static void gone(struct tailnetproc *p, enum err e)
{
        struct message_tailnet m;

        memset(&m, 0, sizeof(m));
        if (p->is_there || !p->was_told)
                log_warning(
                        "tailnet_gone", LOG_S("socket", p->socket), LOG_E(e),
                        LOG_C("meaning", "nobody is known by the tailnet until tailscaled answers again"));
        p->is_there = false;
        all_forget(p);
        ours_tell(p, &m);
}

/* A name that can stand in a path and in a log; NUL-terminated, else left empty. */
static void certificate_take(const struct mesh_tailnet_status *s, char out[256])
{
        struct str name = s->certificates_count ? s->certificates[0] : STR("");

        if (name.len > 253)
                return;
        for (size_t i = 0; i < name.len; i++) {
                char c = ascii_lower(name.ptr[i]);

                if (!ascii_is_digit(c) && !ascii_is_alpha(c) && c != '-' && c != '.') {
                        memset(out, 0, i);
                        return;
                }
                out[i] = c;
        }
}

static void on_status(struct mesh_localapi *c, enum err e)
{
        struct tailnetproc *p = CONTAINER_OF(c, struct tailnetproc, status);
        struct mesh_tailnet_status s = { 0 };
        struct message_tailnet m;
        struct arena a;

        arena_init(&a, NULL, 0, 64 << 20);
        if (e == ERR_OK && (e = mesh_localapi_err(c->status)) == ERR_OK)
                e = mesh_tailnet_status_read(buf_str(&c->body), &a, &s);
        mesh_localapi_fini(c);
        p->is_asking = false;
        if (e != ERR_OK) {
                gone(p, e);
        } else {
                memset(&m, 0, sizeof(m));
                m.is_running = s.is_running;
                if (s.is_running) {
                        m.v4 = s.self.v4;
                        m.v6 = s.self.v6;
                        certificate_take(&s, m.certificate);
                }
                if (!p->is_there)
                        log_info("tailnet_there", LOG_N("pid", getpid()), LOG_S("state", s.state),
                                 LOG_S("name", s.self.name));
                p->is_there = true;
                if (!s.is_running)
                        all_forget(p);
                ours_tell(p, &m);
        }
        arena_fini(&a);
        timer_set(p->loop, &p->status_timer,
                  loop_now(p->loop) + (p->wants_status ? STATUS_SOON_MS : STATUS_EVERY_MS));
        p->wants_status = false;
}

static void status_ask(struct tailnetproc *p)
{
        const struct mesh_localapi_request r = { .socket = p->socket,
                                                 .method = STR("GET"),
                                                 .path = STR("/localapi/v0/status?peers=false"),
                                                 .bytes_max = MESH_TAILNET_STATUS_BYTES_MAX,
                                                 .timeout_ms = STATUS_WAIT_MS };

        if (p->is_asking) {
                p->wants_status = true;
                return;
        }
        p->is_asking = true;
        mesh_localapi_start(&p->status, p->loop, &r, on_status);
}

static void on_status_timer(struct timer *t)
{
        status_ask(CONTAINER_OF(t, struct tailnetproc, status_timer));
}

static void on_addresses(struct netwatch *w)
{
        status_ask(CONTAINER_OF(w, struct tailnetproc, netwatch));
}

/* ---- the supervisor ---- */

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct tailnetproc *p = CONTAINER_OF(m, struct tailnetproc, mailbox);
        struct message_channel c;

        if (kind != MESSAGE_CHANNEL || fds_count != 1 || body.len != sizeof(c))
                return;
        memcpy(&c, body.ptr, sizeof(c));
        if (c.worker >= DESKS_MAX)
                return;
        desk_close(&p->desks[c.worker]);
        if (loop_add_level(p->loop, &p->desks[c.worker].watch, fds[0], on_question) == ERR_OK)
                fds[0] = -1;
        else
                p->desks[c.worker].watch.fd = -1;
}

static void on_supervisor_gone(struct mailbox *m)
{
        loop_stop(CONTAINER_OF(m, struct tailnetproc, mailbox)->loop);
}

/* Its socket, and nothing else of the file system; another user, the calls it needs. */
static enum err close_in(const struct tailnetproc_input *in)
{
        static struct sandbox_paths reach;
        struct sandbox s;
        enum err e;

        sandbox_paths_add_folder_of(&reach, in->socket, false);
        if ((e = sandbox_fence(SANDBOX_NODE, &in->user, &reach, &s)) != ERR_OK) {
                log_error("user_not_changed", LOG_C("process", "tailnet"), LOG_N("uid", in->user.uid));
                return e;
        }
        sandbox_filter(SANDBOX_NODE, &s);
        sandbox_log(&s, "tailnet");
        in->board->tailnet.sandbox = s;
        return ERR_OK;
}

int tailnetproc_run(const struct tailnetproc_input *in)
{
        static struct tailnetproc process; /* one a process; zero until now */
        struct tailnetproc *p = &process;
        struct hash_key hash;

        p->socket = in->socket;
        for (unsigned i = 0; i < DESKS_MAX; i++)
                p->desks[i] = (struct desk){ .watch = { .fd = -1 }, .process = p, .index = i };
        list_init(&p->waiting);
        list_init(&p->running);
        list_init(&p->known);
        crypto_random(&hash, sizeof(hash));
        map_init(&p->entries, hash, TAILNETPROC_ENTRIES_MAX + 1);
        buf_init(&p->packet, WHOIS_ANSWER_BYTES_MAX);
        timer_init(&p->status_timer, on_status_timer);
        if (loop_new(&p->loop) != ERR_OK ||
            mailbox_open(&p->mailbox, p->loop, in->mailbox_fd, on_message, on_supervisor_gone) != ERR_OK)
                return 1;
        if (netwatch_start(&p->netwatch, p->loop, on_addresses) != ERR_OK)
                log_warning("addresses_not_watched", LOG_C("meaning", "changes are seen within seconds"));
        if (close_in(in) != ERR_OK)
                return 1;
        status_ask(p);
        loop_run(p->loop);
        return 0;
}
