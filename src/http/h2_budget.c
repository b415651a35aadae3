#include "http/h2_budget.h"

#include <limits.h>
#include <string.h>

enum { MAGIC_BYTES = 24, FRAME_HEADER_BYTES = 9, END_STREAM = 1, END_HEADERS = 4, ACK = 1 };
enum {
        DATA,
        HEADERS,
        PRIORITY,
        RST_STREAM,
        SETTINGS,
        PUSH_PROMISE,
        PING,
        GOAWAY,
        WINDOW_UPDATE,
        CONTINUATION
};

static const struct {
        const char *reason;
        int32_t burst, per_second;
} buckets[H2_BUCKETS] = {
#define X(name, reason, burst, per_second) [H2_BUCKET_##name] = { reason, burst, per_second },
        H2_BUCKET_LIST(X)
#undef X
};

void h2_budget_init(struct h2_budget *b, mono_ms now)
{
        *b = (struct h2_budget){ .magic_left = MAGIC_BYTES, .filled_at = now };
        for (int i = 0; i < H2_BUCKETS; i++)
                b->tokens[i] = buckets[i].burst;
}

/* Whole seconds only, so that drops of time do not round away. */
static void refill(struct h2_budget *b, mono_ms now)
{
        int64_t seconds = (now - b->filled_at) / 1000;

        if (seconds <= 0)
                return;
        b->filled_at += seconds * 1000;
        for (int i = 0; i < H2_BUCKETS; i++) {
                int64_t filled = b->tokens[i] + MIN(seconds, (int64_t)3600) * buckets[i].per_second;

                b->tokens[i] = (int32_t)MIN(filled, (int64_t)MAX(buckets[i].burst, b->tokens[i]));
        }
}

/* Half of a bucket gone is a doubt of its own. */
static const char *spend(struct h2_budget *b, enum h2_bucket kind)
{
        b->is_wasteful |= b->tokens[kind] <= buckets[kind].burst / 2;
        return b->tokens[kind]-- > 0 ? NULL : buckets[kind].reason;
}

/* A part of a compressed list: HEADERS begins one, CONTINUATION goes on. */
static const char *block_part(struct h2_budget *b, uint32_t len, bool begins)
{
        if (begins)
                b->block_bytes = b->continuations = 0;
        else if (++b->continuations > H2_CONTINUATIONS_MAX)
                return "h2_continuation";
        b->block_bytes += len;
        return b->block_bytes > H2_BLOCK_BYTES_MAX ? "h2_header_block" : NULL;
}

static uint32_t word(const uint8_t *p)
{
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* RFC 7540 5.3.1, which RFC 9113 left in place for those who still send it. */
static const char *dependency_look(struct h2_budget *b, struct str payload)
{
        for (size_t i = 0; i < payload.len && b->dependency_len < sizeof(b->dependency); i++)
                b->dependency[b->dependency_len++] = (uint8_t)payload.ptr[i];
        if (b->dependency_len < sizeof(b->dependency))
                return NULL;
        b->has_dependency = false;
        b->is_violation = (word(b->dependency) & 0x7fffffff) == b->stream;
        return b->is_violation ? "h2_self_dependency" : NULL;
}

static const char *frame_begin(struct h2_budget *b)
{
        const uint8_t *h = b->header;
        uint32_t len = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2];
        uint8_t flags = h[4];
        const char *reason;

        b->header_len = 0;
        b->payload_left = len;
        b->stream = word(h + 5) & 0x7fffffff;
        b->has_dependency = h[3] == PRIORITY;
        b->dependency_len = 0;
        switch (h[3]) {
        case DATA: return len == 0 && !(flags & END_STREAM) ? spend(b, H2_BUCKET_EMPTY_DATA) : NULL;
        case HEADERS:
                if (len == 0 && (reason = spend(b, H2_BUCKET_EMPTY_HEADERS)))
                        return reason;
                return block_part(b, len, true);
        case CONTINUATION: return block_part(b, len, false);
        case PRIORITY: return spend(b, H2_BUCKET_PRIORITY);
        case RST_STREAM: return spend(b, H2_BUCKET_RST_STREAM);
        case SETTINGS: return flags & ACK ? NULL : spend(b, H2_BUCKET_SETTINGS);
        case PING: return spend(b, H2_BUCKET_PING);
        case WINDOW_UPDATE: return spend(b, H2_BUCKET_WINDOW_UPDATE);
        case PUSH_PROMISE:
        case GOAWAY: return NULL; /* the session ends over these */
        default: return spend(b, H2_BUCKET_UNKNOWN);
        }
}

size_t h2_budget_receive(struct h2_budget *b, struct str in, mono_ms now, const char **reason_out)
{
        size_t n = MIN(in.len, (size_t)b->magic_left), at;
        bool is_doubtful = h2_budget_is_doubtful(b, now);
        int lists = 0, lists_max = is_doubtful ? 1 : H2_BITE_LISTS;
        int frames = 0, frames_max = is_doubtful ? H2_BITE_FRAMES : INT_MAX;

        refill(b, now);
        *reason_out = NULL;
        b->data_header = 0;
        b->magic_left = (uint8_t)(b->magic_left - n);
        for (at = n; at < in.len && !*reason_out && !b->data_header; at += n) {
                if ((lists == lists_max || frames == frames_max || b->is_wasteful) && !b->payload_left &&
                    !b->header_len)
                        break;
                struct str rest = str_from(in, at);

                if (b->payload_left) {
                        n = MIN(rest.len, (size_t)b->payload_left);
                        b->payload_left -= (uint32_t)n;
                        if (b->has_dependency)
                                *reason_out = dependency_look(b, str_sub(rest, 0, n));
                        continue;
                }
                n = MIN(rest.len, (size_t)(FRAME_HEADER_BYTES - b->header_len));
                memcpy(b->header + b->header_len, rest.ptr, n);
                b->header_len = (uint8_t)(b->header_len + n);
                if (b->header_len < FRAME_HEADER_BYTES)
                        continue;
                *reason_out = frame_begin(b);
                if (b->header[3] == DATA)
                        b->data_header = (uint8_t)n;
                lists += b->header[3] == HEADERS;
                frames++;
        }
        if (b->is_wasteful) {
                b->is_wasteful = false;
                b->doubts = H2_DOUBTS;
                b->doubted_at = now;
        }
        return at;
}

/* Two windows' worth of streams are remembered, so that a long honest life does not pay for a flood at its end. */
void h2_budget_opened(struct h2_budget *b)
{
        if (++b->streams < 2 * H2_RESET_STREAMS)
                return;
        b->streams /= 2;
        b->resets /= 2;
}

const char *h2_budget_reset(struct h2_budget *b, mono_ms age_ms)
{
        if (age_ms > H2_RESET_AGE_MS)
                return NULL;
        b->resets++;
        return b->streams >= H2_RESET_STREAMS && b->resets > b->streams / 2 ? "h2_resets" : NULL;
}

enum { DOUBT_MS = 1000 };

void h2_budget_doubt(struct h2_budget *b, mono_ms now)
{
        if (now - b->doubted_at >= DOUBT_MS)
                b->doubts = 0;
        if (b->doubts == 0 || b->doubts + 1 >= H2_DOUBTS) /* the first, or one that keeps it doubtful */
                b->doubted_at = now;
        b->doubts = (uint16_t)MIN(b->doubts + 1, (int)H2_DOUBTS);
}

bool h2_budget_is_doubtful(const struct h2_budget *b, mono_ms now)
{
        return b->doubts == H2_DOUBTS && now - b->doubted_at < DOUBT_MS;
}

void h2_budget_data_sent(struct h2_budget *b)
{
        b->tokens[H2_BUCKET_WINDOW_UPDATE] =
                MIN(b->tokens[H2_BUCKET_WINDOW_UPDATE] + 2, buckets[H2_BUCKET_WINDOW_UPDATE].burst * 100);
}
