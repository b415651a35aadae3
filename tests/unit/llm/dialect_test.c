#include "llm/dialect.h"

#include "json/reader.h"

#include "../test.h"

static void errors_have_the_forms_own_words(void **state)
{
        static const struct {
                uint16_t status;
                const char *openai_type, *openai_code, *anthropic_type;
        } rows[] = {
                { 400, "invalid_request_error", "reason", "invalid_request_error" },
                { 401, "authentication_error", "invalid_api_key", "authentication_error" },
                { 403, "permission_error", "reason", "permission_error" },
                { 404, "invalid_request_error", "model_not_found", "not_found_error" },
                { 413, "invalid_request_error", "reason", "request_too_large" },
                { 415, "invalid_request_error", "reason", "invalid_request_error" },
                { 429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error" },
                { 502, "server_error", "reason", "api_error" },
                { 503, "server_error", "reason", "overloaded_error" },
                { 504, "server_error", "reason", "timeout_error" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (int is_anthropic = 0; is_anthropic < 2; is_anthropic++) {
                        static struct exchange x;
                        const struct json_value *root, *error;
                        struct arena arena;
                        struct buf out;

                        memset(&x, 0, sizeof(x));
                        memset(x.id, 'i', EXCHANGE_ID_LEN);
                        x.refused = "reason";
                        arena_init(&x.arena, x.first, sizeof(x.first), 1 << 16);
                        arena_init(&arena, NULL, 0, 1 << 16);
                        buf_init(&out, 4096);
                        (is_anthropic ? dialect_anthropic_error : dialect_openai_error)(
                                &x, rows[i].status, "ours", "Say \"please\".\n", &out);
                        assert_err(json_read_strict(&arena, buf_str(&out), NULL, &root), ERR_OK);
                        error = json_find(root, STR("error"));
                        assert_str(json_str(json_find(error, STR("message"))), STR("Say \"please\".\n"));
                        assert_str(json_str(json_find(error, STR("type"))),
                                   str_of(is_anthropic ? rows[i].anthropic_type : rows[i].openai_type));
                        if (is_anthropic) {
                                assert_str(json_str(json_find(root, STR("type"))), STR("error"));
                                assert_str(json_str(json_find(root, STR("request_id"))), str_of(x.id));
                        } else {
                                assert_str(json_str(json_find(error, STR("code"))),
                                           str_of(rows[i].openai_code));
                                assert_non_null(json_find(error, STR("param")));
                        }
                        assert_non_null(x.notes); /* the request's id goes into a field, too */
                        buf_fini(&out);
                        arena_fini(&arena);
                        arena_fini(&x.arena);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(errors_have_the_forms_own_words) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
