/*
 * proxy/record_combined.h - a line of the access log in the Combined form of nginx and Apache.
 *
 *   203.0.113.7 - alice [21/Nov/2026:09:00:00 +0000] "GET /x HTTP/1.1" 200 512 "https://a.example/" "curl/7.88"
 *
 * The time is UTC. The user is the token's name. Queries, of the target and of the Referer, are left out: people put
 * secrets there. Bytes that could end a quoted text or a line ('"', '\', controls, all above 0x7e) are written as \xHH, as
 * nginx does; a blank in the user's name likewise.
 */
#pragma once

#include "base/buf.h"
#include "proxy/exchange.h"

enum { RECORD_COMBINED_TIME_MAX = 32 };

/* "21/Nov/2026:09:00:00 +0000". */
const char *record_combined_time(unix_ms now, char out[RECORD_COMBINED_TIME_MAX]);

/* Both append the line with its end. */
void record_combined_request(struct buf *out, const struct exchange *x, const char *time);
void record_combined_refused(struct buf *out, struct ip peer, uint16_t status, const char *time);

/* One quoted text, or "-" in quotes for an empty one. */
void record_combined_quote(struct buf *out, struct str text);
