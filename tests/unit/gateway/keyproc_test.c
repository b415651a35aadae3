/* The key holder as a process: what honest and hostile workers hear of it. */
#include "gateway/keyproc.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

#include "../io/certs.h"
#include "conf/source.h"
#include "gateway/key_message.h"
#include "gateway/message.h"
#include "io/mailbox.h"
#include "io/tls_keys_priv.h"

enum { WAIT_MS = 10000 };

static struct issued cert, other;
static uint8_t id[TLS_KEY_ID_BYTES], other_id[TLS_KEY_ID_BYTES];
static struct board *board;
static struct loop *loop;
static struct mailbox mailbox;
static struct watchdog watchdog;
static pid_t holder;
static uint64_t held, failed;
static bool is_ready, is_gone;

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct message_applied applied = { 0 };

        if (body.len == sizeof(applied))
                memcpy(&applied, body.ptr, sizeof(applied));
        is_ready |= kind == MESSAGE_READY;
        held = kind == MESSAGE_APPLIED ? applied.number : held;
        failed = kind == MESSAGE_FAILED ? applied.number : failed;
}

static void on_gone(struct mailbox *m)
{
        is_gone = true;
}

static void on_stuck(void *context, unsigned place, int64_t silent_ms) {}

static int setup(void **state)
{
        int pair[2];

        cert = issue((struct issue){ .common_name = "a" });
        other = issue((struct issue){ .common_name = "b", .is_rsa = true });
        assert_true(tls_key_id(cert.key, id) && tls_key_id(other.key, other_id));
        assert_non_null(board = board_new(1, 0));
        assert_int_equal(loop_new(&loop), ERR_OK);
        assert_int_equal(watchdog_init(&watchdog, loop, on_stuck, NULL), ERR_OK);
        assert_int_equal(mailbox_pair(pair), ERR_OK);
        if ((holder = fork()) == 0) {
                const struct keyproc_input in = { .mailbox_fd = pair[1],
                                                  .board = board,
                                                  .watchdog = &watchdog };

                close(pair[0]);
                loop_forget(loop);
                _exit(keyproc_run(&in));
        }
        close(pair[1]);
        assert_int_equal(mailbox_open(&mailbox, loop, pair[0], on_message, on_gone), ERR_OK);
        for (int i = 0; i < 1000 && !is_ready; i++)
                loop_turn(loop, 10);
        assert_true(is_ready);
        return 0;
}

static int teardown(void **state)
{
        int status;

        assert_false(is_gone);
        mailbox_close(&mailbox); /* the supervisor is gone: so does the key holder */
        assert_int_equal(waitpid(holder, &status, 0), holder);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        loop_free(loop);
        issued_free(&cert);
        issued_free(&other);
        return 0;
}

static bool give(uint64_t number, struct str keys)
{
        const struct message_applied m = { number };
        int fd;

        held = failed = 0;
        assert_int_equal(mailbox_memfd(keys, &fd), ERR_OK);
        assert_int_equal(
                mailbox_send(&mailbox, MESSAGE_KEYS, (struct str){ (const char *)&m, sizeof(m) }, &fd, 1),
                ERR_OK);
        close(fd);
        for (int i = 0; i < 1000 && !held && !failed; i++)
                loop_turn(loop, 10);
        assert_true(held == number || failed == number);
        return held == number;
}

static bool give_key(uint64_t number, const struct issued *i)
{
        struct buf keys;

        buf_init(&keys, 65536);
        conf_keys_add(&keys, str_of(i->key_pem));
        bool ok = give(number, buf_str(&keys));
        buf_fini(&keys);
        return ok;
}

static int channel(unsigned worker)
{
        const struct message_channel m = { worker };
        int pair[2];

        assert_int_equal(mailbox_pair(pair), ERR_OK);
        assert_int_equal(mailbox_send(&mailbox, MESSAGE_CHANNEL, (struct str){ (const char *)&m, sizeof(m) },
                                      &pair[1], 1),
                         ERR_OK);
        close(pair[1]);
        return pair[0];
}

/* What comes back; empty: the channel was closed. */
static struct str hear(int fd)
{
        static char bytes[KEY_PACKET_BYTES_MAX];
        struct pollfd p = { .fd = fd, .events = POLLIN };

        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        return (struct str){ bytes, n > 0 ? (size_t)n : 0 };
}

static struct str content(char out[TLS_SIGNED_BYTES_MAX])
{
        static const char who[] = "TLS 1.3, server CertificateVerify";

        memset(out, ' ', 64);
        memcpy(out + 64, who, sizeof(who));
        memset(out + 64 + sizeof(who), 7, 32);
        return (struct str){ out, 64 + sizeof(who) + 32 };
}

static enum key_result ask(int fd, const uint8_t *key_id, uint16_t scheme, struct str what)
{
        struct key_answer a;
        struct buf packet;

        buf_init(&packet, KEY_PACKET_BYTES_MAX);
        assert_true(key_request_add(&packet, &(struct key_request){ 5, scheme, key_id, what }));
        assert_int_equal(send(fd, packet.ptr, packet.len, 0), packet.len);
        buf_fini(&packet);
        struct str heard = hear(fd);
        assert_int_equal(key_answer_next(&heard, &a), ERR_OK);
        assert_int_equal(a.number, 5);
        assert_int_equal(heard.len, 0);
        return a.result;
}

static void it_signs_with_the_keys_of_now_and_before(void **state)
{
        char bytes[TLS_SIGNED_BYTES_MAX];
        struct str c = content(bytes);
        int fd = channel(0);

        assert_int_equal(ask(fd, id, 0x0403, c), KEY_UNKNOWN);
        assert_true(give_key(1, &cert));
        assert_int_equal(atomic_load(&board->keys.keys), 1);
        assert_int_equal(ask(fd, id, 0x0403, c), KEY_SIGNED);
        assert_int_equal(ask(fd, id, 0x0804, c), KEY_REFUSED); /* not of its kind */
        assert_int_equal(ask(fd, id, 0x0403, STR("anything else")), KEY_REFUSED);
        assert_int_equal(ask(fd, other_id, 0x0804, c), KEY_UNKNOWN);
        assert_true(give_key(2, &other));
        assert_int_equal(ask(fd, other_id, 0x0804, c), KEY_SIGNED);
        assert_int_equal(ask(fd, id, 0x0403, c), KEY_SIGNED);
        /* Given twice under one number, as when a reload was refused, it pushes nothing out. */
        assert_true(give_key(2, &other));
        assert_true(give_key(2, &other));
        assert_int_equal(ask(fd, id, 0x0403, c), KEY_SIGNED);
        assert_true(give_key(3, &other));
        assert_int_equal(ask(fd, id, 0x0403, c), KEY_UNKNOWN);
        close(fd);
}

static void what_are_no_keys_changes_nothing(void **state)
{
        static const struct str bad[] = { STR_INIT("\4\0\0\0none"), STR_INIT("\xff\0\0\0x"), STR_INIT("xx") };
        char bytes[TLS_SIGNED_BYTES_MAX];
        int fd = channel(0);

        assert_true(give_key(10, &cert));
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_false(give(11, bad[i]));
        assert_int_equal(ask(fd, id, 0x0403, content(bytes)), KEY_SIGNED);
        assert_true(give(12, STR(""))); /* a configuration without keys */
        assert_true(give_key(13, &cert));
        close(fd);
}

static void several_of_a_packet_are_answered_together(void **state)
{
        char bytes[TLS_SIGNED_BYTES_MAX];
        struct str c = content(bytes);
        struct key_answer a;
        struct buf packet;
        int fd = channel(1);

        assert_true(give_key(20, &cert));
        buf_init(&packet, KEY_PACKET_BYTES_MAX);
        for (uint32_t i = 0; i < KEY_REQUESTS_MAX; i++)
                key_request_add(&packet, &(struct key_request){ i, 0x0403, id, c });
        assert_int_equal(send(fd, packet.ptr, packet.len, 0), packet.len);
        struct str heard = hear(fd);
        for (uint32_t i = 0; i < KEY_REQUESTS_MAX; i++) {
                assert_int_equal(key_answer_next(&heard, &a), ERR_OK);
                assert_true(a.number == i && a.result == KEY_SIGNED);
        }
        assert_int_equal(heard.len, 0);
        buf_fini(&packet);
        close(fd);
}

/* Whatever a fallen worker says: it is not heard any more, and the others are. */
static void a_hostile_worker_harms_nobody(void **state)
{
        static char large[KEY_PACKET_BYTES_MAX + 1], zeros[KEY_PACKET_BYTES_MAX];
        static const struct {
                const char *why;
                struct str bytes;
        } cases[] = {
                { "a byte", STR_INIT("x") },
                { "text",
                  STR_INIT("GET / HTTP/1.1\r\nHost: keys\r\n\r\nand then some more of it, to be long") },
                { "a packet too long", { large, sizeof(large) } },
                { "zeros", { zeros, sizeof(zeros) } },
                { "a head alone", { zeros, 40 } },
        };
        char bytes[TLS_SIGNED_BYTES_MAX];
        struct str c = content(bytes);
        int honest = channel(0);

        assert_true(give_key(30, &cert));
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int fd = channel(1);

                assert_int_equal(send(fd, cases[i].bytes.ptr, cases[i].bytes.len, 0), cases[i].bytes.len);
                if (hear(fd).len != 0)
                        fail_msg("%s was answered", cases[i].why);
                assert_int_equal(ask(honest, id, 0x0403, c), KEY_SIGNED);
                close(fd);
        }
        /* More requests than a packet may have: those within the bound are answered, then it is over. */
        struct buf packet;
        int fd = channel(1);

        buf_init(&packet, KEY_PACKET_BYTES_MAX);
        for (uint32_t i = 0; i <= KEY_REQUESTS_MAX; i++)
                assert_true(key_request_add(&packet, &(struct key_request){ i, 0x0403, id, c }));
        assert_int_equal(send(fd, packet.ptr, packet.len, 0), packet.len);
        assert_true(hear(fd).len > 0);
        assert_int_equal(hear(fd).len, 0);
        close(fd);
        /* One that asks and never listens: its answers are dropped, nobody waits for it. */
        fd = channel(1);
        packet.len = 0;
        for (uint32_t i = 0; i < KEY_REQUESTS_MAX; i++)
                key_request_add(&packet, &(struct key_request){ i, 0x0403, id, c });
        for (int i = 0; i < 1000 && atomic_load(&board->keys.dropped) == 0; i++) {
                send(fd, packet.ptr, packet.len, MSG_DONTWAIT);
                if (i % 10 == 0)
                        assert_int_equal(ask(honest, id, 0x0403, c), KEY_SIGNED);
        }
        assert_true(atomic_load(&board->keys.dropped) > 0);
        assert_int_equal(ask(honest, id, 0x0403, c), KEY_SIGNED);
        buf_fini(&packet);
        close(fd);
        close(honest);
}

/* A descriptor sent along is not taken. */
static void descriptors_are_not_taken(void **state)
{
        char bytes[TLS_SIGNED_BYTES_MAX];
        struct str c = content(bytes);
        struct buf packet;
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        int fd = channel(1), pair[2];

        assert_true(give_key(40, &cert));
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        buf_init(&packet, KEY_PACKET_BYTES_MAX);
        key_request_add(&packet, &(struct key_request){ 1, 0x0403, id, c });
        struct iovec part = { packet.ptr, packet.len };
        struct msghdr m = { .msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.room,
                            .msg_controllen = sizeof(control.room) };
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        *h = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS,
                               .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(h), &pair[1], sizeof(int));
        assert_int_equal(sendmsg(fd, &m, 0), packet.len);
        close(pair[1]);
        assert_true(hear(fd).len > 0);
        char byte;
        assert_int_equal(recv(pair[0], &byte, 1, 0), 0); /* the other end is closed everywhere */
        close(pair[0]);
        close(fd);
        buf_fini(&packet);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_signs_with_the_keys_of_now_and_before),
                cmocka_unit_test(what_are_no_keys_changes_nothing),
                cmocka_unit_test(several_of_a_packet_are_answered_together),
                cmocka_unit_test(a_hostile_worker_harms_nobody),
                cmocka_unit_test(descriptors_are_not_taken),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
