/* The tailnet that the gateway's configuration counts on: does tailscaled say what listeners and callers need? */
#include <unistd.h>

#include "cli/doctor_priv.h"
#include "cli/tailnet.h"
#include "io/listener.h"

/* A tailscaled without a device has addresses that no interface has. */
static bool is_on_an_interface(struct ip ip)
{
        int fd;

        if (listen_socket_open(&(struct listen_address){ .ip = ip }, false, &fd) != ERR_OK)
                return false;
        close(fd);
        return true;
}

static bool has_listener(const struct conf_gateway *g)
{
        for (size_t i = 0; i < g->listens_count; i++)
                if (g->listens[i].tailnet_family)
                        return true;
        return false;
}

static void addresses_look(struct doctor *d, const struct mesh_tailnet_machine *self)
{
        const struct ip ips[] = { self->v4, self->v6 };
        char text[IP_TEXT_MAX];

        for (size_t i = 0; i < 2; i++)
                if (ips[i].family && !is_on_an_interface(ips[i]))
                        finding_add(
                                d->findings, FINDING_WARNING, "tailnet",
                                "where tailscaled runs with --tun=userspace-networking, listen on 127.0.0.1: it hands connections over to "
                                "there",
                                "no interface of this machine has %.*s: listeners of the tailnet stay closed",
                                STR_FMT(ip_format(ips[i], text)));
}

static void found(struct doctor *d, const struct mesh_tailnet_status *s)
{
        char text[IP_TEXT_MAX];
        struct ip first = s->self.v4.family ? s->self.v4 : s->self.v6;

        if (!s->is_running || !first.family) {
                finding_add(
                        d->findings, FINDING_ERROR, "tailnet", "tailscale up",
                        "tailscaled is not connected (%.*s): listeners of the tailnet are closed, and nobody is known by it",
                        STR_FMT(s->state));
                return;
        }
        finding_add(d->findings, FINDING_GOOD, "tailnet", NULL, "this machine is %.*s there, %.*s",
                    STR_FMT(s->self.name.len ? s->self.name : STR("without a name")),
                    STR_FMT(ip_format(first, text)));
        if (d->conf->gateway.tailnet.wants_certificate && s->certificates_count == 0)
                finding_add(
                        d->findings, FINDING_ERROR, "tailnet",
                        "switch on HTTPS certificates in the tailnet's DNS settings; on headscale, which has none, name files in "
                        "gateway.certificates",
                        "gateway.certificates asks for the tailnet's own certificate, and this tailnet offers none");
        if (has_listener(&d->conf->gateway))
                addresses_look(d, &s->self);
}

void doctor_tailnet(struct doctor *d)
{
        struct mesh_tailnet_status status;
        enum err e;

        if (!d->conf || !d->conf->gateway.tailnet.is_used)
                return;
        struct str socket = d->conf->gateway.tailnet.socket;

        if ((e = tailnet_find(socket, false, d->arena, &status)) == ERR_OK)
                found(d, &status);
        else
                finding_add(
                        d->findings, FINDING_ERROR, "tailnet",
                        e == ERR_DENIED
                                ? "let this user open its socket"
                                : "start tailscaled, or say in gateway.tailnet.socket where it listens",
                        "tailscaled at %.*s: %s; listeners of the tailnet are closed, and nobody is known by it",
                        STR_FMT(socket), err_text(e));
}
