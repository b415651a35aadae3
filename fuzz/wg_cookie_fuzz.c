/*
 * fuzz/wg_cookie_fuzz.c - a cookie reply changed by the input. Only the good one is kept, and nothing is answered.
 */
#include "wg_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_end a, b;
        uint8_t message[WG_COOKIE_REPLY_BYTES];

        fuzz_init(&a, &b);
        b.device->loaded_until = fuzz_now.mono + 1;
        fuzz_initiate(&a);
        fuzz_carry(&a, &b);
        CHECK(b.out.bursts_count == 1 && b.out.bursts[0].len == sizeof(message));
        memcpy(message, wg_outbox_bytes(&b.out, &b.out.bursts[0]), sizeof(message));
        bool has_changed = fuzz_change(message, sizeof(message), data, size);

        fuzz_arrive(&a, &b, message, sizeof(message), 0);
        CHECK(a.peer->cookie.has_cookie == !has_changed);
        CHECK(a.out.bursts_count == 0);
        fuzz_fini(&a);
        fuzz_fini(&b);
        return 0;
}
