#include "gateway/envkeeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../test.h"

static struct str read_env(struct envkeeper *k, const char *name, char out[64], enum err *e)
{
        struct conf_text text = { 0 };

        buf_init(&text.bytes, 64);
        *e = k->source.read(&k->source, CONF_READ_ENV, str_of(name), &text);
        size_t len = text.bytes.len;
        if (len)
                memcpy(out, text.bytes.ptr, len);
        buf_fini(&text.bytes);
        return (struct str){ out, len };
}

/* As another process of the same user would look. */
static bool environ_shows(const char *secret)
{
        static char page[1 << 16];
        FILE *f = fopen("/proc/self/environ", "rb");
        size_t len = fread(page, 1, sizeof(page), f);

        fclose(f);
        return memmem(page, len, secret, strlen(secret)) != NULL;
}

static void keeps_and_takes_out(void **state)
{
        struct conf_source system;
        struct envkeeper k;
        char out[64];
        enum err e;

        conf_source_system(&system, STR("sekisho.json"), 0);
        envkeeper_init(&k);
        envkeeper_over(&k, &system);
        assert_true(environ_shows("sk-planted-in-the-environment"));
        assert_str(read_env(&k, "KEEPER_SECRET", out, &e), STR("sk-planted-in-the-environment"));
        assert_err(e, ERR_OK);
        assert_false(environ_shows("sk-planted-in-the-environment"));
        assert_null(getenv("KEEPER_SECRET"));
        envkeeper_over(&k, &system); /* a reload */
        assert_str(read_env(&k, "KEEPER_SECRET", out, &e), STR("sk-planted-in-the-environment"));
        read_env(&k, "KEEPER_NOT_THERE", out, &e);
        assert_err(e, ERR_NOT_FOUND);
        envkeeper_fini(&k);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(keeps_and_takes_out) };

        if (argc < 2) { /* /proc/self/environ shows what a process began with: begin with the secret */
                setenv("KEEPER_SECRET", "sk-planted-in-the-environment", 1);
                execl(argv[0], argv[0], "again", NULL);
                return 1;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
