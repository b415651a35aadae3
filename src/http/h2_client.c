#include "http/h2_client_priv.h"

#include <stdlib.h>

#include "http/h2_frame_priv.h"
#include "http/h2_memory.h"

/*
 * Theory of operation. nghttp2 knows a stream by its number and, as user data, our struct; a forgotten stream has no user
 * data any more, and what still comes for it is counted back to the connection's window and dropped. nghttp2 checks the
 * shape of frames; a violation resets the stream with PROTOCOL_ERROR and is found in on_stream_close. Its rules for messages
 * are off: h2_fields.h judges lists, and bodies are counted here. The end of an answer is told by the frame that carries it.
 * Bodies go from where they are kept straight into the caller's room; other frames by a piece of nghttp2's memory.
 */

enum {
        CONTROL_TOKENS_MAX =
                2000, /* frames that cost us and bring nothing: PING, SETTINGS, WINDOW_UPDATE, … */
        CONTROL_TOKENS_PER_SECOND = 1000,
        CONTROL_TOKENS_PER_DATA_FRAME = 4, /* of ours: each may be answered by window updates */
        CONTINUATIONS_MAX = 8,
        OUTBOUND_ACKS_MAX = 200
};

/* ---- frames ---- */

/* False: the peer sends more of what only costs than any honest one does. */
static bool token_take(struct h2_client *c)
{
        if (--c->tokens < 0 && !c->is_wide)
                c->is_flooded = true;
        return !c->is_flooded;
}

static void gathered_give(struct h2_client *c, bool is_end)
{
        if (!c->gathered.id)
                return;
        struct h2_client_stream *s = h2_client_stream_of(c->session, c->gathered.id);

        c->gathered.id = 0;
        if (s)
                c->events->on_data(s, c->gathered.slices, c->gathered.count, is_end);
        else
                (void)nghttp2_session_consume_connection(c->session, c->gathered.bytes);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user_data)
{
        struct h2_client *c = user_data;
        bool is_costly = hd->type != NGHTTP2_DATA && hd->type != NGHTTP2_HEADERS;

        if (hd->type != NGHTTP2_DATA || hd->stream_id != c->gathered.id)
                gathered_give(c, false);
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
        struct h2_client_stream *s = h2_client_stream_of(session, id);

        c->frame_left -= (uint32_t)MIN(len, (size_t)c->frame_left);
        if (!s) {
                (void)nghttp2_session_consume(session, id, len);
                return 0;
        }
        if (h2_client_is_held(s)) {
                h2_client_held_give(c, s);
                if (!(s = h2_client_stream_of(session, id))) {
                        (void)nghttp2_session_consume(session, id, len);
                        return 0;
                }
        }
        if (!s->head_is_done || (s->has_length && len > s->body_left)) {
                (void)nghttp2_session_consume(session, id, len);
                h2_client_fail(c, s,
                               NGHTTP2_PROTOCOL_ERROR); /* and what was gathered of it is told to nobody */
                return 0;
        }
        s->body_left -= s->has_length ? len : 0;
        if (c->is_wide && h2_window_came(&c->windows, &s->window, len))
                (void)nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, h2_window_question);
        bool is_end = flags & NGHTTP2_FLAG_END_STREAM && c->frame_left == 0 && !c->frame_is_padded &&
                      !h2_client_is_short(s);
        if (is_end)
                s->end_is_told = true;
        if (!h2_gathered_add(&c->gathered, id, (struct str){ (const char *)data, len }) || is_end)
                gathered_give(c, is_end);
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
        struct h2_client_stream *s = h2_client_stream_of(session, frame->hd.stream_id);
        bool is_end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

        switch (frame->hd.type) {
        case NGHTTP2_HEADERS:
                if (!s && !token_take(c))
                        return NGHTTP2_ERR_CALLBACK_FAILURE;
                if (s)
                        h2_client_headers_take(c, s, is_end);
                break;
        case NGHTTP2_DATA:
                if (is_end && c->gathered.id) {
                        gathered_give(c, false);
                        s = h2_client_stream_of(session, frame->hd.stream_id);
                }
                if (s && h2_client_is_held(s)) { /* an empty one */
                        h2_client_held_give(c, s);
                        s = h2_client_stream_of(session, frame->hd.stream_id);
                }
                if (s && (!s->head_is_done || (is_end && h2_client_is_short(s)))) {
                        h2_client_fail(c, s, NGHTTP2_PROTOCOL_ERROR);
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

/* ---- the connection ---- */

static nghttp2_session_callbacks *callbacks_make(void)
{
        nghttp2_session_callbacks *cb;

        if (nghttp2_session_callbacks_new(&cb) != 0)
                return NULL;
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, h2_client_on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback2(cb, h2_client_on_header);
        nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, h2_client_on_stream_close);
        nghttp2_session_callbacks_set_data_source_read_length_callback(cb, h2_frame_on_length);
        nghttp2_session_callbacks_set_send_data_callback(cb, h2_client_on_send_data);
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
        gathered_give(c, false);
        while (!list_is_empty(&c->held))
                h2_client_held_give(c, CONTAINER_OF(c->held.next, struct h2_held, node)->stream);
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
        h2_room_open(&c->room, out, cap);
        while (c->room.rest_len == 0 && h2_room_left(&c->room) > 0) {
                if (h2_room_take(&c->room, c->session) > 0)
                        continue;
                if (list_is_empty(&c->roomy))
                        break;
                rooms_tell(c);
        }
        return h2_room_close(&c->room);
}

bool h2_client_has_output(struct h2_client *c)
{
        return c->room.rest_len > 0 || nghttp2_session_want_write(c->session);
}

bool h2_client_is_over(const struct h2_client *c)
{
        return c->room.rest_len == 0 && !nghttp2_session_want_read(c->session) &&
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
