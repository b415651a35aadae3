#include "http/h2_session_priv.h"

#include <stdlib.h>

#include "http/h2_memory.h"

/*
 * Theory of operation. nghttp2 keeps the states; its own rules for messages are off, since h2_fields.h is stricter and
 * says why. An answer's bytes are pulled: h2_stream_data sets the offer, wakes the stream's data source and lets the
 * library send; the source frames slices of the offer straight into the caller's buffer. Outside of that call a stream
 * has no offer, and its source says "later". Bytes are budgeted before the library sees them.
 */

/* Of PING and SETTINGS. More than their budgets let through at a time, so that a flood is named by its budget
 * whatever of it is read in one turn; left for clients who never read the answers they go on asking for. */
enum { ACKS_WAITING_MAX = 700 };

static void over_budget(struct h2_session *s, const char *reason)
{
        if (reason && !s->reason && !s->conf.is_link)
                s->reason = reason;
}

static void violated(struct h2_session *s, uint32_t code)
{
        s->is_violated = true;
        if (nghttp2_session_terminate_session(s->ng, code) != 0)
                s->is_failed = true;
}

/* RFC 9113 5.1, 5.1.1: on a closed stream, where the library passes over what comes. */
static void closed_stream_check(struct h2_session *s, int32_t id)
{
        if (s->is_violated || id <= 0 || id > s->past.last_id || nghttp2_session_find_stream(s->ng, id))
                return;
        if (h2_past_was_skipped(&s->past, id))
                violated(s, NGHTTP2_PROTOCOL_ERROR);
        else if (!h2_past_was_reset(&s->past, id))
                violated(s, NGHTTP2_STREAM_CLOSED);
}

static void gathered_give(struct h2_session *s)
{
        if (!s->gathered.id)
                return;
        struct h2_stream *st = h2_stream_of(s, s->gathered.id);

        s->gathered.id = 0;
        if (st && !st->is_reset)
                s->events->on_data(s->context, st, s->gathered.slices, s->gathered.count);
        else
                nghttp2_session_consume_connection(s->ng, s->gathered.bytes);
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *context)
{
        struct h2_session *s = context;

        if (hd->type != NGHTTP2_DATA || hd->stream_id != s->gathered.id)
                gathered_give(s);
        if (hd->type == NGHTTP2_PRIORITY && hd->stream_id == 0 && !s->is_violated) /* RFC 9113 6.3 */
                violated(s, NGHTTP2_PROTOCOL_ERROR);
        else if (hd->type == NGHTTP2_HEADERS)
                closed_stream_check(s, hd->stream_id);
        return 0;
}

static void opened(struct h2_session *s, int32_t id)
{
        h2_past_opened(&s->past, id);
        h2_budget_opened(&s->budget);
}

static struct h2_section *section_new(const struct h2_session *s, enum h2_section_kind kind)
{
        struct h2_section *section = h2_memory_take(sizeof(*section));

        if (section)
                h2_section_init(section, kind, &s->conf.limits);
        return section;
}

static void section_free(struct h2_section *section)
{
        if (section)
                h2_section_fini(section);
        h2_memory_give(section);
}

void h2_stream_request_drop(struct h2_stream *st)
{
        section_free(st->request);
        st->request = NULL;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *context)
{
        struct h2_session *s = context;
        struct h2_stream *st;

        if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
                s->listing = st = h2_stream_of(s, frame->hd.stream_id);
                if (st && !st->trailers && !(st->trailers = section_new(s, H2_SECTION_TRAILERS)))
                        h2_stream_reset(s, st, H2_INTERNAL_ERROR, true);
                return 0;
        }
        opened(s, frame->hd.stream_id);
        struct h2_section *request = section_new(s, H2_SECTION_REQUEST);
        s->listing = st = request ? s->events->open(s->context) : NULL;
        if (!st) { /* the list is still decoded, or the tables of both ends would part */
                h2_memory_give(request);
                h2_budget_doubt(&s->budget, s->now);
                nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
                return 0;
        }
        *st = (struct h2_stream){ .id = frame->hd.stream_id, .request = request, .opened_at = s->now };
        h2_window_init(&st->window, H2_STREAM_WINDOW);
        request->takes_raw = s->conf.is_link;
        nghttp2_session_set_stream_user_data(ng, st->id, st);
        list_add_last(&s->streams, &st->node);
        return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *context)
{
        const struct h2_session *s = context;
        struct h2_stream *st = s->listing;

        if (st && !st->is_reset)
                h2_section_add(st->has_head ? st->trailers : st->request,
                               (struct str){ (const char *)name, name_len },
                               (struct str){ (const char *)value, value_len });
        return 0;
}

/* The client's end of a stream. */
static void input_end(struct h2_session *s, struct h2_stream *st)
{
        struct http_refusal refusal;
        size_t count = 0;

        if (st->trailers)
                st->trailers_in = calloc(H1_TRAILERS_MAX, sizeof(*st->trailers_in));
        if ((st->has_length && st->length_left) ||
            (st->trailers && (!st->trailers_in || h2_section_trailers(st->trailers, st->trailers_in, &count,
                                                                      &refusal) != ERR_OK))) {
                h2_stream_reset(s, st, H2_PROTOCOL_ERROR, false);
                return;
        }
        st->input_is_whole = true;
        s->events->on_end(s->context, st, st->trailers_in, count);
}

static void on_headers(struct h2_session *s, const nghttp2_frame *frame, struct h2_stream *st)
{
        bool is_end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

        if (!st->has_head) {
                st->has_head = true;
                st->input_is_whole = is_end;
                s->events->on_request(s->context, st);
                return;
        }
        if (!is_end) /* RFC 9113 8.1: a second list is the trailers, and ends the stream */
                h2_stream_reset(s, st, H2_PROTOCOL_ERROR, false);
        else
                input_end(s, st);
}

static void pong_take(struct h2_session *s, const uint8_t said[8])
{
        struct h2_window *w;

        if (memcmp(said, h2_window_question, sizeof(h2_window_question)) != 0) {
                if (s->is_draining)
                        h2_session_drain_now(s);
        } else if ((w = h2_window_answered(&s->windows))) {
                (void)nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE,
                                                            CONTAINER_OF(w, struct h2_stream, window)->id,
                                                            (int32_t)w->size);
        }
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *context)
{
        struct h2_session *s = context;
        struct h2_stream *st = h2_stream_of(s, frame->hd.stream_id);

        switch (frame->hd.type) {
        case NGHTTP2_HEADERS:
                if (st && !st->is_reset)
                        on_headers(s, frame, st);
                break;
        case NGHTTP2_DATA:
                if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
                        gathered_give(s);
                if (st && !st->is_reset && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
                        input_end(s, st);
                break;
        case NGHTTP2_RST_STREAM:
                if (s->events->on_reset)
                        s->events->on_reset(s->context, true, frame->rst_stream.error_code);
                h2_budget_doubt(&s->budget, s->now);
                over_budget(s, h2_budget_reset(&s->budget, st ? s->now - st->opened_at : 0));
                break;
        case NGHTTP2_PING:
                if (frame->hd.flags & NGHTTP2_FLAG_ACK)
                        pong_take(s, frame->ping.opaque_data);
                break;
        case NGHTTP2_GOAWAY: s->peer_leaves = true; break;
        default: break;
        }
        return 0;
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                         void *context)
{
        struct h2_session *s = context;
        struct h2_stream *st = h2_stream_of(s, id);

        if (!st || st->is_reset) {
                nghttp2_session_consume_connection(ng, len);
                return 0;
        }
        if (st->has_length && len > st->length_left) {
                nghttp2_session_consume_connection(ng, len);
                h2_stream_reset(s, st, H2_PROTOCOL_ERROR, false);
                return 0;
        }
        st->length_left -= st->has_length ? len : 0;
        if (s->conf.is_link && h2_window_came(&s->windows, &st->window, len))
                (void)nghttp2_submit_ping(ng, NGHTTP2_FLAG_NONE, h2_window_question);
        if (!h2_gathered_add(&s->gathered, id, (struct str){ (const char *)data, len }))
                gathered_give(s);
        return 0;
}

/* The library resets its stream, or refuses one more than there may be. */
static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int code, void *context)
{
        struct h2_session *s = context;

        h2_budget_doubt(&s->budget, s->now);
        return 0;
}

/* RST_STREAM of ours costs the client's budget as its own would: whoever can make us reset can make us work (MadeYouReset). */
static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *context)
{
        struct h2_session *s = context;
        struct h2_stream *st;

        if (frame->hd.type != NGHTTP2_RST_STREAM)
                return 0;
        h2_past_reset(&s->past, frame->hd.stream_id);
        if (s->events->on_reset)
                s->events->on_reset(s->context, false, frame->rst_stream.error_code);
        if (frame->rst_stream.error_code == NGHTTP2_NO_ERROR)
                return 0;
        st = h2_stream_of(s, frame->hd.stream_id);
        /* Refused by the library, before our settings were acknowledged: it tells nobody that there was one more. */
        if (frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM && frame->hd.stream_id > s->past.last_id)
                opened(s, frame->hd.stream_id);
        if (!st || !st->is_blameless)
                over_budget(s, h2_budget_reset(&s->budget, st ? s->now - st->opened_at : 0));
        return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *context)
{
        struct h2_session *s = context;
        struct h2_stream *st = h2_stream_of(s, id);

        if (!st)
                return 0;
        nghttp2_session_set_stream_user_data(ng, id, NULL);
        if (s->listing == st)
                s->listing = NULL;
        list_remove(&st->node);
        h2_window_end(&s->windows, &st->window);
        section_free(st->trailers);
        st->trailers = NULL;
        free(st->trailers_memory);
        free(st->trailers_in);
        st->trailers_memory = st->trailers_in = NULL;
        s->events->on_closed(s->context, st, code);
        return 0;
}

/* ---- sending ---- */

size_t h2_session_send(struct h2_session *s, char *out, size_t room)
{
        ssize_t n = 1;

        h2_room_open(&s->room, out, room);
        while (n > 0 && s->room.rest_len == 0 && h2_room_left(&s->room) > H2_FRAME_HEADER_BYTES)
                n = h2_room_take(&s->room, s->ng);
        if (n < 0)
                s->is_failed = true;
        return h2_room_close(&s->room);
}

bool h2_session_wants_send(const struct h2_session *s)
{
        return s->room.rest_len > 0 || nghttp2_session_want_write(s->ng);
}

bool h2_session_is_over(const struct h2_session *s)
{
        return s->is_failed || (s->room.rest_len == 0 && !nghttp2_session_want_read(s->ng) &&
                                !nghttp2_session_want_write(s->ng));
}

bool h2_session_is_idle(const struct h2_session *s)
{
        return list_is_empty(&s->streams);
}

/* ---- birth, death, receiving ---- */

static nghttp2_session_callbacks *callbacks_make(void)
{
        nghttp2_session_callbacks *cb;

        if (nghttp2_session_callbacks_new(&cb) != 0)
                return NULL;
        nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        nghttp2_session_callbacks_set_send_data_callback(cb, h2_stream_source_send);
        nghttp2_session_callbacks_set_data_source_read_length_callback(cb, h2_frame_on_length);
        return cb;
}

/* Behind our own budgets, which are tighter also where one read brings many frames. */
static nghttp2_option *option_make(bool is_link)
{
        nghttp2_option *o;

        if (nghttp2_option_new(&o) != 0)
                return NULL;
        nghttp2_option_set_no_auto_window_update(o, 1);
        nghttp2_option_set_no_http_messaging(o, 1);
        nghttp2_option_set_no_closed_streams(o, 1);
        nghttp2_option_set_max_outbound_ack(o, ACKS_WAITING_MAX);
        nghttp2_option_set_max_settings(o, 32);
        nghttp2_option_set_max_deflate_dynamic_table_size(o, 4096);
        nghttp2_option_set_max_send_header_block_length(o, 256 * 1024);
        if (is_link) /* a gateway passes on what thousands of visitors give up */
                nghttp2_option_set_stream_reset_rate_limit(o, 1000 * 1000, 100 * 1000);
        else
                nghttp2_option_set_stream_reset_rate_limit(o, 4000, 500);
        nghttp2_option_set_max_continuations(o, H2_CONTINUATIONS_MAX);
        return o;
}

static enum err settings_submit(struct h2_session *s)
{
        const nghttp2_settings_entry entries[] = {
                { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                  s->conf.is_link ? H2_LINK_STREAMS_MAX : H2_STREAMS_MAX },
                { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW },
                { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, s->conf.limits.head_bytes_max },
                { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
                { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
        };
        size_t count = ARRAY_SIZE(entries) - (s->conf.offers_tunnels ? 0 : 1);
        int rv = nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, entries, count);

        if (rv == 0)
                rv = nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0,
                                                           s->conf.is_link ? H2_LINK_CONNECTION_WINDOW
                                                                           : H2_CONNECTION_WINDOW);
        return h2_error_of(rv);
}

enum err h2_session_new(const struct h2_session_conf *conf, const struct h2_session_events *events,
                        void *context, mono_ms now, struct h2_session **out)
{
        struct h2_session *s = calloc(1, sizeof(*s));
        nghttp2_session_callbacks *cb = callbacks_make();
        nghttp2_option *option = option_make(conf->is_link);
        enum err e = ERR_NO_MEMORY;

        if (s && cb && option) {
                *s = (struct h2_session){ .conf = *conf, .events = events, .context = context, .now = now };
                list_init(&s->streams);
                h2_budget_init(&s->budget, now);
                e = h2_error_of(nghttp2_session_server_new3(&s->ng, cb, s, option, h2_memory()));
        }
        nghttp2_session_callbacks_del(cb);
        nghttp2_option_del(option);
        if (e == ERR_OK)
                e = settings_submit(s);
        if (e != ERR_OK) {
                h2_session_free(s);
                return ERR_NO_MEMORY;
        }
        *out = s;
        return ERR_OK;
}

void h2_session_free(struct h2_session *s)
{
        if (!s)
                return;
        if (s->ng) {
                /* The library forgets its streams silently: they are told one by one first. */
                list_for_each_safe(node, &s->streams)
                        on_stream_close(s->ng, CONTAINER_OF(node, struct h2_stream, node)->id, NGHTTP2_CANCEL,
                                        s);
                nghttp2_session_del(s->ng);
        }
        free(s);
}

/* To the library; false when it is through with the connection. */
static bool feed(struct h2_session *s, struct str in, const char **reason_out)
{
        ssize_t n = in.len ? nghttp2_session_mem_recv(s->ng, (const uint8_t *)in.ptr, in.len) : 0;

        if (n >= 0)
                return true;
        if (n == NGHTTP2_ERR_FLOODED) {
                over_budget(s, "h2_acks");
                return true;
        }
        s->is_failed = true;
        if (n == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
                *reason_out = "h2_preface";
        return false;
}

/*
 * The budget stops at each DATA frame, of which the library says nothing when its stream is closed: all before it is given
 * on first, so that the stream's state is known.
 */
static bool watched_feed(struct h2_session *s, struct str in, size_t *taken_out, const char **reason_out)
{
        const char *reason = NULL;
        size_t fed = 0, seen = 0;

        *taken_out = in.len;
        while (seen < in.len) {
                seen += h2_budget_receive(&s->budget, str_from(in, seen), s->now, &reason);
                over_budget(s, reason);
                if (s->reason)
                        return true;
                size_t to = seen - s->budget.data_header;
                if (!feed(s, str_sub(in, fed, to - fed), reason_out))
                        return false;
                fed = to;
                if (s->budget.data_header) {
                        closed_stream_check(s, (int32_t)s->budget.stream);
                } else if (h2_session_is_doubtful(s, s->now)) {
                        *taken_out = fed;
                        return true;
                }
        }
        return feed(s, str_from(in, fed), reason_out);
}

enum err h2_session_judge(struct h2_session *s, const char **reason_out)
{
        if (!s->reason)
                return ERR_OK;
        *reason_out = s->reason;
        h2_session_fail(s, s->budget.is_violation ? H2_PROTOCOL_ERROR : H2_ENHANCE_YOUR_CALM);
        return ERR_DENIED;
}

bool h2_session_is_doubtful(const struct h2_session *s, mono_ms now)
{
        return !s->conf.is_link && h2_budget_is_doubtful(&s->budget, now);
}

enum err h2_session_receive(struct h2_session *s, struct str in, mono_ms now, size_t *taken_out,
                            const char **reason_out)
{
        s->now = now;
        *reason_out = "h2_protocol";
        bool goes_on = !s->is_failed && watched_feed(s, in, taken_out, reason_out);

        gathered_give(s);
        if (!goes_on)
                return ERR_MALFORMED;
        if (h2_session_judge(s, reason_out) != ERR_OK)
                return ERR_DENIED;
        if (s->is_violated)
                return ERR_MALFORMED;
        return nghttp2_session_want_read(s->ng) || s->was_drained || s->peer_leaves ? ERR_OK : ERR_MALFORMED;
}

void h2_session_drain(struct h2_session *s)
{
        if (s->is_draining)
                return;
        s->is_draining = true;
        if (nghttp2_submit_shutdown_notice(s->ng) != 0 ||
            nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, NULL) != 0)
                h2_session_drain_now(s);
}

void h2_session_drain_now(struct h2_session *s)
{
        if (s->was_drained)
                return;
        s->is_draining = s->was_drained = true;
        if (nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(s->ng),
                                  NGHTTP2_NO_ERROR, NULL, 0) != 0)
                s->is_failed = true;
}

void h2_session_fail(struct h2_session *s, enum h2_code code)
{
        if (nghttp2_session_terminate_session(s->ng, code) != 0)
                s->is_failed = true;
}
