/*
 * The fields a cache reads, from two heads: whatever they say, ages stay within bounds, what must not be kept is not, and what
 * an answer varies by matches the request it answered.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/cache_rules.h"

enum { FIELDS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "name:value" lines; what is no field is passed over. */
static void head_read(struct str text, struct http_head *head)
{
        struct str line;

        while (str_split(&text, '\n', &line)) {
                size_t colon = str_find_char(line, ':');

                if (colon != STR_NONE &&
                    http_add(head, str_sub(line, 0, colon), str_from(line, colon + 1)) == ERR_TOO_LARGE)
                        return;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const unix_ms now = 1790000000000;
        struct str in = { (const char *)data, size };
        size_t cut = MIN(str_find(in, STR("\n\n")), in.len);
        struct http_field a[FIELDS_MAX], b[FIELDS_MAX];
        struct http_head request = { .fields = a, .fields_max = FIELDS_MAX },
                         answer = { .fields = b, .fields_max = FIELDS_MAX, .status = 200 };
        struct cache_control c;
        struct cache_age age;
        struct buf vary;

        if (size == 0)
                return 0;
        head_read(str_sub(in, 0, cut), &request);
        head_read(str_from(in, MIN(cut + 2, in.len)), &answer);
        cache_control_read(&answer, &c);
        assert(c.max_age >= CACHE_ABSENT && c.max_age <= CACHE_SECONDS_MAX);
        for (int i = 0; i < 2; i++) {
                if (cache_judge(&request, i, &answer, now - 1000, now, &age))
                        continue;
                assert(!c.no_store && !c.is_private && !http_find_name(&answer, STR("Set-Cookie")));
                assert(age.lifetime_s >= 0 && age.lifetime_s <= CACHE_SECONDS_MAX);
                assert(age.initial_s >= 1 && age.initial_s <= CACHE_SECONDS_MAX);
                assert(!c.no_cache || cache_state_of(&age, now, now) == CACHE_STALE);
                assert(!i || age.is_for_all);
                (void)cache_serves_on_error(&age, now, now + CACHE_SECONDS_MAX);
        }
        buf_init(&vary, CACHE_VARY_BYTES_MAX * 4);
        if (cache_vary_make(&request, &answer, &vary) == ERR_OK)
                assert(cache_vary_matches(buf_str(&vary), &request));
        buf_fini(&vary);
        (void)cache_is_not_modified(&request, STR("\"v1\""), STR("Sun, 06 Nov 1994 08:49:37 GMT"), now);
        return 0;
}
