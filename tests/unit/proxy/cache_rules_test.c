#include "proxy/cache_rules.h"

#include <string.h>

#include "../test.h"

#define NOW 784111777000 /* Sun, 06 Nov 1994 08:49:37 GMT */

/* "Name: value" lines. */
static void head_make(const char *text, struct http_head *head)
{
        struct str rest = str_of(text), line;

        head->fields_count = 0;
        memset(head->first, 0, sizeof(head->first));
        while (rest.len && str_split(&rest, '\n', &line))
                if (line.len)
                        assert_err(http_add(head, str_sub(line, 0, str_find_char(line, ':')),
                                            str_from(line, str_find_char(line, ':') + 1)),
                                   ERR_OK);
}

#define HEAD(name_)                           \
        struct http_field name_##_fields[16]; \
        struct http_head name_ = { .fields = name_##_fields, .fields_max = 16 }

static const struct {
        const char *why, *request, *answer;
        bool has_credentials;
        const char *word; /* NULL: kept */
        int64_t lifetime, initial;
        bool is_for_all;
} cases[] = {
        { "max-age", "", "Cache-Control: max-age=60", false, NULL, 60, 0, false },
        { "s-maxage before max-age", "", "Cache-Control: max-age=60, s-maxage=5", false, NULL, 5, 0, true },
        { "max-age before Expires", "", "Cache-Control: max-age=60\nExpires: Sun, 06 Nov 1994 09:49:37 GMT",
          false, NULL, 60, 0, false },
        { "Expires alone", "", "Expires: Sun, 06 Nov 1994 09:49:37 GMT", false, NULL, 3600, 0, false },
        { "Expires against Date, not our clock", "",
          "Date: Sun, 06 Nov 1994 08:39:37 GMT\nExpires: Sun, 06 Nov 1994 08:49:37 GMT", false, NULL, 600,
          600, false },
        { "Expires that is no date is past", "", "Expires: 0", false, "no-lifetime", 0, 0, false },
        { "Expires twice", "",
          "Expires: Sun, 06 Nov 1994 09:49:37 GMT\nExpires: Sun, 06 Nov 1994 10:49:37 GMT", false,
          "no-lifetime", 0, 0, false },
        { "nothing said: nothing guessed", "", "Last-Modified: Sun, 06 Nov 1984 08:49:37 GMT", false,
          "no-lifetime", 0, 0, false },
        { "the smaller of two", "", "Cache-Control: max-age=60, max-age=5", false, NULL, 5, 0, false },
        { "over two fields", "", "Cache-Control: max-age=60\nCache-Control: max-age=7", false, NULL, 7, 0,
          false },
        { "capitals", "", "Cache-Control: MAX-AGE=60", false, NULL, 60, 0, false },
        { "in quotes", "", "Cache-Control: max-age=\"60\"", false, NULL, 60, 0, false },
        { "no number", "", "Cache-Control: max-age=abc", false, "no-lifetime", 0, 0, false },
        { "a negative one", "", "Cache-Control: max-age=-1", false, "no-lifetime", 0, 0, false },
        { "a fraction", "", "Cache-Control: max-age=1.5", false, "no-lifetime", 0, 0, false },
        { "an endless one", "", "Cache-Control: max-age=999999999999999999999", false, NULL,
          CACHE_SECONDS_MAX, 0, false },
        { "Age as told", "", "Cache-Control: max-age=60\nAge: 50", false, NULL, 60, 50, false },
        { "Age, and the time on the way", "",
          "Cache-Control: max-age=60\nDate: Sun, 06 Nov 1994 08:49:00 GMT", false, NULL, 60, 37, false },
        { "no-store", "", "Cache-Control: max-age=60, no-store", false, "no-store", 0, 0, false },
        { "no-store of the client", "Cache-Control: no-store", "Cache-Control: max-age=60", false, "no-store",
          0, 0, false },
        { "private", "", "Cache-Control: max-age=60, private", false, "private", 0, 0, false },
        { "private of one field: all the same", "", "Cache-Control: max-age=60, private=\"X\"", false,
          "private", 0, 0, false },
        { "in quotes it is a name", "", "Cache-Control: max-age=60, ext=\"a, private\"", false, NULL, 60, 0,
          false },
        { "no-cache with a validator", "", "Cache-Control: no-cache, max-age=60\nETag: \"a\"", false, NULL, 0,
          0, false },
        { "no-cache without", "", "Cache-Control: no-cache, max-age=60", false, "no-lifetime", 0, 0, false },
        { "Set-Cookie", "", "Cache-Control: public, max-age=60\nSet-Cookie: a=b", false, "set-cookie", 0, 0,
          false },
        { "credentials", "", "Cache-Control: max-age=60", true, "credentials", 0, 0, false },
        { "credentials, public", "", "Cache-Control: max-age=60, public", true, NULL, 60, 0, true },
        { "credentials, s-maxage", "", "Cache-Control: s-maxage=60", true, NULL, 60, 0, true },
        { "credentials, must-revalidate", "", "Cache-Control: max-age=60, must-revalidate", true, NULL, 60, 0,
          true },
        { "a part", "", "Cache-Control: max-age=60\nContent-Range: bytes 0-1/2", false, "range", 0, 0,
          false },
};

static void judges(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                HEAD(request);
                HEAD(answer);
                struct cache_age age;

                head_make(cases[i].request, &request);
                head_make(cases[i].answer, &answer);
                answer.status = 200;
                const char *word = cache_judge(&request, cases[i].has_credentials, &answer, NOW, NOW, &age);
                if (word ? !cases[i].word || strcmp(word, cases[i].word) != 0 : cases[i].word != NULL)
                        fail_msg("%s: %s", cases[i].why, word ? word : "kept");
                if (word)
                        continue;
                if (age.lifetime_s != cases[i].lifetime || age.initial_s != cases[i].initial ||
                    age.is_for_all != cases[i].is_for_all)
                        fail_msg("%s: %d %d %d", cases[i].why, (int)age.lifetime_s, (int)age.initial_s,
                                 age.is_for_all);
        }
}

static void other_statuses_and_methods(void **state)
{
        static const struct {
                uint16_t status;
                bool is_kept;
        } statuses[] = { { 200, true },  { 203, true },  { 301, true },  { 308, true },  { 404, true },
                         { 410, true },  { 201, false }, { 204, false }, { 206, false }, { 302, false },
                         { 304, false }, { 403, false }, { 429, false }, { 500, false }, { 503, false } };
        HEAD(request);
        HEAD(answer);
        struct cache_age age;

        head_make("", &request);
        head_make("Cache-Control: max-age=60", &answer);
        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
                answer.status = statuses[i].status;
                assert_int_equal(cache_judge(&request, false, &answer, NOW, NOW, &age) == NULL,
                                 statuses[i].is_kept);
        }
        answer.status = 200;
        request.method = HTTP_POST;
        assert_string_equal(cache_judge(&request, false, &answer, NOW, NOW, &age), "method");
}

static const struct {
        const char *why, *control;
        int64_t after_s;
        enum cache_state state;
        bool on_error;
} ages[] = {
        { "young", "max-age=60", 59, CACHE_FRESH, true },
        { "just over", "max-age=60", 60, CACHE_STALE, false },
        { "stale, but usable", "max-age=60, stale-while-revalidate=10", 69, CACHE_STALE_USABLE, false },
        { "no longer", "max-age=60, stale-while-revalidate=10", 70, CACHE_STALE, false },
        { "the upstream failed", "max-age=60, stale-if-error=10", 69, CACHE_STALE, true },
        { "failed too long", "max-age=60, stale-if-error=10", 70, CACHE_STALE, false },
        { "must-revalidate forbids both",
          "max-age=60, must-revalidate, stale-while-revalidate=9, stale-if-error=9", 61, CACHE_STALE, false },
        { "so does no-cache", "no-cache, stale-while-revalidate=9, stale-if-error=9", 0, CACHE_STALE, false },
        { "the clock went back", "max-age=60", -100, CACHE_FRESH, true },
};

static void ages_well(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
                HEAD(request);
                HEAD(answer);
                struct cache_age age;

                head_make("", &request);
                head_make("ETag: \"a\"", &answer);
                answer.status = 200;
                assert_err(http_add(&answer, STR("Cache-Control"), str_of(ages[i].control)), ERR_OK);
                assert_null(cache_judge(&request, false, &answer, NOW, NOW, &age));
                unix_ms now = NOW + ages[i].after_s * 1000;
                if (cache_state_of(&age, NOW, now) != ages[i].state ||
                    cache_serves_on_error(&age, NOW, now) != ages[i].on_error)
                        fail_msg("%s", ages[i].why);
        }
}

static const struct {
        const char *why, *kept, *asks, *vary;
        bool matches;
} variants[] = {
        { "nothing varies", "A: 1", "A: 2", "X: y", true },
        { "the same", "A: 1", "a:   1 ", "Vary: A", true },
        { "another value", "A: 1", "A: 2", "Vary: a", false },
        { "absent is a value of its own", "B: 1", "A: 1", "Vary: A", false },
        { "absent in both", "B: 1", "B: 2", "Vary: A", true },
        { "two fields are one list", "A: 1\nA: 2", "A: 1, 2", "Vary: A", true },
        { "the case of values counts", "A: x", "A: X", "Vary: A", false },
        { "two names, one differs", "A: 1\nB: 1", "A: 1\nB: 2", "Vary: A\nVary: B", false },
        { "coded varies unsaid", "Accept-Encoding: gzip", "B: 1", "Content-Encoding: gzip", false },
};

static void tells_variants_apart(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
                HEAD(kept);
                HEAD(asks);
                HEAD(answer);
                struct buf vary;

                head_make(variants[i].kept, &kept);
                head_make(variants[i].asks, &asks);
                head_make(variants[i].vary, &answer);
                buf_init(&vary, 4096);
                assert_err(cache_vary_make(&kept, &answer, &vary), ERR_OK);
                assert_true(cache_vary_matches(buf_str(&vary), &kept));
                if (cache_vary_matches(buf_str(&vary), &asks) != variants[i].matches)
                        fail_msg("%s", variants[i].why);
                buf_fini(&vary);
        }
}

static void everything_and_too_much_vary(void **state)
{
        static const char *const varies[] = { "Vary: *", "Vary: A, *", "Vary: a,b,c,d,e,f,g,h,i",
                                              "Vary: a b" };

        for (size_t i = 0; i < ARRAY_SIZE(varies); i++) {
                HEAD(request);
                HEAD(answer);
                struct buf vary;

                head_make("", &request);
                head_make(varies[i], &answer);
                buf_init(&vary, 4096);
                assert_err(cache_vary_make(&request, &answer, &vary), ERR_UNSUPPORTED);
                buf_fini(&vary);
        }
}

static const struct {
        const char *why, *request, *etag, *modified;
        bool has_it;
} conditions[] = {
        { "nothing asked", "", "\"v1\"", "", false },
        { "the tag", "If-None-Match: \"v1\"", "\"v1\"", "", true },
        { "weak against strong", "If-None-Match: W/\"v1\"", "\"v1\"", "", true },
        { "strong against weak", "If-None-Match: \"v1\"", "W/\"v1\"", "", true },
        { "one of several", "If-None-Match: \"a,b\" , \"v1\"", "\"v1\"", "", true },
        { "a comma in a tag", "If-None-Match: \"a,\"v1\"", "\"v1\"", "", false },
        { "any", "If-None-Match: *", "\"v1\"", "", true },
        { "another", "If-None-Match: \"v2\"", "\"v1\"", "", false },
        { "a part of it", "If-None-Match: \"v1", "\"v1\"", "", false },
        { "the tag before the date",
          "If-None-Match: \"v2\"\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "\"v1\"",
          "Sun, 06 Nov 1994 08:49:37 GMT", false },
        { "the date", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "", "Sun, 06 Nov 1994 08:49:37 GMT",
          true },
        { "changed since", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", "",
          "Sun, 06 Nov 1994 08:49:37 GMT", false },
        { "no date", "If-Modified-Since: yesterday", "", "Sun, 06 Nov 1994 08:49:37 GMT", false },
};

static void knows_what_the_client_has(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(conditions); i++) {
                HEAD(request);

                head_make(conditions[i].request, &request);
                if (cache_is_not_modified(&request, str_of(conditions[i].etag),
                                          str_of(conditions[i].modified), NOW) != conditions[i].has_it)
                        fail_msg("%s", conditions[i].why);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(judges),
                cmocka_unit_test(other_statuses_and_methods),
                cmocka_unit_test(ages_well),
                cmocka_unit_test(tells_variants_apart),
                cmocka_unit_test(everything_and_too_much_vary),
                cmocka_unit_test(knows_what_the_client_has),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
