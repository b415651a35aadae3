/*
 * The dispatcher between scripted callers and scripted calls to agents: whose turn, who waits, what is tried again, what
 * callers are told. The calls of proxy/call.h are this file's own.
 */
#include "../test.h"

#include <malloc.h>

#include "dispatch/dispatcher_priv.h"
#include "http/h1_read.h"
#include "io/memory.h"
#include "proxy/call.h"
#include "proxy/route.h"
#include "proxy/worker.h"
#include "json/reader.h"

enum { CALLERS_MAX = 64, CALLS_MAX = 64, SEEN_MAX = 4096 };

/* Who asked. */
struct caller {
        struct side side;
        char seen[SEEN_MAX];
        size_t seen_len, takes;
        uint16_t status;
        unsigned resets, ends;
};

/* What an agent was asked. */
struct asked {
        struct call *call;
        const struct call_events *events;
        char agent[64], source[IP_TEXT_MAX], method[16], host[64], body[64], path[64];
        bool is_cancelled, is_over;
        unsigned resumes;
};

static struct {
        struct shared shared;
        struct worker w;
        struct snapshot snap;
        struct route route;
        struct exchange_origin origin;
        struct dispatcher_conf conf;
        struct dispatcher *d;
        struct caller callers[CALLERS_MAX];
        unsigned callers_count;
        struct asked calls[CALLS_MAX];
        unsigned calls_count;
        enum err call_result;
        struct dispatch_record done; /* the last one; its texts are gone */
        char done_error[32], done_bodies[32];
        unsigned done_count;
} f;

/* ---- calls, as the dispatcher makes them ---- */

static void copy(char *to, size_t size, struct str s)
{
        snprintf(to, size, "%.*s", STR_FMT(s));
}

enum err call_start(struct call *c, struct worker *w, const struct call_request *request,
                    const struct call_events *events)
{
        unsigned n = f.calls_count;
        struct asked *a;

        if (f.call_result != ERR_OK)
                return f.call_result;
        if (n == CALLS_MAX) /* a long play: the place of one that is over */
                for (n = 0; n < CALLS_MAX && !f.calls[n].is_over; n++)
                        ;
        assert_true(n < CALLS_MAX);
        a = &f.calls[n];
        f.calls_count = MAX(f.calls_count, n + 1);
        *c = (struct call){ .events = events, .w = w };
        *a = (struct asked){ .call = c, .events = events };
        copy(a->agent, sizeof(a->agent), request->upstream->targets[0].agent);
        copy(a->method, sizeof(a->method), request->method);
        copy(a->body, sizeof(a->body), request->body);
        for (size_t i = 0; i < request->fields_count; i++) {
                const struct http_field *field = &request->fields[i];

                if (str_eq(field->name, STR("sekisho-source")))
                        copy(a->source, sizeof(a->source), field->value);
                if (str_eq(field->name, STR("sekisho-path")))
                        copy(a->path, sizeof(a->path), field->value);
                if (str_eq(field->name, STR("Host")))
                        copy(a->host, sizeof(a->host), field->value);
        }
        return ERR_OK;
}

static struct asked *asked_of(struct call *c)
{
        for (unsigned i = f.calls_count; i-- > 0;)
                if (f.calls[i].call == c && !f.calls[i].is_over)
                        return &f.calls[i];
        fail_msg("no such call is under way");
        return NULL;
}

void call_cancel(struct call *c)
{
        struct asked *a = asked_of(c);

        a->is_cancelled = a->is_over = true;
}

void call_resume(struct call *c)
{
        asked_of(c)->resumes++;
}

bool call_is_refused(const struct call *c)
{
        return false; /* errors here are an agent's, with sekisho-error */
}

/* ---- callers ---- */

static struct caller *of(struct side *s)
{
        return (struct caller *)s;
}

static void op_head(struct side *s, struct http_head *head)
{
        of(s)->status = head->status;
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct caller *c = of(s);
        size_t taken = 0;

        for (size_t i = 0; i < d->slices_count; i++) {
                size_t n = MIN(MIN(d->slices[i].len, c->takes), SEEN_MAX - c->seen_len);

                memcpy(c->seen + c->seen_len, d->slices[i].ptr, n);
                c->seen_len += n;
                c->takes -= n;
                taken += n;
        }
        s->has_room = taken == side_data_len(d);
        c->ends += d->is_last && s->has_room;
        return taken;
}

static void op_flush(struct side *s) {}
static void op_pull(struct side *s) {}

static void op_reset(struct side *s, enum err reason)
{
        of(s)->resets++;
}

static void op_release(struct side *s)
{
        s->x = NULL;
}

static const struct side_ops ops = { "caller", op_head, op_data, op_flush, op_pull, op_reset, op_release };

/* ---- the stage ---- */

static enum step_result pick(struct exchange *x)
{
        return STEP_WAIT;
}

static const struct handler waiting_handler = { .name = "waiting", .pick = pick };

static void snap_free(struct snapshot *s) {}

static void on_done(void *context, const struct dispatch_record *r)
{
        f.done = *r;
        copy(f.done_error, sizeof(f.done_error), str_of(r->error));
        snprintf(f.done_bodies, sizeof(f.done_bodies), "%.*s %.*s", STR_FMT(r->asked), STR_FMT(r->answered));
        f.done_count++;
}

static const struct conf_allow allowed[] = { { .name = STR_INIT("*"), .port_min = 1, .port_max = 65535 } };

static void dispatcher_make(void)
{
        dispatcher_free(f.d);
        f.d = dispatcher_new(&f.w, &f.conf);
        assert_non_null(f.d);
}

static int setup(void **state)
{
        memset(&f, 0, sizeof(f));
        assert_err(shared_init(&f.shared, 1), ERR_OK);
        f.w.shared = &f.shared;
        assert_err(loop_new(&f.w.loop), ERR_OK);
        list_init(&f.w.exchange_list);
        map_init(&f.w.series, f.shared.hash_key, 64);
        arena_init(&f.w.series_keys, NULL, 0, 4096);
        f.w.exchanges = pool_new(sizeof(struct exchange), CALLERS_MAX, &memory_pages);
        f.w.exchange_blocks = pool_new(EXCHANGE_ARENA_FIRST, CALLERS_MAX, &memory_pages);
        f.snap = (struct snapshot){ .uses = 1, .on_free = snap_free };
        f.snap.limits.requests_max = CALLERS_MAX;
        f.w.snap = &f.snap;
        f.route = (struct route){ .name = STR("execute"),
                                  .path = STR("/"),
                                  .path_kind = PATH_PREFIX,
                                  .access = { .is_public = true },
                                  .handler = &waiting_handler };
        f.snap.routes = (struct route_table){ &f.route, 1, false };
        f.conf = (struct dispatcher_conf){ .rules = { allowed, ARRAY_SIZE(allowed) },
                                           .agent_requests = 100,
                                           .caller_requests = 100,
                                           .waiting_max = 10,
                                           .waiting_ms = 10 * 1000,
                                           .answer_bytes = 1000,
                                           .on_done = on_done };
        dispatcher_make();
        return 0;
}

static void turn(void)
{
        loop_turn(f.w.loop, 0);
}

static int teardown(void **state)
{
        turn();
        turn();
        assert_int_equal(pool_taken_count(f.w.exchanges), 0); /* whatever happened, nothing is left */
        assert_int_equal(sources_count(dispatcher_sources(f.d)).in_flight, 0);
        assert_int_equal(dispatcher_waiting(f.d), 0);
        dispatcher_free(f.d);
        pool_free(f.w.exchanges);
        pool_free(f.w.exchange_blocks);
        map_fini(&f.w.series);
        arena_fini(&f.w.series_keys);
        loop_free(f.w.loop);
        shared_fini(&f.shared);
        return 0;
}

static void agent(const char *id, const char *addresses)
{
        struct str rest = str_of(addresses), one;
        struct ip all[8];
        size_t n = 0;

        while (rest.len && str_split(&rest, ' ', &one))
                assert_err(ip_parse(one, &all[n++]), ERR_OK);
        dispatcher_told(f.d, str_of(id), all, n);
        dispatcher_linked(f.d, str_of(id), true);
}

static enum dispatch_start started;
static int64_t wait_ms;

static struct caller *caller_place(void)
{
        unsigned n = f.callers_count;

        if (n == CALLERS_MAX)
                for (n = 0; n < CALLERS_MAX && f.callers[n].side.x; n++)
                        ;
        assert_true(n < CALLERS_MAX);
        f.callers_count = MAX(f.callers_count, n + 1);
        return &f.callers[n];
}

/* "{…}" by the key of that number; NULL: it was not taken, `started` says why. */
static struct caller *ask_by(uint64_t key, const char *json, bool is_raw)
{
        static char bytes[] = "POST /api/execute HTTP/1.1\r\nHost: control\r\n\r\n";
        struct caller *c = caller_place();
        struct http_field fields[HTTP_FIELDS_MAX];
        struct http_head head = { .fields = fields, .fields_max = HTTP_FIELDS_MAX };
        const struct h1_limits limits = { 4096, 1024, 50 };
        struct dispatch_order order = { .caller = STR("key"), .caller_key = key, .is_raw = is_raw };
        struct http_refusal refusal;
        const struct json_value *root;
        struct buf problem;
        size_t scanned = 0;

        *c = (struct caller){ .side = { .ops = &ops, .has_room = true }, .takes = SIZE_MAX };
        assert_err(h1_request_parse(str_of(bytes), &limits, &scanned, &head, &refusal), ERR_OK);
        struct exchange *x = exchange_new(&f.w, &c->side, &f.origin, &head);
        assert_non_null(x);
        exchange_run(x);
        arena_init(&order.arena, NULL, 0, 1 << 20);
        buf_init(&problem, 1024);
        assert_err(json_read_strict(&order.arena, arena_copy(&order.arena, str_of(json)), NULL, &root),
                   ERR_OK);
        assert_err(dispatch_ask_read(root, NULL, &order.arena, &order.ask, &problem), ERR_OK);
        buf_fini(&problem);
        started = dispatcher_execute(f.d, x, &order, &wait_ms);
        if (started == DISPATCH_STARTED)
                return c;
        arena_fini(&order.arena);
        exchange_abort(x);
        return NULL;
}

static struct caller *ask(const char *json)
{
        return ask_by(1, json, false);
}

static void leave(struct caller *c)
{
        exchange_down_reset(c->side.x, ERR_CLOSED);
}

/* ---- agents' answers ---- */

static struct asked *call(unsigned n)
{
        if (n >= f.calls_count)
                fail_msg("call %u was not made", n);
        return &f.calls[n];
}

static void head_comes(unsigned n, uint16_t status, const char *name, const char *value)
{
        struct http_field fields[4];
        struct http_head head = { .status = status, .fields = fields, .fields_max = ARRAY_SIZE(fields) };

        assert_false(call(n)->is_over);
        if (name)
                assert_err(http_add(&head, str_of(name), str_of(value)), ERR_OK);
        call(n)->events->on_head(call(n)->call, &head);
}

static size_t data_comes(unsigned n, const char *text)
{
        struct str s = str_of(text);
        const struct side_data d = { &s, 1, false, NULL, 0 };

        return call(n)->events->on_data(call(n)->call, &d);
}

static void end_comes(unsigned n, enum err e)
{
        call(n)->is_over = true;
        call(n)->events->on_end(call(n)->call, e);
}

static void answer(unsigned n, const char *text)
{
        head_comes(n, 200, NULL, NULL);
        assert_int_equal(data_comes(n, text), strlen(text));
        end_comes(n, ERR_OK);
}

/* An error of the agent's own. */
static void refusal(unsigned n, const char *word)
{
        head_comes(n, 502, "sekisho-error", word);
        end_comes(n, ERR_OK);
}

static void expect(const struct caller *c, uint16_t status, const char *part)
{
        const struct str seen = { c->seen, c->seen_len };

        assert_int_equal(c->status, status);
        assert_int_equal(c->ends, 1);
        if (str_find(seen, str_of(part)) == STR_NONE)
                fail_msg("no %s in %.*s", part, STR_FMT(seen));
}

#define URL "{\"url\":\"http://example.com/a\"}"

/* ---- the tests ---- */

static void an_answer_comes_back(void **state)
{
        agent("ag-1", "192.0.2.1");
        struct caller *c = ask("{\"url\":\"http://example.com:81/a?b\",\"method\":\"PUT\",\"body\":\"x\"}");

        assert_string_equal(call(0)->agent, "ag-1");
        assert_string_equal(call(0)->source, "192.0.2.1");
        assert_string_equal(call(0)->method, "PUT");
        assert_string_equal(call(0)->host, "example.com:81");
        assert_string_equal(call(0)->path, "/a?b");
        assert_string_equal(call(0)->body, "x");
        answer(0, "hello");
        expect(c, 200, "\"body\":\"hello\"");
        turn();
        assert_int_equal(f.done_count, 1);
        assert_int_equal(f.done.status, 200);
        assert_int_equal(f.done.answer_bytes, 5);
        assert_null(f.done.error);
}

static void who_is_chosen(void **state)
{
        static const struct {
                const char *why, *json, *source; /* source NULL: `error` */
                uint16_t status;
                const char *error;
        } cases[] = {
                { "the first one's turn", URL, "192.0.2.1", 0, NULL },
                { "then the next one's", URL, "2001:db8::1", 0, NULL },
                { "and another agent's", URL, "192.0.2.9", 0, NULL },
                { "by agent", "{\"url\":\"http://h/\",\"agent\":\"ag-2\"}", "192.0.2.9", 0, NULL },
                { "by name", "{\"url\":\"http://h/\",\"agent\":\"work\"}", "192.0.2.9", 0, NULL },
                { "by family", "{\"url\":\"http://h/\",\"family\":6}", "2001:db8::1", 0, NULL },
                { "by tag", "{\"url\":\"http://h/\",\"tag\":\"eu\"}", "192.0.2.9", 0, NULL },
                { "by address", "{\"url\":\"http://h/\",\"sourceAddress\":\"192.0.2.1\"}", "192.0.2.1", 0,
                  NULL },
                { "an address of another agent",
                  "{\"url\":\"http://h/\",\"sourceAddress\":\"192.0.2.1\",\"agent\":\"ag-2\"}", NULL, 404,
                  "no_such_address" },
                { "nobody's", "{\"url\":\"http://h/\",\"sourceAddress\":\"192.0.2.7\"}", NULL, 404,
                  "no_such_address" },
                { "an agent without a link", "{\"url\":\"http://h/\",\"agent\":\"ag-3\"}", NULL, 503,
                  "no_address_available" },
        };

        agent("ag-1", "192.0.2.1 2001:db8::1");
        agent("ag-2", "192.0.2.9");
        dispatcher_named(f.d, STR("ag-2"), STR("work"), STR("eu,fast"));
        agent("ag-3", "192.0.2.33");
        dispatcher_linked(f.d, STR("ag-3"), false);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                unsigned before = f.calls_count;
                struct caller *c = ask(cases[i].json);

                if (!cases[i].source) {
                        expect(c, cases[i].status, cases[i].error);
                        assert_int_equal(f.calls_count, before);
                        continue;
                }
                if (strcmp(call(before)->source, cases[i].source) != 0)
                        fail_msg("%s: %s", cases[i].why, call(before)->source);
                answer(before, "");
        }
}

static void a_destination_that_is_not_allowed(void **state)
{
        static const struct conf_allow https[] = {
                { .name = STR_INIT("*"), .port_min = 443, .port_max = 443 }
        };

        f.conf.rules = (struct dispatch_rules){ https, 1 };
        dispatcher_make();
        agent("ag-1", "192.0.2.1");
        expect(ask(URL), 403, "destination_denied");
        assert_int_equal(f.calls_count, 0);
        /* nor where a redirect leads to */
        struct caller *c = ask("{\"url\":\"https://example.com/\",\"followRedirects\":true}");
        head_comes(0, 302, "Location", "http://example.com/plain");
        end_comes(0, ERR_OK);
        expect(c, 403, "destination_denied");
        assert_int_equal(f.calls_count, 1);
}

static void who_waits_has_its_turn_first(void **state)
{
        f.conf.agent_requests = 1;
        dispatcher_make();
        agent("ag-1", "192.0.2.1");
        struct caller *first = ask(URL), *second = ask("{\"url\":\"http://second/\"}");
        struct caller *other = ask("{\"url\":\"http://third/\",\"family\":6}");

        expect(other, 404, "no_such_address"); /* is not held up */
        assert_int_equal(dispatcher_waiting(f.d), 1);
        answer(0, "1");
        struct caller *third =
                ask("{\"url\":\"http://third/\"}"); /* in the very turn in which there is room */
        assert_string_equal(call(1)->host, "second");
        assert_int_equal(dispatcher_waiting(f.d), 1);
        answer(1, "2");
        turn();
        assert_string_equal(call(2)->host, "third");
        answer(2, "3");
        expect(first, 200, "\"1\"");
        expect(second, 200, "\"2\"");
        expect(third, 200, "\"3\"");
}

/* An agent that has enough to do holds up who wants it and nobody else, however many they are. */
static void who_waits_holds_nobody_else_up(void **state)
{
        f.conf.agent_requests = 1;
        f.conf.waiting_max = 3;
        dispatcher_make();
        agent("ag-1", "192.0.2.1");
        agent("ag-2", "192.0.2.2");
        for (int i = 0; i < 4; i++)
                assert_non_null(ask("{\"url\":\"http://h/\",\"agent\":\"ag-1\"}"));
        assert_int_equal(dispatcher_waiting(f.d), 3);
        expect(ask("{\"url\":\"http://h/\",\"agent\":\"ag-1\"}"), 503, "queue_full");
        struct caller *c = ask(URL);
        assert_string_equal(call(1)->agent, "ag-2");
        answer(1, "free");
        expect(c, 200, "free");
        turn();
        assert_int_equal(f.calls_count, 2); /* the others still wait */
        for (unsigned i = 0, n = 0; i < 4; i++, n = n ? n + 1 : 2) {
                answer(n, "");
                turn();
        }
        assert_int_equal(f.calls_count, 5);
}

static void waiting_ends(void **state)
{
        f.conf.agent_requests = 1;
        f.conf.waiting_ms = 30;
        dispatcher_make();
        agent("ag-1", "192.0.2.1");
        ask(URL);
        struct caller *long_one = ask(URL), *short_one = ask("{\"url\":\"http://h/\",\"timeout\":0.01}");

        while (!long_one->status || !short_one->status)
                loop_turn(f.w.loop, 1000);
        expect(long_one, 503, "queue_timeout");
        expect(short_one, 504, "\"timeout\"");
        assert_int_equal(dispatcher_waiting(f.d), 0);
        answer(0, "");
}

static void a_request_has_its_time(void **state)
{
        agent("ag-1", "192.0.2.1");
        struct caller *silent = ask("{\"url\":\"http://h/\",\"timeout\":0.02}");
        struct caller *begun = ask("{\"url\":\"http://h/\",\"timeout\":0.02}");

        head_comes(1, 200, NULL, NULL);
        data_comes(1, "half");
        while (!silent->status || !begun->status)
                loop_turn(f.w.loop, 1000);
        expect(silent, 504, "\"timeout\"");
        expect(begun, 504, "\"timeout\"");
        assert_true(call(0)->is_cancelled && call(1)->is_cancelled);
        assert_int_equal(sources_count(dispatcher_sources(f.d)).failures, 2);
}

static void what_is_tried_again(void **state)
{
        static const struct {
                const char *why, *method, *refused; /* refused NULL: the connection broke */
                bool head_came, again;
                const char *error;
        } cases[] = {
                { "nothing reached it", "POST", "upstream_unreachable", false, true, NULL },
                { "the agent went away", "POST", "no_target", false, true, NULL },
                { "the agent has no room", "POST", "upstream_connections", false, true, NULL },
                { "closed, and may be repeated", "GET", "upstream_closed", false, true, NULL },
                { "closed, and may not", "POST", "upstream_closed", false, false, "closed" },
                { "closed, and may not", "PATCH", "upstream_closed", false, false, "closed" },
                { "the link broke, may be repeated", "DELETE", NULL, false, true, NULL },
                { "the link broke, may not", "POST", NULL, false, false, "closed" },
                { "in the middle of an answer", "GET", NULL, true, false, "closed" },
                { "too late", "GET", "upstream_timeout", false, false, "timeout" },
                { "another agent would refuse, too", "GET", "address_denied", false, false,
                  "destination_denied" },
                { "a word of a later version", "GET", "whatever", false, false, "failed" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char json[128];

                dispatcher_make();
                agent("ag-1", "192.0.2.1");
                agent("ag-2", "192.0.2.2");
                f.calls_count = 0;
                snprintf(json, sizeof(json), "{\"url\":\"http://h/\",\"method\":\"%s\"}", cases[i].method);
                struct caller *c = ask(json);
                if (cases[i].head_came) {
                        head_comes(0, 200, NULL, NULL);
                        data_comes(0, "half");
                }
                if (cases[i].refused)
                        refusal(0, cases[i].refused);
                else
                        end_comes(0, ERR_CLOSED);
                if ((f.calls_count == 2) != cases[i].again)
                        fail_msg("%s %s: %u calls", cases[i].method, cases[i].why, f.calls_count);
                if (cases[i].again) {
                        assert_string_not_equal(call(0)->source, call(1)->source);
                        answer(1, "well");
                        expect(c, 200, "\"attempts\":2");
                } else {
                        assert_int_not_equal(c->status, 200);
                        expect(c, c->status, cases[i].error);
                }
                turn();
                turn();
        }
}

static void no_more_than_four_tries(void **state)
{
        agent("ag-1", "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5");
        struct caller *c = ask(URL);

        for (unsigned i = 0; i < 4; i++)
                refusal(i, "upstream_unreachable");
        assert_int_equal(f.calls_count, 4);
        expect(c, 502, "unreachable");
        /* and each address once, where there are fewer */
        agent("ag-1", "192.0.2.1");
        c = ask(URL);
        refusal(4, "upstream_unreachable");
        expect(c, 502, "unreachable");
        assert_int_equal(f.calls_count, 5);
}

static void callers_have_their_share(void **state)
{
        f.conf.caller_requests = 2;
        dispatcher_make();
        agent("ag-1", "192.0.2.1");
        assert_non_null(ask_by(7, URL, false));
        assert_non_null(ask_by(7, URL, false));
        assert_null(ask_by(7, URL, false));
        assert_int_equal(started, DISPATCH_CALLER_BUSY);
        assert_non_null(ask_by(8, URL, false)); /* another's share is another's */
        answer(0, "");
        turn();
        assert_non_null(ask_by(7, URL, false));
        for (unsigned i = 1; i < 4; i++)
                answer(i, "");
}

static void callers_have_a_rate(void **state)
{
        f.conf.caller_rate = (struct units_rate){ 2, 3600 * 1000 };
        dispatcher_make();
        agent("ag-1", "192.0.2.1");
        assert_non_null(ask_by(7, URL, false));
        assert_non_null(ask_by(7, URL, false));
        assert_null(ask_by(7, URL, false));
        assert_int_equal(started, DISPATCH_CALLER_RATE);
        assert_in_range(wait_ms, 1000 * 1000, 3600 * 1000);
        assert_non_null(ask_by(8, URL, false));
        for (unsigned i = 0; i < 3; i++)
                answer(i, "");
}

static void who_leaves_is_not_sent_for(void **state)
{
        f.conf.agent_requests = 1;
        dispatcher_make();
        agent("ag-1", "192.0.2.1");
        struct caller *sent = ask(URL), *waits = ask(URL), *stays = ask(URL);

        leave(waits);
        assert_int_equal(dispatcher_waiting(f.d), 1);
        assert_string_equal(f.done_error, "caller_left");
        leave(sent);
        assert_true(call(0)->is_cancelled);
        turn();
        answer(1, "");
        expect(stays, 200, "");
        assert_int_equal(f.done_count, 2);
        assert_int_equal(sources_count(dispatcher_sources(f.d)).failures,
                         0); /* it is not the address's fault */
}

static void an_answer_that_is_too_large_ends_at_once(void **state)
{
        char much[400];

        memset(much, 'x', sizeof(much) - 1);
        much[sizeof(much) - 1] = '\0';
        agent("ag-1", "192.0.2.1");
        struct caller *c = ask(URL);
        head_comes(0, 200, NULL, NULL);
        for (int i = 0; i < 3; i++)
                data_comes(0, much);
        while (!c->status) /* however much more would come */
                loop_turn(f.w.loop, 1000);
        assert_true(call(0)->is_cancelled);
        expect(c, 502, "answer_too_large");
}

static void raw_answers_pass_as_they_come(void **state)
{
        agent("ag-1", "192.0.2.1");
        struct caller *c = ask_by(1, URL, true);

        c->takes = 3;
        head_comes(0, 203, "X", "y");
        assert_int_equal(data_comes(0, "hello"), 5);
        assert_int_equal(c->seen_len, 3);
        assert_int_equal(data_comes(0, "world"), 0); /* the caller is slow: no more is taken */
        c->takes = SIZE_MAX;
        exchange_down_room(c->side.x);
        assert_int_equal(call(0)->resumes, 1);
        assert_int_equal(data_comes(0, "world"), 5);
        end_comes(0, ERR_OK);
        assert_memory_equal(c->seen, "helloworld", 10);
        assert_int_equal(c->ends, 1);
        /* one that breaks does not look whole */
        turn();
        c = ask_by(1, URL, true);
        head_comes(1, 200, NULL, NULL);
        data_comes(1, "half");
        end_comes(1, ERR_CLOSED);
        assert_int_equal(c->ends, 0);
        assert_int_equal(c->resets, 1);
        assert_int_equal(f.calls_count, 2);
}

/* Beginnings of both bodies, where they are asked for; of a request that was tried again the last answer's. */
static void bodies_for_the_record(void **state)
{
        static const char json[] = "{\"url\":\"http://h/\",\"method\":\"PUT\",\"body\":\"a body\"}";

        agent("ag-1", "192.0.2.1 192.0.2.2");
        ask(json);
        answer(0, "hello");
        turn();
        assert_int_equal(f.done.asked.len + f.done.answered.len, 0); /* off */
        f.conf.body_bytes_kept = 4;
        dispatcher_make();
        agent("ag-1", "192.0.2.1 192.0.2.2");
        ask(json);
        refusal(1, "upstream_closed");
        head_comes(2, 200, NULL, NULL);
        data_comes(2, "h");
        data_comes(2, "ello");
        end_comes(2, ERR_OK);
        turn();
        assert_string_equal(f.done_bodies, "a bo hell");
        assert_int_equal(f.done.asked_bytes, 6);
        assert_int_equal(f.done.answer_bytes, 5);
        struct caller *raw = ask_by(1, json, true); /* a slow caller's bytes are counted once */
        raw->takes = 1;
        head_comes(3, 200, NULL, NULL);
        data_comes(3, "wor");
        assert_int_equal(data_comes(3, "ld"), 0);
        raw->takes = SIZE_MAX;
        exchange_down_room(raw->side.x);
        data_comes(3, "ld");
        end_comes(3, ERR_OK);
        turn();
        assert_string_equal(f.done_bodies, "a bo worl");
}

static void an_agent_that_is_removed(void **state)
{
        agent("ag-1", "192.0.2.1");
        struct caller *c = ask(URL);

        dispatcher_removed(f.d, STR("ag-1"));
        expect(ask(URL), 503, "no_address_available");
        answer(0, "it ends as it may");
        expect(c, 200, "it ends as it may");
        expect(ask(URL), 404, "no_such_address");
}

/* The way to it goes then, or when it is of no use any more. */
static void the_way_to_who_is_removed_goes(void **state)
{
        agent("ag-1", "192.0.2.1");
        ask(URL);
        dispatcher_removed(f.d, STR("ag-1"));
        assert_int_equal(f.d->ways.count, 1); /* the call is to go over it */
        answer(0, "");
        agent("ag-2", "192.0.2.2");
        ask(URL);
        assert_int_equal(f.d->ways.count, 1);
        answer(1, "");
        dispatcher_removed(f.d, STR("ag-2"));
        assert_int_equal(f.d->ways.count, 0);
}

/* It is told apart by its link, whatever it says of itself: what it answers is put down to it. */
static void an_agent_that_claims_anothers_address(void **state)
{
        agent("ag-home", "192.0.2.1");
        agent("ag-evil", "192.0.2.1");
        struct caller *home = ask("{\"url\":\"http://h/\",\"agent\":\"ag-home\"}");
        struct caller *evil = ask("{\"url\":\"http://h/\",\"agent\":\"ag-evil\"}");

        assert_string_equal(call(0)->agent, "ag-home");
        assert_string_equal(call(1)->agent, "ag-evil");
        head_comes(1, 200, NULL, NULL);
        data_comes(1, "forged");
        end_comes(1, ERR_OK);
        assert_int_equal(home->status, 0); /* what another answers is nothing to it */
        expect(evil, 200, "\"agent_id\":\"ag-evil\"");
        answer(0, "true");
        expect(home, 200, "\"agent_id\":\"ag-home\"");
        expect(home, 200, "\"true\"");
        /* and it takes nothing with it when it goes */
        dispatcher_removed(f.d, STR("ag-evil"));
        for (unsigned i = 2; i < 5; i++) {
                home = ask("{\"url\":\"http://h/\",\"sourceAddress\":\"192.0.2.1\"}");
                assert_string_equal(call(i)->agent, "ag-home");
                answer(i, "");
        }
}

static uint32_t random_below(uint32_t n) /* xorshift64 */
{
        static uint64_t seed = UINT64_C(0x0d15bac4e5);

        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (uint32_t)(seed >> 32) % n;
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void)
{
        return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
                                                       : mallinfo2().uordblks;
}

/* One step of a long play: somebody asks, or whatever call is drawn ends, well or not. */
static void play_on(unsigned under_way_max, unsigned *asked_count)
{
        unsigned under_way = sources_count(dispatcher_sources(f.d)).in_flight;
        unsigned n = f.calls_count ? random_below(f.calls_count) : 0;

        if (under_way < under_way_max && random_below(2)) {
                ask(URL);
                ++*asked_count;
        } else if (f.calls_count && !f.calls[n].is_over) {
                switch (random_below(10)) {
                case 0: refusal(n, "upstream_unreachable"); break; /* another address tries */
                case 1: end_comes(n, ERR_CLOSED); break;
                default: answer(n, "well");
                }
        }
        turn();
}

/* 1,000 addresses of 100 agents, of which each may do two things at a time: even turns, and no byte more after all of it. */
static void a_long_play_is_even_and_stays_small(void **state)
{
        enum { WARM = 2000, ASKED = 20 * 1000, UNDER_WAY = 40 };
        uint64_t least = UINT64_MAX, most = 0;
        unsigned count = 0;
        size_t before;

        f.conf.agent_requests = 2;
        dispatcher_make();
        for (int a = 0; a < 100; a++) {
                char id[16];
                struct ip all[10];

                snprintf(id, sizeof(id), "ag-%d", a);
                for (int i = 0; i < 10; i++)
                        all[i] = (struct ip){ 4, { 198, 18, (uint8_t)a, (uint8_t)i } };
                dispatcher_told(f.d, str_of(id), all, ARRAY_SIZE(all));
                dispatcher_linked(f.d, str_of(id), true);
        }
        while (count < WARM)
                play_on(UNDER_WAY, &count);
        while (sources_count(dispatcher_sources(f.d)).in_flight)
                play_on(0, &count);
        turn();
        before = allocated();
        while (count < WARM + ASKED)
                play_on(UNDER_WAY, &count);
        while (sources_count(dispatcher_sources(f.d)).in_flight)
                play_on(0, &count);
        turn();
        assert_in_range(allocated(), 0, before + 4096);
        assert_int_equal(f.done_count, WARM + ASKED);
        list_for_each(node, sources_agents(dispatcher_sources(f.d)))
                list_for_each(inner, &sources_agent_of(node)->addresses) {
                        least = MIN(least, sources_of(inner)->requests);
                        most = MAX(most, sources_of(inner)->requests);
                }
        assert_in_range(most - least, 0, 2);
}

static void no_memory_for_a_call(void **state)
{
        agent("ag-1", "192.0.2.1");
        f.call_result = ERR_NO_MEMORY;
        expect(ask(URL), 503, "no_memory");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                T(an_answer_comes_back),
                T(who_is_chosen),
                T(a_destination_that_is_not_allowed),
                T(who_waits_has_its_turn_first),
                T(who_waits_holds_nobody_else_up),
                T(waiting_ends),
                T(a_request_has_its_time),
                T(what_is_tried_again),
                T(no_more_than_four_tries),
                T(callers_have_their_share),
                T(callers_have_a_rate),
                T(who_leaves_is_not_sent_for),
                T(an_answer_that_is_too_large_ends_at_once),
                T(raw_answers_pass_as_they_come),
                T(bodies_for_the_record),
                T(an_agent_that_is_removed),
                T(the_way_to_who_is_removed_goes),
                T(an_agent_that_claims_anothers_address),
                T(a_long_play_is_even_and_stays_small),
                T(no_memory_for_a_call),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
