/*
 * http/h2_past_priv.h - which streams a connection had: the library forgets closed ones, and what a frame on such a stream
 * means depends on how it ended (RFC 9113 5.1, 5.1.1). Bounded: of long ago only the highest number is known.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { H2_SKIPPED_MAX = 8, H2_RESETS_KEPT = 256 };

struct h2_past {
        int32_t last_id; /* the highest that was opened */
        struct {
                int32_t first, last;
        } skipped[H2_SKIPPED_MAX];         /* ids passed over, the latest runs of them */
        int32_t reset_ids[H2_RESETS_KEPT]; /* we reset these: frames may still be on their way */
        unsigned skipped_count, resets_count;
};

void h2_past_opened(struct h2_past *p, int32_t id);
void h2_past_reset(struct h2_past *p, int32_t id); /* by us */
bool h2_past_was_skipped(const struct h2_past *p, int32_t id);
bool h2_past_was_reset(const struct h2_past *p, int32_t id);
