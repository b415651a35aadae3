#include "llm/chat_request.h"

#include "base/arena.h"
#include "llm/conversation.h"

#include "../test.h"

enum { MESSAGE_MAX = 40 };

static enum err parse(const char *body, struct arena *a, struct chat_request *r, struct chat_fault *fault)
{
        *fault = (struct chat_fault){ 0 };
        arena_init(a, NULL, 0, 1 << 20);
        return chat_request_parse(str_of(body), MESSAGE_MAX, a, r, fault);
}

static void faults_are_told(void **state)
{
        static const struct {
                const char *why, *body;
                uint16_t status;
                const char *refused;
        } rows[] = {
                { "empty", "", 400, "json" },
                { "cut", "{\"message\":\"a\"", 400, "json" },
                { "more behind it", "{\"message\":\"a\"} x", 400, "json" },
                { "bad UTF-8", "{\"message\":\"\xff\"}", 400, "json" },
                { "a name twice", "{\"message\":\"a\",\"message\":\"b\"}", 400, "json" },
                { "a list", "[\"message\"]", 400, "json" },
                { "a text", "\"message\"", 400, "json" },
                { "no message", "{}", 400, "message_empty" },
                { "null", "{\"message\":null}", 400, "message_empty" },
                { "blank", "{\"message\":\" \\t\\r\\n \"}", 400, "message_empty" },
                { "a number", "{\"message\":5}", 400, "field_type" },
                { "a list of parts", "{\"message\":[\"a\"]}", 400, "field_type" },
                { "a session that is a number", "{\"message\":\"a\",\"session_id\":5}", 400, "field_type" },
                { "a model that is an object", "{\"message\":\"a\",\"model\":{}}", 400, "field_type" },
                { "a system text that is not", "{\"message\":\"a\",\"custom_system_prompt\":true}", 400,
                  "field_type" },
                { "a temperature in quotes", "{\"message\":\"a\",\"temperature\":\"1\"}", 400, "field_type" },
                { "max_tokens as a list", "{\"message\":\"a\",\"max_tokens\":[1]}", 400, "field_type" },
                { "one byte too long", "{\"message\":\"01234567890123456789012345678901234567890\"}", 413,
                  "message_too_long" },
                { "a session with a line end", "{\"message\":\"a\",\"session_id\":\"a\\nb\"}", 400,
                  "session_id" },
                { "a session with NUL", "{\"message\":\"a\",\"session_id\":\"a\\u0000b\"}", 400,
                  "session_id" },
                { "a session with DEL", "{\"message\":\"a\",\"session_id\":\"\\u007f\"}", 400, "session_id" },
                { "a session of 129 bytes",
                  "{\"message\":\"a\",\"session_id\":\"01234567890123456789012345678901234567890123456789012345678901234567"
                  "8901234567890123456789012345678901234567890123456789012345678\"}",
                  400, "session_id" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct chat_request r;
                struct chat_fault fault;
                struct arena a;
                enum err e = parse(rows[i].body, &a, &r, &fault);

                if (e == ERR_OK || fault.status != rows[i].status ||
                    strcmp(fault.refused, rows[i].refused) != 0)
                        fail_msg("%s: ERR_%s, %u %s", rows[i].why, err_name(e), fault.status,
                                 fault.refused ? fault.refused : "none");
                assert_non_null(fault.message);
                assert_err(e, rows[i].status == 413 ? ERR_TOO_LARGE : ERR_MALFORMED);
                arena_fini(&a);
        }
}

static void takes_the_predecessors_fields(void **state)
{
        struct chat_request r;
        struct chat_fault fault;
        struct arena a;

        assert_err(
                parse("{\"message\":\"\\u3042 \\\"hi\\\"\",\"session_id\":\"api:日本 1\",\"channel\":\"api\",\"model\":\"m\","
                      "\"multi_model\":false,\"device\":\"pc\",\"temperature\":1.50,\"max_tokens\":1e2,\"top_p\":null,"
                      "\"frequency_penalty\":-0.5,\"presence_penalty\":0,\"custom_system_prompt\":\"Be brief.\","
                      "\"mode\":\"auto\",\"language\":\"ja\",\"new_field\":[{}]}",
                      &a, &r, &fault),
                ERR_OK);
        assert_str(r.message, STR("あ \"hi\""));
        assert_str(r.session_id, STR("api:日本 1"));
        assert_str(r.model, STR("m"));
        assert_str(r.system, STR("Be brief."));
        assert_str(r.temperature, STR("1.50")); /* as written */
        assert_str(r.max_tokens, STR("1e2"));
        assert_str(r.top_p, STR(""));
        assert_str(r.frequency_penalty, STR("-0.5"));
        assert_str(r.presence_penalty, STR("0"));
        arena_fini(&a);
        assert_err(parse("{\"message\":\"0123456789012345678901234567890123456789\"}", &a, &r, &fault),
                   ERR_OK);
        assert_str(r.session_id, STR(""));
        arena_fini(&a);
}

static void a_body_over_the_bound_is_not_read(void **state)
{
        static char body[CHAT_REQUEST_BYTES_MAX + 1];
        struct chat_request r;
        struct chat_fault fault;
        struct arena a;

        memset(body, ' ', sizeof(body));
        arena_init(&a, NULL, 0, 1 << 20);
        assert_err(chat_request_parse((struct str){ body, sizeof(body) }, MESSAGE_MAX, &a, &r, &fault),
                   ERR_TOO_LARGE);
        assert_int_equal(fault.status, 413);
        arena_fini(&a);
}

/* What conversation_read gives for one question and its answer. */
static struct str history(void)
{
        static const char bytes[] = "\0\2\0\0\0q1"
                                    "\1\4\0\0\0a\n\"1";

        return (struct str){ bytes, sizeof(bytes) - 1 };
}

static void writes_each_dialects_body(void **state)
{
        static const struct {
                const char *why, *request;
                enum conf_dialect dialect;
                bool streams, has_history;
                const char *body;
        } rows[] = {
                { "the least", "{\"message\":\"Hi\"}", CONF_OPENAI, false, false,
                  "{\"model\":\"real\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"stream\":false}" },
                { "the least of the other", "{\"message\":\"Hi\"}", CONF_ANTHROPIC, false, false,
                  "{\"model\":\"real\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":8192,\"stream\":false}" },
                { "a stream that tells its usage", "{\"message\":\"Hi\"}", CONF_OPENAI, true, false,
                  "{\"model\":\"real\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"stream\":true,"
                  "\"stream_options\":{\"include_usage\":true}}" },
                { "what was said before, in order", "{\"message\":\"q2\",\"custom_system_prompt\":\"s\"}",
                  CONF_OPENAI, false, true,
                  "{\"model\":\"real\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"q1\"},"
                  "{\"role\":\"assistant\",\"content\":\"a\\n\\\"1\"},{\"role\":\"user\",\"content\":\"q2\"}],\"stream\":false}" },
                { "the system text has its own place", "{\"message\":\"q2\",\"custom_system_prompt\":\"s\"}",
                  CONF_ANTHROPIC, true, true,
                  "{\"model\":\"real\",\"system\":\"s\",\"messages\":[{\"role\":\"user\",\"content\":\"q1\"},"
                  "{\"role\":\"assistant\",\"content\":\"a\\n\\\"1\"},{\"role\":\"user\",\"content\":\"q2\"}],\"max_tokens\":8192,"
                  "\"stream\":true}" },
                { "numbers as written",
                  "{\"message\":\"Hi\",\"temperature\":0.70,\"top_p\":1e-1,\"frequency_penalty\":1,\"presence_penalty\":2,"
                  "\"max_tokens\":50}",
                  CONF_OPENAI, false, false,
                  "{\"model\":\"real\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"temperature\":0.70,\"top_p\":1e-1,"
                  "\"frequency_penalty\":1,\"presence_penalty\":2,\"max_tokens\":50,\"stream\":false}" },
                { "penalties are unknown there",
                  "{\"message\":\"Hi\",\"temperature\":0.70,\"frequency_penalty\":1,\"max_tokens\":50}",
                  CONF_ANTHROPIC, false, false,
                  "{\"model\":\"real\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"temperature\":0.70,\"max_tokens\":50,"
                  "\"stream\":false}" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct chat_request r;
                struct chat_fault fault;
                struct arena a;
                struct buf out;

                assert_err(parse(rows[i].request, &a, &r, &fault), ERR_OK);
                buf_init(&out, 4096);
                chat_body_write(&r, STR("real"), rows[i].has_history ? history() : STR(""), rows[i].dialect,
                                rows[i].streams, &out);
                if (!str_eq(str_trim(buf_str(&out)), str_of(rows[i].body)))
                        fail_msg("%s: %.*s", rows[i].why, STR_FMT(buf_str(&out)));
                buf_fini(&out);
                arena_fini(&a);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(faults_are_told),
                cmocka_unit_test(takes_the_predecessors_fields),
                cmocka_unit_test(a_body_over_the_bound_is_not_read),
                cmocka_unit_test(writes_each_dialects_body),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
