/*
 * json/patch.h - a JSON or huJSON text changed at a few places, and nowhere else.
 *
 * Does:   set, add, replace or remove a value at a JSON pointer (RFC 6901); a whole patch (RFC 6902), all or nothing.
 *         Every comment and space elsewhere stays. What is new takes the indentation, the commas and the line
 *         ends of what stands beside it. json/format.h lays a text out afterwards, if that is wanted.
 * Not:    the meaning of a text: who changes a policy checks it afterwards.
 * Thread: none; plain functions.
 *
 * With a member or element that is removed go the comments that are its own: those after it on its line, and those on
 * the lines right above it, without an empty line between. A value that is replaced keeps them.
 *
 * Each function reads `text` by `options` (NULL: strict JSON; JSON_HUJSON lets comments in, in values and patches too),
 * with their limits also for the result, and appends the new text to `out`, which stays as it was on an error; `report`
 * (may be NULL) then says why.
 * ERR_MALFORMED: text, pointer, value or patch is not well-formed; ERR_NOT_FOUND: nothing stands at the pointer, or
 * what stands above it is no array or object, or the index is beyond the end; ERR_DENIED: a "test" of the patch failed;
 * ERR_TOO_LARGE: over a limit of the options or JSON_PATCH_OPERATIONS_MAX; ERR_NO_MEMORY: or `out` is full.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "json/reader.h"

enum { JSON_PATCH_OPERATIONS_MAX = 256 }; /* each costs a reading of the whole text */

/*
 * Puts `value`, a JSON text, at the pointer, whether something stood there or not. Objects missing on the way are made.
 * In an array the last part may be "-" or the number of elements: one more.
 */
MUST_USE enum err json_patch_set(struct str text, const struct json_options *options, struct str pointer,
                                 struct str value, struct buf *out, struct report *report);

/* RFC 6902 4.1: a new or replaced member; in an array an element before the one at that index, or at the end ("-"). */
MUST_USE enum err json_patch_add(struct str text, const struct json_options *options, struct str pointer,
                                 struct str value, struct buf *out, struct report *report);

MUST_USE enum err json_patch_replace(struct str text, const struct json_options *options, struct str pointer,
                                     struct str value, struct buf *out, struct report *report);

/* The whole text (pointer "") cannot be removed: ERR_NOT_FOUND. */
MUST_USE enum err json_patch_remove(struct str text, const struct json_options *options, struct str pointer,
                                    struct buf *out, struct report *report);

/*
 * A JSON patch: [{"op": "add", "path": "/a", "value": 1}, ...] with add, remove, replace, move, copy and test. Members
 * of an operation that RFC 6902 does not name are ignored, as it asks. A member moved within its object is renamed in
 * its place.
 */
MUST_USE enum err json_patch_apply(struct str text, const struct json_options *options, struct str patch,
                                   struct buf *out, struct report *report);
