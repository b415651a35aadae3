/* Any text as a store's URL and as a page's cursor: what is accepted is shown without its password, and reads the same again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/table.h"
#include "store/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_query(struct str shown)
{
        struct str query = str_from(shown, str_find_char(shown, '?'));

        assert(!str_has_prefix(query, STR("?password=secret")));
        assert(str_find(query, STR("&password=secret")) == STR_NONE);
}

static void check_url(struct str text)
{
        struct store_url url, again;
        struct report report;
        struct buf shown;

        report_init(&report, STR_NULL);
        buf_init(&shown, 16 * 1024);
        if (store_url_parse(text, &report, &url) == ERR_OK) {
                assert(report.errors_count == 0);
                store_url_show(&url, &shown);
                assert(!shown.full);
                if (url.kind == STORE_POSTGRESQL)
                        check_query(buf_str(&shown));
                assert(store_url_parse(buf_str(&shown), &report, &again) == ERR_OK && again.kind == url.kind);
                if (url.kind == STORE_SQLITE)
                        assert(str_eq(again.text, url.text));
        } else {
                assert(report.errors_count == 1);
        }
        buf_fini(&shown);
        report_fini(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size };
        char formatted[STORE_CURSOR_BYTES];
        int64_t after = 0;

        check_url(text);
        if (store_cursor_parse(text, &after) == ERR_OK) {
                assert(after > 0);
                assert(str_eq(store_cursor_format(after, formatted), text));
        }
        return 0;
}
