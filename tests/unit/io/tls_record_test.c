#include "../test.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "io/tls_record_priv.h"

/* A peer and we: what one seals, the other opens. */
static struct tls_records peer, ours;

static const uint8_t one_secret[TLS_SECRET_BYTES_MAX] = "a secret of one direction, 48 bytes long.......";
static const uint8_t two_secret[TLS_SECRET_BYTES_MAX] = "a secret of the other one, 48 bytes long.......";

static void start(uint16_t suite)
{
        assert_true(tls_records_init(&peer, suite, false, two_secret, one_secret, 0));
        assert_true(tls_records_init(&ours, suite, false, one_secret, two_secret, 0));
}

static void stop(void)
{
        tls_records_fini(&peer);
        tls_records_fini(&ours);
}

static uint8_t wire[2 * TLS_RECORD_WIRE_BYTES_MAX];

static size_t seal(enum tls_content type, const void *bytes, size_t len)
{
        struct iovec part = { (void *)(uintptr_t)bytes, len };
        struct tls_cursor from = { &part, 1, 0 };

        assert_true(tls_record_seal(&peer, type, &from, len, wire));
        return len + TLS_RECORD_ADDED_BYTES;
}

static enum err open_wire(size_t len, struct str *data)
{
        size_t found = 0;
        enum err e = tls_record_length(&ours, (struct str){ (char *)wire, len }, &found);

        if (e != ERR_OK)
                return e;
        assert_int_equal(found, len);
        return tls_record_open(&ours, wire, len, data);
}

static const uint16_t suites[] = { 0x1301, 0x1302, 0x1303 };

static void test_seal_and_open(void **state)
{
        static char bytes[TLS_RECORD_PLAIN_BYTES_MAX];
        static const size_t lengths[] = { 0, 1, 15, 16, 17, 1023, 1024, 1025, 16383, 16384 };
        struct str data;

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (char)(i * 7);
        for (size_t s = 0; s < ARRAY_SIZE(suites); s++) {
                start(suites[s]);
                for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
                        size_t len = seal(TLS_DATA, bytes, lengths[i]);
                        assert_err(open_wire(len, &data), ERR_OK);
                        assert_int_equal(data.len, lengths[i]);
                        assert_memory_equal(data.ptr, bytes, lengths[i]);
                }
                stop();
        }
        assert_false(
                tls_records_init(&peer, 0x1304, false, one_secret, two_secret, 0)); /* AES-CCM is not ours */
        assert_int_equal(tls_suite_secret_bytes(0x1304), 0);
        assert_int_equal(tls_suite_secret_bytes(0x1302), 48);
}

/* Vectors of small and large parts, cut where records end, give the same bytes. */
static void test_parts(void **state)
{
        static char bytes[40000], got[40000];
        struct iovec parts[64];
        int parts_count = 0;
        size_t total = 0, at = 0;

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (char)(rand() >> 8);
        for (size_t offset = 0; offset < sizeof(bytes) && parts_count < 64; parts_count++) {
                static const size_t sizes[] = { 3, 0, 700, 1500, 1, 1024, 9000, 1023, 0, 2 };
                size_t n = MIN(sizes[parts_count % 10], sizeof(bytes) - offset);
                parts[parts_count] = (struct iovec){ bytes + offset, n };
                offset += n;
                total = offset;
        }
        start(0x1301);
        struct tls_cursor from = { parts, parts_count, 0 };
        while (at < total) {
                size_t n = 1 + (size_t)rand() % TLS_RECORD_PLAIN_BYTES_MAX;
                n = MIN(n, total - at);
                struct str data;
                assert_true(tls_record_seal(&peer, TLS_DATA, &from, n, wire));
                assert_err(open_wire(n + TLS_RECORD_ADDED_BYTES, &data), ERR_OK);
                assert_int_equal(data.len, n);
                memcpy(got + at, data.ptr, n);
                at += n;
        }
        assert_memory_equal(got, bytes, total);
        stop();
}

static void test_length(void **state)
{
        static const struct {
                const char *why;
                struct str wire;
                enum err err;
                size_t len;
        } cases[] = {
                { "nothing yet", STR_INIT(""), ERR_OK, 0 },
                { "half a header", STR_INIT("\x17\x03\x03\x00"), ERR_OK, 0 },
                { "a header", STR_INIT("\x17\x03\x03\x00\x02"), ERR_OK, 0 },
                { "one byte less", STR_INIT("\x17\x03\x03\x00\x02x"), ERR_OK, 0 },
                { "all of it", STR_INIT("\x17\x03\x03\x00\x02xy"), ERR_OK, 7 },
                { "and more", STR_INIT("\x17\x03\x03\x00\x02xyz"), ERR_OK, 7 },
                { "as long as can be", STR_INIT("\x17\x03\x03\x41\x00"), ERR_OK, 0 },
                { "one longer", STR_INIT("\x17\x03\x03\x41\x01"), ERR_MALFORMED, 0 },
                { "longest that can be said", STR_INIT("\x17\x03\x03\xff\xff"), ERR_MALFORMED, 0 },
        };

        start(0x1301);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t len = 99;
                enum err e = tls_record_length(&ours, cases[i].wire, &len);
                if (e != cases[i].err || len != cases[i].len)
                        fail_msg("%s: ERR_%s, %zu", cases[i].why, err_name(e), len);
        }
        assert_int_equal(ours.alert, 22);
        stop();
}

/* What a peer with the right keys must not send. */
static const struct {
        const char *why;
        enum tls_content type;
        struct str bytes;
        enum err err;
        int alert;
} records[] = {
        { "data", TLS_DATA, STR_INIT("x"), ERR_OK, 0 },
        { "close_notify", TLS_ALERT, STR_INIT("\x01\x00"), ERR_CLOSED, 0 },
        { "close_notify said fatal", TLS_ALERT, STR_INIT("\x02\x00"), ERR_CLOSED, 0 },
        { "user_canceled", TLS_ALERT, STR_INIT("\x01\x5a"), ERR_OK, 0 },
        { "fatal alert", TLS_ALERT, STR_INIT("\x02\x14"), ERR_MALFORMED, 0 },
        { "fatal alert said warning", TLS_ALERT, STR_INIT("\x01\x14"), ERR_MALFORMED, 0 },
        { "short alert", TLS_ALERT, STR_INIT("\x01"), ERR_MALFORMED, 50 },
        { "empty alert", TLS_ALERT, STR_INIT(""), ERR_MALFORMED, 50 },
        { "two alerts", TLS_ALERT, STR_INIT("\x01\x00\x01\x00"), ERR_MALFORMED, 50 },
        { "key update", TLS_HANDSHAKE, STR_INIT("\x18\x00\x00\x01\x00"), ERR_OK, 0 },
        { "key update, asked for in return", TLS_HANDSHAKE, STR_INIT("\x18\x00\x00\x01\x01"), ERR_OK, 0 },
        { "key update of kind 2", TLS_HANDSHAKE, STR_INIT("\x18\x00\x00\x01\x02"), ERR_MALFORMED, 47 },
        { "key update of length 2", TLS_HANDSHAKE, STR_INIT("\x18\x00\x00\x02\x00"), ERR_MALFORMED, 50 },
        { "two key updates in one", TLS_HANDSHAKE, STR_INIT("\x18\x00\x00\x01\x00\x18\x00\x00\x01\x00"),
          ERR_MALFORMED, 10 },
        { "something behind a key update", TLS_HANDSHAKE, STR_INIT("\x18\x00\x00\x01\x00x"), ERR_MALFORMED,
          10 },
        { "empty handshake record", TLS_HANDSHAKE, STR_INIT(""), ERR_MALFORMED, 10 },
        { "another hello", TLS_HANDSHAKE, STR_INIT("\x01\x00\x00\x00"), ERR_MALFORMED, 10 },
        { "a ticket, from a client", TLS_HANDSHAKE, STR_INIT("\x04\x00\x00\x00"), ERR_MALFORMED, 10 },
        { "change cipher spec", TLS_CHANGE_CIPHER_SPEC, STR_INIT("\x01"), ERR_MALFORMED, 10 },
        { "unknown type", 99, STR_INIT("x"), ERR_MALFORMED, 10 },
        { "nothing but padding", 0, STR_INIT("\0\0\0"), ERR_MALFORMED, 10 },
};

static void test_contents(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
                struct str data;
                start(0x1301);
                enum err e =
                        open_wire(seal(records[i].type, records[i].bytes.ptr, records[i].bytes.len), &data);
                if (e != records[i].err || (e == ERR_MALFORMED && ours.alert != records[i].alert))
                        fail_msg("%s: ERR_%s, alert %d", records[i].why, err_name(e), ours.alert);
                if (e == ERR_OK && records[i].type != TLS_DATA)
                        assert_int_equal(data.len, 0);
                assert_true((e == ERR_MALFORMED) == (ours.reason != NULL));
                stop();
        }
}

/* The outside of a record, without the keys. */
static void test_forged(void **state)
{
        struct str data;

        for (size_t bit = 0; bit < (1 + TLS_RECORD_ADDED_BYTES) * 8; bit++) {
                start(0x1301);
                size_t len = seal(TLS_DATA, "x", 1), found;
                wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
                enum err e = tls_record_length(&ours, (struct str){ (char *)wire, sizeof(wire) }, &found);
                if (e == ERR_OK)
                        e = tls_record_open(&ours, wire, MIN(found, len), &data);
                assert_err(e, ERR_MALFORMED); /* the header is protected too */
                stop();
        }
        start(0x1303);
        size_t len = seal(TLS_DATA, "first", 5);
        assert_err(open_wire(len, &data), ERR_OK);
        len = seal(TLS_DATA, "second", 6);
        len = seal(TLS_DATA, "third", 5); /* the second is lost */
        assert_err(open_wire(len, &data), ERR_MALFORMED);
        assert_int_equal(ours.alert, 20);
        stop();
        start(0x1301);
        static const uint8_t too_short[] = { 23, 3, 3, 0, 16, [20] = 0 };
        memcpy(wire, too_short, sizeof(too_short));
        assert_err(open_wire(sizeof(too_short), &data), ERR_MALFORMED);
        stop();
}

static void test_padding(void **state)
{
        char padded[200] = "data";
        struct str data;

        /* Sealed as if the type were a zero of the padding: data, its type, zeros. */
        start(0x1301);
        padded[4] = TLS_DATA;
        assert_err(open_wire(seal(0, padded, sizeof(padded)), &data), ERR_OK);
        assert_str(data, STR("data"));
        stop();
        /* As long inside as a record may be. */
        static char long_data[TLS_RECORD_PLAIN_BYTES_MAX];
        start(0x1301);
        size_t len = seal(TLS_DATA, long_data, sizeof(long_data));
        assert_err(open_wire(len, &data), ERR_OK);
        assert_int_equal(data.len, TLS_RECORD_PLAIN_BYTES_MAX);
        stop();
}

static void test_key_updates(void **state)
{
        struct str data;

        for (size_t s = 0; s < ARRAY_SIZE(suites); s++) {
                start(suites[s]);
                for (int i = 0; i < 100; i++) {
                        assert_err(open_wire(seal(TLS_DATA, "x", 1), &data), ERR_OK);
                        assert_int_equal(data.len, 1);
                        uint64_t before = peer.out.seq;
                        assert_true(tls_record_seal_update(&peer, wire));
                        assert_true(before > 0 && peer.out.seq == 0);
                        assert_err(open_wire(5 + TLS_RECORD_ADDED_BYTES, &data), ERR_OK);
                        assert_int_equal(data.len, 0);
                        assert_false(ours.owes_update);
                }
                stop();
        }
        /* In two pieces, as a handshake message may be. */
        start(0x1301);
        assert_err(open_wire(seal(TLS_HANDSHAKE, "\x18\x00\x00", 3), &data), ERR_OK);
        assert_err(open_wire(seal(TLS_HANDSHAKE, "\x01\x01", 2), &data), ERR_OK);
        assert_true(ours.owes_update);
        stop();
        /* But nothing may come between them. */
        start(0x1301);
        assert_err(open_wire(seal(TLS_HANDSHAKE, "\x18\x00\x00", 3), &data), ERR_OK);
        assert_err(open_wire(seal(TLS_DATA, "x", 1), &data), ERR_MALFORMED);
        assert_int_equal(ours.alert, 10);
        stop();
}

/* A server's messages after the handshake, cut into records as it likes. */
static void test_tickets(void **state)
{
        static const struct {
                const char *why;
                struct str first, second; /* records */
                enum err err;             /* of the last one */
                int alert;
        } cases[] = {
                { "one", STR_INIT("\x04\x00\x00\x03xyz"), STR_INIT(""), ERR_OK, 0 },
                { "two in one record", STR_INIT("\x04\x00\x00\x03xyz\x04\x00\x00\x01z"), STR_INIT(""), ERR_OK,
                  0 },
                { "head in two", STR_INIT("\x04\x00"), STR_INIT("\x00\x03xyz"), ERR_OK, 0 },
                { "body in two", STR_INIT("\x04\x00\x00\x03x"), STR_INIT("yz"), ERR_OK, 0 },
                { "new keys behind it", STR_INIT("\x04\x00\x00\x01x\x18\x00\x00\x01\x00"), STR_INIT(""),
                  ERR_OK, 0 },
                { "new keys before it", STR_INIT("\x18\x00\x00\x01\x00\x04\x00\x00\x01x"), STR_INIT(""),
                  ERR_MALFORMED, 10 },
                { "data inside", STR_INIT("\x04\x00\x00\x03x"), STR_INIT(""), ERR_OK, 0 },
                { "of no bytes", STR_INIT("\x04\x00\x00\x00\x04"), STR_INIT(""), ERR_MALFORMED, 50 },
                { "too long", STR_INIT("\x04\x02\x00\x00x"), STR_INIT(""), ERR_MALFORMED, 50 },
                { "a request for a certificate", STR_INIT("\x0d\x00\x00\x01x"), STR_INIT(""), ERR_MALFORMED,
                  10 },
        };
        struct str data;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                start(0x1301);
                ours.is_client = true;
                enum err e = open_wire(seal(TLS_HANDSHAKE, cases[i].first.ptr, cases[i].first.len), &data);
                if (cases[i].second.len) {
                        assert_err(e, ERR_OK);
                        e = open_wire(seal(TLS_HANDSHAKE, cases[i].second.ptr, cases[i].second.len), &data);
                }
                if (e != cases[i].err || ours.alert != cases[i].alert)
                        fail_msg("%s: ERR_%s, alert %d", cases[i].why, err_name(e), ours.alert);
                if (e == ERR_OK)
                        assert_int_equal(data.len, 0);
                if (strcmp(cases[i].why, "new keys behind it") == 0)
                        assert_int_equal(ours.in.seq, 0);
                else if (e == ERR_OK) /* whole, or data may not come */
                        assert_err(open_wire(seal(TLS_DATA, "x", 1), &data),
                                   strcmp(cases[i].why, "data inside") == 0 ? ERR_MALFORMED : ERR_OK);
                stop();
        }
}

static void test_records_without_data_are_bounded(void **state)
{
        struct str data;
        enum err e = ERR_OK;
        unsigned count = 0;

        start(0x1301);
        for (int i = 0; i < 200; i++) { /* with data between them, any number */
                assert_err(open_wire(seal(TLS_DATA, "", 0), &data), ERR_OK);
                assert_err(open_wire(seal(TLS_DATA, "x", 1), &data), ERR_OK);
        }
        while (e == ERR_OK && count < 1000) {
                e = open_wire(seal(TLS_DATA, "", 0), &data);
                count++;
        }
        assert_err(e, ERR_MALFORMED);
        assert_int_equal(count, 33);
        stop();
}

static void test_alerts_of_ours(void **state)
{
        struct str data;

        start(0x1301);
        assert_true(tls_record_seal_alert(&peer, 20, wire));
        assert_err(open_wire(2 + TLS_RECORD_ADDED_BYTES, &data), ERR_MALFORMED);
        assert_int_equal(ours.alert, 0); /* nothing is answered to an alert */
        assert_true(tls_record_seal_alert(&peer, 0, wire));
        assert_err(open_wire(2 + TLS_RECORD_ADDED_BYTES, &data), ERR_CLOSED);
        stop();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_seal_and_open),
                cmocka_unit_test(test_parts),
                cmocka_unit_test(test_length),
                cmocka_unit_test(test_contents),
                cmocka_unit_test(test_forged),
                cmocka_unit_test(test_padding),
                cmocka_unit_test(test_key_updates),
                cmocka_unit_test(test_tickets),
                cmocka_unit_test(test_records_without_data_are_bounded),
                cmocka_unit_test(test_alerts_of_ours),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
