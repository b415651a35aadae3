/*
 * http/h1_line_priv.h - one field line, the same for heads and trailers. Source: RFC 9112 5.
 */
#pragma once

#include "http/head.h"

enum h1_line {
        H1_LINE_FIELD, /* *at is after its CRLF */
        H1_LINE_EMPTY, /* the end of the section; *at is after its CRLF */
        H1_LINE_CUT,   /* not all there */
        H1_LINE_BAD    /* *reason says why */
};

/*
 * Reads the line at *at. The verdict depends on the bytes up to it alone, so that a cut input is never judged
 * otherwise than the whole one.
 */
enum h1_line h1_line_read(const char **at, const char *end, struct http_field *out, const char **reason);
