#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "cli/out.h"
#include "cli/wg_priv.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "crypto/x25519.h"
#include "io/process.h"
#include "mesh/uapi.h"
#include "mesh/uapi_client.h"
#include "json/writer.h"

enum { KEY_TEXT = 45, OUT_MAX = 64 << 20 };

/* One peer of an answer, or the interface itself. */
struct shown {
        char key[KEY_TEXT];
        bool has_preshared_key;
        struct str endpoint;
        uint64_t handshake, received, sent, keepalive;
        struct buf allowed;    /* ", " between */
        uint64_t port, fwmark; /* of the interface */
};

static uint64_t number(struct str value)
{
        uint64_t n;

        return units_parse_u64(value, UINT64_MAX, &n) == ERR_OK ? n : 0;
}

static void key_text(struct str hex, char out[KEY_TEXT])
{
        uint8_t key[32];

        out[0] = '\0';
        if (crypto_hex_parse(hex, key, sizeof(key)) == ERR_OK)
                crypto_base64_format((struct str){ (char *)key, sizeof(key) }, out);
}

/* The public key of a private one, which itself is never shown. */
static void public_text(struct str hex, char out[KEY_TEXT])
{
        uint8_t private_key[32], public_key[32];

        out[0] = '\0';
        if (crypto_hex_parse(hex, private_key, sizeof(private_key)) != ERR_OK)
                return;
        crypto_x25519_public(private_key, public_key);
        crypto_base64_format((struct str){ (char *)public_key, sizeof(public_key) }, out);
        crypto_wipe(private_key, sizeof(private_key));
}

static void shown_init(struct shown *s)
{
        memset(s, 0, sizeof(*s));
        buf_init(&s->allowed, OUT_MAX);
}

static void shown_line(struct shown *s, struct str name, struct str value)
{
        static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

        if (str_eq(name, STR("private_key")))
                public_text(value, s->key);
        else if (str_eq(name, STR("listen_port")))
                s->port = number(value);
        else if (str_eq(name, STR("fwmark")))
                s->fwmark = number(value);
        else if (str_eq(name, STR("public_key")))
                key_text(value, s->key);
        else if (str_eq(name, STR("preshared_key")))
                s->has_preshared_key = !str_eq(value, str_of(zeros));
        else if (str_eq(name, STR("endpoint")))
                s->endpoint = value;
        else if (str_eq(name, STR("last_handshake_time_sec")))
                s->handshake = number(value);
        else if (str_eq(name, STR("rx_bytes")))
                s->received = number(value);
        else if (str_eq(name, STR("tx_bytes")))
                s->sent = number(value);
        else if (str_eq(name, STR("persistent_keepalive_interval")))
                s->keepalive = number(value);
        else if (str_eq(name, STR("allowed_ip")))
                buf_addf(&s->allowed, "%s%.*s", s->allowed.len ? ", " : "", STR_FMT(value));
}

static void print_size(uint64_t bytes)
{
        static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
        double value = (double)bytes;
        size_t unit = 0;

        while (value >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
                value /= 1024;
                unit++;
        }
        out_print(unit ? "%.2f %s" : "%.0f %s", value, units[unit]);
}

static void print_age(uint64_t then)
{
        int64_t now = process_wall_ms() / 1000, age = now - (int64_t)then;

        if (age < 0)
                out_print("in the future: the clock was set back");
        else if (age < 60)
                out_print("%lld s ago", (long long)age);
        else if (age < 3600)
                out_print("%lld min %lld s ago", (long long)(age / 60), (long long)(age % 60));
        else
                out_print("%lld h %lld min ago", (long long)(age / 3600), (long long)(age / 60 % 60));
}

static void interface_print(const struct shown *s, struct str name)
{
        out_coloured(OUT_GREEN, "interface: ");
        out_coloured(OUT_GREEN, "%.*s\n", STR_FMT(name));
        if (s->key[0])
                out_print("  public key: %s\n  private key: (hidden)\n", s->key);
        out_print("  listening port: %llu\n", (unsigned long long)s->port);
        if (s->fwmark)
                out_print("  fwmark: 0x%llx\n", (unsigned long long)s->fwmark);
}

static void peer_print(const struct shown *s)
{
        out_coloured(OUT_YELLOW, "\npeer: %s\n", s->key);
        if (s->has_preshared_key)
                out_print("  preshared key: (hidden)\n");
        if (s->endpoint.len)
                out_print("  endpoint: %.*s\n", STR_FMT(s->endpoint));
        out_print("  allowed ips: %.*s\n", s->allowed.len ? (int)s->allowed.len : 6,
                  s->allowed.len ? s->allowed.ptr : "(none)");
        if (s->handshake) {
                out_print("  latest handshake: ");
                print_age(s->handshake);
                out_print("\n");
        }
        if (s->received || s->sent) {
                out_print("  transfer: ");
                print_size(s->received);
                out_print(" received, ");
                print_size(s->sent);
                out_print(" sent\n");
        }
        if (s->keepalive)
                out_print("  persistent keepalive: every %llu s\n", (unsigned long long)s->keepalive);
}

static void peer_write(struct json_writer *w, const struct shown *s)
{
        struct str rest = buf_str(&s->allowed), part;

        json_write_object_begin(w);
        json_write_member_str(w, STR("publicKey"), str_of(s->key));
        json_write_member_bool(w, STR("hasPresharedKey"), s->has_preshared_key);
        if (s->endpoint.len)
                json_write_member_str(w, STR("endpoint"), s->endpoint);
        json_write_member_uint(w, STR("lastHandshake"), s->handshake);
        json_write_member_uint(w, STR("receivedBytes"), s->received);
        json_write_member_uint(w, STR("sentBytes"), s->sent);
        json_write_member_uint(w, STR("persistentKeepalive"), s->keepalive);
        json_write_key(w, STR("allowedIps"));
        json_write_array_begin(w);
        while (rest.len > 0 && str_split(&rest, ',', &part))
                json_write_str(w, str_trim(part));
        json_write_array_end(w);
        json_write_object_end(w);
}

struct output {
        struct json_writer *json; /* NULL: text */
        struct str name;
        bool has_interface;
};

/* Called at the end of each part of an answer: the interface first, then its peers. */
static void part_end(struct output *o, struct shown *s)
{
        if (!o->has_interface) {
                o->has_interface = true;
                if (!o->json) {
                        interface_print(s, o->name);
                } else {
                        json_write_member_str(o->json, STR("name"), o->name);
                        json_write_member_str(o->json, STR("publicKey"), str_of(s->key));
                        json_write_member_uint(o->json, STR("listenPort"), s->port);
                        json_write_member_uint(o->json, STR("fwmark"), s->fwmark);
                        json_write_key(o->json, STR("peers"));
                        json_write_array_begin(o->json);
                }
        } else if (o->json) {
                peer_write(o->json, s);
        } else {
                peer_print(s);
        }
        buf_fini(&s->allowed);
        shown_init(s);
}

static void answer_print(struct str answer, struct output *o)
{
        struct shown s;
        struct str line;

        shown_init(&s);
        if (o->json)
                json_write_object_begin(o->json);
        while (str_split(&answer, '\n', &line)) {
                size_t equals = str_find_char(line, '=');
                if (equals == STR_NONE)
                        continue;
                struct str name = str_sub(line, 0, equals);
                if (str_eq(name, STR("public_key")) || str_eq(name, STR("errno")))
                        part_end(o, &s);
                shown_line(&s, name, str_from(line, equals + 1));
        }
        buf_fini(&s.allowed);
        if (o->json) {
                json_write_array_end(o->json);
                json_write_object_end(o->json);
        }
}

static enum exit_code show_one(struct str name, struct json_writer *json)
{
        struct output o = { .json = json, .name = name };
        struct buf answer;

        buf_init(&answer, MESH_UAPI_ANSWER_MAX);
        enum exit_code code = wg_ask(name, STR("get=1\n\n"), &answer);
        if (code == EXIT_OK)
                answer_print(buf_str(&answer), &o);
        buf_wipe(&answer);
        return code;
}

static enum exit_code show_all(struct str names, struct json_writer *json)
{
        struct str name;
        enum exit_code code = EXIT_OK;
        bool is_first = true;

        while (code == EXIT_OK && str_split(&names, '\n', &name)) {
                if (name.len == 0)
                        continue;
                if (!json && !is_first)
                        out_print("\n");
                is_first = false;
                code = show_one(name, json);
        }
        return code;
}

static enum exit_code show_counters(struct str name)
{
        struct buf answer;
        struct str rest, line;

        buf_init(&answer, MESH_UAPI_ANSWER_MAX);
        enum exit_code code = wg_ask(name, STR("get=counters\n\n"), &answer);
        rest = buf_str(&answer);
        while (code == EXIT_OK && str_split(&rest, '\n', &line))
                if (line.len > 0 && !str_has_prefix(line, STR("errno=")))
                        out_print("%.*s\n", STR_FMT(line));
        buf_fini(&answer);
        return code;
}

enum exit_code wg_show_run(const struct command_call *call)
{
        const struct wg_options *o = call->options;
        struct buf names, text;
        struct json_writer json;
        enum exit_code code;

        if (o->counters && call->arguments->count == 1)
                return show_counters(call->arguments->items[0]);
        buf_init(&names, 1 << 20);
        buf_init(&text, OUT_MAX);
        json_writer_init(&json, &text, 2);
        if (o->json)
                json_write_array_begin(&json);
        if (call->arguments->count == 1) {
                code = show_one(call->arguments->items[0], o->json ? &json : NULL);
        } else {
                enum err e = mesh_uapi_names(&names);
                if (e != ERR_OK)
                        out_problem("%s: %s", "/var/run/wireguard", err_text(e));
                code = e == ERR_OK ? show_all(buf_str(&names), o->json ? &json : NULL) : EXIT_DENIED;
        }
        if (o->json && code == EXIT_OK) {
                json_write_array_end(&json);
                json_writer_finish(&json);
                out_print("%.*s\n", STR_FMT(buf_str(&text)));
        }
        buf_fini(&names);
        buf_fini(&text);
        return code;
}
