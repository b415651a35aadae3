#include "../test.h"

#include "base/compiler.h"
#include "node/overlay.h"

#define KEY_A  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
#define SELF   "{\"address4\":\"100.64.0.9\",\"address6\":\"fd00::9\"}"
#define PEER   "{\"address4\":\"100.64.0.1\",\"address6\":\"fd00::1\",\"tunnel\":\"" KEY_A "\""
#define PLACES "\"addresses\":[\"203.0.113.7:443\",7,\"gw.example.com:8443\"]"

static const uint8_t seed[32] = "thirty-two bytes of a known seed";

static struct wire_document *document_of(enum wire_kind kind, const char *section, const char *self,
                                         const char *peer)
{
        struct wire_header h = { 1, kind, STR("n-a"), STR("default"), 1, 2, 1790000000, 100 };
        struct wire_document *d;
        struct wire_draft *draft;

        assert_err(wire_draft_new(&h, &draft), ERR_OK);
        if (self)
                assert_err(wire_draft_add_json(draft, STR("self"), STR("n-a"), str_of(self)), ERR_OK);
        if (peer)
                assert_err(wire_draft_add_json(draft, str_of(section), STR("n-b"), str_of(peer)), ERR_OK);
        assert_err(wire_draft_finish(&draft, seed, &d), ERR_OK);
        return d;
}

static const struct {
        const char *why;
        enum wire_kind kind;
        const char *section, *self, *peer;
        enum err err;
        size_t peers, places;
        int v4, v6; /* the peer's families */
        unsigned port;
} cases[] = {
        { "an agent's gateway", WIRE_AGENT, "gateways", SELF, PEER "," PLACES "}", ERR_OK, 1, 2, 4, 6 },
        { "a gateway's agent", WIRE_GATEWAY, "agents", SELF, PEER "}", ERR_OK, 1, 0, 4, 6 },
        { "agents are no peers of an agent", WIRE_AGENT, "agents", SELF, PEER "}", ERR_OK, 0, 0, 0, 0 },
        { "a control that says no addresses of ours", WIRE_AGENT, "gateways", NULL, PEER "}", ERR_NOT_FOUND,
          0, 0, 0, 0 },
        { "ours cannot be read", WIRE_AGENT, "gateways", "{\"address4\":\"x\"}", PEER "}", ERR_NOT_FOUND, 0,
          0, 0, 0 },
        { "nobody else", WIRE_AGENT, "gateways", SELF, NULL, ERR_OK, 0, 0, 0, 0 },
        { "control among the gateways has no tunnel", WIRE_AGENT, "gateways", SELF, "{" PLACES "}", ERR_OK, 0,
          0, 0, 0 },
        { "a short key", WIRE_AGENT, "gateways", SELF, "{\"address4\":\"100.64.0.1\",\"tunnel\":\"AAAA\"}",
          ERR_OK, 0, 0, 0, 0 },
        { "no address", WIRE_AGENT, "gateways", SELF, "{\"tunnel\":\"" KEY_A "\"}", ERR_OK, 0, 0, 0, 0 },
        { "one family", WIRE_AGENT, "gateways", SELF, "{\"address6\":\"fd00::1\",\"tunnel\":\"" KEY_A "\"}",
          ERR_OK, 1, 0, 0, 6 },
        { "families that are exchanged", WIRE_AGENT, "gateways", SELF,
          "{\"address4\":\"fd00::1\",\"address6\":\"100.64.0.1\",\"tunnel\":\"" KEY_A "\"}", ERR_OK, 0, 0, 0,
          0 },
        { "addresses that are no list", WIRE_AGENT, "gateways", SELF, PEER ",\"addresses\":\"a:1\"}", ERR_OK,
          1, 0, 4, 6 },
        { "its port", WIRE_AGENT, "gateways", SELF, PEER ",\"overlay\":51821," PLACES "}", ERR_OK, 1, 2, 4, 6,
          51821 },
        { "a port that is none", WIRE_AGENT, "gateways", SELF, PEER ",\"overlay\":65536}", ERR_OK, 1, 0, 4,
          6 },
        { "a port that is no number", WIRE_AGENT, "gateways", SELF, PEER ",\"overlay\":\"1\"}", ERR_OK, 1, 0,
          4, 6 },
};

static void what_a_document_says(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct wire_document *d =
                        document_of(cases[i].kind, cases[i].section, cases[i].self, cases[i].peer);
                struct node_overlay o;

                print_message("%s\n", cases[i].why);
                assert_err(node_overlay_read(d, &o), cases[i].err);
                wire_document_put(d); /* nothing of it is borrowed */
                if (cases[i].err != ERR_OK)
                        continue;
                assert_int_equal(o.v4.family, 4);
                assert_int_equal(o.v6.family, 6);
                assert_int_equal(o.peers_count, cases[i].peers);
                if (cases[i].peers) {
                        assert_str(o.peers[0].id, STR("n-b"));
                        assert_int_equal(o.peers[0].key[31], 1);
                        assert_int_equal(o.peers[0].v4.family, cases[i].v4);
                        assert_int_equal(o.peers[0].v6.family, cases[i].v6);
                        assert_int_equal(o.peers[0].places_count, cases[i].places);
                }
                if (cases[i].peers)
                        assert_int_equal(o.peers[0].port, cases[i].port);
                if (cases[i].places)
                        assert_str(o.peers[0].places[1], STR("gw.example.com:8443"));
                node_overlay_fini(&o);
        }
}

static void nobody_has_joined(void **state)
{
        struct node_overlay o;
        const char *why = "";

        assert_err(node_overlay_load("/there/is/no/such/folder", WIRE_AGENT, &o, &why), ERR_NOT_FOUND);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(what_a_document_says),
                                            cmocka_unit_test(nobody_has_joined) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
