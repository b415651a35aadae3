/*
 * A client's bytes, after the preface, in pieces whose lengths the first byte seeds, against a server that answers all it
 * is asked. Whatever comes: every stream that was opened is closed exactly once, nothing is sent behind the end, bodies
 * never outgrow the windows given, and what is accepted passes for a request of HTTP/1.1.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/h2_session.h"

enum { STREAMS = 8, FIELDS = 64, OUT_BYTES = 64 * 1024 };

static const struct str magic = STR_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

struct lab_stream {
        struct h2_stream h2;
        bool is_used, is_asked, is_ended;
        size_t held;
};

static struct {
        struct h2_session *session;
        struct lab_stream streams[STREAMS];
        struct http_field fields[FIELDS];
        char out[OUT_BYTES];
        size_t open_count;
        bool is_receiving;
} lab;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct h2_stream *on_open(void *context)
{
        for (size_t i = 0; i < STREAMS; i++)
                if (!lab.streams[i].is_used) {
                        lab.streams[i] = (struct lab_stream){ .is_used = true };
                        lab.open_count++;
                        return &lab.streams[i].h2;
                }
        return NULL;
}

static void on_request(void *context, struct h2_stream *s)
{
        struct http_head head = { .fields = lab.fields, .fields_max = FIELDS };
        struct http_refusal refusal;
        struct lab_stream *st = CONTAINER_OF(s, struct lab_stream, h2);
        enum err e = h2_section_request(s->request, s->input_is_whole, STR("dGhlIHNhbXBsZSBub25jZQ=="), &head,
                                        &refusal);

        assert(lab.is_receiving && st->is_used && !st->is_asked);
        st->is_asked = true;
        st->is_ended = s->input_is_whole;
        if (e != ERR_OK)
                h2_stream_reset(lab.session, s, H2_PROTOCOL_ERROR, false);
        else if (head.framing == HTTP_BODY_LENGTH)
                h2_stream_length(s, head.content_length);
}

static void on_data(void *context, struct h2_stream *s, const struct str *slices, size_t slices_count)
{
        struct lab_stream *st = CONTAINER_OF(s, struct lab_stream, h2);

        assert(lab.is_receiving && st->is_asked && !st->is_ended);
        for (size_t i = 0; i < slices_count; i++)
                st->held += slices[i].len;
        assert(st->held <= H2_STREAM_WINDOW);
        if (st->held > H2_STREAM_WINDOW / 2) {
                h2_stream_took(lab.session, s, st->held);
                st->held = 0;
        }
}

static void on_end(void *context, struct h2_stream *s, const struct http_field *trailers, size_t count)
{
        struct lab_stream *st = CONTAINER_OF(s, struct lab_stream, h2);

        assert(st->is_asked && !st->is_ended && count <= H1_TRAILERS_MAX);
        for (size_t i = 0; i < count; i++)
                assert(http_name_is_valid(trailers[i].name) && http_value_is_valid(trailers[i].value));
        st->is_ended = true;
}

static void on_closed(void *context, struct h2_stream *s, uint32_t code)
{
        struct lab_stream *st = CONTAINER_OF(s, struct lab_stream, h2);

        assert(st->is_used && lab.open_count > 0);
        h2_stream_request_drop(s);
        st->is_used = false;
        lab.open_count--;
}

static const struct h2_session_events events = { on_open, on_request, on_data, on_end, on_closed };

static void answer_all(void)
{
        static const struct str body = STR_INIT("hello");
        struct h2_pair status = { STR(":status"), STR("200"), false };
        struct h2_list list = { &status, 1 };

        for (size_t i = 0; i < STREAMS; i++) {
                struct h2_stream *s = &lab.streams[i].h2;
                size_t taken;

                if (!lab.streams[i].is_used || !lab.streams[i].is_ended || s->is_reset)
                        continue;
                if (!s->answer_is_open && h2_stream_head(lab.session, s, &list, true, false) != ERR_OK)
                        continue;
                if (!s->output_is_whole)
                        h2_stream_data(lab.session, s, &body, 1, true, NULL, lab.out, OUT_BYTES, &taken);
        }
        while (h2_session_send(lab.session, lab.out, OUT_BYTES) > 0)
                ;
}

static enum err receive(struct str in, mono_ms now)
{
        const char *reason = NULL;

        enum err e = ERR_OK;

        lab.is_receiving = true;
        while (in.len && e == ERR_OK) {
                size_t taken;

                e = h2_session_receive(lab.session, in, now, &taken, &reason);
                assert(e != ERR_OK || (taken > 0 && taken <= in.len));
                if (e == ERR_OK)
                        in = str_from(in, taken);
        }
        lab.is_receiving = false;
        assert(e == ERR_OK || reason);
        return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct h2_session_conf conf = {
                .limits = { .head_bytes_max = 4096, .target_bytes_max = 256, .lines_max = 32 },
                .offers_tunnels = true
        };

        if (size < 1)
                return 0;
        memset(lab.streams, 0, sizeof(lab.streams));
        lab.open_count = 0;
        if (h2_session_new(&conf, &events, NULL, 0, &lab.session) != ERR_OK)
                return 0;
        struct str in = { (const char *)data + 1, size - 1 };
        size_t piece = (size_t)data[0] * 8 + 1;
        mono_ms now = 0;

        enum err e = receive(magic, now);
        assert(e == ERR_OK);
        for (; in.len && e == ERR_OK; in = str_from(in, piece)) {
                e = receive(str_sub(in, 0, piece), now++);
                answer_all();
                piece = piece * 7 % 1031 + 1;
        }
        h2_session_free(lab.session);
        assert(lab.open_count == 0);
        return 0;
}
