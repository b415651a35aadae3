/*
 * gateway/overlay.h - a configuration source with the command line's word put over the file's.
 *
 * Changes the text as it is read, on the line where it stands, so that the workers, who get the text, see the same.
 */
#pragma once

#include "conf/source.h"

struct overlay {
        struct conf_source source; /* give this to conf_load */
        /* private */
        struct conf_source *inner;
        struct str auth;   /* JSON text for gateway.auth; empty: as the file says */
        struct str listen; /* one more of gateway.listen, with TLS; empty: as the file says */
};

/* Keeps `inner`. `auth`: "true", "false" or empty. */
void overlay_init(struct overlay *o, struct conf_source *inner, struct str auth);

/* One more address with TLS, kept: what host and port stand for without being written stays. Empty: none more. */
void overlay_listen(struct overlay *o, struct str address);
