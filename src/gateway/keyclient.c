#include "gateway/keyclient.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "gateway/key_message.h"
#include "proxy/measure.h"
#include "proxy/worker.h"

enum { LOOK_MS = 250 };

/* ---- one request ---- */

static const char *word_of(enum err e)
{
        switch (e) {
        case ERR_OK: return "ok";
        case ERR_NOT_FOUND: return "unknown_key";
        case ERR_TIMED_OUT: return "timeout";
        case ERR_TOO_LARGE: return "full";
        default: return "refused";
        }
}

static void measured(const struct keyclient *k, enum err e, int64_t us)
{
        if (k->worker)
                measure_signature(k->worker, word_of(e), e == ERR_OK ? us : -1);
}

static void leave(struct keyclient *k, struct tls_signature *wanted)
{
        list_remove(&wanted->node);
        k->waiting_count--;
}

/* The handshake goes on, and whatever its owner does then. */
static void done(struct keyclient *k, struct tls_signature *wanted, enum err e, struct str signature)
{
        leave(k, wanted);
        measured(k, e, loop_clock_us() - wanted->asked_at_us);
        tls_signature_done(wanted, e, signature);
}

static enum err ask(struct tls_signer *s, struct tls_signature *wanted)
{
        struct keyclient *k = CONTAINER_OF(s, struct keyclient, signer);

        if (k->waiting_count >= KEYCLIENT_WAITING_MAX) {
                measured(k, ERR_TOO_LARGE, 0);
                return ERR_TOO_LARGE;
        }
        if (k->waiting_count++ == 0)
                timer_set(k->loop, &k->look, loop_now(k->loop) + LOOK_MS);
        wanted->number = ++k->number;
        wanted->asked_at_us = loop_clock_us();
        wanted->deadline = loop_now(k->loop) + KEYCLIENT_WAIT_MS;
        list_add_last(&k->unsent, &wanted->node);
        return ERR_OK;
}

static void forget(struct tls_signer *s, struct tls_signature *wanted)
{
        leave(CONTAINER_OF(s, struct keyclient, signer), wanted);
}

static struct tls_signature *late_find(struct list *waiting, mono_ms now)
{
        list_for_each(node, waiting) {
                struct tls_signature *w = CONTAINER_OF(node, struct tls_signature, node);
                if (w->deadline <= now)
                        return w;
        }
        return NULL;
}

static void on_look(struct timer *t)
{
        struct keyclient *k = CONTAINER_OF(t, struct keyclient, look);
        mono_ms now = loop_now(k->loop);
        struct tls_signature *late;

        while ((late = late_find(&k->sent, now)) || (late = late_find(&k->unsent, now)))
                done(k, late, ERR_TIMED_OUT, STR_NULL);
        if (k->waiting_count)
                timer_set(k->loop, t, now + LOOK_MS);
}

/* ---- the channel ---- */

/* What was asked and not answered is asked again, before what is new. */
static void channel_lost(struct keyclient *k)
{
        int fd = k->watch.fd;

        if (fd >= 0) {
                loop_remove(k->loop, &k->watch);
                close(fd);
        }
        list_move_all(&k->sent, &k->unsent);
        list_move_all(&k->unsent, &k->sent);
}

/* As many as go into one packet, from the front of `unsent`. They stay there. */
static unsigned packet_fill(struct keyclient *k)
{
        unsigned count = 0;

        buf_clear(&k->packet);
        list_for_each(node, &k->unsent) {
                const struct tls_signature *w = CONTAINER_OF(node, struct tls_signature, node);
                struct key_request r = { (uint32_t)w->number,
                                         w->scheme,
                                         w->key_id,
                                         { (const char *)w->content, w->content_len } };

                if (count == KEY_REQUESTS_MAX || !key_request_add(&k->packet, &r))
                        break;
                count++;
        }
        return count;
}

/* Before each wait. What finds no room stays for a later turn: there are answers to come. */
static void flush(void *context)
{
        struct keyclient *k = context;

        while (k->watch.fd >= 0 && !list_is_empty(&k->unsent)) {
                unsigned count = packet_fill(k);

                if (send(k->watch.fd, k->packet.ptr, k->packet.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
                        if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
                                channel_lost(k);
                        return;
                }
                for (; count; count--) {
                        struct list *node = k->unsent.next;

                        list_remove(node);
                        list_add_last(&k->sent, node);
                }
        }
}

/* Nobody waits for it any more: its handshake ended meanwhile. */
static struct tls_signature *sent_find(const struct keyclient *k, uint32_t number)
{
        list_for_each(node, &k->sent) {
                struct tls_signature *w = CONTAINER_OF(node, struct tls_signature, node);
                if (w->number == number)
                        return w;
        }
        return NULL;
}

static void take(struct keyclient *k, const struct key_answer *a)
{
        static const enum err errs[KEY_RESULTS] = {
                [KEY_SIGNED] = ERR_OK, [KEY_UNKNOWN] = ERR_NOT_FOUND, [KEY_REFUSED] = ERR_DENIED
        };
        struct tls_signature *w = sent_find(k, a->number);

        if (w)
                done(k, w, errs[a->result], a->signature);
}

static void on_answers(struct watch *w, unsigned events)
{
        struct keyclient *k = CONTAINER_OF(w, struct keyclient, watch);
        UNINITIALIZED char bytes[KEY_PACKET_BYTES_MAX];
        struct key_answer a;
        enum err e;
        ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0 || n > (ssize_t)sizeof(bytes)) {
                channel_lost(k); /* the supervisor brings another */
                return;
        }
        struct str packet = { bytes, (size_t)n };

        while ((e = key_answer_next(&packet, &a)) == ERR_OK)
                take(k, &a);
        if (e != ERR_NOT_FOUND)
                channel_lost(k);
}

void keyclient_channel_set(struct keyclient *k, int fd)
{
        channel_lost(k);
        if (loop_add_level(k->loop, &k->watch, fd, on_answers) != ERR_OK) {
                log_error("key_channel_not_opened", LOG_E(ERR_NO_MEMORY));
                close(fd);
                k->watch.fd = -1;
        }
}

void keyclient_measure(struct keyclient *k, struct worker *w)
{
        k->worker = w;
}

void keyclient_init(struct keyclient *k, struct loop *l, int fd)
{
        *k = (struct keyclient){ .signer = { ask, forget }, .loop = l, .watch = { .fd = -1 } };
        list_init(&k->unsent);
        list_init(&k->sent);
        timer_init(&k->look, on_look);
        buf_init(&k->packet, KEY_PACKET_BYTES_MAX);
        loop_before_wait(l, flush, k);
        if (fd >= 0)
                keyclient_channel_set(k, fd);
}
