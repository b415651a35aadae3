#include "cli/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cli/out.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "io/file.h"
#include "json/reader.h"

enum {
        PATH_BYTES = 4096,
        FILE_BYTES_MAX = 4096,
        ARENA_BYTES = 64 << 20,
        FINGERPRINT_MIN = 32,
        FINGERPRINT_MAX = 64,
        FIELDS_MAX = 8
};

/* Control never speaks in the clear: what `sekisho setup` printed for calls to models is not meant, nor the token beside it. */
static bool is_gateways(const char *server)
{
        return str_has_prefix(str_of(server), STR("http://"));
}

/* ---- what is remembered ---- */

static bool place_find(char path[PATH_BYTES])
{
        const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

        if (xdg && *xdg)
                return (size_t)snprintf(path, PATH_BYTES, "%s/sekisho/client.json", xdg) < PATH_BYTES;
        return home && *home &&
               (size_t)snprintf(path, PATH_BYTES, "%s/.config/sekisho/client.json", home) < PATH_BYTES;
}

static void text_take(char *out, size_t size, struct str text)
{
        if (text.len < size)
                snprintf(out, size, "%.*s", STR_FMT(text));
}

/* {"server":…,"token":…}; nothing when it is not there or not ours alone. */
static void remembered_read(struct remote *r)
{
        const struct json_value *root;
        char path[PATH_BYTES];
        struct arena arena;
        struct buf text;
        unsigned mode;
        bool is_ours;

        if (!place_find(path) || file_mode(path, &mode, &is_ours) != ERR_OK)
                return;
        if (!is_ours || mode & 077) {
                out_problem("%s is passed over: others can read it; run: chmod 600 %s", path, path);
                return;
        }
        buf_init_secret(&text, FILE_BYTES_MAX);
        arena_init(&arena, NULL, 0, 1 << 20);
        if (file_read(path, &text) == ERR_OK &&
            json_read_strict(&arena, buf_str(&text), NULL, &root) == ERR_OK) {
                text_take(r->server, sizeof(r->server), json_str(json_find(root, STR("server"))));
                text_take(r->key, sizeof(r->key), json_str(json_find(root, STR("token"))));
        }
        arena_fini(&arena);
        buf_wipe(&text);
}

bool remote_is_known(void)
{
        const char *server = getenv("SEKISHO_SERVER");
        char path[PATH_BYTES];
        unsigned mode;
        bool is_ours;

        return (server && *server && !is_gateways(server)) ||
               (place_find(path) && file_mode(path, &mode, &is_ours) == ERR_OK);
}

enum exit_code remote_remember(const char *server, const char *key)
{
        char path[PATH_BYTES], folder[PATH_BYTES];
        struct json_writer w;
        struct buf text;
        enum err e = ERR_NOT_FOUND;

        buf_init_secret(&text, FILE_BYTES_MAX);
        json_writer_init(&w, &text, 2);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("server"), str_of(server));
        json_write_member_str(&w, STR("token"), str_of(key));
        json_write_object_end(&w);
        json_writer_finish(&w);
        buf_add_char(&text, '\n');
        if (place_find(path)) {
                snprintf(folder, sizeof(folder), "%s", path);
                *strrchr(folder, '/') = '\0';
                if ((e = file_make_folders(folder, 0700)) == ERR_OK)
                        e = file_write_atomic(path, buf_str(&text), 0600, false);
        }
        buf_wipe(&text);
        if (e == ERR_OK) {
                out_note("kept in %s\n", path);
                return EXIT_OK;
        }
        out_problem("server and key could not be kept: %s", err_text(e));
        return EXIT_FAILED;
}

/* ---- where it is ---- */

/* "https://host[:port][/][#fingerprint]". */
static bool server_parse(struct remote *r, struct str *fingerprint)
{
        struct str s = str_of(r->server), host;
        size_t hash = str_find_char(s, '#'), end;
        uint64_t port = 443;

        *fingerprint = hash == STR_NONE ? STR("") : str_from(s, hash + 1);
        s = str_sub(s, 0, hash);
        if (!str_has_prefix(s, STR("https://")))
                return false;
        s = str_from(s, 8);
        s = str_sub(s, 0, str_find_char(s, '/'));
        if (s.len && s.ptr[0] == '[') {
                end = str_find_char(s, ']');
                if (end == STR_NONE)
                        return false;
                host = str_sub(s, 1, end - 1);
                end++;
        } else {
                end = MIN(str_find_char(s, ':'), s.len);
                host = str_sub(s, 0, end);
        }
        if (end < s.len &&
            (s.ptr[end] != ':' || units_parse_u64(str_from(s, end + 1), 65535, &port) != ERR_OK || !port))
                return false;
        if (host.len == 0 || host.len >= sizeof(r->host))
                return false;
        snprintf(r->host, sizeof(r->host), "%.*s", STR_FMT(host));
        snprintf(r->authority, sizeof(r->authority), "%.*s", STR_FMT(str_sub(s, 0, 300)));
        r->port = (uint16_t)port;
        return true;
}

static enum exit_code tls_make(struct remote *r, struct str fingerprint)
{
        uint8_t bytes[FINGERPRINT_MAX / 2];
        struct tls_client_conf conf = { 0 };
        struct report report;
        enum err e = ERR_OK;

        if (fingerprint.len) {
                e = fingerprint.len >= FINGERPRINT_MIN && fingerprint.len <= FINGERPRINT_MAX &&
                                    fingerprint.len % 2 == 0
                            ? crypto_hex_parse(fingerprint, bytes, fingerprint.len / 2)
                            : ERR_MALFORMED;
                conf.root_sha256 = (struct str){ (const char *)bytes, fingerprint.len / 2 };
        }
        if (e != ERR_OK) {
                out_problem("what follows the # of the server must be 32 to 64 hexadecimal digits");
                return EXIT_WRONG;
        }
        report_init(&report, STR(""));
        e = tls_client_new(&conf, &report, &r->tls);
        if (e != ERR_OK)
                out_report(&report);
        report_fini(&report);
        return e == ERR_OK ? EXIT_OK : EXIT_FAILED;
}

static enum exit_code connect_to(struct remote *r)
{
        struct ip addresses[CLIENT_ADDRESSES_MAX];
        size_t count = 0;
        enum err e = client_find(str_of(r->host), addresses, &count);

        if (e != ERR_OK) {
                out_problem("the name %s is not found: %s", r->host, err_text(e));
                return EXIT_NOT_FOUND;
        }
        e = ERR_UNREACHABLE;
        for (size_t i = 0; i < count && e != ERR_OK; i++) {
                struct dial_target target = { .ip = addresses[i], .port = r->port };

                e = client_dial(r->client, &target, REMOTE_MS);
        }
        if (e != ERR_OK) {
                out_problem("nobody answers at %s: %s", r->authority, err_text(e));
                return EXIT_UNAVAILABLE;
        }
        if (client_secure(r->client, r->tls, str_of(r->host), REMOTE_MS) == ERR_OK)
                return EXIT_OK;
        out_problem(
                "%s cannot show that it is the one: its certificate is not of an authority that counts here; take the "
                "server as `sekisho login` or control's start printed it, with what follows the #",
                r->authority);
        return EXIT_FAILED;
}

enum exit_code remote_open(struct remote *r, struct str server, struct str key)
{
        const char *env_server = getenv("SEKISHO_SERVER"), *env_key = getenv("SEKISHO_TOKEN");
        struct str fingerprint;
        enum exit_code code;

        if (env_server && is_gateways(env_server))
                env_server = env_key = NULL;
        *r = (struct remote){ .client = client_new() };
        arena_init(&r->arena, NULL, 0, ARENA_BYTES);
        if (!r->client)
                return EXIT_FAILED;
        if (!server.len && !(env_server && *env_server))
                remembered_read(r);
        if (env_server && *env_server)
                text_take(r->server, sizeof(r->server), str_of(env_server));
        if (env_key && *env_key)
                text_take(r->key, sizeof(r->key), str_of(env_key));
        if (server.len)
                text_take(r->server, sizeof(r->server), server);
        if (key.len)
                text_take(r->key, sizeof(r->key), key);
        if (!r->server[0]) {
                out_problem(
                        "it is not known where control is: run `sekisho login LINK`, or set SEKISHO_SERVER and SEKISHO_TOKEN");
                return EXIT_WRONG;
        }
        if (!server_parse(r, &fingerprint)) {
                out_problem("\"%s\" is no server: write https://control.example.com:8000", r->server);
                return EXIT_WRONG;
        }
        if ((code = tls_make(r, fingerprint)) != EXIT_OK)
                return code;
        return connect_to(r);
}

void remote_close(struct remote *r)
{
        client_free(r->client);
        tls_context_put(r->tls);
        crypto_wipe(r->key, sizeof(r->key));
        arena_fini(&r->arena);
}

/* ---- calls ---- */

enum exit_code remote_code_of(uint16_t status)
{
        switch (status) {
        case 400:
        case 405:
        case 413:
        case 415:
        case 422: return EXIT_WRONG;
        case 401: return EXIT_AUTH;
        case 403: return EXIT_DENIED;
        case 404: return EXIT_NOT_FOUND;
        case 409:
        case 412: return EXIT_CONFLICT;
        case 429:
        case 503: return EXIT_UNAVAILABLE;
        default: return EXIT_FAILED;
        }
}

static enum exit_code problem_say(struct remote *r)
{
        struct str message = json_str(json_find(json_find(r->root, STR("error")), STR("message")));

        if (message.len)
                out_problem("%.*s", STR_FMT(message));
        else
                out_problem("%s answered %u", r->authority, r->status);
        return remote_code_of(r->status);
}

enum exit_code remote_send(struct remote *r, struct client_request *request, int64_t timeout_ms,
                           struct client_answer *out)
{
        char bearer[REMOTE_KEY_BYTES + 8];
        struct client_field fields[FIELDS_MAX];
        enum exit_code code;
        size_t n = 0;
        enum err e;

        while (n < request->fields_count && n < FIELDS_MAX - 2) {
                fields[n] = request->fields[n];
                n++;
        }
        if (r->key[0]) {
                snprintf(bearer, sizeof(bearer), "Bearer %s", r->key);
                fields[n++] = (struct client_field){ STR("Authorization"), str_of(bearer) };
        }
        if (request->body.len)
                fields[n++] = (struct client_field){ STR("Content-Type"), STR("application/json") };
        request->host = str_of(r->authority);
        request->fields = fields;
        request->fields_count = n;
        code = client_is_open(r->client) ? EXIT_OK : connect_to(r);
        e = code == EXIT_OK ? client_ask(r->client, request, timeout_ms, out) : ERR_OK;
        crypto_wipe(bearer, sizeof(bearer));
        request->fields = NULL;
        request->fields_count = 0;
        if (code != EXIT_OK)
                return code;
        r->status = out->status;
        if (e == ERR_OK)
                return EXIT_OK;
        out_problem("%s did not answer: %s", r->authority, err_text(e));
        return EXIT_UNAVAILABLE;
}

enum exit_code remote_ask(struct remote *r, const char *method, const char *path, struct str body)
{
        struct str parts[] = { STR("/api/v1"), str_of(path) };
        struct client_request request = { .method = str_of(method),
                                          .path = arena_join(&r->arena, parts, 2),
                                          .body = body };
        struct client_answer answer;
        enum exit_code code = remote_send(r, &request, REMOTE_MS, &answer);

        if (code != EXIT_OK)
                return code;
        r->root = NULL;
        r->body = arena_copy(&r->arena, answer.body);
        if (r->body.len && json_read_strict(&r->arena, r->body, NULL, &r->root) != ERR_OK) {
                out_problem("what answers at %s is no control server", r->authority);
                return EXIT_FAILED;
        }
        return answer.status >= 200 && answer.status < 300 ? EXIT_OK : problem_say(r);
}

enum exit_code remote_find(struct remote *r, const char *path, const char *what, struct str name,
                           const struct json_value **out)
{
        const struct json_value *found = NULL;
        struct str after = STR("");

        for (;;) {
                struct str place =
                        arena_format(&r->arena, "%s%slimit=1000%s%.*s", path, strchr(path, '?') ? "&" : "?",
                                     after.len ? "&after=" : "", STR_FMT(after));
                enum exit_code code = remote_ask(r, "GET", place.ptr, STR(""));

                if (code != EXIT_OK)
                        return code;
                const struct json_value *items = json_find(r->root, STR("items"));
                for (size_t i = 0; items && i < items->count; i++) {
                        const struct json_value *item = json_item(items, i);

                        if (str_eq(json_str(json_find(item, STR("id"))), name)) {
                                *out = item;
                                return EXIT_OK;
                        }
                        if (!str_eq(json_str(json_find(item, STR("name"))), name) &&
                            !str_eq(json_str(json_find(item, STR("host"))), name))
                                continue;
                        if (found) {
                                out_problem(
                                        "there is more than one %s \"%.*s\": say which by its id, such as %.*s",
                                        what, STR_FMT(name), STR_FMT(json_str(json_find(found, STR("id")))));
                                return EXIT_CONFLICT;
                        }
                        found = item;
                }
                after = json_str(json_find(r->root, STR("next")));
                if (after.len == 0)
                        break;
        }
        if (!found) {
                out_problem("there is no %s \"%.*s\"", what, STR_FMT(name));
                return EXIT_NOT_FOUND;
        }
        *out = found;
        return EXIT_OK;
}
