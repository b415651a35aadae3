/*
 * json/pointer.h - JSON pointers: "/acls/0/src". Source: RFC 6901.
 *
 * A pointer is walked part by part; the parts stay encoded (~0 is ~, ~1 is /) and are compared, not decoded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "json/value.h"

/* True when the text is a pointer: empty, or parts that each begin with '/', with no '~' but in ~0 and ~1. */
bool json_pointer_is_valid(struct str pointer);

/* Takes the first part off the front of a valid pointer. False when it is used up. */
bool json_pointer_split(struct str *pointer, struct str *part);

/* A valid pointer without its last part, and that part: of "/a/b" "/a" and "b". The pointer is not empty. */
struct str json_pointer_parent(struct str pointer, struct str *last);

/* Whether the part names that (decoded) key. */
bool json_pointer_part_is(struct str part, struct str key);

/* Appends the key the part names. */
void json_pointer_decode(struct buf *out, struct str part);

/* Appends "/" and the part that names `key`. */
void json_pointer_encode(struct buf *out, struct str key);

/* Digits without a leading zero. ERR_MALFORMED; ERR_TOO_LARGE: more than SIZE_MAX. "-" is for the caller to know. */
MUST_USE enum err json_pointer_index(struct str part, size_t *out);

/*
 * The value at a pointer ("" is `root`), or NULL: no such value, or no valid pointer.
 */
const struct json_value *json_pointer_find(const struct json_value *root, struct str pointer);

/* One part down: the member or item the part names, or NULL. */
const struct json_value *json_pointer_step(const struct json_value *v, struct str part);
