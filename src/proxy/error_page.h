/*
 * proxy/error_page.h - our own errors as a page, for callers that are browsers.
 *
 * Programs get JSON (reply.h); a caller whose Accept prefers HTML gets the operator's page for the status, else a plain one.
 * In the operator's page {status}, {reason}, {message}, {request_id}, {host} and {path} are put in, escaped.
 */
#pragma once

#include "base/buf.h"
#include "http/head.h"

/* A page for a range of statuses; of several the first fits. */
struct error_page {
        uint16_t status_min, status_max;
        struct str text;
};

struct error_page_set {
        const struct error_page *pages;
        size_t count;
};

struct error_page_facts {
        uint16_t status;
        const char *message, *request_id;
        struct str host, path; /* what the caller sent, in any bytes */
};

/* True when Accept names HTML, and does not rank JSON above it. "*" alone is a program's. */
bool error_page_is_wanted(const struct http_head *request);

/* The operator's page, or NULL: the plain one. */
const struct error_page *error_page_find(const struct error_page_set *set, uint16_t status);
void error_page_format(const struct error_page *page, const struct error_page_facts *facts, struct buf *out);
