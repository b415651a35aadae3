/*
 * cli/edit.h - the configuration file changed in a few places: comments and layout stay, the whole is checked before it
 * replaces the old one, and the old one is kept as PATH.bak.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/report.h"
#include "json/value.h"

struct edit {
        struct str path; /* a NUL behind it */
        bool exists;     /* there was a file */
        struct buf before, text;
        const struct json_value *root; /* of `text`; anew after each change */
        struct report report;          /* what is wrong with the text, or with the file */
        /* private */
        struct arena arena;
};

/* Reads `path` (keeps it), or begins with nothing where there is none. ERR_CONFIG: no huJSON (see the report);
 * ERR_DENIED, ERR_IO, ERR_TOO_LARGE, ERR_NO_MEMORY. Whatever comes back, end it with edit_fini. */
MUST_USE enum err edit_init(struct edit *e, struct str path);
void edit_fini(struct edit *e);

/* Begins anew with this text. */
MUST_USE enum err edit_begin(struct edit *e, struct str text);

/* Puts `value` (JSON text) at a JSON pointer. In an array "-" is its end. */
MUST_USE enum err edit_set(struct edit *e, const char *pointer, struct str value);
MUST_USE enum err edit_remove(struct edit *e, const char *pointer);

/* Puts an element at the end of the array at `pointer`, which is made where there is none. */
MUST_USE enum err edit_append(struct edit *e, const char *pointer, struct str value);

const struct json_value *edit_find(const struct edit *e, const char *pointer); /* or NULL */
bool edit_is_changed(const struct edit *e);

/* Reads the new text as the gateway would, variables that are not set here aside. ERR_CONFIG: the report says why. Gives *out (free: conf_free); out may be NULL. */
struct conf;
MUST_USE enum err edit_check(struct edit *e, struct conf **out);

/* Writes it, mode 0600, folders included. Nothing when nothing changed. */
MUST_USE enum err edit_save(struct edit *e);
