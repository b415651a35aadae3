/* `sekisho doctor`: is this installation well, and if not, what is to be mended? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/doctor_priv.h"
#include "cli/out.h"
#include "cli/place.h"

enum { ARENA_BYTES_MAX = 16 << 20, JSON_BYTES_MAX = 4 << 20 };

struct doctor_options {
        struct str config, state, server, token;
        bool json;
};

static void say(const struct findings *f)
{
        for (size_t i = 0; i < f->count; i++)
                finding_say(&f->items[i]);
        if (!f->errors_count && !f->warnings_count)
                out_coloured(OUT_GREEN, "\nall is well\n");
        else
                out_print("\n%zu error%s, %zu warning%s\n", f->errors_count, f->errors_count == 1 ? "" : "s",
                          f->warnings_count, f->warnings_count == 1 ? "" : "s");
}

static void say_json(const struct findings *f)
{
        struct json_writer w;
        struct buf out;

        buf_init(&out, JSON_BYTES_MAX);
        json_writer_init(&w, &out, 2);
        json_write_object_begin(&w);
        json_write_member_uint(&w, STR("errors"), f->errors_count);
        json_write_member_uint(&w, STR("warnings"), f->warnings_count);
        json_write_key(&w, STR("findings"));
        findings_write(&w, f, FINDING_GOOD);
        json_write_object_end(&w);
        json_writer_finish(&w);
        out_str(buf_str(&out));
        out_print("\n");
        buf_fini(&out);
}

/* Where nothing is kept in the usual place, that of `make run` is meant, if there is one. */
static bool state_usual(struct doctor *d)
{
        static const char *const kept[] = { "control.db", "control.key", "gateway", "agent" };
        const char *named = getenv("SEKISHO_STATE");
        char path[NODE_PATH_MAX + 32];

        if (node_state_folder(d->state) != ERR_OK)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
                snprintf(path, sizeof(path), "%s/%s", d->state, kept[i]);
                if (access(path, F_OK) == 0)
                        return true;
        }
        if (!(named && *named) && place_run_state(path, NODE_PATH_MAX) == ERR_OK)
                memcpy(d->state, path, NODE_PATH_MAX);
        return true;
}

static bool state_find(struct doctor *d, struct str given)
{
        if (!given.len)
                return state_usual(d);
        if (given.len >= sizeof(d->state) - 16)
                return false;
        memcpy(d->state, given.ptr, given.len);
        d->state[given.len] = '\0';
        return true;
}

static enum exit_code doctor_run(const struct command_call *call)
{
        static struct findings findings; /* one a process; large */
        const struct doctor_options *o = call->options;
        struct doctor d = { .findings = &findings,
                            .arena = &(struct arena){ 0 },
                            .config = o->config,
                            .server = o->server,
                            .token = o->token };
        arena_init(d.arena, NULL, 0, ARENA_BYTES_MAX);
        findings = (struct findings){ .arena = d.arena };
        if (!state_find(&d, o->state)) {
                out_problem("the name of the state folder is too long");
                arena_fini(d.arena);
                return EXIT_WRONG;
        }
        doctor_config(&d);
        doctor_state(&d);
        doctor_node(&d, WIRE_GATEWAY);
        doctor_node(&d, WIRE_AGENT);
        doctor_ports(&d);
        doctor_tailnet(&d);
        doctor_pools(&d);
        doctor_fleet(&d);
        if (o->json)
                say_json(&findings);
        else
                say(&findings);
        enum exit_code code = findings.errors_count ? EXIT_FAILED : EXIT_OK;

        doctor_here_end(&d);
        arena_fini(d.arena);
        return code;
}

const struct command command_doctor = {
        .name = "doctor",
        .summary = "examine this installation and say what is to be mended",
        .usage = "[--config PATH] [--state FOLDER] [--server URL] [--json]",
        .text = "Looks at the configuration, the state folder and who may read it, the papers of a gateway or agent of this machine "
                "(certificate, stored document, whether control is there and is the one), ports, the tailnet, and routes that collide with the "
                "fleet's addresses; where it is known where control is, at clocks, nodes, links, targets, names in DNS and the store. "
                "Changes nothing. Exit code 0 when nothing is an error, 1 otherwise. An installed role has a folder and user of its "
                "own: sudo -u sekisho-agent sekisho doctor --state /var/lib/sekisho/agent",
        .examples = (const char *const[]){ "sekisho doctor", "sekisho doctor --json",
                                           "sekisho doctor --config /etc/sekisho/sekisho.json", NULL },
        .options =
                (const struct option[]){
                        { "config", 'c', OPTION_TEXT, offsetof(struct doctor_options, config), "PATH",
                          "the configuration file (else the one that is found)" },
                        { "state", 0, OPTION_TEXT, offsetof(struct doctor_options, state), "FOLDER",
                          "the state folder (else $SEKISHO_STATE, or the user's, or /var/lib/sekisho)" },
                        { "server", 0, OPTION_TEXT, offsetof(struct doctor_options, server), "URL",
                          "where control is (else $SEKISHO_SERVER, or where `sekisho login` was)" },
                        { "token", 0, OPTION_SECRET, offsetof(struct doctor_options, token), "KEY",
                          "the API key (else $SEKISHO_TOKEN)" },
                        { "json", 0, OPTION_FLAG, offsetof(struct doctor_options, json), NULL, "as JSON" },
                        { NULL },
                },
        .options_bytes = sizeof(struct doctor_options),
        .run = doctor_run,
};
