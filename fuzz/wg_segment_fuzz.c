/*
 * fuzz/wg_segment_fuzz.c - a packet of the host with any offload fields: ten bytes of them, then the packet. What is cut is
 * never longer than was said, and the payloads together are the packet's.
 */
#include "wg/segment.h"
#include "wg_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        enum { HEAD = 10 };
        struct wg_segmenter s;

        if (size < HEAD)
                return 0;
        uint8_t *packet = malloc(size - HEAD + 1);
        CHECK(packet);
        memcpy(packet, data + HEAD, size - HEAD);
        struct wg_frame frame = {
                .bytes = packet,
                .len = size - HEAD,
                .offload = (enum wg_offload)(data[0] % 5),
                .needs_checksum = data[1] & 1,
                .segment_bytes = (uint16_t)(data[2] << 8 | data[3]),
                .checksum_start = (uint16_t)(data[4] << 8 | data[5]),
                .checksum_offset = (uint16_t)(data[6] << 8 | data[7]),
        };
        if (wg_segmenter_init(&s, &frame) == ERR_OK) {
                uint8_t *out = malloc(s.segment_len_max + 1);
                size_t segments = s.segments_count, seen = 0, len;
                CHECK(out);
                while ((len = wg_segmenter_next_len(&s)) > 0) {
                        CHECK(len <= s.segment_len_max);
                        CHECK(wg_segmenter_next(&s, out) == len);
                        seen++;
                }
                CHECK(seen == segments || frame.len == 0);
                free(out);
        }
        free(packet);

        /* The same through a whole device, which must refuse or send it. */
        struct fuzz_end a, b;
        fuzz_init(&a, &b);
        fuzz_establish(&a, &b);
        packet = malloc(size - HEAD + 1);
        CHECK(packet);
        memcpy(packet, data + HEAD, size - HEAD);
        frame.bytes = packet;
        (void)!wg_device_send(a.device, &frame, fuzz_now, &a.out);
        fuzz_carry(&a, &b);
        free(packet);
        fuzz_fini(&a);
        fuzz_fini(&b);
        return 0;
}
