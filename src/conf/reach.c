#include "conf/reach.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static void note(struct conf_reach *r, struct str name)
{
        char path[SANDBOX_PATH_BYTES_MAX], real[PATH_MAX];

        sandbox_paths_add_folder_of(r->paths, name, false);
        if ((size_t)snprintf(path, sizeof(path), "%.*s", STR_FMT(name)) < sizeof(path) &&
            realpath(path, real))
                sandbox_paths_add_folder_of(r->paths, str_of(real), false);
}

static enum err reach_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                           struct conf_text *out)
{
        struct conf_reach *r = CONTAINER_OF(s, struct conf_reach, source);

        if (kind != CONF_READ_ENV && kind != CONF_READ_PUBLISHED)
                note(r, name);
        return r->inner->read(r->inner, kind, name, out);
}

void conf_reach_over(struct conf_reach *r, struct conf_source *inner, struct sandbox_paths *paths)
{
        *r = (struct conf_reach){ .source = { .read = reach_read,
                                              .file = inner->file,
                                              .now = inner->now,
                                              .has_public_halves = inner->has_public_halves },
                                  .inner = inner,
                                  .paths = paths };
}
