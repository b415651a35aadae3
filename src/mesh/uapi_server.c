#include "mesh/uapi_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "io/listener.h"
#include "io/stream.h"
#include "mesh/uapi.h"

struct client {
        struct stream stream;
        struct mesh_uapi_server *server;
        struct buf in, out;
        size_t sent;
        bool has_ended; /* no more requests will come */
};

struct mesh_uapi_server {
        struct loop *loop;
        struct mesh_interface *interface; /* NULL once stopped */
        struct listener listener;
        int listen_fd;
        unsigned clients_count;
        struct client *clients[MESH_UAPI_CLIENTS_MAX];
        char path[128];
};

static void free_if_over(struct mesh_uapi_server *s)
{
        if (!s->interface && s->clients_count == 0)
                free(s);
}

static enum err listen_target(void *context, uint16_t port)
{
        return mesh_interface_listen(context, port);
}

static enum err fwmark_target(void *context, uint32_t fwmark)
{
        return mesh_interface_set_fwmark(context, fwmark);
}

static void counters_target(void *context, struct buf *out)
{
        mesh_interface_add_counters(context, out);
}

static void answer(struct client *c, struct str request)
{
        struct mesh_interface *i = c->server->interface;
        struct mesh_uapi_target target = {
                .device = mesh_interface_device(i),
                .now = mesh_interface_now(i).mono,
                .port = mesh_interface_port(i),
                .fwmark = mesh_interface_fwmark(i),
                .listen = listen_target,
                .set_fwmark = fwmark_target,
                .add_counters = counters_target,
                .context = i,
        };

        if (mesh_uapi_answer(&target, request, &c->out))
                mesh_interface_changed(i);
}

static void work(struct client *c)
{
        size_t len;

        while (c->out.len == 0 && (len = mesh_uapi_request_len(buf_str(&c->in))) > 0) {
                answer(c, str_sub(buf_str(&c->in), 0, len));
                buf_consume(&c->in, len);
        }
}

/* True when all is out. */
static bool send_out(struct client *c)
{
        while (c->sent < c->out.len) {
                struct iovec part = { c->out.ptr + c->sent, c->out.len - c->sent };
                size_t written;
                enum err e = stream_write(&c->stream, &part, 1, &written);
                if (e == ERR_AGAIN)
                        return false;
                if (e != ERR_OK) {
                        stream_close(&c->stream, STREAM_CLOSE_PLAIN);
                        return false;
                }
                c->sent += written;
        }
        buf_wipe(&c->out);
        buf_init(&c->out, MESH_UAPI_ANSWER_MAX);
        c->sent = 0;
        return true;
}

static bool read_in(struct client *c)
{
        enum { STEP = 16 * 1024 };
        size_t got;
        char *room = buf_reserve(&c->in, STEP);

        if (!room) {
                stream_close(&c->stream, STREAM_CLOSE_PLAIN);
                return false;
        }
        enum err e = stream_read(&c->stream, room, STEP, &got);
        if (e == ERR_OK)
                buf_added(&c->in, got);
        else if (e != ERR_AGAIN)
                c->has_ended = true;
        return e == ERR_OK;
}

static void on_ready(struct stream *stream, unsigned ready)
{
        struct client *c = CONTAINER_OF(stream, struct client, stream);

        if (!c->server->interface)
                return;
        for (;;) {
                if (!send_out(c))
                        return;
                work(c);
                if (c->out.len > 0)
                        continue;
                if (!read_in(c))
                        break;
        }
        if (c->has_ended)
                stream_close(stream, STREAM_CLOSE_PLAIN);
}

static void on_closed(struct stream *stream)
{
        struct client *c = CONTAINER_OF(stream, struct client, stream);
        struct mesh_uapi_server *s = c->server;

        for (size_t i = 0; i < MESH_UAPI_CLIENTS_MAX; i++)
                if (s->clients[i] == c)
                        s->clients[i] = NULL;
        s->clients_count--;
        buf_wipe(&c->in); /* private keys pass through here */
        buf_wipe(&c->out);
        free(c);
        free_if_over(s);
}

static const struct stream_events client_events = { .on_ready = on_ready, .on_closed = on_closed };

static void on_accept(struct listener *l, int fd)
{
        struct mesh_uapi_server *s = CONTAINER_OF(l, struct mesh_uapi_server, listener);
        struct client **place = NULL, *c;

        for (size_t i = 0; i < MESH_UAPI_CLIENTS_MAX; i++)
                if (!s->clients[i])
                        place = &s->clients[i];
        if (!place || !(c = calloc(1, sizeof(*c)))) {
                close(fd);
                return;
        }
        c->server = s;
        buf_init(&c->in, MESH_UAPI_REQUEST_MAX);
        buf_init(&c->out, MESH_UAPI_ANSWER_MAX);
        if (stream_open(&c->stream, s->loop, fd, &client_events) != ERR_OK) {
                free(c);
                return;
        }
        *place = c;
        s->clients_count++;
}

static enum err open_socket(struct mesh_uapi_server *s)
{
        struct listen_address address = { .path = str_of(s->path) };
        enum err e = file_make_folders(MESH_UAPI_FOLDER, 0755);

        if (e != ERR_OK)
                return e;
        /* Who connects may read the private key: the socket is made with no rights for others, not given them and robbed. */
        mode_t old = umask(0077);
        e = listen_socket_open(&address, false, &s->listen_fd);
        umask(old);
        return e;
}

enum err mesh_uapi_server_start(struct loop *l, struct mesh_interface *i, struct mesh_uapi_server **out)
{
        struct mesh_uapi_server *s = calloc(1, sizeof(*s));
        enum err e;

        if (!s)
                return ERR_NO_MEMORY;
        s->loop = l;
        s->interface = i;
        snprintf(s->path, sizeof(s->path), "%s/%s.sock", MESH_UAPI_FOLDER, mesh_interface_name(i));
        if ((e = open_socket(s)) != ERR_OK)
                goto fail;
        if ((e = listener_start(&s->listener, l, s->listen_fd, on_accept)) != ERR_OK)
                goto fail_start;
        *out = s;
        return ERR_OK;

fail_start:
        close(s->listen_fd);
        unlink(s->path);
fail:
        free(s);
        return e;
}

void mesh_uapi_server_stop(struct mesh_uapi_server *s)
{
        if (!s)
                return;
        listener_stop(&s->listener);
        close(s->listen_fd);
        unlink(s->path);
        s->interface = NULL;
        for (size_t i = 0; i < MESH_UAPI_CLIENTS_MAX; i++)
                if (s->clients[i])
                        stream_close(&s->clients[i]->stream, STREAM_CLOSE_PLAIN);
        free_if_over(s);
}
