/* What comes on a stream: the lists of an answer, and its end. */
#include "http/h2_client_priv.h"
#include "http/h2_memory.h"
#include "http/websocket_handshake.h"

/* ---- a head that waits ---- */

static enum err held_keep(struct h2_client *c, struct h2_client_stream *s)
{
        struct h2_held *held = h2_memory_take(sizeof(*held));

        if (!held)
                return ERR_NO_MEMORY;
        *held = (struct h2_held){ .stream = s, .section = c->section };
        c->has_section = false;
        s->held = held;
        list_add_last(&c->held, &held->node);
        return ERR_OK;
}

/* The section is the caller's. */
static struct h2_section held_take(struct h2_client_stream *s)
{
        struct h2_section section = s->held->section;

        list_remove(&s->held->node);
        h2_memory_give(s->held);
        s->held = NULL;
        return section;
}

/* ---- the end of a stream ---- */

static void detach(struct h2_client *c, struct h2_client_stream *s)
{
        if (h2_client_is_held(s)) {
                struct h2_section section = held_take(s);
                h2_section_fini(&section);
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

void h2_client_fail(struct h2_client *c, struct h2_client_stream *s, uint32_t code)
{
        int32_t id = s->id;

        detach(c, s);
        (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, code);
        c->events->on_reset(s, ERR_MALFORMED, H2_RESET_BROKEN);
}

int h2_client_on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
        struct h2_client *c = user_data;
        struct h2_client_stream *s = h2_client_stream_of(session, id);
        enum h2_client_reset how = H2_RESET_BROKEN;
        enum err e = ERR_CLOSED;

        if (!s)
                return 0;
        if (h2_client_is_held(s)) {
                h2_client_held_give(c, s);
                if (!(s = h2_client_stream_of(session, id)))
                        return 0;
        }
        /* Every byte it promised is here, and it only did not say END_STREAM: node does, beside other streams. */
        if (!s->end_is_told && s->was_reset_by_peer && code == NGHTTP2_NO_ERROR && s->head_is_done &&
            s->has_length && s->body_left == 0) {
                s->end_is_told = true;
                c->events->on_end(s, NULL, 0);
                if (!(s = h2_client_stream_of(session, id)))
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

int h2_client_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
        struct h2_client *c = user_data;
        struct h2_client_stream *s = h2_client_stream_of(session, frame->hd.stream_id);

        if (s && h2_client_is_held(s)) { /* an interim one, or what comes are trailers */
                h2_client_held_give(c, s);
                s = h2_client_stream_of(session, frame->hd.stream_id);
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

int h2_client_on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
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
                h2_client_fail(c, s, NGHTTP2_PROTOCOL_ERROR);
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

void h2_client_held_give(struct h2_client *c, struct h2_client_stream *s)
{
        struct h2_section section = held_take(s);

        c->events->on_flush(c->context);
        if (c->has_given)
                h2_section_fini(&c->given);
        c->given = section;
        c->has_given = true;
        head_take(c, s, &c->given, false);
}

static void trailers_take(struct h2_client *c, struct h2_client_stream *s)
{
        struct http_field trailers[H1_TRAILERS_MAX];
        struct http_refusal refusal;
        size_t count = 0;

        if (h2_client_is_short(s) || h2_section_trailers(&c->section, trailers, &count, &refusal) != ERR_OK) {
                h2_client_fail(c, s, NGHTTP2_PROTOCOL_ERROR);
                return;
        }
        s->end_is_told = true;
        c->events->on_end(s, trailers, count);
}

void h2_client_headers_take(struct h2_client *c, struct h2_client_stream *s, bool is_end)
{
        if (!c->has_section || c->section_of != s->id)
                return;
        if (!s->head_is_done && is_end) {
                head_take(c, s, &c->section, true);
        } else if (!s->head_is_done) {
                if (held_keep(c, s) != ERR_OK)
                        h2_client_fail(c, s, NGHTTP2_INTERNAL_ERROR);
        } else if (is_end) {
                trailers_take(c, s);
        } else {
                h2_client_fail(c, s, NGHTTP2_PROTOCOL_ERROR);
        }
}
