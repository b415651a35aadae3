#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "cli/out.h"
#include "cli/setup_priv.h"
#include "json/writer.h"

enum { CALLS_MAX = 8, TEXT_BYTES_MAX = 1 << 20 };

struct call {
        const char *title;
        struct str command;
};

/* ---- facts ---- */

/* "http://127.0.0.1:3000": an address that can be called, of what is listened on. */
static struct str url_of(struct arena *a, const struct conf_listen *l, struct str host)
{
        char text[IP_TEXT_MAX];
        const char *scheme = l->is_tls ? "https" : "http";
        struct ip ip = l->address.ip;
        bool is_any = ip_eq(ip, (struct ip){ .family = ip.family });

        if (host.len)
                return arena_format(a, "%s://%.*s:%u", scheme, STR_FMT(host), l->address.port);
        if (is_any)
                return arena_format(a, "%s://%s:%u", scheme, "127.0.0.1", l->address.port);
        return arena_format(a, ip.family == 6 ? "%s://[%s]:%u" : "%s://%s:%u", scheme,
                            ip_format(ip, text).ptr, l->address.port);
}

static const struct conf_listen *listen_first(const struct conf *c)
{
        for (size_t i = 0; i < c->gateway.listens_count; i++)
                if (c->gateway.listens[i].address.ip.family && !c->gateway.listens[i].redirects_to_https)
                        return &c->gateway.listens[i];
        return NULL;
}

/* A listener that the tailnet reaches. */
static const struct conf_listen *listen_of_tailnet(const struct setup *s)
{
        for (size_t i = 0; i < s->conf->gateway.listens_count; i++) {
                const struct conf_listen *l = &s->conf->gateway.listens[i];
                struct ip ip = l->address.ip;

                if (ip.family && (ip_eq(ip, s->tailnet.self.v4) || ip_eq(ip, s->tailnet.self.v6) ||
                                  ip_eq(ip, (struct ip){ .family = ip.family })))
                        return l;
        }
        return NULL;
}

static struct str server_of_tailnet(const struct setup *s, struct arena *a)
{
        const struct conf_listen *l = s->tailnet.is_running ? listen_of_tailnet(s) : NULL;
        char text[IP_TEXT_MAX];

        if (!l)
                return STR_NULL;
        if (s->tailnet.self.name.len)
                return url_of(a, l, s->tailnet.self.name);
        return s->tailnet.self.v4.family ? url_of(a, l, ip_format(s->tailnet.self.v4, text))
                                         : url_of(a, l, STR_NULL);
}

/* A model that exists, as far as can be known without asking anybody outside. */
static struct str model_of(const struct setup *s)
{
        for (size_t i = 0; i < s->conf->models_count; i++)
                if (!s->conf->models[i].is_pattern)
                        return s->conf->models[i].name;
        for (size_t i = 0; i < s->servers_count; i++)
                if (s->servers[i].models_count)
                        return s->servers[i].models[0];
        for (size_t i = 0; i < s->conf->providers_count; i++)
                if (s->conf->providers[i].models.count)
                        return s->conf->providers[i].models.items[0];
        if (s->local_model.len)
                return s->local_model;
        if (s->options->sample.len)
                return STR("sample-1");
        for (size_t i = 0; i < SETUP_KEYS; i++)
                for (size_t j = 0; j < s->conf->providers_count; j++)
                        if (str_eq(s->conf->providers[j].name, setup_makers[i].name))
                                return setup_makers[i].model;
        return STR_NULL;
}

/* ---- calls ---- */

/* A JSON body between single quotes of a shell. */
static void body_add(struct buf *out, struct str body)
{
        buf_add_char(out, '\'');
        for (size_t i = 0; i < body.len; i++)
                if (body.ptr[i] == '\'')
                        buf_add(out, STR("'\\''"));
                else
                        buf_add_char(out, body.ptr[i]);
        buf_add_char(out, '\'');
}

static struct str curl_make(struct arena *a, bool auth, const char *flags, const char *path, struct str body)
{
        struct buf out;

        buf_init(&out, TEXT_BYTES_MAX);
        buf_addf(&out, "curl %s\"$SEKISHO_SERVER%s\"", flags, path);
        if (auth)
                buf_add(&out, STR(" -H \"Authorization: Bearer $SEKISHO_TOKEN\""));
        if (body.len) {
                buf_add(&out, STR(" -H 'Content-Type: application/json' -d "));
                body_add(&out, body);
        }
        struct str kept = arena_copy(a, buf_str(&out));

        buf_fini(&out);
        return kept;
}

static struct str body_make(struct arena *a, const char *before, struct str model, const char *after)
{
        struct buf out;

        buf_init(&out, TEXT_BYTES_MAX);
        buf_addf(&out, "{%s\"model\":\"", before);
        escape_json(&out, model);
        buf_addf(&out, "\"%s}", after);
        struct str kept = arena_copy(a, buf_str(&out));

        buf_fini(&out);
        return kept;
}

static size_t calls_make(const struct setup *s, struct arena *a, struct call calls[CALLS_MAX])
{
        static const char messages[] =
                ",\"max_tokens\":200,\"messages\":[{\"role\":\"user\",\"content\":\"Hello!\"}]";
        bool auth = s->conf->gateway.auth;
        struct str model = model_of(s);
        size_t n = 0;

        calls[n++] = (struct call){ "is it there?", curl_make(a, false, "", "/health", STR_NULL) };
        calls[n++] = (struct call){ "which models?", curl_make(a, auth, "", "/v1/models", STR_NULL) };
        if (!model.len)
                return n;
        struct str chat = body_make(a, "\"message\":\"Hello!\",\"session_id\":\"first\",", model, "");
        struct str completion = body_make(a, "", model, messages);

        calls[n++] = (struct call){ "chat", curl_make(a, auth, "", "/api/v1/chat", chat) };
        calls[n++] =
                (struct call){ "chat, word by word", curl_make(a, auth, "-N ", "/api/v1/chat/stream", chat) };
        calls[n++] = (struct call){ "as OpenAI's API",
                                    curl_make(a, auth, "", "/v1/chat/completions", completion) };
        return n;
}

/* How to start the gateway with this very file. */
static struct str start_command(const struct setup *s, struct arena *a)
{
        if (s->options->config.len)
                return arena_format(a, "sekisho gateway --config %.*s", STR_FMT(s->edit.path));
        return STR("sekisho gateway");
}

/* ---- for people ---- */

static void found_say(const struct setup *s)
{
        for (size_t i = 0; i < s->notes_count; i++)
                out_print("  - %.*s\n", STR_FMT(s->notes[i]));
        if (s->tailnet_result == ERR_OK && !s->tailnet.is_running)
                out_print(
                        "  - tailscaled is here, but not connected (%.*s): run 'tailscale up', then this again\n",
                        STR_FMT(s->tailnet.state));
        if (s->tailnet_result == ERR_DENIED)
                out_print("  - tailscaled is here, but does not talk to this user\n");
        if (s->conf->providers_count == 0)
                out_print(
                        "  - no inference server was found on this machine, and no provider's key in the environment: start one\n"
                        "    (Ollama, llama.cpp, vLLM, SGLang, LM Studio) and run this again, or add to providers by hand\n");
}

void setup_say(const struct setup *s, const char *deed)
{
        struct arena a;
        struct call calls[CALLS_MAX];
        const struct conf_listen *first = listen_first(s->conf);

        arena_init(&a, NULL, 0, TEXT_BYTES_MAX);
        out_print("%.*s: %s\n", STR_FMT(s->edit.path), deed);
        found_say(s);
        out_print("\nStart it:\n  %.*s\n", STR_FMT(start_command(s, &a)));
        if (!first) {
                arena_fini(&a);
                return;
        }
        out_print("\nThen, in another terminal (paste as it is):\n  export SEKISHO_SERVER=%.*s\n",
                  STR_FMT(url_of(&a, first, STR_NULL)));
        if (s->token.len)
                out_print("  export SEKISHO_TOKEN=%.*s\n", STR_FMT(s->token));
        for (size_t i = 0, n = calls_make(s, &a, calls); i < n; i++)
                out_print("  %.*s\n", STR_FMT(calls[i].command));
        struct str far = server_of_tailnet(s, &a), near = url_of(&a, first, STR_NULL);

        if (far.len)
                out_print("\nFrom another machine of the tailnet:\n  sekisho connect %.*s\n", STR_FMT(far));
        else if (ip_is_loopback(first->address.ip))
                out_print(
                        "\nOr:\n  sekisho connect %.*s\nOther machines cannot reach it; 'sekisho setup --listen ADDRESS' lets them.\n",
                        STR_FMT(near));
        else
                out_print("\nFrom another machine:\n  sekisho connect %.*s\n", STR_FMT(near));
        if (s->token.len)
                out_print(
                        "\nThe token is shown this once; the file holds only its SHA-256. One for somebody else:\n"
                        "  sekisho token new --add --name alice\n");
        else if (s->conf->gateway.auth)
                out_print("\n$SEKISHO_TOKEN is the token that was shown when it was made. Another one:\n"
                          "  sekisho token new --add --name alice\n");
        arena_fini(&a);
}

/* ---- for programs ---- */

static void servers_write(struct json_writer *w, const struct setup *s)
{
        json_write_key(w, STR("servers"));
        json_write_array_begin(w);
        for (size_t i = 0; i < s->servers_count; i++) {
                json_write_object_begin(w);
                json_write_member_str(w, STR("kind"), s->servers[i].name);
                json_write_member_str(w, STR("baseUrl"), s->servers[i].base_url);
                json_write_key(w, STR("models"));
                json_write_array_begin(w);
                for (size_t j = 0; j < s->servers[i].models_count; j++)
                        json_write_str(w, s->servers[i].models[j]);
                json_write_array_end(w);
                json_write_object_end(w);
        }
        json_write_array_end(w);
}

static void tailnet_write(struct json_writer *w, const struct setup *s)
{
        char text[IP_TEXT_MAX];

        json_write_key(w, STR("tailnet"));
        if (s->tailnet_result != ERR_OK) {
                json_write_null(w);
                return;
        }
        json_write_object_begin(w);
        json_write_member_str(w, STR("state"), s->tailnet.state);
        json_write_member_str(w, STR("name"), s->tailnet.self.name);
        json_write_key(w, STR("addresses"));
        json_write_array_begin(w);
        if (s->tailnet.self.v4.family)
                json_write_str(w, ip_format(s->tailnet.self.v4, text));
        if (s->tailnet.self.v6.family)
                json_write_str(w, ip_format(s->tailnet.self.v6, text));
        json_write_array_end(w);
        json_write_object_end(w);
}

static void calls_write(struct json_writer *w, const struct setup *s, struct arena *a)
{
        struct call calls[CALLS_MAX];

        json_write_key(w, STR("calls"));
        json_write_array_begin(w);
        for (size_t i = 0, n = calls_make(s, a, calls); i < n; i++) {
                json_write_object_begin(w);
                json_write_member_str(w, STR("title"), str_of(calls[i].title));
                json_write_member_str(w, STR("command"), calls[i].command);
                json_write_object_end(w);
        }
        json_write_array_end(w);
}

void setup_say_json(const struct setup *s)
{
        const struct conf_listen *first = listen_first(s->conf);
        struct json_writer w;
        struct arena a;
        struct buf out;

        buf_init(&out, TEXT_BYTES_MAX);
        arena_init(&a, NULL, 0, TEXT_BYTES_MAX);
        json_writer_init(&w, &out, 2);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("config"), s->edit.path);
        json_write_member_bool(&w, STR("changed"), edit_is_changed(&s->edit) && !s->options->print);
        if (s->options->print)
                json_write_member_str(&w, STR("text"), buf_str(&s->edit.text));
        if (s->token.len)
                json_write_member_str(&w, STR("token"), s->token);
        if (first)
                json_write_member_str(&w, STR("server"), url_of(&a, first, STR_NULL));
        if (server_of_tailnet(s, &a).len)
                json_write_member_str(&w, STR("tailnetServer"), server_of_tailnet(s, &a));
        if (model_of(s).len)
                json_write_member_str(&w, STR("model"), model_of(s));
        tailnet_write(&w, s);
        servers_write(&w, s);
        json_write_key(&w, STR("notes"));
        json_write_array_begin(&w);
        for (size_t i = 0; i < s->notes_count; i++)
                json_write_str(&w, s->notes[i]);
        json_write_array_end(&w);
        calls_write(&w, s, &a);
        json_write_object_end(&w);
        json_writer_finish(&w);
        out_print("%.*s\n", STR_FMT(buf_str(&out)));
        arena_fini(&a);
        buf_wipe(&out);
}
