/*
 * store/schema_priv.h - the shape of the database, as the list of steps that led to it.
 *
 * A step that was released is never edited: what is to be other is a new step at the end. Each runs in one transaction with
 * the number it leads to. A database with a higher number than this program knows is refused.
 */
#pragma once

#include "store/backend_priv.h"

struct store_table;

struct store_step {
        const char *what; /* for the log and the error */
        const char *sql;  /* in both engines' common dialect, with {int}, {bytes}, {strict} */
};

extern const struct store_step store_steps[];
extern const int store_steps_count;

/* Brings the database to `version` (of tests; else store_steps_count). ERR_UNSUPPORTED: it is newer. */
MUST_USE enum err store_schema_migrate(struct store_conn *c, int version, struct report *r);

/* 0: there is no schema at all. */
MUST_USE enum err store_schema_version(struct store_conn *c, int *out);

/* Every table, whom others refer to first: for copies and checks. */
struct store_listed {
        const char *name;
        const struct store_table *rows; /* a family, or NULL: */
        const char *columns;            /* and its columns */
        const char *key, *key_types; /* the first columns, which order it; each 'n' a number or 't' a text */
        bool is_filled;              /* a new store has rows in it already: a copy replaces them */
};

extern const struct store_listed store_listed[];
extern const size_t store_listed_count;
