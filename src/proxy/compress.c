#include "proxy/compress.h"

#include "http/encoder.h"
#include "proxy/worker.h"

/* Of one exchange. */
struct compress {
        const struct compress_conf *conf;
        struct encoder *encoder; /* NULL: the answer goes as it is */
        bool is_stream;          /* no length: flushed as it comes */
        bool is_unflushed;       /* given since the last flush */
        bool is_flushing, is_ending;
        const struct http_field *trailers;
        size_t trailers_count;
};

static enum step_result on_request(struct exchange *x, void *state, const void *conf)
{
        ((struct compress *)state)->conf = conf;
        return STEP_NEXT;
}

static void memory_measure(struct worker *w)
{
        measure_set(w, w->measure.compress_memory, (int64_t)w->encoders.bytes_taken);
}

/* The head says what the body will be; the encoder is there before a word of it is changed. */
static void begin(struct exchange *x, struct compress *c, struct http_head *head, enum http_coding coding)
{
        bool is_stream = head->framing != HTTP_BODY_LENGTH, has_body = x->request.method != HTTP_HEAD;

        if (has_body && !(c->encoder = encoder_take(&x->w->encoders, coding))) {
                measure_count(x->w, MEASURE_COMPRESS_SKIPPED, "memory", NULL, NULL);
                if (compress_vary(head) !=
                    ERR_OK) /* no room for a word more: it is a whole answer all the same */
                        return;
                return;
        }
        if (compress_head(head, coding, &x->arena) != ERR_OK || (has_body && !exchange_change_answer(x, c))) {
                encoder_put(&x->w->encoders, c->encoder);
                c->encoder = NULL;
                measure_count(x->w, MEASURE_COMPRESS_SKIPPED, "head", NULL, NULL);
                return;
        }
        c->is_stream = is_stream;
        memory_measure(x->w);
        measure_count(x->w, MEASURE_COMPRESSED, http_coding_name(coding).ptr, NULL, NULL);
}

static void on_answer(struct exchange *x, void *state, struct http_head *head)
{
        struct compress *c = state;
        enum http_coding coding;
        enum err e = ERR_OK;

        if (x->is_tunnel)
                return;
        if (head->status == 304) {
                if ((e = compress_vary(head)) == ERR_OK)
                        e = compress_not_modified(&x->request, head, &x->arena);
        } else {
                switch (compress_judge(c->conf, &x->request, head, &coding)) {
                case COMPRESS_NO: break;
                case COMPRESS_OTHER: e = compress_vary(head); break;
                case COMPRESS_YES: begin(x, c, head, coding); break;
                }
        }
        if (e != ERR_OK)
                measure_count(x->w, MEASURE_COMPRESS_SKIPPED, "head", NULL, NULL);
}

/* Gives what was made; true when all of it is gone. */
static bool pass(struct exchange *x, struct compress *c, bool is_last)
{
        struct str made = encoder_made(c->encoder);
        struct side_data d = { &made, made.len ? 1 : 0, is_last, c->trailers,
                               is_last ? c->trailers_count : 0 };

        if (!made.len && !is_last)
                return true;
        size_t taken = exchange_answer_give(x, &d);
        encoder_passed(c->encoder, taken);
        measure_add(x->w, x->w->measure.compress_out, taken);
        return taken == made.len;
}

/* Drives the encoder to the end of a wish that needs no further input. True when it and its bytes are out. */
static bool drive(struct exchange *x, struct compress *c, enum encoder_wish wish)
{
        struct str none = { "", 0 };
        bool is_done = false;

        while (!is_done) {
                if (encoder_run(c->encoder, &none, wish, &is_done) != ERR_OK) {
                        exchange_abort(x);
                        return false;
                }
                if (!pass(x, c, is_done && wish == ENCODER_END))
                        return false;
        }
        return true;
}

/* What was left undone for want of room. True when there is room again. */
static bool settle(struct exchange *x, struct compress *c)
{
        if (c->is_ending) {
                drive(x, c, ENCODER_END);
                return false;
        }
        if (c->is_flushing) {
                if (!drive(x, c, ENCODER_FLUSH))
                        return false;
                c->is_flushing = false;
        }
        return pass(x, c, false);
}

static bool on_room(struct exchange *x, void *state)
{
        return settle(x, state);
}

static void on_flush(struct exchange *x, void *state)
{
        struct compress *c = state;

        if (!c->is_stream || !c->is_unflushed || c->is_ending || c->is_flushing)
                return;
        c->is_unflushed = false;
        c->is_flushing = true;
        settle(x, c);
}

/* False when the client takes no more for now. */
static bool feed(struct exchange *x, struct compress *c, struct str in, size_t *taken)
{
        bool is_done = false;

        while (!is_done) {
                size_t before = in.len;

                if (encoder_run(c->encoder, &in, ENCODER_MORE, &is_done) != ERR_OK) {
                        exchange_abort(x);
                        return false;
                }
                *taken += before - in.len;
                if (!is_done && !pass(x, c, false))
                        return false;
        }
        return true;
}

static void trailers_keep(struct exchange *x, struct compress *c, const struct side_data *d)
{
        struct http_field *kept;

        if (d->trailers_count == 0 || !(kept = ARENA_ARRAY(&x->arena, struct http_field, d->trailers_count)))
                return;
        for (size_t i = 0; i < d->trailers_count; i++) {
                kept[i] = d->trailers[i];
                kept[i].name = arena_copy(&x->arena, d->trailers[i].name);
                kept[i].value = arena_copy(&x->arena, d->trailers[i].value);
                kept[i].line = arena_copy(&x->arena, d->trailers[i].line);
        }
        c->trailers = kept;
        c->trailers_count = x->arena.full ? 0 : d->trailers_count;
}

static size_t on_change(struct exchange *x, void *state, const struct side_data *d)
{
        struct compress *c = state;
        size_t taken = 0;
        bool goes_on = settle(x, c);

        for (size_t i = 0; goes_on && i < d->slices_count; i++)
                goes_on = feed(x, c, d->slices[i], &taken);
        measure_add(x->w, x->w->measure.compress_in, taken);
        c->is_unflushed |= taken > 0;
        if (d->is_last && !x->is_ended && !c->is_ending && taken == side_data_len(d)) {
                c->is_ending = true;
                trailers_keep(x, c, d);
                drive(x, c, ENCODER_END);
        }
        return taken;
}

static void on_end(struct exchange *x, void *state)
{
        struct compress *c = state;

        encoder_put(&x->w->encoders, c->encoder);
        if (c->encoder)
                memory_measure(x->w);
        c->encoder = NULL;
}

const struct filter compress_filter = { .name = "compress",
                                        .state_bytes = sizeof(struct compress),
                                        .on_request = on_request,
                                        .on_answer = on_answer,
                                        .on_change = on_change,
                                        .on_room = on_room,
                                        .on_flush = on_flush,
                                        .on_end = on_end };
