/* `sekisho status`: the fleet as control knows it; or what a gateway here says of itself on its admin listener. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/fleet.h"
#include "cli/load.h"
#include "cli/out.h"
#include "json/reader.h"

enum { STATUS_MS = 5000, STATUS_ARENA_MAX = 32 << 20 };

struct status_options {
        struct str config, admin, server, token;
        bool json, here;
};

/* ---- asking ---- */

/* Where the admin listener is: --admin, or what the configuration says. */
static enum exit_code address_find(const struct status_options *o, struct listen_address *out)
{
        enum exit_code code = EXIT_OK;
        struct loaded l;

        if (o->admin.len) {
                if (listen_address_parse(o->admin, out) == ERR_OK)
                        return EXIT_OK;
                out_problem("--admin: \"%.*s\" is no address; write 127.0.0.1:9090", STR_FMT(o->admin));
                return EXIT_WRONG;
        }
        if (loaded_init_lenient(&l, o->config) != ERR_OK) {
                out_report(&l.report);
                code = EXIT_WRONG;
        } else if (!l.conf->admin.is_on || l.conf->admin.listen.ip.family == 0) {
                out_problem("the configuration has no admin listener to ask (admin.listen)");
                code = EXIT_WRONG;
        } else {
                *out = l.conf->admin.listen;
        }
        loaded_fini(&l);
        return code;
}

/* Every address means this machine. */
static struct ip ip_to_ask(struct ip listens)
{
        struct ip any4 = { .family = 4 }, any6 = { .family = 6 }, loopback;

        if ((ip_eq(listens, any4) || ip_eq(listens, any6)) && ip_parse(STR("127.0.0.1"), &loopback) == ERR_OK)
                return loopback;
        return listens;
}

static enum exit_code status_get(struct client *c, const struct listen_address *a, struct client_answer *out)
{
        struct listen_address asked = { .ip = ip_to_ask(a->ip), .port = a->port };
        const struct dial_target target = { .ip = asked.ip, .port = asked.port };
        char host[LISTEN_ADDRESS_TEXT_MAX];
        const struct client_request request = { .method = STR("GET"),
                                                .path = STR("/status"),
                                                .host = listen_address_format(&asked, host) };
        enum err e = client_dial(c, &target, STATUS_MS);

        if (e == ERR_OK)
                e = client_ask(c, &request, STATUS_MS, out);
        if (e != ERR_OK) {
                out_problem("nobody answers at %.*s: %s; is the gateway running with this configuration?",
                            STR_FMT(request.host), err_text(e));
                return EXIT_UNAVAILABLE;
        }
        if (out->status == 200)
                return EXIT_OK;
        out_problem("%.*s answered %u", STR_FMT(request.host), out->status);
        return out->status == 403 ? EXIT_DENIED : EXIT_FAILED;
}

/* ---- printing ---- */

static struct str text_of(const struct json_value *object, const char *key)
{
        const struct json_value *v = json_find(object, str_of(key));

        return json_is(v, JSON_STRING) ? v->text : STR("?");
}

static struct str raw_of(const struct json_value *object, const char *key)
{
        const struct json_value *v = json_find(object, str_of(key));

        return v ? v->raw : STR("?");
}

static bool is_true(const struct json_value *object, const char *key)
{
        return str_eq(raw_of(object, key), STR("true"));
}

static void isolation_print(const struct json_value *i)
{
        out_print(", user %.*s", STR_FMT(raw_of(i, "uid")));
        out_print(is_true(i, "noNewPrivileges") && is_true(i, "noCapabilities") ? ", no privileges"
                                                                                : ", PRIVILEGED");
        out_print(is_true(i, "seccomp") ? ", seccomp" : ", NO seccomp");
        if (str_eq(raw_of(i, "landlock"), STR("0")))
                out_print(", NO landlock");
        else
                out_print(", landlock %.*s", STR_FMT(raw_of(i, "landlock")));
}

static void workers_print(const struct json_value *workers)
{
        for (size_t at_w = 0; json_item(workers, at_w); at_w++) {
                const struct json_value *w = json_item(workers, at_w);

                out_print(
                        "worker %.*s   pid %.*s, up %.*s s, configuration %.*s, %.*s connections, died %.*s times",
                        STR_FMT(raw_of(w, "index")), STR_FMT(raw_of(w, "pid")),
                        STR_FMT(raw_of(w, "uptimeSeconds")), STR_FMT(raw_of(w, "config")),
                        STR_FMT(raw_of(w, "connections")), STR_FMT(raw_of(w, "deaths")));
                isolation_print(json_find(w, STR("isolation")));
                out_print("\n");
        }
}

static void keys_print(const struct json_value *k)
{
        if (!json_is(k, JSON_OBJECT))
                return;
        out_print("keys       pid %.*s, up %.*s s, %.*s keys, %.*s signatures, %.*s refused, died %.*s times",
                  STR_FMT(raw_of(k, "pid")), STR_FMT(raw_of(k, "uptimeSeconds")), STR_FMT(raw_of(k, "keys")),
                  STR_FMT(raw_of(k, "signatures")), STR_FMT(raw_of(k, "refused")),
                  STR_FMT(raw_of(k, "deaths")));
        isolation_print(json_find(k, STR("isolation")));
        out_print(is_true(k, "lockedMemory") ? ", locked memory\n" : ", memory NOT locked\n");
}

static void tailnet_print(const struct json_value *t)
{
        static const char *const keys[] = { "ipv4", "ipv6" };
        const struct json_value *c = json_find(t, STR("certificate"));

        if (!json_is(t, JSON_OBJECT))
                return;
        out_print("tailnet    pid %.*s, %s", STR_FMT(raw_of(t, "pid")),
                  is_true(t, "connected") ? "connected" : "NOT connected");
        for (size_t i = 0; i < 2; i++)
                if (json_is(json_find(t, str_of(keys[i])), JSON_STRING)) {
                        out_print(", ");
                        out_foreign(text_of(t, keys[i]));
                }
        out_print(", died %.*s times", STR_FMT(raw_of(t, "deaths")));
        isolation_print(json_find(t, STR("isolation")));
        out_print("\n");
        if (!json_is(c, JSON_OBJECT))
                return;
        out_print("           certificate ");
        if (json_is(json_find(c, STR("until")), JSON_STRING)) {
                out_foreign(text_of(c, "name"));
                out_print(", good until %.*s", STR_FMT(text_of(c, "until")));
        } else {
                out_print("NOT there");
        }
        if (json_is(json_find(c, STR("problem")), JSON_STRING)) {
                out_print(": ");
                out_foreign(text_of(c, "problem"));
        }
        out_print("\n");
}

static void upstreams_print(const struct json_value *upstreams)
{
        for (size_t at_u = 0; json_item(upstreams, at_u); at_u++) {
                const struct json_value *u = json_item(upstreams, at_u);
                const struct json_value *targets = json_find(u, STR("targets"));

                for (size_t at_t = 0; json_item(targets, at_t); at_t++) {
                        const struct json_value *t = json_item(targets, at_t);

                        out_print("upstream   ");
                        out_foreign(text_of(u, "name"));
                        out_print("  ");
                        out_foreign(text_of(t, "url"));
                        out_print(is_true(t, "up") ? "  up\n" : "  DOWN\n");
                }
        }
}

static void status_print(const struct json_value *s)
{
        const struct json_value *config = json_find(s, STR("config")), *reload = json_find(s, STR("reload"));
        const struct json_value *listeners = json_find(s, STR("listeners"));

        out_print("sekisho %.*s, pid %.*s, up %.*s s\n", STR_FMT(text_of(s, "version")),
                  STR_FMT(raw_of(s, "pid")), STR_FMT(raw_of(s, "uptimeSeconds")));
        out_print("config     ");
        out_foreign(text_of(config, "file"));
        out_print(", version %.*s, number %.*s\n", STR_FMT(text_of(config, "version")),
                  STR_FMT(raw_of(config, "number")));
        if (json_is(reload, JSON_OBJECT)) {
                out_print("reload     %.*s at %.*s: ",
                          STR_FMT(is_true(reload, "ok") ? STR("applied") : STR("REFUSED")),
                          STR_FMT(text_of(reload, "time")));
                out_foreign(text_of(reload, "text"));
                out_print("\n");
        }
        for (size_t at_l = 0; json_item(listeners, at_l); at_l++) {
                const struct json_value *l = json_item(listeners, at_l);

                out_print("listens    ");
                out_foreign(text_of(l, "address"));
                out_print("%s%s\n", is_true(l, "tls") ? "  TLS" : "", is_true(l, "admin") ? "  admin" : "");
        }
        workers_print(json_find(s, STR("workers")));
        keys_print(json_find(s, STR("keyHolder")));
        tailnet_print(json_find(s, STR("tailnet")));
        upstreams_print(json_find(s, STR("upstreams")));
}

static enum exit_code answer_print(const struct status_options *o, struct str body)
{
        const struct json_value *root;
        struct arena arena;
        enum exit_code code = EXIT_OK;

        arena_init(&arena, NULL, 0, STATUS_ARENA_MAX);
        if (json_read_strict(&arena, body, NULL, &root) != ERR_OK || !json_is(root, JSON_OBJECT)) {
                out_problem("what answers there is not a gateway of this version");
                code = EXIT_FAILED;
        } else if (o->json) {
                out_str(body);
        } else {
                status_print(root);
        }
        arena_fini(&arena);
        return code;
}

static enum exit_code here_run(const struct status_options *o)
{
        struct listen_address address;
        struct client_answer answer;
        struct client *c;
        enum exit_code code = address_find(o, &address);

        if (code != EXIT_OK)
                return code;
        if (!(c = client_new()))
                return EXIT_FAILED;
        code = status_get(c, &address, &answer);
        if (code == EXIT_OK)
                code = answer_print(o, answer.body);
        client_free(c);
        return code;
}

/* ---- the fleet ---- */

static void problems_say(const struct findings *problems)
{
        for (size_t i = 0; i < problems->count; i++)
                finding_say(&problems->items[i]);
        if (!problems->errors_count && !problems->warnings_count)
                out_coloured(OUT_GREEN, "nothing is wrong\n");
}

static enum exit_code fleet_run(const struct status_options *o)
{
        static struct findings problems; /* one a process; large */
        struct fleet f;
        enum exit_code code = fleet_open(&f, o->server, o->token);

        problems = (struct findings){ .arena = &f.remote.arena };
        if (code == EXIT_OK) {
                fleet_judge(&f, &problems);
                if (o->json) {
                        fleet_say_json(&f, &problems);
                } else {
                        fleet_say(&f);
                        problems_say(&problems);
                }
        }
        fleet_close(&f);
        return code;
}

/* Where it is known where control is, the fleet is meant; a gateway's own words need --here or its file or address. */
static enum exit_code status_run(const struct command_call *call)
{
        const struct status_options *o = call->options;
        bool is_here = o->here || o->config.len || o->admin.len || !(o->server.len || remote_is_known());

        return is_here ? here_run(o) : fleet_run(o);
}

const struct command command_status = {
        .name = "status",
        .summary = "how the fleet is; or a gateway of this machine",
        .usage = "[--here|--config PATH|--admin ADDRESS] [--server URL] [--json]",
        .text = "Where it is known where control is (sekisho login, SEKISHO_SERVER): gateways and agents, who is connected and who "
                "is behind, links, services with the health of their targets, and what is wrong. Else, or with --here, the "
                "gateway of this machine by its admin listener: processes and how they are closed in, addresses, the "
                "configuration in force and the last reload, connections, upstreams.",
        .examples = (const char *const[]){ "sekisho status", "sekisho status --json", "sekisho status --here",
                                           "sekisho status --admin 127.0.0.1:9090 --json", NULL },
        .options =
                (const struct option[]){
                        { "here", 0, OPTION_FLAG, offsetof(struct status_options, here), NULL,
                          "the gateway of this machine, not the fleet" },
                        { "config", 'c', OPTION_TEXT, offsetof(struct status_options, config), "PATH",
                          "the gateway's file, instead of the one that is found" },
                        { "admin", 0, OPTION_TEXT, offsetof(struct status_options, admin), "ADDRESS",
                          "the admin listener, instead of the configuration's" },
                        { "server", 0, OPTION_TEXT, offsetof(struct status_options, server), "URL",
                          "where control is (else $SEKISHO_SERVER, or where `sekisho login` was)" },
                        { "token", 0, OPTION_SECRET, offsetof(struct status_options, token), "KEY",
                          "the API key (else $SEKISHO_TOKEN)" },
                        { "json", 0, OPTION_FLAG, offsetof(struct status_options, json), NULL, "as JSON" },
                        { NULL },
                },
        .options_bytes = sizeof(struct status_options),
        .run = status_run,
};
