/*
 * wire/fields_priv.h - members of a small JSON object, taken with their bounds. For this room only.
 *
 * All give false, and leave *out as it was, when the member is missing or not what it should be.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "json/reader.h"
#include "json/writer.h"

/* The text as a tree of at most `values_max` values; duplicate keys are refused. */
MUST_USE enum err wire_small_read(struct arena *arena, struct str text, size_t bytes_max, size_t values_max,
                                  const struct json_value **root);

/* At most `max` bytes, no NUL. */
MUST_USE bool wire_get_text(const struct json_value *object, struct str key, size_t max, struct str *out);
/* The same, and empty when it is missing or null. */
MUST_USE bool wire_get_text_maybe(const struct json_value *object, struct str key, size_t max,
                                  struct str *out);
MUST_USE bool wire_get_uint(const struct json_value *object, struct str key, uint64_t max, uint64_t *out);
/* base64; *len bytes, at most `max`. */
MUST_USE bool wire_get_bytes(const struct json_value *object, struct str key, uint8_t *out, size_t max,
                             size_t *len);
/* base64 of exactly 32 bytes. */
MUST_USE bool wire_get_key(const struct json_value *object, struct str key, uint8_t out[32]);
/* hexadecimal of 32 bytes. */
MUST_USE bool wire_get_hash(const struct json_value *object, struct str key, uint8_t out[32]);

void wire_put_bytes(struct json_writer *w, struct str key, const uint8_t *bytes,
                    size_t len); /* at most 512 */
void wire_put_hash(struct json_writer *w, struct str key, const uint8_t hash[32]);
