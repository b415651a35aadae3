#include "crypto/random.h"

#include <assert.h>
#include <errno.h>

#include <sys/random.h>

#include "crypto/engine_priv.h"

void crypto_random(void *out, size_t len)
{
        uint8_t *at = out;

        while (len > 0) {
                ssize_t n = getrandom(at, len, 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        crypto_die("the kernel gives no random bytes (getrandom)");
                at += n;
                len -= (size_t)n;
        }
}

uint64_t crypto_random_u64(void)
{
        uint64_t value;

        crypto_random(&value, sizeof(value));
        return value;
}

uint32_t crypto_random_below(uint32_t n)
{
        assert(n > 0);
        /* Values under 2^32 mod n would make the low results more likely: draw again. */
        uint32_t least = (uint32_t)-n % n, value;
        do
                crypto_random(&value, sizeof(value));
        while (value < least);
        return value % n;
}
