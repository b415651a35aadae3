/* A worker's side of the key holder, with real handshakes; the test is the key holder. */
#include "../io/tls_ends.h"

#include <sys/socket.h>

#include "gateway/key_message.h"
#include "gateway/keyclient.h"
#include "io/mailbox.h"

static struct keyclient client;
static int holder; /* our end of the channel */
static struct tls_context *context;
static struct conn servers[4];
static struct raw peers[4];

static void channel_open(bool is_first)
{
        int pair[2];

        assert_err(mailbox_pair(pair), ERR_OK);
        holder = pair[0];
        if (is_first)
                keyclient_init(&client, loop, pair[1]);
        else
                keyclient_channel_set(&client, pair[1]);
}

static void begin(void)
{
        channel_open(true);
        context = server_of(&a_cert);
        context->signer = &client.signer;
}

static void end(void)
{
        int fd = client.watch.fd;

        loop_remove(loop, &client.watch);
        close(fd);
        timer_clear(&client.look);
        buf_fini(&client.packet);
        close(holder);
        tls_context_put(context);
}

static void handshakes_begin(size_t count)
{
        int fds[2];

        for (size_t i = 0; i < count; i++) {
                memset(&servers[i], 0, sizeof(servers[i]));
                tcp_pair(fds);
                peers[i] = raw_open(fds[1], "a.example");
                SSL_connect(peers[i].ssl);
                assert_err(stream_open_tls_server(&servers[i].stream, loop, fds[0], &events, context),
                           ERR_OK);
        }
        turns(3);
}

/* Whether all of them succeed now. */
static bool handshakes_end(size_t count)
{
        size_t open = 0;

        for (int round = 0; round < 500 && open < count; round++) {
                open = 0;
                for (size_t i = 0; i < count; i++) {
                        SSL_connect(peers[i].ssl);
                        open += servers[i].opened;
                }
                loop_turn(loop, 10);
        }
        bool ok = open == count;

        for (size_t i = 0; i < count; i++) {
                ok &= servers[i].opened == 1 && servers[i].open_err == ERR_OK;
                raw_close(&peers[i]);
                close_conn(&servers[i], STREAM_CLOSE_RESET);
        }
        return ok;
}

/* Reads a packet of the client and answers all in it, or nothing; how many there were. */
static unsigned serve(bool answers)
{
        char bytes[KEY_PACKET_BYTES_MAX];
        uint8_t signature[TLS_SIGNATURE_BYTES_MAX];
        struct key_request r;
        struct buf packet;
        unsigned count = 0;
        ssize_t n = recv(holder, bytes, sizeof(bytes), MSG_DONTWAIT);
        struct str rest = { bytes, n > 0 ? (size_t)n : 0 };
        size_t len;

        buf_init(&packet, KEY_PACKET_BYTES_MAX);
        while (key_request_next(&rest, &r) == ERR_OK) {
                assert_err(tls_keyring_sign(remote.ring, r.key_id, r.scheme, r.content, signature, &len),
                           ERR_OK);
                assert_true(key_answer_add(
                        &packet, &(struct key_answer){ r.number, KEY_SIGNED, { (char *)signature, len } }));
                count++;
        }
        if (answers && packet.len)
                assert_int_equal(send(holder, packet.ptr, packet.len, 0), packet.len);
        buf_fini(&packet);
        turns(2);
        return count;
}

static void what_a_turn_gathers_goes_together(void **state)
{
        begin();
        handshakes_begin(4);
        unsigned first = serve(true);
        assert_true(first >= 1);
        for (unsigned count = first; count < 4;)
                count += serve(true);
        assert_true(handshakes_end(4));
        assert_int_equal(client.waiting_count, 0);
        end();
}

/* What the dead one had not answered is asked again of the next, and what it never got. */
static void another_key_holder_is_asked_again(void **state)
{
        begin();
        handshakes_begin(2);
        unsigned count = 0;
        while (count < 2)
                count += serve(false);
        close(holder);
        turns(3);
        assert_int_equal(client.watch.fd, -1);
        assert_int_equal(client.waiting_count, 2);
        channel_open(false);
        turns(2);
        assert_int_equal(serve(true), 2);
        assert_true(handshakes_end(2));
        end();
}

static void nonsense_from_the_key_holder_ends_the_channel(void **state)
{
        static const struct str nonsense[] = { STR_INIT("x"), STR_INIT("\1\0\0\0\7\0\0\0"),
                                               STR_INIT("\1\0\0\0\0\0\xff\xffsignature") };

        begin();
        for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
                handshakes_begin(1);
                assert_int_equal(send(holder, nonsense[i].ptr, nonsense[i].len, 0), nonsense[i].len);
                turns(2);
                assert_int_equal(client.watch.fd, -1);
                close(holder);
                channel_open(false);
                turns(2);
                assert_int_equal(serve(true), 1);
                assert_true(handshakes_end(1));
        }
        end();
}

static void answers_that_nobody_waits_for_are_nothing(void **state)
{
        struct buf packet;

        begin();
        buf_init(&packet, KEY_PACKET_BYTES_MAX);
        key_answer_add(&packet, &(struct key_answer){ 999, KEY_SIGNED, STR("signature") });
        key_answer_add(&packet, &(struct key_answer){ 0, KEY_REFUSED, STR("") });
        assert_int_equal(send(holder, packet.ptr, packet.len, 0), packet.len);
        turns(2);
        assert_true(client.watch.fd >= 0);
        /* One that was forgotten: its connection is gone. */
        handshakes_begin(2);
        raw_close(&peers[1]);
        close_conn(&servers[1], STREAM_CLOSE_RESET);
        assert_int_equal(client.waiting_count, 1);
        assert_true(serve(true) >= 1);
        serve(true);
        assert_true(handshakes_end(1));
        buf_fini(&packet);
        end();
}

static void a_refusal_is_an_answer(void **state)
{
        struct buf packet;

        begin();
        handshakes_begin(1);
        serve(false);
        buf_init(&packet, KEY_PACKET_BYTES_MAX);
        key_answer_add(&packet, &(struct key_answer){ client.number, KEY_UNKNOWN, STR("") });
        assert_int_equal(send(holder, packet.ptr, packet.len, 0), packet.len);
        turns(2);
        assert_int_equal(servers[0].opened, 1);
        assert_err(servers[0].open_err, ERR_TLS);
        assert_false(handshakes_end(1));
        buf_fini(&packet);
        end();
}

static void nobody_waits_for_ever(void **state)
{
        begin();
        handshakes_begin(1);
        int64_t start = loop_clock_us();
        while (!servers[0].opened && loop_clock_us() - start < 3 * KEYCLIENT_WAIT_MS * 1000)
                loop_turn(loop, 50);
        assert_int_equal(servers[0].opened, 1);
        assert_true(servers[0].open_err != ERR_OK);
        assert_true(loop_clock_us() - start >= KEYCLIENT_WAIT_MS * 1000 - 1000);
        assert_int_equal(client.waiting_count, 0);
        assert_false(handshakes_end(1));
        end();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(what_a_turn_gathers_goes_together),
                T(another_key_holder_is_asked_again),
                T(nonsense_from_the_key_holder_ends_the_channel),
                T(answers_that_nobody_waits_for_are_nothing),
                T(a_refusal_is_an_answer),
                T(nobody_waits_for_ever),
        };

        keys_are_remote = true;
        return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
