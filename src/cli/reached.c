#include "cli/reached.h"

#include "json/reader.h"

/* The first address of a gateway: its owner's word goes before its own. */
static struct str first_address(const struct json_value *node)
{
        struct str own =
                json_str(json_item(json_find(json_find(node, STR("settings")), STR("addresses")), 0));

        return own.len ? own
                       : json_str(json_item(json_find(json_find(node, STR("report")), STR("addresses")), 0));
}

/* ":3443" of "203.0.113.7:3443" and "[2001:db8::7]:3443"; empty where none is said. */
static struct str port_of(struct str address)
{
        size_t from = str_has_prefix(address, STR("[")) ? str_find_char(address, ']') : 0, at;

        if (from == STR_NONE || (at = str_find_char(str_from(address, from), ':')) == STR_NONE)
                return STR("");
        return str_from(address, from + at);
}

struct str reached_port(struct remote *r)
{
        struct client_request request = { .method = STR("GET"),
                                          .path = STR("/api/v1/nodes?kind=gateway&limit=1000") };
        const struct json_value *root, *items;
        struct client_answer answer;
        struct str port = STR("");

        if (remote_send(r, &request, REMOTE_MS, &answer) != EXIT_OK || answer.status != 200 ||
            json_read_strict(&r->arena, arena_copy(&r->arena, answer.body), NULL, &root) != ERR_OK)
                return STR("");
        items = json_find(root, STR("items"));
        for (size_t i = 0; items && i < items->count; i++) {
                struct str one = port_of(first_address(json_item(items, i)));

                if (i && !str_eq(one, port))
                        return STR("");
                port = one;
        }
        return str_eq(port, STR(":443")) ? STR("") : port;
}
