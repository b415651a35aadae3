/* A worker's side of the tailnet process; the test is that process. */
#include "../test.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "gateway/whois_message.h"
#include "gateway/whoisclient.h"
#include "io/mailbox.h"

enum { QUESTIONS = WHOISCLIENT_WAITING_MAX + 1 };

static struct loop *loop;
static struct whoisclient client;
static int far; /* the tailnet process's end */
static struct asked {
        struct caller_question q;
        unsigned times;
        enum err result;
        char login[64];
        struct caller_question *drops; /* forgets another one from inside its answer */
} asked[QUESTIONS];

static void on_answer(struct caller_question *q, enum err result, const struct caller *who)
{
        struct asked *a = CONTAINER_OF(q, struct asked, q);

        a->times++;
        a->result = result;
        if (result == ERR_OK) {
                assert_true(who->login.len < sizeof(a->login));
                memcpy(a->login, who->login.ptr, who->login.len);
        } else {
                assert_null(who);
        }
        if (a->drops)
                client.asker.forget(&client.asker, a->drops);
}

static enum err ask(struct asked *a)
{
        struct exchange_origin o = { .peer_port = 4711 };

        *a = (struct asked){ .q = { .answered = on_answer } };
        assert_err(ip_parse(STR("100.64.0.2"), &o.peer), ERR_OK);
        assert_err(ip_parse(STR("100.64.0.1"), &o.local), ERR_OK);
        return client.asker.ask(&client.asker, &a->q, &o);
}

static void channel_open(bool is_first)
{
        int pair[2];

        assert_err(mailbox_pair(pair), ERR_OK);
        far = pair[0];
        if (is_first)
                whoisclient_init(&client, loop, pair[1]);
        else
                whoisclient_channel_set(&client, pair[1]);
}

static int begin(void **state)
{
        (void)state;
        assert_err(loop_new(&loop), ERR_OK);
        channel_open(true);
        return 0;
}

static int end(void **state)
{
        (void)state;
        if (client.watch.fd >= 0) {
                loop_remove(loop, &client.watch);
                close(client.watch.fd);
        }
        timer_clear(&client.look);
        close(far);
        loop_free(loop);
        return 0;
}

static uint32_t heard(void)
{
        struct whois_question q;
        char bytes[512];
        ssize_t n = recv(far, bytes, sizeof(bytes), MSG_DONTWAIT);

        assert_true(n > 0);
        assert_err(whois_question_read((struct str){ bytes, (size_t)n }, &q), ERR_OK);
        assert_int_equal(q.peer_port, 4711);
        return q.number;
}

static void say(uint32_t number, enum err result, const char *login)
{
        const struct whois_answer a = { .number = number, .result = result, .login = str_of(login) };
        struct buf packet;

        buf_init(&packet, WHOIS_ANSWER_BYTES_MAX);
        assert_true(whois_answer_write(&packet, &a));
        assert_int_equal(send(far, packet.ptr, packet.len, 0), packet.len);
        buf_fini(&packet);
}

static void answers_find_who_asked(void **state)
{
        uint32_t numbers[3];

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                assert_err(ask(&asked[i]), ERR_OK);
                numbers[i] = heard();
        }
        say(numbers[2], ERR_OK, "carol");
        say(numbers[0], ERR_NOT_FOUND, "");
        say(numbers[2], ERR_OK, "again"); /* an answer too many, and one to nobody's question */
        say(numbers[2] + 1, ERR_OK, "mallory");
        loop_turn(loop, 100);
        assert_string_equal(asked[2].login, "carol");
        assert_err(asked[0].result, ERR_NOT_FOUND);
        assert_int_equal(asked[0].times + asked[2].times, 2);
        assert_int_equal(asked[1].times, 0);
        client.asker.forget(&client.asker, &asked[1].q);
        say(numbers[1], ERR_OK, "bob");
        loop_turn(loop, 100);
        assert_int_equal(asked[1].times, 0);
        assert_int_equal(client.waiting_count, 0);
}

static void nobody_waits_for_ever(void **state)
{
        (void)state;
        assert_err(ask(&asked[0]), ERR_OK);
        mono_ms began = loop_now(loop);

        while (!asked[0].times && loop_now(loop) < began + 10 * WHOIS_WAIT_MS)
                loop_turn(loop, 100);
        assert_err(asked[0].result, ERR_TIMED_OUT);
        assert_true(loop_now(loop) >= began + WHOIS_WAIT_MS);
        say(heard(), ERR_OK, "late");
        loop_turn(loop, 100);
        assert_int_equal(asked[0].times, 1);
}

static void only_so_many_wait(void **state)
{
        (void)state;
        for (size_t i = 0; i < WHOISCLIENT_WAITING_MAX; i++) {
                assert_err(ask(&asked[i]), ERR_OK);
                heard();
        }
        assert_err(ask(&asked[WHOISCLIENT_WAITING_MAX]), ERR_TOO_LARGE);
        client.asker.forget(&client.asker, &asked[7].q);
        assert_err(ask(&asked[WHOISCLIENT_WAITING_MAX]), ERR_OK);
}

static void a_process_that_is_gone(void **state)
{
        (void)state;
        assert_err(ask(&asked[0]), ERR_OK);
        assert_err(ask(&asked[1]), ERR_OK);
        close(far);
        loop_turn(loop, 100);
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(asked[i].times, 1);
                assert_err(asked[i].result, ERR_UNREACHABLE);
        }
        assert_err(ask(&asked[2]), ERR_UNREACHABLE);
        channel_open(false);
        assert_err(ask(&asked[2]), ERR_OK);
        say(heard(), ERR_OK, "alice");
        loop_turn(loop, 100);
        assert_string_equal(asked[2].login, "alice");
}

static void a_packet_that_is_none(void **state)
{
        (void)state;
        assert_err(ask(&asked[0]), ERR_OK);
        assert_int_equal(send(far, "x", 1, 0), 1);
        loop_turn(loop, 100);
        assert_err(asked[0].result, ERR_UNREACHABLE);
        assert_err(ask(&asked[1]), ERR_UNREACHABLE);
}

/* The answer to one ends an exchange that has asked, too. */
static void one_answer_drops_another_question(void **state)
{
        (void)state;
        for (size_t i = 0; i < 3; i++)
                assert_err(ask(&asked[i]), ERR_OK);
        asked[0].drops = &asked[1].q;
        close(far);
        loop_turn(loop, 100);
        assert_int_equal(asked[0].times, 1);
        assert_int_equal(asked[1].times, 0);
        assert_int_equal(asked[2].times, 1);
        assert_int_equal(client.waiting_count, 0);
        far = -1;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(answers_find_who_asked, begin, end),
                cmocka_unit_test_setup_teardown(nobody_waits_for_ever, begin, end),
                cmocka_unit_test_setup_teardown(only_so_many_wait, begin, end),
                cmocka_unit_test_setup_teardown(a_process_that_is_gone, begin, end),
                cmocka_unit_test_setup_teardown(a_packet_that_is_none, begin, end),
                cmocka_unit_test_setup_teardown(one_answer_drops_another_question, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
