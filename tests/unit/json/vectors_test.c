/*
 * The JSON test suite, where ../shared/vectors (or $SEKISHO_VECTORS) stands beside the checkout: y_ must be read, n_ must
 * be refused, i_ may be either but must not crash. Two y_ files hold duplicate keys, which this reader refuses unless asked.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "../test.h"
#include "json/reader.h"

static char *file_read(const char *path, size_t *len)
{
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        fseek(f, 0, SEEK_END);
        *len = (size_t)ftell(f);
        rewind(f);
        char *text = malloc(*len ? *len : 1); /* exactly its size: the sanitizer sees a read too far */
        assert_int_equal(fread(text, 1, *len, f), *len);
        fclose(f);
        return text;
}

static enum err read_as(struct str text, const struct json_options *options)
{
        struct arena arena;
        struct report report;
        const struct json_value *root = NULL;

        arena_init(&arena, NULL, 0, 16 * 1024 * 1024);
        report_init(&report, STR("vector"));
        enum err e = json_read(&arena, text, options, &report, &root);
        assert_int_equal(report.errors_count, e == ERR_OK ? 0 : 1);
        assert_true((root != NULL) == (e == ERR_OK));
        report_fini(&report);
        arena_fini(&arena);
        return e;
}

static void check(const char *name, struct str text)
{
        bool has_duplicate = strstr(name, "duplicated_key") != NULL;
        struct json_options options = { .mode = JSON_STRICT };
        enum err e = read_as(text, &options);

        if (has_duplicate) {
                assert_err(e, ERR_MALFORMED);
                options.duplicates_allowed = true;
                e = read_as(text, &options);
        }
        if (name[0] == 'y' && e != ERR_OK)
                fail_msg("%s must be read, got ERR_%s", name, err_name(e));
        if (name[0] == 'n' && e == ERR_OK)
                fail_msg("%s must be refused", name);
        /* huJSON takes all that strict JSON takes. */
        options.mode = JSON_HUJSON;
        if (e == ERR_OK)
                assert_err(read_as(text, &options), ERR_OK);
        else
                (void)read_as(text, &options);
}

static void test_vectors(void **state)
{
        const char *vectors = getenv("SEKISHO_VECTORS"), *source = getenv("SEKISHO_SOURCE_ROOT");
        char folder[4000], path[4400];
        size_t count = 0;

        if (vectors)
                snprintf(folder, sizeof(folder), "%s/json", vectors);
        else
                snprintf(folder, sizeof(folder), "%s/../shared/vectors/json", source ? source : ".");
        DIR *dir = opendir(folder);
        if (!dir)
                leave_out("no folder %s to check against", folder);
        for (struct dirent *entry; (entry = readdir(dir));) {
                size_t len;

                if (!strstr(entry->d_name, ".json"))
                        continue;
                snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
                char *text = file_read(path, &len);
                check(entry->d_name, (struct str){ text, len });
                free(text);
                count++;
        }
        closedir(dir);
        assert_true(count > 300);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
