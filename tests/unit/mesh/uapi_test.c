#include "mesh/uapi.h"

#include <errno.h>
#include <stdio.h>

#include "../test.h"

#define KEY_A "992cfb790757a14c0ea8708f90109f57646b6f96c95d499a3c777d746ed43c46"
#define KEY_B "c809f3e5317e9575c9b5ed78b638b7ce530dabe85ddab614220241801ddf0669"
#define ZERO  "0000000000000000000000000000000000000000000000000000000000000000"

static struct wg_device *device;
static struct buf answer;
static uint16_t port;
static uint32_t mark;

static void fill(void *context, void *out, size_t len)
{
        memset(out, 5, len);
}

static enum err listen_fake(void *context, uint16_t to)
{
        if (to == 1)
                return ERR_EXISTS;
        port = to;
        return ERR_OK;
}

static enum err mark_fake(void *context, uint32_t to)
{
        mark = to;
        return ERR_OK;
}

static int setup(void **state)
{
        struct wg_device_conf conf = { .peers_max = 3, .mtu = 1420, .random = { fill, NULL } };

        port = 0;
        mark = 0;
        device = wg_device_new(&conf);
        buf_init(&answer, 1 << 16);
        return device ? 0 : -1;
}

static int teardown(void **state)
{
        wg_device_free(device);
        buf_fini(&answer);
        return 0;
}

static bool ask(const char *request)
{
        struct mesh_uapi_target t = { .device = device,
                                      .now = 1000,
                                      .port = port,
                                      .fwmark = mark,
                                      .listen = listen_fake,
                                      .set_fwmark = mark_fake };

        buf_clear(&answer);
        return mesh_uapi_answer(&t, str_of(request), &answer);
}

static void expect_answer(const char *request, const char *expected)
{
        (void)ask(request);
        assert_str(buf_str(&answer), str_of(expected));
}

static void what_is_set_is_what_is_got(void **state)
{
        expect_answer("get=1\n\n", "errno=0\n\n");
        assert_true(ask("set=1\nprivate_key=" KEY_A "\nlisten_port=51820\nfwmark=12\nreplace_peers=true\n"
                        "public_key=" KEY_B "\npreshared_key=" KEY_A "\nendpoint=[fe80::1%3]:7\n"
                        "persistent_keepalive_interval=25\nreplace_allowed_ips=true\nallowed_ip=10.0.0.9/24\n"
                        "allowed_ip=fd00::/8\nprotocol_version=1\n"
                        "public_key=" KEY_A "\nendpoint=192.0.2.1:9\n\n"));
        assert_str(buf_str(&answer), STR("errno=0\n\n"));
        /* The private key comes back in its clamped form. */
        (void)ask("get=1\n\n");
        struct str text = buf_str(&answer);
        size_t rest = str_find(text, STR("\nlisten_port"));
        assert_true(str_has_prefix(text, STR("private_key=982cfb79")));
        assert_str(str_from(text, rest),
                   STR("\nlisten_port=51820\nfwmark=12\n"
                       "public_key=" KEY_B "\npreshared_key=" KEY_A "\nprotocol_version=1\n"
                       "endpoint=[fe80::1%3]:7\nlast_handshake_time_sec=0\n"
                       "last_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n"
                       "persistent_keepalive_interval=25\nallowed_ip=10.0.0.0/24\n"
                       "allowed_ip=fd00::/8\n"
                       "public_key=" KEY_A "\npreshared_key=" ZERO "\nprotocol_version=1\n"
                       "endpoint=192.0.2.1:9\nlast_handshake_time_sec=0\n"
                       "last_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n"
                       "persistent_keepalive_interval=0\nerrno=0\n\n"));
}

static const struct {
        const char *why, *request;
        int number;
} wrongs[] = {
        { "neither get nor set", "hello\n\n", EINVAL },
        { "get with more", "get=1\nfoo=1\n\n", EINVAL },
        { "get of version 2", "get=2\n\n", EINVAL },
        { "unknown key", "set=1\nfoo=1\n\n", EINVAL },
        { "no equals", "set=1\nfoo\n\n", EINVAL },
        { "a peer's key before a peer", "set=1\nallowed_ip=10.0.0.0/8\n\n", EINVAL },
        { "the interface's key behind a peer", "set=1\npublic_key=" KEY_B "\nlisten_port=5\n\n", EINVAL },
        { "key too short", "set=1\nprivate_key=99\n\n", EINVAL },
        { "key in base64", "set=1\npublic_key=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n\n", EINVAL },
        { "port too large", "set=1\nlisten_port=65536\n\n", EINVAL },
        { "port taken", "set=1\nlisten_port=1\n\n", EADDRINUSE },
        { "replace_peers=false", "set=1\nreplace_peers=false\n\n", EINVAL },
        { "endpoint without port", "set=1\npublic_key=" KEY_B "\nendpoint=192.0.2.1\n\n", EINVAL },
        { "endpoint that is a name", "set=1\npublic_key=" KEY_B "\nendpoint=example.com:5\n\n", EINVAL },
        { "endpoint with port 0", "set=1\npublic_key=" KEY_B "\nendpoint=192.0.2.1:0\n\n", EINVAL },
        { "scope that is a name", "set=1\npublic_key=" KEY_B "\nendpoint=[fe80::1%eth0]:5\n\n", EINVAL },
        { "prefix too long", "set=1\npublic_key=" KEY_B "\nallowed_ip=10.0.0.0/33\n\n", EINVAL },
        { "keepalive too long", "set=1\npublic_key=" KEY_B "\npersistent_keepalive_interval=65536\n\n",
          EINVAL },
        { "another protocol", "set=1\npublic_key=" KEY_B "\nprotocol_version=2\n\n", EAFNOSUPPORT },
};

static void a_set_with_a_mistake_changes_nothing(void **state)
{
        assert_true(ask("set=1\npublic_key=" KEY_A "\nallowed_ip=10.0.0.0/8\n\n"));
        for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
                char expected[32];
                struct buf request;

                print_message("%s\n", wrongs[i].why);
                snprintf(expected, sizeof(expected), "errno=%d\n\n", wrongs[i].number);
                expect_answer(wrongs[i].request, expected);
                /* The same behind something good. */
                buf_init(&request, 4096);
                if (str_has_prefix(str_of(wrongs[i].request), STR("set=1\npublic"))) {
                        buf_addf(&request, "set=1\nreplace_peers=true\n%s", wrongs[i].request + 6);
                        buf_add_char(&request, '\0');
                        expect_answer(request.ptr, expected);
                }
                buf_fini(&request);
                assert_int_equal(wg_device_peers_count(device), 1);
        }
}

static void peers_come_and_go(void **state)
{
        (void)ask("set=1\nprivate_key=" KEY_A "\npublic_key=" KEY_B "\nallowed_ip=10.0.0.0/8\n\n");
        assert_int_equal(wg_device_peers_count(device), 1);
        /* update_only makes nobody. */
        (void)ask("set=1\npublic_key=" KEY_A "\nupdate_only=true\nallowed_ip=11.0.0.0/8\n\n");
        assert_int_equal(wg_device_peers_count(device), 1);
        /* One prefix away, another to itself. */
        (void)ask("set=1\npublic_key=" KEY_B
                  "\nupdate_only=true\nallowed_ip=-10.0.0.0/8\nallowed_ip=-9.0.0.0/8\n"
                  "allowed_ip=12.0.0.0/8\n\n");
        assert_str(str_sub(buf_str(&answer), 0, 8), STR("errno=0\n"));
        struct ip ip;
        assert_err(ip_parse(STR("10.0.0.1"), &ip), ERR_OK);
        assert_null(wg_device_route(device, ip));
        assert_err(ip_parse(STR("12.0.0.1"), &ip), ERR_OK);
        assert_non_null(wg_device_route(device, ip));
        (void)ask("set=1\npublic_key=" KEY_B "\nremove=true\n\n");
        assert_int_equal(wg_device_peers_count(device), 0);
        /* Removing nobody is no error, and makes nobody for long. */
        expect_answer("set=1\npublic_key=" KEY_B "\nremove=true\n\n", "errno=0\n\n");
        assert_int_equal(wg_device_peers_count(device), 0);
}

static void ones_own_key_in_a_list_is_passed_over(void **state)
{
        char request[400];
        char own[65] = { 0 };

        (void)ask("set=1\nprivate_key=" KEY_A "\n\n");
        for (size_t i = 0; i < 32; i++)
                snprintf(own + 2 * i, 3, "%02x", wg_device_public_key(device)[i]);
        snprintf(request, sizeof(request),
                 "set=1\npublic_key=%s\nallowed_ip=10.0.0.0/8\npublic_key=" KEY_B "\n\n", own);
        expect_answer(request, "errno=0\n\n");
        assert_int_equal(wg_device_peers_count(device), 1);
}

static void peers_max_is_an_answer(void **state)
{
        expect_answer("set=1\npublic_key=" KEY_A "\npublic_key=" KEY_B "\npublic_key=11" KEY_A "\n\n",
                      "errno=22\n\n");
        expect_answer("set=1\npublic_key=" KEY_A "\npublic_key=" KEY_B
                      "\npublic_key=0101010101010101010101010101010101010101010101010101010101010101"
                      "\npublic_key=0202020202020202020202020202020202020202020202020202020202020202\n\n",
                      "errno=28\n\n");
}

static void requests_end_with_an_empty_line(void **state)
{
        assert_int_equal(mesh_uapi_request_len(STR("get=1\n")), 0);
        assert_int_equal(mesh_uapi_request_len(STR("get=1\n\nget")), 7);
        assert_int_equal(mesh_uapi_request_len(STR("")), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(what_is_set_is_what_is_got), T(a_set_with_a_mistake_changes_nothing),
                T(peers_come_and_go),          T(ones_own_key_in_a_list_is_passed_over),
                T(peers_max_is_an_answer),     T(requests_end_with_an_empty_line),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
