/*
 * base/escape.h - hostile text made safe to stand inside a JSON string, a terminal line or a page.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/*
 * Appends `s` as the inside of a JSON string, without quotes. Control bytes, DEL, C1 controls, U+2028/2029 and
 * bidirectional overrides become \uXXXX; a byte that is not UTF-8 becomes �. Always valid JSON, never a line end.
 */
void escape_json(struct buf *out, struct str s);

/*
 * The same for the text of an HTML page and its quoted attributes: & < > " ' become references, and what is unsafe or no
 * UTF-8 becomes U+FFFD.
 */
void escape_html(struct buf *out, struct str s);

/* The same for plain text on a terminal: unsafe bytes become \xXX. */
void escape_text(struct buf *out, struct str s);
