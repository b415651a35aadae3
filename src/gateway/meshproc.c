#include "gateway/meshproc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "gateway/mesh_message.h"
#include "gateway/message.h"
#include "io/dial.h"
#include "io/mailbox.h"
#include "io/sandbox.h"
#include "mesh/private.h"
#include "node/overlay.h"

/*
 * Theory of operation. Agents call: a gateway does not know where they are until they do. Whoever proved himself anew is told to the
 * workers, which ask for connections as they want them. A port that another program has (the gateway's that this one takes over from, for a
 * while) is tried again.
 */

enum { DESKS_MAX = 64, LOOK_MS = 1000, DIAL_MS = 3000, IDS_BYTES_MAX = MAILBOX_BODY_BYTES_MAX / 2 };

struct meshproc;

struct desk {
        struct mailbox mailbox;
        struct meshproc *process;
        unsigned index, generation; /* of workers: what one before asked for is nobody's */
        bool is_open;
        bool wants_all; /* it was told of nobody yet */
};

struct attempt {
        struct dial dial;
        struct meshproc *process;
        unsigned desk, generation;
        char agent[NODE_ID_BYTES_MAX + 1];
};

struct meshproc {
        struct loop *loop;
        struct mailbox mailbox;
        struct mesh_private *private;
        struct node_overlay overlay;
        bool has_overlay, is_started, was_told_of_port;
        unix_ms *told; /* of each peer: the proof that workers were told of */
        struct desk desks[DESKS_MAX];
        unsigned attempts_count;
        struct timer look;
        const struct meshproc_input *in;
};

/* ---- who is there ---- */

static const struct node_overlay_peer *peer_find(const struct meshproc *p, struct str id)
{
        for (size_t i = 0; p->has_overlay && i < p->overlay.peers_count; i++)
                if (str_eq(p->overlay.peers[i].id, id))
                        return &p->overlay.peers[i];
        return NULL;
}

static bool is_fresh(const struct meshproc *p, const struct node_overlay_peer *peer)
{
        unix_ms proven = mesh_private_proven_at(p->private, peer->key);

        return proven && loop_wall(p->loop) - proven < MESH_FRESH_MS;
}

static void ids_send(struct desk *d, struct buf *ids)
{
        if (buf_str(ids).len && d->is_open &&
            mailbox_send(&d->mailbox, MESH_MESSAGE_UP, buf_str(ids), NULL, 0) != ERR_OK)
                log_warning("mailbox_full", LOG_N("kind", MESH_MESSAGE_UP)); /* they prove themselves again */
        buf_clear(ids);
}

/* Those that proved themselves since they were told of; to a new worker all that are there. */
static void desk_tell(struct meshproc *p, struct desk *d)
{
        struct buf ids;

        buf_init(&ids, MAILBOX_BODY_BYTES_MAX);
        for (size_t i = 0; i < p->overlay.peers_count; i++) {
                const struct node_overlay_peer *peer = &p->overlay.peers[i];

                if (d->wants_all ? !is_fresh(p, peer)
                                 : mesh_private_proven_at(p->private, peer->key) <= p->told[i])
                        continue;
                buf_add(&ids, peer->id);
                buf_add_char(&ids, '\n');
                if (buf_str(&ids).len > IDS_BYTES_MAX)
                        ids_send(d, &ids);
        }
        ids_send(d, &ids);
        d->wants_all = false;
        buf_fini(&ids);
}

static void workers_tell(struct meshproc *p)
{
        for (unsigned i = 0; i < DESKS_MAX; i++)
                if (p->desks[i].is_open)
                        desk_tell(p, &p->desks[i]);
        for (size_t i = 0; i < p->overlay.peers_count; i++)
                p->told[i] = mesh_private_proven_at(p->private, p->overlay.peers[i].key);
}

/* ---- what is stored ---- */

static void private_set(struct meshproc *p)
{
        const struct node_overlay *o = &p->overlay;
        struct mesh_private_peer *peers = calloc(o->peers_count + 1, sizeof(*peers));

        free(p->told);
        p->told = calloc(o->peers_count + 1, sizeof(*p->told));
        if (!peers || !p->told) {
                log_error("overlay_not_set", LOG_E(ERR_NO_MEMORY));
                _exit(1); /* the supervisor begins anew */
        }
        for (size_t i = 0; i < o->peers_count; i++) {
                peers[i] = (struct mesh_private_peer){ .v4 = o->peers[i].v4, .v6 = o->peers[i].v6 };
                memcpy(peers[i].key, o->peers[i].key, sizeof(peers[i].key));
        }
        const struct mesh_private_conf conf = { o->key, o->v4, o->v6, peers, o->peers_count };
        enum err e = mesh_private_set(p->private, &conf);
        if (e != ERR_OK)
                log_error("overlay_not_set", LOG_E(e),
                          LOG_C("meaning", "some agents cannot be dialled there"));
        free(peers);
}

static void stored_read(struct meshproc *p)
{
        struct node_overlay fresh;
        const char *why = "";
        enum err e = node_overlay_load(p->in->folder, WIRE_GATEWAY, &fresh, &why);

        if (e == ERR_NOT_FOUND)
                return; /* not yet */
        if (e != ERR_OK) {
                log_error("overlay_not_read", LOG_C("reason", why), LOG_E(e));
                return;
        }
        if (p->has_overlay)
                node_overlay_fini(&p->overlay);
        p->overlay = fresh;
        p->has_overlay = true;
        if (p->is_started)
                private_set(p);
}

static void start(struct meshproc *p)
{
        enum err e = mesh_private_bind(p->private, p->in->port);

        p->is_started = e == ERR_OK;
        if (p->is_started) {
                log_info("overlay_open", LOG_N("port", p->in->port), LOG_N("agents", p->overlay.peers_count));
                private_set(p);
        } else if (!p->was_told_of_port) {
                log_warning("overlay_port_taken", LOG_N("port", p->in->port), LOG_E(e),
                            LOG_C("meaning", "agents are not dialled over the overlay until it is free"));
        }
        p->was_told_of_port = true;
}

static void on_look(struct timer *t)
{
        struct meshproc *p = CONTAINER_OF(t, struct meshproc, look);

        timer_set(p->loop, t, loop_now(p->loop) + LOOK_MS);
        if (!p->has_overlay)
                return;
        if (!p->is_started)
                start(p);
        if (p->is_started)
                workers_tell(p);
}

/* ---- connections for workers ---- */

/* Takes fd; -1: there is none. */
static void made_say(struct meshproc *p, unsigned desk, unsigned generation, const char *agent, enum err e,
                     int fd)
{
        struct desk *d = &p->desks[desk];
        struct mesh_message_made m;

        memset(&m, 0, sizeof(m));
        m.error = (int32_t)e;
        memcpy(m.agent, agent, sizeof(m.agent));
        if (d->is_open && d->generation == generation &&
            mailbox_send(&d->mailbox, MESH_MESSAGE_MADE, (struct str){ (const char *)&m, sizeof(m) }, &fd,
                         fd >= 0) != ERR_OK)
                log_warning("mailbox_full", LOG_N("kind", MESH_MESSAGE_MADE));
        if (fd >= 0)
                close(fd);
}

static void on_dialled(struct dial *d, enum err e, int fd)
{
        struct attempt *a = CONTAINER_OF(d, struct attempt, dial);

        made_say(a->process, a->desk, a->generation, a->agent, e, fd);
        a->process->attempts_count--;
        free(a);
}

static enum err dial_agent(struct desk *d, struct str id)
{
        struct meshproc *p = d->process;
        const struct node_overlay_peer *peer = peer_find(p, id);
        struct dial_target to = { .port = MESH_LINK_PORT };
        struct attempt *a;
        enum err e;
        int fd;

        if (!peer)
                return ERR_NOT_FOUND;
        if (!p->is_started || !is_fresh(p, peer))
                return ERR_UNREACHABLE;
        if (p->attempts_count >= MESHPROC_ATTEMPTS_MAX)
                return ERR_TOO_LARGE;
        to.ip = peer->v4.family ? peer->v4 : peer->v6;
        if ((e = mesh_private_socket(p->private, to.ip.family, &fd)) != ERR_OK)
                return e;
        if (!(a = calloc(1, sizeof(*a)))) {
                close(fd);
                return ERR_NO_MEMORY;
        }
        a->process = p;
        a->desk = d->index;
        a->generation = d->generation;
        memcpy(a->agent, id.ptr, id.len);
        p->attempts_count++;
        dial_start_on(&a->dial, p->loop, fd, &to, DIAL_MS, on_dialled);
        return ERR_OK;
}

static void on_asked(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct desk *d = CONTAINER_OF(m, struct desk, mailbox);
        char agent[NODE_ID_BYTES_MAX + 1] = "";

        (void)fds, (void)fds_count;
        if (kind != MESH_MESSAGE_ASK || body.len == 0 || body.len > NODE_ID_BYTES_MAX)
                return;
        memcpy(agent, body.ptr, body.len);
        enum err e = dial_agent(d, body);
        if (e != ERR_OK)
                made_say(d->process, d->index, d->generation, agent, e, -1);
}

static void on_worker_gone(struct mailbox *m)
{
        struct desk *d = CONTAINER_OF(m, struct desk, mailbox);

        d->is_open = false;
        d->generation++;
}

/* Takes fd. */
static void desk_open(struct meshproc *p, unsigned index, int fd)
{
        struct desk *d = &p->desks[index];

        if (d->is_open) {
                mailbox_close(&d->mailbox);
                on_worker_gone(&d->mailbox);
        }
        if (mailbox_open(&d->mailbox, p->loop, fd, on_asked, on_worker_gone) != ERR_OK) {
                log_error("channel_not_opened", LOG_C("process", "overlay"), LOG_N("worker", index));
                return;
        }
        d->is_open = d->wants_all = true;
}

/* ---- the supervisor ---- */

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct meshproc *p = CONTAINER_OF(m, struct meshproc, mailbox);
        struct message_channel channel;

        if (kind == MESSAGE_MESH_READ)
                stored_read(p);
        if (kind != MESSAGE_CHANNEL || body.len != sizeof(channel) || fds_count != 1)
                return;
        memcpy(&channel, body.ptr, sizeof(channel));
        if (channel.worker >= DESKS_MAX)
                return;
        desk_open(p, channel.worker, fds[0]);
        fds[0] = -1;
}

static void on_supervisor_gone(struct mailbox *m)
{
        loop_stop(CONTAINER_OF(m, struct meshproc, mailbox)->loop);
}

/* What the node process writes is read here, and nothing else. */
static enum err close_in(const struct meshproc *p)
{
        static const struct sandbox_user same = { 0 };
        static struct sandbox_paths reach;
        char own[NODE_PATH_MAX];
        struct sandbox s;
        enum err e;

        if ((e = node_state_own_folder(p->in->folder, WIRE_GATEWAY, own)) != ERR_OK)
                return e;
        sandbox_paths_add(&reach, str_of(own), false);
        if ((e = sandbox_fence(SANDBOX_NODE, &same, &reach, &s)) != ERR_OK)
                return e;
        sandbox_filter(SANDBOX_NODE, &s);
        sandbox_log(&s, "overlay");
        return ERR_OK;
}

int meshproc_run(const struct meshproc_input *in)
{
        static struct meshproc process; /* one a process */
        struct meshproc *p = &process;
        enum broker_lack lack;
        enum err e;

        p->in = in;
        timer_init(&p->look, on_look);
        for (unsigned i = 0; i < DESKS_MAX; i++)
                p->desks[i] = (struct desk){ .process = p, .index = i };
        if ((e = loop_new(&p->loop)) != ERR_OK) {
                log_error("overlay_not_started", LOG_E(e));
                return 1;
        }
        if (mesh_private_open(p->loop, &p->private, &lack) != ERR_OK) {
                log_error("overlay_not_possible", LOG_C("reason", broker_lack_text(lack)),
                          LOG_C("meaning", "agents are reached by the links they make"));
                return MESHPROC_IMPOSSIBLE;
        }
        if ((e = mailbox_open(&p->mailbox, p->loop, in->mailbox_fd, on_message, on_supervisor_gone)) !=
                    ERR_OK ||
            (e = close_in(p)) != ERR_OK) {
                log_error("overlay_not_started", LOG_E(e));
                return 1;
        }
        stored_read(p);
        timer_set(p->loop, &p->look, loop_now(p->loop));
        loop_run(p->loop);
        mesh_private_free(p->private);
        if (p->has_overlay)
                node_overlay_fini(&p->overlay);
        free(p->told);
        return 0;
}
