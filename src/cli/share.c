/* sekisho share: a public name for as long as the command runs. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/control_priv.h"
#include "cli/control_target.h"
#include "cli/reached.h"

enum { TOUCH_SECONDS = 30 };

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int number)
{
        is_interrupted = 1;
}

/* Whose machine this is: --agent, else this host's name among the agents, else the only one. */
static enum exit_code agent_choose(struct remote *r, const struct control_options *o, struct str *out)
{
        char host[256] = "";
        enum exit_code code;

        *out = o->agent;
        if (out->len)
                return EXIT_OK;
        if ((code = remote_ask(r, "GET", "/agents?limit=1000", STR(""))) != EXIT_OK)
                return code;
        const struct json_value *items = json_find(r->root, STR("items"));
        if (gethostname(host, sizeof(host) - 1) == 0 && strchr(host, '.'))
                *strchr(host, '.') = '\0';
        for (size_t i = 0; items && i < items->count; i++) {
                struct str name = json_str(json_find(json_item(items, i), STR("name")));

                if (items->count == 1 || str_eq_nocase(name, str_of(host)))
                        *out = name;
        }
        if (out->len)
                return EXIT_OK;
        out_problem(
                "which agent is beside it? name it by --agent; sekisho node list --kind agent shows them");
        return EXIT_WRONG;
}

/* Until Ctrl-C, or until control has it no longer. */
static enum exit_code share_keep(struct remote *r, struct str id)
{
        const struct sigaction stop = { .sa_handler = on_interrupt };
        struct str touch = arena_format(&r->arena, "/shares/%.*s/touch", STR_FMT(id)),
                   place = arena_format(&r->arena, "/shares/%.*s", STR_FMT(id));
        enum exit_code code = EXIT_OK;

        sigaction(SIGINT, &stop, NULL);
        sigaction(SIGTERM, &stop, NULL);
        for (unsigned seconds = 1; !is_interrupted && code != EXIT_NOT_FOUND; seconds++) {
                sleep(1);
                if (!is_interrupted && seconds % TOUCH_SECONDS == 0)
                        code = remote_ask(r, "POST", touch.ptr,
                                          STR("{}")); /* control may be away for a while */
        }
        return code == EXIT_NOT_FOUND ? code : remote_ask(r, "DELETE", place.ptr, STR(""));
}

static void share_say(struct remote *r, struct str agent, struct str url)
{
        struct str public = json_str(json_find(r->root, STR("public_url"))), port = reached_port(r);

        out_print("%.*s%.*s  →  %.*s at %.*s\nCtrl-C ends it\n", STR_FMT(public), STR_FMT(port), STR_FMT(url),
                  STR_FMT(agent));
}

static enum exit_code share_run(const struct command_call *call)
{
        const struct control_options *o = call->options;
        struct str what, agent, url, joined;
        struct json_writer w;
        struct remote r;
        struct buf body;
        enum exit_code code;

        if (!control_argument(call, 0, "a port or address", &what))
                return EXIT_WRONG;
        code = remote_open(&r, o->server, o->token);
        if (code != EXIT_OK || (code = agent_choose(&r, o, &agent)) != EXIT_OK) {
                remote_close(&r);
                return code;
        }
        struct str parts[] = { agent, STR(":"), what };
        joined = arena_join(&r.arena, parts, 3);
        control_body_begin(&w, &body);
        if (!control_target_split(joined, STR("http"), &r.arena, &agent, &url))
                url = what;
        json_write_member_str(&w, STR("agent"), agent);
        json_write_member_str(&w, STR("url"), url);
        control_write_text(&w, "host", o->host);
        control_body_end(&w);
        if ((code = remote_ask(&r, "POST", "/shares", buf_str(&body))) == EXIT_OK) {
                struct str id = json_str(json_find(r.root, STR("id")));

                if (o->json)
                        out_str(r.body);
                else
                        share_say(&r, agent, url);
                fflush(stdout);
                code = share_keep(&r, id);
        }
        buf_fini(&body);
        remote_close(&r);
        return code;
}

const struct command command_share = {
        .name = "share",
        .summary = "give something a public name for as long as this command runs",
        .usage = "PORT|HOST:PORT|URL [--agent NAME] [--host HOST]",
        .text = "The agent of that name dials it. Without --host the name is a random one below a domain with a wildcard "
                "(sekisho domain add). It is gone when the command ends, and two minutes after it was last heard of.",
        .examples =
                (const char *const[]){ "sekisho share 3000",
                                       "sekisho share localhost:3000 --agent home --host demo.example.com",
                                       NULL },
        .options = (const struct option[]){ TEXT_OPTION("agent", agent, "NAME",
                                                        "the agent beside it (this host's, or the only one)"),
                                            TEXT_OPTION("host", host, "HOST", "the name (a random one)"),
                                            SERVER_OPTIONS,
                                            { NULL } },
        .options_bytes = sizeof(struct control_options),
        .arguments_max = 1,
        .run = share_run,
};
