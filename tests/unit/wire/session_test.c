#include "lab.h"

#include "wire/session.h"

/* One node, one control, and nothing between them: what one says the other hears in the same millisecond. */
struct pair {
        struct wire_node_end *node;
        struct wire_control_end *control;
        struct wire_pacer pacer;
        mono_ms now;
        struct wire_document *given; /* by the node's end, not answered yet */
        unsigned dials, given_count, renewals, told_applied, told_refused, node_closes, control_closes,
                faults, messages;
        size_t texts_to_node;
        enum wire_type last_at_node, last_at_control;
        char last_refusal[256];
        const char *last_close;
        bool holds; /* the node's caller takes its time */
        bool is_connected;
};

static struct wire_node_conf node_conf(struct wire_document *have)
{
        struct wire_node_conf c = { WIRE_GATEWAY,   STR("gw-aaaaaaaaaaaaaaaa"),
                                    STR("default"), STR("sekisho/test"),
                                    { 0 },          have };

        memcpy(c.document_key, lab_key(), WIRE_PUBLIC_BYTES);
        return c;
}

static void node_take(struct pair *p, const struct wire_event *e)
{
        if (e->want == WIRE_WANT_DIAL)
                p->dials++;
        else if (e->want == WIRE_WANT_SEND && p->is_connected)
                wire_control_end_receive(p->control, e->text, p->now);
        else if (e->want == WIRE_WANT_PING && p->is_connected)
                wire_control_end_heard(p->control, p->now),
                        wire_node_end_heard(p->node, p->now); /* the pong */
        else if (e->want == WIRE_WANT_CLOSE)
                p->node_closes++, p->last_close = e->why;
        else if (e->want == WIRE_WANT_DOCUMENT) {
                p->given_count++;
                p->renewals += e->is_renewal;
                if (!p->holds)
                        wire_node_end_applied(p->node, p->now);
        } else if (e->want == WIRE_WANT_MESSAGE && e->message)
                p->messages++, p->last_at_node = e->message->type;
        else if (e->want == WIRE_WANT_MESSAGE)
                p->faults++;
}

static void control_take(struct pair *p, const struct wire_event *e)
{
        if (e->want == WIRE_WANT_SEND) {
                p->texts_to_node += e->text.len;
                wire_node_end_receive(p->node, e->text, p->now);
        } else if (e->want == WIRE_WANT_PING)
                wire_node_end_heard(p->node, p->now), wire_control_end_heard(p->control, p->now);
        else if (e->want == WIRE_WANT_CLOSE)
                p->control_closes++, p->last_close = e->why;
        else if (e->want == WIRE_WANT_DOCUMENT)
                p->told_applied++;
        else if (e->want == WIRE_WANT_REFUSED) {
                p->told_refused++;
                snprintf(p->last_refusal, sizeof(p->last_refusal), "%.*s", STR_FMT(e->text));
        } else if (e->want == WIRE_WANT_MESSAGE && e->message)
                p->last_at_control = e->message->type;
}

static void run(struct pair *p)
{
        struct wire_event e;
        bool was_busy = true;

        while (was_busy) {
                wire_node_end_next(p->node, p->now, true, &e);
                was_busy = e.want != WIRE_WANT_NOTHING;
                node_take(p, &e);
                if (!p->control)
                        continue;
                wire_control_end_next(p->control, p->now, true, &e);
                was_busy |= e.want != WIRE_WANT_NOTHING;
                control_take(p, &e);
        }
}

static void advance(struct pair *p, int64_t ms)
{
        mono_ms end = p->now + ms;

        run(p);
        while (p->now < end) {
                mono_ms next = wire_node_end_deadline(p->node);
                if (p->control)
                        next = MIN(next, wire_control_end_deadline(p->control));
                p->now = MIN(end, MAX(next, p->now + 1));
                run(p);
        }
}

static void connect(struct pair *p, struct wire_document *target)
{
        wire_control_end_free(p->control);
        assert_err(wire_control_end_new(&p->pacer, STR("sekisho/test"), 1, p->now, &p->control), ERR_OK);
        if (target)
                wire_control_end_set(p->control, target, p->now);
        p->is_connected = true;
        wire_node_end_opened(p->node, p->now);
}

static void begin(struct pair *p, struct wire_document *have, struct wire_document *target)
{
        struct wire_node_conf conf = node_conf(have);

        memset(p, 0, sizeof(*p));
        p->now = 1000;
        wire_pacer_init(&p->pacer, p->now);
        assert_err(wire_node_end_new(&conf, &p->node), ERR_OK);
        run(p);
        assert_int_equal(p->dials, 1);
        connect(p, target);
        advance(p, 100);
}

static void end(struct pair *p)
{
        wire_node_end_free(p->node);
        wire_control_end_free(p->control);
}

static struct wire_document *make(uint64_t epoch, uint64_t version, uint64_t seed)
{
        return lab_document(lab_header(epoch, version), &seed, 60);
}

static bool node_has(const struct pair *p, const struct wire_document *d)
{
        const struct wire_document *have = wire_node_end_document(p->node);

        return have && memcmp(wire_document_hash(have), wire_document_hash(d), WIRE_HASH_BYTES) == 0;
}

static void a_new_node_gets_the_whole_then_changes(void **state)
{
        struct wire_document *a = make(1, 1, 1), *b = make(1, 2, 2);
        struct pair p;
        (void)state;

        begin(&p, NULL, a);
        assert_true(node_has(&p, a));
        assert_int_equal(wire_control_end_wholes(p.control), 1);
        assert_int_equal(p.told_applied, 1);
        wire_control_end_set(p.control, b, p.now);
        advance(&p, WIRE_GATHER_MS - 1);
        assert_false(node_has(&p, b));
        advance(&p, 1);
        assert_true(node_has(&p, b));
        assert_int_equal(wire_control_end_wholes(p.control), 1);
        assert_int_equal(wire_control_end_changes(p.control), 1);
        end(&p);
        wire_document_put(a);
        wire_document_put(b);
}

static void who_has_it_is_told_nothing(void **state)
{
        struct wire_document *a = make(1, 1, 1);
        struct pair p;
        (void)state;

        begin(&p, a, a);
        assert_int_equal(wire_control_end_wholes(p.control) + wire_control_end_changes(p.control), 0);
        assert_int_equal(p.given_count, 0);
        end(&p);
        wire_document_put(a);
}

/* Control does not know what the node had, but its items are the same: no item travels. */
static void a_new_leader_or_lease_sends_no_items(void **state)
{
        struct wire_header leader = lab_header(2, 1), lease = lab_header(1, 1);
        struct wire_document *a = make(1, 1, 1), *b, *c;
        struct pair p;
        (void)state;

        lease.issued += 86400;
        assert_err(wire_document_reissue(a, &leader, lab_seed, &b), ERR_OK);
        assert_err(wire_document_reissue(a, &lease, lab_seed, &c), ERR_OK);
        begin(&p, a, b);
        assert_true(node_has(&p, b));
        assert_int_equal(wire_control_end_wholes(p.control), 0);
        assert_true(p.texts_to_node < 1000);
        end(&p);
        begin(&p, a, c);
        assert_int_equal(wire_document_header(wire_node_end_document(p.node))->issued, lease.issued);
        assert_int_equal(p.renewals, 1);
        assert_int_equal(wire_control_end_wholes(p.control), 0);
        end(&p);
        wire_document_put(a);
        wire_document_put(b);
        wire_document_put(c);
}

static void many_edits_are_gathered(void **state)
{
        struct wire_document *d = make(1, 1, 1);
        struct pair p;
        (void)state;

        begin(&p, NULL, d);
        wire_document_put(d);
        for (uint64_t v = 2; v < 42; v++) { /* one a millisecond */
                d = make(1, v, v);
                wire_control_end_set(p.control, d, p.now);
                advance(&p, 1);
                if (v < 41)
                        wire_document_put(d);
        }
        advance(&p, 100);
        assert_true(node_has(&p, d));
        assert_true(wire_control_end_changes(p.control) <= 2);
        wire_document_put(d);
        end(&p);
}

static void what_was_overtaken_is_never_given(void **state)
{
        struct wire_document *a = make(1, 1, 1), *b = make(1, 2, 2), *c = make(1, 3, 3);
        struct wire_change *change;
        struct buf text;
        struct pair p;
        (void)state;

        begin(&p, NULL, NULL);
        p.holds = true;
        buf_init(&text, WIRE_MESSAGE_MAX);
        wire_document_write(a, &text);
        wire_node_end_receive(p.node, buf_str(&text), p.now);
        run(&p);
        assert_int_equal(p.given_count, 1);
        const struct wire_document *steps[] = { a, b, c };
        for (size_t i = 1; i < 3; i++) {
                buf_clear(&text);
                assert_err(wire_change_between(steps[i - 1], steps[i], &change), ERR_OK);
                wire_change_write(change, &text);
                wire_change_free(change);
                wire_node_end_receive(p.node, buf_str(&text), p.now);
                run(&p);
        }
        assert_int_equal(p.given_count, 1); /* the caller still has a */
        p.holds = false;
        wire_node_end_applied(p.node, p.now);
        run(&p);
        assert_int_equal(p.given_count, 2); /* c; b was never seen */
        assert_true(node_has(&p, c));
        buf_fini(&text);
        end(&p);
        wire_document_put(a);
        wire_document_put(b);
        wire_document_put(c);
}

static void what_is_refused_stays_away(void **state)
{
        struct wire_document *a = make(1, 1, 1), *b = make(1, 2, 2), *c = make(1, 3, 3);
        struct pair p;
        (void)state;

        begin(&p, NULL, a);
        p.holds = true;
        wire_control_end_set(p.control, b, p.now);
        advance(&p, 100);
        wire_node_end_refused(p.node, STR("two services have one host"), p.now);
        advance(&p, 10000);
        assert_int_equal(p.told_refused, 1);
        assert_string_equal(p.last_refusal, "two services have one host");
        assert_true(node_has(&p, a));
        assert_int_equal(p.given_count, 2); /* not again */
        p.holds = false;
        wire_control_end_set(p.control, c, p.now);
        advance(&p, 100);
        assert_true(node_has(&p, c));
        assert_int_equal(wire_control_end_wholes(p.control), 1);
        end(&p);
        wire_document_put(a);
        wire_document_put(b);
        wire_document_put(c);
}

/* T25: whatever comes, the one in force stays. */
static void hostile_documents(void **state)
{
        static const struct {
                const char *why;
                uint64_t epoch, version;
                const char *seed; /* NULL: the right one */
                const char *node;
        } cases[] = {
                { "an older epoch", 1, 99, NULL, NULL },
                { "an older version", 2, 4, NULL, NULL },
                { "the same number, other contents", 2, 5, NULL, NULL },
                { "signed by somebody else", 2, 6, "another seed of thirty-two bytes", NULL },
                { "another node's", 2, 6, NULL, "gw-bbbbbbbbbbbbbbbb" },
        };
        struct wire_document *have = make(2, 5, 1), *d, *good = make(2, 6, 9);
        struct buf text;
        struct pair p;
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct wire_header h = lab_header(cases[i].epoch, cases[i].version);
                uint64_t random = 77;
                if (cases[i].node)
                        h.node = str_of(cases[i].node);
                d = lab_document(h, &random, 30);
                if (cases[i].seed) {
                        struct wire_document *other;
                        assert_err(wire_document_reissue(d, &h, (const uint8_t *)cases[i].seed, &other),
                                   ERR_OK);
                        wire_document_put(d);
                        d = other;
                }
                begin(&p, have, NULL);
                buf_init(&text, WIRE_MESSAGE_MAX);
                wire_document_write(d, &text);
                wire_node_end_receive(p.node, buf_str(&text), p.now);
                run(&p);
                if (p.given_count || !node_has(&p, have) || p.told_refused != 1 || p.faults != 1)
                        fail_msg("%s", cases[i].why);
                /* And the next good one is taken. */
                buf_clear(&text);
                wire_document_write(good, &text);
                wire_node_end_receive(p.node, buf_str(&text), p.now);
                run(&p);
                assert_true(node_has(&p, good));
                buf_fini(&text);
                end(&p);
                wire_document_put(d);
        }
        wire_document_put(have);
        wire_document_put(good);
}

static void a_change_from_elsewhere_leads_to_one_resync(void **state)
{
        struct wire_document *a = make(1, 1, 1), *b = make(1, 1, 2), *c = make(1, 2, 3);
        struct wire_change *change;
        struct buf text;
        struct pair p;
        (void)state;

        begin(&p, a, a);
        wire_control_end_set(p.control, c, p.now);
        assert_err(wire_change_between(b, c, &change), ERR_OK);
        buf_init(&text, WIRE_MESSAGE_MAX);
        wire_change_write(change, &text);
        for (size_t i = 0; i < 3; i++)
                wire_node_end_receive(p.node, buf_str(&text), p.now);
        advance(&p, 200);
        assert_true(node_has(&p, c));
        assert_int_equal(wire_control_end_wholes(p.control), 1);
        wire_change_free(change);
        buf_fini(&text);
        end(&p);
        wire_document_put(a);
        wire_document_put(b);
        wire_document_put(c);
}

/* A node that asks again and again costs control less and less. */
static void a_stream_of_resyncs_is_slowed(void **state)
{
        struct wire_document *a = make(1, 1, 1);
        struct pair p;
        (void)state;

        begin(&p, a, a);
        p.is_connected = false; /* its answers are lost */
        for (size_t i = 0; i < 600; i++) {
                wire_control_end_receive(p.control, STR("{\"type\":\"resync\"}"), p.now);
                advance(&p, 100);
        }
        assert_true(wire_control_end_wholes(p.control) >= 4);
        assert_true(wire_control_end_wholes(p.control) <= 7);
        end(&p);
        wire_document_put(a);
}

static void gone_is_gone(void **state)
{
        struct wire_message gone = { .type = WIRE_GONE, .gone = { STR("removed") } };
        struct pair p;
        (void)state;

        begin(&p, NULL, NULL);
        assert_err(wire_control_end_say(p.control, &gone), ERR_OK);
        run(&p);
        assert_true(wire_node_end_is_gone(p.node));
        assert_int_equal(p.last_at_node, WIRE_GONE);
        assert_int_equal(p.node_closes, 1);
        assert_int_equal(p.control_closes, 1);
        wire_node_end_closed(p.node, p.now, 1);
        p.is_connected = false;
        advance(&p, 3600 * 1000);
        assert_int_equal(p.dials, 1);
        end(&p);
}

static void silence_ends_it(void **state)
{
        struct pair p;
        (void)state;

        begin(&p, NULL, NULL);
        assert_true(wire_node_end_is_up(p.node));
        advance(&p, 600 * 1000); /* pings keep it */
        assert_int_equal(p.node_closes + p.control_closes, 0);
        wire_control_end_free(p.control);
        p.control = NULL;
        p.is_connected = false;
        advance(&p, WIRE_SILENCE_MS - WIRE_PING_MS - 1);
        assert_int_equal(p.node_closes, 0);
        advance(&p, WIRE_PING_MS + 1);
        assert_int_equal(p.node_closes, 1);
        wire_node_end_closed(p.node, p.now, 1999);
        advance(&p, 1999);
        assert_int_equal(p.dials, 1);
        advance(&p, 1);
        assert_int_equal(p.dials, 2);
        end(&p);
}

/* Another address is tried at once; a wait that has grown is not forgotten by it, and none who is gone dials. */
static void another_address_is_tried_at_once(void **state)
{
        struct pair p;
        (void)state;

        begin(&p, NULL, NULL);
        for (unsigned i = 0; i < 3; i++) {
                unsigned dials = p.dials;
                wire_node_end_redial(p.node);
                assert_int_equal(wire_node_end_deadline(p.node), 0);
                advance(&p, 1);
                assert_int_equal(p.dials, dials + 1);
        }
        wire_node_end_closed(p.node, p.now, WIRE_AGAIN_LEAST_MS - 1);
        assert_int_equal(wire_node_end_deadline(p.node), p.now + WIRE_AGAIN_LEAST_MS);
        end(&p);
}

static void waits_grow(void **state)
{
        mono_ms longest = 0;
        struct pair p;
        (void)state;

        begin(&p, NULL, NULL);
        for (unsigned i = 0; i < 12; i++) {
                wire_node_end_closed(p.node, p.now, UINT32_MAX - 12345 * i);
                mono_ms wait = wire_node_end_deadline(p.node) - p.now;
                assert_true(wait >= 1 && wait <= WIRE_AGAIN_MOST_MS);
                longest = MAX(longest, wait);
                advance(&p, wait);
        }
        assert_int_equal(p.dials, 13);
        assert_true(longest > 5000);
        end(&p);
}

static void a_report_is_said_again(void **state)
{
        struct wire_message one = { .type = WIRE_REPORT, .report = { .program = STR("one") } },
                            two = { .type = WIRE_REPORT, .report = { .program = STR("two") } };
        struct pair p;
        (void)state;

        begin(&p, NULL, NULL);
        assert_err(wire_node_end_say(p.node, &one), ERR_OK);
        assert_err(wire_node_end_say(p.node, &two), ERR_OK);
        run(&p);
        assert_int_equal(p.last_at_control, WIRE_REPORT);
        wire_node_end_closed(p.node, p.now, 0);
        advance(&p, 10);
        assert_int_equal(p.dials, 2);
        connect(&p, NULL);
        p.last_at_control = WIRE_UNKNOWN;
        run(&p);
        assert_int_equal(p.last_at_control, WIRE_REPORT);
        end(&p);
}

static void a_queue_has_a_bound(void **state)
{
        struct wire_message m = { .type = WIRE_RENEW };
        struct pair p;
        (void)state;

        begin(&p, NULL, NULL);
        for (size_t i = 0; i < WIRE_NODE_QUEUE; i++)
                assert_err(wire_node_end_say(p.node, &m), ERR_OK);
        assert_err(wire_node_end_say(p.node, &m), ERR_TOO_LARGE);
        run(&p);
        assert_err(wire_node_end_say(p.node, &m), ERR_OK);
        end(&p);
}

static void control_takes_no_nonsense(void **state)
{
        static const struct {
                const char *why, *text;
        } cases[] = {
                { "no JSON", "hello" },
                { "not a hello first", "{\"type\":\"resync\"}" },
                { "a hello that is none", "{\"type\":\"hello\"}" },
                { "nobody's message first", "{\"type\":\"dance\"}" },
        };
        static char large[WIRE_SMALL_MAX + 2];
        struct wire_pacer pacer;
        struct wire_control_end *c;
        struct wire_event e;
        (void)state;

        wire_pacer_init(&pacer, 0);
        for (size_t i = 0; i <= ARRAY_SIZE(cases); i++) {
                memset(large, ' ', sizeof(large));
                struct str text =
                        i < ARRAY_SIZE(cases) ? str_of(cases[i].text) : (struct str){ large, sizeof(large) };
                assert_err(wire_control_end_new(&pacer, STR("x"), 1, 0, &c), ERR_OK);
                wire_control_end_receive(c, text, 1);
                wire_control_end_next(c, 1, true, &e);
                if (e.want != WIRE_WANT_CLOSE)
                        fail_msg("%s", i < ARRAY_SIZE(cases) ? cases[i].why : "large");
                assert_int_equal(wire_control_end_deadline(c), MONO_NEVER);
                wire_control_end_free(c);
        }
        assert_err(wire_control_end_new(&pacer, STR("x"), 1, 0, &c), ERR_OK);
        wire_control_end_next(c, WIRE_HELLO_MS - 1, true, &e);
        assert_int_equal(e.want, WIRE_WANT_NOTHING);
        wire_control_end_next(c, WIRE_HELLO_MS, true, &e);
        assert_int_equal(e.want, WIRE_WANT_CLOSE);
        wire_control_end_free(c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_new_node_gets_the_whole_then_changes),
                cmocka_unit_test(who_has_it_is_told_nothing),
                cmocka_unit_test(a_new_leader_or_lease_sends_no_items),
                cmocka_unit_test(many_edits_are_gathered),
                cmocka_unit_test(what_was_overtaken_is_never_given),
                cmocka_unit_test(what_is_refused_stays_away),
                cmocka_unit_test(hostile_documents),
                cmocka_unit_test(a_change_from_elsewhere_leads_to_one_resync),
                cmocka_unit_test(a_stream_of_resyncs_is_slowed),
                cmocka_unit_test(gone_is_gone),
                cmocka_unit_test(silence_ends_it),
                cmocka_unit_test(another_address_is_tried_at_once),
                cmocka_unit_test(waits_grow),
                cmocka_unit_test(a_report_is_said_again),
                cmocka_unit_test(a_queue_has_a_bound),
                cmocka_unit_test(control_takes_no_nonsense),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
