/*
 * crypto/text.h - hexadecimal and base64 text, strict both ways. Source: RFC 4648.
 *
 * Decoding takes exactly one spelling of each byte string, apart from the case of hex digits: no white space, no
 * missing or surplus padding, unused bits zero. Keys pass through here, so no table is indexed by, and no branch
 * depends on, a byte's value until the whole text has been read.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

/* Room for the text with its NUL. */
#define CRYPTO_HEX_SIZE(bytes)    (2 * (size_t)(bytes) + 1)
#define CRYPTO_BASE64_SIZE(bytes) (((size_t)(bytes) + 2) / 3 * 4 + 1) /* enough for base64url too */

/* Write lower-case text and a NUL into `out` (room as above); return it as a slice. */
struct str crypto_hex_format(struct str bytes, char *out);
struct str crypto_base64_format(struct str bytes, char *out);    /* '+', '/', padded */
struct str crypto_base64url_format(struct str bytes, char *out); /* '-', '_', not padded */

/* `out_len` bytes, no more and no fewer. ERR_MALFORMED: out is untouched or wiped. */
MUST_USE
enum err crypto_hex_parse(struct str text, uint8_t *out, size_t out_len);

/* Up to `out_max` bytes; *out_len is written only if OK. ERR_MALFORMED; ERR_TOO_LARGE. */
MUST_USE
enum err crypto_base64_parse(struct str text, uint8_t *out, size_t out_max, size_t *out_len);
MUST_USE
enum err crypto_base64url_parse(struct str text, uint8_t *out, size_t out_max, size_t *out_len);
