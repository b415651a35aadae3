/* What control knows, asked from here: clocks, the fleet, names, the store. */
#include <string.h>

#include "base/units.h"
#include "cli/client.h"
#include "cli/doctor_priv.h"
#include "io/process.h"

enum { CLOCK_WARNING_MS = 5000, CLOCK_ERROR_MS = 60 * 1000, NAMES_MAX = 20 };

static void clock_look(struct doctor *d, const struct fleet *f)
{
        unix_ms there;

        if (units_parse_time(fleet_text(f->status, "time"), &there) != ERR_OK)
                return;
        int64_t off = process_wall_ms() - there, by = off < 0 ? -off : off;
        if (by < CLOCK_WARNING_MS)
                finding_add(d->findings, FINDING_GOOD, "clock", NULL, "this machine's and control's agree");
        else
                finding_add(
                        d->findings, by < CLOCK_ERROR_MS ? FINDING_WARNING : FINDING_ERROR, "clock",
                        "set both by NTP: timedatectl set-ntp true; certificates and leases are compared with it",
                        "this machine's is %lld s %s control's", (long long)(by / 1000),
                        off < 0 ? "behind" : "ahead of");
}

/* Shares and names of this machine alone are nobody's in DNS. */
static bool is_looked_up(struct str host)
{
        return host.len && host.ptr[0] != '*' && !str_has_suffix(host, STR(".localhost")) &&
               !str_eq(host, STR("localhost")) && !str_has_suffix(host, STR(".internal"));
}

static void names_look(struct doctor *d, const struct fleet *f)
{
        struct ip addresses[CLIENT_ADDRESSES_MAX];
        size_t asked = 0, count, good = 0;

        for (size_t i = 0; i < f->services.count; i++) {
                const struct json_value *hosts = json_find(f->services.items[i], STR("hosts"));

                for (size_t j = 0; json_is(hosts, JSON_ARRAY) && j < hosts->count && asked < NAMES_MAX; j++) {
                        struct str host = json_str(json_item(hosts, j));

                        if (!is_looked_up(host) || !fleet_is(f->services.items[i], "enabled"))
                                continue;
                        asked++;
                        if (client_find(host, addresses, &count) == ERR_OK)
                                good++;
                        else
                                finding_add(d->findings, FINDING_WARNING, "name",
                                            "give it A and AAAA records with the gateways' public addresses",
                                            "%.*s of the service %.*s is not in DNS as seen from here",
                                            STR_FMT(host), STR_FMT(fleet_text(f->services.items[i], "name")));
                }
        }
        if (good)
                finding_add(d->findings, FINDING_GOOD, "name", NULL,
                            "%zu of %zu published names that were asked are in DNS", good, asked);
}

static bool is_admin(struct fleet *f)
{
        if (remote_ask(&f->remote, "GET", "/me", STR("")) != EXIT_OK)
                return false;
        const struct json_value *scopes = json_find(f->remote.root, STR("scopes"));
        for (size_t i = 0; json_is(scopes, JSON_ARRAY) && i < scopes->count; i++)
                if (str_eq(json_str(json_item(scopes, i)), STR("admin")))
                        return true;
        return false;
}

static void store_look(struct doctor *d, struct fleet *f)
{
        if (!is_admin(f)) {
                finding_add(d->findings, FINDING_GOOD, "store", "with an admin key: sekisho doctor",
                            "not looked at: this key may not");
                return;
        }
        if (remote_ask(&f->remote, "GET", "/store/verify", STR("")) == EXIT_OK)
                finding_add(d->findings, FINDING_GOOD, "store", NULL,
                            "whole: %lld rows, %lld records of the audit trail, whose chain holds",
                            (long long)fleet_number(f->remote.root, "rows"),
                            (long long)fleet_number(f->remote.root, "records"));
        else
                finding_add(d->findings, FINDING_ERROR, "store",
                            "stop control, keep the file, restore the last backup (sekisho restore)",
                            "it is not whole: %.*s",
                            STR_FMT(json_str(
                                    json_find(json_find(f->remote.root, STR("error")), STR("message")))));
}

void doctor_fleet(struct doctor *d)
{
        size_t before = d->findings->errors_count + d->findings->warnings_count;
        struct fleet f;

        if (!d->server.len && !remote_is_known()) {
                finding_add(d->findings, FINDING_GOOD, "fleet",
                            "sekisho login LINK, or SEKISHO_SERVER and SEKISHO_TOKEN",
                            "not looked at: it is not known where control is");
                return;
        }
        if (fleet_open(&f, d->server, d->token) != EXIT_OK) {
                finding_add(
                        d->findings, FINDING_ERROR, "fleet",
                        "is control running, and is the address and the key right? Nodes go on from what they stored",
                        "control could not be asked; the reason stands above");
                fleet_close(&f);
                return;
        }
        clock_look(d, &f);
        fleet_judge(&f, d->findings);
        if (before == d->findings->errors_count + d->findings->warnings_count)
                finding_add(d->findings, FINDING_GOOD, "fleet", NULL,
                            "%zu nodes and %zu services at %.*s are as they should be", f.nodes.count,
                            f.services.count, STR_FMT(fleet_text(f.status, "url")));
        names_look(d, &f);
        store_look(d, &f);
        fleet_close(&f);
}
