#include "proxy/revoke.h"

#include "proxy/exchange_priv.h"
#include "proxy/route.h"
#include "proxy/snapshot.h"
#include "proxy/worker.h"

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

/* Whether the entry that let it in still stands at the same route. Who has left the tailnet is told by nobody. */
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
