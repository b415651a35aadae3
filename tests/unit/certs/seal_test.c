#include "../test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs/seal.h"
#include "io/file.h"

static char folder[] = "/tmp/sekisho-seal-XXXXXX";
static char path[64];

static void test_key_file(void **state)
{
        struct certs_seal s, again;
        unsigned mode;
        bool is_ours;

        assert_err(certs_seal_open(&s, path, false), ERR_NOT_FOUND);
        assert_err(certs_seal_open(&s, path, true), ERR_OK);
        assert_err(file_mode(path, &mode, &is_ours), ERR_OK);
        assert_int_equal(mode & 0777, 0600);
        assert_err(certs_seal_open(&again, path, false), ERR_OK);
        assert_memory_equal(&s, &again, sizeof(s));
        assert_int_equal(chmod(path, 0640), 0);
        assert_err(certs_seal_open(&again, path, true), ERR_DENIED);
        assert_err(file_write_atomic(path, STR("short\n"), 0600, false), ERR_OK);
        assert_int_equal(chmod(path, 0600), 0);
        assert_err(certs_seal_open(&again, path, true), ERR_MALFORMED);
        certs_seal_fini(&s);
        certs_seal_fini(&again);
}

static void test_boxes(void **state)
{
        struct certs_seal s = { { { 1, 2, 3 } } }, other = { { { 9 } } };
        struct buf box, text;

        buf_init(&box, 1 << 12);
        buf_init_secret(&text, 1 << 12);
        assert_err(certs_seal_close(&s, STR("ca-key"), STR("the key"), &box), ERR_OK);
        assert_int_equal(box.len, 7 + CERTS_SEAL_OVERHEAD);
        assert_err(certs_unseal(&s, STR("ca-key"), buf_str(&box), &text), ERR_OK);
        assert_str(buf_str(&text), STR("the key"));
        assert_err(certs_unseal(&s, STR("document-key"), buf_str(&box), &text), ERR_MALFORMED);
        assert_err(certs_unseal(&other, STR("ca-key"), buf_str(&box), &text), ERR_MALFORMED);
        for (size_t len = 0; len < box.len; len++)
                assert_err(certs_unseal(&s, STR("ca-key"), str_sub(buf_str(&box), 0, len), &text),
                           ERR_MALFORMED);
        for (size_t i = 0; i < box.len; i++) {
                box.ptr[i] ^= 4;
                assert_err(certs_unseal(&s, STR("ca-key"), buf_str(&box), &text), ERR_MALFORMED);
                box.ptr[i] ^= 4;
        }
        assert_int_equal(text.len, 7);
        buf_fini(&box);
        buf_wipe(&text);
}

static int setup(void **state)
{
        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/control.key", folder);
        return 0;
}

static int teardown(void **state)
{
        unlink(path);
        return rmdir(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_key_file), cmocka_unit_test(test_boxes) };

        return cmocka_run_group_tests(tests, setup, teardown);
}
