/*
 * fuzz/wg_data_fuzz.c - data messages changed by the input, alone and as a run of the size the input says, between good ones.
 * No changed one is delivered, and the good ones still are.
 */
#include "wg_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t make(struct fuzz_end *a, uint8_t *message)
{
        uint8_t packet[60] = { 0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2 };
        struct wg_frame frame = { .bytes = packet, .len = sizeof(packet) };

        CHECK(wg_device_send(a->device, &frame, fuzz_now, &a->out) == ERR_OK);
        wg_outbox_seal(&a->out);
        size_t len = a->out.bursts[0].len;
        memcpy(message, wg_outbox_bytes(&a->out, &a->out.bursts[0]), len);
        wg_outbox_clear(&a->out);
        return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_end a, b;
        uint8_t good[256], changed[256];

        fuzz_init(&a, &b);
        fuzz_establish(&a, &b);
        const struct wg_device_stats *stats = wg_device_get_stats(b.device);
        uint64_t received = stats->packets_received;

        size_t len = make(&a, changed);
        bool has_changed = fuzz_change(changed, len, data, size);
        fuzz_arrive(&b, &a, changed, len, 0);
        CHECK(stats->packets_received == received + (has_changed ? 0 : 1));

        received = stats->packets_received;
        fuzz_arrive(&b, &a, data, size, size ? 1 + data[0] : 0);
        CHECK(stats->packets_received == received);
        len = make(&a, good);
        fuzz_arrive(&b, &a, good, len, 0);
        CHECK(stats->packets_received == received + 1);
        fuzz_arrive(&b, &a, good, len, 0); /* a repeat */
        CHECK(stats->packets_received == received + 1);
        fuzz_fini(&a);
        fuzz_fini(&b);
        return 0;
}
