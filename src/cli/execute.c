/* sekisho execute: have an agent send a request from one of its addresses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cli/control_priv.h"
#include "crypto/text.h"
#include "io/file.h"
#include "json/reader.h"

enum { SLACK_MS = 5000, TIMEOUT_MS = 30 * 1000 };

struct execute_options {
        struct str server, token, method, data, agent, source, tag, family, timeout, output;
        struct option_texts fields;
        bool json, raw, follow;
};

/* ---- what is asked for ---- */

/* "Name: value" in the order given; several of one name become a list. */
static bool fields_write(const struct option_texts *fields, struct json_writer *w)
{
        size_t colon[OPTION_TEXTS_MAX];

        if (fields->count == 0)
                return true;
        for (size_t i = 0; i < fields->count; i++)
                if ((colon[i] = str_find_char(fields->items[i], ':')) == STR_NONE || colon[i] == 0) {
                        out_problem("-H \"%.*s\" is no field: write -H 'Name: value'",
                                    STR_FMT(fields->items[i]));
                        return false;
                }
        json_write_key(w, STR("headers"));
        json_write_object_begin(w);
        for (size_t i = 0; i < fields->count; i++) {
                struct str name = str_sub(fields->items[i], 0, colon[i]);
                bool is_written = false;

                for (size_t k = 0; k < i; k++)
                        is_written |= str_eq_nocase(name, str_sub(fields->items[k], 0, colon[k]));
                if (is_written)
                        continue;
                json_write_key(w, name);
                json_write_array_begin(w);
                for (size_t k = i; k < fields->count; k++)
                        if (str_eq_nocase(name, str_sub(fields->items[k], 0, colon[k])))
                                json_write_str(w, str_trim(str_from(fields->items[k], colon[k] + 1)));
                json_write_array_end(w);
        }
        json_write_object_end(w);
        return true;
}

/* Said before anything is sent: control would answer 413. */
static void too_long_say(void)
{
        out_problem(
                "this request is longer than the %d KiB that control takes of a call, headers and JSON included (bytes "
                "that are no text are base64 there: 191 KiB at most); send less, or send it by an HTTP client on the agent's "
                "machine",
                CONTROL_CALL_BYTES_MAX / 1024);
}

/* "text", "@file" or "@-"; as text where it is, else as base64. */
static bool data_write(struct str data, struct json_writer *w)
{
        struct buf text;
        char path[4096], *coded = NULL;
        enum err e = ERR_OK;

        if (!data.ptr)
                return true;
        buf_init_secret(&text, CONTROL_CALL_BYTES_MAX);
        if (data.len && data.ptr[0] == '@') {
                snprintf(path, sizeof(path), "%.*s", STR_FMT(str_from(data, 1)));
                e = file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, &text);
                if (e == ERR_TOO_LARGE)
                        too_long_say();
                else if (e != ERR_OK)
                        out_problem("%s cannot be read: %s", path, err_text(e));
        } else {
                buf_add(&text, data);
        }
        if (e == ERR_OK && str_is_utf8(buf_str(&text)) && !memchr(text.ptr ? text.ptr : "", 0, text.len)) {
                json_write_member_str(w, STR("body"), buf_str(&text));
        } else if (e == ERR_OK && (coded = malloc(CRYPTO_BASE64_SIZE(text.len)))) {
                json_write_member_str(w, STR("bodyBase64"), crypto_base64_format(buf_str(&text), coded));
        }
        free(coded);
        buf_wipe(&text);
        return e == ERR_OK;
}

static bool request_write(const struct execute_options *o, struct str url, int64_t timeout_ms,
                          struct json_writer *w)
{
        char seconds[32];

        json_write_member_str(w, STR("url"), url);
        if (o->method.len)
                json_write_member_str(w, STR("method"), o->method);
        else if (o->data.ptr)
                json_write_member_str(w, STR("method"), STR("POST"));
        if (!fields_write(&o->fields, w) || !data_write(o->data, w))
                return false;
        control_write_text(w, "agent", o->agent);
        control_write_text(w, "sourceAddress", o->source);
        control_write_text(w, "tag", o->tag);
        if (o->family.len && !str_eq(o->family, STR("4")) && !str_eq(o->family, STR("6"))) {
                out_problem("--family must be 4 or 6");
                return false;
        }
        if (o->family.len)
                json_write_member_raw(w, STR("family"), o->family);
        if (o->timeout.len) {
                snprintf(seconds, sizeof(seconds), "%lld.%03lld", (long long)timeout_ms / 1000,
                         (long long)timeout_ms % 1000);
                json_write_member_raw(w, STR("timeout"), str_of(seconds));
        }
        if (o->follow)
                json_write_member_bool(w, STR("followRedirects"), true);
        return true;
}

/* "2.5" seconds, as the API has it, or "500ms", "2m". */
static bool timeout_read(struct str text, int64_t *ms)
{
        struct str with_unit[] = { text, STR("s") };
        char joined[32];

        *ms = TIMEOUT_MS;
        if (text.len == 0 || units_parse_duration(text, ms) == ERR_OK)
                return true;
        snprintf(joined, sizeof(joined), "%.*s%.*s", STR_FMT(str_sub(with_unit[0], 0, 20)),
                 STR_FMT(with_unit[1]));
        if (units_parse_duration(str_of(joined), ms) == ERR_OK)
                return true;
        out_problem("--timeout \"%.*s\" is no time: write 500ms, 30s or 2m", STR_FMT(text));
        return false;
}

/* ---- what came of it ---- */

static const char *advice(struct str error)
{
        static const struct {
                struct str error;
                const char *text;
        } rows[] = {
                { STR_INIT("destination_denied"),
                  "this destination is not allowed: control.dispatch.allow of control's file and agent.dispatch.allow of the "
                  "agent's must both name it" },
                { STR_INIT("no_such_address"),
                  "no agent has such an address, name or tag; sekisho node list --kind agent shows the agents" },
                { STR_INIT("no_address_available"),
                  "no agent that could send it is linked to control now; sekisho status says who is missing" },
                { STR_INIT("agent_busy"), "the agent has no room for one more; try again" },
                { STR_INIT("queue_timeout"),
                  "all agents had as much to do as control.dispatch.agentRequests and agentRate allow; try again" },
                { STR_INIT("queue_full"),
                  "as many wait for a turn as control.dispatch.waiting allows; try again" },
                { STR_INIT("timeout"), "no whole answer came in time; --timeout gives it more" },
                { STR_INIT("unreachable"), "the agents cannot reach this host and port" },
                { STR_INIT("tls"), "the target could not show that it is the one (TLS)" },
                { STR_INIT("closed"), "the target closed the connection before a whole answer" },
                { STR_INIT("malformed_answer"), "what the target answered is no HTTP" },
                { STR_INIT("answer_too_large"),
                  "the answer is longer than control.dispatch.answerBytes; --raw has no such bound" },
                { STR_INIT("bad_redirect"), "the target redirects to what is no http or https URL" },
                { STR_INIT("agent_gone"), "the agent went away meanwhile; try again" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (str_eq(error, rows[i].error))
                        return rows[i].text;
        return "it was not sent, or no answer came";
}

/* An answer of control's that holds none of a target. */
static enum exit_code refused(struct remote *r, struct str body)
{
        const struct json_value *root = NULL, *error;

        if (json_read_strict(&r->arena, arena_copy(&r->arena, body), NULL, &root) != ERR_OK)
                root = NULL;
        error = json_find(root, STR("error"));
        if (json_is(error, JSON_STRING))
                out_problem("%s (%.*s)", advice(error->text), STR_FMT(error->text));
        else if (json_find(error, STR("message")))
                out_problem("%.*s", STR_FMT(json_str(json_find(error, STR("message")))));
        else
                out_problem("%s answered %u", r->authority, r->status);
        return remote_code_of(r->status);
}

static bool bytes_write(FILE *f, struct str bytes)
{
        return bytes.len == 0 || fwrite(bytes.ptr, 1, bytes.len, f) == bytes.len;
}

static enum err on_body(void *context, struct str part)
{
        return bytes_write(context, part) ? ERR_OK : ERR_IO;
}

/* The body as it was, whatever it is coded as in JSON. */
static bool body_write(FILE *f, const struct json_value *root, bool is_terminal)
{
        const struct json_value *body = json_find(root, STR("body"));
        struct str encoding = json_str(json_find(root, STR("body_encoding"))), text = json_str(body);
        uint8_t *bytes;
        size_t len;
        bool is_written;

        if (str_eq(encoding, STR("json"))) {
                is_written = bytes_write(f, body->raw) && bytes_write(f, is_terminal ? STR("\n") : STR(""));
        } else if (!str_eq(encoding, STR("base64"))) {
                if (is_terminal)
                        out_foreign(text);
                is_written = is_terminal || bytes_write(f, text);
        } else if (is_terminal) {
                out_note("%zu bytes that are no text; --output FILE keeps them\n", text.len / 4 * 3);
                is_written = true;
        } else {
                is_written = (bytes = malloc(text.len + 1)) &&
                             crypto_base64_parse(text, bytes, text.len, &len) == ERR_OK &&
                             bytes_write(f, (struct str){ (const char *)bytes, len });
                free(bytes);
        }
        return is_written;
}

static enum exit_code answered(struct remote *r, const struct execute_options *o, FILE *f, struct str text)
{
        const struct json_value *root = NULL, *metadata;
        int64_t status = 0, ms = 0;

        if (json_read_strict(&r->arena, arena_copy(&r->arena, text), NULL, &root) != ERR_OK) {
                out_problem("what answers at %s is no control server", r->authority);
                return EXIT_FAILED;
        }
        metadata = json_find(root, STR("metadata"));
        if (json_get_int64(json_find(root, STR("status_code")), &status) != ERR_OK ||
            json_get_int64(json_find(metadata, STR("duration_ms")), &ms) != ERR_OK)
                status = 0;
        if (out_is_terminal(stderr) || !o->json)
                out_note("%lld from %.*s by %.*s, %lld ms\n", (long long)status,
                         STR_FMT(json_str(json_find(metadata, STR("source_ip")))),
                         STR_FMT(json_str(json_find(metadata, STR("agent")))), (long long)ms);
        if (!(o->json ? bytes_write(f, text) : body_write(f, root, f == stdout && out_is_terminal(stdout)))) {
                out_problem("the answer cannot be written");
                return EXIT_FAILED;
        }
        return EXIT_OK;
}

static enum exit_code ask(struct remote *r, const struct execute_options *o, struct str body,
                          int64_t timeout_ms, FILE *f)
{
        const struct client_field accept = { STR("Accept"), STR("application/octet-stream") };
        struct client_request request = { .method = STR("POST"),
                                          .path = STR("/api/execute"),
                                          .body = body,
                                          .wants = STR("Dispatch-Status") };
        struct client_answer answer;
        enum exit_code code;

        if (o->raw) {
                request.fields = &accept;
                request.fields_count = 1;
                request.on_body = on_body;
                request.context = f;
        }
        if ((code = remote_send(r, &request, timeout_ms + SLACK_MS, &answer)) != EXIT_OK)
                return code;
        if (answer.status != 200)
                return refused(r, answer.body);
        if (!o->raw)
                return answered(r, o, f, answer.body);
        out_note("%.*s\n", STR_FMT(answer.wanted));
        return EXIT_OK;
}

static enum exit_code run(const struct execute_options *o, struct str body, int64_t timeout_ms)
{
        char path[4096];
        struct remote remote;
        enum exit_code code;
        FILE *kept = NULL;

        snprintf(path, sizeof(path), "%.*s", STR_FMT(o->output));
        if (o->output.len && !(kept = fopen(path, "we"))) {
                out_problem("%s cannot be written", path);
                return EXIT_FAILED;
        }
        if ((code = remote_open(&remote, o->server, o->token)) == EXIT_OK)
                code = ask(&remote, o, body, timeout_ms, kept ? kept : stdout);
        remote_close(&remote);
        if (kept && fclose(kept) != 0 && code == EXIT_OK) {
                out_problem("%s could not be written in full", path);
                code = EXIT_FAILED;
        }
        return code;
}

static enum exit_code execute_run(const struct command_call *call)
{
        const struct execute_options *o = call->options;
        enum exit_code code = EXIT_WRONG;
        struct json_writer w;
        struct buf body;
        struct str url;
        int64_t timeout_ms;

        if (!control_argument(call, 0, "a URL", &url) || !timeout_read(o->timeout, &timeout_ms))
                return EXIT_WRONG;
        if (o->raw && o->json) {
                out_problem("--raw and --json are two forms of an answer; choose one");
                return EXIT_WRONG;
        }
        control_body_begin(&w, &body);
        if (request_write(o, url, timeout_ms, &w)) {
                control_body_end(&w);
                if (body.full)
                        too_long_say();
                else
                        code = run(o, buf_str(&body), timeout_ms);
        }
        buf_wipe(&body);
        return code;
}

#define TEXT(name, letter, member, value, doc) \
        OPTION_TEXT_OF(execute_options, name, letter, member, value, doc)
#define FLAG(name, member, doc) OPTION_FLAG_OF(execute_options, name, member, doc)

const struct command command_execute = {
        .name = "execute",
        .summary = "have an agent send an HTTP request from one of its addresses",
        .usage =
                "URL [-X METHOD] [-H 'Name: value'] [--data TEXT|@FILE] [--agent NAME|--source IP|--tag TAG] [--raw]",
        .text = "The answer's body goes to standard output, its status and who sent it to standard error. Where nothing is said of agents,\n"
                "addresses take turns. The key needs the scope dispatch. Exit code 0: an answer came, whatever its status.",
        .examples =
                (const char *const[]){
                        "sekisho execute https://example.com/",
                        "sekisho execute https://example.com/items -H 'Content-Type: application/json' --data '{\"a\":1}'",
                        "sekisho execute https://example.com/ --tag eu --family 6 --timeout 10s --json",
                        "sekisho execute https://example.com/large.iso --raw --output large.iso --timeout 5m",
                        NULL },
        .options =
                (const struct option[]){
                        TEXT("method", 'X', method, "METHOD", "GET; POST where there is --data"),
                        { "header", 'H', OPTION_TEXTS, offsetof(struct execute_options, fields),
                          "'NAME: VALUE'", "a field of the request; may be given several times" },
                        TEXT("data", 'd', data, "TEXT",
                             "the request's body; @FILE: what a file holds, @-: standard input; 256 KiB at most, with all else"),
                        TEXT("agent", 0, agent, "NAME", "only from this agent's addresses"),
                        TEXT("source", 0, source, "IP", "only from this address"),
                        TEXT("tag", 0, tag, "TAG", "only from agents with this tag (sekisho node tag)"),
                        TEXT("family", 0, family, "4|6", "only from addresses of IPv4, or of IPv6"),
                        TEXT("timeout", 0, timeout, "TIME", "for all of it: 30s; at most 5m"),
                        FLAG("follow", follow, "follow redirects, at most 10; each is judged anew"),
                        FLAG("raw", raw, "the body as it comes, of any length"),
                        TEXT("output", 'o', output, "FILE",
                             "where the body goes, instead of standard output"),
                        TEXT("server", 0, server, "URL",
                             "where control is (else $SEKISHO_SERVER, or where `sekisho login` was)"),
                        { "token", 0, OPTION_SECRET, offsetof(struct execute_options, token), "KEY",
                          "the API key (else $SEKISHO_TOKEN)" },
                        FLAG("json", json, "print the answer as it came"),
                        { NULL },
                },
        .options_bytes = sizeof(struct execute_options),
        .arguments_max = 1,
        .run = execute_run,
};
