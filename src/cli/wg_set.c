#include <string.h>

#include "cli/out.h"
#include "cli/wg_priv.h"
#include "crypto/secret.h"
#include "io/file.h"
#include "mesh/uapi.h"

/*
 * The arguments of `set` become a small file of wg, which the reader of such files judges: so both have one grammar, and
 * an error names the word. What a file cannot say (remove; leaving lists as they are) is put in around it.
 */

/* A key from a file, never from the command line, where `ps` would show it. */
static bool key_read(struct str path, struct buf *out)
{
        struct buf name;

        buf_init(&name, 4096);
        buf_add(&name, path);
        buf_add_char(&name, '\0');
        enum err e = name.full ? ERR_TOO_LARGE : file_read(name.ptr, out);
        if (e != ERR_OK)
                out_problem("%.*s: %s", STR_FMT(path), err_text(e));
        buf_fini(&name);
        return e == ERR_OK;
}

struct word {
        const char *name, *key; /* on the command line, in the file */
        bool is_of_peer, is_file;
};
static const struct word words[] = {
        { "listen-port", "ListenPort", false, false },
        { "fwmark", "FwMark", false, false },
        { "private-key", "PrivateKey", false, true },
        { "peer", "PublicKey", false, false },
        { "preshared-key", "PresharedKey", true, true },
        { "endpoint", "Endpoint", true, false },
        { "persistent-keepalive", "PersistentKeepalive", true, false },
        { "allowed-ips", "AllowedIPs", true, false },
};

static const struct word *word_find(struct str name)
{
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (str_eq(name, str_of(words[i].name)))
                        return &words[i];
        return NULL;
}

struct changes {
        struct buf text; /* the file */
        size_t peers_count;
        bool is_removed[OPTIONS_ARGUMENTS_MAX]; /* the n-th peer is to go */
};

static const struct word *const peer_word = &words[3];

static bool add_value(struct changes *c, const struct word *w, struct str value)
{
        struct buf key;
        bool is_ok = true;

        buf_addf(&c->text, "%s = ", w->key);
        if (w->is_file) {
                buf_init(&key, 4096);
                if ((is_ok = key_read(value, &key)))
                        buf_add(&c->text,
                                str_trim(str_sub(buf_str(&key), 0, str_find_char(buf_str(&key), '\n'))));
                buf_wipe(&key);
        } else {
                buf_add(&c->text, value);
        }
        buf_add_char(&c->text, '\n');
        return is_ok;
}

/* One word and its value, if it stands where it may; says what is wrong. */
static bool word_read(struct changes *c, const struct word *w, struct str name, const struct str *value)
{
        const char *problem = NULL;

        if (!w)
                problem = "no word of this command";
        else if (!value)
                problem = "its value is missing";
        else if (w->is_of_peer && !c->peers_count)
                problem = "name the peer first";
        else if (!w->is_of_peer && w != peer_word && c->peers_count)
                problem = "what is the interface's stands before the first peer";
        if (problem) {
                out_problem("%.*s: %s", STR_FMT(name), problem);
                return false;
        }
        if (w == peer_word) {
                buf_add(&c->text, STR("[Peer]\n"));
                c->peers_count++;
        }
        return add_value(c, w, *value);
}

static bool changes_read(struct changes *c, const struct arguments *a)
{
        buf_add(&c->text, STR("[Interface]\n"));
        for (size_t i = 1; i < a->count; i++) {
                if (c->peers_count && str_eq(a->items[i], STR("remove"))) {
                        c->is_removed[c->peers_count - 1] = true;
                        continue;
                }
                const struct str *value = i + 1 < a->count ? &a->items[i + 1] : NULL;
                if (!word_read(c, word_find(a->items[i]), a->items[i], value))
                        return false;
                i++;
        }
        return true;
}

static enum exit_code send(struct str name, struct wg_file *f, struct str now, bool is_sync)
{
        struct buf request, answer;

        buf_init(&request, MESH_UAPI_REQUEST_MAX);
        buf_init(&answer, MESH_UAPI_ANSWER_MAX);
        if (is_sync) {
                if (mesh_quick_sync_request(&f->quick, now, &request) != ERR_OK)
                        request.full = true;
        } else {
                mesh_quick_request(&f->quick, MESH_QUICK_CHANGE, &request);
        }
        enum exit_code code = EXIT_FAILED;
        if (request.full)
                out_problem("that is more than can be set at once");
        else
                code = wg_ask(name, buf_str(&request), &answer);
        buf_wipe(&request);
        buf_wipe(&answer);
        return code;
}

enum exit_code wg_set_run(const struct command_call *call)
{
        const struct arguments *a = call->arguments;
        struct changes c = { .peers_count = 0 };
        struct wg_file f;
        enum exit_code code = EXIT_WRONG;

        if (a->count < 2) {
                out_problem("expected the name of a tunnel and what to set");
                return EXIT_WRONG;
        }
        memset(&f, 0, sizeof(f));
        buf_init(&c.text, MESH_QUICK_BYTES_MAX);
        arena_init(&f.arena, NULL, 0, 64u << 20);
        report_init(&f.report, STR("arguments"));
        if (changes_read(&c, a)) {
                f.text = c.text;
                enum err e = mesh_quick_parse(buf_str(&f.text), &f.arena, &f.report, &f.quick);
                out_report(&f.report);
                for (size_t i = 0; e == ERR_OK && i < f.quick.peers_count; i++)
                        f.quick.peers[i].is_removed = c.is_removed[i];
                if (e == ERR_OK && wg_file_resolve(&f))
                        code = send(a->items[0], &f, STR_NULL, false);
        }
        mesh_quick_wipe(&f.quick);
        report_fini(&f.report);
        arena_fini(&f.arena);
        buf_wipe(&c.text);
        return code;
}

enum exit_code wg_sync_run(const struct command_call *call)
{
        const struct arguments *a = call->arguments;
        struct wg_file f;
        struct buf now;
        enum exit_code code;

        if (a->count != 2) {
                out_problem("expected the name of a tunnel and a file");
                return EXIT_WRONG;
        }
        buf_init(&now, MESH_UAPI_ANSWER_MAX);
        if ((code = wg_ask(a->items[0], STR("get=1\n\n"), &now)) == EXIT_OK &&
            (code = wg_file_load(&f, a->items[1])) == EXIT_OK) {
                code = wg_file_resolve(&f) ? send(a->items[0], &f, buf_str(&now), true) : EXIT_FAILED;
                wg_file_fini(&f);
        }
        buf_wipe(&now);
        return code;
}
