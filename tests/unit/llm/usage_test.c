#include "llm/usage.h"

#include <stdio.h>

#include "../test.h"

struct row {
        const char *why;
        enum conf_dialect dialect;
        bool is_stream;
        const char *text;
        bool is_known;
        uint64_t in, out;
};

/* Written after the providers' published forms. */
static const struct row rows[] = {
        { "a chat completion", CONF_OPENAI, false,
          "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
          "\"assistant\",\"content\":\"\\\"usage\\\":{\"}}],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,"
          "\"total_tokens\":29,\"prompt_tokens_details\":{\"cached_tokens\":7}}}\n",
          true, 19, 10 },
        { "embeddings have no output", CONF_OPENAI, false,
          "{\"object\":\"list\",\"data\":[{\"embedding\":[0.1,-2e-3]}],\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}",
          true, 8, 0 },
        { "a response", CONF_OPENAI, false,
          "{\"object\":\"response\",\"output\":[],\"usage\":{\"input_tokens\":36,\"input_tokens_details\":{"
          "\"cached_tokens\":0},\"output_tokens\":87,\"total_tokens\":123}}",
          true, 36, 87 },
        { "a stream whose last chunk has it", CONF_OPENAI, true,
          "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],\"usage\":null}\n\n"
          "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n"
          "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\n"
          "data: [DONE]\n\n",
          true, 5, 2 },
        { "a stream nobody asked to have it", CONF_OPENAI, true,
          "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: [DONE]\n\n", false, 0, 0 },
        { "running totals: the last wins", CONF_OPENAI, true,
          "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n"
          "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}\n\n",
          true, 5, 9 },
        { "a response's stream", CONF_OPENAI, true,
          "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n"
          "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":9,\"response\":{"
          "\"id\":\"resp_1\",\"usage\":{\"input_tokens\":11,\"output_tokens\":13}}}\n\n",
          true, 11, 13 },
        { "Ollama, whole", CONF_OLLAMA, false,
          "{\"model\":\"m\",\"message\":{\"content\":\"eval_count\"},\"done\":true,\"prompt_eval_count\":26,"
          "\"eval_count\":298}",
          true, 26, 298 },
        { "Ollama's lines: the last has it", CONF_OLLAMA, true,
          "{\"message\":{\"content\":\"a\"},\"done\":false}\n{\"message\":{\"content\":\"\"},\"done\":true,"
          "\"prompt_eval_count\":7,\"eval_count\":3}\n",
          true, 7, 3 },
        { "the last without its end", CONF_OLLAMA, true,
          "{\"done\":false}\n{\"prompt_eval_count\":7,\"eval_count\":3}", true, 7, 3 },
        { "a line that is none costs nothing else", CONF_OLLAMA, true,
          "nonsense\n{\"prompt_eval_count\":7,\"eval_count\":3}\n\n", true, 7, 3 },
        { "a message, with what the cache gave", CONF_ANTHROPIC, false,
          "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}],\"usage\":{\"input_tokens\":10,"
          "\"cache_creation_input_tokens\":100,\"cache_read_input_tokens\":1000,\"output_tokens\":4}}",
          true, 1110, 4 },
        { "a message's stream", CONF_ANTHROPIC, true,
          "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"content\":[],"
          "\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\r\n\r\n"
          "event: ping\r\ndata: {\"type\":\"ping\"}\r\n\r\n"
          "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"Hi\"}}\r\n\r\n"
          "event: message_delta\r\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
          "\"usage\":{\"output_tokens\":15}}\r\n\r\n"
          "event: message_stop\r\ndata: {\"type\":\"message_stop\"}\r\n\r\n",
          true, 30, 15 },
        { "the end says it all again", CONF_ANTHROPIC, true,
          "data: {\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n"
          "data: {\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":2,\"output_tokens\":15}}\n\n",
          true, 27, 15 },
        { "a stream that broke off keeps what was said", CONF_ANTHROPIC, true,
          "data: {\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\ndata: {\"usage\":{\"out",
          true, 25, 1 },
        { "an answer that broke off", CONF_OPENAI, false, "{\"usage\":{\"prompt_tokens\":19},", false, 0, 0 },
        { "not JSON", CONF_OPENAI, false, "<html>\"usage\"", false, 0, 0 },
        { "an event that is not JSON", CONF_OPENAI, true, "data: {\"prompt_tokens\":}\n\n", false, 0, 0 },
        { "no number", CONF_OPENAI, false, "{\"usage\":{\"prompt_tokens\":\"19\",\"completion_tokens\":[1]}}",
          false, 0, 0 },
        { "below zero, a fraction", CONF_OPENAI, false,
          "{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1.5}}", false, 0, 0 },
        { "not to be believed", CONF_OPENAI, false,
          "{\"usage\":{\"prompt_tokens\":99999999999999999999,\"completion_tokens\":1073741825}}", false, 0,
          0 },
        { "said twice", CONF_OPENAI, false,
          "{\"usage\":{\"prompt_tokens\":1},\"usage\":{\"prompt_tokens\":2}}", false, 0, 0 },
        { "nothing", CONF_OPENAI, false, "", false, 0, 0 },
};

static void check(const struct usage *u, const struct row *r, size_t cut)
{
        if (u->is_known != r->is_known || u->tokens_in != r->in || u->tokens_out != r->out)
                fail_msg("%s, cut at %zu: known %d, in %zu, out %zu", r->why, cut, u->is_known,
                         (size_t)u->tokens_in, (size_t)u->tokens_out);
}

/* One reader for all rows, as a worker has it: nothing of one answer may be left in the next. */
static void reads_the_same_however_it_is_cut(void **state)
{
        struct usage u;

        usage_init(&u);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct str text = str_of(rows[i].text);

                for (size_t cut = 0; cut <= text.len; cut++) {
                        usage_begin(&u, rows[i].dialect, rows[i].is_stream);
                        usage_feed(&u, str_sub(text, 0, cut));
                        usage_feed(&u, str_from(text, cut));
                        usage_end(&u);
                        check(&u, &rows[i], cut);
                }
                usage_begin(&u, rows[i].dialect, rows[i].is_stream);
                for (size_t at = 0; at < text.len; at++)
                        usage_feed(&u, str_sub(text, at, 1));
                usage_end(&u);
                check(&u, &rows[i], SIZE_MAX);
        }
        usage_fini(&u);
}

/* T22: an event without an end costs a bounded amount of memory, and what comes behind it is read. */
static void an_endless_line_is_passed_over(void **state)
{
        static char filler[64 * 1024];
        struct usage u;

        memset(filler, 'x', sizeof(filler));
        usage_init(&u);
        usage_begin(&u, CONF_OPENAI, true);
        usage_feed(&u, STR("data: "));
        for (size_t sent = 0; sent < 4 * (size_t)USAGE_EVENT_BYTES_MAX; sent += sizeof(filler))
                usage_feed(&u, (struct str){ filler, sizeof(filler) });
        assert_true(u.events.line.cap <= 2 * (size_t)USAGE_EVENT_BYTES_MAX);
        usage_feed(&u, STR("\n\ndata: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n"));
        usage_end(&u);
        assert_int_equal(u.tokens_in, 3);
        assert_int_equal(u.tokens_out, 4);
        usage_begin(&u, CONF_OPENAI, true);
        assert_int_equal(u.events.line.cap, 0); /* a long answer's memory is not kept */
        usage_end(&u);
        usage_fini(&u);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_the_same_however_it_is_cut),
                cmocka_unit_test(an_endless_line_is_passed_over),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
