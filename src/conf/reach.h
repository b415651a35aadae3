/*
 * conf/reach.h - a source that notes the folders of what is read through it, for who closes itself in afterwards and is to read it
 * again (io/sandbox.h).
 *
 * Folders, not files: a file is replaced by another of its name. Where a name is a link, also the folder of what it names.
 */
#pragma once

#include "conf/source.h"
#include "io/sandbox.h"

struct conf_reach {
        struct conf_source source; /* give this to conf_load */
        /* private */
        struct conf_source *inner;
        struct sandbox_paths *paths;
};

/* Keeps both as long as it is read from. */
void conf_reach_over(struct conf_reach *r, struct conf_source *inner, struct sandbox_paths *paths);
