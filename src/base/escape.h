/*
 * base/escape.h - hostile text made safe to stand inside a JSON string or a terminal line.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/*
 * Appends `s` as the inside of a JSON string, without quotes. Control bytes, DEL, C1 controls, U+2028/2029 and
 * bidirectional overrides become \uXXXX; a byte that is not UTF-8 becomes �. Always valid JSON, never a line end.
 */
void escape_json(struct buf *out, struct str s);

/* The same for plain text on a terminal: unsafe bytes become \xXX. */
void escape_text(struct buf *out, struct str s);
