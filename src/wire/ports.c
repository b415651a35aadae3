#include "wire/ports.h"

#include "base/units.h"

static bool port_parse(struct str text, uint64_t *out)
{
        return units_parse_u64(text, UINT16_MAX, out) == ERR_OK && *out > 0;
}

enum err wire_ports_parse(struct str text, struct wire_ports *out)
{
        size_t colon = STR_NONE;
        uint64_t first, last;

        for (size_t i = 0; i < text.len; i++)
                if (text.ptr[i] == ':')
                        colon = i;
        if (colon == STR_NONE)
                return ERR_MALFORMED;
        struct str ports = str_from(text, colon + 1);
        size_t dash = str_find_char(ports, '-');
        if (!port_parse(str_sub(ports, 0, dash), &first))
                return ERR_MALFORMED;
        last = first;
        if (dash != STR_NONE && (!port_parse(str_from(ports, dash + 1), &last) || last <= first))
                return ERR_MALFORMED;
        if (last - first >= WIRE_PORTS_MAX)
                return ERR_TOO_LARGE;
        *out = (struct wire_ports){ str_sub(text, 0, colon), (uint16_t)first, (uint16_t)(last - first + 1) };
        return ERR_OK;
}
