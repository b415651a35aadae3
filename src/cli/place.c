#include "cli/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096 };

static const char etc_folder[] = "/etc/sekisho", file_name[] = "sekisho.json";

static bool path_make(struct buf *out, const char *folder, const char *below)
{
        buf_clear(out);
        buf_addf(out, "%s%s/%s", folder, below, file_name);
        buf_add_char(out, '\0');
        if (out->full)
                return false;
        out->len--;
        return true;
}

static bool home_path_make(struct buf *out)
{
        const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

        if (xdg && xdg[0] == '/')
                return path_make(out, xdg, "/sekisho");
        return home && home[0] == '/' && path_make(out, home, "/.config/sekisho");
}

static bool name_take(struct buf *out, struct str name)
{
        buf_clear(out);
        buf_add(out, name);
        buf_add_char(out, '\0');
        if (out->full)
                return false;
        out->len--;
        return true;
}

enum err place_config_find(struct str given, struct buf *out)
{
        const char *variable = getenv("SEKISHO_CONFIG");

        buf_init(out, PATH_BYTES_MAX);
        if (!given.len && variable && variable[0])
                given = str_of(variable);
        if (given.len)
                return name_take(out, given) ? ERR_OK : ERR_TOO_LARGE;
        if (name_take(out, STR("sekisho.json")) && access(out->ptr, F_OK) == 0)
                return ERR_OK;
        if (home_path_make(out) && access(out->ptr, F_OK) == 0)
                return ERR_OK;
        if (path_make(out, etc_folder, "") && access(out->ptr, F_OK) == 0)
                return ERR_OK;
        if (access(etc_folder, W_OK) != 0)
                home_path_make(out);
        return ERR_NOT_FOUND;
}

enum err place_run_state(char *out, size_t size)
{
        const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
        int n;

        if (xdg && *xdg)
                n = snprintf(out, size, "%s/sekisho/run", xdg);
        else if (home && *home)
                n = snprintf(out, size, "%s/.local/state/sekisho/run", home);
        else
                return ERR_NOT_FOUND;
        if (n < 0 || (size_t)n >= size)
                return ERR_TOO_LARGE;
        return access(out, F_OK) == 0 ? ERR_OK : ERR_NOT_FOUND;
}
