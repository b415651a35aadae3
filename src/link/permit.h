/*
 * link/permit.h - who may talk to whom through a relay, from a text: a line is a group of keys (base64, as `wg` has them),
 * each of which may talk to every other of its line. '#' begins a comment.
 *
 * Immutable once parsed. A relay knows nobody who stands in no line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "link/derp.h"

enum { LINK_PERMIT_BYTES_MAX = 64 << 20, LINK_PERMIT_PAIRINGS_MAX = 1000000 /* keys, counted once a line */ };

struct link_permit;

/* ERR_CONFIG: the report says what; ERR_NO_MEMORY. */
MUST_USE enum err link_permit_parse(struct str text, struct report *r, struct link_permit **out);
void link_permit_free(struct link_permit *p); /* free(NULL) is fine */

bool link_permit_knows(const struct link_permit *p, const uint8_t key[LINK_KEY_BYTES]);
/* Both ways; a key never talks to itself. */
bool link_permit_allows(const struct link_permit *p, const uint8_t a[LINK_KEY_BYTES],
                        const uint8_t b[LINK_KEY_BYTES]);
size_t link_permit_lines_count(const struct link_permit *p); /* of groups */
