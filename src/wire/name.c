#include "wire/name.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

static const struct {
        struct str text, prefix;
} kinds[] = {
        [WIRE_CONTROL] = { STR_INIT("control"), STR_INIT("") },
        [WIRE_GATEWAY] = { STR_INIT("gateway"), STR_INIT("gw") },
        [WIRE_AGENT] = { STR_INIT("agent"), STR_INIT("ag") },
};

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

struct str wire_kind_text(enum wire_kind kind)
{
        return kinds[kind].text;
}

enum err wire_kind_parse(struct str text, enum wire_kind *out)
{
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (str_eq(text, kinds[i].text)) {
                        *out = (enum wire_kind)i;
                        return ERR_OK;
                }
        return ERR_MALFORMED;
}

static bool is_alnum(char c)
{
        return (c >= 'a' && c <= 'z') || ascii_is_digit(c);
}

bool wire_id_is_valid(struct str id)
{
        if (id.len == 0 || id.len > WIRE_ID_MAX || !is_alnum(id.ptr[0]))
                return false;
        for (size_t i = 1; i < id.len; i++)
                if (!is_alnum(id.ptr[i]) && id.ptr[i] != '-' && id.ptr[i] != '_' && id.ptr[i] != '.')
                        return false;
        return true;
}

bool wire_node_id_is_valid(enum wire_kind kind, struct str id)
{
        struct str prefix = kinds[kind].prefix;

        if (prefix.len == 0 || id.len != prefix.len + 17 || !str_has_prefix(id, prefix) ||
            id.ptr[prefix.len] != '-')
                return false;
        for (size_t i = prefix.len + 1; i < id.len; i++)
                if (!memchr(base32, id.ptr[i], sizeof(base32) - 1))
                        return false;
        return true;
}

struct str wire_id_format(struct str prefix, const uint8_t random[WIRE_ID_RANDOM_BYTES],
                          char out[WIRE_ID_SIZE])
{
        size_t at = 0;
        unsigned bits = 0, have = 0;

        memcpy(out, prefix.ptr, prefix.len);
        at = prefix.len;
        out[at++] = '-';
        for (size_t i = 0; i < WIRE_ID_RANDOM_BYTES; i++) {
                bits = (bits << 8 | random[i]) & 0xfff;
                for (have += 8; have >= 5; have -= 5)
                        out[at++] = base32[bits >> (have - 5) & 31];
        }
        out[at] = '\0';
        return (struct str){ out, at };
}

enum err wire_name_parse(struct str uri, struct wire_name *out)
{
        struct str org, kind, rest, scheme = STR("sekisho://");
        struct wire_name name = { .id = STR("") };

        if (!str_has_prefix(uri, scheme))
                return ERR_MALFORMED;
        rest = str_from(uri, scheme.len);
        if (!str_split(&rest, '/', &org) || !str_split(&rest, '/', &kind) || !wire_id_is_valid(org) ||
            wire_kind_parse(kind, &name.kind) != ERR_OK)
                return ERR_MALFORMED;
        name.org = org;
        if (name.kind == WIRE_CONTROL) {
                if (rest.ptr)
                        return ERR_MALFORMED;
        } else {
                if (!rest.ptr || !wire_id_is_valid(rest))
                        return ERR_MALFORMED;
                name.id = rest;
        }
        *out = name;
        return ERR_OK;
}

struct str wire_name_format(const struct wire_name *name, char out[WIRE_URI_SIZE])
{
        struct str kind = kinds[name->kind].text;
        int n = name->kind == WIRE_CONTROL
                        ? snprintf(out, WIRE_URI_SIZE, "sekisho://%.*s/control", STR_FMT(name->org))
                        : snprintf(out, WIRE_URI_SIZE, "sekisho://%.*s/%.*s/%.*s", STR_FMT(name->org),
                                   STR_FMT(kind), STR_FMT(name->id));

        return (struct str){ out, (size_t)n };
}

struct str wire_host_worker_format(unsigned worker, char out[WIRE_HOST_SIZE])
{
        return (struct str){ out,
                             (size_t)snprintf(out, WIRE_HOST_SIZE, "w%u.link.sekisho.internal", worker) };
}

enum err wire_host_parse(struct str server_name, enum wire_host *out, int *worker)
{
        struct str link = WIRE_HOST_LINK;
        uint64_t n;

        *worker = -1;
        if (str_eq_nocase(server_name, WIRE_HOST_CONTROL)) {
                *out = WIRE_HOST_IS_CONTROL;
                return ERR_OK;
        }
        if (str_eq_nocase(server_name, link)) {
                *out = WIRE_HOST_IS_LINK;
                return ERR_OK;
        }
        if (server_name.len < link.len + 3 || ascii_lower(server_name.ptr[0]) != 'w' ||
            server_name.ptr[server_name.len - link.len - 1] != '.' ||
            !str_eq_nocase(str_from(server_name, server_name.len - link.len), link) ||
            units_parse_u64(str_sub(server_name, 1, server_name.len - link.len - 2), WIRE_WORKERS_MAX - 1,
                            &n) != ERR_OK)
                return ERR_NOT_FOUND;
        *out = WIRE_HOST_IS_LINK;
        *worker = (int)n;
        return ERR_OK;
}
