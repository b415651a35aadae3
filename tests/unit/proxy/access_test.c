#include "proxy/access.h"

#include <stdio.h>

#include "crypto/sha256.h"
#include "http/h1_read.h"

#include "proxy/revoke.h"

#include "../test.h"

static const struct {
        const char *why, *head, *presented;
        bool is_malformed;
} cases[] = {
        { "none", "", "", false },
        { "bearer", "Authorization: Bearer abc\r\n", "abc", false },
        { "scheme in any case", "Authorization: bEARER abc\r\n", "abc", false },
        { "another scheme", "Authorization: Basic abc\r\n", "", false },
        { "no token after it", "Authorization: Bearer \r\n", "", false },
        { "x-api-key", "X-API-Key: abc\r\n", "abc", false },
        { "both the same", "Authorization: Bearer abc\r\nx-api-key: abc\r\n", "abc", false },
        { "both and they differ", "Authorization: Bearer abc\r\nx-api-key: abd\r\n", NULL, true },
        { "twice", "Authorization: Bearer abc\r\nAuthorization: Bearer abc\r\n", NULL, true },
        { "key twice", "x-api-key: a\r\nx-api-key: a\r\n", NULL, true },
};

static void finds_what_is_presented(void **state)
{
        const struct h1_limits limits = { 4096, 1024, 50 };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct http_field fields[HTTP_FIELDS_MAX];
                struct http_head head = { .fields = fields, .fields_max = HTTP_FIELDS_MAX };
                struct http_refusal refusal;
                char text[512];
                size_t scanned = 0;
                bool is_malformed;

                snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i].head);
                assert_err(h1_request_parse(str_of(text), &limits, &scanned, &head, &refusal), ERR_OK);
                struct str got = access_presented(&head, &is_malformed);
                if (is_malformed != cases[i].is_malformed)
                        fail_msg("%s: malformed is %d", cases[i].why, is_malformed);
                if (!is_malformed)
                        assert_str(got, str_of(cases[i].presented));
        }
}

static void token_init(struct token_set *set, struct token *t, const char *text)
{
        crypto_sha256(str_of(text), t->sha256);
        assert_err(map_add(&set->by_hash, (struct str){ (const char *)t->sha256, sizeof(t->sha256) }, t),
                   ERR_OK);
}

static void finds_the_token(void **state)
{
        struct token tokens[2] = { { .name = STR("one") }, { .name = STR("two") } };
        struct token_set set = { tokens, 2, { 0 } };
        char large[TOKEN_TEXT_MAX + 1];

        map_init(&set.by_hash, (struct hash_key){ 1, 2 }, 10);
        token_init(&set, &tokens[0], "sk-one");
        token_init(&set, &tokens[1], "sk-two");
        assert_ptr_equal(token_find(&set, STR("sk-one")), &tokens[0]);
        assert_ptr_equal(token_find(&set, STR("sk-two")), &tokens[1]);
        assert_null(token_find(&set, STR("sk-tw")));
        assert_null(token_find(&set, STR("sk-two ")));
        assert_null(token_find(&set, STR("")));
        memset(large, 'a', sizeof(large));
        assert_null(token_find(&set, (struct str){ large, sizeof(large) }));
        map_fini(&set.by_hash);
}

static void rights_that_are_gone(void **state)
{
        enum { WALL = 1000 };
        struct ip here, there;
        struct ip_prefix only_there = { 0 };
        const struct ip_list list = { &only_there, 1 };

        assert_err(ip_parse(STR("192.0.2.1"), &here), ERR_OK);
        assert_err(ip_parse(STR("192.0.2.2"), &there), ERR_OK);
        only_there.ip = there;
        only_there.bits = 32;
        const struct {
                const char *why;
                const char *text; /* of the token there is now */
                struct token now;
                struct ip ip;
                const char *reason;
        } rows[] = {
                { "as it was", "sk-a", { .scopes = SCOPE_PROXY }, here, NULL },
                { "under another name", "sk-a", { .name = STR("new"), .scopes = SCOPE_PROXY }, here, NULL },
                { "removed", "sk-b", { .name = STR("a"), .scopes = SCOPE_PROXY }, here, "token_revoked" },
                { "another scope beside", "sk-a", { .scopes = SCOPE_PROXY | SCOPE_LLM }, here, NULL },
                { "the scope is gone", "sk-a", { .scopes = SCOPE_LLM }, here, "scope" },
                { "not over yet", "sk-a", { .scopes = SCOPE_PROXY, .expires = WALL + 1 }, here, NULL },
                { "over", "sk-a", { .scopes = SCOPE_PROXY, .expires = WALL }, here, "token_expired" },
                { "elsewhere only",
                  "sk-a",
                  { .scopes = SCOPE_PROXY, .allowed_ips = list },
                  here,
                  "token_address" },
                { "there", "sk-a", { .scopes = SCOPE_PROXY, .allowed_ips = list }, there, NULL },
        };
        struct token was = { .name = STR("a"), .scopes = SCOPE_PROXY };

        crypto_sha256(STR("sk-a"), was.sha256);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct token now = rows[i].now;
                struct token_set set = { &now, 1, { 0 } };

                map_init(&set.by_hash, (struct hash_key){ 1, 2 }, 10);
                token_init(&set, &now, rows[i].text);
                const char *reason = revoke_reason(&was, SCOPE_PROXY, rows[i].ip, &set, WALL);
                if (!reason != !rows[i].reason || (reason && strcmp(reason, rows[i].reason) != 0))
                        fail_msg("%s: %s", rows[i].why, reason ? reason : "nothing");
                map_fini(&set.by_hash);
        }
}

static void models_by_pattern(void **state)
{
        const struct str patterns[] = { STR("qwen*"), STR("claude-3-?") };
        struct token some = { .models = patterns, .models_count = 2 }, any = { 0 };

        assert_true(token_may_use_model(&some, STR("qwen3:8b")));
        assert_true(token_may_use_model(&some, STR("claude-3-5")));
        assert_false(token_may_use_model(&some, STR("claude-3-55")));
        assert_false(token_may_use_model(&some, STR("gpt-4")));
        assert_true(token_may_use_model(&any, STR("gpt-4")));
        assert_true(token_may_use_model(NULL, STR("gpt-4")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds_what_is_presented),
                cmocka_unit_test(finds_the_token),
                cmocka_unit_test(rights_that_are_gone),
                cmocka_unit_test(models_by_pattern),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
