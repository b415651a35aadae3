#include "cli/daemon_show.h"

#include <string.h>

#include "base/compiler.h"
#include "base/units.h"

static enum err key_take(struct daemon_unit *u, struct str key, struct str value)
{
        const struct {
                struct str key;
                struct str *into;
        } texts[] = {
                { STR("ActiveState"), &u->state }, { STR("SubState"), &u->sub_state },
                { STR("Result"), &u->result },     { STR("ActiveEnterTimestamp"), &u->since },
                { STR("StatusText"), &u->status },
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                if (str_eq(key, texts[i].key))
                        *texts[i].into = value;
        if (str_eq(key, STR("LoadState")))
                u->is_installed = str_eq(value, STR("loaded"));
        else if (str_eq(key, STR("UnitFileState")))
                u->is_enabled = str_has_prefix(value, STR("enabled"));
        else if (str_eq(key, STR("Job")))
                u->has_job = value.len && !str_eq(value, STR("0"));
        else if (str_eq(key, STR("MainPID")))
                return units_parse_u64(value, INT32_MAX, &u->pid);
        else if (str_eq(key, STR("NRestarts")))
                return units_parse_u64(value, UINT32_MAX, &u->restarts);
        return ERR_OK;
}

enum err daemon_show_parse(struct str text, struct daemon_unit *out)
{
        struct str line;

        memset(out, 0, sizeof(*out));
        while (str_split(&text, '\n', &line)) {
                size_t at = str_find_char(line, '=');

                if (at != STR_NONE && key_take(out, str_sub(line, 0, at), str_from(line, at + 1)) != ERR_OK)
                        return ERR_MALFORMED;
        }
        out->is_active = str_eq(out->state, STR("active")) || str_eq(out->state, STR("reloading"));
        return out->state.len ? ERR_OK : ERR_MALFORMED;
}

bool daemon_unit_failed(const struct daemon_unit *u)
{
        return !u->has_job && (str_eq(u->state, STR("failed")) || str_eq(u->sub_state, STR("auto-restart")));
}
