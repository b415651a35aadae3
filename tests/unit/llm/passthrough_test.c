/*
 * Requests through the pass-through handler to two providers on loopback: what reaches them byte for byte, and whose
 * answer the caller gets.
 */
#include "llm/passthrough.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/units.h"
#include "llm/dialect.h"
#include "proxy/steps.h"
#include "proxy/up.h"
#include "proxy/worker.h"

#include "../test.h"

enum { BYTES_MAX = 16 * 1024, PROVIDERS = 2, ROUNDS_MAX = 5000 };

/* A provider: answers each whole request with its text, then closes. */
struct peer {
        int listener, fd;
        const char *answer; /* NULL: closes without a word */
        char got[BYTES_MAX];
        size_t len;
        unsigned requests;
};

/* The caller: gives its body in two pieces, records the answer. */
struct caller {
        struct side side;
        struct str pieces[2];
        size_t piece;
        uint16_t status;
        char answer[BYTES_MAX], fields[BYTES_MAX];
        size_t answer_len;
        bool is_over;
};

static struct {
        struct shared shared;
        struct worker w;
        struct snapshot snap;
        struct upstream *upstreams[PROVIDERS];
        struct passthrough conf;
        struct route route;
        struct exchange_origin origin;
        struct conf conf_all;
        struct conf_provider conf_providers[PROVIDERS];
        struct provider providers[PROVIDERS];
        struct conf_model_target targets[PROVIDERS];
        struct conf_model model;
        struct catalogue catalogue;
        struct peer peers[PROVIDERS];
        struct caller caller;
} f;

/* ---- the caller's side ---- */

static void op_head(struct side *s, struct http_head *head)
{
        struct caller *c = (struct caller *)s;
        size_t at = 0;

        c->status = head->status;
        for (size_t i = 0; i < head->fields_count; i++)
                if (!head->fields[i].is_removed)
                        at += (size_t)snprintf(c->fields + at, sizeof(c->fields) - at, "%.*s=%.*s\n",
                                               STR_FMT(head->fields[i].name), STR_FMT(head->fields[i].value));
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct caller *c = (struct caller *)s;
        size_t len = 0;

        for (size_t i = 0; i < d->slices_count; i++) {
                memcpy(c->answer + c->answer_len, d->slices[i].ptr, d->slices[i].len);
                c->answer_len += d->slices[i].len;
                len += d->slices[i].len;
        }
        s->has_room = true;
        return len;
}

static void op_flush(struct side *s) {}

static void op_pull(struct side *s)
{
        struct caller *c = (struct caller *)s;

        while (c->piece < 2 && s->x) {
                struct side_data d = { &c->pieces[c->piece], 1, c->piece == 1, NULL, 0 };
                c->piece++;
                exchange_request_data(s->x, &d);
        }
}

static void op_over(struct side *s)
{
        ((struct caller *)s)->is_over = true;
        s->x = NULL;
}

static void op_reset(struct side *s, enum err reason)
{
        op_over(s);
}

static const struct side_ops caller_ops = {
        "caller", op_head, op_data, op_flush, op_pull, op_reset, op_over
};

/* ---- the providers ---- */

static void peer_open(struct peer *p, struct target *t)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(a);

        *p = (struct peer){ .fd = -1 };
        p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(p->listener, (struct sockaddr *)&a, len), 0);
        assert_int_equal(listen(p->listener, 16), 0);
        assert_int_equal(getsockname(p->listener, (struct sockaddr *)&a, &len), 0);
        assert_err(ip_parse(STR("127.0.0.1"), &t->ip), ERR_OK);
        t->port = ntohs(a.sin_port);
}

static struct str peer_body(const struct peer *p)
{
        const char *end = memmem(p->got, p->len, "\r\n\r\n", 4);

        return end ? (struct str){ end + 4, (size_t)(p->got + p->len - end - 4) } : STR_NULL;
}

static bool peer_has_request(const struct peer *p)
{
        const char *end = memmem(p->got, p->len, "\r\n\r\n", 4), *length;

        if (!end || !(length = memmem(p->got, p->len, "Content-Length: ", 16)))
                return false;
        struct str digits = { length + 16, (size_t)(end - length - 16) };
        uint64_t wanted;
        digits = str_sub(digits, 0, str_find_char(digits, '\r'));
        return units_parse_u64(digits, BYTES_MAX, &wanted) == ERR_OK && peer_body(p).len >= wanted;
}

static void peer_turn(struct peer *p)
{
        if (p->fd < 0) {
                p->fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (p->fd < 0)
                        return;
                p->len = 0;
        }
        ssize_t n = recv(p->fd, p->got + p->len, sizeof(p->got) - p->len, 0);
        if (n > 0)
                p->len += (size_t)n;
        if (n > 0 && !peer_has_request(p))
                return;
        if (n > 0) {
                p->requests++;
                if (p->answer)
                        assert_int_equal(write(p->fd, p->answer, strlen(p->answer)),
                                         (ssize_t)strlen(p->answer));
                shutdown(p->fd, SHUT_WR);
        }
        if (n >= 0) {
                close(p->fd);
                p->fd = -1;
        }
}

/* ---- the stage ---- */

static void snap_free(struct snapshot *s) {}

static void provider_init(size_t i, const char *name, const char *model)
{
        struct provider *p = &f.providers[i];

        f.conf_providers[i] = (struct conf_provider){ .name = str_of(name),
                                                      .kind = CONF_OPENAI,
                                                      .dialects = CONF_OPENAI,
                                                      .api_key = STR("sk-provider") };
        f.targets[i] = (struct conf_model_target){ &f.conf_providers[i], str_of(model), 1, i };
        p->conf = &f.conf_providers[i];
        p->name = str_of(name);
        p->base_path = STR("/base/v1");
        p->listing.dialects = CONF_OPENAI;
        p->authorization = STR("Bearer sk-provider");
        p->upstream =
                (struct upstream){ .name = p->name,
                                   .targets = &p->target,
                                   .targets_count = 1,
                                   .waits = { .connect_ms = 5000, .first_byte_ms = 5000, .idle_ms = 5000 },
                                   .tries_max = 8 };
        p->target = (struct target){ .upstream = &p->upstream,
                                     .authority = str_of(name),
                                     .seat = { .weight = 1 },
                                     .standing = standing_of(f.shared.standings, 2 * i + 1) };
        up_target_init(&p->target);
        measure_target_init(f.shared.metrics, &p->target.measure, p->name, p->name);
        peer_open(&f.peers[i], &p->target);
        f.upstreams[i] = &p->upstream;
}

static int setup(void **state)
{
        struct loop *loop;

        memset(&f, 0, sizeof(f));
        assert_err(shared_init(&f.shared, 1), ERR_OK);
        assert_err(loop_new(&loop), ERR_OK);
        provider_init(0, "one", "model-of-one");
        provider_init(1, "two", "m2");
        f.model = (struct conf_model){ STR("alias"), false, f.targets, PROVIDERS };
        f.conf_all = (struct conf){ .providers = f.conf_providers,
                                    .providers_count = PROVIDERS,
                                    .models = &f.model,
                                    .models_count = 1 };
        f.catalogue = (struct catalogue){ &f.conf_all, f.providers, PROVIDERS };
        f.conf = (struct passthrough){ &f.catalogue, CONF_OPENAI, STR("/chat/completions") };
        f.route = (struct route){ .name = STR("r"),
                                  .path = STR("/"),
                                  .path_kind = PATH_PREFIX,
                                  .access = { .is_public = true },
                                  .handler = &passthrough_openai,
                                  .handler_conf = &f.conf,
                                  .retries_posts = true,
                                  .replay_bytes_max = 4096 };
        f.snap = (struct snapshot){ .uses = 2, .on_free = snap_free };
        f.snap.limits.connections_max = 8;
        f.snap.limits.requests_max = 8;
        f.snap.limits.model_lookahead_bytes = 4096;
        f.snap.limits.answer = (struct h1_limits){ 4096, 1024, 50 };
        f.snap.routes = (struct route_table){ &f.route, 1, false };
        f.snap.upstreams = f.upstreams;
        f.snap.upstreams_count = PROVIDERS;
        assert_err(worker_init(&f.w, &f.shared, 0, loop, &f.snap), ERR_OK);
        return 0;
}

static int teardown(void **state)
{
        struct loop *loop = f.w.loop;

        assert_int_equal(pool_taken_count(f.w.exchanges), 0);
        assert_int_equal(f.snap.uses, 2);
        worker_fini(&f.w);
        loop_free(loop);
        shared_fini(&f.shared);
        for (size_t i = 0; i < PROVIDERS; i++) {
                close(f.peers[i].listener);
                if (f.peers[i].fd >= 0)
                        close(f.peers[i].fd);
        }
        return 0;
}

/* One request, to its end. */
static void ask_with(const char *fields, struct str body, size_t cut)
{
        static char bytes[1024];
        struct http_field array[HTTP_FIELDS_MAX];
        struct http_head head = { .fields = array, .fields_max = HTTP_FIELDS_MAX };
        const struct h1_limits limits = { 4096, 1024, 50 };
        struct http_refusal refusal;
        size_t scanned = 0;

        snprintf(
                bytes, sizeof(bytes),
                "POST /v1/chat/completions?beta=1 HTTP/1.1\r\nHost: a.test\r\n%sTransfer-Encoding: chunked\r\n\r\n",
                fields);
        assert_err(h1_request_parse(str_of(bytes), &limits, &scanned, &head, &refusal), ERR_OK);
        f.caller = (struct caller){ .side = { .ops = &caller_ops, .has_room = true },
                                    .pieces = { str_sub(body, 0, cut), str_from(body, cut) } };
        struct exchange *x = exchange_new(&f.w, &f.caller.side, &f.origin, &head);
        assert_non_null(x);
        exchange_run(x);
        for (unsigned i = 0; i < ROUNDS_MAX && !f.caller.is_over; i++) {
                loop_turn(f.w.loop, 1);
                for (size_t p = 0; p < PROVIDERS; p++)
                        peer_turn(&f.peers[p]);
        }
        assert_true(f.caller.is_over);
        loop_turn(f.w.loop, 0);
}

static void ask(const char *body)
{
        ask_with("", str_of(body), 0);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

static bool got(const struct peer *p, const char *text)
{
        return memmem(p->got, p->len, text, strlen(text)) != NULL;
}

/* ---- the tests ---- */

static void rewrites_the_name_however_the_body_is_cut(void **state)
{
        static const struct {
                const char *why, *sent, *received;
        } rows[] = {
                { "longer", "{\"model\":\"alias\",\"n\":1.00}", "{\"model\":\"model-of-one\",\"n\":1.00}" },
                { "blanks, last, inside another",
                  "{ \"x\":{\"model\":\"alias\"}, \"model\" :\t\"alias\"\n}\n",
                  "{ \"x\":{\"model\":\"alias\"}, \"model\" :\t\"model-of-one\"\n}\n" },
                { "escaped", "{\"mod\\u0065l\":\"\\u0061lias\",\"s\":\"\\ud83d\"}",
                  "{\"mod\\u0065l\":\"model-of-one\",\"s\":\"\\ud83d\"}" },
        };

        f.peers[0].answer = OK;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (size_t cut = 0; cut <= strlen(rows[i].sent); cut++) {
                        ask_with("", str_of(rows[i].sent), cut);
                        if (f.caller.status != 200 ||
                            !str_eq(peer_body(&f.peers[0]), str_of(rows[i].received)))
                                fail_msg("%s, cut at %zu: %u, %.*s", rows[i].why, cut, f.caller.status,
                                         STR_FMT(peer_body(&f.peers[0])));
                }
        assert_true(got(&f.peers[0], "POST /base/v1/chat/completions?beta=1 HTTP/1.1\r\n"));
        assert_true(got(&f.peers[0], "\r\nHost: one\r\n"));
        assert_false(got(&f.peers[0], "chunked"));
        assert_int_equal(f.peers[1].requests, 0);
}

static void only_the_providers_credential_goes_on(void **state)
{
        f.peers[0].answer = OK;
        ask_with(
                "Authorization: Bearer sk-caller\r\nx-api-key: sk-caller\r\nCookie: sk-caller\r\nApi-Key: sk-caller\r\n"
                "X-Other: kept\r\n",
                STR("{\"model\":\"alias\"}"), 0);
        assert_false(got(&f.peers[0], "sk-caller"));
        assert_true(got(&f.peers[0], "\r\nAuthorization: Bearer sk-provider\r\n"));
        assert_true(got(&f.peers[0], "\r\nX-Other: kept\r\n"));
}

#define ANSWER(status, more) "HTTP/1.1 " status " X\r\nContent-Length: 0\r\nConnection: close\r\n" more "\r\n"

static void the_next_provider_is_asked_or_not(void **state)
{
        static const struct {
                const char *why, *first;
                uint16_t status;
                unsigned second_asked;
                int64_t pause_ms; /* the first one's, afterwards */
        } rows[] = {
                { "well", OK, 200, 0, 0 },
                { "nothing at all", NULL, 200, 1, 0 },
                { "busy", ANSWER("429", ""), 200, 1, 0 },
                { "busy for a while", ANSWER("429", "Retry-After: 7\r\n"), 200, 1, 7000 },
                { "away for a day", ANSWER("503", "Retry-After: 86400\r\n"), 200, 1, 60000 },
                { "away for ever", ANSWER("503", "Retry-After: 99999999999999999999\r\n"), 200, 1, 60000 },
                { "a date", ANSWER("503", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"), 200, 1, 0 },
                { "broken, with a pause that counts for nothing", ANSWER("500", "Retry-After: 7\r\n"), 200, 1,
                  0 },
                { "bad gateway", ANSWER("502", ""), 200, 1, 0 },
                { "too slow", ANSWER("504", ""), 200, 1, 0 },
                { "overloaded", ANSWER("529", ""), 200, 1, 0 },
                { "elsewhere", ANSWER("307", "Location: http://127.0.0.1:1/\r\n"), 200, 1, 0 },
                { "the caller's mistake", ANSWER("400", ""), 400, 0, 0 },
                { "our key is wrong", ANSWER("401", ""), 401, 0, 0 },
                { "unknown there", ANSWER("404", ""), 404, 0, 0 },
                { "not done there", ANSWER("501", ""), 501, 0, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct standing *s = f.providers[0].target.standing;

                atomic_store(&s->ejected_until, 0);
                f.peers[0].answer = rows[i].first;
                f.peers[1].answer = OK;
                f.peers[0].requests = f.peers[1].requests = 0;
                ask("{\"model\":\"alias\"}");
                int64_t pause = atomic_load(&s->ejected_until) - loop_now(f.w.loop);
                if (f.caller.status != rows[i].status || f.peers[1].requests != rows[i].second_asked ||
                    f.peers[0].requests != 1 || pause > rows[i].pause_ms ||
                    (rows[i].pause_ms && pause < rows[i].pause_ms - 3000))
                        fail_msg("%s: %u, first %u, second %u, pause %zd", rows[i].why, f.caller.status,
                                 f.peers[0].requests, f.peers[1].requests, (ssize_t)pause);
                if (rows[i].second_asked)
                        assert_str(peer_body(&f.peers[1]), STR("{\"model\":\"m2\"}"));
        }
}

static void a_provider_that_pauses_is_not_asked(void **state)
{
        f.peers[0].answer = f.peers[1].answer = OK;
        atomic_store(&f.providers[0].target.standing->ejected_until, loop_now(f.w.loop) + 60000);
        ask("{\"model\":\"alias\"}");
        assert_int_equal(f.peers[0].requests, 0);
        assert_int_equal(f.peers[1].requests, 1);
        atomic_store(&f.providers[1].target.standing->ejected_until, loop_now(f.w.loop) + 60000);
        ask("{\"model\":\"alias\"}"); /* better one of them than none */
        assert_int_equal(f.caller.status, 200);
}

static void a_full_provider_is_passed_over(void **state)
{
        int32_t held;
        uint64_t key = hash_str(f.shared.hash_key, STR("one")) ^ 0x6c6c6d2070726f76;

        f.conf_providers[0].max_concurrency = f.conf_providers[1].max_concurrency = 1;
        f.peers[0].answer = f.peers[1].answer = OK;
        for (int i = 0; i < 3; i++) /* each gives its place back */
                ask("{\"model\":\"alias\"}");
        assert_int_equal(f.peers[0].requests, 3);
        held = tally_enter(f.shared.requests, 0, key, 1);
        assert_int_not_equal(held, TALLY_NO_SLOT);
        ask("{\"model\":\"alias\"}");
        assert_int_equal(f.caller.status, 200);
        assert_int_equal(f.peers[1].requests, 1);
        f.model.targets_count = 1;
        ask("{\"model\":\"alias\"}");
        assert_int_equal(f.caller.status, 503);
        assert_non_null(strstr(f.caller.fields, "Retry-After=1\n"));
        tally_leave(f.shared.requests, 0, held);
        f.peers[0].answer = NULL; /* also one that failed */
        ask("{\"model\":\"alias\"}");
        assert_int_equal(f.caller.status, 502);
        assert_int_equal(tally_count(f.shared.requests, key), 0);
}

static void a_redirect_is_never_passed_on(void **state)
{
        static const char *const answers[] = { ANSWER("301", "Location: http://trap/\r\n"),
                                               ANSWER("302", "Location: /\r\n"), ANSWER("304", ""),
                                               ANSWER("308", "Location: http://trap/\r\n") };

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                f.peers[0].answer = f.peers[1].answer = answers[i];
                ask("{\"model\":\"alias\"}");
                assert_int_equal(f.caller.status, 502);
                assert_null(strstr(f.caller.fields, "trap"));
                assert_non_null(
                        memmem(f.caller.answer, f.caller.answer_len, "\"type\":\"server_error\"", 21));
        }
}

static void the_last_ones_answer_is_the_callers(void **state)
{
        f.peers[0].answer = ANSWER("500", "");
        f.peers[1].answer =
                ANSWER("429", "Retry-After: 3\r\nx-should-retry: false\r\nx-request-id: theirs\r\n");
        ask("{\"model\":\"alias\"}");
        assert_int_equal(f.caller.status, 429);
        assert_non_null(strstr(f.caller.fields, "Retry-After=3\n"));
        assert_non_null(strstr(f.caller.fields, "x-should-retry=false\n"));
        assert_non_null(strstr(f.caller.fields, "x-request-id=theirs\n"));
}

static void refusals_have_the_dialects_form(void **state)
{
        static const struct {
                const char *why, *fields, *body;
                uint16_t status;
                const char *code;
        } rows[] = {
                { "not JSON", "", "hello", 400, "json" },
                { "cut", "", "{\"model\":\"alias\"", 400, "json" },
                { "a list", "", "[\"model\",\"alias\"]", 400, "json" },
                { "a text", "", "\"alias\"", 400, "json" },
                { "null", "", "null", 400, "json" },
                { "no model", "", "{}", 400, "model_missing" },
                { "a number", "", "{\"model\":1}", 400, "model_missing" },
                { "twice", "", "{\"model\":\"alias\",\"model\":\"alias\"}", 400, "model_twice" },
                { "in another case", "", "{\"model\":\"alias\",\"Model\":\"other\"}", 400, "model_twice" },
                { "unknown", "", "{\"model\":\"nobody\"}", 404, "model_not_found" },
                { "packed", "Content-Encoding: gzip\r\n", "{\"model\":\"alias\"}", 415, "content_encoding" },
                { "packed twice", "Content-Encoding: identity, br\r\n", "{\"model\":\"alias\"}", 415,
                  "content_encoding" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char code[64];

                ask_with(rows[i].fields, str_of(rows[i].body), strlen(rows[i].body) / 2);
                snprintf(code, sizeof(code), "\"code\":\"%s\"", rows[i].code);
                if (f.caller.status != rows[i].status ||
                    !memmem(f.caller.answer, f.caller.answer_len, code, strlen(code)))
                        fail_msg("%s: %u %.*s", rows[i].why, f.caller.status, (int)f.caller.answer_len,
                                 f.caller.answer);
        }
        assert_non_null(strstr(f.caller.fields, "x-request-id="));
        assert_int_equal(f.peers[0].requests + f.peers[1].requests, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(rewrites_the_name_however_the_body_is_cut),
                T(only_the_providers_credential_goes_on),
                T(the_next_provider_is_asked_or_not),
                T(a_provider_that_pauses_is_not_asked),
                T(a_full_provider_is_passed_over),
                T(a_redirect_is_never_passed_on),
                T(the_last_ones_answer_is_the_callers),
                T(refusals_have_the_dialects_form),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
