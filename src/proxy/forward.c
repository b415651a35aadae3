#include "proxy/forward.h"

#include "proxy/reply.h"
#include "proxy/up.h"
#include "proxy/worker.h"

/* The target of the attempt before failed: not again, unless only its kept connection was stale. */
static void remember_tried(struct exchange *x)
{
        if (x->target_in_use && !x->is_stale_retry && x->tried_count < EXCHANGE_TRIED_MAX) {
                measure_add(x->w, x->target_in_use->measure.retries, 1);
                x->tried[x->tried_count++] = x->target_in_use;
        }
        x->target_in_use = NULL;
        x->is_stale_retry = false;
}

/* ---- the choice ---- */

/* The cookie's value; the first of several. Empty: none. */
static struct str cookie_find(const struct http_head *h, struct str name)
{
        for (size_t i = 0; i < h->fields_count; i++) {
                struct str rest = h->fields[i].value;

                if (h->fields[i].id != HTTP_FIELD_COOKIE)
                        continue;
                while (rest.len) {
                        struct str pair = str_trim(str_sub(rest, 0, MIN(str_find_char(rest, ';'), rest.len)));
                        size_t equals = str_find_char(pair, '=');

                        if (equals < pair.len && str_eq(str_sub(pair, 0, equals), name))
                                return str_from(pair, equals + 1);
                        rest = str_from(rest, MIN(MIN(str_find_char(rest, ';'), rest.len) + 1, rest.len));
                }
        }
        return STR_NULL;
}

/* What the request is told apart by. The key is no secret: gateways side by side must choose alike, and a target that
 * someone heaps requests on is passed over when it has its part. */
static void hash_find(const struct exchange *x, const struct upstream *u, struct upstream_ask *ask)
{
        const struct hash_key key = { 0x73656b6973686f31, 0x62616c616e636531 };
        const struct http_field *field;
        struct str text = STR_NULL;

        switch (u->hash_by) {
        case HASH_BY_SOURCE:
                text = (struct str){ (const char *)&x->client.ip, sizeof(x->client.ip) };
                if (!x->client.ip.family)
                        text = STR_NULL;
                break;
        case HASH_BY_HEADER:
                field = http_find_name(&x->request, u->hash_name);
                text = field ? field->value : STR_NULL;
                break;
        case HASH_BY_COOKIE: text = cookie_find(&x->request, u->hash_name); break;
        }
        ask->has_hash = text.len > 0;
        ask->hash = ask->has_hash ? hash_str(key, text) : 0;
}

static enum upstream_answer choose(struct exchange *x, struct upstream *u, struct target **t)
{
        struct upstream_ask ask = { .now = loop_now(x->w->loop),
                                    .not_again = x->tried,
                                    .not_again_count = x->tried_count,
                                    .is_repeatable = exchange_is_safe_to_repeat(x) &&
                                                     x->tried_count + 1 < u->tries_max };
        enum upstream_answer answer;

        if (u->balance == BALANCE_HASH)
                hash_find(x, u, &ask);
        answer = upstream_pick(u, &ask, t, &x->is_probe);
        if (answer == UPSTREAM_FOUND) {
                target_enter(*t);
                x->entered = *t;
        }
        return answer;
}

void forward_leave(struct exchange *x)
{
        if (x->entered)
                target_leave(x->entered, x->is_probe);
        x->entered = NULL;
        x->is_probe = false;
}

void forward_answered(struct exchange *x)
{
        if (x->entered && x->status < 500)
                balance_answered(&x->entered->seat, x->first_byte_us - x->up_start_us, loop_now(x->w->loop));
}

static enum step_result refuse(struct exchange *x, const struct upstream *u)
{
        if (x->tried_count == 0) {
                reply_will_have(x, "Retry-After", STR("1"));
                return exchange_refuse(x, 503, "no_target", "No healthy upstream can take this request now.");
        }
        (void)u;
        return exchange_refuse(x, x->up_error == ERR_TIMED_OUT ? 504 : 502, "upstream_unreachable",
                               "The upstream could not be reached.");
}

enum step_result forward_to(struct exchange *x, struct upstream *u, struct str host)
{
        struct target *t;

        x->upstream = u;
        remember_tried(x);
        forward_leave(x);
        if (x->tried_count >= u->tries_max)
                return refuse(x, u);
        if (choose(x, u, &t) != UPSTREAM_FOUND)
                return refuse(x, u);
        if (host.len == 0 && t->authority.len)
                host = t->authority;
        if (host.len && http_replace(&x->request, STR("Host"), host) != ERR_OK)
                return exchange_refuse(x, 431, "fields", "The request has too many fields.");
        if (up_connect(x, t) != ERR_OK)
                return exchange_refuse(x, 503, "upstream_connections",
                                       "The gateway has no connection left for the upstream.");
        return x->is_connecting ? STEP_WAIT : STEP_NEXT;
}

static enum step_result pick(struct exchange *x)
{
        const struct http_field *host = http_find(&x->request, HTTP_FIELD_HOST);

        return forward_to(x, x->route->upstream, x->route->preserve_host && host ? host->value : STR_NULL);
}

static void cancel(struct exchange *x)
{
        up_abandon(x);
}

const struct handler forward_handler = { .name = "forward", .pick = pick, .cancel = cancel };
