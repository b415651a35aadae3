/* What can be seen on this machine alone. */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/doctor_priv.h"
#include "cli/load.h"
#include "io/file.h"
#include "io/listener.h"
#include "io/netif.h"
#include "json/reader.h"

enum { ASK_MS = 3000, PATH_BYTES = NODE_PATH_MAX + 64 };

static struct loaded loaded; /* one a process */

/* ---- the configuration ---- */

void doctor_config(struct doctor *d)
{
        enum err e = loaded_init_lenient(&loaded, d->config);

        d->has_file = e != ERR_NOT_FOUND;
        d->conf = e == ERR_OK ? loaded.conf : NULL;
        if (!d->has_file) {
                finding_add(d->findings, FINDING_GOOD, "configuration", NULL,
                            "there is no configuration file: defaults hold");
                return;
        }
        for (size_t i = 0; i < loaded.report.entries_count; i++) {
                const struct report_entry *r = &loaded.report.entries[i];
                bool is_error = r->severity == REPORT_ERROR;

                finding_add(d->findings, is_error ? FINDING_ERROR : FINDING_WARNING, "configuration",
                            is_error ? "mend the file; sekisho config check tries it" : NULL, "%.*s:%u: %.*s",
                            STR_FMT(r->file), r->line, STR_FMT(r->text));
        }
        if (e == ERR_OK && loaded.report.errors_count == 0)
                finding_add(d->findings, FINDING_GOOD, "configuration", NULL, "%.*s can be used",
                            STR_FMT(buf_str(&loaded.path)));
        else if (loaded.report.errors_count == 0)
                finding_add(d->findings, FINDING_ERROR, "configuration", NULL, "it cannot be read: %s",
                            err_text(e));
}

void doctor_here_end(struct doctor *d)
{
        (void)d;
        loaded_fini(&loaded);
}

/* ---- the state folder ---- */

/* Whether it is there; what is wrong with who may read it is found. */
static bool private_look(struct doctor *d, const char *name, unsigned allowed)
{
        char path[PATH_BYTES], remedy[PATH_BYTES + 40];
        unsigned mode;
        bool is_ours;

        snprintf(path, sizeof(path), "%s%s%s", d->state, *name ? "/" : "", name);
        enum err e = file_mode(path, &mode, &is_ours);
        if (e == ERR_NOT_FOUND)
                return false;
        snprintf(remedy, sizeof(remedy), "chmod %o %s", allowed, path);
        if (e != ERR_OK)
                finding_add(d->findings, FINDING_ERROR, "state", "run this as the user of the role", "%s: %s",
                            path, err_text(e));
        else if (!is_ours)
                finding_add(d->findings, FINDING_WARNING, "state",
                            "run this as that user: sudo -u sekisho-ROLE sekisho doctor --state FOLDER",
                            "%s belongs to another user", path);
        else if (mode & 0777 & ~allowed)
                finding_add(d->findings, FINDING_ERROR, "state", remedy,
                            "%s can be read by others (mode %04o)", path, mode & 0777);
        return true;
}

void doctor_state(struct doctor *d)
{
        size_t errors = d->findings->errors_count + d->findings->warnings_count;

        if (!private_look(d, "", 0700)) {
                finding_add(d->findings, FINDING_GOOD, "state", NULL,
                            "there is no state folder %s: this machine is no control and has not joined one",
                            d->state);
                return;
        }
        bool has_key = private_look(d, "control.key", 0600), has_store = private_look(d, "control.db", 0600);

        d->has_control = has_key || has_store;
        if (has_store && !has_key)
                finding_add(
                        d->findings, FINDING_ERROR, "state",
                        "put back the control.key that belongs to this store: without it no control starts",
                        "%s/control.key is not there", d->state);
        if (errors == d->findings->errors_count + d->findings->warnings_count)
                finding_add(d->findings, FINDING_GOOD, "state", NULL, "%s is its owner's alone%s", d->state,
                            has_key ? ", with a control" : "");
}

/* ---- ports ---- */

/* Every address means this machine. */
static struct ip to_ask(struct ip listens)
{
        struct ip any4 = { .family = 4 }, any6 = { .family = 6 }, loopback;

        if ((ip_eq(listens, any4) || ip_eq(listens, any6)) && ip_parse(STR("127.0.0.1"), &loopback) == ERR_OK)
                return loopback;
        return listens;
}

/* What the gateway that runs says of itself; NULL: none answers at the admin listener. */
static const struct json_value *running_ask(struct doctor *d, struct client *c)
{
        const struct listen_address *admin = &d->conf->admin.listen;
        const struct dial_target to = { .ip = to_ask(admin->ip), .port = admin->port };
        const struct client_request request = { .method = STR("GET"),
                                                .path = STR("/status"),
                                                .host = STR("localhost") };
        const struct json_value *root;
        struct client_answer answer;

        if (!d->conf->admin.is_on || !admin->ip.family || client_dial(c, &to, ASK_MS) != ERR_OK ||
            client_ask(c, &request, ASK_MS, &answer) != ERR_OK || answer.status != 200 ||
            json_read_strict(d->arena, arena_copy(d->arena, answer.body), NULL, &root) != ERR_OK)
                return NULL;
        return root;
}

static bool is_listened_on(const struct json_value *running, struct str address)
{
        const struct json_value *list = json_find(running, STR("listeners"));

        for (size_t i = 0; json_is(list, JSON_ARRAY) && i < list->count; i++)
                if (str_eq(json_str(json_find(json_item(list, i), STR("address"))), address))
                        return true;
        return false;
}

/* Nobody runs: could somebody? Gives whether the place is free. */
static bool port_try(struct doctor *d, const struct conf_listen *l, struct str text)
{
        int fd;
        enum err e = l->address.ip.family ? listen_socket_open(&l->address, false, &fd) : ERR_OK;

        if (e == ERR_OK && l->address.ip.family)
                close(fd);
        if (e == ERR_EXISTS)
                finding_add(d->findings, FINDING_ERROR, "port",
                            "see who it is (ss -ltnp), end it or choose another address",
                            "%.*s is taken, and no gateway with this configuration says that it is there",
                            STR_FMT(text));
        else if (e == ERR_DENIED)
                finding_add(
                        d->findings, FINDING_ERROR, "port",
                        "start the gateway as its unit does (CAP_NET_BIND_SERVICE), or choose a port above 1023",
                        "%.*s may not be opened by this user", STR_FMT(text));
        else if (e != ERR_OK)
                finding_add(d->findings, FINDING_ERROR, "port", "choose an address of this machine",
                            "%.*s cannot be opened: %s", STR_FMT(text), err_text(e));
        return e == ERR_OK;
}

/* A file of control or of an agent; the defaults of `gateway` in it mean nothing. */
static bool is_others(const struct doctor *d)
{
        const struct conf *c = d->conf;

        return c->agent.gateways_count || c->agent.services_count || (d->has_agent && !d->has_gateway) ||
               (c->control.is_given && !c->gateway.tokens_count);
}

void doctor_ports(struct doctor *d)
{
        struct client *c = d->conf && d->conf->gateway.listens_count ? client_new() : NULL;
        const struct json_value *running;
        char text[LISTEN_ADDRESS_TEXT_MAX];
        size_t good = 0;

        if (!c || is_others(d)) {
                client_free(c);
                return;
        }
        running = running_ask(d, c);
        for (size_t i = 0; i < d->conf->gateway.listens_count; i++) {
                const struct conf_listen *l = &d->conf->gateway.listens[i];
                struct str address = listen_address_format(&l->address, text);

                if (l->tailnet_family) /* which address that is tailscaled knows: doctor_tailnet */
                        continue;
                if (!running)
                        good += port_try(d, l, address);
                else if (is_listened_on(running, address))
                        good++;
                else
                        finding_add(d->findings, FINDING_ERROR, "port",
                                    "the file was changed since: reload it (SIGHUP), and see its log",
                                    "the gateway that runs does not listen on %.*s", STR_FMT(address));
        }
        if (good && running)
                finding_add(d->findings, FINDING_GOOD, "port", NULL, "the gateway listens on %zu address%s",
                            good, good == 1 ? "" : "es");
        else if (good)
                finding_add(d->findings, FINDING_WARNING, "port",
                            "sekisho gateway, or systemctl start sekisho-gateway",
                            "no gateway runs with this configuration; its %zu address%s free", good,
                            good == 1 ? " is" : "es are");
        client_free(c);
}

/* ---- the fleet's addresses ---- */

static void pool_look(struct doctor *d, const struct ip_prefix *pool, const char *key)
{
        char name[IF_NAMESIZE] = "", text[IP_PREFIX_TEXT_MAX], remedy[200];
        struct ip inside = pool->ip, outside;
        uint32_t index, usual = 0, mtu;

        inside.bytes[inside.family == 4 ? 3 : 15] |= 1;
        if (ip_parse(inside.family == 4 ? STR("192.0.2.1") : STR("2001:db8::1"), &outside) != ERR_OK ||
            netif_route_to(inside, &index, &mtu) != ERR_OK)
                return;
        if (netif_route_to(outside, &usual, &mtu) == ERR_OK && usual == index)
                return;
        if (!if_indextoname(index, name) || strncmp(name, "sekisho", 7) == 0)
                return;
        struct str prefix = ip_prefix_format(pool, text);
        snprintf(remedy, sizeof(remedy), "before nodes join, choose another by control.addresses.%s", key);
        finding_add(d->findings, FINDING_WARNING, "route", remedy,
                    "this machine sends %.*s to %s; the fleet's addresses are from there", STR_FMT(prefix),
                    name);
}

void doctor_pools(struct doctor *d)
{
        struct ip_prefix pool4;

        if (!d->has_control && !d->has_gateway && !d->has_agent)
                return;
        if (d->conf && d->conf->control.pool4.ip.family)
                pool4 = d->conf->control.pool4;
        else if (ip_prefix_parse(STR("100.64.0.0/10"), &pool4) != ERR_OK)
                return;
        pool_look(d, &pool4, "ipv4");
        if (d->conf && d->conf->control.pool6.ip.family)
                pool_look(d, &d->conf->control.pool6, "ipv6");
}
