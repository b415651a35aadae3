/*
 * conf/source.h - where a configuration's texts come from: files and the environment, or a bundle of them.
 *
 * Whoever reads the files loads through a recorder, which keeps every text it gives, as a bundle for those that build the
 * same configuration where neither files nor the environment can be reached. In the bundle a CONF_READ_KEY is the key's
 * public half; the private ones are kept apart, for the key holder.
 *
 * Bundle: "SKSH1\n", then `now` (8 bytes), then entries {kind 1 byte, mode 2 bytes, name length 4, bytes length 4, name,
 * bytes}; numbers little endian. The first entry is the configuration itself.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

enum conf_read_kind {
        CONF_READ_CONFIG, /* the configuration; its name is source->file */
        CONF_READ_ENV,    /* an environment variable */
        CONF_READ_FILE,   /* a certificate: others may read it */
        CONF_READ_SECRET, /* a token, or a key a worker needs: others must not */
        CONF_READ_KEY,    /* the private key of a listener's certificate: nor must a worker */
        CONF_READ_PUBLISHED, /* what control published, below the configuration (merge.c); ERR_NOT_FOUND: nothing. Its name is
                                CONF_PUBLISHED */
        CONF_READ_KINDS
};

#define CONF_PUBLISHED STR("published")

/* The tailnet's own certificate and its key, for who has them; no files. ERR_NOT_FOUND: there is none yet. */
#define CONF_TAILNET_CERT STR("/sekisho.tailnet/cert")
#define CONF_TAILNET_KEY  STR("/sekisho.tailnet/key")

enum { CONF_TEXT_BYTES_MAX = 4 << 20, CONF_BUNDLE_BYTES_MAX = 64 << 20 };

struct conf_text {
        struct buf bytes; /* caller: buf_init with the bound, buf_wipe afterwards */
        unsigned mode;    /* permission bits; 0600 where there are none to know */
};

struct conf_source {
        /* ERR_NOT_FOUND, ERR_DENIED, ERR_TOO_LARGE, ERR_IO, ERR_NO_MEMORY. Appends to out->bytes. */
        enum err (*read)(struct conf_source *s, enum conf_read_kind kind, struct str name,
                         struct conf_text *out);
        struct str file; /* the configuration's name; relative names inside it are looked for beside it */
        unix_ms now;     /* what certificates and expiry dates are compared with */
        bool has_public_halves; /* what it gives for CONF_READ_KEY is the public half */
};

/* The file system and the environment. Keeps `file` (a NUL after it) as long as it is used. Blocks. */
void conf_source_system(struct conf_source *s, struct str file, unix_ms now);

struct conf_recorder {
        struct conf_source source; /* give this to conf_load */
        /* private */
        struct conf_source *inner;
        struct buf bundle, keys;
        size_t entries_count;
};

/* Keeps `inner` until fini. */
void conf_recorder_init(struct conf_recorder *r, struct conf_source *inner);
/* What was read so far, as a bundle; empty when it does not fit or memory ran out. Holds secrets. Until fini. */
struct str conf_recorder_bundle(struct conf_recorder *r);
/* The private keys among it, as conf_keys_next takes them apart. */
struct str conf_recorder_keys(struct conf_recorder *r);
void conf_recorder_fini(struct conf_recorder *r); /* wipes them */

/* Private keys, one text after the other: {length 4, PEM}. */
void conf_keys_add(struct buf *out, struct str pem);
/* Takes the next off the front. ERR_NOT_FOUND: there is none. ERR_MALFORMED. */
MUST_USE enum err conf_keys_next(struct str *keys, struct str *pem);

struct conf_bundle {
        struct conf_source source; /* give this to conf_load */
        /* private */
        struct str bytes;
};

/* Keeps `bytes`. Checks all of it first: ERR_MALFORMED leaves *b unusable. */
MUST_USE
enum err conf_bundle_open(struct conf_bundle *b, struct str bytes);
/* The names of what a bundle has of one kind, in order; *at begins as 0. False: no more. */
bool conf_bundle_next(const struct conf_bundle *b, enum conf_read_kind kind, size_t *at, struct str *name);
