#include "cli/wg_carrier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/report.h"
#include "cli/out.h"
#include "io/file.h"
#include "link/carrier.h"

enum { CA_BYTES_MAX = 4 << 20, PATH_MAX_BYTES = 4096 };

struct wg_carrier {
        struct loop *loop;
        struct resolver *resolver;
        struct tls_context *tls;
        struct link_carrier_url url;
        struct link_carrier *carrier;
        struct mesh_interface *interface;
        uint8_t proven[WG_KEY_BYTES]; /* the public key it was connected with */
};

static const uint8_t *private_key(void *context)
{
        struct wg_carrier *c = context;

        memcpy(c->proven, wg_device_public_key(mesh_interface_device(c->interface)), WG_KEY_BYTES);
        return wg_device_private_key(mesh_interface_device(c->interface));
}

static uint32_t fwmark(void *context)
{
        return mesh_interface_fwmark(((struct wg_carrier *)context)->interface);
}

static void on_change(void *context, bool is_up)
{
        mesh_interface_set_carrier(((struct wg_carrier *)context)->interface, is_up);
}

static void on_packet(void *context, const uint8_t from[LINK_KEY_BYTES], uint8_t *packet, size_t len)
{
        mesh_interface_carried(((struct wg_carrier *)context)->interface, from, packet, len);
}

static void send_packet(void *context, const uint8_t key[WG_KEY_BYTES], struct str packet)
{
        struct wg_carrier *c = context;

        if (c->carrier)
                link_carrier_send(c->carrier, key, packet);
}

static enum exit_code make_tls(struct wg_carrier *c, struct str ca_file)
{
        struct buf pem;
        struct report report;
        char path[PATH_MAX_BYTES];
        enum exit_code code = EXIT_FAILED;

        buf_init(&pem, CA_BYTES_MAX);
        report_init(&report, ca_file);
        snprintf(path, sizeof(path), "%.*s", STR_FMT(ca_file));
        enum err e = ca_file.len ? file_read(path, &pem) : ERR_OK;
        if (e != ERR_OK) {
                out_problem("%s: %s", path, err_text(e));
        } else {
                struct tls_client_conf conf = { .ca_pem = buf_str(&pem) };
                e = tls_client_new(&conf, &report, &c->tls);
                out_report(&report);
                if (e == ERR_OK)
                        code = EXIT_OK;
                else if (report.errors_count == 0)
                        out_problem("TLS: %s", err_text(e));
        }
        report_fini(&report);
        buf_fini(&pem);
        return code;
}

enum exit_code wg_carrier_new(struct loop *l, struct str url, struct str ca_file, struct wg_carrier **out)
{
        struct resolver_conf conf = { .ttl_min_ms = 1000,
                                      .ttl_max_ms = 60000,
                                      .stale_max_ms = 3600 * 1000,
                                      .timeout_ms = 5000,
                                      .names_max = 8 };
        struct wg_carrier *c;
        enum exit_code code = EXIT_FAILED;

        *out = NULL;
        if (url.len == 0)
                return EXIT_OK;
        if (!(c = calloc(1, sizeof(*c))))
                return EXIT_FAILED;
        c->loop = l;
        if (link_carrier_url_parse(url, &c->url) != ERR_OK) {
                out_problem(
                        "\"%.*s\" is not a relay: expected https://HOST[:PORT][/PATH], or wss:// for WebSocket",
                        STR_FMT(url));
                code = EXIT_WRONG;
        } else if (resolver_new(l, &conf, &c->resolver) == ERR_OK) {
                code = make_tls(c, ca_file);
        }
        if (code != EXIT_OK) {
                wg_carrier_free(c);
                return code;
        }
        *out = c;
        return EXIT_OK;
}

struct mesh_carrier wg_carrier_door(struct wg_carrier *c)
{
        return (struct mesh_carrier){ c ? send_packet : NULL, c };
}

enum err wg_carrier_start(struct wg_carrier *c, struct mesh_interface *i)
{
        struct link_carrier_conf conf = { .loop = c->loop,
                                          .resolver = c->resolver,
                                          .tls = c->tls,
                                          .url = c->url,
                                          .private_key = private_key,
                                          .fwmark = fwmark,
                                          .on_change = on_change,
                                          .on_packet = on_packet,
                                          .context = c };

        c->interface = i;
        return link_carrier_new(&conf, &c->carrier);
}

void wg_carrier_changed(struct wg_carrier *c)
{
        if (!c || !c->carrier)
                return;
        if (memcmp(c->proven, wg_device_public_key(mesh_interface_device(c->interface)), WG_KEY_BYTES) != 0)
                link_carrier_restart(c->carrier);
        else
                mesh_interface_set_carrier(c->interface,
                                           link_carrier_is_up(c->carrier)); /* peers may be new */
}

void wg_carrier_stop(struct wg_carrier *c)
{
        if (c && c->carrier)
                link_carrier_stop(c->carrier);
}

void wg_carrier_free(struct wg_carrier *c)
{
        if (!c)
                return;
        link_carrier_free(c->carrier);
        tls_context_put(c->tls);
        resolver_free(c->resolver);
        free(c);
}
