#include "gateway/keyproc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/source.h"
#include "gateway/key_message.h"
#include "gateway/message.h"
#include "io/mailbox.h"
#include "io/tls_keys.h"

struct keyproc;

/* Where one worker is heard. */
struct desk {
        struct watch watch;
        struct keyproc *process;
        unsigned index;
};

struct keyproc {
        struct loop *loop;
        struct mailbox mailbox;
        struct desk desks[BOARD_ROWS_MAX];
        struct tls_keyring *rings[2]; /* of the configuration in force or about to be, of the one before */
        uint64_t number;              /* of the first */
        struct board_keys *row;
        struct heart heart;
        struct buf answers; /* the packet that is being gathered */
};

/* ---- requests ---- */

static void desk_close(struct desk *d)
{
        int fd = d->watch.fd;

        if (fd < 0)
                return;
        loop_remove(d->process->loop, &d->watch);
        close(fd);
}

static void count(_Atomic uint64_t *counter)
{
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void answers_send(struct desk *d)
{
        struct buf *answers = &d->process->answers;

        /* A worker that asks and does not listen gets no more room here: its handshakes end by their deadline. */
        if (answers->len && send(d->watch.fd, answers->ptr, answers->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                count(&d->process->row->dropped);
        buf_clear(answers);
}

static enum err sign(struct keyproc *p, const struct key_request *r, uint8_t *signature, size_t *len)
{
        enum err e = ERR_NOT_FOUND;

        for (size_t i = 0; i < ARRAY_SIZE(p->rings) && e == ERR_NOT_FOUND; i++)
                if (p->rings[i])
                        e = tls_keyring_sign(p->rings[i], r->key_id, r->scheme, r->content, signature, len);
        return e;
}

static void answer(struct desk *d, const struct key_request *r)
{
        struct keyproc *p = d->process;
        UNINITIALIZED uint8_t signature[TLS_SIGNATURE_BYTES_MAX];
        struct key_answer a = { .number = r->number };
        size_t len = 0;
        enum err e = sign(p, r, signature, &len);

        a.result = e == ERR_OK ? KEY_SIGNED : e == ERR_NOT_FOUND ? KEY_UNKNOWN : KEY_REFUSED;
        a.signature = (struct str){ (const char *)signature, len };
        count(e == ERR_OK ? &p->row->signatures : &p->row->refused);
        if (!key_answer_add(&p->answers, &a)) {
                answers_send(d);
                if (!key_answer_add(&p->answers, &a))
                        buf_clear(&p->answers);
        }
}

/* Only a worker that has fallen says such a thing: it is heard no more. */
static void desk_refuse(struct desk *d)
{
        log_error("key_request_broken", LOG_N("worker", d->index),
                  LOG_C("meaning", "the worker cannot be trusted; it is not answered any more"));
        count(&d->process->row->refused);
        desk_close(d);
}

/* One packet a turn and worker: the loop goes round among them. */
static void on_requests(struct watch *w, unsigned events)
{
        struct desk *d = CONTAINER_OF(w, struct desk, watch);
        UNINITIALIZED char bytes[KEY_PACKET_BYTES_MAX];
        struct key_request r;
        unsigned requests = 0;
        enum err e;
        ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) { /* the worker is gone */
                desk_close(d);
                return;
        }
        if (n > (ssize_t)sizeof(bytes)) {
                desk_refuse(d);
                return;
        }
        struct str packet = { bytes, (size_t)n };

        while ((e = key_request_next(&packet, &r)) == ERR_OK && requests++ < KEY_REQUESTS_MAX)
                answer(d, &r);
        answers_send(d);
        if (e != ERR_NOT_FOUND)
                desk_refuse(d);
}

/* ---- the supervisor ---- */

static void say(struct keyproc *p, enum message_kind kind, uint64_t number)
{
        const struct message_applied m = { number };

        if (mailbox_send(&p->mailbox, kind, (struct str){ (const char *)&m, sizeof(m) }, NULL, 0) != ERR_OK)
                log_warning("mailbox_full", LOG_N("kind", kind));
}

static enum err ring_fill(struct tls_keyring *ring, int fd)
{
        struct str keys, rest, pem;
        enum err e = mailbox_map(fd, CONF_BUNDLE_BYTES_MAX, &keys);

        if (e != ERR_OK)
                return e;
        rest = keys;
        while ((e = conf_keys_next(&rest, &pem)) == ERR_OK && (e = tls_keyring_add(ring, pem)) == ERR_OK)
                ;
        mailbox_unmap(keys);
        return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* The ones before stay: handshakes that began with them are still under way. */
static void keys_take(struct keyproc *p, struct str body, int fd)
{
        struct tls_keyring *ring = tls_keyring_new();
        struct message_applied m;
        enum err e = ring ? ring_fill(ring, fd) : ERR_NO_MEMORY;

        memcpy(&m, body.ptr, sizeof(m));
        if (e != ERR_OK) {
                log_error("keys_not_taken", LOG_N("number", m.number), LOG_E(e));
                tls_keyring_free(ring);
                say(p, MESSAGE_FAILED, m.number);
                return;
        }
        /* The same number again: what was sent with it never came into force. */
        size_t unused = m.number == p->number ? 0 : 1;

        tls_keyring_free(p->rings[unused]);
        if (unused == 1)
                p->rings[1] = p->rings[0];
        p->rings[0] = ring;
        p->number = m.number;
        atomic_store(&p->row->keys, tls_keyring_count(ring));
        say(p, MESSAGE_APPLIED, m.number);
}

/* Takes the descriptor. A new worker's, in place of the one before. */
static void desk_open(struct keyproc *p, struct str body, int *fd)
{
        struct message_channel m;

        memcpy(&m, body.ptr, sizeof(m));
        if (m.worker >= ARRAY_SIZE(p->desks))
                return;
        desk_close(&p->desks[m.worker]);
        if (loop_add_level(p->loop, &p->desks[m.worker].watch, *fd, on_requests) == ERR_OK)
                *fd = -1;
        else
                p->desks[m.worker].watch.fd = -1;
}

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct keyproc *p = CONTAINER_OF(m, struct keyproc, mailbox);

        if (kind == MESSAGE_KEYS && fds_count == 1 && body.len == sizeof(struct message_applied))
                keys_take(p, body, fds[0]);
        else if (kind == MESSAGE_CHANNEL && fds_count == 1 && body.len == sizeof(struct message_channel))
                desk_open(p, body, &fds[0]);
}

static void on_supervisor_gone(struct mailbox *m)
{
        loop_stop(CONTAINER_OF(m, struct keyproc, mailbox)->loop);
}

int keyproc_run(const struct keyproc_input *in)
{
        static struct keyproc process; /* one a process; zero until now */
        struct keyproc *p = &process;
        struct message_ready ready = { 0 };

        p->row = &in->board->keys;
        buf_init(&p->answers, KEY_PACKET_BYTES_MAX);
        for (unsigned i = 0; i < ARRAY_SIZE(p->desks); i++)
                p->desks[i] = (struct desk){ .watch = { .fd = -1 }, .process = p, .index = i };
        if (loop_new(&p->loop) != ERR_OK ||
            mailbox_open(&p->mailbox, p->loop, in->mailbox_fd, on_message, on_supervisor_gone) != ERR_OK)
                return 1;
        heart_start(&p->heart, p->loop, in->watchdog, in->beats_at);
        atomic_store(&p->row->is_locked, tls_keys_prepare());
        if (sandbox_enter(SANDBOX_KEYS, &in->user, &ready.sandbox) != ERR_OK) {
                log_error("user_not_changed", LOG_C("process", "keys"), LOG_N("uid", in->user.uid));
                return 1;
        }
        if (mailbox_send(&p->mailbox, MESSAGE_READY, (struct str){ (const char *)&ready, sizeof(ready) },
                         NULL, 0) != ERR_OK)
                return 1;
        loop_run(p->loop);
        return 0;
}
