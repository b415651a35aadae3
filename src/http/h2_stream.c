/* What goes out on a stream: an answer's head, its body as offers, its trailers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/h2_nv_priv.h"
#include "http/h2_session_priv.h"

enum { PIECE_LEAST = 1024, NV_MAX = HTTP_FIELDS_MAX + 8 };

static size_t offered(const struct h2_stream *st)
{
        size_t len = 0;

        for (size_t i = st->slice; i < st->slices_count; i++)
                len += st->slices[i].len;
        return len - st->offset;
}

static enum err nvs_fill(nghttp2_nv nvs[NV_MAX], const struct h2_list *l)
{
        if (l->count > NV_MAX)
                return ERR_TOO_LARGE;
        for (size_t i = 0; i < l->count; i++)
                nvs[i] = h2_nv_of(&l->pairs[i]);
        return ERR_OK;
}

static void ending_flags(nghttp2_session *ng, struct h2_stream *st, uint32_t *flags)
{
        nghttp2_nv nvs[NV_MAX] UNINITIALIZED;

        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (st->trailers_out.count == 0)
                return;
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nvs_fill(nvs, &st->trailers_out) != ERR_OK ||
            nghttp2_submit_trailer(ng, st->id, nvs, st->trailers_out.count) != 0)
                nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_INTERNAL_ERROR);
}

/* How much of the offer the next frame takes. */
static ssize_t source_read(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
                           nghttp2_data_source *source, void *context)
{
        struct h2_session *s = context;
        struct h2_stream *st = source->ptr;
        size_t left = offered(st), room = h2_room_left(&s->room);

        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        if (left == 0) {
                if (!st->is_ending)
                        return NGHTTP2_ERR_DEFERRED;
                ending_flags(ng, st, flags);
                return 0;
        }
        if (room < H2_FRAME_HEADER_BYTES + MIN(left, (size_t)PIECE_LEAST))
                return NGHTTP2_ERR_DEFERRED;
        size_t n = MIN(MIN(left, len), room - H2_FRAME_HEADER_BYTES);
        if (n == left && st->is_last) {
                st->is_ending = true;
                ending_flags(ng, st, flags);
        }
        return (ssize_t)n;
}

int h2_stream_source_send(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header, size_t len,
                          nghttp2_data_source *source, void *context)
{
        struct h2_session *s = context;
        struct h2_stream *st = source->ptr;

        if (h2_room_left(&s->room) < H2_FRAME_HEADER_BYTES + len)
                return NGHTTP2_ERR_WOULDBLOCK; /* an empty last frame: others may have filled the room */
        h2_room_put(&s->room, header, H2_FRAME_HEADER_BYTES);
        st->taken += len;
        while (len) {
                struct str piece = str_from(st->slices[st->slice], st->offset);
                size_t n = MIN(piece.len, len);

                h2_room_put(&s->room, piece.ptr, n);
                len -= n;
                st->offset += n;
                if (n == piece.len) {
                        st->slice++;
                        st->offset = 0;
                }
        }
        h2_budget_data_sent(&s->budget);
        return 0;
}

enum err h2_stream_head(struct h2_session *s, struct h2_stream *st, const struct h2_list *list, bool is_final,
                        bool is_end)
{
        nghttp2_data_provider source = { .source.ptr = st, .read_callback = source_read };
        nghttp2_nv nvs[NV_MAX] UNINITIALIZED;
        enum err e = nvs_fill(nvs, list);

        if (e != ERR_OK)
                return e;
        if (!is_final)
                return h2_error_of(nghttp2_submit_headers(s->ng, NGHTTP2_FLAG_NONE, st->id, NULL, nvs,
                                                          list->count, NULL) < 0
                                           ? NGHTTP2_ERR_INVALID_STATE
                                           : 0);
        st->answer_is_open = !is_end;
        st->output_is_whole = is_end;
        return h2_error_of(nghttp2_submit_response(s->ng, st->id, nvs, list->count, is_end ? NULL : &source));
}

/* One block: the pairs, then their bytes. */
static enum err trailers_keep(struct h2_stream *st, const struct h2_list *l)
{
        size_t bytes = l->count * sizeof(*l->pairs);

        for (size_t i = 0; i < l->count; i++)
                bytes += l->pairs[i].name.len + l->pairs[i].value.len;
        struct h2_pair *pairs = malloc(bytes ? bytes : 1);
        if (!pairs)
                return ERR_NO_MEMORY;
        char *at = (char *)(pairs + l->count);
        for (size_t i = 0; i < l->count; i++) {
                const struct h2_pair *p = &l->pairs[i];

                memcpy(at, p->name.ptr, p->name.len);
                if (p->value.len)
                        memcpy(at + p->name.len, p->value.ptr, p->value.len);
                pairs[i] = (struct h2_pair){ { at, p->name.len },
                                             { at + p->name.len, p->value.len },
                                             p->is_unindexed };
                at += p->name.len + p->value.len;
        }
        free(st->trailers_memory);
        st->trailers_memory = pairs;
        st->trailers_out = (struct h2_list){ pairs, l->count };
        return ERR_OK;
}

enum err h2_stream_end(struct h2_session *s, struct h2_stream *st, const struct h2_list *trailers)
{
        if (trailers && trailers->count && trailers_keep(st, trailers) != ERR_OK)
                return ERR_NO_MEMORY;
        st->is_ending = true;
        st->output_is_whole = true;
        nghttp2_session_resume_data(s->ng, st->id);
        return ERR_OK;
}

size_t h2_stream_data(struct h2_session *s, struct h2_stream *st, const struct str *slices,
                      size_t slices_count, bool is_last, const struct h2_list *trailers, char *out,
                      size_t room, size_t *taken_out)
{
        size_t len = 0, written;

        for (size_t i = 0; i < slices_count; i++)
                len += slices[i].len;
        *taken_out = 0;
        if (is_last && trailers && trailers->count && trailers_keep(st, trailers) != ERR_OK) {
                h2_stream_reset(s, st, H2_INTERNAL_ERROR, true);
                return 0;
        }
        st->slices = slices;
        st->slices_count = slices_count;
        st->slice = st->offset = st->taken = 0;
        while (st->slice < slices_count && slices[st->slice].len == 0)
                st->slice++;
        st->is_last = is_last;
        st->is_ending = is_last && len == 0;
        st->output_is_whole = is_last; /* the stream may close inside the call, and is the caller's then */
        nghttp2_session_resume_data(s->ng, st->id);
        int32_t id = st->id;
        written = h2_session_send(s, out, room);
        if (h2_stream_of(s, id) != st) { /* it is closed: all of it went, or it was reset */
                *taken_out = len;
                return written;
        }
        *taken_out = st->taken;
        st->output_is_whole = is_last && st->taken == len;
        st->is_ending = st->output_is_whole;
        st->slices = NULL;
        st->slices_count = st->slice = st->offset = 0;
        return written;
}

bool h2_stream_has_room(const struct h2_session *s, const struct h2_stream *st)
{
        return nghttp2_session_get_remote_window_size(s->ng) > 0 &&
               nghttp2_session_get_stream_remote_window_size(s->ng, st->id) > 0;
}

bool h2_stream_output_is_out(const struct h2_session *s, const struct h2_stream *st)
{
        return nghttp2_session_get_stream_local_close(s->ng, st->id) == 1;
}

void h2_stream_reset(struct h2_session *s, struct h2_stream *st, enum h2_code code, bool is_blameless)
{
        if (st->is_reset)
                return;
        st->is_reset = true;
        st->is_blameless = is_blameless;
        if (!is_blameless)
                h2_budget_doubt(&s->budget, s->now);
        if (nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, st->id, code) != 0)
                s->is_failed = true;
}

void h2_stream_length(struct h2_stream *st, uint64_t content_length)
{
        st->has_length = true;
        st->length_left = content_length;
}

void h2_stream_took(struct h2_session *s, struct h2_stream *st, size_t n)
{
        h2_window_used(&st->window, n);
        if (n && nghttp2_session_consume(s->ng, st->id, n) != 0)
                s->is_failed = true;
}
