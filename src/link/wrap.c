#include "link/wrap.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/random.h"

/* ---- from outside to the link ---- */

static void over(struct link_wrap *w)
{
        w->is_over = true;
        w->in_at = w->in_end = w->in_held = 0;
        stream_poke(&w->inner, STREAM_READABLE); /* on_pending: the end is to be said */
}

/* True: all that was held is written. */
static bool held_write(struct link_wrap *w)
{
        while (w->in_held) {
                struct iovec part = { w->in + w->in_at - w->in_held, w->in_held };
                size_t written;
                enum err e = stream_write(&w->inner, &part, 1, &written);

                if (e == ERR_AGAIN)
                        return false;
                if (e != ERR_OK) {
                        over(w);
                        return false;
                }
                w->in_held -= written;
        }
        return true;
}

static void part_take(struct link_wrap *w, const struct link_ws_part *part)
{
        w->in_at += part->consumed;
        switch (part->opcode) {
        case LINK_WS_BINARY: w->in_held = part->bytes.len; break;
        case LINK_WS_PING: /* of several only the last is owed an answer (RFC 6455 5.5.3) */
                memcpy(w->pong, part->bytes.ptr, part->bytes.len);
                w->pong_len = (uint8_t)part->bytes.len;
                w->has_pong = true;
                stream_poke(&w->inner, STREAM_READABLE);
                break;
        case LINK_WS_CLOSE: over(w); break;
        default: break;
        }
}

static void in_pump(struct link_wrap *w)
{
        struct link_ws_part part;

        while (!w->is_over && held_write(w)) {
                enum err e = link_ws_read(&w->ws, w->in + w->in_at, w->in_end - w->in_at, &part);

                if (e == ERR_AGAIN)
                        break;
                if (e == ERR_OK)
                        part_take(w, &part);
                else
                        over(w);
        }
        size_t from = w->in_at - w->in_held;
        memmove(w->in, w->in + from, w->in_end - from);
        w->in_at -= from;
        w->in_end -= from;
}

size_t link_wrap_receive(struct link_wrap *w, struct str bytes)
{
        size_t taken = 0;

        while (taken < bytes.len && !w->is_over) {
                size_t n = MIN(bytes.len - taken, sizeof(w->in) - w->in_end);

                if (n == 0) {
                        w->is_full = true;
                        return taken;
                }
                memcpy(w->in + w->in_end, bytes.ptr + taken, n);
                w->in_end += n;
                taken += n;
                in_pump(w);
        }
        return bytes.len;
}

void link_wrap_received_all(struct link_wrap *w)
{
        if (!w->is_over)
                over(w);
}

/* ---- from the link to outside ---- */

static void frame_put(struct link_wrap *w, enum link_ws_opcode opcode, size_t len)
{
        uint8_t mask[LINK_WS_MASK_BYTES], header[LINK_WS_HEADER_MAX];
        uint8_t *payload = w->out + LINK_WS_HEADER_MAX;

        if (w->ws.is_client) {
                crypto_random(mask, sizeof(mask));
                link_ws_mask(mask, 0, payload, len);
        }
        size_t n = link_ws_header_put(&w->ws, opcode, len, mask, header);
        w->out_at = LINK_WS_HEADER_MAX - n;
        w->out_end = LINK_WS_HEADER_MAX + len;
        memcpy(w->out + w->out_at, header, n);
}

static void next_put(struct link_wrap *w)
{
        uint8_t *payload = w->out + LINK_WS_HEADER_MAX;
        size_t got = 0;
        enum err e;

        if (w->has_pong) {
                w->has_pong = false;
                memcpy(payload, w->pong, w->pong_len);
                frame_put(w, LINK_WS_PONG, w->pong_len);
                return;
        }
        if (!w->is_over) {
                e = stream_read(&w->inner, payload, LINK_WRAP_OUT_BYTES, &got);
                if (e == ERR_OK)
                        frame_put(w, LINK_WS_BINARY, got);
                if (e == ERR_OK || e == ERR_AGAIN)
                        return;
                w->is_over = true;
        }
        if (!w->said_close) {
                w->said_close = true;
                frame_put(w, LINK_WS_CLOSE, 0);
        }
}

struct str link_wrap_pending(struct link_wrap *w, bool *is_last)
{
        if (w->out_at == w->out_end)
                next_put(w);
        *is_last = w->said_close;
        return (struct str){ (char *)w->out + w->out_at, w->out_end - w->out_at };
}

void link_wrap_sent(struct link_wrap *w, size_t len)
{
        w->out_at += len;
}

/* ---- our half ---- */

static void on_open(struct stream *s, enum err e) {}

static void on_ready(struct stream *s, unsigned ready)
{
        struct link_wrap *w = CONTAINER_OF(s, struct link_wrap, inner);

        if (ready & STREAM_WRITABLE && !w->is_over)
                in_pump(w);
        if (w->is_full && (w->is_over || w->in_end < sizeof(w->in))) {
                w->is_full = false;
                w->events->on_room(w);
        }
        if (ready & STREAM_READABLE)
                w->events->on_pending(w);
}

static void on_closed(struct stream *s)
{
        struct link_wrap *w = CONTAINER_OF(s, struct link_wrap, inner);

        w->events->on_closed(w);
}

static const struct stream_events inner_events = { on_open, on_ready, on_closed };

enum err link_wrap_open(struct link_wrap *w, struct loop *l, bool is_client,
                        const struct link_wrap_events *events, int *other)
{
        int pair[2];
        enum err e;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
                return ERR_NO_MEMORY;
        w->events = events;
        w->ws = (struct link_ws){ .is_client = is_client };
        w->in_at = w->in_end = w->in_held = w->out_at = w->out_end = 0;
        w->has_pong = w->is_full = w->is_over = w->said_close = false;
        if ((e = stream_open(&w->inner, l, pair[0], &inner_events)) != ERR_OK) {
                close(pair[1]);
                return e;
        }
        *other = pair[1];
        return ERR_OK;
}

void link_wrap_close(struct link_wrap *w)
{
        w->is_over = true;
        stream_close(&w->inner, STREAM_CLOSE_PLAIN);
}
