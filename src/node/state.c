#include "node/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "crypto/x25519.h"
#include "io/file.h"
#include "node/papers_priv.h"

enum { FOLDER_MODE = 0700, FILE_MODE = 0600, OTHERS = 077, PAPERS_MAX = 128 * 1024 };

static enum err because(const char **why, const char *text, enum err e)
{
        *why = text;
        return e;
}

static bool path_of(const char *folder, const char *name, char out[NODE_PATH_MAX + 32])
{
        return snprintf(out, NODE_PATH_MAX + 32, "%s/%s", folder, name) < NODE_PATH_MAX + 32;
}

enum err node_state_place(bool is_root, const char *named, const char *xdg, const char *home,
                          char out[NODE_PATH_MAX])
{
        int n;

        if (named && *named)
                n = snprintf(out, NODE_PATH_MAX, "%s", named);
        else if (!is_root && xdg && *xdg == '/')
                n = snprintf(out, NODE_PATH_MAX, "%s/sekisho", xdg);
        else if (!is_root && home && *home == '/')
                n = snprintf(out, NODE_PATH_MAX, "%s/.local/state/sekisho", home);
        else
                n = snprintf(out, NODE_PATH_MAX, "/var/lib/sekisho");
        return n < NODE_PATH_MAX ? ERR_OK : ERR_TOO_LARGE;
}

enum err node_state_folder(char out[NODE_PATH_MAX])
{
        return node_state_place(geteuid() == 0, getenv("SEKISHO_STATE"), getenv("XDG_STATE_HOME"),
                                getenv("HOME"), out);
}

static bool kind_folder(const char *folder, enum wire_kind kind, char out[NODE_PATH_MAX])
{
        return snprintf(out, NODE_PATH_MAX, "%s/%s", folder, wire_kind_text(kind).ptr) < NODE_PATH_MAX;
}

enum err node_state_own_folder(const char *folder, enum wire_kind kind, char out[NODE_PATH_MAX])
{
        return kind_folder(folder, kind, out) ? file_make_folders(out, FOLDER_MODE) : ERR_TOO_LARGE;
}

bool node_state_exists(const char *folder, enum wire_kind kind)
{
        char own[NODE_PATH_MAX], path[NODE_PATH_MAX + 32];

        if (!kind_folder(folder, kind, own))
                return false;
        return (path_of(own, "node.json", path) && access(path, F_OK) == 0) ||
               (path_of(own, "join.json", path) && access(path, F_OK) == 0);
}

/* ---- the folder ---- */

static enum err folder_take(struct node_state *s, const char **why)
{
        char path[NODE_PATH_MAX + 32];
        struct stat st;

        if (file_make_folders(s->folder, FOLDER_MODE) != ERR_OK)
                return because(why, "the state folder cannot be made", ERR_IO);
        if (lstat(s->folder, &st) != 0 || !S_ISDIR(st.st_mode))
                return because(why, "the state folder is no folder", ERR_IO);
        if (st.st_uid != geteuid() || (st.st_mode & OTHERS))
                return because(why, "the state folder must be this user's alone: chmod 700, chown",
                               ERR_DENIED);
        path_of(s->folder, "lock", path);
        s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
        if (s->lock_fd < 0)
                return because(why, "the state folder cannot be written to", err_from_errno(errno));
        if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
                return because(why,
                               "another process uses this state folder; set SEKISHO_STATE to another one",
                               ERR_EXISTS);
        return ERR_OK;
}

/* A file of ours: appended to `out`. */
static enum err own_file(const struct node_state *s, const char *name, struct buf *out, const char **why)
{
        char path[NODE_PATH_MAX + 32];
        bool is_ours;
        unsigned mode;
        enum err e;

        path_of(s->folder, name, path);
        if ((e = file_mode(path, &mode, &is_ours)) != ERR_OK)
                return e;
        if (!is_ours || (mode & OTHERS))
                return because(why, "a file of the state folder can be read by others: chmod 600",
                               ERR_DENIED);
        return file_read(path, out);
}

static enum err write_file(const struct node_state *s, const char *name, struct str content)
{
        char path[NODE_PATH_MAX + 32];

        path_of(s->folder, name, path);
        return file_write_atomic(path, content, FILE_MODE, false);
}

static void remove_file(const struct node_state *s, const char *name)
{
        char path[NODE_PATH_MAX + 32];

        path_of(s->folder, name, path);
        (void)unlink(path);
}

/* ---- keys ---- */

static enum err identity_load(struct node_state *s, const char **why)
{
        enum err e = own_file(s, "identity.key", &s->identity_pem, why);

        if (e == ERR_NOT_FOUND && !s->only_looks) {
                if ((e = crypto_p256_generate(&s->identity_pem)) != ERR_OK ||
                    (e = write_file(s, "identity.key", buf_str(&s->identity_pem))) != ERR_OK)
                        return because(why, "the identity key cannot be written", e);
        } else if (e != ERR_OK) {
                return e;
        }
        if (crypto_p256_public(buf_str(&s->identity_pem), s->spki) != ERR_OK)
                return because(why, "identity.key is no P-256 key", ERR_MALFORMED);
        return ERR_OK;
}

static enum err x25519_load(const struct node_state *s, const char *name, uint8_t key[WIRE_KEY_BYTES],
                            uint8_t public_key[WIRE_KEY_BYTES], const char **why)
{
        char text[CRYPTO_BASE64_SIZE(WIRE_KEY_BYTES) + 1];
        struct buf content;
        size_t len;

        buf_init_secret(&content, 256);
        enum err e = own_file(s, name, &content, why);
        if (e == ERR_NOT_FOUND && !s->only_looks) {
                crypto_random(key, WIRE_KEY_BYTES);
                crypto_x25519_clamp(key);
                buf_add(&content, crypto_base64_format((struct str){ (char *)key, WIRE_KEY_BYTES }, text));
                buf_add_char(&content, '\n');
                e = write_file(s, name, buf_str(&content));
                if (e != ERR_OK)
                        *why = "a key cannot be written";
        } else if (e == ERR_OK) {
                struct str trimmed = buf_str(&content);
                while (trimmed.len && trimmed.ptr[trimmed.len - 1] == '\n')
                        trimmed.len--;
                if (crypto_base64_parse(trimmed, key, WIRE_KEY_BYTES, &len) != ERR_OK ||
                    len != WIRE_KEY_BYTES)
                        e = because(why, "seal.key or tunnel.key is no key", ERR_MALFORMED);
        }
        if (e == ERR_OK)
                crypto_x25519_public(key, public_key);
        crypto_wipe(text, sizeof(text));
        buf_wipe(&content);
        return e;
}

/* ---- papers ---- */

static enum err papers_load(struct node_state *s, const char **why)
{
        struct buf text;

        buf_init(&text, PAPERS_MAX);
        enum err e = own_file(s, "node.json", &text, why);
        if (e == ERR_OK) {
                e = node_papers_read(buf_str(&text), &s->papers);
                if (e != ERR_OK || s->papers.kind != s->kind)
                        e = because(why, "node.json is not what this program writes", ERR_MALFORMED);
                s->is_joined = e == ERR_OK;
        }
        if (e == ERR_NOT_FOUND) {
                buf_clear(&text);
                e = own_file(s, "join.json", &text, why);
                if (e == ERR_OK)
                        s->is_pending = node_pending_read(buf_str(&text), &s->pending) == ERR_OK;
                if (e == ERR_NOT_FOUND)
                        e = ERR_OK;
        }
        buf_fini(&text);
        return e;
}

static enum err begin(struct node_state *s, const char *folder, enum wire_kind kind, const char **why)
{
        memset(s, 0, sizeof(*s));
        s->lock_fd = -1;
        s->kind = kind;
        *why = "the state folder cannot be read";
        buf_init_secret(&s->identity_pem, NODE_PEM_MAX);
        if (!kind_folder(folder, kind, s->folder))
                return because(why, "the state folder's name is too long", ERR_TOO_LARGE);
        return ERR_OK;
}

static enum err load(struct node_state *s, const char **why)
{
        enum err e = identity_load(s, why);

        if (e == ERR_OK)
                e = x25519_load(s, "seal.key", s->seal, s->seal_public, why);
        if (e == ERR_OK)
                e = x25519_load(s, "tunnel.key", s->tunnel, s->tunnel_public, why);
        return e == ERR_OK ? papers_load(s, why) : e;
}

enum err node_state_open(struct node_state *s, const char *folder, enum wire_kind kind, const char **why)
{
        enum err e = begin(s, folder, kind, why);

        if (e == ERR_OK)
                e = folder_take(s, why);
        if (e == ERR_OK)
                e = load(s, why);
        if (e != ERR_OK)
                node_state_close(s);
        return e;
}

enum err node_state_look(struct node_state *s, const char *folder, enum wire_kind kind, const char **why)
{
        enum err e = begin(s, folder, kind, why);

        s->only_looks = true;
        if (e == ERR_OK)
                e = load(s, why);
        if (e != ERR_OK)
                node_state_close(s);
        return e;
}

void node_state_close(struct node_state *s)
{
        if (s->lock_fd >= 0)
                close(s->lock_fd);
        s->lock_fd = -1;
        buf_wipe(&s->identity_pem);
        crypto_wipe(s->seal, sizeof(s->seal));
        crypto_wipe(s->tunnel, sizeof(s->tunnel));
}

enum err node_state_save_papers(struct node_state *s, const struct node_papers *papers)
{
        bool is_other = s->is_joined && strcmp(s->papers.id, papers->id) != 0;
        struct buf text;

        buf_init(&text, PAPERS_MAX);
        node_papers_write(papers, &text);
        enum err e = text.full ? ERR_TOO_LARGE : write_file(s, "node.json", buf_str(&text));
        buf_fini(&text);
        if (e != ERR_OK)
                return e;
        if (is_other)
                remove_file(s, "document.json");
        if (papers != &s->papers)
                s->papers = *papers;
        s->is_joined = true;
        node_state_forget_pending(s);
        return ERR_OK;
}

enum err node_state_save_pending(struct node_state *s, const struct node_pending *pending)
{
        struct buf text;

        buf_init(&text, PAPERS_MAX);
        node_pending_write(pending, &text);
        enum err e = text.full ? ERR_TOO_LARGE : write_file(s, "join.json", buf_str(&text));
        buf_fini(&text);
        if (e == ERR_OK) {
                s->pending = *pending;
                s->is_pending = true;
        }
        return e;
}

void node_state_forget_pending(struct node_state *s)
{
        if (s->is_pending)
                remove_file(s, "join.json");
        s->is_pending = false;
}

/* ---- the document ---- */

enum err node_state_document_load(const struct node_state *s, struct wire_document **out, const char **why)
{
        struct buf text;

        *why = "document.json cannot be read";
        buf_init(&text, WIRE_DOCUMENT_MAX + WIRE_ITEM_MAX);
        enum err e = own_file(s, "document.json", &text, why);
        if (e == ERR_OK)
                e = wire_document_read(buf_str(&text), s->papers.document_key, out, why);
        buf_fini(&text);
        if (e == ERR_OK && (wire_document_header(*out)->kind != s->kind ||
                            !str_eq(wire_document_header(*out)->node, str_of(s->papers.id)))) {
                wire_document_put(*out);
                e = because(why, "document.json is another node's", ERR_DENIED);
        }
        return e;
}

enum err node_state_document_store(const struct node_state *s, const struct wire_document *d)
{
        struct buf text;

        if (!d) {
                remove_file(s, "document.json");
                return ERR_OK;
        }
        buf_init(&text, 2 * WIRE_DOCUMENT_MAX);
        wire_document_write(d, &text);
        enum err e = text.full ? ERR_TOO_LARGE : write_file(s, "document.json", buf_str(&text));
        buf_fini(&text);
        return e;
}
