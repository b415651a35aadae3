#include "../test.h"

#include "wire/name.h"

static void ids(void **state)
{
        static const struct {
                const char *why, *id;
                bool good;
        } cases[] = {
                { "a node's", "gw-abcdefghijklmnop", true },
                { "a digit first", "0a", true },
                { "empty", "", false },
                { "upper case", "GW-a", false },
                { "begins with a mark", "-a", false },
                { "a space would move the canonical text's borders", "a b", false },
                { "a line end, too", "a\nb", false },
                { "64 bytes", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true },
                { "65 bytes", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (wire_id_is_valid(str_of(cases[i].id)) != cases[i].good)
                        fail_msg("%s", cases[i].why);
}

static void node_ids(void **state)
{
        static const uint8_t zero[WIRE_ID_RANDOM_BYTES],
                ones[] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 }, foobar[] = "foobarfoob";
        char out[WIRE_ID_SIZE];
        (void)state;

        assert_str(wire_id_format(STR("gw"), zero, out), STR("gw-aaaaaaaaaaaaaaaa"));
        assert_str(wire_id_format(STR("ag"), ones, out), STR("ag-7777777777777777"));
        /* base32 of "foobarfoob", as coreutils has it. */
        assert_str(wire_id_format(STR("ag"), foobar, out), STR("ag-mzxw6ytbojtg633c"));
}

static void uris(void **state)
{
        static const struct {
                const char *why, *uri;
                enum err err;
                enum wire_kind kind;
                const char *org, *id;
        } cases[] = {
                { "a gateway", "sekisho://default/gateway/gw-a", ERR_OK, WIRE_GATEWAY, "default", "gw-a" },
                { "an agent", "sekisho://o/agent/ag-a", ERR_OK, WIRE_AGENT, "o", "ag-a" },
                { "control", "sekisho://o/control", ERR_OK, WIRE_CONTROL, "o", "" },
                { "control has no id", "sekisho://o/control/x", ERR_MALFORMED, 0, NULL, NULL },
                { "an agent has one", "sekisho://o/agent", ERR_MALFORMED, 0, NULL, NULL },
                { "not an empty one", "sekisho://o/agent/", ERR_MALFORMED, 0, NULL, NULL },
                { "nothing behind it", "sekisho://o/agent/a/b", ERR_MALFORMED, 0, NULL, NULL },
                { "no organisation", "sekisho:///agent/a", ERR_MALFORMED, 0, NULL, NULL },
                { "another kind", "sekisho://o/owner/a", ERR_MALFORMED, 0, NULL, NULL },
                { "another scheme", "spiffe://o/agent/a", ERR_MALFORMED, 0, NULL, NULL },
                { "case counts", "sekisho://o/Agent/a", ERR_MALFORMED, 0, NULL, NULL },
                { "no escapes", "sekisho://o/agent/%61", ERR_MALFORMED, 0, NULL, NULL },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct wire_name name;
                char out[WIRE_URI_SIZE];
                enum err e = wire_name_parse(str_of(cases[i].uri), &name);
                if (e != cases[i].err)
                        fail_msg("%s: %s", cases[i].why, err_name(e));
                if (e != ERR_OK)
                        continue;
                assert_int_equal(name.kind, cases[i].kind);
                assert_str(name.org, str_of(cases[i].org));
                assert_str(name.id, str_of(cases[i].id));
                assert_str(wire_name_format(&name, out), str_of(cases[i].uri));
        }
}

static void hosts(void **state)
{
        static const struct {
                const char *host;
                enum err err;
                enum wire_host which;
                int worker;
        } cases[] = {
                { "control.sekisho.internal", ERR_OK, WIRE_HOST_IS_CONTROL, -1 },
                { "Control.Sekisho.Internal", ERR_OK, WIRE_HOST_IS_CONTROL, -1 },
                { "link.sekisho.internal", ERR_OK, WIRE_HOST_IS_LINK, -1 },
                { "w0.link.sekisho.internal", ERR_OK, WIRE_HOST_IS_LINK, 0 },
                { "W12.link.sekisho.internal", ERR_OK, WIRE_HOST_IS_LINK, 12 },
                { "w1024.link.sekisho.internal", ERR_NOT_FOUND, 0, 0 },
                { "w.link.sekisho.internal", ERR_NOT_FOUND, 0, 0 },
                { "w1xlink.sekisho.internal", ERR_NOT_FOUND, 0, 0 },
                { "x1.link.sekisho.internal", ERR_NOT_FOUND, 0, 0 },
                { "xlink.sekisho.internal", ERR_NOT_FOUND, 0, 0 },
                { "sekisho.internal", ERR_NOT_FOUND, 0, 0 },
                { "app.example.com", ERR_NOT_FOUND, 0, 0 },
                { "", ERR_NOT_FOUND, 0, 0 },
        };
        char out[WIRE_HOST_SIZE];
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                enum wire_host which;
                int worker;
                enum err e = wire_host_parse(str_of(cases[i].host), &which, &worker);
                if (e != cases[i].err ||
                    (e == ERR_OK && (which != cases[i].which || worker != cases[i].worker)))
                        fail_msg("%s", cases[i].host);
        }
        assert_str(wire_host_worker_format(7, out), STR("w7.link.sekisho.internal"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ids),
                cmocka_unit_test(node_ids),
                cmocka_unit_test(uris),
                cmocka_unit_test(hosts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
