/*
 * store/url.h - where a store is: "sqlite:PATH" or "postgresql://…".
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"

enum store_kind { STORE_SQLITE, STORE_POSTGRESQL };

enum { STORE_URL_BYTES_MAX = 2048 };

struct store_url {
        enum store_kind kind;
        struct str text; /* SQLite: the path; PostgreSQL: the whole URL, as libpq takes it */
};

/*
 * Borrows `text`; *out points into it. A path is taken as it stands: no percent codes, no query. What libpq thinks of a
 * PostgreSQL URL shows when it is opened. ERR_CONFIG: the report says what would be right.
 */
MUST_USE enum err store_url_parse(struct str text, struct report *r, struct store_url *out);

/* For people and logs: without the password. */
void store_url_show(const struct store_url *url, struct buf *out);
