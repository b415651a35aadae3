#include "proxy/revoke.h"

#include <stdlib.h>

#include "proxy/caller.h"
#include "proxy/exchange_priv.h"
#include "proxy/route.h"
#include "proxy/snapshot.h"
#include "proxy/worker.h"

enum { LOOK_MS = 1000, ASKED_MAX = 512 /* a look */ };

const char *revoke_reason(const struct token *was, unsigned scopes, struct ip ip, const struct token_set *now,
                          unix_ms wall)
{
        const struct token *t =
                map_find(&now->by_hash, (struct str){ (const char *)was->sha256, sizeof(was->sha256) });

        if (!t)
                return "token_revoked";
        if (t->expires && t->expires <= wall)
                return "token_expired";
        if (t->allowed_ips.count && !ip_list_has(&t->allowed_ips, ip))
                return "token_address";
        return scopes && !(t->scopes & scopes) ? "scope" : NULL;
}

static void end(struct exchange *x, const char *reason)
{
        x->refused = reason;
        measure_refused(x->w, reason);
        exchange_drop_up(x, ERR_DENIED);
        exchange_drop_down(x, ERR_DENIED);
        exchange_end_later(x, OUTCOME_REFUSED);
}

/* Whether the entry that let it in still stands at the same route. */
static bool is_caller_revoked(const struct exchange *x, const struct route_table *now)
{
        for (size_t i = 0; i < now->count; i++) {
                const struct route_access *access = &now->routes[i].access;

                if (now->routes[i].key != x->route->key || !str_eq(now->routes[i].name, x->route->name))
                        continue;
                for (size_t j = 0; j < access->tailnet_count; j++)
                        if (str_eq(access->tailnet[j], x->caller_entry))
                                return false;
        }
        return true;
}

void revoke_tunnels(struct worker *w)
{
        list_for_each_safe(node, &w->exchange_list) {
                struct exchange *x = CONTAINER_OF(node, struct exchange, node);
                const char *reason;

                if (!x->is_tunnel || x->is_ended)
                        continue;
                if (x->caller_entry.len && is_caller_revoked(x, &w->snap->routes)) {
                        end(x, "caller_revoked");
                        continue;
                }
                if (!x->token || !w->snap->auth)
                        continue;
                reason = revoke_reason(x->token, x->route->access.scopes, x->client.ip, &w->snap->tokens,
                                       loop_wall(w->loop));
                if (reason)
                        end(x, reason);
        }
}

/* ---- the tailnet's ---- */

static void again_answered(struct caller_question *q, enum err result, const struct caller *who)
{
        struct exchange *x = q->x;
        mono_ms now = loop_now(x->w->loop);

        x->question = NULL;
        free(q);
        measure_count(x->w, MEASURE_TAILNET_LOOKUPS, caller_result_word(result), NULL, NULL);
        if (x->is_ended)
                return;
        if (result == ERR_OK && caller_is(who, x->caller_entry) && str_eq(caller_name(who), x->caller_name))
                x->caller_at = now;
        else if (result == ERR_OK || result == ERR_NOT_FOUND)
                end(x, "caller_revoked");
        else if (now - x->caller_at >= REVOKE_BELIEVED_MS)
                end(x, "caller_unavailable");
}

/* Where the asker has no room it is asked in another look. */
static void ask_again(struct exchange *x)
{
        struct caller_asker *asker = x->w->callers;
        struct caller_question *q = calloc(1, sizeof(*q));
        enum err e = q && asker ? ERR_OK : ERR_UNREACHABLE;

        if (e == ERR_OK) {
                *q = (struct caller_question){ .x = x, .answered = again_answered, .is_again = true };
                e = asker->ask(asker, q, x->origin);
        }
        if (e == ERR_OK) {
                x->question = q;
                return;
        }
        free(q);
        if (e != ERR_TOO_LARGE && loop_now(x->w->loop) - x->caller_at >= REVOKE_BELIEVED_MS)
                end(x, "caller_unavailable");
}

static void on_look(struct timer *t)
{
        struct worker *w = CONTAINER_OF(t, struct worker, callers_timer);
        mono_ms now = loop_now(w->loop);
        unsigned asked = 0;
        bool has_any = false;

        list_for_each_safe(node, &w->exchange_list) {
                struct exchange *x = CONTAINER_OF(node, struct exchange, node);

                if (!x->is_tunnel || x->is_ended || !x->caller_at)
                        continue;
                has_any = true;
                if (now - x->caller_at < REVOKE_AGAIN_MS || (x->question && !x->question->is_answered) ||
                    asked == ASKED_MAX)
                        continue;
                asked++;
                ask_again(x);
        }
        if (has_any)
                timer_set(w->loop, t, now + LOOK_MS);
}

void revoke_init(struct worker *w)
{
        timer_init(&w->callers_timer, on_look);
}

void revoke_watch(struct exchange *x)
{
        struct worker *w = x->w;

        if (x->caller_at && w->callers_timer.due == MONO_NEVER)
                timer_set(w->loop, &w->callers_timer, loop_now(w->loop) + LOOK_MS);
}
