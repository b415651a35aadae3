#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/out.h"
#include "cli/wg_priv.h"
#include "io/netif.h"
#include "mesh/setup.h"
#include "mesh/uapi.h"

static bool argument_is_one(const struct command_call *call)
{
        if (call->arguments->count == 1)
                return true;
        out_problem("expected a file, or a name under /etc/wireguard");
        return false;
}

static enum exit_code configure(struct wg_file *f, uint32_t mark)
{
        struct buf request, answer;

        /* A default route into the tunnel needs the mark on the tunnel's own datagrams from the first one on. */
        if (mark && !f->quick.has_fwmark) {
                f->quick.fwmark = mark;
                f->quick.has_fwmark = true;
        }
        buf_init(&request, MESH_UAPI_REQUEST_MAX);
        buf_init(&answer, MESH_UAPI_ANSWER_MAX);
        mesh_quick_request(&f->quick, MESH_QUICK_REPLACE, &request);
        enum exit_code code = wg_ask(f->name, buf_str(&request), &answer);
        buf_wipe(&request);
        buf_wipe(&answer);
        return code;
}

/* In the order of wg-quick. */
static enum exit_code set_up(struct wg_file *f, const char *name)
{
        uint32_t index = netif_index(name), mark = mesh_setup_mark(&f->quick);
        enum exit_code code;

        if (!wg_hooks_run(&f->quick.pre_up, f->name))
                return EXIT_FAILED;
        if ((code = configure(f, mark)) != EXIT_OK)
                return code;
        if (mesh_setup_addresses(&f->quick, index, &f->report) != ERR_OK ||
            mesh_setup_routes(&f->quick, index, &mark, &f->report) != ERR_OK) {
                out_report(&f->report);
                return EXIT_FAILED;
        }
        out_report(&f->report); /* warnings */
        if (!wg_dns_set(&f->quick, f->name) || !wg_hooks_run(&f->quick.post_up, f->name))
                return EXIT_FAILED;
        return EXIT_OK;
}

/* Undoes what set_up may have done; the process that carries the interface ends with it. */
static enum exit_code take_down(const struct mesh_quick *q, struct str name, const char *name_text)
{
        enum { WAIT_MS = 5000, STEP_MS = 10 };
        enum err e = netif_delete(netif_index(name_text));

        if (q && (q->dns_servers.count || q->dns_domains.count))
                wg_dns_unset(name);
        if (q)
                mesh_setup_rules_remove(mesh_setup_mark(q));
        if (e != ERR_OK) {
                out_problem("%s: %s", name_text,
                            e == ERR_DENIED ? "needs root or CAP_NET_ADMIN" : err_text(e));
                return e == ERR_DENIED ? EXIT_DENIED : EXIT_FAILED;
        }
        for (int waited = 0; netif_index(name_text) && waited < WAIT_MS; waited += STEP_MS)
                usleep(STEP_MS * 1000);
        return EXIT_OK;
}

/* What the command line says about the relay goes before what the file says. */
static enum exit_code start(const struct wg_file *f, const struct wg_options *o)
{
        struct wg_daemon_conf conf = { .name = f->name,
                                       .relay = o->relay.len ? o->relay : f->quick.relay,
                                       .relay_ca = o->relay_ca.len ? o->relay_ca : f->quick.relay_ca };

        return wg_daemon_start(&conf);
}

enum exit_code wg_up_run(const struct command_call *call)
{
        const struct wg_options *o = call->options;
        struct wg_file f;
        char name[32];
        enum exit_code code;

        if (!argument_is_one(call))
                return EXIT_WRONG;
        if ((code = wg_file_load(&f, call->arguments->items[0])) != EXIT_OK)
                return code;
        snprintf(name, sizeof(name), "%.*s", STR_FMT(f.name));
        code = EXIT_FAILED;
        if (netif_index(name)) {
                out_problem("%s: there is such an interface already; `sekisho wg down %s` takes it down",
                            name, name);
                code = EXIT_CONFLICT;
        } else if (wg_file_resolve(&f) && (code = start(&f, o)) == EXIT_OK) {
                if ((code = set_up(&f, name)) != EXIT_OK)
                        (void)take_down(&f.quick, f.name, name);
        }
        wg_file_fini(&f);
        while (code == EXIT_OK && o->foreground && netif_index(name))
                usleep(200 * 1000);
        return code;
}

enum exit_code wg_down_run(const struct command_call *call)
{
        struct wg_file f;
        char name[32];
        enum exit_code code;

        if (!argument_is_one(call))
                return EXIT_WRONG;
        struct str argument = call->arguments->items[0];
        bool has_file = true;
        snprintf(name, sizeof(name), "%.*s", STR_FMT(argument));
        if (mesh_quick_is_name(argument) && netif_index(name)) {
                /* Its file may be gone, or never have been: the interface is taken down all the same. */
                char path[64];
                snprintf(path, sizeof(path), "/etc/wireguard/%s.conf", name);
                has_file = access(path, R_OK) == 0;
        }
        if (!has_file)
                return take_down(NULL, argument, name);
        if ((code = wg_file_load(&f, argument)) != EXIT_OK)
                return code;
        snprintf(name, sizeof(name), "%.*s", STR_FMT(f.name));
        if (!netif_index(name)) {
                out_problem("%s: there is no such interface", name);
                code = EXIT_NOT_FOUND;
        } else {
                code = wg_hooks_run(&f.quick.pre_down, f.name) ? take_down(&f.quick, f.name, name)
                                                               : EXIT_FAILED;
                if (code == EXIT_OK && !wg_hooks_run(&f.quick.post_down, f.name))
                        code = EXIT_FAILED;
        }
        wg_file_fini(&f);
        return code;
}
