#include "conf/source.h"

#include <stdlib.h>

#include "io/file.h"

static enum err env_read(struct str name, struct buf *out)
{
        struct buf key;
        const char *value = NULL;

        buf_init(&key, 4096);
        buf_add(&key, name);
        buf_add_char(&key, '\0');
        if (!key.full)
                value = getenv(key.ptr);
        buf_fini(&key);
        if (!value)
                return ERR_NOT_FOUND;
        buf_add(out, str_of(value));
        return out->full ? ERR_TOO_LARGE : ERR_OK;
}

static enum err path_read(struct str name, struct conf_text *out)
{
        struct buf path;
        enum err e = ERR_NOT_FOUND;
        bool is_ours;

        buf_init(&path, 4096);
        buf_add(&path, name);
        buf_add_char(&path, '\0');
        if (!path.full && str_find_char(name, '\0') == STR_NONE)
                e = file_read(path.ptr, &out->bytes);
        if (e == ERR_OK)
                e = file_mode(path.ptr, &out->mode, &is_ours);
        buf_fini(&path);
        return e;
}

static enum err system_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                            struct conf_text *out)
{
        out->mode = 0600;
        if (kind == CONF_READ_PUBLISHED)
                return ERR_NOT_FOUND; /* who has joined puts a source over this one */
        return kind == CONF_READ_ENV ? env_read(name, &out->bytes) : path_read(name, out);
}

void conf_source_system(struct conf_source *s, struct str file, unix_ms now)
{
        *s = (struct conf_source){ .read = system_read, .file = file, .now = now };
}
