#include "cli/control_target.h"

#include "base/units.h"

bool control_target_split(struct str to, struct str kind, struct arena *a, struct str *agent, struct str *url)
{
        bool is_raw =
                str_eq(kind, STR("tcp")) || str_eq(kind, STR("udp")) || str_eq(kind, STR("passthrough"));
        const char *scheme = str_eq(kind, STR("udp")) ? "udp" : is_raw ? "tcp" : "http";
        uint64_t port;

        if (str_eq(to, STR("control"))) {
                *agent = STR("");
                *url = to;
                return true;
        }
        if (str_has_prefix(to, STR("agent/")))
                to = str_from(to, 6);
        size_t colon = str_find_char(to, ':');
        if (colon == STR_NONE || colon == 0)
                return false;
        *agent = str_sub(to, 0, colon);
        *url = str_from(to, colon + 1);
        if (str_find(*url, STR("://")) != STR_NONE || str_has_prefix(*url, STR("unix:")))
                return true;
        if (units_parse_u64(*url, 65535, &port) == ERR_OK)
                *url = arena_format(a, "%s://localhost:%.*s", scheme, STR_FMT(*url));
        else
                *url = arena_format(a, "%s://%.*s", scheme, STR_FMT(*url));
        return true;
}
