/*
 * The exchange between two scripted sides: what it passes on, how it holds back, and what it says when an end fails.
 */
#include "proxy/exchange.h"

#include <stdio.h>
#include <stdlib.h>

#include "io/memory.h"
#include "proxy/route.h"
#include "proxy/steps.h"
#include "proxy/worker.h"

#include "../test.h"

enum { SEEN_MAX = 4096 };

/* A side that records all it is given, takes at most `takes` bytes at a time, and speaks when the test says so. */
struct scripted {
        struct side side;
        char seen[SEEN_MAX];
        size_t seen_len, takes; /* 0: takes nothing until told */
        unsigned heads, flushes, pulls, resets, releases, lasts;
        uint16_t status;
        struct str target;
        enum err reset_reason;
        struct str body; /* what a pull of a down side gives */
        size_t given;
        bool body_is_open; /* more may follow: the end is not said */
};

static struct scripted *of(struct side *s)
{
        return (struct scripted *)s;
}

static void op_head(struct side *s, struct http_head *head)
{
        of(s)->heads++;
        of(s)->status = head->status;
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct scripted *me = of(s);
        size_t taken = 0, offered = 0;

        for (size_t i = 0; i < d->slices_count; i++)
                offered += d->slices[i].len;
        for (size_t i = 0; i < d->slices_count; i++) {
                size_t n = MIN(d->slices[i].len, me->takes - taken);

                memcpy(me->seen + me->seen_len, d->slices[i].ptr, n);
                me->seen_len += n;
                taken += n;
        }
        if (d->is_last && taken == offered)
                me->lasts++;
        s->has_room = taken == offered;
        return taken;
}

static void op_flush(struct side *s)
{
        of(s)->flushes++;
}

static void op_pull(struct side *s)
{
        struct scripted *me = of(s);

        me->pulls++;
        if (!me->body.ptr || (me->body.len == me->given && me->body_is_open))
                return;
        struct str rest = str_from(me->body, me->given);
        struct side_data d = { &rest, rest.len ? 1 : 0, !me->body_is_open, NULL, 0 };
        me->given += exchange_request_data(s->x, &d);
}

static void op_reset(struct side *s, enum err reason)
{
        of(s)->resets++;
        of(s)->reset_reason = reason;
}

static void op_release(struct side *s)
{
        of(s)->releases++;
        s->x = NULL;
}

static const struct side_ops ops = { "scripted", op_head, op_data, op_flush, op_pull, op_reset, op_release };

static struct {
        struct shared shared;
        struct worker w;
        struct snapshot snap;
        struct route route;
        struct exchange_origin origin;
        struct scripted down, up;
        struct exchange *x;
        unsigned picks;
} f;

static enum step_result pick_up(struct exchange *x)
{
        f.picks++;
        if (f.picks > 3)
                return exchange_refuse(x, 502, "upstream_unreachable", "no more targets");
        exchange_start_up(x, &f.up.side);
        return STEP_NEXT;
}

static const struct handler scripted_handler = { .name = "scripted", .pick = pick_up };

static void snap_free(struct snapshot *s) {}

static int setup(void **state)
{
        memset(&f, 0, sizeof(f));
        assert_err(shared_init(&f.shared, 1), ERR_OK);
        f.w.shared = &f.shared;
        assert_err(loop_new(&f.w.loop), ERR_OK);
        list_init(&f.w.exchange_list);
        map_init(&f.w.series, f.shared.hash_key, 64);
        arena_init(&f.w.series_keys, NULL, 0, 4096);
        f.w.exchanges = pool_new(sizeof(struct exchange), 4, &memory_pages);
        f.w.exchange_blocks = pool_new(EXCHANGE_ARENA_FIRST, 4, &memory_pages);
        f.snap = (struct snapshot){ .uses = 1, .on_free = snap_free };
        f.snap.limits.requests_max = 10;
        f.snap.limits.model_lookahead_bytes = 64;
        f.w.snap = &f.snap;
        f.route = (struct route){ .name = STR("r"),
                                  .path = STR("/"),
                                  .path_kind = PATH_PREFIX,
                                  .access = { .is_public = true },
                                  .handler = &scripted_handler,
                                  .replay_bytes_max = 64 };
        f.snap.routes = (struct route_table){ &f.route, 1, false };
        f.down = (struct scripted){ .side = { .ops = &ops }, .takes = SEEN_MAX };
        f.up = (struct scripted){ .side = { .ops = &ops }, .takes = SEEN_MAX };
        return 0;
}

static int teardown(void **state)
{
        assert_int_equal(pool_taken_count(f.w.exchanges), 0); /* whatever happened, nothing is left */
        assert_int_equal(f.snap.uses, 1);
        pool_free(f.w.exchanges);
        pool_free(f.w.exchange_blocks);
        map_fini(&f.w.series);
        arena_fini(&f.w.series_keys);
        loop_free(f.w.loop);
        shared_fini(&f.shared);
        return 0;
}

static void turn(void)
{
        loop_turn(f.w.loop, 0);
}

/* A request arrives: its head, and a body the down side gives when it is pulled. */
static void ask(const char *text, const char *body)
{
        static char bytes[1024];
        struct http_field fields[HTTP_FIELDS_MAX];
        struct http_head head = { .fields = fields, .fields_max = HTTP_FIELDS_MAX };
        const struct h1_limits limits = { 4096, 1024, 50 };
        struct http_refusal refusal;
        size_t scanned = 0;

        snprintf(bytes, sizeof(bytes), "%s", text);
        assert_err(h1_request_parse(str_of(bytes), &limits, &scanned, &head, &refusal), ERR_OK);
        f.down.body = str_of(body);
        f.x = exchange_new(&f.w, &f.down.side, &f.origin, &head);
        assert_non_null(f.x);
        exchange_run(f.x);
}

static void answer_head(uint16_t status)
{
        struct http_field fields[32];
        struct http_head head = { .status = status,
                                  .version_minor = 1,
                                  .framing = HTTP_BODY_LENGTH,
                                  .keeps_alive = true,
                                  .fields = fields,
                                  .fields_max = 32 };

        exchange_answer_head(f.x, &head);
}

static size_t answer_data(const char *text, bool is_last)
{
        struct str s = str_of(text);
        struct side_data d = { &s, s.len ? 1 : 0, is_last, NULL, 0 };

        return exchange_answer_data(f.x, &d);
}

#define GET  "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"
#define POST "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n"
#define PUT  "PUT /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n"

static void passes_a_whole_exchange(void **state)
{
        ask(POST, "hello");
        assert_int_equal(f.up.heads, 1);
        assert_int_equal(f.up.lasts, 1);
        assert_memory_equal(f.up.seen, "hello", 5);
        answer_head(200);
        assert_int_equal(answer_data("wor", false), 3);
        assert_int_equal(answer_data("ld", true), 2);
        assert_memory_equal(f.down.seen, "world", 5);
        assert_int_equal(f.down.lasts, 1);
        assert_int_equal(f.down.releases, 0); /* the end comes in the next turn */
        turn();
        assert_int_equal(f.down.releases, 1);
        assert_int_equal(f.up.releases, 1);
        assert_int_equal(f.down.resets + f.up.resets, 0);
}

/* Promise 2: a side that takes less gets no more until it has room, and then exactly what was left. */
static void holds_back_upwards(void **state)
{
        f.up.takes = 2;
        ask(POST, "hello");
        assert_int_equal(f.up.seen_len, 2);
        assert_int_equal(f.up.lasts, 0);
        exchange_up_room(f.x);
        assert_int_equal(f.up.seen_len, 4);
        exchange_up_room(f.x);
        assert_int_equal(f.up.seen_len, 5);
        assert_int_equal(f.up.lasts, 1);
        assert_memory_equal(f.up.seen, "hello", 5);
        answer_head(200);
        answer_data("", true);
        turn();
}

static void holds_back_downwards(void **state)
{
        ask(GET, "");
        f.down.takes = 3;
        answer_head(200);
        assert_int_equal(answer_data("hello", true), 3);
        assert_int_equal(f.down.lasts, 0); /* the end is not said while bytes are left */
        turn();
        assert_int_equal(f.down.releases, 0);
        f.up.pulls = 0;
        exchange_down_room(f.x);
        assert_int_equal(f.up.pulls, 1);
        assert_int_equal(answer_data("lo", true), 2);
        assert_int_equal(f.down.lasts, 1);
        turn();
        assert_int_equal(f.down.releases, 1);
}

/* Promise 3: an answer that broke is a reset, never an end. */
static void broken_answer_is_a_reset(void **state)
{
        ask(GET, "");
        answer_head(200);
        answer_data("hal", false);
        exchange_up_reset(f.x, ERR_CLOSED, true);
        turn();
        assert_int_equal(f.down.lasts, 0);
        assert_int_equal(f.down.resets, 1);
        assert_int_equal(f.picks, 1);
}

/* Promise 7: whoever leaves, the other is told in the same turn. */
static void client_gone_tells_the_upstream(void **state)
{
        ask(GET, "");
        answer_head(200);
        answer_data("x", false);
        exchange_down_reset(f.x, ERR_CLOSED);
        assert_int_equal(f.up.resets, 1);
        turn();
        assert_int_equal(f.down.releases, 0);
}

static void broken_before_the_answer_is_repeated(void **state)
{
        ask(PUT, "hello");
        exchange_up_reset(f.x, ERR_CLOSED, true);
        assert_int_equal(f.down.heads, 0);
        turn();
        assert_int_equal(f.picks, 2);
        assert_int_equal(f.up.heads, 2);
        assert_int_equal(f.up.seen_len, 10); /* the body again, whole */
        assert_memory_equal(f.up.seen + 5, "hello", 5);
        assert_int_equal(f.up.lasts, 2);
        answer_head(201);
        answer_data("", true);
        turn();
        assert_int_equal(f.down.status, 201);
}

/* The log and the balancer take this time for the upstream's: an answer of our own has none. */
static void only_an_upstream_has_a_first_byte(void **state)
{
        ask(PUT, "hello");
        answer_head(200);
        assert_true(f.x->first_byte_us >= f.x->up_start_us && f.x->up_start_us > 0);
        answer_data("", true);
        turn();

        f.picks = 0;
        f.up.side = (struct side){ .ops = &ops };
        f.down.side = (struct side){ .ops = &ops };
        ask(PUT, "hello");
        for (int i = 0; i < 3; i++) {
                assert_int_equal(f.x->first_byte_us, 0);
                exchange_up_reset(f.x, ERR_CLOSED, true);
                turn();
        }
        assert_int_equal(f.down.status, 502);
        assert_int_equal(f.x->first_byte_us, 0);
        turn();

        f.picks = 3; /* refused before anybody was asked */
        f.down.side = (struct side){ .ops = &ops };
        ask(PUT, "hello");
        assert_int_equal(f.down.status, 502);
        assert_int_equal(f.x->first_byte_us, 0);
        turn();
}

static void body_too_long_to_keep_is_not_repeated(void **state)
{
        static char body[101];

        memset(body, 'b', 100);
        ask("PUT /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\n", body);
        assert_int_equal(f.up.seen_len, 100);
        exchange_up_reset(f.x, ERR_CLOSED, true);
        turn();
        assert_int_equal(f.picks, 1);
        assert_int_equal(f.down.status, 502);
        assert_int_equal(f.down.lasts, 1);
}

static void unsafe_method_is_not_kept(void **state)
{
        ask(POST, "hello");
        assert_false(exchange_is_safe_to_repeat(f.x));
        assert_false(exchange_is_replayable(f.x)); /* its body was not kept */
        exchange_up_reset(f.x, ERR_TIMED_OUT, false);
        turn();
        assert_int_equal(f.down.status, 504);
}

static void refusal_has_one_shape(void **state)
{
        ask("GET /x HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", "");
        turn();
        assert_int_equal(f.down.status, 400);
        assert_int_equal(f.picks, 0);
        assert_true(str_has_prefix((struct str){ f.down.seen, f.down.seen_len },
                                   STR("{\"error\":{\"type\":\"bad_request\",\"message\":\"")));
        assert_non_null(memmem(f.down.seen, f.down.seen_len, "\"request_id\":\"", 14));
        assert_int_equal(f.down.lasts, 1);
}

static void body_over_the_limit_is_413(void **state)
{
        f.route.body_bytes_max = 4;
        f.down.body_is_open = true;
        ask("POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n", "hello");
        turn();
        assert_int_equal(f.down.status, 413);
        assert_int_equal(f.up.resets, 1);
}

/* An answer that comes before the request is whole ends the exchange; the rest of the request is nobody's. */
static void a_route_may_have_many_rules(void **state)
{
        struct header_rule rules[40];

        for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
                rules[i] = (struct header_rule){ HEADER_ADD, STR("X-Rule"), STR("v") };
        f.route.request_rules = rules;
        f.route.request_rules_count = ARRAY_SIZE(rules);
        ask(POST, "hello");
        assert_int_equal(f.up.heads, 1);
        assert_true(f.x->request.fields_count > ARRAY_SIZE(rules));
        assert_true(str_eq(http_value(&f.x->request, HTTP_FIELD_HOST), STR("a.test")));
        answer_head(200);
        assert_int_equal(answer_data("", true), 0);
        turn();
}

static void early_answer(void **state)
{
        f.down.body_is_open = true;
        ask(POST, "he");
        answer_head(403);
        answer_data("no", true);
        turn();
        assert_int_equal(f.down.lasts, 1);
        assert_int_equal(f.up.releases, 1);
        assert_int_equal(f.up.lasts, 0);
}

static void unasked_101_is_502(void **state)
{
        ask(GET, "");
        answer_head(101);
        turn();
        assert_int_equal(f.down.status, 502);
        assert_int_equal(f.up.resets, 1);
}

static void concurrency_is_given_back(void **state)
{
        f.snap.limits.requests_max = 1;
        ask(GET, "");
        assert_int_equal(tally_count(f.shared.requests, 0), 1);
        answer_head(200);
        answer_data("", true);
        turn();
        assert_int_equal(tally_count(f.shared.requests, 0), 0);
}

static void reset_at_every_event_leaks_nothing(void **state)
{
        /* 0 to 4: where it breaks; even: the client, odd: the upstream */
        for (int at = 0; at < 10; at++) {
                teardown(state);
                setup(state);
                f.up.takes = at / 2 == 0 ? 2 : SEEN_MAX;
                ask(POST, "hello");
                if (at / 2 >= 1)
                        answer_head(200);
                if (at / 2 >= 2)
                        answer_data("a", false);
                if (at / 2 >= 3) {
                        f.down.takes = 1;
                        answer_data("bc", false);
                }
                if (at / 2 >= 4)
                        turn();
                if (at % 2)
                        exchange_up_reset(f.x, ERR_IO, false);
                else
                        exchange_down_reset(f.x, ERR_IO);
                turn();
                assert_int_equal(f.down.lasts, at == 1 ? 1 : 0); /* only our own 502 is ever an end here */
        }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(passes_a_whole_exchange),
                T(holds_back_upwards),
                T(holds_back_downwards),
                T(broken_answer_is_a_reset),
                T(client_gone_tells_the_upstream),
                T(broken_before_the_answer_is_repeated),
                T(only_an_upstream_has_a_first_byte),
                T(body_too_long_to_keep_is_not_repeated),
                T(unsafe_method_is_not_kept),
                T(refusal_has_one_shape),
                T(body_over_the_limit_is_413),
                T(a_route_may_have_many_rules),
                T(early_answer),
                T(unasked_101_is_502),
                T(concurrency_is_given_back),
                T(reset_at_every_event_leaks_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
