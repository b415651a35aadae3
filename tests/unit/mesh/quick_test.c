#include "mesh/quick.h"

#include <stdio.h>

#include "../test.h"

#define KEY_A "mSz7eQdXoUwOqHCPkBCfV2Rrb5bJXUmaPHd9dG7UPEY="
#define KEY_B "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="

static struct arena arena;
static struct report report;
static struct mesh_quick quick;

static int setup(void **state)
{
        arena_init(&arena, NULL, 0, 1 << 20);
        report_init(&report, STR("wg0.conf"));
        return 0;
}

static int teardown(void **state)
{
        report_fini(&report);
        arena_fini(&arena);
        return 0;
}

static enum err parse(const char *text)
{
        return mesh_quick_parse(str_of(text), &arena, &report, &quick);
}

static void all_that_wg_quick_knows(void **state)
{
        assert_err(parse("# our tunnel\n"
                         "[Interface]\r\n"
                         "PrivateKey = " KEY_A " # the key\n"
                         "  ListenPort=51820\n"
                         "FwMark = 0xca6c\n"
                         "Address = 10.0.0.1/24, fd00::1/64\n"
                         "Address = 10.0.1.1\n"
                         "DNS = 1.1.1.1, example.com, 2606:4700::1111\n"
                         "MTU = 1380\n"
                         "Table = 1234\n"
                         "PreUp = echo a; echo %i\n"
                         "PostUp = one\nPostUp = two\n"
                         "PreDown = three\nPostDown = four\n"
                         "SaveConfig = true\n"
                         "\n"
                         "[peer]\n"
                         "publickey = " KEY_B "\n"
                         "PRESHAREDKEY = " KEY_A "\n"
                         "AllowedIPs = 10.0.0.2/32,fd00::2/128, 192.168.0.0/16\n"
                         "AllowedIPs = 172.16.0.0/12\n"
                         "Endpoint = [2001:db8::1]:51821\n"
                         "PersistentKeepalive = 25\n"
                         "[Peer]\n"
                         "PublicKey = " KEY_A "\n"
                         "AllowedIPs =\n"
                         "Endpoint = vpn.example.com:443\n"
                         "PersistentKeepalive = off"),
                   ERR_OK);
        assert_true(quick.has_private_key && quick.has_port && quick.has_fwmark && quick.has_mtu);
        assert_int_equal(quick.port, 51820);
        assert_int_equal(quick.fwmark, 0xca6c);
        assert_int_equal(quick.mtu, 1380);
        assert_int_equal(quick.table, MESH_TABLE_NUMBER);
        assert_int_equal(quick.table_number, 1234);
        assert_true(quick.saves_config);
        assert_int_equal(quick.addresses.count, 3);
        assert_int_equal(quick.addresses.items[2].bits, 32);
        assert_int_equal(quick.dns_servers.count, 2);
        assert_int_equal(quick.dns_domains.count, 1);
        assert_str(quick.dns_domains.items[0], STR("example.com"));
        assert_str(quick.pre_up.items[0], STR("echo a; echo %i"));
        assert_int_equal(quick.post_up.count, 2);
        assert_str(quick.post_up.items[1], STR("two"));
        assert_str(quick.post_down.items[0], STR("four"));

        assert_int_equal(quick.peers_count, 2);
        const struct mesh_quick_peer *p = &quick.peers[0];
        assert_true(p->has_preshared_key);
        assert_int_equal(p->allowed_ips.count, 4);
        assert_int_equal(p->endpoint_ip.family, 6);
        assert_int_equal(p->endpoint_port, 51821);
        assert_int_equal(p->keepalive, 25);
        p = &quick.peers[1];
        assert_int_equal(p->allowed_ips.count, 0);
        assert_true(p->has_allowed_ips);
        assert_int_equal(p->endpoint_ip.family, 0);
        assert_str(p->endpoint_host, STR("vpn.example.com"));
        assert_true(p->has_keepalive);
        assert_int_equal(p->keepalive, 0);
}

static const struct {
        const char *why, *text;
        uint32_t line;
        const char *says; /* part of the message */
} wrongs[] = {
        { "key before a section", "MTU = 1400\n[Interface]\n", 1, "begin with [Interface]" },
        { "unknown section", "[Interface]\n[Peers]\n", 2, "[Interface] and [Peer]" },
        { "section not closed", "[Interface\n", 1, "no section" },
        { "two interfaces", "[Interface]\n\n[Interface]\n", 3, "a file describes one" },
        { "unknown key", "[Interface]\nAddres = 10.0.0.1\n", 2, "did you mean Address?" },
        { "a peer's key in the interface", "[Interface]\nEndpoint = a:1\n", 2, "[Interface] has no key" },
        { "an interface's key in a peer", "[Peer]\nPublicKey = " KEY_A "\nDNS = 1.1.1.1\n", 3,
          "[Peer] has no key" },
        { "no equals", "[Interface]\nMTU 1400\n", 2, "key = value" },
        { "no value", "[Interface]\nMTU =\n", 2, "MTU has no value" },
        { "a value that is a comment", "[Interface]\nMTU = # 1400\n", 2, "MTU has no value" },
        { "key too short", "[Interface]\nPrivateKey = abcd\n", 2, "44 letters" },
        { "key of 31 bytes", "[Interface]\nPrivateKey = mSz7eQdXoUwOqHCPkBCfV2Rrb5bJXUmaPHd9dG7UPA==\n", 2,
          "44 letters" },
        { "port too large", "[Interface]\nListenPort = 65536\n", 2, "0 to 65535" },
        { "port negative", "[Interface]\nListenPort = -1\n", 2, "0 to 65535" },
        { "mark without digits", "[Interface]\nFwMark = 0x\n", 2, "a mark" },
        { "mark too large", "[Interface]\nFwMark = 0x100000000\n", 2, "a mark" },
        { "address too long", "[Interface]\nAddress = 10.0.0.1/33\n", 2, "an address" },
        { "address octal", "[Interface]\nAddress = 010.0.0.1/24\n", 2, "an address" },
        { "empty item in a list", "[Interface]\nAddress = 10.0.0.1/24,,10.0.0.2/24\n", 2, "an address" },
        { "MTU too small", "[Interface]\nMTU = 100\n", 2, "an MTU" },
        { "table", "[Interface]\nTable = main\n", 2, "auto, off or a number" },
        { "boolean", "[Interface]\nSaveConfig = yes\n", 2, "true or false" },
        { "endpoint without port", "[Peer]\nPublicKey = " KEY_A "\nEndpoint = example.com\n", 3,
          "an endpoint" },
        { "endpoint without host", "[Peer]\nPublicKey = " KEY_A "\nEndpoint = :51820\n", 3, "an endpoint" },
        { "endpoint with port 0", "[Peer]\nPublicKey = " KEY_A "\nEndpoint = a:0\n", 3, "an endpoint" },
        { "IPv6 without brackets", "[Peer]\nPublicKey = " KEY_A "\nEndpoint = 2001:db8::1:51820\n", 3,
          "an endpoint" },
        { "keepalive too long", "[Peer]\nPublicKey = " KEY_A "\nPersistentKeepalive = 65536\n", 3,
          "seconds" },
        { "peer without key", "[Interface]\n[Peer]\nAllowedIPs = 10.0.0.0/8\n", 2, "no PublicKey" },
};

static void mistakes_are_named(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
                print_message("%s\n", wrongs[i].why);
                assert_err(parse(wrongs[i].text), ERR_CONFIG);
                assert_true(report.errors_count >= 1 && report.entries_count >= 1);
                assert_int_equal(report.entries[0].line, wrongs[i].line);
                if (str_find(report.entries[0].text, str_of(wrongs[i].says)) == STR_NONE)
                        fail_msg("says \"%.*s\"", STR_FMT(report.entries[0].text));
                teardown(NULL);
                setup(NULL);
        }
}

static void a_key_is_not_repeated_in_a_message(void **state)
{
        assert_err(parse("[Interface]\nPrivateKey = SecretSecretSecret\n"), ERR_CONFIG);
        assert_int_equal(report.entries_count, 1);
        assert_int_equal(str_find(report.entries[0].text, STR("Secret")), STR_NONE);
}

static void every_mistake_is_told(void **state)
{
        assert_err(parse("[Interface]\nMTU = 1\nTable = x\nNo = 1\n"), ERR_CONFIG);
        assert_int_equal(report.errors_count, 3);
}

static void out_of_memory_is_no_crash(void **state)
{
        struct buf text;

        buf_init(&text, 1 << 20);
        buf_add(&text, STR("[Interface]\n"));
        for (int i = 0; i < 3000; i++)
                buf_addf(&text, "[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = 10.0.0.0/8, 11.0.0.0/8\n");
        arena_fini(&arena);
        arena_init(&arena, NULL, 0, 100 * 1024);
        assert_err(mesh_quick_parse(buf_str(&text), &arena, &report, &quick), ERR_NO_MEMORY);
        arena_fini(&arena);
        arena_init(&arena, NULL, 0, 8 << 20);
        assert_err(mesh_quick_parse(buf_str(&text), &arena, &report, &quick), ERR_OK);
        assert_int_equal(quick.peers_count, 3000);
        assert_int_equal(quick.peers[2999].allowed_ips.count, 2);
        buf_fini(&text);
}

static void requests(void **state)
{
        struct buf out;

        assert_err(parse("[Interface]\nPrivateKey = " KEY_A "\nListenPort = 5\n[Peer]\nPublicKey = " KEY_B
                         "\nAllowedIPs = 10.0.0.2/32\nEndpoint = 192.0.2.1:7\n"),
                   ERR_OK);
        buf_init(&out, 1 << 16);
        mesh_quick_request(&quick, MESH_QUICK_REPLACE, &out);
        assert_str(buf_str(&out),
                   STR("set=1\nprivate_key=992cfb790757a14c0ea8708f90109f57646b6f96c95d499a3c777d746ed43c46\n"
                       "listen_port=5\nreplace_peers=true\n"
                       "public_key=c809f3e5317e9575c9b5ed78b638b7ce530dabe85ddab614220241801ddf0669\n"
                       "preshared_key=0000000000000000000000000000000000000000000000000000000000000000\n"
                       "endpoint=192.0.2.1:7\npersistent_keepalive_interval=0\nreplace_allowed_ips=true\n"
                       "allowed_ip=10.0.0.2/32\n\n"));
        /* A change says only what the text names. */
        quick.has_private_key = quick.has_port = false;
        quick.peers[0].has_allowed_ips = false;
        quick.peers[0].allowed_ips.count = 0;
        buf_clear(&out);
        mesh_quick_request(&quick, MESH_QUICK_CHANGE, &out);
        assert_str(buf_str(&out),
                   STR("set=1\npublic_key=c809f3e5317e9575c9b5ed78b638b7ce530dabe85ddab614220241801ddf0669\n"
                       "endpoint=192.0.2.1:7\n\n"));
        /* To be made like the file: who is not in it goes. */
        buf_clear(&out);
        assert_err(mesh_quick_sync_request(
                           &quick,
                           STR("listen_port=5\n"
                               "public_key=c809f3e5317e9575c9b5ed78b638b7ce530dabe85ddab614220241801ddf0669\n"
                               "public_key=992cfb790757a14c0ea8708f90109f57646b6f96c95d499a3c777d746ed43c46\n"
                               "errno=0\n\n"),
                           &out),
                   ERR_OK);
        assert_true(str_has_prefix(
                buf_str(&out),
                STR("set=1\npublic_key=992cfb790757a14c0ea8708f90109f57646b6f96c95d499a3c777d746ed43c46\n"
                    "remove=true\npublic_key=c809")));
        buf_fini(&out);
}

static void names_of_interfaces(void **state)
{
        static const struct {
                const char *name;
                bool is_name;
        } names[] = { { "wg0", true },
                      { "a", true },
                      { "wg_=+.-09AZ", true },
                      { "fifteen-letters", true },
                      { "", false },
                      { ".", false },
                      { "..", false },
                      { "sixteen-letters!", false },
                      { "sixteen-letterss", false },
                      { "a/b", false },
                      { "a b", false },
                      { "a%d", false },
                      { "\xc3\xa4", false } };
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_int_equal(mesh_quick_is_name(str_of(names[i].name)), names[i].is_name);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(all_that_wg_quick_knows),
                T(mistakes_are_named),
                T(a_key_is_not_repeated_in_a_message),
                T(every_mistake_is_told),
                T(out_of_memory_is_no_crash),
                T(requests),
                T(names_of_interfaces),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
