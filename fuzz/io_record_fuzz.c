/*
 * TLS 1.3 records of a peer that has the keys: the input is a list of (type, length, bytes), each sealed, and one bit of
 * some flipped, or given as it stands. Data comes out as it went in, a forged record never comes out, and after an error there
 * is a reason.
 */
#include <assert.h>
#include <string.h>

#include "base/compiler.h"
#include "io/tls_record_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t wire[TLS_RECORD_WIRE_BYTES_MAX + 64], plain[4096];

/* False when the connection is over. */
static bool deliver(struct tls_records *ours, size_t len, const uint8_t *sent, size_t sent_len, bool is_data,
                    bool is_forged)
{
        struct str got;
        size_t found = 0;
        enum err e = tls_record_length(ours, (struct str){ (char *)wire, len }, &found);

        if (e == ERR_OK && found == 0)
                return false; /* would wait for more */
        if (e == ERR_OK)
                e = tls_record_open(ours, wire, found, &got);
        assert(e == ERR_OK || e == ERR_CLOSED || e == ERR_MALFORMED);
        assert((e == ERR_MALFORMED) == (ours->reason != NULL));
        assert(!is_forged || e == ERR_MALFORMED);
        if (e == ERR_OK && is_data)
                assert(got.len == sent_len && (sent_len == 0 || memcmp(got.ptr, sent, sent_len) == 0));
        return e == ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint8_t one[TLS_SECRET_BYTES_MAX] = "one", two[TLS_SECRET_BYTES_MAX] = "two";
        static const uint16_t suites[] = { 0x1301, 0x1302, 0x1303 };
        struct tls_records peer, ours;
        bool goes_on = true;
        uint16_t suite;

        if (size == 0)
                return 0;
        suite = suites[data[0] % 3];
        data++;
        size--;
        if (!tls_records_init(&peer, suite, false, two, one, 0) ||
            !tls_records_init(&ours, suite, data[-1] & 0x80, one, two, 0))
                return 0;
        while (goes_on && size >= 4) {
                uint8_t how = data[0], type = data[1];
                size_t len = MIN(MIN((size_t)(data[2] << 8 | data[3]), size - 4), sizeof(plain));
                struct iovec parts[2] = { { plain, len / 3 }, { plain + len / 3, len - len / 3 } };
                struct tls_cursor from = { parts, 2, 0 };
                bool is_forged = false;

                data += 4;
                size -= 4;
                memcpy(plain, data, len);
                if (how % 8 == 0) { /* as it stands */
                        memcpy(wire, plain, len);
                        goes_on = deliver(&ours, len, NULL, 0, false, false);
                } else if (how % 8 == 1) {
                        if (!tls_record_seal_update(&peer, wire))
                                break;
                        goes_on = deliver(&ours, 5 + TLS_RECORD_ADDED_BYTES, NULL, 0, false, false);
                } else {
                        if (!tls_record_seal(&peer, type % 4 ? TLS_DATA : type, &from, len, wire))
                                break;
                        if (how % 8 == 2) {
                                wire[5 + how % (len + 17)] ^= (uint8_t)(1 << type % 8);
                                is_forged = true;
                        }
                        goes_on = deliver(&ours, len + TLS_RECORD_ADDED_BYTES, plain, len, type % 4 != 0,
                                          is_forged);
                }
                data += len;
                size -= len;
        }
        tls_records_fini(&peer);
        tls_records_fini(&ours);
        return 0;
}
