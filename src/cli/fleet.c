#include "cli/fleet.h"

#include <string.h>

#include "base/units.h"

enum { PAGE = 1000, DAY_S = 86400, CERTIFICATE_DAYS = 3 };

struct str fleet_text(const struct json_value *v, const char *name)
{
        struct str text = json_str(json_find(v, str_of(name)));

        return text.ptr ? text : STR("");
}

int64_t fleet_number(const struct json_value *v, const char *name)
{
        int64_t number;

        return json_get_int64(json_find(v, str_of(name)), &number) == ERR_OK ? number : 0;
}

bool fleet_is(const struct json_value *v, const char *name)
{
        const struct json_value *member = json_find(v, str_of(name));

        return json_is(member, JSON_BOOL) && member->boolean;
}

bool fleet_is_control(const struct json_value *target)
{
        return fleet_text(target, "agent").len == 0 && str_eq(fleet_text(target, "url"), STR("control"));
}

/* ---- asking ---- */

static bool list_grow(struct arena *a, struct fleet_list *list, const struct json_value *items)
{
        size_t more = json_is(items, JSON_ARRAY) ? items->count : 0;
        const struct json_value **grown = ARENA_ARRAY(a, const struct json_value *, list->count + more + 1);

        if (!grown)
                return false;
        if (list->count)
                memcpy(grown, list->items, list->count * sizeof(*grown));
        for (size_t i = 0; i < more; i++)
                grown[list->count + i] = json_item(items, i);
        list->items = grown;
        list->count += more;
        return true;
}

static enum exit_code list_get(struct remote *r, const char *path, struct fleet_list *out)
{
        struct str after = STR("");

        do {
                struct str place = arena_format(&r->arena, "%s?limit=%d%s%.*s", path, PAGE,
                                                after.len ? "&after=" : "", STR_FMT(after));
                enum exit_code code = remote_ask(r, "GET", place.ptr, STR(""));

                if (code != EXIT_OK)
                        return code;
                if (!list_grow(&r->arena, out, json_find(r->root, STR("items"))))
                        return EXIT_FAILED;
                after = fleet_text(r->root, "next");
        } while (after.len);
        return EXIT_OK;
}

enum exit_code fleet_open(struct fleet *f, struct str server, struct str key)
{
        enum exit_code code;

        memset(f, 0, sizeof(*f));
        if ((code = remote_open(&f->remote, server, key)) != EXIT_OK ||
            (code = remote_ask(&f->remote, "GET", "/status", STR(""))) != EXIT_OK)
                return code;
        f->status = f->remote.root;
        if ((code = list_get(&f->remote, "/nodes", &f->nodes)) != EXIT_OK)
                return code;
        if ((code = list_get(&f->remote, "/services", &f->services)) != EXIT_OK)
                return code;
        return list_get(&f->remote, "/certificates", &f->certificates);
}

void fleet_close(struct fleet *f)
{
        remote_close(&f->remote);
}

const struct json_value *fleet_node_find(const struct fleet *f, struct str id)
{
        for (size_t i = 0; id.len && i < f->nodes.count; i++)
                if (str_eq(fleet_text(f->nodes.items[i], "id"), id))
                        return f->nodes.items[i];
        return NULL;
}

const struct json_value *fleet_health_find(const struct fleet *f, const struct json_value *target)
{
        const struct json_value *agent = fleet_node_find(f, fleet_text(target, "agent"));
        const struct json_value *list = json_find(json_find(agent, STR("report")), STR("health"));

        for (size_t i = 0; json_is(list, JSON_ARRAY) && i < list->count; i++)
                if (str_eq(fleet_text(json_item(list, i), "target"), fleet_text(target, "id")))
                        return json_item(list, i);
        return NULL;
}

/* ---- what is wrong ---- */

static void certificate_judge(const struct fleet *f, const struct json_value *n, struct findings *out)
{
        struct str text = fleet_text(n, "certificate_expires"), now_text = fleet_text(f->status, "time");
        struct str name = fleet_text(n, "name");
        unix_ms ends, now;

        if (units_parse_time(text, &ends) != ERR_OK || units_parse_time(now_text, &now) != ERR_OK)
                return;
        if (ends <= now)
                finding_add(
                        out, FINDING_ERROR, "certificate",
                        "the node renews it while it is connected; now it must join again with a new token "
                        "(sekisho node invite)",
                        "the certificate of %.*s ended %.*s", STR_FMT(name), STR_FMT(text));
        else if (ends - now < (int64_t)CERTIFICATE_DAYS * DAY_S * 1000)
                finding_add(out, FINDING_WARNING, "certificate",
                            "let the node reach control: it renews by itself from a third of its life on",
                            "the certificate of %.*s ends %.*s", STR_FMT(name), STR_FMT(text));
}

static void links_judge(const struct fleet *f, const struct json_value *agent, struct findings *out)
{
        const struct json_value *links = json_find(json_find(agent, STR("report")), STR("links"));
        struct str name = fleet_text(agent, "name");

        for (size_t i = 0; json_is(links, JSON_ARRAY) && i < links->count; i++) {
                const struct json_value *link = json_item(links, i);
                const struct json_value *gateway = fleet_node_find(f, fleet_text(link, "peer"));
                struct str peer = gateway ? fleet_text(gateway, "name") : fleet_text(link, "peer");
                struct str detail = fleet_text(link, "detail");
                int64_t up = fleet_number(link, "up"), asked = fleet_number(link, "wanted");

                if (up >= asked)
                        continue;
                finding_add(
                        out, up ? FINDING_WARNING : FINDING_ERROR, "link",
                        "see that the agent reaches the gateway's TLS address: sekisho node show GATEWAY, report.addresses",
                        "%.*s has %lld of %lld links to %.*s%s%.*s", STR_FMT(name), (long long)up,
                        (long long)asked, STR_FMT(peer), detail.len ? ": " : "", STR_FMT(detail));
        }
}

static void node_judge(const struct fleet *f, const struct json_value *n, struct findings *out)
{
        struct str name = fleet_text(n, "name"), kind = fleet_text(n, "kind"), state = fleet_text(n, "state");
        int64_t behind = fleet_number(n, "wanted_version") - fleet_number(n, "version");

        if (str_eq(state, STR("pending"))) {
                finding_add(out, FINDING_WARNING, "node",
                            "sekisho node approve NAME, or sekisho node remove NAME",
                            "the %.*s %.*s waits to be let in", STR_FMT(kind), STR_FMT(name));
                return;
        }
        if (!str_eq(state, STR("active")))
                return; /* somebody wanted it so */
        if (!fleet_is(n, "connected"))
                finding_add(
                        out, FINDING_ERROR, "node",
                        "on its machine: sekisho doctor; if it is gone for good: sekisho node remove NAME",
                        "the %.*s %.*s is not connected (last seen %.*s)", STR_FMT(kind), STR_FMT(name),
                        STR_FMT(fleet_text(n, "last_seen")));
        else if (behind > 0)
                finding_add(out, FINDING_WARNING, "node",
                            "if it stays so its log says why it refused: sekisho logs on its machine",
                            "the %.*s %.*s is %lld version%s behind", STR_FMT(kind), STR_FMT(name),
                            (long long)behind, behind == 1 ? "" : "s");
        certificate_judge(f, n, out);
        if (fleet_is(n, "connected") && str_eq(kind, STR("agent")))
                links_judge(f, n, out);
        const struct json_value *problems = json_find(json_find(n, STR("report")), STR("problems"));
        for (size_t i = 0; json_is(problems, JSON_ARRAY) && i < problems->count; i++)
                finding_add(out, FINDING_ERROR, "node", NULL, "%.*s %.*s: %.*s", STR_FMT(kind), STR_FMT(name),
                            STR_FMT(json_str(json_item(problems, i))));
}

static void service_judge(const struct fleet *f, const struct json_value *s, struct findings *out)
{
        const struct json_value *targets = json_find(s, STR("targets"));
        struct str name = fleet_text(s, "name");
        size_t enabled = 0, up = 0;

        if (!fleet_is(s, "enabled"))
                return;
        for (size_t i = 0; json_is(targets, JSON_ARRAY) && i < targets->count; i++) {
                const struct json_value *t = json_item(targets, i);
                const struct json_value *agent = fleet_node_find(f, fleet_text(t, "agent"));
                const struct json_value *health = fleet_health_find(f, t);
                struct str url = fleet_text(t, "url");

                if (!fleet_is(t, "enabled"))
                        continue;
                enabled++;
                if (health && !fleet_is(health, "up"))
                        finding_add(out, FINDING_WARNING, "target",
                                    "look at the program there; the agent asks again by itself",
                                    "%.*s: %.*s at %.*s is down: %.*s", STR_FMT(name), STR_FMT(url),
                                    STR_FMT(fleet_text(agent, "name")),
                                    STR_FMT(fleet_text(health, "detail")));
                else if (fleet_is(agent, "connected") || fleet_is_control(t))
                        up++;
        }
        if (enabled == 0)
                finding_add(out, FINDING_WARNING, "service",
                            "sekisho service add NAME … --to agent/NAME:PORT",
                            "%.*s has no target: it answers 503", STR_FMT(name));
        else if (up == 0)
                finding_add(out, FINDING_ERROR, "service", "see its targets and their agents",
                            "%.*s has no target that is up", STR_FMT(name));
}

static bool has_gateway(const struct json_value *list, struct str id)
{
        for (size_t i = 0; json_is(list, JSON_ARRAY) && i < list->count; i++)
                if (str_eq(json_str(json_item(list, i)), id))
                        return true;
        return false;
}

/* Its key is sealed to the gateways there were when it came: control cannot give it to one that joined later. */
static void uploaded_judge(const struct fleet *f, const struct json_value *c, struct findings *out)
{
        if (!str_eq(fleet_text(c, "source"), STR("uploaded")))
                return;
        for (size_t i = 0; i < f->nodes.count; i++) {
                const struct json_value *n = f->nodes.items[i];

                if (str_eq(fleet_text(n, "kind"), STR("gateway")) &&
                    str_eq(fleet_text(n, "state"), STR("active")) &&
                    !has_gateway(json_find(c, STR("gateways")), fleet_text(n, "id")))
                        finding_add(
                                out, FINDING_WARNING, "certificate",
                                "upload the same chain and key again (POST /api/v1/certificates): only "
                                "gateways that lack it get it",
                                "the gateway %.*s lacks the uploaded certificate %.*s and presents one of "
                                "control's authority",
                                STR_FMT(fleet_text(n, "name")), STR_FMT(fleet_text(c, "name")));
        }
}

void fleet_judge(const struct fleet *f, struct findings *out)
{
        size_t gateways = 0;

        for (size_t i = 0; i < f->nodes.count; i++) {
                node_judge(f, f->nodes.items[i], out);
                gateways += str_eq(fleet_text(f->nodes.items[i], "kind"), STR("gateway"));
        }
        if (gateways == 0)
                finding_add(out, FINDING_WARNING, "node", "sekisho node invite gateway",
                            "there is no gateway: nothing is published anywhere");
        for (size_t i = 0; i < f->services.count; i++)
                service_judge(f, f->services.items[i], out);
        for (size_t i = 0; i < f->certificates.count; i++)
                uploaded_judge(f, f->certificates.items[i], out);
}
