#include "proxy/h1_in.h"

#include <assert.h>
#include <string.h>

enum { BODY_ROOM_MIN = 8 * 1024 };

void h1_in_init(struct h1_in *in)
{
        *in = (struct h1_in){ 0 };
}

void h1_in_fini(struct h1_in *in, struct worker *w)
{
        worker_buffer_put(w, in->buffer);
        worker_buffer_put(w, in->body_buffer);
        h1_in_init(in);
}

static struct rbuf *active(const struct h1_in *in)
{
        return in->body_buffer ? in->body_buffer : in->buffer;
}

struct str h1_in_bytes(const struct h1_in *in)
{
        const struct rbuf *b = active(in);

        return b ? (struct str){ b->bytes + b->pos, b->len - b->pos } : STR_NULL;
}

/* Makes room behind what is there: a first buffer, a larger one for a long head or where much comes, one of its own for a
 * long body. */
static enum err room_make(struct h1_in *in, struct worker *w)
{
        struct rbuf *b = active(in);

        if (!b) {
                if (in->is_bulk)
                        in->buffer = worker_buffer_take(w, true);
                if (!in->buffer)
                        in->buffer = worker_buffer_take(w, false);
                return in->buffer ? ERR_OK : ERR_NO_MEMORY;
        }
        if (!in->in_body) { /* a head is being read */
                if (b->len < b->cap)
                        return ERR_OK;
                if (b->cap >= RBUF_LARGE_BYTES)
                        return ERR_TOO_LARGE;
                struct rbuf *larger = worker_buffer_take(w, true);
                if (!larger)
                        return ERR_NO_MEMORY;
                memcpy(larger->bytes, b->bytes, b->len);
                larger->len = b->len;
                larger->pos = b->pos;
                worker_buffer_put(w, b);
                in->buffer = larger;
                return ERR_OK;
        }
        uint32_t start = in->body_buffer ? 0 : in->body_start;
        if (b->pos == b->len)
                b->pos = b->len = start; /* all was taken: the room is free again */
        bool is_short = b->cap - b->len < BODY_ROOM_MIN;
        if (!in->body_buffer && (is_short || (in->is_bulk && b->cap < RBUF_LARGE_BYTES))) {
                struct rbuf *body = worker_buffer_take(w, true);
                if (!body)
                        return is_short ? ERR_NO_MEMORY : ERR_OK;
                body->len = b->len - b->pos;
                memcpy(body->bytes, b->bytes + b->pos, body->len);
                b->len = b->pos;
                in->body_buffer = b = body;
        }
        if (b->len == b->cap && b->pos > start) {
                memmove(b->bytes + start, b->bytes + b->pos, b->len - b->pos);
                b->len -= b->pos - start;
                b->pos = start;
        }
        return b->len < b->cap ? ERR_OK : ERR_TOO_LARGE;
}

enum err h1_in_read(struct h1_in *in, struct worker *w, struct stream *s, bool *filled)
{
        size_t got;
        enum err e = room_make(in, w);

        if (e != ERR_OK)
                return e;
        struct rbuf *b = active(in);
        size_t room = b->cap - b->len;
        e = stream_read(s, b->bytes + b->len, room, &got);
        if (e == ERR_CLOSED || e == ERR_IO)
                in->is_ended = true;
        if (e != ERR_OK)
                return e;
        b->len += (uint32_t)got;
        *filled = got == room;
        in->is_bulk = in->in_body && *filled;
        return ERR_OK;
}

void h1_in_body_begin(struct h1_in *in, const struct http_head *head)
{
        assert(!in->body_buffer && (in->buffer || head->bytes == 0));
        h1_body_init(&in->body, head);
        if (in->buffer)
                in->buffer->pos += (uint32_t)head->bytes;
        in->body_start = in->buffer ? in->buffer->pos : 0;
        in->in_body = true;
        in->scanned = 0;
        in->is_last = false;
}

/*
 * The reader has gone past all of a part, of which the far end took `taken` bytes: takes it back to `before` and forward
 * again over just those. Reading is deterministic, so the second pass ends exactly behind the last byte taken.
 */
static void rewind_to(struct h1_in *in, const struct h1_body *before, const struct h1_body_part *part,
                      size_t taken)
{
        struct str bytes = h1_in_bytes(in);
        struct h1_body_part again;
        struct http_refusal refusal;
        const char *end = bytes.ptr;

        in->body = *before;
        for (size_t i = 0; i < part->slices_count && taken; i++) {
                size_t n = MIN(taken, part->slices[i].len);

                end = part->slices[i].ptr + n;
                taken -= n;
        }
        struct str prefix = str_sub(bytes, 0, (size_t)(end - bytes.ptr));
        if (prefix.len == 0)
                return;
        enum err e = h1_body_read(&in->body, prefix, &again, &refusal);
        assert(e == ERR_OK && again.consumed == prefix.len);
        active(in)->pos += (uint32_t)prefix.len;
}

enum err h1_in_offer(struct h1_in *in, struct worker *w, h1_in_give *give, void *context,
                     bool *wants_more_out, struct http_refusal *refusal)
{
        struct h1_body_part *part = &w->part;

        *wants_more_out = false;
        while (!in->is_last) {
                struct h1_body before = in->body;
                struct str bytes = h1_in_bytes(in);
                enum err e = h1_body_read(&in->body, bytes, part, refusal);

                if (e != ERR_OK)
                        return e;
                if (part->slices_count == 0 && !part->is_last) {
                        if (part->consumed)
                                active(in)->pos += (uint32_t)part->consumed;
                        *wants_more_out = true;
                        return ERR_AGAIN;
                }
                size_t payload = part->payload_bytes, consumed = part->consumed;
                bool is_last = part->is_last;
                struct side_data d = { part->slices, part->slices_count, is_last, part->trailers,
                                       part->trailers_count };
                size_t taken = give(context, &d);

                if (taken < payload) {
                        rewind_to(in, &before, part, taken);
                        return ERR_AGAIN;
                }
                if (consumed)
                        active(in)->pos += (uint32_t)consumed;
                in->is_last = is_last;
        }
        return ERR_OK;
}

void h1_in_next(struct h1_in *in, struct worker *w)
{
        if (in->body_buffer) { /* it holds what comes next, if anything */
                worker_buffer_put(w, in->buffer);
                in->buffer = in->body_buffer;
                in->body_buffer = NULL;
        }
        struct rbuf *b = in->buffer;
        if (b && b->pos == b->len) {
                worker_buffer_put(w, b);
                in->buffer = NULL;
        } else if (b) {
                b->len -= b->pos;
                memmove(b->bytes, b->bytes + b->pos, b->len);
                b->pos = 0;
        }
        in->body_start = 0;
        in->in_body = false;
        in->scanned = 0;
        in->is_last = false;
}

void h1_in_rest(struct h1_in *in, struct worker *w)
{
        if (h1_in_bytes(in).len)
                return;
        worker_buffer_put(w, in->buffer);
        worker_buffer_put(w, in->body_buffer);
        in->buffer = in->body_buffer = NULL;
        in->body_start = 0;
}
