#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/out.h"
#include "cli/wg_carrier.h"
#include "cli/wg_priv.h"
#include "io/process.h"
#include "io/signals.h"
#include "mesh/interface.h"
#include "mesh/uapi_server.h"

/*
 * Theory of operation: the process that carries an interface does nothing else. It makes the device, serves `wg`'s socket,
 * and ends when the device is deleted or it is told to. Whoever started it sets it up from outside, with the same requests as
 * `wg`: so hooks of a file may use `wg` themselves, and a crash of one side leaves the other whole.
 */

struct daemon {
        struct loop *loop;
        struct mesh_interface *interface;
        struct mesh_uapi_server *server;
        struct signals signals;
        struct wg_carrier *carrier; /* NULL: no relay */
};

enum { PEERS_MAX = 100000 };

static void on_gone(void *context)
{
        struct daemon *d = context;

        loop_stop(d->loop);
}

static void on_changed(void *context)
{
        wg_carrier_changed(((struct daemon *)context)->carrier);
}

static void on_signal(struct signals *s, int number)
{
        struct daemon *d = CONTAINER_OF(s, struct daemon, signals);

        if (number == SIGTERM || number == SIGINT)
                loop_stop(d->loop);
}

static enum exit_code say_why(struct str name, enum err e)
{
        switch (e) {
        case ERR_DENIED:
                out_problem(
                        "%.*s: making a TUN device needs root or CAP_NET_ADMIN; `sekisho wg rootless` does without",
                        STR_FMT(name));
                return EXIT_DENIED;
        case ERR_NOT_FOUND:
                out_problem(
                        "%.*s: there is no /dev/net/tun; load the kernel's module tun, or pass the device in",
                        STR_FMT(name));
                return EXIT_UNAVAILABLE;
        case ERR_EXISTS:
                out_problem("%.*s: there is such an interface already", STR_FMT(name));
                return EXIT_CONFLICT;
        default: out_problem("%.*s: %s", STR_FMT(name), err_text(e)); return EXIT_FAILED;
        }
}

/* Keys shall not be found in a dump of this process. */
static void close_in(void)
{
        struct rlimit none = { 0, 0 };

        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        (void)!setrlimit(RLIMIT_CORE, &none);
        (void)process_raise_fd_limit();
}

static enum err daemon_init(struct daemon *d, struct str name)
{
        struct mesh_interface_conf conf = { .name = name,
                                            .peers_max = PEERS_MAX,
                                            .carrier = wg_carrier_door(d->carrier),
                                            .on_gone = on_gone,
                                            .on_changed = on_changed,
                                            .context = d };
        enum err e;

        if ((e = signals_open(&d->signals, d->loop, on_signal)) != ERR_OK)
                return e;
        if ((e = mesh_interface_new(d->loop, &conf, &d->interface)) != ERR_OK)
                goto fail_interface;
        if ((e = mesh_interface_listen(d->interface, 0)) != ERR_OK)
                goto fail_listen;
        if (d->carrier && (e = wg_carrier_start(d->carrier, d->interface)) != ERR_OK)
                goto fail_listen;
        if ((e = mesh_uapi_server_start(d->loop, d->interface, &d->server)) != ERR_OK)
                goto fail_listen;
        return ERR_OK;

fail_listen:
        mesh_interface_free(d->interface);
fail_interface:
        signals_close(&d->signals);
        return e;
}

static void daemon_fini(struct daemon *d)
{
        mesh_uapi_server_stop(d->server);
        wg_carrier_stop(d->carrier);
        for (int i = 0; i < 3; i++) /* connections close in the turns that follow */
                loop_turn(d->loop, 0);
        mesh_interface_free(d->interface);
        signals_close(&d->signals);
}

/* Away from the terminal, once it serves. */
static void detach(void)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int fd = 0; null >= 0 && fd <= 2; fd++)
                (void)!dup2(null, fd);
        (void)!chdir("/");
}

/* `ready_fd`: told with one byte when it serves; -1: nobody waits. */
static enum exit_code serve_on(struct daemon *d, const struct wg_daemon_conf *conf, int ready_fd)
{
        enum exit_code code = wg_carrier_new(d->loop, conf->relay, conf->relay_ca, &d->carrier);

        if (code != EXIT_OK)
                return code;
        enum err e = daemon_init(d, conf->name);
        if (e != ERR_OK)
                return say_why(conf->name, e);
        process_notify("READY=1");
        if (ready_fd >= 0) {
                detach();
                (void)!write(ready_fd, "1", 1);
                close(ready_fd);
        }
        loop_run(d->loop);
        daemon_fini(d);
        return EXIT_OK;
}

static enum exit_code serve(const struct wg_daemon_conf *conf, int ready_fd)
{
        struct daemon d = { 0 };

        close_in();
        enum err e = loop_new(&d.loop);
        if (e != ERR_OK)
                return say_why(conf->name, e);
        enum exit_code code = serve_on(&d, conf, ready_fd);
        wg_carrier_free(d.carrier);
        loop_free(d.loop);
        return code;
}

/* The parent's half: ready, or the exit code of a child that ended first. */
static enum exit_code wait_for(pid_t child, int fd)
{
        char byte;
        ssize_t n;
        int status;

        do
                n = read(fd, &byte, 1);
        while (n < 0 && errno == EINTR);
        close(fd);
        if (n == 1)
                return EXIT_OK;
        if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
                return EXIT_FAILED;
        return (enum exit_code)WEXITSTATUS(status);
}

enum exit_code wg_daemon_start(const struct wg_daemon_conf *conf)
{
        int ready[2];

        if (conf->foreground)
                return serve(conf, -1);
        if (pipe2(ready, O_CLOEXEC) < 0) {
                out_problem("%s", err_text(err_from_errno(errno)));
                return EXIT_FAILED;
        }
        pid_t child = fork();
        if (child < 0) {
                out_problem("%s", err_text(err_from_errno(errno)));
                return EXIT_FAILED;
        }
        if (child == 0) {
                close(ready[0]);
                setsid();
                _exit((int)serve(conf, ready[1]));
        }
        close(ready[1]);
        return wait_for(child, ready[0]);
}

enum exit_code wg_run_run(const struct command_call *call)
{
        const struct wg_options *o = call->options;

        if (call->arguments->count != 1 || !mesh_quick_is_name(call->arguments->items[0])) {
                out_problem("expected the name of an interface: 1 to 15 letters, digits or _=+.-");
                return EXIT_WRONG;
        }
        struct wg_daemon_conf conf = { call->arguments->items[0], o->foreground, o->relay, o->relay_ca };
        return wg_daemon_start(&conf);
}
