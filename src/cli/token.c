#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/edit.h"
#include "cli/load.h"
#include "cli/out.h"
#include "cli/place.h"
#include "cli/secret_ask.h"
#include "cli/token_text.h"
#include "crypto/secret.h"
#include "json/writer.h"

struct token_options {
        struct str config, name, scopes, expires, models, allowed_ips, rate_limit;
        bool add, json;
};

enum { TEXT_BYTES_MAX = 1 << 20 };

/* ---- a token's object, as the configuration has it ---- */

static void list_write(struct json_writer *w, struct str key, struct str commas)
{
        struct str item;

        if (!commas.len)
                return;
        json_write_key(w, key);
        json_write_array_begin(w);
        while (str_split(&commas, ',', &item))
                json_write_str(w, str_trim(item));
        json_write_array_end(w);
}

static void object_make(const struct token_options *o, struct str token, struct buf *out)
{
        char hash[TOKEN_HASH_TEXT_MAX];
        struct json_writer w;

        json_writer_init(&w, out, JSON_COMPACT);
        json_write_object_begin(&w);
        if (o->name.len)
                json_write_member_str(&w, STR("name"), o->name);
        json_write_member_str(&w, STR("sha256"), token_text_hash(token, hash));
        list_write(&w, STR("scopes"), o->scopes);
        if (o->expires.len)
                json_write_member_str(&w, STR("expires"), o->expires);
        list_write(&w, STR("allowedIps"), o->allowed_ips);
        list_write(&w, STR("models"), o->models);
        if (o->rate_limit.len)
                json_write_member_str(&w, STR("rateLimit"), o->rate_limit);
        json_write_object_end(&w);
        json_writer_finish(&w);
}

static void token_json_print(struct str name, struct str token, struct str object, struct str added_to)
{
        struct json_writer w;
        struct buf out;

        buf_init(&out, TEXT_BYTES_MAX);
        json_writer_init(&w, &out, 2);
        json_write_object_begin(&w);
        if (name.len)
                json_write_member_str(&w, STR("name"), name);
        if (token.len)
                json_write_member_str(&w, STR("token"), token);
        if (object.len)
                json_write_member_raw(&w, STR("entry"), object);
        if (added_to.len)
                json_write_member_str(&w, STR("file"), added_to);
        json_write_object_end(&w);
        json_writer_finish(&w);
        out_print("%.*s\n", STR_FMT(buf_str(&out)));
        buf_wipe(&out);
}

/* ---- changing the file ---- */

static enum exit_code edit_problem(const struct edit *e, enum err r)
{
        out_report(&e->report);
        if (r != ERR_CONFIG || e->report.errors_count == 0)
                out_problem("%.*s: %s", STR_FMT(e->path), err_text(r));
        return r == ERR_CONFIG || r == ERR_MALFORMED ? EXIT_WRONG
               : r == ERR_NOT_FOUND                  ? EXIT_NOT_FOUND
                                                     : EXIT_FAILED;
}

static bool has_name(const struct edit *e, struct str name)
{
        const struct json_value *list = edit_find(e, "/gateway/apiTokens");

        for (size_t i = 0; list && list->type == JSON_ARRAY && i < list->count; i++)
                if (str_eq(json_str(json_find(&list->items[i], STR("name"))), name))
                        return true;
        return false;
}

static enum exit_code entry_add(const struct token_options *o, struct str object, struct buf *path)
{
        enum exit_code code = EXIT_OK;
        struct edit e;
        enum err r = place_config_find(o->config, path);

        if (r == ERR_NOT_FOUND) {
                out_problem("there is no configuration yet; 'sekisho setup' writes one, with a token");
                return EXIT_NOT_FOUND;
        }
        if (r != ERR_OK) {
                out_problem("%s", err_text(r));
                return EXIT_WRONG;
        }
        r = edit_init(&e, buf_str(path));
        if (r == ERR_OK && has_name(&e, o->name)) {
                out_problem(
                        "there is a token \"%.*s\" already; choose another name, or 'sekisho token remove' it first",
                        STR_FMT(o->name));
                edit_fini(&e);
                return EXIT_CONFLICT;
        }
        if (r == ERR_OK)
                r = edit_append(&e, "/gateway/apiTokens", object);
        if (r == ERR_OK)
                r = edit_check(&e, NULL);
        if (r == ERR_OK)
                r = edit_save(&e);
        if (r != ERR_OK)
                code = edit_problem(&e, r);
        edit_fini(&e);
        return code;
}

static enum exit_code new_run(const struct command_call *call)
{
        const struct token_options *o = call->options;
        enum exit_code code = EXIT_OK;
        char token[TOKEN_TEXT_MAX];
        struct buf object, path;

        if (o->add && !o->name.len) {
                out_problem("--add wants a --name: who will hold the token");
                return EXIT_WRONG;
        }
        buf_init(&object, TEXT_BYTES_MAX);
        buf_init(&path, 4096);
        struct str text = token_text_make(token);

        object_make(o, text, &object);
        if (o->add)
                code = entry_add(o, buf_str(&object), &path);
        if (code == EXIT_OK && o->json)
                token_json_print(o->name, text, buf_str(&object), buf_str(&path));
        else if (code == EXIT_OK) {
                out_print("%.*s\n", STR_FMT(text));
                fflush(stdout);
                out_note("The token above is shown this once. ");
                if (o->add)
                        out_note("Its hash is in %.*s;\na running gateway takes it up with: kill -HUP PID\n",
                                 STR_FMT(buf_str(&path)));
                else
                        out_note("For gateway.apiTokens:\n  %.*s\n", STR_FMT(buf_str(&object)));
        }
        crypto_wipe(token, sizeof(token));
        buf_fini(&object);
        buf_fini(&path);
        return code;
}

static enum exit_code hash_run(const struct command_call *call)
{
        const struct token_options *o = call->options;
        struct buf token, object;
        enum err e = secret_ask("token: ", &token);

        if (e != ERR_OK) {
                out_problem("%s", e == ERR_TOO_LARGE ? "that is too long for a token" : "no token came");
                buf_wipe(&token);
                return EXIT_WRONG;
        }
        buf_init(&object, TEXT_BYTES_MAX);
        object_make(o, buf_str(&token), &object);
        if (o->json)
                token_json_print(o->name, STR_NULL, buf_str(&object), STR_NULL);
        else
                out_print("%.*s\n", STR_FMT(buf_str(&object)));
        buf_fini(&object);
        buf_wipe(&token);
        return EXIT_OK;
}

/* ---- looking ---- */

static const struct {
        unsigned scope;
        const char *name;
} scopes[] = {
        { CONF_SCOPE_LLM, "llm" },
        { CONF_SCOPE_PROXY, "proxy" },
        { CONF_SCOPE_ADMIN, "admin" },
        { CONF_SCOPE_DISPATCH, "dispatch" },
};

static struct str expires_format(const struct conf_token *t, char out[UNITS_TIME_TEXT_MAX])
{
        return t->expires == MONO_NEVER ? STR("never") : str_sub(units_format_time(t->expires, out), 0, 10);
}

static void tokens_json_print(const struct conf_gateway *g)
{
        char when[UNITS_TIME_TEXT_MAX];
        struct json_writer w;
        struct buf out;

        buf_init(&out, 64 << 20);
        json_writer_init(&w, &out, 2);
        json_write_array_begin(&w);
        for (size_t i = 0; i < g->tokens_count; i++) {
                const struct conf_token *t = &g->tokens[i];

                json_write_object_begin(&w);
                json_write_member_str(&w, STR("name"), t->name);
                json_write_key(&w, STR("scopes"));
                json_write_array_begin(&w);
                for (size_t j = 0; j < ARRAY_SIZE(scopes); j++)
                        if (t->scopes & scopes[j].scope)
                                json_write_str(&w, str_of(scopes[j].name));
                json_write_array_end(&w);
                if (t->expires == MONO_NEVER)
                        json_write_member_null(&w, STR("expires"));
                else
                        json_write_member_str(&w, STR("expires"), units_format_time(t->expires, when));
                json_write_key(&w, STR("models"));
                json_write_array_begin(&w);
                for (size_t j = 0; j < t->models.count; j++)
                        json_write_str(&w, t->models.items[j]);
                json_write_array_end(&w);
                json_write_object_end(&w);
        }
        json_write_array_end(&w);
        json_writer_finish(&w);
        out_print("%.*s\n", STR_FMT(buf_str(&out)));
        buf_fini(&out);
}

static void tokens_print(const struct conf_gateway *g)
{
        char when[UNITS_TIME_TEXT_MAX];
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        for (size_t i = 0; i < g->tokens_count; i++) {
                const struct conf_token *t = &g->tokens[i];
                bool has_expired = t->expires <= (unix_ms)now.tv_sec * 1000;

                out_print("%-24.*s  expires %.*s%s  ", STR_FMT(t->name), STR_FMT(expires_format(t, when)),
                          has_expired ? " (over)" : "");
                for (size_t j = 0, n = 0; j < ARRAY_SIZE(scopes); j++)
                        if (t->scopes & scopes[j].scope)
                                out_print("%s%s", n++ ? "," : "", scopes[j].name);
                out_print("\n");
        }
        if (g->tokens_count == 0)
                out_print("no tokens\n");
}

static enum exit_code list_run(const struct command_call *call)
{
        const struct token_options *o = call->options;
        struct loaded l;
        enum err e = loaded_init_lenient(&l, o->config);

        if (e == ERR_OK)
                (o->json ? tokens_json_print : tokens_print)(&l.conf->gateway);
        else
                out_report(&l.report);
        loaded_fini(&l);
        return e == ERR_OK ? EXIT_OK : e == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_WRONG;
}

static enum err entry_remove(struct edit *e, struct str name)
{
        const struct json_value *list = edit_find(e, "/gateway/apiTokens");

        for (size_t i = 0; list && list->type == JSON_ARRAY && i < list->count; i++) {
                char pointer[64];

                if (!str_eq(json_str(json_find(&list->items[i], STR("name"))), name))
                        continue;
                snprintf(pointer, sizeof(pointer), "/gateway/apiTokens/%zu", i);
                return edit_remove(e, pointer);
        }
        return ERR_NOT_FOUND;
}

static enum exit_code remove_run(const struct command_call *call)
{
        const struct token_options *o = call->options;
        struct str name = call->arguments->items[0];
        enum exit_code code = EXIT_OK;
        struct buf path;
        struct edit e;

        if (call->arguments->count != 1) {
                out_problem("name the token to remove; 'sekisho token list' has the names");
                return EXIT_WRONG;
        }
        enum err r = place_config_find(o->config, &path);

        if (r != ERR_OK) {
                out_problem("there is no configuration");
                buf_fini(&path);
                return EXIT_NOT_FOUND;
        }
        if ((r = edit_init(&e, buf_str(&path))) == ERR_OK && (r = entry_remove(&e, name)) == ERR_NOT_FOUND) {
                out_problem("there is no token of that name in %.*s", STR_FMT(e.path));
                code = EXIT_NOT_FOUND;
        } else {
                if (r == ERR_OK)
                        r = edit_check(&e, NULL);
                if (r == ERR_OK)
                        r = edit_save(&e);
                if (r != ERR_OK)
                        code = edit_problem(&e, r);
                else
                        out_print("removed; a running gateway forgets it with: kill -HUP PID\n");
        }
        edit_fini(&e);
        buf_fini(&path);
        return code;
}

/* ---- the rows ---- */

#define TEXT_OPTION(name, member, value, doc)                                            \
        {                                                                                \
                name, 0, OPTION_TEXT, offsetof(struct token_options, member), value, doc \
        }
#define CONFIG_OPTION                                                                       \
        {                                                                                   \
                "config", 'c', OPTION_TEXT, offsetof(struct token_options, config), "PATH", \
                        "the file, instead of the one that is found"                        \
        }
#define JSON_OPTION                                                                           \
        {                                                                                     \
                "json", 0, OPTION_FLAG, offsetof(struct token_options, json), NULL, "as JSON" \
        }
#define ENTRY_OPTIONS                                                                                 \
        TEXT_OPTION("name", name, "NAME", "who will hold it"),                                        \
                TEXT_OPTION("scopes", scopes, "LIST",                                                 \
                            "what it may do: llm,proxy (without: both), admin, dispatch"),            \
                TEXT_OPTION("expires", expires, "TIME", "when it ends, as 2027-01-31T00:00:00Z"),     \
                TEXT_OPTION("models", models, "LIST", "the models it may use, as qwen*,claude-*"),    \
                TEXT_OPTION("allowed-ips", allowed_ips, "LIST", "the addresses it may be used from"), \
                TEXT_OPTION("rate-limit", rate_limit, "RATE", "as 60/min")

static const struct command subcommands[] = {
        {
                .name = "new",
                .summary = "make a token; with --add its hash goes into the configuration",
                .usage = "[--add --name NAME] [--scopes LIST] [--expires TIME] [--models LIST] [--json]",
                .examples =
                        (const char *const[]){
                                "sekisho token new --add --name alice",
                                "sekisho token new --add --name ci --models 'qwen*' --expires 2027-01-31T00:00:00Z",
                                NULL },
                .options =
                        (const struct option[]){
                                { "add", 0, OPTION_FLAG, offsetof(struct token_options, add), NULL,
                                  "put its hash into the configuration, too" },
                                ENTRY_OPTIONS,
                                CONFIG_OPTION,
                                JSON_OPTION,
                                { NULL },
                        },
                .options_bytes = sizeof(struct token_options),
                .run = new_run,
        },
        {
                .name = "hash",
                .summary = "make the entry for gateway.apiTokens of a token that is typed, or piped in",
                .usage = "[--name NAME] [--json] < FILE",
                .examples = (const char *const[]){ "sekisho token hash --name laptop",
                                                   "pass show sekisho | sekisho token hash", NULL },
                .options = (const struct option[]){ ENTRY_OPTIONS, JSON_OPTION, { NULL } },
                .options_bytes = sizeof(struct token_options),
                .run = hash_run,
        },
        {
                .name = "list",
                .summary = "list the tokens of the configuration: names, what they may do, when they end",
                .usage = "[--config PATH] [--json]",
                .examples = (const char *const[]){ "sekisho token list", NULL },
                .options = (const struct option[]){ CONFIG_OPTION, JSON_OPTION, { NULL } },
                .options_bytes = sizeof(struct token_options),
                .run = list_run,
        },
        {
                .name = "remove",
                .summary = "take a token out of the configuration",
                .usage = "NAME [--config PATH]",
                .examples = (const char *const[]){ "sekisho token remove alice", NULL },
                .options = (const struct option[]){ CONFIG_OPTION, { NULL } },
                .options_bytes = sizeof(struct token_options),
                .arguments_max = 1,
                .run = remove_run,
        },
        { NULL },
};

const struct command command_token = {
        .name = "token",
        .summary = "make, list and remove the callers' tokens",
        .usage = "new|hash|list|remove",
        .subcommands = subcommands,
};
