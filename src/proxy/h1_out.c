#include "proxy/h1_out.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void h1_out_init(struct h1_out *o)
{
        *o = (struct h1_out){ 0 };
}

void h1_out_fini(struct h1_out *o)
{
        free(o->pending);
        h1_out_init(o);
}

/* Copies what is left of the vector behind what is pending. */
static void keep(struct h1_out *o, const struct h1_vector *v)
{
        if (v->bytes == 0)
                return;
        char *grown = realloc(o->pending, o->pending_len + v->bytes);
        if (!grown) {
                o->is_broken = true; /* the stream has a hole now: it can only be reset */
                return;
        }
        o->pending = grown;
        for (int i = 0; i < v->parts_count; i++) {
                memcpy(o->pending + o->pending_len, v->parts[i].iov_base, v->parts[i].iov_len);
                o->pending_len += v->parts[i].iov_len;
        }
}

static void vector_empty(struct h1_vector *v)
{
        v->parts_count = 0;
        v->bytes = 0;
        v->full = false;
}

struct h1_vector *h1_out_gather(struct h1_out *o, struct h1_vector *v)
{
        h1_out_drop(o);
        assert(v->parts_count == 0);
        o->gathered = v;
        return v;
}

void h1_out_drop(struct h1_out *o)
{
        if (o->gathered)
                vector_empty(o->gathered);
        o->gathered = NULL;
}

/* True when nothing is pending any more. */
static bool pending_send(struct h1_out *o, struct stream *s)
{
        while (o->pending_len && !o->is_broken) {
                struct iovec part = { o->pending + o->pending_at, o->pending_len - o->pending_at };
                size_t written;
                enum err e = stream_write(s, &part, 1, &written);

                if (e == ERR_AGAIN)
                        return false;
                if (e != ERR_OK) {
                        o->is_broken = true;
                        return false;
                }
                o->pending_at += written;
                if (o->pending_at == o->pending_len) {
                        free(o->pending);
                        o->pending = NULL;
                        o->pending_len = o->pending_at = 0;
                }
        }
        return !o->is_broken;
}

/* Sends as much of v as goes; returns the bytes sent and leaves the rest in v. */
static size_t vector_send(struct h1_out *o, struct stream *s, struct h1_vector *v)
{
        size_t sent = 0;

        while (v->bytes && !o->is_broken) {
                size_t written;
                enum err e = stream_write(s, v->parts, v->parts_count, &written);

                if (e == ERR_AGAIN)
                        break;
                if (e != ERR_OK) {
                        o->is_broken = true;
                        break;
                }
                sent += written;
                h1_vector_consume(v, written);
        }
        return sent;
}

void h1_out_flush(struct h1_out *o, struct stream *s, struct h1_vector *v)
{
        o->gathered = NULL;
        if (pending_send(o, s))
                vector_send(o, s, v);
        if (!o->is_broken)
                keep(o, v);
        vector_empty(v);
}

static size_t payload_add(struct h1_vector *v, const struct side_data *d)
{
        for (size_t i = 0; i < d->slices_count; i++)
                h1_vector_add(v, d->slices[i]);
        return side_data_len(d);
}

/* Size line, payload, line end; and after the last the closing chunk. Returns the payload's length. */
static size_t chunk_add(struct h1_vector *v, const struct side_data *d, char size_line[H1_CHUNK_HEAD_MAX],
                        struct arena *a)
{
        size_t len = side_data_len(d);

        if (len) {
                h1_vector_add(v, h1_chunk_head(size_line, len));
                payload_add(v, d);
                h1_vector_add(v, STR("\r\n"));
        }
        if (d->is_last && h1_last_chunk_write(d->trailers, d->trailers_count, a, v) != ERR_OK)
                v->full = true;
        return len;
}

size_t h1_out_data(struct h1_out *o, struct stream *s, struct h1_vector *v, const struct side_data *d,
                   struct arena *a)
{
        char size_line[H1_CHUNK_HEAD_MAX];
        size_t head = v->bytes, len, sent;

        o->gathered = NULL;
        if (!pending_send(o, s)) {
                /* An end without bytes cannot be taken in part, and will not come again: it joins what is pending. */
                if (!o->is_broken && o->is_chunked && d->is_last && side_data_len(d) == 0)
                        chunk_add(v, d, size_line, a);
                o->is_broken |= v->full;
                if (!o->is_broken)
                        keep(o, v);
                vector_empty(v);
                return 0;
        }
        len = o->is_chunked ? chunk_add(v, d, size_line, a) : payload_add(v, d);
        if (v->full) /* cannot happen within H1_SLICES_MAX; a lost piece must never pass for a whole body */
                o->is_broken = true;
        sent = vector_send(o, s, v);
        if (o->is_broken) {
                vector_empty(v);
                return len; /* the reset that follows tells */
        }
        if (o->is_chunked || v->bytes == 0) {
                keep(o, v);
                vector_empty(v);
                return len;
        }
        /* With a length: what is left of the head is ours to keep, the payload stays with the giver. */
        size_t taken = sent > head ? sent - head : 0;
        if (sent < head) {
                struct h1_vector rest = *v;
                size_t head_left = head - sent;

                rest.bytes = head_left;
                for (int i = 0; i < rest.parts_count; i++) {
                        rest.parts[i].iov_len = MIN(rest.parts[i].iov_len, head_left);
                        head_left -= rest.parts[i].iov_len;
                }
                keep(o, &rest);
        }
        vector_empty(v);
        return taken;
}
