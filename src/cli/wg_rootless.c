#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/out.h"
#include "cli/wg_carrier.h"
#include "cli/wg_priv.h"
#include "io/broker.h"
#include "io/loop.h"
#include "io/process.h"
#include "io/signals.h"
#include "mesh/uapi.h"

/*
 * `sekisho wg rootless FILE -- COMMAND`: the tunnel ends in a private network of this process, and the command runs in there. No
 * privilege, nothing changed on the host; all of it ends with the command.
 */

enum {
        PEERS_MAX = 10000,
        DEFAULT_MTU = 1420,
        LINGER_MS = 10 * 1000, /* after the command, for what its connections still have to say */
        LOOK_MS = 20,
};

struct rootless {
        struct loop *loop;
        struct broker *broker;
        struct mesh_interface *interface;
        struct wg_carrier *carrier;
        struct signals signals;
        struct watch ended; /* the pipe that tells the command's exit code */
        int ended_fd;
        enum exit_code code;
};

static enum err set_mtu(void *context, uint32_t mtu)
{
        return broker_set_mtu(((struct rootless *)context)->broker, mtu);
}

static void on_gone(void *context)
{
        loop_stop(((struct rootless *)context)->loop);
}

static void on_signal(struct signals *s, int number)
{
        struct rootless *r = CONTAINER_OF(s, struct rootless, signals);

        if (number == SIGTERM)
                loop_stop(r->loop);
}

static void on_ended(struct watch *w, unsigned events)
{
        struct rootless *r = CONTAINER_OF(w, struct rootless, ended);
        uint8_t code;

        (void)events;
        r->code = read(r->ended_fd, &code, 1) == 1 ? (enum exit_code)code : EXIT_FAILED;
        loop_stop(r->loop);
}

static enum err listen_door(void *context, uint16_t port)
{
        return mesh_interface_listen(context, port);
}

static enum err fwmark_door(void *context, uint32_t fwmark)
{
        return mesh_interface_set_fwmark(context, fwmark);
}

/* Keys and peers, as `wg` would give them. */
static bool configure(struct rootless *r, const struct wg_file *f)
{
        struct mesh_uapi_target target = { .device = mesh_interface_device(r->interface),
                                           .now = mesh_interface_now(r->interface).mono,
                                           .port = mesh_interface_port(r->interface),
                                           .listen = listen_door,
                                           .set_fwmark = fwmark_door,
                                           .context = r->interface };
        struct buf request, answer;

        buf_init_secret(&request, MESH_UAPI_REQUEST_MAX);
        buf_init(&answer, MESH_UAPI_ANSWER_MAX);
        mesh_quick_request(&f->quick, MESH_QUICK_REPLACE, &request);
        bool is_done = !request.full && mesh_uapi_answer(&target, buf_str(&request), &answer) &&
                       str_find(buf_str(&answer), STR("errno=0")) != STR_NONE;
        if (!is_done)
                out_problem("%.*s: refused: a port that is taken, or a mark that needs CAP_NET_ADMIN",
                            STR_FMT(f->name));
        buf_wipe(&request);
        buf_fini(&answer);
        return is_done;
}

/* Inside: addresses, up, and a route to whatever a peer may have. */
static bool set_up(struct rootless *r, const struct wg_file *f)
{
        const struct mesh_quick *q = &f->quick;
        uint32_t mtu = q->has_mtu ? q->mtu : DEFAULT_MTU;
        enum err e = broker_set_mtu(r->broker, mtu);

        mesh_interface_set_mtu(r->interface, (uint16_t)mtu);

        for (size_t i = 0; e == ERR_OK && i < q->addresses.count; i++)
                e = broker_add_address(r->broker, &q->addresses.items[i]);
        if (e == ERR_OK)
                e = broker_set_up(r->broker);
        for (size_t i = 0; e == ERR_OK && i < q->peers_count; i++)
                for (size_t n = 0; e == ERR_OK && n < q->peers[i].allowed_ips.count; n++) {
                        e = broker_add_route(r->broker, &q->peers[i].allowed_ips.items[n]);
                        if (e == ERR_EXISTS)
                                e = ERR_OK;
                }
        if (e != ERR_OK)
                out_problem("%.*s: setting up the private network: %s", STR_FMT(f->name), err_text(e));
        return e == ERR_OK;
}

static enum exit_code run_command(struct rootless *r, const struct arguments *a)
{
        enum err e = broker_spawn(r->broker, a->items + 1, a->count - 1, &r->ended_fd);

        if (e != ERR_OK || (e = loop_add_level(r->loop, &r->ended, r->ended_fd, on_ended)) != ERR_OK) {
                out_problem("%.*s: %s", STR_FMT(a->items[1]), err_text(e));
                return EXIT_FAILED;
        }
        r->code = EXIT_FAILED;
        loop_run(r->loop);
        loop_remove(r->loop, &r->ended);
        close(r->ended_fd);
        for (mono_ms end = loop_now(r->loop) + LINGER_MS;
             broker_has_connections(r->broker) && loop_now(r->loop) < end;)
                for (mono_ms look = loop_now(r->loop) + LOOK_MS; loop_now(r->loop) < look;)
                        loop_turn(r->loop, LOOK_MS);
        return r->code;
}

static enum exit_code carry(struct rootless *r, const struct wg_file *f, const struct command_call *call)
{
        struct mesh_interface_conf conf = { .name = f->name,
                                            .peers_max = PEERS_MAX,
                                            .carrier = wg_carrier_door(r->carrier),
                                            .host = { broker_take_tun(r->broker), set_mtu, r },
                                            .on_gone = on_gone,
                                            .context = r };
        enum exit_code code = EXIT_FAILED;

        enum err e = mesh_interface_new(r->loop, &conf, &r->interface);
        if (e == ERR_OK && (e = mesh_interface_listen(r->interface, 0)) == ERR_OK && r->carrier)
                e = wg_carrier_start(r->carrier, r->interface);
        if (e != ERR_OK)
                out_problem("%.*s: %s", STR_FMT(f->name), err_text(e));
        else if (configure(r, f) && set_up(r, f)) {
                mesh_interface_changed(r->interface);
                code = run_command(r, call->arguments);
        }
        wg_carrier_stop(r->carrier);
        for (int i = 0; i < 3; i++) /* connections close in the turns that follow */
                loop_turn(r->loop, 0);
        mesh_interface_free(r->interface);
        return code;
}

static enum exit_code with_loop(struct rootless *r, const struct wg_file *f, const struct command_call *call)
{
        const struct wg_options *o = call->options;
        enum exit_code code;

        if (loop_new(&r->loop) != ERR_OK)
                return EXIT_FAILED;
        if (signals_open(&r->signals, r->loop, on_signal) != ERR_OK) {
                loop_free(r->loop);
                return EXIT_FAILED;
        }
        code = wg_carrier_new(r->loop, o->relay.len ? o->relay : f->quick.relay,
                              o->relay_ca.len ? o->relay_ca : f->quick.relay_ca, &r->carrier);
        if (code == EXIT_OK)
                code = carry(r, f, call);
        wg_carrier_free(r->carrier);
        signals_close(&r->signals);
        loop_free(r->loop);
        return code;
}

enum exit_code wg_rootless_run(const struct command_call *call)
{
        struct rootless r = { .ended_fd = -1 };
        enum broker_lack lack;
        struct wg_file f;
        enum exit_code code;

        if (call->arguments->count < 2) {
                out_problem(
                        "expected a file and a command: sekisho wg rootless FILE -- COMMAND [ARGUMENT]...");
                return EXIT_WRONG;
        }
        if ((code = wg_file_load(&f, call->arguments->items[0])) != EXIT_OK)
                return code;
        enum err e = broker_start(f.name, &r.broker, &lack); /* before there are threads */
        if (e != ERR_OK) {
                out_problem("%.*s: no private network: %s", STR_FMT(f.name),
                            e == ERR_UNSUPPORTED ? broker_lack_text(lack) : err_text(e));
                code = EXIT_UNAVAILABLE;
        } else {
                process_forbid_dumps();
                code = wg_file_resolve(&f) ? with_loop(&r, &f, call) : EXIT_FAILED;
        }
        broker_stop(r.broker);
        wg_file_fini(&f);
        return code;
}
