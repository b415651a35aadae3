#include "gateway/key_message.h"

#include <string.h>

#include "../test.h"

static const uint8_t key_id[TLS_KEY_ID_BYTES] = { 1, 2, 3, [TLS_KEY_ID_BYTES - 1] = 9 };

static void what_is_asked_is_read(void **state)
{
        const struct key_request asked[] = { { 7, 0x0403, key_id, STR("content") },
                                             { UINT32_MAX, 0x0804, key_id, STR("x") } };
        struct key_request r;
        struct buf packet;

        buf_init(&packet, KEY_PACKET_BYTES_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
                assert_true(key_request_add(&packet, &asked[i]));
        struct str rest = buf_str(&packet);
        for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
                assert_int_equal(key_request_next(&rest, &r), ERR_OK);
                assert_true(r.number == asked[i].number && r.scheme == asked[i].scheme);
                assert_memory_equal(r.key_id, key_id, sizeof(key_id));
                assert_true(str_eq(r.content, asked[i].content));
        }
        assert_int_equal(key_request_next(&rest, &r), ERR_NOT_FOUND);
        buf_fini(&packet);
}

static void what_is_answered_is_read(void **state)
{
        const struct key_answer said[] = { { 7, KEY_SIGNED, STR("signature") },
                                           { 8, KEY_UNKNOWN, STR("") },
                                           { 9, KEY_REFUSED, STR("") } };
        struct key_answer a;
        struct buf packet;

        buf_init(&packet, KEY_PACKET_BYTES_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(said); i++)
                assert_true(key_answer_add(&packet, &said[i]));
        struct str rest = buf_str(&packet);
        for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
                assert_int_equal(key_answer_next(&rest, &a), ERR_OK);
                assert_true(a.number == said[i].number && a.result == said[i].result);
                assert_true(str_eq(a.signature, said[i].signature));
        }
        assert_int_equal(key_answer_next(&rest, &a), ERR_NOT_FOUND);
        buf_fini(&packet);
}

/* Cut at each byte: whole only where one ends. */
static void a_part_is_refused(void **state)
{
        struct buf requests, answers;
        struct key_request r;
        struct key_answer a;
        size_t one_request, one_answer;

        buf_init(&requests, KEY_PACKET_BYTES_MAX);
        buf_init(&answers, KEY_PACKET_BYTES_MAX);
        key_request_add(&requests, &(struct key_request){ 1, 0x0403, key_id, STR("first") });
        key_answer_add(&answers, &(struct key_answer){ 1, KEY_SIGNED, STR("first") });
        one_request = requests.len;
        one_answer = answers.len;
        key_request_add(&requests, &(struct key_request){ 2, 0x0403, key_id, STR("second") });
        key_answer_add(&answers, &(struct key_answer){ 2, KEY_SIGNED, STR("second") });
        for (size_t n = 0; n <= requests.len; n++) {
                struct str rest = str_sub(buf_str(&requests), 0, n);
                bool is_whole = n == 0 || n == one_request || n == requests.len;
                enum err e;

                while ((e = key_request_next(&rest, &r)) == ERR_OK)
                        ;
                if (e != (is_whole ? ERR_NOT_FOUND : ERR_MALFORMED))
                        fail_msg("requests, %zu bytes", n);
        }
        for (size_t n = 0; n <= answers.len; n++) {
                struct str rest = str_sub(buf_str(&answers), 0, n);
                bool is_whole = n == 0 || n == one_answer || n == answers.len;
                enum err e;

                while ((e = key_answer_next(&rest, &a)) == ERR_OK)
                        ;
                if (e != (is_whole ? ERR_NOT_FOUND : ERR_MALFORMED))
                        fail_msg("answers, %zu bytes", n);
        }
        buf_fini(&requests);
        buf_fini(&answers);
}

#define ID "0123456789abcdef0123456789abcdef"

static const struct {
        const char *why;
        struct str bytes;
        enum err err;
} requests[] = {
        { "ordinary", STR_INIT("\1\0\0\0\3\4\1\0" ID "c"), ERR_OK },
        { "of nothing", STR_INIT("\1\0\0\0\3\4\0\0" ID), ERR_MALFORMED },
        { "longer than it is", STR_INIT("\1\0\0\0\3\4\2\0" ID "c"), ERR_MALFORMED },
        { "longer than any", STR_INIT("\1\0\0\0\3\4\xff\xff" ID "c"), ERR_MALFORMED },
        { "no key", STR_INIT("\1\0\0\0\3\4\1\0"), ERR_MALFORMED },
        { "a byte", STR_INIT("\1"), ERR_MALFORMED },
}, answers[] = {
        { "ordinary", STR_INIT("\1\0\0\0\0\0\1\0s"), ERR_OK },
        { "unknown", STR_INIT("\1\0\0\0\1\0\0\0"), ERR_OK },
        { "signed with nothing", STR_INIT("\1\0\0\0\0\0\0\0"), ERR_MALFORMED },
        { "refused with a signature", STR_INIT("\1\0\0\0\2\0\1\0s"), ERR_MALFORMED },
        { "no such result", STR_INIT("\1\0\0\0\3\0\0\0"), ERR_MALFORMED },
        { "longer than it is", STR_INIT("\1\0\0\0\0\0\2\0s"), ERR_MALFORMED },
        { "longer than any", STR_INIT("\1\0\0\0\0\0\1\4s"), ERR_MALFORMED },
        { "a byte", STR_INIT("\1"), ERR_MALFORMED },
};

static void shapes(void **state)
{
        struct key_request r;
        struct key_answer a;

        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
                struct str rest = requests[i].bytes;
                if (key_request_next(&rest, &r) != requests[i].err)
                        fail_msg("request: %s", requests[i].why);
        }
        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                struct str rest = answers[i].bytes;
                if (key_answer_next(&rest, &a) != answers[i].err)
                        fail_msg("answer: %s", answers[i].why);
        }
}

/* A packet is full before it is too long; the one that found no room left no trace. */
static void a_packet_has_a_bound(void **state)
{
        static char content[TLS_SIGNED_BYTES_MAX], signature[TLS_SIGNATURE_BYTES_MAX];
        struct key_request r = { 1, 0x0403, key_id, { content, sizeof(content) } };
        struct key_answer a = { 1, KEY_SIGNED, { signature, sizeof(signature) } };
        struct buf packet;
        unsigned count = 0;

        buf_init(&packet, KEY_PACKET_BYTES_MAX);
        while (key_request_add(&packet, &r))
                count++;
        assert_true(count >= KEY_REQUESTS_MAX && packet.len <= KEY_PACKET_BYTES_MAX && !packet.full);
        assert_int_equal(packet.len, count * (40 + sizeof(content)));
        buf_clear(&packet);
        for (count = 0; key_answer_add(&packet, &a);)
                count++;
        assert_int_equal(packet.len, count * (8 + sizeof(signature)));
        buf_fini(&packet);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_asked_is_read), cmocka_unit_test(what_is_answered_is_read),
                cmocka_unit_test(a_part_is_refused),     cmocka_unit_test(shapes),
                cmocka_unit_test(a_packet_has_a_bound),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
