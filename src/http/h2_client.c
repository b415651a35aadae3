#include "http/h2_client.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "http/h2_memory.h"
#include "http/websocket_handshake.h"

/*
 * Theory of operation. nghttp2 knows a stream by its number and, as user data, our struct; a forgotten stream has no user
 * data any more, and what still comes for it is counted back to the connection's window and dropped. nghttp2 checks the
 * shape of frames; a violation resets the stream with PROTOCOL_ERROR and is found in on_stream_close. Its rules for messages
 * are off: h2_fields.h judges lists, and bodies are counted here. The end of an answer is told by the frame that carries it.
 */

enum {
        CONTROL_TOKENS_MAX =
                2000, /* frames that cost us and bring nothing: PING, SETTINGS, WINDOW_UPDATE, … */
        CONTROL_TOKENS_PER_SECOND = 1000,
        CONTROL_TOKENS_PER_DATA_FRAME = 4, /* of ours: each may be answered by window updates */
        CONTINUATIONS_MAX = 8,
        OUTBOUND_ACKS_MAX = 200,
        PAIRS_ON_STACK = 64
};

struct h2_client {
        nghttp2_session *session;
        const struct h2_client_events *events;
        void *context;
        struct h1_limits limits;
        struct h2_section section; /* the list being received, or the last one */
        struct h2_section given;   /* of the last held head: lent until on_flush */
        bool has_given;
        struct list held; /* streams whose head waits for data */
        bool has_section, saw_settings, is_goaway, is_receiving, is_flooded;
        int32_t section_of;   /* stream */
        uint32_t frame_left;  /* of a DATA frame */
        bool frame_is_padded; /* then its end is only known when it is whole */
        uint32_t streams_count, pongs;
        int64_t tokens;
        bool is_wide;
        mono_ms tokens_at;
        struct list roomy; /* streams with room again */
        struct h2_windows windows;
        const uint8_t *piece; /* output nghttp2 gave and the caller has not taken */
        size_t piece_len;
};

static struct h2_client_stream *stream_of(nghttp2_session *session, int32_t id)
{
        return id > 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

/* ---- the end of a stream ---- */

static bool is_held(const struct h2_client_stream *s)
{
        return !list_is_empty(&s->held_node);
}

static void detach(struct h2_client *c, struct h2_client_stream *s)
{
        if (is_held(s)) {
                list_remove(&s->held_node);
                h2_section_fini(&s->held);
        }
        nghttp2_session_set_stream_user_data(c->session, s->id, NULL);
        h2_window_end(&c->windows, &s->window);
        list_remove(&s->room_node);
        buf_fini(&s->out);
        s->id = 0;
        c->streams_count--;
}

void h2_client_forget(struct h2_client *c, struct h2_client_stream *s)
{
        int32_t id = s->id;

        if (id == 0)
                return;
        bool is_whole = s->end_is_told && s->out_is_done;
        detach(c, s);
        if (!is_whole)
                (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id,
                                                s->end_is_told ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
}

static void fail(struct h2_client *c, struct h2_client_stream *s, uint32_t code)
{
        int32_t id = s->id;

        detach(c, s);
        (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, code);
        c->events->on_reset(s, ERR_MALFORMED, H2_RESET_BROKEN);
}

static void held_give(struct h2_client *c, struct h2_client_stream *s);

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
        struct h2_client *c = user_data;
        struct h2_client_stream *s = stream_of(session, id);
        enum h2_client_reset how = H2_RESET_BROKEN;
        enum err e = ERR_CLOSED;

        if (!s)
                return 0;
        if (is_held(s)) {
                held_give(c, s);
                if (!(s = stream_of(session, id)))
                        return 0;
        }
        if (s->end_is_told) { /* whole; that the peer did not want all of the request is its own affair */
                s->out_is_done = true;
                return 0;
        }
        if (!s->head_is_done && code == NGHTTP2_REFUSED_STREAM)
                how = H2_RESET_UNPROCESSED;
        else if (!s->head_is_done && code == NGHTTP2_HTTP_1_1_REQUIRED)
                how = H2_RESET_USE_H1;
        else if (code == NGHTTP2_PROTOCOL_ERROR && !s->was_reset_by_peer)
                e = ERR_MALFORMED; /* nghttp2 found it */
        detach(c, s);
        c->events->on_reset(s, e, how);
        return 0;
}

/* ---- lists ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
        struct h2_client *c = user_data;
        struct h2_client_stream *s = stream_of(session, frame->hd.stream_id);

        if (s && is_held(s)) { /* an interim one, or what comes are trailers */
                held_give(c, s);
                s = stream_of(session, frame->hd.stream_id);
        }
        c->events->on_flush(c->context);
        if (c->has_section)
                h2_section_fini(&c->section);
        c->has_section = s != NULL;
        c->section_of = frame->hd.stream_id;
        if (s)
                h2_section_init(&c->section, s->head_is_done ? H2_SECTION_TRAILERS : H2_SECTION_ANSWER,
                                &c->limits);
        return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user_data)
{
        struct h2_client *c = user_data;
        nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);

        if (c->has_section && c->section_of == frame->hd.stream_id)
                h2_section_add(&c->section, (struct str){ (const char *)n.base, n.len },
                               (struct str){ (const char *)v.base, v.len });
        return 0;
}

/* A tunnel inside has the form of HTTP/1.1 (h2_fields.h). */
static enum err tunnel_accept(struct h2_client_stream *s, struct http_head *head,
                              char text[WEBSOCKET_ACCEPT_TEXT_MAX])
{
        struct str key = { s->websocket_key, sizeof(s->websocket_key) };
        enum err e;

        head->status = 101;
        head->reason = STR_NULL;
        head->framing = HTTP_BODY_NONE;
        head->asks_upgrade = true;
        http_remove(head, HTTP_FIELD_CONTENT_LENGTH);
        if (s->is_raw)
                return (e = http_add(head, STR("Upgrade"), STR("tcp"))) == ERR_OK
                               ? http_add(head, STR("Connection"), STR("Upgrade"))
                               : e;
        if ((e = http_add(head, STR("Upgrade"), STR("websocket"))) == ERR_OK &&
            (e = http_add(head, STR("Connection"), STR("Upgrade"))) == ERR_OK)
                e = http_replace(head, STR("Sec-WebSocket-Accept"), websocket_accept_format(key, text));
        return e;
}

static void head_take(struct h2_client *c, struct h2_client_stream *s, struct h2_section *section,
                      bool is_end)
{
        static _Thread_local struct http_field fields[HTTP_FIELDS_MAX];
        static _Thread_local char accept[WEBSOCKET_ACCEPT_TEXT_MAX]; /* until on_flush, like the section */
        struct http_head head = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
        struct http_refusal refusal;
        enum err e = h2_section_answer(section, is_end, s->method, &head, &refusal);

        if (e == ERR_OK && s->is_tunnel && head.status >= 200 && head.status < 300) {
                e = is_end ? ERR_MALFORMED : tunnel_accept(s, &head, accept);
        } else if (head.status >= 200) {
                s->is_tunnel = false; /* refused: an ordinary answer */
        }
        if (e != ERR_OK) {
                fail(c, s, NGHTTP2_PROTOCOL_ERROR);
                return;
        }
        if (head.status >= 200 || head.status == 101) {
                s->head_is_done = true;
                s->end_is_told = is_end;
                s->has_length =
                        head.framing == HTTP_BODY_LENGTH || (head.framing == HTTP_BODY_NONE && !s->is_tunnel);
                s->body_left = s->has_length ? head.content_length : 0;
        }
        c->events->on_head(s, &head, is_end);
}

static void held_give(struct h2_client *c, struct h2_client_stream *s)
{
        list_remove(&s->held_node);
        c->events->on_flush(c->context);
        if (c->has_given)
                h2_section_fini(&c->given);
        c->given = s->held;
        c->has_given = true;
        head_take(c, s, &c->given, false);
}

/* Less came than the head promised. RFC 9113 8.1.1. */
static bool is_short(const struct h2_client_stream *s)
{
        return s->has_length && s->body_left > 0;
}

static void trailers_take(struct h2_client *c, struct h2_client_stream *s)
{
        struct http_field trailers[H1_TRAILERS_MAX];
        struct http_refusal refusal;
        size_t count = 0;

        if (is_short(s) || h2_section_trailers(&c->section, trailers, &count, &refusal) != ERR_OK) {
                fail(c, s, NGHTTP2_PROTOCOL_ERROR);
                return;
        }
        s->end_is_told = true;
        c->events->on_end(s, trailers, count);
}

static void headers_take(struct h2_client *c, struct h2_client_stream *s, bool is_end)
{
        if (!c->has_section || c->section_of != s->id)
                return;
        if (!s->head_is_done && is_end) {
                head_take(c, s, &c->section, true);
        } else if (!s->head_is_done) {
                s->held = c->section;
                c->has_section = false;
                list_add_last(&c->held, &s->held_node);
        } else if (is_end) {
                trailers_take(c, s);
        } else {
                fail(c, s, NGHTTP2_PROTOCOL_ERROR);
        }
}

/* ---- frames ---- */

/* False: the peer sends more of what only costs than any honest one does. */
static bool token_take(struct h2_client *c)
{
        if (--c->tokens < 0 && !c->is_wide)
                c->is_flooded = true;
        return !c->is_flooded;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user_data)
{
        struct h2_client *c = user_data;
        bool is_costly = hd->type != NGHTTP2_DATA && hd->type != NGHTTP2_HEADERS;

        if (hd->type == NGHTTP2_DATA) {
                c->frame_left = (uint32_t)hd->length;
                c->frame_is_padded = hd->flags & NGHTTP2_FLAG_PADDED;
                is_costly = hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM);
        }
        if (is_costly && !token_take(c))
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                         void *user_data)
{
        struct h2_client *c = user_data;
        struct h2_client_stream *s = stream_of(session, id);

        c->frame_left -= (uint32_t)MIN(len, (size_t)c->frame_left);
        if (!s) {
                (void)nghttp2_session_consume(session, id, len);
                return 0;
        }
        if (is_held(s)) {
                held_give(c, s);
                if (!(s = stream_of(session, id))) {
                        (void)nghttp2_session_consume(session, id, len);
                        return 0;
                }
        }
        if (!s->head_is_done || (s->has_length && len > s->body_left)) {
                (void)nghttp2_session_consume(session, id, len);
                fail(c, s, NGHTTP2_PROTOCOL_ERROR);
                return 0;
        }
        s->body_left -= s->has_length ? len : 0;
        if (c->is_wide && h2_window_came(&c->windows, &s->window, len))
                (void)nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, h2_window_question);
        bool is_end =
                flags & NGHTTP2_FLAG_END_STREAM && c->frame_left == 0 && !c->frame_is_padded && !is_short(s);
        if (is_end)
                s->end_is_told = true;
        c->events->on_data(s, (struct str){ (const char *)data, len }, is_end);
        return 0;
}

static void ping_take(struct h2_client *c, const nghttp2_ping *ping)
{
        struct h2_window *w;

        if (!(ping->hd.flags & NGHTTP2_FLAG_ACK))
                return;
        if (memcmp(ping->opaque_data, h2_window_question, sizeof(h2_window_question)) != 0)
                c->pongs++;
        else if ((w = h2_window_answered(&c->windows)))
                (void)nghttp2_session_set_local_window_size(
                        c->session, NGHTTP2_FLAG_NONE, CONTAINER_OF(w, struct h2_client_stream, window)->id,
                        (int32_t)w->size);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
        struct h2_client *c = user_data;
        struct h2_client_stream *s = stream_of(session, frame->hd.stream_id);
        bool is_end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

        switch (frame->hd.type) {
        case NGHTTP2_HEADERS:
                if (!s && !token_take(c))
                        return NGHTTP2_ERR_CALLBACK_FAILURE;
                if (s)
                        headers_take(c, s, is_end);
                break;
        case NGHTTP2_DATA:
                if (s && is_held(s)) { /* an empty one */
                        held_give(c, s);
                        s = stream_of(session, frame->hd.stream_id);
                }
                if (s && (!s->head_is_done || (is_end && is_short(s)))) {
                        fail(c, s, NGHTTP2_PROTOCOL_ERROR);
                } else if (s && is_end && !s->end_is_told) {
                        s->end_is_told = true;
                        c->events->on_end(s, NULL, 0);
                }
                break;
        case NGHTTP2_RST_STREAM:
                if (c->events->on_reset_frame)
                        c->events->on_reset_frame(c->context, true, frame->rst_stream.error_code);
                if (s)
                        s->was_reset_by_peer = true;
                break;
        case NGHTTP2_SETTINGS:
                if (frame->hd.flags & NGHTTP2_FLAG_ACK)
                        break;
                c->saw_settings = true;
                c->events->on_settings(c->context);
                break;
        case NGHTTP2_PING: ping_take(c, &frame->ping); break;
        case NGHTTP2_GOAWAY:
                c->is_goaway = true;
                c->events->on_goaway(c->context);
                break;
        default: break;
        }
        return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
        struct h2_client *c = user_data;

        if (frame->hd.type == NGHTTP2_DATA)
                c->tokens = MIN(c->tokens + CONTROL_TOKENS_PER_DATA_FRAME, (int64_t)CONTROL_TOKENS_MAX);
        else if (frame->hd.type == NGHTTP2_RST_STREAM && c->events->on_reset_frame)
                c->events->on_reset_frame(c->context, false, frame->rst_stream.error_code);
        return 0;
}

/* ---- the request's body ---- */

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t cap, uint32_t *flags,
                       nghttp2_data_source *source, void *user_data)
{
        struct h2_client *c = user_data;
        struct h2_client_stream *s = stream_of(session, id);

        if (!s) /* forgotten: its reset is on the way */
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        size_t len = MIN(cap, s->out.len - s->out_at);
        if (len)
                memcpy(out, s->out.ptr + s->out_at, len);
        s->out_at += len;
        if (s->out_at == s->out.len) {
                buf_fini(&s->out);
                buf_init(&s->out, H2_CLIENT_WINDOW_BYTES);
                s->out_at = 0;
                if (s->wants_room && list_is_empty(&s->room_node))
                        list_add_last(&c->roomy, &s->room_node);
                if (s->out_is_last) {
                        s->out_is_done = true;
                        *flags |= NGHTTP2_DATA_FLAG_EOF;
                } else if (len == 0) {
                        s->is_deferred = true;
                        return NGHTTP2_ERR_DEFERRED;
                }
        }
        return (ssize_t)len;
}

static nghttp2_nv nv_of(const struct h2_pair *p)
{
        return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)p->name.ptr,
                             .value = (uint8_t *)(uintptr_t)(p->value.len ? p->value.ptr : ""),
                             .namelen = p->name.len,
                             .valuelen = p->value.len,
                             .flags = p->is_unindexed ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE };
}

/* `on_stack` where the list fits; else memory to be freed. */
static nghttp2_nv *nvs_of(const struct h2_list *list, nghttp2_nv on_stack[PAIRS_ON_STACK])
{
        nghttp2_nv *nvs = list->count <= PAIRS_ON_STACK ? on_stack : malloc(list->count * sizeof(*nvs));

        for (size_t i = 0; nvs && i < list->count; i++)
                nvs[i] = nv_of(&list->pairs[i]);
        return nvs;
}

static int on_read_before_trailers(nghttp2_session *session, int32_t id, uint8_t *out, size_t cap,
                                   uint32_t *flags, struct h2_client_stream *s)
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
        ssize_t len = on_read(session, id, out, cap, flags, source, user_data);
        struct h2_client_stream *s = stream_of(session, id);

        if (len < 0 || !s || !(*flags & NGHTTP2_DATA_FLAG_EOF) || !s->trailers || s->trailers->count == 0)
                return len;
        return on_read_before_trailers(session, id, out, cap, flags, s) == 0
                       ? len
                       : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

enum err h2_client_request(struct h2_client *c, struct h2_client_stream *s, const struct http_head *head,
                           const struct h2_list *list, bool is_end)
{
        nghttp2_nv on_stack[PAIRS_ON_STACK] UNINITIALIZED, *nvs;
        nghttp2_data_provider body = { .read_callback = read_body };
        struct str key = http_value(head, HTTP_FIELD_SEC_WEBSOCKET_KEY);

        *s = (struct h2_client_stream){ .method = head->method, .is_deferred = false };
        list_init(&s->room_node);
        list_init(&s->held_node);
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

/* ---- the connection ---- */

static nghttp2_session_callbacks *callbacks_make(void)
{
        nghttp2_session_callbacks *cb;

        if (nghttp2_session_callbacks_new(&cb) != 0)
                return NULL;
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
        nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        return cb;
}

static int session_make(struct h2_client *c)
{
        nghttp2_session_callbacks *cb = callbacks_make();
        nghttp2_option *option = NULL;
        int result = NGHTTP2_ERR_NOMEM;

        if (cb && nghttp2_option_new(&option) == 0) {
                nghttp2_option_set_no_auto_window_update(option, 1);
                nghttp2_option_set_max_outbound_ack(option, OUTBOUND_ACKS_MAX);
                nghttp2_option_set_max_continuations(option, CONTINUATIONS_MAX);
                nghttp2_option_set_no_closed_streams(option, 1);
                nghttp2_option_set_no_http_messaging(option, 1);
                /* Requests of many callers go over one connection: no field of one is written by what another sent before.
                 * An upstream that stops reading a field block half way, because it refuses the method (lighttpd 1.4.69
                 * does), would read all later ones wrong. An agent of ours reads each to its end. */
                if (!c->is_wide)
                        nghttp2_option_set_max_deflate_dynamic_table_size(option, 0);
                result = nghttp2_session_client_new3(&c->session, cb, c, option, h2_memory());
        }
        nghttp2_option_del(option);
        nghttp2_session_callbacks_del(cb);
        return result;
}

static enum err begin(struct h2_client *c)
{
        const nghttp2_settings_entry settings[] = {
                { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
                { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_CLIENT_WINDOW_BYTES },
                { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, c->limits.head_bytes_max },
        };

        return session_make(c) == 0 &&
                               nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings,
                                                       ARRAY_SIZE(settings)) == 0 &&
                               nghttp2_session_set_local_window_size(
                                       c->session, NGHTTP2_FLAG_NONE, 0,
                                       c->is_wide ? H2_CLIENT_LINK_WINDOW_BYTES
                                                  : H2_CLIENT_CONNECTION_WINDOW_BYTES) == 0
                       ? ERR_OK
                       : ERR_NO_MEMORY;
}

struct h2_client *h2_client_new(const struct h1_limits *answer_limits, bool is_link,
                                const struct h2_client_events *events, void *context)
{
        struct h2_client *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->events = events;
        c->context = context;
        c->limits = *answer_limits;
        c->tokens = CONTROL_TOKENS_MAX;
        c->is_wide = is_link;
        list_init(&c->roomy);
        list_init(&c->held);
        if (begin(c) != ERR_OK) {
                h2_client_free(c);
                return NULL;
        }
        return c;
}

void h2_client_free(struct h2_client *c)
{
        if (!c)
                return;
        nghttp2_session_del(c->session);
        if (c->has_given)
                h2_section_fini(&c->given);
        if (c->has_section)
                h2_section_fini(&c->section);
        free(c);
}

static void tokens_refill(struct h2_client *c, mono_ms now)
{
        if (c->tokens_at && now > c->tokens_at)
                c->tokens = MIN(c->tokens + (now - c->tokens_at) * CONTROL_TOKENS_PER_SECOND / 1000,
                                (int64_t)CONTROL_TOKENS_MAX);
        c->tokens_at = now;
}

enum err h2_client_receive(struct h2_client *c, struct str in, mono_ms now)
{
        ssize_t used;

        assert(!c->is_receiving);
        tokens_refill(c, now);
        c->is_receiving = true;
        used = nghttp2_session_mem_recv(c->session, (const uint8_t *)in.ptr, in.len);
        c->is_receiving = false;
        while (!list_is_empty(&c->held))
                held_give(c, CONTAINER_OF(c->held.next, struct h2_client_stream, held_node));
        c->events->on_flush(c->context);
        if (c->has_section && used >= 0 && !nghttp2_session_want_read(c->session))
                c->is_goaway = true;
        if (c->is_flooded || used == NGHTTP2_ERR_FLOODED) {
                c->is_goaway = true;
                (void)nghttp2_session_terminate_session(c->session, NGHTTP2_ENHANCE_YOUR_CALM);
                return ERR_DENIED;
        }
        if (used == NGHTTP2_ERR_NOMEM)
                return ERR_NO_MEMORY;
        if (used < 0) {
                c->is_goaway = true;
                return ERR_MALFORMED;
        }
        if (!nghttp2_session_want_read(c->session))
                return c->is_goaway && c->streams_count == 0 ? ERR_CLOSED : ERR_MALFORMED;
        return ERR_OK;
}

/* Told outside nghttp2, which must not be called back from its own reading of bodies. */
static void rooms_tell(struct h2_client *c)
{
        while (!list_is_empty(&c->roomy)) {
                struct h2_client_stream *s = CONTAINER_OF(c->roomy.next, struct h2_client_stream, room_node);

                list_remove(&s->room_node);
                s->wants_room = false;
                c->events->on_room(s);
        }
}

size_t h2_client_fill(struct h2_client *c, char *out, size_t cap)
{
        size_t filled = 0;

        while (filled < cap) {
                if (c->piece_len == 0) {
                        ssize_t len = nghttp2_session_mem_send(c->session, &c->piece);
                        if (len <= 0) {
                                rooms_tell(c);
                                len = nghttp2_session_mem_send(c->session, &c->piece);
                        }
                        if (len <= 0)
                                break;
                        c->piece_len = (size_t)len;
                }
                size_t len = MIN(c->piece_len, cap - filled);
                memcpy(out + filled, c->piece, len);
                c->piece += len;
                c->piece_len -= len;
                filled += len;
        }
        return filled;
}

bool h2_client_has_output(struct h2_client *c)
{
        return c->piece_len > 0 || nghttp2_session_want_write(c->session);
}

bool h2_client_is_over(const struct h2_client *c)
{
        return c->piece_len == 0 && !nghttp2_session_want_read(c->session) &&
               !nghttp2_session_want_write(c->session);
}

uint32_t h2_client_room(const struct h2_client *c)
{
        uint32_t theirs = c->saw_settings ? nghttp2_session_get_remote_settings(
                                                    c->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
                                          : NGHTTP2_INITIAL_MAX_CONCURRENT_STREAMS;
        uint32_t max =
                MIN(theirs, (uint32_t)(c->is_wide ? H2_CLIENT_LINK_STREAMS_MAX : H2_CLIENT_STREAMS_MAX));

        if (c->is_goaway || !nghttp2_session_check_request_allowed(c->session))
                return 0;
        return max - MIN(max, c->streams_count);
}

bool h2_client_saw_settings(const struct h2_client *c)
{
        return c->saw_settings;
}

bool h2_client_takes_tunnels(const struct h2_client *c)
{
        return c->saw_settings &&
               nghttp2_session_get_remote_settings(c->session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

void h2_client_ping(struct h2_client *c)
{
        (void)nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
}

uint32_t h2_client_pongs(const struct h2_client *c)
{
        return c->pongs;
}

void h2_client_say_goaway(struct h2_client *c)
{
        c->is_goaway = true;
        (void)nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
}
