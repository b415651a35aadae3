#include "http/h2_past_priv.h"

#include "base/compiler.h"

void h2_past_opened(struct h2_past *p, int32_t id)
{
        int32_t next = p->last_id ? p->last_id + 2 : 1;

        if (id > next) {
                p->skipped[p->skipped_count % H2_SKIPPED_MAX].first = next;
                p->skipped[p->skipped_count++ % H2_SKIPPED_MAX].last = id - 2;
        }
        p->last_id = id;
}

void h2_past_reset(struct h2_past *p, int32_t id)
{
        p->reset_ids[p->resets_count++ % H2_RESETS_KEPT] = id;
}

bool h2_past_was_skipped(const struct h2_past *p, int32_t id)
{
        for (unsigned i = 0; i < MIN(p->skipped_count, (unsigned)H2_SKIPPED_MAX); i++)
                if (id >= p->skipped[i].first && id <= p->skipped[i].last)
                        return true;
        return false;
}

bool h2_past_was_reset(const struct h2_past *p, int32_t id)
{
        for (unsigned i = 0; i < MIN(p->resets_count, (unsigned)H2_RESETS_KEPT); i++)
                if (p->reset_ids[i] == id)
                        return true;
        return false;
}
