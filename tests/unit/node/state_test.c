#include "../test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/ed25519.h"
#include "node/connect_priv.h"
#include "node/state.h"

static char folder[64];

static int make_folder(void **state)
{
        (void)state;
        snprintf(folder, sizeof(folder), "/tmp/sekisho-node-XXXXXX");
        return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
        static const char *const files[] = { "identity.key", "seal.key",      "tunnel.key", "node.json",
                                             "join.json",    "document.json", "lock" };
        char path[256];
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                snprintf(path, sizeof(path), "%s/agent/%s", folder, files[i]);
                unlink(path);
        }
        snprintf(path, sizeof(path), "%s/agent", folder);
        rmdir(path);
        return rmdir(folder);
}

static void in_folder(const char *name, char out[256])
{
        snprintf(out, 256, "%s/agent/%s", folder, name);
}

/* Where the state is: one rule, of gateways, agents and control. */
static const struct {
        const char *why, *state, *xdg, *home, *folder;
        bool is_root;
} places[] = {
        { "what is said", "/s", "/x", "/h", "/s", false },
        { "root, what is said", "/s", "/x", "/h", "/s", true },
        { "one's own", NULL, "/x", "/h", "/x/sekisho", false },
        { "without XDG", NULL, NULL, "/h", "/h/.local/state/sekisho", false },
        { "a relative XDG is none", NULL, "x", "/h", "/h/.local/state/sekisho", false },
        { "an empty one is none", "", "", "/h", "/h/.local/state/sekisho", false },
        { "no home", NULL, NULL, NULL, "/var/lib/sekisho", false },
        { "root's is the machine's", NULL, "/x", "/h", "/var/lib/sekisho", true },
};

static void one_rule_for_the_folder(void **state)
{
        char out[NODE_PATH_MAX], long_name[NODE_PATH_MAX + 1];

        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                print_message("%s\n", places[i].why);
                assert_err(node_state_place(places[i].is_root, places[i].state, places[i].xdg, places[i].home,
                                            out),
                           ERR_OK);
                assert_string_equal(out, places[i].folder);
        }
        memset(long_name, 'a', sizeof(long_name) - 1);
        long_name[sizeof(long_name) - 1] = '\0';
        assert_err(node_state_place(false, long_name, NULL, NULL, out), ERR_TOO_LARGE);
}

static struct node_papers papers_of(const char *id)
{
        static const uint8_t seed[32] = "thirty-two bytes of a known seed";
        struct node_papers p = { .kind = WIRE_AGENT, .issued = 1790000000000 };

        snprintf(p.id, sizeof(p.id), "%s", id);
        snprintf(p.org, sizeof(p.org), "default");
        snprintf(p.name, sizeof(p.name), "home");
        snprintf(p.control, sizeof(p.control), "https://control.example.com:8000");
        snprintf(p.certificate, sizeof(p.certificate), "C\n");
        snprintf(p.authority, sizeof(p.authority), "A\n");
        crypto_ed25519_public(seed, p.document_key);
        return p;
}

static struct wire_document *document_of(const char *id, uint64_t version)
{
        static const uint8_t seed[32] = "thirty-two bytes of a known seed";
        struct wire_header h = { 1, WIRE_AGENT, str_of(id), STR("default"), 1, version, 1790000000, 100 };
        struct wire_document *d;
        struct wire_draft *draft;

        assert_err(wire_draft_new(&h, &draft), ERR_OK);
        assert_err(wire_draft_add_json(draft, STR("services"), STR("sv-a"), STR("{\"name\":\"a\"}")), ERR_OK);
        assert_err(wire_draft_finish(&draft, seed, &d), ERR_OK);
        return d;
}

static void what_is_made_is_found_again(void **state)
{
        struct node_state s, again;
        struct wire_document *d = document_of("ag-a", 7), *got;
        const char *why = "";
        uint8_t spki[CRYPTO_P256_SPKI_BYTES], tunnel[WIRE_KEY_BYTES];
        struct stat st;
        char path[256];
        (void)state;

        assert_false(node_state_exists(folder, WIRE_AGENT));
        if (node_state_open(&s, folder, WIRE_AGENT, &why) != ERR_OK)
                fail_msg("%s", why);
        assert_false(s.is_joined);
        memcpy(spki, s.spki, sizeof(spki));
        memcpy(tunnel, s.tunnel_public, sizeof(tunnel));
        struct node_papers p = papers_of("ag-a");
        assert_err(node_state_save_papers(&s, &p), ERR_OK);
        assert_err(node_state_document_store(&s, d), ERR_OK);
        node_state_close(&s);

        static const char *const files[] = { "identity.key", "seal.key", "tunnel.key", "node.json",
                                             "document.json" };
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                in_folder(files[i], path);
                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(st.st_mode & 07777, 0600);
        }
        in_folder("", path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);

        assert_true(node_state_exists(folder, WIRE_AGENT));
        assert_false(node_state_exists(folder, WIRE_GATEWAY));
        assert_err(node_state_open(&again, folder, WIRE_AGENT, &why), ERR_OK);
        assert_true(again.is_joined);
        assert_memory_equal(again.spki, spki, sizeof(spki));
        assert_memory_equal(again.tunnel_public, tunnel, sizeof(tunnel));
        assert_string_equal(again.papers.name, "home");
        assert_string_equal(again.papers.control, "https://control.example.com:8000");
        assert_err(node_state_document_load(&again, &got, &why), ERR_OK);
        assert_memory_equal(wire_document_hash(got), wire_document_hash(d), WIRE_HASH_BYTES);
        wire_document_put(got);

        /* Another node's papers: its document is not ours. */
        p = papers_of("ag-b");
        assert_err(node_state_save_papers(&again, &p), ERR_OK);
        assert_err(node_state_document_load(&again, &got, &why), ERR_NOT_FOUND);
        assert_err(node_state_document_store(&again, d), ERR_OK);
        assert_err(node_state_document_load(&again, &got, &why), ERR_DENIED);
        node_state_close(&again);
        wire_document_put(d);
}

static void a_document_that_was_touched_is_not_taken(void **state)
{
        struct wire_document *d = document_of("ag-a", 7), *got;
        struct node_papers p = papers_of("ag-a");
        struct node_state s;
        const char *why = "";
        char path[256];
        (void)state;

        assert_err(node_state_open(&s, folder, WIRE_AGENT, &why), ERR_OK);
        assert_err(node_state_save_papers(&s, &p), ERR_OK);
        assert_err(node_state_document_store(&s, d), ERR_OK);
        in_folder("document.json", path);
        int fd = open(path, O_RDWR);
        assert_true(pwrite(fd, "X", 1, 90) == 1);
        close(fd);
        assert_int_not_equal(node_state_document_load(&s, &got, &why), ERR_OK);
        assert_true(why[0] != '\0');
        node_state_close(&s);
        wire_document_put(d);
}

static void a_folder_serves_one_process(void **state)
{
        struct node_state s, other;
        const char *why = "";
        (void)state;

        assert_err(node_state_open(&s, folder, WIRE_AGENT, &why), ERR_OK);
        assert_err(node_state_open(&other, folder, WIRE_AGENT, &why), ERR_EXISTS);
        assert_non_null(strstr(why, "another process"));
        node_state_close(&s);
        assert_err(node_state_open(&other, folder, WIRE_AGENT, &why), ERR_OK);
        node_state_close(&other);
}

static void what_others_may_read_is_refused(void **state)
{
        struct node_state s;
        const char *why = "";
        char path[256];
        (void)state;

        assert_err(node_state_open(&s, folder, WIRE_AGENT, &why), ERR_OK);
        node_state_close(&s);
        in_folder("seal.key", path);
        assert_int_equal(chmod(path, 0644), 0);
        assert_err(node_state_open(&s, folder, WIRE_AGENT, &why), ERR_DENIED);
        assert_int_equal(chmod(path, 0600), 0);
        in_folder("", path);
        assert_int_equal(chmod(path, 0755), 0);
        assert_err(node_state_open(&s, folder, WIRE_AGENT, &why), ERR_DENIED);
        assert_int_equal(chmod(path, 0700), 0);
}

static void a_join_that_waits_is_kept(void **state)
{
        struct node_pending p = { .control = "https://c", .join = "jn-1", .fingerprint = { 1, 2 } };
        struct node_papers papers = papers_of("ag-a");
        struct node_state s;
        const char *why = "";
        (void)state;

        p.proof.signature_len = 3;
        memcpy(p.proof.signature, "abc", 3);
        assert_err(node_state_open(&s, folder, WIRE_AGENT, &why), ERR_OK);
        assert_err(node_state_save_pending(&s, &p), ERR_OK);
        node_state_close(&s);
        assert_true(node_state_exists(folder, WIRE_AGENT));
        assert_err(node_state_open(&s, folder, WIRE_AGENT, &why), ERR_OK);
        assert_true(s.is_pending && !s.is_joined);
        assert_string_equal(s.pending.join, "jn-1");
        assert_int_equal(s.pending.proof.signature_len, 3);
        assert_memory_equal(s.pending.fingerprint, p.fingerprint, WIRE_FINGERPRINT_BYTES);
        assert_err(node_state_save_papers(&s, &papers), ERR_OK);
        node_state_close(&s);
        assert_err(node_state_open(&s, folder, WIRE_AGENT, &why), ERR_OK);
        assert_true(s.is_joined && !s.is_pending);
        node_state_close(&s);
}

static void urls(void **state)
{
        static const struct {
                const char *text;
                enum err err;
                const char *host;
                unsigned port;
        } cases[] = {
                { "https://control.example.com", ERR_OK, "control.example.com", 443 },
                { "https://control.example.com:8000/", ERR_OK, "control.example.com", 8000 },
                { "https://127.0.0.1:1", ERR_OK, "127.0.0.1", 1 },
                { "https://[::1]:8000", ERR_OK, "::1", 8000 },
                { "https://[::1]", ERR_OK, "::1", 443 },
                { "http://control.example.com", ERR_MALFORMED, NULL, 0 },
                { "https://", ERR_MALFORMED, NULL, 0 },
                { "https://a/b", ERR_MALFORMED, NULL, 0 },
                { "https://u@a", ERR_MALFORMED, NULL, 0 },
                { "https://a:0", ERR_MALFORMED, NULL, 0 },
                { "https://a:65536", ERR_MALFORMED, NULL, 0 },
                { "https://a b", ERR_MALFORMED, NULL, 0 },
                { "https://[::1", ERR_MALFORMED, NULL, 0 },
                { "https://a\r\nX: y", ERR_MALFORMED, NULL, 0 },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct node_url url;
                enum err e = node_url_parse(str_of(cases[i].text), &url);
                if (e != cases[i].err)
                        fail_msg("%s", cases[i].text);
                if (e == ERR_OK) {
                        assert_string_equal(url.host, cases[i].host);
                        assert_int_equal(url.port, cases[i].port);
                }
        }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_rule_for_the_folder),
                T(what_is_made_is_found_again),
                T(a_document_that_was_touched_is_not_taken),
                T(a_folder_serves_one_process),
                T(what_others_may_read_is_refused),
                T(a_join_that_waits_is_kept),
                cmocka_unit_test(urls),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
