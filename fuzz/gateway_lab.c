#include "gateway_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/source.h"
#include "io/listener.h"
#include "io/tls.h"

enum { QUIET_TURNS_MAX = 400 };

static const struct h1_limits seen_limits = { .head_bytes_max = 60 * 1024,
                                              .target_bytes_max = 32 * 1024,
                                              .lines_max = 160 };

#define CHECK(what)                                                                \
        do {                                                                       \
                if (!(what)) {                                                     \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
                        abort();                                                   \
                }                                                                  \
        } while (0)

/* ---- the configuration ---- */

struct text_source {
        struct conf_source source;
        struct str text;
};

static enum err text_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                          struct conf_text *out)
{
        struct text_source *t = CONTAINER_OF(s, struct text_source, source);

        if (kind != CONF_READ_CONFIG)
                return ERR_NOT_FOUND;
        out->mode = 0600;
        buf_add(&out->bytes, t->text);
        return out->bytes.full ? ERR_NO_MEMORY : ERR_OK;
}

static enum err snapshot_make(struct lab *lab, struct snapshot **out)
{
        static const uint8_t ticket_key[TLS_TICKET_KEY_BYTES];
        char text[1024];
        struct text_source source = {
                .source = { .read = text_read, .file = STR("lab.json"), .now = 1767225600000 }
        };
        struct report report;
        struct conf *conf = NULL;
        enum err e;

        int len = snprintf(
                text, sizeof(text),
                "{\"gateway\":{\"apiTokens\":[{\"name\":\"lab\",\"token\":\"sk-0123456789abcdefghijklmn\"}],"
                "\"limits\":{\"requestBytes\":65536,\"connections\":64,\"connectionsPerAddress\":0,\"failedAuthPerMinute\":0}},"
                "\"upstreams\":{\"app\":{\"targets\":[\"unix:%s\"],\"protocol\":\"h1\",\"retries\":1,\"passive\":{\"failures\":0}}},"
                "\"routes\":[{\"path\":\"/private\",\"upstream\":\"app\"},"
                "{\"path\":\"/\",\"upstream\":\"app\",\"access\":\"public\"}],"
                "\"log\":{\"access\":\"off\"}}",
                lab->path);
        source.text = (struct str){ text, (size_t)len };
        report_init(&report, STR("lab.json"));
        if ((e = conf_load(&source.source, &report, &conf)) == ERR_OK) {
                struct build_input in = { .conf = conf,
                                          .number = ++lab->number,
                                          .shared = &lab->shared,
                                          .llm_shared = lab->llm_shared,
                                          .ticket_key = ticket_key };
                e = build_snapshot(&in, &report, out);
        }
        if (e == ERR_CONFIG)
                for (size_t i = 0; i < report.entries_count; i++)
                        fprintf(stderr, "lab: %.*s\n", STR_FMT(report.entries[i].text));
        if (e != ERR_OK)
                conf_free(conf);
        report_fini(&report);
        return e;
}

/* ---- birth and death ---- */

static enum err door_open(struct lab *lab)
{
        struct listen_address address = { .path = { lab->path, strlen(lab->path) } };

        return listen_socket_open(&address, false, &lab->listen_fd);
}

static void folder_remove(struct lab *lab)
{
        unlink(lab->path);
        rmdir(lab->folder);
}

enum err lab_open(struct lab *lab)
{
        struct snapshot *snap;
        enum err e;

        *lab = (struct lab){ .listen_fd = -1, .folder = "/tmp/sekisho-lab-XXXXXX" };
        for (unsigned i = 0; i < LAB_CLIENTS; i++)
                lab->clients[i] = -1;
        for (unsigned i = 0; i < LAB_UPSTREAMS; i++) {
                lab->upstreams[i].fd = -1;
                buf_init(&lab->upstreams[i].seen, LAB_SEEN_BYTES_MAX);
        }
        CHECK(mkdtemp(lab->folder));
        snprintf(lab->path, sizeof(lab->path), "%s/up.sock", lab->folder);
        if ((e = door_open(lab)) != ERR_OK)
                goto fail;
        if ((e = loop_new(&lab->loop)) != ERR_OK)
                goto fail_loop;
        if ((e = shared_init(&lab->shared, 1)) != ERR_OK)
                goto fail_shared;
        if ((e = llm_shared_new(&(struct conf_limits){ 0 }, &lab->llm_shared)) != ERR_OK)
                goto fail_llm;
        if ((e = snapshot_make(lab, &snap)) != ERR_OK)
                goto fail_snapshot;
        if ((e = worker_init(&lab->worker, &lab->shared, 0, lab->loop, snap)) != ERR_OK)
                goto fail_worker;
        return ERR_OK;

fail_worker:
        snapshot_put(snap);
fail_snapshot:
        llm_shared_free(lab->llm_shared);
fail_llm:
        shared_fini(&lab->shared);
fail_shared:
        loop_free(lab->loop);
fail_loop:
        close(lab->listen_fd);
fail:
        folder_remove(lab);
        return e;
}

void lab_close(struct lab *lab)
{
        worker_fini(&lab->worker);
        llm_shared_free(lab->llm_shared);
        shared_fini(&lab->shared);
        loop_free(lab->loop);
        close(lab->listen_fd);
        for (unsigned i = 0; i < LAB_UPSTREAMS; i++)
                buf_fini(&lab->upstreams[i].seen);
        folder_remove(lab);
}

static void watch(const struct lab *lab, bool is_running)
{
        if (lab->watch)
                lab->watch(is_running);
}

void lab_reload(struct lab *lab)
{
        struct snapshot *snap;

        watch(lab, true);
        if (snapshot_make(lab, &snap) == ERR_OK)
                worker_set_snapshot(&lab->worker, snap);
        watch(lab, false);
}

void lab_turn(struct lab *lab)
{
        watch(lab, true);
        for (int i = 0; i < 3; i++)
                loop_turn(lab->loop, 0);
        watch(lab, false);
}

/* ---- clients ---- */

void lab_client_connect(struct lab *lab, unsigned client)
{
        struct ip peer = { 0 };
        int fds[2];

        lab_client_close(lab, client);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        CHECK(ip_parse(STR("192.0.2.7"), &peer) == ERR_OK);
        lab->clients[client] = fds[0];
        watch(lab, true);
        worker_accept(&lab->worker, fds[1], &lab->worker.snap->listens[0], peer);
        watch(lab, false);
}

void lab_client_send(struct lab *lab, unsigned client, struct str bytes)
{
        if (lab->clients[client] >= 0 && bytes.len)
                (void)!send(lab->clients[client], bytes.ptr, bytes.len, MSG_NOSIGNAL);
}

size_t lab_client_receive(struct lab *lab, unsigned client, char *out, size_t max)
{
        ssize_t got = lab->clients[client] < 0 ? 0 : recv(lab->clients[client], out, max, 0);

        return got > 0 ? (size_t)got : 0;
}

void lab_client_close(struct lab *lab, unsigned client)
{
        if (lab->clients[client] >= 0)
                close(lab->clients[client]);
        lab->clients[client] = -1;
}

/* ---- the upstream ---- */

static bool is_forwarded_for(struct str name)
{
        static const char wanted[] = "x-forwarded-for";

        if (name.len != sizeof(wanted) - 1)
                return false;
        for (size_t i = 0; i < name.len; i++)
                if ((name.ptr[i] == '_' ? '-' : name.ptr[i] | 0x20) != wanted[i] && name.ptr[i] != wanted[i])
                        return false;
        return true;
}

/* One well-formed request of ours: nobody else's words about where it came from. */
static void head_judge(struct lab_upstream *u, const struct http_head *head)
{
        unsigned forwarded_count = 0;

        for (uint16_t i = 0; i < head->fields_count; i++)
                forwarded_count += is_forwarded_for(head->fields[i].name);
        CHECK(forwarded_count <= 1);
        CHECK(http_find(head, HTTP_FIELD_HOST));
        CHECK(!(http_find(head, HTTP_FIELD_CONTENT_LENGTH) && http_find(head, HTTP_FIELD_TRANSFER_ENCODING)));
        u->requests_count++;
        u->is_tunnel = head->asks_upgrade;
        u->in_body = true;
        h1_body_init(&u->body, head);
}

/* Takes one head or a piece of a body. False: nothing more to take. */
static bool seen_take(struct lab_upstream *u)
{
        static struct http_field fields[HTTP_FIELDS_MAX];
        static struct h1_body_part part;
        struct http_head head = { .fields = fields, .fields_max = HTTP_FIELDS_MAX };
        struct http_refusal refusal;
        struct str in = buf_str(&u->seen);
        enum err e;

        if (!in.len || u->is_tunnel)
                return false;
        if (u->in_body) {
                e = h1_body_read(&u->body, in, &part, &refusal);
                CHECK(e == ERR_OK);
                u->in_body = !part.is_last;
                buf_consume(&u->seen, part.consumed);
                return part.consumed > 0 || part.is_last;
        }
        e = h1_request_parse(in, &seen_limits, &u->scanned, &head, &refusal);
        if (e == ERR_AGAIN)
                return false;
        CHECK(e == ERR_OK);
        head_judge(u, &head);
        buf_consume(&u->seen, head.bytes);
        u->scanned = 0;
        return true;
}

static void seen_judge(struct lab_upstream *u)
{
        while (seen_take(u))
                ;
        if (u->is_tunnel)
                buf_clear(&u->seen);
}

static void arrivals_take(struct lab *lab)
{
        for (unsigned i = 0; i < LAB_UPSTREAMS; i++) {
                struct lab_upstream *u = &lab->upstreams[i];

                if (u->fd >= 0)
                        continue;
                u->fd = accept4(lab->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (u->fd < 0)
                        return;
                buf_clear(&u->seen);
                u->scanned = 0;
                u->in_body = u->is_tunnel = false;
        }
}

void lab_upstream_receive(struct lab *lab, size_t max)
{
        static char bytes[16 * 1024];

        arrivals_take(lab);
        for (unsigned i = 0; i < LAB_UPSTREAMS; i++) {
                struct lab_upstream *u = &lab->upstreams[i];
                ssize_t got =
                        u->fd < 0 ? 0 : recv(u->fd, bytes, max < sizeof(bytes) ? max : sizeof(bytes), 0);

                if (got <= 0)
                        continue;
                buf_add(&u->seen, (struct str){ bytes, (size_t)got });
                seen_judge(u);
                CHECK(!u->seen.full);
        }
}

void lab_upstream_send(struct lab *lab, unsigned upstream, struct str bytes)
{
        if (lab->upstreams[upstream].fd >= 0 && bytes.len)
                (void)!send(lab->upstreams[upstream].fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
}

void lab_upstream_close(struct lab *lab, unsigned upstream)
{
        if (lab->upstreams[upstream].fd >= 0)
                close(lab->upstreams[upstream].fd);
        lab->upstreams[upstream].fd = -1;
}

/* ---- the end ---- */

static bool is_quiet(const struct lab *lab)
{
        const struct worker *w = &lab->worker;

        return !pool_taken_count(w->downs) && !pool_taken_count(w->ups) && !pool_taken_count(w->exchanges) &&
               !pool_taken_count(w->buffers_small) && !pool_taken_count(w->buffers_large);
}

void lab_hang_up(struct lab *lab)
{
        for (unsigned i = 0; i < LAB_CLIENTS; i++)
                lab_client_close(lab, i);
        for (int turn = 0; turn < QUIET_TURNS_MAX; turn++) {
                arrivals_take(lab);
                for (unsigned i = 0; i < LAB_UPSTREAMS; i++)
                        lab_upstream_close(lab, i);
                lab_turn(lab);
                if (is_quiet(lab))
                        return;
        }
        fprintf(stderr,
                "lab: after every far end closed: %zu clients, %zu upstream connections, %zu exchanges, %zu + %zu buffers\n",
                pool_taken_count(lab->worker.downs), pool_taken_count(lab->worker.ups),
                pool_taken_count(lab->worker.exchanges), pool_taken_count(lab->worker.buffers_small),
                pool_taken_count(lab->worker.buffers_large));
        abort();
}
