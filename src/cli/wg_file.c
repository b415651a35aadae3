#include <errno.h>
#include <string.h>

#include "cli/out.h"
#include "cli/wg_priv.h"
#include "crypto/secret.h"
#include "io/file.h"
#include "io/resolver.h"
#include "mesh/uapi.h"
#include "mesh/uapi_client.h"

static void path_of(struct wg_file *f, struct str argument)
{
        buf_init(&f->path, 4096);
        if (mesh_quick_is_name(argument) && !str_has_suffix(argument, STR(".conf")))
                buf_addf(&f->path, "/etc/wireguard/%.*s.conf", STR_FMT(argument));
        else
                buf_add(&f->path, argument);
        buf_add_char(&f->path, '\0');
        if (!f->path.full)
                f->path.len--;
}

/* The file's name without its folder and ".conf". */
static struct str name_of(struct str path)
{
        size_t slash = path.len;

        while (slash > 0 && path.ptr[slash - 1] != '/')
                slash--;
        path = str_from(path, slash);
        return str_has_suffix(path, STR(".conf")) ? str_sub(path, 0, path.len - 5) : STR_NULL;
}

static enum exit_code load(struct wg_file *f)
{
        struct str path = buf_str(&f->path);
        unsigned mode;
        bool is_ours;

        if (f->path.full || !mesh_quick_is_name(f->name = name_of(path))) {
                out_problem(
                        "%.*s: the file is to be called NAME.conf, NAME being 1 to 15 letters, digits or _=+.-",
                        STR_FMT(path));
                return EXIT_WRONG;
        }
        enum err e = file_read(f->path.ptr, &f->text);
        if (e != ERR_OK) {
                out_problem("%.*s: %s", STR_FMT(path), err_text(e));
                return e == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILED;
        }
        if (file_mode(f->path.ptr, &mode, &is_ours) == ERR_OK && (mode & 077))
                out_note("sekisho: %.*s: others may read it (mode %03o), and it holds keys; chmod 600\n",
                         STR_FMT(path), mode & 0777);
        e = mesh_quick_parse(buf_str(&f->text), &f->arena, &f->report, &f->quick);
        out_report(&f->report);
        if (e != ERR_OK && e != ERR_CONFIG)
                out_problem("%.*s: %s", STR_FMT(path), err_text(e));
        return e == ERR_OK ? EXIT_OK : EXIT_WRONG;
}

enum exit_code wg_file_load(struct wg_file *f, struct str argument)
{
        memset(f, 0, sizeof(*f));
        path_of(f, argument);
        buf_init(&f->text, MESH_QUICK_BYTES_MAX);
        arena_init(&f->arena, NULL, 0, 256u << 20);
        report_init(&f->report, buf_str(&f->path));
        enum exit_code code = load(f);
        if (code != EXIT_OK)
                wg_file_fini(f);
        return code;
}

void wg_file_fini(struct wg_file *f)
{
        mesh_quick_wipe(&f->quick);
        report_fini(&f->report);
        arena_fini(&f->arena);
        buf_wipe(&f->text);
        buf_fini(&f->path);
}

/* ---- names of endpoints ---- */

struct asking {
        struct resolver_query query;
        struct loop *loop;
        struct mesh_quick_peer *peer;
        enum err err;
        bool is_done;
};

static void on_found(struct resolver_query *q, enum err e, const struct ip *addresses, size_t addresses_count)
{
        struct asking *a = CONTAINER_OF(q, struct asking, query);

        a->err = e == ERR_OK && addresses_count == 0 ? ERR_NOT_FOUND : e;
        if (a->err == ERR_OK)
                a->peer->endpoint_ip = addresses[0];
        a->is_done = true;
}

static enum err find_one(struct resolver *r, struct loop *l, struct mesh_quick_peer *p)
{
        struct asking a = { .loop = l, .peer = p };

        resolver_find(r, &a.query, p->endpoint_host, on_found);
        while (!a.is_done)
                loop_turn(l, MONO_NEVER);
        return a.err;
}

bool wg_file_resolve(struct wg_file *f)
{
        struct resolver_conf conf = {
                .ttl_min_ms = 1000, .ttl_max_ms = 60000, .timeout_ms = 5000, .names_max = 1024
        };
        struct resolver *r = NULL;
        struct loop *l = NULL;
        bool is_ok = true;

        for (size_t i = 0; i < f->quick.peers_count; i++) {
                struct mesh_quick_peer *p = &f->quick.peers[i];
                if (p->endpoint_host.len == 0 || p->endpoint_ip.family)
                        continue;
                if (!r && (loop_new(&l) != ERR_OK || resolver_new(l, &conf, &r) != ERR_OK)) {
                        out_problem("the names of peers cannot be looked up: out of memory");
                        is_ok = false;
                        break;
                }
                enum err e = find_one(r, l, p);
                if (e != ERR_OK) {
                        report_error(&f->report, p->endpoint_line, 0, "the name %.*s: %s",
                                     STR_FMT(p->endpoint_host), err_text(e));
                        is_ok = false;
                }
        }
        resolver_free(r);
        loop_free(l);
        if (!is_ok)
                out_report(&f->report);
        return is_ok;
}

/* ---- asking ---- */

enum exit_code wg_ask(struct str name, struct str request, struct buf *answer)
{
        enum err e = mesh_uapi_call(name, request, answer);

        if (e == ERR_NOT_FOUND) {
                out_problem("%.*s: there is no such tunnel", STR_FMT(name));
                return EXIT_NOT_FOUND;
        }
        if (e != ERR_OK) {
                out_problem("%.*s: %s", STR_FMT(name), err_text(e));
                return e == ERR_DENIED ? EXIT_DENIED : EXIT_UNAVAILABLE;
        }
        int number = mesh_uapi_errno(buf_str(answer));
        if (number != 0) {
                out_problem("%.*s: refused: %s", STR_FMT(name),
                            number > 0 ? strerror(number) : "no answer understood");
                return number == EADDRINUSE ? EXIT_CONFLICT : EXIT_FAILED;
        }
        return EXIT_OK;
}
