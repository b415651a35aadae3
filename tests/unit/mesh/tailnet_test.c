#include "../test.h"

#include "base/compiler.h"
#include "mesh/tailnet.h"

/* ---- status ---- */

static const struct {
        const char *why, *text;
        enum err err;
        bool is_running;
        const char *name, *v4;
        size_t certificates, peers;
} statuses[] = {
        { "ordinary",
          "{\"BackendState\":\"Running\",\"Self\":{\"DNSName\":\"a.ts.net.\",\"TailscaleIPs\":[\"100.64.0.1\",\"fd7a:115c:a1e0::1\"]},"
          "\"CertDomains\":[\"a.ts.net\"],\"Peer\":{\"k\":{\"HostName\":\"b\",\"Online\":true}}}",
          ERR_OK, true, "a.ts.net", "100.64.0.1", 1, 1 },
        { "members nobody knows", "{\"BackendState\":\"Running\",\"New\":{\"a\":[1,{}]},\"Self\":{\"X\":1}}",
          ERR_OK, true, "", NULL, 0, 0 },
        { "only the state", "{\"BackendState\":\"NeedsLogin\"}", ERR_OK, false, "", NULL, 0, 0 },
        { "nulls, as Go writes empty lists",
          "{\"BackendState\":\"Stopped\",\"TailscaleIPs\":null,\"Self\":null,\"CertDomains\":null,\"Peer\":null}",
          ERR_OK, false, "", NULL, 0, 0 },
        { "addresses at the top only", "{\"BackendState\":\"Running\",\"TailscaleIPs\":[\"100.64.0.9\"]}",
          ERR_OK, true, "", "100.64.0.9", 0, 0 },
        { "members of another type",
          "{\"BackendState\":\"Running\",\"Self\":[],\"CertDomains\":{},\"Peer\":[1],\"TailscaleIPs\":\"x\"}",
          ERR_OK, true, "", NULL, 0, 0 },
        { "no state: it is something else", "{\"Self\":{}}", ERR_MALFORMED, false, NULL, NULL, 0, 0 },
        { "cut short", "{\"BackendState\":\"Running\"", ERR_MALFORMED, false, NULL, NULL, 0, 0 },
        { "no JSON", "404 page not found", ERR_MALFORMED, false, NULL, NULL, 0, 0 },
        { "nothing", "", ERR_MALFORMED, false, NULL, NULL, 0, 0 },
};

static void test_status(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
                struct mesh_tailnet_status s;
                struct arena a;
                struct ip ip = { 0 };

                arena_init(&a, NULL, 0, 1 << 20);
                if (mesh_tailnet_status_read(str_of(statuses[i].text), &a, &s) != statuses[i].err)
                        fail_msg("%s", statuses[i].why);
                if (statuses[i].err == ERR_OK) {
                        if (statuses[i].v4)
                                assert_err(ip_parse(str_of(statuses[i].v4), &ip), ERR_OK);
                        if (s.is_running != statuses[i].is_running ||
                            !str_eq(s.self.name, str_of(statuses[i].name)) || !ip_eq(s.self.v4, ip) ||
                            s.certificates_count != statuses[i].certificates ||
                            s.peers_count != statuses[i].peers)
                                fail_msg("%s", statuses[i].why);
                }
                arena_fini(&a);
        }
}

/* ---- who ---- */

#define USER(login)  "{\"Node\":{\"Name\":\"pc.ts.net.\"},\"UserProfile\":{\"LoginName\":\"" login "\"}}"
#define TAGGED(tags) "{\"Node\":{\"Tags\":" tags "},\"UserProfile\":{\"LoginName\":\"tagged-devices\"}}"

static const struct {
        const char *why, *text;
        enum err err;
        const char *login, *tag; /* tag: the first */
} owners[] = {
        { "a user", USER("alice@example.com"), ERR_OK, "alice@example.com", NULL },
        { "a star in a login is a star", USER("*"), ERR_OK, "*", NULL },
        { "a tagged machine is nobody's", TAGGED("[\"tag:ci\",\"tag:x\"]"), ERR_OK, "", "tag:ci" },
        { "and what stands there as its user does not count",
          "{\"Node\":{\"Tags\":[\"tag:ci\"]},\"UserProfile\":{\"LoginName\":\"alice\"}}", ERR_OK, "",
          "tag:ci" },
        { "empty tags are none", "{\"Node\":{\"Tags\":[]},\"UserProfile\":{\"LoginName\":\"alice\"}}", ERR_OK,
          "alice", NULL },
        { "tagged, and the tags are missing",
          "{\"Node\":{},\"UserProfile\":{\"LoginName\":\"tagged-devices\"}}", ERR_MALFORMED, NULL, NULL },
        { "no node", "{\"UserProfile\":{\"LoginName\":\"alice\"}}", ERR_MALFORMED, NULL, NULL },
        { "no login", "{\"Node\":{},\"UserProfile\":{}}", ERR_MALFORMED, NULL, NULL },
        { "a login like a tag", USER("tag:ci"), ERR_MALFORMED, NULL, NULL },
        { "a login of two lines", USER("alice\\nbob"), ERR_MALFORMED, NULL, NULL },
        { "tags of another type: not taken for none",
          "{\"Node\":{\"Tags\":\"tag:ci\"},\"UserProfile\":{\"LoginName\":\"alice\"}}", ERR_MALFORMED, NULL,
          NULL },
        { "a tag that is none", TAGGED("[\"ci\"]"), ERR_MALFORMED, NULL, NULL },
        { "one that is a number", TAGGED("[1]"), ERR_MALFORMED, NULL, NULL },
        { "an error's text", "no match for IP:port", ERR_MALFORMED, NULL, NULL },
};

static void test_owners(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
                struct mesh_tailnet_owner who;
                struct arena a;

                arena_init(&a, NULL, 0, 1 << 20);
                if (mesh_tailnet_owner_read(str_of(owners[i].text), &a, &who) != owners[i].err)
                        fail_msg("%s", owners[i].why);
                if (owners[i].err == ERR_OK &&
                    (!str_eq(who.login, str_of(owners[i].login)) ||
                     !str_eq(who.tags.count ? who.tags.items[0] : STR(""), str_of(owners[i].tag))))
                        fail_msg("%s", owners[i].why);
                arena_fini(&a);
        }
}

/* Whatever does not fit is an error, and never somebody else. */
static void test_small_arenas(void **state)
{
        (void)state;
        for (size_t bytes = 0; bytes < 4096; bytes += 64) {
                struct mesh_tailnet_owner who;
                struct mesh_tailnet_status s;
                struct arena a;

                arena_init(&a, NULL, 0, bytes);
                enum err e = mesh_tailnet_owner_read(str_of(owners[0].text), &a, &who);
                assert_true(e == ERR_NO_MEMORY ||
                            (e == ERR_OK && str_eq(who.login, str_of(owners[0].login))));
                arena_fini(&a);
                arena_init(&a, NULL, 0, bytes);
                e = mesh_tailnet_status_read(str_of(statuses[0].text), &a, &s);
                assert_true(e == ERR_NO_MEMORY || e == ERR_OK);
                arena_fini(&a);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_status),
                cmocka_unit_test(test_owners),
                cmocka_unit_test(test_small_arenas),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
