/* What goes out on a stream: a request's list, its body as far as windows go, its trailers. */
#include <stdlib.h>
#include <string.h>

#include "http/h2_client_priv.h"
#include "http/h2_frame_priv.h"
#include "http/h2_nv_priv.h"
#include "http/websocket_handshake.h"

enum { PAIRS_ON_STACK = 64, PIECE_LEAST = 1024 };

/* How much of the body the next frame takes. */
static ssize_t on_read(const struct h2_client *c, struct h2_client_stream *s, size_t cap, uint32_t *flags)
{
        size_t left = s->out.len - s->out_at, room = h2_room_left(&c->room);
        size_t len = MIN(MIN(left, cap), MAX(room, (size_t)PIECE_LEAST) - H2_FRAME_HEADER_BYTES);

        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        if (len == left && s->out_is_last) {
                s->out_is_done = true;
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        } else if (left == 0) {
                s->is_deferred = true;
                return NGHTTP2_ERR_DEFERRED;
        }
        return (ssize_t)len;
}

int h2_client_on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t len,
                           nghttp2_data_source *source, void *user_data)
{
        struct h2_client *c = user_data;
        struct h2_client_stream *s = h2_client_stream_of(session, frame->hd.stream_id);

        if (!s) /* forgotten: its reset is on the way */
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        if (h2_room_left(&c->room) < H2_FRAME_HEADER_BYTES + len)
                return NGHTTP2_ERR_WOULDBLOCK;
        h2_room_put(&c->room, header, H2_FRAME_HEADER_BYTES);
        h2_room_put(&c->room, len ? s->out.ptr + s->out_at : NULL, len);
        s->out_at += len;
        if (s->out_at < s->out.len)
                return 0;
        buf_fini(&s->out);
        s->out_at = 0;
        if (s->wants_room && list_is_empty(&s->room_node))
                list_add_last(&c->roomy, &s->room_node);
        return 0;
}

/* `on_stack` where the list fits; else memory to be freed. */
static nghttp2_nv *nvs_of(const struct h2_list *list, nghttp2_nv on_stack[PAIRS_ON_STACK])
{
        nghttp2_nv *nvs = list->count <= PAIRS_ON_STACK ? on_stack : malloc(list->count * sizeof(*nvs));

        for (size_t i = 0; nvs && i < list->count; i++)
                nvs[i] = h2_nv_of(&list->pairs[i]);
        return nvs;
}

static int trailers_submit(nghttp2_session *session, int32_t id, uint32_t *flags, struct h2_client_stream *s)
{
        nghttp2_nv on_stack[PAIRS_ON_STACK] UNINITIALIZED, *nvs = nvs_of(s->trailers, on_stack);
        int result = nvs ? nghttp2_submit_trailer(session, id, nvs, s->trailers->count) : NGHTTP2_ERR_NOMEM;

        if (nvs != on_stack)
                free(nvs);
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        return result;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t cap, uint32_t *flags,
                         nghttp2_data_source *source, void *user_data)
{
        struct h2_client_stream *s = h2_client_stream_of(session, id);
        ssize_t len = s ? on_read(user_data, s, cap, flags) : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;

        if (len < 0 || !(*flags & NGHTTP2_DATA_FLAG_EOF) || !s->trailers || s->trailers->count == 0)
                return len;
        return trailers_submit(session, id, flags, s) == 0 ? len : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

enum err h2_client_request(struct h2_client *c, struct h2_client_stream *s, const struct http_head *head,
                           const struct h2_list *list, bool is_end)
{
        nghttp2_nv on_stack[PAIRS_ON_STACK] UNINITIALIZED, *nvs;
        nghttp2_data_provider body = { .read_callback = read_body };
        struct str key = http_value(head, HTTP_FIELD_SEC_WEBSOCKET_KEY);

        *s = (struct h2_client_stream){ .method = head->method, .is_deferred = false };
        list_init(&s->room_node);
        buf_init(&s->out, H2_CLIENT_WINDOW_BYTES);
        h2_window_init(&s->window, H2_CLIENT_WINDOW_BYTES);
        if (h2_client_room(c) == 0)
                return ERR_TOO_LARGE;
        if (head->is_raw) {
                s->is_tunnel = s->is_raw = true;
                is_end = false;
        } else if (head->asks_upgrade && websocket_is_asked(head)) {
                if (key.len != sizeof(s->websocket_key))
                        return ERR_MALFORMED;
                memcpy(s->websocket_key, key.ptr, key.len);
                s->is_tunnel = true;
                is_end = false;
        }
        if (!(nvs = nvs_of(list, on_stack)))
                return ERR_NO_MEMORY;
        int32_t id = nghttp2_submit_request(c->session, NULL, nvs, list->count, is_end ? NULL : &body, s);
        if (nvs != on_stack)
                free(nvs);
        if (id < 0) {
                c->is_goaway |= id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE;
                return id == NGHTTP2_ERR_NOMEM ? ERR_NO_MEMORY : ERR_TOO_LARGE;
        }
        s->id = id;
        s->out_is_done = s->out_is_last = is_end;
        c->streams_count++;
        return ERR_OK;
}

size_t h2_client_write(struct h2_client *c, struct h2_client_stream *s, const struct str *slices,
                       size_t slices_count, bool is_last, const struct h2_list *trailers)
{
        size_t room = H2_CLIENT_WINDOW_BYTES - s->out.len, taken = 0;

        if (s->id == 0 || s->out_is_last)
                return 0;
        if (slices_count > 1) { /* one growth for all */
                size_t len = 0;

                for (size_t i = 0; i < slices_count; i++)
                        len += slices[i].len;
                (void)buf_reserve(&s->out, MIN(len, room));
        }
        for (size_t i = 0; i < slices_count; i++) {
                size_t len = MIN(slices[i].len, room - taken);

                buf_add(&s->out, str_sub(slices[i], 0, len));
                if (s->out.full) { /* no memory: what was announced cannot be kept to */
                        (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id,
                                                        NGHTTP2_INTERNAL_ERROR);
                        return taken;
                }
                taken += len;
                if (len < slices[i].len)
                        is_last = false;
        }
        s->out_is_last = is_last;
        s->trailers = is_last ? trailers : NULL;
        s->wants_room = !is_last && s->out.len == H2_CLIENT_WINDOW_BYTES;
        if (s->is_deferred && (s->out.len > s->out_at || is_last)) {
                s->is_deferred = false;
                (void)nghttp2_session_resume_data(c->session, s->id);
        }
        return taken;
}

void h2_client_credit(struct h2_client *c, struct h2_client_stream *s, size_t bytes)
{
        h2_window_used(&s->window, bytes);
        if (s->id && bytes)
                (void)nghttp2_session_consume(c->session, s->id, bytes);
        else if (bytes)
                (void)nghttp2_session_consume_connection(c->session, bytes);
}
