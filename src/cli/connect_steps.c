#include "cli/connect_priv.h"

#include "cli/out.h"
#include "cli/token_text.h"
#include "io/file.h"
#include "io/loop.h"
#include "json/reader.h"
#include "json/writer.h"

/*
 * Theory of operation. The way in is walked step by step, and each step is timed and said, so that what fails names
 * itself: the name, TCP, TLS, /health, whether a token is asked for, the token, a chat. A step gives the exit code of the
 * whole command; the first that is not EXIT_OK ends it, with advice.
 */

enum { CONNECT_MS = 10000, ANSWER_MS = 15000, CHAT_MS = 180000 };

#define SAID(...) arena_format(&c->arena, __VA_ARGS__)

static enum exit_code advise(struct connect *c, enum exit_code code, struct str advice)
{
        c->advice = advice;
        return code;
}

/* The message of an error body in any of the shapes there are, or empty. */
static struct str error_text(struct connect *c, const struct client_answer *a)
{
        const struct json_value *root, *error;

        if (json_read_strict(&c->arena, a->body, NULL, &root) != ERR_OK)
                return STR_NULL;
        error = json_find(root, STR("error"));
        return json_is(error, JSON_STRING) ? json_str(error) : json_str(json_find(error, STR("message")));
}

static enum exit_code name_step(struct connect *c)
{
        char text[IP_TEXT_MAX];
        int64_t begun = loop_clock_us();
        enum err e = client_find(c->at.host, c->addresses, &c->addresses_count);

        if (e == ERR_OK) {
                connect_step_say(c, "name", true, begun,
                                 SAID("%.*s is %s%s", STR_FMT(c->at.host),
                                      ip_format(c->addresses[0], text).ptr,
                                      c->addresses_count > 1 ? " (and more)" : ""));
                return EXIT_OK;
        }
        connect_step_say(c, "name", false, begun, SAID("%.*s: %s", STR_FMT(c->at.host), err_text(e)));
        if (e == ERR_NOT_FOUND)
                return advise(
                        c, EXIT_NOT_FOUND,
                        STR("There is no such name. Is it spelt right? Names of a tailnet are known only on its machines."));
        return advise(c, EXIT_UNAVAILABLE, STR("No name server answered. Is this machine connected?"));
}

static enum exit_code tcp_step(struct connect *c)
{
        char text[IP_TEXT_MAX];
        enum err e = ERR_UNREACHABLE;

        c->target.port = c->at.port;
        for (size_t i = 0; i < c->addresses_count; i++) {
                int64_t begun = loop_clock_us();

                c->target.ip = c->addresses[i];
                e = client_dial(c->client, &c->target, CONNECT_MS);
                struct str where = SAID(c->target.ip.family == 6 ? "[%s]:%u" : "%s:%u",
                                        ip_format(c->target.ip, text).ptr, c->at.port);

                connect_step_say(c, "TCP", e == ERR_OK, begun,
                                 e == ERR_OK ? where : SAID("%.*s: %s", STR_FMT(where), err_text(e)));
                if (e == ERR_OK)
                        return EXIT_OK;
        }
        if (e == ERR_REFUSED)
                return advise(
                        c, EXIT_UNAVAILABLE,
                        SAID("The machine is there, and nothing listens on port %u. Is the gateway running, and does it listen on "
                             "this address (gateway.host, gateway.listen)?",
                             c->at.port));
        return advise(
                c, EXIT_UNAVAILABLE,
                STR("The machine does not answer. Is it on, and in the same network (tailscale ping HOST)? Does a firewall drop "
                    "the port?"));
}

/* The context, with --ca and --insecure. False: said. */
static bool tls_make(struct connect *c)
{
        struct tls_client_conf conf = { .skip_verify = c->options->insecure };
        struct report report;
        struct buf ca;
        enum err e = ERR_OK;

        report_init(&report, STR_NULL);
        buf_init(&ca, 1 << 20);
        if (c->options->ca.len) {
                e = file_read(c->options->ca.ptr, &ca);
                conf.ca_pem = buf_str(&ca);
        }
        if (e == ERR_OK)
                e = tls_client_new(&conf, &report, &c->tls);
        else
                out_problem("%.*s: %s", STR_FMT(c->options->ca), err_text(e));
        out_report(&report);
        buf_fini(&ca);
        report_fini(&report);
        return e == ERR_OK;
}

static enum exit_code tls_step(struct connect *c)
{
        int64_t begun = loop_clock_us();

        if (!c->is_tls)
                return EXIT_OK;
        if (!tls_make(c))
                return advise(c, EXIT_WRONG, STR("The authorities to trust cannot be used."));
        enum err e = client_secure(c->client, c->tls, c->at.host, CONNECT_MS);
        const char *version = client_tls_version(c->client);

        if (e == ERR_OK) {
                connect_step_say(c, "TLS", true, begun,
                                 SAID("%s, certificate %s", version ? version : "on",
                                      c->options->insecure ? "not checked" : "good"));
                return EXIT_OK;
        }
        connect_step_say(c, "TLS", false, begun, SAID("%s", err_text(e)));
        return advise(
                c, EXIT_FAILED,
                STR("TLS failed: the certificate is not for this name, has ended, or is signed by nobody this machine trusts "
                    "(--ca FILE); or the port speaks plain HTTP (http://)."));
}

static enum err connection_make(struct connect *c)
{
        enum err e = client_dial(c->client, &c->target, CONNECT_MS);

        c->was_used = false;
        return e == ERR_OK && c->is_tls ? client_secure(c->client, c->tls, c->at.host, CONNECT_MS) : e;
}

/* One exchange; on a new connection where the gateway has closed the one that was kept. */
static enum err ask(struct connect *c, const char *method, const char *path, bool with_token, struct str body,
                    int64_t wait_ms, struct client_answer *out)
{
        struct client_field fields[3];
        struct client_request request = {
                .method = str_of(method),
                .path = str_of(path),
                .host = c->host_field,
                .fields = fields,
                .body = body,
        };
        enum err e = ERR_CLOSED;

        if (with_token)
                fields[request.fields_count++] =
                        (struct client_field){ STR("Authorization"), SAID("Bearer %.*s", STR_FMT(c->token)) };
        if (body.len)
                fields[request.fields_count++] =
                        (struct client_field){ STR("Content-Type"), STR("application/json") };
        fields[request.fields_count++] =
                (struct client_field){ STR("User-Agent"), STR("sekisho-connect/" SEKISHO_VERSION) };
        bool was_open = client_is_open(c->client);

        if (was_open)
                e = client_ask(c->client, &request, wait_ms, out);
        if (!was_open || ((e == ERR_CLOSED || e == ERR_IO) && c->was_used)) {
                if ((e = connection_make(c)) == ERR_OK)
                        e = client_ask(c->client, &request, wait_ms, out);
        }
        c->was_used |= e == ERR_OK;
        return e;
}

/* What any step may be told, and what to do about it. */
static enum exit_code refusal(struct connect *c, const struct client_answer *a)
{
        switch (a->status) {
        case 401:
                return advise(
                        c, EXIT_AUTH,
                        token_text_is_ours(c->token) || c->token.len != TOKEN_TEXT_MAX - 1
                                ? STR("The gateway does not know this token, or it has expired. 'sekisho token list' there shows what "
                                      "it knows; 'sekisho token new --add --name NAME' makes another, and a reload (SIGHUP) takes it up.")
                                : STR("The token is mistyped: its last letters do not fit the others."));
        case 403:
                return advise(
                        c, EXIT_DENIED,
                        STR("The gateway does not admit this machine's address, or the token may not do this. There, "
                            "gateway.allowedIps must have the address, and the token the scope \"llm\"."));
        case 404:
                return advise(c, EXIT_NOT_FOUND,
                              STR("There is no such model, or no such path: is it a Sekisho gateway?"));
        case 429:
                return advise(c, EXIT_DENIED,
                              STR("Too many requests: wait a minute. After wrong tokens, longer."));
        default:
                return advise(
                        c, EXIT_FAILED,
                        a->status >= 500
                                ? STR("The gateway is there, and what stands behind it fails: is the inference server running? "
                                      "Its log and the gateway's say more.")
                                : STR("That is no answer of a Sekisho gateway."));
        }
}

static struct str status_say(struct connect *c, const struct client_answer *a)
{
        struct str text = error_text(c, a);

        return SAID("%u%s%.*s", a->status, text.len ? ": " : "", STR_FMT(str_sub(text, 0, 300)));
}

static enum exit_code lost(struct connect *c, const char *name, int64_t begun, enum err e)
{
        connect_step_say(c, name, false, begun, SAID("%s", err_text(e)));
        return advise(
                c, EXIT_UNAVAILABLE,
                e == ERR_TIMED_OUT ? STR("No answer came in time.")
                : e == ERR_MALFORMED
                        ? STR("What answers there does not speak HTTP. Does the port speak TLS (https://)?")
                        : STR("The connection was lost before the answer."));
}

static enum exit_code health_step(struct connect *c)
{
        int64_t begun = loop_clock_us();
        struct client_answer a;
        enum err e = ask(c, "GET", "/health", false, STR_NULL, ANSWER_MS, &a);

        if (e != ERR_OK)
                return lost(c, "health", begun, e);
        connect_step_say(c, "health", a.status == 200, begun, status_say(c, &a));
        return a.status == 200 ? EXIT_OK : refusal(c, &a);
}

/* A gateway that lets anybody in is worth a word, and no failure of the way to it. */
static enum exit_code closed_step(struct connect *c)
{
        int64_t begun = loop_clock_us();
        struct client_answer a;
        enum err e = ask(c, "GET", "/v1/models", false, STR_NULL, ANSWER_MS, &a);

        if (e != ERR_OK)
                return lost(c, "no token", begun, e);
        connect_step_say(
                c, "no token", a.status == 401, begun,
                a.status == 401 ? STR("401, as it should be")
                : a.status == 200
                        ? STR("200: it answers without a token! Everybody who reaches it can use it.")
                        : status_say(c, &a));
        return a.status == 401 || a.status == 200 ? EXIT_OK : refusal(c, &a);
}

static enum exit_code token_step(struct connect *c)
{
        int64_t begun = loop_clock_us();
        const struct json_value *root = NULL, *list;
        struct client_answer a;
        enum err e = ask(c, "GET", "/v1/models", true, STR_NULL, ANSWER_MS, &a);

        if (e != ERR_OK)
                return lost(c, "token", begun, e);
        if (a.status != 200) {
                connect_step_say(c, "token", false, begun, status_say(c, &a));
                return refusal(c, &a);
        }
        if (json_read_strict(&c->arena, a.body, NULL, &root) != ERR_OK)
                root = NULL;
        list = json_find(root, STR("data"));
        size_t count = json_is(list, JSON_ARRAY) ? list->count : 0;

        c->model = arena_copy(&c->arena, c->options->model.len
                                                 ? c->options->model
                                                 : json_str(json_find(json_item(list, 0), STR("id"))));
        connect_step_say(c, "token", true, begun,
                         SAID("accepted; %zu model%s", count, count == 1 ? "" : "s"));
        if (c->model.len)
                return EXIT_OK;
        return advise(
                c, EXIT_NOT_FOUND,
                STR("The gateway serves no model yet: start an inference server there and run 'sekisho setup', or "
                    "add to providers."));
}

static enum exit_code chat_step(struct connect *c)
{
        int64_t begun = loop_clock_us();
        const struct json_value *root = NULL;
        struct client_answer a;
        struct json_writer w;
        struct buf body;

        buf_init(&body, 1 << 20);
        json_writer_init(&w, &body, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("message"),
                              c->options->message.len ? c->options->message
                                                      : STR("Hello from sekisho connect!"));
        json_write_member_str(&w, STR("session_id"), STR("sekisho-connect"));
        json_write_member_str(&w, STR("model"), c->model);
        json_write_object_end(&w);
        json_writer_finish(&w);
        enum err e = ask(c, "POST", "/api/v1/chat", true, buf_str(&body), CHAT_MS, &a);

        buf_fini(&body);
        if (e != ERR_OK)
                return lost(c, "chat", begun, e);
        if (a.status == 200 && json_read_strict(&c->arena, a.body, NULL, &root) == ERR_OK)
                c->answer = arena_copy(&c->arena, json_str(json_find(root, STR("response"))));
        bool is_good = a.status == 200 && c->answer.ptr && c->answer.len;

        connect_step_say(c, "chat", is_good, begun,
                         is_good ? SAID("%.*s answered", STR_FMT(c->model)) : status_say(c, &a));
        return is_good ? EXIT_OK : refusal(c, &a);
}

enum exit_code connect_walk(struct connect *c)
{
        static enum exit_code (*const steps[])(struct connect *) = { name_step,   tcp_step,    tls_step,
                                                                     health_step, closed_step, token_step,
                                                                     chat_step };

        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                enum exit_code code = steps[i](c);

                if (code != EXIT_OK)
                        return code;
        }
        return EXIT_OK;
}
