#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/report.h"
#include "base/units.h"
#include "cli/out.h"
#include "cli/wg_priv.h"
#include "crypto/secret.h"
#include "io/file.h"
#include "io/listener.h"
#include "io/process.h"
#include "io/signals.h"
#include "link/relay.h"
#include "mesh/stun_server.h"

/*
 * `sekisho wg relay`: the relay in the foreground, as a service manager wants it. SIGHUP reads the permits again, SIGUSR1
 * prints the counters, SIGTERM ends it.
 */

enum { CLIENTS_MAX = 10000, PEM_BYTES_MAX = 1 << 20 };

struct relay_daemon {
        const struct wg_options *options;
        struct loop *loop;
        struct link_relay *relay;
        struct mesh_stun_server *stun;
        struct listener listener;
        struct signals signals;
        int listen_fd;
};

/* A file named by an option, as a text. False, and said. */
static bool read_named(struct str name, struct buf *out)
{
        char path[4096];

        snprintf(path, sizeof(path), "%.*s", STR_FMT(name));
        enum err e = file_read(path, out);
        if (e != ERR_OK)
                out_problem("%s: %s", path, err_text(e));
        return e == ERR_OK;
}

/* One with mistakes is refused and the old one stays in force. */
static bool load_permits(struct relay_daemon *d)
{
        struct buf text;
        struct report report;
        struct link_permit *permit = NULL;

        buf_init(&text, LINK_PERMIT_BYTES_MAX);
        report_init(&report, d->options->peers);
        if (read_named(d->options->peers, &text)) {
                enum err e = link_permit_parse(buf_str(&text), &report, &permit);
                out_report(&report);
                if (e == ERR_OK) {
                        out_note("sekisho: relay: %zu groups of keys\n", link_permit_lines_count(permit));
                        link_relay_set_permit(d->relay, permit);
                } else if (e != ERR_CONFIG) {
                        out_problem("%.*s: %s", STR_FMT(d->options->peers), err_text(e));
                }
        }
        report_fini(&report);
        buf_fini(&text);
        return permit != NULL;
}

static void print_counts(const struct relay_daemon *d)
{
        out_note("sekisho: relay: clients=%zu", link_relay_clients_count(d->relay));
        for (enum link_relay_count i = 0; i < LINK_RELAY_COUNTS; i++)
                out_note(" %s=%llu", link_relay_count_label(i),
                         (unsigned long long)link_relay_count(d->relay, i));
        if (d->stun) {
                const struct mesh_stun_server_stats *s = mesh_stun_server_get_stats(d->stun);
                out_note(
                        " stun_answered=%llu stun_refused=%llu stun_malformed=%llu stun_too_small=%llu stun_too_often=%llu",
                        (unsigned long long)s->answered, (unsigned long long)s->refused,
                        (unsigned long long)s->malformed, (unsigned long long)s->too_small,
                        (unsigned long long)s->too_often);
        }
        out_note("\n");
}

static void on_signal(struct signals *s, int number)
{
        struct relay_daemon *d = CONTAINER_OF(s, struct relay_daemon, signals);

        if (number == SIGTERM || number == SIGINT)
                loop_stop(d->loop);
        else if (number == SIGHUP)
                (void)load_permits(d);
        else if (number == SIGUSR1)
                print_counts(d);
}

static void on_accept(struct listener *l, int fd)
{
        link_relay_accept(CONTAINER_OF(l, struct relay_daemon, listener)->relay, fd);
}

static struct tls_context *make_tls(const struct wg_options *o)
{
        struct buf certificate, key;
        struct report report;
        struct tls_context *tls = NULL;

        buf_init(&certificate, PEM_BYTES_MAX);
        buf_init_secret(&key, PEM_BYTES_MAX);
        report_init(&report, STR_NULL);
        if (read_named(o->certificate, &certificate) && read_named(o->key, &key)) {
                struct tls_certificate c = { buf_str(&certificate), buf_str(&key), o->certificate, o->key };
                struct tls_server_conf conf = { .certificates = &c,
                                                .certificates_count = 1,
                                                .light_records = true };
                enum err e = tls_server_new(&conf, &report, &tls);
                out_report(&report);
                if (e != ERR_OK && report.errors_count == 0)
                        out_problem("TLS: %s", err_text(e));
        }
        report_fini(&report);
        buf_wipe(&key);
        buf_fini(&certificate);
        return tls;
}

static bool listen_here(struct relay_daemon *d)
{
        struct str text = d->options->listen.len ? d->options->listen : STR(":443");
        struct listen_address address;
        enum err e;

        if (listen_address_parse(text, &address) != ERR_OK) {
                out_problem("\"%.*s\" is not an address: expected 0.0.0.0:443, [::]:443 or :443",
                            STR_FMT(text));
                return false;
        }
        if ((e = listen_socket_open(&address, false, &d->listen_fd)) != ERR_OK ||
            (e = listener_start(&d->listener, d->loop, d->listen_fd, on_accept)) != ERR_OK) {
                out_problem("%.*s: %s", STR_FMT(text), err_text(e));
                return false;
        }
        if (d->options->stun.len == 0)
                return true;
        uint64_t port;
        if (units_parse_u64(d->options->stun, 65535, &port) != ERR_OK || port == 0) {
                out_problem("\"%.*s\" is not a port", STR_FMT(d->options->stun));
                return false;
        }
        struct ip every = address.ip;
        if (crypto_is_zero(every.bytes, sizeof(every.bytes)))
                every.family = 0;
        if ((e = mesh_stun_server_start(d->loop, every, (uint16_t)port, &d->stun)) != ERR_OK) {
                out_problem("STUN on port %llu: %s", (unsigned long long)port, err_text(e));
                return false;
        }
        return true;
}

static enum exit_code serve(struct relay_daemon *d, struct tls_context *tls)
{
        struct link_relay_conf conf = { .loop = d->loop, .tls = tls, .clients_max = CLIENTS_MAX };
        enum exit_code code = EXIT_FAILED;

        if (link_relay_new(&conf, &d->relay) != ERR_OK)
                return EXIT_FAILED;
        if (load_permits(d) && listen_here(d)) {
                process_notify("READY=1");
                out_note("sekisho: relay: serving\n");
                loop_run(d->loop);
                code = EXIT_OK;
        }
        if (d->listen_fd >= 0) {
                listener_stop(&d->listener);
                close(d->listen_fd);
        }
        mesh_stun_server_stop(d->stun);
        link_relay_stop(d->relay);
        for (int i = 0; i < 3; i++) /* connections close in the turns that follow */
                loop_turn(d->loop, 0);
        link_relay_free(d->relay);
        return code;
}

enum exit_code wg_relay_run(const struct command_call *call)
{
        struct relay_daemon d = { .options = call->options, .listen_fd = -1 };
        enum exit_code code = EXIT_FAILED;

        if (!d.options->certificate.len || !d.options->key.len || !d.options->peers.len) {
                out_problem("a relay needs --certificate, --key and --peers: who may talk to whom");
                return EXIT_WRONG;
        }
        (void)process_raise_fd_limit();
        struct tls_context *tls = make_tls(d.options);
        if (tls && loop_new(&d.loop) == ERR_OK) {
                if (signals_open(&d.signals, d.loop, on_signal) == ERR_OK) {
                        code = serve(&d, tls);
                        signals_close(&d.signals);
                }
                loop_free(d.loop);
        }
        tls_context_put(tls);
        return code;
}
