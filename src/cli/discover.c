#include "cli/discover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/out.h"
#include "cli/tailnet.h"
#include "crypto/text.h"
#include "io/file.h"
#include "io/tls.h"
#include "mesh/localapi.h"
#include "wire/join.h"
#include "json/reader.h"
#include "json/writer.h"

/*
 * Theory of operation. Candidates are asked at once, PROBES_MAX of them at a time. Where no fingerprint is known, each is first asked
 * without a check what its authority's is; then, in every case, anew over TLS whose root has to be that one. What is said on the
 * second connection only counts.
 */

enum {
        PROBES_MAX = 8,
        CANDIDATES_MAX = 64,
        PROBE_MS = 4000,
        DOCUMENT_BYTES_MAX = 64 << 10,
        PORT = 8000,
        SHA256_BYTES = 32,
        PATH_BYTES = 1024,
};

static const struct str usual_names[] = { STR_INIT("sekisho-control"), STR_INIT("sekisho"),
                                          STR_INIT("control") };

struct search {
        struct str socket, tag, name;
        uint16_t port;
        uint8_t fingerprint[SHA256_BYTES];
        size_t fingerprint_len; /* 0: none is known */

        struct arena arena;
        struct loop *loop;
        struct tls_context *unchecked;
        struct probe *probes;
        size_t probes_count, started_count;
        unsigned running_count;
};

struct probe {
        struct mesh_localapi call;
        struct search *search;
        const struct mesh_tailnet_machine *machine;
        struct ip ip;
        struct tls_context *tls;      /* of the second connection */
        bool is_proof;                /* on it */
        enum err result;              /* ERR_OK: it is control */
        uint8_t proven[SHA256_BYTES]; /* what the second connection's root begins with */
        size_t proven_len;
        uint8_t claimed[SHA256_BYTES];
        struct str version;
};

/* ---- one machine ---- */

static void next(struct search *s);

static enum err document_read(struct probe *p)
{
        const struct json_value *root;
        struct str sha256;
        enum err e = json_read_strict(&p->search->arena, buf_str(&p->call.body), NULL, &root);

        if (e != ERR_OK || !str_eq(json_str(json_find(root, STR("sekisho"))), STR("control")))
                return ERR_MALFORMED;
        sha256 = json_str(json_find(root, STR("authority")));
        p->version = arena_copy(&p->search->arena, json_str(json_find(root, STR("version"))));
        if (sha256.len != 2 * SHA256_BYTES || crypto_hex_parse(sha256, p->claimed, SHA256_BYTES) != ERR_OK)
                return ERR_MALFORMED;
        /* What is shown, and remembered, is what was proven: it may say something else by now. */
        return p->is_proof && memcmp(p->claimed, p->proven, p->proven_len) != 0 ? ERR_TLS : ERR_OK;
}

static void on_answer(struct mesh_localapi *c, enum err e);

static void ask(struct probe *p)
{
        const struct mesh_localapi_request r = { .ip = p->ip,
                                                 .port = p->search->port,
                                                 .tls = p->is_proof ? p->tls : p->search->unchecked,
                                                 .server_name = STR("control.sekisho.internal"),
                                                 .method = STR("GET"),
                                                 .path = STR("/.well-known/sekisho"),
                                                 .bytes_max = DOCUMENT_BYTES_MAX,
                                                 .timeout_ms = PROBE_MS };

        mesh_localapi_start(&p->call, p->search->loop, &r, on_answer);
}

static enum err prove(struct probe *p, const uint8_t *fingerprint, size_t len)
{
        const struct tls_client_conf conf = { .root_sha256 = { (const char *)p->proven, len },
                                              .uri_name = STR("sekisho://*/control") };
        struct report report;
        enum err e;

        memcpy(p->proven, fingerprint, len);
        p->proven_len = len;
        report_init(&report, STR(""));
        e = tls_client_new(&conf, &report, &p->tls);
        report_fini(&report);
        p->is_proof = true;
        return e;
}

static void on_answer(struct mesh_localapi *c, enum err e)
{
        struct probe *p = CONTAINER_OF(c, struct probe, call);
        struct search *s = p->search;

        if (e == ERR_OK && (e = mesh_localapi_err(c->status)) == ERR_OK)
                e = document_read(p);
        mesh_localapi_fini(c);
        if (e == ERR_OK && !p->is_proof && (e = prove(p, p->claimed, SHA256_BYTES)) == ERR_OK) {
                ask(p);
                return;
        }
        p->result = e;
        s->running_count--;
        next(s);
}

static void next(struct search *s)
{
        while (s->running_count < PROBES_MAX && s->started_count < s->probes_count) {
                struct probe *p = &s->probes[s->started_count++];

                if (s->fingerprint_len &&
                    (p->result = prove(p, s->fingerprint, s->fingerprint_len)) != ERR_OK)
                        continue;
                s->running_count++;
                ask(p);
        }
}

/* ---- all of them ---- */

/* "control.tail1.ts.net" is called "control". */
static bool has_name(const struct mesh_tailnet_machine *m, struct str name)
{
        return str_eq_nocase(m->host, name) ||
               str_eq_nocase(str_sub(m->name, 0, str_find_char(m->name, '.')), name);
}

static bool has_tag(const struct mesh_tailnet_machine *m, struct str tag)
{
        for (size_t i = 0; i < m->tags.count; i++)
                if (str_eq(m->tags.items[i], tag))
                        return true;
        return false;
}

static bool is_usual(const struct search *s, const struct mesh_tailnet_machine *m)
{
        if (s->name.len)
                return has_name(m, s->name);
        for (size_t i = 0; i < ARRAY_SIZE(usual_names); i++)
                if (has_name(m, usual_names[i]))
                        return true;
        return false;
}

static void candidate_add(struct search *s, const struct mesh_tailnet_machine *m)
{
        if (s->probes_count == CANDIDATES_MAX || !m->is_online || (!m->v4.family && !m->v6.family))
                return;
        s->probes[s->probes_count++] = (struct probe){
                .search = s, .machine = m, .ip = m->v4.family ? m->v4 : m->v6, .result = ERR_UNREACHABLE
        };
}

/* The tag first: control's owner gave it, while anybody may choose a name. */
static void candidates_find(struct search *s, struct mesh_tailnet_status *status)
{
        status->self.is_online = true;
        for (int by_name = 0; by_name < 2; by_name++)
                for (size_t i = 0; i <= status->peers_count; i++) {
                        const struct mesh_tailnet_machine *m = i ? &status->peers[i - 1] : &status->self;
                        bool is_tagged = has_tag(m, s->tag);

                        if (by_name ? !is_tagged && is_usual(s, m) : is_tagged)
                                candidate_add(s, m);
                }
}

/* ERR_OK: everybody was asked, whatever came of it. */
static enum err search_run(struct search *s)
{
        const struct tls_client_conf unchecked = { .skip_verify = true };
        struct mesh_tailnet_status status;
        enum err e;

        if ((e = tailnet_find(s->socket, true, &s->arena, &status)) != ERR_OK)
                return e;
        if (!status.is_running)
                return ERR_CLOSED;
        if (!(s->probes = calloc(CANDIDATES_MAX, sizeof(*s->probes))) ||
            tls_client_new(&unchecked, NULL, &s->unchecked) != ERR_OK)
                return ERR_NO_MEMORY;
        if ((e = loop_new(&s->loop)) != ERR_OK)
                return e;
        candidates_find(s, &status);
        next(s);
        while (s->running_count)
                loop_turn(s->loop, 1000);
        return ERR_OK;
}

static void search_init(struct search *s)
{
        *s = (struct search){ .socket = STR(MESH_TAILNET_SOCKET),
                              .tag = STR("tag:sekisho-control"),
                              .port = PORT };
        arena_init(&s->arena, NULL, 0, 128 << 20);
}

static void search_fini(struct search *s)
{
        for (size_t i = 0; i < s->probes_count; i++)
                tls_context_put(s->probes[i].tls);
        free(s->probes);
        tls_context_put(s->unchecked);
        if (s->loop)
                loop_free(s->loop);
        arena_fini(&s->arena);
}

static const char *why_text(const struct probe *p)
{
        switch (p->result) {
        case ERR_TLS: return "its certificate is not of the authority with this fingerprint";
        case ERR_NOT_FOUND:
        case ERR_MALFORMED: return "something else answers there";
        default: return err_text(p->result);
        }
}

static struct str url_of(const struct probe *p, struct arena *a)
{
        char text[IP_TEXT_MAX];

        return arena_format(a, p->ip.family == 6 ? "https://[%.*s]:%u" : "https://%.*s:%u",
                            STR_FMT(ip_format(p->ip, text)), p->search->port);
}

static bool status_failed(const struct search *s, enum err e)
{
        if (e == ERR_CLOSED)
                out_problem("tailscaled is here, but not connected: run 'tailscale up', then this again");
        else
                out_problem("no tailnet here: tailscaled at %.*s: %s", STR_FMT(s->socket), err_text(e));
        return false;
}

/* ---- for roles ---- */

bool discover_join(struct str join, struct buf *out)
{
        struct wire_token token;
        struct search s;
        bool is_found = false;
        size_t at = str_find_char(join, '@');
        struct str place = at == STR_NONE ? STR("") : str_from(join, at + 1);
        uint64_t port = PORT;
        enum err e;

        join = str_sub(join, 0, at);
        if (join.len == 0 || wire_token_parse(join, &token) != ERR_OK ||
            (place.len && (place.ptr[0] != ':' ||
                           units_parse_u64(str_from(place, 1), 65535, &port) != ERR_OK || port == 0)))
                return true; /* as it is: whoever reads it says what is wrong with it */
        search_init(&s);
        s.port = (uint16_t)port;
        buf_add(out, join);
        const char *socket = getenv("SEKISHO_TAILSCALE_SOCKET");

        if (socket && *socket)
                s.socket = str_of(socket);
        memcpy(s.fingerprint, token.fingerprint, sizeof(token.fingerprint));
        s.fingerprint_len = sizeof(token.fingerprint);
        if ((e = search_run(&s)) != ERR_OK) {
                status_failed(&s, e);
        } else {
                for (size_t i = 0; i < s.probes_count && !is_found; i++)
                        if (s.probes[i].result == ERR_OK) {
                                struct str url = url_of(&s.probes[i], &s.arena);

                                buf_addf(out, "@%.*s", STR_FMT(url));
                                out_note("control was found in the tailnet: %.*s\n", STR_FMT(url));
                                is_found = true;
                        }
                if (!is_found)
                        out_problem(
                                "none of %zu machines of the tailnet asked is the control of this token; write its address behind it: "
                                "TOKEN@https://HOST:8000",
                                s.probes_count);
        }
        search_fini(&s);
        return is_found && !out->full;
}

/* ---- the command ---- */

struct discover_options {
        struct str socket, tag, name, port, fingerprint;
        bool yes, json;
};

static bool remembered_place(char path[PATH_BYTES])
{
        const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

        if (xdg && *xdg)
                return (size_t)snprintf(path, PATH_BYTES, "%s/sekisho/control.fingerprint", xdg) < PATH_BYTES;
        return home && *home &&
               (size_t)snprintf(path, PATH_BYTES, "%s/.config/sekisho/control.fingerprint", home) <
                       PATH_BYTES;
}

static bool fingerprint_take(struct search *s, struct str text)
{
        text = str_trim(text);
        if (text.len < 32 || text.len > 64 || text.len % 2 ||
            crypto_hex_parse(text, s->fingerprint, text.len / 2) != ERR_OK)
                return false;
        s->fingerprint_len = text.len / 2;
        return true;
}

static void remembered_take(struct search *s)
{
        char path[PATH_BYTES], line[80] = "";
        FILE *f = remembered_place(path) ? fopen(path, "re") : NULL;

        if (!f)
                return;
        if (fgets(line, sizeof(line), f)) {
                line[strcspn(line, "\r\n")] = '\0';
                if (!fingerprint_take(s, str_of(line)))
                        out_problem("%s holds no fingerprint; it is passed over", path);
        }
        fclose(f);
}

static void remember(const struct probe *p)
{
        char path[PATH_BYTES], folder[PATH_BYTES], hex[2 * SHA256_BYTES + 2];

        if (!remembered_place(path))
                return;
        crypto_hex_format((struct str){ (const char *)p->claimed, SHA256_BYTES }, hex);
        hex[64] = '\n';
        snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
        if (file_make_folders(folder, 0700) != ERR_OK ||
            file_write_atomic(path, (struct str){ hex, 65 }, 0600, false) != ERR_OK)
                out_problem("%s could not be written: the fingerprint is not remembered", path);
        else
                out_print("Remembered in %s.\n", path);
}

static bool is_confirmed(void)
{
        char line[16];

        out_print("Is this the fingerprint that control printed at its first start? [y/N] ");
        fflush(stdout);
        return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static void say(const struct probe *p, struct arena *a)
{
        char hex[2 * SHA256_BYTES + 1] = "";

        out_foreign(p->machine->name.len ? p->machine->name : p->machine->host);
        out_print("  %.*s  ", STR_FMT(url_of(p, a)));
        if (p->result != ERR_OK) {
                out_print("%s\n", why_text(p));
                return;
        }
        crypto_hex_format((struct str){ (const char *)p->claimed, SHA256_BYTES }, hex);
        out_print("control, authority %s\n", hex);
}

static void say_json(struct search *s, bool is_trusted)
{
        char hex[2 * SHA256_BYTES + 1];
        struct json_writer w;
        struct buf out;

        buf_init(&out, 1 << 20);
        json_writer_init(&w, &out, 2);
        json_write_object_begin(&w);
        json_write_key(&w, STR("machines"));
        json_write_array_begin(&w);
        for (size_t i = 0; i < s->probes_count; i++) {
                const struct probe *p = &s->probes[i];

                json_write_object_begin(&w);
                json_write_member_str(&w, STR("name"), p->machine->name);
                json_write_member_str(&w, STR("url"), url_of(p, &s->arena));
                json_write_member_bool(&w, STR("control"), p->result == ERR_OK);
                json_write_member_bool(&w, STR("trusted"), p->result == ERR_OK && is_trusted);
                if (p->result == ERR_OK) {
                        crypto_hex_format((struct str){ (const char *)p->claimed, SHA256_BYTES }, hex);
                        json_write_member_str(&w, STR("authority"), str_of(hex));
                        json_write_member_str(&w, STR("version"), p->version);
                } else {
                        json_write_member_str(&w, STR("why"), str_of(why_text(p)));
                }
                json_write_object_end(&w);
        }
        json_write_array_end(&w);
        json_write_object_end(&w);
        json_writer_finish(&w);
        out_print("%.*s\n", STR_FMT(buf_str(&out)));
        buf_fini(&out);
}

static enum exit_code tell(struct search *s, const struct discover_options *o)
{
        bool was_known = s->fingerprint_len > 0;
        const struct probe *found = NULL;

        for (size_t i = 0; i < s->probes_count; i++) {
                const struct probe *p = &s->probes[i];

                if (!o->json)
                        say(p, &s->arena);
                if (!found && p->result == ERR_OK)
                        found = p;
        }
        if (o->json)
                say_json(s, was_known || o->yes);
        if (!found) {
                out_problem("no control was found among %zu machines with %.*s or a usual name",
                            s->probes_count, STR_FMT(s->tag));
                return EXIT_NOT_FOUND;
        }
        if (was_known)
                return EXIT_OK;
        if (o->yes || (!o->json && isatty(STDIN_FILENO) && is_confirmed())) {
                if (!o->json)
                        remember(found);
                return EXIT_OK;
        }
        if (!o->json)
                out_problem(
                        "it is not known whether this is yours: compare the fingerprint with what control printed, then say "
                        "--fingerprint, or --yes to remember it");
        return EXIT_DENIED;
}

static enum exit_code discover_run(const struct command_call *call)
{
        const struct discover_options *o = call->options;
        enum exit_code code = EXIT_UNAVAILABLE;
        uint64_t port = PORT;
        struct search s;
        enum err e;

        search_init(&s);
        if (o->socket.len)
                s.socket = o->socket;
        if (o->tag.len)
                s.tag = o->tag;
        s.name = o->name;
        if (o->port.len && (units_parse_u64(o->port, 65535, &port) != ERR_OK || port == 0)) {
                out_problem("--port %.*s is no port", STR_FMT(o->port));
                code = EXIT_WRONG;
        } else if (o->fingerprint.len && !fingerprint_take(&s, o->fingerprint)) {
                out_problem("--fingerprint must be 32 to 64 hexadecimal digits");
                code = EXIT_WRONG;
        } else {
                s.port = (uint16_t)port;
                if (!o->fingerprint.len)
                        remembered_take(&s);
                if ((e = search_run(&s)) == ERR_OK)
                        code = tell(&s, o);
                else
                        status_failed(&s, e);
        }
        search_fini(&s);
        return code;
}

#define TEXT_OPTION(name, member, value, doc) OPTION_TEXT_OF(discover_options, name, 0, member, value, doc)
#define FLAG_OPTION(name, member, doc)        OPTION_FLAG_OF(discover_options, name, member, doc)

const struct command command_discover = {
        .name = "discover",
        .summary = "find control among the machines of the tailnet",
        .usage = "[--fingerprint HEX] [--tag TAG] [--name NAME] [--port PORT] [--yes] [--json]",
        .text = "Asks the online machines with the tag first, then those with a usual name (sekisho-control, sekisho, control), and "
                "checks that who answers has a certificate of the authority with the fingerprint: the one given, the one "
                "remembered, or the one you confirm. An agent or gateway started with --join TOKEN and no address does the "
                "same with the token's.",
        .examples = (const char *const[]){ "sekisho discover",
                                           "sekisho discover --fingerprint 0123456789abcdef0123456789abcdef",
                                           "sekisho agent --join skauth-….0123…", NULL },
        .options =
                (const struct option[]){
                        TEXT_OPTION("fingerprint", fingerprint, "HEX",
                                    "SHA-256 of control's authority, or its first 32 digits or more"),
                        TEXT_OPTION("tag", tag, "TAG", "instead of tag:sekisho-control"),
                        TEXT_OPTION("name", name, "NAME", "instead of the usual names"),
                        TEXT_OPTION("port", port, "PORT", "where control listens, if not at 8000"),
                        TEXT_OPTION("tailscale-socket", socket, "PATH",
                                    "where tailscaled listens, if elsewhere"),
                        FLAG_OPTION("yes", yes,
                                    "take the one that is found for yours, and remember its fingerprint"),
                        FLAG_OPTION("json", json, "as JSON"),
                        { NULL },
                },
        .options_bytes = sizeof(struct discover_options),
        .run = discover_run,
};
