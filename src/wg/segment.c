#include "wg/segment.h"

#include <string.h>

#include "wg/checksum.h"

enum {
        TCP_HEADER = 20,
        TCP_SEQUENCE = 4,
        TCP_OFFSET = 12,
        TCP_FLAGS = 13,
        TCP_CHECKSUM = 16,
        TCP_FIN = 0x01,
        TCP_PSH = 0x08,
        TCP_CWR = 0x80,
        UDP_HEADER = 8,
        UDP_LENGTH = 4,
        UDP_CHECKSUM = 6,
        PROTOCOL_TCP = 6,
        PROTOCOL_UDP = 17,
};

static void put_be16(uint8_t *p, size_t value)
{
        p[0] = (uint8_t)(value >> 8);
        p[1] = (uint8_t)value;
}

static void put_be32(uint8_t *p, uint32_t value)
{
        put_be16(p, value >> 16);
        put_be16(p + 2, value & 0xffff);
}

static uint32_t get_be32(const uint8_t *p)
{
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_tcp(const struct wg_frame *f)
{
        return f->offload == WG_OFFLOAD_TCP4 || f->offload == WG_OFFLOAD_TCP6;
}

static bool is_v4(const struct wg_frame *f)
{
        return f->offload == WG_OFFLOAD_TCP4 || f->offload == WG_OFFLOAD_UDP4;
}

static enum err init_single(struct wg_segmenter *s, const struct wg_frame *f)
{
        size_t field = (size_t)f->checksum_start + f->checksum_offset;

        if (f->needs_checksum && (f->len < 2 || field > f->len - 2))
                return ERR_MALFORMED;
        s->segments_count = 1;
        s->segment_len_max = f->len;
        return ERR_OK;
}

/* The header sums as it will be in each part, with the changing fields left out. */
static void sum_common(struct wg_segmenter *s)
{
        const uint8_t *l4 = s->frame->bytes + s->l4_at, *ip = s->frame->bytes;
        uint64_t sum = is_v4(s->frame) ? wg_checksum_add(0, ip + 12, 8) : wg_checksum_add(0, ip + 8, 32);

        sum += wg_checksum_be16(is_tcp(s->frame) ? PROTOCOL_TCP : PROTOCOL_UDP);
        if (is_tcp(s->frame)) {
                sum = wg_checksum_add(sum, l4, TCP_SEQUENCE); /* ports */
                sum = wg_checksum_add(sum, l4 + 8, 4);        /* acknowledgement */
                sum = wg_checksum_add(sum, l4 + 14, 2);       /* window */
                sum = wg_checksum_add(sum, l4 + 18, s->header_len - s->l4_at - 18);
        } else {
                sum = wg_checksum_add(sum, l4, UDP_LENGTH);
        }
        s->sum = sum;
}

enum err wg_segmenter_init(struct wg_segmenter *s, const struct wg_frame *f)
{
        size_t ip_header = is_v4(f) ? 20 : 40, l4_header = is_tcp(f) ? TCP_HEADER : UDP_HEADER;

        *s = (struct wg_segmenter){ .frame = f, .l4_at = f->checksum_start };
        if (f->offload == WG_OFFLOAD_NONE)
                return init_single(s, f);
        if (s->l4_at < ip_header || f->len < s->l4_at || f->len - s->l4_at < l4_header ||
            f->segment_bytes == 0 || f->bytes[0] >> 4 != (is_v4(f) ? 4 : 6) ||
            (is_v4(f) && s->l4_at != 4 * (size_t)(f->bytes[0] & 15)))
                return ERR_MALFORMED;
        if (is_tcp(f)) {
                l4_header = 4 * (size_t)(f->bytes[s->l4_at + TCP_OFFSET] >> 4);
                if (l4_header < TCP_HEADER || f->len - s->l4_at < l4_header)
                        return ERR_MALFORMED;
                s->sequence = get_be32(f->bytes + s->l4_at + TCP_SEQUENCE);
        }
        s->header_len = s->payload_at = s->l4_at + l4_header;
        size_t payload = f->len - s->header_len;
        if (payload == 0)
                return ERR_MALFORMED;
        s->id = (uint16_t)(f->bytes[4] << 8 | f->bytes[5]);
        s->segments_count = (payload + f->segment_bytes - 1) / f->segment_bytes;
        s->segment_len_max = s->header_len + MIN((size_t)f->segment_bytes, payload);
        sum_common(s);
        return ERR_OK;
}

static size_t next_single(const struct wg_segmenter *s, uint8_t *out)
{
        const struct wg_frame *f = s->frame;

        if (!f->needs_checksum) {
                memcpy(out, f->bytes, f->len);
                return f->len;
        }
        /* The field holds the pseudo header's sum, so summing over it as it is adds just that. */
        memcpy(out, f->bytes, f->checksum_start);
        uint64_t sum = wg_checksum_copy(0, out + f->checksum_start, f->bytes + f->checksum_start,
                                        f->len - f->checksum_start);
        uint16_t checksum = (uint16_t)~wg_checksum_fold(sum);
        /* 0 would mean "none" to UDP, and ffff is the same number to all. */
        wg_checksum_put(out + f->checksum_start + f->checksum_offset, checksum ? checksum : 0xffff);
        return f->len;
}

static void finish_ip(const struct wg_segmenter *s, uint8_t *out, size_t len)
{
        if (!is_v4(s->frame)) {
                put_be16(out + 4, len - 40);
                return;
        }
        put_be16(out + 2, len);
        put_be16(out + 4, s->id + s->at);
        put_be16(out + 10, 0);
        wg_checksum_put(out + 10, (uint16_t)~wg_checksum_fold(wg_checksum_add(0, out, s->l4_at)));
}

static void finish_tcp(const struct wg_segmenter *s, uint8_t *l4, uint64_t sum, bool is_last)
{
        uint32_t sequence = s->sequence + (uint32_t)(s->payload_at - s->header_len);
        uint8_t flags = l4[TCP_FLAGS];

        if (!is_last)
                flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
        if (s->at > 0)
                flags &= (uint8_t)~TCP_CWR;
        l4[TCP_FLAGS] = flags;
        put_be32(l4 + TCP_SEQUENCE, sequence);
        sum += wg_checksum_be32(sequence);
        sum = wg_checksum_add(sum, l4 + TCP_OFFSET, 2);
        wg_checksum_put(l4 + TCP_CHECKSUM, (uint16_t)~wg_checksum_fold(sum));
}

static void finish_udp(uint8_t *l4, uint64_t sum, size_t l4_len)
{
        put_be16(l4 + UDP_LENGTH, l4_len);
        uint16_t checksum = (uint16_t)~wg_checksum_fold(sum + wg_checksum_be16((uint16_t)l4_len));
        wg_checksum_put(l4 + UDP_CHECKSUM, checksum ? checksum : 0xffff);
}

size_t wg_segmenter_next_len(const struct wg_segmenter *s)
{
        const struct wg_frame *f = s->frame;

        if (s->segments_count == 0)
                return 0;
        if (f->offload == WG_OFFLOAD_NONE)
                return f->len;
        return s->header_len + MIN((size_t)f->segment_bytes, f->len - s->payload_at);
}

size_t wg_segmenter_next(struct wg_segmenter *s, uint8_t *out)
{
        const struct wg_frame *f = s->frame;

        if (s->segments_count == 0)
                return 0;
        s->segments_count--;
        if (f->offload == WG_OFFLOAD_NONE)
                return next_single(s, out);
        size_t left = f->len - s->payload_at, payload = MIN((size_t)f->segment_bytes, left);

        size_t len = s->header_len + payload, l4_len = len - s->l4_at;
        memcpy(out, f->bytes, s->header_len);
        uint64_t sum = wg_checksum_copy(s->sum, out + s->header_len, f->bytes + s->payload_at, payload);
        sum += wg_checksum_be16((uint16_t)l4_len); /* of the pseudo header */
        finish_ip(s, out, len);
        if (is_tcp(f))
                finish_tcp(s, out + s->l4_at, sum, payload == left);
        else
                finish_udp(out + s->l4_at, sum, l4_len);
        s->payload_at += payload;
        s->at++;
        return len;
}
