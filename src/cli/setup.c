#include <stdlib.h>

#include "cli/command.h"
#include "cli/out.h"
#include "cli/place.h"
#include "cli/setup_priv.h"
#include "cli/setup_serve.h"
#include "crypto/secret.h"

enum { ARENA_BYTES_MAX = 64 << 20, PROBE_MS = 700 };

const struct setup_maker setup_makers[SETUP_KEYS] = {
        { STR_INIT("anthropic"), STR_INIT("Anthropic"), STR_INIT("ANTHROPIC_API_KEY"), STR_INIT("anthropic"),
          STR_INIT("claude-sonnet-4-5") },
        { STR_INIT("openai"), STR_INIT("OpenAI"), STR_INIT("OPENAI_API_KEY"), STR_INIT("openai"),
          STR_INIT("gpt-4.1-mini") },
};

/* ---- looking round ---- */

static enum err look_round(struct setup *s)
{
        const struct setup_options *o = s->options;
        struct server_list list;

        server_list_usual(&list);
        if (o->probe.len && server_list_parse(o->probe, &list) != ERR_OK) {
                out_problem(
                        "--probe %.*s: write \"none\", or names with ports as \"ollama=11434,vllm=8000\"; names are ollama, "
                        "llamacpp, vllm, sglang, lmstudio",
                        STR_FMT(o->probe));
                return ERR_MALFORMED;
        }
        s->tailnet_result = ERR_NOT_FOUND;
        if (!o->no_tailscale)
                s->tailnet_result =
                        tailnet_find(o->tailscale_socket.len ? o->tailscale_socket : STR(MESH_TAILNET_SOCKET),
                                     false, &s->arena, &s->tailnet);
        s->servers_count = probe_find(s->client, &list, PROBE_MS, &s->arena, s->servers);
        for (size_t i = 0; i < SETUP_KEYS; i++) {
                const char *key = getenv(setup_makers[i].variable.ptr);

                s->has_key[i] = key && key[0];
        }
        return ERR_OK;
}

/* ---- doing it ---- */

static enum exit_code problem_say(struct setup *s, enum err e)
{
        if (e == ERR_MALFORMED && s->edit.report.errors_count == 0)
                return EXIT_WRONG; /* an option; it was said */
        out_report(&s->edit.report);
        if (e == ERR_CONFIG)
                out_problem(
                        "nothing was changed; mend the file, or begin anew with --force (the old file is kept)");
        else
                out_problem("%.*s: %s", STR_FMT(s->edit.path), err_text(e));
        return e == ERR_CONFIG || e == ERR_MALFORMED ? EXIT_WRONG : EXIT_FAILED;
}

static enum exit_code finish(struct setup *s)
{
        bool is_changed = edit_is_changed(&s->edit);
        enum err e;

        if (s->options->print && s->options->json) {
                setup_say_json(s);
                return EXIT_OK;
        }
        if (s->options->print) {
                out_str(buf_str(&s->edit.text));
                if (s->token.len) {
                        fflush(stdout);
                        out_note("the new token, shown this once: %.*s\n", STR_FMT(s->token));
                }
                return EXIT_OK;
        }
        if ((e = edit_save(&s->edit)) != ERR_OK)
                return problem_say(s, e);
        if (s->options->json)
                setup_say_json(s);
        else
                setup_say(s, !s->edit.exists ? "written, mode 0600"
                             : is_changed
                                     ? "changed; the old file is kept beside it, with .bak at its name's end"
                                     : "everything is there already; nothing was changed");
        return EXIT_OK;
}

/* A model for the calls that are printed: what a provider of the file on this machine lists first. */
static void local_model_ask(struct setup *s)
{
        for (size_t i = 0; i < s->conf->providers_count && !s->local_model.len; i++) {
                const struct conf_url *url = &s->conf->providers[i].base_url;

                if (url->scheme == CONF_HTTP && ip_is_loopback(url->ip) &&
                    s->conf->providers[i].kind == CONF_OPENAI)
                        s->local_model = probe_first_model(s->client, url->port, PROBE_MS, &s->arena);
        }
}

static enum exit_code setup_do(struct setup *s, struct str path)
{
        enum err e = edit_init(&s->edit, path);

        if (s->options->force && e == ERR_CONFIG) { /* what it held does not matter */
                report_fini(&s->edit.report);
                report_init(&s->edit.report, path);
                e = ERR_OK;
        }
        if (e == ERR_OK)
                e = look_round(s);
        if (e == ERR_OK)
                e = setup_plan(s);
        if (e == ERR_OK)
                e = edit_check(&s->edit, &s->conf);
        if (e == ERR_OK)
                local_model_ask(s);
        enum exit_code code = e == ERR_OK ? finish(s) : problem_say(s, e);

        conf_free(s->conf);
        edit_fini(&s->edit);
        return code;
}

static enum exit_code setup_run(const struct command_call *call)
{
        struct setup *s = calloc(1, sizeof(*s));
        enum exit_code code = EXIT_FAILED;
        struct buf path;
        enum err e;

        if (!s)
                return EXIT_FAILED;
        s->options = call->options;
        if (s->options->serve || s->options->funnel) {
                const struct setup_options *o = s->options;

                code = setup_serve(&(struct serve_options){ o->config, o->tailscale_socket, o->funnel, o->yes,
                                                            o->json, o->print });
                free(s);
                return code;
        }
        arena_init(&s->arena, NULL, 0, ARENA_BYTES_MAX);
        s->client = client_new();
        e = place_config_find(s->options->config, &path);
        if (!s->client || (e != ERR_OK && e != ERR_NOT_FOUND))
                out_problem("%s", err_text(s->client ? e : ERR_NO_MEMORY));
        else
                code = setup_do(s, buf_str(&path));
        buf_fini(&path);
        client_free(s->client);
        arena_fini(&s->arena);
        crypto_wipe(s->token_text, sizeof(s->token_text));
        free(s);
        return code;
}

#define TEXT_OPTION(name, letter, member, value, doc) \
        OPTION_TEXT_OF(setup_options, name, letter, member, value, doc)
#define FLAG_OPTION(name, member, doc) OPTION_FLAG_OF(setup_options, name, member, doc)

const struct command command_setup = {
        .name = "setup",
        .summary = "write a configuration, or complete the one there is",
        .usage =
                "[--listen ADDRESS] [--no-tailscale] [--print] [--force] [--serve|--funnel] [--yes] [--config PATH] [--json]",
        .text = "Makes a token, an allow-list (this machine, and the tailnet where tailscaled runs) and an entry for each inference\n"
                "server found on this machine and each provider's key found in the environment. What the file says already stays,\n"
                "comments included; the old file is kept. A second run changes nothing.",
        .examples =
                (const char *const[]){
                        "sekisho setup",
                        "sekisho setup --listen 0.0.0.0:8080",
                        "sekisho setup --print --no-tailscale",
                        "sekisho setup --probe ollama=11435,vllm=8001",
                        "sekisho setup --serve --print",
                        NULL,
                },
        .options =
                (const struct option[]){
                        TEXT_OPTION("listen", 'l', listen, "ADDRESS",
                                    "where to listen, as 127.0.0.1:3000, :3000 or unix:/path"),
                        TEXT_OPTION("admin", 0, admin, "ADDRESS",
                                    "where to serve metrics, as 127.0.0.1:9400; or off"),
                        FLAG_OPTION("no-tailscale", no_tailscale, "do not ask tailscaled"),
                        TEXT_OPTION("tailscale-socket", 0, tailscale_socket, "PATH",
                                    "where tailscaled listens, if elsewhere"),
                        TEXT_OPTION("probe", 0, probe, "LIST",
                                    "where to look for servers, as ollama=11434,vllm=8000; or none"),
                        TEXT_OPTION("sample", 0, sample, "URL",
                                    "add the bundled sample model server at this address"),
                        FLAG_OPTION("print", print,
                                    "print the file instead of writing it (with --json: what would be done)"),
                        FLAG_OPTION("force", force, "begin anew, with a new token; the old file is kept"),
                        TEXT_OPTION("config", 'c', config, "PATH",
                                    "the file, instead of the one that is found"),
                        FLAG_OPTION(
                                "serve", serve,
                                "put Tailscale's Serve in front of the gateway: shows the change, then asks"),
                        FLAG_OPTION("funnel", funnel,
                                    "the same, and let everybody on the internet in by Funnel"),
                        FLAG_OPTION("yes", yes, "with --serve: write it without asking"),
                        FLAG_OPTION("json", json, "say what was done as JSON"),
                        { NULL },
                },
        .options_bytes = sizeof(struct setup_options),
        .run = setup_run,
};
