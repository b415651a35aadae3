#include "control/callers.h"

#include "control/api.h"
#include "control/control_priv.h"
#include "control/hub.h"
#include "crypto/blake2s.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "proxy/exchange.h"
#include "wire/name.h"
#include "json/reader.h"

static const struct str target_word = STR_INIT("control"), base_path = STR_INIT("/api");

/* ---- who is believed ---- */

void callers_key_make(const struct secrets *s, uint8_t key[CALLERS_KEY_BYTES])
{
        crypto_blake2s_keyed((struct str){ (const char *)s->document_seed, sizeof(s->document_seed) },
                             STR("sekisho: gateways vouch for callers"), key, CALLERS_KEY_BYTES);
}

struct str callers_voucher_make(const uint8_t key[CALLERS_KEY_BYTES], struct str gateway,
                                char out[CALLERS_VOUCHER_SIZE])
{
        uint8_t mac[CALLERS_KEY_BYTES];

        crypto_blake2s_keyed((struct str){ (const char *)key, CALLERS_KEY_BYTES }, gateway, mac, sizeof(mac));
        return crypto_hex_format((struct str){ (const char *)mac, sizeof(mac) }, out);
}

bool callers_is_vouched(const struct worker *w, const struct exchange *x)
{
        const struct control *c = CONTAINER_OF(w, struct control, worker);
        const struct http_field *f;
        char expected[CALLERS_VOUCHER_SIZE];
        uint8_t key[CALLERS_KEY_BYTES];
        struct str id, rest;
        int64_t row;

        if (!str_eq_nocase(x->origin->server_name, WIRE_HOST_CALLERS) ||
            !(f = http_find_name(&x->request, STR(WIRE_FIELD_VOUCHER))))
                return false;
        rest = f->value;
        if (!str_split(&rest, ':', &id) || rest.len != CALLERS_VOUCHER_SIZE - 1 ||
            id_parse(c->secrets.id_key, ID_GATEWAY, id, &row) != ERR_OK)
                return false;
        callers_key_make(&c->secrets, key);
        callers_voucher_make(key, id, expected);
        bool is_good = crypto_eq(rest.ptr, expected, rest.len) && hub_is_active(c->hub, row);
        crypto_wipe(key, sizeof(key));
        crypto_wipe(expected, sizeof(expected));
        return is_good;
}

/* ---- what is there ---- */

static enum step_result nothing_pick(struct exchange *x)
{
        return exchange_refuse(x, 404, "not_at_gateways",
                               "This is not served at gateways: make this call to control itself.");
}

static const struct handler nothing_handler = { .name = "callers", .pick = nothing_pick };

void callers_routes_add(struct route_table *t, const struct api_route *routes, size_t count, struct arena *a)
{
        for (size_t i = 0; i < count; i++)
                if (routes[i].flags & API_AT_GATEWAYS) {
                        struct route *r = api_route_add(t, &routes[i], a);

                        r->host = WIRE_HOST_CALLERS;
                        r->name = arena_format(a, "callers%s", routes[i].path);
                }
        t->routes[t->count++] = (struct route){ .name = STR("callers"),
                                                .host = WIRE_HOST_CALLERS,
                                                .path = STR("/"),
                                                .path_kind = PATH_PREFIX,
                                                .access = { .is_public = true },
                                                .handler = &nothing_handler,
                                                .is_builtin = true };
}

/* ---- the service ---- */

bool callers_is_asked(const struct object_target *t)
{
        return t->agent.len == 0 && str_eq(t->url, target_word);
}

bool callers_is_target(const struct store_target *t)
{
        return t->node == 0 && str_eq(t->url, target_word);
}

/* Control reads nothing of such a route; what would change a request on its way is not for it. */
static bool settings_are_few(struct api_call *c, struct str settings)
{
        const struct json_value *root;

        if (settings.len == 0)
                return true;
        if (json_read_strict(&c->work, settings, NULL, &root) != ERR_OK)
                return false;
        for (size_t i = 0; i < root->count; i++)
                if (!str_eq(root->members[i].key, STR("rateLimit")))
                        return false;
        return true;
}

static bool is_below_base(struct str path)
{
        return str_has_prefix(path, base_path) &&
               (path.len == base_path.len || path.ptr[base_path.len] == '/');
}

enum err callers_service_check(struct api_call *c, struct object_service *o, enum store_service_kind kind)
{
        const struct object_target *targets = o->targets.items;
        bool leads_here = false;

        for (size_t i = 0; i < o->targets.count; i++)
                leads_here |= str_eq(targets[i].url, target_word);
        if (!leads_here)
                return ERR_OK;
        if (kind != STORE_SERVICE_HTTP || o->targets.count != 1 || targets[0].agent.len)
                return api_fail(
                        c, 400, NULL,
                        "A service that leads to control is of kind http and has one target, {\"url\": \"control\"}, "
                        "without an agent.");
        if (o->access.kind.len && !str_eq(o->access.kind, STR("public")))
                return api_fail(
                        c, 400, NULL,
                        "Control asks for a key itself, so the \"access\" of a service that leads to it "
                        "is \"public\"; name addresses in \"allowed_ips\".");
        if (!settings_are_few(c, o->settings))
                return api_fail(c, 400, NULL,
                                "A service that leads to control has no \"settings\" but \"rateLimit\".");
        if (o->path.len == 0 || str_eq(o->path, STR("/")))
                o->path = base_path;
        if (!is_below_base(o->path))
                return api_fail(c, 400, NULL,
                                "What control serves at gateways is below /api: leave \"path\" out, or write "
                                "such as /api/execute.");
        return ERR_OK;
}
