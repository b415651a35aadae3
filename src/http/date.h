/*
 * http/date.h - the three forms of a date in a field, read. Source: RFC 9110 5.6.7. Writing: http/status.h.
 */
#pragma once

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

/* "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994". A year of two digits is the
 * one nearest to `now` that is not over 50 years ahead. The day's name is not compared. ERR_MALFORMED: none of them. */
MUST_USE enum err http_date_parse(struct str text, unix_ms now, unix_ms *out);
