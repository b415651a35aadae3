#include "http/h2_session.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "http/h2_memory.h"

/*
 * Theory of operation. nghttp2 keeps the states; its own rules for messages are off, since h2_fields.h is stricter and
 * says why. An answer's bytes are pulled: h2_stream_data sets the offer, wakes the stream's data source and lets the
 * library send; the source frames slices of the offer straight into the caller's buffer. Outside of that call a stream
 * has no offer, and its source says "later". Bytes are budgeted before the library sees them.
 */

enum {
        SKIPPED_MAX = 8,
        RESETS_KEPT = 256,
        FRAME_HEADER_BYTES = 9,
        /* Of PING and SETTINGS. More than their budgets let through at a time, so that a flood is named by its budget
         * whatever of it is read in one turn; left for clients who never read the answers they go on asking for. */
        ACKS_WAITING_MAX = 700,
        PIECE_LEAST = 1024,
        NV_MAX = HTTP_FIELDS_MAX + 8
};

struct h2_session {
        nghttp2_session *ng;
        const struct h2_session_events *events;
        void *context;
        struct h2_session_conf conf;
        struct h2_budget budget;
        const char *reason; /* a budget that was passed */
        mono_ms now;
        struct list streams;
        struct h2_windows windows;

        /* which streams there were: the library forgets closed ones */
        int32_t last_id;
        struct {
                int32_t first, last;
        } skipped[SKIPPED_MAX];         /* ids passed over, the latest runs of them */
        int32_t reset_ids[RESETS_KEPT]; /* we reset these: frames may still be on their way */
        unsigned skipped_count, resets_count;
        bool is_violated;
        bool is_failed, is_draining, was_drained, peer_leaves;

        /* during h2_session_send: where bytes go */
        char *out;
        size_t out_len, out_room;
        const uint8_t *rest; /* of a frame that did not fit; the library's until its next call */
        size_t rest_len;
};

/* ---- streams ---- */

static struct h2_stream *stream_of(struct h2_session *s, int32_t id)
{
        return nghttp2_session_get_stream_user_data(s->ng, id);
}

static void over_budget(struct h2_session *s, const char *reason)
{
        if (reason && !s->reason && !s->conf.is_link)
                s->reason = reason;
}

static bool was_skipped(const struct h2_session *s, int32_t id)
{
        for (unsigned i = 0; i < MIN(s->skipped_count, (unsigned)SKIPPED_MAX); i++)
                if (id >= s->skipped[i].first && id <= s->skipped[i].last)
                        return true;
        return false;
}

static bool was_reset_here(const struct h2_session *s, int32_t id)
{
        for (unsigned i = 0; i < MIN(s->resets_count, (unsigned)RESETS_KEPT); i++)
                if (s->reset_ids[i] == id)
                        return true;
        return false;
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
        if (s->is_violated || id <= 0 || id > s->last_id || nghttp2_session_find_stream(s->ng, id))
                return;
        if (was_skipped(s, id))
                violated(s, NGHTTP2_PROTOCOL_ERROR);
        else if (!was_reset_here(s, id))
                violated(s, NGHTTP2_STREAM_CLOSED);
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *context)
{
        struct h2_session *s = context;

        if (hd->type == NGHTTP2_PRIORITY && hd->stream_id == 0 && !s->is_violated) /* RFC 9113 6.3 */
                violated(s, NGHTTP2_PROTOCOL_ERROR);
        else if (hd->type == NGHTTP2_HEADERS)
                closed_stream_check(s, hd->stream_id);
        return 0;
}

static void opened(struct h2_session *s, int32_t id)
{
        if (id > (s->last_id ? s->last_id + 2 : 1)) {
                s->skipped[s->skipped_count % SKIPPED_MAX].first = s->last_id ? s->last_id + 2 : 1;
                s->skipped[s->skipped_count++ % SKIPPED_MAX].last = id - 2;
        }
        s->last_id = id;
        h2_budget_opened(&s->budget);
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *context)
{
        struct h2_session *s = context;
        struct h2_stream *st;

        if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
                st = stream_of(s, frame->hd.stream_id);
                if (st && !st->has_trailers) {
                        st->has_trailers = true;
                        h2_section_init(&st->trailers, H2_SECTION_TRAILERS, &s->conf.limits);
                }
                return 0;
        }
        opened(s, frame->hd.stream_id);
        st = s->events->open(s->context);
        if (!st) { /* the list is still decoded, or the tables of both ends would part */
                h2_budget_doubt(&s->budget, s->now);
                nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
                return 0;
        }
        *st = (struct h2_stream){ .id = frame->hd.stream_id, .opened_at = s->now };
        h2_window_init(&st->window, H2_STREAM_WINDOW);
        h2_section_init(&st->request, H2_SECTION_REQUEST, &s->conf.limits);
        st->request.takes_raw = s->conf.is_link;
        nghttp2_session_set_stream_user_data(ng, st->id, st);
        list_add_last(&s->streams, &st->node);
        return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *context)
{
        struct h2_stream *st = stream_of(context, frame->hd.stream_id);

        if (st && !st->is_reset)
                h2_section_add(st->has_trailers ? &st->trailers : &st->request,
                               (struct str){ (const char *)name, name_len },
                               (struct str){ (const char *)value, value_len });
        return 0;
}

/* The client's end of a stream. */
static void input_end(struct h2_session *s, struct h2_stream *st)
{
        struct http_refusal refusal;
        size_t count = 0;

        if (st->has_trailers)
                st->trailers_in = calloc(H1_TRAILERS_MAX, sizeof(*st->trailers_in));
        if ((st->has_length && st->length_left) ||
            (st->has_trailers && (!st->trailers_in || h2_section_trailers(&st->trailers, st->trailers_in,
                                                                          &count, &refusal) != ERR_OK))) {
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
        struct h2_stream *st = stream_of(s, frame->hd.stream_id);

        switch (frame->hd.type) {
        case NGHTTP2_HEADERS:
                if (st && !st->is_reset)
                        on_headers(s, frame, st);
                break;
        case NGHTTP2_DATA:
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
        struct h2_stream *st = stream_of(s, id);

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
        s->events->on_data(s->context, st, (struct str){ (const char *)data, len });
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
        s->reset_ids[s->resets_count++ % RESETS_KEPT] = frame->hd.stream_id;
        if (s->events->on_reset)
                s->events->on_reset(s->context, false, frame->rst_stream.error_code);
        if (frame->rst_stream.error_code == NGHTTP2_NO_ERROR)
                return 0;
        st = stream_of(s, frame->hd.stream_id);
        /* Refused by the library, before our settings were acknowledged: it tells nobody that there was one more. */
        if (frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM && frame->hd.stream_id > s->last_id)
                opened(s, frame->hd.stream_id);
        if (!st || !st->is_blameless)
                over_budget(s, h2_budget_reset(&s->budget, st ? s->now - st->opened_at : 0));
        return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *context)
{
        struct h2_session *s = context;
        struct h2_stream *st = stream_of(s, id);

        if (!st)
                return 0;
        nghttp2_session_set_stream_user_data(ng, id, NULL);
        list_remove(&st->node);
        h2_window_end(&s->windows, &st->window);
        if (st->has_trailers)
                h2_section_fini(&st->trailers);
        free(st->trailers_memory);
        free(st->trailers_in);
        st->trailers_memory = st->trailers_in = NULL;
        s->events->on_closed(s->context, st, code);
        return 0;
}

/* ---- sending ---- */

static size_t offered(const struct h2_stream *st)
{
        size_t len = 0;

        for (size_t i = st->slice; i < st->slices_count; i++)
                len += st->slices[i].len;
        return len - st->offset;
}

static nghttp2_nv nv_of(const struct h2_pair *p)
{
        /* The library only reads them, whatever its type says. */
        return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)p->name.ptr,
                             .value = (uint8_t *)(uintptr_t)p->value.ptr,
                             .namelen = p->name.len,
                             .valuelen = p->value.len,
                             .flags = p->is_unindexed ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE };
}

static enum err nvs_fill(nghttp2_nv nvs[NV_MAX], const struct h2_list *l)
{
        if (l->count > NV_MAX)
                return ERR_TOO_LARGE;
        for (size_t i = 0; i < l->count; i++)
                nvs[i] = nv_of(&l->pairs[i]);
        return ERR_OK;
}

static enum err error_of(int rv)
{
        return rv == 0 ? ERR_OK : rv == NGHTTP2_ERR_NOMEM ? ERR_NO_MEMORY : ERR_CLOSED;
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
        size_t left = offered(st), room = s->out_room - s->out_len;

        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        if (left == 0) {
                if (!st->is_ending)
                        return NGHTTP2_ERR_DEFERRED;
                ending_flags(ng, st, flags);
                return 0;
        }
        if (room < FRAME_HEADER_BYTES + MIN(left, (size_t)PIECE_LEAST))
                return NGHTTP2_ERR_DEFERRED;
        size_t n = MIN(MIN(left, len), room - FRAME_HEADER_BYTES);
        if (n == left && st->is_last) {
                st->is_ending = true;
                ending_flags(ng, st, flags);
        }
        return (ssize_t)n;
}

static void out_put(struct h2_session *s, const void *bytes, size_t len)
{
        assert(len <= s->out_room - s->out_len);
        if (len)
                memcpy(s->out + s->out_len, bytes, len);
        s->out_len += len;
}

static int source_send(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header, size_t len,
                       nghttp2_data_source *source, void *context)
{
        struct h2_session *s = context;
        struct h2_stream *st = source->ptr;

        if (s->out_room - s->out_len < FRAME_HEADER_BYTES + len)
                return NGHTTP2_ERR_WOULDBLOCK; /* an empty last frame: others may have filled the room */
        out_put(s, header, FRAME_HEADER_BYTES);
        st->taken += len;
        while (len) {
                struct str piece = str_from(st->slices[st->slice], st->offset);
                size_t n = MIN(piece.len, len);

                out_put(s, piece.ptr, n);
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

static void rest_put(struct h2_session *s)
{
        size_t n = MIN(s->rest_len, s->out_room - s->out_len);

        if (n == 0)
                return;
        out_put(s, s->rest, n);
        s->rest += n;
        s->rest_len -= n;
}

size_t h2_session_send(struct h2_session *s, char *out, size_t room)
{
        ssize_t n;

        s->out = out;
        s->out_room = room;
        s->out_len = 0;
        rest_put(s);
        while (s->rest_len == 0 && s->out_room - s->out_len > FRAME_HEADER_BYTES) {
                size_t before = s->out_len;

                n = nghttp2_session_mem_send(s->ng, &s->rest);
                if (n < 0)
                        s->is_failed = true;
                if (n <= 0 && s->out_len == before)
                        break;
                if (n > 0) {
                        s->rest_len = (size_t)n;
                        rest_put(s);
                }
        }
        s->out = NULL;
        s->out_room = 0;
        n = (ssize_t)s->out_len;
        s->out_len = 0;
        return (size_t)n;
}

bool h2_session_wants_send(const struct h2_session *s)
{
        return s->rest_len > 0 || nghttp2_session_want_write(s->ng);
}

bool h2_session_is_over(const struct h2_session *s)
{
        return s->is_failed ||
               (s->rest_len == 0 && !nghttp2_session_want_read(s->ng) && !nghttp2_session_want_write(s->ng));
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
        nghttp2_session_callbacks_set_send_data_callback(cb, source_send);
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
        return error_of(rv);
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
                e = error_of(nghttp2_session_server_new3(&s->ng, cb, s, option, h2_memory()));
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
        if (s->is_failed || !watched_feed(s, in, taken_out, reason_out))
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

/* ---- a stream's answer ---- */

enum err h2_stream_head(struct h2_session *s, struct h2_stream *st, const struct h2_list *list, bool is_final,
                        bool is_end)
{
        nghttp2_data_provider source = { .source.ptr = st, .read_callback = source_read };
        nghttp2_nv nvs[NV_MAX] UNINITIALIZED;
        enum err e = nvs_fill(nvs, list);

        if (e != ERR_OK)
                return e;
        if (!is_final)
                return error_of(nghttp2_submit_headers(s->ng, NGHTTP2_FLAG_NONE, st->id, NULL, nvs,
                                                       list->count, NULL) < 0
                                        ? NGHTTP2_ERR_INVALID_STATE
                                        : 0);
        st->answer_is_open = !is_end;
        st->output_is_whole = is_end;
        return error_of(nghttp2_submit_response(s->ng, st->id, nvs, list->count, is_end ? NULL : &source));
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
        if (stream_of(s, id) != st) { /* it is closed: all of it went, or it was reset */
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
