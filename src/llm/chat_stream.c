#include "llm/chat_priv.h"

#include "proxy/reply.h"
#include "json/writer.h"

static const struct side_ops chat_ops;

static void event_begin(struct chat *c, struct json_writer *w, const char *type)
{
        buf_add(&c->out, STR("data: "));
        json_writer_init(w, &c->out, JSON_COMPACT);
        json_write_object_begin(w);
        json_write_member_str(w, STR("type"), str_of(type));
}

static void event_end(struct chat *c, struct json_writer *w)
{
        json_write_object_end(w);
        json_writer_finish(w);
        buf_add(&c->out, STR("\n\n"));
}

static void event_write(struct chat *c, const char *type, const char *name, struct str value)
{
        struct json_writer w;

        event_begin(c, &w, type);
        if (name) {
                json_write_member_str(&w, str_of(name), value);
        }
        event_end(c, &w);
}

static void content_write(struct chat *c)
{
        struct json_writer w;

        event_begin(c, &w, "content");
        json_write_member_str(&w, STR("content"), buf_str(&c->answer.text));
        json_write_member_str(&w, STR("model_used"), chat_model_used(c));
        json_write_member_uint(&w, STR("input_tokens"), c->answer.tokens_in);
        json_write_member_uint(&w, STR("output_tokens"), c->answer.tokens_out);
        event_end(c, &w);
}

/* Gives the client what it takes; true when nothing is left. */
bool chat_stream_give(struct chat *c, bool is_last)
{
        struct str rest = str_from(buf_str(&c->out), c->out_given);
        struct side_data d = { &rest, rest.len ? 1 : 0, is_last, NULL, 0 };

        if (rest.len || is_last)
                c->out_given += exchange_answer_data(c->x, &d);
        if (c->out_given < c->out.len)
                return false;
        buf_clear(&c->out);
        c->out_given = 0;
        return true;
}

void chat_stream_start(struct chat *c)
{
        c->has_started = true;
        c->side = (struct side){ .ops = &chat_ops, .x = c->x };
        c->x->up = &c->side;
        event_write(c, "start", "session_id", c->request.session_id);
        reply_events_begin(c->x);
        chat_stream_give(c, false);
}

static void on_sse(void *context, const struct sse_event *event)
{
        struct chat *c = context;
        size_t before = c->answer.text.len;

        if (c->answer.is_broken)
                return;
        chat_answer_event(&c->answer, event, c->dialect);
        if (c->answer.text.len > before)
                event_write(c, "content_chunk", "text", str_from(buf_str(&c->answer.text), before));
}

void chat_stream_feed(struct chat *c, struct str bytes)
{
        sse_feed(&c->events, bytes, on_sse, c);
}

static void stream_break(struct chat *c)
{
        struct str words =
                c->answer.problem.len ? buf_str(&c->answer.problem) : STR("The provider's answer broke off.");

        event_write(c, "error", "content", words);
        chat_stream_give(c, false);
        exchange_up_reset(c->x, ERR_MALFORMED, false);
}

void chat_stream_end(struct chat *c, enum err e)
{
        if (!c->has_started) {
                chat_whole_end(c, e); /* an error of the provider's, or an answer that is no stream */
                return;
        }
        if (e != ERR_OK || c->answer.is_broken || !c->answer.is_finished || c->out.full) {
                stream_break(c);
                return;
        }
        chat_remember(c);
        content_write(c);
        event_write(c, "done", NULL, STR_NULL);
        chat_stream_give(c, true);
}

/* ---- operations of the up side ---- */

static void op_pull(struct side *s)
{
        struct chat *c = (struct chat *)s;

        if (chat_stream_give(c, !c->is_calling) && c->is_calling)
                call_resume(&c->call);
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        return side_data_len(d);
}

static void op_head(struct side *s, struct http_head *head) {}
static void op_flush(struct side *s) {}

static void op_reset(struct side *s, enum err reason)
{
        chat_fini((struct chat *)s);
}

static void op_release(struct side *s)
{
        chat_fini((struct chat *)s);
}

static const struct side_ops chat_ops = {
        .name = "chat",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
};
