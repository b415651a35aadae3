#include "llm/usage.h"

#include <string.h>

#include "base/units.h"

enum { KEPT_BYTES_MAX = 64 * 1024 };

/* Where the figures stand; two names of one dialect are never both there. */
static const struct str openai_fields[] = {
        STR_INIT("usage.prompt_tokens"),         STR_INIT("usage.completion_tokens"),
        STR_INIT("usage.input_tokens"),          STR_INIT("usage.output_tokens"),
        STR_INIT("response.usage.input_tokens"), STR_INIT("response.usage.output_tokens")
};
static const struct str anthropic_fields[] = { STR_INIT("usage.input_tokens"),
                                               STR_INIT("usage.cache_creation_input_tokens"),
                                               STR_INIT("usage.cache_read_input_tokens"),
                                               STR_INIT("usage.output_tokens"),
                                               STR_INIT("message.usage.input_tokens"),
                                               STR_INIT("message.usage.cache_creation_input_tokens"),
                                               STR_INIT("message.usage.cache_read_input_tokens"),
                                               STR_INIT("message.usage.output_tokens") };

static const struct str ollama_fields[] = { STR_INIT("prompt_eval_count"), STR_INIT("eval_count") };

void usage_init(struct usage *u)
{
        memset(u, 0, sizeof(*u));
        sse_init(&u->events, USAGE_EVENT_BYTES_MAX, USAGE_EVENT_BYTES_MAX);
}

void usage_fini(struct usage *u)
{
        sse_fini(&u->events);
}

/* The memory of a long answer's events is not kept; a new reader starts at the front of a stream in any case. */
static void events_reset(struct usage *u)
{
        struct buf line = u->events.line, type = u->events.type, data = u->events.data, id = u->events.id;

        if (u->bytes > KEPT_BYTES_MAX) {
                sse_fini(&u->events);
                sse_init(&u->events, USAGE_EVENT_BYTES_MAX, USAGE_EVENT_BYTES_MAX);
                return;
        }
        sse_init(&u->events, USAGE_EVENT_BYTES_MAX, USAGE_EVENT_BYTES_MAX);
        buf_clear(&line);
        buf_clear(&type);
        buf_clear(&data);
        buf_clear(&id);
        u->events.line = line;
        u->events.type = type;
        u->events.data = data;
        u->events.id = id;
}

void usage_begin(struct usage *u, enum conf_dialect dialect, bool is_stream)
{
        events_reset(u);
        if (u->dialect == dialect)
                json_scanner_reset(&u->scanner);
        else if (dialect == CONF_ANTHROPIC)
                json_scanner_init(&u->scanner, anthropic_fields, ARRAY_SIZE(anthropic_fields), 0, 0);
        else if (dialect == CONF_OLLAMA)
                json_scanner_init(&u->scanner, ollama_fields, ARRAY_SIZE(ollama_fields), 0, 0);
        else
                json_scanner_init(&u->scanner, openai_fields, ARRAY_SIZE(openai_fields), 0, 0);
        u->dialect = dialect;
        u->is_stream = is_stream;
        u->is_known = u->is_broken = false;
        u->tokens_in = u->tokens_out = u->bytes = 0;
}

/* A figure of the scanned text; false when it is not there or not to be believed. */
static bool figure(const struct usage *u, size_t index, uint64_t *out)
{
        const struct json_field *f = &u->scanner.fields[index];

        return f->is_found && f->type == JSON_NUMBER &&
               units_parse_u64(json_field_text(f), USAGE_TOKENS_MAX, out) == ERR_OK;
}

static void openai_take(struct usage *u)
{
        uint64_t n;

        for (size_t i = 0; i < ARRAY_SIZE(openai_fields); i++)
                if (figure(u, i, &n)) {
                        *(i % 2 ? &u->tokens_out : &u->tokens_in) = n;
                        u->is_known = true;
                }
}

/* Its input_tokens leave out what was written to or read from the cache. */
static void anthropic_take(struct usage *u)
{
        for (size_t first = 0; first < ARRAY_SIZE(anthropic_fields); first += 4) {
                uint64_t n, in = 0;
                bool has_in = false;

                for (size_t i = first; i < first + 3; i++)
                        if (figure(u, i, &n)) {
                                has_in = has_in || n > 0 || i == first;
                                in += n;
                        }
                if (has_in)
                        u->tokens_in = in;
                bool has_out = figure(u, first + 3, &n);
                if (has_out)
                        u->tokens_out = n;
                u->is_known = u->is_known || has_in || has_out;
        }
}

static void ollama_take(struct usage *u)
{
        bool has_in = figure(u, 0, &u->tokens_in), has_out = figure(u, 1, &u->tokens_out);

        u->is_known = u->is_known || has_in || has_out;
}

/* A line is an object; the last has the figures. */
static void lines_feed(struct usage *u, struct str bytes)
{
        while (bytes.len) {
                size_t end = str_find_char(bytes, '\n');

                if (!u->is_broken && json_scanner_feed(&u->scanner, str_sub(bytes, 0, end)) != ERR_OK)
                        u->is_broken = true;
                if (end == STR_NONE)
                        return;
                if (!u->is_broken && json_scanner_end(&u->scanner) == ERR_OK)
                        ollama_take(u);
                json_scanner_reset(&u->scanner);
                u->is_broken = false;
                bytes = str_from(bytes, end + 1);
        }
}

static void take(struct usage *u)
{
        if (u->dialect == CONF_ANTHROPIC)
                anthropic_take(u);
        else if (u->dialect == CONF_OLLAMA)
                ollama_take(u);
        else
                openai_take(u);
}

/* Most events are text and name no usage: they are not looked at closely. */
static void on_event(void *context, const struct sse_event *event)
{
        struct usage *u = context;

        if (str_find(event->data, STR("_tokens\"")) == STR_NONE)
                return;
        json_scanner_reset(&u->scanner);
        if (json_scanner_feed(&u->scanner, event->data) == ERR_OK && json_scanner_end(&u->scanner) == ERR_OK)
                take(u);
}

void usage_feed(struct usage *u, struct str bytes)
{
        u->bytes += bytes.len;
        if (u->is_stream && u->dialect == CONF_OLLAMA)
                lines_feed(u, bytes);
        else if (u->is_stream)
                sse_feed(&u->events, bytes, on_event, u);
        else if (!u->is_broken && json_scanner_feed(&u->scanner, bytes) != ERR_OK)
                u->is_broken = true;
}

void usage_end(struct usage *u)
{
        if ((!u->is_stream || u->dialect == CONF_OLLAMA) && !u->is_broken &&
            json_scanner_end(&u->scanner) == ERR_OK)
                take(u);
}
