#include "llm/chat_answer.h"

#include "../test.h"

struct want {
        const char *text, *model;
        uint64_t in, out;
        bool is_finished, is_broken;
        const char *problem;
};

static void check(const char *why, size_t cut, const struct chat_answer *a, const struct want *w)
{
        if (!str_eq(buf_str(&a->text), str_of(w->text)) || !str_eq(buf_str(&a->model), str_of(w->model)) ||
            a->tokens_in != w->in || a->tokens_out != w->out || a->is_finished != w->is_finished ||
            a->is_broken != w->is_broken || !str_eq(buf_str(&a->problem), str_of(w->problem)))
                fail_msg(
                        "%s, cut at %zu: text \"%.*s\" model \"%.*s\" in %zu out %zu finished %d broken %d problem \"%.*s\"",
                        why, cut, STR_FMT(buf_str(&a->text)), STR_FMT(buf_str(&a->model)),
                        (size_t)a->tokens_in, (size_t)a->tokens_out, a->is_finished, a->is_broken,
                        STR_FMT(buf_str(&a->problem)));
}

static void reads_whole_answers(void **state)
{
        static const struct {
                const char *why;
                enum conf_dialect dialect;
                const char *body;
                enum err e;
                struct want want;
        } rows[] = {
                { "a completion",
                  CONF_OPENAI,
                  "{\"model\":\"m-1\",\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"Hi \\ud83d\\ude00\"},"
                  "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}",
                  ERR_OK,
                  { "Hi 😀", "m-1", 3, 4, true, false, "" } },
                { "content null, as with tool calls",
                  CONF_OPENAI,
                  "{\"choices\":[{\"message\":{\"content\":null}}]}",
                  ERR_OK,
                  { "", "", 0, 0, true, false, "" } },
                { "no choices",
                  CONF_OPENAI,
                  "{\"choices\":[]}",
                  ERR_MALFORMED,
                  { "", "", 0, 0, false, false, "" } },
                { "choices that are no list",
                  CONF_OPENAI,
                  "{\"choices\":{}}",
                  ERR_MALFORMED,
                  { "", "", 0, 0, false, false, "" } },
                { "no object", CONF_OPENAI, "[1]", ERR_MALFORMED, { "", "", 0, 0, false, false, "" } },
                { "cut", CONF_OPENAI, "{\"choices\":[", ERR_MALFORMED, { "", "", 0, 0, false, false, "" } },
                { "usage that is nonsense",
                  CONF_OPENAI,
                  "{\"choices\":[{\"message\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":\"4\"}}",
                  ERR_OK,
                  { "a", "", 0, 0, true, false, "" } },
                { "a message, text blocks only",
                  CONF_ANTHROPIC,
                  "{\"type\":\"message\",\"model\":\"c\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\"},"
                  "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"id\":\"t\",\"input\":{}},"
                  "{\"type\":\"text\",\"text\":\"b\"}],\"usage\":{\"input_tokens\":5,\"output_tokens\":6}}",
                  ERR_OK,
                  { "ab", "c", 5, 6, true, false, "" } },
                { "no content",
                  CONF_ANTHROPIC,
                  "{\"type\":\"message\"}",
                  ERR_MALFORMED,
                  { "", "", 0, 0, false, false, "" } },
                { "the other dialect's",
                  CONF_ANTHROPIC,
                  "{\"choices\":[{\"message\":{\"content\":\"a\"}}]}",
                  ERR_MALFORMED,
                  { "", "", 0, 0, false, false, "" } },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct chat_answer a;

                chat_answer_init(&a);
                enum err e = chat_answer_read(&a, str_of(rows[i].body), rows[i].dialect);
                if (e != rows[i].e)
                        fail_msg("%s: ERR_%s", rows[i].why, err_name(e));
                check(rows[i].why, 0, &a, &rows[i].want);
                chat_answer_fini(&a);
        }
}

#define CHUNK(delta, rest) "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":" delta rest "}]}\n\n"

static const struct {
        const char *why;
        enum conf_dialect dialect;
        const char *stream;
        struct want want;
} streams[] = {
        { "chunks",
          CONF_OPENAI,
          CHUNK("{\"role\":\"assistant\",\"content\":\"\"}",
                "") CHUNK("{\"content\":\"日\"}", "") ": waits\n\n" CHUNK("{\"content\":\"本\"}", "")
                  CHUNK("{}",
                        ",\"finish_reason\":\"stop\"") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
          { "日本", "m", 3, 2, true, false, "" } },
        { "chunks that stop",
          CONF_OPENAI,
          CHUNK("{\"content\":\"ha\"}", ""),
          { "ha", "m", 0, 0, false, false, "" } },
        { "an error in the middle",
          CONF_OPENAI,
          CHUNK("{\"content\":\"ha\"}", "") "data: {\"error\":{\"message\":\"too busy\"}}\n\n",
          { "ha", "m", 0, 0, false, true, "too busy" } },
        { "no JSON", CONF_OPENAI, "data: oh\n\n", { "", "", 0, 0, false, true, "" } },
        { "reasoning is not the answer",
          CONF_OPENAI,
          CHUNK("{\"reasoning_content\":\"hm\"}", "") CHUNK("{\"content\":\"a\"}", ""),
          { "a", "m", 0, 0, false, false, "" } },
        { "events",
          CONF_ANTHROPIC,
          "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"c\",\"usage\":{\"input_tokens\":7,"
          "\"output_tokens\":1}}}\n\n"
          "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
          "\"text\":\"\"}}\n\n"
          "event: ping\ndata: {\"type\":\"ping\"}\n\n"
          "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
          "\"text\":\"Hi\"}}\n\n"
          "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"
          "\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n"
          "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
          "\"output_tokens\":9}}\n\n"
          "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
          { "Hi", "c", 7, 9, true, false, "" } },
        { "an error event",
          CONF_ANTHROPIC,
          "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
          { "", "", 0, 0, false, true, "Overloaded" } },
};

struct sink {
        struct chat_answer answer;
        enum conf_dialect dialect;
};

static void on_event(void *context, const struct sse_event *event)
{
        struct sink *s = context;

        chat_answer_event(&s->answer, event, s->dialect);
}

static void reads_streams_however_they_are_cut(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
                struct str text = str_of(streams[i].stream);

                for (size_t cut = 0; cut <= text.len; cut += 3) {
                        struct sink s = { .dialect = streams[i].dialect };
                        struct sse_reader r;

                        chat_answer_init(&s.answer);
                        sse_init(&r, 1 << 16, 1 << 16);
                        sse_feed(&r, str_sub(text, 0, cut), on_event, &s);
                        sse_feed(&r, str_from(text, cut), on_event, &s);
                        check(streams[i].why, cut, &s.answer, &streams[i].want);
                        sse_fini(&r);
                        chat_answer_fini(&s.answer);
                }
        }
}

static void finds_the_words_of_an_error(void **state)
{
        static const struct {
                const char *body, *problem;
        } rows[] = {
                { "{\"error\":{\"message\":\"no\",\"type\":\"x\"}}", "no" },
                { "{\"type\":\"error\",\"error\":{\"type\":\"x\",\"message\":\"nein\"}}", "nein" },
                { "{\"error\":\"said plainly\"}", "said plainly" },
                { "{\"error\":{\"message\":5}}", "" },
                { "{}", "" },
                { "<html>", "the provider gave no reason" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct chat_answer a;

                chat_answer_init(&a);
                chat_answer_read_error(&a, str_of(rows[i].body));
                assert_str(buf_str(&a.problem), str_of(rows[i].problem));
                chat_answer_fini(&a);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_whole_answers),
                cmocka_unit_test(reads_streams_however_they_are_cut),
                cmocka_unit_test(finds_the_words_of_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
