#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/mailbox.h"
#include "with_loop.h"

struct box {
        struct mailbox mailbox;
        unsigned messages, closed;
        uint32_t kind;
        char body[MAILBOX_BODY_BYTES_MAX];
        size_t body_len, fds_count;
        int taken; /* the first descriptor */
        bool takes, closes;
};

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct box *b = CONTAINER_OF(m, struct box, mailbox);

        b->messages++;
        b->kind = kind;
        memcpy(b->body, body.ptr, body.len);
        b->body_len = body.len;
        b->fds_count = fds_count;
        if (b->takes && fds_count) {
                b->taken = fds[0];
                fds[0] = -1;
        }
        for (size_t i = 0; i < fds_count; i++)
                assert_true(fds[i] == -1 || fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        if (b->closes)
                mailbox_close(m);
}

static void on_closed(struct mailbox *m)
{
        CONTAINER_OF(m, struct box, mailbox)->closed++;
}

static void open_boxes(struct box *a, struct box *b)
{
        int fds[2];

        memset(a, 0, sizeof(*a));
        memset(b, 0, sizeof(*b));
        assert_err(mailbox_pair(fds), ERR_OK);
        assert_err(mailbox_open(&a->mailbox, loop, fds[0], on_message, on_closed), ERR_OK);
        assert_err(mailbox_open(&b->mailbox, loop, fds[1], on_message, on_closed), ERR_OK);
}

static int fds_open(void)
{
        int next = dup(0);

        close(next);
        return next;
}

static void test_messages(void **state)
{
        static struct box a, b;
        static char body[MAILBOX_BODY_BYTES_MAX + 1];

        open_boxes(&a, &b);
        assert_err(mailbox_send(&a.mailbox, 7, STR("hello"), NULL, 0), ERR_OK);
        assert_err(mailbox_send(&b.mailbox, 8, STR(""), NULL, 0), ERR_OK);
        loop_turn(loop, 100);
        assert_int_equal(b.kind, 7);
        assert_str(((struct str){ b.body, b.body_len }), STR("hello"));
        assert_int_equal(a.messages, 1);
        assert_int_equal(a.kind, 8);
        assert_int_equal(a.body_len, 0);
        memset(body, 'x', sizeof(body));
        assert_err(mailbox_send(&a.mailbox, 9, (struct str){ body, MAILBOX_BODY_BYTES_MAX }, NULL, 0),
                   ERR_OK);
        assert_err(mailbox_send(&a.mailbox, 9, (struct str){ body, MAILBOX_BODY_BYTES_MAX + 1 }, NULL, 0),
                   ERR_TOO_LARGE);
        loop_turn(loop, 100);
        assert_int_equal(b.body_len, MAILBOX_BODY_BYTES_MAX);
        assert_memory_equal(b.body, body, MAILBOX_BODY_BYTES_MAX);
        mailbox_close(&a.mailbox);
        mailbox_close(&a.mailbox);
        assert_err(mailbox_send(&a.mailbox, 1, STR("x"), NULL, 0), ERR_CLOSED);
        loop_turn(loop, 100);
        assert_int_equal(b.closed, 1);
        assert_int_equal(a.closed, 0);
        assert_err(mailbox_send(&b.mailbox, 1, STR("x"), NULL, 0), ERR_CLOSED);
}

static void test_descriptors(void **state)
{
        static struct box a, b;
        int before = fds_open(), fds[MAILBOX_FDS_MAX + 1], pipe_fds[2];
        char byte = 0;

        open_boxes(&a, &b);
        assert_int_equal(pipe(pipe_fds), 0);
        b.takes = true;
        for (int i = 0; i <= MAILBOX_FDS_MAX; i++)
                fds[i] = pipe_fds[1];
        assert_err(mailbox_send(&a.mailbox, 1, STR("fds"), fds, MAILBOX_FDS_MAX + 1), ERR_TOO_LARGE);
        assert_err(mailbox_send(&a.mailbox, 1, STR("fds"), fds, MAILBOX_FDS_MAX), ERR_OK);
        loop_turn(loop, 100);
        assert_int_equal(b.fds_count, MAILBOX_FDS_MAX);
        assert_int_equal(write(b.taken, "p", 1), 1); /* the one that was taken lives, */
        assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
        assert_int_equal(byte, 'p');
        close(b.taken);
        close(pipe_fds[1]);
        assert_int_equal(read(pipe_fds[0], &byte, 1), 0); /* the others were closed */
        close(pipe_fds[0]);
        mailbox_close(&a.mailbox);
        mailbox_close(&b.mailbox);
        assert_int_equal(fds_open(), before);
}

static void test_full(void **state)
{
        static struct box a, b;
        static char body[MAILBOX_BODY_BYTES_MAX];
        unsigned sent = 0;
        enum err e;

        open_boxes(&a, &b);
        while ((e = mailbox_send(&a.mailbox, sent, (struct str){ body, sizeof(body) }, NULL, 0)) == ERR_OK)
                assert_true(++sent < 10000);
        assert_err(e, ERR_AGAIN);
        for (unsigned i = 0; i < 1000 && b.messages < sent; i++)
                loop_turn(loop, 10);
        assert_int_equal(b.messages, sent); /* none lost, none doubled, in order */
        assert_int_equal(b.kind, sent - 1);
        assert_err(mailbox_send(&a.mailbox, 1, STR("again"), NULL, 0), ERR_OK);
        mailbox_close(&a.mailbox);
        mailbox_close(&b.mailbox);
}

static void test_close_in_the_callback(void **state)
{
        static struct box a, b;

        open_boxes(&a, &b);
        b.closes = true;
        assert_err(mailbox_send(&a.mailbox, 1, STR("one"), NULL, 0), ERR_OK);
        assert_err(mailbox_send(&a.mailbox, 1, STR("two"), NULL, 0), ERR_OK);
        loop_turn(loop, 100);
        assert_int_equal(b.messages, 1);
        assert_int_equal(b.closed, 0);
        mailbox_close(&a.mailbox);
}

/* A fallen worker sends what no honest one would. */
static const struct {
        const char *why;
        size_t len;
} bad[] = {
        { "empty", 0 },
        { "shorter than a kind", 3 },
        { "longer than a message", MAILBOX_BODY_BYTES_MAX + 5 },
};

static void test_bad_messages(void **state)
{
        static char bytes[MAILBOX_BODY_BYTES_MAX + 64];

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                static struct box b;
                int fds[2];

                memset(&b, 0, sizeof(b));
                assert_err(mailbox_pair(fds), ERR_OK);
                assert_err(mailbox_open(&b.mailbox, loop, fds[0], on_message, on_closed), ERR_OK);
                assert_int_equal(send(fds[1], bytes, bad[i].len, 0), (ssize_t)bad[i].len);
                loop_turn(loop, 100);
                if (b.closed != 1 || b.messages != 0)
                        fail_msg("%s: closed %u, messages %u", bad[i].why, b.closed, b.messages);
                close(fds[1]);
        }
}

static void test_other_process_dies(void **state)
{
        static struct box b;
        int fds[2], status;

        memset(&b, 0, sizeof(b));
        assert_err(mailbox_pair(fds), ERR_OK);
        pid_t child = fork();
        if (child == 0) {
                uint32_t kind = 3;
                _exit(send(fds[1], &kind, sizeof(kind), 0) == sizeof(kind) ? 0 : 1);
        }
        close(fds[1]);
        assert_err(mailbox_open(&b.mailbox, loop, fds[0], on_message, on_closed), ERR_OK);
        for (int i = 0; i < 100 && !b.closed; i++)
                loop_turn(loop, 100);
        assert_int_equal(b.messages, 1); /* what it said before is heard */
        assert_int_equal(b.closed, 1);
        waitpid(child, &status, 0);
}

static void test_memfd(void **state)
{
        char *large = malloc(1 << 20);
        struct str out;
        int fd;

        memset(large, 'x', 1 << 20);
        assert_err(mailbox_memfd((struct str){ large, 1 << 20 }, &fd), ERR_OK);
        assert_int_equal(pwrite(fd, "y", 1, 0), -1); /* sealed */
        assert_int_equal(ftruncate(fd, 1), -1);
        assert_err(mailbox_map(fd, (1 << 20) - 1, &out), ERR_TOO_LARGE);
        assert_err(mailbox_map(fd, 1 << 20, &out), ERR_OK);
        close(fd);
        assert_int_equal(out.len, 1 << 20);
        assert_memory_equal(out.ptr, large, 1 << 20);
        mailbox_unmap(out);
        free(large);
        assert_err(mailbox_memfd(STR(""), &fd), ERR_OK);
        assert_err(mailbox_map(fd, 10, &out), ERR_OK);
        assert_int_equal(out.len, 0);
        mailbox_unmap(out);
        close(fd);
        fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(write(fd, "x", 1), 1);
        assert_err(mailbox_map(fd, 10, &out), ERR_MALFORMED); /* could still change */
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW), 0);
        assert_err(mailbox_map(fd, 10, &out), ERR_MALFORMED); /* could still shrink */
        close(fd);
        fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        assert_err(mailbox_map(fd, 1 << 30, &out), ERR_MALFORMED);
        close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_messages),     T(test_descriptors),
                T(test_full),         T(test_close_in_the_callback),
                T(test_bad_messages), T(test_other_process_dies),
                T(test_memfd),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
