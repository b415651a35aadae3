/*
 * control/id.h - ids as others see them: a prefix and 16 characters, made from a row's number by a keyed permutation.
 *
 * The same row always has the same id in one store, and another in another; a made-up id is none with all but 2^-40. Nothing
 * hangs on their being secret. Source: Luby and Rackoff, 1988 (four rounds), with SipHash as the round function.
 */
#pragma once

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "wire/name.h"

#define ID_GATEWAY     "gw"
#define ID_AGENT       "ag"
#define ID_SERVICE     "sv"
#define ID_TARGET      "tg"
#define ID_SHARE       "sh"
#define ID_DOMAIN      "dm"
#define ID_CERTIFICATE "ce"
#define ID_TOKEN       "jt"
#define ID_KEY         "ak"
#define ID_CONTROL     "ct"

/* `row` is 1 to 2^40 - 1. With a NUL. */
struct str id_format(struct hash_key key, const char *prefix, int64_t row, char out[WIRE_ID_SIZE]);

/* ERR_NOT_FOUND: no id of that kind and store. */
MUST_USE enum err id_parse(struct hash_key key, const char *prefix, struct str text, int64_t *row);
