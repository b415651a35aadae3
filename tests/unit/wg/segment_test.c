#include "wg/segment.h"

#include "lab.h"
#include "wg/coalesce.h"

/* Checksums the slow way, straight from RFC 1071, to judge the fast one by. */
static uint16_t slow_sum(const uint8_t *p, size_t len, uint32_t sum)
{
        for (size_t i = 0; i < len; i++)
                sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t)sum;
}

static uint16_t slow_l4_sum(const uint8_t *packet, size_t len)
{
        size_t l4_at = packet[0] >> 4 == 4 ? 20 : 40;
        uint8_t protocol = packet[0] >> 4 == 4 ? packet[9] : packet[6];
        uint32_t sum = slow_sum(packet + (l4_at == 20 ? 12 : 8), l4_at == 20 ? 8 : 32, 0);

        sum += protocol + (uint32_t)(len - l4_at);
        return slow_sum(packet + l4_at, len - l4_at, sum);
}

/* Complete and right in itself? */
static void expect_right(const uint8_t *packet, size_t len)
{
        struct wg_inner inner;

        assert_err(wg_inner_parse(packet, len, &inner), ERR_OK);
        assert_int_equal(inner.len, len);
        if (inner.version == 4)
                assert_int_equal(slow_sum(packet, 20, 0), 0xffff);
        assert_int_equal(slow_l4_sum(packet, len), 0xffff);
}

static const struct wg_coalescer_limits all = { true, true };

struct flow {
        enum wg_offload kind;
        size_t options_len; /* of TCP */
        uint16_t port;
};

static bool is_v4(enum wg_offload kind)
{
        return kind == WG_OFFLOAD_TCP4 || kind == WG_OFFLOAD_UDP4;
}

static bool is_tcp(enum wg_offload kind)
{
        return kind == WG_OFFLOAD_TCP4 || kind == WG_OFFLOAD_TCP6;
}

/* A large packet as a TUN device gives it: one header, the pseudo header's sum where the checksum goes. */
static struct wg_frame make(uint8_t *out, const struct flow *f, size_t payload, uint16_t segment,
                            uint32_t sequence, struct lab_random *r)
{
        size_t l4_at = is_v4(f->kind) ? 20 : 40, l4_header = is_tcp(f->kind) ? 20 + f->options_len : 8;
        size_t len = l4_at + l4_header + payload;
        uint8_t *l4 = out + l4_at;

        assert_true(len <= 65535);
        lab_fill(r, out, len);
        if (is_v4(f->kind)) {
                const uint8_t header[20] = { 0x45,
                                             2,
                                             (uint8_t)(len >> 8),
                                             (uint8_t)len,
                                             0xff,
                                             0xfe,
                                             0x40,
                                             0,
                                             64,
                                             is_tcp(f->kind) ? 6 : 17,
                                             0,
                                             0,
                                             10,
                                             0,
                                             0,
                                             1,
                                             10,
                                             0,
                                             0,
                                             2 };
                memcpy(out, header, 20);
                lab_be16(out + 10, (uint16_t)~slow_sum(out, 20, 0));
        } else {
                const uint8_t header[8] = { 0x60, 0, 0, 7, 0, 0, is_tcp(f->kind) ? 6 : 17, 64 };
                memcpy(out, header, 8);
                lab_be16(out + 4, len - 40);
        }
        lab_be16(l4, f->port);
        lab_be16(l4 + 2, 443);
        if (is_tcp(f->kind)) {
                lab_be16(l4 + 4, sequence >> 16);
                lab_be16(l4 + 6, sequence & 0xffff);
                l4[12] = (uint8_t)(l4_header / 4 << 4);
                l4[13] = 0x10;
                memset(l4 + 18, 0, 2);
                memset(l4 + 20, 1, f->options_len);
                memset(l4 + 8, 3, 4);
                memset(l4 + 14, 3, 2);
        } else {
                lab_be16(l4 + 4, 8 + payload);
        }
        uint32_t pseudo = slow_sum(out + (l4_at == 20 ? 12 : 8), l4_at == 20 ? 8 : 32, 0);
        pseudo += (is_tcp(f->kind) ? 6u : 17u) + (uint32_t)(len - l4_at);
        lab_be16(l4 + (is_tcp(f->kind) ? 16 : 6), slow_sum(NULL, 0, pseudo));
        return (struct wg_frame){
                .bytes = out,
                .len = len,
                .offload = f->kind,
                .segment_bytes = segment,
                .needs_checksum = true,
                .checksum_start = (uint16_t)l4_at,
                .checksum_offset = is_tcp(f->kind) ? 16 : 6,
        };
}

static uint8_t big[65535], parts[1 << 20];

/* Cuts a frame into `parts` and adds the packets to the inbox; returns the room used. */
static size_t cut(const struct wg_frame *frame, struct wg_inbox *in, size_t used)
{
        struct wg_segmenter s;
        size_t len, count;

        assert_err(wg_segmenter_init(&s, frame), ERR_OK);
        count = s.segments_count;
        while (s.segments_count > 0) {
                size_t announced = wg_segmenter_next_len(&s);
                len = wg_segmenter_next(&s, parts + used);
                assert_int_equal(len, announced);
                assert_true(len <= s.segment_len_max);
                expect_right(parts + used, len);
                in->packets[in->packets_count++] = (struct wg_packet){ parts + used, len, NULL };
                used += len;
                count--;
        }
        assert_int_equal(count, 0);
        assert_int_equal(wg_segmenter_next(&s, parts + used), 0);
        return used;
}

static const struct flow flows[] = {
        { WG_OFFLOAD_TCP4, 0, 1000 }, { WG_OFFLOAD_TCP4, 12, 1001 }, { WG_OFFLOAD_TCP6, 12, 1002 },
        { WG_OFFLOAD_UDP4, 0, 1003 }, { WG_OFFLOAD_UDP6, 0, 1004 },  { WG_OFFLOAD_TCP6, 40, 1005 },
};

static size_t header_len(const struct flow *f)
{
        return (is_v4(f->kind) ? 20u : 40u) + (is_tcp(f->kind) ? 20 + f->options_len : 8);
}

/* The slices put together. */
static size_t joined(const struct wg_run *run, uint8_t *out)
{
        size_t len = 0;

        for (unsigned i = 0; i < run->slices_count; i++) {
                memcpy(out + len, run->slices[i].bytes, run->slices[i].len);
                len += run->slices[i].len;
        }
        assert_int_equal(len, run->len);
        return len;
}

/* What was cut and joined again is what it was, but for the numbers of IPv4 that mean nothing. */
static void there_and_back(void **state)
{
        struct lab_random r = { 5 };
        static uint8_t back[65535];

        for (int round = 0; round < 300; round++) {
                const struct flow *f = &flows[lab_below(&r, ARRAY_SIZE(flows))];
                uint16_t segment = (uint16_t)(1 + lab_below(&r, 1400));
                size_t payload_max = MIN((size_t)segment * WG_RUN_PACKETS_MAX, 65000u);
                size_t payload = segment + 1 + lab_below(&r, (uint32_t)(payload_max - segment));
                struct wg_frame frame = make(big, f, payload, segment, 0xfffff000, &r);
                struct wg_inbox in = { 0 };
                struct wg_coalescer c;
                struct wg_run run;

                (void)cut(&frame, &in, 0);
                if (in.packets_count < 2)
                        continue;
                wg_coalescer_init(&c, &in, all);
                assert_true(wg_coalescer_next(&c, &run));
                assert_int_equal(run.offload, f->kind);
                assert_int_equal(run.segment_bytes, segment);
                assert_int_equal(run.header_bytes, header_len(f));
                assert_int_equal(run.checksum_start, frame.checksum_start);
                assert_int_equal(run.checksum_offset, frame.checksum_offset);
                assert_int_equal(joined(&run, back), frame.len);
                assert_memory_equal(back, big, frame.len);
                assert_false(wg_coalescer_next(&c, &run));
        }
}

static void flags_of_the_first_and_the_last(void **state)
{
        struct lab_random r = { 9 };
        struct wg_inbox in = { 0 };
        struct wg_frame frame = make(big, &flows[0], 350, 100, 1, &r);

        big[20 + 13] = 0x80 | 0x10 | 0x08 | 0x01; /* CWR ACK PSH FIN */
        (void)cut(&frame, &in, 0);
        assert_int_equal(in.packets_count, 4);
        assert_int_equal(in.packets[0].bytes[33], 0x80 | 0x10);
        assert_int_equal(in.packets[1].bytes[33], 0x10);
        assert_int_equal(in.packets[2].bytes[33], 0x10);
        assert_int_equal(in.packets[3].bytes[33], 0x10 | 0x08 | 0x01);
        for (unsigned i = 0; i < 4; i++) {
                assert_int_equal(in.packets[i].bytes[4] << 8 | in.packets[i].bytes[5], (0xfffe + i) & 0xffff);
                assert_int_equal(in.packets[i].bytes[27], (1 + 100 * i) & 0xff);
        }
        assert_int_equal(in.packets[3].len, 40 + 50);
}

static void one_packet_that_needs_its_checksum(void **state)
{
        struct lab_random r = { 11 };
        uint8_t out[2000];

        for (size_t i = 0; i < ARRAY_SIZE(flows); i++) {
                struct wg_frame frame = make(big, &flows[i], 777, 777, 1, &r);
                struct wg_segmenter s;
                frame.offload = WG_OFFLOAD_NONE;
                assert_err(wg_segmenter_init(&s, &frame), ERR_OK);
                assert_int_equal(s.segments_count, 1);
                assert_int_equal(wg_segmenter_next(&s, out), frame.len);
                expect_right(out, frame.len);
        }
}

static void a_udp_checksum_of_zero_is_written_as_ones(void **state)
{
        uint8_t packet[100], out[100];
        struct lab_random r = { 1 };
        struct flow udp = { WG_OFFLOAD_UDP4, 0, 1 };
        struct wg_frame frame = make(packet, &udp, 2, 2, 0, &r);
        struct wg_segmenter s;

        /* Choose the payload so that everything sums to ffff. */
        uint8_t pseudo[2] = { packet[26], packet[27] };
        memset(packet + 26, 0, 4);
        lab_be16(packet + 28, (uint16_t)~slow_l4_sum(packet, 30));
        memcpy(packet + 26, pseudo, 2);
        for (int offload = 0; offload < 2; offload++) {
                frame.offload = offload ? WG_OFFLOAD_UDP4 : WG_OFFLOAD_NONE;
                assert_err(wg_segmenter_init(&s, &frame), ERR_OK);
                assert_int_equal(wg_segmenter_next(&s, out), 30);
                assert_int_equal(out[26] << 8 | out[27], 0xffff);
                expect_right(out, 30);
        }
}

static void offload_fields_that_do_not_fit(void **state)
{
        struct lab_random r = { 2 };
        struct wg_frame good = make(big, &flows[1], 500, 100, 1, &r), bad;
        struct wg_segmenter s;

        assert_err(wg_segmenter_init(&s, &good), ERR_OK);
        bad = good, bad.segment_bytes = 0;
        assert_err(wg_segmenter_init(&s, &bad), ERR_MALFORMED);
        bad = good, bad.checksum_start = 19;
        assert_err(wg_segmenter_init(&s, &bad), ERR_MALFORMED);
        bad = good, bad.checksum_start = 24; /* not where the IP header ends */
        assert_err(wg_segmenter_init(&s, &bad), ERR_MALFORMED);
        bad = good, bad.offload = WG_OFFLOAD_TCP6;
        assert_err(wg_segmenter_init(&s, &bad), ERR_MALFORMED);
        bad = good, bad.offload = WG_OFFLOAD_UDP6;
        assert_err(wg_segmenter_init(&s, &bad), ERR_MALFORMED);
        for (size_t len = 0; len <= 52; len++) {
                bad = good, bad.len = len;
                assert_err(wg_segmenter_init(&s, &bad), ERR_MALFORMED);
        }
        big[32] = 0x40; /* a TCP header of 16 bytes */
        assert_err(wg_segmenter_init(&s, &good), ERR_MALFORMED);
        big[32] = 0xf0; /* of 60, which the packet has */
        assert_err(wg_segmenter_init(&s, &good), ERR_OK);
        bad = good, bad.len = 70;
        assert_err(wg_segmenter_init(&s, &bad), ERR_MALFORMED);

        bad = (struct wg_frame){
                .bytes = big, .len = 40, .needs_checksum = true, .checksum_start = 20, .checksum_offset = 19
        };
        assert_err(wg_segmenter_init(&s, &bad), ERR_MALFORMED);
        bad.checksum_offset = 18;
        assert_err(wg_segmenter_init(&s, &bad), ERR_OK);
        bad.checksum_start = 65535;
        assert_err(wg_segmenter_init(&s, &bad), ERR_MALFORMED);
}

/* Four packets of 100 bytes of one TCP connection, and what one change does to their joining. */
static const struct {
        const char *why;
        unsigned packet;
        size_t at; /* byte to change */
        uint8_t change;
        bool is_summed_again; /* the packet's checksums are made right after the change */
        unsigned runs, first_run;
} changes[] = {
        { "nothing", 0, 0, 0, false, 1, 4 },
        { "a wrong TCP checksum in the middle", 1, 60, 1, false, 3, 1 },
        { "a wrong TCP checksum at the start", 0, 60, 1, false, 2, 1 },
        { "a wrong IP checksum", 2, 10, 1, false, 3, 2 },
        { "another connection", 2, 21, 1, true, 3, 2 },
        { "another address", 2, 15, 1, true, 3, 2 },
        { "another traffic class", 2, 1, 4, true, 3, 2 },
        { "another TTL", 2, 8, 1, true, 3, 2 },
        { "a gap", 2, 27, 1, true, 3, 2 },
        { "another acknowledgement", 2, 31, 1, true, 3, 2 },
        { "another window", 2, 35, 1, true, 3, 2 },
        { "SYN", 2, 33, 2, true, 3, 2 },
        { "FIN", 3, 33, 1, true, 2, 3 },
        { "URG", 2, 33, 0x20, true, 3, 2 },
        { "a push ends the run", 1, 33, 8, true, 2, 2 },
        { "a push at the start", 0, 33, 8, true, 2, 1 },
        { "a fragment", 1, 6, 0x60, true, 3, 1 },
        { "may be fragmented", 1, 6, 0x40, true, 3, 1 },
        { "a reserved bit", 1, 32, 1, true, 3, 1 },
};

static void sum_again(struct wg_packet *p)
{
        memset(p->bytes + 10, 0, 2);
        lab_be16(p->bytes + 10, (uint16_t)~slow_sum(p->bytes, 20, 0));
        memset(p->bytes + 36, 0, 2);
        lab_be16(p->bytes + 36, (uint16_t)~slow_l4_sum(p->bytes, p->len));
}

static void only_what_belongs_together_is_joined(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
                struct lab_random r = { 3 };
                struct wg_inbox in = { 0 };
                struct wg_frame frame = make(big, &flows[0], 400, 100, 1000, &r);
                struct wg_coalescer c;
                struct wg_run run;
                unsigned runs = 0, first = 0;
                size_t bytes = 0;

                print_message("%s\n", changes[i].why);
                (void)cut(&frame, &in, 0);
                struct wg_packet *p = &in.packets[changes[i].packet];
                p->bytes[changes[i].at] ^= changes[i].change;
                if (changes[i].is_summed_again)
                        sum_again(p);
                wg_coalescer_init(&c, &in, all);
                while (wg_coalescer_next(&c, &run)) {
                        if (runs++ == 0)
                                first = run.slices_count;
                        bytes += run.len - 40;
                }
                assert_int_equal(runs, changes[i].runs);
                assert_int_equal(first, changes[i].first_run);
                assert_int_equal(bytes, 400);
        }
}

/* Connections mixed packet by packet come out whole, each in its order, and bytes are neither lost nor doubled. */
static void mixed_connections_are_parted(void **state)
{
        struct lab_random r = { 21 };

        for (int round = 0; round < 200; round++) {
                struct wg_inbox each[4] = { 0 }, in = { 0 };
                unsigned at[4] = { 0 }, left = 0, flows_count = 2 + lab_below(&r, 3);
                size_t used = 0, payload_total = 0;

                for (unsigned i = 0; i < flows_count; i++) {
                        struct flow f = flows[lab_below(&r, ARRAY_SIZE(flows))];
                        f.port = (uint16_t)(2000 + i);
                        size_t payload = 200 + lab_below(&r, 5000);
                        struct wg_frame frame = make(big, &f, payload, 200, 7, &r);
                        used = cut(&frame, &each[i], used);
                        left += each[i].packets_count;
                        payload_total += payload;
                }
                while (left > 0) {
                        unsigned i = lab_below(&r, flows_count);
                        if (at[i] == each[i].packets_count)
                                continue;
                        in.packets[in.packets_count++] = each[i].packets[at[i]++];
                        left--;
                }
                struct wg_coalescer c;
                struct wg_run run;
                unsigned runs = 0;
                wg_coalescer_init(&c, &in, all);
                while (wg_coalescer_next(&c, &run)) {
                        runs++;
                        size_t header = run.slices_count > 1 ? run.header_bytes : 0;
                        if (!header) {
                                const uint8_t *b = run.slices[0].bytes;
                                size_t l4_at = b[0] >> 4 == 4 ? 20 : 40;
                                bool tcp = (l4_at == 20 ? b[9] : b[6]) == 6;
                                header = l4_at + (tcp ? 4 * (size_t)(b[l4_at + 12] >> 4) : 8);
                        }
                        payload_total -= run.len - header;
                }
                assert_int_equal(payload_total, 0);
                assert_int_equal(runs, flows_count);
        }
}

static void what_is_no_packet_passes_untouched(void **state)
{
        struct lab_random r = { 4 };
        static uint8_t bytes[40][100], before[40][100];
        struct wg_inbox in = { 0 };
        struct wg_coalescer c;
        struct wg_run run;

        for (unsigned i = 0; i < 40; i++) {
                lab_fill(&r, bytes[i], 100);
                bytes[i][0] = i % 3 ? 0x45 : 0x60;
                if (i % 2)
                        lab_be16(bytes[i] + 2, 100), lab_be16(bytes[i] + 6, 0x4000),
                                bytes[i][9] = i % 4 ? 6 : 17;
                memcpy(before[i], bytes[i], 100);
                in.packets[in.packets_count++] = (struct wg_packet){ bytes[i], 20 + 2 * i, NULL };
        }
        wg_coalescer_init(&c, &in, all);
        for (unsigned i = 0; i < 40; i++) {
                assert_true(wg_coalescer_next(&c, &run));
                assert_int_equal(run.offload, WG_OFFLOAD_NONE);
                assert_int_equal(run.slices_count, 1);
                assert_ptr_equal(run.slices[0].bytes, bytes[i]);
                assert_int_equal(run.len, 20 + 2 * i);
                assert_memory_equal(bytes[i], before[i], 100);
        }
        assert_false(wg_coalescer_next(&c, &run));
}

static void only_what_the_host_can_take_is_joined(void **state)
{
        struct lab_random r = { 31 };

        for (size_t i = 0; i < ARRAY_SIZE(flows); i++)
                for (int joins = 0; joins < 4; joins++) {
                        struct wg_coalescer_limits limits = { joins & 1, joins & 2 };
                        struct wg_inbox in = { 0 };
                        struct wg_frame frame = make(big, &flows[i], 400, 100, 1000, &r);
                        struct wg_coalescer c;
                        struct wg_run run;
                        unsigned runs = 0;

                        (void)cut(&frame, &in, 0);
                        wg_coalescer_init(&c, &in, limits);
                        while (wg_coalescer_next(&c, &run))
                                runs++;
                        assert_int_equal(
                                runs, (is_tcp(flows[i].kind) ? limits.joins_tcp : limits.joins_udp) ? 1 : 4);
                }
}

static void through_a_tunnel_in_one_burst(void **state)
{
        struct lab lab;
        struct wg_coalescer c;
        struct wg_run run;
        static uint8_t back[65535];

        lab_init(&lab, 3);
        struct wg_frame frame = make(big, &flows[1], 44 * 1368, 1368, 1, &lab.random);
        assert_err(wg_device_send(lab.a.device, &frame, lab.now, &lab.a.out), ERR_OK);
        lab_settle(&lab);
        assert_int_equal(lab.b.in.packets_count, 44);
        wg_coalescer_init(&c, &lab.b.in, all);
        assert_true(wg_coalescer_next(&c, &run));
        assert_int_equal(joined(&run, back), frame.len);
        assert_memory_equal(back, big, frame.len);

        lab_forget_packets(&lab.b);
        assert_err(wg_device_send(lab.a.device, &frame, lab.now, &lab.a.out), ERR_OK);
        assert_int_equal(lab.a.out.bursts_count, 1);
        assert_int_equal(lab.a.out.bursts[0].datagrams_count, 44);
        assert_int_equal(lab.a.out.bursts[0].datagram_bytes, 1420 + 32);
        /* A segment size that makes more parts than a burst may have. */
        wg_outbox_clear(&lab.a.out);
        frame.segment_bytes = 500;
        assert_err(wg_device_send(lab.a.device, &frame, lab.now, &lab.a.out), ERR_OK);
        assert_int_equal(lab.a.out.bursts_count, 2);
        /* More than any outbox holds. */
        wg_outbox_clear(&lab.a.out);
        frame.segment_bytes = 1;
        assert_err(wg_device_send(lab.a.device, &frame, lab.now, &lab.a.out), ERR_TOO_LARGE);
        lab_fini(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(there_and_back),
                cmocka_unit_test(flags_of_the_first_and_the_last),
                cmocka_unit_test(one_packet_that_needs_its_checksum),
                cmocka_unit_test(a_udp_checksum_of_zero_is_written_as_ones),
                cmocka_unit_test(offload_fields_that_do_not_fit),
                cmocka_unit_test(only_what_belongs_together_is_joined),
                cmocka_unit_test(mixed_connections_are_parted),
                cmocka_unit_test(what_is_no_packet_passes_untouched),
                cmocka_unit_test(only_what_the_host_can_take_is_joined),
                cmocka_unit_test(through_a_tunnel_in_one_burst),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
