#include "dispatch/outward.h"

#include "dispatch/ways.h"
#include "proxy/forward.h"
#include "proxy/link_in.h"
#include "proxy/reply.h"

struct outward {
        bool is_tls;
        struct http_authority to;
        struct ip source;
        struct str path, host; /* of the request as it goes out */
};

static struct str field(const struct exchange *x, struct str name)
{
        const struct http_field *f = http_find_name(&x->request, name);

        return f ? f->value : STR_NULL;
}

static bool path_is_sendable(struct str path)
{
        return path.len && path.ptr[0] == '/' && dispatch_url_is_sendable(path) &&
               str_find_char(path, '#') == STR_NONE;
}

static struct outward *fields_read(struct exchange *x)
{
        struct str scheme = field(x, STR("sekisho-scheme")), source = field(x, STR("sekisho-source"));
        struct outward *o = ARENA_NEW(&x->arena, struct outward);

        if (!o)
                return NULL;
        o->is_tls = str_eq(scheme, STR("https"));
        o->path = field(x, STR("sekisho-path"));
        o->host = http_value(&x->request, HTTP_FIELD_HOST);
        if ((!o->is_tls && !str_eq(scheme, STR("http"))) || !path_is_sendable(o->path) ||
            (source.ptr && ip_parse(source, &o->source) != ERR_OK) ||
            http_authority_parse(o->host, &x->arena, &o->to) != ERR_OK)
                return NULL;
        if (o->to.port == 0)
                o->to.port = dispatch_url_port(o->is_tls);
        return o;
}

static enum step_result pick(struct exchange *x)
{
        const struct outward_conf *conf = x->route->handler_conf;
        struct outward *o = x->extra;
        struct upstream *u;

        if (!o) {
                if (!(x->extra = o = fields_read(x)))
                        return exchange_refuse(x, 400, "dispatch_fields",
                                               "The request does not say whom it is for.");
                link_in_own_remove(&x->request);
                x->forward_target = o->path;
        }
        if (!dispatch_may_ask(&conf->rules, o->to.host, o->to.port))
                return exchange_refuse(
                        x, 403, "address_denied",
                        "This agent's owner does not allow this destination (agent.dispatch.allow).");
        if (!*conf->ways || !(u = ways_get(*conf->ways, o->is_tls, &o->to, o->source)))
                return exchange_refuse(x, 503, "upstream_connections",
                                       "This agent has no room for another destination.");
        return forward_to(x, u, o->host);
}

static void cancel(struct exchange *x)
{
        forward_handler.cancel(x);
}

const struct handler outward_handler = { .name = "dispatch", .pick = pick, .cancel = cancel };
