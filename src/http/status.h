/*
 * http/status.h - reason phrases (RFC 9110 15, 6585) and the IMF-fixdate (RFC 9110 5.6.7).
 */
#pragma once

#include "base/clock.h"
#include "base/str.h"

struct str http_status_reason(uint16_t status); /* "Not Found"; "Unknown" for a status without one */

enum { HTTP_DATE_TEXT_MAX = 32 };
struct str http_date_format(unix_ms now, char out[HTTP_DATE_TEXT_MAX]);
