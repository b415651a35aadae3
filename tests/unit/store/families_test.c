/* Each family: added, read, listed, edited with its revision, refused where it must be. */
#include "kit.h"

#include "store/certificates.h"
#include "store/controls.h"
#include "store/domains.h"
#include "store/keys.h"
#include "store/nodes.h"
#include "store/orgs.h"
#include "store/services.h"
#include "store/settings.h"
#include "store/shares.h"
#include "store/tokens.h"

#define CHANGE(t) store_change_begin((t), 1, &kit_actor, "test.change")

static struct store_node node_of(struct arena *a, const char *name, uint8_t key)
{
        return (struct store_node){ .org = 1,
                                    .kind = STORE_AGENT,
                                    .state = STORE_NODE_ACTIVE,
                                    .name = str_of(name),
                                    .tls_key = kit_bytes(a, 44, key),
                                    .wg_key = kit_bytes(a, 32, key),
                                    .created = kit_now,
                                    .settings = STR("{}"),
                                    .facts = STR("{}") };
}

static enum err add_node(struct store_txn *t, void *context)
{
        struct store_change *c = CHANGE(t);
        enum err e = store_node_add(c, context);

        return e == ERR_OK ? store_change_finish(c) : e;
}

static enum err update_node(struct store_txn *t, void *context)
{
        struct store_change *c = CHANGE(t);
        enum err e = store_node_update(c, context);

        return e == ERR_OK ? store_change_finish(c) : e;
}

struct get_node {
        int64_t org, id;
        struct arena *arena;
        struct store_node node;
};

static enum err get_node(struct store_txn *t, void *context)
{
        struct get_node *g = context;

        return store_node_get(t, g->org, g->id, g->arena, &g->node);
}

static void test_a_row_comes_back_as_it_went(void **state)
{
        struct kit *k = *state;
        struct store_node node = node_of(&k->arena, "home \xe9\x96\xa2", 7);
        struct get_node g = { .org = 1, .arena = &k->arena };

        assert_err(ip_parse(STR("100.64.0.9"), &node.address4), ERR_OK);
        node.kind = STORE_GATEWAY;
        node.expires = kit_now + 5;
        kit_run(k, add_node, &node);
        assert_true(node.id > 1 && node.revision == 1);
        kit_reopen(k);
        g.id = node.id;
        kit_run(k, get_node, &g);
        assert_str(g.node.name, node.name);
        assert_str(g.node.tls_key, node.tls_key);
        assert_str(g.node.wg_key, node.wg_key);
        assert_str(g.node.seal_key, STR_NULL);
        assert_str(g.node.settings, STR("{}"));
        assert_true(ip_eq(g.node.address4, node.address4));
        assert_int_equal(g.node.address6.family, 0);
        assert_int_equal(g.node.kind, STORE_GATEWAY);
        assert_int_equal(g.node.state, STORE_NODE_ACTIVE);
        assert_int_equal(g.node.expires, kit_now + 5);
        assert_int_equal(g.node.org, 1);
        assert_int_equal(g.node.revision, 1);
        assert_int_equal(g.node.token, 0);
}

static void test_what_is_refused(void **state)
{
        struct kit *k = *state;
        struct store_node first = node_of(&k->arena, "a", 1);
        static const struct {
                const char *why;
                struct str name;
                uint8_t key;
                int64_t org, token;
                enum err err;
        } cases[] = {
                { "the name is taken", STR_INIT("a"), 2, 1, 0, ERR_EXISTS },
                { "the key is pinned for another", STR_INIT("b"), 1, 1, 0, ERR_EXISTS },
                { "no such organisation", STR_INIT("b"), 2, 77, 0, ERR_NOT_FOUND },
                { "a NUL in a name", STR_INIT("b\0c"), 2, 1, 0, ERR_MALFORMED },
                { "half a letter", STR_INIT("b\xc3"), 2, 1, 0, ERR_MALFORMED },
                { "quotes are text", STR_INIT("'; DROP TABLE nodes; --\"\\"), 2, 1, 0, ERR_OK },
                { "signs of both engines' parameters are text", STR_INIT("$1 ?1 :a @b {int}"), 3, 1, 0,
                  ERR_OK },
        };

        kit_run(k, add_node, &first);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct store_node node = node_of(&k->arena, "", cases[i].key);
                node.name = cases[i].name;
                node.org = cases[i].org;
                enum err e = kit_try(k->store, add_node, &node);
                if (e != cases[i].err)
                        fail_msg("%s: ERR_%s", cases[i].why, err_name(e));
        }
}

static void test_an_edit_needs_the_revision_it_read(void **state)
{
        struct kit *k = *state;
        struct store_node node = node_of(&k->arena, "a", 1), stale;
        struct get_node g = { .org = 1, .arena = &k->arena };

        kit_run(k, add_node, &node);
        stale = node;
        node.name = STR("b");
        node.last_seen = 99; /* quiet: an edit does not write it */
        kit_run(k, update_node, &node);
        assert_int_equal(node.revision, 2);
        stale.name = STR("c");
        assert_err(kit_try(k->store, update_node, &stale), ERR_STALE);
        g.id = node.id;
        kit_run(k, get_node, &g);
        assert_str(g.node.name, STR("b"));
        assert_int_equal(g.node.revision, 2);
        assert_int_equal(g.node.last_seen, 0);
        node.id = 999999;
        assert_err(kit_try(k->store, update_node, &node), ERR_NOT_FOUND);
}

static enum err add_org(struct store_txn *t, void *context)
{
        struct store_change *c = CHANGE(t);
        enum err e = store_org_add(c, context);

        return e == ERR_OK ? store_change_finish(c) : e;
}

static void test_another_organisation_sees_nothing(void **state)
{
        struct kit *k = *state;
        struct store_org other = { .name = STR("other"), .created = kit_now };
        struct store_node node = node_of(&k->arena, "a", 1), twin = node_of(&k->arena, "a", 2);
        struct get_node g = { .arena = &k->arena };

        kit_run(k, add_org, &other);
        assert_int_equal(other.org, other.id);
        kit_run(k, add_node, &node);
        twin.org = other.id;
        kit_run(k, add_node, &twin); /* names are unique in one organisation only */
        g.id = node.id;
        g.org = other.id;
        assert_err(kit_try(k->store, get_node, &g), ERR_NOT_FOUND);
        g.org = 0;
        kit_run(k, get_node, &g);
        node.org = other.id;
        assert_err(kit_try(k->store, update_node, &node), ERR_NOT_FOUND);
}

struct service_and_target {
        struct store_service service;
        struct store_target target;
};

static enum err add_service(struct store_txn *t, void *context)
{
        struct service_and_target *s = context;
        struct store_change *c = CHANGE(t);
        enum err e = s->service.id ? ERR_OK : store_service_add(c, &s->service);

        s->target.service = s->service.id;
        if (e == ERR_OK)
                e = store_target_add(c, &s->target);
        return e == ERR_OK ? store_change_finish(c) : e;
}

static struct service_and_target service_of(const char *name)
{
        return (struct service_and_target){
                { .org = 1, .name = str_of(name), .hosts = STR("[\"app.example.com\"]"), .is_enabled = true },
                { .org = 1, .url = STR("http://localhost:8080"), .weight = 1, .is_enabled = true },
        };
}

struct ids {
        int64_t org, id, revision;
};

static enum err remove_service(struct store_txn *t, void *context)
{
        struct ids *ids = context;
        struct store_change *c = CHANGE(t);
        enum err e = store_service_remove(c, ids->org, ids->id, ids->revision);

        return e == ERR_OK ? store_change_finish(c) : e;
}

static enum err retire_service(struct store_txn *t, void *context)
{
        struct ids *ids = context;
        struct store_change *c = CHANGE(t);
        enum err e = store_service_retire(c, ids->org, ids->id, ids->revision);

        return e == ERR_OK ? store_change_finish(c) : e;
}

static enum err retire_node(struct store_txn *t, void *context)
{
        struct ids *ids = context;
        struct store_change *c = CHANGE(t);
        enum err e = store_node_retire(c, ids->org, ids->id, ids->revision);

        return e == ERR_OK ? store_change_finish(c) : e;
}

static void test_a_service_goes_with_its_targets(void **state)
{
        struct kit *k = *state;
        struct store_node node = node_of(&k->arena, "a", 1), again = node_of(&k->arena, "a", 1);
        struct service_and_target s = service_of("app");
        struct ids ids = { 1, 0, 0 }, node_ids = { 1, 0, 0 };

        kit_run(k, add_node, &node);
        s.target.node = node.id;
        kit_run(k, add_service, &s);
        ids.id = s.service.id;
        node_ids.id = node.id;
        assert_err(kit_try(k->store, remove_service, &ids), ERR_EXISTS);
        assert_err(kit_try(k->store, retire_node, &node_ids), ERR_EXISTS);
        ids.revision = 7;
        assert_err(kit_try(k->store, retire_service, &ids), ERR_STALE);
        ids.revision = 1;
        kit_run(k, retire_service, &ids);
        assert_err(kit_try(k->store, retire_service, &ids), ERR_NOT_FOUND);
        kit_run(k, retire_node, &node_ids);
        assert_err(kit_try(k->store, retire_node, &node_ids), ERR_NOT_FOUND);
        kit_run(k, add_node, &again); /* name and keys are free again */
        assert_int_not_equal(again.id, node.id);
}

static void test_nothing_refers_across_organisations(void **state)
{
        struct kit *k = *state;
        struct store_org other = { .name = STR("other") };
        struct service_and_target s = service_of("app"), foreign = service_of("app");
        struct store_node node = node_of(&k->arena, "a", 1);

        kit_run(k, add_org, &other);
        kit_run(k, add_service, &s);
        kit_run(k, add_node, &node);
        foreign.service.org = foreign.target.org = other.id;
        foreign.target.node = node.id;
        assert_err(kit_try(k->store, add_service, &foreign), ERR_NOT_FOUND);
        foreign.target.node = 0;
        foreign.service.id = s.service.id;
        assert_err(kit_try(k->store, add_service, &foreign), ERR_NOT_FOUND);
}

struct paging {
        struct arena *arena;
        struct store_page page;
        struct store_node *nodes;
};

static enum err list_nodes(struct store_txn *t, void *context)
{
        struct paging *p = context;

        return store_node_list(t, &p->page, p->arena, &p->nodes);
}

static void test_pages(void **state)
{
        struct kit *k = *state;
        struct paging p = { &k->arena, { .org = 1, .limit = 3 }, NULL };
        int64_t last = 0;
        char name[8];

        for (uint8_t i = 0; i < 7; i++) {
                snprintf(name, sizeof(name), "n%u", i);
                struct store_node node = node_of(&k->arena, name, i);
                kit_run(k, add_node, &node);
        }
        static const size_t counts[] = { 3, 3, 1 };
        for (size_t i = 0; i < 3; i++) {
                kit_run(k, list_nodes, &p);
                assert_int_equal(p.page.count, counts[i]);
                assert_int_equal(p.page.has_more, i < 2);
                for (size_t j = 0; j < p.page.count; j++) {
                        assert_true(p.nodes[j].id > last);
                        last = p.nodes[j].id;
                }
                p.page.after = last;
        }
        kit_run(k, list_nodes, &p);
        assert_int_equal(p.page.count, 0);
        p.page = (struct store_page){ .org = 2 };
        kit_run(k, list_nodes, &p);
        assert_int_equal(p.page.count, 0);

        /* Thousands of small pages are read in one arena: none takes the memory of the greatest. */
        size_t before = arena_chained_bytes(&k->arena);
        p.page = (struct store_page){ .org = 1, .limit = STORE_PAGE_MAX };
        kit_run(k, list_nodes, &p);
        assert_int_equal(p.page.count, 7);
        assert_true(arena_chained_bytes(&k->arena) - before < 32 * sizeof(struct store_node));
}

static void test_cursors(void **state)
{
        static const struct {
                const char *why;
                struct str text;
                enum err err;
                int64_t id;
        } cases[] = {
                { "ordinary", STR_INIT("12"), ERR_OK, 12 },
                { "the largest", STR_INIT("9223372036854775807"), ERR_OK, INT64_MAX },
                { "one more", STR_INIT("9223372036854775808"), ERR_MALFORMED, 0 },
                { "empty", STR_INIT(""), ERR_MALFORMED, 0 },
                { "signed", STR_INIT("-1"), ERR_MALFORMED, 0 },
                { "a zero before it: two spellings of one place", STR_INIT("01"), ERR_MALFORMED, 0 },
                { "nothing has this id", STR_INIT("0"), ERR_MALFORMED, 0 },
                { "words", STR_INIT("1 OR 1=1"), ERR_MALFORMED, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int64_t id = 0;
                char text[STORE_CURSOR_BYTES];
                if (store_cursor_parse(cases[i].text, &id) != cases[i].err || id != cases[i].id)
                        fail_msg("%s", cases[i].why);
                if (cases[i].err == ERR_OK)
                        assert_str(store_cursor_format(id, text), cases[i].text);
        }
}

struct token_case {
        struct arena *arena;
        struct store_token token, taken;
        enum store_token_kind kind;
        bool falls_over;
};

static enum err add_token(struct store_txn *t, void *context)
{
        struct token_case *tc = context;
        struct store_change *c = CHANGE(t);
        enum err e = store_token_add(c, &tc->token);

        return e == ERR_OK ? store_change_finish(c) : e;
}

static enum err take_token(struct store_txn *t, void *context)
{
        struct token_case *tc = context;
        struct store_change *c = CHANGE(t);
        enum err e = store_token_take(c, tc->kind, tc->token.hash, tc->arena, &tc->taken);

        if (e == ERR_OK && tc->falls_over)
                return ERR_REFUSED;
        return e == ERR_OK ? store_change_finish(c) : e;
}

static void test_tokens(void **state)
{
        struct kit *k = *state;
        struct token_case tc = { .arena = &k->arena, .kind = STORE_TOKEN_AGENT };

        tc.token = (struct store_token){ .org = 1,
                                         .kind = STORE_TOKEN_AGENT,
                                         .hash = kit_bytes(&k->arena, 32, 9),
                                         .uses_max = 2,
                                         .expires = kit_now + 1000,
                                         .created_by = STR("owner") };
        kit_run(k, add_token, &tc);
        tc.kind = STORE_TOKEN_OWNER;
        assert_err(kit_try(k->store, take_token, &tc), ERR_DENIED); /* another kind */
        tc.kind = STORE_TOKEN_AGENT;
        tc.falls_over = true; /* the join fails afterwards: its use comes back */
        assert_err(kit_try(k->store, take_token, &tc), ERR_REFUSED);
        tc.falls_over = false;
        kit_run(k, take_token, &tc);
        assert_int_equal(tc.taken.uses_left, 1);
        assert_int_equal(tc.taken.last_used, kit_now);
        kit_now += 1000;
        assert_err(kit_try(k->store, take_token, &tc), ERR_DENIED); /* expired at its very end */
        kit_now -= 1;
        kit_run(k, take_token, &tc);
        assert_err(kit_try(k->store, take_token, &tc), ERR_DENIED); /* used up */
}

static enum err quiet_writes(struct store_txn *t, void *context)
{
        struct get_node *g = context;

        assert_err(store_node_seen(t, g->id, 55, STR("{\"os\":\"linux\"}")), ERR_OK);
        assert_err(store_node_applied(t, g->id, 2, 10, STR("hash10")), ERR_OK);
        assert_err(store_node_applied(t, g->id, 2, 9, STR("hash9")), ERR_OK);   /* late: nothing */
        assert_err(store_node_applied(t, g->id, 1, 99, STR("hash99")), ERR_OK); /* of an older epoch */
        assert_err(store_node_certified(t, g->id, STR("\x01\x02"), 77), ERR_OK);
        assert_err(store_node_seen(t, 424242, 55, STR("{}")), ERR_NOT_FOUND);
        assert_err(store_node_applied(t, 424242, 1, 1, STR("x")), ERR_NOT_FOUND);
        return ERR_OK;
}

static void test_what_nodes_report_is_quiet(void **state)
{
        struct kit *k = *state;
        struct store_node node = node_of(&k->arena, "a", 1);
        struct get_node g = { .org = 1, .arena = &k->arena };

        kit_run(k, add_node, &node);
        g.id = node.id;
        kit_run(k, quiet_writes, &g);
        kit_run(k, get_node, &g);
        assert_int_equal(g.node.revision, 1);
        assert_int_equal(g.node.last_seen, 55);
        assert_int_equal(g.node.applied_epoch, 2);
        assert_int_equal(g.node.applied_version, 10);
        assert_str(g.node.applied_hash, STR("hash10"));
        assert_str(g.node.certificate_serial, STR("\x01\x02"));
}

static enum err other_families(struct store_txn *t, void *context)
{
        struct arena *a = context;
        struct store_change *c = CHANGE(t);
        struct store_share share = { .org = 1,
                                     .host = STR("x.example.com"),
                                     .url = STR("http://localhost:3000"),
                                     .owner = STR("owner"),
                                     .created = 1,
                                     .expires = 100,
                                     .last_seen = 1 };
        struct store_share *over;
        struct store_domain domain = { .org = 1, .name = STR("example.com"), .state = STORE_DOMAIN_VERIFIED };
        struct store_certificate certificate = { .org = 1,
                                                 .name = STR("c"),
                                                 .hosts = STR("[]"),
                                                 .chain = STR("PEM"),
                                                 .source = STORE_CERTIFICATE_ACME,
                                                 .fingerprint = STR("f") };
        struct store_key key = { .org = 1,
                                 .name = STR("ci"),
                                 .hash = STR("\xff\x01"),
                                 .hint = STR("skapi-ab"),
                                 .scopes = STR("nodes:read"),
                                 .owner = STR("owner") };
        struct store_node gateway = node_of(a, "gw", 200);
        struct store_certificate_key sealed = { .org = 1, .sealed = STR("\xfe") }, *keys;
        struct store_setting setting;
        struct store_page page = { .org = 1 };
        int64_t epoch;

        assert_err(store_share_add(c, &share), ERR_OK);
        assert_err(store_domain_add(c, &domain), ERR_OK);
        assert_err(store_certificate_add(c, &certificate), ERR_OK);
        assert_err(store_node_add(c, &gateway), ERR_OK);
        sealed.certificate = certificate.id;
        sealed.node = gateway.id;
        assert_err(store_certificate_key_add(c, &sealed), ERR_OK);
        assert_err(store_certificate_key_of_node(t, gateway.id, &page, a, &keys), ERR_OK);
        assert_int_equal(page.count, 1);
        assert_str(keys[0].sealed, STR("\xfe"));
        assert_err(store_key_add(c, &key), ERR_OK);
        assert_err(store_key_used(t, key.id, 9), ERR_OK);
        assert_err(store_key_by_hash(t, STR("\xff\x01"), a, &key), ERR_OK);
        assert_int_equal(key.last_used, 9);
        assert_err(store_key_by_hash(t, STR("\xff\x02"), a, &key), ERR_NOT_FOUND);
        assert_err(store_share_by_host(t, STR("x.example.com"), a, &share), ERR_OK);
        assert_err(store_share_over(t, 99, 1, &page, a, &over), ERR_OK);
        assert_int_equal(page.count, 0);
        assert_err(store_share_over(t, 100, 1, &page, a, &over), ERR_OK);
        assert_int_equal(page.count, 1);
        assert_err(store_share_over(t, 99, 2, &page, a, &over), ERR_OK);
        assert_int_equal(page.count, 1);
        assert_err(store_setting_put(c, 1, STR("pool4"), STR("100.64.0.0/10"), STR_NULL), ERR_OK);
        assert_err(store_setting_put(c, 1, STR("pool4"), STR("10.9.0.0/16"), STR("\x80")), ERR_OK);
        assert_err(store_setting_put(c, 1, STR("pool4"), STR("10.9.0.0/16"), STR("\x80")), ERR_OK);
        assert_err(store_setting_by_name(t, 1, STR("pool4"), a, &setting), ERR_OK);
        assert_str(setting.value, STR("10.9.0.0/16"));
        assert_str(setting.sealed, STR("\x80"));
        assert_int_equal(setting.revision, 2); /* the same again is no edit */
        assert_err(store_certificate_retire(c, 1, certificate.id, 0), ERR_OK);
        assert_err(store_domain_by_name(t, STR("example.com"), a, &domain), ERR_OK);
        assert_int_equal(domain.state, STORE_DOMAIN_VERIFIED);
        assert_err(store_epoch(t, &epoch), ERR_OK);
        assert_int_equal(epoch, 1);
        assert_err(store_epoch_raise(c, 0, &epoch), ERR_OK);
        assert_int_equal(epoch, 2);
        assert_err(store_epoch_raise(c, 10, &epoch), ERR_OK);
        assert_int_equal(epoch, 10);
        return store_change_finish(c);
}

static void test_the_other_families(void **state)
{
        struct kit *k = *state;

        kit_run(k, other_families, &k->arena);
}

static enum err controls_come_and_go(struct store_txn *t, void *context)
{
        struct kit *k = context;
        struct store_control one, again, two;
        struct store_page page = { .org = 1 };
        struct store_control *rows;

        assert_err(store_control_by_url(t, 1, STR("https://a:8000"), &kit_actor, &k->arena, &one), ERR_OK);
        assert_err(store_control_by_url(t, 1, STR("https://b:8000"), &kit_actor, &k->arena, &two), ERR_OK);
        assert_err(store_control_by_url(t, 1, STR("https://a:8000"), &kit_actor, &k->arena, &again), ERR_OK);
        assert_int_equal(again.id, one.id);
        assert_int_not_equal(two.id, one.id);
        assert_err(store_control_seen(t, one.id, kit_now + 100, kit_now), ERR_OK);
        assert_err(store_control_seen(t, one.id, kit_now + 200, 0), ERR_OK);
        assert_err(store_control_seen(t, 999, kit_now, 0), ERR_NOT_FOUND);
        assert_err(store_control_forget(t, 1, kit_now + 150, &kit_actor), ERR_OK);
        assert_err(store_control_forget(t, 1, kit_now + 150, &kit_actor), ERR_OK); /* nothing more to do */
        assert_err(store_control_list(t, &page, &k->arena, &rows), ERR_OK);
        assert_int_equal(page.count, 1);
        assert_int_equal(rows[0].last_seen, kit_now + 200);
        assert_int_equal(rows[0].started, kit_now);
        return ERR_OK;
}

static void test_controls_come_and_go(void **state)
{
        kit_run(*state, controls_come_and_go, *state);
}

static enum err nodes_move(struct store_txn *t, void *context)
{
        struct kit *k = context;
        struct store_node node = node_of(&k->arena, "mover", 77), found;
        struct store_change *c = CHANGE(t);

        assert_err(store_node_add(c, &node), ERR_OK);
        assert_err(store_change_finish(c), ERR_OK);
        assert_err(store_node_seen(t, node.id, kit_now, STR("{\"addresses\":[]}")), ERR_OK);
        assert_err(store_node_seen(t, node.id, kit_now + 1, STR("")), ERR_OK); /* said nothing new */
        assert_err(store_node_place(t, node.id, 5, 12), ERR_OK);
        assert_err(store_node_place(t, node.id, 6, 13), ERR_OK);
        assert_err(store_node_leave(t, node.id, 5), ERR_OK); /* late word of the one before */
        assert_err(store_node_get(t, 1, node.id, &k->arena, &found), ERR_OK);
        assert_int_equal(found.control, 6);
        assert_int_equal(found.wanted_version, 13);
        assert_str(found.facts, STR("{\"addresses\":[]}"));
        assert_int_equal(found.last_seen, kit_now + 1);
        assert_int_equal(found.revision, 1);
        assert_err(store_node_leave(t, 0, 6), ERR_OK);
        assert_err(store_node_get(t, 1, node.id, &k->arena, &found), ERR_OK);
        assert_int_equal(found.control, 0);
        return ERR_OK;
}

static void test_nodes_move_between_controls(void **state)
{
        kit_run(*state, nodes_move, *state);
}

int families_tests(void)
{
        const struct CMUnitTest tests[] = {
                KIT_TEST(test_a_row_comes_back_as_it_went),
                KIT_TEST(test_what_is_refused),
                KIT_TEST(test_an_edit_needs_the_revision_it_read),
                KIT_TEST(test_another_organisation_sees_nothing),
                KIT_TEST(test_a_service_goes_with_its_targets),
                KIT_TEST(test_nothing_refers_across_organisations),
                KIT_TEST(test_pages),
                cmocka_unit_test(test_cursors),
                KIT_TEST(test_tokens),
                KIT_TEST(test_what_nodes_report_is_quiet),
                KIT_TEST(test_the_other_families),
                KIT_TEST(test_controls_come_and_go),
                KIT_TEST(test_nodes_move_between_controls),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
