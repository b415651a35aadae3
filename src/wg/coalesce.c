#include "wg/coalesce.h"

#include <string.h>

#include "wg/checksum.h"

enum {
        NO_PACKET = 0xffff,
        PACKET_LEN_MAX = 65535,
        TCP_ACK = 0x10,
        TCP_PSH = 0x08,
        PROTOCOL_TCP = 6,
        PROTOCOL_UDP = 17,
};

/* A packet that may be part of a run. */
struct part {
        uint8_t *bytes;
        size_t len, l4_at, header_len;
        bool is_v4, is_tcp;
        uint32_t sequence;
};

/* A run that may still grow. */
struct open_run {
        struct part first;
        uint16_t head, last;
        unsigned count;
        size_t len;           /* of the whole packet */
        size_t segment_bytes; /* payload of each part but the last */
        uint32_t next_sequence;
        bool is_ended;   /* by a shorter part or a push */
        bool is_checked; /* the first part's checksum was looked at (and is right) */
};

static uint16_t get_be16(const uint8_t *p)
{
        return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get_be32(const uint8_t *p)
{
        return (uint32_t)get_be16(p) << 16 | get_be16(p + 2);
}

static void put_be16(uint8_t *p, size_t value)
{
        p[0] = (uint8_t)(value >> 8);
        p[1] = (uint8_t)value;
}

static bool parse_l4(struct part *p, unsigned protocol)
{
        const uint8_t *l4 = p->bytes + p->l4_at;
        size_t left = p->len - p->l4_at;

        p->is_tcp = protocol == PROTOCOL_TCP;
        p->sequence = 0;
        if (protocol == PROTOCOL_UDP) {
                p->header_len = p->l4_at + 8;
                /* No checksum is legal over IPv4, but could not be restored after joining. */
                return left > 8 && get_be16(l4 + 4) == left && get_be16(l4 + 6) != 0;
        }
        if (!p->is_tcp || left < 20)
                return false;
        p->header_len = p->l4_at + 4 * (size_t)(l4[12] >> 4);
        p->sequence = get_be32(l4 + 4);
        /* Plain data only: ACK, or ACK and PSH; no urgent pointer in use, no reserved bits. */
        return p->header_len >= p->l4_at + 20 && p->header_len < p->len && (l4[12] & 15) == 0 &&
               (l4[13] & ~TCP_PSH) == TCP_ACK;
}

static bool parse(struct part *p, const struct wg_packet *packet)
{
        uint8_t *b = packet->bytes;

        p->bytes = b;
        p->len = packet->len;
        if (p->len >= 28 && b[0] == 0x45) {
                p->is_v4 = true;
                p->l4_at = 20;
                /* No fragments; and only what says "do not fragment", whose identification means nothing. */
                return get_be16(b + 2) == p->len && get_be16(b + 6) == 0x4000 && parse_l4(p, b[9]);
        }
        if (p->len >= 48 && b[0] >> 4 == 6) {
                p->is_v4 = false;
                p->l4_at = 40;
                return (size_t)get_be16(b + 4) + 40 == p->len && parse_l4(p, b[6]);
        }
        return false;
}

static uint64_t pseudo_sum(const struct part *p, size_t l4_len)
{
        uint64_t sum = p->is_v4 ? wg_checksum_add(0, p->bytes + 12, 8) : wg_checksum_add(0, p->bytes + 8, 32);

        return sum + wg_checksum_be16(p->is_tcp ? PROTOCOL_TCP : PROTOCOL_UDP) +
               wg_checksum_be32((uint32_t)l4_len);
}

static bool checksum_holds(const struct part *p)
{
        size_t l4_len = p->len - p->l4_at;
        uint64_t sum = wg_checksum_add(pseudo_sum(p, l4_len), p->bytes + p->l4_at, l4_len);

        if (p->is_v4 && wg_checksum_fold(wg_checksum_add(0, p->bytes, p->l4_at)) != 0xffff)
                return false;
        return wg_checksum_fold(sum) == 0xffff;
}

static bool same_flow(const struct part *a, const struct part *b)
{
        size_t addresses_at = a->is_v4 ? 12 : 8;

        return a->is_v4 == b->is_v4 && a->is_tcp == b->is_tcp && a->l4_at == b->l4_at &&
               memcmp(a->bytes + addresses_at, b->bytes + addresses_at, a->l4_at - addresses_at + 4) == 0;
}

/* All that a joined packet says only once: class, hop limit; acknowledgement, window and options. */
static bool same_header(const struct part *a, const struct part *b)
{
        const uint8_t *ip_a = a->bytes, *ip_b = b->bytes, *l4_a = ip_a + a->l4_at, *l4_b = ip_b + b->l4_at;

        if (a->header_len != b->header_len)
                return false;
        if (a->is_v4 ? (ip_a[1] != ip_b[1] || ip_a[8] != ip_b[8])
                     : (memcmp(ip_a, ip_b, 4) != 0 || ip_a[7] != ip_b[7]))
                return false;
        if (!a->is_tcp)
                return true;
        return memcmp(l4_a + 8, l4_b + 8, 4) == 0 && memcmp(l4_a + 14, l4_b + 14, 2) == 0 &&
               memcmp(l4_a + 18, l4_b + 18, a->header_len - a->l4_at - 18) == 0;
}

static void run_start(struct open_run *r, const struct part *p, uint16_t at)
{
        size_t payload = p->len - p->header_len;

        *r = (struct open_run){ .first = *p,
                                .head = at,
                                .last = at,
                                .count = 1,
                                .len = p->len,
                                .segment_bytes = payload,
                                .next_sequence = p->sequence + (uint32_t)payload };
        r->is_ended = p->is_tcp && (p->bytes[p->l4_at + 13] & TCP_PSH);
}

/* Joins `p` to the run if it continues it in every respect. */
static bool run_join(struct wg_coalescer *c, struct open_run *r, const struct part *p, uint16_t at)
{
        size_t payload = p->len - p->header_len;

        if (r->is_ended || r->count == WG_RUN_PACKETS_MAX || payload > r->segment_bytes ||
            r->len + payload > PACKET_LEN_MAX || (p->is_tcp && p->sequence != r->next_sequence) ||
            !same_header(&r->first, p))
                return false;
        if (!r->is_checked && !checksum_holds(&r->first)) {
                r->is_ended = true;
                return false;
        }
        r->is_checked = true;
        if (!checksum_holds(p))
                return false;
        c->next[r->last] = at;
        r->last = at;
        r->count++;
        r->len += payload;
        r->next_sequence += (uint32_t)payload;
        bool is_pushed = p->is_tcp && (p->bytes[p->l4_at + 13] & TCP_PSH);
        if (is_pushed)
                r->first.bytes[p->l4_at + 13] |= TCP_PSH;
        r->is_ended = is_pushed || payload < r->segment_bytes;
        return true;
}

static void plan(struct wg_coalescer *c, struct wg_coalescer_limits limits, struct open_run *open,
                 unsigned *open_count, uint16_t at)
{
        struct part p;
        bool is_part = parse(&p, &c->inbox->packets[at]) && (p.is_tcp ? limits.joins_tcp : limits.joins_udp);

        c->next[at] = NO_PACKET;
        for (unsigned i = 0; is_part && i < *open_count; i++) {
                if (!same_flow(&open[i].first, &p))
                        continue;
                if (!run_join(c, &open[i], &p, at)) {
                        /* Later packets of the flow may join this one, never the older run: order. */
                        c->heads[c->heads_count++] = at;
                        run_start(&open[i], &p, at);
                }
                return;
        }
        c->heads[c->heads_count++] = at;
        if (is_part && *open_count < WG_OPEN_RUNS_MAX)
                run_start(&open[(*open_count)++], &p, at);
}

void wg_coalescer_init(struct wg_coalescer *c, struct wg_inbox *inbox, struct wg_coalescer_limits limits)
{
        struct open_run open[WG_OPEN_RUNS_MAX] UNINITIALIZED;
        unsigned open_count = 0;

        c->inbox = inbox;
        c->heads_count = c->at = 0;
        for (unsigned i = 0; i < inbox->packets_count; i++)
                plan(c, limits, open, &open_count, (uint16_t)i);
}

static void finish_header(const struct part *p, struct wg_run *run)
{
        uint8_t *l4 = p->bytes + p->l4_at;
        size_t l4_len = run->len - p->l4_at;

        if (p->is_v4) {
                put_be16(p->bytes + 2, run->len);
                put_be16(p->bytes + 10, 0);
                wg_checksum_put(p->bytes + 10,
                                (uint16_t)~wg_checksum_fold(wg_checksum_add(0, p->bytes, p->l4_at)));
        } else {
                put_be16(p->bytes + 4, run->len - 40);
        }
        if (!p->is_tcp)
                put_be16(l4 + 4, l4_len);
        run->checksum_start = (uint16_t)p->l4_at;
        run->checksum_offset = p->is_tcp ? 16 : 6;
        run->header_bytes = (uint16_t)p->header_len;
        wg_checksum_put(l4 + run->checksum_offset, wg_checksum_fold(pseudo_sum(p, l4_len)));
        run->offload = p->is_tcp ? (p->is_v4 ? WG_OFFLOAD_TCP4 : WG_OFFLOAD_TCP6)
                                 : (p->is_v4 ? WG_OFFLOAD_UDP4 : WG_OFFLOAD_UDP6);
}

bool wg_coalescer_next(struct wg_coalescer *c, struct wg_run *run)
{
        struct part first = { 0 };

        if (c->at == c->heads_count)
                return false;
        uint16_t at = c->heads[c->at++];
        struct wg_packet *packet = &c->inbox->packets[at];
        run->offload = WG_OFFLOAD_NONE;
        run->slices_count = 1;
        run->slices[0].bytes = packet->bytes;
        run->slices[0].len = run->len = packet->len;
        if (c->next[at] == NO_PACKET)
                return true;

        (void)parse(&first, packet);
        run->segment_bytes = (uint16_t)(first.len - first.header_len);
        while ((at = c->next[at]) != NO_PACKET) {
                packet = &c->inbox->packets[at];
                run->slices[run->slices_count].bytes = packet->bytes + first.header_len;
                run->slices[run->slices_count].len = packet->len - first.header_len;
                run->len += run->slices[run->slices_count++].len;
        }
        finish_header(&first, run);
        return true;
}
