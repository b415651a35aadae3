/*
 * fuzz/wg_response_fuzz.c - a response changed by the input, its mac1 right. Only the good one makes a session.
 */
#include "wg_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_end a, b;
        struct wg_cookie_maker maker;
        uint8_t message[WG_RESPONSE_BYTES], good[WG_RESPONSE_BYTES];

        fuzz_init(&a, &b);
        fuzz_initiate(&a);
        fuzz_carry(&a, &b);
        (void)wg_device_tick(b.device, fuzz_now, &b.out);
        CHECK(b.out.bursts_count == 1 && b.out.bursts[0].len == sizeof(message));
        memcpy(message, wg_outbox_bytes(&b.out, &b.out.bursts[0]), sizeof(message));
        memcpy(good, message, sizeof(good));
        (void)fuzz_change(message, sizeof(message), data, size);
        wg_cookie_maker_init(&maker, wg_device_public_key(a.device));
        wg_cookie_add_macs(&maker, message, WG_RESPONSE_MAC1, fuzz_now.mono);
        /* The sender's index is only a number to write to. */
        bool is_good = memcmp(message, good, 4) == 0 &&
                       memcmp(message + WG_RESPONSE_RECEIVER, good + WG_RESPONSE_RECEIVER,
                              WG_RESPONSE_MAC1 - WG_RESPONSE_RECEIVER) == 0;

        fuzz_arrive(&a, &b, message, sizeof(message), 0);
        (void)wg_device_tick(a.device, fuzz_now, &a.out);
        CHECK((a.peer->current != NULL) == is_good);
        CHECK(a.out.bursts_count == (is_good ? 1 : 0));
        fuzz_fini(&a);
        fuzz_fini(&b);
        return 0;
}
