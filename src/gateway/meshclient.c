#include "gateway/meshclient.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gateway/mesh_message.h"
#include "proxy/links.h"

enum { AGENTS_MAX = 20 * 1000, LOOK_MS = 500, AGAIN_MS_LEAST = 1000, AGAIN_MS_MOST = 15 * 1000 };

struct agent {
        struct list node;
        mono_ms proven_at, ask_at;
        int64_t again_ms;
        bool was_told; /* in the log, why there is no link */
        uint8_t id_len;
        char id[NODE_ID_BYTES_MAX];
};

static struct str id_of(const struct agent *a)
{
        return (struct str){ a->id, a->id_len };
}

static void agent_free(struct meshclient *c, struct agent *a)
{
        map_remove(&c->agents, id_of(a));
        list_remove(&a->node);
        free(a);
}

static struct agent *agent_get(struct meshclient *c, struct str id)
{
        struct agent *a = map_find(&c->agents, id);

        if (a || id.len == 0 || id.len > NODE_ID_BYTES_MAX || !(a = calloc(1, sizeof(*a))))
                return a;
        a->id_len = (uint8_t)id.len;
        memcpy(a->id, id.ptr, id.len);
        if (map_add(&c->agents, id_of(a), a) != ERR_OK) {
                free(a);
                return NULL;
        }
        list_add_last(&c->all, &a->node);
        return a;
}

static void ask(struct meshclient *c, struct agent *a, mono_ms now)
{
        a->again_ms = a->again_ms ? MIN(a->again_ms * 2, (int64_t)AGAIN_MS_MOST) : AGAIN_MS_LEAST;
        a->ask_at = now + a->again_ms;
        if (mailbox_send(&c->mailbox, MESH_MESSAGE_ASK, id_of(a), NULL, 0) != ERR_OK)
                log_debug("mailbox_full", LOG_N("kind", MESH_MESSAGE_ASK)); /* asked again */
}

static void on_look(struct timer *t)
{
        struct meshclient *c = CONTAINER_OF(t, struct meshclient, look);
        mono_ms now = loop_now(c->worker->loop);

        if (!c->is_open || c->worker->is_draining)
                return;
        timer_set(c->worker->loop, t, now + LOOK_MS);
        list_for_each_safe(node, &c->all) {
                struct agent *a = CONTAINER_OF(node, struct agent, node);

                if (links_has_overlay(c->worker->links, id_of(a))) {
                        a->again_ms = 0;
                        a->ask_at = now + AGAIN_MS_LEAST; /* should it end: not at once */
                        a->was_told = false;
                } else if (now - a->proven_at > MESH_FRESH_MS) {
                        agent_free(c, a);
                } else if (now >= a->ask_at) {
                        ask(c, a, now);
                }
        }
}

/* ---- the overlay process ---- */

static void on_up(struct meshclient *c, struct str ids)
{
        mono_ms now = loop_now(c->worker->loop);
        struct str id;

        while (str_split(&ids, '\n', &id)) {
                struct agent *a = agent_get(c, id);

                if (!a)
                        continue;
                a->proven_at = now;
                a->again_ms = 0;
                a->ask_at = now;
        }
        timer_set(c->worker->loop, &c->look, now);
}

static void on_made(struct meshclient *c, const struct mesh_message_made *m, int fd)
{
        struct str id = str_of(m->agent);
        struct agent *a = map_find(&c->agents, id);

        if (fd >= 0) {
                links_take_overlay(c->worker->links, id, fd);
        } else if (a && !a->was_told) {
                a->was_told = true;
                log_info("overlay_not_dialled", LOG_S("agent", id), LOG_E((enum err)m->error),
                         LOG_C("meaning", "tried again; until then its own links are used"));
        }
}

static void on_message(struct mailbox *mailbox, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct meshclient *c = CONTAINER_OF(mailbox, struct meshclient, mailbox);
        struct mesh_message_made m;

        if (kind == MESH_MESSAGE_UP) {
                on_up(c, body);
        } else if (kind == MESH_MESSAGE_MADE && body.len == sizeof(m)) {
                memcpy(&m, body.ptr, sizeof(m));
                m.agent[NODE_ID_BYTES_MAX] = '\0';
                on_made(c, &m, fds_count ? fds[0] : -1);
                if (fds_count)
                        fds[0] = -1;
        }
}

/* The supervisor brings another. */
static void on_gone(struct mailbox *mailbox)
{
        CONTAINER_OF(mailbox, struct meshclient, mailbox)->is_open = false;
}

void meshclient_channel_set(struct meshclient *c, int fd)
{
        if (c->is_open)
                mailbox_close(&c->mailbox);
        c->is_open = mailbox_open(&c->mailbox, c->worker->loop, fd, on_message, on_gone) == ERR_OK;
        if (c->is_open)
                timer_set(c->worker->loop, &c->look, loop_now(c->worker->loop) + LOOK_MS);
        else
                log_error("overlay_channel_not_opened", LOG_E(ERR_NO_MEMORY));
}

void meshclient_init(struct meshclient *c, struct worker *w, int fd)
{
        *c = (struct meshclient){ .worker = w };
        map_init(&c->agents, w->shared->hash_key, AGENTS_MAX);
        list_init(&c->all);
        timer_init(&c->look, on_look);
        if (fd >= 0)
                meshclient_channel_set(c, fd);
}
