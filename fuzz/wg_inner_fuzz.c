/*
 * fuzz/wg_inner_fuzz.c - the input as what an honest key sealed: several packets, each after its length in two bytes. Whatever
 * is inside, what is delivered is a whole packet from an address of the peer (see fuzz_arrive), and joining it keeps its bytes.
 */
#include "wg/coalesce.h"
#include "wg_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Seals the text as the next data message of a's session. */
static size_t seal(struct fuzz_end *a, const uint8_t *text, size_t len, uint8_t *message)
{
        struct wg_keypair *k = a->peer->current;
        struct crypto_aead_packet p = { message + WG_DATA_PACKET, len, k->sending_counter++, false };

        wg_put_u32(message, WG_MESSAGE_DATA);
        wg_put_u32(message + WG_DATA_RECEIVER, k->remote_index);
        wg_put_u64(message + WG_DATA_COUNTER, p.counter);
        memcpy(p.text, text, len);
        crypto_aead_seal_many(&k->sending, &p, 1);
        return len + WG_DATA_OVERHEAD;
}

static void join(struct fuzz_end *b, uint8_t *copies, const size_t *lens, size_t count)
{
        const struct wg_coalescer_limits all = { true, true };
        struct wg_coalescer c;
        struct wg_run run;
        size_t at = 0, seen = 0;

        b->in.packets_count = 0;
        for (size_t i = 0; i < count; i++) {
                b->in.packets[b->in.packets_count++] = (struct wg_packet){ copies + at, lens[i], b->peer };
                at += lens[i];
        }
        wg_coalescer_init(&c, &b->in, all);
        while (wg_coalescer_next(&c, &run)) {
                size_t len = 0;
                for (unsigned i = 0; i < run.slices_count; i++)
                        len += run.slices[i].len;
                CHECK(len == run.len && len <= 65535);
                CHECK((run.offload == WG_OFFLOAD_NONE) == (run.slices_count == 1));
                seen += run.slices_count;
        }
        CHECK(seen == count);
        b->in.packets_count = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        enum { PACKETS = 32, LEN_MAX = 2048 };
        struct fuzz_end a, b;
        uint8_t *message = malloc(LEN_MAX + WG_DATA_OVERHEAD), *copies = malloc((size_t)PACKETS * LEN_MAX);
        size_t lens[PACKETS], count = 0, at = 0;

        CHECK(message && copies);
        fuzz_init(&a, &b);
        fuzz_establish(&a, &b);
        while (size >= 2 && count < PACKETS) {
                size_t len = MIN(((size_t)data[0] << 8 | data[1]) % LEN_MAX, size - 2);
                fuzz_arrive(&b, &a, message, seal(&a, data + 2, len, message), 0);
                if (len > 0) {
                        memcpy(copies + at, data + 2, len);
                        lens[count++] = len;
                        at += len;
                }
                data += 2 + len;
                size -= 2 + len;
        }
        join(&b, copies, lens, count);
        fuzz_fini(&a);
        fuzz_fini(&b);
        free(message);
        free(copies);
        return 0;
}
