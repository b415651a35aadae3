/*
 * Accept as a stranger sends it (up to the first line end), and the rest as host and path of a page: nothing of them stands
 * in the page as markup.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/error_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str all = { (const char *)data, size };
        size_t line = MIN(str_find_char(all, '\n'), size);
        struct http_field field = { .name = STR("Accept"), .value = str_sub(all, 0, line) };
        struct http_head head = { .fields = &field, .fields_count = 1, .fields_max = 1 };
        struct error_page page = { 400, 599, STR("[{host}|{path}]") };
        struct error_page_facts facts = { .status = 400, .message = "m", .request_id = "id" };
        struct buf out;

        facts.host = facts.path = str_from(all, line);
        (void)error_page_is_wanted(&head);
        buf_init(&out, 1 << 20);
        error_page_format(&page, &facts, &out);
        struct str made = buf_str(&out);
        assert(out.full || (made.len >= 3 && made.ptr[0] == '[' && made.ptr[made.len - 1] == ']'));
        for (size_t i = 0; i < made.len; i++)
                assert(made.ptr[i] != '<' && made.ptr[i] != '>' && made.ptr[i] != '"' && made.ptr[i] != '\'');
        buf_fini(&out);
        return 0;
}
