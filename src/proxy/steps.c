#include "proxy/steps.h"

#include <inttypes.h>

#include "http/websocket_handshake.h"
#include "proxy/caller.h"
#include "proxy/link_in.h"
#include "proxy/pace.h"
#include "proxy/reply.h"
#include "proxy/route.h"
#include "proxy/worker.h"

#define X(name) static enum step_result step_##name(struct exchange *x);
STEP_LIST(X)
#undef X

const struct step proxy_steps[] = {
#define X(name) { #name, step_##name },
        STEP_LIST(X)
#undef X
};
const size_t proxy_steps_count = ARRAY_SIZE(proxy_steps);

static void client_find(struct exchange *x)
{
        const struct exchange_origin *o = x->origin;
        const struct ip_prefix peer = { o->peer, o->peer.family == 4 ? 32 : 128 };
        const struct ip_list *trusted = &x->snap->trusted_proxies;
        bool is_vouched = x->w->is_vouched && x->w->is_vouched(x->w, x);

        http_client_find(&x->request, o->peer, o->is_tls, is_vouched ? &peer : trusted->prefixes,
                         is_vouched ? 1 : trusted->count, &x->client);
}

/* Makes the canonical target and finds the client's address; then the address rule, before anything of the request is believed. */
static enum step_result step_address(struct exchange *x)
{
        const struct snapshot *s = x->snap;
        const struct ip_list *allowed = x->origin->is_admin ? &s->admin_ips : &s->allowed_ips;
        struct http_refusal refusal;

        if (!x->origin->is_link)
                client_find(x);
        else if (!link_in_identify(x))
                return exchange_refuse(x, 400, "link_fields", "The gateway's fields are not in order.");
        if (allowed->count && x->origin->peer.family && !ip_list_has(allowed, x->client.ip))
                return exchange_refuse(x, 403, "address", "Access from this address is not allowed.");
        if (http_target_parse(&x->request, &x->arena, &x->target, &refusal) != ERR_OK)
                return exchange_refuse(x, refusal.status, refusal.reason,
                                       "The request's target or Host is not in a form this gateway takes.");
        x->forward_target = x->target.text;
        if (x->origin->server_name.len && !x->origin->raw &&
            !str_eq_nocase(x->origin->server_name, x->target.authority.host))
                return exchange_refuse(x, 421, "server_name",
                                       "This connection was made for another name. Make a new one.");
        return STEP_NEXT;
}

static enum step_result step_identify(struct exchange *x)
{
        bool is_malformed;
        struct str presented;

        if (!x->snap->auth)
                return STEP_NEXT;
        presented = access_presented(&x->request, &is_malformed);
        if (is_malformed)
                return exchange_refuse(x, 400, "credentials",
                                       "The request carries more than one credential.");
        x->token = token_find(&x->snap->tokens, presented);
        x->has_bad_token = presented.len && !x->token;
        return STEP_NEXT;
}

/* "GET, POST" from the methods' bits. */
static struct str methods_text(struct exchange *x, unsigned methods)
{
        struct str text = STR("");

        for (int m = HTTP_GET; m < HTTP_OTHER; m++)
                if (methods & 1u << m) {
                        struct str parts[3] = { text, text.len ? STR(", ") : STR(""),
                                                http_method_name((enum http_method)m) };
                        text = arena_join(&x->arena, parts, 3);
                }
        return text;
}

static enum step_result step_route(struct exchange *x)
{
        const struct route_table *table = x->origin->is_admin ? &x->snap->admin_routes : &x->snap->routes;
        uint16_t status;
        unsigned allowed;

        if (x->origin->raw) {
                x->route = x->origin->raw;
                return STEP_NEXT;
        }
        if (x->origin->is_link) {
                if (!(x->route = link_in_route(x)))
                        return exchange_refuse(x, 404, "link_target", "This agent offers no such target.");
                return STEP_NEXT;
        }
        x->route = route_find(table, &x->target, x->request.method, &status, &allowed);
        if (x->route && x->route->is_in_maintenance) {
                reply_will_have(x, "Retry-After", STR("60"));
                return exchange_refuse(x, 503, "maintenance",
                                       "This service is being worked on. It will be back soon.");
        }
        if (x->route)
                return STEP_NEXT;
        switch (status) {
        case 405:
                reply_will_have(x, "Allow", methods_text(x, allowed));
                return exchange_refuse(x, 405, "method", "This path does not take this method.");
        case 421: return exchange_refuse(x, 421, "host", "No service is published under this name here.");
        default: return exchange_refuse(x, 404, "no_route", "There is nothing at this path.");
        }
}

/* Failures of one address are bounded; the right token always passes, or anyone behind the same NAT could lock a team out. */
static enum step_result not_identified(struct exchange *x)
{
        struct units_rate rate = { x->snap->limits.failed_auth_per_minute, 60000 };
        uint64_t key = hash_str(x->w->shared->hash_key,
                                (struct str){ (const char *)&x->client.ip, sizeof(x->client.ip) }) ^
                       0xa0761d6478bd642f;
        int64_t wait_ms;

        if (rate.count && x->has_bad_token && x->client.ip.family &&
            !gate_pass(x->w->shared->rates, key, &rate, loop_now(x->w->loop), &wait_ms)) {
                reply_will_have(x, "Retry-After",
                                arena_format(&x->arena, "%" PRId64, (wait_ms + 999) / 1000));
                return exchange_refuse(x, 429, "failed_auth",
                                       "Too many wrong tokens from this address. Try again later.");
        }
        reply_will_have(x, "WWW-Authenticate", STR("Bearer realm=\"sekisho\""));
        if (x->token)
                return exchange_refuse(x, 401, "token_expired", "This token has expired. Ask for a new one.");
        if (x->has_bad_token)
                return exchange_refuse(x, 401, "token_unknown", "This token is not known here.");
        return exchange_refuse(
                x, 401, "token_missing",
                "A token is needed: send it as \"Authorization: Bearer TOKEN\" or \"x-api-key: TOKEN\".");
}

/* No token of ours. SDKs send one whatever it is: then it may still be somebody of the tailnet. */
static enum step_result without_token(struct exchange *x)
{
        const struct route_access *access = &x->route->access;
        enum step_result result = access->tailnet_count
                                          ? caller_find(x, access->tailnet, access->tailnet_count, true)
                                          : STEP_DONE;

        if (result == STEP_DONE && !x->refused)
                return not_identified(x);
        if (result == STEP_NEXT)
                x->token = NULL; /* an expired one says no more than none */
        return result;
}

static enum step_result step_authorise(struct exchange *x)
{
        const struct route_access *access = &x->route->access;
        const struct token *t = x->token;

        if ((access->allowed_ips.count && !ip_list_has(&access->allowed_ips, x->client.ip)) ||
            ip_list_has(&access->denied_ips, x->client.ip))
                return exchange_refuse(x, 403, "route_address",
                                       "Access to this route from this address is not allowed.");
        /* Also where the handshake asks for one: connections from before a reload are still here. */
        if ((access->needs_client_certificate || (x->snap->needs_client_certificate && x->origin->is_tls)) &&
            !x->origin->client && !x->is_internal && !x->origin->is_admin)
                return exchange_refuse(x, 403, "client_certificate",
                                       "A client certificate of this service's authority is needed.");
        if (access->tailnet_count && !access->takes_tokens_too) {
                x->has_own_token |= t != NULL;
                x->token = NULL;
                return caller_find(x, access->tailnet, access->tailnet_count, false);
        }
        if (access->is_public || !x->snap->auth) {
                x->token = access->is_public ? NULL : t;
                return STEP_NEXT;
        }
        if (!t || (t->expires && t->expires <= loop_wall(x->w->loop)))
                return without_token(x);
        if (t->allowed_ips.count && !ip_list_has(&t->allowed_ips, x->client.ip))
                return exchange_refuse(x, 403, "token_address",
                                       "This token may not be used from this address.");
        if (access->scopes && !(t->scopes & access->scopes))
                return exchange_refuse(x, 403, "scope",
                                       "This token does not have the scope this route asks for.");
        return STEP_NEXT;
}

static enum step_result rate_refuse(struct exchange *x, const char *refused, const char *message,
                                    int64_t wait_ms)
{
        reply_will_have(x, "Retry-After", arena_format(&x->arena, "%" PRId64, (wait_ms + 999) / 1000));
        return exchange_refuse(x, 429, refused, message);
}

/* False: the route has as many under way as it may have, or as this address may have there. */
static bool concurrency_enter(struct exchange *x, uint64_t address)
{
        const struct route *r = x->route;
        struct shared *s = x->w->shared;

        if (r->concurrent_max && (x->route_slot = tally_enter(s->requests, x->w->index, r->key,
                                                              r->concurrent_max)) == TALLY_NO_SLOT)
                return false;
        return !r->concurrent_per_address_max ||
               (x->address_slot = tally_enter(s->connections, x->w->index, r->key ^ address,
                                              r->concurrent_per_address_max)) != TALLY_NO_SLOT;
}

static enum step_result step_limit(struct exchange *x)
{
        const struct proxy_limits *l = &x->snap->limits;
        struct shared *shared = x->w->shared;
        mono_ms now = loop_now(x->w->loop);
        uint64_t address =
                hash_str(shared->hash_key, (struct str){ (const char *)&x->client.ip, sizeof(x->client.ip) });
        int64_t wait_ms;

        if (x->request.framing == HTTP_BODY_LENGTH && x->route->body_bytes_max &&
            x->request.content_length > x->route->body_bytes_max)
                return exchange_refuse(x, 413, "body_too_large",
                                       "The request's body is larger than this route takes.");
        if (x->route->is_quiet) /* health and metrics answer under load too */
                return STEP_NEXT;
        if (x->w->overload.memory != OVERLOAD_EASY) {
                reply_will_have(x, "Retry-After", STR("1"));
                return exchange_refuse(x, 503, "overload", "The gateway is short of memory. Try again soon.");
        }
        if (l->rate_per_address.count &&
            !gate_pass(shared->rates, address, &l->rate_per_address, now, &wait_ms))
                return rate_refuse(x, "rate_address", "Too many requests from this address.", wait_ms);
        if (x->token && x->token->rate.count &&
            !gate_pass(shared->rates, x->token->key, &x->token->rate, now, &wait_ms))
                return rate_refuse(x, "rate_token", "This token's rate limit is reached.", wait_ms);
        if (x->route->rate.count &&
            !gate_pass(shared->rates, (x->token ? x->token->key : address) ^ x->route->key, &x->route->rate,
                       now, &wait_ms))
                return rate_refuse(x, "rate_route", "This route's rate limit is reached.", wait_ms);
        if (!concurrency_enter(x, address))
                return rate_refuse(x, "route_concurrency", "As many are under way here as may be.", 1000);
        x->tally_slot = tally_enter(shared->requests, x->w->index, 0, l->requests_max);
        if (x->tally_slot == TALLY_NO_SLOT) {
                reply_will_have(x, "Retry-After", STR("1"));
                return exchange_refuse(x, 503, "requests",
                                       "The gateway is at its limit of concurrent requests.");
        }
        return STEP_NEXT;
}

void steps_end(struct exchange *x)
{
        caller_forget(x);
        tally_leave(x->w->shared->requests, x->w->index, x->tally_slot);
        tally_leave(x->w->shared->requests, x->w->index, x->route_slot);
        tally_leave(x->w->shared->connections, x->w->index, x->address_slot);
        x->tally_slot = x->route_slot = x->address_slot = TALLY_NO_SLOT;
}

/* "/public/x?q" without "/public" is "/x?q"; never empty. */
static struct str prefix_strip(struct exchange *x, struct str target, struct str prefix)
{
        size_t covered = http_path_prefix(target, prefix);

        if (covered == STR_NONE)
                return target;
        struct str rest = str_from(target, covered);
        if (rest.len && rest.ptr[0] == '/')
                return rest;
        struct str parts[2] = { STR("/"), rest };
        return arena_join(&x->arena, parts, 2);
}

static void target_rewrite(struct exchange *x)
{
        const struct route *r = x->route;

        if (r->strip_prefix.len)
                x->forward_target = prefix_strip(x, x->forward_target, r->strip_prefix);
        if (r->add_prefix.len) {
                struct str parts[2] = { r->add_prefix, x->forward_target };
                x->forward_target = arena_join(&x->arena, parts, 2);
        }
}

/* Who the client is by its certificate. The names are of the reserved family: nobody else's stand beside ours. */
static enum err client_add(struct http_head *h, const struct client_certificate *client)
{
        enum err e;

        if (!client)
                return ERR_OK;
        e = http_add(h, STR("X-Sekisho-Client-Sha256"), str_of(client->sha256));
        if (e == ERR_OK && client->subject.len)
                e = http_add(h, STR("X-Sekisho-Client-Subject"), client->subject);
        if (e == ERR_OK && client->names.len)
                e = http_add(h, STR("X-Sekisho-Client-Names"), client->names);
        return e;
}

static bool is_by_tailnet_alone(const struct exchange *x)
{
        return x->caller && !x->route->access.takes_tokens_too && !x->has_own_token;
}

static enum err fields_rewrite(struct exchange *x)
{
        struct http_head *h = &x->request;
        bool is_trusted =
                x->snap->trusted_proxies.count && ip_list_has(&x->snap->trusted_proxies, x->origin->peer);
        enum err e;

        if (x->origin->is_link) /* the gateway did it */
                return (e = link_in_fields(x)) == ERR_OK ? trace_begin(x) : e;
        /* Reserved first, hop-by-hop second, ours last: reliability finding 2. */
        http_remove_reserved(h, is_trusted);
        if ((e = http_remove_hop_by_hop(h, x->wants_upgrade)) != ERR_OK)
                return e;
        http_remove(h, HTTP_FIELD_EXPECT); /* answered here, once the upstream is found */
        /* The caller's credential ends here; of who came by the tailnet alone it is another's, for the service behind us. */
        if (x->snap->auth && !x->route->access.is_public && !is_by_tailnet_alone(x)) {
                http_remove(h, HTTP_FIELD_AUTHORIZATION);
                http_remove(h, HTTP_FIELD_X_API_KEY);
        }
        if (h->framing == HTTP_BODY_CHUNKED &&
            (e = http_add(h, STR("Transfer-Encoding"), STR("chunked"))) != ERR_OK)
                return e;
        if ((e = http_add_forwarded(h, &x->client, is_trusted, &x->arena)) != ERR_OK)
                return e;
        if ((e = http_set(h, HTTP_FIELD_X_REQUEST_ID, str_of(x->id))) != ERR_OK ||
            (e = client_add(h, x->origin->client)) != ERR_OK || (e = caller_fields_add(x)) != ERR_OK)
                return e;
        if ((e = trace_begin(x)) != ERR_OK)
                return e;
        for (size_t i = 0; i < x->route->request_rules_count; i++) {
                const struct header_rule *rule = &x->route->request_rules[i];

                if (rule->kind == HEADER_REMOVE) {
                        http_remove_name(h, rule->name);
                        continue;
                }
                e = rule->kind == HEADER_SET ? http_replace(h, rule->name, rule->value)
                                             : http_add(h, rule->name, rule->value);
                if (e != ERR_OK)
                        return e;
        }
        return ERR_OK;
}

static enum step_result step_filters(struct exchange *x)
{
        const struct route *r = x->route;
        bool may_upgrade = r->upstream || r->handler->takes_websocket;

        x->wants_upgrade = x->request.asks_upgrade && may_upgrade && x->request.version_minor > 0;
        if (x->is_connect && !x->wants_upgrade) /* what is answered from here is no tunnel */
                return exchange_refuse(x, 501, "no_tunnel", "There is no tunnel at this path.");
        if (may_upgrade && websocket_is_asked(&x->request)) {
                struct http_refusal refusal;

                if (websocket_request_check(&x->request, &refusal) != ERR_OK) {
                        if (refusal.status == 426)
                                reply_will_have(x, "Sec-WebSocket-Version", WEBSOCKET_VERSION);
                        return exchange_refuse(x, refusal.status, refusal.reason,
                                               "The WebSocket handshake is not valid.");
                }
                x->is_websocket = true;
        }
        target_rewrite(x);
        if ((r->request_rules_count > EXCHANGE_RULES_FEW || !r->upstream) && !exchange_fields_widen(x))
                return exchange_refuse(x, 503, "memory", "The gateway has no memory for this request.");
        if (fields_rewrite(x) != ERR_OK || x->arena.full)
                return exchange_refuse(x, 431, "fields", "The request has too many fields.");
        /* HTTP/2 says of a request that it was not looked at: then even a POST goes again. */
        x->keep_body = r->replay_bytes_max > 0 &&
                       (exchange_is_safe_to_repeat(x) || (r->upstream && r->upstream->may_speak_h2));
        if (!pace_watch(x))
                return exchange_refuse(x, 503, "memory", "The gateway has no memory for this request.");
        if (r->total_ms)
                timer_set(x->w->loop, &x->timer, loop_now(x->w->loop) + r->total_ms);
        for (size_t i = 0; i < r->filters_count && i < EXCHANGE_FILTERS_MAX; i++) {
                const struct filter *f = r->filters[i].filter;
                struct exchange_filter *slot = &x->filters[x->filters_count];

                slot->filter = f;
                slot->state = arena_zalloc(&x->arena, f->state_bytes, _Alignof(max_align_t));
                if (!slot->state)
                        return exchange_refuse(x, 503, "memory",
                                               "The gateway has no memory for this request.");
                x->filters_count++;
                if (f->on_request) {
                        enum step_result result = f->on_request(x, slot->state, r->filters[i].conf);
                        if (result != STEP_NEXT)
                                return result;
                }
        }
        return STEP_NEXT;
}

static enum step_result step_pick(struct exchange *x)
{
        return x->route->handler->pick(x);
}
