#include "mesh/quick.h"

#include <string.h>

#include "base/units.h"
#include "crypto/secret.h"
#include "crypto/text.h"

struct parser {
        struct arena *arena;
        struct report *report;
        struct mesh_quick *q;
        uint32_t line;
        enum { SECTION_NONE, SECTION_INTERFACE, SECTION_PEER } section;
        bool has_interface;
        struct mesh_quick_peer *peer;
        size_t peers_cap;
};

typedef void setter(struct parser *p, struct str value, void *field);

static void wrong(struct parser *p, struct str value, const char *expected)
{
        report_error(p->report, p->line, 0, "\"%.*s\" is not %s", (int)MIN(value.len, (size_t)60), value.ptr,
                     expected);
}

/* The items of a list are kept in an array of 4, 8, 16... places: a count that is such a number is full. */
static void *grow(struct parser *p, void *items, size_t count, size_t item_bytes, size_t align)
{
        if (count >= MESH_QUICK_ITEMS_MAX) {
                report_error(p->report, p->line, 0, "more than %d in one list", MESH_QUICK_ITEMS_MAX);
                return NULL;
        }
        if (count != 0 && (count < 4 || (count & (count - 1)) != 0))
                return items;
        void *bigger = arena_calloc(p->arena, count ? 2 * count : 4, item_bytes, align);
        if (bigger && count)
                memcpy(bigger, items, count * item_bytes);
        return bigger;
}

static void list_add_str(struct parser *p, struct mesh_quick_list *list, struct str item)
{
        struct str *items = grow(p, list->items, list->count, sizeof(*items), _Alignof(struct str));

        if (!items)
                return;
        list->items = items;
        list->items[list->count++] = item;
}

static void set_key(struct parser *p, struct str value, void *field)
{
        size_t len = 0;

        /* The value is not repeated in the message: it may be all but one letter of a key. */
        if (crypto_base64_parse(value, field, WG_KEY_BYTES, &len) != ERR_OK || len != WG_KEY_BYTES)
                report_error(p->report, p->line, 0,
                             "not a key: expected 44 letters of base64, as `wg genkey` prints");
}

static void set_private_key(struct parser *p, struct str value, void *field)
{
        set_key(p, value, p->q->private_key);
        p->q->has_private_key = true;
}

static void set_preshared_key(struct parser *p, struct str value, void *field)
{
        set_key(p, value, p->peer->preshared_key);
        p->peer->has_preshared_key = true;
}

static void set_port(struct parser *p, struct str value, void *field)
{
        uint64_t port;

        if (units_parse_u64(value, 65535, &port) != ERR_OK) {
                wrong(p, value, "a port: expected 0 to 65535");
                return;
        }
        p->q->port = (uint16_t)port;
        p->q->has_port = true;
}

/* Decimal or 0x. */
static bool parse_u32(struct str value, uint32_t *out)
{
        uint64_t n = 0;

        if (str_has_prefix(value, STR("0x"))) {
                struct str digits = str_from(value, 2);
                for (size_t i = 0; i < digits.len; i++) {
                        int digit = ascii_hex(digits.ptr[i]);
                        if (digit < 0 || n > UINT32_MAX >> 4)
                                return false;
                        n = n << 4 | (uint64_t)digit;
                }
                *out = (uint32_t)n;
                return digits.len > 0;
        }
        if (units_parse_u64(value, UINT32_MAX, &n) != ERR_OK)
                return false;
        *out = (uint32_t)n;
        return true;
}

static void set_fwmark(struct parser *p, struct str value, void *field)
{
        p->q->has_fwmark = true;
        if (str_eq_nocase(value, STR("off")))
                p->q->fwmark = 0;
        else if (!parse_u32(value, &p->q->fwmark))
                wrong(p, value, "a mark: expected a number, 0x and hexadecimal digits, or off");
}

static void set_mtu(struct parser *p, struct str value, void *field)
{
        uint64_t mtu;

        if (units_parse_u64(value, 65535, &mtu) != ERR_OK || mtu < 576) {
                wrong(p, value, "an MTU: expected 576 to 65535 (1280 at least, to carry IPv6)");
                return;
        }
        p->q->mtu = (uint32_t)mtu;
        p->q->has_mtu = true;
}

static void set_table(struct parser *p, struct str value, void *field)
{
        if (str_eq_nocase(value, STR("auto")))
                p->q->table = MESH_TABLE_AUTO;
        else if (str_eq_nocase(value, STR("off")))
                p->q->table = MESH_TABLE_OFF;
        else if (parse_u32(value, &p->q->table_number) && p->q->table_number > 0)
                p->q->table = MESH_TABLE_NUMBER;
        else
                wrong(p, value, "a routing table: expected auto, off or a number");
}

static void set_text(struct parser *p, struct str value, void *field)
{
        (void)p;
        *(struct str *)field = value;
}

static void set_save_config(struct parser *p, struct str value, void *field)
{
        p->q->saves_config = str_eq_nocase(value, STR("true"));
        if (!p->q->saves_config && !str_eq_nocase(value, STR("false")))
                wrong(p, value, "true or false");
}

static void add_prefixes(struct parser *p, struct str value, void *field)
{
        struct mesh_quick_prefixes *list = field;
        struct str part;

        if (p->peer && field == &p->peer->allowed_ips)
                p->peer->has_allowed_ips = true;
        if (value.len == 0)
                return; /* a peer may have none */
        while (str_split(&value, ',', &part)) {
                struct ip_prefix prefix;
                part = str_trim(part);
                if (ip_prefix_parse(part, &prefix) != ERR_OK) {
                        wrong(p, part, "an address: expected 10.0.0.1/24 or fd00::1/64");
                        return;
                }
                struct ip_prefix *items =
                        grow(p, list->items, list->count, sizeof(*items), _Alignof(struct ip_prefix));
                if (!items)
                        return;
                list->items = items;
                list->items[list->count++] = prefix;
        }
}

static void add_dns(struct parser *p, struct str value, void *field)
{
        struct str part;

        while (str_split(&value, ',', &part)) {
                struct ip ip;
                part = str_trim(part);
                if (part.len == 0)
                        wrong(p, part, "a name server or search domain");
                else
                        list_add_str(p,
                                     ip_parse(part, &ip) == ERR_OK ? &p->q->dns_servers : &p->q->dns_domains,
                                     part);
        }
}

static void add_hook(struct parser *p, struct str value, void *field)
{
        list_add_str(p, field, value);
}

static void set_endpoint(struct parser *p, struct str value, void *field)
{
        struct mesh_quick_peer *peer = p->peer;
        size_t colon = value.len;
        uint64_t port;

        while (colon > 0 && value.ptr[colon - 1] != ':')
                colon--;
        struct str host = str_sub(value, 0, colon ? colon - 1 : 0);
        if (str_has_prefix(host, STR("[")) && str_has_suffix(host, STR("]")))
                host = str_sub(host, 1, host.len - 2);
        else if (str_find_char(host, ':') != STR_NONE)
                host = STR_NULL; /* an IPv6 address stands in brackets */
        if (host.len == 0 || units_parse_u64(str_from(value, colon), 65535, &port) != ERR_OK || port == 0) {
                wrong(p, value, "an endpoint: expected name:port, 192.0.2.1:51820 or [2001:db8::1]:51820");
                return;
        }
        peer->endpoint_host = host;
        peer->endpoint_line = p->line;
        peer->endpoint_port = (uint16_t)port;
        if (ip_parse(host, &peer->endpoint_ip) != ERR_OK)
                peer->endpoint_ip = (struct ip){ 0 };
}

static void set_keepalive(struct parser *p, struct str value, void *field)
{
        uint64_t seconds = 0;

        if (!str_eq_nocase(value, STR("off")) && units_parse_u64(value, 65535, &seconds) != ERR_OK)
                wrong(p, value, "a time: expected seconds, 1 to 65535, or off");
        p->peer->keepalive = (uint16_t)seconds;
        p->peer->has_keepalive = true;
}

static const struct {
        const char *name;
        bool is_of_peer, may_be_empty;
        size_t offset; /* of the field it is given */
        setter *set;
} keys[] = {
        { "PrivateKey", false, false, 0, set_private_key },
        { "ListenPort", false, false, 0, set_port },
        { "FwMark", false, false, 0, set_fwmark },
        { "Address", false, false, offsetof(struct mesh_quick, addresses), add_prefixes },
        { "DNS", false, false, 0, add_dns },
        { "MTU", false, false, 0, set_mtu },
        { "Table", false, false, 0, set_table },
        { "PreUp", false, false, offsetof(struct mesh_quick, pre_up), add_hook },
        { "PostUp", false, false, offsetof(struct mesh_quick, post_up), add_hook },
        { "PreDown", false, false, offsetof(struct mesh_quick, pre_down), add_hook },
        { "PostDown", false, false, offsetof(struct mesh_quick, post_down), add_hook },
        { "Relay", false, false, offsetof(struct mesh_quick, relay), set_text },
        { "RelayCA", false, false, offsetof(struct mesh_quick, relay_ca), set_text },
        { "SaveConfig", false, false, 0, set_save_config },
        { "PublicKey", true, false, offsetof(struct mesh_quick_peer, public_key), set_key },
        { "PresharedKey", true, false, 0, set_preshared_key },
        { "AllowedIPs", true, true, offsetof(struct mesh_quick_peer, allowed_ips), add_prefixes },
        { "Endpoint", true, false, 0, set_endpoint },
        { "PersistentKeepalive", true, false, 0, set_keepalive },
};

static void unknown_key(struct parser *p, struct str name)
{
        struct str names[ARRAY_SIZE(keys)];
        size_t count = 0;

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (keys[i].is_of_peer == (p->section == SECTION_PEER))
                        names[count++] = str_of(keys[i].name);
        struct str nearest = report_nearest(name, names, count);
        const char *where = p->section == SECTION_PEER ? "[Peer]" : "[Interface]";
        if (nearest.len)
                report_error(p->report, p->line, 0, "%s has no key \"%.*s\"; did you mean %.*s?", where,
                             (int)MIN(name.len, (size_t)60), name.ptr, STR_FMT(nearest));
        else
                report_error(p->report, p->line, 0, "%s has no key \"%.*s\"", where,
                             (int)MIN(name.len, (size_t)60), name.ptr);
}

static void parse_key_value(struct parser *p, struct str name, struct str value)
{
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                if (!str_eq_nocase(name, str_of(keys[i].name)) ||
                    keys[i].is_of_peer != (p->section == SECTION_PEER))
                        continue;
                char *base = keys[i].is_of_peer ? (char *)p->peer : (char *)p->q;
                if (value.len == 0 && !keys[i].may_be_empty)
                        report_error(p->report, p->line, 0, "%s has no value", keys[i].name);
                else
                        keys[i].set(p, value, base + keys[i].offset);
                return;
        }
        unknown_key(p, name);
}

static void begin_peer(struct parser *p)
{
        struct mesh_quick *q = p->q;

        p->section = SECTION_PEER;
        if (q->peers_count == MESH_QUICK_PEERS_MAX) {
                report_error(p->report, p->line, 0, "more than %d peers", MESH_QUICK_PEERS_MAX);
                return; /* its keys overwrite the last one's; nothing of this is used */
        }
        if (q->peers_count == p->peers_cap) {
                size_t cap = p->peers_cap ? 2 * p->peers_cap : 16;
                struct mesh_quick_peer *bigger = ARENA_ARRAY(p->arena, struct mesh_quick_peer, cap);
                if (!bigger)
                        return;
                if (q->peers_count) {
                        memcpy(bigger, q->peers, q->peers_count * sizeof(*bigger));
                        crypto_wipe(q->peers, q->peers_count * sizeof(*bigger));
                }
                q->peers = bigger;
                p->peers_cap = cap;
        }
        p->peer = &q->peers[q->peers_count++];
        p->peer->line = p->line;
}

static void parse_section(struct parser *p, struct str line)
{
        if (str_eq_nocase(line, STR("[Peer]"))) {
                begin_peer(p);
        } else if (!str_eq_nocase(line, STR("[Interface]"))) {
                report_error(p->report, p->line, 0,
                             "\"%.*s\" is no section; there are [Interface] and [Peer]",
                             (int)MIN(line.len, (size_t)60), line.ptr);
        } else if (p->has_interface) {
                report_error(p->report, p->line, 0, "a second [Interface]; a file describes one");
        } else {
                p->section = SECTION_INTERFACE;
                p->has_interface = true;
        }
}

static struct str trim_all(struct str s)
{
        while (s.len > 0 && (s.ptr[s.len - 1] == '\r' || s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
                s.len--;
        return str_trim(s);
}

static void parse_line(struct parser *p, struct str line)
{
        size_t comment = str_find_char(line, '#');

        line = trim_all(comment == STR_NONE ? line : str_sub(line, 0, comment));
        if (line.len == 0)
                return;
        if (line.ptr[0] == '[') {
                parse_section(p, line);
                return;
        }
        size_t equals = str_find_char(line, '=');
        if (equals == STR_NONE)
                wrong(p, line, "\"key = value\"");
        else if (p->section == SECTION_NONE)
                report_error(p->report, p->line, 0, "a key before the first section; begin with [Interface]");
        else if (p->section == SECTION_INTERFACE || p->peer)
                parse_key_value(p, str_trim(str_sub(line, 0, equals)), str_trim(str_from(line, equals + 1)));
}

static void check_peers(struct parser *p)
{
        for (size_t i = 0; i < p->q->peers_count; i++)
                if (crypto_is_zero(p->q->peers[i].public_key, WG_KEY_BYTES))
                        report_error(p->report, p->q->peers[i].line, 0, "this [Peer] has no PublicKey");
}

enum err mesh_quick_parse(struct str text, struct arena *arena, struct report *report, struct mesh_quick *out)
{
        struct parser p = { .arena = arena, .report = report, .q = out };
        struct str line;

        memset(out, 0, sizeof(*out));
        while (str_split(&text, '\n', &line)) {
                p.line++;
                parse_line(&p, line);
        }
        if (!arena->full)
                check_peers(&p);
        enum err e = report->errors_count > 0 ? ERR_CONFIG : arena->full ? ERR_NO_MEMORY : ERR_OK;
        if (e != ERR_OK)
                mesh_quick_wipe(out);
        return e;
}

void mesh_quick_wipe(struct mesh_quick *q)
{
        for (size_t i = 0; i < q->peers_count; i++)
                crypto_wipe(q->peers[i].preshared_key, WG_KEY_BYTES);
        crypto_wipe(q->private_key, WG_KEY_BYTES);
}

bool mesh_quick_is_name(struct str name)
{
        if (name.len == 0 || name.len > 15 || str_eq(name, STR(".")) || str_eq(name, STR("..")))
                return false;
        for (size_t i = 0; i < name.len; i++)
                if (!ascii_is_alpha(name.ptr[i]) && !ascii_is_digit(name.ptr[i]) &&
                    str_find_char(STR("_=+.-"), name.ptr[i]) == STR_NONE)
                        return false;
        return true;
}
