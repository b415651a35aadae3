#include <stdlib.h>

#include "cli/connect_priv.h"
#include "cli/load.h"
#include "cli/out.h"
#include "cli/secret_ask.h"
#include "http/head.h"
#include "io/loop.h"
#include "json/reader.h"
#include "json/writer.h"

enum { PORT = 3000, ARENA_BYTES_MAX = 64 << 20 };

#define SAID(...) arena_format(&c->arena, __VA_ARGS__)

/* ---- where to ---- */

static bool url_parse(struct connect *c, struct str text)
{
        struct str rest = text;
        bool has_scheme = true;

        if (str_has_prefix(text, STR("https://"))) {
                c->is_tls = true;
                rest = str_from(text, 8);
        } else if (str_has_prefix(text, STR("http://"))) {
                rest = str_from(text, 7);
        } else {
                has_scheme = false;
        }
        if (rest.len && rest.ptr[rest.len - 1] == '/')
                rest.len--;
        struct ip ip;

        if (ip_parse(rest, &ip) == ERR_OK && ip.family == 6)
                rest = SAID("[%.*s]", STR_FMT(rest));
        if (http_authority_parse(rest, &c->arena, &c->at) != ERR_OK)
                return false;
        if (!c->at.port)
                c->at.port = c->is_tls ? 443 : has_scheme ? 80 : PORT;
        c->host_field = SAID(c->at.is_ipv6 ? "[%.*s]:%u" : "%.*s:%u", STR_FMT(c->at.host), c->at.port);
        c->url = SAID("%s://%.*s", c->is_tls ? "https" : "http", STR_FMT(c->host_field));
        return true;
}

/* ---- the token ---- */

/* A token that stands in the local file in plain, or is named there, is the reader's own. */
static struct str token_of_config(struct connect *c)
{
        static const struct json_options options = { .mode = JSON_HUJSON };
        const struct json_value *root = NULL, *list, *first;
        struct conf_source source;
        struct conf_text text = { 0 };
        struct loaded l;
        struct str token = STR_NULL;
        enum err e = loaded_init_lenient(&l, c->options->config);

        buf_init(&text.bytes, CONF_TEXT_BYTES_MAX);
        if (e == ERR_OK) {
                source_lenient(&source, buf_str(&l.path));
                e = source.read(&source, CONF_READ_CONFIG, source.file, &text);
        }
        if (e == ERR_OK && json_read(&c->arena, buf_str(&text.bytes), &options, NULL, &root) == ERR_OK) {
                list = json_find(json_find(root, STR("gateway")), STR("apiTokens"));
                first = json_item(list, 0);
                token = json_is(first, JSON_STRING) ? json_str(first)
                                                    : json_str(json_find(first, STR("token")));
                token = arena_copy(&c->arena, token);
                if (token.len && !c->options->json)
                        out_note("(the token is that of %.*s)\n", STR_FMT(buf_str(&l.path)));
        }
        buf_wipe(&text.bytes);
        loaded_fini(&l);
        return token;
}

static enum exit_code token_find(struct connect *c)
{
        const char *variable = getenv("SEKISHO_TOKEN");

        c->token = c->options->token;
        if (!c->token.len && variable && variable[0]) {
                c->token = str_of(variable);
                c->token_is_known = true;
        }
        if (!c->token.len)
                c->token = token_of_config(c);
        if (!c->token.len && out_is_terminal(stdin)) {
                if (secret_ask("token (not shown): ", &c->asked) == ERR_OK)
                        c->token = buf_str(&c->asked);
        }
        if (!c->token.len) {
                out_problem("there is no token: set SEKISHO_TOKEN, or run this at a terminal and type it");
                return EXIT_AUTH;
        }
        if (!http_value_is_valid(c->token) || str_find_char(c->token, ' ') != STR_NONE) {
                out_problem("the token has characters no token has");
                return EXIT_WRONG;
        }
        return EXIT_OK;
}

/* ---- saying ---- */

void connect_step_say(struct connect *c, const char *name, bool is_good, int64_t begun_us, struct str said)
{
        struct step s = { name, said, loop_clock_us() - begun_us, is_good };

        if (c->steps_count < CONNECT_STEPS_MAX)
                c->steps[c->steps_count++] = s;
        if (c->options->json)
                return;
        out_coloured(is_good ? OUT_GREEN : OUT_RED, "  %-4s", is_good ? "ok" : "no");
        out_print("%-10s %7.1f ms  ", name, (double)s.us / 1000);
        out_foreign(said);
        out_print("\n");
        fflush(stdout);
}

static void end_say(const struct connect *c, enum exit_code code)
{
        if (code != EXIT_OK) {
                out_print("\n");
                out_coloured(OUT_BOLD, "%.*s\n", STR_FMT(c->advice));
                return;
        }
        out_print("\n");
        out_foreign(c->answer);
        out_print("\n\nFor your programs:\n  export SEKISHO_SERVER=%.*s\n", STR_FMT(c->url));
        if (!c->token_is_known)
                out_print("  export SEKISHO_TOKEN=%.*s\n", STR_FMT(c->token));
        out_print("  export OPENAI_BASE_URL=%.*s/v1 OPENAI_API_KEY=\"$SEKISHO_TOKEN\"\n"
                  "  export ANTHROPIC_BASE_URL=%.*s ANTHROPIC_API_KEY=\"$SEKISHO_TOKEN\"\n",
                  STR_FMT(c->url), STR_FMT(c->url));
}

static void end_say_json(const struct connect *c, enum exit_code code)
{
        struct json_writer w;
        struct buf out;

        buf_init(&out, 16 << 20);
        json_writer_init(&w, &out, 2);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("server"), c->url);
        json_write_member_bool(&w, STR("ok"), code == EXIT_OK);
        json_write_member_uint(&w, STR("exit"), (uint64_t)code);
        json_write_key(&w, STR("steps"));
        json_write_array_begin(&w);
        for (size_t i = 0; i < c->steps_count; i++) {
                json_write_object_begin(&w);
                json_write_member_str(&w, STR("step"), str_of(c->steps[i].name));
                json_write_member_bool(&w, STR("ok"), c->steps[i].is_good);
                json_write_member_double(&w, STR("ms"), (double)c->steps[i].us / 1000);
                json_write_member_str(&w, STR("said"), c->steps[i].said);
                json_write_object_end(&w);
        }
        json_write_array_end(&w);
        if (c->advice.len)
                json_write_member_str(&w, STR("advice"), c->advice);
        if (c->model.len)
                json_write_member_str(&w, STR("model"), c->model);
        if (c->answer.len)
                json_write_member_str(&w, STR("answer"), c->answer);
        json_write_object_end(&w);
        json_writer_finish(&w);
        out_print("%.*s\n", STR_FMT(buf_str(&out)));
        buf_fini(&out);
}

static enum exit_code connect_do(struct connect *c, struct str where)
{
        if (!url_parse(c, where)) {
                out_problem("that is no URL or host; write it as gpu.example:3000 or https://gpu.example");
                return EXIT_WRONG;
        }
        enum exit_code code = token_find(c);

        if (code != EXIT_OK)
                return code;
        if (!c->options->json)
                out_print("%.*s\n", STR_FMT(c->url));
        code = connect_walk(c);
        (c->options->json ? end_say_json : end_say)(c, code);
        return code;
}

static enum exit_code connect_run(const struct command_call *call)
{
        struct connect c = { .options = call->options };
        const char *server = getenv("SEKISHO_SERVER");
        struct str where = call->arguments->count ? call->arguments->items[0] : str_of(server);
        enum exit_code code = EXIT_FAILED;

        if (!where.len) {
                out_problem("name the gateway: sekisho connect HOST, or set SEKISHO_SERVER");
                return EXIT_WRONG;
        }
        arena_init(&c.arena, NULL, 0, ARENA_BYTES_MAX);
        buf_init(&c.asked, 1);
        if ((c.client = client_new()))
                code = connect_do(&c, where);
        client_free(c.client);
        tls_context_put(c.tls);
        buf_wipe(&c.asked);
        arena_fini(&c.arena);
        return code;
}

#define TEXT_OPTION(name, kind, member, value, doc)                                 \
        {                                                                           \
                name, 0, kind, offsetof(struct connect_options, member), value, doc \
        }

const struct command command_connect = {
        .name = "connect",
        .summary = "test the way into a gateway, step by step, and print what programs need to use it",
        .usage = "URL|HOST [--token TOKEN] [--model MODEL] [--json]",
        .text = "Looks the name up, connects, asks /health, makes sure that a token is asked for, and has a model say something.\n"
                "The token is that of --token, of SEKISHO_TOKEN, or one that stands in the local configuration in plain; else it is\n"
                "asked for at the terminal. Without scheme and port the address is http://HOST:3000.",
        .examples =
                (const char *const[]){
                        "sekisho connect gpu.tail1234.ts.net",
                        "SEKISHO_TOKEN=sk-... sekisho connect https://ai.example.com --json",
                        NULL,
                },
        .options =
                (const struct option[]){
                        TEXT_OPTION("token", OPTION_SECRET, token, "TOKEN",
                                    "the token (others can see a command line: rather SEKISHO_TOKEN)"),
                        TEXT_OPTION("model", OPTION_TEXT, model, "MODEL",
                                    "the model to talk to, instead of the first"),
                        TEXT_OPTION("message", OPTION_TEXT, message, "TEXT", "what to say to it"),
                        TEXT_OPTION("ca", OPTION_TEXT, ca, "PATH",
                                    "PEM file of authorities to trust, instead of the system's"),
                        { "insecure", 0, OPTION_FLAG, offsetof(struct connect_options, insecure), NULL,
                          "take any certificate: for tests" },
                        TEXT_OPTION("config", OPTION_TEXT, config, "PATH",
                                    "the local configuration to look for a token in"),
                        { "json", 0, OPTION_FLAG, offsetof(struct connect_options, json), NULL,
                          "say it as JSON" },
                        { NULL },
                },
        .options_bytes = sizeof(struct connect_options),
        .arguments_max = 1,
        .run = connect_run,
};
