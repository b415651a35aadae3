/* The committed manual and schema are what the table says; the schema is JSON. */
#include <stdio.h>
#include <stdlib.h>

#include "../test.h"
#include "conf/schema.h"
#include "json/reader.h"

static void same_as_file(const char *name, void (*write)(struct buf *out))
{
        const char *root = getenv("SEKISHO_SOURCE_ROOT");
        char path[4096];
        static char text[1 << 20];
        struct buf out;

        snprintf(path, sizeof(path), "%s/docs/reference/%s", root ? root : ".", name);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        size_t len = fread(text, 1, sizeof(text), f);
        fclose(f);
        buf_init(&out, sizeof(text));
        write(&out);
        assert_false(out.full);
        if (!str_eq(buf_str(&out), (struct str){ text, len }))
                fail_msg(
                        "%s is out of date; write it anew with: sekisho config schema --%s > docs/reference/%s",
                        path, strstr(name, ".md") ? "markdown" : "json", name);
        buf_fini(&out);
}

static void the_manual(void **state)
{
        same_as_file("config.md", conf_schema_markdown);
}

static void the_schema(void **state)
{
        const struct json_value *root;
        struct arena arena;
        struct buf out;

        same_as_file("sekisho.schema.json", conf_schema_json);
        arena_init(&arena, NULL, 0, 16 << 20);
        buf_init(&out, 1 << 20);
        conf_schema_json(&out);
        assert_err(json_read_strict(&arena, buf_str(&out), NULL, &root), ERR_OK);
        assert_non_null(json_find(json_find(root, STR("properties")), STR("gateway")));
        buf_fini(&out);
        arena_fini(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_manual),
                cmocka_unit_test(the_schema),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
