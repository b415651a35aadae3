/*
 * fuzz/wg_initiation_fuzz.c - an initiation changed by the input, with its mac1 made right again so that what is behind it is
 * reached. Anything but the good one is answered with silence.
 */
#include "wg_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_end a, b;
        struct wg_cookie_maker maker;
        uint8_t message[WG_INITIATION_BYTES], good[WG_INITIATION_BYTES];

        fuzz_init(&a, &b);
        fuzz_initiate(&a);
        memcpy(message, wg_outbox_bytes(&a.out, &a.out.bursts[0]), sizeof(message));
        memcpy(good, message, sizeof(good));
        (void)fuzz_change(message, sizeof(message), data, size);
        wg_cookie_maker_init(&maker, wg_device_public_key(b.device));
        wg_cookie_add_macs(&maker, message, WG_INITIATION_MAC1, fuzz_now.mono);
        /* mac1 covers the sender's index too, which alone does not make a message false. */
        bool is_good = memcmp(message, good, 4) == 0 &&
                       memcmp(message + WG_INITIATION_EPHEMERAL, good + WG_INITIATION_EPHEMERAL,
                              WG_INITIATION_MAC1 - WG_INITIATION_EPHEMERAL) == 0;

        fuzz_arrive(&b, &a, message, sizeof(message), 0);
        (void)wg_device_tick(b.device, fuzz_now, &b.out);
        CHECK(b.out.bursts_count == (is_good ? 1 : 0));
        CHECK((b.peer->next != NULL) == is_good);

        /* And as it is: a datagram of any length. */
        wg_outbox_clear(&b.out);
        fuzz_arrive(&b, &a, data, size, 0);
        (void)wg_device_tick(b.device, fuzz_now, &b.out);
        CHECK(b.out.bursts_count == 0);
        fuzz_fini(&a);
        fuzz_fini(&b);
        return 0;
}
