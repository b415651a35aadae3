#include "proxy/link_in.h"

#include <string.h>

#include "base/units.h"
#include "io/listener.h"
#include "proxy/forward.h"
#include "proxy/reply.h"
#include "proxy/worker.h"

/* Names come in lower case over HTTP/2, and none of ours is one that http/head.h knows. */
static struct str field(const struct exchange *x, struct str name)
{
        for (size_t i = 0; i < x->request.fields_count; i++) {
                const struct http_field *f = &x->request.fields[i];

                if (f->id == HTTP_FIELD_OTHER && str_eq(f->name, name))
                        return f->value;
        }
        return STR_NULL;
}

/* Of a stream of bytes: the client's port, and which of the gateway's addresses it came to. Absent is fine. */
static bool ends_read(struct exchange *x)
{
        struct str port = field(x, STR("sekisho-client-port")), local = field(x, STR("sekisho-local"));
        struct listen_address at;
        uint64_t number;

        if (!port.ptr && !local.ptr)
                return true;
        if (units_parse_u64(port, 65535, &number) != ERR_OK || listen_address_parse(local, &at) != ERR_OK ||
            !at.ip.family)
                return false;
        x->client_port = (uint16_t)number;
        x->client_to = at.ip;
        x->client_to_port = at.port;
        return true;
}

static bool is_id(struct str id)
{
        if (id.len != EXCHANGE_ID_LEN)
                return false;
        for (size_t i = 0; i < id.len; i++)
                if (!ascii_is_digit(id.ptr[i]) && !(id.ptr[i] >= 'a' && id.ptr[i] <= 'z'))
                        return false;
        return true;
}

bool link_in_identify(struct exchange *x)
{
        struct str client = field(x, STR("sekisho-client")), id = field(x, STR("sekisho-request-id"));

        x->client = (struct http_client){ .ip = x->origin->peer, .peer = x->origin->peer, .is_tls = true };
        if (client.ptr && ip_parse(client, &x->client.ip) != ERR_OK)
                return false;
        if (!ends_read(x))
                return false;
        if (id.ptr && !is_id(id))
                return false;
        if (!id.ptr) /* the gateway's word to the service says it, too */
                id = http_value(&x->request, HTTP_FIELD_X_REQUEST_ID);
        if (is_id(id))
                memcpy(x->id, id.ptr, EXCHANGE_ID_LEN); /* one id for the line in both logs */
        return true;
}

const struct route *link_in_route(struct exchange *x)
{
        const struct link_in_conf *conf = &x->snap->link_in;
        struct str target = field(x, STR("sekisho-target"));

        if (target.ptr)
                return map_find(&conf->targets, target);
        return x->request.method == HTTP_POST && str_eq(x->target.path, STR("/.sekisho/link"))
                       ? conf->announce
                       : NULL;
}

/* One family, whatever is in it: later gateways may say more. */
void link_in_own_remove(struct http_head *h)
{
        const struct str prefix = STR("sekisho-");

        for (size_t i = 0; i < h->fields_count; i++)
                if (h->fields[i].id == HTTP_FIELD_OTHER &&
                    str_eq_nocase(str_sub(h->fields[i].name, 0, prefix.len), prefix))
                        h->fields[i].is_removed = true;
}

enum err link_in_fields(struct exchange *x)
{
        struct http_head *h = &x->request;
        enum err e;

        if (x->route->upstream) /* else they are for us */
                link_in_own_remove(h);
        if ((e = http_remove_hop_by_hop(h, x->wants_upgrade)) != ERR_OK)
                return e;
        http_remove(h, HTTP_FIELD_EXPECT);
        return h->framing == HTTP_BODY_CHUNKED ? http_add(h, STR("Transfer-Encoding"), STR("chunked"))
                                               : ERR_OK;
}

void link_in_answer(struct http_head *h)
{
        link_in_own_remove(h);
}

void link_in_refused(struct exchange *x, const char *refused)
{
        static const struct {
                const char *refused, *word;
        } words[] = {
                { "link_target", "target" },
                { "address_denied", "allowlist" },
                { "no_target", "down" },
                { "upstream_unreachable", "dial" },
                { "upstream_connections", "dial" },
                { "upstream_tls", "dial" },
        };

        if (x->route && x->route->is_outward) { /* the target's answer may be a 502, too */
                reply_will_have(x, "sekisho-error", str_of(refused));
                return;
        }

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcmp(words[i].refused, refused) == 0)
                        reply_will_have(x, "sekisho-refused", str_of(words[i].word));
}

static bool is_left_to_us(struct str host)
{
        const struct str suffix = STR(".sekisho.internal");

        return host.len >= suffix.len && str_eq_nocase(str_from(host, host.len - suffix.len), suffix);
}

static enum step_result pick(struct exchange *x)
{
        struct str host = http_value(&x->request, HTTP_FIELD_HOST);

        if (x->request.is_raw != x->route->upstream->is_raw ||
            x->request.is_datagram != x->route->upstream->is_datagram)
                return exchange_refuse(x, 400, "link_kind", "This target takes another kind of request.");
        return forward_to(x, x->route->upstream, is_left_to_us(host) ? STR_NULL : host);
}

static void cancel(struct exchange *x)
{
        forward_handler.cancel(x);
}

const struct handler link_in_handler = {
        .name = "link", .forgets_tunnels = true, .pick = pick, .cancel = cancel
};
