#include "find/server.h"

#include "base/buf.h"

#include "../test.h"

static void lists_are_read(void **state)
{
        static const struct {
                const char *why, *text;
                enum err err;
                size_t count;
                uint16_t first;
        } rows[] = {
                { "nobody", "none", ERR_OK, 0, 0 },
                { "a name has its usual port", "vllm", ERR_OK, 1, 8000 },
                { "or another", "ollama=11435, vllm=8001", ERR_OK, 2, 11435 },
                { "a name that is none", "gpt=1", ERR_MALFORMED, 0, 0 },
                { "port 0", "vllm=0", ERR_MALFORMED, 0, 0 },
                { "no port", "vllm=", ERR_MALFORMED, 0, 0 },
                { "too large", "vllm=65536", ERR_MALFORMED, 0, 0 },
                { "more than there is room for",
                  "vllm,vllm,vllm,vllm,vllm,vllm,vllm,vllm,vllm,vllm,vllm,vllm,vllm,vllm,vllm,vllm,vllm",
                  ERR_MALFORMED, 0, 0 },
        };
        struct server_list list;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                enum err e = server_list_parse(str_of(rows[i].text), &list);

                if (e != rows[i].err ||
                    (e == ERR_OK &&
                     (list.count != rows[i].count || (list.count && list.places[0].port != rows[i].first))))
                        fail_msg("%s: %s, %zu", rows[i].why, err_text(e), list.count);
        }
        server_list_usual(&list);
        assert_int_equal(list.count, 5);
        assert_str(server_path(&list.places[0]), STR("/api/tags"));
        assert_str(server_path(&list.places[1]), STR("/v1/models"));
}

#define LIST(owner) \
        "{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"owned_by\":\"" owner "\"},{\"id\":\"n\"}]}"

/* Who answers may be anything. Forms of answers: the servers' published APIs. */
static void answers_are_judged(void **state)
{
        enum { OLLAMA, OPENAI };
        static const struct {
                const char *why;
                int form;
                uint16_t status;
                const char *server, *body;
                const char *name; /* "": none stands there */
                size_t models;
        } rows[] = {
                { "Ollama", OLLAMA, 200, "",
                  "{\"models\":[{\"name\":\"a:latest\",\"size\":1},{\"name\":\"b:7b\"}]}", "ollama", 2 },
                { "Ollama without a model", OLLAMA, 200, "", "{\"models\":[]}", "ollama", 0 },
                { "another's list at its port", OLLAMA, 200, "", LIST("vllm"), "", 0 },
                { "vLLM", OPENAI, 200, "uvicorn", LIST("vllm"), "vllm", 2 },
                { "SGLang", OPENAI, 200, "uvicorn", LIST("sglang"), "sglang", 2 },
                { "LM Studio", OPENAI, 200, "", LIST("organization_owner"), "lmstudio", 2 },
                { "llama.cpp by its field", OPENAI, 200, "llama.cpp", LIST("x"), "llamacpp", 2 },
                { "somebody's own", OPENAI, 200, "", LIST("me"), "server", 2 },
                { "one that wants a key", OPENAI, 401, "", "{\"error\":{}}", "server", 0 },
                { "any page that wants one is none", OPENAI, 401, "", "<html>", "", 0 },
                { "not found", OPENAI, 404, "", LIST("vllm"), "", 0 },
                { "a web page", OPENAI, 200, "", "<html></html>", "", 0 },
                { "no list", OPENAI, 200, "", "{\"data\":{}}", "", 0 },
                { "a list of something else", OPENAI, 200, "", "{\"data\":[{\"name\":\"x\"}]}", "", 0 },
                { "numbers for names", OPENAI, 200, "", "{\"data\":[{\"id\":1}]}", "", 0 },
                { "nothing", OPENAI, 200, "", "", "", 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct server_place place = { rows[i].form == OLLAMA ? 0 : server_any.kind, 8000 };
                const struct server_answer answer = { rows[i].status, str_of(rows[i].body),
                                                      str_of(rows[i].server) };
                struct server found;
                struct arena arena;

                arena_init(&arena, NULL, 0, 1 << 20);
                bool is_one = server_read(&place, &answer, &arena, &found);
                if (is_one != (rows[i].name[0] != '\0') ||
                    (is_one && (!str_eq(found.name, str_of(rows[i].name)) ||
                                found.models_count != rows[i].models || found.port != 8000)))
                        fail_msg("%s: %d", rows[i].why, is_one);
                arena_fini(&arena);
        }
}

/* A list longer than there is room for is cut, not refused. */
static void a_long_list_is_cut(void **state)
{
        const struct server_place place = { server_any.kind, 1 };
        struct server found;
        struct arena arena;
        struct buf body;

        buf_init(&body, 1 << 20);
        buf_add(&body, STR("{\"data\":["));
        for (int i = 0; i < 1000; i++)
                buf_addf(&body, "%s{\"id\":\"m%d\"}", i ? "," : "", i);
        buf_add(&body, STR("]}"));
        const struct server_answer answer = { 200, buf_str(&body), STR("") };
        arena_init(&arena, NULL, 0, 1 << 20);
        assert_true(server_read(&place, &answer, &arena, &found));
        assert_int_equal(found.models_count, SERVER_MODELS_MAX);
        arena_fini(&arena);
        buf_fini(&body);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lists_are_read),
                cmocka_unit_test(answers_are_judged),
                cmocka_unit_test(a_long_list_is_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
