#include "control/text.h"

#include <string.h>

#include "base/units.h"
#include "crypto/text.h"
#include "wire/ports.h"
#include "json/reader.h"

enum { JSON_TEXT_MAX = 64 * 1024, HOST_BYTES_MAX = 253, LABEL_BYTES_MAX = 63, NAME_BYTES_MAX = 63 };

struct str text_of_texts(struct arena *a, const struct schema_texts *texts)
{
        struct json_writer w;
        struct buf out;

        buf_init(&out, JSON_TEXT_MAX);
        json_writer_init(&w, &out, JSON_COMPACT);
        json_write_array_begin(&w);
        for (size_t i = 0; i < texts->count; i++)
                json_write_str(&w, texts->items[i]);
        json_write_array_end(&w);
        json_writer_finish(&w);
        struct str text = arena_copy(a, buf_str(&out));
        if (out.full)
                a->full = true;
        buf_fini(&out);
        return text;
}

struct schema_texts texts_of_text(struct arena *a, struct str json)
{
        struct schema_texts texts = { 0 };
        const struct json_value *root;

        if (json.len == 0 || json_read_strict(a, json, NULL, &root) != ERR_OK || root->type != JSON_ARRAY ||
            !(texts.items = ARENA_ARRAY(a, struct str, root->count + 1)))
                return texts;
        for (size_t i = 0; i < root->count; i++)
                texts.items[texts.count++] = json_str(json_item(root, i));
        return texts;
}

struct str text_hex(struct arena *a, struct str bytes)
{
        char *out = arena_alloc(a, CRYPTO_HEX_SIZE(bytes.len), 1);

        return out ? crypto_hex_format(bytes, out) : STR("");
}

struct str text_base64(struct arena *a, struct str bytes)
{
        char *out = arena_alloc(a, CRYPTO_BASE64_SIZE(bytes.len), 1);

        return out ? crypto_base64_format(bytes, out) : STR("");
}

struct str text_ip(struct arena *a, struct ip ip)
{
        char text[IP_TEXT_MAX];

        return arena_copy(a, ip_format(ip, text));
}

static bool is_lower_or_digit(char c)
{
        return (c >= 'a' && c <= 'z') || ascii_is_digit(c);
}

bool text_is_name(struct str s)
{
        if (s.len == 0 || s.len > NAME_BYTES_MAX || !is_lower_or_digit(s.ptr[0]) ||
            !is_lower_or_digit(s.ptr[s.len - 1]))
                return false;
        for (size_t i = 0; i < s.len; i++)
                if (!is_lower_or_digit(s.ptr[i]) && s.ptr[i] != '-')
                        return false;
        return true;
}

static bool is_label(struct str s)
{
        if (s.len == 0 || s.len > LABEL_BYTES_MAX || s.ptr[0] == '-' || s.ptr[s.len - 1] == '-')
                return false;
        for (size_t i = 0; i < s.len; i++)
                if (!is_lower_or_digit(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_')
                        return false;
        return true;
}

bool text_is_host(struct str s)
{
        struct str rest = s, label;
        struct ip ip;

        if (s.len == 0 || s.len > HOST_BYTES_MAX || ip_parse(s, &ip) == ERR_OK ||
            str_has_suffix(s, STR(".sekisho.internal")) || str_eq(s, STR("sekisho.internal")))
                return false;
        for (size_t i = 0; str_split(&rest, '.', &label); i++)
                if (!is_label(label) && !(i == 0 && str_eq(label, STR("*")) && rest.ptr))
                        return false;
        return true;
}

static bool is_port(struct str s, uint64_t *port)
{
        return units_parse_u64(s, 65535, port) == ERR_OK && *port > 0;
}

/* "host:port", "[v6]:port": both parts. */
static bool authority_split(struct str s, struct str *host, struct str *port)
{
        size_t colon = STR_NONE;

        if (s.len && s.ptr[0] == '[') {
                size_t end = str_find_char(s, ']');
                struct ip ip;

                if (end == STR_NONE || ip_parse(str_sub(s, 1, end - 1), &ip) != ERR_OK || ip.family != 6)
                        return false;
                *host = str_sub(s, 0, end + 1);
                *port = str_from(s, end + 1);
                if (port->len && port->ptr[0] != ':')
                        return false;
                *port = str_from(*port, 1);
                return true;
        }
        colon = str_find_char(s, ':');
        *host = str_sub(s, 0, colon);
        *port = colon == STR_NONE ? STR("") : str_from(s, colon + 1);
        return true;
}

bool text_is_listen(struct str s)
{
        struct str host, port;
        struct wire_ports ports;
        struct ip ip;

        if (!authority_split(s, &host, &port) || port.len == 0)
                return false;
        if (host.len && host.ptr[0] != '[' && ip_parse(host, &ip) != ERR_OK)
                return false;
        return wire_ports_parse(s, &ports) == ERR_OK;
}

bool text_is_target(struct str s, const char **why)
{
        static const struct {
                struct str scheme;
                bool needs_port, takes_range;
        } schemes[] = { { STR_INIT("http://"), false, false },
                        { STR_INIT("https://"), false, false },
                        { STR_INIT("h2c://"), true, false },
                        { STR_INIT("tcp://"), true, true },
                        { STR_INIT("udp://"), true, true } };
        struct wire_ports ports;
        struct str host, port;
        uint64_t number;

        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] <= ' ' || s.ptr[i] > '~') {
                        *why = "has a character in it that no address has";
                        return false;
                }
        if (str_has_prefix(s, STR("unix:/")))
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
                if (!str_has_prefix(s, schemes[i].scheme))
                        continue;
                s = str_from(s, schemes[i].scheme.len);
                *why = "must be a scheme, a host and a port: no path, query or user";
                if (str_find_char(s, '/') != STR_NONE || str_find_char(s, '@') != STR_NONE ||
                    str_find_char(s, '?') != STR_NONE || str_find_char(s, '#') != STR_NONE ||
                    !authority_split(s, &host, &port) || host.len == 0)
                        return false;
                *why = "needs a port from 1 to 65535, or a range of at most 128 such as 7000-7010";
                if (str_find_char(port, '-') != STR_NONE && schemes[i].takes_range)
                        return wire_ports_parse(s, &ports) == ERR_OK;
                return port.len ? is_port(port, &number) : !schemes[i].needs_port;
        }
        *why = "must begin with http://, https://, h2c://, tcp://, udp:// or unix:/";
        return false;
}

bool text_host_fits(struct str pattern, struct str host)
{
        size_t dot = str_find_char(host, '.');

        if (str_eq(pattern, host))
                return true;
        return str_has_prefix(pattern, STR("*.")) && dot != STR_NONE &&
               str_eq(str_from(pattern, 1), str_from(host, dot));
}
