#include "io/nodename.h"

#include "../test.h"

static const struct {
        const char *why;
        struct str names;
        enum err err;
        enum node_kind kind;
        const char *org, *id;
} cases[] = {
        { "an agent", STR_INIT("URI:sekisho://home/agent/ag-1"), ERR_OK, NODE_AGENT, "home", "ag-1" },
        { "among others", STR_INIT("DNS:a,URI:spiffe://b/c,URI:sekisho://o/gateway/gw-x,email:d"), ERR_OK,
          NODE_GATEWAY, "o", "gw-x" },
        { "control has no id", STR_INIT("URI:sekisho://o/control"), ERR_OK, NODE_CONTROL, "o", "" },
        { "none", STR_INIT("DNS:a,URI:spiffe://b/c"), ERR_NOT_FOUND, 0, "", "" },
        { "no names", STR_INIT(""), ERR_NOT_FOUND, 0, "", "" },
        { "two", STR_INIT("URI:sekisho://o/agent/ag-1,URI:sekisho://o/agent/ag-2"), ERR_MALFORMED, 0, "",
          "" },
        { "the same twice", STR_INIT("URI:sekisho://o/agent/a,URI:sekisho://o/agent/a"), ERR_MALFORMED, 0, "",
          "" },
        { "two, one in capitals", STR_INIT("URI:sekisho://o/agent/a,URI:SEKISHO://o/agent/b"), ERR_MALFORMED,
          0, "", "" },
        { "capitals alone", STR_INIT("URI:SEKISHO://o/agent/b"), ERR_MALFORMED, 0, "", "" },
        { "as another kind of name", STR_INIT("DNS:sekisho://o/agent/b"), ERR_NOT_FOUND, 0, "", "" },
        { "unknown kind", STR_INIT("URI:sekisho://o/relay/b"), ERR_MALFORMED, 0, "", "" },
        { "no id", STR_INIT("URI:sekisho://o/agent"), ERR_MALFORMED, 0, "", "" },
        { "empty id", STR_INIT("URI:sekisho://o/agent/"), ERR_MALFORMED, 0, "", "" },
        { "more behind the id", STR_INIT("URI:sekisho://o/agent/a/b"), ERR_MALFORMED, 0, "", "" },
        { "control with an id", STR_INIT("URI:sekisho://o/control/a"), ERR_MALFORMED, 0, "", "" },
        { "empty organisation", STR_INIT("URI:sekisho:///agent/a"), ERR_MALFORMED, 0, "", "" },
        { "escaped bytes", STR_INIT("URI:sekisho://o/agent/a%2C"), ERR_MALFORMED, 0, "", "" },
        { "an id of 65",
          STR_INIT("URI:sekisho://o/agent/"
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
          ERR_MALFORMED, 0, "", "" },
};

static void finds_the_one_name(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct node_name n;
                enum err e = node_name_find(cases[i].names, &n);

                if (e != cases[i].err)
                        fail_msg("%s: ERR_%s", cases[i].why, err_name(e));
                if (e != ERR_OK)
                        continue;
                assert_int_equal(n.kind, cases[i].kind);
                assert_str(node_org(&n), str_of(cases[i].org));
                assert_str(node_id(&n), str_of(cases[i].id));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(finds_the_one_name) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
