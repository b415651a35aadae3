/*
 * json/format.h - huJSON texts laid out, and made into plain JSON.
 *
 * Does:   json_format: the one layout a text has, every comment kept; json_minimize: no comment, no space;
 *         json_standardize: plain JSON where every value stays at its offset, line and column.
 *         What they give means the same as what they took.
 * Not:    edits (json/patch.h). Duplicate keys are not looked for; the reader does.
 * Thread: none; plain functions.
 *
 * Layout, close to what `hujsonfmt` makes, so that policy files do not change hands and shape:
 * - An array or object whose text had a line end between its parts, or that is wider than 80 columns on one line (each
 *   part counted with the comma and space after it), stands with one part a line; any other on one line.
 * - One line end or one empty line between parts stay; more than one empty line becomes one.
 * - Values of neighbouring members line up, until an empty line, a comment line or a value of several lines.
 * - A text that uses comments or trailing commas gets a comma after the last part of what stands on several lines;
 *   strict JSON stays strict JSON.
 * - A comment stays on the line of what stands before it, or on its own; the text ends with one line end.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"

enum { JSON_FORMAT_BYTES_MAX = 16 * 1024 * 1024 };

/*
 * All three append to `out`, which stays as it was on an error. `report` may be NULL. ERR_MALFORMED: not huJSON;
 * ERR_TOO_LARGE: longer than JSON_FORMAT_BYTES_MAX or nested deeper than JSON_DEPTH_MAX; ERR_NO_MEMORY: or `out` is full.
 */

/* `indent`: JSON_INDENT_TAB (json/writer.h) or spaces a level. Idempotent. */
MUST_USE enum err json_format(struct str text, unsigned indent, struct buf *out, struct report *report);
MUST_USE enum err json_minimize(struct str text, struct buf *out, struct report *report);
MUST_USE enum err json_standardize(struct str text, struct buf *out, struct report *report);
